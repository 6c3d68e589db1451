//! The structures of the Time-Stamp Protocol: request, response and the statement that is signed.
//!
//! RFC 3161 §2.4, with the status codes and failure bits of RFC 4210. Nothing is verified here.

use der::asn1::{Any, BitString, Int, ObjectIdentifier, OctetString};
use der::{
    DateTime, DecodeValue, EncodeValue, ErrorKind, FixedTag, Header, Length, Reader, Sequence, Tag,
    Writer,
};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::number::UnixTime;

/// `TimeStampReq` (RFC 3161 §2.4.1).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct TimeStampReq {
    /// 1.
    pub version: u8,
    /// Hash of what is to be timestamped.
    pub message_imprint: MessageImprint,
    /// The policy under which the requester wants the token.
    #[asn1(optional = "true")]
    pub req_policy: Option<ObjectIdentifier>,
    /// A number that the token must repeat.
    #[asn1(optional = "true")]
    pub nonce: Option<Int>,
    /// Whether the token must carry the signing certificate.
    #[asn1(default = "Default::default")]
    pub cert_req: bool,
    /// Further wishes, of which none is known here.
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub extensions: Option<Vec<Extension>>,
}

/// `MessageImprint` (RFC 3161 §2.4.1).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct MessageImprint {
    /// What the message is hashed with.
    pub hash_algorithm: AlgorithmIdentifierOwned,
    /// The hash.
    pub hashed_message: OctetString,
}

/// `TimeStampResp` (RFC 3161 §2.4.2).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct TimeStampResp {
    /// Whether a token was given.
    pub status: PkiStatusInfo,
    /// The token, a [`super::cms::ContentInfo`], as it came.
    #[asn1(optional = "true")]
    pub time_stamp_token: Option<Any>,
}

/// `PKIStatusInfo` (RFC 3161 §2.4.2).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct PkiStatusInfo {
    /// One of the `STATUS_` numbers.
    pub status: u8,
    /// What the authority says in words.
    #[asn1(optional = "true")]
    pub status_string: Option<Vec<String>>,
    /// Why the request was rejected: one bit of [`PkiFailure`].
    #[asn1(optional = "true")]
    pub fail_info: Option<BitString>,
}

/// `granted`: a token was given, as asked.
pub const STATUS_GRANTED: u8 = 0;
/// `rejection`: no token was given.
pub const STATUS_REJECTION: u8 = 2;

/// `PKIFailureInfo`: the bits RFC 3161 §2.4.2 allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PkiFailure {
    /// Unrecognised or unsupported algorithm.
    BadAlgorithm = 0,
    /// The transaction is not permitted or supported.
    BadRequest = 2,
    /// The data submitted has the wrong format.
    BadDataFormat = 5,
    /// The time source is not available.
    TimeNotAvailable = 14,
    /// The policy asked for is not supported.
    UnacceptedPolicy = 15,
    /// An extension asked for is not supported.
    UnacceptedExtension = 16,
    /// The additional information asked for could not be understood or is not available.
    AddInfoNotAvailable = 17,
    /// The request cannot be handled because of a failure of the system.
    SystemFailure = 25,
}

impl PkiFailure {
    /// Every bit RFC 3161 names.
    pub const ALL: [Self; 8] = [
        Self::BadAlgorithm,
        Self::BadRequest,
        Self::BadDataFormat,
        Self::TimeNotAvailable,
        Self::UnacceptedPolicy,
        Self::UnacceptedExtension,
        Self::AddInfoNotAvailable,
        Self::SystemFailure,
    ];

    /// The bit string with this bit alone; DER cuts trailing zero bits off (X.690 §11.2.2).
    ///
    /// # Errors
    /// Never for the bits above: the length of a bit string of four bytes fits.
    pub fn to_bit_string(self) -> der::Result<BitString> {
        let (byte, bit) = (self as usize / 8, self as usize % 8);
        let mut bytes = vec![0; byte + 1];
        bytes[byte] = 0x80 >> bit;
        // `bit` is less than 8.
        BitString::new(7 - bit as u8, bytes)
    }

    /// The first bit set that RFC 3161 names.
    #[must_use]
    pub fn from_bit_string(bits: &BitString) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| bits.get(*failure as usize) == Some(true))
    }
}

/// `TSTInfo` (RFC 3161 §2.4.2): the statement that the authority signs.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct TstInfo {
    /// 1.
    pub version: u8,
    /// The policy the token was made under.
    pub policy: ObjectIdentifier,
    /// Hash of what was timestamped.
    pub message_imprint: MessageImprint,
    /// Unique for each token of this authority.
    pub serial_number: Int,
    /// When the authority saw the hash.
    pub gen_time: GenTime,
    /// How far `gen_time` may be from the true time.
    #[asn1(optional = "true")]
    pub accuracy: Option<Accuracy>,
    /// Whether tokens of this authority are ordered by their times alone.
    #[asn1(default = "Default::default")]
    pub ordering: bool,
    /// The request's number, repeated.
    #[asn1(optional = "true")]
    pub nonce: Option<Int>,
    /// The authority's name, a hint only.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub tsa: Option<GeneralName>,
    /// Further statements.
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub extensions: Option<Vec<Extension>>,
}

/// `Accuracy` (RFC 3161 §2.4.2); what is absent is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Sequence)]
pub struct Accuracy {
    /// Whole seconds.
    #[asn1(optional = "true")]
    pub seconds: Option<u32>,
    /// Thousandths, 1 to 999.
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub milliseconds: Option<u16>,
    /// Millionths, 1 to 999.
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub microseconds: Option<u16>,
}

impl Accuracy {
    /// The whole in milliseconds, rounded up: a wider margin is the careful one. `None` when a
    /// part is outside 1 to 999.
    #[must_use]
    pub fn to_milliseconds(self) -> Option<u64> {
        let parts = 1..=999;
        let inside = |part: Option<u16>| part.is_none_or(|part| parts.contains(&part));
        (inside(self.milliseconds) && inside(self.microseconds)).then(|| {
            u64::from(self.seconds.unwrap_or(0)) * 1000
                + u64::from(self.milliseconds.unwrap_or(0))
                + u64::from(self.microseconds.is_some())
        })
    }
}

/// A `GeneralizedTime` as RFC 3161 §2.4.2 wants it: UTC, seconds always there, a fraction only if
/// it is not zero and without trailing zeros.
///
/// Holds milliseconds; finer digits are read, then cut off. At most [`FRACTION_DIGITS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenTime(pub UnixTime);

/// Most digits of a second's fraction read: attoseconds, far beyond any clock.
pub const FRACTION_DIGITS_MAX: usize = 18;

/// `YYYYMMDDhhmmss` and `Z`.
const WHOLE_SECONDS_SIZE: usize = 15;

impl GenTime {
    fn parse(text: &[u8]) -> Option<Self> {
        let text = text.strip_suffix(b"Z")?;
        let (whole, fraction) = text.split_at_checked(WHOLE_SECONDS_SIZE - 1)?;
        let number = |range: std::ops::Range<usize>| {
            whole[range].iter().try_fold(0u16, |number, byte| {
                byte.is_ascii_digit().then(|| number * 10 + u16::from(byte - b'0'))
            })
        };
        let two = |start: usize| number(start..start + 2).and_then(|n| u8::try_from(n).ok());
        let date_time =
            DateTime::new(number(0..4)?, two(4)?, two(6)?, two(8)?, two(10)?, two(12)?).ok()?;
        let seconds = i64::try_from(date_time.unix_duration().as_secs()).ok()?;
        let milliseconds = match fraction {
            [] => 0,
            [b'.', digits @ ..] => {
                let canonical = digits.last().is_some_and(|last| *last != b'0');
                let known =
                    digits.len() <= FRACTION_DIGITS_MAX && digits.iter().all(u8::is_ascii_digit);
                if !(canonical && known) {
                    return None;
                }
                let thousandths = digits.iter().copied().chain(std::iter::repeat(b'0')).take(3);
                thousandths.fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
            }
            _ => return None,
        };
        Some(Self(UnixTime::from_milliseconds(seconds * 1000 + milliseconds)))
    }

    /// `None` for a moment before 1970 or after 9999.
    fn to_text(self) -> Option<String> {
        let seconds = u64::try_from(self.0.seconds()).ok()?;
        let date_time =
            DateTime::from_unix_duration(std::time::Duration::from_secs(seconds)).ok()?;
        let (year, month, day) = (date_time.year(), date_time.month(), date_time.day());
        let (hour, minute, second) = (date_time.hour(), date_time.minutes(), date_time.seconds());
        let milliseconds = self.0.milliseconds().rem_euclid(1000);
        let fraction = match milliseconds {
            0 => String::new(),
            _ => format!(".{milliseconds:03}").trim_end_matches('0').to_owned(),
        };
        Some(format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}{fraction}Z"))
    }
}

impl FixedTag for GenTime {
    const TAG: Tag = Tag::GeneralizedTime;
}

impl<'a> DecodeValue<'a> for GenTime {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
        let mut buffer = [0; WHOLE_SECONDS_SIZE + 1 + FRACTION_DIGITS_MAX];
        let size = usize::try_from(header.length())?;
        let Some(text) = buffer.get_mut(..size) else {
            return Err(reader.error(ErrorKind::DateTime));
        };
        Self::parse(reader.read_into(text)?).ok_or_else(|| reader.error(ErrorKind::DateTime))
    }
}

impl EncodeValue for GenTime {
    fn value_len(&self) -> der::Result<Length> {
        self.to_text().ok_or(ErrorKind::DateTime)?.len().try_into()
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(self.to_text().ok_or(ErrorKind::DateTime)?.as_bytes())
    }
}

//! Issues timestamps: a signed statement that a hash was seen now.
//!
//! RFC 3161 with RFC 5816. What it signs it reads back and verifies before it lets it go. Time does
//! not run backwards: the caller keeps the last time stated and gives it as the floor.

pub mod authority;
pub mod request;

use const_oid::ObjectIdentifier;
use crypto::{AbortOnPanic, Hash, HashAlgorithm, Message, SignError};
use der::asn1::{Any, Int, OctetString, UtcTime};
use der::{Decode, Encode, Sequence};
use evidence::timestamp::cms::{
    Attribute, ContentInfo, EncapsulatedContentInfo, EssCertIdV2, ID_CONTENT_TYPE, ID_CT_TST_INFO,
    ID_MESSAGE_DIGEST, ID_SIGNED_DATA, ID_SIGNING_CERTIFICATE_V2, ID_SIGNING_TIME,
    IssuerAndSerialNumber, RawSet, SignedData, SignerIdentifier, SignerInfo, SigningCertificateV2,
};
use evidence::timestamp::tsp::{
    Accuracy, GenTime, MessageImprint, PkiStatusInfo, STATUS_GRANTED, TimeStampResp, TstInfo,
};
use evidence::timestamp::{InconsistentTimestamp, ParseTimestampError, hash_algorithm_identifier};
use evidence::{Certificate, Timestamp, UnixTime};
use x509_cert::ext::pkix::name::{GeneralName, GeneralNames};
use x509_cert::name::Name;

use crate::certificate::{SerialNumber, WriteError, serial_integer, signature_algorithm};

pub use authority::TimestampAuthority;
pub use request::{Rejection, TimestampRequest};

/// The policy of the public Sigstore instance's timestamps, and the default here.
pub const SIGSTORE_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.2");

/// How far a stated time may be from the true one, in seconds.
pub const ACCURACY_SECONDS: u32 = 1;

/// A timestamp response that grants a token, and the time it states.
#[derive(Clone, Debug)]
pub struct Stamped {
    /// DER of the `TimeStampResp`.
    pub response: Vec<u8>,
    /// The time stated: the floor of the next timestamp.
    pub time: UnixTime,
}

/// Why a request that is in order was not granted. Always our failure.
#[derive(Debug, thiserror::Error)]
pub enum StampError {
    /// The clock is behind a time that was already stated, by more than the stated accuracy.
    #[error("the clock says {now}, but {floor} was already stated")]
    ClockBehind {
        /// Our time.
        now: UnixTime,
        /// The last time stated.
        floor: UnixTime,
    },
    /// A certificate of the authority's chain is not valid now.
    #[error("the authority's chain is valid from {from} to {to}; it is {now}")]
    ChainNotValid {
        /// First moment at which the whole chain is valid.
        from: UnixTime,
        /// Last such moment.
        to: UnixTime,
        /// The time to be stated.
        now: UnixTime,
    },
    /// A part cannot be encoded.
    #[error("the token cannot be encoded: {0}")]
    Encode(#[from] der::Error),
    /// The key's kind has no algorithm identifier here.
    #[error(transparent)]
    Key(#[from] WriteError),
    /// Nothing was signed.
    #[error("the token was not signed")]
    Sign(#[from] SignError),
    /// What was made does not parse.
    #[error("the token does not parse, and was withheld")]
    Parse(#[from] ParseTimestampError),
    /// What was made contradicts itself.
    #[error("the token contradicts itself, and was withheld")]
    Inconsistent(#[from] InconsistentTimestamp),
    /// What was made is not what should have been made.
    #[error("the token's {part} is not what it must be, and it was withheld")]
    Withheld {
        /// The part.
        part: &'static str,
    },
}

/// `IssuerSerial` (RFC 5035 §5).
#[derive(Sequence)]
struct IssuerSerial {
    issuer: GeneralNames,
    serial_number: Int,
}

impl TimestampAuthority {
    /// States that the request's hash was seen at `now`, rounded down to whole seconds.
    ///
    /// `floor` is the last time this authority stated, across restarts. A clock that is behind it
    /// by no more than the stated accuracy makes the floor be stated again; one that is further
    /// behind makes nothing be stated.
    ///
    /// # Errors
    /// When the clock is behind, the chain is not valid, or the token could not be made right. A
    /// panic on the way ends the process.
    pub fn stamp(
        &self,
        request: &TimestampRequest,
        serial: SerialNumber,
        now: UnixTime,
        floor: UnixTime,
    ) -> Result<Stamped, StampError> {
        let _guard = AbortOnPanic;
        let time = self.time_to_state(now, floor)?;
        let statement = TstInfo {
            version: 1,
            policy: self.policy(),
            message_imprint: MessageImprint {
                hash_algorithm: hash_algorithm_identifier(request.imprint().algorithm()),
                hashed_message: OctetString::new(request.imprint().as_bytes())?,
            },
            serial_number: serial_integer(serial)?.into(),
            gen_time: GenTime(time),
            accuracy: Some(Accuracy { seconds: Some(ACCURACY_SECONDS), ..Accuracy::default() }),
            ordering: false,
            nonce: request.nonce().map(Int::new).transpose()?,
            tsa: Some(GeneralName::DirectoryName(Name::from_der(
                self.certificate().subject_name_der(),
            )?)),
            extensions: None,
        };
        let token = self.seal(&statement.to_der()?, time, request.wants_certificate())?;
        let response = TimeStampResp {
            status: PkiStatusInfo { status: STATUS_GRANTED, status_string: None, fail_info: None },
            time_stamp_token: Some(token),
        };
        let response = response.to_der()?;
        self.check(&response, request, serial, time)?;
        Ok(Stamped { response, time })
    }

    fn time_to_state(&self, now: UnixTime, floor: UnixTime) -> Result<UnixTime, StampError> {
        let clock = UnixTime::from_seconds(now.seconds());
        if clock.plus_seconds(ACCURACY_SECONDS.into()) < floor {
            return Err(StampError::ClockBehind { now, floor });
        }
        let time = clock.max(floor);
        let (from, to) = self.validity();
        if time < from || time > to {
            return Err(StampError::ChainNotValid { from, to, now: time });
        }
        Ok(time)
    }

    /// Signs the statement: CMS SignedData (RFC 5652 §5) with the attributes RFC 3161 §2.4.2 and
    /// RFC 5816 §2.2.1 ask for.
    fn seal(&self, content: &[u8], time: UnixTime, embed: bool) -> Result<Any, StampError> {
        let certificate = self.certificate();
        let key = certificate.public_key();
        let hash =
            key.default_scheme().hash().ok_or(WriteError::SigningKey { found: key.kind() })?;
        let digest_algorithm = hash_algorithm_identifier(hash);
        let digest = OctetString::new(Hash::of(hash, content).as_bytes())?;
        let attributes = [
            Attribute::new(ID_CONTENT_TYPE, &ID_CT_TST_INFO)?,
            Attribute::new(ID_SIGNING_TIME, &signing_time(time)?)?,
            Attribute::new(ID_MESSAGE_DIGEST, &digest)?,
            Attribute::new(ID_SIGNING_CERTIFICATE_V2, &names(certificate)?)?,
        ];
        let attributes = RawSet::from_elements(&attributes)?;
        let signature = self.signer().sign_bytes(&attributes.to_set_der())?;
        let signer_info = SignerInfo {
            version: 1,
            sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: Any::from_der(certificate.issuer_name_der())?,
                serial_number: Int::new(certificate.serial())?,
            }),
            digest_algorithm: digest_algorithm.clone(),
            signed_attributes: Some(attributes),
            signature_algorithm: signature_algorithm(key.kind())?,
            signature: OctetString::new(signature)?,
            unsigned_attributes: None,
        };
        let embedded = embed.then(|| Any::from_der(certificate.der())).transpose()?;
        let embedded = embedded.map(|der| RawSet::from_elements([&der])).transpose()?;
        let signed_data = SignedData {
            version: 3,
            digest_algorithms: RawSet::from_elements([&digest_algorithm])?,
            encap_content_info: EncapsulatedContentInfo {
                content_type: ID_CT_TST_INFO,
                content: Some(OctetString::new(content)?),
            },
            certificates: embedded,
            crls: None,
            signer_infos: RawSet::from_elements([&signer_info])?,
        };
        let content = Any::encode_from(&signed_data)?;
        Ok(Any::encode_from(&ContentInfo { content_type: ID_SIGNED_DATA, content })?)
    }

    /// Reads the response as a verifier would.
    fn check(
        &self,
        response: &[u8],
        request: &TimestampRequest,
        serial: SerialNumber,
        time: UnixTime,
    ) -> Result<(), StampError> {
        let stamped = Timestamp::parse(response)?;
        stamped.check_content_type()?;
        stamped.check_message_digest()?;
        stamped.check_signing_certificate(self.certificate().der())?;
        let key = self.certificate().public_key();
        let signed = Message::Bytes(stamped.signed_attributes_der());
        let scheme = stamped.scheme(key.kind());
        let verified =
            scheme.is_ok_and(|scheme| key.verify(scheme, signed, stamped.signature()).is_ok());
        let embedded = stamped.certificates();
        let embedded_right = match request.wants_certificate() {
            true => embedded == [self.certificate().der()],
            false => embedded.is_empty(),
        };
        let parts = [
            ("signature", verified),
            ("imprint", stamped.imprint() == request.imprint()),
            ("nonce", stamped.nonce() == request.nonce()),
            ("time", stamped.time() == time),
            ("serial number", stamped.serial() == serial.as_bytes()),
            ("policy", stamped.policy() == self.policy()),
            ("accuracy", stamped.accuracy_ms() == Some(u64::from(ACCURACY_SECONDS) * 1000)),
            ("certificate", embedded_right),
        ];
        match parts.into_iter().find(|(_, right)| !right) {
            Some((part, _)) => Err(StampError::Withheld { part }),
            None => Ok(()),
        }
    }
}

/// The attribute that binds the signature to one certificate. The hash is SHA-256, which is the
/// default and therefore not named (RFC 5035 §4).
fn names(certificate: &Certificate) -> der::Result<SigningCertificateV2> {
    let hash = Hash::of(HashAlgorithm::Sha256, certificate.der());
    let issuer = Name::from_der(certificate.issuer_name_der())?;
    let issuer_serial = IssuerSerial {
        issuer: vec![GeneralName::DirectoryName(issuer)],
        serial_number: Int::new(certificate.serial())?,
    };
    let id = EssCertIdV2 {
        hash_algorithm: None,
        certificate_hash: OctetString::new(hash.as_bytes())?,
        issuer_serial: Some(Any::encode_from(&issuer_serial)?),
    };
    Ok(SigningCertificateV2 { certificates: vec![id], policies: None })
}

/// RFC 5652 §11.3: UTCTime through 2049, GeneralizedTime after.
fn signing_time(time: UnixTime) -> der::Result<Any> {
    let seconds = u64::try_from(time.seconds()).map_err(|_| der::ErrorKind::DateTime)?;
    match UtcTime::from_unix_duration(std::time::Duration::from_secs(seconds)) {
        Ok(time) => Any::encode_from(&time),
        Err(_) => Any::encode_from(&GenTime(time)),
    }
}

//! X.509 certificates as Fulcio issues them: validity, key, the one subject alternative name,
//! Fulcio's extensions, and the signed certificate timestamps.
//!
//! RFC 5280; Fulcio's certificate specification and `oid-info.md`. Parsing says nothing about who
//! issued a certificate: chains are the `verify` crate's.

pub mod constraints;
pub mod fulcio;
pub mod sct;

use const_oid::ObjectIdentifier;
use crypto::{ParseKeyError, PublicKey};
use der::asn1::{AnyRef, BitStringRef, GeneralizedTime, OctetStringRef, UtcTime};
use der::{Decode, Encode, Header, Reader, SliceReader, Tag, TagNumber, Tagged};

pub use fulcio::{FulcioExtension, FulcioExtensions};
pub use sct::SignedCertificateTimestamp;

use crate::number::UnixTime;

/// Longest certificate read, in bytes. Fulcio's take about 2,100.
pub const CERTIFICATE_SIZE_MAX: usize = 32 * 1024;
/// Most extensions read on one certificate; Fulcio's have about 30.
pub const EXTENSIONS_MAX: usize = 64;

const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const SUBJECT_ALTERNATIVE_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// A parsed certificate; claimed, not proven.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: Vec<u8>,
    serial: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    not_before: UnixTime,
    not_after: UnixTime,
    public_key: PublicKey,
    names: Vec<SubjectName>,
    fulcio: FulcioExtensions,
    extensions: Vec<Extension>,
}

/// A subject alternative name of the kinds that identify a signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectName {
    /// An e-mail address (`rfc822Name`).
    Email(String),
    /// A URI.
    Uri(String),
    /// A user name, `name!domain`, in Fulcio's `otherName` (OID 1.3.6.1.4.1.57264.1.7).
    Username(String),
    /// A name of a kind that never identifies a signer here.
    Other,
}

impl SubjectName {
    /// The text that identities are compared with; `None` for other kinds.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Email(text) | Self::Uri(text) | Self::Username(text) => Some(text),
            Self::Other => None,
        }
    }
}

/// The three parts of a certificate: what is signed, how, and the signature.
#[derive(Clone, Copy, Debug)]
pub struct SignedParts<'a> {
    /// DER of the TBSCertificate.
    pub tbs_der: &'a [u8],
    /// The signature algorithm.
    pub algorithm: ObjectIdentifier,
    /// The issuer's signature.
    pub signature: &'a [u8],
}

/// One extension, unparsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its object identifier.
    pub oid: ObjectIdentifier,
    /// Whether whoever does not understand it must refuse the certificate.
    pub critical: bool,
    /// Its value, the content of the OCTET STRING.
    pub value: Vec<u8>,
}

/// Why bytes are no certificate that can be used here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseCertificateError {
    /// Longer than [`CERTIFICATE_SIZE_MAX`].
    #[error("a certificate of {found} bytes is longer than the {CERTIFICATE_SIZE_MAX} read")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// Not DER of the right shape.
    #[error("not an X.509 certificate: {0}")]
    Der(#[from] der::Error),
    /// Not version 3.
    #[error("wanted an X.509 version 3 certificate")]
    NotVersion3,
    /// More than [`EXTENSIONS_MAX`] extensions.
    #[error("more than {EXTENSIONS_MAX} extensions")]
    TooManyExtensions,
    /// The same extension twice (RFC 5280 §4.2).
    #[error("extension {oid} stands twice")]
    DuplicateExtension {
        /// Its object identifier.
        oid: ObjectIdentifier,
    },
    /// A text that is not in the character set its type allows.
    #[error("extension {oid} is not text of the right form")]
    BadText {
        /// The extension's object identifier.
        oid: ObjectIdentifier,
    },
    /// The two issuer extensions (1 and 8) name different issuers.
    #[error("the certificate names two issuers: `{v1}` and `{v2}`")]
    TwoIssuers {
        /// In extension 1.3.6.1.4.1.57264.1.1.
        v1: String,
        /// In extension 1.3.6.1.4.1.57264.1.8.
        v2: String,
    },
    /// The public key does not parse.
    #[error("the certificate's public key does not parse")]
    Key(#[from] ParseKeyError),
}

impl Certificate {
    /// Parses one DER certificate, which must fill `der_bytes` exactly.
    ///
    /// # Errors
    /// When it is malformed, too large, or has an unsupported key.
    pub fn parse(der_bytes: &[u8]) -> Result<Self, ParseCertificateError> {
        if der_bytes.len() > CERTIFICATE_SIZE_MAX {
            return Err(ParseCertificateError::TooLong { found: der_bytes.len() });
        }
        let mut outer = elements(sequence(AnyRef::from_der(der_bytes)?)?)?;
        let tbs = sequence(AnyRef::decode(&mut outer)?)?;
        let _signature_algorithm = AnyRef::decode(&mut outer)?;
        let _signature = BitStringRef::decode(&mut outer)?;
        outer.finish()?;

        let mut fields = elements(tbs)?;
        let version = AnyRef::decode(&mut fields)?;
        // [0] EXPLICIT INTEGER 2 means version 3.
        if version.tag() != context(0) || version.value() != [0x02, 0x01, 0x02] {
            return Err(ParseCertificateError::NotVersion3);
        }
        let serial = AnyRef::decode(&mut fields)?;
        serial.tag().assert_eq(Tag::Integer)?;
        let _algorithm = AnyRef::decode(&mut fields)?;
        let issuer = fields.tlv_bytes()?.to_vec();
        let mut validity = elements(sequence(AnyRef::decode(&mut fields)?)?)?;
        let not_before = time(AnyRef::decode(&mut validity)?)?;
        let not_after = time(AnyRef::decode(&mut validity)?)?;
        validity.finish()?;
        let subject = fields.tlv_bytes()?.to_vec();
        let public_key = PublicKey::from_spki_der(fields.tlv_bytes()?)?;

        // What may follow stands in this order, each at most once. [1] and [2], the unique
        // identifiers, are obsolete and mean nothing here.
        let mut extensions = Vec::new();
        let mut last = 0;
        while !fields.is_finished() {
            let field = AnyRef::decode(&mut fields)?;
            match field.tag() {
                Tag::ContextSpecific { number: TagNumber(number @ 1..=3), .. } if number > last => {
                    last = number;
                }
                other => return Err(der::Error::from(other.unexpected_error(None)).into()),
            }
            if field.tag() == context(3) {
                extensions = parse_extensions(field.value())?;
            }
        }
        let names = match find(&extensions, SUBJECT_ALTERNATIVE_NAME) {
            Some(value) => parse_names(value)?,
            None => Vec::new(),
        };
        let fulcio = FulcioExtensions::from_extensions(&extensions)?;
        Ok(Self {
            der: der_bytes.to_vec(),
            serial: serial.value().to_vec(),
            issuer,
            subject,
            not_before,
            not_after,
            public_key,
            names,
            fulcio,
            extensions,
        })
    }

    /// The certificate exactly as parsed.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The serial number's content octets, big-endian.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// DER of the issuer's distinguished name.
    #[must_use]
    pub fn issuer_name_der(&self) -> &[u8] {
        &self.issuer
    }

    /// DER of the subject's distinguished name.
    #[must_use]
    pub fn subject_name_der(&self) -> &[u8] {
        &self.subject
    }

    /// Whether issuer and subject are the same name, as in a root certificate.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// First moment of validity, inclusive.
    #[must_use]
    pub fn not_before(&self) -> UnixTime {
        self.not_before
    }

    /// Last moment of validity, inclusive (RFC 5280 §4.1.2.5).
    #[must_use]
    pub fn not_after(&self) -> UnixTime {
        self.not_after
    }

    /// The certified key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The subject alternative names in order.
    #[must_use]
    pub fn names(&self) -> &[SubjectName] {
        &self.names
    }

    /// Fulcio's extensions.
    #[must_use]
    pub fn fulcio(&self) -> &FulcioExtensions {
        &self.fulcio
    }

    /// Every extension in order, unparsed.
    #[must_use]
    pub fn extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// The value of one extension.
    #[must_use]
    pub fn extension(&self, oid: ObjectIdentifier) -> Option<&[u8]> {
        find(&self.extensions, oid)
    }

    /// The subject key identifier (RFC 5280 §4.2.1.2), if there is one and it is well-formed.
    #[must_use]
    pub fn subject_key_identifier(&self) -> Option<&[u8]> {
        let value = find(&self.extensions, SUBJECT_KEY_IDENTIFIER)?;
        Some(<&OctetStringRef>::from_der(value).ok()?.as_bytes())
    }

    /// What the issuer signed, with which algorithm, and the signature (RFC 5280 §4.1.1).
    ///
    /// # Errors
    /// None that parsing has not found before.
    pub fn signed_parts(&self) -> Result<SignedParts<'_>, der::Error> {
        let mut outer = elements(sequence(AnyRef::from_der(&self.der)?)?)?;
        let tbs_der = outer.tlv_bytes()?;
        let mut algorithm = elements(sequence(AnyRef::decode(&mut outer)?)?)?;
        let algorithm = ObjectIdentifier::decode(&mut algorithm)?;
        let signature = BitStringRef::decode(&mut outer)?;
        let signature = signature.as_bytes().ok_or(der::ErrorKind::Failed)?;
        Ok(SignedParts { tbs_der, algorithm, signature })
    }

    /// PEM with LF line ends, as Rekor v1 entries hold it.
    #[must_use]
    pub fn to_pem(&self) -> String {
        crypto::pem::encode("CERTIFICATE", &self.der)
    }

    /// The TBSCertificate without the extension `without`, every other byte as issued: what a CT
    /// log signs (RFC 6962 §3.2: the pre-certificate's TBS with the poison, or equally the final
    /// certificate's with the SCT list, removed).
    ///
    /// # Errors
    /// When the extension is not there; the DER itself was parsed before.
    pub fn tbs_without(&self, without: ObjectIdentifier) -> Result<Vec<u8>, der::Error> {
        let mut outer = elements(sequence(AnyRef::from_der(&self.der)?)?)?;
        let tbs = sequence(AnyRef::decode(&mut outer)?)?;
        let mut fields = elements(tbs)?;
        let mut content = Vec::with_capacity(tbs.len());
        let mut found = false;
        while !fields.is_finished() {
            let field = fields.tlv_bytes()?;
            let any = AnyRef::from_der(field)?;
            if any.tag() != context(3) {
                content.extend_from_slice(field);
                continue;
            }
            let mut kept = Vec::with_capacity(field.len());
            let mut list = elements(sequence(AnyRef::from_der(any.value())?)?)?;
            while !list.is_finished() {
                let extension = list.tlv_bytes()?;
                let mut parts = elements(sequence(AnyRef::from_der(extension)?)?)?;
                if ObjectIdentifier::decode(&mut parts)? == without {
                    found = true;
                } else {
                    kept.extend_from_slice(extension);
                }
            }
            content.extend(wrap(context(3), &wrap(Tag::Sequence, &kept)?)?);
        }
        if found { wrap(Tag::Sequence, &content) } else { Err(der::ErrorKind::Failed.into()) }
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

fn context(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

fn sequence(any: AnyRef<'_>) -> Result<&[u8], der::Error> {
    any.tag().assert_eq(Tag::Sequence)?;
    Ok(any.value())
}

fn elements(content: &[u8]) -> Result<SliceReader<'_>, der::Error> {
    SliceReader::new(content)
}

fn wrap(tag: Tag, content: &[u8]) -> Result<Vec<u8>, der::Error> {
    let header = Header::new(tag, content.len().try_into()?);
    let mut bytes = header.to_der()?;
    bytes.extend_from_slice(content);
    Ok(bytes)
}

fn time(any: AnyRef<'_>) -> Result<UnixTime, der::Error> {
    let seconds = match any.tag() {
        Tag::UtcTime => UtcTime::try_from(any)?.to_unix_duration().as_secs(),
        _ => GeneralizedTime::try_from(any)?.to_unix_duration().as_secs(),
    };
    Ok(UnixTime::from_seconds(i64::try_from(seconds).unwrap_or(i64::MAX)))
}

fn find(extensions: &[Extension], oid: ObjectIdentifier) -> Option<&[u8]> {
    extensions.iter().find(|extension| extension.oid == oid).map(|found| found.value.as_slice())
}

fn parse_extensions(der_bytes: &[u8]) -> Result<Vec<Extension>, ParseCertificateError> {
    let mut list = elements(sequence(AnyRef::from_der(der_bytes)?)?)?;
    let mut extensions: Vec<Extension> = Vec::new();
    while !list.is_finished() {
        let mut parts = elements(sequence(AnyRef::decode(&mut list)?)?)?;
        let oid = ObjectIdentifier::decode(&mut parts)?;
        let critical =
            if Tag::peek(&parts)? == Tag::Boolean { bool::decode(&mut parts)? } else { false };
        let value = <&OctetStringRef>::decode(&mut parts)?.as_bytes().to_vec();
        parts.finish()?;
        if extensions.len() == EXTENSIONS_MAX {
            return Err(ParseCertificateError::TooManyExtensions);
        }
        if extensions.iter().any(|earlier| earlier.oid == oid) {
            return Err(ParseCertificateError::DuplicateExtension { oid });
        }
        extensions.push(Extension { oid, critical, value });
    }
    Ok(extensions)
}

fn parse_names(value: &[u8]) -> Result<Vec<SubjectName>, ParseCertificateError> {
    let bad_text = ParseCertificateError::BadText { oid: SUBJECT_ALTERNATIVE_NAME };
    // RFC 5280 §4.2.1.6: these are IA5String, which is ASCII.
    let ascii = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii());
        text.map(str::to_owned).ok_or_else(|| bad_text.clone())
    };
    let mut list = elements(sequence(AnyRef::from_der(value)?)?)?;
    let mut names = Vec::new();
    while !list.is_finished() {
        let name = AnyRef::decode(&mut list)?;
        names.push(match name.tag() {
            Tag::ContextSpecific { number: TagNumber(1), .. } => {
                SubjectName::Email(ascii(name.value())?)
            }
            Tag::ContextSpecific { number: TagNumber(6), .. } => {
                SubjectName::Uri(ascii(name.value())?)
            }
            Tag::ContextSpecific { number: TagNumber(0), .. } => {
                match fulcio::username(name.value())? {
                    Some(username) => SubjectName::Username(username),
                    None => SubjectName::Other,
                }
            }
            _ => SubjectName::Other,
        });
    }
    Ok(names)
}

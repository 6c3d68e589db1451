//! Chains: whether one holds together and may do what it is for, and how a new one is made.
//!
//! RFC 5280 §4.2.1.3, §4.2.1.9, §6.1. Only what an authority must know of its own chain: verifiers
//! have their own, complete check.

use const_oid::ObjectIdentifier;
use crypto::{PublicKey, Signer};
use der::asn1::{Any, BitStringRef, OctetStringRef, SetOfVec, Utf8StringRef};
use der::{Decode, Encode};
use evidence::certificate::ParseCertificateError;
use evidence::{Certificate, UnixTime};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::name::{RdnSequence, RelativeDistinguishedName};

use super::{
    BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE, KEY_USAGE, SUBJECT_KEY_ID, SerialNumber, Template,
    WriteError, authority_key_id, extension, oid, sign, signature_algorithm, subject_key_id,
    verify_signature,
};

/// How long a new root and what it signs are valid, in seconds: ten years, as the public Sigstore
/// instance's.
pub const AUTHORITY_LIFETIME_SECONDS: i64 = 10 * 365 * 24 * 60 * 60;

/// Longest key identifier, in bytes: the longest that RFC 7093 §2 makes, a whole SHA-512. RFC 5280
/// §4.2.1.2 leaves the method to whoever made the certificate.
const KEY_ID_SIZE_MAX: usize = 64;

/// `keyCertSign` and `cRLSign` (RFC 5280 §4.2.1.3): bits 5 and 6, one bit unused.
pub(crate) const USAGE_CERTIFICATES: [u8; 4] = [0x03, 0x02, 0x01, 0x06];
/// The bit `keyCertSign` in the first byte of a key usage.
const KEY_CERT_SIGN: u8 = 0x04;

const ORGANIZATION: ObjectIdentifier = oid("2.5.4.10");
const COMMON_NAME: ObjectIdentifier = oid("2.5.4.3");

/// A chain that does not hold together, or not for its purpose.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Fewer certificates than the purpose needs.
    #[error("wanted a chain of at least {wanted} certificates, found {found}")]
    TooShort {
        /// Least length.
        wanted: usize,
        /// Length found.
        found: usize,
    },
    /// The first certificate is for another key than the one that signs.
    #[error("the first certificate of the chain is not for the signing key")]
    AnotherKey,
    /// A certificate is not signed by the next one, or the last not by itself.
    #[error("certificate {index} of the chain is not signed by the next (the last: by itself)")]
    NotSigned {
        /// Position in the chain, counted from 0.
        index: usize,
    },
    /// A certificate that issues others may not.
    #[error(
        "certificate {index} of the chain must be an authority: critical basic constraints with \
         CA, and key usage keyCertSign"
    )]
    NotAnAuthority {
        /// Position in the chain, counted from 0.
        index: usize,
    },
    /// An authority allows fewer authorities below it than there are.
    #[error("certificate {index} of the chain allows fewer authorities below it than there are")]
    PathLength {
        /// Position in the chain, counted from 0.
        index: usize,
    },
    /// The first certificate is an authority though it must not be one.
    #[error("the first certificate of the chain is an authority; wanted an end entity")]
    IsAnAuthority,
    /// A certificate is not for this purpose.
    #[error("certificate {index} of the chain is not for {wanted}")]
    Purpose {
        /// Position in the chain, counted from 0.
        index: usize,
        /// What it must be for, and how that must be said.
        wanted: &'static str,
    },
    /// The issuing certificate's subject key identifier is none to name it by.
    #[error(
        "the subject key identifier of the first certificate must have 1 to {KEY_ID_SIZE_MAX} bytes"
    )]
    KeyIdentifier,
    /// A key that other clients do not verify with.
    #[error(transparent)]
    SigningKey(#[from] WriteError),
}

/// A chain that holds together, and the key of its first certificate.
pub(crate) struct SigningChain {
    /// At least one: each is signed by the next, the last by itself.
    certificates: Vec<Certificate>,
    signer: Box<dyn Signer>,
}

impl SigningChain {
    /// Takes a chain whose first certificate is for the signer's key. What its certificates may do
    /// is not looked at.
    ///
    /// # Errors
    /// When it is for another key, or does not hold together; when clients refuse keys of this kind.
    pub(crate) fn new(
        certificates: Vec<Certificate>,
        signer: Box<dyn Signer>,
    ) -> Result<Self, ChainError> {
        let first = certificates.first().ok_or(ChainError::TooShort { wanted: 1, found: 0 })?;
        if first.public_key() != signer.public_key() {
            return Err(ChainError::AnotherKey);
        }
        signature_algorithm(first.public_key().kind())?;
        for (index, certificate) in certificates.iter().enumerate() {
            let issuer = certificates.get(index + 1).unwrap_or(certificate);
            let names_agree = certificate.issuer_name_der() == issuer.subject_name_der();
            if !names_agree || verify_signature(certificate, issuer.public_key()).is_err() {
                return Err(ChainError::NotSigned { index });
            }
        }
        Ok(Self { certificates, signer })
    }

    /// The certificate of the key that signs.
    pub(crate) fn first(&self) -> &Certificate {
        &self.certificates[0]
    }

    /// All of it, the root last.
    pub(crate) fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    pub(crate) fn signer(&self) -> &dyn Signer {
        self.signer.as_ref()
    }

    /// First and last moment at which every certificate of it is valid.
    pub(crate) fn validity(&self) -> (UnixTime, UnixTime) {
        let first = self.first();
        self.certificates.iter().fold(
            (first.not_before(), first.not_after()),
            |(from, to), certificate| {
                (from.max(certificate.not_before()), to.min(certificate.not_after()))
            },
        )
    }
}

/// Checks that the certificate at `index` may issue, with `below` authorities between it and an end
/// entity (RFC 5280 §4.2.1.9: the path length counts those).
pub(crate) fn check_authority(
    certificate: &Certificate,
    index: usize,
    below: usize,
) -> Result<(), ChainError> {
    let constraints = basic_constraints(certificate).filter(|constraints| constraints.ca);
    let constraints = constraints.ok_or(ChainError::NotAnAuthority { index })?;
    let critical = certificate
        .extensions()
        .iter()
        .any(|extension| extension.oid == BASIC_CONSTRAINTS && extension.critical);
    let usage = certificate.extension(KEY_USAGE);
    let usage = usage.and_then(|value| BitStringRef::from_der(value).ok());
    let signs = usage
        .and_then(|bits| bits.raw_bytes().first().copied())
        .is_some_and(|bits| bits & KEY_CERT_SIGN != 0);
    if !critical || !signs {
        return Err(ChainError::NotAnAuthority { index });
    }
    match constraints.path_len_constraint {
        Some(length) if usize::from(length) < below => Err(ChainError::PathLength { index }),
        _ => Ok(()),
    }
}

/// Checks that what is issued can name the key of its issuer as the issuer's own certificate does
/// (RFC 5280 §4.2.1.1). A certificate without such a name is no hindrance.
pub(crate) fn check_key_identifier(issuer: &Certificate) -> Result<(), ChainError> {
    let Some(value) = issuer.extension(SUBJECT_KEY_ID) else { return Ok(()) };
    match <&OctetStringRef>::from_der(value).map(|id| id.as_bytes().len()) {
        Ok(1..=KEY_ID_SIZE_MAX) => Ok(()),
        _ => Err(ChainError::KeyIdentifier),
    }
}

pub(crate) fn basic_constraints(certificate: &Certificate) -> Option<BasicConstraints> {
    BasicConstraints::from_der(certificate.extension(BASIC_CONSTRAINTS)?).ok()
}

/// The purposes of a certificate's extended key usage; empty if it has none.
pub(crate) fn purposes(certificate: &Certificate) -> Vec<ObjectIdentifier> {
    certificate
        .extension(EXTENDED_KEY_USAGE)
        .and_then(|value| Vec::from_der(value).ok())
        .unwrap_or_default()
}

/// Why a new authority was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A certificate could not be written or signed.
    #[error("a certificate of the new chain could not be made")]
    Write(#[from] WriteError),
    /// What was made does not parse.
    #[error("a certificate of the new chain does not parse")]
    Parse(#[from] ParseCertificateError),
}

impl From<der::Error> for CreateError {
    fn from(error: der::Error) -> Self {
        Self::Write(error.into())
    }
}

/// Makes a root that signs itself, with room for `authorities_below`.
pub(crate) fn create_root(
    signer: &dyn Signer,
    subject_name_der: &[u8],
    authorities_below: u8,
    serial: SerialNumber,
    now: UnixTime,
) -> Result<Certificate, CreateError> {
    let not_before = UnixTime::from_seconds(now.seconds());
    let template = Template {
        serial,
        issuer_name_der: subject_name_der,
        subject_name_der,
        not_before,
        not_after: not_before.plus_seconds(AUTHORITY_LIFETIME_SECONDS),
        key: signer.public_key(),
        extensions: &[
            extension(KEY_USAGE, true, USAGE_CERTIFICATES)?,
            authority_constraints(authorities_below)?,
            subject_key_id(signer.public_key())?,
        ],
    };
    Ok(Certificate::parse(&sign(&template.to_tbs(signer.public_key())?, signer)?)?)
}

/// Makes what a root signs: valid as long as the root, and with both key identifiers, which stand
/// after the given extensions.
pub(crate) fn create_below(
    root: (&Certificate, &dyn Signer),
    key: &PublicKey,
    subject_name_der: &[u8],
    mut extensions: Vec<Extension>,
    serial: SerialNumber,
) -> Result<Certificate, CreateError> {
    let (root, signer) = root;
    extensions.push(subject_key_id(key)?);
    extensions.push(authority_key_id(root)?);
    let template = Template {
        serial,
        issuer_name_der: root.subject_name_der(),
        subject_name_der,
        not_before: root.not_before(),
        not_after: root.not_after(),
        key,
        extensions: &extensions,
    };
    Ok(Certificate::parse(&sign(&template.to_tbs(signer.public_key())?, signer)?)?)
}

/// Basic constraints of an authority (RFC 5280 §4.2.1.9).
pub(crate) fn authority_constraints(authorities_below: u8) -> der::Result<Extension> {
    let path_len_constraint = Some(authorities_below);
    let value = BasicConstraints { ca: true, path_len_constraint };
    extension(BASIC_CONSTRAINTS, true, value.to_der()?)
}

/// DER of the name `O = organization, CN = common_name`.
pub(crate) fn name(organization: &str, common_name: &str) -> der::Result<Vec<u8>> {
    let part = |oid, text| {
        let value = Any::from(Utf8StringRef::new(text)?);
        let values = SetOfVec::try_from(vec![AttributeTypeAndValue { oid, value }])?;
        Ok(RelativeDistinguishedName::from(values))
    };
    let parts: der::Result<Vec<_>> = [(ORGANIZATION, organization), (COMMON_NAME, common_name)]
        .into_iter()
        .map(|(oid, text)| part(oid, text))
        .collect();
    RdnSequence::from(parts?).to_der()
}

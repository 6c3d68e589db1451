//! Writes X.509 certificates, byte for byte, and takes signed ones apart to check their signature.
//!
//! RFC 5280 §4.1. Names and keys are put in exactly as they came from the issuer's certificate and
//! the requester, never parsed and written anew. Profiles are the callers' business: `issue` and
//! `stamp` say which extensions there are.

pub mod chain;
pub mod server;

use const_oid::ObjectIdentifier;
use crypto::{BadSignature, HashAlgorithm, KeyKind, Message, PublicKey, Scheme, SignError, Signer};
use der::asn1::{
    Any, AnyRef, BitString, BitStringRef, GeneralizedTime, OctetString, Uint, UintRef, UtcTime,
};
use der::{Decode, Encode, Reader, Sequence, SliceReader, Tag, Tagged};
use evidence::{Certificate, UnixTime};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::AuthorityKeyIdentifier;
use x509_cert::spki::AlgorithmIdentifierOwned;

/// Serial numbers and other random numbers of certificates and timestamps: 20 bytes, which is the
/// most that RFC 5280 §4.1.2.2 allows, of which 158 bits are random.
pub const SERIAL_NUMBER_SIZE: usize = 20;

pub(crate) const BASIC_CONSTRAINTS: ObjectIdentifier = oid("2.5.29.19");
pub(crate) const KEY_USAGE: ObjectIdentifier = oid("2.5.29.15");
pub(crate) const EXTENDED_KEY_USAGE: ObjectIdentifier = oid("2.5.29.37");
pub(crate) const SUBJECT_KEY_ID: ObjectIdentifier = oid("2.5.29.14");
pub(crate) const AUTHORITY_KEY_ID: ObjectIdentifier = oid("2.5.29.35");
pub(crate) const SUBJECT_ALTERNATIVE_NAME: ObjectIdentifier = oid("2.5.29.17");
pub(crate) const CODE_SIGNING: ObjectIdentifier = oid("1.3.6.1.5.5.7.3.3");
pub(crate) const SERVER_AUTHENTICATION: ObjectIdentifier = oid("1.3.6.1.5.5.7.3.1");
pub(crate) const TIME_STAMPING: ObjectIdentifier = oid("1.3.6.1.5.5.7.3.8");

const ECDSA_SHA256: ObjectIdentifier = oid("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = oid("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = oid("1.2.840.10045.4.3.4");
const RSA_SHA256: ObjectIdentifier = oid("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = oid("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = oid("1.2.840.113549.1.1.13");
const ED25519: ObjectIdentifier = oid("1.3.101.112");

/// `digitalSignature` alone (RFC 5280 §4.2.1.3): bit 0, seven bits unused.
pub(crate) const USAGE_SIGNATURE: [u8; 4] = [0x03, 0x02, 0x07, 0x80];

pub(crate) const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

/// A random, positive number of 20 bytes, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SerialNumber([u8; SERIAL_NUMBER_SIZE]);

impl SerialNumber {
    /// Makes a serial number of unpredictable bytes; the first two bits become 01, so that it is
    /// positive and always of full length.
    #[must_use]
    pub fn from_random(mut random: [u8; SERIAL_NUMBER_SIZE]) -> Self {
        random[0] = (random[0] & 0x3F) | 0x40;
        Self(random)
    }

    /// The number, big-endian.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SERIAL_NUMBER_SIZE] {
        &self.0
    }
}

/// Why a certificate was not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// A part cannot be encoded: too long, or a time no calendar holds.
    #[error("the certificate cannot be encoded: {0}")]
    Encode(#[from] der::Error),
    /// Nothing was signed.
    #[error("the certificate was not signed")]
    Sign(#[from] SignError),
    /// A key that certificates are not signed with here.
    #[error("certificates are signed with ECDSA or RSA keys, found {found}")]
    SigningKey {
        /// The key's kind.
        found: KeyKind,
    },
}

/// What stands in a certificate.
pub(crate) struct Template<'a> {
    pub(crate) serial: SerialNumber,
    /// DER of the issuer's name, as it stands in the issuer's own certificate.
    pub(crate) issuer_name_der: &'a [u8],
    pub(crate) subject_name_der: &'a [u8],
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
    pub(crate) key: &'a PublicKey,
    pub(crate) extensions: &'a [Extension],
}

#[derive(Sequence)]
struct TbsCertificate<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: u8,
    serial_number: UintRef<'a>,
    signature: AlgorithmIdentifierOwned,
    issuer: AnyRef<'a>,
    validity: Validity,
    subject: AnyRef<'a>,
    subject_public_key_info: AnyRef<'a>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

#[derive(Sequence)]
struct Validity {
    not_before: Any,
    not_after: Any,
}

#[derive(Sequence)]
struct SignedCertificate<'a> {
    tbs: AnyRef<'a>,
    signature_algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

impl Template<'_> {
    /// The TBSCertificate, for a signer with this key.
    pub(crate) fn to_tbs(&self, signer: &PublicKey) -> Result<Vec<u8>, WriteError> {
        let tbs = TbsCertificate {
            version: 2, // v3
            serial_number: UintRef::new(&self.serial.0)?,
            signature: signature_algorithm(signer.kind())?,
            issuer: AnyRef::from_der(self.issuer_name_der)?,
            validity: Validity {
                not_before: time(self.not_before)?,
                not_after: time(self.not_after)?,
            },
            subject: AnyRef::from_der(self.subject_name_der)?,
            subject_public_key_info: AnyRef::from_der(self.key.spki_der())?,
            extensions: self.extensions.to_vec(),
        };
        Ok(tbs.to_der()?)
    }
}

/// Signs a TBSCertificate, and returns the certificate.
pub(crate) fn sign(tbs: &[u8], signer: &dyn Signer) -> Result<Vec<u8>, WriteError> {
    let signature_algorithm = signature_algorithm(signer.public_key().kind())?;
    let signature = BitString::from_bytes(&signer.sign_bytes(tbs)?)?;
    let tbs = AnyRef::from_der(tbs)?;
    Ok(SignedCertificate { tbs, signature_algorithm, signature }.to_der()?)
}

/// Checks that the certificate is signed by this key. Nothing else is looked at.
pub(crate) fn verify_signature(
    certificate: &Certificate,
    issuer: &PublicKey,
) -> Result<(), BadSignature> {
    verify_signed(certificate.der(), issuer)
}

/// Checks the signature of anything of the form `SEQUENCE { content, algorithm, signature }`:
/// certificates (RFC 5280 §4.1) and requests (RFC 2986 §4.2).
pub(crate) fn verify_signed(der_bytes: &[u8], key: &PublicKey) -> Result<(), BadSignature> {
    let (content, algorithm, signature) = take_apart(der_bytes).map_err(|_| BadSignature)?;
    let scheme = scheme(&algorithm, key.kind()).ok_or(BadSignature)?;
    key.verify(scheme, Message::Bytes(content), signature)
}

/// Content, algorithm and signature of something signed.
pub(crate) fn take_apart(
    der_bytes: &[u8],
) -> der::Result<(&[u8], AlgorithmIdentifierOwned, &[u8])> {
    let outer = AnyRef::from_der(der_bytes)?;
    outer.tag().assert_eq(Tag::Sequence)?;
    let mut parts = SliceReader::new(outer.value())?;
    let content = parts.tlv_bytes()?;
    let algorithm = AlgorithmIdentifierOwned::decode(&mut parts)?;
    let signature = BitStringRef::decode(&mut parts)?;
    parts.finish()?;
    let signature = signature.as_bytes().ok_or(der::ErrorKind::Value { tag: Tag::BitString })?;
    Ok((content, algorithm, signature))
}

/// The scheme that a signature's algorithm means under a key of this kind: RFC 5758 §3.2 (ECDSA),
/// RFC 4055 §5 (RSA PKCS#1 v1.5), RFC 8410 §3 (Ed25519).
pub(crate) fn scheme(algorithm: &AlgorithmIdentifierOwned, kind: KeyKind) -> Option<Scheme> {
    let is_rsa = matches!(kind, KeyKind::Rsa { .. });
    let hash = match algorithm.oid {
        ECDSA_SHA256 if !is_rsa => HashAlgorithm::Sha256,
        ECDSA_SHA384 if !is_rsa => HashAlgorithm::Sha384,
        ECDSA_SHA512 if !is_rsa => HashAlgorithm::Sha512,
        RSA_SHA256 if is_rsa => HashAlgorithm::Sha256,
        RSA_SHA384 if is_rsa => HashAlgorithm::Sha384,
        RSA_SHA512 if is_rsa => HashAlgorithm::Sha512,
        ED25519 => return (kind == KeyKind::Ed25519).then_some(Scheme::Ed25519),
        _ => return None,
    };
    (kind != KeyKind::Ed25519).then(|| Scheme::for_key_and_hash(kind, hash))
}

/// The algorithm identifier for the default scheme of a key. Ed25519 is refused: sigstore-python
/// does not verify chains with it.
pub(crate) fn signature_algorithm(kind: KeyKind) -> Result<AlgorithmIdentifierOwned, WriteError> {
    let (oid, parameters) = match kind {
        KeyKind::EcdsaP256 => (ECDSA_SHA256, None),
        KeyKind::EcdsaP384 => (ECDSA_SHA384, None),
        KeyKind::EcdsaP521 => (ECDSA_SHA512, None),
        // RFC 4055 §5: the parameters must be NULL.
        KeyKind::Rsa { .. } => (RSA_SHA256, Some(Any::null())),
        KeyKind::Ed25519 => return Err(WriteError::SigningKey { found: kind }),
    };
    Ok(AlgorithmIdentifierOwned { oid, parameters })
}

/// One extension with a value that is DER already.
pub(crate) fn extension(
    extn_id: ObjectIdentifier,
    critical: bool,
    value: impl Into<Box<[u8]>>,
) -> der::Result<Extension> {
    Ok(Extension { extn_id, critical, extn_value: OctetString::new(value)? })
}

/// Extended key usage with one purpose (RFC 5280 §4.2.1.12).
pub(crate) fn extended_key_usage(
    critical: bool,
    purpose: ObjectIdentifier,
) -> der::Result<Extension> {
    extension(EXTENDED_KEY_USAGE, critical, vec![purpose].to_der()?)
}

/// The subject key identifier by method 1 of RFC 5280 §4.2.1.2: SHA-1 of the key's bits.
pub(crate) fn subject_key_id(key: &PublicKey) -> der::Result<Extension> {
    extension(SUBJECT_KEY_ID, false, OctetString::new(key_id(key))?.to_der()?)
}

pub(crate) fn key_id(key: &PublicKey) -> [u8; 20] {
    crypto::hash::sha1_name(&key.raw_bytes())
}

/// The authority key identifier: what the issuer's certificate says is its subject key identifier,
/// else what it would be.
pub(crate) fn authority_key_id(issuer: &Certificate) -> der::Result<Extension> {
    let key_identifier = match issuer.extension(SUBJECT_KEY_ID) {
        Some(value) => OctetString::from_der(value)?,
        None => OctetString::new(key_id(issuer.public_key()))?,
    };
    let value = AuthorityKeyIdentifier {
        key_identifier: Some(key_identifier),
        ..AuthorityKeyIdentifier::default()
    };
    extension(AUTHORITY_KEY_ID, false, value.to_der()?)
}

/// RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on.
fn time(time: UnixTime) -> der::Result<Any> {
    let seconds = u64::try_from(time.seconds()).map_err(|_| der::ErrorKind::DateTime)?;
    let duration = std::time::Duration::from_secs(seconds);
    match UtcTime::from_unix_duration(duration) {
        Ok(time) => Any::encode_from(&time),
        Err(_) => Any::encode_from(&GeneralizedTime::from_unix_duration(duration)?),
    }
}

/// The number of a serial as DER writes it.
pub(crate) fn serial_integer(serial: SerialNumber) -> der::Result<Uint> {
    Uint::new(&serial.0)
}

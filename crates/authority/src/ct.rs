//! Certificate transparency: what a log is told of a pre-certificate, and what it promises.
//!
//! RFC 6962 §3. A promise is verified before it is used.

use std::error::Error;
use std::future::Future;

use crypto::{HashAlgorithm, KeyKind, Message, PublicKey, SignError};
use evidence::UnixTime;
use evidence::certificate::SignedCertificateTimestamp;

/// How far a log's clock may be from ours, in seconds, when its promise is looked at.
pub const SCT_LEEWAY_SECONDS: i64 = 60;

/// A pre-certificate on its way into a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Precertificate {
    /// The whole of it: the poisoned certificate, signed.
    pub der: Vec<u8>,
    /// Its TBSCertificate without the poison, which is what the log commits to.
    pub tbs: Vec<u8>,
    /// SHA-256 of the issuer's SubjectPublicKeyInfo.
    pub issuer_key_hash: [u8; 32],
    /// DER of the certificates from the issuer's to the root.
    pub chain: Vec<Vec<u8>>,
}

/// Why a log did not promise, or its promise is worthless.
#[derive(Debug, thiserror::Error)]
pub enum CtError {
    /// The log could not store the entry.
    #[error("the log did not store the entry")]
    Append(#[source] Box<dyn Error + Send + Sync>),
    /// The log's key did not sign.
    #[error("the log did not sign")]
    Sign(#[from] SignError),
    /// The log's key is of a kind that clients do not take.
    #[error("a certificate log signs with ECDSA or RSA, found {found}")]
    Key {
        /// The key's kind.
        found: KeyKind,
    },
    /// Longer than the format can say.
    #[error("the entry is longer than the format can say")]
    TooLong,
    /// The promise is another log's.
    #[error("the promise is of another log")]
    AnotherLog,
    /// The promise does not verify over this pre-certificate.
    #[error("the promise does not verify over this certificate")]
    BadPromise,
    /// The promise is not of now.
    #[error("the promise is of {found}; it is {now}")]
    Time {
        /// Its time.
        found: UnixTime,
        /// Our time.
        now: UnixTime,
    },
}

/// A log that promises to publish certificates.
pub trait CtLog: Send + Sync {
    /// The key that verifies its promises.
    fn public_key(&self) -> &PublicKey;

    /// Stores the pre-certificate durably and returns the promise.
    ///
    /// # Errors
    /// When it is not stored, or not promised.
    fn submit(
        &self,
        precertificate: &Precertificate,
        now: UnixTime,
    ) -> impl Future<Output = Result<SignedCertificateTimestamp, CtError>> + Send;
}

/// Verifies a promise: by this log, about this pre-certificate, of now.
///
/// # Errors
/// When it is not.
pub fn verify_promise(
    sct: &SignedCertificateTimestamp,
    precertificate: &Precertificate,
    log: &PublicKey,
    now: UnixTime,
) -> Result<(), CtError> {
    if sct.log_id != log.id() {
        return Err(CtError::AnotherLog);
    }
    let signed = sct
        .signed_data(&precertificate.issuer_key_hash, &precertificate.tbs)
        .map_err(|_| CtError::TooLong)?;
    let scheme = crypto::Scheme::for_key_and_hash(log.kind(), sct.hash);
    log.verify(scheme, Message::Bytes(&signed), &sct.signature).map_err(|_| CtError::BadPromise)?;
    let leeway = now.plus_seconds(-SCT_LEEWAY_SECONDS)..=now.plus_seconds(SCT_LEEWAY_SECONDS);
    if leeway.contains(&sct.time) { Ok(()) } else { Err(CtError::Time { found: sct.time, now }) }
}

/// The TLS form of a list of one promise (RFC 6962 §3.3), as a certificate's extension holds it.
/// Exactly one: sigstore-python takes no more.
///
/// # Errors
/// When a part is longer than the format can say.
pub fn promise_list(sct: &SignedCertificateTimestamp, log: &PublicKey) -> Result<Vec<u8>, CtError> {
    let hash = match sct.hash {
        HashAlgorithm::Sha256 => 4,
        HashAlgorithm::Sha384 => 5,
        HashAlgorithm::Sha512 => 6,
    };
    // RFC 5246 §7.4.1.4.1.
    let signature = match log.kind() {
        KeyKind::Rsa { .. } => 1,
        KeyKind::EcdsaP256 | KeyKind::EcdsaP384 | KeyKind::EcdsaP521 => 3,
        found @ KeyKind::Ed25519 => return Err(CtError::Key { found }),
    };
    let milliseconds = u64::try_from(sct.time.milliseconds()).map_err(|_| CtError::TooLong)?;
    let mut entry = vec![0]; // v1
    entry.extend(sct.log_id);
    entry.extend(milliseconds.to_be_bytes());
    entry.extend(vector(&sct.extensions)?);
    entry.extend([hash, signature]);
    entry.extend(vector(&sct.signature)?);
    vector(&vector(&entry)?)
}

/// A TLS vector with a 16-bit length (RFC 5246 §4.3).
fn vector(content: &[u8]) -> Result<Vec<u8>, CtError> {
    let size = u16::try_from(content.len()).map_err(|_| CtError::TooLong)?;
    Ok([&size.to_be_bytes(), content].concat())
}

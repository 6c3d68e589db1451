//! The algorithms that a timestamp names: of its hashes, and of its signature.
//!
//! RFC 5754 (SHA-2), RFC 4055 (RSASSA-PSS), RFC 8419 (Ed25519), RFC 8933 §3.2 (which must agree).

use crypto::{Hash, HashAlgorithm, KeyKind, Scheme};
use der::Sequence;
use der::asn1::{Any, ObjectIdentifier};
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::Timestamp;
use super::error::ParseTimestampError;

const ID_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const ID_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const ID_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

const ID_RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ID_RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const ID_RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const ID_RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const ID_RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ID_ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ID_ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ID_ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A signature algorithm that cannot be used with this key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureAlgorithmError {
    /// An algorithm that is not supported, or whose parameters are not.
    #[error("unsupported signature algorithm {oid}")]
    Unsupported {
        /// The algorithm.
        oid: ObjectIdentifier,
    },
    /// The signature hashes with another algorithm than the token says (RFC 8933 §3.2).
    #[error("the signature uses {signature}, the token's digest algorithm is {digest}")]
    HashMismatch {
        /// Hash algorithm of the signature.
        signature: HashAlgorithm,
        /// The token's digest algorithm.
        digest: HashAlgorithm,
    },
    /// The certificate's key is of another kind.
    #[error("the signature algorithm {oid} does not fit a {kind} key")]
    WrongKey {
        /// The algorithm.
        oid: ObjectIdentifier,
        /// The key's kind.
        kind: KeyKind,
    },
}

/// `RSASSA-PSS-params` (RFC 4055 §3.1).
#[derive(Sequence)]
struct PssParameters {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    hash_algorithm: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    _mask: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    _salt_size: Option<u32>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    _trailer: Option<u8>,
}

impl Timestamp {
    /// The scheme to verify the signature with, under a key of this kind.
    ///
    /// # Errors
    /// When the algorithm is unknown, does not fit the key, or hashes with another algorithm than
    /// the token does.
    pub fn scheme(&self, kind: KeyKind) -> Result<Scheme, SignatureAlgorithmError> {
        let oid = self.signature_algorithm.oid;
        let digest = self.digest_algorithm;
        let unsupported = SignatureAlgorithmError::Unsupported { oid };
        let (is_rsa, hash) = match oid {
            ID_RSA_ENCRYPTION => (true, digest),
            ID_RSA_SHA256 => (true, HashAlgorithm::Sha256),
            ID_RSA_SHA384 => (true, HashAlgorithm::Sha384),
            ID_RSA_SHA512 => (true, HashAlgorithm::Sha512),
            ID_RSA_PSS => (true, self.pss_hash().ok_or(unsupported)?),
            ID_ECDSA_SHA256 => (false, HashAlgorithm::Sha256),
            ID_ECDSA_SHA384 => (false, HashAlgorithm::Sha384),
            ID_ECDSA_SHA512 => (false, HashAlgorithm::Sha512),
            // RFC 8419 §3.1: with signed attributes, SHA-512 hashes the content.
            ID_ED25519 => (false, HashAlgorithm::Sha512),
            _ => return Err(unsupported),
        };
        if hash != digest {
            return Err(SignatureAlgorithmError::HashMismatch { signature: hash, digest });
        }
        let fits = match kind {
            KeyKind::Rsa { .. } => is_rsa,
            KeyKind::Ed25519 => oid == ID_ED25519,
            KeyKind::EcdsaP256 | KeyKind::EcdsaP384 | KeyKind::EcdsaP521 => {
                !is_rsa && oid != ID_ED25519
            }
        };
        if !fits {
            return Err(SignatureAlgorithmError::WrongKey { oid, kind });
        }
        Ok(match (oid, hash) {
            (ID_RSA_PSS, HashAlgorithm::Sha256) => Scheme::RsaPssSha256,
            (ID_RSA_PSS, HashAlgorithm::Sha384) => Scheme::RsaPssSha384,
            (ID_RSA_PSS, HashAlgorithm::Sha512) => Scheme::RsaPssSha512,
            _ => Scheme::for_key_and_hash(kind, hash),
        })
    }

    /// The hash of `RSASSA-PSS-params` (RFC 4055 §3.1), whose absence would mean SHA-1. The mask's
    /// hash and the salt's length need no look: if they are not the usual, nothing verifies.
    fn pss_hash(&self) -> Option<HashAlgorithm> {
        let parameters: PssParameters =
            self.signature_algorithm.parameters.as_ref()?.decode_as().ok()?;
        hash_algorithm("the signature", &parameters.hash_algorithm?).ok()
    }
}

/// The algorithm that an identifier of a hash names; its parameters must be absent or NULL
/// (RFC 5754 §2).
///
/// # Errors
/// When it is not SHA-256, SHA-384 or SHA-512. `part` is what the error says is hashed with it.
pub fn hash_algorithm(
    part: &'static str,
    identifier: &AlgorithmIdentifierOwned,
) -> Result<HashAlgorithm, ParseTimestampError> {
    let oid = identifier.oid;
    let bare = identifier.parameters.as_ref().is_none_or(|parameters| *parameters == Any::null());
    match oid {
        ID_SHA256 if bare => Ok(HashAlgorithm::Sha256),
        ID_SHA384 if bare => Ok(HashAlgorithm::Sha384),
        ID_SHA512 if bare => Ok(HashAlgorithm::Sha512),
        _ => Err(ParseTimestampError::UnsupportedHash { part, oid }),
    }
}

/// The identifier of a hash algorithm, without parameters (RFC 5754 §2: they should be absent).
#[must_use]
pub fn hash_algorithm_identifier(algorithm: HashAlgorithm) -> AlgorithmIdentifierOwned {
    let oid = match algorithm {
        HashAlgorithm::Sha256 => ID_SHA256,
        HashAlgorithm::Sha384 => ID_SHA384,
        HashAlgorithm::Sha512 => ID_SHA512,
    };
    AlgorithmIdentifierOwned { oid, parameters: None }
}

/// A hash with the algorithm that an identifier names.
///
/// # Errors
/// When the algorithm is not supported, or the length is not its hashes' length.
pub fn hash_value(
    part: &'static str,
    identifier: &AlgorithmIdentifierOwned,
    value: &[u8],
) -> Result<Hash, ParseTimestampError> {
    let algorithm = hash_algorithm(part, identifier)?;
    Hash::from_bytes(algorithm, value).ok_or(ParseTimestampError::HashLength {
        part,
        algorithm,
        found: value.len(),
    })
}

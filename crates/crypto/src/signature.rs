//! Signature schemes, and what can be signed: bytes, or a hash of bytes made elsewhere.

use aws_lc_rs::signature as backend;
use rustls_pki_types::SignatureVerificationAlgorithm;

use crate::hash::{Hash, HashAlgorithm};
use crate::kind::KeyKind;

/// A signature scheme: a kind of key, a hash and an encoding.
///
/// ECDSA signatures are DER (RFC 3279 §2.2.3) unless the name says `Fixed` (RFC 7518 §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256Sha256,
    /// ECDSA on P-256 with SHA-384.
    EcdsaP256Sha384,
    /// ECDSA on P-256 with SHA-512.
    EcdsaP256Sha512,
    /// ECDSA on P-384 with SHA-256.
    EcdsaP384Sha256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384Sha384,
    /// ECDSA on P-384 with SHA-512.
    EcdsaP384Sha512,
    /// ECDSA on P-521 with SHA-256.
    EcdsaP521Sha256,
    /// ECDSA on P-521 with SHA-384.
    EcdsaP521Sha384,
    /// ECDSA on P-521 with SHA-512.
    EcdsaP521Sha512,
    /// RSA PKCS#1 v1.5 with SHA-256.
    RsaPkcs1Sha256,
    /// RSA PKCS#1 v1.5 with SHA-384.
    RsaPkcs1Sha384,
    /// RSA PKCS#1 v1.5 with SHA-512.
    RsaPkcs1Sha512,
    /// RSA-PSS with SHA-256.
    RsaPssSha256,
    /// RSA-PSS with SHA-384.
    RsaPssSha384,
    /// RSA-PSS with SHA-512.
    RsaPssSha512,
    /// Pure Ed25519 (RFC 8032): signs bytes only, never a hash of them.
    Ed25519,
    /// Ed25519ph (RFC 8032 §5.1) over SHA-512, with an empty context.
    Ed25519ph,
    /// ECDSA on P-256 with SHA-256, `r ‖ s`: JWS `ES256`.
    EcdsaP256Sha256Fixed,
    /// ECDSA on P-384 with SHA-384, `r ‖ s`: JWS `ES384`.
    EcdsaP384Sha384Fixed,
}

impl Scheme {
    /// The hash that the scheme signs, or `None` for pure Ed25519, which signs the message itself.
    #[must_use]
    pub fn hash(self) -> Option<HashAlgorithm> {
        match self {
            Self::EcdsaP256Sha256
            | Self::EcdsaP384Sha256
            | Self::EcdsaP521Sha256
            | Self::RsaPkcs1Sha256
            | Self::RsaPssSha256
            | Self::EcdsaP256Sha256Fixed => Some(HashAlgorithm::Sha256),
            Self::EcdsaP256Sha384
            | Self::EcdsaP384Sha384
            | Self::EcdsaP521Sha384
            | Self::RsaPkcs1Sha384
            | Self::RsaPssSha384
            | Self::EcdsaP384Sha384Fixed => Some(HashAlgorithm::Sha384),
            Self::EcdsaP256Sha512
            | Self::EcdsaP384Sha512
            | Self::EcdsaP521Sha512
            | Self::RsaPkcs1Sha512
            | Self::RsaPssSha512
            | Self::Ed25519ph => Some(HashAlgorithm::Sha512),
            Self::Ed25519 => None,
        }
    }

    /// Whether a key of this kind can be used with the scheme at all.
    #[must_use]
    pub fn fits(self, kind: KeyKind) -> bool {
        match self {
            Self::EcdsaP256Sha256
            | Self::EcdsaP256Sha384
            | Self::EcdsaP256Sha512
            | Self::EcdsaP256Sha256Fixed => kind == KeyKind::EcdsaP256,
            Self::EcdsaP384Sha256
            | Self::EcdsaP384Sha384
            | Self::EcdsaP384Sha512
            | Self::EcdsaP384Sha384Fixed => kind == KeyKind::EcdsaP384,
            Self::EcdsaP521Sha256 | Self::EcdsaP521Sha384 | Self::EcdsaP521Sha512 => {
                kind == KeyKind::EcdsaP521
            }
            Self::RsaPkcs1Sha256
            | Self::RsaPkcs1Sha384
            | Self::RsaPkcs1Sha512
            | Self::RsaPssSha256
            | Self::RsaPssSha384
            | Self::RsaPssSha512 => matches!(kind, KeyKind::Rsa { .. }),
            Self::Ed25519 | Self::Ed25519ph => kind == KeyKind::Ed25519,
        }
    }

    /// The scheme for a kind of key and the hash its signature names, as X.509 and CMS pair them.
    /// RSA means PKCS#1 v1.5; Ed25519 means pure Ed25519 whatever the hash.
    #[must_use]
    pub fn for_key_and_hash(kind: KeyKind, hash: HashAlgorithm) -> Self {
        match (kind, hash) {
            (KeyKind::EcdsaP256, HashAlgorithm::Sha256) => Self::EcdsaP256Sha256,
            (KeyKind::EcdsaP256, HashAlgorithm::Sha384) => Self::EcdsaP256Sha384,
            (KeyKind::EcdsaP256, HashAlgorithm::Sha512) => Self::EcdsaP256Sha512,
            (KeyKind::EcdsaP384, HashAlgorithm::Sha256) => Self::EcdsaP384Sha256,
            (KeyKind::EcdsaP384, HashAlgorithm::Sha384) => Self::EcdsaP384Sha384,
            (KeyKind::EcdsaP384, HashAlgorithm::Sha512) => Self::EcdsaP384Sha512,
            (KeyKind::EcdsaP521, HashAlgorithm::Sha256) => Self::EcdsaP521Sha256,
            (KeyKind::EcdsaP521, HashAlgorithm::Sha384) => Self::EcdsaP521Sha384,
            (KeyKind::EcdsaP521, HashAlgorithm::Sha512) => Self::EcdsaP521Sha512,
            (KeyKind::Rsa { .. }, HashAlgorithm::Sha256) => Self::RsaPkcs1Sha256,
            (KeyKind::Rsa { .. }, HashAlgorithm::Sha384) => Self::RsaPkcs1Sha384,
            (KeyKind::Rsa { .. }, HashAlgorithm::Sha512) => Self::RsaPkcs1Sha512,
            (KeyKind::Ed25519, _) => Self::Ed25519,
        }
    }

    /// The backend's verifier; `None` for Ed25519ph, which the backend does not offer.
    pub(crate) fn backend(self) -> Option<&'static dyn backend::VerificationAlgorithm> {
        Some(match self {
            Self::EcdsaP256Sha256 => &backend::ECDSA_P256_SHA256_ASN1,
            Self::EcdsaP256Sha384 => &backend::ECDSA_P256_SHA384_ASN1,
            Self::EcdsaP256Sha512 => &backend::ECDSA_P256_SHA512_ASN1,
            Self::EcdsaP384Sha256 => &backend::ECDSA_P384_SHA256_ASN1,
            Self::EcdsaP384Sha384 => &backend::ECDSA_P384_SHA384_ASN1,
            Self::EcdsaP384Sha512 => &backend::ECDSA_P384_SHA512_ASN1,
            Self::EcdsaP521Sha256 => &backend::ECDSA_P521_SHA256_ASN1,
            Self::EcdsaP521Sha384 => &backend::ECDSA_P521_SHA384_ASN1,
            Self::EcdsaP521Sha512 => &backend::ECDSA_P521_SHA512_ASN1,
            Self::RsaPkcs1Sha256 => &backend::RSA_PKCS1_2048_8192_SHA256,
            Self::RsaPkcs1Sha384 => &backend::RSA_PKCS1_2048_8192_SHA384,
            Self::RsaPkcs1Sha512 => &backend::RSA_PKCS1_2048_8192_SHA512,
            Self::RsaPssSha256 => &backend::RSA_PSS_2048_8192_SHA256,
            Self::RsaPssSha384 => &backend::RSA_PSS_2048_8192_SHA384,
            Self::RsaPssSha512 => &backend::RSA_PSS_2048_8192_SHA512,
            Self::Ed25519 => &backend::ED25519,
            Self::Ed25519ph => return None,
            Self::EcdsaP256Sha256Fixed => &backend::ECDSA_P256_SHA256_FIXED,
            Self::EcdsaP384Sha384Fixed => &backend::ECDSA_P384_SHA384_FIXED,
        })
    }
}

/// What a signature is over.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    /// The signed bytes.
    Bytes(&'a [u8]),
    /// A hash of the signed bytes, for those who have the digest but not the file.
    Hashed(&'a Hash),
}

/// A signature does not verify. Why is not told, by design: there is nothing safe to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// The algorithms with which certificate chains may be signed.
pub static CHAIN_ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    webpki::aws_lc_rs::ECDSA_P256_SHA256,
    webpki::aws_lc_rs::ECDSA_P256_SHA384,
    webpki::aws_lc_rs::ECDSA_P384_SHA256,
    webpki::aws_lc_rs::ECDSA_P384_SHA384,
    webpki::aws_lc_rs::ECDSA_P521_SHA256,
    webpki::aws_lc_rs::ECDSA_P521_SHA384,
    webpki::aws_lc_rs::ECDSA_P521_SHA512,
    webpki::aws_lc_rs::ED25519,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA384,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA512,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

//! The names under which Sigstore's formats state a key's algorithm (`PublicKeyDetails`).
//!
//! Sigstore protobuf-specs, `sigstore_common.proto`, and the algorithm registry of the Sigstore
//! architecture documents. Algorithms that no supported backend has are not listed.

use crypto::{KeyKind, ParseKeyError, PublicKey, Scheme};

/// How the bytes of a key are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Pkix,
    Pkcs1,
}

/// A row of the registry: protobuf name and number, scheme, RSA size if fixed, and encoding.
struct Row(&'static str, u64, Scheme, Option<u32>, Encoding);

const ROWS: &[Row] = &[
    Row("PKCS1_RSA_PKCS1V5", 1, Scheme::RsaPkcs1Sha256, None, Encoding::Pkcs1),
    Row("PKCS1_RSA_PSS", 2, Scheme::RsaPssSha256, None, Encoding::Pkcs1),
    Row("PKIX_RSA_PKCS1V5", 3, Scheme::RsaPkcs1Sha256, None, Encoding::Pkix),
    Row("PKIX_RSA_PSS", 4, Scheme::RsaPssSha256, None, Encoding::Pkix),
    Row("PKIX_ECDSA_P256_SHA_256", 5, Scheme::EcdsaP256Sha256, None, Encoding::Pkix),
    Row("PKIX_ED25519", 7, Scheme::Ed25519, None, Encoding::Pkix),
    Row("PKIX_ED25519_PH", 8, Scheme::Ed25519ph, None, Encoding::Pkix),
    Row("PKIX_RSA_PKCS1V15_2048_SHA256", 9, Scheme::RsaPkcs1Sha256, Some(2048), Encoding::Pkix),
    Row("PKIX_RSA_PKCS1V15_3072_SHA256", 10, Scheme::RsaPkcs1Sha256, Some(3072), Encoding::Pkix),
    Row("PKIX_RSA_PKCS1V15_4096_SHA256", 11, Scheme::RsaPkcs1Sha256, Some(4096), Encoding::Pkix),
    Row("PKIX_ECDSA_P384_SHA_384", 12, Scheme::EcdsaP384Sha384, None, Encoding::Pkix),
    Row("PKIX_ECDSA_P521_SHA_512", 13, Scheme::EcdsaP521Sha512, None, Encoding::Pkix),
    Row("PKIX_RSA_PSS_2048_SHA256", 16, Scheme::RsaPssSha256, Some(2048), Encoding::Pkix),
    Row("PKIX_RSA_PSS_3072_SHA256", 17, Scheme::RsaPssSha256, Some(3072), Encoding::Pkix),
    Row("PKIX_RSA_PSS_4096_SHA256", 18, Scheme::RsaPssSha256, Some(4096), Encoding::Pkix),
    Row("PKIX_ECDSA_P384_SHA_256", 19, Scheme::EcdsaP384Sha256, None, Encoding::Pkix),
    Row("PKIX_ECDSA_P521_SHA_256", 20, Scheme::EcdsaP521Sha256, None, Encoding::Pkix),
];

/// Why a key and the details stated for it do not make a usable key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyDetailsError {
    /// Details of an algorithm that is not supported, or no details.
    #[error("unsupported key details `{found}`")]
    Unsupported {
        /// The name or number found, cut to 64 characters.
        found: String,
    },
    /// The key's bytes do not parse.
    #[error("the key does not parse")]
    Key(#[from] ParseKeyError),
    /// The key is of another kind than the details say.
    #[error("the details say {details}, but the key is {found}")]
    Mismatch {
        /// The details stated.
        details: KeyDetails,
        /// The kind of key found.
        found: KeyKind,
    },
}

/// The stated algorithm of a key: one of the registry's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyDetails(usize);

impl KeyDetails {
    /// Reads protobuf's name or number.
    ///
    /// # Errors
    /// When the registry has no such row, or the algorithm is not supported.
    pub fn parse(text: &str) -> Result<Self, KeyDetailsError> {
        let number = text.parse::<u64>().ok();
        ROWS.iter()
            .position(|row| row.0 == text || Some(row.1) == number)
            .map(Self)
            .ok_or_else(|| KeyDetailsError::Unsupported { found: text.chars().take(64).collect() })
    }

    /// The details that describe a key signing with its usual scheme; Ed25519 keys that sign log
    /// entries use Ed25519ph, which has details of its own.
    #[must_use]
    pub fn of(key: &PublicKey, scheme: Scheme) -> Option<Self> {
        let bits = match key.kind() {
            KeyKind::Rsa { bits } => Some(bits),
            _ => None,
        };
        let exact = |row: &Row| {
            row.2 == scheme && row.3 == bits && row.4 == Encoding::Pkix && scheme.fits(key.kind())
        };
        ROWS.iter().position(exact).map(Self)
    }

    /// Protobuf's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        ROWS[self.0].0
    }

    /// The scheme with which the key verifies.
    #[must_use]
    pub fn scheme(self) -> Scheme {
        ROWS[self.0].2
    }

    /// Parses the key's bytes in the encoding that the details state.
    ///
    /// # Errors
    /// When the bytes do not parse, or are a key of another kind or size.
    pub fn parse_key(self, bytes: &[u8]) -> Result<PublicKey, KeyDetailsError> {
        let Row(_, _, scheme, bits, encoding) = &ROWS[self.0];
        let key = match encoding {
            Encoding::Pkix => PublicKey::from_spki_der(bytes)?,
            Encoding::Pkcs1 => PublicKey::from_pkcs1_der(bytes)?,
        };
        let size_fits = match (key.kind(), bits) {
            (KeyKind::Rsa { bits: found }, Some(wanted)) => found == *wanted,
            _ => true,
        };
        if scheme.fits(key.kind()) && size_fits {
            Ok(key)
        } else {
            Err(KeyDetailsError::Mismatch { details: self, found: key.kind() })
        }
    }
}

impl std::fmt::Display for KeyDetails {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

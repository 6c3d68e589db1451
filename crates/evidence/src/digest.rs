//! Digests as OCI and in-toto write them: an algorithm, a colon, lower-case hexadecimal.
//!
//! OCI image specification v1.1, "Digests".

use std::fmt;
use std::str::FromStr;

use crypto::{Hash, HashAlgorithm};

/// A digest in a registered algorithm. Equal only if the algorithm is equal too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(Hash);

/// Why text is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseDigestError {
    /// No colon between algorithm and value.
    #[error("wanted `algorithm:hexadecimal`, found no colon")]
    NoColon,
    /// An algorithm that is not supported.
    #[error("wanted sha256, sha384 or sha512, found `{found}`")]
    UnknownAlgorithm {
        /// The name found, cut to 32 characters.
        found: String,
    },
    /// The value is not the algorithm's number of lower-case hexadecimal digits.
    #[error("wanted {wanted} lower-case hexadecimal digits after `{algorithm}:`, found {found}")]
    BadValue {
        /// The algorithm named.
        algorithm: HashAlgorithm,
        /// Number of digits its hashes have.
        wanted: usize,
        /// What stands there.
        found: &'static str,
    },
}

impl Digest {
    /// The SHA-256 digest of `data`.
    #[must_use]
    pub fn sha256(data: &[u8]) -> Self {
        Self(Hash::of(HashAlgorithm::Sha256, data))
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> HashAlgorithm {
        self.0.algorithm()
    }

    /// The hash value.
    #[must_use]
    pub fn hash(&self) -> &Hash {
        &self.0
    }

    /// The value in lower-case hexadecimal.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.0.as_bytes())
    }

    /// A digest of that algorithm from hexadecimal; upper case is refused.
    ///
    /// # Errors
    /// When `value` is not the algorithm's number of lower-case hexadecimal digits.
    pub fn from_hex(algorithm: HashAlgorithm, value: &str) -> Result<Self, ParseDigestError> {
        let bad =
            |found| ParseDigestError::BadValue { algorithm, wanted: 2 * algorithm.size(), found };
        if value.len() != 2 * algorithm.size() {
            return Err(bad("another length"));
        }
        if !value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(bad("other characters"));
        }
        let bytes = hex::decode(value).map_err(|_| bad("other characters"))?;
        Hash::from_bytes(algorithm, &bytes).map(Self).ok_or_else(|| bad("another length"))
    }
}

impl From<Hash> for Digest {
    fn from(hash: Hash) -> Self {
        Self(hash)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once(':').ok_or(ParseDigestError::NoColon)?;
        let algorithm = HashAlgorithm::from_name(name).ok_or_else(|| {
            ParseDigestError::UnknownAlgorithm { found: name.chars().take(32).collect() }
        })?;
        Self::from_hex(algorithm, value)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

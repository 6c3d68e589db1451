//! The SHA-2 hashes that Sigstore formats name, at once or as a stream.
//!
//! MD5 is deliberately absent, and SHA-1 serves only as a name ([`sha1_name`]): what is hashed with
//! them proves nothing.

use std::fmt;

use aws_lc_rs::digest;

/// A hash algorithm (FIPS 180-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HashAlgorithm {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl HashAlgorithm {
    /// Every algorithm known here.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The lower-case name that OCI, in-toto and Rekor v1 use, e.g. `sha256`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The algorithm of that lower-case name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Length of the hash in bytes.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    pub(crate) fn backend(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A hash value together with the algorithm that made it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash {
    algorithm: HashAlgorithm,
    /// Only the first `algorithm.size()` bytes count; the rest stays zero.
    bytes: [u8; 64],
}

impl Hash {
    /// Hashes `data` at once.
    #[must_use]
    pub fn of(algorithm: HashAlgorithm, data: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(data);
        hasher.finish()
    }

    /// Takes a hash computed elsewhere; `None` if its length is not the algorithm's.
    #[must_use]
    pub fn from_bytes(algorithm: HashAlgorithm, value: &[u8]) -> Option<Self> {
        let mut bytes = [0; 64];
        (value.len() == algorithm.size()).then(|| {
            bytes[..value.len()].copy_from_slice(value);
            Self { algorithm, bytes }
        })
    }

    /// The algorithm that made it.
    #[must_use]
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The hash itself, `algorithm().size()` bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.size()]
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.algorithm)?;
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A hash over data that arrives in pieces.
#[derive(Clone)]
pub struct Hasher {
    algorithm: HashAlgorithm,
    context: digest::Context,
}

impl Hasher {
    /// Starts an empty hash.
    #[must_use]
    pub fn new(algorithm: HashAlgorithm) -> Self {
        Self { algorithm, context: digest::Context::new(algorithm.backend()) }
    }

    /// Adds the next piece.
    pub fn update(&mut self, data: &[u8]) {
        self.context.update(data);
    }

    /// The hash of everything added.
    #[must_use]
    pub fn finish(self) -> Hash {
        let value = self.context.finish();
        Hash::from_bytes(self.algorithm, value.as_ref())
            .expect("the backend returns the algorithm's length")
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hasher({})", self.algorithm)
    }
}

/// SHA-256 of `data`.
#[must_use]
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let value = digest::digest(&digest::SHA256, data);
    value.as_ref().try_into().expect("SHA-256 is 32 bytes")
}

/// SHA-1 of `data`, for the formats that use it as a mere *name*: the subject key identifier
/// (RFC 5280 §4.2.1.2) and the certificate hash of `ESSCertID` (RFC 5035 §5).
///
/// Nothing may be believed because of it.
#[must_use]
pub fn sha1_name(data: &[u8]) -> [u8; 20] {
    let value = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, data);
    value.as_ref().try_into().expect("SHA-1 is 20 bytes")
}

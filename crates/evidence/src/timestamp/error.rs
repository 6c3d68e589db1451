//! Why bytes are no timestamp.

use crypto::HashAlgorithm;
use der::asn1::ObjectIdentifier;

use super::TIMESTAMP_SIZE_MAX;
use super::tsp::PkiFailure;

/// Why bytes are no timestamp that can be used here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTimestampError {
    /// More bytes than are read.
    #[error("a timestamp of {found} bytes is longer than the {TIMESTAMP_SIZE_MAX} read")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// A part is not the DER of what stands there.
    #[error("{part} is not DER: {source}")]
    Der {
        /// The part, in the specification's words.
        part: &'static str,
        /// What the decoder said.
        source: der::Error,
    },
    /// The response carries a refusal instead of a token.
    #[error("wanted a response with status 0 (granted), found status {status}, {failure:?}")]
    NotGranted {
        /// The `PKIStatus` found.
        status: u8,
        /// The first `PKIFailureInfo` bit.
        failure: Option<PkiFailure>,
    },
    /// Status granted, and no token.
    #[error("the response has no token")]
    NoToken,
    /// A part says that it is of another type.
    #[error("wanted {part} to be {wanted}, found {found}")]
    WrongType {
        /// The part.
        part: &'static str,
        /// The object identifier that belongs there.
        wanted: ObjectIdentifier,
        /// The one that stands there.
        found: ObjectIdentifier,
    },
    /// A structure of another version.
    #[error("wanted {part} of version {wanted}, found {found}")]
    Version {
        /// The structure.
        part: &'static str,
        /// The version that its content demands.
        wanted: u8,
        /// The version it says.
        found: u8,
    },
    /// Something that must be there is not.
    #[error("{part} is missing")]
    Missing {
        /// The part.
        part: &'static str,
    },
    /// Not exactly one signer (RFC 3161 §2.4.2).
    #[error("wanted exactly one signer")]
    NotOneSigner,
    /// More than is read of something.
    #[error("more than {max} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// An attribute twice, or not with exactly one value (RFC 5652 §11).
    #[error("the signed attribute {oid} does not stand once with one value")]
    AmbiguousAttribute {
        /// The attribute.
        oid: ObjectIdentifier,
    },
    /// A hash algorithm that proves nothing, or is unknown.
    #[error("{part} uses the hash algorithm {oid}; wanted SHA-256, SHA-384 or SHA-512")]
    UnsupportedHash {
        /// What is hashed with it.
        part: &'static str,
        /// The algorithm.
        oid: ObjectIdentifier,
    },
    /// A hash that is not as long as its algorithm's hashes.
    #[error("{part} has {found} bytes, which is not the length of a {algorithm} hash")]
    HashLength {
        /// What the hash is of.
        part: &'static str,
        /// The algorithm.
        algorithm: HashAlgorithm,
        /// The length found, in bytes.
        found: usize,
    },
    /// A number out of the range the specification gives.
    #[error("{part} is out of range")]
    OutOfRange {
        /// The number.
        part: &'static str,
    },
    /// A critical extension that is not understood (RFC 5280 §4.2).
    #[error("the critical extension {oid} is not understood")]
    CriticalExtension {
        /// The extension.
        oid: ObjectIdentifier,
    },
    /// Among the certificates stands something that is no X.509 certificate.
    #[error("the certificates contain something that is no X.509 certificate")]
    NotACertificate,
}

//! Sigstore bundles v0.1, v0.2 and v0.3: one signature with everything needed to verify it.
//!
//! Sigstore bundle specification and `sigstore_bundle.proto`. What the versions demand of a log entry
//! (v0.1 an inclusion promise, later ones an inclusion proof) is enforced here, because a bundle
//! without it is not a bundle; whether it *holds* is `verify`'s question, and so is whether a v0.3
//! bundle may bring a chain of certificates along, which its specification forbids and Cosign takes on
//! request.

pub(crate) mod wire;

use crypto::HashAlgorithm;

use crate::certificate::{Certificate, ParseCertificateError, SignedCertificateTimestamp};
use crate::digest::Digest;
use crate::entry::{LogEntry, ParseEntryError};
use crate::envelope::Envelope;
use crate::json;
use crate::proto_json::Bounded;

/// Longest bundle read, in bytes. Attestations hold whole SBOMs, twice as large in base64.
pub const BUNDLE_SIZE_MAX: usize = 32 * 1024 * 1024;
/// Most log entries read on one bundle (sigstore-go's limit since CVE-2024-45395).
pub const ENTRIES_MAX: usize = 32;
/// Most timestamps read on one bundle (the same).
pub const TIMESTAMPS_MAX: usize = 32;
/// Most certificates read in a chain (Rekor's limit).
pub const CHAIN_MAX: usize = 10;

/// Media type of a v0.3 bundle, as registries and signers write it.
pub const MEDIA_TYPE_V0_3: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// One signature or attestation with its signer, its log entries and its timestamps, in whatever
/// format it came. A claim: nothing in it has been verified.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The format it came in.
    pub format: Format,
    /// Who is said to have signed.
    pub signer: SignerMaterial,
    /// The authorities above the signer that came along, issuing one first and roots left out, where
    /// its certificate came in a chain.
    pub chain: Option<Vec<Certificate>>,
    /// Promises of CT logs that came beside the signer's certificate, and are not in it.
    pub certificate_timestamps: Vec<SignedCertificateTimestamp>,
    /// The hash that the signature is said to be over, where somebody knows better than what its key
    /// suggests.
    pub signature_hash: Option<HashAlgorithm>,
    /// Entries said to record the signature.
    pub entries: Vec<LogEntry>,
    /// RFC 3161 timestamps over the signature, unparsed.
    pub timestamps: Vec<Vec<u8>>,
    /// What is signed.
    pub content: Content,
}

/// The format that evidence came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Bundle v0.1: every log entry carries the log's promise.
    BundleV0_1,
    /// Bundle v0.2: every log entry carries an inclusion proof.
    BundleV0_2,
    /// Bundle v0.3: as v0.2, and should hold a single certificate.
    BundleV0_3,
    /// A layer of Cosign's signature tag: a simple signing payload with annotations.
    CosignSignature,
    /// A layer of Cosign's attestation tag: an envelope with annotations.
    CosignAttestation,
    /// Cosign's bundle for blobs before v3, or the files that stood for one.
    CosignBlob,
}

/// Who is said to have signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignerMaterial {
    /// The holder of the key in this certificate.
    Certificate(Box<Certificate>),
    /// The holder of a key that the verifier has; the hint, unsigned, says which.
    PublicKeyHint(String),
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// An artifact's bytes.
    Message {
        /// The artifact's digest: a hint for consistency, unsigned.
        digest: Option<Digest>,
        /// The signature over the artifact.
        signature: Vec<u8>,
    },
    /// An envelope with its payload.
    Envelope(Envelope),
    /// A simple signing payload, which names an image.
    SimpleSigning {
        /// The payload, exactly as signed.
        payload: Vec<u8>,
        /// The signature over the payload.
        signature: Vec<u8>,
    },
}

/// Why bytes are no bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseBundleError {
    /// Longer than [`BUNDLE_SIZE_MAX`].
    #[error("a bundle of {found} bytes is longer than the {BUNDLE_SIZE_MAX} read")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// Not JSON of the right shape.
    #[error("not a Sigstore bundle: {0}")]
    Json(String),
    /// A media type that is no supported version.
    #[error("wanted a Sigstore bundle v0.1, v0.2 or v0.3, found media type `{found}`")]
    UnknownMediaType {
        /// The media type found, cut to 128 characters.
        found: String,
    },
    /// A required part is missing.
    #[error("the bundle has no {part}")]
    Missing {
        /// Which one.
        part: &'static str,
    },
    /// Two parts that exclude each other.
    #[error("the bundle has both {first} and {second}; only one of them may be there")]
    Ambiguous {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// More than is read.
    #[error("the bundle has {found} {part}, more than the {max} read")]
    TooMany {
        /// Of what.
        part: &'static str,
        /// How many.
        found: usize,
        /// The most read.
        max: usize,
    },
    /// A root certificate among the signer's certificates: trust comes from the trust root only.
    #[error("the certificate chain contains a root certificate")]
    RootInChain,
    /// A certificate that does not parse.
    #[error("certificate {index} of the bundle")]
    Certificate {
        /// Position in the chain, counted from 0.
        index: usize,
        /// What is wrong.
        source: ParseCertificateError,
    },
    /// A log entry that does not parse.
    #[error("log entry {index} of the bundle")]
    Entry {
        /// Position, counted from 0.
        index: usize,
        /// What is wrong.
        source: ParseEntryError,
    },
    /// A digest of an unknown algorithm or a wrong length.
    #[error("the message digest is not a digest")]
    BadMessageDigest,
    /// Not exactly one signature on the envelope.
    #[error("wanted exactly one signature on the envelope, found {found}")]
    EnvelopeSignatures {
        /// How many.
        found: usize,
    },
    /// A signature of no bytes.
    #[error("the signature is empty")]
    EmptySignature,
    /// A claim about an image that is no statement in an envelope.
    #[error("a simple signing payload cannot be put into a bundle, which wants a statement")]
    SimpleSigning,
}

impl Evidence {
    /// Parses a bundle's JSON.
    ///
    /// # Errors
    /// When it is too long, malformed, of an unknown version, or lacks what its version demands.
    pub fn from_bundle(json: &[u8]) -> Result<Self, ParseBundleError> {
        if json.len() > BUNDLE_SIZE_MAX {
            return Err(ParseBundleError::TooLong { found: json.len() });
        }
        let bundle: wire::Bundle = json::parse(json).map_err(ParseBundleError::Json)?;
        bundle.parse()
    }

    /// The bundle's JSON in version 0.3. A v0.1 or v0.2 signature becomes v0.3 only if its log
    /// entries carry inclusion proofs with checkpoints.
    ///
    /// # Errors
    /// [`ParseBundleError::Missing`] when an entry has no inclusion proof with a checkpoint.
    pub fn to_bundle_v0_3(&self) -> Result<Vec<u8>, ParseBundleError> {
        let bundle = wire::Bundle::of(self)?;
        Ok(serde_json::to_vec(&bundle).expect("a bundle has only text, so it always serialises"))
    }

    /// The signature's bytes.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        match &self.content {
            Content::Message { signature, .. } => signature,
            Content::Envelope(envelope) => &envelope.signature,
            Content::SimpleSigning { signature, .. } => signature,
        }
    }

    /// What a timestamp of the signature may be over: the signature, or the stored envelope that
    /// holds it, which Cosign 2 had stamped. Either shows that the signature was there.
    pub fn stamped(&self) -> impl Iterator<Item = &[u8]> {
        let document = match &self.content {
            Content::Envelope(envelope) => envelope.document.as_deref(),
            Content::Message { .. } | Content::SimpleSigning { .. } => None,
        };
        std::iter::once(self.signature()).chain(document)
    }
}

impl Format {
    /// Whether an entry may come with the log's promise alone, without a proof of inclusion.
    #[must_use]
    pub fn takes_promise_alone(self) -> bool {
        match self {
            Self::BundleV0_1
            | Self::CosignSignature
            | Self::CosignAttestation
            | Self::CosignBlob => true,
            Self::BundleV0_2 | Self::BundleV0_3 => false,
        }
    }

    /// Whether it is one of those that Cosign wrote before bundles.
    #[must_use]
    pub fn is_cosigns(self) -> bool {
        match self {
            Self::CosignSignature | Self::CosignAttestation | Self::CosignBlob => true,
            Self::BundleV0_1 | Self::BundleV0_2 | Self::BundleV0_3 => false,
        }
    }

    fn from_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            "application/vnd.dev.sigstore.bundle+json;version=0.1" => Some(Self::BundleV0_1),
            "application/vnd.dev.sigstore.bundle+json;version=0.2" => Some(Self::BundleV0_2),
            "application/vnd.dev.sigstore.bundle+json;version=0.3" | MEDIA_TYPE_V0_3 => {
                Some(Self::BundleV0_3)
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::BundleV0_1 => "Sigstore bundle v0.1",
            Self::BundleV0_2 => "Sigstore bundle v0.2",
            Self::BundleV0_3 => "Sigstore bundle v0.3",
            Self::CosignSignature => "Cosign signature layer",
            Self::CosignAttestation => "Cosign attestation layer",
            Self::CosignBlob => "Cosign blob signature",
        })
    }
}

fn within_bound<T, const MAX: usize>(
    part: &'static str,
    list: Bounded<T, MAX>,
) -> Result<Vec<T>, ParseBundleError> {
    list.within_bound().map_err(|found| ParseBundleError::TooMany { part, found, max: MAX })
}

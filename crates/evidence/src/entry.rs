//! Log entries as bundles and logs hold them: where a leaf stands, what the log says about it, and
//! the leaf itself, one file per kind.
//!
//! Rekor's OpenAPI document (v1), rekor-tiles' specification (v2), `sigstore_rekor.proto`.

pub mod dsse;
pub mod hashedrekord;
pub mod intoto;
pub mod rekord;
pub(crate) mod wire;

use crypto::merkle::{NodeHash, PROOF_HASHES_MAX};
use serde::Deserialize;

use crate::certificate::{CERTIFICATE_SIZE_MAX, ParseCertificateError};
use crate::json;
use crate::key_details::{KeyDetails, KeyDetailsError};
use crate::note::ParseNoteError;
use crate::number::{LeafIndex, TreeSize, UnixTime};

/// Longest leaf read, in bytes: what fits in one C2SP entry bundle's 16-bit length.
pub const BODY_SIZE_MAX: usize = 65_535;

/// An entry of a transparency log, as claimed by whoever holds it.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// Identifies the log: the hash of its key in v1, of its name and key in v2.
    pub log_id: Vec<u8>,
    /// The entry's number in the log; in v1 over all shards together.
    pub log_index: u64,
    /// Kind and version stated beside the leaf, e.g. `hashedrekord` and `0.0.1`.
    pub kind: String,
    /// See [`LogEntry::kind`].
    pub version: String,
    /// When the log says it took the entry; v1 only. Worth nothing without the promise.
    pub integrated_time: Option<UnixTime>,
    /// v1's signed entry timestamp: the log's promise, over [`LogEntry::promised_data`].
    pub promise: Option<Vec<u8>>,
    /// Proof that the leaf is in the tree of a checkpoint.
    pub proof: Option<InclusionProof>,
    /// The leaf's bytes, exactly as logged.
    pub canonical_body: Vec<u8>,
    /// The leaf, parsed.
    pub body: Body,
}

/// A Merkle inclusion proof, as claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// The leaf's position in the tree.
    pub leaf_index: LeafIndex,
    /// Size of the tree.
    pub tree_size: TreeSize,
    /// Root hash of the tree of that size.
    pub root: NodeHash,
    /// The siblings on the way to the root, the leaf's first.
    pub hashes: Vec<NodeHash>,
    /// The checkpoint, a signed note; only early v0.1 bundles lack it.
    pub checkpoint: Option<String>,
}

/// A leaf, by kind and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// `hashedrekord` 0.0.1: a signature over a digest.
    HashedRekordV1(hashedrekord::HashedRekordV1),
    /// `hashedrekord` 0.0.2: the same in v2.
    HashedRekordV2(hashedrekord::HashedRekordV2),
    /// `dsse` 0.0.1: the signatures of an envelope.
    DsseV1(dsse::DsseV1),
    /// `dsse` 0.0.2: the same in early v2 logs.
    DsseV2(dsse::DsseV2),
    /// `intoto` 0.0.1: the digest of an envelope as it was stored, without its signatures.
    IntotoV1(intoto::IntotoV1),
    /// `intoto` 0.0.2: the signatures of an envelope, in an encoding of its own.
    IntotoV2(intoto::IntotoV2),
    /// `rekord` 0.0.1: a signature over a digest, as the oldest signers logged it.
    RekordV1(rekord::RekordV1),
}

/// Why a log entry does not parse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseEntryError {
    /// Longer than [`BODY_SIZE_MAX`].
    #[error("a leaf of {found} bytes is longer than the {BODY_SIZE_MAX} read")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// Not JSON of the right shape for its kind.
    #[error("the leaf is malformed: {0}")]
    Json(String),
    /// A kind or version that is not supported.
    #[error("unsupported entry kind `{kind}` version `{version}`")]
    UnsupportedKind {
        /// The kind found, cut to 64 characters.
        kind: String,
        /// The version found, cut to 64 characters.
        version: String,
    },
    /// The kind stated beside the leaf is not the leaf's own.
    #[error("the entry is said to be {stated}, but its leaf is {found}")]
    KindMismatch {
        /// Stated beside the leaf.
        stated: String,
        /// Stated in the leaf.
        found: String,
    },
    /// A digest that is not in a supported algorithm, or not of its length.
    #[error("the leaf's {field} is not a digest: {problem}")]
    BadDigest {
        /// Which one.
        field: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A signature in another form than that of a bare key or certificate.
    #[error("wanted a signature in the format x509, found `{found}`")]
    SignatureFormat {
        /// The format found, cut to 64 characters.
        found: String,
    },
    /// A signature or key that is not base64.
    #[error("the leaf's {field} is not base64")]
    BadBase64 {
        /// Which one.
        field: &'static str,
    },
    /// The key or certificate with which the leaf's signature verifies does not parse.
    #[error("the leaf's verifier is not a public key or certificate")]
    BadVerifier,
    /// No signature at all.
    #[error("the leaf has no signature")]
    NoSignature,
    /// More signatures than are read.
    #[error("the leaf has more than {max} signatures")]
    TooManySignatures {
        /// The most read.
        max: usize,
    },
    /// Key details that are unknown or do not fit the key.
    #[error("the leaf's key details")]
    KeyDetails(#[from] KeyDetailsError),
    /// A field that is required is missing.
    #[error("the entry has no {field}")]
    Missing {
        /// Which one.
        field: &'static str,
    },
    /// A number that must not be negative is.
    #[error("the entry's {field} is negative")]
    Negative {
        /// Which one.
        field: &'static str,
    },
    /// A hash of the proof is not 32 bytes.
    #[error("a hash of the inclusion proof is not 32 bytes long")]
    BadProofHash,
    /// More hashes than any proof needs.
    #[error("the inclusion proof has more than {PROOF_HASHES_MAX} hashes")]
    TooManyProofHashes,
    /// The checkpoint is no signed note.
    #[error("the checkpoint is not a signed note")]
    Checkpoint(#[from] ParseNoteError),
    /// The certificate in the leaf does not parse.
    #[error("the leaf's certificate does not parse")]
    Certificate(#[from] ParseCertificateError),
}

#[derive(Deserialize)]
struct KindAndVersion {
    kind: String,
    #[serde(rename = "apiVersion")]
    version: String,
}

impl Body {
    /// Parses a leaf.
    ///
    /// # Errors
    /// When it is too long, of an unknown kind or version, or malformed.
    pub fn parse(leaf: &[u8]) -> Result<Self, ParseEntryError> {
        if leaf.len() > BODY_SIZE_MAX {
            return Err(ParseEntryError::TooLong { found: leaf.len() });
        }
        let KindAndVersion { kind, version } = from_json(leaf)?;
        match (kind.as_str(), version.as_str()) {
            ("hashedrekord", "0.0.1") => {
                hashedrekord::HashedRekordV1::parse(leaf).map(Self::HashedRekordV1)
            }
            ("hashedrekord", "0.0.2") => {
                hashedrekord::HashedRekordV2::parse(leaf).map(Self::HashedRekordV2)
            }
            ("dsse", "0.0.1") => dsse::DsseV1::parse(leaf).map(Self::DsseV1),
            ("dsse", "0.0.2") => dsse::DsseV2::parse(leaf).map(Self::DsseV2),
            ("intoto", "0.0.1") => intoto::IntotoV1::parse(leaf).map(Self::IntotoV1),
            ("intoto", "0.0.2") => intoto::IntotoV2::parse(leaf).map(Self::IntotoV2),
            ("rekord", "0.0.1") => rekord::RekordV1::parse(leaf).map(Self::RekordV1),
            _ => {
                let cut = |text: &str| text.chars().take(64).collect();
                Err(ParseEntryError::UnsupportedKind { kind: cut(&kind), version: cut(&version) })
            }
        }
    }

    /// Kind and version, as written in the leaf.
    #[must_use]
    pub fn kind_and_version(&self) -> (&'static str, &'static str) {
        match self {
            Self::HashedRekordV1(_) => ("hashedrekord", "0.0.1"),
            Self::HashedRekordV2(_) => ("hashedrekord", "0.0.2"),
            Self::DsseV1(_) => ("dsse", "0.0.1"),
            Self::DsseV2(_) => ("dsse", "0.0.2"),
            Self::IntotoV1(_) => ("intoto", "0.0.1"),
            Self::IntotoV2(_) => ("intoto", "0.0.2"),
            Self::RekordV1(_) => ("rekord", "0.0.1"),
        }
    }
}

impl LogEntry {
    /// What v1's signed entry timestamp covers. `None` without an integrated time.
    #[must_use]
    pub fn promised_data(&self) -> Option<Vec<u8>> {
        let time = self.integrated_time?;
        Some(promised_data(&self.canonical_body, time, &self.log_id, self.log_index))
    }
}

/// What v1's signed entry timestamp covers: the RFC 8785 form of body, time, log and index.
#[must_use]
pub fn promised_data(body: &[u8], time: UnixTime, log_id: &[u8], index: u64) -> Vec<u8> {
    use base64::Engine;
    let body = base64::engine::general_purpose::STANDARD.encode(body);
    let (time, log_id) = (time.seconds(), hex::encode(log_id));
    // Keys in order, no spaces, nothing that needs escaping: this is the canonical form.
    let text = format!(
        r#"{{"body":"{body}","integratedTime":{time},"logID":"{log_id}","logIndex":{index}}}"#
    );
    text.into_bytes()
}

/// With what a leaf says its signature verifies: a certificate or a bare key, as DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verifier {
    /// A DER certificate.
    Certificate(Vec<u8>),
    /// A DER SubjectPublicKeyInfo.
    PublicKey(Vec<u8>),
}

impl Verifier {
    /// Parses the PEM of a v1 leaf: one block, `CERTIFICATE` or `PUBLIC KEY`.
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Self, ParseEntryError> {
        if pem.len() > 2 * CERTIFICATE_SIZE_MAX {
            return Err(ParseEntryError::BadVerifier);
        }
        let (label, der) = crypto::pem::decode(pem).map_err(|_| ParseEntryError::BadVerifier)?;
        match label {
            "CERTIFICATE" => Ok(Self::Certificate(der)),
            "PUBLIC KEY" => Ok(Self::PublicKey(der)),
            _ => Err(ParseEntryError::BadVerifier),
        }
    }

    /// PEM as v1 leaves hold it: LF line ends, 64 columns.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let (label, der) = match self {
            Self::Certificate(der) => ("CERTIFICATE", der),
            Self::PublicKey(der) => ("PUBLIC KEY", der),
        };
        crypto::pem::encode(label, der)
    }
}

/// A v2 leaf's signature with its verifier and the details of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureV2 {
    /// The signature.
    pub content: Vec<u8>,
    /// What it verifies with.
    pub verifier: Verifier,
    /// The algorithm it was made with.
    pub key_details: KeyDetails,
}

/// The JSON of v2's `Signature` and `Verifier` messages.
pub(crate) mod wire_v2 {
    use serde::{Deserialize, Serialize};

    use super::{ParseEntryError, SignatureV2, Verifier};
    use crate::key_details::KeyDetails;
    use crate::proto_json::Base64;

    #[derive(Deserialize, Serialize)]
    #[serde(rename_all = "camelCase")]
    pub(crate) struct Signature {
        content: Base64,
        verifier: VerifierJson,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(rename_all = "camelCase")]
    struct VerifierJson {
        key_details: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        x509_certificate: Option<RawBytes>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        public_key: Option<RawBytes>,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(rename_all = "camelCase")]
    struct RawBytes {
        raw_bytes: Base64,
    }

    impl Signature {
        pub(crate) fn parse(self) -> Result<SignatureV2, ParseEntryError> {
            let verifier = match (self.verifier.x509_certificate, self.verifier.public_key) {
                (Some(certificate), None) => Verifier::Certificate(certificate.raw_bytes.0),
                (None, Some(key)) => Verifier::PublicKey(key.raw_bytes.0),
                _ => return Err(ParseEntryError::BadVerifier),
            };
            if self.content.0.is_empty() {
                return Err(ParseEntryError::NoSignature);
            }
            let key_details = KeyDetails::parse(&self.verifier.key_details)?;
            Ok(SignatureV2 { content: self.content.0, verifier, key_details })
        }

        pub(crate) fn of(signature: &SignatureV2) -> Self {
            let raw = |der: &Vec<u8>| Some(RawBytes { raw_bytes: Base64(der.clone()) });
            let (x509_certificate, public_key) = match &signature.verifier {
                Verifier::Certificate(der) => (raw(der), None),
                Verifier::PublicKey(der) => (None, raw(der)),
            };
            let key_details = signature.key_details.name().to_owned();
            Self {
                content: Base64(signature.content.clone()),
                verifier: VerifierJson { key_details, x509_certificate, public_key },
            }
        }
    }
}

pub(crate) fn from_json<'a, T: Deserialize<'a>>(leaf: &'a [u8]) -> Result<T, ParseEntryError> {
    json::parse(leaf).map_err(ParseEntryError::Json)
}

/// The RFC 8785 form of a leaf, which is what is logged.
pub(crate) fn to_canonical_json<T: serde::Serialize>(leaf: &T) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(leaf).expect("a leaf has only text, so it always serialises")
}

/// A leaf's envelope: kind, version and the specification of that kind.
#[derive(serde::Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Leaf<S> {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) spec: S,
}

impl<S> Leaf<S> {
    pub(crate) fn new(kind: &str, api_version: &str, spec: S) -> Self {
        Self { api_version: api_version.to_owned(), kind: kind.to_owned(), spec }
    }
}

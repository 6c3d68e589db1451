//! The JSON of `TransparencyLogEntry`, as bundles hold it and v2 logs answer with it.

use serde::{Deserialize, Serialize};

use super::{Body, InclusionProof, LogEntry, ParseEntryError};
use crate::json;
use crate::note::SignedNote;
use crate::number::{LeafIndex, TreeSize, UnixTime};
use crate::proto_json::{Base64, Bounded, Int64};
use crypto::merkle::{NodeHash, PROOF_HASHES_MAX};

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TransparencyLogEntry {
    #[serde(alias = "log_index", default)]
    log_index: Option<Int64>,
    #[serde(alias = "log_id")]
    log_id: Option<LogId>,
    #[serde(alias = "kind_version")]
    kind_version: Option<KindVersion>,
    #[serde(alias = "integrated_time", default)]
    integrated_time: Option<Int64>,
    #[serde(alias = "inclusion_promise", skip_serializing_if = "Option::is_none")]
    inclusion_promise: Option<Promise>,
    #[serde(alias = "inclusion_proof", skip_serializing_if = "Option::is_none")]
    inclusion_proof: Option<Proof>,
    #[serde(alias = "canonicalized_body")]
    canonicalized_body: Option<Base64>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct LogId {
    #[serde(alias = "key_id")]
    key_id: Option<Base64>,
}

#[derive(Deserialize, Serialize)]
struct KindVersion {
    kind: Option<String>,
    version: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Promise {
    #[serde(alias = "signed_entry_timestamp")]
    signed_entry_timestamp: Option<Base64>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Proof {
    #[serde(alias = "log_index", default)]
    log_index: Option<Int64>,
    #[serde(alias = "root_hash")]
    root_hash: Option<Base64>,
    #[serde(alias = "tree_size", default)]
    tree_size: Option<Int64>,
    hashes: Option<Bounded<Base64, PROOF_HASHES_MAX>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<CheckpointJson>,
}

#[derive(Deserialize, Serialize)]
struct CheckpointJson {
    envelope: Option<String>,
}

impl LogEntry {
    /// Parses a `TransparencyLogEntry` as v2 logs answer with it.
    ///
    /// # Errors
    /// When it is malformed. The caller bounds its size.
    pub fn from_json(json: &[u8]) -> Result<Self, ParseEntryError> {
        let entry: TransparencyLogEntry = json::parse(json).map_err(ParseEntryError::Json)?;
        entry.parse()
    }

    /// The JSON of this entry's `TransparencyLogEntry`.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&TransparencyLogEntry::of(self))
            .expect("an entry has only text and numbers, so it always serialises")
    }
}

impl TransparencyLogEntry {
    pub(crate) fn parse(self) -> Result<LogEntry, ParseEntryError> {
        let missing = |field| ParseEntryError::Missing { field };
        let log_id = self.log_id.and_then(|id| id.key_id).ok_or(missing("log identifier"))?;
        let kind_version = self.kind_version.ok_or(missing("kind and version"))?;
        let kind = kind_version.kind.ok_or(missing("kind"))?;
        let version = kind_version.version.ok_or(missing("version"))?;
        let body = self.canonicalized_body.ok_or(missing("canonicalized body"))?;
        let parsed = Body::parse(&body.0)?;
        let (found_kind, found_version) = parsed.kind_and_version();
        if (kind.as_str(), version.as_str()) != (found_kind, found_version) {
            return Err(ParseEntryError::KindMismatch {
                stated: format!("{kind} {version}").chars().take(64).collect(),
                found: format!("{found_kind} {found_version}"),
            });
        }
        // Protobuf cannot tell an absent number from 0; the epoch itself is no time of signing.
        let integrated_time = self.integrated_time.map(|time| time.0).filter(|time| *time != 0);
        let promise = self
            .inclusion_promise
            .and_then(|promise| promise.signed_entry_timestamp)
            .map(|timestamp| timestamp.0)
            .filter(|timestamp| !timestamp.is_empty());
        Ok(LogEntry {
            log_id: log_id.0,
            log_index: unsigned(self.log_index, "log index")?,
            kind,
            version,
            integrated_time: integrated_time.map(UnixTime::from_seconds),
            promise,
            proof: self.inclusion_proof.map(Proof::parse).transpose()?,
            canonical_body: body.0,
            body: parsed,
        })
    }

    pub(crate) fn of(entry: &LogEntry) -> Self {
        let time = entry.integrated_time.map_or(0, UnixTime::seconds);
        Self {
            log_index: Some(signed(entry.log_index)),
            log_id: Some(LogId { key_id: Some(Base64(entry.log_id.clone())) }),
            kind_version: Some(KindVersion {
                kind: Some(entry.kind.clone()),
                version: Some(entry.version.clone()),
            }),
            integrated_time: Some(Int64(time)),
            inclusion_promise: entry
                .promise
                .as_ref()
                .map(|promise| Promise { signed_entry_timestamp: Some(Base64(promise.clone())) }),
            inclusion_proof: entry.proof.as_ref().map(Proof::of),
            canonicalized_body: Some(Base64(entry.canonical_body.clone())),
        }
    }
}

impl Proof {
    fn parse(self) -> Result<InclusionProof, ParseEntryError> {
        let hash = |bytes: &Base64| {
            NodeHash::try_from(bytes.0.as_slice()).map_err(|_| ParseEntryError::BadProofHash)
        };
        let hashes = self.hashes.unwrap_or_default().within_bound();
        let hashes = hashes.map_err(|_| ParseEntryError::TooManyProofHashes)?;
        let checkpoint = self.checkpoint.and_then(|checkpoint| checkpoint.envelope);
        let checkpoint = checkpoint.filter(|envelope| !envelope.is_empty());
        if let Some(envelope) = &checkpoint {
            SignedNote::parse(envelope)?;
        }
        let root = self.root_hash.ok_or(ParseEntryError::Missing { field: "root hash" })?;
        Ok(InclusionProof {
            leaf_index: LeafIndex(unsigned(self.log_index, "leaf index")?),
            tree_size: TreeSize(unsigned(self.tree_size, "tree size")?),
            root: hash(&root)?,
            hashes: hashes.iter().map(hash).collect::<Result<_, _>>()?,
            checkpoint,
        })
    }

    fn of(proof: &InclusionProof) -> Self {
        Self {
            log_index: Some(signed(proof.leaf_index.0)),
            root_hash: Some(Base64(proof.root.to_vec())),
            tree_size: Some(signed(proof.tree_size.0)),
            // Some clients refuse a proof without this field, even when it is empty.
            hashes: Some(proof.hashes.iter().map(|hash| Base64(hash.to_vec())).collect()),
            checkpoint: proof
                .checkpoint
                .clone()
                .map(|envelope| CheckpointJson { envelope: Some(envelope) }),
        }
    }
}

/// Absent means 0 in protobuf.
fn unsigned(number: Option<Int64>, field: &'static str) -> Result<u64, ParseEntryError> {
    let number = number.unwrap_or_default().0;
    u64::try_from(number).map_err(|_| ParseEntryError::Negative { field })
}

/// Indices and sizes are parsed from `int64`, and no log reaches 2⁶³ leaves.
fn signed(number: u64) -> Int64 {
    Int64(i64::try_from(number).unwrap_or(i64::MAX))
}

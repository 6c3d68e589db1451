//! Rekor v1: `POST /api/v1/log/entries`, and the entry that is there already.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::merkle::PROOF_HASHES_MAX;
use crypto::{Hash, HashAlgorithm};
use evidence::bundle::Content;
use evidence::cosign::envelope_document;
use evidence::entry::hashedrekord::HashedRekordV1;
use evidence::entry::{Body, InclusionProof};
use evidence::{Digest, LeafIndex, LogEntry, TreeSize, UnixTime};
use reqwest::header::{ACCEPT, HeaderValue, LOCATION};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{ANSWER_SIZE_MAX, AppendError, Log, SignedBy};
use crate::deadline::Deadline;
use crate::error::FetchError;
use crate::http::{Answer, Redirects, Request};
use crate::json;

pub(super) const PATH: &str = "api/v1/log/entries";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryJson {
    body: String,
    integrated_time: i64,
    #[serde(rename = "logID")]
    log_id: String,
    log_index: u64,
    #[serde(default)]
    verification: Option<VerificationJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerificationJson {
    #[serde(default)]
    inclusion_proof: Option<ProofJson>,
    #[serde(default)]
    signed_entry_timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProofJson {
    checkpoint: String,
    hashes: Vec<String>,
    log_index: u64,
    root_hash: String,
    tree_size: u64,
}

impl Log {
    pub(super) async fn append_v1(
        &self,
        content: &Content,
        signed_by: &SignedBy,
        deadline: Deadline,
    ) -> Result<LogEntry, AppendError> {
        let proposed = propose(content, signed_by)?;
        // An entry is logged once: whoever asks again is told where it is. So asking again is safe.
        let request = self.post(PATH, proposed).repeatable();
        let answer = self.http.send(&request, deadline).await?;
        if answer.status.as_u16() != 409 {
            return Ok(read(&answer.wanted(&[200, 201])?)?);
        }
        let Some(id) = answer.header(LOCATION).and_then(entry_id) else {
            let found = answer.header(LOCATION).unwrap_or("none").to_owned();
            return Err(answer.malformed("the location of an entry", found).into());
        };
        let existing =
            Request::get(self.url.join(&format!("{PATH}/{id}")), "a log entry", ANSWER_SIZE_MAX)
                .redirected(Redirects::Refuse)
                .header(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(read(&self.http.send(&existing, deadline).await?.wanted(&[200])?)?)
    }
}

/// The entry as it is proposed, which for `hashedrekord` is as it will be logged.
pub(super) fn propose(content: &Content, signed_by: &SignedBy) -> Result<Vec<u8>, AppendError> {
    match content {
        Content::Message { digest, signature } => {
            let digest = digest.ok_or(AppendError::NoDigest)?;
            let (signature, verifier) = (signature.clone(), signed_by.verifier.clone());
            Ok(HashedRekordV1 { digest, signature, verifier }.to_leaf())
        }
        Content::SimpleSigning { payload, signature } => {
            let algorithm = signed_by.scheme.hash().unwrap_or(HashAlgorithm::Sha512);
            let digest = Digest::from(Hash::of(algorithm, payload));
            let (signature, verifier) = (signature.clone(), signed_by.verifier.clone());
            Ok(HashedRekordV1 { digest, signature, verifier }.to_leaf())
        }
        Content::Envelope(envelope) => {
            // JSON is UTF-8, so nothing is lost.
            let document = envelope_document(envelope);
            let proposed = json!({
                "apiVersion": "0.0.1",
                "kind": "dsse",
                "spec": {"proposedContent": {
                    "envelope": String::from_utf8_lossy(&document),
                    "verifiers": [STANDARD.encode(signed_by.verifier.to_pem())],
                }},
            });
            Ok(serde_json::to_vec(&proposed).expect("an entry has only text"))
        }
    }
}

/// The entry's identifier at the end of a location: 64 hexadecimal digits, or 80 with the tree's.
/// Only that is taken from it, so that it cannot lead anywhere else.
fn entry_id(location: &str) -> Option<&str> {
    let id = location.rsplit('/').next()?;
    let digits = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (digits && matches!(id.len(), 64 | 80)).then_some(id)
}

/// Reads the one entry of an answer.
pub(super) fn read(answer: &Answer) -> Result<LogEntry, FetchError> {
    let named = json::parse(&answer.body)
        .map_err(|error: serde_json::Error| answer.malformed(ENTRY, error.to_string()))?;
    one(answer, named)
}

/// Reads all entries of an answer to a search.
pub(super) fn read_all(answer: &Answer) -> Result<Vec<LogEntry>, FetchError> {
    let bad =
        |error: serde_json::Error| answer.malformed("a list of log entries", error.to_string());
    let all: Vec<&RawValue> = serde_json::from_slice(&answer.body).map_err(bad)?;
    let named = |entry: &RawValue| one(answer, json::parse(entry.get().as_bytes()).map_err(bad)?);
    all.into_iter().map(named).collect()
}

/// An entry under its identifier.
type NamedEntry = BTreeMap<String, EntryJson>;

const ENTRY: &str = "a log entry";

fn one(answer: &Answer, named: NamedEntry) -> Result<LogEntry, FetchError> {
    let bad = |found: &str| answer.malformed(ENTRY, found);
    let count = named.len();
    let (1, Some(entry)) = (count, named.into_values().next()) else {
        return Err(bad(&format!("{count} entries")));
    };
    let base64 = |text: &str| STANDARD.decode(text).map_err(|_| bad("something not in base64"));
    let canonical_body = base64(&entry.body)?;
    let body = Body::parse(&canonical_body).map_err(|error| bad(&error.to_string()))?;
    let (kind, version) = body.kind_and_version();
    let (proof, promise) = match entry.verification {
        Some(verification) => (verification.inclusion_proof, verification.signed_entry_timestamp),
        None => (None, None),
    };
    Ok(LogEntry {
        log_id: hex::decode(&entry.log_id).map_err(|_| bad("a log identifier not in hex"))?,
        log_index: entry.log_index,
        kind: kind.to_owned(),
        version: version.to_owned(),
        integrated_time: Some(UnixTime::from_seconds(entry.integrated_time)),
        promise: promise.map(|promise| base64(&promise)).transpose()?,
        proof: proof.map(|proof| proof.parse().ok_or_else(|| bad("a broken proof"))).transpose()?,
        canonical_body,
        body,
    })
}

impl ProofJson {
    fn parse(self) -> Option<InclusionProof> {
        let hash = |text: &String| hex::decode(text).ok()?.try_into().ok();
        if self.hashes.len() > PROOF_HASHES_MAX {
            return None;
        }
        Some(InclusionProof {
            leaf_index: LeafIndex(self.log_index),
            tree_size: TreeSize(self.tree_size),
            root: hash(&self.root_hash)?,
            hashes: self.hashes.iter().map(hash).collect::<Option<_>>()?,
            checkpoint: Some(self.checkpoint),
        })
    }
}

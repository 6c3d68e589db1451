//! Asking a v1 log for what it has already: an entry by its number, or by what it records. Nothing
//! is written.
//!
//! Rekor `openapi.yaml`, `getLogEntryByIndex` and `searchLogQuery`.

use crypto::merkle::{BadProof, leaf_hash, verify_inclusion};
use evidence::checkpoint::ParseCheckpointError;
use evidence::entry::InclusionProof;
use evidence::note::ParseNoteError;
use evidence::{Checkpoint, Evidence, LogEntry, SignedNote};
use reqwest::header::{ACCEPT, HeaderValue};
use serde_json::json;
use serde_json::value::RawValue;

use super::v1::{self, PATH};
use super::{ANSWER_SIZE_MAX, AppendError, Log, SignedBy};
use crate::deadline::Deadline;
use crate::error::FetchError;
use crate::http::{Redirects, Request};
use crate::plausible;

/// Why a log's answer does not prove an entry.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The log cannot be asked.
    #[error("the proof for log entry {index} cannot be fetched")]
    Fetch {
        /// The entry's number.
        index: u64,
        /// What is in the way.
        source: FetchError,
    },
    /// Under that number the log has another entry: it is another log.
    #[error("entry {index} of this log is another one")]
    OtherEntry {
        /// The number.
        index: u64,
    },
    /// The log answered without a proof, or without its checkpoint.
    #[error("the log has no proof for entry {index}")]
    NoProof {
        /// The entry's number.
        index: u64,
    },
    /// A proof that leads elsewhere.
    #[error("the log's proof for entry {index} does not hold")]
    BadProof {
        /// The entry's number.
        index: u64,
        /// Why.
        source: BadProof,
    },
    /// A checkpoint that is none.
    #[error("the checkpoint in the proof for entry {index}")]
    Note {
        /// The entry's number.
        index: u64,
        /// What is wrong.
        source: ParseNoteError,
    },
    /// A checkpoint that is none.
    #[error("the checkpoint in the proof for entry {index}")]
    Checkpoint {
        /// The entry's number.
        index: u64,
        /// What is wrong.
        source: ParseCheckpointError,
    },
    /// A checkpoint of another tree than that of the proof.
    #[error("the checkpoint in the proof for entry {index} is of another tree")]
    OtherTree {
        /// The entry's number.
        index: u64,
    },
}

impl Log {
    /// The entry with that number, over all shards of a v1 log.
    ///
    /// # Errors
    /// When there is none, the log gives another, or it cannot be asked.
    pub async fn entry(&self, index: u64, deadline: Deadline) -> Result<LogEntry, FetchError> {
        let mut url = self.url.join(PATH);
        url.query_pairs_mut().append_pair("logIndex", &index.to_string());
        let request = Request::get(url, "a log entry", ANSWER_SIZE_MAX)
            .redirected(Redirects::Refuse)
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        let answer = self.http.send(&request, deadline).await?.wanted(&[200])?;
        let entry = v1::read(&answer)?;
        match entry.log_index == index {
            true => Ok(entry),
            false => {
                let found = format!("entry {}", entry.log_index);
                Err(answer.malformed("the entry with the number that was asked for", found))
            }
        }
    }

    /// The entries of a v1 log that record a signature, as this client would have logged it. None
    /// found is no error.
    ///
    /// # Errors
    /// When the log cannot be asked, or answers with entries of something else.
    pub async fn find(
        &self,
        evidence: &Evidence,
        signed_by: &SignedBy,
        deadline: Deadline,
    ) -> Result<Vec<LogEntry>, AppendError> {
        let proposed = v1::propose(&evidence.content, signed_by)?;
        let proposed: &RawValue =
            serde_json::from_slice(&proposed).expect("what was written as JSON is JSON");
        let query = json!({"entries": [proposed]}).to_string().into_bytes();
        let request = self.post(&format!("{PATH}/retrieve"), query).repeatable();
        let answer = self.http.send(&request, deadline).await?.wanted(&[200])?;
        let found = v1::read_all(&answer)?;
        let is_other = |entry: &LogEntry| !plausible::records(entry, evidence);
        if found.iter().any(is_other) {
            let wanted = "entries of the signature that was asked for";
            return Err(answer.malformed(wanted, "another").into());
        }
        Ok(found)
    }

    /// Adds the proofs that evidence lacks, whose entries have the log's promise alone, or a proof
    /// without checkpoint. Each proof is tried; whether the log is a trusted one, which signed the
    /// checkpoint, is the verifier's question. Gives how many were added.
    ///
    /// # Errors
    /// When an entry cannot be proven; the evidence is as it was then.
    pub async fn add_proofs(
        &self,
        evidence: &mut Evidence,
        deadline: Deadline,
    ) -> Result<usize, ProveError> {
        let mut entries = evidence.entries.clone();
        let mut added = 0;
        for entry in &mut entries {
            if entry.proof.as_ref().is_some_and(|proof| proof.checkpoint.is_some()) {
                continue;
            }
            let index = entry.log_index;
            let found = self.entry(index, deadline).await;
            let found = found.map_err(|source| ProveError::Fetch { index, source })?;
            if found.canonical_body != entry.canonical_body || found.log_id != entry.log_id {
                return Err(ProveError::OtherEntry { index });
            }
            let proof = found.proof.ok_or(ProveError::NoProof { index })?;
            check(index, &entry.canonical_body, &proof)?;
            entry.proof = Some(proof);
            added += 1;
        }
        evidence.entries = entries;
        Ok(added)
    }
}

/// Tries a proof: leaf, path and checkpoint lead to one root.
fn check(index: u64, leaf: &[u8], proof: &InclusionProof) -> Result<(), ProveError> {
    let InclusionProof { leaf_index, tree_size, root, hashes, checkpoint } = proof;
    verify_inclusion(&leaf_hash(leaf), leaf_index.0, tree_size.0, hashes, root)
        .map_err(|source| ProveError::BadProof { index, source })?;
    let note = checkpoint.as_deref().ok_or(ProveError::NoProof { index })?;
    let note = SignedNote::parse(note).map_err(|source| ProveError::Note { index, source })?;
    let checkpoint = Checkpoint::parse(note.text())
        .map_err(|source| ProveError::Checkpoint { index, source })?;
    match checkpoint.size == *tree_size && checkpoint.root == *root {
        true => Ok(()),
        false => Err(ProveError::OtherTree { index }),
    }
}

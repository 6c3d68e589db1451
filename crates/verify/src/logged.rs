//! The log has it: entries proven under a checkpoint, or promised, by a log of the trust root.
//!
//! RFC 9162 §2.1.3 (inclusion), C2SP tlog-checkpoint and signed-note, Rekor's signed entry
//! timestamps. Says nothing about what an entry is about: that is `claim`.

use crypto::Message;
use crypto::merkle;
use evidence::bundle::Format;
use evidence::entry::{Body, InclusionProof};
use evidence::{Checkpoint, Evidence, LogEntry, SignedNote, UnixTime};
use nonempty::NonEmpty;

use crate::check::Check;
use crate::demands::Logging;
use crate::explain::Trace;
use crate::refusal::{Observers, Refusal};
use crate::threshold::{check_none, check_threshold};
use crate::trust_root::{Log, TrustRoot, Window};

/// A leaf proven under a checkpoint signed by a log of the trust root, or promised by that log
/// where the format allows a promise alone (bundle v0.1, and what Cosign wrote before bundles).
///
/// Says nothing about what the leaf records, nor, for an entry without a promised time, *when* it
/// was logged.
#[derive(Clone, Debug)]
pub struct VerifiedEntry {
    body: Body,
    log_id: Vec<u8>,
    log_name: String,
    log_index: u64,
    promised_time: Option<UnixTime>,
    log_windows: NonEmpty<Window>,
    /// SubjectPublicKeyInfo of the log's key: what makes two logs two.
    log_key: Vec<u8>,
}

impl VerifiedEntry {
    /// The leaf.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The log's identifier.
    #[must_use]
    pub fn log_id(&self) -> &[u8] {
        &self.log_id
    }

    /// What to call the log: the host of the URL that the trust root gives it, else its key.
    #[must_use]
    pub fn log_name(&self) -> &str {
        &self.log_name
    }

    /// The entry's number in the log: as promised, which in v1 counts over all shards, else its
    /// proven position in the tree. What the bundle says beside them is nobody's word.
    #[must_use]
    pub fn log_index(&self) -> u64 {
        self.log_index
    }

    /// When the log promises to have taken it, under a signature that verified.
    #[must_use]
    pub fn promised_time(&self) -> Option<UnixTime> {
        self.promised_time
    }

    /// Whether the log's key was trusted at that time.
    ///
    /// # Errors
    /// When it was not; with a window in which it was.
    pub(crate) fn check_log_key_at(&self, time: UnixTime) -> Result<(), Window> {
        match self.log_windows.iter().any(|window| window.contains(time)) {
            true => Ok(()),
            false => Err(*self.log_windows.last()),
        }
    }

    /// SubjectPublicKeyInfo of the log's key.
    pub(crate) fn log_key(&self) -> &[u8] {
        &self.log_key
    }
}

/// What the logs of the trust root say of a piece of evidence: every entry of theirs, proven. There is
/// none only where the policy waives logging.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Each with its position among the evidence's entries.
    entries: Vec<(usize, VerifiedEntry)>,
}

impl Logged {
    /// The proven entries, each with its position among the evidence's.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (usize, &VerifiedEntry)> {
        self.entries.iter().map(|(index, entry)| (*index, entry))
    }

    /// The proven entries alone.
    pub(crate) fn into_entries(self) -> Vec<VerifiedEntry> {
        self.entries.into_iter().map(|(_, entry)| entry).collect()
    }
}

/// Proves every entry of the evidence. All must hold: an entry that does not is a contradiction,
/// never something to pass over; but one of a log that the trust root does not hold says nothing at
/// all, which is in order where logging is waived.
///
/// # Errors
/// When there is no entry and logging is required, one of them does not hold, or they are of fewer
/// logs than the trust root demands.
pub fn verify(
    evidence: &Evidence,
    roots: &TrustRoot,
    logging: Logging,
    trace: &mut Trace,
) -> Result<Logged, Refusal> {
    let mut entries = Vec::new();
    for (index, entry) in evidence.entries.iter().enumerate() {
        match verify_entry(index, entry, evidence.format, roots, trace) {
            Ok(entry) => entries.push((index, entry)),
            Err(unknown @ Refusal::UnknownLog { .. }) if logging == Logging::Waived => {
                trace.skipped(Check::LogInclusion, || unknown.wanted_and_found());
            }
            Err(refusal) => return Err(refusal),
        }
    }
    if entries.is_empty() {
        match logging {
            Logging::Required => return Err(Refusal::NotLogged),
            Logging::Waived => check_none(Observers::Logs, roots.thresholds.logs)?,
        }
        trace.waived(Check::LogInclusion, || {
            let found = "in no log that is known, which is waived";
            (Check::LogInclusion.wanted().to_owned(), found.to_owned())
        });
    } else {
        let keys = entries.iter().map(|(_, entry)| entry.log_key());
        check_threshold(Observers::Logs, roots.thresholds.logs, keys)?;
    }
    Ok(Logged { entries })
}

fn verify_entry(
    index: usize,
    entry: &LogEntry,
    format: Format,
    roots: &TrustRoot,
    trace: &mut Trace,
) -> Result<VerifiedEntry, Refusal> {
    let mut refusal = Refusal::UnknownLog {
        index,
        log_id: entry.log_id.iter().take(32).map(|byte| format!("{byte:02x}")).collect(),
    };
    // A key may be trusted for several spans of time; one of them has to hold.
    for log in roots.logs_named(&entry.log_id) {
        match verify_entry_of(log, index, entry, format, roots, trace) {
            Ok(verified) => return Ok(verified),
            Err(why) => refusal = why,
        }
    }
    Err(refusal)
}

fn verify_entry_of(
    log: &Log,
    index: usize,
    entry: &LogEntry,
    format: Format,
    roots: &TrustRoot,
    trace: &mut Trace,
) -> Result<VerifiedEntry, Refusal> {
    let promised_time = match &entry.promise {
        Some(promise) => Some(verify_promise(index, entry, promise, log, trace)?),
        None => None,
    };
    let proven = match &entry.proof {
        Some(proof) => verify_proof(index, entry, proof, log, trace)?,
        None => false,
    };
    let promise_suffices = format.takes_promise_alone() && promised_time.is_some();
    if !proven && !promise_suffices {
        return Err(Refusal::NoProof { index, format });
    }
    let log_index = match (promised_time, &entry.proof) {
        (None, Some(proof)) => proof.leaf_index.0,
        _ => entry.log_index,
    };
    let same_key = |other: &&Log| other.key.spki_der() == log.key.spki_der();
    let others = roots.logs_named(&entry.log_id).filter(same_key).map(|other| other.window);
    Ok(VerifiedEntry {
        body: entry.body.clone(),
        log_id: entry.log_id.clone(),
        log_name: log.name(),
        log_index,
        promised_time,
        log_windows: NonEmpty::collect(others).unwrap_or(NonEmpty::new(log.window)),
        log_key: log.key.spki_der().to_vec(),
    })
}

/// The promised time, if the log's promise verifies and its key was trusted then.
fn verify_promise(
    index: usize,
    entry: &LogEntry,
    promise: &[u8],
    log: &Log,
    trace: &mut Trace,
) -> Result<UnixTime, Refusal> {
    let bad_promise = Refusal::BadPromise { index };
    let (time, data) =
        entry.integrated_time.zip(entry.promised_data()).ok_or(bad_promise.clone())?;
    log.key.verify(log.scheme, Message::Bytes(&data), promise).map_err(|_| bad_promise)?;
    if !log.window.contains(time) {
        return Err(Refusal::LogKeyNotValid { index, time, window: log.window });
    }
    trace.passed(Check::LogPromise, || {
        (
            format!("the promise of {}", log.name()),
            format!("promised at {time} as entry {}", entry.log_index),
        )
    });
    Ok(time)
}

/// Whether the proof proves anything: one without a checkpoint does not, since nobody signed its
/// root. A proof that contradicts itself or its checkpoint is an error.
fn verify_proof(
    index: usize,
    entry: &LogEntry,
    proof: &InclusionProof,
    log: &Log,
    trace: &mut Trace,
) -> Result<bool, Refusal> {
    let leaf = merkle::leaf_hash(&entry.canonical_body);
    let InclusionProof { leaf_index, tree_size, root, hashes, .. } = proof;
    merkle::verify_inclusion(&leaf, leaf_index.0, tree_size.0, hashes, root)
        .map_err(|problem| Refusal::BadInclusionProof { index, leaf: *leaf_index, problem })?;
    let Some(envelope) = &proof.checkpoint else {
        trace.skipped(Check::LogInclusion, || {
            ("a signed checkpoint".to_owned(), "a proof without one".to_owned())
        });
        return Ok(false);
    };
    let checkpoint = verify_checkpoint(index, envelope, entry, log)?;
    if checkpoint.size != *tree_size || checkpoint.root != *root {
        return Err(Refusal::CheckpointMismatch {
            index,
            wanted: (checkpoint.size, checkpoint.root),
            found: (*tree_size, *root),
        });
    }
    trace.passed(Check::LogInclusion, || {
        (
            format!("inclusion in the log {}", checkpoint.origin),
            format!("leaf {leaf_index} of {tree_size}"),
        )
    });
    Ok(true)
}

fn verify_checkpoint(
    index: usize,
    envelope: &str,
    entry: &LogEntry,
    log: &Log,
) -> Result<Checkpoint, Refusal> {
    let bad_signature = Refusal::BadCheckpointSignature { index };
    let note = SignedNote::parse(envelope).map_err(|_| bad_signature.clone())?;
    let checkpoint = Checkpoint::parse(note.text())
        .map_err(|problem| Refusal::MalformedCheckpoint { index, problem })?;
    // A v2 log's origin is the host of its URL. A v1 log's is a name and a tree, which private
    // instances choose freely; its key alone identifies it.
    let is_v2 = matches!(entry.body, Body::HashedRekordV2(_) | Body::DsseV2(_));
    if is_v2 && log.host.as_ref() != Some(&checkpoint.origin) {
        return Err(Refusal::WrongOrigin { index, wanted: log.name(), found: checkpoint.origin });
    }
    // Lines of other keys are ignored; every line that claims this log's key must verify.
    let hint = &log.id[..log.id.len().min(4)];
    let mut ours = note.signatures().iter().filter(|line| line.key_hint == hint).peekable();
    if ours.peek().is_none() {
        return Err(bad_signature);
    }
    for line in ours {
        log.key
            .verify(log.scheme, Message::Bytes(note.text().as_bytes()), &line.signature)
            .map_err(|_| bad_signature.clone())?;
    }
    Ok(checkpoint)
}

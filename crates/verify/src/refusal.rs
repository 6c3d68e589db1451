//! Refusals: why one piece of evidence does not prove what was wanted, check by check.

mod furthest;
mod told;

use std::num::NonZeroU8;

use crypto::merkle::NodeHash;
use evidence::bundle::Format;
use evidence::certificate::FulcioExtension;
use evidence::certificate::sct::ParseSctError;
use evidence::cosign::ParsePayloadError;
use evidence::statement::ParseStatementError;
use evidence::timestamp::{InconsistentTimestamp, ParseTimestampError, SignatureAlgorithmError};
use evidence::{Digest, LeafIndex, ParseEvidenceError, TreeSize, UnixTime};

use crate::chain::BadChain;
use crate::check::Check;
use crate::trust_root::Window;

pub(crate) use furthest::Furthest;
pub use told::WantedIn;
pub(crate) use told::signer_found;

/// What of a log entry is about something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryPart {
    /// The artifact that was signed.
    Artifact,
    /// The payload that was signed.
    Payload,
    /// The payload's type.
    PayloadType,
    /// The envelope around the payload.
    Envelope,
    /// The signature.
    Signature,
    /// Who signed.
    Signer,
}

impl std::fmt::Display for EntryPart {
    /// What an entry is about, in the words of who gave a wrong `--key`, the most usual mistake.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Artifact => "another artifact",
            Self::Payload => "another payload",
            Self::PayloadType => "another payload type",
            Self::Envelope => "another envelope",
            Self::Signature => "another signature",
            Self::Signer => "a signature with another key than this one",
        })
    }
}

/// Kinds of observers that a trust root counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observers {
    /// Transparency logs.
    Logs,
    /// Logs and timestamp authorities that say when.
    Times,
    /// CT logs.
    CertificateLogs,
}

impl std::fmt::Display for Observers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Logs => "independent logs that hold the signature",
            Self::Times => "independent observers that say when it was made",
            Self::CertificateLogs => "independent CT logs that promised the certificate",
        })
    }
}

/// Why evidence does not prove what was wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing to judge.
    #[error("no signature was found")]
    NoEvidence,
    /// The evidence does not parse.
    #[error("the evidence is malformed")]
    Malformed(#[from] ParseEvidenceError),
    /// The policy refuses without looking.
    #[error("the policy refuses it: {message}")]
    Static {
        /// What the policy says.
        message: String,
    },

    /// No log entry.
    #[error("the signature is in no transparency log")]
    NotLogged,
    /// An entry of a log that is not trusted.
    #[error("the log entry{} is from a log that the trust root does not hold", place(*index))]
    UnknownLog {
        /// Position of the entry, counted from 0.
        index: usize,
        /// The log's identifier in hexadecimal.
        log_id: String,
    },
    /// The log's promise does not verify.
    #[error(
        "the log's promise (signed entry timestamp) on the log entry{} does not verify",
        place(*index)
    )]
    BadPromise {
        /// Position of the entry, counted from 0.
        index: usize,
    },
    /// An entry of a time when the log's key was not trusted.
    #[error("the log's key was not valid when the log entry{} was logged", place(*index))]
    LogKeyNotValid {
        /// Position of the entry, counted from 0.
        index: usize,
        /// When it was logged.
        time: UnixTime,
        /// When the key is valid.
        window: Window,
    },
    /// Neither promise nor proof.
    #[error("the log entry{} carries no proof that it was logged", place(*index))]
    NoProof {
        /// Position of the entry, counted from 0.
        index: usize,
        /// The format it came in.
        format: Format,
    },
    /// The checkpoint's text is no checkpoint.
    #[error("the checkpoint of the log entry{} is malformed: {problem}", place(*index))]
    MalformedCheckpoint {
        /// Position of the entry, counted from 0.
        index: usize,
        /// What is wrong.
        problem: evidence::checkpoint::ParseCheckpointError,
    },
    /// The checkpoint is another log's.
    #[error("the checkpoint of the log entry{} is of another log", place(*index))]
    WrongOrigin {
        /// Position of the entry, counted from 0.
        index: usize,
        /// The origin wanted.
        wanted: String,
        /// The origin found.
        found: String,
    },
    /// No signature of the log on the checkpoint, or one that does not verify.
    #[error(
        "the checkpoint of the log entry{} carries no valid signature of its log",
        place(*index)
    )]
    BadCheckpointSignature {
        /// Position of the entry, counted from 0.
        index: usize,
    },
    /// The proof is for another tree than the checkpoint's.
    #[error(
        "the inclusion proof of the log entry{} is for another tree than its checkpoint",
        place(*index)
    )]
    CheckpointMismatch {
        /// Position of the entry, counted from 0.
        index: usize,
        /// Size and root hash in the checkpoint.
        wanted: (TreeSize, NodeHash),
        /// Size and root hash in the proof.
        found: (TreeSize, NodeHash),
    },
    /// The proof does not lead to the root.
    #[error("the inclusion proof of the log entry{} does not hold", place(*index))]
    BadInclusionProof {
        /// Position of the entry, counted from 0.
        index: usize,
        /// The leaf's index.
        leaf: LeafIndex,
        /// What is wrong.
        problem: crypto::merkle::BadProof,
    },

    /// Fewer observers than the trust root demands.
    #[error("wanted {wanted} {observers}, found {found}")]
    TooFewObservers {
        /// Of which kind.
        observers: Observers,
        /// How many are demanded.
        wanted: NonZeroU8,
        /// How many different ones agreed.
        found: usize,
    },

    /// A timestamp that does not parse.
    #[error("timestamp {index} is malformed")]
    MalformedTimestamp {
        /// Position, counted from 0.
        index: usize,
        /// What is wrong.
        source: ParseTimestampError,
    },
    /// A timestamp over something else.
    #[error("timestamp {index} is not over this signature")]
    TimestampImprint {
        /// Position, counted from 0.
        index: usize,
    },
    /// A timestamp that contradicts itself.
    #[error("timestamp {index} contradicts itself")]
    InconsistentTimestamp {
        /// Position, counted from 0.
        index: usize,
        /// What contradicts.
        source: InconsistentTimestamp,
    },
    /// A timestamp of an authority that is not trusted.
    #[error("timestamp {index} is from an authority that the trust root does not hold")]
    UnknownTimestampAuthority {
        /// Position, counted from 0.
        index: usize,
    },
    /// A timestamp signed in a way that is not supported.
    #[error("timestamp {index} has an unusable signature algorithm")]
    TimestampAlgorithm {
        /// Position, counted from 0.
        index: usize,
        /// What is wrong.
        source: SignatureAlgorithmError,
    },
    /// A timestamp whose signature does not verify.
    #[error("the signature of timestamp {index} does not verify")]
    BadTimestampSignature {
        /// Position, counted from 0.
        index: usize,
    },
    /// A timestamp whose signing certificate does not chain to the authority.
    #[error("the signing certificate of timestamp {index} is not the authority's")]
    TimestampChain {
        /// Position, counted from 0.
        index: usize,
        /// What is wrong.
        source: BadChain,
    },
    /// A timestamp of a moment when its authority was not trusted.
    #[error("the authority of timestamp {index} was not valid at its time")]
    TimestampAuthorityNotValid {
        /// Position, counted from 0.
        index: usize,
        /// The timestamp's time.
        time: UnixTime,
        /// When the authority or its certificate is valid.
        window: Window,
    },

    /// No trusted time at all.
    #[error("nothing trusted says when the signature was made")]
    NoTrustedTime,
    /// No timestamp, where the policy wants one of a timestamp authority.
    #[error("no trusted timestamp authority says when the signature was made")]
    NoSignedTimestamp,
    /// A time that has not come yet.
    #[error("a trusted time lies in the future")]
    TimeInFuture {
        /// The time.
        time: UnixTime,
        /// The time now.
        now: UnixTime,
    },

    /// A bare key where a certificate was wanted.
    #[error("it was signed with a bare key, not with a certificate")]
    NoCertificate,
    /// A certificate where a bare key was wanted and the key in it is another.
    #[error("it was signed with another key than this one")]
    WrongKey,
    /// A chain of certificates in a bundle that may hold one alone.
    #[error("a v0.3 bundle holds one certificate, not a chain")]
    ChainNotAllowed,
    /// A certificate of an authority that is not trusted.
    #[error("the certificate is from an authority that the trust root does not hold")]
    UnknownAuthority,
    /// A certificate that does not chain to the authority that it names.
    #[error("the certificate does not chain to the authority it names")]
    BadCertificate(#[source] BadChain),
    /// An observed time outside a validity window.
    #[error("{what} was not valid when the signature was made")]
    NotValidAtTime {
        /// The certificate, an authority's certificate, or the authority in the trust root.
        what: &'static str,
        /// When the signature was made.
        time: UnixTime,
        /// When it is valid.
        window: Window,
    },
    /// Nobody who is trusted says when the signature was made, so that it is judged as of now, which
    /// is outside a validity window.
    #[error(
        "nothing trusted says when the signature was made{}, and {what} is not valid now",
        passed_over(*unknown_timestamp)
    )]
    NotValidNow {
        /// The certificate, an authority's certificate, or the authority in the trust root.
        what: &'static str,
        /// The time that it is judged at.
        now: UnixTime,
        /// When it is valid.
        window: Window,
        /// A timestamp that was passed over because nobody who is trusted made it, counted from 0.
        unknown_timestamp: Option<usize>,
    },
    /// No certificate timestamp of a trusted CT log.
    #[error("no trusted certificate transparency log promised to publish the certificate")]
    NoCertificateTimestamp {
        /// Number of timestamps found, all of unknown logs.
        found: usize,
    },
    /// A list of certificate timestamps that does not parse.
    #[error("the certificate's transparency timestamps are malformed")]
    MalformedCertificateTimestamps(#[from] ParseSctError),
    /// A certificate timestamp that does not verify.
    #[error("the certificate transparency timestamp does not verify under its log's key")]
    BadCertificateTimestamp,
    /// A certificate timestamp that is later than what the certificate was used for.
    #[error("the CT log took the certificate after it had been used")]
    CertificateTimestampInFuture {
        /// The certificate timestamp's time.
        time: UnixTime,
        /// The last time at which the signature was seen.
        used: UnixTime,
    },
    /// A certificate timestamp of a time when the log's key was not trusted.
    #[error("the CT log's key was not valid when it took the certificate")]
    CtLogKeyNotValid {
        /// The certificate timestamp's time.
        time: UnixTime,
        /// When the key is valid.
        window: Window,
    },
    /// Not exactly one name that identifies the signer.
    #[error("wanted one name (e-mail, URI or user name) in the certificate, found {found}")]
    AmbiguousName {
        /// How many names it has.
        found: usize,
    },
    /// No issuer extension.
    #[error("the certificate does not say which identity provider vouched for the signer")]
    NoIssuer,

    /// The signature does not verify.
    #[error("the signature does not verify")]
    BadSignature,
    /// The artifact's digest in the algorithm that was signed is not known.
    #[error("the signature is over a {wanted} digest, and only another one is known")]
    DigestNotKnown {
        /// The algorithm wanted.
        wanted: crypto::HashAlgorithm,
    },
    /// A signature that needs the artifact itself.
    #[error("the signature is over the artifact itself, and only its digest is known")]
    ArtifactNotKnown,
    /// The log entry is of a kind that cannot be about this.
    #[error("the log entry{} is of a kind that does not record such a signature", place(*index))]
    WrongEntryKind {
        /// Position of the entry, counted from 0.
        index: usize,
        /// Its kind.
        kind: &'static str,
    },
    /// The log entry is about another signature, signer or content.
    #[error("the log entry{} is about {what}", place(*index))]
    EntryMismatch {
        /// Position of the entry, counted from 0.
        index: usize,
        /// What differs.
        what: EntryPart,
    },
    /// The signed digest is another.
    #[error("it is about another artifact")]
    WrongArtifact {
        /// The artifact's digest.
        wanted: Digest,
        /// The digests found, at most a few.
        found: Vec<String>,
    },
    /// An envelope that is no in-toto statement.
    #[error("the envelope's payload is not an in-toto statement")]
    NotAStatement {
        /// The payload type found, cut to 128 characters.
        payload_type: String,
    },
    /// A payload that does not parse.
    #[error("the statement is malformed")]
    MalformedStatement(#[from] ParseStatementError),
    /// A simple signing payload that does not parse.
    #[error("the payload is malformed")]
    MalformedPayload(#[from] ParsePayloadError),

    /// A signer that was not wanted.
    #[error("it was signed by somebody else")]
    WrongIdentity {
        /// The identities wanted.
        wanted: Vec<String>,
        /// Issuer of the one found.
        issuer: String,
        /// Subject of the one found.
        subject: String,
    },
    /// The right signer, but a certificate extension differs.
    #[error("the certificate's {} is not the one wanted", extension.name())]
    WrongExtension {
        /// Which extension.
        extension: FulcioExtension,
        /// The value wanted.
        wanted: String,
        /// The value found, if any.
        found: Option<String>,
    },
    /// The right signer, who said something else about the artifact.
    #[error("it says something else about the artifact")]
    WrongClaim {
        /// What should have been said.
        wanted: String,
        /// What was said.
        found: String,
    },
    /// The right signer, but an annotation is missing or differs.
    #[error("the annotation `{name}` is not the one wanted")]
    WrongAnnotation {
        /// Its name.
        name: String,
        /// The value wanted.
        wanted: String,
        /// The value found, if any, cut to 128 characters.
        found: Option<String>,
    },
    /// The right signer, but too long ago.
    #[error("it was signed too long ago")]
    TooOld {
        /// When a trusted observer first saw it.
        seen: UnixTime,
        /// Seconds since.
        age_s: u64,
        /// Most seconds allowed.
        max_s: u64,
    },
    /// A program of the policy said no.
    #[error("`{program}` does not accept what was said{}", said_suffix(said))]
    ProgramRefused {
        /// What the program is called.
        program: String,
        /// What it said, in its own words.
        said: Vec<String>,
    },
    /// A program of the policy came to no answer, which is not a yes.
    #[error("`{program}` came to no answer: {problem}")]
    ProgramFailed {
        /// What the program is called.
        program: String,
        /// Why.
        problem: String,
    },
    /// Fewer different signers than are wanted.
    #[error("not enough different signers said so")]
    TooFewSigners {
        /// How many are wanted.
        wanted: NonZeroU8,
        /// How many there are.
        found: usize,
    },
    /// A claim that must not be there.
    #[error("the policy denies what was said")]
    Denied {
        /// What must not be there.
        wanted: String,
    },
    /// An artifact that the policy names and denies.
    #[error("the policy denies this artifact: {message}")]
    DeniedArtifact {
        /// What the policy says.
        message: String,
    },
    /// Everything seen is right, but not everything could be seen, and each of them counts.
    #[error("not everything could be seen, and every claim counts")]
    NotAllSeen,
    /// A policy that only denies admits nothing.
    #[error("the policy only says what must not be; nothing vouches for the artifact")]
    NothingVouches,
}

/// Which of the entries that lie in the evidence, where there is more than one to tell apart; never
/// to be taken for a number that the log gave.
fn place(index: usize) -> String {
    match index {
        0 => String::new(),
        index => format!(" in place {} of the evidence", index + 1),
    }
}

/// Why what seems to say when it was made does not.
fn passed_over(timestamp: Option<usize>) -> String {
    timestamp.map_or_else(String::new, |index| {
        let unknown = Refusal::UnknownTimestampAuthority { index };
        format!(" ({unknown})")
    })
}

fn said_suffix(said: &[String]) -> String {
    if said.is_empty() { String::new() } else { format!(": {}", said.join("; ")) }
}

impl Refusal {
    /// The check that refused.
    #[must_use]
    pub fn check(&self) -> Check {
        match self {
            Self::NoEvidence | Self::Malformed(_) | Self::Static { .. } => Check::Format,
            Self::BadPromise { .. } | Self::LogKeyNotValid { .. } => Check::LogPromise,
            Self::NotLogged
            | Self::UnknownLog { .. }
            | Self::NoProof { .. }
            | Self::MalformedCheckpoint { .. }
            | Self::WrongOrigin { .. }
            | Self::BadCheckpointSignature { .. }
            | Self::CheckpointMismatch { .. }
            | Self::BadInclusionProof { .. } => Check::LogInclusion,
            Self::TooFewObservers { observers, .. } => match observers {
                Observers::Logs => Check::LogInclusion,
                Observers::Times => Check::Time,
                Observers::CertificateLogs => Check::CertificateTransparency,
            },
            Self::MalformedTimestamp { .. }
            | Self::TimestampImprint { .. }
            | Self::InconsistentTimestamp { .. }
            | Self::UnknownTimestampAuthority { .. }
            | Self::TimestampAlgorithm { .. }
            | Self::BadTimestampSignature { .. }
            | Self::TimestampChain { .. }
            | Self::TimestampAuthorityNotValid { .. }
            | Self::NoSignedTimestamp => Check::Timestamp,
            Self::NoTrustedTime | Self::TimeInFuture { .. } => Check::Time,
            Self::NoCertificate
            | Self::ChainNotAllowed
            | Self::UnknownAuthority
            | Self::BadCertificate(_)
            | Self::NotValidAtTime { .. }
            | Self::NotValidNow { .. }
            | Self::AmbiguousName { .. }
            | Self::NoIssuer => Check::Certificate,
            Self::WrongKey => Check::Key,
            Self::NoCertificateTimestamp { .. }
            | Self::MalformedCertificateTimestamps(_)
            | Self::BadCertificateTimestamp
            | Self::CertificateTimestampInFuture { .. }
            | Self::CtLogKeyNotValid { .. } => Check::CertificateTransparency,
            Self::BadSignature | Self::DigestNotKnown { .. } | Self::ArtifactNotKnown => {
                Check::Signature
            }
            Self::WrongEntryKind { .. } | Self::EntryMismatch { .. } => Check::LogBinding,
            Self::WrongArtifact { .. }
            | Self::NotAStatement { .. }
            | Self::MalformedStatement(_)
            | Self::MalformedPayload(_) => Check::Artifact,
            Self::WrongClaim { .. }
            | Self::WrongAnnotation { .. }
            | Self::Denied { .. }
            | Self::DeniedArtifact { .. } => Check::Claim,
            Self::TooOld { .. } => Check::Age,
            Self::ProgramRefused { .. } | Self::ProgramFailed { .. } => Check::Program,
            Self::TooFewSigners { .. } | Self::NotAllSeen | Self::NothingVouches => Check::Rule,
            Self::WrongIdentity { .. } | Self::WrongExtension { .. } => Check::Identity,
        }
    }
}

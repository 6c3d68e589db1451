//! Verdicts: a pass with its grounds, a violation with its refusals, or *could not tell* with its
//! obstacles. The three are never mixed up.

use nonempty::NonEmpty;

use crate::claim::VerifiedClaim;
use crate::refusal::Refusal;

/// What the judge says about one case under one policy.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Every requirement is met.
    Admit(Grounds),
    /// A requirement is not met, and everything there is was seen.
    Refuse(NonEmpty<Reason>),
    /// A requirement is not met, but not everything could be seen.
    Unknown(NonEmpty<Obstacle>, Vec<Reason>),
}

/// Why a case was admitted: for each requirement, what met it.
#[derive(Clone, Debug)]
pub struct Grounds(pub NonEmpty<Ground>);

/// What met a requirement.
#[derive(Clone, Debug)]
pub enum Ground {
    /// A proven claim.
    Claim {
        /// Position of the evidence among the pieces of the case, counted from 0: several may have
        /// been found in one place.
        piece: usize,
        /// Where the evidence was found.
        source: String,
        /// The authority that accepted it.
        authority: String,
        /// The claim.
        claim: Box<VerifiedClaim>,
    },
    /// The policy admits without evidence, by name.
    Static {
        /// The authority that says so.
        authority: String,
    },
}

/// One refusal, with where it came from.
#[derive(Clone, Debug)]
pub struct Reason {
    /// Where the evidence was found; `None` when there was none to judge.
    pub source: Option<String>,
    /// The authority that refused.
    pub authority: String,
    /// What it refused.
    pub refusal: Refusal,
}

/// Something that kept evidence from being seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {kind}{}", detail_suffix(detail))]
pub struct Obstacle {
    /// What kind of thing.
    pub kind: ObstacleKind,
    /// What was being looked for, and where.
    pub what: String,
    /// What was said or found.
    pub detail: String,
}

fn detail_suffix(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(" ({detail})") }
}

/// Kinds of obstacles. None of them says anything about whether an artifact is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObstacleKind {
    /// Credentials are missing or wrong (401).
    Unauthorized,
    /// Credentials do not suffice (403).
    Forbidden,
    /// Asked too often (429).
    RateLimited,
    /// No answer in time.
    TimedOut,
    /// No connection.
    Unreachable,
    /// TLS failed.
    Tls,
    /// The other side failed (5xx).
    ServerError,
    /// The answer is longer than is read.
    TooLarge,
    /// The answer makes no sense.
    Malformed,
    /// What was asked for is not there.
    NotFound,
    /// Something is not supported yet.
    Unsupported,
    /// A trust root that is expired or unusable.
    TrustRoot,
    /// Too much is being looked at here at once.
    Busy,
    /// An internal failure.
    Internal,
}

impl ObstacleKind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Unauthorized,
        Self::Forbidden,
        Self::RateLimited,
        Self::TimedOut,
        Self::Unreachable,
        Self::Tls,
        Self::ServerError,
        Self::TooLarge,
        Self::Malformed,
        Self::NotFound,
        Self::Unsupported,
        Self::TrustRoot,
        Self::Busy,
        Self::Internal,
    ];
}

impl std::fmt::Display for ObstacleKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unauthorized => "credentials are missing or were refused",
            Self::Forbidden => "access is forbidden",
            Self::RateLimited => "asked too often",
            Self::TimedOut => "no answer in time",
            Self::Unreachable => "cannot be reached",
            Self::Tls => "no secure connection",
            Self::ServerError => "the server failed",
            Self::TooLarge => "the answer is too large",
            Self::Malformed => "the answer makes no sense",
            Self::NotFound => "not found",
            Self::Unsupported => "not supported",
            Self::TrustRoot => "the trust root cannot be used",
            Self::Busy => "too much is being looked at here at once",
            Self::Internal => "internal failure",
        })
    }
}

//! Questions that a program puts to one proven claim. The languages live elsewhere; here is only
//! what a question is told and what it may answer.

use std::fmt::Debug;

use evidence::UnixTime;

use crate::claim::VerifiedClaim;

/// What a program is asked about: one proven claim.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The claim: who said it, when it was seen, about what.
    pub claim: &'a VerifiedClaim,
    /// What was signed, exactly as received: a statement, or a simple signing payload; `None` for a
    /// signature over the artifact itself.
    pub payload: Option<&'a [u8]>,
    /// The time now.
    pub now: UnixTime,
}

/// A program that judges what was said, written by whoever wrote the policy.
///
/// It is asked about proven claims only. It has no network, clock or state of its own, and must
/// answer within bounds that it sets itself: what it is asked about was written by others.
pub trait Predicate: Debug + Send + Sync {
    /// What it is called where people read it: a file, or a line of the policy.
    fn name(&self) -> &str;

    /// Judges one claim.
    ///
    /// # Errors
    /// When the program says no, or came to no answer.
    fn judge(&self, question: &Question<'_>) -> Result<(), Objection>;
}

/// Why a program does not accept a claim. Either way the claim is not accepted; an operator wants to
/// know whether to look at the claim or at the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// It said no.
    Refused {
        /// What it said, in its own words; may be empty.
        said: Vec<String>,
    },
    /// It came to no answer: an error in it, or more work than it may do.
    Failed {
        /// Why.
        problem: String,
    },
}

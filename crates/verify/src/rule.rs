//! Which of the claims that were proven must hold, how many signers must have made them, how old
//! they may be, and what programs say of them.
//!
//! A claim *counts* if a signer that is wanted made it, and it is of the kind that is wanted. What
//! counts and does not satisfy the rule is a violation under [`Which::All`]; what does not count is
//! passed over, because anybody may lay anything beside an artifact.

use std::collections::BTreeSet;
use std::num::NonZeroU8;
use std::sync::Arc;

use evidence::Evidence;
use evidence::UnixTime;
use evidence::bundle::Content;

use crate::check::Check;
use crate::claim::VerifiedClaim;
use crate::explain::Trace;
use crate::predicate::{Objection, Predicate, Question};
use crate::refusal::Refusal;

/// What must hold of the claims that count.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Which of them.
    pub which: Which,
    /// By how many different signers at least.
    pub signers_min: NonZeroU8,
    /// How many seconds ago a trusted observer may have seen them first.
    pub age_max_s: Option<u64>,
    /// Programs, all of which must accept.
    pub predicates: Vec<Arc<dyn Predicate>>,
}

/// Which of the claims that count must satisfy the rest of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// As many as there must be signers; others do not matter.
    Any,
    /// Each of them, and there is at least one.
    All,
    /// The one seen last (each of them, if several were seen in that moment).
    Latest,
    /// None: there must be no claim that counts and satisfies the rest.
    None,
}

impl Rule {
    /// One claim of one signer suffices, whenever it was made.
    #[must_use]
    pub fn any() -> Self {
        Self {
            which: Which::Any,
            signers_min: NonZeroU8::MIN,
            age_max_s: None,
            predicates: Vec::new(),
        }
    }

    /// Whether the first claim that holds decides, so that no other need be looked at.
    pub(crate) fn is_met_by_one(&self) -> bool {
        self.which == Which::Any && self.signers_min == NonZeroU8::MIN
    }

    /// Checks the age of a proven claim and puts it to every program.
    pub(crate) fn check(
        &self,
        claim: &VerifiedClaim,
        evidence: &Evidence,
        now: UnixTime,
        trace: &mut Trace,
    ) -> Result<(), Refusal> {
        if let Some(max_s) = self.age_max_s {
            check_age(claim, max_s, now, trace)?;
        }
        let payload = match &evidence.content {
            Content::Envelope(envelope) => Some(envelope.payload.as_slice()),
            Content::SimpleSigning { payload, .. } => Some(payload.as_slice()),
            Content::Message { .. } => None,
        };
        for predicate in &self.predicates {
            let name = || predicate.name().to_owned();
            match predicate.judge(&Question { claim, payload, now }) {
                Ok(()) => trace.passed(Check::Program, || (name(), "it accepts".to_owned())),
                Err(Objection::Refused { said }) => {
                    return Err(Refusal::ProgramRefused { program: name(), said });
                }
                Err(Objection::Failed { problem }) => {
                    return Err(Refusal::ProgramFailed { program: name(), problem });
                }
            }
        }
        Ok(())
    }
}

fn check_age(
    claim: &VerifiedClaim,
    max_s: u64,
    now: UnixTime,
    trace: &mut Trace,
) -> Result<(), Refusal> {
    let seen = claim.seen().ok_or(Refusal::NoTrustedTime)?;
    // Clocks may differ a little: what was seen after now is new.
    let age_s = u64::try_from(now.seconds().saturating_sub(seen.seconds())).unwrap_or(0);
    if age_s > max_s {
        return Err(Refusal::TooOld { seen, age_s, max_s });
    }
    trace.passed(Check::Age, || {
        (format!("seen at most {max_s} seconds ago"), format!("{age_s} seconds ago"))
    });
    Ok(())
}

/// What makes two signers two: for whoever has a certificate, who vouched for whom; for a pinned
/// key, the key.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identifier<'c> {
    Certified { issuer: Option<&'c str>, subject: &'c str },
    Key(&'c [u8]),
}

/// How many different signers made these claims.
pub(crate) fn different_signers<'c>(claims: impl Iterator<Item = &'c VerifiedClaim>) -> usize {
    claims
        .map(|claim| {
            let signer = claim.signer();
            match signer.subject() {
                Some(subject) => Identifier::Certified { issuer: signer.issuer(), subject },
                None => Identifier::Key(signer.key().spki_der()),
            }
        })
        .collect::<BTreeSet<_>>()
        .len()
}

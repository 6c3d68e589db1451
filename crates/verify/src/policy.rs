//! What is wanted, and the judge over it: every requirement, no reason lost.
//!
//! A [`Policy`] has no default and no empty form: nothing to require can never mean success. A
//! waiver is a variant that a reader of the policy sees.

use evidence::{Evidence, ParseEvidenceError, UnixTime};
use nonempty::NonEmpty;

use crate::authority::Authority;
use crate::claim::Artifact;
use crate::explain::{Explanation, Record};
use crate::refusal::{Refusal, WantedIn};
use crate::rule::{Rule, Which};
use crate::verdict::{Grounds, Obstacle, Reason, Verdict};
use crate::wanted::ClaimPattern;

/// What is required of an artifact. Every requirement must be met.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What the policy is called where people read it.
    pub name: String,
    /// The requirements.
    pub requirements: NonEmpty<Requirement>,
}

/// One requirement: of the claims that any of its authorities made, those of one pattern count, and
/// they must satisfy the rule.
#[derive(Clone, Debug)]
pub struct Requirement {
    /// The authorities, any of which suffices.
    pub any_of: NonEmpty<Authority>,
    /// What they must have said.
    pub claim: ClaimPattern,
    /// What must hold of all that they said.
    pub rule: Rule,
}

/// What is judged: an artifact, every piece of evidence found about it, and what kept others from
/// being found.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The artifact.
    pub artifact: &'a Artifact<'a>,
    /// The evidence.
    pub pieces: &'a [Piece],
    /// What could not be seen.
    pub obstacles: &'a [Obstacle],
}

/// A piece of evidence, with where it was found.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Where it was found.
    pub source: String,
    /// The evidence, or why it is none.
    pub evidence: Result<Evidence, ParseEvidenceError>,
}

impl Policy {
    /// Whether an admission stands whatever further evidence there is, so that nobody need look for
    /// more. Says nothing about any case.
    #[must_use]
    pub fn admits_for_good(&self) -> bool {
        self.requirements.iter().all(|requirement| {
            // Whoever adds a condition here has to say whether more evidence can break it.
            let Requirement { any_of: _, claim: _, rule } = requirement;
            rule.which == Which::Any
        })
    }

    /// Judges a case.
    #[must_use]
    pub fn judge(&self, case: &Case<'_>, now: UnixTime) -> Verdict {
        self.judge_with(case, now, &mut None)
    }

    /// Judges a case and writes down every check, with hints for whoever has said there what is
    /// wanted.
    #[must_use]
    pub fn explain(
        &self,
        case: &Case<'_>,
        now: UnixTime,
        wanted_in: WantedIn,
    ) -> (Verdict, Vec<Explanation>) {
        let mut record = Some(Record { wanted_in, explanations: Vec::new() });
        let verdict = self.judge_with(case, now, &mut record);
        (verdict, record.map(|record| record.explanations).unwrap_or_default())
    }

    fn judge_with(&self, case: &Case<'_>, now: UnixTime, record: &mut Option<Record>) -> Verdict {
        let mut grounds = Vec::new();
        let mut reasons = Vec::new();
        let mut hopeless = false;
        for requirement in &self.requirements {
            match requirement.judge(case, now, record) {
                Ok(met) => grounds.extend(met),
                Err(unmet) => {
                    hopeless |= unmet.is_final;
                    reasons.extend(unmet.reasons);
                }
            }
        }
        match (NonEmpty::from_vec(grounds), NonEmpty::from_vec(reasons)) {
            (Some(grounds), None) => Verdict::Admit(Grounds(grounds)),
            // Nothing is denied, and nothing vouches either.
            (None, None) => {
                let (authority, refusal) = (self.name.clone(), Refusal::NothingVouches);
                Verdict::Refuse(NonEmpty::new(Reason { source: None, authority, refusal }))
            }
            (_, Some(reasons)) => match NonEmpty::collect(case.obstacles.iter().cloned()) {
                // What was not seen might have met the requirement; but one that no evidence can
                // meet is refused all the same.
                Some(obstacles) if !hopeless => Verdict::Unknown(obstacles, reasons.into()),
                _ => Verdict::Refuse(reasons),
            },
        }
    }
}

impl Requirement {
    /// Wants any of these, whatever they say about the artifact.
    #[must_use]
    pub fn any_claim_by(any_of: NonEmpty<Authority>) -> Self {
        Self { any_of, claim: ClaimPattern::any(), rule: Rule::any() }
    }
}

//! One requirement over one case: every piece of evidence under every authority, and then the rule.

use evidence::{Evidence, UnixTime};

use crate::authority::Authority;
use crate::check::Check;
use crate::claim::VerifiedClaim;
use crate::explain::{Explanation, Record, Trace};
use crate::policy::{Case, Piece, Requirement};
use crate::refusal::Refusal;
use crate::rule::{Which, different_signers};
use crate::verdict::{Ground, Reason};

/// Why a requirement is not met.
pub(crate) struct Unmet {
    /// At least one.
    pub(crate) reasons: Vec<Reason>,
    /// Whether no evidence that was not seen could change it.
    pub(crate) is_final: bool,
}

/// What was found out about the pieces.
#[derive(Default)]
struct Survey {
    /// Claims that count and satisfy the rest of the rule.
    holding: Vec<Held>,
    /// Claims that count and do not.
    violating: Vec<Violation>,
    /// What does not count, and why.
    passed_over: Vec<Reason>,
}

struct Held {
    /// Position of the piece: one that several authorities accept is one.
    piece: usize,
    source: String,
    authority: String,
    claim: Box<VerifiedClaim>,
}

struct Violation {
    reason: Reason,
    /// When it was first seen, if that is known.
    seen: Option<UnixTime>,
}

/// Why one piece does not hold under one authority.
struct Missed {
    refusal: Refusal,
    /// Whether it counts all the same; and when it was first seen, if that is known.
    counts: Option<Option<UnixTime>>,
}

impl Missed {
    fn passed_over(refusal: Refusal) -> Box<Self> {
        Box::new(Self { refusal, counts: None })
    }
}

impl From<Held> for Ground {
    fn from(Held { piece, source, authority, claim }: Held) -> Self {
        Self::Claim { piece, source, authority, claim }
    }
}

impl Requirement {
    /// What meets it: at least one ground, unless it only says what must not be.
    pub(crate) fn judge(
        &self,
        case: &Case<'_>,
        now: UnixTime,
        record: &mut Option<Record>,
    ) -> Result<Vec<Ground>, Unmet> {
        let mut survey = Survey::default();
        let mut is_final = true;
        for authority in &self.any_of {
            let name = authority.name().to_owned();
            let reason = |refusal| Reason { source: None, authority: name.clone(), refusal };
            match authority {
                Authority::StaticPass { .. } => {
                    return Ok(vec![Ground::Static { authority: name }]);
                }
                Authority::StaticFail { message, .. } => {
                    let refusal = Refusal::Static { message: message.clone() };
                    survey.passed_over.push(reason(refusal));
                }
                Authority::DenyList { digests, message, .. } => {
                    if !case.artifact.is_one_of(digests) {
                        return Ok(Vec::new());
                    }
                    let refusal = Refusal::DeniedArtifact { message: message.clone() };
                    survey.passed_over.push(reason(refusal));
                }
                Authority::Keyless { .. } | Authority::Key { .. } => {
                    is_final = false;
                    if case.pieces.is_empty() {
                        survey.passed_over.push(reason(Refusal::NoEvidence));
                    }
                    let met = self.survey(authority, case, now, record, &mut survey);
                    if let Some(ground) = met {
                        return Ok(vec![ground]);
                    }
                }
            }
        }
        if is_final {
            return Err(Unmet { reasons: survey.passed_over, is_final });
        }
        self.conclude(survey, case)
    }

    /// Looks at every piece under one authority; stops at the first that suffices.
    fn survey(
        &self,
        authority: &Authority,
        case: &Case<'_>,
        now: UnixTime,
        record: &mut Option<Record>,
        survey: &mut Survey,
    ) -> Option<Ground> {
        for (piece, Piece { source, evidence }) in case.pieces.iter().enumerate() {
            let mut trace =
                record.as_ref().map_or(Trace::silent(), |it| Trace::recording(it.wanted_in));
            let outcome = match evidence {
                Ok(evidence) => self.look(authority, evidence, case, now, &mut trace),
                Err(malformed) => Err(Missed::passed_over(Refusal::Malformed(malformed.clone()))),
            };
            if let Err(missed) = &outcome {
                trace.failed(&missed.refusal);
            }
            let name = authority.name().to_owned();
            let source = source.clone();
            if let Some(Record { explanations, .. }) = record {
                let (source, authority) = (source.clone(), name.clone());
                explanations.push(Explanation { source, authority, lines: trace.into_lines() });
            }
            match outcome {
                Ok(claim) => {
                    let held = Held { piece, source, authority: name, claim };
                    if self.rule.is_met_by_one() {
                        return Some(held.into());
                    }
                    if !survey.holding.iter().any(|other| other.piece == piece) {
                        survey.holding.push(held);
                    }
                }
                Err(missed) => {
                    let Missed { refusal, counts } = *missed;
                    let reason = Reason { source: Some(source), authority: name, refusal };
                    match counts {
                        Some(seen) => survey.violating.push(Violation { reason, seen }),
                        None => survey.passed_over.push(reason),
                    }
                }
            }
        }
        None
    }

    /// One piece under one authority: the chain, then whether it counts, then the rest of the rule.
    fn look(
        &self,
        authority: &Authority,
        evidence: &Evidence,
        case: &Case<'_>,
        now: UnixTime,
        trace: &mut Trace,
    ) -> Result<Box<VerifiedClaim>, Box<Missed>> {
        trace.passed(Check::Format, || {
            ("evidence that can be read".to_owned(), evidence.format.to_string())
        });
        let claim = match authority.prove(evidence, case.artifact, now, trace) {
            Ok(claim) => claim,
            Err(refusal) => {
                // What a wanted signer signed and nobody can read may say anything.
                let unread = matches!(
                    refusal,
                    Refusal::MalformedStatement(_) | Refusal::MalformedPayload(_)
                );
                let counts = (unread && authority.is_signed_by(evidence, now)).then_some(None);
                return Err(Box::new(Missed { refusal, counts }));
            }
        };
        self.claim.check(&claim, trace).map_err(Missed::passed_over)?;
        match self.rule.check(&claim, evidence, now, trace) {
            Ok(()) => Ok(Box::new(claim)),
            Err(refusal) => Err(Box::new(Missed { refusal, counts: Some(claim.seen()) })),
        }
    }

    /// Whether what was found satisfies the rule.
    fn conclude(&self, survey: Survey, case: &Case<'_>) -> Result<Vec<Ground>, Unmet> {
        let Survey { mut holding, mut violating, passed_over } = survey;
        let of_rule = |refusal| Reason {
            source: None,
            authority: self.any_of.first().name().to_owned(),
            refusal,
        };
        let unmet = |reasons, is_final| Err(Unmet { reasons, is_final });
        let all_seen = case.obstacles.is_empty();
        match self.rule.which {
            Which::Any => {}
            Which::All => {
                if !violating.is_empty() {
                    // Whatever else there is, these stay.
                    return unmet(violating.into_iter().map(|it| it.reason).collect(), true);
                }
            }
            Which::Latest => {
                let seen = |held: &Held| held.claim.seen();
                let times = holding.iter().map(seen).chain(violating.iter().map(|it| it.seen));
                // What has no known time may be the latest.
                let latest = times.collect::<Option<Vec<_>>>().map(|times| times.into_iter().max());
                let Some(latest) = latest else {
                    let unread = violating.into_iter().filter(|it| it.seen.is_none());
                    let mut reasons: Vec<_> = unread.map(|it| it.reason).collect();
                    reasons.push(of_rule(Refusal::NoTrustedTime));
                    return unmet(reasons, false);
                };
                let (last, earlier): (Vec<_>, Vec<_>) =
                    violating.into_iter().partition(|it| it.seen == latest);
                if !last.is_empty() {
                    return unmet(last.into_iter().map(|it| it.reason).collect(), false);
                }
                violating = earlier;
                holding.retain(|held| held.claim.seen() == latest);
            }
            Which::None => return self.conclude_none(&holding, violating, all_seen),
        }
        if holding.is_empty() {
            let violating = violating.into_iter().map(|it| it.reason);
            return unmet(violating.chain(passed_over).collect(), false);
        }
        let (wanted, found) =
            (self.rule.signers_min, different_signers(holding.iter().map(|it| &*it.claim)));
        if found < usize::from(wanted.get()) {
            let too_few = of_rule(Refusal::TooFewSigners { wanted, found });
            let violating = violating.into_iter().map(|it| it.reason);
            let reasons = std::iter::once(too_few).chain(violating).chain(passed_over);
            return unmet(reasons.collect(), false);
        }
        if self.rule.which != Which::Any && !all_seen {
            return unmet(vec![of_rule(Refusal::NotAllSeen)], false);
        }
        Ok(holding.into_iter().map(Ground::from).collect())
    }

    fn conclude_none(
        &self,
        holding: &[Held],
        violating: Vec<Violation>,
        all_seen: bool,
    ) -> Result<Vec<Ground>, Unmet> {
        let found = different_signers(holding.iter().map(|it| &*it.claim));
        if found >= usize::from(self.rule.signers_min.get()) {
            let denied = |held: &Held| Reason {
                source: Some(held.source.clone()),
                authority: held.authority.clone(),
                refusal: Refusal::Denied { wanted: self.claim.to_string() },
            };
            return Err(Unmet { reasons: holding.iter().map(denied).collect(), is_final: true });
        }
        // What was asked and said no, or is old, is not denied; what could not be asked may be.
        let unsure = violating.into_iter().map(|it| it.reason).filter(|reason| {
            !matches!(reason.refusal, Refusal::ProgramRefused { .. } | Refusal::TooOld { .. })
        });
        let reasons: Vec<_> = unsure.collect();
        if !reasons.is_empty() {
            return Err(Unmet { reasons, is_final: true });
        }
        if !all_seen {
            let authority = self.any_of.first().name().to_owned();
            let refusal = Refusal::NotAllSeen;
            let reasons = vec![Reason { source: None, authority, refusal }];
            return Err(Unmet { reasons, is_final: false });
        }
        Ok(Vec::new())
    }
}

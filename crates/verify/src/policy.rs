//! What is wanted, and the judge: every piece of evidence under every requirement, no reason lost.
//!
//! A [`Policy`] has no default and no empty form: nothing to require can never mean success. A
//! waiver is a variant that a reader of the policy sees.

use std::sync::Arc;

use crypto::PublicKey;
use evidence::certificate::FulcioExtension;
use evidence::{Digest, Evidence, ParseEvidenceError, UnixTime};
use nonempty::NonEmpty;
use regex::{Regex, RegexBuilder};

use crate::check::Check;
use crate::claim::{self, Artifact, VerifiedClaim};
use crate::demands::Demands;
use crate::explain::{Explanation, Trace};
use crate::logged::Logged;
use crate::refusal::Refusal;
use crate::rule::{Rule, Which};
use crate::signer::VerifiedSigner;
use crate::time::VerifiedTime;
use crate::trust_root::TrustRoot;
use crate::verdict::{Grounds, Obstacle, Reason, Verdict};
use crate::wanted::ClaimPattern;
use crate::{logged, signer, time};

/// Longest regular expression taken, in bytes.
pub const REGEX_SIZE_MAX: usize = 4096;
/// Most memory a compiled regular expression may take, in bytes.
const REGEX_MEMORY_MAX: usize = 1024 * 1024;

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

/// Who can meet a requirement, each with its own trust root.
#[derive(Clone, Debug)]
pub enum Authority {
    /// A signer certified by an authority of the trust root.
    Keyless {
        /// What it is called.
        name: String,
        /// What is believed.
        roots: Arc<TrustRoot>,
        /// The signers wanted, any of which suffices.
        identities: NonEmpty<IdentityPattern>,
        /// What else must be shown.
        demands: Demands,
    },
    /// The holder of a key.
    Key {
        /// What it is called.
        name: String,
        /// What is believed about logs and timestamps.
        roots: Arc<TrustRoot>,
        /// The key.
        key: Box<PublicKey>,
        /// What else must be shown.
        demands: Demands,
    },
    /// Admits without evidence.
    StaticPass {
        /// What it is called.
        name: String,
    },
    /// Refuses whatever the evidence.
    StaticFail {
        /// What it is called.
        name: String,
        /// What to tell.
        message: String,
    },
    /// Refuses the artifacts it names whatever the evidence, and vouches for no other.
    DenyList {
        /// What it is called.
        name: String,
        /// The artifacts.
        digests: Vec<Digest>,
        /// What to tell.
        message: String,
    },
}

/// A signer that is wanted: everything named must match.
#[derive(Clone, Debug)]
pub struct IdentityPattern {
    /// The identity provider.
    pub issuer: Pattern,
    /// The name in the certificate.
    pub subject: Pattern,
    /// Further certificate extensions.
    pub extensions: Vec<(FulcioExtension, Pattern)>,
}

/// How a text is compared.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// Equal, byte for byte.
    Exact(String),
    /// Contains a match of the regular expression: unanchored, as Cosign does.
    Regex(Regex),
}

/// A regular expression that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// An empty text would match only an empty name, and an empty expression every one.
    #[error("an empty pattern matches nothing useful")]
    Empty,
    /// Longer than [`REGEX_SIZE_MAX`].
    #[error("a regular expression of {found} bytes is longer than the {REGEX_SIZE_MAX} taken")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// Not a regular expression.
    #[error("not a regular expression: {0}")]
    Syntax(String),
}

impl Pattern {
    /// A text to be equal to.
    ///
    /// # Errors
    /// When it is empty.
    pub fn exact(text: &str) -> Result<Self, BadPattern> {
        if text.is_empty() { Err(BadPattern::Empty) } else { Ok(Self::Exact(text.to_owned())) }
    }

    /// A regular expression to contain a match of.
    ///
    /// # Errors
    /// When it is empty, too long or no regular expression.
    pub fn regex(expression: &str) -> Result<Self, BadPattern> {
        if expression.is_empty() {
            return Err(BadPattern::Empty);
        }
        if expression.len() > REGEX_SIZE_MAX {
            return Err(BadPattern::TooLong { found: expression.len() });
        }
        RegexBuilder::new(expression)
            .size_limit(REGEX_MEMORY_MAX)
            .dfa_size_limit(REGEX_MEMORY_MAX)
            .build()
            .map(Self::Regex)
            .map_err(|error| BadPattern::Syntax(error.to_string().replace('\n', " ")))
    }

    /// Whether the text matches.
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted == text,
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(text) => write!(f, "`{text}`"),
            Self::Regex(regex) => write!(f, "a match of `{regex}`"),
        }
    }
}

impl std::fmt::Display for IdentityPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} vouched for by {}", self.subject, self.issuer)?;
        self.extensions
            .iter()
            .try_for_each(|(extension, wanted)| write!(f, ", {} {wanted}", extension.name()))
    }
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

    /// Judges a case and writes down every check.
    #[must_use]
    pub fn explain(&self, case: &Case<'_>, now: UnixTime) -> (Verdict, Vec<Explanation>) {
        let mut explanations = Some(Vec::new());
        let verdict = self.judge_with(case, now, &mut explanations);
        (verdict, explanations.unwrap_or_default())
    }

    fn judge_with(
        &self,
        case: &Case<'_>,
        now: UnixTime,
        explanations: &mut Option<Vec<Explanation>>,
    ) -> Verdict {
        let mut grounds = Vec::new();
        let mut reasons = Vec::new();
        let mut hopeless = false;
        for requirement in &self.requirements {
            match requirement.judge(case, now, explanations) {
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

impl Authority {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Keyless { name, .. }
            | Self::Key { name, .. }
            | Self::StaticPass { name }
            | Self::StaticFail { name, .. }
            | Self::DenyList { name, .. } => name,
        }
    }

    /// Whether somebody who is wanted signed the evidence, whatever it says. For evidence that does
    /// not read: who made it decides whether that matters.
    pub(crate) fn is_signed_by(&self, evidence: &Evidence, now: UnixTime) -> bool {
        let quiet = &mut Trace::silent();
        match self {
            Self::Keyless { roots, identities, demands, .. } => {
                certified_signer(evidence, roots, *demands, now, quiet)
                    .and_then(|certified| check_identity(&certified.signer, identities, quiet))
                    .is_ok()
            }
            Self::Key { key, demands, .. } => signer::pin(evidence, key, *demands, quiet).is_ok(),
            Self::StaticPass { .. } | Self::StaticFail { .. } | Self::DenyList { .. } => false,
        }
    }

    /// The chain: log, time, signer, claim; then whether this signer is wanted.
    pub(crate) fn prove(
        &self,
        evidence: &Evidence,
        artifact: &Artifact<'_>,
        now: UnixTime,
        trace: &mut Trace,
    ) -> Result<VerifiedClaim, Refusal> {
        match self {
            Self::Keyless { roots, identities, demands, .. } => {
                let Certified { logged, times, signer } =
                    certified_signer(evidence, roots, *demands, now, trace)?;
                let claim = claim::verify(evidence, signer, logged, times.into(), artifact, trace)?;
                check_identity(claim.signer(), identities, trace)?;
                Ok(claim)
            }
            Self::Key { roots, key, demands, .. } => {
                let logged = logged::verify(evidence, roots, demands.logging, trace)?;
                let times = time::observe_any(evidence, &logged, roots, *demands, now, trace)?;
                let signer = signer::pin(evidence, key, *demands, trace)?;
                claim::verify(evidence, signer, logged, times, artifact, trace)
            }
            Self::StaticPass { .. } | Self::StaticFail { .. } | Self::DenyList { .. } => {
                Err(Refusal::NoEvidence)
            }
        }
    }
}

/// A signer whom a certificate names, and what showed it.
struct Certified {
    logged: Logged,
    times: NonEmpty<VerifiedTime>,
    signer: VerifiedSigner,
}

/// The keyless chain as far as who signed: log, time, signer.
fn certified_signer(
    evidence: &Evidence,
    roots: &TrustRoot,
    demands: Demands,
    now: UnixTime,
    trace: &mut Trace,
) -> Result<Certified, Refusal> {
    let logged = logged::verify(evidence, roots, demands.logging, trace)?;
    let times = time::observe(evidence, &logged, roots, demands, now, trace)?;
    let signer = signer::verify(evidence, &times, roots, demands, trace)?;
    Ok(Certified { logged, times, signer })
}

fn check_identity(
    signer: &VerifiedSigner,
    identities: &NonEmpty<IdentityPattern>,
    trace: &mut Trace,
) -> Result<(), Refusal> {
    let (Some(issuer), Some(subject)) = (signer.issuer(), signer.subject()) else {
        return Err(Refusal::NoCertificate);
    };
    let named = identities
        .iter()
        .filter(|identity| identity.issuer.matches(issuer) && identity.subject.matches(subject));
    let mut refusal = Refusal::WrongIdentity {
        wanted: identities.iter().map(ToString::to_string).collect(),
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
    };
    for identity in named {
        match check_extensions(signer, identity) {
            Ok(()) => {
                trace.passed(Check::Identity, || {
                    (identity.to_string(), format!("`{subject}` vouched for by `{issuer}`"))
                });
                return Ok(());
            }
            Err(why) => refusal = why,
        }
    }
    Err(refusal)
}

fn check_extensions(signer: &VerifiedSigner, identity: &IdentityPattern) -> Result<(), Refusal> {
    for (extension, wanted) in &identity.extensions {
        let found = signer.extensions().and_then(|extensions| extensions.get(*extension));
        if !found.is_some_and(|value| wanted.matches(value)) {
            return Err(Refusal::WrongExtension {
                extension: *extension,
                wanted: wanted.to_string(),
                found: found.map(str::to_owned),
            });
        }
    }
    Ok(())
}

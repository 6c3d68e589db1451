//! Valid policies into what the judge takes; and which part of a policy decides about one image.
//!
//! All policies that cover an image must be met; within one, any authority suffices; within an
//! authority, any identity. What is valid and not carried out yet refuses the policy by name.
//!
//! `keyless.url` and `ctlog.url` are contacted by nobody, as in policy-controller, where they only
//! switch a check on: certificates must chain to, and entries be in a log of, the trust root given.
//! Both checks are always on here.

use std::sync::Arc;

use verify::verdict::Reason;
use verify::{
    Authority as Judge, Demands, IdentityPattern, NonEmpty, Policy, Refusal, Requirement, TrustRoot,
};

use super::cover::{Coverage, ImageNames, Object};
use super::{
    Authority, AuthorityKind, ClusterImagePolicy, Identity, Keyless, MatchResource, Mode, Pattern,
    Static,
};
use crate::glob::ClusterImagePolicyGlob;
use crate::problem::{Problem, Problems, Wrong};

/// A policy ready to be applied to images.
#[derive(Clone, Debug)]
pub struct ImagePolicy {
    name: String,
    mode: Mode,
    images: Vec<ClusterImagePolicyGlob>,
    matches: Vec<MatchResource>,
    /// Name of an authority that passes images unjudged.
    pass: Option<String>,
    /// Every other authority; `None` if there is no other.
    judged: Option<Arc<Policy>>,
}

/// What a policy says about an image that it covers.
#[derive(Clone, Debug)]
pub enum Rule<'a> {
    /// Met, whatever the evidence; none need be fetched.
    Pass {
        /// The authority that says so.
        authority: &'a str,
    },
    /// Not met, whatever the evidence; none need be fetched.
    Fail(NonEmpty<Reason>),
    /// To be judged with evidence.
    Judge(&'a Arc<Policy>),
}

impl ImagePolicy {
    /// The policy's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What follows when it is not met.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether images of that object can fall under the policy at all.
    #[must_use]
    pub fn selects(&self, object: &Object) -> bool {
        self.matches.is_empty() || self.matches.iter().any(|entry| entry.selects(object))
    }

    /// What the policy says about an image of that object; `None` if it does not cover it.
    #[must_use]
    pub fn rule(&self, names: &ImageNames, object: &Object) -> Option<Rule<'_>> {
        if !self.selects(object) {
            return None;
        }
        let coverage = self.images.iter().map(|glob| names.covered_by(glob)).max();
        let coverage = coverage.filter(|coverage| *coverage != Coverage::No)?;
        // A name that the requester can choose freely must not buy a pass.
        if let (Some(authority), Coverage::Certain) = (&self.pass, coverage) {
            return Some(Rule::Pass { authority });
        }
        let judged = self.judged.as_ref()?;
        Some(static_refusals(judged).map_or(Rule::Judge(judged), Rule::Fail))
    }
}

/// The refusals of a policy whose authorities all refuse without looking.
fn static_refusals(policy: &Policy) -> Option<NonEmpty<Reason>> {
    let authorities = policy.requirements.iter().flat_map(|requirement| &requirement.any_of);
    let reasons = authorities.map(|authority| match authority {
        Judge::StaticFail { name, message } => Some(Reason {
            source: None,
            authority: name.clone(),
            refusal: Refusal::Static { message: message.clone() },
        }),
        _ => None,
    });
    NonEmpty::from_vec(reasons.collect::<Option<Vec<_>>>()?)
}

/// Lowers policies, whose keyless authorities will all believe `roots`.
///
/// # Errors
/// With every field that is not supported yet, every `match` entry that can match nothing, and
/// every name that comes twice.
pub fn lower(
    policies: &[ClusterImagePolicy],
    roots: &Arc<TrustRoot>,
) -> Result<Vec<ImagePolicy>, Problems> {
    let mut found = Vec::new();
    let mut lowered: Vec<ImagePolicy> = Vec::new();
    for policy in policies {
        let mut lowering = Lowering { policy: &policy.name, found: &mut found };
        if lowered.iter().any(|other| other.name == policy.name) {
            lowering.problem("metadata.name", Wrong::DuplicateName);
        }
        lowered.extend(lowering.policy(policy, roots));
    }
    Problems::check(found, Some(lowered))
}

struct Lowering<'a> {
    policy: &'a str,
    found: &'a mut Vec<Problem>,
}

impl Lowering<'_> {
    fn problem(&mut self, field: &str, wrong: Wrong) {
        let field = format!("policy `{}`: {field}", self.policy);
        self.found.push(Problem { line: None, field, wrong });
    }

    fn policy(
        &mut self,
        policy: &ClusterImagePolicy,
        roots: &Arc<TrustRoot>,
    ) -> Option<ImagePolicy> {
        for (index, entry) in policy.matches.iter().enumerate() {
            if let Err(reason) = check_match(entry) {
                self.problem(&format!("spec.match[{index}]"), Wrong::MatchesNothing { reason });
            }
        }
        if policy.policy.is_some() {
            self.problem("spec.policy", Wrong::Unsupported);
        }
        let mut pass = None;
        let mut judges = Vec::new();
        for (index, authority) in policy.authorities.iter().enumerate() {
            let field = format!("spec.authorities[{index}]");
            match &authority.kind {
                AuthorityKind::Static(Static::Pass) => pass = Some(authority.name.clone()),
                AuthorityKind::Static(Static::Fail { message }) => {
                    let message = message.clone().unwrap_or_else(|| "no reason given".to_owned());
                    judges.push(Judge::StaticFail { name: authority.name.clone(), message });
                }
                AuthorityKind::Key(_) => {
                    self.problem(&format!("{field}.key"), Wrong::Unsupported);
                    self.surroundings(&field, authority);
                }
                AuthorityKind::Keyless(keyless) => {
                    self.surroundings(&field, authority);
                    judges.extend(self.keyless(&field, authority, keyless, roots));
                }
            }
        }
        let requirement = NonEmpty::from_vec(judges).map(Requirement::any_claim_by);
        let judged = requirement.map(|requirement| {
            let requirements = NonEmpty::new(requirement);
            Arc::new(Policy { name: policy.name.clone(), requirements })
        });
        // Without either, something was refused above.
        (pass.is_some() || judged.is_some()).then(|| ImagePolicy {
            name: policy.name.clone(),
            mode: policy.mode,
            images: policy.images.clone(),
            matches: policy.matches.clone(),
            pass,
            judged,
        })
    }

    /// What may stand beside a key or an identity, and is not carried out.
    fn surroundings(&mut self, field: &str, authority: &Authority) {
        let log_root = authority.ctlog.as_ref().and_then(|log| log.trust_root.as_ref());
        for (name, given) in [
            ("source", authority.source.is_some()),
            ("ctlog.trustRootRef", log_root.is_some()),
            ("rfc3161timestamp", authority.timestamp.is_some()),
            ("attestations", !authority.attestations.is_empty()),
        ] {
            if given {
                self.problem(&format!("{field}.{name}"), Wrong::Unsupported);
            }
        }
    }

    fn keyless(
        &mut self,
        field: &str,
        authority: &Authority,
        keyless: &Keyless,
        roots: &Arc<TrustRoot>,
    ) -> Option<Judge> {
        for (name, given) in [
            ("ca-cert", keyless.ca_cert.is_some()),
            ("trustRootRef", keyless.trust_root.is_some()),
            ("insecureIgnoreSCT", keyless.ignore_sct),
        ] {
            if given {
                self.problem(&format!("{field}.keyless.{name}"), Wrong::Unsupported);
            }
        }
        let identities = keyless.identities.iter().map(Identity::lower);
        Some(Judge::Keyless {
            name: authority.name.clone(),
            roots: Arc::clone(roots),
            // Parsing has refused an empty list.
            identities: NonEmpty::collect(identities)?,
            demands: Demands::all(),
        })
    }
}

impl Identity {
    fn lower(&self) -> IdentityPattern {
        let (issuer, subject) = (self.issuer.lower(), self.subject.lower());
        IdentityPattern { issuer, subject, extensions: Vec::new() }
    }
}

impl Pattern {
    fn lower(&self) -> verify::Pattern {
        match self {
            Self::Exact(text) => verify::Pattern::Exact(text.clone()),
            Self::Regexp(regexp) => verify::Pattern::Regex(regexp.program().clone()),
        }
    }
}

/// Admission sees these resources in these groups, and all of them as `v1`, whatever version the
/// requester spoke (`matchPolicy: Equivalent`). policy-controller accepts any words here and then
/// lets the policy apply to nothing.
fn check_match(entry: &MatchResource) -> Result<(), String> {
    let group = match entry.resource.as_str() {
        "" => return Err("it names no resource".to_owned()),
        "replicasets" | "deployments" | "statefulsets" | "daemonsets" => "apps",
        "jobs" | "cronjobs" => "batch",
        _ => "",
    };
    if entry.group != group {
        return Err(format!("{} are in the group \"{group}\"", entry.resource));
    }
    match entry.version.as_str() {
        "v1" | "*" => Ok(()),
        _ => Err(format!("{} are seen in version v1; write v1 or *", entry.resource)),
    }
}

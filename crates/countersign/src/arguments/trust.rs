//! The signers that are wanted, as arguments.

use std::sync::Arc;

use clap::Args;
use client::sign::SigningSession;
use crypto::PublicKey;
use evidence::certificate::FulcioExtension;
use policy::Regexp;
use verify::{
    Authority, CertificateTransparency, ClaimPattern, Demands, IdentityPattern, Logging, NonEmpty,
    Pattern, Policy, Requirement, TimeSource, TrustRoot,
};

use super::demands::DemandArguments;
use super::instance::{InstanceNeed, TrustNeeds};
use super::keys;
use super::named_trust::NamedTrustArguments;
use crate::exit::{Exit, Failure};
use crate::ui;

/// The signer to want: a certified identity, or a key.
#[derive(Debug, Args)]
pub(crate) struct SignerArguments {
    /// Identity the certificate must name: a workflow's URI, an e-mail address.
    #[arg(long, value_name = "IDENTITY", help_heading = "Signer", alias = "cert-identity")]
    certificate_identity: Option<String>,

    /// Regular expression that the certificate's identity must contain a match of; anchor it with
    /// `^` and `$`.
    #[arg(
        long,
        value_name = "REGEXP",
        help_heading = "Signer",
        conflicts_with = "certificate_identity"
    )]
    certificate_identity_regexp: Option<String>,

    /// Identity provider that must have vouched for the signer, as a URL.
    #[arg(long, value_name = "URL", help_heading = "Signer", alias = "cert-oidc-issuer")]
    certificate_oidc_issuer: Option<String>,

    /// Regular expression that the identity provider's URL must contain a match of.
    #[arg(
        long,
        value_name = "REGEXP",
        help_heading = "Signer",
        conflicts_with = "certificate_oidc_issuer"
    )]
    certificate_oidc_issuer_regexp: Option<String>,

    /// Event that must have started the GitHub workflow, as `push`.
    #[arg(long, value_name = "TRIGGER", help_heading = "Signer", conflicts_with = "key")]
    certificate_github_workflow_trigger: Option<String>,

    /// Commit that the GitHub workflow must have run for.
    #[arg(long, value_name = "SHA", help_heading = "Signer", conflicts_with = "key")]
    certificate_github_workflow_sha: Option<String>,

    /// Name that the GitHub workflow must have.
    #[arg(long, value_name = "NAME", help_heading = "Signer", conflicts_with = "key")]
    certificate_github_workflow_name: Option<String>,

    /// Repository that the GitHub workflow must be of, as `owner/name`.
    #[arg(long, value_name = "REPOSITORY", help_heading = "Signer", conflicts_with = "key")]
    certificate_github_workflow_repository: Option<String>,

    /// Git reference that the GitHub workflow must have run for, as `refs/heads/main`.
    #[arg(long, value_name = "REF", help_heading = "Signer", conflicts_with = "key")]
    certificate_github_workflow_ref: Option<String>,

    /// Public key that must have signed, instead of a certified identity: a PEM file,
    /// env://VARIABLE, or k8s://NAMESPACE/SECRET.
    #[arg(
        long,
        value_name = "KEY",
        help_heading = "Signer",
        conflicts_with_all = [
            "certificate_identity",
            "certificate_identity_regexp",
            "certificate_oidc_issuer",
            "certificate_oidc_issuer_regexp",
        ]
    )]
    key: Option<String>,

    #[command(flatten)]
    demands: DemandArguments,

    #[command(flatten)]
    named_trust: NamedTrustArguments,
}

impl SignerArguments {
    /// Whether anything is said of who must have signed, be it enough or not.
    pub(crate) fn is_given(&self) -> bool {
        let said = [
            &self.key,
            &self.certificate_identity,
            &self.certificate_identity_regexp,
            &self.certificate_oidc_issuer,
            &self.certificate_oidc_issuer_regexp,
            &self.certificate_github_workflow_trigger,
            &self.certificate_github_workflow_sha,
            &self.certificate_github_workflow_name,
            &self.certificate_github_workflow_repository,
            &self.certificate_github_workflow_ref,
        ];
        said.into_iter().any(Option::is_some)
    }

    /// Whether anything is waived or wanted on top of what always is.
    pub(crate) fn has_demands(&self) -> bool {
        self.demands() != Demands::all()
    }

    /// Whether authorities are named in place of the trust root's.
    pub(crate) fn names_trust(&self) -> bool {
        self.named_trust.names_authorities() || self.named_trust.names_stamps()
    }

    /// As [`Self::wanted`]; if nobody is named, whoever was certified. That says who signed, not that
    /// it was the right one.
    pub(crate) fn wanted_or_anybody(&self) -> Result<Wanted, Failure> {
        if self.is_given() { self.wanted() } else { Ok(self.wanting(Signer::Anybody)) }
    }

    /// Who must have signed. That nobody is named is known before anything is asked of anybody.
    pub(crate) fn wanted(&self) -> Result<Wanted, Failure> {
        let signer = match &self.key {
            Some(reference) => Signer::Key(Box::new(keys::public(reference)?)),
            None => Signer::Identity(self.identity()?),
        };
        Ok(self.wanting(signer))
    }

    /// This signer, and what is demanded besides; what is waived is told.
    fn wanting(&self, signer: Signer) -> Wanted {
        self.demands.tell();
        Wanted { signer, demands: self.demands() }
    }

    fn demands(&self) -> Demands {
        let mut demands = self.demands.demands();
        // As in Cosign: who names a timestamp authority wants its word.
        if self.named_trust.names_stamps() {
            demands.time = TimeSource::SignedTimestamp;
        }
        demands
    }

    /// What of a trust root is needed. What is named cannot be used is known before anybody is asked.
    pub(crate) fn trust_needs(&self) -> Result<TrustNeeds, Failure> {
        let named = self.named_trust.read()?;
        let Demands { logging, transparency, time, .. } = self.demands();
        let certified = self.key.is_none();
        let needed = logging == Logging::Required
            || certified && transparency == CertificateTransparency::Required
            || certified && !self.named_trust.names_authorities()
            || time == TimeSource::SignedTimestamp && !self.named_trust.names_stamps();
        let instance = if needed { InstanceNeed::Needed } else { InstanceNeed::NotNeeded };
        Ok(TrustNeeds { instance, named })
    }

    /// What the certificate must say about the build.
    fn extensions(&self) -> Result<Vec<(FulcioExtension, Pattern)>, Failure> {
        let wanted = [
            (
                FulcioExtension::WorkflowTrigger,
                "trigger",
                &self.certificate_github_workflow_trigger,
            ),
            (FulcioExtension::WorkflowSha, "sha", &self.certificate_github_workflow_sha),
            (FulcioExtension::WorkflowName, "name", &self.certificate_github_workflow_name),
            (
                FulcioExtension::WorkflowRepository,
                "repository",
                &self.certificate_github_workflow_repository,
            ),
            (FulcioExtension::WorkflowRef, "ref", &self.certificate_github_workflow_ref),
        ];
        let given = wanted
            .into_iter()
            .filter_map(|(extension, flag, value)| Some((extension, flag, value.as_deref()?)));
        given
            .map(|(extension, flag, value)| {
                let pattern = Pattern::exact(value).map_err(|error| {
                    let flag = format!("--certificate-github-workflow-{flag}");
                    Failure::usage(format!("cannot use the value of {flag}")).caused_by(error)
                })?;
                Ok((extension, pattern))
            })
            .collect()
    }

    fn identity(&self) -> Result<IdentityPattern, Failure> {
        let issuer = pattern(
            self.certificate_oidc_issuer.as_deref(),
            self.certificate_oidc_issuer_regexp.as_deref(),
            "--certificate-oidc-issuer",
        )?;
        let subject = pattern(
            self.certificate_identity.as_deref(),
            self.certificate_identity_regexp.as_deref(),
            "--certificate-identity",
        )?;
        match (issuer, subject) {
            (Some(issuer), Some(subject)) => {
                Ok(IdentityPattern { issuer, subject, extensions: self.extensions()? })
            }
            (None, None) => Err(Failure::usage("nobody is named who must have signed").hint(
                "name the signer with --certificate-identity and --certificate-oidc-issuer, or \
                 give a public key with --key",
            )),
            (None, Some(_)) => Err(Failure::usage(
                "the signer is named, but not the identity provider that must have vouched for it",
            )
            .hint("add --certificate-oidc-issuer: anybody can call themselves anything elsewhere")),
            (Some(_), None) => {
                Err(Failure::usage("the identity provider is named, but not the signer")
                    .hint("add --certificate-identity: a provider vouches for everybody it knows"))
            }
        }
    }
}

/// Who must have signed, and what is demanded besides.
pub(crate) struct Wanted {
    signer: Signer,
    demands: Demands,
}

enum Signer {
    /// The holder of this key.
    Key(Box<PublicKey>),
    /// Whoever was certified as this.
    Identity(IdentityPattern),
    /// Whoever was certified.
    Anybody,
}

impl Wanted {
    /// The key that must have signed, if it is one.
    pub(crate) fn key(&self) -> Option<&PublicKey> {
        match &self.signer {
            Signer::Key(key) => Some(key),
            Signer::Identity(_) | Signer::Anybody => None,
        }
    }

    /// The policy that one signer said that, under this trust root.
    pub(crate) fn policy(self, roots: TrustRoot, claim: ClaimPattern) -> Policy {
        let Self { signer, demands } = self;
        let roots = Arc::new(roots);
        let keyless = |name: &str, roots, identity| Authority::Keyless {
            name: name.to_owned(),
            roots,
            identities: NonEmpty::new(identity),
            demands,
        };
        let (name, authority) = match signer {
            Signer::Key(key) => {
                let name = "the command line";
                (name, Authority::Key { name: name.to_owned(), roots, key, demands })
            }
            Signer::Identity(identity) => {
                let name = "the command line";
                (name, keyless(name, roots, identity))
            }
            Signer::Anybody => {
                let anything = Pattern::regex("(?s).").expect("the expression is well-formed");
                let (issuer, subject) = (anything.clone(), anything);
                let anybody = IdentityPattern { issuer, subject, extensions: Vec::new() };
                ("nobody is named", keyless("anybody", roots, anybody))
            }
        };
        let mut requirement = Requirement::any_claim_by(NonEmpty::new(authority));
        requirement.claim = claim;
        Policy { name: name.to_owned(), requirements: NonEmpty::new(requirement) }
    }
}

/// The policy that this session's signer said that.
pub(crate) fn of_session(
    session: &SigningSession<'_>,
    claim: ClaimPattern,
) -> Result<Policy, Failure> {
    let authority = session.authority().map_err(|error| {
        Failure::new(Exit::Failure, "it cannot be said who signs").caused_by(error)
    })?;
    let mut requirement = Requirement::any_claim_by(NonEmpty::new(authority));
    requirement.claim = claim;
    let name = "this signer".to_owned();
    Ok(Policy { name, requirements: NonEmpty::new(requirement) })
}

/// An exact text, or a regular expression with the meaning that Go gives it, as in Cosign.
fn pattern(
    exact: Option<&str>,
    regexp: Option<&str>,
    flag: &str,
) -> Result<Option<Pattern>, Failure> {
    let unusable = |flag: &str| Failure::usage(format!("cannot use the value of {flag}"));
    match (exact, regexp) {
        (Some(text), _) => {
            let pattern = Pattern::exact(text);
            pattern.map(Some).map_err(|error| unusable(flag).caused_by(error))
        }
        (None, Some("")) => {
            Err(unusable(&format!("{flag}-regexp")).caused_by("an empty expression matches all"))
        }
        (None, Some(expression)) => {
            let regexp = Regexp::parse(expression)
                .map_err(|error| unusable(&format!("{flag}-regexp")).caused_by(error))?;
            if !regexp.is_anchored() {
                ui::note(&format!(
                    "{flag}-regexp matches anywhere in the value; anchor it with ^ and $"
                ));
            }
            Ok(Some(Pattern::Regex(regexp.program().clone())))
        }
        (None, None) => Ok(None),
    }
}

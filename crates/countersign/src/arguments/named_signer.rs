//! Who must have signed, as arguments: a certified identity, or a key.

use clap::Args;
use evidence::certificate::FulcioExtension;
use policy::Regexp;
use verify::{IdentityPattern, Pattern};

use super::keys;
use super::wanted::Signer;
use crate::exit::Failure;
use crate::ui;

/// The signer to want: a certified identity, or a key.
#[derive(Debug, Args)]
pub(crate) struct NamedSignerArguments {
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
}

impl NamedSignerArguments {
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

    /// Whether it is a key, and no certificate.
    pub(crate) fn is_key(&self) -> bool {
        self.key.is_some()
    }

    /// Whether an identity provider need not be named at all: the expression for it matches nothing,
    /// too, as `.*` does.
    pub(crate) fn may_have_no_provider(&self) -> bool {
        let expression = self.certificate_oidc_issuer_regexp.as_deref();
        let regexp = expression.and_then(|expression| Regexp::parse(expression).ok());
        regexp.is_some_and(|regexp| regexp.matches(""))
    }

    /// The signer that is named.
    pub(crate) fn signer(&self) -> Result<Signer, Failure> {
        Ok(match &self.key {
            Some(reference) => Signer::Key(Box::new(keys::public(reference)?)),
            None => Signer::Identity(self.identity()?),
        })
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

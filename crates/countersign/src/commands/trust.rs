//! Whom to trust, as arguments: the trust root, and the signers wanted.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use crypto::PublicKey;
use verify::{Authority, IdentityPattern, NonEmpty, Pattern, Policy, Requirement, TrustRoot};

use crate::exit::Failure;
use crate::machine;

/// Longest public key file read, in bytes.
const KEY_FILE_SIZE_MAX: usize = 64 * 1024;

/// The trust root to use.
#[derive(Debug, Args)]
#[group(id = "trust_root_source")]
pub(crate) struct TrustRootArguments {
    /// Trusted root (JSON) to use instead of the public Sigstore instance's.
    #[arg(long, value_name = "FILE", env = "COSIGN_TRUSTED_ROOT", help_heading = "Trust")]
    trusted_root: Option<PathBuf>,

    /// Client trust configuration (JSON) of a private instance, whose trusted root to use.
    #[arg(
        long,
        value_name = "FILE",
        env = "COUNTERSIGN_TRUST_CONFIG",
        conflicts_with = "trusted_root",
        help_heading = "Trust"
    )]
    trust_config: Option<PathBuf>,
}

impl TrustRootArguments {
    /// Loads it. Without a choice it is the public instance's, embedded: nothing is fetched.
    pub(crate) fn load(&self) -> Result<TrustRoot, Failure> {
        if let Some(path) = &self.trust_config {
            return Ok(super::signing::read_trust_config(path)?.trust_root);
        }
        let Some(path) = &self.trusted_root else { return Ok(TrustRoot::public_good()) };
        let size_max = verify::trust_root::TRUST_ROOT_SIZE_MAX;
        let json = machine::read(path, "trusted root", size_max)?;
        TrustRoot::pin(&json).map_err(|error| {
            Failure::usage(format!("cannot use the trusted root {}", path.display()))
                .caused_by(error)
        })
    }
}

/// The signer to want: a certified identity, or a key.
#[derive(Debug, Args)]
pub(crate) struct SignerArguments {
    /// Identity the certificate must name: a workflow's URI, an e-mail address.
    #[arg(
        long,
        value_name = "IDENTITY",
        env = "COSIGN_CERTIFICATE_IDENTITY",
        help_heading = "Signer",
        alias = "cert-identity"
    )]
    certificate_identity: Option<String>,

    /// Regular expression that the certificate's identity must contain a match of; anchor it with
    /// `^` and `$`.
    #[arg(
        long,
        value_name = "REGEXP",
        env = "COSIGN_CERTIFICATE_IDENTITY_REGEXP",
        help_heading = "Signer",
        conflicts_with = "certificate_identity"
    )]
    certificate_identity_regexp: Option<String>,

    /// Identity provider that must have vouched for the signer, as a URL.
    #[arg(
        long,
        value_name = "URL",
        env = "COSIGN_CERTIFICATE_OIDC_ISSUER",
        help_heading = "Signer",
        alias = "cert-oidc-issuer"
    )]
    certificate_oidc_issuer: Option<String>,

    /// Regular expression that the identity provider's URL must contain a match of.
    #[arg(
        long,
        value_name = "REGEXP",
        env = "COSIGN_CERTIFICATE_OIDC_ISSUER_REGEXP",
        help_heading = "Signer",
        conflicts_with = "certificate_oidc_issuer"
    )]
    certificate_oidc_issuer_regexp: Option<String>,

    /// Public key (PEM) that must have signed, instead of a certified identity.
    #[arg(
        long,
        value_name = "FILE",
        env = "COSIGN_KEY",
        help_heading = "Signer",
        conflicts_with_all = [
            "certificate_identity",
            "certificate_identity_regexp",
            "certificate_oidc_issuer",
            "certificate_oidc_issuer_regexp",
        ]
    )]
    key: Option<PathBuf>,
}

impl SignerArguments {
    /// The policy that these arguments spell out: one signer, logged, under this trust root.
    pub(crate) fn policy(&self, roots: TrustRoot) -> Result<Policy, Failure> {
        let name = "the command line".to_owned();
        let roots = Arc::new(roots);
        let authority = match &self.key {
            Some(path) => {
                let pem = machine::read(path, "public key", KEY_FILE_SIZE_MAX)?;
                let key = PublicKey::from_pem(&pem).map_err(|error| {
                    Failure::usage(format!("cannot use the public key {}", path.display()))
                        .caused_by(error)
                })?;
                Authority::Key { name: name.clone(), roots, key: Box::new(key) }
            }
            None => Authority::Keyless {
                name: name.clone(),
                roots,
                identities: NonEmpty::new(self.identity()?),
            },
        };
        let requirements = NonEmpty::new(Requirement::any_claim_by(NonEmpty::new(authority)));
        Ok(Policy { name, requirements })
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
                Ok(IdentityPattern { issuer, subject, extensions: Vec::new() })
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

fn pattern(
    exact: Option<&str>,
    regexp: Option<&str>,
    flag: &str,
) -> Result<Option<Pattern>, Failure> {
    let pattern = match (exact, regexp) {
        (Some(text), _) => Pattern::exact(text),
        (None, Some(expression)) => Pattern::regex(expression),
        (None, None) => return Ok(None),
    };
    pattern.map(Some).map_err(|error| {
        let flag = if exact.is_some() { flag.to_owned() } else { format!("{flag}-regexp") };
        Failure::usage(format!("cannot use the value of {flag}")).caused_by(error)
    })
}

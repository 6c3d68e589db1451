//! The places that offer tokens without anybody logging in, in the order in which they are tried.
//!
//! Cosign's order: GitHub Actions, Buildkite, the variable, the file, Google, SPIFFE. CI systems that it
//! does not know come before Google, because a runner of theirs may well stand in Google's cloud, and
//! the job is meant, not the runner. A place that is there but does not give a token is an error, not a
//! reason to sign as somebody else.

use std::time::Duration;

use evidence::UnixTime;

use super::source::{Places, Source, TokenError, parse};
use super::token::IdentityToken;
use super::{buildkite, circleci, codefresh, files, github, google, spiffe};
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::http::Http;

/// Where a token is put by hand, and by GitLab's `id_tokens`.
const VARIABLE: &str = "SIGSTORE_ID_TOKEN";

/// A place that offers tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// GitHub Actions, and Forgejo's, which have the same endpoint.
    GithubActions,
    /// Buildkite's agent.
    Buildkite,
    /// `SIGSTORE_ID_TOKEN`: GitLab's `id_tokens`, and any other CI system's.
    Variable,
    /// A file where Cosign looks for one, such as a projected token of Kubernetes.
    File,
    /// CircleCI.
    CircleCi,
    /// Codefresh.
    Codefresh,
    /// Files that the web identities of EKS and AKS name, where they are for our audience.
    Kubernetes,
    /// The service account of a machine, container or build in Google's cloud.
    GoogleWorkload,
    /// A service account that ours may act for (`GOOGLE_SERVICE_ACCOUNT_NAME`).
    GoogleImpersonate,
    /// The identity that the agent of SPIFFE knows this process by.
    Spiffe,
}

impl Provider {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 10] = [
        Self::GithubActions,
        Self::Buildkite,
        Self::Variable,
        Self::File,
        Self::CircleCi,
        Self::Codefresh,
        Self::Kubernetes,
        Self::GoogleWorkload,
        Self::GoogleImpersonate,
        Self::Spiffe,
    ];

    /// Its name on the command line: Cosign's where Cosign has one.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GithubActions => "github-actions",
            Self::Buildkite => "buildkite-agent",
            Self::Variable => "envvar",
            Self::File => "filesystem",
            Self::CircleCi => "circleci",
            Self::Codefresh => "codefresh",
            Self::Kubernetes => "kubernetes",
            Self::GoogleWorkload => "google-workload-identity",
            Self::GoogleImpersonate => "google-impersonate",
            Self::Spiffe => "spiffe",
        }
    }

    /// The place of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.name() == name)
    }

    /// What to change when its tokens are for somebody else.
    fn audience_remedy(self, environment: &Environment) -> &'static str {
        let gitlab = environment.get("GITLAB_CI").is_some();
        match self {
            Self::Variable if gitlab => GITLAB,
            Self::Variable => {
                "put a token into SIGSTORE_ID_TOKEN that was asked for with the audience"
            }
            Self::File => PROJECTED,
            Self::CircleCi => CIRCLECI,
            _ => "tell whoever made this token which audience it is for",
        }
    }
}

const GITLAB: &str = "give the job in .gitlab-ci.yml `id_tokens: SIGSTORE_ID_TOKEN: aud: sigstore`";
const PROJECTED: &str = "give the pod a projected volume with a serviceAccountToken whose audience \
    is `sigstore` and whose path is /var/run/sigstore/cosign/oidc-token";
const CIRCLECI: &str = "set SIGSTORE_ID_TOKEN to what `circleci run oidc get --claims \
    '{\"aud\":\"sigstore\"}'` prints";
const BUDDY: &str = "let the action make an OIDC token with the audience `sigstore`, and put it \
    into SIGSTORE_ID_TOKEN";
const SPIFFE: &str = "let SPIRE's server have a `jwt_issuer`, the URL of its OIDC discovery provider: \
    an authority knows nobody without an issuer";
const ANYWHERE: &str = "pass an identity token, set SIGSTORE_ID_TOKEN, or log in";

/// All places that can be seen from here.
#[derive(Clone, Copy, Debug)]
pub struct Ambient<'a> {
    /// The variables that say where we are.
    pub environment: &'a Environment,
    /// How places are asked.
    pub http: &'a Http,
    /// Where those are that no variable names.
    pub places: &'a Places,
}

impl Ambient<'_> {
    /// The token of the first place that is there. `now` tells whether it has expired.
    ///
    /// # Errors
    /// When no place is there, or the first one does not give a token that is worth sending.
    pub async fn find(
        &self,
        audience: &str,
        now: UnixTime,
        deadline: Deadline,
    ) -> Result<IdentityToken, TokenError> {
        let mut passed_over = None;
        for provider in Provider::ALL {
            match self.offer(provider, audience, now, deadline).await {
                Ok(None) => {}
                Ok(Some(token)) => {
                    tracing::debug!("identity token from {}", provider.name());
                    return Ok(token);
                }
                // Whoever can put it there must not be able to keep people from logging in either.
                Err(TokenError::PassedOver(it)) => passed_over = Some(it),
                Err(error) => return Err(error),
            }
        }
        let set = |name| self.environment.get(name).is_some();
        // Without the permission to ask, GitHub does not say where to.
        if set("GITHUB_ACTIONS") {
            return Err(TokenError::NotPermitted);
        }
        let remedy = match () {
            () if set("GITLAB_CI") => GITLAB,
            () if set("CIRCLECI") => CIRCLECI,
            () if set("BUDDY") => BUDDY,
            () if set("KUBERNETES_SERVICE_HOST") => PROJECTED,
            () => ANYWHERE,
        };
        Err(TokenError::Absent { remedy, passed_over })
    }

    /// The token of this place and no other.
    ///
    /// # Errors
    /// When it is not there, or does not give a token that is worth sending.
    pub async fn find_at(
        &self,
        provider: Provider,
        audience: &str,
        now: UnixTime,
        deadline: Deadline,
    ) -> Result<IdentityToken, TokenError> {
        let token = self.offer(provider, audience, now, deadline).await?;
        token.ok_or(TokenError::NotHere { provider: provider.name() })
    }

    /// Whether a place is there, by what can be seen on this machine: nobody is asked, so that what is
    /// there may still offer no token.
    #[must_use]
    pub fn is_there(&self, provider: Provider, audience: &str) -> bool {
        let Self { environment, http, places } = *self;
        let deadline = Deadline::after(Duration::ZERO);
        let source = Source { environment, http, places, audience, deadline };
        match provider {
            Provider::GithubActions => github::is_there(&source),
            Provider::Buildkite => buildkite::is_there(&source),
            Provider::Variable => source.variable(VARIABLE).is_some(),
            Provider::File => matches!(files::cosigns(&source), Ok(Some(_))),
            Provider::CircleCi => circleci::is_there(&source),
            Provider::Codefresh => codefresh::is_there(&source),
            Provider::Kubernetes => matches!(files::web_identities(&source), Ok(Some(_))),
            Provider::GoogleWorkload => google::is_workload(&source),
            Provider::GoogleImpersonate => google::is_impersonator(&source),
            Provider::Spiffe => spiffe::is_there(&source),
        }
    }

    /// What a place offers; `None` if it is not there.
    async fn offer(
        &self,
        provider: Provider,
        audience: &str,
        now: UnixTime,
        deadline: Deadline,
    ) -> Result<Option<IdentityToken>, TokenError> {
        let Self { environment, http, places } = *self;
        let source = Source { environment, http, places, audience, deadline };
        let offered = match provider {
            Provider::GithubActions => github::offer(&source).await,
            Provider::Buildkite => buildkite::offer(&source).await,
            Provider::Variable => Ok(source.variable(VARIABLE).cloned()),
            Provider::File => files::cosigns(&source),
            Provider::CircleCi => circleci::offer(&source).await,
            Provider::Codefresh => codefresh::offer(&source).await,
            Provider::Kubernetes => files::web_identities(&source),
            Provider::GoogleWorkload => google::workload(&source).await,
            Provider::GoogleImpersonate => google::impersonate(&source, now).await,
            Provider::Spiffe => spiffe::offer(&source).await,
        };
        let from = match provider {
            Provider::Variable => VARIABLE,
            provider => provider.name(),
        };
        let Some(token) = offered? else { return Ok(None) };
        let token = parse(from, token).map_err(|error| match (provider, error) {
            // The standard asks for no issuer, and SPIRE's tokens have none by default.
            (Provider::Spiffe, TokenError::Malformed { from, source }) => {
                TokenError::Unusable { from, source, remedy: SPIFFE }
            }
            (_, error) => error,
        })?;
        token.check(audience, now).map_err(|source| {
            let remedy = provider.audience_remedy(environment);
            TokenError::Unfit { from, source, remedy }
        })?;
        Ok(Some(token))
    }
}

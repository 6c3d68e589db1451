//! What the places that offer tokens have in common: where they are, how they are asked, and what
//! goes wrong.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use reqwest::Url;
use reqwest::header::{ACCEPT, HeaderValue};
use serde::de::DeserializeOwned;

use super::socket::{PassedOver, REMEDY};
use super::token::{IdentityToken, ParseTokenError, TOKEN_SIZE_MAX, Unfit};
use super::workload_api::WorkloadApiError;
use crate::address::{self, BadUrl};
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{FetchError, Unauthorized};
use crate::http::{Http, Redirects, Request};
use crate::json;
use crate::secret::Secret;

/// Longest answer of a token endpoint read, in bytes.
const ANSWER_SIZE_MAX: u64 = 64 * 1024;

/// Where things are that no variable names. Chosen by the caller, never by an answer.
#[derive(Clone, Debug)]
pub struct Places {
    /// A file with a token, where Cosign looks for one.
    pub token_file: PathBuf,
    /// Buildkite's agent interface, unless `BUILDKITE_AGENT_ENDPOINT` names another.
    pub buildkite: String,
    /// Google's metadata service, unless `GCE_METADATA_HOST` names another: host and port.
    pub google_metadata: String,
    /// Where a machine on Compute Engine says so.
    pub product_name: PathBuf,
    /// Google's service for tokens of other accounts.
    pub google_credentials: String,
    /// The socket of SPIFFE's agent, unless `SPIFFE_ENDPOINT_SOCKET` names another.
    pub spiffe_socket: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            token_file: "/var/run/sigstore/cosign/oidc-token".into(),
            buildkite: "https://agent.buildkite.com/v3".to_owned(),
            google_metadata: "metadata.google.internal".to_owned(),
            product_name: "/sys/class/dmi/id/product_name".into(),
            google_credentials: "https://iamcredentials.googleapis.com".to_owned(),
            spiffe_socket: "/tmp/spire-agent/public/api.sock".into(),
        }
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Nobody offers one.
    #[error("no identity token was given, and none is offered here")]
    Absent {
        /// What would have to be done on this kind of machine.
        remedy: &'static str,
        /// What seems to offer one and is not asked, and why.
        passed_over: Option<PassedOver>,
    },
    /// What seems to offer one may be anybody's.
    #[error("no identity token of SPIFFE")]
    PassedOver(#[from] PassedOver),
    /// In GitHub Actions, but without the permission.
    #[error("no identity token: the GitHub Actions job may not request one")]
    NotPermitted,
    /// The place that was asked for is none of those here.
    #[error("no identity token: this is not {provider}")]
    NotHere {
        /// The place.
        provider: &'static str,
    },
    /// What was given is no token.
    #[error("the identity token from {from}")]
    Malformed {
        /// Where it came from.
        from: &'static str,
        /// What is wrong.
        source: ParseTokenError,
    },
    /// What was given lacks what an authority needs, and whoever makes it can add it.
    #[error("the identity token from {from}")]
    Unusable {
        /// Where it came from.
        from: &'static str,
        /// What is wrong.
        source: ParseTokenError,
        /// What to change.
        remedy: &'static str,
    },
    /// A token that would be refused.
    #[error("the identity token from {from}")]
    Unfit {
        /// Where it came from.
        from: &'static str,
        /// What is wrong.
        source: Unfit,
        /// What to change.
        remedy: &'static str,
    },
    /// A variable that has to be there.
    #[error("{provider} is there, but the variable {variable} is not set")]
    NoVariable {
        /// The place.
        provider: &'static str,
        /// The variable.
        variable: &'static str,
    },
    /// The endpoint is none that may be asked.
    #[error("the token endpoint in {variable}")]
    Endpoint {
        /// Where it is named.
        variable: &'static str,
        /// What is wrong.
        source: BadUrl,
    },
    /// A name that cannot stand in a request.
    #[error("{variable}: wanted {wanted}")]
    BadVariable {
        /// The variable.
        variable: &'static str,
        /// What it should hold.
        wanted: &'static str,
    },
    /// A file that should hold a token cannot be read.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A program that should make a token did not.
    #[error("`{program}`: {problem}")]
    Program {
        /// The program with its arguments.
        program: &'static str,
        /// What happened.
        problem: String,
    },
    /// The credentials that a token is asked for with.
    #[error("the credentials for {provider}")]
    Credentials {
        /// Whom they are for.
        provider: &'static str,
        /// What is wrong.
        source: Unauthorized,
    },
    /// The endpoint could not be asked.
    #[error("no identity token")]
    Fetch(#[from] FetchError),
    /// The agent of SPIFFE gave none.
    #[error("no identity token of SPIFFE")]
    WorkloadApi(#[from] WorkloadApiError),
}

impl TokenError {
    /// What can be done about it, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Absent { remedy, passed_over: Some(passed_over) } => {
                Some(format!("{remedy}; {passed_over}: {REMEDY}"))
            }
            Self::PassedOver(_) => Some(REMEDY.to_owned()),
            Self::Absent { remedy, passed_over: None }
            | Self::Unusable { remedy, .. }
            | Self::Unfit { remedy, source: Unfit::Audience { .. }, .. } => {
                Some((*remedy).to_owned())
            }
            Self::Unfit { source: Unfit::Expired { .. }, .. } => Some(
                "get a fresh one just before signing, and check this machine's clock".to_owned(),
            ),
            Self::NotPermitted => Some("give the job `permissions: id-token: write`".to_owned()),
            Self::Fetch(error) => error.hint(),
            Self::WorkloadApi(error) => error.hint().map(str::to_owned),
            _ => None,
        }
    }
}

/// Everything needed to ask one place.
pub(super) struct Source<'a> {
    pub(super) environment: &'a Environment,
    pub(super) http: &'a Http,
    pub(super) places: &'a Places,
    pub(super) audience: &'a str,
    pub(super) deadline: Deadline,
}

impl Source<'_> {
    pub(super) fn variable(&self, name: &str) -> Option<&Secret> {
        self.environment.get(name)
    }

    /// Sends a request to exactly where it says, and reads the JSON that answers it. The answer is
    /// never quoted: it may hold a token.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        request: Request,
        wanted: &'static str,
    ) -> Result<T, TokenError> {
        let request = request
            .wanting("an identity token", ANSWER_SIZE_MAX)
            .redirected(Redirects::Refuse)
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        let answer = self.http.send(&request, self.deadline).await?.wanted(&[200])?;
        json::parse(&answer.body)
            .map_err(|_| TokenError::Fetch(answer.malformed(wanted, "something else")))
    }
}

/// A token out of a place.
pub(super) fn parse(from: &'static str, token: Secret) -> Result<IdentityToken, TokenError> {
    IdentityToken::parse(token).map_err(|source| TokenError::Malformed { from, source })
}

/// A URL that a variable holds.
pub(super) fn endpoint(variable: &'static str, text: &str) -> Result<Url, TokenError> {
    address::parse(text).map_err(|source| TokenError::Endpoint { variable, source })
}

/// What a file holds; `None` if it is not there.
pub(super) fn file(path: &Path) -> Result<Option<Secret>, TokenError> {
    let failed = |reason: String| TokenError::File { path: path.to_owned(), reason };
    let opened = match File::open(path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
    };
    let mut text = zeroize::Zeroizing::new(String::new());
    // A line's end may follow the token.
    let size_max = TOKEN_SIZE_MAX as u64 + 2;
    opened
        .take(size_max + 1)
        .read_to_string(&mut text)
        .map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > size_max {
        return Err(failed(format!("more than {TOKEN_SIZE_MAX} bytes")));
    }
    Ok(Some(Secret::new(text.trim().to_owned())))
}

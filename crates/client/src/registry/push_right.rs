//! Whether a registry would take what is going to be pushed, found out before anything is done that
//! cannot be undone: what a log has stays there, whether or not its evidence finds a place.
//!
//! OCI distribution specification v1.1, "Pushing blobs". An upload is begun and given up again. A token
//! alone would not tell: Docker Hub gives one to whoever asks, and says no to the upload
//! (docker/hub-feedback#1771). That a manifest or a tag is taken too is not known by it.

use std::fmt;
use std::time::Duration;

use evidence::ImageRef;
use reqwest::{Method, Url};

use super::Registry;
use super::blob::location;
use super::token::{Access, Scope};
use crate::credentials::{Basic, Credential};
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind, Unauthorized, printable};
use crate::http::Request;

/// How long giving up an upload may take. It is a courtesy: registries throw such uploads away.
const GIVING_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest name of a user shown, in characters.
const USER_CHARACTERS_MAX: usize = 64;

/// Why nothing could be pushed.
#[derive(Debug, thiserror::Error)]
pub enum NoPushError {
    /// The registry, or its token service, does not let us.
    #[error("{who} may not push to {repository}")]
    Denied {
        /// Where to.
        repository: String,
        /// As whom we asked.
        who: Who,
        /// Who was asked, and what the answer was.
        source: FetchError,
    },
    /// It could not be asked, or takes no uploads there for another reason.
    #[error("nothing can be pushed to {repository}")]
    Failed {
        /// Where to.
        repository: String,
        /// Who was asked, and what came of it.
        source: FetchError,
    },
}

/// As whom a registry was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// As nobody: there is no login for it.
    Nobody,
    /// As that user.
    User(String),
    /// As whoever holds a token that does not say who that is.
    Token(&'static str),
}

impl Registry {
    /// Finds out whether blobs may be pushed into an image's repository, by beginning an upload and
    /// giving it up again.
    ///
    /// # Errors
    /// When they may not, or it cannot be told.
    pub async fn check_push(
        &self,
        image: &ImageRef,
        deadline: Deadline,
    ) -> Result<(), NoPushError> {
        let begun = async {
            let started = self.start_upload(image, deadline).await?;
            location(&started)
        };
        match begun.await {
            Ok(upload) => {
                self.give_up(image, upload, deadline.or_after(GIVING_UP_TIMEOUT)).await;
                Ok(())
            }
            Err(source) => Err(self.no_push(image, source, deadline).await),
        }
    }

    /// Gives up an upload, if the registry lets us; whether or not it does changes nothing. Nobody
    /// else is asked to remove anything, whoever the registry says has the upload.
    async fn give_up(&self, image: &ImageRef, upload: Url, deadline: Deadline) {
        let outcome = async {
            let base = self.base(image)?;
            let mut request = Request::new(Method::DELETE, upload);
            self.http.same_scheme(&mut request.url, &base);
            if base.origin() != request.url.origin() {
                return Ok(());
            }
            // What was shown to begin it has to do. Where the right to delete is wanted, asking for that
            // would make the token forgotten that is needed next.
            let scope = Scope { access: Access::Push, from: None };
            let header = match self.remembered(image, &scope) {
                Some(demand) => {
                    Some(self.prove(image, &demand, &scope, &request, deadline).await?.header)
                }
                None => None,
            };
            self.http.send(&request.authorized(header), deadline).await.map(|_| ())
        };
        if let Err(error) = outcome.await {
            tracing::debug!("an upload was begun and not given up: {error}");
        }
    }

    async fn no_push(
        &self,
        image: &ImageRef,
        source: FetchError,
        deadline: Deadline,
    ) -> NoPushError {
        let repository = image.name();
        match source.kind() {
            // Other problems with credentials are in the way before anybody is asked.
            FetchErrorKind::Unauthorized(
                Unauthorized::NoCredentials | Unauthorized::CredentialsRefused { .. },
            )
            | FetchErrorKind::Forbidden { .. } => {
                let credential = self.keychain.credential(&self.http, image, deadline).await;
                let who = match credential.ok().and_then(Result::ok).flatten() {
                    None => Who::Nobody,
                    Some(Credential::Basic(Basic { user, .. })) => {
                        Who::User(printable(&user, USER_CHARACTERS_MAX))
                    }
                    Some(token) => Who::Token(token.kind()),
                };
                NoPushError::Denied { repository, who, source }
            }
            _ => NoPushError::Failed { repository, source },
        }
    }
}

impl NoPushError {
    /// What was asked last, and what came of it.
    #[must_use]
    pub fn fetch_error(&self) -> &FetchError {
        match self {
            Self::Denied { source, .. } | Self::Failed { source, .. } => source,
        }
    }

    /// What can be done about it, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let elsewhere = "or keep evidence in a repository where you may: COSIGN_REPOSITORY";
        match self {
            Self::Denied { repository, who, source } => {
                let host = repository.split('/').next().unwrap_or_default();
                Some(match (who, source.kind()) {
                    (Who::Nobody, _) => format!(
                        "log in to {host} (`docker login {host}`) as somebody who may, {elsewhere}"
                    ),
                    // The login itself is refused, or is of no use: that is another matter.
                    (_, FetchErrorKind::Unauthorized(_)) => format!(
                        "{}; if the login is right, have it given the right to push to \
                         {repository}, {elsewhere}",
                        source.hint().unwrap_or_else(|| format!("log in to {host} again")),
                    ),
                    _ => format!(
                        "have it given the right to push to {repository}, log in to {host} as \
                         somebody who has it, {elsewhere}"
                    ),
                })
            }
            Self::Failed { repository, source } => match source.kind() {
                FetchErrorKind::NotFound { .. } => {
                    Some(format!("make the repository {repository} first, {elsewhere}"))
                }
                _ => source.hint(),
            },
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("whoever has no login"),
            Self::User(user) => write!(f, "the user `{user}`"),
            Self::Token(kind) => write!(f, "who shows {kind}"),
        }
    }
}

//! A mirror over HTTP, as the library asks for one; and what is kept, where nobody may be asked.

use std::sync::Arc;

use sigstore_tuf::transport::FetchFuture;
use sigstore_tuf::{Error, Repository};

use super::failure::Fault;
use super::metadata::{Files, check_keys};
use crate::address::ServiceUrl;
use crate::deadline::Deadline;
use crate::error::FetchError;
use crate::http::{Http, Request};

/// A mirror, for one update.
pub(super) struct Remote {
    http: Arc<Http>,
    url: ServiceUrl,
    deadline: Deadline,
}

/// What is kept, as if it were a mirror: it has the timestamp that leads to all else, and nothing
/// newer than that.
pub(super) struct Kept(pub(super) Files);

impl Remote {
    pub(super) fn new(http: Arc<Http>, url: ServiceUrl, deadline: Deadline) -> Self {
        Self { http, url, deadline }
    }

    /// Gets a file of at most that many bytes. Redirections are followed as everywhere: what comes
    /// is verified, and no credentials go along.
    async fn get(&self, path: &str, what: &'static str, size_max: u64) -> Result<Vec<u8>, Failure> {
        if !is_plain(path) {
            return Err(Failure::Fault(Fault::Integrity(format!(
                "`{}` is no name of a file",
                crate::error::printable(path, 80)
            ))));
        }
        let request = Request::get(self.url.join(path), what, size_max);
        let answer = self.http.send(&request, self.deadline).await?;
        Ok(answer.wanted(&[200])?.body)
    }
}

/// Why there are no bytes.
enum Failure {
    Fetch(FetchError),
    Fault(Fault),
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Fetch(error) => Self::transport_with_source("the mirror", error),
            Failure::Fault(fault) => Self::transport_with_source("the mirror", fault),
        }
    }
}

impl Repository for Remote {
    fn fetch_metadata<'a>(&'a self, name: &'a str, size_max: u64) -> FetchFuture<'a> {
        Box::pin(async move {
            match self.get(name, "metadata", size_max).await {
                Ok(bytes) => {
                    check_keys(name, &bytes).map_err(Failure::Fault)?;
                    Ok(Some(bytes))
                }
                // How the last root is found (TUF §5.3.3). Object stores say 403 of what they do
                // not have.
                Err(Failure::Fetch(error)) if name.ends_with(".root.json") && is_absent(&error) => {
                    Ok(None)
                }
                Err(failure) => Err(failure.into()),
            }
        })
    }

    fn fetch_target<'a>(&'a self, path: &'a str, size_max: u64) -> FetchFuture<'a> {
        Box::pin(async move {
            let path = format!("targets/{path}");
            Ok(Some(self.get(&path, "a target", size_max).await?))
        })
    }
}

impl Repository for Kept {
    fn fetch_metadata<'a>(&'a self, name: &'a str, _: u64) -> FetchFuture<'a> {
        Box::pin(async move { Ok((name == "timestamp.json").then(|| self.0.get(name)).flatten()) })
    }

    fn fetch_target<'a>(&'a self, _: &'a str, _: u64) -> FetchFuture<'a> {
        Box::pin(async { Ok(None) })
    }
}

fn is_absent(error: &FetchError) -> bool {
    use crate::error::FetchErrorKind::{Forbidden, NotFound};
    matches!(error.kind(), NotFound { .. } | Forbidden { .. })
}

/// Whether a name leads nowhere but below the mirror's URL. Names of roles come percent-encoded,
/// those of our targets are constants; but a hash goes before them that the metadata gives.
fn is_plain(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~%/".contains(&byte);
    let segment = |segment: &str| !segment.is_empty() && !matches!(segment, "." | "..");
    path.len() <= 512
        && path.bytes().all(plain)
        && path.split('/').all(segment)
        // The URL standard reads these as dots too.
        && !path.to_ascii_lowercase().contains("%2e")
}

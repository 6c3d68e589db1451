//! Public documents, such as the key sets of identity providers: read from exactly the URL given.

use reqwest::Url;
use reqwest::header::{ACCEPT, HeaderValue};

use crate::address::{self, BadUrl};
use crate::deadline::Deadline;
use crate::error::FetchError;
use crate::http::{Http, Redirects, Request};

/// Why a document is not there.
#[derive(Debug, thiserror::Error)]
pub enum FetchDocumentError {
    /// Its URL is none that may be asked.
    #[error("the document's URL")]
    Url(#[from] BadUrl),
    /// It could not be fetched.
    #[error("no document")]
    Fetch(#[from] FetchError),
}

/// Reads a JSON document of at most `size_max` bytes. No redirection is followed and no credentials
/// are sent, because whoever names the URL may be a stranger (CVE-2026-49478).
///
/// # Errors
/// When the URL is neither HTTPS nor loopback, or the document cannot be fetched.
pub async fn fetch_document(
    http: &Http,
    url: &Url,
    size_max: u64,
    deadline: Deadline,
) -> Result<Vec<u8>, FetchDocumentError> {
    address::check(url)?;
    let request = Request::get(url.clone(), "a document", size_max)
        .redirected(Redirects::Refuse)
        .header(ACCEPT, HeaderValue::from_static("application/json"));
    Ok(http.send(&request, deadline).await?.wanted(&[200])?.body)
}

//! JSON documents of services that need no login, such as the key sets of identity providers: from
//! exactly the URL given.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};

use crate::address::{self, BadUrl};
use crate::deadline::Deadline;
use crate::error::FetchError;
use crate::http::{Http, Redirects, Request};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

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
    let request = Request::get(url.clone(), "a document", size_max).redirected(Redirects::Refuse);
    Ok(http.send(&request.header(ACCEPT, JSON), deadline).await?.wanted(&[200])?.body)
}

/// Sends a JSON document, once, and reads the one of at most `size_max` bytes that answers it. No
/// redirection is followed and no credentials are sent.
///
/// # Errors
/// As [`fetch_document`].
pub async fn post_document(
    http: &Http,
    url: &Url,
    document: Vec<u8>,
    size_max: u64,
    deadline: Deadline,
) -> Result<Vec<u8>, FetchDocumentError> {
    address::check(url)?;
    let request = Request::new(Method::POST, url.clone())
        .wanting("an answer", size_max)
        .header(ACCEPT, JSON)
        .header(CONTENT_TYPE, JSON)
        .body(document);
    Ok(http.send(&request, deadline).await?.wanted(&[200])?.body)
}

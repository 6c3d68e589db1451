//! The authority's port to identity providers, over HTTP.

use std::sync::Arc;
use std::time::Duration;

use ::authority::token::keys::{FetchError, IssuerDocuments};
use client::documents::fetch_document;
use client::{Deadline, Http};
use url::Url;

/// Time for one document, the connection included: a certificate request may wait for it.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// Fetches identity providers' documents.
pub(crate) struct Documents(Arc<Http>);

impl Documents {
    pub(crate) fn new(http: Arc<Http>) -> Self {
        Self(http)
    }
}

impl IssuerDocuments for Documents {
    async fn get(&self, url: &Url, size_max: usize) -> Result<Vec<u8>, FetchError> {
        let limit = u64::try_from(size_max).unwrap_or(u64::MAX);
        let fetched = fetch_document(&self.0, url, limit, Deadline::after(DOCUMENT_TIMEOUT)).await;
        fetched.map_err(|source| FetchError { url: url.to_string(), source: source.into() })
    }
}

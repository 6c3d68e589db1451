//! Blobs: read against their digest, written only where they are missing.

use bytes::Bytes;
use evidence::{Digest, ImageRef};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION};

use super::Registry;
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind};
use crate::http::Request;

impl Registry {
    /// Reads a blob of at most `size_max` bytes, hashing it as it comes.
    ///
    /// # Errors
    /// When it cannot be looked at, is longer, or has another digest.
    pub async fn fetch_blob(
        &self,
        image: &ImageRef,
        digest: &Digest,
        size_max: u64,
        deadline: Deadline,
    ) -> Result<Vec<u8>, FetchError> {
        let url = self.url(image, &format!("blobs/{digest}"))?;
        let request = Request::get(url, "a blob", size_max).hashed(digest.algorithm());
        let answer = self.send(image, request, deadline).await?.wanted(&[200])?;
        let found = answer.hash.map(Digest::from).expect("the request asked for a hash");
        if found != *digest {
            return Err(answer.error(FetchErrorKind::DigestMismatch { wanted: *digest, found }));
        }
        Ok(answer.body)
    }

    /// Writes a blob if the registry does not have it.
    ///
    /// # Errors
    /// When the registry does not take it, or says that it took something else.
    pub async fn push_blob(
        &self,
        image: &ImageRef,
        bytes: Bytes,
        deadline: Deadline,
    ) -> Result<Digest, FetchError> {
        let digest = Digest::sha256(&bytes);
        let head = Request::head(self.url(image, &format!("blobs/{digest}"))?);
        let there = self.send(image, head, deadline).await?;
        match there.status.as_u16() {
            200 => return Ok(digest),
            404 => {}
            _ => return Err(there.refusal()),
        }
        let start = Request::new(Method::POST, self.url(image, "blobs/uploads/")?);
        let started = self.send(image, start, deadline).await?.wanted(&[202])?;
        let Some(location) = started.header(LOCATION) else {
            return Err(started.malformed("an upload with a location", "none"));
        };
        // It may lead to another host, which then gets the content and no credentials.
        let mut url = started.target(location)?;
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let finish = Request::new(Method::PUT, url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
            .body(bytes);
        self.send(image, finish, deadline).await?.wanted(&[201])?.took(&digest)?;
        Ok(digest)
    }
}

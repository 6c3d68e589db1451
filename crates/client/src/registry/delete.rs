//! Deleting manifests, by digest where a registry does not delete tags.
//!
//! OCI distribution specification v1.1, "Content Management". Blobs are left to the registry's own
//! garbage collection: others may use them.

use evidence::{Digest, ImageRef};
use reqwest::Method;

use super::Registry;
use super::manifest::parse_tag;
use crate::deadline::Deadline;
use crate::error::FetchError;
use crate::http::Request;

/// What deleting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It was there and is gone.
    Gone,
    /// It was not there.
    Absent,
}

impl Registry {
    /// Deletes a manifest, with all tags that point to it.
    ///
    /// # Errors
    /// When the registry does not do that, or cannot be asked.
    pub async fn delete_manifest(
        &self,
        image: &ImageRef,
        digest: &Digest,
        deadline: Deadline,
    ) -> Result<Deleted, FetchError> {
        let url = self.url(image, &format!("manifests/{digest}"))?;
        let request = Request::new(Method::DELETE, url).repeatable();
        let answer = self.send(image, request, deadline).await?;
        match answer.status.as_u16() {
            200 | 202 | 204 => Ok(Deleted::Gone),
            404 => Ok(Deleted::Absent),
            _ => Err(answer.refusal()),
        }
    }

    /// Deletes a tag; where the registry deletes digests only, the manifest that it points to, with
    /// whatever other tags that has.
    ///
    /// # Errors
    /// As [`Self::delete_manifest`], and when `tag` is no tag.
    pub async fn delete_tag(
        &self,
        image: &ImageRef,
        tag: &str,
        deadline: Deadline,
    ) -> Result<Deleted, FetchError> {
        let url = self.url(image, "manifests/")?;
        let request = parse_tag(image, tag, Request::new(Method::DELETE, url))?.repeatable();
        let answer = self.send(image, request, deadline).await?;
        match answer.status.as_u16() {
            200 | 202 | 204 => return Ok(Deleted::Gone),
            404 => return Ok(Deleted::Absent),
            // As registries say that they do not delete tags (v1.1 allows 400 and 405).
            400 | 405 | 501 => {}
            _ => return Err(answer.refusal()),
        }
        match self.digest_of_tag(image, tag, deadline).await? {
            Some(digest) => self.delete_manifest(image, &digest, deadline).await,
            None => Ok(Deleted::Absent),
        }
    }
}

//! Blobs: read against their digest, written only where they are missing.
//!
//! OCI distribution specification v1.1, "Pushing blobs". A blob is mounted from another repository
//! of the same registry where it is known to be in one, else uploaded in one piece, and in several
//! where one is too large for what stands before the registry.

use bytes::Bytes;
use evidence::{Digest, ImageRef};
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, Url};

use super::Registry;
use super::token::{Access, Scope};
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind};
use crate::http::{Answer, Request};

/// Size of the pieces of an upload in several, in bytes: GHCR takes no larger ones.
const PIECE_SIZE: usize = 4 * 1024 * 1024;

/// Smallest piece that a registry takes, where it says so.
const OCI_CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// Largest piece that a registry may insist on, in bytes: more is not held twice.
const PIECE_SIZE_MAX: usize = 64 * 1024 * 1024;

/// How a blob came to be in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It was there.
    There,
    /// The registry had it in another repository.
    Mounted,
    /// It was sent.
    Uploaded,
}

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
        let ask = |place, time| async move { self.read_blob(&place, digest, size_max, time).await };
        self.of_mirrors_first(image, true, deadline, ask).await
    }

    async fn read_blob(
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
        self.push_blob_from(image, None, &digest, bytes, deadline).await?;
        Ok(digest)
    }

    /// Writes a blob that is also in another repository, `from`: where that is of the same registry
    /// the registry is asked to take it from there. A registry that does not, or that it is not
    /// of, gets the bytes.
    ///
    /// # Errors
    /// As [`Self::push_blob`], and when the bytes do not have that digest.
    pub async fn push_blob_from(
        &self,
        image: &ImageRef,
        from: Option<&ImageRef>,
        digest: &Digest,
        bytes: Bytes,
        deadline: Deadline,
    ) -> Result<Pushed, FetchError> {
        let head = Request::head(self.url(image, &format!("blobs/{digest}"))?);
        let found = Digest::from(crypto::Hash::of(digest.algorithm(), &bytes));
        if found != *digest {
            return Err(head.error(FetchErrorKind::DigestMismatch { wanted: *digest, found }));
        }
        let scope = Scope { access: Access::Push, from: None };
        let there = self.send_as(image, head, &scope, deadline).await?;
        match there.status.as_u16() {
            200 => return Ok(Pushed::There),
            404 => {}
            _ => return Err(there.refusal()),
        }
        // Never across registries: `from` would be read as a repository of this one, which may be
        // somebody else's, and Docker Hub takes part of the name for a host.
        let mountable = from.filter(|from| {
            from.registry() == image.registry() && from.repository() != image.repository()
        });
        let started = match mountable {
            Some(from) => match self.mount(image, from, digest, deadline).await? {
                Some(answer) if answer.status.as_u16() == 201 => {
                    answer.took(digest)?;
                    return Ok(Pushed::Mounted);
                }
                Some(started) => started,
                None => self.start_upload(image, deadline).await?,
            },
            None => self.start_upload(image, deadline).await?,
        };
        self.upload(image, started, digest, bytes, deadline).await?;
        Ok(Pushed::Uploaded)
    }

    /// Asks the registry to take a blob from another of its repositories. The answer is that it
    /// did, or an upload that has begun because it did not; `None` if it does neither.
    pub(super) async fn mount(
        &self,
        image: &ImageRef,
        from: &ImageRef,
        digest: &Digest,
        deadline: Deadline,
    ) -> Result<Option<Answer>, FetchError> {
        let mut url = self.url(image, "blobs/uploads/")?;
        // Quay refuses `mount` without `from`.
        url.query_pairs_mut()
            .append_pair("mount", &digest.to_string())
            .append_pair("from", from.repository());
        let scope = Scope { access: Access::Push, from: Some(from.repository().to_owned()) };
        let request = Request::new(Method::POST, url);
        let answer = match self.send_as(image, request, &scope, deadline).await {
            // Whoever may not read there may still write here.
            Err(error) if matches!(error.kind(), FetchErrorKind::Unauthorized(_)) => {
                return Ok(None);
            }
            answer => answer?,
        };
        match answer.status.as_u16() {
            201 | 202 => Ok(Some(answer)),
            // As registries refuse what they do not know; without `mount` it may still work.
            400 | 403 | 404 | 405 | 501 => Ok(None),
            _ => Err(answer.refusal()),
        }
    }

    pub(super) async fn start_upload(
        &self,
        image: &ImageRef,
        deadline: Deadline,
    ) -> Result<Answer, FetchError> {
        let start = Request::new(Method::POST, self.url(image, "blobs/uploads/")?);
        self.send(image, start, deadline).await?.wanted(&[202])
    }

    pub(super) async fn upload(
        &self,
        image: &ImageRef,
        started: Answer,
        digest: &Digest,
        bytes: Bytes,
        deadline: Deadline,
    ) -> Result<(), FetchError> {
        let size = bytes.len();
        let finish = finish(location(&started)?, digest, bytes.clone());
        let answer = self.send(image, finish, deadline).await?;
        // Too large for one request, says the registry or what stands before it.
        if answer.status.as_u16() == 413 && size > PIECE_SIZE {
            let started = self.start_upload(image, deadline).await?;
            return self.upload_in_pieces(image, started, digest, bytes, deadline).await;
        }
        answer.wanted(&[201])?.took(digest)
    }

    async fn upload_in_pieces(
        &self,
        image: &ImageRef,
        started: Answer,
        digest: &Digest,
        mut bytes: Bytes,
        deadline: Deadline,
    ) -> Result<(), FetchError> {
        let size = piece_size(&started)?;
        let mut url = location(&started)?;
        let mut sent = 0;
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(size));
            let (first, last) = (sent, sent + piece.len() - 1);
            sent += piece.len();
            let range = HeaderValue::try_from(format!("{first}-{last}"));
            let patch = Request::new(Method::PATCH, url)
                .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
                .header(CONTENT_RANGE, range.expect("numbers can stand in a header"))
                .body(piece);
            let answer = self.send(image, patch, deadline).await?.wanted(&[202, 204])?;
            url = location(&answer)?;
        }
        let finish = finish(url, digest, Bytes::new());
        self.send(image, finish, deadline).await?.wanted(&[201, 204])?.took(digest)
    }
}

/// How long the pieces of an upload must be, but for the last: as long as the registry says it wants
/// them at least.
pub(super) fn piece_size(started: &Answer) -> Result<usize, FetchError> {
    let least = started.header(OCI_CHUNK_MIN_LENGTH).map(str::parse::<usize>);
    let size = least.and_then(Result::ok).unwrap_or(PIECE_SIZE).max(PIECE_SIZE);
    if size > PIECE_SIZE_MAX {
        let (what, max) = ("a piece of an upload", PIECE_SIZE_MAX as u64);
        let found = Some(size as u64);
        return Err(started.error(FetchErrorKind::TooLarge { what, max, found }));
    }
    Ok(size)
}

/// Where an upload goes on. It may be another host, which then gets the content and no credentials.
pub(super) fn location(answer: &Answer) -> Result<Url, FetchError> {
    match answer.header(LOCATION) {
        Some(location) => answer.target(location),
        None => Err(answer.malformed("an upload with a location", "none")),
    }
}

pub(super) fn finish(mut url: Url, digest: &Digest, bytes: Bytes) -> Request {
    url.query_pairs_mut().append_pair("digest", &digest.to_string());
    Request::new(Method::PUT, url)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
        .body(bytes)
}

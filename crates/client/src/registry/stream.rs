//! Large blobs, read and written piece by piece, so that no more than a piece of each is in memory.
//!
//! OCI distribution specification v1.1, "Pulling blobs" and "Pushing a blob in chunks". What comes
//! is hashed as it comes, and what is sent as it is sent: the last step, without which a registry
//! keeps nothing, is taken only if all pieces together have the digest.

use bytes::{Bytes, BytesMut};
use crypto::Hasher;
use evidence::{Digest, ImageRef};
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue, RANGE};
use reqwest::{Method, Url};

use super::blob::{finish, location, piece_size};
use super::members::Blob;
use super::token::{Access, Scope};
use super::{Registry, mirror};
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind};
use crate::http::{Answer, Request};

/// Blobs up to this size go through memory whole, in bytes.
pub(crate) const WHOLE_SIZE_MAX: u64 = 4 * 1024 * 1024;

/// Size of the pieces of larger ones, in bytes: what GHCR takes.
pub(crate) const PIECE_SIZE: u64 = 4 * 1024 * 1024;

/// A blob that is being read: of the mirrors first, and of each no more after it has failed once.
/// Pieces have no digests of their own, so that a wrong one shows only when all are there.
pub(crate) struct Pieces<'a> {
    registry: &'a Registry,
    image: &'a ImageRef,
    blob: Blob,
    /// Those that may be asked still, the next one last.
    mirrors: Vec<ImageRef>,
    /// Whether one of the pieces is from a mirror.
    mirrored: bool,
    hasher: Hasher,
    /// Where the next piece begins.
    first: u64,
    done: bool,
    deadline: Deadline,
}

/// What comes next of a blob.
#[derive(Debug)]
pub(crate) enum Next {
    /// A piece.
    Piece(Bytes),
    /// Nothing: all pieces together have the blob's digest.
    Whole,
    /// All pieces once more, because those from a mirror were something else. The registry itself
    /// is asked this time.
    Again,
}

/// A blob that is being written.
pub(crate) struct Upload<'a> {
    registry: &'a Registry,
    image: &'a ImageRef,
    digest: &'a Digest,
    hasher: Hasher,
    url: Url,
    sent: u64,
    /// What came and is not sent yet: less than `piece_size`.
    waiting: BytesMut,
    piece_size: usize,
    deadline: Deadline,
}

fn header(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("numbers can stand in a header")
}

impl<'a> Pieces<'a> {
    /// Begins to read a blob.
    pub(crate) fn of(
        registry: &'a Registry,
        image: &'a ImageRef,
        blob: Blob,
        deadline: Deadline,
    ) -> Self {
        let hasher = Hasher::new(blob.digest.algorithm());
        let mut mirrors = registry.mirrors(image, true);
        mirrors.reverse();
        let (mirrored, first, done) = (false, 0, false);
        Self { registry, image, blob, mirrors, mirrored, hasher, first, done, deadline }
    }

    /// The next piece.
    ///
    /// # Errors
    /// When the registry itself does not have a piece, or all of them together are something else.
    pub(crate) async fn next(&mut self) -> Result<Next, FetchError> {
        let Self { registry, image, blob, deadline, .. } = *self;
        let Blob { digest, size } = blob;
        if self.done {
            return Ok(Next::Whole);
        }
        if size <= WHOLE_SIZE_MAX {
            self.done = true;
            let bytes = registry.fetch_blob(image, &digest, size, deadline).await?;
            return Ok(Next::Piece(Bytes::from(bytes)));
        }
        if self.first == size {
            return self.end();
        }
        let last = (self.first + PIECE_SIZE).min(size) - 1;
        let bytes = self.piece(last).await?;
        self.hasher.update(&bytes);
        self.first = last + 1;
        Ok(Next::Piece(Bytes::from(bytes)))
    }

    /// Holds all that came against the digest.
    fn end(&mut self) -> Result<Next, FetchError> {
        let wanted = self.blob.digest;
        let hasher = std::mem::replace(&mut self.hasher, Hasher::new(wanted.algorithm()));
        let found = Digest::from(hasher.finish());
        if found == wanted {
            self.done = true;
            return Ok(Next::Whole);
        }
        if self.mirrored {
            self.mirrors.clear();
            (self.mirrored, self.first) = (false, 0);
            return Ok(Next::Again);
        }
        let kind = FetchErrorKind::DigestMismatch { wanted, found };
        Err(FetchError::new(self.registry.attempt(self.image, &wanted), kind))
    }

    /// The bytes from `first` to `last`, of whoever has them.
    async fn piece(&mut self, last: u64) -> Result<Vec<u8>, FetchError> {
        while let Some(place) = self.mirrors.last() {
            if let Ok(bytes) = self.read(place, last, mirror::share(self.deadline)).await {
                self.mirrored = true;
                return Ok(bytes);
            }
            self.mirrors.pop();
        }
        self.read(self.image, last, self.deadline).await
    }

    async fn read(
        &self,
        place: &ImageRef,
        last: u64,
        deadline: Deadline,
    ) -> Result<Vec<u8>, FetchError> {
        let length = last - self.first + 1;
        let url = self.registry.url(place, &format!("blobs/{}", self.blob.digest))?;
        let get = Request::get(url, "a piece of a blob", length)
            .header(RANGE, header(format!("bytes={}-{last}", self.first)));
        let answer = self.registry.send(place, get, deadline).await?.wanted(&[206])?;
        if answer.body.len() as u64 != length {
            let found = format!("{} bytes", answer.body.len());
            return Err(answer.malformed("the whole piece that was asked for", found));
        }
        Ok(answer.body)
    }
}

impl<'a> Upload<'a> {
    /// Begins to write a blob.
    pub(crate) async fn start(
        registry: &'a Registry,
        image: &'a ImageRef,
        digest: &'a Digest,
        deadline: Deadline,
    ) -> Result<Self, FetchError> {
        let started = registry.start_upload(image, deadline).await?;
        Self::of(registry, image, digest, &started, deadline)
    }

    /// Goes on with what a registry has begun.
    pub(super) fn of(
        registry: &'a Registry,
        image: &'a ImageRef,
        digest: &'a Digest,
        started: &Answer,
        deadline: Deadline,
    ) -> Result<Self, FetchError> {
        let (url, hasher) = (location(started)?, Hasher::new(digest.algorithm()));
        let (waiting, piece_size) = (BytesMut::new(), piece_size(started)?);
        Ok(Self { registry, image, digest, hasher, url, sent: 0, waiting, piece_size, deadline })
    }

    /// Takes the next bytes, and sends what is as long as the registry wants its pieces.
    pub(crate) async fn send(&mut self, bytes: Bytes) -> Result<(), FetchError> {
        self.hasher.update(&bytes);
        if self.waiting.is_empty() && bytes.len() == self.piece_size {
            return self.patch(bytes).await;
        }
        self.waiting.extend_from_slice(&bytes);
        while self.waiting.len() >= self.piece_size {
            let piece = self.waiting.split_to(self.piece_size).freeze();
            self.patch(piece).await?;
        }
        Ok(())
    }

    async fn patch(&mut self, piece: Bytes) -> Result<(), FetchError> {
        let (first, last) = (self.sent, self.sent + piece.len() as u64 - 1);
        let octets = HeaderValue::from_static("application/octet-stream");
        let patch = Request::new(Method::PATCH, self.url.clone())
            .header(CONTENT_TYPE, octets)
            .header(CONTENT_RANGE, header(format!("{first}-{last}")))
            .body(piece);
        let sent = self.registry.send(self.image, patch, self.deadline).await?;
        self.url = location(&sent.wanted(&[202, 204])?)?;
        self.sent = last + 1;
        Ok(())
    }

    /// Has the registry keep what was sent, if it is what its digest says.
    pub(crate) async fn finish(mut self) -> Result<(), FetchError> {
        let Self { registry, image, digest, .. } = self;
        let found = Digest::from(self.hasher.clone().finish());
        if found != *digest {
            let kind = FetchErrorKind::DigestMismatch { wanted: *digest, found };
            return Err(FetchError::new(registry.attempt(image, digest), kind));
        }
        // The last piece may be as short as it is.
        let last = self.waiting.split().freeze();
        if !last.is_empty() {
            self.patch(last).await?;
        }
        let finish = finish(self.url, digest, Bytes::new());
        registry.send(image, finish, self.deadline).await?.wanted(&[201, 204])?.took(digest)
    }
}

impl Registry {
    /// Whether the registry has a blob in that repository. Asked with the access that writing it
    /// will need.
    pub(crate) async fn has_blob(
        &self,
        image: &ImageRef,
        digest: &Digest,
        deadline: Deadline,
    ) -> Result<bool, FetchError> {
        let head = Request::head(self.url(image, &format!("blobs/{digest}"))?);
        let scope = Scope { access: Access::Push, from: None };
        let there = self.send_as(image, head, &scope, deadline).await?;
        match there.status.as_u16() {
            200 => Ok(true),
            404 => Ok(false),
            _ => Err(there.refusal()),
        }
    }
}

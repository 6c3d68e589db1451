//! Copying an image with what lies beside it, from one repository to another: manifests byte for
//! byte and one after the other, blobs mounted where the registry can, and streamed in pieces where
//! they are large.
//!
//! Nothing that is at the destination is lost: its tags for signatures and its list of referrers
//! are merged with, not replaced. The image's own tag comes last, when all else is there.

use std::pin::pin;

use bytes::Bytes;
use evidence::{Digest, ImageRef};
use futures::StreamExt;
use reqwest::StatusCode;

use super::attachment::Place;
use super::cosign_tags::CosignTag;
use super::inventory::Beside;
use super::members::{Allowance, Blob, RawManifest, blobs, entry};
use super::stream::{Next, Pieces, Upload, WHOLE_SIZE_MAX};
use super::{Pushed, Registry};
use crate::deadline::Deadline;
use crate::error::FetchError;

pub use super::members::{INDEXES_SIZE_MAX, MANIFESTS_MAX, MANIFESTS_SIZE_MAX};

/// Blobs on their way at the same time, each with at most two pieces in memory.
const CONCURRENT: usize = 4;

/// What is to be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copying {
    /// The image itself, with the children of an index.
    pub image: bool,
    /// Which of Cosign's tags.
    pub tags: Vec<CosignTag>,
    /// What refers to it.
    pub referrers: bool,
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Manifests written.
    pub manifests: usize,
    /// Blobs that were at the destination.
    pub blobs_there: usize,
    /// Blobs that the registry took from the other repository.
    pub blobs_mounted: usize,
    /// Blobs that were sent.
    pub blobs_sent: usize,
}

/// From where to where.
#[derive(Clone, Copy)]
struct Way<'a> {
    from: &'a ImageRef,
    to: &'a ImageRef,
    deadline: Deadline,
}

impl Copying {
    /// The image and all that lies beside it.
    #[must_use]
    pub fn all() -> Self {
        Self { image: true, tags: CosignTag::ALL.to_vec(), referrers: true }
    }
}

impl Copied {
    fn add(&mut self, pushed: Pushed) {
        match pushed {
            Pushed::There => self.blobs_there += 1,
            Pushed::Mounted => self.blobs_mounted += 1,
            Pushed::Uploaded => self.blobs_sent += 1,
        }
    }
}

impl Registry {
    /// Copies an image, or what lies beside it, under the reference `to`: its tag, if it has one, is
    /// set last.
    ///
    /// # Errors
    /// At the first thing that cannot be looked at or written. What was written until then stays.
    pub async fn copy(
        &self,
        from: &ImageRef,
        to: &ImageRef,
        copying: &Copying,
        deadline: Deadline,
    ) -> Result<Copied, FetchError> {
        let way = Way { from, to, deadline };
        let top = self.resolve(from, deadline).await?;
        let mut members = self.members(from, top, deadline).await?;
        let mut copied = Copied::default();
        for image in std::mem::take(&mut members.images) {
            if copying.image {
                let manifest = self.member(from, &image, &mut members, deadline).await?;
                let blobs = blobs(&manifest);
                let manifest = RawManifest::from(manifest);
                self.copy_blobs(way, &blobs, &mut copied).await?;
                self.put_manifest(to, &manifest, deadline).await?;
                copied.manifests += 1;
            }
            let allowance = &mut members.allowance;
            self.copy_beside(way, &image.digest, copying, allowance, &mut copied).await?;
        }
        // Children first: registries refuse an index whose manifests are not there.
        for index in &members.indexes {
            if copying.image {
                self.put_manifest(to, index, deadline).await?;
                copied.manifests += 1;
            }
            let allowance = &mut members.allowance;
            self.copy_beside(way, &index.digest, copying, allowance, &mut copied).await?;
        }
        if let (true, Some(tag)) = (copying.image && to.digest().is_none(), to.tag()) {
            let RawManifest { media_type, bytes, .. } = members.top;
            self.push_tag(to, tag, &media_type, bytes, deadline).await?;
        }
        Ok(copied)
    }

    async fn copy_beside(
        &self,
        way: Way<'_>,
        subject: &Digest,
        copying: &Copying,
        allowance: &mut Allowance,
        copied: &mut Copied,
    ) -> Result<(), FetchError> {
        if copying.tags.is_empty() && !copying.referrers {
            return Ok(());
        }
        let Way { from, to, deadline } = way;
        let mut beside = pin!(self.beside(from, subject, deadline));
        while let Some(beside) = beside.next().await {
            let Beside { manifest, place } = beside?;
            allowance.take(&manifest).map_err(|stopped| self.stopped(from, stopped))?;
            match place {
                Place::Tag(tag) if copying.tags.contains(&tag) => {
                    self.copy_blobs(way, &blobs(&manifest), copied).await?;
                    self.join_cosign_tag(to, subject, tag, &manifest, deadline).await?;
                    copied.manifests += 1;
                }
                Place::Referrers(_) if copying.referrers => {
                    self.copy_blobs(way, &blobs(&manifest), copied).await?;
                    let entry = entry(&manifest);
                    self.push_referrer(to, subject, entry, manifest.bytes, deadline).await?;
                    copied.manifests += 1;
                }
                Place::Tag(_) | Place::Referrers(_) | Place::Layout => {}
            }
        }
        Ok(())
    }

    /// Writes a manifest under its digest, byte for byte.
    pub(crate) async fn put_manifest(
        &self,
        to: &ImageRef,
        manifest: &RawManifest,
        deadline: Deadline,
    ) -> Result<(), FetchError> {
        let RawManifest { digest, media_type, bytes } = manifest;
        self.put_by_digest(to, digest, media_type, bytes.clone(), deadline).await?;
        Ok(())
    }

    async fn copy_blobs(
        &self,
        way: Way<'_>,
        blobs: &[Blob],
        copied: &mut Copied,
    ) -> Result<(), FetchError> {
        let mut pushed = futures::stream::iter(blobs)
            .map(async |blob| self.copy_blob(way, *blob).await)
            .buffered(CONCURRENT);
        while let Some(pushed) = pushed.next().await {
            copied.add(pushed?);
        }
        Ok(())
    }

    /// Copies one blob, mounting it where both repositories are of one registry.
    async fn copy_blob(&self, way: Way<'_>, blob: Blob) -> Result<Pushed, FetchError> {
        let Way { from, to, deadline } = way;
        let digest = &blob.digest;
        if self.has_blob(to, digest, deadline).await? {
            return Ok(Pushed::There);
        }
        let same_registry = from.registry() == to.registry();
        let started = if same_registry && from.repository() != to.repository() {
            self.mount(to, from, digest, deadline).await?
        } else {
            None
        };
        let started = match started {
            Some(answer) if answer.status == StatusCode::CREATED => {
                answer.took(digest)?;
                return Ok(Pushed::Mounted);
            }
            Some(started) => started,
            None => self.start_upload(to, deadline).await?,
        };
        if blob.size <= WHOLE_SIZE_MAX {
            let bytes = self.fetch_blob(from, digest, blob.size, deadline).await?;
            self.upload(to, started, digest, Bytes::from(bytes), deadline).await?;
            return Ok(Pushed::Uploaded);
        }
        let mut pieces = Pieces::of(self, from, blob, deadline);
        let mut upload = Upload::of(self, to, digest, &started, deadline)?;
        loop {
            match pieces.next().await? {
                Next::Piece(piece) => upload.send(piece).await?,
                Next::Again => upload = Upload::start(self, to, digest, deadline).await?,
                Next::Whole => break,
            }
        }
        upload.finish().await?;
        Ok(Pushed::Uploaded)
    }
}

//! Copying an image with what lies beside it, from one repository to another: manifests byte for
//! byte, blobs mounted where the registry can, and streamed in pieces where they are large.
//!
//! Nothing that is at the destination is lost: its tags for signatures and its list of referrers
//! are merged with, not replaced. The image's own tag comes last, when all else is there.

use bytes::Bytes;
use evidence::{Digest, ImageRef};
use futures::StreamExt;
use reqwest::StatusCode;

use super::attachment::Place;
use super::cosign_tags::CosignTag;
use super::manifest::{Descriptor, Manifest, ManifestContent};
use super::stream::{Pieces, Upload, WHOLE_SIZE_MAX};
use super::{Pushed, Registry};
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind};

/// Manifests copied for one image, children of indexes and what lies beside them included.
pub const MANIFESTS_MAX: usize = 4096;

/// Indexes in indexes followed. Buildx makes one level, and nobody makes three.
pub(crate) const DEPTH_MAX: usize = 4;

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

    fn join(&mut self, other: Self) {
        self.manifests += other.manifests;
        self.blobs_there += other.blobs_there;
        self.blobs_mounted += other.blobs_mounted;
        self.blobs_sent += other.blobs_sent;
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
        let root = self.resolve(from, deadline).await?;
        let manifests = self.with_children(from, root.clone(), deadline).await?;
        let mut copied = Copied::default();
        // Children first: registries refuse an index whose manifests are not there.
        for manifest in manifests.iter().rev() {
            if copying.image {
                copied.join(self.copy_manifest(from, to, manifest, deadline).await?);
            }
        }
        for manifest in &manifests {
            let digest = manifest.digest;
            copied.join(self.copy_beside(from, to, &digest, copying, deadline).await?);
            if copied.manifests > MANIFESTS_MAX {
                let kind = FetchErrorKind::TooMany { what: "manifests", max: MANIFESTS_MAX };
                return Err(FetchError::new(self.attempt(from, &root.digest), kind));
            }
        }
        if let (true, Some(tag)) = (copying.image && to.digest().is_none(), to.tag()) {
            self.push_tag(to, tag, &root.media_type, root.bytes, deadline).await?;
        }
        Ok(copied)
    }

    /// The manifest, and for an index all below it, each once, parents before children.
    pub(crate) async fn with_children(
        &self,
        from: &ImageRef,
        root: Manifest,
        deadline: Deadline,
    ) -> Result<Vec<Manifest>, FetchError> {
        let mut level = vec![root];
        let mut all: Vec<Manifest> = Vec::new();
        for _ in 0..DEPTH_MAX {
            let mut next: Vec<Digest> =
                level.iter().flat_map(children).map(|child| child.digest).collect();
            all.extend(level);
            next.sort_unstable();
            next.dedup();
            // One that is on a higher level too is moved below all that may name it.
            all.retain(|manifest| !next.contains(&manifest.digest));
            if next.is_empty() {
                return Ok(all);
            }
            if all.len() + next.len() > MANIFESTS_MAX {
                break;
            }
            level = futures::stream::iter(next)
                .map(|digest| async move { self.fetch_manifest(from, &digest, deadline).await })
                .buffered(CONCURRENT)
                .collect::<Vec<_>>()
                .await
                .into_iter()
                .collect::<Result<_, _>>()?;
        }
        let digest = all.first().map_or(Digest::sha256(b""), |manifest| manifest.digest);
        let kind = FetchErrorKind::TooMany { what: "manifests in one index", max: MANIFESTS_MAX };
        Err(FetchError::new(self.attempt(from, &digest), kind))
    }

    async fn copy_beside(
        &self,
        from: &ImageRef,
        to: &ImageRef,
        subject: &Digest,
        copying: &Copying,
        deadline: Deadline,
    ) -> Result<Copied, FetchError> {
        let mut copied = Copied::default();
        if copying.tags.is_empty() && !copying.referrers {
            return Ok(copied);
        }
        let (beside, obstacles) = self.beside(from, subject, deadline).await;
        if let Some(obstacle) = obstacles.into_iter().next() {
            return Err(obstacle);
        }
        for beside in beside {
            let manifest = beside.manifest;
            match beside.place {
                Place::Tag(tag) if copying.tags.contains(&tag) => {
                    copied.join(self.copy_blobs(from, to, &manifest, deadline).await?);
                    self.join_cosign_tag(to, subject, tag, &manifest, deadline).await?;
                    copied.manifests += 1;
                }
                Place::Referrers(_) if copying.referrers => {
                    copied.join(self.copy_blobs(from, to, &manifest, deadline).await?);
                    let entry = entry(&manifest);
                    self.push_referrer(to, subject, entry, manifest.bytes, deadline).await?;
                    copied.manifests += 1;
                }
                Place::Tag(_) | Place::Referrers(_) | Place::Layout => {}
            }
        }
        Ok(copied)
    }

    async fn copy_manifest(
        &self,
        from: &ImageRef,
        to: &ImageRef,
        manifest: &Manifest,
        deadline: Deadline,
    ) -> Result<Copied, FetchError> {
        let mut copied = self.copy_blobs(from, to, manifest, deadline).await?;
        self.put_manifest(to, manifest, deadline).await?;
        copied.manifests += 1;
        Ok(copied)
    }

    /// Writes a manifest under its digest, byte for byte.
    pub(crate) async fn put_manifest(
        &self,
        to: &ImageRef,
        manifest: &Manifest,
        deadline: Deadline,
    ) -> Result<(), FetchError> {
        let (digest, bytes) = (&manifest.digest, manifest.bytes.clone());
        let put = self.put(to, &digest.to_string(), &manifest.media_type, bytes)?.repeatable();
        self.send(to, put, deadline).await?.wanted(&[200, 201, 202])?.took(digest)
    }

    async fn copy_blobs(
        &self,
        from: &ImageRef,
        to: &ImageRef,
        manifest: &Manifest,
        deadline: Deadline,
    ) -> Result<Copied, FetchError> {
        let pushed: Vec<_> = futures::stream::iter(blobs(manifest))
            .map(|blob| async move { self.copy_blob(from, to, &blob, deadline).await })
            .buffered(CONCURRENT)
            .collect()
            .await;
        let mut copied = Copied::default();
        for outcome in pushed {
            copied.add(outcome?);
        }
        Ok(copied)
    }

    /// Copies one blob, mounting it where both repositories are of one registry.
    async fn copy_blob(
        &self,
        from: &ImageRef,
        to: &ImageRef,
        blob: &Descriptor,
        deadline: Deadline,
    ) -> Result<Pushed, FetchError> {
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
        } else {
            let mut pieces = Pieces::of(self, from, blob, deadline);
            let mut upload = Upload::of(self, to, digest, &started, deadline)?;
            while let Some(piece) = pieces.next().await? {
                upload.send(piece).await?;
            }
            upload.finish().await?;
        }
        Ok(Pushed::Uploaded)
    }
}

/// What an image has in blobs of its own, each once.
pub(crate) fn blobs(manifest: &Manifest) -> Vec<Descriptor> {
    let ManifestContent::Image(content) = &manifest.content else { return Vec::new() };
    let layers = content.layers.iter().filter(|layer| !is_elsewhere(layer));
    let mut blobs: Vec<_> = std::iter::once(&content.config).chain(layers).cloned().collect();
    blobs.sort_by_key(|blob| blob.digest);
    blobs.dedup_by_key(|blob| blob.digest);
    blobs
}

/// The images of an index.
pub(crate) fn children(manifest: &Manifest) -> &[Descriptor] {
    match &manifest.content {
        ManifestContent::Index(index) => &index.manifests,
        ManifestContent::Image(_) => &[],
    }
}

/// Layers that images only point to, which no registry holds (Docker's "foreign" layers, and OCI's
/// non-distributable ones).
fn is_elsewhere(layer: &Descriptor) -> bool {
    layer.media_type.contains(".foreign.") || layer.media_type.contains(".nondistributable.")
}

/// What a list of referrers says of a manifest.
pub(crate) fn entry(manifest: &Manifest) -> Descriptor {
    let (artifact_type, annotations) = match &manifest.content {
        ManifestContent::Image(content) => {
            let kind = content.artifact_type.as_ref().unwrap_or(&content.config.media_type);
            (Some(kind.clone()), content.annotations.clone())
        }
        ManifestContent::Index(_) => (None, None),
    };
    Descriptor { artifact_type, annotations, ..manifest.descriptor() }
}

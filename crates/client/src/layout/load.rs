//! Loading an image with all that lies beside it, from a layout into a registry.
//!
//! Nothing that is in the registry is lost: tags for signatures and lists of referrers are merged
//! with. The image's own tag comes last, when all else is there. Manifests are read one after the
//! other, and again when their turn comes to be written.

use std::io::Read;

use bytes::Bytes;
use evidence::{Digest, ImageRef};
use futures::{StreamExt, TryStreamExt};

use super::files::problem;
use super::transfer::{Plan, Progress, Side, TransferError, total};
use super::{Layout, LayoutError, LayoutProblem};
use crate::deadline::Deadline;
use crate::registry::manifest::MANIFEST_SIZE_MAX;
use crate::registry::members::{Blob, RawManifest, entry};
use crate::registry::stream::{PIECE_SIZE, Upload};
use crate::registry::walk::Unopened;
use crate::registry::{Manifest, Pushed, Registry};

/// Blobs on their way at the same time, each with at most two pieces in memory.
const CONCURRENT: usize = 4;

/// What was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The image.
    pub digest: Digest,
    /// Manifests: the image, the images of an index, and what lies beside them.
    pub manifests: usize,
    /// Blobs that the registry had.
    pub blobs_there: usize,
    /// Blobs that were sent.
    pub blobs_sent: usize,
}

impl Layout {
    /// Loads the image under the reference `to`, and what lies beside it into the repository
    /// `place`. Every blob is held against its digest before the registry keeps it.
    ///
    /// # Errors
    /// At the first thing that cannot be read or written. What was written until then stays.
    pub async fn load(
        &self,
        registry: &Registry,
        to: &ImageRef,
        place: &ImageRef,
        deadline: Deadline,
        progress: &dyn Progress,
    ) -> Result<Loaded, TransferError> {
        let top = self.image(None)?;
        let digest = top.digest;
        if let Some(wanted) = to.digest().filter(|wanted| **wanted != digest) {
            return Err(TransferError::OtherImage { wanted: *wanted, found: digest });
        }
        let mut members = self.members(top)?;
        let subjects = members.digests();
        let beside = self.beside(&subjects)?;

        let mut plan = Plan::of(to, place);
        let stopped = |stopped| self.stopped(stopped);
        for image in &members.images {
            let manifest = self.open_manifest(image)?;
            members.allowance.take_image(&manifest).map_err(stopped)?;
            plan.add(&manifest, Side::Image)?;
        }
        for beside in &beside {
            let manifest = self.open_manifest(&beside.manifest)?;
            members.allowance.take(&manifest).map_err(stopped)?;
            plan.add(&manifest, Side::Evidence)?;
        }
        let blobs = plan.for_each_place();
        progress.expect(total(&blobs));
        let pushed: Vec<Pushed> = futures::stream::iter(&blobs)
            .map(|(to, blob)| self.push(registry, to, *blob, deadline, progress))
            .buffer_unordered(CONCURRENT)
            .try_collect()
            .await?;

        for image in &members.images {
            let manifest = RawManifest::from(self.open_manifest(image)?);
            registry.put_manifest(to, &manifest, deadline).await?;
        }
        // Children first: registries refuse an index whose manifests are not there.
        for index in &members.indexes {
            registry.put_manifest(to, index, deadline).await?;
        }
        for beside in &beside {
            let (subject, manifest) = (&beside.subject, self.open_manifest(&beside.manifest)?);
            match beside.tag {
                Some(tag) => {
                    registry.join_cosign_tag(place, subject, tag, &manifest, deadline).await?;
                }
                None => {
                    let entry = entry(&manifest);
                    registry.push_referrer(place, subject, entry, manifest.bytes, deadline).await?;
                }
            }
        }
        if let (None, Some(tag)) = (to.digest(), to.tag()) {
            let RawManifest { media_type, bytes, .. } = members.top;
            registry.push_tag(to, tag, &media_type, bytes, deadline).await?;
        }
        let blobs_sent = pushed.iter().filter(|pushed| **pushed == Pushed::Uploaded).count();
        Ok(Loaded {
            digest,
            manifests: subjects.len() + beside.len(),
            blobs_there: pushed.len() - blobs_sent,
            blobs_sent,
        })
    }

    fn open_manifest(&self, manifest: &Unopened) -> Result<Manifest, LayoutError> {
        self.manifest(&manifest.digest, Some(&manifest.media_type), MANIFEST_SIZE_MAX)
    }

    /// Sends a blob that the registry has not.
    async fn push(
        &self,
        registry: &Registry,
        to: &ImageRef,
        blob: Blob,
        deadline: Deadline,
        progress: &dyn Progress,
    ) -> Result<Pushed, TransferError> {
        let Blob { digest, size } = blob;
        if registry.has_blob(to, &digest, deadline).await? {
            progress.moved(size);
            return Ok(Pushed::There);
        }
        let path = self.path(&digest);
        let (mut file, found) = self.blobs(digest.algorithm())?.file(&digest.hex())?;
        // A short one may be all of it, where a manifest tells another length: who saved it went by
        // the digest.
        let is_short = found < size && size <= PIECE_SIZE;
        let size = if is_short && self.blob(&digest, found).is_ok() { found } else { size };
        if found != size {
            let (wanted, found) = ("a blob as long as its manifest says", found.to_string());
            return Err(problem(&path, LayoutProblem::Malformed { wanted, found }).into());
        }
        if size <= PIECE_SIZE {
            let bytes = Bytes::from(self.blob(&digest, size)?);
            registry.push_blob_from(to, None, &digest, bytes, deadline).await?;
            progress.moved(size);
            return Ok(Pushed::Uploaded);
        }
        let mut upload = Upload::start(registry, to, &digest, deadline).await?;
        loop {
            let mut piece = Vec::new();
            let mut rest = Read::by_ref(&mut file).take(PIECE_SIZE);
            rest.read_to_end(&mut piece).map_err(|error| problem(&path, error.into()))?;
            if piece.is_empty() {
                break;
            }
            let size = piece.len() as u64;
            upload.send(Bytes::from(piece)).await?;
            progress.moved(size);
        }
        upload.finish().await?;
        Ok(Pushed::Uploaded)
    }
}

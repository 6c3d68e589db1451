//! Loading an image with all that lies beside it, from a layout into a registry.
//!
//! Nothing that is in the registry is lost: tags for signatures and lists of referrers are merged
//! with. The image's own tag comes last, when all else is there.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;

use bytes::Bytes;
use evidence::{Digest, ImageRef};
use futures::{StreamExt, TryStreamExt};

use super::files::{plain_file, problem};
use super::transfer::{Progress, TransferError, total};
use super::{Layout, LayoutError, LayoutProblem};
use crate::deadline::Deadline;
use crate::registry::copy::{DEPTH_MAX, MANIFESTS_MAX, blobs, children, entry};
use crate::registry::manifest::MANIFEST_SIZE_MAX;
use crate::registry::stream::{PIECE_SIZE, Upload};
use crate::registry::{Descriptor, Manifest, Pushed, Registry};

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
        let manifests = self.with_children(top)?;
        let subjects: Vec<_> = manifests.iter().map(|manifest| manifest.digest).collect();
        let beside = self.beside(&subjects)?;

        let of_images = manifests.iter().flat_map(blobs).map(|blob| (to, blob));
        let of_others = beside.iter().flat_map(|beside| blobs(&beside.manifest));
        let wanted = of_images.chain(of_others.map(|blob| (place, blob)));
        let mut seen = HashSet::new();
        let wanted: Vec<_> =
            wanted.filter(|(to, blob)| seen.insert((to.name(), blob.digest))).collect();
        progress.expect(total(wanted.iter().map(|(_, blob)| blob)));
        let pushed: Vec<Pushed> = futures::stream::iter(&wanted)
            .map(|(to, blob)| self.push(registry, to, blob, deadline, progress))
            .buffer_unordered(CONCURRENT)
            .try_collect()
            .await?;

        // Children first: registries refuse an index whose manifests are not there.
        for manifest in manifests.iter().rev() {
            registry.put_manifest(to, manifest, deadline).await?;
        }
        for beside in &beside {
            let (subject, manifest) = (&beside.subject, &beside.manifest);
            match beside.tag {
                Some(tag) => {
                    registry.join_cosign_tag(place, subject, tag, manifest, deadline).await?;
                }
                None => {
                    let (entry, bytes) = (entry(manifest), manifest.bytes.clone());
                    registry.push_referrer(place, subject, entry, bytes, deadline).await?;
                }
            }
        }
        if let (None, Some(tag), Some(top)) = (to.digest(), to.tag(), manifests.first()) {
            registry.push_tag(to, tag, &top.media_type, top.bytes.clone(), deadline).await?;
        }
        let blobs_sent = pushed.iter().filter(|pushed| **pushed == Pushed::Uploaded).count();
        Ok(Loaded {
            digest,
            manifests: manifests.len() + beside.len(),
            blobs_there: pushed.len() - blobs_sent,
            blobs_sent,
        })
    }

    /// The manifest, and for an index all below it, each once, parents before children.
    fn with_children(&self, top: Manifest) -> Result<Vec<Manifest>, LayoutError> {
        let index = self.path(&top.digest);
        let mut level = vec![top];
        let mut all: Vec<Manifest> = Vec::new();
        for _ in 0..DEPTH_MAX {
            // Manifests need not say what they are: what names them does.
            let mut next: Vec<(Digest, String)> = level
                .iter()
                .flat_map(children)
                .map(|child| (child.digest, child.media_type.clone()))
                .collect();
            all.extend(level);
            next.sort_unstable();
            next.dedup_by_key(|(digest, _)| *digest);
            // One that is on a higher level too is moved below all that may name it.
            let is_below = |one: &Manifest| next.iter().any(|(digest, _)| *digest == one.digest);
            all.retain(|manifest| !is_below(manifest));
            if next.is_empty() {
                return Ok(all);
            }
            if all.len() + next.len() > MANIFESTS_MAX {
                break;
            }
            let read = |(digest, media_type): &(Digest, String)| {
                self.manifest(digest, Some(media_type), MANIFEST_SIZE_MAX)
            };
            level = next.iter().map(read).collect::<Result<_, _>>()?;
        }
        let (what, max) = ("manifests in one index", MANIFESTS_MAX);
        Err(problem(&index, LayoutProblem::TooMany { what, max }))
    }

    /// Sends a blob that the registry has not.
    async fn push(
        &self,
        registry: &Registry,
        to: &ImageRef,
        blob: &Descriptor,
        deadline: Deadline,
        progress: &dyn Progress,
    ) -> Result<Pushed, TransferError> {
        if registry.has_blob(to, &blob.digest, deadline).await? {
            progress.moved(blob.size);
            return Ok(Pushed::There);
        }
        let path = self.path(&blob.digest);
        self.check_folders(blob.digest.algorithm())?;
        let found = plain_file(&path)?;
        if found != blob.size {
            let (wanted, found) = ("a blob as long as its manifest says", found.to_string());
            return Err(problem(&path, LayoutProblem::Malformed { wanted, found }).into());
        }
        if blob.size <= PIECE_SIZE {
            let bytes = Bytes::from(self.blob(&blob.digest, blob.size)?);
            registry.push_blob_from(to, None, &blob.digest, bytes, deadline).await?;
            progress.moved(blob.size);
            return Ok(Pushed::Uploaded);
        }
        let failed = |error: std::io::Error| problem(&path, error.into());
        let mut file = File::open(&path).map_err(failed)?;
        let mut upload = Upload::start(registry, to, &blob.digest, deadline).await?;
        loop {
            let mut piece = Vec::new();
            let mut rest = Read::by_ref(&mut file).take(PIECE_SIZE);
            rest.read_to_end(&mut piece).map_err(failed)?;
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

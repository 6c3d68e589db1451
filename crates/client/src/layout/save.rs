//! Saving an image with all that lies beside it, from a registry into a layout.
//!
//! The index lists the image as `cosign save` marks it, and as others know it by its tag; Cosign's
//! manifests under the names of their tags; and what refers to the image as what it is, so that
//! tools that know the OCI layout and nothing of Cosign see it.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::pin::pin;

use evidence::{Digest, ImageRef};
use futures::{StreamExt, TryStreamExt};

use super::beside::tag_about;
use super::transfer::{Plan, Progress, Side, TransferError, total};
use super::writer::Writer;
use super::{ATTESTATIONS, IMAGE, IMAGE_INDEX, KIND, Layout, REFERENCE, SIGNATURES};
use crate::deadline::Deadline;
use crate::registry::attachment::Place;
use crate::registry::inventory::Beside;
use crate::registry::members::{Blob, entry};
use crate::registry::stream::{Next, Pieces};
use crate::registry::{CosignTag, Descriptor, Manifest, ManifestContent, Registry};

/// Blobs on their way at the same time, each with at most two pieces in memory.
const CONCURRENT: usize = 4;

/// What was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The image.
    pub digest: Digest,
    /// Manifests: the image, the images of an index, and what lies beside them.
    pub manifests: usize,
    /// Blobs that were there before.
    pub blobs_there: usize,
    /// Blobs that were fetched.
    pub blobs_fetched: usize,
    /// What the folder listed before and lists no more: other images, and what lay beside them.
    /// What was under a tag beside this image is followed by what is there now, and is not told.
    pub replaced: Vec<Digest>,
}

impl Layout {
    /// Saves an image, and what lies beside it in the repository `place`.
    ///
    /// # Errors
    /// At the first thing that cannot be looked at or written. The folder lists then what it did
    /// before; what was fetched until then is not fetched again, and is no part of it.
    pub async fn save(
        root: &Path,
        registry: &Registry,
        image: &ImageRef,
        place: &ImageRef,
        deadline: Deadline,
        progress: &dyn Progress,
    ) -> Result<Saved, TransferError> {
        let (mut writer, before) = Writer::create(root)?;
        let top = registry.resolve(image, deadline).await?;
        let digest = top.digest;
        writer.list(listed_image(image, &top));
        let mut plan = Plan::of(image, place);
        let mut members = registry.members(image, top, deadline).await?;
        let subjects = members.digests();
        // Manifests go into the folder as they come, where they count for nothing until the index
        // lists them.
        for one in std::mem::take(&mut members.images) {
            let manifest = registry.member(image, &one, &mut members, deadline).await?;
            plan.add(&manifest, Side::Image)?;
            writer.put(&manifest.digest, &manifest.bytes)?;
        }
        for index in &members.indexes {
            writer.put(&index.digest, &index.bytes)?;
        }
        let mut manifests = subjects.len();
        for subject in &subjects {
            let mut beside = pin!(registry.beside(place, subject, deadline));
            while let Some(beside) = beside.next().await {
                let Beside { manifest, place: found } = beside?;
                let taken = members.allowance.take(&manifest);
                taken.map_err(|stopped| registry.stopped(place, stopped))?;
                plan.add(&manifest, Side::Evidence)?;
                writer.put(&manifest.digest, &manifest.bytes)?;
                writer.list(listed_beside(&manifest, found, subject, &digest));
                manifests += 1;
            }
        }
        writer.check()?;
        let replaced =
            before.map_or_else(Vec::new, |before| before.unlisted_by(&writer, &subjects));
        let blobs = plan.once();
        progress.expect(total(&blobs));
        let writer_ref = &writer;
        let fetched: Vec<bool> = futures::stream::iter(&blobs)
            .map(|(from, blob)| keep(writer_ref, registry, from, *blob, deadline, progress))
            .buffer_unordered(CONCURRENT)
            .try_collect()
            .await?;
        writer.finish()?;
        let blobs_fetched = fetched.iter().filter(|fetched| **fetched).count();
        Ok(Saved {
            digest,
            manifests,
            blobs_there: fetched.len() - blobs_fetched,
            blobs_fetched,
            replaced,
        })
    }

    /// What this lists, and the new index will not: each once.
    fn unlisted_by(&self, writer: &Writer, subjects: &[Digest]) -> Vec<Digest> {
        let stays = writer.listed().iter().map(|descriptor| descriptor.digest);
        let mut seen: HashSet<_> = stays.collect();
        let others = self.listed.iter().filter(|one| tag_about(one, subjects).is_none());
        others.map(|one| one.digest).filter(|digest| seen.insert(*digest)).collect()
    }
}

/// Fetches a blob that is not there. Whether it was not.
async fn keep(
    writer: &Writer,
    registry: &Registry,
    from: &ImageRef,
    blob: Blob,
    deadline: Deadline,
    progress: &dyn Progress,
) -> Result<bool, TransferError> {
    if writer.holds(&blob.digest)? {
        progress.moved(blob.size);
        return Ok(false);
    }
    let mut file = writer.blob(&blob.digest)?;
    let mut pieces = Pieces::of(registry, from, blob, deadline);
    loop {
        match pieces.next().await? {
            Next::Piece(piece) => {
                file.write(&piece)?;
                progress.moved(piece.len() as u64);
            }
            Next::Again => {
                file = writer.blob(&blob.digest)?;
                progress.expect(blob.size);
            }
            Next::Whole => break,
        }
    }
    file.finish()?;
    Ok(true)
}

/// How the image is listed: as Cosign marks it, and by its tag.
fn listed_image(image: &ImageRef, manifest: &Manifest) -> Descriptor {
    let kind = match manifest.content {
        ManifestContent::Image(_) => IMAGE,
        ManifestContent::Index(_) => IMAGE_INDEX,
    };
    let tag = image.tag().filter(|_| image.digest().is_none());
    let annotations = [Some((KIND, kind)), tag.map(|tag| (REFERENCE, tag))];
    annotated(manifest.descriptor(), annotations)
}

/// How something beside it is listed. Annotations of its own are left away: they could make it the
/// image.
fn listed_beside(
    manifest: &Manifest,
    place: Place,
    subject: &Digest,
    image: &Digest,
) -> Descriptor {
    let Place::Tag(tag) = place else {
        return Descriptor { annotations: None, ..entry(manifest) };
    };
    // Cosign's marks do not say about what, and mean the image.
    let kind = match tag {
        CosignTag::Signature if subject == image => Some((KIND, SIGNATURES)),
        CosignTag::Attestation if subject == image => Some((KIND, ATTESTATIONS)),
        _ => None,
    };
    let name = tag.of(subject);
    annotated(manifest.descriptor(), [kind, name.as_deref().map(|name| (REFERENCE, name))])
}

fn annotated(descriptor: Descriptor, annotations: [Option<(&str, &str)>; 2]) -> Descriptor {
    let annotations = annotations.into_iter().flatten();
    let annotations: BTreeMap<_, _> =
        annotations.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Descriptor { annotations: Some(annotations), ..descriptor }
}

//! Saving an image with all that lies beside it, from a registry into a layout.
//!
//! The index lists the image as `cosign save` marks it, and as others know it by its tag; Cosign's
//! manifests under the names of their tags; and what refers to the image as what it is, so that
//! tools that know the OCI layout and nothing of Cosign see it.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use evidence::{Digest, ImageRef};
use futures::{StreamExt, TryStreamExt};

use super::beside::tag_about;
use super::transfer::{Progress, TransferError, total};
use super::writer::Writer;
use super::{ATTESTATIONS, IMAGE, IMAGE_INDEX, KIND, Layout, REFERENCE, SIGNATURES};
use crate::deadline::Deadline;
use crate::registry::attachment::Place;
use crate::registry::copy::{blobs, entry};
use crate::registry::stream::Pieces;
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
    /// before; what was fetched until then is not fetched again.
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
        let mut held = registry.with_children(image, top, deadline).await?;
        let mut wanted: Vec<_> =
            held.iter().flat_map(blobs).map(|blob| (image.clone(), blob)).collect();
        let subjects: Vec<_> = held.iter().map(|manifest| manifest.digest).collect();
        for subject in &subjects {
            let (beside, obstacles) = registry.beside(place, subject, deadline).await;
            if let Some(obstacle) = obstacles.into_iter().next() {
                return Err(obstacle.into());
            }
            for beside in beside {
                writer.list(listed_beside(&beside.manifest, beside.place, subject, &digest));
                wanted
                    .extend(blobs(&beside.manifest).into_iter().map(|blob| (place.clone(), blob)));
                held.push(beside.manifest);
            }
        }
        writer.check()?;
        let replaced =
            before.map_or_else(Vec::new, |before| before.unlisted_by(&writer, &subjects));
        wanted.sort_by_key(|(_, blob)| blob.digest);
        wanted.dedup_by_key(|(_, blob)| blob.digest);
        progress.expect(total(wanted.iter().map(|(_, blob)| blob)));
        let (writer_ref, fetch) = (&writer, &wanted);
        let fetched: Vec<bool> = futures::stream::iter(fetch)
            .map(|(from, blob)| keep(writer_ref, registry, from, blob, deadline, progress))
            .buffer_unordered(CONCURRENT)
            .try_collect()
            .await?;
        for manifest in &held {
            writer.put(&manifest.digest, &manifest.bytes)?;
        }
        writer.finish()?;
        let blobs_fetched = fetched.iter().filter(|fetched| **fetched).count();
        Ok(Saved {
            digest,
            manifests: held.len(),
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
    blob: &Descriptor,
    deadline: Deadline,
    progress: &dyn Progress,
) -> Result<bool, TransferError> {
    if writer.holds(&blob.digest)? {
        progress.moved(blob.size);
        return Ok(false);
    }
    let mut file = writer.blob(&blob.digest)?;
    let mut pieces = Pieces::of(registry, from, blob, deadline);
    while let Some(piece) = pieces.next().await? {
        file.write(&piece)?;
        progress.moved(piece.len() as u64);
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

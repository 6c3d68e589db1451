//! What saving and loading share: which blobs are to be moved, how far they are, and why they fail.

use std::collections::BTreeMap;

use evidence::{Digest, ImageRef};

use super::LayoutError;
use crate::error::FetchError;
use crate::registry::Manifest;
use crate::registry::members::{Blob, blobs};

/// Most blobs moved for one image with all that lies beside it: what is known of each is held until
/// all are there. The official images with the most platforms have about 300.
pub const BLOBS_MAX: usize = 100_000;

/// Is told how far a transfer is.
pub trait Progress: Sync {
    /// That many bytes are to be moved, besides those that it was told of before.
    fn expect(&self, bytes: u64);

    /// That many more were moved, or need not be.
    fn moved(&self, bytes: u64);
}

/// Why an image was not moved.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] FetchError),
    /// The folder.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Another image than that of the name it is to have.
    #[error("wanted the image {wanted}, found {found}")]
    OtherImage {
        /// The digest in the name.
        wanted: Digest,
        /// The digest of the image.
        found: Digest,
    },
    /// More blobs than are moved.
    #[error(transparent)]
    TooManyBlobs(#[from] TooManyBlobs),
}

/// An image has more blobs, with what lies beside it, than are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("wanted at most {BLOBS_MAX} blobs, found more")]
pub struct TooManyBlobs;

impl TransferError {
    /// What somebody can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Layout(_) | Self::TooManyBlobs(_) => None,
            Self::OtherImage { .. } => Some("name a tag, or this digest".to_owned()),
        }
    }
}

/// The blobs to be moved, each once, and of which of two repositories they are: that of the image,
/// and that of what lies beside it, which may be the same.
pub(super) struct Plan<'a> {
    image: &'a ImageRef,
    evidence: &'a ImageRef,
    blobs: BTreeMap<Digest, Planned>,
}

struct Planned {
    size: u64,
    in_image: bool,
    in_evidence: bool,
}

/// What a manifest is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Image,
    Evidence,
}

impl<'a> Plan<'a> {
    pub(super) fn of(image: &'a ImageRef, evidence: &'a ImageRef) -> Self {
        Self { image, evidence, blobs: BTreeMap::new() }
    }

    /// Adds the blobs of a manifest.
    pub(super) fn add(&mut self, manifest: &Manifest, side: Side) -> Result<(), TooManyBlobs> {
        let is_one = self.image.name() == self.evidence.name();
        for Blob { digest, size } in blobs(manifest) {
            let unplanned = Planned { size, in_image: false, in_evidence: false };
            let planned = self.blobs.entry(digest).or_insert(unplanned);
            match side {
                Side::Evidence if !is_one => planned.in_evidence = true,
                _ => planned.in_image = true,
            }
        }
        if self.blobs.len() > BLOBS_MAX {
            return Err(TooManyBlobs);
        }
        Ok(())
    }

    /// Each blob once, with a repository that has it.
    pub(super) fn once(&self) -> Vec<(&'a ImageRef, Blob)> {
        let place = |planned: &Planned| if planned.in_image { self.image } else { self.evidence };
        let blobs = self.blobs.iter();
        blobs.map(|(digest, planned)| (place(planned), planned.blob(*digest))).collect()
    }

    /// Each blob for each of the repositories that are to have it.
    pub(super) fn for_each_place(&self) -> Vec<(&'a ImageRef, Blob)> {
        let places = |planned: &Planned| {
            let image = planned.in_image.then_some(self.image);
            image.into_iter().chain(planned.in_evidence.then_some(self.evidence))
        };
        let blobs = self.blobs.iter();
        blobs
            .flat_map(|(digest, planned)| {
                places(planned).map(|place| (place, planned.blob(*digest)))
            })
            .collect()
    }
}

impl Planned {
    fn blob(&self, digest: Digest) -> Blob {
        Blob { digest, size: self.size }
    }
}

/// How long blobs are together, as far as their manifests tell the truth.
pub(super) fn total(blobs: &[(&ImageRef, Blob)]) -> u64 {
    blobs.iter().fold(0, |sum, (_, blob)| sum.saturating_add(blob.size))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(blobs: std::ops::Range<u64>) -> Manifest {
        let blob = |number: u64| {
            let digest = Digest::sha256(&number.to_be_bytes()).to_string();
            json!({"mediaType": "a/b", "digest": digest, "size": number})
        };
        let all: Vec<_> = blobs.map(blob).collect();
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "config": all[0], "layers": all});
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let digest = Digest::sha256(&bytes);
        Manifest::read(bytes, Some(media_type), &digest).unwrap()
    }

    #[test]
    fn each_blob_is_moved_once_to_where_it_belongs() {
        let [image, same, other] =
            ["a.io/app:v1", "a.io/app", "a.io/signatures"].map(|name| name.parse().unwrap());
        for (evidence, places) in [(&same, 3), (&other, 4)] {
            let mut plan = Plan::of(&image, evidence);
            plan.add(&manifest(1..3), Side::Image).unwrap();
            plan.add(&manifest(1..3), Side::Image).unwrap();
            plan.add(&manifest(2..4), Side::Evidence).unwrap();
            assert_eq!((plan.once().len(), total(&plan.once())), (3, 1 + 2 + 3));
            assert_eq!(plan.for_each_place().len(), places);
            for (place, blob) in plan.once() {
                let is_ours = blob.size < 3 || evidence.name() == image.name();
                assert_eq!(place.name() == image.name(), is_ours, "{blob:?}");
            }
        }
    }

    #[test]
    fn only_so_many_blobs_are_planned() {
        let image = "a.io/app:v1".parse().unwrap();
        let mut plan = Plan::of(&image, &image);
        for start in (0..BLOBS_MAX as u64).step_by(1000) {
            plan.add(&manifest(start..start + 1000), Side::Image).unwrap();
        }
        let most = BLOBS_MAX as u64;
        assert_eq!(plan.add(&manifest(most..most + 1), Side::Image), Err(TooManyBlobs));
    }
}

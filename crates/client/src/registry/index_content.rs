//! What an image index names, level by level, down to the images that run.
//!
//! OCI image specification v1.1, "OCI Image Index Specification": an index may name indexes, and the
//! platform of what it names is its own word for it. Images are not opened: a signature is about a
//! digest, which the index gives, and an index may name images that nobody copied along. What could
//! not be opened is kept as an obstacle, so that nobody takes what was seen for all there is.

use std::collections::BTreeMap;

use evidence::{Digest, ImageRef};
use futures::StreamExt;

use super::Registry;
use super::manifest::{
    DOCKER_MANIFEST, Descriptor, Manifest, OCI_MANIFEST, Platform, is_index_type,
};
use super::walk::{Levels, Problem, Stopped, Unopened};
use crate::deadline::Deadline;
use crate::error::FetchError;

pub use super::walk::{DEPTH_MAX, INNER_INDEX_SIZE_MAX};

/// Most manifests that one index may name, over all levels. The official images with the most
/// platforms name about 30, with a build record for each.
pub const NAMED_MAX: usize = 256;

/// Most platforms that one manifest may be said to be for.
pub const PLATFORMS_MAX: usize = 32;

/// Indexes read at the same time.
const CONCURRENT: usize = 4;

/// By which `BuildKit` says what an entry of an index is, and what it says of its own records.
/// `BuildKit`, "Image attestation storage".
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const ATTESTATION_MANIFEST: &str = "attestation-manifest";

/// The platform of what runs on none.
const NO_PLATFORM: &str = "unknown";

/// What an index names.
#[derive(Debug)]
pub struct IndexContent<E> {
    /// Each manifest once, in the order in which the indexes name them, one level after the other.
    pub named: Vec<Named>,
    /// Why that may not be all.
    pub obstacles: Vec<E>,
}

/// A manifest that an index names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its digest.
    pub digest: Digest,
    /// What it is: where it is named as several things, the first of them in [`NamedKind`]'s order.
    pub kind: NamedKind,
    /// The platforms that it is said to be for.
    pub platforms: Vec<Platform>,
    /// The first index that names it.
    pub index: Digest,
}

/// What an index names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NamedKind {
    /// An image, or whatever else is not known to be one of the others.
    Image,
    /// A further index.
    Index,
    /// What `BuildKit` records about a build, in the shape of an image that no platform runs.
    BuildRecord,
}

impl NamedKind {
    /// What the entry of an index is. That something is a record has to be said twice: by its name,
    /// and by the platform, which alone keeps runtimes from choosing it.
    fn of(descriptor: &Descriptor) -> Self {
        if is_index_type(&descriptor.media_type) {
            return Self::Index;
        }
        let annotations = descriptor.annotations.as_ref();
        let reference_type = annotations.and_then(|annotations| annotations.get(REFERENCE_TYPE));
        let runs_nowhere = descriptor.platform.as_ref().is_some_and(|platform| {
            platform.os == NO_PLATFORM && platform.architecture == NO_PLATFORM
        });
        let is_manifest = [OCI_MANIFEST, DOCKER_MANIFEST].contains(&descriptor.media_type.as_str());
        if is_manifest
            && runs_nowhere
            && reference_type.is_some_and(|value| value == ATTESTATION_MANIFEST)
        {
            return Self::BuildRecord;
        }
        Self::Image
    }
}

impl Registry {
    /// All that an index names, opening the indexes among it.
    pub async fn index_content(
        &self,
        image: &ImageRef,
        index: &Manifest,
        deadline: Deadline,
    ) -> IndexContent<FetchError> {
        let mut walk = Walk::of(index);
        let mut obstacles = Vec::new();
        while let Some(indexes) = walk.next_indexes() {
            let mut opened = futures::stream::iter(indexes)
                .map(async |Unopened { digest, .. }| {
                    self.fetch_manifest_up_to(image, &digest, INNER_INDEX_SIZE_MAX, deadline).await
                })
                .buffered(CONCURRENT);
            while let Some(index) = opened.next().await {
                match index {
                    Ok(index) => walk.open(&index),
                    Err(error) => obstacles.push(error),
                }
            }
        }
        walk.end(obstacles, |stopped| self.stopped(image, stopped))
    }
}

/// A walk through an index, level by level, wherever the manifests come from, that goes on whatever
/// cannot be seen.
#[derive(Default)]
pub(crate) struct Walk {
    levels: Levels,
    named: Vec<Named>,
    places: BTreeMap<Digest, usize>,
    stopped: Vec<Stopped>,
}

impl Walk {
    /// Begins with an index.
    pub(crate) fn of(index: &Manifest) -> Self {
        let mut walk = Self::default();
        walk.open(index);
        walk
    }

    /// The indexes to open next, each of them once; `None` if all was seen that is looked at.
    pub(crate) fn next_indexes(&mut self) -> Option<Vec<Unopened>> {
        let next = self.levels.next().unwrap_or_else(|stopped| {
            self.stopped.push(stopped);
            Vec::new()
        });
        (!next.is_empty()).then_some(next)
    }

    /// Takes note of what an index names.
    pub(crate) fn open(&mut self, index: &Manifest) {
        if let Err(stopped) = self.note_all(index) {
            self.stopped.push(stopped);
        }
    }

    /// What was seen, and why that may not be all.
    pub(crate) fn end<E>(
        self,
        obstacles: Vec<E>,
        failed: impl Fn(Stopped) -> E,
    ) -> IndexContent<E> {
        let stopped = self.stopped.into_iter().map(failed);
        IndexContent {
            named: self.named,
            obstacles: obstacles.into_iter().chain(stopped).collect(),
        }
    }

    fn note_all(&mut self, index: &Manifest) -> Result<(), Stopped> {
        for descriptor in self.levels.open(index)? {
            self.note(index.digest, descriptor)?;
            self.levels.follow(descriptor);
        }
        Ok(())
    }

    fn note(&mut self, index: Digest, descriptor: &Descriptor) -> Result<(), Stopped> {
        let (digest, kind) = (descriptor.digest, NamedKind::of(descriptor));
        let place = *self.places.entry(digest).or_insert(self.named.len());
        if place == NAMED_MAX {
            let (what, max) = ("manifests in an index", NAMED_MAX);
            return Err((index, Problem::TooMany { what, max }));
        }
        if place == self.named.len() {
            self.named.push(Named { digest, kind, platforms: Vec::new(), index });
        }
        let Some(named) = self.named.get_mut(place) else { return Ok(()) };
        named.kind = named.kind.min(kind);
        if let Some(platform) = &descriptor.platform
            && !named.platforms.contains(platform)
        {
            if named.platforms.len() == PLATFORMS_MAX {
                let (what, max) = ("platforms of one manifest", PLATFORMS_MAX);
                return Err((digest, Problem::TooMany { what, max }));
            }
            named.platforms.push(platform.clone());
        }
        Ok(())
    }
}

//! What an image index names, level by level, down to the images that run.
//!
//! OCI image specification v1.1, "OCI Image Index Specification": an index may name indexes, and the
//! platform of what it names is its own word for it. Images are not opened: a signature is about a
//! digest, which the index gives, and an index may name images that nobody copied along. What could
//! not be opened is kept as an obstacle, so that nobody takes what was seen for all there is.

use std::collections::{BTreeMap, HashSet};

use evidence::{Digest, ImageRef};
use futures::StreamExt;

use super::Registry;
use super::manifest::{
    DOCKER_MANIFEST, Descriptor, Manifest, ManifestContent, OCI_MANIFEST, Platform, is_index_type,
};
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind};

/// Most manifests that one index may name, over all levels. The official images with the most
/// platforms name about 30, with a build record for each.
pub const NAMED_MAX: usize = 256;

/// Most levels of indexes, the first included. Runtimes look into two.
pub const DEPTH_MAX: usize = 4;

/// Most platforms that one manifest may be said to be for.
pub const PLATFORMS_MAX: usize = 32;

/// Longest index read that another index names, in bytes: twice what [`NAMED_MAX`] entries take.
pub const INNER_INDEX_SIZE_MAX: u64 = 256 * 1024;

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
        let failed = |(at, problem)| FetchError::new(self.attempt(image, &at), kind_of(problem));
        let mut walk = Walk::default();
        let mut obstacles: Vec<_> = walk.open(index).err().map(failed).into_iter().collect();
        loop {
            let indexes = walk.next_indexes().unwrap_or_else(|problem| {
                obstacles.push(failed(problem));
                Vec::new()
            });
            if indexes.is_empty() {
                return IndexContent { named: walk.named, obstacles };
            }
            let opened: Vec<_> = futures::stream::iter(indexes)
                .map(async |Inner { digest, .. }| {
                    self.fetch_manifest_up_to(image, &digest, INNER_INDEX_SIZE_MAX, deadline).await
                })
                .buffered(CONCURRENT)
                .collect()
                .await;
            for manifest in opened {
                let opened = manifest.and_then(|manifest| walk.open(&manifest).map_err(failed));
                obstacles.extend(opened.err());
            }
        }
    }
}

fn kind_of(problem: Problem) -> FetchErrorKind {
    match problem {
        Problem::TooMany { what, max } => FetchErrorKind::TooMany { what, max },
        Problem::NoIndex { wanted, found } => FetchErrorKind::Malformed { wanted, found },
    }
}

/// A walk through an index, level by level, wherever the manifests come from.
#[derive(Default)]
pub(crate) struct Walk {
    pub(crate) named: Vec<Named>,
    places: BTreeMap<Digest, usize>,
    opened: HashSet<Digest>,
    /// The indexes of the next level.
    inner: Vec<Inner>,
    depth: usize,
}

/// An index that another names.
pub(crate) struct Inner {
    pub(crate) digest: Digest,
    /// What the other says that it is: it need not say so itself.
    pub(crate) media_type: String,
}

/// Why something in an index is not seen.
pub(crate) enum Problem {
    /// There is more than is looked at.
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most looked at.
        max: usize,
    },
    /// It is not the index that it was said to be.
    NoIndex {
        /// What it should be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
}

impl Walk {
    /// The indexes to open next, each of them once; none if all was seen.
    pub(crate) fn next_indexes(&mut self) -> Result<Vec<Inner>, (Digest, Problem)> {
        let mut inner = std::mem::take(&mut self.inner);
        inner.retain(|index| self.opened.insert(index.digest));
        match inner.first() {
            Some(first) if self.depth == DEPTH_MAX => {
                let what = "levels of indexes";
                Err((first.digest, Problem::TooMany { what, max: DEPTH_MAX }))
            }
            Some(_) => {
                self.depth += 1;
                Ok(inner)
            }
            None => Ok(inner),
        }
    }

    /// Takes note of what an index names.
    pub(crate) fn open(&mut self, manifest: &Manifest) -> Result<(), (Digest, Problem)> {
        let Manifest { digest, media_type, content, .. } = manifest;
        let ManifestContent::Index(index) = content else {
            let (wanted, found) = ("an index, as an index says of it", media_type.clone());
            return Err((*digest, Problem::NoIndex { wanted, found }));
        };
        self.depth = self.depth.max(1);
        self.opened.insert(*digest);
        for descriptor in &index.manifests {
            let kind = NamedKind::of(descriptor);
            let place = match self.places.get(&descriptor.digest) {
                Some(place) => *place,
                None if self.named.len() == NAMED_MAX => {
                    let what = "manifests in an index";
                    return Err((*digest, Problem::TooMany { what, max: NAMED_MAX }));
                }
                None => {
                    let (named, platforms) = (descriptor.digest, Vec::new());
                    self.places.insert(named, self.named.len());
                    self.named.push(Named { digest: named, kind, platforms, index: *digest });
                    self.named.len() - 1
                }
            };
            if let Some(named) = self.named.get_mut(place) {
                named.kind = named.kind.min(kind);
                if let Some(platform) = &descriptor.platform
                    && !named.platforms.contains(platform)
                {
                    if named.platforms.len() == PLATFORMS_MAX {
                        let (at, what) = (named.digest, "platforms of one manifest");
                        return Err((at, Problem::TooMany { what, max: PLATFORMS_MAX }));
                    }
                    named.platforms.push(platform.clone());
                }
            }
            if kind == NamedKind::Index {
                let (digest, media_type) = (descriptor.digest, descriptor.media_type.clone());
                self.inner.push(Inner { digest, media_type });
            }
        }
        Ok(())
    }
}

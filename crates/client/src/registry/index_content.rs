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
    DOCKER_MANIFEST, Descriptor, ImageIndex, Manifest, ManifestContent, OCI_MANIFEST, Platform,
    is_index_type,
};
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind};

/// Most manifests that one index may name, over all levels. The official images with the most
/// platforms name about 30, with a build record for each.
pub const NAMED_MAX: usize = 256;

/// Most levels of indexes, the first included. Runtimes look into two.
pub const DEPTH_MAX: usize = 4;

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
#[derive(Debug, Default)]
pub struct IndexContent {
    /// Each manifest once, in the order in which the indexes name them, one level after the other.
    pub named: Vec<Named>,
    /// Why that may not be all.
    pub obstacles: Vec<FetchError>,
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
        digest: &Digest,
        index: &ImageIndex,
        deadline: Deadline,
    ) -> IndexContent {
        let mut walk = Walk { registry: self, image, content: IndexContent::default() };
        let mut places = BTreeMap::new();
        let mut opened = HashSet::from([*digest]);
        let mut inner = walk.add(digest, index, &mut places);
        for _ in 1..DEPTH_MAX {
            inner.retain(|digest| opened.insert(*digest));
            let indexes: Vec<_> = futures::stream::iter(&inner)
                .map(|digest| async move {
                    let size_max = INNER_INDEX_SIZE_MAX;
                    (*digest, self.fetch_manifest_up_to(image, digest, size_max, deadline).await)
                })
                .buffered(CONCURRENT)
                .collect()
                .await;
            inner.clear();
            for (digest, manifest) in indexes {
                match manifest {
                    Ok(Manifest { content: ManifestContent::Index(index), .. }) => {
                        inner.extend(walk.add(&digest, &index, &mut places));
                    }
                    Ok(Manifest { media_type, .. }) => {
                        let wanted = "an index, as the index says that names it";
                        walk.stumble(
                            &digest,
                            FetchErrorKind::Malformed { wanted, found: media_type },
                        );
                    }
                    Err(error) => walk.content.obstacles.push(error),
                }
            }
        }
        if inner.iter().any(|digest| !opened.contains(digest)) {
            let what = "levels of indexes";
            walk.stumble(digest, FetchErrorKind::TooMany { what, max: DEPTH_MAX });
        }
        walk.content
    }
}

/// A walk through an index.
struct Walk<'w> {
    registry: &'w Registry,
    image: &'w ImageRef,
    content: IndexContent,
}

impl Walk<'_> {
    /// Takes note of what an index names. The indexes among it.
    fn add(
        &mut self,
        parent: &Digest,
        index: &ImageIndex,
        places: &mut BTreeMap<Digest, usize>,
    ) -> Vec<Digest> {
        let mut inner = Vec::new();
        for descriptor in &index.manifests {
            let kind = NamedKind::of(descriptor);
            let named = &mut self.content.named;
            let place = *places.entry(descriptor.digest).or_insert(named.len());
            if place == named.len() {
                if place == NAMED_MAX {
                    places.remove(&descriptor.digest);
                    let what = "manifests in an index";
                    self.stumble(parent, FetchErrorKind::TooMany { what, max: NAMED_MAX });
                    break;
                }
                let (digest, platforms) = (descriptor.digest, Vec::new());
                named.push(Named { digest, kind, platforms, index: *parent });
            }
            if let Some(named) = named.get_mut(place) {
                named.kind = named.kind.min(kind);
                if let Some(platform) = &descriptor.platform
                    && !named.platforms.contains(platform)
                {
                    named.platforms.push(platform.clone());
                }
            }
            if kind == NamedKind::Index {
                inner.push(descriptor.digest);
            }
        }
        inner
    }

    fn stumble(&mut self, at: &Digest, kind: FetchErrorKind) {
        let attempt = self.registry.attempt(self.image, at);
        self.content.obstacles.push(FetchError::new(attempt, kind));
    }
}

//! What is moved with an image: of an index all indexes and images below it.
//!
//! Indexes are opened first and held as they came, because no registry takes one before what it
//! names. Images are only named, to be read one after the other: so many manifests together would
//! take more memory than there is.

use std::collections::HashSet;

use bytes::Bytes;
use evidence::{Digest, ImageRef};

use super::Registry;
use super::manifest::{Descriptor, ImageManifest, Manifest, ManifestContent};
use super::walk::{DEPTH_MAX, INNER_INDEX_SIZE_MAX, Levels, Problem, Stopped, Unopened, too_deep};
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind};

/// Manifests moved for one image, children of indexes and what lies beside them included.
pub const MANIFESTS_MAX: usize = 4096;

/// Most bytes of manifests read for one image, with all of those. As many as are moved at most, of
/// 64 KiB each, which is more than they usually have. Without it they could have 16 GiB together, and
/// each has to be fetched, hashed and parsed before it shows what it is.
pub const MANIFESTS_SIZE_MAX: usize = 256 * 1024 * 1024;

/// Most bytes of indexes held at the same time: the longest that is read, and sixteen more of the
/// longest that another may name.
pub const INDEXES_SIZE_MAX: usize = 8 * 1024 * 1024;

/// A manifest as it came, without what was read in it, which may take ten times as much memory.
#[derive(Clone, Debug)]
pub(crate) struct RawManifest {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
}

/// What may still be read for one image.
#[derive(Debug)]
pub(crate) struct Allowance {
    manifests: usize,
    bytes: usize,
}

/// An index with all below it.
#[derive(Debug)]
pub(crate) struct Members {
    /// The image itself.
    pub(crate) top: RawManifest,
    /// The same, read, if it is no index.
    pub(crate) only: Option<Manifest>,
    /// The images, each once.
    pub(crate) images: Vec<Unopened>,
    /// The indexes, each once and after all that it names, when the walk has ended.
    pub(crate) indexes: Vec<RawManifest>,
    /// What is left after the indexes.
    pub(crate) allowance: Allowance,
    /// Those that were opened, with the indexes that each names.
    opened: Vec<(RawManifest, Vec<Digest>)>,
    held: usize,
    named: HashSet<Digest>,
    levels: Levels,
}

impl From<Manifest> for RawManifest {
    fn from(manifest: Manifest) -> Self {
        let Manifest { digest, media_type, bytes, content: _ } = manifest;
        Self { digest, media_type, bytes: Bytes::from(bytes) }
    }
}

impl Default for Allowance {
    fn default() -> Self {
        Self { manifests: MANIFESTS_MAX, bytes: MANIFESTS_SIZE_MAX }
    }
}

impl Allowance {
    /// Takes a manifest that was read out of what may be.
    pub(crate) fn take(&mut self, manifest: &Manifest) -> Result<(), Stopped> {
        let too_many = |what, max| (manifest.digest, Problem::TooMany { what, max });
        let manifests = self.manifests.checked_sub(1);
        self.manifests = manifests.ok_or_else(|| too_many("manifests", MANIFESTS_MAX))?;
        let what = "bytes of manifests of one image";
        let bytes = self.bytes.checked_sub(manifest.bytes.len());
        self.bytes = bytes.ok_or_else(|| too_many(what, MANIFESTS_SIZE_MAX))?;
        Ok(())
    }

    /// The same of what an index calls an image.
    pub(crate) fn take_image<'m>(
        &mut self,
        manifest: &'m Manifest,
    ) -> Result<&'m ImageManifest, Stopped> {
        self.take(manifest)?;
        match &manifest.content {
            ManifestContent::Image(image) => Ok(image),
            // Nobody would look for what is in it.
            ManifestContent::Index(_) => {
                let wanted = "an image, as an index says of it";
                let found = manifest.media_type.clone();
                Err((manifest.digest, Problem::Otherwise { wanted, found }))
            }
        }
    }
}

impl Members {
    /// Begins with the image.
    pub(crate) fn of(top: Manifest) -> Result<Self, Stopped> {
        let mut members = Self {
            top: RawManifest {
                digest: top.digest,
                media_type: top.media_type.clone(),
                bytes: Bytes::copy_from_slice(&top.bytes),
            },
            only: None,
            images: Vec::new(),
            indexes: Vec::new(),
            allowance: Allowance::default(),
            opened: Vec::new(),
            held: 0,
            named: HashSet::from([top.digest]),
            levels: Levels::default(),
        };
        if let ManifestContent::Index(_) = top.content {
            members.open(top)?;
        } else {
            members.images.push(Unopened::from(&top.descriptor()));
            members.only = Some(top);
        }
        Ok(members)
    }

    /// Takes note of what an index names.
    pub(crate) fn open(&mut self, index: Manifest) -> Result<(), Stopped> {
        self.allowance.take(&index)?;
        self.held += index.bytes.len();
        if self.held > INDEXES_SIZE_MAX {
            let (what, max) = ("bytes of indexes of one image", INDEXES_SIZE_MAX);
            return Err((index.digest, Problem::TooMany { what, max }));
        }
        let mut inner = Vec::new();
        for descriptor in self.levels.open(&index)? {
            let is_new = self.named.insert(descriptor.digest);
            if self.named.len() > MANIFESTS_MAX {
                let (what, max) = ("manifests in one index", MANIFESTS_MAX);
                return Err((index.digest, Problem::TooMany { what, max }));
            }
            if self.levels.follow(descriptor) {
                inner.push(descriptor.digest);
            } else if is_new {
                self.images.push(descriptor.into());
            }
        }
        self.opened.push((index.into(), inner));
        Ok(())
    }

    /// The indexes to open next; when there are none the walk has ended.
    pub(crate) fn next_indexes(&mut self) -> Result<Vec<Unopened>, Stopped> {
        let next = self.levels.next()?;
        if next.is_empty() {
            self.sort_indexes()?;
        }
        Ok(next)
    }

    /// Puts the indexes in their order. One may be named on several levels, and comes before all of
    /// those that name it.
    fn sort_indexes(&mut self) -> Result<(), Stopped> {
        let mut left = std::mem::take(&mut self.opened);
        let mut done = HashSet::new();
        for _ in 0..DEPTH_MAX {
            let (ready, rest): (Vec<_>, Vec<_>) = left
                .into_iter()
                .partition(|(_, inner)| inner.iter().all(|index| done.contains(index)));
            done.extend(ready.iter().map(|(index, _)| index.digest));
            self.indexes.extend(ready.into_iter().map(|(index, _)| index));
            left = rest;
        }
        match left.first() {
            None => Ok(()),
            Some((index, _)) => Err((index.digest, too_deep())),
        }
    }

    /// All of them: the image itself, and what is below it.
    pub(crate) fn digests(&self) -> Vec<Digest> {
        let indexes = self.indexes.iter().rev().map(|index| index.digest);
        indexes.chain(self.images.iter().map(|image| image.digest)).collect()
    }
}

impl Registry {
    /// What belongs to an image.
    ///
    /// # Errors
    /// At the first index that cannot be opened: what is moved without it would not be whole.
    pub(crate) async fn members(
        &self,
        image: &ImageRef,
        top: Manifest,
        deadline: Deadline,
    ) -> Result<Members, FetchError> {
        let stopped = |stopped| self.stopped(image, stopped);
        let mut members = Members::of(top).map_err(stopped)?;
        loop {
            let indexes = members.next_indexes().map_err(stopped)?;
            if indexes.is_empty() {
                return Ok(members);
            }
            for Unopened { digest, .. } in indexes {
                let size_max = INNER_INDEX_SIZE_MAX;
                let index = self.fetch_manifest_up_to(image, &digest, size_max, deadline).await?;
                members.open(index).map_err(stopped)?;
            }
        }
    }

    /// One of the images, of which the first may have been read already.
    pub(crate) async fn member(
        &self,
        from: &ImageRef,
        image: &Unopened,
        members: &mut Members,
        deadline: Deadline,
    ) -> Result<Manifest, FetchError> {
        let manifest = match members.only.take() {
            Some(only) => only,
            None => self.fetch_manifest(from, &image.digest, deadline).await?,
        };
        let taken = members.allowance.take_image(&manifest);
        taken.map_err(|stopped| self.stopped(from, stopped))?;
        Ok(manifest)
    }

    /// What was not looked at any more.
    pub(crate) fn stopped(&self, image: &ImageRef, (at, problem): Stopped) -> FetchError {
        let kind = match problem {
            Problem::TooMany { what, max } => FetchErrorKind::TooMany { what, max },
            Problem::Otherwise { wanted, found } => FetchErrorKind::Malformed { wanted, found },
        };
        FetchError::new(self.attempt(image, &at), kind)
    }
}

/// A blob to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    /// How long it is, as its manifest says.
    pub(crate) size: u64,
}

impl From<&Descriptor> for Blob {
    fn from(descriptor: &Descriptor) -> Self {
        Self { digest: descriptor.digest, size: descriptor.size }
    }
}

/// What an image has in blobs of its own, each once.
pub(crate) fn blobs(manifest: &Manifest) -> Vec<Blob> {
    let ManifestContent::Image(content) = &manifest.content else { return Vec::new() };
    let layers = content.layers.iter().filter(|layer| !is_elsewhere(layer));
    let mut blobs: Vec<_> =
        std::iter::once(&content.config).chain(layers).map(Blob::from).collect();
    blobs.sort_unstable();
    blobs.dedup_by_key(|blob| blob.digest);
    blobs
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

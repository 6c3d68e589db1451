//! How far an image index is followed, wherever its manifests come from: level by level, each index
//! opened once, and only so many levels.
//!
//! OCI image specification v1.1, "OCI Image Index Specification": an index may name indexes.

use std::collections::HashSet;

use evidence::Digest;

use super::manifest::{Descriptor, Manifest, ManifestContent, is_index_type};

/// Most levels of indexes, the first included. Runtimes look into two.
pub const DEPTH_MAX: usize = 4;

/// Longest index read that another index names, in bytes: about 1,000 entries, and those of the
/// official images with the most platforms have 60.
pub const INNER_INDEX_SIZE_MAX: u64 = 256 * 1024;

/// A manifest that an index names, and has not been opened.
#[derive(Clone, Debug)]
pub(crate) struct Unopened {
    pub(crate) digest: Digest,
    /// What the index says that it is: it need not say so itself.
    pub(crate) media_type: String,
}

/// Why something is not seen, or not all of it.
#[derive(Clone, Debug)]
pub(crate) enum Problem {
    /// There is more than is looked at.
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most looked at.
        max: usize,
    },
    /// It is not what it was said to be.
    Otherwise {
        /// What it should be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
}

/// A problem, and with which manifest.
pub(crate) type Stopped = (Digest, Problem);

/// A walk through an index.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    opened: HashSet<Digest>,
    /// The indexes of the next level.
    next: Vec<Unopened>,
    depth: usize,
}

impl From<&Descriptor> for Unopened {
    fn from(descriptor: &Descriptor) -> Self {
        Self { digest: descriptor.digest, media_type: descriptor.media_type.clone() }
    }
}

impl Levels {
    /// What an index names.
    pub(crate) fn open<'m>(&mut self, manifest: &'m Manifest) -> Result<&'m [Descriptor], Stopped> {
        let ManifestContent::Index(index) = &manifest.content else {
            let wanted = "an index, as an index says of it";
            let found = manifest.media_type.clone();
            return Err((manifest.digest, Problem::Otherwise { wanted, found }));
        };
        self.depth = self.depth.max(1);
        self.opened.insert(manifest.digest);
        Ok(&index.manifests)
    }

    /// Has an index opened on the next level. Whether it is one.
    pub(crate) fn follow(&mut self, descriptor: &Descriptor) -> bool {
        let is_index = is_index_type(&descriptor.media_type);
        if is_index {
            self.next.push(descriptor.into());
        }
        is_index
    }

    /// The indexes to open next, each of them once; none if all were.
    pub(crate) fn next(&mut self) -> Result<Vec<Unopened>, Stopped> {
        let mut next = std::mem::take(&mut self.next);
        next.retain(|index| self.opened.insert(index.digest));
        match next.first() {
            Some(first) if self.depth == DEPTH_MAX => Err((first.digest, too_deep())),
            Some(_) => {
                self.depth += 1;
                Ok(next)
            }
            None => Ok(next),
        }
    }
}

pub(super) fn too_deep() -> Problem {
    Problem::TooMany { what: "levels of indexes", max: DEPTH_MAX }
}

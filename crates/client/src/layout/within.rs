//! What an image index in a layout names, as far as it was copied along.

use super::files::problem;
use super::{Layout, LayoutError, LayoutProblem};
use crate::registry::Manifest;
use crate::registry::index_content::{IndexContent, Walk};
use crate::registry::members::Members;
use crate::registry::walk::{INNER_INDEX_SIZE_MAX, Problem, Stopped, Unopened};

impl Layout {
    /// All that an index names, opening the indexes among it.
    #[must_use]
    pub fn index_content(&self, index: &Manifest) -> IndexContent<LayoutError> {
        let mut walk = Walk::of(index);
        let mut obstacles = Vec::new();
        while let Some(indexes) = walk.next_indexes() {
            for index in indexes {
                match self.inner_index(&index) {
                    Ok(index) => walk.open(&index),
                    Err(error) => obstacles.push(error),
                }
            }
        }
        walk.end(obstacles, |stopped| self.stopped(stopped))
    }

    /// What belongs to an image.
    ///
    /// # Errors
    /// At the first index that cannot be opened: what is moved without it would not be whole.
    pub(super) fn members(&self, top: Manifest) -> Result<Members, LayoutError> {
        let stopped = |stopped| self.stopped(stopped);
        let mut members = Members::of(top).map_err(stopped)?;
        loop {
            let indexes = members.next_indexes().map_err(stopped)?;
            if indexes.is_empty() {
                return Ok(members);
            }
            for index in indexes {
                members.open(self.inner_index(&index)?).map_err(stopped)?;
            }
        }
    }

    fn inner_index(&self, index: &Unopened) -> Result<Manifest, LayoutError> {
        self.manifest(&index.digest, Some(&index.media_type), INNER_INDEX_SIZE_MAX)
    }

    /// What was not looked at any more.
    pub(super) fn stopped(&self, (at, found): Stopped) -> LayoutError {
        let kind = match found {
            Problem::TooMany { what, max } => LayoutProblem::TooMany { what, max },
            Problem::Otherwise { wanted, found } => LayoutProblem::Malformed { wanted, found },
        };
        problem(&self.path(&at), kind)
    }
}

//! What an image index in a layout names, as far as it was copied along.

use evidence::Digest;

use super::files::problem;
use super::{Layout, LayoutError, LayoutProblem};
use crate::registry::Manifest;
use crate::registry::index_content::{INNER_INDEX_SIZE_MAX, IndexContent, Inner, Problem, Walk};

impl Layout {
    /// All that an index names, opening the indexes among it.
    #[must_use]
    pub fn index_content(&self, index: &Manifest) -> IndexContent<LayoutError> {
        let failed = |(at, found): (Digest, Problem)| {
            let kind = match found {
                Problem::TooMany { what, max } => LayoutProblem::TooMany { what, max },
                Problem::NoIndex { wanted, found } => LayoutProblem::Malformed { wanted, found },
            };
            problem(&self.path(&at), kind)
        };
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
            for Inner { digest, media_type } in indexes {
                let manifest = self.manifest(&digest, Some(&media_type), INNER_INDEX_SIZE_MAX);
                let opened = manifest.and_then(|manifest| walk.open(&manifest).map_err(failed));
                obstacles.extend(opened.err());
            }
        }
    }
}

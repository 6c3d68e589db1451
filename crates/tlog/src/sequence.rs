//! The pure part of appending: a right edge and some leaves in, the next edge and its tiles out.
//!
//! No I/O, no clock, no signing. A batch that was staged before a crash is planned again from its
//! leaves and moment and comes out the same, byte for byte; that is all that recovery is.

use crypto::merkle::{NodeHash, empty_root, node_hash};
use evidence::{LeafIndex, TreeSize, UnixTime};

use crate::leaf::{Form, Leaf, SideRecord, seal_side};
use crate::storage::Object;
use crate::tile::{FoldedTile, TILE_HEIGHT, TILE_LEVELS, TILE_WIDTH, Tile, TileKind};

/// The last, partial tiles of a tree: all one needs to append to it, and to compute its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    pub(crate) form: Form,
    pub(crate) size: TreeSize,
    /// For each level, the hashes of its partial tile: `size / 256ˡ mod 256` of them.
    pub(crate) hashes: [Vec<NodeHash>; TILE_LEVELS as usize],
    /// The partial bundle of entries.
    pub(crate) bundle: Vec<u8>,
    /// The partial tile of side records.
    pub(crate) side: Vec<u8>,
    /// The log's newest moment, which no later one may precede; `None` while nothing happened.
    pub(crate) newest: Option<UnixTime>,
}

/// Leaves with their places in the log, and all objects that must be written for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub(crate) time: UnixTime,
    /// Size of the tree before.
    pub(crate) base: TreeSize,
    /// The tree's edge after.
    pub(crate) edge: Edge,
    /// The tree's root after.
    pub(crate) root: NodeHash,
    /// Leaf hashes in order, the first at index `base`.
    pub(crate) leaf_hashes: Vec<NodeHash>,
    /// The tiles to write.
    pub(crate) tiles: Vec<(Object, Vec<u8>)>,
}

/// Why leaves cannot be taken in now. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The clock shows a moment before the log's newest, or for certificates not after it.
    #[error("the clock shows {now}, which is not after {newest}, the log's newest moment")]
    ClockBehind {
        /// What the clock shows.
        now: UnixTime,
        /// The newest moment in the log.
        newest: UnixTime,
    },
    /// A log of certificates has no more indexes (40 bits, C2SP static-ct-api).
    #[error("the log is full: no further index fits its form")]
    IndexTooLarge,
}

/// Gives each leaf its index and the moment `now`, and computes what the log becomes.
///
/// # Errors
/// When the clock is behind the log, or the log's form has no more indexes.
pub fn plan(edge: &Edge, leaves: &[Leaf], now: UnixTime) -> Result<Batch, PlanError> {
    if let Some(newest) = edge.newest {
        // RFC 6962 §3.5: "Each subsequent timestamp MUST be more recent than the timestamp of the
        // previous update." Elsewhere two batches may share a moment.
        let is_behind = match edge.form {
            Form::Entries => now < newest,
            Form::Certificates => now <= newest,
        };
        if is_behind {
            return Err(PlanError::ClockBehind { now, newest });
        }
    }
    let mut next = edge.clone();
    next.newest = Some(now);
    let mut leaf_hashes = Vec::with_capacity(leaves.len());
    let mut tiles = Vec::new();
    for leaf in leaves {
        leaf_hashes.push(next.append(leaf, now, &mut tiles)?);
    }
    next.push_partials(edge.size, &mut tiles);
    Ok(Batch { time: now, base: edge.size, root: next.root(), edge: next, leaf_hashes, tiles })
}

impl Edge {
    /// The edge of a log without entries.
    #[must_use]
    pub fn empty(form: Form) -> Self {
        Self {
            form,
            size: TreeSize(0),
            hashes: Default::default(),
            bundle: vec![],
            side: vec![],
            newest: None,
        }
    }

    /// The root hash of the tree (RFC 6962 §2.1), from the peaks of its complete subtrees.
    #[must_use]
    pub fn root(&self) -> NodeHash {
        self.hashes
            .iter()
            // From the narrowest peak, which is the rightmost, to the widest.
            .flat_map(|hashes| FoldedTile::new(hashes).peaks().into_iter().rev())
            .reduce(|right, left| node_hash(&left, &right))
            .unwrap_or_else(empty_root)
    }

    fn append(
        &mut self,
        leaf: &Leaf,
        now: UnixTime,
        tiles: &mut Vec<(Object, Vec<u8>)>,
    ) -> Result<NodeHash, PlanError> {
        let index = LeafIndex(self.size.0);
        let hash = leaf.seal(index, now, &mut self.bundle).ok_or(PlanError::IndexTooLarge)?;
        SideRecord::write(now, &leaf.keys, &mut self.side);
        self.size.0 += 1;
        if self.size.0.is_multiple_of(TILE_WIDTH) {
            let place = index.0 / TILE_WIDTH;
            let bundle = Tile::full(self.form.tile_kind(), place);
            tiles.push((Object::Tile(bundle), std::mem::take(&mut self.bundle)));
            let side = Tile::full(TileKind::Side, place);
            tiles.push((Object::Tile(side), seal_side(&std::mem::take(&mut self.side))));
        }
        self.push_hash(hash, tiles);
        Ok(hash)
    }

    /// Adds a hash at the lowest level; a tile that becomes full moves up as one hash.
    fn push_hash(&mut self, leaf_hash: NodeHash, tiles: &mut Vec<(Object, Vec<u8>)>) {
        let mut hash = leaf_hash;
        for (level, hashes) in (0..).zip(&mut self.hashes) {
            hashes.push(hash);
            if (hashes.len() as u64) < TILE_WIDTH {
                return;
            }
            let place = (self.size.0 >> (TILE_HEIGHT * (u32::from(level) + 1))) - 1;
            let tile = Tile::full(TileKind::Hashes { level }, place);
            tiles.push((Object::Tile(tile), hashes.concat()));
            hash = FoldedTile::new(hashes).root().expect("the tile is full");
            hashes.clear();
        }
    }

    /// The partial tiles at the end, on the levels that changed since the tree had size `base`.
    fn push_partials(&self, base: TreeSize, tiles: &mut Vec<(Object, Vec<u8>)>) {
        let contents = |kind| match kind {
            TileKind::Hashes { level } => self.hashes[usize::from(level)].concat(),
            TileKind::Side => seal_side(&self.side),
            TileKind::Entries | TileKind::Certificates => self.bundle.clone(),
        };
        tiles.extend(
            self.partial_tiles()
                .filter(|tile| tile.kind().count(base) != tile.kind().count(self.size))
                .map(|tile| (Object::Tile(tile), contents(tile.kind()))),
        );
    }

    /// The partial tiles that a tree of this size has.
    fn partial_tiles(&self) -> impl Iterator<Item = Tile> {
        partial_tiles(self.form, self.size)
    }
}

/// The partial tiles that a tree has: of entries, side records, and hashes on each level.
pub(crate) fn partial_tiles(form: Form, size: TreeSize) -> impl Iterator<Item = Tile> {
    [form.tile_kind(), TileKind::Side]
        .into_iter()
        .chain((0..TILE_LEVELS).map(|level| TileKind::Hashes { level }))
        .filter_map(move |kind| {
            let count = kind.count(size);
            Tile::of_width(kind, count / TILE_WIDTH, count % TILE_WIDTH)
        })
}

impl Batch {
    /// Number of leaves after this batch.
    #[must_use]
    pub fn size(&self) -> TreeSize {
        self.edge.size
    }

    /// Root hash of the tree after this batch.
    #[must_use]
    pub fn root(&self) -> NodeHash {
        self.root
    }

    /// The tiles to write, by name, with their bytes.
    #[must_use]
    pub fn tiles(&self) -> &[(Object, Vec<u8>)] {
        &self.tiles
    }

    /// The tiles that became full with this batch.
    pub(crate) fn full_tiles(&self) -> impl Iterator<Item = Tile> {
        self.tiles.iter().filter_map(|(object, _)| match object {
            Object::Tile(tile) if tile.is_full() => Some(*tile),
            _ => None,
        })
    }
}

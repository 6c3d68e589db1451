//! Reading a log: proofs, entries and tiles, each checked against the published checkpoint.
//!
//! What is read from storage is believed only once its hashes lead to the root hash of a
//! checkpoint that this log signed. The partial tiles at the right edge are in memory; full tiles
//! come through a bounded cache. Nothing is read that the published checkpoint does not cover.

use std::sync::{Arc, PoisonError, RwLock};

use crypto::merkle::{NodeHash, node_hash};
use evidence::{LeafIndex, TreeSize, UnixTime};

use crate::cache::Cache;
use crate::checkpoint::SignedCheckpoint;
use crate::leaf::{
    BUNDLE_SIZE_MAX, Form, SIDE_TILE_SIZE_MAX, SearchKey, SideRecord, Slot, open_side,
    split_bundle, split_side,
};
use crate::sequence::Edge;
use crate::storage::{Object, Objects, StorageError};
use crate::tile::{
    FoldedTile, HASH_TILE_SIZE, TILE_HEIGHT, TILE_LEVELS, TILE_WIDTH, Tile, TileKind, split_hashes,
};

/// Why something was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The index is not inside the tree asked about.
    #[error("index {index} is outside a tree of {size} entries")]
    OutsideTree {
        /// The index asked for.
        index: LeafIndex,
        /// The tree's size.
        size: TreeSize,
    },
    /// The tree asked about is larger than the published one.
    #[error("a tree of {size} entries is not published; the newest has {published}")]
    NotPublished {
        /// The size asked for.
        size: TreeSize,
        /// The newest published size.
        published: TreeSize,
    },
    /// The older of two trees is the larger.
    #[error("a tree of {older} entries cannot be older than one of {newer}")]
    SizesReversed {
        /// Size of the tree said to be older.
        older: TreeSize,
        /// Size of the tree said to be newer.
        newer: TreeSize,
    },
    /// An object that the checkpoint covers is not there.
    #[error("{object} is missing from storage; restore it from a copy")]
    Missing {
        /// The object.
        object: Object,
    },
    /// An object is not what the checkpoint covers.
    #[error("{object} is not what the log wrote; restore it from a copy")]
    Damaged {
        /// The object.
        object: Object,
    },
    /// The search index does not cover the log yet.
    #[error("the search index covers {indexed} of {size} entries; it is being rebuilt")]
    IndexBehind {
        /// Entries it covers.
        indexed: TreeSize,
        /// Entries in the log.
        size: TreeSize,
    },
    /// The search index failed.
    #[error("the search index")]
    Index(#[from] crate::index::IndexError),
    /// Storage failed.
    #[error("the log's storage")]
    Storage(#[from] StorageError),
}

/// An entry read back from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The entry's bytes; in a certificate log, its static-ct-api `TileLeaf`.
    pub bytes: Vec<u8>,
    /// Its leaf hash, proven to be at this place in the published tree.
    pub leaf_hash: NodeHash,
    /// When the log took it in: the log's own word, which no tree covers.
    pub time: UnixTime,
}

/// A published checkpoint and the right edge of its tree.
pub(crate) struct Published {
    pub(crate) signed: Arc<SignedCheckpoint>,
    pub(crate) edge: Edge,
    /// The edge's partial tiles of hashes, by level.
    folded: [Arc<FoldedTile>; TILE_LEVELS as usize],
    /// The edge's partial bundle, empty where the last bundle is full.
    bundle: Arc<Bundle>,
    /// The edge's side records.
    side: Arc<Vec<SideRecord>>,
}

/// Up to 256 entries, as read. Each is to be proven before it is handed out.
struct Bundle {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
}

impl Published {
    /// # Panics
    /// If the edge is malformed: it is this program's own work, or was checked when it was read.
    pub(crate) fn new(signed: SignedCheckpoint, edge: Edge) -> Self {
        let folded = edge.hashes.each_ref().map(|hashes| Arc::new(FoldedTile::new(hashes)));
        let count = edge.size.0 % TILE_WIDTH;
        let slots = split_bundle(edge.form, &edge.bundle, count);
        let bundle = Bundle {
            bytes: edge.bundle.clone(),
            slots: slots.expect("an edge's bundle holds its entries"),
        };
        let side = split_side(&edge.side, count);
        let side = side.expect("an edge has as many side records as entries");
        let (bundle, side) = (Arc::new(bundle), Arc::new(side));
        Self { signed: Arc::new(signed), edge, folded, bundle, side }
    }

    pub(crate) fn size(&self) -> TreeSize {
        self.edge.size
    }
}

/// Reads one log's published tree.
pub(crate) struct Reader {
    form: Form,
    objects: Arc<dyn Objects>,
    published: RwLock<Arc<Published>>,
    tiles: Cache<(u8, u64), FoldedTile>,
    bundles: Cache<u64, Bundle>,
    sides: Cache<u64, Vec<SideRecord>>,
}

impl Reader {
    pub(crate) fn new(
        form: Form,
        objects: Arc<dyn Objects>,
        published: Published,
        cache_size: usize,
    ) -> Self {
        Self {
            form,
            objects,
            published: RwLock::new(Arc::new(published)),
            tiles: Cache::new(cache_size / 4),
            bundles: Cache::new(cache_size / 2),
            sides: Cache::new(cache_size / 4),
        }
    }

    /// The newest published tree. All that is read for one answer is read under one of these.
    pub(crate) fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn publish(&self, published: Published) {
        *self.published.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(published);
    }

    /// The tree's root hash when it had that size.
    pub(crate) fn root(&self, size: TreeSize) -> Result<NodeHash, ReadError> {
        let tree = self.tree_of(size)?;
        if size.0 == 0 { Ok(crypto::merkle::empty_root()) } else { self.range(&tree, 0, size.0) }
    }

    /// RFC 6962 §2.1.1 `PATH(index, D[size])`.
    pub(crate) fn inclusion_proof(
        &self,
        index: LeafIndex,
        size: TreeSize,
    ) -> Result<Vec<NodeHash>, ReadError> {
        let tree = self.tree_of(size)?;
        if index.0 >= size.0 {
            return Err(ReadError::OutsideTree { index, size });
        }
        let (mut begin, mut end) = (0, size.0);
        let mut siblings = Vec::new();
        while end - begin > 1 {
            let middle = begin + split(end - begin);
            if index.0 < middle {
                siblings.push((middle, end));
                end = middle;
            } else {
                siblings.push((begin, middle));
                begin = middle;
            }
        }
        siblings.iter().rev().map(|(begin, end)| self.range(&tree, *begin, *end)).collect()
    }

    /// RFC 6962 §2.1.2 `PROOF(older, D[newer])`; from the empty tree, an empty proof.
    pub(crate) fn consistency_proof(
        &self,
        older: TreeSize,
        newer: TreeSize,
    ) -> Result<Vec<NodeHash>, ReadError> {
        let tree = self.tree_of(newer)?;
        if older > newer {
            return Err(ReadError::SizesReversed { older, newer });
        }
        if older.0 == 0 {
            return Ok(vec![]);
        }
        let (mut begin, mut end) = (0, newer.0);
        let mut siblings = Vec::new();
        while end != older.0 {
            let middle = begin + split(end - begin);
            if older.0 <= middle {
                siblings.push((middle, end));
                end = middle;
            } else {
                siblings.push((begin, middle));
                begin = middle;
            }
        }
        // The older root itself is known to the verifier, and is left out.
        if begin > 0 {
            siblings.push((begin, end));
        }
        siblings.iter().rev().map(|(begin, end)| self.range(&tree, *begin, *end)).collect()
    }

    /// The entry at that index.
    pub(crate) fn entry(&self, index: LeafIndex) -> Result<Entry, ReadError> {
        let tree = self.tree_with(index)?;
        let bundle = self.bundle(&tree, index.0 / TILE_WIDTH)?;
        let leaf_hash = self.prove(&tree, &bundle, index)?;
        let slot = &bundle.slots[(index.0 % TILE_WIDTH) as usize];
        let time = self.side_record(&tree, index)?.time;
        Ok(Entry { bytes: bundle.bytes[slot.entry.clone()].to_vec(), leaf_hash, time })
    }

    /// The leaf hash at that index.
    pub(crate) fn leaf_hash(&self, index: LeafIndex) -> Result<NodeHash, ReadError> {
        let tree = self.tree_with(index)?;
        self.node(&tree, 0, index.0)
    }

    /// What the index holds of the entry at that index.
    pub(crate) fn record(&self, index: LeafIndex) -> Result<Record, ReadError> {
        let tree = self.tree_with(index)?;
        let (identity, leaf_hash) = match self.form {
            Form::Entries => {
                let leaf_hash = self.node(&tree, 0, index.0)?;
                (leaf_hash, leaf_hash)
            }
            Form::Certificates => {
                let bundle = self.bundle(&tree, index.0 / TILE_WIDTH)?;
                let leaf_hash = self.prove(&tree, &bundle, index)?;
                let slot = &bundle.slots[(index.0 % TILE_WIDTH) as usize];
                (slot.identity(self.form, &bundle.bytes), leaf_hash)
            }
        };
        let SideRecord { time, keys } = self.side_record(&tree, index)?;
        Ok(Record { identity, leaf_hash, time, keys })
    }

    /// The bytes of a tile, cut to its width; `None` if the published tree has no such tile, or it
    /// is of a kind that is not served.
    pub(crate) fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, ReadError> {
        let tree = self.published();
        if !tile.is_within(tree.size()) {
            return Ok(None);
        }
        match tile.kind() {
            TileKind::Hashes { level } => {
                let folded = self.folded(&tree, level, tile.index())?;
                // A partial tile is the beginning of every wider one in its place.
                let hashes: Option<Vec<_>> =
                    (0..tile.width()).map(|index| folded.node(0, index)).collect();
                Ok(Some(hashes.expect("the tile is within the tree").concat()))
            }
            kind if kind == self.form.tile_kind() => {
                let bundle = self.bundle(&tree, tile.index())?;
                let first = tile.index() * TILE_WIDTH;
                for index in first..first + tile.width() {
                    self.prove(&tree, &bundle, LeafIndex(index))?;
                }
                let end = bundle.slots[tile.width() as usize - 1].entry.end;
                // In a bundle of certificates, as in one of entries, nothing follows an entry.
                Ok(Some(bundle.bytes[..end].to_vec()))
            }
            TileKind::Entries | TileKind::Certificates | TileKind::Side => Ok(None),
        }
    }

    fn tree_of(&self, size: TreeSize) -> Result<Arc<Published>, ReadError> {
        let tree = self.published();
        let published = tree.size();
        if size > published { Err(ReadError::NotPublished { size, published }) } else { Ok(tree) }
    }

    fn tree_with(&self, index: LeafIndex) -> Result<Arc<Published>, ReadError> {
        let tree = self.published();
        let size = tree.size();
        if index.0 < size.0 { Ok(tree) } else { Err(ReadError::OutsideTree { index, size }) }
    }

    /// RFC 6962 §2.1 `MTH(D[begin:end])`, for the ranges that occur in proofs: each begins at a
    /// multiple of the widest complete subtree inside it.
    fn range(&self, tree: &Published, begin: u64, end: u64) -> Result<NodeHash, ReadError> {
        let mut peaks = Vec::new();
        let mut at = begin;
        while at < end {
            let height = (end - at).ilog2();
            peaks.push(self.node(tree, height, at >> height)?);
            at += 1 << height;
        }
        let root = peaks.into_iter().rev().reduce(|right, left| node_hash(&left, &right));
        Ok(root.expect("a range holds at least one leaf"))
    }

    /// The root of the `index`th complete subtree of that height.
    fn node(&self, tree: &Published, height: u32, index: u64) -> Result<NodeHash, ReadError> {
        let (level, height) = ((height / TILE_HEIGHT) as u8, height % TILE_HEIGHT);
        let place = index >> (TILE_HEIGHT - height);
        let within = index & ((1 << (TILE_HEIGHT - height)) - 1);
        let folded = self.folded(tree, level, place)?;
        Ok(folded.node(height, within).expect("the subtree is complete in the tree"))
    }

    /// The tile of hashes at that place, full or at the edge, proven to belong to the tree.
    fn folded(
        &self,
        tree: &Published,
        level: u8,
        place: u64,
    ) -> Result<Arc<FoldedTile>, ReadError> {
        let kind = TileKind::Hashes { level };
        if place >= kind.count(tree.size()) / TILE_WIDTH {
            return Ok(Arc::clone(&tree.folded[usize::from(level)]));
        }
        if let Some(folded) = self.tiles.get((level, place)) {
            return Ok(folded);
        }
        let object = Object::Tile(Tile::full(kind, place));
        let bytes =
            self.objects.get(object, HASH_TILE_SIZE)?.ok_or(ReadError::Missing { object })?;
        let hashes = split_hashes(&bytes).ok_or(ReadError::Damaged { object })?;
        let folded = FoldedTile::new(&hashes);
        // The level above holds this tile's root, and is itself proven, up to the edge.
        let above = self.folded(tree, level + 1, place / TILE_WIDTH)?;
        if folded.root().is_none() || folded.root() != above.node(0, place % TILE_WIDTH) {
            return Err(ReadError::Damaged { object });
        }
        // All hashes of all heights: 511 of 32 bytes.
        Ok(self.tiles.insert((level, place), folded, 2 * HASH_TILE_SIZE))
    }

    /// The leaf hash of the entry at `index`, if the tree has it there.
    fn prove(
        &self,
        tree: &Published,
        bundle: &Bundle,
        index: LeafIndex,
    ) -> Result<NodeHash, ReadError> {
        let wanted = self.node(tree, 0, index.0)?;
        let slot = &bundle.slots[(index.0 % TILE_WIDTH) as usize];
        if slot.leaf_hash(self.form, &bundle.bytes) != wanted {
            let place = index.0 / TILE_WIDTH;
            // Read it anew next time: someone may have put a sound copy in its place.
            self.bundles.remove(place);
            let tile = Tile::full(self.form.tile_kind(), place);
            return Err(ReadError::Damaged { object: Object::Tile(tile) });
        }
        Ok(wanted)
    }

    /// The bundle at that place, well-formed, but not proven.
    fn bundle(&self, tree: &Published, place: u64) -> Result<Arc<Bundle>, ReadError> {
        if place == tree.size().0 / TILE_WIDTH {
            return Ok(Arc::clone(&tree.bundle));
        }
        if let Some(bundle) = self.bundles.get(place) {
            return Ok(bundle);
        }
        let object = Object::Tile(Tile::full(self.form.tile_kind(), place));
        let bytes = self.get(object, BUNDLE_SIZE_MAX)?;
        let slots =
            split_bundle(self.form, &bytes, TILE_WIDTH).ok_or(ReadError::Damaged { object })?;
        let weight = bytes.len() + TILE_WIDTH as usize * size_of::<Slot>();
        Ok(self.bundles.insert(place, Bundle { bytes, slots }, weight))
    }

    /// What is kept beside the entry at that index. No tree covers it.
    fn side_record(&self, tree: &Published, index: LeafIndex) -> Result<SideRecord, ReadError> {
        let (place, at) = (index.0 / TILE_WIDTH, (index.0 % TILE_WIDTH) as usize);
        if place == tree.size().0 / TILE_WIDTH {
            return Ok(tree.side[at].clone());
        }
        if let Some(side) = self.sides.get(place) {
            return Ok(side[at].clone());
        }
        let object = Object::Tile(Tile::full(TileKind::Side, place));
        let bytes = self.get(object, SIDE_TILE_SIZE_MAX)?;
        let side = open_side(&bytes)
            .and_then(|records| split_side(records, TILE_WIDTH))
            .ok_or(ReadError::Damaged { object })?;
        let weight = bytes.len() + TILE_WIDTH as usize * size_of::<SideRecord>();
        Ok(self.sides.insert(place, side, weight)[at].clone())
    }

    fn get(&self, object: Object, size_max: usize) -> Result<Vec<u8>, ReadError> {
        self.objects.get(object, size_max)?.ok_or(ReadError::Missing { object })
    }
}

/// What the index is made of, for one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) identity: NodeHash,
    pub(crate) leaf_hash: NodeHash,
    pub(crate) time: UnixTime,
    pub(crate) keys: Vec<SearchKey>,
}

/// The largest power of two below `size` (RFC 6962 §2.1: `k < n <= 2k`).
fn split(size: u64) -> u64 {
    debug_assert!(size > 1, "one leaf is not split");
    1 << (size - 1).ilog2()
}

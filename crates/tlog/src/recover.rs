//! Opening a log: what lock and storage say is compared, an interrupted batch is finished, and
//! anything that does not fit is refused.
//!
//! Reads the lock, the published checkpoint and the right edge, whatever the size of the log.

use crypto::merkle::NodeHash;
use evidence::checkpoint::ParseCheckpointError;
use evidence::note::ParseNoteError;
use evidence::{Checkpoint, SignedNote, TreeSize, UnixTime};

use crate::checkpoint::{CheckpointSigner, NotSigned, SignedCheckpoint};
use crate::index::IndexError;
use crate::leaf::{BUNDLE_SIZE_MAX, Form, SIDE_TILE_SIZE_MAX, open_side, split_bundle, split_side};
use crate::pool::POOL_SIZE_MAX;
use crate::read::ReadError;
use crate::sequence::{Batch, Edge, PlanError, partial_tiles, plan};
use crate::stage::{STAGED_SIZE_MAX, Staged};
use crate::storage::{Discard, Lock, Object, Objects, StorageError};
use crate::tile::{HASH_TILE_SIZE, TILE_WIDTH, Tile, TileKind, split_hashes};

/// Where a checkpoint was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The lock: what the log has committed to.
    Lock,
    /// The objects: what the log has published.
    Objects,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Lock => "lock",
            Self::Objects => "storage",
        })
    }
}

/// Why a log was not opened. It has signed nothing.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The pool may grow to more than a start could read again.
    #[error("a pool of {found} bytes is larger than the {POOL_SIZE_MAX} that can be recovered")]
    PoolTooLarge {
        /// Its bound, in bytes.
        found: usize,
    },
    /// There is no log here yet.
    #[error("there is no log here yet")]
    NotCreated,
    /// There is a log here already.
    #[error("there is a log of {size} entries here already")]
    AlreadyCreated {
        /// Its size.
        size: TreeSize,
    },
    /// The storage holds a log, the lock does not.
    #[error(
        "storage holds a log of {stored} entries, but the lock is empty; \
         put the log's own lock back in its place"
    )]
    LockMissing {
        /// Size of the log in storage.
        stored: TreeSize,
    },
    /// The storage is older than the lock, and there is nothing to bring it forward with.
    #[error(
        "the log has committed to {locked} entries, but storage holds {} and no batch that leads \
         from there to there; restore a newer copy of storage: from an older one the log would fork",
        stored.map_or("none".to_owned(), |size| size.to_string())
    )]
    StorageBehind {
        /// Size the lock has committed to.
        locked: TreeSize,
        /// Size published in storage, if any.
        stored: Option<TreeSize>,
    },
    /// The storage is newer than the lock.
    #[error(
        "storage holds {stored} entries, but the lock has committed to {locked} only; \
         the lock was rolled back: put its newest copy back in its place"
    )]
    LockBehind {
        /// Size the lock has committed to.
        locked: TreeSize,
        /// Size published in storage.
        stored: TreeSize,
    },
    /// Lock and storage have another root at the same size.
    #[error(
        "lock and storage disagree about the tree of {size} entries: two histories were signed"
    )]
    Forked {
        /// The size.
        size: TreeSize,
    },
    /// The log has another name.
    #[error("this is the log `{found}`, not `{wanted}`; a log's origin never changes")]
    OtherOrigin {
        /// The name asked for.
        wanted: String,
        /// The log's name, cut to 256 characters.
        found: String,
    },
    /// The log has another key.
    #[error("the checkpoint in the {place} is not signed by this key; a log's key never changes")]
    OtherKey {
        /// Which checkpoint.
        place: Place,
    },
    /// A checkpoint is not one.
    #[error("the checkpoint in the {place} is damaged: not a signed note")]
    NotANote {
        /// Which checkpoint.
        place: Place,
        /// What is wrong with it; nothing if it is not even text.
        source: Option<ParseNoteError>,
    },
    /// A checkpoint is not one.
    #[error("the checkpoint in the {place} is damaged")]
    NotACheckpoint {
        /// Which checkpoint.
        place: Place,
        /// What is wrong with it.
        source: ParseCheckpointError,
    },
    /// The staged batch is not what the lock has committed to.
    #[error("{object} is damaged, and the log has committed to it; restore it from a copy")]
    DamagedBatch {
        /// The batch.
        object: Object,
    },
    /// The partial tiles do not lead to the root hash of the checkpoint.
    #[error("the last tiles in storage do not lead to the root hash of the tree of {size} entries")]
    DamagedEdge {
        /// The tree's size.
        size: TreeSize,
    },
    /// The clock is behind the log.
    #[error("the clock shows {now}, but the log has taken in an entry at {newest}; set the clock")]
    ClockBehind {
        /// What the clock shows.
        now: UnixTime,
        /// The log's newest moment.
        newest: UnixTime,
    },
    /// The first checkpoint could not be signed.
    #[error("the log's first checkpoint was not signed")]
    NotSigned(#[from] NotSigned),
    /// The log could not be read.
    #[error("the log could not be read")]
    Read(#[from] ReadError),
    /// The index failed.
    #[error("the index failed")]
    Index(#[from] IndexError),
    /// Storage failed.
    #[error("the log's storage")]
    Storage(#[from] StorageError),
    /// The log's thread could not be started.
    #[error("the log's thread could not be started")]
    Thread(#[source] std::io::Error),
}

/// A log as it was found, or made whole.
pub(crate) struct Recovered {
    pub(crate) signed: SignedCheckpoint,
    /// The lock's bytes, to swap for others.
    pub(crate) locked: Vec<u8>,
    pub(crate) edge: Edge,
}

/// Compares lock and storage, and finishes the batch between them.
pub(crate) fn recover(
    form: Form,
    objects: &dyn Objects,
    lock: &dyn Lock,
    signer: &dyn CheckpointSigner,
    now: UnixTime,
) -> Result<Recovered, OpenError> {
    let stored = objects.get(Object::Checkpoint, evidence::note::NOTE_SIZE_MAX)?;
    let stored = stored.map(|bytes| Signed::parse(Place::Objects, bytes, signer)).transpose()?;
    let Some(locked) = lock.read()? else {
        return Err(match stored {
            Some(stored) => OpenError::LockMissing { stored: stored.size() },
            None => OpenError::NotCreated,
        });
    };
    let locked = Signed::parse(Place::Lock, locked, signer)?;
    let size = locked.size();
    let mut edge = match stored {
        // The crash came before the first checkpoint was published.
        None if size.0 == 0 => {
            objects.publish(&locked.bytes)?;
            load_edge(form, objects, &locked.signed.checkpoint)?
        }
        None => return Err(OpenError::StorageBehind { locked: size, stored: None }),
        Some(stored) if stored.size() > size => {
            return Err(OpenError::LockBehind { locked: size, stored: stored.size() });
        }
        Some(stored) if stored.size() < size => replay(form, objects, &locked, &stored)?,
        Some(stored) if stored.root() != locked.root() => return Err(OpenError::Forked { size }),
        Some(_) => load_edge(form, objects, &locked.signed.checkpoint)?,
    };
    edge.newest = edge.newest.max(locked.time);
    if let Some(newest) = edge.newest.filter(|newest| now < *newest) {
        return Err(OpenError::ClockBehind { now, newest });
    }
    // A batch that was staged and never committed is nobody's; its name must be free again.
    objects.discard(Discard::Staged)?;
    Ok(Recovered { signed: locked.signed, locked: locked.bytes, edge })
}

/// Plans the staged batch again, and publishes what comes out.
fn replay(
    form: Form,
    objects: &dyn Objects,
    locked: &Signed,
    stored: &Signed,
) -> Result<Edge, OpenError> {
    let behind = OpenError::StorageBehind { locked: locked.size(), stored: Some(stored.size()) };
    let object = Object::Staged { size: locked.size(), root: locked.root() };
    let Some(bytes) = objects.get(object, STAGED_SIZE_MAX)? else { return Err(behind) };
    let staged = Staged::parse(form, &bytes).ok_or(OpenError::DamagedBatch { object })?;
    if staged.base != stored.size() || staged.base_root != stored.root() {
        return Err(behind);
    }
    let edge = load_edge(form, objects, &stored.signed.checkpoint)?;
    let batch = plan(&edge, &staged.leaves, staged.time)
        .map_err(|_: PlanError| OpenError::DamagedBatch { object })?;
    if batch.size() != locked.size() || batch.root() != locked.root() {
        return Err(OpenError::DamagedBatch { object });
    }
    tracing::warn!(
        origin = locked.signed.checkpoint.origin,
        from = staged.base.0,
        to = batch.size().0,
        "finishing a batch that was committed before the last stop"
    );
    publish(objects, &batch, &locked.bytes)?;
    Ok(batch.edge)
}

/// What follows the commit, in normal running as in recovery: tiles, then checkpoint.
pub(crate) fn publish(
    objects: &dyn Objects,
    batch: &Batch,
    note: &[u8],
) -> Result<(), StorageError> {
    objects.put_all(batch.tiles())?;
    objects.publish(note)?;
    // From here on only tidying: failing at it harms nobody, and the next start tries again.
    let discards = batch.full_tiles().map(Discard::Partials).chain([Discard::Staged]);
    for discard in discards {
        if let Err(error) = objects.discard(discard) {
            tracing::warn!(?discard, %error, "could not remove what is no longer needed");
        }
    }
    Ok(())
}

/// Reads the partial tiles of a tree, and proves them by its root hash.
fn load_edge(
    form: Form,
    objects: &dyn Objects,
    checkpoint: &Checkpoint,
) -> Result<Edge, OpenError> {
    let size = checkpoint.size;
    let mut edge = Edge { size, ..Edge::empty(form) };
    for tile in partial_tiles(form, size) {
        let object = Object::Tile(tile);
        let damaged = || ReadError::Damaged { object };
        match tile.kind() {
            TileKind::Hashes { level } => {
                let bytes = get(objects, object, HASH_TILE_SIZE)?;
                let hashes = split_hashes(&bytes).ok_or_else(damaged)?;
                if hashes.len() as u64 != tile.width() {
                    return Err(damaged().into());
                }
                edge.hashes[usize::from(level)] = hashes;
            }
            TileKind::Side => {
                let bytes = get(objects, object, SIDE_TILE_SIZE_MAX)?;
                edge.side = open_side(&bytes).ok_or_else(damaged)?.to_vec();
            }
            TileKind::Entries | TileKind::Certificates => {
                edge.bundle = get(objects, object, BUNDLE_SIZE_MAX)?;
            }
        }
    }
    if edge.root() != checkpoint.root {
        return Err(OpenError::DamagedEdge { size });
    }
    check_bundle(&edge)?;
    edge.newest = newest(objects, &edge)?;
    Ok(edge)
}

/// The root proves the leaf hashes; they prove the entries.
fn check_bundle(edge: &Edge) -> Result<(), ReadError> {
    let Some(tile) = last_partial(edge.form.tile_kind(), edge.size) else { return Ok(()) };
    let damaged = || ReadError::Damaged { object: Object::Tile(tile) };
    let slots = split_bundle(edge.form, &edge.bundle, tile.width()).ok_or_else(damaged)?;
    let mut pairs = slots.iter().zip(&edge.hashes[0]);
    if pairs.all(|(slot, hash)| slot.leaf_hash(edge.form, &edge.bundle) == *hash) {
        Ok(())
    } else {
        Err(damaged())
    }
}

/// The moment of the last entry, from the last side tile, partial or full.
fn newest(objects: &dyn Objects, edge: &Edge) -> Result<Option<UnixTime>, ReadError> {
    let Some(last) = edge.size.0.checked_sub(1) else { return Ok(None) };
    let (tile, records) = match last_partial(TileKind::Side, edge.size) {
        Some(tile) => (tile, edge.side.clone()),
        None => {
            let tile = Tile::full(TileKind::Side, last / TILE_WIDTH);
            let object = Object::Tile(tile);
            let bytes = get(objects, object, SIDE_TILE_SIZE_MAX)?;
            (tile, open_side(&bytes).ok_or(ReadError::Damaged { object })?.to_vec())
        }
    };
    let records = split_side(&records, tile.width())
        .ok_or(ReadError::Damaged { object: Object::Tile(tile) })?;
    Ok(records.iter().map(|record| record.time).max())
}

fn last_partial(kind: TileKind, size: TreeSize) -> Option<Tile> {
    Tile::of_width(kind, size.0 / TILE_WIDTH, size.0 % TILE_WIDTH)
}

fn get(objects: &dyn Objects, object: Object, size_max: usize) -> Result<Vec<u8>, ReadError> {
    objects.get(object, size_max)?.ok_or(ReadError::Missing { object })
}

/// A checkpoint of this log, with the bytes that carried it.
struct Signed {
    bytes: Vec<u8>,
    signed: SignedCheckpoint,
    /// The moment its signature states, if it states one.
    time: Option<UnixTime>,
}

impl Signed {
    fn parse(
        place: Place,
        bytes: Vec<u8>,
        signer: &dyn CheckpointSigner,
    ) -> Result<Self, OpenError> {
        let note = std::str::from_utf8(&bytes)
            .map_err(|_| OpenError::NotANote { place, source: None })?
            .to_owned();
        let parsed = SignedNote::parse(&note)
            .map_err(|source| OpenError::NotANote { place, source: Some(source) })?;
        let checkpoint = Checkpoint::parse(parsed.text())
            .map_err(|source| OpenError::NotACheckpoint { place, source })?;
        if checkpoint.origin != signer.origin() {
            return Err(OpenError::OtherOrigin {
                wanted: signer.origin().to_owned(),
                found: checkpoint.origin.chars().take(256).collect(),
            });
        }
        let time =
            signer.verify(&checkpoint, &parsed).map_err(|_| OpenError::OtherKey { place })?;
        Ok(Self { bytes, signed: SignedCheckpoint { checkpoint, note }, time })
    }

    fn size(&self) -> TreeSize {
        self.signed.checkpoint.size
    }

    fn root(&self) -> NodeHash {
        self.signed.checkpoint.root
    }
}

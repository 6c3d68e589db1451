//! A world in memory for logs to live in: storage and lock that fail on command, a clock, a key;
//! and the full check of everything that must hold whatever failed.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use crypto::merkle::{NodeHash, leaf_hash, verify_consistency, verify_inclusion};
use crypto::{KeyKind, KeyPair};
use evidence::{Checkpoint, SignedNote, TreeSize, UnixTime};
use tlog::storage::Discard;
use tlog::{
    Appended, CheckpointSigner, Config, Form, Index, Leaf, Lock, Log, NoteSigner, Object, Objects,
    OpenError, Parts, Sequencer, StorageError, Tile, TileKind,
};

use testkit::merkle;

use crate::numbered;

pub(crate) const ORIGIN: &str = "log.test";

/// How a write fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing was written.
    Lost,
    /// All was written, but the writer is told otherwise.
    Stored,
}

/// Storage, lock and clock.
#[derive(Default)]
pub(crate) struct World {
    state: Mutex<State>,
    now: AtomicI64,
    pub(crate) reads: AtomicUsize,
}

#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) objects: BTreeMap<Object, Vec<u8>>,
    pub(crate) lock: Option<Vec<u8>>,
    /// All that was ever stored under a name that does not change.
    history: HashMap<Object, Vec<u8>>,
    /// Every checkpoint that was ever to be seen.
    pub(crate) published: Vec<Vec<u8>>,
    /// Writes so far.
    pub(crate) writes: usize,
    /// At which write to fail, and how.
    pub(crate) fault: Option<(usize, Fault)>,
    /// Whether the machine is off: since the fault, until [`World::revive`].
    is_dead: bool,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        let world = Self::default();
        world.now.store(1_700_000_000_000, Ordering::Relaxed);
        Arc::new(world)
    }

    /// Another world, just like this one now.
    pub(crate) fn copy(&self) -> Arc<Self> {
        let copy = Self::default();
        *copy.state() = self.state().clone();
        copy.now.store(self.now().milliseconds(), Ordering::Relaxed);
        Arc::new(copy)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn now(&self) -> UnixTime {
        UnixTime::from_milliseconds(self.now.load(Ordering::Relaxed))
    }

    pub(crate) fn pass(&self, milliseconds: i64) {
        self.now.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// Fails the write that comes after `writes` others, and all that follow.
    pub(crate) fn fail_after(&self, writes: usize, fault: Fault) {
        let mut state = self.state();
        state.fault = Some((state.writes + writes, fault));
    }

    /// Whether the fault was reached.
    pub(crate) fn revive(&self) -> bool {
        let mut state = self.state();
        state.fault = None;
        std::mem::take(&mut state.is_dead)
    }

    fn write(&self, change: impl FnOnce(&mut State)) -> Result<(), StorageError> {
        let mut state = self.state();
        let failed = |source: &str| StorageError::Io {
            what: "the world".into(),
            source: io::Error::other(source.to_owned()),
        };
        if state.is_dead {
            return Err(failed("still off"));
        }
        let number = state.writes;
        state.writes += 1;
        match state.fault {
            Some((at, fault)) if at == number => {
                state.is_dead = true;
                if fault == Fault::Stored {
                    change(&mut state);
                }
                Err(failed("power failure"))
            }
            _ => {
                change(&mut state);
                Ok(())
            }
        }
    }
}

/// What a log holds of the world.
pub(crate) struct Disk(pub(crate) Arc<World>);

impl Objects for Disk {
    fn put(&self, object: Object, bytes: &[u8]) -> Result<(), StorageError> {
        assert_ne!(object, Object::Checkpoint, "the checkpoint is published, not put");
        if self.0.state().objects.get(&object).is_some_and(|stored| stored != bytes) {
            return Err(StorageError::Conflict { object });
        }
        self.0.write(|state| {
            if let Object::Tile(_) = object {
                let first = state.history.entry(object).or_insert_with(|| bytes.to_vec());
                assert_eq!(first, bytes, "{object} changed");
            }
            state.objects.insert(object, bytes.to_vec());
        })
    }

    fn publish(&self, note: &[u8]) -> Result<(), StorageError> {
        self.0.write(|state| {
            state.objects.insert(Object::Checkpoint, note.to_vec());
            state.published.push(note.to_vec());
        })
    }

    fn get(&self, object: Object, size_max: usize) -> Result<Option<Vec<u8>>, StorageError> {
        self.0.reads.fetch_add(1, Ordering::Relaxed);
        let bytes = self.0.state().objects.get(&object).cloned();
        assert!(bytes.as_ref().is_none_or(|bytes| bytes.len() <= size_max));
        Ok(bytes)
    }

    fn discard(&self, discard: Discard) -> Result<(), StorageError> {
        self.0.write(|state| {
            state.objects.retain(|object, _| match (discard, object) {
                (Discard::Staged, Object::Staged { .. }) => false,
                (Discard::Partials(full), Object::Tile(tile)) => {
                    tile.is_full() || (tile.kind(), tile.index()) != (full.kind(), full.index())
                }
                _ => true,
            });
        })
    }
}

impl Lock for Disk {
    fn read(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.0.state().lock.clone())
    }

    fn swap(&self, expected: Option<&[u8]>, new: &[u8]) -> Result<(), StorageError> {
        if self.0.state().lock.as_deref() != expected {
            return Err(StorageError::Swapped { what: "the world".into() });
        }
        self.0.write(|state| state.lock = Some(new.to_vec()))
    }
}

/// One key for all tests: making one is slow.
pub(crate) fn key() -> Arc<KeyPair> {
    static KEY: LazyLock<Arc<KeyPair>> =
        LazyLock::new(|| Arc::new(KeyPair::generate(KeyKind::Ed25519).unwrap()));
    Arc::clone(&KEY)
}

pub(crate) fn signer() -> Arc<dyn CheckpointSigner> {
    Arc::new(NoteSigner::new(ORIGIN, ORIGIN, key()).unwrap())
}

pub(crate) fn parts(world: &Arc<World>, index: &Arc<Index>) -> Parts {
    let clock = Arc::clone(world);
    Parts {
        objects: Arc::new(Disk(Arc::clone(world))),
        lock: Arc::new(Disk(Arc::clone(world))),
        signer: signer(),
        index: Arc::clone(index),
        clock: Arc::new(move || clock.now()),
    }
}

pub(crate) fn new_index() -> Arc<Index> {
    Arc::new(Index::in_memory())
}

pub(crate) fn open(world: &Arc<World>) -> Result<(Log, Sequencer), OpenError> {
    Log::open_stepped(Config::new(Form::Entries), parts(world, &new_index()))
}

/// A new log, opened.
pub(crate) fn create() -> (Arc<World>, Log, Sequencer) {
    let world = World::new();
    Log::create(Form::Entries, &parts(&world, &new_index())).unwrap();
    let (log, sequencer) = open(&world).unwrap();
    (world, log, sequencer)
}

pub(crate) fn leaf(number: usize) -> Leaf {
    Leaf::entry(numbered::entry(number)).unwrap()
}

/// Appends the entries with these numbers in one batch.
pub(crate) fn append(
    log: &Log,
    sequencer: &mut Sequencer,
    numbers: impl IntoIterator<Item = usize>,
) -> Vec<Appended> {
    let waiting: Vec<_> =
        numbers.into_iter().map(|number| log.append(leaf(number)).unwrap()).collect();
    sequencer.step().unwrap();
    waiting.into_iter().map(|waiting| waiting.wait().unwrap()).collect()
}

/// A world with a log of that many entries, in batches of that size, and nothing running.
pub(crate) fn world_of(size: usize, batch: usize) -> Arc<World> {
    let (world, log, mut sequencer) = create();
    for first in (0..size).step_by(batch) {
        world.pass(10);
        append(&log, &mut sequencer, first..size.min(first + batch));
    }
    world
}

pub(crate) fn checkpoint_of(note: &[u8]) -> Checkpoint {
    let note = SignedNote::parse(std::str::from_utf8(note).unwrap()).unwrap();
    let checkpoint = Checkpoint::parse(note.text()).unwrap();
    signer().verify(&checkpoint, &note).unwrap();
    checkpoint
}

/// All that must hold in a log at rest, computed from the bundles alone: the tree, every tile,
/// every checkpoint ever published; and for each entry acknowledged, its place and proof.
pub(crate) fn check(world: &World, log: &Log, acknowledged: &HashMap<Vec<u8>, Appended>) {
    let checkpoint = log.checkpoint().checkpoint.clone();
    let size = checkpoint.size;
    let stored = world.state().objects[&Object::Checkpoint].clone();
    assert_eq!(stored, log.checkpoint().note.as_bytes(), "what is served is what is stored");
    assert_eq!(world.state().lock.as_deref(), Some(stored.as_slice()), "and what is committed");

    let leaves = leaves_of(world, size);
    assert_eq!(merkle::root(&leaves), checkpoint.root);
    check_tiles(world, &leaves);

    let mut places = HashMap::new();
    for (entry, appended) in acknowledged {
        assert_eq!(places.insert(appended.index, entry), None, "an index was used twice");
        assert_eq!(appended.leaf_hash, leaf_hash(entry));
        let proof = log.inclusion_proof(appended.index, size).unwrap();
        verify_inclusion(&appended.leaf_hash, appended.index.0, size.0, &proof, &checkpoint.root)
            .unwrap();
        let read = log.entry(appended.index).unwrap();
        assert_eq!((&read.bytes, read.time), (entry, appended.time));
    }
    let published = world.state().published.clone();
    for note in published {
        let older = checkpoint_of(&note);
        assert_eq!(merkle::root(&leaves[..older.size.0 as usize]), older.root, "a fork");
        let proof = log.consistency_proof(older.size, size).unwrap();
        verify_consistency(older.size.0, size.0, &proof, &older.root, &checkpoint.root).unwrap();
    }
}

/// Leaf hashes of all entries, read from the bundles as C2SP tlog-tiles has them.
fn leaves_of(world: &World, size: TreeSize) -> Vec<NodeHash> {
    let state = world.state();
    let mut leaves = Vec::new();
    for index in 0..size.0.div_ceil(256) {
        let width = (size.0 - index * 256).min(256);
        let tile = Tile::of_width(TileKind::Entries, index, width).unwrap();
        let mut bytes = state.objects[&Object::Tile(tile)].as_slice();
        while let Some((length, rest)) = bytes.split_first_chunk() {
            let (entry, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
            leaves.push(leaf_hash(entry));
            bytes = rest;
        }
        assert_eq!(leaves.len() as u64, index * 256 + width);
    }
    leaves
}

/// Every tile of hashes that a tree of these leaves has is stored, by its definition.
fn check_tiles(world: &World, leaves: &[NodeHash]) {
    let state = world.state();
    let mut row = leaves.to_vec();
    for level in 0.. {
        if row.is_empty() {
            break;
        }
        for (index, hashes) in (0..).zip(row.chunks(256)) {
            let kind = TileKind::Hashes { level };
            let tile = Tile::of_width(kind, index, hashes.len() as u64).unwrap();
            assert_eq!(state.objects[&Object::Tile(tile)], hashes.concat(), "{tile}");
        }
        row = row.as_chunks::<256>().0.iter().map(|hashes| merkle::root(hashes)).collect();
    }
}

/// The place that each of these entries has, as the log answers when asked again.
pub(crate) fn places(entries: &[(usize, Appended)]) -> HashMap<Vec<u8>, Appended> {
    entries.iter().map(|(number, appended)| (numbered::entry(*number), *appended)).collect()
}

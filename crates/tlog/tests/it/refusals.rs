//! What a log refuses: to start on what does not fit, to sign on what was tampered with, and to
//! hand out what it cannot prove.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crypto::{KeyKind, KeyPair};
use evidence::{LeafIndex, TreeSize};
use tlog::sequence::PlanError;
use tlog::{
    AppendError, Config, Form, Leaf, LeafError, Log, NoteSigner, Object, Objects, OpenError,
    POOL_SIZE_MAX, Place, ReadError, SearchKey, StorageError, Tile, TileKind,
};

use crate::world::{
    Disk, Fault, ORIGIN, World, append, check, checkpoint_of, create, key, leaf, new_index, open,
    parts, world_of,
};

fn tile(path: &str) -> Object {
    Object::Tile(path.parse().unwrap())
}

/// The one batch on its way.
fn staged(world: &World) -> (Object, Vec<u8>) {
    let state = world.state();
    let mut staged =
        state.objects.iter().filter(|(object, _)| matches!(object, Object::Staged { .. }));
    let (object, bytes) = staged.next().unwrap();
    assert!(staged.next().is_none());
    (*object, bytes.clone())
}

#[test]
fn a_log_that_is_not_there_is_not_opened() {
    assert!(matches!(open(&World::new()), Err(OpenError::NotCreated)));
}

#[test]
fn an_older_copy_of_the_storage_is_refused() {
    let world = world_of(300, 100);
    let older = world.copy();
    let (log, mut sequencer) = open(&world).unwrap();
    append(&log, &mut sequencer, 300..310);
    world.state().objects = older.state().objects.clone();
    assert!(matches!(
        open(&world),
        Err(OpenError::StorageBehind { locked: TreeSize(310), stored: Some(TreeSize(300)) })
    ));
    world.state().objects.clear();
    assert!(matches!(
        open(&world),
        Err(OpenError::StorageBehind { locked: TreeSize(310), stored: None })
    ));
}

/// The batch that is staged leads to what the lock holds, but not from what storage holds.
#[test]
fn a_staged_batch_is_not_replayed_on_an_older_copy() {
    let world = world_of(300, 100);
    let older = world.copy();
    let (log, mut sequencer) = open(&world).unwrap();
    append(&log, &mut sequencer, 300..310);
    world.fail_after(2, Fault::Lost);
    drop(log.append(leaf(310)).unwrap());
    assert!(sequencer.step().is_err());
    world.revive();
    let (object, bytes) = staged(&world);
    let mut objects = older.state().objects.clone();
    objects.insert(object, bytes);
    world.state().objects = objects;
    assert!(matches!(
        open(&world),
        Err(OpenError::StorageBehind { locked: TreeSize(311), stored: Some(TreeSize(300)) })
    ));
}

#[test]
fn an_older_copy_of_the_lock_is_refused() {
    let world = world_of(300, 100);
    let older = world.copy();
    let (log, mut sequencer) = open(&world).unwrap();
    append(&log, &mut sequencer, 300..310);
    world.state().lock = older.state().lock.clone();
    assert!(matches!(
        open(&world),
        Err(OpenError::LockBehind { locked: TreeSize(300), stored: TreeSize(310) })
    ));
    world.state().lock = None;
    assert!(matches!(open(&world), Err(OpenError::LockMissing { stored: TreeSize(310) })));
    let parts = parts(&world, &new_index());
    assert!(matches!(Log::create(Form::Entries, &parts), Err(OpenError::LockMissing { .. })));
}

#[test]
fn another_history_of_the_same_size_is_refused() {
    let (world, log, mut sequencer) = create();
    append(&log, &mut sequencer, 0..10);
    let (other, log, mut sequencer) = create();
    append(&log, &mut sequencer, 10..20);
    world.state().lock = other.state().lock.clone();
    assert!(matches!(open(&world), Err(OpenError::Forked { size: TreeSize(10) })));
}

#[test]
fn another_origin_or_key_is_refused() {
    let world = world_of(10, 10);
    let open_with = |signer: NoteSigner| {
        let mut parts = parts(&world, &new_index());
        parts.signer = Arc::new(signer);
        Log::open_stepped(Config::new(Form::Entries), parts).map(|_| ())
    };
    assert!(matches!(
        open_with(NoteSigner::new("other.test", ORIGIN, key()).unwrap()),
        Err(OpenError::OtherOrigin { wanted, found }) if wanted == "other.test" && found == ORIGIN
    ));
    for kind in [KeyKind::Ed25519, KeyKind::EcdsaP256] {
        let other = Arc::new(KeyPair::generate(kind).unwrap());
        assert!(matches!(
            open_with(NoteSigner::new(ORIGIN, ORIGIN, other).unwrap()),
            Err(OpenError::OtherKey { place: Place::Objects })
        ));
    }
    assert!(matches!(
        open_with(NoteSigner::new(ORIGIN, "renamed.test", key()).unwrap()),
        Err(OpenError::OtherKey { place: Place::Objects })
    ));
    assert!(open_with(NoteSigner::new(ORIGIN, ORIGIN, key()).unwrap()).is_ok());
}

#[test]
fn a_checkpoint_with_any_bit_changed_is_refused() {
    let world = world_of(10, 10);
    let note = world.state().lock.clone().unwrap();
    for at in 0..note.len() {
        let mut changed = note.clone();
        changed[at] ^= 1;
        for place in [Place::Lock, Place::Objects] {
            let bytes = changed.clone();
            match place {
                Place::Lock => world.state().lock = Some(bytes),
                Place::Objects => drop(world.state().objects.insert(Object::Checkpoint, bytes)),
            }
            let opened = open(&world).map(|_| ());
            assert!(
                matches!(
                    opened,
                    Err(OpenError::NotANote { .. }
                        | OpenError::NotACheckpoint { .. }
                        | OpenError::OtherOrigin { .. }
                        | OpenError::OtherKey { .. })
                ),
                "byte {at} of the {place}: {opened:?}"
            );
            world.state().lock = Some(note.clone());
            world.state().objects.insert(Object::Checkpoint, note.clone());
        }
    }
    assert!(open(&world).is_ok());
}

#[test]
fn an_edge_that_was_tampered_with_is_not_signed_on() {
    for object in ["tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"]
        .map(tile)
        .into_iter()
        .chain([Object::Tile(Tile::of_width(TileKind::Side, 1, 44).unwrap())])
    {
        let world = world_of(300, 100);
        let original = world.state().objects[&object].clone();
        for at in (0..original.len()).step_by(11) {
            world.state().objects.get_mut(&object).unwrap()[at] ^= 0x40;
            assert!(
                matches!(
                    open(&world),
                    Err(OpenError::DamagedEdge { .. } | OpenError::Read(ReadError::Damaged { .. }))
                ),
                "{object}, byte {at}"
            );
            world.state().objects.insert(object, original.clone());
        }
        for damaged in [vec![], original[1..].to_vec(), [&original[..], b"\0"].concat()] {
            world.state().objects.insert(object, damaged);
            assert!(open(&world).is_err());
        }
        world.state().objects.remove(&object);
        let opened = open(&world);
        let Err(OpenError::Read(ReadError::Missing { object: found })) = opened else {
            panic!("{object} is gone, and the log opens")
        };
        assert_eq!(found, object);
    }
}

#[test]
fn a_full_tile_that_was_tampered_with_is_not_served_or_built_upon() {
    let hashes = tile("tile/0/000");
    let entries = tile("tile/entries/000");
    let side = Object::Tile(Tile::full(TileKind::Side, 0));
    for object in [hashes, entries, side] {
        let world = world_of(300, 100);
        let original = world.state().objects[&object].clone();
        world.state().objects.get_mut(&object).unwrap()[40] ^= 1;
        let (log, _sequencer) = open(&world).unwrap();
        let is_damaged =
            |error| matches!(error, ReadError::Damaged { object: found } if found == object);
        assert!(is_damaged(log.entry(LeafIndex(3)).unwrap_err()));
        if object == hashes {
            assert!(is_damaged(log.leaf_hash(LeafIndex(9)).unwrap_err()));
            assert!(is_damaged(log.inclusion_proof(LeafIndex(3), TreeSize(300)).unwrap_err()));
            assert!(is_damaged(log.tile("tile/0/000".parse().unwrap()).unwrap_err()));
            assert!(is_damaged(log.tile("tile/0/000.p/3".parse().unwrap()).unwrap_err()));
        }
        if object == entries {
            assert!(is_damaged(log.tile("tile/entries/000".parse().unwrap()).unwrap_err()));
        }
        assert!(log.inclusion_proof(LeafIndex(299), TreeSize(300)).is_ok(), "the rest is served");
        world.state().objects.remove(&object);
        assert!(matches!(log.entry(LeafIndex(3)), Err(ReadError::Missing { .. })));
        world.state().objects.insert(object, original);
        assert!(log.entry(LeafIndex(3)).is_ok(), "a sound copy is taken at once");
    }
}

#[test]
fn a_staged_batch_that_is_torn_or_changed_is_not_replayed() {
    let world = world_of(300, 100);
    let (log, mut sequencer) = open(&world).unwrap();
    world.fail_after(2, Fault::Lost);
    drop(log.append(leaf(300)).unwrap());
    drop(log.append(leaf(301).with_keys([SearchKey::of("k")]).unwrap()).unwrap());
    assert!(sequencer.step().is_err());
    world.revive();
    let (object, bytes) = staged(&world);
    let refused = |damaged: Vec<u8>, what: &str| {
        world.state().objects.insert(object, damaged);
        assert!(
            matches!(open(&world), Err(OpenError::DamagedBatch { object: found }) if found == object),
            "{what}"
        );
    };
    for at in 0..bytes.len() {
        refused(bytes[..at].to_vec(), "torn");
        let mut changed = bytes.clone();
        changed[at] ^= 4;
        refused(changed.clone(), "changed");
    }
    // Even one whose checksum fits: other leaves lead to another root.
    let at = bytes.len() - 32 - 80;
    let mut changed = bytes[..bytes.len() - 32].to_vec();
    changed[at] ^= 1;
    changed.extend(crypto::sha256(&changed));
    world.state().objects.insert(object, changed);
    assert!(open(&world).is_err());
    world.state().objects.insert(object, bytes);
    let (log, _) = open(&world).unwrap();
    check(&world, &log, &HashMap::new());
    assert_eq!(log.checkpoint().checkpoint.size, TreeSize(302));
}

#[test]
fn a_clock_behind_the_log_is_refused() {
    let world = world_of(300, 100);
    world.pass(-1);
    assert!(matches!(open(&world), Err(OpenError::ClockBehind { .. })));
    world.pass(1);
    let (log, mut sequencer) = open(&world).unwrap();
    // And while running: the batch is refused, and the log goes on when the clock does.
    world.pass(-3_600_000);
    let writes = world.state().writes;
    let refused = log.append(leaf(300)).unwrap();
    sequencer.step().unwrap();
    assert!(matches!(
        refused.wait(),
        Err(AppendError::Refused(PlanError::ClockBehind { now, newest })) if now < newest
    ));
    assert_eq!(world.state().writes, writes, "nothing was written, let alone signed");
    world.pass(3_600_000);
    let appended = append(&log, &mut sequencer, [300]);
    assert_eq!(appended[0].index, LeafIndex(300));
    check(&world, &log, &HashMap::new());
    // A tree whose last tile is full has its newest moment there.
    let world = world_of(256, 256);
    world.pass(-1);
    assert!(matches!(open(&world), Err(OpenError::ClockBehind { .. })));
}

/// Two processes that both believe they are alone: the lock lets one of them commit.
#[test]
fn a_second_writer_is_stopped_by_the_lock() {
    let world = world_of(10, 10);
    let (first, mut first_sequencer) = open(&world).unwrap();
    let (second, mut second_sequencer) = open(&world).unwrap();
    append(&first, &mut first_sequencer, [10]);
    let waiting = second.append(leaf(11)).unwrap();
    let stop = second_sequencer.step().unwrap_err();
    assert!(matches!(*stop, tlog::Stop::Storage(StorageError::Swapped { .. })));
    assert!(matches!(waiting.wait(), Err(AppendError::Stopped(_))));
    append(&first, &mut first_sequencer, [12]);
    check(&world, &first, &HashMap::new());
    let sizes: Vec<_> =
        world.state().published.iter().map(|note| checkpoint_of(note).size.0).collect();
    assert_eq!(sizes, [0, 10, 11, 12]);
}

#[test]
fn a_start_reads_the_edge_only() {
    let world = world_of(70_000, 10_000);
    world.reads.store(0, Ordering::Relaxed);
    let (log, _sequencer) = open(&world).unwrap();
    // The checkpoint; entries, side records and three levels of hashes.
    assert_eq!(world.reads.load(Ordering::Relaxed), 6);
    assert_eq!(log.checkpoint().checkpoint.size, TreeSize(70_000));
}

/// A batch is all that was in the pool, and a start must be able to read it.
#[test]
fn a_pool_that_could_not_be_recovered_is_refused() {
    let world = world_of(3, 3);
    let opened = |pool_size_max: usize| {
        let config = Config { pool_size_max, ..Config::new(Form::Entries) };
        Log::open_stepped(config, parts(&world, &new_index())).map(drop)
    };
    opened(POOL_SIZE_MAX).unwrap();
    let found = POOL_SIZE_MAX + 1;
    let error = opened(found).unwrap_err();
    assert!(matches!(error, OpenError::PoolTooLarge { found: it } if it == found), "{error:?}");
}

#[test]
fn leaves_that_do_not_fit_are_refused() {
    assert!(Leaf::entry(vec![0; 65_535]).is_ok());
    assert_eq!(Leaf::entry(vec![0; 65_536]), Err(LeafError::TooLong { found: 65_536 }));
    let keys = |count: usize| (0..count).map(|number| SearchKey::of(&number.to_string()));
    assert!(leaf(0).with_keys(keys(1024)).is_ok());
    assert_eq!(leaf(0).with_keys(keys(1025)), Err(LeafError::TooManyKeys { found: 1025 }));
    let (_world, log, _sequencer) = create();
    let certificate = Leaf::certificate(b"certificate", &[]).unwrap();
    assert!(matches!(
        log.append(certificate),
        Err(AppendError::OtherForm { wanted: Form::Entries, found: Form::Certificates })
    ));
}

#[test]
fn the_longest_entries_are_logged_and_read() {
    let (world, log, mut sequencer) = create();
    let longest = |number: u32| {
        let mut bytes = vec![7; 65_535];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        bytes
    };
    for first in [0, 150] {
        for number in first..first + 150 {
            drop(log.append(Leaf::entry(longest(number)).unwrap()).unwrap());
        }
        sequencer.step().unwrap();
    }
    let (log, _sequencer) = open(&world).unwrap();
    for number in 0..300 {
        let read = log.entry(LeafIndex(u64::from(number))).unwrap();
        assert!(read.bytes == longest(number));
    }
}

/// The world keeps its promise, or the tests above prove nothing.
#[test]
fn the_world_refuses_to_change_an_object() {
    let world = world_of(1, 1);
    let object = tile("tile/0/000.p/1");
    let bytes = world.state().objects[&object].clone();
    let disk = Disk(Arc::clone(&world));
    assert!(disk.put(object, &bytes).is_ok());
    assert!(matches!(disk.put(object, b"other"), Err(StorageError::Conflict { .. })));
}

//! Every write fails twice, lost and stored, at every step of a batch and of its recovery.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use evidence::TreeSize;
use tlog::{AppendError, Stop};

use crate::numbered;
use crate::world::{Fault, World, append, check, leaf, open, world_of};

/// From a tree with a full and some partial tiles to one with another full tile: all the writes
/// that there can be.
const BEFORE: usize = 300;
const AFTER: usize = 515;

/// The log as it is before the batch that fails: made once, copied for each trial.
fn world_before() -> Arc<World> {
    static WORLD: LazyLock<Arc<World>> = LazyLock::new(|| world_of(BEFORE, 100));
    WORLD.copy()
}

/// Writes of one such batch: stage, swap, tiles, publish, and what is discarded.
fn writes_of_a_batch() -> usize {
    let world = world_before();
    let (log, mut sequencer) = open(&world).unwrap();
    let before = world.state().writes;
    append(&log, &mut sequencer, BEFORE..AFTER);
    let writes = world.state().writes - before;
    assert!(writes > 12, "{writes} writes: the test has lost its subject");
    writes
}

/// Appends a batch that fails at that write, and tells which entries were acknowledged.
fn fail_at(world: &Arc<World>, write: usize, fault: Fault) -> Vec<usize> {
    let (log, mut sequencer) = open(world).unwrap();
    world.fail_after(write, fault);
    let waiting: Vec<_> =
        (BEFORE..AFTER).map(|number| (number, log.append(leaf(number)).unwrap())).collect();
    let stepped = sequencer.step();
    let mut acknowledged = Vec::new();
    for (number, waiting) in waiting {
        match waiting.wait() {
            Ok(_) => acknowledged.push(number),
            Err(AppendError::Stopped(stop)) => assert!(matches!(*stop, Stop::Storage(_))),
            Err(other) => panic!("{other}"),
        }
    }
    if stepped.is_err() {
        // A log that met an error takes in nothing more, though storage may work again.
        world.revive();
        assert!(matches!(log.append(leaf(0)), Err(AppendError::Stopped(_))));
        assert!(sequencer.step().is_err());
        assert!(!log.is_running());
        assert_eq!(log.checkpoint().checkpoint.size, TreeSize(BEFORE as u64), "reads go on");
        assert!(acknowledged.is_empty());
    }
    acknowledged
}

/// Opens the log once more, asks for all entries again, and checks all that can be checked.
fn recovered(world: &Arc<World>, context: &str) -> u64 {
    world.revive();
    world.pass(1000);
    let (log, mut sequencer) = open(world).unwrap_or_else(|error| panic!("{context}: {error}"));
    let size = log.checkpoint().checkpoint.size.0;
    let places: HashMap<_, _> = (0..AFTER)
        .zip(append(&log, &mut sequencer, 0..AFTER))
        .map(|(number, place)| {
            assert_eq!(place.index.0, number as u64, "{context}");
            assert_eq!(place.already, place.index.0 < size, "{context}");
            (numbered::entry(number), place)
        })
        .collect();
    check(world, &log, &places);
    assert!(!world.state().objects.keys().any(|object| object.to_string().starts_with("staged")));
    size
}

#[test]
fn a_write_that_fails_loses_nothing_that_was_acknowledged() {
    let mut sizes = Vec::new();
    for write in 0..writes_of_a_batch() {
        for fault in [Fault::Lost, Fault::Stored] {
            let context = format!("write {write} {fault:?}");
            let world = world_before();
            let acknowledged = fail_at(&world, write, fault);
            let size = recovered(&world, &context);
            assert!(acknowledged.is_empty() || size == AFTER as u64, "{context}");
            sizes.push((context, size));
        }
    }
    // The commit is one write: before it nothing, after it everything.
    let (before, after) = sizes.split_at(3);
    assert_eq!(before.iter().map(|(_, size)| *size).collect::<Vec<_>>(), [300, 300, 300]);
    assert_eq!(after[0].0, "write 1 Stored", "the swap of the lock");
    assert!(after.iter().all(|(_, size)| *size == AFTER as u64), "{after:?}");
}

#[test]
fn a_recovery_that_fails_is_recovered_from() {
    for write in 1..writes_of_a_batch() {
        for fault in [Fault::Lost, Fault::Stored] {
            for again in 0.. {
                let world = world_before();
                fail_at(&world, write, fault);
                world.revive();
                world.fail_after(again, if again % 2 == 0 { Fault::Lost } else { Fault::Stored });
                let opened = open(&world).is_ok();
                let reached = world.revive();
                recovered(&world, &format!("write {write} {fault:?}, then {again}"));
                if !reached {
                    assert!(opened);
                    break;
                }
            }
        }
    }
}

#[test]
fn the_creation_of_a_log_is_recovered_from() {
    use crate::world::{new_index, parts};
    use tlog::{Form, Log, OpenError};
    for write in 0..2 {
        for fault in [Fault::Lost, Fault::Stored] {
            let world = World::new();
            let parts = parts(&world, &new_index());
            world.fail_after(write, fault);
            assert!(matches!(Log::create(Form::Entries, &parts), Err(OpenError::Storage(_))));
            world.revive();
            match open(&world) {
                Ok((log, _)) => assert_eq!(log.checkpoint().checkpoint.size, TreeSize(0)),
                Err(OpenError::NotCreated) => {
                    assert_eq!((write, fault), (0, Fault::Lost));
                    Log::create(Form::Entries, &parts).unwrap();
                }
                Err(other) => panic!("{other}"),
            }
            assert!(matches!(
                Log::create(Form::Entries, &parts),
                Err(OpenError::AlreadyCreated { size: TreeSize(0) })
            ));
            let (log, mut sequencer) = open(&world).unwrap();
            append(&log, &mut sequencer, 0..3);
            check(&world, &log, &HashMap::new());
        }
    }
}

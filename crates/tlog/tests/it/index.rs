//! The index: found again, rebuilt when lost, old or foreign, and never believed.

use std::sync::Arc;

use evidence::{LeafIndex, TreeSize};
use tlog::index::IndexError;
use tlog::{Config, Form, Index, Log, ReadError, SearchKey, Sequencer, Stop, StorageError};

use crate::world::{World, append, leaf, new_index, parts};

fn open_with(world: &Arc<World>, index: &Arc<Index>) -> (Log, Sequencer) {
    Log::open_stepped(Config::new(Form::Entries), parts(world, index)).unwrap()
}

fn numbers(found: Vec<LeafIndex>) -> Vec<u64> {
    found.into_iter().map(|index| index.0).collect()
}

/// A log of that many entries, each under the keys `all` and `tens-N`.
fn world_with_keys(size: usize, index: &Arc<Index>) -> Arc<World> {
    let world = World::new();
    Log::create(Form::Entries, &parts(&world, index)).unwrap();
    let (log, mut sequencer) = open_with(&world, index);
    for first in (0..size).step_by(64) {
        for number in first..size.min(first + 64) {
            let keys = [SearchKey::of("all"), SearchKey::of(&format!("tens-{}", number / 10))];
            drop(log.append(leaf(number).with_keys(keys).unwrap()).unwrap());
        }
        sequencer.step().unwrap();
    }
    world
}

/// The log answers as if the index had always been there.
fn check_index(log: &Log, size: u64) {
    for number in 0..size {
        let found = log.find(&leaf(number as usize).identity()).unwrap();
        assert_eq!(found, Some(LeafIndex(number)));
    }
    assert_eq!(log.find(&[0; 32]).unwrap(), None);
    assert_eq!(
        numbers(log.search(SearchKey::of("tens-12"), 100).unwrap()),
        [129, 128, 127, 126, 125, 124, 123, 122, 121, 120]
    );
    let newest: Vec<_> = (size - 5..size).rev().collect();
    assert_eq!(numbers(log.search(SearchKey::of("all"), 5).unwrap()), newest);
    assert_eq!(log.search(SearchKey::of("all"), 100_000).unwrap().len() as u64, size);
    assert!(log.search(SearchKey::of("none"), 5).unwrap().is_empty());
}

#[test]
fn entries_are_found_by_identity_and_key() {
    let index = new_index();
    let world = world_with_keys(300, &index);
    let (log, mut sequencer) = open_with(&world, &index);
    assert!(
        matches!(
            log.search(SearchKey::of("all"), 1),
            Err(ReadError::IndexBehind { size: TreeSize(300), .. })
        ),
        "until the sequencer has compared it with the log it is not asked"
    );
    assert!(matches!(log.find(&[0; 32]), Err(ReadError::IndexBehind { .. })));
    sequencer.step().unwrap();
    check_index(&log, 300);
}

#[test]
fn a_lost_index_is_rebuilt_before_anything_is_appended() {
    let world = world_with_keys(600, &new_index());
    let (log, mut sequencer) = open_with(&world, &new_index());
    let again = append(&log, &mut sequencer, 0..600);
    assert!(again.iter().all(|place| place.already), "no entry was logged twice");
    assert_eq!(log.checkpoint().checkpoint.size, TreeSize(600));
    check_index(&log, 600);
}

#[test]
fn an_index_of_another_history_is_rebuilt() {
    // Longer than the log, as long, and shorter; of other entries.
    for size in [700, 600, 300] {
        let index = new_index();
        let other = World::new();
        Log::create(Form::Entries, &parts(&other, &index)).unwrap();
        let (log, mut sequencer) = open_with(&other, &index);
        append(&log, &mut sequencer, 10_000..10_000 + size);
        drop((log, sequencer));

        let world = world_with_keys(600, &new_index());
        let (log, mut sequencer) = open_with(&world, &index);
        sequencer.step().unwrap();
        check_index(&log, 600);
        assert_eq!(log.find(&leaf(10_000).identity()).unwrap(), None);
    }
}

#[test]
fn an_index_on_disk_is_brought_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index");
    let world = world_with_keys(200, &Arc::new(Index::open(&path).unwrap()));
    for size in [400, 400] {
        let (log, mut sequencer) = open_with(&world, &Arc::new(Index::open(&path).unwrap()));
        for number in 200..size {
            let keys = [SearchKey::of("all"), SearchKey::of(&format!("tens-{}", number / 10))];
            drop(log.append(leaf(number).with_keys(keys).unwrap()).unwrap());
        }
        sequencer.step().unwrap();
        check_index(&log, size as u64);
    }
}

#[test]
fn a_directory_that_cannot_be_one_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index");
    std::fs::write(&path, b"a file").unwrap();
    assert!(matches!(Index::open(&path), Err(IndexError::Storage(_))));
    assert_eq!(std::fs::read(&path).unwrap(), b"a file");
}

#[test]
fn an_index_is_held_by_one() {
    let directory = tempfile::tempdir().unwrap();
    let _first = Index::open(directory.path()).unwrap();
    assert!(matches!(
        Index::open(directory.path()),
        Err(IndexError::Storage(StorageError::InUse { .. }))
    ));
}

/// An index that claims to know a leaf earns no answer: the log is asked, and the log says no.
#[test]
fn an_index_that_lies_stops_the_log() {
    // The index of a log of other entries, which ends with the same leaf at the same place.
    let index = new_index();
    let other = World::new();
    Log::create(Form::Entries, &parts(&other, &index)).unwrap();
    let (log, mut sequencer) = open_with(&other, &index);
    append(&log, &mut sequencer, 1000..1009);
    append(&log, &mut sequencer, [9]);
    drop((log, sequencer));

    let world = World::new();
    Log::create(Form::Entries, &parts(&world, &new_index())).unwrap();
    let (log, mut sequencer) = open_with(&world, &new_index());
    append(&log, &mut sequencer, 0..10);
    drop((log, sequencer));

    let (log, mut sequencer) = open_with(&world, &index);
    sequencer.step().unwrap();
    assert!(matches!(
        log.find(&leaf(1003).identity()),
        Err(ReadError::Index(IndexError::Wrong { index: LeafIndex(3) }))
    ));
    let waiting = log.append(leaf(1003)).unwrap();
    let stop = sequencer.step().unwrap_err();
    assert!(matches!(*stop, Stop::Read(ReadError::Index(IndexError::Wrong { .. }))));
    assert!(waiting.wait().is_err(), "a promise for what was never logged");
}

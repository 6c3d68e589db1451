//! `kill -9` under concurrent writers, on a real file system, again and again: what was
//! acknowledged is there, and every checkpoint that was ever seen is of the same history.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crypto::merkle::{NodeHash, verify_consistency, verify_inclusion};
use crypto::{KeyPair, merkle};
use evidence::{LeafIndex, TreeSize, UnixTime};
use tlog::storage::posix::{LockFile, PosixObjects};
use tlog::{Config, Form, Index, Leaf, Log, NoteSigner, Parts};

use crate::world::{ORIGIN, key};

const CHILD: &str = "kill::child_that_appends_until_it_is_killed";
const DIRECTORY: &str = "TLOG_TEST_KILL";
const LIFE: &str = "TLOG_TEST_LIFE";

const LIVES: usize = 50;
const WRITERS: usize = 4;

fn open(directory: &Path, life: usize) -> Log {
    // Time goes on from life to life, and within one with every look at it.
    let ticks = AtomicI64::new(0);
    let start = 1_700_000_000_000 + 1_000_000 * life as i64;
    let signer = KeyPair::read(&directory.join("key")).unwrap();
    let parts = Parts {
        objects: Arc::new(PosixObjects::open(&directory.join("data")).unwrap()),
        lock: Arc::new(LockFile::open(&directory.join("lock")).unwrap().slot("log")),
        signer: Arc::new(NoteSigner::new(ORIGIN, ORIGIN, Arc::new(signer)).unwrap()),
        index: Arc::new(Index::open(&directory.join("index")).unwrap()),
        clock: Arc::new(move || {
            UnixTime::from_milliseconds(start + ticks.fetch_add(1, Ordering::Relaxed))
        }),
    };
    if life == 0 {
        Log::create(Form::Entries, &parts).unwrap();
    }
    let config =
        Config { interval: Duration::ZERO, batch_entries: 1, ..Config::new(Form::Entries) };
    Log::open(config, parts).unwrap()
}

fn entry(life: usize, writer: usize, number: usize) -> Vec<u8> {
    format!("{life} {writer} {number} {}", ".".repeat(number * 31 % 400)).into_bytes()
}

/// Lives of the log, each killed after another number of answers; a fixed row of numbers, but
/// where exactly the kill strikes is up to the machine.
#[test]
fn what_was_acknowledged_survives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    key().write_new(&directory.path().join("key")).unwrap();
    let mut acknowledged = HashMap::new();
    let mut seen: HashMap<u64, NodeHash> = HashMap::new();
    for life in 0..LIVES {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([CHILD, "--exact", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .env(LIFE, life.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers_max = life * 37 % 97 + life * life % 13 + 1;
        let mut answers = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            // What was on its way when the kill struck is read as well: it was said.
            match *line.split_whitespace().collect::<Vec<_>>() {
                ["answer", writer, number, index] => {
                    let (writer, number) = (writer.parse().unwrap(), number.parse().unwrap());
                    let index: u64 = index.parse().unwrap();
                    let other = acknowledged.insert(index, entry(life, writer, number));
                    assert_eq!(other, None, "index {index} was given twice");
                    answers += 1;
                    if answers == answers_max {
                        child.kill().unwrap();
                    }
                }
                ["checkpoint", size, root] => {
                    let root = hex::decode(root).unwrap().try_into().unwrap();
                    let known = *seen.entry(size.parse().unwrap()).or_insert(root);
                    assert_eq!(known, root, "two trees of {size} entries");
                }
                _ => {}
            }
        }
        assert!(answers >= answers_max, "life {life} ended by itself after {answers} answers");
        child.wait().unwrap();
    }

    let log = open(directory.path(), LIVES);
    let checkpoint = log.checkpoint().checkpoint.clone();
    let size = checkpoint.size;
    for (index, entry) in &acknowledged {
        let read = log.entry(LeafIndex(*index)).unwrap();
        assert_eq!(read.bytes, *entry, "index {index}");
        let proof = log.inclusion_proof(LeafIndex(*index), size).unwrap();
        let leaf_hash = merkle::leaf_hash(entry);
        verify_inclusion(&leaf_hash, *index, size.0, &proof, &checkpoint.root).unwrap();
        let again = log.append(Leaf::entry(entry.clone()).unwrap()).unwrap().wait().unwrap();
        assert_eq!((again.index.0, again.already), (*index, true));
    }
    for (older, root) in &seen {
        let proof = log.consistency_proof(TreeSize(*older), size).unwrap();
        verify_consistency(*older, size.0, &proof, root, &checkpoint.root).unwrap();
    }
    assert!(acknowledged.len() >= LIVES && seen.len() >= LIVES);
    assert_eq!(log.checkpoint().checkpoint.size, size, "all of them were there already");
    log.stop();
}

/// The other process of the test above; on its own it has nothing to do.
#[test]
fn child_that_appends_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let life = std::env::var(LIFE).unwrap().parse().unwrap();
    let log = open(Path::new(&directory), life);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let log = &log;
            scope.spawn(move || {
                for number in 0.. {
                    let leaf = Leaf::entry(entry(life, writer, number)).unwrap();
                    let place = log.append(leaf).unwrap().wait().unwrap();
                    println!("answer {writer} {number} {}", place.index);
                    let checkpoint = &log.checkpoint().checkpoint;
                    println!("checkpoint {} {}", checkpoint.size, hex::encode(checkpoint.root));
                }
            });
        }
    });
}

//! Both promises on a real file system.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use evidence::{LeafIndex, TreeSize};
use tlog::storage::Discard;
use tlog::storage::posix::{LockFile, PosixObjects};
use tlog::{Config, Form, Index, Lock, Log, Object, Objects, OpenError, Parts, StorageError};

use testkit::merkle;

use crate::numbered;
use crate::world::{World, leaf, signer};

const CHILD: &str = "posix::child_that_can_start_no_thread";
const IS_CHILD: &str = "TLOG_TEST_NO_THREAD";

fn tile(path: &str) -> Object {
    Object::Tile(path.parse().unwrap())
}

#[test]
fn objects_are_written_once() {
    let directory = tempfile::tempdir().unwrap();
    let objects = PosixObjects::open(&directory.path().join("a/b")).unwrap();
    let object = tile("tile/0/x001/234.p/7");
    assert_eq!(objects.get(object, 100).unwrap(), None);
    objects.put(object, b"seven").unwrap();
    objects.put(object, b"seven").unwrap();
    for other in [&b"eight"[..], b"seve", b"seven7", b""] {
        assert!(
            matches!(
                objects.put(object, other),
                Err(StorageError::Conflict { object: found }) if found == object
            ) || other.len() < 5,
        );
        assert!(objects.put(object, other).is_err());
    }
    assert_eq!(objects.get(object, 5).unwrap().unwrap(), b"seven");
    assert!(matches!(
        objects.get(object, 4),
        Err(StorageError::TooLong { found: 5, size_max: 4, .. })
    ));
    let path = directory.path().join("a/b/tile/0/x001/234.p/7");
    assert_eq!(fs::read(path).unwrap(), b"seven");

    let several = [
        (tile("tile/0/x001/234"), b"full".to_vec()),
        (tile("tile/entries/x001/234"), b"entries".to_vec()),
        (object, b"seven".to_vec()),
    ];
    objects.put_all(&several).unwrap();
    for (object, bytes) in &several {
        assert_eq!(objects.get(*object, 100).unwrap().as_ref(), Some(bytes));
    }
    let conflict = [(tile("tile/1/000"), vec![]), (object, b"other".to_vec())];
    assert!(matches!(objects.put_all(&conflict), Err(StorageError::Conflict { .. })));
}

#[test]
fn the_checkpoint_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let objects = PosixObjects::open(directory.path()).unwrap();
    for note in [&b"one"[..], b"two, longer", b"3"] {
        objects.publish(note).unwrap();
        assert_eq!(objects.get(Object::Checkpoint, 100).unwrap().unwrap(), note);
    }
}

#[test]
fn what_is_discarded_is_gone_and_the_rest_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let objects = PosixObjects::open(directory.path()).unwrap();
    let staged = |size| Object::Staged { size: TreeSize(size), root: [7; 32] };
    let full: tlog::Tile = "tile/0/001".parse().unwrap();
    for discard in [Discard::Staged, Discard::Partials(full)] {
        objects.discard(discard).unwrap();
    }
    let kept = [Object::Tile(full), tile("tile/0/002.p/3"), tile("tile/entries/001.p/3")];
    let gone = [tile("tile/0/001.p/3"), tile("tile/0/001.p/200"), staged(1), staged(2)];
    for object in kept.into_iter().chain(gone) {
        objects.put(object, b"bytes").unwrap();
    }
    objects.discard(Discard::Staged).unwrap();
    objects.discard(Discard::Partials(full)).unwrap();
    for object in gone {
        assert_eq!(objects.get(object, 100).unwrap(), None, "{object}");
    }
    for object in kept {
        assert!(objects.get(object, 100).unwrap().is_some(), "{object}");
    }
    // Directories that went away come back.
    for object in gone {
        objects.put(object, b"other").unwrap();
    }
}

#[test]
fn half_written_files_of_a_killed_process_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    drop(PosixObjects::open(directory.path()).unwrap());
    let leftover = directory.path().join("tmp/0");
    fs::write(&leftover, b"half").unwrap();
    let objects = PosixObjects::open(directory.path()).unwrap();
    assert!(!leftover.exists());
    objects.put(tile("tile/0/000"), b"bytes").unwrap();
    assert_eq!(fs::read_dir(directory.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_directory_and_a_lock_are_held_by_one() {
    let directory = tempfile::tempdir().unwrap();
    let lock = directory.path().join("lock");
    let first = (PosixObjects::open(directory.path()).unwrap(), LockFile::open(&lock).unwrap());
    let second = PosixObjects::open(directory.path());
    assert!(matches!(second, Err(StorageError::InUse { .. })));
    assert!(matches!(LockFile::open(&lock), Err(StorageError::InUse { .. })));
    drop(first);
    assert!(PosixObjects::open(directory.path()).is_ok());
    assert!(LockFile::open(&lock).is_ok());
}

#[test]
fn the_lock_swaps_what_is_expected() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("elsewhere/lock");
    let file = LockFile::open(&path).unwrap();
    let (one, two) = (file.slot("one"), file.slot("two"));
    assert_eq!(one.read().unwrap(), None);
    let is_swapped = |outcome| matches!(outcome, Err(StorageError::Swapped { .. }));
    assert!(is_swapped(one.swap(Some(b"something"), b"a")));
    one.swap(None, b"a\nb\n\nslot two 1\nx").unwrap();
    assert!(is_swapped(one.swap(None, b"c")));
    two.swap(None, b"").unwrap();
    assert!(is_swapped(two.swap(None, b"d")), "empty is not absent");
    two.swap(Some(b""), b"d").unwrap();
    drop((one, two, file));
    let file = LockFile::open(&path).unwrap();
    assert_eq!(file.slot("one").read().unwrap().unwrap(), b"a\nb\n\nslot two 1\nx");
    assert_eq!(file.slot("two").read().unwrap().unwrap(), b"d");
    assert_eq!(file.slot("three").read().unwrap(), None);
}

/// A file that someone put in its place while the log runs is seen at the next swap.
#[test]
fn a_lock_file_changed_from_outside_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lock");
    let slot = LockFile::open(&path).unwrap().slot("one");
    slot.swap(None, b"a").unwrap();
    let older = fs::read(&path).unwrap();
    slot.swap(Some(b"a"), b"b").unwrap();
    fs::write(&path, older).unwrap();
    assert!(matches!(slot.swap(Some(b"b"), b"c"), Err(StorageError::Swapped { .. })));
}

#[test]
fn a_damaged_lock_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lock");
    let slot = LockFile::open(&path).unwrap().slot("one");
    slot.swap(None, b"a checkpoint").unwrap();
    let bytes = fs::read(&path).unwrap();
    let is_refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        matches!(slot.read(), Err(StorageError::DamagedLock { .. }))
            && matches!(slot.swap(None, b"x"), Err(StorageError::DamagedLock { .. }))
    };
    for at in 0..bytes.len() {
        assert!(is_refused(&bytes[..at]), "torn at {at}");
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(is_refused(&changed), "changed at {at}");
    }
    fs::write(&path, &bytes).unwrap();
    assert_eq!(slot.read().unwrap().unwrap(), b"a checkpoint");
}

fn posix_parts(directory: &Path) -> Parts {
    let world = World::new();
    Parts {
        objects: Arc::new(PosixObjects::open(&directory.join("data")).unwrap()),
        lock: Arc::new(LockFile::open(&directory.join("lock")).unwrap().slot("log")),
        signer: signer(),
        index: Arc::new(Index::open(&directory.join("index")).unwrap()),
        clock: Arc::new(move || {
            world.pass(1);
            world.now()
        }),
    }
}

#[test]
fn a_log_lives_in_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { interval: Duration::ZERO, ..Config::new(Form::Entries) };
    {
        let parts = posix_parts(directory.path());
        Log::create(Form::Entries, &parts).unwrap();
        let log = Log::open(config, parts).unwrap();
        let waiting: Vec<_> = (0..700).map(|number| log.append(leaf(number)).unwrap()).collect();
        for (index, waiting) in (0..).zip(waiting) {
            assert_eq!(waiting.wait().unwrap().index, LeafIndex(index));
        }
        log.stop();
    }
    let older = directory.path().join("older");
    copy_directory(&directory.path().join("data"), &older);
    {
        let parts = posix_parts(directory.path());
        // The clock of these tests begins anew; the log notices.
        assert!(matches!(Log::open(config, parts.clone()), Err(OpenError::ClockBehind { .. })));
        let parts =
            Parts { clock: Arc::new(|| evidence::UnixTime::from_seconds(2_000_000_000)), ..parts };
        let log = Log::open(config, parts).unwrap();
        assert_eq!(log.checkpoint().checkpoint.root, merkle::root(&numbered::hashes(700)));
        for index in 0..700 {
            assert_eq!(log.entry(LeafIndex(index)).unwrap().bytes, numbered::entry(index as usize));
        }
        assert!(log.append(leaf(3)).unwrap().wait().unwrap().already);
        assert_eq!(log.append(leaf(700)).unwrap().wait().unwrap().index, LeafIndex(700));
        log.stop();
    }
    // Yesterday's backup, and a lock that remembers.
    fs::remove_dir_all(directory.path().join("data")).unwrap();
    fs::rename(&older, directory.path().join("data")).unwrap();
    let parts = posix_parts(directory.path());
    assert!(matches!(
        Log::open(config, parts),
        Err(OpenError::StorageBehind { locked: TreeSize(701), stored: Some(TreeSize(700)) })
    ));
}

/// What a static file server would find: C2SP tlog-tiles, and no partial tile where a full one is.
#[test]
fn the_directory_is_in_the_form_of_the_specification() {
    let directory = tempfile::tempdir().unwrap();
    let parts = posix_parts(directory.path());
    Log::create(Form::Entries, &parts).unwrap();
    let (log, mut sequencer) = Log::open_stepped(Config::new(Form::Entries), parts).unwrap();
    for first in (0..600).step_by(100) {
        for number in first..first + 100 {
            drop(log.append(leaf(number)).unwrap());
        }
        sequencer.step().unwrap();
    }
    let mut files = Vec::new();
    list(&directory.path().join("data"), "", &mut files);
    files.sort();
    let expected = [
        ".held",
        "checkpoint",
        "side/000",
        "side/001",
        "side/002.p/88",
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/88",
        "tile/1/000.p/1",
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/88",
    ];
    assert_eq!(files, expected);
}

fn list(directory: &Path, prefix: &str, files: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            list(&entry.path(), &format!("{name}/"), files);
        } else {
            files.push(name);
        }
    }
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Where no thread can be had, files are synced one after the other.
#[test]
fn what_is_written_needs_no_threads() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([CHILD, "--exact", "--nocapture"])
        .env(IS_CHILD, "1")
        // A stack that no machine has room for.
        .env("RUST_MIN_STACK", (1_u64 << 60).to_string())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("all were written"), "{output:?}");
}

/// The other process of the test above; on its own it has nothing to do.
#[test]
fn child_that_can_start_no_thread() {
    if std::env::var_os(IS_CHILD).is_none() {
        return;
    }
    std::thread::Builder::new().spawn(|| ()).unwrap_err();
    let directory = tempfile::tempdir().unwrap();
    let objects = PosixObjects::open(directory.path()).unwrap();
    let tile = |number: usize| tile(&format!("tile/{}/{number:03}", number % 4));
    let several: Vec<_> = (0..40).map(|number| (tile(number), vec![7; number])).collect();
    objects.put_all(&several).unwrap();
    for (object, bytes) in several {
        assert_eq!(objects.get(object, 100).unwrap(), Some(bytes));
    }
    let other = [(tile(0), vec![]), (tile(39), vec![8; 39])];
    assert!(matches!(objects.put_all(&other), Err(StorageError::Conflict { .. })));
    println!("all were written");
}

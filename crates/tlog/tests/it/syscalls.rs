//! What the log asks of the kernel, seen and disturbed by `strace`: nothing gets its name before
//! its bytes are synced, nothing builds on a name before its directory is; and a kill or an error
//! at any of these calls is survived. Skipped, with a word, where `strace` cannot be used.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use crypto::KeyPair;
use evidence::{TreeSize, UnixTime};
use tlog::storage::posix::{LockFile, PosixObjects};
use tlog::{Config, Form, Index, Log, NoteSigner, Parts, Sequencer};

use testkit::merkle;

use crate::numbered;
use crate::world::{ORIGIN, key, leaf};

const CHILD: &str = "syscalls::child_that_is_traced";
const DIRECTORY: &str = "TLOG_TEST_TRACE";

/// A batch that fills a tile, and one that does not.
const BATCHES: [std::ops::Range<usize>; 2] = [0..260, 260..270];

fn open(directory: &Path) -> (Log, Sequencer) {
    let signer = Arc::new(KeyPair::read(&directory.join("key")).unwrap());
    let parts = Parts {
        objects: Arc::new(PosixObjects::open(&directory.join("data")).unwrap()),
        lock: Arc::new(LockFile::open(&directory.join("guard/lock")).unwrap().slot("log")),
        signer: Arc::new(NoteSigner::new(ORIGIN, ORIGIN, signer).unwrap()),
        index: Arc::new(Index::in_memory()),
        clock: Arc::new(|| UnixTime::from_seconds(1_700_000_000)),
    };
    match Log::open_stepped(Config::new(Form::Entries), parts.clone()) {
        Err(tlog::OpenError::NotCreated) => {
            Log::create(Form::Entries, &parts).unwrap();
            Log::open_stepped(Config::new(Form::Entries), parts).unwrap()
        }
        opened => opened.unwrap(),
    }
}

/// The other process of the tests below; on its own it has nothing to do.
#[test]
fn child_that_is_traced() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let (log, mut sequencer) = open(Path::new(&directory));
    for batch in BATCHES {
        let waiting: Vec<_> =
            batch.clone().map(|number| log.append(leaf(number)).unwrap()).collect();
        let stopped = sequencer.step().is_err();
        let answered = waiting.into_iter().filter_map(|waiting| waiting.wait().ok()).count();
        assert_eq!(answered, if stopped { 0 } else { batch.len() });
        if stopped {
            println!("stopped");
            return;
        }
        println!("answered {}", batch.end);
    }
}

/// A new place, with a key for the log in it.
fn place() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    key().write_new(&directory.path().join("key")).unwrap();
    directory
}

fn trace(directory: &Path, options: &[&str]) -> Output {
    Command::new("strace")
        .args(["-f", "-y", "-s", "400", "-o"])
        .arg(directory.join("trace"))
        .args(options)
        .arg(std::env::current_exe().unwrap())
        .args([CHILD, "--exact", "--nocapture"])
        .env(DIRECTORY, directory)
        .output()
        .unwrap()
}

fn can_trace() -> bool {
    let tried = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    let can = tried.is_ok_and(|output| output.status.success());
    if !can {
        testkit::tools::skip_without("strace");
    }
    can
}

/// A call that ended well: its name, and the rest of its line.
fn calls(trace: &str) -> Vec<(String, String)> {
    let mut unfinished: HashMap<&str, &str> = HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let (thread, line) = line.split_once(' ').unwrap();
        let line = line.trim_start();
        let whole = if let Some(begun) = line.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, begun);
            continue;
        } else if line.starts_with("<... ") {
            let (_, end) = line.split_once("resumed>").unwrap();
            format!("{}{end}", unfinished.remove(thread).unwrap_or_default())
        } else {
            line.to_owned()
        };
        if let Some((name, rest)) = whole.split_once('(')
            && !rest.contains(" = -1 ")
        {
            calls.push((name.to_owned(), rest.to_owned()));
        }
    }
    calls
}

/// The path that `strace -y` shows for the first file descriptor.
fn descriptor(rest: &str) -> &str {
    rest.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path)
}

/// The two paths of a call that has two.
fn quoted(rest: &str) -> (&str, &str) {
    let parts: Vec<_> = rest.split('"').collect();
    (parts[1], parts[3])
}

fn parent(path: &str) -> String {
    Path::new(path).parent().unwrap().to_str().unwrap().to_owned()
}

/// What a name is for, of those that matter here.
fn purpose(name: &str) -> Option<&'static str> {
    if name.contains("/data/staged/") {
        Some("stage")
    } else if name.ends_with("/guard/lock") {
        Some("commit")
    } else if name.contains("/data/tile/") || name.contains("/data/side/") {
        Some("tiles")
    } else if name.ends_with("/data/checkpoint") {
        Some("publish")
    } else {
        None
    }
}

#[test]
fn bytes_are_synced_before_names_and_names_before_what_follows() {
    if !can_trace() {
        return;
    }
    let directory = place();
    let names = "trace=fsync,write,link,linkat,rename,renameat,renameat2,mkdir,mkdirat";
    let output = trace(directory.path(), &["-e", names]);
    assert!(output.status.success(), "{output:?}");
    let trace = std::fs::read_to_string(directory.path().join("trace")).unwrap();

    let mut unsynced_files = HashSet::new();
    let mut unsynced_directories = BTreeSet::new();
    let mut steps: Vec<&str> = Vec::new();
    for (name, rest) in calls(&trace) {
        match name.as_str() {
            "write" if rest.contains("\"answered ") => {
                assert!(
                    unsynced_directories.is_empty(),
                    "answered before {unsynced_directories:?}"
                );
                steps.push("answer");
            }
            "write" => drop(unsynced_files.insert(descriptor(&rest).to_owned())),
            "fsync" => {
                unsynced_files.remove(descriptor(&rest));
                unsynced_directories.remove(descriptor(&rest));
            }
            "mkdir" | "mkdirat" => {
                let path = rest.split('"').nth(1).unwrap();
                if path.contains("/data/") && !path.ends_with("/tmp") {
                    unsynced_directories.insert(parent(path));
                }
            }
            _ => {
                let (from, to) = quoted(&rest);
                let Some(purpose) = purpose(to) else { continue };
                assert!(!unsynced_files.contains(from), "{to} got its name before its bytes");
                if steps.last() != Some(&purpose) {
                    assert!(
                        unsynced_directories.is_empty(),
                        "{to} before {unsynced_directories:?} was durable"
                    );
                    steps.push(purpose);
                }
                unsynced_directories.insert(parent(to));
            }
        }
    }
    let batch = ["stage", "commit", "tiles", "publish", "answer"];
    let created = ["commit", "publish"];
    assert_eq!(steps, [&created[..], &batch, &batch].concat());
}

/// Opens the log after whatever happened, asks for all entries, and compares with the naive tree.
fn check(directory: &Path, answered: usize, context: &str) {
    let (log, mut sequencer) = open(directory);
    assert!(log.checkpoint().checkpoint.size.0 >= answered as u64, "{context}");
    let count = BATCHES[1].end;
    let waiting: Vec<_> = (0..count).map(|number| log.append(leaf(number)).unwrap()).collect();
    sequencer.step().unwrap();
    for (number, waiting) in (0..).zip(waiting) {
        let place = waiting.wait().unwrap();
        assert_eq!(place.index.0, number, "{context}");
        assert!(place.already || number >= answered as u64, "{context}: {number} was lost");
        let entry = log.entry(place.index).unwrap();
        assert_eq!(entry.bytes, numbered::entry(number as usize), "{context}");
    }
    let checkpoint = &log.checkpoint().checkpoint;
    assert_eq!(checkpoint.size, TreeSize(count as u64));
    assert_eq!(checkpoint.root, merkle::root(&numbered::hashes(count)), "{context}");
}

/// Runs the child with one call disturbed, the first, the second, and so on, until it goes
/// through undisturbed. Returns how often it did not.
fn disturb(call: &str, how: &str) -> usize {
    for when in 1.. {
        let directory = place();
        let inject = format!("inject={call}:{how}:when={when}");
        let output = trace(directory.path(), &["-e", &format!("trace={call}"), "-e", &inject]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let answers = said.lines().filter_map(|line| line.split_once("answered "));
        let answered = answers.map(|(_, count)| count.parse().unwrap()).max().unwrap_or(0);
        check(directory.path(), answered, &format!("{inject}: {said}"));
        if answered == BATCHES[1].end {
            return when - 1;
        }
    }
    unreachable!("it goes through in the end")
}

#[test]
fn a_kill_at_any_call_is_survived() {
    if !can_trace() {
        return;
    }
    for (call, times_min) in [("fsync", 20), ("linkat", 10), ("rename", 6), ("mkdir", 8)] {
        let times = disturb(call, "signal=SIGKILL");
        assert!(times >= times_min, "{call} was disturbed {times} times only");
    }
}

#[test]
fn an_error_of_any_call_stops_the_log_and_is_survived() {
    if !can_trace() {
        return;
    }
    for (call, error, times_min) in [
        ("fsync", "EIO", 20),
        ("linkat", "ENOSPC", 10),
        ("rename", "EIO", 6),
        ("mkdir", "ENOSPC", 8),
    ] {
        let times = disturb(call, &format!("error={error}"));
        assert!(times >= times_min, "{call} failed {times} times only");
    }
}

//! A panic while sequencing ends the process. Tried in a process of its own: this one, once more.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tlog::{Config, Form, Log};

use crate::world::{World, leaf, new_index, parts};

const CHILD: &str = "abort::child_that_panics_while_sequencing";
const IS_CHILD: &str = "TLOG_TEST_ABORT";
const SIGABRT: i32 = 6;

#[test]
fn a_panic_while_sequencing_aborts_the_process() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([CHILD, "--exact", "--nocapture"])
        .env(IS_CHILD, "1")
        .output()
        .unwrap();
    assert_eq!(output.status.signal(), Some(SIGABRT), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("the clock fell off the wall"));
    // Neither a place in the log nor that someone asked it to stop.
    assert!(!String::from_utf8_lossy(&output.stdout).contains("was answered"), "{output:?}");
}

/// The other process of the test above; on its own it has nothing to do.
#[test]
fn child_that_panics_while_sequencing() {
    if std::env::var_os(IS_CHILD).is_none() {
        return;
    }
    let world = World::new();
    let mut parts = parts(&world, &new_index());
    Log::create(Form::Entries, &parts).unwrap();
    let asked = AtomicUsize::new(0);
    parts.clock = Arc::new(move || {
        assert_eq!(asked.fetch_add(1, Ordering::Relaxed), 0, "the clock fell off the wall");
        world.now()
    });
    let log = Log::open(Config::new(Form::Entries), parts).unwrap();
    let answer = log.append(leaf(0)).unwrap().wait();
    println!("was answered {answer:?}");
}

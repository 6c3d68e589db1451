//! Runs the program, waits for what it says, and ends it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

/// A server that has said where it is. Dropping it ends it.
pub(crate) struct Server {
    child: Child,
    /// The URL after `ready at`.
    pub(crate) url: String,
}

/// The program with these arguments, in an environment of its own.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.env_clear().args(arguments).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// Runs it to its end, which must be a good one.
pub(crate) fn run_well(arguments: &[&str]) {
    let output = run(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

impl Server {
    /// Starts a server and waits until it is ready.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let url = loop {
            let Some(Ok(line)) = lines.next() else { panic!("never ready:\n{said}") };
            if let Some((_, url)) = line.split_once("ready at ") {
                break url.trim().to_owned();
            }
            said += &format!("{line}\n");
        };
        // A pipe that nobody reads would stop the server when it is full.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url }
    }
}

impl Server {
    /// Its process.
    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

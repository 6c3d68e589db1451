//! Other programs: run to their end within a deadline, or kept running until dropped.
//!
//! Output goes through files, so that no program waits for a reader, and only its end is kept in
//! memory.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longest time one client may take. The slowest, a Python start with signing, takes about 2 s.
const DEADLINE: Duration = Duration::from_secs(60);

/// How much of a program's output is kept for a report.
const OUTPUT_SIZE_MAX: u64 = 64 * 1024;

/// How many of its last lines a report shows.
const REPORT_LINES: usize = 12;

/// How often a running program is looked at.
const GLANCE: Duration = Duration::from_millis(10);

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its name and arguments, for a report; secrets are not among the arguments shown.
    pub(crate) command: String,
    /// How it ended; `None` when it had to be killed at the deadline.
    pub(crate) status: Option<ExitStatus>,
    /// The end of its standard output.
    pub(crate) stdout: String,
    /// The end of its standard error.
    pub(crate) stderr: String,
}

impl Finished {
    /// Whether it ended by itself with status 0.
    pub(crate) fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// The exit status, where there is one.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.and_then(|status| status.code())
    }

    /// What happened, for a person.
    pub(crate) fn report(&self) -> String {
        let ended = match self.status {
            None => format!("did not end within {} s and was killed", DEADLINE.as_secs()),
            Some(status) => format!("ended with {status}"),
        };
        let mut report = format!("{} {ended}", self.command);
        // Complaints stand on standard error; the other is told where there are none.
        let (name, text) = match self.stderr.trim().is_empty() {
            true => ("stdout", &self.stdout),
            false => ("stderr", &self.stderr),
        };
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        for line in &lines[lines.len().saturating_sub(REPORT_LINES)..] {
            report.push_str(&format!("\n{name}: {line}"));
        }
        report
    }
}

/// Runs a program to its end; `scratch` takes its output.
pub(crate) fn run(scratch: &Path, command: &mut Command) -> io::Result<Finished> {
    let shown = shown(command);
    let out = tempfile::NamedTempFile::new_in(scratch)?;
    let err = tempfile::NamedTempFile::new_in(scratch)?;
    command.stdin(Stdio::null()).stdout(out.reopen()?).stderr(err.reopen()?);
    let mut child = command
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("{shown}: {error}")))?;
    let start = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if start.elapsed() > DEADLINE => {
                child.kill()?;
                child.wait()?;
                break None;
            }
            None => std::thread::sleep(GLANCE),
        }
    };
    Ok(Finished {
        command: shown,
        status,
        stdout: end_of(out.path())?,
        stderr: end_of(err.path())?,
    })
}

/// A program that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a program; its output goes to `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> io::Result<Self> {
        let file = File::create(log)?;
        let child =
            command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn().map_err(
                |error| io::Error::new(error.kind(), format!("{}: {error}", shown(command))),
            )?;
        Ok(Self { child, log: log.to_path_buf() })
    }

    /// Waits until `ready` holds; fails when the program ends before, or at the deadline.
    pub(crate) fn wait_until(&mut self, ready: impl Fn() -> bool) -> io::Result<()> {
        let start = Instant::now();
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                let log = end_of(&self.log)?;
                return Err(io::Error::other(format!("ended with {status} at its start\n{log}")));
            }
            if start.elapsed() > DEADLINE {
                let log = end_of(&self.log)?;
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("never ready\n{log}")));
            }
            std::thread::sleep(GLANCE);
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command as a person would type it, with tokens and passwords left out.
fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut words = vec![name.to_string_lossy().into_owned()];
    let mut secret = false;
    for argument in command.get_args().map(OsStr::to_string_lossy) {
        let hide = std::mem::replace(
            &mut secret,
            ["--token", "--identity-token", "--password", "-Bbn"].contains(&&*argument),
        );
        words.push(if hide { "…".to_owned() } else { argument.into_owned() });
    }
    words.join(" ")
}

/// The last part of a file, as text.
fn end_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let size = fs::metadata(path)?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(OUTPUT_SIZE_MAX)))?;
    let mut bytes = Vec::new();
    file.take(OUTPUT_SIZE_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Finished {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        run(scratch.path(), Command::new("sh").args(["-c", script])).expect("a shell")
    }

    #[test]
    fn how_a_program_ended_is_told_with_the_end_of_what_it_said() {
        let finished = shell("echo fine; echo why >&2; exit 3");
        assert!(!finished.succeeded());
        assert_eq!(finished.code(), Some(3));
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("fine\n", "why\n"));
        assert!(finished.report().contains("stderr: why"), "{}", finished.report());
        let long =
            shell("i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done; echo end");
        assert!(long.stdout.len() as u64 <= OUTPUT_SIZE_MAX && long.stdout.ends_with("end\n"));
    }

    #[test]
    fn tokens_and_passwords_are_not_shown() {
        let mut command = Command::new("/bin/client");
        command.args(["sign", "--identity-token", "secret", "--token", "secret", "-Bbn", "me"]);
        assert_eq!(shown(&command), "client sign --identity-token … --token … -Bbn …");
    }

    #[test]
    fn a_running_program_ends_when_it_is_dropped() {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let log = scratch.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$; exec sleep 600"]);
        let mut running = Running::start(&mut command, &log).expect("a shell");
        running.wait_until(|| end_of(&log).is_ok_and(|said| said.ends_with('\n'))).expect("ready");
        let process = PathBuf::from("/proc").join(end_of(&log).expect("a number").trim());
        assert!(process.exists());
        drop(running);
        assert!(!process.exists());
    }

    #[test]
    fn a_program_that_ends_before_it_is_ready_is_told_with_what_it_said() {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such port; exit 4"]);
        let mut running =
            Running::start(&mut command, &scratch.path().join("log")).expect("a shell");
        let error = running.wait_until(|| false).expect_err("it ended");
        assert!(error.to_string().contains("no such port"), "{error}");
    }
}

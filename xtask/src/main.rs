//! `cargo run -p xtask -- tidy`, `… interop`, `… load` and `… measure`: run one of the project's own checks and
//! report what it found.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use xtask::interop::Selection;
use xtask::load::{CONNECTIONS_MAX, Load, SECONDS_MAX, TABLE_HEAD};
use xtask::measure::RUNS_MAX;

const USAGE: &str = "\
usage: cargo run -p xtask -- tidy
       cargo run -p xtask -- interop [all|python|javascript|registry|referrers|openssl|tuf|cosign]
       cargo run --release -p xtask -- load [SECONDS [CONNECTIONS]]
       cargo run --release -p xtask -- measure [RUNS] [-- VERIFY-BLOB-ARGUMENTS...]

  tidy     the house's invariants
  interop  real clients against a running instance: those that are installed; `all` and a
           client's name fail where one is absent. xtask/interop/install installs them.
  load     entries, certificates and timestamps a second that an instance on this machine takes,
           for SECONDS each (10) from CONNECTIONS at once (256)
  measure  from process start to verdict, peak memory, requests and the binary's size; each
           command runs RUNS times (200). After `--`, what to measure beside it: evidence that
           is there already";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["tidy"] => tidy(),
        ["interop"] => interop(None),
        ["interop", which] => interop(Some(which)),
        ["load", numbers @ ..] => load(numbers),
        ["measure", rest @ ..] => measure(rest),
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

/// Runs the clients of others against an instance of the workspace's binary.
fn interop(which: Option<&str>) -> ExitCode {
    let Some(selection) = Selection::parse(which) else { return usage() };
    match xtask::interop::run(&workspace(), &selection) {
        Ok(outcome) if outcome.failed == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("interop could not start: {error}");
            ExitCode::from(2)
        }
    }
}

/// Loads an instance and prints the figures.
fn load(numbers: &[&str]) -> ExitCode {
    let number = |at: usize, usual: u64| match numbers.get(at) {
        None => Some(usual),
        Some(text) => text.parse().ok(),
    };
    let (Some(seconds @ 1..=SECONDS_MAX), Some(connections), true) =
        (number(0, 10), number(1, 256), numbers.len() <= 2)
    else {
        return usage();
    };
    let connections = usize::try_from(connections).unwrap_or(usize::MAX);
    if !(1..=CONNECTIONS_MAX).contains(&connections) {
        return usage();
    }
    println!("{TABLE_HEAD}");
    let load = Load { seconds, connections };
    match xtask::load::run(&workspace(), load, |figures| println!("{figures}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::from(2)
        }
    }
}

/// Measures one command and prints the figures.
fn measure(words: &[&str]) -> ExitCode {
    let at = words.iter().position(|word| *word == "--").unwrap_or(words.len());
    let given: Vec<_> = words.iter().skip(at + 1).map(|&word| word.to_owned()).collect();
    let runs = match words[..at] {
        [] => Some(200),
        [runs] => runs.parse().ok(),
        _ => None,
    };
    let Some(runs @ 1..=RUNS_MAX) = runs else { return usage() };
    match xtask::measure::run(&workspace(), runs, &given) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("measure: {error}");
            ExitCode::from(2)
        }
    }
}

/// The workspace this program was built in.
fn workspace() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap_or(root)
}

/// Judges the workspace.
fn tidy() -> ExitCode {
    match xtask::tidy::check(&workspace()) {
        Err(error) => {
            eprintln!("tidy could not look: {error}");
            ExitCode::from(2)
        }
        Ok(report) => {
            for (path, lines) in &report.long_files {
                println!("note: {path} has {lines} lines: is it still one thought?");
            }
            for violation in &report.violations {
                println!("{violation}");
            }
            match report.violations.len() {
                0 => {
                    println!("tidy: {} files of {} crates", report.files, report.crates);
                    ExitCode::SUCCESS
                }
                count => {
                    println!("tidy: {count} violations");
                    ExitCode::FAILURE
                }
            }
        }
    }
}

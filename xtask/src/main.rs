//! `cargo run -p xtask -- tidy`: runs one of the project's own checks and reports what it found.

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: cargo run -p xtask -- tidy";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["tidy"] => tidy(),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Checks the workspace this program was built in.
fn tidy() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    match xtask::tidy::check(&root) {
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

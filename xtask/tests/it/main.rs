//! The judges judged: each rule catches its violation, and the real workspace has none.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod form;
mod graph;
mod modules;
mod reach;
mod workspace;

use xtask::tidy::Violation;
use xtask::tidy::source::{Place, Source};

/// A file of `package` below `src/`.
fn product(package: &str, path: &str, text: &str) -> Source {
    let path = format!("crates/{package}/src/{path}");
    Source::parse(package, &path, Place::Product, text.to_owned()).unwrap()
}

/// What was caught, as `line rule`, in the order of the rules.
fn caught(violations: &[Violation]) -> Vec<String> {
    violations.iter().map(|found| format!("{} {}", found.line, found.rule)).collect()
}

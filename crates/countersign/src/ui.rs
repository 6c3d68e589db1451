//! What is printed: results on standard output, everything else on standard error.

pub(crate) mod admit;
pub(crate) mod demo;
pub(crate) mod logging;
pub(crate) mod serve;
pub(crate) mod sign;
pub(crate) mod verdict;

use anstream::eprintln;
use anstyle::{AnsiColor, Style};

use clap::ValueEnum;

use crate::exit::Failure;

const BAD: Style = AnsiColor::Red.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const UNSURE: Style = AnsiColor::Yellow.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// In which form results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs: one JSON document with a versioned schema.
    Json,
}

/// Prints why a command ended, and what can be done about it.
pub(crate) fn failure(failure: &Failure) {
    eprintln!("{BAD}error:{BAD:#} {}", plain(&failure.full_message()));
    if let Some(hint) = failure.hint_text() {
        eprintln!("{FAINT} hint:{FAINT:#} {hint}");
    }
}

/// Text from the outside, without the control characters that could rewrite a terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_control() { '\u{fffd}' } else { character })
        .collect()
}

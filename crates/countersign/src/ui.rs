//! What is printed: results on standard output, everything else on standard error.

pub(crate) mod admit;
pub(crate) mod coverage;
pub(crate) mod demo;
pub(crate) mod evidence;
pub(crate) mod logging;
pub(crate) mod payloads;
pub(crate) mod progress;
pub(crate) mod registry;
pub(crate) mod serve;
pub(crate) mod shell;
pub(crate) mod sign;
pub(crate) mod terminal;
pub(crate) mod verdict;

use crate::ui::terminal::eprintln;
use anstyle::{AnsiColor, Style};

use std::io::{self, BufRead, IsTerminal, Read, Write};

use clap::ValueEnum;

use crate::exit::Failure;

/// Longest answer read, in bytes.
const ANSWER_SIZE_MAX: u64 = 4096;

pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const UNSURE: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const FAINT: Style = Style::new().dimmed();

/// In which form results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs: one JSON document with a versioned schema.
    Json,
}

/// In which form the outcome of a verification is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum VerifyOutput {
    /// For people.
    Text,
    /// As Cosign: an array of payloads on standard output, the rest on standard error; with
    /// --explain one document with a versioned schema for each image.
    Json,
}

impl VerifyOutput {
    /// What was chosen; else what whoever reads standard output can use.
    pub(crate) fn chosen(given: Option<Self>) -> Self {
        given.unwrap_or_else(|| match io::stdout().is_terminal() {
            true => Self::Text,
            false => Self::Json,
        })
    }
}

/// Prints why a command ended, and what can be done about it.
pub(crate) fn failure(failure: &Failure) {
    eprintln!("{BAD}error:{BAD:#} {}", plain(&failure.full_message()));
    if let Some(hint) = failure.hint_text() {
        eprintln!("{FAINT} hint:{FAINT:#} {hint}");
    }
}

/// Tells something that is no result.
pub(crate) fn note(text: &str) {
    eprintln!("{UNSURE} note:{UNSURE:#} {}", plain(text));
}

/// Tells what is given up, so that nobody overlooks it.
pub(crate) fn warning(text: &str) {
    eprintln!("{BAD}warning:{BAD:#} {}", plain(text));
}

/// Asks for a secret on the terminal, without showing it.
pub(crate) fn ask_secret(prompt: &str) -> Result<String, Failure> {
    rpassword::prompt_password(prompt)
        .map_err(|error| Failure::usage("nobody can be asked for the password").caused_by(error))
}

/// Asks a question that is answered by yes or no; no is what everything else means.
pub(crate) fn confirm(question: &str) -> Result<bool, Failure> {
    let answer = ask_line(&format!("{} [y/N] ", plain(question)))
        .map_err(|error| Failure::usage("nobody answered").caused_by(error))?;
    Ok(matches!(answer.as_str(), "y" | "Y" | "yes" | "Yes"))
}

/// Asks for a line.
pub(crate) fn ask_line(prompt: &str) -> io::Result<String> {
    let mut stderr = anstream::stderr().lock();
    write!(stderr, "{prompt}")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().take(ANSWER_SIZE_MAX).read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

/// An error with all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some errors say themselves what caused them.
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// Text from the outside, without the control characters that could rewrite a terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_control() { '\u{fffd}' } else { character })
        .collect()
}

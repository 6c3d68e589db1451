//! What `demo` tells: short numbered steps, each with the command and what came of it.

use std::time::Duration;

use super::terminal::{eprintln, println};

use super::{BAD, FAINT, GOOD, plain};

/// Widest text, in characters; digests and URLs that are longer stand alone.
const WIDTH: usize = 96;
/// What everything under a step's title begins with.
const INDENT: &str = "   ";
/// Hexadecimal digits shown of a digest where the whole is not needed.
const SHORT_DIGEST_SIZE: usize = 12;

/// A line of the table at the end.
pub(crate) struct Row {
    /// The image's tag.
    pub(crate) image: String,
    /// Whether its Pod may run.
    pub(crate) admitted: bool,
    /// Why, or why not.
    pub(crate) reason: String,
    /// What is not as it must be.
    pub(crate) wrong: Option<String>,
}

/// Says what is about to be seen.
pub(crate) fn began() {
    println!("An image is signed, logged, verified and admitted; three others are refused.");
    println!(
        "{FAINT}Everything runs on this machine. Identity provider and registry are for development only:{FAINT:#}"
    );
    println!("{FAINT}in memory, on 127.0.0.1, gone when this ends.{FAINT:#}");
}

/// Begins a step.
pub(crate) fn step(number: usize, title: &str) {
    println!();
    println!("{GOOD}{number}.{GOOD:#} {title}");
}

/// Shows a command that is run.
pub(crate) fn command(text: &str) {
    for (index, line) in text.lines().enumerate() {
        let prompt = if index == 0 { "$ " } else { "  " };
        println!("{INDENT}{FAINT}{prompt}{FAINT:#}{}", plain(line));
    }
}

/// Tells what came of it.
pub(crate) fn outcome(text: &str) {
    for line in wrap(&plain(text), WIDTH - INDENT.len()) {
        println!("{INDENT}{line}");
    }
}

/// Tells one fact of what came of it.
pub(crate) fn fact(label: &str, value: &str) {
    println!("{INDENT}{FAINT}{label:>9}{FAINT:#}  {}", plain(value));
}

/// Shows what became of the Pods.
pub(crate) fn verdicts(rows: &[Row]) {
    let width = rows.iter().map(|row| row.image.len()).max().unwrap_or_default();
    for row in rows {
        let (style, verdict) = if row.admitted { (GOOD, "admitted") } else { (BAD, "refused ") };
        let hanging = INDENT.len() + width + 2 + verdict.len() + 2;
        let reason = wrap(&shorten_digests(&plain(&row.reason)), WIDTH.saturating_sub(hanging));
        let mut lines = reason.into_iter();
        let first = lines.next().unwrap_or_default();
        println!("{INDENT}{:width$}  {style}{verdict}{style:#}  {first}", row.image);
        for line in lines {
            println!("{:hanging$}{line}", "");
        }
        if let Some(wrong) = &row.wrong {
            println!("{INDENT}{BAD}NOT AS IT MUST BE:{BAD:#} {}", plain(wrong));
        }
    }
}

/// Says that all was as it must be.
pub(crate) fn ended(time: Duration) {
    println!();
    println!("{GOOD}All as it must be{GOOD:#}, in {:.1} s.", time.as_secs_f64());
}

/// Says where to go on.
pub(crate) fn read_on() {
    println!();
    println!("Next:");
    println!("  countersign demo --keep   leaves all of this running, with lines to try by hand");
    println!("  countersign help          every command");
    println!("  README.md, docs/          what a verification proves, and how to run it for real");
}

/// Shows lines to be typed in another terminal, each with what it is for.
pub(crate) fn by_hand(lines: &[(&str, String)]) {
    println!();
    println!("Everything is left running until Ctrl-C. In another terminal:");
    for (purpose, command) in lines {
        println!();
        if !purpose.is_empty() {
            println!("  {FAINT}# {purpose}{FAINT:#}");
        }
        for line in command.lines() {
            println!("  {}", plain(line));
        }
    }
    println!();
}

/// Says that everything was stopped, and what is left.
pub(crate) fn kept(directory: &std::path::Path) {
    println!("stopped; the files are in {}", directory.display());
}

/// Shows what a command that went wrong has printed.
pub(crate) fn printed(command: &str, outputs: &[&str]) {
    eprintln!();
    eprintln!("{FAINT}$ {}{FAINT:#}", plain(command));
    for line in outputs.iter().flat_map(|output| output.lines()) {
        eprintln!("{FAINT}|{FAINT:#} {}", plain(line));
    }
}

/// Breaks text between words.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The text with the beginnings of its digests only.
fn shorten_digests(text: &str) -> String {
    const ALGORITHM: &str = "sha256:";
    let mut short = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(ALGORITHM) {
        let (before, digest) = rest.split_at(start + ALGORITHM.len());
        let size = digest.bytes().take_while(u8::is_ascii_hexdigit).count();
        short.push_str(before);
        short.push_str(&digest[..size.min(SHORT_DIGEST_SIZE)]);
        if size > SHORT_DIGEST_SIZE {
            short.push('…');
        }
        rest = &digest[size..];
    }
    short + rest
}

#[cfg(test)]
mod tests {
    use super::{shorten_digests, wrap};

    #[test]
    fn digests_are_shortened_and_nothing_else_is() {
        let digest = "0123456789abcdef".repeat(4);
        let text = format!("wanted sha256:{digest}, found app@sha256:{digest} and sha256:12.");
        let short = "wanted sha256:0123456789ab…, found app@sha256:0123456789ab… and sha256:12.";
        assert_eq!(shorten_digests(&text), short);
        assert_eq!(shorten_digests("no digest"), "no digest");
    }

    #[test]
    fn text_is_broken_between_words_only() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("a-word-that-is-too-long b", 8), ["a-word-that-is-too-long", "b"]);
        assert_eq!(wrap("", 8), [""]);
    }
}

//! How deep a policy's brackets nest, told from its text: the library reads what stands in one that
//! is not what it took it for a second time, so that each level doubles the time that takes.
//!
//! Open Policy Agent documentation, "Policy Reference" (grammar). What stands in quotes and comments
//! nests nothing.

use crate::language::BadProgram;

/// Deepest nesting of brackets, rule bodies among them: a level more takes about twice as long to
/// read, and so many take some milliseconds.
const BRACKETS_MAX: usize = 12;

/// Checks the bound of a policy that has not been parsed yet.
pub(super) fn check(text: &str) -> Result<(), BadProgram> {
    let (mut depth, mut line) = (0_usize, 1);
    let mut characters = text.chars();
    // What ends the quoted text or comment that we are in.
    let mut until = None;
    while let Some(c) = characters.next() {
        line += usize::from(c == '\n');
        match (until, c) {
            (Some('"'), '\\') => drop(characters.next()),
            // A line ends such a text too: the parser will say what it misses.
            (Some(end), c) if c == end || (end == '"' && c == '\n') => until = None,
            (Some(_), _) => {}
            (None, '"' | '`') => until = Some(c),
            (None, '#') => until = Some('\n'),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
        if depth > BRACKETS_MAX {
            let problem = format!("brackets nested deeper than {BRACKETS_MAX}");
            return Err(BadProgram::at(line, problem));
        }
    }
    Ok(())
}

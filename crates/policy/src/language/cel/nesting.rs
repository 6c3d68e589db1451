//! How deep an expression nests, told from its text: the parser, and whatever walks the tree after
//! it, recurse as deep, and a stack that overflows ends the process.
//!
//! Common Expression Language, "Language Definition", "Syntax". What stands in quotes and comments
//! nests nothing, so that these must end here where they end for the parser: a quote that the
//! grammar does not have refuses the expression, because the parser would read on behind it.

use crate::language::BadProgram;

/// Deepest nesting of brackets.
const BRACKETS_MAX: usize = 32;
/// Most operators, in characters, and most indexes: chains of them nest too.
const OPERATORS_MAX: usize = 512;

/// Checks the bounds of an expression that has not been parsed yet.
pub(super) fn check(text: &str) -> Result<(), BadProgram> {
    let mut scan = Scan { rest: text, line: 1 };
    let (mut depth, mut operators) = (0_usize, 0_usize);
    loop {
        let word = scan.take_while(is_word);
        operators += usize::from(word == "in");
        let Some(c) = scan.take() else { return Ok(()) };
        match c {
            '/' if scan.eat("/") => drop(scan.take_while(|c| c != '\n')),
            '"' | '\'' => scan.quoted(c, word)?,
            '`' => scan.quoted_name()?,
            '(' | '{' => depth += 1,
            '[' => (depth, operators) = (depth + 1, operators + 1),
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            c => operators += usize::from("?!-+*/%.<>=&|".contains(c)),
        }
        if depth > BRACKETS_MAX || operators > OPERATORS_MAX {
            return Err(scan.bad("nested too deep, or too long a chain of operators"));
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

struct Scan<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Scan<'a> {
    fn bad(&self, problem: impl Into<String>) -> BadProgram {
        BadProgram::at(self.line, problem)
    }

    fn take(&mut self) -> Option<char> {
        let mut rest = self.rest.chars();
        let c = rest.next()?;
        self.rest = rest.as_str();
        self.line += usize::from(c == '\n');
        Some(c)
    }

    /// Takes characters that are all of one kind, of which no line end is.
    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Takes a text without line ends, if it comes next.
    fn eat(&mut self, wanted: &str) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// A text or bytes, once or thrice quoted; `prefix` is the word before the quote, if there is
    /// one, and the quote itself is taken already.
    fn quoted(&mut self, quote: char, prefix: &str) -> Result<(), BadProgram> {
        let is_raw = match prefix {
            // `in` may stand before a text, and is no part of it.
            "" | "in" | "b" | "B" => false,
            "r" | "R" | "br" | "bR" | "Br" | "BR" => true,
            other => return Err(self.bad(format!("a quote straight after `{other:.64}`"))),
        };
        let thrice = quote.to_string().repeat(3);
        let spans_lines = self.eat(&thrice[1..]);
        let end = if spans_lines { thrice.as_str() } else { &thrice[..1] };
        while !self.eat(end) {
            match self.take() {
                None => return Err(self.bad("a text without its closing quote")),
                Some('\n' | '\r') if !spans_lines => {
                    return Err(self.bad("a text without its closing quote"));
                }
                Some('\\') if !is_raw => self.escaped()?,
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn escaped(&mut self) -> Result<(), BadProgram> {
        let (digits, radix) = match self.take() {
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '"' | '\'' | '\\' | '?' | '`') => {
                return Ok(());
            }
            Some('x' | 'X') => (2, 16),
            Some('u') => (4, 16),
            Some('U') => (8, 16),
            Some('0'..='3') => (2, 8),
            _ => (usize::MAX, 8),
        };
        let escape = self.rest.split_at_checked(digits);
        match escape.filter(|(escape, _)| escape.chars().all(|c| c.is_digit(radix))) {
            Some((_, rest)) => {
                self.rest = rest;
                Ok(())
            }
            None => Err(self.bad("an escape that CEL does not have")),
        }
    }

    /// The name of a field in backquotes; the first is taken already.
    fn quoted_name(&mut self) -> Result<(), BadProgram> {
        let name = self.take_while(|c| is_word(c) || "./- ".contains(c));
        if name.is_empty() || !self.eat("`") {
            return Err(self.bad("a backquote that quotes no name"));
        }
        Ok(())
    }
}

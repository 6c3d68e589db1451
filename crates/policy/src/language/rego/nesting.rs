//! How deep a policy's expressions nest, told from its text: the library, and whatever walks its
//! tree, recurse as deep as operators lead on from one to the next, and a stack that overflows ends
//! the process. What stands first in brackets may be read a second time, as something else than it
//! was taken for, so that each level of them doubles the time that takes.
//!
//! Open Policy Agent documentation, "Policy Reference" (grammar). What stands in quotes and comments
//! nests nothing.

use crate::language::BadProgram;

/// Deepest nesting of brackets, rule bodies among them.
const BRACKETS_MAX: usize = 12;
/// Longest chain in one expression, with what stands in its brackets: characters of operators, the
/// word `in`, fields (`.name`) and indexes. Policies have a handful in a line; in a debug build a
/// stack of 2 MiB bears four times as many.
const CHAIN_MAX: usize = 128;
/// Most words and signs to read, each counted twice for each bracket around it: as many as the longest
/// text has when it stands in two brackets. So many take less than half a second in a debug build.
const READINGS_MAX: usize = 4 * crate::language::PROGRAM_SIZE_MAX;

/// Checks the bounds of a policy that has not been parsed yet.
pub(super) fn check(text: &str) -> Result<(), BadProgram> {
    let mut scan = Scan { rest: text, line: 1 };
    let mut chains = Chains { open: vec![Chain::default()], after_operand: false };
    let mut readings = 0_usize;
    while let Some(token) = scan.next_token() {
        match token {
            Token::Operand => chains.operand(),
            Token::Operator => chains.operator(),
            Token::Open(bracket) => chains.open(bracket),
            Token::Close => chains.close(),
            Token::Separator => chains.separate(),
        }
        readings += 1 << chains.brackets().min(BRACKETS_MAX);
        if chains.brackets() > BRACKETS_MAX {
            return Err(scan.bad(format!("brackets nested deeper than {BRACKETS_MAX}")));
        }
        if chains.longest() > CHAIN_MAX {
            let problem = format!("more than {CHAIN_MAX} operators or fields in one expression");
            return Err(scan.bad(problem + "; name parts of it by rules of their own"));
        }
        if readings > READINGS_MAX {
            return Err(scan.bad("too much in nested brackets; name parts of it by rules"));
        }
    }
    Ok(())
}

/// What matters of a word or sign.
enum Token {
    /// A name, a number or a text, and any word of the language but `in`.
    Operand,
    /// What makes one expression of two, or another of one.
    Operator,
    Open(char),
    Close,
    /// What ends an expression, and begins the next in the same brackets.
    Separator,
}

/// The text as the library's lexer takes it apart.
struct Scan<'a> {
    rest: &'a str,
    line: usize,
}

impl Scan<'_> {
    fn bad(&self, problem: impl Into<String>) -> BadProgram {
        BadProgram::at(self.line, problem)
    }

    fn next_token(&mut self) -> Option<Token> {
        loop {
            let mut characters = self.rest.chars();
            let c = characters.next()?;
            if is_word(c) {
                let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
                let (word, rest) = self.rest.split_at(end);
                self.rest = rest;
                return Some(if word == "in" { Token::Operator } else { Token::Operand });
            }
            self.rest = characters.as_str();
            self.line += usize::from(c == '\n');
            match c {
                '#' => self.skip_past('\n'),
                '"' | '`' => {
                    self.skip_past(c);
                    return Some(Token::Operand);
                }
                '(' | '[' | '{' => return Some(Token::Open(c)),
                ')' | ']' | '}' => return Some(Token::Close),
                ',' | ';' => return Some(Token::Separator),
                '+' | '-' | '*' | '/' | '%' | '&' | '|' | '<' | '>' | '=' | '!' | '.' => {
                    return Some(Token::Operator);
                }
                _ => {}
            }
        }
    }

    /// Skips what is quoted, or a comment, and what ends it.
    fn skip_past(&mut self, end: char) {
        let mut characters = self.rest.chars();
        while let Some(c) = characters.next() {
            self.line += usize::from(c == '\n');
            // A line ends a text in quotes too: the parser will say what it misses.
            if c == end || (end == '"' && c == '\n') {
                break;
            }
            if end == '"' && c == '\\' {
                let _escaped = characters.next();
            }
        }
        self.rest = characters.as_str();
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The expressions that are open at one place: the one of the text itself, and one for each bracket.
struct Chains {
    /// Never empty.
    open: Vec<Chain>,
    /// Whether the last token could end an expression.
    after_operand: bool,
}

/// The expressions of one bracket.
#[derive(Clone, Copy, Default)]
struct Chain {
    /// Operators of the one that we are in.
    now: usize,
    /// Operators of the longest before it.
    before: usize,
}

impl Chain {
    fn end(&mut self) {
        *self = Self { now: 0, before: self.now.max(self.before) };
    }
}

impl Chains {
    fn innermost(&mut self) -> Option<&mut Chain> {
        self.open.last_mut()
    }

    fn operand(&mut self) {
        // Two in a row are never of one expression.
        if self.after_operand {
            self.separate();
        }
        self.after_operand = true;
    }

    fn operator(&mut self) {
        self.innermost().into_iter().for_each(|chain| chain.now += 1);
        self.after_operand = false;
    }

    fn separate(&mut self) {
        self.innermost().into_iter().for_each(Chain::end);
        self.after_operand = false;
    }

    fn open(&mut self, bracket: char) {
        match bracket {
            '[' => self.operator(),
            // Behind an expression: the body of a rule, or of `every`.
            '{' if self.after_operand => self.separate(),
            _ => {}
        }
        self.open.push(Chain::default());
        self.after_operand = false;
    }

    fn close(&mut self) {
        // One that was never opened is for the parser to refuse.
        if self.brackets() > 0
            && let Some(Chain { now, before }) = self.open.pop()
        {
            self.innermost().into_iter().for_each(|chain| chain.now += now.max(before));
        }
        self.after_operand = true;
    }

    fn brackets(&self) -> usize {
        self.open.len().saturating_sub(1)
    }

    /// Operators of the expression that we are in, up to the outermost.
    fn longest(&self) -> usize {
        self.open.iter().map(|chain| chain.now).sum()
    }
}

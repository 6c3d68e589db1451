//! CUE's words, texts, numbers and signs, each with its line. What the language has and is not read
//! here is refused where it stands.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use crate::language::BadProgram;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name or keyword; definitions keep their `#`.
    Word(String),
    /// A quoted text, unescaped.
    Text(String),
    Int(i128),
    Float(f64),
    Sign(&'static str),
    /// A character with no meaning in what is read here.
    Other(char),
    Newline,
    End,
}

/// Longest first, so that `<=` is not `<` and `=`.
const SIGNS: [&str; 21] = [
    "...", "<=", ">=", "!=", "=~", "!~", "{", "}", "[", "]", "(", ")", ":", ",", "?", "!", "&",
    "|", "*", "<", ">",
];

pub(super) struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
    ended: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text.chars().peekable(), line: 1, ended: false }
    }

    fn bad(&self, problem: impl Into<String>) -> BadProgram {
        BadProgram::at(self.line, problem)
    }

    fn eat(&mut self, wanted: &str) -> bool {
        let mut ahead = self.rest.clone();
        let found = wanted.chars().all(|c| ahead.next() == Some(c));
        if found {
            self.rest = ahead;
        }
        found
    }

    fn token(&mut self) -> Result<Token, BadProgram> {
        loop {
            match self.rest.peek().copied() {
                None => return Ok(Token::End),
                Some(' ' | '\t' | '\r') => {
                    self.rest.next();
                }
                Some('\n') => {
                    self.rest.next();
                    return Ok(Token::Newline);
                }
                Some('/') if self.eat("//") => {
                    while self.rest.peek().is_some_and(|c| *c != '\n') {
                        self.rest.next();
                    }
                }
                Some('"') => return self.text(0),
                Some('#') => return self.definition_or_text(),
                Some('\'') => return Err(self.bad("bytes are not read here")),
                Some('@') => return Err(self.bad("attributes are not read here")),
                Some(c) if c.is_ascii_digit() => return self.number(),
                Some(c) if c.is_alphabetic() || matches!(c, '_' | '$') => return self.word(),
                Some('-') if self.eat("-") => return Ok(Token::Sign("-")),
                Some('+') if self.eat("+") => return Ok(Token::Sign("+")),
                Some(c) => {
                    if let Some(sign) = SIGNS.into_iter().find(|sign| self.eat(sign)) {
                        return Ok(Token::Sign(sign));
                    }
                    self.rest.next();
                    return Ok(Token::Other(c));
                }
            }
        }
    }

    fn word(&mut self) -> Result<Token, BadProgram> {
        let mut word = String::new();
        if self.eat("_|_") {
            return Err(self.bad("`_|_` is not read here"));
        }
        while let Some(c) =
            self.rest.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '#'))
        {
            word.push(c);
        }
        Ok(Token::Word(word))
    }

    /// `#Name`, or a text between as many `#` as it has before its quote.
    fn definition_or_text(&mut self) -> Result<Token, BadProgram> {
        let mut marks = 0;
        let mut ahead = self.rest.clone();
        while ahead.next_if_eq(&'#').is_some() {
            marks += 1;
        }
        if ahead.peek() == Some(&'"') {
            self.rest = ahead;
            return self.text(marks);
        }
        match self.word()? {
            Token::Word(word) if word.len() > 1 => Ok(Token::Word(word)),
            _ => Err(self.bad("`#` alone is no name")),
        }
    }

    fn text(&mut self, marks: usize) -> Result<Token, BadProgram> {
        if self.eat("\"\"\"") {
            return Err(self.bad("texts of several lines (`\"\"\"`) are not read here"));
        }
        self.rest.next();
        let marks = "#".repeat(marks);
        let (end, escape) = (format!("\"{marks}"), format!("\\{marks}"));
        let mut text = String::new();
        loop {
            if self.eat(&end) {
                return Ok(Token::Text(text));
            }
            if self.eat(&escape) {
                text.push(self.escaped()?);
                continue;
            }
            match self.rest.next() {
                None | Some('\n') => return Err(self.bad("a text without its closing quote")),
                Some(c) => text.push(c),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, BadProgram> {
        let unknown = |lexer: &Self| lexer.bad("an escape that CUE does not have");
        Ok(match self.rest.next() {
            Some('a') => '\u{07}',
            Some('b') => '\u{08}',
            Some('f') => '\u{0c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\u{0b}',
            Some(c @ ('\\' | '"' | '/')) => c,
            Some('u') => self.code_point(4)?,
            Some('U') => self.code_point(8)?,
            Some('(') => return Err(self.bad("interpolation (`\\(…)`) is not read here")),
            _ => return Err(unknown(self)),
        })
    }

    fn code_point(&mut self, digits: usize) -> Result<char, BadProgram> {
        let text: String = self.rest.by_ref().take(digits).collect();
        let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = u32::from_str_radix(&text, 16).ok().filter(|_| plain);
        value.and_then(char::from_u32).ok_or_else(|| self.bad("a bad code point"))
    }

    fn number(&mut self) -> Result<Token, BadProgram> {
        let mut text = String::new();
        loop {
            let sign = matches!(text.chars().last(), Some('e' | 'E'));
            let part = |c: &char| {
                c.is_ascii_alphanumeric()
                    || matches!(c, '.' | '_')
                    || (sign && matches!(c, '+' | '-'))
            };
            match self.rest.next_if(part) {
                Some(c) => text.push(c),
                None => break,
            }
        }
        let unread = || self.bad(format!("the number `{text:.40}` is not read here"));
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if digits && (text == "0" || !text.starts_with('0')) {
            return text.parse().map(Token::Int).map_err(|_| unread());
        }
        let float = text.contains(['.', 'e', 'E'])
            && text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
        let value = text.parse::<f64>().ok().filter(|value| float && value.is_finite());
        value.map(Token::Float).ok_or_else(unread)
    }
}

impl Iterator for Lexer<'_> {
    type Item = Result<(usize, Token), BadProgram>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        // White space first, so that the line is the token's own.
        let token = self.token();
        self.ended = !matches!(token, Ok(ref token) if *token != Token::End);
        let line = self.line;
        self.line += usize::from(matches!(token, Ok(Token::Newline)));
        Some(token.map(|token| (line, token)))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "`{word:.64}`"),
            Self::Text(_) => f.write_str("a text"),
            Self::Int(_) | Self::Float(_) => f.write_str("a number"),
            Self::Sign(sign) => write!(f, "`{sign}`"),
            Self::Other(c) => write!(f, "`{}`", c.escape_debug()),
            Self::Newline => f.write_str("the end of the line"),
            Self::End => f.write_str("the end of the policy"),
        }
    }
}

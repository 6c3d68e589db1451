//! Go's grammar of regular expressions (`regexp/syntax`, Perl flags), read and written anew as the
//! `regex` crate means it.

use std::fmt::Write;
use std::str::Chars;

use super::{GROUP_DEPTH_MAX, ParseRegexpError};

/// Highest count in `{n,m}` (`regexp/syntax`).
const REPEAT_MAX: u32 = 1000;

type Parsed<T> = Result<T, ParseRegexpError>;

/// The expression as the `regex` crate writes it, and whether it must match all of a value.
pub(super) fn translate(text: &str) -> Parsed<(String, bool)> {
    Translator::new(text).run()
}

/// What stood last at this place: what a repetition would repeat.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Operand,
    Repetition,
}

struct Translator<'a> {
    text: &'a str,
    rest: Chars<'a>,
    out: String,
    last: Last,
    depth: usize,
    names: Vec<&'a str>,
    /// No `|` outside of groups and no `(?m)`: the ends of the text are the ends of the expression.
    single: bool,
    begins: bool,
    ends: bool,
}

impl<'a> Translator<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            rest: text.chars(),
            out: String::with_capacity(2 * text.len()),
            last: Last::Nothing,
            depth: 0,
            names: Vec::new(),
            single: true,
            begins: false,
            ends: false,
        }
    }

    /// Number of the character read last, counted from 1.
    fn at(&self) -> usize {
        let read = self.text.len() - self.rest.as_str().len();
        self.text[..read].chars().count()
    }

    fn eat(&mut self, wanted: &str) -> bool {
        let rest = self.rest.as_str().strip_prefix(wanted);
        if let Some(rest) = rest {
            self.rest = rest.chars();
        }
        rest.is_some()
    }

    fn run(mut self) -> Parsed<(String, bool)> {
        while let Some(c) = self.rest.next() {
            self.ends = false;
            match c {
                '(' => self.group()?,
                ')' => {
                    if self.depth == 0 {
                        return Err(ParseRegexpError::Parenthesis { at: self.at() });
                    }
                    self.depth -= 1;
                    self.operand(")");
                }
                '|' => {
                    self.single &= self.depth > 0;
                    self.out.push('|');
                    self.last = Last::Nothing;
                }
                '[' => self.class()?,
                '^' => {
                    self.begins |= self.out.is_empty();
                    self.operand("^");
                }
                '$' => {
                    self.ends = self.depth == 0;
                    self.operand("$");
                }
                '.' => self.operand("."),
                '*' | '+' | '?' => {
                    let mut sign = [0; 4];
                    self.repetition(c.encode_utf8(&mut sign), self.at())?;
                }
                '{' => self.counted()?,
                '\\' => self.escape()?,
                literal => self.literal(literal),
            }
        }
        if self.depth > 0 {
            return Err(ParseRegexpError::Parenthesis { at: self.at() });
        }
        Ok((self.out, self.single && self.begins && self.ends))
    }

    fn operand(&mut self, translated: &str) {
        self.out.push_str(translated);
        self.last = Last::Operand;
    }

    fn literal(&mut self, c: char) {
        if r"\.+*?()|[]{}^$".contains(c) {
            self.out.push('\\');
        }
        self.out.push(c);
        self.last = Last::Operand;
    }

    fn repetition(&mut self, sign: &str, at: usize) -> Parsed<()> {
        match self.last {
            Last::Nothing => return Err(ParseRegexpError::NothingToRepeat { at }),
            Last::Repetition => return Err(ParseRegexpError::RepeatedRepetition { at }),
            Last::Operand => {}
        }
        // `^*` anchors nothing.
        self.begins &= self.out != "^" && self.out != "\\A";
        self.out.push_str(sign);
        if self.eat("?") {
            self.out.push('?');
        }
        self.last = Last::Repetition;
        Ok(())
    }

    /// `{n}`, `{n,}` and `{n,m}`; any other brace stands for itself.
    fn counted(&mut self) -> Parsed<()> {
        let Some((inside, rest)) = self.rest.as_str().split_once('}') else {
            self.literal('{');
            return Ok(());
        };
        let (low, high) = match inside.split_once(',') {
            None => (inside, Some(inside)),
            Some((low, "")) => (low, None),
            Some((low, high)) => (low, Some(high)),
        };
        let number = |text: &str| {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
            plain && (text == "0" || !text.starts_with('0'))
        };
        if !number(low) || !high.is_none_or(number) {
            self.literal('{');
            return Ok(());
        }
        // A number too long for `u32` is too high as well.
        let value = |text: &str| text.parse().unwrap_or(u32::MAX);
        let (low, high) = (value(low), high.map(value));
        if low > REPEAT_MAX || high.is_some_and(|high| high > REPEAT_MAX || high < low) {
            return Err(ParseRegexpError::BadRepetition { at: self.at() });
        }
        let (sign, at) = (format!("{{{inside}}}"), self.at());
        self.rest = rest.chars();
        self.repetition(&sign, at)
    }

    fn group(&mut self) -> Parsed<()> {
        if self.depth == GROUP_DEPTH_MAX {
            return Err(ParseRegexpError::TooDeep);
        }
        // Nobody asks what a group captured, so every group is written as one that does not.
        if !self.eat("?") {
            return self.open("(?:");
        }
        if self.eat("P<") || self.eat("<") {
            let bad = ParseRegexpError::BadGroup { at: self.at() };
            let (name, rest) = self.rest.as_str().split_once('>').ok_or(bad.clone())?;
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(word) || self.names.contains(&name) {
                return Err(bad);
            }
            self.names.push(name);
            self.rest = rest.chars();
            return self.open("(?:");
        }
        self.flags()
    }

    fn open(&mut self, translated: &str) -> Parsed<()> {
        self.out.push_str(translated);
        self.depth += 1;
        self.last = Last::Nothing;
        Ok(())
    }

    /// `(?flags)` and `(?flags:…)`; the letters mean the same to both.
    fn flags(&mut self) -> Parsed<()> {
        let mut flags = String::new();
        loop {
            match self.rest.next() {
                Some(flag @ ('i' | 'm' | 's' | 'U')) => {
                    self.single &= flag != 'm';
                    flags.push(flag);
                }
                Some('-') if !flags.contains('-') => flags.push('-'),
                Some(end @ (':' | ')')) if !flags.ends_with('-') => {
                    if end == ':' {
                        return self.open(&format!("(?{flags}:"));
                    }
                    if !flags.is_empty() {
                        write!(self.out, "(?{flags})").expect("a String takes everything");
                    }
                    self.last = Last::Nothing;
                    return Ok(());
                }
                _ => return Err(ParseRegexpError::BadGroup { at: self.at() }),
            }
        }
    }

    fn escape(&mut self) -> Parsed<()> {
        let at = self.at();
        let unsupported = |what| Err(ParseRegexpError::Unsupported { at, what });
        match self.rest.clone().next() {
            Some('Q') => {
                self.rest.next();
                let quoted = self.rest.as_str();
                let (literal, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
                self.rest = rest.chars();
                literal.chars().for_each(|c| self.literal(c));
            }
            Some('A') => {
                self.rest.next();
                self.begins |= self.out.is_empty();
                self.operand("\\A");
            }
            Some('z') => {
                self.rest.next();
                self.ends = self.depth == 0;
                self.operand("\\z");
            }
            Some('b') => {
                self.rest.next();
                self.operand("(?-u:\\b)");
            }
            Some('B') => return unsupported("`\\B`"),
            Some('C') => return unsupported("`\\C`"),
            Some('p' | 'P') => return unsupported("a Unicode class (`\\p`)"),
            Some(c) if perl_class(c).is_some() => {
                self.rest.next();
                self.operand(perl_class(c).unwrap_or_default());
            }
            _ => {
                let c = self.escaped_character()?;
                self.literal(c);
            }
        }
        Ok(())
    }

    /// The one character that an escape stands for, in a class or outside; the backslash is read.
    fn escaped_character(&mut self) -> Parsed<char> {
        let bad = ParseRegexpError::BadEscape { at: self.at() };
        let c = self.rest.next().ok_or(bad.clone())?;
        let value = match c {
            'a' => 0x07,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'v' => 0x0b,
            'x' => self.hexadecimal().ok_or(bad.clone())?,
            // A single digit but 0 would be a reference to a group, which RE2 does not have.
            '0'..='7' => self.octal(c).ok_or(bad.clone())?,
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => u32::from(c),
            _ => return Err(bad),
        };
        char::from_u32(value).ok_or(bad)
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        let rest = self.rest.as_str();
        let (digits, after) = match rest.strip_prefix('{') {
            Some(braced) => braced.split_once('}')?,
            None => rest.split_at_checked(2)?,
        };
        let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = u32::from_str_radix(digits, 16).ok().filter(|_| hexadecimal)?;
        self.rest = after.chars();
        Some(value)
    }

    fn octal(&mut self, first: char) -> Option<u32> {
        let mut value = first.to_digit(8)?;
        let more =
            self.rest.as_str().chars().take(2).map_while(|c| c.to_digit(8)).collect::<Vec<_>>();
        if first != '0' && more.is_empty() {
            return None;
        }
        for digit in more {
            value = value * 8 + digit;
            self.rest.next();
        }
        Some(value)
    }

    fn class(&mut self) -> Parsed<()> {
        let bad = ParseRegexpError::BadClass { at: self.at() };
        let mut out = String::from(if self.eat("^") { "[^" } else { "[" });
        let mut first = true;
        while first || !self.eat("]") {
            first = false;
            if self.rest.as_str().starts_with("[:")
                && let Some((name, rest)) = self.rest.as_str()[2..].split_once(":]")
            {
                out.push_str(&posix_class(name).ok_or(bad.clone())?);
                self.rest = rest.chars();
                continue;
            }
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('\\')
                && let Some(c) = ahead.next()
            {
                if matches!(c, 'p' | 'P') {
                    let what = "a Unicode class (`\\p`)";
                    return Err(ParseRegexpError::Unsupported { at: self.at() + 1, what });
                }
                if let Some(class) = perl_class(c) {
                    out.push_str(class);
                    self.rest = ahead;
                    continue;
                }
            }
            let low = self.class_character()?.ok_or(bad.clone())?;
            let rest = self.rest.as_str();
            let range = rest.starts_with('-') && !rest.starts_with("-]") && rest.len() > 1;
            let high = if range {
                self.rest.next();
                self.class_character()?.ok_or(bad.clone())?
            } else {
                low
            };
            if high < low {
                return Err(bad);
            }
            class_literal(&mut out, low);
            if high > low {
                out.push('-');
                class_literal(&mut out, high);
            }
        }
        out.push(']');
        self.operand(&out);
        Ok(())
    }

    fn class_character(&mut self) -> Parsed<Option<char>> {
        match self.rest.next() {
            Some('\\') => self.escaped_character().map(Some),
            other => Ok(other),
        }
    }
}

/// A character in a class, spelled so that it cannot be an operator there (`-`, `&&`, `[`, …).
fn class_literal(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || "_./:@,%+ ".contains(c) {
        out.push(c);
    } else {
        write!(out, "\\x{{{:X}}}", u32::from(c)).expect("a String takes everything");
    }
}

/// `\d` and its like are ASCII in Go.
fn perl_class(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => r"[\t\n\x0C\r\x20]",
        'S' => r"[^\t\n\x0C\r\x20]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        _ => return None,
    })
}

fn posix_class(name: &str) -> Option<String> {
    let (caret, name) = match name.strip_prefix('^') {
        Some(name) => ("^", name),
        None => ("", name),
    };
    let ranges = match name {
        "alnum" => "0-9A-Za-z",
        "alpha" => "A-Za-z",
        "ascii" => r"\x00-\x7F",
        "blank" => r"\t\x20",
        "cntrl" => r"\x00-\x1F\x7F",
        "digit" => "0-9",
        "graph" => r"\x21-\x7E",
        "lower" => "a-z",
        "print" => r"\x20-\x7E",
        "punct" => r"\x21-\x2F\x3A-\x40\x5B-\x60\x7B-\x7E",
        "space" => r"\t\n\x0B\x0C\r\x20",
        "upper" => "A-Z",
        "word" => "0-9A-Za-z_",
        "xdigit" => "0-9A-Fa-f",
        _ => return None,
    };
    Some(format!("[{caret}{ranges}]"))
}

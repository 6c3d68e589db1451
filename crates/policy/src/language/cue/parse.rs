//! Reads the part of CUE that is understood; what is not, is refused with its line.
//!
//! The CUE language specification, "Lexical elements", "Structs", "Lists", "Expressions".

mod references;
mod token;

use std::collections::{BTreeMap, BTreeSet};

use token::{Lexer, Token};

use super::{Bound, Constraint, Cue, Field, Kind, List, Literal, Struct};
use crate::language::BadProgram;
use crate::regexp::Regexp;

/// Deepest nesting of structs, lists and parentheses.
const DEPTH_MAX: usize = 64;

/// Most regular expressions of a policy: each may take a megabyte once it is compiled.
const EXPRESSIONS_MAX: usize = 256;

/// Reads a policy.
pub(super) fn policy(text: &str) -> Result<Cue, BadProgram> {
    let mut parser = Parser {
        tokens: Lexer::new(text).collect::<Result<_, _>>()?,
        next: 0,
        depth: 0,
        in_definition: false,
        definitions: BTreeMap::new(),
        references: Vec::new(),
        expressions: 0,
    };
    parser.clauses()?;
    let mut top = Struct { open: true, ..Struct::default() };
    parser.declarations(&mut top, true)?;
    references::check(&parser.references, &parser.definitions, &top)?;
    if top.fields.is_empty() && top.patterns.is_empty() {
        return Err(BadProgram::new("it asks nothing: there is no field at the top"));
    }
    let definitions = parser.definitions.into_iter();
    Ok(Cue { top, definitions: definitions.map(|(name, it)| (name, it.value)).collect() })
}

struct Parser {
    /// Each with its line; ends with [`Token::End`].
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
    in_definition: bool,
    definitions: BTreeMap<String, Definition>,
    /// Every reference, with its line.
    references: Vec<(usize, String)>,
    /// Regular expressions so far.
    expressions: usize,
}

struct Definition {
    line: usize,
    /// The definitions that it refers to.
    refers: BTreeSet<String>,
    value: Constraint,
}

/// What stands before the colon of a declaration.
enum Label {
    Field { name: String, optional: bool },
    Pattern(Constraint),
    Definition(String),
}

impl Parser {
    fn line(&self) -> usize {
        self.tokens.get(self.next).or(self.tokens.last()).map_or(1, |(line, _)| *line)
    }

    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(_, token)| token)
    }

    fn peek_after(&self) -> &Token {
        self.tokens.get(self.next + 1).map_or(&Token::End, |(_, token)| token)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(found) if *found == sign);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), BadProgram> {
        if self.eat(sign) {
            return Ok(());
        }
        Err(self.unread(&format!("wanted `{sign}`, found {}", self.peek())))
    }

    fn unread(&self, problem: &str) -> BadProgram {
        BadProgram::at(self.line(), problem)
    }

    fn skip_ends(&mut self) {
        while matches!(self.peek(), Token::Newline) || self.eat(",") {
            self.next += usize::from(matches!(self.peek(), Token::Newline));
        }
    }

    fn skip_newlines(&mut self) {
        while matches!(self.peek(), Token::Newline) {
            self.next += 1;
        }
    }

    /// `package x`.
    fn clauses(&mut self) -> Result<(), BadProgram> {
        self.skip_ends();
        if self.is_word("package") && matches!(self.peek_after(), Token::Word(_)) {
            self.next += 2;
            self.skip_ends();
        }
        Ok(())
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found == word)
    }

    /// Declarations up to the end of the text, or of the struct.
    fn declarations(&mut self, into: &mut Struct, top: bool) -> Result<(), BadProgram> {
        loop {
            self.skip_ends();
            match self.peek() {
                Token::End if top => return Ok(()),
                Token::Sign("}") if !top => return Ok(()),
                Token::Sign("...") => {
                    self.next += 1;
                    if !matches!(self.peek(), Token::Newline | Token::End | Token::Sign("}" | ","))
                    {
                        return Err(self.unread("`...` with a type is not read here"));
                    }
                    into.open = true;
                }
                _ => self.declaration(into, top)?,
            }
            if !matches!(self.peek(), Token::Newline | Token::End | Token::Sign("}" | ",")) {
                let problem = format!("wanted the end of the field, found {}", self.peek());
                return Err(self.unread(&problem));
            }
        }
    }

    fn declaration(&mut self, into: &mut Struct, top: bool) -> Result<(), BadProgram> {
        let line = self.line();
        match self.label()? {
            Label::Definition(name) if top => self.definition(name),
            Label::Definition(_) => {
                Err(BadProgram::at(line, "definitions are read at the top only"))
            }
            Label::Pattern(pattern) => {
                let value = self.value_of_label()?;
                into.patterns.push((pattern, value));
                Ok(())
            }
            Label::Field { name, optional } => {
                let value = self.value_of_label()?;
                into.names.insert(name.clone());
                into.fields.push(Field { name, optional, value });
                Ok(())
            }
        }
    }

    fn definition(&mut self, name: String) -> Result<(), BadProgram> {
        let (line, before) = (self.line(), self.references.len());
        self.in_definition = true;
        let value = self.value_of_label()?;
        self.in_definition = false;
        let refers = self.references[before..].iter().map(|(_, name)| name.clone()).collect();
        if self.definitions.insert(name, Definition { line, refers, value }).is_some() {
            return Err(BadProgram::at(line, "a definition in several parts is not read here"));
        }
        Ok(())
    }

    /// What follows the label: a value, or another label (`a: b: 1` is `a: {b: 1}`).
    fn value_of_label(&mut self) -> Result<Constraint, BadProgram> {
        self.skip_newlines();
        if !self.begins_label() {
            return self.disjunction();
        }
        self.deeper()?;
        let mut within = Struct { open: !self.in_definition, ..Struct::default() };
        self.declaration(&mut within, false)?;
        self.depth -= 1;
        Ok(Constraint::Struct(within))
    }

    fn begins_label(&self) -> bool {
        let named = matches!(self.peek(), Token::Word(_) | Token::Text(_));
        named && matches!(self.peek_after(), Token::Sign(":" | "?" | "!"))
    }

    fn label(&mut self) -> Result<Label, BadProgram> {
        let line = self.line();
        let label = match self.take() {
            Token::Word(word) if word.starts_with('#') => Label::Definition(word),
            Token::Word(word) if word.starts_with('_') => {
                let problem = format!("hidden fields such as `{word}` are not read here");
                return Err(BadProgram::at(line, problem));
            }
            Token::Word(word)
                if matches!(word.as_str(), "if" | "for" | "let" | "import")
                    && !matches!(self.peek(), Token::Sign(":" | "?" | "!")) =>
            {
                return Err(BadProgram::at(line, format!("`{word}` is not read here")));
            }
            Token::Word(name) | Token::Text(name) => {
                let optional = self.eat("?");
                if !optional {
                    // Required and regular fields are the same here: both must be there.
                    self.eat("!");
                }
                Label::Field { name, optional }
            }
            Token::Sign("[") => {
                let pattern = self.disjunction()?;
                self.expect("]")?;
                Label::Pattern(pattern)
            }
            other => {
                let problem =
                    format!("wanted a field, found {other}; embeddings are not read here");
                return Err(BadProgram::at(line, problem));
            }
        };
        match self.take() {
            Token::Sign(":") => Ok(label),
            other => {
                let problem = format!("wanted `:` after a field's name, found {other}");
                Err(BadProgram::at(line, problem))
            }
        }
    }

    fn deeper(&mut self) -> Result<(), BadProgram> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.unread(&format!("nested deeper than {DEPTH_MAX}")));
        }
        Ok(())
    }

    fn disjunction(&mut self) -> Result<Constraint, BadProgram> {
        self.deeper()?;
        let mut any = vec![self.disjunct()?];
        while self.eat("|") {
            self.skip_newlines();
            any.push(self.disjunct()?);
        }
        self.depth -= 1;
        Ok(one_or(any, Constraint::Any))
    }

    fn disjunct(&mut self) -> Result<Constraint, BadProgram> {
        // A default is what CUE would supply where nothing stands; here something must stand.
        self.eat("*");
        let mut all = vec![self.operand()?];
        while self.eat("&") {
            self.skip_newlines();
            all.push(self.operand()?);
        }
        Ok(one_or(all, Constraint::All))
    }

    fn operand(&mut self) -> Result<Constraint, BadProgram> {
        let line = self.line();
        let constraint = match self.take() {
            Token::Sign("{") => {
                self.deeper()?;
                let mut within = Struct { open: !self.in_definition, ..Struct::default() };
                self.declarations(&mut within, false)?;
                self.expect("}")?;
                self.depth -= 1;
                Constraint::Struct(within)
            }
            Token::Sign("[") => self.list()?,
            Token::Sign("(") => {
                self.skip_newlines();
                let within = self.disjunction()?;
                self.skip_newlines();
                self.expect(")")?;
                within
            }
            Token::Sign(sign @ ("<" | "<=" | ">" | ">=" | "!=")) => {
                let bound = match sign {
                    "<" => Bound::Less,
                    "<=" => Bound::LessOrEqual,
                    ">" => Bound::More,
                    ">=" => Bound::MoreOrEqual,
                    _ => Bound::Not,
                };
                let limit = self.literal()?;
                let ordered = !matches!(limit, Literal::Null | Literal::Bool(_));
                if bound != Bound::Not && !ordered {
                    return Err(BadProgram::at(line, format!("`{sign}` wants a number or a text")));
                }
                Constraint::Bound(bound, limit)
            }
            Token::Sign(sign @ ("=~" | "!~")) => {
                let Token::Text(expression) = self.take() else {
                    return Err(BadProgram::at(line, format!("`{sign}` wants a text")));
                };
                self.expressions += 1;
                if self.expressions > EXPRESSIONS_MAX {
                    let problem = format!("more than {EXPRESSIONS_MAX} regular expressions");
                    return Err(BadProgram::at(line, problem));
                }
                let program = Regexp::parse(&expression)
                    .map_err(|error| BadProgram::at(line, error.to_string()))?;
                Constraint::Match { program, wanted: sign == "=~" }
            }
            Token::Word(word) if word.starts_with('#') => {
                self.references.push((line, word.clone()));
                Constraint::Definition(word)
            }
            Token::Word(word) => match word.as_str() {
                "_" => Constraint::Anything,
                "string" => Constraint::Kind(Kind::String),
                "int" => Constraint::Kind(Kind::Int),
                "float" => Constraint::Kind(Kind::Float),
                "number" => Constraint::Kind(Kind::Number),
                "bool" => Constraint::Kind(Kind::Bool),
                "null" => Constraint::Kind(Kind::Null),
                "true" => Constraint::Literal(Literal::Bool(true)),
                "false" => Constraint::Literal(Literal::Bool(false)),
                _ => {
                    let problem = format!(
                        "`{word}` is not read here: references lead to definitions (`#…`) only, and \
                         functions and packages are not read"
                    );
                    return Err(BadProgram::at(line, problem));
                }
            },
            token => {
                self.next -= 1;
                Constraint::Literal(
                    self.literal().map_err(|_| {
                        BadProgram::at(line, format!("wanted a value, found {token}"))
                    })?,
                )
            }
        };
        self.ends_operand()?;
        Ok(constraint)
    }

    /// A value may be followed only by what joins or ends values: no selector, index, call or
    /// arithmetic.
    fn ends_operand(&self) -> Result<(), BadProgram> {
        let ends = matches!(
            self.peek(),
            Token::End | Token::Newline | Token::Sign("," | "}" | "]" | ")" | "&" | "|")
        );
        if ends {
            return Ok(());
        }
        let problem =
            format!("{} after a value is not read here: nothing is computed", self.peek());
        Err(self.unread(&problem))
    }

    fn literal(&mut self) -> Result<Literal, BadProgram> {
        let line = self.line();
        let negative = self.eat("-");
        if !negative {
            self.eat("+");
        }
        match self.take() {
            Token::Text(text) if !negative => Ok(Literal::String(text)),
            Token::Word(word) if word == "null" && !negative => Ok(Literal::Null),
            Token::Word(word) if word == "true" && !negative => Ok(Literal::Bool(true)),
            Token::Word(word) if word == "false" && !negative => Ok(Literal::Bool(false)),
            Token::Int(value) => Ok(Literal::Int(if negative { -value } else { value })),
            Token::Float(value) => Ok(Literal::Float(if negative { -value } else { value })),
            other => Err(BadProgram::at(line, format!("wanted a literal, found {other}"))),
        }
    }

    fn list(&mut self) -> Result<Constraint, BadProgram> {
        self.deeper()?;
        let mut list = List::default();
        loop {
            self.skip_newlines();
            if self.eat("]") {
                break;
            }
            if self.eat("...") {
                let open = matches!(self.peek(), Token::Sign("]" | ",") | Token::Newline);
                let rest = if open { Constraint::Anything } else { self.disjunction()? };
                list.rest = Some(Box::new(rest));
                self.eat(",");
                self.skip_newlines();
                self.expect("]")?;
                break;
            }
            list.items.push(self.disjunction()?);
            self.skip_newlines();
            if !self.eat(",") {
                self.expect("]")?;
                break;
            }
        }
        self.depth -= 1;
        Ok(Constraint::List(list))
    }
}

fn one_or(mut all: Vec<Constraint>, many: fn(Vec<Constraint>) -> Constraint) -> Constraint {
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            all.extend(last);
            many(all)
        }
    }
}

//! A part of CUE, enough to say what a statement must look like; everything else is refused when
//! the policy is loaded, by name and line.
//!
//! The CUE language specification. Read here: structs, with regular, required (`a!:`), optional
//! (`a?:`) and pattern fields (`[=~"^x"]: …`) and `...`; definitions (`#A`) at the top, which close
//! their structs, and references to them; lists (`[a, b]`, `[...a]`); literals; `string`, `int`,
//! `float`, `number`, `bool`, `null` and `_`; bounds (`<`, `<=`, `>`, `>=`, `!=`); matches (`=~`,
//! `!~`); `&`, `|` and defaults (`*`). Not read: imports, references to fields, expressions that
//! compute, comprehensions, embeddings, aliases, attributes, interpolation.
//!
//! One difference: a field that a policy gives a value to must *be* in the statement. CUE would
//! supply it, so that a statement without it passes; whoever wants that writes `a?: …`.

mod parse;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Number, Value as Json};
use verify::predicate::Objection;

use super::{BadProgram, Engine, Facts, Watch, failed};
use crate::regexp::Regexp;

/// A loaded policy.
#[derive(Debug)]
pub struct Cue {
    top: Struct,
    definitions: BTreeMap<String, Constraint>,
}

/// What a value must be.
#[derive(Debug)]
enum Constraint {
    /// `_`.
    Anything,
    Kind(Kind),
    Literal(Literal),
    Bound(Bound, Literal),
    /// `=~`, or `!~` where it must not match.
    Match {
        program: Regexp,
        wanted: bool,
    },
    All(Vec<Constraint>),
    Any(Vec<Constraint>),
    Struct(Struct),
    List(List),
    /// By name, which is known to be there and to lead to no circle.
    Definition(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Null,
    Bool,
    Int,
    Float,
    Number,
    String,
}

#[derive(Clone, Debug, PartialEq)]
enum Literal {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    String(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    Not,
}

#[derive(Debug, Default)]
struct Struct {
    fields: Vec<Field>,
    /// The names of `fields`.
    names: BTreeSet<String>,
    patterns: Vec<(Constraint, Constraint)>,
    /// Whether other fields may be there: always, outside of definitions; in them with `...`.
    open: bool,
}

#[derive(Debug)]
struct Field {
    name: String,
    optional: bool,
    value: Constraint,
}

#[derive(Debug, Default)]
struct List {
    items: Vec<Constraint>,
    /// What further items must be, if there may be any.
    rest: Option<Box<Constraint>>,
}

impl Cue {
    /// Loads a policy.
    ///
    /// # Errors
    /// When it does not parse, or uses what is not read here.
    pub fn load(text: &str) -> Result<Self, BadProgram> {
        parse::policy(text)
    }
}

impl Engine for Cue {
    fn decide(&self, input: &str, _facts: &Facts, watch: Watch) -> Result<(), Objection> {
        let input: Json = serde_json::from_str(input).map_err(|error| failed(error.to_string()))?;
        walk::compare(self, &input, watch)
    }
}

impl Kind {
    fn holds(self, found: &Json) -> bool {
        match self {
            Self::Null => found.is_null(),
            Self::Bool => found.is_boolean(),
            Self::Int => found.is_i64() || found.is_u64(),
            Self::Float => found.is_f64(),
            Self::Number => found.is_number(),
            Self::String => found.is_string(),
        }
    }
}

/// A JSON number as CUE reads its text: with a point or an exponent it is a float.
fn number(found: &Number) -> Option<Literal> {
    let whole = found.as_i64().map(i128::from).or_else(|| found.as_u64().map(i128::from));
    whole.map(Literal::Int).or_else(|| found.as_f64().map(Literal::Float))
}

impl Literal {
    /// No text is copied: it may be as long as the statement.
    fn is(&self, found: &Json) -> bool {
        match (self, found) {
            (Self::Null, Json::Null) => true,
            (Self::Bool(wanted), Json::Bool(found)) => wanted == found,
            (Self::String(wanted), Json::String(found)) => wanted == found,
            (Self::Int(_) | Self::Float(_), Json::Number(found)) => {
                number(found).is_some_and(|found| found == *self)
            }
            _ => false,
        }
    }

    /// Order among numbers.
    fn order(&self, limit: &Self) -> Option<std::cmp::Ordering> {
        match (self, limit) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            _ => self.as_float()?.partial_cmp(&limit.as_float()?),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "only where the other side is a float anyway")]
    fn as_float(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }
}

impl Bound {
    fn holds(self, limit: &Literal, found: &Json) -> bool {
        match (limit, found) {
            // `!=null` is the one bound that any other kind of value meets.
            (Literal::Null, Json::Bool(_) | Json::Number(_) | Json::String(_)) => true,
            (Literal::Bool(limit), Json::Bool(found)) => self == Self::Not && limit != found,
            (Literal::String(limit), Json::String(found)) => self.allows(found.as_str().cmp(limit)),
            (Literal::Int(_) | Literal::Float(_), Json::Number(found)) => {
                let order = number(found).and_then(|found| found.order(limit));
                order.is_some_and(|order| self.allows(order))
            }
            _ => false,
        }
    }

    fn allows(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::More => order.is_gt(),
            Self::MoreOrEqual => order.is_ge(),
            Self::Not => order.is_ne(),
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::More => ">",
            Self::MoreOrEqual => ">=",
            Self::Not => "!=",
        }
    }
}

impl std::fmt::Display for Literal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::String(text) => write!(f, "{text:?}"),
        }
    }
}

impl std::fmt::Display for Constraint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Anything => f.write_str("anything"),
            Self::Kind(kind) => f.write_str(match kind {
                Kind::Null => "null",
                Kind::Bool => "bool",
                Kind::Int => "int",
                Kind::Float => "float",
                Kind::Number => "number",
                Kind::String => "string",
            }),
            Self::Literal(literal) => write!(f, "{literal}"),
            Self::Bound(bound, literal) => write!(f, "{}{literal}", bound.sign()),
            Self::Match { program, wanted } => {
                write!(f, "{}{:?}", if *wanted { "=~" } else { "!~" }, program.as_str())
            }
            Self::All(all) => joined(f, all, " & "),
            Self::Any(any) => joined(f, any, " | "),
            Self::Struct(_) => f.write_str("{…}"),
            Self::List(_) => f.write_str("[…]"),
            Self::Definition(name) => f.write_str(name),
        }
    }
}

fn joined(
    f: &mut std::fmt::Formatter<'_>,
    constraints: &[Constraint],
    between: &str,
) -> std::fmt::Result {
    for (index, constraint) in constraints.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        write!(f, "{constraint}")?;
    }
    Ok(())
}

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

use std::collections::BTreeMap;

use serde_json::{Number, Value as Json};
use verify::predicate::Objection;

use super::{BadProgram, Engine, Facts, failed};
use crate::regexp::Regexp;

/// Most comparisons of one value with one constraint: disjunctions of definitions multiply.
const STEPS_MAX: u32 = 4_000_000;

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
    fn decide(&self, input: &str, _facts: &Facts) -> Result<(), Objection> {
        let input: Json = serde_json::from_str(input).map_err(|error| failed(error.to_string()))?;
        let mut walk = Walk { cue: self, path: Vec::new(), steps: 0 };
        let outcome = walk.check_struct(&self.top, &input);
        // A disjunction may have got over having come to no answer.
        if walk.steps > STEPS_MAX {
            return Err(failed(format!("more than {STEPS_MAX} comparisons")));
        }
        outcome.map_err(|said| Objection::Refused { said: vec![said] })
    }
}

/// A statement being compared; tells the first thing that is not as wanted.
struct Walk<'c> {
    cue: &'c Cue,
    path: Vec<String>,
    steps: u32,
}

type Outcome = Result<(), String>;

impl Walk<'_> {
    fn check(&mut self, constraint: &Constraint, found: &Json) -> Outcome {
        self.steps = self.steps.saturating_add(1);
        if self.steps > STEPS_MAX {
            return Err("too many comparisons".to_owned());
        }
        let holds = match constraint {
            Constraint::Anything => true,
            Constraint::Kind(kind) => kind.holds(found),
            Constraint::Literal(literal) => literal.is(found),
            Constraint::Bound(bound, limit) => bound.holds(limit, found),
            Constraint::Match { program, wanted } => {
                found.as_str().is_some_and(|text| program.matches(text) == *wanted)
            }
            Constraint::All(all) => {
                return all.iter().try_for_each(|constraint| self.check(constraint, found));
            }
            Constraint::Any(any) => {
                let mut refused = None;
                for constraint in any {
                    match self.check(constraint, found) {
                        Ok(()) => return Ok(()),
                        Err(why) => refused = Some(why),
                    }
                }
                // With one way left it is worth telling; of many, none is.
                return match (refused, any.len()) {
                    (Some(why), 1) => Err(why),
                    _ => Err(self.told(constraint, found)),
                };
            }
            Constraint::Struct(wanted) => return self.check_struct(wanted, found),
            Constraint::List(wanted) => return self.check_list(wanted, found),
            Constraint::Definition(name) => {
                // Resolved when the policy was loaded.
                return match self.cue.definitions.get(name) {
                    Some(constraint) => self.check(constraint, found),
                    None => Err(format!("there is no {name}")),
                };
            }
        };
        if holds { Ok(()) } else { Err(self.told(constraint, found)) }
    }

    fn check_struct(&mut self, wanted: &Struct, found: &Json) -> Outcome {
        let Json::Object(found) = found else {
            return Err(self.say("an object", found));
        };
        for field in &wanted.fields {
            match found.get(&field.name) {
                Some(value) => self.below(&field.name, |walk| walk.check(&field.value, value))?,
                None if field.optional => {}
                None => {
                    return self.below(&field.name, |walk| Err(walk.place("it is missing")));
                }
            }
        }
        for (name, value) in found {
            let mut known = wanted.open || wanted.fields.iter().any(|field| field.name == *name);
            for (pattern, constraint) in &wanted.patterns {
                self.steps = self.steps.saturating_add(1);
                if self.check(pattern, &Json::from(name.as_str())).is_ok() {
                    known = true;
                    self.below(name, |walk| walk.check(constraint, value))?;
                }
            }
            if !known {
                return self.below(name, |walk| Err(walk.place("this field is not allowed")));
            }
        }
        Ok(())
    }

    fn check_list(&mut self, wanted: &List, found: &Json) -> Outcome {
        let Json::Array(found) = found else {
            return Err(self.say("a list", found));
        };
        let (least, more) = (wanted.items.len(), wanted.rest.is_some());
        if found.len() < least || (found.len() > least && !more) {
            let or_more = if more { " or more" } else { "" };
            return Err(
                self.place(&format!("wanted {least}{or_more} items, found {}", found.len()))
            );
        }
        for (index, value) in found.iter().enumerate() {
            let constraint = wanted.items.get(index).or(wanted.rest.as_deref());
            if let Some(constraint) = constraint {
                self.below(&index.to_string(), |walk| walk.check(constraint, value))?;
            }
        }
        Ok(())
    }

    fn below(&mut self, step: &str, check: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        self.path.push(step.chars().take(64).collect());
        let outcome = check(self);
        self.path.pop();
        outcome
    }

    fn place(&self, what: &str) -> String {
        if self.path.is_empty() {
            what.to_owned()
        } else {
            format!("{}: {what}", self.path.join("."))
        }
    }

    fn say(&self, wanted: &str, found: &Json) -> String {
        self.place(&format!("wanted {wanted}, found {}", shown(found)))
    }

    fn told(&self, wanted: &Constraint, found: &Json) -> String {
        self.say(&wanted.to_string(), found)
    }
}

/// A value in a few words.
fn shown(found: &Json) -> String {
    match found {
        Json::Object(_) => "an object".to_owned(),
        Json::Array(items) => format!("a list of {}", items.len()),
        Json::String(text) => {
            let cut: String = text.chars().take(80).collect();
            format!("{cut:?}")
        }
        other => other.to_string(),
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
    fn of(found: &Json) -> Option<Self> {
        match found {
            Json::Null => Some(Self::Null),
            Json::Bool(value) => Some(Self::Bool(*value)),
            Json::Number(value) => number(value),
            Json::String(text) => Some(Self::String(text.clone())),
            Json::Array(_) | Json::Object(_) => None,
        }
    }

    fn is(&self, found: &Json) -> bool {
        match (self, found) {
            (Self::String(wanted), Json::String(found)) => wanted == found,
            (Self::String(_), _) => false,
            _ => Self::of(found).is_some_and(|found| found == *self),
        }
    }

    /// Order among numbers, and among texts by their bytes; none between the two.
    fn order(&self, limit: &Self) -> Option<std::cmp::Ordering> {
        match (self, limit) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::String(a), Self::String(b)) => Some(a.cmp(b)),
            (Self::Int(_) | Self::Float(_), Self::Int(_) | Self::Float(_)) => {
                self.as_float()?.partial_cmp(&limit.as_float()?)
            }
            _ => None,
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
        use std::cmp::Ordering::{Equal, Greater, Less};
        let Some(found) = Literal::of(found) else { return false };
        if *limit == Literal::Null {
            // `!=null` is the one bound that any other kind of value meets.
            return found != Literal::Null;
        }
        if let (Literal::Bool(limit), Literal::Bool(found)) = (limit, &found) {
            return self == Self::Not && limit != found;
        }
        let Some(order) = found.order(limit) else { return false };
        match self {
            Self::Less => order == Less,
            Self::LessOrEqual => matches!(order, Less | Equal),
            Self::More => order == Greater,
            Self::MoreOrEqual => matches!(order, Greater | Equal),
            Self::Not => order != Equal,
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

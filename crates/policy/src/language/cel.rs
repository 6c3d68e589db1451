//! CEL: one expression that must be `true`. It sees `input`, the statement; `predicate`, what the
//! statement says; and `signer`, `digest`, `seen` and `now`.
//!
//! Common Expression Language, "Language Definition"; evaluated by the `cel` crate. CEL always ends,
//! but loops within loops over a long list would end late, so that the steps of all loops together
//! are counted and timed; the engine itself has no such bound.

mod nesting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, operators};
use cel::extractors::This;
use cel::parser::Parser;
use cel::{Context, ExecutionError, Value};
use serde_json::Value as Json;
use verify::predicate::Objection;

use super::{BadProgram, Engine, Facts, Watch, failed, words};
use crate::regexp::Regexp;

/// Longest expression read, in bytes.
pub const EXPRESSION_SIZE_MAX: usize = 8 * 1024;
/// Most steps of all loops together.
const STEPS_MAX: u64 = 250_000;

/// A count that no steps reach, from which on the time was over.
const OUT_OF_TIME: u64 = 1 << 60;

/// The function that counts steps; no source can name it.
const STEP: &str = "@step";

/// The function of the standard library that is ours: the language wants RE2's expressions, and the
/// engine would read another dialect ("Language Definition", "Regular Expressions").
const MATCHES: &str = "matches";

/// What an expression may refer to.
const VARIABLES: [&str; 6] = ["digest", "input", "now", "predicate", "seen", "signer"];

/// Functions of the standard library that are offered; `has`, `all`, `exists`, `exists_one`, `map`
/// and `filter` are loops, or no calls at all, once they are parsed.
const FUNCTIONS: [&str; 12] = [
    "bool",
    "bytes",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "int",
    MATCHES,
    "size",
    "startsWith",
    "string",
    "uint",
];

/// A loaded expression.
#[derive(Debug)]
pub struct Cel {
    expression: IdedExpr,
}

impl Cel {
    /// Loads an expression.
    ///
    /// # Errors
    /// When it does not parse, names what there is not, or joins texts or lists in the body of a
    /// `map`, whose size nothing would bound.
    pub fn load(text: &str) -> Result<Self, BadProgram> {
        if text.len() > EXPRESSION_SIZE_MAX {
            let problem = format!("longer than the {EXPRESSION_SIZE_MAX} bytes read");
            return Err(BadProgram::new(problem));
        }
        nesting::check(text)?;
        let (mut expression, source) =
            Parser::default().parse_with_source_info(text).map_err(|errors| {
                let first = errors.errors.first();
                let line = first.and_then(|error| usize::try_from(error.pos.0).ok());
                let problem = first.map_or_else(|| errors.to_string(), |error| error.msg.clone());
                BadProgram { line, problem: words(&problem) }
            })?;
        let line = |id| {
            let (start, _) = source.offset_for(id)?;
            Some(1 + text.chars().take(start as usize).filter(|c| *c == '\n').count())
        };
        let refuse = |id, problem: String| BadProgram { line: line(id), problem };
        check_names(&expression, &mut Vec::new(), &refuse)?;
        count_steps(&mut expression, false, &refuse)?;
        Ok(Self { expression })
    }
}

impl Engine for Cel {
    fn decide(&self, input: &str, facts: &Facts, watch: Watch) -> Result<(), Objection> {
        let input: Json = serde_json::from_str(input).map_err(|error| failed(error.to_string()))?;
        let mut context = Context::default();
        let steps = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&steps);
        let step = move || -> Result<bool, ExecutionError> {
            // A step may look through a long text, or copy a long list.
            if watch.is_over() {
                counted.store(OUT_OF_TIME, Ordering::Relaxed);
            }
            if counted.fetch_add(1, Ordering::Relaxed) < STEPS_MAX {
                Ok(true)
            } else {
                Err(ExecutionError::function_error(STEP, "too many steps"))
            }
        };
        context
            .add_function(STEP, step)
            .and_then(|()| context.add_function(MATCHES, matches))
            .map_err(|error| failed(words(&error.to_string())))?;
        let predicate = input.get("predicate").cloned().unwrap_or(Json::Null);
        let Json::Object(mut told) = facts.to_json() else { return Err(failed("no facts")) };
        told.insert("input".to_owned(), input);
        told.insert("predicate".to_owned(), predicate);
        for (name, value) in told {
            context.add_variable_from_value(name, value_of(value));
        }
        let answer = context.resolve(&self.expression);
        // An error in one half of an `||` is no error when the other half is true: so the count is
        // asked, not the answer.
        match steps.load(Ordering::Relaxed) {
            OUT_OF_TIME.. => return Err(failed(watch.over())),
            count if count > STEPS_MAX => {
                return Err(failed(format!("more than {STEPS_MAX} steps")));
            }
            _ => {}
        }
        match answer {
            Ok(Value::Bool(true)) => Ok(()),
            Ok(Value::Bool(false)) => Err(Objection::Refused { said: Vec::new() }),
            Ok(other) => Err(failed(format!("the answer is {}, not a Boolean", other.type_of()))),
            // The error's own words may hold the whole statement.
            Err(error) => Err(failed(words(&error_in_few_words(&error)))),
        }
    }
}

/// Whether an expression matches anywhere in a text.
fn matches(This(text): This<Arc<String>>, expression: Arc<String>) -> Result<bool, ExecutionError> {
    let refuse = |error: &dyn std::fmt::Display| ExecutionError::function_error(MATCHES, error);
    let regexp = Regexp::parse(&expression).map_err(|error| refuse(&error))?;
    regexp.look_through(&text).map_err(|error| refuse(&error))
}

fn error_in_few_words(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("there is no `{key:.64}`"),
        ExecutionError::UndeclaredReference(name) => format!("there is no `{name:.64}`"),
        ExecutionError::NoSuchOverload(overload) => {
            format!("`{}` does not take these types", overload.function())
        }
        ExecutionError::UnexpectedType { want, .. } => format!("a {want:.64} is wanted"),
        ExecutionError::FunctionError { function, message } => {
            format!("`{function}`: {message:.200}")
        }
        other => {
            format!("{other:.0?}").split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
        }
    }
}

/// JSON as CEL sees it: whole numbers are `int`, others `double`.
fn value_of(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(value),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(value), _, _) => Value::Int(value),
            (None, Some(value), _) => Value::UInt(value),
            (None, None, value) => Value::Float(value.unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(Arc::new(text)),
        Json::Array(items) => Value::List(Arc::new(items.into_iter().map(value_of).collect())),
        Json::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, value_of(value)));
            Value::from(fields.collect::<std::collections::HashMap<String, Value>>())
        }
    }
}

type Refuse<'r> = dyn Fn(u64, String) -> BadProgram + 'r;

/// Every name must be one of [`VARIABLES`] or bound by a loop around it: a name that is misspelt
/// would be found only when a statement comes that needs it.
fn check_names(
    node: &IdedExpr,
    bound: &mut Vec<String>,
    refuse: &Refuse<'_>,
) -> Result<(), BadProgram> {
    match &node.expr {
        Expr::Ident(name) => {
            let known = VARIABLES.contains(&name.as_str()) || bound.contains(name);
            if known || name.starts_with('@') {
                return Ok(());
            }
            let problem = format!("unknown name `{name:.64}`; there is {}", VARIABLES.join(", "));
            Err(refuse(node.id, problem))
        }
        Expr::Comprehension(it) => {
            check_names(&it.iter_range, bound, refuse)?;
            check_names(&it.accu_init, bound, refuse)?;
            let before = bound.len();
            bound.push(it.iter_var.clone());
            bound.extend(it.iter_var2.clone());
            bound.push(it.accu_var.clone());
            for below in [&it.loop_cond, &it.loop_step, &it.result] {
                check_names(below, bound, refuse)?;
            }
            bound.truncate(before);
            Ok(())
        }
        Expr::Call(it) if !is_known_function(&it.func_name) => {
            Err(refuse(node.id, format!("the function `{:.64}` is not offered here", it.func_name)))
        }
        _ => below(node).into_iter().try_for_each(|below| check_names(below, bound, refuse)),
    }
}

fn is_known_function(name: &str) -> bool {
    // The parser's own names for operators cannot be written.
    let operator = name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    operator || FUNCTIONS.contains(&name)
}

fn below(node: &IdedExpr) -> Vec<&IdedExpr> {
    match &node.expr {
        Expr::Call(it) => it.target.iter().map(AsRef::as_ref).chain(&it.args).collect(),
        Expr::List(it) => it.elements.iter().collect(),
        Expr::Select(it) => vec![&it.operand],
        Expr::Map(it) => it.entries.iter().flat_map(|entry| of_entry(&entry.expr)).collect(),
        Expr::Struct(it) => it.entries.iter().flat_map(|entry| of_entry(&entry.expr)).collect(),
        Expr::Comprehension(_) | Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {
            Vec::new()
        }
    }
}

fn of_entry(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

/// Has every turn of every loop counted, and refuses to gather in a list what grows in each turn.
/// `gathered` says whether the value goes into such a list.
fn count_steps(node: &mut IdedExpr, gathered: bool, refuse: &Refuse<'_>) -> Result<(), BadProgram> {
    let id = node.id;
    match &mut node.expr {
        Expr::Comprehension(it) => {
            count_steps(&mut it.iter_range, gathered, refuse)?;
            let gathers = gathered || matches!(it.accu_init.expr, Expr::List(_));
            count_steps(&mut it.loop_step, gathers, refuse)?;
            let condition = std::mem::take(&mut it.loop_cond);
            let call = |name: &str, args| {
                let call = CallExpr { func_name: name.to_owned(), target: None, args };
                IdedExpr { id, expr: Expr::Call(call) }
            };
            it.loop_cond = call(operators::LOGICAL_AND, vec![call(STEP, Vec::new()), condition]);
            Ok(())
        }
        Expr::Call(it) => {
            let name = it.func_name.as_str();
            // `map` and `filter` themselves add to their list, which the parser calls `@result`.
            let own = |first: Option<&IdedExpr>| {
                first.is_some_and(
                    |it| matches!(&it.expr, Expr::Ident(name) if name.starts_with('@')),
                )
            };
            if gathered && name == operators::ADD && !own(it.args.first()) {
                let problem = "`+` in what `map` gathers is not offered here".to_owned();
                return Err(refuse(id, problem));
            }
            // What a condition asks is not gathered.
            let asks = name == operators::CONDITIONAL;
            let all = it.target.iter_mut().map(AsMut::as_mut).chain(&mut it.args);
            all.enumerate().try_for_each(|(index, below)| {
                count_steps(below, gathered && !(asks && index == 0), refuse)
            })
        }
        Expr::List(it) => {
            it.elements.iter_mut().try_for_each(|below| count_steps(below, gathered, refuse))
        }
        Expr::Select(it) => count_steps(&mut it.operand, gathered, refuse),
        Expr::Map(it) => it.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
            EntryExpr::StructField(field) => count_steps(&mut field.value, gathered, refuse),
            EntryExpr::MapEntry(entry) => {
                count_steps(&mut entry.key, gathered, refuse)?;
                count_steps(&mut entry.value, gathered, refuse)
            }
        }),
        Expr::Struct(_) => Err(refuse(id, "messages are not offered here".to_owned())),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Ok(()),
    }
}

//! A statement compared with a policy, from the top down, until the first thing that is not as wanted
//! or a bound.

use serde_json::Value as Json;
use verify::predicate::Objection;

use super::super::{Watch, failed, words};
use super::{Constraint, Cue, List, Struct};

/// Most comparisons of one value with one constraint: disjunctions of definitions multiply.
const STEPS_MAX: usize = 4_000_000;
/// Bytes of a text looked through that are as much work as one comparison.
const STEP_SIZE: usize = 64;
/// Steps between looks at the clock.
const TIME_CHECK_INTERVAL: usize = 64;

/// Compares a whole statement.
pub(super) fn compare(cue: &Cue, statement: &Json, watch: Watch) -> Result<(), Objection> {
    let mut walk = Walk { cue, path: Vec::new(), steps: 0, quiet: 0, watch };
    walk.check_struct(&cue.top, statement).map_err(|no| match no {
        No::Differs(said) => Objection::Refused { said: vec![said] },
        No::GivenUp(problem) => failed(problem),
    })
}

/// A statement being compared; tells the first thing that is not as wanted.
struct Walk<'c> {
    cue: &'c Cue,
    path: Vec<String>,
    steps: usize,
    /// How often [`Self::quietly`] is under way.
    quiet: usize,
    watch: Watch,
}

/// Why a value is not accepted.
enum No {
    /// It is not as wanted; with its place.
    Differs(String),
    /// A bound was reached before that was known. Nothing gets over it: no other way of a
    /// disjunction is tried, and a pattern that may match has not failed to.
    GivenUp(String),
}

type Outcome = Result<(), No>;

impl Walk<'_> {
    /// Counts a comparison that looks through so many bytes.
    fn step(&mut self, size: usize) -> Outcome {
        let before = self.steps;
        self.steps = before.saturating_add(1 + size / STEP_SIZE);
        if self.steps > STEPS_MAX {
            return Err(No::GivenUp(format!("more than {STEPS_MAX} comparisons")));
        }
        let is_due = before / TIME_CHECK_INTERVAL != self.steps / TIME_CHECK_INTERVAL;
        if is_due && self.watch.is_over() {
            return Err(No::GivenUp(self.watch.over()));
        }
        Ok(())
    }

    fn check(&mut self, constraint: &Constraint, found: &Json) -> Outcome {
        self.step(0)?;
        let holds = match constraint {
            Constraint::Anything => true,
            Constraint::Kind(kind) => kind.holds(found),
            Constraint::Literal(literal) => literal.is(found),
            Constraint::Bound(bound, limit) => bound.holds(limit, found),
            Constraint::Match { program, wanted } => match found.as_str() {
                Some(text) => {
                    self.step(text.len())?;
                    let matches = program.look_through(text);
                    matches.map_err(|error| No::GivenUp(error.to_string()))? == *wanted
                }
                None => false,
            },
            Constraint::All(all) => {
                return all.iter().try_for_each(|constraint| self.check(constraint, found));
            }
            Constraint::Any(any) => self.quietly(|walk| {
                for constraint in any {
                    if walk.holds(constraint, found)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            })?,
            Constraint::Struct(wanted) => return self.check_struct(wanted, found),
            Constraint::List(wanted) => return self.check_list(wanted, found),
            Constraint::Definition(name) => {
                // Resolved when the policy was loaded.
                return match self.cue.definitions.get(name) {
                    Some(constraint) => self.check(constraint, found),
                    None => Err(No::GivenUp(format!("there is no {name}"))),
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
                None if field.optional => self.step(0)?,
                None => {
                    return self.below(&field.name, |walk| Err(walk.place("it is missing")));
                }
            }
        }
        if wanted.open && wanted.patterns.is_empty() {
            return Ok(());
        }
        for (name, value) in found {
            self.step(0)?;
            let mut known = wanted.open || wanted.names.contains(name);
            let name_found = Json::from(name.as_str());
            for (pattern, constraint) in &wanted.patterns {
                if self.quietly(|walk| walk.holds(pattern, &name_found))? {
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

    fn holds(&mut self, constraint: &Constraint, found: &Json) -> Result<bool, No> {
        match self.check(constraint, found) {
            Ok(()) => Ok(true),
            Err(No::Differs(_)) => Ok(false),
            Err(given_up) => Err(given_up),
        }
    }

    /// Asks without putting into words what is not as wanted: of several ways none is worth telling.
    fn quietly<T>(&mut self, ask: impl FnOnce(&mut Self) -> T) -> T {
        self.quiet += 1;
        let answer = ask(self);
        self.quiet -= 1;
        answer
    }

    fn below(&mut self, step: &str, check: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        self.path.push(step.chars().take(64).collect());
        let outcome = check(self);
        self.path.pop();
        outcome
    }

    fn place(&self, what: &str) -> No {
        No::Differs(if self.path.is_empty() || self.quiet > 0 {
            what.to_owned()
        } else {
            format!("{}: {what}", self.path.join("."))
        })
    }

    fn say(&self, wanted: &str, found: &Json) -> No {
        self.place(&format!("wanted {wanted}, found {}", shown(found)))
    }

    fn told(&self, wanted: &Constraint, found: &Json) -> No {
        if self.quiet > 0 {
            return No::Differs(String::new());
        }
        self.say(&words(&wanted.to_string()), found)
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

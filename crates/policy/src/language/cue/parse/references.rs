//! Where references lead: each to a definition, none back to itself, and only so deep.
//!
//! A comparison recurses as deep as constraints stand within each other, with what definitions mean
//! in the place of their names; a stack that overflows ends the process. Walks without recursion,
//! because a chain of definitions may be as long as the policy.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Constraint, List, Struct};
use super::Definition;
use crate::language::BadProgram;

/// Deepest that constraints stand within each other. A statement itself nests 128 deep at most.
const HEIGHT_MAX: usize = 256;

/// Checks every reference of a policy, each with its line.
pub(super) fn check(
    references: &[(usize, String)],
    definitions: &BTreeMap<String, Definition>,
    top: &Struct,
) -> Result<(), BadProgram> {
    for (line, name) in references {
        if !definitions.contains_key(name) {
            return Err(BadProgram::at(*line, format!("there is no definition `{name}`")));
        }
    }
    let too_deep = format!("nested deeper than {HEIGHT_MAX}, with the definitions in it");
    let mut heights = Heights::new();
    for name in definitions.keys() {
        // Those on the way to here, and whatever waits beside them.
        let (mut open, mut waiting) = (BTreeSet::new(), vec![name.as_str()]);
        while let Some(&name) = waiting.last() {
            let definition = definitions.get(name);
            let Some(definition) = definition.filter(|_| !heights.contains_key(name)) else {
                waiting.pop();
                continue;
            };
            if open.insert(name) {
                let refers = definition.refers.iter().map(String::as_str);
                for next in refers.filter(|next| !heights.contains_key(next)) {
                    if open.contains(next) {
                        let problem = format!("`{next}` refers to itself, which is not read here");
                        return Err(BadProgram::at(definition.line, problem));
                    }
                    waiting.push(next);
                }
            } else {
                let height = height(&definition.value, &heights);
                if height > HEIGHT_MAX {
                    return Err(BadProgram::at(definition.line, too_deep));
                }
                heights.insert(name, height);
            }
        }
    }
    if height_of_struct(top, &heights) > HEIGHT_MAX {
        return Err(BadProgram::new(too_deep));
    }
    Ok(())
}

/// How deep constraints stand within each definition.
type Heights<'a> = BTreeMap<&'a str, usize>;

fn height(constraint: &Constraint, of_definitions: &Heights<'_>) -> usize {
    match constraint {
        Constraint::Anything
        | Constraint::Kind(_)
        | Constraint::Literal(_)
        | Constraint::Bound(..)
        | Constraint::Match { .. } => 1,
        Constraint::All(all) | Constraint::Any(all) => 1 + highest(all, of_definitions),
        Constraint::Struct(within) => height_of_struct(within, of_definitions),
        Constraint::List(List { items, rest }) => {
            1 + highest(items.iter().chain(rest.as_deref()), of_definitions)
        }
        Constraint::Definition(name) => {
            1 + of_definitions.get(name.as_str()).copied().unwrap_or_default()
        }
    }
}

fn height_of_struct(within: &Struct, of_definitions: &Heights<'_>) -> usize {
    let fields = within.fields.iter().map(|field| &field.value);
    let patterns = within.patterns.iter().flat_map(|(pattern, value)| [pattern, value]);
    1 + highest(fields.chain(patterns), of_definitions)
}

fn highest<'c>(
    all: impl IntoIterator<Item = &'c Constraint>,
    of_definitions: &Heights<'_>,
) -> usize {
    all.into_iter().map(|it| height(it, of_definitions)).max().unwrap_or_default()
}

//! Reads a YAML tree field by field, strictly: what is not asked for is a problem, as is a value
//! of another type. All problems of a text are gathered, not only the first.
//!
//! As in Kubernetes' Go types, null and the empty string are the same as an absent field.

use crate::problem::{Problem, Wrong};
use crate::quoted::cut;
use crate::yaml::{Node, Value};

/// Longest text of one field, in bytes, where the field has no closer bound: policies in CUE and
/// Rego are the longest that occur.
const TEXT_SIZE_MAX: usize = 256 * 1024;

/// Most entries of one list: a bound on the work per request, well above any policy seen.
pub const ENTRIES_MAX: usize = 256;

/// A node together with the path that led to it.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    pub(crate) node: &'a Node,
    pub(crate) path: String,
}

/// The fields of one map. [`Fields::close`] must end every reading.
pub(crate) struct Fields<'a> {
    entries: &'a [(String, Node)],
    line: usize,
    path: String,
    asked: Vec<&'static str>,
}

/// The problems gathered so far.
pub(crate) type Found = Vec<Problem>;

impl<'a> Place<'a> {
    pub(crate) fn root(node: &'a Node) -> Self {
        Self { node, path: String::new() }
    }

    pub(crate) fn problem(&self, wrong: Wrong) -> Problem {
        Problem::at(self.node.line, &self.path, wrong)
    }

    fn wrong_type(&self, wanted: &'static str) -> Problem {
        self.problem(Wrong::WrongType { wanted, found: self.node.value.kind() })
    }

    /// The map here.
    pub(crate) fn map(&self, found: &mut Found) -> Option<Fields<'a>> {
        let Value::Map(entries) = &self.node.value else {
            found.push(self.wrong_type("a map"));
            return None;
        };
        let (line, path) = (self.node.line, self.path.clone());
        Some(Fields { entries, line, path, asked: Vec::new() })
    }

    /// The list here, at most [`ENTRIES_MAX`] long.
    pub(crate) fn list(&self, found: &mut Found) -> Vec<Place<'a>> {
        let Value::List(items) = &self.node.value else {
            found.push(self.wrong_type("a list"));
            return Vec::new();
        };
        if items.len() > ENTRIES_MAX {
            found.push(self.problem(Wrong::TooMany { max: ENTRIES_MAX }));
            return Vec::new();
        }
        let place = |(index, node)| Place { node, path: format!("{}[{index}]", self.path) };
        items.iter().enumerate().map(place).collect()
    }

    /// The text here; `None` if it is empty.
    pub(crate) fn text(&self, found: &mut Found) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) if text.len() > TEXT_SIZE_MAX => {
                found.push(self.problem(Wrong::TooLong { max: TEXT_SIZE_MAX }));
                None
            }
            Value::Text(text) => Some(text.as_str()).filter(|text| !text.is_empty()),
            _ => {
                found.push(self.wrong_type("text"));
                None
            }
        }
    }
}

impl<'a> Fields<'a> {
    /// The field of that name, unless absent or null.
    pub(crate) fn get(&mut self, name: &'static str) -> Option<Place<'a>> {
        self.asked.push(name);
        let (_, node) = self.entries.iter().find(|(key, _)| key == name)?;
        let path = self.path_of(name);
        (node.value != Value::Null).then_some(Place { node, path })
    }

    /// Reads a field that has to be there; its absence is a problem.
    pub(crate) fn require(&mut self, name: &'static str, found: &mut Found) -> Option<Place<'a>> {
        let place = self.get(name);
        if place.is_none() {
            found.push(self.problem(name, Wrong::Missing));
        }
        place
    }

    /// Text, unless absent, null or empty.
    pub(crate) fn text(&mut self, name: &'static str, found: &mut Found) -> Option<&'a str> {
        self.get(name)?.text(found)
    }

    /// Text that has to be there.
    pub(crate) fn require_text(
        &mut self,
        name: &'static str,
        found: &mut Found,
    ) -> Option<&'a str> {
        let before = found.len();
        let text = self.text(name, found);
        if text.is_none() && found.len() == before {
            found.push(self.problem(name, Wrong::Missing));
        }
        text
    }

    /// A Boolean, unless absent or null.
    pub(crate) fn boolean(&mut self, name: &'static str, found: &mut Found) -> Option<bool> {
        let place = self.get(name)?;
        if let Value::Boolean(value) = place.node.value {
            return Some(value);
        }
        found.push(place.wrong_type("a Boolean"));
        None
    }

    /// A list; empty if absent or null.
    pub(crate) fn list(&mut self, name: &'static str, found: &mut Found) -> Vec<Place<'a>> {
        self.get(name).map(|place| place.list(found)).unwrap_or_default()
    }

    /// A list that has to be there, with at least one entry.
    pub(crate) fn require_list(&mut self, name: &'static str, found: &mut Found) -> Vec<Place<'a>> {
        let before = found.len();
        let list = self.list(name, found);
        if list.is_empty() && found.len() == before {
            found.push(self.problem(name, Wrong::Missing));
        }
        list
    }

    /// A problem with the field of that name, also when it is absent.
    pub(crate) fn problem(&self, name: &str, wrong: Wrong) -> Problem {
        let present = self.entries.iter().find(|(key, _)| key == name);
        let line = present.map_or(self.line, |(_, node)| node.line);
        Problem::at(line, self.path_of(name), wrong)
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Ends the reading: whatever nobody asked for is unknown.
    pub(crate) fn close(self, found: &mut Found) {
        for (key, node) in self.entries {
            if !self.asked.contains(&key.as_str()) {
                let nearest = nearest(key, &self.asked);
                // The name is the author's, so it may hold anything.
                let path = self.path_of(&cut(key));
                found.push(Problem::at(node.line, path, Wrong::Unknown { nearest }));
            }
        }
    }
}

/// The known name within two typing errors of `key`.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    if key.len() > 64 {
        return None;
    }
    let (distance, name) = known.iter().map(|name| (distance(key, name), *name)).min()?;
    (distance <= 2).then_some(name)
}

/// Letters to insert, delete or replace (Levenshtein), ignoring case.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

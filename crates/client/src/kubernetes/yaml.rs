//! A kubeconfig's YAML, and with it JSON, as a tree; bounded in size and depth.
//!
//! Plain scalars are read by YAML 1.2's core schema (§10.3.2) as far as a kubeconfig has them: null,
//! true and false; everything else is text. Tags, directives, aliases, keys that are no scalars and
//! keys that come twice are refused: `kubectl` writes none, and what only we understand must not be
//! understood.

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// Longest file read, in bytes. A cluster with its certificates takes about 8 KiB.
pub(super) const TEXT_SIZE_MAX: u64 = 4 << 20;

/// Deepest nesting. A plugin's configuration nests 6 deep.
const DEPTH_MAX: usize = 32;

/// Why text is no YAML that is read here. The text is not quoted: it may hold passwords.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum YamlError {
    /// Not YAML.
    #[error("line {line}: not YAML")]
    Syntax {
        /// Line, counted from 1.
        line: usize,
    },
    /// Nested too deep.
    #[error("line {line}: nested deeper than {DEPTH_MAX}")]
    TooDeep {
        /// Line, counted from 1.
        line: usize,
    },
    /// Something that a kubeconfig has no use for.
    #[error("line {line}: {what} are not read")]
    Unread {
        /// Line, counted from 1.
        line: usize,
        /// What it is.
        what: &'static str,
    },
    /// The same key twice in one map.
    #[error("line {line}: a key comes a second time")]
    DuplicateKey {
        /// Line of the second, counted from 1.
        line: usize,
    },
}

enum Open {
    List(Vec<Value>),
    Map { entries: Map<String, Value>, key: Option<String> },
}

/// Reads one document; an empty one is null. Puts events together without recursion.
pub(super) fn parse(text: &str) -> Result<Value, YamlError> {
    let options = granit_parser::options! { disallow_directives: true };
    let mut open: Vec<Open> = Vec::new();
    let mut document = None;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) =
            event.map_err(|error| YamlError::Syntax { line: error.marker().line() })?;
        let line = span.start.line();
        let unread = |what| YamlError::Unread { line, what };
        let tagged = matches!(
            event,
            Event::Scalar(_, _, _, Some(_))
                | Event::SequenceStart(_, _, Some(_))
                | Event::MappingStart(_, _, Some(_))
        );
        if tagged {
            return Err(unread("tags"));
        }
        let wants_key = matches!(open.last(), Some(Open::Map { key: None, .. }));
        let value = match event {
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd => continue,
            Event::Scalar(text, style, ..) => match open.last_mut() {
                Some(Open::Map { entries, key: key @ None }) => {
                    if entries.contains_key(text.as_ref()) {
                        return Err(YamlError::DuplicateKey { line });
                    }
                    *key = Some(text.into_owned());
                    continue;
                }
                _ => scalar(&text, style),
            },
            Event::SequenceStart(..) | Event::MappingStart(..) if wants_key => {
                return Err(unread("keys that are no text"));
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() == DEPTH_MAX => {
                return Err(YamlError::TooDeep { line });
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map { entries: Map::new(), key: None });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(items)) => Value::Array(items),
                Some(Open::Map { entries, .. }) => Value::Object(entries),
                None => return Err(YamlError::Syntax { line }),
            },
            Event::Alias(_) => return Err(unread("aliases")),
            // The options ask for no other event; what we do not know must not vanish.
            _ => return Err(unread("constructs of this kind")),
        };
        match open.last_mut() {
            Some(Open::List(items)) => items.push(value),
            Some(Open::Map { entries, key }) => {
                let key = key.take().ok_or(YamlError::Syntax { line })?;
                entries.insert(key, value);
            }
            None if document.is_none() => document = Some(value),
            None => return Err(unread("several documents")),
        }
    }
    Ok(document.unwrap_or(Value::Null))
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    match text {
        _ if style != ScalarStyle::Plain => text.into(),
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        text => text.into(),
    }
}

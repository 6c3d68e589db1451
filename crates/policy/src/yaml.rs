//! YAML documents, and with them JSON, into a tree that knows its lines; bounded in size, depth,
//! number of documents and expansion of aliases.
//!
//! Plain scalars are read by YAML 1.2's core schema (§10.3.2). What YAML 1.1, which `kubectl`
//! reads, takes for a Boolean and 1.2 for text (`yes`, `off`, …) is refused, so that a policy cannot
//! mean one thing in a cluster and another here. Tags, directives and keys that are no scalars are
//! refused; a key that comes twice is refused.
//!
//! The events come from `granit-parser`: pure Rust without `unsafe`, fuzzed, and maintained; the
//! crates that would have built the tree for us are archived (`serde_yaml`), or hide lines and
//! bounds.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::quoted::cut;

/// Longest text read, in bytes. etcd, which holds policies in a cluster, takes 1.5 MiB a request.
pub const TEXT_SIZE_MAX: usize = 1 << 20;

/// Most documents in one text.
pub const DOCUMENTS_MAX: usize = 512;

/// Deepest nesting of lists and maps. A ClusterImagePolicy in a `List` nests 12 deep.
pub const DEPTH_MAX: usize = 48;

/// Most that aliases may expand to, in bytes of text and [`NODE_WEIGHT`] for each node.
pub const EXPANSION_MAX: usize = 8 << 20;

/// What one node counts towards [`EXPANSION_MAX`] beside its text: about what it takes in memory.
const NODE_WEIGHT: usize = 64;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Line, counted from 1.
    pub(crate) line: usize,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Boolean(bool),
    /// As written: no policy field is a number, so none is ever converted.
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// In the order written; no key comes twice.
    Map(Vec<(String, Node)>),
}

impl Value {
    /// What it is, for "wanted …, found …".
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean(_) => "a Boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// Why text is no YAML that is read here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum YamlError {
    /// Longer than [`TEXT_SIZE_MAX`].
    #[error("a policy file of {found} bytes is longer than the {TEXT_SIZE_MAX} read")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// More than [`DOCUMENTS_MAX`].
    #[error("more than {DOCUMENTS_MAX} documents in one file")]
    TooManyDocuments,
    /// Not YAML.
    #[error("line {line}: {message}")]
    Syntax {
        /// Line, counted from 1.
        line: usize,
        /// The parser's words.
        message: String,
    },
    /// Lists and maps nested deeper than [`DEPTH_MAX`].
    #[error("line {line}: nested deeper than {DEPTH_MAX}")]
    TooDeep {
        /// Line, counted from 1.
        line: usize,
    },
    /// Aliases that expand to more than [`EXPANSION_MAX`].
    #[error("line {line}: aliases expand to more than {EXPANSION_MAX} bytes")]
    ExpandsTooFar {
        /// Line, counted from 1.
        line: usize,
    },
    /// An alias inside of what it stands for.
    #[error("line {line}: an alias stands for what contains it")]
    AliasOfItself {
        /// Line, counted from 1.
        line: usize,
    },
    /// A tag such as `!!binary`.
    #[error("line {line}: tags are not read")]
    Tag {
        /// Line, counted from 1.
        line: usize,
    },
    /// A key that is a list, a map or an alias.
    #[error("line {line}: a key must be plain or quoted text")]
    BadKey {
        /// Line, counted from 1.
        line: usize,
    },
    /// The same key twice in one map.
    #[error("line {line}: the key `{key}` comes a second time")]
    DuplicateKey {
        /// Line of the second, counted from 1.
        line: usize,
        /// The key, cut to 80 characters, control characters escaped.
        key: String,
    },
    /// A word that YAML 1.1 and 1.2 read differently.
    #[error("line {line}: `{found}` is a Boolean in YAML 1.1 and text in 1.2; quote it")]
    AmbiguousWord {
        /// Line, counted from 1.
        line: usize,
        /// The word.
        found: String,
    },
}

/// Reads all documents. Empty ones (nothing between two `---`) are left out.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, YamlError> {
    if text.len() > TEXT_SIZE_MAX {
        return Err(YamlError::TooLong { found: text.len() });
    }
    let options = granit_parser::options! { disallow_directives: true };
    let mut builder = Builder::default();
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| YamlError::Syntax {
            line: error.marker().line(),
            message: error.info(),
        })?;
        if matches!(event, Event::DocumentStart(..)) {
            documents += 1;
            if documents > DOCUMENTS_MAX {
                return Err(YamlError::TooManyDocuments);
            }
        }
        builder.take(event, span)?;
    }
    Ok(builder.documents)
}

/// Puts events together without recursion.
#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Collection>,
    anchors: HashMap<usize, Node>,
    expanded: usize,
}

struct Collection {
    line: usize,
    anchor: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Map { entries: Vec<(String, Node)>, keys: HashSet<String>, key: Option<String> },
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let line = span.start.line();
        match event {
            // The parser ends anchors with their document, and gives every one its own number.
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd => Ok(()),
            Event::Scalar(text, style, anchor, tag) => {
                if tag.is_some() {
                    return Err(YamlError::Tag { line });
                }
                if self.wants_key() {
                    return self.put_key(text.into_owned(), line);
                }
                let value = scalar(text, style, line)?;
                self.put(Node { line, value }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(Items::List(Vec::new()), line, anchor, tag.is_some())
            }
            Event::MappingStart(_, anchor, tag) => {
                let items = Items::Map { entries: Vec::new(), keys: HashSet::new(), key: None };
                self.open(items, line, anchor, tag.is_some())
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(closed) = self.open.pop() else { return Ok(()) };
                let value = match closed.items {
                    Items::List(items) => Value::List(items),
                    Items::Map { entries, .. } => Value::Map(entries),
                };
                self.put(Node { line: closed.line, value }, closed.anchor)
            }
            Event::Alias(anchor) => {
                if self.wants_key() {
                    return Err(YamlError::BadKey { line });
                }
                // Only complete nodes are known, so an alias cannot reach its own parent.
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or(YamlError::AliasOfItself { line })?;
                self.count_copy(&node, line)?;
                self.put(node, 0)
            }
            // The options ask for no other event; what we do not know must not vanish.
            _ => Err(YamlError::Syntax { line, message: "a construct that is not read".into() }),
        }
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Collection { items: Items::Map { key: None, .. }, .. }))
    }

    fn put_key(&mut self, text: String, line: usize) -> Result<(), YamlError> {
        let Some(Collection { items: Items::Map { keys, key, .. }, .. }) = self.open.last_mut()
        else {
            return Err(YamlError::BadKey { line });
        };
        if !keys.insert(text.clone()) {
            return Err(YamlError::DuplicateKey { line, key: cut(&text) });
        }
        *key = Some(text);
        Ok(())
    }

    fn open(
        &mut self,
        items: Items,
        line: usize,
        anchor: usize,
        tagged: bool,
    ) -> Result<(), YamlError> {
        if tagged {
            return Err(YamlError::Tag { line });
        }
        if self.wants_key() {
            return Err(YamlError::BadKey { line });
        }
        if self.open.len() == DEPTH_MAX {
            return Err(YamlError::TooDeep { line });
        }
        self.open.push(Collection { line, anchor, items });
        Ok(())
    }

    fn count_copy(&mut self, node: &Node, line: usize) -> Result<(), YamlError> {
        let (weight, height) = measure(node);
        if self.open.len() + height > DEPTH_MAX {
            return Err(YamlError::TooDeep { line });
        }
        self.expanded += weight;
        if self.expanded > EXPANSION_MAX {
            return Err(YamlError::ExpandsTooFar { line });
        }
        Ok(())
    }

    fn put(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        if anchor != 0 {
            // A kept copy is an expansion too: nested anchors would multiply it.
            self.count_copy(&node, node.line)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|collection| &mut collection.items) {
            None if node.value == Value::Null => {}
            None => self.documents.push(node),
            Some(Items::List(items)) => items.push(node),
            Some(Items::Map { entries, key, .. }) => {
                let key = key.take().ok_or(YamlError::BadKey { line: node.line })?;
                entries.push((key, node));
            }
        }
        Ok(())
    }
}

/// What a node takes of [`EXPANSION_MAX`], and how deep it nests. The recursion is as deep as the
/// node, which [`Builder::count_copy`] keeps within [`DEPTH_MAX`].
fn measure(node: &Node) -> (usize, usize) {
    let sum = |(weight, height), (own, below)| (weight + own, usize::max(height, below + 1));
    match &node.value {
        Value::Null | Value::Boolean(_) => (NODE_WEIGHT, 0),
        Value::Number(text) | Value::Text(text) => (NODE_WEIGHT + text.len(), 0),
        Value::List(items) => items.iter().map(measure).fold((NODE_WEIGHT, 1), sum),
        Value::Map(entries) => entries
            .iter()
            .map(|(key, node)| {
                let (weight, height) = measure(node);
                (weight + key.len(), height)
            })
            .fold((NODE_WEIGHT, 1), sum),
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, line: usize) -> Result<Value, YamlError> {
    if style != ScalarStyle::Plain {
        return Ok(Value::Text(text.into_owned()));
    }
    match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Boolean(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Boolean(false)),
        _ => {}
    }
    let word = text.to_ascii_lowercase();
    if matches!(word.as_str(), "y" | "n" | "yes" | "no" | "on" | "off") {
        return Err(YamlError::AmbiguousWord { line, found: text.into_owned() });
    }
    Ok(if is_number(&word) {
        Value::Number(text.into_owned())
    } else {
        Value::Text(text.into_owned())
    })
}

/// Core schema numbers (YAML 1.2 §10.3.2); `word` is in lower case.
fn is_number(word: &str) -> bool {
    if let Some(digits) = word.strip_prefix("0x") {
        return !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    if let Some(digits) = word.strip_prefix("0o") {
        return !digits.is_empty() && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    }
    let unsigned = word.strip_prefix(['-', '+']).unwrap_or(word);
    if unsigned == ".inf" || word == ".nan" {
        return true;
    }
    let starts = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    starts && unsigned.bytes().any(|byte| byte.is_ascii_digit()) && unsigned.parse::<f64>().is_ok()
}

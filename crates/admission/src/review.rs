//! What the API server asks: `AdmissionReview` of `admission.k8s.io/v1`.
//!
//! Only what a decision needs is read, and that strictly: a field that is missing or of another
//! type refuses the review. Fields not read may be anything, because Kubernetes adds some.

use serde_json::{Map, Value};

/// Longest review read, in bytes: two objects of the API server's own limit of 3 MiB a request
/// (`maxRequestBodyBytes`), and room for the rest.
pub const REVIEW_SIZE_MAX: usize = 7 << 20;

/// Longest text read of a field of the request itself, in bytes. Kubernetes' names have at most 253
/// and UIDs 36.
const TEXT_SIZE_MAX: usize = 1024;

const API_VERSION: &str = "admission.k8s.io/v1";

/// A request to judge.
#[derive(Clone, Debug)]
pub struct Review {
    /// To be repeated in the answer.
    pub uid: String,
    /// What is being done.
    pub operation: Operation,
    /// Kind of the object.
    pub kind: Kind,
    /// Subresource, e.g. `ephemeralcontainers`. No decision rests on it.
    pub subresource: Option<String>,
    /// The object's namespace; empty outside of any.
    pub namespace: String,
    /// The object's name; empty while it is still to be generated.
    pub name: String,
    /// The object as it will be stored, unless something is deleted or connected to.
    pub object: Option<Map<String, Value>>,
    /// The object as it is stored, if it is.
    pub old_object: Option<Map<String, Value>>,
}

/// What is being done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is made.
    Create,
    /// It is changed, by whatever verb.
    Update,
    /// It is deleted.
    Delete,
    /// Something connects to it, as `exec` and `proxy` do.
    Connect,
}

/// Group, version and kind of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind, e.g. `Pod`.
    pub kind: String,
}

/// A review that cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct BadReview {
    /// The UID, if that much could be read: with it, the review can be answered with a refusal.
    pub uid: Option<String>,
    /// What is wrong.
    pub problem: ReviewProblem,
}

/// What can be wrong with a review.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewProblem {
    /// Longer than [`REVIEW_SIZE_MAX`].
    #[error("a review of {found} bytes is longer than the {REVIEW_SIZE_MAX} read")]
    TooLarge {
        /// Length in bytes.
        found: usize,
    },
    /// Not JSON, or nested deeper than 128.
    #[error("the review is not JSON (line {line}, column {column})")]
    NotJson {
        /// Line, counted from 1.
        line: usize,
        /// Column, counted from 1.
        column: usize,
    },
    /// A field that has to be there, and with something in it.
    #[error("{field} is missing or empty")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A value of another type.
    #[error("{field}: wanted {wanted}, found {found}")]
    WrongType {
        /// The field.
        field: &'static str,
        /// The type it has.
        wanted: &'static str,
        /// The type found.
        found: &'static str,
    },
    /// A text longer than any that Kubernetes writes there.
    #[error("{field} is longer than {TEXT_SIZE_MAX} bytes")]
    TooLong {
        /// The field.
        field: &'static str,
    },
    /// A word that is none of those known.
    #[error("{field}: wanted {wanted}, found `{found}`")]
    Unknown {
        /// The field.
        field: &'static str,
        /// The words known.
        wanted: &'static str,
        /// The word found.
        found: String,
    },
    /// An object that says it is of another kind than the request does.
    #[error("{field} contradicts request.kind")]
    Contradiction {
        /// The field.
        field: &'static str,
    },
}

impl Review {
    /// Parses a review.
    ///
    /// # Errors
    /// When it is too large, no JSON, or a field that a decision needs is missing or wrong.
    pub fn parse(body: &[u8]) -> Result<Self, BadReview> {
        let unread = |problem| BadReview { uid: None, problem };
        if body.len() > REVIEW_SIZE_MAX {
            return Err(unread(ReviewProblem::TooLarge { found: body.len() }));
        }
        let review: Value = serde_json::from_slice(body).map_err(|error| {
            unread(ReviewProblem::NotJson { line: error.line(), column: error.column() })
        })?;
        let Value::Object(mut review) = review else {
            return Err(unread(wrong_type("the review", "a map", &review)));
        };
        let mut request = map(&mut review, "request", "request")
            .and_then(|it| it.ok_or(ReviewProblem::Missing { field: "request" }))
            .map_err(unread)?;
        let uid = required(&request, "uid", "request.uid").map_err(unread)?;
        let known = |problem| BadReview { uid: Some(uid.clone()), problem };
        check_head(&review).map_err(known)?;
        Self::from_request(uid.clone(), &mut request).map_err(known)
    }

    fn from_request(uid: String, request: &mut Map<String, Value>) -> Result<Self, ReviewProblem> {
        let field = "request.operation";
        let operation = match required(request, "operation", field)?.as_str() {
            "CREATE" => Operation::Create,
            "UPDATE" => Operation::Update,
            "DELETE" => Operation::Delete,
            "CONNECT" => Operation::Connect,
            found => {
                let (wanted, found) = ("CREATE, UPDATE, DELETE or CONNECT", cut(found));
                return Err(ReviewProblem::Unknown { field, wanted, found });
            }
        };
        let of_kind = map(request, "kind", "request.kind")?;
        let of_kind = of_kind.ok_or(ReviewProblem::Missing { field: "request.kind" })?;
        let kind = Kind {
            group: optional(&of_kind, "group", "request.kind.group")?,
            version: required(&of_kind, "version", "request.kind.version")?,
            kind: required(&of_kind, "kind", "request.kind.kind")?,
        };
        let subresource = optional(request, "subResource", "request.subResource")?;
        let namespace = optional(request, "namespace", "request.namespace")?;
        let name = optional(request, "name", "request.name")?;
        let object = map(request, "object", "request.object")?;
        let old_object = map(request, "oldObject", "request.oldObject")?;
        if object.is_none() && matches!(operation, Operation::Create | Operation::Update) {
            return Err(ReviewProblem::Missing { field: "request.object" });
        }
        if let Some(object) = &object {
            kind.check(object)?;
        }
        let subresource = Some(subresource).filter(|it| !it.is_empty());
        Ok(Self { uid, operation, kind, subresource, namespace, name, object, old_object })
    }
}

impl Kind {
    /// Group and version as objects write them.
    fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// The API server takes the kind from the object, so they agree; were it otherwise, we would
    /// look for images in the wrong places.
    fn check(&self, object: &Map<String, Value>) -> Result<(), ReviewProblem> {
        let field = "request.object.kind";
        if required(object, "kind", field)? != self.kind {
            return Err(ReviewProblem::Contradiction { field });
        }
        let field = "request.object.apiVersion";
        if required(object, "apiVersion", field)? != self.api_version() {
            return Err(ReviewProblem::Contradiction { field });
        }
        Ok(())
    }
}

fn check_head(review: &Map<String, Value>) -> Result<(), ReviewProblem> {
    for (name, wanted) in [("apiVersion", API_VERSION), ("kind", "AdmissionReview")] {
        let found = required(review, name, name)?;
        if found != wanted {
            return Err(ReviewProblem::Unknown { field: name, wanted, found: cut(&found) });
        }
    }
    Ok(())
}

/// Takes a map out; `None` if absent or null.
fn map(
    from: &mut Map<String, Value>,
    name: &str,
    field: &'static str,
) -> Result<Option<Map<String, Value>>, ReviewProblem> {
    match from.get_mut(name).map(Value::take) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(other) => Err(wrong_type(field, "a map", &other)),
    }
}

/// Text; empty if absent or null.
fn optional(
    from: &Map<String, Value>,
    name: &str,
    field: &'static str,
) -> Result<String, ReviewProblem> {
    match from.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) if text.len() > TEXT_SIZE_MAX => {
            Err(ReviewProblem::TooLong { field })
        }
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(wrong_type(field, "text", other)),
    }
}

fn required(
    from: &Map<String, Value>,
    name: &str,
    field: &'static str,
) -> Result<String, ReviewProblem> {
    let text = optional(from, name, field)?;
    if text.is_empty() { Err(ReviewProblem::Missing { field }) } else { Ok(text) }
}

fn wrong_type(field: &'static str, wanted: &'static str, found: &Value) -> ReviewProblem {
    ReviewProblem::WrongType { field, wanted, found: type_name(found) }
}

/// What a JSON value is called in messages.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a Boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// At most 64 characters, control characters escaped.
fn cut(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

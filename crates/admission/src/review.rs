//! What the API server asks: `AdmissionReview` of `admission.k8s.io/v1`.
//!
//! Only what a decision needs is read, and that strictly: a field that is missing, of another type
//! or there twice refuses the review. Fields not read may be anything, because Kubernetes adds some.
//! Nothing is built of what is not read: whoever may create a Pod chooses most of what is in here.

use serde_json::value::RawValue;

use crate::images::Workload;
use crate::json::{fields, is_map, is_text, read, type_name};
use crate::kind::Kind;
use crate::object::Content;

/// Longest review read, in bytes: two objects of the API server's own limit of 3 MiB a request
/// (`maxRequestBodyBytes`), and room for the rest.
pub const REVIEW_SIZE_MAX: usize = 7 << 20;

/// Longest text read of a field of the request itself, in bytes. Kubernetes' names have at most 253
/// and UIDs 36.
const TEXT_SIZE_MAX: usize = 1024;

const API_VERSION: &str = "admission.k8s.io/v1";

/// The fields of a request that are read.
const REQUEST_FIELDS: [&str; 8] =
    ["uid", "operation", "kind", "subResource", "namespace", "name", "object", "oldObject"];

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
    pub object: Option<Content>,
    /// The object as it is stored, if it is one of the same kind.
    pub old_object: Option<Content>,
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
    /// Not JSON.
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
    /// A map in which a field that is read stands twice: readers would disagree on which one counts.
    #[error("{field} has a field twice")]
    Twice {
        /// The map.
        field: &'static str,
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
        let review: &RawValue = evidence::json::read(body).map_err(|error| {
            unread(ReviewProblem::NotJson { line: error.line(), column: error.column() })
        })?;
        let names = ["apiVersion", "kind", "request"];
        let [api_version, kind, request] = map(review, "the review", names).map_err(unread)?;
        let request = request.ok_or(ReviewProblem::Missing { field: "request" }).map_err(unread)?;
        let [uid, rest @ ..] = map(request, "request", REQUEST_FIELDS).map_err(unread)?;
        let uid = required(uid, "request.uid").map_err(unread)?;
        let known = |problem| BadReview { uid: Some(uid.clone()), problem };
        check_word(api_version, "apiVersion", API_VERSION).map_err(known)?;
        check_word(kind, "kind", "AdmissionReview").map_err(known)?;
        Self::from_request(uid.clone(), rest).map_err(known)
    }

    /// What is asked, from all of [`REQUEST_FIELDS`] but the first.
    fn from_request(uid: String, rest: [Option<&RawValue>; 7]) -> Result<Self, ReviewProblem> {
        let [operation, of_kind, subresource, namespace, name, object, old_object] = rest;
        let field = "request.operation";
        let operation = match required(operation, field)?.as_str() {
            "CREATE" => Operation::Create,
            "UPDATE" => Operation::Update,
            "DELETE" => Operation::Delete,
            "CONNECT" => Operation::Connect,
            found => {
                let (wanted, found) = ("CREATE, UPDATE, DELETE or CONNECT", cut(found));
                return Err(ReviewProblem::Unknown { field, wanted, found });
            }
        };
        let field = "request.kind";
        let of_kind = of_kind.ok_or(ReviewProblem::Missing { field })?;
        let [group, version, kind] = map(of_kind, field, ["group", "version", "kind"])?;
        let kind = Kind {
            group: optional(group, "request.kind.group")?,
            version: required(version, "request.kind.version")?,
            kind: required(kind, "request.kind.kind")?,
        };
        let subresource = optional(subresource, "request.subResource")?;
        let subresource = Some(subresource).filter(|it| !it.is_empty());
        let namespace = optional(namespace, "request.namespace")?;
        let name = optional(name, "request.name")?;
        let stores = matches!(operation, Operation::Create | Operation::Update);
        let object = match object {
            None if stores => return Err(ReviewProblem::Missing { field: "request.object" }),
            None => None,
            Some(object) => Some(read_object(&kind, object)?),
        };
        let old_object = match old_object {
            None => None,
            Some(old) if !is_map(old) => return Err(wrong_type("request.oldObject", "a map", old)),
            // One of another kind, or that is ambiguous, vouches for nothing.
            Some(old) => read_object(&kind, old).ok(),
        };
        Ok(Self { uid, operation, kind, subresource, namespace, name, object, old_object })
    }
}

/// A word that has to be this one.
fn check_word(
    value: Option<&RawValue>,
    field: &'static str,
    wanted: &'static str,
) -> Result<(), ReviewProblem> {
    let found = required(value, field)?;
    if found == wanted {
        return Ok(());
    }
    Err(ReviewProblem::Unknown { field, wanted, found: cut(&found) })
}

/// Reads an object of that kind. The API server takes the kind from the object, so they agree; were
/// it otherwise, we would look for images in the wrong places.
fn read_object(wanted: &Kind, object: &RawValue) -> Result<Content, ReviewProblem> {
    let names = ["apiVersion", "kind", "metadata"];
    let [api_version, kind, metadata] = map(object, "request.object", names)?;
    let field = "request.object.kind";
    if required(kind, field)? != wanted.kind {
        return Err(ReviewProblem::Contradiction { field });
    }
    let field = "request.object.apiVersion";
    if required(api_version, field)? != wanted.api_version() {
        return Err(ReviewProblem::Contradiction { field });
    }
    Ok(Content::read(Workload::of(wanted), object, metadata))
}

/// The fields of a map that are read, as they stand in the text.
fn map<'a, const N: usize>(
    value: &'a RawValue,
    field: &'static str,
    names: [&str; N],
) -> Result<[Option<&'a RawValue>; N], ReviewProblem> {
    if !is_map(value) {
        return Err(wrong_type(field, "a map", value));
    }
    fields(value, names).map_err(|_| ReviewProblem::Twice { field })
}

/// Text; empty if absent or null.
fn optional(value: Option<&RawValue>, field: &'static str) -> Result<String, ReviewProblem> {
    let Some(value) = value else { return Ok(String::new()) };
    if !is_text(value) {
        return Err(wrong_type(field, "text", value));
    }
    let text: String = read(value).map_err(|_| wrong_type(field, "text", value))?;
    if text.len() > TEXT_SIZE_MAX { Err(ReviewProblem::TooLong { field }) } else { Ok(text) }
}

fn required(value: Option<&RawValue>, field: &'static str) -> Result<String, ReviewProblem> {
    let text = optional(value, field)?;
    if text.is_empty() { Err(ReviewProblem::Missing { field }) } else { Ok(text) }
}

fn wrong_type(field: &'static str, wanted: &'static str, found: &RawValue) -> ReviewProblem {
    ReviewProblem::WrongType { field, wanted, found: type_name(found) }
}

/// At most 64 characters, control characters escaped.
fn cut(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

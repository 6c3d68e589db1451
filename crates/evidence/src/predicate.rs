//! Predicates: what a statement says, by the type it says it in. The names that Cosign gives to the
//! common types, the shape that each must have, and the making of statements.
//!
//! in-toto attestation framework v1, "Predicate"; SLSA, SPDX, CycloneDX, OpenVEX and in-toto Link
//! each by its own specification; Cosign's `custom` and `vuln` predicates (COSIGN_PREDICATE_SPEC,
//! COSIGN_VULN_ATTESTATION_SPEC). A predicate's numbers, names and order stay as they were given.

pub mod reference;
pub mod size;

use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::digest::Digest;
use crate::json::check_unambiguous;
use crate::number::UnixTime;
use crate::proto_json;
use crate::statement::{
    NewStatement, NewSubject, ParseStatementError, Statement, StatementVersion,
};

pub use crate::json::DEPTH_MAX;

/// `predicateType` of the statement that Cosign v3 signs an image with.
pub const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

/// Longest predicate type taken, in bytes.
pub const TYPE_SIZE_MAX: usize = 1024;

/// A predicate type, from a name of Cosign's or a URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredicateType {
    form: Form,
    uri: String,
}

/// How the predicate of a type is made and what is looked at in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Any text, wrapped.
    Custom,
    /// A document in SPDX's tag-value form, as text.
    SpdxText,
    SpdxJson,
    CycloneDx,
    SlsaV02,
    SlsaV1,
    Link,
    Vuln,
    OpenVex,
    /// Any JSON object.
    Object,
}

/// Cosign's names, with the form of each and what it stands for.
const NAMES: [(&str, Form, &str); 10] = [
    ("custom", Form::Custom, CUSTOM),
    ("slsaprovenance", Form::SlsaV02, "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance02", Form::SlsaV02, "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance1", Form::SlsaV1, "https://slsa.dev/provenance/v1"),
    ("spdx", Form::SpdxText, "https://spdx.dev/Document"),
    ("spdxjson", Form::SpdxJson, "https://spdx.dev/Document"),
    ("cyclonedx", Form::CycloneDx, "https://cyclonedx.org/bom"),
    ("link", Form::Link, "https://in-toto.io/Link/v1"),
    ("vuln", Form::Vuln, "https://cosign.sigstore.dev/attestation/vuln/v1"),
    ("openvex", Form::OpenVex, "https://openvex.dev/ns"),
];
const CUSTOM: &str = "https://cosign.sigstore.dev/attestation/v1";

/// A text that names no predicate type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no predicate type: wanted one of {}, or a URI", names().join(", "))]
pub struct UnknownPredicateType {
    /// What was found, cut to 128 characters.
    pub found: String,
}

/// Why no statement can be made of a predicate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PredicateError {
    /// Not text.
    #[error("the predicate is not UTF-8 text")]
    NotText,
    /// Not JSON, with a name twice in one object, or nested too deep.
    #[error("the predicate is not JSON that every reader reads alike: {0}")]
    Json(String),
    /// JSON, but not an object.
    #[error("the predicate is not a JSON object")]
    NotAnObject,
    /// An object without what every predicate of its type has.
    #[error("the predicate is no {what}: {missing}")]
    Shape {
        /// What it should be.
        what: &'static str,
        /// What it lacks.
        missing: &'static str,
    },
}

impl PredicateError {
    /// What somebody can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotAnObject | Self::Shape { .. } => {
                Some("check that --type is the type of this file")
            }
            Self::NotText | Self::Json(_) => None,
        }
    }
}

/// Why a statement that was given whole is not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GivenStatementError {
    /// Not a statement.
    #[error(transparent)]
    Parse(#[from] ParseStatementError),
    /// Readers would disagree on what it says.
    #[error("the statement is not JSON that every reader reads alike: {0}")]
    Json(String),
    /// About something else.
    #[error("the statement is not about {wanted}")]
    OtherSubject {
        /// The artifact's digest.
        wanted: Digest,
        /// Digests that it is about, at most a few.
        found: Vec<String>,
    },
    /// Of another type than was asked for.
    #[error("wanted a statement of type {wanted}, found `{found}`")]
    OtherType {
        /// The type asked for.
        wanted: String,
        /// The type found, cut to 128 characters.
        found: String,
    },
}

/// Cosign's names for predicate types.
#[must_use]
pub fn names() -> Vec<&'static str> {
    NAMES.iter().map(|(name, ..)| *name).collect()
}

impl PredicateType {
    /// Takes one of Cosign's names, or an absolute URI.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, UnknownPredicateType> {
        if let Some((_, form, uri)) = NAMES.iter().find(|(name, ..)| *name == text) {
            return Ok(Self { form: *form, uri: (*uri).to_owned() });
        }
        // RFC 3986 §3: a scheme, a colon, and something.
        let is_uri = text.split_once(':').is_some_and(|(scheme, rest)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
                && !rest.is_empty()
                && rest.bytes().all(|byte| byte.is_ascii_graphic())
        });
        if !is_uri || text.len() > TYPE_SIZE_MAX {
            let found = text.chars().take(128).flat_map(char::escape_debug).collect();
            return Err(UnknownPredicateType { found });
        }
        let form = if text == CUSTOM { Form::Custom } else { Form::Object };
        Ok(Self { form, uri: text.to_owned() })
    }

    /// The URI that a statement names it by.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Makes the predicate of a file's content: checked for the shape that its type has, without
    /// the white space that JSON does not need, and otherwise as given. `now` is what a `custom`
    /// predicate says about when it was made.
    ///
    /// # Errors
    /// When the content is not of that type.
    pub fn predicate(
        &self,
        content: &[u8],
        now: UnixTime,
    ) -> Result<Box<RawValue>, PredicateError> {
        let text = std::str::from_utf8(content).map_err(|_| PredicateError::NotText)?;
        let made = match self.form {
            Form::Custom => serde_json::json!({
                "Data": text,
                "Timestamp": UnixTime::from_seconds(now.seconds()).to_string(),
            })
            .to_string(),
            Form::SpdxText => serde_json::Value::from(text).to_string(),
            _ => {
                check_unambiguous(text.as_bytes())
                    .map_err(|error| PredicateError::Json(proto_json::explain(&error)))?;
                if !text.trim_start().starts_with('{') {
                    return Err(PredicateError::NotAnObject);
                }
                self.form.check(text)?;
                compact(text)
            }
        };
        Ok(RawValue::from_string(made).expect("JSON without white space is JSON"))
    }

    /// Makes a statement that says this about one artifact.
    ///
    /// # Errors
    /// As [`Self::predicate`].
    pub fn statement(
        &self,
        version: StatementVersion,
        name: &str,
        about: &Digest,
        content: &[u8],
        now: UnixTime,
    ) -> Result<Vec<u8>, PredicateError> {
        let predicate = self.predicate(content, now)?;
        let subject = NewSubject { name, digest: about };
        let statement = NewStatement {
            version,
            subjects: &[subject],
            predicate_type: &self.uri,
            predicate: &predicate,
        };
        Ok(statement.to_json())
    }
}

impl fmt::Display for PredicateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

/// Takes out the white space between tokens. The text has been checked.
fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in text.chars() {
        if in_string {
            (in_string, escaped) = (escaped || c != '"', !escaped && c == '\\');
        } else if matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            in_string = c == '"';
        }
        out.push(c);
    }
    out
}

/// Takes a statement that somebody else made, to be signed as it is: it must be about the artifact,
/// and of the type asked for, if one was.
///
/// # Errors
/// When it is not, or is no statement.
pub fn check_given(
    payload: &[u8],
    about: &Digest,
    wanted: Option<&PredicateType>,
) -> Result<Statement, GivenStatementError> {
    let statement = Statement::parse(payload)?;
    check_unambiguous(payload)
        .map_err(|error| GivenStatementError::Json(proto_json::explain(&error)))?;
    if !statement.subjects.iter().any(|subject| subject.digest.holds(about)) {
        const FOUND_MAX: usize = 4;
        let digests = statement.subjects.iter().flat_map(|subject| subject.digest.iter());
        let shown = digests.map(|(name, value)| format!("{name:.32}:{value:.128}"));
        let found = shown.take(FOUND_MAX).collect();
        return Err(GivenStatementError::OtherSubject { wanted: *about, found });
    }
    match wanted {
        Some(wanted) if wanted.uri != statement.predicate_type => {
            let found = statement.predicate_type.chars().take(128).collect();
            Err(GivenStatementError::OtherType { wanted: wanted.uri.clone(), found })
        }
        _ => Ok(statement),
    }
}

/// What the predicates of the common types cannot be without.
#[derive(Deserialize)]
struct Marks<'a> {
    #[serde(rename = "spdxVersion", borrow)]
    spdx_version: Option<&'a RawValue>,
    #[serde(rename = "@context", borrow)]
    context: Option<&'a RawValue>,
    #[serde(rename = "bomFormat", borrow)]
    bom_format: Option<&'a RawValue>,
    #[serde(borrow)]
    builder: Option<&'a RawValue>,
    #[serde(rename = "buildDefinition", borrow)]
    build_definition: Option<&'a RawValue>,
    #[serde(rename = "runDetails", borrow)]
    run_details: Option<&'a RawValue>,
    #[serde(borrow)]
    scanner: Option<&'a RawValue>,
    #[serde(rename = "_type")]
    kind: Option<IgnoredAny>,
    name: Option<IgnoredAny>,
    materials: Option<IgnoredAny>,
    products: Option<IgnoredAny>,
    byproducts: Option<IgnoredAny>,
    command: Option<IgnoredAny>,
    environment: Option<IgnoredAny>,
}

impl Form {
    /// Looks for what tells a file of one type from a file of another: the mistake is common, and
    /// no verifier would ever find it.
    fn check(self, text: &str) -> Result<(), PredicateError> {
        let marks: Marks<'_> =
            serde_json::from_str(text).map_err(|_| PredicateError::NotAnObject)?;
        let begins = |value: Option<&RawValue>, start: &str| {
            value.is_some_and(|value| value.get().starts_with(start))
        };
        let (holds, what, missing) = match self {
            Self::SpdxJson => (
                begins(marks.spdx_version, "\"SPDX-")
                    || begins(marks.context, "\"https://spdx.org/rdf/3"),
                "SPDX document",
                "it has neither `spdxVersion` nor the `@context` of SPDX 3",
            ),
            Self::CycloneDx => (
                marks.bom_format.is_some_and(|value| value.get() == "\"CycloneDX\""),
                "CycloneDX bill of materials",
                "its `bomFormat` is not `CycloneDX`",
            ),
            Self::SlsaV02 => {
                (begins(marks.builder, "{"), "SLSA provenance v0.2", "it has no object `builder`")
            }
            Self::SlsaV1 => (
                begins(marks.build_definition, "{") && begins(marks.run_details, "{"),
                "SLSA provenance v1",
                "it lacks one of the objects `buildDefinition` and `runDetails`",
            ),
            Self::Link => (
                marks.kind.is_some()
                    && marks.name.is_some()
                    && marks.materials.is_some()
                    && marks.products.is_some()
                    && marks.byproducts.is_some()
                    && marks.command.is_some()
                    && marks.environment.is_some(),
                "in-toto link",
                "it lacks one of `_type`, `name`, `materials`, `products`, `byproducts`, \
                 `command`, `environment`",
            ),
            Self::Vuln => (
                begins(marks.scanner, "{"),
                "vulnerability report of Cosign's type",
                "it has no object `scanner`",
            ),
            Self::OpenVex => (
                begins(marks.context, "\"https://openvex.dev/ns"),
                "OpenVEX document",
                "its `@context` is not `https://openvex.dev/ns`",
            ),
            Self::Custom | Self::SpdxText | Self::Object => return Ok(()),
        };
        if holds { Ok(()) } else { Err(PredicateError::Shape { what, missing }) }
    }
}

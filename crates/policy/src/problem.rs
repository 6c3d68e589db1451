//! What is wrong with a policy: each finding with the line and the field it stands at.

use std::fmt;

use crate::glob::ParseGlobError;
use crate::kms::ParseKmsError;
use crate::quoted::cut;
use crate::regexp::ParseRegexpError;
use crate::yaml::YamlError;

/// Everything found wrong in one text; at least one finding.
#[derive(Debug)]
pub struct Problems {
    /// Never empty.
    found: Vec<Problem>,
}

impl Problems {
    /// `value`, unless something was found wrong.
    pub(crate) fn check<T>(found: Vec<Problem>, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if found.is_empty() => Ok(value),
            // A reader that gives no value has said why; were it not so, this still refuses.
            None if found.is_empty() => Err(Self::from(Problem::at(1, "", Wrong::Missing))),
            _ => Err(Self { found }),
        }
    }

    /// The findings in the order of the text; never empty.
    #[must_use]
    pub fn found(&self) -> &[Problem] {
        &self.found
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self { found: vec![problem] }
    }
}

impl From<YamlError> for Problems {
    fn from(error: YamlError) -> Self {
        Self::from(Problem { line: None, field: String::new(), wrong: Wrong::Yaml(error) })
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.found.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// Without a source: what is wrong is all in the text, and may be several things.
impl std::error::Error for Problems {}

/// One finding.
#[derive(Debug)]
pub struct Problem {
    /// Line in the text, counted from 1; unknown once a policy has left its text.
    pub line: Option<usize>,
    /// The field, e.g. `spec.authorities[0].keyless.identities`; empty for the whole text.
    pub field: String,
    /// What is wrong with it.
    pub wrong: Wrong,
}

impl Problem {
    pub(crate) fn at(line: usize, field: impl Into<String>, wrong: Wrong) -> Self {
        Self { line: Some(line), field: field.into(), wrong }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        self.wrong.fmt(f)
    }
}

/// What can be wrong with a policy or one of its fields.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// The text is no YAML.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// A text without a single policy: an empty list of policies would admit everything.
    #[error("holds no policy")]
    NoPolicy,
    /// A required field is absent, null or empty.
    #[error("required, and missing or empty")]
    Missing,
    /// A field that the format does not have.
    #[error("unknown field{}", nearest.map(|it| format!("; did you mean `{it}`?")).unwrap_or_default())]
    Unknown {
        /// The known field most like it.
        nearest: Option<&'static str>,
    },
    /// A value of another type.
    #[error("wanted {wanted}, found {found}")]
    WrongType {
        /// The type the field has.
        wanted: &'static str,
        /// The type found.
        found: &'static str,
    },
    /// A word that is none of those allowed.
    #[error("wanted {}, found `{}`", wanted.join(" or "), cut(found))]
    NotOneOf {
        /// The words allowed.
        wanted: &'static [&'static str],
        /// The word found.
        found: String,
    },
    /// None, or more than one, of fields of which exactly one must be there.
    #[error("wanted exactly one of {}, found {}", of.join(", "), both(found))]
    NotExactlyOne {
        /// The fields.
        of: &'static [&'static str],
        /// Those that are there.
        found: Vec<&'static str>,
    },
    /// A field that must not stand beside another.
    #[error("must not stand beside {beside}")]
    Beside {
        /// The other field.
        beside: &'static str,
    },
    /// A field that has a meaning elsewhere only.
    #[error("has no meaning here; it belongs under {belongs}")]
    Misplaced {
        /// Where it belongs.
        belongs: &'static str,
    },
    /// More than a bound allows.
    #[error("more than {max} entries")]
    TooMany {
        /// The bound.
        max: usize,
    },
    /// Longer than a bound allows.
    #[error("longer than {max} bytes")]
    TooLong {
        /// The bound in bytes.
        max: usize,
    },
    /// Not a glob.
    #[error(transparent)]
    Glob(#[from] ParseGlobError),
    /// Not a regular expression.
    #[error(transparent)]
    Regexp(#[from] ParseRegexpError),
    /// Not a public key.
    #[error("not a public key: {0}")]
    Key(crypto::ParseKeyError),
    /// Not a reference to a key in a key management service.
    #[error(transparent)]
    Kms(#[from] ParseKmsError),
    /// Not a registry or repository.
    #[error("wanted a registry or a registry and repository: {reason}")]
    Repository {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Not a URL of the form asked for.
    #[error("wanted {wanted}, found `{}`", cut(found))]
    Url {
        /// The form asked for.
        wanted: &'static str,
        /// What stands there.
        found: String,
    },
    /// Not a label key, value or selector that Kubernetes accepts.
    #[error("not a label selector: {reason}")]
    Selector {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A secret elsewhere than in the controller's own namespace.
    #[error("secrets are read in the namespace `{wanted}` only, found `{}`", cut(found))]
    ForeignNamespace {
        /// The controller's namespace.
        wanted: String,
        /// The one found.
        found: String,
    },
    /// Two policies of the same name.
    #[error("a second policy of this name")]
    DuplicateName,
    /// A `match` entry that no request can satisfy, so that the policy would silently not apply.
    #[error("matches nothing: {reason}")]
    MatchesNothing {
        /// Why.
        reason: String,
    },
    /// A regular expression that would match inside of something else.
    #[error("write the expression `^…$`, so that it matches the whole value")]
    NotAnchored,
    /// Not a predicate type.
    #[error(transparent)]
    PredicateType(#[from] evidence::predicate::UnknownPredicateType),
    /// A program that is not taken.
    #[error("not a program that is taken: {0}")]
    Program(crate::language::BadProgram),
    /// A field that means nothing without another.
    #[error("has no meaning without {other}")]
    Needs {
        /// The other field.
        other: &'static str,
    },
    /// A file that the policy names and that could not be read.
    #[error("the file could not be read: {why}")]
    File {
        /// Why.
        why: String,
    },
    /// Valid, and not yet carried out by Countersign; never ignored instead.
    #[error("is valid, but not supported yet; remove it or keep this policy elsewhere for now")]
    Unsupported,
}

fn both(found: &[&str]) -> String {
    if found.is_empty() { "none".to_owned() } else { found.join(" and ") }
}

//! In-toto statements: what is said (a predicate) about which artifacts (subjects, by digest).
//!
//! in-toto attestation framework v0.1 and v1, "Statement".

use std::collections::BTreeMap;

use crypto::HashAlgorithm;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::digest::Digest;
use crate::json;
use crate::proto_json::Bounded;

/// `_type` of a v0.1 statement.
pub const STATEMENT_TYPE_V0_1: &str = "https://in-toto.io/Statement/v0.1";
/// `_type` of a v1 statement.
pub const STATEMENT_TYPE_V1: &str = "https://in-toto.io/Statement/v1";
/// Most subjects read (the limit of sigstore-go since CVE-2024-45395).
pub const SUBJECTS_MAX: usize = 1024;
/// Most digests read on one subject (the same).
pub const SUBJECT_DIGESTS_MAX: usize = 32;

/// A version of the statement's own format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementVersion {
    /// v0.1, which Cosign writes for attestations.
    V0_1,
    /// v1.
    V1,
}

/// A statement to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewStatement<'a> {
    /// Its format.
    pub version: StatementVersion,
    /// What it is about.
    pub subjects: &'a [NewSubject<'a>],
    /// What kind of thing is said.
    pub predicate_type: &'a str,
    /// What is said.
    pub predicate: &'a RawValue,
}

/// One artifact that a statement to be made is about.
#[derive(Clone, Copy, Debug)]
pub struct NewSubject<'a> {
    /// What it is called; may be empty.
    pub name: &'a str,
    /// Its digest.
    pub digest: &'a Digest,
}

/// A statement as claimed by its payload.
#[derive(Clone, Debug)]
pub struct Statement {
    /// What it is about; at least one subject.
    pub subjects: Vec<Subject>,
    /// What kind of thing is said.
    pub predicate_type: String,
    /// What is said, as JSON text exactly as received; absent for an empty predicate.
    pub predicate: Option<Box<RawValue>>,
}

/// One artifact a statement is about.
#[derive(Clone, Debug, Deserialize)]
pub struct Subject {
    /// A name that means something to whoever made the statement; not evidence.
    #[serde(default)]
    pub name: Option<String>,
    /// Digests by the name of their algorithm, as written.
    pub digest: DigestSet,
    /// Annotations that Cosign puts on a subject, as JSON text exactly as received: parsed, they
    /// could take many times their size in memory.
    #[serde(default)]
    pub annotations: Option<Box<RawValue>>,
}

/// Digests by algorithm name. A name twice is refused: readers would disagree on which one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DigestSet(BTreeMap<String, String>);

/// Why a payload is no statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseStatementError {
    /// Not JSON of the right shape.
    #[error("not an in-toto statement: {0}")]
    Json(String),
    /// Another `_type`.
    #[error("wanted `_type` {STATEMENT_TYPE_V1} or {STATEMENT_TYPE_V0_1}, found `{found}`")]
    UnknownType {
        /// The type found, cut to 128 characters.
        found: String,
    },
    /// No subject: a statement about nothing.
    #[error("the statement has no subject")]
    NoSubject,
    /// A subject without any digest.
    #[error("subject {index} has no digest")]
    NoDigest {
        /// Position of the subject, counted from 0.
        index: usize,
    },
    /// More than [`SUBJECTS_MAX`].
    #[error("{found} subjects are more than the {SUBJECTS_MAX} read")]
    TooManySubjects {
        /// Number of subjects.
        found: usize,
    },
    /// More than [`SUBJECT_DIGESTS_MAX`] digests on one subject.
    #[error("subject {index} has more than {SUBJECT_DIGESTS_MAX} digests")]
    TooManyDigests {
        /// Position of the subject, counted from 0.
        index: usize,
    },
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "_type")]
    kind: String,
    subject: Bounded<Subject, SUBJECTS_MAX>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    #[serde(default)]
    predicate: Option<Box<RawValue>>,
}

impl NewStatement<'_> {
    /// The payload of an envelope, without white space and in the order of the specification.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Written<'a> {
            #[serde(rename = "_type")]
            kind: &'a str,
            subject: Vec<WrittenSubject<'a>>,
            predicate_type: &'a str,
            predicate: &'a RawValue,
        }
        #[derive(Serialize)]
        struct WrittenSubject<'a> {
            name: &'a str,
            digest: BTreeMap<&'a str, String>,
        }
        let subjects = self.subjects.iter().map(|NewSubject { name, digest }| WrittenSubject {
            name,
            digest: [(digest.algorithm().name(), digest.hex())].into(),
        });
        let statement = Written {
            kind: self.version.uri(),
            subject: subjects.collect(),
            predicate_type: self.predicate_type,
            predicate: self.predicate,
        };
        serde_json::to_vec(&statement).expect("text and JSON are JSON")
    }
}

impl StatementVersion {
    fn uri(self) -> &'static str {
        match self {
            Self::V0_1 => STATEMENT_TYPE_V0_1,
            Self::V1 => STATEMENT_TYPE_V1,
        }
    }
}

impl Statement {
    /// Parses a DSSE payload. The caller bounds its size.
    ///
    /// # Errors
    /// When it is no statement of a known version, or says nothing about anything.
    pub fn parse(payload: &[u8]) -> Result<Self, ParseStatementError> {
        let document: Document = json::parse(payload).map_err(ParseStatementError::Json)?;
        if ![STATEMENT_TYPE_V1, STATEMENT_TYPE_V0_1].contains(&document.kind.as_str()) {
            let found = document.kind.chars().take(128).collect();
            return Err(ParseStatementError::UnknownType { found });
        }
        let too_many = |found| ParseStatementError::TooManySubjects { found };
        let subjects = document.subject.within_bound().map_err(too_many)?;
        if subjects.is_empty() {
            return Err(ParseStatementError::NoSubject);
        }
        for (index, subject) in subjects.iter().enumerate() {
            if subject.digest.0.is_empty() {
                return Err(ParseStatementError::NoDigest { index });
            }
            if subject.digest.0.len() > SUBJECT_DIGESTS_MAX {
                return Err(ParseStatementError::TooManyDigests { index });
            }
        }
        Ok(Self {
            subjects,
            predicate_type: document.predicate_type,
            predicate: document.predicate,
        })
    }
}

impl DigestSet {
    /// The digest in that algorithm, if it is there and well-formed.
    #[must_use]
    pub fn get(&self, algorithm: HashAlgorithm) -> Option<Digest> {
        Digest::from_hex(algorithm, self.0.get(algorithm.name())?).ok()
    }

    /// Whether a value stands there in that algorithm, well-formed or not.
    #[must_use]
    pub fn names(&self, algorithm: HashAlgorithm) -> bool {
        self.0.contains_key(algorithm.name())
    }

    /// Whether that digest stands here, in its algorithm.
    #[must_use]
    pub fn holds(&self, digest: &Digest) -> bool {
        self.get(digest.algorithm()) == Some(*digest)
    }

    /// Algorithm names and values as written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<'de> Deserialize<'de> for DigestSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = DigestSet;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map from algorithm to hexadecimal digest")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DigestSet, A::Error> {
                let mut digests = BTreeMap::new();
                // One more than the bound is enough to see that there are too many.
                while digests.len() <= SUBJECT_DIGESTS_MAX {
                    let Some((name, value)) = map.next_entry::<String, String>()? else {
                        return Ok(DigestSet(digests));
                    };
                    if digests.insert(name, value).is_some() {
                        return Err(A::Error::custom("a digest algorithm stands twice"));
                    }
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(DigestSet(digests))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

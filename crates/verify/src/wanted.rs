//! What a signer must have said about the artifact, beyond naming it: of what kind, and with which
//! annotations.
//!
//! Cosign takes every attestation for a signature too, and so does [`ClaimKind::Any`]; whoever wants
//! a signature and nothing else says so.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::check::Check;
use crate::claim::{Said, VerifiedClaim};
use crate::explain::Trace;
use crate::refusal::Refusal;

/// Predicate type of the statement that is a signature over an image (Cosign v3).
pub use evidence::predicate::SIGN as SIGNATURE_PREDICATE_TYPE;

/// A claim that is wanted: everything named must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPattern {
    /// Of what kind.
    pub kind: ClaimKind,
    /// What must have been signed along, word for word. Further annotations do not matter.
    pub annotations: BTreeMap<String, String>,
}

/// A kind of claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimKind {
    /// Whatever is said, the signer named the artifact.
    Any,
    /// A signature: over the artifact, by simple signing, or by Cosign v3's statement.
    Signature,
    /// A statement of that predicate type.
    Attestation {
        /// The predicate type.
        predicate_type: String,
    },
}

impl ClaimPattern {
    /// Whatever was said about the artifact.
    #[must_use]
    pub fn any() -> Self {
        Self::of_kind(ClaimKind::Any)
    }

    /// Claims of that kind, whatever their annotations.
    #[must_use]
    pub fn of_kind(kind: ClaimKind) -> Self {
        Self { kind, annotations: BTreeMap::new() }
    }

    /// Checks a proven claim.
    pub(crate) fn check(&self, claim: &VerifiedClaim, trace: &mut Trace) -> Result<(), Refusal> {
        self.check_kind(claim)?;
        // Parsed only where they are asked for: they could take many times their size in memory.
        if !self.annotations.is_empty() {
            let found = claim.annotations().map(Annotations::parse).unwrap_or_default();
            for (name, wanted) in &self.annotations {
                found.check(name, wanted)?;
            }
        }
        if *self != Self::any() {
            trace.passed(Check::Claim, || (self.to_string(), kind_of(claim)));
        }
        Ok(())
    }

    fn check_kind(&self, claim: &VerifiedClaim) -> Result<(), Refusal> {
        let predicate_type = claim.statement().map(|statement| statement.predicate_type.as_str());
        let fits = match &self.kind {
            ClaimKind::Any => true,
            ClaimKind::Signature => {
                predicate_type.is_none_or(|found| found == SIGNATURE_PREDICATE_TYPE)
            }
            ClaimKind::Attestation { predicate_type: wanted } => {
                predicate_type == Some(wanted.as_str())
            }
        };
        if fits {
            return Ok(());
        }
        Err(Refusal::WrongClaim { wanted: self.kind.to_string(), found: kind_of(claim) })
    }
}

/// Annotations as they were signed.
#[derive(Default)]
struct Annotations(BTreeMap<String, Value>);

impl Annotations {
    /// What is no object of distinct names has no annotations that could be wanted.
    fn parse(json: &RawValue) -> Self {
        serde_json::from_str(json.get()).unwrap_or_default()
    }

    fn check(&self, name: &str, wanted: &str) -> Result<(), Refusal> {
        let found = self.0.get(name);
        if found.and_then(Value::as_str) == Some(wanted) {
            return Ok(());
        }
        let shown = |value: &Value| match value {
            Value::String(text) => text.chars().take(128).collect(),
            other => other.to_string().chars().take(128).collect(),
        };
        let (name, wanted, found) = (name.to_owned(), wanted.to_owned(), found.map(shown));
        Err(Refusal::WrongAnnotation { name, wanted, found })
    }
}

impl<'de> Deserialize<'de> for Annotations {
    /// Refuses a name that stands twice: readers would disagree on which one counts.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Annotations;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of annotations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
                let mut pairs = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if pairs.insert(name, value).is_some() {
                        return Err(A::Error::custom("an annotation stands twice"));
                    }
                }
                Ok(Annotations(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

fn kind_of(claim: &VerifiedClaim) -> String {
    match claim.said() {
        Said::Signature => "a signature over the artifact".to_owned(),
        Said::SimpleSigning(_) => "a signature over the image's digest".to_owned(),
        Said::Statement(statement) => {
            format!("a statement of type {:.128}", statement.predicate_type)
        }
    }
}

impl std::fmt::Display for ClaimKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("any claim about the artifact"),
            Self::Signature => f.write_str("a signature"),
            Self::Attestation { predicate_type } => {
                write!(f, "a statement of type {predicate_type}")
            }
        }
    }
}

impl std::fmt::Display for ClaimPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.kind)?;
        self.annotations.iter().try_for_each(|(name, value)| write!(f, ", {name}={value}"))
    }
}

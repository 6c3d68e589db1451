//! A small statement that names a large document by its digest, so that an SBOM of any size can be
//! vouched for without being signed, logged and carried in an envelope.
//!
//! in-toto attestation framework, predicate "Reference" v0.1. Size and the document's own predicate
//! type stand in the descriptor's annotations, which the framework leaves to its users.

use crypto::{HashAlgorithm, Hasher};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::digest::Digest;
use crate::json;
use crate::proto_json::Bounded;
use crate::statement::{DigestSet, Statement};

/// `predicateType` of a statement that refers to documents.
pub const REFERENCE: &str = "https://in-toto.io/attestation/reference/v0.1";

/// Most documents that are read of one statement.
pub const DOCUMENTS_MAX: usize = 64;

/// Longest text of one field that is read, in bytes.
const TEXT_SIZE_MAX: usize = 4096;

/// A document as a statement refers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Digest of its bytes.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What its bytes are, e.g. `application/spdx+json`.
    pub media_type: String,
    /// Which predicate type it would be if it were carried along.
    pub predicate_type: String,
    /// Where it can be had, e.g. `oci://registry.example/app@sha256:…`.
    pub location: String,
}

/// Why a statement refers to no document that can be checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseReferenceError {
    /// Another predicate type.
    #[error("wanted predicate type {REFERENCE}, found `{found}`")]
    OtherType {
        /// The type found, cut to 128 characters.
        found: String,
    },
    /// Not the predicate's shape.
    #[error("not a reference predicate: {0}")]
    Json(String),
    /// More than [`DOCUMENTS_MAX`], or none.
    #[error("wanted 1 to {DOCUMENTS_MAX} references, found {found}")]
    Count {
        /// How many.
        found: usize,
    },
    /// A reference without what is needed to check the document.
    #[error("reference {index} lacks {what}")]
    Incomplete {
        /// Position, counted from 0.
        index: usize,
        /// What it lacks.
        what: &'static str,
    },
}

/// Why a document is not the one that was referred to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OtherDocument {
    /// Another size.
    #[error("the document has {found} bytes, wanted {wanted}")]
    Size {
        /// The size that was signed.
        wanted: u64,
        /// The size found; at least so much, where reading stopped.
        found: u64,
    },
    /// Another content.
    #[error("the document's digest is {found}, wanted {wanted}")]
    Digest {
        /// The digest that was signed.
        wanted: Box<Digest>,
        /// The digest found.
        found: Box<Digest>,
    },
}

#[derive(Serialize, Deserialize)]
struct Predicate<L> {
    attester: Attester,
    references: L,
}

#[derive(Serialize, Deserialize)]
struct Attester {
    id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    digest: std::collections::BTreeMap<&'a str, String>,
    download_location: &'a str,
    media_type: &'a str,
    annotations: Annotations,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    #[serde(default)]
    digest: DigestSet,
    #[serde(default)]
    download_location: Option<String>,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    annotations: Option<Annotations>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Annotations {
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    predicate_type: Option<String>,
}

impl Document {
    /// The predicate that refers to this document. `attester` names who refers, as a URI: who it
    /// *is*, the signature tells.
    #[must_use]
    pub fn predicate(&self, attester: &str) -> Box<RawValue> {
        let written = Written {
            digest: [(self.digest.algorithm().name(), self.digest.hex())].into(),
            download_location: &self.location,
            media_type: &self.media_type,
            annotations: Annotations {
                size: Some(self.size),
                predicate_type: Some(self.predicate_type.clone()),
            },
        };
        let attester = Attester { id: attester.to_owned() };
        let predicate = Predicate { attester, references: [written] };
        serde_json::value::to_raw_value(&predicate).expect("text and numbers are JSON")
    }

    /// The documents that a statement refers to.
    ///
    /// # Errors
    /// When it is of another type, or a reference does not say enough to check its document.
    pub fn of(statement: &Statement) -> Result<Vec<Self>, ParseReferenceError> {
        if statement.predicate_type != REFERENCE {
            let found = statement.predicate_type.chars().take(128).collect();
            return Err(ParseReferenceError::OtherType { found });
        }
        let text = statement.predicate.as_deref().map_or("null", RawValue::get);
        let Predicate { references, .. } =
            json::parse::<Predicate<Bounded<Read, DOCUMENTS_MAX>>>(text.as_bytes())
                .map_err(ParseReferenceError::Json)?;
        let count = |found| ParseReferenceError::Count { found };
        let references = references.within_bound().map_err(count)?;
        if references.is_empty() {
            return Err(count(0));
        }
        references.into_iter().enumerate().map(|(index, read)| read.document(index)).collect()
    }

    /// Begins to check bytes against the reference, piece by piece.
    #[must_use]
    pub fn checker(&self) -> Checker<'_> {
        Checker { document: self, hasher: Hasher::new(self.digest.algorithm()), found: 0 }
    }
}

impl Read {
    fn document(self, index: usize) -> Result<Document, ParseReferenceError> {
        let lacks = |what| ParseReferenceError::Incomplete { index, what };
        let text = |text: Option<String>| {
            text.filter(|text| !text.is_empty() && text.len() <= TEXT_SIZE_MAX)
        };
        // The longest that is there.
        let digest = HashAlgorithm::ALL.into_iter().rev().find_map(|it| self.digest.get(it));
        let annotations = self.annotations.unwrap_or_default();
        Ok(Document {
            digest: digest.ok_or(lacks("a digest in a known algorithm"))?,
            size: annotations.size.ok_or(lacks("the annotation `size`"))?,
            media_type: text(self.media_type).ok_or(lacks("`mediaType`"))?,
            predicate_type: text(annotations.predicate_type)
                .ok_or(lacks("the annotation `predicateType`"))?,
            location: text(self.download_location).ok_or(lacks("`downloadLocation`"))?,
        })
    }
}

/// A document being checked: never holds it.
pub struct Checker<'a> {
    document: &'a Document,
    hasher: Hasher,
    found: u64,
}

impl Checker<'_> {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// As soon as there are more than were signed, so that an endless answer ends.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), OtherDocument> {
        self.found += bytes.len() as u64;
        if self.found > self.document.size {
            return Err(OtherDocument::Size { wanted: self.document.size, found: self.found });
        }
        self.hasher.update(bytes);
        Ok(())
    }

    /// Says whether these were all the bytes, and the right ones.
    ///
    /// # Errors
    /// When they were not.
    pub fn finish(self) -> Result<(), OtherDocument> {
        let Document { digest: wanted, size, .. } = *self.document;
        if self.found != size {
            return Err(OtherDocument::Size { wanted: size, found: self.found });
        }
        let found = Digest::from(self.hasher.finish());
        if found == wanted {
            return Ok(());
        }
        Err(OtherDocument::Digest { wanted: Box::new(wanted), found: Box::new(found) })
    }
}

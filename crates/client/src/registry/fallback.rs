//! Changing the tag that stands in for the referrers API: one entry more, or some less. All others
//! stay as their writers left them.
//!
//! OCI distribution specification v1.1, "Referrers Tag Schema". The tag is shared with other writers:
//! see `shared_tag`.

use evidence::{Digest, ImageRef};
use serde_json::Value;

use super::Registry;
use super::manifest::{DESCRIPTORS_MAX, Descriptor, MANIFEST_SIZE_MAX, OCI_INDEX};
use super::referrers::{FallbackIndex, fallback_tag};
use super::shared_tag::{Merging, Wanted};
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind};
use crate::http::Answer;

/// What is to be changed.
pub(super) enum Change {
    /// A manifest gets an entry.
    List(Box<Descriptor>),
    /// The entries of manifests that are gone go too.
    Unlist(Vec<Digest>),
}

/// A change on its way.
struct Changing<'a> {
    registry: &'a Registry,
    image: &'a ImageRef,
    subject: &'a Digest,
    tag: String,
    change: Change,
    deadline: Deadline,
}

impl Registry {
    /// Changes the list of what refers to a manifest.
    ///
    /// # Errors
    /// When the registry does not take it, or other writers keep undoing it.
    pub(super) async fn change_fallback(
        &self,
        image: &ImageRef,
        subject: &Digest,
        change: Change,
        deadline: Deadline,
    ) -> Result<(), FetchError> {
        let (registry, tag) = (self, fallback_tag(subject));
        self.merge(image, &Changing { registry, image, subject, tag, change, deadline }, deadline)
            .await?;
        Ok(())
    }
}

impl Merging for Changing<'_> {
    type Current = FallbackIndex;

    fn tag(&self) -> &str {
        &self.tag
    }

    async fn read(&self) -> Result<FallbackIndex, FetchError> {
        self.registry.fallback_index(self.image, self.subject, self.deadline).await
    }

    fn answer<'c>(&self, current: &'c FallbackIndex) -> &'c Answer {
        &current.answer
    }

    fn holds(&self, current: &FallbackIndex) -> bool {
        match &self.change {
            Change::List(entry) => {
                current.manifests.iter().any(|there| is_of(there, &entry.digest))
            }
            Change::Unlist(gone) => !current.manifests.iter().any(|there| is_among(there, gone)),
        }
    }

    async fn with(&self, current: &FallbackIndex, written: bool) -> Result<Wanted, FetchError> {
        let mut manifests = current.manifests.clone();
        match &self.change {
            Change::List(_) if current.is_the_image && written => {
                let (wanted, found) = ("the index just written to the tag", "the image itself");
                return Err(current.answer.malformed(wanted, found));
            }
            Change::List(_) if manifests.len() >= DESCRIPTORS_MAX => {
                let kind = FetchErrorKind::TooMany { what: "referrers", max: DESCRIPTORS_MAX };
                return Err(current.answer.error(kind));
            }
            Change::List(entry) => manifests
                .push(serde_json::to_value(entry).expect("a descriptor has only text and numbers")),
            Change::Unlist(gone) => manifests.retain(|there| !is_among(there, gone)),
        }
        let mut index = current.rest.clone();
        index.insert("manifests".to_owned(), Value::Array(manifests));
        let bytes = serde_json::to_vec(&index).expect("what was read as JSON is written as JSON");
        if bytes.len() as u64 > MANIFEST_SIZE_MAX {
            let (what, max) = ("an index of referrers", MANIFEST_SIZE_MAX);
            let found = Some(bytes.len() as u64);
            return Err(current.answer.error(FetchErrorKind::TooLarge { what, max, found }));
        }
        Ok(Wanted { media_type: OCI_INDEX.to_owned(), bytes })
    }
}

fn is_of(entry: &Value, manifest: &Digest) -> bool {
    entry["digest"].as_str().and_then(|text| text.parse().ok()).as_ref() == Some(manifest)
}

fn is_among(entry: &Value, manifests: &[Digest]) -> bool {
    manifests.iter().any(|manifest| is_of(entry, manifest))
}

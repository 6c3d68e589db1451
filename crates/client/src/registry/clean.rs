//! Taking away what lies beside an image, kind by kind.
//!
//! The meaning of the kinds is Cosign's: its tags, and the referrers that hold bundles. Referrers
//! that others attached, such as bills of materials, stay.

use evidence::{Digest, ImageRef};
use serde_json::Value;

use super::Registry;
use super::attachment::{self, AttachmentKind, Place};
use super::cosign_tags::CosignTag;
use super::delete::Deleted;
use super::manifest::OCI_INDEX;
use super::referrers::{FallbackIndex, ReferrersSource, fallback_tag};
use super::shared_tag::{Merging, Wanted};
use crate::deadline::Deadline;
use crate::error::FetchError;
use crate::http::Answer;

/// What is to be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleaning {
    /// What one of Cosign's tags holds.
    Tag(CosignTag),
    /// Referrers that hold Sigstore bundles.
    Referrers,
    /// All of these.
    All,
}

/// What was taken away.
#[derive(Debug, Default)]
pub struct Cleaned {
    /// Tags and digests that were there and are gone.
    pub removed: Vec<String>,
    /// What could not be taken away, or not be looked at.
    pub obstacles: Vec<FetchError>,
}

/// Entries on their way out of the tag that stands in for the referrers API.
struct Removal<'a> {
    registry: &'a Registry,
    image: &'a ImageRef,
    subject: &'a Digest,
    tag: String,
    manifests: &'a [String],
    deadline: Deadline,
}

impl Registry {
    /// Takes away what lies beside a manifest. What could not be is told; the rest is gone then.
    pub async fn clean(
        &self,
        image: &ImageRef,
        subject: &Digest,
        what: Cleaning,
        deadline: Deadline,
    ) -> Cleaned {
        let mut cleaned = Cleaned::default();
        for tag in CosignTag::ALL {
            if what == Cleaning::Tag(tag) || what == Cleaning::All {
                self.clean_tag(image, subject, tag, &mut cleaned, deadline).await;
            }
        }
        if matches!(what, Cleaning::Referrers | Cleaning::All) {
            self.clean_referrers(image, subject, &mut cleaned, deadline).await;
        }
        cleaned
    }

    async fn clean_tag(
        &self,
        image: &ImageRef,
        subject: &Digest,
        tag: CosignTag,
        cleaned: &mut Cleaned,
        deadline: Deadline,
    ) {
        let Some(tag) = tag.of(subject) else { return };
        match self.delete_tag(image, &tag, deadline).await {
            Ok(Deleted::Gone) => cleaned.removed.push(tag),
            Ok(Deleted::Absent) => {}
            Err(error) => cleaned.obstacles.push(error),
        }
    }

    async fn clean_referrers(
        &self,
        image: &ImageRef,
        subject: &Digest,
        cleaned: &mut Cleaned,
        deadline: Deadline,
    ) {
        let (beside, obstacles) = self.beside(image, subject, deadline).await;
        cleaned.obstacles.extend(obstacles);
        let bundles = beside.iter().filter(|beside| {
            matches!(beside.place, Place::Referrers(_))
                && attachment::attachments(&beside.manifest, beside.place)
                    .iter()
                    .any(|attachment| attachment.kind == AttachmentKind::Bundle)
        });
        let bundles: Vec<_> =
            bundles.map(|bundle| (bundle.manifest.digest, bundle.place)).collect();
        self.delete_referrers(image, subject, &bundles, cleaned, deadline).await;
    }

    /// Takes away what refers to a manifest, each where it was found. What could not be is told.
    pub async fn remove_referrers(
        &self,
        image: &ImageRef,
        subject: &Digest,
        referrers: &[(Digest, Place)],
        deadline: Deadline,
    ) -> Cleaned {
        let mut cleaned = Cleaned::default();
        self.delete_referrers(image, subject, referrers, &mut cleaned, deadline).await;
        cleaned
    }

    async fn delete_referrers(
        &self,
        image: &ImageRef,
        subject: &Digest,
        referrers: &[(Digest, Place)],
        cleaned: &mut Cleaned,
        deadline: Deadline,
    ) {
        let mut unlisted = Vec::new();
        for (digest, place) in referrers {
            match self.delete_manifest(image, digest, deadline).await {
                Ok(deleted) => {
                    if deleted == Deleted::Gone {
                        cleaned.removed.push(digest.to_string());
                    }
                    if *place == Place::Referrers(ReferrersSource::FallbackTag) {
                        unlisted.push(digest.to_string());
                    }
                }
                Err(error) => cleaned.obstacles.push(error),
            }
        }
        if unlisted.is_empty() {
            return;
        }
        let (tag, manifests) = (fallback_tag(subject), unlisted.as_slice());
        let removal = Removal { registry: self, image, subject, tag, manifests, deadline };
        if let Err(error) = self.merge(image, &removal, deadline).await {
            cleaned.obstacles.push(error);
        }
    }
}

impl Removal<'_> {
    fn is_removed(&self, entry: &Value) -> bool {
        entry["digest"]
            .as_str()
            .is_some_and(|digest| self.manifests.iter().any(|gone| gone == digest))
    }
}

impl Merging for Removal<'_> {
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
        !current.manifests.iter().any(|entry| self.is_removed(entry))
    }

    async fn with(&self, current: &FallbackIndex, _: bool) -> Result<Wanted, FetchError> {
        let kept = current.manifests.iter().filter(|entry| !self.is_removed(entry)).cloned();
        let mut index = current.rest.clone();
        index.insert("manifests".to_owned(), kept.collect());
        let bytes = serde_json::to_vec(&index).expect("what was read as JSON is written as JSON");
        Ok(Wanted { media_type: OCI_INDEX.to_owned(), bytes })
    }
}

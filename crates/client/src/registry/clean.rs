//! Taking away what lies beside an image, kind by kind.
//!
//! The meaning of the kinds is Cosign's: its tags, and the referrers that hold bundles. Referrers
//! that others attached, such as bills of materials, stay.

use evidence::{Digest, ImageRef};

use super::Registry;
use super::attachment::{AttachmentKind, Place};
use super::cosign_tags::CosignTag;
use super::delete::Deleted;
use super::fallback::Change;
use super::inventory::Inventory;
use super::referrers::ReferrersSource;
use crate::deadline::Deadline;
use crate::error::FetchError;

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
        let Inventory { attachments, obstacles } = self.inventory(image, subject, deadline).await;
        cleaned.obstacles.extend(obstacles);
        let bundles = attachments.iter().filter(|one| {
            one.kind == AttachmentKind::Bundle && matches!(one.place, Place::Referrers(_))
        });
        let mut bundles: Vec<_> = bundles.map(|bundle| (bundle.manifest, bundle.place)).collect();
        bundles.dedup();
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
                        unlisted.push(*digest);
                    }
                }
                Err(error) => cleaned.obstacles.push(error),
            }
        }
        if unlisted.is_empty() {
            return;
        }
        let unlisted = Change::Unlist(unlisted);
        if let Err(error) = self.change_fallback(image, subject, unlisted, deadline).await {
            cleaned.obstacles.push(error);
        }
    }
}

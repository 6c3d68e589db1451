//! All that lies beside an image, evidence or not, listed without fetching any of it: what `tree`,
//! `download`, `copy` and `clean` go by.

use std::collections::HashSet;

use evidence::{Digest, ImageRef};
use futures::StreamExt;

use super::Registry;
use super::attachment::{self, Attachment, Place, subject_of};
use super::cosign_tags::CosignTag;
use super::discover::OPENED_MAX;
use super::manifest::Manifest;
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind};

/// Referrers opened at the same time.
const CONCURRENT: usize = 8;

/// What lies beside an image.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Everything, tag by tag, then the referrers in the order of their list.
    pub attachments: Vec<Attachment>,
    /// What could not be looked at. With any of these the inventory is not whole.
    pub obstacles: Vec<FetchError>,
}

/// A manifest beside an image, whole.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) manifest: Manifest,
    pub(crate) place: Place,
}

impl Registry {
    /// Lists what lies beside a manifest: under each of Cosign's tags, and what refers to it. Never
    /// fails: what cannot be looked at is an obstacle.
    pub async fn inventory(
        &self,
        image: &ImageRef,
        subject: &Digest,
        deadline: Deadline,
    ) -> Inventory {
        let (beside, obstacles) = self.beside(image, subject, deadline).await;
        let attachments = beside
            .iter()
            .flat_map(|beside| attachment::attachments(&beside.manifest, beside.place))
            .collect();
        Inventory { attachments, obstacles }
    }

    /// Reads an attachment that is no longer than `size_max` bytes.
    ///
    /// # Errors
    /// When it cannot be looked at, is longer, or has another digest.
    pub async fn fetch_attachment(
        &self,
        image: &ImageRef,
        attachment: &Attachment,
        size_max: u64,
        deadline: Deadline,
    ) -> Result<Vec<u8>, FetchError> {
        let layer = &attachment.layer;
        if layer.size > size_max {
            let (what, found) = ("an attachment", Some(layer.size));
            let kind = FetchErrorKind::TooLarge { what, max: size_max, found };
            return Err(FetchError::new(self.attempt(image, &layer.digest), kind));
        }
        if layer.digest == attachment.manifest {
            // A manifest that is listed for itself, being no artifact of layers.
            let manifest = self.fetch_manifest(image, &layer.digest, deadline).await?;
            return Ok(manifest.bytes);
        }
        self.fetch_blob(image, &layer.digest, layer.size, deadline).await
    }

    /// The manifests beside an image, and what could not be looked at.
    pub(crate) async fn beside(
        &self,
        image: &ImageRef,
        subject: &Digest,
        deadline: Deadline,
    ) -> (Vec<Beside>, Vec<FetchError>) {
        let tagged =
            |tag| async move { (tag, self.cosign_manifest(image, subject, tag, deadline).await) };
        let (referrers, tags) = futures::join!(
            self.referrers(image, subject, deadline),
            futures::future::join_all(CosignTag::ALL.map(tagged)),
        );
        let (mut found, mut obstacles) = (Vec::new(), Vec::new());
        for (tag, outcome) in tags {
            match outcome {
                Ok(Some(manifest)) => found.push(Beside { manifest, place: Place::Tag(tag) }),
                Ok(None) => {}
                Err(error) => obstacles.push(error),
            }
        }
        let referrers = match referrers {
            Ok(referrers) => referrers,
            Err(error) => {
                obstacles.push(error);
                return (found, obstacles);
            }
        };
        obstacles.extend(referrers.shortfall);
        let place = Place::Referrers(referrers.source);
        let mut listed = HashSet::new();
        let mut digests: Vec<_> = referrers
            .descriptors
            .into_iter()
            .map(|descriptor| descriptor.digest)
            .filter(|digest| listed.insert(*digest))
            .collect();
        if digests.len() > OPENED_MAX {
            digests.truncate(OPENED_MAX);
            let kind = FetchErrorKind::TooMany { what: "referrers to open", max: OPENED_MAX };
            obstacles.push(FetchError::new(self.attempt(image, subject), kind));
        }
        let opened: Vec<_> = futures::stream::iter(digests)
            .map(|digest| async move { self.fetch_manifest(image, &digest, deadline).await })
            .buffered(CONCURRENT)
            .collect()
            .await;
        for outcome in opened {
            match outcome {
                // Whoever listed it, it must say itself that it is about this image.
                Ok(manifest) if subject_of(&manifest) == Some(*subject) => {
                    found.push(Beside { manifest, place });
                }
                Ok(_) => {}
                Err(error) => obstacles.push(error),
            }
        }
        (found, obstacles)
    }
}

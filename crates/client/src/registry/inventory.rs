//! All that lies beside an image, evidence or not, listed without fetching any of it: what `tree`,
//! `download`, `copy` and `clean` go by.

use std::collections::HashSet;
use std::pin::pin;

use evidence::{Digest, ImageRef};
use futures::future::ready;
use futures::{Stream, StreamExt, TryStreamExt};

use super::Registry;
use super::attachment::{self, Attachment, Place, subject_of};
use super::cosign_tags::CosignTag;
use super::discover::{OPENED_MAX, REFERRER_SIZE_MAX};
use super::manifest::{MANIFEST_SIZE_MAX, Manifest};
use super::referrers::{Referrers, ReferrersSource};
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
        let mut inventory = Inventory::default();
        let mut beside = pin!(self.beside(image, subject, deadline));
        while let Some(beside) = beside.next().await {
            match beside {
                Ok(Beside { manifest, place }) => {
                    inventory.attachments.extend(attachment::attachments(&manifest, place));
                }
                Err(error) => inventory.obstacles.push(error),
            }
        }
        inventory
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

    /// The manifests beside an image, one after the other, and what cannot be looked at among them.
    /// What Cosign keeps under tags comes first.
    pub(crate) fn beside<'a>(
        &'a self,
        image: &'a ImageRef,
        subject: &'a Digest,
        deadline: Deadline,
    ) -> impl Stream<Item = Result<Beside, FetchError>> + 'a {
        let tagged = move |tag| async move {
            let answer = self.cosign_answer(image, subject, tag, MANIFEST_SIZE_MAX, deadline).await;
            (tag, answer)
        };
        let listed = async move {
            let (referrers, tags) = futures::join!(
                self.referrers(image, subject, deadline),
                futures::future::join_all(CosignTag::ALL.map(tagged)),
            );
            // Each is read when its turn comes: together they could take too much memory.
            let tags = futures::stream::iter(tags).filter_map(async |(tag, answer)| {
                let manifest = answer
                    .and_then(|answer| answer.map(|answer| Manifest::of(answer, None)).transpose());
                let place = Place::Tag(tag);
                manifest.transpose().map(|read| read.map(|manifest| Beside { manifest, place }))
            });
            tags.chain(self.referring(image, subject, referrers, deadline))
        };
        futures::stream::once(listed).flatten()
    }

    /// The manifests that a list names, as far as they say themselves that they are about the image.
    fn referring<'a>(
        &'a self,
        image: &'a ImageRef,
        subject: &'a Digest,
        referrers: Result<Referrers, FetchError>,
        deadline: Deadline,
    ) -> impl Stream<Item = Result<Beside, FetchError>> + 'a {
        let Referrers { source, descriptors, shortfall } = referrers.unwrap_or_else(|error| {
            let (source, descriptors) = (ReferrersSource::Api, Vec::new());
            Referrers { source, descriptors, shortfall: Some(error) }
        });
        let mut listed = HashSet::new();
        let mut digests: Vec<_> = descriptors
            .into_iter()
            .map(|descriptor| descriptor.digest)
            .filter(|digest| listed.insert(*digest))
            .collect();
        let too_many = (digests.len() > OPENED_MAX).then(|| {
            digests.truncate(OPENED_MAX);
            let kind = FetchErrorKind::TooMany { what: "referrers to open", max: OPENED_MAX };
            FetchError::new(self.attempt(image, subject), kind)
        });
        let place = Place::Referrers(source);
        let opened = futures::stream::iter(digests)
            .map(move |digest| async move {
                self.fetch_manifest_up_to(image, &digest, REFERRER_SIZE_MAX, deadline).await
            })
            .buffered(CONCURRENT)
            .map_ok(move |manifest| Beside { manifest, place })
            // Whoever listed it, it must say itself that it is about this image.
            .try_filter(move |beside| ready(subject_of(&beside.manifest) == Some(*subject)));
        futures::stream::iter(shortfall.into_iter().chain(too_many).map(Err)).chain(opened)
    }
}

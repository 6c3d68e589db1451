//! Attestations that a new one of the same type takes the place of.

use client::registry::{AttachmentKind, ManifestContent, Place};
use crypto::{Hash, HashAlgorithm};
use evidence::bundle::Content;
use evidence::{Digest, Evidence, Statement};

use super::attaching::Shelf;
use super::images;
use crate::exit::{Exit, Failure};
use crate::ui;

/// What was there when it was looked for. What somebody attaches later is not among it, so that it
/// stays.
#[derive(Debug, Default)]
pub(crate) struct Older {
    /// Layers of Cosign's attestation tag, by each digest that their content may be named by.
    layers: Vec<Digest>,
    /// Manifests that hold such an attestation and nothing else.
    referrers: Vec<(Digest, Place)>,
}

impl Older {
    /// Finds the attestations of that type, by what their statements say: what stands beside them
    /// in manifests is unsigned. What cannot be read is of no type, and stays.
    pub(crate) async fn find(shelf: &Shelf<'_>, predicate_type: &str) -> Result<Self, Failure> {
        let Shelf { registry, image, manifest, deadline } = shelf;
        let what = || format!("it cannot be told which attestations of {image} are to be replaced");
        let found = registry.find_evidence(image, &manifest.digest, *deadline).await;
        if let Some(obstacle) = found.obstacles.into_iter().next() {
            return Err(images::not_looked_at(&what(), obstacle));
        }
        let mut older = Self::default();
        for piece in found.pieces {
            let (kind, place, holder) = (piece.kind, piece.place, piece.manifest);
            let names =
                HashAlgorithm::ALL.map(|algorithm| Digest::from(Hash::of(algorithm, &piece.bytes)));
            let Ok(evidence) = piece.parse() else { continue };
            if predicate_type_of(&evidence).as_deref() != Some(predicate_type) {
                continue;
            }
            if kind == AttachmentKind::Attestation && matches!(place, Place::Tag(_)) {
                older.layers.extend(names);
            } else if matches!(place, Place::Referrers(_)) {
                let held = registry.fetch_manifest(image, &holder, *deadline).await;
                let held = held.map_err(|error| images::not_looked_at(&what(), error))?;
                let alone = matches!(&held.content,
                    ManifestContent::Image(content) if content.layers.len() == 1);
                // One that holds something else too would take that along.
                if alone {
                    older.referrers.push((holder, place));
                }
            }
        }
        Ok(older)
    }

    /// Contents of Cosign's attestation tag that go.
    pub(crate) fn layers(&self) -> &[Digest] {
        &self.layers
    }

    /// Takes away the manifests, now that the new one is there.
    pub(crate) async fn remove_referrers(&self, shelf: &Shelf<'_>) -> Result<(), Failure> {
        if self.referrers.is_empty() {
            return Ok(());
        }
        let Shelf { registry, image, manifest, deadline } = shelf;
        let subject = &manifest.digest;
        let cleaned = registry.remove_referrers(image, subject, &self.referrers, *deadline).await;
        cleaned.removed.iter().for_each(|removed| ui::note(&format!("replaced {removed}")));
        match cleaned.obstacles.into_iter().next() {
            None => Ok(()),
            Some(error) => {
                let what = "the attestation is attached, but an older one could not be removed";
                Err(images::failed(Exit::Failure, what, error))
            }
        }
    }
}

/// What kind of statement this is, if it is one.
pub(crate) fn predicate_type_of(evidence: &Evidence) -> Option<String> {
    match &evidence.content {
        Content::Envelope(envelope) => {
            Some(Statement::parse(&envelope.payload).ok()?.predicate_type)
        }
        Content::Message { .. } | Content::SimpleSigning { .. } => None,
    }
}

//! What lies beside an image in a layout: listed under Cosign's annotations or under the names of its
//! tags, listed as what refers to the image, or a loose blob that does.

use std::collections::HashSet;

use crypto::HashAlgorithm;
use evidence::Digest;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::files::{Folder, check_digest, problem};
use super::{
    ATTESTATIONS, IMAGE, IMAGE_INDEX, KIND, Layout, LayoutError, LayoutEvidence, LayoutProblem,
    REFERENCE, SIGNATURES, annotation,
};
use crate::registry::attachment::{Place, attachments, subject_of};
use crate::registry::discover::{
    BUNDLE_SIZE_MAX, BUNDLES_SIZE_MAX, PIECES_MAX, REFERRER_SIZE_MAX, RawEvidence,
};
use crate::registry::manifest::{MANIFEST_SIZE_MAX, OCI_INDEX, OCI_MANIFEST};
use crate::registry::walk::Unopened;
use crate::registry::{CosignTag, Descriptor, Manifest};

/// Blobs looked at in one layout.
const BLOBS_MAX: usize = 20_000;

/// Bytes read while looking for referrers.
const SCAN_SIZE_MAX: u64 = 64 * 1024 * 1024;

/// Something beside an image.
pub(super) struct Beside {
    /// Which image.
    pub(super) subject: Digest,
    /// Under which of Cosign's tags; else it refers to the image.
    pub(super) tag: Option<CosignTag>,
    pub(super) manifest: Unopened,
}

/// Manifests that refer to something, each once, with what they refer to.
#[derive(Default)]
struct Referrers {
    found: Vec<(Digest, Unopened)>,
    seen: HashSet<Digest>,
}

/// What says that a blob is a referrer, and which kind of manifest it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refers {
    #[serde(default)]
    subject: Option<Descriptor>,
    #[serde(default)]
    media_type: Option<IgnoredAny>,
    #[serde(default)]
    manifests: Option<IgnoredAny>,
}

impl Referrers {
    fn add(&mut self, subject: Digest, manifest: &Manifest) {
        if self.seen.insert(manifest.digest) {
            let (digest, media_type) = (manifest.digest, manifest.media_type.clone());
            self.found.push((subject, Unopened { digest, media_type }));
        }
    }
}

impl Layout {
    /// Finds all evidence about a manifest. What cannot be read is an obstacle.
    #[must_use]
    pub fn find_evidence(&self, subject: &Digest) -> LayoutEvidence {
        let mut found = LayoutEvidence::default();
        let (subjects, mut referrers) = ([*subject], Referrers::default());
        if self.is_complete {
            self.look_at_listed(&subjects, &mut referrers, &mut found.obstacles);
        } else {
            self.scan(&subjects, &mut referrers, &mut found.obstacles);
        }
        let listed = self.listed.iter().filter(|one| is_evidence(one, subject));
        let referrers = referrers.found.into_iter().map(|(_, manifest)| manifest);
        let mut seen = HashSet::new();
        let mut layers = Vec::new();
        for Unopened { digest, media_type } in listed.map(Unopened::from).chain(referrers) {
            if !seen.insert(digest) {
                continue;
            }
            match self.manifest(&digest, Some(&media_type), MANIFEST_SIZE_MAX) {
                Ok(manifest) => {
                    let all = attachments(&manifest, Place::Layout).into_iter();
                    layers.extend(all.filter(|attachment| attachment.kind.is_evidence()));
                }
                Err(error) => found.obstacles.push(error),
            }
        }
        let mut room = BUNDLES_SIZE_MAX;
        for attachment in layers {
            let Descriptor { digest, size, .. } = &attachment.layer;
            let path = self.path(digest);
            if found.pieces.len() == PIECES_MAX {
                let (what, max) = ("pieces of evidence", PIECES_MAX);
                found.obstacles.push(problem(&path, LayoutProblem::TooMany { what, max }));
                break;
            }
            let max = room.min(BUNDLE_SIZE_MAX);
            if *size > max {
                found.obstacles.push(problem(&path, LayoutProblem::TooLarge { max }));
                continue;
            }
            room -= size;
            match self.blob(digest, *size) {
                Ok(bytes) => found.pieces.push(RawEvidence {
                    bytes,
                    kind: attachment.kind,
                    media_type: attachment.layer.media_type,
                    annotations: attachment.layer.annotations.unwrap_or_default(),
                    manifest: attachment.manifest,
                    place: Place::Layout,
                }),
                Err(error) => found.obstacles.push(error),
            }
        }
        found
    }

    /// All that lies beside these manifests, of which the first is the image itself: what Cosign
    /// marked without saying what it is about is about that.
    ///
    /// # Errors
    /// At the first thing that cannot be read: what is moved without it would not be whole.
    pub(super) fn beside(&self, subjects: &[Digest]) -> Result<Vec<Beside>, LayoutError> {
        let mut beside: Vec<Beside> = Vec::new();
        for descriptor in &self.listed {
            if let Some((tag, subject)) = listed_tag(descriptor, subjects) {
                beside.push(Beside { subject, tag: Some(tag), manifest: descriptor.into() });
            }
        }
        let (mut referrers, mut obstacles) = (Referrers::default(), Vec::new());
        self.look_at_listed(subjects, &mut referrers, &mut obstacles);
        if !self.is_complete {
            self.scan(subjects, &mut referrers, &mut obstacles);
        }
        if let Some(obstacle) = obstacles.into_iter().next() {
            return Err(obstacle);
        }
        let referrers = referrers.found.into_iter();
        beside.extend(referrers.map(|(subject, manifest)| Beside { subject, tag: None, manifest }));
        Ok(beside)
    }

    /// Looks at what is listed as nothing else for manifests that refer to one of the subjects.
    fn look_at_listed(
        &self,
        subjects: &[Digest],
        referrers: &mut Referrers,
        obstacles: &mut Vec<LayoutError>,
    ) {
        let known = [IMAGE, IMAGE_INDEX, SIGNATURES, ATTESTATIONS];
        let others = self.listed.iter().filter(|descriptor| {
            annotation(descriptor, KIND).is_none_or(|kind| !known.contains(&kind))
                && named_tag(descriptor).is_none()
        });
        for descriptor in others {
            match self.listed_manifest(descriptor) {
                Ok(manifest) => {
                    let about = subject_of(&manifest).filter(|about| subjects.contains(about));
                    if let Some(about) = about {
                        referrers.add(about, &manifest);
                    }
                }
                Err(error) => obstacles.push(error),
            }
        }
    }

    fn listed_manifest(&self, descriptor: &Descriptor) -> Result<Manifest, LayoutError> {
        self.manifest(&descriptor.digest, Some(&descriptor.media_type), MANIFEST_SIZE_MAX)
    }

    /// Looks at every small blob for manifests that refer to one of the subjects: with Cosign nothing
    /// lists them.
    fn scan(
        &self,
        subjects: &[Digest],
        referrers: &mut Referrers,
        obstacles: &mut Vec<LayoutError>,
    ) {
        let (mut count, mut room) = (0, SCAN_SIZE_MAX);
        for algorithm in HashAlgorithm::ALL {
            let opened = self.blobs(algorithm).and_then(|folder| {
                let names = folder.names()?;
                Ok((folder, names))
            });
            let (folder, names) = match opened {
                Ok(opened) => opened,
                Err(error) if error.is_absent() => continue,
                Err(error) => {
                    obstacles.push(error);
                    continue;
                }
            };
            for name in names {
                count += 1;
                if count > BLOBS_MAX || room == 0 {
                    let (what, max) = ("blobs to look at", BLOBS_MAX);
                    obstacles.push(problem(folder.path(), LayoutProblem::TooMany { what, max }));
                    return;
                }
                let digest = name.map(|name| Digest::from_hex(algorithm, &name).ok());
                let found = digest.and_then(|digest| match digest {
                    Some(digest) => self.refers_to(&folder, &digest, subjects, &mut room),
                    None => Ok(None),
                });
                match found {
                    Ok(Some((subject, manifest))) => referrers.add(subject, &manifest),
                    Ok(None) => {}
                    Err(error) => obstacles.push(error),
                }
            }
        }
    }

    /// The blob, if it is a manifest about one of the subjects. What is too long for one is not read.
    fn refers_to(
        &self,
        folder: &Folder,
        digest: &Digest,
        subjects: &[Digest],
        room: &mut u64,
    ) -> Result<Option<(Digest, Manifest)>, LayoutError> {
        let path = self.path(digest);
        let (_, size) = folder.file(&digest.hex())?;
        if size > REFERRER_SIZE_MAX {
            return Ok(None);
        }
        *room = room.saturating_sub(size);
        let bytes = folder.read(&digest.hex(), REFERRER_SIZE_MAX)?;
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Ok(None);
        }
        // Configurations and bundles are JSON too, and refer to nothing.
        let refers: Option<Refers> = crate::json::parse(&bytes).ok();
        let Some(Refers { subject: Some(subject), media_type, manifests }) = refers else {
            return Ok(None);
        };
        let about = subject.digest;
        if !subjects.contains(&about) {
            return Ok(None);
        }
        // Nothing need name it. Only OCI's manifests leave out what they are ("SHOULD be used").
        let implied = media_type.is_none().then_some(match manifests {
            Some(_) => OCI_INDEX,
            None => OCI_MANIFEST,
        });
        let manifest = Manifest::read(bytes, implied, digest).map_err(|(wanted, found)| {
            problem(&path, LayoutProblem::Malformed { wanted, found })
        })?;
        check_digest(&path, digest, &manifest.digest)?;
        Ok(Some((about, manifest)))
    }
}

/// Which of Cosign's tags something is listed under, if under one.
pub(super) fn named_tag(descriptor: &Descriptor) -> Option<&str> {
    let name = annotation(descriptor, REFERENCE)?;
    let tag = name.rsplit(':').next().unwrap_or(name);
    let (stem, suffix) = tag.rsplit_once('.')?;
    let known = ["sig", "att", "sbom"].contains(&suffix);
    let (algorithm, value) = stem.split_once('-')?;
    let algorithm = HashAlgorithm::from_name(algorithm)?;
    (known && Digest::from_hex(algorithm, value).is_ok()).then_some(tag)
}

/// The same, with which of the subjects it is about.
pub(super) fn tag_about(
    descriptor: &Descriptor,
    subjects: &[Digest],
) -> Option<(CosignTag, Digest)> {
    let named = named_tag(descriptor)?;
    let all = subjects.iter().flat_map(|subject| CosignTag::ALL.map(|tag| (tag, *subject)));
    all.into_iter().find(|(tag, subject)| tag.of(subject).as_deref() == Some(named))
}

/// Under which of Cosign's tags something is listed, and about which of the subjects, by its mark or
/// its name.
fn listed_tag(descriptor: &Descriptor, subjects: &[Digest]) -> Option<(CosignTag, Digest)> {
    let marked = match annotation(descriptor, KIND) {
        Some(IMAGE | IMAGE_INDEX) => return None,
        Some(SIGNATURES) => Some(CosignTag::Signature),
        Some(ATTESTATIONS) => Some(CosignTag::Attestation),
        _ => None,
    };
    marked.zip(subjects.first().copied()).or_else(|| tag_about(descriptor, subjects))
}

/// Whether something that is listed may be evidence about the subject. What Cosign marked as such
/// does not say about what; the judge finds out.
fn is_evidence(descriptor: &Descriptor, subject: &Digest) -> bool {
    let marked =
        annotation(descriptor, KIND).is_some_and(|kind| [SIGNATURES, ATTESTATIONS].contains(&kind));
    let named = tag_about(descriptor, &[*subject]);
    marked || named.is_some_and(|(tag, _)| tag != CosignTag::Sbom)
}

//! Finding all evidence for an image: every referrer that holds a Sigstore bundle, fetched once,
//! several at a time.
//!
//! What a list says about a referrer is not believed: it is opened, and must say itself that it is
//! about this image. What could not be looked at is kept as an obstacle, so that nobody takes it
//! for absent. Evidence under Cosign's own tags is not looked for yet.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use evidence::{Digest, ImageRef};
use futures::StreamExt;

use super::Registry;
use super::manifest::{Descriptor, ImageManifest, ManifestContent};
use super::referrers::ReferrersSource;
use crate::deadline::Deadline;
use crate::error::{Attempt, FetchError, FetchErrorKind};

/// Most referrers of one image that are opened.
pub const OPENED_MAX: usize = 100;

/// Longest manifest of a referrer read, in bytes. Cosign's have about 1,000.
pub const REFERRER_SIZE_MAX: u64 = 256 * 1024;

/// Longest bundle fetched, in bytes.
pub const BUNDLE_SIZE_MAX: u64 = 16 * 1024 * 1024;

/// Most bytes of bundles fetched for one image, over all of them.
pub const BUNDLES_SIZE_MAX: u64 = 48 * 1024 * 1024;

/// Referrers looked at at the same time.
const CONCURRENT: usize = 8;

/// How the media types of all versions of Sigstore bundles begin.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// What was found for an image.
#[derive(Debug, Default)]
pub struct Found {
    /// The evidence, in the order of the list, but what the list calls bundles first.
    pub pieces: Vec<RawEvidence>,
    /// What could not be looked at. With any of these, "none found" means nothing.
    pub obstacles: Vec<FetchError>,
    /// Referrers that were opened and are no evidence for this image, each with its reason.
    pub ignored: Vec<Ignored>,
}

/// A piece of evidence as it came, whose digest is that of its manifest's layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvidence {
    /// The piece.
    pub bytes: Vec<u8>,
    /// Its media type, as its manifest says.
    pub media_type: String,
    /// Digest of the manifest that holds it.
    pub manifest: Digest,
    /// How that was found.
    pub source: ReferrersSource,
}

/// A referrer that is no evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Digest of its manifest.
    pub manifest: Digest,
    /// Why it is none.
    pub reason: IgnoredReason,
}

/// Why a referrer is no evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IgnoredReason {
    /// It holds something else.
    #[error("it holds `{found}`, not a Sigstore bundle")]
    NotABundle {
        /// What it says it holds.
        found: String,
    },
    /// It is about something else, whoever listed it.
    #[error("its subject is {}, not this image", subject(found.as_ref()))]
    OtherSubject {
        /// What it is about, if about anything.
        found: Option<Digest>,
    },
}

/// What came of opening one referrer.
type Opened = Result<Vec<RawEvidence>, Stopped>;

enum Stopped {
    Obstacle(FetchError),
    Ignored(IgnoredReason),
}

impl From<FetchError> for Stopped {
    fn from(error: FetchError) -> Self {
        Self::Obstacle(error)
    }
}

impl Registry {
    /// Finds all evidence for a manifest, and says what it could not look at. Never fails: a
    /// registry that cannot be reached is an obstacle like any other.
    pub async fn find_evidence(
        &self,
        image: &ImageRef,
        subject: &Digest,
        deadline: Deadline,
    ) -> Found {
        let mut found = Found::default();
        let referrers = match self.referrers(image, subject, deadline).await {
            Ok(referrers) => referrers,
            Err(error) => {
                found.obstacles.push(error);
                return found;
            }
        };
        found.obstacles.extend(referrers.shortfall);
        let source = referrers.source;
        let mut candidates = referrers.descriptors;
        let mut listed = HashSet::new();
        candidates.retain(|candidate| listed.insert(candidate.digest));
        // Whoever can push can list what they like, so the likely ones go first. No more than that:
        // in a fallback index the type is what some client wrote there.
        candidates
            .sort_by_key(|candidate| !candidate.artifact_type.as_deref().is_some_and(is_bundle));
        if candidates.len() > OPENED_MAX {
            candidates.truncate(OPENED_MAX);
            let kind = FetchErrorKind::TooMany { what: "referrers to open", max: OPENED_MAX };
            found.obstacles.push(FetchError::new(self.attempt(image, subject), kind));
        }
        let room = &AtomicU64::new(BUNDLES_SIZE_MAX);
        // Digests, not borrowed descriptors: else nobody can show that this future may be sent.
        let manifests = candidates.into_iter().map(|candidate| candidate.digest);
        let opened: Vec<(Digest, Opened)> = futures::stream::iter(manifests)
            .map(|manifest| async move {
                (manifest, self.open(image, subject, &manifest, source, room, deadline).await)
            })
            .buffered(CONCURRENT)
            .collect()
            .await;
        for (manifest, outcome) in opened {
            match outcome {
                Ok(pieces) => found.pieces.extend(pieces),
                Err(Stopped::Obstacle(error)) => found.obstacles.push(error),
                Err(Stopped::Ignored(reason)) => found.ignored.push(Ignored { manifest, reason }),
            }
        }
        found
    }

    async fn open(
        &self,
        image: &ImageRef,
        subject: &Digest,
        digest: &Digest,
        source: ReferrersSource,
        room: &AtomicU64,
        deadline: Deadline,
    ) -> Opened {
        let manifest =
            self.fetch_manifest_up_to(image, digest, REFERRER_SIZE_MAX, deadline).await?;
        let ManifestContent::Image(content) = manifest.content else {
            return Err(Stopped::Ignored(IgnoredReason::NotABundle { found: manifest.media_type }));
        };
        let layers = bundles_of(&content).map_err(Stopped::Ignored)?;
        let about = content.subject.as_ref().map(|subject| subject.digest);
        if about != Some(*subject) {
            return Err(Stopped::Ignored(IgnoredReason::OtherSubject { found: about }));
        }
        let mut pieces = Vec::new();
        for layer in layers {
            self.make_room(image, layer, room)?;
            let bytes = self.fetch_blob(image, &layer.digest, layer.size, deadline).await?;
            let media_type = layer.media_type.clone();
            pieces.push(RawEvidence { bytes, media_type, manifest: *digest, source });
        }
        Ok(pieces)
    }

    /// Takes a bundle's size out of what may be fetched for this image.
    fn make_room(
        &self,
        image: &ImageRef,
        layer: &Descriptor,
        room: &AtomicU64,
    ) -> Result<(), FetchError> {
        let too_large = |what, max| {
            let kind = FetchErrorKind::TooLarge { what, max, found: Some(layer.size) };
            FetchError::new(self.attempt(image, &layer.digest), kind)
        };
        if layer.size > BUNDLE_SIZE_MAX {
            return Err(too_large("a bundle", BUNDLE_SIZE_MAX));
        }
        room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(layer.size))
            .map(|_| ())
            .map_err(|left| too_large("further bundles of one image", left))
    }

    /// What would have been tried, for limits that stop us before we try.
    fn attempt(&self, image: &ImageRef, digest: &Digest) -> Attempt {
        Attempt {
            method: reqwest::Method::GET,
            url: format!("{}@{digest}", image.name()),
            host: image.registry().to_string(),
            tries: 0,
        }
    }
}

/// The layers that hold bundles: those of such a type, or the only layer of a manifest that says so.
fn bundles_of(manifest: &ImageManifest) -> Result<Vec<&Descriptor>, IgnoredReason> {
    let bundles: Vec<_> =
        manifest.layers.iter().filter(|layer| is_bundle(&layer.media_type)).collect();
    if !bundles.is_empty() {
        return Ok(bundles);
    }
    let kind = manifest.artifact_type.as_ref().unwrap_or(&manifest.config.media_type);
    match manifest.layers.as_slice() {
        [only] if is_bundle(kind) || is_bundle(&manifest.config.media_type) => Ok(vec![only]),
        _ => Err(IgnoredReason::NotABundle { found: kind.clone() }),
    }
}

fn is_bundle(media_type: &str) -> bool {
    // `….bundle.v0.3+json` and `….bundle+json;version=0.2`, and what later versions will be.
    media_type.strip_prefix(BUNDLE).is_some_and(|version| version.starts_with(['.', '+']))
}

fn subject(found: Option<&Digest>) -> String {
    found.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

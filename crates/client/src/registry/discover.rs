//! Finding all evidence for an image: what refers to it, and what lies under Cosign's signature and
//! attestation tags, each thing fetched once, several at a time.
//!
//! What a list says about a referrer is not believed: it is opened, and must say itself that it is
//! about this image. What could not be looked at is kept as an obstacle, so that nobody takes it
//! for absent. Evidence comes in steps, the likeliest first, because most policies are content with
//! one piece: a [`Discovery`] can be left as soon as a verdict admits, and [`Registry::find_evidence`]
//! takes all of it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use evidence::cosign::Layer;
use evidence::{Digest, Evidence, ImageRef, ParseEvidenceError};
use futures::StreamExt;

use super::Registry;
use super::attachment::{self, Attachment, AttachmentKind, Place, is_bundle, subject_of};
use super::cosign_tags::CosignTag;
use super::manifest::{Descriptor, MANIFEST_SIZE_MAX, Manifest};
use super::referrers::{Referrers, ReferrersSource};
use crate::deadline::Deadline;
use crate::error::{Attempt, FetchError, FetchErrorKind};
use crate::http::Answer;

/// Most referrers of one image that are opened.
pub const OPENED_MAX: usize = 100;

/// Most pieces of evidence fetched for one image (Cosign's limit for its tags).
pub const PIECES_MAX: usize = 1000;

/// Longest manifest of a referrer read, in bytes. Cosign's have about 1,000.
pub const REFERRER_SIZE_MAX: u64 = 256 * 1024;

/// Longest piece of evidence fetched, in bytes.
pub const BUNDLE_SIZE_MAX: u64 = 16 * 1024 * 1024;

/// Most bytes of evidence fetched for one image, over all of it.
pub const BUNDLES_SIZE_MAX: u64 = 48 * 1024 * 1024;

/// Things looked at at the same time.
const CONCURRENT: usize = 8;

/// Things looked at in the first step; twice as many in each one after it, up to [`STEP_MAX`]. Two
/// referrers are four requests, so that an image with many is verified in nine if one of the first
/// two suffices.
const FIRST_STEP: usize = 2;

/// Things looked at in one step at most: while these come, others do not have to wait.
const STEP_MAX: usize = 4 * CONCURRENT;

/// What was found for an image.
#[derive(Debug, Default)]
pub struct Found {
    /// The evidence, the likeliest to matter first: signatures of Cosign's tag from the newest on,
    /// then referrers in the order of the list but what it calls bundles first, then attestations.
    pub pieces: Vec<RawEvidence>,
    /// What could not be looked at. With any of these, "none found" means nothing.
    pub obstacles: Vec<FetchError>,
    /// What was opened and is no evidence for this image, each with its reason.
    pub ignored: Vec<Ignored>,
    /// Whether some of the obstacles are there only because there was no more [`Room`].
    pub left_out: bool,
}

/// How much is fetched for one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of evidence, over all of it.
    pub evidence: u64,
    /// Bytes of each list and manifest. In memory they take about ten times as much.
    pub document: u64,
}

impl Room {
    /// As much as is ever fetched.
    pub const MOST: Self = Self { evidence: BUNDLES_SIZE_MAX, document: MANIFEST_SIZE_MAX };
}

/// A piece of evidence as it came, whose digest is that of its manifest's layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvidence {
    /// The piece.
    pub bytes: Vec<u8>,
    /// In which format.
    pub kind: AttachmentKind,
    /// Its media type, as its manifest says.
    pub media_type: String,
    /// What Cosign keeps beside it in its manifest: signature, certificates, log entry, timestamp.
    pub annotations: BTreeMap<String, String>,
    /// Digest of the manifest that holds it.
    pub manifest: Digest,
    /// How that was found.
    pub place: Place,
}

/// Something that is no evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Digest of its manifest.
    pub manifest: Digest,
    /// Why it is none.
    pub reason: IgnoredReason,
}

/// Why something is no evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IgnoredReason {
    /// It holds something else.
    #[error("it holds `{found}`, which is no evidence")]
    NotEvidence {
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

/// A search for evidence: what was found so far, and what is known to be there.
#[derive(Debug)]
pub struct Discovery<'r> {
    registry: &'r Registry,
    image: ImageRef,
    subject: Digest,
    deadline: Deadline,
    found: Found,
    /// Pieces found, those that were taken included.
    count: usize,
    pending: VecDeque<Pending>,
    step: usize,
    room: Room,
    /// What is left of the room for evidence.
    left: AtomicU64,
}

/// What is still to be looked at.
#[derive(Clone, Debug)]
enum Pending {
    /// Layers of which the manifest is known. All have the same content, as signatures over one
    /// payload do, which is fetched once.
    Layers(Vec<Attachment>),
    /// A manifest that is said to refer to the image.
    Referrer(Digest, ReferrersSource),
}

/// What came of looking at one thing.
#[derive(Default)]
struct Looked {
    pieces: Vec<RawEvidence>,
    obstacles: Vec<FetchError>,
    ignored: Vec<Ignored>,
}

impl RawEvidence {
    /// Reads the piece, whatever its format.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(self) -> Result<Evidence, ParseEvidenceError> {
        if self.kind == AttachmentKind::Bundle {
            return Ok(Evidence::from_bundle(&self.bytes)?);
        }
        let Self { media_type, annotations, bytes, .. } = self;
        Ok(Evidence::from_cosign_layer(Layer { media_type, annotations, bytes })?)
    }
}

impl Registry {
    /// Finds all evidence for a manifest, and says what it could not look at. Never fails: a
    /// registry that cannot be reached is an obstacle like any other. The manifest itself need not
    /// be there.
    pub async fn find_evidence(
        &self,
        image: &ImageRef,
        subject: &Digest,
        deadline: Deadline,
    ) -> Found {
        let mut discovery = self.discover(image, subject, deadline).await;
        while discovery.advance().await {}
        discovery.into_found()
    }

    /// Begins to look for evidence: asks once for each list that may name some, all at once.
    pub async fn discover(
        &self,
        image: &ImageRef,
        subject: &Digest,
        deadline: Deadline,
    ) -> Discovery<'_> {
        self.discover_within(Room::MOST, image, subject, deadline).await
    }

    /// The same within less memory. What does not fit is an obstacle.
    pub async fn discover_within(
        &self,
        room: Room,
        image: &ImageRef,
        subject: &Digest,
        deadline: Deadline,
    ) -> Discovery<'_> {
        let tagged = |tag| self.cosign_answer(image, subject, tag, room.document, deadline);
        let (referrers, signatures, attestations) = futures::join!(
            self.referrers_up_to(image, subject, room.document, deadline),
            tagged(CosignTag::Signature),
            tagged(CosignTag::Attestation),
        );
        let mut discovery = Discovery {
            registry: self,
            image: image.clone(),
            subject: *subject,
            deadline,
            found: Found::default(),
            count: 0,
            pending: VecDeque::new(),
            step: FIRST_STEP,
            room,
            left: AtomicU64::new(room.evidence),
        };
        discovery.expect_layers(signatures, CosignTag::Signature);
        discovery.expect_referrers(referrers);
        discovery.expect_layers(attestations, CosignTag::Attestation);
        discovery
    }

    /// What would have been tried, for limits that stop us before we try.
    pub(super) fn attempt(&self, image: &ImageRef, digest: &Digest) -> Attempt {
        Attempt {
            method: reqwest::Method::GET,
            url: format!("{}@{digest}", image.name()),
            host: image.registry().to_string(),
            tries: 0,
        }
    }
}

impl Discovery<'_> {
    /// What was found so far. Until [`Self::advance`] has said that there is no more, only a
    /// verdict that further evidence cannot change means something: one that admits.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Takes what was found since the last time. The same holds for it.
    #[must_use]
    pub fn take(&mut self) -> Found {
        std::mem::take(&mut self.found)
    }

    /// What was found and not taken.
    #[must_use]
    pub fn into_found(self) -> Found {
        self.found
    }

    /// Looks at some more of what is known to be there. `false` if there is no more.
    pub async fn advance(&mut self) -> bool {
        let count = self.step.min(self.pending.len());
        if count == 0 {
            return false;
        }
        self.step = (2 * self.step).min(STEP_MAX);
        let pending: Vec<_> = self.pending.drain(..count).collect();
        let this = &*self;
        let looked: Vec<Looked> = futures::stream::iter(pending)
            .map(|pending| this.look(pending))
            .buffered(CONCURRENT)
            .collect()
            .await;
        for Looked { pieces, obstacles, ignored } in looked {
            self.count += pieces.len();
            self.found.pieces.extend(pieces);
            obstacles.into_iter().for_each(|error| self.stumble(error));
            self.found.ignored.extend(ignored);
        }
        if self.count >= PIECES_MAX && !self.pending.is_empty() {
            self.pending.clear();
            self.too_many("pieces of evidence", PIECES_MAX);
        }
        true
    }

    fn too_many(&mut self, what: &'static str, max: usize) {
        let kind = FetchErrorKind::TooMany { what, max };
        let attempt = self.registry.attempt(&self.image, &self.subject);
        self.found.obstacles.push(FetchError::new(attempt, kind));
    }

    /// Takes note of what a tag holds, the newest first: Cosign appends. One tag is read after the
    /// other: together they could take too much memory.
    fn expect_layers(&mut self, answer: Result<Option<Answer>, FetchError>, tag: CosignTag) {
        let manifest =
            answer.and_then(|answer| answer.map(|answer| Manifest::of(answer, None)).transpose());
        let manifest = match manifest {
            Ok(Some(manifest)) => manifest,
            Ok(None) => return,
            Err(error) => return self.stumble(error),
        };
        let (evidence, rest): (Vec<_>, Vec<_>) =
            attachment::attachments(&manifest, Place::Tag(tag))
                .into_iter()
                .partition(|attachment| attachment.kind.is_evidence());
        self.found.ignored.extend(rest.into_iter().map(|attachment| {
            let found = attachment.layer.media_type;
            Ignored { manifest: manifest.digest, reason: IgnoredReason::NotEvidence { found } }
        }));
        let mut groups: Vec<Vec<Attachment>> = Vec::new();
        let mut places = HashMap::new();
        for attachment in evidence.into_iter().rev() {
            let place = *places.entry(attachment.layer.digest).or_insert(groups.len());
            match groups.get_mut(place) {
                Some(group) => group.push(attachment),
                None => groups.push(vec![attachment]),
            }
        }
        self.pending.extend(groups.into_iter().map(Pending::Layers));
    }

    fn expect_referrers(&mut self, referrers: Result<Referrers, FetchError>) {
        let referrers = match referrers {
            Ok(referrers) => referrers,
            Err(error) => return self.stumble(error),
        };
        if let Some(shortfall) = referrers.shortfall {
            self.stumble(shortfall);
        }
        let mut candidates = referrers.descriptors;
        let mut listed = HashSet::new();
        candidates.retain(|candidate| listed.insert(candidate.digest));
        // Whoever can push can list what they like, so the likely ones go first. No more than that:
        // in a fallback index the type is what some client wrote there.
        candidates
            .sort_by_key(|candidate| !candidate.artifact_type.as_deref().is_some_and(is_bundle));
        if candidates.len() > OPENED_MAX {
            candidates.truncate(OPENED_MAX);
            self.too_many("referrers to open", OPENED_MAX);
        }
        let source = referrers.source;
        self.pending.extend(
            candidates.into_iter().map(|candidate| Pending::Referrer(candidate.digest, source)),
        );
    }

    async fn look(&self, pending: Pending) -> Looked {
        match pending {
            Pending::Layers(layers) => self.fetch(layers).await,
            Pending::Referrer(digest, source) => self.open(&digest, source).await,
        }
    }

    /// Opens what is said to refer to the image, and fetches the evidence in it.
    async fn open(&self, digest: &Digest, source: ReferrersSource) -> Looked {
        let Self { registry, image, deadline, .. } = self;
        let size_max = REFERRER_SIZE_MAX.min(self.room.document);
        let manifest = registry.fetch_manifest_up_to(image, digest, size_max, *deadline).await;
        let manifest = match manifest {
            Ok(manifest) => manifest,
            Err(error) => return Looked { obstacles: vec![error], ..Looked::default() },
        };
        let ignored = |reason| Looked {
            ignored: vec![Ignored { manifest: *digest, reason }],
            ..Looked::default()
        };
        let layers: Vec<_> = attachment::attachments(&manifest, Place::Referrers(source))
            .into_iter()
            .filter(|attachment| attachment.kind.is_evidence())
            .collect();
        if layers.is_empty() {
            let found = attachment::artifact_type(&manifest).to_owned();
            return ignored(IgnoredReason::NotEvidence { found });
        }
        let about = subject_of(&manifest);
        if about != Some(self.subject) {
            return ignored(IgnoredReason::OtherSubject { found: about });
        }
        let mut looked = Looked::default();
        for layer in layers {
            let Looked { pieces, obstacles, .. } = self.fetch(vec![layer]).await;
            looked.pieces.extend(pieces);
            looked.obstacles.extend(obstacles);
        }
        looked
    }

    /// Fetches the one content of these layers.
    async fn fetch(&self, layers: Vec<Attachment>) -> Looked {
        let Some(first) = layers.first() else { return Looked::default() };
        let Self { registry, image, deadline, .. } = self;
        let fetched = match self.make_room(&first.layer, layers.len()) {
            Ok(()) => {
                let Descriptor { digest, size, .. } = &first.layer;
                registry.fetch_blob(image, digest, *size, *deadline).await
            }
            Err(error) => Err(error),
        };
        let bytes = match fetched {
            Ok(bytes) => bytes,
            Err(error) => return Looked { obstacles: vec![error], ..Looked::default() },
        };
        // The last gets the bytes themselves.
        let copies = std::iter::repeat_n(bytes, layers.len());
        let pieces = layers.into_iter().zip(copies).map(|(attachment, bytes)| RawEvidence {
            bytes,
            kind: attachment.kind,
            media_type: attachment.layer.media_type,
            annotations: attachment.layer.annotations.unwrap_or_default(),
            manifest: attachment.manifest,
            place: attachment.place,
        });
        Looked { pieces: pieces.collect(), ..Looked::default() }
    }

    /// Takes the size of a layer, and of each of its copies, out of what may be fetched for this
    /// image.
    fn make_room(&self, layer: &Descriptor, copies: usize) -> Result<(), FetchError> {
        let too_large = |what, max| {
            let kind = FetchErrorKind::TooLarge { what, max, found: Some(layer.size) };
            FetchError::new(self.registry.attempt(&self.image, &layer.digest), kind)
        };
        if layer.size > BUNDLE_SIZE_MAX {
            return Err(too_large("a piece of evidence", BUNDLE_SIZE_MAX));
        }
        let size = layer.size.saturating_mul(copies as u64);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(size))
            .map(|_| ())
            .map_err(|left| too_large(FURTHER, left))
    }

    /// Takes note of something that could not be looked at.
    fn stumble(&mut self, error: FetchError) {
        self.found.left_out |= match error.kind() {
            FetchErrorKind::TooLarge { what: FURTHER, .. } => {
                self.room.evidence < Room::MOST.evidence
            }
            FetchErrorKind::TooLarge { max, .. } => {
                *max == self.room.document && self.room.document < Room::MOST.document
            }
            _ => false,
        };
        self.found.obstacles.push(error);
    }
}

/// What does not fit any more.
const FURTHER: &str = "further evidence of one image";

fn subject(found: Option<&Digest>) -> String {
    found.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

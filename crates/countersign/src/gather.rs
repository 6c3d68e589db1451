//! What lies beside an image, in the judge's words, for every command that looks at it.

use client::registry::Found;
use client::registry::discover::{BUNDLES_SIZE_MAX, Room};
use client::{Deadline, Registry};
use evidence::{Digest, ImageRef, UnixTime};
use tokio::sync::Mutex;
use verify::{Artifact, Case, Obstacle, Piece, Policy, Verdict};

use crate::supplement::Supplement;

/// Longest list or manifest read for an image while others are looked at, in bytes. A signature under
/// Cosign's tag takes 10 KiB of one.
const DOCUMENT_SHARE: u64 = 256 * 1024;

/// What was gathered for one image.
type Gathered = (Vec<Piece>, Vec<Obstacle>);

/// Every piece of evidence beside an image, and what kept others from being seen. The image itself
/// need not be there.
pub(crate) async fn gather(
    registry: &Registry,
    image: &ImageRef,
    digest: &Digest,
    deadline: Deadline,
) -> Gathered {
    let supplement = &Supplement::default();
    let whole = Whole { registry, supplement, image, digest, deadline };
    whole.within(Room::MOST, None).await.0
}

/// Gathers evidence for several images at once, in the memory that one may take: each has its share,
/// and what does not fit into that is looked at again alone.
pub(crate) struct Gatherer<'r> {
    registry: &'r Registry,
    supplement: Supplement,
    share: Room,
    alone: Mutex<()>,
}

impl<'r> Gatherer<'r> {
    /// For so many at once.
    pub(crate) fn new(registry: &'r Registry, at_once: u16) -> Self {
        let share = match at_once {
            0 | 1 => Room::MOST,
            many => Room { evidence: BUNDLES_SIZE_MAX / u64::from(many), document: DOCUMENT_SHARE },
        };
        Self { registry, supplement: Supplement::default(), share, alone: Mutex::new(()) }
    }

    /// What is added to all evidence.
    pub(crate) fn supplement(&self) -> &Supplement {
        &self.supplement
    }

    /// With that added to all evidence.
    pub(crate) fn with(self, supplement: Supplement) -> Self {
        Self { supplement, ..self }
    }

    /// Everything beside an image; or, for a policy, as much as it needs: all, unless it admits for
    /// good on a part, which is judged before more is fetched. The policy judges what this gives as
    /// it would judge all.
    pub(crate) async fn gather(
        &self,
        policy: Option<(&Policy, UnixTime)>,
        image: &ImageRef,
        digest: &Digest,
        deadline: Deadline,
    ) -> Gathered {
        let Self { registry, supplement, .. } = self;
        let whole = Whole { registry, supplement, image, digest, deadline };
        let (gathered, left_out) = whole.within(self.share, policy).await;
        if !left_out {
            return gathered;
        }
        drop(gathered);
        let _alone = self.alone.lock().await;
        whole.within(Room::MOST, policy).await.0
    }
}

/// All that may lie beside one image.
struct Whole<'w> {
    registry: &'w Registry,
    supplement: &'w Supplement,
    image: &'w ImageRef,
    digest: &'w Digest,
    deadline: Deadline,
}

impl Whole<'_> {
    /// What of it fits into that room, and whether more room would have shown more that matters.
    async fn within(&self, room: Room, policy: Option<(&Policy, UnixTime)>) -> (Gathered, bool) {
        let Self { registry, image, digest, deadline, .. } = *self;
        let artifact = Artifact::from_digest(*digest);
        let mut gathered = (Vec::new(), Vec::new());
        let mut left_out = false;
        let mut discovery = registry.discover_within(room, image, digest, deadline).await;
        while discovery.advance().await {
            left_out |= self.add(&mut gathered, discovery.take());
            let (pieces, obstacles) = &gathered;
            let case = Case { artifact: &artifact, pieces, obstacles };
            if let Some((policy, now)) = policy
                && policy.admits_for_good()
                && matches!(policy.judge(&case, now), Verdict::Admit(_))
            {
                return (gathered, false);
            }
        }
        // What was in the way of the lists themselves.
        left_out |= self.add(&mut gathered, discovery.take());
        (gathered, left_out)
    }

    /// Adds what was found. Whether some was left out for want of room.
    fn add(&self, gathered: &mut Gathered, found: Found) -> bool {
        gathered.0.extend(found.pieces.into_iter().map(|piece| {
            let source = format!("{}@{}", self.image.name(), piece.manifest);
            let mut piece = Piece { source, evidence: piece.parse() };
            self.supplement.complete_piece(&mut piece);
            piece
        }));
        gathered.1.extend(found.obstacles.iter().map(Obstacle::from));
        found.left_out
    }
}

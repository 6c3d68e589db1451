//! How much is held in memory at once, over all reviews: whoever may create a Pod chooses what is in
//! the review, and often what lies beside the image.
//!
//! Evidence is looked for in tiers. The first is small, and enough for nearly every signature; there
//! is room in it for more images than are looked at at once in practice, so that nobody who fills
//! the others, or is slow, stands in the way of the common case. Room is taken before anything is
//! fetched, for all that may come, and nobody waits for more while holding some.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Evidence of a size, and how many images' may be held at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tier {
    /// Most bytes of evidence fetched for one image.
    pub(crate) size: u64,
    /// Images at once.
    images: usize,
    /// What is said where there is no room in time.
    pub(crate) why_busy: &'static str,
}

/// Together at most [`EVIDENCE_SIZE_MAX`] bytes as they were fetched, and as much again while they
/// are parsed.
pub(crate) const TIERS: [Tier; 3] = [
    // A signature with its certificate and log entry has about 10 KiB.
    Tier { size: 32 << 10, images: 1024, why_busy: "other reviews take up the room for evidence" },
    // Provenance and vulnerability reports.
    Tier {
        size: 1 << 20,
        images: 32,
        why_busy: "it is larger than 32 KiB, and other reviews take up the room for that",
    },
    // Bills of materials: the largest single piece that a registry client fetches.
    Tier {
        size: 16 << 20,
        images: 4,
        why_busy: "it is larger than 1 MiB, and other reviews take up the room for that",
    },
];

/// Most bytes of evidence held at once, over all reviews, as they were fetched.
pub const EVIDENCE_SIZE_MAX: u64 = {
    let [small, medium, large] = TIERS;
    small.size * small.images as u64
        + medium.size * medium.images as u64
        + large.size * large.images as u64
};

/// Reviews read at the same time. What is read takes no more than its own length beside it.
const READING_MAX: usize = 4;

/// Images judged at the same time.
const JUDGING_MAX: usize = 4;

/// What all reviews share.
#[derive(Debug)]
pub(crate) struct Memory {
    reading: Arc<Semaphore>,
    judging: Arc<Semaphore>,
    evidence: [Arc<Semaphore>; TIERS.len()],
}

/// A turn, or room, which is given back when this is dropped.
pub(crate) type Held = Option<OwnedSemaphorePermit>;

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            reading: Arc::new(Semaphore::new(READING_MAX)),
            judging: Arc::new(Semaphore::new(JUDGING_MAX)),
            evidence: TIERS.map(|tier| Arc::new(Semaphore::new(tier.images))),
        }
    }

    /// Waits for a turn to read a review.
    pub(crate) async fn reading(&self) -> Held {
        held(&self.reading).await
    }

    /// Waits for a turn to judge an image.
    pub(crate) async fn judging(&self) -> Held {
        held(&self.judging).await
    }

    /// Waits for room for one image's evidence.
    pub(crate) async fn room(&self, tier: usize) -> Held {
        held(&self.evidence[tier]).await
    }
}

/// Nobody closes these, so there always comes one.
async fn held(semaphore: &Arc<Semaphore>) -> Held {
    Arc::clone(semaphore).acquire_owned().await.ok()
}

//! Of several ways that all fail, the one that tells the true reason.

use super::Refusal;

/// Why the way that got furthest failed; of ways that got equally far, the first.
pub(crate) struct Furthest<R> {
    reach: R,
    refusal: Refusal,
}

impl<R: PartialOrd> Furthest<R> {
    /// Where there is no way at all.
    pub(crate) fn none(reach: R, refusal: Refusal) -> Self {
        Self { reach, refusal }
    }

    /// Takes note of a way that failed.
    pub(crate) fn meet(&mut self, reach: R, refusal: Refusal) {
        if reach > self.reach {
            *self = Self { reach, refusal };
        }
    }

    /// The true reason.
    pub(crate) fn into_refusal(self) -> Refusal {
        self.refusal
    }
}

//! When an operation must have ended, however many requests it takes.

use std::time::Duration;

use tokio::time::Instant;

/// The end of an operation's time. Passed down unchanged, so that the parts share one budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The moment that much later than now.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// The time left; zero once it has passed.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// The earlier of this and that much later than now.
    pub(crate) fn or_after(self, time: Duration) -> Self {
        self.min(Self::after(time))
    }

    pub(crate) fn instant(self) -> Instant {
        self.0
    }
}

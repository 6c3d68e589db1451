//! Numbers that must not be mixed up: positions and sizes in a log, and moments.

use std::fmt;

/// Position of a leaf in a log, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeafIndex(pub u64);

/// Number of leaves in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreeSize(pub u64);

impl fmt::Display for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A moment, in whole milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
///
/// Milliseconds, because SCTs (RFC 6962 §3.2) and validity windows in trust roots have them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixTime {
    milliseconds: i64,
}

impl UnixTime {
    /// The moment that many seconds after the epoch; saturates at the ends of time.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { milliseconds: seconds.saturating_mul(1000) }
    }

    /// The moment that many milliseconds after the epoch.
    #[must_use]
    pub const fn from_milliseconds(milliseconds: i64) -> Self {
        Self { milliseconds }
    }

    /// Parses RFC 3339, as protobuf's JSON writes timestamps; finer than a millisecond is cut off.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let timestamp: jiff::Timestamp = text.parse().ok()?;
        Some(Self { milliseconds: timestamp.as_millisecond() })
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.milliseconds.div_euclid(1000)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn milliseconds(self) -> i64 {
        self.milliseconds
    }

    /// The moment `seconds` later (earlier, if negative); saturates at the ends of time.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self { milliseconds: self.milliseconds.saturating_add(seconds.saturating_mul(1000)) }
    }
}

impl fmt::Display for UnixTime {
    /// RFC 3339 in UTC; a moment no calendar holds is shown as its number of seconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.milliseconds) {
            Ok(timestamp) => timestamp.fmt(f),
            Err(_) => write!(f, "@{}", self.seconds()),
        }
    }
}

impl fmt::Debug for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

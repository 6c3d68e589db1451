//! The one clock: fixed moments, in seconds since 1970, so that every run makes the same story.

/// When everything is judged: 2026-06-01T12:00:00Z.
pub const NOW: i64 = 1_780_315_200;
/// When a signature is made, logged and timestamped, unless a scene says otherwise.
pub const SIGNED_AT: i64 = NOW - 3_600;
/// When a signer's certificate begins to be valid.
pub const CERTIFIED_FROM: i64 = SIGNED_AT - 60;
/// When it ends: ten minutes later, as Fulcio's do.
pub const CERTIFIED_TO: i64 = CERTIFIED_FROM + 600;
/// When the instance was set up: 2026-01-01T00:00:00Z.
pub const FOUNDED: i64 = 1_767_225_600;
/// When its authorities' certificates end: 2036-01-01T00:00:00Z.
pub const DISSOLVED: i64 = 2_082_758_400;

/// A moment as RFC 3339 text in UTC.
///
/// # Panics
/// For a moment no calendar holds.
#[must_use]
pub fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).expect("a moment of this era").to_string()
}

/// A moment as the digits `YYYYMMDDhhmmss`, from which ASN.1's times are made.
///
/// # Panics
/// For a moment no calendar holds.
#[must_use]
pub fn digits(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .expect("a moment of this era")
        .strftime("%Y%m%d%H%M%S")
        .to_string()
}

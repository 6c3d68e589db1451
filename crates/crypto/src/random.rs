//! Unpredictable bytes from the operating system, for serial numbers, nonces and identifiers.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// Fills a fixed-size array with unpredictable bytes.
///
/// # Panics
/// If the operating system's source of randomness fails: nothing secure can be done without it.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut buffer = [0; N];
    SystemRandom::new()
        .fill(&mut buffer)
        .expect("the operating system's source of randomness works");
    buffer
}

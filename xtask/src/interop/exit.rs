//! How a program must have ended: with success, or with one of our own exit codes
//! (`countersign::exit`).

use super::failure::Failure;
use super::process::Finished;

/// It could not be told, because something could not be read or reached.
pub(super) const UNKNOWN: i32 = 3;

/// Nobody has signed.
pub(super) const UNSIGNED: i32 = 10;

/// Nobody who is wanted has signed.
pub(super) const UNTRUSTED: i32 = 12;

/// Turns a program that did not succeed into a failure that tells why.
pub(super) fn expect_success(finished: Finished) -> Result<Finished, Failure> {
    if finished.succeeded() { Ok(finished) } else { Err(Failure::new(finished.report())) }
}

/// Turns a program that ended in any other way into a failure that tells how.
pub(super) fn expect_code(wanted: i32, finished: Finished) -> Result<Finished, Failure> {
    if finished.code() == Some(wanted) {
        return Ok(finished);
    }
    Err(Failure::new(format!("wanted exit code {wanted}\n{}", finished.report())))
}

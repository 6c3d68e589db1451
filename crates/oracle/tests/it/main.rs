//! Two verifiers, one bundle.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod differential;
mod disagreements;
mod opinions;
mod variations;

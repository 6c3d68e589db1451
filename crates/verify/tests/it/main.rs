//! The verification core, from the outside.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod recorded_bundles;
mod trust_root;

//! Tests of the crate from the outside.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod merkle;

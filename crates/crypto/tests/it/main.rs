//! Tests of the crate from the outside.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod encrypted;
mod key;
mod key_file;
mod key_forms;
mod merkle;
mod signer;
mod vectors;

//! Nothing but tests: evidence made by `testkit` is judged by `verify` and by the official Rust
//! verifier, and wherever the two disagree, a table says why.
//!
//! A crate of its own, so that nothing else ever depends on that verifier.

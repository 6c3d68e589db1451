//! Bytes into types and back, for every format that a signature, its certificate, its log entry
//! and its timestamp come in. Everything here is *parsed and believed by nobody*: a value of this
//! crate is a claim until the `verify` crate has proven it.
//!
//! No input or output, no clock, no environment, no global state.

pub mod checkpoint;
pub mod digest;
pub mod note;
pub mod number;

pub use checkpoint::Checkpoint;
pub use digest::Digest;
pub use note::SignedNote;
pub use number::{LeafIndex, TreeSize, UnixTime};

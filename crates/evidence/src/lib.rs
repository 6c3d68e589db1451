//! Bytes into types and back, for every format that a signature, its certificate, its log entry
//! and its timestamp come in. Everything here is *parsed and believed by nobody*: a value of this
//! crate is a claim until the `verify` crate has proven it.
//!
//! No input or output, no clock, no environment, no global state.

pub mod bundle;
pub mod certificate;
pub mod checkpoint;
pub mod cosign;
pub mod digest;
pub mod entry;
pub mod envelope;
mod file;
pub mod image;
pub mod json;
pub mod key_details;
pub mod note;
pub mod number;
pub mod predicate;
pub mod proto_json;
pub mod statement;
pub mod timestamp;

pub use bundle::Evidence;
pub use certificate::Certificate;
pub use checkpoint::Checkpoint;
pub use digest::Digest;
pub use entry::LogEntry;
pub use envelope::Envelope;
pub use file::ParseEvidenceError;
pub use image::{ImageRef, RegistryHost};
pub use note::SignedNote;
pub use number::{LeafIndex, TreeSize, UnixTime};
pub use predicate::PredicateType;
pub use statement::Statement;
pub use timestamp::Timestamp;

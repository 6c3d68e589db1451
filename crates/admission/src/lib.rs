//! Pods in, verdicts out: reads what a Kubernetes API server asks, judges every image in it under
//! the policies, and answers.
//!
//! The core is free of Kubernetes' and of registries' clients: what is needed from outside is the
//! trait [`Images`]. Nothing that the requester writes is taken for evidence, and nothing here
//! admits because something went wrong: *could not tell* is an answer of its own.

pub mod answer;
mod findings;
pub mod images;
mod json;
pub mod judge;
mod kind;
mod memory;
pub mod object;
pub mod review;
pub mod source;

pub use answer::{Answer, Patch};
pub use findings::NoMatch;
pub use judge::{Admission, Unanswered, Webhook};
pub use kind::Kind;
pub use memory::EVIDENCE_SIZE_MAX;
pub use review::{BadReview, Review};
pub use source::{Gathered, Images};

//! Policy dialects in, one policy out: reads what other products' users have written, says what is
//! wrong with it, and lowers it into [`verify::Policy`].
//!
//! Nothing here fetches, and nothing here is lenient: a field that is unknown, or known and not yet
//! carried out, refuses the whole policy, because a policy of which a part is ignored admits what
//! its author meant to keep out.

pub mod cluster_image_policy;
mod fields;
pub mod glob;
pub mod kms;
pub mod language;
pub mod manifests;
pub mod policy_file;
pub mod problem;
mod quoted;
pub mod regexp;
mod yaml;

pub use cluster_image_policy::ClusterImagePolicy;
pub use fields::ENTRIES_MAX;
pub use language::{BadProgram, Language};
pub use problem::{Problem, Problems, Wrong};
pub use regexp::Regexp;
pub use yaml::{DEPTH_MAX, DOCUMENTS_MAX, EXPANSION_MAX, TEXT_SIZE_MAX, YamlError};

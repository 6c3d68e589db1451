//! Countersign's own policy file: who must have signed, what must have been said, how recently, and
//! what must not be. YAML or JSON, one document, lowered into [`verify::Policy`].
//!
//! The format is ours and versioned; `docs/policy-file.md` tells it to users, and [`SCHEMA`] to
//! their editors. Nothing is read from disk here: the caller hands in the files that a policy
//! names, so that a policy can be judged where there is no disk.

pub mod expectation;
mod read;
pub mod suggest;

use std::sync::Arc;

use verify::{Policy, TrustRoot};

use crate::problem::Problems;

pub use read::{AGE_MAX_S, THRESHOLD_MAX};

/// The version of the format.
pub const VERSION: &str = "1";

/// JSON Schema (draft 2020-12) of the format, for editors.
pub const SCHEMA: &str = include_str!("policy_file/schema.json");

/// Gives the content of a file that a policy names, or says why not. The caller decides what a
/// name is relative to, and how much it reads.
pub type ReadFile<'f> = dyn Fn(&str) -> Result<Vec<u8>, String> + 'f;

/// Reads a policy file. `name` is what the policy is called where it does not say so itself.
///
/// # Errors
/// With everything found wrong in the text and in the files it names.
pub fn parse(
    text: &str,
    name: &str,
    roots: &Arc<TrustRoot>,
    read_file: &ReadFile<'_>,
) -> Result<Policy, Problems> {
    read::policy(text, name, roots, read_file)
}

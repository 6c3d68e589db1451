//! Tests of the policy dialects.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod cluster_image_policy;
mod cover;
mod glob;
mod language;
mod manifests;
mod policy_file;
mod regexp;
mod yaml;

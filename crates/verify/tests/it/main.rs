//! The verification core, from the outside.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read recorded data and say when it is absent; the crate itself may not"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod advisories;
mod brought;
mod chains;
mod claims;
mod cosign;
mod detached;
mod explained;
mod fields;
mod guards;
mod judging;
mod named;
mod namesakes;
mod recorded_bundles;
mod refusals;
mod rules;
mod swapped;
mod trust_root;
mod verdicts;
mod waivers;

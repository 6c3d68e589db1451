//! What each format's parser takes and what it refuses.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read recorded data and say when it is absent; the crate itself may not"
)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bundle;
mod certificate;
mod cosign;
mod digest;
mod entry;
mod envelope;
mod image;
mod json;
mod key_details;
mod note;
mod predicate;
mod statement;
mod timestamp;

use std::path::{Path, PathBuf};

/// Real-world data that is not part of this repository, if it lies beside it; else says so.
fn shared_data(name: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|directory| directory.join("shared/data").join(name))
        .find(|path| path.exists());
    if found.is_none() {
        println!("skipped: no shared/data/{name} beside this repository");
    }
    found
}

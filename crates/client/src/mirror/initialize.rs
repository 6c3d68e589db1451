//! Choosing a mirror for good: what `initialize` does.
//!
//! As Cosign 3.1 leaves it: `remote.json` names the mirror, `NAME/root.json` is its root. Unlike
//! there, nothing is written before the mirror was seen to work, and nothing is deleted.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evidence::UnixTime;

use super::last_good::{Shelf, write_whole};
use super::settings::{REMOTE, RemoteJson};
use super::{Material, Mirror, MirrorError, Refresh};
use crate::deadline::Deadline;
use crate::http::Http;

/// Why a mirror was not chosen.
#[derive(Debug, thiserror::Error)]
pub enum InitializeError {
    /// The root is not the one that the checksum is of.
    #[error("wanted a root with the SHA-256 checksum {wanted}, found {found}")]
    Checksum {
        /// The checksum given.
        wanted: String,
        /// The root's.
        found: String,
    },
    /// The mirror does not work.
    #[error("the mirror")]
    Mirror(#[from] MirrorError),
    /// The choice cannot be kept.
    #[error("{path}: {source}")]
    Write {
        /// Where.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// Asks a mirror, and if it works makes it the one that is meant from now on in `folder`.
///
/// # Errors
/// When the root does not have that checksum, the mirror does not work, or nothing can be written.
pub async fn initialize(
    mirror: Mirror,
    root_checksum: Option<&str>,
    folder: &Path,
    http: &Arc<Http>,
    now: UnixTime,
    deadline: Deadline,
) -> Result<Material, InitializeError> {
    if let Some(wanted) = root_checksum {
        let found = hex::encode(crypto::sha256(&mirror.anchor));
        if !wanted.eq_ignore_ascii_case(&found) {
            return Err(InitializeError::Checksum { wanted: wanted.to_owned(), found });
        }
    }
    let mirror = mirror.kept_in(folder);
    let material = mirror.material(http, Refresh::After(Duration::ZERO), now, deadline).await?;
    let anchor_path = Shelf::new(folder.to_owned(), &mirror.url).anchor_path();
    write(&anchor_path, &mirror.anchor)?;
    let remote = RemoteJson { mirror: mirror.url.to_string() };
    let remote = serde_json::to_vec(&remote).expect("a URL is text");
    write(&folder.join(REMOTE), &remote)?;
    Ok(material)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), InitializeError> {
    let failed = |source| InitializeError::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    write_whole(path, bytes).map_err(failed)
}

//! Which mirror is meant: what Cosign's variables and `initialize` say.
//!
//! Cosign 3.1, `pkg/cosign/tuf.go`: `TUF_MIRROR`, else what `initialize` left in `remote.json`, else
//! the public instance; its root is the one in the program, that of any other mirror is in
//! `TUF_ROOT_JSON`, else where `initialize` put it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::last_good::{ReadError, Shelf, read_file};
use super::{Mirror, MirrorError, PUBLIC_MIRROR, ROOT_SIZE_MAX, STAGING_MIRROR};
use crate::address::{BadUrl, ServiceUrl};
use crate::json;

/// Longest `remote.json` read, in bytes: a URL.
const REMOTE_SIZE_MAX: u64 = 16 * 1024;

/// The file in which `initialize` leaves the mirror.
pub(super) const REMOTE: &str = "remote.json";

/// What the user set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where copies are kept (`TUF_ROOT`; Cosign's default is `~/.sigstore/root`). Nowhere: nothing
    /// is kept.
    pub folder: Option<PathBuf>,
    /// The mirror (`TUF_MIRROR`).
    pub mirror: Option<String>,
    /// A file with its root (`TUF_ROOT_JSON`).
    pub root: Option<PathBuf>,
}

/// Why it is not clear which mirror is meant.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The mirror's URL is none that may be asked.
    #[error("the mirror `{found}`")]
    Url {
        /// What is set.
        found: String,
        /// What is wrong.
        source: BadUrl,
    },
    /// A file cannot be read.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A mirror that is not the public one, and no root to begin with.
    #[error("there is no root for the mirror {mirror}")]
    NoRoot {
        /// The mirror.
        mirror: String,
    },
    /// The root is none.
    #[error("{path}")]
    Root {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: MirrorError,
    },
}

impl SettingsError {
    /// What can be done about it, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoRoot { mirror } => Some(format!(
                "run `initialize --mirror {mirror} --root FILE` once, or set TUF_ROOT_JSON"
            )),
            _ => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct RemoteJson {
    pub(super) mirror: String,
}

impl Settings {
    /// The mirror that is meant.
    ///
    /// # Errors
    /// When a setting is wrong, or the root of a mirror is not known.
    pub fn resolve(&self) -> Result<Mirror, SettingsError> {
        let url = match &self.mirror {
            Some(mirror) => parse(mirror)?,
            None => match self.remembered()? {
                Some(mirror) => parse(&mirror)?,
                None => return Ok(self.keep(Mirror::public())),
            },
        };
        let name = url.to_string();
        if name == PUBLIC_MIRROR {
            return Ok(self.keep(Mirror::public()));
        }
        if let Some(path) = &self.root {
            let root = read(path)?;
            let root = root.ok_or_else(|| file(path, "there is no such file".to_owned()))?;
            return self.with_root(url, path.clone(), root);
        }
        if let Some(folder) = &self.folder {
            let path = Shelf::new(folder.clone(), &url).anchor_path();
            if let Some(root) = read(&path)? {
                return self.with_root(url, path, root);
            }
        }
        if name == STAGING_MIRROR {
            return Ok(self.keep(Mirror::staging()));
        }
        Err(SettingsError::NoRoot { mirror: name })
    }

    fn with_root(
        &self,
        url: ServiceUrl,
        path: PathBuf,
        root: Vec<u8>,
    ) -> Result<Mirror, SettingsError> {
        let mirror = Mirror::new(url, root);
        Ok(self.keep(mirror.map_err(|source| SettingsError::Root { path, source })?))
    }

    fn keep(&self, mirror: Mirror) -> Mirror {
        match &self.folder {
            Some(folder) => mirror.kept_in(folder),
            None => mirror,
        }
    }

    /// The mirror that `initialize` left.
    fn remembered(&self) -> Result<Option<String>, SettingsError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let path = folder.join(REMOTE);
        let bytes = read_file(&path, REMOTE_SIZE_MAX).map_err(|error| unread(&path, &error))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let remote: RemoteJson =
            json::parse(&bytes).map_err(|error| file(&path, error.to_string()))?;
        Ok(Some(remote.mirror))
    }
}

fn parse(mirror: &str) -> Result<ServiceUrl, SettingsError> {
    mirror.parse().map_err(|source| SettingsError::Url {
        found: crate::error::printable(mirror, 160),
        source,
    })
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, SettingsError> {
    read_file(path, ROOT_SIZE_MAX).map_err(|error| unread(path, &error))
}

fn unread(path: &Path, error: &ReadError) -> SettingsError {
    file(path, error.to_string())
}

fn file(path: &Path, reason: String) -> SettingsError {
    SettingsError::File { path: path.to_owned(), reason }
}

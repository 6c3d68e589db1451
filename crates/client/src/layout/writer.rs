//! Writing a layout: content under its digest, checked before it has its name; the index last, as a
//! whole, so that a layout that was not finished lists what it did before.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crypto::{HashAlgorithm, Hasher};
use evidence::Digest;
use serde_json::json;

use super::files::{Folder, check_digest, is_removed, problem};
use super::{COMPLETE, Layout, LayoutError, LayoutProblem};
use crate::registry::Descriptor;
use crate::registry::manifest::{DESCRIPTORS_MAX, OCI_INDEX};

/// Read at once while a blob that is there is held against its digest, in bytes.
const CHUNK_SIZE: usize = 128 * 1024;

/// How names begin of what is not complete. No blob's name has a point.
const UNFINISHED: &str = ".countersign-";

/// Times that a file is made anew because another save took it for one that was left behind, which
/// it can only between two steps of ours.
const TRIES_MAX: usize = 16;

/// What says that a folder is a layout.
const MARKER: &str = "oci-layout";
const MARKER_CONTENT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// A layout that is being written.
pub(super) struct Writer {
    root: Arc<Folder>,
    listed: Vec<Descriptor>,
}

/// A file of ours that has not its name yet, locked for as long as it is written. Dropped before it
/// has its name, it is gone.
struct Unfinished {
    file: File,
    root: Arc<Folder>,
    name: String,
    is_named: bool,
}

/// A blob that is being written. Dropped before it is finished, it is gone.
pub(super) struct NewBlob {
    unfinished: Unfinished,
    folder: Folder,
    digest: Digest,
    hasher: Hasher,
}

impl Writer {
    /// Makes a layout of a folder that is not there or empty, or takes one that is a layout: what
    /// it holds is not fetched again, and what it lists is replaced when this is finished. Gives
    /// that too. A folder in which somebody was interrupted before there was an index is empty, and
    /// what an interrupted save left in any is removed.
    pub(super) fn create(root: &Path) -> Result<(Self, Option<Layout>), LayoutError> {
        fs::create_dir_all(root).map_err(|error| problem(root, error.into()))?;
        let folder = Arc::new(Folder::open(root)?);
        let writer = Self { root: folder, listed: Vec::new() };
        if !writer.is_begun()? {
            let layout = Layout::read(&writer.root).map_err(|error| match error.problem() {
                LayoutProblem::NotALayout => problem(root, LayoutProblem::OtherContent),
                _ => error,
            })?;
            writer.remove_leftovers()?;
            return Ok((writer, Some(layout)));
        }
        writer.remove_leftovers()?;
        // From now on it is a layout, so that whoever was interrupted can go on.
        writer.write_file(MARKER, MARKER_CONTENT)?;
        writer.write_index()?;
        Ok((writer, None))
    }

    /// Whether there is nothing in the folder but what this begins with.
    fn is_begun(&self) -> Result<bool, LayoutError> {
        for name in self.root.names()? {
            let name = name?;
            let is_ours = name.starts_with(UNFINISHED)
                || (name == MARKER && self.root.read(MARKER, 1024)? == MARKER_CONTENT);
            if !is_ours {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Removes what nobody is writing any more. Whoever is holds a lock, which ends with the process.
    fn remove_leftovers(&self) -> Result<(), LayoutError> {
        for name in self.root.names()? {
            let name = name?;
            if !name.starts_with(UNFINISHED) {
                continue;
            }
            // One that got its name meanwhile is not left behind, and what is no file is not ours.
            let Ok((file, _)) = self.root.file(&name) else { continue };
            if file.try_lock().is_ok() {
                let _ = self.root.remove(&name);
            }
        }
        Ok(())
    }

    /// Whether a blob is there. One that is not what its name says is not.
    pub(super) fn holds(&self, digest: &Digest) -> Result<bool, LayoutError> {
        let folder = self.folder(digest.algorithm())?;
        let mut file = match folder.file(&digest.hex()) {
            Err(error) if error.is_absent() => return Ok(false),
            found => found?.0,
        };
        let failed = |error: io::Error| problem(&path_in(&folder, digest), error.into());
        let mut hasher = Hasher::new(digest.algorithm());
        let mut chunk = vec![0; CHUNK_SIZE];
        loop {
            match file.read(&mut chunk).map_err(failed)? {
                0 => return Ok(Digest::from(hasher.finish()) == *digest),
                size => hasher.update(&chunk[..size]),
            }
        }
    }

    /// Begins a blob.
    pub(super) fn blob(&self, digest: &Digest) -> Result<NewBlob, LayoutError> {
        let folder = self.folder(digest.algorithm())?;
        let (unfinished, hasher) = (self.unfinished()?, Hasher::new(digest.algorithm()));
        Ok(NewBlob { unfinished, folder, digest: *digest, hasher })
    }

    /// Writes a blob that is in memory.
    pub(super) fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<(), LayoutError> {
        let mut blob = self.blob(digest)?;
        blob.write(bytes)?;
        blob.finish()
    }

    /// Lists a manifest.
    pub(super) fn list(&mut self, descriptor: Descriptor) {
        self.listed.push(descriptor);
    }

    /// What is listed.
    pub(super) fn listed(&self) -> &[Descriptor] {
        &self.listed
    }

    /// Checks that what is listed can be read again. So many entries are never too long together:
    /// each has at most two media types, and annotations of ours.
    pub(super) fn check(&self) -> Result<(), LayoutError> {
        if self.listed.len() > DESCRIPTORS_MAX {
            let (what, max) = ("manifests to list in one folder", DESCRIPTORS_MAX);
            let kind = LayoutProblem::TooMany { what, max };
            return Err(problem(&self.root.path().join("index.json"), kind));
        }
        Ok(())
    }

    /// Writes the index.
    pub(super) fn finish(self) -> Result<(), LayoutError> {
        self.write_index()
    }

    fn write_index(&self) -> Result<(), LayoutError> {
        self.check()?;
        let (name, value) = COMPLETE;
        let index = json!({
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": self.listed,
            "annotations": {name: value},
        });
        self.write_file("index.json", index.to_string().as_bytes())
    }

    /// Replaces a file as a whole.
    fn write_file(&self, name: &str, content: &[u8]) -> Result<(), LayoutError> {
        let mut unfinished = self.unfinished()?;
        unfinished.write(content)?;
        unfinished.name(&self.root, name)
    }

    /// A new file that has not its name yet, and that nobody else writes.
    fn unfinished(&self) -> Result<Unfinished, LayoutError> {
        for _ in 0..TRIES_MAX {
            let name = format!("{UNFINISHED}{}", hex::encode(crypto::random::bytes::<16>()));
            let file = self.root.new_file(&name)?;
            let unfinished =
                Unfinished { file, root: Arc::clone(&self.root), name, is_named: false };
            if unfinished.is_ours().map_err(|error| unfinished.failed(error))? {
                return Ok(unfinished);
            }
        }
        let (what, max) = ("unfinished files that somebody else removed", TRIES_MAX);
        Err(problem(self.root.path(), LayoutProblem::TooMany { what, max }))
    }

    fn folder(&self, algorithm: HashAlgorithm) -> Result<Folder, LayoutError> {
        self.root.made("blobs")?.made(algorithm.name())
    }
}

impl Unfinished {
    /// Locks it, unless another save was faster and removes it.
    fn is_ours(&self) -> io::Result<bool> {
        match self.file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(false),
            // Where nobody can lock, nobody takes it for left behind either.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(!is_removed(&self.file)?),
        }
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), LayoutError> {
        let written = self.file.write_all(piece);
        written.map_err(|error| self.failed(error))
    }

    /// Gives it its name, when all of it is on the disk.
    fn name(mut self, folder: &Folder, name: &str) -> Result<(), LayoutError> {
        self.file.sync_all().map_err(|error| self.failed(error))?;
        self.root.rename(&self.name, folder, name)?;
        self.is_named = true;
        Ok(())
    }

    fn failed(&self, error: io::Error) -> LayoutError {
        problem(&self.root.path().join(&self.name), error.into())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_named {
            let _ = self.root.remove(&self.name);
        }
    }
}

impl NewBlob {
    /// Writes the next piece.
    pub(super) fn write(&mut self, piece: &[u8]) -> Result<(), LayoutError> {
        self.hasher.update(piece);
        self.unfinished.write(piece)
    }

    /// Gives it its name, if it is what that says.
    pub(super) fn finish(self) -> Result<(), LayoutError> {
        let Self { unfinished, folder, digest, hasher } = self;
        check_digest(&path_in(&folder, &digest), &digest, &Digest::from(hasher.finish()))?;
        unfinished.name(&folder, &digest.hex())
    }
}

fn path_in(folder: &Folder, digest: &Digest) -> PathBuf {
    folder.path().join(digest.hex())
}

#[cfg(test)]
mod tests {

    use super::*;

    /// An index that `Layout::open` refuses would lose the folder.
    #[test]
    fn as_much_is_listed_as_is_read_again() {
        let folder = tempfile::TempDir::new().unwrap();
        let (mut writer, _) = Writer::create(folder.path()).unwrap();
        let listed = |number: usize| {
            let digest = Digest::sha256(&number.to_be_bytes());
            let longest = "\u{1}".repeat(255);
            Descriptor {
                artifact_type: Some(longest.clone()),
                ..Descriptor::new(longest, digest, 1)
            }
        };
        (0..DESCRIPTORS_MAX).for_each(|number| writer.list(listed(number)));
        writer.check().unwrap();
        writer.write_index().unwrap();
        assert_eq!(Layout::open(folder.path()).unwrap().listed.len(), DESCRIPTORS_MAX);
        writer.list(listed(DESCRIPTORS_MAX));
        for refused in [writer.check(), writer.finish()] {
            let error = refused.unwrap_err();
            assert!(matches!(error.problem(), LayoutProblem::TooMany { .. }), "{error}");
        }
        assert_eq!(Layout::open(folder.path()).unwrap().listed.len(), DESCRIPTORS_MAX);
    }
}

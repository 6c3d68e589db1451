//! Writing a layout: content under its digest, checked before it has its name; the index last, as a
//! whole, so that a layout that was not finished lists what it did before.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crypto::{HashAlgorithm, Hasher};
use evidence::Digest;
use serde_json::json;

use super::files::{check_digest, plain_file, plain_folder, problem, read};
use super::{Layout, LayoutError, LayoutProblem};
use crate::registry::Descriptor;
use crate::registry::manifest::{DESCRIPTORS_MAX, OCI_INDEX};

/// Read at once while a blob that is there is held against its digest, in bytes.
const CHUNK_SIZE: usize = 128 * 1024;

/// How names begin of what is not complete. No blob's name has a point.
const UNFINISHED: &str = ".countersign-";

/// Names tried for what is not complete: others that save into the folder have theirs, and whoever
/// was interrupted left one for each blob on its way.
const NAMES_MAX: usize = 1024;

/// What says that a folder is a layout.
const MARKER: &str = "oci-layout";
const MARKER_CONTENT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// A layout that is being written.
pub(super) struct Writer {
    root: PathBuf,
    listed: Vec<Descriptor>,
}

/// A file of ours that has not its name yet. Dropped before it has, it is gone.
struct Unfinished {
    file: File,
    path: PathBuf,
    is_named: bool,
}

/// A blob that is being written. Dropped before it is finished, it is gone.
pub(super) struct NewBlob {
    unfinished: Unfinished,
    path: PathBuf,
    digest: Digest,
    hasher: Hasher,
}

impl Writer {
    /// Makes a layout of a folder that is not there or empty, or takes one that is a layout: what
    /// it holds is not fetched again, and what it lists is replaced when this is finished. Gives
    /// that too. A folder in which somebody was interrupted before there was an index is empty.
    pub(super) fn create(root: &Path) -> Result<(Self, Option<Layout>), LayoutError> {
        fs::create_dir_all(root).map_err(|error| problem(root, error.into()))?;
        let writer = Self { root: root.to_owned(), listed: Vec::new() };
        if !writer.is_begun()? {
            let layout = Layout::open(root).map_err(|error| match error.problem() {
                LayoutProblem::NotALayout => problem(root, LayoutProblem::OtherContent),
                _ => error,
            })?;
            return Ok((writer, Some(layout)));
        }
        // From now on it is a layout, so that whoever was interrupted can go on.
        writer.write_file(MARKER, MARKER_CONTENT)?;
        writer.write_index()?;
        Ok((writer, None))
    }

    /// Whether there is nothing in the folder but what this begins with.
    fn is_begun(&self) -> Result<bool, LayoutError> {
        let failed = |error: io::Error| problem(&self.root, error.into());
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let name = name.to_string_lossy();
            let is_ours = name.starts_with(UNFINISHED)
                || (name == MARKER && read(&self.root.join(MARKER), 1024)? == MARKER_CONTENT);
            if !is_ours {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a blob is there. One that is not what its name says is not.
    pub(super) fn holds(&self, digest: &Digest) -> Result<bool, LayoutError> {
        let path = self.path(digest)?;
        match plain_file(&path) {
            Err(error) if error.is_absent() => return Ok(false),
            outcome => outcome?,
        };
        let failed = |error: io::Error| problem(&path, error.into());
        let mut file = File::open(&path).map_err(failed)?;
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
        let path = self.path(digest)?;
        let unfinished = self.unfinished(&digest.hex())?;
        let hasher = Hasher::new(digest.algorithm());
        Ok(NewBlob { unfinished, path, digest: *digest, hasher })
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
            return Err(problem(&self.root.join("index.json"), kind));
        }
        Ok(())
    }

    /// Writes the index.
    pub(super) fn finish(self) -> Result<(), LayoutError> {
        self.write_index()
    }

    fn write_index(&self) -> Result<(), LayoutError> {
        self.check()?;
        let index = json!({
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": self.listed,
        });
        self.write_file("index.json", index.to_string().as_bytes())
    }

    /// Replaces a file as a whole.
    fn write_file(&self, name: &str, content: &[u8]) -> Result<(), LayoutError> {
        let path = self.root.join(name);
        let mut unfinished = self.unfinished(name)?;
        let written = unfinished.file.write_all(content).and_then(|()| unfinished.name(&path));
        written.map_err(|error| problem(&path, error.into()))
    }

    /// A new file that has not its name yet, and that nobody else writes.
    fn unfinished(&self, name: &str) -> Result<Unfinished, LayoutError> {
        let paths = (0..NAMES_MAX).map(|number| format!("{UNFINISHED}{name}-{number}"));
        for path in paths.map(|name| self.root.join(name)) {
            match File::options().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Unfinished { file, path, is_named: false }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(problem(&path, error.into())),
            }
        }
        let (what, max) = ("unfinished files of one name", NAMES_MAX);
        Err(problem(&self.root, LayoutProblem::TooMany { what, max }))
    }

    /// Where a blob is to be. Its folders are made.
    fn path(&self, digest: &Digest) -> Result<PathBuf, LayoutError> {
        let folder = self.folder(digest.algorithm())?;
        Ok(folder.join(digest.hex()))
    }

    fn folder(&self, algorithm: HashAlgorithm) -> Result<PathBuf, LayoutError> {
        let blobs = self.root.join("blobs");
        let folder = blobs.join(algorithm.name());
        for folder in [&blobs, &folder] {
            match fs::create_dir(folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(problem(folder, error.into()));
                }
                _ => plain_folder(folder)?,
            }
        }
        Ok(folder)
    }
}

impl Unfinished {
    /// Gives it its name, when all of it is on the disk.
    fn name(mut self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, path)?;
        self.is_named = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Once it has its name, somebody else may have begun a file where it was.
        if !self.is_named {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl NewBlob {
    /// Writes the next piece.
    pub(super) fn write(&mut self, piece: &[u8]) -> Result<(), LayoutError> {
        self.hasher.update(piece);
        let written = self.unfinished.file.write_all(piece);
        written.map_err(|error| problem(&self.unfinished.path, error.into()))
    }

    /// Gives it its name, if it is what that says.
    pub(super) fn finish(self) -> Result<(), LayoutError> {
        let Self { unfinished, path, digest, hasher } = self;
        check_digest(&path, &digest, &Digest::from(hasher.finish()))?;
        unfinished.name(&path).map_err(|error| problem(&path, error.into()))
    }
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

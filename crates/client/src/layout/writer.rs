//! Writing a layout: content under its digest, checked before it has its name; the index last, as a
//! whole, so that a layout that was not finished lists what it did before.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crypto::{HashAlgorithm, Hasher};
use evidence::Digest;
use serde_json::json;

use super::files::{check_digest, plain_file, plain_folder, problem};
use super::{Layout, LayoutError, LayoutProblem};
use crate::registry::Descriptor;
use crate::registry::manifest::OCI_INDEX;

/// Read at once while a blob that is there is held against its digest, in bytes.
const CHUNK_SIZE: usize = 128 * 1024;

/// How names begin of what is not complete. No blob's name has a point.
const UNFINISHED: &str = ".countersign-";

/// A layout that is being written.
pub(super) struct Writer {
    root: PathBuf,
    listed: Vec<Descriptor>,
}

/// A blob that is being written. Dropped before it is finished, it is gone.
pub(super) struct NewBlob {
    file: File,
    unfinished: PathBuf,
    path: PathBuf,
    digest: Digest,
    hasher: Hasher,
}

impl Writer {
    /// Makes a layout of a folder that is not there or empty, or takes one that is a layout: what
    /// it holds is not fetched again, and what it lists is replaced when this is finished. Gives
    /// that too.
    pub(super) fn create(root: &Path) -> Result<(Self, Option<Layout>), LayoutError> {
        fs::create_dir_all(root).map_err(|error| problem(root, error.into()))?;
        let is_empty = {
            let mut entries = fs::read_dir(root).map_err(|error| problem(root, error.into()))?;
            entries.next().is_none()
        };
        let writer = Self { root: root.to_owned(), listed: Vec::new() };
        if !is_empty {
            let layout = Layout::open(root).map_err(|error| match error.problem() {
                LayoutProblem::NotALayout => problem(root, LayoutProblem::OtherContent),
                _ => error,
            })?;
            return Ok((writer, Some(layout)));
        }
        // From now on it is a layout, so that whoever was interrupted can go on.
        writer.write_file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        writer.write_index()?;
        Ok((writer, None))
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
        let (unfinished, file) = self.unfinished(&digest.hex())?;
        let hasher = Hasher::new(digest.algorithm());
        Ok(NewBlob { file, unfinished, path, digest: *digest, hasher })
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

    /// Writes the index.
    pub(super) fn finish(self) -> Result<(), LayoutError> {
        self.write_index()
    }

    fn write_index(&self) -> Result<(), LayoutError> {
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
        let (unfinished, mut file) = self.unfinished(name)?;
        let written = file
            .write_all(content)
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&unfinished, &path));
        written.map_err(|error| problem(&path, error.into()))
    }

    /// A new file that has not its name yet. One that somebody left there is replaced.
    fn unfinished(&self, name: &str) -> Result<(PathBuf, File), LayoutError> {
        let path = self.root.join(format!("{UNFINISHED}{name}"));
        let create = || File::options().write(true).create_new(true).open(&path);
        let created = match create() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&path).and_then(|()| create())
            }
            outcome => outcome,
        };
        let file = created.map_err(|error| problem(&path, error.into()))?;
        Ok((path, file))
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

impl NewBlob {
    /// Writes the next piece.
    pub(super) fn write(&mut self, piece: &[u8]) -> Result<(), LayoutError> {
        self.hasher.update(piece);
        self.file.write_all(piece).map_err(|error| problem(&self.unfinished, error.into()))
    }

    /// Gives it its name, if it is what that says.
    pub(super) fn finish(self) -> Result<(), LayoutError> {
        let found = Digest::from(self.hasher.clone().finish());
        check_digest(&self.path, &self.digest, &found)?;
        fs::rename(&self.unfinished, &self.path).map_err(|error| problem(&self.path, error.into()))
    }
}

impl Drop for NewBlob {
    fn drop(&mut self) {
        // With its name it is not there any more.
        let _ = fs::remove_file(&self.unfinished);
    }
}

//! Files of a layout: plain files in plain folders, read within bounds and held against the digests
//! in their names. Links are not followed: they could lead anywhere.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use evidence::Digest;

use super::{LayoutError, LayoutProblem};

/// The entries of a plain folder; `None` if there is none.
pub(super) fn entries(folder: &Path) -> Result<Option<fs::ReadDir>, LayoutError> {
    if let Some(parent) = folder.parent() {
        plain_folder(parent)?;
    }
    match plain_folder(folder) {
        Ok(()) => fs::read_dir(folder).map(Some).map_err(|error| problem(folder, error.into())),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn plain_folder(path: &Path) -> Result<(), LayoutError> {
    let found = fs::symlink_metadata(path).map_err(|error| problem(path, error.into()))?;
    if found.is_dir() {
        Ok(())
    } else {
        Err(problem(path, LayoutProblem::NotPlain { wanted: "folder" }))
    }
}

/// The size of a plain file.
pub(super) fn plain_file(path: &Path) -> Result<u64, LayoutError> {
    let found = fs::symlink_metadata(path).map_err(|error| problem(path, error.into()))?;
    if found.is_file() {
        Ok(found.len())
    } else {
        Err(problem(path, LayoutProblem::NotPlain { wanted: "file" }))
    }
}

/// Reads a plain file of at most that size, however long it becomes meanwhile.
pub(super) fn read(path: &Path, size_max: u64) -> Result<Vec<u8>, LayoutError> {
    let too_large = || problem(path, LayoutProblem::TooLarge { max: size_max });
    if plain_file(path)? > size_max {
        return Err(too_large());
    }
    let file = File::open(path).map_err(|error| problem(path, error.into()))?;
    let mut bytes = Vec::new();
    let limit = size_max.saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(|error| problem(path, error.into()))?;
    if bytes.len() as u64 > size_max { Err(too_large()) } else { Ok(bytes) }
}

pub(super) fn check_digest(
    path: &Path,
    wanted: &Digest,
    found: &Digest,
) -> Result<(), LayoutError> {
    if wanted == found {
        return Ok(());
    }
    let (wanted, found) = (*wanted, *found);
    Err(problem(path, LayoutProblem::DigestMismatch { wanted, found }))
}

pub(super) fn problem(path: &Path, kind: LayoutProblem) -> LayoutError {
    LayoutError { path: path.to_owned(), kind: Box::new(kind) }
}

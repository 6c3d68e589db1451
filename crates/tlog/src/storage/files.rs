//! Files, made durable: the few ways in which storage and index touch the file system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

use super::StorageError;

/// Takes an exclusive lock that the kernel drops with the process, however that ends.
pub(crate) fn hold(path: &Path) -> Result<File, StorageError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(io_error(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(StorageError::InUse { what: path.display().to_string() })
        }
        Err(TryLockError::Error(source)) => Err(io_error(path)(source)),
    }
}

/// Writes a file that must not be there yet. It is not synced.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<File, StorageError> {
    let write = || {
        let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        file.write_all(bytes)?;
        Ok(file)
    };
    write().map_err(io_error(path))
}

pub(crate) fn sync_directory(directory: &Path) -> Result<(), StorageError> {
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(io_error(directory))
}

pub(crate) fn read_bounded(
    file: &mut File,
    path: &Path,
    size_max: usize,
) -> Result<Vec<u8>, StorageError> {
    let found = file.metadata().map_err(io_error(path))?.len();
    let too_long =
        |found| StorageError::TooLong { what: path.display().to_string(), found, size_max };
    if found > size_max as u64 {
        return Err(too_long(found));
    }
    let mut bytes = Vec::with_capacity(found as usize + 1);
    file.take(size_max as u64 + 1).read_to_end(&mut bytes).map_err(io_error(path))?;
    if bytes.len() > size_max { Err(too_long(bytes.len() as u64)) } else { Ok(bytes) }
}

/// Removes a file; that it is not there is no error.
pub(crate) fn remove_file(path: &Path) -> Result<(), StorageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(path)(error)),
        _ => Ok(()),
    }
}

/// Removes a directory and all in it; that it is not there is no error.
pub(crate) fn remove_tree(directory: &Path) -> Result<(), StorageError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(directory)(error)),
        _ => Ok(()),
    }
}

/// Removes the files in a directory, which stays; that it is not there is no error.
pub(crate) fn remove_files(directory: &Path) -> Result<(), StorageError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(io_error(directory))?,
    };
    for entry in entries {
        remove_file(&entry.map_err(io_error(directory))?.path())?;
    }
    Ok(())
}

pub(crate) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> StorageError {
    let what = path.display().to_string();
    move |source| StorageError::Io { what, source }
}

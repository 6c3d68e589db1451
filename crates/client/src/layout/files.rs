//! Folders and files of a layout, opened one below the other from its root, and no step through a
//! link, which could lead anywhere. What was opened is what is looked at and used: nobody who writes
//! in the folder meanwhile can put something else in its place.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use evidence::Digest;
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

use super::{LayoutError, LayoutProblem};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A file that is read. Opening one without blocking does not wait for a pipe's other end.
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// A file that must not be there yet.
const NEW_FILE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Permissions of what is made, of which the user's mask takes some away.
const NEW_FILE_MODE: Mode = Mode::from_raw_mode(0o666);
const NEW_FOLDER_MODE: Mode = Mode::from_raw_mode(0o777);

/// An open folder. Names in it are ours, or hexadecimal digits: none leads elsewhere.
#[derive(Debug)]
pub(super) struct Folder {
    opened: OwnedFd,
    /// What it was called when it was opened, for messages.
    path: PathBuf,
}

impl Folder {
    /// The folder that somebody named. They may name a link: they know where it leads.
    pub(super) fn open(path: &Path) -> Result<Self, LayoutError> {
        let opened = rustix::fs::open(path, FOLDER, Mode::empty());
        let opened = opened.map_err(|error| failed(path, error))?;
        Ok(Self { opened, path: path.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A plain folder in it.
    pub(super) fn folder(&self, name: &str) -> Result<Self, LayoutError> {
        let path = self.path.join(name);
        let flags = FOLDER.union(OFlags::NOFOLLOW);
        match rustix::fs::openat(&self.opened, name, flags, Mode::empty()) {
            Ok(opened) => Ok(Self { opened, path }),
            // A link is no folder on Linux, and a link too many on others.
            Err(Errno::NOTDIR | Errno::LOOP | Errno::MLINK) => {
                Err(problem(&path, LayoutProblem::NotPlain { wanted: "folder" }))
            }
            Err(error) => Err(failed(&path, error)),
        }
    }

    /// The same, made if it is not there.
    pub(super) fn made(&self, name: &str) -> Result<Self, LayoutError> {
        match rustix::fs::mkdirat(&self.opened, name, NEW_FOLDER_MODE) {
            Ok(()) | Err(Errno::EXIST) => self.folder(name),
            Err(error) => Err(failed(&self.path.join(name), error)),
        }
    }

    /// A plain file in it, and its size.
    pub(super) fn file(&self, name: &str) -> Result<(File, u64), LayoutError> {
        let path = self.path.join(name);
        let not_plain = || problem(&path, LayoutProblem::NotPlain { wanted: "file" });
        let file = match rustix::fs::openat(&self.opened, name, FILE, Mode::empty()) {
            Ok(opened) => File::from(opened),
            // A link; and a socket, which nobody can open.
            Err(Errno::LOOP | Errno::MLINK | Errno::NXIO) => return Err(not_plain()),
            Err(error) => return Err(failed(&path, error)),
        };
        let found = file.metadata().map_err(|error| problem(&path, error.into()))?;
        if found.is_file() { Ok((file, found.len())) } else { Err(not_plain()) }
    }

    /// Reads a plain file of at most that size, however long it becomes meanwhile.
    pub(super) fn read(&self, name: &str, size_max: u64) -> Result<Vec<u8>, LayoutError> {
        let path = self.path.join(name);
        let too_large = || problem(&path, LayoutProblem::TooLarge { max: size_max });
        let (file, size) = self.file(name)?;
        if size > size_max {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        let limit = size_max.saturating_add(1);
        file.take(limit).read_to_end(&mut bytes).map_err(|error| problem(&path, error.into()))?;
        if bytes.len() as u64 > size_max { Err(too_large()) } else { Ok(bytes) }
    }

    /// The names in it.
    pub(super) fn names(
        &self,
    ) -> Result<impl Iterator<Item = Result<String, LayoutError>> + use<>, LayoutError> {
        let path = self.path.clone();
        let entries = Dir::read_from(&self.opened).map_err(|error| failed(&path, error))?;
        Ok(entries.filter_map(move |entry| match entry {
            Ok(entry) => {
                let name = entry.file_name().to_string_lossy().into_owned();
                (name != "." && name != "..").then_some(Ok(name))
            }
            Err(error) => Some(Err(failed(&path, error))),
        }))
    }

    /// Makes a file that is not there yet.
    pub(super) fn new_file(&self, name: &str) -> Result<File, LayoutError> {
        let made = rustix::fs::openat(&self.opened, name, NEW_FILE, NEW_FILE_MODE);
        made.map(File::from).map_err(|error| failed(&self.path.join(name), error))
    }

    /// Gives a file in it another name, maybe in another folder, in the place of what has it there.
    pub(super) fn rename(&self, name: &str, folder: &Self, to: &str) -> Result<(), LayoutError> {
        let renamed = rustix::fs::renameat(&self.opened, name, &folder.opened, to);
        renamed.map_err(|error| failed(&folder.path.join(to), error))
    }

    /// Takes a file away.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.opened, name, AtFlags::empty())?)
    }
}

/// Whether nothing has that file's name any more.
pub(super) fn is_removed(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.nlink() == 0)
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

fn failed(path: &Path, error: Errno) -> LayoutError {
    problem(path, io::Error::from(error).into())
}

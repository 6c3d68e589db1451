//! What is asked of the machine: the time, and files, always bounded.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use evidence::UnixTime;
use tempfile::NamedTempFile;

use crate::exit::{Exit, Failure};

/// The time now.
pub(crate) fn now() -> UnixTime {
    let milliseconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    };
    UnixTime::from_milliseconds(milliseconds)
}

/// Opens a file that the user named; `-` is the standard input.
pub(crate) fn open(path: &Path, what: &str) -> Result<Box<dyn Read>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    let cannot = || Failure::new(Exit::Usage, format!("cannot read the {what} {}", path.display()));
    let file = File::open(path).map_err(|error| cannot().caused_by(error))?;
    let is_directory = file.metadata().is_ok_and(|metadata| metadata.is_dir());
    if is_directory {
        return Err(cannot().caused_by("it is a directory"));
    }
    Ok(Box::new(file))
}

/// Makes sure that a file that the user named can be read. A pipe is let be: who writes into it would
/// see that somebody has read it.
pub(crate) fn check_readable(path: &Path, what: &str) -> Result<(), Failure> {
    let is_stream = path == Path::new("-")
        || std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
    if is_stream { Ok(()) } else { open(path, what).map(|_| ()) }
}

/// Reads a whole file that the user named, up to `size_max` bytes.
pub(crate) fn read(path: &Path, what: &str, size_max: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(size_max).unwrap_or(u64::MAX).saturating_add(1);
    open(path, what)?.take(limit).read_to_end(&mut bytes).map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot read the {what} {}", path.display()))
            .caused_by(error)
    })?;
    if bytes.len() > size_max {
        let message =
            format!("the {what} {} is longer than the {size_max} bytes read", path.display());
        return Err(Failure::usage(message));
    }
    Ok(bytes)
}

/// As [`read`], of what is nothing without content.
pub(crate) fn read_some(path: &Path, what: &str, size_max: usize) -> Result<Vec<u8>, Failure> {
    let bytes = read(path, what, size_max)?;
    match bytes.trim_ascii().is_empty() {
        true => Err(Failure::usage(format!("the {what} {} is empty", path.display()))),
        false => Ok(bytes),
    }
}

/// Replaces a file as a whole: whoever reads it sees the old content or the new, also after a
/// crash.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_from(path, &mut &content[..])
}

fn replace_from(path: &Path, content: &mut dyn Read) -> io::Result<()> {
    let mut temporary = beside(path)?;
    // Who could not read the old content cannot read the new.
    if let Ok(old) = std::fs::metadata(path) {
        temporary.as_file().set_permissions(old.permissions())?;
    }
    io::copy(content, &mut temporary)?;
    temporary.as_file().sync_all()?;
    match temporary.persist(path) {
        Ok(_) => sync_directory(directory_of(path)),
        // Nothing can take the place of a file that is mounted there by itself, as into containers, or
        // that is somebody else's in a directory for all.
        Err(unmoved) if in_place_only(&unmoved.error) => {
            let mut written = unmoved.file.reopen()?;
            overwrite(File::options().write(true).open(path)?, &mut written)
        }
        Err(unmoved) => Err(unmoved.error),
    }
}

fn in_place_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::PermissionDenied)
}

/// Writes a file where it is; what was in it is gone first, unless it is a device or a pipe.
fn overwrite(mut file: File, content: &mut dyn Read) -> io::Result<()> {
    let is_file = file.metadata()?.is_file();
    if is_file {
        file.set_len(0)?;
    }
    io::copy(content, &mut file)?;
    if is_file { file.sync_all() } else { Ok(()) }
}

/// A file with a name of its own beside that one, which goes away unless it takes its place.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".countersign-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What the user's mask leaves of it, as for any file.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    // The error would name the file that could not be made, of which the user knows nothing.
    builder.tempfile_in(directory_of(path)).map_err(|error| error.kind().into())
}

/// A file to be written once there is something to write. That it can be is known before.
pub(crate) struct NewFile {
    /// As the user named it.
    path: PathBuf,
    place: Place,
}

enum Place {
    /// A file, which is replaced as a whole: where the path leads to, so that a link stays one.
    Replaced(PathBuf),
    /// A device or a pipe, which nothing must take the place of; or a file in a directory where nothing
    /// can be made.
    Itself(File),
}

impl NewFile {
    /// Makes sure that the path can be written; nothing is changed there yet, and nothing is left there
    /// when the process ends before there is something to write.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        let cannot = |error: io::Error| cannot_write(path, error);
        let place = match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(cannot(io::ErrorKind::IsADirectory.into()));
            }
            Ok(metadata) if !metadata.is_file() => {
                Place::Itself(File::options().write(true).open(path).map_err(cannot)?)
            }
            _ => {
                let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
                // What is made beside it goes away at once.
                match (beside(&target), File::options().write(true).open(&target)) {
                    (Ok(_), _) => Place::Replaced(target),
                    (Err(_), Ok(file)) => Place::Itself(file),
                    (Err(error), Err(_)) => return Err(cannot(error)),
                }
            }
        };
        Ok(Self { path: path.to_owned(), place })
    }

    /// The directory that it is in.
    pub(crate) fn directory(&self) -> &Path {
        match &self.place {
            Place::Replaced(target) => directory_of(target),
            Place::Itself(_) => directory_of(&self.path),
        }
    }

    /// Writes it.
    pub(crate) fn write(self, content: &[u8]) -> Result<(), Failure> {
        self.write_from(&mut &content[..])
    }

    /// Writes all that is there to be read.
    pub(crate) fn write_from(self, content: &mut dyn Read) -> Result<(), Failure> {
        let written = match self.place {
            Place::Itself(file) => overwrite(file, content),
            Place::Replaced(target) => replace_from(&target, content),
        };
        written.map_err(|error| cannot_write(&self.path, error))
    }
}

/// A file that the user named cannot be written.
pub(crate) fn cannot_write(path: &Path, error: io::Error) -> Failure {
    let directory = directory_of(path).display();
    let failure = Failure::new(Exit::Usage, format!("cannot write {}", path.display()));
    match error.kind() {
        io::ErrorKind::NotFound => failure
            .caused_by(format!("there is no directory {directory}"))
            .hint("make the directory first, or name a file in another"),
        io::ErrorKind::NotADirectory => {
            failure.caused_by(format!("{directory} is no directory")).hint("name a file in one")
        }
        io::ErrorKind::IsADirectory => {
            failure.caused_by("it is a directory").hint("name a file in it")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            failure.caused_by(error).hint("name a file in a directory in which you may write")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            failure.caused_by(error).hint("make room, or name a file on another disk")
        }
        _ => failure.caused_by(error),
    }
}

/// Whether both paths are the same file.
pub(crate) fn is_same_file(one: &Path, other: &Path) -> bool {
    let canonical = |path: &Path| path.canonicalize().ok();
    canonical(one).is_some_and(|one| Some(one) == canonical(other))
}

/// Where an absolute path leads, through links and `..`, whether or not it is there: what is there of
/// it is followed, and of the rest only `..` means something.
pub(crate) fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut rest = Vec::new();
    let mut there = path;
    let mut real = loop {
        match std::fs::canonicalize(there) {
            Ok(real) => break real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut components = there.components();
        rest.extend(components.next_back());
        there = components.as_path();
        if there.as_os_str().is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is not absolute"));
        }
    };
    for component in rest.into_iter().rev() {
        match component {
            Component::ParentDir => {
                real.pop();
            }
            other => real.push(other),
        }
    }
    Ok(real)
}

/// The directory that a path is in, which for a bare name is the current one.
pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a directory's own entries durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Opens a page in the user's browser, with the program that the desktop has for it.
pub(crate) fn open_in_browser(page: &str) -> io::Result<()> {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = std::process::Stdio::null;
    let mut opener = std::process::Command::new(program);
    let status = opener.arg(page).stdin(quiet()).stdout(quiet()).stderr(quiet()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("there is no browser")) }
}

/// One environment variable; `None` if it is not set, empty, or not text.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The whole environment, for those below who look for an identity in it.
pub(crate) fn environment() -> client::Environment {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    client::Environment::new(std::env::vars_os().filter_map(text))
}

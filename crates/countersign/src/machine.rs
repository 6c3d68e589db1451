//! What is asked of the machine: the time, and files, always bounded.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use evidence::UnixTime;

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

/// Replaces a file as a whole: whoever reads it sees the old content or the new, also after a
/// crash.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = directory_of(path);
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = Path::new(&temporary);
    let mut file = File::create(temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(temporary, path)?;
    sync_directory(directory)
}

/// The directory that a path is in, which for a bare name is the current one.
pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a directory's own entries durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
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

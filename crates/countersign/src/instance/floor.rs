//! The last time that the timestamp authority stated, kept across restarts.
//!
//! A token must never state an earlier time than one that left before it was asked for. Times are
//! whole seconds, so that the file is written at most once a second, and always before the first
//! token of that second leaves.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use evidence::UnixTime;

use super::cannot;
use crate::exit::Failure;
use crate::machine;

/// Longest file read, in bytes: a number of seconds.
const FILE_SIZE_MAX: usize = 32;

/// The floor, in memory and in a file.
pub(crate) struct TimestampFloor {
    path: PathBuf,
    floor: Mutex<UnixTime>,
}

impl TimestampFloor {
    /// Reads it; an instance that never stated a time has the start of its own validity.
    pub(super) fn open(path: &Path, start: UnixTime) -> Result<Self, Failure> {
        let floor = if path.exists() {
            let text = machine::read(path, "last time stated", FILE_SIZE_MAX)?;
            let seconds = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
            let seconds = seconds.ok_or_else(|| {
                cannot("use the last time stated in", path).hint(
                    "put the file back from a backup; without it, a clock that runs behind would \
                     not be noticed",
                )
            })?;
            UnixTime::from_seconds(seconds)
        } else {
            start
        };
        Ok(Self { path: path.to_owned(), floor: Mutex::new(floor) })
    }

    /// The last time stated: none may be stated below it.
    pub(crate) fn current(&self) -> UnixTime {
        *self.lock()
    }

    /// Raises it to a time that is about to be stated, if that is later. Blocks while the file is
    /// written.
    ///
    /// # Errors
    /// When it could not be made durable, so that the statement must not leave.
    pub(crate) fn raise(&self, time: UnixTime) -> std::io::Result<()> {
        let mut floor = self.lock();
        if time > *floor {
            machine::replace(&self.path, time.seconds().to_string().as_bytes())?;
            *floor = time;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, UnixTime> {
        // It is set by a single assignment, after all that can fail.
        self.floor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    const START: UnixTime = UnixTime::from_seconds(1_800_000_000);

    #[test]
    fn what_was_stated_is_the_floor_of_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("floor");
        let floor = TimestampFloor::open(&path, START).unwrap();
        assert_eq!(floor.current(), START);
        let later = START.plus_seconds(7);
        floor.raise(later).unwrap();
        // What is earlier does not lower it.
        floor.raise(START).unwrap();
        assert_eq!(floor.current(), later);
        assert_eq!(TimestampFloor::open(&path, START).unwrap().current(), later);
    }

    #[test]
    fn a_floor_that_cannot_be_kept_is_not_raised() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gone").join("floor");
        let floor = TimestampFloor::open(&path, START).unwrap();
        assert!(floor.raise(START.plus_seconds(7)).is_err());
        assert_eq!(floor.current(), START);
    }

    #[test]
    fn a_damaged_file_is_refused_rather_than_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("floor");
        for damaged in ["", "soon", "1800000000 or so"] {
            std::fs::write(&path, damaged).unwrap();
            assert!(TimestampFloor::open(&path, START).is_err(), "{damaged}");
        }
    }
}

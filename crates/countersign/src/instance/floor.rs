//! The last time that the timestamp authority stated, kept across restarts.
//!
//! A token must never state an earlier time than one before it. Times are whole seconds, so that
//! the file is written at most once a second, and always before the first token of that second
//! leaves.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

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

    /// States a time: `state` is given the floor and returns what it made with the time it stated.
    /// Blocks while the file is written.
    pub(crate) fn raise<T, E>(
        &self,
        state: impl FnOnce(UnixTime) -> Result<(T, UnixTime), E>,
    ) -> Result<T, RaiseError<E>> {
        let mut floor = self.floor.lock().unwrap_or_else(PoisonError::into_inner);
        let (made, time) = state(*floor).map_err(RaiseError::State)?;
        if time > *floor {
            machine::replace(&self.path, time.seconds().to_string().as_bytes())
                .map_err(RaiseError::Write)?;
            *floor = time;
        }
        Ok(made)
    }
}

/// Why no time was stated.
#[derive(Debug)]
pub(crate) enum RaiseError<E> {
    /// The statement could not be made.
    State(E),
    /// The floor could not be made durable, so that the statement must not leave.
    Write(std::io::Error),
}

//! The two promises a log stands on: objects that are durable once written, and a lock that is
//! swapped atomically.
//!
//! The lock is trusted and must never be rolled back: it alone keeps a log from signing two
//! histories, which is why it is kept apart from the objects and out of their backups. The objects
//! are not trusted: whoever tampers with them can stop the log, not make it lie.

pub(crate) mod files;
pub mod posix;

use std::fmt;
use std::io;

use crypto::merkle::NodeHash;
use evidence::TreeSize;

use crate::tile::Tile;

/// The name of an object. There is no other way to name one, so nothing from the outside can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Object {
    /// The newest published checkpoint, a signed note: the one object that changes.
    Checkpoint,
    /// A batch on its way into the log, under the size and root hash that the log has after it.
    Staged {
        /// Size of the tree with the batch.
        size: TreeSize,
        /// Root hash of the tree with the batch.
        root: NodeHash,
    },
    /// A tile.
    Tile(Tile),
}

impl fmt::Display for Object {
    /// The object's path: relative, of lower-case letters, digits, `.`, `-` and `/`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::Staged { size, root } => write!(f, "staged/{size}-{}", hex::encode(root)),
            Self::Tile(tile) => tile.fmt(f),
        }
    }
}

/// What is no longer needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// Every staged batch.
    Staged,
    /// The partial tiles in the place of this full tile (C2SP tlog-tiles: a log "MAY delete any
    /// partial tile once the corresponding full tile is available").
    Partials(Tile),
}

/// Objects, immutable but for the checkpoint.
///
/// Calls block. One writer at a time is the lock's business; readers may be many.
pub trait Objects: Send + Sync {
    /// Stores an object. When this returns, a power failure cannot take the object away. Storing
    /// the same bytes again succeeds; storing other bytes is [`StorageError::Conflict`].
    ///
    /// # Errors
    /// When it cannot be stored, or it is not known whether it was.
    fn put(&self, object: Object, bytes: &[u8]) -> Result<(), StorageError>;

    /// Stores several objects as [`Self::put`] does, in any order.
    ///
    /// # Errors
    /// When one cannot be stored, or it is not known; any of the others may have been.
    fn put_all(&self, objects: &[(Object, Vec<u8>)]) -> Result<(), StorageError> {
        objects.iter().try_for_each(|(object, bytes)| self.put(*object, bytes))
    }

    /// Stores [`Object::Checkpoint`], in place of the one before. Atomic, and durable on return.
    ///
    /// # Errors
    /// When it cannot be stored, or it is not known whether it was.
    fn publish(&self, note: &[u8]) -> Result<(), StorageError>;

    /// Reads an object of at most `size_max` bytes; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read or is longer.
    fn get(&self, object: Object, size_max: usize) -> Result<Option<Vec<u8>>, StorageError>;

    /// Deletes what is not needed; what is not there is no error. After a power failure it may
    /// be back.
    ///
    /// # Errors
    /// When something is still there.
    fn discard(&self, discard: Discard) -> Result<(), StorageError>;
}

/// The signed checkpoint that the log has committed to, swapped atomically.
///
/// Calls block. What was written is seen by every later call, across processes and restarts.
pub trait Lock: Send + Sync {
    /// The bytes stored; `None` before the first swap.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self) -> Result<Option<Vec<u8>>, StorageError>;

    /// Stores `new` if what is stored is exactly `expected`. Durable on return.
    ///
    /// # Errors
    /// [`StorageError::Swapped`] when something else is stored; otherwise when it cannot be
    /// stored, or it is not known whether it was.
    fn swap(&self, expected: Option<&[u8]>, new: &[u8]) -> Result<(), StorageError>;
}

/// Why storage did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The operating system or the service refused.
    #[error("{what}")]
    Io {
        /// The file or object.
        what: String,
        /// The reason given.
        source: io::Error,
    },
    /// The object exists with other bytes.
    #[error("{object} exists with other content; an object never changes once it is written")]
    Conflict {
        /// The object.
        object: Object,
    },
    /// The object is longer than anything the log writes there.
    #[error("{what} has {found} bytes, more than the {size_max} that can be there")]
    TooLong {
        /// The file or object.
        what: String,
        /// Its length.
        found: u64,
        /// The longest expected.
        size_max: usize,
    },
    /// The lock holds something else than expected: another writer was here.
    #[error("the lock {what} changed under the log: another process writes to it")]
    Swapped {
        /// The lock.
        what: String,
    },
    /// Another process has it open.
    #[error("{what} is in use by another process")]
    InUse {
        /// The file.
        what: String,
    },
    /// The lock's file is not one that was written by a log.
    #[error("the lock file {what} is damaged; restore it from a newer copy, never from an older")]
    DamagedLock {
        /// The file.
        what: String,
    },
}

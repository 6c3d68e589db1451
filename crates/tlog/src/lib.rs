//! The append-only log over two storage promises, and the index over it.
//!
//! A [`Log`] takes leaves in, gives each an index and a moment, and answers only once they are
//! durable and under a published, signed checkpoint. Its files are C2SP tiles from the first day;
//! opening one reads its right edge, whatever its size. It never signs two histories: what it has
//! committed to stands in a [`Lock`] of its own, and storage that does not fit the lock is refused.
//!
//! What it does not know: the meaning of its entries, HTTP, witnesses.
//!
//! ```text
//! append → pool → plan (pure) → sign → stage → swap the lock → tiles → checkpoint → answer
//!                                              └ the commit: recovery goes on from here
//! ```

mod cache;
pub mod checkpoint;
pub mod index;
pub mod intake;
pub mod leaf;
mod log;
mod pool;
mod read;
mod recover;
pub mod sequence;
mod stage;
pub mod storage;
pub mod tile;

pub use checkpoint::{CheckpointSigner, NoteSigner, SignedCheckpoint, TreeHeadSigner};
pub use index::Index;
pub use leaf::{Form, Leaf, LeafError, SearchKey};
pub use log::{Clock, Config, Log, Parts, Sequencer};
pub use pool::{AppendError, Appended, Appending, POOL_SIZE_MAX, Stop};
pub use read::{Entry, ReadError};
pub use recover::{OpenError, Place};
pub use storage::{Lock, Object, Objects, StorageError};
pub use tile::{Tile, TileKind};

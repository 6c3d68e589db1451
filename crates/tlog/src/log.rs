//! A log as callers hold it: made, opened, asked and stopped. What is appended to it is queued here
//! and taken in by the [`Sequencer`], on a thread of its own.

mod sequencer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crypto::AbortOnPanic;
use crypto::merkle::NodeHash;
use evidence::{LeafIndex, TreeSize, UnixTime};

use crate::checkpoint::{CheckpointSigner, SignedCheckpoint};
use crate::index::{Index, IndexError};
use crate::leaf::{Form, Leaf, SearchKey};
use crate::pool::{AppendError, Appended, Appending, Limits, POOL_SIZE_MAX, Pool, Stop};
use crate::read::{Entry, Published, ReadError, Reader};
use crate::recover::{OpenError, Recovered, recover};
use crate::sequence::Edge;
use crate::storage::{Lock, Objects};
use crate::tile::Tile;

pub use sequencer::Sequencer;

/// What the log asks for the time.
pub type Clock = Arc<dyn Fn() -> UnixTime + Send + Sync>;

/// Bounds and rhythm of a log.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How entries are written. Fixed for the life of a log.
    pub form: Form,
    /// Least time between the starts of two batches. A leaf that comes to an idle log does not
    /// wait for it.
    pub interval: Duration,
    /// Waiting leaves that start a batch before the interval has passed.
    pub batch_entries: usize,
    /// Most callers that may wait at once.
    pub waiters_max: usize,
    /// Most memory for leaves that wait, in bytes; a batch being written may hold as much again. At
    /// most [`POOL_SIZE_MAX`].
    pub pool_size_max: usize,
    /// Memory for tiles and entries read, in bytes; up to twice as much is used.
    pub cache_size: usize,
}

impl Config {
    /// A log of that form, for a machine of ordinary size.
    #[must_use]
    pub fn new(form: Form) -> Self {
        Self {
            form,
            interval: Duration::from_millis(100),
            batch_entries: 1024,
            waiters_max: 16 * 1024,
            pool_size_max: 64 << 20,
            cache_size: 64 << 20,
        }
    }
}

/// All that a log stands on.
#[derive(Clone)]
pub struct Parts {
    /// Where tiles and the checkpoint are kept.
    pub objects: Arc<dyn Objects>,
    /// Where the committed checkpoint is kept, apart from them.
    pub lock: Arc<dyn Lock>,
    /// Who signs checkpoints.
    pub signer: Arc<dyn CheckpointSigner>,
    /// The index over the log.
    pub index: Arc<Index>,
    /// The time.
    pub clock: Clock,
}

/// A log. All methods that read block for as long as storage takes.
pub struct Log {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    form: Form,
    pool: Pool,
    reader: Reader,
    index: Arc<Index>,
    /// Whether the index covers the whole log; once true, it stays so.
    is_indexed: AtomicBool,
}

impl Log {
    /// Makes an empty log: its origin and key are fixed from here on.
    ///
    /// # Errors
    /// When there is a log already, or a trace of one; when storage or the signer fails.
    pub fn create(form: Form, parts: &Parts) -> Result<(), OpenError> {
        let now = (parts.clock)();
        match recover(form, &*parts.objects, &*parts.lock, &*parts.signer, now) {
            Err(OpenError::NotCreated) => {}
            Err(error) => return Err(error),
            Ok(found) => return Err(OpenError::AlreadyCreated { size: found.edge.size }),
        }
        let edge = Edge::empty(form);
        let signed = sequencer::sign(&*parts.signer, &edge, now)?;
        parts.lock.swap(None, signed.note.as_bytes())?;
        parts.objects.publish(signed.note.as_bytes())?;
        Ok(())
    }

    /// Opens a log that was created, finishes what a crash interrupted, and starts its sequencer
    /// on a thread of its own.
    ///
    /// A panic of that thread aborts the process: what it left behind is known only to a new start.
    ///
    /// # Errors
    /// When lock and storage do not fit together, or are of another log, or a bound is too large;
    /// see [`OpenError`].
    pub fn open(config: Config, parts: Parts) -> Result<Self, OpenError> {
        let origin = parts.signer.origin().to_owned();
        let (log, sequencer) = Self::open_stepped(config, parts)?;
        let thread = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                let _guard = AbortOnPanic;
                let stop = sequencer.run();
                match &*stop {
                    Stop::Requested => tracing::info!(origin, "the log stopped"),
                    error => tracing::error!(origin, ?error, "the log stopped; start it again"),
                }
            })
            .map_err(OpenError::Thread)?;
        *log.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(log)
    }

    /// As [`Self::open`], but nothing happens by itself: the caller drives the sequencer.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_stepped(config: Config, parts: Parts) -> Result<(Self, Sequencer), OpenError> {
        if config.pool_size_max > POOL_SIZE_MAX {
            return Err(OpenError::PoolTooLarge { found: config.pool_size_max });
        }
        let Parts { objects, lock, signer, index, clock } = parts;
        let Recovered { signed, locked, edge } =
            recover(config.form, &*objects, &*lock, &*signer, clock())?;
        tracing::info!(origin = signer.origin(), size = edge.size.0, "opened the log");
        let published = Published::new(signed, edge.clone());
        let reader = Reader::new(config.form, Arc::clone(&objects), published, config.cache_size);
        let limits = Limits {
            waiters_max: config.waiters_max,
            weight_max: config.pool_size_max,
            batch_entries: config.batch_entries,
            interval: config.interval,
        };
        let shared = Arc::new(Shared {
            form: config.form,
            pool: Pool::new(limits),
            reader,
            index,
            is_indexed: AtomicBool::new(false),
        });
        let log = Self { shared: Arc::clone(&shared), thread: Mutex::new(None) };
        let sequencer =
            Sequencer { shared, objects, lock, signer, clock, locked, edge, last: None };
        Ok((log, sequencer))
    }

    /// Queues a leaf. What is returned resolves once the leaf is durable *and* published, or to
    /// the place that it had already.
    ///
    /// # Errors
    /// At once, when the pool is full, the log has stopped, or the leaf is of another form.
    pub fn append(&self, leaf: Leaf) -> Result<Appending, AppendError> {
        let (wanted, found) = (self.shared.form, leaf.form);
        if wanted != found {
            return Err(AppendError::OtherForm { wanted, found });
        }
        self.shared.pool.add(leaf)
    }

    /// The newest published checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> Arc<SignedCheckpoint> {
        Arc::clone(&self.shared.reader.published().signed)
    }

    /// The root hash of the tree when it had that size.
    ///
    /// # Errors
    /// When the size is not published, or the tree cannot be read.
    pub fn root(&self, size: TreeSize) -> Result<NodeHash, ReadError> {
        self.shared.reader.root(size)
    }

    /// Proof that the entry at `index` is in the tree of `size` entries (RFC 6962 §2.1.1).
    ///
    /// # Errors
    /// When index or size are out of range, or the tree cannot be read.
    pub fn inclusion_proof(
        &self,
        index: LeafIndex,
        size: TreeSize,
    ) -> Result<Vec<NodeHash>, ReadError> {
        self.shared.reader.inclusion_proof(index, size)
    }

    /// Proof that the tree of `newer` entries only adds to that of `older` (RFC 6962 §2.1.2);
    /// empty when `older` is 0 or both are the same.
    ///
    /// # Errors
    /// When a size is out of range, or the tree cannot be read.
    pub fn consistency_proof(
        &self,
        older: TreeSize,
        newer: TreeSize,
    ) -> Result<Vec<NodeHash>, ReadError> {
        self.shared.reader.consistency_proof(older, newer)
    }

    /// The entry at that index.
    ///
    /// # Errors
    /// When the index is out of range, or the entry cannot be read.
    pub fn entry(&self, index: LeafIndex) -> Result<Entry, ReadError> {
        self.shared.reader.entry(index)
    }

    /// The leaf hash at that index: cheaper than the entry.
    ///
    /// # Errors
    /// When the index is out of range, or the tree cannot be read.
    pub fn leaf_hash(&self, index: LeafIndex) -> Result<NodeHash, ReadError> {
        self.shared.reader.leaf_hash(index)
    }

    /// The index of the leaf with that [`Leaf::identity`] (for [`Form::Entries`], its leaf hash),
    /// checked against the log.
    ///
    /// # Errors
    /// When the index does not cover the log yet, or index or log cannot be read.
    pub fn find(&self, identity: &NodeHash) -> Result<Option<LeafIndex>, ReadError> {
        self.shared.check_indexed()?;
        let Some(index) = self.shared.index.find(identity)? else { return Ok(None) };
        self.shared.confirm(index, identity).map(|_| Some(index))
    }

    /// The newest entries under a search key, at most `count_max`, the newest first.
    ///
    /// Search is a convenience: that an entry is found proves nothing about it, and that none is
    /// found proves nothing at all.
    ///
    /// # Errors
    /// When the index does not cover the log yet, or cannot be read.
    pub fn search(&self, key: SearchKey, count_max: usize) -> Result<Vec<LeafIndex>, ReadError> {
        self.shared.check_indexed()?;
        Ok(self.shared.index.search(key, count_max)?)
    }

    /// The bytes of a tile at its width; `None` if the published tree has no such tile.
    ///
    /// # Errors
    /// When the tile cannot be read, or is not what the checkpoint covers.
    pub fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, ReadError> {
        self.shared.reader.tile(tile)
    }

    /// Whether leaves are taken in: `false` once the log has stopped, whatever the reason.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.shared.pool.is_closed()
    }

    /// Takes in no more leaves, finishes those that wait, and returns when the log's thread has
    /// ended. Blocks.
    pub fn stop(&self) {
        self.shared.pool.close(Arc::new(Stop::Requested));
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the thread would have ended the process.
            let _ = thread.join();
        }
    }
}

impl Drop for Log {
    /// Lets the thread finish by itself; [`Self::stop`] waits for it.
    fn drop(&mut self) {
        self.shared.pool.close(Arc::new(Stop::Requested));
    }
}

impl Shared {
    fn check_indexed(&self) -> Result<(), ReadError> {
        if self.is_indexed.load(Ordering::Acquire) {
            return Ok(());
        }
        let indexed = self.index.reach().size;
        Err(ReadError::IndexBehind { indexed, size: self.reader.published().size() })
    }

    /// Looks into the log whether the leaf is where the index says: an index that lies, or rots,
    /// must not earn a promise for something that was never logged.
    fn confirm(&self, index: LeafIndex, identity: &NodeHash) -> Result<Appended, ReadError> {
        let record = match self.reader.record(index) {
            Err(ReadError::OutsideTree { .. }) => return Err(IndexError::Wrong { index }.into()),
            record => record?,
        };
        if record.identity != *identity {
            return Err(IndexError::Wrong { index }.into());
        }
        let (leaf_hash, time) = (record.leaf_hash, record.time);
        Ok(Appended { index, leaf_hash, time, already: true })
    }
}

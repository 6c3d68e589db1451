//! The index over a log: from a leaf's identity to its place, and from search keys to entries.
//!
//! Derived and never believed: it is built from the log and rebuilt whenever it does not fit, and
//! whoever acts on what it says looks into the log first. It may lag behind the log after a crash;
//! it then tells how far it reaches, and the log adds the rest before it takes in more.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crypto::merkle::NodeHash;
use evidence::{LeafIndex, TreeSize};
use redb::{Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use crate::leaf::SearchKey;

/// Memory for pages of the index, in bytes.
const CACHE_SIZE: usize = 128 << 20;

/// Identity of a leaf, all 256 bits, to its index.
const LEAVES: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("leaves 1");

/// Search key and index, big-endian, in one: sorted by key, then by index.
const POSTINGS: TableDefinition<'_, &[u8; 40], ()> = TableDefinition::new("postings 1");

/// The one row of how far the index reaches: size, and identity of the last leaf before it.
const REACH: TableDefinition<'_, (), (u64, &[u8; 32])> = TableDefinition::new("reach 1");

/// The index failed. The log is not harmed: the index can be deleted and is then rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The database could not be opened.
    #[error("index {}", path.display())]
    Open {
        /// Its file.
        path: PathBuf,
        /// The reason given.
        source: Box<DatabaseError>,
    },
    /// A file of the index could not be removed, in order to rebuild it.
    #[error("index {}", path.display())]
    Remove {
        /// Its file.
        path: PathBuf,
        /// The reason given.
        source: io::Error,
    },
    /// The database failed.
    #[error("the index's database; delete its file to have it rebuilt")]
    Database(#[source] Box<redb::Error>),
    /// The index says an entry is where the log has another.
    #[error("the index is wrong about entry {index}; delete its file to have it rebuilt")]
    Wrong {
        /// Where it said the entry is.
        index: LeafIndex,
    },
}

/// How far an index reaches into its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) size: TreeSize,
    /// Identity of the last leaf it covers: whose history it is. Meaningless at size 0.
    pub(crate) last: NodeHash,
}

/// The index over one log.
pub struct Index {
    database: Database,
    path: Option<PathBuf>,
}

impl Index {
    /// Opens the index in that file, made if it is not there, and made anew if it is not whole.
    ///
    /// # Errors
    /// When another process has it open, or the file cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let open = || redb::Builder::new().set_cache_size(CACHE_SIZE).create(path);
        let database = match open() {
            Err(DatabaseError::Storage(redb::StorageError::Corrupted(_)))
            | Err(DatabaseError::UpgradeRequired(_) | DatabaseError::RepairAborted) => {
                tracing::warn!(path = %path.display(), "the index is damaged and is rebuilt");
                std::fs::remove_file(path)
                    .map_err(|source| IndexError::Remove { path: path.to_owned(), source })?;
                open()
            }
            opened => opened,
        };
        let database = database
            .map_err(|source| IndexError::Open { path: path.to_owned(), source: source.into() })?;
        Self { database, path: Some(path.to_owned()) }.with_tables()
    }

    /// An index in memory, built from the log at every start: for logs that stay small.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn in_memory() -> Result<Self, IndexError> {
        let database = redb::Builder::new()
            .create_with_backend(redb::backends::InMemoryBackend::new())
            .map_err(database_error)?;
        Self { database, path: None }.with_tables()
    }

    /// Readers find tables that are there from the first moment on.
    fn with_tables(self) -> Result<Self, IndexError> {
        let transaction = self.database.begin_write().map_err(database_error)?;
        transaction.open_table(LEAVES).map_err(database_error)?;
        transaction.open_table(POSTINGS).map_err(database_error)?;
        transaction.open_table(REACH).map_err(database_error)?;
        transaction.commit().map_err(database_error)?;
        Ok(self)
    }

    /// The index of the leaf with that identity, as far as the index reaches. Not proven.
    pub(crate) fn find(&self, identity: &NodeHash) -> Result<Option<LeafIndex>, IndexError> {
        let leaves = self.read()?.open_table(LEAVES).map_err(database_error)?;
        let found = leaves.get(identity).map_err(database_error)?;
        Ok(found.map(|index| LeafIndex(index.value())))
    }

    /// The newest entries under a key, at most `count_max`, the newest first. Not proven.
    pub(crate) fn search(
        &self,
        key: SearchKey,
        count_max: usize,
    ) -> Result<Vec<LeafIndex>, IndexError> {
        let postings = self.read()?.open_table(POSTINGS).map_err(database_error)?;
        let (first, last) = (posting(key, LeafIndex(0)), posting(key, LeafIndex(u64::MAX)));
        postings
            .range::<&[u8; 40]>(&first..=&last)
            .map_err(database_error)?
            .rev()
            .take(count_max)
            .map(|row| {
                let (row, _) = row.map_err(database_error)?;
                let index = row.value().last_chunk::<8>().expect("40 bytes end with 8");
                Ok(LeafIndex(u64::from_be_bytes(*index)))
            })
            .collect()
    }

    pub(crate) fn reach(&self) -> Result<Reach, IndexError> {
        let reach = self.read()?.open_table(REACH).map_err(database_error)?;
        let row = reach.get(()).map_err(database_error)?;
        Ok(row.map_or(Reach { size: TreeSize(0), last: [0; 32] }, |row| {
            let (size, last) = row.value();
            Reach { size: TreeSize(size), last: *last }
        }))
    }

    /// Adds entries that follow those it reaches. Unless `durable`, a crash may take them away
    /// again, with all that were added since the last durable call.
    pub(crate) fn add(
        &self,
        first: LeafIndex,
        records: &[(NodeHash, &[SearchKey])],
        durable: bool,
    ) -> Result<(), IndexError> {
        let Some((last, _)) = records.last() else { return Ok(()) };
        let mut transaction = self.database.begin_write().map_err(database_error)?;
        if durable {
            // After a crash, the next start must not walk the whole index.
            transaction.set_quick_repair(true);
        } else {
            transaction.set_durability(Durability::None).map_err(database_error)?;
        }
        // Sorted, neighbours share their way down the tree.
        let mut leaves: Vec<_> =
            (first.0..).zip(records).map(|(at, (leaf, _))| (leaf, at)).collect();
        leaves.sort_unstable();
        let postings: BTreeSet<_> = (first.0..)
            .zip(records)
            .flat_map(|(at, (_, keys))| keys.iter().map(move |key| posting(*key, LeafIndex(at))))
            .collect();
        {
            let mut table = transaction.open_table(LEAVES).map_err(database_error)?;
            for (leaf, at) in leaves {
                // Of several leaves with one identity the first counts.
                if table.get(leaf).map_err(database_error)?.is_none() {
                    table.insert(leaf, at).map_err(database_error)?;
                }
            }
            let mut table = transaction.open_table(POSTINGS).map_err(database_error)?;
            for posting in &postings {
                table.insert(posting, ()).map_err(database_error)?;
            }
            let mut table = transaction.open_table(REACH).map_err(database_error)?;
            let size = first.0 + records.len() as u64;
            table.insert((), (size, last)).map_err(database_error)?;
        }
        transaction.commit().map_err(database_error)
    }

    /// Makes durable all that was added.
    pub(crate) fn sync(&self) -> Result<(), IndexError> {
        let mut transaction = self.database.begin_write().map_err(database_error)?;
        transaction.set_quick_repair(true);
        transaction.commit().map_err(database_error)
    }

    /// Empties it: it is of another history than the log.
    pub(crate) fn clear(&self) -> Result<(), IndexError> {
        let path = self.path.as_deref().unwrap_or(Path::new("in memory"));
        tracing::warn!(path = %path.display(), "the index is of another history and is rebuilt");
        let transaction = self.database.begin_write().map_err(database_error)?;
        transaction.delete_table(LEAVES).map_err(database_error)?;
        transaction.delete_table(POSTINGS).map_err(database_error)?;
        transaction.delete_table(REACH).map_err(database_error)?;
        transaction.open_table(LEAVES).map_err(database_error)?;
        transaction.open_table(POSTINGS).map_err(database_error)?;
        transaction.open_table(REACH).map_err(database_error)?;
        transaction.commit().map_err(database_error)
    }

    fn read(&self) -> Result<redb::ReadTransaction, IndexError> {
        self.database.begin_read().map_err(database_error)
    }
}

fn posting(key: SearchKey, index: LeafIndex) -> [u8; 40] {
    let mut posting = [0; 40];
    posting[..32].copy_from_slice(&key.0);
    posting[32..].copy_from_slice(&index.0.to_be_bytes());
    posting
}

fn database_error(error: impl Into<redb::Error>) -> IndexError {
    IndexError::Database(Box::new(error.into()))
}

//! The index over a log: from a leaf's identity to its place, and from search keys to entries.
//!
//! Derived and never believed: it is built from the log and rebuilt whenever it does not fit, and
//! whoever acts on what it says looks into the log first. It needs no journal, for the log is one:
//! the rows of the newest entries are in memory, and a start reads those entries again; all others
//! are in sorted files, written once, and merged in the background so that they stay few.

mod run;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::{self, JoinHandle};

use crypto::merkle::NodeHash;
use evidence::{LeafIndex, TreeSize};

use self::run::{Row, Run, index_of, is_run_name, merge, row};
use crate::leaf::SearchKey;
use crate::storage::StorageError;
use crate::storage::files::{hold, io_error, remove_file};

/// Entries whose rows are held in memory before they become a file: what a start reads again.
const RECENT_ENTRIES: u64 = 16 * 1024;

/// Runs of about one size that are merged into one. A lookup asks at most three of each size, and
/// a row is rewritten once for each size: eight times in a log of 10⁹ entries.
const MERGED_RUNS: usize = 4;

/// The index failed. The log is not harmed: the index can be deleted and is then rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Its files could not be read or written.
    #[error("the files of the index")]
    Storage(#[from] StorageError),
    /// The index says an entry is where the log has another.
    #[error("the index is wrong about entry {index}; delete its directory to have it rebuilt")]
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
    /// `None` in memory.
    directory: Option<PathBuf>,
    rows: Arc<RwLock<Rows>>,
    is_stopping: Arc<AtomicBool>,
    merging: Mutex<Option<JoinHandle<()>>>,
    /// Held for as long as this lives.
    _guard: Option<File>,
}

#[derive(Default)]
struct Rows {
    /// From the oldest entries to newer ones, without gaps, from entry 0 on.
    runs: Vec<Arc<Run>>,
    /// The rows of the entries after those.
    recent: BTreeSet<Row>,
    /// Number of entries covered, in runs and memory.
    size: u64,
    last: NodeHash,
}

impl Index {
    /// Opens the index in that directory, made if it is not there. What is damaged in it is left
    /// out and removed: the log will fill the gap.
    ///
    /// # Errors
    /// When another process has it open, or it cannot be read or written.
    pub fn open(directory: &Path) -> Result<Self, IndexError> {
        fs::create_dir_all(directory).map_err(io_error(directory))?;
        let guard = hold(&directory.join(".held"))?;
        let mut found = Vec::new();
        for entry in fs::read_dir(directory).map_err(io_error(directory))? {
            let path = entry.map_err(io_error(directory))?.path();
            // What has another name is not ours to look into, let alone to remove.
            let name = path.file_name().and_then(|name| name.to_str());
            if !name.is_some_and(is_run_name) {
                continue;
            }
            match Run::open(&path)? {
                Some(run) => found.push(run),
                None => remove_file(&path)?,
            }
        }
        // The longest of those that begin where the one before ends; the others were merged.
        found.sort_by_key(|run| (run.first, std::cmp::Reverse(run.end)));
        let mut rows = Rows::default();
        for run in found {
            if run.first == rows.size {
                (rows.size, rows.last) = (run.end, run.last);
                rows.runs.push(Arc::new(run));
            } else {
                run.remove()?;
            }
        }
        Ok(Self::new(Some(directory.to_owned()), rows, Some(guard)))
    }

    /// An index in memory, built from the log at every start: for tests, and logs that stay small.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::new(None, Rows::default(), None)
    }

    fn new(directory: Option<PathBuf>, rows: Rows, guard: Option<File>) -> Self {
        Self {
            directory,
            rows: Arc::new(RwLock::new(rows)),
            is_stopping: Arc::default(),
            merging: Mutex::default(),
            _guard: guard,
        }
    }

    /// The index of the leaf with that identity, as far as the index reaches. Not proven.
    pub(crate) fn find(&self, identity: &NodeHash) -> Result<Option<LeafIndex>, IndexError> {
        let rows = read(&self.rows);
        let recent = rows.recent.range(row(identity, 0)..).next();
        if let Some(found) = recent.filter(|row| row.starts_with(identity)) {
            return Ok(Some(LeafIndex(index_of(found))));
        }
        for run in rows.runs.iter().rev() {
            if let Some(found) = run.first_of(identity)? {
                return Ok(Some(LeafIndex(index_of(&found))));
            }
        }
        Ok(None)
    }

    /// The newest entries under a key, at most `count_max`, the newest first. Not proven.
    pub(crate) fn search(
        &self,
        SearchKey(key): SearchKey,
        count_max: usize,
    ) -> Result<Vec<LeafIndex>, IndexError> {
        let rows = read(&self.rows);
        let recent = rows.recent.range(row(&key, 0)..=row(&key, u64::MAX)).rev();
        let mut found: Vec<Row> = recent.take(count_max).copied().collect();
        for run in rows.runs.iter().rev() {
            let missing = count_max - found.len();
            if missing == 0 {
                break;
            }
            found.extend(run.last_of(&key, missing)?);
        }
        Ok(found.iter().map(|row| LeafIndex(index_of(row))).collect())
    }

    pub(crate) fn reach(&self) -> Reach {
        let rows = read(&self.rows);
        Reach { size: TreeSize(rows.size), last: rows.last }
    }

    /// Adds the entries that follow those it reaches. They are not durable, and need not be.
    pub(crate) fn add(&self, records: &[(NodeHash, &[SearchKey])]) -> Result<(), IndexError> {
        let is_much = {
            let mut rows = write(&self.rows);
            for (identity, keys) in records {
                let index = rows.size;
                rows.recent.insert(row(identity, index));
                rows.recent.extend(keys.iter().map(|SearchKey(key)| row(key, index)));
                (rows.size, rows.last) = (index + 1, *identity);
            }
            rows.size - runs_end(&rows.runs) >= RECENT_ENTRIES
        };
        match &self.directory {
            Some(directory) if is_much => {
                self.write_recent(directory)?;
                self.merge_in_background(directory);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Makes a run of what is in memory. One caller adds, so that nothing comes in meanwhile;
    /// others can read.
    fn write_recent(&self, directory: &Path) -> Result<(), IndexError> {
        let run = {
            let rows = read(&self.rows);
            let stretch = (runs_end(&rows.runs), rows.size);
            Run::write(directory, stretch, rows.last, rows.recent.iter().copied().map(Ok))?
        };
        let mut rows = write(&self.rows);
        rows.runs.push(Arc::new(run));
        rows.recent.clear();
        Ok(())
    }

    /// Merges while there is something to merge, on a thread, unless one is at it.
    fn merge_in_background(&self, directory: &Path) {
        let mut merging = self.merging.lock().unwrap_or_else(PoisonError::into_inner);
        if merging.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        let (directory, rows) = (directory.to_owned(), Arc::clone(&self.rows));
        let is_stopping = Arc::clone(&self.is_stopping);
        let spawned = thread::Builder::new()
            .name("index".to_owned())
            .spawn(move || merge_all(&directory, &rows, &is_stopping));
        match spawned {
            Ok(thread) => *merging = Some(thread),
            Err(error) => tracing::warn!(%error, "the index is not merged now"),
        }
    }

    /// Waits for a merge under way: tests look at what comes out.
    #[cfg(test)]
    fn finish_merging(&self) {
        if let Some(thread) = self.merging.lock().unwrap_or_else(PoisonError::into_inner).take() {
            thread.join().expect("a merge does not panic");
        }
    }

    /// Empties it: it is of another history than the log.
    pub(crate) fn clear(&self) -> Result<(), IndexError> {
        tracing::warn!(directory = ?self.directory, "the index is of another history: rebuilding it");
        self.stop_merging();
        let cleared = std::mem::take(&mut *write(&self.rows));
        Ok(cleared.runs.iter().try_for_each(|run| run.remove())?)
    }

    fn stop_merging(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        let merging = self.merging.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = merging {
            // If it panicked it left what a crash leaves, and its inputs are whole.
            let _ = thread.join();
        }
        self.is_stopping.store(false, Ordering::Relaxed);
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.stop_merging();
    }
}

fn merge_all(directory: &Path, rows: &RwLock<Rows>, is_stopping: &AtomicBool) {
    loop {
        let due = {
            let rows = read(rows);
            let Some(due) = due(&rows.runs) else { return };
            rows.runs[due].to_vec()
        };
        let merged = match merge(directory, &due, is_stopping) {
            Ok(Some(merged)) => Arc::new(merged),
            Ok(None) => return,
            Err(error) => {
                // The index is right without it, only slower; it is tried again with the next run.
                tracing::warn!(%error, "could not merge a part of the index");
                return;
            }
        };
        {
            let mut rows = write(rows);
            let at = rows.runs.iter().position(|run| run.first == merged.first);
            let at = at.expect("runs go only where they are merged, which is here");
            rows.runs.splice(at..at + due.len(), [merged]);
        }
        for run in due {
            if let Err(error) = run.remove() {
                tracing::warn!(%error, "could not remove a merged part of the index");
            }
        }
    }
}

/// The newest runs of one size class, if there are enough to merge.
fn due(runs: &[Arc<Run>]) -> Option<Range<usize>> {
    let class =
        |run: &Run| ((run.end - run.first) / RECENT_ENTRIES).max(1).ilog(MERGED_RUNS as u64);
    (MERGED_RUNS..=runs.len())
        .rev()
        .map(|end| end - MERGED_RUNS..end)
        .find(|range| runs[range.clone()].iter().all(|run| class(run) == class(&runs[range.start])))
}

fn runs_end(runs: &[Arc<Run>]) -> u64 {
    runs.last().map_or(0, |run| run.end)
}

fn read(rows: &RwLock<Rows>) -> RwLockReadGuard<'_, Rows> {
    rows.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(rows: &RwLock<Rows>) -> RwLockWriteGuard<'_, Rows> {
    // Whoever panics while writing ends the process, or was merging, which changes all at once.
    rows.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

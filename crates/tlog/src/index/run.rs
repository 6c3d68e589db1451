//! One sorted file of the index: the rows of a stretch of the log, written once.
//!
//! Rows are 40 bytes: a hash and, big-endian, an index. Hashes spread evenly, so that a row is found
//! by guessing where it should be; whoever chooses keys cannot choose their hashes, and where many
//! rows share one key, halving takes over.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crypto::merkle::NodeHash;

use crate::storage::StorageError;
use crate::storage::files::{io_error, remove_file, sync_directory, write_new};

/// A key's hash, then an index.
pub(crate) type Row = [u8; ROW_SIZE];

const ROW_SIZE: usize = 40;

/// First bytes of a run; the number is the version of its form.
const HEAD: &[u8; 24] = b"countersign index run 1\n";

/// Head, first and last index, number of rows, last identity, and the SHA-256 of all these.
const HEADER_SIZE: usize = HEAD.len() + 3 * 8 + 32 + 32;

/// Rows read at once when one is looked for: about what a page of memory holds.
const WINDOW: u64 = 102;

/// Rows read at once when all are wanted: 160 kB.
const STRETCH: u64 = 4096;

/// The rows of the entries `first..end`.
#[derive(Debug)]
pub(crate) struct Run {
    file: File,
    path: PathBuf,
    pub(crate) first: u64,
    pub(crate) end: u64,
    /// Identity of the last entry, to tell whose history this is.
    pub(crate) last: NodeHash,
    count: u64,
}

impl Run {
    /// Writes a run of sorted rows, durably.
    pub(crate) fn write(
        directory: &Path,
        (first, end): (u64, u64),
        last: NodeHash,
        rows: impl Iterator<Item = Result<Row, StorageError>>,
    ) -> Result<Self, StorageError> {
        let path = directory.join(format!("{first}-{end}"));
        let temporary = directory.join(format!("{first}-{end}.new"));
        // What an attempt before this left behind.
        remove_file(&temporary)?;
        let file = write_new(&temporary, &[0; HEADER_SIZE])?;
        let mut writer = BufWriter::with_capacity(1 << 20, file);
        let mut count = 0;
        for row in rows {
            writer.write_all(&row?).map_err(io_error(&temporary))?;
            count += 1;
        }
        let file = writer.into_inner().map_err(|error| io_error(&temporary)(error.into_error()))?;
        file.write_all_at(&header(first, end, count, &last), 0).map_err(io_error(&temporary))?;
        file.sync_all().map_err(io_error(&temporary))?;
        fs::rename(&temporary, &path).map_err(io_error(&path))?;
        sync_directory(directory)?;
        Ok(Self { file, path, first, end, last, count })
    }

    /// Opens a run; `None` if the file is not a whole one.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, StorageError> {
        let file = File::open(path).map_err(io_error(path))?;
        let size = file.metadata().map_err(io_error(path))?.len();
        let mut bytes = [0; HEADER_SIZE];
        if size < HEADER_SIZE as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut bytes, 0).map_err(io_error(path))?;
        let Some((first, end, count, last)) = parse_header(&bytes) else { return Ok(None) };
        let is_named = path.file_name().is_some_and(|name| *name == *format!("{first}-{end}"));
        let rows = count.checked_mul(ROW_SIZE as u64);
        let wanted = rows.and_then(|rows| rows.checked_add(HEADER_SIZE as u64));
        let is_whole = is_named && first < end && wanted == Some(size);
        Ok(is_whole.then(|| Self { file, path: path.to_owned(), first, end, last, count }))
    }

    /// Deletes the file. Who still reads the run can go on.
    pub(crate) fn remove(&self) -> Result<(), StorageError> {
        remove_file(&self.path)
    }

    /// The first row with that key, if there is one.
    pub(crate) fn first_of(&self, key: &[u8; 32]) -> Result<Option<Row>, StorageError> {
        let at = self.lower_bound(&row(key, 0))?;
        if at == self.count {
            return Ok(None);
        }
        let found = self.rows(at, 1)?[0];
        Ok(found.starts_with(key).then_some(found))
    }

    /// The last rows with that key, at most `count_max`, the last first.
    pub(crate) fn last_of(
        &self,
        key: &[u8; 32],
        count_max: usize,
    ) -> Result<Vec<Row>, StorageError> {
        let begin = self.lower_bound(&row(key, 0))?;
        // No index is the largest number: a log has at most that many entries.
        let end = self.lower_bound(&row(key, u64::MAX))?;
        let begin = begin.max(end.saturating_sub(count_max as u64));
        let mut rows = Vec::new();
        for at in (begin..end).step_by(STRETCH as usize) {
            rows.extend(self.rows(at, STRETCH.min(end - at))?);
        }
        rows.reverse();
        Ok(rows)
    }

    /// The place of the first row that is not before `wanted`.
    fn lower_bound(&self, wanted: &Row) -> Result<u64, StorageError> {
        // All rows before `low` are smaller, none from `high` on is; and their keys, about.
        let (mut low, mut high) = (0, self.count);
        let (mut low_key, mut high_key) = (0, u64::MAX);
        for attempt in 0.. {
            if high - low <= WINDOW {
                break;
            }
            let guess = if attempt % 2 == 0 {
                interpolate(prefix(wanted), (low, low_key), (high, high_key))
            } else {
                low + (high - low) / 2
            };
            let begin = guess.saturating_sub(WINDOW / 2).clamp(low, high - WINDOW);
            let rows = self.rows(begin, WINDOW)?;
            match rows.partition_point(|row| row < wanted) as u64 {
                0 => (high, high_key) = (begin, prefix(&rows[0])),
                WINDOW => {
                    (low, low_key) = (begin + WINDOW, prefix(&rows[WINDOW as usize - 1]));
                }
                within => return Ok(begin + within),
            }
        }
        let rows = self.rows(low, high - low)?;
        Ok(low + rows.partition_point(|row| row < wanted) as u64)
    }

    fn rows(&self, at: u64, count: u64) -> Result<Vec<Row>, StorageError> {
        let mut bytes = vec![0; count as usize * ROW_SIZE];
        let offset = HEADER_SIZE as u64 + at * ROW_SIZE as u64;
        self.file.read_exact_at(&mut bytes, offset).map_err(io_error(&self.path))?;
        Ok(bytes.as_chunks::<ROW_SIZE>().0.to_vec())
    }
}

/// Makes one run of several that follow each other; `None` if it was told to stop.
pub(crate) fn merge(
    directory: &Path,
    runs: &[Arc<Run>],
    is_stopping: &AtomicBool,
) -> Result<Option<Run>, StorageError> {
    let (first, last) = runs.first().zip(runs.last()).expect("several runs are merged");
    let mut merging = Merging { sources: vec![], heads: BinaryHeap::new() };
    for run in runs {
        merging.sources.push(Source { run, next: 0, rows: vec![].into_iter() });
        merging.advance(merging.sources.len() - 1)?;
    }
    let rows = std::iter::from_fn(|| {
        if is_stopping.load(Ordering::Relaxed) { Some(Err(stopped())) } else { merging.next() }
    });
    match Run::write(directory, (first.first, last.end), last.last, rows) {
        Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::Interrupted => {
            Ok(None)
        }
        outcome => outcome.map(Some),
    }
}

fn stopped() -> StorageError {
    StorageError::Io { what: "merge".to_owned(), source: io::ErrorKind::Interrupted.into() }
}

struct Merging<'a> {
    sources: Vec<Source<'a>>,
    /// The next row of each source that has one.
    heads: BinaryHeap<Reverse<(Row, usize)>>,
}

struct Source<'a> {
    run: &'a Run,
    next: u64,
    rows: std::vec::IntoIter<Row>,
}

impl Merging<'_> {
    fn advance(&mut self, number: usize) -> Result<(), StorageError> {
        let source = &mut self.sources[number];
        if source.rows.len() == 0 {
            let count = STRETCH.min(source.run.count - source.next);
            source.rows = source.run.rows(source.next, count)?.into_iter();
            source.next += count;
        }
        if let Some(row) = source.rows.next() {
            self.heads.push(Reverse((row, number)));
        }
        Ok(())
    }

    fn next(&mut self) -> Option<Result<Row, StorageError>> {
        let Reverse((row, number)) = self.heads.pop()?;
        Some(self.advance(number).map(|()| row))
    }
}

/// Whether this is the name of a run, or of one that is being written.
pub(crate) fn is_run_name(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let name = name.strip_suffix(".new").unwrap_or(name);
    name.split_once('-').is_some_and(|(first, end)| is_number(first) && is_number(end))
}

pub(crate) fn row(key: &[u8; 32], index: u64) -> Row {
    let mut row = [0; ROW_SIZE];
    row[..32].copy_from_slice(key);
    row[32..].copy_from_slice(&index.to_be_bytes());
    row
}

pub(crate) fn index_of(row: &Row) -> u64 {
    u64::from_be_bytes(*row.last_chunk().expect("a row ends with 8 bytes"))
}

fn prefix(row: &Row) -> u64 {
    u64::from_be_bytes(*row.first_chunk().expect("a row begins with 8 bytes"))
}

/// Where between two rows a key should be, if keys are spread evenly.
fn interpolate(wanted: u64, (low, low_key): (u64, u64), (high, high_key): (u64, u64)) -> u64 {
    let span = u128::from(high_key.saturating_sub(low_key)).max(1);
    let way = u128::from(wanted.saturating_sub(low_key)).min(span);
    // At most `high - low`, so that it fits.
    low + (u128::from(high - low) * way / span) as u64
}

fn header(first: u64, end: u64, count: u64, last: &NodeHash) -> Vec<u8> {
    let mut header = HEAD.to_vec();
    [first, end, count].iter().for_each(|number| header.extend(number.to_be_bytes()));
    header.extend(last);
    header.extend(crypto::sha256(&header));
    header
}

fn parse_header(bytes: &[u8; HEADER_SIZE]) -> Option<(u64, u64, u64, NodeHash)> {
    let rest = bytes.strip_prefix(HEAD)?;
    let (numbers, rest) = rest.split_at_checked(24)?;
    let (last, _) = rest.split_first_chunk::<32>()?;
    let number = |at| u64::from_be_bytes(numbers.as_chunks::<8>().0[at]);
    let (first, end, count) = (number(0), number(1), number(2));
    (header(first, end, count, last) == bytes).then_some((first, end, count, *last))
}

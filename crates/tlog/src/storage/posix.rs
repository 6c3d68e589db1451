//! Both promises on a file system: a directory of objects, and a lock file of its own.
//!
//! Durable means: the file is synced before it gets its name, the directory after. An `fsync` that
//! fails is reported and never tried again, because the kernel may have dropped the data already.
//! Nothing here survives a disk that lies about its cache.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::files::{
    hold, io_error, read_bounded, remove_file, remove_files, remove_tree, sync_directory, write_new,
};
use super::{Discard, Lock, Object, Objects, StorageError};

/// Directories remembered as durable; more are synced again.
const DURABLE_DIRECTORIES_MAX: usize = 4096;

/// Threads that sync the files of one batch. The kernel answers those that wait together with one
/// commit of its journal, so that a batch costs a few of them, however many its files.
const SYNC_THREADS: usize = 8;

/// Longest lock file, in bytes: a signed checkpoint takes a few hundred for each log.
const LOCK_FILE_SIZE_MAX: usize = 1024 * 1024;

/// First line of a lock file; the number is the version of its form.
const LOCK_FILE_HEAD: &str = "countersign lock 1";

/// Objects as files in one directory, which one process at a time may hold.
#[derive(Debug)]
pub struct PosixObjects {
    root: PathBuf,
    temporary: PathBuf,
    next_temporary: AtomicU64,
    /// Directories whose own entries, up to the root, were synced by *this* process.
    durable: Mutex<HashSet<PathBuf>>,
    /// Held for as long as this lives.
    _guard: File,
}

impl PosixObjects {
    /// Opens a directory, made if it is not there.
    ///
    /// # Errors
    /// When another process has it open, or it cannot be made or read.
    pub fn open(root: &Path) -> Result<Self, StorageError> {
        fs::create_dir_all(root).map_err(io_error(root))?;
        let guard = hold(&root.join(".held"))?;
        let temporary = root.join("tmp");
        // What a killed process left half-written has no name yet, and no use.
        remove_tree(&temporary)?;
        fs::create_dir(&temporary).map_err(io_error(&temporary))?;
        sync_directory(root)?;
        if let Some(parent) = root.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_directory(parent)?;
        }
        Ok(Self {
            root: root.to_owned(),
            temporary,
            next_temporary: AtomicU64::new(0),
            durable: Mutex::new(HashSet::from([root.to_owned()])),
            _guard: guard,
        })
    }

    fn path(&self, object: Object) -> PathBuf {
        self.root.join(object.to_string())
    }

    /// Writes a file that has no lasting name yet. It is not synced.
    fn write_temporary(&self, bytes: &[u8]) -> Result<(PathBuf, File), StorageError> {
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        let path = self.temporary.join(number.to_string());
        let file = write_new(&path, bytes)?;
        Ok((path, file))
    }

    /// All are synced before the first gets its name, and each directory once after the last.
    fn put_each(&self, objects: &[(Object, &[u8])]) -> Result<(), StorageError> {
        let mut directories = BTreeSet::new();
        for (object, _) in objects {
            let path = self.path(*object);
            let directory = path.parent().expect("objects are below the root");
            self.ensure_directory(directory)?;
            directories.insert(directory.to_owned());
        }
        let temporaries = objects
            .iter()
            .map(|(_, bytes)| self.write_temporary(bytes))
            .collect::<Result<Vec<_>, _>>()?;
        side_by_side(&temporaries, |(path, file)| file.sync_all().map_err(io_error(path)))?;
        for ((object, bytes), (temporary, _)) in objects.iter().zip(&temporaries) {
            self.link(temporary, *object, bytes)?;
        }
        let directories: Vec<_> = directories.into_iter().collect();
        side_by_side(&directories, |directory| sync_directory(directory))
    }

    /// Gives a synced file its name, unless the name is taken. The directory is not synced yet.
    fn link(&self, temporary: &Path, object: Object, bytes: &[u8]) -> Result<(), StorageError> {
        let path = self.path(object);
        match fs::hard_link(temporary, &path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let mut file = File::open(&path).map_err(io_error(&path))?;
                if read_bounded(&mut file, &path, bytes.len())? != bytes {
                    return Err(StorageError::Conflict { object });
                }
                // Who wrote it may have died before it was durable.
                file.sync_all().map_err(io_error(&path))?;
            }
            Err(source) => return Err(io_error(&path)(source)),
        }
        fs::remove_file(temporary).map_err(io_error(temporary))
    }

    /// Makes a directory below the root, and its entry in each directory above, durable.
    fn ensure_directory(&self, directory: &Path) -> Result<(), StorageError> {
        if self.durable().contains(directory) {
            return Ok(());
        }
        let parent = directory.parent().expect("the root is durable, so this is below it");
        self.ensure_directory(parent)?;
        match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(io_error(directory)(error));
            }
            _ => {}
        }
        // Even if it was there: who made it may have died before this.
        sync_directory(parent)?;
        let mut durable = self.durable();
        if durable.len() >= DURABLE_DIRECTORIES_MAX {
            durable.retain(|kept| *kept == self.root);
        }
        durable.insert(directory.to_owned());
        Ok(())
    }

    fn durable(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        // Whoever panicked left a set in order: it is changed by single calls only.
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Objects for PosixObjects {
    fn put(&self, object: Object, bytes: &[u8]) -> Result<(), StorageError> {
        self.put_each(&[(object, bytes)])
    }

    fn put_all(&self, objects: &[(Object, Vec<u8>)]) -> Result<(), StorageError> {
        let objects: Vec<_> =
            objects.iter().map(|(object, bytes)| (*object, bytes.as_slice())).collect();
        self.put_each(&objects)
    }

    fn publish(&self, note: &[u8]) -> Result<(), StorageError> {
        let path = self.path(Object::Checkpoint);
        let (temporary, file) = self.write_temporary(note)?;
        file.sync_all().map_err(io_error(&temporary))?;
        fs::rename(&temporary, &path).map_err(io_error(&path))?;
        sync_directory(&self.root)
    }

    fn get(&self, object: Object, size_max: usize) -> Result<Option<Vec<u8>>, StorageError> {
        let path = self.path(object);
        match File::open(&path) {
            Ok(mut file) => read_bounded(&mut file, &path, size_max).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(io_error(&path)(source)),
        }
    }

    fn discard(&self, discard: Discard) -> Result<(), StorageError> {
        match discard {
            // The directory stays: it is durable, and the next batch needs it.
            Discard::Staged => remove_files(&self.root.join("staged")),
            Discard::Partials(tile) => {
                let directory = self.root.join(format!("{}.p", tile.place()));
                // First forgotten, then removed: else a writer could believe it still there.
                self.durable().remove(&directory);
                remove_tree(&directory)
            }
        }
    }
}

/// A file that holds the committed checkpoint of each log of an instance, one slot a log.
///
/// Keep it off the volume that holds the objects, or at least out of their backups: an old copy
/// of the objects is then met by a newer lock, and refused. If *both* are rolled back the fork can
/// only be seen from outside, by a witness or a monitor.
#[derive(Debug)]
pub struct LockFile {
    path: PathBuf,
    /// Serialises this process's slots; other processes are kept out by the guard.
    writing: Mutex<()>,
    _guard: File,
}

impl LockFile {
    /// Opens a lock file. It is made with the first swap; its directory is made now.
    ///
    /// # Errors
    /// When another process has it open, or its directory cannot be made.
    pub fn open(path: &Path) -> Result<Arc<Self>, StorageError> {
        let directory = directory_of(path);
        fs::create_dir_all(directory).map_err(io_error(directory))?;
        let guard = hold(&Self::guard_of(path))?;
        Ok(Arc::new(Self { path: path.to_owned(), writing: Mutex::new(()), _guard: guard }))
    }

    /// The file beside a lock file that keeps other processes out. What it holds is not read here.
    #[must_use]
    pub fn guard_of(path: &Path) -> PathBuf {
        let mut guard = path.as_os_str().to_owned();
        guard.push(".held");
        PathBuf::from(guard)
    }

    /// The slot of one log. Names are the instance's own: lower-case letters, digits, `-`.
    ///
    /// # Panics
    /// If the name is of another form: it comes from the program, never from outside.
    #[must_use]
    pub fn slot(self: &Arc<Self>, name: &'static str) -> LockSlot {
        let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        assert!(!name.is_empty() && name.bytes().all(fits), "a slot's name is lower-case letters");
        LockSlot { file: Arc::clone(self), name }
    }

    fn read(&self) -> Result<BTreeMap<String, Vec<u8>>, StorageError> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(source) => return Err(io_error(&self.path)(source)),
        };
        let bytes = read_bounded(&mut file, &self.path, LOCK_FILE_SIZE_MAX)?;
        parse_slots(&bytes)
            .ok_or_else(|| StorageError::DamagedLock { what: self.path.display().to_string() })
    }

    fn write(&self, slots: &BTreeMap<String, Vec<u8>>) -> Result<(), StorageError> {
        let mut temporary = self.path.as_os_str().to_owned();
        temporary.push(".new");
        let temporary = Path::new(&temporary);
        remove_file(temporary)?;
        let file = write_new(temporary, &format_slots(slots))?;
        file.sync_all().map_err(io_error(temporary))?;
        fs::rename(temporary, &self.path).map_err(io_error(&self.path))?;
        sync_directory(directory_of(&self.path))
    }
}

/// One log's place in a [`LockFile`].
#[derive(Clone, Debug)]
pub struct LockSlot {
    file: Arc<LockFile>,
    name: &'static str,
}

impl Lock for LockSlot {
    fn read(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.file.read()?.remove(self.name))
    }

    fn swap(&self, expected: Option<&[u8]>, new: &[u8]) -> Result<(), StorageError> {
        let _writing = self.file.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Read again: someone may have put another file in its place under the running log.
        let mut slots = self.file.read()?;
        if slots.get(self.name).map(Vec::as_slice) != expected {
            return Err(StorageError::Swapped { what: self.file.path.display().to_string() });
        }
        slots.insert(self.name.to_owned(), new.to_vec());
        self.file.write(&slots)
    }
}

/// `slot NAME SIZE`, the bytes, a line feed, for each slot; the SHA-256 of it all at the end.
fn format_slots(slots: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut bytes = format!("{LOCK_FILE_HEAD}\n").into_bytes();
    for (name, value) in slots {
        bytes.extend(format!("slot {name} {}\n", value.len()).into_bytes());
        bytes.extend(value);
        bytes.push(b'\n');
    }
    let checksum = hex::encode(crypto::sha256(&bytes));
    bytes.extend(format!("sha256 {checksum}\n").into_bytes());
    bytes
}

fn parse_slots(bytes: &[u8]) -> Option<BTreeMap<String, Vec<u8>>> {
    // `sha256 `, 64 digits and a line feed.
    let (body, tail) = bytes.split_at_checked(bytes.len().checked_sub(72)?)?;
    if tail != format!("sha256 {}\n", hex::encode(crypto::sha256(body))).as_bytes() {
        return None;
    }
    let mut rest = body.strip_prefix(LOCK_FILE_HEAD.as_bytes())?.strip_prefix(b"\n")?;
    let mut slots = BTreeMap::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = std::str::from_utf8(&rest[..end]).ok()?;
        let (name, size) = line.strip_prefix("slot ")?.split_once(' ')?;
        let (value, after) = rest[end + 1..].split_at_checked(size.parse().ok()?)?;
        slots.insert(name.to_owned(), value.to_vec());
        rest = after.strip_prefix(b"\n")?;
    }
    Some(slots)
}

/// Does something for each item, on several threads where there are several items, and returns
/// the first failure once all have ended.
fn side_by_side<T: Sync>(
    items: &[T],
    work: impl Fn(&T) -> Result<(), StorageError> + Sync,
) -> Result<(), StorageError> {
    let (work, each) = (&work, items.len().div_ceil(SYNC_THREADS).max(1));
    let mut shares = items.chunks(each);
    let first = shares.next().unwrap_or_default();
    thread::scope(|scope| {
        let others: Vec<_> = shares
            .map(|share| {
                let started = thread::Builder::new()
                    .spawn_scoped(scope, move || share.iter().try_for_each(work));
                (share, started)
            })
            .collect();
        let first = first.iter().try_for_each(work);
        others.into_iter().fold(first, |outcome, (share, started)| {
            outcome.and(match started {
                Ok(thread) => thread.join().expect("to sync a file does not panic"),
                // Where no thread can be had it is done here, and takes longer.
                Err(_) => share.iter().try_for_each(work),
            })
        })
    })
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

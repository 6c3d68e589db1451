//! The last-good copy: everything of one successful refresh in one file, replaced whole.
//!
//! One file, so that no crash and no second process can leave a mixture. It is read back as
//! untrusted as it came: signatures, versions and hashes are verified each time. Where it is absent,
//! what Cosign left in its own layout is read. Names in it are keys, never paths.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evidence::UnixTime;
use serde::{Deserialize, Serialize};

use super::metadata::{Expiry, Files, later};
use super::{TARGETS, TARGETS_SIZE_MAX};
use crate::address::ServiceUrl;
use crate::json;

/// Longest copy read, in bytes: some dozens of roots of 6 kB and three targets of as much.
const SIZE_MAX: u64 = 16 * 1024 * 1024;

/// Most files in a copy: as many roots as are taken at once, and the rest.
const FILES_MAX: usize = 1024;

const FORMAT: u32 = 1;

/// Where copies of one mirror are.
#[derive(Clone, Debug)]
pub(super) struct Shelf(PathBuf);

/// A copy.
#[derive(Clone, Debug)]
pub(super) struct LastGood {
    files: BTreeMap<String, Vec<u8>>,
    fetched: Option<UnixTime>,
    timestamp_version: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LastGoodJson {
    format: u32,
    mirror: String,
    fetched_ms: i64,
    timestamp_version: u64,
    files: BTreeMap<String, String>,
}

/// Why a copy is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("more than {SIZE_MAX} bytes")]
    TooLong,
    #[error("not what this program writes: {0}")]
    Malformed(String),
    #[error("it is of the mirror {0}")]
    OtherMirror(String),
}

impl Shelf {
    /// The shelf of that mirror in a folder: a folder of its own there, named as Cosign does.
    pub(super) fn new(folder: PathBuf, mirror: &ServiceUrl) -> Self {
        Self(folder.join(folder_name(mirror)))
    }

    /// The file with the copy.
    pub(super) fn path(&self) -> PathBuf {
        self.0.join("last-good.json")
    }

    /// The root that the user chose for this mirror, where Cosign puts it too.
    pub(super) fn anchor_path(&self) -> PathBuf {
        self.0.join("root.json")
    }

    /// Reads the copy, if there is one.
    pub(super) fn read(&self, mirror: &ServiceUrl) -> Result<Option<LastGood>, ReadError> {
        match read_file(&self.path(), SIZE_MAX)? {
            Some(bytes) => LastGood::parse(&bytes, mirror).map(Some),
            None => self.read_of_cosign(),
        }
    }

    /// What another client left: the newest metadata in files of their own, no older roots.
    fn read_of_cosign(&self) -> Result<Option<LastGood>, ReadError> {
        let mut files = BTreeMap::new();
        for name in ["timestamp.json", "snapshot.json", "targets.json"] {
            let Some(bytes) = read_file(&self.0.join(name), TARGETS_SIZE_MAX)? else {
                return Ok(None);
            };
            files.insert(name.to_owned(), bytes);
        }
        for name in TARGETS {
            if let Some(bytes) = read_file(&self.0.join("targets").join(name), TARGETS_SIZE_MAX)? {
                files.insert(format!("targets/{name}"), bytes);
            }
        }
        Ok(Some(LastGood { files, fetched: None, timestamp_version: 0 }))
    }

    /// Replaces the copy, unless the one that is there is newer or somebody else is about to.
    pub(super) fn write(&self, copy: &LastGood, mirror: &ServiceUrl) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.0.join("last-good.lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            // Theirs is as good as ours.
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if let Ok(Some(there)) = self.read(mirror)
            && there.timestamp_version > copy.timestamp_version
        {
            return Ok(());
        }
        write_whole(&self.path(), &copy.to_json(mirror))
    }
}

impl LastGood {
    pub(super) fn new(
        files: BTreeMap<String, Vec<u8>>,
        expiry: &Expiry,
        fetched: UnixTime,
    ) -> Self {
        // The library keeps each under a name with its version too, for which we have no use.
        let numbered = |name: &str| name.starts_with(|first: char| first.is_ascii_digit());
        let files = files.into_iter().filter(|(name, _)| !numbered(name)).collect();
        Self { files, fetched: Some(fetched), timestamp_version: expiry.timestamp_version }
    }

    /// A copy to verify and to update; the original stays as it is.
    pub(super) fn files(&self) -> Files {
        Files::new(self.files.clone())
    }

    pub(super) fn fetched(&self) -> Option<UnixTime> {
        self.fetched
    }

    /// Whether it is no older than that. One from the future is not: some clock was wrong.
    pub(super) fn is_fresh(&self, max_age: Duration, now: UnixTime) -> bool {
        self.fetched.is_some_and(|fetched| fetched <= now && now < later(fetched, max_age))
    }

    fn parse(bytes: &[u8], mirror: &ServiceUrl) -> Result<Self, ReadError> {
        let malformed = |what: &str| ReadError::Malformed(what.to_owned());
        let copy: LastGoodJson =
            json::parse(bytes).map_err(|error| ReadError::Malformed(error.to_string()))?;
        if copy.format != FORMAT {
            return Err(malformed("another format"));
        }
        // Two mirrors can have names that make one folder.
        if copy.mirror != mirror.to_string() {
            return Err(ReadError::OtherMirror(crate::error::printable(&copy.mirror, 160)));
        }
        if copy.files.len() > FILES_MAX {
            return Err(malformed("too many files"));
        }
        let decode = |(name, text): (String, String)| {
            Ok((name, STANDARD.decode(text).map_err(|_| malformed("a file not in base64"))?))
        };
        Ok(Self {
            files: copy.files.into_iter().map(decode).collect::<Result<_, ReadError>>()?,
            fetched: Some(UnixTime::from_milliseconds(copy.fetched_ms)),
            timestamp_version: copy.timestamp_version,
        })
    }

    fn to_json(&self, mirror: &ServiceUrl) -> Vec<u8> {
        let encode = |(name, bytes): (&String, &Vec<u8>)| (name.clone(), STANDARD.encode(bytes));
        let json = LastGoodJson {
            format: FORMAT,
            mirror: mirror.to_string(),
            fetched_ms: self.fetched.map_or(0, UnixTime::milliseconds),
            timestamp_version: self.timestamp_version,
            files: self.files.iter().map(encode).collect(),
        };
        serde_json::to_vec(&json).expect("a copy has only text and numbers")
    }
}

/// A folder's name for a mirror, as sigstore-go makes it: without the scheme, in lower case, with
/// `-` for `/` and `:`. What else could mean something to a file system becomes `_`.
fn folder_name(mirror: &ServiceUrl) -> String {
    let url = mirror.to_string();
    let name = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let plain = |c: char| match c {
        '/' | ':' => '-',
        'a'..='z' | '0'..='9' | '-' | '.' => c,
        _ => '_',
    };
    // A host begins with a letter or digit, or with the bracket of an address.
    name.unwrap_or(&url).to_ascii_lowercase().chars().map(plain).collect()
}

/// A file's bytes; `None` if there is none.
pub(super) fn read_file(path: &Path, size_max: u64) -> Result<Option<Vec<u8>>, ReadError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    file.take(size_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > size_max { Err(ReadError::TooLong) } else { Ok(Some(bytes)) }
}

/// Puts a file there whole or not at all, whatever was there; a symbolic link is replaced, not
/// followed.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = hex::encode(crypto::random::bytes::<8>());
    let temporary = path.with_file_name(format!(".{name}.tmp"));
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().inspect_err(|_| {
        // It may not even be there.
        let _ = fs::remove_file(&temporary);
    })
}

//! Leaves: what is asked to be logged, how it is written in its bundle and hashed into the tree.
//!
//! Two forms: C2SP tlog-tiles entry bundles, and C2SP static-ct-api data tiles, whose entries carry
//! the moment and index that the log gives them. What an entry *means* is not known here.

use std::ops::Range;

use crypto::merkle::{NodeHash, leaf_hash};
use evidence::{LeafIndex, UnixTime};

use crate::tile::TileKind;

/// Longest entry, in bytes: bundles write lengths in 16 bits (C2SP tlog-tiles, "Log entries").
pub const ENTRY_SIZE_MAX: usize = u16::MAX as usize;

/// Most search keys of one entry: an in-toto statement of 1,024 subjects needs as many.
pub const SEARCH_KEYS_MAX: usize = 1024;

/// Bytes in a bundle of 256 of the longest entries.
pub(crate) const BUNDLE_SIZE_MAX: usize = 256 * (2 + ENTRY_SIZE_MAX);

/// Bytes in a side tile of 256 entries with the most search keys, and its checksum.
pub(crate) const SIDE_TILE_SIZE_MAX: usize = 256 * (2 + 8 + 32 * SEARCH_KEYS_MAX) + 32;

/// Largest index that fits the 40 bits of a `leaf_index` extension (C2SP static-ct-api).
const CERTIFICATE_INDEX_MAX: u64 = (1 << 40) - 1;

/// How a log writes its entries. Fixed for the life of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Entry bundles under `tile/entries` (C2SP tlog-tiles).
    Entries,
    /// Data tiles under `tile/data` (C2SP static-ct-api): RFC 6962 `MerkleTreeLeaf`s.
    Certificates,
}

impl Form {
    /// The kind of tile that holds entries of this form.
    #[must_use]
    pub fn tile_kind(self) -> TileKind {
        match self {
            Self::Entries => TileKind::Entries,
            Self::Certificates => TileKind::Certificates,
        }
    }
}

/// Hash under which an entry can be searched: SHA-256 of 0x02 and the key's text. Leaves are hashed
/// after 0x00 and nodes after 0x01 (RFC 6962 §2.1), so that no key spells the identity of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SearchKey(pub(crate) [u8; 32]);

impl SearchKey {
    /// The key of that text, e.g. `sha256:…` or an e-mail address. No spelling is changed: whoever
    /// stores and whoever asks must agree on it.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(crypto::sha256(&[b"\x02", text.as_bytes()].concat()))
    }
}

/// Something to be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    pub(crate) form: Form,
    /// What the leaf hash covers, less what the log adds to a certificate.
    pub(crate) hashed: Vec<u8>,
    /// What stands in the bundle after that, and is not in the tree. Only certificates have it.
    pub(crate) unhashed: Vec<u8>,
    pub(crate) keys: Vec<SearchKey>,
}

/// Why something cannot be a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Longer than a bundle can hold.
    #[error("an entry of {found} bytes is longer than the {ENTRY_SIZE_MAX} a log can hold")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// More search keys than are kept for one entry.
    #[error("{found} search keys on one entry, more than the {SEARCH_KEYS_MAX} kept")]
    TooManyKeys {
        /// Their number.
        found: usize,
    },
}

impl Leaf {
    /// An entry for a log of [`Form::Entries`].
    ///
    /// # Errors
    /// When it is longer than [`ENTRY_SIZE_MAX`].
    pub fn entry(bytes: Vec<u8>) -> Result<Self, LeafError> {
        let leaf = Self { form: Form::Entries, hashed: bytes, unhashed: vec![], keys: vec![] };
        leaf.check_size()
    }

    /// A precertificate for a log of [`Form::Certificates`]: RFC 6962 §3.2 `PreCert`, the
    /// precertificate as submitted, and the SHA-256 of each issuer in its chain.
    ///
    /// # Errors
    /// When it is longer than [`ENTRY_SIZE_MAX`].
    pub fn precertificate(
        issuer_key_hash: [u8; 32],
        tbs_certificate: &[u8],
        precertificate: &[u8],
        chain: &[[u8; 32]],
    ) -> Result<Self, LeafError> {
        // RFC 6962 §3.1: precert_entry(1); static-ct-api `TileLeaf`.
        let mut hashed = vec![0, 1];
        hashed.extend(issuer_key_hash);
        push_u24_prefixed(&mut hashed, tbs_certificate)?;
        let mut unhashed = vec![];
        push_u24_prefixed(&mut unhashed, precertificate)?;
        Self::certificate_of(hashed, unhashed, chain)
    }

    /// A final certificate for a log of [`Form::Certificates`].
    ///
    /// # Errors
    /// When it is longer than [`ENTRY_SIZE_MAX`].
    pub fn certificate(certificate: &[u8], chain: &[[u8; 32]]) -> Result<Self, LeafError> {
        // RFC 6962 §3.1: x509_entry(0).
        let mut hashed = vec![0, 0];
        push_u24_prefixed(&mut hashed, certificate)?;
        Self::certificate_of(hashed, vec![], chain)
    }

    fn certificate_of(
        hashed: Vec<u8>,
        mut unhashed: Vec<u8>,
        chain: &[[u8; 32]],
    ) -> Result<Self, LeafError> {
        let chain = chain.concat();
        let size = u16::try_from(chain.len())
            .map_err(|_| LeafError::TooLong { found: hashed.len() + chain.len() })?;
        unhashed.extend(size.to_be_bytes());
        unhashed.extend(chain);
        Self { form: Form::Certificates, hashed, unhashed, keys: vec![] }.check_size()
    }

    fn check_size(self) -> Result<Self, LeafError> {
        // Timestamp and extensions take 20 bytes more in the bundle.
        let added = if self.form == Form::Certificates { 20 } else { 0 };
        let found = self.hashed.len() + self.unhashed.len() + added;
        if found > ENTRY_SIZE_MAX { Err(LeafError::TooLong { found }) } else { Ok(self) }
    }

    /// Adds keys by which the entry is found in the search index.
    ///
    /// # Errors
    /// When it would have more than [`SEARCH_KEYS_MAX`].
    pub fn with_keys(
        mut self,
        keys: impl IntoIterator<Item = SearchKey>,
    ) -> Result<Self, LeafError> {
        self.keys.extend(keys);
        self.keys.sort_unstable();
        self.keys.dedup();
        let found = self.keys.len();
        if found > SEARCH_KEYS_MAX { Err(LeafError::TooManyKeys { found }) } else { Ok(self) }
    }

    /// What makes two leaves the same: the hash of all that the submitter gave to be hashed. For
    /// [`Form::Entries`] it is the leaf hash. All 256 bits are compared, always: fewer would let
    /// a collision earn a promise for something never logged.
    #[must_use]
    pub fn identity(&self) -> NodeHash {
        leaf_hash(&self.hashed)
    }

    /// Memory it takes while it waits, in bytes, about.
    pub(crate) fn weight(&self) -> usize {
        self.hashed.len() + self.unhashed.len() + 32 * self.keys.len() + 256
    }

    /// Writes the leaf as its bundle has it, and its leaf hash; `None` if the index does not fit.
    pub(crate) fn seal(
        &self,
        index: LeafIndex,
        time: UnixTime,
        bundle: &mut Vec<u8>,
    ) -> Option<NodeHash> {
        match self.form {
            Form::Entries => {
                let size = u16::try_from(self.hashed.len()).ok()?;
                bundle.extend(size.to_be_bytes());
                bundle.extend(&self.hashed);
                Some(leaf_hash(&self.hashed))
            }
            Form::Certificates => {
                if index.0 > CERTIFICATE_INDEX_MAX {
                    return None;
                }
                let start = bundle.len();
                bundle.extend(u64::try_from(time.milliseconds()).ok()?.to_be_bytes());
                bundle.extend(&self.hashed);
                bundle.extend(certificate_extensions(index));
                let hash = certificate_leaf_hash(&bundle[start..]);
                bundle.extend(&self.unhashed);
                Some(hash)
            }
        }
    }
}

/// The `CtExtensions` of the entry at that index, with their length: the log puts them into its
/// leaf, and an SCT must carry them (C2SP static-ct-api, "SCT Extension").
#[must_use]
pub fn certificate_extensions(index: LeafIndex) -> [u8; 10] {
    let index = index.0.to_be_bytes();
    // Length of the list, leaf_index(0), length of its data, and a 40-bit index.
    [0, 8, 0, 0, 5, index[3], index[4], index[5], index[6], index[7]]
}

/// RFC 6962 §3.4: `MerkleTreeLeaf` is version v1(0), leaf type timestamped_entry(0), and the entry.
fn certificate_leaf_hash(timestamped_entry: &[u8]) -> NodeHash {
    leaf_hash(&[&[0, 0], timestamped_entry].concat())
}

fn push_u24_prefixed(to: &mut Vec<u8>, bytes: &[u8]) -> Result<(), LeafError> {
    if bytes.len() > ENTRY_SIZE_MAX {
        return Err(LeafError::TooLong { found: bytes.len() });
    }
    to.extend(&(bytes.len() as u32).to_be_bytes()[1..]);
    to.extend(bytes);
    Ok(())
}

/// One entry inside the bytes of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The entry as it was submitted, or as static-ct-api has it.
    pub(crate) entry: Range<usize>,
    /// The leading part of the entry that its leaf hash covers.
    hashed_size: usize,
}

impl Slot {
    pub(crate) fn leaf_hash(&self, form: Form, bundle: &[u8]) -> NodeHash {
        let hashed = &bundle[self.entry.start..self.entry.start + self.hashed_size];
        match form {
            Form::Entries => leaf_hash(hashed),
            Form::Certificates => certificate_leaf_hash(hashed),
        }
    }

    /// [`Leaf::identity`] of the leaf that was sealed into this.
    pub(crate) fn identity(&self, form: Form, bundle: &[u8]) -> NodeHash {
        let hashed = &bundle[self.entry.start..self.entry.start + self.hashed_size];
        match form {
            Form::Entries => leaf_hash(hashed),
            // Less the timestamp before and the extensions after it.
            Form::Certificates => leaf_hash(&hashed[8..hashed.len() - 10]),
        }
    }
}

/// Cuts a bundle into its entries; `None` if it is malformed or does not hold exactly `count`.
pub(crate) fn split_bundle(form: Form, bundle: &[u8], count: u64) -> Option<Vec<Slot>> {
    let mut slots = Vec::new();
    let mut cursor = Cursor { bytes: bundle, at: 0 };
    while cursor.at < bundle.len() {
        if slots.len() as u64 == count {
            return None;
        }
        let slot = match form {
            Form::Entries => {
                let size = cursor.number(2)?;
                let start = cursor.at;
                cursor.skip(size)?;
                Slot { entry: start..cursor.at, hashed_size: size }
            }
            Form::Certificates => certificate_slot(&mut cursor)?,
        };
        slots.push(slot);
    }
    (slots.len() as u64 == count).then_some(slots)
}

/// C2SP static-ct-api `TileLeaf`.
fn certificate_slot(cursor: &mut Cursor<'_>) -> Option<Slot> {
    let start = cursor.at;
    cursor.skip(8)?;
    let is_precertificate = match cursor.number(2)? {
        0 => false,
        1 => true,
        _ => return None,
    };
    if is_precertificate {
        cursor.skip(32)?;
    }
    let size = cursor.number(3)?;
    cursor.skip(size)?;
    if cursor.number(2)? != 8 {
        return None;
    }
    cursor.skip(8)?;
    let hashed_size = cursor.at - start;
    if is_precertificate {
        let size = cursor.number(3)?;
        cursor.skip(size)?;
    }
    let size = cursor.number(2)?;
    cursor.skip(size)?;
    Some(Slot { entry: start..cursor.at, hashed_size })
}

/// What is kept beside an entry: the moment the log took it in, and its search keys. It is *not*
/// covered by the tree: who can write the storage can change it, and a checksum only finds rot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SideRecord {
    pub(crate) time: UnixTime,
    pub(crate) keys: Vec<SearchKey>,
}

impl SideRecord {
    pub(crate) fn write(time: UnixTime, keys: &[SearchKey], side: &mut Vec<u8>) {
        let size = u16::try_from(8 + 32 * keys.len()).expect("`SEARCH_KEYS_MAX` keys fit 16 bits");
        side.extend(size.to_be_bytes());
        side.extend(time.milliseconds().to_be_bytes());
        keys.iter().for_each(|key| side.extend(key.0));
    }
}

/// A side tile as stored: the records, then their SHA-256.
pub(crate) fn seal_side(records: &[u8]) -> Vec<u8> {
    [records, &crypto::sha256(records)].concat()
}

/// The records of a stored side tile, still written one after the other; `None` if it is rotten.
pub(crate) fn open_side(stored: &[u8]) -> Option<&[u8]> {
    let (records, checksum) = stored.split_last_chunk::<32>()?;
    (crypto::sha256(records) == *checksum).then_some(records)
}

/// Reads the records of a side tile; `None` if malformed or not exactly `count`.
pub(crate) fn split_side(records: &[u8], count: u64) -> Option<Vec<SideRecord>> {
    let mut parsed = Vec::new();
    let mut cursor = Cursor { bytes: records, at: 0 };
    while cursor.at < records.len() {
        let keys_size = cursor.number(2)?.checked_sub(8)?;
        let milliseconds = i64::from_be_bytes(cursor.take(8)?.try_into().ok()?);
        let (keys, rest) = cursor.take(keys_size)?.as_chunks::<32>();
        if !rest.is_empty() || parsed.len() as u64 == count {
            return None;
        }
        let keys = keys.iter().copied().map(SearchKey).collect();
        parsed.push(SideRecord { time: UnixTime::from_milliseconds(milliseconds), keys });
    }
    (parsed.len() as u64 == count).then_some(parsed)
}

/// Reads big-endian numbers and runs of bytes, never beyond the end.
pub(crate) struct Cursor<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn take(&mut self, size: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(size)?)?;
        self.at += size;
        Some(taken)
    }

    fn skip(&mut self, size: usize) -> Option<()> {
        self.take(size).map(|_| ())
    }

    /// A number of at most four bytes.
    pub(crate) fn number(&mut self, size: usize) -> Option<usize> {
        let bytes = self.take(size)?;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }
}

//! The staged form of a batch: what a start needs to finish what a crash interrupted.
//!
//! It holds the leaves and the moment, not the tiles: those are planned again, and must lead to
//! the root hash that the lock committed to. What the tree does not cover (the moment, the search
//! keys) is under a checksum, which finds rot, not an attacker.

use crypto::merkle::NodeHash;
use evidence::{TreeSize, UnixTime};

use crate::leaf::{Cursor, ENTRY_SIZE_MAX, Form, Leaf, SEARCH_KEYS_MAX, SearchKey};
use crate::pool::POOL_SIZE_MAX;

/// First bytes of a staged batch; the number is the version of its form.
const HEAD: &[u8] = b"countersign staged 1\n";

/// Longest staged batch read, in bytes. No pool is larger, and a leaf takes less room here than it
/// weighs there: so that every batch that is staged can be read again.
pub(crate) const STAGED_SIZE_MAX: usize = POOL_SIZE_MAX;

/// A batch before it has a place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Staged {
    /// Size of the tree it goes on top of.
    pub(crate) base: TreeSize,
    /// Root hash of that tree.
    pub(crate) base_root: NodeHash,
    pub(crate) time: UnixTime,
    pub(crate) leaves: Vec<Leaf>,
}

impl Staged {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = HEAD.to_vec();
        bytes.extend(self.base.0.to_be_bytes());
        bytes.extend(self.base_root);
        bytes.extend(self.time.milliseconds().to_be_bytes());
        for leaf in &self.leaves {
            push_sized(&mut bytes, &leaf.hashed);
            push_sized(&mut bytes, &leaf.unhashed);
            bytes.extend((leaf.keys.len() as u32).to_be_bytes());
            leaf.keys.iter().for_each(|key| bytes.extend(key.0));
        }
        let checksum = crypto::sha256(&bytes);
        bytes.extend(checksum);
        bytes
    }

    /// `None` if the bytes are torn, rotten, or of another form.
    pub(crate) fn parse(form: Form, bytes: &[u8]) -> Option<Self> {
        let (body, checksum) = bytes.split_last_chunk::<32>()?;
        if crypto::sha256(body) != *checksum {
            return None;
        }
        let mut cursor = Cursor { bytes: body.strip_prefix(HEAD)?, at: 0 };
        let base = TreeSize(u64::from_be_bytes(cursor.take(8)?.try_into().ok()?));
        let base_root = cursor.take(32)?.try_into().ok()?;
        let milliseconds = i64::from_be_bytes(cursor.take(8)?.try_into().ok()?);
        let mut leaves = Vec::new();
        while cursor.at < cursor.bytes.len() {
            let hashed = take_sized(&mut cursor)?;
            let unhashed = take_sized(&mut cursor)?;
            let keys = cursor.number(4).filter(|keys| *keys <= SEARCH_KEYS_MAX)?;
            let keys = cursor.take(32 * keys)?.as_chunks::<32>().0;
            let keys = keys.iter().copied().map(SearchKey).collect();
            leaves.push(Leaf { form, hashed, unhashed, keys });
        }
        let time = UnixTime::from_milliseconds(milliseconds);
        Some(Self { base, base_root, time, leaves })
    }
}

fn push_sized(to: &mut Vec<u8>, bytes: &[u8]) {
    // A leaf's parts are at most `ENTRY_SIZE_MAX` long.
    to.extend((bytes.len() as u32).to_be_bytes());
    to.extend(bytes);
}

fn take_sized(cursor: &mut Cursor<'_>) -> Option<Vec<u8>> {
    let size = cursor.number(4).filter(|size| *size <= ENTRY_SIZE_MAX)?;
    cursor.take(size).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a pool of [`POOL_SIZE_MAX`] can hold at most is at most [`STAGED_SIZE_MAX`] long.
    #[test]
    fn a_leaf_is_not_longer_when_staged_than_its_weight() {
        let keys = |count: usize| (0..count).map(|number| SearchKey::of(&number.to_string()));
        for (size, count) in
            [(0, 0), (0, 1), (ENTRY_SIZE_MAX, 0), (ENTRY_SIZE_MAX, SEARCH_KEYS_MAX)]
        {
            let entry = Leaf::entry(vec![7; size]).unwrap();
            let certificate = Leaf::certificate(&vec![7; size], &[]);
            for leaf in [Ok(entry), certificate].into_iter().flatten() {
                let leaf = leaf.with_keys(keys(count)).unwrap();
                let weight = leaf.weight();
                let time = UnixTime::from_milliseconds(0);
                let staged =
                    Staged { base: TreeSize(0), base_root: [0; 32], time, leaves: vec![leaf] };
                let found = staged.to_bytes().len();
                assert!(found <= weight, "{size} bytes, {count} keys: {found} of {weight}");
            }
        }
    }
}

//! Entries that have nothing but a number, so that any of them can be made again to compare with.

use testkit::merkle::{NodeHash, leaf_hash};

/// A few hundred different entries, the empty one among them.
pub(crate) fn entry(number: usize) -> Vec<u8> {
    let length = number * 7 % 90;
    let mut bytes = vec![b'.'; length];
    if length > 0 {
        bytes.extend(number.to_string().into_bytes());
    } else if number > 0 {
        bytes.extend(format!("short {number}").into_bytes());
    }
    bytes
}

/// The leaf hashes of the first `count` of them.
pub(crate) fn hashes(count: usize) -> Vec<NodeHash> {
    (0..count).map(|number| leaf_hash(&entry(number))).collect()
}

//! Merkle trees straight from the recursive definitions of RFC 6962 §2.1 and §2.1.1.

use crypto::sha256;

/// A node's hash.
pub type NodeHash = [u8; 32];

/// `MTH`: the root hash over the leaves.
#[must_use]
pub fn root(leaves: &[Vec<u8>]) -> NodeHash {
    match leaves {
        [] => sha256(b""),
        [leaf] => sha256(&[&[0x00], leaf.as_slice()].concat()),
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            sha256(&[&[0x01], &root(left)[..], &root(right)[..]].concat())
        }
    }
}

/// `PATH`: the siblings from leaf `index` up to the root, the leaf's first.
///
/// # Panics
/// When there is no such leaf.
#[must_use]
pub fn path(index: usize, leaves: &[Vec<u8>]) -> Vec<NodeHash> {
    assert!(index < leaves.len(), "the leaf is in the tree");
    if leaves.len() == 1 {
        return Vec::new();
    }
    let middle = split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut path, sibling) = if index < middle {
        (path(index, left), root(right))
    } else {
        (path(index - middle, right), root(left))
    };
    path.push(sibling);
    path
}

/// The largest power of two smaller than `size`, which is at least 2.
fn split(size: usize) -> usize {
    size.next_power_of_two() / 2
}

//! Merkle trees straight from the recursive definitions of RFC 6962 §2.1, the slow way.

use crypto::sha256;

/// A node's hash.
pub type NodeHash = [u8; 32];

/// The hash of a leaf.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> NodeHash {
    sha256(&[&[0x00], entry].concat())
}

/// `MTH`: the root hash over the leaves with these hashes.
#[must_use]
pub fn root(leaves: &[NodeHash]) -> NodeHash {
    match leaves {
        [] => sha256(b""),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            sha256(&[&[0x01], &root(left)[..], &root(right)[..]].concat())
        }
    }
}

/// `PATH` (§2.1.1): the siblings from leaf `index` up to the root, the leaf's first.
///
/// # Panics
/// When there is no such leaf.
#[must_use]
pub fn path(index: usize, leaves: &[NodeHash]) -> Vec<NodeHash> {
    assert!(index < leaves.len(), "the leaf is in the tree");
    if leaves.len() == 1 {
        return Vec::new();
    }
    let middle = split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut path, sibling) = if index < middle {
        (self::path(index, left), root(right))
    } else {
        (self::path(index - middle, right), root(left))
    };
    path.push(sibling);
    path
}

/// `PROOF` (§2.1.2): that the tree over all leaves only adds to that over the first `older`.
///
/// # Panics
/// When there are fewer leaves.
#[must_use]
pub fn consistency(older: usize, leaves: &[NodeHash]) -> Vec<NodeHash> {
    assert!(older <= leaves.len(), "the older tree is not the larger");
    if older == 0 { Vec::new() } else { subproof(older, leaves, true) }
}

fn subproof(older: usize, leaves: &[NodeHash], is_whole: bool) -> Vec<NodeHash> {
    if older == leaves.len() {
        return if is_whole { Vec::new() } else { vec![root(leaves)] };
    }
    let middle = split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut proof, sibling) = if older <= middle {
        (subproof(older, left, is_whole), root(right))
    } else {
        (subproof(older - middle, right, false), root(left))
    };
    proof.push(sibling);
    proof
}

/// The largest power of two smaller than `size`, which is at least 2.
fn split(size: usize) -> usize {
    size.next_power_of_two() / 2
}

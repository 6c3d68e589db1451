//! The tree as RFC 6962 §2.1 defines it, computed the slow way, to compare with.

use crypto::merkle::{NodeHash, empty_root, leaf_hash, node_hash};

/// `MTH` of the leaves with these hashes.
pub(crate) fn root(leaves: &[NodeHash]) -> NodeHash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// `PATH(index, D)`, RFC 6962 §2.1.1.
pub(crate) fn inclusion(index: usize, leaves: &[NodeHash]) -> Vec<NodeHash> {
    if leaves.len() == 1 {
        return vec![];
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut path, sibling) = if index < left.len() {
        (inclusion(index, left), root(right))
    } else {
        (inclusion(index - left.len(), right), root(left))
    };
    path.push(sibling);
    path
}

/// `PROOF(older, D)`, RFC 6962 §2.1.2.
pub(crate) fn consistency(older: usize, leaves: &[NodeHash]) -> Vec<NodeHash> {
    fn sub(older: usize, leaves: &[NodeHash], is_whole: bool) -> Vec<NodeHash> {
        if older == leaves.len() {
            return if is_whole { vec![] } else { vec![root(leaves)] };
        }
        let (left, right) = leaves.split_at(split(leaves.len()));
        let (mut proof, sibling) = if older <= left.len() {
            (sub(older, left, is_whole), root(right))
        } else {
            (sub(older - left.len(), right, false), root(left))
        };
        proof.push(sibling);
        proof
    }
    if older == 0 { vec![] } else { sub(older, leaves, true) }
}

/// Largest power of two below `size`.
fn split(size: usize) -> usize {
    let mut split = 1;
    while split * 2 < size {
        split *= 2;
    }
    split
}

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

pub(crate) fn hashes(count: usize) -> Vec<NodeHash> {
    (0..count).map(|number| leaf_hash(&entry(number))).collect()
}

//! Merkle trees as transparency logs build them: leaf and node hashes, inclusion and consistency.
//!
//! RFC 6962 §2.1 (the tree), RFC 9162 §2.1.3.2 and §2.1.4.2 (the verification algorithms).

use aws_lc_rs::digest;

/// A SHA-256 hash of a leaf, a node or a whole tree.
pub type NodeHash = [u8; 32];

/// Longest proof that can exist: one hash for each level of a tree of 2⁶⁴ leaves.
pub const PROOF_HASHES_MAX: usize = 64;

/// A proof does not hold. Which hash was wrong cannot be told: a proof is right as a whole or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProof {
    /// The leaf index is not inside the tree.
    #[error("leaf index {index} is outside a tree of {size} leaves")]
    IndexOutsideTree {
        /// The index claimed.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The proof has more or fewer hashes than this index and size need.
    #[error("the proof has {found} hashes, not the number this tree needs")]
    WrongLength {
        /// The number of hashes in the proof.
        found: usize,
    },
    /// The older tree is larger than the newer.
    #[error("a tree of {older} leaves cannot be older than one of {newer}")]
    SizesReversed {
        /// Size of the tree said to be older.
        older: u64,
        /// Size of the tree said to be newer.
        newer: u64,
    },
    /// The proof leads to another root.
    #[error("the proof leads to another root hash")]
    RootMismatch,
}

/// Hash of the empty tree: SHA-256 of nothing (RFC 6962 §2.1).
#[must_use]
pub fn empty_root() -> NodeHash {
    crate::sha256(b"")
}

/// Hash of a leaf: SHA-256 of `0x00` and the entry (RFC 6962 §2.1).
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> NodeHash {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&[0x00]);
    context.update(entry);
    to_node(&context.finish())
}

/// Hash of an inner node: SHA-256 of `0x01`, left and right (RFC 6962 §2.1).
#[must_use]
pub fn node_hash(left: &NodeHash, right: &NodeHash) -> NodeHash {
    let mut buffer = [0x01; 65];
    buffer[1..33].copy_from_slice(left);
    buffer[33..].copy_from_slice(right);
    crate::sha256(&buffer)
}

/// Proves that `leaf` stands at `index` in the tree of `size` leaves with hash `root`
/// (RFC 9162 §2.1.3.2).
///
/// # Errors
/// When the index is outside the tree, the proof's length is wrong, or it leads elsewhere.
pub fn verify_inclusion(
    leaf: &NodeHash,
    index: u64,
    size: u64,
    proof: &[NodeHash],
    root: &NodeHash,
) -> Result<(), BadProof> {
    if index >= size {
        return Err(BadProof::IndexOutsideTree { index, size });
    }
    let wrong_length = BadProof::WrongLength { found: proof.len() };
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(wrong_length);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length);
    }
    if hash == *root { Ok(()) } else { Err(BadProof::RootMismatch) }
}

/// Proves that the tree `(newer, newer_root)` only appended to `(older, older_root)`
/// (RFC 9162 §2.1.4.2). Every tree is consistent with the empty one, whose proof is empty.
///
/// # Errors
/// When the sizes are reversed, the proof's length is wrong, or it leads to other roots.
pub fn verify_consistency(
    older: u64,
    newer: u64,
    proof: &[NodeHash],
    older_root: &NodeHash,
    newer_root: &NodeHash,
) -> Result<(), BadProof> {
    let wrong_length = BadProof::WrongLength { found: proof.len() };
    if older > newer {
        return Err(BadProof::SizesReversed { older, newer });
    }
    if older == newer || older == 0 {
        if !proof.is_empty() {
            return Err(wrong_length);
        }
        let expected = if older == 0 { &empty_root() } else { newer_root };
        return if older_root == expected { Ok(()) } else { Err(BadProof::RootMismatch) };
    }

    // A complete older tree is itself the first node of the proof, and is left out of it.
    let mut hashes = proof.iter();
    let first = if older.is_power_of_two() { Some(older_root) } else { hashes.next() };
    let Some(first) = first else { return Err(wrong_length) };
    let (mut node, mut last) = (older - 1, newer - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in hashes {
        if last == 0 {
            return Err(wrong_length);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length);
    }
    if old_hash == *older_root && new_hash == *newer_root {
        Ok(())
    } else {
        Err(BadProof::RootMismatch)
    }
}

fn to_node(value: &digest::Digest) -> NodeHash {
    value.as_ref().try_into().expect("SHA-256 is 32 bytes")
}

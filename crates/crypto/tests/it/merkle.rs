//! Merkle proofs: against the tree as RFC 6962 defines it, for every size up to 70, and changed in
//! every way that could be mistaken for a proof.

use crypto::merkle::{
    BadProof, NodeHash, empty_root, leaf_hash, node_hash, verify_consistency, verify_inclusion,
};

/// Sizes up to here are tried completely; it is past a power of two.
const SIZE: usize = 70;

/// `MTH`, RFC 6962 §2.1.
fn root(leaves: &[NodeHash]) -> NodeHash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// `PATH`, RFC 6962 §2.1.1.
fn inclusion(index: usize, leaves: &[NodeHash]) -> Vec<NodeHash> {
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

/// `SUBPROOF`, RFC 6962 §2.1.2.
fn consistency(older: usize, leaves: &[NodeHash], is_whole: bool) -> Vec<NodeHash> {
    if older == leaves.len() {
        return if is_whole { vec![] } else { vec![root(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut proof, sibling) = if older <= left.len() {
        (consistency(older, left, is_whole), root(right))
    } else {
        (consistency(older - left.len(), right, false), root(left))
    };
    proof.push(sibling);
    proof
}

/// "the largest power of two smaller than n".
fn split(size: usize) -> usize {
    let mut split = 1;
    while split * 2 < size {
        split *= 2;
    }
    split
}

fn leaves(count: usize) -> Vec<NodeHash> {
    (0..count).map(|number| leaf_hash(number.to_string().as_bytes())).collect()
}

fn hash(hexadecimal: &str) -> NodeHash {
    hex::decode(hexadecimal).unwrap().try_into().unwrap()
}

/// Every proof that is wrong by one hash, at one place.
fn damaged(proof: &[NodeHash]) -> impl Iterator<Item = Vec<NodeHash>> {
    (0..proof.len()).map(|at| {
        let mut proof = proof.to_vec();
        proof[at][at % 32] ^= 1;
        proof
    })
}

/// One hash less at either end, one more at either end.
fn stretched(proof: &[NodeHash]) -> Vec<Vec<NodeHash>> {
    let mut proofs = vec![[proof, &[[0; 32]]].concat(), [&[[0; 32]], proof].concat()];
    if let ([_, tail @ ..], [head @ .., _]) = (proof, proof) {
        proofs.extend([tail.to_vec(), head.to_vec()]);
    }
    proofs
}

/// The trees of certificate-transparency's reference tests: eight entries, and the root after each.
#[test]
fn the_roots_are_those_of_the_reference_tests() {
    let entries = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    assert_eq!(
        empty_root(),
        hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    );
    let leaves: Vec<_> = entries.map(|entry| leaf_hash(&hex::decode(entry).unwrap())).to_vec();
    for (size, expected) in (1..).zip(roots) {
        assert_eq!(root(&leaves[..size]), hash(expected), "size {size}");
    }
}

/// Proofs from the same source, and from nobody's implementation here.
#[test]
fn the_proofs_of_the_reference_tests_hold() {
    let root = hash("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    let first = [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    .map(hash);
    assert_eq!(verify_inclusion(&leaf_hash(b""), 0, 8, &first, &root), Ok(()));
    let older = hash("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    assert_eq!(verify_consistency(1, 8, &first, &older, &root), Ok(()));
}

#[test]
fn every_inclusion_proof_holds_and_no_other() {
    let all = leaves(SIZE);
    for size in 1..=SIZE {
        let leaves = &all[..size];
        let (root, count) = (root(leaves), size as u64);
        for (index, leaf) in leaves.iter().enumerate() {
            let (proof, at) = (inclusion(index, leaves), index as u64);
            assert_eq!(verify_inclusion(leaf, at, count, &proof, &root), Ok(()), "{at}/{count}");
            let mismatch = Err(BadProof::RootMismatch);
            for damaged in damaged(&proof) {
                assert_eq!(verify_inclusion(leaf, at, count, &damaged, &root), mismatch);
            }
            for stretched in stretched(&proof) {
                assert_eq!(
                    verify_inclusion(leaf, at, count, &stretched, &root),
                    Err(BadProof::WrongLength { found: stretched.len() }),
                    "{at}/{count} with {} hashes",
                    stretched.len()
                );
            }
            assert_eq!(verify_inclusion(&[0; 32], at, count, &proof, &root), mismatch);
            assert_eq!(verify_inclusion(leaf, at, count, &proof, &[0; 32]), mismatch);
            // Nor at any other place of the tree.
            for other in (0..count).filter(|other| *other != at) {
                assert!(verify_inclusion(leaf, other, count, &proof, &root).is_err());
            }
        }
    }
}

#[test]
fn every_consistency_proof_holds_and_no_other() {
    let all = leaves(SIZE);
    let roots: Vec<_> = (0..=SIZE).map(|size| root(&all[..size])).collect();
    for newer in 1..=SIZE {
        for older in 1..=newer {
            let proof = consistency(older, &all[..newer], true);
            let (old_root, new_root) = (&roots[older], &roots[newer]);
            let verify = |proof: &[NodeHash], old_root: &NodeHash, new_root: &NodeHash| {
                verify_consistency(older as u64, newer as u64, proof, old_root, new_root)
            };
            assert_eq!(verify(&proof, old_root, new_root), Ok(()), "{older} of {newer}");
            let mismatch = Err(BadProof::RootMismatch);
            for damaged in damaged(&proof) {
                assert_eq!(verify(&damaged, old_root, new_root), mismatch, "{older} of {newer}");
            }
            for stretched in stretched(&proof) {
                assert_eq!(
                    verify(&stretched, old_root, new_root),
                    Err(BadProof::WrongLength { found: stretched.len() }),
                    "{older} of {newer} with {} hashes",
                    stretched.len()
                );
            }
            // Each root counts: a fork on either side is seen.
            assert_eq!(verify(&proof, &[0; 32], new_root), mismatch, "{older} of {newer}");
            assert_eq!(verify(&proof, old_root, &[0; 32]), mismatch, "{older} of {newer}");
        }
    }
}

#[test]
fn the_empty_tree_is_consistent_with_every_tree_and_proves_nothing() {
    let (empty, full) = (empty_root(), root(&leaves(5)));
    assert_eq!(verify_consistency(0, 5, &[], &empty, &full), Ok(()));
    assert_eq!(verify_consistency(0, 0, &[], &empty, &empty), Ok(()));
    assert_eq!(verify_consistency(0, 5, &[], &full, &full), Err(BadProof::RootMismatch));
    assert_eq!(
        verify_consistency(0, 5, &[full], &empty, &full),
        Err(BadProof::WrongLength { found: 1 })
    );
    assert_eq!(
        verify_inclusion(&full, 0, 0, &[], &empty),
        Err(BadProof::IndexOutsideTree { index: 0, size: 0 })
    );
}

#[test]
fn what_cannot_be_is_refused() {
    let (leaf, tree) = (leaf_hash(b""), root(&leaves(5)));
    for index in [5, 6, u64::MAX] {
        assert_eq!(
            verify_inclusion(&leaf, index, 5, &[], &tree),
            Err(BadProof::IndexOutsideTree { index, size: 5 })
        );
    }
    assert_eq!(
        verify_consistency(6, 5, &[], &tree, &tree),
        Err(BadProof::SizesReversed { older: 6, newer: 5 })
    );
    assert_eq!(
        verify_consistency(5, 5, &[], &tree, &leaf),
        Err(BadProof::RootMismatch),
        "one size, two roots: a fork"
    );
    assert_eq!(
        verify_consistency(5, 5, &[leaf], &tree, &tree),
        Err(BadProof::WrongLength { found: 1 })
    );
}

/// Sizes at the end of what 64 bits hold neither overflow nor loop.
#[test]
fn the_largest_trees_are_verified() {
    let leaf = leaf_hash(b"last");
    let size = u64::MAX;
    // Of 2⁶⁴ - 1 leaves, the last has a sibling on its left wherever a bit of its index is set.
    let proof = vec![[7; 32]; 63];
    let root = proof.iter().fold(leaf, |hash, sibling| node_hash(sibling, &hash));
    assert_eq!(verify_inclusion(&leaf, size - 1, size, &proof, &root), Ok(()));
    assert_eq!(
        verify_inclusion(&leaf, size - 1, size, &proof[1..], &root),
        Err(BadProof::WrongLength { found: 62 })
    );
    let longest = vec![[7; 32]; 64];
    let root = longest.iter().fold(leaf, |hash, sibling| node_hash(&hash, sibling));
    assert_eq!(verify_inclusion(&leaf, 0, size, &longest, &root), Ok(()));
    let half = 1 << 63;
    let root = node_hash(&leaf, &[9; 32]);
    assert_eq!(verify_consistency(half, size, &[[9; 32]], &leaf, &root), Ok(()));
}

/// A leaf is hashed apart from a node (RFC 6962 §2.1: "Domain separation").
#[test]
fn an_entry_that_spells_a_node_is_no_node() {
    let (left, right) = (leaf_hash(b"a"), leaf_hash(b"b"));
    let node = node_hash(&left, &right);
    assert_ne!(leaf_hash(&[left, right].concat()), node);
    assert_eq!(
        verify_inclusion(&leaf_hash(&[left, right].concat()), 0, 1, &[], &node),
        Err(BadProof::RootMismatch)
    );
}

//! The tree against the naive one: every size to begin with, then the sizes around tiles.

use std::collections::HashMap;

use crypto::merkle::{BadProof, verify_consistency, verify_inclusion};
use evidence::{LeafIndex, TreeSize, UnixTime};
use tlog::sequence::{Edge, plan};
use tlog::{Form, Leaf, Object, ReadError, TileKind};

use testkit::merkle;

use crate::numbered;
use crate::world::{append, check, create};

const SIZE: usize = 700;

/// Sizes whose every proof is compared; all up to the first tile's end, and those around others.
fn sizes() -> impl Iterator<Item = usize> {
    (0..=260).chain([300, 384, 511, 512, 513, 514, 640, 699, SIZE])
}

#[test]
fn every_root_and_proof_is_that_of_the_naive_tree() {
    let (_world, log, mut sequencer) = create();
    let leaves = numbered::hashes(SIZE);
    for number in 0..SIZE {
        append(&log, &mut sequencer, [number]);
        let checkpoint = &log.checkpoint().checkpoint;
        assert_eq!(checkpoint.size, TreeSize(number as u64 + 1));
        assert_eq!(checkpoint.root, merkle::root(&leaves[..=number]), "size {}", number + 1);
    }
    for size in sizes() {
        let leaves = &leaves[..size];
        let root = log.root(TreeSize(size as u64)).unwrap();
        assert_eq!(root, merkle::root(leaves));
        for (index, leaf) in leaves.iter().enumerate() {
            let proof =
                log.inclusion_proof(LeafIndex(index as u64), TreeSize(size as u64)).unwrap();
            verify_inclusion(leaf, index as u64, size as u64, &proof, &root)
                .unwrap_or_else(|error| panic!("{index} in {size}: {error}"));
        }
    }
}

#[test]
fn proofs_are_those_of_the_definition() {
    let (_world, log, mut sequencer) = create();
    append(&log, &mut sequencer, 0..SIZE);
    let leaves = numbered::hashes(SIZE);
    let roots: Vec<_> = (0..=SIZE).map(|size| merkle::root(&leaves[..size])).collect();
    for newer in [1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 513, SIZE] {
        let size = TreeSize(newer as u64);
        for older in 0..=newer {
            let proof = log.consistency_proof(TreeSize(older as u64), size).unwrap();
            assert_eq!(proof, merkle::consistency(older, &leaves[..newer]), "{older} of {newer}");
            verify_consistency(older as u64, size.0, &proof, &roots[older], &roots[newer]).unwrap();
        }
        for index in (0..newer).step_by(13) {
            let proof = log.inclusion_proof(LeafIndex(index as u64), size).unwrap();
            assert_eq!(proof, merkle::path(index, &leaves[..newer]), "{index} in {newer}");
        }
    }
}

#[test]
fn all_batch_sizes_lead_to_the_same_log() {
    for batch in [1, 2, 100, 255, 256, 257, 600] {
        let (world, log, mut sequencer) = create();
        let mut acknowledged = HashMap::new();
        for first in (0..600).step_by(batch) {
            let numbers = first..(first + batch).min(600);
            let places = append(&log, &mut sequencer, numbers.clone());
            for (number, place) in numbers.zip(places) {
                assert_eq!(place.index, LeafIndex(number as u64));
                assert!(!place.already);
                acknowledged.insert(numbered::entry(number), place);
            }
        }
        check(&world, &log, &acknowledged);
    }
}

#[test]
fn what_is_outside_the_published_tree_is_refused() {
    let (_world, log, mut sequencer) = create();
    append(&log, &mut sequencer, 0..10);
    let (ten, eleven) = (TreeSize(10), TreeSize(11));
    assert!(matches!(
        log.inclusion_proof(LeafIndex(10), ten),
        Err(ReadError::OutsideTree { index: LeafIndex(10), size: TreeSize(10) })
    ));
    assert!(matches!(
        log.inclusion_proof(LeafIndex(5), TreeSize(5)),
        Err(ReadError::OutsideTree { .. })
    ));
    assert!(matches!(
        log.inclusion_proof(LeafIndex(0), eleven),
        Err(ReadError::NotPublished { size: TreeSize(11), published: TreeSize(10) })
    ));
    assert!(matches!(log.consistency_proof(ten, eleven), Err(ReadError::NotPublished { .. })));
    assert!(matches!(
        log.consistency_proof(ten, TreeSize(9)),
        Err(ReadError::SizesReversed { older: TreeSize(10), newer: TreeSize(9) })
    ));
    assert!(matches!(log.root(eleven), Err(ReadError::NotPublished { .. })));
    assert!(matches!(log.entry(LeafIndex(10)), Err(ReadError::OutsideTree { .. })));
    assert!(matches!(log.leaf_hash(LeafIndex(u64::MAX)), Err(ReadError::OutsideTree { .. })));
}

/// C2SP tlog-tiles, "Partial Tiles": "a tree of size 70,000 will be represented by 273 full level 0
/// tiles, one partial level 0 tile of width 112, one full level 1 tile, one partial level 1 tile of
/// width 17, and one partial level 2 tile of width 1."
#[test]
fn seventy_thousand_leaves_make_the_tiles_of_the_specification() {
    let leaves: Vec<_> =
        (0..70_000u32).map(|number| Leaf::entry(number.to_be_bytes().to_vec()).unwrap()).collect();
    let batch = plan(&Edge::empty(Form::Entries), &leaves, UnixTime::from_seconds(1)).unwrap();
    let mut tiles = HashMap::<_, Vec<u64>>::new();
    for (object, bytes) in batch.tiles() {
        let Object::Tile(tile) = object else { panic!("{object} is no tile") };
        if let TileKind::Hashes { .. } = tile.kind() {
            assert_eq!(bytes.len() as u64, 32 * tile.width());
        }
        tiles.entry(tile.kind()).or_default().push(tile.width());
    }
    let level = |level| tiles[&TileKind::Hashes { level }].clone();
    assert_eq!(level(0), [vec![256; 273], vec![112]].concat());
    assert_eq!(level(1), [256, 17]);
    assert_eq!(level(2), [1]);
    assert_eq!(tiles[&TileKind::Entries], [vec![256; 273], vec![112]].concat());
    let hashes: Vec<_> = leaves.iter().map(Leaf::identity).collect();
    assert_eq!(batch.root(), merkle::root(&hashes));
}

#[test]
fn proofs_reach_through_three_levels_of_tiles() {
    let (world, log, mut sequencer) = create();
    let count = 66_000u32;
    let leaf = |number: u32| Leaf::entry(number.to_be_bytes().to_vec()).unwrap();
    for first in (0..count).step_by(11_000) {
        let waiting: Vec<_> =
            (first..first + 11_000).map(|number| log.append(leaf(number)).unwrap()).collect();
        sequencer.step().unwrap();
        waiting.into_iter().for_each(|waiting| assert!(waiting.wait().is_ok()));
    }
    check(&world, &log, &HashMap::new());
    let leaves: Vec<_> = (0..count).map(|number| leaf(number).identity()).collect();
    for size in [65_535, 65_536, 65_537, 65_793, 66_000] {
        let root = merkle::root(&leaves[..size as usize]);
        for index in (0..size).step_by(997).chain([size - 1]) {
            let proof = log.inclusion_proof(LeafIndex(index), TreeSize(size)).unwrap();
            verify_inclusion(&leaves[index as usize], index, size, &proof, &root).unwrap();
            // And the verifier does look.
            let other = verify_inclusion(&[0; 32], index, size, &proof, &root);
            assert_eq!(other, Err(BadProof::RootMismatch));
        }
    }
}

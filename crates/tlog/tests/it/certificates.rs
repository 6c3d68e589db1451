//! A log of certificates in the form of C2SP static-ct-api, taken apart by hand.

use std::sync::Arc;

use crypto::merkle::{leaf_hash, verify_inclusion};
use crypto::{KeyKind, KeyPair};
use evidence::{LeafIndex, TreeSize};
use tlog::leaf::certificate_extensions;
use tlog::sequence::PlanError;
use tlog::{
    AppendError, Appended, Config, Form, Leaf, LeafError, Log, OpenError, Parts, Sequencer,
    TreeHeadSigner,
};

use crate::world::{World, new_index, parts};

const ISSUER_KEY_HASH: [u8; 32] = [0xaa; 32];
const CHAIN: [[u8; 32]; 2] = [[1; 32], [2; 32]];

fn certificate_parts(world: &Arc<World>, key: &Arc<KeyPair>) -> Parts {
    let mut parts = parts(world, &new_index());
    parts.signer = Arc::new(TreeHeadSigner::new("ct.test", key.clone()).unwrap());
    parts
}

fn open(world: &Arc<World>, key: &Arc<KeyPair>) -> Result<(Log, Sequencer), OpenError> {
    Log::open_stepped(Config::new(Form::Certificates), certificate_parts(world, key))
}

fn create() -> (Arc<World>, Arc<KeyPair>, Log, Sequencer) {
    let world = World::new();
    let key = Arc::new(KeyPair::generate(KeyKind::EcdsaP256).unwrap());
    Log::create(Form::Certificates, &certificate_parts(&world, &key)).unwrap();
    world.pass(1);
    let (log, sequencer) = open(&world, &key).unwrap();
    (world, key, log, sequencer)
}

fn precertificate(number: u32) -> Leaf {
    let (tbs, precertificate) = (format!("tbs {number}"), format!("precertificate {number}"));
    Leaf::precertificate(ISSUER_KEY_HASH, tbs.as_bytes(), precertificate.as_bytes(), &CHAIN)
        .unwrap()
}

/// `TimestampedEntry`, and what follows it in a `TileLeaf`.
fn expected(number: u32, index: u64, milliseconds: u64) -> (Vec<u8>, Vec<u8>) {
    let sized = |size: usize, text: String| {
        [&(text.len() as u32).to_be_bytes()[4 - size..], text.as_bytes()].concat()
    };
    let mut entry = milliseconds.to_be_bytes().to_vec();
    entry.extend([0, 1]);
    entry.extend(ISSUER_KEY_HASH);
    entry.extend(sized(3, format!("tbs {number}")));
    entry.extend([0, 8, 0, 0, 5]);
    entry.extend(&index.to_be_bytes()[3..]);
    let mut rest = sized(3, format!("precertificate {number}"));
    rest.extend([0, 64]);
    rest.extend(CHAIN.concat());
    (entry, rest)
}

#[test]
fn precertificates_are_logged_with_their_moment_and_index() {
    let (world, key, log, mut sequencer) = create();
    let mut moments = Vec::new();
    for number in 0..300u32 {
        world.pass(3);
        moments.push(world.now().milliseconds() as u64);
        let waiting = log.append(precertificate(number)).unwrap();
        sequencer.step().unwrap();
        let place = waiting.wait().unwrap();
        assert_eq!((place.index, place.time), (LeafIndex(u64::from(number)), world.now()));
    }
    let (log, _sequencer) = open(&world, &key).unwrap();
    let checkpoint = log.checkpoint().checkpoint.clone();
    let mut bundle = Vec::new();
    for (number, moment) in (0..).zip(moments) {
        let index = u64::from(number);
        let (entry, rest) = expected(number, index, moment);
        assert_eq!(entry[entry.len() - 10..], certificate_extensions(LeafIndex(index)));
        let read = log.entry(LeafIndex(index)).unwrap();
        assert_eq!(read.bytes, [&entry[..], &rest].concat());
        // RFC 6962 §3.4: version v1, leaf type timestamped_entry.
        assert_eq!(read.leaf_hash, leaf_hash(&[&[0, 0], &entry[..]].concat()));
        let proof = log.inclusion_proof(LeafIndex(index), TreeSize(300)).unwrap();
        verify_inclusion(&read.leaf_hash, index, 300, &proof, &checkpoint.root).unwrap();
        bundle.extend(read.bytes);
        if number == 255 {
            let served = log.tile("tile/data/000".parse().unwrap()).unwrap().unwrap();
            assert_eq!(served, bundle);
            bundle.clear();
        }
    }
    let served = log.tile("tile/data/001.p/44".parse().unwrap()).unwrap().unwrap();
    assert_eq!(served, bundle);
    assert_eq!(log.tile("tile/entries/000".parse().unwrap()).unwrap(), None);
}

/// The same precertificate again gets the same moment and index, so the same SCT.
#[test]
fn a_precertificate_has_one_place_whenever_it_comes() {
    let (world, key, log, mut sequencer) = create();
    let mut first = Vec::new();
    for number in 0..3 {
        world.pass(10);
        let waiting = log.append(precertificate(number)).unwrap();
        sequencer.step().unwrap();
        first.push(waiting.wait().unwrap());
    }
    let ask_again = |log: &Log, sequencer: &mut Sequencer| {
        world.pass(1000);
        for (number, before) in (0..).zip(&first) {
            let waiting = log.append(precertificate(number)).unwrap();
            sequencer.step().unwrap();
            assert_eq!(waiting.wait().unwrap(), Appended { already: true, ..*before });
        }
    };
    ask_again(&log, &mut sequencer);
    // From the log itself, with an index made anew.
    let (log, mut sequencer) = open(&world, &key).unwrap();
    ask_again(&log, &mut sequencer);
}

#[test]
fn final_certificates_are_logged_too() {
    let (world, _key, log, mut sequencer) = create();
    let waiting = log.append(Leaf::certificate(b"certificate", &CHAIN).unwrap()).unwrap();
    sequencer.step().unwrap();
    waiting.wait().unwrap();
    let mut entry = (world.now().milliseconds() as u64).to_be_bytes().to_vec();
    entry.extend(b"\0\0\0\0\x0bcertificate\0\x08\0\0\x05\0\0\0\0\0");
    let read = log.entry(LeafIndex(0)).unwrap();
    assert_eq!(read.leaf_hash, leaf_hash(&[&[0, 0], &entry[..]].concat()));
    entry.extend([0, 64]);
    entry.extend(CHAIN.concat());
    assert_eq!(read.bytes, entry);
}

/// RFC 6962 §3.5: each timestamp is "more recent than the timestamp of the previous update".
#[test]
fn time_must_pass_between_tree_heads() {
    let (world, key, log, mut sequencer) = create();
    world.pass(-1);
    let refused = log.append(precertificate(0)).unwrap();
    sequencer.step().unwrap();
    assert!(matches!(refused.wait(), Err(AppendError::Refused(PlanError::ClockBehind { .. }))));
    world.pass(1);
    let waiting = log.append(precertificate(0)).unwrap();
    sequencer.step().unwrap();
    waiting.wait().unwrap();
    let refused = log.append(precertificate(1)).unwrap();
    sequencer.step().unwrap();
    assert!(matches!(refused.wait(), Err(AppendError::Refused(PlanError::ClockBehind { .. }))));
    // The moment of a checkpoint counts, even if no entry has it.
    world.pass(-1);
    assert!(matches!(open(&world, &key), Err(OpenError::ClockBehind { .. })));
}

#[test]
fn certificates_that_do_not_fit_are_refused() {
    let long = vec![0; 65_535];
    assert!(matches!(Leaf::certificate(&long, &[]), Err(LeafError::TooLong { .. })));
    assert!(matches!(
        Leaf::precertificate(ISSUER_KEY_HASH, &long[..33_000], &long[..33_000], &[]),
        Err(LeafError::TooLong { .. })
    ));
    assert!(matches!(Leaf::certificate(b"", &[[0; 32]; 2048]), Err(LeafError::TooLong { .. })));
    // 20 bytes of moment and extensions, and 7 of lengths and kind.
    let (fits, too_long) = (&long[..65_535 - 27], &long[..65_535 - 26]);
    assert!(Leaf::certificate(fits, &[]).is_ok());
    assert_eq!(Leaf::certificate(too_long, &[]), Err(LeafError::TooLong { found: 65_536 }));
}

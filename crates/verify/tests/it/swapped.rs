//! Valid entries of somebody else: every kind of entry, with promise, proof and both, for
//! certificates and pinned keys, in every format. CVE-2022-36056 and its relatives.

use testkit::{Format, Key, Scene, Signer};
use verify::Refusal;

use crate::judging::{prove, prove_sealed};

/// Every way in which a signature may be logged.
fn cells() -> Vec<(String, Scene)> {
    let mut cells = Vec::new();
    let bases = [Scene::v1(), Scene::v2()].into_iter().chain(
        testkit::log::Kind::ALL
            .into_iter()
            .filter(|kind| kind.takes_envelope())
            .map(Scene::statement),
    );
    for base in bases {
        for (promise, proof) in [(true, true), (true, false), (false, true)] {
            for format in Format::ALL {
                for signer in [Signer::Keyless, Signer::Pinned] {
                    let entry = base.entries[0];
                    let demanded = if format == Format::V0_1 { promise } else { proof };
                    if !demanded || (promise && entry.kind.is_v2()) {
                        continue;
                    }
                    let scene = base.clone().in_format(format).with(|scene| {
                        scene.signer = signer;
                        scene.entries[0].promise = promise;
                        scene.entries[0].proof = proof;
                        scene.timestamps = usize::from(!promise);
                    });
                    let how = format!("{:?}, promise {promise}, proof {proof}", entry.kind);
                    cells.push((format!("{how}, {format:?}, {signer:?}"), scene));
                }
            }
        }
    }
    cells
}

#[test]
fn there_is_a_cell_for_every_way() {
    // v1: three kinds, and of promise and proof what the four formats allow (v0.1: a promise, with
    // or without a proof; the others: a proof, with or without a promise). v2: three kinds, a proof
    // alone, in three formats. Each for both signers.
    let v1 = 3 * (2 + 3 * 2);
    let v2 = 3 * 3;
    assert_eq!(cells().len(), 2 * (v1 + v2));
}

#[test]
fn a_valid_entry_of_another_signature_is_refused_in_every_cell() {
    for (name, scene) in cells() {
        prove(&scene).unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        let another_key = Key::named("another signer", scene.key.kind());
        for (what, other) in [
            ("another signature of the same", scene.clone()),
            ("another artifact", {
                let mut other = scene.clone();
                other.artifact.push(b'!');
                other
            }),
            ("another key", {
                let mut other = scene.clone();
                other.key = another_key;
                other
            }),
        ] {
            let mut sealed = scene.seal();
            let mut donor = other.seal();
            prove_sealed(&other, &donor)
                .unwrap_or_else(|refusal| panic!("{name}, {what}, whole: {refusal:?}"));
            *sealed.entries_mut() = donor.entries_mut().take();
            let outcome = prove_sealed(&scene, &sealed);
            assert!(
                matches!(outcome, Err(Refusal::EntryMismatch { index: 0, .. })),
                "{name}, {what}: {outcome:?}"
            );
        }
    }
}

#[test]
fn one_wrong_entry_among_right_ones_is_refused() {
    for scene in [Scene::v1(), Scene::v2(), Scene::v2().pinned()] {
        let mut donor = scene.seal();
        let stranger = donor.entries_mut()[0].take();
        for position in [0, 1] {
            let mut sealed = scene.seal();
            let entries = sealed.entries_mut().as_array_mut().unwrap();
            entries.insert(position, stranger.clone());
            let outcome = prove_sealed(&scene, &sealed);
            assert!(
                matches!(outcome, Err(Refusal::EntryMismatch { index, .. }) if index == position),
                "{position}: {outcome:?}"
            );
        }
    }
}

//! Entries that the log did not promise, or does not hold.

use serde_json::Value;

use super::{List, bases, other_key};
use crate::clock::SIGNED_AT;
use crate::json::{base64, change_bytes, remove};
use crate::log::Kind;
use crate::scene::{Format, Scene};

pub(super) fn promises(list: &mut List) {
    for (name, scene) in bases().into_iter().filter(|(_, scene)| scene.entries[0].promise) {
        for signer in ["keyless", "pinned"] {
            for format in [Format::V0_1, Format::V0_3] {
                let scene = || {
                    let scene = scene.clone().in_format(format);
                    if signer == "pinned" { scene.pinned() } else { scene }
                };
                let label = |what: &str| format!("{what} ({name}, {signer}, {format:?})");
                let bad = "BadPromise";
                list.add(
                    bad,
                    label("a damaged promise"),
                    scene().on_promise(|promise| {
                        promise.damaged = true;
                    }),
                );
                list.add(
                    bad,
                    label("a promise of another key"),
                    scene().on_promise(|promise| {
                        promise.signed_by = other_key();
                    }),
                );
                list.add(
                    bad,
                    label("a promise about another leaf"),
                    scene().on_promise(|promise| {
                        promise.body.push(b' ');
                    }),
                );
                list.add(
                    bad,
                    label("a time edited after the promise"),
                    scene().on_entry(|entry| {
                        entry["integratedTime"] = Value::from((SIGNED_AT + 1).to_string());
                    }),
                );
                list.add(
                    bad,
                    label("an index edited after the promise"),
                    scene().on_entry(|entry| {
                        entry["logIndex"] = Value::from("7");
                    }),
                );
                list.add(
                    bad,
                    label("no time beside the promise"),
                    scene().on_entry(|entry| {
                        remove(entry, "/integratedTime");
                    }),
                );
            }
        }
    }
    list.add(
        "UnknownLog",
        "a log that nobody knows",
        Scene::v1()
            .on_promise(|promise| {
                promise.signed_by = other_key();
                promise.log_id = crypto::sha256(&other_key().spki()).to_vec();
            })
            .on_entry(|entry| {
                entry["logId"]["keyId"] = Value::from(base64(&crypto::sha256(&other_key().spki())));
            }),
    );
    list.add(
        "UnknownLog",
        "a log identifier cut to its hint",
        Scene::v2().on_entry(|entry| {
            change_bytes(entry, "/logId/keyId", |id| id.truncate(4));
        }),
    );
    list.add(
        "UnknownLog",
        "an empty log identifier",
        Scene::v2().on_entry(|entry| {
            entry["logId"]["keyId"] = Value::from("");
        }),
    );
}

pub(super) fn proofs(list: &mut List) {
    let bad = "BadInclusionProof";
    for (name, scene) in bases() {
        for signer in ["keyless", "pinned"] {
            let scene = || {
                if signer == "pinned" { scene.clone().pinned() } else { scene.clone() }
            };
            let label = |what: &str| format!("{what} ({name}, {signer})");
            list.add(
                bad,
                label("a proof with a changed hash"),
                scene().on_proof(|proof| {
                    proof.hashes[1][0] ^= 1;
                }),
            );
            list.add(
                bad,
                label("a proof with a hash too few"),
                scene().on_proof(|proof| {
                    proof.hashes.pop();
                }),
            );
            list.add(
                bad,
                label("a proof with a hash too many"),
                scene().on_proof(|proof| {
                    proof.hashes.push([0; 32]);
                }),
            );
            list.add(
                bad,
                label("a proof of another position"),
                scene().on_proof(|proof| {
                    proof.leaf_index -= 1;
                }),
            );
            list.add(
                bad,
                label("a position outside the tree"),
                scene().on_proof(|proof| {
                    proof.leaf_index = proof.tree_size;
                }),
            );
            list.add("CheckpointMismatch", label("a checkpoint of another root"), {
                scene().on_checkpoint(|checkpoint| checkpoint.root[31] ^= 1)
            });
            list.add("CheckpointMismatch", label("a checkpoint of another size"), {
                scene().on_checkpoint(|checkpoint| checkpoint.size += 1)
            });
            // The leaf is not what the log hashed: only its promise, if any, covers it.
            let other_leaf = scene().on_entry(|entry| {
                change_bytes(entry, "/canonicalizedBody", |body| body.push(b' '));
            });
            let refusal = if other_leaf.entries[0].promise { "BadPromise" } else { bad };
            list.add(refusal, label("a leaf that is not the logged one"), other_leaf);
        }
    }
    list.add(bad, "a leaf that is not the logged one, without a promise", {
        Scene::v1()
            .with(|scene| {
                scene.entries[0].promise = false;
                scene.timestamps = 1;
            })
            .on_entry(|entry| {
                change_bytes(entry, "/canonicalizedBody", |body| body.push(b' '));
            })
    });
    list.add("BadInclusionProof", "a v0.1 proof that leads elsewhere, beside a promise", {
        Scene::v1().in_format(Format::V0_1).on_proof(|proof| proof.root[0] ^= 1)
    });
    list.add(
        "BadInclusionProof",
        "a proof in an empty tree",
        Scene::v2().on_proof(|proof| {
            (proof.leaf_index, proof.tree_size) = (0, 0);
            proof.hashes.clear();
        }),
    );
}

pub(super) fn checkpoints(list: &mut List) {
    let bad = "BadCheckpointSignature";
    for (name, scene) in [
        ("v1", Scene::v1()),
        ("v1 pinned", Scene::v1().pinned()),
        ("v2", Scene::v2()),
        ("v2 pinned", Scene::v2().pinned()),
    ] {
        let scene = || scene.clone();
        let label = |what: &str| format!("{what} ({name})");
        list.add(
            bad,
            label("a damaged checkpoint signature"),
            scene().on_note(|note| {
                note.lines[0].signature[10] ^= 1;
            }),
        );
        list.add(bad, label("a checkpoint signed by another key under the log's hint"), {
            scene().on_note(|note| {
                let text = note.text.clone();
                note.lines[0].signature = other_key().sign(text.as_bytes());
            })
        });
        list.add(
            bad,
            label("a checkpoint with another key's line only"),
            scene().on_note(|note| {
                note.lines[0].hint[0] ^= 1;
            }),
        );
        list.add(bad, label("a second line of the log's key that does not verify"), {
            scene().on_note(|note| {
                let mut line = note.lines[0].clone();
                line.signature[10] ^= 1;
                note.lines.push(line);
            })
        });
        list.add(
            bad,
            label("a checkpoint whose text was edited"),
            scene().on_note(|note| {
                note.text.push_str("Timestamp: 1\n");
            }),
        );
        list.add("MalformedCheckpoint", label("a checkpoint without origin"), {
            scene().on_checkpoint(|checkpoint| checkpoint.origin.clear())
        });
        list.add("MalformedCheckpoint", label("a checkpoint with leading zeros"), {
            scene().on_checkpoint(|checkpoint| {
                let root = base64(&checkpoint.root);
                checkpoint.text = Some(format!("{}\n09\n{root}\n", checkpoint.origin));
            })
        });
        list.add("MalformedCheckpoint", label("a checkpoint without root"), {
            scene().on_checkpoint(|checkpoint| {
                checkpoint.text = Some(format!("{}\n9\n", checkpoint.origin));
            })
        });
        list.add("MalformedCheckpoint", label("a checkpoint with a short root"), {
            scene().on_checkpoint(|checkpoint| {
                checkpoint.text = Some(format!("{}\n9\n{}\n", checkpoint.origin, base64(&[7; 31])));
            })
        });
    }
    for kind in [Kind::HashedRekordV2, Kind::DsseV2] {
        let scene = if kind.takes_message() { Scene::v2() } else { Scene::statement(kind) };
        list.add("WrongOrigin", format!("a v2 checkpoint of another origin ({kind:?})"), {
            scene.on_checkpoint(|checkpoint| checkpoint.origin = "log.other.example".to_owned())
        });
    }
}

//! Signatures and entries that are about something else, though each is right by itself.

use crypto::{Hash, HashAlgorithm, KeyKind};
use serde_json::{Value, json};

use super::{List, bases, other_key};
use crate::certificate::{self};
use crate::json::{at, base64};
use crate::key::Key;
use crate::log::{Kind, hash_output, pem};
use crate::scene::{Format, Scene};

pub(super) fn signatures(list: &mut List) {
    let bad = "BadSignature";
    for (name, scene) in bases() {
        for signer in ["keyless", "pinned"] {
            let scene = if signer == "pinned" { scene.clone().pinned() } else { scene.clone() };
            list.add(bad, format!("a damaged signature, logged ({name}, {signer})"), {
                scene.on_signature(|signature| certificate::damage(signature))
            });
        }
    }
    list.add(
        bad,
        "the v2 entry states another scheme",
        Scene::v2().on_leaf(|leaf| {
            let verifier = "/spec/hashedRekordV002/signature/verifier/keyDetails";
            *at(leaf, verifier) = Value::from("PKIX_ECDSA_P384_SHA_384");
        }),
    );
    list.add(bad, "the v2 dsse entry states another scheme", {
        Scene::statement(Kind::DsseV2).on_leaf(|leaf| {
            let verifier = "/spec/dsseV002/signatures/0/verifier/keyDetails";
            *at(leaf, verifier) = Value::from("PKIX_ECDSA_P384_SHA_384");
        })
    });
}

/// Where a leaf of each kind keeps the digest, the signature and the verifier.
fn places(kind: Kind) -> (&'static str, &'static str, &'static str) {
    match kind {
        Kind::HashedRekordV1 | Kind::RekordV1 => {
            ("/spec/data/hash", "/spec/signature/content", "/spec/signature/publicKey/content")
        }
        Kind::DsseV1 => {
            ("/spec/payloadHash", "/spec/signatures/0/signature", "/spec/signatures/0/verifier")
        }
        Kind::IntotoV2 => (
            "/spec/content/payloadHash",
            "/spec/content/envelope/signatures/0/sig",
            "/spec/content/envelope/signatures/0/publicKey",
        ),
        Kind::HashedRekordV2 => (
            "/spec/hashedRekordV002/data",
            "/spec/hashedRekordV002/signature/content",
            "/spec/hashedRekordV002/signature/verifier",
        ),
        Kind::DsseV2 => (
            "/spec/dsseV002/payloadHash",
            "/spec/dsseV002/signatures/0/content",
            "/spec/dsseV002/signatures/0/verifier",
        ),
        Kind::IntotoV1 => panic!("this kind has no signature to change"),
    }
}

/// Entries about another signature, signer or content, properly logged: every kind of entry with
/// promise, proof and both, for keyless and pinned signers, in every format that takes them.
pub(super) fn bindings(list: &mut List) {
    let mismatch = "EntryMismatch";
    for (name, base) in bases() {
        let kind = base.entries[0].kind;
        for (evidence, promise, proof) in
            [("promise", true, false), ("proof", false, true), ("both", true, true)]
        {
            if kind.is_v2() && evidence != "proof" {
                continue;
            }
            for signer in ["keyless", "pinned"] {
                for format in Format::ALL {
                    // What a version demands must be there, or the bundle is not one.
                    let demanded = if format == Format::V0_1 { promise } else { proof };
                    if !demanded {
                        continue;
                    }
                    let scene = || {
                        let scene = base.clone().in_format(format).with(|scene| {
                            scene.entries[0].promise = promise;
                            scene.entries[0].proof = proof;
                            // A proof alone says no time.
                            scene.timestamps = usize::from(!promise);
                        });
                        if signer == "pinned" { scene.pinned() } else { scene }
                    };
                    let label =
                        |what: &str| format!("{what} ({name}, {evidence}, {signer}, {format:?})");
                    let (digest, signature, verifier) = places(kind);
                    list.add(mismatch, label("an entry about another digest"), {
                        scene().on_leaf(move |leaf| other_digest(at(leaf, digest)))
                    });
                    list.add(mismatch, label("an entry about another signature"), {
                        scene().on_leaf(move |leaf| {
                            let other = other_key().sign(b"an artifact\n");
                            let text = base64(&other);
                            let twice = kind == Kind::IntotoV2;
                            let text = if twice { base64(text.as_bytes()) } else { text };
                            *at(leaf, signature) = Value::from(text);
                        })
                    });
                    list.add(mismatch, label("an entry about another key"), {
                        scene().on_leaf(move |leaf| other_verifier(kind, at(leaf, verifier)))
                    });
                }
            }
        }
    }
    list.add(
        mismatch,
        "a certificate's entry that holds only its key",
        Scene::v1().on_leaf(|leaf| {
            let key = Key::named("signer", KeyKind::EcdsaP256);
            *at(leaf, "/spec/signature/publicKey/content") =
                Value::from(base64(pem("PUBLIC KEY", &key.spki()).as_bytes()));
        }),
    );
    list.add(mismatch, "an entry about a statement of another type", {
        Scene::statement(Kind::IntotoV2).on_leaf(|leaf| {
            *at(leaf, "/spec/content/envelope/payloadType") = Value::from("text/plain");
        })
    });
    // Kinds that record something else.
    for (what, kind) in [("v1 dsse", Kind::DsseV1), ("v1 intoto", Kind::IntotoV2)] {
        list.add("WrongEntryKind", format!("a {what} entry about a message"), {
            Scene::v1().logged_as(kind)
        });
    }
    list.add("WrongEntryKind", "a v2 dsse entry about a message", {
        Scene::v2().logged_as(Kind::DsseV2)
    });
    list.add("WrongEntryKind", "a v1 hashedrekord entry about a statement", {
        Scene::statement(Kind::DsseV1).logged_as(Kind::HashedRekordV1)
    });
}

fn other_digest(place: &mut Value) {
    let hash = Hash::of(HashAlgorithm::Sha256, b"another artifact");
    *place = if place.get("value").is_some() {
        json!({"algorithm": "sha256", "value": hex::encode(hash.as_bytes())})
    } else {
        hash_output(&hash)
    };
}

fn other_verifier(kind: Kind, place: &mut Value) {
    let spki = other_key().spki();
    if kind.is_v2() {
        *place = json!({
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "publicKey": {"rawBytes": base64(&spki)},
        });
    } else {
        *place = Value::from(base64(pem("PUBLIC KEY", &spki).as_bytes()));
    }
}

//! What holds is accepted, and every valid part of somebody else's is refused, for every kind of entry,
//! content and signer.

use crypto::{HashAlgorithm, KeyKind};
use evidence::cosign::Layer;
use evidence::{Digest, Evidence};
use serde_json::{Value, json};
use testkit::clock::{CERTIFIED_FROM, CERTIFIED_TO, SIGNED_AT};
use testkit::cosign::{CERTIFICATE, LOG_ENTRY, SIGNATURE, TIMESTAMP};
use testkit::json::at;
use testkit::log::Kind;
use testkit::{Instance, Key, Scene, Sealed, Signer};
use verify::{Artifact, EntryPart, Piece, Refusal, Said};

use super::{cells, judge, piece, prove, prove_layer, refused, verifier};
use crate::judging::{authority, policy, variant};

#[test]
fn every_way_is_accepted_with_every_kind_of_key() {
    let kinds = [
        KeyKind::EcdsaP256,
        KeyKind::EcdsaP384,
        KeyKind::EcdsaP521,
        KeyKind::Rsa { bits: 2048 },
        KeyKind::Ed25519,
    ];
    for (name, scene) in cells() {
        for kind in kinds {
            let scene = scene.clone().with_key(kind);
            let claim =
                prove(&scene).unwrap_or_else(|refusal| panic!("{name}, {kind}: {refusal:?}"));
            assert_eq!(claim.entries()[0].promised_time().unwrap().seconds(), SIGNED_AT);
            assert_eq!(*claim.digest(), Digest::sha256(&scene.artifact));
        }
    }
}

/// Cosign signed with SHA-256 whatever the key; our own keys do not, so these were made elsewhere,
/// over the statement of [`Scene::cosign_attestation`].
#[test]
fn attestations_by_larger_curves_with_sha_256_are_accepted() {
    const P384: &str = "30650230278a60d637dcc16504be21f168c23d9cf9235d89fab2351503e8def612b68f6a55\
        6e4517f13371be6b0c6ad6011e19ba023100b0d5c2563f0a306dca12023cef1ef24aa6f806f27f63eec1ee1cfe\
        49f53a0ead57b97a1c0753394ab3818367430fd05e";
    const P521: &str = "3081870242010ee50f660d2b30b33da971005b6323982ffaab6ef1ba9711cceca36d555e52\
        3a6fa2bd1701c434026e16f203077c2ca3b5e5f410045c35c277160a62e273ed6d2e024177adf1b0bcd7307495\
        1f11522d69b7a970ddf86bc6766ad080ba91d6f1c661f8b12cdc8d82b7cdd5bd6d3cae47616779ec4f6a7151fb\
        a2418ed843d0b5d382d53d";
    for (kind, signature) in [(KeyKind::EcdsaP384, P384), (KeyKind::EcdsaP521, P521)] {
        let signature = hex::decode(signature).unwrap();
        for logged in [Kind::DsseV1, Kind::IntotoV1, Kind::IntotoV2] {
            let signature = signature.clone();
            let scene = Scene::cosign_attestation(logged)
                .with_key(kind)
                .on_signature(move |own| own.clone_from(&signature));
            prove(&scene).unwrap_or_else(|refusal| panic!("{kind}, {logged:?}: {refusal:?}"));
            if logged != Kind::IntotoV1 {
                // In a bundle nobody ever did: there the key's own hash counts.
                let bundle = scene.with(|scene| scene.entries[0].proof = true);
                assert_eq!(crate::judging::prove(&bundle).unwrap_err(), Refusal::BadSignature);
            }
        }
    }
}

#[test]
fn timestamps_are_over_the_signature_or_over_the_envelope() {
    for (name, scene) in cells() {
        let stamped = scene.clone().with(|scene| scene.timestamps = 1);
        assert_eq!(prove(&stamped).unwrap().times().len(), 2, "{name}");
        let whole = stamped.clone().with(|scene| scene.stamps_envelope = true);
        let attestation = scene.content == testkit::Content::Statement;
        match prove(&whole) {
            Ok(claim) => assert!(attestation && claim.times().len() == 2, "{name}"),
            Err(refusal) => {
                assert_eq!((attestation, &*variant(&refusal)), (false, "TimestampImprint"))
            }
        }
        let other = stamped.on_token(|token| token.imprint_of = b"another signature".to_vec());
        assert_eq!(refused(&other), "TimestampImprint", "{name}");
    }
    // In a bundle a timestamp is over the signature and nothing else.
    let bundle = Scene::statement(Kind::DsseV1).with(|scene| {
        scene.timestamps = 1;
        scene.stamps_envelope = true;
    });
    assert_eq!(variant(&crate::judging::prove(&bundle).unwrap_err()), "TimestampImprint");
}

/// CVE-2022-23649, CVE-2022-36056, CVE-2026-22703: the log entry was not compared with signature,
/// key and content, or on one path only.
#[test]
fn a_valid_entry_of_another_signature_is_refused_in_every_cell() {
    assert_eq!(cells().len(), 10);
    for (name, scene) in cells() {
        let another_key = Key::named("another signer", scene.key.kind());
        let others: [(&str, Scene); 3] = [
            ("another signature of the same", scene.clone()),
            ("another image", scene.clone().with(|scene| scene.artifact.push(b'!'))),
            ("another key", scene.clone().with(|scene| scene.key = another_key)),
        ];
        for (what, other) in others {
            let mut sealed = scene.seal_layer();
            let donor = other.seal_layer();
            prove_layer(&other, &donor)
                .unwrap_or_else(|refusal| panic!("{name}, {what}, whole: {refusal:?}"));
            let entry = donor.annotations[LOG_ENTRY].clone();
            assert_ne!(entry, sealed.annotations[LOG_ENTRY]);
            sealed.annotations.insert(LOG_ENTRY.to_owned(), entry);
            let outcome = prove_layer(&scene, &sealed);
            assert!(
                matches!(outcome, Err(Refusal::EntryMismatch { index: 0, .. })),
                "{name}, {what}: {outcome:?}"
            );
        }
    }
}

/// A log that records what it should not, field by field: what differs is named.
#[test]
fn an_entry_about_another_payload_signature_or_signer_is_refused() {
    let key = Key::named("another signer", KeyKind::EcdsaP256);
    let pem = testkit::json::base64(testkit::log::pem("PUBLIC KEY", &key.spki()).as_bytes());
    for kind in [Kind::HashedRekordV1, Kind::RekordV1] {
        for (pointer, value, what) in [
            ("/spec/data/hash/value", "0".repeat(64), EntryPart::Payload),
            ("/spec/signature/content", testkit::json::base64(b"another"), EntryPart::Signature),
            ("/spec/signature/publicKey/content", pem.clone(), EntryPart::Signer),
        ] {
            for scene in [Scene::cosign(), Scene::cosign().pinned()] {
                let (value, pointer) = (value.clone(), pointer.to_owned());
                let scene = scene.logged_as(kind).on_leaf(move |leaf| {
                    *at(leaf, &pointer) = value.clone().into();
                });
                let wanted = Refusal::EntryMismatch { index: 0, what };
                assert_eq!(prove(&scene).unwrap_err(), wanted, "{kind:?}");
            }
        }
    }
}

/// An entry of a v2 log, which no layer should hold, is not taken for one of a v1 log.
#[test]
fn an_entry_of_a_v2_log_is_of_the_wrong_kind() {
    let donor = Scene::v2().seal();
    let sealed = Scene::cosign().seal_layer();
    let layer = Layer {
        media_type: sealed.media_type.to_owned(),
        annotations: sealed.annotations.clone(),
        bytes: sealed.bytes.clone(),
    };
    let mut evidence = Evidence::from_cosign_layer(layer).unwrap();
    let bundle = Evidence::from_bundle(&donor.bundle_json()).unwrap();
    evidence.entries = bundle.entries;
    evidence.timestamps = Vec::new();
    let scene = Scene::cosign().pinned();
    let piece = Piece { source: "made".to_owned(), evidence: Ok(evidence) };
    let policy = policy(vec![authority(&scene, &verifier(&sealed))]);
    let artifact = Artifact::from_digest(Digest::sha256(&sealed.artifact));
    let refusal = judge(&scene, &policy, piece, &artifact).unwrap_err();
    assert_eq!(variant(&refusal), "WrongEntryKind");
}

/// The same for everything else that could be taken from another valid layer.
#[test]
fn every_part_of_another_layer_is_refused() {
    for (name, scene) in cells() {
        let scene = scene.with(|scene| scene.timestamps = 1);
        let other = scene.clone().with(|scene| {
            scene.artifact.push(b'!');
            scene.key = Key::named("another signer", scene.key.kind());
        });
        let donor = other.seal_layer();
        for part in [SIGNATURE, CERTIFICATE, TIMESTAMP] {
            let mut sealed = scene.seal_layer();
            let Some(theirs) = donor.annotations.get(part).filter(|text| !text.is_empty()) else {
                continue;
            };
            sealed.annotations.insert(part.to_owned(), theirs.clone());
            let outcome = prove_layer(&scene, &sealed);
            assert!(outcome.is_err(), "{name}, {part}");
        }
        let mut sealed = scene.seal_layer();
        sealed.bytes.clone_from(&donor.bytes);
        assert!(prove_layer(&scene, &sealed).is_err(), "{name}, content");
        // The whole of it, presented for this image.
        let mut sealed = other.seal_layer();
        sealed.artifact.clone_from(&scene.artifact);
        let outcome = prove_layer(&other, &sealed);
        assert!(matches!(outcome, Err(Refusal::WrongArtifact { .. })), "{name}: {outcome:?}");
    }
}

/// Kinds of entries that say nothing about such a content, or nothing about its signature.
#[test]
fn entries_of_kinds_that_cannot_be_about_it_are_refused() {
    for kind in [Kind::DsseV1, Kind::IntotoV1, Kind::IntotoV2] {
        assert_eq!(refused(&Scene::cosign().logged_as(kind)), "WrongEntryKind");
    }
    for kind in [Kind::HashedRekordV1, Kind::RekordV1] {
        let scene = Scene::cosign_attestation(Kind::DsseV1).logged_as(kind);
        assert_eq!(refused(&scene), "WrongEntryKind");
    }
    // In a bundle there is no document for the oldest kind to be about.
    for signer in [Signer::Keyless, Signer::Pinned] {
        let scene = Scene::statement(Kind::IntotoV1).with(|scene| scene.signer = signer);
        let refusal = crate::judging::prove(&scene).unwrap_err();
        assert_eq!(variant(&refusal), "WrongEntryKind");
    }
    let message = Scene::v1().logged_as(Kind::IntotoV1);
    assert_eq!(variant(&crate::judging::prove(&message).unwrap_err()), "WrongEntryKind");
    crate::judging::prove(&Scene::v1().logged_as(Kind::RekordV1)).unwrap();
}

/// The oldest entries do not state the payload's digest; those that do state the right one.
#[test]
fn the_oldest_attestations() {
    let kind = Kind::IntotoV1;
    let without = Scene::cosign_attestation(kind)
        .on_leaf(|leaf| testkit::json::remove(leaf, "/spec/content/payloadHash"));
    prove(&without).unwrap();
    let other = Scene::cosign_attestation(kind).on_leaf(|leaf| {
        *at(leaf, "/spec/content/payloadHash/value") = "0".repeat(64).into();
    });
    assert_eq!(refused(&other), "EntryMismatch");
    let signer = Scene::cosign_attestation(kind).on_leaf(|leaf| {
        let key = Key::named("another signer", KeyKind::EcdsaP256);
        let pem = testkit::log::pem("PUBLIC KEY", &key.spki());
        *at(leaf, "/spec/publicKey") = testkit::json::base64(pem.as_bytes()).into();
    });
    assert_eq!(refused(&signer), "EntryMismatch");
    // One byte that no JSON reader sees: the entry is about the document, not about its meaning.
    let scene = Scene::cosign_attestation(kind);
    let mut sealed = scene.seal_layer();
    sealed.bytes.push(b'\n');
    let outcome = prove_layer(&scene, &sealed);
    assert!(
        matches!(outcome, Err(Refusal::EntryMismatch { what: EntryPart::Envelope, .. })),
        "{outcome:?}"
    );
}

/// CVE-2026-39395: an error in the payload was passed over.
#[test]
fn cve_2026_39395_payloads_that_say_something_else() {
    fn payload(change: fn(&mut Value)) -> Scene {
        Scene::cosign().on_payload(change)
    }
    let malformed: [fn(&mut Value); 8] = [
        |payload| *payload = json!([]),
        |payload| *payload = json!({}),
        |payload| testkit::json::remove(payload, "/critical/image"),
        |payload| testkit::json::remove(payload, "/critical/type"),
        |payload| *at(payload, "/critical/type") = "atomic container signature".into(),
        |payload| *at(payload, "/critical/type") = "".into(),
        |payload| *at(payload, "/critical/image/docker-manifest-digest") = "sha256:abc".into(),
        |payload| {
            let digest = at(payload, "/critical/image/docker-manifest-digest");
            *digest = digest.as_str().unwrap().to_uppercase().into();
        },
    ];
    for change in malformed {
        assert_eq!(refused(&payload(change)), "MalformedPayload");
    }
    let other: fn(&mut Value) = |payload| {
        *at(payload, "/critical/image/docker-manifest-digest") =
            format!("sha256:{}", "0".repeat(64)).into();
    };
    assert_eq!(refused(&payload(other)), "WrongArtifact");
    let other: fn(&mut Value) = |payload| {
        *at(payload, "/critical/image/docker-manifest-digest") =
            format!("sha512:{}", "0".repeat(128)).into();
    };
    assert_eq!(refused(&payload(other)), "DigestNotKnown");
    // What is beside the claim does not matter.
    let more: fn(&mut Value) = |payload| {
        payload["future"] = json!({"a": 1});
        *at(payload, "/critical/identity/docker-reference") = "another.example/name".into();
    };
    prove(&payload(more)).unwrap();
}

/// The right digest under another algorithm's name is no digest of the image.
#[test]
fn a_digest_is_one_of_its_algorithm() {
    let scene = Scene::cosign();
    let sealed = scene.seal_layer();
    let policy = policy(vec![authority(&scene, &verifier(&sealed))]);
    let only_512 = crypto::Hash::of(HashAlgorithm::Sha512, &sealed.artifact);
    let artifact = Artifact::from_digest(Digest::from(only_512));
    let refusal = judge(&scene, &policy, piece(&sealed), &artifact).unwrap_err();
    assert_eq!(refusal, Refusal::DigestNotKnown { wanted: HashAlgorithm::Sha256 });
}

#[test]
fn what_is_missing_is_missed() {
    for (name, scene) in cells() {
        let without = |part: &'static str| {
            scene.clone().on_annotations(move |annotations| {
                annotations.remove(part);
            })
        };
        assert_eq!(refused(&without(LOG_ENTRY)), "NotLogged", "{name}");
        let empty = scene.clone().on_annotations(|annotations| {
            annotations.insert(LOG_ENTRY.to_owned(), String::new());
        });
        assert_eq!(refused(&empty), "NotLogged", "{name}");
        if scene.signer == Signer::Keyless {
            assert_eq!(refused(&without(CERTIFICATE)), "NoCertificate", "{name}");
        }
        if scene.content == testkit::Content::SimpleSigning {
            assert_eq!(refused(&without(SIGNATURE)), "Malformed", "{name}");
        } else {
            prove(&without(SIGNATURE)).unwrap();
        }
    }
}

#[test]
fn promises_of_others_and_times_outside_are_refused() {
    for (name, scene) in cells() {
        let damaged = scene.clone().on_promise(|promise| promise.damaged = true);
        assert_eq!(refused(&damaged), "BadPromise", "{name}");
        let forged = scene.clone().on_promise(|promise| {
            promise.signed_by = Key::named("another log", KeyKind::EcdsaP256);
        });
        assert_eq!(refused(&forged), "BadPromise", "{name}");
        let stranger = scene.clone().on_promise(|promise| {
            let instance = Instance::named("stranger");
            promise.log_id = instance.log_v1_id();
            promise.signed_by = instance.log_v1_key;
        });
        // The entry still names the log that the scene's instance has.
        assert_eq!(refused(&stranger), "BadPromise", "{name}");
        for field in ["integratedTime", "logIndex"] {
            let edited = scene.clone().on_annotations(move |annotations| {
                let entry = annotations.get_mut(LOG_ENTRY).unwrap();
                let mut json: Value = serde_json::from_str(entry).unwrap();
                let number = json["Payload"][field].as_i64().unwrap();
                json["Payload"][field] = (number + 1).into();
                *entry = json.to_string();
            });
            assert_eq!(refused(&edited), "BadPromise", "{name}, {field}");
        }
        if scene.signer == Signer::Keyless {
            for (seconds, inside) in [
                (CERTIFIED_FROM - 1, false),
                (CERTIFIED_FROM, true),
                (CERTIFIED_TO, true),
                (CERTIFIED_TO + 1, false),
            ] {
                let scene = scene.clone().with(|scene| scene.signed_at = seconds);
                let outcome = prove(&scene).map_err(|refusal| variant(&refusal));
                let wanted = (!inside).then(|| "NotValidAtTime".to_owned());
                assert_eq!(outcome.err(), wanted, "{name}, {seconds}");
            }
        }
    }
}

/// CVE-2026-48816 in the older form: a time that nobody promised is no time, and an entry that
/// nobody promised or proved is none.
#[test]
fn an_entry_without_a_promise_is_none() {
    for (name, scene) in cells() {
        let scene = scene.on_annotations(|annotations| {
            let entry = annotations.get_mut(LOG_ENTRY).unwrap();
            let mut json: Value = serde_json::from_str(entry).unwrap();
            json["SignedEntryTimestamp"] = "".into();
            *entry = json.to_string();
        });
        assert_eq!(refused(&scene), "Malformed", "{name}");
    }
}

#[test]
fn the_signer_must_be_the_one_wanted() {
    for (name, scene) in cells() {
        let wrong = scene.clone().with(|scene| {
            scene.wanted_subject = "somebody else".to_owned();
            scene.wanted_key = Some(Key::named("another signer", KeyKind::EcdsaP256));
        });
        let refusal = refused(&wrong);
        // A pinned key that is another's: the entry is not about it.
        assert!(["WrongIdentity", "EntryMismatch"].contains(&&*refusal), "{name}: {refusal}");
    }
}

#[test]
fn a_claim_says_what_was_said() {
    let claim = prove(&Scene::cosign()).unwrap();
    let Said::SimpleSigning(said) = claim.said() else { panic!("simple signing") };
    assert_eq!(said.image, Digest::sha256(&Scene::cosign().artifact));
    assert_eq!(said.reference, "registry.testkit.example/acme/app");
    assert!(claim.statement().is_none() && claim.annotations().is_none());
    let claim = prove(&Scene::cosign_attestation(Kind::DsseV1)).unwrap();
    assert!(matches!(claim.said(), Said::Statement(_)) && claim.statement().is_some());
}

/// Cosign's older bundle for blobs, with both contents, both signers, and swapped entries.
#[test]
fn blob_bundles_are_proven_and_bound() {
    let messages = [Kind::HashedRekordV1, Kind::RekordV1];
    let messages = messages.map(|kind| Scene::v1().logged_as(kind));
    let statements = [Kind::DsseV1, Kind::IntotoV1, Kind::IntotoV2].map(Scene::statement);
    for scene in messages.into_iter().chain(statements) {
        for scene in [scene.clone(), scene.pinned()] {
            let outcome = |scene: &Scene, bundle: &Value, roots: &Value| {
                let verifier = Sealed {
                    bundle: Value::Null,
                    trust_root: roots.clone(),
                    artifact: scene.artifact.clone(),
                    key: scene.key.clone(),
                    certificate: None,
                };
                let evidence = Evidence::from_file(bundle.to_string().as_bytes());
                let piece = Piece { source: "blob".to_owned(), evidence };
                let policy = policy(vec![authority(scene, &verifier)]);
                judge(scene, &policy, piece, &Artifact::from_bytes(&scene.artifact))
            };
            let (bundle, roots) = scene.seal_blob();
            outcome(&scene, &bundle, &roots).unwrap_or_else(|r| panic!("{scene:?}: {r:?}"));
            for other in [
                scene.clone(),
                scene.clone().with(|scene| scene.artifact.push(b'!')),
                scene.clone().with(|scene| scene.key = Key::named("other", scene.key.kind())),
            ] {
                let (donor, donor_roots) = other.seal_blob();
                outcome(&other, &donor, &donor_roots).unwrap();
                let mut mixed = bundle.clone();
                mixed["rekorBundle"] = donor["rekorBundle"].clone();
                let refusal = outcome(&scene, &mixed, &roots).unwrap_err();
                assert_eq!(variant(&refusal), "EntryMismatch", "{scene:?}");
            }
            let mut unlogged = bundle.clone();
            testkit::json::remove(&mut unlogged, "/rekorBundle");
            assert_eq!(outcome(&scene, &unlogged, &roots).unwrap_err(), Refusal::NotLogged);
        }
    }
}

//! What is not taken in, and why: one row a reason, and every field wrong in every way.

use crypto::{KeyKind, Scheme};
use serde_json::{Value, json};
use testkit::json::{at, base64, every_field_wrong, unbase64};
use testkit::log::{Kind, not_a_certificate, pem};
use testkit::{Key, Submission};
use tlog::LeafError;
use tlog::intake::v2::DssePolicy;
use tlog::intake::{Refused, v1, v2};

use crate::intake::{KINDS, propose};

/// The refusal of a request that was right before `change`.
#[track_caller]
fn refusal(kind: Kind, change: impl FnOnce(&mut Value)) -> Refused {
    let mut request = Submission::new(kind, KeyKind::EcdsaP256).with_certificate().request();
    propose(kind, &request).unwrap();
    change(&mut request);
    propose(kind, &request).unwrap_err()
}

/// Where each kind has its signature.
fn signature_at(kind: Kind) -> &'static str {
    match kind {
        Kind::HashedRekordV1 => "/spec/signature/content",
        Kind::DsseV1 => "/spec/proposedContent/envelope",
        Kind::IntotoV2 => "/spec/content/envelope/signatures/0/sig",
        Kind::HashedRekordV2 => "/hashedRekordRequestV002/signature/content",
        Kind::DsseV2 => "/dsseRequestV002/envelope/signatures/0/sig",
        Kind::IntotoV1 | Kind::RekordV1 => panic!("no log here takes {kind:?} any more"),
    }
}

/// Changes the bytes of the signature, through all that they are wrapped in.
fn change_signature(kind: Kind, request: &mut Value, change: impl FnOnce(&mut Vec<u8>)) {
    let place = at(request, signature_at(kind));
    match kind {
        Kind::DsseV1 => {
            let mut envelope: Value = serde_json::from_str(place.as_str().unwrap()).unwrap();
            testkit::json::change_bytes(&mut envelope, "/signatures/0/sig", change);
            *place = envelope.to_string().into();
        }
        Kind::IntotoV2 => {
            let once = String::from_utf8(unbase64(place)).unwrap();
            let mut signature = unbase64(&once.into());
            change(&mut signature);
            *place = base64(base64(&signature).as_bytes()).into();
        }
        _ => testkit::json::change_bytes(request, signature_at(kind), change),
    }
}

#[test]
fn a_signature_that_does_not_verify_is_refused_in_every_kind() {
    for kind in KINDS {
        let refused = refusal(kind, |request| {
            change_signature(kind, request, |signature| *signature.last_mut().unwrap() ^= 1);
        });
        assert_eq!(refused, Refused::BadSignature { index: 0 }, "{kind:?}");
    }
}

#[test]
fn a_signature_over_something_else_is_refused_in_every_kind() {
    let other =
        |request: &mut Value, pointer: &str| *at(request, pointer) = base64(b"other").into();
    let bad = Refused::BadSignature { index: 0 };
    let refused = refusal(Kind::HashedRekordV1, |request| {
        *at(request, "/spec/data/hash/value") = hex::encode([7; 32]).into();
    });
    assert_eq!(refused, bad);
    let refused = refusal(Kind::DsseV1, |request| {
        let place = at(request, "/spec/proposedContent/envelope");
        let mut envelope: Value = serde_json::from_str(place.as_str().unwrap()).unwrap();
        other(&mut envelope, "/payload");
        *place = envelope.to_string().into();
    });
    assert_eq!(refused, bad);
    let refused = refusal(Kind::IntotoV2, |request| {
        *at(request, "/spec/content/envelope/payload") = base64(base64(b"other").as_bytes()).into();
    });
    assert_eq!(refused, bad);
    let refused = refusal(Kind::HashedRekordV2, |request| {
        *at(request, "/hashedRekordRequestV002/digest") = base64(&[7; 32]).into();
    });
    assert_eq!(refused, bad);
    let refused = refusal(Kind::DsseV2, |request| {
        other(request, "/dsseRequestV002/envelope/payload");
    });
    assert_eq!(refused, bad);
    // The payload type is signed as well.
    let refused = refusal(Kind::DsseV2, |request| {
        *at(request, "/dsseRequestV002/envelope/payloadType") = "text/plain".into();
    });
    assert_eq!(refused, bad);
}

#[test]
fn a_signature_by_another_key_is_refused_in_every_kind() {
    let other = Key::named("somebody else", KeyKind::EcdsaP256);
    let pem = base64(pem("PUBLIC KEY", &other.spki()).as_bytes());
    let raw = json!({
        "publicKey": {"rawBytes": base64(&other.spki())},
        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
    });
    for (kind, pointer, value) in [
        (Kind::HashedRekordV1, "/spec/signature/publicKey/content", json!(pem)),
        (Kind::DsseV1, "/spec/proposedContent/verifiers/0", json!(pem)),
        (Kind::IntotoV2, "/spec/content/envelope/signatures/0/publicKey", json!(pem)),
        (Kind::HashedRekordV2, "/hashedRekordRequestV002/signature/verifier", raw.clone()),
        (Kind::DsseV2, "/dsseRequestV002/verifiers/0", raw),
    ] {
        let refused = refusal(kind, |request| *at(request, pointer) = value);
        assert_eq!(refused, Refused::BadSignature { index: 0 }, "{kind:?}");
    }
}

/// Every signature must verify: a log that kept one that does not would lend it its name.
#[test]
fn one_bad_signature_among_good_ones_is_refused() {
    let bad = json!({"sig": base64(&[0x30, 6, 2, 1, 1, 2, 1, 1])});
    let refused = refusal(Kind::DsseV1, |request| {
        let place = at(request, "/spec/proposedContent/envelope");
        let mut envelope: Value = serde_json::from_str(place.as_str().unwrap()).unwrap();
        at(&mut envelope, "/signatures").as_array_mut().unwrap().push(bad.clone());
        *place = envelope.to_string().into();
    });
    assert_eq!(refused, Refused::BadSignature { index: 1 });
    let refused = refusal(Kind::DsseV2, |request| {
        at(request, "/dsseRequestV002/envelope/signatures").as_array_mut().unwrap().push(bad);
    });
    assert_eq!(refused, Refused::BadSignature { index: 1 });
    let refused = refusal(Kind::IntotoV2, |request| {
        let signatures = at(request, "/spec/content/envelope/signatures").as_array_mut().unwrap();
        let mut second = signatures[0].clone();
        second["sig"] = base64(base64(&[0x30, 6, 2, 1, 1, 2, 1, 1]).as_bytes()).into();
        signatures.push(second);
    });
    assert_eq!(refused, Refused::BadSignature { index: 1 });
}

#[test]
fn ten_signatures_or_keys_are_taken_and_eleven_are_not() {
    let too_many = |what| Refused::TooMany { what, max: 10 };
    let repeat = |list: &mut Value, count: usize| {
        let first = list[0].clone();
        *list = vec![first; count].into();
    };
    for count in [10, 11] {
        let mut request = Submission::new(Kind::DsseV1, KeyKind::EcdsaP256).request();
        repeat(at(&mut request, "/spec/proposedContent/verifiers"), count);
        let wanted = too_many("spec.proposedContent.verifiers");
        assert_eq!(propose(Kind::DsseV1, &request).err(), (count > 10).then_some(wanted));

        let mut request = Submission::new(Kind::DsseV1, KeyKind::EcdsaP256).request();
        let place = at(&mut request, "/spec/proposedContent/envelope");
        let mut envelope: Value = serde_json::from_str(place.as_str().unwrap()).unwrap();
        repeat(at(&mut envelope, "/signatures"), count);
        *place = envelope.to_string().into();
        let wanted = too_many("envelope.signatures");
        assert_eq!(propose(Kind::DsseV1, &request).err(), (count > 10).then_some(wanted));

        let mut request = Submission::new(Kind::IntotoV2, KeyKind::EcdsaP256).request();
        repeat(at(&mut request, "/spec/content/envelope/signatures"), count);
        let wanted = too_many("spec.content.envelope.signatures");
        assert_eq!(propose(Kind::IntotoV2, &request).err(), (count > 10).then_some(wanted));

        for (pointer, what) in [
            ("/dsseRequestV002/verifiers", "verifiers"),
            ("/dsseRequestV002/envelope/signatures", "envelope.signatures"),
        ] {
            let mut request = Submission::new(Kind::DsseV2, KeyKind::EcdsaP256).request();
            repeat(at(&mut request, pointer), count);
            assert_eq!(
                propose(Kind::DsseV2, &request).err(),
                (count > 10).then_some(too_many(what))
            );
        }
    }
}

#[test]
fn what_only_the_log_may_say_is_refused() {
    for field in ["envelopeHash", "payloadHash", "signatures"] {
        let refused = refusal(Kind::DsseV1, |request| {
            at(request, "/spec")[field] = json!({"algorithm": "sha256", "value": "00"});
        });
        assert!(matches!(refused, Refused::NotYours { .. }), "{field}: {refused}");
    }
}

#[test]
fn kinds_and_versions_that_are_not_served_are_named_in_the_refusal() {
    for (kind, version) in [("rekord", "0.0.1"), ("hashedrekord", "0.0.2"), ("intoto", "0.0.1")] {
        let refused = refusal(Kind::HashedRekordV1, |request| {
            request["kind"] = kind.into();
            request["apiVersion"] = version.into();
        });
        let (kind, version) = (kind.to_owned(), version.to_owned());
        assert_eq!(refused, Refused::UnsupportedKind { kind, version });
    }
    let long = refusal(Kind::HashedRekordV1, |request| request["kind"] = "k".repeat(9999).into());
    assert!(long.to_string().len() < 200, "{long}");
}

#[test]
fn an_envelope_is_refused_by_a_log_that_takes_none() {
    let request = Submission::new(Kind::DsseV2, KeyKind::EcdsaP256).request().to_string();
    v2::propose(request.as_bytes(), DssePolicy::Accept).unwrap();
    let refused = v2::propose(request.as_bytes(), DssePolicy::Refuse).unwrap_err();
    assert!(matches!(refused, Refused::UnsupportedKind { .. }), "{refused}");
    let message = Submission::new(Kind::HashedRekordV2, KeyKind::EcdsaP256).request().to_string();
    v2::propose(message.as_bytes(), DssePolicy::Refuse).unwrap();
}

#[test]
fn a_v2_request_is_of_exactly_one_kind() {
    let message = Submission::new(Kind::HashedRekordV2, KeyKind::EcdsaP256).request();
    let mut both = Submission::new(Kind::DsseV2, KeyKind::EcdsaP256).request();
    both["hashedRekordRequestV002"] = message["hashedRekordRequestV002"].clone();
    for request in [both, json!({})] {
        let refused = propose(Kind::DsseV2, &request).unwrap_err();
        assert!(matches!(refused, Refused::Field { field: "request", .. }), "{refused}");
    }
}

#[test]
fn unknown_fields_are_refused_in_v2_at_every_depth() {
    for kind in [Kind::HashedRekordV2, Kind::DsseV2] {
        let request = Submission::new(kind, KeyKind::EcdsaP256).with_certificate().request();
        let mut objects = vec![String::new()];
        objects.extend(every_field_wrong(&request).into_iter().map(|wrong| wrong.pointer));
        objects.dedup();
        let mut found = 0;
        for pointer in objects {
            let mut request = request.clone();
            let Some(object) = at(&mut request, &pointer).as_object_mut() else { continue };
            object.insert("unknown".to_owned(), 1.into());
            let refused = propose(kind, &request).unwrap_err();
            assert!(matches!(refused, Refused::Json(_)), "{pointer}: {refused}");
            found += 1;
        }
        assert!(found >= 4, "{found} objects in {kind:?}");
    }
}

#[test]
fn a_v2_key_signs_with_the_one_algorithm_that_its_details_name() {
    let pointer = "/hashedRekordRequestV002/signature/verifier/keyDetails";
    let with_details = |key: KeyKind, details: &str| {
        let mut request = Submission::new(Kind::HashedRekordV2, key).request();
        *at(&mut request, pointer) = details.into();
        propose(Kind::HashedRekordV2, &request).unwrap_err()
    };
    // Known, but not taken by v2 logs.
    for (key, details) in [
        (KeyKind::Ed25519, "PKIX_ED25519"),
        (KeyKind::Rsa { bits: 2048 }, "PKIX_RSA_PSS_2048_SHA256"),
        (KeyKind::Rsa { bits: 2048 }, "PKIX_RSA_PKCS1V5"),
        (KeyKind::EcdsaP384, "PKIX_ECDSA_P384_SHA_256"),
        (KeyKind::EcdsaP521, "PKIX_ECDSA_P521_SHA_256"),
    ] {
        let refused = with_details(key, details);
        assert!(matches!(refused, Refused::NotPermitted { .. }), "{details}: {refused}");
    }
    // Not those of the key.
    for (key, details) in [
        (KeyKind::EcdsaP256, "PKIX_ECDSA_P384_SHA_384"),
        (KeyKind::EcdsaP256, "PKIX_ED25519_PH"),
        (KeyKind::Rsa { bits: 2048 }, "PKIX_RSA_PKCS1V15_3072_SHA256"),
        // Not at all.
        (KeyKind::EcdsaP256, "PUBLIC_KEY_DETAILS_UNSPECIFIED"),
        (KeyKind::EcdsaP256, "rot13"),
    ] {
        let refused = with_details(key, details);
        assert!(matches!(refused, Refused::KeyDetails(_)), "{details}: {refused}");
    }
}

/// The same signature under the details of Ed25519ph proves nothing: it is not over a prehash.
#[test]
fn pure_ed25519_does_not_pass_for_ed25519ph() {
    let submission =
        Submission::new(Kind::DsseV2, KeyKind::Ed25519).with_scheme(Scheme::Ed25519).request();
    assert!(matches!(propose(Kind::DsseV2, &submission), Err(Refused::NotPermitted { .. })));
    let mut relabelled = submission;
    *at(&mut relabelled, "/dsseRequestV002/verifiers/0/keyDetails") = "PKIX_ED25519_PH".into();
    assert_eq!(propose(Kind::DsseV2, &relabelled).unwrap_err(), Refused::BadSignature { index: 0 });
}

#[test]
fn a_digest_has_the_length_of_its_keys_hash() {
    for (key, length) in [
        (KeyKind::EcdsaP256, 31),
        (KeyKind::EcdsaP256, 48),
        (KeyKind::EcdsaP384, 32),
        (KeyKind::EcdsaP521, 32),
        (KeyKind::Ed25519, 32),
    ] {
        let mut request = Submission::new(Kind::HashedRekordV2, key).request();
        *at(&mut request, "/hashedRekordRequestV002/digest") = base64(&vec![7; length]).into();
        let refused = propose(Kind::HashedRekordV2, &request).unwrap_err();
        assert!(matches!(refused, Refused::Field { field: "digest", .. }), "{key}: {refused}");
    }
}

#[test]
fn what_is_no_key_or_certificate_is_refused_as_such() {
    let key = Key::named("intake", KeyKind::EcdsaP256);
    let place = "/spec/signature/publicKey/content";
    let with = |text: &str| {
        let text = base64(text.as_bytes());
        refusal(Kind::HashedRekordV1, |request| *at(request, place) = text.into())
    };
    let broken = with(&pem("CERTIFICATE", &not_a_certificate()));
    assert!(matches!(broken, Refused::Certificate(_)), "{broken}");
    let broken = with(&pem("PUBLIC KEY", &not_a_certificate()));
    assert!(matches!(broken, Refused::Key(_)), "{broken}");
    for text in [
        "no PEM".to_owned(),
        pem("PRIVATE KEY", &key.spki()),
        // Two blocks: a chain is not one signer.
        pem("PUBLIC KEY", &key.spki()).repeat(2),
    ] {
        let refused = with(&text);
        assert!(matches!(refused, Refused::Field { field: "public key", .. }), "{refused}");
    }
    let verifier = "/hashedRekordRequestV002/signature/verifier";
    let refused = refusal(Kind::HashedRekordV2, |request| {
        *at(request, &format!("{verifier}/x509Certificate/rawBytes")) =
            base64(&not_a_certificate()).into();
    });
    assert!(matches!(refused, Refused::Certificate(_)), "{refused}");
    let refused = refusal(Kind::HashedRekordV2, |request| {
        at(request, verifier)["publicKey"] = json!({"rawBytes": base64(&key.spki())});
    });
    assert!(matches!(refused, Refused::Field { field: "verifier", .. }), "{refused}");
}

/// Entry bundles write lengths in 16 bits. A request of any length may become such an entry.
#[test]
fn an_entry_that_no_bundle_can_hold_is_refused() {
    let submission =
        Submission::new(Kind::DsseV1, KeyKind::EcdsaP256).with_large_certificate(30_000);
    let mut request = submission.request();
    propose(Kind::DsseV1, &request).unwrap();
    let place = at(&mut request, "/spec/proposedContent/envelope");
    let mut envelope: Value = serde_json::from_str(place.as_str().unwrap()).unwrap();
    // ECDSA signs differently each time, and each signature stands beside its certificate.
    let second = json!({"sig": base64(&submission.signature())});
    at(&mut envelope, "/signatures").as_array_mut().unwrap().push(second);
    *place = envelope.to_string().into();
    let refused = propose(Kind::DsseV1, &request).unwrap_err();
    assert!(matches!(refused, Refused::Leaf(LeafError::TooLong { .. })), "{refused}");
}

#[test]
fn a_field_given_twice_is_refused() {
    let request = Submission::new(Kind::HashedRekordV1, KeyKind::EcdsaP256).request().to_string();
    let twice = request.replacen(r#""kind":"#, r#""kind":"dsse","kind":"#, 1);
    assert!(matches!(v1::propose(twice.as_bytes()), Err(Refused::Json(_))));
    let request = Submission::new(Kind::HashedRekordV2, KeyKind::EcdsaP256).request().to_string();
    let twice =
        request.replacen(r#""keyDetails":"#, r#""key_details":"PKIX_ED25519_PH","keyDetails":"#, 1);
    assert!(matches!(v2::propose(twice.as_bytes(), DssePolicy::Accept), Err(Refused::Json(_))));
}

/// Serde would take a list for a structure, which no other reader of these requests does: somebody
/// else would see another request, or none.
#[test]
fn a_list_in_the_place_of_an_object_is_refused() {
    for kind in KINDS {
        let request = Submission::new(kind, KeyKind::EcdsaP256).with_certificate().request();
        let mut objects = vec![String::new()];
        objects.extend(every_field_wrong(&request).into_iter().map(|wrong| wrong.pointer));
        objects.dedup();
        let mut found = 0;
        for pointer in objects {
            let mut request = request.clone();
            let place = at(&mut request, &pointer);
            let Some(object) = place.as_object() else { continue };
            // In whatever order the fields stand in the structure.
            let values: Vec<_> = object.values().cloned().collect();
            for list in orders(&values) {
                *at(&mut request, &pointer) = list.into();
                let refused = propose(kind, &request).unwrap_err();
                assert!(matches!(refused, Refused::Json(_)), "{kind:?} {pointer}: {refused}");
            }
            found += 1;
        }
        assert!(found >= 3, "{found} objects in {kind:?}");
    }
    // In the envelope that v1 has as text, too.
    let mut request = Submission::new(Kind::DsseV1, KeyKind::EcdsaP256).request();
    let place = at(&mut request, "/spec/proposedContent/envelope");
    let envelope: Value = serde_json::from_str(place.as_str().unwrap()).unwrap();
    let list = json!([envelope["payload"], envelope["payloadType"], envelope["signatures"]]);
    *place = list.to_string().into();
    assert!(matches!(propose(Kind::DsseV1, &request), Err(Refused::Json(_))));
}

/// Every order of a few values; the given one and its reverse of many.
fn orders(values: &[Value]) -> Vec<Vec<Value>> {
    if values.len() > 4 {
        return vec![values.to_vec(), values.iter().rev().cloned().collect()];
    }
    let mut orders = vec![Vec::new()];
    for value in values {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<Value>| {
                (0..=order.len()).map(move |place| {
                    let mut order = order.clone();
                    order.insert(place, value.clone());
                    order
                })
            })
            .collect();
    }
    orders
}

/// The log computes the payload's hash; a client that is wrong about it is told so. The envelope's
/// hash is the client's word and is kept, as in Rekor, whose schema knows SHA-256 only.
#[test]
fn intoto_states_the_hash_of_its_own_payload_or_none() {
    let submission = Submission::new(Kind::IntotoV2, KeyKind::EcdsaP256);
    let (request, leaf) = submission.request_and_leaf();
    let with = |field: &str, algorithm: &str, value: String| {
        let mut request = request.clone();
        at(&mut request, "/spec/content")[field] = json!({"algorithm": algorithm, "value": value});
        request
    };
    let right = hex::encode(crypto::sha256(&submission.content));
    let request = with("payloadHash", "sha256", right.clone());
    assert_eq!(propose(Kind::IntotoV2, &request).unwrap().canonical, leaf.as_bytes());
    let wrong = with("payloadHash", "sha256", hex::encode([7; 32]));
    assert_eq!(
        propose(Kind::IntotoV2, &wrong).unwrap_err(),
        Refused::OtherDigest {
            field: "spec.content.payloadHash",
            wanted: Box::new(format!("sha256:{right}").parse().unwrap()),
            found: Box::new(format!("sha256:{}", hex::encode([7; 32])).parse().unwrap()),
        }
    );
    for (field, algorithm, value) in [
        ("payloadHash", "sha512", hex::encode([7; 64])),
        ("payloadHash", "sha256", "7".to_owned()),
        ("hash", "sha512", hex::encode([7; 64])),
    ] {
        let refused = propose(Kind::IntotoV2, &with(field, algorithm, value)).unwrap_err();
        assert!(matches!(refused, Refused::Field { .. }), "{field} {algorithm}: {refused}");
    }
}

#[test]
fn a_refusal_repeats_little_of_the_request() {
    let long = format!(r#"{{"kind": 7, "apiVersion": "{}"}}"#, "x".repeat(100_000));
    for json in [long.as_bytes(), b"\xff\xfe", b"", &b"[".repeat(100_000)] {
        for refused in
            [v1::propose(json).unwrap_err(), v2::propose(json, DssePolicy::Accept).unwrap_err()]
        {
            assert!(matches!(refused, Refused::Json(_)), "{refused}");
            assert!(refused.to_string().len() < 300, "{refused}");
        }
    }
}

#[test]
fn every_field_wrong_in_every_way_is_refused() {
    for kind in KINDS {
        for submission in [
            Submission::new(kind, KeyKind::EcdsaP256),
            Submission::new(kind, KeyKind::EcdsaP256).with_certificate(),
        ] {
            let wrongs = every_field_wrong(&submission.request());
            assert!(wrongs.len() > 50, "{} wrong requests", wrongs.len());
            for wrong in wrongs {
                let taken = propose(kind, &wrong.document);
                assert!(taken.is_err(), "{kind:?}: {} is {}", wrong.pointer, wrong.how);
            }
        }
    }
}

//! The transparency log's v2 API over HTTP, every answer verified as its clients verify it.

use crypto::{KeyKind, Scheme};
use evidence::LogEntry;
use serde_json::{Value, json};
use testkit::Submission;
use testkit::json::{at, base64, every_field_wrong};
use testkit::log::Kind;

use crate::instance::{Instance, Place};
use crate::trust::{EntryV2, verify_entry_v2};
use crate::wire::exchange;

const ENTRIES: &str = "/api/v2/log/entries";

const KEY_KINDS: [KeyKind; 7] = [
    KeyKind::EcdsaP256,
    KeyKind::EcdsaP384,
    KeyKind::EcdsaP521,
    KeyKind::Rsa { bits: 2048 },
    KeyKind::Rsa { bits: 3072 },
    KeyKind::Rsa { bits: 4096 },
    KeyKind::Ed25519,
];

#[track_caller]
fn append(instance: &Instance, request: &Value) -> EntryV2 {
    let answer = instance.post(ENTRIES, request).wanted(201);
    let entry = verify_entry_v2(&answer.json(), &instance.trust());
    // What our own clients read of it is the same.
    let parsed = LogEntry::from_json(&answer.body).unwrap();
    assert_eq!((parsed.log_index, &parsed.canonical_body), (entry.index, &entry.body));
    entry
}

fn submission(content: &str) -> Submission {
    Submission::new(Kind::HashedRekordV2, KeyKind::EcdsaP256).about(content.as_bytes())
}

#[test]
fn every_kind_of_key_is_logged_and_proven() {
    let place = Place::new();
    let instance = place.start();
    let mut index = 0;
    for kind in [Kind::HashedRekordV2, Kind::DsseV2] {
        for key in KEY_KINDS {
            let submission = Submission::new(kind, key);
            for submission in [submission.clone(), submission.with_certificate()] {
                let (request, leaf) = submission.request_and_leaf();
                let entry = append(&instance, &request);
                assert_eq!(String::from_utf8(entry.body).unwrap(), leaf);
                assert_eq!(entry.index, index);
                index += 1;
            }
        }
    }
}

#[test]
fn the_same_entry_again_is_the_same_entry() {
    let place = Place::new();
    let instance = place.start();
    let request = submission("again").request();
    let first = append(&instance, &request);
    append(&instance, &submission("between").request());
    let again = append(&instance, &request);
    assert_eq!((again.index, again.body), (first.index, first.body));
    assert_ne!(again.checkpoint, first.checkpoint, "the proof is of the newest tree");
}

#[test]
fn what_is_not_taken_in_is_refused_with_the_reason() {
    let place = Place::new();
    let instance = place.start();
    let right = submission("right").request();
    let verifier = "/hashedRekordRequestV002/signature/verifier";
    let changed = |pointer: &str, value: Value| {
        let mut request = right.clone();
        *at(&mut request, pointer) = value;
        request
    };
    let unknown = {
        let mut request = right.clone();
        request["hashedRekordRequestV002"]["unknown"] = 1.into();
        request
    };
    let both = {
        let mut request = Submission::new(Kind::DsseV2, KeyKind::EcdsaP256).request();
        request["hashedRekordRequestV002"] = right["hashedRekordRequestV002"].clone();
        request
    };
    let pure = Submission::new(Kind::DsseV2, KeyKind::Ed25519).with_scheme(Scheme::Ed25519);
    for (what, request, reason) in [
        ("an unknown field", unknown, "unknown field `unknown`"),
        ("both kinds", both, "exactly one kind of entry"),
        ("nothing", json!({}), "exactly one kind of entry"),
        (
            "a short digest",
            changed("/hashedRekordRequestV002/digest", base64(&[7; 31]).into()),
            "`digest`",
        ),
        (
            "a long digest",
            changed("/hashedRekordRequestV002/digest", base64(&[7; 48]).into()),
            "`digest`",
        ),
        (
            "another digest",
            changed("/hashedRekordRequestV002/digest", base64(&[7; 32]).into()),
            "signature 0 does not verify",
        ),
        ("pure Ed25519", pure.request(), "PKIX_ED25519 is not taken here"),
        (
            "another algorithm",
            changed(&format!("{verifier}/keyDetails"), "PKIX_ECDSA_P384_SHA_384".into()),
            "the key details",
        ),
        ("no verifier", changed(verifier, json!({})), "keyDetails"),
    ] {
        let answer = instance.post(ENTRIES, &request);
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        assert_eq!(answer.json()["code"], 3, "{what}");
        assert_eq!(answer.json()["details"], json!([]), "{what}");
        assert!(answer.message().contains(reason), "{what}: {}", answer.message());
    }
    for body in [&b""[..], b"null", b"[]", b"{", b"\xff"] {
        exchange(instance.address(), "POST", ENTRIES, &[], body).unwrap().wanted(400).message();
    }
    assert_eq!(append(&instance, &right).index, 0);
}

#[test]
fn envelopes_are_refused_where_the_operator_says_so() {
    let place = Place::new();
    let instance = place.start_with(&["--log-v2-dsse", "refuse"]).unwrap();
    let envelope = Submission::new(Kind::DsseV2, KeyKind::EcdsaP256).request();
    let answer = instance.post(ENTRIES, &envelope).wanted(400);
    assert!(answer.message().contains("kind `dsse` version `0.0.2`"), "{}", answer.text());
    assert_eq!(append(&instance, &submission("a message").request()).index, 0);
}

/// Whatever is wrong with a request, it is the requester's fault.
#[test]
fn every_field_wrong_in_every_way_is_refused() {
    let place = Place::new();
    let instance = place.start();
    let mut sent = 0;
    for kind in [Kind::HashedRekordV2, Kind::DsseV2] {
        let submission = Submission::new(kind, KeyKind::EcdsaP256);
        for submission in [submission.clone(), submission.with_certificate()] {
            for wrong in every_field_wrong(&submission.request()) {
                let answer = instance.post(ENTRIES, &wrong.document);
                let (what, how) = (&wrong.pointer, wrong.how);
                assert!([400, 413].contains(&answer.status), "{what} is {how}: {}", answer.text());
                assert!(answer.message().len() < 400, "{what} is {how}: {}", answer.text());
                sent += 1;
            }
        }
    }
    println!("{sent} wrong requests");
    assert_eq!(append(&instance, &submission("still alive").request()).index, 0);
}

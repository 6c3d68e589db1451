//! Statements about another artifact, and signers that are not wanted.

use crypto::{Hash, HashAlgorithm};
use serde_json::{Value, json};

use super::{List, other_key};
use crate::certificate::{self, ExtensionDraft};
use crate::instance::SUBJECT;
use crate::json::{at, base64, change_bytes, remove};
use crate::log::{Kind, hash_output};
use crate::scene::Scene;

pub(super) fn statements(list: &mut List) {
    let scene = || Scene::statement(Kind::DsseV1);
    let wrong = "WrongArtifact";
    list.add(
        wrong,
        "a message signature's digest of another artifact",
        Scene::v1().on_bundle(|bundle| {
            let other = hash_output(&Hash::of(HashAlgorithm::Sha256, b"another"));
            bundle["messageSignature"]["messageDigest"] = other;
        }),
    );
    for kind in [Kind::DsseV1, Kind::IntotoV2, Kind::HashedRekordV2, Kind::DsseV2] {
        list.add(wrong, format!("a statement about another artifact ({kind:?})"), {
            Scene::statement(kind).on_statement(|statement| {
                *at(statement, "/subject/0/digest/sha256") = Value::from("0".repeat(64));
            })
        });
    }
    list.add(
        wrong,
        "the right digest under another algorithm's name",
        scene().on_statement(|statement| {
            let digest = at(statement, "/subject/0/digest");
            let right = digest["sha256"].clone();
            *digest = json!({"sha512": right});
        }),
    );
    list.add(wrong, "the right digest beside a wrong one in another algorithm", {
        scene().on_statement(|statement| {
            at(statement, "/subject/0/digest")["sha512"] = Value::from("0".repeat(128));
        })
    });
    list.add(
        wrong,
        "the right digest in upper case",
        scene().on_statement(|statement| {
            let digest = at(statement, "/subject/0/digest/sha256");
            *digest = Value::from(digest.as_str().expect("a text").to_uppercase());
        }),
    );
    list.add(
        wrong,
        "a digest of an unknown algorithm only",
        scene().on_statement(|statement| {
            *at(statement, "/subject/0/digest") = json!({"blake3": "00"});
        }),
    );
    list.add(
        "NotAStatement",
        "an envelope of another type",
        scene().on_envelope(|envelope| {
            envelope.payload_type = "text/plain".to_owned();
        }),
    );
    list.add("NotAStatement", "a payload type spelled with other letters", {
        scene().on_envelope(|envelope| {
            // U+0161 ends in the byte 0x61, which is `a`.
            envelope.payload_type = envelope.payload_type.replacen('a', "\u{161}", 1);
        })
    });
    let malformed = "MalformedStatement";
    list.add(
        malformed,
        "a payload that is not JSON",
        scene().on_envelope(|envelope| {
            envelope.payload = b"not JSON".to_vec();
        }),
    );
    list.add(
        malformed,
        "an unknown kind of statement",
        scene().on_statement(|statement| {
            statement["_type"] = Value::from("https://in-toto.io/Statement/v2");
        }),
    );
    list.add(
        malformed,
        "a statement without subject",
        scene().on_statement(|statement| {
            statement["subject"] = json!([]);
        }),
    );
    list.add(
        malformed,
        "a subject without digest",
        scene().on_statement(|statement| {
            *at(statement, "/subject/0/digest") = json!({});
        }),
    );
    list.add(
        malformed,
        "1,025 subjects",
        scene().on_statement(|statement| {
            let subject = statement["subject"][0].clone();
            statement["subject"] = Value::from(vec![subject; 1_025]);
        }),
    );
    list.add(
        malformed,
        "33 digests",
        scene().on_statement(|statement| {
            let digests = at(statement, "/subject/0/digest");
            (0..32).for_each(|number| digests[format!("made up {number}")] = Value::from("00"));
        }),
    );
    list.add(
        malformed,
        "a digest algorithm twice",
        scene().on_envelope(|envelope| {
            let text = String::from_utf8(envelope.payload.clone()).expect("JSON");
            let twice = text.replacen(r#"{"sha256":"#, r#"{"sha256":"00","sha256":"#, 1);
            assert_ne!(text, twice, "the digest was there");
            envelope.payload = twice.into_bytes();
        }),
    );
    list.add(
        malformed,
        "a field twice",
        scene().on_envelope(|envelope| {
            let text = String::from_utf8(envelope.payload.clone()).expect("JSON");
            let twice = text.replacen(
                "\"predicateType\":",
                "\"predicateType\":\"x\",\"predicateType\":",
                1,
            );
            assert_ne!(text, twice, "the field was there");
            envelope.payload = twice.into_bytes();
        }),
    );
    list.add("EntryMismatch", "a payload written anew after it was signed", {
        Scene::statement(Kind::DsseV1).on_bundle(|bundle| {
            change_bytes(bundle, "/dsseEnvelope/payload", |payload| payload.push(b'\n'));
        })
    });
    list.add("EntryMismatch", "a payload type changed after it was signed (v2)", {
        Scene::statement(Kind::HashedRekordV2).on_bundle(|bundle| {
            bundle["dsseEnvelope"]["payloadType"] = Value::from("application/json");
        })
    });
    list.add("BadSignature", "a payload type changed after it was signed (v1)", {
        Scene::statement(Kind::DsseV1).on_bundle(|bundle| {
            bundle["dsseEnvelope"]["payloadType"] = Value::from("application/json");
        })
    });
}

/// What somebody else's right signature meets.
pub(super) fn wants(list: &mut List) {
    let wrong = "WrongIdentity";
    list.add(
        wrong,
        "another subject",
        Scene::v1().on_certificate(|certificate| {
            certificate.put(ExtensionDraft::names(&[certificate::email("mallory@example.com")]));
        }),
    );
    list.add(
        wrong,
        "a subject that is longer",
        Scene::v1().on_certificate(|certificate| {
            let longer = format!("{}0", SUBJECT);
            certificate.put(ExtensionDraft::names(&[certificate::uri(&longer)]));
        }),
    );
    list.add(
        wrong,
        "another identity provider",
        Scene::v1().on_certificate(|certificate| {
            certificate.put(ExtensionDraft::fulcio(1, "https://token.other.example"));
            certificate.put(ExtensionDraft::fulcio(8, "https://token.other.example"));
        }),
    );
    list.add(
        "EntryMismatch",
        "another key than the pinned one",
        Scene::v1().pinned().with(|scene| {
            scene.wanted_key = Some(other_key());
        }),
    );
    list.add("WrongKey", "a certificate where another key is pinned", {
        // The verifier pins a key; the bundle brings a certificate for another.
        Scene::v1().pinned().with(|scene| scene.wanted_key = Some(other_key())).on_bundle(
            |bundle| {
                let certificate = Scene::v1().seal().certificate.expect("keyless");
                remove(bundle, "/verificationMaterial/publicKey");
                bundle["verificationMaterial"]["certificate"] =
                    json!({"rawBytes": base64(&certificate)});
            },
        )
    });
}

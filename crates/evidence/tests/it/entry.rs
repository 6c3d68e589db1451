//! Log entries: leaves of every kind, what is bounded, and what every field may hold.

use crypto::merkle::PROOF_HASHES_MAX;
use crypto::{HashAlgorithm, KeyKind};
use evidence::entry::{BODY_SIZE_MAX, Body, ParseEntryError, Verifier};
use evidence::{Digest, LogEntry};
use serde_json::{Value, json};
use testkit::json::{at, base64, canonical, every_field_wrong, remove};
use testkit::log::{Kind, pem};
use testkit::{Key, Scene};

fn scene(kind: Kind) -> Scene {
    match kind {
        Kind::HashedRekordV1 => Scene::v1(),
        Kind::RekordV1 => Scene::v1().logged_as(kind),
        Kind::HashedRekordV2 => Scene::v2(),
        kind => Scene::statement(kind),
    }
}

/// The leaf of a scene logged as that kind.
fn leaf(kind: Kind) -> Value {
    leaf_of(&scene(kind))
}

/// Signatures in forms that no bundle and no layer holds.
#[test]
fn a_rekord_is_signed_by_a_bare_key_or_certificate() {
    for format in ["pgp", "minisign", "ssh", "X509", ""] {
        let error =
            refused(Kind::RekordV1, |leaf| leaf["spec"]["signature"]["format"] = format.into());
        assert_eq!(error, ParseEntryError::SignatureFormat { found: format.to_owned() });
    }
}

fn leaf_of(scene: &Scene) -> Value {
    let mut sealed = scene.seal();
    let body = testkit::json::unbase64(&sealed.entries_mut()[0]["canonicalizedBody"]);
    serde_json::from_slice(&body).unwrap()
}

fn parse(leaf: &Value) -> Result<Body, ParseEntryError> {
    Body::parse(leaf.to_string().as_bytes())
}

fn refused(kind: Kind, change: impl FnOnce(&mut Value)) -> ParseEntryError {
    let mut leaf = leaf(kind);
    parse(&leaf).expect("right before it is changed");
    change(&mut leaf);
    parse(&leaf).expect_err("wrong after")
}

#[test]
fn every_kind_reads_and_writes_the_same() {
    for kind in Kind::ALL.into_iter().chain(Kind::OLDEST) {
        for scene in [scene(kind), scene(kind).pinned()] {
            let leaf = leaf_of(&scene);
            let body = parse(&leaf).unwrap();
            assert_eq!(body.kind_and_version(), kind.names());
            let written = match &body {
                Body::HashedRekordV1(record) => record.to_leaf(),
                Body::HashedRekordV2(record) => record.to_leaf(),
                Body::DsseV1(record) => record.to_leaf(),
                Body::DsseV2(record) => record.to_leaf(),
                Body::IntotoV1(record) => record.to_leaf(),
                Body::IntotoV2(record) => record.to_leaf(),
                Body::RekordV1(record) => record.to_leaf(),
            };
            assert_eq!(String::from_utf8(written).unwrap(), canonical(&leaf), "{kind:?}");
        }
    }
}

#[test]
fn a_leaf_says_what_was_signed_and_by_whom() {
    let scene = Scene::v1();
    let sealed = scene.seal();
    let mut sealed_too = sealed.clone();
    let body = testkit::json::unbase64(&sealed_too.entries_mut()[0]["canonicalizedBody"]);
    let Body::HashedRekordV1(record) = Body::parse(&body).unwrap() else { panic!("the kind") };
    assert_eq!(record.digest, Digest::sha256(&scene.artifact));
    assert_eq!(record.verifier, Verifier::Certificate(sealed.certificate.clone().unwrap()));
    let signature = &sealed.bundle["messageSignature"]["signature"];
    assert_eq!(Value::from(base64(&record.signature)), *signature);
}

#[test]
fn an_entry_reads_and_writes_the_same() {
    for kind in Kind::ALL.into_iter().chain(Kind::OLDEST) {
        let mut sealed = scene(kind).seal();
        let json = sealed.entries_mut()[0].clone();
        let entry = LogEntry::from_json(json.to_string().as_bytes()).unwrap();
        let again = LogEntry::from_json(&entry.to_json()).unwrap();
        assert_eq!(format!("{entry:?}"), format!("{again:?}"));
    }
}

#[test]
fn the_promised_data_is_what_the_log_signed() {
    let instance = testkit::Instance::default();
    let mut sealed = Scene::v1().seal();
    let json = sealed.entries_mut()[0].clone();
    let mut entry = LogEntry::from_json(json.to_string().as_bytes()).unwrap();
    let data = entry.promised_data().unwrap();
    let key = instance.log_v1_key.public();
    let message = crypto::Message::Bytes(&data);
    key.verify(key.default_scheme(), message, entry.promise.as_ref().unwrap()).unwrap();
    entry.integrated_time = None;
    assert_eq!(entry.promised_data(), None);
}

#[test]
fn unknown_kinds_and_versions_are_refused() {
    for (kind, version) in [
        ("hashedrekord", "0.0.3"),
        ("hashedrekord", ""),
        ("HashedRekord", "0.0.1"),
        ("intoto", "0.0.3"),
        ("rekord", "0.0.2"),
        ("alpine", "0.0.1"),
        ("dsse", "1.0.0"),
    ] {
        let error = refused(Kind::HashedRekordV1, |leaf| {
            leaf["kind"] = Value::from(kind);
            leaf["apiVersion"] = Value::from(version);
        });
        let (kind, version) = (kind.to_owned(), version.to_owned());
        assert_eq!(error, ParseEntryError::UnsupportedKind { kind, version });
    }
}

#[test]
fn a_leaf_is_bounded() {
    let leaf = canonical(&leaf(Kind::HashedRekordV2));
    let mut fits = leaf.into_bytes();
    fits.resize(BODY_SIZE_MAX, b' ');
    Body::parse(&fits).unwrap();
    fits.push(b' ');
    assert_eq!(Body::parse(&fits), Err(ParseEntryError::TooLong { found: BODY_SIZE_MAX + 1 }));
}

#[test]
fn signatures_on_a_leaf_are_counted() {
    for (kind, pointer) in [
        (Kind::DsseV1, "/spec/signatures"),
        (Kind::DsseV2, "/spec/dsseV002/signatures"),
        (Kind::IntotoV2, "/spec/content/envelope/signatures"),
    ] {
        let signatures = |count: usize| {
            let mut leaf = leaf(kind);
            let list = at(&mut leaf, pointer);
            *list = Value::from(vec![list[0].clone(); count]);
            parse(&leaf)
        };
        signatures(10).unwrap();
        assert_eq!(signatures(0), Err(ParseEntryError::NoSignature), "{kind:?}");
        assert_eq!(signatures(11), Err(ParseEntryError::TooManySignatures { max: 10 }), "{kind:?}");
    }
}

#[test]
fn signatures_digests_and_verifiers_must_be_what_they_are_called() {
    let bad_base64 = |error: &ParseEntryError| matches!(error, ParseEntryError::BadBase64 { .. });
    let json = |error: &ParseEntryError| matches!(error, ParseEntryError::Json(_));
    let digest = |error: &ParseEntryError| matches!(error, ParseEntryError::BadDigest { .. });
    let verifier = |error: &ParseEntryError| *error == ParseEntryError::BadVerifier;
    let none = |error: &ParseEntryError| *error == ParseEntryError::NoSignature;
    let details = |error: &ParseEntryError| matches!(error, ParseEntryError::KeyDetails(_));
    let twice = |text: &str| base64(text.as_bytes());
    let other_pem = base64(pem("PRIVATE KEY", &[1, 2, 3]).as_bytes());
    type Judge<'a> = &'a dyn Fn(&ParseEntryError) -> bool;
    let cases: &[(Kind, &str, Value, Judge<'_>)] = &[
        (Kind::HashedRekordV1, "/spec/signature/content", json!("?"), &bad_base64),
        (Kind::HashedRekordV1, "/spec/signature/content", json!(""), &none),
        (Kind::HashedRekordV1, "/spec/signature/publicKey/content", json!("?"), &bad_base64),
        (Kind::HashedRekordV1, "/spec/signature/publicKey/content", json!("AAAA"), &verifier),
        (Kind::HashedRekordV1, "/spec/signature/publicKey/content", json!(other_pem), &verifier),
        (Kind::HashedRekordV1, "/spec/data/hash/algorithm", json!("md5"), &digest),
        (Kind::HashedRekordV1, "/spec/data/hash/algorithm", json!("sha512"), &digest),
        (Kind::HashedRekordV1, "/spec/data/hash/value", json!("00"), &digest),
        (Kind::DsseV1, "/spec/payloadHash/value", json!("zz"), &digest),
        (Kind::DsseV1, "/spec/envelopeHash/value", json!("zz"), &digest),
        (Kind::DsseV1, "/spec/signatures/0/signature", json!(""), &none),
        (Kind::DsseV1, "/spec/signatures/0/signature", json!("?"), &bad_base64),
        (Kind::DsseV1, "/spec/signatures/0/verifier", json!("?"), &bad_base64),
        (Kind::IntotoV2, "/spec/content/envelope/signatures/0/sig", json!("?"), &bad_base64),
        (Kind::IntotoV2, "/spec/content/envelope/signatures/0/sig", json!(twice("?")), &bad_base64),
        (Kind::IntotoV2, "/spec/content/envelope/signatures/0/sig", json!(""), &none),
        (Kind::IntotoV2, "/spec/content/envelope/signatures/0/publicKey", json!("?"), &bad_base64),
        (Kind::IntotoV2, "/spec/content/hash/value", json!("zz"), &digest),
        (Kind::IntotoV2, "/spec/content/payloadHash/value", json!("zz"), &digest),
        (Kind::HashedRekordV2, "/spec/hashedRekordV002/data/algorithm", json!("SHA1"), &digest),
        (Kind::HashedRekordV2, "/spec/hashedRekordV002/data/algorithm", json!("SHA2_512"), &digest),
        (Kind::HashedRekordV2, "/spec/hashedRekordV002/data/digest", json!("AAAA"), &digest),
        (Kind::HashedRekordV2, "/spec/hashedRekordV002/signature/content", json!(""), &none),
        (Kind::HashedRekordV2, "/spec/hashedRekordV002/signature/content", json!("?"), &json),
        (
            Kind::HashedRekordV2,
            "/spec/hashedRekordV002/signature/verifier/keyDetails",
            json!("PKIX_ED448"),
            &details,
        ),
        (Kind::DsseV2, "/spec/dsseV002/payloadHash/digest", json!("AAAA"), &digest),
        (Kind::DsseV2, "/spec/dsseV002/signatures/0/content", json!(""), &none),
    ];
    for (kind, pointer, value, wanted) in cases {
        let error = refused(*kind, |leaf| *at(leaf, pointer) = value.clone());
        assert!(wanted(&error), "{kind:?} {pointer}: {error:?}");
    }
    let verifier_v2 = "/spec/hashedRekordV002/signature/verifier";
    let both = refused(Kind::HashedRekordV2, |leaf| {
        at(leaf, verifier_v2)["publicKey"] = json!({"rawBytes": "AAAA"});
    });
    assert_eq!(both, ParseEntryError::BadVerifier);
    let neither = refused(Kind::HashedRekordV2, |leaf| {
        remove(leaf, &format!("{verifier_v2}/x509Certificate"));
    });
    assert_eq!(neither, ParseEntryError::BadVerifier);
}

#[test]
fn a_v1_hash_may_be_in_either_case() {
    let mut leaf = leaf(Kind::HashedRekordV1);
    let value = at(&mut leaf, "/spec/data/hash/value");
    *value = Value::from(value.as_str().unwrap().to_uppercase());
    let Body::HashedRekordV1(record) = parse(&leaf).unwrap() else { panic!("the kind") };
    assert_eq!(record.digest, Digest::sha256(&Scene::v1().artifact));
}

#[test]
fn hashes_of_every_algorithm_are_read() {
    let kinds = [
        (KeyKind::EcdsaP384, HashAlgorithm::Sha384),
        (KeyKind::EcdsaP521, HashAlgorithm::Sha512),
        (KeyKind::Ed25519, HashAlgorithm::Sha512),
    ];
    for (kind, algorithm) in kinds {
        for scene in [Scene::v1(), Scene::v2()] {
            let digest = match parse(&leaf_of(&scene.with_key(kind))).unwrap() {
                Body::HashedRekordV1(record) => record.digest,
                Body::HashedRekordV2(record) => record.digest,
                other => panic!("{other:?}"),
            };
            assert_eq!(digest.algorithm(), algorithm);
        }
    }
}

#[test]
fn an_entry_says_what_its_leaf_is() {
    let entry = |change: &dyn Fn(&mut Value)| {
        let mut sealed = Scene::v2().seal();
        let mut json = sealed.entries_mut()[0].clone();
        change(&mut json);
        LogEntry::from_json(json.to_string().as_bytes())
    };
    entry(&|_| ()).unwrap();
    let error = entry(&|json| json["kindVersion"]["version"] = json!("0.0.1")).unwrap_err();
    let stated = "hashedrekord 0.0.1".to_owned();
    let found = "hashedrekord 0.0.2".to_owned();
    assert_eq!(error, ParseEntryError::KindMismatch { stated, found });
    for (pointer, field) in [
        ("/logId", "log identifier"),
        ("/logId/keyId", "log identifier"),
        ("/kindVersion", "kind and version"),
        ("/kindVersion/kind", "kind"),
        ("/kindVersion/version", "version"),
        ("/canonicalizedBody", "canonicalized body"),
        ("/inclusionProof/rootHash", "root hash"),
    ] {
        let error = entry(&|json| remove(json, pointer)).unwrap_err();
        assert_eq!(error, ParseEntryError::Missing { field }, "{pointer}");
    }
    for (pointer, field) in [
        ("/logIndex", "log index"),
        ("/inclusionProof/logIndex", "leaf index"),
        ("/inclusionProof/treeSize", "tree size"),
    ] {
        let error = entry(&|json| *at(json, pointer) = json!("-1")).unwrap_err();
        assert_eq!(error, ParseEntryError::Negative { field }, "{pointer}");
        // Protobuf leaves zeros out.
        entry(&|json| remove(json, pointer)).unwrap();
    }
    let short = || json!(base64(&[7; 31]));
    for pointer in ["/inclusionProof/rootHash", "/inclusionProof/hashes/0"] {
        let error = entry(&|json| *at(json, pointer) = short()).unwrap_err();
        assert_eq!(error, ParseEntryError::BadProofHash, "{pointer}");
    }
    let hashes = |count: usize| {
        entry(&|json| json["inclusionProof"]["hashes"] = json!(vec![base64(&[7; 32]); count]))
    };
    assert_eq!(hashes(PROOF_HASHES_MAX).unwrap().proof.unwrap().hashes.len(), PROOF_HASHES_MAX);
    let error = hashes(PROOF_HASHES_MAX + 1).unwrap_err();
    assert_eq!(error, ParseEntryError::TooManyProofHashes);
    let error = entry(&|json| {
        *at(json, "/inclusionProof/checkpoint/envelope") = json!("no note");
    });
    assert!(matches!(error, Err(ParseEntryError::Checkpoint(_))), "{error:?}");
}

#[test]
fn wrong_fields_of_leaves_are_errors_never_panics() {
    for kind in Kind::ALL.into_iter().chain(Kind::OLDEST) {
        let right = leaf(kind);
        let mut refused = 0;
        for wrong in every_field_wrong(&right) {
            match parse(&wrong.document) {
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().len() < 400, "{} {}", wrong.pointer, wrong.how);
                }
                // What may be absent is stated twice: here, and in what it is the hash of.
                Ok(body) => {
                    let optional = ["/spec/content/hash", "/payloadType", "/payloadHash"];
                    let optional = optional.iter().any(|end| wrong.pointer.ends_with(end));
                    let listed =
                        ["oversize list", "a text"].iter().any(|how| wrong.how.ends_with(how));
                    let same = body == parse(&right).unwrap();
                    assert!(
                        optional || listed || !same,
                        "{kind:?} {} {}",
                        wrong.pointer,
                        wrong.how
                    );
                }
            }
        }
        assert!(refused > 50, "{kind:?}: only {refused} were refused");
    }
}

#[test]
fn keys_of_strangers_are_read_too() {
    let key = Key::named("stranger", KeyKind::EcdsaP521);
    let scene = Scene::v1().pinned().with(|scene| {
        scene.key = key.clone();
        scene.scheme = key.public().default_scheme();
    });
    let Body::HashedRekordV1(record) = parse(&leaf_of(&scene)).unwrap() else { panic!("the kind") };
    assert_eq!(record.verifier, Verifier::PublicKey(key.spki()));
    assert_eq!(record.verifier.to_pem(), pem("PUBLIC KEY", &key.spki()));
}

//! What is taken in: requests of every kind, by keys of every kind, against the leaves that
//! `testkit` writes by itself.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use crypto::{KeyKind, Scheme};
use serde_json::{Value, json};
use testkit::Submission;
use testkit::json::{at, base64, canonical};
use testkit::log::{Kind, pem};
use tlog::intake::v2::DssePolicy;
use tlog::intake::{Admitted, Refused, v1, v2};

pub(crate) const KEY_KINDS: [KeyKind; 7] = [
    KeyKind::EcdsaP256,
    KeyKind::EcdsaP384,
    KeyKind::EcdsaP521,
    KeyKind::Rsa { bits: 2048 },
    KeyKind::Rsa { bits: 3072 },
    KeyKind::Rsa { bits: 4096 },
    KeyKind::Ed25519,
];

pub(crate) const KINDS: [Kind; 5] =
    [Kind::HashedRekordV1, Kind::DsseV1, Kind::IntotoV2, Kind::HashedRekordV2, Kind::DsseV2];

pub(crate) fn propose(kind: Kind, request: &Value) -> Result<Admitted, Refused> {
    let json = request.to_string();
    if kind.is_v2() {
        v2::propose(json.as_bytes(), DssePolicy::Accept)
    } else {
        v1::propose(json.as_bytes())
    }
}

/// Takes it in, and checks that it becomes the leaf that it should.
#[track_caller]
pub(crate) fn check_taken(kind: Kind, request: &Value, leaf: &str) {
    let admitted = propose(kind, request).unwrap();
    assert_eq!(String::from_utf8(admitted.canonical.clone()).unwrap(), leaf);
    assert_eq!(admitted.body.kind_and_version(), kind.names());
    assert_eq!(evidence::entry::Body::parse(leaf.as_bytes()).unwrap(), admitted.body);
    assert_eq!(admitted.leaf.identity(), crypto::merkle::leaf_hash(leaf.as_bytes()));
}

#[test]
fn every_kind_is_taken_from_every_kind_of_key_and_becomes_the_leaf_that_others_write() {
    for kind in KINDS {
        for key in KEY_KINDS {
            let submission = Submission::new(kind, key);
            for submission in [submission.clone(), submission.with_certificate()] {
                let (request, leaf) = submission.request_and_leaf();
                check_taken(kind, &request, &leaf);
            }
        }
    }
}

/// Made by OpenSSL 3.0: key, signature over [`SHA256_MESSAGE`], and over it in an envelope of type
/// `text/plain`, each with SHA-256.
const SHA256_MESSAGE: &[u8] = b"signed with SHA-256 on a larger curve";
const P384_KEY: &str = "\
    MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE0rzhPKJ9a2k2T8ILsRaqkL++x+5vWKPoNSgytHqJF0t0BQ9Qi6JkRovW\
    k6DA10UOnyGRI0ozQ5zn0Bq22i/3DbSRVX4ZzsMDO4mEbgfPt96S/xYye+im24noyhxogMRj";
const P384_MESSAGE: &str = "\
    MGUCMQCoNO1rEjA7A7FujXS3dr2Z3tJMUuenYHNuFQFYZ9jGefJJBz133UDttnNL3rMJaPsCMHsa2/RT/rRE649T\
    L3vrRT4+dm2tXvctEUF4bSlZmzmmw7++JYDiuusED21QygfmQQ==";
const P384_ENVELOPE: &str = "\
    MGUCMQDOhDNXKb/7D82Tkl/OfdDR/e/h6vcMQGKOotjVooImRNwW/S2aCHqQ/SZOxH71lisCMEZV6DgLjkuUk1nS\
    mV02IGBtIXYbHygwjNY/RuCTBUbutvA9DucD77GZTcnqcf21UA==";
const P521_KEY: &str = "\
    MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQABmvxzXzr9ZaKXbDpj/S7F0Hfp9NZBIrpRL64ew6syzmp0mTK7DZ/\
    /6Sad4luSdXNiqhh1uv85ywmMPwpS2Zl1+UAPVilmAnYFVshoryphSfp4G4Hg8wYnmG48swiRw2KyVK+7yh9HYpX\
    FBq7pip10AhbIA5+Lm9tjaM9BsvsBGCWa3Q=";
const P521_MESSAGE: &str = "\
    MIGHAkIBKB36XnfT9ehtaSNKPLPkw2Kb5fJcTYmdT9rOZsVz7s/01mGEcGenWxJ3AfxqzIdJWA7v2TZV37/BK20C\
    54YCDYsCQSfpUB1427zIfjmYevcIM0qnuwfcf0OeCac8QGgCM1c/jSMO/rxRE2vfY1SDJCGWnVQMK0YggdNzrd4t\
    MRzcqQ9T";
const P521_ENVELOPE: &str = "\
    MIGIAkIApY9GoxygZbdOBQfEck2ISsVh0A1kqOzDhxEp87xNptx1z3GL6duvLvHogIEFVkXU3wCRtKhNTu9heFdz\
    W2edA6QCQgFyzuu/xybh9IQHk4emv+6b1Z0feHLEy8h/8enXUyfDUwH6YnnKckjEOXg+IVg1TVvTvnQ45BQo29CG\
    4oHS6Yb1MA==";

/// All that Rekor verifies, and what clients sign with that let nobody choose the hash.
#[test]
fn v1_takes_sha256_on_every_curve() {
    for (key, message, envelope) in
        [(P384_KEY, P384_MESSAGE, P384_ENVELOPE), (P521_KEY, P521_MESSAGE, P521_ENVELOPE)]
    {
        let key = base64(pem("PUBLIC KEY", &STANDARD.decode(key).unwrap()).as_bytes());
        let record = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": {"hash": {
                "algorithm": "sha256",
                "value": hex::encode(crypto::sha256(SHA256_MESSAGE)),
            }},
            "signature": {"content": message, "publicKey": {"content": key}},
        }});
        check_taken(Kind::HashedRekordV1, &record, &canonical(&record));
        let envelope = json!({
            "payload": base64(SHA256_MESSAGE),
            "payloadType": "text/plain",
            "signatures": [{"sig": envelope}],
        });
        let request = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
            "proposedContent": {"envelope": envelope.to_string(), "verifiers": [key]},
        }});
        propose(Kind::DsseV1, &request).unwrap();
    }
}

#[test]
fn keys_arrive_in_any_pem_and_leave_in_one() {
    let submission = Submission::new(Kind::HashedRekordV1, KeyKind::EcdsaP256).with_certificate();
    let (request, leaf) = submission.request_and_leaf();
    let pem = submission.pem();
    let one_line = {
        let lines: Vec<_> = pem.lines().collect();
        let (first, last) = (lines[0], lines[lines.len() - 1]);
        format!("{first}\n{}\n{last}", lines[1..lines.len() - 1].concat())
    };
    for written in [pem.trim_end().to_owned(), pem.replace('\n', "\r\n"), one_line] {
        let mut request = request.clone();
        *at(&mut request, "/spec/signature/publicKey/content") = base64(written.as_bytes()).into();
        check_taken(Kind::HashedRekordV1, &request, &leaf);
    }
}

#[test]
fn a_digest_in_capitals_becomes_small_letters() {
    let submission = Submission::new(Kind::HashedRekordV1, KeyKind::EcdsaP256);
    let (mut request, leaf) = submission.request_and_leaf();
    let value = at(&mut request, "/spec/data/hash/value");
    *value = value.as_str().unwrap().to_uppercase().into();
    check_taken(Kind::HashedRekordV1, &request, &leaf);
}

/// As `rekor_types` for Python writes a model without leaving out what is not set.
#[test]
fn null_is_the_same_as_absent() {
    let (mut request, leaf) = Submission::new(Kind::DsseV1, KeyKind::EcdsaP256).request_and_leaf();
    for field in ["signatures", "envelopeHash", "payloadHash"] {
        at(&mut request, "/spec")[field] = Value::Null;
    }
    check_taken(Kind::DsseV1, &request, &leaf);
    let (mut request, leaf) =
        Submission::new(Kind::HashedRekordV2, KeyKind::EcdsaP256).request_and_leaf();
    at(&mut request, "/hashedRekordRequestV002/signature/verifier")["x509Certificate"] =
        Value::Null;
    request["dsseRequestV002"] = Value::Null;
    check_taken(Kind::HashedRekordV2, &request, &leaf);
}

/// Protocol Buffers documentation, "ProtoJSON Format": "Parsers accept both".
#[test]
fn v2_is_read_as_protobuf_json_is() {
    let submission = Submission::new(Kind::HashedRekordV2, KeyKind::EcdsaP384).with_certificate();
    let (request, leaf) = submission.request_and_leaf();
    let mut snake_case = request.to_string();
    for (camel_case, original) in [
        ("hashedRekordRequestV002", "hashed_rekord_request_v002"),
        ("x509Certificate", "x509_certificate"),
        ("rawBytes", "raw_bytes"),
        ("keyDetails", "key_details"),
    ] {
        snake_case = snake_case.replace(camel_case, original);
    }
    check_taken(Kind::HashedRekordV2, &serde_json::from_str(&snake_case).unwrap(), &leaf);

    let mut by_number = request.clone();
    *at(&mut by_number, "/hashedRekordRequestV002/signature/verifier/keyDetails") = 12.into();
    check_taken(Kind::HashedRekordV2, &by_number, &leaf);

    let mut url_safe = request;
    for pointer in ["/hashedRekordRequestV002/digest", "/hashedRekordRequestV002/signature/content"]
    {
        let text = at(&mut url_safe, pointer);
        *text = URL_SAFE_NO_PAD.encode(STANDARD.decode(text.as_str().unwrap()).unwrap()).into();
    }
    check_taken(Kind::HashedRekordV2, &url_safe, &leaf);
}

/// An envelope of two signatures, one of them twice, in either order.
#[test]
fn the_order_of_signatures_and_keys_makes_no_other_entry_and_neither_does_repeating_one() {
    let first = Submission::new(Kind::DsseV1, KeyKind::EcdsaP256);
    let second = Submission::new(Kind::DsseV1, KeyKind::Ed25519).about(&first.content);
    let (a, b) = (first.signature(), second.signature());

    let v1 = |signatures: &[&[u8]], keys: [&Submission; 2]| {
        let mut request = first.request();
        let content = at(&mut request, "/spec/proposedContent");
        content["envelope"] = first.envelope(signatures).to_string().into();
        content["verifiers"] = keys.map(|key| base64(key.pem().as_bytes())).to_vec().into();
        let leaf = propose(Kind::DsseV1, &request).unwrap().canonical;
        let mut leaf: Value = serde_json::from_slice(&leaf).unwrap();
        // The hash of the envelope as it was submitted differs, and must.
        testkit::json::remove(&mut leaf, "/spec/envelopeHash");
        leaf
    };
    let leaf = v1(&[&a, &b], [&first, &second]);
    assert_eq!(at(&mut leaf.clone(), "/spec/signatures").as_array().unwrap().len(), 2);
    for signatures in [[&a[..], &b, &b], [&b, &a, &a], [&b, &b, &a]] {
        assert_eq!(v1(&signatures, [&first, &second]), leaf);
        assert_eq!(v1(&signatures, [&second, &first]), leaf);
    }

    let prehashed = second.clone().with_scheme(Scheme::Ed25519ph);
    let b = prehashed.signature();
    let v2 = |signatures: &[&[u8]], keys: [&Submission; 2]| {
        let request = json!({"dsseRequestV002": {
            "envelope": first.envelope(signatures),
            "verifiers": keys.map(Submission::verifier_v2),
        }});
        propose(Kind::DsseV2, &request).unwrap().canonical
    };
    let leaf = v2(&[&a, &b], [&first, &prehashed]);
    for signatures in [[&a[..], &b, &b], [&b, &a, &a], [&b, &b, &a]] {
        assert_eq!(v2(&signatures, [&first, &prehashed]), leaf);
        assert_eq!(v2(&signatures, [&prehashed, &first]), leaf);
    }
}

#[test]
fn an_entry_is_found_as_it_was_proposed_and_as_it_stands_in_the_log() {
    for kind in [Kind::HashedRekordV1, Kind::DsseV1, Kind::IntotoV2] {
        let (request, leaf) =
            Submission::new(kind, KeyKind::EcdsaP256).with_certificate().request_and_leaf();
        for described in [request.to_string(), leaf.clone()] {
            assert_eq!(v1::leaf_of(described.as_bytes()).unwrap(), leaf.as_bytes());
        }
    }
    // Not every refusal is passed over: this one was never logged.
    let mut request = Submission::new(Kind::HashedRekordV1, KeyKind::EcdsaP256).request();
    *at(&mut request, "/spec/data/hash/value") = hex::encode([7; 32]).into();
    let refused = v1::leaf_of(request.to_string().as_bytes()).unwrap_err();
    assert_eq!(refused, Refused::BadSignature { index: 0 });
}

#[test]
fn queries_do_not_depend_on_case() {
    let value = hex::encode(crypto::sha256(b"artifact"));
    let found = v1::hash_query(&value).unwrap();
    for spelling in [
        value.to_uppercase(),
        format!("sha256:{value}"),
        format!("SHA256:{}", value.to_uppercase()),
    ] {
        assert_eq!(v1::hash_query(&spelling), Some(found));
    }
    assert_eq!(found, v1::subject_query(&format!("sha256:{value}")));
    assert_eq!(v1::subject_query("Alice@Example.COM"), v1::subject_query("alice@example.com"));
    assert_ne!(v1::subject_query("alice@example.com"), v1::subject_query("bob@example.com"));
}

#[test]
fn a_query_for_a_hash_is_of_the_length_of_its_algorithm() {
    let digits = |count| "a".repeat(count);
    for (count, algorithm) in [(40, "sha1"), (64, "sha256"), (96, "sha384"), (128, "sha512")] {
        let bare = v1::hash_query(&digits(count));
        assert!(bare.is_some());
        assert_eq!(bare, v1::hash_query(&format!("{algorithm}:{}", digits(count))));
    }
    let wrong = [
        String::new(),
        "sha256:".to_owned(),
        digits(63),
        format!("sha512:{}", digits(64)),
        format!("md5:{}", digits(32)),
        format!("sha256:{}", "g".repeat(64)),
        format!("sha256:{}", "é".repeat(32)),
    ];
    for query in wrong {
        assert_eq!(v1::hash_query(&query), None, "{query}");
    }
}

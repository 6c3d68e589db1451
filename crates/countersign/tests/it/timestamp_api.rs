//! The timestamp authority over HTTP.

use crypto::{HashAlgorithm, Message};
use evidence::{Certificate, Timestamp};
use serde_json::{Value, json};
use testkit::der;
use testkit::json::{base64, every_field_wrong};

use crate::instance::{Instance, Place, now};
use crate::trust::Trust;
use crate::wire::{Answer, exchange};

const PATH: &str = "/api/v1/timestamp";
const QUERY: &str = "application/timestamp-query";
const REPLY: &str = "application/timestamp-reply";

const SHA1: &str = "1.3.14.3.2.26";
const SHA256: &str = "2.16.840.1.101.3.4.2.1";
const SHA384: &str = "2.16.840.1.101.3.4.2.2";
const SHA512: &str = "2.16.840.1.101.3.4.2.3";
const POLICY: &str = "1.3.6.1.4.1.57264.2";

/// A `TimeStampReq` (RFC 3161 §2.4.1).
fn query(algorithm: &str, hash: &[u8], rest: &[&[u8]]) -> Vec<u8> {
    let algorithm = der::sequence(&[&der::oid(algorithm), &der::null()]);
    let imprint = der::sequence(&[&algorithm, &der::octets(hash)]);
    der::sequence(&[&der::small(1), &imprint, &rest.concat()])
}

#[track_caller]
fn ask(instance: &Instance, media_type: &str, body: &[u8]) -> Answer {
    exchange(instance.address(), "POST", PATH, &[("content-type", media_type)], body).unwrap()
}

/// Verifies a granted answer as a relying party would.
#[track_caller]
fn verify(answer: &Answer, trust: &Trust, message: &[u8]) -> Timestamp {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("content-type"), Some(REPLY));
    let stamp = Timestamp::parse(&answer.body).unwrap();
    let signer = &trust.timestamps[0];
    stamp.check_content_type().unwrap();
    stamp.check_message_digest().unwrap();
    stamp.check_signing_certificate(signer.der()).unwrap();
    let key = signer.public_key();
    let signed = Message::Bytes(stamp.signed_attributes_der());
    key.verify(stamp.scheme(key.kind()).unwrap(), signed, stamp.signature()).unwrap();
    let hash = crypto::Hash::of(stamp.imprint().algorithm(), message);
    assert_eq!(*stamp.imprint(), hash);
    assert_eq!(stamp.policy().to_string(), POLICY);
    stamp
}

/// Checks that it is a rejection, and returns its failure bit (RFC 3161 §2.4.2).
#[track_caller]
fn rejection(answer: &Answer) -> usize {
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("content-type"), Some(REPLY));
    assert!(Timestamp::parse(&answer.body).is_err());
    // TimeStampResp { PKIStatusInfo { 2, { text }, BIT STRING } }, all short.
    assert_eq!(answer.body[4..7], [2, 1, 2], "{:x?}", answer.body);
    let end = answer.body.len();
    let is_last =
        |at: &usize| answer.body[*at] == 3 && at + 2 + usize::from(answer.body[at + 1]) == end;
    let at = (0..end - 1).find(is_last).unwrap();
    let bits = &answer.body[at + 3..end];
    let (byte, value) = bits.iter().enumerate().find(|(_, byte)| **byte != 0).unwrap();
    8 * byte + value.leading_zeros() as usize
}

const BAD_ALGORITHM: usize = 0;
const BAD_DATA_FORMAT: usize = 5;
const UNACCEPTED_POLICY: usize = 15;
const UNACCEPTED_EXTENSION: usize = 16;

#[test]
fn a_der_query_is_granted_with_what_it_asked_for() {
    let place = Place::new();
    let instance = place.start();
    let trust = instance.trust();
    let nonce = [0x7f, 2, 3, 4, 5, 6, 7, 8];
    for (oid, algorithm) in [
        (SHA256, HashAlgorithm::Sha256),
        (SHA384, HashAlgorithm::Sha384),
        (SHA512, HashAlgorithm::Sha512),
    ] {
        let hash = crypto::Hash::of(algorithm, b"signature");
        let before = now().seconds();
        let body = query(oid, hash.as_bytes(), &[&der::integer(&nonce), &der::boolean(true)]);
        let stamp = verify(&ask(&instance, QUERY, &body), &trust, b"signature");
        assert!((before..=now().seconds()).contains(&stamp.time().seconds()));
        assert_eq!(stamp.nonce(), Some(&nonce[..]));
        assert_eq!(stamp.certificates(), [trust.timestamps[0].der().to_vec()]);
        // Without nonce and certificate where none were asked for; with the policy by its name.
        let body = query(oid, hash.as_bytes(), &[&der::oid(POLICY)]);
        let stamp = verify(
            &ask(&instance, "Application/Timestamp-Query; v=1", &body),
            &trust,
            b"signature",
        );
        assert_eq!(stamp.nonce(), None);
        assert_eq!(stamp.certificates(), [] as [Vec<u8>; 0]);
    }
}

#[test]
fn a_json_query_is_granted_with_what_it_asked_for() {
    let place = Place::new();
    let instance = place.start();
    let trust = instance.trust();
    let hash = base64(&crypto::sha256(b"signature"));
    let bare = json!({"artifactHash": hash, "hashAlgorithm": "sha256"});
    let stamp = verify(&instance.post(PATH, &bare), &trust, b"signature");
    assert_eq!((stamp.nonce(), stamp.certificates().len()), (None, 0));
    let full = json!({
        "artifactHash": hash,
        "hashAlgorithm": "sha256",
        "certificates": true,
        "nonce": 1_234_567,
        "tsaPolicyOID": POLICY,
    });
    let stamp = verify(&instance.post(PATH, &full), &trust, b"signature");
    assert_eq!(stamp.nonce(), Some(&[0x12, 0xd6, 0x87][..]));
    assert_eq!(stamp.certificates(), [trust.timestamps[0].der().to_vec()]);
}

#[test]
fn every_timestamp_has_a_serial_number_of_its_own_and_no_time_before_the_last() {
    let place = Place::new();
    let body = query(SHA256, &crypto::sha256(b"signature"), &[]);
    let (mut serials, mut last) = (std::collections::BTreeSet::new(), None);
    for _ in 0..2 {
        let instance = place.start();
        let trust = instance.trust();
        for _ in 0..5 {
            let stamp = verify(&ask(&instance, QUERY, &body), &trust, b"signature");
            assert!(serials.insert(stamp.serial().to_vec()));
            assert!(Some(stamp.time()) >= last);
            last = Some(stamp.time());
        }
        instance.stop();
    }
    // What was stated is kept: a clock that was set back in between would be noticed.
    let floor = place.data().join("timestamp-floor");
    // In the second in which the instance was made there is nothing to keep yet.
    if let Ok(kept) = std::fs::read_to_string(&floor) {
        assert_eq!(kept, last.unwrap().seconds().to_string());
    }
    let tomorrow = now().seconds() + 86_400;
    std::fs::write(floor, tomorrow.to_string()).unwrap();
    let instance = place.start();
    let answer = ask(&instance, QUERY, &body).wanted(503);
    assert_eq!(answer.header("content-type"), Some(REPLY));
    let answer = instance.post(
        PATH,
        &json!({
            "artifactHash": base64(&crypto::sha256(b"signature")), "hashAlgorithm": "sha256",
        }),
    );
    assert!(answer.wanted(503).message().contains("no trusted time"));
}

/// A token leaves only once its time is kept.
#[test]
fn a_time_that_cannot_be_kept_is_not_stated() {
    let place = Place::new();
    let instance = place.start();
    // No file takes the place of a directory.
    std::fs::create_dir(place.data().join("timestamp-floor")).unwrap();
    let body = query(SHA256, &crypto::sha256(b"signature"), &[]);
    let began = std::time::Instant::now();
    // Within the second that is kept already, tokens are made.
    let failed = loop {
        let answer = ask(&instance, QUERY, &body);
        if answer.status != 200 {
            break answer;
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "it is stated all the same");
    };
    assert_eq!(failed.status, 500);
    assert_eq!(failed.header("content-type"), Some(REPLY));
    let json = json!({
        "artifactHash": base64(&crypto::sha256(b"signature")),
        "hashAlgorithm": "sha256",
    });
    assert_eq!(instance.post(PATH, &json).wanted(500).message(), "internal error");
    assert!(instance.said().contains("could not be kept"), "{}", instance.said());
}

#[test]
fn a_der_query_that_is_not_granted_is_rejected_in_der() {
    let place = Place::new();
    let instance = place.start();
    let hash = crypto::sha256(b"signature");
    let extension = der::sequence(&[&der::oid("1.2.3.4"), &der::octets(b"")]);
    let extensions = der::context(0, &extension);
    for (what, body, bit) in [
        ("SHA-1", query(SHA1, &[7; 20], &[]), BAD_ALGORITHM),
        ("a short hash", query(SHA256, &hash[1..], &[]), BAD_DATA_FORMAT),
        ("an unknown algorithm", query("1.2.3.4", &hash, &[]), BAD_ALGORITHM),
        ("another policy", query(SHA256, &hash, &[&der::oid("1.2.3.4")]), UNACCEPTED_POLICY),
        ("an extension", query(SHA256, &hash, &[&extensions]), UNACCEPTED_EXTENSION),
        ("nothing", Vec::new(), BAD_DATA_FORMAT),
        ("no DER", b"query".to_vec(), BAD_DATA_FORMAT),
        ("something after it", [query(SHA256, &hash, &[]), vec![0]].concat(), BAD_DATA_FORMAT),
        // CVE-2025-66564: an identifier of 100,000 arcs.
        ("an endless identifier", query(SHA256, &hash, &[&der::tlv(6, &[0x2a; 100_000])]), 0),
        (
            "a nonce of a kilobyte",
            query(SHA256, &hash, &[&der::integer(&[7; 1024])]),
            BAD_DATA_FORMAT,
        ),
        ("five kilobytes", query(SHA256, &hash, &[&der::integer(&[7; 5 * 1024])]), BAD_DATA_FORMAT),
    ] {
        let answer = ask(&instance, QUERY, &body);
        if body.len() > 64 * 1024 {
            // Not even read.
            answer.wanted(413).message();
            continue;
        }
        assert_eq!(rejection(&answer), bit, "{what}");
    }
    verify(&ask(&instance, QUERY, &query(SHA256, &hash, &[])), &instance.trust(), b"signature");
}

#[test]
fn a_json_query_that_is_not_granted_is_refused_in_json() {
    let place = Place::new();
    let instance = place.start();
    let right = json!({
        "artifactHash": base64(&crypto::sha256(b"signature")),
        "hashAlgorithm": "sha256",
        "certificates": false,
        "nonce": 7,
        "tsaPolicyOID": POLICY,
    });
    let changed = |field: &str, value: Value| {
        let mut request = right.clone();
        request[field] = value;
        request
    };
    for request in [
        changed("hashAlgorithm", "sha1".into()),
        changed("hashAlgorithm", "SHA0".into()),
        changed("artifactHash", base64(&[7; 31]).into()),
        changed("artifactHash", "***".into()),
        changed("tsaPolicyOID", "1.2.3.4".into()),
        changed("nonce", "7".into()),
        changed("padding", "x".repeat(1024).into()),
        json!({}),
        json!([]),
    ] {
        let answer = instance.post(PATH, &request).wanted(400);
        assert!(!answer.message().is_empty());
    }
    for wrong in every_field_wrong(&right) {
        let answer = instance.post(PATH, &wrong.document);
        let is_fine = [200, 400, 413].contains(&answer.status);
        assert!(is_fine, "{} is {}: {}", wrong.pointer, wrong.how, answer.text());
    }
}

#[test]
fn another_media_type_is_refused() {
    let place = Place::new();
    let instance = place.start();
    let body = query(SHA256, &crypto::sha256(b"signature"), &[]);
    for media_type in ["application/octet-stream", "text/plain", "", "application/timestamp-reply"]
    {
        let answer = ask(&instance, media_type, &body).wanted(415);
        assert!(answer.message().contains(QUERY));
    }
    let answer = exchange(instance.address(), "POST", PATH, &[], &body).unwrap().wanted(415);
    answer.message();
}

#[test]
fn the_chain_can_be_asked_for_the_signing_certificate_first() {
    let place = Place::new();
    let instance = place.start();
    let answer = instance.get("/api/v1/timestamp/certchain").wanted(200);
    assert_eq!(answer.header("content-type"), Some("application/pem-certificate-chain"));
    const END: &str = "-----END CERTIFICATE-----\n";
    let served: Vec<_> = answer
        .text()
        .split_inclusive(END)
        .map(|pem| Certificate::parse(&crypto::pem::decode(pem.as_bytes()).unwrap().1).unwrap())
        .map(|certificate| certificate.der().to_vec())
        .collect();
    let trusted: Vec<_> =
        instance.trust().timestamps.iter().map(|certificate| certificate.der().to_vec()).collect();
    assert_eq!(served, trusted);
}

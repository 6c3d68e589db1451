//! Timestamps: what is stated, to whom, and when nothing is stated.

use authority::TimestampAuthority;
use authority::certificate::chain::ChainError;
use authority::stamp::{Rejection, SIGSTORE_POLICY, StampError, Stamped, TimestampRequest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::{
    Hash, HashAlgorithm, KeyKind, KeyPair, Message, PublicKey, Scheme, SignError, Signer,
};
use der::asn1::{Int, ObjectIdentifier, OctetString};
use der::{Decode, Encode};
use evidence::timestamp::hash_algorithm_identifier;
use evidence::timestamp::tsp::{
    MessageImprint, PkiFailure, STATUS_REJECTION, TimeStampReq, TimeStampResp, TstInfo,
};
use evidence::{Certificate, Timestamp, UnixTime};
use serde_json::{Value, json};
use x509_cert::ext::Extension;
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::world::{NOW, certificate_authority, copy, serial};

const EPOCH: UnixTime = UnixTime::from_seconds(0);

pub(crate) fn timestamp_authority(kind: KeyKind) -> (TimestampAuthority, KeyPair) {
    let (root, leaf) = (KeyPair::generate(kind).unwrap(), KeyPair::generate(kind).unwrap());
    let serials = [serial(1), serial(2)];
    let chain = TimestampAuthority::create(&root, &leaf, "Example", serials, NOW).unwrap();
    let signer = Box::new(copy(&leaf));
    (TimestampAuthority::new(chain, signer, SIGSTORE_POLICY).unwrap(), leaf)
}

fn authority() -> TimestampAuthority {
    timestamp_authority(KeyKind::EcdsaP384).0
}

fn der_request() -> TimeStampReq {
    TimeStampReq {
        version: 1,
        message_imprint: MessageImprint {
            hash_algorithm: hash_algorithm_identifier(HashAlgorithm::Sha256),
            hashed_message: OctetString::new([7; 32]).unwrap(),
        },
        req_policy: None,
        nonce: None,
        cert_req: false,
        extensions: None,
    }
}

fn parse_der(request: &TimeStampReq) -> Result<TimestampRequest, Rejection> {
    TimestampRequest::parse_der(&request.to_der().unwrap(), &authority())
}

fn json_request() -> Value {
    json!({"artifactHash": STANDARD.encode([7; 32]), "hashAlgorithm": "sha256"})
}

fn parse_json(request: &Value) -> Result<TimestampRequest, Rejection> {
    TimestampRequest::parse_json(request.to_string().as_bytes(), &authority())
}

fn json_with(name: &str, value: Value) -> Result<TimestampRequest, Rejection> {
    let mut request = json_request();
    request[name] = value;
    parse_json(&request)
}

fn stamp(authority: &TimestampAuthority, request: &TimestampRequest) -> Stamped {
    authority.stamp(request, serial(9), NOW, EPOCH).unwrap()
}

#[test]
fn a_hash_is_stamped() {
    let authority = authority();
    let request = parse_der(&der_request()).unwrap();
    let now = UnixTime::from_milliseconds(NOW.milliseconds() + 999);
    let stamped = authority.stamp(&request, serial(9), now, EPOCH).unwrap();
    assert_eq!(stamped.time, NOW, "whole seconds, rounded down");
    let timestamp = Timestamp::parse(&stamped.response).unwrap();
    assert_eq!(timestamp.time(), NOW);
    assert_eq!(timestamp.accuracy_ms(), Some(1000));
    assert_eq!(timestamp.policy(), SIGSTORE_POLICY);
    assert_eq!(timestamp.serial(), serial(9).as_bytes());
    assert_eq!(timestamp.nonce(), None);
    assert_eq!(timestamp.imprint(), &Hash::from_bytes(HashAlgorithm::Sha256, &[7; 32]).unwrap());
    assert!(timestamp.certificates().is_empty());
    timestamp.check_content_type().unwrap();
    timestamp.check_message_digest().unwrap();
    timestamp.check_signing_certificate(authority.certificate().der()).unwrap();
    let statement = TstInfo::from_der(timestamp.content()).unwrap();
    assert!(!statement.ordering && statement.tsa.is_some());
}

#[test]
fn every_hash_and_every_kind_of_key_will_do() {
    for kind in
        [KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::EcdsaP521, KeyKind::Rsa { bits: 2048 }]
    {
        let (authority, _) = timestamp_authority(kind);
        for algorithm in HashAlgorithm::ALL {
            let mut request = der_request();
            request.message_imprint = MessageImprint {
                hash_algorithm: hash_algorithm_identifier(algorithm),
                hashed_message: OctetString::new(vec![7; algorithm.size()]).unwrap(),
            };
            let stamped = stamp(&authority, &parse_der(&request).unwrap());
            let timestamp = Timestamp::parse(&stamped.response).unwrap();
            assert_eq!(timestamp.imprint().algorithm(), algorithm);
        }
    }
}

#[test]
fn the_certificate_comes_along_when_asked_for() {
    let authority = authority();
    let mut request = der_request();
    request.cert_req = true;
    let stamped = stamp(&authority, &parse_der(&request).unwrap());
    let timestamp = Timestamp::parse(&stamped.response).unwrap();
    assert_eq!(timestamp.certificates(), [authority.certificate().der()]);
    let request = json_with("certificates", json!(true)).unwrap();
    assert!(request.wants_certificate());
}

/// TSA `449884a`: a nonce that is left out lets an old answer pass for a new one.
#[test]
fn the_nonce_comes_back_as_it_was_sent() {
    let authority = authority();
    for nonce in [&[0][..], &[0x7F], &[0x00, 0x80], &[0x80], &[0xFF], &[0x12; 64]] {
        let mut request = der_request();
        request.nonce = Some(Int::new(nonce).unwrap());
        let stamped = stamp(&authority, &parse_der(&request).unwrap());
        let timestamp = Timestamp::parse(&stamped.response).unwrap();
        assert_eq!(timestamp.nonce(), Some(nonce));
    }
    for (nonce, bytes) in [
        (json!(0), &[0][..]),
        (json!(127), &[0x7F]),
        (json!(128), &[0x00, 0x80]),
        (json!(-1), &[0xFF]),
        (json!(u64::MAX), &[0, 255, 255, 255, 255, 255, 255, 255, 255]),
    ] {
        let request = json_with("nonce", nonce).unwrap();
        assert_eq!(request.nonce(), Some(bytes));
        let timestamp = Timestamp::parse(&stamp(&authority, &request).response).unwrap();
        assert_eq!(timestamp.nonce(), Some(bytes));
    }
}

#[test]
fn json_and_der_ask_alike() {
    assert_eq!(parse_json(&json_request()).unwrap(), parse_der(&der_request()).unwrap());
    for (name, value) in [
        ("nonce", Value::Null),
        ("certificates", json!(false)),
        ("tsaPolicyOID", json!("")),
        ("tsaPolicyOID", json!("1.3.6.1.4.1.57264.2")),
        ("hashAlgorithm", json!("SHA256")),
        ("something", json!("unknown")),
    ] {
        assert_eq!(json_with(name, value).unwrap(), parse_json(&json_request()).unwrap(), "{name}");
    }
}

#[test]
fn weak_hashes_are_refused() {
    let mut request = der_request();
    request.message_imprint = MessageImprint {
        hash_algorithm: AlgorithmIdentifierOwned {
            oid: ObjectIdentifier::new_unwrap("1.3.14.3.2.26"),
            parameters: None,
        },
        hashed_message: OctetString::new([7; 20]).unwrap(),
    };
    assert_eq!(parse_der(&request).unwrap_err(), Rejection::BadAlgorithm);
    for name in ["sha1", "md5", "", "sha3-256"] {
        let error = json_with("hashAlgorithm", json!(name)).unwrap_err();
        assert_eq!(error, Rejection::BadAlgorithm);
        assert_eq!(error.failure(), PkiFailure::BadAlgorithm);
    }
    assert_eq!(json_with("hashAlgorithm", json!(256)).unwrap_err(), Rejection::BadAlgorithm);
}

#[test]
fn a_hash_is_as_long_as_its_algorithm_says() {
    let malformed = |error| matches!(error, Rejection::Malformed { .. });
    for size in [0, 31, 33, 48] {
        let mut request = der_request();
        request.message_imprint.hashed_message = OctetString::new(vec![7; size]).unwrap();
        assert!(malformed(parse_der(&request).unwrap_err()));
        let hash = STANDARD.encode(vec![7; size]);
        assert!(malformed(json_with("artifactHash", json!(hash)).unwrap_err()));
    }
}

#[test]
fn other_policies_and_extensions_are_refused() {
    let other = ObjectIdentifier::new_unwrap("1.2.3");
    let mut request = der_request();
    request.req_policy = Some(SIGSTORE_POLICY);
    assert!(parse_der(&request).is_ok());
    request.req_policy = Some(other);
    let error = parse_der(&request).unwrap_err();
    assert_eq!(error, Rejection::Policy { found: other });
    assert_eq!(error.failure(), PkiFailure::UnacceptedPolicy);
    let error = json_with("tsaPolicyOID", json!("1.2.3")).unwrap_err();
    assert_eq!(error, Rejection::Policy { found: other });
    for critical in [false, true] {
        let extn_value = OctetString::new([5, 0]).unwrap();
        let mut request = der_request();
        request.extensions = Some(vec![Extension { extn_id: other, critical, extn_value }]);
        let error = parse_der(&request).unwrap_err();
        assert_eq!(error, Rejection::Extension);
        assert_eq!(error.failure(), PkiFailure::UnacceptedExtension);
    }
}

/// CVE-2025-66564 (an object identifier of 10⁵ arcs), TSA #1402 (a nonce of a megabyte).
#[test]
fn hostile_requests_are_cheap() {
    let too_long = |error| matches!(error, Rejection::TooLong { .. });
    let authority = authority();
    let bytes = vec![0x30; 1 << 20];
    assert!(too_long(TimestampRequest::parse_der(&bytes, &authority).unwrap_err()));
    assert!(too_long(TimestampRequest::parse_json(&bytes, &authority).unwrap_err()));
    let oid = vec!["1"; 100_000].join(".");
    assert!(too_long(json_with("tsaPolicyOID", json!(oid)).unwrap_err()));
    let malformed = |error| matches!(error, Rejection::Malformed { .. });
    let oid = vec!["1"; 200].join(".");
    assert!(malformed(json_with("tsaPolicyOID", json!(oid)).unwrap_err()));
    for (name, value) in [
        ("nonce", json!("7")),
        ("nonce", json!(1.5)),
        ("nonce", json!(1e30)),
        ("nonce", json!([])),
        ("certificates", json!("true")),
        ("tsaPolicyOID", json!(7)),
        ("tsaPolicyOID", json!("x")),
        ("artifactHash", json!(7)),
        ("artifactHash", Value::Null),
        ("artifactHash", json!("*")),
    ] {
        assert!(malformed(json_with(name, value.clone()).unwrap_err()), "{name}: {value}");
    }
    // Right but for that member.
    let with = |member: &str| {
        let request = format!("{{{member},{}", &json_request().to_string()[1..]);
        TimestampRequest::parse_json(request.as_bytes(), &authority)
    };
    with(r#""extra":[]"#).unwrap();
    assert!(malformed(with(&format!(r#""extra":{}"#, "9".repeat(400))).unwrap_err()));
    assert!(malformed(with(r#""hashAlgorithm":"sha512""#).unwrap_err()));
    assert!(malformed(TimestampRequest::parse_json(b"[]", &authority).unwrap_err()));

    let right = der_request().to_der().unwrap();
    for end in 0..right.len() {
        assert!(TimestampRequest::parse_der(&right[..end], &authority).is_err());
    }
    let trailing = [&right[..], &[0]].concat();
    assert!(malformed(TimestampRequest::parse_der(&trailing, &authority).unwrap_err()));
    let mut request = der_request();
    request.version = 2;
    assert!(malformed(parse_der(&request).unwrap_err()));
    let mut request = der_request();
    request.nonce = Some(Int::new(&[1; 65]).unwrap());
    assert!(malformed(parse_der(&request).unwrap_err()));
}

#[test]
fn a_rejection_is_a_response_without_a_token() {
    for (rejection, failure) in [
        (Rejection::BadAlgorithm, PkiFailure::BadAlgorithm),
        (Rejection::TimeNotAvailable, PkiFailure::TimeNotAvailable),
        (Rejection::SystemFailure, PkiFailure::SystemFailure),
        (Rejection::TooLong { found: 2, max: 1 }, PkiFailure::BadDataFormat),
    ] {
        let response = TimeStampResp::from_der(&rejection.to_response()).unwrap();
        assert_eq!(response.status.status, STATUS_REJECTION);
        assert_eq!(response.time_stamp_token, None);
        let bits = response.status.fail_info.unwrap();
        assert_eq!(PkiFailure::from_bit_string(&bits), Some(failure));
        assert_eq!(response.status.status_string, Some(vec![rejection.to_string()]));
        assert!(Timestamp::parse(&rejection.to_response()).is_err());
    }
}

#[test]
fn time_does_not_run_backwards() {
    let authority = authority();
    let request = parse_der(&der_request()).unwrap();
    let time = |now: UnixTime, floor: UnixTime| authority.stamp(&request, serial(9), now, floor);
    let later = NOW.plus_seconds(100);
    assert_eq!(time(later, later).unwrap().time, later);
    assert_eq!(time(later, later.plus_seconds(-50)).unwrap().time, later);
    // Behind by no more than the accuracy: stated again.
    assert_eq!(time(later.plus_seconds(-1), later).unwrap().time, later);
    // Further behind: nothing is stated.
    let error = time(later.plus_seconds(-2), later).unwrap_err();
    assert!(matches!(error, StampError::ClockBehind { .. }));
    assert_eq!(Rejection::from(&error), Rejection::TimeNotAvailable);
}

/// TSA `21dff8b`: the chain is valid at the time that is stated.
#[test]
fn an_expired_chain_states_nothing() {
    let authority = authority();
    let request = parse_der(&der_request()).unwrap();
    let end = authority.certificate().not_after();
    assert!(authority.stamp(&request, serial(9), end, EPOCH).is_ok());
    for now in [NOW.plus_seconds(-1), end.plus_seconds(1)] {
        let error = authority.stamp(&request, serial(9), now, EPOCH).unwrap_err();
        assert!(matches!(error, StampError::ChainNotValid { .. }));
        assert_eq!(Rejection::from(&error), Rejection::SystemFailure);
    }
}

/// Signs something else than it is given, or nothing.
struct Faulty(KeyPair, bool);

impl Signer for Faulty {
    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    fn sign(&self, scheme: Scheme, _: Message<'_>) -> Result<Vec<u8>, SignError> {
        if self.1 {
            return Err(SignError::Backend);
        }
        self.0.sign(scheme, Message::Bytes(b"something else"))
    }
}

#[test]
fn a_faulty_key_releases_nothing() {
    let request = parse_der(&der_request()).unwrap();
    for fail in [false, true] {
        let (healthy, key) = timestamp_authority(KeyKind::EcdsaP384);
        let signer = Box::new(Faulty(key, fail));
        let authority =
            TimestampAuthority::new(healthy.chain().to_vec(), signer, SIGSTORE_POLICY).unwrap();
        let error = authority.stamp(&request, serial(9), NOW, EPOCH).unwrap_err();
        match fail {
            false => assert!(matches!(error, StampError::Withheld { part: "signature" })),
            true => assert!(matches!(error, StampError::Sign(_))),
        }
        assert_eq!(Rejection::from(&error), Rejection::SystemFailure);
    }
}

/// TSA `42ce715` (one purpose, critical), fulcio.md §5 (two certificates at least).
#[test]
fn a_timestamp_authority_is_for_timestamps_only() {
    let (authority, key) = timestamp_authority(KeyKind::EcdsaP384);
    let chain = authority.chain().to_vec();
    let new = |chain: &[Certificate], key: &KeyPair| {
        let signer = Box::new(copy(key));
        TimestampAuthority::new(chain.to_vec(), signer, SIGSTORE_POLICY).map(|_| ())
    };
    assert_eq!(new(&chain, &key), Ok(()));
    assert_eq!(new(&chain[..1], &key), Err(ChainError::NotSigned { index: 0 }));
    let other = KeyPair::generate(KeyKind::EcdsaP384).unwrap();
    assert_eq!(new(&chain, &other), Err(ChainError::AnotherKey));
    // A certificate authority's chain.
    let (certificates, key) = certificate_authority(KeyKind::EcdsaP384);
    assert_eq!(new(certificates.chain(), &key), Err(ChainError::IsAnAuthority));
    // A root alone.
    let root = KeyPair::generate(KeyKind::EcdsaP384).unwrap();
    let serials = [serial(1), serial(2)];
    let chain = TimestampAuthority::create(&root, &other, "Example", serials, NOW).unwrap();
    let error = Err(ChainError::TooShort { wanted: 2, found: 1 });
    assert_eq!(new(&chain[1..], &root), error);
}

//! Issued certificates: what stands in them, that each was logged, and when none is issued.

use authority::certificate::chain::ChainError;
use authority::ct::CtError;
use authority::issue::{IssueError, LIFETIME_SECONDS, LintError};
use authority::issuer::IssuerKind;
use authority::{CertificateAuthority, CtLog, IssuedCertificate, IssuingAuthority};
use crypto::{KeyKind, KeyPair, Message, PublicKey, Scheme, SignError, Signer, sha256};
use der::asn1::OctetString;
use evidence::certificate::sct::{POISON, SCT_LIST};
use evidence::certificate::{FulcioExtension, SubjectName};
use evidence::{Certificate, UnixTime};
use futures::executor::block_on;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::forge::{Tbs, forge, wrap};
use crate::world::{
    Log, NOW, applicant, certificate_authority, claims, copy, github, github_claims,
    issuing_authority, serial,
};

fn issue_at(
    authority: &IssuingAuthority<Log>,
    now: UnixTime,
) -> Result<IssuedCertificate, IssueError> {
    let key = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    let applicant = applicant(github(), &github_claims(), &key);
    block_on(authority.issue(&applicant, serial(9), now))
}

/// Whatever way of naming keys the issuer's certificate was made with (RFC 5280 §4.2.1.1, §4.2.1.2).
#[test]
fn a_certificate_names_its_issuers_key_as_the_issuer_does() {
    let [root, key] = [0; 2].map(|_| KeyPair::generate(KeyKind::EcdsaP256).unwrap());
    let serials = [serial(1), serial(2)];
    let chain = CertificateAuthority::create(&root, &key, "Example", serials, NOW).unwrap();
    let named = |change: &dyn Fn(&mut Tbs)| {
        let mut chain = chain.clone();
        chain[0] = Certificate::parse(&forge(&chain[0], &root, change)).unwrap();
        let authority = CertificateAuthority::new(chain, Box::new(copy(&key))).unwrap();
        let issued = issue_at(&IssuingAuthority::new(authority, Log::new()), NOW).unwrap();
        let id = issued.certificate().extension("2.5.29.35".parse().unwrap()).unwrap();
        let inner = id.strip_prefix(&[0x30, u8::try_from(id.len() - 2).unwrap()]).unwrap();
        inner.strip_prefix(&[0x80, u8::try_from(inner.len() - 2).unwrap()]).unwrap().to_vec()
    };
    for size in [1, 20, 32, 64] {
        let id = vec![7; size];
        let found = named(&|tbs| {
            tbs.extension("2.5.29.14").extn_value = OctetString::new(wrap(0x04, &id)).unwrap();
        });
        assert_eq!(found, id);
    }
    // Where it has no name, the one that this authority would have given it.
    let usual = named(&|_| {});
    let nameless = named(&|tbs| {
        tbs.extensions.retain(|extension| extension.extn_id.to_string() != "2.5.29.14");
    });
    assert_eq!((nameless.len(), nameless), (20, usual));
}

#[test]
fn a_certificate_has_the_profile_of_fulcio() {
    let authority = issuing_authority();
    let key = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    let applicant = applicant(github(), &github_claims(), &key);
    let now = UnixTime::from_milliseconds(NOW.milliseconds() + 999);
    let issued = block_on(authority.issue(&applicant, serial(9), now)).unwrap();
    let certificate = issued.certificate();
    assert_eq!(certificate.subject_name_der(), [0x30, 0x00]);
    assert_eq!(certificate.serial().len(), 20);
    assert_eq!(certificate.not_before(), NOW, "whole seconds, never before the request's");
    assert_eq!(certificate.not_after(), NOW.plus_seconds(600));
    assert_eq!(certificate.public_key(), key.public_key());
    let workflow = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
    assert_eq!(certificate.names(), [SubjectName::Uri(workflow.to_owned())]);
    let found: Vec<_> = certificate
        .extensions()
        .iter()
        .map(|extension| (extension.oid.to_string(), extension.critical))
        .collect();
    let fulcio = (1..=24).filter(|number| ![7, 23].contains(number));
    let fulcio = fulcio.map(|number| (format!("1.3.6.1.4.1.57264.1.{number}"), false));
    let expected: Vec<_> = [
        ("2.5.29.15", true),
        ("2.5.29.37", false),
        ("2.5.29.14", false),
        ("2.5.29.35", false),
        ("2.5.29.17", true),
    ]
    .into_iter()
    .map(|(oid, critical)| (oid.to_owned(), critical))
    .chain(fulcio)
    .chain([("1.3.6.1.4.1.11129.2.4.2".to_owned(), false)])
    .collect();
    assert_eq!(found, expected);
    // 1 to 6 are raw bytes, the others DER.
    let value = |extension: FulcioExtension| certificate.extension(extension.oid()).unwrap();
    assert_eq!(value(FulcioExtension::WorkflowTrigger), b"push");
    assert_eq!(value(FulcioExtension::BuildTrigger), b"\x0c\x04push");
    assert_eq!(
        certificate.fulcio().get(FulcioExtension::TokenSubject),
        Some("repo:acme/app:ref:refs/heads/main")
    );
    // The issuing certificate first, the root last.
    assert_eq!(issued.chain(), authority.authority().chain());
    assert_eq!(issued.to_pems().count(), 3);
}

#[test]
fn a_person_gets_an_address() {
    let authority = issuing_authority();
    let key = KeyPair::generate(KeyKind::Ed25519).unwrap();
    let applicant = applicant(IssuerKind::Email, &claims(), &key);
    let issued = block_on(authority.issue(&applicant, serial(9), NOW)).unwrap();
    let names = issued.certificate().names();
    assert_eq!(names, [SubjectName::Email("alice@example.com".to_owned())]);
    assert_eq!(issued.certificate().fulcio().iter().count(), 3);
}

#[test]
fn every_kind_of_key_is_certified_by_every_kind_of_authority() {
    for authority_kind in
        [KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::EcdsaP521, KeyKind::Rsa { bits: 2048 }]
    {
        let (authority, _) = certificate_authority(authority_kind);
        let authority = IssuingAuthority::new(authority, Log::new());
        for kind in [
            KeyKind::EcdsaP256,
            KeyKind::EcdsaP384,
            KeyKind::EcdsaP521,
            KeyKind::Rsa { bits: 3072 },
            KeyKind::Ed25519,
        ] {
            if kind == (KeyKind::Rsa { bits: 3072 }) && authority_kind != KeyKind::EcdsaP256 {
                continue; // Once is enough for a key that takes a second to make.
            }
            let key = KeyPair::generate(kind).unwrap();
            let applicant = applicant(github(), &github_claims(), &key);
            let issued = block_on(authority.issue(&applicant, serial(9), NOW));
            assert!(issued.is_ok(), "{kind} by {authority_kind}");
        }
    }
}

/// RFC 6962 §3.1 and §3.2: the same bytes logged, promised and issued.
#[test]
fn what_is_logged_is_what_is_issued() {
    let authority = issuing_authority();
    let issued = issue_at(&authority, NOW).unwrap();
    let (precertificate, sct) = authority.log().last();
    let poisoned = Certificate::parse(&precertificate.der).unwrap();
    assert_eq!(poisoned.tbs_without(POISON).unwrap(), precertificate.tbs);
    assert_eq!(issued.certificate().tbs_without(SCT_LIST).unwrap(), precertificate.tbs);
    let poison = poisoned.extensions().last().unwrap();
    assert_eq!((poison.oid, poison.critical, &poison.value[..]), (POISON, true, &[5, 0][..]));
    assert_eq!(poisoned.serial(), issued.certificate().serial());

    let issuer = authority.authority().certificate();
    assert_eq!(precertificate.issuer_key_hash, sha256(issuer.public_key().spki_der()));
    let promises = issued.certificate().certificate_timestamps().unwrap();
    assert_eq!(promises, std::slice::from_ref(&sct));
    assert_eq!(sct.log_id, authority.log().public_key().id());
    assert_eq!(sct.time, NOW);
    assert!(sct.extensions.is_empty(), "sigstore-python before 4.2.0 takes none");
    let signed = sct.signed_data(&precertificate.issuer_key_hash, &precertificate.tbs).unwrap();
    let key = authority.log().public_key();
    key.verify(Scheme::EcdsaP256Sha256, Message::Bytes(&signed), &sct.signature).unwrap();
}

#[test]
fn a_certificate_ends_with_its_authority() {
    let authority = issuing_authority();
    let end = authority.authority().certificate().not_after();
    let issued = issue_at(&authority, end.plus_seconds(-60)).unwrap();
    assert_eq!(issued.certificate().not_after(), end);
    let issued = issue_at(&authority, end.plus_seconds(-LIFETIME_SECONDS)).unwrap();
    assert_eq!(issued.certificate().not_after(), end);
    for now in [NOW.plus_seconds(-1), end, end.plus_seconds(1)] {
        let error = issue_at(&authority, now).unwrap_err();
        assert!(matches!(error, IssueError::ChainNotValid { .. }), "{error}");
        assert_eq!((error.wire().status, error.wire().code), (500, 13));
    }
    assert_eq!(authority.log().seen.lock().unwrap().len(), 2, "nothing else was logged");
}

#[test]
fn no_promise_no_certificate() {
    let (authority, _) = certificate_authority(KeyKind::EcdsaP256);
    let authority = IssuingAuthority::new(authority, Log { full: true, ..Log::new() });
    let key = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    let applicant = applicant(github(), &github_claims(), &key);
    let error = block_on(authority.issue(&applicant, serial(9), NOW)).unwrap_err();
    assert!(matches!(error, IssueError::Log(CtError::Append(_))));
    assert_eq!(error.wire().message, "Error entering certificate in CTL");
    assert_eq!((error.wire().status, error.wire().code), (500, 13));
}

#[test]
fn a_worthless_promise_is_none() {
    let issue_with = |change| {
        let (authority, _) = certificate_authority(KeyKind::EcdsaP256);
        match issue_at(&IssuingAuthority::new(authority, Log::changing(change)), NOW) {
            Err(IssueError::Log(error)) => error,
            outcome => panic!("{outcome:?}"),
        }
    };
    assert!(matches!(issue_with(|sct| sct.log_id[0] ^= 1), CtError::AnotherLog));
    assert!(matches!(issue_with(|sct| sct.signature[10] ^= 1), CtError::BadPromise));
    assert!(matches!(issue_with(|sct| sct.extensions.push(0)), CtError::BadPromise));
    assert!(matches!(issue_with(|sct| sct.time = NOW.plus_seconds(1)), CtError::BadPromise));
}

#[test]
fn a_promise_is_of_now() {
    let authority = issuing_authority();
    issue_at(&authority, NOW).unwrap();
    let (precertificate, sct) = authority.log().last();
    let verify = |seconds| {
        let key = authority.log().public_key();
        authority::ct::verify_promise(&sct, &precertificate, key, NOW.plus_seconds(seconds))
    };
    assert!(verify(60).is_ok() && verify(-60).is_ok());
    assert!(matches!(verify(61), Err(CtError::Time { .. })));
    assert!(matches!(verify(-61), Err(CtError::Time { .. })));
    // And of this pre-certificate.
    let mut other = precertificate.clone();
    other.tbs[40] ^= 1;
    let key = authority.log().public_key();
    let error = authority::ct::verify_promise(&sct, &other, key, NOW).unwrap_err();
    assert!(matches!(error, CtError::BadPromise));
}

/// Signs like the key inside, but for one signature, which it breaks.
struct Faulty {
    key: KeyPair,
    count: AtomicUsize,
    faulty: usize,
    fail: bool,
}

impl Signer for Faulty {
    fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    fn sign(&self, scheme: Scheme, message: Message<'_>) -> Result<Vec<u8>, SignError> {
        if self.count.fetch_add(1, Ordering::Relaxed) != self.faulty {
            return self.key.sign(scheme, message);
        }
        match self.fail {
            true => Err(SignError::Backend),
            false => self.key.sign(scheme, Message::Bytes(b"something else")),
        }
    }
}

#[test]
fn a_faulty_key_releases_nothing() {
    for (faulty, fail) in [(0, false), (1, false), (0, true), (1, true)] {
        let (healthy, key) = certificate_authority(KeyKind::EcdsaP384);
        let chain = healthy.chain().to_vec();
        let signer = Faulty { key, count: AtomicUsize::new(0), faulty, fail };
        let authority = CertificateAuthority::new(chain, Box::new(signer)).unwrap();
        let error = issue_at(&IssuingAuthority::new(authority, Log::new()), NOW).unwrap_err();
        match (&error, faulty, fail) {
            (IssueError::Write(_), _, true)
            | (IssueError::Lint(LintError::DiffersFromPrecertificate), 0, false)
            | (IssueError::Lint(LintError::Field { field: "the signature" }), 1, false) => {}
            _ => panic!("{faulty} {fail}: {error:?}"),
        }
        assert_eq!(error.wire().message, "error communicating with CA backend");
        assert_eq!(error.wire().status, 500);
    }
}

#[test]
fn serial_numbers_are_positive_and_long() {
    for byte in [0x00, 0x7F, 0x80, 0xFF] {
        let serial = serial(byte);
        assert_eq!(serial.as_bytes()[0] >> 6, 1);
        assert_eq!(serial.as_bytes()[1], byte);
    }
}

#[test]
fn an_authority_is_what_it_says_it_is() {
    let (authority, key) = certificate_authority(KeyKind::EcdsaP384);
    let chain = authority.chain().to_vec();
    let new = |chain: &[Certificate], key: &KeyPair| {
        CertificateAuthority::new(chain.to_vec(), Box::new(copy(key))).map(|_| ())
    };
    assert_eq!(new(&chain, &key), Ok(()));
    assert_eq!(new(&[], &key), Err(ChainError::TooShort { wanted: 1, found: 0 }));
    let other = KeyPair::generate(KeyKind::EcdsaP384).unwrap();
    assert_eq!(new(&chain, &other), Err(ChainError::AnotherKey));
    // The intermediate alone is no root, and another root did not sign it.
    assert_eq!(new(&chain[..1], &key), Err(ChainError::NotSigned { index: 0 }));
    let stranger = certificate_authority(KeyKind::EcdsaP384).0.chain()[1].clone();
    let mixed = [chain[0].clone(), stranger];
    assert_eq!(new(&mixed, &key), Err(ChainError::NotSigned { index: 0 }));
    // An end entity issues nothing.
    let issuing = IssuingAuthority::new(authority, Log::new());
    let leaf_key = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    let applicant = applicant(github(), &github_claims(), &leaf_key);
    let leaf = block_on(issuing.issue(&applicant, serial(3), NOW)).unwrap();
    let chain = [&[leaf.certificate().clone()], &chain[..]].concat();
    assert_eq!(new(&chain, &leaf_key), Err(ChainError::NotAnAuthority { index: 0 }));
    // Clients in Python do not verify chains with Ed25519.
    let ed25519 = KeyPair::generate(KeyKind::Ed25519).unwrap();
    let created =
        CertificateAuthority::create(&ed25519, &ed25519, "x", [serial(1), serial(2)], NOW);
    assert!(created.is_err());
}

#[test]
fn a_timestamp_authority_issues_no_certificates() {
    let (root, leaf) = (
        KeyPair::generate(KeyKind::EcdsaP384).unwrap(),
        KeyPair::generate(KeyKind::EcdsaP384).unwrap(),
    );
    let serials = [serial(1), serial(2)];
    let chain =
        authority::TimestampAuthority::create(&root, &leaf, "Example", serials, NOW).unwrap();
    let error = CertificateAuthority::new(chain, Box::new(leaf)).unwrap_err();
    assert_eq!(error, ChainError::NotAnAuthority { index: 0 });
}

#[test]
fn a_root_alone_may_issue() {
    let root = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    let unused = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    let serials = [serial(1), serial(2)];
    let chain = CertificateAuthority::create(&root, &unused, "Example", serials, NOW).unwrap();
    let authority = CertificateAuthority::new(chain[1..].to_vec(), Box::new(root)).unwrap();
    let issued = issue_at(&IssuingAuthority::new(authority, Log::new()), NOW).unwrap();
    assert_eq!(issued.chain().len(), 1);
}

/// A server runs these on any of its threads.
#[test]
fn requests_may_move_between_threads() {
    fn is_send(_: impl Send) {}
    let authority = issuing_authority();
    let key = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    let applicant = applicant(github(), &github_claims(), &key);
    is_send(authority.issue(&applicant, serial(9), NOW));
    is_send(crate::world::Provider::email().verifier.verify("", NOW));
}

//! Signing outlives services that are down, and says which they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use client::log::AppendError;
use client::sign::{CertificateNeed, SigningError, SigningServices, ToSign};
use client::{ClientTrustConfig, Deadline, FetchErrorKind, IdentityToken, LogVersion, Patience};
use crypto::{Hash, HashAlgorithm, KeyKind, KeyPair};
use evidence::bundle::{Content, SignerMaterial};
use evidence::{Digest, Evidence, UnixTime};
use serde_json::{Value, json};
use testkit::{Key, Scene};

use crate::log::Story;
use crate::oidc::token;
use crate::server::{Reply, Server};
use crate::{assert_kind, http};

const BOTH: [LogVersion; 2] = [LogVersion::V1, LogVersion::V2];
const ASKED: CertificateNeed = CertificateNeed::Asked;

/// An instance with these services, and the trust root of a scene.
fn config_json(
    trust_root: &Value,
    authorities: &[&Server],
    logs: &[&Server],
    version: u32,
) -> Value {
    let service = |(number, server): (usize, &&Server), version: u32| {
        json!({"url": server.url(""), "majorApiVersion": version, "operator": number.to_string(),
            "validFor": {"start": "2020-01-01T00:00:00Z"}})
    };
    let list = |servers: &[&Server], version| -> Vec<Value> {
        servers.iter().enumerate().map(|server| service(server, version)).collect()
    };
    json!({
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": trust_root,
        "signingConfig": {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": list(authorities, 1),
            "rekorTlogUrls": list(logs, version),
            "rekorTlogConfig": {"selector": "ANY"},
        },
    })
}

/// Longer than anything here takes.
fn patient() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

/// The key of every scene here.
fn key() -> KeyPair {
    let key = Key::named("signer", KeyKind::Ed25519);
    KeyPair::from_pkcs8_der(&key.pair().to_pkcs8_der().unwrap()).unwrap()
}

/// A scene whose signature is the same each time, because its key signs without chance.
struct Known {
    story: Story,
    trust_root: Value,
    to_sign: ToSign,
    now: UnixTime,
}

impl Known {
    fn new() -> Self {
        let scene = Scene::v1().with_key(KeyKind::Ed25519).pinned();
        let sealed = scene.seal();
        let digest = Digest::from(Hash::of(HashAlgorithm::Sha512, &sealed.artifact));
        Self {
            story: Story::of(&scene),
            trust_root: sealed.trust_root,
            to_sign: ToSign::Artifact(digest),
            now: UnixTime::from_seconds(scene.now),
        }
    }

    fn services(&self, authorities: &[&Server], logs: &[&Server]) -> SigningServices {
        let json = config_json(&self.trust_root, authorities, logs, 1);
        let config = ClientTrustConfig::parse(json.to_string().as_bytes()).unwrap();
        let services =
            SigningServices::select(&config, &BOTH, ASKED, &http(), &http(), self.now).unwrap();
        services.with_patience(Patience { first_pause: Duration::ZERO, ..Patience::default() })
    }

    async fn sign(&self, services: &SigningServices) -> Result<Evidence, SigningError> {
        let session = services.open_with_key(Arc::new(key()));
        assert_eq!(session.digest_algorithm(), HashAlgorithm::Sha512);
        assert!(session.certificate().is_none());
        session.sign(&self.to_sign, &|| self.now, patient()).await
    }
}

#[tokio::test]
async fn a_key_that_verifiers_know_signs_without_a_certificate() {
    let known = Known::new();
    let answer = known.story.v1_answer().to_string();
    let ca = Server::stranger().await;
    let log = Server::start(move |_| Reply::status(201).body(answer.clone())).await;
    let evidence = known.sign(&known.services(&[&ca], &[&log])).await.unwrap();
    assert_eq!(evidence.entries.len(), 1);
    let SignerMaterial::PublicKeyHint(hint) = &evidence.signer else { panic!("a key") };
    assert_eq!(hint.len(), 44);
    assert_eq!(ca.lines(), [""; 0]);
}

#[tokio::test]
async fn another_log_takes_the_place_of_one_that_is_down() {
    let known = Known::new();
    let answer = known.story.v1_answer().to_string();
    let down = Server::start(|_| Reply::status(502)).await;
    let up = Server::start(move |_| Reply::status(201).body(answer.clone())).await;
    let evidence = known.sign(&known.services(&[&down], &[&down, &up])).await.unwrap();
    assert_eq!(evidence.entries.len(), 1);
    assert!(!down.requests().is_empty());
}

/// An outage longer than HTTP's own patience.
#[tokio::test]
async fn a_log_that_comes_back_is_waited_for() {
    let known = Known::new();
    let answer = known.story.v1_answer().to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let log = Server::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0..5 => Reply::status(503),
        _ => Reply::status(201).body(answer.clone()),
    })
    .await;
    known.sign(&known.services(&[&log], &[&log])).await.unwrap();
    assert_eq!(log.requests().len(), 6);
}

#[tokio::test]
async fn an_outage_says_who_is_down_and_what_remains() {
    let known = Known::new();
    let logs =
        [Server::start(|_| Reply::status(502)).await, Server::start(|_| Reply::status(504)).await];
    let services = known.services(&[&logs[0]], &[&logs[0], &logs[1]]);
    let error = known.sign(&services).await.unwrap_err();
    let said = error.to_string();
    for log in &logs {
        assert!(said.contains(&log.host()), "{said}");
    }
    assert!(said.starts_with("no transparency log answered in "), "{said}");
    assert!(error.hint().unwrap().contains("nothing of it was written"));
    let SigningError::Outage(outage) = error else { panic!("{error:?}") };
    assert_eq!(outage.failures().len(), 2);
}

/// Services that are down are not asked again when the time that was given is over.
#[tokio::test]
async fn nobody_is_asked_beyond_the_deadline() {
    let known = Known::new();
    let token = token(&json!({"iss": "https://ci.example", "sub": "s", "aud": "sigstore"}));
    let token = IdentityToken::parse(token).unwrap();
    let down = Server::start(|_| Reply::status(503)).await;
    let services = known.services(&[&down], &[&down]);
    let over = Deadline::after(Duration::ZERO);
    let error = services.open(&token, over).await.unwrap_err();
    assert!(matches!(error, SigningError::Outage(_)), "{error:?}");
    let session = services.open_with_key(Arc::new(key()));
    let error = session.sign(&known.to_sign, &|| known.now, over).await.unwrap_err();
    assert!(matches!(error, SigningError::Outage(_)), "{error:?}");
    assert_eq!(down.requests().len(), 0);
}

/// A refusal is no outage: nobody else is asked.
#[tokio::test]
async fn a_refusal_is_passed_on() {
    let known = Known::new();
    let other = Server::stranger().await;
    let log = Server::start(|_| Reply::status(400).body(r#"{"message":"bad"}"#)).await;
    let error = known.sign(&known.services(&[&other], &[&log, &other])).await.unwrap_err();
    let SigningError::Log(AppendError::Fetch(error)) = error else { panic!("{error:?}") };
    assert_kind!(error, FetchErrorKind::Rejected { .. });
    assert_eq!(log.requests().len(), 1);
    assert_eq!(other.lines(), [""; 0]);
}

/// What a log answers has to verify, whoever signs.
#[tokio::test]
async fn an_entry_of_something_else_is_refused() {
    let known = Known::new();
    let scene = Scene::v1().with_key(KeyKind::Ed25519).pinned();
    let answer = Story::of(&scene.with(|scene| scene.artifact = b"another".to_vec())).v1_answer();
    let answer = answer.to_string();
    let log = Server::start(move |_| Reply::status(201).body(answer.clone())).await;
    let error = known.sign(&known.services(&[&log], &[&log])).await.unwrap_err();
    assert!(matches!(error, SigningError::NotVerified { .. }), "{error:?}");
}

/// The answer to the first request was lost; another signature would be another entry. This key has
/// no other one, so that the log's second answer is the end.
#[tokio::test]
async fn a_duplicate_is_signed_anew_once() {
    let scene = Scene::v2().with_key(KeyKind::Ed25519).pinned();
    let sealed = scene.seal();
    let story = Story::of(&scene);
    let Content::Message { signature, .. } = story.evidence.content else { panic!("a message") };
    let now = UnixTime::from_seconds(scene.now);
    for (second, duplicate) in [(409, true), (400, false)] {
        let signature = signature.clone();
        let tsa = Server::start(move |request| {
            let signature = signature.clone();
            let change = move |token: &mut testkit::timestamp::TokenDraft| {
                token.imprint_of = signature.clone();
            };
            Reply::status(200).body(crate::timestamp::token(request, change))
        })
        .await;
        let asked = AtomicUsize::new(0);
        let log = Server::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Reply::status(409),
            _ => Reply::status(second),
        })
        .await;
        let mut json = config_json(&sealed.trust_root, &[&log], &[&log], 2);
        json["signingConfig"]["tsaUrls"] = json!([{"url": tsa.url("/stamp"), "majorApiVersion": 1,
            "operator": "t"}]);
        json["signingConfig"]["tsaConfig"] = json!({"selector": "ANY"});
        let config = ClientTrustConfig::parse(json.to_string().as_bytes()).unwrap();
        let services =
            SigningServices::select(&config, &BOTH, ASKED, &http(), &http(), now).unwrap();
        let session = services.open_with_key(Arc::new(key()));
        let digest = Digest::from(Hash::of(HashAlgorithm::Sha512, &sealed.artifact));
        let error = session.sign(&ToSign::Artifact(digest), &|| now, patient()).await.unwrap_err();
        assert_eq!(log.requests().len(), 2);
        let hint = error.hint().unwrap_or_default();
        assert_eq!(hint.contains("--log-version 1"), duplicate, "{hint}");
        match error {
            SigningError::Log(AppendError::Duplicate) => assert!(duplicate),
            SigningError::Log(AppendError::Fetch(_)) => assert!(!duplicate),
            error => panic!("{error:?}"),
        }
    }
}

/// A v2 log promises no time.
#[test]
fn a_v2_log_needs_a_timestamp_authority() {
    let trust_root = Scene::v2().seal().trust_root;
    let url = json!([{"url": "https://x.example", "majorApiVersion": 2, "operator": "o"}]);
    let mut json = config_json(&trust_root, &[], &[], 2);
    json["signingConfig"]["rekorTlogUrls"] = url;
    let config = ClientTrustConfig::parse(json.to_string().as_bytes()).unwrap();
    let now = UnixTime::from_seconds(Scene::v2().now);
    let error = SigningServices::select(&config, &BOTH, ASKED, &http(), &http(), now).unwrap_err();
    assert!(matches!(error, SigningError::NoTimestampAuthority), "{error:?}");
}

/// A certificate that may have been issued is not asked for again, there or elsewhere more than once.
#[tokio::test]
async fn authorities_are_asked_for_one_certificate() {
    let known = Known::new();
    let token = token(&json!({"iss": "https://ci.example", "sub": "s", "aud": "sigstore"}));
    let token = IdentityToken::parse(token).unwrap();
    for (status, requests) in [(500, 1), (502, 1), (503, 4), (429, 4)] {
        let ca = Server::start(move |_| Reply::status(status)).await;
        let next = Server::start(|_| Reply::status(400)).await;
        let error = known.services(&[&ca], &[&ca]).open(&token, patient()).await.unwrap_err();
        assert!(matches!(error, SigningError::Outage(_)), "{status}: {error:?}");
        assert_eq!(ca.requests().len(), requests, "{status}");
        // The next one is asked at once, and its refusal counts.
        let error =
            known.services(&[&ca, &next], &[&ca]).open(&token, patient()).await.unwrap_err();
        assert!(matches!(error, SigningError::Certify(_)), "{status}: {error:?}");
        assert_eq!(ca.requests().len(), requests + 1, "{status}");
        assert_eq!(next.requests().len(), 1);
    }
}

/// Who signs with a key needs no authority, and a configuration without one does.
#[tokio::test]
async fn a_key_needs_no_certificate_authority() {
    let known = Known::new();
    let answer = known.story.v1_answer().to_string();
    let log = Server::start(move |_| Reply::status(201).body(answer.clone())).await;
    let json = config_json(&known.trust_root, &[], &[&log], 1);
    let config = ClientTrustConfig::parse(json.to_string().as_bytes()).unwrap();
    let select = |need| SigningServices::select(&config, &BOTH, need, &http(), &http(), known.now);
    let error = select(ASKED).unwrap_err();
    assert!(matches!(error, SigningError::Select(_)), "{error:?}");
    let services = select(CertificateNeed::NotAsked).unwrap();
    known.sign(&services).await.unwrap();
    // It cannot be asked after all.
    let token = token(&json!({"iss": "https://ci.example", "sub": "s", "aud": "sigstore"}));
    let token = IdentityToken::parse(token).unwrap();
    let error = services.open(&token, patient()).await.unwrap_err();
    assert!(matches!(error, SigningError::NoAuthority), "{error:?}");
    assert_eq!(log.requests().len(), 1);
}

//! An issuer's keys: where they may come from, and for how long they are believed.

use std::sync::Arc;

use authority::issuer::{Issuer, IssuerKind, Issuers};
use authority::jose::KeySet;
use authority::jose::jwk::{KEY_SET_SIZE_MAX, ParseKeySetError};
use authority::token::keys::{
    FETCH_INTERVAL_SECONDS, KEYS_FRESH_SECONDS, KEYS_STALE_SECONDS_MAX, KeysError,
};
use authority::token::{TokenError, TokenVerifier};
use crypto::KeyKind;
use futures::FutureExt;
use futures::executor::block_on;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::world::{CLIENT, Documents, ISSUER, NOW, Provider, TokenKey, claims, claims_with};

fn keys_error(provider: &Provider) -> KeysError {
    match provider.verify_claims(&claims()).unwrap_err() {
        TokenError::Keys { source, .. } => source,
        error => panic!("{error}"),
    }
}

fn discovery(provider: &Provider, document: &Value) {
    provider.documents.put(&format!("{ISSUER}/.well-known/openid-configuration"), document);
}

/// Claims that are valid at any time of these tests.
fn lasting() -> Value {
    claims_with("exp", json!(NOW.seconds() + 100_000))
}

#[test]
fn keys_are_fetched_once_and_kept() {
    let provider = Provider::email();
    for _ in 0..3 {
        provider.verify_claims(&claims()).unwrap();
    }
    let asked = provider.documents.asked.lock().unwrap().clone();
    let expected =
        ["https://issuer.example/.well-known/openid-configuration", "https://issuer.example/keys"];
    assert_eq!(asked, expected);
}

#[test]
fn many_at_once_fetch_once() {
    let provider = Provider::email();
    let token = provider.key.token(&claims());
    let outcomes = block_on(join_all((0..20).map(|_| provider.verifier.verify(&token, NOW))));
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(provider.documents.asked(), 2);
}

/// Whoever asks and hangs up neither keeps the others from the keys nor has the issuer asked more.
#[test]
fn a_fetch_outlives_the_request_that_began_it() {
    let provider = Provider::email();
    let token = provider.key.token(&lasting());
    let hang_up = |now| assert!(provider.verifier.verify(&token, now).now_or_never().is_none());
    hang_up(NOW);
    assert_eq!(provider.documents.asked(), 1);
    provider.verify(&token).unwrap();
    assert_eq!(provider.documents.asked(), 2);

    // One that was left alone for long is begun anew: what it waited for may be gone.
    let stale = NOW.plus_seconds(KEYS_FRESH_SECONDS);
    hang_up(stale);
    assert_eq!(provider.documents.asked(), 3);
    provider.verify_at(&token, stale.plus_seconds(FETCH_INTERVAL_SECONDS)).unwrap();
    assert_eq!(provider.documents.asked(), 5);

    // Its keys are as old as the fetch, not as the request that ended it.
    let again = stale.plus_seconds(FETCH_INTERVAL_SECONDS + KEYS_FRESH_SECONDS);
    hang_up(again);
    provider.verify_at(&token, again.plus_seconds(FETCH_INTERVAL_SECONDS - 1)).unwrap();
    assert_eq!(provider.documents.asked(), 7);
    provider.verify_at(&token, again.plus_seconds(KEYS_FRESH_SECONDS)).unwrap();
    assert_eq!(provider.documents.asked(), 9);
}

#[test]
fn a_document_of_another_issuer_is_refused() {
    let provider = Provider::email();
    for issuer in [json!("https://issuer.example/"), json!("https://other.example"), Value::Null] {
        let provider = Provider::email();
        discovery(&provider, &json!({"issuer": issuer, "jwks_uri": format!("{ISSUER}/keys")}));
        assert!(matches!(keys_error(&provider), KeysError::AnotherIssuer { .. }));
        assert_eq!(provider.documents.asked(), 1, "no keys were asked for");
    }
    provider.documents.by_url.lock().unwrap().values_mut().for_each(|body| body.truncate(5));
    assert!(matches!(keys_error(&provider), KeysError::Discovery(_)));
}

/// CVE-2026-49478: discovery does not send us elsewhere.
#[test]
fn keys_come_from_the_issuers_host() {
    for url in [
        "https://169.254.169.254/keys",
        "https://issuer.example.mallory.example/keys",
        "https://issuer.example:8443/keys",
        "http://issuer.example/keys",
        "https://issuer.example@mallory.example/keys",
        "https://mallory.example/https://issuer.example/keys",
        "https://issuer.example/keys?next=https://mallory.example",
        "file:///etc/passwd",
        "keys",
        "",
    ] {
        let provider = Provider::email();
        discovery(&provider, &json!({"issuer": ISSUER, "jwks_uri": url}));
        assert!(matches!(keys_error(&provider), KeysError::KeySetElsewhere { .. }), "{url}");
        assert_eq!(provider.documents.asked(), 1, "{url}");
    }
}

#[test]
fn keys_elsewhere_can_be_configured() {
    let key = TokenKey::es256();
    let documents = Arc::new(Documents::default());
    documents.put("https://keys.example/set", &json!({"keys": [key.jwk()]}));
    let issuer = Issuer::new(ISSUER, CLIENT, IssuerKind::Email).unwrap();
    let issuer = issuer.with_key_set_url("https://keys.example/set").unwrap();
    let verifier = TokenVerifier::new(Issuers::new(vec![issuer]).unwrap(), Arc::clone(&documents));
    assert!(block_on(verifier.verify(&key.token(&claims()), NOW)).is_ok());
    assert_eq!(*documents.asked.lock().unwrap(), ["https://keys.example/set"]);
}

#[test]
fn a_new_key_is_found_but_not_looked_for_too_often() {
    let provider = Provider::email();
    let token = provider.key.token(&lasting());
    provider.verify(&token).unwrap();
    let rotated = TokenKey::new(KeyKind::EcdsaP256, "second", "ES256");
    let new_token = rotated.token(&lasting());

    // Published and found at once.
    let later = NOW.plus_seconds(FETCH_INTERVAL_SECONDS);
    provider.documents.put_issuer(ISSUER, &[provider.key.jwk(), rotated.jwk()]);
    provider.verify_at(&new_token, later).unwrap();
    provider.verify_at(&token, later).unwrap();
    assert_eq!(provider.documents.asked(), 4);

    // Made-up names cause no storm.
    let unknown = TokenKey::new(KeyKind::EcdsaP256, "third", "ES256").token(&lasting());
    for _ in 0..100 {
        let error = provider.verify_at(&unknown, later).unwrap_err();
        assert!(matches!(error, TokenError::Signature { .. }));
    }
    assert_eq!(provider.documents.asked(), 4);
    let error = provider.verify_at(&unknown, later.plus_seconds(FETCH_INTERVAL_SECONDS));
    assert!(error.is_err());
    assert_eq!(provider.documents.asked(), 6);
}

#[test]
fn many_at_once_find_a_new_key_with_one_fetch() {
    let provider = Provider::email();
    provider.verify_claims(&lasting()).unwrap();
    let rotated = TokenKey::new(KeyKind::EcdsaP256, "second", "ES256");
    provider.documents.put_issuer(ISSUER, &[rotated.jwk()]);
    let token = rotated.token(&lasting());
    let later = NOW.plus_seconds(FETCH_INTERVAL_SECONDS);
    let outcomes = block_on(join_all((0..20).map(|_| provider.verifier.verify(&token, later))));
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(provider.documents.asked(), 4);
}

#[test]
fn a_bad_signature_is_no_reason_to_fetch() {
    let provider = Provider::email();
    provider.verify_claims(&claims()).unwrap();
    let forged = TokenKey::es256().token(&claims());
    let later = NOW.plus_seconds(2 * FETCH_INTERVAL_SECONDS);
    assert!(provider.verify_at(&forged, later).is_err());
    assert_eq!(provider.documents.asked(), 2);
}

#[test]
fn a_withdrawn_key_is_believed_for_its_freshness_only() {
    let provider = Provider::email();
    let token = provider.key.token(&lasting());
    provider.verify(&token).unwrap();
    let other = TokenKey::new(KeyKind::EcdsaP256, "second", "ES256");
    provider.documents.put_issuer(ISSUER, &[other.jwk()]);
    provider.verify_at(&token, NOW.plus_seconds(KEYS_FRESH_SECONDS - 1)).unwrap();
    let error = provider.verify_at(&token, NOW.plus_seconds(KEYS_FRESH_SECONDS)).unwrap_err();
    assert!(matches!(error, TokenError::Signature { .. }));
}

#[test]
fn an_outage_is_outlasted_up_to_a_limit() {
    let provider = Provider::email();
    let token = provider.key.token(&lasting());
    provider.verify(&token).unwrap();
    provider.documents.clear();
    let last = NOW.plus_seconds(KEYS_STALE_SECONDS_MAX);
    provider.verify_at(&token, last.plus_seconds(-1)).unwrap();
    let error = provider.verify_at(&token, last).unwrap_err();
    assert!(matches!(error, TokenError::Keys { source: KeysError::TooSoon, .. }), "{error}");
    let error = provider.verify_at(&token, last.plus_seconds(FETCH_INTERVAL_SECONDS)).unwrap_err();
    assert!(matches!(error, TokenError::Keys { source: KeysError::Fetch(_), .. }), "{error}");
    // And it ends when the issuer is back.
    provider.documents.put_issuer(ISSUER, &[provider.key.jwk()]);
    provider.verify_at(&token, last.plus_seconds(2 * FETCH_INTERVAL_SECONDS)).unwrap();
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_last() {
    let provider = Provider::email();
    let mut claims = lasting();
    claims["iat"] = json!(NOW.seconds() - 100_000);
    let token = provider.key.token(&claims);
    provider.verify(&token).unwrap();
    provider.verify_at(&token, NOW.plus_seconds(1 - KEYS_FRESH_SECONDS)).unwrap();
    assert_eq!(provider.documents.asked(), 2);
    provider.documents.clear();
    let back = NOW.plus_seconds(-KEYS_FRESH_SECONDS);
    provider.verify_at(&token, back).unwrap();
    assert_eq!(provider.documents.asked(), 3, "they were asked for, and could not be had");
    let back = NOW.plus_seconds(-KEYS_STALE_SECONDS_MAX);
    let error = provider.verify_at(&token, back).unwrap_err();
    assert!(matches!(error, TokenError::Keys { source: KeysError::Fetch(_), .. }), "{error}");
}

#[test]
fn prefetching_reports_what_is_missing() {
    let provider = Provider::email();
    assert!(block_on(provider.verifier.prefetch(NOW)).is_empty());
    provider.verify_claims(&claims()).unwrap();
    assert_eq!(provider.documents.asked(), 2);

    let provider = Provider::email();
    provider.documents.clear();
    let failures = block_on(provider.verifier.prefetch(NOW));
    assert!(
        matches!(failures.as_slice(), [(issuer, KeysError::Fetch(_))] if issuer.url() == ISSUER)
    );
}

#[test]
fn a_token_without_key_identifier_is_tried_with_the_keys_that_fit() {
    let provider = Provider::email();
    let other = TokenKey::new(KeyKind::EcdsaP256, "other", "ES256");
    let p384 = TokenKey::new(KeyKind::EcdsaP384, "p384", "ES384");
    provider.documents.put_issuer(ISSUER, &[p384.jwk(), other.jwk(), provider.key.jwk()]);
    let token = provider.key.token_with(&json!({"alg": "ES256"}), &claims());
    assert!(provider.verify(&token).is_ok());

    // But only with so many of them.
    let provider = Provider::email();
    let mut keys: Vec<_> =
        (0..8).map(|_| TokenKey::new(KeyKind::EcdsaP256, "other", "ES256").jwk()).collect();
    keys.push(provider.key.jwk());
    provider.documents.put_issuer(ISSUER, &keys);
    let token = provider.key.token_with(&json!({"alg": "ES256"}), &claims());
    assert!(matches!(provider.verify(&token), Err(TokenError::Signature { .. })));
    assert!(provider.verify_claims(&claims()).is_ok());
}

#[test]
fn a_key_is_used_for_what_it_is_for() {
    for (name, value) in [
        ("use", json!("enc")),
        ("key_ops", json!(["sign"])),
        ("alg", json!("ES384")),
        ("d", json!("AAAA")),
        ("kid", json!("another")),
        ("crv", json!("P-384")),
        ("kty", json!("oct")),
        ("x", json!("AAAA")),
    ] {
        let provider = Provider::email();
        let mut jwk = provider.key.jwk();
        jwk[name] = value;
        let bystander = TokenKey::new(KeyKind::Ed25519, "bystander", "EdDSA");
        provider.documents.put_issuer(ISSUER, &[jwk, bystander.jwk()]);
        let error = provider.verify_claims(&claims()).unwrap_err();
        assert!(matches!(error, TokenError::Signature { .. }), "{name}: {error}");
    }
    let provider = Provider::email();
    let mut jwk = provider.key.jwk();
    jwk["alg"] = json!("ES256");
    jwk["key_ops"] = json!(["verify"]);
    provider.documents.put_issuer(ISSUER, &[jwk]);
    assert!(provider.verify_claims(&claims()).is_ok());
}

#[test]
fn key_sets_are_bounded() {
    let parse = |value: &Value| KeySet::parse(value.to_string().as_bytes());
    let key = TokenKey::es256().jwk();
    assert_eq!(parse(&json!({"keys": vec![key.clone(); 64]})).unwrap().len(), 64);
    let error = parse(&json!({"keys": vec![key.clone(); 65]})).unwrap_err();
    assert!(matches!(error, ParseKeySetError::TooMany { found: 65 }));
    let error = KeySet::parse(&vec![b' '; KEY_SET_SIZE_MAX + 1]).unwrap_err();
    assert!(matches!(error, ParseKeySetError::TooLong { .. }));
    for set in [json!({}), json!({"keys": {}}), json!({"keys": null})] {
        assert!(matches!(parse(&set), Err(ParseKeySetError::NoKeys)));
    }
    for set in [json!({"keys": []}), json!({"keys": [7, null, {}, {"kty": "RSA"}]})] {
        assert!(matches!(parse(&set), Err(ParseKeySetError::NoneUsable { .. })));
    }
    assert!(matches!(parse(&json!([key])), Err(ParseKeySetError::Json(_))));
    // Keys that are not understood do not spoil those that are.
    let set =
        json!({"keys": [{"kty": "oct", "k": "AAAA"}, key, {"kty": "RSA", "n": "AQ", "e": "AQAB"}]});
    assert_eq!(parse(&set).unwrap().len(), 1);
}

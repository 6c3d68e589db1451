//! Tokens: which are believed, and that nothing about the others is.

use authority::issuer::{Issuer, IssuerKind, Issuers};
use authority::jose::JwsAlgorithm;
use authority::jose::jws::{ParseJwsError, TOKEN_SIZE_MAX};
use authority::token::{CLOCK_LEEWAY_SECONDS, TokenError, TokenVerifier};
use crypto::{KeyKind, Signer};
use evidence::UnixTime;
use futures::executor::block_on;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::world::{
    CLIENT, Documents, ISSUER, NOW, Provider, TokenKey, claims, claims_with, encode,
};

#[test]
fn a_right_token_is_believed() {
    let provider = Provider::email();
    let token = provider.verify_claims(&claims()).unwrap();
    assert_eq!(token.issuer().url(), ISSUER);
    assert_eq!(token.subject(), "alice");
    assert_eq!(token.expires(), NOW.plus_seconds(300));
    assert_eq!(token.verified_email(), Some("alice@example.com"));
}

#[test]
fn every_algorithm_of_the_list_verifies() {
    for (kind, algorithm) in [
        (KeyKind::EcdsaP256, "ES256"),
        (KeyKind::EcdsaP384, "ES384"),
        (KeyKind::Rsa { bits: 2048 }, "RS256"),
        (KeyKind::Rsa { bits: 2048 }, "PS384"),
        (KeyKind::Ed25519, "EdDSA"),
    ] {
        let provider = Provider::with_key(IssuerKind::Email, TokenKey::new(kind, "k", algorithm));
        assert!(provider.verify_claims(&claims()).is_ok(), "{algorithm}");
    }
}

#[test]
fn a_changed_byte_anywhere_is_noticed() {
    let provider = Provider::email();
    let token = provider.key.token(&claims());
    let parts: Vec<_> = token.split('.').collect();
    let forged = encode(claims_with("sub", json!("mallory")).to_string().as_bytes());
    let payload = format!("{}.{forged}.{}", parts[0], parts[2]);
    assert!(matches!(provider.verify(&payload), Err(TokenError::Signature { .. })));

    let header = json!({"alg": "ES256", "kid": "first", "x": 1}).to_string();
    let header = format!("{}.{}.{}", encode(header.as_bytes()), parts[1], parts[2]);
    assert!(matches!(provider.verify(&header), Err(TokenError::Signature { .. })));

    for position in [0, 31, 32, 63] {
        let mut signature = provider
            .key
            .pair
            .sign(
                crypto::Scheme::EcdsaP256Sha256Fixed,
                crypto::Message::Bytes(format!("{}.{}", parts[0], parts[1]).as_bytes()),
            )
            .unwrap();
        signature[position] ^= 1;
        let token = format!("{}.{}.{}", parts[0], parts[1], encode(&signature));
        assert!(matches!(provider.verify(&token), Err(TokenError::Signature { .. })));
    }
    let empty = format!("{}.{}.", parts[0], parts[1]);
    assert!(matches!(provider.verify(&empty), Err(TokenError::Signature { .. })));
}

#[test]
fn another_key_of_the_same_name_proves_nothing() {
    let provider = Provider::email();
    let mallory = TokenKey::es256();
    let token = mallory.token(&claims());
    assert!(matches!(provider.verify(&token), Err(TokenError::Signature { .. })));
}

/// CVE-2016-9122, CVE-2025-24976, CVE-2025-25537: the header does not choose who verifies.
#[test]
fn a_header_cannot_choose_how_it_is_verified() {
    let provider = Provider::email();
    for algorithm in ["none", "None", "HS256", "HS512", "ES256K", "ES512", "RSA-OAEP", "dir", ""] {
        let mut header = provider.key.header();
        header["alg"] = json!(algorithm);
        let signed = provider.key.token_with(&header, &claims());
        let unsigned = format!("{}.", signed.rsplit_once('.').unwrap().0);
        for token in [signed, unsigned] {
            let error = provider.verify(&token).unwrap_err();
            let TokenError::Parse(ParseJwsError::Algorithm { found }) = error else {
                panic!("{algorithm}: {error}");
            };
            assert_eq!(found, algorithm);
        }
    }
    for algorithm in [Value::Null, json!(["ES256"]), json!(256)] {
        let mut header = provider.key.header();
        header["alg"] = algorithm;
        let error = provider.verify(&provider.key.token_with(&header, &claims())).unwrap_err();
        assert!(matches!(error, TokenError::Parse(ParseJwsError::Algorithm { .. })));
    }
    for name in ["jku", "jwk", "x5u", "x5c", "crit", "b64", "enc", "zip"] {
        for value in [json!("https://mallory.example/keys"), json!(["exp"]), Value::Null] {
            let mut header = provider.key.header();
            header[name] = value;
            let error = provider.verify(&provider.key.token_with(&header, &claims())).unwrap_err();
            assert!(
                matches!(&error, TokenError::Parse(ParseJwsError::RefusedParameter { name: found }) if *found == name),
                "{name}: {error}"
            );
        }
    }
    assert_eq!(provider.documents.asked(), 0, "nothing was fetched for any of them");
}

#[test]
fn an_algorithm_needs_a_key_of_its_kind() {
    // The P-256 key's token, relabelled for the other kinds.
    let provider = Provider::email();
    for algorithm in ["RS256", "PS256", "ES384", "EdDSA"] {
        let mut header = provider.key.header();
        header["alg"] = json!(algorithm);
        let error = provider.verify(&provider.key.token_with(&header, &claims())).unwrap_err();
        assert!(matches!(error, TokenError::Signature { .. }), "{algorithm}: {error}");
    }
}

#[test]
fn an_issuer_may_be_held_to_some_algorithms() {
    let key = TokenKey::es256();
    let documents = Arc::new(Documents::default());
    documents.put_issuer(ISSUER, &[key.jwk()]);
    let issuer = Issuer::new(ISSUER, CLIENT, IssuerKind::Email).unwrap();
    let issuer = issuer.with_algorithms(vec![JwsAlgorithm::Rs256]).unwrap();
    let verifier = TokenVerifier::new(Issuers::new(vec![issuer]).unwrap(), documents);
    let error = block_on(verifier.verify(&key.token(&claims()), NOW)).unwrap_err();
    assert!(matches!(error, TokenError::AlgorithmNotAllowed { found: JwsAlgorithm::Es256, .. }));
}

/// GHSA-f83f-xpx7-ffpw, CVE-2025-66506, CVE-2025-27144: dots without end.
#[test]
fn the_form_is_three_parts_within_bounds() {
    let provider = Provider::email();
    let parse_error = |token: &str| match provider.verify(token).unwrap_err() {
        TokenError::Parse(error) => error,
        error => panic!("{error}"),
    };
    let dots = ".".repeat(1 << 20);
    assert!(matches!(parse_error(&dots), ParseJwsError::TooLong { found } if found == 1 << 20));
    let dots = ".".repeat(TOKEN_SIZE_MAX);
    assert!(matches!(parse_error(&dots), ParseJwsError::NotThreeParts));

    let token = provider.key.token(&claims());
    let (signed, _) = token.rsplit_once('.').unwrap();
    for form in
        ["", "a", signed, &format!("{token}."), &format!("{token}.a.b"), &format!(".{token}")]
    {
        assert!(matches!(parse_error(form), ParseJwsError::NotThreeParts), "{form}");
    }
    let (header, rest) = token.split_once('.').unwrap();
    for form in [
        format!("{token}="),
        format!("{header}=.{rest}"),
        format!(" {token}"),
        format!("{token}\n"),
    ] {
        assert!(matches!(parse_error(&form), ParseJwsError::NotBase64 { .. }), "{form}");
    }
    assert!(matches!(parse_error(".."), ParseJwsError::Json { part: "header", .. }));

    let mut long = claims();
    long["padding"] = json!("x".repeat(TOKEN_SIZE_MAX));
    assert!(matches!(parse_error(&provider.key.token(&long)), ParseJwsError::TooLong { .. }));
}

#[test]
fn a_json_serialization_is_no_token() {
    let provider = Provider::email();
    let token = provider.key.token(&claims());
    let parts: Vec<_> = token.split('.').collect();
    let signature = json!({"protected": parts[0], "signature": parts[2]});
    let general = json!({"payload": parts[1], "signatures": [signature, signature]}).to_string();
    assert!(matches!(provider.verify(&general), Err(TokenError::Parse(_))));
}

#[test]
fn nothing_may_stand_twice() {
    let provider = Provider::email();
    let key = &provider.key;
    let right_header = key.header().to_string();
    let right_claims = claims().to_string();
    let double = |object: &str, member: &str| format!("{{{member},{}", &object[1..]);
    for (header, claims) in [
        (double(&right_header, r#""alg":"none""#), right_claims.clone()),
        (right_header.clone(), double(&right_claims, r#""aud":"other""#)),
        (right_header.clone(), double(&right_claims, r#""a":{"b":1,"b":2}"#)),
        (right_header.clone(), double(&right_claims, r#""a":[{"b":1,"b":1}]"#)),
    ] {
        let error = provider.verify(&key.token_of(&header, &claims)).unwrap_err();
        assert!(matches!(error, TokenError::Parse(ParseJwsError::Json { .. })), "{error}");
    }
    for payload in ["", "[]", "null", "\"text\"", "{", "{}{}", "{\"a\":1}x", "{\"a\":\u{1}}"] {
        let error = provider.verify(&key.token_of(&right_header, payload)).unwrap_err();
        assert!(matches!(error, TokenError::Parse(ParseJwsError::Json { .. })), "{payload}");
    }
    // Deep nesting is an error, not an overflow.
    let deep = format!("{{\"a\":{}", "[".repeat(10_000));
    let error = provider.verify(&key.token_of(&right_header, &deep)).unwrap_err();
    assert!(matches!(error, TokenError::Parse(ParseJwsError::Json { .. })));
}

#[test]
fn tokens_of_other_types_are_for_other_purposes() {
    let provider = Provider::email();
    for (kind, accepted) in [
        (json!("JWT"), true),
        (json!("jwt"), true),
        (json!("at+jwt"), false),
        (json!("logout+jwt"), false),
        (json!("JOSE"), false),
        (json!(""), false),
        (json!(7), false),
    ] {
        let mut header = provider.key.header();
        header["typ"] = kind.clone();
        let outcome = provider.verify(&provider.key.token_with(&header, &claims()));
        match outcome {
            Ok(_) => assert!(accepted, "{kind}"),
            Err(error) => {
                assert!(!accepted, "{kind}");
                assert!(matches!(error, TokenError::Parse(ParseJwsError::Type)));
            }
        }
    }
    let header = json!({"alg": "ES256", "kid": "first"});
    assert!(provider.verify(&provider.key.token_with(&header, &claims())).is_ok());
}

#[test]
fn a_key_identifier_is_a_short_text() {
    let provider = Provider::email();
    for id in [json!(1), json!(["first"]), Value::Null, json!("x".repeat(257))] {
        let mut header = provider.key.header();
        header["kid"] = id;
        let error = provider.verify(&provider.key.token_with(&header, &claims())).unwrap_err();
        assert!(matches!(error, TokenError::Parse(ParseJwsError::KeyId)));
    }
}

/// CVE-2026-22772, GHSA-59jp-pj84-45mr: an issuer of the token's choice is never asked for keys.
#[test]
fn only_configured_issuers_are_ever_asked() {
    let provider = Provider::email();
    for issuer in [
        json!("https://issuer.example/"),
        json!("https://issuer.example.mallory.example"),
        json!("http://issuer.example"),
        json!("https://ISSUER.example"),
        json!("http://localhost:3000?https://issuer.example"),
        json!(" https://issuer.example"),
        json!(""),
        json!(7),
        json!([ISSUER]),
        Value::Null,
    ] {
        let error = provider.verify_claims(&claims_with("iss", issuer.clone())).unwrap_err();
        assert!(matches!(error, TokenError::UnknownIssuer { .. }), "{issuer}: {error}");
    }
    assert_eq!(provider.documents.asked(), 0);
}

#[test]
fn it_must_be_made_for_us() {
    let provider = Provider::email();
    for audience in [json!(CLIENT), json!([CLIENT]), json!(["other", CLIENT])] {
        assert!(
            provider.verify_claims(&claims_with("aud", audience.clone())).is_ok(),
            "{audience}"
        );
    }
    for audience in [json!("other"), json!(""), json!(["other"]), json!([]), json!("sigstore ")] {
        let error = provider.verify_claims(&claims_with("aud", audience.clone())).unwrap_err();
        assert!(matches!(error, TokenError::Audience { .. }), "{audience}: {error}");
    }
    let many = vec![json!(CLIENT); 33];
    for audience in [json!(7), json!([CLIENT, 7]), json!({"a": CLIENT}), Value::Null, json!(many)] {
        let error = provider.verify_claims(&claims_with("aud", audience.clone())).unwrap_err();
        assert!(matches!(error, TokenError::Claim { claim: "aud", .. }), "{audience}: {error}");
    }
}

#[test]
fn late_is_late() {
    let provider = Provider::email();
    let now = NOW.seconds();
    for expiry in [json!(now + 1), json!(now as f64 + 1.5)] {
        assert!(provider.verify_claims(&claims_with("exp", expiry)).is_ok());
    }
    for expiry in [json!(now), json!(now - 1), json!(0), json!(now as f64 + 0.9)] {
        let error = provider.verify_claims(&claims_with("exp", expiry)).unwrap_err();
        assert!(matches!(error, TokenError::Expired { .. }), "{error}");
    }
    let text = json!((now + 300).to_string());
    for expiry in [text, json!(-1), json!(1e300), json!(true), json!([now + 300]), Value::Null] {
        let error = provider.verify_claims(&claims_with("exp", expiry.clone())).unwrap_err();
        assert!(matches!(error, TokenError::Claim { claim: "exp", .. }), "{expiry}: {error}");
    }
    // An explicit null is not an absent claim for `exp`, nor a number.
    let mut null = claims();
    null["exp"] = Value::Null;
    assert!(matches!(provider.verify_claims(&null), Err(TokenError::Claim { claim: "exp", .. })));
}

#[test]
fn early_is_early_but_for_five_minutes() {
    let provider = Provider::email();
    for claim in ["nbf", "iat"] {
        let edge = NOW.seconds() + CLOCK_LEEWAY_SECONDS;
        assert!(provider.verify_claims(&claims_with(claim, json!(edge))).is_ok());
        let error = provider.verify_claims(&claims_with(claim, json!(edge + 1))).unwrap_err();
        assert!(
            matches!(&error, TokenError::NotYetValid { claim: found, .. } if *found == claim),
            "{error}"
        );
        assert!(provider.verify_claims(&claims_with(claim, Value::Null)).is_ok());
        let error = provider.verify_claims(&claims_with(claim, json!("1"))).unwrap_err();
        assert!(matches!(error, TokenError::Claim { .. }));
    }
}

#[test]
fn a_subject_is_a_text_of_some_length() {
    let provider = Provider::email();
    let long = "x".repeat(1025);
    for subject in [json!(""), json!(7), json!(["alice"]), json!(long), Value::Null] {
        let error = provider.verify_claims(&claims_with("sub", subject)).unwrap_err();
        assert!(matches!(error, TokenError::Claim { claim: "sub", .. }));
    }
    assert!(provider.verify_claims(&claims_with("sub", json!("x".repeat(1024)))).is_ok());
}

#[test]
fn a_bad_token_is_400_and_absent_keys_are_503() {
    let provider = Provider::email();
    let wire = provider.verify("x").unwrap_err().wire();
    assert_eq!((wire.status, wire.code), (400, 3));
    assert_eq!(wire.message, "There was an error processing the identity token");
    let expired = claims_with("exp", json!(1));
    assert_eq!(provider.verify_claims(&expired).unwrap_err().wire().status, 400);

    let provider = Provider::email();
    provider.documents.clear();
    let error = provider.verify_claims(&claims()).unwrap_err();
    assert!(matches!(error, TokenError::Keys { .. }));
    assert_eq!((error.wire().status, error.wire().code), (503, 14));
}

#[test]
fn neither_token_nor_claims_can_be_printed() {
    let provider = Provider::email();
    let token = provider.verify_claims(&claims()).unwrap();
    let shown = format!("{token:?}");
    assert!(shown.contains("alice") && !shown.contains("alice@example.com"), "{shown}");
}

#[test]
fn no_field_of_any_kind_makes_it_panic() {
    let provider = Provider::email();
    let values = [
        Value::Null,
        json!(""),
        json!([]),
        json!({}),
        json!(0),
        json!(-1),
        json!(1e308),
        json!(true),
    ];
    for value in values {
        for name in claims().as_object().unwrap().keys() {
            let mut claims = claims();
            claims[name] = value.clone();
            drop(provider.verify_claims(&claims));
        }
        for name in ["alg", "kid", "typ"] {
            let mut header = provider.key.header();
            header[name] = value.clone();
            drop(provider.verify(&provider.key.token_with(&header, &claims())));
        }
    }
    let at = |seconds| {
        provider.verify_at(&provider.key.token(&claims()), UnixTime::from_seconds(seconds))
    };
    assert!(at(i64::MIN).is_err() && at(i64::MAX).is_err());
}

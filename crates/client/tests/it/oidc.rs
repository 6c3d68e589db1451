//! Identity tokens are found where they are offered, and asked for at the right place only.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client::oidc::{AUDIENCE, ParseTokenError, TOKEN_SIZE_MAX, TokenError, find_token};
use client::{BadUrl, Environment, FetchErrorKind, IdentityToken, Secret};
use evidence::UnixTime;
use serde_json::json;

use crate::server::{Reply, Server};
use crate::{ample, assert_kind, http};

/// A token with these claims and a signature that is none.
pub(crate) fn token(claims: &serde_json::Value) -> Secret {
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let header = json!({"alg": "ES256"});
    Secret::new(format!("{}.{}.c2ln", part(header.to_string()), part(claims.to_string())))
}

fn github_token() -> Secret {
    token(&json!({"iss": "https://token.actions.githubusercontent.com", "sub": "repo:acme/app"}))
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::new(variables.iter().map(|(name, value)| (*name, (*value).to_owned())))
}

async fn find(environment: &Environment) -> Result<IdentityToken, TokenError> {
    find_token(None, environment, &http(), AUDIENCE, ample()).await
}

#[test]
fn claims_are_read_and_not_believed() {
    let claims = json!({"iss": "i", "sub": "s", "email": "a@b.example", "exp": 1_700_000_000.9});
    let parsed = IdentityToken::parse(token(&claims)).unwrap();
    assert_eq!((parsed.issuer(), parsed.subject()), ("i", "s"));
    assert_eq!(parsed.email(), Some("a@b.example"));
    assert_eq!(parsed.expires(), Some(UnixTime::from_seconds(1_700_000_000)));
    let least = IdentityToken::parse(token(&json!({"iss": "i", "sub": "s"}))).unwrap();
    assert_eq!((least.email(), least.expires()), (None, None));
}

#[test]
fn what_is_no_token_is_refused_and_not_shown() {
    use ParseTokenError as E;
    let good = github_token();
    let with = |suffix: &str| format!("{}{suffix}", good.expose());
    let cases = [
        (String::new(), E::NotThreeParts),
        ("hunter2".to_owned(), E::NotThreeParts),
        ("a.b".to_owned(), E::NotThreeParts),
        (with(".x"), E::NotThreeParts),
        ("e30.e30=.e30".to_owned(), E::NotBase64),
        ("e30.hunter+2.e30".to_owned(), E::NotBase64),
        ("e+0.e30.e30".to_owned(), E::NotBase64),
        ("e30.e30.e+0".to_owned(), E::NotBase64),
        ("e30.e30.e30".to_owned(), E::BadClaims),
        ("e30.W10.e30".to_owned(), E::BadClaims),
        // CVE-2025-66506: a bearer of a mebibyte of dots.
        (".".repeat(1 << 20), E::TooLong { found: 1 << 20 }),
        ("x".repeat(TOKEN_SIZE_MAX + 1), E::TooLong { found: TOKEN_SIZE_MAX + 1 }),
    ];
    for (text, wanted) in cases {
        let error = IdentityToken::parse(Secret::new(text)).unwrap_err();
        assert!(!error.to_string().contains("hunter"));
        assert_eq!(error, wanted);
    }
    let parsed = IdentityToken::parse(github_token()).unwrap();
    assert!(!format!("{parsed:?}").contains(good.expose()));
}

#[tokio::test]
async fn what_is_given_comes_before_what_is_found() {
    let server = Server::stranger().await;
    let url = server.url("/token?x=1");
    let variable = token(&json!({"iss": "variable", "sub": "s"}));
    let environment = environment(&[
        ("SIGSTORE_ID_TOKEN", &format!("{}\n", variable.expose())),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", &url),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job"),
    ]);
    let given = token(&json!({"iss": "given", "sub": "s"}));
    let found = find_token(Some(given), &environment, &http(), AUDIENCE, ample()).await.unwrap();
    assert_eq!(found.issuer(), "given");
    assert_eq!(find(&environment).await.unwrap().issuer(), "variable");
    assert_eq!(server.lines(), [""; 0]);
    assert!(!format!("{environment:?}").contains("job"));
}

#[tokio::test]
async fn github_is_asked_for_our_audience_with_the_jobs_token() {
    let value = github_token().expose().to_owned();
    let server = Server::start(move |_| {
        Reply::ok("application/json", json!({"count": 1, "value": value}).to_string())
    })
    .await;
    let environment = environment(&[
        ("GITHUB_ACTIONS", "true"),
        ("SIGSTORE_ID_TOKEN", ""),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", &server.url("/token?api-version=2.0")),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job"),
    ]);
    assert_eq!(find(&environment).await.unwrap().subject(), "repo:acme/app");
    assert_eq!(server.lines(), ["GET /token?api-version=2.0&audience=sigstore"]);
    assert_eq!(server.authorizations(), ["Bearer job"]);
}

#[tokio::test]
async fn the_jobs_token_goes_to_its_endpoint_only() {
    let other = Server::stranger().await;
    let target = other.url("/");
    let server = Server::start(move |_| Reply::status(302).with("Location", target.clone())).await;
    let job = |url: &str| {
        environment(&[
            ("ACTIONS_ID_TOKEN_REQUEST_URL", url),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job"),
        ])
    };
    match find(&job(&server.url("/token"))).await.unwrap_err() {
        TokenError::Fetch(error) => {
            assert_kind!(error, FetchErrorKind::RedirectedAway { .. });
        }
        error => panic!("{error:?}"),
    }
    assert_eq!(other.lines(), [""; 0]);
    match find(&job("http://github.example/token")).await.unwrap_err() {
        TokenError::Endpoint(BadUrl::PlainHttp { .. }) => {}
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn without_a_token_the_reason_says_what_to_do() {
    let error = find(&environment(&[])).await.unwrap_err();
    assert!(matches!(error, TokenError::Absent));
    assert!(error.hint().unwrap().contains("SIGSTORE_ID_TOKEN"));
    let error = find(&environment(&[("GITHUB_ACTIONS", "true")])).await.unwrap_err();
    assert!(matches!(error, TokenError::NotPermitted));
    assert!(error.hint().unwrap().contains("id-token: write"));
    let error = find(&environment(&[("SIGSTORE_ID_TOKEN", "x")])).await.unwrap_err();
    assert!(matches!(error, TokenError::Malformed { from: "SIGSTORE_ID_TOKEN", .. }));
}

#[tokio::test]
async fn an_answer_without_a_token_is_refused_and_not_shown() {
    for body in ["", "[]", "{}", r#"{"value": 5}"#, r#"{"value": "hunter2", "#, r#""hunter2""#] {
        let server = Server::start(move |_| Reply::ok("application/json", body)).await;
        let environment = environment(&[
            ("ACTIONS_ID_TOKEN_REQUEST_URL", &server.url("/token")),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job"),
        ]);
        let error = find(&environment).await.unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"));
        match error {
            TokenError::Fetch(error) => assert_kind!(error, FetchErrorKind::Malformed { .. }),
            error => panic!("{error:?}"),
        }
    }
}

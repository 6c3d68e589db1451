//! Logins end with a token that was issued for them, or not at all.

mod device;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client::oidc::Unfit;
use client::oidc::login::{Login, LoginError, Person, Words};
use client::{FetchErrorKind, IdentityToken, Secret};
use evidence::UnixTime;
use futures::future::BoxFuture;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{Received, Reply, Server};
use crate::{ample, assert_kind, http};

const NOW: i64 = 1_780_000_000;

fn now() -> UnixTime {
    UnixTime::from_seconds(NOW)
}

fn hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(crypto::sha256(text.as_bytes()))
}

fn form(request: &Received) -> BTreeMap<String, String> {
    let text = String::from_utf8(request.body.clone()).unwrap();
    let url: Url = format!("http://form.example/?{text}").parse().unwrap();
    url.query_pairs().into_owned().collect()
}

/// What one login is about, as the issuer keeps it.
#[derive(Default)]
struct Session {
    redirect: String,
    challenge: String,
    nonce: String,
    pending: Vec<&'static str>,
}

/// Whether an error is the one that a test wants.
type Expected = fn(&LoginError) -> bool;

type Change = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// An issuer that keeps to the rules, but for what a test changes.
struct Issuer {
    server: Server,
    session: Arc<Mutex<Session>>,
}

/// What a test changes.
#[derive(Clone)]
struct Twist {
    configuration: Change,
    header: Change,
    claims: Change,
    answer: Change,
    device: Change,
}

impl Default for Twist {
    fn default() -> Self {
        let nothing: Change = Arc::new(|_| {});
        Self {
            configuration: Arc::clone(&nothing),
            header: Arc::clone(&nothing),
            claims: Arc::clone(&nothing),
            answer: Arc::clone(&nothing),
            device: nothing,
        }
    }
}

fn change(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Change {
    Arc::new(change)
}

impl Issuer {
    async fn start(twist: Twist) -> Self {
        let session = Arc::new(Mutex::new(Session::default()));
        let kept = Arc::clone(&session);
        let server = Server::start(move |request| {
            let url = format!("http://{}", request.header("host").unwrap());
            let mut session = kept.lock().unwrap();
            match (request.method.as_str(), request.path()) {
                ("GET", "/.well-known/openid-configuration") => {
                    let mut found = json!({
                        "issuer": url,
                        "authorization_endpoint": format!("{url}/authorize?tenant=1"),
                        "token_endpoint": format!("{url}/token"),
                        "device_authorization_endpoint": format!("{url}/device"),
                        "code_challenge_methods_supported": ["plain", "S256"],
                    });
                    (twist.configuration)(&mut found);
                    Reply::ok("application/json", found.to_string())
                }
                ("POST", "/device") => {
                    session.challenge = form(request)["code_challenge"].clone();
                    let mut answer = json!({"device_code": "dev", "user_code": "ABCD-EFGH",
                        "verification_uri": format!("{url}/activate"), "expires_in": 300});
                    (twist.device)(&mut answer);
                    Reply::ok("application/json", answer.to_string())
                }
                ("POST", "/token") => token(&url, &form(request), &mut session, &twist),
                _ => Reply::status(404),
            }
        })
        .await;
        Self { server, session }
    }

    fn login(&self) -> Login {
        Login::new(self.server.url("").parse().unwrap())
    }
}

/// The token endpoint.
fn token(
    url: &str,
    form: &BTreeMap<String, String>,
    session: &mut Session,
    twist: &Twist,
) -> Reply {
    let refuse = |code: &str| {
        let body = json!({"error": code, "error_description": "\u{202e}no"}).to_string();
        Reply::status(400).body(body)
    };
    let verified =
        || form.get("code_verifier").map(|key| hash(key)) == Some(session.challenge.clone());
    match form["grant_type"].as_str() {
        "authorization_code" => {
            if form["code"] != "code" || form["redirect_uri"] != session.redirect || !verified() {
                return refuse("invalid_grant");
            }
        }
        "client_credentials" => {
            if form.get("client_secret").map(String::as_str) != Some("hunter2") {
                return refuse("invalid_client");
            }
        }
        _ => {
            if form["device_code"] != "dev" || !verified() {
                return refuse("invalid_grant");
            }
            if let Some(code) = session.pending.pop() {
                return refuse(code);
            }
        }
    }
    let half = crypto::sha256(b"access");
    let mut claims = json!({"iss": url, "sub": "me", "aud": form["client_id"], "exp": NOW + 60,
        "email": "me@acme.example", "email_verified": true, "nonce": session.nonce,
        "at_hash": URL_SAFE_NO_PAD.encode(&half[..16])});
    let mut header = json!({"alg": "RS256"});
    (twist.claims)(&mut claims);
    (twist.header)(&mut header);
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let token = format!("{}.{}.c2ln", part(&header), part(&claims));
    let mut answer = json!({"access_token": "access", "token_type": "bearer", "id_token": token});
    (twist.answer)(&mut answer);
    Reply::ok("application/json", answer.to_string())
}

type Opens = dyn Fn(&Url, &Mutex<Session>) -> io::Result<Vec<String>> + Send + Sync;

/// Someone with a browser, or without.
struct Someone {
    session: Arc<Mutex<Session>>,
    opens: Box<Opens>,
    code: String,
    told: Mutex<Vec<String>>,
    waited: Mutex<Vec<Duration>>,
}

impl Someone {
    /// Logs in at once; `targets` are what the browser asks our listener for, after `/auth/callback`
    /// and with STATE for the state.
    fn with_browser(issuer: &Issuer, targets: &'static [&'static str]) -> Self {
        Self {
            session: Arc::clone(&issuer.session),
            opens: Box::new(move |page, session| {
                let query: BTreeMap<String, String> = page.query_pairs().into_owned().collect();
                let mut session = session.lock().unwrap();
                session.redirect = query["redirect_uri"].clone();
                session.challenge = query["code_challenge"].clone();
                session.nonce = query["nonce"].clone();
                assert_eq!(query["code_challenge_method"], "S256");
                assert_eq!(
                    (query["response_type"].as_str(), query["tenant"].as_str()),
                    ("code", "1")
                );
                assert_eq!(query["scope"], "openid email");
                let state = &query["state"];
                Ok(targets.iter().map(|target| target.replace("STATE", state)).collect())
            }),
            code: String::new(),
            told: Mutex::default(),
            waited: Mutex::default(),
        }
    }

    fn without_browser(issuer: &Issuer, code: &str) -> Self {
        let opens = Box::new(|_: &Url, _: &Mutex<Session>| Err(io::Error::other("no display")));
        Self { opens, code: code.to_owned(), ..Self::with_browser(issuer, &[]) }
    }
}

impl Person for Someone {
    fn open(&self, page: &str) -> io::Result<()> {
        let page: Url = page.parse().unwrap();
        let targets = (self.opens)(&page, &self.session)?;
        let redirect: Url = self.session.lock().unwrap().redirect.parse().unwrap();
        tokio::spawn(async move {
            for target in targets {
                let address = ("127.0.0.1", redirect.port().unwrap());
                let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
                stream.write_all(target.as_bytes()).await.unwrap();
                let mut answer = Vec::new();
                // The listener is gone once it has what it wants.
                let _ = stream.read_to_end(&mut answer).await;
            }
        });
        Ok(())
    }

    fn tell(&self, words: &Words<'_>) {
        if let Words::GoTo { page } = words {
            let page: Url = page.parse().unwrap();
            let query: BTreeMap<String, String> = page.query_pairs().into_owned().collect();
            let mut session = self.session.lock().unwrap();
            session.redirect = query["redirect_uri"].clone();
            session.challenge = query["code_challenge"].clone();
            session.nonce = query["nonce"].clone();
        }
        self.told.lock().unwrap().push(format!("{words:?}"));
    }

    fn code(&self) -> BoxFuture<'_, io::Result<String>> {
        Box::pin(async { Ok(self.code.clone()) })
    }

    fn wait(&self, time: Duration) -> BoxFuture<'_, ()> {
        self.waited.lock().unwrap().push(time);
        Box::pin(async {})
    }
}

const BACK: &[&str] = &["GET /auth/callback?code=code&state=STATE HTTP/1.1\r\n\r\n"];

async fn by_browser(
    twist: Twist,
    targets: &'static [&'static str],
) -> Result<IdentityToken, LoginError> {
    let issuer = Issuer::start(twist).await;
    let someone = Someone::with_browser(&issuer, targets);
    issuer.login().by_browser(&someone, &http(), &now, ample()).await
}

#[tokio::test]
async fn a_browser_brings_a_code_and_the_code_a_token() {
    let issuer = Issuer::start(Twist::default()).await;
    let someone = Someone::with_browser(&issuer, BACK);
    let login = issuer.login();
    let token = login.by_browser(&someone, &http(), &now, ample()).await.unwrap();
    assert_eq!(token.email(), Some("me@acme.example"));
    assert_eq!(issuer.server.lines(), ["GET /.well-known/openid-configuration", "POST /token"]);
    let redirect = &issuer.session.lock().unwrap().redirect;
    let plain = redirect.starts_with("http://localhost:") && redirect.ends_with("/auth/callback");
    assert!(plain, "{redirect}");
    assert!(someone.told.lock().unwrap()[0].starts_with("Opened"));
}

#[tokio::test]
async fn two_logins_have_nothing_in_common() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let issuer = Issuer::start(Twist::default()).await;
        let someone = Someone::with_browser(&issuer, BACK);
        issuer.login().by_browser(&someone, &http(), &now, ample()).await.unwrap();
        let session = issuer.session.lock().unwrap();
        assert_eq!((session.challenge.len(), session.nonce.len()), (43, 43));
        seen.extend([session.challenge.clone(), session.nonce.clone()]);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4);
}

/// CVE-2026-24408.
#[tokio::test]
async fn a_browser_that_comes_from_another_login_ends_ours() {
    for target in [
        &["GET /auth/callback?code=code&state=other HTTP/1.1\r\n\r\n"][..],
        &["GET /auth/callback?code=code HTTP/1.1\r\n\r\n"],
        &["GET /auth/callback?code=code&state= HTTP/1.1\r\n\r\n"],
        &["GET /auth/callback?code=code&state=other&state=STATE HTTP/1.1\r\n\r\n"],
        &["GET /auth/callback?code=code&state=STATE&state=other HTTP/1.1\r\n\r\n"],
    ] {
        let error = by_browser(Twist::default(), target).await.unwrap_err();
        assert!(matches!(error, LoginError::OtherState), "{target:?}: {error:?}");
    }
}

#[tokio::test]
async fn what_else_comes_to_the_listener_is_passed_over() {
    let targets = &[
        "GET /favicon.ico HTTP/1.1\r\n\r\n",
        "POST /auth/callback?code=evil&state=STATE HTTP/1.1\r\n\r\n",
        "GET //evil.example/auth/callback?code=evil&state=STATE HTTP/1.1\r\n\r\n",
        "GET http://localhost/auth/callback?code=evil&state=STATE HTTP/1.1\r\n\r\n",
        "GET /auth/callback/x?code=evil&state=STATE HTTP/1.1\r\n\r\n",
        "\u{16}\u{3}\u{1}\r\n\r\n",
        "GET /auth/callback?code=code&state=STATE HTTP/1.1\r\n\r\n",
    ];
    by_browser(Twist::default(), targets).await.unwrap();
    let many = &["GET / HTTP/1.1\r\n\r\n"; 70];
    let error = by_browser(Twist::default(), many).await.unwrap_err();
    assert!(matches!(error, LoginError::Disturbed), "{error:?}");
}

#[tokio::test]
async fn what_the_issuer_says_against_it_is_told() {
    let denied = &[
        "GET /auth/callback?error=access_denied&error_description=no%E2%80%AE%0A&state=STATE HTTP/1.1\r\n\r\n",
    ];
    match by_browser(Twist::default(), denied).await.unwrap_err() {
        LoginError::Refused { code, description } => {
            assert_eq!((code.as_str(), description.as_str()), ("access_denied", "no"));
        }
        error => panic!("{error:?}"),
    }
    let wrong = &["GET /auth/callback?code=wrong&state=STATE HTTP/1.1\r\n\r\n"];
    match by_browser(Twist::default(), wrong).await.unwrap_err() {
        LoginError::Refused { code, description } => {
            assert_eq!((code.as_str(), description.as_str()), ("invalid_grant", "no"));
        }
        error => panic!("{error:?}"),
    }
    let none = &["GET /auth/callback?state=STATE HTTP/1.1\r\n\r\n"];
    let error = by_browser(Twist::default(), none).await.unwrap_err();
    assert!(matches!(error, LoginError::NoCode(None)), "{error:?}");
}

#[tokio::test]
async fn a_person_who_does_not_come_back_is_not_waited_for() {
    let issuer = Issuer::start(Twist::default()).await;
    let someone = Someone::with_browser(&issuer, &[]);
    let login = Login { patience: Duration::from_millis(20), ..issuer.login() };
    let error = login.by_browser(&someone, &http(), &now, ample()).await.unwrap_err();
    assert!(matches!(error, LoginError::TimedOut { .. }), "{error:?}");
    assert_eq!(issuer.server.requests().len(), 1);
}

#[tokio::test]
async fn without_a_browser_a_page_elsewhere_shows_the_code() {
    let issuer = Issuer::start(Twist::default()).await;
    let someone = Someone::without_browser(&issuer, " code\n");
    issuer.login().by_browser(&someone, &http(), &now, ample()).await.unwrap();
    assert_eq!(issuer.session.lock().unwrap().redirect, "urn:ietf:wg:oauth:2.0:oob");
    let someone = Someone::without_browser(&issuer, "\n");
    let error = issuer.login().by_browser(&someone, &http(), &now, ample()).await.unwrap_err();
    assert!(matches!(error, LoginError::NoCode(None)), "{error:?}");
}

#[tokio::test]
async fn a_token_of_another_login_is_refused() {
    let claims = |name: &'static str, value: Value| Twist {
        claims: change(move |claims| claims[name] = value.clone()),
        ..Twist::default()
    };
    let header = |value: Value| Twist {
        header: change(move |header| *header = value.clone()),
        ..Twist::default()
    };
    let cases: Vec<(Twist, Expected)> = vec![
        (claims("nonce", json!("other")), |e| matches!(e, LoginError::OtherNonce)),
        (claims("nonce", Value::Null), |e| matches!(e, LoginError::OtherNonce)),
        (claims("iss", json!("https://other.example")), |e| {
            matches!(e, LoginError::OtherIssuer { .. })
        }),
        (claims("aud", json!("other")), |e| matches!(e, LoginError::Unfit(Unfit::Audience { .. }))),
        (claims("aud", json!(["a", "b"])), |e| {
            matches!(e, LoginError::Unfit(Unfit::Audience { .. }))
        }),
        (claims("aud", Value::Null), |e| matches!(e, LoginError::Unfit(Unfit::Audience { .. }))),
        (claims("exp", json!(NOW - 61)), |e| matches!(e, LoginError::Unfit(Unfit::Expired { .. }))),
        (claims("at_hash", json!("AAAA")), |e| matches!(e, LoginError::OtherAccessToken)),
        (claims("email_verified", json!(false)), |e| matches!(e, LoginError::EmailNotVerified)),
        (claims("email_verified", json!("false")), |e| matches!(e, LoginError::EmailNotVerified)),
        (claims("email_verified", Value::Null), |e| matches!(e, LoginError::EmailNotVerified)),
        (header(json!({"alg": "none"})), |e| matches!(e, LoginError::Algorithm { .. })),
        (header(json!({"alg": "HS256"})), |e| matches!(e, LoginError::Algorithm { .. })),
        (header(json!({})), |e| matches!(e, LoginError::Algorithm { .. })),
        // The hash belongs to another algorithm.
        (header(json!({"alg": "RS512"})), |e| matches!(e, LoginError::OtherAccessToken)),
    ];
    for (number, (twist, expected)) in cases.into_iter().enumerate() {
        let error = by_browser(twist, BACK).await.unwrap_err();
        assert!(expected(&error), "{number}: {error:?}");
    }
    // A hash is optional, addresses too, and one may be verified in words.
    for twist in [
        claims("at_hash", Value::Null),
        claims("email", Value::Null),
        claims("email_verified", json!("true")),
        claims("aud", json!(["other", "sigstore"])),
        claims("exp", json!(NOW - 60)),
    ] {
        by_browser(twist, BACK).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_without_an_id_token_is_refused_and_not_shown() {
    let answer = |value: Value| Twist {
        answer: change(move |answer| *answer = value.clone()),
        ..Twist::default()
    };
    let error = by_browser(answer(json!({"access_token": "x"})), BACK).await.unwrap_err();
    assert!(matches!(error, LoginError::NoIdToken), "{error:?}");
    let error = by_browser(answer(json!({"id_token": "hunter2"})), BACK).await.unwrap_err();
    assert!(matches!(error, LoginError::Malformed(_)), "{error:?}");
    assert!(!format!("{error:?}").contains("hunter2"));
    for wrong in [json!(["hunter2"]), json!({"id_token": ["hunter2"]}), json!("hunter2")] {
        let error = by_browser(answer(wrong), BACK).await.unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        let LoginError::Fetch(error) = error else { panic!("{error:?}") };
        assert_kind!(error, FetchErrorKind::Malformed { .. });
    }
}

#[tokio::test]
async fn an_issuer_speaks_for_itself_and_securely() {
    let configuration = |name: &'static str, value: Value| Twist {
        configuration: change(move |found| found[name] = value.clone()),
        ..Twist::default()
    };
    let cases: Vec<(Twist, Expected)> = vec![
        (configuration("issuer", json!("https://other.example")), |e| {
            matches!(e, LoginError::OtherConfiguration { .. })
        }),
        (configuration("token_endpoint", json!("http://other.example/token")), |e| {
            matches!(e, LoginError::Endpoint { name: "token_endpoint", .. })
        }),
        (configuration("authorization_endpoint", json!("file:///etc/passwd")), |e| {
            matches!(e, LoginError::Endpoint { name: "authorization_endpoint", .. })
        }),
        (configuration("token_endpoint", Value::Null), |e| {
            matches!(e, LoginError::NoEndpoint { name: "token_endpoint" })
        }),
        (configuration("authorization_endpoint", Value::Null), |e| {
            matches!(e, LoginError::NoEndpoint { name: "authorization_endpoint" })
        }),
        (configuration("code_challenge_methods_supported", json!(["plain"])), |e| {
            matches!(e, LoginError::NoProofKeys)
        }),
        (configuration("code_challenge_methods_supported", json!([])), |e| {
            matches!(e, LoginError::NoProofKeys)
        }),
    ];
    for (number, (twist, expected)) in cases.into_iter().enumerate() {
        let error = by_browser(twist, BACK).await.unwrap_err();
        assert!(expected(&error), "{number}: {error:?}");
    }
    // Nobody else speaks for it.
    let other = Server::stranger().await;
    let target = other.url("/");
    let moved = Server::start(move |_| Reply::status(302).with("Location", target.clone())).await;
    let login = Login::new(moved.url("").parse().unwrap());
    let issuer = Issuer::start(Twist::default()).await;
    let someone = Someone::with_browser(&issuer, BACK);
    let error = login.by_browser(&someone, &http(), &now, ample()).await.unwrap_err();
    let LoginError::Fetch(error) = error else { panic!("{error:?}") };
    assert_kind!(error, FetchErrorKind::RedirectedAway { .. });
    assert_eq!(other.lines(), [""; 0]);
}

#[tokio::test]
async fn the_browser_comes_back_to_this_machine_only() {
    let issuer = Issuer::start(Twist::default()).await;
    let someone = Someone::with_browser(&issuer, BACK);
    let redirect = Some("https://elsewhere.example/cb".parse().unwrap());
    let login = Login { redirect, ..issuer.login() };
    let error = login.by_browser(&someone, &http(), &now, ample()).await.unwrap_err();
    assert!(matches!(error, LoginError::Redirect { .. }), "{error:?}");
    // A chosen path, and a connector.
    let targets = &["GET /back?code=code&state=STATE HTTP/1.1\r\n\r\n"];
    let someone = Someone::with_browser(&issuer, targets);
    for tries_left in (0..10).rev() {
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let redirect = Some(format!("http://localhost:{port}/back").parse().unwrap());
        let connector = Some("https://github.com/login/oauth".to_owned());
        let login = Login { redirect, connector, ..issuer.login() };
        match login.by_browser(&someone, &http(), &now, ample()).await {
            // Another test took it meanwhile.
            Err(LoginError::Listen { .. }) if tries_left > 0 => {}
            outcome => {
                outcome.unwrap();
                break;
            }
        }
    }
    assert!(someone.told.lock().unwrap()[0].contains("connector_id=https%3A%2F%2Fgithub.com"));
}

#[tokio::test]
async fn a_program_logs_in_with_its_secret() {
    let issuer = Issuer::start(Twist::default()).await;
    let login = |secret: Option<&str>| Login {
        client_secret: secret.map(|text| Secret::new(text.to_owned())),
        client_id: "robot".to_owned(),
        ..issuer.login()
    };
    let token = login(Some("hunter2")).as_program(&http(), now(), ample()).await.unwrap();
    assert_eq!(token.audiences(), ["robot"]);
    let error = login(Some("wrong")).as_program(&http(), now(), ample()).await.unwrap_err();
    assert!(matches!(error, LoginError::Refused { ref code, .. } if code == "invalid_client"));
    let asked = issuer.server.requests().len();
    let error = login(None).as_program(&http(), now(), ample()).await.unwrap_err();
    assert!(matches!(error, LoginError::NoSecret));
    assert_eq!(issuer.server.requests().len(), asked);
    assert!(!format!("{:?}", login(Some("hunter2"))).contains("hunter2"));
}

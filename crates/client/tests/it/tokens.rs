//! Bearer tokens: got where they may be got, kept while they serve, and sent to the registry only.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use client::error::{FetchErrorKind, RealmProblem, TimeLimit, Unauthorized};
use client::{Credential, Deadline, Keychain, Registry, RegistryOptions, Secret};
use devkit::registry::{Access, Behaviour, Credentials, RegistryOptions as DevkitOptions};
use evidence::{Digest, ImageRef};

use crate::server::{Received, Reply, Server};
use crate::{OCI_MANIFEST, ample, anonymous, assert_kind, http, image, manifest};

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn basic() -> Credential {
    let user = "ali".to_owned();
    Credential::Basic(client::credentials::Basic { user, password: secret("open sesame") })
}

fn known(host: &str, credential: Credential) -> Registry {
    let keychain = Keychain::default().with_credential(host.parse().unwrap(), credential);
    Registry::new(http(), keychain)
}

/// A registry of the devkit with one account.
async fn devkit(anonymous_pull: bool) -> devkit::registry::Registry {
    let credentials = Credentials { user: "ali".to_owned(), password: "open sesame".to_owned() };
    let access = Access::Bearer { credentials, anonymous_pull, realm: None };
    let behaviour = Behaviour { access, ..Behaviour::default() };
    let options = DevkitOptions { behaviour, ..DevkitOptions::default() };
    devkit::registry::Registry::start(options).await.unwrap()
}

fn at(registry: &devkit::registry::Registry, rest: &str) -> ImageRef {
    format!("{}/{rest}", registry.address()).parse().unwrap()
}

/// `GET /token 200` and so on, with the scheme of what was shown.
fn lines(registry: &devkit::registry::Registry) -> Vec<String> {
    let line = |request: &devkit::RecordedRequest| {
        let shown = request.authorization_scheme.as_deref().unwrap_or("-");
        let status = request.status.map_or(0, |status| status.as_u16());
        let path = request.path.split("sha256:").next().unwrap();
        format!("{} {path} {shown} {status}", request.method)
    };
    registry.requests().iter().map(line).collect()
}

#[tokio::test]
async fn a_whole_life_with_tokens() {
    let registry = devkit(false).await;
    let client = known(&registry.address().to_string(), basic());
    let image = at(&registry, "acme/app:v1");
    let content = Bytes::from_static(b"content");
    let blob = client.push_blob(&image, content.clone(), ample()).await.unwrap();
    let read = client.fetch_blob(&image, &blob, 100, ample()).await.unwrap();
    assert_eq!(read, content);
    assert_eq!(
        lines(&registry),
        [
            "HEAD /v2/acme/app/blobs/ - 401",
            "GET /token Basic 200",
            "HEAD /v2/acme/app/blobs/ Bearer 404",
            "POST /v2/acme/app/blobs/uploads/ Bearer 202",
            &lines(&registry)[4],
            "GET /token Basic 200",
            "GET /v2/acme/app/blobs/ Bearer 200",
        ],
        "the token to push is got at once; the one to pull is another"
    );
    assert!(lines(&registry)[4].ends_with(" Bearer 201"));
    registry.clear_requests();
    registry.revoke_tokens();
    client.fetch_blob(&image, &blob, 100, ample()).await.unwrap();
    assert_eq!(
        lines(&registry),
        [
            "GET /v2/acme/app/blobs/ Bearer 401",
            "GET /token Basic 200",
            "GET /v2/acme/app/blobs/ Bearer 200",
        ],
        "a token that has expired is got anew, once"
    );
}

#[tokio::test]
async fn nobody_in_particular_may_pull_what_is_public() {
    let registry = devkit(true).await;
    registry.plant_blob("app", Digest::sha256(b"blob"), &b"blob"[..]).unwrap();
    let (client, image) = (anonymous(), at(&registry, "app"));
    client.fetch_blob(&image, &Digest::sha256(b"blob"), 10, ample()).await.unwrap();
    let pushed = client.push_blob(&image, Bytes::from_static(b"other"), ample()).await;
    assert_kind!(pushed.unwrap_err(), FetchErrorKind::Unauthorized(Unauthorized::NoCredentials));
    let shown: Vec<_> = registry
        .requests()
        .into_iter()
        .filter_map(|request| request.authorization_scheme)
        .collect();
    assert!(shown.iter().all(|scheme| scheme == "Bearer"), "{shown:?}");
}

#[tokio::test]
async fn nobody_in_particular_is_told_to_log_in() {
    let registry = devkit(false).await;
    let error = anonymous().resolve(&at(&registry, "app"), ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::NoCredentials));
    assert!(error.hint().unwrap().contains("log in"));
}

#[tokio::test]
async fn a_wrong_password_is_refused_at_the_token_service() {
    let registry = devkit(true).await;
    let user = "ali".to_owned();
    let wrong = client::credentials::Basic { user, password: secret("wrong") };
    let client = known(&registry.address().to_string(), Credential::Basic(wrong));
    let error = client.resolve(&at(&registry, "app"), ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::CredentialsRefused { .. }));
    assert!(error.attempt().url.ends_with("/token"), "{error}");
}

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    let registry = devkit(false).await;
    registry.plant_blob("app", Digest::sha256(b"blob"), &b"blob"[..]).unwrap();
    // As `docker login` gets one.
    let token = refresh_token(&registry).await;
    let host = registry.address().to_string();
    let client = known(&host, Credential::Identity { token: secret(&token) });
    let image = at(&registry, "app");
    registry.clear_requests();
    for _ in 0..2 {
        client.fetch_blob(&image, &Digest::sha256(b"blob"), 10, ample()).await.unwrap();
    }
    assert_eq!(
        lines(&registry),
        [
            "GET /v2/app/blobs/ - 401",
            "POST /token - 200",
            "GET /v2/app/blobs/ Bearer 200",
            "GET /v2/app/blobs/ Bearer 200",
        ]
    );
    let client = known(&host, Credential::Identity { token: secret("wrong") });
    let error = client.resolve(&image, ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::CredentialsRefused { .. }));
}

/// Asks a registry's token service for a refresh token, with a socket of our own.
async fn refresh_token(registry: &devkit::registry::Registry) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let form = "service=devkit-registry&client_id=test&grant_type=password&username=ali\
        &password=open+sesame&access_type=offline";
    let mut stream = tokio::net::TcpStream::connect(registry.address()).await.unwrap();
    let head = format!(
        "POST /token HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let json: serde_json::Value =
        serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    json["refresh_token"].as_str().unwrap().to_owned()
}

/// A registry on loopback that wants this token, and its token service in `realm`.
fn wants(token: &'static str, challenge: String) -> impl Fn(&Received) -> Reply + Send + Sync {
    let (bytes, _) = manifest("app");
    move |request| match request.header("authorization") {
        Some(shown) if shown == format!("Bearer {token}") => Reply::ok(OCI_MANIFEST, bytes.clone()),
        _ => Reply::status(401).with("WWW-Authenticate", challenge.clone()),
    }
}

#[tokio::test]
async fn a_registry_token_is_sent_as_it_is() {
    let server =
        Server::start(wants("T", r#"Bearer realm="http://127.0.0.1:1/""#.to_owned())).await;
    let client = known(&server.host(), Credential::Token { token: secret("T") });
    let digest = manifest("app").1;
    client.fetch_manifest(&image(&server, "app"), &digest, ample()).await.unwrap();
    assert_eq!(server.authorizations(), ["Bearer T"]);
}

#[tokio::test]
async fn a_token_is_no_password() {
    for credential in
        [Credential::Token { token: secret("T") }, Credential::Identity { token: secret("T") }]
    {
        let server =
            Server::start(|_| Reply::status(401).with("WWW-Authenticate", "Basic realm=x")).await;
        let client = known(&server.host(), credential);
        let error = client.resolve(&image(&server, "app"), ample()).await.unwrap_err();
        assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::Unfit { .. }));
        assert_eq!(server.authorizations(), [""; 0]);
    }
}

/// Gitea offers both; a password opens it without a detour, and nobody's token opens the rest.
#[tokio::test]
async fn where_both_are_offered_each_takes_the_shorter_way() {
    let (bytes, digest) = manifest("app");
    let server = Server::start(move |request| {
        let here = request.header("host").unwrap();
        match (request.path(), request.header("authorization")) {
            ("/token", None) => Reply::ok("application/json", r#"{"token":"T"}"#),
            (_, Some("Bearer T" | crate::AUTHORIZATION)) => Reply::ok(OCI_MANIFEST, bytes.clone()),
            _ => Reply::status(401)
                .with("WWW-Authenticate", format!(r#"Bearer realm="http://{here}/token""#))
                .with("WWW-Authenticate", r#"Basic realm="Gitea""#),
        }
    })
    .await;
    let image = image(&server, "app");
    known(&server.host(), basic()).fetch_manifest(&image, &digest, ample()).await.unwrap();
    anonymous().fetch_manifest(&image, &digest, ample()).await.unwrap();
    assert_eq!(server.authorizations(), [crate::AUTHORIZATION, "Bearer T"]);
}

/// Registries that say so are asked for more than was thought of.
#[tokio::test]
async fn a_challenge_may_name_a_further_scope() {
    let (bytes, digest) = manifest("app");
    let server = Server::start(move |request| {
        let here = request.header("host").unwrap();
        let wanted = "scope=repository%3Aapp%3Apull&scope=repository%3Alocal%2Fapp%3Apull";
        match (request.path(), request.header("authorization")) {
            ("/token", _) if request.target.contains(wanted) => {
                Reply::ok("application/json", r#"{"access_token":"T"}"#)
            }
            ("/token", _) => Reply::ok("application/json", r#"{"access_token":"narrow"}"#),
            (_, Some("Bearer T")) => Reply::ok(OCI_MANIFEST, bytes.clone()),
            _ => Reply::status(401).with(
                "WWW-Authenticate",
                format!(r#"Bearer realm="http://{here}/token",scope="repository:local/app:pull""#),
            ),
        }
    })
    .await;
    let (client, image) = (anonymous(), image(&server, "app"));
    client.fetch_manifest(&image, &digest, ample()).await.unwrap();
    client.fetch_manifest(&image, &digest, ample()).await.unwrap();
    assert_eq!(server.requests().len(), 4, "remembered for the second time");
}

#[tokio::test]
async fn many_at_once_get_one_token() {
    let registry = devkit(true).await;
    registry.plant_blob("app", Digest::sha256(b"blob"), &b"blob"[..]).unwrap();
    let (client, image) = (anonymous(), at(&registry, "app"));
    let digest = Digest::sha256(b"blob");
    let reads = (0..8).map(|_| client.fetch_blob(&image, &digest, 10, ample()));
    for read in futures::future::join_all(reads).await {
        read.unwrap();
    }
    let tokens = registry.requests().iter().filter(|request| request.path == "/token").count();
    assert_eq!(tokens, 1);
}

/// Answers of token services that are no tokens.
#[tokio::test]
async fn what_is_no_token_is_not_sent() {
    let cases = [
        (r#"{}"#, "without one"),
        (r#"{"token":"","access_token":""}"#, "without one"),
        (r#"{"token":5}"#, "JSON"),
        (r#"["T"]"#, "JSON"),
        ("<html>", "JSON"),
        ("{\"token\":\"a\\r\\nX-Evil: 1\"}", "header"),
    ];
    for (body, wanted) in cases {
        let server = Server::start(move |request| match request.path() {
            "/token" => Reply::ok("application/json", body),
            _ => {
                let here = request.header("host").unwrap();
                let challenge = format!(r#"Bearer realm="http://{here}/token""#);
                Reply::status(401).with("WWW-Authenticate", challenge)
            }
        })
        .await;
        let error = anonymous().resolve(&image(&server, "app"), ample()).await.unwrap_err();
        assert_kind!(error, FetchErrorKind::Malformed { wanted: "a token", found }
            if found.contains(wanted));
        assert_eq!(server.requests().len(), 2, "{body}");
    }
}

#[tokio::test]
async fn a_token_is_not_asked_for_again_and_again() {
    let asked = AtomicU32::new(0);
    let server = Server::start(move |request| match request.path() {
        "/token" => {
            let token = asked.fetch_add(1, Ordering::SeqCst);
            Reply::ok("application/json", format!(r#"{{"token":"{token}"}}"#))
        }
        _ => {
            let here = request.header("host").unwrap();
            let challenge = format!(r#"Bearer realm="http://{here}/token",error="invalid_token""#);
            Reply::status(401).with("WWW-Authenticate", challenge)
        }
    })
    .await;
    let (client, image) = (known(&server.host(), basic()), image(&server, "app"));
    let error = client.resolve(&image, ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::CredentialsRefused { .. }));
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_silent_token_service_does_not_outlast_the_deadline() {
    let server = Server::start(|request| match request.path() {
        "/token" => Reply::Hang(Vec::new()),
        _ => {
            let here = request.header("host").unwrap();
            let challenge = format!(r#"Bearer realm="http://{here}/token""#);
            Reply::status(401).with("WWW-Authenticate", challenge)
        }
    })
    .await;
    let (client, image) = (anonymous(), image(&server, "app"));
    let deadline = Deadline::after(std::time::Duration::from_millis(80));
    let digest = Digest::sha256(b"x");
    let reads = (0..4).map(|_| client.fetch_blob(&image, &digest, 10, deadline));
    for read in futures::future::join_all(reads).await {
        let error = read.unwrap_err();
        assert_kind!(error, FetchErrorKind::TimedOut(TimeLimit::Operation));
    }
}

/// What the operator vouches for is asked; the same service for another registry is not.
#[tokio::test]
async fn a_realm_elsewhere_has_to_be_vouched_for() {
    let service = Server::start(|_| Reply::ok("application/json", r#"{"token":"T"}"#)).await;
    let realm = service.url("/token");
    let server = Server::start(wants("T", format!(r#"Bearer realm="{realm}",service="r""#))).await;
    let digest = manifest("app").1;
    let image = image(&server, "app");
    let vouching = |host: &str| {
        let rule = format!("{host}={}", service.url(""));
        let options =
            RegistryOptions { token_realms: vec![rule.parse().unwrap()], ..Default::default() };
        let keychain = Keychain::default().with_credential(server.host().parse().unwrap(), basic());
        Registry::with_options(http(), keychain, options)
    };
    vouching(&server.host()).fetch_manifest(&image, &digest, ample()).await.unwrap();
    assert_eq!(service.authorizations(), [crate::AUTHORIZATION]);
    assert_eq!(server.authorizations(), ["Bearer T"]);
    let error = vouching("127.0.0.1:1").fetch_manifest(&image, &digest, ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::RealmRefused { reason, .. })
        if *reason == RealmProblem::OtherHost);
    assert_eq!(service.requests().len(), 1);
}

#[tokio::test]
async fn a_login_can_be_tried() {
    let registry = devkit(true).await;
    let host = registry.address().to_string().parse().unwrap();
    known(&registry.address().to_string(), basic()).check_login(&host, ample()).await.unwrap();
    let user = "ali".to_owned();
    let wrong = client::credentials::Basic { user, password: secret("wrong") };
    let client = known(&registry.address().to_string(), Credential::Basic(wrong));
    let error = client.check_login(&host, ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::CredentialsRefused { .. }));
}

//! Credentials reach the host they are configured for and nobody else, whatever it answers.

use std::sync::Arc;

use bytes::Bytes;
use client::Registry;
use client::error::{Away, FetchErrorKind, RealmProblem, Unauthorized};
use evidence::Digest;

use crate::server::{Received, Reply, Server};
use crate::{AUTHORIZATION, OCI_INDEX, ample, anonymous, assert_kind, image, logged_in, manifest};

/// A registry that asks for a password and, once it has it, replies like this.
async fn locked(reply: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |request| match request.header("authorization") {
        Some(AUTHORIZATION) => reply(request),
        _ => Reply::status(401).with("WWW-Authenticate", r#"Basic realm="here""#),
    })
    .await
}

#[tokio::test]
async fn a_password_is_sent_when_it_is_asked_for() {
    let (bytes, digest) = manifest("app");
    let server = locked(move |_| Reply::ok(crate::OCI_MANIFEST, bytes.clone())).await;
    let registry = logged_in(&server);
    let image = image(&server, "app");
    registry.fetch_manifest(&image, &digest, ample()).await.unwrap();
    registry.fetch_manifest(&image, &digest, ample()).await.unwrap();
    let sent: Vec<bool> =
        server.requests().iter().map(|request| request.header("authorization").is_some()).collect();
    assert_eq!(sent, [false, true, true], "asked once, remembered afterwards");
}

#[tokio::test]
async fn a_password_is_not_sent_unasked() {
    let (bytes, digest) = manifest("app");
    let server = Server::start(move |_| Reply::ok(crate::OCI_MANIFEST, bytes.clone())).await;
    let image = image(&server, "app");
    logged_in(&server).fetch_manifest(&image, &digest, ample()).await.unwrap();
    assert_eq!(server.authorizations(), [""; 0]);
}

#[tokio::test]
async fn no_login_and_a_refused_login_are_told_apart() {
    let server =
        locked(|_| Reply::status(401).body(r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#)).await;
    let image = image(&server, "app");
    let error = anonymous().resolve(&image, ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::NoCredentials));
    let error = logged_in(&server).resolve(&image, ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::CredentialsRefused { .. }));
    assert!(error.hint().unwrap().contains(&server.host()));
}

/// CVE-2020-15157 and its kin: the realm is the registry's choice.
#[tokio::test]
async fn a_realm_gets_nothing() {
    let stranger = Server::stranger().await;
    let realm = stranger.url("/token");
    let server = Server::start(move |_| {
        let challenge =
            format!(r#"Bearer realm="{realm}",service="r",scope="repository:app:pull""#);
        Reply::status(401).with("WWW-Authenticate", challenge)
    })
    .await;
    let error = logged_in(&server).resolve(&image(&server, "app"), ample()).await.unwrap_err();
    let host = stranger.host();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::RealmRefused { realm, reason })
        if *realm == host && *reason == RealmProblem::OtherHost);
    assert!(error.hint().unwrap().contains("--registry-token-service"));
    assert_eq!(server.authorizations(), [""; 0]);
    assert_eq!(stranger.lines(), [""; 0]);
}

#[tokio::test]
async fn an_unknown_challenge_is_named() {
    let server =
        Server::start(|_| Reply::status(401).with("WWW-Authenticate", "Negotiate, NTLM")).await;
    let error = logged_in(&server).resolve(&image(&server, "app"), ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::UnknownChallenge { found })
        if found == "Negotiate, NTLM");
    assert_eq!(server.authorizations(), [""; 0]);
}

#[tokio::test]
async fn a_redirection_leaves_the_password_behind() {
    for status in [301, 302, 303, 307, 308] {
        let other = Server::start(|_| Reply::ok("application/octet-stream", "blob")).await;
        let target = other.url("/elsewhere?signature=secret");
        let server = locked(move |_| Reply::status(status).with("Location", target.clone())).await;
        let digest = Digest::sha256(b"blob");
        let image = image(&server, "app");
        let found = logged_in(&server).fetch_blob(&image, &digest, 10, ample()).await.unwrap();
        assert_eq!(found, b"blob", "{status}");
        assert_eq!(other.lines(), ["GET /elsewhere?signature=secret"]);
        assert_eq!(other.authorizations(), [""; 0], "{status}");
    }
}

/// The host we are sent to may ask; it is not the one that the password is for.
#[tokio::test]
async fn a_challenge_after_a_redirection_is_not_answered() {
    let other =
        Server::start(|_| Reply::status(401).with("WWW-Authenticate", "Basic realm=x")).await;
    let target = other.url("/");
    let server = Server::start(move |_| Reply::status(307).with("Location", target.clone())).await;
    let image = image(&server, "app");
    let error = logged_in(&server).resolve(&image, ample()).await.unwrap_err();
    let asks = other.host();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::Elsewhere { host })
        if *host == asks);
    assert_eq!(other.authorizations(), [""; 0]);
    assert_eq!(server.authorizations(), [""; 0]);
}

#[tokio::test]
async fn redirections_have_an_end() {
    let server = Server::start(|request| {
        let next = format!("{}x", request.target);
        Reply::status(302).with("Location", next)
    })
    .await;
    let digest = Digest::sha256(b"blob");
    let found = anonymous().fetch_blob(&image(&server, "app"), &digest, 10, ample()).await;
    assert_kind!(found.unwrap_err(), FetchErrorKind::RedirectedAway { reason: Away::TooMany, .. });
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn redirections_lead_to_no_odd_place() {
    let cases = [
        ("http://registry.example/x", Away::PlainHttp),
        ("http://169.254.169.254/latest/meta-data/", Away::Metadata),
        ("ftp://127.0.0.1/x", Away::NotHttp),
        ("file:///etc/passwd", Away::NotHttp),
        ("http://ali:open@127.0.0.1/x", Away::UserInfo),
        ("http://", Away::NotHttp),
    ];
    for (location, wanted) in cases {
        let server = Server::start(move |_| Reply::status(302).with("Location", location)).await;
        let digest = Digest::sha256(b"blob");
        let image = image(&server, "app");
        let error = anonymous().fetch_blob(&image, &digest, 10, ample()).await.unwrap_err();
        assert_kind!(error, FetchErrorKind::RedirectedAway { reason, .. } if *reason == wanted);
    }
    let server = Server::start(|_| Reply::status(302)).await;
    let found =
        anonymous().fetch_blob(&image(&server, "app"), &Digest::sha256(b""), 10, ample()).await;
    assert_kind!(found.unwrap_err(), FetchErrorKind::Malformed { .. });
}

/// Pushes a blob to a registry whose uploads go to the place given.
async fn push_to(location: String) -> (Server, Result<Digest, client::FetchError>) {
    let server = locked(move |request| match request.method.as_str() {
        "HEAD" => Reply::status(404),
        "POST" => Reply::status(202).with("Location", location.clone()),
        _ => Reply::status(201),
    })
    .await;
    let registry: Arc<Registry> = Arc::new(logged_in(&server));
    let pushed =
        registry.push_blob(&image(&server, "app"), Bytes::from_static(b"blob"), ample()).await;
    (server, pushed)
}

#[tokio::test]
async fn an_upload_stays_with_the_registry_or_goes_without_password() {
    let (server, pushed) = push_to("/v2/app/blobs/uploads/1?_state=a%3Db".to_owned()).await;
    let digest = pushed.unwrap();
    let put = server.requests().into_iter().find(|request| request.method == "PUT").unwrap();
    let encoded = digest.to_string().replace(':', "%3A");
    assert_eq!(put.target, format!("/v2/app/blobs/uploads/1?_state=a%3Db&digest={encoded}"));
    assert_eq!(put.header("authorization"), Some(AUTHORIZATION));
    assert_eq!(put.body, b"blob");

    let other = Server::start(|_| Reply::status(201)).await;
    push_to(other.url("/upload")).await.1.unwrap();
    assert_eq!(other.requests()[0].body, b"blob");
    assert_eq!(other.authorizations(), [""; 0]);

    let other =
        Server::start(|_| Reply::status(401).with("WWW-Authenticate", "Basic realm=x")).await;
    let error = push_to(other.url("/upload")).await.1.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::Elsewhere { .. }));
    assert_eq!(other.authorizations(), [""; 0]);

    let error = push_to("http://registry.example/upload".to_owned()).await.1.unwrap_err();
    assert_kind!(error, FetchErrorKind::RedirectedAway { reason: Away::PlainHttp, .. });
}

/// A write that is redirected would have to be repeated; it is refused instead.
#[tokio::test]
async fn a_write_is_not_redirected() {
    let other = Server::stranger().await;
    let target = other.url("/");
    let server = locked(move |_| Reply::status(307).with("Location", target.clone())).await;
    let (bytes, _) = manifest("app");
    let image = image(&server, "app");
    let pushed =
        logged_in(&server).push_manifest(&image, crate::OCI_MANIFEST, bytes, ample()).await;
    assert_kind!(
        pushed.unwrap_err(),
        FetchErrorKind::RedirectedAway { reason: Away::Unwanted, .. }
    );
    assert_eq!(other.lines(), [""; 0]);
}

#[tokio::test]
async fn the_next_page_is_on_the_same_host() {
    let other = Server::stranger().await;
    let target = other.url("/v2/app/referrers/next");
    let server = locked(move |_| {
        Reply::ok(OCI_INDEX, r#"{"manifests":[]}"#)
            .with("Link", format!(r#"<{target}>; rel="next""#))
    })
    .await;
    let subject = Digest::sha256(b"subject");
    let found =
        logged_in(&server).referrers(&image(&server, "app"), &subject, ample()).await.unwrap();
    let error = found.shortfall.unwrap();
    assert_kind!(error, FetchErrorKind::RedirectedAway { reason: Away::OtherHost, .. });
    assert_eq!(other.lines(), [""; 0]);
}

/// A login for one registry is not for another one on the same machine.
#[tokio::test]
async fn another_registry_that_asks_gets_nothing() {
    let known = locked(|_| Reply::status(404)).await;
    let unknown =
        Server::start(|_| Reply::status(401).with("WWW-Authenticate", "Basic realm=x")).await;
    let registry = logged_in(&known);
    let error = registry.resolve(&image(&unknown, "app"), ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::NoCredentials));
    assert_eq!(unknown.authorizations(), [""; 0]);
}

/// Pre-signed downloads carry their permission in the query, which must not reach a log.
#[tokio::test]
async fn errors_do_not_show_queries() {
    let other = Server::start(|_| Reply::status(500)).await;
    let target = other.url("/x?X-Amz-Signature=secret");
    let server = Server::start(move |_| Reply::status(307).with("Location", target.clone())).await;
    let digest = Digest::sha256(b"blob");
    let image = image(&server, "app");
    let error = anonymous().fetch_blob(&image, &digest, 10, ample()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"));
    assert_eq!(error.host(), other.host());
}

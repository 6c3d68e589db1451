//! It wants our credentials, or to have us knock on doors that it cannot reach itself.

use bytes::Bytes;
use client::Deadline;
use client::FetchError;
use client::error::{Away, FetchErrorKind, RealmProblem, TimeLimit, Unauthorized};
use evidence::Digest;
use std::time::Duration;

use super::{REGISTRY, app, assert_alone, assert_contained, client, deadline, locked, scene};
use crate::internet::Internet;
use crate::server::{Received, Reply};
use crate::{OCI_INDEX, OCI_MANIFEST, assert_kind, manifest};

fn challenge(text: impl Into<String>) -> Reply {
    Reply::status(401).with("WWW-Authenticate", text)
}

/// What comes of a challenge with this realm: the problem, with nobody else asked.
async fn realm(realm: &str) -> RealmProblem {
    let text = format!(r#"Bearer realm="{realm}",service="s",scope="repository:acme/app:pull""#);
    let internet = scene(move |_| challenge(text.clone())).await;
    let error = client(&internet).resolve(&app(), deadline()).await.unwrap_err();
    assert_alone(&internet);
    assert!(internet.trusted().is_empty());
    assert_eq!(internet.requests().len(), 1, "{:?}", internet.lines());
    match error.kind() {
        FetchErrorKind::Unauthorized(Unauthorized::RealmRefused { reason, .. }) => *reason,
        _ => panic!("{realm}: {error:?}"),
    }
}

#[tokio::test]
async fn realm_on_another_host() {
    assert_eq!(realm("https://evil.example/token").await, RealmProblem::OtherHost);
}

#[tokio::test]
async fn realm_on_a_subdomain() {
    assert_eq!(realm("https://auth.registry.example/token").await, RealmProblem::OtherHost);
}

#[tokio::test]
async fn realm_on_a_host_that_looks_alike() {
    let realm = realm("https://registry.example.evil.example/token").await;
    assert_eq!(realm, RealmProblem::OtherHost);
}

#[tokio::test]
async fn realm_on_another_port() {
    assert_eq!(realm("https://registry.example:8443/token").await, RealmProblem::OtherHost);
}

/// Known to be Docker Hub's, and nobody else's.
#[tokio::test]
async fn realm_of_somebody_elses_token_service() {
    assert_eq!(realm("https://auth.docker.io/token").await, RealmProblem::OtherHost);
}

#[tokio::test]
async fn realm_in_plain_http() {
    assert_eq!(realm("http://registry.example/token").await, RealmProblem::PlainHttp);
}

#[tokio::test]
async fn realm_with_a_user() {
    assert_eq!(realm("https://registry.example@evil.example/").await, RealmProblem::UserInfo);
    assert_eq!(realm("https://u:p@registry.example/token").await, RealmProblem::UserInfo);
}

#[tokio::test]
async fn realm_in_the_metadata_service() {
    let http = realm("http://169.254.169.254/latest/meta-data/").await;
    assert_eq!(http, RealmProblem::PlainHttp);
    assert_eq!(realm("https://169.254.169.254/").await, RealmProblem::OtherHost);
    assert_eq!(realm("https://[fd00:ec2::254]/").await, RealmProblem::OtherHost);
}

#[tokio::test]
async fn realm_that_is_no_url_of_a_service() {
    for odd in ["", "token", "//evil.example/", "file:///etc/passwd", "gopher://evil.example/"] {
        assert_eq!(realm(odd).await, RealmProblem::NotAUrl, "{odd}");
    }
}

#[tokio::test]
async fn realm_of_endless_length() {
    let long = format!("https://registry.example/{}", "x".repeat(16 * 1024));
    assert_eq!(realm(&long).await, RealmProblem::NotAUrl);
}

/// A registry that is its own token service, answered so; everything else wants the token `T`.
async fn with_token_service(
    token: impl Fn(&Received) -> Reply + Send + Sync + 'static,
) -> Internet {
    scene(move |request| match (request.path(), request.header("authorization")) {
        ("/token", _) => token(request),
        (_, Some("Bearer T")) => Reply::ok(OCI_MANIFEST, manifest("app").0),
        _ => challenge(r#"Bearer realm="https://registry.example/token",service="s""#),
    })
    .await
}

#[tokio::test]
async fn token_service_that_redirects() {
    for status in [301, 302, 303, 307, 308] {
        let internet = with_token_service(move |_| {
            Reply::status(status).with("Location", "https://evil.example/token")
        })
        .await;
        let error = client(&internet).resolve(&app(), deadline()).await.unwrap_err();
        assert_kind!(error, FetchErrorKind::RedirectedAway { reason: Away::Unwanted, .. });
        assert_alone(&internet);
    }
}

#[tokio::test]
async fn token_that_smuggles_a_header() {
    let internet = with_token_service(|_| {
        Reply::ok("application/json", "{\"token\":\"T\\r\\nHost: evil.example\"}")
    })
    .await;
    let error = client(&internet).resolve(&app(), deadline()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Malformed { wanted: "a token", .. });
    assert_alone(&internet);
}

#[tokio::test]
async fn token_service_that_is_silent() {
    let internet = with_token_service(|_| Reply::Hang(Vec::new())).await;
    let soon = Deadline::after(Duration::from_millis(100));
    let error = client(&internet).resolve(&app(), soon).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::TimedOut(TimeLimit::Operation));
}

#[tokio::test]
async fn token_that_is_never_good_enough() {
    let internet = scene(|request| match request.path() {
        "/token" => Reply::ok("application/json", r#"{"token":"T"}"#),
        _ => challenge(r#"Bearer realm="https://registry.example/token",error="invalid_token""#),
    })
    .await;
    let error = client(&internet).resolve(&app(), deadline()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::CredentialsRefused { .. }));
    assert_eq!(internet.requests().len(), 3);
}

/// The scope is passed on to the registry's own service only, and only where it is plain text.
#[tokio::test]
async fn scope_that_is_not_ours() {
    for scope in ["a\u{7f}b", "ä", &"x".repeat(4096)] {
        let text = format!(r#"Bearer realm="https://registry.example/token",scope="{scope}""#);
        let internet = scene(move |request| match request.path() {
            "/token" => Reply::ok("application/json", r#"{"token":"T"}"#),
            _ => challenge(text.clone()),
        })
        .await;
        let _ = client(&internet).resolve(&app(), deadline()).await.unwrap_err();
        let asked = internet.requests().into_iter().filter(|request| request.path() == "/token");
        for request in asked {
            assert_eq!(request.target, "/token?scope=repository%3Aacme%2Fapp%3Apull");
        }
        assert_alone(&internet);
    }
}

#[tokio::test]
async fn challenge_of_an_unknown_kind() {
    let internet = scene(|_| challenge("Negotiate, NTLM, Digest realm=x")).await;
    let error = client(&internet).resolve(&app(), deadline()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::UnknownChallenge { .. }));
    assert!(internet.trusted().is_empty());
}

/// The one that we could answer is the thousandth, and nobody looks so far.
#[tokio::test]
async fn challenges_by_the_thousand() {
    let text = format!("{}Basic realm=x", "X-Odd a=b, ".repeat(1000));
    let internet = scene(move |_| challenge(text.clone())).await;
    let error = client(&internet).resolve(&app(), deadline()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::UnknownChallenge { found })
        if found.len() < 200);
    assert!(internet.trusted().is_empty());
}

/// What comes of being sent to this place for a blob.
async fn sent_to(location: &'static str) -> (Internet, Result<Vec<u8>, FetchError>) {
    let internet = locked(move |_| Reply::status(307).with("Location", location)).await;
    let digest = Digest::sha256(b"blob");
    let fetched = client(&internet).fetch_blob(&app(), &digest, 100, deadline()).await;
    (internet, fetched)
}

/// Large content is often kept elsewhere, so this is allowed; but nobody there learns who we are,
/// and what they serve has to be what was asked for.
#[tokio::test]
async fn redirect_to_another_host() {
    let (internet, fetched) = sent_to("https://evil.example/blob").await;
    assert_kind!(fetched.unwrap_err(), FetchErrorKind::DigestMismatch { .. });
    assert_contained(&internet);
    assert_eq!(internet.to("evil.example").len(), 1);
    assert_eq!(internet.to("evil.example")[0].header("authorization"), None);
}

async fn refused(location: &'static str, wanted: Away) {
    let (internet, fetched) = sent_to(location).await;
    assert_kind!(fetched.unwrap_err(), FetchErrorKind::RedirectedAway { reason, .. } if *reason == wanted);
    assert_alone(&internet);
}

#[tokio::test]
async fn redirect_to_plain_http() {
    refused("http://registry.example/blob", Away::PlainHttp).await;
    refused("http://127.0.0.1/blob", Away::PlainHttp).await;
}

#[tokio::test]
async fn redirect_to_a_metadata_service() {
    for location in [
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
        "https://169.254.169.254/",
        "https://[fd00:ec2::254]/",
        "https://[::ffff:169.254.169.254]/",
        "http://metadata.google.internal/computeMetadata/v1/",
        "https://2852039166/",
    ] {
        refused(location, Away::Metadata).await;
    }
}

#[tokio::test]
async fn redirect_to_another_scheme() {
    refused("file:///etc/passwd", Away::NotHttp).await;
    refused("ftp://evil.example/", Away::NotHttp).await;
}

#[tokio::test]
async fn redirect_with_a_user() {
    refused("https://ali:open@evil.example/", Away::UserInfo).await;
}

#[tokio::test]
async fn redirect_in_circles() {
    let (internet, fetched) = sent_to("/v2/acme/app/blobs/again").await;
    assert_kind!(
        fetched.unwrap_err(),
        FetchErrorKind::RedirectedAway { reason: Away::TooMany, .. }
    );
    assert!(internet.requests().len() <= 6, "{:?}", internet.lines());
}

/// The host that we were sent to asks who we are.
#[tokio::test]
async fn challenge_after_a_redirect() {
    let internet = Internet::of(&super::HOSTS, |host, _| match host {
        REGISTRY => Reply::status(307).with("Location", "https://evil.example/"),
        _ => challenge("Basic realm=x"),
    })
    .await;
    let error = client(&internet).resolve(&app(), deadline()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::Elsewhere { host })
        if host == "evil.example");
    assert!(internet.trusted().is_empty());
}

#[tokio::test]
async fn write_that_is_redirected() {
    let internet = locked(|_| Reply::status(307).with("Location", "https://evil.example/")).await;
    let (bytes, _) = manifest("app");
    let pushed = client(&internet).push_manifest(&app(), OCI_MANIFEST, bytes, deadline()).await;
    assert_kind!(
        pushed.unwrap_err(),
        FetchErrorKind::RedirectedAway { reason: Away::Unwanted, .. }
    );
    assert_alone(&internet);
}

/// Pushes a blob to a registry whose uploads go on there.
async fn upload_at(location: &'static str) -> (Internet, Result<Digest, FetchError>) {
    let internet = locked(move |request| match request.method.as_str() {
        "HEAD" => Reply::status(404),
        "POST" => Reply::status(202).with("Location", location),
        _ => Reply::status(201),
    })
    .await;
    let pushed = client(&internet).push_blob(&app(), Bytes::from_static(b"blob"), deadline()).await;
    (internet, pushed)
}

#[tokio::test]
async fn upload_on_another_host() {
    let (internet, _) = upload_at("https://evil.example/upload").await;
    assert_contained(&internet);
    assert_eq!(internet.to("evil.example")[0].header("authorization"), None);
}

#[tokio::test]
async fn upload_in_plain_http() {
    let (internet, pushed) = upload_at("http://registry.example/upload").await;
    assert_kind!(
        pushed.unwrap_err(),
        FetchErrorKind::RedirectedAway { reason: Away::PlainHttp, .. }
    );
    assert_alone(&internet);
}

#[tokio::test]
async fn upload_in_the_metadata_service() {
    let (internet, pushed) = upload_at("http://169.254.169.254/latest/api/token").await;
    assert_kind!(
        pushed.unwrap_err(),
        FetchErrorKind::RedirectedAway { reason: Away::Metadata, .. }
    );
    assert_alone(&internet);
}

#[tokio::test]
async fn upload_that_moves_while_it_runs() {
    let internet = locked(|request| match request.method.as_str() {
        "HEAD" => Reply::status(404),
        "POST" => Reply::status(202).with("Location", "/v2/acme/app/blobs/uploads/1"),
        "PUT" => Reply::status(413),
        _ => Reply::status(202).with("Location", "https://evil.example/upload"),
    })
    .await;
    let bytes = Bytes::from(vec![1; 5 * 1024 * 1024]);
    let _ = client(&internet).push_blob(&app(), bytes, deadline()).await;
    assert_contained(&internet);
    assert!(!internet.to("evil.example").is_empty());
}

/// The next page of a list is the registry's own, or there is none.
async fn next_page_at(link: &'static str) -> (Internet, FetchError, FetchError) {
    let internet = locked(move |request| {
        let body = match request.path().ends_with("/tags/list") {
            true => r#"{"name":"acme/app","tags":["v1"]}"#,
            false => r#"{"manifests":[]}"#,
        };
        Reply::ok(OCI_INDEX, body).with("Link", link)
    })
    .await;
    let registry = client(&internet);
    let referrers = registry.referrers(&app(), &Digest::sha256(b"x"), deadline()).await.unwrap();
    let tags = registry.list_tags(&app(), deadline()).await.unwrap();
    (internet, referrers.shortfall.unwrap(), tags.shortfall.unwrap())
}

#[tokio::test]
async fn next_page_on_another_host() {
    let (internet, referrers, tags) = next_page_at(r#"<https://evil.example/x>; rel="next""#).await;
    for error in [referrers, tags] {
        assert_kind!(error, FetchErrorKind::RedirectedAway { reason: Away::OtherHost, .. });
    }
    assert_alone(&internet);
}

#[tokio::test]
async fn next_page_in_plain_http() {
    let (internet, referrers, tags) =
        next_page_at(r#"<http://registry.example/x>; rel="next""#).await;
    for error in [referrers, tags] {
        assert_kind!(error, FetchErrorKind::RedirectedAway { reason: Away::PlainHttp, .. });
    }
    assert_alone(&internet);
}

/// A login for one registry, and an image of another that asks for it.
#[tokio::test]
async fn another_registrys_login() {
    let internet = Internet::of(&super::HOSTS, |_, _| challenge("Basic realm=x")).await;
    let registry = client(&internet);
    for image in ["evil.example/app", "auth.registry.example/app", "registry.example:8443/app"] {
        let error = registry.resolve(&image.parse().unwrap(), deadline()).await.unwrap_err();
        match error.kind() {
            FetchErrorKind::Unauthorized(Unauthorized::NoCredentials)
            | FetchErrorKind::Unreachable(_) => {}
            _ => panic!("{image}: {error:?}"),
        }
    }
    assert!(internet.trusted().is_empty());
}

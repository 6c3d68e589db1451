//! Registries with token services of their own or beside them.

use client::Keychain;
use client::credentials::cloud::CloudKind;
use client::error::{FetchErrorKind, Unauthorized};

use super::{authorized, basic, cloud, fetch, given, json, registry, shown};
use crate::assert_kind;
use crate::internet::Internet;
use crate::server::Reply;

#[tokio::test]
async fn docker_hub() {
    const HOSTS: [&str; 3] = ["registry-1.docker.io", "auth.docker.io", "docker.io"];
    let internet = Internet::of(&HOSTS, |host, request| match host {
        "registry-1.docker.io" => {
            registry(request, "https://auth.docker.io/token", "registry.docker.io")
        }
        "auth.docker.io" => json(r#"{"token":"T","access_token":"T","expires_in":300,"issued_at":"2026-11-01T00:00:00Z"}"#),
        _ => Reply::status(301),
    })
    .await;
    fetch(&internet, "nginx", Keychain::default()).await.unwrap();
    assert_eq!(
        internet.lines()[1],
        "auth.docker.io GET /token?service=registry.docker.io\
            &scope=repository%3Alibrary%2Fnginx%3Apull"
    );
    let anonymous = internet.to("auth.docker.io");
    assert_eq!(anonymous[0].header("authorization"), None);
    fetch(&internet, "nginx", given("docker.io", basic("ali", "pat"))).await.unwrap();
    let known = internet.to("auth.docker.io");
    assert_eq!(known[1].header("authorization"), Some(shown("ali", "pat").as_str()));
    assert!(internet.to("docker.io").is_empty());
}

#[tokio::test]
async fn github() {
    let internet = Internet::of(&["ghcr.io"], |_, request| match request.path() {
        "/token" if authorized(request, &shown("octocat", "ghs_x")) => json(r#"{"token":"T"}"#),
        "/token" => Reply::status(403).body(r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#),
        _ => registry(request, "https://ghcr.io/token", "ghcr.io"),
    })
    .await;
    let token = [("GITHUB_TOKEN", "ghs_x"), ("GITHUB_ACTOR", "octocat")];
    fetch(&internet, "ghcr.io/acme/app", cloud(CloudKind::GitHub, &token)).await.unwrap();
    let error = fetch(&internet, "ghcr.io/acme/app", Keychain::default()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::NoCredentials));
}

#[tokio::test]
async fn gitlab() {
    const HOSTS: [&str; 2] = ["registry.gitlab.com", "gitlab.com"];
    let internet = Internet::of(&HOSTS, |host, request| match host {
        "gitlab.com" if authorized(request, &shown("gitlab-ci-token", "job")) => {
            json(r#"{"token":"T"}"#)
        }
        "gitlab.com" => Reply::status(403)
            .body(r#"{"errors":[{"code":"DENIED","message":"access forbidden"}]}"#),
        _ => registry(request, "https://gitlab.com/jwt/auth", "container_registry"),
    })
    .await;
    let image = "registry.gitlab.com/acme/app";
    fetch(&internet, image, given("registry.gitlab.com", basic("gitlab-ci-token", "job")))
        .await
        .unwrap();
    assert!(internet.lines()[1].starts_with("gitlab.com GET /jwt/auth?service=container_registry"));
    let wrong = given("registry.gitlab.com", basic("gitlab-ci-token", "old"));
    let error = fetch(&internet, image, wrong).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Forbidden { .. });
}

/// Harbor and JFrog are their own token services; Quay too, under `/v2/auth`.
#[tokio::test]
async fn registries_that_are_their_own_token_services() {
    for (host, path, service) in [
        ("harbor.acme.example", "/service/token", "harbor-registry"),
        ("acme.jfrog.io", "/v2/token", "acme.jfrog.io"),
        ("quay.io", "/v2/auth", "quay.io"),
        ("nvcr.io", "/proxy_auth", ""),
    ] {
        let internet = Internet::of(&[host], move |_, request| {
            if request.path() == path {
                return json(r#"{"token":"T","expires_in":1800}"#);
            }
            registry(request, &format!("https://{host}{path}"), service)
        })
        .await;
        let image = format!("{host}/acme/app");
        fetch(&internet, &image, given(host, basic("robot$ci", "pass"))).await.unwrap();
        let asked = &internet.requests()[1];
        assert_eq!(asked.header("authorization"), Some(shown("robot$ci", "pass").as_str()));
        let service =
            if service.is_empty() { String::new() } else { format!("service={service}&") };
        let wanted = format!("{path}?{service}scope=repository%3Aacme%2Fapp%3Apull");
        assert_eq!(asked.target, wanted);
    }
}

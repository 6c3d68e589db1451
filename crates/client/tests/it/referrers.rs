//! Referrers, none, and "could not look": three outcomes, never confused.

use client::error::{FetchErrorKind, TimeLimit};
use client::registry::referrers::{REFERRER_PAGES_MAX, REFERRERS_MAX};
use client::registry::{Referrers, ReferrersSource};
use client::{Deadline, FetchError};
use evidence::Digest;
use serde_json::{Value, json};
use std::time::Duration;

use crate::server::{Received, Reply, Server};
use crate::{OCI_INDEX, OCI_MANIFEST, ample, anonymous, assert_kind, image};

fn subject() -> Digest {
    Digest::sha256(b"subject")
}

fn entry(name: &str) -> Value {
    let digest = Digest::sha256(name.as_bytes()).to_string();
    json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": 7, "artifactType": "x/y"})
}

fn index(manifests: &[Value]) -> Vec<u8> {
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests});
    serde_json::to_vec(&index).unwrap()
}

fn is_api(request: &Received) -> bool {
    request.path() == format!("/v2/app/referrers/{}", subject())
}

fn is_tag(request: &Received) -> bool {
    request.path() == format!("/v2/app/manifests/sha256-{}", subject().hex())
}

async fn ask(server: &Server) -> Result<Referrers, FetchError> {
    anonymous().referrers(&image(server, "app"), &subject(), ample()).await
}

/// What the API and the fallback tag reply; the tag replies 404 if nothing is said.
async fn server(
    api: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    tag: impl Fn() -> Reply + Send + Sync + 'static,
) -> Server {
    Server::start(move |request| {
        if is_api(request) {
            api(request)
        } else if is_tag(request) {
            tag()
        } else {
            panic!("unexpected {}", request.line())
        }
    })
    .await
}

fn digests(referrers: &Referrers) -> Vec<Digest> {
    referrers.descriptors.iter().map(|descriptor| descriptor.digest).collect()
}

fn named(names: &[&str]) -> Vec<Digest> {
    names.iter().map(|name| Digest::sha256(name.as_bytes())).collect()
}

#[tokio::test]
async fn the_api_is_asked_first_and_alone() {
    let server =
        server(|_| Reply::ok(OCI_INDEX, index(&[entry("a"), entry("b")])), || Reply::status(500))
            .await;
    let found = ask(&server).await.unwrap();
    assert_eq!(found.source, ReferrersSource::Api);
    assert_eq!(digests(&found), named(&["a", "b"]));
    assert!(found.shortfall.is_none());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn none_is_none() {
    let server = server(|_| Reply::ok(OCI_INDEX, index(&[])), || Reply::status(500)).await;
    let found = ask(&server).await.unwrap();
    assert_eq!((found.source, digests(&found)), (ReferrersSource::Api, vec![]));
    assert!(found.shortfall.is_none());
}

#[tokio::test]
async fn a_registry_without_the_api_has_a_tag_instead() {
    type Named = (&'static str, fn() -> Reply);
    let replies: [Named; 8] = [
        ("400", || Reply::status(400)),
        ("404", || Reply::status(404)),
        ("404 for people", || Reply::status(404).with("Content-Type", "text/html").body("<html>")),
        ("405", || Reply::status(405)),
        ("406", || Reply::status(406)),
        ("501", || Reply::status(501)),
        // GHCR: to a page about packages, which cuts the digest off and limits the rate.
        ("303", || Reply::status(303).with("Location", "https://registry.example/packages")),
        ("a page for people", || Reply::ok("text/html", "<html>")),
    ];
    for (name, reply) in replies {
        let found = server(move |_| reply(), || Reply::ok(OCI_INDEX, index(&[entry("a")]))).await;
        let found = ask(&found).await.unwrap();
        assert_eq!(found.source, ReferrersSource::FallbackTag, "{name}");
        assert_eq!(digests(&found), named(&["a"]), "{name}");
        let none = server(move |_| reply(), || Reply::status(404)).await;
        let none = ask(&none).await.unwrap();
        assert!(none.descriptors.is_empty() && none.shortfall.is_none(), "{name}");
    }
}

/// Cosign took a throttled list for an empty one, and everything was signed again.
#[tokio::test]
async fn trouble_is_not_none() {
    for status in [401, 403, 408, 410, 418, 429, 500, 502, 503, 504] {
        let by_api = server(move |_| Reply::status(status), || Reply::status(404)).await;
        let by_tag = server(|_| Reply::status(404), move || Reply::status(status)).await;
        for server in [by_api, by_tag] {
            let error = ask(&server).await.unwrap_err();
            match (status, error.kind()) {
                (401, FetchErrorKind::Unauthorized(_))
                | (403, FetchErrorKind::Forbidden { .. })
                | (408 | 410 | 418, FetchErrorKind::Rejected { .. })
                | (429, FetchErrorKind::RateLimited { .. })
                | (500..=504, FetchErrorKind::ServerError { .. }) => {}
                _ => panic!("{status}: {error:?}"),
            }
        }
        let by_api = server(move |_| Reply::status(status), || Reply::status(404)).await;
        ask(&by_api).await.unwrap_err();
        assert!(!by_api.requests().iter().any(is_tag), "{status} does not lead to the tag");
    }
    let silent = server(|_| Reply::Hang(Vec::new()), || Reply::status(404)).await;
    let deadline = Deadline::after(Duration::from_millis(60));
    let error =
        anonymous().referrers(&image(&silent, "app"), &subject(), deadline).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::TimedOut(TimeLimit::Operation));
    let broken = server(|_| Reply::ok(OCI_INDEX, "{"), || Reply::status(404)).await;
    assert_kind!(ask(&broken).await.unwrap_err(), FetchErrorKind::Malformed { .. });
    let closed = server(|_| Reply::Raw(Vec::new()), || Reply::status(404)).await;
    assert_kind!(ask(&closed).await.unwrap_err(), FetchErrorKind::Unreachable(_));
}

/// A registry whose list goes on: page `n` leads to page `n + 1`.
async fn pages(page: impl Fn(usize) -> (Reply, bool) + Send + Sync + 'static) -> Server {
    server(
        move |request| {
            let number = request.target.split_once("?n=").map_or(0, |(_, n)| n.parse().unwrap());
            let (reply, more) = page(number);
            if more {
                let next = format!("{}?n={}", request.path(), number + 1);
                return reply.with("Link", format!(r#"<{next}>; rel="next""#));
            }
            reply
        },
        || Reply::status(404),
    )
    .await
}

#[tokio::test]
async fn pages_are_followed() {
    let server =
        pages(|number| (Reply::ok(OCI_INDEX, index(&[entry(&number.to_string())])), number < 2))
            .await;
    let found = ask(&server).await.unwrap();
    assert_eq!(digests(&found), named(&["0", "1", "2"]));
    assert!(found.shortfall.is_none());
}

#[tokio::test]
async fn pages_have_an_end() {
    let server = pages(|_| (Reply::ok(OCI_INDEX, index(&[entry("a")])), true)).await;
    let found = ask(&server).await.unwrap();
    assert_kind!(found.shortfall.unwrap(), FetchErrorKind::TooMany { max: REFERRER_PAGES_MAX, .. });
    assert_eq!(server.requests().len(), REFERRER_PAGES_MAX);
}

#[tokio::test]
async fn a_page_that_leads_to_itself_is_noticed() {
    let server = server(
        |request| {
            Reply::ok(OCI_INDEX, index(&[entry("a")]))
                .with("Link", format!(r#"<{}>; rel="next""#, request.target))
        },
        || Reply::status(404),
    )
    .await;
    let found = ask(&server).await.unwrap();
    assert_kind!(found.shortfall.unwrap(), FetchErrorKind::TooMany { .. });
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_list_that_breaks_off_is_not_complete() {
    for status in [401, 404, 429, 500] {
        let server = pages(move |number| match number {
            0 => (Reply::ok(OCI_INDEX, index(&[entry("a")])), true),
            _ => (Reply::status(status), false),
        })
        .await;
        let found = ask(&server).await.unwrap();
        assert_eq!(digests(&found), named(&["a"]));
        assert!(found.shortfall.is_some(), "{status}");
    }
}

#[tokio::test]
async fn there_are_at_most_a_thousand() {
    let many: Vec<_> = (0..REFERRERS_MAX + 5).map(|n| entry(&n.to_string())).collect();
    let one_page = index(&many);
    let halves = many.chunks(600).map(index).collect::<Vec<_>>();
    let whole =
        server(move |_| Reply::ok(OCI_INDEX, one_page.clone()), || Reply::status(404)).await;
    let paged = pages(move |n| (Reply::ok(OCI_INDEX, halves[n].clone()), n == 0)).await;
    for server in [whole, paged] {
        let found = ask(&server).await.unwrap();
        assert_eq!(found.descriptors.len(), REFERRERS_MAX);
        assert_kind!(found.shortfall.unwrap(), FetchErrorKind::TooMany { max: REFERRERS_MAX, .. });
    }
}

/// One broken entry neither hides the others nor goes unnoticed.
#[tokio::test]
async fn a_broken_entry_is_a_shortfall() {
    let long = json!({"mediaType": "x".repeat(256), "digest": subject().to_string(), "size": 1});
    for broken in
        [json!({}), json!(null), json!({"mediaType": "x", "digest": "y", "size": 1}), long]
    {
        let list = index(&[entry("a"), broken, entry("b")]);
        let server =
            server(move |_| Reply::ok(OCI_INDEX, list.clone()), || Reply::status(404)).await;
        let found = ask(&server).await.unwrap();
        assert_eq!(digests(&found), named(&["a", "b"]));
        assert_kind!(found.shortfall.unwrap(), FetchErrorKind::Malformed { .. });
    }
}

/// GitLab takes `sha256-…` for the digest and serves the image itself, whose children are no
/// referrers.
#[tokio::test]
async fn the_image_under_its_own_tag_is_no_list() {
    let image_index = index(&[entry("linux/amd64")]);
    let digest = Digest::sha256(&image_index);
    let server = Server::start(move |request| match request.path().contains("/referrers/") {
        true => Reply::status(404),
        false => Reply::ok(OCI_INDEX, image_index.clone()),
    })
    .await;
    let found = anonymous().referrers(&image(&server, "app"), &digest, ample()).await.unwrap();
    assert!(found.descriptors.is_empty() && found.shortfall.is_none());
}

#[tokio::test]
async fn a_tag_that_is_something_else_is_no_list() {
    let (image_manifest, _) = crate::manifest("app");
    let cases: [(&str, Vec<u8>); 6] = [
        (OCI_MANIFEST, image_manifest),
        (OCI_INDEX, b"{}".to_vec()),
        (OCI_INDEX, br#"{"mediaType":"application/vnd.oci.image.index.v1+json"}"#.to_vec()),
        (OCI_INDEX, br#"{"mediaType":"text/plain","manifests":[]}"#.to_vec()),
        ("text/html", index(&[])),
        (OCI_INDEX, b"<html>".to_vec()),
    ];
    for (content_type, body) in cases {
        let server =
            server(|_| Reply::status(404), move || Reply::ok(content_type, body.clone())).await;
        assert_kind!(ask(&server).await.unwrap_err(), FetchErrorKind::Malformed { .. });
    }
}

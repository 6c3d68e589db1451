//! Blobs on their way: mounted, sent in one piece or in several; and things taken away again.

use bytes::Bytes;
use client::error::FetchErrorKind;
use client::registry::{Deleted, Pushed, TargetRepository};
use devkit::registry::{Behaviour, RegistryOptions};
use evidence::{Digest, ImageRef};

use crate::server::{Reply, Server};
use crate::{OCI_MANIFEST, ample, anonymous, assert_kind, image, manifest};

async fn devkit() -> devkit::registry::Registry {
    devkit::registry::Registry::start(RegistryOptions::default()).await.unwrap()
}

fn at(registry: &devkit::registry::Registry, rest: &str) -> ImageRef {
    format!("{}/{rest}", registry.address()).parse().unwrap()
}

#[tokio::test]
async fn a_blob_is_taken_from_a_sister_repository() {
    let registry = devkit().await;
    let content = Bytes::from_static(b"content");
    let (from, to) = (at(&registry, "base"), at(&registry, "app"));
    let digest = anonymous().push_blob(&from, content.clone(), ample()).await.unwrap();
    registry.clear_requests();
    let push = |from| anonymous_push(&registry, from, content.clone());
    assert_eq!(push(Some(from.clone())).await, Pushed::Mounted);
    assert_eq!(push(Some(from)).await, Pushed::There);
    let queries: Vec<_> = registry.requests().into_iter().filter_map(|one| one.query).collect();
    let encoded = digest.to_string().replace(':', "%3A");
    assert_eq!(queries, [format!("mount={encoded}&from=base")]);
    anonymous().fetch_blob(&to, &digest, 10, ample()).await.unwrap();
}

async fn anonymous_push(
    registry: &devkit::registry::Registry,
    from: Option<ImageRef>,
    bytes: Bytes,
) -> Pushed {
    let (to, digest) = (at(registry, "app"), Digest::sha256(&bytes));
    anonymous().push_blob_from(&to, from.as_ref(), &digest, bytes, ample()).await.unwrap()
}

#[tokio::test]
async fn what_cannot_be_taken_is_sent() {
    let content = Bytes::from_static(b"content");
    // The sister does not have it; it is another registry; it is the same repository.
    let registry = devkit().await;
    for (from, mounts) in [
        (at(&registry, "empty"), true),
        ("docker.io/library/nginx".parse().unwrap(), false),
        (at(&registry, "app"), false),
    ] {
        let registry_two = devkit().await;
        let from = if mounts { at(&registry_two, "empty") } else { from };
        let here = at(&registry_two, "app");
        let from = if from.repository() == "app" { here.clone() } else { from };
        assert_eq!(
            anonymous_push(&registry_two, Some(from), content.clone()).await,
            Pushed::Uploaded
        );
        let asked = registry_two.requests().into_iter().filter_map(|request| request.query);
        assert_eq!(asked.filter(|query| query.contains("mount=")).count(), usize::from(mounts));
    }
    // A registry that does not know mounts refuses the whole request.
    for status in [400, 403, 405] {
        let server = Server::start(move |request| match request.method.as_str() {
            "HEAD" => Reply::status(404),
            "POST" if request.target.contains("mount=") => Reply::status(status),
            "POST" => Reply::status(202).with("Location", "/v2/app/blobs/uploads/1"),
            _ => Reply::status(201),
        })
        .await;
        let (to, from) = (image(&server, "app"), image(&server, "base"));
        let digest = Digest::sha256(&content);
        let pushed =
            anonymous().push_blob_from(&to, Some(&from), &digest, content.clone(), ample()).await;
        assert_eq!(pushed.unwrap(), Pushed::Uploaded, "{status}");
    }
}

#[tokio::test]
async fn other_bytes_than_the_digest_says_are_not_sent() {
    let server = Server::stranger().await;
    let digest = Digest::sha256(b"other");
    let bytes = Bytes::from_static(b"content");
    let pushed =
        anonymous().push_blob_from(&image(&server, "app"), None, &digest, bytes, ample()).await;
    assert_kind!(pushed.unwrap_err(), FetchErrorKind::DigestMismatch { .. });
    assert_eq!(server.lines(), [""; 0]);
}

/// What stands before a registry often takes no more than so much in one request.
#[tokio::test]
async fn what_is_too_large_is_sent_in_pieces() {
    let registry = devkit().await;
    let limit = devkit::Fault::Status(status(413));
    let rule = devkit::FaultRule::new("/v2/app/blobs/uploads/*", limit);
    registry.inject(rule.method(reqwest::Method::PUT).times(1));
    let content = Bytes::from(vec![7; 9 * 1024 * 1024]);
    let (client, image) = (anonymous(), at(&registry, "app"));
    let digest = client.push_blob(&image, content.clone(), ample()).await.unwrap();
    let methods: Vec<_> =
        registry.requests().iter().map(|request| request.method.to_string()).collect();
    assert_eq!(methods, ["HEAD", "POST", "PUT", "POST", "PATCH", "PATCH", "PATCH", "PUT"]);
    let read = client.fetch_blob(&image, &digest, content.len() as u64, ample()).await.unwrap();
    assert_eq!(read, content);
}

fn status(code: u16) -> reqwest::StatusCode {
    reqwest::StatusCode::from_u16(code).unwrap()
}

#[tokio::test]
async fn a_registry_that_wants_huge_pieces_is_refused() {
    let server = Server::start(|request| match request.method.as_str() {
        "HEAD" => Reply::status(404),
        "POST" => Reply::status(202)
            .with("Location", "/v2/app/blobs/uploads/1")
            .with("OCI-Chunk-Min-Length", "1000000000"),
        _ => Reply::status(413),
    })
    .await;
    let content = Bytes::from(vec![7; 5 * 1024 * 1024]);
    let pushed = anonymous().push_blob(&image(&server, "app"), content, ample()).await;
    assert_kind!(
        pushed.unwrap_err(),
        FetchErrorKind::TooLarge { what: "a piece of an upload", .. }
    );
}

#[tokio::test]
async fn manifests_and_tags_are_deleted() {
    let registry = devkit().await;
    let behaviour = Behaviour { references_checked: false, ..Behaviour::default() };
    registry.set_behaviour(behaviour.clone());
    let (client, image) = (anonymous(), at(&registry, "app"));
    let (bytes, digest) = manifest("app");
    for tag in ["v1", "v2"] {
        client.push_tag(&image, tag, OCI_MANIFEST, bytes.clone(), ample()).await.unwrap();
    }
    assert_eq!(client.list_tags(&image, ample()).await.unwrap().tags, ["v1", "v2"]);
    assert_eq!(client.delete_tag(&image, "v1", ample()).await.unwrap(), Deleted::Gone);
    assert_eq!(client.delete_tag(&image, "v1", ample()).await.unwrap(), Deleted::Absent);
    assert_eq!(registry.tags("app"), ["v2"]);
    assert_eq!(client.delete_manifest(&image, &digest, ample()).await.unwrap(), Deleted::Gone);
    assert_eq!(client.delete_manifest(&image, &digest, ample()).await.unwrap(), Deleted::Absent);
    assert!(registry.tags("app").is_empty());
    registry.set_behaviour(Behaviour { deletion: false, ..behaviour });
    let error = client.delete_manifest(&image, &digest, ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Rejected { status, .. } if status.as_u16() == 405);
}

#[tokio::test]
async fn a_registry_that_deletes_digests_only_is_understood() {
    let (bytes, digest) = manifest("app");
    for status in [400, 405] {
        let bytes = bytes.clone();
        let server = Server::start(move |request| match request.method.as_str() {
            "DELETE" if request.path().contains("sha256:") => Reply::status(202),
            "DELETE" => Reply::status(status),
            "HEAD" => Reply::status(200).with("Docker-Content-Digest", digest.to_string()),
            _ => Reply::ok(OCI_MANIFEST, bytes.clone()),
        })
        .await;
        let image = image(&server, "app");
        assert_eq!(anonymous().delete_tag(&image, "v1", ample()).await.unwrap(), Deleted::Gone);
        assert_eq!(server.lines().last(), Some(&format!("DELETE /v2/app/manifests/{digest}")));
    }
    let server = Server::start(|_| Reply::status(200)).await;
    let error = anonymous().delete_tag(&image(&server, "app"), "../x", ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Malformed { wanted: "a tag", .. });
    assert_eq!(server.lines(), [""; 0]);
}

#[tokio::test]
async fn tags_come_in_pages() {
    let registry = devkit().await;
    let behaviour =
        Behaviour { references_checked: false, page_size_max: 2, ..Behaviour::default() };
    registry.set_behaviour(behaviour);
    let (client, image) = (anonymous(), at(&registry, "app"));
    for tag in ["a", "b", "c", "d", "e"] {
        client.push_tag(&image, tag, OCI_MANIFEST, manifest("app").0, ample()).await.unwrap();
    }
    let found = client.list_tags(&image, ample()).await.unwrap();
    assert_eq!(found.tags, ["a", "b", "c", "d", "e"]);
    assert!(found.shortfall.is_none());
    let error = client.list_tags(&at(&registry, "other"), ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::NotFound { .. });
}

#[test]
fn a_target_repository_is_exactly_the_one_named() {
    let target: TargetRepository = "registry.example/signatures".parse().unwrap();
    let digest = Digest::sha256(b"x");
    let image: ImageRef = format!("ghcr.io/acme/app:v1@{digest}").parse().unwrap();
    assert_eq!(target.of(&image).to_string(), format!("registry.example/signatures:v1@{digest}"));
    assert_eq!(target.to_string(), "registry.example/signatures");
    for text in ["", "registry.example/a:v1", "registry.example/a:latest", "A"] {
        assert!(text.parse::<TargetRepository>().is_err(), "{text}");
    }
    assert!(format!("registry.example/a@{digest}").parse::<TargetRepository>().is_err());
}

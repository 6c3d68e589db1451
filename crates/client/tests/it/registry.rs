//! Manifests and blobs are what their digests say, and mean one thing.

use bytes::Bytes;
use client::error::FetchErrorKind;
use client::registry::manifest::MANIFEST_SIZE_MAX;
use client::registry::{LookedUp, ManifestContent, Presence};
use evidence::{Digest, ImageRef};
use serde_json::json;

use crate::server::{Reply, Server};
use crate::{OCI_INDEX, OCI_MANIFEST, ample, anonymous, assert_kind, image, manifest};

#[tokio::test]
async fn a_tag_is_resolved_by_head_and_digest() {
    let (bytes, digest) = manifest("app");
    let served = bytes.clone();
    let server = Server::start(move |request| match request.method.as_str() {
        "HEAD" => Reply::status(200).with("Docker-Content-Digest", digest.to_string()),
        _ => Reply::ok(OCI_MANIFEST, served.clone()),
    })
    .await;
    let found = anonymous().resolve(&image(&server, "acme/app:v1"), ample()).await.unwrap();
    assert_eq!(found.digest, digest);
    assert_eq!(found.bytes, bytes);
    assert_eq!(found.descriptor().size, bytes.len() as u64);
    assert!(matches!(found.content, ManifestContent::Image(_)));
    let by_digest = format!("GET /v2/acme/app/manifests/{digest}");
    assert_eq!(server.lines(), ["HEAD /v2/acme/app/manifests/v1", &by_digest]);
}

/// CVE-2022-47633: a registry that answers differently each time gets one chance.
#[tokio::test]
async fn a_digest_in_a_header_is_not_believed() {
    let (bytes, _) = manifest("app");
    let (_, other) = manifest("other");
    for by_head in [true, false] {
        let served = bytes.clone();
        let server = Server::start(move |request| match request.method.as_str() {
            "HEAD" if by_head => {
                Reply::status(200).with("Docker-Content-Digest", other.to_string())
            }
            "HEAD" => Reply::status(200),
            _ => Reply::ok(OCI_MANIFEST, served.clone())
                .with("Docker-Content-Digest", other.to_string()),
        })
        .await;
        let error = anonymous().resolve(&image(&server, "app:v1"), ample()).await.unwrap_err();
        let real = Digest::sha256(&bytes);
        assert_kind!(error, FetchErrorKind::DigestMismatch { wanted, found }
            if *wanted == other && *found == real);
    }
}

#[tokio::test]
async fn a_registry_without_head_or_digest_header_is_read_by_tag() {
    let (bytes, digest) = manifest("app");
    for status in [200, 405, 501] {
        let served = bytes.clone();
        let server = Server::start(move |request| match request.method.as_str() {
            "HEAD" => Reply::status(status),
            _ => Reply::ok(OCI_MANIFEST, served.clone()),
        })
        .await;
        let found = anonymous().resolve(&image(&server, "app:v1"), ample()).await.unwrap();
        assert_eq!(found.digest, digest);
        assert_eq!(server.lines()[1], "GET /v2/app/manifests/v1");
    }
}

/// A digest is only a name: which image a tag means is the registry's to say in either way.
#[tokio::test]
async fn a_tag_is_looked_up_without_fetching_what_it_means() {
    let (_, digest) = manifest("app");
    for (media_type, is_index) in [(OCI_MANIFEST, false), (OCI_INDEX, true)] {
        let server = Server::start(move |_| {
            Reply::ok(media_type, "").with("Docker-Content-Digest", digest.to_string())
        })
        .await;
        let app = image(&server, "acme/app:v1");
        let found = anonymous().look_up(&app, ample()).await.unwrap();
        assert_eq!(found, LookedUp { digest, is_index: Some(is_index) });
        assert_eq!(server.lines(), ["HEAD /v2/acme/app/manifests/v1"]);
        let pinned = app.with_digest(digest);
        let found = anonymous().look_up(&pinned, ample()).await.unwrap();
        assert_eq!(found, LookedUp { digest, is_index: None });
        assert_eq!(server.lines().len(), 1, "a digest needs no look");
    }
}

#[tokio::test]
async fn whether_a_digest_is_there_is_told_apart_from_not_told() {
    let (_, digest) = manifest("app");
    let there = |is_index| Ok(Presence::There { is_index });
    for (status, media_type, wanted) in [
        (200, OCI_MANIFEST, there(Some(false))),
        (200, OCI_INDEX, there(Some(true))),
        (200, "text/html", there(None)),
        (404, "text/plain", Ok(Presence::Absent)),
        (403, "text/plain", Err(())),
        (429, "text/plain", Err(())),
        (500, "text/plain", Err(())),
    ] {
        let server =
            Server::start(move |_| Reply::status(status).with("Content-Type", media_type)).await;
        let app = image(&server, "acme/app:v1");
        let found = anonymous().presence(&app, &digest, ample()).await;
        assert_eq!(found.map_err(|_| ()), wanted, "{status} {media_type}");
        let line = format!("HEAD /v2/acme/app/manifests/{digest}");
        assert!(server.lines().iter().all(|found| *found == line), "{:?}", server.lines());
    }
}

#[tokio::test]
async fn a_tag_of_which_the_registry_says_too_little_is_fetched() {
    let (bytes, digest) = manifest("app");
    for (status, content_type, announces) in [
        (200, OCI_MANIFEST, false),
        (200, "application/vnd.docker.distribution.manifest.v1+prettyjws", true),
        (405, OCI_MANIFEST, true),
        (501, OCI_MANIFEST, false),
    ] {
        let served = bytes.clone();
        let server = Server::start(move |request| match request.method.as_str() {
            "HEAD" => {
                let head = Reply::status(status).with("Content-Type", content_type);
                let digest = digest.to_string();
                if announces { head.with("Docker-Content-Digest", digest) } else { head }
            }
            _ => Reply::ok(OCI_MANIFEST, served.clone()),
        })
        .await;
        let found = anonymous().look_up(&image(&server, "app:v1"), ample()).await.unwrap();
        assert_eq!(found, LookedUp { digest, is_index: Some(false) });
        assert_eq!(server.lines(), ["HEAD /v2/app/manifests/v1", "GET /v2/app/manifests/v1"]);
    }
    for status in [400, 401, 403, 404, 429, 500] {
        let server = Server::start(move |_| Reply::status(status)).await;
        anonymous().look_up(&image(&server, "app"), ample()).await.unwrap_err();
        assert!(server.lines().iter().all(|line| line.starts_with("HEAD")), "{status}");
    }
    let server = Server::start(|_| {
        Reply::ok(OCI_MANIFEST, "").with("Docker-Content-Digest", "sha256:short")
    })
    .await;
    let error = anonymous().look_up(&image(&server, "app"), ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Malformed { .. });
}

#[tokio::test]
async fn other_failures_of_head_are_final() {
    for status in [400, 403, 404, 429, 500] {
        let server = Server::start(move |_| Reply::status(status)).await;
        let error = anonymous().resolve(&image(&server, "app"), ample()).await.unwrap_err();
        match (status, error.kind()) {
            (400, FetchErrorKind::Rejected { .. })
            | (403, FetchErrorKind::Forbidden { .. })
            | (404, FetchErrorKind::NotFound { .. })
            | (429, FetchErrorKind::RateLimited { retry_after: None })
            | (500, FetchErrorKind::ServerError { .. }) => {}
            _ => panic!("{status}: {error:?}"),
        }
        assert!(server.lines().iter().all(|line| line.starts_with("HEAD")));
    }
}

#[tokio::test]
async fn wrong_bytes_for_a_digest_are_refused() {
    let (bytes, wanted) = manifest("app");
    let (other, found) = manifest("other");
    let server = Server::start(move |_| Reply::ok(OCI_MANIFEST, other.clone())).await;
    let pinned: ImageRef = image(&server, "app:v1").with_digest(wanted);
    let error = anonymous().resolve(&pinned, ample()).await.unwrap_err();
    let mismatch = |error: &client::FetchError, wanted: Digest, found: Digest| {
        assert_kind!(error, FetchErrorKind::DigestMismatch { wanted: w, found: f }
            if *w == wanted && *f == found);
        assert!(error.hint().unwrap().contains("alters content"));
    };
    mismatch(&error, wanted, found);
    drop(bytes);
    let server = Server::start(|_| Reply::ok("application/octet-stream", "other")).await;
    let blob = Digest::sha256(b"blob");
    let error =
        anonymous().fetch_blob(&image(&server, "app"), &blob, 100, ample()).await.unwrap_err();
    mismatch(&error, blob, Digest::sha256(b"other"));
}

#[tokio::test]
async fn a_sha512_digest_is_checked_as_such() {
    let (bytes, _) = manifest("app");
    let digest = Digest::from(crypto::Hash::of(crypto::HashAlgorithm::Sha512, &bytes));
    let served = bytes.clone();
    let server = Server::start(move |_| Reply::ok(OCI_MANIFEST, served.clone())).await;
    let pinned = image(&server, "app").with_digest(digest);
    assert_eq!(anonymous().resolve(&pinned, ample()).await.unwrap().digest, digest);
}

/// A manifest served as `content_type`, as an error or its media type.
async fn read(body: Vec<u8>, content_type: Option<&'static str>) -> Result<String, String> {
    let digest = Digest::sha256(&body);
    let server = Server::start(move |_| {
        let reply = Reply::status(200).body(body.clone());
        content_type
            .map(|name| ("Content-Type", name))
            .into_iter()
            .fold(reply, |reply, header| reply.with(header.0, header.1))
    })
    .await;
    let pinned = image(&server, "app").with_digest(digest);
    match anonymous().resolve(&pinned, ample()).await {
        Ok(manifest) => Ok(manifest.media_type),
        Err(error) => {
            assert_kind!(error, FetchErrorKind::Malformed { .. });
            Err(error.to_string())
        }
    }
}

#[tokio::test]
async fn a_manifest_means_one_thing() {
    let (bytes, digest) = manifest("app");
    let with = |changes: serde_json::Value| {
        let mut json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                serde_json::Value::Null => {
                    json.as_object_mut().unwrap().remove(name);
                }
                value => json[name] = value.clone(),
            }
        }
        serde_json::to_vec(&json).unwrap()
    };
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let accepted = [
        (with(json!({})), Some(OCI_MANIFEST), OCI_MANIFEST),
        (with(json!({})), None, OCI_MANIFEST),
        (with(json!({"mediaType": null})), Some(OCI_MANIFEST), OCI_MANIFEST),
        (with(json!({"mediaType": docker})), Some(docker), docker),
        (
            with(json!({"mediaType": OCI_INDEX, "config": null, "layers": null, "manifests": []})),
            Some(OCI_INDEX),
            OCI_INDEX,
        ),
    ];
    for (body, content_type, media_type) in accepted {
        assert_eq!(read(body, content_type).await.as_deref(), Ok(media_type));
    }
    let refused = [
        (with(json!({"manifests": []})), Some(OCI_MANIFEST), "both in one manifest"),
        (with(json!({})), Some(OCI_INDEX), "one media type"),
        (with(json!({"mediaType": OCI_INDEX})), Some(OCI_INDEX), "OCI or Docker manifest"),
        (with(json!({"mediaType": null})), None, "a media type"),
        (with(json!({"mediaType": null})), Some("text/html"), "text/html"),
        (with(json!({"schemaVersion": 1})), Some(OCI_MANIFEST), "schema version 2"),
        (with(json!({"schemaVersion": null})), Some(OCI_MANIFEST), "schemaVersion"),
        (with(json!({"layers": null})), Some(OCI_MANIFEST), "layers"),
        (with(json!({"config": null})), Some(OCI_MANIFEST), "config"),
        (with(json!({"subject": {"digest": "sha256:.."}})), Some(OCI_MANIFEST), "hexadecimal"),
        (with(json!({"artifactType": "x".repeat(256)})), Some(OCI_MANIFEST), "255"),
        (b"{}".to_vec(), Some(OCI_MANIFEST), "schemaVersion"),
        (b"[]".to_vec(), Some(OCI_MANIFEST), "JSON"),
        // As an array, in the order of our own fields, serde would take all of these.
        (with(json!({"config": ["x", digest.to_string(), 2]})), Some(OCI_MANIFEST), "an object"),
        (b"[2,null,{},[],null]".to_vec(), Some(OCI_MANIFEST), "an object"),
        (b"<html>".to_vec(), Some(OCI_MANIFEST), "JSON"),
        (vec![b'['; 100_000], Some(OCI_MANIFEST), "JSON"),
    ];
    for (body, content_type, because) in refused {
        let shown = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        let error = read(body, content_type).await.unwrap_err();
        assert!(error.contains(because), "{shown}: {error}");
    }
    // Two readers of a repeated key could see two manifests.
    let twice = String::from_utf8(bytes.clone()).unwrap().replacen('{', r#"{"layers":[],"#, 1);
    assert!(read(twice.into_bytes(), Some(OCI_MANIFEST)).await.unwrap_err().contains("duplicate"));
    let layer = &serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()["layers"][0];
    let many = with(json!({"layers": vec![layer; 1001]}));
    assert!(read(many, Some(OCI_MANIFEST)).await.unwrap_err().contains("1001"));
}

#[tokio::test]
async fn a_manifest_has_a_size() {
    let long = vec![b' '; usize::try_from(MANIFEST_SIZE_MAX).unwrap() + 1];
    let digest = Digest::sha256(&long);
    let server = Server::start(move |_| Reply::ok(OCI_MANIFEST, long.clone())).await;
    let pinned = image(&server, "app").with_digest(digest);
    let error = anonymous().resolve(&pinned, ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::TooLarge { max: MANIFEST_SIZE_MAX, .. });
}

#[tokio::test]
async fn a_blob_that_is_there_is_not_sent() {
    let server = Server::start(|_| Reply::status(200)).await;
    let blob = Bytes::from_static(b"blob");
    let digest = anonymous().push_blob(&image(&server, "app"), blob, ample()).await.unwrap();
    assert_eq!(server.lines(), [format!("HEAD /v2/app/blobs/{digest}")]);
}

#[tokio::test]
async fn a_registry_that_cannot_say_whether_a_blob_is_there_gets_none() {
    let server = Server::start(|request| match request.method.as_str() {
        "HEAD" => Reply::status(403),
        _ => Reply::status(201),
    })
    .await;
    let blob = Bytes::from_static(b"blob");
    let error = anonymous().push_blob(&image(&server, "app"), blob, ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Forbidden { .. });
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_registry_that_took_something_else_is_noticed() {
    let (bytes, digest) = manifest("app");
    let other = Digest::sha256(b"other");
    let server =
        Server::start(move |_| Reply::status(201).with("Docker-Content-Digest", other.to_string()))
            .await;
    let image = image(&server, "app");
    let error =
        anonymous().push_manifest(&image, OCI_MANIFEST, bytes.clone(), ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::DigestMismatch { wanted, found }
        if *wanted == digest && *found == other);
    let pushed = anonymous().push_tag(&image, "v1", OCI_MANIFEST, bytes, ample()).await;
    assert_kind!(pushed.unwrap_err(), FetchErrorKind::DigestMismatch { .. });
}

#[tokio::test]
async fn only_tags_are_written_as_tags() {
    let server = Server::stranger().await;
    for tag in ["../x", "a/b", "", "a?b", "a#b", "-a"] {
        let (bytes, _) = manifest("app");
        let image = image(&server, "app");
        let error =
            anonymous().push_tag(&image, tag, OCI_MANIFEST, bytes, ample()).await.unwrap_err();
        assert_kind!(error, FetchErrorKind::Malformed { wanted: "a tag", .. });
    }
    assert_eq!(server.lines(), [""; 0]);
}

/// As in front of registries that know GET only.
#[tokio::test]
async fn presence_is_asked_for_otherwise_where_head_has_no_answer() {
    let (bytes, digest) = manifest("app");
    let wanted = Presence::There { is_index: Some(false) };
    for head in [405, 501] {
        for (there, wanted) in [(Some(bytes.clone()), wanted), (None, Presence::Absent)] {
            let server = Server::start(move |request| match (request.method.as_str(), &there) {
                ("HEAD", _) => Reply::status(head),
                (_, Some(bytes)) => Reply::ok(OCI_MANIFEST, bytes.clone()),
                (_, None) => Reply::status(404),
            })
            .await;
            let app = image(&server, "app");
            let found = anonymous().presence(&app, &digest, ample()).await.unwrap();
            assert_eq!(found, wanted, "{head}");
        }
    }
}

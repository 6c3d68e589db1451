//! It serves something else than was asked for, or says something else than it serves.

use bytes::Bytes;
use client::error::FetchErrorKind;
use evidence::Digest;
use serde_json::json;

use super::{app, assert_alone, client, deadline, locked, scene};
use crate::internet::Internet;
use crate::server::Reply;
use crate::{BUNDLE, OCI_INDEX, OCI_MANIFEST, assert_kind, manifest};

/// A registry that serves these bytes for everything, with this content type.
async fn serving(body: Vec<u8>, content_type: &'static str) -> Internet {
    scene(move |_| Reply::ok(content_type, body.clone())).await
}

#[tokio::test]
async fn manifest_with_another_digest() {
    let internet = serving(manifest("other").0, OCI_MANIFEST).await;
    let wanted = manifest("app").1;
    let fetched = client(&internet).fetch_manifest(&app(), &wanted, deadline()).await;
    assert_kind!(fetched.unwrap_err(), FetchErrorKind::DigestMismatch { .. });
}

#[tokio::test]
async fn blob_with_another_digest() {
    let internet = serving(b"other".to_vec(), "application/octet-stream").await;
    let wanted = Digest::sha256(b"blob");
    let fetched = client(&internet).fetch_blob(&app(), &wanted, 100, deadline()).await;
    assert_kind!(fetched.unwrap_err(), FetchErrorKind::DigestMismatch { .. });
}

/// CVE-2022-47633: one answer for the check, another for what runs.
#[tokio::test]
async fn tag_that_means_two_things() {
    let internet = scene(|request| match request.method.as_str() {
        "HEAD" => Reply::status(200).with("Docker-Content-Digest", manifest("app").1.to_string()),
        _ => Reply::ok(OCI_MANIFEST, manifest("other").0),
    })
    .await;
    let resolved = client(&internet).resolve(&app(), deadline()).await;
    assert_kind!(resolved.unwrap_err(), FetchErrorKind::DigestMismatch { .. });
}

#[tokio::test]
async fn digest_header_that_lies() {
    let internet = scene(|_| {
        Reply::ok(OCI_MANIFEST, manifest("app").0)
            .with("Docker-Content-Digest", manifest("other").1.to_string())
    })
    .await;
    let wanted = manifest("app").1;
    let fetched = client(&internet).fetch_manifest(&app(), &wanted, deadline()).await;
    assert_kind!(fetched.unwrap_err(), FetchErrorKind::DigestMismatch { .. });
}

#[tokio::test]
async fn digest_header_that_is_none() {
    for odd in ["sha256:..", "../../etc/passwd", "sha256:", "md5:d41d8cd98f00b204e9800998ecf8427e"]
    {
        let internet = scene(move |_| {
            Reply::ok(OCI_MANIFEST, manifest("app").0).with("Docker-Content-Digest", odd)
        })
        .await;
        let resolved = client(&internet).resolve(&app(), deadline()).await;
        assert_kind!(resolved.unwrap_err(), FetchErrorKind::Malformed { .. });
    }
}

/// What is read of these bytes, served as that.
async fn read(body: &serde_json::Value, content_type: &'static str) -> client::FetchError {
    let bytes = serde_json::to_vec(body).unwrap();
    let digest = Digest::sha256(&bytes);
    let internet = serving(bytes, content_type).await;
    client(&internet).fetch_manifest(&app(), &digest, deadline()).await.unwrap_err()
}

/// CVE-2021-41190.
#[tokio::test]
async fn manifest_that_is_an_index_too() {
    let mut both: serde_json::Value = serde_json::from_slice(&manifest("app").0).unwrap();
    both["manifests"] = json!([]);
    assert_kind!(read(&both, OCI_MANIFEST).await, FetchErrorKind::Malformed { .. });
}

#[tokio::test]
async fn manifest_served_as_something_else() {
    let body: serde_json::Value = serde_json::from_slice(&manifest("app").0).unwrap();
    assert_kind!(read(&body, OCI_INDEX).await, FetchErrorKind::Malformed { .. });
}

#[tokio::test]
async fn manifest_with_a_broken_digest_inside() {
    let mut body: serde_json::Value = serde_json::from_slice(&manifest("app").0).unwrap();
    body["layers"][0]["digest"] = json!("sha256:../../../etc/passwd");
    assert_kind!(read(&body, OCI_MANIFEST).await, FetchErrorKind::Malformed { .. });
}

#[tokio::test]
async fn manifest_nested_without_end() {
    let mut nested =
        br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","x":"#
            .to_vec();
    nested.extend(std::iter::repeat_n(b'[', 100_000));
    let digest = Digest::sha256(&nested);
    let internet = serving(nested, OCI_MANIFEST).await;
    let fetched = client(&internet).fetch_manifest(&app(), &digest, deadline()).await;
    assert_kind!(fetched.unwrap_err(), FetchErrorKind::Malformed { .. });
}

#[tokio::test]
async fn manifest_with_layers_by_the_ten_thousand() {
    let mut body: serde_json::Value = serde_json::from_slice(&manifest("app").0).unwrap();
    let layer = body["layers"][0].clone();
    body["layers"] = json!(vec![layer; 10_000]);
    assert_kind!(read(&body, OCI_MANIFEST).await, FetchErrorKind::Malformed { wanted, .. }
        if wanted.contains("1000"));
}

/// A layer that says where else it may be had (CVE-2020-15157's way in).
#[tokio::test]
async fn layer_with_urls_of_its_own() {
    let subject = manifest("app").1;
    let bundle = b"{}";
    let layer = json!({"mediaType": BUNDLE, "digest": Digest::sha256(bundle).to_string(),
        "size": bundle.len(), "urls": ["https://evil.example/layer"]});
    let empty = json!({"mediaType": "application/vnd.oci.empty.v1+json",
        "digest": Digest::sha256(b"{}").to_string(), "size": 2});
    let referrer = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": BUNDLE,
        "config": empty, "layers": [layer],
        "subject": {"mediaType": OCI_MANIFEST, "digest": subject.to_string(), "size": 1}});
    let referrer = serde_json::to_vec(&referrer).unwrap();
    let digest = Digest::sha256(&referrer);
    let listed = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{
        "mediaType": OCI_MANIFEST, "digest": digest.to_string(), "size": referrer.len(),
        "urls": ["https://evil.example/referrer"]}]});
    let internet = locked(move |request| match request.path() {
        path if path.contains("/referrers/") => Reply::ok(OCI_INDEX, listed.to_string()),
        path if path.ends_with(&digest.to_string()) => Reply::ok(OCI_MANIFEST, referrer.clone()),
        path if path.contains("/blobs/") => Reply::ok("application/octet-stream", &b"{}"[..]),
        _ => Reply::status(404),
    })
    .await;
    let found = client(&internet).find_evidence(&app(), &subject, deadline()).await;
    assert_eq!(found.pieces.len(), 1, "{found:?}");
    assert_alone(&internet);
}

#[tokio::test]
async fn upload_that_took_something_else() {
    let other = Digest::sha256(b"other").to_string();
    let internet = locked(move |request| match request.method.as_str() {
        "HEAD" => Reply::status(404),
        "POST" => Reply::status(202).with("Location", "/v2/acme/app/blobs/uploads/1"),
        _ => Reply::status(201).with("Docker-Content-Digest", other.clone()),
    })
    .await;
    let registry = client(&internet);
    let pushed = registry.push_blob(&app(), Bytes::from_static(b"blob"), deadline()).await;
    assert_kind!(pushed.unwrap_err(), FetchErrorKind::DigestMismatch { .. });
    let (bytes, _) = manifest("app");
    let pushed = registry.push_manifest(&app(), OCI_MANIFEST, bytes, deadline()).await;
    assert_kind!(pushed.unwrap_err(), FetchErrorKind::DigestMismatch { .. });
}

#[tokio::test]
async fn mount_that_took_something_else() {
    let other = Digest::sha256(b"other").to_string();
    let internet = locked(move |request| match request.method.as_str() {
        "HEAD" => Reply::status(404),
        _ => Reply::status(201).with("Docker-Content-Digest", other.clone()),
    })
    .await;
    let from = "registry.example/acme/base".parse().unwrap();
    let bytes = Bytes::from_static(b"blob");
    let digest = Digest::sha256(&bytes);
    let pushed =
        client(&internet).push_blob_from(&app(), Some(&from), &digest, bytes, deadline()).await;
    assert_kind!(pushed.unwrap_err(), FetchErrorKind::DigestMismatch { .. });
}

/// "None" is said by 404 and its like, and by nothing that may pass or has to do with us.
#[tokio::test]
async fn referrers_that_could_not_be_looked_at() {
    for status in [401, 403, 408, 418, 429, 500, 502, 503, 504] {
        let internet = scene(move |_| Reply::status(status)).await;
        let found = client(&internet).find_evidence(&app(), &manifest("app").1, deadline()).await;
        assert!(found.pieces.is_empty());
        assert!(!found.obstacles.is_empty(), "{status}");
    }
}

/// What it says about an error is shown, but cannot steer a terminal or hide text.
#[tokio::test]
async fn message_that_steers_the_terminal() {
    let body = json!({"errors": [{"code": "DENIED",
        "message": "\u{1b}[2J\u{1b}]0;x\u{7}\r\nverified\u{202e}\u{200b}"}]});
    let internet = scene(move |_| Reply::status(403).body(body.to_string())).await;
    let error = client(&internet).resolve(&app(), deadline()).await.unwrap_err();
    let fetched = client(&internet).fetch_blob(&app(), &Digest::sha256(b"x"), 9, deadline()).await;
    for text in [error.to_string(), fetched.unwrap_err().to_string()] {
        assert!(
            !text.contains(|c: char| c.is_control() || c == '\u{202e}' || c == '\u{200b}'),
            "{text:?}"
        );
    }
}

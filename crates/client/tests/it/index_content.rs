//! An index is walked to its images: each index fetched once, no image at all, and what was not seen
//! is told.

use std::collections::HashMap;

use client::FetchError;
use client::error::FetchErrorKind;
use client::registry::index_content::{DEPTH_MAX, INNER_INDEX_SIZE_MAX, NAMED_MAX, PLATFORMS_MAX};
use client::registry::{IndexContent, NamedKind};
use evidence::Digest;
use serde_json::{Value, json};

use crate::server::{Reply, Server};
use crate::{OCI_INDEX, OCI_MANIFEST, ample, anonymous, assert_kind, image};

/// Manifests by digest.
#[derive(Default)]
struct Shelf(HashMap<String, (&'static str, Vec<u8>)>);

impl Shelf {
    /// Puts an index there. The entry by which another index names it.
    fn index(&mut self, entries: &[Value]) -> Value {
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
        let bytes = index.to_string().into_bytes();
        let entry = entry(OCI_INDEX, &bytes);
        self.0.insert(entry["digest"].as_str().unwrap().to_owned(), (OCI_INDEX, bytes));
        entry
    }

    /// Walks through the index, whose manifest is fetched first. With that, the requests.
    async fn walk(self, index: &Value) -> (IndexContent<FetchError>, Vec<String>) {
        let server = Server::start(move |request| {
            let digest = request.path().rsplit('/').next().unwrap();
            match self.0.get(digest) {
                Some((media_type, bytes)) => Reply::ok(media_type, bytes.clone()),
                None => Reply::status(404),
            }
        })
        .await;
        let root = image(&server, "acme/app:v1").with_digest(digest_of(index));
        let registry = anonymous();
        let manifest = registry.resolve(&root, ample()).await.unwrap();
        let walked = registry.index_content(&root, &manifest, ample()).await;
        (walked, server.lines())
    }
}

fn entry(media_type: &str, bytes: &[u8]) -> Value {
    let digest = Digest::sha256(bytes).to_string();
    json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
}

/// An image that is nowhere: nobody looks at it.
fn named(name: &str, platform: &str) -> Value {
    let (os, architecture) = platform.split_once('/').unwrap();
    let mut entry = entry(OCI_MANIFEST, name.as_bytes());
    entry["platform"] = json!({"os": os, "architecture": architecture});
    entry
}

/// As `BuildKit` writes them.
fn record(name: &str) -> Value {
    let mut entry = named(name, "unknown/unknown");
    entry["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    entry
}

fn digest_of(entry: &Value) -> Digest {
    entry["digest"].as_str().unwrap().parse().unwrap()
}

fn kinds<E>(content: &IndexContent<E>) -> Vec<(Digest, NamedKind)> {
    content.named.iter().map(|named| (named.digest, named.kind)).collect()
}

#[tokio::test]
async fn every_level_is_told_and_each_manifest_once() {
    let mut shelf = Shelf::default();
    let (amd, arm) = (named("amd", "linux/amd64"), named("arm", "linux/arm64"));
    let (other, record) = (named("s390", "linux/s390x"), record("record"));
    let mut again = amd.clone();
    again["platform"] = json!({"os": "linux", "architecture": "amd64", "variant": "v2"});
    let inner = shelf.index(&[again, other.clone()]);
    let root =
        shelf.index(&[amd.clone(), inner.clone(), arm.clone(), record.clone(), inner.clone()]);
    let (content, lines) = shelf.walk(&root).await;
    assert!(content.obstacles.is_empty(), "{content:?}");
    let wanted = [
        (digest_of(&amd), NamedKind::Image),
        (digest_of(&inner), NamedKind::Index),
        (digest_of(&arm), NamedKind::Image),
        (digest_of(&record), NamedKind::BuildRecord),
        (digest_of(&other), NamedKind::Image),
    ];
    assert_eq!(kinds(&content), wanted);
    let platforms: Vec<_> = content.named[0].platforms.iter().map(ToString::to_string).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/amd64/v2"]);
    assert_eq!(content.named[0].index, digest_of(&root));
    assert_eq!(content.named[4].index, digest_of(&inner));
    // The index itself, and the one in it: no image.
    assert_eq!(lines.len(), 2, "{lines:?}");
}

/// Whoever writes an index can call things what they like; a runtime goes by the platform.
#[tokio::test]
async fn what_a_runtime_may_choose_is_an_image_whatever_it_is_called() {
    let mut called = named("called", "linux/amd64");
    called["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    let mut without_platform = record("without");
    without_platform.as_object_mut().unwrap().remove("platform");
    let mut half = record("half");
    half["platform"]["os"] = "linux".into();
    let mut otherwise = record("otherwise");
    otherwise["annotations"]["vnd.docker.reference.type"] = "attestation".into();
    let mut of_no_kind = record("of no kind");
    of_no_kind["mediaType"] = "application/octet-stream".into();
    let nowhere = named("nowhere", "unknown/unknown");
    for entry in [called, without_platform, half, otherwise, of_no_kind, nowhere] {
        let mut shelf = Shelf::default();
        let root = shelf.index(std::slice::from_ref(&entry));
        let (content, _) = shelf.walk(&root).await;
        assert_eq!(kinds(&content), [(digest_of(&entry), NamedKind::Image)], "{entry}");
    }
    // Named as both, in whatever order, it may be chosen.
    let both = [record("both"), named("both", "linux/amd64")];
    for entries in [both.clone(), [both[1].clone(), both[0].clone()]] {
        let mut shelf = Shelf::default();
        let root = shelf.index(&entries);
        let (content, _) = shelf.walk(&root).await;
        assert_eq!(kinds(&content), [(digest_of(&both[0]), NamedKind::Image)]);
    }
}

#[tokio::test]
async fn an_index_that_cannot_be_opened_is_an_obstacle_and_hides_no_other() {
    let good = named("good", "linux/amd64");
    let mut shelf = Shelf::default();
    let found = shelf.index(std::slice::from_ref(&good));
    let absent = entry(OCI_INDEX, b"absent");
    // Said to be an index, and is an image.
    let (bytes, _) = crate::manifest("an image");
    let image = entry(OCI_INDEX, &bytes);
    shelf.0.insert(image["digest"].as_str().unwrap().to_owned(), (OCI_MANIFEST, bytes));
    let swapped = entry(OCI_INDEX, b"swapped");
    let other = shelf.0[found["digest"].as_str().unwrap()].clone();
    shelf.0.insert(swapped["digest"].as_str().unwrap().to_owned(), other);
    let mut long = Value::Null;
    for size in [0, INNER_INDEX_SIZE_MAX] {
        let padding = "x".repeat(usize::try_from(size).unwrap());
        let mut entry = named("long", "linux/amd64");
        entry["annotations"] = json!({"padding": padding});
        long = shelf.index(&[entry]);
    }
    let root = shelf.index(&[absent, image, swapped, long, found]);
    let (content, _) = shelf.walk(&root).await;
    assert_eq!(content.obstacles.len(), 4, "{content:?}");
    // First what could not be had, then what was had and is something else.
    assert_kind!(content.obstacles[0], FetchErrorKind::NotFound { .. });
    assert_kind!(content.obstacles[1], FetchErrorKind::DigestMismatch { .. });
    assert_kind!(content.obstacles[2], FetchErrorKind::TooLarge { max: INNER_INDEX_SIZE_MAX, .. });
    assert_kind!(content.obstacles[3], FetchErrorKind::Malformed { .. });
    assert!(kinds(&content).contains(&(digest_of(&good), NamedKind::Image)));
}

#[tokio::test]
async fn only_so_many_manifests_and_levels_are_looked_at() {
    let many = |count: usize| -> Vec<_> {
        (0..count).map(|number| named(&number.to_string(), "linux/amd64")).collect()
    };
    for (count, obstacles) in [(NAMED_MAX, 0), (NAMED_MAX + 1, 1), (NAMED_MAX + 500, 1)] {
        let mut shelf = Shelf::default();
        let root = shelf.index(&many(count));
        let (content, _) = shelf.walk(&root).await;
        assert_eq!((content.named.len(), content.obstacles.len()), (NAMED_MAX, obstacles));
        if let [error] = content.obstacles.as_slice() {
            assert_kind!(*error, FetchErrorKind::TooMany { max: NAMED_MAX, .. });
        }
    }
    for (levels, obstacles) in [(DEPTH_MAX, 0), (DEPTH_MAX + 1, 1), (DEPTH_MAX + 9, 1)] {
        let mut shelf = Shelf::default();
        let mut root = shelf.index(&[named("deepest", "linux/amd64")]);
        for _ in 1..levels {
            root = shelf.index(&[root]);
        }
        let (content, lines) = shelf.walk(&root).await;
        assert_eq!(content.obstacles.len(), obstacles, "{levels}");
        assert_eq!(lines.len(), DEPTH_MAX);
        if let [error] = content.obstacles.as_slice() {
            assert_kind!(*error, FetchErrorKind::TooMany { max: DEPTH_MAX, .. });
        }
    }
}

/// The same image for more platforms than there are.
#[tokio::test]
async fn platforms_are_counted() {
    for (count, obstacles) in [(PLATFORMS_MAX, 0), (PLATFORMS_MAX + 1, 1)] {
        let mut shelf = Shelf::default();
        let named = |number: usize| named("app", &format!("linux/{number}"));
        let entries: Vec<_> = (0..count).chain(0..count).map(named).collect();
        let index = shelf.index(&entries);
        let (content, _) = shelf.walk(&index).await;
        assert_eq!(content.named[0].platforms.len(), PLATFORMS_MAX);
        assert_eq!(content.obstacles.len(), obstacles, "{count}");
        for obstacle in content.obstacles {
            assert_kind!(obstacle, FetchErrorKind::TooMany { max: PLATFORMS_MAX, .. });
        }
    }
}

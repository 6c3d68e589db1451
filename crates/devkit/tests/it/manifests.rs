//! Manifests: writing, reading, deleting, and everything that makes one unacceptable.

use crypto::{Hash, HashAlgorithm};
use devkit::registry::{Behaviour, Referrers, Registry};
use evidence::Digest;
use serde_json::{Value, json};

use crate::blobs::push;
use crate::http::{Answer, delete, get, head, put};
use crate::start_registry;

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// A manifest over the empty blob, which [`push_empty`] pushes.
pub(crate) fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": {
            "mediaType": EMPTY_TYPE,
            "digest": Digest::sha256(b"{}").to_string(),
            "size": 2,
        },
        "layers": [],
    })
}

pub(crate) async fn push_empty(registry: &Registry, repository: &str) {
    push(registry, repository, b"{}").await;
}

pub(crate) async fn put_document(
    registry: &Registry,
    target: &str,
    media_type: &str,
    document: &Value,
) -> Answer {
    let asked = put(format!("/v2/{target}"), document.to_string());
    asked.header("content-type", media_type).send(registry.address()).await
}

/// Pushes an acceptable manifest and returns its digest.
pub(crate) async fn push_document(
    registry: &Registry,
    target: &str,
    media_type: &str,
    document: &Value,
) -> Digest {
    let answer = put_document(registry, target, media_type, document).await;
    assert_eq!(answer.status, 201, "{:?}", String::from_utf8_lossy(&answer.body));
    answer.header("docker-content-digest").unwrap().parse().unwrap()
}

async fn registry_with_config() -> Registry {
    let registry = start_registry(Behaviour::default()).await;
    push_empty(&registry, "app").await;
    registry
}

#[tokio::test]
async fn a_manifest_is_read_as_it_was_written() {
    let registry = registry_with_config().await;
    // Not how anybody would write it: the bytes count, not the document.
    let bytes = format!(" {:#} ", image());
    let digest = Digest::sha256(bytes.as_bytes());
    let asked = put("/v2/app/manifests/v1", bytes.clone());
    let answer = asked.header("content-type", &format!("{IMAGE}; charset=utf-8"));
    let answer = answer.send(registry.address()).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("location"), Some(format!("/v2/app/manifests/{digest}").as_str()));
    assert_eq!(answer.header("docker-content-digest"), Some(digest.to_string().as_str()));
    assert_eq!(answer.header("oci-subject"), None);
    for reference in ["v1".to_owned(), digest.to_string()] {
        let target = format!("/v2/app/manifests/{reference}");
        let read = get(&target).send(registry.address()).await;
        assert_eq!(read.status, 200);
        assert_eq!(read.body, bytes.as_bytes());
        assert_eq!(read.header("content-type"), Some(IMAGE), "without parameters");
        let asked = head(&target).send(registry.address()).await;
        assert_eq!(asked.status, 200);
        for answer in [read, asked] {
            let headers = ["content-length", "docker-content-digest", "etag"];
            let found = headers.map(|name| answer.header(name).unwrap().to_owned());
            let etag = format!("\"{digest}\"");
            assert_eq!(found, [bytes.len().to_string(), digest.to_string(), etag]);
        }
    }
    assert_eq!(registry.manifest("app", "v1").unwrap(), bytes.as_bytes());
    assert_eq!(registry.tags("app"), ["v1"]);
}

#[tokio::test]
async fn a_manifest_is_written_by_its_own_digest_only() {
    let registry = registry_with_config().await;
    let bytes = image().to_string();
    for algorithm in HashAlgorithm::ALL {
        let digest = Digest::from(Hash::of(algorithm, bytes.as_bytes()));
        let stored =
            push_document(&registry, &format!("app/manifests/{digest}"), IMAGE, &image()).await;
        assert_eq!(stored, digest);
        let read = get(format!("/v2/app/manifests/{digest}")).send(registry.address()).await;
        assert_eq!(read.body, bytes.as_bytes());
        assert_eq!(read.header("docker-content-digest"), Some(digest.to_string().as_str()));
        let other = Digest::from(Hash::of(algorithm, b"other"));
        let answer =
            put_document(&registry, &format!("app/manifests/{other}"), IMAGE, &image()).await;
        assert_eq!(answer.refusal(), (400, "DIGEST_INVALID".into()));
    }
    assert!(registry.tags("app").is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let registry = registry_with_config().await;
    push_document(&registry, "app/manifests/v1", IMAGE, &image()).await;
    for reference in ["v2", &Digest::sha256(b"other").to_string(), ".bad", "sha256:00"] {
        let target = format!("/v2/app/manifests/{reference}");
        let answer = get(&target).send(registry.address()).await;
        assert_eq!(answer.refusal(), (404, "MANIFEST_UNKNOWN".into()), "{reference}");
        assert_eq!(head(&target).send(registry.address()).await.status, 404);
        let answer = delete(&target).send(registry.address()).await;
        assert_eq!(answer.refusal(), (404, "MANIFEST_UNKNOWN".into()), "{reference}");
    }
    let answer = get("/v2/other/manifests/v1").send(registry.address()).await;
    assert_eq!(answer.refusal(), (404, "NAME_UNKNOWN".into()));
    let answer = delete("/v2/other/manifests/v1").send(registry.address()).await;
    assert_eq!(answer.refusal(), (404, "NAME_UNKNOWN".into()));
}

#[tokio::test]
async fn malformed_manifests_are_refused() {
    let registry = registry_with_config().await;
    let change = |name: &str, value: Value| {
        let mut document = image();
        document[name] = value;
        document
    };
    let without = |name: &str| {
        let mut document = image();
        document.as_object_mut().unwrap().remove(name);
        document
    };
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] });
    let mut mixed_index = index.clone();
    mixed_index["layers"] = json!([]);
    let bad_digest = json!([{ "mediaType": "a/b", "digest": "sha256:00", "size": 1 }]);
    for (why, media_type, document) in [
        ("not an object", IMAGE, json!([])),
        ("old schema", IMAGE, change("schemaVersion", json!(1))),
        ("no schema", IMAGE, without("schemaVersion")),
        ("no config", IMAGE, without("config")),
        ("no layers", IMAGE, without("layers")),
        ("an image with manifests", IMAGE, change("manifests", json!([]))),
        ("an index with layers", INDEX, mixed_index),
        ("an index without manifests", INDEX, json!({ "schemaVersion": 2 })),
        ("two media types", "application/vnd.docker.distribution.manifest.v2+json", image()),
        ("an image that says it is an index", INDEX, image()),
        ("an index that says it is an image", IMAGE, index),
        ("an unknown media type", "text/plain", without("mediaType")),
        ("a malformed layer digest", IMAGE, change("layers", bad_digest.clone())),
        ("a malformed subject digest", IMAGE, change("subject", bad_digest[0].clone())),
        ("annotations that are no strings", IMAGE, change("annotations", json!({ "a": 1 }))),
    ] {
        let answer = put_document(&registry, "app/manifests/v1", media_type, &document).await;
        assert_eq!(answer.refusal(), (400, "MANIFEST_INVALID".into()), "{why}");
    }
    let garbage = put("/v2/app/manifests/v1", &b"\xff"[..]).header("content-type", IMAGE);
    let answer = garbage.send(registry.address()).await;
    assert_eq!(answer.refusal(), (400, "MANIFEST_INVALID".into()));
    let untyped = put("/v2/app/manifests/v1", without("mediaType").to_string());
    let answer = untyped.send(registry.address()).await;
    assert_eq!(answer.refusal(), (400, "MANIFEST_INVALID".into()));
    let deep = "[".repeat(100_000);
    let answer = put("/v2/app/manifests/v1", deep).send(registry.address()).await;
    assert_eq!(answer.refusal(), (400, "MANIFEST_INVALID".into()));
    for (reference, code) in [(".bad", "MANIFEST_INVALID"), ("sha256:00", "DIGEST_INVALID")] {
        let answer =
            put_document(&registry, &format!("app/manifests/{reference}"), IMAGE, &image()).await;
        assert_eq!(answer.refusal(), (400, code.into()));
    }
    assert!(registry.tags("app").is_empty());
}

#[tokio::test]
async fn docker_types_are_taken_too() {
    let registry = registry_with_config().await;
    let media_type = "application/vnd.docker.distribution.manifest.v2+json";
    let mut document = image();
    document["mediaType"] = json!(media_type);
    let digest = push_document(&registry, "app/manifests/v1", media_type, &document).await;
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    let entry = json!({ "mediaType": media_type, "digest": digest.to_string(), "size": 1 });
    let index = json!({ "schemaVersion": 2, "mediaType": list, "manifests": [entry] });
    push_document(&registry, "app/manifests/all", list, &index).await;
    let read = get("/v2/app/manifests/all").send(registry.address()).await;
    assert_eq!(read.header("content-type"), Some(list));
}

#[tokio::test]
async fn manifests_are_bounded() {
    let registry = registry_with_config().await;
    const SIZE_MAX: usize = 4 * 1024 * 1024;
    let mut bytes = image().to_string().into_bytes();
    bytes.resize(SIZE_MAX, b' ');
    let largest = put("/v2/app/manifests/v1", bytes.clone()).header("content-type", IMAGE);
    assert_eq!(largest.send(registry.address()).await.status, 201);
    bytes.push(b' ');
    let too_large = put("/v2/app/manifests/v1", bytes).header("content-type", IMAGE);
    for asked in [too_large.clone(), too_large.chunked()] {
        let answer = asked.send(registry.address()).await;
        assert_eq!(answer.refusal(), (413, "SIZE_INVALID".into()));
    }
}

#[tokio::test]
async fn what_a_manifest_names_must_be_there_unless_nobody_looks() {
    let registry = registry_with_config().await;
    let other = Digest::sha256(b"other").to_string();
    let missing = json!({ "mediaType": "a/b", "digest": other, "size": 5 });
    let mut layers = image();
    layers["layers"] = json!([missing]);
    let mut config = image();
    config["config"] = missing.clone();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [missing] });
    for (media_type, document) in [(IMAGE, &layers), (IMAGE, &config), (INDEX, &index)] {
        let answer = put_document(&registry, "app/manifests/v1", media_type, document).await;
        assert_eq!(answer.refusal(), (400, "MANIFEST_BLOB_UNKNOWN".into()));
        assert_eq!(answer.json()["errors"][0]["detail"]["digest"], other);
    }
    let elsewhere = put_document(&registry, "two/manifests/v1", IMAGE, &image()).await;
    assert_eq!(elsewhere.refusal(), (400, "MANIFEST_BLOB_UNKNOWN".into()), "another repository's");
    registry.set_behaviour(Behaviour { references_checked: false, ..Behaviour::default() });
    for (media_type, document) in [(IMAGE, &layers), (IMAGE, &config), (INDEX, &index)] {
        push_document(&registry, "app/manifests/v1", media_type, document).await;
    }
}

#[tokio::test]
async fn layers_that_are_elsewhere_need_not_be_there() {
    let registry = registry_with_config().await;
    for media_type in [
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ] {
        let digest = Digest::sha256(b"elsewhere").to_string();
        let mut document = image();
        document["layers"] = json!([{ "mediaType": media_type, "digest": digest, "size": 9 }]);
        push_document(&registry, "app/manifests/v1", IMAGE, &document).await;
        document["config"] = document["layers"][0].clone();
        let answer = put_document(&registry, "app/manifests/v2", IMAGE, &document).await;
        assert_eq!(answer.refusal(), (400, "MANIFEST_BLOB_UNKNOWN".into()), "only layers");
    }
}

#[tokio::test]
async fn a_subject_need_not_be_there_and_is_acknowledged() {
    let registry = registry_with_config().await;
    let subject = Digest::sha256(b"not there").to_string();
    let mut document = image();
    document["subject"] = json!({ "mediaType": IMAGE, "digest": subject, "size": 1 });
    for (referrers, acknowledged) in
        [(Referrers::On, true), (Referrers::WithoutFilter, true), (Referrers::Off, false)]
    {
        registry.set_behaviour(Behaviour { referrers, ..Behaviour::default() });
        let answer = put_document(&registry, "app/manifests/v1", IMAGE, &document).await;
        assert_eq!(answer.status, 201);
        let expected = acknowledged.then_some(subject.as_str());
        assert_eq!(answer.header("oci-subject"), expected, "{referrers:?}");
    }
}

/// Two manifests that differ.
fn two() -> [Value; 2] {
    ["one", "two"].map(|text| {
        let mut document = image();
        document["annotations"] = json!({ "a": text });
        document
    })
}

#[tokio::test]
async fn tags_move_unless_they_are_immutable() {
    let registry = registry_with_config().await;
    let [one, two] = two();
    push_document(&registry, "app/manifests/v1", IMAGE, &one).await;
    push_document(&registry, "app/manifests/v1", IMAGE, &two).await;
    registry.set_behaviour(Behaviour { tags_mutable: false, ..Behaviour::default() });
    let answer = put_document(&registry, "app/manifests/v1", IMAGE, &one).await;
    assert_eq!(answer.refusal(), (409, "DENIED".into()));
    assert_eq!(registry.manifest("app", "v1").unwrap(), two.to_string().as_bytes());
    // The same again, a new tag and a digest are no changes of a tag.
    push_document(&registry, "app/manifests/v1", IMAGE, &two).await;
    push_document(&registry, "app/manifests/v2", IMAGE, &one).await;
    let digest = Digest::sha256(one.to_string().as_bytes());
    push_document(&registry, &format!("app/manifests/{digest}"), IMAGE, &one).await;
}

#[tokio::test]
async fn conditions_keep_writers_apart_where_they_are_obeyed() {
    let registry = registry_with_config().await;
    let [one, two] = two();
    let write = |document: Value, name: &'static str, value: String| {
        let asked = put("/v2/app/manifests/v1", document.to_string());
        asked.header("content-type", IMAGE).header(name, &value).send(registry.address())
    };
    let failed = (412, "DENIED".to_owned());
    assert_eq!(write(one.clone(), "if-match", "*".into()).await.refusal(), failed);
    let created = write(one.clone(), "if-none-match", "*".into()).await;
    assert_eq!(created.status, 201);
    assert_eq!(write(two.clone(), "if-none-match", "*".into()).await.refusal(), failed);
    assert_eq!(write(two.clone(), "if-match", "\"other\"".into()).await.refusal(), failed);
    assert_eq!(registry.manifest("app", "v1").unwrap(), one.to_string().as_bytes());
    let etag = created.header("etag").unwrap().to_owned();
    assert_eq!(write(two.clone(), "if-match", etag.clone()).await.status, 201);
    // The tag has moved: the same condition fails now.
    assert_eq!(write(one.clone(), "if-match", etag.clone()).await.refusal(), failed);
    registry.set_behaviour(Behaviour { conditions_obeyed: false, ..Behaviour::default() });
    assert_eq!(write(one, "if-match", etag).await.status, 201);
}

#[tokio::test]
async fn a_known_manifest_is_not_sent_again() {
    let registry = registry_with_config().await;
    let digest = push_document(&registry, "app/manifests/v1", IMAGE, &image()).await;
    let asked = get("/v2/app/manifests/v1").header("if-none-match", &format!("\"{digest}\""));
    assert_eq!(asked.send(registry.address()).await.status, 304);
}

#[tokio::test]
async fn deleting_a_tag_leaves_the_manifest_and_deleting_that_takes_its_tags() {
    let registry = registry_with_config().await;
    let mut digest = None;
    for tag in ["a", "b", "c"] {
        digest =
            Some(push_document(&registry, &format!("app/manifests/{tag}"), IMAGE, &image()).await);
    }
    let by_digest = format!("/v2/app/manifests/{}", digest.unwrap());
    registry.set_behaviour(Behaviour { deletion: false, ..Behaviour::default() });
    let refused = delete(&by_digest).send(registry.address()).await;
    assert_eq!(refused.refusal(), (405, "UNSUPPORTED".into()));
    registry.set_behaviour(Behaviour::default());
    assert_eq!(delete("/v2/app/manifests/a").send(registry.address()).await.status, 202);
    assert_eq!(registry.tags("app"), ["b", "c"]);
    assert_eq!(get(&by_digest).send(registry.address()).await.status, 200);
    assert_eq!(delete(&by_digest).send(registry.address()).await.status, 202);
    assert!(registry.tags("app").is_empty());
    assert_eq!(get("/v2/app/manifests/b").send(registry.address()).await.status, 404);
}

#[tokio::test]
async fn planted_manifests_may_be_anything() {
    let registry = start_registry(Behaviour::default()).await;
    let digest = Digest::sha256(b"something else");
    let lie = &b"this is no manifest"[..];
    registry.plant_manifest("app", &digest.to_string(), "text/plain", lie).unwrap();
    let read = get(format!("/v2/app/manifests/{digest}")).send(registry.address()).await;
    assert_eq!(read.body, lie);
    assert_eq!(read.header("docker-content-digest"), Some(digest.to_string().as_str()));
    let mut both = image();
    both["manifests"] = json!([]);
    registry.plant_manifest("app", "v1", IMAGE, both.to_string()).unwrap();
    let read = get("/v2/app/manifests/v1").send(registry.address()).await;
    assert_eq!(read.json(), both);
    for (name, reference) in [("No", "v1"), ("app", ".v1"), ("app", "sha256:0")] {
        assert!(registry.plant_manifest(name, reference, IMAGE, lie).is_err());
    }
}

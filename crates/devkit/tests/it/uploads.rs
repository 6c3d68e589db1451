//! Blobs on their way in: all the ways that the specification has, and what is refused.

use crypto::{Hash, HashAlgorithm};
use devkit::registry::{Behaviour, Registry, RegistryOptions};
use evidence::Digest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::blobs::push;
use crate::http::{Answer, delete, get, parse, patch, post, put, request};
use crate::manifests::{IMAGE, image, put_document};
use crate::start_registry;

const CONTENT: &[u8] = b"0123456789";

async fn start(registry: &Registry, repository: &str) -> String {
    let target = format!("/v2/{repository}/blobs/uploads/");
    let answer = post(target).send(registry.address()).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("range"), Some("0-0"));
    answer.header("location").unwrap().to_owned()
}

async fn is_stored(registry: &Registry, digest: &Digest, content: &[u8]) {
    let answer = get(format!("/v2/app/blobs/{digest}")).send(registry.address()).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, content));
}

fn is_created(answer: &Answer, digest: &Digest) {
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("location"), Some(format!("/v2/app/blobs/{digest}").as_str()));
    assert_eq!(answer.header("docker-content-digest"), Some(digest.to_string().as_str()));
}

#[tokio::test]
async fn in_one_request() {
    let registry = start_registry(Behaviour::default()).await;
    let digest = Digest::sha256(CONTENT);
    let target = format!("/v2/app/blobs/uploads/?digest={digest}");
    let answer = post(target).body(CONTENT).send(registry.address()).await;
    is_created(&answer, &digest);
    is_stored(&registry, &digest, CONTENT).await;
}

#[tokio::test]
async fn in_two_requests() {
    let registry = start_registry(Behaviour::default()).await;
    let digest = Digest::sha256(CONTENT);
    let location = start(&registry, "app").await;
    let closing = put(format!("{location}?digest={digest}"), CONTENT);
    is_created(&closing.clone().send(registry.address()).await, &digest);
    is_stored(&registry, &digest, CONTENT).await;
    let again = closing.send(registry.address()).await;
    assert_eq!(again.refusal(), (404, "BLOB_UPLOAD_UNKNOWN".into()));
}

#[tokio::test]
async fn in_chunks() {
    let registry = start_registry(Behaviour::default()).await;
    let location = start(&registry, "app").await;
    let first = patch(&location, &b"0123"[..]).header("content-range", "0-3");
    let answer = first.send(registry.address()).await;
    assert_eq!((answer.status, answer.header("range")), (202, Some("0-3")));
    let told = get(&location).send(registry.address()).await;
    assert_eq!((told.status, told.header("range")), (204, Some("0-3")));
    assert_eq!(told.header("location"), Some(location.as_str()));
    let second = patch(&location, &b"456"[..]).header("content-range", "4-6");
    let answer = second.send(registry.address()).await;
    assert_eq!((answer.status, answer.header("range")), (202, Some("0-6")));
    let digest = Digest::sha256(CONTENT);
    let last = put(format!("{location}?digest={digest}"), &b"789"[..]);
    let answer = last.header("content-range", "7-9").send(registry.address()).await;
    is_created(&answer, &digest);
    is_stored(&registry, &digest, CONTENT).await;
}

#[tokio::test]
async fn as_a_stream() {
    let registry = start_registry(Behaviour::default()).await;
    let content = vec![7; 100_000];
    let digest = Digest::sha256(&content);
    let location = start(&registry, "app").await;
    let answer = patch(&location, content.clone()).chunked().send(registry.address()).await;
    assert_eq!((answer.status, answer.header("range")), (202, Some("0-99999")));
    let closing = put(format!("{location}?digest={digest}"), []).send(registry.address()).await;
    is_created(&closing, &digest);
    is_stored(&registry, &digest, &content).await;
}

#[tokio::test]
async fn with_another_hash() {
    let registry = start_registry(Behaviour::default()).await;
    let digest = Digest::from(Hash::of(HashAlgorithm::Sha512, CONTENT));
    let target = format!("/v2/app/blobs/uploads/?digest={digest}");
    let answer = post(target).body(CONTENT).send(registry.address()).await;
    is_created(&answer, &digest);
    is_stored(&registry, &digest, CONTENT).await;
}

#[tokio::test]
async fn chunks_must_follow_each_other() {
    let registry = start_registry(Behaviour::default()).await;
    let location = start(&registry, "app").await;
    patch(&location, &b"0123"[..]).send(registry.address()).await;
    for range in ["0-3", "5-8", "3-6", "4", "a-b", "-4", "+4-7", "4-"] {
        let asked = patch(&location, &b"4567"[..]).header("content-range", range);
        let answer = asked.send(registry.address()).await;
        assert_eq!(answer.refusal(), (416, "BLOB_UPLOAD_INVALID".into()), "{range}");
        assert_eq!(answer.header("location"), Some(location.as_str()));
        assert_eq!(answer.header("range"), Some("0-3"), "nothing was taken");
    }
    let shorter = patch(&location, &b"45"[..]).header("content-range", "4-7");
    let answer = shorter.send(registry.address()).await;
    assert_eq!(answer.refusal(), (400, "SIZE_INVALID".into()));
    let right = patch(&location, &b"4567"[..]).header("content-range", "4-7");
    assert_eq!(right.send(registry.address()).await.status, 202);
}

#[tokio::test]
async fn of_two_chunks_at_once_one_is_refused() {
    let registry = start_registry(Behaviour::default()).await;
    let location = start(&registry, "app").await;
    let slow = request("PATCH", &location).header("content-length", "4");
    let mut slow = slow.open(registry.address()).await;
    slow.write_all(b"01").await.unwrap();
    registry.arrived(&location).await;
    let quick = patch(&location, &b"abcd"[..]).send(registry.address()).await;
    assert_eq!(quick.status, 202);
    slow.write_all(b"23").await.unwrap();
    let mut received = Vec::new();
    slow.read_to_end(&mut received).await.unwrap();
    let answer = parse(&received, false);
    assert_eq!(answer.refusal(), (416, "BLOB_UPLOAD_INVALID".into()));
    assert_eq!(answer.header("range"), Some("0-3"));
    let digest = Digest::sha256(b"abcd");
    let closing = put(format!("{location}?digest={digest}"), []).send(registry.address()).await;
    is_created(&closing, &digest);
}

#[tokio::test]
async fn content_must_have_the_digest_that_was_said() {
    let registry = start_registry(Behaviour::default()).await;
    let digest = Digest::sha256(CONTENT);
    let location = start(&registry, "app").await;
    let closing = put(format!("{location}?digest={digest}"), &b"other"[..]);
    let answer = closing.send(registry.address()).await;
    assert_eq!(answer.refusal(), (400, "DIGEST_INVALID".into()));
    let target = format!("/v2/app/blobs/uploads/?digest={digest}");
    let answer = post(target).body(&b"other"[..]).send(registry.address()).await;
    assert_eq!(answer.refusal(), (400, "DIGEST_INVALID".into()));
    let read = get(format!("/v2/app/blobs/{digest}")).send(registry.address()).await;
    assert_eq!(read.status, 404);
    let location = start(&registry, "app").await;
    for query in ["", "?digest=sha256:00", "?digest=md5:d41d8cd98f00b204e9800998ecf8427e"] {
        let answer = put(format!("{location}{query}"), CONTENT).send(registry.address()).await;
        assert_eq!(answer.refusal(), (400, "DIGEST_INVALID".into()), "{query}");
    }
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository() {
    let registry = start_registry(Behaviour::default()).await;
    let location = start(&registry, "app").await.replace("/app/", "/other/");
    let digest = Digest::sha256(CONTENT);
    for asked in [
        get(&location),
        patch(&location, CONTENT),
        put(format!("{location}?digest={digest}"), CONTENT),
        delete(&location),
    ] {
        let answer = asked.send(registry.address()).await;
        assert_eq!(answer.refusal(), (404, "BLOB_UPLOAD_UNKNOWN".into()));
    }
}

#[tokio::test]
async fn a_cancelled_upload_is_gone() {
    let registry = start_registry(Behaviour::default()).await;
    let location = start(&registry, "app").await;
    assert_eq!(delete(&location).send(registry.address()).await.status, 204);
    let answer = get(&location).send(registry.address()).await;
    assert_eq!(answer.refusal(), (404, "BLOB_UPLOAD_UNKNOWN".into()));
}

#[tokio::test]
async fn a_blob_is_mounted_from_where_it_is() {
    let registry = start_registry(Behaviour::default()).await;
    let digest = push(&registry, "base", CONTENT).await;
    let mount = |digest: Digest, query: &str| {
        let target = format!("/v2/app/blobs/uploads/?mount={digest}{query}");
        post(target).send(registry.address())
    };
    // Without a source, or with a wrong one, an upload starts instead.
    for query in ["", "&from=nowhere", "&from=app", "&from=No%20Name"] {
        let answer = mount(digest, query).await;
        assert_eq!(answer.status, 202, "{query}");
        assert!(answer.header("location").unwrap().starts_with("/v2/app/blobs/uploads/"));
    }
    assert_eq!(mount(Digest::sha256(b"unknown"), "&from=base").await.status, 202);
    is_created(&mount(digest, "&from=base").await, &digest);
    is_stored(&registry, &digest, CONTENT).await;
}

async fn start_small(blob_size_max: usize, memory_size_max: usize) -> Registry {
    let options = RegistryOptions { blob_size_max, memory_size_max, ..RegistryOptions::default() };
    Registry::start(options).await.unwrap()
}

#[tokio::test]
async fn blobs_are_bounded() {
    let registry = start_small(10, 1000).await;
    let too_large = (413, "SIZE_INVALID".to_owned());
    push(&registry, "app", CONTENT).await;
    let content = b"0123456789a".as_slice();
    let target = format!("/v2/app/blobs/uploads/?digest={}", Digest::sha256(content));
    let told = post(&target).body(content).send(registry.address()).await;
    assert_eq!(told.refusal(), too_large);
    // Refused by what it announces, before any of it has come.
    let announced = request("POST", &target).header("content-length", "11");
    assert_eq!(announced.send(registry.address()).await.refusal(), too_large);
    let untold = post(&target).body(content).chunked().send(registry.address()).await;
    assert_eq!(untold.refusal(), too_large);
    // The bound is for the whole, not for each piece.
    let location = start(&registry, "app").await;
    assert_eq!(patch(&location, &b"012345"[..]).send(registry.address()).await.status, 202);
    let answer = patch(&location, &b"012345"[..]).send(registry.address()).await;
    assert_eq!(answer.refusal(), too_large);
    let answer = patch(&location, &b"012345"[..]).chunked().send(registry.address()).await;
    assert_eq!(answer.refusal(), too_large);
}

#[tokio::test]
async fn memory_is_bounded_and_given_back() {
    let registry = start_small(100, 25).await;
    let full = (507, "DENIED".to_owned());
    let digest = push(&registry, "app", CONTENT).await;
    let location = start(&registry, "app").await;
    assert_eq!(patch(&location, CONTENT).send(registry.address()).await.status, 202);
    let other = b"abcdefghij".as_slice();
    let target = format!("/v2/app/blobs/uploads/?digest={}", Digest::sha256(other));
    let answer = post(&target).body(other).send(registry.address()).await;
    assert_eq!(answer.refusal(), full);
    let planted = registry.plant_manifest("app", "v1", "text/plain", other);
    assert!(matches!(planted, Err(devkit::DevkitError::Full { size_max: 25 })), "{planted:?}");
    let behaviour = Behaviour { references_checked: false, ..Behaviour::default() };
    registry.set_behaviour(behaviour);
    let answer = put_document(&registry, "app/manifests/v1", IMAGE, &image()).await;
    assert_eq!(answer.refusal(), full);

    assert_eq!(delete(&location).send(registry.address()).await.status, 204);
    assert_eq!(post(&target).body(other).send(registry.address()).await.status, 201);
    // Mounting costs nothing; deleting one of two leaves the other.
    let mount = post(format!("/v2/two/blobs/uploads/?mount={digest}&from=app"));
    assert_eq!(mount.send(registry.address()).await.status, 201);
    let gone = delete(format!("/v2/app/blobs/{digest}")).send(registry.address()).await;
    assert_eq!(gone.status, 202);
    let kept = get(format!("/v2/two/blobs/{digest}")).send(registry.address()).await;
    assert_eq!(kept.body, CONTENT);
}

#[tokio::test]
async fn open_uploads_and_repositories_are_bounded() {
    let registry = start_registry(Behaviour::default()).await;
    let first = start(&registry, "app").await;
    let second = start(&registry, "app").await;
    for _ in 0..255 {
        start(&registry, "app").await;
    }
    assert_eq!(get(&first).send(registry.address()).await.status, 404, "the oldest made room");
    assert_eq!(get(&second).send(registry.address()).await.status, 204);

    for number in 0..1000 {
        registry.plant_blob(&format!("r{number}"), Digest::sha256(b""), &b""[..]).unwrap();
    }
    let target = format!("/v2/app/blobs/uploads/?digest={}", Digest::sha256(b""));
    let answer = post(target).send(registry.address()).await;
    assert_eq!(answer.refusal(), (507, "DENIED".into()));
}

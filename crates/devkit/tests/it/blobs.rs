//! Blobs: reading them whole and in part, deleting them, and how repositories keep apart.

use devkit::registry::{Behaviour, Registry};
use evidence::Digest;

use crate::http::{Answer, delete, get, head, post, put};
use crate::start_registry;

const CONTENT: &[u8] = b"0123456789";

/// Pushes a blob in one request and returns its digest.
pub(crate) async fn push(registry: &Registry, repository: &str, content: &[u8]) -> Digest {
    let digest = Digest::sha256(content);
    let target = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
    let answer = post(target).body(content).send(registry.address()).await;
    assert_eq!(answer.status, 201);
    digest
}

async fn read(registry: &Registry, digest: &Digest) -> Answer {
    get(format!("/v2/app/blobs/{digest}")).send(registry.address()).await
}

#[tokio::test]
async fn the_base_endpoint_says_what_this_is() {
    let registry = start_registry(Behaviour::default()).await;
    for target in ["/v2/", "/v2"] {
        let answer = get(target).send(registry.address()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("docker-distribution-api-version"), Some("registry/2.0"));
    }
    assert_eq!(get("/").send(registry.address()).await.refusal(), (404, "NAME_UNKNOWN".into()));
    let wrong = put("/v2/", []).send(registry.address()).await;
    assert_eq!(wrong.refusal(), (405, "UNSUPPORTED".into()));
}

#[tokio::test]
async fn a_blob_is_read_as_it_was_written() {
    let registry = start_registry(Behaviour::default()).await;
    let digest = push(&registry, "team/app", CONTENT).await;
    let target = format!("/v2/team/app/blobs/{digest}");
    let answer = get(&target).send(registry.address()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, CONTENT);
    assert_eq!(answer.header("docker-content-digest"), Some(digest.to_string().as_str()));
    assert_eq!(answer.header("etag"), Some(format!("\"{digest}\"").as_str()));
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    let answer = head(&target).send(registry.address()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-length"), Some("10"));
    assert_eq!(answer.header("docker-content-digest"), Some(digest.to_string().as_str()));
    let escaped = target.replace(':', "%3A");
    assert_eq!(get(escaped).send(registry.address()).await.body, CONTENT);
}

#[tokio::test]
async fn parts_of_a_blob_are_read() {
    let registry = start_registry(Behaviour::default()).await;
    let digest = push(&registry, "app", CONTENT).await;
    let target = format!("/v2/app/blobs/{digest}");
    for (range, part, told) in [
        ("bytes=2-4", &b"234"[..], "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
    ] {
        let answer = get(&target).header("range", range).send(registry.address()).await;
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(answer.body, part, "{range}");
        assert_eq!(answer.header("content-range"), Some(told));
    }
    for range in ["bytes=4-2", "bytes=0-1,3-4", "lines=1-2", "bytes=x"] {
        let answer = get(&target).header("range", range).send(registry.address()).await;
        assert_eq!((answer.status, answer.body.len()), (200, 10), "{range}");
    }
    let asked = head(&target).header("range", "bytes=2-4").send(registry.address()).await;
    assert_eq!((asked.status, asked.header("content-length")), (200, Some("10")));
    let beyond = get(&target).header("range", "bytes=10-").send(registry.address()).await;
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.header("content-range"), Some("bytes */10"));
    let resumed = get(&target).header("range", "bytes=5-");
    let same = resumed.clone().header("if-range", &format!("\"{digest}\""));
    assert_eq!(same.send(registry.address()).await.status, 206);
    let other = resumed.header("if-range", "\"other\"").send(registry.address()).await;
    assert_eq!(other.status, 200);
}

#[tokio::test]
async fn a_known_blob_is_not_sent_again() {
    let registry = start_registry(Behaviour::default()).await;
    let digest = push(&registry, "app", CONTENT).await;
    let asked = |tag: String| {
        get(format!("/v2/app/blobs/{digest}"))
            .header("if-none-match", &tag)
            .send(registry.address())
    };
    assert_eq!(asked(format!("\"{digest}\"")).await.status, 304);
    assert_eq!(asked(format!("\"x\", W/\"{digest}\"")).await.status, 304);
    assert_eq!(asked("\"x\"".to_owned()).await.status, 200);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let registry = start_registry(Behaviour::default()).await;
    let digest = push(&registry, "app", CONTENT).await;
    let unknown = Digest::sha256(b"other");
    assert_eq!(read(&registry, &unknown).await.refusal(), (404, "BLOB_UNKNOWN".into()));
    let elsewhere = get(format!("/v2/other/blobs/{digest}")).send(registry.address()).await;
    assert_eq!(elsewhere.refusal(), (404, "BLOB_UNKNOWN".into()), "another repository's blob");
    let asked = head(format!("/v2/app/blobs/{unknown}")).send(registry.address()).await;
    assert_eq!(asked.status, 404);
}

#[tokio::test]
async fn malformed_names_and_digests_are_refused() {
    let registry = start_registry(Behaviour::default()).await;
    let digest = Digest::sha256(b"");
    for name in ["App", "a//b", "a/../b", "-a", "a%20b"] {
        let answer = get(format!("/v2/{name}/blobs/{digest}")).send(registry.address()).await;
        assert_eq!(answer.refusal(), (400, "NAME_INVALID".into()), "{name}");
    }
    let upper = digest.to_string().to_uppercase();
    for digest in ["sha256:00", "md5:d41d8cd98f00b204e9800998ecf8427e", "x:y", upper.as_str()] {
        let answer = get(format!("/v2/app/blobs/{digest}")).send(registry.address()).await;
        assert_eq!(answer.refusal(), (400, "DIGEST_INVALID".into()), "{digest}");
    }
}

#[tokio::test]
async fn blobs_are_deleted_where_deletion_is_on() {
    let registry = start_registry(Behaviour::default()).await;
    let digest = push(&registry, "app", CONTENT).await;
    let target = format!("/v2/app/blobs/{digest}");
    registry.set_behaviour(Behaviour { deletion: false, ..Behaviour::default() });
    let refused = delete(&target).send(registry.address()).await;
    assert_eq!(refused.refusal(), (405, "UNSUPPORTED".into()));
    registry.set_behaviour(Behaviour::default());
    assert_eq!(delete(&target).send(registry.address()).await.status, 202);
    assert_eq!(read(&registry, &digest).await.status, 404);
    let again = delete(&target).send(registry.address()).await;
    assert_eq!(again.refusal(), (404, "BLOB_UNKNOWN".into()));
}

#[tokio::test]
async fn planted_blobs_may_lie() {
    let registry = start_registry(Behaviour::default()).await;
    let digest = Digest::sha256(CONTENT);
    registry.plant_blob("app", digest, &b"something else"[..]).unwrap();
    assert_eq!(read(&registry, &digest).await.body, b"something else");
}

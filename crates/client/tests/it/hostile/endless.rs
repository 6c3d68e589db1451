//! It sends without end: bytes, headers, pages, entries, or nothing at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use client::error::{FetchErrorKind, TimeLimit};
use client::{Deadline, FetchError};
use evidence::Digest;
use serde_json::json;
use tokio::time::Instant;

use super::{TIME, app, client, deadline, locked, scene};
use crate::server::Reply;
use crate::{OCI_INDEX, OCI_MANIFEST, assert_kind, manifest};

/// More than lies in the sockets' buffers between two processes of one machine.
const BUFFERED: u64 = 8 * 1024 * 1024;

fn head(more: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{more}\r\n").into_bytes()
}

/// Asks a registry that answers with this head and pieces without end, and says how many bytes it
/// could send. It must have taken less than the deadline.
async fn endless<T>(
    first: Vec<u8>,
    piece: Vec<u8>,
    ask: impl AsyncFnOnce(&client::Registry) -> Result<T, FetchError>,
) -> (FetchError, u64) {
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    let internet =
        scene(move |_| Reply::Counted(first.clone(), piece.clone(), Arc::clone(&count))).await;
    let started = Instant::now();
    let Err(error) = ask(&client(&internet)).await else { panic!("it ended") };
    assert!(started.elapsed() < TIME, "{:?}", started.elapsed());
    (error, sent.load(Ordering::SeqCst))
}

fn spaces() -> Vec<u8> {
    vec![b' '; 64 * 1024]
}

#[tokio::test]
async fn manifest_without_end() {
    let digest = manifest("app").1;
    let (error, sent) =
        endless(head(&format!("Content-Type: {OCI_MANIFEST}\r\n")), spaces(), async |registry| {
            registry.fetch_manifest(&app(), &digest, deadline()).await
        })
        .await;
    assert_kind!(error, FetchErrorKind::TooLarge { max: 4_194_304, .. });
    assert!(sent <= 4_194_304 + BUFFERED, "{sent}");
}

#[tokio::test]
async fn blob_without_end() {
    let digest = Digest::sha256(b"x");
    let (error, sent) = endless(head(""), spaces(), async |registry| {
        registry.fetch_blob(&app(), &digest, 1000, deadline()).await
    })
    .await;
    assert_kind!(error, FetchErrorKind::TooLarge { max: 1000, found: None, .. });
    assert!(sent <= BUFFERED, "{sent}");
}

#[tokio::test]
async fn blob_in_chunks_without_end() {
    let piece = [b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
    let digest = Digest::sha256(b"x");
    let (error, sent) = endless(head("Transfer-Encoding: chunked\r\n"), piece, async |registry| {
        registry.fetch_blob(&app(), &digest, 1000, deadline()).await
    })
    .await;
    assert_kind!(error, FetchErrorKind::TooLarge { max: 1000, found: None, .. });
    assert!(sent <= BUFFERED, "{sent}");
}

/// Nobody begins to read what says that it is too long.
#[tokio::test]
async fn blob_of_a_gibibyte() {
    let internet = scene(|_| Reply::Hang(head("Content-Length: 1073741824\r\n"))).await;
    let digest = Digest::sha256(b"x");
    let fetched = client(&internet).fetch_blob(&app(), &digest, 1000, deadline()).await;
    assert_kind!(fetched.unwrap_err(), FetchErrorKind::TooLarge { found: Some(1_073_741_824), .. });
}

#[tokio::test]
async fn blob_shorter_than_it_says() {
    let internet = scene(|_| {
        let mut bytes = head("Content-Length: 900\r\n");
        bytes.extend_from_slice(b"short");
        Reply::Raw(bytes)
    })
    .await;
    let digest = Digest::sha256(b"short");
    let fetched = client(&internet).fetch_blob(&app(), &digest, 1000, deadline()).await;
    assert_kind!(fetched.unwrap_err(), FetchErrorKind::Unreachable(_));
}

#[tokio::test]
async fn headers_without_end() {
    let digest = Digest::sha256(b"x");
    let line = b"X-Filler: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n".repeat(1024);
    let (error, sent) = endless(b"HTTP/1.1 200 OK\r\n".to_vec(), line, async |registry| {
        registry.fetch_blob(&app(), &digest, 1000, deadline()).await
    })
    .await;
    assert_kind!(error, FetchErrorKind::Unreachable(_));
    assert!(sent <= 2 * BUFFERED, "{sent}");
}

#[tokio::test]
async fn error_message_without_end() {
    let digest = Digest::sha256(b"x");
    let first = b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n".to_vec();
    let (error, sent) = endless(first, vec![b'x'; 64 * 1024], async |registry| {
        registry.fetch_blob(&app(), &digest, 1000, deadline()).await
    })
    .await;
    assert_kind!(error, FetchErrorKind::Forbidden { message } if message.chars().count() <= 301);
    assert!(sent <= BUFFERED, "{sent}");
}

#[tokio::test]
async fn token_without_end() {
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    let internet = scene(move |request| match request.path() {
        "/token" => {
            let first =
                [head("Content-Type: application/json\r\n"), br#"{"token":""#.to_vec()].concat();
            Reply::Counted(first, vec![b'x'; 64 * 1024], Arc::clone(&count))
        }
        _ => Reply::status(401)
            .with("WWW-Authenticate", r#"Bearer realm="https://registry.example/token""#),
    })
    .await;
    let error = client(&internet).resolve(&app(), deadline()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::TooLarge { what: "a token", max: 65_536, .. });
    assert!(sent.load(Ordering::SeqCst) <= BUFFERED);
}

/// What was packed is not unpacked, so nothing grows: the bytes that came are what is hashed.
#[tokio::test]
async fn blob_that_is_packed() {
    // The head of a gzip stream, then whatever: nobody gets to look at it.
    let packed = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0; 500]].concat();
    let digest = Digest::sha256(&packed);
    let served = packed.clone();
    let internet = scene(move |_| {
        Reply::ok("application/octet-stream", served.clone()).with("Content-Encoding", "gzip")
    })
    .await;
    let fetched = client(&internet).fetch_blob(&app(), &digest, 1000, deadline()).await;
    assert_eq!(fetched.unwrap(), packed);
    assert!(internet.requests()[0].header("accept-encoding").is_none());
}

#[tokio::test]
async fn silence_before_the_answer() {
    silence(Vec::new()).await;
}

#[tokio::test]
async fn silence_in_the_middle_of_an_answer() {
    silence([head("Content-Length: 100\r\n"), b"half".to_vec()].concat()).await;
}

async fn silence(sent: Vec<u8>) {
    let internet = scene(move |_| Reply::Hang(sent.clone())).await;
    let digest = Digest::sha256(b"x");
    let soon = Deadline::after(Duration::from_millis(100));
    let started = Instant::now();
    let fetched = client(&internet).fetch_blob(&app(), &digest, 1000, soon).await;
    assert_kind!(fetched.unwrap_err(), FetchErrorKind::TimedOut(TimeLimit::Operation));
    assert!(started.elapsed() < TIME);
}

/// It drips, so that no pause is long: what counts is the whole time.
#[tokio::test]
async fn answer_that_drips() {
    let digest = Digest::sha256(b"x");
    let internet = scene(|_| {
        Reply::Endless(
            head("Transfer-Encoding: chunked\r\n"),
            b"0000000000000001\r\nx\r\n".to_vec(),
        )
    })
    .await;
    let soon = Deadline::after(Duration::from_millis(100));
    let fetched = client(&internet).fetch_blob(&app(), &digest, u64::MAX, soon).await;
    assert_kind!(fetched.unwrap_err(), FetchErrorKind::TimedOut(TimeLimit::Operation));
}

#[tokio::test]
async fn pages_of_referrers_without_end() {
    let page = AtomicU32::new(0);
    let internet = locked(move |_| {
        let next = page.fetch_add(1, Ordering::SeqCst);
        Reply::ok(OCI_INDEX, r#"{"manifests":[]}"#)
            .with("Link", format!(r#"</v2/acme/app/referrers/x?page={next}>; rel="next""#))
    })
    .await;
    let found =
        client(&internet).referrers(&app(), &Digest::sha256(b"x"), deadline()).await.unwrap();
    assert_kind!(found.shortfall.unwrap(), FetchErrorKind::TooMany { max: 32, .. });
    assert!(internet.requests().len() <= 33);
}

#[tokio::test]
async fn pages_of_tags_without_end() {
    let page = AtomicU32::new(0);
    let internet = locked(move |_| {
        let next = page.fetch_add(1, Ordering::SeqCst);
        Reply::ok("application/json", format!(r#"{{"tags":["t{next}"]}}"#))
            .with("Link", format!(r#"</v2/acme/app/tags/list?last={next}>; rel="next""#))
    })
    .await;
    let found = client(&internet).list_tags(&app(), deadline()).await.unwrap();
    assert_kind!(found.shortfall.unwrap(), FetchErrorKind::TooMany { max: 200, .. });
    assert_eq!(found.tags.len(), 200);
    assert!(internet.requests().len() <= 201);
}

/// oras-go 30c6307b.
#[tokio::test]
async fn page_that_is_its_own_next() {
    let internet = locked(|request| {
        let link = format!(r#"<{}>; rel="next""#, request.target);
        match request.path().contains("referrers") {
            true => Reply::ok(OCI_INDEX, r#"{"manifests":[]}"#).with("Link", link),
            false => Reply::ok("application/json", r#"{"tags":[]}"#).with("Link", link),
        }
    })
    .await;
    let registry = client(&internet);
    let referrers = registry.referrers(&app(), &Digest::sha256(b"x"), deadline()).await.unwrap();
    assert_kind!(referrers.shortfall.unwrap(), FetchErrorKind::TooMany { .. });
    let tags = registry.list_tags(&app(), deadline()).await.unwrap();
    assert_kind!(tags.shortfall.unwrap(), FetchErrorKind::TooMany { .. });
    assert_eq!(internet.requests().len(), 3, "one challenge, and each page once");
}

#[tokio::test]
async fn referrers_by_the_ten_thousand() {
    let many: Vec<_> = (0..10_000)
        .map(|number: u32| {
            let digest = Digest::sha256(&number.to_be_bytes()).to_string();
            json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": 1})
        })
        .collect();
    let body = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": many}).to_string();
    for by_api in [true, false] {
        let body = body.clone();
        let internet = locked(move |request| {
            if request.path().contains("/referrers/") && !by_api {
                return Reply::status(404);
            }
            Reply::ok(OCI_INDEX, body.clone())
        })
        .await;
        let found =
            client(&internet).referrers(&app(), &Digest::sha256(b"x"), deadline()).await.unwrap();
        assert_eq!(found.descriptors.len(), 1000);
        assert_kind!(found.shortfall.unwrap(), FetchErrorKind::TooMany { max: 1000, .. });
    }
}

/// "Try again in a year" is not waited for, and neither is "at once, always".
#[tokio::test]
async fn retry_after_a_year() {
    let internet = scene(|_| Reply::status(429).with("Retry-After", "31536000")).await;
    let started = Instant::now();
    let fetched = client(&internet).fetch_blob(&app(), &Digest::sha256(b"x"), 9, deadline()).await;
    assert_kind!(fetched.unwrap_err(), FetchErrorKind::RateLimited { retry_after: Some(_) });
    assert!(started.elapsed() < TIME);
    assert_eq!(internet.requests().len(), 1);
}

#[tokio::test]
async fn retry_at_once_for_ever() {
    for status in [429, 503] {
        let internet = scene(move |_| Reply::status(status).with("Retry-After", "0")).await;
        let registry = client(&internet);
        for _ in 0..30 {
            let fetched = registry.fetch_blob(&app(), &Digest::sha256(b"x"), 9, deadline()).await;
            fetched.unwrap_err();
        }
        assert_eq!(internet.requests().len(), 40, "ten more than asked for, in all");
    }
}

#[tokio::test]
async fn what_is_no_http() {
    for bytes in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"HTTP/1.1 999999 x\r\n\r\n", b"\0\0\0\0", b""] {
        let internet = scene(move |_| Reply::Raw(bytes.to_vec())).await;
        let fetched =
            client(&internet).fetch_blob(&app(), &Digest::sha256(b"x"), 9, deadline()).await;
        assert_kind!(fetched.unwrap_err(), FetchErrorKind::Unreachable(_));
    }
}

/// A registry with these manifests and nothing else, to which nothing may be written.
async fn copied(top: Digest, manifests: Vec<(Digest, String)>) -> (FetchError, Vec<String>) {
    let internet = locked(move |request| {
        let last = request.path().rsplit('/').next().unwrap();
        match manifests.iter().find(|(digest, _)| digest.to_string() == last) {
            Some((_, index)) => Reply::ok(OCI_INDEX, index.clone()),
            None => Reply::status(404),
        }
    })
    .await;
    let (from, to) = (app().with_digest(top), "registry.example/other/app:v1".parse().unwrap());
    let copying = client::registry::Copying::all();
    let error = client(&internet).copy(&from, &to, &copying, deadline()).await.unwrap_err();
    let index = client(&internet).resolve(&from, deadline()).await.unwrap();
    let content = client(&internet).index_content(&from, &index, deadline()).await;
    assert_kind!(content.obstacles[0], FetchErrorKind::TooMany { .. });
    (error, internet.lines())
}

fn index(entries: &[(&str, Digest)]) -> (Digest, String) {
    let entries: Vec<_> = entries
        .iter()
        .map(|(media_type, digest)| {
            json!({"mediaType": media_type, "digest": digest.to_string(), "size": 1})
        })
        .collect();
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
    let index = index.to_string();
    (Digest::sha256(index.as_bytes()), index)
}

#[tokio::test]
async fn indexes_in_indexes() {
    let mut manifests = vec![index(&[])];
    for _ in 0..30 {
        let inner = manifests.last().unwrap().0;
        manifests.push(index(&[(OCI_INDEX, inner)]));
    }
    let top = manifests.last().unwrap().0;
    let (error, lines) = copied(top, manifests).await;
    assert_kind!(error, FetchErrorKind::TooMany { what: "levels of indexes", max: 4 });
    assert!(lines.len() <= 2 * (4 + 2), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("PUT")), "{lines:?}");
}

#[tokio::test]
async fn images_by_the_thousand() {
    let mut manifests = Vec::new();
    for number in 0..5_u32 {
        let image = |child: u32| Digest::sha256(&(number * 1000 + child).to_be_bytes());
        let images: Vec<_> = (0..1000).map(|child| (OCI_MANIFEST, image(child))).collect();
        manifests.push(index(&images));
    }
    let inner: Vec<_> = manifests.iter().map(|(digest, _)| (OCI_INDEX, *digest)).collect();
    manifests.push(index(&inner));
    let top = manifests.last().unwrap().0;
    let (error, lines) = copied(top, manifests).await;
    assert_kind!(error, FetchErrorKind::TooMany { what: "manifests in one index", max: 4096 });
    assert!(lines.len() <= 3 * 6, "each index once by each, and a challenge: {lines:?}");
    assert!(!lines.iter().any(|line| line.contains("PUT")), "{lines:?}");
}

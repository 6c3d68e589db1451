//! Bounds on size, time and repetition, whatever a server does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use client::error::{FetchErrorKind, TimeLimit};
use client::{Deadline, DockerConfig, Http, HttpOptions, Registry};
use evidence::Digest;

use crate::server::{Reply, Server};
use crate::{ample, anonymous, assert_kind, image, options};

fn head(more: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{more}\r\n").into_bytes()
}

/// Reads a blob of at most 1,000 bytes from a server that replies like this.
async fn blob(reply: impl Fn() -> Reply + Send + Sync + 'static) -> client::FetchError {
    let server = Server::start(move |_| reply()).await;
    let digest = Digest::sha256(b"never");
    let image = image(&server, "app");
    anonymous().fetch_blob(&image, &digest, 1000, ample()).await.unwrap_err()
}

#[tokio::test]
async fn an_endless_body_is_cut() {
    let error = blob(|| Reply::Endless(head(""), vec![b'x'; 4096])).await;
    assert_kind!(error, FetchErrorKind::TooLarge { max: 1000, found: None, .. });
    let piece = b"100\r\n".iter().copied().chain([b'x'; 256]).chain(*b"\r\n").collect::<Vec<_>>();
    let error =
        blob(move || Reply::Endless(head("Transfer-Encoding: chunked\r\n"), piece.clone())).await;
    assert_kind!(error, FetchErrorKind::TooLarge { max: 1000, found: None, .. });
}

#[tokio::test]
async fn endless_headers_are_cut() {
    let error =
        blob(|| Reply::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"X: y\r\n".to_vec())).await;
    assert_kind!(error, FetchErrorKind::Unreachable(_));
}

#[tokio::test]
async fn a_body_that_is_announced_too_long_is_not_read() {
    let error = blob(|| Reply::Hang(head("Content-Length: 1001\r\n"))).await;
    assert_kind!(error, FetchErrorKind::TooLarge { max: 1000, found: Some(1001), .. });
}

#[tokio::test]
async fn a_lying_content_length_is_noticed() {
    // More announced than sent: the connection broke. More sent than announced: other content.
    let short = |length: usize| {
        let mut bytes = head(&format!("Content-Length: {length}\r\n"));
        bytes.extend_from_slice(b"never");
        bytes
    };
    let error = blob(move || Reply::Raw(short(900))).await;
    assert_kind!(error, FetchErrorKind::Unreachable(_));
    let error = blob(move || Reply::Raw(short(4))).await;
    assert_kind!(error, FetchErrorKind::DigestMismatch { .. });
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    let error = blob(|| Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())).await;
    assert_kind!(error, FetchErrorKind::Unreachable(_));
}

#[tokio::test]
async fn nobody_there() {
    let server = Server::stranger().await;
    let image = image(&server, "app");
    drop(server);
    let error = anonymous().resolve(&image, ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unreachable(_));
    assert_eq!(error.attempt().tries, 3);
    assert!(error.hint().is_some());
}

/// Time for a server that never answers: as little as a request certainly arrives in, however busy
/// the machine is.
const SILENCE: Duration = Duration::from_secs(2);

/// Gives each request so much time, and is content with two.
fn impatient() -> Registry {
    let options = HttpOptions { request_timeout: SILENCE, tries_max: 2, ..options() };
    Registry::new(Arc::new(Http::new(options).unwrap()), DockerConfig::default())
}

#[tokio::test]
async fn silence_ends_at_the_request_limit() {
    let silent = async |sent: Vec<u8>| {
        let server = Server::start(move |_| Reply::Hang(sent.clone())).await;
        let (image, digest) = (image(&server, "app"), Digest::sha256(b"never"));
        let error = impatient().fetch_blob(&image, &digest, 10, ample()).await.unwrap_err();
        assert_kind!(error, FetchErrorKind::TimedOut(TimeLimit::Request));
        assert_eq!(server.requests().len(), 2, "a silent server gets a second chance");
    };
    let (nothing, no_body) = (Vec::new(), head("Content-Length: 5\r\n"));
    let half_a_head = b"HTTP/1.1 200 OK\r\n".to_vec();
    futures::future::join_all([nothing, no_body, half_a_head].map(silent)).await;
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let server = Server::start(|_| Reply::Hang(Vec::new())).await;
    let deadline = Deadline::after(SILENCE);
    let error = anonymous().resolve(&image(&server, "app"), deadline).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::TimedOut(TimeLimit::Operation));
    assert_eq!(server.requests().len(), 1);
}

/// Fails so many times, then serves a blob.
async fn flaky(failures: u32, reply: impl Fn() -> Reply + Send + Sync + 'static) -> Server {
    let left = AtomicU32::new(failures);
    Server::start(move |_| {
        let less = |left: u32| left.checked_sub(1);
        match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) {
            Ok(_) => reply(),
            Err(_) => Reply::ok("application/octet-stream", "blob"),
        }
    })
    .await
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let digest = Digest::sha256(b"blob");
    for status in [429, 500, 502, 503, 504] {
        let server = flaky(2, move || Reply::status(status).with("Retry-After", "0")).await;
        let image = image(&server, "app");
        let found = anonymous().fetch_blob(&image, &digest, 10, ample()).await;
        assert_eq!(found.unwrap(), b"blob", "{status}");
        assert_eq!(server.requests().len(), 3, "{status}");
    }
    let server = flaky(1, || Reply::Raw(Vec::new())).await;
    let found = anonymous().fetch_blob(&image(&server, "app"), &digest, 10, ample()).await;
    assert_eq!(found.unwrap(), b"blob");
}

#[tokio::test]
async fn what_does_not_pass_is_not_tried_again() {
    let digest = Digest::sha256(b"blob");
    for status in [400, 403, 404, 410, 501] {
        let server = flaky(1, move || Reply::status(status)).await;
        let found = anonymous().fetch_blob(&image(&server, "app"), &digest, 10, ample()).await;
        assert!(found.is_err(), "{status}");
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_host_that_asks_for_more_time_than_there_is_gets_no_second_request() {
    let ten_minutes: [&[(&str, &str)]; 2] = [
        &[("Retry-After", "600")],
        &[
            ("Date", "Mon, 23 Nov 2026 04:00:00 GMT"),
            ("Retry-After", "Mon, 23 Nov 2026 04:10:00 GMT"),
        ],
    ];
    for headers in ten_minutes {
        let reply = move || {
            headers.iter().fold(Reply::status(429), |reply, (name, value)| reply.with(name, *value))
        };
        let server = flaky(1, reply).await;
        let digest = Digest::sha256(b"blob");
        let image = image(&server, "app");
        let error = anonymous().fetch_blob(&image, &digest, 10, ample()).await.unwrap_err();
        let asked = Some(Duration::from_secs(600));
        assert_kind!(error, FetchErrorKind::RateLimited { retry_after } if *retry_after == asked);
        assert_eq!(server.requests().len(), 1);
    }
}

/// A failing host gets ten requests more, not three times as many.
#[tokio::test]
async fn retries_have_a_budget() {
    let server = Server::start(|_| Reply::status(503)).await;
    let (registry, image) = (anonymous(), image(&server, "app"));
    for _ in 0..20 {
        let digest = Digest::sha256(b"blob");
        let error = registry.fetch_blob(&image, &digest, 10, ample()).await.unwrap_err();
        assert_kind!(error, FetchErrorKind::ServerError { .. });
    }
    assert_eq!(server.requests().len(), 30);
}

/// A write whose answer was lost may have happened.
#[tokio::test]
async fn an_upload_is_not_repeated() {
    let server = Server::start(|request| match request.method.as_str() {
        "HEAD" => Reply::status(404),
        _ => Reply::status(503),
    })
    .await;
    let pushed = anonymous().push_blob(&image(&server, "app"), "blob".into(), ample()).await;
    assert_kind!(pushed.unwrap_err(), FetchErrorKind::ServerError { .. });
    assert_eq!(server.lines().iter().filter(|line| line.starts_with("POST")).count(), 1);
}

#[tokio::test]
async fn messages_of_strangers_are_shortened_and_harmless() {
    let long = "x".repeat(5000);
    let body = format!(r#"{{"errors":[{{"code":"DENIED","message":"no\u001b[31m{long}"}}]}}"#);
    let error = blob(move || Reply::status(403).body(body.clone())).await;
    let text = error.to_string();
    assert!(text.contains("DENIED: no[31mxxx"), "{text}");
    assert!(text.len() < 600, "{text}");
    let error = blob(|| Reply::status(403).body(vec![0xff; 1 << 20])).await;
    assert!(error.to_string().len() < 2000);
}

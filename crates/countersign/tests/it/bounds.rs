//! What comes from outside is bounded: size, count, time. Whoever goes too far is told so, and the
//! others are served.

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crypto::KeyKind;
use testkit::Submission;
use testkit::log::Kind;

use crate::instance::{Instance, Place};
use crate::wire::{connect, exchange, read_answer, request};

/// The server's own bounds.
const ENTRY_SIZE_MAX: usize = 4 << 20;
const REQUESTS_MAX: usize = 1024;
const BODIES_SIZE_MAX: usize = 64 << 20;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// What is posted to, and how much each takes.
const POSTS: [(&str, usize); 6] = [
    ("/api/v2/signingCert", 64 << 10),
    ("/api/v1/log/entries", ENTRY_SIZE_MAX),
    ("/api/v1/log/entries/retrieve", ENTRY_SIZE_MAX),
    ("/api/v1/index/retrieve", 64 << 10),
    ("/api/v2/log/entries", ENTRY_SIZE_MAX),
    ("/api/v1/timestamp", 64 << 10),
];

#[track_caller]
fn is_alive(instance: &Instance) {
    instance.get("/readyz").wanted(200);
    let request = Submission::new(Kind::HashedRekordV2, KeyKind::EcdsaP256).request();
    instance.post("/api/v2/log/entries", &request).wanted(201);
}

#[test]
fn a_body_that_is_too_long_is_413_in_json() {
    let place = Place::new();
    let instance = place.start();
    let body = vec![b' '; ENTRY_SIZE_MAX + 1];
    let headers = [("content-type", "application/json")];
    for (path, most) in POSTS {
        // It is refused from its head. Were a body that does not come waited for, that would be 408.
        for stated in [most + 1, 99_999_999_999] {
            let mut stream = connect(instance.address()).unwrap();
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: \
                 application/json\r\ncontent-length: {stated}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            let answer = read_answer(&mut stream).unwrap();
            assert_eq!(answer.status, 413, "{path}: {}", answer.text());
            assert!(answer.message().contains(&format!("wanted {most} bytes")), "{path}");
        }
        // One that does not say how long it will be.
        let mut stream = connect(instance.address()).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\n\
             transfer-encoding: chunked\r\n\r\n{:x}\r\n",
            most + 1
        );
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[..=most]));
        assert_eq!(read_answer(&mut stream).unwrap().status, 413, "{path}");
        // The longest that is taken, which is JSON's own whitespace, and then nothing.
        let answer = exchange(instance.address(), "POST", path, &headers, &body[..most]).unwrap();
        answer.wanted(400);
    }
    is_alive(&instance);
}

#[test]
fn what_is_not_there_is_404_in_json_and_a_wrong_method_405() {
    let place = Place::new();
    let instance = place.start();
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v3/log",
        "/favicon.ico",
        "/..",
        "//",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/api/v2/signingCert/",
    ] {
        let answer = instance.get(path).wanted(404);
        assert_eq!(answer.message(), "not found", "{path}");
    }
    for path in POSTS
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| !path.ends_with("entries") && !path.ends_with("retrieve"))
    {
        let answer = instance.get(path).wanted(405);
        assert_eq!(answer.message(), "method not allowed", "{path}");
        assert_eq!(answer.header("allow"), Some("POST"), "{path}");
    }
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
        for path in ["/checkpoint", "/api/v1/log", "/api/v2/log/entries", "/trust_config.json"] {
            let answer = exchange(instance.address(), method, path, &[], b"").unwrap();
            assert_eq!(answer.status, 405, "{method} {path}");
        }
    }
}

#[test]
fn endless_heads_are_refused() {
    let place = Place::new();
    let instance = place.start();
    // A bearer token of a megabyte (CVE-2025-66506, CVE-2025-27144).
    let token = format!("Bearer {}", ".".repeat(1 << 20));
    let headers = [("authorization", token.as_str())];
    let answer = exchange(instance.address(), "POST", "/api/v2/signingCert", &headers, b"{}");
    assert!(answer.is_err() || answer.unwrap().status == 431);
    let path = format!("/{}", "a".repeat(1 << 20));
    let answer = exchange(instance.address(), "GET", &path, &[], b"");
    assert!(answer.is_err() || [414, 431].contains(&answer.unwrap().status));
    let many: Vec<_> = (0..1000).map(|number| format!("x-{number}")).collect();
    let headers: Vec<_> = many.iter().map(|name| (name.as_str(), "1")).collect();
    let answer = exchange(instance.address(), "GET", "/healthz", &headers, b"");
    assert!(answer.is_err() || answer.unwrap().status == 431);
    is_alive(&instance);
}

#[test]
fn what_is_not_http_is_hung_up_on() {
    let place = Place::new();
    let instance = place.start();
    let (lines, tls) = (b"\r\n".repeat(10_000), [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]);
    for bytes in
        [&b"\0\0\0\0\r\n\r\n"[..], b"hello\r\n\r\n", &tls, &lines, b"GET / HTTP/9.9\r\n\r\n"]
    {
        let mut stream = connect(instance.address()).unwrap();
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.take(4096).read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{answer:?}");
    }
    is_alive(&instance);
}

/// Time until the other side hangs up.
fn hung_up_after(mut stream: TcpStream) -> (Duration, Vec<u8>) {
    let began = Instant::now();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    (began.elapsed(), answer)
}

#[test]
fn who_takes_too_long_is_hung_up_on() {
    let place = Place::new();
    let instance = place.start();
    // The server's bounds are 10 s; what is read gives up after 30.
    let open = |bytes: &[u8]| {
        let mut stream = connect(instance.address()).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    };
    let whole = request("POST", "/api/v1/log/entries", &[], b"{}");
    let silent = open(b"");
    let slow_head = open(b"GET /healthz HTTP/1.1\r\nhost: ");
    let slow_body = open(&whole[..whole.len() - 1]);
    let ((silent, _), (slow_head, _), (slow_body, answer)) =
        (hung_up_after(silent), hung_up_after(slow_head), hung_up_after(slow_body));
    println!(
        "hung up after {silent:?} of silence, {slow_head:?} of a head, {slow_body:?} of a body"
    );
    assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 408"));
    is_alive(&instance);
}

/// One byte short of whole: each is worked on until its body is there. Those whose head came so late
/// that the server may have hung up on them are left out.
fn unfinished(instance: &Instance, count: usize) -> impl Iterator<Item = TcpStream> {
    let request = request("POST", "/api/v1/log/entries", &[], b"{}");
    (0..count).filter_map(move |_| {
        let began = Instant::now();
        let mut stream = connect(instance.address()).unwrap();
        stream.write_all(&request[..request.len() - 1]).ok()?;
        (began.elapsed() < HEAD_TIMEOUT / 2).then_some(stream)
    })
}

#[test]
fn more_requests_than_can_be_worked_on_are_told_to_come_back() {
    let place = Place::new();
    let instance = place.start();
    let mut waiting: VecDeque<_> = unfinished(&instance, REQUESTS_MAX).collect();
    let began = Instant::now();
    let shed = loop {
        // Those that were sent first may not all have arrived.
        let answer = instance.get("/healthz");
        if answer.status != 200 {
            break answer;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "none is one too many");
        // On a slow machine the first have waited too long before the last has come: others follow.
        waiting.extend(unfinished(&instance, REQUESTS_MAX / 64));
        waiting.drain(..waiting.len().saturating_sub(2 * REQUESTS_MAX));
    };
    assert_eq!(shed.status, 503);
    assert_eq!(shed.header("retry-after"), Some("1"));
    assert_eq!(shed.message(), "too many requests at once");
    // Those that wait are answered, and then there is room again: the newest first, because the
    // oldest may have waited too long, and of the newest some may have been too many.
    let mut answered = BTreeMap::<u16, usize>::new();
    for stream in waiting.iter_mut().rev() {
        // Who was answered already may have been hung up on.
        let _ = stream.write_all(b"}");
        *answered.entry(read_answer(stream).unwrap().status).or_default() += 1;
    }
    println!("{answered:?}");
    assert!(answered.contains_key(&400), "{answered:?}");
    assert!(answered.keys().all(|status| [400, 408, 503].contains(status)), "{answered:?}");
    is_alive(&instance);
}

/// A request that is announced, and of which nothing but the head is sent.
fn announced(instance: &Instance, path: &str, length: &str) -> TcpStream {
    let mut stream = connect(instance.address()).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\n\
         {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// Hundreds of them, which would be a gigabyte, take nothing away from anybody.
#[test]
fn who_sends_nothing_holds_nothing() {
    let place = Place::new();
    let instance = place.start();
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(announced(&instance, "/api/v1/timestamp", "transfer-encoding: chunked"));
        idle.push(announced(&instance, "/api/v1/log/entries", "transfer-encoding: chunked"));
        let length = format!("content-length: {ENTRY_SIZE_MAX}");
        idle.push(announced(&instance, "/api/v2/log/entries", &length));
    }
    is_alive(&instance);
    crate::authority_api::certificate(&instance);
    // Not from the longest either, of which several are taken at once.
    let body = vec![b' '; ENTRY_SIZE_MAX];
    for _ in 0..4 {
        exchange(instance.address(), "POST", "/api/v1/log/entries", &[], &body)
            .unwrap()
            .wanted(400);
    }
    for stream in &mut idle {
        let (waited, answer) = hung_up_after(stream.try_clone().unwrap());
        assert!(waited < Duration::from_secs(20));
        assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 408"));
    }
}

/// Whoever sends much, and slowly, is in the way of others who do, and of nobody else.
#[test]
fn long_uploads_share_their_memory_and_leave_the_rest_alone() {
    let place = Place::new();
    let instance = place.start();
    // All but the last byte.
    let body = vec![b' '; ENTRY_SIZE_MAX - 1];
    let length = format!("content-length: {ENTRY_SIZE_MAX}");
    let path = "/api/v2/log/entries";
    // All of them are kept, so that it gets full, however long it takes to send so much.
    let mut waiting = Vec::new();
    let whole = vec![b' '; ENTRY_SIZE_MAX];
    let refused = loop {
        let mut stream = announced(&instance, path, &length);
        stream.write_all(&body).unwrap();
        waiting.push(stream);
        // Who is refused has said all, and is told then.
        let answer = exchange(instance.address(), "POST", path, &[], &whole).unwrap();
        if answer.status != 400 {
            break answer;
        }
        assert!(waiting.len() < 8 * BODIES_SIZE_MAX / ENTRY_SIZE_MAX, "never full");
    };
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.message(), "too much is sent here at once");
    // All that others send is done meanwhile.
    is_alive(&instance);
    crate::authority_api::certificate(&instance);
    // When those that wait are gone there is room again.
    drop(waiting);
    let began = Instant::now();
    loop {
        let answer = exchange(instance.address(), "POST", path, &[], &whole).unwrap();
        if answer.status == 400 {
            break;
        }
        assert!(answer.status == 503 && began.elapsed() < Duration::from_secs(30));
    }
}

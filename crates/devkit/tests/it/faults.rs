//! Faults: each spoils the answer in the one way that its name says, and only where it was armed.

use bytes::Bytes;
use devkit::issuer::Algorithm;
use devkit::registry::{Behaviour, Registry};
use devkit::{Fault, FaultRule};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use tokio::io::AsyncReadExt;

use crate::http::{Answer, get, head, post};
use crate::manifests::{IMAGE, image, push_document, push_empty};
use crate::{start_issuer, start_registry};

const TARGET: &str = "/v2/app/manifests/v1";

async fn registry() -> Registry {
    let registry = start_registry(Behaviour::default()).await;
    push_empty(&registry, "app").await;
    push_document(&registry, "app/manifests/v1", IMAGE, &image()).await;
    registry
}

async fn ask(registry: &Registry) -> Answer {
    get(TARGET).send(registry.address()).await
}

/// The honest answer, and the one with the fault.
async fn both(fault: Fault) -> (Answer, Answer) {
    let registry = registry().await;
    let honest = ask(&registry).await;
    registry.inject(FaultRule::new(TARGET, fault));
    (honest, ask(&registry).await)
}

#[tokio::test]
async fn a_status_comes_with_the_usual_error_body() {
    for (status, code) in [
        (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
        (StatusCode::FORBIDDEN, "DENIED"),
        (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
        (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
        (StatusCode::INTERNAL_SERVER_ERROR, "UNSUPPORTED"),
        (StatusCode::SERVICE_UNAVAILABLE, "UNSUPPORTED"),
    ] {
        let (_, answer) = both(Fault::Status(status)).await;
        assert_eq!(answer.refusal(), (status.as_u16(), code.into()));
    }
}

#[tokio::test]
async fn a_status_keeps_what_was_asked_from_happening() {
    let registry = registry().await;
    let wrong = Fault::Status(StatusCode::BAD_GATEWAY);
    registry.inject(FaultRule::new("/v2/app/manifests/*", wrong).method(Method::PUT));
    let answer =
        crate::manifests::put_document(&registry, "app/manifests/v2", IMAGE, &image()).await;
    assert_eq!(answer.status, 502);
    assert_eq!(registry.tags("app"), ["v1"]);
}

#[tokio::test]
async fn an_answer_is_given_as_it_is() {
    let fault = Fault::Answer {
        status: StatusCode::IM_A_TEAPOT,
        headers: vec![(CONTENT_TYPE, HeaderValue::from_static("text/odd"))],
        body: Bytes::from_static(b"odd"),
    };
    let (_, answer) = both(fault).await;
    assert_eq!((answer.status, answer.body.as_slice()), (418, &b"odd"[..]));
    assert_eq!(answer.header("content-type"), Some("text/odd"));
    assert_eq!(answer.header("docker-content-digest"), None);
}

#[tokio::test]
async fn wrong_bytes_differ_in_one_digit_and_stay_json() {
    let (honest, answer) = both(Fault::WrongBytes).await;
    assert_eq!(answer.body.len(), honest.body.len());
    let differences: Vec<_> =
        honest.body.iter().zip(&answer.body).filter(|(right, wrong)| right != wrong).collect();
    let [(right, wrong)] = differences[..] else { panic!("wanted one: {differences:?}") };
    assert!(right.is_ascii_digit() && wrong.is_ascii_digit());
    answer.json();
    assert_eq!(answer.header("docker-content-digest"), honest.header("docker-content-digest"));
    assert_eq!(answer.header("etag"), honest.header("etag"));

    let registry = registry().await;
    let digest = crate::blobs::push(&registry, "app", b"abc").await;
    registry.inject(FaultRule::new("*", Fault::WrongBytes));
    let answer = get(format!("/v2/app/blobs/{digest}")).send(registry.address()).await;
    assert_eq!(answer.body, b"abb", "without a digit the last byte differs");
}

#[tokio::test]
async fn headers_lie() {
    let odd = HeaderValue::from_static("text/html");
    let (honest, answer) = both(Fault::WrongContentType(odd)).await;
    assert_eq!(answer.header("content-type"), Some("text/html"));
    assert_eq!(answer.body, honest.body);
    let name = HeaderName::from_static("docker-content-digest");
    let (honest, answer) = both(Fault::WrongHeader(name, HeaderValue::from_static("x"))).await;
    assert_eq!(answer.header("docker-content-digest"), Some("x"));
    assert_eq!(answer.body, honest.body);
}

#[tokio::test]
async fn an_endless_body_goes_on_after_the_honest_one() {
    let registry = registry().await;
    let honest = ask(&registry).await.body;
    registry.inject(FaultRule::new(TARGET, Fault::EndlessBody));
    let mut stream = get(TARGET).open(registry.address()).await;
    let mut received = vec![0; 8 * 1024 * 1024];
    stream.read_exact(&mut received).await.unwrap();
    let head = String::from_utf8_lossy(&received[..600]).into_owned();
    assert!(head.starts_with("HTTP/1.1 200") && !head.contains("content-length"), "{head}");
    let place = received.windows(honest.len()).position(|part| part == honest).unwrap();
    let rest = &received[place + honest.len()..];
    // The chunked encoding's sizes apart, only spaces follow.
    assert!(
        rest.iter().all(|byte| matches!(byte, b' ' | b'\r' | b'\n' | b'0'..=b'9' | b'a'..=b'f'))
    );
}

#[tokio::test]
async fn a_body_cut_short_breaks_its_promise() {
    let (honest, answer) = both(Fault::CutShort).await;
    assert_eq!(answer.header("content-length"), honest.header("content-length"));
    assert!(!answer.complete);
    assert!(honest.body.starts_with(&answer.body));
    assert!(answer.body.len() < honest.body.len());
}

#[tokio::test]
async fn a_redirect_goes_where_it_is_told() {
    let elsewhere = HeaderValue::from_static("http://127.0.0.1:1/elsewhere");
    let (_, answer) = both(Fault::RedirectTo(elsewhere)).await;
    assert_eq!(answer.status, 307);
    assert_eq!(answer.header("location"), Some("http://127.0.0.1:1/elsewhere"));
}

#[tokio::test]
async fn a_page_links_to_itself() {
    let registry = registry().await;
    registry.inject(FaultRule::new("/v2/app/tags/list", Fault::LinkToItself));
    let target = "/v2/app/tags/list?n=1&last=a";
    let answer = get(target).send(registry.address()).await;
    assert_eq!(answer.next().as_deref(), Some(target));
    assert_eq!(answer.json()["tags"], serde_json::json!(["v1"]));
}

#[tokio::test]
async fn a_request_that_hangs_ends_when_the_client_leaves() {
    let registry = registry().await;
    registry.inject(FaultRule::new(TARGET, Fault::Hang));
    registry.clear_requests();
    let stream = get(TARGET).open(registry.address()).await;
    registry.arrived(TARGET).await;
    assert_eq!(registry.requests().last().unwrap().status, None, "recorded before it is answered");
    drop(stream);
    // Others are served meanwhile and afterwards.
    assert_eq!(get("/v2/").send(registry.address()).await.status, 200);
    registry.clear_faults();
    assert_eq!(ask(&registry).await.status, 200);
}

#[tokio::test]
async fn rules_befall_what_they_name() {
    let registry = registry().await;
    let wrong = || Fault::Status(StatusCode::BAD_GATEWAY);
    registry.inject(FaultRule::new("/v2/*/manifests/v1", wrong()).method(Method::HEAD).times(2));
    assert_eq!(ask(&registry).await.status, 200, "another method");
    assert_eq!(head("/v2/app/manifests/v2").send(registry.address()).await.status, 404);
    let asked = || head(TARGET).send(registry.address());
    let statuses = [asked().await.status, asked().await.status, asked().await.status];
    assert_eq!(statuses, [502, 502, 200]);
    for (pattern, path, befalls) in [
        ("*", "/v2/", true),
        ("/v2/", "/v2/", true),
        ("/v2/", "/v2/app/tags/list", false),
        ("/v2/*", "/v2/app/tags/list", true),
        ("*/list", "/v2/app/tags/list", true),
        ("/v2/*/tags/*", "/v2/app/tags/list", true),
        ("/v2/*list/list", "/v2/app/tags/list", false),
        ("", "/v2/", false),
    ] {
        registry.clear_faults();
        registry.inject(FaultRule::new(pattern, wrong()));
        let answer = get(path).send(registry.address()).await;
        assert_eq!(answer.status == 502, befalls, "{pattern} on {path}");
    }
}

#[tokio::test]
async fn the_issuer_can_fail_too() {
    let issuer = start_issuer(Algorithm::Es256).await;
    let target = "/.well-known/openid-configuration";
    issuer.inject(FaultRule::new(target, Fault::Status(StatusCode::BAD_GATEWAY)).times(1));
    assert_eq!(get(target).send(issuer.address()).await.status, 502);
    assert_eq!(get(target).send(issuer.address()).await.status, 200);
    let elsewhere = HeaderValue::from_static("http://169.254.169.254/");
    issuer.inject(FaultRule::new("/.well-known/*", Fault::RedirectTo(elsewhere)));
    assert_eq!(get(target).send(issuer.address()).await.status, 307);
    issuer.clear_faults();
    assert_eq!(get(target).send(issuer.address()).await.status, 200);
    assert_eq!(post("/token").send(issuer.address()).await.status, 405);
    assert_eq!(issuer.requests().len(), 5);
    issuer.clear_requests();
    assert!(issuer.requests().is_empty());
}

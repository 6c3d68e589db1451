//! Documents of strangers come from exactly the URL given, and no longer than is read.

use client::documents::{FetchDocumentError, fetch_document, post_document};
use client::error::Away;
use client::{BadUrl, FetchError, FetchErrorKind};

use crate::server::{Reply, Server};
use crate::{ample, assert_kind, http};

async fn fetch(url: &str) -> Result<Vec<u8>, FetchDocumentError> {
    fetch_document(&http(), &url.parse().unwrap(), 100, ample()).await
}

async fn refused(url: &str) -> FetchError {
    match fetch(url).await.unwrap_err() {
        FetchDocumentError::Fetch(error) => error,
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_document_is_read_without_credentials() {
    let server = Server::start(|_| Reply::ok("application/json", "{}")).await;
    let url = server.url("/.well-known/openid-configuration");
    assert_eq!(fetch(&url).await.unwrap(), b"{}");
    assert_eq!(server.lines(), ["GET /.well-known/openid-configuration"]);
    assert_eq!(server.authorizations(), [""; 0]);
}

/// CVE-2026-49478: an issuer's discovery that leads to a metadata service.
#[tokio::test]
async fn no_redirection_is_followed() {
    let other = Server::stranger().await;
    for (status, location) in
        [(301, other.url("/")), (302, "/same".to_owned()), (307, other.url("/"))]
    {
        let server =
            Server::start(move |_| Reply::status(status).with("Location", location.clone())).await;
        let error = refused(&server.url("/")).await;
        assert_kind!(error, FetchErrorKind::RedirectedAway { reason: Away::Unwanted, .. });
        assert_eq!(server.requests().len(), 1);
    }
    assert_eq!(other.lines(), [""; 0]);
}

#[tokio::test]
async fn only_secure_urls_are_asked() {
    for url in ["http://issuer.example/", "http://169.254.169.254/", "http://[fe80::1]/"] {
        let error = fetch(url).await.unwrap_err();
        assert!(matches!(error, FetchDocumentError::Url(BadUrl::PlainHttp { .. })), "{url}");
    }
    for url in ["file:///etc/passwd", "ftp://127.0.0.1/", "data:,x"] {
        let error = fetch(url).await.unwrap_err();
        assert!(matches!(error, FetchDocumentError::Url(BadUrl::Scheme { .. })), "{url}");
    }
    let error = fetch("https://ali:open@issuer.example/").await.unwrap_err();
    assert!(matches!(error, FetchDocumentError::Url(BadUrl::UserInfo)));
}

#[tokio::test]
async fn a_long_document_is_not_read() {
    let server = Server::start(|_| Reply::ok("application/json", vec![b' '; 101])).await;
    assert_kind!(refused(&server.url("/")).await, FetchErrorKind::TooLarge { max: 100, .. });
}

async fn post(url: &str, document: &str) -> Result<Vec<u8>, FetchDocumentError> {
    post_document(&http(), &url.parse().unwrap(), document.into(), 100, ample()).await
}

#[tokio::test]
async fn a_document_is_sent_once_and_answered() {
    let server = Server::start(|_| Reply::ok("application/json", r#"["answer"]"#)).await;
    let answer = post(&server.url("/ask?timeout=10s"), r#"{"question":1}"#).await.unwrap();
    assert_eq!(answer, br#"["answer"]"#);
    let request = &server.requests()[0];
    assert_eq!(request.line(), "POST /ask?timeout=10s");
    assert_eq!(request.body, br#"{"question":1}"#);
    assert_eq!(request.header("Content-Type"), Some("application/json"));
    assert_eq!(server.authorizations(), [""; 0]);
}

/// What was sent may have been done although the answer is a failure, so it is not sent again, nor
/// to anybody else.
#[tokio::test]
async fn a_document_is_not_sent_again() {
    let other = Server::stranger().await;
    let busy = Server::start(|_| Reply::status(503)).await;
    let location = other.url("/");
    let moved = Server::start(move |_| Reply::status(307).with("Location", location.clone())).await;
    for (server, is_moved) in [(&busy, false), (&moved, true)] {
        let FetchDocumentError::Fetch(error) = post(&server.url("/"), "{}").await.unwrap_err()
        else {
            panic!("the URL is good");
        };
        match is_moved {
            true => {
                assert_kind!(error, FetchErrorKind::RedirectedAway { reason: Away::Unwanted, .. });
            }
            false => assert_kind!(error, FetchErrorKind::ServerError { .. }),
        }
        assert_eq!(server.requests().len(), 1);
    }
    assert_eq!(other.lines(), [""; 0]);
}

#[tokio::test]
async fn a_document_is_sent_only_to_secure_urls_and_a_long_answer_is_not_read() {
    let error = post("http://webhook.example/", "{}").await.unwrap_err();
    assert!(matches!(error, FetchDocumentError::Url(BadUrl::PlainHttp { .. })), "{error:?}");
    let server = Server::start(|_| Reply::ok("application/json", vec![b' '; 101])).await;
    let FetchDocumentError::Fetch(error) = post(&server.url("/"), "{}").await.unwrap_err() else {
        panic!("the URL is good");
    };
    assert_kind!(error, FetchErrorKind::TooLarge { max: 100, .. });
}

//! A timestamp is taken only if it answers the very request.

use client::{FetchErrorKind, TimestampAuthority};
use crypto::{Hash, HashAlgorithm};
use der::Decode;
use evidence::timestamp::tsp::TimeStampReq;
use testkit::Scene;
use testkit::json::unbase64;
use testkit::timestamp::TokenDraft;

use crate::server::{Received, Reply, Server};
use crate::{ample, assert_kind, http};

const SIGNATURE: &[u8] = b"a signature";

/// A timestamp over [`SIGNATURE`] with the request's nonce, changed as said.
pub(crate) fn token(
    request: &Received,
    change: impl Fn(&mut TokenDraft) + Send + Sync + 'static,
) -> Vec<u8> {
    let request = TimeStampReq::from_der(&request.body).unwrap();
    let nonce = request.nonce.unwrap().as_bytes().to_vec();
    let scene = Scene::v2()
        .on_token(move |token| {
            token.nonce = Some(nonce.clone());
            token.imprint_of = SIGNATURE.to_vec();
        })
        .on_token(change);
    let bundle = scene.seal().bundle;
    let timestamps = &bundle["verificationMaterial"]["timestampVerificationData"];
    unbase64(&timestamps["rfc3161Timestamps"][0]["signedTimestamp"])
}

async fn stamp(server: &Server) -> Result<Vec<u8>, client::FetchError> {
    let url = server.url("/api/v1/timestamp").parse().unwrap();
    TimestampAuthority::new(http(), url).stamp(SIGNATURE, ample()).await
}

#[tokio::test]
async fn a_timestamp_answers_the_request() {
    for status in [200, 201] {
        let server = Server::start(move |request| {
            Reply::status(status)
                .with("Content-Type", "application/timestamp-reply")
                .body(token(request, |_| {}))
        })
        .await;
        let stamp = stamp(&server).await.unwrap();
        let parsed = evidence::Timestamp::parse(&stamp).unwrap();
        assert_eq!(*parsed.imprint(), Hash::of(HashAlgorithm::Sha256, SIGNATURE));
        assert_eq!(server.lines(), ["POST /api/v1/timestamp"]);
        let request = &server.requests()[0];
        assert_eq!(request.header("content-type"), Some("application/timestamp-query"));
        let request = TimeStampReq::from_der(&request.body).unwrap();
        assert_eq!(request.version, 1);
        assert_eq!(request.message_imprint.hashed_message.as_bytes(), parsed.imprint().as_bytes());
        assert!(!request.cert_req && request.req_policy.is_none() && request.extensions.is_none());
    }
}

#[tokio::test]
async fn each_request_has_another_nonce() {
    let server = Server::start(|request| Reply::status(200).body(token(request, |_| {}))).await;
    stamp(&server).await.unwrap();
    stamp(&server).await.unwrap();
    let nonces: Vec<_> = server
        .requests()
        .iter()
        .map(|request| TimeStampReq::from_der(&request.body).unwrap().nonce.unwrap())
        .collect();
    assert_ne!(nonces[0], nonces[1]);
    assert_eq!(nonces[0].as_bytes().len(), 8);
}

async fn refused(
    change: impl Fn(&mut TokenDraft) + Clone + Send + Sync + 'static,
) -> client::FetchError {
    let server =
        Server::start(move |request| Reply::status(200).body(token(request, change.clone()))).await;
    stamp(&server).await.unwrap_err()
}

#[tokio::test]
async fn a_timestamp_for_something_else_is_refused() {
    let error = refused(|token| token.imprint_of = b"another signature".to_vec()).await;
    assert_kind!(error, FetchErrorKind::DigestMismatch { .. });
    let error = refused(|token| token.imprint_algorithm = HashAlgorithm::Sha512).await;
    assert_kind!(error, FetchErrorKind::DigestMismatch { .. });
    let error = refused(|token| token.nonce = None).await;
    assert_kind!(error, FetchErrorKind::Malformed { wanted: "a timestamp with our nonce", .. });
    let error = refused(|token| token.nonce.as_mut().unwrap()[7] ^= 1).await;
    assert_kind!(error, FetchErrorKind::Malformed { wanted: "a timestamp with our nonce", .. });
    let error = refused(|token| token.status = 2).await;
    assert_kind!(error, FetchErrorKind::Malformed { wanted: "a timestamp", .. });
}

#[tokio::test]
async fn what_is_no_timestamp_is_refused() {
    for body in [vec![], b"<html>".to_vec(), vec![0x30; 100]] {
        let server = Server::start(move |_| Reply::status(200).body(body.clone())).await;
        assert_kind!(stamp(&server).await.unwrap_err(), FetchErrorKind::Malformed { .. });
    }
    let server = Server::start(|_| Reply::status(200).body(vec![0; 100_000])).await;
    assert_kind!(stamp(&server).await.unwrap_err(), FetchErrorKind::TooLarge { .. });
    let server = Server::start(|_| Reply::status(400).body(r#"{"message":"weak hash"}"#)).await;
    assert_kind!(stamp(&server).await.unwrap_err(), FetchErrorKind::Rejected { message, .. }
        if message == "weak hash");
}

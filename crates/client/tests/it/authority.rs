//! A certificate is asked for with proof of possession, and taken only for our own key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use client::authority::CertifyError;
use client::{Authority, FetchErrorKind, IdentityToken};
use crypto::{KeyKind, Message, PublicKey};
use serde_json::{Value, json};
use testkit::{Instance, Key};

use crate::oidc::token;
use crate::server::{Received, Reply, Server};
use crate::{ample, assert_kind, http};

fn signer() -> Key {
    Key::named("client", KeyKind::EcdsaP256)
}

fn pem(der: &[u8]) -> String {
    testkit::log::pem("CERTIFICATE", der)
}

/// A chain for that key as an authority sends it, without a line feed at the end of each.
fn chain(key: &Key) -> Vec<String> {
    let instance = Instance::default();
    let issued = instance.issue();
    let leaf = instance.certificate(key).seal();
    [vec![leaf], issued.authorities]
        .concat()
        .iter()
        .map(|der| pem(der).trim_end().to_owned())
        .collect()
}

fn embedded(certificates: &[String]) -> Reply {
    let body = json!({"signedCertificateEmbeddedSct": {"chain": {"certificates": certificates}}});
    Reply::ok("application/json", body.to_string())
}

/// The principal whose name a request signs, of those given.
fn proven<'a>(request: &Received, principals: &[&'a str]) -> Option<&'a str> {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let key = body["publicKeyRequest"]["publicKey"]["content"].as_str().unwrap();
    let key = PublicKey::from_pem(key.as_bytes()).unwrap();
    let proof = body["publicKeyRequest"]["proofOfPossession"].as_str().unwrap();
    let proof = STANDARD.decode(proof).unwrap();
    principals.iter().copied().find(|principal| {
        key.verify(key.default_scheme(), Message::Bytes(principal.as_bytes()), &proof).is_ok()
    })
}

async fn certify(
    server: &Server,
    claims: Value,
) -> Result<client::authority::IssuedChain, CertifyError> {
    let authority = Authority::new(http(), server.url("").parse().unwrap());
    let token = IdentityToken::parse(token(&claims)).unwrap();
    authority.certify(&token, signer().pair(), ample()).await
}

#[tokio::test]
async fn the_subject_is_signed_and_the_chain_is_read() {
    let certificates = chain(&signer());
    let server = Server::start(move |_| embedded(&certificates)).await;
    let claims = json!({"iss": "https://ci.example", "sub": "repo:acme/app"});
    let issued = certify(&server, claims.clone()).await.unwrap();
    assert_eq!(issued.leaf.public_key(), signer().public());
    assert_eq!(issued.issuers.len(), 2);
    let requests = server.requests();
    assert_eq!(server.lines(), ["POST /api/v2/signingCert"]);
    assert_eq!(proven(&requests[0], &["repo:acme/app"]), Some("repo:acme/app"));
    assert_eq!(server.authorizations(), [format!("Bearer {}", token(&claims).expose())]);
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
}

/// Whether an authority wants the address or the subject depends on what it knows of the issuer.
#[tokio::test]
async fn the_address_is_signed_first_and_then_the_subject() {
    let claims = json!({"iss": "https://ci.example", "sub": "s", "email": "a@b.example"});
    for (wanted, asked) in [("a@b.example", 1), ("s", 2)] {
        let certificates = chain(&signer());
        let server = Server::start(move |request| match proven(request, &["s", "a@b.example"]) {
            Some(principal) if principal == wanted => embedded(&certificates),
            _ => Reply::status(400).body(r#"{"code":3,"message":"could not be verified"}"#),
        })
        .await;
        certify(&server, claims.clone()).await.unwrap();
        assert_eq!(server.requests().len(), asked, "{wanted}");
    }
}

#[tokio::test]
async fn a_refusal_is_passed_on_and_not_repeated() {
    let server = Server::start(|_| {
        Reply::status(400)
            .body(r#"{"code":3,"message":"There was an error processing the identity token"}"#)
    })
    .await;
    let claims = json!({"iss": "https://ci.example", "sub": "s"});
    match certify(&server, claims.clone()).await.unwrap_err() {
        CertifyError::Fetch(error) => {
            assert_kind!(error, FetchErrorKind::Rejected { message, .. }
                if message == "There was an error processing the identity token");
        }
        error @ CertifyError::Sign(_) => panic!("{error:?}"),
    }
    assert_eq!(server.requests().len(), 1);
    let server = Server::start(|_| Reply::status(503)).await;
    certify(&server, claims).await.unwrap_err();
    assert_eq!(
        server.requests().len(),
        1,
        "each certificate is logged, so none is asked for twice"
    );
}

#[tokio::test]
async fn the_token_is_not_passed_on() {
    let other = Server::stranger().await;
    let target = other.url("/api/v2/signingCert");
    let server = Server::start(move |_| Reply::status(307).with("Location", target.clone())).await;
    let claims = json!({"iss": "https://ci.example", "sub": "s"});
    certify(&server, claims).await.unwrap_err();
    assert_eq!(other.lines(), [""; 0]);
}

#[tokio::test]
async fn what_is_no_chain_for_our_key_is_refused() {
    let good = chain(&signer());
    let others = chain(&Key::named("somebody", KeyKind::EcdsaP256));
    let sct = json!({"signedCertificateDetachedSct": {"chain": {"certificates": good}}});
    let body = |reply: Value| Reply::ok("application/json", reply.to_string());
    let key = signer().public().to_pem();
    let replies = [
        (embedded(&others), "another key"),
        (embedded(&[]), "an empty one"),
        (embedded(&[good[0].clone(), key]), "PUBLIC KEY"),
        (embedded(&[good[0].clone(), "x".to_owned()]), "certificates in PEM"),
        (embedded(&[good[0].clone(), pem(&testkit::log::not_a_certificate())]), "in PEM"),
        (body(sct), "embedded SCT"),
        (body(json!({})), "embedded SCT"),
        (body(json!([])), "embedded SCT"),
        (Reply::ok("text/html", "<html>"), "embedded SCT"),
        (embedded(&vec![good[0].clone(); 11]), "at most 10"),
    ];
    for (reply, because) in replies {
        let reply = std::sync::Mutex::new(Some(reply));
        let server = Server::start(move |_| reply.lock().unwrap().take().unwrap()).await;
        let error = certify(&server, json!({"iss": "i", "sub": "s"})).await.unwrap_err();
        let CertifyError::Fetch(error) = error else { panic!("{error:?}") };
        assert!(error.to_string().contains(because), "{because}: {error}");
    }
}

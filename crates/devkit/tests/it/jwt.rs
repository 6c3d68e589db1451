//! Reads and checks tokens as a verifier would: only by what the issuer publishes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto::{BadSignature, KeyKind, Message, PublicKey, Scheme};
use devkit::issuer::Issuer;
use serde_json::Value;

use crate::http::get;

pub(crate) struct Token {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    signed: String,
    pub(crate) signature: Vec<u8>,
}

pub(crate) fn read(token: &str) -> Token {
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("wanted three parts: {token}");
    };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    Token {
        header: serde_json::from_slice(&decode(header)).unwrap(),
        claims: serde_json::from_slice(&decode(claims)).unwrap(),
        signed: format!("{header}.{claims}"),
        signature: decode(signature),
    }
}

impl Token {
    pub(crate) fn verify(&self, jwk: &Value) -> Result<(), BadSignature> {
        let member = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        let (key, scheme) = match jwk["kty"].as_str().unwrap() {
            "EC" => {
                let (x, y) = (member("x"), member("y"));
                let key = PublicKey::from_ec_coordinates(KeyKind::EcdsaP256, &x, &y).unwrap();
                (key, Scheme::EcdsaP256Sha256Fixed)
            }
            "RSA" => {
                let key = PublicKey::from_rsa_components(&member("n"), &member("e")).unwrap();
                (key, Scheme::RsaPkcs1Sha256)
            }
            other => panic!("no such key type: {other}"),
        };
        key.verify(scheme, Message::Bytes(self.signed.as_bytes()), &self.signature)
    }

    pub(crate) fn key_id(&self) -> &str {
        self.header["kid"].as_str().unwrap()
    }

    pub(crate) fn signed_text(&self) -> &str {
        &self.signed
    }
}

/// The published keys, found as a verifier finds them.
pub(crate) async fn published_keys(issuer: &Issuer) -> Vec<Value> {
    let discovery = get("/.well-known/openid-configuration").send(issuer.address()).await;
    let jwks_uri = discovery.json()["jwks_uri"].as_str().unwrap().to_owned();
    let path = jwks_uri.strip_prefix(issuer.url()).unwrap();
    let keys = get(path).send(issuer.address()).await.json();
    keys["keys"].as_array().unwrap().clone()
}

/// The one published key of that name.
pub(crate) async fn published_key(issuer: &Issuer, id: &str) -> Option<Value> {
    let mut keys = published_keys(issuer).await;
    keys.retain(|key| key["kid"] == id);
    assert!(keys.len() <= 1, "two keys of one name");
    keys.pop()
}

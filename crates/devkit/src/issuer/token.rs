//! Tokens as written, honest or hostile.
//!
//! RFC 7515 (compact serialization), RFC 7519 (JWT). The hostile ones are those that verifiers have
//! been known to take: `alg` of `none`, a key of the token's own, HMAC keyed with a public key.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::claims::Claims;
use super::key::IssuerKey;
use crate::DevkitError;

/// Block size of SHA-256 in bytes (FIPS 180-4 §1).
const SHA256_BLOCK_SIZE: usize = 64;

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignWith {
    /// The issuer's signing key: the only honest choice.
    SigningKey,
    /// A fresh key that the issuer does not publish, under the name of the one it does.
    UnpublishedKey,
    /// A fresh key that the token brings along in its header `jwk` (RFC 7515 §4.1.3).
    KeyInHeader,
    /// HMAC-SHA-256 (`HS256`) keyed with the PEM of the issuer's public key, which everyone knows.
    HmacOfPublicKey,
    /// Nobody: `alg` is `none` and the signature is empty (RFC 7519 §6).
    Nobody,
}

/// What a token says and how it is signed.
#[derive(Clone, Debug)]
pub struct TokenSpec {
    claims: Claims,
    /// Members of the header that are set, or left out where `None`, last of all.
    header: BTreeMap<String, Option<Value>>,
    sign_with: SignWith,
}

impl TokenSpec {
    /// An honest token with these claims and a fresh `jti`.
    #[must_use]
    pub fn new(mut claims: Claims) -> Self {
        claims.insert("jti".to_owned(), json!(random_uuid()));
        Self { claims, header: BTreeMap::new(), sign_with: SignWith::SigningKey }
    }

    /// Sets a claim to any JSON.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a claim out.
    #[must_use]
    pub fn without_claim(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Moves `iat`, `nbf` and `exp` by that many seconds: a negative number of more than the
    /// lifetime makes an expired token, a positive one a token of the future.
    #[must_use]
    pub fn shifted(mut self, seconds: i64) -> Self {
        for name in ["iat", "nbf", "exp"] {
            if let Some(moment) = self.claims.get(name).and_then(Value::as_i64) {
                self.claims.insert(name.to_owned(), moment.saturating_add(seconds).into());
            }
        }
        self
    }

    /// Sets a member of the header to any JSON, whatever the signing puts there.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), Some(value.into()));
        self
    }

    /// Leaves a member of the header out.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.insert(name.to_owned(), None);
        self
    }

    /// Chooses who signs.
    #[must_use]
    pub fn signed_with(mut self, sign_with: SignWith) -> Self {
        self.sign_with = sign_with;
        self
    }

    /// What the token will say.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    pub(crate) fn sign(&self, key: &IssuerKey) -> Result<String, DevkitError> {
        let other = match self.sign_with {
            SignWith::UnpublishedKey | SignWith::KeyInHeader => {
                Some(IssuerKey::generate(key.algorithm())?)
            }
            SignWith::SigningKey | SignWith::HmacOfPublicKey | SignWith::Nobody => None,
        };
        let signing_key = other.as_ref().unwrap_or(key);
        let mut header = Map::from_iter([
            ("typ".to_owned(), json!("JWT")),
            ("alg".to_owned(), json!(key.algorithm().name())),
            ("kid".to_owned(), json!(key.id())),
        ]);
        match self.sign_with {
            SignWith::SigningKey | SignWith::UnpublishedKey => {}
            SignWith::KeyInHeader => {
                header.insert("jwk".to_owned(), signing_key.jwk());
                header.insert("kid".to_owned(), json!(signing_key.id()));
            }
            SignWith::HmacOfPublicKey => {
                header.insert("alg".to_owned(), json!("HS256"));
            }
            SignWith::Nobody => {
                header.insert("alg".to_owned(), json!("none"));
            }
        }
        for (name, value) in &self.header {
            match value {
                Some(value) => header.insert(name.clone(), value.clone()),
                None => header.remove(name),
            };
        }
        let encode = |object: &Map<String, Value>| {
            URL_SAFE_NO_PAD.encode(Value::Object(object.clone()).to_string())
        };
        let signed = format!("{}.{}", encode(&header), encode(&self.claims));
        let signature = match self.sign_with {
            SignWith::SigningKey | SignWith::UnpublishedKey | SignWith::KeyInHeader => {
                signing_key.sign(signed.as_bytes())?
            }
            SignWith::HmacOfPublicKey => {
                hmac_sha256(key.public_pem().as_bytes(), signed.as_bytes()).to_vec()
            }
            SignWith::Nobody => Vec::new(),
        };
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// RFC 2104. Protects nothing here: it only makes the token that a careless verifier would take.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; SHA256_BLOCK_SIZE];
    if key.len() > SHA256_BLOCK_SIZE {
        block[..32].copy_from_slice(&crypto::sha256(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = [&block.map(|byte| byte ^ 0x36), message].concat();
    let outer = [&block.map(|byte| byte ^ 0x5c)[..], &crypto::sha256(&inner)].concat();
    crypto::sha256(&outer)
}

/// A version 4 UUID (RFC 9562 §5.4), as GitHub's and GitLab's `jti` are.
fn random_uuid() -> String {
    let mut bytes = crypto::random::bytes::<16>();
    bytes[6] = 0x40 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    let hex = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::hmac_sha256;

    /// RFC 4231 §4.2, §4.3 and §4.7 (a key longer than the block).
    #[test]
    fn hmac_matches_the_published_vectors() {
        for (key, message, expected) in [
            (
                vec![0x0b; 20],
                &b"Hi There"[..],
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hex::encode(hmac_sha256(&key, message)), expected);
        }
    }
}

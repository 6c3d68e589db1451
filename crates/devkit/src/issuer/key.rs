//! An issuer's keys, and how they are published.
//!
//! RFC 7517 (JWK), RFC 7518 §6 (its members), RFC 7638 (the thumbprint that names a key).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto::{KeyKind, KeyPair, Message, Scheme, Signer};
use serde_json::{Value, json};

use crate::DevkitError;

/// How tokens are signed (RFC 7518 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSA PKCS#1 v1.5 with SHA-256, with a key of 2048 bits.
    Rs256,
}

impl Algorithm {
    /// The name in `alg`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    fn key_kind(self) -> KeyKind {
        match self {
            Self::Es256 => KeyKind::EcdsaP256,
            Self::Rs256 => KeyKind::Rsa { bits: 2048 },
        }
    }

    fn scheme(self) -> Scheme {
        match self {
            Self::Es256 => Scheme::EcdsaP256Sha256Fixed,
            Self::Rs256 => Scheme::RsaPkcs1Sha256,
        }
    }
}

/// A key pair with its algorithm and name.
pub(crate) struct IssuerKey {
    algorithm: Algorithm,
    pair: KeyPair,
    id: String,
}

impl IssuerKey {
    pub(crate) fn generate(algorithm: Algorithm) -> Result<Self, DevkitError> {
        let pair = KeyPair::generate(algorithm.key_kind())?;
        // RFC 7638 §3: the required members in lexical order without white space, which is how
        // this map is written.
        let required = public_members(&pair).to_string();
        let id = URL_SAFE_NO_PAD.encode(crypto::sha256(required.as_bytes()));
        Ok(Self { algorithm, pair, id })
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The public key in PEM, as a verifier might hold it.
    pub(crate) fn public_pem(&self) -> String {
        self.pair.public_key().to_pem()
    }

    /// The public key as a set of keys holds it.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = public_members(&self.pair);
        jwk["kid"] = json!(self.id);
        jwk["alg"] = json!(self.algorithm.name());
        jwk["use"] = json!("sig");
        jwk
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, DevkitError> {
        Ok(self.pair.sign(self.algorithm.scheme(), Message::Bytes(message))?)
    }
}

/// The members that RFC 7638 §3.2 requires for the key's type, and no other.
fn public_members(pair: &KeyPair) -> Value {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let key = pair.public_key();
    if let Some((modulus, exponent)) = key.rsa_components() {
        return json!({ "kty": "RSA", "n": encode(&modulus), "e": encode(&exponent) });
    }
    // An uncompressed point (SEC 1 §2.3.3): one byte, then both coordinates at full length.
    let point = key.raw_bytes();
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y) })
}

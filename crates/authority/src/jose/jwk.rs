//! The set of keys that an identity provider publishes.
//!
//! RFC 7517 (JWK), RFC 7518 §6 (RSA, EC), RFC 8037 (Ed25519). A key that is not understood is left
//! out, as RFC 7517 §5 asks; a set without any usable key is an error.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto::{KeyKind, Message, PublicKey};
use serde_json::{Map, Value};

use super::json::{JsonError, parse_object};
use super::jws::{CompactJws, JwsAlgorithm};

/// Longest set read, in bytes. Entra's, whose keys carry certificates, has about 16,000.
pub const KEY_SET_SIZE_MAX: usize = 256 * 1024;

/// Most keys read in one set; providers publish two to ten.
pub const KEYS_MAX: usize = 64;

/// Most keys tried on one token: a set may name several keys alike, or a token none.
pub const KEY_TRIALS_MAX: usize = 8;

/// The usable keys of a provider.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<Jwk>,
}

#[derive(Clone, Debug)]
struct Jwk {
    id: Option<String>,
    algorithm: Option<String>,
    key: PublicKey,
}

/// Why bytes are no set of keys.
#[derive(Debug, thiserror::Error)]
pub enum ParseKeySetError {
    /// Longer than [`KEY_SET_SIZE_MAX`].
    #[error("a key set of {found} bytes is longer than the {KEY_SET_SIZE_MAX} read")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// No JSON object.
    #[error("the key set is malformed")]
    Json(#[from] JsonError),
    /// No array `keys`.
    #[error("the key set has no array `keys`")]
    NoKeys,
    /// More than [`KEYS_MAX`] keys.
    #[error("a key set of {found} keys is larger than the {KEYS_MAX} read")]
    TooMany {
        /// Number of keys.
        found: usize,
    },
    /// No key of a supported kind for verifying signatures.
    #[error("none of the {found} keys is an RSA, P-256, P-384 or Ed25519 key for signatures")]
    NoneUsable {
        /// Number of keys.
        found: usize,
    },
}

/// Why no key of the set verifies a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKeyVerifies {
    /// No key has the token's identifier and fits its algorithm, or the token names no key and none
    /// of those that fit verifies it. A newer set may.
    #[error("no key of the issuer fits the token")]
    Unknown,
    /// The key is there, and the signature is not its.
    #[error("the token's signature does not verify")]
    BadSignature,
}

impl KeySet {
    /// Parses a JWK set.
    ///
    /// # Errors
    /// When it is too large, malformed, or has no usable key.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseKeySetError> {
        if bytes.len() > KEY_SET_SIZE_MAX {
            return Err(ParseKeySetError::TooLong { found: bytes.len() });
        }
        let object = parse_object(bytes)?;
        let entries =
            object.get("keys").and_then(Value::as_array).ok_or(ParseKeySetError::NoKeys)?;
        let found = entries.len();
        if found > KEYS_MAX {
            return Err(ParseKeySetError::TooMany { found });
        }
        let keys: Vec<_> =
            entries.iter().filter_map(Value::as_object).filter_map(Jwk::parse).collect();
        if keys.is_empty() {
            return Err(ParseKeySetError::NoneUsable { found });
        }
        Ok(Self { keys })
    }

    /// Number of usable keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Never true: see [`ParseKeySetError::NoneUsable`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Verifies the token's signature under one of these keys. Claims are not looked at.
    ///
    /// # Errors
    /// When no key fits, or the signature does not verify.
    pub fn verify(&self, token: &CompactJws<'_>) -> Result<(), NoKeyVerifies> {
        let scheme = token.algorithm.scheme();
        let mut fitting = self
            .keys
            .iter()
            .filter(|jwk| jwk.fits(token.algorithm))
            .filter(|jwk| token.key_id.is_none() || token.key_id == jwk.id)
            .take(KEY_TRIALS_MAX)
            .peekable();
        if fitting.peek().is_none() {
            return Err(NoKeyVerifies::Unknown);
        }
        let signed = Message::Bytes(token.signed.as_bytes());
        if fitting.any(|jwk| jwk.key.verify(scheme, signed, &token.signature).is_ok()) {
            return Ok(());
        }
        Err(match token.key_id {
            Some(_) => NoKeyVerifies::BadSignature,
            None => NoKeyVerifies::Unknown,
        })
    }
}

impl Jwk {
    /// `None` for a key that is not understood, or not meant for verifying signatures.
    fn parse(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        if text("use").is_some_and(|usage| usage != "sig") {
            return None;
        }
        let operations = jwk.get("key_ops").and_then(Value::as_array);
        if operations.is_some_and(|all| !all.iter().any(|operation| operation == "verify")) {
            return None;
        }
        // A key whose private half is published authenticates nobody.
        if jwk.contains_key("d") {
            return None;
        }
        let key = match (text("kty")?, text("crv")) {
            ("RSA", _) => PublicKey::from_rsa_components(&bytes("n")?, &bytes("e")?),
            ("EC", Some("P-256")) => {
                PublicKey::from_ec_coordinates(KeyKind::EcdsaP256, &bytes("x")?, &bytes("y")?)
            }
            ("EC", Some("P-384")) => {
                PublicKey::from_ec_coordinates(KeyKind::EcdsaP384, &bytes("x")?, &bytes("y")?)
            }
            ("OKP", Some("Ed25519")) => PublicKey::from_ed25519_bytes(&bytes("x")?),
            _ => return None,
        };
        let algorithm = text("alg").map(str::to_owned);
        Some(Self { id: text("kid").map(str::to_owned), algorithm, key: key.ok()? })
    }

    fn fits(&self, algorithm: JwsAlgorithm) -> bool {
        let allowed = self.algorithm.as_deref().is_none_or(|name| name == algorithm.name());
        allowed && algorithm.scheme().fits(self.key.kind())
    }
}

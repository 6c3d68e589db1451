//! A signed token in compact form, parsed by hand: three parts, a known algorithm, no key inside.
//!
//! RFC 7515 §7.1, RFC 7519 (JWT), RFC 8725 (JWT best current practice). Parsing believes nothing.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto::Scheme;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::json::{JsonError, parse_object};

/// Longest token read, in bytes. GitHub's have about 2,000; Entra's, with 200 groups, about 10,000.
pub const TOKEN_SIZE_MAX: usize = 16 * 1024;

/// Longest key identifier read, in bytes; real ones are hashes of 20 to 64 characters.
pub const KEY_ID_SIZE_MAX: usize = 256;

/// Header parameters that are refused: they bring their own key (RFC 7515 §4.1.2, §4.1.3, §4.1.5,
/// §4.1.6), demand understanding of an extension (§4.1.11), change what is signed (RFC 7797), or
/// belong to encryption (RFC 7516 §4.1).
const REFUSED_PARAMETERS: [&str; 8] = ["jku", "jwk", "x5u", "x5c", "crit", "b64", "enc", "zip"];

/// A signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1). `none` and the `HS` family do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the names are RFC 7518's")]
pub enum JwsAlgorithm {
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "RS384")]
    Rs384,
    #[serde(rename = "RS512")]
    Rs512,
    #[serde(rename = "PS256")]
    Ps256,
    #[serde(rename = "PS384")]
    Ps384,
    #[serde(rename = "PS512")]
    Ps512,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "ES384")]
    Es384,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl JwsAlgorithm {
    /// Every algorithm known here.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// Its name in a header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The scheme that verifies it; each fits one kind of key only.
    #[must_use]
    pub fn scheme(self) -> Scheme {
        match self {
            Self::Rs256 => Scheme::RsaPkcs1Sha256,
            Self::Rs384 => Scheme::RsaPkcs1Sha384,
            Self::Rs512 => Scheme::RsaPkcs1Sha512,
            Self::Ps256 => Scheme::RsaPssSha256,
            Self::Ps384 => Scheme::RsaPssSha384,
            Self::Ps512 => Scheme::RsaPssSha512,
            Self::Es256 => Scheme::EcdsaP256Sha256Fixed,
            Self::Es384 => Scheme::EcdsaP384Sha384Fixed,
            Self::EdDsa => Scheme::Ed25519,
        }
    }
}

/// A signed token as its bearer supplies it.
///
/// It is a secret while it is valid, so it cannot be printed.
pub struct CompactJws<'a> {
    /// What the header says signs.
    pub algorithm: JwsAlgorithm,
    /// What the header says the key is called.
    pub key_id: Option<String>,
    /// The payload: claims.
    pub claims: Map<String, Value>,
    /// What is signed: header and payload as they came, with the dot between.
    pub signed: &'a str,
    /// The signature.
    pub signature: Vec<u8>,
}

/// Why text is no signed token that can be used here.
#[derive(Debug, thiserror::Error)]
pub enum ParseJwsError {
    /// Longer than [`TOKEN_SIZE_MAX`].
    #[error("a token of {found} bytes is longer than the {TOKEN_SIZE_MAX} read")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// Not three parts. Five would be an encrypted token (RFC 7516), which is not read.
    #[error("wanted a signed token: three parts with a dot between them")]
    NotThreeParts,
    /// A part is not base64url without padding (RFC 7515 §2).
    #[error("the token's {part} is not base64url")]
    NotBase64 {
        /// Header, payload or signature.
        part: &'static str,
    },
    /// A part is no object.
    #[error("the token's {part} is malformed")]
    Json {
        /// Header or payload.
        part: &'static str,
        /// Where and why.
        source: JsonError,
    },
    /// No algorithm, or one that is not known: `none` and shared secrets among them.
    #[error("wanted a signature algorithm such as RS256 or ES256, found `{found}`")]
    Algorithm {
        /// What the header says, cut to 32 characters; empty if it says nothing.
        found: String,
    },
    /// A parameter that a token has no business to bring.
    #[error("the token's header has the parameter `{name}`, which is not allowed")]
    RefusedParameter {
        /// The parameter.
        name: &'static str,
    },
    /// A token of another type, made for something else (RFC 8725 §3.11).
    #[error("wanted a token of type `JWT`, found another")]
    Type,
    /// A key identifier that is no text, or longer than [`KEY_ID_SIZE_MAX`].
    #[error("the token's key identifier is not a text of at most {KEY_ID_SIZE_MAX} bytes")]
    KeyId,
}

impl<'a> CompactJws<'a> {
    /// Parses a token. Its length is looked at before anything else, its dots before they are
    /// followed.
    ///
    /// # Errors
    /// When it is too long, of another form, or its header asks for something that is refused.
    pub fn parse(token: &'a str) -> Result<Self, ParseJwsError> {
        if token.len() > TOKEN_SIZE_MAX {
            return Err(ParseJwsError::TooLong { found: token.len() });
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(ParseJwsError::NotThreeParts)?;
        let (header, payload) = signed.split_once('.').ok_or(ParseJwsError::NotThreeParts)?;
        if payload.contains('.') {
            return Err(ParseJwsError::NotThreeParts);
        }
        let header = object("header", header)?;
        if let Some(name) = REFUSED_PARAMETERS.into_iter().find(|name| header.contains_key(*name)) {
            return Err(ParseJwsError::RefusedParameter { name });
        }
        let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or_default();
        let algorithm = JwsAlgorithm::from_name(algorithm).ok_or_else(|| {
            ParseJwsError::Algorithm { found: algorithm.chars().take(32).collect() }
        })?;
        // A type that is absent is common (Kubernetes); another one is for another purpose.
        match header.get("typ") {
            None => {}
            Some(Value::String(name)) if name.eq_ignore_ascii_case("JWT") => {}
            Some(_) => return Err(ParseJwsError::Type),
        }
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) if id.len() <= KEY_ID_SIZE_MAX => Some(id.clone()),
            Some(_) => return Err(ParseJwsError::KeyId),
        };
        let claims = object("payload", payload)?;
        let signature = decode("signature", signature)?;
        Ok(Self { algorithm, key_id, claims, signed, signature })
    }
}

impl fmt::Debug for CompactJws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CompactJws({}, content withheld)", self.algorithm.name())
    }
}

fn object(part: &'static str, encoded: &str) -> Result<Map<String, Value>, ParseJwsError> {
    parse_object(&decode(part, encoded)?).map_err(|source| ParseJwsError::Json { part, source })
}

fn decode(part: &'static str, encoded: &str) -> Result<Vec<u8>, ParseJwsError> {
    URL_SAFE_NO_PAD.decode(encoded).map_err(|_| ParseJwsError::NotBase64 { part })
}

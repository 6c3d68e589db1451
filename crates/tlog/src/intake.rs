//! What a log takes in: a client's request becomes the canonical leaf that is logged, if every
//! signature in it verifies.
//!
//! Rekor's and rekor-tiles' entry types. A log proves that *this* key signed *this*; whose key it
//! is, and whether anybody wants it, is not its question, so that certificates are parsed here and
//! never judged.

mod search;
pub mod v1;
pub mod v2;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::{KeyKind, Message, PublicKey, Scheme};
use evidence::Certificate;
use evidence::certificate::ParseCertificateError;
use evidence::entry::dsse::SIGNATURES_MAX;
use evidence::entry::{Body, ParseEntryError, Verifier};
use evidence::key_details::KeyDetailsError;

use crate::leaf::{Leaf, LeafError};

/// Something that may be logged: its canonical leaf, and what it will be found under.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The entry.
    pub body: Body,
    /// The canonical bytes of the leaf.
    pub canonical: Vec<u8>,
    /// The same, with its search keys.
    pub leaf: Leaf,
}

/// Why a request is not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not JSON of the right shape.
    #[error("the request is malformed: {0}")]
    Json(String),
    /// A kind or version of entries that is not taken.
    #[error("entries of kind `{kind}` version `{version}` are not taken here")]
    UnsupportedKind {
        /// The kind, cut to 64 characters.
        kind: String,
        /// The version, cut to 64 characters.
        version: String,
    },
    /// A field that is required is missing, or not what it should be.
    #[error("`{field}` is missing or is not {wanted}")]
    Field {
        /// Which one.
        field: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// Fields that only the log may set.
    #[error("`{field}` is the log's to compute")]
    NotYours {
        /// Which one.
        field: &'static str,
    },
    /// The request, as an entry, does not parse.
    #[error("the entry is malformed")]
    Entry(#[from] ParseEntryError),
    /// A certificate that does not parse.
    #[error("the certificate does not parse")]
    Certificate(#[from] ParseCertificateError),
    /// A public key that does not parse.
    #[error("the public key does not parse")]
    Key(#[from] crypto::ParseKeyError),
    /// Key details that are unknown or do not fit the key.
    #[error("the key details")]
    KeyDetails(#[from] KeyDetailsError),
    /// An algorithm with which entries are not signed here.
    #[error("the algorithm {details} is not taken here")]
    NotPermitted {
        /// Its name.
        details: &'static str,
    },
    /// A signature that does not verify.
    #[error("signature {index} does not verify under any of the keys given")]
    BadSignature {
        /// Position, counted from 0.
        index: usize,
    },
    /// Too many of something.
    #[error("more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most taken.
        max: usize,
    },
    /// The canonical leaf does not fit into the log.
    #[error("the entry does not fit into the log")]
    Leaf(#[from] LeafError),
}

impl Admitted {
    fn new(body: Body, canonical: Vec<u8>, keys: Vec<String>) -> Result<Self, Refused> {
        let keys = keys.iter().take(crate::leaf::SEARCH_KEYS_MAX);
        let keys = keys.map(|key| crate::SearchKey::of(key));
        let leaf = Leaf::entry(canonical.clone())?.with_keys(keys)?;
        Ok(Self { body, canonical, leaf })
    }
}

/// The key that a verifier holds.
fn key_of(verifier: &Verifier) -> Result<PublicKey, Refused> {
    match verifier {
        Verifier::Certificate(der) => Ok(Certificate::parse(der)?.public_key().clone()),
        Verifier::PublicKey(der) => Ok(PublicKey::from_spki_der(der)?),
    }
}

/// The verifier that made a signature over an envelope's pre-authentication encoding; the first
/// that fits.
fn signer_of<'v>(
    verifiers: &'v [Verifier],
    pae: &[u8],
    signature: &[u8],
    index: usize,
) -> Result<&'v Verifier, Refused> {
    for verifier in verifiers {
        let key = key_of(verifier)?;
        let verifies = envelope_schemes(key.kind())
            .iter()
            .any(|scheme| key.verify(*scheme, Message::Bytes(pae), signature).is_ok());
        if verifies {
            return Ok(verifier);
        }
    }
    Err(Refused::BadSignature { index })
}

/// With which schemes clients sign envelopes: the key's own, and SHA-256 whatever the curve, which
/// is all that Rekor itself verifies.
fn envelope_schemes(kind: KeyKind) -> Vec<Scheme> {
    use crypto::HashAlgorithm::{Sha256, Sha384, Sha512};
    let own = match kind {
        KeyKind::EcdsaP384 => Scheme::for_key_and_hash(kind, Sha384),
        KeyKind::EcdsaP521 => Scheme::for_key_and_hash(kind, Sha512),
        _ => Scheme::for_key_and_hash(kind, Sha256),
    };
    let common = Scheme::for_key_and_hash(kind, Sha256);
    if own == common { vec![own] } else { vec![own, common] }
}

/// Text from a request, cut to what an error message may hold.
fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// What is wrong with JSON, without more of its content than fits on a line.
fn malformed(error: &serde_json::Error) -> Refused {
    Refused::Json(error.to_string().chars().filter(|c| !c.is_control()).take(160).collect())
}

fn base64_field(text: Option<String>, field: &'static str) -> Result<Vec<u8>, Refused> {
    let decoded = text.and_then(|text| STANDARD.decode(text).ok());
    decoded.filter(|bytes| !bytes.is_empty()).ok_or(missing(field, "base64"))
}

fn bounded(what: &'static str, found: usize) -> Result<(), Refused> {
    match found {
        0 => Err(missing(what, "one or more")),
        1..=SIGNATURES_MAX => Ok(()),
        _ => Err(Refused::TooMany { what, max: SIGNATURES_MAX }),
    }
}

fn missing(field: &'static str, wanted: &'static str) -> Refused {
    Refused::Field { field, wanted }
}

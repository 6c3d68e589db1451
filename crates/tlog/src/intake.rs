//! What a log takes in: a client's request becomes the canonical leaf that is logged, if every
//! signature in it verifies.
//!
//! Rekor's and rekor-tiles' entry types. A log proves that *this* key signed *this*; whose key it
//! is, and whether anybody wants it, is not its question, so that certificates are parsed here and
//! never judged.

mod search;
pub mod v1;
pub mod v2;

use std::cell::OnceCell;

use crypto::{BadSignature, Hash, HashAlgorithm, KeyKind, Message, PublicKey, Scheme};
use evidence::certificate::ParseCertificateError;
use evidence::entry::dsse::SIGNATURES_MAX;
use evidence::entry::{Body, ParseEntryError, Verifier};
use evidence::envelope::pae;
use evidence::key_details::KeyDetailsError;
use evidence::proto_json::{Bounded, explain};
use evidence::{Certificate, Digest};

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
    /// A digest that the log computes itself, stated otherwise.
    #[error("`{field}`: wanted {wanted}, found {found}")]
    OtherDigest {
        /// Where it is stated.
        field: &'static str,
        /// As computed.
        wanted: Box<Digest>,
        /// As stated.
        found: Box<Digest>,
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
    fn new(body: Body, canonical: Vec<u8>, texts: &[String]) -> Result<Self, Refused> {
        let keys = texts.iter().take(crate::leaf::SEARCH_KEYS_MAX);
        let keys = keys.map(|text| search::key(text));
        let leaf = Leaf::entry(canonical.clone())?.with_keys(keys)?;
        Ok(Self { body, canonical, leaf })
    }
}

/// What a signature is said to verify with, and the key in it.
#[derive(Clone, Debug)]
struct Signatory {
    verifier: Verifier,
    key: PublicKey,
}

impl Signatory {
    fn parse(verifier: Verifier) -> Result<Self, Refused> {
        let key = match &verifier {
            Verifier::Certificate(der) => Certificate::parse(der)?.public_key().clone(),
            Verifier::PublicKey(der) => PublicKey::from_spki_der(der)?,
        };
        Ok(Self { verifier, key })
    }
}

/// What an envelope's signatures are over, hashed once for each algorithm: a request may name as
/// many keys as signatures, each of which is tried with each.
struct Signed {
    encoding: Vec<u8>,
    hashes: [OnceCell<Hash>; 3],
}

impl Signed {
    fn new(payload_type: &str, payload: &[u8]) -> Self {
        Self { encoding: pae(payload_type, payload), hashes: Default::default() }
    }

    fn verify(
        &self,
        key: &PublicKey,
        scheme: Scheme,
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        let message = match scheme.hash() {
            Some(algorithm) => Message::Hashed(self.hash(algorithm)),
            None => Message::Bytes(&self.encoding),
        };
        key.verify(scheme, message, signature)
    }

    fn hash(&self, algorithm: HashAlgorithm) -> &Hash {
        let cell = match algorithm {
            HashAlgorithm::Sha256 => &self.hashes[0],
            HashAlgorithm::Sha384 => &self.hashes[1],
            HashAlgorithm::Sha512 => &self.hashes[2],
        };
        cell.get_or_init(|| Hash::of(algorithm, &self.encoding))
    }

    /// Who made a signature over it: the first whose key fits.
    fn signer_of<'s>(
        &self,
        signatories: &'s [Signatory],
        signature: &[u8],
        index: usize,
    ) -> Result<&'s Verifier, Refused> {
        let made_it = |signatory: &&Signatory| {
            let mut schemes = envelope_schemes(signatory.key.kind()).into_iter();
            schemes.any(|scheme| self.verify(&signatory.key, scheme, signature).is_ok())
        };
        let signatory = signatories.iter().find(made_it);
        signatory.map(|signatory| &signatory.verifier).ok_or(Refused::BadSignature { index })
    }
}

/// With which schemes clients sign envelopes: the key's own, and SHA-256 whatever the curve, which
/// is all that Rekor itself verifies.
fn envelope_schemes(kind: KeyKind) -> Vec<Scheme> {
    use HashAlgorithm::{Sha256, Sha384, Sha512};
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

fn malformed(error: &serde_json::Error) -> Refused {
    Refused::Json(explain(error))
}

/// A list of which there must be some, and not too many.
fn some_of<T>(
    what: &'static str,
    list: Option<Bounded<T, SIGNATURES_MAX>>,
) -> Result<Vec<T>, Refused> {
    let too_many = |_| Refused::TooMany { what, max: SIGNATURES_MAX };
    let list = list.unwrap_or_default().within_bound().map_err(too_many)?;
    if list.is_empty() { Err(missing(what, "one or more")) } else { Ok(list) }
}

fn missing(field: &'static str, wanted: &'static str) -> Refused {
    Refused::Field { field, wanted }
}

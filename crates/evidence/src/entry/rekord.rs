//! `rekord` 0.0.1: a signature over a digest, as Cosign logged it before `hashedrekord` was.
//!
//! Rekor `types/rekord/v0.0.1`. Signatures in other forms than a bare key's (PGP, minisign, SSH) are
//! not supported: no bundle and no layer holds them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::hashedrekord::{HashV1, non_empty};
use super::{Leaf, ParseEntryError, Verifier, from_json, to_canonical_json};
use crate::digest::Digest;

/// The one form of signatures read.
const FORMAT: &str = "x509";

/// A leaf of version 0.0.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RekordV1 {
    /// Digest of the artifact.
    pub digest: Digest,
    /// The signature.
    pub signature: Vec<u8>,
    /// What it verifies with.
    pub verifier: Verifier,
}

#[derive(Serialize, Deserialize)]
struct Spec {
    data: Data,
    signature: Signature,
}

#[derive(Serialize, Deserialize)]
struct Data {
    hash: HashV1,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signature {
    content: String,
    format: String,
    public_key: PublicKey,
}

#[derive(Serialize, Deserialize)]
struct PublicKey {
    content: String,
}

impl RekordV1 {
    pub(super) fn parse(leaf: &[u8]) -> Result<Self, ParseEntryError> {
        let Leaf { spec: Spec { data, signature }, .. } = from_json(leaf)?;
        if signature.format != FORMAT {
            let found = signature.format.chars().take(64).collect();
            return Err(ParseEntryError::SignatureFormat { found });
        }
        let decode = |text: &str, field| {
            STANDARD.decode(text).map_err(|_| ParseEntryError::BadBase64 { field })
        };
        let key = decode(&signature.public_key.content, "signature.publicKey")?;
        Ok(Self {
            digest: data.hash.parse("data.hash")?,
            signature: non_empty(decode(&signature.content, "signature.content")?)?,
            verifier: Verifier::from_pem(&key)?,
        })
    }

    /// The leaf as it is logged.
    #[must_use]
    pub fn to_leaf(&self) -> Vec<u8> {
        let spec = Spec {
            data: Data { hash: HashV1::of(&self.digest) },
            signature: Signature {
                content: STANDARD.encode(&self.signature),
                format: FORMAT.to_owned(),
                public_key: PublicKey { content: STANDARD.encode(self.verifier.to_pem()) },
            },
        };
        to_canonical_json(&Leaf::new("rekord", "0.0.1", spec))
    }
}

//! `intoto` 0.0.2: an envelope without its payload; signatures and keys are base64 twice.
//!
//! Rekor `types/intoto/v0.0.2`. Version 0.0.1 does not hold the signature, so that nothing binds
//! such an entry to a bundle: it is not supported.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::dsse::SIGNATURES_MAX;
use super::hashedrekord::{HashV1, non_empty};
use super::{Leaf, ParseEntryError, Verifier, from_json, to_canonical_json};
use crate::digest::Digest;

/// A leaf of version 0.0.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntotoV2 {
    /// The envelope's payload type.
    pub payload_type: String,
    /// Digest of the envelope as the log computed it, if stated.
    pub envelope_digest: Option<Digest>,
    /// Digest of the payload.
    pub payload_digest: Digest,
    /// The signatures with their verifiers, in the envelope's order.
    pub signatures: Vec<(Vec<u8>, Verifier)>,
}

#[derive(Serialize, Deserialize)]
struct Spec {
    content: Content,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    envelope: Envelope,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<HashV1>,
    payload_hash: HashV1,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signature {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
    public_key: String,
    sig: String,
}

impl IntotoV2 {
    pub(super) fn parse(leaf: &[u8]) -> Result<Self, ParseEntryError> {
        let Leaf { spec: Spec { content }, .. } = from_json(leaf)?;
        let signatures = &content.envelope.signatures;
        if signatures.is_empty() {
            return Err(ParseEntryError::NoSignature);
        }
        if signatures.len() > SIGNATURES_MAX {
            return Err(ParseEntryError::TooManySignatures { max: SIGNATURES_MAX });
        }
        let decode = |text: &[u8], field| {
            STANDARD.decode(text).map_err(|_| ParseEntryError::BadBase64 { field })
        };
        let signatures = signatures.iter().map(|signature| {
            let once = decode(signature.sig.as_bytes(), "sig")?;
            let content = non_empty(decode(&once, "sig")?)?;
            let key = decode(signature.public_key.as_bytes(), "publicKey")?;
            Ok((content, Verifier::from_pem(&key)?))
        });
        let signatures = signatures.collect::<Result<_, ParseEntryError>>()?;
        Ok(Self {
            envelope_digest: content.hash.map(|hash| hash.parse("hash")).transpose()?,
            payload_digest: content.payload_hash.parse("payloadHash")?,
            signatures,
            payload_type: content.envelope.payload_type,
        })
    }

    /// The leaf as it is logged.
    #[must_use]
    pub fn to_leaf(&self) -> Vec<u8> {
        let signatures = self.signatures.iter().map(|(signature, verifier)| Signature {
            keyid: None,
            public_key: STANDARD.encode(verifier.to_pem()),
            sig: STANDARD.encode(STANDARD.encode(signature)),
        });
        let content = Content {
            envelope: Envelope {
                payload_type: self.payload_type.clone(),
                signatures: signatures.collect(),
            },
            hash: self.envelope_digest.as_ref().map(HashV1::of),
            payload_hash: HashV1::of(&self.payload_digest),
        };
        to_canonical_json(&Leaf::new("intoto", "0.0.2", Spec { content }))
    }
}

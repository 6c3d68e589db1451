//! `intoto`: an envelope without its payload. In 0.0.2 signatures and keys are base64 twice; 0.0.1
//! has no signature, only the digest of the whole envelope as it was submitted, so that it is about
//! an attestation only where the very same bytes are at hand, as in Cosign's attestation layers.
//!
//! Rekor `types/intoto/v0.0.1` and `v0.0.2`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::dsse::SIGNATURES_MAX;
use super::hashedrekord::{HashV1, non_empty};
use super::{Leaf, ParseEntryError, Verifier, from_json, to_canonical_json};
use crate::digest::Digest;

/// A leaf of version 0.0.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntotoV1 {
    /// Digest of the envelope's JSON exactly as it was submitted, its signatures included.
    pub envelope_digest: Digest,
    /// Digest of the payload; the oldest entries do not state it.
    pub payload_digest: Option<Digest>,
    /// What the envelope's signature verifies with.
    pub verifier: Verifier,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpecV1 {
    content: ContentV1,
    public_key: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContentV1 {
    hash: HashV1,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload_hash: Option<HashV1>,
}

impl IntotoV1 {
    pub(super) fn parse(leaf: &[u8]) -> Result<Self, ParseEntryError> {
        let Leaf { spec: SpecV1 { content, public_key }, .. } = from_json(leaf)?;
        let key = STANDARD
            .decode(public_key)
            .map_err(|_| ParseEntryError::BadBase64 { field: "publicKey" })?;
        let payload_digest = content.payload_hash.map(|hash| hash.parse("payloadHash"));
        Ok(Self {
            envelope_digest: content.hash.parse("hash")?,
            payload_digest: payload_digest.transpose()?,
            verifier: Verifier::from_pem(&key)?,
        })
    }

    /// The leaf as it is logged.
    #[must_use]
    pub fn to_leaf(&self) -> Vec<u8> {
        let content = ContentV1 {
            hash: HashV1::of(&self.envelope_digest),
            payload_hash: self.payload_digest.as_ref().map(HashV1::of),
        };
        let public_key = STANDARD.encode(self.verifier.to_pem());
        to_canonical_json(&Leaf::new("intoto", "0.0.1", SpecV1 { content, public_key }))
    }
}

/// A leaf of version 0.0.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntotoV2 {
    /// The envelope's payload type.
    pub payload_type: String,
    /// Digest of some form of the envelope, as whoever submitted it stated it: Rekor logs it
    /// unchecked, because it cannot know which form that was. Proves nothing.
    pub envelope_digest: Option<Digest>,
    /// Digest of the payload, as the log computed it.
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

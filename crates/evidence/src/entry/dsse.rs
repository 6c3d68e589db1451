//! `dsse`: the signatures of an envelope, in v1 (0.0.1) and early v2 logs (0.0.2).
//!
//! Rekor `types/dsse/v0.0.1`; rekor-tiles' `DSSELogEntryV002`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::hashedrekord::{HashOutput, HashV1, non_empty};
use super::{Leaf, ParseEntryError, SignatureV2, Verifier, from_json, to_canonical_json, wire_v2};
use crate::digest::Digest;

/// Most signatures read on one leaf (rekor-tiles' own limit).
pub const SIGNATURES_MAX: usize = 10;

/// A leaf of version 0.0.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DsseV1 {
    /// Digest of the envelope's JSON exactly as it was submitted. A verifier that has the
    /// envelope only in another spelling cannot check it, and the signatures bind it anyway.
    pub envelope_digest: Digest,
    /// Digest of the payload.
    pub payload_digest: Digest,
    /// The signatures with their verifiers, sorted by their base64.
    pub signatures: Vec<(Vec<u8>, Verifier)>,
}

/// A leaf of version 0.0.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DsseV2 {
    /// Digest of the payload.
    pub payload_digest: Digest,
    /// The signatures with their verifiers, sorted by their bytes.
    pub signatures: Vec<SignatureV2>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpecV1 {
    envelope_hash: HashV1,
    payload_hash: HashV1,
    signatures: Vec<SignatureV1>,
}

#[derive(Serialize, Deserialize)]
struct SignatureV1 {
    signature: String,
    verifier: String,
}

impl DsseV1 {
    pub(super) fn parse(leaf: &[u8]) -> Result<Self, ParseEntryError> {
        let Leaf { spec, .. } = from_json::<Leaf<SpecV1>>(leaf)?;
        check_count(spec.signatures.len())?;
        let decode = |text: &str, field| {
            STANDARD.decode(text).map_err(|_| ParseEntryError::BadBase64 { field })
        };
        let signatures = spec.signatures.iter().map(|signature| {
            let content = non_empty(decode(&signature.signature, "signature")?)?;
            Ok((content, Verifier::from_pem(&decode(&signature.verifier, "verifier")?)?))
        });
        Ok(Self {
            envelope_digest: spec.envelope_hash.parse("envelopeHash")?,
            payload_digest: spec.payload_hash.parse("payloadHash")?,
            signatures: signatures.collect::<Result<_, ParseEntryError>>()?,
        })
    }

    /// The leaf as it is logged.
    #[must_use]
    pub fn to_leaf(&self) -> Vec<u8> {
        let mut signatures: Vec<_> = self
            .signatures
            .iter()
            .map(|(signature, verifier)| SignatureV1 {
                signature: STANDARD.encode(signature),
                verifier: STANDARD.encode(verifier.to_pem()),
            })
            .collect();
        signatures.sort_by(|a, b| a.signature.cmp(&b.signature));
        let spec = SpecV1 {
            envelope_hash: HashV1::of(&self.envelope_digest),
            payload_hash: HashV1::of(&self.payload_digest),
            signatures,
        };
        to_canonical_json(&Leaf::new("dsse", "0.0.1", spec))
    }
}

#[derive(Serialize, Deserialize)]
struct SpecV2 {
    #[serde(rename = "dsseV002")]
    dsse: RecordV2,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordV2 {
    payload_hash: HashOutput,
    signatures: Vec<wire_v2::Signature>,
}

impl DsseV2 {
    pub(super) fn parse(leaf: &[u8]) -> Result<Self, ParseEntryError> {
        let Leaf { spec: SpecV2 { dsse }, .. } = from_json(leaf)?;
        check_count(dsse.signatures.len())?;
        Ok(Self {
            payload_digest: dsse.payload_hash.parse("payloadHash")?,
            signatures: dsse
                .signatures
                .into_iter()
                .map(wire_v2::Signature::parse)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The leaf as it is logged.
    #[must_use]
    pub fn to_leaf(&self) -> Vec<u8> {
        let mut signatures: Vec<_> = self.signatures.iter().collect();
        signatures.sort_by(|a, b| a.content.cmp(&b.content));
        let record = RecordV2 {
            payload_hash: HashOutput::of(&self.payload_digest),
            signatures: signatures.into_iter().map(wire_v2::Signature::of).collect(),
        };
        to_canonical_json(&Leaf::new("dsse", "0.0.2", SpecV2 { dsse: record }))
    }
}

fn check_count(found: usize) -> Result<(), ParseEntryError> {
    match found {
        0 => Err(ParseEntryError::NoSignature),
        1..=SIGNATURES_MAX => Ok(()),
        _ => Err(ParseEntryError::TooManySignatures { max: SIGNATURES_MAX }),
    }
}

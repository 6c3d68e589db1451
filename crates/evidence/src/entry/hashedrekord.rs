//! `hashedrekord`: a signature over a digest, in v1 (0.0.1) and v2 (0.0.2).
//!
//! Rekor `types/hashedrekord/v0.0.1`; rekor-tiles' `HashedRekordLogEntryV002`, whose digest is
//! that of the artifact, or for an envelope that of its pre-authentication encoding.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::{Hash, HashAlgorithm};
use serde::{Deserialize, Serialize};

use super::{Leaf, ParseEntryError, SignatureV2, Verifier, from_json, to_canonical_json, wire_v2};
use crate::digest::Digest;
use crate::proto_json::Base64;

/// A leaf of version 0.0.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedRekordV1 {
    /// Digest of the artifact.
    pub digest: Digest,
    /// The signature.
    pub signature: Vec<u8>,
    /// What it verifies with.
    pub verifier: Verifier,
}

/// A leaf of version 0.0.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedRekordV2 {
    /// Digest of the artifact, or of an envelope's pre-authentication encoding.
    pub digest: Digest,
    /// The signature with its verifier.
    pub signature: SignatureV2,
}

#[derive(Serialize, Deserialize)]
struct SpecV1 {
    data: DataV1,
    signature: SignatureV1,
}

#[derive(Serialize, Deserialize)]
struct DataV1 {
    hash: HashV1,
}

/// A hash as v1 leaves write it.
#[derive(Serialize, Deserialize)]
pub(super) struct HashV1 {
    pub(super) algorithm: String,
    pub(super) value: String,
}

impl HashV1 {
    pub(super) fn of(digest: &Digest) -> Self {
        Self { algorithm: digest.algorithm().name().to_owned(), value: digest.hex() }
    }

    pub(super) fn parse(&self, field: &'static str) -> Result<Digest, ParseEntryError> {
        // Rekor keeps the case in which the value was submitted.
        format!("{}:{}", self.algorithm, self.value.to_ascii_lowercase())
            .parse()
            .map_err(|error| ParseEntryError::BadDigest { field, problem: format!("{error}") })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignatureV1 {
    content: String,
    public_key: PublicKeyV1,
}

#[derive(Serialize, Deserialize)]
struct PublicKeyV1 {
    content: String,
}

impl HashedRekordV1 {
    pub(super) fn parse(leaf: &[u8]) -> Result<Self, ParseEntryError> {
        let Leaf { spec: SpecV1 { data, signature }, .. } = from_json(leaf)?;
        let decode = |text: &str, field| {
            STANDARD.decode(text).map_err(|_| ParseEntryError::BadBase64 { field })
        };
        Ok(Self {
            digest: data.hash.parse("data.hash")?,
            signature: non_empty(decode(&signature.content, "signature.content")?)?,
            verifier: Verifier::from_pem(&decode(
                &signature.public_key.content,
                "signature.publicKey",
            )?)?,
        })
    }

    /// The leaf as it is logged.
    #[must_use]
    pub fn to_leaf(&self) -> Vec<u8> {
        let spec = SpecV1 {
            data: DataV1 { hash: HashV1::of(&self.digest) },
            signature: SignatureV1 {
                content: STANDARD.encode(&self.signature),
                public_key: PublicKeyV1 { content: STANDARD.encode(self.verifier.to_pem()) },
            },
        };
        to_canonical_json(&Leaf::new("hashedrekord", "0.0.1", spec))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpecV2 {
    #[serde(rename = "hashedRekordV002")]
    hashed_rekord: RecordV2,
}

#[derive(Serialize, Deserialize)]
struct RecordV2 {
    data: HashOutput,
    signature: wire_v2::Signature,
}

/// `HashOutput` of `sigstore_common.proto`.
#[derive(Serialize, Deserialize)]
pub(crate) struct HashOutput {
    algorithm: String,
    digest: Base64,
}

impl HashOutput {
    pub(crate) fn of(digest: &Digest) -> Self {
        let algorithm = match digest.algorithm() {
            HashAlgorithm::Sha256 => "SHA2_256",
            HashAlgorithm::Sha384 => "SHA2_384",
            HashAlgorithm::Sha512 => "SHA2_512",
        };
        let digest = Base64(digest.hash().as_bytes().to_vec());
        Self { algorithm: algorithm.to_owned(), digest }
    }

    pub(crate) fn parse(&self, field: &'static str) -> Result<Digest, ParseEntryError> {
        let bad = |problem: &str| ParseEntryError::BadDigest { field, problem: problem.to_owned() };
        let algorithm = match self.algorithm.as_str() {
            "SHA2_256" => HashAlgorithm::Sha256,
            "SHA2_384" => HashAlgorithm::Sha384,
            "SHA2_512" => HashAlgorithm::Sha512,
            _ => return Err(bad("wanted SHA2_256, SHA2_384 or SHA2_512")),
        };
        let hash = Hash::from_bytes(algorithm, &self.digest.0);
        hash.map(Digest::from).ok_or_else(|| bad("it has another length than its algorithm"))
    }
}

impl HashedRekordV2 {
    pub(super) fn parse(leaf: &[u8]) -> Result<Self, ParseEntryError> {
        let Leaf { spec: SpecV2 { hashed_rekord }, .. } = from_json(leaf)?;
        Ok(Self {
            digest: hashed_rekord.data.parse("data.digest")?,
            signature: hashed_rekord.signature.parse()?,
        })
    }

    /// The leaf as it is logged.
    #[must_use]
    pub fn to_leaf(&self) -> Vec<u8> {
        let record = RecordV2 {
            data: HashOutput::of(&self.digest),
            signature: wire_v2::Signature::of(&self.signature),
        };
        to_canonical_json(&Leaf::new("hashedrekord", "0.0.2", SpecV2 { hashed_rekord: record }))
    }
}

pub(super) fn non_empty(signature: Vec<u8>) -> Result<Vec<u8>, ParseEntryError> {
    if signature.is_empty() { Err(ParseEntryError::NoSignature) } else { Ok(signature) }
}

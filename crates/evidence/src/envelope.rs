//! DSSE envelopes: a typed payload and the signatures over its pre-authentication encoding.
//!
//! DSSE protocol v1.0.0 (secure-systems-lab).

use crypto::{Hash, HashAlgorithm, Hasher};

/// Payload type of in-toto statements (in-toto attestation framework, "Envelope").
pub const IN_TOTO_PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A signed payload as claimed. A Sigstore bundle's envelope has exactly one signature (Sigstore
/// bundle specification, `dsse_envelope`), so that is all this holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What kind of thing the payload is.
    pub payload_type: String,
    /// The signed bytes, exactly as signed.
    pub payload: Vec<u8>,
    /// The signature over [`Envelope::pae`].
    pub signature: Vec<u8>,
    /// A hint, unsigned, which key made the signature; often empty.
    pub key_id: String,
    /// The envelope's JSON exactly as it was stored, where it is a document of its own, as in
    /// Cosign's attestation layers: what the oldest log entries and Cosign 2's timestamps are over.
    pub document: Option<Vec<u8>>,
}

impl Envelope {
    /// The bytes that are signed: `DSSEv1 len(type) type len(payload) payload`, lengths in bytes
    /// and in decimal.
    #[must_use]
    pub fn pae(&self) -> Vec<u8> {
        pae(&self.payload_type, &self.payload)
    }

    /// The hash of [`Envelope::pae`], without a copy of the payload, which may be a whole SBOM.
    #[must_use]
    pub fn pae_hash(&self, algorithm: HashAlgorithm) -> Hash {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(head(&self.payload_type, &self.payload).as_bytes());
        hasher.update(&self.payload);
        hasher.finish()
    }
}

/// DSSE's pre-authentication encoding of a payload of that type.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoded = head(payload_type, payload).into_bytes();
    encoded.extend_from_slice(payload);
    encoded
}

/// What stands before the payload.
fn head(payload_type: &str, payload: &[u8]) -> String {
    format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len())
}

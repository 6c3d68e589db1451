//! Scenes in the formats that Cosign wrote before bundles: layers of its signature and attestation
//! tags, and its bundle for blobs (Cosign's `SIGNATURE_SPEC.md` and `pkg/cosign/bundle`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::json::{base64, unbase64};
use crate::key::Key;
use crate::log::{Kind, pem};
use crate::scene::{Content, Made, Scene, apply};

/// Annotation with the signature.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// Annotation with the certificate.
pub const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
/// Annotation with the chain above it.
pub const CHAIN: &str = "dev.sigstore.cosign/chain";
/// Annotation with the log entry.
pub const LOG_ENTRY: &str = "dev.sigstore.cosign/bundle";
/// Annotation with the timestamp.
pub const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

/// A layer of one of Cosign's tags, with what a verifier needs besides.
#[derive(Clone, Debug)]
pub struct SealedLayer {
    /// Its media type.
    pub media_type: &'static str,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its content.
    pub bytes: Vec<u8>,
    /// The trust root.
    pub trust_root: Value,
    /// The image's manifest, or whatever was signed in its place.
    pub artifact: Vec<u8>,
    /// The key a verifier pins.
    pub key: Key,
    /// The signer's certificate, if there is one.
    pub certificate: Option<Vec<u8>>,
}

impl Scene {
    /// A keyless signature over an image, as Cosign wrote it before bundles: in a v1 log, with the
    /// log's promise alone.
    #[must_use]
    pub fn cosign() -> Self {
        Self::v1().with(|scene| {
            scene.content = Content::SimpleSigning;
            scene.entries[0].proof = false;
        })
    }

    /// A keyless attestation of an image, logged as that kind, as Cosign wrote it before bundles.
    #[must_use]
    pub fn cosign_attestation(kind: Kind) -> Self {
        Self::statement(kind).with(|scene| scene.entries[0].proof = false)
    }

    /// Makes everything, as a layer of Cosign's signature or attestation tag.
    ///
    /// # Panics
    /// For a plain signature over an artifact, and for a v2 log: the format has no room for them.
    #[must_use]
    pub fn seal_layer(&self) -> SealedLayer {
        let made = self.make();
        let mut annotations = BTreeMap::new();
        let mut put = |name: &str, value: String| annotations.insert(name.to_owned(), value);
        let (media_type, bytes) = match self.content {
            Content::SimpleSigning => {
                put(SIGNATURE, base64(&made.signature));
                ("application/vnd.dev.cosign.simplesigning.v1+json", made.signed.clone())
            }
            Content::Statement => {
                put(SIGNATURE, String::new());
                put("predicateType", "https://slsa.dev/provenance/v1".to_owned());
                let envelope = made.envelope.as_ref().expect("a statement is in an envelope");
                ("application/vnd.dsse.envelope.v1+json", envelope.to_string().into_bytes())
            }
            Content::Message => panic!("a signature over an artifact is no layer"),
        };
        if let Some(certificate) = &made.certificate {
            put(CERTIFICATE, pem("CERTIFICATE", certificate));
            put(CHAIN, made.issued.authorities.iter().map(|der| pem("CERTIFICATE", der)).collect());
        }
        if let Some(entry) = made.entries.first() {
            put(LOG_ENTRY, promised(entry).to_string());
        }
        if let Some(timestamp) = made.timestamps.first() {
            put(TIMESTAMP, json!({"SignedRFC3161Timestamp": base64(timestamp)}).to_string());
        }
        SealedLayer {
            media_type,
            annotations: apply(&self.on_annotations, annotations),
            bytes,
            trust_root: self.sealed_trust_root(&made),
            artifact: self.artifact.clone(),
            key: self.wanted_key.clone().unwrap_or_else(|| self.key.clone()),
            certificate: made.certificate,
        }
    }

    /// Makes everything, as Cosign's bundle for blobs before v3, and the trust root.
    ///
    /// # Panics
    /// For simple signing.
    #[must_use]
    pub fn seal_blob(&self) -> (Value, Value) {
        let made = self.make();
        let signature = match (self.content, &made.envelope) {
            (Content::Message, _) => made.signature.clone(),
            (Content::Statement, Some(envelope)) => envelope.to_string().into_bytes(),
            _ => panic!("a blob bundle is about a blob"),
        };
        let cert = match &made.certificate {
            Some(certificate) => pem("CERTIFICATE", certificate),
            None => pem("PUBLIC KEY", &self.key.spki()),
        };
        let mut bundle = json!({
            "base64Signature": base64(&signature),
            "cert": base64(cert.as_bytes()),
        });
        if let Some(entry) = made.entries.first() {
            bundle["rekorBundle"] = promised(entry);
        }
        (apply(&self.on_bundle, bundle), self.sealed_trust_root(&made))
    }

    fn sealed_trust_root(&self, made: &Made) -> Value {
        apply(&self.on_trust_root, self.instance.trust_root(&made.issued))
    }
}

/// A log entry with its promise, as Cosign writes it; its fields in the order of their names.
fn promised(entry: &Value) -> Value {
    let number = |name: &str| -> i64 {
        let text = entry[name].as_str().expect("a v1 entry has it");
        text.parse().expect("a number")
    };
    let promise = entry["inclusionPromise"]["signedEntryTimestamp"].as_str();
    json!({
        "SignedEntryTimestamp": promise.expect("the format has room for a promise only"),
        "Payload": {
            "body": entry["canonicalizedBody"],
            "integratedTime": number("integratedTime"),
            "logIndex": number("logIndex"),
            "logID": hex::encode(unbase64(&entry["logId"]["keyId"])),
        },
    })
}

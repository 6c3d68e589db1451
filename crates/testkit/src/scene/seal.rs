//! Everything made of a scene, layer by layer: certificate, content, signature, leaf, promise, proof,
//! checkpoint, note, entry, timestamp, bundle, trust root. Each layer's changes are made before what
//! stands above it is sealed.

use crypto::{Hash, HashAlgorithm};
use serde_json::{Value, json};

use super::{Content, Entry, EnvelopeDraft, Format, IN_TOTO, Scene, Signer, apply};
use crate::instance::{Issued, LOG_V1_HOST, LOG_V1_ORIGIN, LOG_V2_HOST};
use crate::json::base64;
use crate::key::Key;
use crate::log::{self, PromiseDraft, ProofDraft, Record, TreeDraft};
use crate::note::CheckpointDraft;
use crate::timestamp::{CertificateName, TokenDraft};

/// All that is made of a scene, before it is put into one format or another.
pub(crate) struct Made {
    pub(crate) issued: Issued,
    pub(crate) certificate: Option<Vec<u8>>,
    /// The envelope's JSON.
    pub(crate) envelope: Option<Value>,
    /// What the signature is over.
    pub(crate) signed: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) entries: Vec<Value>,
    pub(crate) timestamps: Vec<Vec<u8>>,
}

/// What a verifier gets.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The bundle.
    pub bundle: Value,
    /// The trust root.
    pub trust_root: Value,
    /// The artifact.
    pub artifact: Vec<u8>,
    /// The key a verifier pins.
    pub key: Key,
    /// The signer's certificate, if there is one.
    pub certificate: Option<Vec<u8>>,
}

impl Scene {
    /// Makes everything, as a bundle.
    ///
    /// # Panics
    /// For simple signing, which no bundle holds.
    #[must_use]
    pub fn seal(&self) -> Sealed {
        assert!(self.content != Content::SimpleSigning, "no bundle holds simple signing");
        let Made { issued, certificate, envelope, signature, entries, timestamps, .. } =
            self.make();
        let timestamps: Vec<_> = timestamps
            .iter()
            .map(|timestamp| json!({"signedTimestamp": base64(timestamp)}))
            .collect();
        let mut material = json!({"tlogEntries": entries});
        match &certificate {
            None => {
                material["publicKey"] = json!({"hint": base64(&crypto::sha256(&self.key.spki()))});
            }
            Some(der) if matches!(self.format, Format::V0_1 | Format::V0_2) => {
                let raw = json!({"rawBytes": base64(der)});
                material["x509CertificateChain"] = json!({"certificates": [raw]});
            }
            Some(der) => material["certificate"] = json!({"rawBytes": base64(der)}),
        }
        if !timestamps.is_empty() {
            material["timestampVerificationData"] = json!({"rfc3161Timestamps": timestamps});
        }
        let mut bundle = json!({
            "mediaType": self.format.media_type(),
            "verificationMaterial": material,
        });
        match envelope {
            Some(envelope) => bundle["dsseEnvelope"] = envelope,
            None => {
                let algorithm = self.scheme.hash().unwrap_or(HashAlgorithm::Sha256);
                let digest = log::hash_output(&Hash::of(algorithm, &self.artifact));
                bundle["messageSignature"] =
                    json!({"messageDigest": digest, "signature": base64(&signature)});
            }
        }
        Sealed {
            bundle: apply(&self.on_bundle, bundle),
            trust_root: apply(&self.on_trust_root, self.instance.trust_root(&issued)),
            artifact: self.artifact.clone(),
            key: self.wanted_key.clone().unwrap_or_else(|| self.key.clone()),
            certificate,
        }
    }

    /// Makes everything, in no format yet.
    pub(crate) fn make(&self) -> Made {
        let issued = self.instance.issue();
        let certificate = (self.signer == Signer::Keyless)
            .then(|| apply(&self.on_certificate, self.instance.certificate(&self.key)).seal());
        let envelope = (self.content == Content::Statement).then(|| self.envelope());
        let signed = match &envelope {
            None if self.content == Content::SimpleSigning => self.payload(),
            None => self.artifact.clone(),
            Some(EnvelopeDraft { payload_type, payload }) => {
                let head =
                    format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
                [head.as_bytes(), payload].concat()
            }
        };
        let signature = apply(&self.on_signature, self.key.sign_with(self.scheme, &signed));
        let envelope_json = envelope.as_ref().map(|envelope| {
            json!({
                "payload": base64(&envelope.payload),
                "payloadType": envelope.payload_type,
                "signatures": [{"sig": base64(&signature)}],
            })
        });
        let spki = self.key.spki();
        let envelope_text = envelope_json.as_ref().map(Value::to_string).unwrap_or_default();
        let record = Record {
            signed: &signed,
            envelope: envelope
                .as_ref()
                .map(|envelope| (envelope.payload_type.as_str(), envelope.payload.as_slice())),
            envelope_json: envelope_text.as_bytes(),
            signature: &signature,
            scheme: self.scheme,
            spki: &spki,
            key_kind: self.key.kind(),
            certificate: certificate.as_deref(),
        };
        let entries: Vec<_> =
            self.entries.iter().map(|entry| self.entry(*entry, &record)).collect();
        let stamped = if self.stamps_envelope { envelope_text.as_bytes() } else { &signature };
        let timestamps =
            (0..self.timestamps).map(|number| self.timestamp(number, stamped, &issued)).collect();
        Made {
            issued,
            certificate,
            envelope: envelope_json,
            signed,
            signature,
            entries,
            timestamps,
        }
    }

    /// The payload that Cosign signs, its fields in the order of their names.
    fn payload(&self) -> Vec<u8> {
        let digest = hex::encode(crypto::sha256(&self.artifact));
        let payload = json!({
            "critical": {
                "identity": {"docker-reference": "registry.testkit.example/acme/app"},
                "image": {"docker-manifest-digest": format!("sha256:{digest}")},
                "type": "cosign container image signature",
            },
            "optional": null,
        });
        apply(&self.on_payload, payload).to_string().into_bytes()
    }

    fn envelope(&self) -> EnvelopeDraft {
        let digest = hex::encode(crypto::sha256(&self.artifact));
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "artifact", "digest": {"sha256": digest}}],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {"buildDefinition": {"buildType": "https://testkit.example/build"}},
        });
        let payload = apply(&self.on_statement, statement).to_string().into_bytes();
        apply(&self.on_envelope, EnvelopeDraft { payload_type: IN_TOTO.to_owned(), payload })
    }

    fn entry(&self, entry: Entry, record: &Record<'_>) -> Value {
        let (kind, version) = entry.kind.names();
        let leaf = apply(&self.on_leaf, record.leaf(entry.kind));
        let leaf = apply(&self.on_leaf_bytes, crate::json::canonical(&leaf).into_bytes());
        let tree = apply(&self.on_tree, TreeDraft { before: 5, after: 3 });
        let proof = tree.prove(&leaf);
        let is_v2 = entry.kind.is_v2();
        let log_id = if is_v2 { self.instance.log_v2_id() } else { self.instance.log_v1_id() };
        // A v1 log counts over all its shards; let there be an older one of a thousand entries.
        let index = if is_v2 { proof.leaf_index } else { 1_000 + proof.leaf_index };
        let mut json = json!({
            "logIndex": index.to_string(),
            "logId": {"keyId": base64(&log_id)},
            "kindVersion": {"kind": kind, "version": version},
            "canonicalizedBody": base64(&leaf),
        });
        if !is_v2 {
            let promise = apply(
                &self.on_promise,
                PromiseDraft {
                    body: leaf,
                    time: self.signed_at,
                    log_id,
                    index,
                    signed_by: self.instance.log_v1_key.clone(),
                    damaged: false,
                },
            );
            json["integratedTime"] = Value::from(promise.time.to_string());
            json["logIndex"] = Value::from(promise.index.to_string());
            if entry.promise {
                json["inclusionPromise"] = json!({"signedEntryTimestamp": base64(&promise.seal())});
            }
        }
        if entry.proof {
            json["inclusionProof"] = self.proof(proof, is_v2);
        }
        apply(&self.on_entry, json)
    }

    fn proof(&self, proof: ProofDraft, is_v2: bool) -> Value {
        let (origin, name, key) = if is_v2 {
            (LOG_V2_HOST, LOG_V2_HOST, &self.instance.log_v2_key)
        } else {
            (LOG_V1_ORIGIN, LOG_V1_HOST, &self.instance.log_v1_key)
        };
        let checkpoint = apply(
            &self.on_checkpoint,
            CheckpointDraft {
                origin: origin.to_owned(),
                size: u64::try_from(proof.tree_size).expect("a size is not negative"),
                root: proof.root,
                extensions: Vec::new(),
                text: None,
                name: name.to_owned(),
                key: key.clone(),
                witnesses: Vec::new(),
            },
        );
        let note = apply(&self.on_note, checkpoint.sign(self.signed_at));
        let proof = apply(&self.on_proof, proof);
        let hashes: Vec<_> = proof.hashes.iter().map(|hash| base64(hash)).collect();
        json!({
            "logIndex": proof.leaf_index.to_string(),
            "treeSize": proof.tree_size.to_string(),
            "rootHash": base64(&proof.root),
            "hashes": hashes,
            "checkpoint": {"envelope": note.to_text()},
        })
    }

    fn timestamp(&self, number: usize, stamped: &[u8], issued: &Issued) -> Vec<u8> {
        let instance = &self.instance;
        let signer = issued.timestamp_signer.clone();
        let digest_algorithm = instance
            .timestamp_key
            .public()
            .default_scheme()
            .hash()
            .unwrap_or(HashAlgorithm::Sha512);
        let mut token = TokenDraft {
            status: 0,
            imprint_algorithm: HashAlgorithm::Sha256,
            imprint_of: stamped.to_vec(),
            version: 1,
            policy: "1.3.6.1.4.1.57264.2".to_owned(),
            serial: (number as u64 + 1).to_be_bytes().to_vec(),
            time: String::new(),
            accuracy_s: Some(1),
            nonce: None,
            extensions: Vec::new(),
            content_type: "1.2.840.113549.1.9.16.1.4".to_owned(),
            signed_content_type: "1.2.840.113549.1.9.16.1.4".to_owned(),
            message_digest: None,
            names_certificate: vec![CertificateName::V2(HashAlgorithm::Sha256, signer.clone())],
            digest_algorithm,
            signature_algorithm: None,
            signer_issuer: instance.timestamp_signer.issuer.clone(),
            signer_serial: instance.timestamp_signer.serial.clone(),
            signer_key_id: None,
            signer_count: 1,
            certificates: if self.embeds_timestamp_signer { vec![signer] } else { Vec::new() },
            signed_by: instance.timestamp_key.clone(),
            damaged: false,
        };
        token.at(self.signed_at);
        let token = apply(&self.on_token, token);
        apply(&self.on_timestamp, token.seal())
    }
}

impl Sealed {
    /// The bundle's JSON text.
    #[must_use]
    pub fn bundle_json(&self) -> Vec<u8> {
        self.bundle.to_string().into_bytes()
    }

    /// The trust root's JSON text.
    #[must_use]
    pub fn trust_root_json(&self) -> Vec<u8> {
        self.trust_root.to_string().into_bytes()
    }

    /// The entries, to be swapped for those of another bundle.
    ///
    /// # Panics
    /// When a change has removed them.
    pub fn entries_mut(&mut self) -> &mut Value {
        crate::json::at(&mut self.bundle, "/verificationMaterial/tlogEntries")
    }
}

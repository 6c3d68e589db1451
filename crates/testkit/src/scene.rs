//! One signing event and everything made of it, layer by layer: certificate, content, signature,
//! leaf, promise, proof, checkpoint, note, entry, timestamp, bundle, trust root.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crypto::{Hash, HashAlgorithm, KeyKind, Scheme};
use serde_json::{Value, json};

use crate::certificate::CertificateDraft;
use crate::clock::{NOW, SIGNED_AT};
use crate::instance::{ISSUER, Instance, Issued, LOG_V1_HOST, LOG_V1_ORIGIN, LOG_V2_HOST, SUBJECT};
use crate::json::base64;
use crate::key::Key;
use crate::log::{self, Kind, PromiseDraft, ProofDraft, Record, TreeDraft};
use crate::note::{CheckpointDraft, NoteDraft};
use crate::timestamp::{CertificateName, TokenDraft};

/// Payload type of in-toto statements.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A version of the bundle format; v0.3 has two media types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Version 0.1.
    V0_1,
    /// Version 0.2.
    V0_2,
    /// Version 0.3, its media type with a parameter.
    V0_3Parameter,
    /// Version 0.3.
    V0_3,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::V0_1, Self::V0_2, Self::V0_3Parameter, Self::V0_3];

    fn media_type(self) -> &'static str {
        match self {
            Self::V0_1 => "application/vnd.dev.sigstore.bundle+json;version=0.1",
            Self::V0_2 => "application/vnd.dev.sigstore.bundle+json;version=0.2",
            Self::V0_3Parameter => "application/vnd.dev.sigstore.bundle+json;version=0.3",
            Self::V0_3 => "application/vnd.dev.sigstore.bundle.v0.3+json",
        }
    }
}

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The artifact itself.
    Message,
    /// An in-toto statement about it, in an envelope.
    Statement,
    /// A simple signing payload about it; never in a bundle.
    SimpleSigning,
}

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The holder of a certificate.
    Keyless,
    /// The holder of a key that the verifier has.
    Pinned,
}

/// An entry to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What kind of leaf.
    pub kind: Kind,
    /// Whether a v1 log promises it.
    pub promise: bool,
    /// Whether a proof and a checkpoint come along.
    pub proof: bool,
}

/// An envelope before it is signed.
#[derive(Clone, Debug)]
pub struct EnvelopeDraft {
    /// The payload type.
    pub payload_type: String,
    /// The payload.
    pub payload: Vec<u8>,
}

/// Changes to one layer, made before what stands above it is sealed.
pub(crate) type Changes<T> = Vec<Arc<dyn Fn(&mut T) + Send + Sync>>;

/// A signing event.
#[derive(Clone)]
pub struct Scene {
    /// Where it happens.
    pub instance: Instance,
    /// The bundle's version.
    pub format: Format,
    /// What it is about.
    pub artifact: Vec<u8>,
    /// What is signed.
    pub content: Content,
    /// Who signs.
    pub signer: Signer,
    /// The signer's key.
    pub key: Key,
    /// How it signs.
    pub scheme: Scheme,
    /// Where it is logged.
    pub entries: Vec<Entry>,
    /// How many timestamps.
    pub timestamps: usize,
    /// Whether timestamps bring their signer's certificate along.
    pub embeds_timestamp_signer: bool,
    /// Whether timestamps are over the whole envelope, as Cosign 2 had them, not the signature.
    pub stamps_envelope: bool,
    /// When.
    pub signed_at: i64,
    /// When it is judged.
    pub now: i64,
    /// The identity provider that the verifier wants.
    pub wanted_issuer: String,
    /// The subject that the verifier wants.
    pub wanted_subject: String,
    /// The key that the verifier wants of a pinned signer, where it is not the signer's.
    pub wanted_key: Option<Key>,
    on_certificate: Changes<CertificateDraft>,
    on_statement: Changes<Value>,
    on_envelope: Changes<EnvelopeDraft>,
    on_payload: Changes<Value>,
    on_signature: Changes<Vec<u8>>,
    on_leaf: Changes<Value>,
    on_leaf_bytes: Changes<Vec<u8>>,
    on_promise: Changes<PromiseDraft>,
    on_tree: Changes<TreeDraft>,
    on_checkpoint: Changes<CheckpointDraft>,
    on_note: Changes<NoteDraft>,
    on_proof: Changes<ProofDraft>,
    on_entry: Changes<Value>,
    on_token: Changes<TokenDraft>,
    on_timestamp: Changes<Vec<u8>>,
    pub(crate) on_bundle: Changes<Value>,
    pub(crate) on_annotations: Changes<BTreeMap<String, String>>,
    pub(crate) on_trust_root: Changes<Value>,
}

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

macro_rules! changes {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        impl Scene {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(mut self, change: impl Fn(&mut $type) + Send + Sync + 'static) -> Self {
                self.$name.push(Arc::new(change));
                self
            })*
        }
    };
}

changes! {
    /// Changes the signer's certificate before it is issued.
    on_certificate: CertificateDraft;
    /// Changes the statement before it is serialised.
    on_statement: Value;
    /// Changes the envelope before it is signed.
    on_envelope: EnvelopeDraft;
    /// Changes the simple signing payload before it is serialised.
    on_payload: Value;
    /// Changes the signature before it is logged and timestamped.
    on_signature: Vec<u8>;
    /// Changes the leaf before it is serialised.
    on_leaf: Value;
    /// Changes the leaf's bytes before they are promised and hashed.
    on_leaf_bytes: Vec<u8>;
    /// Changes the promise before it is signed.
    on_promise: PromiseDraft;
    /// Changes where the leaf stands.
    on_tree: TreeDraft;
    /// Changes the checkpoint before it is signed; the proof stays.
    on_checkpoint: CheckpointDraft;
    /// Changes the signed note.
    on_note: NoteDraft;
    /// Changes the proof; the checkpoint stays.
    on_proof: ProofDraft;
    /// Changes the entry as the bundle holds it.
    on_entry: Value;
    /// Changes the timestamp before it is signed.
    on_token: TokenDraft;
    /// Changes the timestamp's bytes.
    on_timestamp: Vec<u8>;
    /// Changes the bundle.
    on_bundle: Value;
    /// Changes what stands beside a layer of Cosign's tags.
    on_annotations: BTreeMap<String, String>;
    /// Changes the trust root.
    on_trust_root: Value;
}

pub(crate) fn apply<T>(changes: &Changes<T>, mut value: T) -> T {
    changes.iter().for_each(|change| change(&mut value));
    value
}

impl Scene {
    /// A keyless signature over an artifact in the v1 log, with promise and proof.
    #[must_use]
    pub fn v1() -> Self {
        let key = Key::named("signer", KeyKind::EcdsaP256);
        Self {
            instance: Instance::default(),
            format: Format::V0_3,
            artifact: b"an artifact\n".to_vec(),
            content: Content::Message,
            signer: Signer::Keyless,
            scheme: key.public().default_scheme(),
            key,
            entries: vec![Entry { kind: Kind::HashedRekordV1, promise: true, proof: true }],
            timestamps: 0,
            embeds_timestamp_signer: false,
            stamps_envelope: false,
            signed_at: SIGNED_AT,
            now: NOW,
            wanted_issuer: ISSUER.to_owned(),
            wanted_subject: SUBJECT.to_owned(),
            wanted_key: None,
            on_certificate: Vec::new(),
            on_statement: Vec::new(),
            on_envelope: Vec::new(),
            on_payload: Vec::new(),
            on_signature: Vec::new(),
            on_leaf: Vec::new(),
            on_leaf_bytes: Vec::new(),
            on_promise: Vec::new(),
            on_tree: Vec::new(),
            on_checkpoint: Vec::new(),
            on_note: Vec::new(),
            on_proof: Vec::new(),
            on_entry: Vec::new(),
            on_token: Vec::new(),
            on_timestamp: Vec::new(),
            on_bundle: Vec::new(),
            on_annotations: Vec::new(),
            on_trust_root: Vec::new(),
        }
    }

    /// A keyless signature over an artifact in the v2 log, with a timestamp.
    #[must_use]
    pub fn v2() -> Self {
        let entry = Entry { kind: Kind::HashedRekordV2, promise: false, proof: true };
        Self { entries: vec![entry], timestamps: 1, ..Self::v1() }
    }

    /// A keyless statement about an artifact, logged as that kind.
    #[must_use]
    pub fn statement(kind: Kind) -> Self {
        let scene = if kind.is_v2() { Self::v2() } else { Self::v1() };
        Self { content: Content::Statement, ..scene }.logged_as(kind)
    }

    /// The same, logged as that kind.
    #[must_use]
    pub fn logged_as(mut self, kind: Kind) -> Self {
        self.entries.iter_mut().for_each(|entry| {
            entry.kind = kind;
            entry.promise &= !kind.is_v2();
        });
        self
    }

    /// The same, signed with a bare key that the verifier pins.
    #[must_use]
    pub fn pinned(mut self) -> Self {
        self.signer = Signer::Pinned;
        self
    }

    /// The same in another format.
    #[must_use]
    pub fn in_format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// The same with a key of another kind, signing as Sigstore's clients do with it.
    #[must_use]
    pub fn with_key(mut self, kind: KeyKind) -> Self {
        self.key = Key::named("signer", kind);
        let sees_only_a_hash = self.content != Content::Statement
            || self.entries.iter().any(|entry| entry.kind == Kind::HashedRekordV2);
        self.scheme = if kind == KeyKind::Ed25519 && sees_only_a_hash {
            // A log that sees only a hash can verify only the prehashed form.
            Scheme::Ed25519ph
        } else {
            self.key.public().default_scheme()
        };
        self
    }

    /// The same with another scheme.
    #[must_use]
    pub fn with_scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }

    /// The same with changed keys, chains or windows.
    #[must_use]
    pub fn with_instance(mut self, change: impl FnOnce(&mut Instance)) -> Self {
        change(&mut self.instance);
        self
    }

    /// Whatever is not a layer.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

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

impl fmt::Debug for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene")
            .field("format", &self.format)
            .field("content", &self.content)
            .field("signer", &self.signer)
            .field("key", &self.key)
            .field("entries", &self.entries)
            .field("timestamps", &self.timestamps)
            .finish_non_exhaustive()
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

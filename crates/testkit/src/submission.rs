//! What a client sends to have something logged, and the leaf that it becomes.

use crypto::{Hash, HashAlgorithm, KeyKind, Message, Scheme, Signer};
use serde_json::{Value, json};

use crate::certificate::ExtensionDraft;
use crate::instance::Instance;
use crate::json::{base64, canonical};
use crate::key::Key;
use crate::log::{Kind, Record, key_details, pem};
use crate::scene::IN_TOTO;

/// Something that one key signed, ready to be logged.
#[derive(Clone, Debug)]
pub struct Submission {
    /// As what.
    pub kind: Kind,
    /// Who signed.
    pub key: Key,
    /// How.
    pub scheme: Scheme,
    /// The certificate that is sent; else the key is.
    pub certificate: Option<Vec<u8>>,
    /// What was signed; for an envelope, its payload.
    pub content: Vec<u8>,
}

impl Submission {
    /// By a key of that kind, in the way that clients sign for that kind of entry.
    #[must_use]
    pub fn new(kind: Kind, key: KeyKind) -> Self {
        let name = format!("submission {key}");
        let key = Key::named(&name, key);
        let scheme = match (kind, key.public().default_scheme()) {
            // A hash cannot be signed with pure Ed25519, and v2 takes no other than Ed25519ph.
            (Kind::HashedRekordV1 | Kind::HashedRekordV2 | Kind::DsseV2, Scheme::Ed25519) => {
                Scheme::Ed25519ph
            }
            (_, scheme) => scheme,
        };
        let content = format!("what {name} has to say in {kind:?}").into_bytes();
        Self { kind, key, scheme, certificate: None, content }
    }

    /// The same about something else.
    #[must_use]
    pub fn about(self, content: &[u8]) -> Self {
        Self { content: content.to_vec(), ..self }
    }

    /// The same signed in another way.
    #[must_use]
    pub fn with_scheme(self, scheme: Scheme) -> Self {
        Self { scheme, ..self }
    }

    /// The same with a certificate for the key.
    #[must_use]
    pub fn with_certificate(self) -> Self {
        let certificate = Instance::named("submission").certificate(&self.key).seal();
        Self { certificate: Some(certificate), ..self }
    }

    /// The same with a certificate that has that many bytes of nothing in it.
    #[must_use]
    pub fn with_large_certificate(self, size: usize) -> Self {
        let mut draft = Instance::named("submission").certificate(&self.key);
        draft.put(ExtensionDraft::new("1.3.6.1.4.1.99999.1", false, vec![0; size]));
        Self { certificate: Some(draft.seal()), ..self }
    }

    /// What the signature is over.
    #[must_use]
    pub fn signed(&self) -> Vec<u8> {
        if self.kind.takes_message() {
            return self.content.clone();
        }
        let (kind, content) = (IN_TOTO, &self.content);
        let head = format!("DSSEv1 {} {kind} {} ", kind.len(), content.len());
        [head.as_bytes(), content].concat()
    }

    /// A signature: for ECDSA, another one each time.
    ///
    /// # Panics
    /// When the key cannot sign with the scheme.
    #[must_use]
    pub fn signature(&self) -> Vec<u8> {
        let signed = self.signed();
        let pair = self.key.pair();
        match self.scheme.hash() {
            Some(algorithm) => {
                pair.sign(self.scheme, Message::Hashed(&Hash::of(algorithm, &signed)))
            }
            None => pair.sign(self.scheme, Message::Bytes(&signed)),
        }
        .expect("a scheme that the key signs with")
    }

    /// The certificate or key in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        match &self.certificate {
            Some(certificate) => pem("CERTIFICATE", certificate),
            None => pem("PUBLIC KEY", &self.key.spki()),
        }
    }

    /// The certificate or key as v2 requests have it.
    #[must_use]
    pub fn verifier_v2(&self) -> Value {
        let (field, der) = match &self.certificate {
            Some(certificate) => ("x509Certificate", certificate.clone()),
            None => ("publicKey", self.key.spki()),
        };
        json!({
            field: {"rawBytes": base64(&der)},
            "keyDetails": key_details(self.key.kind(), self.scheme),
        })
    }

    /// The content in an envelope with these signatures.
    #[must_use]
    pub fn envelope(&self, signatures: &[&[u8]]) -> Value {
        let signatures = signatures.iter().map(|signature| json!({"sig": base64(signature)}));
        json!({
            "payload": base64(&self.content),
            "payloadType": IN_TOTO,
            "signatures": signatures.collect::<Vec<_>>(),
        })
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> Value {
        self.request_and_leaf().0
    }

    /// The request, and the leaf that it becomes, each written down on its own.
    ///
    /// # Panics
    /// For the oldest kinds, which no client submits and no log here takes.
    #[must_use]
    pub fn request_and_leaf(&self) -> (Value, String) {
        let (signature, signed) = (self.signature(), self.signed());
        let algorithm = self.scheme.hash().unwrap_or(HashAlgorithm::Sha256);
        let hash = Hash::of(algorithm, &signed);
        let envelope = self.envelope(&[&signature]);
        let envelope_json = envelope.to_string();
        let pem = base64(self.pem().as_bytes());
        let request = match self.kind {
            Kind::HashedRekordV1 => json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
                "data": {"hash": {
                    "algorithm": algorithm.name(),
                    "value": hex::encode(hash.as_bytes()),
                }},
                "signature": {"content": base64(&signature), "publicKey": {"content": pem}},
            }}),
            Kind::DsseV1 => json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
                "proposedContent": {"envelope": envelope_json, "verifiers": [pem]},
            }}),
            Kind::IntotoV2 => json!({"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": {
                "envelope": {
                    "payload": base64(base64(&self.content).as_bytes()),
                    "payloadType": IN_TOTO,
                    "signatures": [{
                        "sig": base64(base64(&signature).as_bytes()),
                        "publicKey": pem,
                    }],
                },
                "hash": {
                    "algorithm": "sha256",
                    "value": hex::encode(crypto::sha256(envelope_json.as_bytes())),
                },
            }}}),
            Kind::HashedRekordV2 => json!({"hashedRekordRequestV002": {
                "digest": base64(hash.as_bytes()),
                "signature": {"content": base64(&signature), "verifier": self.verifier_v2()},
            }}),
            Kind::DsseV2 => json!({"dsseRequestV002": {
                "envelope": envelope,
                "verifiers": [self.verifier_v2()],
            }}),
            kind @ (Kind::IntotoV1 | Kind::RekordV1) => {
                panic!("no log here takes {kind:?} any more")
            }
        };
        let spki = self.key.spki();
        let record = Record {
            signed: &signed,
            envelope: Some((IN_TOTO, &self.content)),
            envelope_json: envelope_json.as_bytes(),
            signature: &signature,
            scheme: self.scheme,
            spki: &spki,
            key_kind: self.key.kind(),
            certificate: self.certificate.as_deref(),
        };
        (request, canonical(&record.leaf(self.kind)))
    }
}

//! Log entries: leaves of every kind, the v1 log's promise, inclusion proofs (Rekor's OpenAPI
//! document; rekor-tiles' specification; RFC 6962 §2.1).

use crypto::{Hash, HashAlgorithm, KeyKind, Scheme};
use serde_json::{Value, json};

use crate::json::{base64, canonical};
use crate::key::Key;
use crate::merkle::{self, NodeHash};
use crate::{certificate, der};

/// Kind and version of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `hashedrekord` 0.0.1.
    HashedRekordV1,
    /// `dsse` 0.0.1.
    DsseV1,
    /// `intoto` 0.0.2.
    IntotoV2,
    /// `hashedrekord` 0.0.2.
    HashedRekordV2,
    /// `dsse` 0.0.2.
    DsseV2,
    /// `intoto` 0.0.1.
    IntotoV1,
    /// `rekord` 0.0.1.
    RekordV1,
}

impl Kind {
    /// Every kind that today's signers log.
    pub const ALL: [Self; 5] =
        [Self::HashedRekordV1, Self::DsseV1, Self::IntotoV2, Self::HashedRekordV2, Self::DsseV2];

    /// The kinds that Cosign logged before those.
    pub const OLDEST: [Self; 2] = [Self::IntotoV1, Self::RekordV1];

    /// The two names as written.
    #[must_use]
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::HashedRekordV1 => ("hashedrekord", "0.0.1"),
            Self::DsseV1 => ("dsse", "0.0.1"),
            Self::IntotoV2 => ("intoto", "0.0.2"),
            Self::HashedRekordV2 => ("hashedrekord", "0.0.2"),
            Self::DsseV2 => ("dsse", "0.0.2"),
            Self::IntotoV1 => ("intoto", "0.0.1"),
            Self::RekordV1 => ("rekord", "0.0.1"),
        }
    }

    /// Whether it belongs into a log of version 2.
    #[must_use]
    pub fn is_v2(self) -> bool {
        matches!(self, Self::HashedRekordV2 | Self::DsseV2)
    }

    /// Whether it can record a plain signature over an artifact or a payload.
    #[must_use]
    pub fn takes_message(self) -> bool {
        matches!(self, Self::HashedRekordV1 | Self::HashedRekordV2 | Self::RekordV1)
    }

    /// Whether it can record an envelope's signature.
    #[must_use]
    pub fn takes_envelope(self) -> bool {
        !matches!(self, Self::HashedRekordV1 | Self::RekordV1)
    }
}

/// What a leaf records.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// The artifact, or an envelope's pre-authentication encoding: what was signed.
    pub signed: &'a [u8],
    /// An envelope's payload type and payload.
    pub envelope: Option<(&'a str, &'a [u8])>,
    /// The envelope's JSON as submitted.
    pub envelope_json: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
    /// How it was made.
    pub scheme: Scheme,
    /// The signer's key.
    pub spki: &'a [u8],
    /// The size of an RSA key.
    pub key_kind: KeyKind,
    /// The signer's certificate.
    pub certificate: Option<&'a [u8]>,
}

impl Record<'_> {
    /// The leaf of that kind.
    #[must_use]
    pub fn leaf(&self, kind: Kind) -> Value {
        let (name, version) = kind.names();
        let spec = match kind {
            Kind::HashedRekordV1 => self.hashedrekord_v1(),
            Kind::DsseV1 => self.dsse_v1(),
            Kind::IntotoV2 => self.intoto_v2(),
            Kind::HashedRekordV2 => json!({"hashedRekordV002": {
                "data": hash_output(&Hash::of(self.algorithm(), self.signed)),
                "signature": self.signature_v2(),
            }}),
            Kind::IntotoV1 => json!({
                "content": {
                    "hash": hash_v1(&Hash::of(HashAlgorithm::Sha256, self.envelope_json)),
                    "payloadHash": hash_v1(&Hash::of(HashAlgorithm::Sha256, self.payload())),
                },
                "publicKey": base64(self.pem().as_bytes()),
            }),
            Kind::RekordV1 => {
                let mut spec = self.hashedrekord_v1();
                spec["signature"]["format"] = json!("x509");
                spec
            }
            Kind::DsseV2 => json!({"dsseV002": {
                "payloadHash": hash_output(&Hash::of(HashAlgorithm::Sha256, self.payload())),
                "signatures": [self.signature_v2()],
            }}),
        };
        json!({"apiVersion": version, "kind": name, "spec": spec})
    }

    fn hashedrekord_v1(&self) -> Value {
        json!({
            "data": {"hash": hash_v1(&Hash::of(self.algorithm(), self.signed))},
            "signature": {
                "content": base64(self.signature),
                "publicKey": {"content": base64(self.pem().as_bytes())},
            },
        })
    }

    fn dsse_v1(&self) -> Value {
        json!({
            "envelopeHash": hash_v1(&Hash::of(HashAlgorithm::Sha256, self.envelope_json)),
            "payloadHash": hash_v1(&Hash::of(HashAlgorithm::Sha256, self.payload())),
            "signatures": [{
                "signature": base64(self.signature),
                "verifier": base64(self.pem().as_bytes()),
            }],
        })
    }

    fn intoto_v2(&self) -> Value {
        let payload_type = self.envelope.map_or("", |(payload_type, _)| payload_type);
        json!({"content": {
            "envelope": {
                "payloadType": payload_type,
                "signatures": [{
                    "publicKey": base64(self.pem().as_bytes()),
                    "sig": base64(base64(self.signature).as_bytes()),
                }],
            },
            "hash": hash_v1(&Hash::of(HashAlgorithm::Sha256, self.envelope_json)),
            "payloadHash": hash_v1(&Hash::of(HashAlgorithm::Sha256, self.payload())),
        }})
    }

    fn signature_v2(&self) -> Value {
        let raw = |der: &[u8]| json!({"rawBytes": base64(der)});
        let mut verifier = json!({"keyDetails": key_details(self.key_kind, self.scheme)});
        match self.certificate {
            Some(certificate) => verifier["x509Certificate"] = raw(certificate),
            None => verifier["publicKey"] = raw(self.spki),
        }
        json!({"content": base64(self.signature), "verifier": verifier})
    }

    fn payload(&self) -> &[u8] {
        self.envelope.map_or(&[], |(_, payload)| payload)
    }

    fn algorithm(&self) -> HashAlgorithm {
        self.scheme.hash().unwrap_or(HashAlgorithm::Sha256)
    }

    fn pem(&self) -> String {
        match self.certificate {
            Some(certificate) => pem("CERTIFICATE", certificate),
            None => pem("PUBLIC KEY", self.spki),
        }
    }
}

fn hash_v1(hash: &Hash) -> Value {
    json!({"algorithm": hash.algorithm().name(), "value": hex::encode(hash.as_bytes())})
}

/// A hash as v2 leaves and bundles write it.
#[must_use]
pub fn hash_output(hash: &Hash) -> Value {
    let algorithm = match hash.algorithm() {
        HashAlgorithm::Sha256 => "SHA2_256",
        HashAlgorithm::Sha384 => "SHA2_384",
        HashAlgorithm::Sha512 => "SHA2_512",
    };
    json!({"algorithm": algorithm, "digest": base64(hash.as_bytes())})
}

/// The name of a key's algorithm in Sigstore's registry.
///
/// # Panics
/// For a scheme that has none.
#[must_use]
pub fn key_details(kind: KeyKind, scheme: Scheme) -> String {
    match (scheme, kind) {
        (Scheme::EcdsaP256Sha256, _) => "PKIX_ECDSA_P256_SHA_256".to_owned(),
        (Scheme::EcdsaP384Sha384, _) => "PKIX_ECDSA_P384_SHA_384".to_owned(),
        (Scheme::EcdsaP521Sha512, _) => "PKIX_ECDSA_P521_SHA_512".to_owned(),
        (Scheme::RsaPkcs1Sha256, KeyKind::Rsa { bits }) => {
            format!("PKIX_RSA_PKCS1V15_{bits}_SHA256")
        }
        (Scheme::RsaPssSha256, KeyKind::Rsa { bits }) => format!("PKIX_RSA_PSS_{bits}_SHA256"),
        (Scheme::Ed25519, _) => "PKIX_ED25519".to_owned(),
        (Scheme::Ed25519ph, _) => "PKIX_ED25519_PH".to_owned(),
        other => panic!("{other:?} is not in the registry"),
    }
}

/// A PEM block with lines of 64 characters.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = base64(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("base64 is ASCII"))
        .collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A v1 log's promise before it is signed.
#[derive(Clone, Debug)]
pub struct PromiseDraft {
    /// The leaf.
    pub body: Vec<u8>,
    /// When the log took it.
    pub time: i64,
    /// The log's identifier.
    pub log_id: Vec<u8>,
    /// The entry's number over all shards.
    pub index: i64,
    /// Who signs.
    pub signed_by: Key,
    /// Whether the signature is damaged afterwards.
    pub damaged: bool,
}

impl PromiseDraft {
    /// Signs it.
    #[must_use]
    pub fn seal(&self) -> Vec<u8> {
        let document = json!({
            "body": base64(&self.body),
            "integratedTime": self.time,
            "logID": hex::encode(&self.log_id),
            "logIndex": self.index,
        });
        let mut signature = self.signed_by.sign(canonical(&document).as_bytes());
        if self.damaged {
            certificate::damage(&mut signature);
        }
        signature
    }
}

/// Where a leaf stands among others.
#[derive(Clone, Copy, Debug)]
pub struct TreeDraft {
    /// Leaves before it.
    pub before: usize,
    /// Leaves after it.
    pub after: usize,
}

/// An inclusion proof before it is written down.
#[derive(Clone, Debug)]
pub struct ProofDraft {
    /// The leaf's position.
    pub leaf_index: i64,
    /// Size of the tree.
    pub tree_size: i64,
    /// Root hash of the tree.
    pub root: NodeHash,
    /// The siblings.
    pub hashes: Vec<NodeHash>,
}

impl TreeDraft {
    /// The proof of that leaf in a tree of others.
    #[must_use]
    pub fn prove(self, leaf: &[u8]) -> ProofDraft {
        let other = |number| merkle::leaf_hash(format!("another leaf, number {number}").as_bytes());
        let mut leaves: Vec<NodeHash> = (0..self.before).map(other).collect();
        leaves.push(merkle::leaf_hash(leaf));
        leaves.extend((0..self.after).map(|number| other(self.before + 1 + number)));
        let number = |number: usize| i64::try_from(number).expect("a small tree");
        ProofDraft {
            leaf_index: number(self.before),
            tree_size: number(leaves.len()),
            root: merkle::root(&leaves),
            hashes: merkle::path(self.before, &leaves),
        }
    }
}

/// DER that is a certificate in nothing but its tag.
#[must_use]
pub fn not_a_certificate() -> Vec<u8> {
    der::sequence(&[&der::small(7)])
}

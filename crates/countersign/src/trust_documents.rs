//! The parts of trusted roots and signing configurations, as they are written.
//!
//! `sigstore_trustroot.proto`. A trusted root is of version 0.1, because the Go, Python and Java
//! clients take no other.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::{KeyKind, PublicKey};
use evidence::{Certificate, UnixTime};
use serde_json::{Value, json};

pub(crate) const TRUSTED_ROOT_MEDIA_TYPE: &str =
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
pub(crate) const SIGNING_CONFIG_MEDIA_TYPE: &str =
    "application/vnd.dev.sigstore.signingconfig.v0.2+json";

/// From when until when something is to be believed or used (`TimeRange`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    pub(crate) start: Option<UnixTime>,
    pub(crate) end: Option<UnixTime>,
}

impl Period {
    /// From that moment on.
    pub(crate) fn from(start: UnixTime) -> Self {
        Self { start: Some(start), end: None }
    }

    fn to_json(self) -> Value {
        let mut range = serde_json::Map::new();
        let bounds = [("start", self.start), ("end", self.end)];
        for (name, bound) in bounds {
            if let Some(time) = bound {
                range.insert(name.to_owned(), time.to_string().into());
            }
        }
        range.into()
    }
}

/// A log's entry in a trusted root (`TransparencyLogInstance`); `None` for a key of a kind that
/// no log signs with.
pub(crate) fn log(url: &str, key: &PublicKey, id: [u8; 32], period: Period) -> Option<Value> {
    let details = match key.kind() {
        KeyKind::EcdsaP256 => "PKIX_ECDSA_P256_SHA_256",
        KeyKind::EcdsaP384 => "PKIX_ECDSA_P384_SHA_384",
        KeyKind::EcdsaP521 => "PKIX_ECDSA_P521_SHA_512",
        KeyKind::Ed25519 => "PKIX_ED25519",
        KeyKind::Rsa { bits: 2048 } => "PKIX_RSA_PKCS1V15_2048_SHA256",
        KeyKind::Rsa { bits: 3072 } => "PKIX_RSA_PKCS1V15_3072_SHA256",
        KeyKind::Rsa { bits: 4096 } => "PKIX_RSA_PKCS1V15_4096_SHA256",
        KeyKind::Rsa { .. } => return None,
    };
    Some(json!({
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": STANDARD.encode(key.spki_der()),
            "keyDetails": details,
            "validFor": period.to_json(),
        },
        "logId": {"keyId": STANDARD.encode(id)},
    }))
}

/// An authority's entry in a trusted root (`CertificateAuthority`): certificates from the issuing
/// one to the root.
pub(crate) fn authority(
    url: &str,
    organization: &str,
    common_name: &str,
    chain: &[Certificate],
    period: Period,
) -> Value {
    let certificates =
        chain.iter().map(|certificate| json!({"rawBytes": STANDARD.encode(certificate.der())}));
    json!({
        "subject": {"organization": organization, "commonName": common_name},
        "uri": url,
        "certChain": {"certificates": certificates.collect::<Vec<_>>()},
        "validFor": period.to_json(),
    })
}

/// A service's entry in a signing configuration (`Service`).
pub(crate) fn service(url: &str, version: u32, operator: &str, period: Period) -> Value {
    json!({
        "url": url,
        "majorApiVersion": version,
        "validFor": period.to_json(),
        "operator": operator,
    })
}

/// A document as it is written to a file.
pub(crate) fn pretty(value: &Value) -> Vec<u8> {
    let mut json =
        serde_json::to_vec_pretty(value).expect("a value of texts and numbers always serialises");
    json.push(b'\n');
    json
}

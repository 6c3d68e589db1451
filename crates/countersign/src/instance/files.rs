//! What clients need to use and trust the instance: trusted root, signing configuration, and both
//! in one client trust configuration.
//!
//! `sigstore_trustroot.proto`. The trusted root is of version 0.1 because the Go, Python and Java
//! clients take no other. In the signing configuration v1 stands before v2: clients that take the
//! highest version find v2, those that take the first find v1, which they handle completely.

use std::path::Path;

use authority::{CertificateAuthority, TimestampAuthority};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::PublicKey;
use evidence::Certificate;
use evidence::note::key_id;
use serde_json::{Value, json};

use super::{Settings, cannot};
use crate::exit::Failure;
use crate::machine;

/// The operator that the signing configuration names: services of one operator belong together.
const OPERATOR: &str = "countersign";

/// The files' contents.
#[derive(Clone, Debug)]
pub(crate) struct TrustFiles {
    pub(crate) trusted_root: Vec<u8>,
    pub(crate) signing_config: Vec<u8>,
    pub(crate) trust_config: Vec<u8>,
}

/// What the files speak of.
pub(super) struct Members<'a> {
    pub(super) authority: &'a CertificateAuthority,
    pub(super) timestamps: &'a TimestampAuthority,
    pub(super) ct_key: &'a PublicKey,
    pub(super) log_v1_key: &'a PublicKey,
    pub(super) log_v2_key: &'a PublicKey,
    pub(super) settings: &'a Settings,
}

impl TrustFiles {
    /// Composes them for an instance at that base URL.
    pub(super) fn new(members: &Members<'_>, url: &str) -> Self {
        let trusted_root = trusted_root(members, url);
        let signing_config = signing_config(members.settings, url);
        let trust_config = json!({
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": trusted_root,
            "signingConfig": signing_config,
        });
        Self {
            trusted_root: pretty(&trusted_root),
            signing_config: pretty(&signing_config),
            trust_config: pretty(&trust_config),
        }
    }

    /// Writes them into a directory, each replaced as a whole.
    pub(super) fn write(&self, directory: &Path) -> Result<(), Failure> {
        let io = |error| cannot("write the files for clients into", directory).caused_by(error);
        std::fs::create_dir_all(directory).map_err(io)?;
        for (name, content) in [
            ("trusted_root.json", &self.trusted_root),
            ("signing_config.json", &self.signing_config),
            ("trust_config.json", &self.trust_config),
        ] {
            machine::replace(&directory.join(name), content).map_err(io)?;
        }
        Ok(())
    }
}

fn trusted_root(members: &Members<'_>, url: &str) -> Value {
    let Members { authority, timestamps, ct_key, log_v1_key, log_v2_key, settings } = members;
    let start = json!({"start": settings.start().to_string()});
    let log = |key: &PublicKey, details: &str, base_url: String, id: [u8; 32]| {
        json!({
            "baseUrl": base_url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": STANDARD.encode(key.spki_der()),
                "keyDetails": details,
                "validFor": start,
            },
            "logId": {"keyId": STANDARD.encode(id)},
        })
    };
    let chain = |certificates: &[Certificate]| {
        let encoded = certificates
            .iter()
            .map(|certificate| json!({"rawBytes": STANDARD.encode(certificate.der())}));
        json!({"certificates": encoded.collect::<Vec<_>>()})
    };
    let subject = |name: &str| json!({"organization": "Countersign", "commonName": name});
    const ECDSA: &str = "PKIX_ECDSA_P256_SHA_256";
    json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [
            log(log_v1_key, ECDSA, url.to_owned(), log_v1_key.id()),
            log(log_v2_key, "PKIX_ED25519", url.to_owned(), key_id(&settings.host, log_v2_key)),
        ],
        "certificateAuthorities": [{
            "subject": subject("Countersign intermediate"),
            "uri": url,
            "certChain": chain(authority.chain()),
            "validFor": start,
        }],
        "ctlogs": [log(ct_key, ECDSA, format!("{url}/ct"), ct_key.id())],
        "timestampAuthorities": [{
            "subject": subject("Countersign timestamp authority"),
            "uri": format!("{url}/api/v1/timestamp"),
            "certChain": chain(timestamps.chain()),
            "validFor": start,
        }],
    })
}

fn signing_config(settings: &Settings, url: &str) -> Value {
    let service = |url: String, version: u32| {
        json!({
            "url": url,
            "majorApiVersion": version,
            "validFor": {"start": settings.start().to_string()},
            "operator": OPERATOR,
        })
    };
    json!({
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        // Clients call /api/v2 of an authority whose major version is 1.
        "caUrls": [service(url.to_owned(), 1)],
        "oidcUrls": [],
        "rekorTlogUrls": [service(url.to_owned(), 1), service(url.to_owned(), 2)],
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaUrls": [service(format!("{url}/api/v1/timestamp"), 1)],
        "tsaConfig": {"selector": "ANY"},
    })
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut json =
        serde_json::to_vec_pretty(value).expect("a value of texts and numbers always serialises");
    json.push(b'\n');
    json
}

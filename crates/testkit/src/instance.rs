//! A private Sigstore in memory: who issues, who logs, who keeps time, and the trust root that
//! believes them (`sigstore_trustroot.proto`).

use crypto::{KeyKind, sha256};
use serde_json::{Value, json};

use crate::certificate::{
    CODE_SIGNING, CertificateDraft, DIGITAL_SIGNATURE, ExtensionDraft, KEY_CERT_SIGN, SctDraft,
    TIME_STAMPING,
};
use crate::clock::{CERTIFIED_FROM, CERTIFIED_TO, DISSOLVED, FOUNDED, rfc3339};
use crate::json::base64;
use crate::key::Key;
use crate::log::key_details;
use crate::{certificate, der, note};

/// Host of the v1 log.
pub const LOG_V1_HOST: &str = "rekor.testkit.example";
/// Origin of the v1 log's checkpoints.
pub const LOG_V1_ORIGIN: &str = "rekor.testkit.example - 1193050959916656506";
/// Host and origin of the v2 log.
pub const LOG_V2_HOST: &str = "log2026-1.testkit.example";
/// The identity provider.
pub const ISSUER: &str = "https://token.testkit.example";
/// The workflow that signs.
pub const SUBJECT: &str =
    "https://git.testkit.example/acme/app/.ci/workflows/release.yml@refs/tags/v1.0.0";

/// A validity window of the trust root.
pub type Window = (i64, Option<i64>);

/// The instance; every part may be changed before a scene is sealed.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Certificates of the certificate authority, the issuing one first.
    pub authorities: Vec<CertificateDraft>,
    /// The issuing authority's key.
    pub authority_key: Key,
    /// When the trust root believes the authority.
    pub authority_window: Window,
    /// The CT log's key.
    pub ct_key: Key,
    /// When the trust root believes it.
    pub ct_window: Window,
    /// The v1 log's key.
    pub log_v1_key: Key,
    /// When the trust root believes it.
    pub log_v1_window: Window,
    /// The v2 log's key.
    pub log_v2_key: Key,
    /// When the trust root believes it.
    pub log_v2_window: Window,
    /// The certificate that signs timestamps.
    pub timestamp_signer: CertificateDraft,
    /// Its key.
    pub timestamp_key: Key,
    /// Authorities above it, the issuing one first.
    pub timestamp_authorities: Vec<CertificateDraft>,
    /// When the trust root believes them.
    pub timestamp_window: Window,
    /// Whether the trust root holds the certificate that signs timestamps.
    pub timestamp_signer_pinned: bool,
}

/// The certificates of an instance's authorities, signed.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Of the certificate authority, the issuing one first.
    pub authorities: Vec<Vec<u8>>,
    /// The one that signs timestamps.
    pub timestamp_signer: Vec<u8>,
    /// Of the authorities above it.
    pub timestamp_authorities: Vec<Vec<u8>>,
}

impl Default for Instance {
    fn default() -> Self {
        Self::named("testkit")
    }
}

impl Instance {
    /// An instance with keys made from its name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let key = |role: &str, kind| Key::named(&format!("{name} {role}"), kind);
        let root = key("root", KeyKind::EcdsaP384);
        let issuing = key("intermediate", KeyKind::EcdsaP384);
        let stamp_root = key("timestamp root", KeyKind::EcdsaP384);
        let stamp = key("timestamp signer", KeyKind::EcdsaP384);
        let organisation = format!("{name}.example");
        let root_name = der::name(&organisation, "root");
        let issuing_name = der::name(&organisation, "intermediate");
        let stamp_root_name = der::name(&organisation, "timestamp root");
        let stamp_name = der::name(&organisation, "timestamps");
        Self {
            authorities: vec![
                authority(&issuing_name, &issuing, &root_name, &root, Some(CODE_SIGNING), Some(0)),
                authority(&root_name, &root, &root_name, &root, None, Some(1)),
            ],
            authority_key: issuing,
            authority_window: (FOUNDED, None),
            ct_key: key("ct", KeyKind::EcdsaP256),
            ct_window: (FOUNDED, None),
            log_v1_key: key("log v1", KeyKind::EcdsaP256),
            log_v1_window: (FOUNDED, None),
            log_v2_key: key("log v2", KeyKind::Ed25519),
            log_v2_window: (FOUNDED, None),
            timestamp_signer: CertificateDraft {
                extensions: vec![
                    ExtensionDraft::key_usage(&[DIGITAL_SIGNATURE]),
                    ExtensionDraft::extended_key_usage(&[TIME_STAMPING], true),
                    ExtensionDraft::subject_key_id(&stamp),
                    ExtensionDraft::authority_key_id(&stamp_root),
                ],
                ..plain(&stamp_name, &stamp, &stamp_root_name, &stamp_root)
            },
            timestamp_key: stamp,
            timestamp_authorities: vec![authority(
                &stamp_root_name,
                &stamp_root,
                &stamp_root_name,
                &stamp_root,
                None,
                Some(0),
            )],
            timestamp_window: (FOUNDED, None),
            timestamp_signer_pinned: true,
        }
    }

    /// The certificate that this instance would issue for that key.
    #[must_use]
    pub fn certificate(&self, key: &Key) -> CertificateDraft {
        let issuing = &self.authorities[0];
        let mut extensions = vec![
            ExtensionDraft::key_usage(&[DIGITAL_SIGNATURE]),
            ExtensionDraft::extended_key_usage(&[CODE_SIGNING], false),
            ExtensionDraft::subject_key_id(key),
            ExtensionDraft::authority_key_id(&self.authority_key),
            ExtensionDraft::names(&[certificate::uri(SUBJECT)]),
        ];
        extensions
            .extend(fulcio_values().map(|(number, value)| ExtensionDraft::fulcio(number, &value)));
        CertificateDraft {
            issuer: issuing.subject.clone(),
            subject: der::empty_name(),
            not_before: CERTIFIED_FROM,
            not_after: CERTIFIED_TO,
            extensions,
            scts: vec![SctDraft::new(&self.ct_key, &issuing.spki, CERTIFIED_FROM)],
            ..plain(&der::empty_name(), key, &issuing.subject, &self.authority_key)
        }
    }

    /// The v1 log's identifier.
    #[must_use]
    pub fn log_v1_id(&self) -> Vec<u8> {
        sha256(&self.log_v1_key.spki()).to_vec()
    }

    /// The v2 log's identifier.
    #[must_use]
    pub fn log_v2_id(&self) -> Vec<u8> {
        note::key_id(LOG_V2_HOST, &self.log_v2_key).to_vec()
    }

    /// Signs the certificates of the authorities. ECDSA signs differently each time, so whatever
    /// names a certificate by its hash needs the very one that the trust root holds.
    #[must_use]
    pub fn issue(&self) -> Issued {
        let sealed = |drafts: &[CertificateDraft]| -> Vec<Vec<u8>> {
            drafts.iter().map(CertificateDraft::seal).collect()
        };
        Issued {
            authorities: sealed(&self.authorities),
            timestamp_signer: self.timestamp_signer.seal(),
            timestamp_authorities: sealed(&self.timestamp_authorities),
        }
    }

    /// The trust root that believes this instance, with these certificates.
    #[must_use]
    pub fn trust_root(&self, issued: &Issued) -> Value {
        let raw = |der: &Vec<u8>| json!({"rawBytes": base64(der)});
        let authorities: Vec<_> = issued.authorities.iter().map(raw).collect();
        let signer = self.timestamp_signer_pinned.then_some(&issued.timestamp_signer);
        let stamps: Vec<_> =
            signer.into_iter().chain(&issued.timestamp_authorities).map(raw).collect();
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [
                log(LOG_V1_HOST, &self.log_v1_key, &self.log_v1_id(), self.log_v1_window),
                log(LOG_V2_HOST, &self.log_v2_key, &self.log_v2_id(), self.log_v2_window),
            ],
            "ctlogs": [log(
                "ct.testkit.example/log",
                &self.ct_key,
                &sha256(&self.ct_key.spki()),
                self.ct_window,
            )],
            "certificateAuthorities": [{
                "subject": {"organization": "testkit.example", "commonName": "root"},
                "uri": "https://fulcio.testkit.example",
                "certChain": {"certificates": authorities},
                "validFor": window(self.authority_window),
            }],
            "timestampAuthorities": [{
                "subject": {"organization": "testkit.example", "commonName": "timestamps"},
                "uri": "https://tsa.testkit.example/api/v1/timestamp",
                "certChain": {"certificates": stamps},
                "validFor": window(self.timestamp_window),
            }],
        })
    }
}

/// Every Fulcio extension with a value that names it; the two issuers agree.
pub fn fulcio_values() -> impl Iterator<Item = (u8, String)> {
    (1..=24).filter(|number| *number != 7).map(|number| match number {
        1 | 8 => (number, ISSUER.to_owned()),
        _ => (number, format!("value of extension {number}")),
    })
}

fn plain(subject: &[u8], key: &Key, issuer: &[u8], signed_by: &Key) -> CertificateDraft {
    CertificateDraft {
        serial: sha256(&[subject, &key.spki()].concat())[..16].to_vec(),
        issuer: issuer.to_vec(),
        subject: subject.to_vec(),
        not_before: FOUNDED,
        not_after: DISSOLVED,
        spki: key.spki(),
        extensions: Vec::new(),
        scts: Vec::new(),
        sct_list: None,
        signed_by: signed_by.clone(),
        scheme: None,
        damaged: false,
    }
}

/// An authority's certificate.
#[must_use]
pub fn authority(
    subject: &[u8],
    key: &Key,
    issuer: &[u8],
    signed_by: &Key,
    purpose: Option<&str>,
    path_length: Option<u64>,
) -> CertificateDraft {
    let mut extensions = vec![
        ExtensionDraft::key_usage(&[KEY_CERT_SIGN, 6]),
        ExtensionDraft::authority(path_length),
        ExtensionDraft::subject_key_id(key),
        ExtensionDraft::authority_key_id(signed_by),
    ];
    extensions.extend(purpose.map(|purpose| ExtensionDraft::extended_key_usage(&[purpose], false)));
    CertificateDraft { extensions, ..plain(subject, key, issuer, signed_by) }
}

fn log(host: &str, key: &Key, id: &[u8], valid: Window) -> Value {
    let scheme = key.public().default_scheme();
    json!({
        "baseUrl": format!("https://{host}"),
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": base64(&key.spki()),
            "keyDetails": key_details(key.kind(), scheme),
            "validFor": window(valid),
        },
        "logId": {"keyId": base64(id)},
    })
}

fn window((start, end): Window) -> Value {
    let mut window = json!({"start": rfc3339(start)});
    if let Some(end) = end {
        window["end"] = Value::from(rfc3339(end));
    }
    window
}

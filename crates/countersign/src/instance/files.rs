//! What clients need to use and trust the instance: trusted root, signing configuration, and both
//! in one client trust configuration.
//!
//! `sigstore_trustroot.proto`. In the signing configuration v1 stands before v2: clients that take
//! the highest version find v2, those that take the first find v1, which they handle completely.

use std::path::Path;

use authority::{CertificateAuthority, TimestampAuthority};
use crypto::PublicKey;
use evidence::note::key_id;
use serde_json::{Value, json};

use super::{Settings, cannot};
use crate::exit::Failure;
use crate::machine;
use crate::trust_documents::{
    self, Period, SIGNING_CONFIG_MEDIA_TYPE, TRUSTED_ROOT_MEDIA_TYPE, pretty,
};

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
    pub(super) logins: &'a [String],
}

impl TrustFiles {
    /// Composes them for an instance at that base URL.
    pub(super) fn new(members: &Members<'_>, url: &str) -> Self {
        let trusted_root = trusted_root(members, url);
        let signing_config = signing_config(members, url);
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
    let Members { authority, timestamps, ct_key, log_v1_key, log_v2_key, settings, .. } = members;
    let since = Period::from(settings.start());
    let log = |key: &PublicKey, url: &str, id| {
        trust_documents::log(url, key, id, since).expect("an instance makes no other kind of key")
    };
    let authority_of =
        |url: &str, name, chain| trust_documents::authority(url, "Countersign", name, chain, since);
    json!({
        "mediaType": TRUSTED_ROOT_MEDIA_TYPE,
        "tlogs": [
            log(log_v1_key, url, log_v1_key.id()),
            log(log_v2_key, url, key_id(&settings.host, log_v2_key)),
        ],
        "certificateAuthorities": [
            authority_of(url, "Countersign intermediate", authority.chain()),
        ],
        "ctlogs": [log(ct_key, &format!("{url}/ct"), ct_key.id())],
        "timestampAuthorities": [authority_of(
            &format!("{url}/api/v1/timestamp"),
            "Countersign timestamp authority",
            timestamps.chain(),
        )],
    })
}

fn signing_config(members: &Members<'_>, url: &str) -> Value {
    let since = Period::from(members.settings.start());
    let service = |url: &str, version| trust_documents::service(url, version, OPERATOR, since);
    json!({
        "mediaType": SIGNING_CONFIG_MEDIA_TYPE,
        // Clients call /api/v2 of an authority whose major version is 1.
        "caUrls": [service(url, 1)],
        // Where a client sends people that bring no token. CI systems are no place to log in at.
        "oidcUrls": members.logins.iter().map(|url| service(url, 1)).collect::<Vec<_>>(),
        "rekorTlogUrls": [service(url, 1), service(url, 2)],
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaUrls": [service(&format!("{url}/api/v1/timestamp"), 1)],
        "tsaConfig": {"selector": "ANY"},
    })
}

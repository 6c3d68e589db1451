//! What the program brings along for the public instance and its rehearsal: data that the official
//! Python client (4.5.1) carries too.

use verify::TrustRoot;

use super::{Material, Origin, PUBLIC_MIRROR, STAGING_MIRROR};

/// An instance as it was when the program was made.
#[derive(Debug)]
pub(super) struct Shipped {
    pub(super) mirror: &'static str,
    pub(super) root: &'static [u8],
    signing_config: Option<&'static [u8]>,
}

/// The public instance: root 15, and the trust root that `verify` has.
pub(super) const PUBLIC: Shipped = Shipped {
    mirror: PUBLIC_MIRROR,
    root: include_bytes!("../../data/public-good-root.json"),
    signing_config: Some(include_bytes!("../../data/public-good-signing-config.json")),
};

/// Its rehearsal: nobody should go by it offline.
pub(super) const STAGING: Shipped = Shipped {
    mirror: STAGING_MIRROR,
    root: include_bytes!("../../data/staging-root.json"),
    signing_config: None,
};

impl Shipped {
    /// What can be said without asking anybody; nothing for the rehearsal.
    pub(super) fn material(&self) -> Option<Material> {
        let signing_config = self.signing_config?;
        Some(Material {
            trusted_root: TrustRoot::public_good_json().to_vec(),
            signing_config: Some(signing_config.to_vec()),
            signing_config_rekor_v2: None,
            origin: Origin::Shipped,
            warnings: Vec::new(),
        })
    }
}

//! What comes of asking a mirror: a trust root, signing configurations, and what the user should
//! hear about them.

use std::path::PathBuf;

use evidence::UnixTime;
use verify::TrustRoot;
use verify::trust_root::ParseTrustRootError;

use super::failure::MirrorError;
use super::{SIGNING_CONFIG, SIGNING_CONFIG_REKOR_V2, TRUSTED_ROOT};
use crate::error::FetchError;
use crate::trust_config::{ClientTrustConfig, SigningConfig};

/// What a mirror, its last-good copy, or the program says about an instance.
#[derive(Clone, Debug)]
pub struct Material {
    pub(super) trusted_root: Vec<u8>,
    pub(super) signing_config: Option<Vec<u8>>,
    pub(super) signing_config_rekor_v2: Option<Vec<u8>>,
    pub(super) origin: Origin,
    pub(super) warnings: Vec<Warning>,
}

/// Where material comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The mirror, now.
    Mirror,
    /// The last-good copy, which the mirror gave at that time.
    LastGood {
        /// When; `None` for a copy that another client left.
        fetched: Option<UnixTime>,
    },
    /// The program, which was made with it.
    Shipped,
}

/// What the user should hear, although there is material.
#[derive(Clone, Debug)]
pub enum Warning {
    /// A role's metadata is no longer valid, and nobody may be asked for newer.
    Expired {
        /// The role.
        role: &'static str,
        /// When it ended.
        expired: UnixTime,
    },
    /// A role's metadata will not be valid for long, and there is no newer.
    ExpiresSoon {
        /// The role.
        role: &'static str,
        /// When it ends.
        expires: UnixTime,
    },
    /// The mirror could not be asked, so that the last-good copy is used.
    NotRefreshed(FetchError),
    /// No last-good copy: what the program brings along is as old as the program.
    Shipped,
    /// There is a last-good copy that cannot be used.
    BadLastGood {
        /// Where.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// What the mirror gave could not be kept, so that it has to be asked again next time.
    NotKept {
        /// Where it should be.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
}

/// Which signing configuration is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SigningProfile {
    /// The one that clients use unless told otherwise.
    #[default]
    Usual,
    /// The one with the newer logs.
    RekorV2,
}

impl Material {
    /// Whom to believe.
    ///
    /// # Errors
    /// When the target is no trust root.
    pub fn trust_root(&self) -> Result<TrustRoot, ParseTrustRootError> {
        if self.trusted_root == TrustRoot::public_good_json() {
            return Ok(TrustRoot::public_good());
        }
        TrustRoot::pin(&self.trusted_root)
    }

    /// The trust root's bytes, as they were signed for.
    #[must_use]
    pub fn trusted_root_json(&self) -> &[u8] {
        &self.trusted_root
    }

    /// The signing configuration's bytes, if there is one of that profile.
    #[must_use]
    pub fn signing_config_json(&self, profile: SigningProfile) -> Option<&[u8]> {
        match profile {
            SigningProfile::Usual => self.signing_config.as_deref(),
            SigningProfile::RekorV2 => self.signing_config_rekor_v2.as_deref(),
        }
    }

    /// Whom to believe and whom to ask.
    ///
    /// # Errors
    /// When the instance has no such signing configuration, or a target is not what it should be.
    pub fn trust_config(&self, profile: SigningProfile) -> Result<ClientTrustConfig, MirrorError> {
        let name = match profile {
            SigningProfile::Usual => SIGNING_CONFIG,
            SigningProfile::RekorV2 => SIGNING_CONFIG_REKOR_V2,
        };
        let json = self
            .signing_config_json(profile)
            .ok_or_else(|| MirrorError::NoTarget { mirror: "that was asked".to_owned(), name })?;
        let malformed =
            |name| move |error| MirrorError::Malformed { name, source: Box::new(error) };
        Ok(ClientTrustConfig {
            trust_root: self.trust_root().map_err(|error| malformed(TRUSTED_ROOT)(error.into()))?,
            signing_config: SigningConfig::parse(json).map_err(malformed(name))?,
        })
    }

    /// Where it comes from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// What the user should hear.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    pub(super) fn warned(mut self, warnings: Vec<Warning>) -> Self {
        self.warnings.extend(warnings);
        self
    }
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Expired { role, expired } => {
                write!(f, "the {role} metadata of the trust root expired at {expired}")
            }
            Self::ExpiresSoon { role, expires } => {
                write!(f, "the {role} metadata of the trust root expires at {expires}")
            }
            Self::NotRefreshed(error) => {
                write!(f, "the trust root was not refreshed, the last-good copy is used: {error}")
            }
            Self::Shipped => {
                f.write_str("no copy of the trust root is at hand but the one in this program")
            }
            Self::BadLastGood { path, reason } => {
                write!(
                    f,
                    "the copy of the trust root at {} is not usable: {reason}",
                    path.display()
                )
            }
            Self::NotKept { path, reason } => {
                write!(f, "the trust root could not be kept at {}: {reason}", path.display())
            }
        }
    }
}

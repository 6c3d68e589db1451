//! Why metadata is not believed, why there is no material, and what can be done about it.

use evidence::UnixTime;

use super::TRUSTED_ROOT;
use crate::error::{Cause, FetchError};
use crate::trust_config::ParseTrustConfigError;

/// Most keys in one piece of metadata; the public instance's root has seven.
pub(super) const KEYS_MAX: usize = 64;

/// Why metadata must not be believed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// An older version than one seen before.
    #[error("{role}: version {found} is older than version {trusted}, which was seen before")]
    Rollback {
        /// The role.
        role: String,
        /// The version seen before.
        trusted: u64,
        /// The version found.
        found: u64,
    },
    /// A root that does not follow the one before.
    #[error("root: wanted the version after {trusted}, found {found}")]
    RootVersion {
        /// The version before.
        trusted: u64,
        /// The version found.
        found: u64,
    },
    /// Too few good signatures of different keys.
    #[error("{role}: wanted {wanted} good signatures of different keys, found {found}")]
    Threshold {
        /// The role.
        role: String,
        /// How many are demanded.
        wanted: usize,
        /// How many there are.
        found: usize,
    },
    /// Two signatures under one name.
    #[error("{role}: two signatures of one key")]
    DuplicateSignature {
        /// The role.
        role: String,
    },
    /// One key under two names, which could then sign twice.
    #[error("{role}: one key stands there under two names")]
    SharedKey {
        /// The role that it may sign for.
        role: String,
    },
    /// More keys than are read.
    #[error("{found} keys are more than the {KEYS_MAX} read")]
    TooManyKeys {
        /// How many there are.
        found: usize,
    },
    /// Another length, hash or version than the metadata above says.
    #[error("{0}")]
    Integrity(String),
    /// An answer that no mirror should give, such as one without end.
    #[error("an answer that is not read")]
    Answer(#[source] FetchError),
    /// Metadata that cannot be read, or uses what is not known here.
    #[error("malformed metadata")]
    Malformed(#[source] Cause),
}

impl From<sigstore_tuf::Error> for Fault {
    fn from(error: sigstore_tuf::Error) -> Self {
        use sigstore_tuf::Error as E;
        // What our own guards found travels through the library as the source of its error.
        if let E::Transport { source: Some(source), .. } = &error
            && let Some(fault) = source.downcast_ref::<Self>()
        {
            return fault.clone();
        }
        match error {
            E::Rollback { role, trusted, new } => Self::Rollback { role, trusted, found: new },
            E::BadRootVersion { trusted, new } => Self::RootVersion { trusted, found: new },
            E::ThresholdNotMet { role, found, threshold } => {
                Self::Threshold { role, wanted: threshold, found }
            }
            E::DuplicateSignature { role, .. } => Self::DuplicateSignature { role },
            E::IntegrityMismatch(what) => Self::Integrity(what),
            error => Self::Malformed(Cause::new(error)),
        }
    }
}

/// Why there is no material.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The root that the user gave is none, or is not signed by its own keys.
    #[error("the root to begin with")]
    Anchor(#[source] Fault),
    /// The mirror could not be asked, and there is no valid last-good copy.
    #[error("the mirror {mirror} could not be asked, and there is no valid copy of what it said")]
    Fetch {
        /// The mirror.
        mirror: String,
        /// What happened.
        source: FetchError,
    },
    /// The mirror sent something that must not be believed. The last-good copy stays as it is.
    #[error("the mirror {mirror} sent what must not be believed")]
    Refused {
        /// The mirror.
        mirror: String,
        /// Why not.
        source: Fault,
    },
    /// The mirror's metadata is no longer valid.
    #[error("the {role} of the mirror {mirror} expired at {expired}; it is {now} now")]
    Expired {
        /// The mirror.
        mirror: String,
        /// Which metadata.
        role: String,
        /// When it ended.
        expired: UnixTime,
        /// When that was noticed.
        now: UnixTime,
    },
    /// Offline, and there is nothing to go by.
    #[error("offline, and there is no usable copy of what {mirror} said")]
    NothingOffline {
        /// The mirror.
        mirror: String,
    },
    /// The mirror has no such target.
    #[error("the mirror {mirror} has no `{name}`")]
    NoTarget {
        /// The mirror.
        mirror: String,
        /// The target.
        name: &'static str,
    },
    /// A target is not what its name says.
    #[error("`{name}`")]
    Malformed {
        /// The target.
        name: &'static str,
        /// What is wrong.
        source: Box<ParseTrustConfigError>,
    },
}

impl MirrorError {
    /// What can be done about it, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Anchor(_) => Some("give a TUF root (a file like `1.root.json`)".to_owned()),
            Self::Fetch { source, .. } => Some(match source.hint() {
                Some(hint) => format!("{hint}; or go by what is at hand with --offline"),
                None => "go by what is at hand with --offline".to_owned(),
            }),
            Self::Refused { mirror, .. } => {
                Some(format!("{mirror} or something before it alters content: tell its operator"))
            }
            Self::Expired { mirror, .. } => Some(format!(
                "check this machine's clock; if it is right, the operator of {mirror} has to sign \
                 again"
            )),
            Self::NothingOffline { .. } => {
                Some("run once without --offline, or give a --trusted-root".to_owned())
            }
            Self::NoTarget { name: TRUSTED_ROOT, .. } => {
                Some("ask its operator for a trust root, and give it as --trusted-root".to_owned())
            }
            Self::NoTarget { .. } => {
                Some("give a --signing-config, or name the services".to_owned())
            }
            Self::Malformed { .. } => None,
        }
    }
}

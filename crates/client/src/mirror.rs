//! An instance's TUF repository: where a client gets its trust root and the services to ask.
//!
//! The Update Framework 1.0.34, "Detailed client workflow" (§5). Metadata is verified by
//! `sigstore-tuf`, a state machine that does no I/O itself; around it stand bounds on all that a
//! mirror can send, keys that count once whatever they are called, a last-good copy that is
//! replaced whole or not at all, and a word for everything that went wrong. Keys have the names
//! that the metadata gives them: other implementations compute names anew, and refuse GitHub's
//! repository for it.
//!
//! Never asks a mirror when told to be offline, nor more often than necessary; never falls back to
//! something older because of metadata that was refused; never uses a name out of the metadata as
//! the path of a file.

mod failure;
mod initialize;
mod last_good;
mod material;
mod metadata;
mod remote;
mod settings;
mod shipped;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use evidence::UnixTime;
use sigstore_tuf::{Updater, UpdaterConfig};

use crate::address::ServiceUrl;
use crate::deadline::Deadline;
use crate::error::FetchError;
use crate::http::Http;

pub use failure::{Fault, MirrorError};
pub use initialize::{InitializeError, initialize};
pub use material::{Material, Origin, SigningProfile, Warning};
pub use settings::{Settings, SettingsError};

use last_good::{LastGood, Shelf};
use metadata::{Expiry, check_keys};
use remote::{Kept, Remote};

/// Where the public instance publishes its trust root.
pub const PUBLIC_MIRROR: &str = "https://tuf-repo-cdn.sigstore.dev";

/// Where the public instance's rehearsal does.
pub const STAGING_MIRROR: &str = "https://tuf-repo-cdn.sigstage.dev";

/// How old a last-good copy may be before the mirror is asked again: a day, while the public
/// instance's timestamp is valid for seven.
pub const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The targets that a client needs; only the first has to be there.
const TRUSTED_ROOT: &str = "trusted_root.json";
const SIGNING_CONFIG: &str = "signing_config.v0.2.json";
const SIGNING_CONFIG_REKOR_V2: &str = "signing_config_rekor_v2.v0.2.json";
const TARGETS: [&str; 3] = [TRUSTED_ROOT, SIGNING_CONFIG, SIGNING_CONFIG_REKOR_V2];

/// Longest metadata read, in bytes: the limits of python-tuf, but for targets, of which the public
/// instance has 6 kB.
const ROOT_SIZE_MAX: u64 = 512_000;
const TIMESTAMP_SIZE_MAX: u64 = 16_384;
const SNAPSHOT_SIZE_MAX: u64 = 2_000_000;
const TARGETS_SIZE_MAX: u64 = 2_000_000;
/// Longest target read, in bytes: what a trust root or signing configuration may be.
const TARGET_SIZE_MAX: u64 = crate::trust_config::TRUST_CONFIG_SIZE_MAX as u64;

/// Most new roots taken at once. The public instance has made three a year.
const ROTATIONS_MAX: u32 = 64;

/// Most roles looked into for one target.
const DELEGATIONS_MAX: u32 = 16;

/// How long before its end a role is warned of: people sign roots and targets, machines the others.
const WARN_PEOPLE: Duration = Duration::from_secs(14 * 24 * 60 * 60);
const WARN_MACHINES: Duration = Duration::from_secs(24 * 60 * 60);

/// A TUF repository, and whom to believe about it.
#[derive(Clone, Debug)]
pub struct Mirror {
    url: ServiceUrl,
    /// The root that everything else must descend from.
    anchor: Vec<u8>,
    /// What the program itself brings along, for the public instance.
    shipped: Option<&'static shipped::Shipped>,
    /// Where the last-good copy is kept, if anywhere.
    shelf: Option<Shelf>,
}

/// How much the mirror may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// Not while a valid last-good copy is younger than this.
    After(Duration),
    /// Not at all: no packet is sent. The last-good copy is used, else what the program brings
    /// along; that something has expired is a warning then, because there is nobody to ask.
    Offline,
}

impl Mirror {
    /// A mirror whose metadata descends from that root.
    ///
    /// # Errors
    /// When the root is none, or is not signed by its own keys.
    pub fn new(url: ServiceUrl, root: Vec<u8>) -> Result<Self, MirrorError> {
        check_keys("root.json", &root).map_err(MirrorError::Anchor)?;
        sigstore_tuf::TrustedMetadataSet::from_root(&root)
            .map_err(|error| MirrorError::Anchor(error.into()))?;
        Ok(Self { url, anchor: root, shipped: None, shelf: None })
    }

    /// The public instance.
    #[must_use]
    pub fn public() -> Self {
        Self::of_shipped(&shipped::PUBLIC)
    }

    /// Its rehearsal, of which the program brings only the root along.
    #[must_use]
    pub fn staging() -> Self {
        Self::of_shipped(&shipped::STAGING)
    }

    fn of_shipped(shipped: &'static shipped::Shipped) -> Self {
        let url = shipped.mirror.parse().expect("a constant URL");
        Self { url, anchor: shipped.root.to_vec(), shipped: Some(shipped), shelf: None }
    }

    /// Keeps the last-good copy in this folder, which may be one of Cosign's (`TUF_ROOT`) and may
    /// not be there yet.
    #[must_use]
    pub fn kept_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.shelf = Some(Shelf::new(folder.into(), &self.url));
        self
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &ServiceUrl {
        &self.url
    }

    /// What the instance says about itself: from the last-good copy while that may do, else from
    /// the mirror.
    ///
    /// # Errors
    /// When neither can be had, or the mirror sends what must not be believed.
    pub async fn material(
        &self,
        http: &Arc<Http>,
        refresh: Refresh,
        now: UnixTime,
        deadline: Deadline,
    ) -> Result<Material, MirrorError> {
        let mut warnings = Vec::new();
        let kept = self.kept(&mut warnings);
        match refresh {
            Refresh::Offline => return self.offline(kept, now, warnings).await,
            Refresh::After(max_age) => {
                if let Some(kept) = kept.as_ref().filter(|kept| kept.is_fresh(max_age, now))
                    && let Ok(material) = self.verified(kept, now).await
                {
                    return Ok(material.warned(warnings));
                }
            }
        }
        let files = kept.as_ref().map(LastGood::files).unwrap_or_default();
        let remote = Remote::new(Arc::clone(http), self.url.clone(), deadline);
        match self.update(remote, &files, now).await {
            Ok((found, expiry)) => {
                let fetched = LastGood::new(files.into_map(), &expiry, now);
                if let Some(shelf) = &self.shelf
                    && let Err(error) = shelf.write(&fetched, &self.url)
                {
                    let (path, reason) = (shelf.path(), error.to_string());
                    warnings.push(Warning::NotKept { path, reason });
                }
                warnings.extend(expiry.warnings(now));
                Ok(found.into_material(Origin::Mirror).warned(warnings))
            }
            Err(MirrorError::Fetch { mirror, source }) => {
                // Whoever keeps us from the mirror can do so until the last-good copy expires, and
                // gains nothing that keeping silent would not (TUF §1.5.2, indefinite freeze).
                if let Some(kept) = &kept
                    && let Ok(material) = self.verified(kept, now).await
                {
                    warnings.push(Warning::NotRefreshed(source));
                    return Ok(material.warned(warnings));
                }
                Err(MirrorError::Fetch { mirror, source })
            }
            Err(error) => Err(error),
        }
    }

    /// As [`Self::material`] with [`Refresh::Offline`].
    ///
    /// # Errors
    /// When there is nothing to go by.
    pub async fn offline_material(&self, now: UnixTime) -> Result<Material, MirrorError> {
        let mut warnings = Vec::new();
        let kept = self.kept(&mut warnings);
        self.offline(kept, now, warnings).await
    }

    /// The last-good copy, if there is a readable one.
    fn kept(&self, warnings: &mut Vec<Warning>) -> Option<LastGood> {
        let shelf = self.shelf.as_ref()?;
        match shelf.read(&self.url) {
            Ok(kept) => kept,
            Err(error) => {
                let (path, reason) = (shelf.path(), error.to_string());
                warnings.push(Warning::BadLastGood { path, reason });
                None
            }
        }
    }

    /// The last-good copy, verified anew as of `now`.
    async fn verified(&self, kept: &LastGood, now: UnixTime) -> Result<Material, MirrorError> {
        let files = kept.files();
        let (found, expiry) = self.update(Kept(files.clone()), &files, now).await?;
        let origin = Origin::LastGood { fetched: kept.fetched() };
        Ok(found.into_material(origin).warned(expiry.warnings(now)))
    }

    async fn offline(
        &self,
        kept: Option<LastGood>,
        now: UnixTime,
        mut warnings: Vec<Warning>,
    ) -> Result<Material, MirrorError> {
        if let Some(kept) = kept {
            // As of the last moment at which all of it was valid; signatures, versions, hashes are
            // checked as always.
            let expiry = Expiry::of(&self.anchor, &kept.files());
            let last = expiry.earliest().map_or(now, |end| end.plus_seconds(-1).min(now));
            match self.verified(&kept, last).await {
                Ok(mut material) => {
                    material.warnings = expiry.warnings(now);
                    return Ok(material.warned(warnings));
                }
                Err(error) => {
                    let path = self.shelf.as_ref().map(Shelf::path).unwrap_or_default();
                    let reason = chain(&error);
                    warnings.push(Warning::BadLastGood { path, reason });
                }
            }
        }
        let Some(material) = self.shipped.and_then(shipped::Shipped::material) else {
            return Err(MirrorError::NothingOffline { mirror: self.url.to_string() });
        };
        warnings.push(Warning::Shipped);
        Ok(material.warned(warnings))
    }

    /// Runs the client workflow over what is kept in `files` and what `repository` has. `files`
    /// hold everything that was verified afterwards.
    async fn update(
        &self,
        repository: impl sigstore_tuf::Repository + 'static,
        files: &metadata::Files,
        now: UnixTime,
    ) -> Result<(Found, Expiry), MirrorError> {
        let failed = |error: sigstore_tuf::Error| self.failure(error, now);
        // A moment later than now: what ends now has ended (TUF §5.3.10, "higher than").
        let time = metadata::timestamp(now);
        let mut limits = UpdaterConfig::default();
        limits.root_max_length = ROOT_SIZE_MAX;
        limits.timestamp_max_length = TIMESTAMP_SIZE_MAX;
        limits.snapshot_max_length = SNAPSHOT_SIZE_MAX;
        limits.targets_max_length = TARGETS_SIZE_MAX;
        limits.target_max_length = TARGET_SIZE_MAX;
        limits.max_root_rotations = ROTATIONS_MAX;
        limits.max_delegations = DELEGATIONS_MAX;
        let mut updater = Updater::new(repository, &self.anchor)
            .map_err(|error| MirrorError::Anchor(error.into()))?
            .with_config(limits)
            .with_store(files.clone());
        updater.refresh(time).await.map_err(failed)?;
        let mut found = Found::default();
        for (name, place) in TARGETS.into_iter().zip([
            &mut found.trusted_root,
            &mut found.signing_config,
            &mut found.signing_config_rekor_v2,
        ]) {
            *place = match updater.get_target(name, time).await {
                Ok(bytes) => Some(bytes),
                Err(sigstore_tuf::Error::TargetNotFound(_)) => None,
                Err(error) => return Err(failed(error)),
            };
        }
        if found.trusted_root.is_none() {
            let mirror = self.url.to_string();
            return Err(MirrorError::NoTarget { mirror, name: TRUSTED_ROOT });
        }
        Ok((found, Expiry::of(&self.anchor, files)))
    }

    fn failure(&self, error: sigstore_tuf::Error, now: UnixTime) -> MirrorError {
        let mirror = self.url.to_string();
        if let sigstore_tuf::Error::Transport { source: Some(source), .. } = &error
            && let Some(source) = source.downcast_ref::<FetchError>()
        {
            return match metadata::is_absent_or_away(source) {
                true => MirrorError::Fetch { mirror, source: source.clone() },
                // More bytes than the metadata may have are an attack, not an outage.
                false => MirrorError::Refused { mirror, source: Fault::Answer(source.clone()) },
            };
        }
        match error {
            sigstore_tuf::Error::Expired { role, expires } => MirrorError::Expired {
                mirror,
                role,
                expired: UnixTime::from_milliseconds(expires.as_millisecond()),
                now,
            },
            error => MirrorError::Refused { mirror, source: error.into() },
        }
    }
}

/// The targets, as far as there are any.
#[derive(Default)]
struct Found {
    trusted_root: Option<Vec<u8>>,
    signing_config: Option<Vec<u8>>,
    signing_config_rekor_v2: Option<Vec<u8>>,
}

impl Found {
    fn into_material(self, origin: Origin) -> Material {
        Material {
            trusted_root: self.trusted_root.expect("`update` demands it"),
            signing_config: self.signing_config,
            signing_config_rekor_v2: self.signing_config_rekor_v2,
            origin,
            warnings: Vec::new(),
        }
    }
}

/// An error with its sources, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

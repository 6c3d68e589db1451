//! What we ask of metadata beyond what the library does, what is kept of it, and when it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crypto::PublicKey;
use evidence::UnixTime;
use sigstore_tuf::{Key, Metadata, MetadataStore, Role, Root, Snapshot, Targets, Timestamp};

use super::failure::{Fault, KEYS_MAX};
use super::material::Warning;
use super::{WARN_MACHINES, WARN_PEOPLE};
use crate::error::{FetchError, FetchErrorKind};

/// Whether the mirror could not be asked, or does not have it; all else is its fault.
pub(super) fn is_absent_or_away(error: &FetchError) -> bool {
    !matches!(
        error.kind(),
        FetchErrorKind::TooLarge { .. }
            | FetchErrorKind::TooMany { .. }
            | FetchErrorKind::Malformed { .. }
            | FetchErrorKind::DigestMismatch { .. }
    )
}

/// For the library, which takes what ends *at* a moment for valid at that moment.
pub(super) fn timestamp(now: UnixTime) -> jiff::Timestamp {
    let moment = jiff::Timestamp::from_millisecond(now.milliseconds());
    let later = moment.map(|moment| moment.checked_add(jiff::SignedDuration::from_nanos(1)));
    later.and_then(|later| later).unwrap_or(jiff::Timestamp::MAX)
}

/// Refuses metadata in which a key could count twice towards a threshold because it has two names
/// (CVE-2026-6966), or which has more keys than anybody needs. What cannot be read passes: the
/// library refuses it.
pub(super) fn check_keys(name: &str, metadata: &[u8]) -> Result<(), Fault> {
    if name.ends_with("root.json") {
        let Ok(root) = Metadata::<Root>::from_slice(metadata) else { return Ok(()) };
        let Root { keys, roles, .. } = root.signed();
        return roles.iter().try_for_each(|(role, of)| distinct(role, keys, &of.keyids));
    }
    let Ok(targets) = Metadata::<Targets>::from_slice(metadata) else { return Ok(()) };
    let Some(delegations) = &targets.signed().delegations else { return Ok(()) };
    let keys = &delegations.keys;
    delegations.roles.iter().try_for_each(|role| distinct(&role.name, keys, &role.keyids))
}

fn distinct(role: &str, keys: &BTreeMap<String, Key>, names: &[String]) -> Result<(), Fault> {
    if keys.len() > KEYS_MAX {
        return Err(Fault::TooManyKeys { found: keys.len() });
    }
    // A name that stands there twice is one name.
    let names: BTreeSet<&String> = names.iter().collect();
    let mut seen = BTreeSet::new();
    for key in names.into_iter().filter_map(|name| keys.get(name)) {
        let public = key.keyval.public.trim();
        // The same key may be written in several ways; one that is not known here cannot sign.
        let material = PublicKey::from_pem(public.as_bytes())
            .map_or_else(|_| public.to_ascii_lowercase().into_bytes(), |key| key.raw_bytes());
        let material = match hex::decode(&material) {
            Ok(raw) if raw.len() == 32 => raw,
            _ => material,
        };
        if !seen.insert(material) {
            return Err(Fault::SharedKey { role: role.to_owned() });
        }
    }
    Ok(())
}

/// Verified files by the names that the library gives them. The names are keys of a map and are
/// never made into paths.
#[derive(Clone, Debug, Default)]
pub(super) struct Files(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl Files {
    pub(super) fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        Self(Arc::new(Mutex::new(files)))
    }

    pub(super) fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.lock().get(name).cloned()
    }

    pub(super) fn into_map(self) -> BTreeMap<String, Vec<u8>> {
        self.lock().clone()
    }

    /// The newest root among them.
    fn newest_root(&self) -> Option<Vec<u8>> {
        self.get("root.json")
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        // Files are put in whole, so a panic elsewhere leaves the map usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MetadataStore for Files {
    fn load(&self, name: &str) -> sigstore_tuf::Result<Option<Vec<u8>>> {
        // A copy that is not worth believing is as good as none.
        Ok(self.get(name).filter(|bytes| check_keys(name, bytes).is_ok()))
    }

    fn store(&self, name: &str, bytes: &[u8]) -> sigstore_tuf::Result<()> {
        self.lock().insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }
}

/// When each role's metadata ends, and which timestamp that is.
#[derive(Clone, Debug, Default)]
pub(super) struct Expiry {
    ends: Vec<(&'static str, UnixTime)>,
    pub(super) timestamp_version: u64,
}

impl Expiry {
    /// Of verified files, or of ones to be verified.
    pub(super) fn of(anchor: &[u8], files: &Files) -> Self {
        let root = files.newest_root().unwrap_or_else(|| anchor.to_vec());
        let mut ends = Vec::new();
        let mut add = |role, end: Option<UnixTime>| ends.extend(end.map(|end| (role, end)));
        add("root", end::<Root>(&root));
        add("targets", files.get("targets.json").and_then(|bytes| end::<Targets>(&bytes)));
        add("snapshot", files.get("snapshot.json").and_then(|bytes| end::<Snapshot>(&bytes)));
        let timestamp = files.get("timestamp.json").unwrap_or_default();
        add("timestamp", end::<Timestamp>(&timestamp));
        let version = Metadata::<Timestamp>::from_slice(&timestamp);
        let timestamp_version = version.map_or(0, |timestamp| timestamp.signed().version());
        Self { ends, timestamp_version }
    }

    /// When the first of them ends.
    pub(super) fn earliest(&self) -> Option<UnixTime> {
        self.ends.iter().map(|(_, end)| *end).min()
    }

    /// What has ended, and what will soon.
    pub(super) fn warnings(&self, now: UnixTime) -> Vec<Warning> {
        let warning = |(role, end): &(&'static str, UnixTime)| {
            let before = match *role {
                "root" | "targets" => WARN_PEOPLE,
                _ => WARN_MACHINES,
            };
            if *end <= now {
                Some(Warning::Expired { role, expired: *end })
            } else {
                (*end <= later(now, before)).then_some(Warning::ExpiresSoon { role, expires: *end })
            }
        };
        self.ends.iter().filter_map(warning).collect()
    }
}

pub(super) fn later(time: UnixTime, by: Duration) -> UnixTime {
    time.plus_seconds(by.as_secs().try_into().unwrap_or(i64::MAX))
}

fn end<T: Role>(bytes: &[u8]) -> Option<UnixTime> {
    let metadata = Metadata::<T>::from_slice(bytes).ok()?;
    Some(UnixTime::from_milliseconds(metadata.signed().expires().as_millisecond()))
}

//! How a client finds an instance: which services to ask, and whom to believe.
//!
//! `sigstore_trustroot.proto`, `ClientTrustConfig` and `SigningConfig` v0.2.

use std::collections::HashSet;

use evidence::UnixTime;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use verify::TrustRoot;
use verify::trust_root::ParseTrustRootError;

use crate::address::{BadUrl, ServiceUrl};
use crate::error::printable;
use crate::json;
use crate::log::LogVersion;

/// Longest configuration read, in bytes.
pub const TRUST_CONFIG_SIZE_MAX: usize = 2 * 1024 * 1024;

/// Most services of one kind.
pub const SERVICES_MAX: usize = 256;

const TRUST_CONFIG: &str = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json";
const SIGNING_CONFIG: &str = "application/vnd.dev.sigstore.signingconfig.v0.2+json";

/// The version of authority, identity provider and timestamp interfaces spoken here. Fulcio's is
/// written as 1, although its paths say v2.
const SPOKEN: u32 = 1;

/// Everything a client needs to know of an instance.
#[derive(Clone, Debug)]
pub struct ClientTrustConfig {
    /// Whom to believe.
    pub trust_root: TrustRoot,
    /// Whom to ask.
    pub signing_config: SigningConfig,
}

/// Whom to ask for what.
#[derive(Clone, Debug)]
pub struct SigningConfig {
    authorities: Vec<Service>,
    identity_providers: Vec<Service>,
    logs: Vec<Service>,
    log_count: Count,
    timestamp_authorities: Vec<Service>,
    timestamp_count: Count,
}

/// A service with the time in which it may be asked.
#[derive(Clone, Debug)]
struct Service {
    url: ServiceUrl,
    version: u32,
    start: Option<UnixTime>,
    end: Option<UnixTime>,
    operator: String,
}

/// How many of several services to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    Unstated,
    All,
    Any,
    Exact(u32),
}

/// Services of one kind, best first, of which so many have to be asked; the others are there for
/// when one of those is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<T> {
    /// How many must answer; never more than there are, and 0 only if there are none.
    pub wanted: usize,
    /// Those that may be asked.
    pub candidates: Vec<T>,
}

/// Why bytes are no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ParseTrustConfigError {
    /// Longer than [`TRUST_CONFIG_SIZE_MAX`].
    #[error("a configuration of {found} bytes is longer than the {TRUST_CONFIG_SIZE_MAX} read")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// Not JSON of the right shape.
    #[error("malformed: {0}")]
    Json(String),
    /// Another kind or version of document.
    #[error("wanted media type `{wanted}`, found `{found}`")]
    MediaType {
        /// What is read here.
        wanted: &'static str,
        /// The media type found.
        found: String,
    },
    /// A service's URL is none that may be asked.
    #[error("the URL of a service in `{list}`")]
    Url {
        /// The list it is in.
        list: &'static str,
        /// What is wrong.
        source: BadUrl,
    },
    /// More services than are read.
    #[error("`{list}` has {found} services, more than the {SERVICES_MAX} read")]
    TooMany {
        /// The list.
        list: &'static str,
        /// How many it has.
        found: usize,
    },
    /// A time that is none.
    #[error("a time in `{list}` is not RFC 3339")]
    Time {
        /// The list it is in.
        list: &'static str,
    },
    /// The trust root does not parse.
    #[error("the trust root")]
    TrustRoot(#[from] ParseTrustRootError),
}

/// Why there is no service to ask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// None of the right version that is valid now.
    #[error("no {what} of a version spoken here is valid at {now}, of {listed} listed")]
    NoneValid {
        /// What was looked for.
        what: &'static str,
        /// When.
        now: UnixTime,
        /// How many there are.
        listed: usize,
    },
    /// Fewer than the configuration demands.
    #[error("wanted exactly {wanted} different operators of a {what}, found {found}")]
    TooFew {
        /// What was looked for.
        what: &'static str,
        /// How many are demanded.
        wanted: u32,
        /// How many there are.
        found: usize,
    },
    /// The configuration does not say how many to ask.
    #[error("the configuration does not say how many to ask where a {what} is wanted")]
    NoSelector {
        /// What was looked for.
        what: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TrustConfigJson<'a> {
    #[serde(default, alias = "media_type")]
    media_type: String,
    #[serde(borrow, alias = "trusted_root")]
    trusted_root: &'a RawValue,
    #[serde(borrow, alias = "signing_config")]
    signing_config: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SigningConfigJson {
    #[serde(default, alias = "media_type")]
    media_type: String,
    #[serde(default, alias = "ca_urls")]
    ca_urls: Option<Vec<ServiceJson>>,
    #[serde(default, alias = "oidc_urls")]
    oidc_urls: Option<Vec<ServiceJson>>,
    #[serde(default, alias = "rekor_tlog_urls")]
    rekor_tlog_urls: Option<Vec<ServiceJson>>,
    #[serde(default, alias = "rekor_tlog_config")]
    rekor_tlog_config: Option<SelectorJson>,
    #[serde(default, alias = "tsa_urls")]
    tsa_urls: Option<Vec<ServiceJson>>,
    #[serde(default, alias = "tsa_config")]
    tsa_config: Option<SelectorJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceJson {
    #[serde(default)]
    url: String,
    #[serde(default, alias = "major_api_version", deserialize_with = "number")]
    major_api_version: u32,
    #[serde(default, alias = "valid_for")]
    valid_for: Option<WindowJson>,
    #[serde(default)]
    operator: String,
}

#[derive(Deserialize)]
struct WindowJson {
    #[serde(default)]
    start: Option<String>,
    #[serde(default)]
    end: Option<String>,
}

#[derive(Deserialize)]
struct SelectorJson {
    #[serde(default, deserialize_with = "selector")]
    selector: Selector,
    #[serde(default, deserialize_with = "number")]
    count: u32,
}

#[derive(Clone, Copy, Default)]
enum Selector {
    #[default]
    Unstated,
    All,
    Any,
    Exact,
}

impl ClientTrustConfig {
    /// Parses a `ClientTrustConfig` v0.1. Its trust root is believed because the caller chose it.
    ///
    /// # Errors
    /// When it is too long, malformed, or of another version.
    pub fn parse(document: &[u8]) -> Result<Self, ParseTrustConfigError> {
        let config: TrustConfigJson<'_> = parse(document)?;
        check_media_type(TRUST_CONFIG, &config.media_type)?;
        Ok(Self {
            trust_root: TrustRoot::pin(config.trusted_root.get().as_bytes())?,
            signing_config: SigningConfig::parse(config.signing_config.get().as_bytes())?,
        })
    }
}

impl SigningConfig {
    /// Parses a `SigningConfig` v0.2.
    ///
    /// # Errors
    /// When it is too long, malformed, of another version, or names a service by plain HTTP beyond
    /// loopback.
    pub fn parse(document: &[u8]) -> Result<Self, ParseTrustConfigError> {
        let config: SigningConfigJson = parse(document)?;
        check_media_type(SIGNING_CONFIG, &config.media_type)?;
        Ok(Self {
            authorities: services("caUrls", config.ca_urls)?,
            identity_providers: services("oidcUrls", config.oidc_urls)?,
            logs: services("rekorTlogUrls", config.rekor_tlog_urls)?,
            log_count: Count::of(config.rekor_tlog_config.as_ref()),
            timestamp_authorities: services("tsaUrls", config.tsa_urls)?,
            timestamp_count: Count::of(config.tsa_config.as_ref()),
        })
    }

    /// The certificate authority to ask now.
    ///
    /// # Errors
    /// When there is none.
    pub fn authority(&self, now: UnixTime) -> Result<ServiceUrl, SelectError> {
        Ok(first(self.authority_choice(now)?))
    }

    /// The certificate authorities of which one has to be asked now.
    ///
    /// # Errors
    /// When there is none.
    pub fn authority_choice(&self, now: UnixTime) -> Result<Choice<ServiceUrl>, SelectError> {
        let what = "certificate authority";
        Ok(select(what, &self.authorities, &[SPOKEN], Count::Any, now)?.1)
    }

    /// The identity provider to log in with now.
    ///
    /// # Errors
    /// When there is none.
    pub fn identity_provider(&self, now: UnixTime) -> Result<ServiceUrl, SelectError> {
        let what = "identity provider";
        Ok(first(select(what, &self.identity_providers, &[SPOKEN], Count::Any, now)?.1))
    }

    /// The logs to log in now, of the highest of these versions for which there are any. None if
    /// the configuration lists none at all.
    ///
    /// # Errors
    /// When logs are listed, but not enough of them can be asked.
    pub fn logs(
        &self,
        versions: &[LogVersion],
        now: UnixTime,
    ) -> Result<Vec<(LogVersion, ServiceUrl)>, SelectError> {
        Ok(self.log_choice(versions, now)?.wanted())
    }

    /// The same with those that may be asked instead.
    ///
    /// # Errors
    /// As [`Self::logs`].
    pub fn log_choice(
        &self,
        versions: &[LogVersion],
        now: UnixTime,
    ) -> Result<Choice<(LogVersion, ServiceUrl)>, SelectError> {
        if self.logs.is_empty() {
            return Ok(Choice { wanted: 0, candidates: Vec::new() });
        }
        let numbers: Vec<u32> = versions.iter().map(|version| version.number()).collect();
        let (number, Choice { wanted, candidates }) =
            select("transparency log", &self.logs, &numbers, self.log_count, now)?;
        let version = versions.iter().find(|version| version.number() == number);
        let version = *version.expect("`select` returns one of the versions it was given");
        let candidates = candidates.into_iter().map(|url| (version, url)).collect();
        Ok(Choice { wanted, candidates })
    }

    /// The timestamp authorities to ask now. None if the configuration lists none at all.
    ///
    /// # Errors
    /// When some are listed, but not enough of them can be asked.
    pub fn timestamp_authorities(&self, now: UnixTime) -> Result<Vec<ServiceUrl>, SelectError> {
        Ok(self.timestamp_authority_choice(now)?.wanted())
    }

    /// The same with those that may be asked instead.
    ///
    /// # Errors
    /// As [`Self::timestamp_authorities`].
    pub fn timestamp_authority_choice(
        &self,
        now: UnixTime,
    ) -> Result<Choice<ServiceUrl>, SelectError> {
        if self.timestamp_authorities.is_empty() {
            return Ok(Choice { wanted: 0, candidates: Vec::new() });
        }
        let (what, listed) = ("timestamp authority", &self.timestamp_authorities);
        Ok(select(what, listed, &[SPOKEN], self.timestamp_count, now)?.1)
    }
}

impl<T> Choice<T> {
    /// Those to be asked while none is down.
    fn wanted(mut self) -> Vec<T> {
        self.candidates.truncate(self.wanted);
        self.candidates
    }
}

fn first<T>(choice: Choice<T>) -> T {
    choice.candidates.into_iter().next().expect("`select` finds at least one")
}

impl LogVersion {
    /// As a signing configuration writes it.
    fn number(self) -> u32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

impl Service {
    fn is_valid(&self, now: UnixTime) -> bool {
        self.start.is_none_or(|start| start <= now) && self.end.is_none_or(|end| now <= end)
    }
}

impl Count {
    fn of(config: Option<&SelectorJson>) -> Self {
        match config.map_or((Selector::Unstated, 0), |config| (config.selector, config.count)) {
            (Selector::Unstated, _) => Self::Unstated,
            (Selector::All, _) => Self::All,
            (Selector::Any, _) => Self::Any,
            (Selector::Exact, count) => Self::Exact(count),
        }
    }
}

/// Chooses services as the specification asks: valid now, of the highest version for which there
/// are any, the newest of each operator, the newest first, so that two runs ask the same ones.
fn select(
    what: &'static str,
    services: &[Service],
    versions: &[u32],
    count: Count,
    now: UnixTime,
) -> Result<(u32, Choice<ServiceUrl>), SelectError> {
    let usable = || {
        let spoken = |service: &&Service| versions.contains(&service.version);
        services.iter().filter(spoken).filter(|service| service.is_valid(now))
    };
    let none = SelectError::NoneValid { what, now, listed: services.len() };
    let version = usable().map(|service| service.version).max().ok_or(none)?;
    let mut chosen: Vec<_> = usable().filter(|service| service.version == version).collect();
    // Stable, so that the configuration's own order decides between equally new ones.
    chosen.sort_by_key(|service| std::cmp::Reverse(service.start));
    let mut operators = HashSet::new();
    chosen.retain(|service| operators.insert(&service.operator));
    let found = chosen.len();
    let wanted = match count {
        Count::All => found,
        Count::Any => 1,
        Count::Exact(wanted) if wanted > 0 && found >= wanted as usize => wanted as usize,
        Count::Exact(wanted) => return Err(SelectError::TooFew { what, wanted, found }),
        Count::Unstated => return Err(SelectError::NoSelector { what }),
    };
    let candidates = chosen.into_iter().map(|service| service.url.clone()).collect();
    Ok((version, Choice { wanted, candidates }))
}

fn parse<'a, T: Deserialize<'a>>(document: &'a [u8]) -> Result<T, ParseTrustConfigError> {
    if document.len() > TRUST_CONFIG_SIZE_MAX {
        return Err(ParseTrustConfigError::TooLong { found: document.len() });
    }
    json::parse(document)
        .map_err(|error| ParseTrustConfigError::Json(printable(&error.to_string(), 160)))
}

fn check_media_type(wanted: &'static str, found: &str) -> Result<(), ParseTrustConfigError> {
    if found == wanted {
        return Ok(());
    }
    Err(ParseTrustConfigError::MediaType { wanted, found: printable(found, 128) })
}

fn services(
    list: &'static str,
    services: Option<Vec<ServiceJson>>,
) -> Result<Vec<Service>, ParseTrustConfigError> {
    let services = services.unwrap_or_default();
    if services.len() > SERVICES_MAX {
        return Err(ParseTrustConfigError::TooMany { list, found: services.len() });
    }
    let time =
        |text: String| UnixTime::from_rfc3339(&text).ok_or(ParseTrustConfigError::Time { list });
    let parse = |service: ServiceJson| {
        let window = service.valid_for.unwrap_or(WindowJson { start: None, end: None });
        Ok(Service {
            url: service
                .url
                .parse()
                .map_err(|source| ParseTrustConfigError::Url { list, source })?,
            version: service.major_api_version,
            start: window.start.map(time).transpose()?,
            end: window.end.map(time).transpose()?,
            operator: service.operator,
        })
    };
    services.into_iter().map(parse).collect()
}

/// A 32-bit number, which ProtoJSON also takes as a string.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u32),
        Text(String),
        Absent(()),
    }
    match Either::deserialize(deserializer)? {
        Either::Number(number) => Ok(number),
        Either::Text(text) => text.parse().map_err(serde::de::Error::custom),
        Either::Absent(()) => Ok(0),
    }
}

/// An enumeration's value by name or number.
fn selector<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Selector, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    match (value.as_str(), value.as_u64()) {
        (Some("ALL"), _) | (_, Some(1)) => Ok(Selector::All),
        (Some("ANY"), _) | (_, Some(2)) => Ok(Selector::Any),
        (Some("EXACT"), _) | (_, Some(3)) => Ok(Selector::Exact),
        (Some("SERVICE_SELECTOR_UNDEFINED"), _) | (_, Some(0)) => Ok(Selector::Unstated),
        _ if value.is_null() => Ok(Selector::Unstated),
        _ => Err(serde::de::Error::custom("wanted a selector ALL, ANY or EXACT")),
    }
}

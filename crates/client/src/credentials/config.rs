//! Docker's and Podman's files of logins, matched to exactly one host.
//!
//! The format is that of Docker's `config.json`, with Podman's keys that reach down to a
//! repository (containers-auth.json(5)). A key matches its own host and no other, however similar;
//! the schemes and paths that Docker once wrote into keys are cut off.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evidence::{ImageRef, RegistryHost};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Basic, Credential};
use crate::environment::Environment;
use crate::error::Unauthorized;
use crate::secret::Secret;

/// Longest configuration read, in bytes.
pub const CONFIG_SIZE_MAX: u64 = 1024 * 1024;

/// Paths that stand behind a host in keys of Docker's own making and mean the whole host.
const WHOLE_HOST: [&str; 5] = ["", "v1", "v1/", "v2", "v2/"];

/// Under which key Docker keeps the logins of Docker Hub.
pub(super) const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// Why there are no credentials to work with.
#[derive(Debug, thiserror::Error)]
pub enum ReadConfigError {
    /// The file cannot be read.
    #[error("registry configuration {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is too long.
    #[error("registry configuration {} is longer than {CONFIG_SIZE_MAX} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a Docker configuration. What it holds is not quoted: it is secret.
    #[error("registry configuration {} is malformed at line {line}, column {column}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// Where, counted from 1.
        column: usize,
    },
}

/// A user's logins.
#[derive(Debug, Default)]
pub struct DockerConfig {
    entries: Vec<Entry>,
    /// Which program keeps the credentials of which host.
    helpers: Vec<(RegistryHost, String)>,
    /// Which program keeps those of all others.
    store: Option<String>,
}

#[derive(Debug)]
struct Entry {
    host: RegistryHost,
    /// The repositories it is for, without a slash at either end; empty for all.
    path: String,
    /// What stands there, or what is wrong with it.
    credential: Result<Credential, &'static str>,
}

/// Where an image's credentials are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// In the file.
    Stored(Credential),
    /// With a program that keeps them, under that name of the host.
    Helper {
        /// The program's name, without `docker-credential-`.
        name: String,
        /// What to ask it for, most likely first.
        servers: Vec<String>,
    },
}

#[derive(Deserialize)]
struct ConfigJson {
    #[serde(default)]
    auths: Option<BTreeMap<String, Option<AuthJson>>>,
    #[serde(default, rename = "credHelpers")]
    helpers: Option<BTreeMap<String, String>>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Default, Deserialize)]
struct AuthJson {
    #[serde(default)]
    auth: Option<Secret>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<Secret>,
    #[serde(default, rename = "identitytoken")]
    identity_token: Option<Secret>,
    #[serde(default, rename = "registrytoken")]
    registry_token: Option<Secret>,
}

impl DockerConfig {
    /// Reads a configuration file; one that does not exist holds no logins.
    ///
    /// # Errors
    /// When the file cannot be read, or is no configuration.
    pub fn read(path: &Path) -> Result<Self, ReadConfigError> {
        let Some(json) = read_bounded(path)? else { return Ok(Self::default()) };
        let config: ConfigJson =
            crate::json::parse(&json).map_err(|error| ReadConfigError::malformed(path, &error))?;
        Ok(Self::of(config))
    }

    fn of(config: ConfigJson) -> Self {
        let entries = config.auths.unwrap_or_default().into_iter().filter_map(|(key, auth)| {
            // A key that names no host we would dial cannot match any.
            let (host, path) = parse_key(&key)?;
            let credential = auth.unwrap_or_default().credential()?;
            Some(Entry { host, path, credential })
        });
        let helpers = config.helpers.unwrap_or_default().into_iter();
        let helpers = helpers.filter_map(|(key, helper)| Some((parse_key(&key)?.0, helper)));
        Self {
            entries: entries.collect(),
            helpers: helpers.collect(),
            store: config.store.filter(|store| !store.is_empty()),
        }
    }

    /// The files that hold a user's logins, those that matter more first: Docker's, then the one
    /// that `REGISTRY_AUTH_FILE` names, then Podman's. Cosign reads the first of them that exists;
    /// here the others still serve for hosts that it does not name.
    #[must_use]
    pub fn paths(environment: &Environment) -> Vec<PathBuf> {
        let path = |name: &str| environment.get(name).map(|value| PathBuf::from(value.expose()));
        let docker = path("DOCKER_CONFIG").or_else(|| Some(path("HOME")?.join(".docker")));
        let below = |name: &str, rest: &str| path(name).map(|directory| directory.join(rest));
        [
            docker.map(|directory| directory.join("config.json")),
            path("REGISTRY_AUTH_FILE"),
            below("XDG_RUNTIME_DIR", "containers/auth.json"),
            below("XDG_CONFIG_HOME", "containers/auth.json")
                .or_else(|| below("HOME", ".config/containers/auth.json")),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// A configuration with one login for all of a registry.
    #[must_use]
    pub fn with_login(host: RegistryHost, basic: Basic) -> Self {
        let credential = Ok(Credential::Basic(basic));
        let entry = Entry { host, path: String::new(), credential };
        Self { entries: vec![entry], ..Self::default() }
    }

    /// The login for an image: the most specific one of its very host. `None` if there is none.
    ///
    /// # Errors
    /// When there is one that is broken.
    pub fn login(&self, image: &ImageRef) -> Result<Option<Login>, Unauthorized> {
        let host = image.registry();
        let servers = || servers(host);
        // As in Docker, a helper named for a host has its credentials, whatever else is written.
        if let Some((_, helper)) = self.helpers.iter().find(|(of, _)| of == host) {
            return Ok(Some(Login::Helper { name: helper.clone(), servers: servers() }));
        }
        let entry = self
            .entries
            .iter()
            .filter(|entry| entry.host == *host && covers(&entry.path, image.repository()))
            .max_by_key(|entry| entry.path.len());
        match (entry.map(|entry| &entry.credential), &self.store) {
            (Some(Ok(credential)), _) => Ok(Some(Login::Stored(credential.clone()))),
            (Some(Err(problem)), _) => Err(Unauthorized::BrokenEntry { problem }),
            (None, Some(store)) => {
                Ok(Some(Login::Helper { name: store.clone(), servers: servers() }))
            }
            (None, None) => Ok(None),
        }
    }

    /// The program that keeps a host's credentials, if one does.
    pub(super) fn helper(&self, host: &RegistryHost) -> Option<&str> {
        let named = self.helpers.iter().find(|(of, _)| of == host).map(|(_, helper)| helper);
        named.or(self.store.as_ref()).map(String::as_str)
    }
}

/// Under which names helpers keep a host's credentials. Docker Hub's has grown with history.
pub(super) fn servers(host: &RegistryHost) -> Vec<String> {
    if host.is_docker_hub() {
        return vec![DOCKER_HUB_KEY.to_owned(), "docker.io".to_owned()];
    }
    vec![host.to_string(), format!("https://{host}")]
}

impl AuthJson {
    /// `None` for an entry without content, as Docker leaves it where a helper has the rest.
    fn credential(self) -> Option<Result<Credential, &'static str>> {
        let there = |secret: &Secret| !secret.expose().is_empty();
        if let Some(token) = self.registry_token.filter(there) {
            return Some(Ok(Credential::Token { token }));
        }
        if let Some(token) = self.identity_token.filter(there) {
            return Some(Ok(Credential::Identity { token }));
        }
        if let Some(auth) = self.auth.filter(there) {
            return Some(parse_auth(auth.expose()).map(Credential::of));
        }
        let user = self.username.filter(|user| !user.is_empty())?;
        if user.contains(':') {
            return Some(Err("the user contains a colon"));
        }
        let password = self.password.unwrap_or_else(|| Secret::new(String::new()));
        Some(Ok(Credential::of(Basic { user, password })))
    }
}

/// `auth` is the base64 of `user:password` (RFC 7617 §2), to which old versions added zero bytes.
fn parse_auth(auth: &str) -> Result<Basic, &'static str> {
    let decoded = STANDARD.decode(auth.trim()).map_err(|_| "`auth` is not base64")?;
    let decoded = Zeroizing::new(decoded);
    let text = std::str::from_utf8(&decoded).map_err(|_| "`auth` is not text")?;
    let (user, password) = text.split_once(':').ok_or("`auth` has no colon")?;
    let password = Secret::new(password.trim_end_matches('\0').to_owned());
    Ok(Basic { user: user.to_owned(), password })
}

impl ReadConfigError {
    pub(super) fn malformed(path: &Path, error: &serde_json::Error) -> Self {
        Self::Malformed { path: path.to_owned(), line: error.line(), column: error.column() }
    }
}

/// A configuration file's bytes; `None` if there is none.
pub(super) fn read_bounded(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, ReadConfigError> {
    let failed = |source| ReadConfigError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let mut json = Zeroizing::new(Vec::new());
    file.take(CONFIG_SIZE_MAX + 1).read_to_end(&mut json).map_err(failed)?;
    if json.len() as u64 > CONFIG_SIZE_MAX {
        return Err(ReadConfigError::TooLong { path: path.to_owned() });
    }
    Ok(Some(json))
}

/// Whether a key means all of that host.
pub(super) fn is_whole_host(key: &str, host: &RegistryHost) -> bool {
    parse_key(key).is_some_and(|(of, path)| of == *host && path.is_empty())
}

/// Host and repository path of a key such as `https://index.docker.io/v1/` or `quay.io/acme`.
fn parse_key(key: &str) -> Option<(RegistryHost, String)> {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let path = if WHOLE_HOST.contains(&path) { "" } else { path.trim_matches('/') };
    Some((host.parse().ok()?, path.to_owned()))
}

/// Whether a key's path is the repository's or one above it.
fn covers(path: &str, repository: &str) -> bool {
    path.is_empty()
        || repository
            .strip_prefix(path)
            .is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

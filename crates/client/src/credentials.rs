//! Who we are to a registry: the Docker configuration's logins, matched to exactly one host.
//!
//! The format is that of Docker's `config.json`, with Podman's keys that reach down to a
//! repository. A key matches its own host and no other, however similar; the schemes and paths that
//! Docker once wrote into keys are cut off. Credential helpers are recognised, not run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evidence::{ImageRef, RegistryHost};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::Unauthorized;
use crate::secret::Secret;

/// Longest configuration read, in bytes.
pub const CONFIG_SIZE_MAX: u64 = 1024 * 1024;

/// Paths that stand behind a host in keys of Docker's own making and mean the whole host.
const WHOLE_HOST: [&str; 5] = ["", "v1", "v1/", "v2", "v2/"];

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
    logins: Vec<Login>,
    /// Which program keeps the credentials of which host.
    helpers: Vec<(RegistryHost, String)>,
    /// Which program keeps those of all others.
    store: Option<String>,
}

/// A user and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basic {
    /// The user.
    pub user: String,
    /// The password.
    pub password: Secret,
}

#[derive(Debug)]
struct Login {
    host: RegistryHost,
    /// The repositories it is for, without a slash at either end; empty for all.
    path: String,
    credentials: Credentials,
}

#[derive(Debug)]
enum Credentials {
    Basic(Basic),
    IdentityToken,
    Broken(&'static str),
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
}

impl DockerConfig {
    /// Reads a configuration file; one that does not exist holds no logins.
    ///
    /// # Errors
    /// When the file cannot be read, or is no configuration.
    pub fn read(path: &Path) -> Result<Self, ReadConfigError> {
        let failed = |source| ReadConfigError::Io { path: path.to_owned(), source };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            opened => opened.map_err(failed)?,
        };
        let mut json = Zeroizing::new(Vec::new());
        file.take(CONFIG_SIZE_MAX + 1).read_to_end(&mut json).map_err(failed)?;
        if json.len() as u64 > CONFIG_SIZE_MAX {
            return Err(ReadConfigError::TooLong { path: path.to_owned() });
        }
        let config: ConfigJson = crate::json::parse(&json).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            ReadConfigError::Malformed { path: path.to_owned(), line, column }
        })?;
        Ok(Self::of(config))
    }

    fn of(config: ConfigJson) -> Self {
        let logins = config.auths.unwrap_or_default().into_iter().filter_map(|(key, auth)| {
            // A key that names no host we would dial cannot match any.
            let (host, path) = parse_key(&key)?;
            let credentials = auth.unwrap_or_default().credentials()?;
            Some(Login { host, path, credentials })
        });
        let helpers = config.helpers.unwrap_or_default().into_iter();
        let helpers = helpers.filter_map(|(key, helper)| Some((parse_key(&key)?.0, helper)));
        Self {
            logins: logins.collect(),
            helpers: helpers.collect(),
            store: config.store.filter(|store| !store.is_empty()),
        }
    }

    /// A configuration with one login for all of a registry.
    #[must_use]
    pub fn with_login(host: RegistryHost, basic: Basic) -> Self {
        let login = Login { host, path: String::new(), credentials: Credentials::Basic(basic) };
        Self { logins: vec![login], ..Self::default() }
    }

    /// The login for an image: the most specific one of its very host.
    ///
    /// # Errors
    /// When there is none, or one that cannot be used.
    pub fn login(&self, image: &ImageRef) -> Result<&Basic, Unauthorized> {
        let host = image.registry();
        let unsupported = |helper: &String| {
            let helper = crate::error::printable(helper, 64);
            Err(Unauthorized::HelperUnsupported { helper })
        };
        // As in Docker, a helper named for a host has its credentials, whatever else is written.
        if let Some((_, helper)) = self.helpers.iter().find(|(of, _)| of == host) {
            return unsupported(helper);
        }
        let login = self
            .logins
            .iter()
            .filter(|login| login.host == *host && covers(&login.path, image.repository()))
            .max_by_key(|login| login.path.len());
        match (login.map(|login| &login.credentials), &self.store) {
            (Some(Credentials::Basic(basic)), _) => Ok(basic),
            (Some(Credentials::IdentityToken), _) => Err(Unauthorized::IdentityTokenUnsupported),
            (Some(Credentials::Broken(problem)), _) => Err(Unauthorized::BrokenEntry { problem }),
            (None, Some(store)) => unsupported(store),
            (None, None) => Err(Unauthorized::NoCredentials),
        }
    }
}

impl AuthJson {
    /// `None` for an entry without content, as Docker leaves it where a helper has the rest.
    fn credentials(self) -> Option<Credentials> {
        let there = |secret: &Secret| !secret.expose().is_empty();
        if self.identity_token.as_ref().is_some_and(there) {
            return Some(Credentials::IdentityToken);
        }
        if let Some(auth) = self.auth.filter(there) {
            return Some(match parse_auth(auth.expose()) {
                Ok(basic) => Credentials::Basic(basic),
                Err(problem) => Credentials::Broken(problem),
            });
        }
        let user = self.username.filter(|user| !user.is_empty())?;
        if user.contains(':') {
            return Some(Credentials::Broken("the user contains a colon"));
        }
        let password = self.password.unwrap_or_else(|| Secret::new(String::new()));
        Some(Credentials::Basic(Basic { user, password }))
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

//! Keeping a login, as `docker login` does: with the helper that is configured for the host, or in
//! the configuration file.
//!
//! The file is written whole beside the old one and then takes its place, so that nobody sees half
//! of it; it is readable by its owner only; and what we do not understand in it stays as it is.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evidence::RegistryHost;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::config::{DOCKER_HUB_KEY, DockerConfig, ReadConfigError, read_bounded};
use super::{Basic, program};
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::Unauthorized;

/// Where a login was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginStored {
    /// In the file, where the password can be read by whoever can read the file.
    File(PathBuf),
    /// With the program of that name (`docker-credential-…`).
    Helper(String),
}

/// Why a login was not kept.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The configuration as it is cannot be read.
    #[error(transparent)]
    Read(#[from] ReadConfigError),
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The helper did not take it.
    #[error("the helper did not take the login")]
    Helper(#[source] Unauthorized),
    /// A user that cannot stand before a colon.
    #[error("wanted a user without a colon")]
    User,
    /// The file has something else where logins belong.
    #[error("{}: wanted an object in `{field}`, found something else", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Which field.
        field: &'static str,
    },
}

/// Keeps a user and password for a host: with its helper if the file names one, else in the file,
/// which is made if need be.
///
/// # Errors
/// When the file cannot be read or written, or the helper fails.
pub async fn store_login(
    path: &Path,
    host: &RegistryHost,
    basic: &Basic,
    environment: &Environment,
    deadline: Deadline,
) -> Result<LoginStored, LoginError> {
    // RFC 7617 §2: what is before the first colon is the user.
    if basic.user.is_empty() || basic.user.contains(':') {
        return Err(LoginError::User);
    }
    let config = DockerConfig::read(path)?;
    let kept_by = config.helper(host).map(str::to_owned);
    let pair = Zeroizing::new(format!("{}:{}", basic.user, basic.password.expose()));
    let entry = match &kept_by {
        Some(name) => {
            program::store(name, &key(host), basic, environment, deadline)
                .await
                .map_err(LoginError::Helper)?;
            // As Docker leaves it: the host is known, the rest is with the helper.
            json!({})
        }
        None => json!({ "auth": STANDARD.encode(pair.as_bytes()) }),
    };
    change(path, host, Some(entry))?;
    Ok(kept_by.map_or_else(|| LoginStored::File(path.to_owned()), LoginStored::Helper))
}

/// Forgets what is kept for a host.
///
/// # Errors
/// As [`store_login`].
pub async fn logout(
    path: &Path,
    host: &RegistryHost,
    environment: &Environment,
    deadline: Deadline,
) -> Result<(), LoginError> {
    let config = DockerConfig::read(path)?;
    if let Some(name) = config.helper(host) {
        program::erase(name, &key(host), environment, deadline)
            .await
            .map_err(LoginError::Helper)?;
    }
    change(path, host, None)
}

fn key(host: &RegistryHost) -> String {
    if host.is_docker_hub() { DOCKER_HUB_KEY.to_owned() } else { host.to_string() }
}

/// Sets or removes a host's entry, in a file that may not be there yet.
fn change(path: &Path, host: &RegistryHost, entry: Option<Value>) -> Result<(), LoginError> {
    // Through links: dotfiles are often links into another directory.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let json = read_bounded(path)?;
    let mut config: Map<String, Value> = match &json {
        None => Map::new(),
        Some(json) => {
            crate::json::parse(json).map_err(|error| ReadConfigError::malformed(path, &error))?
        }
    };
    let auths = config.entry("auths").or_insert(Value::Null);
    if auths.is_null() {
        *auths = json!({});
    }
    let shape = || LoginError::Shape { path: path.to_owned(), field: "auths" };
    let auths = auths.as_object_mut().ok_or_else(shape)?;
    // Older forms of the same host's key would be found instead.
    auths.retain(|known, _| !super::config::is_whole_host(known, host));
    if let Some(entry) = entry {
        auths.insert(key(host), entry);
    }
    let mut json = Zeroizing::new(Vec::new());
    // Tabs, as Docker itself writes.
    let format = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut *json, format);
    serde::Serialize::serialize(&config, &mut serializer).expect("JSON is written as JSON");
    replace(path, &json).map_err(|source| LoginError::Write { path: path.to_owned(), source })
}

/// Writes a file beside the old one and puts it in its place, durably.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or_else(|| Path::new("."));
    if !directory.exists() {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(directory)?;
    }
    let suffix = hex::encode(crypto::random::bytes::<8>());
    let temporary = directory.join(format!(".config.json.{suffix}"));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    if written.is_err() {
        // It holds a password; that it cannot be removed either is not the news here.
        let _ = fs::remove_file(&temporary);
        return written;
    }
    fs::File::open(directory)?.sync_all()
}

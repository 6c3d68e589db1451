//! The registries that images are put into: programs of others, and one of ours in memory. Each
//! listens on loopback and ends when it is dropped.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use devkit::registry::{Behaviour, Referrers};
use serde_json::{Value, json};

use super::bench::{Bench, free_port, get};
use super::exit::expect_success;
use super::failure::Failure;
use super::process::Running;

/// The service that a token is for, and who issued it, as the registry's configuration has them.
const TOKEN_SERVICE: &str = "interop-registry";
const TOKEN_ISSUER: &str = "interop-tokens";

/// Somebody whom a registry knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Login {
    pub(super) user: &'static str,
    pub(super) password: &'static str,
}

/// May do everything.
pub(super) const OWNER: Login = Login { user: "interop", password: "correct-horse" };

/// May only pull; known to the token service.
pub(super) const READER: Login = Login { user: "reader", password: "battery-staple" };

/// Which registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The development kit's, in memory.
    Memory(Referrers),
    /// Debian's `docker-registry`, which knows no referrers API, behind `htpasswd`.
    Password,
    /// The same behind a token service on another port.
    Tokens,
    /// `ferro-oci-server`, which has the referrers API and asks nobody for a login.
    ReferrersApi,
}

impl Place {
    /// Words for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Memory(Referrers::Off) => "in memory, no referrers API",
            Self::Memory(_) => "in memory, referrers API",
            Self::Password => "docker-registry, htpasswd",
            Self::Tokens => "docker-registry, tokens",
            Self::ReferrersApi => "ferro-oci-server, referrers API",
        }
    }

    /// Whether it keeps track of referrers itself.
    pub(super) fn has_referrers_api(self) -> bool {
        !matches!(self, Self::Memory(Referrers::Off) | Self::Password | Self::Tokens)
    }
}

/// A running registry.
pub(super) struct Standing {
    host: String,
    /// The owner's `config.json` is in here, as Docker keeps it.
    docker_config: PathBuf,
    folder: PathBuf,
    /// The one who must log in, where somebody must.
    owner: Option<Login>,
    tokens: Option<TokenService>,
    _held: Held,
}

/// What ends with the registry.
enum Held {
    Memory { _registry: devkit::registry::Registry },
    Program { _running: Running },
}

impl Standing {
    /// Starts a registry and waits until it answers.
    pub(super) fn start(bench: &Bench, place: Place) -> Result<Self, Failure> {
        if let Place::Memory(referrers) = place {
            let registry = bench.registry(Behaviour { referrers, ..Behaviour::default() })?;
            let address = registry.address();
            let held = Held::Memory { _registry: registry };
            return Self::at(bench, address, None, None, held);
        }
        let port = free_port()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let folder = folder(bench, address);
        fs::create_dir_all(&folder)?;
        let (auth, tokens) = match place {
            Place::Password => (passwords(bench, &folder)?, None),
            Place::Tokens => {
                let service = TokenService::start(bench, &folder)?;
                (service.auth(), Some(service))
            }
            Place::Memory(_) | Place::ReferrersApi => (Value::Null, None),
        };
        let (mut command, ready) = if place == Place::ReferrersApi {
            let mut command = bench.referrers_registry();
            command.env("FERRO_OCI_LISTEN", address.to_string());
            command.env("FERRO_OCI_STORAGE_DIR", folder.join("store"));
            (command, 200)
        } else {
            let configuration = folder.join("registry.yml");
            // JSON is YAML.
            fs::write(&configuration, distribution(address, &folder, auth).to_string())?;
            let mut command = Command::new("docker-registry");
            command.arg("serve").arg(&configuration);
            (command, 401)
        };
        let mut running = bench.keep_running(&format!("registry-{port}"), &mut command)?;
        running
            .wait_until(|| matches!(get(address, "/v2/"), Ok((status, _)) if status == ready))?;
        let owner = (place != Place::ReferrersApi).then_some(OWNER);
        Self::at(bench, address, owner, tokens, Held::Program { _running: running })
    }

    fn at(
        bench: &Bench,
        address: SocketAddr,
        owner: Option<Login>,
        tokens: Option<TokenService>,
        held: Held,
    ) -> Result<Self, Failure> {
        let folder = folder(bench, address);
        let docker_config = folder.join("owner");
        let host = address.to_string();
        let standing = Self { host, docker_config, folder, owner, tokens, _held: held };
        standing.write_login("owner", owner)?;
        Ok(standing)
    }

    /// Its address, as image names begin.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Who may do everything here; `None` where nobody logs in.
    pub(super) fn owner(&self) -> Option<Login> {
        self.owner
    }

    /// The folder with the owner's `config.json`.
    pub(super) fn docker_config(&self) -> &Path {
        &self.docker_config
    }

    /// A folder with the `config.json` of somebody, or of nobody.
    pub(super) fn write_login(&self, name: &str, login: Option<Login>) -> Result<PathBuf, Failure> {
        let auths = match login {
            Some(Login { user, password }) => {
                json!({&self.host: {"auth": STANDARD.encode(format!("{user}:{password}"))}})
            }
            None => json!({}),
        };
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("config.json"), json!({"auths": auths}).to_string())?;
        Ok(folder)
    }

    /// The service that gives tokens for it, where there is one.
    pub(super) fn tokens(&self) -> Option<&TokenService> {
        self.tokens.as_ref()
    }

    /// What our client must be told before it sends a login to a port that is not the registry's:
    /// `REGISTRY=URL`.
    pub(super) fn token_rule(&self) -> Option<String> {
        self.tokens.as_ref().map(|tokens| format!("{}={}", self.host, tokens.url))
    }
}

/// Where the files of the registry at an address are.
fn folder(bench: &Bench, address: SocketAddr) -> PathBuf {
    bench.path(&format!("registry-{}", address.port()))
}

/// Distribution's own configuration file.
fn distribution(address: SocketAddr, folder: &Path, auth: Value) -> Value {
    json!({
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {
            "filesystem": {"rootdirectory": folder.join("store")},
            "delete": {"enabled": true},
        },
        "http": {"addr": address.to_string()},
        "auth": auth,
    })
}

/// Authentication by a file that `htpasswd` wrote.
fn passwords(bench: &Bench, folder: &Path) -> Result<Value, Failure> {
    let mut command = Command::new("htpasswd");
    let hashed = expect_success(bench.run(command.args(["-Bbn", OWNER.user, OWNER.password]))?)?;
    let path = folder.join("htpasswd");
    fs::write(&path, hashed.stdout)?;
    Ok(json!({"htpasswd": {"realm": "interop", "path": path}}))
}

/// A running token service ("Token Authentication Specification" of CNCF distribution).
pub(super) struct TokenService {
    _running: Running,
    url: String,
    folder: PathBuf,
}

impl TokenService {
    fn start(bench: &Bench, folder: &Path) -> Result<Self, Failure> {
        let folder = folder.join("tokens");
        fs::create_dir_all(&folder)?;
        let user = |Login { password, .. }: Login, actions: &[&str]| json!({"password": password, "actions": actions});
        let settings = json!({
            "service": TOKEN_SERVICE,
            "issuer": TOKEN_ISSUER,
            "users": {
                OWNER.user: user(OWNER, &["pull", "push", "delete"]),
                READER.user: user(READER, &["pull"]),
            },
        });
        fs::write(folder.join("settings.json"), settings.to_string())?;
        let mut command = bench.script("tokens.py");
        let port = folder.parent().and_then(Path::file_name).unwrap_or_default();
        let name = format!("tokens-of-{}", port.to_string_lossy());
        let mut running = bench.keep_running(&name, command.arg(&folder))?;
        let address = folder.join("url");
        running.wait_until(|| address.exists())?;
        Ok(Self { _running: running, url: fs::read_to_string(address)?, folder })
    }

    /// What the registry must know of it.
    fn auth(&self) -> Value {
        json!({"token": {
            "realm": format!("{}/token", self.url),
            "service": TOKEN_SERVICE,
            "issuer": TOKEN_ISSUER,
            "rootcertbundle": self.folder.join("roots.pem"),
        }})
    }

    /// Every request so far: who asked, what for, and how it was answered.
    pub(super) fn requests(&self) -> Result<Vec<Value>, Failure> {
        let mut requests = Vec::new();
        for line in fs::read_to_string(self.folder.join("requests"))?.lines() {
            requests.push(serde_json::from_str(line)?);
        }
        Ok(requests)
    }
}

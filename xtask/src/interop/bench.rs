//! The bench: a running instance, an identity provider it trusts, the clients that are installed,
//! and the files they hand one another. Everything ends when it is dropped.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use devkit::issuer::{GithubWorkflow, Issuer, IssuerOptions};
use serde_json::Value;

use super::group::Group;
use super::process::{self, Finished, Running};

/// Longest answer read from our own instance, in bytes.
const ANSWER_SIZE_MAX: u64 = 16 * 1024 * 1024;

/// How long an answer of our own instance may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// Audience of every token: the one all Sigstore clients ask for.
const AUDIENCE: &str = "sigstore";

/// Folder of the files that the checks make, inside the bench's own.
const FILES: &str = "files";

/// Folder of the instance.
const DATA: &str = "data";

/// Folder that the clients take for their user's home.
const HOME: &str = "home";

/// Which of the two logs a signature goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Log {
    /// The log with signed entry timestamps.
    V1,
    /// The tile-based log.
    V2,
}

impl Log {
    /// The major version of its API.
    #[must_use]
    pub(super) fn version(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

/// Why the bench could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A file or program failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The binary could not be built.
    #[error("the binary could not be built\n{0}")]
    Build(String),
    /// The development identity provider failed.
    #[error("the identity provider did not start: {0}")]
    Issuer(#[from] devkit::DevkitError),
    /// The instance's trust configuration is not what was expected.
    #[error("the instance's trust configuration {found}")]
    TrustConfig {
        /// What is wrong with it.
        found: String,
    },
}

/// A running instance and the clients around it.
pub(super) struct Bench {
    /// Where files go; removed at the end unless kept.
    scratch: PathBuf,
    keep: Cell<bool>,
    binary: PathBuf,
    /// The folder with this program's scripts and the JavaScript packages.
    scripts: PathBuf,
    /// The virtual environment with the Python client and a recent Node.
    tools: PathBuf,
    workflow: GithubWorkflow,
    trust_config: Value,
    /// Taken at the end, before its files go.
    instance: Option<Running>,
    issuer: Issuer,
    /// After the issuer: what runs on it ends first.
    runtime: tokio::runtime::Runtime,
    /// Bundles made so far, by what they are, so that each is signed once.
    pub(super) bundles: RefCell<BTreeMap<String, PathBuf>>,
}

impl Bench {
    /// Builds the binary, starts the identity provider and the instance, and waits until it is
    /// ready.
    ///
    /// # Errors
    /// When any of that fails.
    pub(super) fn start(root: &Path) -> Result<Self, BenchError> {
        let doing = |doing: &str| {
            let doing = doing.to_owned();
            move |source| BenchError::Io { doing, source }
        };
        let target = root.join("target");
        let scratch = target.join("interop").join(format!("run-{}", std::process::id()));
        for folder in [FILES, HOME] {
            fs::create_dir_all(scratch.join(folder)).map_err(doing("making a folder"))?;
        }
        let binary = build(root)?;

        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(doing("starting a runtime"))?;
        let clock: devkit::Clock = Arc::new(now);
        let issuer = runtime.block_on(Issuer::start(IssuerOptions::new(clock)))?;

        let data = scratch.join(DATA);
        let mut command = Command::new(&binary);
        command
            .env("HOME", scratch.join(HOME))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(&data)
            .arg("--lock")
            .arg(scratch.join("lock"))
            .arg("--issuer")
            .arg(format!("github-actions={}", issuer.url()));
        let mut instance = Running::start(&mut command, &scratch.join("serve.log"))
            .map_err(doing("starting the instance"))?;
        let file = data.join("public/trust_config.json");
        let ready = |address| matches!(get(address, "/readyz"), Ok((200, _)));
        instance
            .wait_until(|| address_in(&file).is_some_and(ready))
            .map_err(doing("waiting for the instance"))?;
        let json = fs::read(&file).map_err(doing("reading the trust configuration"))?;
        let trust_config: Value = serde_json::from_slice(&json)
            .map_err(|error| BenchError::TrustConfig { found: format!("is not JSON: {error}") })?;
        let bench = Self {
            keep: Cell::new(false),
            binary,
            scripts: root.join("xtask/interop"),
            tools: target.join("interop/tools"),
            workflow: GithubWorkflow::new(
                "countersign",
                "interop",
                ".github/workflows/release.yml",
                "refs/heads/main",
            ),
            trust_config,
            instance: Some(instance),
            issuer,
            runtime,
            bundles: RefCell::new(BTreeMap::new()),
            scratch,
        };
        for log in [Log::V1, Log::V2] {
            bench.write_trust_config(log)?;
        }
        Ok(bench)
    }

    /// The instance's trust configuration with only one of its logs to sign with, so that every
    /// client, however it chooses, chooses that one.
    fn write_trust_config(&self, log: Log) -> Result<(), BenchError> {
        let mut config = self.trust_config.clone();
        let logs = config["signingConfig"]["rekorTlogUrls"].as_array_mut().ok_or_else(|| {
            BenchError::TrustConfig { found: "names no logs to sign with".to_owned() }
        })?;
        logs.retain(|service| service["majorApiVersion"] == log.version());
        if logs.len() != 1 {
            let found = format!("names {} logs with API version {}", logs.len(), log.version());
            return Err(BenchError::TrustConfig { found });
        }
        fs::write(self.trust_config(log), config.to_string()).map_err(|source| BenchError::Io {
            doing: "writing a trust configuration".to_owned(),
            source,
        })
    }

    /// The file with the trust configuration that signs in this log, and trusts both.
    pub(super) fn trust_config(&self, log: Log) -> PathBuf {
        self.path(&format!("trust-config-v{}.json", log.version()))
    }

    /// The file with the trust root alone, as the instance publishes it.
    pub(super) fn trusted_root(&self) -> PathBuf {
        self.scratch.join(DATA).join("public/trusted_root.json")
    }

    /// What the instance says about itself.
    pub(super) fn trust(&self) -> &Value {
        &self.trust_config
    }

    /// A fresh identity token for the workflow that signs.
    pub(super) fn token(&self) -> Result<String, devkit::DevkitError> {
        self.issuer.mint(&self.workflow, AUDIENCE)
    }

    /// The identity that certificates for [`Self::token`] name.
    pub(super) fn identity(&self) -> String {
        let GithubWorkflow { owner, repository, file, reference, .. } = &self.workflow;
        format!("https://github.com/{owner}/{repository}/{file}@{reference}")
    }

    /// Who vouches for it.
    pub(super) fn issuer(&self) -> &str {
        self.issuer.url()
    }

    /// A registry in memory, empty.
    pub(super) fn registry(
        &self,
        behaviour: devkit::registry::Behaviour,
    ) -> Result<devkit::registry::Registry, devkit::DevkitError> {
        let options = devkit::registry::RegistryOptions {
            behaviour,
            ..devkit::registry::RegistryOptions::default()
        };
        self.runtime.block_on(devkit::registry::Registry::start(options))
    }

    /// A path for a new file, apart from those of the instance.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.files().join(name)
    }

    fn files(&self) -> PathBuf {
        self.scratch.join(FILES)
    }

    /// Writes a file.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, bytes).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        Ok(path)
    }

    /// Runs a program to its end, in the scratch folder, with a home of its own.
    pub(super) fn run(&self, command: &mut Command) -> io::Result<Finished> {
        command.env("HOME", self.scratch.join(HOME)).current_dir(self.files());
        process::run(&self.scratch, command)
    }

    /// Keeps a program running until the result is dropped.
    pub(super) fn keep_running(&self, name: &str, command: &mut Command) -> io::Result<Running> {
        command.env("HOME", self.scratch.join(HOME)).current_dir(self.files());
        Running::start(command, &self.path(&format!("{name}.log")))
    }

    /// Our own binary.
    pub(super) fn ours(&self) -> Command {
        Command::new(&self.binary)
    }

    /// The Python client.
    pub(super) fn python(&self) -> Command {
        Command::new(self.tools.join("bin/sigstore"))
    }

    /// A Python script of ours, with the libraries that the Python client brings along.
    pub(super) fn script(&self, name: &str) -> Command {
        let mut command = Command::new(self.tools.join("bin/python"));
        // Nothing compiled is left beside the sources.
        command.arg("-B").arg(self.scripts.join(name));
        command
    }

    /// The JavaScript client, as a command.
    pub(super) fn javascript(&self) -> Command {
        let mut command = Command::new(self.tools.join("bin/node"));
        command.arg(self.scripts.join("sigstore.mjs"));
        command
    }

    /// The registry with the referrers API.
    pub(super) fn referrers_registry(&self) -> Command {
        Command::new(self.tools.join("bin/ferro-oci-server"))
    }

    /// What a group of checks would need and is not installed.
    pub(super) fn absent(&self, group: Group) -> Option<String> {
        let install = "run xtask/interop/install";
        let missing = |programs: &[&str]| {
            programs
                .iter()
                .find(|program| !on_path(program))
                .map(|program| format!("{program} is not on PATH"))
        };
        let python = self.tools.join("bin/sigstore").exists();
        let javascript = self.tools.join("bin/node").exists()
            && self.scripts.join("node_modules/@sigstore/verify").exists()
            && self.scripts.join("node_modules/@sigstore/oci").exists();
        let referrers = self.tools.join("bin/ferro-oci-server").exists();
        let needed = |needed: &[(bool, &str)]| {
            let (_, name) = needed.iter().find(|(installed, _)| !installed)?;
            Some(format!("{name} is not installed: {install}"))
        };
        let (python, javascript) = ((python, "sigstore"), (javascript, "@sigstore/verify"));
        let referrers = (referrers, "ferro-oci-server");
        match group {
            Group::Python | Group::Tuf => needed(&[python]),
            Group::JavaScript => needed(&[javascript, python]),
            Group::Registry => needed(&[python, javascript]).or_else(|| {
                missing(&["docker-registry", "htpasswd", "umoci", "buildah", "skopeo"])
            }),
            Group::Referrers => needed(&[python, javascript, referrers])
                .or_else(|| missing(&["umoci", "buildah", "skopeo"])),
            Group::OpenSsl => missing(&["openssl"]),
            Group::Cosign => missing(&["cosign"])
                .or_else(|| needed(&[python, referrers]))
                .or_else(|| missing(&["docker-registry", "htpasswd", "umoci", "skopeo"])),
        }
    }

    /// Where the files are; they stay.
    pub(super) fn keep(&self) -> &Path {
        self.keep.set(true);
        &self.scratch
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.instance.take();
        // Files go unless somebody wants to look.
        if !self.keep.get() {
            let _ = fs::remove_dir_all(&self.scratch);
        }
    }
}

/// Builds the binary as tests are built, and says where it is.
fn build(root: &Path) -> Result<PathBuf, BenchError> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .current_dir(root)
        .args(["build", "--locked", "--quiet", "--package", "countersign"])
        .args(["--message-format", "json-render-diagnostics"])
        .output()
        .map_err(|source| BenchError::Io { doing: "starting cargo".to_owned(), source })?;
    if !output.status.success() {
        return Err(BenchError::Build(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
        .ok_or_else(|| BenchError::Build("cargo named no executable".to_owned()))
}

/// The time of day, for tokens.
fn now() -> evidence::UnixTime {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    evidence::UnixTime::from_seconds(seconds.try_into().unwrap_or(i64::MAX))
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).exists())
    })
}

/// The address of the certificate authority that a trust configuration names, once it is written.
fn address_in(trust_config: &Path) -> Option<SocketAddr> {
    let config: Value = serde_json::from_slice(&fs::read(trust_config).ok()?).ok()?;
    let url = config["signingConfig"]["caUrls"][0]["url"].as_str()?;
    url.strip_prefix("http://")?.parse().ok()
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// One GET, for what no client is needed for.
pub(super) fn get(address: SocketAddr, path: &str) -> io::Result<(u16, Vec<u8>)> {
    exchange(address, &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n"), &[])
}

/// One POST.
pub(super) fn post(
    address: SocketAddr,
    path: &str,
    content_type: &str,
    body: &[u8],
) -> io::Result<(u16, Vec<u8>)> {
    let head = format!(
        "POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    exchange(address, &head, body)
}

/// HTTP/1.0 (RFC 1945): the answer ends with the connection.
fn exchange(address: SocketAddr, head: &str, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_DEADLINE)?;
    stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_SIZE_MAX).read_to_end(&mut answer)?;
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "not an HTTP answer");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(unreadable)?;
    let status = answer
        .get(9..12)
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
        .ok_or_else(unreadable)?;
    Ok((status, answer.split_off(end + 4)))
}

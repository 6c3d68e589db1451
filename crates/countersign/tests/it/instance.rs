//! A private instance as its own process, on a port and in a directory of its own; and identity
//! providers for it, in this process.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use devkit::issuer::{
    Algorithm, Claimant, EmailUser, GithubWorkflow, Issuer, IssuerOptions, TokenSpec,
};
use evidence::UnixTime;
use serde_json::Value;
use tempfile::TempDir;

use crate::trust::Trust;
use crate::wire::{Answer, exchange};

/// Time for a process to become ready, or to end. Far more than it takes: machines are slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// Audience that tokens are made for.
const AUDIENCE: &str = "sigstore";

/// The e-mail address that tokens of the second provider speak of.
pub(crate) const EMAIL: &str = "Alice@Example.com";

/// The time, as the processes under test see it.
pub(crate) fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixTime::from_milliseconds(i64::try_from(since.as_millis()).unwrap())
}

/// The identity providers that every instance here trusts.
pub(crate) struct Providers {
    /// Issues tokens to workflows.
    pub(crate) workflows: Issuer,
    /// Issues tokens to people.
    pub(crate) people: Issuer,
    /// Trusted by nobody.
    pub(crate) strangers: Issuer,
    _runtime: tokio::runtime::Runtime,
}

static PROVIDERS: LazyLock<Providers> = LazyLock::new(|| {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let start = || {
        let options =
            IssuerOptions { algorithm: Algorithm::Es256, ..IssuerOptions::new(Arc::new(now)) };
        runtime.block_on(Issuer::start(options)).unwrap()
    };
    let (workflows, people, strangers) = (start(), start(), start());
    Providers { workflows, people, strangers, _runtime: runtime }
});

/// The identity providers, started once.
pub(crate) fn providers() -> &'static Providers {
    &PROVIDERS
}

/// The workflow that tokens speak of.
pub(crate) fn workflow() -> GithubWorkflow {
    GithubWorkflow::new("octo-org", "app", ".github/workflows/release.yml", "refs/heads/main")
}

/// A token of that workflow.
pub(crate) fn workflow_token() -> String {
    providers().workflows.mint(&workflow(), AUDIENCE).unwrap()
}

/// What an honest token of that workflow says, to be changed.
pub(crate) fn workflow_spec() -> TokenSpec {
    providers().workflows.spec(&workflow(), AUDIENCE)
}

/// What a signature over shows that the bearer of [`workflow_token`] holds a key.
pub(crate) fn workflow_challenge() -> String {
    let claims = workflow().claims(providers().workflows.url(), AUDIENCE, now());
    claims["sub"].as_str().unwrap().to_owned()
}

/// A token of a person.
pub(crate) fn email_token() -> String {
    providers().people.mint(&EmailUser::new(EMAIL), AUDIENCE).unwrap()
}

/// Where an instance lives, from start to start.
pub(crate) struct Place {
    directory: TempDir,
    starts: AtomicUsize,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), starts: AtomicUsize::new(0) }
    }

    /// A path beside data and lock.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The instance's directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The instance's lock file.
    pub(crate) fn lock(&self) -> PathBuf {
        self.path("data.lock")
    }

    /// Starts it, and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(&self) -> Instance {
        match self.start_with(&[]) {
            Ok(instance) => instance,
            Err(refusal) => panic!("exit {:?}: {}", refusal.code, refusal.said),
        }
    }

    /// The same with further arguments; or what it said, and its exit code, where it would not.
    pub(crate) fn start_with(&self, arguments: &[&str]) -> Result<Instance, Refusal> {
        self.start_at(&self.data(), arguments)
    }

    /// The same with the directory under another name.
    pub(crate) fn start_at(&self, data: &Path, arguments: &[&str]) -> Result<Instance, Refusal> {
        Starting::at(self, data, arguments).wait()
    }

    /// What it says when it does not start.
    #[track_caller]
    pub(crate) fn refusal(&self, arguments: &[&str]) -> Refusal {
        match self.start_with(arguments) {
            Ok(instance) => panic!("it started at {}", instance.url),
            Err(refusal) => refusal,
        }
    }
}

/// Why a process did not start.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
}

impl Refusal {
    /// Checks that it said all of that, in any order.
    #[track_caller]
    pub(crate) fn says(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.said.contains(part), "`{part}` is not in:\n{}", self.said);
        }
    }
}

/// A process that is not ready yet. Dropping it kills it.
pub(crate) struct Starting {
    child: Option<Child>,
    began: Instant,
    ready_file: PathBuf,
    said: PathBuf,
}

impl Starting {
    pub(crate) fn new(place: &Place) -> Self {
        Self::at(place, &place.data(), &[])
    }

    fn at(place: &Place, data: &Path, arguments: &[&str]) -> Self {
        let number = place.starts.fetch_add(1, Ordering::Relaxed);
        let (ready_file, said) =
            (place.path(&format!("ready-{number}")), place.path(&format!("said-{number}")));
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        // Of the environment only what says what to log.
        command.env_clear().arg("serve").arg("--data").arg(data);
        command.arg("--ready-file").arg(&ready_file);
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.arg("--issuer").arg(format!("github-actions={}", providers().workflows.url()));
        command.arg("--issuer").arg(format!("email={}", providers().people.url()));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(&said).unwrap());
        let began = Instant::now();
        let child = command.spawn().unwrap();
        Self { child: Some(child), began, ready_file, said }
    }

    fn wait(mut self) -> Result<Instance, Refusal> {
        loop {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                let said = std::fs::read_to_string(&self.said).unwrap();
                return Err(Refusal { code: status.code(), said });
            }
            if let Some(instance) = self.ready() {
                return Ok(instance);
            }
            assert!(self.began.elapsed() < PATIENCE, "never ready");
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// The instance, if it is ready after that time at most; else it is killed.
    #[track_caller]
    pub(crate) fn within(mut self, time: Duration) -> Option<Instance> {
        while self.began.elapsed() < time {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("{status}: {}", std::fs::read_to_string(&self.said).unwrap());
            }
            if let Some(instance) = self.ready() {
                return Some(instance);
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        None
    }

    fn ready(&mut self) -> Option<Instance> {
        let url = std::fs::read_to_string(&self.ready_file).ok()?.trim_end().to_owned();
        let ready_after = self.began.elapsed();
        let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
        // A URL of the outside has no port of its own here.
        let address = port.map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)));
        let (ready_file, said) = (self.ready_file.clone(), self.said.clone());
        Some(Instance { child: self.child.take(), url, address, ready_after, ready_file, said })
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A running instance. Dropping it kills it.
pub(crate) struct Instance {
    child: Option<Child>,
    pub(crate) url: String,
    address: Option<SocketAddr>,
    /// From the start of the process.
    pub(crate) ready_after: Duration,
    pub(crate) ready_file: PathBuf,
    said: PathBuf,
}

impl Instance {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address.unwrap()
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        exchange(self.address(), "GET", path, &[], b"").unwrap()
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, json: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        exchange(self.address(), "POST", path, &headers, json.to_string().as_bytes()).unwrap()
    }

    /// What clients are told to trust.
    #[track_caller]
    pub(crate) fn trust(&self) -> Trust {
        Trust::parse(&self.get("/trusted_root.json").wanted(200).json())
    }

    /// Its process.
    pub(crate) fn process_id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap()
    }

    /// Asks it to stop, as an init system does.
    pub(crate) fn terminate(&self) {
        let id = self.child.as_ref().unwrap().id();
        // The shell's own `kill`: there may be no other.
        let sent = Command::new("sh").arg("-c").arg(format!("kill -TERM {id}")).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ended(mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Stops it, which must end well.
    #[track_caller]
    pub(crate) fn stop(self) {
        self.terminate();
        let said = self.said.clone();
        let status = self.ended();
        assert!(status.success(), "{status}: {}", std::fs::read_to_string(said).unwrap());
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        end(&mut self.child);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Option<Child>) {
    let Some(mut child) = child.take() else { return };
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

/// Copies a directory and all in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

//! An instance of this machine, of the workspace's own binary: built, started, and ended with this
//! program.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use devkit::issuer::Issuer;

/// Time to become ready.
const DEADLINE: Duration = Duration::from_secs(30);

/// Why there is no instance.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// A file or program failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The binary could not be built.
    #[error("the binary could not be built")]
    Build,
    /// The instance is somewhere else than it should be.
    #[error("the instance is not on loopback: {found}")]
    NotLoopback {
        /// What it said.
        found: String,
    },
}

/// The binary as it is shipped, brought up to date.
pub(crate) fn build(root: &Path) -> Result<PathBuf, InstanceError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--package", "countersign"])
        .current_dir(root)
        .status()
        .map_err(|source| InstanceError::Io { doing: "running cargo", source })?;
    if status.success() {
        Ok(root.join("target").join("release").join("countersign"))
    } else {
        Err(InstanceError::Build)
    }
}

/// A running instance. Dropping it ends it.
pub(crate) struct Instance {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Instance {
    /// Starts one whose data, and what it says, are in that folder, and which takes that provider's
    /// word for who is a workflow of GitHub's.
    pub(crate) fn start(
        binary: &Path,
        directory: &Path,
        issuer: &Issuer,
    ) -> Result<Self, InstanceError> {
        let io = |doing| move |source| InstanceError::Io { doing, source };
        let ready = directory.join("ready");
        let said = File::create(directory.join("said")).map_err(io("making a file"))?;
        let child = Command::new(binary)
            .arg("serve")
            .arg("--data")
            .arg(data(directory))
            .args(["--listen", "127.0.0.1:0", "--ready-file"])
            .arg(&ready)
            .arg("--issuer")
            .arg(format!("github-actions={}", issuer.url()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .map_err(io("starting the instance"))?;
        let mut instance = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        instance.address = instance.wait(&ready)?;
        Ok(instance)
    }

    fn wait(&mut self, ready: &Path) -> Result<SocketAddr, InstanceError> {
        let doing = "starting the instance";
        let began = Instant::now();
        let url = loop {
            if let Ok(url) = fs::read_to_string(ready) {
                break url;
            }
            let ended =
                self.child.try_wait().map_err(|source| InstanceError::Io { doing, source })?;
            if ended.is_some() || began.elapsed() > DEADLINE {
                let source = io::Error::other("it did not become ready");
                return Err(InstanceError::Io { doing, source });
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let address = url.trim_end().strip_prefix("http://").and_then(|rest| rest.parse().ok());
        let address = address.filter(|address: &SocketAddr| address.ip().is_loopback());
        address.ok_or(InstanceError::NotLoopback { found: url })
    }

    /// Its memory in KiB; 0 where the system does not tell.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where an instance whose folder this is keeps its data.
pub(crate) fn data(directory: &Path) -> PathBuf {
    directory.join("data")
}

/// A folder for one run of a program of ours, under the workspace's `target`.
pub(crate) fn folder(root: &Path, program: &str) -> Result<PathBuf, InstanceError> {
    let folder = root.join("target").join(program).join(std::process::id().to_string());
    fs::create_dir_all(&folder)
        .map_err(|source| InstanceError::Io { doing: "making a folder", source })?;
    Ok(folder)
}

//! What one command costs: from the start of the process to the verdict, its memory, its requests,
//! and the size of the binary.
//!
//! Everything is measured in one run on evidence made for it: an instance, an identity provider and
//! a registry are started on loopback, and the binary signs with them what it then verifies. What
//! is compared is taken in turns, so that a machine that slows down slows all of it. The command
//! lines that were measured are printed.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use devkit::DevkitError;
use devkit::image::ImageIndex;
use devkit::issuer::{GithubWorkflow, Issuer, IssuerOptions};
use devkit::registry::{Registry, RegistryOptions};
use evidence::UnixTime;

use crate::instance::{self, Instance, InstanceError};

/// Most runs of each command.
pub const RUNS_MAX: usize = 10_000;

/// Signatures beside the image; the client's aim is to verify that with nine requests.
const SIGNATURES: usize = 5;

/// Size of the large file, in bytes.
const LARGE_FILE_SIZE: u64 = 1 << 30;

/// Audience of tokens.
const AUDIENCE: &str = "sigstore";

/// GNU time, which tells the most memory that a program had.
const TIME: &str = "/usr/bin/time";

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// There is no instance.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The identity provider or the registry failed.
    #[error(transparent)]
    Devkit(#[from] DevkitError),
    /// A file or program failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// A command that must succeed did not.
    #[error("`{line}` failed: {said}")]
    Failed {
        /// The command.
        line: String,
        /// The beginning of what it said.
        said: String,
    },
}

/// How long a command took, from before it was started until it had ended.
#[derive(Clone, Debug)]
struct Took {
    /// Sorted.
    times: Vec<Duration>,
}

impl Took {
    fn least_ms(&self) -> f64 {
        self.times.first().map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }

    fn median_ms(&self) -> f64 {
        self.times.get(self.times.len() / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}

/// A command line that is measured.
struct Line {
    what: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    directory: PathBuf,
}

impl Line {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.directory).env_clear();
        command.env("HOME", &self.directory).env("DOCKER_CONFIG", &self.directory);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs it once, successfully. How long that took.
    fn run(&self) -> Result<Duration, MeasureError> {
        let mut command = self.command();
        let began = Instant::now();
        let status = command.status().map_err(io_error("starting a program"))?;
        let took = began.elapsed();
        if status.success() {
            return Ok(took);
        }
        // Once more, for what it says.
        let said = { command }.stderr(Stdio::piped()).output();
        Err(self.failed(&said.map_err(io_error("starting a program"))?))
    }

    /// The most memory that it has, in KiB; `None` where nothing here tells.
    fn memory(&self) -> Result<Option<u64>, MeasureError> {
        if !Path::new(TIME).exists() {
            return Ok(None);
        }
        let mut command = Command::new(TIME);
        command.args(["-f", "%M"]).arg(&self.program).args(&self.arguments);
        command.current_dir(&self.directory).env_clear().env("HOME", &self.directory);
        let output = command.stdin(Stdio::null()).output();
        let output = output.map_err(io_error("starting a program"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let kib = said.lines().last().and_then(|line| line.parse().ok());
        if output.status.success() { Ok(kib) } else { Err(self.failed(&output)) }
    }

    fn failed(&self, output: &Output) -> MeasureError {
        let said = String::from_utf8_lossy(&output.stderr).chars().take(400).collect();
        MeasureError::Failed { line: self.to_string(), said }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.program.file_name().unwrap_or(self.program.as_os_str());
        write!(f, "{}", name.display())?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}

/// Builds the binary, makes evidence, and measures; prints what was found. What is `given` is
/// measured beside it: the arguments of `verify-blob` about evidence that is there already.
///
/// # Errors
/// When anything cannot be started, or a command fails that must succeed.
pub fn run(root: &Path, runs: usize, given: &[String]) -> Result<(), MeasureError> {
    let binary = instance::build(root)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(io_error("starting a runtime"))?;
    let (issuer, registry) = runtime.block_on(async {
        let issuer = Issuer::start(IssuerOptions::new(Arc::new(now))).await?;
        Ok::<_, DevkitError>((issuer, Registry::start(RegistryOptions::default()).await?))
    })?;
    let directory = instance::folder(root, "measure")?;
    let instance = Instance::start(&binary, &directory, &issuer)?;
    let bench = Bench { binary, directory, issuer, registry };
    let found = bench.measure(runs, given);
    // It writes into the folder until its end.
    drop(instance);
    found?;
    // Kept where something went wrong.
    fs::remove_dir_all(&bench.directory).map_err(io_error("removing a folder"))
}

/// What is measured, and with what.
struct Bench {
    binary: PathBuf,
    directory: PathBuf,
    issuer: Issuer,
    registry: Registry,
}

impl Bench {
    fn measure(&self, runs: usize, given: &[String]) -> Result<(), MeasureError> {
        let (small, large) = (self.signed_file("app.tar", None)?, self.large_file()?);
        let image = self.signed_image()?;
        let nothing = self.line("a process that does nothing", "true", &[""; 0]);
        let version = self.line("countersign version", &self.binary, &["version"]);
        let mut lines = vec![nothing, version, small];
        if !given.is_empty() {
            let current = std::env::current_dir().map_err(io_error("finding this folder"))?;
            let arguments: Vec<_> =
                ["verify-blob"].into_iter().chain(given.iter().map(String::as_str)).collect();
            let line = self.line("verify-blob, as given", &self.binary, &arguments);
            lines.push(Line { directory: current, ..line });
        }
        println!("{:<44} {:>10} {:>10}", "from start to end of the process", "least", "median");
        for (line, took) in lines.iter().zip(in_turns(&lines, runs)?) {
            println!("{:<44} {:>7.2} ms {:>7.2} ms", line.what, took.least_ms(), took.median_ms());
        }
        println!();
        lines.push(large);
        for line in &lines[1..] {
            let told = match line.memory()? {
                Some(kib) => format!("{:.1} MB", kib as f64 * 1024.0 / 1e6),
                None => format!("not measured: there is no {TIME}"),
            };
            println!("{:<44} {told:>10}", format!("peak memory of {}", line.what));
        }
        lines.push(self.line("verify of the image", &self.binary, &self.of_image(&image)?));
        self.registry.clear_requests();
        lines[lines.len() - 1].run()?;
        let requests = self.registry.requests().len();
        println!("{:<44} {requests:>10}", format!("requests, {SIGNATURES} signatures on an image"));
        let size = fs::metadata(&self.binary).map_err(io_error("measuring the binary"))?.len();
        println!("{:<44} {:>7.1} MB\n", "size of the binary", size as f64 / 1e6);
        println!("{runs} runs of each, in turns:");
        lines.iter().for_each(|line| println!("  {line}"));
        Ok(())
    }

    fn line(
        &self,
        what: &'static str,
        program: impl Into<PathBuf>,
        arguments: &[impl AsRef<str>],
    ) -> Line {
        let arguments = arguments.iter().map(|it| it.as_ref().to_owned()).collect();
        Line { what, program: program.into(), arguments, directory: self.directory.clone() }
    }

    /// A job's token, and who it says that signs.
    fn workflow(&self) -> Result<(String, String), MeasureError> {
        let path = ".github/workflows/release.yml";
        let workflow = GithubWorkflow::new("acme", "app", path, "refs/heads/main");
        let token = self.issuer.mint(&workflow, AUDIENCE)?;
        let identity = format!("https://github.com/acme/app/{path}@refs/heads/main");
        Ok((token, identity))
    }

    /// The flags that say who must have signed, and whom to believe.
    fn believing(&self) -> Result<Vec<String>, MeasureError> {
        let (_, identity) = self.workflow()?;
        let flags = [
            "--certificate-identity",
            &identity,
            "--certificate-oidc-issuer",
            self.issuer.url(),
            "--trust-config",
            "data/public/trust_config.json",
        ];
        Ok(flags.map(str::to_owned).to_vec())
    }

    /// Signs, which must succeed.
    fn sign(&self, arguments: &[&str]) -> Result<(), MeasureError> {
        let line = self.line("signing", &self.binary, arguments);
        let mut command = line.command();
        command.env("SIGSTORE_ID_TOKEN", self.workflow()?.0);
        command.env("COUNTERSIGN_TRUST_CONFIG", "data/public/trust_config.json");
        let output = command.stderr(Stdio::piped()).output().map_err(io_error("signing"))?;
        if output.status.success() { Ok(()) } else { Err(line.failed(&output)) }
    }

    /// A file with its bundle; how it is verified.
    fn signed_file(&self, name: &str, size: Option<u64>) -> Result<Line, MeasureError> {
        let path = self.directory.join(name);
        match size {
            None => fs::write(&path, "the application").map_err(io_error("writing a file"))?,
            // Of holes: the disk is not what is measured.
            Some(size) => File::create(&path)
                .and_then(|file| file.set_len(size))
                .map_err(io_error("making a large file"))?,
        }
        let bundle = format!("{name}.sigstore.json");
        self.sign(&["sign-blob", "--bundle", &bundle, name])?;
        let what = if size.is_some() { "verify-blob of 1 GiB" } else { "verify-blob" };
        let mut arguments = vec!["verify-blob".to_owned(), "--bundle".to_owned(), bundle];
        arguments.extend(self.believing()?);
        arguments.push(name.to_owned());
        Ok(self.line(what, &self.binary, &arguments))
    }

    fn large_file(&self) -> Result<Line, MeasureError> {
        self.signed_file("large.tar", Some(LARGE_FILE_SIZE))
    }

    /// Pushes an image and signs it several times. Its reference.
    fn signed_image(&self) -> Result<String, MeasureError> {
        let repository = "acme/app";
        let index = ImageIndex::greeting("measured")?;
        let Some(image) = index.images.into_iter().next() else {
            let source = io::Error::other("there is no image in the index");
            return Err(MeasureError::Io { doing: "making an image", source });
        };
        for blob in [image.config, image.layer] {
            self.registry.plant_blob(repository, blob.digest, blob.bytes)?;
        }
        let manifest = image.manifest;
        let digest = manifest.digest.to_string();
        self.registry.plant_manifest(repository, &digest, manifest.media_type, manifest.bytes)?;
        let reference = format!("{}/{repository}@{digest}", self.registry.address());
        for _ in 0..SIGNATURES {
            self.sign(&["sign", "--yes", &reference])?;
        }
        Ok(reference)
    }

    /// How it is verified.
    fn of_image(&self, reference: &str) -> Result<Vec<String>, MeasureError> {
        let mut arguments = vec!["verify".to_owned()];
        arguments.extend(self.believing()?);
        arguments.push(reference.to_owned());
        Ok(arguments)
    }
}

/// Runs each so many times, one after the other, again and again.
fn in_turns(lines: &[Line], runs: usize) -> Result<Vec<Took>, MeasureError> {
    let mut took: Vec<_> = lines.iter().map(|_| Took { times: Vec::new() }).collect();
    for line in lines {
        // Not counted: it brings the program into memory.
        line.run()?;
    }
    for _ in 0..runs {
        for (line, took) in lines.iter().zip(&mut took) {
            took.times.push(line.run()?);
        }
    }
    took.iter_mut().for_each(|took| took.times.sort_unstable());
    Ok(took)
}

fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_milliseconds(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn io_error(doing: &'static str) -> impl Fn(io::Error) -> MeasureError {
    move |source| MeasureError::Io { doing, source }
}

//! Where the commands are tried.

use std::cell::OnceCell;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use devkit::image::ImageIndex;
use devkit::issuer::{GithubWorkflow, Issuer, IssuerOptions};
use devkit::registry::{Registry, RegistryOptions};
use evidence::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::instance::now;
use crate::process::Server;
use crate::wire::exchange;

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// The workflow that signs.
pub(crate) const RELEASE: &str =
    "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";

/// An instance, an identity provider, a registry, and a directory in which the commands run.
pub(crate) struct World {
    directory: TempDir,
    pub(crate) registry: Registry,
    pub(crate) issuer: Issuer,
    instance: OnceCell<Server>,
    // The last to go: the servers run in it.
    _runtime: Runtime,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    line: String,
    code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    /// With an empty registry; the instance starts when it is first needed.
    pub(crate) fn new() -> Self {
        Self::with(RegistryOptions::default())
    }

    pub(crate) fn with(options: RegistryOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        let (issuer, registry) = runtime.block_on(async {
            let issuer = Issuer::start(IssuerOptions::new(Arc::new(now))).await.unwrap();
            (issuer, Registry::start(options).await.unwrap())
        });
        let directory = tempfile::tempdir().unwrap();
        Self { directory, registry, issuer, instance: OnceCell::new(), _runtime: runtime }
    }

    fn instance(&self) -> &Server {
        self.instance.get_or_init(|| {
            let provider = format!("github-actions={}", self.issuer.url());
            let data = self.path("data");
            let listen = ["serve", "--listen", "127.0.0.1:0", "--issuer", &provider, "--data"];
            Server::start(&[&listen[..], &[data.to_str().unwrap()]].concat())
        })
    }

    /// The instance's URL.
    pub(crate) fn url(&self) -> &str {
        &self.instance().url
    }

    /// What the instance answers there.
    pub(crate) fn get(&self, path: &str) -> Vec<u8> {
        let address = self.url().strip_prefix("http://").unwrap().parse().unwrap();
        exchange(address, "GET", path, &[], b"").unwrap().wanted(200).body
    }

    /// How many entries both logs have.
    pub(crate) fn log_size(&self) -> u64 {
        ["/checkpoint", "/v1/checkpoint"].map(|path| self.get(path)).iter().fold(0, |sum, note| {
            let text = std::str::from_utf8(note).unwrap();
            sum + text.lines().nth(1).unwrap().parse::<u64>().unwrap()
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file into the directory.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Reads one of its files.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Puts an image into the registry. Its reference.
    pub(crate) fn push(&self, repository: &str, tag: &str) -> String {
        let image = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2,
                "digest": Digest::sha256(b"{}").to_string()},
            "layers": [],
            "annotations": {"repository": repository, "tag": tag},
        });
        self.plant(repository, b"{}");
        let manifest = image.to_string().into_bytes();
        self.registry.plant_manifest(repository, tag, MANIFEST_TYPE, manifest).unwrap();
        format!("{}/{repository}:{tag}", self.registry.address())
    }

    fn plant(&self, repository: &str, blob: &[u8]) {
        let digest = Digest::sha256(blob);
        self.registry.plant_blob(repository, digest, blob.to_vec()).unwrap();
    }

    /// Puts an index of two images there. Its reference, and the references of the two.
    pub(crate) fn push_index(&self, repository: &str, tag: &str) -> (String, Vec<String>) {
        let index = ImageIndex::greeting(tag).unwrap();
        let name = format!("{}/{repository}", self.registry.address());
        let plant = |reference: &str, media_type, bytes| {
            self.registry.plant_manifest(repository, reference, media_type, bytes).unwrap()
        };
        let mut images = Vec::new();
        for image in index.images {
            for blob in [image.config, image.layer] {
                self.plant(repository, &blob.bytes);
            }
            let digest = image.manifest.digest.to_string();
            plant(&digest, MANIFEST_TYPE, image.manifest.bytes);
            images.push(format!("{name}@{digest}"));
        }
        plant(tag, INDEX_TYPE, index.manifest.bytes);
        (format!("{name}:{tag}"), images)
    }

    /// The digest that a reference with a tag stands for.
    pub(crate) fn digest(&self, image: &str) -> String {
        let said = self.run(&format!("triangulate --type digest {image}")).ends(0);
        said.stdout.trim().split_once('@').unwrap().1.to_owned()
    }

    /// Requests to the registry that change something.
    pub(crate) fn writes(&self) -> usize {
        let requests = self.registry.requests();
        let reads = ["GET", "HEAD"];
        requests.iter().filter(|request| !reads.contains(&request.method.as_str())).count()
    }

    /// The program, as a job of the release workflow has it.
    pub(crate) fn command(&self, line: &str) -> Command {
        let workflow =
            GithubWorkflow::new("acme", "app", ".github/workflows/release.yml", "refs/heads/main");
        let token = self.issuer.mint(&workflow, "sigstore").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.env_clear().current_dir(self.directory.path()).stdin(Stdio::null());
        let home = self.path("home");
        std::fs::create_dir_all(&home).unwrap();
        command.env("HOME", &home).env("DOCKER_CONFIG", home.join("docker"));
        command.env("TUF_ROOT", home.join("tuf")).env("SIGSTORE_ID_TOKEN", token);
        command.env("COSIGN_PASSWORD", "secret");
        command.args(line.split_whitespace());
        command
    }

    /// Runs a command line whose words have spaces between them, with the instance's trust
    /// configuration.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> Said {
        self.run_with(line, &[])
    }

    /// The same with further variables.
    #[track_caller]
    pub(crate) fn run_with(&self, line: &str, variables: &[(&str, &str)]) -> Said {
        let _ = self.instance();
        let config = self.path("data/public/trust_config.json");
        let mut command = self.command(line);
        command.env("COUNTERSIGN_TRUST_CONFIG", config).envs(variables.iter().copied());
        Said::new(line, &command.output().unwrap())
    }

    /// Runs a command line that needs no instance.
    #[track_caller]
    pub(crate) fn run_alone(&self, line: &str) -> Said {
        Said::new(line, &self.command(line).output().unwrap())
    }

    /// The same with something on standard input.
    #[track_caller]
    pub(crate) fn run_fed(&self, line: &str, input: &[u8]) -> Said {
        let _ = self.instance();
        let mut command = self.command(line);
        command.env("COUNTERSIGN_TRUST_CONFIG", self.path("data/public/trust_config.json"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Who does not read has ended; what it said tells why.
        let _ = child.stdin.take().unwrap().write_all(input);
        Said::new(line, &child.wait_with_output().unwrap())
    }

    /// The flags that name the release workflow as the signer.
    pub(crate) fn by_release(&self) -> String {
        self.by(RELEASE)
    }

    /// The flags that name somebody as the signer.
    pub(crate) fn by(&self, identity: &str) -> String {
        let issuer = self.issuer.url();
        format!("--certificate-identity {identity} --certificate-oidc-issuer {issuer}")
    }
}

impl Said {
    pub(crate) fn new(line: &str, output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        Self { line: line.to_owned(), code: output.status.code(), stdout, stderr }
    }

    /// Everything, for a test that fails.
    fn all(&self) -> String {
        let mut all = format!("$ countersign {}\n", self.line);
        let _ = write!(all, "{}{}-> {:?}", self.stdout, self.stderr, self.code);
        all
    }

    /// Checks how it ended.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.all());
        self
    }

    /// Checks that it said all of this, on whatever stream.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            let said = self.stdout.contains(part) || self.stderr.contains(part);
            assert!(said, "`{part}` is not in:\n{}", self.all());
        }
        self
    }

    /// Checks that there is no result.
    #[track_caller]
    pub(crate) fn without_result(self) -> Self {
        assert_eq!(self.stdout, "", "{}", self.all());
        self
    }

    /// The result, which is one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.all()))
    }

    /// The result, which is a JSON document on each line.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines.map(|line| serde_json::from_str(line).expect("a document on each line")).collect()
    }
}

/// Permissions of a file, as `chmod` takes them.
#[cfg(unix)]
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

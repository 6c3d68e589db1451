//! Debian's `docker-registry` 2.8, which knows no referrers API, behind a password: images made by
//! `umoci`, pushed by `skopeo`, gathered into an index by `buildah`, signed and verified by us,
//! and what we attach read back and verified by the clients of others.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::bench::{Bench, Log, free_port, get};
use super::check::Check;
use super::clients::{Claim, Client, expect_success};
use super::failure::Failure;
use super::group::Group;
use super::process::{Finished, Running};

const USER: &str = "interop";
const PASSWORD: &str = "correct-horse";

/// Exit code when it could not be told, because something could not be read or reached.
const UNKNOWN: i32 = 3;

/// Exit code for an image that nobody has signed.
const UNSIGNED: i32 = 10;

/// Exit code for an image that nobody who is wanted has signed.
const UNTRUSTED: i32 = 12;

/// The checks.
pub(super) fn checks() -> Vec<Check> {
    let check = |name: &str, run: fn(&Shelf<'_>) -> Result<(), Failure>| {
        Check::new(Group::Registry, name, move |bench| run(&Shelf::start(bench)?))
    };
    vec![
        check("an unsigned image is refused", unsigned),
        check("an image is signed and verified by tag and by digest", one_image),
        check("an index of two platforms is signed and verified", index),
        check("an image signed in log v2 is verified", log_v2),
        check("what is attached, Python and JavaScript verify", others_read),
        check("a wrong password is told apart from an unsigned image", wrong_password),
    ]
}

/// A running registry with images on it.
struct Shelf<'a> {
    bench: &'a Bench,
    registry: RefCell<Option<Running>>,
    host: String,
    /// The folder with `config.json`, as Docker keeps it.
    docker_config: PathBuf,
    layout: PathBuf,
}

impl<'a> Shelf<'a> {
    fn start(bench: &'a Bench) -> Result<Self, Failure> {
        let port = free_port()?;
        let host = format!("127.0.0.1:{port}");
        let folder = bench.path(&format!("registry-{port}"));
        let docker_config = folder.join("docker");
        fs::create_dir_all(&docker_config)?;
        let credentials = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let config = serde_json::json!({"auths": {&host: {"auth": credentials}}});
        fs::write(docker_config.join("config.json"), config.to_string())?;

        let mut command = Command::new("htpasswd");
        let hashed = bench.run(command.args(["-Bbn", USER, PASSWORD]))?;
        if !hashed.succeeded() {
            return Err(Failure::new(hashed.report()));
        }
        let passwords = folder.join("htpasswd");
        fs::write(&passwords, hashed.stdout)?;
        let configuration = folder.join("registry.yml");
        fs::write(&configuration, registry_configuration(&host, &folder, &passwords))?;
        let mut command = Command::new("docker-registry");
        let mut registry =
            bench.keep_running("registry", command.arg("serve").arg(&configuration))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        registry.wait_until(|| matches!(get(address, "/v2/"), Ok((401, _))))?;

        let shelf = Self {
            bench,
            registry: RefCell::new(Some(registry)),
            host,
            docker_config,
            layout: folder.join("layout"),
        };
        shelf.make_images(&folder)?;
        Ok(shelf)
    }

    /// Makes an image for each of two platforms and pushes both.
    fn make_images(&self, folder: &Path) -> Result<(), Failure> {
        self.tool("umoci", &["init", "--layout", &self.layout.to_string_lossy()])?;
        for platform in ["amd64", "arm64"] {
            let content = folder.join(format!("content-{platform}"));
            fs::create_dir_all(&content)?;
            fs::write(content.join("hello"), format!("hello from {platform}\n"))?;
            let image = format!("{}:{platform}", self.layout.display());
            self.tool("umoci", &["new", "--image", &image])?;
            let content = content.to_string_lossy();
            self.tool("umoci", &["insert", "--rootless", "--image", &image, &content, "/"])?;
            self.tool(
                "umoci",
                &["config", "--image", &image, "--architecture", platform, "--os", "linux"],
            )?;
            let target = format!("docker://{}/app:{platform}", self.host);
            self.skopeo(
                &["copy", "--dest-creds", &format!("{USER}:{PASSWORD}")],
                &["--dest-tls-verify=false", &format!("oci:{image}"), &target],
            )?;
        }
        Ok(())
    }

    /// Gathers both images into an index and pushes it.
    fn make_index(&self) -> Result<(), Failure> {
        let store = self.layout.with_file_name("buildah");
        let buildah = |arguments: &[&str]| {
            let mut command = Command::new("buildah");
            command.args(["--storage-driver", "vfs", "--root"]).arg(store.join("root"));
            command.arg("--runroot").arg(store.join("run"));
            command.env("REGISTRY_AUTH_FILE", self.docker_config.join("config.json"));
            self.bench.run(command.args(arguments)).map_err(Failure::from).and_then(expect_success)
        };
        buildah(&["manifest", "create", "app"])?;
        for platform in ["amd64", "arm64"] {
            let image = format!("docker://{}/app:{platform}", self.host);
            buildah(&["manifest", "add", "--tls-verify=false", "app", &image])?;
        }
        let target = format!("docker://{}/app:multi", self.host);
        buildah(&["manifest", "push", "--all", "--tls-verify=false", "app", &target])
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> Result<(), Failure> {
        let mut command = Command::new(program);
        self.bench.run(command.args(arguments)).map_err(Failure::from).and_then(expect_success)
    }

    /// Runs skopeo, and gives what it printed.
    fn skopeo(&self, first: &[&str], rest: &[&str]) -> Result<String, Failure> {
        let mut command = Command::new("skopeo");
        command.arg("--insecure-policy").args(first).args(rest);
        let finished = self.bench.run(&mut command)?;
        if finished.succeeded() {
            Ok(finished.stdout)
        } else {
            Err(Failure::new(finished.report()))
        }
    }

    /// A manifest's bytes, as the registry holds them.
    fn manifest(&self, reference: &str) -> Result<String, Failure> {
        let name = format!("docker://{}/{reference}", self.host);
        let credentials = format!("{USER}:{PASSWORD}");
        self.skopeo(&["inspect", "--creds", &credentials], &["--raw", "--tls-verify=false", &name])
    }

    /// The digest of a tag.
    fn digest(&self, tag: &str) -> Result<String, Failure> {
        let manifest = self.manifest(&format!("app:{tag}"))?;
        Ok(format!("sha256:{}", hex::encode(crypto::sha256(manifest.as_bytes()))))
    }

    fn image(&self, tag: &str) -> String {
        format!("{}/app:{tag}", self.host)
    }

    fn sign(&self, log: Log, image: &str) -> Result<(), Failure> {
        let mut command = self.bench.ours();
        command.env("DOCKER_CONFIG", &self.docker_config);
        command.arg("sign").arg("--trust-config").arg(self.bench.trust_config(log));
        command.args(["--identity-token", &self.bench.token()?, image]);
        self.bench.run(&mut command).map_err(Failure::from).and_then(expect_success)
    }

    fn verify(&self, image: &str, identity: &str) -> io::Result<Finished> {
        self.verify_as(image, identity, &self.docker_config)
    }

    fn verify_as(&self, image: &str, identity: &str, config: &Path) -> io::Result<Finished> {
        let mut command = self.bench.ours();
        command.env("DOCKER_CONFIG", config);
        command.arg("verify").arg("--trust-config").arg(self.bench.trust_config(Log::V1));
        command.args(["--certificate-identity", identity]);
        command.args(["--certificate-oidc-issuer", self.bench.issuer(), image]);
        self.bench.run(&mut command)
    }

    fn expect_code(&self, wanted: i32, finished: &Finished) -> Result<(), Failure> {
        if finished.code() == Some(wanted) {
            return Ok(());
        }
        Err(Failure::new(format!("wanted exit code {wanted}\n{}", finished.report())))
    }
}

impl Drop for Shelf<'_> {
    fn drop(&mut self) {
        self.registry.borrow_mut().take();
    }
}

/// Distribution's own configuration file.
fn registry_configuration(host: &str, folder: &Path, passwords: &Path) -> String {
    format!(
        "version: 0.1\n\
         log: {{level: warn}}\n\
         storage: {{filesystem: {{rootdirectory: {}}}}}\n\
         http: {{addr: {host}}}\n\
         auth: {{htpasswd: {{realm: interop, path: {}}}}}\n",
        folder.join("store").display(),
        passwords.display()
    )
}

fn unsigned(shelf: &Shelf<'_>) -> Result<(), Failure> {
    let finished = shelf.verify(&shelf.image("amd64"), &shelf.bench.identity())?;
    shelf.expect_code(UNSIGNED, &finished)
}

fn one_image(shelf: &Shelf<'_>) -> Result<(), Failure> {
    let image = shelf.image("amd64");
    shelf.sign(Log::V1, &image)?;
    let identity = shelf.bench.identity();
    let by_digest = format!("{}/app@{}", shelf.host, shelf.digest("amd64")?);
    for image in [&image, &by_digest] {
        shelf.expect_code(0, &shelf.verify(image, &identity)?)?;
        shelf.expect_code(UNTRUSTED, &shelf.verify(image, "somebody-else")?)?;
    }
    // The other platform's image is another image.
    shelf.expect_code(UNSIGNED, &shelf.verify(&shelf.image("arm64"), &identity)?)
}

fn index(shelf: &Shelf<'_>) -> Result<(), Failure> {
    shelf.make_index()?;
    let image = shelf.image("multi");
    shelf.sign(Log::V1, &image)?;
    let identity = shelf.bench.identity();
    shelf.expect_code(0, &shelf.verify(&image, &identity)?)?;
    shelf.expect_code(UNTRUSTED, &shelf.verify(&image, "somebody-else")?)
}

fn log_v2(shelf: &Shelf<'_>) -> Result<(), Failure> {
    let image = shelf.image("arm64");
    shelf.sign(Log::V2, &image)?;
    shelf.expect_code(0, &shelf.verify(&image, &shelf.bench.identity())?)
}

/// Reads the attached bundle as any OCI client without a referrers API would, through the
/// referrers tag (OCI distribution specification 1.1, "Referrers Tag Schema"), and has it verified.
fn others_read(shelf: &Shelf<'_>) -> Result<(), Failure> {
    for (tag, log) in [("amd64", Log::V1), ("arm64", Log::V2)] {
        shelf.sign(log, &shelf.image(tag))?;
        let digest = shelf.digest(tag)?;
        let fallback = format!("app:{}", digest.replace(':', "-"));
        let referrers: Value = serde_json::from_str(&shelf.manifest(&fallback)?)?;
        let first = referrers["manifests"][0]["digest"].as_str().unwrap_or_default();
        let manifest: Value = serde_json::from_str(&shelf.manifest(&format!("app@{first}"))?)?;
        let layer = manifest["layers"][0]["digest"].as_str().unwrap_or_default();
        let folder = shelf.bench.path(&format!("attached-{tag}"));
        let name = format!("docker://{}/app@{first}", shelf.host);
        let credentials = format!("{USER}:{PASSWORD}");
        let target = format!("dir:{}", folder.display());
        shelf.skopeo(
            &["copy", "--src-creds", &credentials],
            &["--src-tls-verify=false", &name, &target],
        )?;
        let bundle = folder.join(layer.trim_start_matches("sha256:"));
        let identity = shelf.bench.identity();
        let issuer = shelf.bench.issuer();
        // Python compares the statement's subject with the digest it is given.
        let claim = Claim { bundle: &bundle, artifact: &digest, identity: &identity, issuer };
        expect_success(Client::Python.verify(shelf.bench, &claim)?)?;
        // JavaScript is not asked about a file, and prints the statement.
        let nothing = shelf.bench.write("nothing", b"")?;
        let claim = Claim { artifact: &nothing.to_string_lossy(), ..claim };
        let finished = Client::JavaScript.verify(shelf.bench, &claim)?;
        if !finished.succeeded() {
            return Err(Failure::new(finished.report()));
        }
        let statement: Value = serde_json::from_str(&finished.stdout)?;
        let subject = statement["subject"][0]["digest"]["sha256"].as_str();
        if subject != digest.strip_prefix("sha256:") {
            let found = format!("the statement is about another image: {statement}");
            return Err(Failure::new(found));
        }
    }
    Ok(())
}

fn wrong_password(shelf: &Shelf<'_>) -> Result<(), Failure> {
    let config = shelf.bench.path("docker-wrong");
    fs::create_dir_all(&config)?;
    let credentials = STANDARD.encode(format!("{USER}:wrong"));
    let text = serde_json::json!({"auths": {&shelf.host: {"auth": credentials}}}).to_string();
    fs::write(config.join("config.json"), text)?;
    let image = shelf.image("amd64");
    let finished = shelf.verify_as(&image, &shelf.bench.identity(), &config)?;
    shelf.expect_code(UNKNOWN, &finished)
}

//! Images in a registry, and what is done to them there: by us, and by the tools that made them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::bench::{Bench, Log};
use super::clients::{PREDICATE_TYPE, predicate};
use super::exit::{UNTRUSTED, expect_code, expect_success};
use super::failure::Failure;
use super::place::{Place, Standing};
use super::process::Finished;
use super::trial::{ELSEWHERE, STRANGER};

/// The repository of the images.
pub(super) const REPOSITORY: &str = "app";

/// Tags of the images, one for each platform.
pub(super) const PLATFORMS: [&str; 2] = ["amd64", "arm64"];

/// Which of Cosign's formats we write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A tag with layers, before v3.
    Tags,
    /// Bundles that refer to the image.
    Bundles,
}

impl Format {
    /// The name that `--formats` has for it.
    pub(super) fn argument(self) -> &'static str {
        match self {
            Self::Tags => "cosign",
            Self::Bundles => "bundle",
        }
    }
}

/// What is said about an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// That it is signed.
    Signature,
    /// A predicate of [`PREDICATE_TYPE`].
    Attestation,
}

/// A running registry with an image for each of two platforms.
pub(super) struct Shelf<'a> {
    pub(super) bench: &'a Bench,
    pub(super) place: Place,
    pub(super) standing: Standing,
}

impl<'a> Shelf<'a> {
    /// Starts the registry and pushes the images.
    pub(super) fn start(bench: &'a Bench, place: Place) -> Result<Self, Failure> {
        let shelf = Self { bench, place, standing: Standing::start(bench, place)? };
        let layout = layout(bench)?;
        for platform in PLATFORMS {
            let from = format!("oci:{}:{platform}", layout.display());
            let to = format!("docker://{}", shelf.image(platform));
            shelf.skopeo(&["copy", "--dest-tls-verify=false", &from, &to])?;
        }
        Ok(shelf)
    }

    /// An image, by tag.
    pub(super) fn image(&self, tag: &str) -> String {
        format!("{}/{REPOSITORY}:{tag}", self.standing.host())
    }

    /// An image, by the digest that its tag has.
    pub(super) fn pinned(&self, tag: &str) -> Result<String, Failure> {
        Ok(format!("{}/{REPOSITORY}@{}", self.standing.host(), self.digest(tag)?))
    }

    /// The digest of a tag.
    pub(super) fn digest(&self, tag: &str) -> Result<String, Failure> {
        let manifest = self.manifest(&format!("{REPOSITORY}:{tag}"))?;
        Ok(format!("sha256:{}", hex::encode(crypto::sha256(manifest.as_bytes()))))
    }

    /// A manifest's bytes, as the registry holds them.
    pub(super) fn manifest(&self, reference: &str) -> Result<String, Failure> {
        let name = format!("docker://{}/{reference}", self.standing.host());
        self.skopeo(&["inspect", "--raw", "--tls-verify=false", &name])
    }

    /// All tags of the repository, in order.
    pub(super) fn tags(&self) -> Result<Vec<String>, Failure> {
        let name = format!("docker://{}/{REPOSITORY}", self.standing.host());
        let listed = self.skopeo(&["list-tags", "--tls-verify=false", &name])?;
        let listed: Value = serde_json::from_str(&listed)?;
        let tags = listed["Tags"].as_array().into_iter().flatten();
        let mut tags: Vec<String> = tags.filter_map(|tag| Some(tag.as_str()?.to_owned())).collect();
        tags.sort();
        Ok(tags)
    }

    /// Gathers both images into an index with this tag and pushes it.
    pub(super) fn make_index(&self, tag: &str) -> Result<(), Failure> {
        let store = self.bench.path(&format!("buildah-{}", self.standing.host()));
        let buildah = |arguments: &[&str]| {
            let mut command = Command::new("buildah");
            command.args(["--storage-driver", "vfs", "--root"]).arg(store.join("root"));
            command.arg("--runroot").arg(store.join("run")).args(arguments);
            self.run(&mut command).and_then(expect_success)
        };
        buildah(&["manifest", "create", REPOSITORY])?;
        for platform in PLATFORMS {
            let image = format!("docker://{}", self.image(platform));
            buildah(&["manifest", "add", "--tls-verify=false", REPOSITORY, &image])?;
        }
        let target = format!("docker://{}", self.image(tag));
        buildah(&["manifest", "push", "--all", "--tls-verify=false", REPOSITORY, &target])?;
        Ok(())
    }

    /// Runs skopeo, and gives what it printed.
    pub(super) fn skopeo(&self, arguments: &[&str]) -> Result<String, Failure> {
        let mut command = Command::new("skopeo");
        command.arg("--insecure-policy").args(arguments);
        Ok(expect_success(self.run(&mut command)?)?.stdout)
    }

    /// Runs a program as the registry's owner.
    pub(super) fn run(&self, command: &mut Command) -> Result<Finished, Failure> {
        let config = self.standing.docker_config();
        command.env("DOCKER_CONFIG", config);
        command.env("REGISTRY_AUTH_FILE", config.join("config.json"));
        Ok(self.bench.run(command)?)
    }

    /// Our client, told which token service the registry may name.
    pub(super) fn ours(&self) -> Command {
        let mut command = self.bench.ours();
        if let Some(rule) = self.standing.token_rule() {
            command.env("COUNTERSIGN_REGISTRY_TOKEN_SERVICE", rule);
        }
        command
    }

    /// What would sign or attest an image, in these formats.
    pub(super) fn saying(
        &self,
        said: Said,
        log: Log,
        formats: &str,
        image: &str,
    ) -> Result<Command, Failure> {
        let mut command = self.ours();
        match said {
            Said::Signature => command.arg("sign"),
            Said::Attestation => command
                .args(["attest", "--type", PREDICATE_TYPE, "--predicate"])
                .arg(predicate(self.bench)?),
        };
        command.arg("--trust-config").arg(self.bench.trust_config(log));
        command.args(["--identity-token", &self.bench.token()?, "--formats", formats, image]);
        Ok(command)
    }

    /// Signs or attests an image.
    pub(super) fn say(
        &self,
        said: Said,
        log: Log,
        formats: &str,
        tag: &str,
    ) -> Result<(), Failure> {
        let mut command = self.saying(said, log, formats, &self.image(tag))?;
        expect_success(self.run(&mut command)?)?;
        Ok(())
    }

    /// What would verify an image for a signer.
    pub(super) fn verifying(
        &self,
        said: Said,
        image: &str,
        identity: &str,
        issuer: &str,
    ) -> Command {
        let mut command = self.ours();
        match said {
            Said::Signature => command.arg("verify"),
            Said::Attestation => command.args(["verify-attestation", "--type", PREDICATE_TYPE]),
        };
        command.arg("--trust-config").arg(self.bench.trust_config(Log::V1));
        command.args(["--certificate-identity", identity]);
        command.args(["--certificate-oidc-issuer", issuer, image]);
        command
    }

    /// Verifying an image for the one who signs ends with this exit code.
    pub(super) fn expect(&self, said: Said, image: &str, code: i32) -> Result<Finished, Failure> {
        let mut command = self.verifying(said, image, &self.bench.identity(), self.bench.issuer());
        expect_code(code, self.run(&mut command)?)
    }

    /// An image is verified for the one who signed it, and for nobody else.
    pub(super) fn expect_verified(&self, said: Said, image: &str) -> Result<(), Failure> {
        self.expect(said, image, 0)?;
        let (identity, issuer) = (self.bench.identity(), self.bench.issuer());
        for (identity, issuer) in [(STRANGER, issuer), (&identity, ELSEWHERE)] {
            let mut command = self.verifying(said, image, identity, issuer);
            expect_code(UNTRUSTED, self.run(&mut command)?)?;
        }
        Ok(())
    }
}

/// An OCI layout with an image for each platform, made by `umoci` once.
fn layout(bench: &Bench) -> Result<PathBuf, Failure> {
    let layout = bench.path("images");
    if layout.exists() {
        return Ok(layout);
    }
    // It gets its name when it is complete.
    let unfinished = bench.path("images.unfinished");
    let umoci = |arguments: &[&str]| {
        let mut command = Command::new("umoci");
        bench.run(command.args(arguments)).map_err(Failure::from).and_then(expect_success)
    };
    umoci(&["init", "--layout", &unfinished.to_string_lossy()])?;
    for platform in PLATFORMS {
        let content = bench.path(&format!("content-{platform}"));
        fs::create_dir_all(&content)?;
        fs::write(content.join("hello"), format!("hello from {platform}\n"))?;
        let image = format!("{}:{platform}", unfinished.display());
        umoci(&["new", "--image", &image])?;
        umoci(&["insert", "--rootless", "--image", &image, &content.to_string_lossy(), "/"])?;
        umoci(&["config", "--image", &image, "--architecture", platform, "--os", "linux"])?;
    }
    fs::rename(unfinished, &layout)?;
    Ok(layout)
}

//! Cosign, of whatever version is on PATH: what it signs we verify, what we sign it verifies, in both
//! of its formats, with certificates and with keys, in registries with and without a referrers API.

use std::path::{Path, PathBuf};
use std::process::Command;

use devkit::image::{Image, Platform};
use devkit::registry::{Behaviour, Referrers, Registry};
use serde_json::Value;

use super::bench::{Bench, Log};
use super::check::Check;
use super::clients::expect_success;
use super::failure::Failure;
use super::group::Group;
use super::process::Finished;

/// Exit code for an image that nobody who is wanted has signed.
const UNTRUSTED: i32 = 12;

/// Where the image is.
const REPOSITORY: &str = "interop/app";

/// Password of the key pair.
const PASSWORD: &str = "interop";

/// Which of Cosign's formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// A tag with layers, before v3.
    Tags,
    /// Bundles that refer to the image.
    Bundles,
}

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signer {
    Keyless,
    Key,
}

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Signature,
    Attestation,
}

/// The checks.
pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for referrers in [Referrers::On, Referrers::Off] {
        let place = match referrers {
            Referrers::Off => "without a referrers API",
            Referrers::On | Referrers::WithoutFilter => "with a referrers API",
        };
        for format in [Format::Bundles, Format::Tags] {
            for signer in [Signer::Keyless, Signer::Key] {
                for said in [Said::Signature, Said::Attestation] {
                    let name = format!("Cosign's {said:?} ({format:?}, {signer:?}), {place}");
                    let run = move |stage: &Stage<'_>| theirs(stage, format, signer, said);
                    checks.push(check(name, referrers, run));
                }
            }
            let name = format!("our signature ({format:?}, Keyless), {place}, Cosign verifies");
            checks.push(check(name, referrers, move |stage| ours(stage, format)));
        }
        let name = format!("signatures by both beside each other, {place}");
        checks.push(check(name, referrers, both));
    }
    checks
}

fn check(
    name: String,
    referrers: Referrers,
    run: impl Fn(&Stage<'_>) -> Result<(), Failure> + 'static,
) -> Check {
    Check::new(Group::Cosign, name, move |bench| run(&Stage::set(bench, referrers)?))
}

/// An image in a registry, and a key pair of Cosign's.
struct Stage<'a> {
    bench: &'a Bench,
    registry: Registry,
    image: String,
    tag: String,
    folder: PathBuf,
}

impl<'a> Stage<'a> {
    fn set(bench: &'a Bench, referrers: Referrers) -> Result<Self, Failure> {
        let registry = bench.registry(Behaviour { referrers, ..Behaviour::default() })?;
        let built = Image::new(Platform::LinuxAmd64, &[])?;
        for blob in [built.config, built.layer] {
            registry.plant_blob(REPOSITORY, blob.digest, blob.bytes)?;
        }
        let manifest = built.manifest;
        registry.plant_manifest(REPOSITORY, "v1", manifest.media_type, manifest.bytes)?;
        let image = format!("{}/{REPOSITORY}@{}", registry.address(), manifest.digest);
        let tag = manifest.digest.to_string().replace(':', "-");
        let folder = bench.path(&format!("cosign-{}", registry.address().port()));
        std::fs::create_dir_all(&folder)?;
        let stage = Self { bench, registry, image, tag, folder };
        let mut command = stage.cosign();
        command.args(["generate-key-pair", "--output-key-prefix"]).arg(stage.folder.join("pair"));
        stage.succeed(&mut command)?;
        Ok(stage)
    }

    fn cosign(&self) -> Command {
        let mut command = Command::new("cosign");
        command.env("COSIGN_PASSWORD", PASSWORD);
        command
    }

    fn key(&self, extension: &str) -> PathBuf {
        self.folder.join("pair").with_extension(extension)
    }

    fn succeed(&self, command: &mut Command) -> Result<(), Failure> {
        self.bench.run(command).map_err(Failure::from).and_then(expect_success)
    }

    fn expect_code(&self, wanted: i32, finished: &Finished) -> Result<(), Failure> {
        if finished.code() == Some(wanted) {
            return Ok(());
        }
        Err(Failure::new(format!("wanted exit code {wanted}\n{}", finished.report())))
    }

    /// The base URL of every service of the instance.
    fn url(&self) -> Result<&str, Failure> {
        let url = self.bench.trust()["signingConfig"]["caUrls"][0]["url"].as_str();
        url.ok_or_else(|| Failure::new("the trust configuration names no authority"))
    }

    /// Signs or attests with Cosign.
    fn cosign_says(&self, format: Format, signer: Signer, said: Said) -> Result<(), Failure> {
        let mut command = self.cosign();
        match said {
            Said::Signature => command.arg("sign"),
            Said::Attestation => {
                let predicate = self.bench.write("cosign-predicate.json", b"{\"a\":1}")?;
                command.args(["attest", "--type", "custom", "--predicate"]).arg(predicate)
            }
        };
        command.args(["--yes", "--allow-http-registry", "--trusted-root"]);
        command.arg(self.bench.trusted_root());
        match format {
            Format::Bundles => {
                let config = self.bench.trust()["signingConfig"].to_string();
                let config = self.bench.write("cosign-signing-config.json", config.as_bytes())?;
                command.arg("--signing-config").arg(config);
            }
            Format::Tags => {
                command.args(["--new-bundle-format=false", "--use-signing-config=false"]);
                command.args(["--rekor-url", self.url()?]);
                if signer == Signer::Keyless {
                    command.args(["--fulcio-url", self.url()?]);
                }
            }
        }
        match signer {
            Signer::Keyless => command.arg("--identity-token").arg(self.bench.token()?),
            Signer::Key => command.arg("--key").arg(self.key("key")),
        };
        self.succeed(command.arg(&self.image))
    }

    /// Verifies with Cosign what it takes for the image's signature.
    fn cosign_verifies(&self, format: Format, identity: &str) -> Result<Finished, Failure> {
        let mut command = self.cosign();
        command.args(["verify", "--allow-http-registry", "--trusted-root"]);
        command.arg(self.bench.trusted_root());
        if format == Format::Tags {
            command.arg("--new-bundle-format=false");
        }
        command.args(["--certificate-identity", identity]);
        command.args(["--certificate-oidc-issuer", self.bench.issuer(), &self.image]);
        Ok(self.bench.run(&mut command)?)
    }

    fn we_sign(&self, format: Format) -> Result<(), Failure> {
        let mut command = self.bench.ours();
        command.args(["sign", "--trust-config"]).arg(self.bench.trust_config(Log::V1));
        command.args(["--identity-token", &self.bench.token()?]);
        if format == Format::Tags {
            command.args(["--formats", "cosign"]);
        }
        self.succeed(command.arg(&self.image))
    }

    fn we_verify(&self, wanted: &Wanted<'_>) -> Result<Finished, Failure> {
        let mut command = self.bench.ours();
        command.args(["verify", "--trust-config"]).arg(self.bench.trust_config(Log::V1));
        match wanted {
            Wanted::Identity(identity) => {
                command.args(["--certificate-identity", identity]);
                command.args(["--certificate-oidc-issuer", self.bench.issuer()]);
            }
            Wanted::Key(key) => {
                command.arg("--key").arg(key);
            }
        }
        Ok(self.bench.run(command.arg(&self.image))?)
    }

    /// How many layers are under the signature tag.
    fn signatures(&self) -> Result<usize, Failure> {
        let manifest = self.registry.manifest(REPOSITORY, &format!("{}.sig", self.tag));
        let manifest = manifest.ok_or_else(|| Failure::new("there is no signature tag"))?;
        let manifest: Value = serde_json::from_slice(&manifest)?;
        Ok(manifest["layers"].as_array().map_or(0, Vec::len))
    }
}

/// Whom a verifier wants.
enum Wanted<'a> {
    Identity(&'a str),
    Key(&'a Path),
}

/// Cosign says something about an image, and we verify it; for somebody else we do not.
fn theirs(stage: &Stage<'_>, format: Format, signer: Signer, said: Said) -> Result<(), Failure> {
    stage.cosign_says(format, signer, said)?;
    let (identity, key) = (stage.bench.identity(), stage.key("pub"));
    let stranger = stage.folder.join("stranger");
    let mut command = stage.cosign();
    command.args(["generate-key-pair", "--output-key-prefix"]).arg(&stranger);
    stage.succeed(&mut command)?;
    let stranger = stranger.with_extension("pub");
    let (right, wrong) = match signer {
        Signer::Keyless => (Wanted::Identity(&identity), Wanted::Identity("somebody-else")),
        Signer::Key => (Wanted::Key(&key), Wanted::Key(&stranger)),
    };
    stage.expect_code(0, &stage.we_verify(&right)?)?;
    stage.expect_code(UNTRUSTED, &stage.we_verify(&wrong)?)
}

/// We sign, and Cosign verifies it; for somebody else it does not.
fn ours(stage: &Stage<'_>, format: Format) -> Result<(), Failure> {
    stage.we_sign(format)?;
    expect_success(stage.cosign_verifies(format, &stage.bench.identity())?)?;
    let other = stage.cosign_verifies(format, "somebody-else")?;
    if other.succeeded() {
        return Err(Failure::new(format!("it was verified for somebody else\n{}", other.report())));
    }
    Ok(())
}

/// Each adds to what the other wrote, and nothing is lost.
fn both(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.cosign_says(Format::Tags, Signer::Key, Said::Signature)?;
    stage.we_sign(Format::Tags)?;
    stage.cosign_says(Format::Tags, Signer::Keyless, Said::Signature)?;
    let found = stage.signatures()?;
    if found != 3 {
        return Err(Failure::new(format!("wanted 3 signatures under the tag, found {found}")));
    }
    stage.cosign_says(Format::Bundles, Signer::Keyless, Said::Signature)?;
    stage.we_sign(Format::Bundles)?;
    let identity = stage.bench.identity();
    for format in [Format::Tags, Format::Bundles] {
        expect_success(stage.cosign_verifies(format, &identity)?)?;
    }
    stage.expect_code(0, &stage.we_verify(&Wanted::Identity(&identity))?)?;
    stage.expect_code(0, &stage.we_verify(&Wanted::Key(&stage.key("pub")))?)
}

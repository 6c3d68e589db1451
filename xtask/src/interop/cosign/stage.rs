//! Cosign's commands and ours about one image, and who signs it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::interop::bench::{Bench, Log};
use crate::interop::exit::expect_success;
use crate::interop::failure::Failure;
use crate::interop::place::Place;
use crate::interop::process::Finished;
use crate::interop::shelf::{Format, REPOSITORY, Said, Shelf};
use crate::interop::trial::STRANGER;

/// Password of the key pairs.
pub(super) const PASSWORD: &str = "interop";

/// The type of what is attested: Cosign's name for a predicate of no type.
pub(super) const TYPE: &str = "custom";

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signer {
    /// Who a certificate says.
    Keyless,
    /// Cosign's key pair.
    Key,
}

/// Whom a verifier wants.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// The workflow of this name.
    Identity(String),
    /// The holder of this public key's other half.
    Key(PathBuf),
}

impl Wanted {
    /// Cosign's arguments for it, which are ours too.
    pub(super) fn demand(&self, bench: &Bench, command: &mut Command) {
        match self {
            Self::Identity(identity) => {
                command.args(["--certificate-identity", identity]);
                command.args(["--certificate-oidc-issuer", bench.issuer()]);
            }
            Self::Key(key) => {
                command.arg("--key").arg(key);
            }
        }
    }
}

/// Two key pairs that Cosign made, and the workflow's identity: those who sign, and those who do not.
pub(super) struct Cast<'a> {
    pub(super) bench: &'a Bench,
    folder: PathBuf,
}

impl<'a> Cast<'a> {
    /// Makes the key pairs, once.
    pub(super) fn gather(bench: &'a Bench) -> Result<Self, Failure> {
        let folder = bench.path("cosign-keys");
        std::fs::create_dir_all(&folder)?;
        let cast = Self { bench, folder };
        for name in ["pair", "stranger"] {
            let prefix = cast.folder.join(name);
            if !prefix.with_extension("pub").exists() {
                let mut command = cast.cosign();
                command.args(["generate-key-pair", "--output-key-prefix"]).arg(prefix);
                expect_success(bench.run(&mut command)?)?;
            }
        }
        Ok(cast)
    }

    /// Cosign, with the password of the keys.
    pub(super) fn cosign(&self) -> Command {
        let mut command = Command::new("cosign");
        command.env("COSIGN_PASSWORD", PASSWORD);
        command
    }

    /// The private key that signs.
    pub(super) fn key(&self) -> PathBuf {
        self.folder.join("pair.key")
    }

    /// The one who signs.
    pub(super) fn right(&self, signer: Signer) -> Wanted {
        match signer {
            Signer::Keyless => Wanted::Identity(self.bench.identity()),
            Signer::Key => Wanted::Key(self.folder.join("pair.pub")),
        }
    }

    /// Somebody else.
    pub(super) fn wrong(&self, signer: Signer) -> Wanted {
        match signer {
            Signer::Keyless => Wanted::Identity(STRANGER.to_owned()),
            Signer::Key => Wanted::Key(self.folder.join("stranger.pub")),
        }
    }

    /// How Cosign is told who signs.
    pub(super) fn sign_as(&self, signer: Signer, command: &mut Command) -> Result<(), Failure> {
        match signer {
            Signer::Keyless => command.arg("--identity-token").arg(self.bench.token()?),
            Signer::Key => command.arg("--key").arg(self.key()),
        };
        Ok(())
    }

    /// A file with the instance's signing configuration.
    pub(super) fn signing_config(&self) -> Result<PathBuf, Failure> {
        let config = self.bench.trust()["signingConfig"].to_string();
        Ok(self.bench.write("cosign-signing-config.json", config.as_bytes())?)
    }

    /// A file with a predicate.
    pub(super) fn predicate(&self) -> Result<PathBuf, Failure> {
        Ok(self.bench.write("cosign-predicate.json", b"{\"a\":1}")?)
    }
}

/// An image in a registry, and the cast.
pub(super) struct Stage<'a> {
    pub(super) cast: Cast<'a>,
    pub(super) shelf: Shelf<'a>,
    pub(super) image: String,
    tag: String,
}

impl<'a> Stage<'a> {
    /// Starts the registry.
    pub(super) fn set(bench: &'a Bench, place: Place) -> Result<Self, Failure> {
        let shelf = Shelf::start(bench, place)?;
        let image = shelf.pinned("amd64")?;
        let tag = shelf.digest("amd64")?.replace(':', "-");
        Ok(Self { cast: Cast::gather(bench)?, shelf, image, tag })
    }

    pub(super) fn right(&self, signer: Signer) -> Wanted {
        self.cast.right(signer)
    }

    pub(super) fn wrong(&self, signer: Signer) -> Wanted {
        self.cast.wrong(signer)
    }

    /// The base URL of every service of the instance.
    pub(super) fn url(&self) -> Result<&str, Failure> {
        let url = self.shelf.bench.trust()["signingConfig"]["caUrls"][0]["url"].as_str();
        url.ok_or_else(|| Failure::new("the trust configuration names no authority"))
    }

    /// What would sign with Cosign under the signature tag, with a key or certificate to be named.
    pub(super) fn cosign_signing_tags(&self) -> Result<Command, Failure> {
        let mut command = self.cast.cosign();
        command.args(["sign", "--yes", "--allow-http-registry", "--trusted-root"]);
        command.arg(self.shelf.bench.trusted_root());
        command.args(["--new-bundle-format=false", "--use-signing-config=false"]);
        command.args(["--rekor-url", self.url()?]);
        Ok(command)
    }

    /// Signs or attests with Cosign.
    pub(super) fn cosign_says(
        &self,
        format: Format,
        signer: Signer,
        said: Said,
    ) -> Result<(), Failure> {
        let mut command = self.cast.cosign();
        match said {
            Said::Signature => command.arg("sign"),
            Said::Attestation => {
                command.args(["attest", "--type", TYPE, "--predicate"]).arg(self.cast.predicate()?)
            }
        };
        command.args(["--yes", "--allow-http-registry", "--trusted-root"]);
        command.arg(self.shelf.bench.trusted_root());
        match format {
            Format::Bundles => {
                command.arg("--signing-config").arg(self.cast.signing_config()?);
            }
            Format::Tags => {
                command.args(["--new-bundle-format=false", "--use-signing-config=false"]);
                command.args(["--rekor-url", self.url()?]);
                if signer == Signer::Keyless {
                    command.args(["--fulcio-url", self.url()?]);
                }
            }
        }
        self.cast.sign_as(signer, &mut command)?;
        expect_success(self.shelf.run(command.arg(&self.image))?)?;
        Ok(())
    }

    /// Verifies with Cosign what it takes for the image's evidence.
    pub(super) fn cosign_verifies(
        &self,
        format: Format,
        said: Said,
        wanted: &Wanted,
    ) -> Result<Finished, Failure> {
        let mut command = self.cast.cosign();
        match said {
            Said::Signature => command.arg("verify"),
            Said::Attestation => command.args(["verify-attestation", "--type", TYPE]),
        };
        command.args(["--allow-http-registry", "--trusted-root"]);
        command.arg(self.shelf.bench.trusted_root());
        if format == Format::Tags {
            command.arg("--new-bundle-format=false");
        }
        wanted.demand(self.shelf.bench, &mut command);
        self.shelf.run(command.arg(&self.image))
    }

    /// Signs or attests with our client.
    pub(super) fn we_say(&self, format: Format, signer: Signer, said: Said) -> Result<(), Failure> {
        let mut command = self.shelf.ours();
        command.env("COSIGN_PASSWORD", PASSWORD);
        match said {
            Said::Signature => command.arg("sign"),
            Said::Attestation => {
                command.args(["attest", "--type", TYPE, "--predicate"]).arg(self.cast.predicate()?)
            }
        };
        command.arg("--trust-config").arg(self.shelf.bench.trust_config(Log::V1));
        command.args(["--formats", format.argument()]);
        self.cast.sign_as(signer, &mut command)?;
        expect_success(self.shelf.run(command.arg(&self.image))?)?;
        Ok(())
    }

    /// Verifies with our client.
    pub(super) fn we_verify(&self, said: Said, wanted: &Wanted) -> Result<Finished, Failure> {
        let mut command = self.shelf.ours();
        match said {
            Said::Signature => command.arg("verify"),
            Said::Attestation => command.args(["verify-attestation", "--type", TYPE]),
        };
        command.arg("--trust-config").arg(self.shelf.bench.trust_config(Log::V1));
        wanted.demand(self.shelf.bench, &mut command);
        self.shelf.run(command.arg(&self.image))
    }

    /// How many layers are under the signature tag.
    pub(super) fn signatures(&self) -> Result<usize, Failure> {
        let manifest = self.shelf.manifest(&format!("{REPOSITORY}:{}.sig", self.tag))?;
        let manifest: Value = serde_json::from_str(&manifest)?;
        Ok(manifest["layers"].as_array().map_or(0, Vec::len))
    }

    /// How many bundles lie beside the image, as `tree` counts.
    pub(super) fn bundles(&self) -> Result<usize, Failure> {
        let mut command = self.shelf.ours();
        command.args(["tree", "--output", "json", &self.image]);
        let tree = expect_success(self.shelf.run(&mut command)?)?.stdout;
        let tree: Value = serde_json::from_str(&tree)?;
        let attachments = tree["attachments"].as_array().into_iter().flatten();
        Ok(attachments.filter(|one| one["place"] == "referrers").count())
    }
}

//! The stage and the first acts: an instance, an image, its signature, its verification, its entry
//! in the log, and images that pass for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{Deadline, DockerConfig, Http};
use devkit::issuer::{GithubWorkflow, Issuer, IssuerOptions, Job};
use devkit::registry::RegistryOptions;
use evidence::{Digest, ImageRef};
use url::Url;

use super::program::{CommandLine, Program, Server};
use super::{images, search};
use crate::arguments::images::parse;
use crate::arguments::network::http_client;
use crate::exit::{Exit, Failure};
use crate::ui::shell::quote;
use crate::{machine, ui};

/// Time for all that is asked of the registry about one image.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(60);

/// The instance's directory, and its file for clients, from the demo's.
const INSTANCE: &str = "instance";
pub(super) const TRUST_CONFIG: &str = "instance/public/trust_config.json";

/// What the steps share.
pub(super) struct World {
    pub(super) directory: PathBuf,
    pub(super) program: Program,
    pub(super) http: Arc<Http>,
    pub(super) registry: client::Registry,
    /// The identity provider. It and the registry's server end when they are dropped.
    pub(super) issuer: Issuer,
    pub(super) registry_server: devkit::registry::Registry,
}

/// Who signs in the story.
pub(super) struct Signers {
    pub(super) release: Signer,
    pub(super) fork: Signer,
}

/// A workflow, and a job of it, which may ask for tokens.
pub(super) struct Signer {
    pub(super) workflow: GithubWorkflow,
    pub(super) job: Job,
}

/// An image that was pushed.
pub(super) struct Pushed {
    pub(super) image: ImageRef,
    pub(super) digest: Digest,
}

impl World {
    /// Starts what is for development only: the identity provider and the registry.
    pub(super) async fn create(directory: &Path) -> Result<Self, Failure> {
        let not_started = |what: &str| Failure::new(Exit::Failure, format!("{what} did not start"));
        let issuer = Issuer::start(IssuerOptions::new(Arc::new(machine::now)))
            .await
            .map_err(|error| not_started("the identity provider").caused_by(error))?;
        let registry_server = devkit::registry::Registry::start(RegistryOptions::default())
            .await
            .map_err(|error| not_started("the registry").caused_by(error))?;
        let http = http_client()?;
        Ok(Self {
            directory: directory.to_owned(),
            program: Program::this(directory)?,
            registry: client::Registry::new(Arc::clone(&http), DockerConfig::default()),
            http,
            issuer,
            registry_server,
        })
    }

    /// A job of the workflow that releases the image, and one of the same workflow in a fork.
    pub(super) fn open_jobs(&self) -> Result<Signers, Failure> {
        let open = |owner: &str| {
            let file = ".github/workflows/release.yml";
            let workflow = GithubWorkflow::new(owner, "app", file, "refs/heads/main");
            let job = self.issuer.open_job(workflow.clone()).map_err(|error| {
                Failure::new(Exit::Failure, "no job was opened").caused_by(error)
            })?;
            Ok(Signer { workflow, job })
        };
        Ok(Signers { release: open("octo-org")?, fork: open("mallory")? })
    }

    pub(super) async fn start_instance(&self, servers: &mut Vec<Server>) -> Result<Url, Failure> {
        let line = CommandLine::new("serve")
            .option("--data", INSTANCE)
            .option("--listen", "127.0.0.1:0")
            .option("--issuer", format!("github-actions={}", self.issuer.url()));
        self.start(&line, servers).await
    }

    /// Starts a server, and tells where it is.
    pub(super) async fn start(
        &self,
        line: &CommandLine,
        servers: &mut Vec<Server>,
    ) -> Result<Url, Failure> {
        ui::demo::command(&line.to_string());
        let started = Instant::now();
        let server = self.program.start(line).await?;
        let milliseconds = started.elapsed().as_millis();
        let url = Url::parse(&server.url).map_err(|error| {
            Failure::new(Exit::Failure, format!("the server is at no URL: {}", server.url))
                .caused_by(error)
        })?;
        ui::demo::outcome(&format!("ready at {} after {milliseconds} ms", server.url));
        servers.push(server);
        Ok(url)
    }

    pub(super) async fn push_signed(&self) -> Result<Pushed, Failure> {
        let pushed = self.push("signed", "good day from octo-org").await?;
        let Pushed { image, digest } = &pushed;
        ui::demo::outcome(&format!("{image} for linux/amd64 and linux/arm64"));
        ui::demo::fact("digest", &digest.to_string());
        Ok(pushed)
    }

    async fn push(&self, tag: &str, greeting: &str) -> Result<Pushed, Failure> {
        let image = self.image(tag)?;
        let deadline = Deadline::after(REGISTRY_TIMEOUT);
        let digest = images::push(&self.registry, &image, greeting, deadline).await?;
        Ok(Pushed { image, digest })
    }

    /// The image with that tag.
    pub(super) fn image(&self, tag: &str) -> Result<ImageRef, Failure> {
        parse(&format!("{}/octo-org/app:{tag}", self.registry_server.address()))
    }

    /// Signs as a job of that workflow does.
    pub(super) async fn sign(&self, pushed: &Pushed, signer: &Signer) -> Result<(), Failure> {
        let line = signing(&pushed.image);
        ui::demo::command(&line.to_string());
        let printed = self.program.run(&line, &signer.job.environment()).await?;
        let identity = signer.workflow.certificate_identity();
        printed.expect("digest", &pushed.digest.to_string())?;
        printed.expect("signer", &identity)?;
        ui::demo::outcome(printed.headline());
        for label in ["signer", "logged"] {
            ui::demo::fact(label, printed.field(label)?);
        }
        Ok(())
    }

    /// Verifies, and returns what was said of the log entry.
    pub(super) async fn verify(&self, pushed: &Pushed, identity: &str) -> Result<String, Failure> {
        let line = self.verification(&[], &pushed.image, identity);
        ui::demo::command(&line.to_string());
        let printed = self.program.run(&line, &[]).await?;
        printed.expect("digest", &pushed.digest.to_string())?;
        printed.expect("signer", identity)?;
        printed.expect("vouched", &format!("by {}", self.issuer.url()))?;
        ui::demo::outcome(printed.headline());
        for label in ["signer", "vouched", "seen", "logged"] {
            let values = printed.fields(label);
            values.for_each(|value| ui::demo::fact(label, value));
        }
        let logged = printed.field("logged")?;
        Ok(logged.split_once(" of ").map_or(logged, |(entry, _)| entry).to_owned())
    }

    /// The command that verifies that this signer has signed the image.
    pub(super) fn verification(
        &self,
        flags: &[&str],
        image: &ImageRef,
        identity: &str,
    ) -> CommandLine {
        flags
            .iter()
            .fold(CommandLine::new("verify"), |line, flag| line.flag(flag))
            .option("--trust-config", TRUST_CONFIG)
            .option("--certificate-oidc-issuer", self.issuer.url())
            .option("--certificate-identity", identity)
            .argument(image.to_string())
    }

    /// Finds the entry that the verification spoke of. What is shown as curl's request is asked by
    /// our own client, since no other program is needed.
    pub(super) async fn search(
        &self,
        instance: &Url,
        pushed: &Pushed,
        identity: &str,
        entry: &str,
    ) -> Result<(), Failure> {
        let query = quote(&search::query(&pushed.digest));
        let command = format!("curl {instance}{} \\\n    --json {query}", search::INDEX_PATH);
        ui::demo::command(&command);
        let found = search::find(&self.http, instance, &pushed.digest).await?;
        let search::Found { index, kind, time, signer } = found;
        if signer != identity || entry != format!("as entry {index}") {
            let message = format!(
                "wanted the log to name {identity}, {entry}; found {signer}, as entry {index}"
            );
            return Err(Failure::new(Exit::Failure, message));
        }
        ui::demo::outcome(&format!("entry {index}, {kind}, logged {time}"));
        ui::demo::fact("signer", &signer);
        ui::demo::fact("see it at", search::entry_url(instance, index).as_str());
        Ok(())
    }

    /// Three more images, in the order of their Pods.
    pub(super) async fn push_others(
        &self,
        signed: &Pushed,
        fork: &Signer,
    ) -> Result<Vec<Pushed>, Failure> {
        let unsigned = self.push("unsigned", "good day, not released yet").await?;
        ui::demo::outcome("app:unsigned: nobody has signed it");

        let tampered = self.push("tampered", "good day, and something else beside").await?;
        let genuine = (&signed.image, &signed.digest);
        let deadline = Deadline::after(REGISTRY_TIMEOUT);
        images::copy_signatures(&self.registry, genuine, &tampered.image, deadline).await?;
        ui::demo::outcome("app:tampered: changed, with the signature of app:signed beside it");

        let wrong = self.push("wrongly-signed", "good day from a fork").await?;
        ui::demo::outcome("app:wrongly-signed: signed by the same workflow, but of a fork:");
        self.sign(&wrong, fork).await?;
        Ok(vec![unsigned, tampered, wrong])
    }
}

/// The command that signs an image, in a job. Of the two logs it is the older that can be searched.
pub(super) fn signing(image: &ImageRef) -> CommandLine {
    CommandLine::new("sign")
        .option("--trust-config", TRUST_CONFIG)
        .option("--log-version", "1")
        .argument(image.to_string())
}

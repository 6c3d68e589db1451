//! `verify`: images in a registry, and all evidence that lies beside them.

use clap::Args;
use client::{Deadline, Registry};
use evidence::ImageRef;
use verify::{Artifact, Case, Policy};

use super::images::{self, IMAGE_TIMEOUT};
use super::signing::http_client;
use super::trust::{SignerArguments, TrustRootArguments};
use crate::exit::{Exit, Failure};
use crate::gather::gather;
use crate::ui::Output;
use crate::ui::verdict::{self, Shown};
use crate::{machine, runtime};

/// Verify that images were signed by the wanted signer.
///
/// All evidence beside an image is gathered once and judged piece by piece; one that holds
/// suffices, and every refusal is told. Exit code 0: all verified; 10: nothing is signed; 12:
/// nothing trusted; 3: could not tell, because something could not be looked at; 2: wrong usage.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Images, by digest or tag.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,

    #[command(flatten)]
    signer: SignerArguments,

    #[command(flatten)]
    trust_root: TrustRootArguments,

    /// In which form to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text, env = "COSIGN_OUTPUT")]
    output: Output,

    /// Show every check, with what was wanted and found.
    #[arg(long)]
    explain: bool,
}

impl Verify {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let policy = self.signer.policy(self.trust_root.load()?)?;
        let parsed =
            self.images.iter().map(|text| images::parse(text)).collect::<Result<Vec<_>, _>>()?;
        runtime::block_on(async {
            let registry = images::registry(&http_client()?)?;
            let mut worst = Exit::Success;
            for image in &parsed {
                worst = worst.worse_of(self.verify_one(&registry, image, &policy).await?);
            }
            Ok(worst)
        })
    }

    async fn verify_one(
        &self,
        registry: &Registry,
        image: &ImageRef,
        policy: &Policy,
    ) -> Result<Exit, Failure> {
        let deadline = Deadline::after(IMAGE_TIMEOUT);
        let manifest = images::resolve(registry, image, deadline).await?;
        let (pieces, obstacles) = gather(registry, image, &manifest.digest, deadline).await;
        let artifact = Artifact::from_digest(manifest.digest);
        let case = Case { artifact: &artifact, pieces: &pieces, obstacles: &obstacles };
        let now = machine::now();
        let (verdict, explanations) = if self.explain || self.output == Output::Json {
            policy.explain(&case, now)
        } else {
            (policy.judge(&case, now), Vec::new())
        };
        let name = image.to_string();
        let shown = Shown {
            name: &name,
            digest: artifact.digest(),
            verdict: &verdict,
            explanations: &explanations,
        };
        match self.output {
            Output::Text => verdict::print_text(&shown),
            Output::Json => verdict::print_json(&shown),
        }
        Ok(verdict::exit(&verdict))
    }
}

//! `verify`: images in a registry, and all evidence that lies beside them.

use std::collections::BTreeMap;

use clap::Args;
use client::{Deadline, Registry};
use evidence::ImageRef;
use futures::stream::{self, StreamExt};
use verify::{
    Artifact, Case, ClaimKind, ClaimPattern, Explanation, Obstacle, Piece, Policy, Verdict,
};

use super::annotations;
use super::images::{self, RegistryArguments};
use super::instance::TrustRootArguments;
use super::trust::SignerArguments;
use crate::exit::{Exit, Failure};
use crate::gather::{gather, gather_for};
use crate::global::Global;
use crate::ui::verdict::{self, Shown};
use crate::ui::{self, VerifyOutput};
use crate::{machine, runtime};

/// Verify that images were signed by the wanted signer.
///
/// All evidence beside an image is gathered once and judged piece by piece; one that holds
/// suffices, and every refusal is told. As with Cosign, whatever the signer said about the image
/// counts as its signature, an attestation too; --signature-only wants a signature. Exit code 0: all
/// verified; 10: nothing is signed; 12: nothing trusted; 3: could not tell, because something could
/// not be looked at; 2: wrong usage.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Images, by digest or tag.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,

    #[command(flatten)]
    signer: SignerArguments,

    /// Annotation that must have been signed along, as KEY=VALUE; may be given several times.
    #[arg(short, long, value_name = "KEY=VALUE", value_delimiter = ',', help_heading = "Claim")]
    annotations: Vec<String>,

    /// Take only what was meant as a signature, no other attestation.
    #[arg(long, help_heading = "Claim", env = "COUNTERSIGN_SIGNATURE_ONLY")]
    signature_only: bool,

    /// Check the annotations. The digest is always checked.
    #[arg(
        long,
        value_name = "BOOL",
        default_value_t = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set,
        help_heading = "Claim"
    )]
    check_claims: bool,

    #[command(flatten)]
    trust_root: TrustRootArguments,

    #[command(flatten)]
    registry: RegistryArguments,

    /// Images looked at at once.
    #[arg(long, value_name = "NUMBER", default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(1..=100))]
    max_workers: u16,

    /// In which form to print the result: on a terminal text, else Cosign's JSON.
    #[arg(short, long, value_enum)]
    output: Option<VerifyOutput>,

    /// Show every check, with what was wanted and found.
    #[arg(long, env = "COUNTERSIGN_EXPLAIN")]
    explain: bool,
}

/// What was found out about one image.
struct Outcome {
    name: String,
    artifact: Artifact<'static>,
    verdict: Verdict,
    explanations: Vec<Explanation>,
}

impl Verify {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let parsed = images::parse_all(&self.images)?;
        let claim = self.claim()?;
        runtime::block_on(async {
            let roots = self.trust_root.load_fresh(global.deadline()).await?;
            let policy = self.signer.policy(roots, claim)?;
            let registry = self.registry.open(&parsed)?;
            let outcomes = stream::iter(&parsed)
                .map(|image| self.verify_one(&registry, image, &policy, global.deadline()))
                .buffered(self.max_workers.into())
                .collect::<Vec<_>>()
                .await;
            let outcomes = outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
            self.print(&outcomes);
            let exits = outcomes.iter().map(|outcome| verdict::exit(&outcome.verdict));
            Ok(exits.fold(Exit::Success, Exit::worse_of))
        })
    }

    fn claim(&self) -> Result<ClaimPattern, Failure> {
        let kind = if self.signature_only { ClaimKind::Signature } else { ClaimKind::Any };
        let annotations = annotations::parse(&self.annotations)?;
        let annotations = if self.check_claims { annotations } else { BTreeMap::new() };
        Ok(ClaimPattern { kind, annotations })
    }

    async fn verify_one(
        &self,
        registry: &Registry,
        image: &ImageRef,
        policy: &Policy,
        deadline: Deadline,
    ) -> Result<Outcome, Failure> {
        let manifest = images::resolve(registry, image, deadline).await?;
        let digest = &manifest.digest;
        let (pieces, obstacles) = match self.explain {
            true => gather(registry, image, digest, deadline).await,
            false => gather_for(policy, registry, image, digest, machine::now(), deadline).await,
        };
        let artifact = Artifact::from_digest(manifest.digest);
        let (verdict, explanations) = self.judge(policy, &artifact, &pieces, &obstacles);
        Ok(Outcome { name: image.to_string(), artifact, verdict, explanations })
    }

    fn judge(
        &self,
        policy: &Policy,
        artifact: &Artifact<'_>,
        pieces: &[Piece],
        obstacles: &[Obstacle],
    ) -> (Verdict, Vec<Explanation>) {
        let case = Case { artifact, pieces, obstacles };
        let now = machine::now();
        match self.explain {
            true => policy.explain(&case, now),
            false => (policy.judge(&case, now), Vec::new()),
        }
    }

    /// As Cosign does: what was verified is JSON on standard output, and what is for people stands
    /// on standard error; on a terminal only the latter, where results are read.
    fn print(&self, outcomes: &[Outcome]) {
        let shown: Vec<_> = outcomes.iter().map(Outcome::shown).collect();
        match VerifyOutput::chosen(self.output) {
            VerifyOutput::Text => shown.iter().for_each(verdict::print_text),
            VerifyOutput::Json if self.explain => shown.iter().for_each(verdict::print_json),
            VerifyOutput::Json => {
                shown.iter().for_each(verdict::print_error_text);
                ui::payloads::print(&shown);
            }
        }
    }
}

impl Outcome {
    fn shown(&self) -> Shown<'_> {
        Shown {
            name: &self.name,
            digest: self.artifact.digest(),
            verdict: &self.verdict,
            explanations: &self.explanations,
        }
    }
}

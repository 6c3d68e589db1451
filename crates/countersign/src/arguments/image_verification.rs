//! What the commands share that verify images: where evidence is looked for, and judging it.

use std::path::Path;

use clap::Args;
use client::registry::RawEvidence;
use client::{Deadline, Layout, Registry};
use evidence::{Digest, ImageRef};
use futures::stream::{self, StreamExt};
use verify::{
    Artifact, Case, Explanation, Obstacle, ObstacleKind, Piece, Policy, TrustRoot, Verdict,
};

use super::images::{self, RegistryArguments};
use super::instance::TrustRootArguments;
use crate::exit::{Exit, Failure};
use crate::gather::{gather, gather_for};
use crate::global::Global;
use crate::ui::verdict::{self, Shown};
use crate::{machine, runtime};

/// Which images, and where their evidence is.
#[derive(Debug, Args)]
pub(crate) struct ImageArguments {
    /// Images, by digest or tag; with --local-image folders.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,

    #[command(flatten)]
    trust_root: TrustRootArguments,

    #[command(flatten)]
    registry: RegistryArguments,

    /// The images are folders with an OCI layout, as `cosign save` and `skopeo` write. No registry
    /// is asked.
    #[arg(long)]
    local_image: bool,

    /// Images looked at at once.
    #[arg(long, value_name = "NUMBER", default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(1..=100))]
    max_workers: u16,

    /// Show every check, with what was wanted and found.
    #[arg(long, env = "COUNTERSIGN_EXPLAIN")]
    pub(crate) explain: bool,
}

/// What was found out about one image.
pub(crate) struct Outcome {
    name: String,
    artifact: Artifact<'static>,
    pub(crate) verdict: Verdict,
    explanations: Vec<Explanation>,
    /// All that was judged.
    pub(crate) pieces: Vec<Piece>,
}

impl ImageArguments {
    /// Judges every image by the policy that is made for the trust root.
    pub(crate) fn judge(
        &self,
        global: &Global,
        policy: impl FnOnce(TrustRoot) -> Result<Policy, Failure>,
    ) -> Result<Vec<Outcome>, Failure> {
        if self.local_image {
            let policy = policy(self.trust_root.load()?)?;
            return self.images.iter().map(|folder| self.judge_layout(folder, &policy)).collect();
        }
        let parsed = images::parse_all(&self.images)?;
        runtime::block_on(async {
            let policy = policy(self.trust_root.load_fresh(global.deadline()).await?)?;
            let registry = self.registry.open(&parsed)?;
            let outcomes = stream::iter(&parsed)
                .map(|image| self.judge_image(&registry, image, &policy, global.deadline()))
                .buffered(self.max_workers.into())
                .collect::<Vec<_>>()
                .await;
            outcomes.into_iter().collect()
        })
    }

    async fn judge_image(
        &self,
        registry: &Registry,
        image: &ImageRef,
        policy: &Policy,
        deadline: Deadline,
    ) -> Result<Outcome, Failure> {
        let digest = images::digest(registry, image, deadline).await?;
        let place = images::evidence_place(image)?;
        let now = machine::now();
        let (pieces, obstacles) = match self.explain {
            true => gather(registry, &place, &digest, deadline).await,
            false => gather_for(policy, registry, &place, &digest, now, deadline).await,
        };
        Ok(self.outcome(policy, image.to_string(), digest, pieces, &obstacles))
    }

    fn judge_layout(&self, folder: &str, policy: &Policy) -> Result<Outcome, Failure> {
        let unreadable = |error: client::layout::LayoutError| {
            Failure::new(Exit::Unknown, format!("the image in {folder} cannot be read"))
                .caused_by(error)
        };
        let layout = Layout::open(Path::new(folder)).map_err(unreadable)?;
        let digest = layout.image(None).map_err(unreadable)?.digest;
        let found = layout.find_evidence(&digest);
        let pieces = found.pieces.into_iter().map(|piece: RawEvidence| Piece {
            source: format!("{folder}@{}", piece.manifest),
            evidence: piece.parse(),
        });
        let obstacles = found.obstacles.iter().map(|error| Obstacle {
            kind: ObstacleKind::Malformed,
            what: folder.to_owned(),
            detail: error.to_string(),
        });
        let obstacles: Vec<_> = obstacles.collect();
        Ok(self.outcome(policy, folder.to_owned(), digest, pieces.collect(), &obstacles))
    }

    fn outcome(
        &self,
        policy: &Policy,
        name: String,
        digest: Digest,
        pieces: Vec<Piece>,
        obstacles: &[Obstacle],
    ) -> Outcome {
        let artifact = Artifact::from_digest(digest);
        let case = Case { artifact: &artifact, pieces: &pieces, obstacles };
        let now = machine::now();
        let (verdict, explanations) = match self.explain {
            true => policy.explain(&case, now),
            false => (policy.judge(&case, now), Vec::new()),
        };
        Outcome { name, artifact, verdict, explanations, pieces }
    }
}

impl Outcome {
    /// What there is to show.
    pub(crate) fn shown(&self) -> Shown<'_> {
        Shown {
            name: &self.name,
            digest: self.artifact.digest(),
            verdict: &self.verdict,
            explanations: &self.explanations,
        }
    }
}

/// The exit code that tells the worst of several verdicts.
pub(crate) fn exit(outcomes: &[Outcome]) -> Exit {
    let exits = outcomes.iter().map(|outcome| verdict::exit(&outcome.verdict));
    exits.fold(Exit::Success, Exit::worse_of)
}

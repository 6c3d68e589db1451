//! What the commands share that verify images: where evidence is looked for, and judging it.

use std::path::Path;

use clap::Args;
use client::registry::RawEvidence;
use client::{Deadline, Layout};
use evidence::Digest;
use futures::stream::{self, StreamExt};
use verify::{
    Artifact, Case, Explanation, Ground, NonEmpty, Obstacle, Piece, Policy, Refusal, TrustRoot,
    Verdict,
};

use super::images::{self, RegistryArguments};
use super::instance::TrustRootArguments;
use super::recursion::{self, Family, Recursion, RecursionArguments, Target};
use crate::exit::{Exit, Failure};
use crate::gather::Gatherer;
use crate::global::Global;
use crate::ui::terminal::{eprintln, println};
use crate::ui::verdict::summary::Summary;
use crate::ui::verdict::{self, Shown, Within};
use crate::ui::{self, VerifyOutput};
use crate::{machine, runtime};

/// Which images, and where their evidence is.
#[derive(Debug, Args)]
pub(crate) struct ImageArguments {
    /// Images, by digest or tag; with --local-image folders.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,

    #[command(flatten)]
    recursion: RecursionArguments,

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

/// What was found out about one reference.
pub(crate) struct Judged {
    /// About the manifests that were looked at because of it.
    pub(crate) outcomes: Vec<Outcome>,
    family: Option<Family>,
}

/// What was found out about one manifest.
pub(crate) struct Outcome {
    name: String,
    artifact: Artifact<'static>,
    pub(crate) verdict: Verdict,
    explanations: Vec<Explanation>,
    within: Option<Within>,
    hint: Option<String>,
    /// The evidence that the verdict rests on.
    pub(crate) pieces: Vec<Piece>,
}

/// What is judged, and how.
struct Judge<'j> {
    policy: Policy,
    gatherer: Gatherer<'j>,
    explain: bool,
}

impl ImageArguments {
    /// Judges every image by the policy that is made for the trust root. That one cannot be looked up
    /// does not keep the others from being judged.
    pub(crate) fn judge(
        &self,
        global: &Global,
        policy: impl FnOnce(TrustRoot) -> Result<Policy, Failure>,
    ) -> Result<Vec<Result<Judged, Failure>>, Failure> {
        if self.local_image {
            if self.recursion.recursive != Recursion::Index {
                return Err(Failure::usage("--recursive looks at images in a registry only").hint(
                    "verify the folder without it: the index's signature covers its images",
                ));
            }
            let policy = policy(self.trust_root.load()?)?;
            return Ok(self.images.iter().map(|path| self.judge_layout(path, &policy)).collect());
        }
        let parsed = images::parse_all(&self.images)?;
        runtime::block_on(async {
            let roots = self.trust_root.load_fresh(global.deadline()).await?;
            let policy = policy(roots)?;
            let registry = self.registry.open(&parsed)?;
            let at_once = usize::from(self.max_workers);
            let recursion = self.recursion.recursive;
            let families: Vec<_> = stream::iter(&parsed)
                .map(|image| recursion::family(&registry, image, recursion, global.deadline()))
                .buffered(at_once)
                .collect()
                .await;
            let targets: Vec<_> =
                families.iter().flatten().flat_map(|family| &family.targets).collect();
            let shared = u16::try_from(targets.len()).unwrap_or(u16::MAX).min(self.max_workers);
            let gatherer = Gatherer::new(&registry, shared);
            let judge = Judge { policy, gatherer, explain: self.explain };
            let judged: Vec<_> = stream::iter(targets)
                .map(|target| judge.judge(target, global.deadline()))
                .buffered(at_once)
                .collect()
                .await;
            let mut judged = judged.into_iter();
            let judged = families.into_iter().map(|family| {
                let family = family?;
                let outcomes = judged.by_ref().take(family.targets.len()).collect();
                Ok(Judged::new(family, outcomes))
            });
            Ok(judged.collect())
        })
    }

    fn judge_layout(&self, folder: &str, policy: &Policy) -> Result<Judged, Failure> {
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
        let obstacles: Vec<_> = found.obstacles.iter().map(Obstacle::from).collect();
        let name = folder.to_owned();
        let outcome =
            Outcome::new(policy, self.explain, name, digest, pieces.collect(), &obstacles);
        Ok(Judged { outcomes: vec![outcome], family: None })
    }

    /// Prints what was found out, but for Cosign's JSON, beside which it stands on standard error.
    pub(crate) fn show(&self, judged: &[Result<Judged, Failure>], output: VerifyOutput) {
        for judged in judged {
            let judged = match judged {
                Ok(judged) => judged,
                Err(failure) => {
                    ui::failure(failure);
                    continue;
                }
            };
            let summary = judged.summary();
            let shown = judged.outcomes.iter().map(Outcome::shown);
            match output {
                VerifyOutput::Text => shown.for_each(|shown| verdict::print_text(&shown)),
                VerifyOutput::Json if self.explain => {
                    shown.for_each(|shown| verdict::print_json(&shown));
                }
                VerifyOutput::Json => shown.for_each(|shown| verdict::print_error_text(&shown)),
            }
            match (summary, output) {
                (Some(summary), VerifyOutput::Text) => println!("{}", summary.line()),
                (Some(summary), VerifyOutput::Json) => eprintln!("{}", summary.line()),
                (None, _) => {}
            }
        }
    }
}

impl Judge<'_> {
    async fn judge(&self, target: &Target, deadline: Deadline) -> Outcome {
        let Target { name, place, digest, .. } = target;
        // Every check is shown, also where one piece of evidence would do.
        let enough = if self.explain { None } else { Some((&self.policy, machine::now())) };
        let (pieces, obstacles) = self.gatherer.gather(enough, place, digest, deadline).await;
        let name = name.clone();
        let outcome = Outcome::new(&self.policy, self.explain, name, *digest, pieces, &obstacles);
        Outcome { within: target.within.clone(), ..outcome }
    }
}

impl Judged {
    /// What is known of the whole goes into the outcomes.
    fn new(family: Family, mut outcomes: Vec<Outcome>) -> Self {
        // Where not everything is known that an index names, nothing is verified by it.
        let obstacles = family.obstacles.iter().cloned();
        if let (Some(obstacles), Some(root)) = (NonEmpty::collect(obstacles), outcomes.first_mut())
        {
            root.doubt(obstacles);
        }
        let hints: Vec<_> = outcomes
            .iter()
            .zip(&family.targets)
            .map(|(outcome, target)| hint(outcome, target, &outcomes))
            .collect();
        for (outcome, hint) in outcomes.iter_mut().zip(hints) {
            outcome.hint = hint;
        }
        Self { outcomes, family: Some(family) }
    }

    /// What became of the whole, if it is an index that was looked into.
    fn summary(&self) -> Option<Summary<'_>> {
        let family = self.family.as_ref()?;
        let index = family.index.as_ref()?;
        let (root, members) = match index.demanded {
            true => self.outcomes.split_first().map(|(root, members)| (Some(root), members))?,
            false => (None, self.outcomes.as_slice()),
        };
        Some(Summary {
            name: &family.name,
            index: root.map(Outcome::exit),
            members: members.iter().map(Outcome::as_member).collect(),
            build_records: index.build_records,
        })
    }

    fn exit(&self) -> Exit {
        self.outcomes.iter().map(Outcome::exit).fold(Exit::Success, Exit::worse_of)
    }
}

impl Outcome {
    fn new(
        policy: &Policy,
        explain: bool,
        name: String,
        digest: Digest,
        mut pieces: Vec<Piece>,
        obstacles: &[Obstacle],
    ) -> Self {
        let artifact = Artifact::from_digest(digest);
        let case = Case { artifact: &artifact, pieces: &pieces, obstacles };
        let now = machine::now();
        let (verdict, explanations) = match explain {
            true => policy.explain(&case, now),
            false => (policy.judge(&case, now), Vec::new()),
        };
        // All that others put beside many images would take memory without end.
        pieces.retain(|piece| match &verdict {
            Verdict::Admit(grounds) => grounds.0.iter().any(|ground| match ground {
                Ground::Claim { source, .. } => *source == piece.source,
                Ground::Static { .. } => false,
            }),
            Verdict::Refuse(_) | Verdict::Unknown(..) => false,
        });
        Self { name, artifact, verdict, explanations, within: None, hint: None, pieces }
    }

    /// Takes note of what is in the way of any verdict.
    fn doubt(&mut self, mut obstacles: NonEmpty<Obstacle>) {
        let reasons = match &self.verdict {
            Verdict::Admit(_) => Vec::new(),
            Verdict::Refuse(reasons) => reasons.iter().cloned().collect(),
            Verdict::Unknown(further, reasons) => {
                obstacles.extend(further.iter().cloned());
                reasons.clone()
            }
        };
        self.verdict = Verdict::Unknown(obstacles, reasons);
        self.pieces.clear();
    }

    /// What there is to show.
    pub(crate) fn shown(&self) -> Shown<'_> {
        Shown {
            name: &self.name,
            digest: self.artifact.digest(),
            verdict: &self.verdict,
            explanations: &self.explanations,
            within: self.within.as_ref(),
            hint: self.hint.as_deref(),
        }
    }

    /// What became of it, and the platforms that it is for.
    fn as_member(&self) -> (Exit, &[String]) {
        let platforms = self.within.as_ref().map(|within| within.platforms.as_slice());
        (self.exit(), platforms.unwrap_or_default())
    }

    fn exit(&self) -> Exit {
        verdict::exit(&self.verdict)
    }
}

/// What can be done about a manifest that is not signed, given what became of its kin.
fn hint(outcome: &Outcome, target: &Target, kin: &[Outcome]) -> Option<String> {
    let Verdict::Refuse(reasons) = &outcome.verdict else { return None };
    if reasons.iter().any(|reason| reason.refusal != Refusal::NoEvidence) {
        return None;
    }
    if let Some(Within { index, .. }) = &outcome.within {
        let covering = kin.iter().find(|kin| kin.artifact.digest() == index);
        let covered = covering.is_some_and(|kin| kin.exit() == Exit::Success);
        return covered.then(|| {
            format!("the index {index} is verified, and covers it where --recursive is left out")
        });
    }
    match target.is_index {
        Some(true) if kin.len() > 1 => {
            let members = kin.iter().filter(|kin| kin.within.is_some());
            let held = { members }.all(|kin| kin.exit() == Exit::Success);
            held.then(|| {
                "each image in it is verified, which suffices with --recursive=leaves".to_owned()
            })
        }
        Some(true) => Some(
            "it is an index: --recursive=leaves looks for a signature of each image in it"
                .to_owned(),
        ),
        None => Some(
            "if an index names it, that may be signed instead, and covers it: verify the index"
                .to_owned(),
        ),
        Some(false) => None,
    }
}

/// The exit code that tells the worst of several.
pub(crate) fn exit(judged: &[Result<Judged, Failure>]) -> Exit {
    let exits =
        judged.iter().map(|judged| judged.as_ref().map_or_else(Failure::exit, Judged::exit));
    exits.fold(Exit::Success, Exit::worse_of)
}

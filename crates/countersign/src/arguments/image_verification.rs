//! What the commands share that verify images: where evidence is looked for, and judging it.

mod outcome;

use std::collections::BTreeSet;
use std::path::Path;

use clap::Args;
use client::registry::{Presence, RawEvidence};
use client::{Deadline, Layout, Registry};
use evidence::ImageRef;
use futures::stream::{self, StreamExt, TryStreamExt};
use verify::{Obstacle, Piece, Policy, TrustRoot, WantedIn};

use super::detached_image::DetachedImage;
use super::images::{self, RegistryArguments};
use super::instance::{TrustNeeds, TrustRootArguments};
use super::recursion::{self, Recursion, RecursionArguments, Target};
use super::supplement::SupplementArguments;
use crate::exit::{Exit, Failure};
use crate::gather::Gatherer;
use crate::global::Global;
use crate::supplement::Supplement;
use crate::ui::terminal::{eprintln, println};
use crate::ui::{self, VerifyOutput, verdict};
use crate::{machine, runtime};

pub(crate) use outcome::{Judged, Outcome};

/// Which images, and where their evidence is.
#[derive(Debug, Args)]
pub(crate) struct ImageArguments {
    /// Images, by digest or tag; with --local-image folders.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,

    #[command(flatten)]
    recursion: RecursionArguments,

    /// The images are folders with an OCI layout, as `cosign save` and `skopeo` write. No registry
    /// is asked. What is signed is the manifest, which names its layers by their digests: whoever
    /// reads those compares them, as `load` does.
    #[arg(long)]
    pub(crate) local_image: bool,

    /// Images looked at at once.
    #[arg(long, value_name = "NUMBER", default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(1..=100))]
    max_workers: u16,

    /// Show every check, with what was wanted and found.
    #[arg(long, env = "COUNTERSIGN_EXPLAIN")]
    pub(crate) explain: bool,

    #[command(flatten)]
    trust_root: TrustRootArguments,

    #[command(flatten)]
    registry: RegistryArguments,

    #[command(flatten)]
    supplement: SupplementArguments,
}

/// What is wanted of images.
pub(crate) struct Inquiry {
    /// What of a trust root that needs.
    pub(crate) needs: TrustNeeds,
    /// Where it is said.
    pub(crate) wanted_in: WantedIn,
    /// The one signature that is looked at, in place of what lies beside the images.
    pub(crate) detached: Option<DetachedImage>,
}

/// How images are judged, wherever they are.
struct Judge<'j> {
    policy: Policy,
    inquiry: &'j Inquiry,
    explain: bool,
}

/// Where images are judged that are in registries.
struct Registries<'r> {
    judge: Judge<'r>,
    registry: &'r Registry,
    gatherer: Gatherer<'r>,
}

impl ImageArguments {
    /// Whether a certificate is named, which takes evidence of others out of sight.
    pub(crate) fn names_signer(&self) -> bool {
        self.supplement.names_signer()
    }

    /// Takes the images that files name, whose paths stand where images do; each once. `nothing` says
    /// what is wrong when they name none.
    pub(crate) fn read_files(
        &mut self,
        read: impl Fn(&str) -> Result<Vec<String>, Failure>,
        nothing: impl FnOnce(&[String]) -> Failure,
    ) -> Result<(), Failure> {
        let mut seen = BTreeSet::new();
        let mut images = Vec::new();
        for path in &self.images {
            images.extend(read(path)?.into_iter().filter(|image| seen.insert(image.clone())));
        }
        if images.is_empty() {
            // Of nothing all would be verified.
            return Err(nothing(&self.images));
        }
        self.images = images;
        Ok(())
    }

    /// Judges every image by the policy that is made for the trust root. That one cannot be looked up
    /// does not keep the others from being judged.
    pub(crate) fn judge(
        &self,
        global: &Global,
        inquiry: &Inquiry,
        policy: impl FnOnce(TrustRoot) -> Result<Policy, Failure>,
    ) -> Result<Vec<Result<Judged, Failure>>, Failure> {
        let supplement = self.supplement.read()?;
        if inquiry.detached.is_some() && self.recursion.recursive != Recursion::Index {
            return Err(Failure::usage(
                "--signature is about one image, and --recursive about many",
            )
            .hint("leave one of them out"));
        }
        let judge = |policy| Judge { policy, inquiry, explain: self.explain };
        if self.local_image {
            let judge = judge(policy(self.trust_root.load_for(&inquiry.needs)?)?);
            let judged = self.images.iter();
            let judged = judged.map(|path| self.judge_layout(path, &judge, &supplement));
            return Ok(judged.collect());
        }
        let parsed = images::parse_all(&self.images)?;
        runtime::block_on(async {
            let deadline = global.deadline();
            let roots = self.trust_root.load_fresh_for(&inquiry.needs, deadline).await?;
            let judge = judge(policy(roots)?);
            let registry = self.registry.open(&parsed)?;
            let at_once = usize::from(self.max_workers);
            let families =
                self.recursion.families(&registry, &parsed, self.max_workers, global).await;
            let targets = parsed.iter().zip(&families).flat_map(|(image, family)| {
                let targets = family.iter().flat_map(|family| &family.targets);
                targets.map(move |target| (image, target))
            });
            let targets: Vec<_> = targets.collect();
            let shared = u16::try_from(targets.len()).unwrap_or(u16::MAX).min(self.max_workers);
            let gatherer = Gatherer::new(&registry, shared).with(supplement);
            let registries = Registries { judge, registry: &registry, gatherer };
            let judged: Result<Vec<_>, _> = stream::iter(targets)
                .map(|(image, target)| registries.judge(image, target, global.deadline()))
                .buffered(at_once)
                .try_collect()
                .await;
            let mut judged = judged?.into_iter();
            let judged = families.into_iter().zip(&self.images).map(|(family, given)| {
                let family = family.map_err(|failure| no_image(given, failure))?;
                let outcomes = judged.by_ref().take(family.targets.len()).collect();
                Ok(Judged::new(family, outcomes))
            });
            Ok(judged.collect())
        })
    }

    fn judge_layout(
        &self,
        folder: &str,
        judge: &Judge<'_>,
        supplement: &Supplement,
    ) -> Result<Judged, Failure> {
        let unreadable = |error| images::unreadable_layout(folder, error);
        let layout = Layout::open(Path::new(folder)).map_err(unreadable)?;
        let family = recursion::in_layout(&layout, folder, self.recursion.recursive)?;
        let outcomes = family.targets.iter().map(|target| {
            let (pieces, obstacles) = match &judge.inquiry.detached {
                Some(detached) => {
                    let mut piece = detached.piece(None, &target.digest)?;
                    supplement.complete_piece(&mut piece);
                    (vec![piece], Vec::new())
                }
                None => {
                    let found = layout.find_evidence(&target.digest);
                    let pieces = found.pieces.into_iter().map(|raw: RawEvidence| {
                        let source = format!("{folder}@{}", raw.manifest);
                        let mut piece = Piece { source, evidence: raw.parse() };
                        supplement.complete_piece(&mut piece);
                        piece
                    });
                    (pieces.collect(), found.obstacles.iter().map(Obstacle::from).collect())
                }
            };
            let mut outcome = judge.outcome(target, pieces, &obstacles);
            outcome.presence = Some(Presence::There { is_index: target.is_index });
            Ok(outcome)
        });
        let outcomes = outcomes.collect::<Result<_, Failure>>()?;
        Ok(Judged::new(family, outcomes))
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
    fn outcome(&self, target: &Target, pieces: Vec<Piece>, obstacles: &[Obstacle]) -> Outcome {
        let mut outcome = Outcome::new(
            &self.policy,
            self.inquiry.wanted_in,
            self.explain,
            target,
            pieces,
            obstacles,
        );
        outcome.within = target.within.clone();
        outcome
    }
}

impl Registries<'_> {
    async fn judge(
        &self,
        image: &ImageRef,
        target: &Target,
        deadline: Deadline,
    ) -> Result<Outcome, Failure> {
        let Self { judge, registry, gatherer } = self;
        let digest = &target.digest;
        let (pieces, obstacles) = match &judge.inquiry.detached {
            Some(detached) => {
                let mut piece = detached.piece(Some(image), digest)?;
                gatherer.supplement().complete_piece(&mut piece);
                (vec![piece], Vec::new())
            }
            None => {
                let place = images::evidence_place(image)?;
                // Every check is shown, also where one piece of evidence would do.
                let enough = (!judge.explain).then(|| (&judge.policy, machine::now()));
                gatherer.gather(enough, &place, digest, deadline).await
            }
        };
        let mut outcome = judge.outcome(target, pieces, &obstacles);
        outcome.presence = match target.is_index {
            // Only where it can help is it asked what a digest is.
            None if outcome.is_unsigned() => registry.presence(image, digest, deadline).await.ok(),
            None => None,
            is_index => Some(Presence::There { is_index }),
        };
        Ok(outcome)
    }
}

/// What could not be looked up may be something else that is here.
fn no_image(given: &str, failure: Failure) -> Failure {
    let path = Path::new(given);
    if path.join("oci-layout").is_file() {
        return failure.hint(format!("{given} is a folder with an image: add --local-image"));
    }
    match path.is_file() {
        true => failure.hint(format!("{given} is a file here, which verify-blob verifies")),
        false => failure,
    }
}

/// The exit code that tells the worst of several.
pub(crate) fn exit(judged: &[Result<Judged, Failure>]) -> Exit {
    let exits =
        judged.iter().map(|judged| judged.as_ref().map_or_else(Failure::exit, Judged::exit));
    exits.fold(Exit::Success, Exit::worse_of)
}

//! `policy`: proposes policies, tries them, and checks their files.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use client::Registry;
use evidence::ImageRef;
use policy::policy_file::SCHEMA;
use policy::policy_file::expectation::{self, Expectation};
use policy::policy_file::suggest::{Fact, Good, NoSuggestion, suggest};
use verify::{Artifact, Case, ClaimPattern, Ground, Policy, Verdict};

use super::write_document;
use crate::arguments::images::{self, RegistryArguments};
use crate::arguments::instance::TrustRootArguments;
use crate::arguments::policy_files::PolicyFile;
use crate::arguments::trust::SignerArguments;
use crate::exit::{Exit, Failure};
use crate::gather::gather;
use crate::global::Global;
use crate::ui::terminal::{self, println};
use crate::ui::{BAD, GOOD, plain};
use crate::{machine, runtime};

/// Longest file of expectations read, in bytes.
const EXPECTATIONS_SIZE_MAX: usize = 1024 * 1024;

/// Propose, check and try policy files.
#[derive(Debug, Args)]
pub(crate) struct PolicyCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Suggest(Box<Suggest>),
    Test(Box<Test>),
    /// Check that policy files can be used.
    Check(Check),
    /// Print the JSON schema of policy files, for editors.
    Schema,
}

/// Propose the narrowest policy that these images satisfy.
///
/// Whoever signed all of them is taken to be right: begin with images that you know to be good.
#[derive(Debug, Args)]
struct Suggest {
    /// Images that are known to be good.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,

    /// Where to write it; without it, to standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    #[command(flatten)]
    signer: SignerArguments,

    #[command(flatten)]
    trust_root: TrustRootArguments,

    #[command(flatten)]
    registry: RegistryArguments,
}

/// Try a policy on images of which the answer is known.
#[derive(Debug, Args)]
struct Test {
    /// The policy file.
    #[arg(value_name = "POLICY")]
    policy: PathBuf,

    /// File with the images and the answers that are expected.
    #[arg(value_name = "EXPECTATIONS")]
    expectations: PathBuf,

    #[command(flatten)]
    trust_root: TrustRootArguments,

    #[command(flatten)]
    registry: RegistryArguments,
}

#[derive(Debug, Args)]
struct Check {
    /// The policy files.
    #[arg(value_name = "POLICY", required = true)]
    policies: Vec<PathBuf>,

    #[command(flatten)]
    trust_root: TrustRootArguments,
}

impl PolicyCommand {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Suggest(suggest) => suggest.run(global),
            Verb::Test(test) => test.run(global),
            Verb::Check(check) => check.run(),
            Verb::Schema => {
                terminal::bytes(SCHEMA.as_bytes());
                Ok(Exit::Success)
            }
        }
    }
}

impl Suggest {
    fn run(&self, global: &Global) -> Result<Exit, Failure> {
        let parsed = images::parse_all(&self.images)?;
        if self.signer.has_demands() {
            return Err(Failure::usage(
                "a demand is waived or made, and a policy file says no such thing",
            )
            .hint("begin with images that are good without"));
        }
        let (signer, needs) = (self.signer.wanted_or_anybody()?, self.signer.trust_needs()?);
        let suggestion = runtime::block_on(async {
            let roots = self.trust_root.load_fresh_for(&needs, global.deadline()).await?;
            let policy = signer.policy(roots, ClaimPattern::any());
            let registry = self.registry.open(&parsed)?;
            let mut good = Vec::new();
            for image in &parsed {
                good.push(facts(&registry, image, &policy, global).await?);
            }
            suggest(&good).map_err(|error| nothing_to_suggest(error, &parsed))
        })?;
        write_document(self.out.as_deref(), suggestion.as_bytes())?;
        Ok(Exit::Success)
    }
}

fn nothing_to_suggest(error: NoSuggestion, images: &[ImageRef]) -> Failure {
    let failure = Failure::new(Exit::Untrusted, "there is nothing to suggest");
    match error {
        NoSuggestion::NothingProven { index } if index < images.len() => failure
            .caused_by(format!("{} has no signature or attestation that verifies", images[index]))
            .hint("give images that you know to be good; `explain` says what is wrong with one"),
        error => failure.caused_by(error),
    }
}

/// Everything that is proven about an image.
async fn facts(
    registry: &Registry,
    image: &ImageRef,
    policy: &Policy,
    global: &Global,
) -> Result<Good, Failure> {
    let deadline = global.deadline();
    let digest = images::digest(registry, image, deadline).await?;
    let place = images::evidence_place(image)?;
    let (pieces, obstacles) = gather(registry, &place, &digest, deadline).await;
    if let Some(obstacle) = obstacles.first() {
        let what = format!("not everything beside {image} could be looked at");
        return Err(Failure::new(Exit::Unknown, what).caused_by(obstacle.to_string()));
    }
    let artifact = Artifact::from_digest(digest);
    let claims = pieces.iter().filter_map(|piece| {
        let pieces = std::slice::from_ref(piece);
        let case = Case { artifact: &artifact, pieces, obstacles: &[] };
        match policy.judge(&case, machine::now()) {
            Verdict::Admit(grounds) => match grounds.0.first() {
                Ground::Claim { claim, .. } => Some(Fact::from(&**claim)),
                Ground::Static { .. } => None,
            },
            Verdict::Refuse(_) | Verdict::Unknown(..) => None,
        }
    });
    Ok(Good { claims: claims.collect() })
}

impl Test {
    fn run(&self, global: &Global) -> Result<Exit, Failure> {
        let file = PolicyFile::read(&self.policy)?;
        let bytes = machine::read(&self.expectations, "expectations", EXPECTATIONS_SIZE_MAX)?;
        let unusable = || {
            Failure::usage(format!("cannot use the expectations {}", self.expectations.display()))
        };
        let text = String::from_utf8(bytes).map_err(|_| unusable().caused_by("it is not text"))?;
        let expectations =
            expectation::parse(&text).map_err(|problems| unusable().caused_by(problems))?;
        let parsed = expectations
            .iter()
            .map(|expectation| images::parse(&expectation.image))
            .collect::<Result<Vec<_>, _>>()?;
        runtime::block_on(async {
            let roots = self.trust_root.load_fresh(global.deadline()).await?;
            let policy = file.under(roots)?;
            let registry = self.registry.open(&parsed)?;
            let mut failed = 0;
            for (expectation, image) in expectations.iter().zip(&parsed) {
                failed +=
                    usize::from(!try_one(&registry, image, &policy, expectation, global).await?);
            }
            println!("\n{} as expected, {failed} not", expectations.len() - failed);
            Ok(if failed == 0 { Exit::Success } else { Exit::Failure })
        })
    }
}

async fn try_one(
    registry: &Registry,
    image: &ImageRef,
    policy: &Policy,
    expectation: &Expectation,
    global: &Global,
) -> Result<bool, Failure> {
    let deadline = global.deadline();
    let digest = images::digest(registry, image, deadline).await?;
    let place = images::evidence_place(image)?;
    let (pieces, obstacles) = gather(registry, &place, &digest, deadline).await;
    let artifact = Artifact::from_digest(digest);
    let case = Case { artifact: &artifact, pieces: &pieces, obstacles: &obstacles };
    let verdict = policy.judge(&case, machine::now());
    let name = plain(&image.to_string());
    match expectation.check(&verdict) {
        Ok(()) => println!("{GOOD}ok{GOOD:#}      {name}: {}", expectation.expected.word()),
        Err(unexpected) => {
            println!("{BAD}FAILED{BAD:#}  {name}: {}", plain(&unexpected.to_string()));
            return Ok(false);
        }
    }
    Ok(true)
}

impl Check {
    fn run(&self) -> Result<Exit, Failure> {
        let files = self.policies.iter().map(|path| PolicyFile::read(path));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        let roots = self.trust_root.load()?;
        for (file, path) in files.iter().zip(&self.policies) {
            file.under(roots.clone())?;
            println!("{GOOD}ok{GOOD:#}  {}", plain(&path.display().to_string()));
        }
        Ok(Exit::Success)
    }
}

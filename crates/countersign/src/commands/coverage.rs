//! `coverage`: which images are signed, by whom, in which formats, and logged where.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use client::{Deadline, Registry};
use evidence::{Evidence, ImageRef};
use futures::stream::{self, StreamExt};
use verify::{Artifact, Case, ClaimPattern, Ground, Obstacle, Piece, Policy, Verdict};

use crate::arguments::images::{self, RegistryArguments};
use crate::arguments::instance::TrustRootArguments;
use crate::arguments::recursion::{Family, RecursionArguments, Target};
use crate::arguments::trust::SignerArguments;
use crate::exit::{Exit, Failure};
use crate::gather::Gatherer;
use crate::global::Global;
use crate::ui::Output;
use crate::ui::coverage::{self, Row, Signature};
use crate::{machine, runtime, ui};

/// Longest list of images read, in bytes.
const LIST_SIZE_MAX: usize = 16 * 1024 * 1024;
/// Most images looked at.
const IMAGES_MAX: usize = 10_000;

/// Report which images are signed: by whom, in which formats, and logged where.
///
/// Images come from the command line, from lists or Kubernetes manifests (--file), and from all
/// tags of a repository (--repository). Without a named signer, any that the trust root certifies
/// counts. Exit code 0: all are signed; 10: some are not; 12: some only by others; 3: could not tell
/// of some.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("looked_at").required(true).multiple(true)
    .args(["images", "file", "repository"])))]
pub(crate) struct Coverage {
    /// Images, by digest or tag.
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,

    /// File with an image on each line, or with Kubernetes manifests (`-` for standard input); may
    /// be given several times.
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,

    /// Repository of which to look at every tag; may be given several times.
    #[arg(long, value_name = "REPOSITORY")]
    repository: Vec<String>,

    #[command(flatten)]
    recursion: RecursionArguments,

    /// Images looked at at once.
    #[arg(long, value_name = "NUMBER", default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(1..=100))]
    max_workers: u16,

    /// In which form to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,

    #[command(flatten)]
    signer: SignerArguments,

    #[command(flatten)]
    trust_root: TrustRootArguments,

    #[command(flatten)]
    registry: RegistryArguments,
}

impl Coverage {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let mut wanted: Vec<String> = self.images.clone();
        for path in &self.file {
            wanted.extend(read_list(path)?);
        }
        images::parse_all(&wanted)?;
        let repositories = images::parse_all(&self.repository)?;
        let (signer, needs) = (self.signer.wanted_or_anybody()?, self.signer.trust_needs()?);
        runtime::block_on(async {
            let roots = self.trust_root.load_fresh_for(&needs, global.deadline()).await?;
            let policy = signer.policy(roots, ClaimPattern::any());
            for image in &repositories {
                let registry = self.registry.open(std::slice::from_ref(image))?;
                wanted.extend(tags(&registry, image, global.deadline()).await?);
            }
            let parsed = distinct(&wanted)?;
            let registry = self.registry.open(&parsed)?;
            let at_once = usize::from(self.max_workers);
            let families =
                self.recursion.families(&registry, &parsed, self.max_workers, global).await;
            let sights: Vec<_> = parsed.iter().zip(&families).flat_map(sights).collect();
            let look = Look {
                policy,
                gatherer: Gatherer::new(&registry, self.max_workers),
                deadline: || global.deadline(),
            };
            let progress = ui::progress::bar("looked at", sights.len());
            let rows: Vec<_> = stream::iter(sights)
                .map(|sight| async {
                    let row = look.at(sight).await;
                    progress.inc(1);
                    row
                })
                .buffered(at_once)
                .collect()
                .await;
            progress.finish_and_clear();
            match self.output {
                Output::Text => coverage::print_text(&rows),
                Output::Json => coverage::print_json(&rows),
            }
            Ok(rows.iter().fold(Exit::Success, |worst, row| worst.worse_of(row.exit)))
        })
    }
}

/// What gets a row of its own.
enum Sight<'f> {
    /// A manifest, and why there may be more in it than is known.
    Manifest(&'f ImageRef, &'f Target, &'f [Obstacle]),
    /// What could not be looked up, and why.
    Unseen(&'f ImageRef, &'f Failure),
}

/// The rows for an image: one, or where it is an index that is looked into, one for each in it.
fn sights<'f>((image, family): (&'f ImageRef, &'f Result<Family, Failure>)) -> Vec<Sight<'f>> {
    match family {
        Err(failure) => vec![Sight::Unseen(image, failure)],
        Ok(family) => {
            // They are about the index, which stands first.
            let obstacles = std::iter::once(family.obstacles.as_slice());
            let obstacles = obstacles.chain(std::iter::repeat(&[][..]));
            let targets = family.targets.iter().zip(obstacles);
            targets.map(|(target, obstacles)| Sight::Manifest(image, target, obstacles)).collect()
        }
    }
}

/// Each image once, in the order given.
fn distinct(wanted: &[String]) -> Result<Vec<ImageRef>, Failure> {
    let mut seen = BTreeSet::new();
    let parsed = wanted.iter().filter(|text| seen.insert(text.as_str()));
    let parsed = parsed.map(|text| images::parse(text)).collect::<Result<Vec<_>, _>>()?;
    if parsed.is_empty() {
        // Of nothing all would be signed.
        return Err(Failure::usage("no image is named").hint("look into the lists that were given"));
    }
    if parsed.len() > IMAGES_MAX {
        let message = format!("{} images are more than the {IMAGES_MAX} looked at", parsed.len());
        return Err(Failure::usage(message).hint("split the list"));
    }
    Ok(parsed)
}

async fn tags(
    registry: &Registry,
    image: &ImageRef,
    deadline: Deadline,
) -> Result<Vec<String>, Failure> {
    let name = image.name();
    let failed =
        |error| images::not_looked_at(&format!("the tags of {name} cannot be listed"), error);
    let tags = registry.list_tags(image, deadline).await.map_err(failed)?;
    if let Some(shortfall) = tags.shortfall {
        return Err(failed(shortfall));
    }
    // What lies beside images is no image.
    let of_image = |tag: &String| !(tag.starts_with("sha256-") || tag.starts_with("sha512-"));
    Ok(tags.tags.into_iter().filter(of_image).map(|tag| format!("{name}:{tag}")).collect())
}

/// How every image is looked at.
struct Look<'l, D> {
    policy: Policy,
    gatherer: Gatherer<'l>,
    deadline: D,
}

impl<D: Fn() -> Deadline> Look<'_, D> {
    async fn at(&self, sight: Sight<'_>) -> Row {
        let (image, target, in_the_way) = match sight {
            Sight::Manifest(image, target, in_the_way) => (image, target, in_the_way),
            Sight::Unseen(image, failure) => {
                return Row::unknown(image.to_string(), vec![failure.full_message()]);
            }
        };
        let Self { policy, gatherer, deadline } = self;
        let Target { name, digest, within, .. } = target;
        let place = match images::evidence_place(image) {
            Ok(place) => place,
            Err(failure) => return Row::unknown(name.clone(), vec![failure.full_message()]),
        };
        // The report names every signature, so all are gathered.
        let (pieces, mut obstacles) = gatherer.gather(None, &place, digest, deadline()).await;
        obstacles.extend(in_the_way.iter().cloned());
        let artifact = Artifact::from_digest(*digest);
        let case = Case { artifact: &artifact, pieces: &pieces, obstacles: &obstacles };
        let now = machine::now();
        let verdict = policy.judge(&case, now);
        // The verdict rests on one signature; the report names all.
        let signatures = pieces.iter().filter_map(|piece| {
            let alone = Case { pieces: std::slice::from_ref(piece), obstacles: &[], ..case };
            match policy.judge(&alone, now) {
                Verdict::Admit(grounds) => signature(piece, grounds.0.first()),
                Verdict::Refuse(_) | Verdict::Unknown(..) => None,
            }
        });
        let problems = match &verdict {
            Verdict::Admit(_) => obstacles.iter().map(ToString::to_string).collect(),
            Verdict::Refuse(reasons) => {
                reasons.iter().map(|reason| reason.refusal.full_message()).collect()
            }
            Verdict::Unknown(obstacles, _) => obstacles.iter().map(ToString::to_string).collect(),
        };
        // Of an index of which not everything is known, not everything is covered.
        let exit = if in_the_way.is_empty() { ui::verdict::exit(&verdict) } else { Exit::Unknown };
        Row {
            image: name.clone(),
            digest: Some(digest.to_string()),
            within: within.clone(),
            exit,
            signatures: signatures.collect(),
            problems,
        }
    }
}

fn signature(piece: &Piece, ground: &Ground) -> Option<Signature> {
    let Ground::Claim { claim, source, .. } = ground else { return None };
    let signer = claim.signer();
    Some(Signature {
        subject: signer.subject().map(str::to_owned),
        issuer: signer.issuer().map(str::to_owned),
        format: piece.evidence.as_ref().map_or_else(|_| String::new(), format_of),
        predicate_type: claim.statement().map(|statement| statement.predicate_type.clone()),
        log_entries: claim
            .entries()
            .iter()
            .map(|entry| format!("{} entry {}", entry.log_name(), entry.log_index()))
            .collect(),
        waived: claim.waived(),
        source: source.clone(),
    })
}

fn format_of(evidence: &Evidence) -> String {
    evidence.format.to_string()
}

/// The images that a file names: one on each line, or every `image` and `reference` in Kubernetes
/// manifests.
fn read_list(path: &Path) -> Result<Vec<String>, Failure> {
    let bytes = machine::read(path, "list of images", LIST_SIZE_MAX)?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::usage(format!("the list of images {} is not text", path.display()))
    })?;
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    if lines.iter().all(|line| line.parse::<ImageRef>().is_ok()) {
        return Ok(lines.into_iter().map(str::to_owned).collect());
    }
    policy::manifests::images(&text).map_err(|error| {
        Failure::usage(format!("the list of images {} cannot be read", path.display()))
            .caused_by(error)
            .hint("write one image on each line, or give Kubernetes manifests in YAML or JSON")
    })
}

//! `download`: what lies beside an image, as it is.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use client::registry::{
    Attachment, AttachmentKind, CosignTag, Inventory, LookedUp, Place, RawEvidence,
};
use client::{FetchError, Registry};
use evidence::bundle::Content;
use evidence::predicate::{self, PredicateType};
use evidence::{Digest, Evidence, ImageRef};

use crate::arguments::images::{self, RegistryArguments};
use crate::arguments::older::predicate_type_of;
use crate::arguments::platform::WantedPlatform;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::ui::terminal;
use crate::{runtime, ui};

/// Largest bill of materials read, in bytes: what Cosign reads of an attachment.
const SBOM_SIZE_MAX: u64 = 128 * 1024 * 1024;

/// Download signatures, attestations and bills of materials, unverified.
#[derive(Debug, Args)]
pub(crate) struct Download {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Download the signatures of an image: a document on each line.
    Signature(What),
    /// Download the attestations about an image: an envelope or bundle on each line.
    Attestation(Attestation),
    /// Download the bill of materials that lies beside an image as it is. Nobody signed it: rather
    /// attest it, and verify that.
    Sbom(Sbom),
}

#[derive(Debug, Args)]
struct What {
    /// The image, by digest or tag.
    #[arg(value_name = "IMAGE")]
    image: String,

    #[command(flatten)]
    registry: RegistryArguments,
}

#[derive(Debug, Args)]
struct Attestation {
    /// Only those of this predicate type: one of Cosign's names, or a URI.
    #[arg(long, value_name = "TYPE", value_parser = PredicateType::parse)]
    predicate_type: Option<PredicateType>,

    #[command(flatten)]
    platform: PlatformArgument,

    #[command(flatten)]
    what: What,
}

#[derive(Debug, Args)]
struct Sbom {
    #[command(flatten)]
    platform: PlatformArgument,

    #[command(flatten)]
    what: What,
}

/// Which image of an index.
#[derive(Debug, Args)]
struct PlatformArgument {
    /// What lies beside the image of an index that is for this platform, such as linux/arm64.
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<WantedPlatform>,
}

/// Where something is looked for.
struct Beside {
    registry: Registry,
    /// As it was named, or the one of its images that is for the platform.
    image: ImageRef,
    digest: Digest,
    is_index: bool,
    place: ImageRef,
}

/// What is looked for.
struct Sought {
    what: String,
    /// Under which of Cosign's tags, besides among what refers to the image.
    tags: &'static [CosignTag],
    /// The command that makes one.
    made_by: &'static str,
    /// Whether one image of an index can be named by its platform.
    by_platform: bool,
}

/// Where evidence lies.
const EVIDENCE_TAGS: &[CosignTag] = &[CosignTag::Signature, CosignTag::Attestation];

impl Download {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::Signature(what) => {
                let sought = Sought {
                    what: "signature".to_owned(),
                    tags: EVIDENCE_TAGS,
                    made_by: "sign",
                    by_platform: false,
                };
                what.print(None, global, &sought, is_signature)
            }
            Verb::Attestation(Attestation { what, predicate_type, platform }) => {
                let wanted = predicate_type.as_ref().map(PredicateType::uri);
                let sought = Sought {
                    what: match wanted {
                        None => "attestation".to_owned(),
                        Some(wanted) => format!("attestation of the type {wanted}"),
                    },
                    tags: EVIDENCE_TAGS,
                    made_by: "attest",
                    by_platform: true,
                };
                what.print(platform.platform.as_ref(), global, &sought, |evidence| {
                    let found = predicate_type_of(evidence);
                    !is_signature(evidence)
                        && wanted.is_none_or(|wanted| found.as_deref() == Some(wanted))
                })
            }
            Verb::Sbom(sbom) => sbom.print(global),
        }
    }
}

fn is_signature(evidence: &Evidence) -> bool {
    predicate_type_of(evidence).is_none_or(|found| found == predicate::SIGN)
}

impl What {
    async fn find(
        &self,
        platform: Option<&WantedPlatform>,
        global: &Global,
    ) -> Result<Beside, Failure> {
        let mut image = images::parse(&self.image)?;
        let registry = self.registry.open(std::slice::from_ref(&image))?;
        if let Some(platform) = platform {
            image = platform.choose(&registry, &image, global.deadline()).await?;
        }
        let LookedUp { digest, is_index } =
            images::look_up(&registry, &image, global.deadline()).await?;
        let place = images::evidence_place(&image)?;
        Ok(Beside { registry, image, digest, is_index: is_index == Some(true), place })
    }

    /// Prints what fits. Nothing found is a failure of its own kind, as in Cosign.
    fn print(
        &self,
        platform: Option<&WantedPlatform>,
        global: &Global,
        sought: &Sought,
        fits: impl Fn(&Evidence) -> bool,
    ) -> Result<Exit, Failure> {
        runtime::block_on(async {
            let beside = self.find(platform, global).await?;
            let Beside { registry, place, digest, .. } = &beside;
            let found = registry.find_evidence(place, digest, global.deadline()).await;
            let (mut count, mut others) = (0, BTreeSet::new());
            for piece in found.pieces {
                let Ok(evidence) = piece.clone().parse() else {
                    ui::note(&format!("{} is malformed, and left out", piece.manifest));
                    others.insert("something malformed".to_owned());
                    continue;
                };
                if fits(&evidence) {
                    count += 1;
                    terminal::bytes(&line(&piece, &evidence));
                } else if is_signature(&evidence) {
                    others.insert("a signature".to_owned());
                } else {
                    let kind = predicate_type_of(&evidence).unwrap_or_default();
                    others.insert(format!("an attestation of the type {}", ui::plain(&kind)));
                }
            }
            beside.outcome(count, &found.obstacles, sought, &others)
        })
    }
}

impl Beside {
    /// How it ended, by what was found and what could not be looked at.
    fn outcome(
        &self,
        count: usize,
        obstacles: &[FetchError],
        sought: &Sought,
        others: &BTreeSet<String>,
    ) -> Result<Exit, Failure> {
        for obstacle in obstacles {
            ui::note(&format!("could not be looked at: {}", ui::chain(obstacle)));
        }
        match (obstacles.is_empty(), count) {
            (false, _) => Ok(Exit::Unknown),
            (true, 0) => Err(self.has_none(sought, others)),
            (true, _) => Ok(Exit::Success),
        }
    }

    /// That there is none: of what, where it was looked for, and what can be done.
    fn has_none(&self, sought: &Sought, others: &BTreeSet<String>) -> Failure {
        let Self { image, digest, is_index, place, .. } = self;
        let Sought { what, tags, made_by, by_platform } = sought;
        let tags: Vec<_> = tags.iter().filter_map(|tag| tag.of(digest)).collect();
        let message = format!(
            "there is no {what} beside {image}: looked in {} under {}, and at what refers to {digest}",
            place.name(),
            tags.join(" and "),
        );
        let others: Vec<_> = others.iter().map(String::as_str).collect();
        let hint = match others.as_slice() {
            _ if *is_index && *by_platform => {
                "this is an index: --platform looks beside one of its images".to_owned()
            }
            [] => format!(
                "`countersign {made_by}` makes one; one that is kept in another repository is found \
                 when COSIGN_REPOSITORY names that"
            ),
            others => format!("there is {}; `countersign tree` shows all", others.join(", ")),
        };
        Failure::new(Exit::Unsigned, message).hint(hint)
    }
}

impl Sbom {
    /// Prints the document under Cosign's tag, or the only one that refers to the image.
    fn print(&self, global: &Global) -> Result<Exit, Failure> {
        runtime::block_on(async {
            let platform = self.platform.platform.as_ref();
            let beside = self.what.find(platform, global).await?;
            let Beside { registry, place, digest, .. } = &beside;
            let Inventory { attachments, obstacles } =
                registry.inventory(place, digest, global.deadline()).await;
            let sought = Sought {
                what: "bill of materials".to_owned(),
                tags: &[CosignTag::Sbom],
                made_by: "attach sbom",
                by_platform: true,
            };
            let (sboms, others): (Vec<_>, Vec<_>) =
                attachments.iter().partition(|one| one.kind == AttachmentKind::Sbom);
            let (tagged, referring): (Vec<_>, Vec<_>) =
                sboms.into_iter().partition(|sbom| matches!(sbom.place, Place::Tag(_)));
            let candidates = if tagged.is_empty() { referring } else { tagged };
            let chosen = match candidates[..] {
                [] => {
                    let others = others.iter().map(|other| match other.kind {
                        AttachmentKind::Bundle => "a bundle".to_owned(),
                        AttachmentKind::Signature => "a signature".to_owned(),
                        AttachmentKind::Attestation => "an attestation".to_owned(),
                        _ => {
                            format!("something of the type {}", ui::plain(&other.layer.media_type))
                        }
                    });
                    return beside.outcome(0, &obstacles, &sought, &others.collect());
                }
                [only] => only,
                _ => return Err(several(&candidates, place)),
            };
            let document = registry
                .fetch_attachment(place, chosen, SBOM_SIZE_MAX, global.deadline())
                .await
                .map_err(|error| images::not_looked_at("the SBOM cannot be read", error))?;
            ui::note(&format!("a document of {}, which nobody signed", chosen.layer.media_type));
            terminal::bytes(&document);
            beside.outcome(1, &obstacles, &sought, &BTreeSet::new())
        })
    }
}

fn several(candidates: &[&Attachment], place: &ImageRef) -> Failure {
    let name = place.name();
    let listed = candidates.iter().map(|sbom| format!("{name}@{}", sbom.layer.digest));
    Failure::usage(format!("{} bills of materials lie beside it", candidates.len()))
        .hint(format!("read one of these blobs: {}", listed.collect::<Vec<_>>().join(", ")))
}

/// One document on one line: a bundle and an envelope as they are; a signature in Cosign's older
/// format as Cosign prints it.
fn line(piece: &RawEvidence, evidence: &Evidence) -> Vec<u8> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let mut line = match &evidence.content {
        Content::SimpleSigning { payload, signature } => serde_json::json!({
            "Base64Signature": STANDARD.encode(signature),
            "Payload": STANDARD.encode(payload),
            "Cert": piece.annotations.get(evidence::cosign::CERTIFICATE),
            "Bundle": piece.annotations.get(evidence::cosign::LOG_ENTRY)
                .and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok()),
        })
        .to_string()
        .into_bytes(),
        _ => piece.bytes.iter().copied().filter(|byte| *byte != b'\n').collect(),
    };
    line.push(b'\n');
    line
}

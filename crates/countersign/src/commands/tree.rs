//! `tree` and `triangulate`: what lies beside an image, and where.

use clap::{Args, ValueEnum};
use client::registry::{CosignTag, Place};
use serde_json::json;

use crate::arguments::images::{self, RegistryArguments};
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::ui::terminal::println;
use crate::ui::{FAINT, GOOD, Output, plain};
use crate::{runtime, ui};

/// Show what lies beside an image: signatures, attestations, bills of materials, and all else.
///
/// Nothing of it is verified. Exit code 3 says that something could not be looked at.
#[derive(Debug, Args)]
pub(crate) struct Tree {
    /// The image, by digest or tag.
    #[arg(value_name = "IMAGE")]
    image: String,

    /// In which form to print it.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,

    #[command(flatten)]
    registry: RegistryArguments,
}

impl Tree {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let image = images::parse(&self.image)?;
        runtime::block_on(async {
            let registry = self.registry.open(std::slice::from_ref(&image))?;
            let digest = images::digest(&registry, &image, global.deadline()).await?;
            let place = images::evidence_place(&image)?;
            let inventory = registry.inventory(&place, &digest, global.deadline()).await;
            let attachments = &inventory.attachments;
            let obstacles: Vec<_> =
                inventory.obstacles.iter().map(|error| ui::chain(error)).collect();
            match self.output {
                Output::Json => {
                    let listed = attachments.iter().map(|attachment| {
                        json!({
                            "kind": attachment.kind.to_string(),
                            "place": place_of(attachment.place),
                            "manifest": attachment.manifest.to_string(),
                            "mediaType": attachment.layer.media_type,
                            "digest": attachment.layer.digest.to_string(),
                            "size": attachment.layer.size,
                            "predicateType": attachment.predicate_type,
                        })
                    });
                    let document = json!({
                        "schema": "countersign.dev/tree/v1",
                        "image": image.to_string(),
                        "digest": digest.to_string(),
                        "attachments": listed.collect::<Vec<_>>(),
                        "obstacles": obstacles,
                    });
                    println!("{document:#}");
                }
                Output::Text => {
                    println!("{GOOD}{}{GOOD:#}", plain(&image.to_string()));
                    println!("  {FAINT}{digest}{FAINT:#}");
                    for attachment in attachments {
                        let size = attachment.layer.size;
                        let place = place_of(attachment.place);
                        println!("  {} in {place}, {size} bytes", attachment.kind);
                        if let Some(predicate_type) = &attachment.predicate_type {
                            println!("    {FAINT}says{FAINT:#}     {}", plain(predicate_type));
                        }
                        println!("    {FAINT}layer{FAINT:#}    {}", attachment.layer.digest);
                        println!("    {FAINT}manifest{FAINT:#} {}", attachment.manifest);
                    }
                    if attachments.is_empty() && obstacles.is_empty() {
                        println!("  nothing lies beside it");
                    }
                }
            }
            for obstacle in &obstacles {
                ui::note(&format!("could not be looked at: {obstacle}"));
            }
            Ok(if obstacles.is_empty() { Exit::Success } else { Exit::Unknown })
        })
    }
}

fn place_of(place: Place) -> &'static str {
    match place {
        Place::Referrers(_) => "referrers",
        Place::Tag(CosignTag::Signature) => "signature tag",
        Place::Tag(CosignTag::Attestation) => "attestation tag",
        Place::Tag(CosignTag::Sbom) => "SBOM tag",
        Place::Layout => "layout",
    }
}

/// Print where Cosign's older formats are kept beside an image.
#[derive(Debug, Args)]
pub(crate) struct Triangulate {
    /// The image, by digest or tag.
    #[arg(value_name = "IMAGE")]
    image: String,

    /// What is wanted.
    #[arg(long = "type", value_enum, default_value_t = Kind::Signature)]
    kind: Kind,

    #[command(flatten)]
    registry: RegistryArguments,
}

/// What lies under a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The signatures.
    Signature,
    /// The attestations.
    Attestation,
    /// The bill of materials.
    Sbom,
    /// The image itself, by digest.
    Digest,
}

impl Triangulate {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let image = images::parse(&self.image)?;
        let registry = self.registry.open(std::slice::from_ref(&image))?;
        let digest = runtime::block_on(images::digest(&registry, &image, global.deadline()))?;
        let place = images::evidence_place(&image)?;
        let tag = match self.kind {
            Kind::Signature => CosignTag::Signature,
            Kind::Attestation => CosignTag::Attestation,
            Kind::Sbom => CosignTag::Sbom,
            Kind::Digest => {
                println!("{}@{digest}", image.name());
                return Ok(Exit::Success);
            }
        };
        let tag = tag.of(&digest).ok_or_else(|| {
            Failure::usage(format!("{digest} is too long for a tag, so nothing lies under one"))
        })?;
        println!("{}:{tag}", place.name());
        Ok(Exit::Success)
    }
}

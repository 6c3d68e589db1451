//! `clean`: takes away what lies beside an image.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use client::registry::{Cleaning, CosignTag};

use crate::arguments::images::{self, RegistryArguments};
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::ui::terminal::eprintln;
use crate::{runtime, ui};

/// Remove signatures, attestations and bills of materials from beside an image.
///
/// What was logged stays in the log.
#[derive(Debug, Args)]
pub(crate) struct Clean {
    /// The image, by digest or tag.
    #[arg(value_name = "IMAGE")]
    image: String,

    /// What to remove.
    #[arg(long = "type", value_enum, default_value_t = Kind::All)]
    kind: Kind,

    /// Do not ask.
    #[arg(short, long)]
    force: bool,

    #[command(flatten)]
    registry: RegistryArguments,
}

/// What can be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// What the signature tag holds.
    Signature,
    /// What the attestation tag holds.
    Attestation,
    /// Bundles that refer to the image.
    Referrer,
    /// What the SBOM tag holds.
    Sbom,
    /// All of these.
    All,
}

impl Clean {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let image = images::parse(&self.image)?;
        let what = match self.kind {
            Kind::Signature => Cleaning::Tag(CosignTag::Signature),
            Kind::Attestation => Cleaning::Tag(CosignTag::Attestation),
            Kind::Sbom => Cleaning::Tag(CosignTag::Sbom),
            Kind::Referrer => Cleaning::Referrers,
            Kind::All => Cleaning::All,
        };
        if !self.force {
            if !std::io::stdin().is_terminal() {
                return Err(Failure::usage("nobody can be asked whether to remove it")
                    .hint("--force removes it without asking"));
            }
            if !ui::confirm(&format!("Remove what lies beside {image}?"))? {
                return Err(Failure::new(Exit::Failure, "nothing was removed"));
            }
        }
        runtime::block_on(async {
            let registry = self.registry.open(std::slice::from_ref(&image))?;
            let digest = images::digest(&registry, &image, global.deadline()).await?;
            let place = images::evidence_place(&image)?;
            let cleaned = registry.clean(&place, &digest, what, global.deadline()).await;
            cleaned.removed.iter().for_each(|removed| eprintln!("removed {removed}"));
            for obstacle in &cleaned.obstacles {
                ui::note(&format!("could not be removed: {}", ui::chain(obstacle)));
            }
            if cleaned.removed.is_empty() && cleaned.obstacles.is_empty() {
                eprintln!("nothing lies beside {image}");
            }
            Ok(if cleaned.obstacles.is_empty() { Exit::Success } else { Exit::Failure })
        })
    }
}

//! `copy`: an image with all that lies beside it.

use anstyle::Style;
use clap::{Args, ValueEnum};
use client::registry::{Copying, CosignTag};

use crate::arguments::images::{self, RegistryArguments};
use crate::arguments::platform::WantedPlatform;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::runtime;
use crate::ui::terminal::eprintln;

const BOLD: Style = Style::new().bold();

/// Copy an image with its signatures and attestations to another repository.
///
/// The images of an index are copied with it, and what lies beside each of them. Blobs are mounted
/// where the registry can, else streamed.
#[derive(Debug, Args)]
pub(crate) struct Copy {
    /// The image, by digest or tag.
    #[arg(value_name = "FROM")]
    from: String,

    /// Where to.
    #[arg(value_name = "TO")]
    to: String,

    /// Copy only these, and not the image.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    only: Vec<Kind>,

    /// Copy the signatures only, as --only sig.
    #[arg(long, conflicts_with = "only")]
    sig_only: bool,

    /// Copy only the image of an index that is for this platform, such as linux/arm64, and what
    /// lies beside it.
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<WantedPlatform>,

    /// Accepted for Cosign's sake: content is the same wherever it has the same digest.
    #[arg(short, long, hide = true)]
    force: bool,

    #[command(flatten)]
    registry: RegistryArguments,
}

/// What may be copied alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The signature tag, and what refers to the image.
    Sig,
    /// The attestation tag, and what refers to the image.
    Att,
    /// The SBOM tag.
    Sbom,
}

impl Copy {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (from, to) = (images::parse(&self.from)?, images::parse(&self.to)?);
        let copying = self.copying();
        runtime::block_on(async {
            let registry = self.registry.open(&[from.clone(), to.clone()])?;
            let deadline = global.long_deadline();
            let from = match &self.platform {
                Some(platform) => platform.choose(&registry, &from, global.deadline()).await?,
                None => from,
            };
            let copied = registry.copy(&from, &to, &copying, deadline).await.map_err(|error| {
                images::failed(Exit::Failure, &format!("{from} was not copied to {to}"), error)
            })?;
            eprintln!(
                "{BOLD}copied{BOLD:#} {} manifests; of the blobs {} were there, {} were mounted and \
                 {} sent",
                copied.manifests, copied.blobs_there, copied.blobs_mounted, copied.blobs_sent
            );
            Ok(Exit::Success)
        })
    }

    fn copying(&self) -> Copying {
        let only = if self.sig_only { vec![Kind::Sig] } else { self.only.clone() };
        if only.is_empty() {
            return Copying::all();
        }
        let tag = |kind: &Kind| match kind {
            Kind::Sig => CosignTag::Signature,
            Kind::Att => CosignTag::Attestation,
            Kind::Sbom => CosignTag::Sbom,
        };
        let referrers = only.iter().any(|kind| *kind != Kind::Sbom);
        Copying { image: false, tags: only.iter().map(tag).collect(), referrers }
    }
}

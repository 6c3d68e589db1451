//! `copy`: an image with all that lies beside it.

use anstyle::Style;
use clap::{Args, ValueEnum};
use client::Registry;
use client::registry::{Copying, CosignTag};
use evidence::{Digest, ImageRef};

use crate::arguments::images::{self, RegistryArguments};
use crate::arguments::platform::WantedPlatform;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::runtime;
use crate::ui;
use crate::ui::terminal::eprintln;

const BOLD: Style = Style::new().bold();

/// Copy an image with its signatures and attestations to another repository.
///
/// The images of an index are copied with it, and what lies beside each of them. Blobs are mounted
/// where the registry can, else streamed. What lies beside the image there stays.
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

    /// Copy also where the tag at the destination is another image now, which loses that tag.
    #[arg(short, long)]
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
            let root = images::resolve(&registry, &from, global.deadline()).await?;
            let before = match copying.image {
                true => self.other_image(&registry, &to, &root.digest, global).await?,
                false => None,
            };
            // What was looked up is what is copied, whatever the tag means by now.
            let source = from.with_digest(root.digest);
            let copied =
                registry.copy(&source, &to, &copying, deadline).await.map_err(|error| {
                    images::not_done(&format!("{from} was not copied to {to}"), error)
                })?;
            eprintln!(
                "{BOLD}copied{BOLD:#} {} manifests; of the blobs {} were there, {} were mounted and \
                 {} sent",
                copied.manifests, copied.blobs_there, copied.blobs_mounted, copied.blobs_sent
            );
            if let Some(before) = before {
                ui::note(&format!("{to} was {before} before"));
            }
            Ok(Exit::Success)
        })
    }

    /// Another image that the destination's tag means now: only with --force is the tag moved.
    async fn other_image(
        &self,
        registry: &Registry,
        to: &ImageRef,
        digest: &Digest,
        global: &Global,
    ) -> Result<Option<Digest>, Failure> {
        let now = match images::meant_now(registry, to, global.deadline()).await {
            // Whatever it is, it may be lost.
            Err(_) if self.force => None,
            now => now?,
        };
        match now.filter(|now| now != digest) {
            Some(now) if !self.force => {
                let message = format!(
                    "{to} is another image already: wanted no such tag or {digest}, found {now}"
                );
                Err(Failure::new(Exit::Failure, message)
                    .hint("--force moves the tag; or choose another"))
            }
            other => Ok(other),
        }
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

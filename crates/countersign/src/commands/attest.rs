//! `attest`: a statement about an image, signed and attached to it.

use std::path::PathBuf;

use clap::Args;
use client::ToSign;
use client::registry::{BundleContent, CosignTag};
use evidence::envelope::IN_TOTO_PAYLOAD_TYPE;

use crate::arguments::attaching::{FormatArguments, Shelf, bundle};
use crate::arguments::images::{self, RegistryArguments};
use crate::arguments::older::Older;
use crate::arguments::predicates::PredicateArguments;
use crate::arguments::pushing::PushRights;
use crate::arguments::signing::{self, SigningArguments};
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::machine::{self, NewFile};
use crate::ui::Output;
use crate::{runtime, ui};

/// Attest something about an image: provenance, a bill of materials, a vulnerability report.
///
/// What is attested is signed, logged and attached to the image as a signature is; it becomes as
/// public as the log is.
#[derive(Debug, Args)]
pub(crate) struct Attest {
    /// The image, by tag or better by digest.
    #[arg(value_name = "IMAGE")]
    image: String,

    /// In which form to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,

    #[command(flatten)]
    predicate: PredicateArguments,

    #[command(flatten)]
    formats: FormatArguments,

    /// Take away the attestations of the same type that are there, whoever made them, in each format
    /// that is written.
    #[arg(long, help_heading = "Evidence")]
    replace: bool,

    /// Attach nothing; print the envelope, or with --bundle write that.
    #[arg(long, help_heading = "Evidence")]
    no_upload: bool,

    /// Write the bundle into a file too.
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    bundle: Option<PathBuf>,

    #[command(flatten)]
    signing: SigningArguments,

    #[command(flatten)]
    registry: RegistryArguments,
}

impl Attest {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let image = images::parse(&self.image)?;
        let formats = self.formats.chosen();
        let file = self.bundle.as_deref().map(NewFile::create).transpose()?;
        runtime::block_on(async {
            let registry = self.registry.open(std::slice::from_ref(&image))?;
            let deadline = global.deadline();
            let manifest = images::resolve(&registry, &image, deadline).await?;
            let (payload, predicate_type) =
                self.predicate.statement(&image.name(), &manifest.digest)?;
            let place = &images::evidence_place(&image)?;
            let older = match self.replace && !self.no_upload {
                true => {
                    let shelf =
                        Shelf { registry: &registry, image: place, manifest: &manifest, deadline };
                    Older::find(&shelf, &predicate_type).await?
                }
                false => Older::default(),
            };
            if !self.no_upload {
                let rights = PushRights::of(&registry, std::iter::once(&image))?;
                rights.check_all(|| deadline).await?;
            }
            let name = image.to_string();
            let what = std::slice::from_ref(&name);
            let signing = self.signing.begin(what, formats.cosign(), deadline).await?;
            let session = signing.open(&name).await?;
            let to_sign = ToSign::Payload {
                payload_type: IN_TOTO_PAYLOAD_TYPE.to_owned(),
                payload,
                about: manifest.digest,
            };
            let evidence = session
                .sign(&to_sign, &machine::now, signing.deadline())
                .await
                .map_err(|error| signing::failed(&name, error))?;
            // What is logged finds a place in the registry whatever became of the file.
            let kept = match file {
                Some(file) => file.write(&bundle(&evidence)?),
                None => Ok(()),
            };
            if self.no_upload {
                kept?;
                if self.bundle.is_none() {
                    ui::terminal::bytes(&bundle(&evidence)?);
                }
                return Ok(Exit::Success);
            }
            let deadline = signing.deadline();
            let shelf = Shelf { registry: &registry, image: place, manifest: &manifest, deadline };
            if formats.bundle() {
                let content = BundleContent::DsseEnvelope { predicate_type };
                let place = shelf.put_bundle(&evidence, content).await?;
                ui::sign::signed(self.output, &name, &manifest.digest, &evidence, &place);
                older.remove_referrers(&shelf).await?;
            }
            if formats.cosign() {
                let place =
                    shelf.put_layer(&evidence, CosignTag::Attestation, older.layers()).await?;
                ui::sign::signed(self.output, &name, &manifest.digest, &evidence, &place);
            }
            kept.map(|()| Exit::Success)
        })
    }
}

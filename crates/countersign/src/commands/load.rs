//! `load`: an image with all that lies beside it, out of a folder into a registry.

use std::path::PathBuf;

use clap::Args;
use client::Layout;
use client::layout::{LayoutError, LayoutProblem, Loaded, TransferError};
use serde_json::json;

use crate::arguments::images::{self, RegistryArguments};
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::runtime;
use crate::ui::terminal::println;
use crate::ui::{self, FAINT, GOOD, Output, plain, progress};

/// Load an image with its signatures and attestations out of a folder into a registry.
///
/// The folder is an OCI layout as `save` and `cosign save` write it. Every blob is held against its
/// digest; what is at the destination already is merged with, and the image's tag is set last,
/// whatever it was before.
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// What the image is to be called in the registry.
    #[arg(value_name = "IMAGE")]
    image: String,

    /// Folder with the image.
    #[arg(long, value_name = "FOLDER")]
    dir: PathBuf,

    /// In which form to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,

    #[command(flatten)]
    registry: RegistryArguments,
}

impl Load {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let image = images::parse(&self.image)?;
        let place = images::evidence_place(&image)?;
        let unreadable = |error: LayoutError| {
            let folder = self.dir.display();
            Failure::usage(format!("no image can be loaded from {folder}"))
                .caused_by(error)
                .hint(format!("save one there with `countersign save --dir {folder} IMAGE`"))
        };
        let layout = Layout::open(&self.dir).map_err(unreadable)?;
        runtime::block_on(async {
            let registry = self.registry.open(std::slice::from_ref(&image))?;
            let before = images::meant_now(&registry, &image, global.deadline()).await?;
            let progress = progress::Transfer::new("loaded");
            let deadline = global.long_deadline();
            let loaded = layout.load(&registry, &image, &place, deadline, &progress).await;
            progress.finish();
            let loaded =
                loaded.map_err(|error| failed(&format!("{image} was not loaded"), error))?;
            if let Some(before) = before.filter(|before| *before != loaded.digest) {
                ui::note(&format!("{image} was {before} before"));
            }
            print(self.output, &image.to_string(), &loaded);
            Ok(Exit::Success)
        })
    }
}

fn print(output: Output, image: &str, loaded: &Loaded) {
    let Loaded { digest, manifests, blobs_there, blobs_sent } = loaded;
    match output {
        Output::Json => {
            let document = json!({
                "schema": "countersign.dev/loaded/v1",
                "artifact": {"name": image, "digest": digest.to_string()},
                "manifests": manifests,
                "blobsThere": blobs_there,
                "blobsSent": blobs_sent,
            });
            println!("{document}");
        }
        Output::Text => {
            println!("{GOOD}loaded{GOOD:#} {}", plain(image));
            println!("  {FAINT}digest{FAINT:#}  {digest}");
            println!(
                "  {FAINT}  with{FAINT:#}  {manifests} manifests; of the blobs {blobs_there} were \
                 there and {blobs_sent} sent"
            );
        }
    }
}

/// An image that was not moved.
pub(super) fn failed(what: &str, error: TransferError) -> Failure {
    let hint = error.hint();
    let failure = match error {
        TransferError::Registry(error) => return images::not_done(what, error),
        TransferError::Layout(error) => {
            let exit = if is_unusable(&error) { Exit::Usage } else { Exit::Failure };
            Failure::new(exit, what).caused_by(error)
        }
        TransferError::OtherImage { .. } | TransferError::TooManyBlobs(_) => {
            Failure::new(Exit::Failure, what).caused_by(error)
        }
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Whether another folder should have been named, rather than what this one holds being wrong.
fn is_unusable(error: &LayoutError) -> bool {
    matches!(
        error.problem(),
        LayoutProblem::Io(_)
            | LayoutProblem::NotALayout
            | LayoutProblem::NotOneImage { .. }
            | LayoutProblem::NotPlain { .. }
            | LayoutProblem::OtherContent
    )
}

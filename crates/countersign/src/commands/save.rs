//! `save`: an image with all that lies beside it, into a folder.

use std::path::{Path, PathBuf};

use clap::Args;
use client::Layout;
use client::layout::Saved;
use evidence::Digest;
use serde_json::json;

use crate::arguments::images::{self, RegistryArguments};
use crate::commands::load::failed;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::runtime;
use crate::ui::terminal::println;
use crate::ui::{self, FAINT, GOOD, Output, plain, progress};

/// Digests told of what a folder lists no more.
const UNLISTED_MAX: usize = 4;

/// Save an image with its signatures and attestations in a folder, as an OCI layout.
///
/// The images of an index are saved with it, and what lies beside each of them. `verify
/// --local-image` reads the folder, and so do `load`, `cosign load`, `oras` and `skopeo`.
#[derive(Debug, Args)]
pub(crate) struct Save {
    /// The image, by digest or tag.
    #[arg(value_name = "IMAGE")]
    image: String,

    /// Folder for the image: one that is not there or empty, or one that an image was saved in; what
    /// it has is not fetched again.
    #[arg(long, value_name = "FOLDER")]
    dir: PathBuf,

    /// In which form to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,

    #[command(flatten)]
    registry: RegistryArguments,
}

impl Save {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let image = images::parse(&self.image)?;
        let place = images::evidence_place(&image)?;
        runtime::block_on(async {
            let registry = self.registry.open(std::slice::from_ref(&image))?;
            let progress = progress::Transfer::new("saved");
            let deadline = global.long_deadline();
            let saved =
                Layout::save(&self.dir, &registry, &image, &place, deadline, &progress).await;
            progress.finish();
            let saved = saved.map_err(|error| failed(&format!("{image} was not saved"), error))?;
            if !saved.replaced.is_empty() {
                ui::note(&unlisted(&self.dir, &saved.replaced));
            }
            print(self.output, &image.to_string(), &self.dir, &saved);
            Ok(Exit::Success)
        })
    }
}

/// What a folder listed before and lists no more, the first few by name.
fn unlisted(folder: &Path, replaced: &[Digest]) -> String {
    let named: Vec<_> = replaced.iter().take(UNLISTED_MAX).map(ToString::to_string).collect();
    let more = match replaced.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{} listed {}{more} before, and does no more", folder.display(), named.join(", "))
}

fn print(output: Output, image: &str, folder: &Path, saved: &Saved) {
    let Saved { digest, manifests, blobs_there, blobs_fetched, replaced } = saved;
    let folder = folder.display().to_string();
    match output {
        Output::Json => {
            let document = json!({
                "schema": "countersign.dev/saved/v1",
                "artifact": {"name": image, "digest": digest.to_string()},
                "folder": folder,
                "manifests": manifests,
                "blobsThere": blobs_there,
                "blobsFetched": blobs_fetched,
                "replaced": replaced.iter().map(ToString::to_string).collect::<Vec<_>>(),
            });
            println!("{document}");
        }
        Output::Text => {
            println!("{GOOD}saved{GOOD:#} {}", plain(image));
            println!("  {FAINT}digest{FAINT:#}  {digest}");
            println!("  {FAINT}folder{FAINT:#}  {}", plain(&folder));
            println!(
                "  {FAINT}  with{FAINT:#}  {manifests} manifests; of the blobs {blobs_there} were \
                 there and {blobs_fetched} fetched"
            );
        }
    }
}

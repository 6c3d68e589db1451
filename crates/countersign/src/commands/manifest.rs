//! `manifest verify`: the images that Kubernetes manifests run.

use std::path::Path;

use clap::{Args, Subcommand};

use super::verify::Verify;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::{machine, ui};

/// Longest manifest read, in bytes.
const MANIFEST_SIZE_MAX: usize = 16 * 1024 * 1024;

/// Verify what Kubernetes manifests run.
#[derive(Debug, Args)]
pub(crate) struct Manifest {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Verify every image that Kubernetes manifests run, whatever kind of workload they are of.
    ///
    /// All else is as with `verify`.
    #[command(mut_arg("images", |argument| {
        argument.value_name("FILE").help("Manifests in YAML or JSON (`-` for standard input)")
    }))]
    Verify(Verify),
}

impl Manifest {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let Verb::Verify(verify) = self.verb;
        let nothing = |files: &[String]| {
            let message = format!("{} names no image", files.join(", "));
            Failure::usage(message).hint("look into the files that were given")
        };
        verify.of_files(read, nothing)?.run(global)
    }
}

fn read(path: &str) -> Result<Vec<String>, Failure> {
    let bytes = machine::read(Path::new(path), "manifest", MANIFEST_SIZE_MAX)?;
    let unreadable = || Failure::usage(format!("it cannot be told what {path} runs"));
    let text = String::from_utf8(bytes).map_err(|_| unreadable().caused_by("it is not text"))?;
    let images = policy::manifests::images(&text).map_err(|error| unreadable().caused_by(error))?;
    for image in &images {
        ui::note(&format!("{path} runs {image}"));
    }
    Ok(images)
}

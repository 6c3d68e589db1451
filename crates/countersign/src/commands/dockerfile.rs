//! `dockerfile verify`: the images that a Dockerfile builds from.

mod instructions;

use std::path::Path;

use clap::{Args, Subcommand};

use self::instructions::{InstructionError, Use};
use super::verify::Verify;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::{machine, ui};

/// Longest Dockerfile read, in bytes.
const DOCKERFILE_SIZE_MAX: usize = 4 * 1024 * 1024;

/// Why of a Dockerfile there is nothing to verify.
const FROM_SCRATCH: &str = "the last stage is built from scratch: there is no image to verify";

/// Verify what Dockerfiles build from.
#[derive(Debug, Args)]
pub(crate) struct Dockerfile {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Verify(VerifyDockerfile),
}

/// Verify the images that a Dockerfile builds from and copies out of, before it is built.
///
/// Build arguments without a value in the file are taken from the environment. A variable without
/// any is an error: another image could be meant. All else is as with `verify`.
#[derive(Debug, Args)]
#[command(mut_arg("images", |argument| {
    argument.value_name("FILE").help("Dockerfiles (`-` for standard input)")
}))]
struct VerifyDockerfile {
    /// Verify only the image that the last stage is built from.
    #[arg(long)]
    base_image_only: bool,

    #[command(flatten)]
    verify: Verify,
}

impl Dockerfile {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let Verb::Verify(VerifyDockerfile { base_image_only, verify }) = self.verb;
        let read = |path: &str| read(path, base_image_only);
        verify.of_files(read, |_| Failure::new(Exit::Failure, FROM_SCRATCH))?.run(global)
    }
}

fn read(path: &str, base_only: bool) -> Result<Vec<String>, Failure> {
    let bytes = machine::read(Path::new(path), "Dockerfile", DOCKERFILE_SIZE_MAX)?;
    let unreadable = || Failure::usage(format!("it cannot be told what {path} builds from"));
    let text = String::from_utf8(bytes).map_err(|_| unreadable().caused_by("it is not text"))?;
    let images = instructions::images(&text, machine::variable).map_err(|error| {
        let hint = match &error {
            InstructionError::NoValue { name, .. } => {
                Some(format!("set {name} in the environment, as the build will have it"))
            }
            _ => None,
        };
        let failure = unreadable().caused_by(error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    let names: Vec<_> = if base_only {
        let base = images.base.into_iter();
        base.inspect(|image| ui::note(&format!("{path} builds from {image}"))).collect()
    } else {
        let told = images.all.into_iter().map(|image| {
            let does = match image.used {
                Use::Base => "builds from",
                Use::Files => "takes files from",
            };
            ui::note(&format!("{path} {does} {}", image.name));
            image.name
        });
        told.collect()
    };
    if names.is_empty() {
        ui::note(&format!("{path}: {FROM_SCRATCH}"));
    }
    Ok(names)
}

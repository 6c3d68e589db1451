//! `sign-blob`: a file in, a bundle out.

use std::path::PathBuf;

use clap::Args;
use client::ToSign;

use super::signing::{self, SigningArguments};
use super::verify_blob::hash_file;
use crate::exit::{Exit, Failure};
use crate::ui::Output;
use crate::{machine, runtime, ui};

/// Sign a file with a CI identity: the signature, its certificate, log entry and timestamp go into
/// one bundle.
///
/// The key lives as long as the command. The bundle is verified before it is written.
#[derive(Debug, Args)]
pub(crate) struct SignBlob {
    /// The file (`-` for standard input).
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Where to write the bundle.
    #[arg(long, value_name = "FILE", env = "COSIGN_BUNDLE")]
    bundle: PathBuf,

    #[command(flatten)]
    signing: SigningArguments,

    /// In which form to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text, env = "COSIGN_OUTPUT")]
    output: Output,

    /// Accepted for Cosign's sake; nothing is asked when signing with a private instance.
    #[arg(short, long, hide = true)]
    yes: bool,
}

impl SignBlob {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let digest = *hash_file(&self.file, &[])?.first();
        runtime::block_on(async {
            let begun = self.signing.begin().await?;
            let name = self.file.display().to_string();
            let failed = |error| signing::failed(&name, error);
            let session = begun.services.open(&begun.token).await.map_err(failed)?;
            let evidence =
                session.sign(&ToSign::Artifact(digest), &machine::now).await.map_err(failed)?;
            let json = evidence.to_bundle_v0_3().map_err(|error| {
                Failure::new(Exit::Failure, "the bundle cannot be written").caused_by(error)
            })?;
            machine::replace(&self.bundle, &json).map_err(|error| {
                Failure::new(Exit::Failure, format!("cannot write {}", self.bundle.display()))
                    .caused_by(error)
            })?;
            let place = self.bundle.display().to_string();
            ui::sign::signed(self.output, &name, &digest, &evidence, &place);
            Ok(Exit::Success)
        })
    }
}

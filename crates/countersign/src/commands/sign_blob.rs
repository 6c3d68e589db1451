//! `sign-blob`: a file in, a bundle out.

use std::path::PathBuf;

use clap::Args;
use client::{Deadline, ToSign};

use crate::arguments::attaching::bundle;
use crate::arguments::blob::hash_in;
use crate::arguments::signing::{self, SigningArguments};
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::machine::{self, NewFile};
use crate::ui::Output;
use crate::{runtime, ui};

/// Sign a file: the signature, its certificate, log entry and timestamp go into one bundle.
///
/// Without --key the key lives as long as the command. The bundle is verified before it is written.
#[derive(Debug, Args)]
pub(crate) struct SignBlob {
    /// The file (`-` for standard input).
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Where to write the bundle.
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,

    /// In which form to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,

    #[command(flatten)]
    signing: SigningArguments,
}

impl SignBlob {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        if machine::is_same_file(&self.file, &self.bundle) {
            return Err(Failure::usage(
                "the bundle would be written over the file that it is about",
            )
            .hint("name another file with --bundle"));
        }
        let file = NewFile::create(&self.bundle)?;
        // Before a certificate is public that would be of no use.
        machine::check_readable(&self.file, "file")?;
        runtime::block_on(async {
            let name = self.file.display().to_string();
            let what = std::slice::from_ref(&name);
            let signing = self.signing.begin(what, false, global.deadline()).await?;
            let session = signing.open(&name).await?;
            // Reading takes as long as the file, or who writes into the pipe, does.
            let left = signing.deadline().left();
            let digest = hash_in(&self.file, session.digest_algorithm())?;
            let evidence = session
                .sign(&ToSign::Artifact(digest), &machine::now, Deadline::after(left))
                .await
                .map_err(|error| signing::failed(&name, error))?;
            file.write(&bundle(&evidence)?)?;
            let place = self.bundle.display().to_string();
            ui::sign::signed(self.output, &name, &digest, &evidence, &place);
            Ok(Exit::Success)
        })
    }
}

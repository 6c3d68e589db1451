//! `attest-blob`: a statement about a file, signed into a bundle.

use std::path::PathBuf;

use clap::Args;
use client::ToSign;
use evidence::Digest;
use evidence::envelope::IN_TOTO_PAYLOAD_TYPE;

use crate::arguments::attaching::bundle;
use crate::arguments::blob::hash_file;
use crate::arguments::predicates::PredicateArguments;
use crate::arguments::signing::{self, SigningArguments};
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::machine::{self, NewFile};
use crate::ui::Output;
use crate::{runtime, ui};

/// Attest something about a file; the attestation goes into a bundle.
#[derive(Debug, Args)]
pub(crate) struct AttestBlob {
    /// The file (`-` for standard input); not needed with --hash.
    #[arg(value_name = "FILE", required_unless_present = "hash")]
    file: Option<PathBuf>,

    /// SHA-256 of a file that is elsewhere, in hexadecimal.
    #[arg(long, value_name = "HEX")]
    hash: Option<String>,

    /// Where to write the bundle.
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,

    /// In which form to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,

    #[command(flatten)]
    predicate: PredicateArguments,

    #[command(flatten)]
    signing: SigningArguments,
}

impl AttestBlob {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        if let Some(file) = &self.file
            && machine::is_same_file(file, &self.bundle)
        {
            return Err(Failure::usage(
                "the bundle would be written over the file that it is about",
            )
            .hint("name another file with --bundle"));
        }
        let output = NewFile::create(&self.bundle)?;
        let digest = self.digest()?;
        let file = self.file.as_deref();
        let name = file.map_or_else(|| digest.to_string(), |file| file.display().to_string());
        let base = file.and_then(|file| file.file_name()).unwrap_or_default();
        let (payload, _) = self.predicate.statement(&base.to_string_lossy(), &digest)?;
        runtime::block_on(async {
            let what = std::slice::from_ref(&name);
            let signing = self.signing.begin(what, false, global.deadline()).await?;
            let session = signing.open(&name).await?;
            let to_sign = ToSign::Payload {
                payload_type: IN_TOTO_PAYLOAD_TYPE.to_owned(),
                payload,
                about: digest,
            };
            let evidence = session
                .sign(&to_sign, &machine::now, signing.deadline())
                .await
                .map_err(|error| signing::failed(&name, error))?;
            output.write(&bundle(&evidence)?)?;
            let place = self.bundle.display().to_string();
            ui::sign::signed(self.output, &name, &digest, &evidence, &place);
            Ok(Exit::Success)
        })
    }

    fn digest(&self) -> Result<Digest, Failure> {
        let stated = self.hash.as_deref().map(|hex| {
            format!("sha256:{hex}").parse::<Digest>().map_err(|error| {
                Failure::usage(format!("cannot use --hash {hex}")).caused_by(Box::<
                    dyn std::error::Error + Send + Sync,
                >::from(
                    error
                ))
            })
        });
        let stated = stated.transpose()?;
        let Some(file) = &self.file else {
            return stated.ok_or_else(|| Failure::usage("there is no file and no --hash"));
        };
        let found = *hash_file(file, &[])?.first();
        match stated {
            Some(stated) if stated != found => {
                Err(Failure::usage(format!("--hash says {stated}, but the file is {found}")))
            }
            _ => Ok(found),
        }
    }
}

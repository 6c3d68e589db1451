//! `public-key`.

use std::path::PathBuf;

use clap::Args;
use crypto::Signer;

use super::write_document;
use crate::arguments::keys;
use crate::exit::{Exit, Failure};

/// Print the public half of a private key.
#[derive(Debug, Args)]
pub(crate) struct PublicKeyCommand {
    /// The private key: a file, or env://VARIABLE.
    #[arg(long, value_name = "KEY")]
    key: String,

    /// Where to write it; without it, to standard output.
    #[arg(long, value_name = "FILE")]
    outfile: Option<PathBuf>,
}

impl PublicKeyCommand {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let pair = keys::pair(&self.key)?;
        write_document(self.outfile.as_deref(), pair.public_key().to_pem().as_bytes())?;
        Ok(Exit::Success)
    }
}

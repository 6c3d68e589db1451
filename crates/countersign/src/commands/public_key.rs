//! `public-key`.

use std::path::PathBuf;

use clap::Args;
use crypto::Signer;

use super::write_document;
use crate::arguments::keys;
use crate::exit::{Exit, Failure};
use crate::runtime;

/// Print the public half of a private key.
#[derive(Debug, Args)]
pub(crate) struct PublicKeyCommand {
    /// The private key: a file, env://VARIABLE, or k8s://NAMESPACE/SECRET.
    #[arg(long, value_name = "KEY")]
    key: String,

    /// Where to write it; without it, to standard output.
    #[arg(long, value_name = "FILE")]
    outfile: Option<PathBuf>,
}

impl PublicKeyCommand {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        // A Secret has the public half beside the private one.
        let public = match keys::in_cluster(&self.key)? {
            Some(_) => keys::public(&self.key)?,
            None => runtime::block_on(keys::pair(&self.key))?.public_key().clone(),
        };
        write_document(self.outfile.as_deref(), public.to_pem().as_bytes())?;
        Ok(Exit::Success)
    }
}

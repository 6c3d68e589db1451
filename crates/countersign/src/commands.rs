//! The commands, one file each, and the argument groups that several of them share.

mod serve;
mod trust;
mod verify_blob;

use clap::{Subcommand, ValueEnum};

use crate::exit::{Exit, Failure};

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(serve::Serve),
    VerifyBlob(verify_blob::VerifyBlob),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::Serve(command) => command.run(),
            Self::VerifyBlob(command) => command.run(),
        }
    }
}

/// In which form results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs: one JSON document with a versioned schema.
    Json,
}

//! The commands, one file each, and the argument groups that several of them share.

mod admit;
mod demo;
mod images;
mod serve;
mod sign;
mod sign_blob;
mod signing;
mod trust;
mod verify;
mod verify_blob;

use clap::Subcommand;

use crate::exit::{Exit, Failure};

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Admit(admit::Admit),
    Demo(demo::Demo),
    Serve(serve::Serve),
    Sign(sign::Sign),
    SignBlob(sign_blob::SignBlob),
    Verify(verify::Verify),
    VerifyBlob(verify_blob::VerifyBlob),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::Admit(command) => command.run(),
            Self::Demo(command) => command.run(),
            Self::Serve(command) => command.run(),
            Self::Sign(command) => command.run(),
            Self::SignBlob(command) => command.run(),
            Self::Verify(command) => command.run(),
            Self::VerifyBlob(command) => command.run(),
        }
    }
}

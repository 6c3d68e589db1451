//! The binary: arguments, wiring, the clock, the environment, and everything printed.
//!
//! The crates below receive what they need as arguments; nothing below this one prints, exits, or
//! asks the machine for the time.

mod commands;
mod documents;
mod exit;
mod gather;
mod http;
mod instance;
mod machine;
mod runtime;
mod ui;

use clap::Parser;

use commands::Command;
use exit::Exit;

/// Sign container images and files without keys, log the signatures, verify them, and admit to a
/// cluster only what the expected workflow signed.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, max_term_width = 100, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    ui::logging::start();
    match arguments.command.run() {
        Ok(exit) => exit.into(),
        Err(failure) => {
            ui::failure(&failure);
            failure.exit().into()
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

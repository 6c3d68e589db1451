//! The binary: arguments, wiring, the clock, the environment, and everything printed.
//!
//! The crates below receive what they need as arguments; nothing below this one prints, exits, or
//! asks the machine for the time.

mod arguments;
mod command_line;
mod commands;
mod documents;
mod exit;
mod gather;
mod global;
mod http;
mod instance;
mod machine;
mod runtime;
mod trust_documents;
mod ui;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};

use commands::Command;
use exit::{Exit, Failure};
use global::Global;

/// Sign container images and files without keys, log the signatures, verify them, and admit to a
/// cluster only what the expected workflow signed.
///
/// Commands and flags that Cosign has mean here what they mean there. Every flag of theirs can
/// stand in a variable too: COSIGN_ and its name in capitals.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, max_term_width = 100, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    global: Global,

    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let parsed = command_line::parse(Arguments::command(), std::env::args_os())
        .and_then(|(matches, notes)| Ok((Arguments::from_arg_matches(&matches)?, notes)));
    let (arguments, notes) = match parsed {
        Ok(parsed) => parsed,
        // Prints help where it was asked for, and ends.
        Err(error) => error.exit(),
    };
    ui::logging::start(arguments.global.verbose);
    notes.iter().for_each(|note| ui::note(note));
    match run(arguments) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            ui::failure(&failure);
            failure.exit().into()
        }
    }
}

fn run(arguments: Arguments) -> Result<Exit, Failure> {
    arguments.global.redirect()?;
    arguments.command.run(&arguments.global)
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

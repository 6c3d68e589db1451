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
mod output_file;
mod runtime;
mod supplement;
mod trust_documents;
mod ui;

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use commands::Command;
use exit::{Exit, Failure};
use global::Global;

/// Sign container images and files without keys, log the signatures, verify them, and admit to a
/// cluster only what the expected workflow signed.
///
/// Commands and flags that Cosign has mean here what they mean there. Every flag of theirs can
/// stand in a variable too: COSIGN_ and its name in capitals.
#[derive(Debug, Parser)]
#[command(
    name = "countersign",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Program {
    #[command(flatten)]
    global: Global,
}

/// What goes for every command, and the command.
#[derive(Debug)]
struct Arguments {
    global: Global,
    command: Command,
}

impl Arguments {
    /// The program with only the command of that name.
    fn command_named(name: &str) -> Option<clap::Command> {
        Some(Program::command().subcommand(Command::named(name)?))
    }

    fn from_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let global = Program::from_arg_matches(matches)?.global;
        Ok(Self { global, command: Command::from_arg_matches(matches)? })
    }
}

impl CommandFactory for Arguments {
    fn command() -> clap::Command {
        Command::augment_subcommands(Program::command())
    }

    fn command_for_update() -> clap::Command {
        Self::command()
    }
}

fn main() -> ExitCode {
    let arguments = std::env::args_os().collect();
    let parsed =
        command_line::parse_called(Arguments::command_named, Arguments::command, arguments)
            .and_then(|(matches, notes)| Ok((Arguments::from_matches(&matches)?, notes)));
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
    let output = arguments.global.redirect()?;
    let outcome = arguments.command.run(&arguments.global);
    let Some(output) = output else { return outcome };
    let exit = outcome.as_ref().map_or_else(Failure::exit, |exit| *exit);
    match (output.end(exit), outcome) {
        (Err(unwritten), Ok(_)) => Err(unwritten),
        (_, outcome) => outcome,
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_alone_is_what_it_is_in_the_whole_program() {
        let whole = command_line::all_spellings(Arguments::command());
        assert!(whole.get_subcommands().count() > 30);
        for command in whole.get_subcommands() {
            let name = command.get_name();
            let only = command_line::all_spellings(Arguments::command_named(name).unwrap());
            // Flags, their values and variables, help, what must be given or not: everything but
            // where among the others it stands.
            let [found, wanted] = [only.find_subcommand(name).unwrap(), command]
                .map(|command| format!("{:#?}", command.clone().display_order(0)));
            assert!(found == wanted, "{name}");
            assert_eq!(only.get_subcommands().count(), 1, "{name}");
            let flags =
                |program: &clap::Command| format!("{:?}", program.get_opts().collect::<Vec<_>>());
            assert_eq!(flags(&only), flags(&whole), "{name}");
            assert!(only.is_subcommand_required_set() && whole.is_subcommand_required_set());
        }
        assert!(Arguments::command_named("help").is_none());
        let about = |program: clap::Command| program.get_about().unwrap().to_string();
        assert!(about(whole).starts_with("Sign container images"));
    }
}

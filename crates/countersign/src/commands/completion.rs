//! `completion`, and `man`: what shells and readers of manuals get from the commands themselves.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::exit::{Exit, Failure};
use crate::{machine, ui};

/// Print the completion script for a shell.
///
/// For bash: `source <(countersign completion bash)`; for zsh and fish, write it to where the shell
/// looks for completions.
#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(self, mut command: Command) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "countersign", &mut script);
        ui::terminal::bytes(&script);
        Ok(Exit::Success)
    }
}

/// Write manual pages, one for each command.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Directory to write them into; without it, the page of the program goes to standard output.
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, mut command: Command) -> Result<Exit, Failure> {
        command.build();
        let Some(directory) = self.dir else {
            ui::terminal::bytes(&page(command));
            return Ok(Exit::Success);
        };
        let cannot = |error: std::io::Error| {
            let message = format!("cannot write manual pages into {}", directory.display());
            Failure::new(Exit::Failure, message).caused_by(error)
        };
        std::fs::create_dir_all(&directory).map_err(cannot)?;
        let mut left = vec![command];
        while let Some(command) = left.pop() {
            let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
            left.extend(command.get_subcommands().filter(|sub| sub.get_name() != "help").cloned());
            machine::replace(&directory.join(format!("{name}.1")), &page(command))
                .map_err(cannot)?;
        }
        Ok(Exit::Success)
    }
}

fn page(command: Command) -> Vec<u8> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).expect("writing into memory does not fail");
    page
}

//! `registry`: what a registry can do, found out by doing it.

use clap::{Args, Subcommand};
use client::registry::TargetRepository;
use client::registry::probe::Conclusion;

use crate::arguments::images::{self, RegistryArguments};
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::ui::{self, Output};
use crate::{machine, runtime};

/// Look at registries.
#[derive(Debug, Args)]
pub(crate) struct RegistryCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Check(Check),
}

/// Find out whether signing works in a repository, and in which formats.
///
/// Pushes small artefacts into the repository, reads them, and removes them again; nothing that was
/// there before is touched, and what cannot be removed is named. Exit code 0: all that signing needs
/// works; 1: something needed does not; 3: could not tell.
#[derive(Debug, Args)]
struct Check {
    /// The repository, as HOST/REPOSITORY, where you may push.
    #[arg(value_name = "REPOSITORY")]
    repository: String,

    /// In which form to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,

    #[command(flatten)]
    registry: RegistryArguments,
}

impl RegistryCommand {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        match self.what {
            What::Check(command) => command.run(global),
        }
    }
}

impl Check {
    fn run(self, global: &Global) -> Result<Exit, Failure> {
        // A repository without tag or digest is what evidence goes to.
        self.repository.parse::<TargetRepository>().map_err(|error| {
            Failure::usage(format!("cannot check `{}`", self.repository.escape_debug()))
                .caused_by(error)
                .hint("name a repository where you may push, as in HOST/REPOSITORY")
        })?;
        let image = images::parse(&self.repository)?;
        runtime::block_on(async {
            let registry = self.registry.open(std::slice::from_ref(&image))?;
            let found = registry.probe(&image, &machine::now, global.deadline()).await;
            match self.output {
                Output::Text => ui::registry::print_text(&image.name(), &found),
                Output::Json => ui::registry::print_json(&image.name(), &found),
            }
            Ok(match found.conclusion() {
                Conclusion::Sign(..) => Exit::Success,
                Conclusion::CannotSign => Exit::Failure,
                Conclusion::CouldNotTell => Exit::Unknown,
            })
        })
    }
}

//! `bundle inspect`: what stands in a bundle, believed by nobody.

use std::path::PathBuf;

use clap::Args;
use evidence::Evidence;
use evidence::bundle::BUNDLE_SIZE_MAX;

use crate::exit::{Exit, Failure};
use crate::machine;
use crate::ui::{self, Output};

/// Show what a bundle says: who signed, what about, logged where, seen when.
///
/// Nothing of it is verified; `verify-blob` and `explain` do that.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The bundle (`-` for standard input).
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,

    /// In which form to print it.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Inspect {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let json = machine::read_some(&self.bundle, "bundle", BUNDLE_SIZE_MAX)?;
        let evidence = Evidence::from_file(&json).map_err(|error| {
            Failure::new(Exit::Usage, format!("{} is no bundle", self.bundle.display()))
                .caused_by(error)
        })?;
        ui::evidence::print(self.output, &evidence);
        Ok(Exit::Success)
    }
}

//! One check: a sentence, and how to find out whether it is true.

use super::bench::Bench;
use super::failure::Failure;
use super::group::Group;

/// How a check is run.
type Run = Box<dyn Fn(&Bench) -> Result<(), Failure>>;

/// One check.
pub(super) struct Check {
    /// Which client it is about.
    pub(super) group: Group,
    /// What it shows.
    pub(super) name: String,
    /// Runs it.
    pub(super) run: Run,
}

impl Check {
    /// A check.
    pub(super) fn new(
        group: Group,
        name: impl Into<String>,
        run: impl Fn(&Bench) -> Result<(), Failure> + 'static,
    ) -> Self {
        Self { group, name: name.into(), run: Box::new(run) }
    }
}

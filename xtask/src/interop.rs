//! The real clients of others against a running instance, both ways: what they sign we verify,
//! what we sign they verify, and what is wrong is refused by both.
//!
//! Every check has a name and either passes, or fails with the reason. A client that is not
//! installed fails its checks when it was asked for by name or with `all`; without, it is named
//! as absent. All programs started here listen on loopback and are ended with this one.

mod bench;
mod check;
mod clients;
mod cosign;
mod exit;
mod failure;
mod group;
mod openssl;
mod pairs;
mod place;
mod process;
mod registry;
mod shelf;
mod trial;
mod tuf;

use std::path::Path;
use std::time::Instant;

pub use bench::BenchError;
pub use group::Group;

use bench::Bench;
use check::Check;

/// Which checks to run.
#[derive(Clone, Debug)]
pub enum Selection {
    /// Every check; an absent client is a failure, unless it is Cosign.
    All,
    /// The checks of one group; an absent client is a failure.
    Group(Group),
    /// Every check whose client is installed.
    Installed,
}

impl Selection {
    /// Reads the argument of `xtask interop`: nothing, `all`, or a group's name.
    #[must_use]
    pub fn parse(argument: Option<&str>) -> Option<Self> {
        match argument {
            None => Some(Self::Installed),
            Some("all") => Some(Self::All),
            Some(name) => Group::parse(name).map(Self::Group),
        }
    }

    /// Whether a client of this group may be absent.
    fn forgives(&self, group: Group) -> bool {
        match self {
            Self::All => !group.is_required(),
            Self::Group(_) => false,
            Self::Installed => true,
        }
    }

    fn wants(&self, group: Group) -> bool {
        match self {
            Self::All | Self::Installed => true,
            Self::Group(wanted) => *wanted == group,
        }
    }
}

/// How many checks ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Passed.
    pub passed: usize,
    /// Failed, absent clients included where they were asked for.
    pub failed: usize,
    /// Not run, because the client is not installed and was not asked for.
    pub absent: usize,
}

/// Runs the checks and prints one line for each, then the count.
///
/// # Errors
/// When the instance itself cannot be started.
pub fn run(root: &Path, selection: &Selection) -> Result<Outcome, BenchError> {
    let bench = Bench::start(root)?;
    let mut outcome = Outcome::default();
    for check in checks().into_iter().filter(|check| selection.wants(check.group)) {
        if let Some(absent) = bench.absent(check.group) {
            if selection.forgives(check.group) {
                outcome.absent += 1;
                println!("absent  {:<10} {}: {absent}", check.group.name(), check.name);
            } else {
                outcome.failed += 1;
                println!("FAILED  {:<10} {}: {absent}", check.group.name(), check.name);
            }
            continue;
        }
        let start = Instant::now();
        let result = (check.run)(&bench);
        let seconds = start.elapsed().as_secs_f64();
        match result {
            Ok(()) => {
                outcome.passed += 1;
                println!("ok      {:<10} {} ({seconds:.1} s)", check.group.name(), check.name);
            }
            Err(failure) => {
                outcome.failed += 1;
                println!("FAILED  {:<10} {} ({seconds:.1} s)", check.group.name(), check.name);
                for line in failure.to_string().lines() {
                    println!("        {line}");
                }
            }
        }
    }
    let Outcome { passed, failed, absent } = outcome;
    println!("interop: {passed} passed, {failed} failed, {absent} absent");
    if failed > 0 {
        println!("what was left behind: {}", bench.keep().display());
    }
    Ok(outcome)
}

/// Every check, in the order they run.
fn checks() -> Vec<Check> {
    let groups =
        [pairs::checks(), registry::checks(), openssl::checks(), tuf::checks(), cosign::checks()];
    groups.into_iter().flatten().collect()
}

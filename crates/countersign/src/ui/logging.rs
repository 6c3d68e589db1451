//! The log of what happens, on standard error. Results never go there.

use std::io::IsTerminal;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::machine;

/// Variable that says what to log: a level, or `target=level` and more with commas between. Nothing
/// here opens spans, so there is none to ask for.
const FILTER_VARIABLE: &str = "COUNTERSIGN_LOG";

/// What is logged unless more is asked for.
const USUAL: &str = "warn";

/// What `--verbose` logs: our own crates in detail, the libraries where they warn.
const VERBOSE: &str = "warn,countersign=debug,client=debug,admission=debug,authority=debug";

/// Starts logging: warnings and errors, unless the flag or the variable says otherwise.
pub(crate) fn start(verbose: bool) {
    let is_terminal = std::io::stderr().is_terminal();
    let lines =
        tracing_subscriber::fmt::layer().with_ansi(is_terminal).with_writer(std::io::stderr);
    let filter = filter(verbose, machine::variable(FILTER_VARIABLE).as_deref());
    tracing_subscriber::registry().with(filter).with(lines).init();
}

/// What the variable says, where it says something that can be understood, else the flag.
fn filter(verbose: bool, variable: Option<&str>) -> Targets {
    let flag = if verbose { VERBOSE } else { USUAL };
    let said = variable.and_then(|text| text.parse().ok());
    said.unwrap_or_else(|| flag.parse().expect("what is built in is well-formed"))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn the_variable_goes_before_the_flag() {
        let (ours, library) = ("client::registry", "hyper::proto");
        for (verbose, variable, of_ours, of_library) in [
            (false, None, Level::WARN, Level::WARN),
            (true, None, Level::DEBUG, Level::WARN),
            (true, Some("error"), Level::ERROR, Level::ERROR),
            (false, Some("info,client=trace"), Level::TRACE, Level::INFO),
            (false, Some("client=perhaps"), Level::WARN, Level::WARN),
        ] {
            let filter = filter(verbose, variable);
            for (target, most) in [(ours, of_ours), (library, of_library)] {
                let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
                let told = levels.into_iter().filter(|level| filter.would_enable(target, level));
                assert_eq!(told.max(), Some(most), "{verbose} {variable:?} {target}");
            }
        }
    }
}

//! The log of what happens, on standard error. Results never go there.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Variable that says what to log, in the syntax of `tracing-subscriber`'s filters.
const FILTER_VARIABLE: &str = "COUNTERSIGN_LOG";

/// What `--verbose` logs: our own crates in detail, the libraries where they warn.
const VERBOSE: &str = "warn,countersign=debug,client=debug,admission=debug,authority=debug";

/// Starts logging: warnings and errors, unless the flag or the variable says otherwise.
pub(crate) fn start(verbose: bool) {
    let usual = if verbose { VERBOSE } else { "warn" };
    let filter = EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new(usual));
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_terminal)
        .with_writer(std::io::stderr)
        .init();
}

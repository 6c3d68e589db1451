//! Progress of long work, on standard error and only on a terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over that many things.
pub(crate) fn bar(verb: &'static str, count: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(count as u64), target());
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}");
    bar.set_style(style.expect("the template is well-formed"));
    bar.set_message(verb);
    bar
}

fn target() -> ProgressDrawTarget {
    if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    }
}

//! Progress of long work, on standard error and only on a terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Files shorter than this are read before anybody could see a bar, in bytes.
const SOON_DONE: u64 = 256 * 1024 * 1024;

/// A bar over that many things.
pub(crate) fn bar(verb: &'static str, count: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(count as u64), target());
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}");
    bar.set_style(style.expect("the template is well-formed"));
    bar.set_message(verb);
    bar
}

/// A bar over the bytes of a file, shown only where it takes a while.
pub(crate) fn bytes(verb: &'static str, size: u64) -> ProgressBar {
    let target = if size < SOON_DONE { ProgressDrawTarget::hidden() } else { target() };
    let bar = ProgressBar::with_draw_target(Some(size), target);
    let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {msg}";
    bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed"));
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

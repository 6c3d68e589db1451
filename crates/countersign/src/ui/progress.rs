//! Progress of long work, on standard error and only on a terminal.

use std::io::IsTerminal;

use client::layout::Progress;
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

/// A bar over the bytes of a transfer, of which it is told on the way how many there are. Shown only
/// where it takes a while.
pub(crate) struct Transfer(ProgressBar);

impl Transfer {
    pub(crate) fn new(verb: &'static str) -> Self {
        Self(bytes(verb, 0))
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Transfer {
    fn expect(&self, bytes: u64) {
        self.0.inc_length(bytes);
        if self.0.length().is_some_and(|length| length >= SOON_DONE) {
            self.0.set_draw_target(target());
        }
    }

    fn moved(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

fn target() -> ProgressDrawTarget {
    if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    }
}

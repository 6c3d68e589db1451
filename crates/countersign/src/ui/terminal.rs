//! Lines to standard output and standard error, without the panic of the standard macros when
//! nobody can take them.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::machine;

/// Prints a line of a result.
macro_rules! println {
    () => { $crate::ui::terminal::line(format_args!("")) };
    ($($argument:tt)*) => { $crate::ui::terminal::line(format_args!($($argument)*)) };
}

/// Prints a line of everything else.
macro_rules! eprintln {
    () => { $crate::ui::terminal::error_line(format_args!("")) };
    ($($argument:tt)*) => { $crate::ui::terminal::error_line(format_args!($($argument)*)) };
}

pub(crate) use {eprintln, println};

/// The file that standard output goes into, if it was sent into one.
static OUTPUT_FILE: OnceLock<PathBuf> = OnceLock::new();

/// Takes note of the file that standard output goes into now.
pub(crate) fn goes_into(path: &Path) {
    // It is sent somewhere once, before anything is printed.
    let _ = OUTPUT_FILE.set(path.to_owned());
}

/// Prints a line of a result. Who closed the pipe has seen enough; a result that cannot be written
/// otherwise ends the process, for nobody has it.
pub(crate) fn line(text: Arguments<'_>) {
    taken(writeln!(anstream::stdout().lock(), "{text}"));
}

/// Prints a document as it is.
pub(crate) fn bytes(document: &[u8]) {
    let mut stdout = io::stdout().lock();
    taken(stdout.write_all(document).and_then(|()| stdout.flush()));
}

/// Prints a line of everything else, if somebody takes it.
pub(crate) fn error_line(text: Arguments<'_>) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

fn taken(written: io::Result<()>) {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            match OUTPUT_FILE.get() {
                Some(path) => super::failure(&machine::cannot_write(path, error)),
                None => error_line(format_args!("error: cannot write to standard output: {error}")),
            }
            std::process::exit(crate::exit::Exit::Failure.code().into());
        }
        _ => {}
    }
}

//! Lines to standard output and standard error, without the panic of the standard macros when
//! nobody can take them.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

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
            error_line(format_args!("error: cannot write to standard output: {error}"));
            std::process::exit(crate::exit::Exit::Failure.code().into());
        }
        _ => {}
    }
}

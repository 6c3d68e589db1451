//! `--output-file`: a result that goes into a file instead of to standard output, whole or not at all.
//!
//! Until the command has ended the result is in a file without a name, which goes away with the process
//! however that ends. Whoever reads the file meanwhile reads the old one.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};
use crate::machine::{self, NewFile};
use crate::ui::terminal;

/// A file that standard output goes into.
pub(crate) enum OutputFile {
    /// A device or a pipe, which is written as the command goes.
    Itself,
    /// A file that is replaced in the end.
    Later { path: PathBuf, file: NewFile, unnamed: File },
}

impl OutputFile {
    /// Sends standard output there. That the file can be written is known now.
    pub(crate) fn redirect(path: &Path) -> Result<Self, Failure> {
        let cannot = |error: io::Error| machine::cannot_write(path, error);
        let (output, to) = match std::fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => {
                let device = File::options().write(true).open(path).map_err(cannot)?;
                (Self::Itself, device)
            }
            _ => {
                let file = NewFile::create(path)?;
                // On the same disk, so that it is known early when that is full.
                let unnamed =
                    tempfile::tempfile_in(file.directory()).or_else(|_| tempfile::tempfile());
                // Its error names a file of which the user knows nothing.
                let unnamed = unnamed.map_err(|error| cannot(error.kind().into()))?;
                let to = unnamed.try_clone().map_err(cannot)?;
                (Self::Later { path: path.to_owned(), file, unnamed }, to)
            }
        };
        rustix::stdio::dup2_stdout(&to).map_err(|error| cannot(error.into()))?;
        terminal::goes_into(path);
        Ok(output)
    }

    /// Puts the result into its place, now that the command has ended. Where a verdict has no result the
    /// file is empty, so that no older verdict is taken for it; where the command has failed and said
    /// nothing the file is what it was.
    pub(crate) fn end(self, exit: Exit) -> Result<(), Failure> {
        let Self::Later { path, file, mut unnamed } = self else { return Ok(()) };
        let cannot = |error: io::Error| machine::cannot_write(&path, error);
        io::stdout().flush().map_err(cannot)?;
        let is_empty = unnamed.metadata().map_err(cannot)?.len() == 0;
        if is_empty && matches!(exit, Exit::Failure | Exit::Usage) {
            return Ok(());
        }
        unnamed.rewind().map_err(cannot)?;
        file.write_from(&mut unnamed)
    }
}

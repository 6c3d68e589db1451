//! What goes for every command: how long, how much to tell, and where to.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use client::Deadline;

use crate::exit::Failure;
use crate::output_file::OutputFile;

/// Time for all requests about one image or file, unless another is given (Cosign's).
const TIMEOUT: Duration = Duration::from_secs(180);

/// Time for moving large content, unless another is given.
const LONG_TIMEOUT: Duration = Duration::from_secs(3600);

/// Flags of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Every command")]
pub(crate) struct Global {
    /// Time for all requests about one image or file, as 90s, 3m or 1m30s; you may take your time
    /// where you are asked something [default: 3m, and 1h where content is moved].
    #[arg(short, long, value_name = "DURATION", value_parser = parse_duration, global = true)]
    timeout: Option<Duration>,

    /// Log what is done, on standard error.
    #[arg(short = 'd', long, global = true)]
    pub(crate) verbose: bool,

    /// Write the result into a file instead of to standard output.
    #[arg(long, value_name = "FILE", global = true)]
    output_file: Option<PathBuf>,
}

impl Global {
    /// When what begins now must have ended.
    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::after(self.timeout.unwrap_or(TIMEOUT))
    }

    /// As [`Self::deadline`], where large content is moved.
    pub(crate) fn long_deadline(&self) -> Deadline {
        Deadline::after(self.timeout.unwrap_or(LONG_TIMEOUT))
    }

    /// Sends standard output into the file that was asked for, if one was.
    pub(crate) fn redirect(&self) -> Result<Option<OutputFile>, Failure> {
        self.output_file.as_deref().map(OutputFile::redirect).transpose()
    }
}

/// A duration as Go writes them.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it as 90s, 3m or 1m30s"))?;
    if duration.is_zero() { Err("it is no time at all".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_in_go() {
        for (text, seconds) in [("3m0s", 180), ("90s", 90), ("1h", 3600), ("1m30s", 90)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "3", "0s", "-1s", "soon"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}

//! Other programs, started without a shell, heard for a bounded time and a bounded number of bytes.
//!
//! What they find in the environment is what our caller was given, not what we happen to have; what
//! lies where we happen to be is nobody's program.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{HelperProblem, printable};
use crate::secret::Secret;

/// Longest message of a program quoted, in characters.
const COMPLAINT_CHARACTERS_MAX: usize = 300;
/// Most that a program may complain before nobody listens any more, in bytes.
const COMPLAINTS_SIZE_MAX: u64 = 16 * 1024 * 1024;

/// A program that ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// What it wrote to standard output.
    pub(crate) output: Zeroizing<Vec<u8>>,
    /// What it wrote to standard error, or the beginning of it.
    pub(crate) errors: Zeroizing<Vec<u8>>,
}

impl Ended {
    /// What it wrote, if it ended well.
    pub(crate) fn output(self) -> Result<Zeroizing<Vec<u8>>, HelperProblem> {
        if self.status.success() { Ok(self.output) } else { Err(self.failure()) }
    }

    /// Why it ended, in its own words. Standard output is not quoted: it may hold half a secret.
    pub(crate) fn failure(&self) -> HelperProblem {
        let said = String::from_utf8_lossy(&self.errors);
        let message = match said.trim() {
            "" => self.status.to_string(),
            said => printable(said, COMPLAINT_CHARACTERS_MAX),
        };
        HelperProblem::Failed { message }
    }
}

/// A program with these variables and no others.
pub(crate) fn command(program: &Path, environment: &Environment) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(environment.iter().map(|(name, value)| (name, value.expose())));
    command
}

/// Runs a program to its end: says the input to it, and listens to both streams, so that none fills
/// up.
pub(crate) async fn run(
    mut command: Command,
    input: &[u8],
    output_size_max: usize,
    end: Deadline,
) -> Result<Ended, HelperProblem> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(broken)?;
    let ended = converse(&mut child, input, output_size_max);
    match tokio::time::timeout_at(end.instant(), ended).await {
        Ok(ended) => ended,
        Err(_) => Err(HelperProblem::TimedOut),
    }
}

/// Who answers too much is ended while we still seem to listen, so that nothing comes of their being
/// interrupted.
async fn converse(child: &mut Child, input: &[u8], max: usize) -> Result<Ended, HelperProblem> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let say = async {
        if let Some(mut stdin) = stdin {
            // A program that does not listen ends before we are done; what it says counts.
            let _ = stdin.write_all(input).await;
        }
        Ok(())
    };
    let mut stdout = stdout;
    let output = async {
        let output = hear(stdout.as_mut(), max).await?;
        if output.len() > max { Err(HelperProblem::TooLong { max }) } else { Ok(output) }
    };
    // A complaint out of all proportion is no reason to end it: the rest is passed over, not refused.
    // Who never ends complaining is not listened to any more.
    let mut stderr = stderr;
    let errors = async {
        let mut errors = hear(stderr.as_mut(), max).await?;
        errors.truncate(max);
        if let Some(stderr) = stderr.take() {
            let mut rest = stderr.take(COMPLAINTS_SIZE_MAX);
            tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.map_err(broken)?;
        }
        Ok(errors)
    };
    let heard = tokio::try_join!(say, output, errors);
    if heard.is_err() {
        // It may have ended by itself, which is as well.
        let _ = child.start_kill();
    }
    let ((), output, errors) = heard?;
    Ok(Ended { status: child.wait().await.map_err(broken)?, output, errors })
}

fn broken(error: io::Error) -> HelperProblem {
    HelperProblem::Run(printable(&error.to_string(), 160))
}

/// Reads to the end, or one byte more than is taken.
async fn hear(
    stream: Option<impl AsyncRead + Unpin>,
    max: usize,
) -> Result<Zeroizing<Vec<u8>>, HelperProblem> {
    let mut heard = Zeroizing::new(Vec::new());
    if let Some(stream) = stream {
        stream.take(max as u64 + 1).read_to_end(&mut heard).await.map_err(broken)?;
    }
    Ok(heard)
}

/// A program of that name, in an absolute directory of the given `PATH`.
pub(crate) fn find(name: &str, environment: &Environment) -> Option<PathBuf> {
    let path = environment.get("PATH").map_or("", Secret::expose);
    let separator = if cfg!(windows) { ';' } else { ':' };
    path.split(separator)
        .map(PathBuf::from)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|program| is_program(program))
}

fn is_program(path: &Path) -> bool {
    let Ok(metadata) = path.metadata() else { return false };
    #[cfg(unix)]
    let executable = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let executable = true;
    metadata.is_file() && executable
}

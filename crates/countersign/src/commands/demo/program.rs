//! This very program as child processes: run to their end, or started as servers.
//!
//! They get no environment but what a step gives them, so that nothing that the user has set
//! (identities, trust roots, registry logins) changes the story. A child is killed when its handle
//! is dropped; and a server stops when this process is gone, even by a `kill -9`, because it holds
//! the other end of its standard input.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use crate::exit::{Exit, Failure};
use crate::ui;
use crate::ui::shell::quote;

/// Time for a command that ends. It takes a fraction of a second; a machine may be busy.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for a server to become ready, keys made included.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Most bytes of a child's output kept, of each stream.
const OUTPUT_SIZE_MAX: u64 = 256 * 1024;
/// Widest command printed on one line, in characters.
const LINE_WIDTH_MAX: usize = 76;
/// What a server prints, before its URL, when it can be used.
const READY: &str = "ready at ";

/// The program and the directory that it is run in.
#[derive(Debug)]
pub(super) struct Program {
    executable: PathBuf,
    directory: PathBuf,
}

/// A command line as a user would type it: words that belong together stand in one group.
#[derive(Clone, Debug)]
pub(super) struct CommandLine(Vec<Vec<String>>);

/// What a command that ended has printed.
#[derive(Debug)]
pub(super) struct Printed {
    command: String,
    stdout: String,
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    /// Where it is reached.
    pub(super) url: String,
}

impl Program {
    /// The program that is running now.
    pub(super) fn this(directory: &Path) -> Result<Self, Failure> {
        let executable = std::env::current_exe().map_err(|error| {
            Failure::new(Exit::Failure, "cannot tell where this program is").caused_by(error)
        })?;
        Ok(Self { executable, directory: directory.to_owned() })
    }

    /// The directory that holds the program, to be put on a PATH.
    pub(super) fn home(&self) -> &Path {
        self.executable.parent().unwrap_or(Path::new("/"))
    }

    /// Runs a command that must succeed.
    pub(super) async fn run(
        &self,
        line: &CommandLine,
        environment: &[(&str, String)],
    ) -> Result<Printed, Failure> {
        let mut child = self.spawn(line, environment, Stdio::null(), Stdio::piped())?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let ended = timeout(COMMAND_TIMEOUT, async {
            tokio::join!(read(stdout), read(stderr), child.wait())
        });
        let Ok((stdout, stderr, status)) = ended.await else {
            let message = format!("`{}` did not end in time", line.name());
            return Err(Failure::new(Exit::Failure, message));
        };
        let status = status.map_err(|error| cannot_run(line).caused_by(error))?;
        if !status.success() {
            ui::demo::printed(&line.on_one_line(), &[&stdout, &stderr]);
            return Err(ended_with(line, status));
        }
        Ok(Printed { command: line.name(), stdout })
    }

    /// Starts a server, and waits until it can be used.
    pub(super) async fn start(&self, line: &CommandLine) -> Result<Server, Failure> {
        let served = line.clone().flag("--stop-with-input");
        let mut child = self.spawn(&served, &[], Stdio::piped(), Stdio::null())?;
        let mut stderr = BufReader::new(child.stderr.take().ok_or_else(|| cannot_run(line))?);
        let mut seen = String::new();
        let url = match timeout(READY_TIMEOUT, ready(&mut stderr, &mut seen)).await {
            Ok(Some(url)) => url,
            Ok(None) => {
                ui::demo::printed(&line.on_one_line(), &[&seen]);
                // It has closed its output, so it has ended or is about to.
                let status = timeout(COMMAND_TIMEOUT, child.wait()).await;
                return Err(match status {
                    Ok(Ok(status)) => ended_with(line, status),
                    _ => cannot_run(line),
                });
            }
            Err(_) => {
                ui::demo::printed(&line.on_one_line(), &[&seen]);
                let message = format!("`{}` was not ready in time", line.name());
                return Err(Failure::new(Exit::Failure, message));
            }
        };
        // What it logs from now on is read, so that it never waits for a reader, and forgotten.
        tokio::spawn(async move { tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await });
        Ok(Server { child, url })
    }

    fn spawn(
        &self,
        line: &CommandLine,
        environment: &[(&str, String)],
        stdin: Stdio,
        stdout: Stdio,
    ) -> Result<Child, Failure> {
        Command::new(&self.executable)
            .args(line.arguments())
            .current_dir(&self.directory)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            // As on the terminal of whoever types the line by hand.
            .env("COSIGN_OUTPUT", "text")
            .stdin(stdin)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| cannot_run(line).caused_by(error))
    }
}

impl Server {
    /// Stops it, and waits until it is gone. Logs survive a kill: what they acknowledged is durable.
    pub(super) async fn stop(mut self) {
        // That it has ended already is as good.
        let _ = self.child.kill().await;
    }
}

impl CommandLine {
    /// A command of this program.
    pub(super) fn new(command: &str) -> Self {
        Self(vec![vec!["countersign".to_owned(), command.to_owned()]])
    }

    /// Adds an option with its value.
    pub(super) fn option(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push(vec![name.to_owned(), value.into()]);
        self
    }

    /// Adds an option without value.
    pub(super) fn flag(mut self, name: &str) -> Self {
        self.0.push(vec![name.to_owned()]);
        self
    }

    /// Adds an argument.
    pub(super) fn argument(self, value: impl Into<String>) -> Self {
        self.flag(&value.into())
    }

    fn arguments(&self) -> impl Iterator<Item = &String> {
        self.0.iter().flatten().skip(1)
    }

    fn name(&self) -> String {
        self.0.first().map(|words| words.join(" ")).unwrap_or_default()
    }

    /// The command as a shell takes it, however long.
    pub(super) fn on_one_line(&self) -> String {
        self.0.iter().map(|group| quote_all(group)).collect::<Vec<_>>().join(" ")
    }
}

/// As a shell takes it, broken where it is long.
impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CONTINUED: &str = " \\";
        const INDENT: &str = "    ";
        let mut column = 0;
        for (index, group) in self.0.iter().enumerate() {
            let text = quote_all(group);
            if index > 0 && column + 1 + text.len() + CONTINUED.len() > LINE_WIDTH_MAX {
                write!(f, "{CONTINUED}\n{INDENT}")?;
                column = INDENT.len();
            } else if index > 0 {
                f.write_str(" ")?;
                column += 1;
            }
            f.write_str(&text)?;
            column += text.len();
        }
        Ok(())
    }
}

fn quote_all(words: &[String]) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

impl Printed {
    /// The first line: what was done.
    pub(super) fn headline(&self) -> &str {
        self.stdout.lines().next().unwrap_or_default()
    }

    /// What the lines with that label say.
    pub(super) fn fields(&self, label: &str) -> impl Iterator<Item = &str> {
        self.stdout.lines().filter_map(move |line| {
            let value = line.trim_start().strip_prefix(label)?;
            value.starts_with("  ").then(|| value.trim())
        })
    }

    /// What the first line with that label says.
    pub(super) fn field(&self, label: &str) -> Result<&str, Failure> {
        self.fields(label).next().ok_or_else(|| {
            let message = format!("`{}` must print `{label}`, but did not", self.command);
            Failure::new(Exit::Failure, message)
        })
    }

    /// Checks what the first line with that label says.
    pub(super) fn expect(&self, label: &str, wanted: &str) -> Result<(), Failure> {
        let found = self.field(label)?;
        if found == wanted {
            return Ok(());
        }
        let message =
            format!("`{}` must print `{label}  {wanted}`, but printed `{found}`", self.command);
        Err(Failure::new(Exit::Failure, message))
    }
}

/// Everything that a stream says, up to a bound. Beyond it the child is cut off.
async fn read(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What was read before an error is what there is to tell.
        let _ = stream.take(OUTPUT_SIZE_MAX).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads until a server says where it is; `None` if it ends before.
async fn ready(stderr: &mut BufReader<ChildStderr>, seen: &mut String) -> Option<String> {
    let mut lines = stderr.take(OUTPUT_SIZE_MAX).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(url) = line.strip_prefix(READY) {
            return Some(url.trim().to_owned());
        }
        seen.push_str(&line);
        seen.push('\n');
    }
    None
}

fn cannot_run(line: &CommandLine) -> Failure {
    Failure::new(Exit::Failure, format!("cannot run `{}`", line.name()))
}

fn ended_with(line: &CommandLine, status: ExitStatus) -> Failure {
    Failure::new(Exit::Failure, format!("`{}` ended with {status}", line.name()))
}

#[cfg(test)]
mod tests {
    use super::{CommandLine, LINE_WIDTH_MAX};

    #[test]
    fn a_long_command_is_broken_between_options() {
        let line = CommandLine::new("verify")
            .option("--trust-config", "instance/public/trust_config.json")
            .option("--certificate-identity", "i".repeat(40))
            .flag("--explain")
            .argument("127.0.0.1:5000/octo-org/app:signed");
        let text = line.to_string();
        assert_eq!(text.replace(" \\\n    ", " "), line.on_one_line());
        assert!(text.lines().count() > 1);
        assert!(text.lines().all(|line| line.len() <= LINE_WIDTH_MAX), "{text}");
    }
}

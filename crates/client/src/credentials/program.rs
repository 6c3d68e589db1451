//! Programs that keep credentials: `docker-credential-NAME`, started without a shell, heard for a
//! bounded time and a bounded number of bytes.
//!
//! The protocol is that of docker-credential-helpers: the server's name on standard input, JSON on
//! standard output. "Not found" is an answer, in words that are part of the protocol; all else that
//! is not credentials is a failure, and a failure is not "anonymous".

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use super::{Basic, Credential};
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{HelperProblem, Unauthorized, printable};
use crate::secret::Secret;

/// Longest answer read, in bytes. Identity tokens have a few kilobytes.
const ANSWER_SIZE_MAX: usize = 256 * 1024;

/// Longest time that a helper may take. Some ask a cloud, none should ask a person.
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long its answer is kept. What it gives may expire, and it does not say when.
pub(super) const KEPT: Duration = Duration::from_secs(5 * 60);

/// Longest name of a helper, in bytes.
const NAME_SIZE_MAX: usize = 64;

/// How helpers say that they have nothing (docker-credential-helpers, `errors.go`).
const NOT_FOUND: [&str; 2] =
    ["credentials not found in native keychain", "no credentials server URL"];

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username")]
    user: String,
    #[serde(rename = "Secret")]
    secret: Secret,
}

#[derive(Serialize)]
struct Stored<'a> {
    #[serde(rename = "ServerURL")]
    server: &'a str,
    #[serde(rename = "Username")]
    user: &'a str,
    #[serde(rename = "Secret")]
    secret: &'a str,
}

/// Asks a helper for the credentials of a server, by one name after the other.
pub(super) async fn ask(
    name: &str,
    servers: &[String],
    environment: &Environment,
    deadline: Deadline,
) -> Result<Option<Credential>, Unauthorized> {
    for server in servers {
        let output = run(name, "get", server.as_bytes(), environment, deadline).await?;
        let Some(json) = output else { continue };
        let Answer { user, secret } =
            crate::json::parse(&json).map_err(|_| failed(name, HelperProblem::Malformed))?;
        if !secret.expose().is_empty() {
            return Ok(Some(Credential::of(Basic { user, password: secret })));
        }
    }
    Ok(None)
}

/// Gives a helper credentials to keep.
pub(super) async fn store(
    name: &str,
    server: &str,
    basic: &Basic,
    environment: &Environment,
    deadline: Deadline,
) -> Result<(), Unauthorized> {
    let stored = Stored { server, user: &basic.user, secret: basic.password.expose() };
    let json = serde_json::to_vec(&stored).expect("text can be written as JSON");
    let json = Zeroizing::new(json);
    run(name, "store", &json, environment, deadline).await.map(|_| ())
}

/// Lets a helper forget a server's credentials.
pub(super) async fn erase(
    name: &str,
    server: &str,
    environment: &Environment,
    deadline: Deadline,
) -> Result<(), Unauthorized> {
    run(name, "erase", server.as_bytes(), environment, deadline).await.map(|_| ())
}

fn failed(name: &str, problem: HelperProblem) -> Unauthorized {
    Unauthorized::Helper { helper: printable(name, NAME_SIZE_MAX), problem }
}

/// What a helper writes; `None` if it says that it has nothing.
async fn run(
    name: &str,
    action: &str,
    input: &[u8],
    environment: &Environment,
    deadline: Deadline,
) -> Result<Option<Zeroizing<Vec<u8>>>, Unauthorized> {
    let failed = |problem| failed(name, problem);
    let program = find(name, environment).map_err(failed)?;
    let mut child = Command::new(program)
        .arg(action)
        // What it finds in the environment is what our caller was given, not what we happen to have.
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value.expose())))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(broken(error)))?;
    let end = deadline.or_after(HELPER_TIMEOUT);
    let heard = tokio::time::timeout_at(end.instant(), converse(&mut child, input)).await;
    let heard = heard.unwrap_or(Err(HelperProblem::TimedOut));
    let (status, output, errors) = heard.map_err(failed)?;
    if status.success() {
        return Ok(Some(output));
    }
    // Helpers write their errors to standard output; what they write may be secret only if they
    // succeed.
    let said = String::from_utf8_lossy(&output);
    if NOT_FOUND.iter().any(|words| said.trim().starts_with(words)) {
        return Ok(None);
    }
    let said = if said.trim().is_empty() { String::from_utf8_lossy(&errors) } else { said };
    Err(failed(HelperProblem::Failed { message: printable(said.trim(), 300) }))
}

type Heard = (std::process::ExitStatus, Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>);

/// Says what there is to say, and listens to both streams, so that none fills up. Who says too much
/// is ended while we still seem to listen, so that nothing comes of their being interrupted.
async fn converse(child: &mut Child, input: &[u8]) -> Result<Heard, HelperProblem> {
    let (stdin, mut stdout, stderr) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let say = async {
        if let Some(mut stdin) = stdin {
            // A helper that does not listen ends before we are done; what it says counts.
            let _ = stdin.write_all(input).await;
        }
        Ok(())
    };
    let output = async {
        let output = hear(stdout.as_mut()).await?;
        let max = ANSWER_SIZE_MAX;
        if output.len() > max { Err(HelperProblem::TooLong { max }) } else { Ok(output) }
    };
    let heard = tokio::try_join!(say, output, hear(stderr));
    if heard.is_err() {
        // It may have ended by itself, which is as well.
        let _ = child.start_kill();
    }
    let ((), output, errors) = heard?;
    Ok((child.wait().await.map_err(broken)?, output, errors))
}

fn broken(error: io::Error) -> HelperProblem {
    HelperProblem::Run(printable(&error.to_string(), 160))
}

/// Reads to the end, or one byte more than is taken.
async fn hear(stream: Option<impl AsyncRead + Unpin>) -> Result<Zeroizing<Vec<u8>>, HelperProblem> {
    let mut heard = Zeroizing::new(Vec::new());
    if let Some(stream) = stream {
        stream.take(ANSWER_SIZE_MAX as u64 + 1).read_to_end(&mut heard).await.map_err(broken)?;
    }
    Ok(heard)
}

/// The helper's program, in a directory of the given `PATH`. Relative directories are passed over:
/// what lies where we happen to be is nobody's helper.
fn find(name: &str, environment: &Environment) -> Result<PathBuf, HelperProblem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > NAME_SIZE_MAX || !name.bytes().all(plain) {
        return Err(HelperProblem::Name);
    }
    let path = environment.get("PATH").map_or("", Secret::expose);
    let separator = if cfg!(windows) { ';' } else { ':' };
    path.split(separator)
        .map(PathBuf::from)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(format!("docker-credential-{name}")))
        .find(|program| is_program(program))
        .ok_or(HelperProblem::NotFound)
}

fn is_program(path: &Path) -> bool {
    let Ok(metadata) = path.metadata() else { return false };
    #[cfg(unix)]
    let executable = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let executable = true;
    metadata.is_file() && executable
}

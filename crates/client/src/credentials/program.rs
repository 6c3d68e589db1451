//! Programs that keep credentials: `docker-credential-NAME`, started without a shell, heard for a
//! bounded time and a bounded number of bytes.
//!
//! The protocol is that of docker-credential-helpers: the server's name on standard input, JSON on
//! standard output. "Not found" is an answer, in words that are part of the protocol; all else that
//! is not credentials is a failure, and a failure is not "anonymous".

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Basic, Credential};
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{HelperProblem, Unauthorized, printable};
use crate::program::{self, Ended};
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
    let mut command = program::command(&find(name, environment).map_err(failed)?, environment);
    command.arg(action);
    let end = deadline.or_after(HELPER_TIMEOUT);
    let ended = program::run(command, input, ANSWER_SIZE_MAX, end).await.map_err(failed)?;
    let Ended { status, output, errors } = ended;
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

/// The helper's program.
fn find(name: &str, environment: &Environment) -> Result<PathBuf, HelperProblem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > NAME_SIZE_MAX || !name.bytes().all(plain) {
        return Err(HelperProblem::Name);
    }
    let name = format!("docker-credential-{name}");
    program::find(&name, environment).ok_or(HelperProblem::NotFound)
}

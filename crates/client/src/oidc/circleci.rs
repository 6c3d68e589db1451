//! CircleCI: its program in every job makes tokens for any audience.
//!
//! CircleCI documentation, "OpenID Connect tokens with custom claims". The tokens in
//! `CIRCLE_OIDC_TOKEN` and `CIRCLE_OIDC_TOKEN_V2` are for the organisation and no other audience; they
//! only tell that this is CircleCI.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use zeroize::Zeroizing;

use super::source::{Source, TokenError};
use super::token::TOKEN_SIZE_MAX;
use crate::error::printable;
use crate::secret::Secret;

const PROGRAM: &str = "circleci run oidc get";

/// Longest time that the program may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How much of its complaints is read, in bytes.
const COMPLAINT_SIZE_MAX: u64 = 4096;

pub(super) async fn offer(source: &Source<'_>) -> Result<Option<Secret>, TokenError> {
    let own = ["CIRCLE_OIDC_TOKEN_V2", "CIRCLE_OIDC_TOKEN"];
    let Some(own) = own.into_iter().find_map(|name| source.variable(name)) else {
        return Ok(None);
    };
    match find(source) {
        Some(program) => run(source, &program).await.map(Some),
        // It is for somebody else, most likely: the reader of the token says what to do.
        None => Ok(Some(own.clone())),
    }
}

/// The program, in an absolute folder of the given `PATH`: what lies where we happen to be is not
/// CircleCI's.
fn find(source: &Source<'_>) -> Option<PathBuf> {
    let path = source.variable("PATH")?.expose();
    let folders = path.split(':').map(Path::new).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join("circleci")).find(|program| program.is_file())
}

async fn run(source: &Source<'_>, program: &Path) -> Result<Secret, TokenError> {
    let failed = |problem: String| TokenError::Program { program: PROGRAM, problem };
    let io = |error: std::io::Error| failed(printable(&error.to_string(), 160));
    let claims = json!({"aud": source.audience}).to_string();
    let mut child = Command::new(program)
        .args(["run", "oidc", "get", "--claims", &claims])
        .env_clear()
        .envs(source.environment.iter().map(|(name, value)| (name, value.expose())))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(io)?;
    let (mut token, mut complaint) = (Zeroizing::new(String::new()), Vec::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let hear = async {
        let size_max = TOKEN_SIZE_MAX as u64 + 2;
        let listen = async {
            match stdout {
                Some(stdout) => stdout.take(size_max).read_to_string(&mut token).await,
                None => Ok(0),
            }
        };
        let heed = async {
            match stderr {
                Some(stderr) => stderr.take(COMPLAINT_SIZE_MAX).read_to_end(&mut complaint).await,
                None => Ok(0),
            }
        };
        let (heard, heeded) = tokio::join!(listen, heed);
        heard.and(heeded)?;
        child.wait().await
    };
    let end = source.deadline.or_after(TIMEOUT);
    let status = match tokio::time::timeout_at(end.instant(), hear).await {
        Ok(status) => status.map_err(io)?,
        Err(_) => return Err(failed("it did not end in time".to_owned())),
    };
    if !status.success() {
        let said = String::from_utf8_lossy(&complaint);
        return Err(failed(format!("{status}: {}", printable(said.trim(), 300))));
    }
    Ok(Secret::new(token.trim().to_owned()))
}

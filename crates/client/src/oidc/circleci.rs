//! CircleCI: its program in every job makes tokens for any audience.
//!
//! CircleCI documentation, "OpenID Connect tokens with custom claims". The tokens in
//! `CIRCLE_OIDC_TOKEN` and `CIRCLE_OIDC_TOKEN_V2` are for the organisation and no other audience; they
//! only tell that this is CircleCI.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::source::{Source, TokenError};
use super::token::TOKEN_SIZE_MAX;
use crate::error::HelperProblem;
use crate::program;
use crate::secret::Secret;

const NAME: &str = "circleci";
const PROGRAM: &str = "circleci run oidc get";

/// Longest time that the program may take.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn is_there(source: &Source<'_>) -> bool {
    own_token(source).is_some()
}

fn own_token<'s>(source: &'s Source<'_>) -> Option<&'s Secret> {
    let names = ["CIRCLE_OIDC_TOKEN_V2", "CIRCLE_OIDC_TOKEN"];
    names.into_iter().find_map(|name| source.variable(name))
}

pub(super) async fn offer(source: &Source<'_>) -> Result<Option<Secret>, TokenError> {
    let Some(own) = own_token(source) else { return Ok(None) };
    match program::find(NAME, source.environment) {
        Some(program) => run(source, &program).await.map(Some),
        // It is for somebody else, most likely: the reader of the token says what to do.
        None => Ok(Some(own.clone())),
    }
}

async fn run(source: &Source<'_>, found: &Path) -> Result<Secret, TokenError> {
    let failed = |problem: HelperProblem| {
        let problem = problem.to_string();
        TokenError::Program { program: PROGRAM, problem }
    };
    let claims = json!({"aud": source.audience}).to_string();
    let mut command = program::command(found, source.environment);
    command.args(["run", "oidc", "get", "--claims", &claims]);
    // A line's end may follow the token.
    let (size_max, end) = (TOKEN_SIZE_MAX + 2, source.deadline.or_after(TIMEOUT));
    let ended = program::run(command, &[], size_max, end).await.map_err(failed)?;
    let token = ended.output().map_err(failed)?;
    let token = std::str::from_utf8(&token).map_err(|_| failed(HelperProblem::Malformed))?;
    Ok(Secret::new(token.trim().to_owned()))
}

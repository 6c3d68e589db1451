//! Buildkite's agent: `POST ENDPOINT/jobs/ID/oidc/tokens` with the agent's own token, answered with
//! `{"token": …}`.
//!
//! buildkite-agent, `api/oidc.go`. The agent's token may do more than sign, so it goes to the
//! endpoint and nowhere else.

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde_json::json;

use super::source::{Source, TokenError, endpoint};
use crate::http::Request;
use crate::secret::Secret;

const TOKEN: &str = "BUILDKITE_AGENT_ACCESS_TOKEN";
const ENDPOINT: &str = "BUILDKITE_AGENT_ENDPOINT";
const JOB: &str = "BUILDKITE_JOB_ID";

#[derive(Deserialize)]
struct Answer {
    token: Secret,
}

pub(super) fn is_there(source: &Source<'_>) -> bool {
    source.variable(TOKEN).is_some()
}

pub(super) async fn offer(source: &Source<'_>) -> Result<Option<Secret>, TokenError> {
    let Some(token) = source.variable(TOKEN) else { return Ok(None) };
    let Some(job) = source.variable(JOB) else {
        return Err(TokenError::NoVariable { provider: "buildkite-agent", variable: JOB });
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !job.expose().bytes().all(plain) {
        return Err(TokenError::BadVariable { variable: JOB, wanted: "a UUID" });
    }
    let base = source.variable(ENDPOINT).map_or(source.places.buildkite.as_str(), Secret::expose);
    let base = base.trim_end_matches('/');
    let url = endpoint(ENDPOINT, &format!("{base}/jobs/{}/oidc/tokens", job.expose()))?;
    let body = json!({"audience": source.audience}).to_string();
    // A token that nobody gets to see is worth nothing, so asking again is harmless.
    let request = Request::new(Method::POST, url)
        .repeatable()
        .authorized(token.to_authorization("Token"))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .body(body);
    let answer: Answer = source.ask(request, "a token in `token`").await?;
    Ok(Some(answer.token))
}

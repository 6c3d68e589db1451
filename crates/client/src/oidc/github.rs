//! GitHub Actions: `GET URL&audience=…` with the job's own token, answered with `{"value": …}`.
//!
//! GitHub documentation, "OpenID Connect reference". Unlike Cosign's, the status counts, and what may
//! pass is asked again.

use serde::Deserialize;

use super::source::{Source, TokenError, endpoint};
use crate::http::Request;
use crate::secret::Secret;

const URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

#[derive(Deserialize)]
struct Answer {
    value: Secret,
}

pub(super) fn is_there(source: &Source<'_>) -> bool {
    source.variable(URL).is_some() && source.variable(TOKEN).is_some()
}

pub(super) async fn offer(source: &Source<'_>) -> Result<Option<Secret>, TokenError> {
    let (Some(url), Some(token)) = (source.variable(URL), source.variable(TOKEN)) else {
        return Ok(None);
    };
    let mut url = endpoint(URL, url.expose())?;
    url.query_pairs_mut().append_pair("audience", source.audience);
    let request =
        Request::get(url, "an identity token", 0).authorized(token.to_authorization("Bearer"));
    let answer: Answer = source.ask(request, "a token in `value`").await?;
    Ok(Some(answer.value))
}

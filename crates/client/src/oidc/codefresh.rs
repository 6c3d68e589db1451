//! Codefresh: `GET URL?audience=…` with the workflow's own token, answered with `{"id_token": …}`.
//!
//! Codefresh documentation, "OpenID Connect": what its step `obtain-oidc-id-token` does. The header
//! holds the token as it is, without a scheme before it.

use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;

use super::source::{Source, TokenError, endpoint};
use crate::http::Request;
use crate::secret::Secret;

const URL: &str = "CF_OIDC_REQUEST_URL";
const TOKEN: &str = "CF_OIDC_REQUEST_TOKEN";

#[derive(Deserialize)]
struct Answer {
    id_token: Secret,
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
    let bad = TokenError::BadVariable { variable: TOKEN, wanted: "what can stand in a header" };
    let mut token = HeaderValue::from_str(token.expose()).map_err(|_| bad)?;
    token.set_sensitive(true);
    // Nothing here is redirected, so the header goes to this URL only.
    let request = Request::get(url, "an identity token", 0).header(AUTHORIZATION, token);
    let answer: Answer = source.ask(request, "a token in `id_token`").await?;
    Ok(Some(answer.id_token))
}

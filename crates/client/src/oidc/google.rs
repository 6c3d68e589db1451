//! Google's cloud: the token of the machine's own service account, or of one that it may act for.
//!
//! Google documentation, "Get an ID token" (metadata service, `format=full`) and
//! `projects.serviceAccounts.generateIdToken`. The metadata service speaks plain HTTP on the machine's
//! own link; an answer that lacks its header is somebody else's.

use std::sync::Arc;
use std::time::Duration;

use evidence::UnixTime;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::json;

use super::source::{Source, TokenError, endpoint, file};
use super::token::TOKEN_SIZE_MAX;
use crate::credentials::NoOffer;
use crate::credentials::cloud::{Clock, google_access_token};
use crate::error::FetchErrorKind;
use crate::http::{Redirects, Request};
use crate::secret::Secret;

const METADATA_HOST: &str = "GCE_METADATA_HOST";
const ACCOUNT: &str = "GOOGLE_SERVICE_ACCOUNT_NAME";
const PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/identity";
const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");

/// Where containers run without a machine that says whose it is.
const SERVERLESS: [&str; 2] = ["K_SERVICE", "CLOUD_RUN_JOB"];

/// How long the metadata service may take: it is on this machine.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Answer {
    token: Secret,
}

/// Whether this is a machine of Google's, by what it says itself, and its own account is meant.
pub(super) fn is_workload(source: &Source<'_>) -> bool {
    let named = source.variable(METADATA_HOST).is_some();
    let serverless = || SERVERLESS.iter().any(|name| source.variable(name).is_some());
    // Acting for another account is what the user wants where one is named.
    !is_impersonator(source) && (named || serverless() || is_googles(source))
}

/// Whether another account is named that this one is to act for.
pub(super) fn is_impersonator(source: &Source<'_>) -> bool {
    source.variable(ACCOUNT).is_some()
}

/// The machine's own account, if this is a machine of Google's and has one. Nobody is asked to find
/// out.
pub(super) async fn workload(source: &Source<'_>) -> Result<Option<Secret>, TokenError> {
    if !is_workload(source) {
        return Ok(None);
    }
    let host = source.variable(METADATA_HOST);
    let host = host.map_or(source.places.google_metadata.as_str(), Secret::expose);
    let wanted = "a host, with a port or without";
    let bad = || TokenError::BadVariable { variable: METADATA_HOST, wanted };
    let mut url: Url = format!("http://{host}{PATH}").parse().map_err(|_| bad())?;
    if url.path() != PATH || url.query().is_some() || !url.username().is_empty() {
        return Err(bad());
    }
    url.query_pairs_mut().append_pair("audience", source.audience).append_pair("format", "full");
    let request = Request::get(url, "an identity token", TOKEN_SIZE_MAX as u64)
        .redirected(Redirects::Refuse)
        .header(FLAVOR, HeaderValue::from_static("Google"));
    let answer = match source.http.send(&request, source.deadline.or_after(TIMEOUT)).await {
        Ok(answer) => answer,
        // A machine that has the name only, such as one that runs on Google's software elsewhere.
        Err(error) if matches!(error.kind(), FetchErrorKind::Unreachable(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // Whoever answers without it is not the metadata service: a captive portal, say.
    if answer.header(FLAVOR) != Some("Google") {
        return Ok(None);
    }
    // There is no account, or it may not do this.
    if matches!(answer.status.as_u16(), 403 | 404) {
        return Ok(None);
    }
    let answer = answer.wanted(&[200])?;
    let malformed = || answer.malformed("a token", "something that is no text");
    let text = std::str::from_utf8(&answer.body).map_err(|_| malformed())?;
    Ok(Some(Secret::new(text.trim().to_owned())))
}

fn is_googles(source: &Source<'_>) -> bool {
    let name = file(&source.places.product_name);
    matches!(name, Ok(Some(name)) if name.expose().starts_with("Google"))
}

/// An account that the one of the environment may act for.
pub(super) async fn impersonate(
    source: &Source<'_>,
    now: UnixTime,
) -> Result<Option<Secret>, TokenError> {
    const PROVIDER: &str = "google-impersonate";
    let Some(account) = source.variable(ACCOUNT) else { return Ok(None) };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    if !account.expose().bytes().all(plain) {
        let wanted = "the address of a service account";
        return Err(TokenError::BadVariable { variable: ACCOUNT, wanted });
    }
    let clock: Clock = Arc::new(move || now);
    let access = google_access_token(source.environment, &clock, source.http, source.deadline);
    let access = access.await.map_err(|error| match error {
        NoOffer::Unusable(source) => TokenError::Credentials { provider: PROVIDER, source },
        NoOffer::Fetch(error) => TokenError::Fetch(error),
    })?;
    let access = access.ok_or(TokenError::NoVariable {
        provider: PROVIDER,
        variable: "GOOGLE_APPLICATION_CREDENTIALS",
    })?;
    let base = source.places.google_credentials.trim_end_matches('/');
    let url = format!("{base}/v1/projects/-/serviceAccounts/{}:generateIdToken", account.expose());
    let body = json!({"audience": source.audience, "includeEmail": true}).to_string();
    let request = Request::new(Method::POST, endpoint(ACCOUNT, &url)?)
        .repeatable()
        .authorized(access.to_authorization("Bearer"))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .body(body);
    let answer: Answer = source.ask(request, "a token in `token`").await?;
    Ok(Some(answer.token))
}

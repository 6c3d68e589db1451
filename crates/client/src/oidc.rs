//! Who we are to an authority: an identity token, given or found where CI systems offer one.
//!
//! Tokens are read only as far as we have to know what they claim; whether a token is genuine is
//! the authority's question. Interactive logins and other CI systems are not spoken yet.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use evidence::UnixTime;
use reqwest::header::{ACCEPT, HeaderValue};
use serde::Deserialize;

use crate::address::{self, BadUrl};
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::FetchError;
use crate::http::{Http, Redirects, Request};
use crate::json;
use crate::secret::Secret;

/// Longest token taken, in bytes: GitHub's have about 1,600, and servers limit headers to 16 KiB.
pub const TOKEN_SIZE_MAX: usize = 16 * 1024;

/// The audience of tokens for Sigstore authorities.
pub const AUDIENCE: &str = "sigstore";

/// Where a token is put by hand, and by GitLab's `id_tokens`.
const TOKEN: &str = "SIGSTORE_ID_TOKEN";

/// Where GitHub Actions says how to get one.
const GITHUB_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const GITHUB_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
const GITHUB: &str = "GITHUB_ACTIONS";

/// Longest answer of a token endpoint read, in bytes.
const ANSWER_SIZE_MAX: u64 = 64 * 1024;

/// A token that claims who we are. Unverified, and secret while it is valid.
#[derive(Clone, Debug)]
pub struct IdentityToken {
    token: Secret,
    claims: Claims,
}

#[derive(Clone, Debug, Deserialize)]
struct Claims {
    #[serde(rename = "iss")]
    issuer: String,
    #[serde(rename = "sub")]
    subject: String,
    #[serde(default)]
    email: Option<String>,
    #[serde(default, rename = "exp")]
    expires: Option<serde_json::Number>,
}

/// Why text is no identity token. The text is not quoted: it is secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTokenError {
    /// Longer than [`TOKEN_SIZE_MAX`].
    #[error("an identity token of {found} bytes is longer than the {TOKEN_SIZE_MAX} taken")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// Not three parts with dots between them (RFC 7515 §7.1).
    #[error("wanted three parts with dots between them (a JWT)")]
    NotThreeParts,
    /// A part is not base64.
    #[error("wanted base64url without padding in every part")]
    NotBase64,
    /// The claims are not JSON with issuer and subject.
    #[error("wanted claims in JSON with `iss` and `sub`")]
    BadClaims,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Nobody offers one.
    #[error(
        "no identity token: none was given, {TOKEN} is not set, and this is not GitHub Actions"
    )]
    Absent,
    /// In GitHub Actions, but without the permission.
    #[error("no identity token: the GitHub Actions job may not request one")]
    NotPermitted,
    /// What was given is no token.
    #[error("the identity token from {from}")]
    Malformed {
        /// Where it came from.
        from: &'static str,
        /// What is wrong.
        source: ParseTokenError,
    },
    /// The endpoint is none that may be asked.
    #[error("the token endpoint in {GITHUB_URL}")]
    Endpoint(#[source] BadUrl),
    /// The endpoint could not be asked.
    #[error("no identity token from GitHub Actions")]
    Fetch(#[from] FetchError),
}

impl TokenError {
    /// What can be done about it, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Absent => Some(format!("pass an identity token, or set {TOKEN}")),
            Self::NotPermitted => Some("give the job `permissions: id-token: write`".to_owned()),
            Self::Fetch(error) => error.hint(),
            Self::Malformed { .. } | Self::Endpoint(_) => None,
        }
    }
}

impl IdentityToken {
    /// Reads a token's claims, without verifying any.
    ///
    /// # Errors
    /// When it is no token.
    pub fn parse(token: Secret) -> Result<Self, ParseTokenError> {
        let text = token.expose().trim();
        if text.len() > TOKEN_SIZE_MAX {
            return Err(ParseTokenError::TooLong { found: text.len() });
        }
        let mut parts = text.splitn(4, '.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ParseTokenError::NotThreeParts);
        };
        let decode =
            |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| ParseTokenError::NotBase64);
        decode(header)?;
        decode(signature)?;
        let claims = json::parse(&decode(claims)?).map_err(|_| ParseTokenError::BadClaims)?;
        let token = Secret::new(text.to_owned());
        Ok(Self { token, claims })
    }

    /// Who issued it, as it claims.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.claims.issuer
    }

    /// Whom it is about, as it claims.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.claims.subject
    }

    /// That one's mail address, if it claims one.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.claims.email.as_deref()
    }

    /// When it ends, as it claims.
    #[must_use]
    pub fn expires(&self) -> Option<UnixTime> {
        // A time with a fraction is allowed (RFC 7519 §2).
        let seconds = self.claims.expires.as_ref()?;
        let whole = seconds.as_i64().or_else(|| Some(seconds.as_f64()?.floor() as i64))?;
        Some(UnixTime::from_seconds(whole))
    }

    pub(crate) fn to_authorization(&self) -> HeaderValue {
        let header = self.token.to_authorization("Bearer");
        header.expect("base64url and dots can stand in a header")
    }
}

/// Finds a token for an audience: the one given, that in `SIGSTORE_ID_TOKEN`, or one from GitHub
/// Actions, in this order.
///
/// # Errors
/// When there is none, or the first one found is none.
pub async fn find_token(
    given: Option<Secret>,
    environment: &Environment,
    http: &Http,
    audience: &str,
    deadline: Deadline,
) -> Result<IdentityToken, TokenError> {
    let parse = |from, token| {
        IdentityToken::parse(token).map_err(|source| TokenError::Malformed { from, source })
    };
    if let Some(token) = given {
        return parse("the caller", token);
    }
    if let Some(token) = environment.get(TOKEN) {
        return parse(TOKEN, token.clone());
    }
    match (environment.get(GITHUB_URL), environment.get(GITHUB_TOKEN)) {
        (Some(url), Some(token)) => {
            parse("GitHub Actions", ask_github(url, token, http, audience, deadline).await?)
        }
        _ if environment.get(GITHUB).is_some() => Err(TokenError::NotPermitted),
        _ => Err(TokenError::Absent),
    }
}

/// GitHub documentation, "OpenID Connect in cloud providers": `GET URL&audience=…` with the job's
/// own token, answered with `{"value": …}`.
async fn ask_github(
    url: &Secret,
    token: &Secret,
    http: &Http,
    audience: &str,
    deadline: Deadline,
) -> Result<Secret, TokenError> {
    #[derive(Deserialize)]
    struct Answer {
        value: Secret,
    }
    let mut url = address::parse(url.expose()).map_err(TokenError::Endpoint)?;
    url.query_pairs_mut().append_pair("audience", audience);
    let request = Request::get(url, "an identity token", ANSWER_SIZE_MAX)
        .redirected(Redirects::Refuse)
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .authorized(token.to_authorization("Bearer"));
    let answer = http.send(&request, deadline).await?.wanted(&[200])?;
    match json::parse::<Answer>(&answer.body) {
        Ok(Answer { value }) => Ok(value),
        // The parser's message could quote the token.
        Err(_) => Err(answer.malformed("a token in `value`", "something else").into()),
    }
}

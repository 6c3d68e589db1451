//! Logging in at an identity provider, by browser, on another device, or as a program.
//!
//! OpenID Connect Core 1.0 §3.1, RFC 7636 (PKCE, always S256), RFC 8252 (loopback redirection), RFC
//! 8628 (devices). The ID token comes over TLS from the token endpoint itself, so its signature is
//! not verified here (Core §3.1.3.7 item 6): the authority verifies it, and a token that it does not
//! take is worth nothing to anybody. What only we can know is checked: that it was issued for this
//! login (`nonce`), by this issuer, for this client, and with this access token (`at_hash`).
//!
//! Opening a browser and talking to the person is the caller's: see [`Person`].

mod browser;
mod device;
mod discovery;
mod listener;
mod problem;
mod program;

use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto::{Hash, HashAlgorithm};
use evidence::UnixTime;
use futures::future::BoxFuture;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;

use super::token::IdentityToken;
use crate::address::{self, ServiceUrl};
use crate::deadline::Deadline;
use crate::error::printable;
use crate::http::{Http, Request};
use crate::json;
use crate::secret::Secret;

pub use problem::LoginError;

use discovery::Issuer;

/// How long a person may take in the browser (Cosign's).
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What is asked for: an ID token with a mail address.
const SCOPE: &str = "openid email";

/// Longest answer of an issuer read, in bytes.
const ANSWER_SIZE_MAX: u64 = 256 * 1024;

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Where to log in, and as what.
#[derive(Clone, Debug)]
pub struct Login {
    /// The issuer, as its tokens name it.
    pub issuer: ServiceUrl,
    /// The client: whom the token is for.
    pub client_id: String,
    /// The client's secret, if it has one.
    pub client_secret: Option<Secret>,
    /// Where the browser comes back to, if not to any free port: `http://localhost:PORT/PATH`.
    pub redirect: Option<ServiceUrl>,
    /// The provider behind the issuer, for Dex: then it does not ask which.
    pub connector: Option<String>,
    /// How long the person may take in the browser.
    pub patience: Duration,
}

/// Who logs in, as the caller can reach them.
pub trait Person: Send + Sync {
    /// Opens a page in the person's browser.
    ///
    /// # Errors
    /// When there is no browser.
    fn open(&self, page: &str) -> io::Result<()>;

    /// Tells something.
    fn tell(&self, words: &Words<'_>);

    /// Asks for the code that a page shows.
    fn code(&self) -> BoxFuture<'_, io::Result<String>>;

    /// Waits before the issuer is asked again.
    fn wait(&self, time: Duration) -> BoxFuture<'_, ()>;
}

/// What a person is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words<'a> {
    /// A browser was opened with this page.
    Opened {
        /// The page.
        page: &'a str,
    },
    /// No browser could be opened: the person should go there, and type the code that it shows.
    GoTo {
        /// The page.
        page: &'a str,
    },
    /// The person should open this page on any device, and confirm or type the code.
    Confirm {
        /// The page.
        page: &'a str,
        /// The code.
        code: &'a str,
        /// How long it is valid.
        valid: Duration,
    },
}

/// A proof key (RFC 7636 §4).
struct ProofKey {
    verifier: Secret,
    challenge: String,
}

/// What a token endpoint answers (RFC 6749 §5).
#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    id_token: Option<Secret>,
    #[serde(default)]
    access_token: Option<Secret>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    error_description: Option<String>,
}

impl Login {
    /// The usual login at an issuer, as Sigstore's public client.
    #[must_use]
    pub fn new(issuer: ServiceUrl) -> Self {
        Self {
            issuer,
            client_id: super::AUDIENCE.to_owned(),
            client_secret: None,
            redirect: None,
            connector: None,
            patience: PATIENCE,
        }
    }

    /// Asks the token endpoint; `Err` holds what it says against it.
    async fn ask_for_token(
        &self,
        issuer: &Issuer,
        form: &[(&str, &str)],
        http: &Http,
        deadline: Deadline,
    ) -> Result<Result<TokenAnswer, Objection>, LoginError> {
        let mut fields = vec![("client_id", self.client_id.as_str())];
        fields.extend(self.client_secret.iter().map(|secret| ("client_secret", secret.expose())));
        fields.extend_from_slice(form);
        let request = Request::new(Method::POST, issuer.token_endpoint.clone())
            .wanting("a token", ANSWER_SIZE_MAX)
            .header(CONTENT_TYPE, FORM)
            .header(ACCEPT, JSON)
            .body(address::form(fields));
        let answer = http.send(&request, deadline).await?;
        match json::parse::<TokenAnswer>(&answer.body) {
            Ok(TokenAnswer { error: Some(code), error_description, .. }) => {
                Ok(Err(Objection::new(&code, error_description.as_deref())))
            }
            Ok(found) if answer.status.is_success() => Ok(Ok(found)),
            // The answer is not quoted: it may hold a token.
            Err(_) if answer.status.is_success() => {
                Err(answer.malformed("a token answer", "something else").into())
            }
            _ => Err(answer.refusal().into()),
        }
    }

    /// The ID token of an answer, checked as far as only we can.
    fn accept(
        &self,
        answer: TokenAnswer,
        nonce: Option<&str>,
        now: UnixTime,
    ) -> Result<IdentityToken, LoginError> {
        let token = answer.id_token.ok_or(LoginError::NoIdToken)?;
        let token = IdentityToken::parse(token)?;
        let issuer = self.issuer.to_string();
        if token.issuer().trim_end_matches('/') != issuer {
            let found = printable(token.issuer(), 160);
            return Err(LoginError::OtherIssuer { wanted: issuer, found });
        }
        token.check(&self.client_id, now)?;
        if let Some(nonce) = nonce
            && token.nonce() != Some(nonce)
        {
            return Err(LoginError::OtherNonce);
        }
        let algorithm = algorithm_of(&token)?;
        if let (Some(wanted), Some(access)) = (token.access_token_hash(), &answer.access_token)
            && wanted != half_hash(algorithm, access.expose())
        {
            return Err(LoginError::OtherAccessToken);
        }
        if token.email().is_some() && !token.email_is_verified() {
            return Err(LoginError::EmailNotVerified);
        }
        Ok(token)
    }
}

/// What an issuer says against a request (RFC 6749 §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Objection {
    code: String,
    description: String,
}

impl Objection {
    fn new(code: &str, description: Option<&str>) -> Self {
        let description = printable(description.unwrap_or_default(), 300);
        Self { code: printable(code, 64), description }
    }
}

impl From<Objection> for LoginError {
    fn from(Objection { code, description }: Objection) -> Self {
        Self::Refused { code, description }
    }
}

impl ProofKey {
    fn generate() -> Self {
        let verifier = unpredictable();
        let challenge = URL_SAFE_NO_PAD.encode(crypto::sha256(verifier.as_bytes()));
        Self { verifier: Secret::new(verifier), challenge }
    }
}

/// 256 unpredictable bits, in text that can stand anywhere: 43 characters, as RFC 7636 §4.1 wants.
fn unpredictable() -> String {
    URL_SAFE_NO_PAD.encode(crypto::random::bytes::<32>())
}

/// The hash that belongs to a token's algorithm (Core §3.1.3.6).
fn algorithm_of(token: &IdentityToken) -> Result<HashAlgorithm, LoginError> {
    #[derive(Deserialize)]
    struct Header {
        alg: String,
    }
    let bytes = URL_SAFE_NO_PAD.decode(token.header()).unwrap_or_default();
    let found = json::parse(&bytes).map_or_else(|_| String::new(), |Header { alg }| alg);
    match found.as_str() {
        "RS256" | "ES256" | "PS256" => Ok(HashAlgorithm::Sha256),
        "RS384" | "ES384" | "PS384" => Ok(HashAlgorithm::Sha384),
        "RS512" | "ES512" | "PS512" | "EdDSA" => Ok(HashAlgorithm::Sha512),
        // `none`, and everything that the issuer shares a secret for.
        _ => Err(LoginError::Algorithm { found: printable(&found, 32) }),
    }
}

/// The left half of a hash (Core §3.1.3.6).
fn half_hash(algorithm: HashAlgorithm, token: &str) -> String {
    let hash = Hash::of(algorithm, token.as_bytes());
    let bytes = hash.as_bytes();
    URL_SAFE_NO_PAD.encode(&bytes[..bytes.len() / 2])
}

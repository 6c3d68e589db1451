//! Google's registries: an access token of the machine or of a key file, as a password.
//!
//! "Configure authentication to Artifact Registry for Docker" (user `oauth2accesstoken`), "Using
//! OAuth 2.0 for server to server applications" (RFC 7523), and the metadata service of Compute
//! Engine. A key file given as a password (`_json_key`) needs nothing from here; it is an ordinary
//! login, and sends the private key to the registry, which this does not.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto::{KeyPair, Message, Scheme, Signer};
use evidence::RegistryHost;
use reqwest::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::json;

use super::{Context, fresh, get, post};
use crate::credentials::{Basic, Credential, NoOffer, Offer};
use crate::secret::Secret;

/// The user under whose name an access token is a password.
const USER: &str = "oauth2accesstoken";

/// Where Google gives tokens for keys. Key files name it too; what else they name is refused.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

const METADATA_HOST: &str = "metadata.google.internal";
const METADATA_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// What is asked for: Artifact Registry knows no narrower scope that allows to push.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// How long our own assertion serves, in seconds (Google takes up to an hour).
const ASSERTION_LIFETIME_S: i64 = 600;

/// Registries of Container Registry.
const GCR_HOSTS: [&str; 5] =
    ["gcr.io", "us.gcr.io", "eu.gcr.io", "asia.gcr.io", "marketplace.gcr.io"];

/// Whether a host is one of Google's registries: those above and `LOCATION-docker.pkg.dev`.
pub(super) fn is_registry(host: &RegistryHost) -> bool {
    let host = host.as_str();
    let location = host.strip_suffix("-docker.pkg.dev");
    let is_location = |location: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !location.is_empty() && location.bytes().all(plain)
    };
    GCR_HOSTS.contains(&host) || location.is_some_and(is_location)
}

#[derive(Deserialize)]
struct AccessToken {
    access_token: Secret,
    #[serde(default)]
    expires_in: Option<u64>,
}

/// A file that `GOOGLE_APPLICATION_CREDENTIALS` names.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum KeyFile {
    ServiceAccount {
        client_email: String,
        private_key: Secret,
        #[serde(default)]
        private_key_id: Option<String>,
        token_uri: String,
    },
    AuthorizedUser {
        client_id: String,
        client_secret: Secret,
        refresh_token: Secret,
    },
    #[serde(other)]
    Other,
}

pub(super) async fn offer(context: &Context<'_>) -> Result<Offer, NoOffer> {
    let token = find(context).await?;
    Ok(token.map(|AccessToken { access_token, expires_in }| {
        let basic = Basic { user: USER.to_owned(), password: access_token };
        fresh(Credential::Basic(basic), expires_in.map(Duration::from_secs))
    }))
}

/// An access token, for what is not a registry.
pub(super) async fn access_token(context: &Context<'_>) -> Result<Option<Secret>, NoOffer> {
    Ok(find(context).await?.map(|token| token.access_token))
}

async fn find(context: &Context<'_>) -> Result<Option<AccessToken>, NoOffer> {
    match context.variable("GOOGLE_APPLICATION_CREDENTIALS") {
        Some(path) => key_file(context, path).await.map(Some),
        None => metadata(context).await,
    }
}

async fn metadata(context: &Context<'_>) -> Result<Option<AccessToken>, NoOffer> {
    let host = context.variable("GCE_METADATA_HOST").unwrap_or(METADATA_HOST);
    let url =
        context.url("a host in GCE_METADATA_HOST", &format!("http://{host}{METADATA_PATH}"))?;
    let flavor = HeaderName::from_static("metadata-flavor");
    let request =
        get(url, "an access token").header(flavor.clone(), HeaderValue::from_static("Google"));
    let Some(answer) = context.ask_metadata(request).await? else { return Ok(None) };
    // Whoever answers without it is not the metadata service: a captive portal, say.
    if answer.header(flavor) != Some("Google") {
        return Ok(None);
    }
    Ok(Some(context.read(&answer, "an access token")?))
}

async fn key_file(context: &Context<'_>, path: &str) -> Result<AccessToken, NoOffer> {
    let wanted = "a key file of Google's";
    let text = context.file(wanted, path)?;
    // What it holds is not quoted: it is secret.
    let file: KeyFile = crate::json::parse(text.expose().as_bytes()).map_err(|error| {
        context.unusable(wanted, format!("{path}: {:?} error", error.classify()))
    })?;
    let url = context.url("Google's token service", TOKEN_URL)?;
    let what = "an access token";
    let request = match &file {
        KeyFile::ServiceAccount { client_email, private_key, private_key_id, token_uri } => {
            if token_uri != TOKEN_URL {
                return Err(context.unusable("https://oauth2.googleapis.com/token", token_uri));
            }
            let key = KeyPair::from_pem(private_key.expose().as_bytes())
                .map_err(|error| context.unusable("a private key in PKCS #8", error.to_string()))?;
            let assertion = assertion(context, client_email, private_key_id.as_deref(), &key)?;
            let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
            post(url, what, [("grant_type", grant), ("assertion", assertion.expose())])
        }
        KeyFile::AuthorizedUser { client_id, client_secret, refresh_token } => {
            let form = [
                ("grant_type", "refresh_token"),
                ("client_id", client_id.as_str()),
                ("client_secret", client_secret.expose()),
                ("refresh_token", refresh_token.expose()),
            ];
            post(url, what, form)
        }
        KeyFile::Other => {
            let wanted = "a key file of the type service_account or authorized_user";
            return Err(context.unusable(wanted, "another type"));
        }
    };
    let answer = context.ask(request).await?;
    Ok(context.read(&answer, what)?)
}

/// A token by which a key's holder asks for an access token (RFC 7523 §2.1).
fn assertion(
    context: &Context<'_>,
    email: &str,
    key_id: Option<&str>,
    key: &KeyPair,
) -> Result<Secret, NoOffer> {
    let now = context.now().seconds();
    let mut header = json!({ "alg": "RS256", "typ": "JWT" });
    if let Some(id) = key_id {
        header["kid"] = id.into();
    }
    let claims = json!({
        "iss": email,
        "scope": SCOPE,
        "aud": TOKEN_URL,
        "iat": now,
        "exp": now + ASSERTION_LIFETIME_S,
    });
    let encode = |json: &serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let signature = key
        .sign(Scheme::RsaPkcs1Sha256, Message::Bytes(signed.as_bytes()))
        .map_err(|error| context.unusable("an RSA key", error.to_string()))?;
    Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_googles_hosts_are_googles() {
        let is = |host: &str| host.parse().is_ok_and(|host| is_registry(&host));
        for host in ["gcr.io", "eu.gcr.io", "us-docker.pkg.dev", "europe-west1-docker.pkg.dev"] {
            assert!(is(host), "{host}");
        }
        for host in [
            "cr.io",
            "xgcr.io",
            "evil.gcr.io",
            "gcr.io.evil.example",
            "gcr.io:5000",
            "docker.pkg.dev",
            "-docker.pkg.dev",
            "us-docker.pkg.dev.evil.example",
            "evil.us-docker.pkg.dev",
            "us-docker.pkg.dev:444",
            "us-npm.pkg.dev",
            "registry.google.com",
        ] {
            assert!(!is(host), "{host}");
        }
    }
}

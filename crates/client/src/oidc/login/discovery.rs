//! What an issuer says about itself: OpenID Connect Discovery 1.0 §4.

use reqwest::Url;
use serde::Deserialize;

use super::{ANSWER_SIZE_MAX, JSON, Login, LoginError};
use crate::address::{self, ServiceUrl};
use crate::deadline::Deadline;
use crate::error::printable;
use crate::http::{Http, Redirects, Request};
use crate::json;

/// An issuer, as far as a login needs it.
pub(super) struct Issuer {
    pub(super) token_endpoint: Url,
    authorization_endpoint: Option<Url>,
    device_authorization_endpoint: Option<Url>,
    has_proof_keys: bool,
}

#[derive(Deserialize)]
struct IssuerJson {
    issuer: String,
    token_endpoint: Option<String>,
    authorization_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
}

impl Issuer {
    /// Asks an issuer about itself.
    pub(super) async fn discover(
        login: &Login,
        http: &Http,
        deadline: Deadline,
    ) -> Result<Self, LoginError> {
        let url = login.issuer.join(".well-known/openid-configuration");
        // Whoever could redirect this could name the endpoints.
        let request = Request::get(url, "the identity provider's configuration", ANSWER_SIZE_MAX)
            .redirected(Redirects::Refuse)
            .header(reqwest::header::ACCEPT, JSON);
        let answer = http.send(&request, deadline).await?.wanted(&[200])?;
        let found: IssuerJson = json::parse(&answer.body).map_err(|error| {
            answer.malformed("the identity provider's configuration", error.to_string())
        })?;
        let wanted = login.issuer.to_string();
        if found.issuer.trim_end_matches('/') != wanted {
            let found = printable(&found.issuer, 160);
            return Err(LoginError::OtherConfiguration { wanted, found });
        }
        let endpoint = |name, text| endpoint(&login.issuer, name, text);
        let token_endpoint = endpoint("token_endpoint", found.token_endpoint)?;
        let authorization_endpoint =
            endpoint("authorization_endpoint", found.authorization_endpoint)?;
        let device_authorization_endpoint =
            endpoint("device_authorization_endpoint", found.device_authorization_endpoint)?;
        // Microsoft's has them without saying so.
        let microsoft = ["login.microsoftonline.com", "login.microsoftonline.us"];
        let is_microsofts = |host: &str| microsoft.contains(&host);
        let has_proof_keys = found.code_challenge_methods_supported.iter().any(|is| is == "S256")
            || login.issuer.as_url().host_str().is_some_and(is_microsofts);
        Ok(Self {
            token_endpoint: token_endpoint
                .ok_or(LoginError::NoEndpoint { name: "token_endpoint" })?,
            authorization_endpoint,
            device_authorization_endpoint,
            has_proof_keys,
        })
    }

    /// Where a browser goes.
    pub(super) fn authorization_endpoint(&self) -> Result<&Url, LoginError> {
        self.guarded("authorization_endpoint", self.authorization_endpoint.as_ref())
    }

    /// Where a device asks for a code.
    pub(super) fn device_authorization_endpoint(&self) -> Result<&Url, LoginError> {
        let endpoint = self.device_authorization_endpoint.as_ref();
        self.guarded("device_authorization_endpoint", endpoint)
    }

    /// Without proof keys, whoever catches the code has the token.
    fn guarded<'a>(
        &self,
        name: &'static str,
        endpoint: Option<&'a Url>,
    ) -> Result<&'a Url, LoginError> {
        let endpoint = endpoint.ok_or(LoginError::NoEndpoint { name })?;
        if self.has_proof_keys { Ok(endpoint) } else { Err(LoginError::NoProofKeys) }
    }
}

/// An endpoint that an issuer names: no less secure than the issuer.
fn endpoint(
    issuer: &ServiceUrl,
    name: &'static str,
    text: Option<String>,
) -> Result<Option<Url>, LoginError> {
    let Some(text) = text else { return Ok(None) };
    let url = address::parse(&text).map_err(|source| LoginError::Endpoint { name, source })?;
    if issuer.as_url().scheme() == "https" && url.scheme() != "https" {
        return Err(LoginError::Downgrade { name });
    }
    Ok(Some(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another program on this machine is not the issuer.
    #[test]
    fn an_issuer_on_https_has_no_endpoint_on_loopback() {
        let of = |issuer: &str, text: &str| {
            let issuer = issuer.parse().expect("a URL");
            endpoint(&issuer, "token_endpoint", Some(text.to_owned()))
        };
        let local = "http://127.0.0.1:8080/token";
        assert!(matches!(of("https://i.example", local), Err(LoginError::Downgrade { .. })));
        assert!(matches!(of("http://127.0.0.1:1", local), Ok(Some(_))));
        assert!(matches!(of("https://i.example", "https://t.example"), Ok(Some(_))));
    }
}

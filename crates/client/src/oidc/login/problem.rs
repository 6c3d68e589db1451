//! Why nobody is logged in.

use std::io;

use crate::address::BadUrl;
use crate::error::FetchError;
use crate::oidc::token::{ParseTokenError, Unfit};

/// Why nobody is logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The issuer could not be asked.
    #[error("the identity provider")]
    Fetch(#[from] FetchError),
    /// The document at the issuer's URL is another's.
    #[error("wanted the configuration of the identity provider {wanted}, found that of {found}")]
    OtherConfiguration {
        /// The issuer asked.
        wanted: String,
        /// Whose it says it is.
        found: String,
    },
    /// The issuer names an endpoint that is not asked.
    #[error("the identity provider's `{name}`")]
    Endpoint {
        /// Which.
        name: &'static str,
        /// What is wrong.
        source: BadUrl,
    },
    /// The issuer speaks HTTPS and names an endpoint that does not.
    #[error("the identity provider's `{name}` is not an https URL, as its own is")]
    Downgrade {
        /// Which.
        name: &'static str,
    },
    /// The issuer has no such endpoint.
    #[error("the identity provider has no `{name}`")]
    NoEndpoint {
        /// Which.
        name: &'static str,
    },
    /// The issuer does not protect logins by proof keys.
    #[error("the identity provider does not support proof keys (PKCE with S256)")]
    NoProofKeys,
    /// No client secret, where one is needed.
    #[error("a login as a program needs a client secret")]
    NoSecret,
    /// Nothing can listen where the browser should come back to.
    #[error("nothing can listen at {address}")]
    Listen {
        /// Where.
        address: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// A redirection that is not to this machine.
    #[error("the browser must come back to http://localhost:PORT/PATH, not to {found}")]
    Redirect {
        /// What is configured.
        found: String,
    },
    /// The browser came back with another login's state: somebody meddles.
    #[error("the browser came back from another login than ours")]
    OtherState,
    /// The browser did not come back.
    #[error("nobody logged in within {seconds} s")]
    TimedOut {
        /// How long was waited.
        seconds: u64,
    },
    /// Too many requests that were none of a login.
    #[error("too many other requests came while waiting for the browser")]
    Disturbed,
    /// The person typed nothing.
    #[error("no code was given")]
    NoCode(#[source] Option<io::Error>),
    /// The issuer refuses.
    #[error("the identity provider refused: {code}{}", said(description))]
    Refused {
        /// Its code for it (RFC 6749 §5.2).
        code: String,
        /// Its words.
        description: String,
    },
    /// The answer holds no ID token.
    #[error("the identity provider's answer holds no ID token")]
    NoIdToken,
    /// The ID token is none.
    #[error("the ID token")]
    Malformed(#[from] ParseTokenError),
    /// The ID token is for somebody else, or expired.
    #[error("the ID token")]
    Unfit(#[from] Unfit),
    /// The ID token names another issuer.
    #[error("wanted an ID token of {wanted}, found one of {found}")]
    OtherIssuer {
        /// The issuer asked.
        wanted: String,
        /// The one it names.
        found: String,
    },
    /// The ID token was issued for another login.
    #[error("the ID token was issued for another login")]
    OtherNonce,
    /// The ID token belongs to another access token than the one beside it.
    #[error("the ID token does not belong to the access token beside it")]
    OtherAccessToken,
    /// The ID token is not signed in a way that anybody could verify.
    #[error("the ID token is signed with `{found}`, which nobody else can verify")]
    Algorithm {
        /// The algorithm it names.
        found: String,
    },
    /// The issuer does not vouch for the address.
    #[error("the identity provider did not verify the e-mail address")]
    EmailNotVerified,
}

impl LoginError {
    /// What can be done about it, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Fetch(error) => error.hint(),
            Self::OtherConfiguration { found, .. } => {
                Some(format!("if that is the one that is meant, name {found} as the issuer"))
            }
            Self::NoEndpoint { name: "device_authorization_endpoint" } => {
                Some("log in by browser, or pass an identity token".to_owned())
            }
            Self::NoSecret => Some("name a file with the client's secret".to_owned()),
            Self::TimedOut { .. } => {
                Some("where there is no browser, log in on another device".to_owned())
            }
            Self::OtherState | Self::OtherNonce | Self::OtherAccessToken => {
                Some("log in again; if that does not help, do not trust this network".to_owned())
            }
            _ => None,
        }
    }
}

fn said(description: &str) -> String {
    if description.is_empty() { String::new() } else { format!(": {description}") }
}

//! A token, as far as it has to be read.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use evidence::UnixTime;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use crate::error::printable;
use crate::json;
use crate::secret::Secret;

/// Longest token taken, in bytes: GitHub's have about 1,600, and servers limit headers to 16 KiB.
pub const TOKEN_SIZE_MAX: usize = 16 * 1024;

/// How far our clock may be ahead of an issuer's, in seconds, before a token is called expired.
const SKEW_S: i64 = 60;

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
    #[serde(default, rename = "aud")]
    audience: Audience,
    #[serde(default)]
    email_verified: serde_json::Value,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    at_hash: Option<String>,
}

/// One or several (RFC 7519 §4.1.3).
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
    Other(serde::de::IgnoredAny),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
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

/// Why a token would be refused by whomever it is for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is for somebody else.
    #[error("wanted a token for the audience `{wanted}`, found one for {found}")]
    Audience {
        /// Whom it should be for.
        wanted: String,
        /// Whom it is for.
        found: String,
    },
    /// It has expired.
    #[error("it expired at {expired}, and it is {now} now")]
    Expired {
        /// When.
        expired: UnixTime,
        /// When that was noticed.
        now: UnixTime,
    },
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

    /// Whom it is for, as it claims.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        match &self.claims.audience {
            Audience::One(one) => std::slice::from_ref(one),
            Audience::Many(many) => many,
            Audience::Other(_) => &[],
        }
    }

    /// When it ends, as it claims.
    #[must_use]
    pub fn expires(&self) -> Option<UnixTime> {
        // A time with a fraction is allowed (RFC 7519 §2).
        let seconds = self.claims.expires.as_ref()?;
        let whole = seconds.as_i64().or_else(|| Some(seconds.as_f64()?.floor() as i64))?;
        Some(UnixTime::from_seconds(whole))
    }

    /// Whether it is worth sending to someone who wants tokens for that audience.
    ///
    /// # Errors
    /// When it is for others, or has expired for longer than clocks may differ.
    pub fn check(&self, audience: &str, now: UnixTime) -> Result<(), Unfit> {
        let audiences = self.audiences();
        if !audiences.iter().any(|found| found == audience) {
            let found = match audiences {
                [] => "nobody in particular".to_owned(),
                some => format!("`{}`", printable(&some.join("`, `"), 160)),
            };
            return Err(Unfit::Audience { wanted: audience.to_owned(), found });
        }
        match self.expires() {
            Some(expired) if expired.plus_seconds(SKEW_S) < now => {
                Err(Unfit::Expired { expired, now })
            }
            _ => Ok(()),
        }
    }

    /// Whether the issuer says that the address is that one's. Some write it as text.
    pub(crate) fn email_is_verified(&self) -> bool {
        let said = &self.claims.email_verified;
        said.as_bool().unwrap_or_else(|| said.as_str() == Some("true"))
    }

    pub(crate) fn nonce(&self) -> Option<&str> {
        self.claims.nonce.as_deref()
    }

    pub(crate) fn access_token_hash(&self) -> Option<&str> {
        self.claims.at_hash.as_deref()
    }

    /// The first part: who signed, and how.
    pub(crate) fn header(&self) -> &str {
        self.token.expose().split('.').next().unwrap_or_default()
    }

    pub(crate) fn to_authorization(&self) -> HeaderValue {
        let header = self.token.to_authorization("Bearer");
        header.expect("base64url and dots can stand in a header")
    }
}

//! Tokens of people who logged in by mail address, as Dex issues them for Sigstore.
//!
//! OpenID Connect Core 1.0 §5.1 (`email`, `email_verified`); `federated_claims` is Dex's own.

use evidence::UnixTime;
use serde_json::json;

use super::claims::{Claimant, Claims, add_times, claims};

/// How long a token lives, in seconds: that of the public Sigstore instance.
const LIFETIME_S: i64 = 60;

/// A person with a mail address.
#[derive(Clone, Debug)]
pub struct EmailUser {
    /// The issuer's own name for the person: opaque, and never the address.
    pub subject: String,
    /// The mail address.
    pub email: String,
    /// Whether the issuer knows that the address is that person's.
    pub email_verified: bool,
    /// The identity provider behind the issuer, e.g. `https://accounts.google.com`.
    pub connector: Option<String>,
}

impl EmailUser {
    /// A person whose address was verified, known to the issuer itself.
    #[must_use]
    pub fn new(email: &str) -> Self {
        Self {
            subject: "CgkxMjM0NTY3ODkSBWxvY2Fs".to_owned(),
            email: email.to_owned(),
            email_verified: true,
            connector: None,
        }
    }
}

impl Claimant for EmailUser {
    fn claims(&self, issuer: &str, audience: &str, now: UnixTime) -> Claims {
        let mut claims = claims([
            ("iss", json!(issuer)),
            ("sub", json!(self.subject)),
            ("aud", json!(audience)),
            ("email", json!(self.email)),
            ("email_verified", json!(self.email_verified)),
        ]);
        if let Some(connector) = &self.connector {
            let federated = json!({ "connector_id": connector, "user_id": self.subject });
            claims.insert("federated_claims".to_owned(), federated);
        }
        add_times(&mut claims, now, 0, LIFETIME_S);
        // Dex sends no `nbf`.
        claims.remove("nbf");
        claims
    }

    fn default_audience(&self, _issuer: &str) -> String {
        "sigstore".to_owned()
    }
}

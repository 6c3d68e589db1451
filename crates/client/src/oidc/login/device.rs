//! Logging in on another device (RFC 8628), with a proof key.

use std::time::Duration;

use evidence::UnixTime;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde::Deserialize;
use tokio::time::Instant;

use super::discovery::Issuer;
use super::{ANSWER_SIZE_MAX, FORM, JSON, Login, LoginError, Person, ProofKey, SCOPE, Words};
use crate::address;
use crate::deadline::Deadline;
use crate::error::printable;
use crate::http::{Http, Request};
use crate::json;
use crate::oidc::token::IdentityToken;
use crate::secret::Secret;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Pause between two questions where the issuer does not say (RFC 8628 §3.5).
const INTERVAL: Duration = Duration::from_secs(5);

/// What `slow_down` adds to it (RFC 8628 §3.5).
const SLOWER: Duration = Duration::from_secs(5);

/// Longest pause, however slow the issuer wants it.
const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// Longest that a code is waited for, however long it is valid.
const VALID_MAX: Duration = Duration::from_secs(30 * 60);

/// How often the issuer is asked at most, whatever the clock says.
const QUESTIONS_MAX: usize = 720;

#[derive(Deserialize)]
struct Answer {
    device_code: Secret,
    user_code: String,
    verification_uri: String,
    #[serde(default)]
    verification_uri_complete: Option<String>,
    expires_in: u64,
    #[serde(default)]
    interval: Option<u64>,
}

impl Login {
    /// Logs a person in who uses the browser of another device.
    ///
    /// # Errors
    /// When the issuer cannot be asked or refuses, nobody logs in while the code is valid, or what
    /// comes back is not for this client.
    pub async fn on_device(
        &self,
        person: &dyn Person,
        http: &Http,
        clock: &(dyn Fn() -> UnixTime + Sync),
        deadline: Deadline,
    ) -> Result<IdentityToken, LoginError> {
        let issuer = Issuer::discover(self, http, deadline).await?;
        let proof = ProofKey::generate();
        let device = self.device(&issuer, &proof, http, deadline).await?;
        let valid = Duration::from_secs(device.expires_in).min(VALID_MAX);
        let page = device.verification_uri_complete.as_ref().unwrap_or(&device.verification_uri);
        let (page, code) = (printable(page, 500), printable(&device.user_code, 64));
        person.tell(&Words::Confirm { page: &page, code: &code, valid });
        let end = Instant::now() + valid;
        let seconds = valid.as_secs();
        let mut pause = match device.interval {
            None | Some(0) => INTERVAL,
            Some(seconds) => Duration::from_secs(seconds).min(INTERVAL_MAX),
        };
        for _ in 0..QUESTIONS_MAX {
            person.wait(pause).await;
            if Instant::now() >= end {
                break;
            }
            let form = [
                ("grant_type", GRANT),
                ("device_code", device.device_code.expose()),
                ("code_verifier", proof.verifier.expose()),
            ];
            match self.ask_for_token(&issuer, &form, http, deadline).await? {
                Ok(answer) => return self.accept(answer, None, clock()),
                Err(objection) => match objection.code.as_str() {
                    "authorization_pending" => {}
                    "slow_down" => pause = (pause + SLOWER).min(INTERVAL_MAX),
                    "expired_token" => return Err(LoginError::TimedOut { seconds }),
                    _ => return Err(objection.into()),
                },
            }
        }
        Err(LoginError::TimedOut { seconds })
    }

    /// Asks for a code (RFC 8628 §3.1).
    async fn device(
        &self,
        issuer: &Issuer,
        proof: &ProofKey,
        http: &Http,
        deadline: Deadline,
    ) -> Result<Answer, LoginError> {
        let form = address::form([
            ("client_id", self.client_id.as_str()),
            ("scope", SCOPE),
            ("code_challenge", proof.challenge.as_str()),
            ("code_challenge_method", "S256"),
        ]);
        let request = Request::new(Method::POST, issuer.device_authorization_endpoint()?.clone())
            .repeatable()
            .wanting("a device code", ANSWER_SIZE_MAX)
            .header(CONTENT_TYPE, FORM)
            .header(ACCEPT, JSON)
            .body(form);
        let answer = http.send(&request, deadline).await?.wanted(&[200])?;
        let wanted = "a device code";
        json::parse(&answer.body).map_err(|_| answer.malformed(wanted, "something else").into())
    }
}

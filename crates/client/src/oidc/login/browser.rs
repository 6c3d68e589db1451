//! Logging in by browser: authorization code with a proof key (RFC 6749 §4.1, RFC 7636).

use evidence::UnixTime;
use reqwest::Url;

use super::discovery::Issuer;
use super::listener::Listener;
use super::{Login, LoginError, Person, ProofKey, SCOPE, Words, unpredictable};
use crate::deadline::Deadline;
use crate::http::Http;
use crate::oidc::token::IdentityToken;

/// Where the issuer shows the code instead of sending it (Cosign's, of old OAuth).
const OUT_OF_BAND: &str = "urn:ietf:wg:oauth:2.0:oob";

impl Login {
    /// Logs a person in by browser; where there is none, by a page elsewhere that shows a code.
    ///
    /// # Errors
    /// When the issuer cannot be asked or refuses, nobody logs in in time, or what comes back was
    /// not issued for this login.
    pub async fn by_browser(
        &self,
        person: &dyn Person,
        http: &Http,
        clock: &(dyn Fn() -> UnixTime + Sync),
        deadline: Deadline,
    ) -> Result<IdentityToken, LoginError> {
        let issuer = Issuer::discover(self, http, deadline).await?;
        let page = issuer.authorization_endpoint()?;
        let proof = ProofKey::generate();
        let (state, nonce) = (unpredictable(), unpredictable());
        let listener = Listener::bind(self).await?;
        let asked = |redirect: &str| self.page(page, redirect, &proof, &state, &nonce);
        let url = asked(&listener.redirect);
        let (code, redirect) = match person.open(url.as_str()) {
            Ok(()) => {
                person.tell(&Words::Opened { page: url.as_str() });
                let end = deadline.or_after(self.patience);
                let waited = tokio::time::timeout_at(end.instant(), listener.code(&state)).await;
                let seconds = self.patience.as_secs();
                let code = waited.map_err(|_| LoginError::TimedOut { seconds })??;
                (code, listener.redirect)
            }
            Err(_) => {
                let url = asked(OUT_OF_BAND);
                person.tell(&Words::GoTo { page: url.as_str() });
                let code = person.code().await.map_err(|error| LoginError::NoCode(Some(error)))?;
                let code = code.trim().to_owned();
                if code.is_empty() {
                    return Err(LoginError::NoCode(None));
                }
                (code, OUT_OF_BAND.to_owned())
            }
        };
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", redirect.as_str()),
            ("code_verifier", proof.verifier.expose()),
        ];
        let answer = self.ask_for_token(&issuer, &form, http, deadline).await??;
        self.accept(answer, Some(&nonce), clock())
    }

    /// The page on which the person logs in (Core §3.1.2.1).
    fn page(
        &self,
        endpoint: &Url,
        redirect: &str,
        proof: &ProofKey,
        state: &str,
        nonce: &str,
    ) -> Url {
        let mut page = endpoint.clone();
        page.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("scope", SCOPE)
            .append_pair("state", state)
            .append_pair("nonce", nonce)
            .append_pair("code_challenge", &proof.challenge)
            .append_pair("code_challenge_method", "S256");
        if let Some(connector) = &self.connector {
            page.query_pairs_mut().append_pair("connector_id", connector);
        }
        page
    }
}

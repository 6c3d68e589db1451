//! Logging in as a program with a secret of its own (RFC 6749 §4.4), at an issuer that gives ID
//! tokens for that, which the standard does not foresee.

use evidence::UnixTime;

use super::discovery::Issuer;
use super::{Login, LoginError, SCOPE};
use crate::deadline::Deadline;
use crate::http::Http;
use crate::oidc::token::IdentityToken;

impl Login {
    /// Logs this client itself in.
    ///
    /// # Errors
    /// When it has no secret, the issuer cannot be asked or refuses, or what comes back is not for
    /// this client.
    pub async fn as_program(
        &self,
        http: &Http,
        now: UnixTime,
        deadline: Deadline,
    ) -> Result<IdentityToken, LoginError> {
        if self.client_secret.is_none() {
            return Err(LoginError::NoSecret);
        }
        let issuer = Issuer::discover(self, http, deadline).await?;
        let form = [("grant_type", "client_credentials"), ("scope", SCOPE)];
        let answer = self.ask_for_token(&issuer, &form, http, deadline).await??;
        self.accept(answer, None, now)
    }
}

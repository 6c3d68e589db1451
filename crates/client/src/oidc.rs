//! Who we are to an authority: an identity token, given, found where CI systems and clouds offer
//! one, or got by logging in.
//!
//! Tokens are read only as far as we have to know what they claim; whether a token is genuine is
//! the authority's question, which verifies its signature against the issuer's keys. What is found
//! out here, before a token leaves the machine, is whether it was made for another audience or has
//! expired: both are mistakes in a CI file, and the authority's answer would not name the line.

mod ambient;
mod buildkite;
mod circleci;
mod codefresh;
mod files;
mod github;
mod google;
pub mod login;
mod source;
mod token;

pub use ambient::{Ambient, Provider};
pub use source::{Places, TokenError};
pub use token::{IdentityToken, ParseTokenError, TOKEN_SIZE_MAX, Unfit};

use evidence::UnixTime;

use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::http::Http;
use crate::secret::Secret;

/// The audience of tokens for Sigstore authorities.
pub const AUDIENCE: &str = "sigstore";

/// Finds a token for an audience: the one given, else what [`Ambient`] finds in its usual places,
/// without looking at the time.
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
    if let Some(token) = given {
        let malformed = |source| TokenError::Malformed { from: "the caller", source };
        return IdentityToken::parse(token).map_err(malformed);
    }
    let ambient = Ambient { environment, http, places: &Places::default() };
    ambient.find(audience, UnixTime::from_seconds(0), deadline).await
}

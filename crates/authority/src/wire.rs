//! What a refusal looks like on the wire: the status, code and sentence that existing clients and
//! their users know from Fulcio.
//!
//! Our own reason, which is more exact, stays in the error itself. A bad token is 400, never 401 or
//! 403, because clients look for it; what is *our* failure is 5xx, because clients retry that.

use std::borrow::Cow;

/// An HTTP status with the gRPC code and message of Fulcio's `{"code", "message", "details"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireError {
    /// HTTP status.
    pub status: u16,
    /// gRPC status code (3 invalid argument, 13 internal, 14 unavailable).
    pub code: u8,
    /// Fulcio's sentence.
    pub message: Cow<'static, str>,
}

impl WireError {
    /// The requester's fault: 400, code 3.
    #[must_use]
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self { status: 400, code: 3, message: message.into() }
    }

    /// Our fault: 500, code 13.
    #[must_use]
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self { status: 500, code: 13, message: message.into() }
    }

    /// The fault of something we depend on; asking again may help: 503, code 14.
    #[must_use]
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self { status: 503, code: 14, message: message.into() }
    }
}

/// Fulcio's sentence for a token it does not accept.
pub const INVALID_TOKEN: &str = "There was an error processing the identity token";
/// Fulcio's sentence for a key it cannot parse.
pub const INVALID_KEY: &str = "The public key supplied in the request could not be parsed";
/// Fulcio's sentence for a key that is too weak.
pub const INSECURE_KEY: &str = "The public key supplied in the request is insecure";
/// Fulcio's sentence for a malformed certificate signing request.
pub const INVALID_CSR: &str = "The certificate signing request could not be parsed";
/// Fulcio's sentence for a proof of possession that does not verify.
pub const INVALID_SIGNATURE: &str = "The signature supplied in the request could not be verified";
/// Fulcio's sentence for a failing CT log.
pub const CT_LOG_FAILED: &str = "Error entering certificate in CTL";
/// Fulcio's sentence for a failing signer.
pub const CA_FAILED: &str = "error communicating with CA backend";

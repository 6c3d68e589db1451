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
mod socket;
mod source;
mod spiffe;
mod token;
mod workload_api;

pub use ambient::{Ambient, Provider};
pub use socket::{PassedOver, Unsafe};
pub use source::{Places, TokenError};
pub use token::{IdentityToken, ParseTokenError, TOKEN_SIZE_MAX, Unfit};
pub use workload_api::{GrpcStatus, WorkloadApiError};

/// The audience of tokens for Sigstore authorities.
pub const AUDIENCE: &str = "sigstore";

//! Signed tokens and the keys that verify them, as JSON: RFC 7515 (JWS), RFC 7517 (JWK),
//! RFC 8725 (best current practice).
//!
//! Only what an authority needs and nothing that has hurt others: no encryption, no `none`, no
//! shared secrets, no keys that a token brings along.

pub mod json;
pub mod jwk;
pub mod jws;

pub use jwk::KeySet;
pub use jws::{CompactJws, JwsAlgorithm};

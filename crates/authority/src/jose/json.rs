//! JSON objects in which no name stands twice: two readers of a duplicate see two documents.
//!
//! RFC 7515 §4 and RFC 7519 §4 let a parser refuse them. Depth is bounded by `serde_json` (128);
//! size is the caller's bound.

use evidence::json::check_unambiguous;
use serde_json::{Map, Value};

/// Why bytes are no JSON object without duplicates.
#[derive(Debug, thiserror::Error)]
#[error("not a JSON object without duplicate names: {0}")]
pub struct JsonError(#[source] serde_json::Error);

/// Parses one object that fills `bytes` exactly.
///
/// # Errors
/// When it is malformed, no object, or names a member twice at any depth.
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    check_unambiguous(bytes).and_then(|()| serde_json::from_slice(bytes)).map_err(JsonError)
}

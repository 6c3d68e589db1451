//! JSON that is looked at before it is read: a value stays text until it is known to be wanted.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Reads a value, which borrows from the text.
pub(crate) fn read<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Result<T, serde_json::Error> {
    evidence::json::read(value.get().as_bytes())
}

/// What a value is called in messages. Its first byte tells, because it was found to be JSON.
pub(crate) fn type_name(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'n') => "null",
        Some(b't' | b'f') => "a Boolean",
        Some(b'"') => "text",
        Some(b'[') => "a list",
        Some(b'{') => "a map",
        _ => "a number",
    }
}

pub(crate) fn is_map(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

pub(crate) fn is_text(value: &RawValue) -> bool {
    value.get().starts_with('"')
}

//! JSON that is looked at before it is read: a value stays text until it is known to be wanted.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
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

/// A map in which one of the fields asked for stands twice: readers would disagree on which counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Twice;

/// The fields of those names, as they stand in a map; what is null counts as absent.
pub(crate) fn fields<'a, const N: usize>(
    map: &'a RawValue,
    names: [&str; N],
) -> Result<[Option<&'a RawValue>; N], Twice> {
    // It is JSON, and a map, so that nothing else can be wrong with it.
    evidence::json::read_with(map.get().as_bytes(), Named(names)).map_err(|_| Twice)
}

struct Named<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Named<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Named<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut found, mut seen) = ([None; N], [false; N]);
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let Some(at) = self.0.iter().position(|wanted| **wanted == *name) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if std::mem::replace(&mut seen[at], true) {
                return Err(serde::de::Error::custom("a field stands twice"));
            }
            found[at] = map.next_value()?;
        }
        Ok(found)
    }
}

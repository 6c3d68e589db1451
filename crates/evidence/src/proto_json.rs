//! What protobuf's JSON mapping allows and plain serde does not: 64-bit integers as strings or
//! numbers, base64 in either alphabet with or without padding, `null` for absent, and both the
//! camelCase and the original field names.
//!
//! Protocol Buffers documentation, "ProtoJSON Format". Unknown fields are ignored, as every
//! Sigstore client does: whatever they say is not part of what is verified.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Error, IgnoredAny, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// A `bytes` field: written in the standard alphabet with padding, read in either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

impl Base64 {
    /// Reads either alphabet, with or without padding.
    ///
    /// # Errors
    /// When the text is neither.
    pub fn decode(text: &str) -> Result<Self, base64::DecodeError> {
        let engine = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
        engine.decode(text).map(Self)
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Base64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Base64, E> {
                Base64::decode(text)
                    .map_err(|_| E::invalid_value(Unexpected::Other("other text"), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(&self.0))
    }
}

/// An `int64` field: written as a string, read as a string or a whole number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Int64(pub i64);

impl<'de> Deserialize<'de> for Int64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Int64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a 64-bit integer, as a string or a number")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Int64, E> {
                Ok(Int64(value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Int64, E> {
                i64::try_from(value)
                    .map(Int64)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Int64, E> {
                text.parse()
                    .map(Int64)
                    .map_err(|_| E::invalid_value(Unexpected::Other("other text"), &self))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

impl Serialize for Int64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A list of which at most `MAX` items are read. Further ones are only counted, so that a document
/// of many small items cannot take many times its own size in memory before somebody counts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounded<T, const MAX: usize> {
    items: Vec<T>,
    found: usize,
}

impl<T, const MAX: usize> Bounded<T, MAX> {
    /// The items.
    ///
    /// # Errors
    /// How many there are, where that is more than `MAX`.
    pub fn within_bound(self) -> Result<Vec<T>, usize> {
        if self.found > MAX { Err(self.found) } else { Ok(self.items) }
    }

    /// The first `MAX` items, for who can do without the others.
    #[must_use]
    pub fn first(self) -> Vec<T> {
        self.items
    }
}

impl<T, const MAX: usize> Default for Bounded<T, MAX> {
    fn default() -> Self {
        Self { items: Vec::new(), found: 0 }
    }
}

impl<T, const MAX: usize> FromIterator<T> for Bounded<T, MAX> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let items = Vec::from_iter(items);
        Self { found: items.len(), items }
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for List<T, MAX> {
            type Value = Bounded<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while items.len() < MAX {
                    let Some(item) = list.next_element()? else { break };
                    items.push(item);
                }
                let mut found = items.len();
                while found >= MAX && list.next_element::<IgnoredAny>()?.is_some() {
                    found += 1;
                }
                Ok(Bounded { items, found })
            }
        }
        deserializer.deserialize_seq(List(PhantomData))
    }
}

impl<T: Serialize, const MAX: usize> Serialize for Bounded<T, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.items.serialize(serializer)
    }
}

/// Parses JSON without echoing its content: serde's messages may quote input, which is bounded
/// here so that a hostile document cannot flood a terminal or a log.
#[must_use]
pub fn explain(error: &serde_json::Error) -> String {
    const MESSAGE_CHARACTERS_MAX: usize = 160;
    let text: String = error.to_string().chars().filter(|c| !c.is_control()).collect();
    match text.char_indices().nth(MESSAGE_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

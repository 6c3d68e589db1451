//! What a decision needs of an object: its own labels, and every place that names an image. The
//! rest is not kept.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::images::{Place, UnreadableObject, Workload, places};
use crate::json::{fields, is_map, is_text, read, type_name};

/// Most labels read of one object. Kubernetes has no bound; nobody selects by that many.
pub const LABELS_MAX: usize = 1024;

/// Longest label read, name and value each, in bytes. Kubernetes' have at most 317 and 63.
const LABEL_SIZE_MAX: usize = 1024;

/// An object, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The object's own labels.
    pub labels: Result<BTreeMap<String, String>, UnreadableObject>,
    /// Every place that names an image, or may.
    pub places: Result<Vec<Place>, UnreadableObject>,
}

impl Content {
    pub(crate) fn read(
        workload: Option<Workload>,
        object: &RawValue,
        metadata: Option<&RawValue>,
    ) -> Self {
        Self { labels: labels(metadata), places: places(workload, object.get()) }
    }
}

fn labels(metadata: Option<&RawValue>) -> Result<BTreeMap<String, String>, UnreadableObject> {
    const LABELS: &str = "/metadata/labels";
    let Some(metadata) = metadata else { return Ok(BTreeMap::new()) };
    if !is_map(metadata) {
        return Err(wrong_type("/metadata", "a map", metadata));
    }
    let twice = |_| UnreadableObject::Twice { pointer: LABELS.to_owned() };
    let [labels] = fields(metadata, ["labels"]).map_err(twice)?;
    let Some(labels) = labels else { return Ok(BTreeMap::new()) };
    if !is_map(labels) {
        return Err(wrong_type(LABELS, "a map", labels));
    }
    let malformed = |error: serde_json::Error| UnreadableObject::Malformed {
        reason: evidence::proto_json::explain(&error),
    };
    let Labels(labels) = read(labels).map_err(malformed)?;
    labels
}

/// Labels within bounds, or what is wrong with the first that is not.
struct Labels(Result<BTreeMap<String, String>, UnreadableObject>);

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut labels = BTreeMap::new();
                let mut problem = None;
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    if let Err(wrong) =
                        insert(&mut labels, name, value).map_err(A::Error::custom)?
                    {
                        problem = Some(wrong);
                        break;
                    }
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Labels(problem.map_or(Ok(labels), Err)))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// Takes one label in; the outer error is one of JSON.
fn insert(
    labels: &mut BTreeMap<String, String>,
    name: String,
    value: &RawValue,
) -> Result<Result<(), UnreadableObject>, serde_json::Error> {
    let pointer = "/metadata/labels";
    if !is_text(value) {
        return Ok(Err(wrong_type(pointer, "text", value)));
    }
    let value: String = read(value)?;
    if labels.len() == LABELS_MAX || name.len().max(value.len()) > LABEL_SIZE_MAX {
        return Ok(Err(UnreadableObject::TooManyLabels { max: LABELS_MAX }));
    }
    match labels.insert(name, value) {
        None => Ok(Ok(())),
        Some(_) => Ok(Err(UnreadableObject::Twice { pointer: pointer.to_owned() })),
    }
}

fn wrong_type(pointer: &str, wanted: &'static str, found: &RawValue) -> UnreadableObject {
    let found = type_name(found);
    UnreadableObject::WrongType { pointer: pointer.to_owned(), wanted, found }
}

//! One walk through an object's JSON: every place that names an image, or may.
//!
//! Nothing of the object is kept but those places. Parsed as a whole it could take a hundred times
//! its length in memory, and whoever may create a Pod chooses what is in it.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::known::Known;
use super::{PLACES_MAX, POINTER_SIZE_MAX, Place, UnreadableObject};

/// Walks through an object of which this much is known.
pub(super) fn find(json: &str, known: Known) -> Result<Vec<Place>, UnreadableObject> {
    let mut finder = Finder::default();
    let mut document = serde_json::Deserializer::from_str(json);
    let walked = Walk { finder: &mut finder, known, called_image: false, is_item: true }
        .deserialize(&mut document)
        .and_then(|()| document.end());
    if let Some(problem) = finder.problem {
        return Err(problem);
    }
    walked.map_err(|error| UnreadableObject::Malformed {
        reason: evidence::proto_json::explain(&error),
    })?;
    finder.known.append(&mut finder.unknown);
    Ok(finder.known)
}

#[derive(Default)]
struct Finder {
    /// JSON pointer to where the walk is.
    pointer: String,
    /// What the entry of a known list is called that the walk is in.
    entry: Option<String>,
    known: Vec<Place>,
    unknown: Vec<Place>,
    /// The first thing wrong. From then on nothing is looked for.
    problem: Option<UnreadableObject>,
}

impl Finder {
    fn fail(&mut self, problem: UnreadableObject) {
        self.problem.get_or_insert(problem);
    }

    /// Takes a step down (RFC 6901 §3).
    fn enter(&mut self, step: &str) {
        self.pointer.push('/');
        for character in step.chars() {
            match character {
                '~' => self.pointer.push_str("~0"),
                '/' => self.pointer.push_str("~1"),
                other => self.pointer.push(other),
            }
        }
    }

    fn push(&mut self, image: &str, known: bool) {
        if self.known.len() + self.unknown.len() == PLACES_MAX {
            return self.fail(UnreadableObject::TooMany);
        }
        if self.pointer.len() > POINTER_SIZE_MAX {
            return self.fail(UnreadableObject::TooLong);
        }
        let (pointer, image) = (self.pointer.clone(), image.to_owned());
        // That of a known place is known at the end of its entry.
        let identity = if known { String::new() } else { pointer.clone() };
        let places = if known { &mut self.known } else { &mut self.unknown };
        places.push(Place { pointer, image, known, identity });
    }

    /// Says of the known places found since `first` which list and entry they are in; the pointer
    /// to the list is `length` bytes long.
    fn identify(&mut self, first: usize, length: usize) {
        let list = self.pointer[..length].rsplit('/').next().unwrap_or_default();
        // Unnamed entries are refused by the API server; until then they are told apart by number.
        let entry = self.entry.as_deref().unwrap_or(&self.pointer);
        for place in self.known.iter_mut().skip(first) {
            place.identity = format!("{list}\n{entry}");
        }
    }
}

/// A value to walk through.
struct Walk<'f> {
    finder: &'f mut Finder,
    known: Known,
    /// Whether the field that it stands in is called as images are.
    called_image: bool,
    /// Whether it is an entry of a list, where null is not the same as absent.
    is_item: bool,
}

impl Walk<'_> {
    /// A value of another type than is known. What leads to no image anyway is looked through.
    fn is_wrong(&mut self, found: &'static str) -> bool {
        let wanted = match self.known {
            Known::Map(_) => "a map",
            Known::List(_) => "a list",
            Known::Image | Known::Name => "text",
            Known::Nothing | Known::Free => return false,
        };
        if !self.known.leads_to_image() {
            return false;
        }
        let pointer = self.finder.pointer.clone();
        self.finder.fail(UnreadableObject::WrongType { pointer, wanted, found });
        true
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.known == Known::Free || self.finder.problem.is_some() {
            return IgnoredAny::deserialize(deserializer).map(drop);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(mut self) -> Result<(), E> {
        if self.is_item {
            self.is_wrong("null");
        }
        Ok(())
    }

    fn visit_bool<E>(mut self, _: bool) -> Result<(), E> {
        self.is_wrong("a Boolean");
        Ok(())
    }

    fn visit_i64<E>(mut self, _: i64) -> Result<(), E> {
        self.is_wrong("a number");
        Ok(())
    }

    fn visit_u64<E>(mut self, _: u64) -> Result<(), E> {
        self.is_wrong("a number");
        Ok(())
    }

    fn visit_f64<E>(mut self, _: f64) -> Result<(), E> {
        self.is_wrong("a number");
        Ok(())
    }

    /// Absent and empty are the same to Kubernetes, and name no image: in a template they are left
    /// to whoever fills it in, and the Pod that comes of it is judged.
    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        let known = self.known;
        match known {
            Known::Image if text.is_empty() => {}
            Known::Image => self.finder.push(text, true),
            Known::Name => self.finder.entry = Some(text.to_owned()),
            _ if self.is_wrong("text") => {}
            _ if self.called_image && !text.is_empty() => self.finder.push(text, false),
            _ => {}
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        let known = self.known;
        let item = match known {
            Known::List(item) => *item,
            _ if self.is_wrong("a list") => return ignore_items(list),
            _ => Known::Nothing,
        };
        let is_known = item != Known::Nothing;
        let Self { finder, called_image, .. } = self;
        let length = finder.pointer.len();
        for index in 0_usize.. {
            finder.enter(&index.to_string());
            let (outer, first) = (finder.entry.take(), finder.known.len());
            let walk = Walk { finder: &mut *finder, known: item, called_image, is_item: true };
            let more = list.next_element_seed(walk)?.is_some();
            if is_known {
                finder.identify(first, length);
            }
            finder.entry = outer;
            finder.pointer.truncate(length);
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let known = self.known;
        let fields = match known {
            Known::Map(fields) => fields,
            _ if self.is_wrong("a map") => return ignore_fields(map),
            _ => &[],
        };
        let finder = self.finder;
        let length = finder.pointer.len();
        let mut seen = vec![false; fields.len()];
        while let Some(step) = map.next_key_seed(Step { finder: &mut *finder, fields })? {
            let Stepped { known, called_image, field } = step;
            if field.is_some_and(|field| std::mem::replace(&mut seen[field], true)) {
                let pointer = finder.pointer.clone();
                finder.fail(UnreadableObject::Twice { pointer });
            }
            map.next_value_seed(Walk {
                finder: &mut *finder,
                known,
                called_image,
                is_item: false,
            })?;
            finder.pointer.truncate(length);
        }
        Ok(())
    }
}

/// A field's name: the step to it, and what is known of what is there.
struct Step<'f> {
    finder: &'f mut Finder,
    fields: &'static [(&'static str, Known)],
}

struct Stepped {
    known: Known,
    called_image: bool,
    /// Which of the known fields it is.
    field: Option<usize>,
}

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = Stepped;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Stepped, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Step<'_> {
    type Value = Stepped;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Stepped, E> {
        self.finder.enter(name);
        let field = self.fields.iter().position(|(field, _)| *field == name);
        let known = field.map_or(Known::Nothing, |field| self.fields[field].1);
        Ok(Stepped { known, called_image: matches!(name, "image" | "reference"), field })
    }
}

fn ignore_items<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    while list.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

fn ignore_fields<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

//! Many small variations of scenes that both verifiers accept: every field wrong in every way, and
//! a bit flipped here and there, in the bundle as it is and under seals made anew.

use serde_json::Value;
use testkit::json::{at, base64, every_field_wrong, unbase64};
use testkit::log::Kind;
use testkit::{Format, Scene, Sealed};

/// Scenes of every kind that both can read.
pub(crate) fn bases() -> Vec<(&'static str, Scene)> {
    vec![
        ("v0.1 message", Scene::v1().in_format(Format::V0_1)),
        ("v0.2 intoto statement", Scene::statement(Kind::IntotoV2).in_format(Format::V0_2)),
        ("v0.3 statement", Scene::statement(Kind::DsseV1)),
        ("v0.3 message, pinned key", Scene::v1().pinned()),
        ("v0.3 message, v2", Scene::v2()),
        ("v0.3 statement, v2", Scene::statement(Kind::HashedRekordV2)),
        ("v0.3 message, v2, pinned key", Scene::v2().pinned()),
    ]
}

/// A variation: what it is, and what a verifier gets.
pub(crate) struct Variation {
    pub(crate) name: String,
    pub(crate) scene: Scene,
    pub(crate) sealed: Sealed,
}

/// Every variation of every base, one after the other.
pub(crate) fn each(mut judge: impl FnMut(Variation)) {
    for (base, scene) in bases() {
        let sealed = scene.seal();
        let mut give = |what: String, bundle: Value| {
            let name = format!("{base}: {what}");
            let sealed = Sealed { bundle, ..sealed.clone() };
            judge(Variation { name, scene: scene.clone(), sealed });
        };
        for wrong in every_field_wrong(&sealed.bundle) {
            give(format!("{} {}", wrong.pointer, wrong.how), wrong.document);
        }
        for (what, flipped) in flips(&sealed.bundle, 12) {
            give(what, flipped);
        }
        for (what, changed) in resealed(&scene) {
            let sealed = changed.seal();
            judge(Variation {
                name: format!("{base}: {what}, sealed anew"),
                scene: changed,
                sealed,
            });
        }
    }
}

/// The document with one bit flipped in each of its byte strings, at so many places.
fn flips(document: &Value, places: usize) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for pointer in texts(document) {
        let text = document.pointer(&pointer).expect("walked here");
        let Some(bytes) = decoded(text) else { continue };
        for place in places_in(bytes.len(), places) {
            let mut changed = document.clone();
            let mut bytes = bytes.clone();
            bytes[place] ^= 1 << (place % 8);
            *at(&mut changed, &pointer) = Value::from(base64(&bytes));
            all.push((format!("{pointer} flipped at {place}"), changed));
        }
    }
    all
}

/// Scenes with a bit flipped below a seal: in a leaf, and in an extension of the certificate.
fn resealed(scene: &Scene) -> Vec<(String, Scene)> {
    let mut all = Vec::new();
    let mut sealed = scene.seal();
    let body = unbase64(&sealed.entries_mut()[0]["canonicalizedBody"]);
    let leaf: Value = serde_json::from_slice(&body).expect("a leaf is JSON");
    for pointer in texts(&leaf) {
        let Some(bytes) = decoded(leaf.pointer(&pointer).expect("walked here")) else { continue };
        for place in places_in(bytes.len(), 6) {
            let name = format!("leaf {pointer} flipped at {place}");
            let pointer = pointer.clone();
            all.push((
                name,
                scene.clone().on_leaf(move |leaf| {
                    let value = at(leaf, &pointer);
                    let mut bytes = unbase64(value);
                    // ECDSA signs anew each time, and its signatures differ in size.
                    let place = place.min(bytes.len() - 1);
                    bytes[place] ^= 1 << (place % 8);
                    *value = Value::from(base64(&bytes));
                }),
            ));
        }
    }
    if sealed.certificate.is_none() {
        return all;
    }
    let draft = scene.instance.certificate(&scene.key);
    for (index, extension) in draft.extensions.iter().enumerate() {
        for place in places_in(extension.value.len(), 4) {
            let name = format!("extension {} flipped at {place}", extension.oid);
            all.push((
                name,
                scene.clone().on_certificate(move |draft| {
                    draft.extensions[index].value[place] ^= 1 << (place % 8);
                }),
            ));
        }
        let name = format!("extension {} made critical or not", extension.oid);
        all.push((
            name,
            scene.clone().on_certificate(move |draft| {
                draft.extensions[index].critical ^= true;
            }),
        ));
        let name = format!("extension {} left out", extension.oid);
        all.push((
            name,
            scene.clone().on_certificate(move |draft| {
                draft.extensions.remove(index);
            }),
        ));
    }
    all
}

fn places_in(size: usize, count: usize) -> Vec<usize> {
    let step = (size / count).max(1);
    (0..size).step_by(step).collect()
}

/// Pointers to every text of the document.
fn texts(document: &Value) -> Vec<String> {
    fn walk(value: &Value, pointer: String, found: &mut Vec<String>) {
        match value {
            Value::String(_) => found.push(pointer),
            Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| {
                walk(item, format!("{pointer}/{index}"), found);
            }),
            Value::Object(fields) => fields.iter().for_each(|(name, field)| {
                walk(field, format!("{pointer}/{name}"), found);
            }),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(document, String::new(), &mut found);
    found
}

/// The bytes of a text that is base64 of more than a few.
fn decoded(text: &Value) -> Option<Vec<u8>> {
    use base64::Engine;
    let text = text.as_str().filter(|text| text.len() >= 16)?;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

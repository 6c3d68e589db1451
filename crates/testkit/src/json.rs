//! JSON for tests: the canonical form, places in a document, and every way a field can be wrong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// RFC 8785 for documents of ASCII text, whole numbers, lists and objects.
///
/// # Panics
/// For a number that is not whole: nothing here has one.
#[must_use]
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
            let fields: Vec<_> = fields
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        Value::Number(number) => {
            assert!(number.is_i64() || number.is_u64(), "{number} is not whole");
            number.to_string()
        }
        other => other.to_string(),
    }
}

/// Standard base64.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Bytes of standard base64.
///
/// # Panics
/// When the value is no such text.
#[must_use]
pub fn unbase64(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().expect("a text")).expect("base64")
}

/// The value at a JSON pointer.
///
/// # Panics
/// When there is none: a mutation that misses proves nothing.
pub fn at<'a>(document: &'a mut Value, pointer: &str) -> &'a mut Value {
    document.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing stands at {pointer}"))
}

/// Takes the field at a JSON pointer out of its object, or the item out of its list.
///
/// # Panics
/// When there is none.
pub fn remove(document: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
    let removed = match at(document, parent) {
        Value::Object(fields) => fields.remove(name).is_some(),
        Value::Array(items) => {
            let index: usize = name.parse().expect("a list's places are numbers");
            (index < items.len()).then(|| items.remove(index)).is_some()
        }
        _ => false,
    };
    assert!(removed, "nothing stands at {pointer}");
}

/// Changes the bytes of the base64 text at a JSON pointer.
///
/// # Panics
/// When there is no such text.
pub fn change_bytes(document: &mut Value, pointer: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let value = at(document, pointer);
    let mut bytes = unbase64(value);
    change(&mut bytes);
    *value = Value::from(base64(&bytes));
}

/// One way in which one field is wrong.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// The field's JSON pointer.
    pub pointer: String,
    /// What is wrong with it.
    pub how: &'static str,
    /// The document with that field wrong.
    pub document: Value,
}

/// The document with every field in turn absent, null, empty, of each wrong type, and oversize.
#[must_use]
pub fn every_field_wrong(document: &Value) -> Vec<Wrong> {
    const OVERSIZE: usize = 70_000;
    let mut pointers = Vec::new();
    walk(document, String::new(), &mut pointers);
    let mut all = Vec::new();
    for pointer in pointers {
        let mut push = |how, document| all.push(Wrong { pointer: pointer.clone(), how, document });
        let mut without = document.clone();
        remove(&mut without, &pointer);
        push("absent", without);
        let found = document.pointer(&pointer).expect("walked here");
        let huge = "A".repeat(OVERSIZE);
        let replacements = [
            ("null", Value::Null),
            ("empty", empty(found)),
            ("a truth value", Value::Bool(true)),
            ("a number", Value::from(7)),
            ("a negative number", Value::from(-1)),
            ("a fraction", Value::from(0.5)),
            ("a text", Value::from("text")),
            ("a list", Value::from(vec![Value::Null])),
            ("an object", serde_json::json!({"unknown": []})),
            ("an oversize text", Value::from(huge)),
            ("an oversize list", Value::from(vec![Value::Null; 1_100])),
            ("a huge number", Value::from(u64::MAX)),
        ];
        for (how, replacement) in replacements {
            if replacement == *found {
                continue;
            }
            let mut changed = document.clone();
            *at(&mut changed, &pointer) = replacement;
            push(how, changed);
        }
    }
    all
}

fn walk(value: &Value, pointer: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            let pointer = format!("{pointer}/{name}");
            pointers.push(pointer.clone());
            walk(value, pointer, pointers);
        }),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| {
            let pointer = format!("{pointer}/{index}");
            pointers.push(pointer.clone());
            walk(value, pointer, pointers);
        }),
        _ => {}
    }
}

fn empty(value: &Value) -> Value {
    match value {
        Value::Object(_) => serde_json::json!({}),
        Value::Array(_) => serde_json::json!([]),
        _ => Value::from(""),
    }
}

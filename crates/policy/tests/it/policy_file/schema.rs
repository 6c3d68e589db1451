//! The schema for editors says what the parser does: whatever one takes or refuses by its shape, so
//! does the other.

use evidence::certificate::FulcioExtension;
use policy::policy_file::SCHEMA;
use serde_json::{Value, json};

use super::{examples, parse};

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

/// As much of JSON Schema as the schema uses; a keyword that is not known fails the test.
fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    let Value::Object(keywords) = schema else { panic!("{schema}") };
    keywords.iter().all(|(keyword, wanted)| match keyword.as_str() {
        "$schema" | "title" | "description" | "$defs" => true,
        "$ref" => {
            let pointer = wanted.as_str().unwrap().strip_prefix('#').unwrap();
            fits(root, root.pointer(pointer).unwrap(), value)
        }
        "type" => match wanted.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_u64(),
            other => panic!("{other}"),
        },
        "const" => value == wanted,
        "enum" => wanted.as_array().unwrap().contains(value),
        "required" => value.as_object().is_none_or(|object| {
            wanted
                .as_array()
                .unwrap()
                .iter()
                .all(|name| object.contains_key(name.as_str().unwrap()))
        }),
        "properties" => value.as_object().is_none_or(|object| {
            object.iter().all(|(name, value)| {
                wanted.get(name).is_none_or(|schema| fits(root, schema, value))
            })
        }),
        "additionalProperties" => value.as_object().is_none_or(|object| {
            let named = schema.get("properties");
            let others =
                object.iter().filter(|(name, _)| named.and_then(|it| it.get(name)).is_none());
            others.map(|(_, value)| value).all(|value| match wanted {
                Value::Bool(allowed) => *allowed,
                schema => fits(root, schema, value),
            })
        }),
        "items" => {
            value.as_array().is_none_or(|items| items.iter().all(|item| fits(root, wanted, item)))
        }
        "oneOf" => {
            wanted.as_array().unwrap().iter().filter(|schema| fits(root, schema, value)).count()
                == 1
        }
        "anyOf" => wanted.as_array().unwrap().iter().any(|schema| fits(root, schema, value)),
        "minItems" => {
            value.as_array().is_none_or(|items| items.len() as u64 >= wanted.as_u64().unwrap())
        }
        "maxItems" => {
            value.as_array().is_none_or(|items| items.len() as u64 <= wanted.as_u64().unwrap())
        }
        "maxProperties" => {
            value.as_object().is_none_or(|it| it.len() as u64 <= wanted.as_u64().unwrap())
        }
        "minLength" => {
            value.as_str().is_none_or(|text| text.len() as u64 >= wanted.as_u64().unwrap())
        }
        "minimum" => value.as_u64().is_none_or(|number| number >= wanted.as_u64().unwrap()),
        "maximum" => value.as_u64().is_none_or(|number| number <= wanted.as_u64().unwrap()),
        "pattern" => value.as_str().is_none_or(|text| {
            policy::Regexp::parse(wanted.as_str().unwrap()).unwrap().matches(text)
        }),
        other => panic!("the test does not know the keyword {other}"),
    })
}

fn right() -> Value {
    let signers = json!([{"issuer": "i", "subject": {"regExp": "^s$"}, "extensions": {"BuildTrigger": "push"}},
                         {"key": {"file": "cosign.pub"}}]);
    json!({
        "version": 1,
        "name": "n",
        "requirements": [
            {"name": "a", "signers": signers, "claim": "any", "threshold": 2,
             "annotations": {"k": "v"}, "maxAge": "30d"},
            {"name": "b", "signers": signers, "attestation": "vuln", "which": "all",
             "programs": [{"cel": "true"}, {"cue": "a: 1"}, {"file": "true.cel"},
                          {"rego": "package signature\nallow if true"},
                          {"regoV0": "package signature\nallow { true }"}]},
        ],
        "deny": {
            "message": "m",
            "digests": [format!("sha256:{}", "ab".repeat(32))],
            "claims": [{"name": "c", "signers": signers, "attestation": "custom", "maxAge": "1w",
                        "annotations": {"k": "v"}, "programs": [{"cel": "true"}]},
                       {"name": "d", "signers": signers, "claim": "signature"}],
        },
    })
}

#[test]
fn what_is_right_is_right_to_both() {
    let schema = schema();
    assert!(fits(&schema, &schema, &right()));
    parse(&right().to_string()).unwrap();
    // The examples in the book, read as the parser reads them.
    assert!(!examples().is_empty());
}

/// Every place in the right policy, with each of these put there.
#[test]
fn what_is_wrong_by_its_shape_is_wrong_to_both() {
    let schema = schema();
    let mut pointers = Vec::new();
    places(&right(), String::new(), &mut pointers);
    let mut compared = 0;
    for pointer in pointers {
        let free_text = pointer.contains("/annotations/") || pointer.ends_with("/data");
        for put in [
            json!([]),
            json!({}),
            json!(7),
            json!(true),
            json!("text"),
            json!({"unknown": "x"}),
            json!([7]),
        ] {
            let mut changed = right();
            *changed.pointer_mut(&pointer).unwrap() = put.clone();
            let (by_schema, by_parser) =
                (fits(&schema, &schema, &changed), parse(&changed.to_string()));
            // What only the parser knows: expressions, types, digests, programs and files. And null
            // is an absent field to it, which no place here is changed to.
            let only_parser = by_parser.as_ref().is_err_and(|told| {
                [
                    "predicate type",
                    "not a program",
                    "write the expression",
                    "regular",
                    "a digest",
                    "could not be read",
                    "a file called",
                ]
                .iter()
                .any(|words| told.contains(words))
            });
            if only_parser && by_schema || free_text && put == json!("text") {
                continue;
            }
            assert_eq!(by_schema, by_parser.is_ok(), "{pointer} = {put}: {by_parser:?}");
            compared += 1;
        }
    }
    assert!(compared > 300, "{compared}");
}

fn places(value: &Value, at: String, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| places(value, format!("{at}/{name}"), into));
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, value)| places(value, format!("{at}/{index}"), into)),
        _ => {}
    }
    if !at.is_empty() {
        into.push(at);
    }
}

#[test]
fn every_field_that_is_left_out_is_required_or_not_by_both() {
    let schema = schema();
    let mut pointers = Vec::new();
    places(&right(), String::new(), &mut pointers);
    for pointer in pointers {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let mut changed = right();
        let parent_value =
            if parent.is_empty() { &mut changed } else { changed.pointer_mut(parent).unwrap() };
        let Some(object) = parent_value.as_object_mut() else { continue };
        object.remove(name);
        let (by_schema, by_parser) =
            (fits(&schema, &schema, &changed), parse(&changed.to_string()));
        // That `which` and `programs` stand beside `attestation` only is the parser's to say.
        if matches!(name, "which" | "attestation") {
            continue;
        }
        assert_eq!(by_schema, by_parser.is_ok(), "without {pointer}: {by_parser:?}");
    }
}

#[test]
fn every_extension_is_in_the_schema_by_its_name() {
    let schema = schema();
    let named = schema["$defs"]["extensions"]["properties"].as_object().unwrap();
    let mut names: Vec<_> = FulcioExtension::ALL.iter().map(|it| it.name()).collect();
    let mut listed: Vec<_> = named.keys().map(String::as_str).collect();
    names.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, names);
}

//! JSON that two readers could read differently.

use evidence::json::{DEPTH_MAX, check_unambiguous};

fn refused(json: &str) -> String {
    check_unambiguous(json.as_bytes()).unwrap_err().to_string()
}

#[test]
fn no_name_stands_twice_at_any_depth() {
    for json in [
        "{}",
        "[]",
        " null ",
        "\"text\"",
        "[1, -1, 1.5, 1e9, 18446744073709551615, true, false]",
        r#"{"a": {"a": [{"a": 1}, {"a": 2}]}, "A": 1, "b": "a"}"#,
        r#"["a", "a"]"#,
    ] {
        check_unambiguous(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"));
    }
    for json in [
        r#"{"a": 1, "a": 1}"#,
        r#"{"a": 1, "b": {"c": [0, {"d": 1, "e": 2, "d": 3}]}}"#,
        // The same name, written otherwise.
        r#"{"a": 1, "\u0061": 2}"#,
        r#"{"": 1, "": null}"#,
    ] {
        assert!(refused(json).contains("stands twice"), "{json}");
    }
}

#[test]
fn it_is_one_document_of_bounded_depth() {
    for json in ["", "{", "{} {}", "[1,]", "{\"a\"}", "nul", "\"\u{1}\"", "1e999"] {
        refused(json);
    }
    assert!(check_unambiguous(b"\"\xff\"").is_err());
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    check_unambiguous(nested(DEPTH_MAX - 1).as_bytes()).unwrap();
    assert!(refused(&nested(DEPTH_MAX)).contains("recursion limit"));
    refused(&"[".repeat(1 << 20));
}

//! The YAML underneath: bounds, and what could be read in two ways.

use policy::cluster_image_policy::parse;
use policy::{
    DEPTH_MAX, DOCUMENTS_MAX, ENTRIES_MAX, EXPANSION_MAX, Problems, TEXT_SIZE_MAX, Wrong, YamlError,
};

const NAMESPACE: &str = "cosign-system";

fn problems(text: &str) -> Problems {
    parse(text, NAMESPACE).err().unwrap_or_else(|| panic!("accepted:\n{text:.400}"))
}

fn yaml_error(text: &str) -> YamlError {
    match problems(text).found() {
        [policy::Problem { wrong: Wrong::Yaml(error), .. }] => error.clone(),
        other => panic!("wanted a YAML error, found {other:?}"),
    }
}

#[test]
fn refuses_what_is_too_large() {
    let text = " ".repeat(TEXT_SIZE_MAX + 1);
    assert_eq!(yaml_error(&text), YamlError::TooLong { found: TEXT_SIZE_MAX + 1 });
    let text = "---\na: b\n".repeat(DOCUMENTS_MAX + 1);
    assert_eq!(yaml_error(&text), YamlError::TooManyDocuments);
}

#[test]
fn refuses_what_nests_too_deep() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(yaml_error(&nested(DEPTH_MAX + 1)), YamlError::TooDeep { line: 1 });
    // Refused as no policy, not as too deep.
    assert!(matches!(problems(&nested(DEPTH_MAX)).found()[0].wrong, Wrong::WrongType { .. }));
    for hostile in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
        problems(&hostile);
    }
    let block: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    problems(&block);
}

#[test]
fn refuses_aliases_that_expand_too_far() {
    let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..30 {
        let alias = format!("*a{}", level - 1);
        laughs += &format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", "));
    }
    assert!(matches!(yaml_error(&laughs), YamlError::ExpandsTooFar { .. }));
    // One long text, repeated.
    let copies = EXPANSION_MAX / 100_000 + 1;
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; copies].join(", "));
    assert!(matches!(yaml_error(&long), YamlError::ExpandsTooFar { line: 2 }));
    // Few nodes, but each alias adds its own depth.
    let mut deep = String::from("a0: &a0 [x]\n");
    for level in 1..=DEPTH_MAX {
        deep += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
    }
    assert!(matches!(yaml_error(&deep), YamlError::TooDeep { .. }));
}

#[test]
fn refuses_what_refers_to_itself_or_to_nothing() {
    assert_eq!(yaml_error("a: &a [*a]\n"), YamlError::AliasOfItself { line: 1 });
    assert!(matches!(yaml_error("a: *b\n"), YamlError::Syntax { line: 1, .. }));
    // An anchor ends with its document.
    assert!(matches!(yaml_error("a: &a b\n---\nc: *a\n"), YamlError::Syntax { line: 3, .. }));
}

#[test]
fn refuses_keys_that_come_twice_or_are_no_text() {
    let twice = YamlError::DuplicateKey { line: 2, key: "kind".into() };
    assert_eq!(yaml_error("kind: a\nkind: b\n"), twice);
    assert_eq!(yaml_error("{\"kind\": 1,\n \"kind\": 2}"), twice);
    let long = "k".repeat(81);
    let cut = YamlError::DuplicateKey { line: 2, key: format!("{}…", &long[1..]) };
    assert_eq!(yaml_error(&format!("{long}: a\n{long}: b\n")), cut);
    assert_eq!(yaml_error("? [a]\n: b\n"), YamlError::BadKey { line: 1 });
    assert_eq!(yaml_error("a: &a b\n*a : c\n"), YamlError::BadKey { line: 2 });
}

#[test]
fn refuses_words_that_two_versions_of_yaml_read_differently() {
    for word in ["yes", "No", "ON", "off", "y", "N"] {
        let found = word.to_owned();
        let error = YamlError::AmbiguousWord { line: 1, found };
        assert_eq!(yaml_error(&format!("a: {word}\n")), error);
        // Quoted it is text, and refused for other reasons.
        assert!(!matches!(problems(&format!("a: '{word}'\n")).found()[0].wrong, Wrong::Yaml(_)));
    }
}

#[test]
fn refuses_tags_and_directives() {
    assert_eq!(yaml_error("a: !!binary aGk=\n"), YamlError::Tag { line: 1 });
    assert_eq!(yaml_error("a: !!str 5\n"), YamlError::Tag { line: 1 });
    assert_eq!(yaml_error("a: !x [b]\n"), YamlError::Tag { line: 1 });
    assert!(matches!(yaml_error("%YAML 1.1\n---\na: b\n"), YamlError::Syntax { .. }));
}

#[test]
fn bounds_lists() {
    let globs = "{glob: a}, ".repeat(ENTRIES_MAX + 1);
    let text = format!(
        "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {{name: a}}\n\
         spec: {{images: [{globs}], authorities: [{{static: {{action: pass}}}}]}}\n"
    );
    let problems = problems(&text);
    let [problem] = problems.found() else { panic!("{problems}") };
    assert!(matches!(problem.wrong, Wrong::TooMany { max: ENTRIES_MAX }));
    assert_eq!((problem.line, problem.field.as_str()), (Some(4), "spec.images"));
}

#[test]
fn says_where() {
    let text = "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\n\
                metadata:\n  name: a\nspec:\n  images:\n  - glob: a\n  - glob: '?'\n  authorities:\n\
                \x20 - static:\n      action: maybe\n";
    assert_eq!(
        problems(text).to_string(),
        "line 8: spec.images[1].glob: a glob has letters, digits and `-_:/*.@` only, found `?`; \
         line 11: spec.authorities[0].static.action: wanted pass or fail, found `maybe`"
    );
}

#[test]
fn random_bytes_never_panic() {
    // A fixed walk: every ASCII pair within a small frame.
    for first in 0x20u8..0x7f {
        for second in [b'\n', b' ', b'-', b':', b'&', b'*', b'!', b'%', b'{', b'[', b'"', b'|'] {
            let text = format!("a: {}{}\nb: c", char::from(first), char::from(second));
            problems(&text);
        }
    }
}

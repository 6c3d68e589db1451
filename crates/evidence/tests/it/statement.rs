//! In-toto statements: what is read, what is bounded, and what is said by every field.

use crypto::HashAlgorithm;
use evidence::statement::{ParseStatementError, SUBJECT_DIGESTS_MAX, SUBJECTS_MAX};
use evidence::{Digest, Statement};
use serde_json::{Value, json};
use testkit::json::every_field_wrong;

fn right() -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{
            "name": "app",
            "digest": {"sha256": "ab".repeat(32), "gitCommit": "00"},
            "annotations": {"tag": "v1"},
        }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {"key": [1, 2]},
    })
}

fn parse(statement: &Value) -> Result<Statement, ParseStatementError> {
    Statement::parse(statement.to_string().as_bytes())
}

fn refused(change: impl FnOnce(&mut Value)) -> ParseStatementError {
    let mut statement = right();
    change(&mut statement);
    parse(&statement).unwrap_err()
}

#[test]
fn a_statement_is_read_whole() {
    let statement = parse(&right()).unwrap();
    assert_eq!(statement.predicate_type, "https://slsa.dev/provenance/v1");
    assert_eq!(statement.predicate.unwrap().get(), r#"{"key":[1,2]}"#);
    let [subject] = statement.subjects.as_slice() else { panic!("one subject") };
    assert_eq!(subject.name.as_deref(), Some("app"));
    assert_eq!(subject.annotations.as_ref().unwrap().get(), r#"{"tag":"v1"}"#);
    let wanted = Digest::from_hex(HashAlgorithm::Sha256, &"ab".repeat(32)).unwrap();
    assert_eq!(subject.digest.get(HashAlgorithm::Sha256), Some(wanted));
    assert_eq!(subject.digest.get(HashAlgorithm::Sha512), None);
    assert_eq!(subject.digest.iter().count(), 2);
}

#[test]
fn only_the_two_known_types_are_read() {
    for known in ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"] {
        let mut statement = right();
        statement["_type"] = Value::from(known);
        parse(&statement).unwrap();
    }
    for unknown in ["https://in-toto.io/Statement/v1.1", "https://in-toto.io/Statement/", ""] {
        let error = refused(|statement| statement["_type"] = Value::from(unknown));
        assert_eq!(error, ParseStatementError::UnknownType { found: unknown.to_owned() });
    }
    let error = refused(|statement| statement["_type"] = Value::from("x".repeat(1000)));
    assert_eq!(error, ParseStatementError::UnknownType { found: "x".repeat(128) });
}

#[test]
fn subjects_and_digests_are_bounded() {
    let subjects = |count| {
        let mut statement = right();
        statement["subject"] = Value::from(vec![statement["subject"][0].clone(); count]);
        statement
    };
    assert_eq!(parse(&subjects(SUBJECTS_MAX)).unwrap().subjects.len(), SUBJECTS_MAX);
    for found in [SUBJECTS_MAX + 1, 100_000] {
        let error = parse(&subjects(found)).unwrap_err();
        assert_eq!(error, ParseStatementError::TooManySubjects { found });
    }
    assert_eq!(parse(&subjects(0)).unwrap_err(), ParseStatementError::NoSubject);

    let digests = |count: usize| {
        let mut statement = right();
        let digests = (0..count).map(|number| (format!("algorithm {number}"), json!("00")));
        let second = json!({"digest": Value::Object(digests.collect())});
        statement["subject"] = json!([statement["subject"][0], second]);
        statement
    };
    parse(&digests(SUBJECT_DIGESTS_MAX)).unwrap();
    for count in [SUBJECT_DIGESTS_MAX + 1, 10_000] {
        let error = parse(&digests(count)).unwrap_err();
        assert_eq!(error, ParseStatementError::TooManyDigests { index: 1 });
    }
    assert_eq!(parse(&digests(0)).unwrap_err(), ParseStatementError::NoDigest { index: 1 });
}

#[test]
fn a_digest_counts_only_in_its_own_form() {
    for value in ["AB".repeat(32), "ab".repeat(31), "ab".repeat(33), "zz".repeat(32)] {
        let mut statement = right();
        statement["subject"][0]["digest"]["sha256"] = Value::from(value);
        let statement = parse(&statement).unwrap();
        assert_eq!(statement.subjects[0].digest.get(HashAlgorithm::Sha256), None);
        assert!(statement.subjects[0].digest.names(HashAlgorithm::Sha256));
    }
}

#[test]
fn what_stands_twice_is_refused() {
    let text = right().to_string();
    for (field, twice) in [
        ("\"sha256\":", "\"sha256\":\"00\",\"sha256\":"),
        ("\"_type\":", "\"_type\":\"a\",\"_type\":"),
        ("\"subject\":", "\"subject\":[],\"subject\":"),
        ("\"predicateType\":", "\"predicateType\":\"a\",\"predicateType\":"),
        ("\"predicate\":", "\"predicate\":1,\"predicate\":"),
    ] {
        let doubled = text.replacen(field, twice, 1);
        assert_ne!(doubled, text);
        let error = Statement::parse(doubled.as_bytes()).unwrap_err();
        assert!(matches!(error, ParseStatementError::Json(_)), "{field} {error:?}");
    }
}

#[test]
fn a_predicate_may_be_as_deep_as_it_likes() {
    const DEPTH: usize = 100_000;
    let deep = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let text = right().to_string();
    let nested = text.replacen("\"predicate\":", &format!("\"predicate\":{deep},\"x\":"), 1);
    assert_eq!(Statement::parse(nested.as_bytes()).unwrap().predicate.unwrap().get(), deep);
    let nested = text.replacen("\"subject\":[", &format!("\"subject\":[{deep},"), 1);
    let error = Statement::parse(nested.as_bytes()).unwrap_err();
    assert!(matches!(error, ParseStatementError::Json(_)), "{error:?}");
}

#[test]
fn a_wrong_field_is_an_error_or_changes_what_is_said() {
    let right_subjects = format!("{:?}", parse(&right()).unwrap().subjects[0].digest);
    for wrong in every_field_wrong(&right()) {
        let needed = ["/_type", "/subject", "/subject/0", "/subject/0/digest", "/predicateType"];
        match parse(&wrong.document) {
            Err(error) => assert!(error.to_string().len() < 400, "{error}"),
            Ok(_) if !needed.contains(&wrong.pointer.as_str()) => {}
            // Another text is another kind of predicate, and many equal subjects are subjects.
            Ok(_) if wrong.pointer == "/predicateType" => {}
            Ok(statement) => {
                let said = format!("{:?}", statement.subjects[0].digest);
                assert_ne!(said, right_subjects, "{} {}", wrong.pointer, wrong.how);
            }
        }
    }
}

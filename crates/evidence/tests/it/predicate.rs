//! Predicates: every name of Cosign's, every shape, and statements that every reader reads alike.

use evidence::predicate::reference::{
    DOCUMENTS_MAX, Document, OtherDocument, ParseReferenceError, REFERENCE,
};
use evidence::predicate::size::{self, Carrier, Limit};
use evidence::predicate::{DEPTH_MAX, GivenStatementError, PredicateError, check_given, names};
use evidence::statement::{ParseStatementError, StatementVersion};
use evidence::{Digest, PredicateType, Statement, UnixTime};
use serde_json::{Value, json};

const NOW: UnixTime = UnixTime::from_milliseconds(1_772_366_400_999);

fn digest(letters: &str) -> Digest {
    format!("sha256:{}", letters.repeat(32)).parse().unwrap()
}

fn predicate(kind: &str, content: &[u8]) -> Result<String, PredicateError> {
    let kind = PredicateType::parse(kind).unwrap();
    kind.predicate(content, NOW).map(|predicate| predicate.get().to_owned())
}

#[test]
fn every_name_of_cosigns_stands_for_its_type() {
    let table = [
        ("custom", "https://cosign.sigstore.dev/attestation/v1"),
        ("slsaprovenance", "https://slsa.dev/provenance/v0.2"),
        ("slsaprovenance02", "https://slsa.dev/provenance/v0.2"),
        ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
        ("spdx", "https://spdx.dev/Document"),
        ("spdxjson", "https://spdx.dev/Document"),
        ("cyclonedx", "https://cyclonedx.org/bom"),
        ("link", "https://in-toto.io/Link/v1"),
        ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
        ("openvex", "https://openvex.dev/ns"),
    ];
    assert_eq!(names(), table.map(|(name, _)| name));
    for (name, uri) in table {
        assert_eq!(PredicateType::parse(name).unwrap().uri(), uri);
    }
}

#[test]
fn a_uri_is_its_own_type_and_anything_else_none() {
    for uri in ["https://example.org/x", "urn:example:x", "x:y"] {
        assert_eq!(PredicateType::parse(uri).unwrap().uri(), uri);
    }
    for none in
        ["", "spdxx", "SPDX", "/x", "https:", ":x", "1x:y", "https://a b", "https://é", "x:\n"]
    {
        let error = PredicateType::parse(none).unwrap_err();
        assert!(error.to_string().contains("slsaprovenance1"), "{error}");
    }
    let long = format!("https://{}", "x".repeat(1024));
    assert_eq!(PredicateType::parse(&long).unwrap_err().found.len(), 128);
}

/// What each type takes, and what a file of another type lacks.
#[test]
fn each_type_takes_its_own_files_and_no_others() {
    let right = [
        ("spdxjson", json!({"spdxVersion": "SPDX-2.3"})),
        ("spdxjson", json!({"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"})),
        ("cyclonedx", json!({"bomFormat": "CycloneDX", "specVersion": "1.6"})),
        ("slsaprovenance", json!({"builder": {"id": "x"}})),
        ("slsaprovenance1", json!({"buildDefinition": {}, "runDetails": {}})),
        ("vuln", json!({"scanner": {"uri": "x"}, "invocation": {}, "metadata": {}})),
        ("openvex", json!({"@context": "https://openvex.dev/ns/v0.2.0"})),
        (
            "link",
            json!({"_type": "link", "name": "", "materials": {}, "products": {},
                   "byproducts": {}, "command": [], "environment": {}}),
        ),
        ("https://example.org/x", json!({})),
    ];
    for (kind, content) in &right {
        let text = content.to_string();
        assert_eq!(predicate(kind, text.as_bytes()).unwrap(), text, "{kind}");
        for (other, _) in &right[..8] {
            let alike = PredicateType::parse(other).unwrap() == PredicateType::parse(kind).unwrap();
            let outcome = predicate(other, text.as_bytes());
            if !alike {
                let error = outcome.unwrap_err();
                assert!(matches!(error, PredicateError::Shape { .. }), "{kind} as {other}");
                assert_eq!(error.hint(), Some("check that --type is the type of this file"));
            }
        }
    }
    for name in ["_type", "name", "materials", "products", "byproducts", "command", "environment"] {
        let mut link = right[7].1.clone();
        link.as_object_mut().unwrap().remove(name);
        let error = predicate("link", link.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, PredicateError::Shape { what: "in-toto link", .. }), "{name}");
    }
}

#[test]
fn a_mark_of_another_type_or_value_is_none() {
    for (kind, content) in [
        ("spdxjson", json!({"spdxVersion": 2.3})),
        ("spdxjson", json!({"@context": "https://openvex.dev/ns"})),
        ("cyclonedx", json!({"bomFormat": "cyclonedx"})),
        ("slsaprovenance02", json!({"builder": "x"})),
        ("slsaprovenance1", json!({"buildDefinition": {}})),
        ("slsaprovenance1", json!({"buildDefinition": [], "runDetails": {}})),
        ("vuln", json!({"scanner": null})),
        ("openvex", json!({"@context": "https://example.org"})),
    ] {
        let error = predicate(kind, content.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, PredicateError::Shape { .. }), "{kind} {content}: {error:?}");
    }
}

#[test]
fn custom_wraps_any_text_with_the_time() {
    for kind in ["custom", "https://cosign.sigstore.dev/attestation/v1"] {
        let made: Value =
            serde_json::from_str(&predicate(kind, b"no \"JSON\"\n").unwrap()).unwrap();
        assert_eq!(made, json!({"Data": "no \"JSON\"\n", "Timestamp": "2026-03-01T12:00:00Z"}));
        assert_eq!(predicate(kind, b"\xff"), Err(PredicateError::NotText));
    }
}

#[test]
fn spdx_in_its_own_words_is_text() {
    let text = "SPDXVersion: SPDX-2.3\n";
    assert_eq!(predicate("spdx", text.as_bytes()).unwrap(), "\"SPDXVersion: SPDX-2.3\\n\"");
}

#[test]
fn only_the_white_space_between_tokens_goes() {
    let given = "\u{20}{ \"a b\" :\t[ 1.50 , 1e2,\r\n 12345678901234567890123, \"\\\"  \\\\\" , \"\\u00e9 é\" ] }\n";
    let wanted = "{\"a b\":[1.50,1e2,12345678901234567890123,\"\\\"  \\\\\",\"\\u00e9 é\"]}";
    assert_eq!(predicate("https://example.org/x", given.as_bytes()).unwrap(), wanted);
}

#[test]
fn json_that_readers_read_differently_is_refused() {
    let refused = |text: &str| predicate("https://example.org/x", text.as_bytes()).unwrap_err();
    for text in [
        "",
        "{",
        "{}{}",
        "{\"a\":1,}",
        "NaN",
        "{\"a\":1,\"a\":1}",
        "{\"x\":[{\"\\u0061\":1,\"a\":2}]}",
    ] {
        assert!(matches!(refused(text), PredicateError::Json(_)), "{text}");
    }
    for text in ["[]", "null", "7", "\"{}\""] {
        assert_eq!(refused(text), PredicateError::NotAnObject, "{text}");
    }
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(matches!(refused(&nested(DEPTH_MAX)), PredicateError::Json(_)));
    assert!(predicate("https://example.org/x", nested(DEPTH_MAX - 2).as_bytes()).is_ok());
}

#[test]
fn statements_are_written_in_both_versions_and_read_back() {
    let kind = PredicateType::parse("cyclonedx").unwrap();
    let about = digest("ab");
    for (version, uri) in [
        (StatementVersion::V0_1, "https://in-toto.io/Statement/v0.1"),
        (StatementVersion::V1, "https://in-toto.io/Statement/v1"),
    ] {
        let content = br#"{ "bomFormat": "CycloneDX" }"#;
        let payload =
            kind.statement(version, "registry.example/app", &about, content, NOW).unwrap();
        let wanted = format!(
            "{{\"_type\":\"{uri}\",\"subject\":[{{\"name\":\"registry.example/app\",\"digest\":\
             {{\"sha256\":\"{}\"}}}}],\"predicateType\":\"https://cyclonedx.org/bom\",\"predicate\":\
             {{\"bomFormat\":\"CycloneDX\"}}}}",
            "ab".repeat(32)
        );
        assert_eq!(String::from_utf8(payload.clone()).unwrap(), wanted);
        assert!(Statement::parse(&payload).unwrap().subjects[0].digest.holds(&about));
        check_given(&payload, &about, Some(&kind)).unwrap();
    }
}

#[test]
fn a_given_statement_must_be_about_the_artifact_and_of_the_type() {
    let kind = PredicateType::parse("https://example.org/x").unwrap();
    let payload = kind.statement(StatementVersion::V1, "", &digest("ab"), b"{}", NOW).unwrap();
    check_given(&payload, &digest("ab"), None).unwrap();
    let error = check_given(&payload, &digest("cd"), None).unwrap_err();
    let found = vec![format!("sha256:{}", "ab".repeat(32))];
    assert_eq!(error, GivenStatementError::OtherSubject { wanted: digest("cd"), found });
    let sbom = PredicateType::parse("spdxjson").unwrap();
    let error = check_given(&payload, &digest("ab"), Some(&sbom)).unwrap_err();
    let found = "https://example.org/x".to_owned();
    let wanted = "https://spdx.dev/Document".to_owned();
    assert_eq!(error, GivenStatementError::OtherType { wanted, found });
    let none = check_given(b"{}", &digest("ab"), None).unwrap_err();
    assert!(matches!(none, GivenStatementError::Parse(ParseStatementError::Json(_))));
    let twice = String::from_utf8(payload)
        .unwrap()
        .replace("\"predicate\":{}", "\"predicate\":{\"a\":1,\"a\":2}");
    let error = check_given(twice.as_bytes(), &digest("ab"), None).unwrap_err();
    assert!(matches!(error, GivenStatementError::Json(_)), "{error:?}");
}

fn document(content: &[u8]) -> Document {
    Document {
        digest: crypto::Hash::of(crypto::HashAlgorithm::Sha256, content).into(),
        size: content.len() as u64,
        media_type: "application/spdx+json".to_owned(),
        predicate_type: "https://spdx.dev/Document".to_owned(),
        location: "oci://registry.example/app@sha256:00".to_owned(),
    }
}

fn referring(predicate: &str) -> Statement {
    let kind = PredicateType::parse(REFERENCE).unwrap();
    let about = digest("ab");
    let payload =
        kind.statement(StatementVersion::V1, "", &about, predicate.as_bytes(), NOW).unwrap();
    Statement::parse(&payload).unwrap()
}

#[test]
fn a_reference_names_its_document_and_reads_back() {
    let document = document(b"the document");
    let predicate = document.predicate("https://example.org/ci");
    let written: Value = serde_json::from_str(predicate.get()).unwrap();
    assert_eq!(written["attester"]["id"], "https://example.org/ci");
    assert_eq!(written["references"][0]["mediaType"], "application/spdx+json");
    assert_eq!(Document::of(&referring(predicate.get())).unwrap(), [document]);
}

#[test]
fn a_document_is_checked_by_size_and_content_as_it_comes() {
    let document = document(b"the document");
    let check = |pieces: &[&[u8]]| {
        let mut checker = document.checker();
        pieces.iter().try_for_each(|piece| checker.update(piece))?;
        checker.finish()
    };
    check(&[b"the ", b"", b"document"]).unwrap();
    assert_eq!(check(&[b"the "]), Err(OtherDocument::Size { wanted: 12, found: 4 }));
    assert_eq!(
        check(&[b"the ", b"document", b"!"]),
        Err(OtherDocument::Size { wanted: 12, found: 13 })
    );
    assert!(matches!(check(&[b"the Document"]), Err(OtherDocument::Digest { .. })));
}

#[test]
fn a_reference_that_cannot_be_checked_is_refused() {
    let right: Value = serde_json::from_str(document(b"x").predicate("a").get()).unwrap();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut predicate = right.clone();
        change(&mut predicate);
        Document::of(&referring(&predicate.to_string())).unwrap_err()
    };
    for (pointer, what) in [
        ("/references/0/digest", "a digest in a known algorithm"),
        ("/references/0/mediaType", "`mediaType`"),
        ("/references/0/downloadLocation", "`downloadLocation`"),
        ("/references/0/annotations", "the annotation `size`"),
        ("/references/0/annotations/size", "the annotation `size`"),
        ("/references/0/annotations/predicateType", "the annotation `predicateType`"),
    ] {
        let error = refused(&|predicate| {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            predicate.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        });
        assert_eq!(error, ParseReferenceError::Incomplete { index: 0, what }, "{pointer}");
    }
    let weak = refused(&|it| it["references"][0]["digest"] = json!({"sha1": "00".repeat(20)}));
    assert!(matches!(weak, ParseReferenceError::Incomplete { .. }), "{weak:?}");
    let none = refused(&|it| it["references"] = json!([]));
    assert_eq!(none, ParseReferenceError::Count { found: 0 });
    let many = refused(&|it| {
        it["references"] = vec![it["references"][0].clone(); DOCUMENTS_MAX + 1].into();
    });
    assert_eq!(many, ParseReferenceError::Count { found: DOCUMENTS_MAX + 1 });
    assert!(matches!(refused(&|it| *it = json!({})), ParseReferenceError::Json(_)));
    let kind = PredicateType::parse("https://example.org/x").unwrap();
    let payload = kind.statement(StatementVersion::V1, "", &digest("ab"), b"{}", NOW).unwrap();
    let other = Document::of(&Statement::parse(&payload).unwrap()).unwrap_err();
    assert!(matches!(other, ParseReferenceError::OtherType { .. }));
}

#[test]
fn what_is_too_large_is_known_before_it_is_sent() {
    let limit = Limit { carrier: Carrier::LogRequest, max: 4 << 20, whose: "the test's" };
    size::check(3_000_000, &[limit]).unwrap();
    let error = size::check(3_200_000, &[size::COSIGN, limit]).unwrap_err();
    assert_eq!((error.statement, error.limit), (3_200_000, limit));
    assert!(error.to_string().contains("a log request of about 4283052 bytes"), "{error}");
    assert!(error.hint().contains("--by-digest"));
    assert!(size::check(3_200_000, &[size::COSIGN]).is_ok());
    assert!(size::check(46_000_000, &[size::PUBLIC_LOG]).is_err());
    assert!(size::check(u64::MAX, &[size::COSIGN]).is_err());
}

#[test]
fn a_measure_is_never_less_than_what_is_made() {
    use base64::Engine;
    for length in [0_usize, 1, 2, 3, 1000, 100_001] {
        let encoded = base64::engine::general_purpose::STANDARD.encode(vec![b'x'; length]);
        assert!(size::carried(Carrier::Bundle, length as u64) >= encoded.len() as u64);
    }
}

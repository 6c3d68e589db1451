//! What every language has in common: bounds, facts, and that no answer is never a yes.

mod cel;
mod cue;
mod rego;

use std::time::Duration;

use evidence::certificate::FulcioExtension;
use policy::language::{BadProgram, Facts, INPUT_SIZE_MAX, Language, PROGRAM_SIZE_MAX, Program};
use serde_json::{Value, json};
use verify::Objection;

/// Time that no program here takes, however slow the machine: what ends then ends for another reason.
const AMPLE: Duration = Duration::from_secs(600);

const ALL: [Language; 4] = [Language::RegoV0, Language::RegoV1, Language::Cel, Language::Cue];

/// A program in that language that accepts every statement.
fn accepting(language: Language) -> &'static str {
    match language {
        Language::RegoV0 => "package signature\nallow { true }",
        Language::RegoV1 => "package signature\nallow if true",
        Language::Cel => "true",
        Language::Cue => "predicateType: string",
    }
}

fn load(language: Language, text: &str) -> Program {
    language.load("test", text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn refused(language: Language, text: &str) -> BadProgram {
    match language.load("test", text) {
        Err(error) => error,
        Ok(_) => panic!("taken: {text}"),
    }
}

fn statement() -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "subject": [{"name": "registry.example/app", "digest": {"sha256": "ab"}}],
        "predicateType": "https://cosign.sigstore.dev/attestation/vuln/v1",
        "predicate": {
            "scanner": {"uri": "pkg:github/aquasecurity/trivy@0.58", "version": "0.58.1"},
            "metadata": {"scanFinishedOn": "2026-03-01T12:00:00Z"},
            "findings": [{"id": "CVE-1", "score": 4.5}, {"id": "CVE-2", "score": 7}],
        },
    })
}

fn facts() -> Facts {
    Facts {
        issuer: Some("https://issuer.example".to_owned()),
        subject: Some("ci@example.org".to_owned()),
        extensions: vec![(FulcioExtension::SourceRepositoryRef, "refs/heads/main".to_owned())],
        key: "a2V5".to_owned(),
        digest: format!("sha256:{}", "ab".repeat(32)),
        seen: Some(1_772_366_400),
        now: 1_772_366_400 + 3600,
    }
}

fn judge(program: &Program, statement: &Value) -> Result<(), Objection> {
    program.decide(statement.to_string().as_bytes(), &facts())
}

fn accepts(language: Language, text: &str) -> bool {
    match judge(&load(language, text), &statement()) {
        Ok(()) => true,
        Err(Objection::Refused { .. }) => false,
        Err(Objection::Failed { problem }) => panic!("{problem}\n{text}"),
    }
}

fn problem(language: Language, text: &str, statement: &Value) -> String {
    match judge(&load(language, text), statement) {
        Err(Objection::Failed { problem }) => problem,
        other => panic!("{other:?}\n{text}"),
    }
}

fn failed(problem: &str) -> Objection {
    Objection::Failed { problem: problem.to_owned() }
}

#[test]
fn the_language_of_a_file_is_told_by_its_name() {
    let of = |name| Language::of_file(name);
    assert_eq!(of("a.rego"), Some(Language::RegoV0));
    assert_eq!(of("dir.cue/a.cel"), Some(Language::Cel));
    assert_eq!(of("a.cue"), Some(Language::Cue));
    assert_eq!((of("a.json"), of("rego"), of("a.REGO")), (None, None, None));
}

#[test]
fn what_is_no_json_or_too_deep_or_too_long_is_no_yes_in_any_language() {
    for language in ALL {
        let program = load(language, accepting(language));
        judge(&program, &statement()).unwrap_or_else(|error| panic!("{language:?}: {error:?}"));
        let deep =
            format!("{{\"predicateType\":\"x\",\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        let long = format!("{{\"predicateType\":\"{}\"}}", "x".repeat(INPUT_SIZE_MAX));
        for input in [b"".as_slice(), b"{", b"\xff", b"{} {}", deep.as_bytes(), long.as_bytes()] {
            let outcome = program.decide(input, &facts());
            let shown = &input[..input.len().min(20)];
            assert!(
                matches!(outcome, Err(Objection::Failed { .. })),
                "{language:?} {shown:?}: {outcome:?}"
            );
        }
    }
}

/// With no time at all, what takes more than a few steps comes to no answer.
#[test]
fn time_is_bounded_in_every_language() {
    let mut large = statement();
    large["predicate"] = json!((0..2000).collect::<Vec<u32>>());
    for (language, text) in [
        (
            Language::RegoV0,
            "package signature\nallow { count([1 | input.predicate[_] >= 0]) == 2000 }",
        ),
        (Language::RegoV1, "package signature\nallow if every n in input.predicate { n >= 0 }"),
        (Language::Cel, "predicate.all(n, n >= 0)"),
        (Language::Cue, "predicate: [...>=0]"),
    ] {
        judge(&load(language, text).within(AMPLE), &large).unwrap();
        let outcome = judge(&load(language, text).within(Duration::ZERO), &large);
        let Err(Objection::Failed { problem }) = outcome else {
            panic!("{language:?}: {outcome:?}")
        };
        assert!(problem.contains("time") || problem == "more than 0ns", "{language:?}: {problem}");
    }
}

/// One step may look through a whole text, which nothing interrupts.
#[test]
fn an_answer_that_comes_late_is_none() {
    let text = "true || predicate.findings[0].id.matches('^CVE')";
    judge(&load(Language::Cel, text).within(AMPLE), &statement()).unwrap();
    let outcome = judge(&load(Language::Cel, text).within(Duration::ZERO), &statement());
    assert!(matches!(&outcome, Err(Objection::Failed { problem }) if problem == "more than 0ns"));
}

#[test]
fn programs_are_read_up_to_a_bound() {
    for language in ALL {
        let comment =
            if matches!(language, Language::RegoV0 | Language::RegoV1) { "# " } else { "// " };
        let line = format!("{comment}{}\n", "x".repeat(90));
        let text = format!("{}{}", accepting(language), "\n") + &line.repeat(PROGRAM_SIZE_MAX / 90);
        assert!(refused(language, &text).problem.contains("longer than"), "{language:?}");
    }
}

#[test]
fn an_empty_program_asks_nothing_and_is_refused() {
    for language in ALL {
        for text in ["", "\n", "// nothing", "# nothing"] {
            assert!(language.load("test", text).is_err(), "{language:?} {text:?}");
        }
    }
}

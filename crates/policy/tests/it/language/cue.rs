//! CUE: the part that is read, as the language has it; the rest is refused where it stands.

use policy::Language::Cue;
use serde_json::json;
use verify::Objection;

use super::{AMPLE, accepts, failed, judge, load, refused, statement};

fn said(text: &str) -> String {
    match judge(&load(Cue, text), &statement()) {
        Err(Objection::Refused { said }) => said.join("; "),
        other => panic!("{other:?}\n{text}"),
    }
}

#[test]
fn a_policy_written_for_cosign_reads() {
    let policy = r##"
        package policy // what the scanner must say
        predicateType: "https://cosign.sigstore.dev/attestation/vuln/v1"
        predicate: {
            scanner: uri: =~"^pkg:github/aquasecurity/trivy@",
            scanner: version: string & =~#"^0\.\d+\.\d+$"#
            findings: [...{id: =~"^CVE-", score: <8, ...}]
            "metadata"?: {...}
        }
        subject: [{name: "registry.example/app", digest: sha256: string}, ...]
    "##;
    assert!(accepts(Cue, policy));
}

#[test]
fn what_holds_and_what_does_not() {
    let table = [
        ("predicate: scanner: version: string", "predicate: scanner: version: int"),
        ("predicate: findings: [_, _]", "predicate: findings: [_]"),
        ("predicate: findings: [_, ...]", "predicate: findings: [_, _, _, ...]"),
        ("predicate: findings: [...]", "predicate: findings: {}"),
        ("predicate: findings: [...{id: string}]", "predicate: findings: [...{id: \"CVE-1\"}]"),
        (
            "predicate: findings: [{score: float}, {score: int}]",
            "predicate: findings: [{score: int}, _]",
        ),
        (
            "predicate: findings: [{score: number & >4 & <=4.5}, _]",
            "predicate: findings: [{score: >4.5}, _]",
        ),
        ("predicate: findings: [_, {score: 7}]", "predicate: findings: [_, {score: 7.0}]"),
        ("predicate: findings: [_, {score: >=7.0}]", "predicate: findings: [_, {score: !=7}]"),
        ("predicate: scanner: version: >\"0.5\"", "predicate: scanner: version: <\"0.5\""),
        ("predicate: scanner: version: !=null", "predicate: scanner: version: null"),
        ("predicate: scanner: version: !~\"^1\"", "predicate: scanner: version: !~\"^0\""),
        (
            "predicate: scanner: version: \"1\" | =~\"^0\"",
            "predicate: scanner: version: \"1\" | \"2\"",
        ),
        (
            "predicate: scanner: version: *\"1\" | \"0.58.1\"",
            "predicate: scanner: version: *\"1\" | \"2\"",
        ),
        ("predicate: scanner: version: _", "predicate: scanner: versio: _"),
        ("predicate: absent?: string", "predicate: absent!: string"),
        ("predicate: scanner?: {version: string}", "predicate: scanner?: {version: int}"),
        ("predicate: scanner: {[string]: string}", "predicate: scanner: {[string]: int}"),
        (
            "predicate: scanner: {[=~\"^ver\"]: =~\"^0\"}",
            "predicate: scanner: {[=~\"^ver\"]: =~\"^1\"}",
        ),
        (
            "predicate: scanner: {uri: string} & {version: string}",
            "predicate: scanner: {uri: string} & {x: _}",
        ),
        (
            "predicate: scanner: uri: string\npredicate: scanner: version: string",
            "predicate: scanner: uri: string\npredicate: scanner: uri: int",
        ),
        ("predicate: {scanner: _} | null", "predicate: null | {x: _} | string"),
        ("predicate: (({scanner: _}))", "predicate: ((null))"),
        (
            "predicate: findings: [{id: \"\\u0043VE\\u002d1\"}, _]",
            "predicate: findings: [{id: #\"\\u0043VE-1\"#}, _]",
        ),
    ];
    for (yes, no) in table {
        assert!(accepts(Cue, yes), "{yes}");
        assert!(!accepts(Cue, no), "{no}");
    }
}

#[test]
fn definitions_close_their_structs_all_the_way_down() {
    let of = |body: &str| format!("predicate: scanner: #Scanner\n#Scanner: {body}");
    assert!(accepts(Cue, &of("{uri: string, version: string}")));
    assert!(!accepts(Cue, &of("{uri: string}")));
    assert_eq!(said(&of("{uri: string}")), "predicate.scanner.version: this field is not allowed");
    assert!(accepts(Cue, &of("{uri: string, ...}")));
    assert!(accepts(Cue, &of("{uri: string, [=~\"^v\"]: string}")));
    assert!(accepts(Cue, &of("{uri: string, version?: string}")));
    assert!(!accepts(Cue, "predicate: #P\n#P: {scanner: {uri: string}, ...}"));
    assert!(accepts(Cue, "predicate: #P\n#P: {scanner: {uri: string, ...}, ...}"));
    // Outside of definitions structs are open, beside them closedness stays.
    assert!(accepts(Cue, "predicate: scanner: {uri: string}"));
    assert!(!accepts(Cue, "predicate: scanner: #S & {version: string}\n#S: {uri: string}"));
    assert!(accepts(
        Cue,
        "predicate: #A\n#A: {scanner: #B, ...}\n#B: {uri: #U, ...}\n#U: =~\"trivy\""
    ));
}

#[test]
fn what_is_not_as_wanted_is_told_with_its_place() {
    assert_eq!(
        said("predicate: scanner: version: =~\"^1\""),
        "predicate.scanner.version: wanted =~\"^1\", found \"0.58.1\""
    );
    assert_eq!(said("predicate: builder: _"), "predicate.builder: it is missing");
    assert_eq!(
        said("predicate: findings: [...{score: <5 | 6}]"),
        "predicate.findings.1.score: wanted <5 | 6, found 7"
    );
    assert_eq!(said("subject: [_, _, ...]"), "subject: wanted 2 or more items, found 1");
    assert_eq!(
        said("predicate: scanner: string"),
        "predicate.scanner: wanted string, found an object"
    );
}

#[test]
fn whole_numbers_keep_their_size_and_kind() {
    let mut large = statement();
    large["predicate"] = json!({"n": 9_007_199_254_740_993_u64, "big": u64::MAX});
    judge(&load(Cue, "predicate: n: 9007199254740993"), &large).unwrap();
    assert!(judge(&load(Cue, "predicate: n: 9007199254740992"), &large).is_err());
    judge(&load(Cue, "predicate: n: >9007199254740992"), &large).unwrap();
    judge(&load(Cue, "predicate: big: 18446744073709551615 & int & >=-1"), &large).unwrap();
    assert!(judge(&load(Cue, "predicate: n: float"), &large).is_err());
}

#[test]
fn what_is_not_read_is_refused_where_it_stands() {
    for (line, what) in [
        ("import \"time\"", "`import`"),
        ("predicate: time.Parse(\"x\")", "`time`"),
        ("predicate: scanner", "scanner"),
        ("predicate: 1 + 2", "`+`"),
        ("predicate: \"a\" * 3", "`*`"),
        ("predicate: #D.x\n#D: {x: 1}", "`.`"),
        ("predicate: #D[0]\n#D: [1]", "`[`"),
        ("predicate: strings.MinRunes(3)", "`strings`"),
        ("predicate: close({a: 1})", "close"),
        ("if true { predicate: 1 }", "if"),
        ("for x in [1] { predicate: x }", "for"),
        ("let x = 1", "let"),
        ("_hidden: 1", "hidden"),
        ("#D", "`:`"),
        ("{predicate: 1}", "embeddings"),
        ("predicate: {#D, a: 1}\n#D: {b: 1}", "`:`"),
        ("X=predicate: 1", "`=`"),
        ("predicate: 1 @go(x)", "attributes"),
        ("predicate: \"\\(x)\"", "interpolation"),
        ("predicate: \"\"\"\n x\n \"\"\"", "several lines"),
        ("predicate: 'bytes'", "bytes"),
        ("predicate: _|_", "_|_"),
        ("predicate: {a: #D}\npredicate: {#D: 1}", "definitions"),
        ("predicate: #Missing", "#Missing"),
        ("predicate: #D\n#D: {a: #D}", "itself"),
        ("predicate: #D\n#D: {a: #E}\n#E: [...#D]", "itself"),
        ("predicate: #D\n#D: 1\n#D: int", "several parts"),
        ("predicate: {..., ...string}", "`...`"),
        ("predicate: =~\"(\"", "regular expression"),
        ("predicate: =~7", "wants a text"),
        ("predicate: <null", "wants a number"),
        ("predicate: 0x10", "0x10"),
        ("predicate: 1K", "1K"),
        ("predicate: 01", "01"),
        ("predicate: \"open", "closing quote"),
        ("predicate: \"\\q\"", "escape"),
        ("predicate: {a: 1", "wanted"),
        ("predicate: [1, 2", "wanted"),
        ("predicate:", "wanted a value"),
        ("predicate 1", "`:`"),
        ("predicate: 1 predicateType: 2", "after a value"),
        ("predicate: \u{7f} 1", "wanted a value"),
    ] {
        let error = refused(Cue, &format!("predicateType: string\n{line}"));
        assert!(error.problem.contains(what), "{line}: {error}");
        assert!(error.line.is_some_and(|line| line >= 2), "{line}: {error:?}");
    }
    assert!(refused(Cue, "import \"time\"\npredicate: 1").problem.contains("import"));
    assert!(refused(Cue, "#D: {a: 1}").problem.contains("asks nothing"));
    let deep = format!("predicate: {}1{}", "[".repeat(65), "]".repeat(65));
    assert!(refused(Cue, &deep).problem.contains("deeper than 64"));
    let deep = format!("predicate: {}1", "a: ".repeat(100_000 / 3));
    assert!(refused(Cue, &deep).problem.contains("deeper than 64"));
}

#[test]
fn definitions_that_multiply_are_given_up() {
    let mut policy = String::from("predicate: #D30\n#D0: \"x\"\n");
    for n in 1..=30 {
        policy.push_str(&format!("#D{n}: #D{} | #D{}\n", n - 1, n - 1));
    }
    let outcome = judge(&load(Cue, &policy).within(AMPLE), &statement());
    assert_eq!(outcome.unwrap_err(), failed("more than 4000000 comparisons"));
}

/// What is looked through counts, not only how often: a statement may be one long text.
#[test]
fn long_texts_are_as_many_comparisons() {
    let mut long = statement();
    long["predicate"] = json!("x".repeat(1 << 20));
    let looked_through =
        |times: usize| format!("predicate: {}", ["=~\"x$\""; 256][..times].join(" & "));
    judge(&load(Cue, &looked_through(200)).within(AMPLE), &long).unwrap();
    let outcome = judge(&load(Cue, &looked_through(256)).within(AMPLE), &long);
    assert_eq!(outcome.unwrap_err(), failed("more than 4000000 comparisons"));
}

/// Nothing interrupts a match, so that its length is bounded: the more so, the larger the expression.
#[test]
fn an_expression_looks_through_texts_of_a_bounded_length() {
    for (expression, most) in [("x$", 1 << 20), ("[a-z]{1000}[a-z]{1000}[a-z]{1000}$", 64 << 10)] {
        let mut long = statement();
        for policy in ["", "_ & ", "!~\"y\" & "] {
            let program = load(Cue, &format!("predicate: {policy}=~{expression:?}"));
            long["predicate"] = json!("x".repeat(most));
            judge(&program, &long).unwrap();
            long["predicate"] = json!("x".repeat(most + 1));
            let Err(Objection::Failed { problem }) = judge(&program, &long) else {
                panic!("{policy}")
            };
            let wanted = format!("a text of {} bytes is longer than the {most} that", most + 1);
            assert!(problem.starts_with(&wanted), "{problem}");
        }
    }
    let mut long = statement();
    long["predicate"] = json!("x".repeat((1 << 20) + 1));
    let program = load(Cue, "predicate: =~\"x\" | string");
    assert!(matches!(judge(&program, &long), Err(Objection::Failed { .. })), "it was not known");
}

/// Neither another way of a disjunction nor a pattern gets over it that a bound was reached.
#[test]
fn nothing_gets_over_a_bound() {
    let mut multiplied = String::from("#D0: \"x\"\n");
    for n in 1..=30 {
        multiplied.push_str(&format!("#D{n}: #D{} | #D{}\n", n - 1, n - 1));
    }
    for policy in ["predicate: #D30 | _", "predicate: {[#D30]: string, ...}", "predicate: _ & #D30"]
    {
        let program = load(Cue, &format!("{policy}\n{multiplied}")).within(AMPLE);
        let outcome = judge(&program, &statement());
        assert_eq!(outcome.unwrap_err(), failed("more than 4000000 comparisons"), "{policy}");
    }
}

#[test]
fn what_a_policy_may_compile_is_bounded() {
    let expressions = |count: usize| {
        let all: Vec<_> = (0..count).map(|n| format!("=~\"a{n}\"")).collect();
        format!("predicate: {}", all.join(" | "))
    };
    load(Cue, &expressions(256));
    assert_eq!(refused(Cue, &expressions(257)).problem, "more than 256 regular expressions");
}

/// The comparison recurses as deep as definitions lead on from one to the next.
#[test]
fn definitions_lead_on_only_so_far() {
    let chain = |length: usize, next: fn(usize) -> String| {
        let mut policy = format!("predicate: #D{length}\n#D0: _\n");
        for n in 1..=length {
            policy.push_str(&format!("#D{n}: {}\n", next(n - 1)));
        }
        policy
    };
    let plain = |below: usize| format!("#D{below}");
    assert!(accepts(Cue, &chain(200, plain)));
    let nested =
        |below: usize| format!("({}#D{below}{})", "(1 | (2 & ".repeat(20), "))".repeat(20));
    for too_deep in [chain(14_000, plain), chain(200, nested)] {
        let error = refused(Cue, &too_deep);
        assert!(error.problem.contains("deeper than 256"), "{error}");
        assert!(error.line.is_some(), "{error:?}");
    }
    // In a circle they would lead on for ever, however far around it is.
    let circle = chain(3, plain) + "#E: {a: #F}\n#F: [...#G]\n#G: 1 | #E\n";
    assert!(refused(Cue, &circle).problem.contains("itself"));
}

#[test]
fn a_statement_that_is_no_object_is_refused() {
    let program = load(Cue, "predicate?: string");
    let outcome = judge(&program, &json!([1]));
    assert!(matches!(outcome, Err(Objection::Refused { .. })), "{outcome:?}");
}

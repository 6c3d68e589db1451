//! CEL: what it sees, what is refused when it is loaded, and how much it may do.

use policy::Language::Cel;
use policy::language::cel::EXPRESSION_SIZE_MAX;
use serde_json::json;

use super::{AMPLE, accepts, failed, judge, load, problem, refused, statement};

#[test]
fn an_expression_sees_the_statement_and_who_signed_it() {
    for yes in [
        "input.predicateType.startsWith('https://cosign.sigstore.dev/')",
        "predicate.scanner.version == '0.58.1'",
        "predicate.findings.all(f, f.score < 8.0 || f.id == 'CVE-2')",
        "predicate.findings.exists_one(f, f.score == 7)",
        "predicate.findings.filter(f, f.score > 5.0).size() == 1",
        "predicate.findings.map(f, f.id) == ['CVE-1', 'CVE-2']",
        "has(predicate.scanner) && !has(predicate.absent)",
        "input.subject[0].digest.sha256.matches('^a[b]$')",
        "signer.issuer == 'https://issuer.example' && signer.subject.endsWith('@example.org')",
        "signer.extensions.SourceRepositoryRef == 'refs/heads/main'",
        "digest.startsWith('sha256:abab') && now - seen == 3600",
        "int('7') + 1 == 8 && string(8) == '8' && size('abc') == 3",
        "'CVE-1' in predicate.findings.map(f, f.id)",
    ] {
        assert!(accepts(Cel, yes), "{yes}");
        assert!(!accepts(Cel, &format!("!({yes})")), "{yes}");
    }
}

/// "Language Definition", "Regular Expressions": RE2's, which match anywhere.
#[test]
fn regular_expressions_are_those_of_re2() {
    for yes in [
        "'abc'.matches('b')",
        "matches('abc', '^a')",
        r"'7'.matches(r'^\d$')",
        "'a'.matches('[b&&a]')",
    ] {
        assert!(accepts(Cel, yes), "{yes}");
    }
    // Another dialect's digits, and its intersection above.
    assert!(!accepts(Cel, "'\u{0663}'.matches(r'\\d')"));
    let problem = problem(Cel, r"'a'.matches(r'\pL')", &statement());
    assert!(problem.contains("Unicode class"), "{problem}");
}

#[test]
fn only_a_boolean_true_is_a_yes() {
    for (other, said) in [("1", "int"), ("'true'", "string"), ("[true]", "list"), ("null", "null")]
    {
        let problem = problem(Cel, other, &statement());
        assert!(problem.contains("not a Boolean") && problem.contains(said), "{problem}");
    }
}

#[test]
fn an_error_is_no_answer_and_says_little_of_the_statement() {
    for (asks, said) in [
        ("predicate.absent == 1", "absent"),
        ("predicate.scanner > 1", "types"),
        ("1 / 0 == 1", "Division"),
        ("predicate.findings[7].id == ''", "IndexOutOfBounds"),
        ("input.subject[0].name.matches('(')", "matches"),
        ("input.subject[0].name.matches(1)", "is wanted"),
        ("input.subject.matches('a')", "is wanted"),
    ] {
        let problem = problem(Cel, asks, &statement());
        assert!(problem.contains(said), "{asks}: {problem}");
        assert!(problem.len() < 300 && !problem.contains("trivy"), "{asks}: {problem}");
    }
}

#[test]
fn names_and_functions_that_there_are_not_are_refused_with_their_line() {
    for (text, name) in [
        ("true &&\n  predicat.x == 1", "predicat"),
        ("[1].all(x,\n  y == 1)", "y"),
        ("[1].all(x, true) &&\n x == 1", "x"),
        ("true ||\n http('x')", "http"),
        ("input.x.\nfetch()", "fetch"),
        ("true &&\n timestamp('2026-01-01T00:00:00Z') < now", "timestamp"),
        ("true &&\n x_y(1)", "x_y"),
    ] {
        let error = refused(Cel, text);
        assert!(error.problem.contains(&format!("`{name}`")), "{text}: {error}");
        assert_eq!(error.line, Some(2), "{text}: {error}");
    }
    refused(Cel, "@step()");
    refused(Cel, "Message{a: 1} == 2");
    let error = refused(Cel, "true &&\n&& false");
    assert_eq!(error.line, Some(2), "{error}");
}

#[test]
fn loops_within_loops_end() {
    let mut large = statement();
    large["predicate"] = json!((0..2000).collect::<Vec<u32>>());
    let one = "predicate.all(a, a >= 0)";
    judge(&load(Cel, one), &large).unwrap();
    for nested in [
        "predicate.all(a, predicate.all(b, a + b >= 0))",
        "predicate.all(a, predicate.all(b, a + b >= 0)) || true",
        "predicate.filter(a, predicate.all(b, b >= 0)).size() > 0",
        "predicate.exists(a, predicate.all(b, b >= 0) && false)",
    ] {
        let outcome = judge(&load(Cel, nested).within(AMPLE), &large);
        assert_eq!(outcome.unwrap_err(), failed("more than 250000 steps"), "{nested}");
    }
}

#[test]
fn steps_that_are_slow_end_in_time() {
    let mut large = statement();
    large["predicate"] = json!((0..240_000).collect::<Vec<u32>>());
    // Each turn copies what was gathered before: half a terabyte in all.
    assert_eq!(problem(Cel, "predicate.map(a, [a]).size() == 240000", &large), "more than 5s");
    large["predicate"] = json!((0..500).collect::<Vec<u32>>());
    judge(&load(Cel, "predicate.map(a, [a]).size() == 500").within(AMPLE), &large).unwrap();
}

#[test]
fn an_expression_looks_through_texts_of_a_bounded_length() {
    let mut long = statement();
    long["predicate"] = json!("x".repeat(1 << 20));
    let asked = "predicate.matches('x$')";
    judge(&load(Cel, asked), &long).unwrap();
    long["predicate"] = json!("x".repeat((1 << 20) + 1));
    let problem = problem(Cel, asked, &long);
    assert!(problem.contains("a text of 1048577 bytes is longer than the 1048576"), "{problem}");
}

#[test]
fn nothing_grows_with_every_turn() {
    let error = refused(Cel, "predicate.findings.map(f, f.id + predicate.scanner.uri).size() > 0");
    assert!(error.problem.contains("`+`"), "{error}");
    refused(Cel, "predicate.findings.map(f, f.score > 1.0, [f.id] + ['x']).size() > 0");
    refused(Cel, "predicate.findings.map(f, {'a': [1].map(g, 'x' + f.id)}).size() > 0");
    assert!(accepts(Cel, "predicate.findings.filter(f, f.id + '!' == 'CVE-1!').size() == 1"));
    assert!(accepts(Cel, "predicate.findings.map(f, f.id + '!' == 'CVE-1!', f.id) == ['CVE-1']"));
    assert!(accepts(Cel, "predicate.findings.exists(f, f.id + '!' == 'CVE-1!')"));
}

#[test]
fn text_that_nests_deep_is_refused_before_it_is_parsed() {
    let size = EXPRESSION_SIZE_MAX;
    for text in [
        format!("{}true{}", "(".repeat(33), ")".repeat(33)),
        "[".repeat(size),
        "!".repeat(size - 4) + "true",
        "-".repeat(size - 4) + "1",
        "1+".repeat(size / 2 - 1) + "1",
        "input".to_owned() + &".a".repeat(size / 2 - 3),
        "input".to_owned() + &"[0]".repeat(size / 3 - 3),
        "1".to_owned() + &" in 1".repeat(size / 5 - 3),
        format!("{}true{}", "true ? ".repeat(1025), " : true".repeat(2)),
    ] {
        let problem = refused(Cel, &text).problem;
        assert!(problem.contains("nested too deep"), "{problem}");
    }
    assert!(refused(Cel, &"a".repeat(size + 1)).problem.contains("longer"));
}

/// What a quote or a comment seems to hold back from the count must not reach the parser either.
#[test]
fn nothing_hides_in_quotes_or_comments() {
    let deep = format!("{}true{}", "(".repeat(3000), ")".repeat(3000));
    let chain = "1+".repeat(2000) + "1 == 2001";
    for nested in [deep, chain] {
        for before in [
            "// don't\n",
            "// \"\n",
            r"r'\' == '' || ",
            r"R'\' == '' || ",
            r#"br"\" == b"" || "#,
            r#"rb"\" == b"" || "#,
            "'''it's''' == '' || ",
            r#""""say "no""\"""" == "" || "#,
            "'\n",
            r"'\q",
            "xr'\\' ' || ",
            "`a//b` == '' || ",
            "`a//b(\n",
        ] {
            refused(Cel, &format!("{before}{nested}"));
        }
    }
}

#[test]
fn texts_and_comments_nest_nothing() {
    let brackets = "([{".repeat(100);
    let operators = "!".repeat(600);
    for text in [
        format!("'{brackets}' != ''"),
        format!("\"{operators}\" != ''"),
        format!("'\\'{brackets}\\x21\\u0021\\U00000021\\041' != \"'\""),
        format!("r'{brackets}\\' != '' && R\"\\\" == '\\\\'"),
        format!("b'{brackets}' != b'' && br'\\' == b'\\\\'"),
        format!("'''it's\n{brackets}''' != '' && \"\"\"a\"\"\" == r\"\"\"a\"\"\""),
        format!("// don't {brackets} {operators}\ntrue"),
        "'CVE-1' in['CVE-1'] && 'a' in{'a': 1}".to_owned(),
        "'' == ''".to_owned(),
    ] {
        assert!(accepts(Cel, &text), "{text}");
    }
}

#[test]
fn the_longest_chains_that_are_taken_are_judged() {
    for text in [
        format!("{}true{}", "(".repeat(32), ")".repeat(32)),
        "!".repeat(512) + "true",
        "1+".repeat(500) + "1 == 501",
        "true && ".repeat(256) + "true",
        "false ? false : ".repeat(90) + "true",
        "has(input".to_owned() + &".subject".repeat(500) + ") || true",
        "input".to_owned() + &"[0]".repeat(500) + " == 1 || true",
    ] {
        judge(&load(Cel, &text), &statement()).unwrap();
    }
}

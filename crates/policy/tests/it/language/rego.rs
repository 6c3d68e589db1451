//! Rego: Cosign's query, both versions of the language, and no function that asks the world.

use policy::Language::{RegoV0, RegoV1};
use verify::Objection;

use super::{accepts, facts, judge, load, problem, refused, statement};

fn v1(body: &str) -> String {
    format!("package signature\n{body}")
}

#[test]
fn policies_written_for_cosign_mean_what_they_mean_there() {
    let policy = |limit: &str| {
        format!(
            "package signature\n\
             default allow = false\n\
             allow {{\n\
               input.predicateType == \"https://cosign.sigstore.dev/attestation/vuln/v1\"\n\
               count(severe) == 0\n\
             }}\n\
             severe[finding] {{\n\
               finding := input.predicate.findings[_]\n\
               finding.score >= {limit}\n\
             }}"
        )
    };
    assert!(accepts(RegoV0, &policy("8")));
    assert!(!accepts(RegoV0, &policy("7")));
}

#[test]
fn each_version_reads_its_own_words() {
    assert!(accepts(RegoV1, &v1("allow if input.predicate.scanner.version == \"0.58.1\"")));
    assert!(!accepts(RegoV1, &v1("allow if input.predicate.scanner.version == \"0.1\"")));
    assert!(accepts(RegoV0, &v1("import rego.v1\nallow if true")));
    assert!(accepts(RegoV0, &v1("import future.keywords\nallow if { every x in [1] { x > 0 } }")));
    let error = refused(RegoV0, &v1("allow if true"));
    assert_eq!(error.line, Some(2), "{error}");
    assert!(error.problem.contains("import rego.v1"), "{error}");
    let error = refused(RegoV1, &v1("allow { true }"));
    assert_eq!(error.line, Some(2), "{error}");
}

#[test]
fn only_true_is_a_yes() {
    for no in [
        "allow := false",
        "allow := 1",
        "allow := \"true\"",
        "allow := [true]",
        "allow if input.absent",
        "allow if not input.predicate",
        "allow := input.absent",
    ] {
        assert!(!accepts(RegoV1, &v1(no)), "{no}");
    }
}

#[test]
fn what_is_printed_is_told() {
    let program = load(RegoV1, &v1("allow if { print(\"score\", 7); false }"));
    let Err(Objection::Refused { said }) = judge(&program, &statement()) else { panic!("a yes") };
    assert!(said.len() == 1 && said[0].contains("score 7"), "{said:?}");
}

#[test]
fn who_signed_and_when_is_told() {
    let asks = "allow if {\n\
        data.countersign.signer.issuer == \"https://issuer.example\"\n\
        data.countersign.signer.subject == \"ci@example.org\"\n\
        data.countersign.signer.extensions.SourceRepositoryRef == \"refs/heads/main\"\n\
        startswith(data.countersign.digest, \"sha256:abab\")\n\
        data.countersign.now - data.countersign.seen == 3600\n\
    }";
    assert!(accepts(RegoV1, &v1(asks)));
    // Nothing of one statement is left for the next.
    let program =
        load(RegoV1, &v1("allow if data.countersign.signer.subject == \"ci@example.org\""));
    judge(&program, &statement()).unwrap();
    let mut other = facts();
    other.subject = None;
    let outcome = program.decide(statement().to_string().as_bytes(), &other);
    assert!(matches!(outcome, Err(Objection::Refused { .. })), "{outcome:?}");
}

#[test]
fn time_is_what_the_judge_says_it_is() {
    let asks = "allow if {\n\
        finished := time.parse_rfc3339_ns(input.predicate.metadata.scanFinishedOn)\n\
        time.now_ns() - finished == 3600 * 1000000000\n\
    }";
    assert!(accepts(RegoV1, &v1(asks)));
    let mut wrong = statement();
    wrong["predicate"]["metadata"]["scanFinishedOn"] = "yesterday".into();
    assert!(problem(RegoV1, &v1(asks), &wrong).contains("RFC 3339"));
}

#[test]
fn functions_that_ask_the_world_or_are_unknown_refuse_the_policy_where_they_stand() {
    for call in [
        "http.send({\"method\": \"get\", \"url\": \"http://127.0.0.1\"})",
        "net.lookup_ip_addr(\"localhost\")",
        "opa.runtime()",
        "rand.intn(\"x\", 2)",
        "time.clock(1)",
        "io.jwt.decode(\"x\")",
        "crypto.sha256(\"x\")",
        "numbers.range(0, input.n)",
        "bits.lsh(1, input.n)",
        "no_such(1)",
        "data.other.f(1)",
    ] {
        for body in [
            format!("allow if {{\n  x := {call}\n  x\n}}"),
            format!("allow if {{\n  not {call}\n}}"),
            format!("helper(y) := z if {{\n  z := {call}\n}}\nallow if helper(1)"),
            format!("allow if {{\n  count([y | y := {call}]) == 0\n}}"),
            format!("default allow := true\nallow := false if {{\n  {call}\n}}"),
        ] {
            let error = refused(RegoV1, &v1(&body));
            let name = call.split('(').next().unwrap();
            assert!(error.problem.contains(name), "{body}: {error}");
            assert!(error.line.is_some_and(|line| line >= 2), "{body}: {error:?}");
        }
    }
}

#[test]
fn functions_cannot_be_slipped_in_by_with() {
    let body = "allow if {\n  count([1]) == 1 with count as http.send\n}";
    assert!(
        RegoV1
            .load("test", &v1(body))
            .map_or(true, |program| judge(&program, &statement()).is_err())
    );
}

#[test]
fn a_policys_own_functions_and_the_offered_ones_are_called() {
    let body = "severe(x) if x.score > 5\n\
        allow if {\n\
          some finding in input.predicate.findings\n\
          data.signature.severe(finding)\n\
          severe(finding)\n\
          regex.match(\"^CVE-[0-9]$\", finding.id)\n\
          semver.compare(input.predicate.scanner.version, \"0.58.0\") == 1\n\
          concat(\"-\", [upper(\"a\"), lower(\"B\")]) == \"A-b\"\n\
        }";
    assert!(accepts(RegoV1, &v1(body)));
}

#[test]
fn every_function_that_is_offered_is_there() {
    // Called with no argument, each must be missing its arguments, not missing itself.
    for name in policy::language::rego::FUNCTIONS {
        let program = load(RegoV1, &v1(&format!("allow if {name}()")));
        match judge(&program, &statement()) {
            Err(Objection::Failed { problem }) => {
                assert!(!problem.contains("could not find"), "{name}: {problem}");
            }
            Ok(()) | Err(Objection::Refused { .. }) => {}
        }
    }
}

#[test]
fn another_package_or_no_rule_allow_is_refused() {
    assert!(refused(RegoV1, "package other\nallow := true").problem.contains("package signature"));
    assert!(refused(RegoV1, "allow := true").line.is_some());
    refused(RegoV1, "package signature\ndeny := true");
}

#[test]
fn work_that_does_not_end_in_time_is_no_yes() {
    let many: Vec<u32> = (0..3000).collect();
    let mut large = statement();
    large["predicate"]["many"] = many.into();
    let body = "allow if {\n\
        count([1 | some a in input.predicate.many; some b in input.predicate.many; \
        some c in input.predicate.many; a + b + c < 0]) == 0\n}";
    let problem = problem(RegoV1, &v1(body), &large);
    assert!(problem.contains("time"), "{problem}");
}

#[test]
fn rules_that_lead_back_to_themselves_are_refused() {
    for (body, name) in [
        ("f(x) := f(x + 1)\nallow if f(1)", "f"),
        ("f(x) := g(x)\ng(x) := data.signature.f(x)\nallow if f(1)", "f"),
        ("allow if helper\nhelper if allow", "allow"),
        ("allow if not data.signature.allow", "allow"),
        ("allow if count(found) > 0\nfound contains x if {\n  x := 1\n  allow\n}", "allow"),
        ("f(x) := y if {\n  x > 0\n  y := [z | z := f(x - 1)]\n}\nallow if f(1)", "f"),
    ] {
        let error = refused(RegoV1, &v1(body));
        assert!(error.problem.contains(&format!("`{name}` leads back")), "{body}: {error}");
        assert_eq!(error.line, Some(2), "{body}: {error}");
    }
    // A rule in several parts, one that only has a default, and one that is a set, do not.
    for body in [
        "default allow := false\nallow if helper(1)\nallow if helper(2)\nhelper(x) if x == 2",
        "allow if count(found) == 2\nfound contains f.id if some f in input.predicate.findings",
        "allow if q.r.s == 2\nq.r.s := 2\nq.t := q.r.s",
    ] {
        assert!(accepts(RegoV1, &v1(body)), "{body}");
    }
}

/// What the library does for long, or by recursion without end, is refused before it begins.
#[test]
fn policies_nest_and_lead_on_only_so_far() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!("package signature\nallow {{\n  {open}1{close} != 7\n}}\n")
    };
    assert!(accepts(RegoV0, &nested(11)));
    for quoted in ["# ((((((((((((((", "x := \"((((((((((((((\\\"\"", "x := `((((((((((((((\\`"] {
        assert!(accepts(RegoV0, &format!("package signature\nallow {{ true }}\n{quoted}\n")));
    }
    for before in ["", "# don't \"\n", "x := \"\\\"\"\n", "x := `\\`\n", "y := \"'\"\n"] {
        let text = nested(40).replace("allow", &format!("{before}allow"));
        let error = refused(RegoV0, &text);
        assert!(error.problem.contains("deeper than 12"), "{error}");
        assert_eq!(error.line, Some(3 + before.matches('\n').count()), "{error}");
    }

    let chain = |length: usize, open: &str, close: &str| {
        let mut policy = String::from("package signature\nallow { r1 }\n");
        for n in 1..length {
            policy.push_str(&format!("r{n} {{ {open}r{}{close} != 7 }}\n", n + 1));
        }
        policy + &format!("r{length} {{ true }}\n")
    };
    assert!(accepts(RegoV0, &chain(31, "", "")));
    let calls = ("is_boolean(".repeat(11), ")".repeat(11));
    assert!(accepts(RegoV0, &chain(31, &calls.0, &calls.1)));
    let error = refused(RegoV0, &chain(32, "", ""));
    assert!(error.problem.contains("more than 32 rules in a row"), "{error}");
    let many: String = (0..512).map(|n| format!("r{n} {{ true }}\n")).collect();
    let error = refused(RegoV0, &format!("package signature\nallow {{ true }}\n{many}"));
    assert!(error.problem.contains("more than 512 rules"), "{error}");
}

/// Loads a policy of `x := EXPRESSION` on a stack as small as threads have.
fn load_on_a_small_stack(expression: String) -> Result<(), String> {
    let text = format!("package signature\nallow if true\nx := {expression}\n");
    let load = move || RegoV1.load("test", &text).map(drop).map_err(|error| error.to_string());
    std::thread::Builder::new().stack_size(2 << 20).spawn(load).unwrap().join().unwrap()
}

/// The library walks what operators lead on to by recursion: a stack that overflows would end the
/// process, this test with it. Lines are short, because it reads no longer ones.
#[test]
fn chains_of_operators_are_bounded() {
    let chain = |from: &str, by: &str, to: &str, count: usize| {
        format!("{from}{}{to}", format!("{by}\n").repeat(count))
    };
    let parts = [
        ("1", " + 1", ""),
        ("1", " % 1", ""),
        ("", "- ", "1"),
        ("{1}", " | {1}", ""),
        ("{1}", " & {1}", ""),
        ("1 < (1", " < 1", ")"),
        ("", "1 in ", "[1]"),
        ("abs(1", " in [1]", ")"),
        ("input", ".a.b[0]", ""),
        ("[1, {2: 1", " + 1", "}, 3]"),
    ];
    for (from, by, to) in parts {
        // As a whole, and in parts below each other; joined lines, since a new one may end a field.
        let joined = |text: String| if by.starts_with('.') { text.replace('\n', "") } else { text };
        let long = |count| joined(chain(from, by, to, count));
        load_on_a_small_stack(long(10)).unwrap_or_else(|error| panic!("{error}: {from}{by}"));
        // Within the bound of the text the library's tree may be too deep; that is no overflow.
        let _either = load_on_a_small_stack(long(120));
        for count in [129, 8000] {
            let error = load_on_a_small_stack(long(count)).unwrap_err();
            assert!(error.contains("more than 128 operators or fields"), "{error}: {from}{by}");
        }
        let nested = (0..5).fold("1".to_owned(), |inner, _| format!("({inner}) + ({})", long(30)));
        let error = load_on_a_small_stack(nested).unwrap_err();
        assert!(error.contains("more than 128 operators or fields"), "{error}: {from}{by}");
    }
    let error =
        refused(RegoV1, &v1(&format!("allow if true\nx := {}\n", chain("1", " + 1", "", 129))));
    // The sign in `:=` is the first of the 129.
    assert_eq!(error.line, Some(130), "{error}");
}

/// Each expression has its own chain, however many there are.
#[test]
fn long_policies_of_short_expressions_load() {
    let rules: String = (0..300).map(|n| format!("r{n} if input.a.b == -{n} + 1\n")).collect();
    let body = "    input.predicate.a[0] != 1 + 2\n    not input.b in {1, 2}\n".repeat(300);
    let items = "{\"a\": 1 + 1, \"b\": [1 + 2]},\n".repeat(300);
    let same = "    input.a == 1; input.b == 2\n".repeat(300);
    let every = "    every e in input.a { e.b == 1 }\n".repeat(100);
    for text in [
        format!("{rules}allow if true"),
        format!("allow if true\nx if {{\n{body}}}"),
        format!("allow if count([{items}]) == 300"),
        format!("allow if true\nx if {{\n{same}}}"),
        format!("allow if true\nx if {{\n{every}}}"),
    ] {
        assert!(accepts(RegoV1, &v1(&text)), "{text}");
    }
    let quoted = "+".repeat(500);
    let text = format!("# {quoted}\nallow {{ true }}\nx := \"{quoted}\"\ny := `{quoted}`\n");
    assert!(accepts(RegoV0, &format!("package signature\n{text}")));
}

/// What stands first in brackets may be read once more for each of them.
#[test]
fn much_in_nested_brackets_is_refused() {
    let nested = |depth: usize, lines: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!("{open}{}1{close}", "1, 1, 1, 1,\n".repeat(lines))
    };
    for (depth, within, without) in [(12, 30, 40), (8, 500, 600), (3, 16_000, 16_500)] {
        load_on_a_small_stack(nested(depth, within)).unwrap();
        let error = load_on_a_small_stack(nested(depth, without)).unwrap_err();
        let much = error.contains("too much in nested brackets");
        assert!(much, "{depth}: {error}");
    }
}

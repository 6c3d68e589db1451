//! Go's regular expressions: what is read, what it means, what is refused.

use policy::Regexp;
use policy::regexp::{GROUP_DEPTH_MAX, ParseRegexpError, REGEXP_SIZE_MAX};

/// `(expression, value, matches)`, as Go 1.24's `regexp.MatchString` answers.
const MATCHES: &[(&str, &str, bool)] = &[
    // Unanchored, as cosign uses them.
    ("acme", "https://github.com/acme/app", true),
    ("^acme", "https://github.com/acme/app", false),
    ("^https://github\\.com/acme/.+$", "https://github.com/acme/app", true),
    ("^https://github\\.com/acme/.+$", "https://githubXcom/acme/app", false),
    ("", "anything", true),
    ("a|^b$", "xa", true),
    ("(?:a|b)c", "bc", true),
    ("(?P<name>a)(?<other>b)", "ab", true),
    ("x*", "", true),
    ("^a{2,3}$", "aaa", true),
    ("^a{2}$", "aaa", false),
    ("^a{2,}$", "aaaaa", true),
    ("^a{,2}$", "a{,2}", true),
    ("^a{x}$", "a{x}", true),
    ("^{$", "{", true),
    ("^a{01}$", "a{01}", true),
    ("a}]", "a}]", true),
    ("^.$", "é", true),
    ("^.$", "\n", false),
    ("(?s)^.$", "\n", true),
    ("(?m)^b$", "a\nb", true),
    ("^b$", "a\nb", false),
    ("(?i)ACME", "acme", true),
    ("(?i:A)b", "ab", true),
    ("(?i:A)b", "aB", false),
    ("(?i)a(?-i)b", "aB", false),
    ("()", "a", true),
    ("(?)a", "a", true),
    // ASCII where the `regex` crate would be Unicode.
    ("^\\d+$", "12", true),
    ("^\\d$", "٣", false),
    ("^\\w$", "é", false),
    ("^\\W$", "é", true),
    ("^\\s$", "\u{a0}", false),
    ("^\\s$", "\u{b}", false),
    ("^[\\d\\s]+$", "1 2", true),
    ("^[^\\D]$", "5", true),
    ("\\bapp\\b", "the app.", true),
    ("\\bapp\\b", "theapp", false),
    // `é` is no word character, so a word begins after it.
    ("\\bapp", "éapp", true),
    // Classes in which the `regex` crate would see operators.
    ("^[a&&b]$", "&", true),
    ("^[a&&b]$", "a", true),
    ("^[a&&b]$", "b", true),
    ("^[[a]$", "[", true),
    ("^[[a]b]$", "ab]", true),
    ("^[a~~b]$", "~", true),
    ("^[]a]$", "]", true),
    ("^[^]a]$", "b", true),
    ("^[a-]$", "-", true),
    ("^[-a]$", "-", true),
    ("^[+--]$", ",", true),
    ("^[[:alpha:][:digit:]_]+$", "a1_", true),
    ("^[[:^digit:]]$", "a", true),
    ("^[[:word:]]$", "é", false),
    ("^[\\x{e0}-\\x{ff}]$", "é", true),
    ("^[\\]\\-\\\\]+$", "]-\\", true),
    ("^[^a]$", "\n", true),
    // Escapes.
    ("^\\x41\\x{42}\\103\\t$", "ABC\t", true),
    ("^\\<\\>\\/\\@\\_$", "<>/@_", true),
    ("\\Qa.b*\\E+", "a.b**", true),
    ("\\Qa.b", "axb", false),
    ("^\\Qa.b\\E$", "a.b", true),
    ("\\Aa\\z", "a", true),
    ("\\Aa\\z", "a\n", false),
    // What is literal in Go stays literal.
    ("^a b#c$", "a b#c", true),
    ("^a-b&c~d$", "a-b&c~d", true),
    ("^🦀+$", "🦀🦀", true),
    // Lazy or greedy is the same question here.
    ("^a+?$", "aaa", true),
    ("(?U)^a+$", "aaa", true),
];

#[test]
fn means_what_it_means_in_go() {
    for (expression, value, matches) in MATCHES {
        let regexp =
            Regexp::parse(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        assert_eq!(regexp.matches(value), *matches, "{expression} on {value:?}");
    }
}

#[test]
fn refuses_what_go_refuses() {
    use ParseRegexpError as E;
    let check = |expression: &str, error: E| {
        assert_eq!(Regexp::parse(expression), Err(error), "{expression}");
    };
    check("****", E::NothingToRepeat { at: 1 });
    check("a|*", E::NothingToRepeat { at: 3 });
    check("(+a)", E::NothingToRepeat { at: 2 });
    check("é{2}|{2}", E::NothingToRepeat { at: 6 });
    check("a**", E::RepeatedRepetition { at: 3 });
    check("a++", E::RepeatedRepetition { at: 3 });
    check("a{2}{3}", E::RepeatedRepetition { at: 5 });
    check("a*??", E::RepeatedRepetition { at: 4 });
    check("a{1001}", E::BadRepetition { at: 2 });
    check("a{2,1}", E::BadRepetition { at: 2 });
    check("a{99999999999999999999}", E::BadRepetition { at: 2 });
    check("(a", E::Parenthesis { at: 2 });
    check("a)", E::Parenthesis { at: 2 });
    check("(?P<n>a)(?P<n>b)", E::BadGroup { at: 12 });
    check("(?P<>a)", E::BadGroup { at: 4 });
    check("(?P<a", E::BadGroup { at: 4 });
    check("(?x)a", E::BadGroup { at: 3 });
    check("(?i-)a", E::BadGroup { at: 5 });
    check("(?=a)", E::BadGroup { at: 3 });
    check("(?!a)", E::BadGroup { at: 3 });
    check("(?<=a)b", E::BadGroup { at: 3 });
    check("[a", E::BadClass { at: 1 });
    check("[]", E::BadClass { at: 1 });
    check("[z-a]", E::BadClass { at: 1 });
    check("[a--b]", E::BadClass { at: 1 });
    check("[[:nope:]]", E::BadClass { at: 1 });
    check("\\", E::BadEscape { at: 1 });
    check("\\1", E::BadEscape { at: 1 });
    check("\\8", E::BadEscape { at: 1 });
    check("\\y", E::BadEscape { at: 1 });
    check("\\E", E::BadEscape { at: 1 });
    check("\\u0041", E::BadEscape { at: 1 });
    check("\\x4", E::BadEscape { at: 1 });
    check("\\x{110000}", E::BadEscape { at: 1 });
    check("\\é", E::BadEscape { at: 1 });
    check("[\\b]", E::BadEscape { at: 2 });
}

#[test]
fn refuses_by_name_what_it_cannot_carry_out() {
    for expression in ["\\pL", "a\\p{Greek}", "[\\PN]", "\\B", "\\C"] {
        assert!(
            matches!(Regexp::parse(expression), Err(ParseRegexpError::Unsupported { .. })),
            "{expression}"
        );
    }
    // Go lets this repetition reach back over the flags.
    assert_eq!(Regexp::parse("a(?i)*"), Err(ParseRegexpError::NothingToRepeat { at: 6 }));
}

#[test]
fn bounds_size_nesting_and_program() {
    let size = REGEXP_SIZE_MAX + 1;
    assert_eq!(Regexp::parse(&"a".repeat(size)), Err(ParseRegexpError::TooLong { found: size }));
    let nested = |depth| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Regexp::parse(&nested(GROUP_DEPTH_MAX)).is_ok());
    assert_eq!(Regexp::parse(&nested(GROUP_DEPTH_MAX + 1)), Err(ParseRegexpError::TooDeep));
    assert_eq!(Regexp::parse("((a{100}){100}){100}"), Err(ParseRegexpError::TooLarge));
    // Exponential for a backtracking engine.
    let regexp = Regexp::parse("^(a|a)*(a|aa)*$").unwrap();
    assert!(!regexp.matches(&format!("{}b", "a".repeat(5000))));
}

#[test]
fn tells_whether_it_is_anchored() {
    for yes in ["^a$", "^https://[^/]+/a|b$".trim_end_matches("|b$"), "\\Aa\\z", "^(a|b)$", "^$"] {
        let ends = yes.ends_with(['$', 'z']);
        assert_eq!(Regexp::parse(yes).unwrap().is_anchored(), ends, "{yes}");
    }
    for no in
        ["a", "^a", "a$", "^a|b$", "(^a$)", "(?m)^a$", "^a\\$", "^*a$", "^a$*", "^?a$", "a^b$"]
    {
        assert!(!Regexp::parse(no).unwrap().is_anchored(), "{no}");
    }
}

#[test]
fn reads_the_same_in_messages() {
    let text = "^https://github\\.com/acme/[^/]+/\\.github/workflows/.+@refs/heads/main$";
    assert_eq!(Regexp::parse(text).unwrap().program().as_str(), text);
}

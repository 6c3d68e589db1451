//! ClusterImagePolicy: our own cases as files, policy-controller's where they are at hand, every
//! field of a full policy spoiled in turn.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use policy::cluster_image_policy::{Parsed, lower, parse};
use policy::{Problems, Wrong};
use verify::TrustRoot;

/// The namespace that policy-controller's own cases name.
const NAMESPACE: &str = "cosign-system";

fn read(text: &str) -> Result<Parsed, Problems> {
    parse(text, NAMESPACE)
}

/// Problems without their lines, which cases do not state.
fn texts(problems: &Problems) -> Vec<String> {
    let text = |problem: &policy::Problem| match problem.field.as_str() {
        "" => problem.wrong.to_string(),
        field => format!("{field}: {}", problem.wrong),
    };
    problems.found().iter().map(text).collect()
}

fn files(directory: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

fn cases(kind: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    files(&root.join("tests/cases/cluster-image-policy").join(kind))
}

/// The lines `# word: …` at the head of a case.
fn stated<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let head = text.lines().map_while(|line| line.strip_prefix("# "));
    head.filter_map(|line| line.strip_prefix(word)?.strip_prefix(": ")).collect()
}

#[test]
fn refuses_each_invalid_case_for_its_reason() {
    let cases = cases("invalid");
    assert!(cases.len() > 100);
    for (name, text) in cases {
        let problems = read(&text).expect_err(&name);
        let found = texts(&problems);
        let wanted = stated(&text, "refused");
        assert!(!wanted.is_empty(), "{name} states no reason");
        let same = wanted.len() == found.len()
            && wanted.iter().zip(&found).all(|(wanted, found)| found.starts_with(wanted));
        assert!(same, "{name}: wanted {wanted:#?}, found {found:#?}");
        // Whoever prints an error with its causes says each thing once.
        assert!(std::error::Error::source(&problems).is_none(), "{name}");
        for problem in problems.found() {
            let mut cause = std::error::Error::source(&problem.wrong);
            while let Some(error) = cause {
                let (text, whole) = (error.to_string(), problem.wrong.to_string());
                assert!(!whole.contains(&text), "{name}: `{text}` is said twice");
                cause = error.source();
            }
        }
    }
}

#[test]
fn accepts_each_valid_case_and_lowers_what_it_supports() {
    let roots = Arc::new(TrustRoot::public_good());
    let cases = cases("valid");
    assert!(cases.len() > 50);
    for (name, text) in cases {
        let parsed = read(&text).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        let remarks: Vec<_> = parsed.remarks.iter().map(|remark| remark.field.as_str()).collect();
        assert_eq!(remarks, stated(&text, "remark"), "{name}");
        let refused = match lower(&parsed.policies, &roots) {
            Ok(lowered) => {
                assert_eq!(lowered.len(), parsed.policies.len(), "{name}");
                Vec::new()
            }
            Err(problems) => problems
                .found()
                .iter()
                .map(|problem| {
                    let field = problem.field.split_once(": ").unwrap().1.to_owned();
                    match problem.wrong {
                        Wrong::Unsupported => ("unsupported", field),
                        Wrong::MatchesNothing { .. } => ("nothing", field),
                        ref other => panic!("{name}: {other}"),
                    }
                })
                .collect(),
        };
        let wanted: Vec<_> = ["unsupported", "nothing"]
            .into_iter()
            .flat_map(|word| stated(&text, word).into_iter().map(move |it| (word, it.to_owned())))
            .collect();
        assert_eq!(refused, wanted, "{name}");
    }
}

/// A policy's author may not be who reads what is wrong with it, on a terminal.
#[test]
fn what_is_told_of_a_key_or_name_cannot_move_the_cursor() {
    let key = format!("\"\\e[2J{}\"", "k".repeat(300));
    let head = "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\n";
    for rest in [
        format!("{key}: 1"),
        format!("{key}: 1\n{key}: 2"),
        format!("spec: {{match: [{{resource: pods, selector: {{matchLabels: {{{key}: 1}}}}}}]}}"),
        format!("metadata: {{name: {key}}}\n---\n{head}metadata: {{name: {key}}}"),
    ] {
        let told = read(&format!("{head}{rest}\n")).unwrap_err().to_string();
        assert!(told.contains("\\u{1b}[2Jk"), "{told}");
        assert!(!told.contains('\u{1b}') && !told.contains(&"k".repeat(81)), "{told}");
    }
}

/// What policy-controller's invalid cases must be refused for.
const REASONS: &[(&str, &[&str])] = &[
    ("empty-keyref.yaml", &[NO_KEY]),
    ("invalid-glob.yaml", &[BAD_GLOB]),
    ("invalid-mode.yaml", &["spec.mode: wanted enforce or warn, found `garbage`"]),
    ("keylessref-with-empty-authorities.yaml", &[NO_AUTHORITY]),
    ("keylessref-with-malformed-subject.yaml", &[NO_ISSUER, BAD_SUBJECT]),
    ("keyref-with-multiple-properties.yaml", &[TWO_KEYS]),
    ("missing-issuer.yaml", &[NO_ISSUER]),
    ("v1beta1-empty-keyref-and-keylessref.yaml", &[NO_KEY]),
    ("v1beta1-invalid-glob.yaml", &[BAD_GLOB]),
    (
        "v1beta1-invalid-keyref-awskms.yaml",
        &[
            "spec.authorities[0].key.kms: wanted awskms://[HOST:PORT]/arn:",
            "spec.authorities[1].key.kms: wanted awskms://[HOST:PORT]/arn:",
            "spec.authorities[2].key.kms: wanted awskms://[HOST:PORT]/arn:",
            "spec.authorities[3].key.kms: wanted awskms://[HOST:PORT]/arn:",
        ],
    ),
    ("v1beta1-invalid-mode.yaml", &["spec.mode: wanted enforce or warn, found `garbage`"]),
    ("v1beta1-keylessref-with-empty-authorities.yaml", &[NO_AUTHORITY]),
    ("v1beta1-keylessref-with-malformed-subject.yaml", &[NO_ISSUER, BAD_SUBJECT]),
    ("v1beta1-keyref-with-multiple-properties.yaml", &[TWO_KEYS]),
    ("v1beta1-missing-issuer.yaml", &[NO_ISSUER]),
    (
        "v1beta1-valid-keyref-and-keylessref.yaml",
        &["spec.authorities[0]: wanted exactly one of key, keyless, static, found key and keyless"],
    ),
];
const NO_KEY: &str =
    "spec.authorities[0].key: wanted exactly one of data, secretRef, kms, found none";
const TWO_KEYS: &str =
    "spec.authorities[0].key: wanted exactly one of data, secretRef, kms, found data and kms";
const BAD_GLOB: &str =
    "spec.images[0].glob: a glob has letters, digits and `-_:/*.@` only, found `[`";
const NO_AUTHORITY: &str = "spec.authorities: required, and missing or empty";
const NO_ISSUER: &str = "spec.authorities[0].keyless.identities[0]: wanted exactly one of issuer, \
                         issuerRegExp, found none";
const BAD_SUBJECT: &str = "spec.authorities[0].keyless.identities[0].subjectRegExp: bad regular \
                           expression: nothing to repeat at character 1";

/// The folder of data made elsewhere, if this checkout stands beside it.
fn shared() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = |above: &Path| above.join("shared/data/policies/cluster-image-policy");
    let found = here.ancestors().map(folder).find(|folder| folder.is_dir());
    if found.is_none() {
        println!("skipped: no shared/data/policies beside this checkout");
    }
    found
}

#[test]
fn agrees_with_policy_controllers_own_cases() {
    let Some(shared) = shared() else { return };
    for (name, text) in files(&shared.join("valid")) {
        if let Err(problems) = read(&text) {
            panic!("{name}: {problems}");
        }
    }
    for (name, text) in files(&shared.join("invalid")) {
        let found = texts(&read(&text).expect_err(&name));
        let reasons = REASONS.iter().find(|(case, _)| *case == name);
        let (_, wanted) = reasons.unwrap_or_else(|| panic!("{name} is new; found {found:#?}"));
        let same = wanted.len() == found.len()
            && wanted.iter().zip(&found).all(|(wanted, found)| found.starts_with(wanted));
        assert!(same, "{name}: wanted {wanted:#?}, found {found:#?}");
    }
}

/// A policy with every field there is, in JSON so that it can be taken apart by hand.
const FULL: &str = include_str!("../cases/full.json");

#[test]
fn every_field_spoiled_in_turn_is_refused_or_harmless() {
    read(FULL).unwrap();
    // Each line of the file is one field; it is `"name": value,` and may open a bracket.
    let lines: Vec<&str> = FULL.lines().collect();
    let long = format!("\"{}\"", "x".repeat(300 * 1024));
    let spoilers = ["null", "\"\"", "5", "[]", "{}", "true", "[[[[]]]]", long.as_str()];
    let mut refused = 0;
    for (index, line) in lines.iter().enumerate() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        if value.ends_with(['{', '[']) {
            continue;
        }
        let comma = if line.ends_with(',') { "," } else { "" };
        for spoiler in spoilers {
            let spoiled = format!("{name}: {spoiler}{comma}");
            let text = [&lines[..index], &[spoiled.as_str()], &lines[index + 1..]].concat();
            refused += usize::from(read(&text.join("\n")).is_err());
        }
        // A second time, and under a name that nobody knows.
        let stray = line.replacen("\"", "\"x", 1);
        let text = [&lines[..index], &[stray.as_str()], &lines[index + 1..]].concat();
        if !in_metadata(line) {
            assert!(read(&text.join("\n")).is_err(), "accepted {stray}");
        }
    }
    assert!(refused > 200, "only {refused} refused");
}

/// Labels and annotations may have any name.
fn in_metadata(line: &str) -> bool {
    line.contains("example.com/")
}

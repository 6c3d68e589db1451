//! The policy file: what it means to the judge, what is refused and where, the schema beside the
//! parser, the examples in the book, and what is suggested.

mod judged;
mod schema;

use std::path::PathBuf;
use std::sync::Arc;

use policy::policy_file::{self, expectation};
use verify::{
    Authority, ClaimKind, NonEmpty, Obstacle, ObstacleKind, Policy, Reason, Refusal, TrustRoot,
    Verdict, Which,
};

fn roots() -> Arc<TrustRoot> {
    Arc::new(TrustRoot::pin(&testkit::Scene::v1().seal().trust_root_json()).unwrap())
}

fn file(name: &str) -> Result<Vec<u8>, String> {
    match name {
        "cosign.pub" => Ok(testkit::Key::named("file", crypto::KeyKind::EcdsaP256)
            .public()
            .to_pem()
            .into_bytes()),
        "true.cel" => Ok(b"true".to_vec()),
        "bytes.cel" => Ok(vec![0xff]),
        "bad.rego" => Ok(b"package other\nallow { true }".to_vec()),
        _ => Err("there is no such file".to_owned()),
    }
}

fn parse(text: &str) -> Result<Policy, String> {
    let parsed = policy_file::parse(text, "file.yaml", &roots(), &file);
    parsed.map_err(|problems| problems.to_string())
}

const SIGNERS: &str = "signers: [{issuer: i, subject: s}]";

/// A policy of one requirement with these fields besides its name and signers.
fn with(fields: &str) -> String {
    format!("version: 1\nrequirements:\n- name: r\n  {SIGNERS}\n{fields}")
}

#[test]
fn every_field_reaches_the_judge() {
    let text = "version: 1
name: production
requirements:
- name: released
  signers:
  - issuer: https://issuer.example
    subject: {regExp: ^a$}
    extensions: {BuildTrigger: push, IssuerV2: {regExp: ^b$}}
  - {issuer: i, subject: s}
  - key: {file: cosign.pub}
  threshold: 2
  annotations: {a: b, c: ''}
  maxAge: 2w
- name: scanned
  attestation: vuln
  which: latest
  signers: [{issuer: i, subject: s}]
  programs: [{cel: 'true'}, {file: true.cel}, {rego: 'package signature

    allow if true'}, {regoV0: 'package signature

    allow { true }'}, {cue: 'predicateType: string'}]
- {name: anything, claim: any, signers: [{issuer: i, subject: s}]}
deny:
  message: gone
  digests: ['sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855']
  claims: [{name: revoked, attestation: custom, signers: [{issuer: i, subject: s}]}]
";
    let policy = parse(text).unwrap();
    assert_eq!(policy.name, "production");
    let requirements: Vec<_> = policy.requirements.iter().collect();
    let [released, scanned, anything, revoked, denied] = requirements.as_slice() else {
        panic!("{requirements:?}")
    };
    let [Authority::Keyless { name, identities, .. }, Authority::Key { .. }] =
        released.any_of.iter().collect::<Vec<_>>()[..]
    else {
        panic!("{released:?}")
    };
    assert_eq!(name, "released");
    let told: Vec<_> = identities.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "a match of `^a$` vouched for by `https://issuer.example`, \
             IssuerV2 a match of `^b$`, BuildTrigger `push`",
            "`s` vouched for by `i`",
        ]
    );
    assert_eq!(released.claim.kind, ClaimKind::Signature);
    assert_eq!(released.claim.annotations.len(), 2);
    assert_eq!((released.rule.which, released.rule.signers_min.get()), (Which::Any, 2));
    assert_eq!(released.rule.age_max_s, Some(14 * 86_400));
    let predicate_type = "https://cosign.sigstore.dev/attestation/vuln/v1".to_owned();
    assert_eq!(scanned.claim.kind, ClaimKind::Attestation { predicate_type });
    assert_eq!((scanned.rule.which, scanned.rule.predicates.len()), (Which::Latest, 5));
    let names: Vec<_> = scanned.rule.predicates.iter().map(|it| it.name().to_owned()).collect();
    assert_eq!(names[..2], ["requirements[1].programs[0]", "true.cel"]);
    assert_eq!(anything.claim.kind, ClaimKind::Any);
    assert_eq!(revoked.rule.which, Which::None);
    let Authority::DenyList { digests, message, .. } = denied.any_of.first() else {
        panic!("{denied:?}")
    };
    assert_eq!((digests.len(), message.as_str()), (1, "gone"));
}

#[test]
fn a_policy_is_called_as_its_file_unless_it_says() {
    assert_eq!(parse(&with("")).unwrap().name, "file.yaml");
    // JSON is YAML.
    let json = r#"{"version": 1, "requirements": [{"name": "r", "signers": [{"issuer": "i", "subject": "s"}]}]}"#;
    parse(json).unwrap();
}

#[test]
fn ages_are_read_in_four_units() {
    for (text, seconds) in
        [("1m", 60), ("90m", 5400), ("12h", 43_200), ("30d", 2_592_000), ("1w", 604_800)]
    {
        let policy = parse(&with(&format!("  maxAge: {text}"))).unwrap();
        assert_eq!(policy.requirements.first().rule.age_max_s, Some(seconds), "{text}");
    }
}

/// What is wrong, with its line where there is one.
#[test]
fn what_is_wrong_is_refused_where_it_stands() {
    let table = [
        ("", "holds no policy"),
        ("version: 1", "line 1: requirements: required"),
        ("requirements: []", "version: required"),
        ("version: 1\nrequirements: []", "line 2: requirements: required"),
        (
            "version: 2\nrequirements: [{name: r, signers: [{issuer: i, subject: s}]}]",
            "line 1: version: wanted 1, found `2`",
        ),
        ("version: true\nrequirements: []", "version: wanted a number"),
        ("version: 1\n---\nversion: 1", "second document"),
        ("version: 1\nrequirement: []", "did you mean `requirements`?"),
        ("[]", "wanted a map"),
        (
            "version: 1\nrequirements:\n- signers: [{issuer: i, subject: s}]",
            "requirements[0].name: required",
        ),
        ("version: 1\nrequirements:\n- name: r", "requirements[0].signers: required"),
        (
            "version: 1\nrequirements:\n- {name: r, signers: []}",
            "requirements[0].signers: required",
        ),
        (
            "version: 1\nrequirements:\n- {name: r, signers: [{issuer: i, subject: s}]}\n- {name: r, signers: [{issuer: i, subject: s}]}",
            "line 4: requirements[1].name: a second policy of this name",
        ),
        (
            "version: 1\nrequirements:\n- {name: r, signers: [{issuer: i}]}",
            "signers[0].subject: required",
        ),
        (
            "version: 1\nrequirements:\n- {name: r, signers: [{subject: s}]}",
            "signers[0].issuer: required",
        ),
        (
            "version: 1\nrequirements:\n- {name: r, signers: [{issuer: '', subject: s}]}",
            "signers[0].issuer: required",
        ),
        (
            "version: 1\nrequirements:\n- {name: r, signers: [{issuer: {regExp: a}, subject: s}]}",
            "signers[0].issuer.regExp: write the expression `^…$`",
        ),
        (
            "version: 1\nrequirements:\n- {name: r, signers: [{issuer: {regExp: ^a$|b}, subject: s}]}",
            "write the expression",
        ),
        (
            "version: 1\nrequirements:\n- {name: r, signers: [{issuer: {regExp: '^($'}, subject: s}]}",
            "bad regular expression",
        ),
        (
            "version: 1\nrequirements:\n- {name: r, signers: [{issuer: {regexp: ^a$}, subject: s}]}",
            "did you mean `regExp`?",
        ),
        (
            "version: 1\nrequirements:\n- {name: r, signers: [{issuer: 7, subject: s}]}",
            "wanted text, found a number",
        ),
        (
            "version: 1\nrequirements:\n- {name: r, signers: [{issuer: i, subject: s, extensions: {BuildTriger: x}}]}",
            "did you mean `BuildTrigger`?",
        ),
        (
            "version: 1\nrequirements:\n- {name: r, signers: [{issuer: i, subject: s, extensions: {BuildTrigger: 1}}]}",
            "extensions.BuildTrigger: wanted text",
        ),
        (
            "version: 1\nrequirements:\n- {name: r, signers: [{key: {}}]}",
            "wanted exactly one of data, file, found none",
        ),
        (
            "version: 1\nrequirements:\n- {name: r, signers: [{key: {data: x, file: z}}]}",
            "found data and file",
        ),
        (
            "version: 1\nrequirements:\n- {name: r, signers: [{key: {data: x}}]}",
            "key.data: not a public key",
        ),
        (
            "version: 1\nrequirements:\n- {name: r, signers: [{key: {file: absent}}]}",
            "key.file: the file could not be read: there is no such file",
        ),
        (
            "version: 1\nrequirements:\n- {name: r, signers: [{key: {file: cosign.pub}, issuer: i}]}",
            "signers[0].issuer: unknown field",
        ),
        ("  claim: signatur", "requirements[0].claim: wanted any or signature"),
        ("  which: first", "which: wanted any or all or latest"),
        ("  attestation: spdxx\n  which: any", "attestation: `spdxx` is no predicate type"),
        ("  attestation: vuln", "which: required"),
        (
            "  attestation: vuln\n  which: any\n  claim: any",
            "claim: must not stand beside attestation",
        ),
        ("  threshold: 0", "threshold: wanted a whole number from 1 to 64, found `0`"),
        ("  threshold: 65", "threshold: wanted"),
        ("  threshold: 1.5", "threshold: wanted"),
        ("  threshold: '2'", "threshold: wanted"),
        (
            "  attestation: vuln\n  which: latest\n  threshold: 2",
            "must not stand beside which: latest",
        ),
        ("  maxAge: 30", "maxAge: wanted text"),
        ("  maxAge: 30s", "maxAge: wanted a whole number of `m`"),
        ("  maxAge: 0d", "maxAge: wanted"),
        ("  maxAge: -1d", "maxAge: wanted"),
        ("  maxAge: 36501d", "maxAge: wanted"),
        ("  maxAge: 99999999999999999999w", "maxAge: wanted"),
        ("  maxAge: 1é", "maxAge: wanted"),
        ("  annotations: [a]", "annotations: wanted a map"),
        ("  annotations: {a: 1}", "annotations.a: wanted text, found a number"),
        ("  programs: [{cel: 'true'}]", "programs: has no meaning without attestation"),
        (
            "  attestation: vuln\n  which: any\n  programs: [{}]",
            "programs[0]: wanted exactly one of cel, cue, rego, regoV0, file",
        ),
        (
            "  attestation: vuln\n  which: any\n  programs: [{cel: 'true', cue: 'a: 1'}]",
            "found cel and cue",
        ),
        (
            "  attestation: vuln\n  which: any\n  programs:\n  - cel: absent",
            "line 8: requirements[0].programs[0].cel: not a program that is taken: line 1: unknown name",
        ),
        (
            "  attestation: vuln\n  which: any\n  programs: [{file: a.txt}]",
            "wanted a file called `….rego`",
        ),
        (
            "  attestation: vuln\n  which: any\n  programs: [{file: absent.cel}]",
            "could not be read",
        ),
        ("  attestation: vuln\n  which: any\n  programs: [{file: bytes.cel}]", "not UTF-8"),
        ("  attestation: vuln\n  which: any\n  programs: [{file: bad.rego}]", "package signature"),
        ("  unknown: 1", "line 5: requirements[0].unknown: unknown field"),
        ("deny: {}", "deny: required"),
        ("deny: {digest: [x]}", "did you mean `digests`?"),
        ("deny: {digests: [x]}", "deny.digests[0]: wanted a digest"),
        (
            "deny: {claims: [{name: r, signers: [{issuer: i, subject: s}]}]}",
            "deny.claims[0].name: a second policy",
        ),
        (
            "deny: {claims: [{name: d, which: all, signers: [{issuer: i, subject: s}]}]}",
            "which: unknown field",
        ),
        (
            "deny: {claims: [{name: d, threshold: 2, signers: [{issuer: i, subject: s}]}]}",
            "threshold: unknown field",
        ),
    ];
    for (text, wanted) in table {
        let whole = if text.starts_with(' ') || text.starts_with("deny") {
            with(text)
        } else {
            text.to_owned()
        };
        match parse(&whole) {
            Err(found) => assert!(found.contains(wanted), "{whole}\n{found}\nwanted {wanted}"),
            Ok(_) => panic!("taken:\n{whole}"),
        }
    }
}

#[test]
fn a_file_that_only_denies_is_refused() {
    let text = "version: 1\ndeny: {digests: ['sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855']}";
    assert!(parse(text).unwrap_err().contains("requirements: required"));
}

fn book() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/policy-file.md");
    std::fs::read_to_string(path).unwrap()
}

/// The YAML examples of the book's page.
fn examples() -> Vec<String> {
    let book = book();
    let blocks = book.split("```yaml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_examples_in_the_book_are_taken() {
    let examples = examples();
    assert_eq!(examples.len(), 5, "an example was added or lost");
    let (tests, policies): (Vec<_>, Vec<_>) =
        examples.into_iter().partition(|example| example.contains("\ncases:"));
    assert_eq!((tests.len(), policies.len()), (1, 4));
    for example in policies {
        parse(&example).unwrap_or_else(|problems| panic!("{problems}\n{example}"));
    }
    assert_eq!(expectation::parse(&tests[0]).unwrap().len(), 2);
    for name in evidence::predicate::names() {
        assert!(book().contains(&format!("`{name}`")), "{name}");
    }
}

fn refuse(refusal: Refusal) -> Verdict {
    let reason = Reason { source: None, authority: "r".to_owned(), refusal };
    Verdict::Refuse(NonEmpty::new(reason))
}

#[test]
fn expectations_are_compared() {
    let of = |expect: &str| {
        let text = format!("version: 1\ncases:\n- {{image: a, {expect}}}");
        expectation::parse(&text).unwrap().remove(0)
    };
    let refused = refuse(Refusal::NoEvidence);
    let obstacle =
        Obstacle { kind: ObstacleKind::TimedOut, what: "x".into(), detail: String::new() };
    let unknown = Verdict::Unknown(NonEmpty::new(obstacle), Vec::new());
    of("expect: refuse").check(&refused).unwrap();
    of("expect: refuse, because: no signature").check(&refused).unwrap();
    of("expect: unknown").check(&unknown).unwrap();
    of("expect: unknown, because: no answer in time").check(&unknown).unwrap();
    let told = |expect: &str, verdict: &Verdict| of(expect).check(verdict).unwrap_err().to_string();
    assert_eq!(
        told("expect: admit", &refused),
        "wanted admit, found refuse: no signature was found"
    );
    assert!(told("expect: refuse", &unknown).starts_with("wanted refuse, found unknown"));
    assert!(
        told("expect: refuse, because: too old", &refused)
            .contains("wanted a reason with `too old`")
    );
    for (text, wrong) in [
        ("", "required"),
        ("version: 2\ncases: [{image: a, expect: admit}]", "version"),
        ("version: 1\ncases: []", "cases: required"),
        ("version: 1\ncases: [{image: a, expect: yes}]", "quote it"),
        ("version: 1\ncases: [{image: a, expect: maybe}]", "wanted admit or refuse or unknown"),
        ("version: 1\ncases: [{expect: admit}]", "image: required"),
        ("version: 1\ncases: [{image: a, expect: admit, because: x}]", "must not stand beside"),
        ("version: 1\ncases: [{image: a, expect: admit, becuse: x}]", "did you mean `because`?"),
    ] {
        let problems = expectation::parse(text).unwrap_err().to_string();
        assert!(problems.contains(wrong), "{text}: {problems}");
    }
}

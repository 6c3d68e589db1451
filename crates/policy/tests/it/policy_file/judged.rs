//! Policy files over real evidence: what they admit and refuse, field by field; and what is
//! suggested from good images is a policy that they satisfy and others do not.

use std::sync::Arc;

use evidence::certificate::FulcioExtension;
use evidence::{Evidence, UnixTime};
use policy::policy_file;
use policy::policy_file::suggest::{Fact, Good, NoSuggestion, Signer, suggest};
use testkit::certificate::{ExtensionDraft, SUBJECT_ALTERNATIVE_NAME, uri};
use testkit::log::Kind;
use testkit::{Scene, Sealed};
use verify::{
    Artifact, Authority, Case, Demands, Ground, IdentityPattern, NonEmpty, Pattern, Piece, Policy,
    Requirement, Rule, TrustRoot, Verdict, VerifiedClaim, Which,
};

fn roots(sealed: &Sealed) -> Arc<TrustRoot> {
    Arc::new(TrustRoot::pin(&sealed.trust_root_json()).unwrap())
}

fn judge(policy: &Policy, scene: &Scene, sealed: &Sealed) -> Verdict {
    let evidence = Evidence::from_bundle(&sealed.bundle_json()).map_err(Into::into);
    let pieces = [Piece { source: "bundle".to_owned(), evidence }];
    let artifact = Artifact::from_bytes(&sealed.artifact);
    let case = Case { artifact: &artifact, pieces: &pieces, obstacles: &[] };
    policy.judge(&case, UnixTime::from_seconds(scene.now))
}

fn admits(text: &str, scene: &Scene) -> bool {
    let sealed = scene.seal();
    let policy = policy_file::parse(text, "test", &roots(&sealed), &|_| Err(String::new()));
    let policy = policy.unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    match judge(&policy, scene, &sealed) {
        Verdict::Admit(_) => true,
        Verdict::Refuse(_) => false,
        Verdict::Unknown(..) => panic!("nothing was in the way"),
    }
}

fn identity(scene: &Scene) -> String {
    format!("issuer: {:?}, subject: {:?}", scene.wanted_issuer, scene.wanted_subject)
}

fn policy(scene: &Scene, signer: &str, rest: &str) -> String {
    let identity = identity(scene);
    format!("version: 1\nrequirements:\n- name: r\n  signers:\n  - {{{identity}{signer}}}\n{rest}")
}

#[test]
fn every_extension_is_compared_by_its_name() {
    let scene = Scene::v1();
    let claim = claim(&scene, &scene.seal());
    let mut compared = 0;
    for extension in FulcioExtension::ALL {
        let Some(value) = claim.signer().extensions().and_then(|all| all.get(*extension)) else {
            continue;
        };
        let signer = |value: &str| format!(", extensions: {{{}: {value:?}}}", extension.name());
        assert!(admits(&policy(&scene, &signer(value), ""), &scene), "{}", extension.name());
        let other = signer(&format!("{value}x"));
        assert!(!admits(&policy(&scene, &other, ""), &scene), "{}", extension.name());
        compared += 1;
    }
    assert!(compared >= 22, "the testkit's certificates hold {compared} extensions");
}

#[test]
fn each_condition_admits_and_refuses() {
    let signature = Scene::v1();
    let scan = Scene::statement(Kind::DsseV1).on_statement(|statement| {
        statement["predicateType"] = "https://example.org/scan".into();
        statement["predicate"] = serde_json::json!({"score": 3});
        statement["subject"][0]["annotations"] = serde_json::json!({"env": "prod"});
    });
    let of_type =
        |rest: &str| format!("  attestation: https://example.org/scan\n  which: all\n{rest}");
    for (scene, rest, wanted) in [
        (&signature, String::new(), true),
        (&signature, "  claim: any".into(), true),
        (&scan, "  claim: any".into(), true),
        (&scan, "  claim: signature".into(), false),
        (&scan, String::new(), false),
        (&signature, of_type(""), false),
        (&scan, of_type(""), true),
        (&scan, of_type("").replace("/scan", "/other"), false),
        (&scan, of_type("  annotations: {env: prod}"), true),
        (&scan, of_type("  annotations: {env: test}"), false),
        (&scan, of_type("  maxAge: 60m"), true),
        (&scan, of_type("  maxAge: 59m"), false),
        (&scan, of_type("  threshold: 2"), false),
        (&scan, of_type("  programs: [{cel: predicate.score < 4}]"), true),
        (&scan, of_type("  programs: [{cel: predicate.score < 3}]"), false),
        (&scan, of_type("  programs: [{cel: predicate.score < 4}, {cel: 'false'}]"), false),
        (&scan, of_type("  programs: [{cue: 'predicate: score: <4'}]"), true),
        (&scan, of_type("  programs: [{cue: 'predicate: score: >4'}]"), false),
        (
            &scan,
            of_type(
                "  programs:\n  - rego: |\n      package signature\n      allow if input.predicate.score == 3",
            ),
            true,
        ),
        (
            &scan,
            of_type(
                "  programs:\n  - regoV0: |\n      package signature\n      allow { input.predicate.score == 4 }",
            ),
            false,
        ),
        (
            &scan,
            of_type(&format!(
                "  programs:\n  - cel: |\n      signer.subject == {:?} && seen == {} && now - seen == 3600",
                scan.wanted_subject, scan.signed_at
            )),
            true,
        ),
        (
            &scan,
            of_type(&format!(
                "  programs:\n  - rego: |\n      package signature\n      allow if data.countersign.signer.issuer == {:?}",
                scan.wanted_issuer
            )),
            true,
        ),
    ] {
        assert_eq!(admits(&policy(scene, "", &rest), scene), wanted, "{rest}");
    }
    for deny in ["claims: [{name: d, claim: any, signers: [{ID}]}]", "digests: ['DIGEST']"] {
        let digest = Artifact::from_bytes(&signature.seal().artifact).digest().to_string();
        let deny = deny.replace("ID", &identity(&signature)).replace("DIGEST", &digest);
        let text = policy(&signature, "", &format!("deny: {{{deny}}}"));
        assert!(!admits(&text, &signature), "{text}");
    }
}

/// The scene's claim, proven under whatever signer it has.
fn claim(scene: &Scene, sealed: &Sealed) -> VerifiedClaim {
    let any = Pattern::regex(".").unwrap();
    let identities = NonEmpty::new(IdentityPattern {
        issuer: any.clone(),
        subject: any,
        extensions: Vec::new(),
    });
    let (name, roots, demands) = ("anybody".into(), roots(sealed), Demands::all());
    let anybody = Authority::Keyless { name, roots, identities, demands };
    let requirement = Requirement {
        rule: Rule { which: Which::All, ..Rule::any() },
        ..Requirement::any_claim_by(NonEmpty::new(anybody))
    };
    let policy = Policy { name: "all".into(), requirements: NonEmpty::new(requirement) };
    match judge(&policy, scene, sealed) {
        Verdict::Admit(grounds) => match grounds.0.head {
            Ground::Claim { claim, .. } => *claim,
            Ground::Static { .. } => panic!("nothing is static here"),
        },
        other => panic!("{other:?}"),
    }
}

fn signed_by(subject: &'static str) -> Scene {
    let scene = Scene::v1().on_certificate(move |certificate| {
        certificate.extensions.retain(|extension| extension.oid != SUBJECT_ALTERNATIVE_NAME);
        certificate.extensions.push(ExtensionDraft::names(&[uri(subject)]));
    });
    scene.with(|scene| scene.wanted_subject = subject.to_owned())
}

fn good(scenes: &[&Scene]) -> Good {
    let claims = scenes.iter().map(|scene| Fact::from(&claim(scene, &scene.seal())));
    Good { claims: claims.collect() }
}

#[test]
fn what_is_suggested_admits_the_good_and_nobody_else() {
    const ONE: &str = "https://github.com/acme/app/.github/workflows/a.yaml@refs/heads/main";
    const OTHER: &str = "https://github.com/acme/app/.github/workflows/b.yaml@refs/heads/main";
    let (one, other) = (signed_by(ONE), signed_by(OTHER));
    let text = suggest(&[good(&[&one])]).unwrap();
    assert!(admits(&text, &one) && !admits(&text, &other), "{text}");
    let text = suggest(&[good(&[&one]), good(&[&other])]).unwrap();
    assert!(admits(&text, &one) && admits(&text, &other), "{text}");
    assert!(!admits(
        &text,
        &signed_by("https://github.com/acme/app/.github/workflows/c.yaml@refs/heads/main")
    ));
    // What names one commit or one run is not asked for.
    for name in
        ["SourceRepositoryDigest", "RunInvocationURI", "GithubWorkflowSHA", "BuildSignerDigest"]
    {
        assert!(!text.contains(name), "{text}");
    }
    assert!(text.contains("RunnerEnvironment:") && text.contains("SourceRepositoryURI:"), "{text}");
}

#[test]
fn releases_that_differ_in_their_tag_are_one_signer() {
    let tag = |tag: &'static str| signed_by(tag);
    let v1 = tag("https://github.com/acme/app/.github/workflows/r.yaml@refs/tags/v1");
    let v2 = tag("https://github.com/acme/app/.github/workflows/r.yaml@refs/tags/v2");
    let text = suggest(&[good(&[&v1]), good(&[&v2])]).unwrap();
    assert!(admits(&text, &v1) && admits(&text, &v2), "{text}");
    assert!(admits(
        &text,
        &tag("https://github.com/acme/app/.github/workflows/r.yaml@refs/tags/v3")
    ));
    for other in [
        "https://github.com/acme/app/.github/workflows/r.yaml@refs/heads/main",
        "https://github.com/acme/app/.github/workflows/ryyaml@refs/tags/v1",
        "https://github.com/acme/app/.github/workflows/r.yaml@refs/tags/x@refs/tags/v1",
        "https://evil.example/?https://github.com/acme/app/.github/workflows/r.yaml@refs/tags/v1",
    ] {
        assert!(!admits(&text, &tag(other)), "{other}\n{text}");
    }
    // One release alone is no pattern.
    let text = suggest(&[good(&[&v1])]).unwrap();
    assert!(admits(&text, &v1) && !admits(&text, &v2), "{text}");
}

#[test]
fn only_what_all_images_have_becomes_a_requirement() {
    let signature = Scene::v1();
    let attested = Scene::statement(Kind::DsseV1);
    let text = suggest(&[good(&[&signature, &attested]), good(&[&attested])]).unwrap();
    assert!(admits(&text, &attested) && !admits(&text, &signature), "{text}");
    assert!(!text.contains("claim: signature"), "{text}");
    let both = suggest(&[good(&[&signature, &attested])]).unwrap();
    assert_eq!(both.matches("- name:").count(), 2, "{both}");
    let none = suggest(&[good(&[&signature]), good(&[&attested])]);
    assert_eq!(none, Err(NoSuggestion::NothingInCommon));
    assert_eq!(suggest(&[]), Err(NoSuggestion::NoImage));
    let empty = suggest(&[good(&[&signature]), Good::default()]);
    assert_eq!(empty, Err(NoSuggestion::NothingProven { index: 1 }));
}

#[test]
fn a_key_is_suggested_as_it_is_and_odd_names_stay_text() {
    let scene = Scene::v1().pinned();
    let sealed = scene.seal();
    let pem = sealed.key.public().to_pem();
    let fact = Fact { signer: Signer::Key(pem), attestation: None };
    let text = suggest(&[Good { claims: vec![fact] }]).unwrap();
    assert!(admits(&text, &scene), "{text}");
    let odd = Signer::Identity {
        issuer: "i\"\n  - name: x".to_owned(),
        subject: "\\ : # {} \u{7f}é".to_owned(),
        extensions: Vec::new(),
    };
    let fact = Fact { signer: odd, attestation: Some("a: [b]\n".to_owned()) };
    let text = suggest(&[Good { claims: vec![fact] }]).unwrap();
    let parsed = policy_file::parse(&text, "test", &roots(&sealed), &|_| Err(String::new()));
    // No predicate type is so; what is told is that, and not a broken file.
    let problems = parsed.unwrap_err().to_string();
    assert!(
        problems.contains("no predicate type") && !problems.contains(';'),
        "{problems}\n{text}"
    );
}

//! Which policies cover an image of an object, and what each says without evidence.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::cluster_image_policy::{ImageNames, ImagePolicy, Mode, Object, Rule, lower, parse};
use policy::{Problems, Wrong};
use verify::{Refusal, TrustRoot};

fn policies(text: &str) -> Result<Vec<ImagePolicy>, Problems> {
    lower(&parse(text, "cosign-system").unwrap().policies, &Arc::new(TrustRoot::public_good()))
}

fn policy(spec: &str) -> ImagePolicy {
    let text = format!(
        "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {{name: p}}\n\
         spec: {spec}\n"
    );
    policies(&text).unwrap().remove(0)
}

fn names(image: &str) -> ImageNames {
    ImageNames::of(&image.parse().unwrap())
}

fn object(group: &str, resource: &str, labels: &[(&str, &str)]) -> Object {
    let labels: BTreeMap<_, _> =
        labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Object { group: group.into(), version: "v1".into(), resource: resource.into(), labels }
}

const KEYLESS: &str = "{keyless: {identities: [{issuer: i, subject: s}]}}";
const PINNED: &str =
    "ghcr.io/acme/app:v1@sha256:5504f2a95018e3d8a52d80d9e1a128c6ea337581808ff9fe96f5628ce2336350";

#[test]
fn any_glob_is_enough() {
    let policy =
        policy(&format!("{{images: [{{glob: a/**}}, {{glob: b/*}}], authorities: [{KEYLESS}]}}"));
    let pod = object("", "pods", &[]);
    assert!(matches!(policy.rule(&names("b/x"), &pod), Some(Rule::Judge(_))));
    assert!(policy.rule(&names("c/x"), &pod).is_none());
    assert_eq!((policy.name(), policy.mode()), ("p", Mode::Enforce));
}

#[test]
fn match_limits_to_resources_and_labels() {
    let limited = |entries: &str| {
        policy(&format!(
            "{{images: [{{glob: '**'}}], match: [{entries}], authorities: [{KEYLESS}]}}"
        ))
    };
    let covers =
        |policy: &ImagePolicy, object: &Object| policy.rule(&names("a/b"), object).is_some();
    let deployment = object("apps", "deployments", &[("tier", "web"), ("team", "a")]);
    let bare = object("apps", "deployments", &[]);
    let pod = object("", "pods", &[("tier", "web")]);

    let resource = limited("{group: apps, version: v1, resource: deployments}");
    assert!(covers(&resource, &deployment) && covers(&resource, &bare) && !covers(&resource, &pod));

    let either = limited(
        "{group: apps, version: '*', resource: deployments}, {version: v1, resource: pods}",
    );
    assert!(covers(&either, &deployment) && covers(&either, &pod));

    // Another group's resource of the same name, and another version of this one.
    let elsewhere = object("acme.example", "deployments", &[]);
    let older = Object { version: "v1beta1".into(), ..bare.clone() };
    assert!(!covers(&resource, &elsewhere) && !covers(&resource, &older));
    assert!(!covers(&either, &elsewhere) && covers(&either, &older));

    let selected = |selector: &str| {
        limited(&format!(
            "{{group: apps, version: v1, resource: deployments, selector: {selector}}}"
        ))
    };
    for (selector, on_deployment, on_bare) in [
        ("{}", true, true),
        ("{matchLabels: {tier: web}}", true, false),
        ("{matchLabels: {tier: db}}", false, false),
        ("{matchLabels: {tier: web, team: b}}", false, false),
        ("{matchExpressions: [{key: tier, operator: In, values: [db, web]}]}", true, false),
        ("{matchExpressions: [{key: tier, operator: NotIn, values: [web]}]}", false, true),
        ("{matchExpressions: [{key: tier, operator: Exists}]}", true, false),
        ("{matchExpressions: [{key: tier, operator: DoesNotExist}]}", false, true),
    ] {
        let policy = selected(selector);
        assert_eq!(covers(&policy, &deployment), on_deployment, "{selector}");
        assert_eq!(covers(&policy, &bare), on_bare, "{selector}");
        assert!(!covers(&policy, &pod), "{selector}");
    }
}

#[test]
fn match_that_can_match_nothing_is_refused() {
    let text = |entry: &str| {
        format!(
            "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {{name: p}}\n\
             spec: {{images: [{{glob: '**'}}], match: [{entry}], authorities: [{KEYLESS}]}}\n"
        )
    };
    for (entry, reason) in [
        ("{}", "it names no resource"),
        ("{version: v1, resource: deployments}", "deployments are in the group \"apps\""),
        ("{group: apps, version: v1, resource: pods}", "pods are in the group \"\""),
        ("{group: apps, version: v1, resource: jobs}", "jobs are in the group \"batch\""),
        ("{resource: pods}", "pods are seen in version v1; write v1 or *"),
    ] {
        let problems = policies(&text(entry)).unwrap_err();
        assert_eq!(
            problems.to_string(),
            format!("policy `p`: spec.match[0]: matches nothing: {reason}"),
        );
    }
}

#[test]
fn static_decisions_need_no_evidence() {
    let pod = object("", "pods", &[]);
    let rule = |policy: &ImagePolicy| match policy.rule(&names("a/b"), &pod) {
        Some(Rule::Pass { authority }) => format!("pass by {authority}"),
        Some(Rule::Fail(reasons)) => {
            let texts = reasons.iter().map(|reason| match &reason.refusal {
                Refusal::Static { message } => format!("{}: {message}", reason.authority),
                other => panic!("{other:?}"),
            });
            texts.collect::<Vec<_>>().join("; ")
        }
        Some(Rule::Judge(policy)) => format!("judge by {}", policy.requirements.len()),
        None => "not covered".to_owned(),
    };
    let with = |authorities: &str| {
        policy(&format!("{{images: [{{glob: 'a/*'}}], authorities: [{authorities}]}}"))
    };
    let fail = "{name: never, static: {action: fail, message: use the mirror}}";
    assert_eq!(rule(&with("{static: {action: pass}}")), "pass by authority-0");
    assert_eq!(rule(&with(fail)), "never: use the mirror");
    assert_eq!(
        rule(&with(&format!("{fail}, {{static: {{action: fail}}}}"))),
        "never: use the mirror; authority-1: no reason given"
    );
    // Any authority is enough: a pass beats everything, a fail beats nothing.
    assert_eq!(
        rule(&with(&format!("{KEYLESS}, {{static: {{action: pass}}}}"))),
        "pass by authority-1"
    );
    assert_eq!(
        rule(&with(&format!("{fail}, {{static: {{action: pass}}}}"))),
        "pass by authority-1"
    );
    assert_eq!(rule(&with(&format!("{fail}, {KEYLESS}"))), "judge by 1");
}

#[test]
fn a_tag_beside_a_digest_buys_no_pass() {
    let pod = object("", "pods", &[]);
    let with = |glob: &str, authorities: &str| {
        policy(&format!("{{images: [{{glob: '{glob}'}}], authorities: [{authorities}]}}"))
    };
    let pass = "{static: {action: pass}}";
    let by_tag = with("ghcr.io/acme/app:v1", pass);
    assert!(matches!(by_tag.rule(&names("ghcr.io/acme/app:v1"), &pod), Some(Rule::Pass { .. })));
    assert!(by_tag.rule(&names(PINNED), &pod).is_none(), "any digest could carry that tag");
    let by_repository = with("ghcr.io/acme/app*", pass);
    assert!(matches!(by_repository.rule(&names(PINNED), &pod), Some(Rule::Pass { .. })));
    // What does not pass by its tag is judged all the same.
    let mixed = with("ghcr.io/acme/app:v1", &format!("{pass}, {KEYLESS}"));
    match mixed.rule(&names(PINNED), &pod) {
        Some(Rule::Judge(policy)) => assert_eq!(policy.requirements.first().any_of.len(), 1),
        other => panic!("{other:?}"),
    }
    let judged = with("ghcr.io/acme/app:v1", KEYLESS);
    assert!(matches!(judged.rule(&names(PINNED), &pod), Some(Rule::Judge(_))));
}

#[test]
fn two_policies_of_one_name_are_refused_across_texts() {
    let text = format!(
        "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {{name: p}}\n\
         spec: {{images: [{{glob: '**'}}], authorities: [{KEYLESS}]}}\n"
    );
    let one = parse(&text, "").unwrap().policies;
    let both = [one.clone(), one].concat();
    let problems = lower(&both, &Arc::new(TrustRoot::public_good())).unwrap_err();
    assert!(matches!(problems.found()[0].wrong, Wrong::DuplicateName));
}

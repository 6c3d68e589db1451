//! Policies and their verdicts, and who is asked.

use admission::NoMatch;
use serde_json::{Value, json};
use testkit::instance::SUBJECT;
use verify::ObstacleKind;

use super::{APP, signed};
use crate::world::{World, deployment, keyless, pod, policy, review, signer};

#[tokio::test]
async fn admits_what_is_signed_by_whom_the_policy_wants() {
    let world = World::new(&[keyless("enforce", "registry.example.com/**")]);
    let image = signed(&world);
    let answer = world.pod(&image).await;
    assert!(answer.allowed(), "{answer:?}");
    assert_eq!(answer.warnings(), [] as [String; 0]);
    assert_eq!(world.calls(), [format!("evidence {image}")]);
}

#[tokio::test]
async fn refuses_what_is_not_signed_tampered_or_signed_by_another() {
    let world = World::new(&[keyless("enforce", "registry.example.com/**")]);
    let image = world.push(APP, "app");
    let answer = world.pod(&image).await;
    assert_eq!(
        answer.message().unwrap(),
        format!(
            "spec.containers[0].image `{image}`: policy `signed`: refused: no signature was found: \
             wanted a signature or attestation, found none"
        )
    );
    // A good signature, about another image.
    world.sign("other", "app");
    let answer = world.pod(&image).await;
    let message = answer.message().unwrap();
    assert!(message.contains("it is about another artifact"), "{message}");
    // A good signature about this image, by somebody else.
    let world = World::new(&[policy("ours", "enforce", "**", &signer("me@example.com"))]);
    let image = signed(&world);
    let answer = world.pod(&image).await;
    let message = answer.message().unwrap();
    for part in ["signed by somebody else", "`me@example.com`", SUBJECT] {
        assert!(message.contains(part), "{message}");
    }
}

/// A verdict is a policy's, not a name's: who brings policies together may bring two of one name.
#[tokio::test]
async fn policies_of_one_name_do_not_answer_for_each_other() {
    let met = keyless("enforce", "**");
    let unmet = policy("signed", "enforce", "**", &signer("me@example.com"));
    for [first, second] in [[&met, &unmet], [&unmet, &met]] {
        let parts = [first, second].map(std::slice::from_ref);
        let world = World::of(&parts, NoMatch::Allow);
        let image = signed(&world);
        let answer = world.pod(&image).await;
        assert!(!answer.allowed(), "{answer:?}");
        let message = answer.message().unwrap();
        assert_eq!(message.matches("policy `signed`: refused").count(), 1, "{message}");
        assert!(message.contains("signed by somebody else"), "{message}");
        assert_eq!(world.calls(), [format!("evidence {image}")]);
    }
}

#[tokio::test]
async fn says_that_it_could_not_tell() {
    let world = World::new(&[keyless("enforce", "**")]);
    for kind in [ObstacleKind::Unauthorized, ObstacleKind::RateLimited, ObstacleKind::ServerError] {
        let manifest = format!("{kind:?}");
        let image = world.push(APP, &manifest);
        world.obstruct(&manifest, kind);
        let answer = world.pod(&image).await;
        assert_eq!(
            answer.message().unwrap(),
            format!(
                "spec.containers[0].image `{image}`: policy `signed`: could not tell: referrers: \
                 {kind}"
            )
        );
        let json: Value = serde_json::from_slice(&answer.to_json()).unwrap();
        assert_eq!(json["response"]["status"]["code"], 503);
        // A sufficient signature is enough, whatever else could not be seen.
        world.sign(&manifest, &manifest);
        assert!(world.pod(&image).await.allowed());
    }
}

#[tokio::test]
async fn warn_mode_admits_and_says_why_it_would_not() {
    let world = World::new(&[keyless("warn", "**")]);
    let image = world.push(APP, "app");
    let answer = world.pod(&image).await;
    assert!(answer.allowed());
    assert!(answer.warnings()[0].contains("refused: no signature was found"), "{answer:?}");
    world.obstruct("app", ObstacleKind::TimedOut);
    let answer = world.pod(&image).await;
    assert!(answer.allowed());
    assert!(answer.warnings()[0].contains("could not tell: referrers"), "{answer:?}");
    // Nothing at all refuses under policies that only warn.
    world.fail_tag("registry.example.com/shop/gone:1", ObstacleKind::NotFound);
    for image in ["registry.example.com/shop/gone:1", APP, "Not A Name", "%2f"] {
        let answer = world.pod(image).await;
        assert!(answer.allowed() && answer.warnings().len() == 1, "{image}: {answer:?}");
    }
    let mut future = pod(&image);
    future["spec"]["future"] = json!({"image": "evil:1"});
    assert!(world.validate(&review("CREATE", &future, None)).await.allowed());
    let broken = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": "x"}});
    let answer = world.validate(&review("CREATE", &broken, None)).await;
    assert!(answer.allowed() && answer.warnings().len() == 1, "{answer:?}");
}

#[tokio::test]
async fn every_policy_must_be_met() {
    let good = policy("good", "enforce", "**", &signer(SUBJECT));
    let too = policy("too", "enforce", "registry.example.com/shop/*", &signer(SUBJECT));
    let bad = policy("bad", "enforce", "registry.example.com/**", &signer("me@example.com"));
    let elsewhere = policy("elsewhere", "enforce", "ghcr.io/**", &signer("me@example.com"));
    let warning = policy("warning", "warn", "**", &signer("me@example.com"));
    for (policies, allowed, message, warnings) in [
        (vec![&good], true, None, 0),
        (vec![&good, &too], true, None, 0),
        (vec![&good, &bad], false, Some("`bad`"), 0),
        (vec![&bad, &good], false, Some("`bad`"), 0),
        (vec![&good, &elsewhere], true, None, 0),
        (vec![&good, &warning], true, None, 1),
        // A warning never stands in for a refusal, whichever comes first.
        (vec![&warning, &bad], false, Some("`bad`"), 1),
        (vec![&bad, &warning], false, Some("`bad`"), 1),
    ] {
        let policies: Vec<_> = policies.into_iter().cloned().collect();
        let world = World::new(&policies);
        let image = signed(&world);
        let answer = world.pod(&image).await;
        assert_eq!(answer.allowed(), allowed, "{answer:?}");
        assert_eq!(answer.warnings().len(), warnings, "{answer:?}");
        assert!(message.is_none_or(|it| answer.message().unwrap().contains(it)), "{answer:?}");
        // However many policies: the evidence is fetched once.
        assert_eq!(world.calls(), [format!("evidence {image}")]);
    }
}

#[tokio::test]
async fn the_strictest_policy_decides_about_what_cannot_be_judged() {
    let (warn, enforce) = (keyless("warn", "**"), policy("p", "enforce", "**", &signer("x")));
    for policies in [[warn.clone(), enforce.clone()], [enforce, warn]] {
        let world = World::new(&policies);
        world.push(APP, "app");
        for image in [APP, "Not A Name"] {
            assert!(!world.pod(image).await.allowed(), "{image}");
        }
    }
}

#[tokio::test]
async fn any_authority_and_any_identity_is_enough() {
    let two_authorities = json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy",
        "metadata": {"name": "either"},
        "spec": {"images": [{"glob": "**"}],
            "authorities": [signer("me@example.com"), signer(SUBJECT)]},
    });
    let mut two_identities = signer("me@example.com");
    let identities = two_identities.pointer_mut("/keyless/identities").unwrap();
    let other = json!({"issuerRegExp": "token\\.testkit", "subjectRegExp": "/acme/app/"});
    identities.as_array_mut().unwrap().push(other);
    for policies in
        [vec![two_authorities.to_string()], vec![policy("p", "enforce", "**", &two_identities)]]
    {
        let world = World::new(&policies);
        let image = signed(&world);
        assert!(world.pod(&image).await.allowed());
    }
    // The identity's both halves must match.
    let half = json!({"keyless": {"identities": [
        {"issuerRegExp": "token\\.testkit", "subject": "me@example.com"},
        {"issuer": "https://other.example", "subjectRegExp": "/acme/app/"},
    ]}});
    let world = World::new(&[policy("p", "enforce", "**", &half)]);
    let image = signed(&world);
    assert!(!world.pod(&image).await.allowed());
}

#[tokio::test]
async fn no_match_asks_nobody() {
    for (no_match, allowed, warnings) in
        [(NoMatch::Allow, true, 0), (NoMatch::Warn, true, 1), (NoMatch::Deny, false, 0)]
    {
        let world = World::with_no_match(&[keyless("enforce", "ghcr.io/**")], no_match);
        let image = signed(&world);
        for image in [image.as_str(), APP, "nginx"] {
            let answer = world.pod(image).await;
            assert_eq!(answer.allowed(), allowed, "{answer:?}");
            assert_eq!(answer.warnings().len(), warnings, "{answer:?}");
            assert_eq!(world.mutate(&review("CREATE", &pod(image), None)).await.patches(), []);
        }
        assert_eq!(world.calls(), [] as [String; 0]);
    }
}

#[tokio::test]
async fn static_rules_ask_nobody() {
    let pass = json!({"static": {"action": "pass"}});
    let fail = json!({"static": {"action": "fail", "message": "use the mirror"}});
    let world = World::with_no_match(
        &[
            policy("free", "enforce", "docker.io/**", &pass),
            policy("mirror", "enforce", "quay.io/**", &fail),
            policy("watch", "warn", "gcr.io/**", &fail),
            keyless("enforce", "quay.io/**"),
        ],
        NoMatch::Deny,
    );
    // Even by its tag: nothing has to be resolved for what is passed unseen.
    assert!(world.pod("nginx").await.allowed());
    let answer = world.pod("quay.io/acme/app:v1").await;
    assert!(answer.message().unwrap().ends_with("the policy refuses it: use the mirror"));
    let answer = world.pod("gcr.io/acme/app:v1").await;
    assert!(answer.allowed() && answer.warnings()[0].ends_with("use the mirror"));
    for image in ["nginx", "quay.io/acme/app:v1", "gcr.io/acme/app:v1"] {
        assert_eq!(world.mutate(&review("CREATE", &pod(image), None)).await.patches(), []);
    }
    assert_eq!(world.calls(), [] as [String; 0]);
}

#[tokio::test]
async fn deletion_and_connection_are_nobodys_business_here() {
    let world = World::with_no_match(&[keyless("enforce", "**")], NoMatch::Deny);
    let mut exec = json!({"apiVersion": "v1", "kind": "PodExecOptions", "image": "a:1"});
    exec["metadata"] = json!({"name": "web"});
    for (operation, object) in [("DELETE", pod(APP)), ("CONNECT", exec)] {
        let mut review = review(operation, &object, Some(&pod(APP)));
        assert!(world.validate(&review).await.allowed());
        review["request"]["object"] = Value::Null;
        assert!(world.validate(&review).await.allowed());
    }
    assert_eq!(world.calls(), [] as [String; 0]);
}

#[tokio::test]
async fn kinds_without_images_pass_and_others_do_not() {
    let world = World::new(&[keyless("enforce", "ghcr.io/**")]);
    let object = |api_version: &str, kind: &str, content: Value| {
        let mut object = content;
        object["apiVersion"] = json!(api_version);
        object["kind"] = json!(kind);
        review("CREATE", &object, None)
    };
    for (api_version, kind, content) in [
        ("v1", "Namespace", json!({"metadata": {"labels": {"image": "a"}}, "spec": {}})),
        ("autoscaling/v1", "Scale", json!({"spec": {"replicas": 3}})),
        ("v1", "Binding", json!({"target": {"kind": "Node", "name": "n"}})),
        ("policy/v1", "Eviction", json!({"deleteOptions": {}})),
    ] {
        let answer = world.validate(&object(api_version, kind, content)).await;
        assert!(answer.allowed(), "{kind}: {answer:?}");
    }
    // A Pod in disguise, whatever registry it names.
    let template = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "a", "image": "quay.io/acme/app:v1"}
    ]}}}});
    for (api_version, kind) in
        [("argoproj.io/v1alpha1", "Rollout"), ("apps/v1beta1", "Deployment"), ("v1", "Deployment")]
    {
        let answer = world.validate(&object(api_version, kind, template.clone())).await;
        assert_eq!(
            answer.message().unwrap(),
            format!(
                "spec.template.spec.containers[0].image `quay.io/acme/app:v1`: not a place where a \
                 {kind} is known to name an image, so it cannot be judged"
            )
        );
    }
    assert_eq!(world.calls(), [] as [String; 0]);
}

#[tokio::test]
async fn policies_for_other_objects_do_not_apply() {
    let mut text: Value = serde_json::from_str(&keyless("enforce", "**")).unwrap();
    text["spec"]["match"] = json!([{"group": "apps", "version": "v1", "resource": "deployments",
        "selector": {"matchLabels": {"tier": "web"}}}]);
    let world = World::new(&[text.to_string()]);
    let image = world.push(APP, "unsigned");
    let mut labelled = deployment(&image);
    labelled["metadata"]["labels"] = json!({"tier": "web"});
    assert!(!world.validate(&review("CREATE", &labelled, None)).await.allowed());
    assert_eq!(world.calls().len(), 1);
    for object in [pod(&image), deployment(&image), pod("Not A Name")] {
        assert!(world.validate(&review("CREATE", &object, None)).await.allowed());
    }
    assert_eq!(world.calls(), [] as [String; 0]);
    // Labels that cannot be read may be any.
    let mut unreadable = deployment(&image);
    unreadable["metadata"]["labels"] = json!({"tier": 5});
    assert!(!world.validate(&review("CREATE", &unreadable, None)).await.allowed());
}

#[tokio::test]
async fn one_question_for_an_image_however_often_it_is_named() {
    let world = World::new(&[keyless("enforce", "**"), policy("b", "warn", "**", &signer("x"))]);
    let image = world.push(APP, "unsigned");
    let mut object = pod(&image);
    let bare = image.replace(":v1@", "@");
    let containers = (0..40).map(|number| json!({"name": format!("c{number}"), "image": bare}));
    object["spec"]["initContainers"] = containers.collect();
    let answer = world.validate(&review("CREATE", &object, None)).await;
    assert!(!answer.allowed());
    assert_eq!(world.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_registry_is_not_waited_for() {
    let world = World::new(&[keyless("enforce", "**")]);
    let image = signed(&world);
    world.fall_silent();
    for image in [image.as_str(), APP] {
        let answer = world.pod(image).await;
        let message = answer.message().unwrap();
        assert!(message.contains("could not tell"), "{message}");
        assert!(message.contains("no answer in time"), "{message}");
    }
    let answer = world.mutate(&review("CREATE", &pod(APP), None)).await;
    assert!(answer.allowed() && answer.patches().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_slow_registry_found_in_time_is_judged() {
    let world = World::new(&[keyless("enforce", "**")]);
    let image = signed(&world);
    world.obstruct("app", ObstacleKind::TimedOut);
    world.slow_down(0);
    let answer = world.pod(&image).await;
    assert!(answer.allowed(), "{answer:?}");
    let unsigned = world.push(APP, "other");
    let answer = world.pod(&unsigned).await;
    assert!(answer.message().unwrap().contains("no signature was found"), "{answer:?}");
}

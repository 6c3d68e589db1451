//! What is admitted, warned of and refused, and what is asked for it.

use admission::NoMatch;
use evidence::Digest;
use evidence::image::ImageRef;
use serde_json::{Value, json};
use testkit::instance::SUBJECT;
use verify::ObstacleKind;

use crate::world::{World, deployment, keyless, patched, pins, pod, policy, review, signer};

const APP: &str = "registry.example.com/shop/app:v1";

fn digest(manifest: &str) -> Digest {
    Digest::sha256(manifest.as_bytes())
}

/// An image pushed and signed; its pinned name.
fn signed(world: &World) -> String {
    world.sign("app", "app");
    world.push(APP, "app")
}

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
async fn a_tag_is_refused_and_its_digest_named() {
    let world = World::new(&[keyless("enforce", "**")]);
    signed(&world);
    let pinned = format!("{APP}@{}", digest("app"));
    for object in [pod(APP), deployment(APP)] {
        let answer = world.validate(&review("CREATE", &object, None)).await;
        let message = answer.message().unwrap();
        assert!(message.ends_with(&format!("write `{pinned}`")), "{message}");
        assert_eq!(world.calls(), [format!("resolve {APP}")]);
    }
    // Doing so admits it.
    assert!(world.pod(&pinned).await.allowed());
    let answer = world.validate(&review("CREATE", &deployment(&pinned), None)).await;
    assert!(answer.allowed());
    // A tag that cannot be resolved is no violation.
    for kind in [ObstacleKind::NotFound, ObstacleKind::Unauthorized, ObstacleKind::Unreachable] {
        world.fail_tag(APP, kind);
        let answer = world.pod(APP).await;
        let message = answer.message().unwrap();
        assert!(message.contains("could not tell its digest"), "{message}");
        assert!(message.contains(&kind.to_string()), "{message}");
    }
}

#[tokio::test]
async fn mutate_pins_pods_and_nothing_else() {
    let world = World::new(&[keyless("enforce", "**")]);
    signed(&world);
    world.push("nginx", "nginx");
    world.push("ghcr.io/acme/model:7b", "model");
    let mut object = pod(APP);
    let (app, nginx, model) = (digest("app"), digest("nginx"), digest("model"));
    object["spec"]["initContainers"] = json!([
        {"name": "a", "image": APP},
        {"name": "b", "image": format!("{APP}@{nginx}")},
        {"name": "c", "image": "nginx"},
        {"name": "d", "image": "docker.io/library/nginx:latest"},
    ]);
    object["spec"]["volumes"] =
        json!([{"name": "m", "image": {"reference": "ghcr.io/acme/model:7b"}}]);
    let answer = world.mutate(&review("CREATE", &object, None)).await;
    assert!(answer.allowed());
    let wanted = [
        ("/spec/containers/0/image", format!("{APP}@{app}")),
        ("/spec/initContainers/0/image", format!("{APP}@{app}")),
        // Spelled as the user did, and the tag that was resolved written out.
        ("/spec/initContainers/2/image", format!("nginx:latest@{nginx}")),
        ("/spec/initContainers/3/image", format!("docker.io/library/nginx:latest@{nginx}")),
        ("/spec/volumes/0/image/reference", format!("ghcr.io/acme/model:7b@{model}")),
    ];
    let wanted = wanted.map(|(pointer, image)| (pointer.to_owned(), image));
    assert_eq!(pins(&answer), wanted.into_iter().collect());
    // Two spellings of one image are one question.
    assert_eq!(
        world.calls(),
        [
            "resolve docker.io/library/nginx:latest",
            "resolve ghcr.io/acme/model:7b",
            "resolve registry.example.com/shop/app:v1"
        ]
    );
    // Nothing is left to pin.
    let again = world.mutate(&review("CREATE", &patched(&object, &answer), None)).await;
    assert_eq!((again.patches(), world.calls().len()), (&[][..], 0));
    // Templates are left as they are.
    let answer = world.mutate(&review("CREATE", &deployment(APP), None)).await;
    assert!(answer.allowed());
    assert_eq!((answer.patches(), world.calls().len()), (&[][..], 0));
}

#[tokio::test]
async fn what_is_pinned_is_the_same_image() {
    let world = World::new(&[keyless("enforce", "**")]);
    for (image, tagged) in [
        ("app", "app:latest"),
        ("app:latest", "app:latest"),
        ("latest", "latest:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("localhost:5000/app:5000", "localhost:5000/app:5000"),
        ("ghcr.io:443/acme/app:v1", "ghcr.io:443/acme/app:v1"),
        ("registry-1.docker.io/library/app", "registry-1.docker.io/library/app:latest"),
        ("[::1]:5000/a/b", "[::1]:5000/a/b:latest"),
    ] {
        world.push(image, "app");
        let answer = world.mutate(&review("CREATE", &pod(image), None)).await;
        let [patch] = answer.patches() else { panic!("{image}: {answer:?}") };
        assert_eq!(patch.image, format!("{tagged}@{}", digest("app")));
        let (before, after): (ImageRef, ImageRef) =
            (image.parse().unwrap(), patch.image.parse().unwrap());
        assert_eq!((before.name(), before.tag()), (after.name(), after.tag()));
        assert_eq!(after.digest(), Some(&digest("app")));
    }
}

#[tokio::test]
async fn mutate_leaves_alone_what_it_cannot_resolve() {
    let world = World::new(&[keyless("enforce", "**")]);
    world.fail_tag(APP, ObstacleKind::RateLimited);
    let answer = world.mutate(&review("CREATE", &pod(APP), None)).await;
    assert!(answer.allowed() && answer.patches().is_empty());
    // And the other webhook says why.
    let answer = world.pod(APP).await;
    assert!(answer.message().unwrap().contains("asked too often"), "{answer:?}");
    for image in ["Not A Name", "a@sha256:00", ""] {
        let answer = world.mutate(&review("CREATE", &pod(image), None)).await;
        assert!(answer.allowed() && answer.patches().is_empty(), "{image}");
    }
}

#[tokio::test]
async fn mutate_and_validate_agree_on_the_digest() {
    let world = World::new(&[keyless("enforce", "**")]);
    signed(&world);
    let object = pod(APP);
    let answer = world.mutate(&review("CREATE", &object, None)).await;
    // The tag moves while the Pod is on its way.
    world.push(APP, "evil");
    let object = patched(&object, &answer);
    let answer = world.validate(&review("CREATE", &object, None)).await;
    assert!(answer.allowed());
    let image = object["spec"]["containers"][0]["image"].as_str().unwrap();
    assert!(image.ends_with(&digest("app").to_string()));
    assert_eq!(world.calls(), [format!("evidence {image}"), format!("resolve {APP}")]);
}

#[tokio::test]
async fn what_is_unchanged_is_admitted_unasked() {
    let world = World::new(&[keyless("enforce", "**")]);
    world.fall_silent();
    let old = pod(APP);
    let mut new = old.clone();
    new["metadata"]["labels"] = json!({"a": "b"});
    new["metadata"]["finalizers"] = json!([]);
    new["spec"]["activeDeadlineSeconds"] = json!(5);
    for subresource in [None, Some("status"), Some("resize"), Some("ephemeralcontainers")] {
        let mut review = review("UPDATE", &new, Some(&old));
        review["request"]["subResource"] = json!(subresource);
        assert!(world.validate(&review).await.allowed(), "{subresource:?}");
        assert_eq!(world.mutate(&review).await.patches(), [], "{subresource:?}");
    }
    let old = deployment(APP);
    let mut new = old.clone();
    new["spec"]["replicas"] = json!(500);
    new["spec"]["template"]["metadata"] =
        json!({"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}});
    assert!(world.validate(&review("UPDATE", &new, Some(&old))).await.allowed());
    assert_eq!(world.calls(), [] as [String; 0]);
}

#[tokio::test]
async fn only_changed_images_are_judged() {
    let world = World::new(&[keyless("enforce", "**")]);
    let image = signed(&world);
    let mut old = pod("registry.example.com/shop/app:v0");
    old["spec"]["initContainers"] = json!([{"name": "old", "image": "unsigned:1"}]);
    let mut new = old.clone();
    new["spec"]["containers"][0]["image"] = json!(image);
    assert!(world.validate(&review("UPDATE", &new, Some(&old))).await.allowed());
    assert_eq!(world.calls(), [format!("evidence {image}")]);
    // The same object made anew is judged whole.
    assert!(!world.validate(&review("CREATE", &new, Some(&old))).await.allowed());
}

/// Whoever may set a label must not bring an image past the policy that asks for that label.
#[tokio::test]
async fn what_a_new_label_brings_under_a_policy_is_judged() {
    let selecting = |mode: &str, glob: &str, resource: &str| {
        let mut text: Value = serde_json::from_str(&keyless(mode, glob)).unwrap();
        text["spec"]["match"] = json!([{"group": "", "version": "v1", "resource": resource,
            "selector": {"matchLabels": {"env": "prod"}}}]);
        text.to_string()
    };
    let labelled = |image: &str, env: &str| {
        let mut object = pod(image);
        object["metadata"]["labels"] = json!({"env": env});
        object
    };
    let relabel = |image: &str, from: &str, to: &str| {
        review("UPDATE", &labelled(image, to), Some(&labelled(image, from)))
    };
    let world = World::new(&[selecting("enforce", "registry.example.com/**", "pods")]);
    let unsigned = world.push(APP, "unsigned");
    let answer = world.validate(&relabel(&unsigned, "dev", "prod")).await;
    assert!(answer.message().unwrap().contains("no signature was found"), "{answer:?}");
    // Nobody asks where it was under the policy before, or is under none now.
    for (from, to) in [("prod", "prod"), ("prod", "dev"), ("dev", "test")] {
        world.calls();
        assert!(world.validate(&relabel(&unsigned, from, to)).await.allowed(), "{from} {to}");
        assert_eq!(world.calls(), [] as [String; 0], "{from} {to}");
    }
    // What cannot be judged at all is refused then, too.
    for image in [APP, "Not A Name"] {
        assert!(!world.validate(&relabel(image, "dev", "prod")).await.allowed(), "{image}");
        assert!(world.validate(&relabel(image, "prod", "prod")).await.allowed(), "{image}");
    }
    let mut future = relabel(&unsigned, "dev", "prod");
    for object in ["object", "oldObject"] {
        future["request"][object]["spec"] = json!({"future": {"image": "evil:1"}});
    }
    assert!(!world.validate(&future).await.allowed());
    future["request"]["oldObject"]["metadata"]["labels"]["env"] = json!("prod");
    assert!(world.validate(&future).await.allowed());
    // A tag that runs already stays as it is: pinned, its containers would be started anew.
    world.push(APP, "app");
    assert_eq!(world.mutate(&relabel(APP, "dev", "prod")).await.patches(), []);
    // Old labels that cannot be read vouch for nothing.
    let mut unreadable = relabel(&unsigned, "prod", "prod");
    unreadable["request"]["oldObject"]["metadata"]["labels"] = json!({"env": "prod", "a": 5});
    assert!(!world.validate(&unreadable).await.allowed());
    // A signed image may have the label.
    let image = signed(&world);
    assert!(world.validate(&relabel(&image, "dev", "prod")).await.allowed());

    // Each policy counts for itself: one that covered it before does not stand in for another.
    let world = World::new(&[
        selecting("enforce", "registry.example.com/shop/*", "pods"),
        policy("always", "enforce", "registry.example.com/**", &signer(SUBJECT)),
    ]);
    let unsigned = world.push(APP, "unsigned");
    let answer = world.validate(&relabel(&unsigned, "dev", "prod")).await;
    let message = answer.message().unwrap();
    assert!(message.contains("`signed`") && !message.contains("`always`"), "{message}");
    // And one for another resource for none.
    let world = World::new(&[selecting("enforce", "**", "podtemplates")]);
    assert!(world.validate(&relabel(&unsigned, "dev", "prod")).await.allowed());
}

#[tokio::test]
async fn a_label_that_takes_an_image_out_of_every_policy_is_no_way_past_deny() {
    let mut text: Value = serde_json::from_str(&keyless("enforce", "**")).unwrap();
    text["spec"]["match"] = json!([{"group": "", "version": "v1", "resource": "pods",
        "selector": {"matchLabels": {"env": "prod"}}}]);
    let world = World::with_no_match(&[text.to_string()], NoMatch::Deny);
    let labelled = |env: &str| {
        let mut object = pod(APP);
        object["metadata"]["labels"] = json!({"env": env});
        object
    };
    let relabel = |from, to| review("UPDATE", &labelled(to), Some(&labelled(from)));
    let answer = world.validate(&relabel("prod", "dev")).await;
    assert!(answer.message().unwrap().contains("no policy covers it"), "{answer:?}");
    // One that no policy covered before is none the worse.
    assert!(world.validate(&relabel("test", "dev")).await.allowed());
    assert!(world.validate(&relabel("prod", "prod")).await.allowed());
}

/// Most signatures are small; only who has more beside his image waits for the room for that.
#[tokio::test]
async fn more_evidence_is_fetched_only_where_a_little_is_not_enough() {
    let world = World::new(&[keyless("enforce", "**")]);
    let image = signed(&world);
    for (size, asked) in [
        (32 << 10, vec![format!("evidence {image}")]),
        (
            (32 << 10) + 1,
            vec![format!("evidence {image}"), format!("evidence {image} up to 1048576")],
        ),
        (
            16 << 20,
            vec![
                format!("evidence {image}"),
                format!("evidence {image} up to 1048576"),
                format!("evidence {image} up to 16777216"),
            ],
        ),
    ] {
        world.swell("app", size);
        assert!(world.pod(&image).await.allowed(), "{size}");
        assert_eq!(world.calls(), asked);
    }
    // More than all room there is: could not tell, for that reason.
    world.swell("app", (16 << 20) + 1);
    let answer = world.pod(&image).await;
    let message = answer.message().unwrap();
    assert!(message.contains("could not tell: further evidence: the answer is too large"));
    assert!(answer.is_unknown());
}

/// Whoever holds the room for the largest evidence is said to be in the way, and nothing else is.
#[tokio::test(start_paused = true)]
async fn who_finds_no_room_is_told_so() {
    let world = std::sync::Arc::new(World::new(&[keyless("enforce", "**")]));
    let image = signed(&world);
    world.sign("large", "large");
    world.swell("large", 2 << 20);
    let large = world.push("registry.example.com/shop/large:v1", "large");
    world.slow_down(16 << 20);
    let ask = |image: &str| {
        let (world, image) = (std::sync::Arc::clone(&world), image.to_owned());
        tokio::spawn(async move { world.pod(&image).await })
    };
    // There is room for four.
    let many: Vec<_> = (0..20).map(|_| ask(&large)).collect();
    let mut admitted = 0;
    for answer in many {
        let answer = answer.await.unwrap();
        let Some(message) = answer.message() else {
            admitted += 1;
            continue;
        };
        let said = format!(
            "could not tell: evidence about {large}: too much is being looked at here at once (it \
             is larger than 1 MiB, and other reviews take up the room for that)"
        );
        assert!(message.ends_with(&said), "{message}");
    }
    assert!((4..20).contains(&admitted), "{admitted} of 20 were admitted");
    assert!(ask(&image).await.unwrap().allowed());
}

/// One review takes up the room for one image of the largest.
#[tokio::test(start_paused = true)]
async fn one_review_does_not_take_all_the_room() {
    let world = World::new(&[keyless("enforce", "**")]);
    let mut object = pod(APP);
    let container = |number: usize| {
        let manifest = format!("large {number}");
        world.sign(&manifest, &manifest);
        world.swell(&manifest, 2 << 20);
        json!({"name": format!("c{number}"), "image": world.push(APP, &manifest)})
    };
    object["spec"]["containers"] = (0..6).map(container).collect();
    world.slow_down(16 << 20);
    let answer = world.validate(&review("CREATE", &object, None)).await;
    assert!(!answer.allowed() && answer.is_unknown(), "{answer:?}");
    let calls = world.calls();
    // The next may come in as the first goes out, with no time left to it.
    let large = calls.iter().filter(|call| call.ends_with("up to 16777216")).count();
    assert!((1..=2).contains(&large), "{large} at once");
    assert_eq!(calls.iter().filter(|call| call.ends_with("up to 1048576")).count(), 6);
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

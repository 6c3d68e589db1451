//! What an update changes is judged, and what it brings under a policy.

use admission::NoMatch;
use serde_json::{Value, json};
use testkit::instance::SUBJECT;

use super::{APP, signed};
use crate::world::{World, deployment, keyless, pod, policy, review, signer};

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

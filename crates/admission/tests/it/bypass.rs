//! Ways around the door that others have left open, each tried with an unsigned image.

use serde_json::{Value, json};
use verify::ObstacleKind;

use crate::world::{World, deployment, keyless, pod, review};

const APP: &str = "registry.example.com/shop/app:v1";

/// A world where everything in `registry.example.com` must be signed, and one unsigned image.
fn guarded() -> (World, String) {
    let world = World::new(&[keyless("enforce", "registry.example.com/**")]);
    let image = world.push(APP, "evil");
    (world, image)
}

async fn refused(world: &World, review: &Value) -> String {
    let answer = world.validate(review).await;
    answer.message().unwrap_or_else(|| panic!("admitted: {review}")).to_owned()
}

/// The tag is moved between the two webhooks: only a digest is judged.
#[tokio::test]
async fn a_moved_tag() {
    let (world, _) = guarded();
    world.sign("good", "good");
    world.push(APP, "good");
    assert!(refused(&world, &review("CREATE", &pod(APP), None)).await.contains("a tag can move"));
}

/// Every list of containers, and image volumes; a digest beside a good tag.
#[tokio::test]
async fn a_list_nobody_looks_at() {
    let (world, evil) = guarded();
    world.sign("good", "good");
    let good = world.push("registry.example.com/shop/good:v1", "good");
    for (list, entry) in [
        ("containers", json!({"name": "x", "image": evil})),
        ("initContainers", json!({"name": "x", "image": evil})),
        ("initContainers", json!({"name": "x", "image": evil, "restartPolicy": "Always"})),
        ("ephemeralContainers", json!({"name": "x", "image": evil, "targetContainerName": "web"})),
        ("volumes", json!({"name": "x", "image": {"reference": evil}})),
    ] {
        let mut object = pod(&good);
        let entries = object["spec"].as_object_mut().unwrap();
        let entries = entries.entry(list).or_insert(json!([])).as_array_mut().unwrap();
        entries.push(entry);
        assert!(refused(&world, &review("CREATE", &object, None)).await.contains(list));
        // The same as an update of a good Pod, through its subresource too.
        let mut update = review("UPDATE", &object, Some(&pod(&good)));
        refused(&world, &update).await;
        update["request"]["subResource"] = json!("ephemeralcontainers");
        refused(&world, &update).await;
    }
}

/// A field of a newer Kubernetes that starts an image.
#[tokio::test]
async fn a_field_that_is_not_known() {
    let (world, evil) = guarded();
    for spec in [
        json!({"containers": [], "sandbox": {"image": evil}}),
        json!({"containers": [{"name": "a", "rootfs": {"reference": evil}}]}),
        json!({"containers": [], "volumes": [{"name": "a", "oci": {"image": {"reference": evil}}}]}),
    ] {
        let object = json!({"apiVersion": "v1", "kind": "Pod", "spec": spec});
        let message = refused(&world, &review("CREATE", &object, None)).await;
        assert!(message.contains("is known to name an image"), "{message}");
        // It is no way in either when it is added later.
        let old = pod("registry.example.com/shop/app:v0");
        refused(&world, &review("UPDATE", &object, Some(&old))).await;
        // But what is there already can be changed otherwise, and deleted.
        let answer = world.validate(&review("UPDATE", &object, Some(&object))).await;
        assert!(answer.allowed());
    }
}

/// An owner that is claimed, a grant that is written down, a user of high rank, a dry run, a name
/// to be generated: nothing of it counts.
#[tokio::test]
async fn words_of_the_requester() {
    let (world, evil) = guarded();
    let mut object = pod(&evil);
    object["metadata"] = json!({
        "generateName": "web-",
        "annotations": {"countersign.dev/break-glass": "INC-1234",
            "kyverno.io/verify-images": "{\"app\": \"pass\"}"},
        "labels": {"image-policy.k8s.io/break-glass": "true",
            "policy.sigstore.dev/exclude": "true"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web",
            "uid": "00000000-0000-0000-0000-000000000000", "controller": true}],
    });
    let mut review = review("CREATE", &object, None);
    let request = review["request"].as_object_mut().unwrap();
    request.insert("dryRun".into(), json!(true));
    request.insert(
        "userInfo".into(),
        json!({"username": "system:admin",
        "groups": ["system:masters", "system:serviceaccounts:kube-system"]}),
    );
    request.insert("requestSubResource".into(), json!("status"));
    request.insert("subResource".into(), json!("status"));
    refused(&world, &review).await;
}

/// An image changed while the object waits for its finalizers (CVE-2023-34091), or in a template,
/// or through a subresource that has no business with images.
#[tokio::test]
async fn an_update_that_is_not_looked_at() {
    let (world, evil) = guarded();
    let dying = |mut object: Value| {
        object["metadata"]["deletionTimestamp"] = json!("2026-11-23T03:01:59Z");
        object["metadata"]["finalizers"] = json!(["example.com/hold"]);
        object
    };
    let (old, new) = (dying(pod("registry.example.com/shop/app:v0")), dying(pod(&evil)));
    refused(&world, &review("UPDATE", &new, Some(&old))).await;
    let (old, new) = (deployment("registry.example.com/shop/app:v0"), deployment(&evil));
    refused(&world, &review("UPDATE", &new, Some(&old))).await;
    for subresource in ["status", "scale", "resize", "binding", "unheard-of"] {
        let mut review = review("UPDATE", &pod(&evil), Some(&pod("x:1")));
        review["request"]["subResource"] = json!(subresource);
        refused(&world, &review).await;
    }
}

/// The old object is not what will be stored (CVE-2021-25735), and vouches for nothing on creation
/// or when it cannot be read.
#[tokio::test]
async fn an_old_object_that_vouches() {
    let (world, evil) = guarded();
    refused(&world, &review("CREATE", &pod(&evil), Some(&pod(&evil)))).await;
    let unreadable = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [
        {"name": "web", "image": evil}, "x"]}});
    refused(&world, &review("UPDATE", &pod(&evil), Some(&unreadable))).await;
    let mut without = review("UPDATE", &pod(&evil), None);
    without["request"].as_object_mut().unwrap().remove("oldObject");
    refused(&world, &without).await;
    // The good object is the old one.
    world.sign("good", "good");
    let good = world.push("registry.example.com/shop/good:v1", "good");
    refused(&world, &review("UPDATE", &pod(&evil), Some(&pod(&good)))).await;
}

/// Names that a runtime pulls alike, and names over which parsers disagree.
#[tokio::test]
async fn a_name_in_disguise() {
    let hub = World::new(&[keyless("enforce", "index.docker.io/library/nginx*")]);
    let pinned = hub.push("nginx", "evil");
    let digest = pinned.rsplit_once('@').unwrap().1;
    for name in [
        "nginx",
        "library/nginx",
        "docker.io/nginx",
        "docker.io/library/nginx",
        "index.docker.io/nginx",
        "index.docker.io/library/nginx",
        "registry-1.docker.io/library/nginx",
        // Refused as names, whether or not a runtime could make something of them.
        "NGINX",
        "Docker.io/library/nginx",
        "docker.io:443/library/nginx",
        "docker.io./library/nginx",
        "docker.io//library/nginx",
        "docker.io/library/nginx%2f",
        "docker.io/library/nginx\u{200b}",
        "user:password@docker.io/library/nginx",
        "dоcker.io/library/nginx",
    ] {
        for suffix in ["", ":latest", ":other"] {
            let image = format!("{name}{suffix}@{digest}");
            refused(&hub, &review("CREATE", &pod(&image), None)).await;
        }
    }
    for image in [
        format!("nginx@{digest}@{digest}"),
        format!("nginx@{}", digest.to_uppercase()),
        digest.to_owned(),
        digest.trim_start_matches("sha256:").to_owned(),
    ] {
        refused(&hub, &review("CREATE", &pod(&image), None)).await;
    }
}

/// A good tag beside an evil digest: the digest is what runs.
#[tokio::test]
async fn a_tag_as_a_fig_leaf() {
    let world = World::new(&[
        keyless("enforce", "registry.example.com/shop/app:v1"),
        crate::world::policy(
            "free",
            "enforce",
            "registry.example.com/shop/base:v1",
            &json!({"static": {"action": "pass"}}),
        ),
        crate::world::policy(
            "rest",
            "enforce",
            "registry.example.com/**",
            &crate::world::signer("nobody"),
        ),
    ]);
    let evil = evidence::Digest::sha256(b"evil");
    for name in ["shop/app:v1", "shop/app", "shop/app:other", "shop/base:v1", "shop/base"] {
        let image = format!("registry.example.com/{name}@{evil}");
        refused(&world, &review("CREATE", &pod(&image), None)).await;
    }
}

/// Trouble on the way is no grounds for admission, under any error there is.
#[tokio::test]
async fn trouble_on_the_way() {
    for kind in ObstacleKind::ALL {
        let (world, evil) = guarded();
        world.obstruct("evil", kind);
        world.fail_tag(APP, kind);
        for image in [evil.as_str(), APP] {
            let message = refused(&world, &review("CREATE", &pod(image), None)).await;
            assert!(message.contains("could not tell"), "{kind:?}: {message}");
        }
    }
}

/// Objects that cannot be read, or name too many images to look at.
#[tokio::test]
async fn an_object_too_strange_to_judge() {
    let (world, evil) = guarded();
    let many = (0..2000).map(|number| json!({"name": format!("c{number}"), "image": evil}));
    for spec in [
        json!({"containers": {"name": "web", "image": evil}}),
        json!({"containers": [[{"name": "web", "image": evil}]]}),
        json!({"containers": [{"name": "web", "image": [evil]}]}),
        json!([{"containers": [{"name": "web", "image": evil}]}]),
        json!({"containers": many.collect::<Vec<_>>()}),
    ] {
        let object = json!({"apiVersion": "v1", "kind": "Pod", "spec": spec});
        let message = refused(&world, &review("CREATE", &object, None)).await;
        assert!(message.contains("the object cannot be judged"), "{message}");
    }
    assert_eq!(world.calls(), [] as [String; 0]);
}

//! Tags: refused where they are judged, pinned where they may be.

use evidence::image::ImageRef;
use serde_json::json;
use verify::ObstacleKind;

use super::{APP, digest, signed};
use crate::world::{World, deployment, keyless, patched, pins, pod, review};

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

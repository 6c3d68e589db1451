//! No more is fetched than is needed, and than there is room for.

use serde_json::json;

use super::{APP, signed};
use crate::world::{World, keyless, pod, review};

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

//! Answers on the wire, and their bounds.

use admission::answer::{MESSAGE_SIZE_MAX, WARNING_SIZE_MAX, WARNINGS_SIZE_MAX};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::world::{World, keyless, pod, review};

const UID: &str = "51e84d91-3dce-4b4b-9aff-36b94ec98b8a";

fn on_the_wire(answer: &admission::Answer) -> Value {
    serde_json::from_slice(&answer.to_json()).unwrap()
}

#[tokio::test]
async fn admits_and_refuses_under_the_reviews_uid() {
    let world = World::new(&[keyless("enforce", "ghcr.io/**")]);
    assert_eq!(
        on_the_wire(&world.pod("nginx").await),
        json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "response": {"uid": UID, "allowed": true},
        })
    );
    let image = world.push("ghcr.io/acme/app:v1", "unsigned");
    let answer = world.pod(&image).await;
    assert_eq!(
        on_the_wire(&answer),
        json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "response": {
                "uid": UID,
                "allowed": false,
                "status": {"code": 403, "reason": "Forbidden", "message": answer.message()},
            },
        })
    );
}

#[tokio::test]
async fn patches_are_json_patch_in_base64() {
    let world = World::new(&[keyless("enforce", "**")]);
    let pinned = world.push("ghcr.io/acme/app:v1", "app");
    let review = review("CREATE", &pod("ghcr.io/acme/app:v1"), None);
    let answer = on_the_wire(&world.mutate(&review).await);
    assert_eq!(answer["response"]["allowed"], true);
    assert_eq!(answer["response"]["patchType"], "JSONPatch");
    let patch = STANDARD.decode(answer["response"]["patch"].as_str().unwrap()).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&patch).unwrap(),
        json!([{"op": "replace", "path": "/spec/containers/0/image", "value": pinned}])
    );
}

#[tokio::test]
async fn messages_and_warnings_are_bounded() {
    for mode in ["enforce", "warn"] {
        let world = World::new(&[keyless(mode, "**")]);
        let mut object = pod("ghcr.io/acme/app:v1");
        let container = |number| {
            let image = format!("registry.example.com/{}/{number}:v1", "x".repeat(200));
            json!({"name": format!("c{number}"), "image": image})
        };
        object["spec"]["initContainers"] = (0..100).map(container).collect();
        let answer = world.validate(&review("CREATE", &object, None)).await;
        match mode {
            "enforce" => {
                let message = answer.message().unwrap();
                assert!(message.len() <= MESSAGE_SIZE_MAX && message.ends_with('…'));
            }
            _ => {
                assert!(answer.allowed());
                let warnings = answer.warnings();
                assert!(warnings.iter().all(|warning| warning.len() <= WARNING_SIZE_MAX));
                assert!(warnings.iter().map(String::len).sum::<usize>() <= WARNINGS_SIZE_MAX);
                let last = warnings.last().unwrap();
                assert!(last.starts_with("and ") && last.ends_with("more warnings like these"));
            }
        }
    }
}

#[tokio::test]
async fn what_a_user_wrote_cannot_break_out_of_a_message() {
    let world = World::new(&[keyless("enforce", "**")]);
    for image in ["a\u{1b}[2Jb", "a\nallowed: true", "a\u{202e}b", "\u{0}"] {
        let answer = world.pod(image).await;
        let message = answer.message().unwrap();
        assert!(message.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{message:?}");
    }
    // A cut falls between characters.
    let answer = world.pod(&"é".repeat(20_000)).await;
    assert!(answer.message().unwrap().len() <= MESSAGE_SIZE_MAX);
}

//! The arrows, drawn and undrawn.

use crate::caught;
use xtask::tidy::graph::{Metadata, arrows, forbidden_descendants};
use xtask::tidy::house::Room;

const HOUSE: [Room; 3] = [
    Room { name: "low", floor: 1, members: &[], libraries: &["serde"] },
    Room { name: "side", floor: 1, members: &[], libraries: &[] },
    Room { name: "high", floor: 2, members: &["low"], libraries: &[] },
];

/// Members with their dependencies, as `cargo metadata` tells them: `dev:` marks a development
/// dependency.
fn workspace(members: &[(&str, &[&str])]) -> Metadata {
    let packages: Vec<_> = members
        .iter()
        .map(|(name, dependencies)| {
            let dependencies: Vec<_> = dependencies
                .iter()
                .map(|name| match name.strip_prefix("dev:") {
                    Some(name) => serde_json::json!({"name": name, "kind": "dev"}),
                    None => serde_json::json!({"name": name, "kind": null}),
                })
                .collect();
            serde_json::json!({
                "name": name,
                "manifest_path": format!("/w/crates/{name}/Cargo.toml"),
                "dependencies": dependencies,
            })
        })
        .collect();
    Metadata::parse(&serde_json::json!({ "packages": packages }).to_string()).unwrap()
}

fn judge(low: &[&str], high: &[&str]) -> Vec<String> {
    caught(&arrows(&workspace(&[("low", low), ("side", &[]), ("high", high)]), &HOUSE))
}

#[test]
fn what_is_drawn_passes() {
    assert!(judge(&["serde", "dev:proptest"], &["low"]).is_empty());
}

#[test]
fn an_arrow_that_is_not_drawn_is_refused() {
    assert_eq!(judge(&["serde"], &["low", "side"]), ["0 arrows"]);
    assert_eq!(judge(&["serde", "high"], &["low"]), ["0 arrows"], "upwards");
    assert_eq!(judge(&["serde", "dev:high"], &["low"]), ["0 arrows"], "upwards, for tests");
}

#[test]
fn a_library_that_is_not_listed_is_refused() {
    assert_eq!(judge(&["serde", "regex"], &["low"]), ["0 dependencies"]);
    assert_eq!(judge(&["serde", "proptest"], &["low"]), ["0 dependencies"], "a test tool, shipped");
}

#[test]
fn a_listed_library_that_is_not_used_is_refused() {
    assert_eq!(judge(&[], &["low"]), ["0 dependencies"]);
    assert_eq!(judge(&["serde"], &[]), ["0 dependencies"]);
}

#[test]
fn a_member_that_is_not_drawn_is_refused() {
    let metadata = workspace(&[("attic", &[])]);
    assert!(caught(&arrows(&metadata, &[])).contains(&"0 house".to_owned()));
}

#[test]
fn a_drawing_with_an_arrow_up_is_refused() {
    let upside_down = [
        Room { name: "low", floor: 1, members: &["high"], libraries: &[] },
        Room { name: "high", floor: 2, members: &[], libraries: &[] },
    ];
    let metadata = workspace(&[("low", &["high"]), ("high", &[])]);
    assert_eq!(caught(&arrows(&metadata, &upside_down)), ["0 floors"]);
}

#[test]
fn a_runtime_far_below_is_found_with_its_path() {
    let tree = "0verify v0.1.0 (x)\n1evidence v0.1.0\n2serde v1\n1regex v1\n2helpful v0.3\n3tokio v1\n1url v2\n";
    let found = forbidden_descendants("verify", tree);
    assert_eq!(caught(&found), ["0 pure-graph"]);
    assert!(found[0].found.contains("verify → regex → helpful → tokio"), "{}", found[0].found);
    assert!(forbidden_descendants("verify", "0verify v0.1.0\n1tokio-util v1\n").is_empty());
}

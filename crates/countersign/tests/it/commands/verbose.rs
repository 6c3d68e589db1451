//! `--verbose`: what is asked of whom, and no secret.

use std::collections::BTreeSet;

use super::world::{Said, World};

#[track_caller]
fn tells(said: &Said, parts: &[&str]) {
    for part in parts {
        assert!(said.stderr.contains(part), "`{part}` is not in:\n{}", said.stderr);
    }
    // JWTs begin so, and so do the headers that hold them.
    for secret in ["eyJ", "Bearer", "Basic", "uthorization", "secret", "?"] {
        assert!(!said.stderr.contains(secret), "`{secret}` is in:\n{}", said.stderr);
    }
    let debug = said.stderr.lines().filter(|line| line.contains("DEBUG"));
    let targets: BTreeSet<_> = debug
        .filter_map(|line| line.split("DEBUG").nth(1)?.split("::").next().map(str::trim))
        .map(|target| target.split(':').next().unwrap_or_default())
        .collect();
    assert!(targets.iter().all(|target| ["client", "countersign"].contains(target)), "{targets:?}");
}

#[test]
fn requests_are_told_and_no_secrets() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let said = world.run(&format!("sign -d {image}")).ends(0);
    let post = format!("POST {}/", world.url());
    let wanted = ["HEAD http://", "PUT http://", &post, ": 201 in ", " ms"];
    tells(&said, &wanted);
    tells(&said, &["identity token from envvar", "the instance of "]);
    let by = world.by_release();
    let config = world.path("data/public/trust_config.json");
    let said = world.run(&format!("verify -d {by} {image}")).ends(0);
    let trusted = format!("whom to trust: the trust root in {}", config.display());
    tells(&said, &["GET http://", ": 200 in ", &trusted]);
    let said = world.run_alone(&format!("verify -d --offline {by} {image}"));
    tells(&said, &["whom to trust: the instance of https://", "as it is built in"]);
    let said = world.run(&format!("verify {by} {image}")).ends(0);
    assert!(!said.stderr.contains("DEBUG"), "{}", said.stderr);
}

#[test]
fn what_is_copied_saved_and_loaded_is_told_too() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    world.run(&format!("sign {image}")).ends(0);
    let referrers =
        format!("GET http://{}/v2/acme/app/referrers/sha256:", world.registry.address());
    let to = image.replace("acme/app", "else/where");
    let put =
        format!("PUT http://{}/v2/else/where/manifests/v1: 201 in ", world.registry.address());
    let said = world.run(&format!("copy -d {image} {to}")).ends(0);
    tells(&said, &["HEAD http://", &referrers, ": 200 in ", &put, "copied"]);
    let said = world.run(&format!("save -d --dir saved {image}")).ends(0);
    tells(&said, &["HEAD http://", &referrers, ": 200 in "]);
    let said = world.run(&format!("load -d --dir saved {to}")).ends(0);
    tells(&said, &["HEAD http://", ": 200 in ", &put]);
    for line in [format!("copy {image} {to}"), format!("save --dir saved {image}")] {
        let said = world.run(&line).ends(0);
        assert!(!said.stderr.contains("DEBUG"), "{}", said.stderr);
    }
}

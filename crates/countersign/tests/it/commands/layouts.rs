//! `save` and `load`: an image goes over an air gap with all that proves where it is from.

use axum::http::{Method, StatusCode};
use devkit::registry::{Access, Behaviour, Credentials, RegistryOptions};
use devkit::{Fault, FaultRule};
use serde_json::Value;

use super::world::World;

/// An image with a signature in both formats and an attestation.
fn laden(world: &World) -> String {
    let image = world.push("acme/app", "v1");
    world.write("bom.json", r#"{"spdxVersion": "SPDX-2.3"}"#);
    world.run(&format!("sign --formats both {image}")).ends(0);
    world.run(&format!("attest --type spdxjson --predicate bom.json {image}")).ends(0);
    world
        .run(&format!("attest --formats cosign --type spdxjson --predicate bom.json {image}"))
        .ends(0);
    image
}

#[test]
fn what_was_saved_verifies_there_and_where_it_is_loaded() {
    let world = World::new();
    let image = laden(&world);
    let digest = world.digest(&image);
    let said = world.run(&format!("save --dir saved -o json {image}")).ends(0).json();
    assert_eq!(said["schema"], "countersign.dev/saved/v1");
    assert_eq!(said["artifact"]["digest"], digest);
    assert_eq!((&said["manifests"], &said["replaced"]), (&5.into(), &serde_json::json!([])));
    let by = world.by_release();
    let verify = |image: &str| {
        world.run(&format!("verify {by} {image}")).ends(0);
        let said = world.run(&format!("verify-attestation {by} --type spdxjson {image}")).ends(0);
        assert_eq!(said.json_lines().len(), 2);
    };
    verify("--local-image saved");
    let loaded = image.replace("acme/app:v1", "else/where:v2");
    let said = world.run(&format!("load --dir saved -o json {loaded}")).ends(0).json();
    assert_eq!(said["schema"], "countersign.dev/loaded/v1");
    assert_eq!((&said["artifact"]["digest"], &said["manifests"]), (&digest.into(), &5.into()));
    verify(&loaded);
    let said = world.run(&format!("load --dir saved {loaded}")).ends(0);
    said.says(&["loaded", "and 0 sent"]);
    let said = world.run(&format!("save --dir saved {image}")).ends(0);
    said.says(&["saved", "and 0 fetched"]);
}

#[test]
fn evidence_comes_from_and_goes_to_the_repository_that_is_named_for_it() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let elsewhere = format!("{}/signatures/app", world.registry.address());
    let variables = [("COSIGN_REPOSITORY", elsewhere.as_str())];
    world.run_with(&format!("sign {image}"), &variables).ends(0);
    world.run(&format!("save --dir without {image}")).ends(0);
    let verify = format!("verify {} --local-image", world.by_release());
    world.run(&format!("{verify} without")).ends(10);
    world.run_with(&format!("save --dir with {image}"), &variables).ends(0);
    world.run(&format!("{verify} with")).ends(0);
    let loaded = image.replace("acme/app", "else/where");
    let other = format!("{}/signatures/other", world.registry.address());
    let variables = [("COSIGN_REPOSITORY", other.as_str())];
    world.run_with(&format!("load --dir with {loaded}"), &variables).ends(0);
    let verify = format!("verify {} {loaded}", world.by_release());
    world.run(&verify).ends(10);
    world.run_with(&verify, &variables).ends(0);
}

#[test]
fn another_image_in_the_folder_is_told() {
    let world = World::new();
    let image = laden(&world);
    let digest = world.digest(&image);
    world.run(&format!("save --dir saved {image}")).ends(0);
    let other = world.push("acme/app", "v2");
    world.run(&format!("save --dir saved {other}")).ends(0).says(&[
        "listed",
        &digest,
        "before, and does no more",
    ]);
    // The same for programs.
    let said = world.run(&format!("save --dir saved -o json {image}")).ends(0).json();
    assert_eq!(said["replaced"], serde_json::json!([world.digest(&other)]));
    let said = world.run(&format!("save --dir saved -o json {other}")).ends(0).json();
    let replaced = said["replaced"].as_array().unwrap();
    assert_eq!((replaced.len(), &replaced[0]), (5, &digest.as_str().into()), "{said}");
    let loaded = image.replace("acme/app:v1", "else/where:v2");
    world.run(&format!("load --dir saved {loaded}")).ends(0);
    assert_eq!(world.digest(&loaded), world.digest(&other));
    // Evidence of the one that is gone is no evidence of this.
    world.run(&format!("verify {} {loaded}", world.by_release())).ends(10);
}

#[test]
fn what_cannot_be_moved_is_told() {
    let world = World::new();
    let image = laden(&world);
    std::fs::create_dir(world.path("home/letters")).unwrap();
    world.write("home/letters/one.txt", "dear");
    let said = world.run(&format!("save --dir home/letters {image}")).ends(2).without_result();
    said.says(&["was not saved", "home/letters", "a folder with other things in it"]);
    let said = world.run(&format!("save --dir home/letters/one.txt {image}")).ends(2);
    said.says(&["was not saved", "one.txt"]);
    world.run(&format!("save {image}")).ends(2).says(&["--dir"]);
    let absent = image.replace(":v1", ":absent");
    world.run(&format!("save --dir other {absent}")).ends(3).says(&["was not saved"]);

    world.run(&format!("save --dir saved {image}")).ends(0);
    let loaded = image.replace("acme/app:v1", "else/where:v2");
    let load = |folder: &str, to: &str| world.run(&format!("load --dir {folder} {to}"));
    load("home/letters", &loaded).ends(2).says(&["not an OCI layout"]);
    load("absent", &loaded).ends(2).says(&["absent"]);
    let wrong = format!("{}@sha256:{}", loaded.replace(":v2", ""), "0".repeat(64));
    load("saved", &wrong).ends(1).says(&["wanted the image sha256:000", "name a tag"]);
    let rule = FaultRule::new("/v2/else/where/*", Fault::Status(StatusCode::FORBIDDEN));
    world.registry.inject(rule.method(Method::POST));
    load("saved", &loaded).ends(1).without_result().says(&["was not loaded", "forbids"]);
    world.registry.clear_faults();
    // A blob that was tampered with.
    let index: Value = serde_json::from_str(&world.read("saved/index.json")).unwrap();
    let listed = index["manifests"].as_array().unwrap();
    let bundle = listed.iter().find(|one| one["artifactType"].is_string()).unwrap();
    let hex = bundle["digest"].as_str().unwrap().split_at(7).1;
    let path = format!("saved/blobs/sha256/{hex}");
    world.write(&path, world.read(&path).replace("sigstore", "sigst0re"));
    let said = load("saved", &loaded).ends(1).without_result();
    said.says(&["wanted content with the digest", hex]);
}

#[test]
fn a_tag_that_is_moved_is_told() {
    let world = World::new();
    let (image, other) = (world.push("acme/app", "v1"), world.push("else/where", "v1"));
    let standing = world.digest(&other);
    world.run(&format!("save --dir saved {image}")).ends(0);
    let said = world.run(&format!("load --dir saved {other}")).ends(0);
    said.says(&[&format!("{other} was {standing} before")]);
    assert_eq!(world.digest(&other), world.digest(&image));
    let said = world.run(&format!("load --dir saved {other}")).ends(0);
    assert!(!said.stderr.contains("before"), "{}", said.stderr);
}

#[test]
fn a_registry_that_cannot_be_asked_is_told_from_one_that_refuses() {
    let user = Credentials { user: "alice".to_owned(), password: "open-sesame".to_owned() };
    let behaviour = Behaviour { access: Access::Basic(user), ..Behaviour::default() };
    let world = World::with(RegistryOptions { behaviour, ..RegistryOptions::default() });
    let image = world.push("acme/app", "v1");
    let copied = image.replace("acme/app", "else/where");
    let login = |password: &str| {
        format!("--registry-username alice --registry-password {password} --timeout 1s")
    };
    world.run_alone(&format!("save {} --dir saved {image}", login("open-sesame"))).ends(0);
    let outcomes = |password: &str, host: Option<&str>| {
        let address = world.registry.address().to_string();
        let host = host.unwrap_or(&address);
        let options = login(password);
        let lines = [
            format!("save {options} --dir again {image}"),
            format!("load {options} --dir saved {copied}"),
            format!("copy {options} {image} {copied}"),
            format!("login -u alice -p {password} --timeout 1s {address}"),
        ];
        for line in lines {
            world.run_alone(&line.replace(&address, host)).ends(3).without_result();
        }
    };
    outcomes("wrong", None);
    outcomes("open-sesame", Some("127.0.0.1:1"));
    let all = |fault| FaultRule::new("/v2/*", fault);
    for fault in [Fault::Hang, Fault::Status(StatusCode::SERVICE_UNAVAILABLE)] {
        world.registry.inject(all(fault));
        outcomes("open-sesame", None);
        world.registry.clear_faults();
    }
    // One that was asked, and does not take it.
    world.registry.inject(all(Fault::Status(StatusCode::FORBIDDEN)).method(Method::PUT));
    for line in ["load --dir saved".to_owned(), format!("copy {image}")] {
        let said = world.run_alone(&format!("{line} {} {copied}", login("open-sesame")));
        said.ends(1).without_result().says(&["forbids"]);
    }
}

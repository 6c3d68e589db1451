//! Whether evidence may be pushed is known before anything becomes public.

use axum::http::{Method, StatusCode};
use devkit::{Fault, FaultRule};

use super::world::World;

/// Entries of both logs, and certificates in the CT log.
fn public(world: &World) -> (u64, String) {
    let note = String::from_utf8(world.get("/ct/checkpoint")).unwrap();
    (world.log_size(), note.lines().nth(1).unwrap().to_owned())
}

/// Nobody may push there.
fn forbid_uploads(world: &World, repository: &str, status: StatusCode) {
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    let rule = FaultRule::new(uploads, Fault::Status(status));
    world.registry.inject(rule.method(Method::POST));
}

#[test]
fn nothing_is_public_of_what_cannot_be_pushed() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    world.run("generate-key-pair").ends(0);
    world.write("note.json", r#"{"noted": true}"#);
    let before = public(&world);
    forbid_uploads(&world, "acme/app", StatusCode::FORBIDDEN);
    let place = format!("{}/acme/app", world.registry.address());
    let attest = "attest --type https://example.com/note --predicate note.json";
    for line in
        ["sign", "sign --formats cosign", "sign --if-missing", "sign --key cosign.key", attest]
    {
        let said = world.run(&format!("{line} {image}")).ends(1).without_result();
        // Where each image is looked at by itself, others may have been signed.
        let what = match line.contains("--if-missing") {
            true => format!("{image} was not signed"),
            false => "nothing was signed".to_owned(),
        };
        said.says(&[
            &what,
            &format!("whoever has no login may not push to {place}"),
            "docker login",
            "COSIGN_REPOSITORY",
        ]);
        assert_eq!(public(&world).0, before.0, "{line}");
    }
    // Only who signs what is missing has to have a certificate to find that out.
    assert_eq!(public(&world).1.parse::<u64>().unwrap(), before.1.parse::<u64>().unwrap() + 1);
    // Where nothing is pushed nobody need let us.
    world.run(&format!("sign --upload=false --bundle b.json {image}")).ends(0);
    world.run(&format!("{attest} --no-upload {image}")).ends(0);
    // Evidence is kept where one may push.
    let elsewhere = format!("{}/acme/signatures", world.registry.address());
    world.run_with(&format!("sign {image}"), &[("COSIGN_REPOSITORY", &elsewhere)]).ends(0);
}

#[test]
fn one_repository_that_takes_nothing_keeps_all_from_being_signed() {
    let world = World::new();
    let images = [world.push("acme/app", "v1"), world.push("acme/other", "v1")];
    let before = public(&world);
    forbid_uploads(&world, "acme/other", StatusCode::NOT_FOUND);
    let line = format!("sign {} {}", images[0], images[1]);
    let said = world.run(&line).ends(1).without_result();
    said.says(&["nothing can be pushed to", "acme/other", "make the repository"]);
    assert_eq!(public(&world), before);
    // Who could not be asked may let us: that is another exit code.
    forbid_uploads(&world, "acme/app", StatusCode::SERVICE_UNAVAILABLE);
    world.run(&format!("sign {}", images[0])).ends(3).says(&["nothing was signed"]);
    assert_eq!(public(&world), before);
}

#[test]
fn each_repository_is_asked_once_and_left_as_it_was() {
    let world = World::new();
    let (index, _) = world.push_index("acme/app", "v1");
    let other = world.push("acme/app", "v2");
    world.registry.clear_requests();
    world.run(&format!("sign -r {index} {other}")).ends(0);
    let requests = world.registry.requests();
    let given_up: Vec<_> = requests.iter().filter(|it| it.method == Method::DELETE).collect();
    assert_eq!(given_up.len(), 1);
    assert!(given_up[0].path.starts_with("/v2/acme/app/blobs/uploads/"), "{:?}", given_up[0]);
}

/// What was logged before the registry said no is kept where a file was named for it.
#[test]
fn a_bundle_is_in_its_file_before_it_is_attached() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let rule = FaultRule::new("/v2/acme/app/manifests/*", Fault::Status(StatusCode::FORBIDDEN));
    world.registry.inject(rule.method(Method::PUT));
    world.run(&format!("sign --bundle b.json {image}")).ends(1).says(&["could not be attached"]);
    let line = format!("verify-blob {} --bundle b.json", world.by_release());
    world.run(&format!("{line} {}", world.digest(&image))).ends(0);
}

//! `--sign-container-identity`: the names that Cosign's older format signs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::world::World;

/// The names that an image's signatures in Cosign's tag say it has, sorted: they are fetched at once.
fn names(world: &World, image: &str) -> Vec<String> {
    let signatures = world.run(&format!("download signature {image}")).ends(0).json_lines();
    let named = signatures.iter().filter_map(|signature| {
        let payload = STANDARD.decode(signature["Payload"].as_str()?).unwrap();
        let payload: Value = serde_json::from_slice(&payload).unwrap();
        Some(payload["critical"]["identity"]["docker-reference"].as_str()?.to_owned())
    });
    let mut names: Vec<_> = named.collect();
    names.sort();
    names
}

#[test]
fn an_image_is_signed_under_the_names_it_is_pulled_by() {
    let world = World::new();
    let image = world.push("acme/app", "1");
    let given = "--sign-container-identity proxy.example/acme/app,mirror.example/app";
    world.run(&format!("sign --formats cosign {given} {image}")).ends(0);
    assert_eq!(names(&world, &image), ["mirror.example/app", "proxy.example/acme/app"]);
    world.run(&format!("verify {} {image}", world.by_release())).ends(0);
    let usual = world.push("acme/app", "2");
    world.run(&format!("sign --formats cosign {usual}")).ends(0);
    assert_eq!(names(&world, &usual), [usual.rsplit_once(':').unwrap().0]);
}

/// What would sign no name does not pass for having done so.
#[test]
fn a_bundle_signs_no_name() {
    let world = World::new();
    let image = world.push("acme/app", "1");
    let said = world.run(&format!("sign --sign-container-identity a.example/b {image}")).ends(2);
    said.without_result().says(&["a bundle signs a digest, and no name", "--formats cosign"]);
    world.run(&format!("sign --formats cosign --sign-container-identity= {image}")).ends(2);
    assert_eq!(world.writes(), 0);
}

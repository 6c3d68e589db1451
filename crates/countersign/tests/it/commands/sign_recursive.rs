//! `sign --recursive`: all of an index or nothing, within bounds.

use axum::http::{Method, StatusCode};
use devkit::{Fault, FaultRule};
use evidence::Digest;
use serde_json::{Value, json};

use super::world::World;

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// The entry of a manifest that may be there.
fn entry(media_type: &str, digest: &str, size: usize) -> Value {
    json!({"mediaType": media_type, "digest": digest, "size": size})
}

/// Puts an index with these entries there. Its reference and its own entry.
fn push_index(world: &World, tag: &str, entries: &[Value]) -> (String, Value) {
    let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries});
    let bytes = index.to_string().into_bytes();
    let own = entry(INDEX_TYPE, &Digest::sha256(&bytes).to_string(), bytes.len());
    world.registry.plant_manifest("acme/app", tag, INDEX_TYPE, bytes).unwrap();
    (format!("{}/acme/app:{tag}", world.registry.address()), own)
}

/// The entry of an image that is put there.
fn image(world: &World, tag: &str) -> Value {
    let digest = world.digest(&world.push("acme/app", tag));
    let size = world.registry.manifest("acme/app", &digest).unwrap().len();
    entry(MANIFEST_TYPE, &digest, size)
}

fn absent(number: usize) -> Value {
    let digest = Digest::sha256(&number.to_be_bytes()).to_string();
    entry(MANIFEST_TYPE, &digest, 400)
}

#[test]
fn indexes_within_indexes_are_signed_with_all_in_them_each_once() {
    let world = World::new();
    let (one, two) = (image(&world, "one"), image(&world, "two"));
    let (_, inner) = push_index(&world, "inner", &[one.clone(), two.clone()]);
    let (outer, own) = push_index(&world, "outer", &[two.clone(), inner.clone(), one.clone()]);
    let said = world.run(&format!("sign -r -o json {outer} {outer}")).ends(0);
    let mut signed: Vec<_> =
        said.json_lines().iter().map(|line| line["artifact"]["digest"].clone()).collect();
    let mut wanted = [own, inner, one, two].map(|entry| entry["digest"].clone()).to_vec();
    let name = |digest: &Value| digest.as_str().unwrap().to_owned();
    signed.sort_by_key(name);
    wanted.sort_by_key(name);
    assert_eq!(signed, wanted);
    world.run(&format!("verify -r {} {outer}", world.by_release())).ends(0);
}

#[test]
fn nothing_is_signed_unless_all_can_be_seen() {
    let world = World::new();
    let one = image(&world, "one");
    let size = world.log_size();
    let refused = |tag: &str, entries: &[Value], parts: &[&str]| {
        let (index, _) = push_index(&world, tag, entries);
        let said = world.run(&format!("sign -r {index}")).ends(3).without_result();
        said.says(parts);
        assert_eq!(world.log_size(), size, "{tag}");
    };
    // An image, or an index, that nobody copied along.
    let gone = absent(0);
    let digest = gone["digest"].as_str().unwrap();
    refused("gone", &[one.clone(), gone.clone()], &[digest, "cannot be looked up"]);
    let mut inner = gone.clone();
    inner["mediaType"] = INDEX_TYPE.into();
    refused("inner", &[one.clone(), inner], &[digest, "not all that", "can be seen"]);
    // One that is called an image, so that nobody would look into it.
    let (_, mut disguised) = push_index(&world, "disguised", std::slice::from_ref(&one));
    disguised["mediaType"] = MANIFEST_TYPE.into();
    refused(
        "disguise",
        &[one.clone(), disguised],
        &["is an index, and what names it says otherwise"],
    );
    // Too much, at once or by and by.
    let many: Vec<_> = (0..10_000).map(absent).collect();
    refused("many", &many, &["1000"]);
    refused(
        "more",
        &many[..300],
        &["at most 256 manifests", "without it the index's own signature"],
    );
    let mut deep = one;
    for level in 0..6 {
        (_, deep) = push_index(&world, &format!("level-{level}"), &[deep]);
    }
    refused("deep", &[deep], &["at most 4 levels", "without it"]);
    // Alone, each can be signed: the registry holds what is named by it or not.
    let (index, _) = push_index(&world, "alone", &[gone]);
    world.run(&format!("sign {index}")).ends(0);
    assert_eq!(world.log_size(), size + 1);
}

/// With the longest that each may be they would take a GiB.
#[test]
fn manifests_that_are_longer_than_manifests_are_are_not_held() {
    let world = World::new();
    let size = world.log_size();
    let long = |number: usize| {
        let padding = format!("{number}{}", "x".repeat(3 << 20));
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2,
                "digest": Digest::sha256(b"{}").to_string()},
            "layers": [], "annotations": {"padding": padding},
        });
        let bytes = manifest.to_string().into_bytes();
        let own = entry(MANIFEST_TYPE, &Digest::sha256(&bytes).to_string(), bytes.len());
        let digest = own["digest"].as_str().unwrap();
        world.registry.plant_manifest("acme/app", digest, MANIFEST_TYPE, bytes).unwrap();
        own
    };
    let entries: Vec<_> = (0..6).map(long).collect();
    let (index, _) = push_index(&world, "long", &entries);
    let said = world.run(&format!("sign -r {index}")).ends(3).without_result();
    said.says(&["more than the 16777216 bytes held"]);
    assert_eq!(world.log_size(), size);
}

/// What has begun may be logged, so it is ended; what has not is left, and that is told.
#[test]
fn after_a_failure_no_further_image_is_begun() {
    let world = World::new();
    let entries: Vec<_> = (0..24).map(|number| image(&world, &number.to_string())).collect();
    let (index, _) = push_index(&world, "index", &entries);
    let size = world.log_size();
    let rule = FaultRule::new("/v2/acme/app/manifests/*", Fault::Status(StatusCode::FORBIDDEN));
    world.registry.inject(rule.method(Method::PUT));
    let said = world.run(&format!("sign -r {index}")).ends(1).without_result();
    let failed = said.stderr.matches("the evidence could not be attached").count();
    let logged = usize::try_from(world.log_size() - size).unwrap();
    assert!((1..=8).contains(&failed), "{}", said.stderr);
    assert_eq!(failed, logged, "each that was logged is told of: {}", said.stderr);
    let left = 25 - failed;
    said.says(&[&format!("of the 25 images, {left} were left unsigned after that")]);
}

//! `--recursive`: what of an index must be signed, and what is told of the rest.

use axum::http::StatusCode;
use devkit::{Fault, FaultRule};
use evidence::Digest;
use serde_json::{Value, json};

use super::world::{RELEASE, Said, World};
use crate::wire::exchange;

const OTHER: &str = "https://github.com/acme/app/.github/workflows/other.yml@refs/heads/main";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// Puts an index with these entries there. Its reference.
fn push_index(world: &World, tag: &str, entries: &[Value]) -> String {
    let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries});
    let bytes = index.to_string().into_bytes();
    world.registry.plant_manifest("acme/app", tag, INDEX_TYPE, bytes).unwrap();
    format!("{}/acme/app:{tag}", world.registry.address())
}

/// The entry of an image that is there, with members of its own.
fn entry(world: &World, image: &str, media_type: &str, more: &Value) -> Value {
    let digest = world.digest(image);
    let size = world.registry.manifest("acme/app", &digest).unwrap().len();
    let mut entry = json!({"mediaType": media_type, "digest": digest, "size": size});
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

fn platform(os: &str, architecture: &str) -> Value {
    json!({"platform": {"os": os, "architecture": architecture}})
}

/// What `BuildKit` says of its records.
fn record() -> Value {
    json!({
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    })
}

/// The digests in Cosign's array.
fn verified(said: &Said) -> Vec<String> {
    let payloads = said.json();
    let digest = |payload: &Value| {
        payload["critical"]["image"]["docker-manifest-digest"].as_str().unwrap().to_owned()
    };
    payloads.as_array().unwrap().iter().map(digest).collect()
}

fn digest_in(reference: &str) -> String {
    reference.rsplit_once('@').unwrap().1.to_owned()
}

#[test]
fn an_index_covers_its_images_and_recursive_wants_each_to_be_signed() {
    let world = World::new();
    let (index, images) = world.push_index("acme/app", "v1");
    let by = world.by_release();
    let verify = |more: &str| world.run(&format!("verify {by} {more}"));
    world.run(&format!("sign {index}")).ends(0);
    for covered in ["", "--recursive=index", "--recursive=false"] {
        assert_eq!(verified(&verify(&format!("{covered} {index}")).ends(0)).len(), 1);
    }
    for wanted in ["-r", "--recursive", "--recursive=all", "--recursive=true"] {
        let said = verify(&format!("{wanted} {index}")).ends(10).without_result();
        said.says(&[
            "the index, and 0 of the 2 in it; not for linux/amd64, linux/arm64/v8",
            "covers it without --recursive",
        ]);
    }
    verify(&format!("--recursive=leaves {index}")).ends(10).without_result();
    let said = verify(&images[0]).ends(10).without_result();
    said.says(&["if an index names it, that may be what is signed"]);

    world.run(&format!("sign {}", images[0])).ends(0);
    let said = verify(&format!("-r {index}")).ends(10).without_result();
    said.says(&["not all verified", "the index, and 1 of the 2 in it; not for linux/arm64/v8"]);
    world.run(&format!("sign {}", images[1])).ends(0);
    let said = verify(&format!("-r {index}")).ends(0);
    let wanted = [world.digest(&index), digest_in(&images[0]), digest_in(&images[1])];
    assert_eq!(verified(&said), wanted);
    said.says(&["platform  linux/arm64/v8", "all verified", "the index, and all of the 2 in it"]);
    assert_eq!(verified(&verify(&format!("-r=leaves {index}")).ends(0)), wanted[1..]);
    // An image that is no index is verified itself.
    assert_eq!(verified(&verify(&format!("-r=leaves {}", images[0])).ends(0)), wanted[1..2]);
}

#[test]
fn leaves_may_be_signed_without_their_index() {
    let world = World::new();
    let (index, images) = world.push_index("acme/app", "v1");
    world.run(&format!("sign {} {}", images[0], images[1])).ends(0);
    let by = world.by_release();
    let verify = |more: &str| world.run(&format!("verify {by} {more} {index}"));
    verify("").ends(10).without_result().says(&["--recursive=leaves looks at each"]);
    let said = verify("-r").ends(10).without_result();
    said.says(&["not the index, and all of the 2 in it", "as --recursive=leaves demands"]);
    let said = verify("-r=leaves -o text").ends(0);
    said.says(&["all verified", ": all of the 2 in it"]);
    assert!(!verify("-r=leaves -o text").stdout.contains("the index"));
}

#[test]
fn what_runs_nowhere_is_not_demanded_and_what_runs_is_whatever_it_is_called() {
    let world = World::new();
    let (image, other) = (world.push("acme/app", "image"), world.push("acme/app", "other"));
    let amd64 = entry(&world, &image, MANIFEST_TYPE, &platform("linux", "amd64"));
    let index = push_index(
        &world,
        "recorded",
        &[amd64.clone(), entry(&world, &other, MANIFEST_TYPE, &record())],
    );
    world.run(&format!("sign {index} {image}")).ends(0);
    let verify = |index: &str| world.run(&format!("verify {} -r {index}", world.by_release()));
    let said = verify(&index).ends(0);
    assert_eq!(verified(&said).len(), 2);
    said.says(&["the only one in it; a build record, which runs nowhere, was passed over"]);
    let mut disguised = record();
    disguised["platform"] = json!({"os": "linux", "architecture": "arm64"});
    let entries = [amd64, entry(&world, &other, MANIFEST_TYPE, &disguised)];
    let index = push_index(&world, "disguised", &entries);
    world.run(&format!("sign {index}")).ends(0);
    verify(&index).ends(10).without_result().says(&["not for linux/arm64"]);
}

#[test]
fn the_worst_of_an_index_is_told() {
    let world = World::new();
    let (index, images) = world.push_index("acme/app", "v1");
    world.run(&format!("sign -r {index}")).ends(0);
    let verify = |by: &str| world.run(&format!("verify {by} -r {index}"));
    let by = world.by_release();
    verify(&by).ends(0);
    // Signed by somebody else.
    let (other, _) = world.push_index("acme/app", "v2");
    world.run("generate-key-pair").ends(0);
    world.run(&format!("sign -r --key cosign.key {other}")).ends(0);
    let said = world.run(&format!("verify {by} -r {other} {index}")).ends(12).without_result();
    said.says(&["not the index, and 0 of the 2 in it", "the index, and all of the 2 in it"]);
    verify(&world.by(OTHER)).ends(12).without_result().says(&[RELEASE]);
    // Of one it cannot be told.
    let lists = format!("/v2/acme/app/referrers/{}", digest_in(&images[1]));
    world.registry.inject(FaultRule::new(lists, Fault::Status(StatusCode::FORBIDDEN)));
    // What was found under the tags that stand in would do, but there is nothing.
    let said = verify(&by).ends(3).without_result();
    said.says(&["could not tell of all", "not for linux/arm64/v8", "forbids"]);
}

#[test]
fn what_is_not_known_of_an_index_is_not_verified() {
    let world = World::new();
    let image = world.push("acme/app", "image");
    let amd64 = entry(&world, &image, MANIFEST_TYPE, &platform("linux", "amd64"));
    let inner = push_index(&world, "inner", std::slice::from_ref(&amd64));
    let inner_entry = entry(&world, &inner, INDEX_TYPE, &json!({}));
    let nested = push_index(&world, "nested", std::slice::from_ref(&inner_entry));
    world.run(&format!("sign {nested} {image}")).ends(0);
    let by = world.by_release();
    let verify = |how: &str, index: &str| world.run(&format!("verify {by} {how} {index}"));
    // The index in it is wanted too, unless only leaves are.
    verify("-r", &nested).ends(10).says(&["the index, and 1 of the 2 in it"]);
    assert_eq!(verified(&verify("-r=leaves", &nested).ends(0)).len(), 1);
    world.run(&format!("sign {inner}")).ends(0);
    assert_eq!(verified(&verify("-r", &nested).ends(0)).len(), 3);
    // One that is not there may name anything.
    let mut absent = inner_entry;
    absent["digest"] = Digest::sha256(b"absent").to_string().into();
    let partial = push_index(&world, "partial", &[amd64, absent]);
    world.run(&format!("sign {partial}")).ends(0);
    for how in ["-r=leaves", "-r"] {
        let said = verify(how, &partial).ends(3).without_result();
        said.says(&["could not tell", &Digest::sha256(b"absent").to_string()]);
    }
    // Of nothing all would be verified.
    for (tag, entries) in
        [("empty", vec![]), ("records", vec![entry(&world, &image, MANIFEST_TYPE, &record())])]
    {
        let empty = push_index(&world, tag, &entries);
        world.run(&format!("sign {empty}")).ends(0);
        let said = verify("-r=leaves", &empty).ends(3).without_result();
        said.says(&["no image in it"]);
        verify("-r", &empty).ends(0);
    }
}

#[test]
fn each_thing_is_asked_for_once_and_no_image_is_fetched() {
    let world = World::new();
    let (index, images) = world.push_index("acme/app", "v1");
    world.run(&format!("sign -r {index}")).ends(0);
    world.registry.clear_requests();
    world.run(&format!("verify {} -r {index}", world.by_release())).ends(0);
    let mut lines: Vec<_> = { world.registry.requests().into_iter() }
        .map(|request| format!("{} {}", request.method, request.path))
        .collect();
    // The tag and the index; for each of three, three lists, a referrer and its bundle.
    assert_eq!(lines.len(), 2 + 3 * 5, "{lines:#?}");
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), 2 + 3 * 5, "{lines:#?}");
    for image in images {
        let manifest = format!("GET /v2/acme/app/manifests/{}", digest_in(&image));
        assert!(!lines.contains(&manifest));
    }
}

#[test]
fn explained_every_part_is_a_document_with_its_place() {
    let world = World::new();
    let (index, images) = world.push_index("acme/app", "v1");
    world.run(&format!("sign {index}")).ends(0);
    let line = format!("verify {} -r --explain -o json {index}", world.by_release());
    let said = world.run(&line).ends(10);
    let documents: Vec<Value> = serde_json::Deserializer::from_str(&said.stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    let verdicts: Vec<_> = documents.iter().map(|document| &document["verdict"]).collect();
    assert_eq!(verdicts, ["admit", "refuse", "refuse"]);
    assert_eq!(documents[0]["artifact"].get("index"), None);
    for (document, image) in documents[1..].iter().zip(&images) {
        let artifact = &document["artifact"];
        assert_eq!(artifact["index"], world.digest(&index));
        assert_eq!(artifact["digest"], digest_in(image));
        assert!(document["hint"].as_str().unwrap().contains("covers it"));
    }
    assert_eq!(documents[2]["artifact"]["platforms"], json!(["linux/arm64/v8"]));
}

#[test]
fn one_that_cannot_be_looked_up_does_not_hide_the_others() {
    let world = World::new();
    let image = world.push("acme/app", "image");
    world.run(&format!("sign {image}")).ends(0);
    let absent = image.replace(":image", ":absent");
    let by = world.by_release();
    for images in [format!("{image} {absent}"), format!("{absent} {image}")] {
        let said = world.run(&format!("verify {by} {images}")).ends(3).without_result();
        said.says(&[&format!("verified {image}"), &format!("{absent} cannot be looked up")]);
    }
}

#[test]
fn attestations_are_wanted_of_each_image_too() {
    let world = World::new();
    let (index, images) = world.push_index("acme/app", "v1");
    world.write("note.json", r#"{"noted": true}"#);
    let attest = |image: &str| {
        let line = format!("attest --type https://example.com/note --predicate note.json {image}");
        world.run(&line).ends(0);
    };
    attest(&index);
    attest(&images[0]);
    let verify = |more: &str| {
        let by = world.by_release();
        let line =
            format!("verify-attestation --type https://example.com/note {by} {more} {index}");
        world.run(&line)
    };
    assert_eq!(verify("").ends(0).json_lines().len(), 1);
    verify("-r").ends(10).says(&["the index, and 1 of the 2 in it; not for linux/arm64/v8"]);
    attest(&images[1]);
    assert_eq!(verify("-r").ends(0).json_lines().len(), 3);
    assert_eq!(verify("-r=leaves").ends(0).json_lines().len(), 2);
}

#[test]
fn coverage_tells_each_image_of_an_index() {
    let world = World::new();
    let (index, images) = world.push_index("acme/app", "v1");
    world.run(&format!("sign {index} {}", images[0])).ends(0);
    world.run(&format!("coverage {index}")).ends(0).says(&["1 image: 1 signed"]);
    let said = world.run(&format!("coverage -r {index}")).ends(10);
    said.says(&["3 images: 2 signed, 0 untrusted, 1 unsigned", "  linux/arm64/v8"]);
    let document = world.run(&format!("coverage -r=leaves -o json {index}")).ends(10).json();
    let rows = document["images"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0]["status"], &rows[1]["status"]), (&json!("signed"), &json!("unsigned")));
    assert_eq!(rows[1]["platforms"], json!(["linux/arm64/v8"]));
    assert_eq!(rows[1]["index"], world.digest(&index));
    // What is not known of it is not covered.
    let digest = Digest::sha256(b"absent").to_string();
    let absent = json!({"mediaType": INDEX_TYPE, "digest": digest, "size": 6});
    let partial = push_index(&world, "partial", &[absent]);
    world.run(&format!("sign {partial}")).ends(0);
    world.run(&format!("coverage {partial}")).ends(0);
    world.run(&format!("coverage -r {partial}")).ends(3).says(&[&digest]);
}

/// Each of many has its share of memory; what does not fit into that is looked at again alone.
#[test]
fn what_does_not_fit_beside_others_is_looked_at_alone() {
    const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let world = World::new();
    let images: Vec<_> =
        (0..10).map(|number| world.push("acme/app", &number.to_string())).collect();
    let plain = images.iter().map(|image| entry(&world, image, MANIFEST_TYPE, &json!({})));
    let index = push_index(&world, "many", &plain.collect::<Vec<_>>());
    world.run(&format!("sign -r {index}")).ends(0);
    // Longer than a tenth of what is fetched for one image, and before the signature in the list.
    let junk = vec![b' '; 6 << 20];
    let blob = Digest::sha256(&junk);
    world.registry.plant_blob("acme/app", blob, junk).unwrap();
    let subject = entry(&world, &images[3], MANIFEST_TYPE, &json!({}));
    let descriptor = |media_type: &str, digest: Digest, size: usize| json!({"mediaType": media_type, "digest": digest.to_string(), "size": size});
    let referrer = json!({
        "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "artifactType": BUNDLE,
        "config": descriptor("application/vnd.oci.empty.v1+json", Digest::sha256(b"{}"), 2),
        "layers": [descriptor(BUNDLE, blob, 6 << 20)],
        "subject": subject,
    });
    let bytes = referrer.to_string().into_bytes();
    let digest = Digest::sha256(&bytes).to_string();
    world.registry.plant_manifest("acme/app", &digest, MANIFEST_TYPE, bytes).unwrap();
    let name = index.rsplit_once(':').unwrap().0;
    let other = format!("verify {} -r {index}", world.by(OTHER));
    // All of it was seen: it is not trusted, and nothing is left open.
    let said = world.run(&other).ends(12).without_result();
    said.says(&["bundle", &format!("{name}@{digest}")]);
    world.run(&format!("verify {} -r {index}", world.by_release())).ends(0);
    world.run(&format!("coverage {} {}", world.by(OTHER), images.join(" "))).ends(12);
}

#[test]
fn an_index_in_a_folder_is_looked_into() {
    let world = World::new();
    let (index, images) = world.push_index("acme/app", "v1");
    world.run(&format!("sign {index} {}", images[0])).ends(0);
    let blobs = "layout/blobs/sha256";
    std::fs::create_dir_all(world.path(blobs)).unwrap();
    world.write("layout/oci-layout", r#"{"imageLayoutVersion": "1.0.0"}"#);
    let put = |bytes: &[u8]| {
        world.write(&format!("{blobs}/{}", Digest::sha256(bytes).hex()), bytes);
    };
    let copy = |image: &str| {
        put(&world.registry.manifest("acme/app", &world.digest(image)).unwrap());
        let tree = world.run(&format!("tree -o json {image}")).ends(0).json();
        for attachment in tree["attachments"].as_array().unwrap() {
            let manifest = attachment["manifest"].as_str().unwrap();
            put(&world.registry.manifest("acme/app", manifest).unwrap());
            let path = format!("/v2/acme/app/blobs/{}", attachment["digest"].as_str().unwrap());
            let address = world.registry.address();
            put(&exchange(address, "GET", &path, &[], b"").unwrap().wanted(200).body);
        }
    };
    copy(&index);
    let entries = json!([entry(&world, &index, INDEX_TYPE, &json!({}))]);
    let listed = json!({"schemaVersion": 2, "manifests": entries});
    world.write("layout/index.json", listed.to_string());
    world.registry.clear_requests();
    let verify =
        |how: &str| world.run(&format!("verify --local-image {} {how} layout", world.by_release()));
    assert_eq!(verified(&verify("").ends(0)), [world.digest(&index)]);
    // Nothing was copied along but the index.
    let said = verify("-r").ends(10).without_result();
    said.says(&["the index, and 0 of the 2 in it", "covers it without --recursive"]);
    copy(&images[0]);
    verify("-r").ends(10).says(&["the index, and 1 of the 2 in it; not for linux/arm64/v8"]);
    world.run(&format!("sign {}", images[1])).ends(0);
    copy(&images[1]);
    let leaves: Vec<_> = images.iter().map(|image| digest_in(image)).collect();
    assert_eq!(verified(&verify("-r=leaves").ends(0)), leaves);
    assert_eq!(verified(&verify("-r").ends(0)).len(), 3);

    // An index in it that is not there may name anything.
    let absent = Digest::sha256(b"absent").to_string();
    let outer = push_index(
        &world,
        "outer",
        &[
            entry(&world, &images[0], MANIFEST_TYPE, &platform("linux", "amd64")),
            json!({"mediaType": INDEX_TYPE, "digest": absent, "size": 6}),
        ],
    );
    world.run(&format!("sign {outer}")).ends(0);
    copy(&outer);
    let entries = json!([entry(&world, &outer, INDEX_TYPE, &json!({}))]);
    let listed = json!({"schemaVersion": 2, "manifests": entries});
    world.write("layout/index.json", listed.to_string());
    verify("").ends(0);
    for how in ["-r", "-r=leaves"] {
        verify(how).ends(3).without_result().says(&["could not tell", &absent[7..]]);
    }
}

//! What lies beside an image: `tree`, `triangulate`, `download`, `copy` and `clean`.

use axum::http::StatusCode;
use devkit::{Fault, FaultRule};
use serde_json::json;

use super::world::World;

/// An image with a signature in both formats and an attestation.
fn laden(world: &World) -> String {
    let image = world.push("acme/app", "v1");
    world.write("bom.json", r#"{"spdxVersion": "SPDX-2.3"}"#);
    world.run(&format!("sign --formats both {image}")).ends(0);
    world.run(&format!("attest --type spdxjson --predicate bom.json {image}")).ends(0);
    image
}

#[test]
fn the_tree_shows_all_of_it_and_what_it_could_not_see() {
    let world = World::new();
    let image = laden(&world);
    let tree = world.run(&format!("tree -o json {image}")).ends(0).json();
    assert_eq!(tree["schema"], "countersign.dev/tree/v1");
    assert_eq!(tree["digest"], world.digest(&image));
    assert_eq!(tree["attachments"].as_array().unwrap().len(), 3, "{tree}");
    let text = world.run(&format!("tree {image}")).ends(0);
    text.says(&["signature in signature tag", "says     https://spdx.dev/Document"]);
    let bare = world.push("acme/app", "bare");
    world.run(&format!("tree {bare}")).ends(0).says(&["nothing lies beside it"]);
    world.run(&format!("tree {}", image.replace(":v1", ":absent"))).ends(3);
    let lists = FaultRule::new("/v2/acme/app/referrers/*", Fault::Status(StatusCode::FORBIDDEN));
    world.registry.inject(lists);
    let said = world.run(&format!("tree {bare}")).ends(3);
    assert!(!said.stdout.contains("nothing"), "{}", said.stdout);
    said.says(&["could not be looked at", "forbids"]);
}

#[test]
fn the_tags_of_older_formats_are_told() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let name = image.rsplit_once(':').unwrap().0;
    let digest = world.digest(&image);
    let hex = digest.split_at(7).1;
    for (kind, end) in [("", ".sig"), ("--type attestation", ".att"), ("--type sbom", ".sbom")] {
        let said = world.run(&format!("triangulate {kind} {image}")).ends(0).stdout;
        assert_eq!(said, format!("{name}:sha256-{hex}{end}\n"));
    }
    let said = world.run(&format!("triangulate --type digest {image}")).ends(0).stdout;
    assert_eq!(said, format!("{name}@{digest}\n"));
    let elsewhere = format!("{}/signatures/app", world.registry.address());
    let variables = [("COSIGN_REPOSITORY", elsewhere.as_str())];
    let said = world.run_with(&format!("triangulate {image}"), &variables).ends(0).stdout;
    assert_eq!(said, format!("{elsewhere}:sha256-{hex}.sig\n"));
    world.run(&format!("triangulate {}", image.replace(":v1", ":absent"))).ends(3);
}

#[test]
fn evidence_is_kept_in_the_repository_that_is_named_for_it() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let elsewhere = format!("{}/signatures/app", world.registry.address());
    let variables = [("COSIGN_REPOSITORY", elsewhere.as_str())];
    let verify = format!("verify {} {image}", world.by_release());
    for format in ["bundle", "cosign"] {
        world.run_with(&format!("sign --formats {format} {image}"), &variables).ends(0);
    }
    world.run(&verify).ends(10);
    world.run_with(&verify, &variables).ends(0);
    world.run_with(&format!("clean -f {image}"), &variables).ends(0);
    world.run_with(&verify, &variables).ends(10);
    let wrong = [("COSIGN_REPOSITORY", "NOT A NAME")];
    world.run_with(&verify, &wrong).ends(2).says(&["COSIGN_REPOSITORY"]);
}

#[test]
fn documents_are_downloaded_as_they_are() {
    let world = World::new();
    let image = laden(&world);
    let signatures = world.run(&format!("download signature {image}")).ends(0).json_lines();
    assert_eq!(signatures.len(), 2, "{signatures:?}");
    assert_eq!(signatures.iter().filter(|line| line["Base64Signature"].is_string()).count(), 1);
    let attestations = |more: &str| world.run(&format!("download attestation {more} {image}"));
    let [bundle] = &attestations("").ends(0).json_lines()[..] else { panic!("one attestation") };
    world.write("a.json", bundle.to_string());
    let by = world.by_release();
    let digest = world.digest(&image);
    let line = format!("verify-blob-attestation {by} --type spdxjson --bundle a.json {digest}");
    world.run(&line).ends(0);
    assert_eq!(attestations("--predicate-type spdxjson").ends(0).json_lines().len(), 1);
    // Of what there is none, where it was looked for, what is there instead, and what can be done.
    let place = image.trim_end_matches(":v1");
    let tags = |digest: &str, suffixes: &[&str]| -> Vec<String> {
        let hex = digest.trim_start_matches("sha256:");
        suffixes.iter().map(|suffix| format!("sha256-{hex}.{suffix}")).collect()
    };
    let none = |line: &str, digest: &str, suffixes: &[&str], parts: &[&str]| {
        let tags = tags(digest, suffixes).join(" and ");
        let looked = format!("looked in {place} under {tags}, and at what refers to {digest}");
        let said = world.run(line).ends(10).without_result();
        said.says(&[&looked]).says(parts);
    };
    let cyclonedx = format!("download attestation --predicate-type cyclonedx {image}");
    none(
        &cyclonedx,
        &digest,
        &["sig", "att"],
        &[
            "there is no attestation of the type https://cyclonedx.org/bom beside",
            "there is a signature, an attestation of the type https://spdx.dev/Document",
        ],
    );
    let sbom = format!("download sbom {image}");
    let instead = ["there is no bill of materials beside", "there is a bundle, a signature; "];
    none(&sbom, &digest, &["sbom"], &instead);
    let bare = world.push("acme/app", "bare");
    let nothing = world.digest(&bare);
    for (what, named, suffixes, remedy) in [
        ("signature", "signature", &["sig", "att"][..], "`countersign sign` makes one"),
        ("attestation", "attestation", &["sig", "att"], "`countersign attest` makes one"),
        ("sbom", "bill of materials", &["sbom"], "`countersign attach sbom` makes one"),
    ] {
        let parts = [&format!("there is no {named} beside {bare}"), remedy, "COSIGN_REPOSITORY"];
        none(&format!("download {what} {bare}"), &nothing, suffixes, &parts);
    }
    let lists = FaultRule::new("/v2/acme/app/referrers/*", Fault::Status(StatusCode::FORBIDDEN));
    world.registry.inject(lists);
    world.run(&format!("download signature {bare}")).ends(3).without_result();
}

#[test]
fn an_image_is_copied_with_all_that_lies_beside_it() {
    let world = World::new();
    let image = laden(&world);
    let target = format!("{}/other/app", world.registry.address());
    let by = world.by_release();
    world.run(&format!("copy {image} {target}:all")).ends(0).says(&["copied"]);
    world.run(&format!("verify {by} {target}:all")).ends(0);
    world.run(&format!("verify-attestation {by} --type spdxjson {target}:all")).ends(0);
    let tree = world.run(&format!("tree -o json {target}:all")).ends(0).json();
    assert_eq!(tree["attachments"].as_array().unwrap().len(), 3, "{tree}");
    // Only what is wanted of it: the image must be there by itself.
    let target = format!("{}/third/app", world.registry.address());
    world.run(&format!("copy --only sig {image} {target}:v1")).ends(0);
    assert_eq!(world.registry.manifest("third/app", "v1"), None);
    let digest = world.digest(&image);
    world.run(&format!("verify {by} {target}@{digest}")).ends(0);
    let absent = image.replace(":v1", ":absent");
    world.run(&format!("copy {absent} {target}:x")).ends(3).says(&["cannot be looked up"]);
    world.run(&format!("copy --only layers {image} {target}:x")).ends(2).says(&["sbom"]);
}

#[test]
fn a_tag_that_is_another_image_is_moved_only_by_force() {
    let world = World::new();
    let (image, other) = (world.push("acme/app", "v1"), world.push("other/app", "v1"));
    let [digest, standing] = [&image, &other].map(|image| world.digest(image));
    world.registry.clear_requests();
    let said = world.run(&format!("copy {image} {other}")).ends(1);
    said.says(&["is another image already", &digest, &standing, "--force"]);
    assert_eq!((world.writes(), world.digest(&other)), (0, standing.clone()));
    // What lies beside an image is no tag of its own, and nor is a digest.
    world.run(&format!("copy --only sig {image} {other}")).ends(0);
    let by_digest = format!("{}@{digest}", other.trim_end_matches(":v1"));
    world.run(&format!("copy {image} {by_digest}")).ends(0);
    assert_eq!(world.digest(&other), standing);

    // Nobody knows what a tag is that cannot be asked for.
    let tag = FaultRule::new("/v2/other/app/manifests/v1", Fault::Status(StatusCode::FORBIDDEN));
    world.registry.inject(tag.method(axum::http::Method::HEAD));
    world.registry.clear_requests();
    world.run(&format!("copy {image} {other}")).ends(3).says(&["is now is not known", "forbids"]);
    assert_eq!(world.writes(), 0);
    world.registry.clear_faults();

    let said = world.run(&format!("copy -f {image} {other}")).ends(0);
    said.says(&["copied", &format!("was {standing} before")]);
    assert_eq!(world.digest(&other), digest);
    // Now it is the same, and may be copied as often as one likes.
    let said = world.run(&format!("copy {image} {other}")).ends(0);
    assert!(!said.stderr.contains("before"), "{}", said.stderr);
    let said = world.run_alone("copy --help").ends(0);
    said.says(&["--force"]);
}

#[test]
fn only_what_is_named_is_removed() {
    let world = World::new();
    let image = laden(&world);
    let left = || {
        let tree = world.run(&format!("tree -o json {image}")).ends(0).json();
        tree["attachments"].as_array().unwrap().len()
    };
    world.registry.clear_requests();
    world.run(&format!("clean {image}")).ends(2).says(&["--force"]);
    assert_eq!((world.writes(), left()), (0, 3));
    world.run(&format!("clean --type sbom -f {image}")).ends(0).says(&["nothing lies beside"]);
    assert_eq!(left(), 3);
    world.run(&format!("clean --type signature -f {image}")).ends(0).says(&["removed sha256-"]);
    assert_eq!(left(), 2);
    world.run(&format!("clean --type referrer -f {image}")).ends(0);
    assert_eq!(left(), 0);
    let image = laden(&world);
    let rule = FaultRule::new("/v2/acme/app/manifests/*", Fault::Status(StatusCode::FORBIDDEN));
    world.registry.inject(rule.method(axum::http::Method::DELETE));
    world.run(&format!("clean -f {image}")).ends(1).says(&["could not be removed", "forbids"]);
    world.registry.clear_faults();
    world.run(&format!("clean --type all -f {image}")).ends(0);
    let tree = world.run(&format!("tree -o json {image}")).ends(0).json();
    assert_eq!(tree["attachments"], json!([]));
    // The image itself stays.
    assert_eq!(tree["digest"], world.digest(&image));
}

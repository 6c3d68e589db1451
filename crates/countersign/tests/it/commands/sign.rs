//! `sign`.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use devkit::{Fault, FaultRule};
use serde_json::{Value, json};

use super::world::World;

/// What lies beside an image, by kind and place.
fn kinds(world: &World, image: &str) -> BTreeSet<String> {
    let tree = world.run(&format!("tree -o json {image}")).ends(0).json();
    let listed = tree["attachments"].as_array().unwrap().iter();
    listed.map(|it| format!("{} in {}", it["kind"], it["place"]).replace('"', "")).collect()
}

#[test]
fn each_format_lies_where_its_verifiers_look() {
    let world = World::new();
    for (format, wanted) in [
        ("bundle", &["bundle in referrers"][..]),
        ("cosign", &["signature in signature tag"]),
        ("both", &["bundle in referrers", "signature in signature tag"]),
    ] {
        let image = world.push("acme/app", format);
        world.run(&format!("sign --formats {format} {image}")).ends(0).says(&["signed", &image]);
        let wanted = wanted.iter().map(|&kind| kind.to_owned()).collect();
        assert_eq!(kinds(&world, &image), wanted, "{format}");
        world.run(&format!("verify {} {image}", world.by_release())).ends(0);
    }
    // Cosign's older spelling of the same.
    let image = world.push("acme/app", "older");
    world.run(&format!("sign --new-bundle-format=false {image}")).ends(0);
    assert_eq!(kinds(&world, &image), BTreeSet::from(["signature in signature tag".to_owned()]));
}

#[test]
fn annotations_are_signed_along() {
    let world = World::new();
    for format in ["bundle", "cosign"] {
        let image = world.push("acme/app", format);
        world.run(&format!("sign --formats {format} -a env=prod -a team=red {image}")).ends(0);
        let verify =
            |more: &str| world.run(&format!("verify {} {more} {image}", world.by_release()));
        let shown = verify("-a env=prod").ends(0).json();
        let wanted = json!({"env": "prod", "team": "red"});
        for (name, value) in wanted.as_object().unwrap() {
            assert_eq!(shown[0]["optional"][name], *value, "{shown}");
        }
        verify("-a env=prod,team=red").ends(0);
        verify("-a env=dev").ends(12).without_result().says(&["env=dev", "env=prod"]);
        verify("-a region=north").ends(12).without_result();
        verify("-a env=dev --check-claims=false").ends(0);
    }
    let image = world.push("acme/app", "wrong");
    world.run(&format!("sign -a prod {image}")).ends(2).says(&["KEY=VALUE"]);
    assert_eq!(kinds(&world, &image), BTreeSet::new());
}

#[test]
fn an_index_is_signed_with_its_images_if_wanted() {
    let world = World::new();
    let (index, images) = world.push_index("acme/app", "v1");
    let verify = |image: &str| world.run(&format!("verify {} {image}", world.by_release()));
    world.run(&format!("sign {index}")).ends(0);
    verify(&index).ends(0);
    verify(&images[0]).ends(10);
    let said = world.run(&format!("sign --recursive -o json {index}")).ends(0);
    let signers: BTreeSet<_> = said
        .json_lines()
        .iter()
        .map(|line| line["artifact"]["digest"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(signers.len(), 3, "{}", said.stdout);
    for image in &images {
        assert!(signers.contains(image.split_once('@').unwrap().1), "{image}");
        verify(image).ends(0);
    }
}

#[test]
fn what_is_signed_already_is_not_signed_again_if_that_is_wanted() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let sign = |more: &str| world.run(&format!("sign --if-missing {more} {image}")).ends(0);
    sign("-a env=prod").says(&["logged"]);
    let size = world.log_size();
    world.registry.clear_requests();
    sign("-a env=prod").says(&["signed already", &image]);
    sign("").says(&["signed already"]);
    assert_eq!((world.writes(), world.log_size()), (0, size), "the second writes nothing");
    // Something else is said.
    sign("-a env=dev").says(&["logged"]);
    assert_eq!(world.log_size(), size + 1);
    // Somebody else says it.
    world.run("generate-key-pair").ends(0);
    sign("--key cosign.key -a env=prod").says(&["logged"]);
    sign("--key cosign.key -a env=prod").says(&["signed already"]);
    assert_eq!(world.log_size(), size + 2);
    // It cannot be told, which is no reason to sign again.
    let lists = format!("/v2/acme/app/referrers/{}", world.digest(&image));
    world.registry.inject(FaultRule::new(lists, Fault::Status(StatusCode::FORBIDDEN)));
    let said = world.run(&format!("sign --if-missing -a env=new {image}"));
    said.ends(3).says(&["cannot be told whether", "is signed already"]);
    assert_eq!(world.log_size(), size + 2);
}

#[test]
fn a_signature_can_go_into_a_file_instead() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    world.run(&format!("sign --upload=false --bundle b.json {image}")).ends(0);
    world.run(&format!("verify {} {image}", world.by_release())).ends(10);
    let digest = world.digest(&image);
    let by = world.by_release();
    world.run(&format!("verify-blob {by} --bundle b.json {digest}")).ends(0).says(&[&digest]);

    // Nothing is signed that would go nowhere.
    let size = world.log_size();
    let refused = |more: &str, why: &str| {
        world.run(&format!("sign {more} {image}")).ends(2).says(&[why]);
    };
    refused("--upload=false", "--bundle");
    refused("--upload=false --bundle c.json --formats cosign", "--formats");
    refused("--upload=false --bundle c.json --formats both", "--formats");
    refused("--bundle c.json --formats cosign", "--formats");
    refused("--bundle absent/c.json", "absent/c.json");
    let other = world.push("acme/app", "v2");
    refused(&format!("--bundle c.json {other}"), "one image only");
    assert_eq!(world.log_size(), size);
    assert!(!world.path("c.json").exists());
    assert_eq!(kinds(&world, &image), BTreeSet::new());
}

#[test]
fn a_key_signs_with_its_password_only() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    world.run("generate-key-pair").ends(0);
    let sign = format!("sign --key cosign.key {image}");
    let refused = world.run_with(&sign, &[("COSIGN_PASSWORD", "wrong")]).ends(2);
    refused.says(&["cannot use the private key cosign.key", "COSIGN_PASSWORD"]);
    world.run(&format!("verify --key cosign.pub {image}")).ends(10);
    let in_variable = world.read("cosign.key");
    let sign_with_variable = format!("sign --key env://SIGNING_KEY {image}");
    world.run_with(&sign_with_variable, &[("SIGNING_KEY", &in_variable)]).ends(0);
    let shown = world.run(&format!("verify --key cosign.pub {image}")).ends(0).json();
    assert_eq!(shown[0]["optional"], json!({}), "nobody is certified");
    world.run(&format!("verify {} {image}", world.by_release())).ends(12).without_result();
    // Another key.
    world.run("generate-key-pair --output-key-prefix other").ends(0);
    world.run(&format!("verify --key other.pub {image}")).ends(12).without_result();
    world.run(&format!("verify --key cosign.key {image}")).ends(2).says(&["public-key"]);
}

#[test]
fn a_payload_that_somebody_else_made_is_signed_as_it_is() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let digest = world.digest(&image);
    let payload = |digest: &str, optional: Value| {
        json!({
            "critical": {
                "identity": {"docker-reference": "registry.example/acme/app"},
                "image": {"docker-manifest-digest": digest},
                "type": "cosign container image signature",
            },
            "optional": optional,
        })
    };
    let given = payload(&digest, json!({"env": "prod", "build": 7})).to_string();
    world.write("payload.json", &given);
    let said = world.run(&format!("sign --formats cosign --payload payload.json {image}")).ends(0);
    said.says(&["calls the image `registry.example/acme/app`"]);
    let by = world.by_release();
    let shown = world.run(&format!("verify {by} -a env=prod {image}")).ends(0).json();
    let identity = &shown[0]["critical"]["identity"]["docker-reference"];
    assert_eq!(identity, "registry.example/acme/app");
    let tag = format!("{}.sig", digest.replace(':', "-"));
    let manifest = world.registry.manifest("acme/app", &tag).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let layer = &manifest["layers"][0]["digest"];
    assert_eq!(*layer, evidence::Digest::sha256(given.as_bytes()).to_string());

    // What is of no use is refused before it is logged.
    let size = world.log_size();
    let other = world.digest(&world.push("acme/app", "v2"));
    world.write("other.json", payload(&other, Value::Null).to_string());
    world.write("list.json", payload(&digest, json!(["prod"])).to_string());
    world.write("statement.json", r#"{"_type": "https://in-toto.io/Statement/v1"}"#);
    let refused = |flags: &str, part: &str| {
        let said = world.run(&format!("sign {flags} {image}")).ends(2);
        said.without_result().says(&[part]);
    };
    refused("--formats cosign --payload other.json", &format!("wanted {digest}, found {other}"));
    refused("--formats cosign --payload list.json", "`optional`");
    refused("--formats cosign --payload statement.json", "cannot use the payload");
    refused("--formats cosign --payload absent.json", "absent.json");
    refused("--payload payload.json", "--formats cosign");
    refused("--formats both --payload payload.json", "--formats cosign");
    refused("--formats cosign --payload payload.json -a env=dev", "cannot be used with");
    assert_eq!(world.log_size(), size);
}

#[test]
fn what_was_done_is_told_to_programs() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let line = world.run(&format!("sign -o json {image}")).ends(0).json();
    assert_eq!(line["schema"], "countersign.dev/signed/v1");
    assert_eq!(line["artifact"], json!({"name": image, "digest": world.digest(&image)}));
    assert_eq!(line["signer"]["issuer"], world.issuer.url());
    assert_eq!(line["logEntries"], json!([0]));
    let place = line["evidence"].as_str().unwrap();
    let tree = world.run(&format!("tree -o json {image}")).ends(0).json();
    let manifest = tree["attachments"][0]["manifest"].as_str().unwrap();
    assert!(place.ends_with(manifest), "{place}");
    let again = world.run(&format!("sign -o json --if-missing {image}")).ends(0).json();
    assert_eq!(again["signedBefore"], Value::Bool(true));
}

#[test]
fn who_cannot_sign_or_attach_says_what_has_happened() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let size = world.log_size();
    // No image, no identity, nobody to ask.
    let absent = image.replace(":v1", ":absent");
    world.run(&format!("sign {absent}")).ends(3).says(&["cannot be looked up", "absent"]);
    let nobody = [("SIGSTORE_ID_TOKEN", "")];
    world.run_with(&format!("sign {image}"), &nobody).ends(2).says(&["no identity to sign as"]);
    let said = world.run(&format!("sign --identity-token /absent {image}")).ends(2);
    said.says(&["identity token", "/absent"]);
    assert_eq!(world.log_size(), size);
    // What is logged is logged: that the rest failed is told, and what remains to be done.
    let rule = FaultRule::new("/v2/acme/app/manifests/*", Fault::Status(StatusCode::FORBIDDEN));
    world.registry.inject(rule.method(Method::PUT));
    let said = world.run(&format!("sign {image}")).ends(1);
    said.says(&["was signed and logged, but the evidence could not be attached", "forbids"]);
    assert_eq!(world.log_size(), size + 1);
}

/// What was meant to be a token is a secret, and what is told here ends up in the logs of CI systems.
#[test]
fn a_token_that_is_none_is_not_told() {
    let world = World::new();
    world.write("app.tar", "the application");
    let line = "sign-blob --identity-token eyJhbGciOi.verysecret --bundle b.json app.tar";
    let said = world.run(line).ends(2).says(&["--identity-token eyJhbGci…", "three parts"]);
    assert!(
        !said.stderr.contains("secret") && !said.stderr.contains("eyJhbGciO"),
        "{}",
        said.stderr
    );
    world
        .run("sign-blob --identity-token absent --bundle b.json app.tar")
        .ends(2)
        .says(&["absent"]);
}

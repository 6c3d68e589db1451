//! `attach`: what was signed elsewhere is put beside an image, and what could never be verified of
//! it is not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::world::World;

/// The manifest under one of Cosign's tags.
fn tagged(world: &World, image: &str, suffix: &str) -> Option<Value> {
    let tag = format!("{}.{suffix}", world.digest(image).replace(':', "-"));
    let bytes = world.registry.manifest("acme/app", &tag)?;
    Some(serde_json::from_slice(&bytes).unwrap())
}

fn layers(world: &World, image: &str, suffix: &str) -> Vec<Value> {
    let manifest = tagged(world, image, suffix);
    manifest.map_or_else(Vec::new, |it| it["layers"].as_array().unwrap().clone())
}

/// What Cosign's signature tag holds of a signed image, in files: payload, signature, certificate,
/// chain and log entry. The tag is gone then.
fn detach(world: &World, image: &str) {
    world.run(&format!("sign --formats cosign {image}")).ends(0);
    let said = world.run(&format!("download signature {image}")).ends(0);
    let line = said.json_lines().remove(0);
    let text = |name: &str| line[name].as_str().unwrap().to_owned();
    world.write("payload.json", STANDARD.decode(text("Payload")).unwrap());
    world.write("signature.txt", text("Base64Signature"));
    world.write("certificate.pem", text("Cert"));
    let entry = json!({
        "base64Signature": line["Base64Signature"],
        "rekorBundle": line["Bundle"],
    });
    world.write("entry.json", entry.to_string());
    world.write("promise.json", line["Bundle"].to_string());
    world.run(&format!("clean -f --type signature {image}")).ends(0);
}

const FILES: &str = "--payload payload.json --signature signature.txt --certificate \
                     certificate.pem --rekor-response entry.json";

#[test]
fn a_signature_from_files_verifies_as_if_it_had_been_made_there() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let verify = format!("verify {} {image}", world.by_release());
    detach(&world, &image);
    world.run(&verify).ends(10);
    let said = world.run(&format!("attach signature {FILES} -o json {image}")).ends(0).json();
    assert_eq!(said["schema"], "countersign.dev/attached/v1");
    assert_eq!(said["artifact"]["digest"], world.digest(&image));
    assert_eq!(said["attached"][0]["kind"], "signature");
    world.run(&verify).ends(0);
    assert_eq!(layers(&world, &image, "sig").len(), 1);
    // Again is the same.
    assert_eq!(said["attached"][0]["attachedBefore"], false);
    let again = world.run(&format!("attach signature {FILES} {image}")).ends(0);
    again.says(&[&format!("signature was attached to {image} already")]);
    let again = world.run(&format!("attach signature {FILES} -o json {image}")).ends(0).json();
    assert_eq!(again["attached"][0]["attachedBefore"], true);
    assert_eq!(again["attached"][0]["place"], said["attached"][0]["place"]);
    assert_eq!(layers(&world, &image, "sig").len(), 1);
    // Beside it, not in its place.
    world.run(&format!("sign --formats cosign -a a=b {image}")).ends(0);
    world.run("generate-key-pair").ends(0);
    world.run(&format!("sign --formats cosign --key cosign.key {image}")).ends(0);
    assert_eq!(layers(&world, &image, "sig").len(), 3);
    world.run(&verify).ends(0);
}

#[test]
fn files_that_do_not_belong_together_are_not_attached() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let other = world.push("acme/app", "v2");
    detach(&world, &other);
    for name in ["payload.json", "signature.txt", "certificate.pem", "entry.json"] {
        world.write(&format!("other-{name}"), world.read(name));
    }
    detach(&world, &image);
    let attach = |files: &str| world.run(&format!("attach signature {files} {image}"));
    let with = |name: &str, file: &str| attach(&FILES.replace(name, file));
    world.registry.clear_requests();
    with("payload.json", "other-payload.json").ends(2).says(&["it is about sha256:", "not about"]);
    with("signature.txt", "other-signature.txt").ends(2).says(&["not made with the key"]);
    with("certificate.pem", "other-certificate.pem").ends(2).says(&["not made with the key"]);
    with("entry.json", "other-entry.json").ends(2).says(&["records another signature"]);
    world.write("nonsense", "}{");
    with("payload.json", "nonsense").ends(2).says(&["the payload", "not a simple signing payload"]);
    with("certificate.pem", "nonsense").ends(2).says(&["the certificate"]);
    with("entry.json", "nonsense").ends(2).says(&["the log entry"]);
    attach(&format!("{FILES} --certificate-chain nonsense")).ends(2).says(&["chain"]);
    attach(&format!("{FILES} --tsr nonsense")).ends(2).says(&["the timestamp"]);
    attach("--payload payload.json").ends(2).says(&["no signature", "--signature"]);
    attach(&format!("{FILES} --bundle payload.json")).ends(2).says(&["--bundle"]);
    world.write("empty", "");
    with("signature.txt", "empty").ends(2).says(&["there is no signature"]);
    world.write("long", vec![b'a'; 2 * 1024 * 1024]);
    with("payload.json", "long").ends(2).says(&["longer than the 1048576 bytes"]);
    world.run("generate-key-pair").ends(0);
    with("certificate.pem", "cosign.pub").ends(2).says(&["a public key", "leave it away"]);
    assert_eq!(world.writes(), 0, "nothing of this was written");
    assert!(tagged(&world, &image, "sig").is_none());
}

#[test]
fn a_log_entry_is_read_in_each_form_it_comes_in() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    detach(&world, &image);
    let verify = format!("verify {} {image}", world.by_release());
    let promise: Value = serde_json::from_str(&world.read("promise.json")).unwrap();
    let payload = &promise["Payload"];
    world.write("bare.json", json!({"rekorBundle": promise}).to_string());
    let answer = json!({"ab".repeat(40): {
        "body": payload["body"],
        "integratedTime": payload["integratedTime"],
        "logID": payload["logID"],
        "logIndex": payload["logIndex"],
        "verification": {"signedEntryTimestamp": promise["SignedEntryTimestamp"]},
    }});
    world.write("answer.json", answer.to_string());
    for file in ["entry.json", "promise.json", "bare.json", "answer.json"] {
        let files = FILES.replace("entry.json", file);
        world.run(&format!("attach signature {files} {image}")).ends(0);
        world.run(&verify).ends(0);
        world.run(&format!("clean -f --type signature {image}")).ends(0);
    }
    // Without it few can verify, which is said.
    let files = FILES.replace("--rekor-response entry.json", "");
    let said = world.run(&format!("attach signature {files} {image}")).ends(0);
    said.says(&["neither a log entry nor a timestamp"]);
    world.run(&verify).ends(12);
}

#[test]
fn without_a_payload_the_one_is_meant_that_cosign_makes() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    detach(&world, &image);
    let files = FILES.replace("--payload payload.json", "");
    let said = world.run(&format!("attach signature {files} {image}")).ends(0);
    said.says(&["no --payload"]);
    world.run(&format!("verify {} {image}", world.by_release())).ends(0);
    // Read from standard input.
    world.run(&format!("clean -f --type signature {image}")).ends(0);
    let files = FILES.replace("signature.txt", "-");
    let signature = world.read("signature.txt");
    world.run_fed(&format!("attach signature {files} {image}"), signature.as_bytes()).ends(0);
    world.run(&format!("verify {} {image}", world.by_release())).ends(0);
}

/// An attestation in a bundle, not attached.
fn attest(world: &World, image: &str, file: &str) {
    world.write("note.json", r#"{"noted": true}"#);
    let kind = "--type https://example.com/note --predicate note.json --no-upload";
    world.run(&format!("attest {kind} --bundle {file} {image}")).ends(0);
}

#[test]
fn attestations_are_attached_as_what_they_are() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    attest(&world, &image, "bundle.json");
    attest(&world, &image, "second.json");
    let verify = format!(
        "verify-attestation {} --type https://example.com/note {image}",
        world.by_release()
    );
    world.run(&verify).ends(10);
    let attach = |files: &str| world.run(&format!("attach attestation {files} -o json {image}"));
    let said = attach("--attestation bundle.json").ends(0).json();
    assert_eq!(said["attached"][0]["kind"], "bundle");
    assert_eq!(said["attached"][0]["attachedBefore"], false);
    assert_eq!(world.run(&verify).ends(0).json_lines().len(), 1);
    let again = attach("--attestation bundle.json").ends(0).json();
    assert_eq!(again["attached"][0]["attachedBefore"], true);
    assert_eq!(again["attached"][0]["place"], said["attached"][0]["place"]);
    // One after the other in one file, of each kind; and several files.
    let bundle: Value = serde_json::from_str(&world.read("second.json")).unwrap();
    let envelope = bundle["dsseEnvelope"].to_string();
    world.write("both.jsonl", format!("{bundle}\n{envelope}\n"));
    let before = |said: Value| -> Vec<bool> {
        let attached = said["attached"].as_array().unwrap();
        attached.iter().map(|one| one["attachedBefore"].as_bool().unwrap()).collect()
    };
    let files = "--attestation both.jsonl --attestation bundle.json";
    assert_eq!(before(attach(files).ends(0).json()), [false, true, false]);
    assert_eq!(before(attach(files).ends(0).json()), [true, true, true]);
    // Without its certificate and log entry an envelope is nobody's.
    assert_eq!(world.run(&verify).ends(0).json_lines().len(), 2);
    assert_eq!(layers(&world, &image, "att").len(), 1);
    assert_eq!(
        layers(&world, &image, "att")[0]["annotations"]["predicateType"],
        "https://example.com/note"
    );
    world.run(&format!("clean -f --type attestation {image}")).ends(0);
    assert_eq!(world.run(&verify).ends(0).json_lines().len(), 2);
    // A bundle under the name that Cosign has for payloads.
    world.run(&format!("clean -f {image}")).ends(0);
    world.run(&format!("attach signature --bundle bundle.json {image}")).ends(0);
    world.run(&verify).ends(0);
}

#[test]
fn of_several_attestations_none_is_attached_unless_all_may_be() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let other = world.push("acme/app", "v2");
    attest(&world, &image, "good.json");
    attest(&world, &other, "other.json");
    world.write("file.txt", "a file");
    world.run("sign-blob --bundle blob.json file.txt").ends(0);
    let mut tampered: Value = serde_json::from_str(&world.read("good.json")).unwrap();
    tampered["dsseEnvelope"]["payloadType"] = "text/plain".into();
    world.write("tampered.json", tampered.to_string());
    tampered["dsseEnvelope"]["signatures"] = json!([]);
    world.write("unsigned.json", tampered["dsseEnvelope"].to_string());
    world.write("cut.json", &world.read("good.json")[..100]);
    world.write("empty.json", "");
    world.registry.clear_requests();
    for (bad, why) in [
        ("other.json", "it is about sha256:"),
        ("blob.json", "a signature over a file"),
        ("tampered.json", "wanted an envelope of application/vnd.in-toto+json"),
        ("unsigned.json", "wanted exactly one signature"),
        ("cut.json", "cannot use the attestation cut.json"),
        ("empty.json", "it is empty"),
        ("absent.json", "absent.json"),
    ] {
        let files = format!("--attestation good.json --attestation {bad}");
        let said = world.run(&format!("attach attestation {files} {image}"));
        said.ends(2).without_result().says(&[why, bad]);
    }
    assert_eq!(world.writes(), 0, "not even the good one");
    world.run(&format!("attach attestation --attestation good.json {other}")).ends(2);
    world.run(&format!("attach attestation {image}")).ends(2).says(&["--attestation"]);
}

#[test]
fn a_bill_of_materials_is_attached_for_what_it_is() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    world.write("bom.spdx.json", r#"{"spdxVersion": "SPDX-2.3", "n": 1}"#);
    world.write("bom.xml", "<?xml version='1.0'?><bom/>");
    world.run(&format!("download sbom {image}")).ends(10);
    let attach = |arguments: &str| world.run(&format!("attach sbom {arguments} {image}"));
    attach("--sbom bom.spdx.json").ends(0).says(&["nobody signs this document", "attached sbom"]);
    let said = attach("--sbom bom.spdx.json").ends(0).says(&["sbom was attached to"]);
    assert!(!said.stderr.contains("replaces"), "{}", said.stderr);
    let said = world.run(&format!("download sbom {image}")).ends(0);
    assert_eq!(said.stdout, world.read("bom.spdx.json"));
    said.says(&["text/spdx+json", "nobody signed"]);
    assert_eq!(layers(&world, &image, "sbom").len(), 1);
    // Cosign reads one, so that another takes its place.
    attach("--sbom bom.xml --type cyclonedx").ends(0).says(&["this replaces sha256:"]);
    let said = world.run(&format!("download sbom {image}")).ends(0);
    assert_eq!(said.stdout, world.read("bom.xml"));
    assert_eq!(layers(&world, &image, "sbom").len(), 1);
    for (arguments, why) in [
        ("--sbom bom.spdx.json --type cyclonedx", "no such document"),
        ("--sbom bom.xml", "SPDXVersion"),
        ("--sbom bom.spdx.json --type syft --input-format xml", "no such form"),
        ("--sbom bom.spdx.json --type swid", "swid"),
        ("--sbom absent.json", "absent.json"),
        ("", "--sbom"),
    ] {
        attach(arguments).ends(2).says(&[why]);
    }
    // It proves nothing.
    world.run(&format!("verify {} {image}", world.by_release())).ends(10);
    // As what refers to the image.
    world.run(&format!("clean -f --type sbom {image}")).ends(0);
    attach("--sbom bom.spdx.json --registry-referrers-mode oci-1-1").ends(0);
    assert!(tagged(&world, &image, "sbom").is_none());
    let said = world.run(&format!("download sbom {image}")).ends(0);
    assert_eq!(said.stdout, world.read("bom.spdx.json"));
    // It says whether it was there.
    let options = "--sbom bom.spdx.json --registry-referrers-mode oci-1-1 -o json";
    world.registry.clear_requests();
    let again = attach(options).ends(0).json();
    assert_eq!(again["attached"][0]["attachedBefore"], true, "{again}");
    assert_eq!(world.writes(), 0);
    let place = again["attached"][0]["place"].as_str().unwrap();
    world.run(&format!("clean -f --type sbom {image}")).ends(0);
    let manifest = place.rsplit('/').next().unwrap().split_once('@').unwrap().1;
    assert!(world.registry.manifest("acme/app", manifest).is_some(), "what refers to it stays");
    // The same text as something else is something else.
    let other = "--sbom bom.spdx.json --type syft --registry-referrers-mode oci-1-1 -o json";
    let said = attach(other).ends(0).json();
    assert_eq!(said["attached"][0]["attachedBefore"], false, "{said}");
    let place = said["attached"][0]["place"].as_str().unwrap();
    assert!(!place.ends_with(manifest), "{said}");
    world.run(&format!("download sbom {image}")).ends(2).says(&["2 bills of materials"]);
    let fresh = world.push("acme/app", "v2");
    let said = world.run(&format!("attach sbom {options} {fresh}")).ends(0).json();
    assert_eq!(said["attached"][0]["attachedBefore"], false, "{said}");
    world.write("second.json", r#"{"spdxVersion": "SPDX-2.3", "n": 2}"#);
    attach("--sbom second.json --registry-referrers-mode oci-1-1").ends(0);
    world.run(&format!("download sbom {image}")).ends(2).says(&["3 bills of materials"]);
}

#[test]
fn what_a_registry_does_not_take_is_told() {
    use axum::http::{Method, StatusCode};
    use devkit::{Fault, FaultRule};
    let world = World::new();
    let image = world.push("acme/app", "v1");
    detach(&world, &image);
    let rule = FaultRule::new("/v2/acme/app/manifests/*", Fault::Status(StatusCode::FORBIDDEN));
    world.registry.inject(rule.method(Method::PUT));
    let said = world.run(&format!("attach signature {FILES} {image}")).ends(1).without_result();
    said.says(&["nothing was attached", "forbids"]);
    let absent = image.replace(":v1", ":absent");
    world.run(&format!("attach signature {FILES} {absent}")).ends(3).says(&["absent"]);
}

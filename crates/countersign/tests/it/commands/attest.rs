//! `attest` and `verify-attestation`.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use devkit::{Fault, FaultRule};
use serde_json::{Value, json};

use super::world::World;

const OTHER: &str = "https://github.com/acme/app/.github/workflows/other.yml@refs/heads/main";

/// The statement in an envelope that Cosign prints on a line.
fn statement(envelope: &Value) -> Value {
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[test]
fn each_type_is_attested_and_wanted_by_its_name() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let by = world.by_release();
    let types = [
        ("spdxjson", "https://spdx.dev/Document", r#"{"spdxVersion": "SPDX-2.3"}"#),
        ("cyclonedx", "https://cyclonedx.org/bom", r#"{"bomFormat": "CycloneDX"}"#),
        ("custom", "https://cosign.sigstore.dev/attestation/v1", "free text"),
        ("https://example.com/note", "https://example.com/note", r#"{"noted": true}"#),
    ];
    for (name, _, _) in types {
        let line = format!("verify-attestation {by} --type {name} {image}");
        let code = if name == "spdxjson" { 10 } else { 12 };
        world.run(&line).ends(code).without_result();
        // Attested one after another.
        let (_, uri, predicate) = types.iter().find(|it| it.0 == name).unwrap();
        world.write("predicate", predicate);
        world.run(&format!("attest --type {name} --predicate predicate {image}")).ends(0);
        let said = world.run(&line).ends(0);
        let [envelope] = &said.json_lines()[..] else { panic!("{}", said.stdout) };
        assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
        let statement = statement(envelope);
        assert_eq!(statement["predicateType"], *uri);
        let digest = world.digest(&image);
        assert_eq!(statement["subject"][0]["digest"]["sha256"], digest.split_at(7).1);
        let other = format!("verify-attestation {} --type {name} {image}", world.by(OTHER));
        world.run(&other).ends(12).without_result();
        // The same by its full name.
        world.run(&format!("verify-attestation {by} --type {uri} {image}")).ends(0);
    }
    // A signature is no attestation of any of these types.
    let other = world.push("acme/app", "v2");
    world.run(&format!("sign {other}")).ends(0);
    world.run(&format!("verify-attestation {by} --type spdxjson {other}")).ends(12);
}

#[test]
fn what_makes_no_statement_is_not_signed() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let size = world.log_size();
    world.write("broken.json", "{");
    world.write("twice.json", r#"{"spdxVersion": "SPDX-2.3", "spdxVersion": "SPDX-2.2"}"#);
    world.write(
        "elsewhere.json",
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "x", "digest": {"sha256": "00".repeat(32)}}],
            "predicateType": "https://example.com/note",
            "predicate": {},
        })
        .to_string(),
    );
    for (arguments, why) in [
        ("--type spdxjson --predicate broken.json", "cannot use the predicate broken.json"),
        ("--type spdxjson --predicate twice.json", "cannot use the predicate twice.json"),
        ("--type spdxjson --predicate absent.json", "absent.json"),
        ("--type bom --predicate broken.json", "bom"),
        ("--statement elsewhere.json", "not about"),
        ("--type spdxjson", "--predicate"),
    ] {
        world.run(&format!("attest {arguments} {image}")).ends(2).says(&[why]);
    }
    assert_eq!(world.log_size(), size);
}

#[test]
fn programs_judge_what_is_said() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    world.write("scan.json", r#"{"scanner": "trivy", "score": 3}"#);
    let kind = "--type https://example.com/scan";
    world.run(&format!("attest {kind} --predicate scan.json {image}")).ends(0);
    let by = world.by_release();
    for (name, accepts, refuses) in [
        ("p.cel", "predicate.score == 3", "predicate.score == 4"),
        (
            "p.rego",
            "package signature\nallow { input.predicate.score == 3 }",
            "package signature\nallow { input.predicate.score == 4 }",
        ),
        ("p.cue", "predicate: score: 3", "predicate: score: 4"),
    ] {
        let line = format!("verify-attestation {by} {kind} --policy {name} {image}");
        world.write(name, accepts);
        world.run(&line).ends(0);
        world.write(name, refuses);
        world.run(&line).ends(12).without_result().says(&[name]);
        world.write(name, "package {");
        world.run(&line).ends(2).without_result().says(&["cannot use the policy", name]);
    }
    // All of several must accept.
    world.write("yes.cel", "predicate.score == 3");
    world.write("no.cel", "predicate.scanner == 'grype'");
    let verify = |more: &str| world.run(&format!("verify-attestation {by} {kind} {more} {image}"));
    verify("--policy yes.cel --policy yes.cel").ends(0);
    verify("--policy yes.cel --policy no.cel").ends(12).without_result();
    verify("--policy yes.cel,no.cel").ends(12).without_result();
    verify("--policy absent.cel").ends(2).says(&["absent.cel"]);
    verify("--policy yes.txt").ends(2).says(&[".rego, .cel or .cue"]);
}

#[test]
fn all_must_hold_unless_any_suffices() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let kind = "--type https://example.com/scan";
    world.write("good.cel", "predicate.score == 3");
    let by = world.by_release();
    let verify = |which: &str| {
        let line = format!("verify-attestation {by} {kind} --policy good.cel {which} {image}");
        world.run(&line)
    };
    world.write("scan.json", r#"{"score": 3}"#);
    world.run(&format!("attest {kind} --predicate scan.json {image}")).ends(0);
    for which in ["", "--attestations any", "--attestations latest"] {
        verify(which).ends(0);
    }
    world.write("scan.json", r#"{"score": 9}"#);
    world.run(&format!("attest {kind} --predicate scan.json {image}")).ends(0);
    verify("").ends(12).without_result();
    verify("--attestations any").ends(0);
    // Of two in the same second neither is the earlier: both count as the last.
    verify("--attestations latest").ends(12).without_result();
    verify("--attestations some").ends(2).says(&["all", "any", "latest"]);
}

#[test]
fn an_attestation_can_be_written_without_being_attached() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let digest = world.digest(&image);
    world.write("note.json", r#"{"noted": true}"#);
    let attest = "attest --type https://example.com/note --predicate note.json --no-upload";
    let said = world.run(&format!("{attest} {image}")).ends(0);
    world.write("printed.json", &said.stdout);
    world.run(&format!("{attest} --bundle written.json {image}")).ends(0).without_result();
    let by = world.by_release();
    for bundle in ["printed.json", "written.json"] {
        let line = format!("verify-blob-attestation {by} --bundle {bundle}");
        let kind = "--type https://example.com/note";
        world.run(&format!("{line} {kind} {digest}")).ends(0);
        world.run(&format!("{line} {digest}")).ends(12);
    }
    let kind = "--type https://example.com/note";
    world.run(&format!("verify-attestation {by} {kind} {image}")).ends(10).without_result();
}

#[test]
fn cosigns_older_format_is_written_and_read() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    world.write("note.json", r#"{"noted": true}"#);
    let kind = "--type https://example.com/note";
    world.run(&format!("attest --formats both {kind} --predicate note.json {image}")).ends(0);
    let tree = world.run(&format!("tree {image}")).ends(0);
    tree.says(&["in attestation tag", "in referrers", "https://example.com/note"]);
    world.run(&format!("clean --type referrer -f {image}")).ends(0);
    let line = format!("verify-attestation {} {kind} {image}", world.by_release());
    assert_eq!(world.run(&line).ends(0).json_lines().len(), 1);
    world.run(&format!("clean --type attestation -f {image}")).ends(0);
    world.run(&line).ends(10).without_result();
}

/// Whoever may push can put an envelope into the manifest in which the wanted one is.
#[test]
fn what_lies_in_the_same_manifest_is_not_printed_for_it() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    let kind = "--type https://example.com/note";
    world.run("generate-key-pair --output-key-prefix stranger").ends(0);
    world.run("generate-key-pair --output-key-prefix team").ends(0);
    for (signer, noted) in [("stranger", "forged"), ("team", "first"), ("team", "second")] {
        world.write("note.json", format!(r#"{{"noted": "{noted}"}}"#));
        let how = format!("--key {signer}.key --formats cosign");
        world.run(&format!("attest {how} {kind} --predicate note.json {image}")).ends(0);
    }
    let wanted = format!("--key team.pub {kind} {image}");
    for (which, lines) in [("any", 1), ("all", 2)] {
        let line = format!("verify-attestation --attestations {which} {wanted}");
        let envelopes = world.run(&line).ends(0).json_lines();
        let noted: BTreeSet<String> = envelopes
            .iter()
            .map(|envelope| statement(envelope)["predicate"]["noted"].to_string())
            .collect();
        assert_eq!((envelopes.len(), noted.len()), (lines, lines), "{which}: {noted:?}");
        assert!(!noted.contains("\"forged\""), "{which}: {noted:?}");
    }
}

#[test]
fn a_large_document_is_named_by_its_digest() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    world.write("bom.json", r#"{"spdxVersion": "SPDX-2.3"}"#);
    let attest = "attest --type spdxjson --predicate bom.json --by-digest https://example.com/bom";
    world.run(&format!("{attest} {image}")).ends(0);
    let [envelope] = &world.run(&format!("download attestation {image}")).ends(0).json_lines()[..]
    else {
        panic!("one attestation")
    };
    let statement = statement(&envelope["dsseEnvelope"]);
    let predicate = statement["predicate"].to_string();
    let bom = hex::encode(crypto::sha256(world.read("bom.json").as_bytes()));
    assert!(predicate.contains(&bom) && predicate.contains("https://example.com/bom"));
    assert!(!predicate.contains("SPDX-2.3"), "{predicate}");
}

#[test]
fn a_new_attestation_replaces_those_of_its_type_and_no_other() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    world.write("note.json", r#"{"n": 1}"#);
    let (kind, other) = ("--type https://example.com/note", "--type https://example.com/other");
    let attest = |more: &str| world.run(&format!("attest --predicate note.json {more} {image}"));
    let count = |kind: &str| {
        let kind = kind.replace("--type", "--predicate-type");
        let said = world.run(&format!("download attestation {kind} {image}"));
        said.json_lines().len()
    };
    for format in ["bundle", "cosign"] {
        let format = format!("--formats {format}");
        attest(&format!("{kind} {format}")).ends(0);
        attest(&format!("{kind} {format}")).ends(0);
        attest(&format!("{other} {format}")).ends(0);
        world.run(&format!("sign {format} {image}")).ends(0);
        assert_eq!((count(kind), count(other)), (2, 1), "{format}");
        attest(&format!("{kind} {format} --replace")).ends(0);
        assert_eq!((count(kind), count(other)), (1, 1), "{format}");
        world.run(&format!("verify {} {image}", world.by_release())).ends(0);
        world.run(&format!("verify-attestation {} {kind} {image}", world.by_release())).ends(0);
        world.run(&format!("clean -f {image}")).ends(0);
    }
    // What is in another format than those written stays; with both, both go.
    attest(&format!("{kind} --formats both")).ends(0);
    attest(&format!("{kind} --formats bundle --replace")).ends(0);
    assert_eq!(count(kind), 2);
    attest(&format!("{kind} --formats both --replace")).ends(0);
    assert_eq!(count(kind), 2);
    // Without being attached it replaces nothing.
    attest(&format!("{kind} --replace --no-upload")).ends(0);
    assert_eq!(count(kind), 2);
}

#[test]
fn nothing_is_signed_where_it_cannot_be_told_what_is_replaced() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    world.write("note.json", "{}");
    let lists = format!("/v2/acme/app/referrers/{}", world.digest(&image));
    world.registry.inject(FaultRule::new(lists, Fault::Status(StatusCode::FORBIDDEN)));
    let size = world.log_size();
    let attest = "attest --type https://example.com/note --predicate note.json --replace";
    let said = world.run(&format!("{attest} {image}")).ends(3).without_result();
    said.says(&["it cannot be told which attestations", "are to be replaced"]);
    assert_eq!(world.log_size(), size);
}

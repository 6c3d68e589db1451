//! `bundle create` and `bundle upgrade`: what older clients kept becomes a bundle of today.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::world::World;

/// A signed file, with what Cosign kept of it before v3: its bundle for blobs, and loose files. The
/// log is of version 1.
fn older(world: &World) -> Value {
    world.write("file.txt", "a file");
    world.run("sign-blob --log-version 1 --bundle now.json file.txt").ends(0);
    let bundle: Value = serde_json::from_str(&world.read("now.json")).unwrap();
    let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
    let certificate = &bundle["verificationMaterial"]["certificate"]["rawBytes"];
    let pem = pem(certificate.as_str().unwrap());
    let signature = &bundle["messageSignature"]["signature"];
    let number = |name: &str| entry[name].as_str().unwrap().parse::<u64>().unwrap();
    let log_id = STANDARD.decode(entry["logId"]["keyId"].as_str().unwrap()).unwrap();
    let blob = json!({
        "base64Signature": signature,
        "cert": STANDARD.encode(&pem),
        "rekorBundle": {
            "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            "Payload": {
                "body": entry["canonicalizedBody"],
                "integratedTime": number("integratedTime"),
                "logIndex": number("logIndex"),
                "logID": hex::encode(log_id),
            },
        },
    });
    world.write("blob.json", blob.to_string());
    world.write("file.sig", signature.as_str().unwrap());
    world.write("file.pem", pem);
    blob
}

fn pem(der: &str) -> String {
    let lines: Vec<_> =
        der.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn verified(world: &World, bundle: &str) -> bool {
    let kind: Value = serde_json::from_str(&world.read(bundle)).unwrap();
    assert_eq!(kind["mediaType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
    let entry = &kind["verificationMaterial"]["tlogEntries"][0];
    assert!(entry["inclusionProof"]["checkpoint"]["envelope"].is_string(), "{kind}");
    let line = format!("verify-blob {} --bundle {bundle} file.txt", world.by_release());
    world.run(&line).ends(0);
    true
}

#[test]
fn older_bundles_are_proven_by_the_log_that_has_them() {
    let world = World::new();
    let blob = older(&world);
    let log = format!("--rekor-url {}", world.url());
    let size = world.log_size();
    let said = world.run(&format!("bundle upgrade {log} --out up.json blob.json")).ends(0);
    said.without_result().says(&["Cosign blob signature: 1 proofs added", "up.json"]);
    assert!(verified(&world, "up.json"));
    let upgraded: Value = serde_json::from_str(&world.read("up.json")).unwrap();
    assert_eq!(upgraded["messageSignature"]["messageDigest"]["algorithm"], "SHA2_256");
    // A bundle v0.1, whose entry comes with the promise alone.
    let mut v01: Value = serde_json::from_str(&world.read("now.json")).unwrap();
    v01["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1".into();
    let entry = &mut v01["verificationMaterial"]["tlogEntries"][0];
    entry.as_object_mut().unwrap().remove("inclusionProof");
    world.write("v01.json", v01.to_string());
    let said = world.run(&format!("bundle upgrade {log} v01.json")).ends(0);
    world.write("printed.json", &said.stdout);
    assert!(verified(&world, "printed.json"));
    // What is there already needs nobody.
    let nobody = "--rekor-url http://127.0.0.1:1";
    let said = world.run(&format!("bundle upgrade {nobody} --out same.json now.json")).ends(0);
    said.says(&["a bundle v0.3 already"]);
    assert!(verified(&world, "same.json"));
    // Nothing is written that is not proven.
    let said = world.run(&format!("bundle upgrade {nobody} --out no.json blob.json")).ends(3);
    said.says(&["error: http://127.0.0.1:1 could not be asked"]);
    let mut wrong = blob.clone();
    wrong["rekorBundle"]["Payload"]["logIndex"] = 99.into();
    world.write("wrong.json", wrong.to_string());
    let said = world.run(&format!("bundle upgrade {log} --out no.json wrong.json")).ends(1);
    said.says(&["has no entry 99", "--rekor-url"]);
    world.write("second.txt", "another file");
    world.run("sign-blob --log-version 1 --bundle second.json second.txt").ends(0);
    wrong["rekorBundle"]["Payload"]["logIndex"] = 1.into();
    world.write("wrong.json", wrong.to_string());
    let said = world.run(&format!("bundle upgrade {log} --out no.json wrong.json")).ends(1);
    said.says(&["entry 1 of this log is another one", "--rekor-url"]);
    world.run(&format!("bundle upgrade {log} file.txt")).ends(2).says(&["is no bundle"]);
    assert!(!world.path("no.json").exists());
    assert_eq!(world.log_size(), size + 1, "nothing was logged but what was signed");
}

#[test]
fn loose_files_become_a_bundle() {
    let world = World::new();
    older(&world);
    let size = world.log_size();
    let log = format!("--rekor-url {}", world.url());
    let create = |more: &str| world.run(&format!("bundle create {log} --artifact file.txt {more}"));
    create("--signature file.sig --certificate file.pem --out made.json").ends(0);
    assert!(verified(&world, "made.json"));
    let said = create("--bundle blob.json").ends(0);
    world.write("printed.json", &said.stdout);
    assert!(verified(&world, "printed.json"));
    assert_eq!(world.log_size(), size, "nothing was logged");

    for (arguments, code, why) in [
        ("--signature file.sig", 2, "--certificate"),
        ("--certificate file.pem", 2, "--signature"),
        ("--bundle blob.json --ignore-tlog", 2, "--ignore-tlog"),
        ("--signature file.txt --certificate file.pem", 2, "not of this key"),
        ("--signature absent.sig --certificate file.pem", 2, "absent.sig"),
        ("--signature file.sig --certificate file.sig", 2, "certificate"),
    ] {
        create(arguments).ends(code).without_result().says(&[why]);
    }
    world.write("file.txt", "another file");
    create("--signature file.sig --certificate file.pem").ends(2).says(&["not of this key over"]);
    // Never logged: the log has been asked.
    world.run("generate-key-pair").ends(0);
    world.write("file.txt", "a file");
    create("--signature file.sig --key cosign.pub").ends(2).says(&["not of this key"]);
}

#[test]
fn a_signature_of_a_key_that_was_never_logged_needs_a_word() {
    let world = World::new();
    world.write("file.txt", "a file");
    world.run("generate-key-pair").ends(0);
    world.run("sign-blob --log-version 1 --key cosign.key --bundle now.json file.txt").ends(0);
    let bundle: Value = serde_json::from_str(&world.read("now.json")).unwrap();
    world.write("file.sig", bundle["messageSignature"]["signature"].as_str().unwrap());
    let log = format!("--rekor-url {}", world.url());
    let files = "--artifact file.txt --signature file.sig --key cosign.pub";
    world.run(&format!("bundle create {log} {files} --out made.json")).ends(0);
    world.run("verify-blob --key cosign.pub --bundle made.json file.txt").ends(0);
    // Another log has no such entry.
    let other = World::new();
    for name in ["file.txt", "file.sig", "cosign.pub"] {
        other.write(name, world.read(name));
    }
    let log = format!("--rekor-url {}", other.url());
    let said = other.run(&format!("bundle create {log} {files}")).ends(1).without_result();
    said.says(&["has no entry for this signature", "--ignore-tlog"]);
    let said = other.run(&format!("bundle create {files} --ignore-tlog")).ends(0);
    let made: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(made["verificationMaterial"]["tlogEntries"], json!([]));
    assert_eq!(made["messageSignature"], bundle["messageSignature"]);
}

/// A bundle that names neither artifact nor key is none that Cosign takes.
#[test]
fn what_names_nothing_is_not_upgraded() {
    let world = World::new();
    world.write("file.txt", "a file");
    world.run("generate-key-pair").ends(0);
    world.run("sign-blob --log-version 1 --key cosign.key --bundle now.json file.txt").ends(0);
    let bundle: Value = serde_json::from_str(&world.read("now.json")).unwrap();
    let signature = &bundle["messageSignature"]["signature"];
    world.write("old.json", json!({"base64Signature": signature}).to_string());
    let said = world.run("bundle upgrade --out no.json old.json").ends(2).without_result();
    let hint = "--artifact FILE --bundle old.json --key cosign.pub --ignore-tlog";
    said.says(&["the bundle has no log entry", hint]);
    // Nor one of today's that never said it.
    let mut bare = bundle.clone();
    bare["verificationMaterial"].as_object_mut().unwrap().remove("tlogEntries").unwrap();
    bare["messageSignature"].as_object_mut().unwrap().remove("messageDigest").unwrap();
    world.write("bare.json", bare.to_string());
    let said = world.run("bundle upgrade --out no.json bare.json").ends(2).without_result();
    said.says(&["nothing else says what was signed"]);
    assert!(!world.path("no.json").exists());
    // What the hint says makes one that names both.
    let line = hint.replace("FILE", "file.txt");
    world.run(&format!("bundle create {line} --out made.json")).ends(0);
    let made: Value = serde_json::from_str(&world.read("made.json")).unwrap();
    assert_eq!(made["messageSignature"], bundle["messageSignature"]);
    let hint = &made["verificationMaterial"]["publicKey"]["hint"];
    assert_eq!(hint, &bundle["verificationMaterial"]["publicKey"]["hint"]);
}

#[test]
fn an_attestation_becomes_a_bundle_if_it_is_about_the_artifact() {
    let world = World::new();
    world.write("file.txt", "a file");
    world.write("note.json", r#"{"noted": true}"#);
    let kind = "--type https://example.com/note";
    let attest = "attest-blob --log-version 1 --predicate note.json --bundle now.json";
    world.run(&format!("{attest} {kind} file.txt")).ends(0);
    let bundle: Value = serde_json::from_str(&world.read("now.json")).unwrap();
    world.write("envelope.json", bundle["dsseEnvelope"].to_string());
    let der = &bundle["verificationMaterial"]["certificate"]["rawBytes"];
    world.write("file.pem", pem(der.as_str().unwrap()));
    let log = format!("--rekor-url {}", world.url());
    let files = "--attestation envelope.json --certificate file.pem";
    let create = format!("bundle create {log} --artifact file.txt {files} --out made.json");
    world.run(&create).ends(0);
    let by = world.by_release();
    let verify = format!("verify-blob-attestation {by} {kind} --bundle made.json file.txt");
    world.run(&verify).ends(0);
    let given = create.replace("envelope.json", "now.json");
    world.run(&given).ends(2).says(&["now.json is a bundle already", "bundle upgrade"]);
    world.write("file.txt", "another file");
    world.run(&create).ends(2).says(&["it is about sha256:"]);
}

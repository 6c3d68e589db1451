//! `coverage` and `explain`.

use axum::http::StatusCode;
use devkit::{Fault, FaultRule};
use serde_json::{Value, json};

use super::world::{RELEASE, Said, World};

const OTHER: &str = "https://github.com/acme/app/.github/workflows/other.yml@refs/heads/main";

fn statuses(document: &Value) -> Vec<(String, String)> {
    assert_eq!(document["schema"], "countersign.dev/coverage/v1");
    let images = document["images"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    images.map(|row| (text(&row["image"]), text(&row["status"]))).collect()
}

#[test]
fn every_image_is_told_with_its_signatures() {
    let world = World::new();
    let (signed, unsigned) = (world.push("acme/app", "signed"), world.push("acme/app", "unsigned"));
    world.run(&format!("sign --formats both {signed}")).ends(0);
    let coverage = |more: &str| world.run(&format!("coverage {more}"));
    let row = |image: &str, status: &str| (image.to_owned(), status.to_owned());

    let said = coverage(&format!("-o json {signed}")).ends(0).json();
    assert_eq!(statuses(&said), [row(&signed, "signed")]);
    let signatures = said["images"][0]["signatures"].as_array().unwrap();
    assert_eq!(signatures.len(), 2, "each format is told: {said}");
    for signature in signatures {
        assert_eq!(signature["subject"], RELEASE);
        assert_eq!(signature["issuer"], world.issuer.url());
        assert!(signature["logEntries"][0].as_str().unwrap().contains("entry"), "{signature}");
    }
    let said = coverage(&format!("{signed} {unsigned} {signed}")).ends(10);
    said.says(&["2 images: 1 signed, 0 untrusted, 1 unsigned, 0 could not be told"]);
    let said = coverage(&format!("-o json {} {signed}", world.by(OTHER))).ends(12).json();
    assert_eq!(statuses(&said), [row(&signed, "untrusted")]);
    coverage(&format!("{} {signed}", world.by_release())).ends(0);
    // Half a signer is none: nobody else's signature may count.
    for half in [
        "--certificate-github-workflow-ref refs/heads/other".to_owned(),
        format!("--certificate-identity {OTHER}"),
    ] {
        coverage(&format!("{half} {signed}")).ends(2).without_result();
    }
    // What cannot be told outweighs the rest, and the rest is told all the same.
    let absent = signed.replace(":signed", ":absent");
    let said = coverage(&format!("-o json {signed} {absent} {unsigned}")).ends(3).json();
    let wanted = [row(&signed, "signed"), row(&absent, "unknown"), row(&unsigned, "unsigned")];
    assert_eq!(statuses(&said), wanted);
}

/// What was not looked at is not told as if it had not been there.
#[test]
fn what_is_done_without_is_told() {
    let world = World::new();
    let image = world.push("acme/app", "key");
    world.run("generate-key-pair").ends(0);
    world.run(&format!("sign --key cosign.key {image}")).ends(0);
    let said = world.run(&format!("coverage -o json --key cosign.pub {image}")).ends(0).json();
    assert_eq!(said["images"][0]["signatures"][0].get("waived"), None, "{said}");
    let line = format!("coverage --key cosign.pub --insecure-ignore-tlog {image}");
    // Nobody answers there, so no log is known.
    let run = |line: &str| {
        let output = world.command(line).env("TUF_MIRROR", "http://127.0.0.1:9").output().unwrap();
        Said::new(line, &output).ends(0)
    };
    run(&line).says(&["waived  log inclusion: not known"]);
    let said = run(&format!("{line} -o json")).json();
    assert_eq!(said["images"][0]["signatures"][0]["waived"], json!(["log-inclusion"]), "{said}");
}

#[test]
fn images_come_from_lists_manifests_and_repositories() {
    let world = World::new();
    let (signed, unsigned) = (world.push("acme/app", "signed"), world.push("acme/app", "unsigned"));
    world.run(&format!("sign --formats both {signed}")).ends(0);
    let counted = "2 images: 1 signed, 0 untrusted, 1 unsigned";
    world.write("list", format!("# ours\n{signed}\n\n  {unsigned}\n"));
    world.run("coverage --file list").ends(10).says(&[counted]);
    let list = world.read("list");
    world.run_fed("coverage -f -", list.as_bytes()).ends(10).says(&[counted]);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app"},
        "spec": {"containers": [{"name": "app", "image": signed}],
            "initContainers": [{"name": "first", "image": unsigned}]},
    });
    world.write("pod.yaml", format!("---\n{pod}\n---\napiVersion: v1\nkind: Namespace\n"));
    world.run("coverage --file pod.yaml").ends(10).says(&[counted]);
    // The tags of the signature are no images.
    let repository = format!("{}/acme/app", world.registry.address());
    world.run(&format!("coverage --repository {repository}")).ends(10).says(&[counted]);
    world.write("wrong", "image: [\n");
    world.run("coverage --file wrong").ends(2).says(&["wrong", "one image on each line"]);
    world.run("coverage --file absent").ends(2).says(&["absent"]);
    world.run("coverage").ends(2).says(&["IMAGE"]);
    let tags = "/v2/acme/app/tags/list";
    world.registry.inject(FaultRule::new(tags, Fault::Status(StatusCode::FORBIDDEN)));
    let said = world.run(&format!("coverage --repository {repository}")).ends(3);
    said.says(&["cannot be listed", "forbids"]);
}

/// Nothing was looked at, so nothing is covered.
#[test]
fn an_empty_list_is_no_success() {
    let world = World::new();
    world.write("list", "# nothing yet\n");
    world.run("coverage --file list").ends(2).says(&["no image"]);
    world.write("namespace.yaml", "apiVersion: v1\nkind: Namespace\n");
    world.run("coverage --file namespace.yaml").ends(2).says(&["no image"]);
}

#[test]
fn explained_is_who_signed_and_which_flags_would_accept_it() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    world.run(&format!("explain {image}")).ends(10).says(&["no signature was found"]);
    world.run(&format!("sign {image}")).ends(0);
    // That somebody signed is no verification.
    let said = world.run(&format!("explain {image}")).ends(12);
    let said = said.says(&[RELEASE, "log inclusion", "timestamp", "nobody was named"]);
    assert!(!said.stdout.contains("verified"), "{}", said.stdout);
    let named = format!("explain {} {image}", world.by_release());
    world.run(&named).ends(0).says(&["verified"]);
    let said = world.run(&format!("explain {} {image}", world.by(OTHER))).ends(12);
    said.says(&[RELEASE, OTHER, "--certificate-identity"]);
    let document = world.run(&format!("explain -o json {image}")).ends(12).json();
    assert_eq!(document["verdict"], "signed");
    assert!(!document["explanations"].as_array().unwrap().is_empty());
    // A bundle and its file.
    world.write("app.tar", "the application");
    world.write("other.tar", "another one");
    world.run("sign-blob --bundle b.json app.tar").ends(0);
    world.run("explain --bundle b.json app.tar").ends(12).says(&[RELEASE, "nobody was named"]);
    world.run("explain --bundle b.json other.tar").ends(12).says(&["another artifact"]);
    world.run("explain --bundle absent.json app.tar").ends(2).says(&["absent.json"]);
}

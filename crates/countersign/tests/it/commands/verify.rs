//! `verify`, and what goes for every command: how long, how much, and where to.

use std::time::Instant;

use axum::http::StatusCode;
use devkit::{Fault, FaultRule};
use serde_json::{Value, json};

use super::world::{RELEASE, Said, World};

const OTHER: &str = "https://github.com/acme/app/.github/workflows/other.yml@refs/heads/main";

/// A world with a signed and an unsigned image.
fn signed() -> (World, String, String) {
    let world = World::new();
    let (signed, unsigned) = (world.push("acme/app", "signed"), world.push("acme/app", "unsigned"));
    world.run(&format!("sign {signed}")).ends(0);
    (world, signed, unsigned)
}

#[test]
fn programs_get_what_cosign_prints_and_only_when_all_is_verified() {
    let (world, signed, unsigned) = signed();
    let by = world.by_release();
    let said = world.run(&format!("verify {by} {signed}")).ends(0).says(&["verified"]);
    let digest = world.digest(&signed);
    assert_eq!(
        said.json(),
        json!([{
            "critical": {
                "identity": {"docker-reference": signed},
                "image": {"docker-manifest-digest": digest},
                "type": "https://sigstore.dev/cosign/sign/v1",
            },
            "optional": {"Issuer": world.issuer.url(), "Subject": RELEASE},
        }])
    );
    // What is for people stands beside it.
    assert!(said.stderr.starts_with("verified "), "{}", said.stderr);
    // Beside a digest the tag says nothing.
    let reference = |said: &Value| said[0]["critical"]["identity"]["docker-reference"].clone();
    let said = world.run(&format!("verify {by} {signed}@{digest}")).ends(0).json();
    let name = signed.rsplit_once(':').unwrap().0;
    assert_eq!(reference(&said), format!("{name}@{digest}"));
    // The older format says itself which name was signed.
    let older = world.push("acme/app", "older");
    let given = "--formats cosign --sign-container-identity proxy.example/app";
    world.run(&format!("sign {given} {older}")).ends(0);
    let said = world.run(&format!("verify {by} {older}")).ends(0).json();
    assert_eq!(reference(&said), "proxy.example/app");
    // A part must not be taken for the whole.
    let said = world.run(&format!("verify {by} {signed} {unsigned}")).ends(10).without_result();
    said.says(&["no signature was found", &unsigned]);
    let text = world.run(&format!("verify {by} -o text {signed}")).ends(0);
    assert!(text.stdout.starts_with("verified ") && text.stderr.is_empty(), "{}", text.stderr);
    let both = world.push("acme/app", "both");
    world.run(&format!("sign {both}")).ends(0);
    let said = world.run(&format!("verify {by} {signed} {both}")).ends(0).json();
    assert_eq!(said.as_array().unwrap().len(), 2);
}

#[test]
fn the_exit_code_tells_unsigned_from_untrusted_from_not_told() {
    let (world, signed, unsigned) = signed();
    let (by, by_other) = (world.by_release(), world.by(OTHER));
    world.run(&format!("verify {by} {signed}")).ends(0);
    world.run(&format!("verify {by} {unsigned}")).ends(10).without_result();
    let said = world.run(&format!("verify {by_other} {signed}")).ends(12).without_result();
    said.says(&["signed by somebody else", OTHER, RELEASE]);
    let elsewhere = format!("--certificate-identity {RELEASE} --certificate-oidc-issuer https://x");
    world.run(&format!("verify {elsewhere} {signed}")).ends(12).without_result();
    // The worst of several is told.
    world.run(&format!("verify {by_other} {unsigned} {signed}")).ends(12);
    let absent = signed.replace(":signed", ":absent");
    world.run(&format!("verify {by} {absent}")).ends(3).without_result();
    for usage in [
        format!("verify {signed}"),
        format!("verify --certificate-identity {RELEASE} {signed}"),
        format!("verify --certificate-oidc-issuer https://x {signed}"),
        format!("verify --certificate-github-workflow-ref refs/heads/main {signed}"),
        format!("verify {by} --key cosign.pub {signed}"),
        format!("verify {by} UPPER"),
        format!("verify --key absent.pub {signed}"),
    ] {
        world.run(&usage).ends(2).without_result();
    }
    // Whether there is more cannot be told.
    let digest = world.digest(&unsigned);
    let lists = format!("/v2/acme/app/referrers/{digest}");
    world.registry.inject(FaultRule::new(lists, Fault::Status(StatusCode::FORBIDDEN)));
    let said = world.run(&format!("verify {by} {unsigned}")).ends(3).without_result();
    said.says(&["could not tell", "forbidden"]);
}

#[test]
fn a_registry_that_is_down_says_nothing_about_signatures() {
    let (world, signed, _) = signed();
    let digest = world.digest(&signed);
    let name = signed.rsplit_once(':').unwrap().0;
    world.registry.inject(FaultRule::new("*", Fault::Status(StatusCode::SERVICE_UNAVAILABLE)));
    for image in [signed.clone(), format!("{name}@{digest}")] {
        let line = format!("verify -t 2s {} {image}", world.by_release());
        world.run(&line).ends(3).without_result();
    }
    // A port that nobody listens on.
    let nowhere = format!("127.0.0.1:1/acme/app@{digest}");
    let line = format!("verify -t 2s {} {nowhere}", world.by_release());
    world.run(&line).ends(3).without_result().says(&["127.0.0.1:1"]);
}

#[test]
fn an_attestation_counts_unless_a_signature_is_wanted() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    world.write("note.json", r#"{"noted": true}"#);
    let predicate = "--type https://example.com/note --predicate note.json";
    world.run(&format!("attest {predicate} {image}")).ends(0);
    let by = world.by_release();
    world.run(&format!("verify {by} {image}")).ends(0);
    let line = format!("verify {by} --signature-only {image}");
    world.run(&line).ends(12).without_result();
    world.run(&format!("sign {image}")).ends(0);
    world.run(&line).ends(0);
}

#[test]
fn a_policy_file_decides_alone() {
    let (world, signed, unsigned) = signed();
    let policy = |subject: &str| {
        format!(
            "version: 1\nrequirements:\n- name: released\n  signers:\n  - issuer: {}\n    subject: \
             {subject}\n",
            world.issuer.url()
        )
    };
    world.write("good.yaml", policy(RELEASE));
    world.write("other.yaml", policy(OTHER));
    world.write("wrong.yaml", policy(RELEASE).replace("requirements", "requirement"));
    let verify = |more: &str| world.run(&format!("verify --policy-file {more}"));
    verify(&format!("good.yaml {signed}")).ends(0);
    verify(&format!("good.yaml {unsigned}")).ends(10).without_result();
    let said = verify(&format!("other.yaml {signed}")).ends(12).without_result();
    let line = format!("{{issuer: \"{}\", subject: \"{RELEASE}\"}}", world.issuer.url());
    let said = said.says(&["under `signers`: - ", &line]);
    // It names no flag that cannot stand beside a policy file, and what it names is right.
    assert!(!said.stderr.contains("--certificate-identity"), "{}", said.stderr);
    world.write("hinted.yaml", policy(OTHER) + &format!("  - {line}\n"));
    verify(&format!("hinted.yaml {signed}")).ends(0);
    let said = verify(&format!("other.yaml --explain {signed}")).ends(12);
    let told = said.stdout + &said.stderr;
    assert!(told.contains("among the policy's `signers`"), "{told}");
    assert!(!told.contains("--certificate-identity"), "{told}");
    verify(&format!("wrong.yaml {signed}")).ends(2).says(&["wrong.yaml", "requirement"]);
    // What would otherwise be passed over in silence.
    for beside in [
        world.by_release().as_str(),
        "--key cosign.pub",
        "--certificate-github-workflow-ref refs/heads/main",
        "-a env=prod",
        "--signature-only",
        "--signature good.yaml",
        "--certificate good.yaml",
    ] {
        let said = verify(&format!("good.yaml {beside} {signed}")).ends(2).without_result();
        said.says(&["--policy-file"]);
    }
}

#[test]
fn a_folder_with_an_oci_layout_is_verified_without_any_registry() {
    let (world, signed, _) = signed();
    let blobs = "layout/blobs/sha256";
    std::fs::create_dir_all(world.path(blobs)).unwrap();
    world.write("layout/oci-layout", r#"{"imageLayoutVersion": "1.0.0"}"#);
    let put = |bytes: &[u8]| {
        let digest = evidence::Digest::sha256(bytes);
        world.write(&format!("{blobs}/{}", digest.hex()), bytes);
    };
    let manifest = |digest: &str| {
        let bytes = world.registry.manifest("acme/app", digest).unwrap();
        put(&bytes);
        (serde_json::from_slice::<Value>(&bytes).unwrap(), bytes.len())
    };
    let fetch = |digest: &str| {
        let path = format!("/v2/acme/app/blobs/{digest}");
        let answer = crate::wire::exchange(world.registry.address(), "GET", &path, &[], b"");
        put(&answer.unwrap().wanted(200).body);
    };
    let image = world.digest(&signed);
    let (_, size) = manifest(&image);
    let tree = world.run(&format!("tree -o json {signed}")).ends(0).json();
    let attachment = &tree["attachments"][0];
    // A referrer that the index does not name, as Cosign saves them.
    let (referrer, _) = manifest(attachment["manifest"].as_str().unwrap());
    fetch(attachment["digest"].as_str().unwrap());
    fetch(referrer["config"]["digest"].as_str().unwrap());
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let descriptor = json!({"mediaType": media_type, "digest": image, "size": size});
    let index = json!({"schemaVersion": 2, "manifests": [descriptor]});
    world.write("layout/index.json", index.to_string());

    world.registry.clear_requests();
    let verify = |by: &str| world.run(&format!("verify --local-image {by} layout"));
    let shown = verify(&world.by_release()).ends(0).json();
    assert_eq!(shown[0]["critical"]["image"]["docker-manifest-digest"], image);
    assert_eq!(shown[0]["critical"]["identity"]["docker-reference"], "", "a folder has no name");
    verify(&world.by(OTHER)).ends(12).without_result();
    assert_eq!(world.registry.requests().len(), 0);
    // Evidence that was altered is none; an image that was altered is another one.
    let bundle = format!("{blobs}/{}", attachment["digest"].as_str().unwrap().split_at(7).1);
    let honest = world.read(&bundle);
    world.write(&bundle, honest.replace("payloadType", "payloadtype"));
    assert_ne!(verify(&world.by_release()).stdout, "[]");
    let refused = verify(&world.by_release());
    assert!(refused.stdout.is_empty(), "{}", refused.stdout);
    world.write(&bundle, honest);
    let hex = image.split_at(7).1;
    world.write(&format!("{blobs}/{hex}"), "{}");
    let said = verify(&world.by_release()).ends(3).without_result();
    said.says(&["cannot be read"]);
    world.run(&format!("verify --local-image {} absent", world.by_release())).ends(3);
}

#[test]
fn explained_each_check_is_told() {
    let (world, signed, _) = signed();
    let said = world.run(&format!("verify {} --explain {signed}", world.by(OTHER))).ends(12);
    let document = said.json();
    assert_eq!(document["schema"], "countersign.dev/verdict/v1");
    assert_eq!(document["verdict"], "refuse");
    assert!(!document["explanations"].as_array().unwrap().is_empty(), "{document}");
    let said = world.run(&format!("verify {} --explain -o text {signed}", world.by_release()));
    said.ends(0).says(&["log inclusion", "ok"]);
}

#[test]
fn a_deadline_is_kept_and_cannot_be_told_is_said() {
    let (world, signed, _) = signed();
    world.registry.inject(FaultRule::new("/v2/acme/app/*", Fault::Hang));
    let line = format!("verify {} {signed}", world.by_release());
    let began = Instant::now();
    world.run(&format!("{line} -t 1s")).ends(3).without_result().says(&["before the deadline"]);
    world.run_with(&line, &[("COSIGN_TIMEOUT", "1s")]).ends(3).without_result();
    // Each was to take a second; the rule would let them wait for three minutes.
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    world.run(&format!("{line} -t 0s")).ends(2).says(&["no time at all"]);
    world.run(&format!("{line} -t soon")).ends(2).says(&["90s"]);
}

#[test]
fn the_result_can_go_into_a_file() {
    let (world, signed, _) = signed();
    let line = format!("verify {} {signed}", world.by_release());
    let shown = world.run(&line).ends(0).stdout;
    world.run(&format!("{line} --output-file out.json")).ends(0).without_result();
    assert_eq!(world.read("out.json"), shown);
    for (place, problem) in [
        ("absent/out.json", "there is no directory absent"),
        ("out.json/x", "out.json is no directory"),
        ("home", "it is a directory"),
    ] {
        let said = world.run(&format!("{line} --output-file {place}")).ends(2).without_result();
        said.says(&[&format!("cannot write {place}: {problem}"), "hint:"]);
        // A name of our own beside it would tell nobody anything.
        let said = world.run(&format!("policy suggest {signed} --out {place}")).ends(2);
        said.says(&[&format!("cannot write {place}: {problem}"), "hint:"]);
    }
    // Nobody has a result that was not written.
    #[cfg(target_os = "linux")]
    world.run(&format!("{line} --output-file /dev/full")).ends(1).says(&["cannot write /dev/full"]);
}

/// What stands in an error helps whoever gets it.
#[test]
fn what_is_not_there_and_what_is_no_image_is_said() {
    let (world, signed, unsigned) = signed();
    let by = world.by_release();
    let verify = |image: &str| world.run(&format!("verify {by} {image}"));
    let absent = signed.replace(":signed", ":absent");
    verify(&absent).ends(3).says(&["cannot be looked up", "check how it is written"]);
    let name = signed.rsplit_once(':').unwrap().0;
    let digest = evidence::Digest::sha256(b"nothing").to_string();
    let said = verify(&format!("{name}@{digest}")).ends(10).without_result();
    said.says(&["there is nothing with this digest in the registry"]);
    let digest = world.digest(&unsigned);
    let said = verify(&format!("{name}@{digest}")).ends(10).without_result();
    said.says(&["if an index names it, that may be what is signed"]);
    let said = verify(&format!("{name}@{}", &digest[..60])).ends(2);
    assert_eq!(said.stderr.matches("another length").count(), 1, "{}", said.stderr);
    for scheme in ["https://", "docker://"] {
        verify(&format!("{scheme}{signed}")).ends(2).says(&["without", scheme]);
    }
    // Nobody listens there, and something else by that name is here.
    std::fs::create_dir_all(world.path("127.0.0.1:3")).unwrap();
    world.write("127.0.0.1:3/app", "");
    verify("127.0.0.1:3/app").ends(3).says(&["verify-blob"]);
    std::fs::create_dir_all(world.path("127.0.0.1:3/layout")).unwrap();
    world.write("127.0.0.1:3/layout/oci-layout", "{}");
    verify("127.0.0.1:3/layout").ends(3).says(&["--local-image"]);
    // Credentials that are missing say nothing about signatures, and how to come by them is said.
    let lists = format!("/v2/acme/app/referrers/{digest}");
    world.registry.inject(FaultRule::new(lists, Fault::Status(StatusCode::FORBIDDEN)));
    let said = verify(&unsigned).ends(3).without_result();
    said.says(&["ask for access"]);
    assert!(!verify(&unsigned).stderr.contains("no signature was found"));
}

/// Before any trust root, mirror or registry is asked.
#[test]
fn a_wrong_policy_file_is_told_first() {
    let world = World::new();
    world.write("wrong.yaml", "version: 1\nrequirement: []\n");
    world.write(
        "names.yaml",
        "version: 1\nrequirements:\n- name: x\n  signers: [{key: {file: absent.pub}}]\n",
    );
    let alone = |line: &str| {
        let mut command = world.command(line);
        // A mirror that cannot be asked, and would be.
        command.env("TUF_MIRROR", "http://127.0.0.1:1").env("TUF_ROOT_JSON", "absent.json");
        Said::new(line, &command.output().unwrap())
    };
    for line in [
        "verify --policy-file wrong.yaml 127.0.0.1:1/app",
        "policy check wrong.yaml",
        "policy test wrong.yaml cases.yaml",
    ] {
        alone(line).ends(2).says(&["cannot use the policy file wrong.yaml", "requirement"]);
    }
    // So is a bundle that there is nothing in.
    world.write("empty", "");
    world.write("app.tar", "the application");
    let by = world.by_release();
    alone(&format!("explain --bundle empty {by} app.tar")).ends(2).says(&["empty is empty"]);
    alone(&format!("explain --bundle absent {by} app.tar")).ends(2).says(&["absent"]);
    alone(&format!("verify-blob --bundle empty {by} app.tar")).ends(2).says(&["empty is empty"]);
    let line = format!("verify-blob-attestation --bundle empty {by} app.tar");
    alone(&line).ends(2).says(&["empty is empty"]);
    alone("verify --policy-file absent.yaml 127.0.0.1:1/app").ends(2).says(&["absent.yaml"]);
    alone("policy test names.yaml cases.yaml").ends(2).says(&["names.yaml"]);
    alone("coverage UPPER").ends(2).says(&["UPPER"]);
    alone("coverage --repository UPPER").ends(2).says(&["UPPER"]);
}

/// One request for the tag, three for the lists; a manifest and a bundle for each referrer, which
/// nothing can stand in for: a list is not believed, and only the manifest names the bundle.
#[test]
fn all_of_five_referrers_are_read_in_fourteen_requests() {
    let (world, image, _) = signed();
    for _ in 1..5 {
        world.run(&format!("sign {image}")).ends(0);
    }
    let count = |more: &str| {
        world.registry.clear_requests();
        world.run(&format!("verify {} {more} {image}", world.by_release())).ends(0);
        let requests = world.registry.requests();
        let line =
            |request: &devkit::RecordedRequest| format!("{} {}", request.method, request.path);
        let lines: std::collections::BTreeSet<_> = requests.iter().map(line).collect();
        assert_eq!(lines.len(), requests.len(), "something was asked for twice: {requests:#?}");
        requests.len()
    };
    assert_eq!(count("--explain"), 14);
    assert_eq!(count(""), 8, "the first two suffice");
}

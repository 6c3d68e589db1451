//! `sign-blob`, `verify-blob`, `attest-blob` and `verify-blob-attestation`.

use super::world::{Said, World};

const OTHER: &str = "https://github.com/acme/app/.github/workflows/other.yml@refs/heads/main";

fn sha256(text: &str) -> String {
    hex::encode(crypto::sha256(text.as_bytes()))
}

/// A mirror that is down would otherwise be what is told.
#[test]
fn a_key_that_is_not_there_is_told_before_anybody_is_asked() {
    let world = World::new();
    world.write("app.tar", "the application");
    let line = "sign-blob --yes --key absent.key --bundle b.json app.tar";
    let mut command = world.command(line);
    command.env("TUF_MIRROR", "http://127.0.0.1:1");
    let said = Said::new(line, &command.output().unwrap());
    said.ends(2).says(&["cannot read the private key absent.key"]);
}

#[test]
fn a_file_is_signed_and_no_other() {
    let world = World::new();
    world.write("app.tar", "the application");
    world.write("other.tar", "another one");
    world.run("sign-blob --bundle b.json app.tar").ends(0).says(&["signed app.tar", "b.json"]);
    let by = world.by_release();
    let verify = |more: &str| world.run(&format!("verify-blob --bundle b.json {more}"));
    verify(&format!("{by} app.tar")).ends(0).says(&["verified app.tar"]);
    verify(&format!("{by} sha256:{}", sha256("the application"))).ends(0);
    verify(&format!("{by} other.tar")).ends(12).says(&["not verified other.tar"]);
    verify(&format!("{by} sha256:{}", sha256("another one"))).ends(12);
    verify(&format!("{} app.tar", world.by(OTHER))).ends(12).says(&[OTHER]);
    verify("app.tar").ends(2).says(&["nobody is named", "--certificate-identity"]);
    verify(&format!("{by} absent.tar")).ends(2).says(&["absent.tar"]);
    verify(&format!("{by} sha256:12")).ends(2).says(&["./sha256:12"]);
    world.run(&format!("verify-blob --bundle absent.json {by} app.tar")).ends(2);
    let json = verify(&format!("{by} -o json app.tar")).ends(0).json();
    assert_eq!(json["verdict"], "admit");
    let json = verify(&format!("{} -o json app.tar", world.by(OTHER))).ends(12).json();
    assert_eq!(json["verdict"], "refuse");
    // From standard input, both ways.
    world.run_fed("sign-blob --bundle fed.json -", b"fed").ends(0);
    let line = format!("verify-blob --bundle fed.json {by} -");
    world.run_fed(&line, b"fed").ends(0);
    world.run_fed(&line, b"other").ends(12);
    // Without the instance's trust nobody is believed.
    let line = format!("verify-blob --bundle b.json {by} --offline app.tar");
    world.run_alone(&line).ends(12);
}

#[test]
fn evidence_that_was_altered_is_none() {
    let world = World::new();
    world.write("app.tar", "the application");
    world.run("sign-blob --bundle b.json app.tar").ends(0);
    let bundle = world.read("b.json");
    let line = format!("verify-blob --bundle altered.json {} app.tar", world.by_release());
    for (from, to) in [
        ("\"messageSignature\"", "\"messageSignatur\""),
        ("\"logIndex\":\"0\"", "\"logIndex\":\"1\""),
        ("\"signature\":\"ME", "\"signature\":\"MF"),
    ] {
        let bundle = bundle.replace(": ", ":");
        assert!(bundle.contains(from), "{from} is not in {bundle}");
        world.write("altered.json", bundle.replace(from, to));
        world.run(&line).ends(12);
    }
    world.write("altered.json", "");
    world.run(&line).ends(2).says(&["the bundle altered.json is empty"]);
    world.write("altered.json", &bundle);
    world.run(&line).ends(0);
}

#[test]
fn nothing_is_logged_that_cannot_be_kept() {
    let world = World::new();
    world.write("app.tar", "the application");
    world.write("note.json", r#"{"noted": true}"#);
    std::fs::create_dir(world.path("folder")).unwrap();
    std::fs::hard_link(world.path("app.tar"), world.path("same.tar")).unwrap();
    let size = world.log_size();
    for command in
        ["sign-blob", "attest-blob --type https://example.com/note --predicate note.json"]
    {
        let run = |more: &str| world.run(&format!("{command} {more}"));
        run("--bundle app.tar app.tar").ends(2).says(&["over the file that it is about"]);
        run("--bundle ./folder/../app.tar app.tar").ends(2).says(&["over the file"]);
        run("--bundle absent/b.json app.tar").ends(2).says(&["cannot write absent/b.json"]);
        run("--bundle folder app.tar").ends(2).says(&["cannot write folder", "directory"]);
        run("--bundle b.json absent.tar").ends(2).says(&["absent.tar"]);
        run("--bundle b.json folder").ends(2).says(&["folder"]);
        run("app.tar").ends(2).says(&["--bundle"]);
    }
    assert_eq!(world.log_size(), size);
    assert_eq!(world.read("app.tar"), "the application");
    assert!(!world.path("b.json").exists());
    // Nothing else was left behind.
    let left = std::fs::read_dir(world.path("")).unwrap();
    let left: Vec<_> = left.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    assert!(left.iter().all(|name| !name.starts_with(".countersign-")), "{left:?}");
    #[cfg(target_os = "linux")]
    world.run("sign-blob --bundle /dev/full app.tar").ends(2).says(&["cannot write /dev/full"]);
}

#[test]
fn a_key_signs_a_file() {
    let world = World::new();
    world.write("app.tar", "the application");
    world.write("other.tar", "another one");
    world.run("generate-key-pair").ends(0);
    world.run("generate-key-pair --output-key-prefix other").ends(0);
    world.run("sign-blob --key cosign.key --bundle b.json app.tar").ends(0);
    world.run("verify-blob --key cosign.pub --bundle b.json app.tar").ends(0);
    world.run("verify-blob --key cosign.pub --bundle b.json other.tar").ends(12);
    let said = world.run("verify-blob --key other.pub --bundle b.json app.tar").ends(12);
    let said = said.says(&["a signature with another key than this one", "check that --key"]);
    assert!(!said.stdout.contains("entry 0"), "{}", said.stdout);
    let by = world.by_release();
    world.run(&format!("verify-blob {by} --bundle b.json app.tar")).ends(12);
}

/// Nobody is certified for what cannot be signed.
#[test]
fn a_file_that_cannot_be_read_gets_no_certificate() {
    let world = World::new();
    let certificates = || String::from_utf8(world.get("/ct/checkpoint")).unwrap();
    let before = certificates();
    for absent in ["absent.tar", "data"] {
        let said = world.run(&format!("sign-blob --bundle b.json {absent}")).ends(2);
        said.says(&["cannot read the file", absent]);
    }
    assert_eq!(certificates().lines().nth(1), before.lines().nth(1));
}

/// Services that are down are asked in rounds with pauses, but not beyond the time that was given.
#[test]
fn signing_takes_no_longer_than_it_may() {
    let world = World::new();
    world.write("app.tar", "the application");
    world.run("generate-key-pair").ends(0);
    let (root, down) = ("data/public/trusted_root.json", "http://127.0.0.1:1");
    let line = format!(
        "sign-blob -t 1s --key cosign.key --trusted-root {root} --fulcio-url {down} \
         --rekor-url {down} --bundle b.json app.tar"
    );
    world.run_alone(&line).ends(1).says(&["127.0.0.1:1", " and 1 round;"]);
    assert!(!world.path("b.json").exists());
}

#[test]
fn an_attestation_about_a_file_is_of_its_type() {
    let world = World::new();
    world.write("app.tar", "the application");
    world.write("other.tar", "another one");
    world.write("bom.json", r#"{"spdxVersion": "SPDX-2.3"}"#);
    let hex = sha256("the application");
    let attest = "attest-blob --type spdxjson --predicate bom.json --bundle a.json";
    world.run(&format!("{attest} app.tar")).ends(0).says(&["signed app.tar"]);
    let by = world.by_release();
    let verify =
        |more: &str| world.run(&format!("verify-blob-attestation {by} --bundle a.json {more}"));
    let good = |file: &str| verify(&format!("--type spdxjson {file}"));
    good("app.tar").ends(0).says(&["https://spdx.dev/Document"]);
    good("other.tar").ends(12);
    good(&format!("--digest {hex} --digestAlg sha256")).ends(0);
    good(&format!("--digest {} --digestAlg sha256", sha256("another one"))).ends(12);
    good("--digest 12 --digestAlg sha256").ends(2).says(&["cannot use the digest"]);
    good(&format!("--digest {hex}")).ends(2).says(&["--digestAlg"]);
    good("").ends(2).says(&["FILE_OR_DIGEST"]);
    verify("--type cyclonedx app.tar").ends(12);
    verify("app.tar").ends(12);
    world.write("p.cel", "predicate.spdxVersion == 'SPDX-2.3'");
    good("--policy p.cel app.tar").ends(0);
    world.write("p.cel", "predicate.spdxVersion == 'SPDX-3.0'");
    good("--policy p.cel app.tar").ends(12);
    // About a file that is elsewhere.
    world.run(&format!("{attest} --hash {hex}")).ends(0);
    good("app.tar").ends(0);
    let wrong = sha256("another one");
    world.run(&format!("{attest} --hash {wrong} app.tar")).ends(2).says(&["--hash says", &hex]);
    world.run(&format!("{attest} --hash 12")).ends(2).says(&["--hash 12"]);
}

//! What stands in files instead of beside an image: its signature, the signer's certificate, a CT log's
//! promise, and the hash that was signed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::{KeyKind, Scheme};
use serde_json::Value;
use testkit::certificate::SctDraft;
use testkit::clock::CERTIFIED_FROM;
use testkit::{Key, Scene};

use super::world::{Said, World};

/// What Cosign's signature tag holds of an image, in files: payload, signature, and certificate
/// where there is one. The tag is gone then.
fn detach(world: &World, image: &str, signing: &str) {
    world.run(&format!("sign --formats cosign {signing} {image}")).ends(0);
    let line = world.run(&format!("download signature {image}")).ends(0).json_lines().remove(0);
    let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
    world.write("payload.json", STANDARD.decode(text("Payload")).unwrap());
    world.write("s.txt", text("Base64Signature"));
    world.write("s.raw", STANDARD.decode(text("Base64Signature")).unwrap());
    world.write("s.pem", text("Cert"));
    world.write("promise.json", line["Bundle"].to_string());
    world.run(&format!("clean -f --type signature {image}")).ends(0);
}

#[test]
fn a_signature_in_files_stands_in_place_of_those_beside_the_image() {
    let world = World::new();
    for keys in ["", "--output-key-prefix other"] {
        world.run(&format!("generate-key-pair {keys}")).ends(0);
    }
    let image = world.push("acme/app", "v1");
    let other = world.push("acme/app", "v2");
    detach(&world, &image, "--key cosign.key");
    let verify = |more: &str| {
        world.run(&format!("verify --insecure-ignore-tlog --payload payload.json {more}"))
    };
    world.run(&format!("verify --key cosign.pub {image}")).ends(10);
    let signature = world.read("s.txt");
    for file in ["s.txt", "s.raw", signature.as_str()] {
        let said = verify(&format!("--signature {file} --key cosign.pub {image}")).ends(0);
        said.says(&["waived  log inclusion"]);
        let said = verify(&format!("--signature {file} --key cosign.pub {other}")).ends(12);
        said.says(&["another artifact"]);
        verify(&format!("--signature {file} --key other.pub {image}")).ends(12).without_result();
    }
    // No log is searched for it, as Cosign does.
    let line = format!("verify --payload payload.json --signature s.txt --key cosign.pub {image}");
    world.run(&line).ends(12).says(&["in no transparency log"]);
    // What is beside the image is not looked at: neither what is good there, nor anything at all.
    world.run(&format!("sign --key other.key {image}")).ends(0);
    let digest = image.replace(":v1", &format!("@{}", world.digest(&image)));
    world.registry.clear_requests();
    verify(&format!("--signature s.txt --key other.pub {digest}")).ends(12);
    verify(&format!("--signature s.txt --key cosign.pub {digest}")).ends(0);
    assert_eq!(world.registry.requests().len(), 0);
    // In a folder too.
    world.run(&format!("save --dir saved {image}")).ends(0);
    verify("--local-image --signature s.txt --key cosign.pub saved").ends(0);
    world.run(&format!("save --dir saved-other {other}")).ends(0);
    verify("--local-image --signature s.txt --key cosign.pub saved-other").ends(12);

    // Without a payload the one that Cosign makes is meant, which is the one that we sign.
    let unasked = "verify --insecure-ignore-tlog --signature s.txt --key cosign.pub";
    world.run(&format!("{unasked} {image}")).ends(0).says(&["no --payload"]);
    world.run(&format!("{unasked} {other}")).ends(12);
    let said = world.run(&format!("{unasked} --local-image saved")).ends(2);
    said.says(&["an image in a folder has no name"]);

    let payload = world.read("payload.json");
    world.write("payload.json", payload.replace("cosign container", "cosign  container"));
    verify(&format!("--signature s.txt --key cosign.pub {image}")).ends(12);
    for (wrong, words) in [
        (format!("--payload payload.json --key cosign.pub {image}"), "--signature"),
        (format!("--signature s.txt --recursive --key cosign.pub {image}"), "about one image"),
        (format!("--signature absent --key cosign.pub {image}"), "not a signature in base64"),
    ] {
        world.run(&format!("verify {wrong}")).ends(2).says(&[words]);
    }
    world.write("empty", "");
    let said = world.run(&format!("verify --signature empty --key cosign.pub {image}")).ends(2);
    said.says(&["the signature empty is empty"]);
}

#[test]
fn only_signatures_of_the_certificate_count_that_is_named() {
    let world = World::new();
    let image = world.push("acme/app", "v1");
    detach(&world, &image, "");
    // Without its certificate nobody knows whose it is.
    let files = "--payload payload.json --signature s.txt --rekor-response promise.json";
    world.run(&format!("attach signature {files} {image}")).ends(0);
    let by = world.by_release();
    world.run(&format!("verify {by} {image}")).ends(12);
    world.run(&format!("verify {by} --certificate s.pem {image}")).ends(0);
    world.write("s.b64", STANDARD.encode(world.read("s.pem")));
    world.run(&format!("verify {by} --cert s.b64 {image}")).ends(0);
    // It is checked as one beside the image: who it names, and that this one is wanted.
    let other = world.by("https://github.com/acme/app/other");
    let said = world.run(&format!("verify {other} --certificate s.pem {image}")).ends(12);
    said.says(&["by somebody else"]);
    // Another certificate of the same signer's.
    world.write("first.pem", world.read("s.pem"));
    world.write("first.txt", world.read("s.txt"));
    let elsewhere = world.push("acme/elsewhere", "v1");
    detach(&world, &elsewhere, "");
    let line = format!("verify {by} --insecure-ignore-tlog --signature first.txt {image}");
    world.run(&format!("{line} --certificate first.pem")).ends(0);
    let said = world.run(&format!("{line} --certificate s.pem")).ends(12);
    said.says(&["the signature does not verify", "--certificate"]);
    world.run(&format!("verify {by} --certificate s.pem {image}")).ends(12).without_result();
    // Whatever certificates signatures bring along themselves.
    world.run(&format!("sign {image}")).ends(0);
    world.run(&format!("verify {by} {image}")).ends(0);
    world.run(&format!("verify {by} --certificate s.pem {image}")).ends(12).without_result();
    world.run(&format!("verify {by} --certificate first.pem {image}")).ends(0);
    world.run(&format!("save --dir saved {image}")).ends(0);
    world.run(&format!("verify --local-image {by} --certificate first.pem saved")).ends(0);
    world.run(&format!("verify --local-image {by} --certificate s.pem saved")).ends(12);
    // Of attestations too.
    world.write("note.json", r#"{"noted": true}"#);
    let noted = "--type https://example.com/note";
    world.run(&format!("attest {noted} --predicate note.json {image}")).ends(0);
    let attested =
        |more: &str| world.run(&format!("verify-attestation {noted} {by} {more} {image}"));
    attested("").ends(0);
    attested("--certificate first.pem").ends(12).without_result();

    for (wrong, words) in [
        ("--certificate absent.pem", "absent.pem"),
        ("--certificate payload.json", "cannot use the certificate payload.json"),
        ("--sct promise.json", "--certificate"),
        ("--certificate first.pem --sct promise.json", "not what a CT log answers with"),
    ] {
        world.run(&format!("verify {by} {wrong} {image}")).ends(2).says(&[words]);
    }
    world.run("generate-key-pair").ends(0);
    let said = world.run(&format!("verify {by} --certificate cosign.pub {image}")).ends(2);
    said.says(&["a public key is given with --key"]);
    let said = world.run(&format!("verify --key cosign.pub --certificate s.pem {image}")).ends(2);
    said.says(&["cannot be used with"]);
}

/// A scene's signature over a file in Cosign's older bundle, under its own trust root.
fn seal(world: &World, scene: &Scene) -> String {
    let (bundle, root) = scene.seal_blob();
    world.write("old.json", bundle.to_string());
    world.write("root.json", root.to_string());
    world.write("app.tar", &scene.artifact);
    let (subject, issuer) = (&scene.wanted_subject, &scene.wanted_issuer);
    format!("--certificate-identity {subject} --certificate-oidc-issuer {issuer}")
}

#[test]
fn a_ct_logs_promise_may_stand_beside_the_certificate() {
    let world = World::new();
    let scene = Scene::v1().on_certificate(|certificate| certificate.scts.clear());
    let by = seal(&world, &scene);
    let bundle: Value = serde_json::from_str(&world.read("old.json")).unwrap();
    let pem = STANDARD.decode(bundle["cert"].as_str().unwrap()).unwrap();
    let (_, der) = crypto::pem::decode(&pem).unwrap();
    let instance = &scene.instance;
    let promise = SctDraft::new(&instance.ct_key, &instance.authorities[0].spki, CERTIFIED_FROM);
    world.write("sct.json", promise.answer(&der).to_string());
    world.write("other.json", promise.answer(b"another certificate").to_string());
    let line = format!("verify-blob {by} --trusted-root root.json --bundle old.json app.tar");
    let verify = |more: &str| world.run_alone(&line.replace("app.tar", &format!("{more} app.tar")));
    verify("").ends(12).says(&["no trusted certificate transparency log"]);
    let said = verify("--sct sct.json").ends(0);
    assert!(!said.stdout.contains("waived"), "{}", said.stdout);
    let wrong = "certificate transparency timestamp does not verify";
    verify("--sct other.json").ends(12).says(&[wrong]);
    verify("--sct other.json --insecure-ignore-sct").ends(12).says(&[wrong]);
    verify("--insecure-ignore-sct").ends(0).says(&["waived  certificate transparency"]);
    verify("--sct app.tar").ends(2).says(&["cannot use the certificate timestamp app.tar"]);
    // A bundle has it in the certificate.
    world.write("b.json", scene.seal().bundle_json());
    let line = line.replace("old.json", "b.json --sct sct.json");
    world.run_alone(&line).ends(2).says(&["holds all of it", "--sct"]);
}

#[test]
fn a_signature_over_another_hash_than_usual_is_taken_by_name() {
    let world = World::new();
    let key = Key::named("signer", KeyKind::Rsa { bits: 3072 });
    world.write("rsa.pub", key.public().to_pem());
    world.write("app.tar", "the application");
    world.write("app.sig", key.sign_with(Scheme::RsaPkcs1Sha512, b"the application"));
    let line = "verify-blob --insecure-ignore-tlog --key rsa.pub --signature app.sig";
    let verify = |more: &str| -> Said {
        let mut command = world.command(&format!("{line} {more} app.tar"));
        // Nobody answers there.
        Said::new(line, &command.env("TUF_MIRROR", "http://127.0.0.1:9").output().unwrap())
    };
    verify("").ends(12).says(&["the signature does not verify"]);
    verify("--signature-digest-algorithm sha512").ends(0);
    verify("--signature-digest-algorithm SHA512").ends(0);
    verify("--signature-digest-algorithm sha384").ends(12);
    world.write("usual.sig", key.sign_with(Scheme::RsaPkcs1Sha256, b"the application"));
    let usual = line.replace("app.sig", "usual.sig");
    world.run(&format!("{usual} --signature-digest-algorithm sha512 app.tar")).ends(0);
    verify("--signature-digest-algorithm sha224").ends(2).says(&["SHA-224 is not supported"]);
    verify("--signature-digest-algorithm md5").ends(2).says(&["sha256, sha384, sha512"]);
    world.write("app.tar", "another one");
    verify("--signature-digest-algorithm sha512").ends(12);

    // Of an image.
    let image = world.push("acme/app", "v1");
    let digest = world.digest(&image).parse().unwrap();
    let payload = evidence::cosign::SimpleSigning::payload(&digest, "any", &Default::default());
    world.write("p.sig", key.sign_with(Scheme::RsaPkcs1Sha512, &payload));
    world.write("payload.json", payload);
    let line = format!(
        "verify --insecure-ignore-tlog --key rsa.pub --signature p.sig --payload payload.json {image}"
    );
    world.run(&line).ends(12);
    world.run(&format!("{line} --signature-digest-algorithm sha512")).ends(0);
}

/// A company's own authority certifies without any identity provider.
#[test]
fn authorities_that_are_named_may_vouch_without_a_provider() {
    let world = World::new();
    let scene = Scene::v1().on_certificate(|certificate| {
        certificate.remove("1.3.6.1.4.1.57264.1.1");
        certificate.remove("1.3.6.1.4.1.57264.1.8");
    });
    let by = seal(&world, &scene);
    let root: Value = serde_json::from_str(&world.read("root.json")).unwrap();
    let chain = root["certificateAuthorities"][0]["certChain"]["certificates"].as_array().unwrap();
    let pem = |it: &Value| {
        let der = STANDARD.decode(it["rawBytes"].as_str().unwrap()).unwrap();
        crypto::pem::encode("CERTIFICATE", &der)
    };
    world.write("chain.pem", chain.iter().map(pem).collect::<String>());
    let (identity, _) = by.split_once(" --certificate-oidc-issuer").unwrap();
    let verify = |more: &str| {
        let line = "verify-blob --trusted-root root.json --bundle old.json";
        world.run_alone(&format!("{line} {identity} {more} app.tar"))
    };
    let anybody = "--certificate-oidc-issuer-regexp .*";
    let named = "--certificate-chain chain.pem";
    let said = verify(&format!("{anybody} {named}")).ends(0);
    said.says(&["note: certificates need not name", "it names no identity provider"]);
    // Not unless somebody names the authorities, and not where a provider is wanted.
    let nobody = "does not say which identity provider";
    verify(anybody).ends(12).says(&[nobody]);
    verify(&format!("--certificate-oidc-issuer-regexp .+ {named}")).ends(12).says(&[nobody]);
    verify(&format!("--certificate-oidc-issuer {} {named}", scene.wanted_issuer)).ends(12);
    // Nor anybody else.
    let line = format!(
        "verify-blob --trusted-root root.json --bundle old.json {anybody} {named} \
         --certificate-identity https://example.com/other app.tar"
    );
    world.run_alone(&line).ends(12).says(&["by somebody else", "no identity provider is named"]);
    // Who it was is said where nobody is named.
    let line = format!("explain --trusted-root root.json --bundle old.json {named} app.tar");
    world.run_alone(&line).ends(12).says(&["signed app.tar", "it names no identity provider"]);
}

//! What a verification can do without, what it can want on top, and whom else it can trust.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::tuf::{Draft, ROLES};
use testkit::{Scene, certificate};

use super::initialize::{LATE, Mirror};
use super::world::World;

/// Nobody answers there: whoever asks for a trust root gets none.
const NO_MIRROR: (&str, &str) = ("TUF_MIRROR", "http://127.0.0.1:9");

fn pem(label: &str, base64: &Value) -> String {
    let der = STANDARD.decode(base64.as_str().unwrap()).unwrap();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// Certificates of an authority in the instance's trusted root, each as PEM.
fn chain_of(world: &World, authority: &str) -> Vec<String> {
    let root: Value = serde_json::from_slice(&world.get("/trusted_root.json")).unwrap();
    let certificates = root[authority][0]["certChain"]["certificates"].as_array().unwrap();
    certificates.iter().map(|it| pem("CERTIFICATE", &it["rawBytes"])).collect()
}

/// Signs a file, and gives the bundle.
fn signed(world: &World, more: &str) -> Value {
    world.write("app.tar", "the application");
    world.run(&format!("sign-blob --bundle b.json {more} app.tar")).ends(0);
    serde_json::from_str(&world.read("b.json")).unwrap()
}

fn material(bundle: &mut Value) -> &mut serde_json::Map<String, Value> {
    bundle["verificationMaterial"].as_object_mut().unwrap()
}

impl World {
    /// Runs it where no instance is known and no mirror answers.
    fn run_without_trust(&self, line: &str) -> super::world::Said {
        let mut command = self.command(line);
        command.env(NO_MIRROR.0, NO_MIRROR.1);
        super::world::Said::new(line, &command.output().unwrap())
    }
}

#[test]
fn a_key_without_a_log_needs_no_trust_root() {
    let world = World::new();
    world.run("generate-key-pair").ends(0);
    world.run("generate-key-pair --output-key-prefix other").ends(0);
    let mut bundle = signed(&world, "--key cosign.key");
    material(&mut bundle).remove("tlogEntries").unwrap();
    material(&mut bundle).remove("timestampVerificationData");
    world.write("b.json", bundle.to_string());
    world.write("other.tar", "another one");
    let line = "verify-blob --bundle b.json --key cosign.pub app.tar";
    world.run(line).ends(12).says(&["in no transparency log", "--insecure-ignore-tlog"]);
    world.run_without_trust(line).ends(2).says(&["no root for the mirror"]);
    for flag in
        ["--insecure-ignore-tlog", "--private-infrastructure", "--insecure-ignore-tlog=true"]
    {
        let verify = |rest: &str| {
            let line = format!("verify-blob --bundle b.json {flag} {rest}");
            world.run_without_trust(&line)
        };
        let told = ["warning: no transparency log is asked for", "waived  log inclusion"];
        verify("--key cosign.pub app.tar").ends(0).says(&told);
        verify("--key cosign.pub other.tar").ends(12).says(&["another artifact"]);
        verify("--key other.pub app.tar").ends(12).says(&["the signature does not verify"]);
        let wanted = "no trusted timestamp authority";
        let line = format!(
            "verify-blob --bundle b.json {flag} --use-signed-timestamps --key cosign.pub app.tar"
        );
        world.run(&line).ends(12).says(&[wanted, "--use-signed-timestamps"]);
    }
    let line = "verify-blob --bundle b.json --insecure-ignore-tlog=false --key cosign.pub app.tar";
    world.run(line).ends(12);
    let line = "verify-blob --private-infrastructure --bundle b.json --key cosign.pub app.tar";
    world.run(line).ends(0).says(&["note:", "old name of --insecure-ignore-tlog"]);

    let line =
        "verify-blob --bundle b.json --insecure-ignore-tlog --key cosign.pub -o json app.tar";
    let verdict = world.run(line).ends(0).json();
    assert_eq!(verdict["grounds"][0]["waived"], json!(["log-inclusion"]));
    let lines = verdict["explanations"][0]["lines"].as_array().unwrap();
    let log: Vec<_> = lines.iter().filter(|line| line["check"] == "log-inclusion").collect();
    assert_eq!((log.len(), &log[0]["outcome"]), (1, &json!("waived")));
    let line = "explain --bundle b.json --insecure-ignore-tlog --key cosign.pub app.tar";
    world.run_without_trust(line).ends(0).says(&["!!  log inclusion", "which is waived"]);
}

#[test]
fn a_certificate_without_a_log_is_judged_at_its_timestamp_or_now() {
    let world = World::new();
    let mut bundle = signed(&world, "");
    material(&mut bundle).insert("tlogEntries".to_owned(), json!([]));
    world.write("b.json", bundle.to_string());
    let by = world.by_release();
    let verify = |rest: &str| world.run(&format!("verify-blob --bundle b.json {rest} app.tar"));
    verify(&by).ends(12).says(&["in no transparency log"]);
    verify(&format!("{by} --insecure-ignore-tlog")).ends(0).says(&["seen  ", "warning:"]);
    verify(&format!("{by} --insecure-ignore-tlog --use-signed-timestamps")).ends(0);
    let other = world.by("https://github.com/acme/app/other");
    verify(&format!("{other} --insecure-ignore-tlog")).ends(12).says(&["by somebody else"]);
    // Nobody stamped it either: the certificate is valid now, for some minutes.
    material(&mut bundle).remove("timestampVerificationData").unwrap();
    world.write("b.json", bundle.to_string());
    let said = verify(&format!("{by} --insecure-ignore-tlog")).ends(0);
    let said = said.says(&["known only where a timestamp or a log of the trust root tells"]);
    said.says(&["judged  as of ", "waived  log inclusion", "waived  time"]);
    verify(&format!("{by} --insecure-ignore-tlog --use-signed-timestamps")).ends(12);
    verify(&format!("{other} --insecure-ignore-tlog")).ends(12);
}

#[test]
fn what_no_ct_log_promised_is_accepted_on_request() {
    let world = World::new();
    signed(&world, "");
    let mut root: Value = serde_json::from_slice(&world.get("/trusted_root.json")).unwrap();
    root["ctlogs"] = json!([]);
    world.write("root.json", root.to_string());
    let by = world.by_release();
    let line = format!("verify-blob --bundle b.json --trusted-root root.json {by} app.tar");
    world.run_alone(&line).ends(12).says(&["--insecure-ignore-sct"]);
    let said = world.run_alone(&line.replace("--bundle", "--insecure-ignore-sct --bundle")).ends(0);
    said.says(&["warning: no certificate transparency", "waived  certificate transparency"]);
    let line = line
        .replace(".yml@refs", ".yml@others")
        .replace("--bundle", "--insecure-ignore-sct --bundle");
    world.run_alone(&line).ends(12).says(&["by somebody else"]);
}

#[test]
fn an_image_is_verified_by_a_key_alone() {
    let world = World::new();
    world.run("generate-key-pair").ends(0);
    let image = world.push("acme/app", "v1");
    world.run(&format!("sign --key cosign.key {image}")).ends(0);
    let unsigned = world.push("acme/app", "v2");
    let line = format!("verify --key cosign.pub {image}");
    world.run_without_trust(&line).ends(2).says(&["no root for the mirror"]);
    let line = format!("verify --key cosign.pub --insecure-ignore-tlog {image}");
    world.run_without_trust(&line).ends(0).says(&["warning:", "waived  log inclusion"]);
    world.run_without_trust(&line.replace(&image, &unsigned)).ends(10);
    let line = format!(
        "verify-attestation --type https://sigstore.dev/cosign/sign/v1 --key cosign.pub \
         --insecure-ignore-tlog {image}"
    );
    world.run_without_trust(&line).ends(0);
    // What a policy file says is all that counts.
    world.write("policy.yaml", "");
    for flag in ["--insecure-ignore-tlog", "--insecure-ignore-sct", "--use-signed-timestamps"] {
        let line = format!("verify --policy-file policy.yaml {flag} {image}");
        world.run(&line).ends(2).says(&["beside --policy-file"]);
    }
    let certificates = chain_of(&world, "timestampAuthorities").concat();
    world.write("tsa.pem", certificates);
    world.write("root.pem", chain_of(&world, "certificateAuthorities").last().unwrap());
    for flag in [
        "--timestamp-certificate-chain tsa.pem",
        "--ca-roots root.pem",
        "--certificate-chain root.pem",
    ] {
        let line = format!("verify --policy-file policy.yaml {flag} {image}");
        let said = world.run(&line).ends(2);
        said.says(&["named by certificates beside --policy-file", "trusted-root create"]);
    }
    for flag in ["--insecure-ignore-tlog", "--timestamp-certificate-chain tsa.pem"] {
        let line = format!("policy suggest {flag} {image}");
        world.run(&line).ends(2).says(&["policy file says no such thing"]);
    }
}

#[test]
fn authorities_are_named_by_their_certificates() {
    let world = World::new();
    // Another instance, which is there before anything is signed.
    let elsewhere = World::new();
    let strange = chain_of(&elsewhere, "certificateAuthorities");
    world.write("strange.pem", strange.concat());
    world.write("strange-tsa.pem", chain_of(&elsewhere, "timestampAuthorities").concat());
    signed(&world, "");
    let chain = chain_of(&world, "certificateAuthorities");
    let (root, issuing) = chain.split_last().unwrap();
    world.write("root.pem", root);
    world.write("issuing.pem", issuing.concat());
    world.write("chain.pem", chain.concat());
    let stamps = chain_of(&world, "timestampAuthorities");
    world.write("tsa.pem", stamps.concat());
    let by = world.by_release();
    let verify =
        |flags: &str| world.run(&format!("verify-blob --bundle b.json {by} {flags} app.tar"));
    verify("--ca-roots root.pem --ca-intermediates issuing.pem").ends(0);
    verify("--certificate-chain chain.pem").ends(0);
    // Who names a trust root besides, by a flag or a variable, is told what of it counts.
    let config = world.path("data/public/trust_config.json");
    let replaced = |what: &str, file: &str, by: &str| {
        format!("note: {what} authorities of {file} replaced by {by}")
    };
    verify("--ca-roots root.pem --ca-intermediates issuing.pem").ends(0).says(&[&replaced(
        "certificate",
        config.to_str().unwrap(),
        "those of root.pem",
    )]);
    world.write("root.json", world.get("/trusted_root.json"));
    let line = format!(
        "verify-blob --bundle b.json {by} --trusted-root root.json --certificate-chain chain.pem \
         --timestamp-certificate-chain tsa.pem app.tar"
    );
    world.run_alone(&line).ends(0).says(&[
        &replaced("certificate", "root.json", "those of chain.pem"),
        &replaced("timestamp", "root.json", "that of tsa.pem"),
    ]);
    let line = line.replace("chain chain.pem", "chain strange.pem");
    world.run_alone(&line).ends(12);
    verify("--timestamp-certificate-chain tsa.pem").ends(0).says(&["by tsa.pem"]);
    for flags in ["--ca-roots strange.pem", "--certificate-chain strange.pem"] {
        verify(flags).ends(12).says(&["does not chain to the authority it names"]);
    }
    verify("--timestamp-certificate-chain strange-tsa.pem").ends(12);
    for (flags, words) in [
        ("--ca-intermediates issuing.pem", "--ca-roots"),
        ("--ca-roots root.pem --certificate-chain chain.pem", "cannot be used with"),
        ("--ca-roots app.tar", "there is no certificate in the file"),
        ("--ca-roots absent.pem", "absent.pem"),
        ("--ca-roots root.pem --ca-intermediates strange.pem", "leads to none of the roots"),
        ("--timestamp-certificate-chain chain.pem", "chain.pem"),
    ] {
        verify(flags).ends(2).says(&[words]);
    }
    // Nothing of an instance is left to know.
    let line = format!(
        "verify-blob --bundle b.json {by} --certificate-chain chain.pem --insecure-ignore-tlog \
         --insecure-ignore-sct --timestamp-certificate-chain tsa.pem app.tar"
    );
    world.run_without_trust(&line).ends(0).says(&["by tsa.pem"]);
    let line = line.replace("--insecure-ignore-sct", "");
    world.run_without_trust(&line).ends(2).says(&["no root for the mirror"]);
}

#[test]
fn a_chain_in_a_bundle_leads_to_a_root_on_request() {
    let world = World::new();
    let mut bundle = signed(&world, "");
    let chain = chain_of(&world, "certificateAuthorities");
    world.write("root.pem", chain.last().unwrap());
    let root: Value = serde_json::from_slice(&world.get("/trusted_root.json")).unwrap();
    let issuing = root["certificateAuthorities"][0]["certChain"]["certificates"][0].clone();
    let leaf = material(&mut bundle).remove("certificate").unwrap();
    let brought = json!({"certificates": [leaf, issuing]});
    material(&mut bundle).insert("x509CertificateChain".to_owned(), brought);
    world.write("b.json", bundle.to_string());
    let by = world.by_release();
    let verify =
        |flags: &str| world.run(&format!("verify-blob --bundle b.json {by} {flags} app.tar"));
    verify("").ends(12).says(&["not a chain", "--allow-certificate-chain"]);
    verify("--allow-certificate-chain")
        .ends(0)
        .says(&["warning: authorities that a bundle brings"]);
    verify("--ca-roots root.pem").ends(12);
    verify("--ca-roots root.pem --allow-certificate-chain").ends(0);
}

#[test]
fn single_files_stand_for_a_bundle() {
    let world = World::new();
    let mut bundle = signed(&world, "");
    let signature = bundle["messageSignature"]["signature"].as_str().unwrap().to_owned();
    let material = material(&mut bundle);
    world.write("b.sig", format!("{signature}\n"));
    world.write("raw.sig", STANDARD.decode(&signature).unwrap());
    world.write("b.pem", pem("CERTIFICATE", &material["certificate"]["rawBytes"]));
    let stamps = &material["timestampVerificationData"]["rfc3161Timestamps"];
    let stamp = json!({"SignedRFC3161Timestamp": stamps[0]["signedTimestamp"]});
    world.write("b.stamp", stamp.to_string());
    world.write("old.json", json!({"base64Signature": signature}).to_string());
    world.write("other.tar", "another one");
    let by = world.by_release();
    let verify = |flags: &str| world.run(&format!("verify-blob {by} {flags}"));
    let beside = "--certificate b.pem --rfc3161-timestamp b.stamp --insecure-ignore-tlog";
    for alone in ["--signature b.sig", "--signature raw.sig", "--bundle old.json"] {
        verify(&format!("{alone} {beside} app.tar")).ends(0).says(&["waived  log inclusion"]);
        verify(&format!("{alone} {beside} other.tar")).ends(12);
        let strict = format!("{alone} --use-signed-timestamps {beside} app.tar");
        verify(&strict).ends(0);
        verify(&strict.replace("--rfc3161-timestamp b.stamp", "")).ends(12);
        verify(&format!("{alone} {beside} app.tar").replace("--insecure-ignore-tlog", ""))
            .ends(12)
            .says(&["in no transparency log"]);
        verify(&format!("{alone} --insecure-ignore-tlog app.tar")).ends(12).says(&["--key"]);
    }
    verify(&format!("--signature {signature} {beside} app.tar")).ends(0);
    let timestamp = "--rfc3161-timestamp b.stamp --insecure-ignore-tlog app.tar";
    verify(&format!("--signature b.sig --certificate b.sig {timestamp}")).ends(12);
    verify("app.tar").ends(2).says(&["--bundle"]);
    verify(&format!("--bundle b.json {beside} app.tar")).ends(2).says(&["holds all of it"]);
    verify("--bundle b.json --signature b.sig app.tar").ends(2).says(&["holds all of it"]);
    verify("--signature absent app.tar").ends(2).says(&["absent"]);
    // A path that is base64 by its letters is no signature.
    for path in ["signatures/appv1", "c2lnbmF0dXJlIG9mIGFwcA==", "eyJub3QiOiAiYW4gZW52ZWxvcGUifQ=="]
    {
        let said = verify(&format!("--signature {path} --insecure-ignore-tlog app.tar")).ends(2);
        said.says(&[path, "it is no file, and not a signature in base64"]);
    }
    let cut = &signature[..signature.len() - 4];
    verify(&format!("--signature {cut} {beside} app.tar")).ends(2);
    verify("--signature app.tar/b.sig app.tar").ends(2).says(&["cannot read the signature"]);
    // A bundle that is malformed is no older one.
    world.write("broken.json", r#"{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}"#);
    let line = "--bundle broken.json --signature b.sig app.tar";
    verify(line).ends(2).says(&["holds all of it"]);

    // Of an attestation the envelope is what stands there.
    world.write("note.json", r#"{"noted": true}"#);
    let noted = "--type https://example.com/note";
    world
        .run(&format!("attest-blob {noted} --predicate note.json --bundle a.json app.tar"))
        .ends(0);
    let mut bundle: Value = serde_json::from_str(&world.read("a.json")).unwrap();
    world.write("a.att", bundle["dsseEnvelope"].to_string());
    let certificate = &self::material(&mut bundle)["certificate"]["rawBytes"];
    world.write("a.pem", pem("CERTIFICATE", certificate));
    let line =
        format!("verify-blob-attestation {by} {noted} --signature a.att --certificate a.pem");
    world.run(&format!("{line} --insecure-ignore-tlog app.tar")).ends(0);
    world.run(&format!("{line} --insecure-ignore-tlog other.tar")).ends(12);
    world.run(&format!("{line} app.tar")).ends(12);
}

#[test]
fn a_signature_beside_an_older_bundle_keeps_its_certificate() {
    let world = World::new();
    let scene = Scene::v1();
    let (bundle, root) = scene.seal_blob();
    world.write("old.json", bundle.to_string());
    world.write("root.json", root.to_string());
    world.write("b.sig", bundle["base64Signature"].as_str().unwrap());
    world.write("app.tar", &scene.artifact);
    let by = format!(
        "--certificate-identity {} --certificate-oidc-issuer {}",
        scene.wanted_subject, scene.wanted_issuer
    );
    let verify = |rest: &str| {
        let line = format!("verify-blob {by} --trusted-root root.json --bundle old.json {rest}");
        world.run_alone(&line)
    };
    verify("app.tar").ends(0);
    verify("--signature b.sig app.tar").ends(0);
    let (other, _) = Scene::v1().seal_blob();
    world.write("b.sig", other["base64Signature"].as_str().unwrap());
    let said = verify("--signature b.sig app.tar").ends(12);
    said.says(&["the signature beside the bundle is another than the bundle's"]);
}

/// Pure Ed25519 signs the file itself, and no entry says so.
#[test]
fn every_kind_of_key_signs_without_a_log() {
    let world = World::new();
    for kind in ["ED25519", "EC:P-256", "EC:P-384", "RSA:2048"] {
        let (algorithm, option) = match kind.split_once(':') {
            Some(("EC", curve)) => ("EC", format!("ec_paramgen_curve:{curve}")),
            Some((algorithm, bits)) => (algorithm, format!("rsa_keygen_bits:{bits}")),
            None => (kind, String::new()),
        };
        let openssl = |line: &[&str]| {
            let status = std::process::Command::new("openssl")
                .args(line)
                .current_dir(world.path(""))
                .stderr(std::process::Stdio::null())
                .status();
            assert!(status.unwrap().success(), "{line:?}");
        };
        let mut generate = vec!["genpkey", "-algorithm", algorithm, "-out", "key.pem"];
        if !option.is_empty() {
            generate.extend(["-pkeyopt", &option]);
        }
        world.write("app.tar", "the application");
        world.write("other.tar", "another one");
        openssl(&generate);
        openssl(&["pkey", "-in", "key.pem", "-pubout", "-out", "key.pub"]);
        match kind {
            "ED25519" => {
                let line = "pkeyutl -sign -inkey key.pem -rawin -in app.tar -out app.sig";
                openssl(&line.split(' ').collect::<Vec<_>>());
            }
            // As Cosign did before bundles, whatever the curve.
            _ => openssl(&["dgst", "-sha256", "-sign", "key.pem", "-out", "app.sig", "app.tar"]),
        }
        let line = "verify-blob --signature app.sig --key key.pub --insecure-ignore-tlog";
        world.run_without_trust(&format!("{line} app.tar")).ends(0);
        world.run_without_trust(&format!("{line} other.tar")).ends(12);
        let itself = STANDARD.encode(std::fs::read(world.path("app.sig")).unwrap());
        let line = line.replace("app.sig", &itself);
        world.run_without_trust(&format!("{line} app.tar")).ends(0);
        world.run_without_trust(&format!("{line} other.tar")).ends(12);
    }
}

/// Waivers, beginning with none.
const WAIVERS: [&str; 4] = [
    "",
    "--insecure-ignore-tlog",
    "--insecure-ignore-sct",
    "--insecure-ignore-tlog --insecure-ignore-sct",
];

/// A mirror of the instance in which a scene plays, and its trust root, kept in `home/tuf`; the
/// evidence in `b.json`, the artifact in `app.tar`. Gives the flags that name the signer.
fn kept(world: &World, name: &str, scene: &Scene) -> (Mirror, String) {
    let sealed = scene.seal();
    let draft = Draft::of([("trusted_root.json", sealed.trust_root_json())]);
    let mirror =
        Mirror::start(&ROLES.into_iter().fold(draft, |draft, role| draft.until(role, LATE)));
    world.write("tuf-root.json", mirror.root());
    world.write("root.json", sealed.trust_root_json());
    world.write("b.json", sealed.bundle_json());
    world.write("app.tar", &sealed.artifact);
    let chain = &sealed.trust_root["certificateAuthorities"][0]["certChain"]["certificates"];
    let chain = chain.as_array().unwrap().iter().map(|it| pem("CERTIFICATE", &it["rawBytes"]));
    world.write("chain.pem", chain.collect::<String>());
    let key = STANDARD.encode(scene.key.spki());
    world.write("key.pub", pem("PUBLIC KEY", &key.into()));
    let line = format!("initialize --mirror {} --root tuf-root.json", mirror.url);
    let chosen = world.in_folder(name, &line).output().unwrap();
    super::world::Said::new(&line, &chosen).ends(0);
    let by = match scene.signer {
        testkit::Signer::Pinned => "--key key.pub".to_owned(),
        testkit::Signer::Keyless => format!(
            "--certificate-identity {} --certificate-oidc-issuer {}",
            scene.wanted_subject, scene.wanted_issuer
        ),
    };
    mirror.asked();
    (mirror, by)
}

impl World {
    /// A command whose trust roots are kept in a folder of this name.
    fn in_folder(&self, name: &str, line: &str) -> std::process::Command {
        let mut command = self.command(line);
        command.env("TUF_ROOT", self.path(name));
        command
    }
}

/// A scene, and whether it verifies: when all is demanded, and when anything that can be is waived.
type Case = (&'static str, Scene, bool, bool);

fn cases() -> Vec<Case> {
    let later = |entry: &mut Value| {
        let time: i64 = entry["integratedTime"].as_str().unwrap().parse().unwrap();
        entry["integratedTime"] = (time + 1).to_string().into();
    };
    let unlogged = |scene: Scene| scene.with(|scene| scene.entries.clear());
    vec![
        ("good", Scene::v2(), true, true),
        ("good-key", Scene::v2().pinned(), true, true),
        ("promised", Scene::v1(), true, true),
        ("unlogged", unlogged(Scene::v2()), false, true),
        ("unlogged-key", unlogged(Scene::v2().pinned()), false, true),
        ("expired", unlogged(Scene::v1()), false, false),
        ("unpublished", Scene::v2().on_certificate(|draft| draft.scts.clear()), false, true),
        ("false-time", Scene::v1().on_entry(later), false, false),
        ("false-time-key", Scene::v1().pinned().on_entry(later), false, false),
        (
            "false-promise",
            Scene::v2().on_certificate(|draft| draft.scts[0].damaged = true),
            false,
            false,
        ),
        (
            "false-entry",
            Scene::v2().pinned().on_proof(|proof| certificate::damage(&mut proof.root)),
            false,
            false,
        ),
    ]
}

/// What an instance said that this machine keeps counts, whatever is waived; and no waiver takes the
/// place of what is wrong.
#[test]
fn waivers_do_not_forget_whom_this_machine_knows() {
    let world = World::new();
    for (name, scene, strictly, waived) in cases() {
        let (mirror, by) = kept(&world, name, &scene);
        let is_key = by.starts_with("--key");
        let chains: &[&str] = if is_key { &[""] } else { &["", "--certificate-chain chain.pem"] };
        for chain in chains {
            let verify = |waivers: &str, stamps: &str, more: &str| {
                let flags = format!("{by} {waivers} {stamps} {more}");
                let line = format!("verify-blob --bundle b.json {flags} app.tar");
                let output = world.in_folder(name, &line).output().unwrap();
                let said = super::world::Said::new(&line, &output);
                match output.status.code() {
                    Some(0) => (true, said),
                    Some(12) => (false, said),
                    _ => panic!("{name}: {said:?}"),
                }
            };
            assert_eq!(verify("", "", chain).0, strictly, "{name} {chain}");
            let (verifies, said) = verify(WAIVERS[3], "", chain);
            assert_eq!(verifies, waived, "{name} {chain}: {said:?}");
            for waivers in WAIVERS {
                let (plain, _) = verify(waivers, "", chain);
                // Who demands more admits no more.
                let (stamped, said) = verify(waivers, "--use-signed-timestamps", chain);
                assert!(plain || !stamped, "{name}: {said:?}");
                assert!(!plain || verify(WAIVERS[3], "", chain).0, "{name}: {waivers}");
                assert!(plain || waived || !strictly, "{name}: {waivers}");
                // What is kept and what is named is the same trust root.
                if chain.is_empty() {
                    let (named, said) = verify(waivers, "", "--trusted-root root.json");
                    assert_eq!(named, plain, "{name}: {said:?}");
                }
            }
        }
        assert_eq!(mirror.asked(), [""; 0], "{name}");
    }
}

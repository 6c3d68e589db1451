//! `--certificate`, `--certificate-chain` and `--issue-certificate`: keys that have a certificate, or get
//! one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::KeyKind;
use serde_json::Value;
use testkit::certificate::CertificateDraft;
use testkit::instance::{ISSUER, SUBJECT};
use testkit::{Instance, Key};

use super::world::World;
use crate::instance::now;

/// A company whose authority has certified a key, with files of all that in the world's directory:
/// `NAME.key`, `NAME.crt`, `NAME.der`, and the authority's `NAME-chain.pem`.
struct Company {
    name: &'static str,
    key: Key,
    instance: Instance,
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

impl Company {
    fn of(world: &World, name: &'static str) -> Self {
        let (instance, key) = (Instance::named(name), Key::named(name, KeyKind::EcdsaP256));
        let der = key.pair().to_pkcs8_der().unwrap();
        world.write(&format!("{name}.key"), pem("PRIVATE KEY", &der));
        world.write(&format!("{name}.pub"), key.public().to_pem());
        let chain: String =
            instance.issue().authorities.iter().map(|der| pem("CERTIFICATE", der)).collect();
        world.write(&format!("{name}-chain.pem"), chain);
        let company = Self { name, key, instance };
        company.certify(world, |_| {});
        company
    }

    /// Certifies the key anew, with a change.
    fn certify(&self, world: &World, change: impl Fn(&mut CertificateDraft)) {
        let mut draft = self.instance.certificate(&self.key);
        let now = now().seconds();
        (draft.not_before, draft.not_after) = (now - 3600, now + 3600);
        draft.scts = Vec::new();
        change(&mut draft);
        let der = draft.seal();
        world.write(&format!("{}.crt", self.name), pem("CERTIFICATE", &der));
        world.write(&format!("{}.der", self.name), der);
    }
}

/// How verifiers ask for the company's identity.
fn by_company(name: &str) -> String {
    format!(
        "--certificate-identity {SUBJECT} --certificate-oidc-issuer {ISSUER} \
         --certificate-chain {name}-chain.pem --insecure-ignore-sct"
    )
}

#[test]
fn a_key_signs_files_with_the_certificate_that_it_has() {
    let world = World::new();
    world.write("app.tar", "the application");
    let _acme = Company::of(&world, "acme");
    for certificate in ["acme.crt", "acme.der"] {
        let line = format!(
            "sign-blob --key acme.key --certificate {certificate} --certificate-chain \
             acme-chain.pem --bundle b.json app.tar"
        );
        world.run(&line).ends(0).says(&["signed app.tar", SUBJECT, ISSUER]);
        let verify = |more: &str| world.run(&format!("verify-blob --bundle b.json {more} app.tar"));
        verify(&by_company("acme")).ends(0);
        verify("--key acme.pub").ends(0);
        verify(&world.by_release()).ends(12);
        // A bundle of its version has room for the certificate alone.
        let bundle: Value = serde_json::from_str(&world.read("b.json")).unwrap();
        let material = bundle["verificationMaterial"].as_object().unwrap();
        let der = STANDARD.decode(material["certificate"]["rawBytes"].as_str().unwrap()).unwrap();
        assert_eq!(der, std::fs::read(world.path("acme.der")).unwrap());
        assert_eq!(material.get("x509CertificateChain"), None);
    }
    world.write("note.json", r#"{"noted": true}"#);
    let line = "attest-blob --key acme.key --cert acme.crt --cert-chain acme-chain.pem --type \
                https://example.com/note --predicate note.json --bundle a.json app.tar";
    world.run(line).ends(0);
    let line = "verify-blob-attestation --type https://example.com/note --bundle a.json";
    world.run(&format!("{line} {} app.tar", by_company("acme"))).ends(0);
}

/// As most companies' certificates are: of no identity provider, and in no CT log.
#[test]
fn a_certificate_without_an_identity_provider_serves_too() {
    let world = World::new();
    world.write("app.tar", "the application");
    let acme = Company::of(&world, "acme");
    acme.certify(&world, |draft| {
        draft.extensions.retain(|extension| !extension.oid.starts_with("1.3.6.1.4.1.57264."));
    });
    let line = "sign-blob --key acme.key --certificate acme.crt --certificate-chain acme-chain.pem \
                --bundle b.json app.tar";
    let said = world.run(line).ends(0).says(&[SUBJECT]);
    assert!(!said.stdout.contains("vouched"), "{}", said.stdout);
    world.run("verify-blob --bundle b.json --key acme.pub app.tar").ends(0);
}

#[test]
fn images_keep_the_chain_in_cosigns_tags() {
    let world = World::new();
    let _acme = Company::of(&world, "acme");
    let image = world.push("acme/app", "v1");
    let with = "--key acme.key --certificate acme.crt --certificate-chain acme-chain.pem";
    world.run(&format!("sign --formats both {with} {image}")).ends(0);
    world.run(&format!("verify {} {image}", by_company("acme"))).ends(0);
    let tag = format!("{}.sig", world.digest(&image).replace(':', "-"));
    let manifest = world.registry.manifest("acme/app", &tag).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let annotations = &manifest["layers"][0]["annotations"];
    let chain = annotations["dev.sigstore.cosign/chain"].as_str().unwrap();
    assert_eq!(
        chain.matches("BEGIN CERTIFICATE").count(),
        1,
        "the root is nobody's to bring along"
    );
    // The same signer is known again.
    let again = world.run(&format!("sign --if-missing {with} {image}")).ends(0);
    again.says(&["signed already"]);
}

#[test]
fn a_certificate_that_nobody_would_believe_signs_nothing() {
    let world = World::new();
    world.write("app.tar", "the application");
    let (acme, _other) = (Company::of(&world, "acme"), Company::of(&world, "other"));
    world.run("generate-key-pair").ends(0);
    let size = world.log_size();
    let refused = |flags: &str, parts: &[&str]| {
        let said = world.run(&format!("sign-blob {flags} --bundle b.json app.tar"));
        said.ends(2).without_result().says(parts);
        assert!(!world.path("b.json").exists(), "{flags}");
    };
    let chain = "--certificate-chain acme-chain.pem";
    refused(
        &format!("--key cosign.key --certificate acme.crt {chain}"),
        &["it is for another key", "the key's own certificate"],
    );
    refused(
        "--key acme.key --certificate acme.crt",
        &["no authority of the trust root issued it", "--certificate-chain"],
    );
    refused(
        "--key acme.key --certificate acme.crt --certificate-chain other-chain.pem",
        &["no authority of the chain issued it"],
    );
    refused("--key acme.key --certificate acme-chain.pem", &["wanted one certificate, found 2"]);
    refused("--key acme.key --certificate app.tar", &["cannot use the certificate app.tar"]);
    refused("--key acme.key --certificate absent.crt", &["absent.crt"]);
    refused(&format!("--key acme.key {chain}"), &["--certificate <FILE>"]);
    refused("--certificate acme.crt", &["--key <KEY>"]);
    refused("--key acme.key --certificate acme.crt --issue-certificate", &["cannot be used with"]);
    let with = format!("--key acme.key --certificate acme.crt {chain}");
    let past = now().seconds() - 60;
    acme.certify(&world, |draft| draft.not_after = past);
    refused(&with, &["the certificate is not valid now"]);
    acme.certify(&world, |draft| draft.damaged = true);
    refused(&with, &["does not chain to the authority it names"]);
    assert_eq!(world.log_size(), size);
}

#[test]
fn a_key_is_certified_for_an_identity_on_request() {
    let world = World::new();
    world.write("app.tar", "the application");
    world.run("generate-key-pair").ends(0);
    world.run("generate-key-pair --output-key-prefix other").ends(0);
    world.run("sign-blob --key cosign.key --issue-certificate --bundle b.json app.tar").ends(0);
    let verify = |more: &str| world.run(&format!("verify-blob --bundle b.json {more} app.tar"));
    verify(&world.by_release()).ends(0);
    verify("--key cosign.pub").ends(0);
    verify("--key other.pub").ends(12);
    // Without a key it is what happens anyway; without an identity it is nothing.
    world.run("sign-blob --issue-certificate --bundle c.json app.tar").ends(0);
    let nobody = [("SIGSTORE_ID_TOKEN", "")];
    let line = "sign-blob --key cosign.key --issue-certificate --bundle d.json app.tar";
    world.run_with(line, &nobody).ends(2).says(&["no identity to sign as"]);
    world.run_with(&line.replace("--issue-certificate ", ""), &nobody).ends(0);
    world
        .run("sign-blob --key cosign.key --issue-certificate=false --bundle e.json app.tar")
        .ends(0);
    world.run("verify-blob --bundle e.json --key cosign.pub app.tar").ends(0);
}

/// No certificate authority is named, and none is needed.
#[test]
fn a_key_signs_with_nothing_but_a_log() {
    let world = World::new();
    world.write("app.tar", "the application");
    world.write("root.json", world.get("/trusted_root.json"));
    world.run_alone("generate-key-pair").ends(0);
    let services = format!("--rekor-url {} --trusted-root root.json", world.url());
    world
        .run_alone(&format!("sign-blob --key cosign.key {services} --bundle b.json app.tar"))
        .ends(0);
    world.run("verify-blob --bundle b.json --key cosign.pub app.tar").ends(0);
    // Who has no key needs a certificate, and is told so before anybody is asked who that is.
    let line = format!("sign-blob {services} --bundle c.json app.tar");
    world.run_alone(&line).ends(2).says(&["certificate authority"]);
    let line = line.replace("sign-blob", "sign-blob --key cosign.key --issue-certificate");
    world.run_alone(&line).ends(2).says(&["certificate authority"]);
}

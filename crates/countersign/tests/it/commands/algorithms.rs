//! `--signing-algorithm`: the key, its certificate and its log entry are of the kind that was asked
//! for.

use crypto::KeyKind;
use evidence::Evidence;
use evidence::bundle::SignerMaterial;

use super::world::World;

const ALGORITHMS: [(&str, KeyKind); 7] = [
    ("ecdsa-sha2-256-nistp256", KeyKind::EcdsaP256),
    ("ecdsa-sha2-384-nistp384", KeyKind::EcdsaP384),
    ("ecdsa-sha2-512-nistp521", KeyKind::EcdsaP521),
    ("rsa-sign-pkcs1-2048-sha256", KeyKind::Rsa { bits: 2048 }),
    ("rsa-sign-pkcs1-3072-sha256", KeyKind::Rsa { bits: 3072 }),
    ("rsa-sign-pkcs1-4096-sha256", KeyKind::Rsa { bits: 4096 }),
    ("ed25519-ph", KeyKind::Ed25519),
];

/// The kind of the key that a bundle's certificate is for.
fn certified(world: &World, bundle: &str) -> KeyKind {
    let evidence = Evidence::from_bundle(world.read(bundle).as_bytes()).unwrap();
    match evidence.signer {
        SignerMaterial::Certificate(certificate) => certificate.public_key().kind(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_algorithm_signs_files_in_both_logs() {
    let world = World::new();
    world.write("file", "what is signed");
    world.write("other", "what is not");
    let by = world.by_release();
    for (algorithm, kind) in ALGORITHMS {
        for log in ["1", "2"] {
            let bundle = format!("{algorithm}-{log}.json");
            world
                .run(&format!(
                    "sign-blob --signing-algorithm {algorithm} --log-version {log} --bundle {bundle} file"
                ))
                .ends(0);
            assert_eq!(certified(&world, &bundle), kind, "{algorithm}");
            world.run(&format!("verify-blob --bundle {bundle} {by} file")).ends(0);
            world.run(&format!("verify-blob --bundle {bundle} {by} other")).ends(12);
        }
    }
}

#[test]
fn every_algorithm_signs_and_attests_images() {
    let world = World::new();
    let by = world.by_release();
    world.write("predicate", "{}");
    for (algorithm, _) in ALGORITHMS {
        let image = world.push("acme/app", algorithm);
        world.run(&format!("sign --signing-algorithm {algorithm} {image}")).ends(0);
        world.run(&format!("verify {by} {image}")).ends(0);
        let kind = "--type https://example.com/kind";
        let attest = "attest --predicate predicate --signing-algorithm";
        world.run(&format!("{attest} {algorithm} {kind} {image}")).ends(0);
        world.run(&format!("verify-attestation {kind} {by} {image}")).ends(0);
    }
}

#[test]
fn a_key_is_of_its_own_algorithm() {
    let world = World::new();
    world.write("file", "what is signed");
    world.run_alone("generate-key-pair").ends(0);
    let sign = |algorithm: &str| {
        world.run(&format!(
            "sign-blob --key cosign.key --signing-algorithm {algorithm} --bundle b.json file"
        ))
    };
    sign("ecdsa-sha2-256-nistp256").ends(0);
    sign("ed25519-ph").ends(2).says(&["wanted a key of Ed25519", "ECDSA P-256"]);
    // Pure Ed25519 cannot be logged for a file, and RSA-PSS is not what Cosign takes.
    for absent in ["ed25519", "rsa-sign-pss-2048-sha256", "ecdsa-sha2-256-nistp384"] {
        sign(absent).ends(2).says(&["ecdsa-sha2-384-nistp384"]);
    }
}

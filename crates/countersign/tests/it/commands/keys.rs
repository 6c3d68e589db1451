//! `generate-key-pair`, `import-key-pair` and `public-key`.

use crypto::KeyKind;
use testkit::Key;

use super::world::World;
#[cfg(unix)]
use super::world::{Said, mode};

#[test]
fn a_new_key_is_its_owners_alone_and_is_not_overwritten() {
    let world = World::new();
    world.run_alone("generate-key-pair").ends(0).without_result().says(&["cosign.key"]);
    #[cfg(unix)]
    {
        assert_eq!(mode(&world.path("cosign.key")), 0o600);
        assert_eq!(mode(&world.path("cosign.pub")), 0o644);
    }
    let (key, public) = (world.read("cosign.key"), world.read("cosign.pub"));
    assert!(key.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----"), "{key}");
    assert!(public.starts_with("-----BEGIN PUBLIC KEY-----"), "{public}");
    let said = world.run_alone("generate-key-pair").ends(2);
    said.says(&["cosign.key is there already", "--output-key-prefix"]);
    assert_eq!((world.read("cosign.key"), world.read("cosign.pub")), (key, public.clone()));
    // One half is enough to be kept.
    std::fs::remove_file(world.path("cosign.key")).unwrap();
    world.run_alone("generate-key-pair").ends(2).says(&["cosign.pub is there already"]);
    assert_eq!(world.read("cosign.pub"), public);
    assert!(!world.path("cosign.key").exists());
    let said = world.run_alone("generate-key-pair --output-key-prefix absent/k").ends(2);
    said.says(&["absent/k.key", "there is no directory absent"]);
    // Nobody can be asked for a password here.
    let mut command = world.command("generate-key-pair --output-key-prefix asked");
    // A session of its own has no terminal either.
    let output = command.env_remove("COSIGN_PASSWORD").output().unwrap();
    assert_ne!(output.status.code(), Some(0));
    assert!(!world.path("asked.key").exists());
}

/// No file may grow, which ends as on a full disk.
#[cfg(unix)]
#[test]
fn a_key_that_could_not_be_written_is_not_in_the_way_of_the_next() {
    let world = World::new();
    let mut full = std::process::Command::new("sh");
    let generate = "trap '' XFSZ; ulimit -f 0; exec \"$0\" generate-key-pair";
    full.args(["-c", generate, env!("CARGO_BIN_EXE_countersign")]);
    full.current_dir(world.path("")).env("COSIGN_PASSWORD", "secret");
    let said = Said::new("generate-key-pair", &full.output().unwrap()).ends(2);
    said.says(&["cannot write cosign.key"]);
    assert!(!world.path("cosign.key").exists());
    // The private half does not stay without the public one.
    std::os::unix::fs::symlink("absent/cosign.pub", world.path("cosign.pub")).unwrap();
    world.run_alone("generate-key-pair").ends(2).says(&["cannot write cosign.pub"]);
    assert!(!world.path("cosign.key").exists());
    std::fs::remove_file(world.path("cosign.pub")).unwrap();
    world.run_alone("generate-key-pair").ends(0);
}

#[test]
fn the_public_half_is_printed_to_who_has_the_password() {
    let world = World::new();
    world.run_alone("generate-key-pair").ends(0);
    let public = world.read("cosign.pub");
    assert_eq!(world.run_alone("public-key --key cosign.key").ends(0).stdout, public);
    world.run_alone("public-key --key cosign.key --outfile out.pub").ends(0).without_result();
    assert_eq!(world.read("out.pub"), public);
    let mut command = world.command("public-key --key cosign.key");
    let output = command.env("COSIGN_PASSWORD", "wrong").output().unwrap();
    let said = super::world::Said::new("public-key with another password", &output);
    said.ends(2).without_result().says(&["cosign.key", "check COSIGN_PASSWORD"]);
    for (key, why) in [
        ("absent.key", "absent.key"),
        ("cosign.pub", "cosign.pub"),
        ("env://ABSENT", "the variable ABSENT has no private key"),
        ("awskms:///alias/x", "`awskms://` are not read yet"),
        ("ftp://x", "`ftp://` names no private key"),
    ] {
        world.run_alone(&format!("public-key --key {key}")).ends(2).without_result().says(&[why]);
    }
}

#[test]
fn a_key_from_elsewhere_is_encrypted_and_signs() {
    let world = World::new();
    for (name, kind) in
        [("p256", KeyKind::EcdsaP256), ("p384", KeyKind::EcdsaP384), ("ed25519", KeyKind::Ed25519)]
    {
        let key = Key::named(name, kind);
        world.write("plain.pem", key.pair().to_pem().unwrap());
        world.run_alone(&format!("import-key-pair -k plain.pem -o {name}")).ends(0);
        #[cfg(unix)]
        assert_eq!(mode(&world.path(&format!("{name}.key"))), 0o600);
        let imported = world.read(&format!("{name}.key"));
        assert!(imported.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----"));
        let image = world.push("acme/app", name);
        world.run(&format!("sign --key {name}.key {image}")).ends(0);
        world.run(&format!("verify --key {name}.pub {image}")).ends(0);
    }
    let before = world.read("p256.key");
    let import = "import-key-pair -k plain.pem -o p256";
    world.run_alone(import).ends(2).says(&["p256.key is there already"]);
    assert_eq!(world.read("p256.key"), before);
    world.run_alone(&format!("{import} --yes")).ends(0);
    assert_ne!(world.read("p256.key"), before);
    assert_eq!(world.read("p256.pub"), world.read("ed25519.pub"), "the last that was plain.pem");
    world.write("plain.pem", "no key");
    let said = world.run_alone("import-key-pair -k plain.pem").ends(2);
    said.says(&["cannot use the private key plain.pem"]);
    assert!(!world.path("import-cosign.key").exists());
}

//! What is empty: called so where it is a mistake, and warned of where it may be one.

use super::world::{Said, World};

#[test]
fn files_without_content_are_called_empty() {
    let world = World::new();
    world.write("app.tar", "the application");
    world.write("empty", "");
    world.run("generate-key-pair").ends(0);
    let empty = &["empty is empty"];
    world.run("sign-blob --key empty --bundle b.json app.tar").ends(2).says(empty);
    world.run("sign-blob --key= --bundle b.json app.tar").ends(2).says(&["--key is empty"]);
    world.run("sign-blob --key cosign.key --bundle b.json app.tar").ends(0);
    world.run("verify-blob --key empty --bundle b.json app.tar").ends(2).says(empty);
    world.run("verify-blob --key= --bundle b.json app.tar").ends(2).says(&["--key is empty"]);
    world.run("bundle inspect empty").ends(2).says(empty);
    world.run("explain --bundle empty app.tar").ends(2).says(empty);
    let line = "--key cosign.pub --bundle empty app.tar";
    world.run(&format!("verify-blob {line}")).ends(2).says(empty);
    world.run(&format!("verify-blob-attestation {line}")).ends(2).says(empty);
}

/// An empty password may be chosen, but not without a word.
#[test]
fn a_key_with_an_empty_password_is_warned_of() {
    let world = World::new();
    let mut command = world.command("generate-key-pair --output-key-prefix open");
    let output = command.env("COSIGN_PASSWORD", "").output().unwrap();
    Said::new("generate-key-pair", &output).ends(0).says(&["the password is empty"]);
    let said = world.run_alone("generate-key-pair --output-key-prefix closed").ends(0);
    assert!(!said.stderr.contains("is empty"), "{}", said.stderr);
}

//! `login`, and registries that want one.

use devkit::registry::{Access, Behaviour, Credentials, RegistryOptions};
use serde_json::{Value, json};

use super::world::World;
#[cfg(unix)]
use super::world::mode;

const CONFIG: &str = "home/docker/config.json";

fn credentials() -> Credentials {
    Credentials { user: "alice".to_owned(), password: "open-sesame".to_owned() }
}

fn world(access: Access) -> World {
    let behaviour = Behaviour { access, ..Behaviour::default() };
    World::with(RegistryOptions { behaviour, ..RegistryOptions::default() })
}

#[test]
fn a_login_that_the_registry_takes_is_kept_where_docker_keeps_it() {
    let bearer = Access::Bearer { credentials: credentials(), anonymous_pull: true, realm: None };
    for access in [Access::Basic(credentials()), bearer] {
        let world = world(access);
        let image = world.push("acme/app", "v1");
        let host = world.registry.address().to_string();
        // Another entry, which stays.
        std::fs::create_dir_all(world.path("home/docker")).unwrap();
        let other = json!({"auths": {"other.example": {"auth": "eDp5"}}, "detachKeys": "ctrl-e"});
        world.write(CONFIG, other.to_string());

        let refused = world.run(&format!("sign {image}"));
        assert!(!refused.stdout.contains("signed"), "{}", refused.stdout);
        let login = format!("login {host} -u alice --password-stdin");
        let said = world.run_fed(&login, b"wrong\n").ends(3);
        said.says(&["did not take the login"]);
        assert_eq!(world.read(CONFIG), other.to_string(), "what was not taken is not kept");
        let said = world.run_fed(&login, b"open-sesame\n").ends(0);
        assert!(!said.stderr.contains("open-sesame"), "{}", said.stderr);
        said.says(&["logged in to", "config.json", "credential helper"]);

        let config: Value = serde_json::from_str(&world.read(CONFIG)).unwrap();
        assert_eq!(config["auths"]["other.example"], other["auths"]["other.example"]);
        assert_eq!(config["detachKeys"], "ctrl-e");
        // RFC 7617 §2, of "alice:open-sesame".
        assert_eq!(config["auths"][&host]["auth"], "YWxpY2U6b3Blbi1zZXNhbWU=");
        #[cfg(unix)]
        assert_eq!(mode(&world.path(CONFIG)), 0o600);

        world.run(&format!("sign {image}")).ends(0);
        world.run(&format!("verify {} {image}", world.by_release())).ends(0);
    }
}

#[test]
fn a_login_can_be_given_for_one_command() {
    let world = world(Access::Basic(credentials()));
    let image = world.push("acme/app", "v1");
    let flags = "--registry-username alice --registry-password open-sesame";
    world.run(&format!("sign {flags} {image}")).ends(0);
    let verify = format!("verify {} {image}", world.by_release());
    world.run(&verify).ends(3).without_result();
    let variables =
        [("COSIGN_REGISTRY_USERNAME", "alice"), ("COSIGN_REGISTRY_PASSWORD", "open-sesame")];
    world.run_with(&verify, &variables).ends(0);
    // Also for commands that Cosign does not have.
    world.run_with(&format!("coverage {image}"), &variables).ends(0);
    let half = format!("{verify} --registry-username alice");
    world.run(&half).ends(2).says(&["--registry-password"]);
    assert!(!world.path(CONFIG).exists());
}

/// `COSIGN_PASSWORD`, which is set for each command here, is no registry's business.
#[test]
fn the_password_of_a_key_is_sent_to_no_registry() {
    let world = world(Access::Basic(Credentials {
        user: "alice".to_owned(),
        password: "secret".to_owned(),
    }));
    let host = world.registry.address().to_string();
    let said = world.run_alone(&format!("login {host} -u alice"));
    assert!(!said.stderr.contains("logged in"), "{}", said.stderr);
    said.ends(2).says(&["nobody can be asked for the password"]);
    assert_eq!(world.registry.requests().len(), 0);
}

#[test]
fn without_a_user_or_a_password_there_is_no_login() {
    let world = world(Access::Basic(credentials()));
    let host = world.registry.address().to_string();
    let login = format!("login {host}");
    world.run_alone(&login).ends(2).says(&["--username"]);
    world.run_alone(&format!("{login} -u alice --password-stdin -p x")).ends(2);
    world.run_alone("login not/a/host -u alice -p x").ends(2).says(&["not/a/host"]);
    assert!(!world.path(CONFIG).exists());
    world.run_alone(&format!("{login} -u alice -p open-sesame")).ends(0);
    // A file that cannot be read is not written over.
    world.write(CONFIG, "{");
    world.run_alone(&format!("{login} -u alice -p open-sesame")).ends(1).says(&["config.json"]);
    assert_eq!(world.read(CONFIG), "{");
}

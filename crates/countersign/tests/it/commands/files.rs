//! Commands that print documents: `bundle inspect`, `version`, `env`, `completion`, `man`.

use std::collections::BTreeSet;

use super::world::{RELEASE, World};

#[test]
fn a_bundle_is_shown_and_not_believed() {
    let world = World::new();
    world.write("app.tar", "the application");
    world.run("sign-blob --bundle b.json app.tar").ends(0);
    let inspect = |more: &str| world.run_alone(&format!("bundle inspect {more}"));
    inspect("b.json").ends(0).says(&[RELEASE, "Sigstore bundle v0.3", "logIndex", "push"]);
    let json = inspect("-o json b.json").ends(0).json();
    assert_eq!(json["schema"], "countersign.dev/evidence/v1", "{json}");
    let bundle = world.read("b.json");
    let fed = world.run_fed("bundle inspect -o json -", bundle.as_bytes()).ends(0).json();
    assert_eq!(fed, json);
    // Nothing in a bundle reaches the terminal but as text.
    let text = inspect("b.json").stdout;
    assert!(!text.chars().any(|it| it.is_control() && it != '\n'), "{text:?}");
    // The checkpoint is shown line by line, and what is not there in words.
    assert!(!text.contains('\u{fffd}') && text.contains("\n      | 127.0.0.1"), "{text}");
    assert!(!text.contains("null"), "{text}");
    world.write("wrong.json", "{}");
    inspect("wrong.json").ends(2).without_result().says(&["wrong.json is no bundle"]);
    inspect("absent.json").ends(2).says(&["absent.json"]);
}

#[test]
fn the_version_is_told() {
    let world = World::new();
    let version = env!("CARGO_PKG_VERSION");
    assert!(world.run_alone("version").ends(0).stdout.contains(version));
    let json = world.run_alone("version --json").ends(0).json();
    assert_eq!(json["gitVersion"], format!("v{version}"));
    assert!(json["platform"].as_str().unwrap().contains('/'));
    assert_eq!(world.run_alone("--version").ends(0).stdout, format!("countersign {version}\n"));
}

#[test]
fn variables_are_shown_without_their_secrets() {
    let world = World::new();
    let variables = [
        ("COSIGN_REPOSITORY", "registry.example/signatures"),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token"),
        ("HTTPS_PROXY", "http://user:proxy-password@127.0.0.1:1"),
    ];
    let secrets = ["request-token", "proxy-password"];
    let said = world.run_with("env", &variables).ends(0);
    assert!(said.stdout.contains("COSIGN_REPOSITORY=\"registry.example/signatures\""));
    for secret in secrets {
        assert!(!said.stdout.contains(secret), "{}", said.stdout);
    }
    said.says(&["# COSIGN_PASSWORD: ", "COSIGN_PASSWORD=******"]);
    let said = world.run_with("env --show-descriptions=false", &variables).ends(0);
    assert!(!said.stdout.contains('#'), "{}", said.stdout);
    world.run_with("env --show-sensitive-values", &variables).ends(0).says(&secrets);
}

#[test]
fn every_shell_gets_a_completion() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = world.run_alone(&format!("completion {shell}")).ends(0).stdout;
        for word in ["verify-attestation", "certificate-identity"] {
            assert!(script.contains(word), "{shell} lacks {word}");
        }
    }
    world.run_alone("completion tcsh").ends(2).says(&["bash", "tcsh"]);
    #[cfg(target_os = "linux")]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = world.command("completion bash").stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "nobody has what was not written");
    }
}

/// As on a full disk: no byte of the file can be written.
#[cfg(unix)]
#[test]
fn an_output_file_that_cannot_be_written_is_named_and_not_left_behind() {
    let world = World::new();
    let command = world.command("version --output-file out.txt");
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"]);
    limited.arg(command.get_program()).args(command.get_args());
    limited.current_dir(command.get_current_dir().unwrap());
    let said = super::world::Said::new("version", &limited.output().unwrap()).ends(1);
    assert!(said.stderr.starts_with("error: cannot write out.txt: "), "{}", said.stderr);
    assert!(!world.path("out.txt").exists());
    world.run_alone("version --output-file out.txt").ends(0);
    assert!(world.read("out.txt").contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_command_has_a_manual_page() {
    let world = World::new();
    world.run_alone("man --dir pages").ends(0).without_result();
    let pages = std::fs::read_dir(world.path("pages")).unwrap();
    let pages: BTreeSet<_> =
        pages.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    let help = world.run_alone("--help").ends(0).stdout;
    let commands = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let mut count = 0;
    for line in commands.lines() {
        let name = line.split_whitespace().next().unwrap();
        if line.starts_with("  ") && !line.starts_with("   ") && name != "help" {
            assert!(pages.contains(&format!("countersign-{name}.1")), "{name}: {pages:?}");
            count += 1;
        }
    }
    assert!(count > 25, "{help}");
    assert!(pages.contains("countersign-trusted-root-create.1"), "{pages:?}");
    let page = world.read("pages/countersign-verify.1");
    assert!(page.contains(".TH") && page.contains("certificate\\-identity"), "{page}");
    assert!(world.run_alone("man").ends(0).stdout.contains(".TH"));
    world.write("taken", "");
    world.run_alone("man --dir taken").ends(1).says(&["taken"]);
}

//! Files that results go into: whole or not at all, and nothing left beside them.

use super::world::World;
#[cfg(unix)]
use super::world::mode;

/// What is in a world's directory and was not put there on purpose.
fn leftovers(world: &World) -> Vec<String> {
    let entries = std::fs::read_dir(world.path("")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with('.')).collect()
}

#[test]
fn an_output_file_is_replaced_when_the_command_has_ended() {
    let world = World::new();
    world.write("app.tar", "the application");
    world.run("sign-blob --bundle b.json app.tar").ends(0);
    // What is read while it is written is not emptied before.
    world.run_alone("bundle inspect -o json b.json --output-file b.json").ends(0).without_result();
    assert!(world.read("b.json").contains("countersign.dev/evidence/v1"));
    // What has failed changes nothing.
    world.write("kept.txt", "kept");
    world.run_alone("bundle inspect absent.json --output-file kept.txt").ends(2);
    assert_eq!(world.read("kept.txt"), "kept");
    world.run_alone("version --output-file kept.txt").ends(0).without_result();
    assert!(world.read("kept.txt").contains(env!("CARGO_PKG_VERSION")));
    assert_eq!(leftovers(&world), [""; 0]);
}

/// Whoever reads the file after a verdict finds that verdict, and none from before.
#[test]
fn a_verdict_without_a_result_empties_the_output_file() {
    let world = World::new();
    let (signed, unsigned) = (world.push("acme/app", "v1"), world.push("acme/app", "v2"));
    world.run(&format!("sign {signed}")).ends(0);
    let verify = |image: &str| {
        let by = world.by_release();
        world.run(&format!("verify {by} --output-file out.json {image}"))
    };
    verify(&signed).ends(0);
    assert!(world.read("out.json").contains(&world.digest(&signed)));
    verify(&unsigned).ends(10);
    assert_eq!(world.read("out.json"), "");
}

#[cfg(unix)]
#[test]
fn what_a_link_leads_to_is_replaced_and_stays_as_private_as_it_was() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    world.write("app.tar", "the application");
    for line in ["version --output-file link", "sign-blob --bundle link app.tar"] {
        world.write("real", "old");
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(world.path("real"), private).unwrap();
        let _ = std::fs::remove_file(world.path("link"));
        std::os::unix::fs::symlink("real", world.path("link")).unwrap();
        world.run(line).ends(0);
        assert!(world.path("link").symlink_metadata().unwrap().is_symlink(), "{line}");
        assert_ne!(world.read("real"), "old", "{line}");
        assert_eq!(mode(&world.path("real")), 0o600, "{line}");
    }
}

/// Between the moment that it is known to be writable and the end lies all that takes time.
#[cfg(unix)]
#[test]
fn nothing_is_left_of_what_was_interrupted() {
    use std::process::Command;
    let world = World::new();
    world.write("b.json", "old");
    let made = Command::new("mkfifo").arg(world.path("pipe")).status().unwrap();
    assert!(made.success());
    let config = world.url().to_owned();
    assert!(config.starts_with("http://"));
    let lines = ["sign-blob --bundle b.json pipe", "verify-blob --bundle b.json --key pipe pipe"];
    for line in [lines[0].to_owned(), format!("{} --output-file b.json", lines[1])] {
        let mut command = world.command(&line);
        command.env("COUNTERSIGN_TRUST_CONFIG", world.path("data/public/trust_config.json"));
        let mut child = command.spawn().unwrap();
        // Opens when the other side does, which is after the file was looked at.
        let pipe = std::fs::File::options().write(true).open(world.path("pipe")).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        drop(pipe);
        assert_eq!(world.read("b.json"), "old", "{line}");
        assert_eq!(leftovers(&world), [""; 0], "{line}");
    }
}

/// Containers get single files mounted, also into roots that cannot be written.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_is_mounted_is_written_where_it_is() {
    use std::process::Command;
    let mounts = "mkdir mounted && mount -t tmpfs none mounted && touch mounted/out.txt";
    let read_only = "mount --bind real.txt mounted/out.txt && mount -o remount,ro mounted";
    for mounts in [
        format!("{mounts} && mount --bind real.txt mounted/out.txt"),
        format!("{mounts} && {read_only}"),
    ] {
        let world = World::new();
        world.write("real.txt", "what was there before, and is longer than what is written");
        let allowed = Command::new("unshare")
            .args(["-m", "sh", "-c", &mounts])
            .current_dir(world.path(""))
            .output();
        if !allowed.is_ok_and(|output| output.status.success()) {
            println!("skipped: nothing can be mounted here");
            return;
        }
        let _ = std::fs::remove_dir(world.path("mounted"));
        let program = world.command("version --output-file mounted/out.txt");
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &format!("{mounts} && exec \"$@\""), "sh"]);
        command.arg(program.get_program()).args(program.get_args());
        command.current_dir(world.path(""));
        super::world::Said::new("version", &command.output().unwrap()).ends(0).without_result();
        let version = world.run_alone("version").ends(0).stdout;
        assert_eq!(world.read("real.txt"), version, "{mounts}");
    }
}

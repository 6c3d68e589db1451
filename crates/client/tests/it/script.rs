//! Scripts that the client runs as programs.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Makes a program of these lines of shell.
///
/// Another process writes it. While this one had it open to write, any child that another test
/// starts would inherit that until it runs its own program, and Linux runs no file that anybody has
/// open to write (`ETXTBSY` of execve(2)).
pub(crate) fn install(path: impl AsRef<Path>, lines: &str) {
    let path = path.as_ref();
    let text = format!("#!/bin/sh\n{lines}\n");
    let mut write = Command::new("/bin/sh");
    write.args(["-c", r#"printf %s "$2" > "$1""#, "sh"]).arg(path).arg(text);
    assert!(write.status().unwrap().success());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

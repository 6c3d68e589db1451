//! The demo: what it shows, what it leaves behind, and that it fails when something is amiss.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use tempfile::TempDir;

/// The demo, with its files in that directory and an environment that would mislead the commands.
fn demo(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .arg("demo")
        .env("TMPDIR", directory)
        .env("COUNTERSIGN_TRUST_CONFIG", "/nowhere/trust_config.json")
        .env("COSIGN_CERTIFICATE_IDENTITY_REGEXP", ".*")
        .env("COSIGN_IDENTITY_TOKEN", "/nowhere/token")
        .env("SIGSTORE_ID_TOKEN", "no token")
        .env("DOCKER_CONFIG", "/nowhere")
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .stdin(Stdio::null());
    command
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

fn assert_empty(directory: &Path) {
    let left: Vec<_> = std::fs::read_dir(directory).unwrap().map(|it| it.unwrap().path()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// Processes that were started in a directory, or below it, and still run.
#[cfg(target_os = "linux")]
fn processes_in(directory: &Path) -> Vec<std::path::PathBuf> {
    let directory = directory.canonicalize().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|process| process.path());
    let is_there = |process: &std::path::PathBuf| {
        std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&directory))
    };
    processes.filter(is_there).collect()
}

#[cfg(not(target_os = "linux"))]
fn processes_in(_: &Path) -> Vec<std::path::PathBuf> {
    Vec::new()
}

fn assert_no_process_in(directory: &Path) {
    let left = processes_in(directory);
    assert!(left.is_empty(), "{left:?} still run");
}

#[test]
fn the_demo_tells_its_story_and_leaves_nothing_behind() {
    let directory = TempDir::new().unwrap();
    let output = demo(directory.path()).output().unwrap();
    let (story, errors) = texts(&output);
    assert!(output.status.success(), "{story}\n{errors}");
    assert_eq!(errors, "");
    assert!(!story.contains('\u{1b}'), "there is no terminal to colour: {story}");
    // Each command that is shown, each verdict with its reason.
    for shown in [
        "$ countersign serve ",
        "$ countersign sign ",
        "$ countersign verify ",
        "$ countersign admit ",
        "verified 127.0.0.1:",
        "/api/v1/log/entries?logIndex=0",
        "app:signed          admitted  as 127.0.0.1:",
        "app:unsigned        refused   no signature was found",
        "app:tampered        refused   it is about another artifact",
        "app:wrongly-signed  refused   it was signed by somebody else",
        "All as it must be",
    ] {
        assert!(story.contains(shown), "`{shown}` is missing: {story}");
    }
    assert_empty(directory.path());
    assert_no_process_in(directory.path());
}

/// A demo that was told to stay. It goes with the test, however that ends: its servers go with it.
struct Kept(Child);

impl Kept {
    fn start(directory: &Path) -> (Self, BufReader<ChildStdout>) {
        let mut child = demo(directory).arg("--keep").stdout(Stdio::piped()).spawn().unwrap();
        let story = BufReader::new(child.stdout.take().unwrap());
        (Self(child), story)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn kept_it_runs_until_it_is_stopped() {
    let directory = TempDir::new().unwrap();
    let (mut kept, mut story) = Kept::start(directory.path());
    let mut lines = Vec::new();
    // The last of the lines to try by hand; a demo that fails ends its output instead.
    while !lines.last().is_some_and(|line: &String| line.contains("/v1/checkpoint")) {
        let mut line = String::new();
        assert!(story.read_line(&mut line).unwrap() > 0, "it ended early: {lines:?}");
        lines.push(line);
    }
    let text = lines.concat();
    let url = text.split("ready at http://").nth(1).unwrap().split(' ').next().unwrap();
    TcpStream::connect(url).unwrap();

    // Without the proofs' servers nobody could be asked: these lines work only while they run.
    let begin = text.find("cd ").unwrap();
    let unsigned = text.find("# its Pod is refused").unwrap();
    let script = &text[begin..unsigned];
    assert_eq!(script.matches("countersign verify").count(), 2, "{script}");
    // As on a terminal, where whoever tries them reads.
    let mut shell = Command::new("sh");
    let tried = shell.args(["-c", script]).env("COSIGN_OUTPUT", "text").output().unwrap();
    let (shown, errors) = texts(&tried);
    assert_eq!(tried.status.code(), Some(10), "{shown}\n{errors}");
    assert!(shown.starts_with("verified "), "{shown}");
    assert!(shown.contains("because  no signature was found"), "{shown}");

    // To the demo alone: it has to stop the others itself.
    let stop = format!("kill -TERM {}", kept.0.id());
    assert!(Command::new("sh").args(["-c", &stop]).status().unwrap().success());
    let mut rest = String::new();
    story.read_to_string(&mut rest).unwrap();
    assert!(kept.0.wait().unwrap().success(), "{rest}");
    assert!(rest.contains("stopped"), "{rest}");
    assert_no_process_in(directory.path());
    let files = std::fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
    assert!(files.join("instance/public/trust_config.json").exists());
}

/// Killed in a way that it cannot see, it takes its servers along all the same.
#[cfg(target_os = "linux")]
#[test]
fn its_servers_do_not_outlive_it() {
    let directory = TempDir::new().unwrap();
    let (kept, mut story) = Kept::start(directory.path());
    let mut line = String::new();
    while !line.contains("/v1/checkpoint") {
        line.clear();
        assert!(story.read_line(&mut line).unwrap() > 0, "it ended early");
    }
    let servers = processes_in(directory.path());
    assert_eq!(servers.len(), 2, "{servers:?}");
    drop(kept);
    let began = std::time::Instant::now();
    while !processes_in(directory.path()).is_empty() {
        assert!(began.elapsed() < std::time::Duration::from_secs(30), "they go on");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// No file may be written, so the first command cannot do its work.
#[test]
fn a_step_that_fails_is_named_with_what_it_printed() {
    let directory = TempDir::new().unwrap();
    let program = env!("CARGO_BIN_EXE_countersign");
    let limited = format!("ulimit -f 0; exec '{program}' demo");
    let output =
        Command::new("sh").args(["-c", &limited]).env("TMPDIR", directory.path()).output().unwrap();
    let (story, errors) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{story}\n{errors}");
    assert!(errors.contains("error: step 1: `countersign serve` ended with"), "{errors}");
    assert!(errors.contains("$ countersign serve --data instance"), "{errors}");
    assert!(!story.contains("All as it must be"), "{story}");
    assert_empty(directory.path());
    assert_no_process_in(directory.path());
}

#[test]
fn without_a_place_for_its_files_it_says_so() {
    let output = demo(Path::new("/nowhere")).output().unwrap();
    let (_, errors) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("cannot make a temporary directory"), "{errors}");
    assert!(errors.contains("TMPDIR"), "{errors}");
}

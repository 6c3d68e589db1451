//! `initialize` against a TUF repository of an instance, and what comes of it for other commands.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use testkit::tuf::{Draft, Paths, ROLES};
use tokio::runtime::Runtime;

use super::world::{Said, World};

/// Later than any test runs.
pub(super) const LATE: &str = "2999-01-01T00:00:00Z";

/// A TUF mirror whose content can be replaced while it runs.
pub(super) struct Mirror {
    pub(super) url: String,
    held: Held,
    // The server runs in it.
    _runtime: Runtime,
}

#[derive(Clone, Default)]
struct Held {
    files: Arc<Mutex<Paths>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Mirror {
    pub(super) fn start(draft: &Draft) -> Self {
        let held = Held::default();
        held.files.lock().unwrap().extend(draft.files());
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(held.clone());
        runtime.spawn(async { axum::serve(listener, router).await });
        Self { url, held, _runtime: runtime }
    }

    fn publish(&self, draft: &Draft) {
        *self.held.files.lock().unwrap() = draft.files();
    }

    /// Its first root. Signed again it would have other bytes.
    pub(super) fn root(&self) -> Vec<u8> {
        self.held.files.lock().unwrap()["/1.root.json"].clone()
    }

    /// What was asked for since the last time.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.held.asked.lock().unwrap())
    }
}

async fn answer(State(held): State<Held>, uri: Uri) -> Response {
    held.asked.lock().unwrap().push(uri.path().to_owned());
    match held.files.lock().unwrap().get(uri.path()) {
        Some(bytes) => bytes.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A good repository of the world's instance.
fn draft(world: &World) -> Draft {
    let targets = [
        ("trusted_root.json", world.get("/trusted_root.json")),
        ("signing_config.v0.2.json", world.get("/signing_config.json")),
    ];
    ROLES.into_iter().fold(Draft::of(targets), |draft, role| draft.until(role, LATE))
}

/// The world, a mirror of its instance, and the repository's first root in `root.json`.
fn scene() -> (World, Mirror, Draft) {
    let world = World::new();
    let draft = draft(&world);
    let mirror = Mirror::start(&draft);
    world.write("root.json", mirror.root());
    world.write("app.tar", "the application");
    (world, mirror, draft)
}

fn initialize(world: &World, mirror: &Mirror) {
    let line = format!("initialize --mirror {} --root root.json", mirror.url);
    let said = world.run_alone(&line).ends(0).without_result();
    said.says(&[&mirror.url, "is trusted from now on"]);
}

/// Makes what is kept look as if it had been fetched long ago.
fn age(world: &World) {
    let mut aged = 0;
    for folder in std::fs::read_dir(world.path("home/tuf")).unwrap() {
        let path = folder.unwrap().path().join("last-good.json");
        let Ok(text) = std::fs::read(&path) else { continue };
        let mut kept: Value = serde_json::from_slice(&text).unwrap();
        assert!(kept["fetched_ms"].is_i64(), "{kept}");
        kept["fetched_ms"] = 0.into();
        std::fs::write(&path, kept.to_string()).unwrap();
        aged += 1;
    }
    assert_eq!(aged, 1);
}

#[test]
fn an_instance_that_was_chosen_signs_and_verifies_without_a_flag() {
    let (world, mirror, draft) = scene();
    let verify = format!("verify-blob {} --bundle b.json app.tar", world.by_release());
    // Until then the public instance is meant.
    world.run("sign-blob --bundle b.json app.tar").ends(0);
    world.run_alone(&verify).ends(12);
    initialize(&world, &mirror);
    assert!(mirror.asked().contains(&"/timestamp.json".to_owned()));
    world.run_alone(&verify).ends(0);
    world.run_alone("sign-blob --bundle own.json app.tar").ends(0);
    world.run_alone(&verify.replace("b.json", "own.json")).ends(0);
    let image = world.push("acme/app", "v1");
    world.run_alone(&format!("sign {image}")).ends(0);
    world.run_alone(&format!("verify {} {image}", world.by_release())).ends(0);
    assert_eq!(mirror.asked(), [""; 0], "what is kept is fresh");
    // A day later the mirror is asked again, and what it says now is what counts.
    age(&world);
    mirror.publish(&draft.clone().versions(2, 2, 2));
    world.run_alone(&format!("verify {} {image}", world.by_release())).ends(0);
    let asked = mirror.asked();
    assert!(asked.contains(&"/timestamp.json".to_owned()), "{asked:?}");
    assert!(!asked.iter().any(|path| path.starts_with("/targets/")), "{asked:?}");
    // Commands about files ask nobody, however old it is.
    age(&world);
    world.run_alone(&verify).ends(0);
    assert_eq!(mirror.asked(), [""; 0]);
}

#[test]
fn a_mirror_that_takes_something_back_is_not_believed() {
    let (world, mirror, draft) = scene();
    mirror.publish(&draft.clone().versions(5, 5, 5));
    initialize(&world, &mirror);
    let image = world.push("acme/app", "v1");
    world.run_alone(&format!("sign {image}")).ends(0);
    let verify = format!("verify {} {image}", world.by_release());
    for (timestamp, snapshot, targets) in [(4, 5, 5), (6, 4, 5), (6, 6, 4)] {
        mirror.publish(&draft.clone().versions(timestamp, snapshot, targets));
        age(&world);
        let said = world.run_alone(&verify).ends(3).without_result();
        said.says(&["whom to trust cannot be known", "is older than version 5"]);
    }
    let line = format!("initialize --mirror {} --root root.json", mirror.url);
    world.run_alone(&line).ends(1).says(&["was not chosen", "older"]);
    // What was seen stays, for whoever wants no other.
    world.run_alone(&format!("{verify} --offline")).ends(0);
    mirror.publish(&draft.clone().versions(6, 6, 6));
    age(&world);
    world.run_alone(&verify).ends(0);
}

#[test]
fn a_root_from_elsewhere_is_the_one_that_was_named() {
    let (world, mirror, draft) = scene();
    let root = format!("{}/1.root.json", mirror.url);
    let checksum = hex::encode(crypto::sha256(&mirror.root()));
    let line = |checksum: &str| {
        let url = &mirror.url;
        format!("initialize --mirror {url} --root {root} --root-checksum {checksum}")
    };
    let other = "00".repeat(32);
    let said = world.run_alone(&line(&other)).ends(1).without_result();
    said.says(&["was not chosen", &format!("wanted a root with the SHA-256 checksum {other}")]);
    // A file's checksum is compared too.
    let file = format!("initialize --mirror {} --root root.json", mirror.url);
    let said = world.run_alone(&format!("{file} --root-checksum {other}")).ends(1);
    said.says(&[&checksum]);
    assert!(!world.path("home/tuf").exists());
    assert_eq!(mirror.asked(), ["/1.root.json"]);
    for same in [checksum.clone(), checksum.to_uppercase(), format!("sha256:{checksum}")] {
        world.run_alone(&line(&same)).ends(0).says(&["is trusted from now on"]);
    }
    for no_checksum in ["abc", &other[1..], &other.replace("00", "0x")] {
        world.run_alone(&line(no_checksum)).ends(2).says(&["sha256sum"]);
    }
    // Signed by itself, and of somebody else.
    let strangers = Draft { roots: vec![vec!["eve", "mal", "sly"]], ..draft };
    world.write("strange.json", strangers.root(1));
    world.run_alone(&file.replace("root.json", "strange.json")).ends(1).says(&["was not chosen"]);
}

/// CVE-2024-51491: what cannot be kept decides nothing.
#[test]
fn a_home_that_cannot_be_written_is_done_without() {
    let (world, mirror, _) = scene();
    // Below a file nobody can write, not even those who may write everywhere.
    let home = world.path("app.tar/tuf");
    let home = home.to_str().unwrap();
    let line = format!("initialize --mirror {} --root root.json", mirror.url);
    let mut command = world.command(&line);
    let said = Said::new(&line, &command.env("TUF_ROOT", home).output().unwrap());
    said.ends(1).says(&["was not chosen", home]);
    // Named by variables it is used all the same, and asked each time.
    let image = world.push("acme/app", "v1");
    for line in [format!("sign {image}"), format!("verify {} {image}", world.by_release())] {
        mirror.asked();
        let mut command = world.command(&line);
        command.env("TUF_ROOT", home).env("TUF_MIRROR", &mirror.url);
        command.env("TUF_ROOT_JSON", world.path("root.json"));
        let said = Said::new(&line, &command.output().unwrap());
        said.ends(0).says(&["note:", home]);
        assert!(mirror.asked().contains(&"/timestamp.json".to_owned()), "{line}");
    }
}

#[test]
fn staging_is_one_mirror_and_its_root_is_built_in() {
    let world = World::new();
    for other in ["--mirror https://x", "--root root.json"] {
        world.run_alone(&format!("initialize --staging {other}")).ends(2).says(&["--staging"]);
    }
    // No network but loopback: the port is one that nobody listens on.
    let line = "initialize --staging -t 5s";
    let mut command = world.command(line);
    for variable in ["HTTPS_PROXY", "https_proxy"] {
        command.env(variable, "http://127.0.0.1:1");
    }
    let said = Said::new(line, &command.output().unwrap());
    said.ends(1).says(&["https://tuf-repo-cdn.sigstage.dev was not chosen", "Connection refused"]);
    assert!(!world.path("home/tuf").exists());
}

#[test]
fn an_expired_repository_is_not_chosen() {
    let (world, mirror, draft) = scene();
    for role in ROLES {
        mirror.publish(&draft.clone().until(role, "2020-01-01T00:00:00Z"));
        world.write("root.json", mirror.root());
        let line = format!("initialize --mirror {} --root root.json", mirror.url);
        let said = world.run_alone(&line).ends(1);
        said.says(&["was not chosen", role, "2020-01-01"]);
    }
    // The instance has to say how it is asked, where it is asked to sign.
    let mut bare = draft;
    bare.content.remove("signing_config.v0.2.json");
    mirror.publish(&bare);
    initialize(&world, &mirror);
    world.run_alone("sign-blob --bundle b.json app.tar").ends(3).says(&["signing_config"]);
}

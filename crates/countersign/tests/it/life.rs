//! An instance from its first start to its end: what is made once, what stays, what is refused.

use std::io::{Read, Write};
use std::time::Duration;

use crypto::KeyKind;
use serde_json::Value;
use testkit::Submission;
use testkit::log::Kind;

use crate::instance::{Instance, Place, Starting, copy, providers};
use crate::process::run;
use crate::trust::{verify_checkpoint, verify_entry_v1};
use crate::wire::{connect, read_answer, request};

/// A first start takes less than a second, keys included. Twenty times that here: the program is not
/// optimised, and the machine is slow, and busy with other tests.
const START_MAX: Duration = Duration::from_secs(20);

/// What asks for the body of a request that expects to be asked (RFC 9110, 10.1.1).
const CONTINUE: &[u8; 25] = b"HTTP/1.1 100 Continue\r\n\r\n";

fn submission(content: &str) -> Value {
    Submission::new(Kind::HashedRekordV1, KeyKind::EcdsaP256).about(content.as_bytes()).request()
}

/// Logs something in every log, and returns what must still be there after any restart.
fn append(instance: &Instance, content: &str) -> Value {
    let v2 = Submission::new(Kind::HashedRekordV2, KeyKind::EcdsaP256).about(content.as_bytes());
    instance.post("/api/v2/log/entries", &v2.request()).wanted(201);
    crate::authority_api::certificate(instance);
    instance.post("/api/v1/log/entries", &submission(content)).wanted(201).json()
}

#[test]
fn the_first_start_is_quick_and_so_is_every_other() {
    let place = Place::new();
    let instance = place.start();
    let first = instance.ready_after;
    append(&instance, "something");
    instance.stop();
    let instance = place.start();
    let again = instance.ready_after;
    println!("ready {first:?} after the first start, {again:?} after the second");
    assert!(first < START_MAX && again < START_MAX, "{first:?}, {again:?}");
}

#[test]
fn a_restart_keeps_keys_names_and_entries_whatever_the_port() {
    let place = Place::new();
    let instance = place.start();
    let (trust, address) = (instance.trust(), instance.address());
    let tree: u64 = tree_of(&instance);
    let entry = append(&instance, "kept");
    let before = verify_entry_v1(&entry, &trust, tree);
    let checkpoints =
        ["/checkpoint", "/ct/checkpoint"].map(|path| instance.get(path).wanted(200).body);
    instance.stop();

    // Listen where it was, so that the first port is taken and another must be found. Should another
    // test have it already, it is taken as well, only not for sure until the end.
    let taken = std::net::TcpListener::bind(address);
    let instance = place.start();
    assert!(taken.is_err() || instance.address() != address);
    let restarted = instance.trust();
    for (old, new) in [
        (&trust.log_v1, &restarted.log_v1),
        (&trust.log_v2, &restarted.log_v2),
        (&trust.ct, &restarted.ct),
    ] {
        assert_eq!((&old.key, &old.id), (&new.key, &new.id));
    }
    let der = |chain: &[evidence::Certificate]| -> Vec<_> {
        chain.iter().map(|certificate| certificate.der().to_vec()).collect()
    };
    assert_eq!(der(&trust.authority), der(&restarted.authority));
    assert_eq!(der(&trust.timestamps), der(&restarted.timestamps));
    assert_eq!(tree_of(&instance), tree);

    let path = format!("/api/v1/log/entries/{}", before.id);
    let after = verify_entry_v1(&instance.get(&path).wanted(200).json(), &trust, tree);
    assert_eq!((after.index, after.time, &after.body), (before.index, before.time, &before.body));
    // Nothing was logged since: the very same notes.
    let again = ["/checkpoint", "/ct/checkpoint"].map(|path| instance.get(path).wanted(200).body);
    assert_eq!(again, checkpoints);
    let note = String::from_utf8(again[0].clone()).unwrap();
    assert_eq!(verify_checkpoint(&note, &trust.log_v2, "127.0.0.1").size.0, 1);
    // And the logs go on.
    let next = verify_entry_v1(&append(&instance, "next"), &trust, tree);
    assert_eq!(next.index, before.index + 1);
}

fn tree_of(instance: &Instance) -> u64 {
    let info = instance.get("/api/v1/log").wanted(200).json();
    info["treeID"].as_str().unwrap().parse().unwrap()
}

#[test]
fn the_files_for_clients_name_where_it_is_now() {
    let place = Place::new();
    for _ in 0..2 {
        let instance = place.start();
        let config = instance.get("/trust_config.json").wanted(200).json();
        let file = std::fs::read(place.data().join("public/trust_config.json")).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&file).unwrap(), config);
        assert_eq!(config["trustedRoot"], instance.get("/trusted_root.json").json());
        assert_eq!(config["signingConfig"], instance.get("/signing_config.json").json());
        assert_eq!(config["signingConfig"]["caUrls"][0]["url"], *instance.url);
        // People log in at their provider; nobody logs in at a CI system.
        let logins = config["signingConfig"]["oidcUrls"].as_array().unwrap();
        let logins: Vec<_> = logins.iter().map(|login| login["url"].as_str().unwrap()).collect();
        assert_eq!(logins, [providers().people.url()]);
        instance.stop();
    }
}

#[test]
fn the_ready_file_says_where_it_is_and_goes_with_it() {
    let place = Place::new();
    let stale = place.path("ready");
    std::fs::write(&stale, "http://127.0.0.1:1\n").unwrap();
    let instance = place.start_with(&["--external-url", "http://localhost:8180"]).unwrap();
    let written = std::fs::read_to_string(&instance.ready_file).unwrap();
    assert_eq!(written, "http://localhost:8180\n");
    let ready_file = instance.ready_file.clone();
    instance.stop();
    assert!(!ready_file.exists());
}

/// A script that waits for the file must not find one that a killed process left behind.
#[test]
fn a_ready_file_that_was_left_behind_is_gone_before_anything_else_happens() {
    let place = Place::new();
    let stale = place.path("ready");
    std::fs::write(&stale, "http://127.0.0.1:1\n").unwrap();
    let (data, directory) = (place.data(), place.path(""));
    let paths = [&data, &directory, &stale].map(|path| path.to_str().unwrap());
    let [data, no_lock, ready] = paths;
    let output = run(&["serve", "--data", data, "--lock", no_lock, "--ready-file", ready]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!stale.exists());
}

#[test]
fn another_host_is_refused_because_the_logs_bear_the_first() {
    let place = Place::new();
    place.start().stop();
    let refusal = place.refusal(&["--external-url", "http://localhost:8180"]);
    assert_eq!(refusal.code, Some(2));
    refusal.says(&["logs are named `127.0.0.1`", "served as `localhost`", "--external-url"]);
    // It is as it was.
    place.start().stop();
}

#[test]
fn plain_http_beyond_loopback_is_refused_without_a_proxy() {
    let place = Place::new();
    let refusal = place.refusal(&["--listen", "0.0.0.0:0"]);
    assert_eq!(refusal.code, Some(2));
    refusal.says(&["plain HTTP on 0.0.0.0:0", "--behind-proxy"]);
    let refusal = place.refusal(&["--external-url", "http://sigstore.example.com"]);
    assert_eq!(refusal.code, Some(2));
    refusal.says(&["http://sigstore.example.com", "HTTPS"]);
    assert!(!place.data().exists(), "nothing is made for a start that is refused");
    // With a proxy in front it is said where that is.
    let refusal = place.refusal(&["--listen", "0.0.0.0:0", "--behind-proxy"]);
    refusal.says(&["clients cannot reach", "--external-url"]);
    let arguments = ["--external-url", "https://sigstore.example.com", "--behind-proxy"];
    let instance = place.start_with(&arguments).unwrap();
    assert_eq!(instance.url, "https://sigstore.example.com");
}

#[test]
fn what_is_no_host_of_an_instance_is_refused() {
    let place = Place::new();
    for url in [
        "https://sigstore.example.com/instance",
        "https://sigstore.example.com/?a=b",
        "https://user@sigstore.example.com",
        "ftp://127.0.0.1",
        "unix:/run/countersign.sock",
    ] {
        let refusal = place.refusal(&["--external-url", url]);
        assert_eq!(refusal.code, Some(2), "{url}");
        refusal.says(&["cannot use the external URL", "give scheme and host only"]);
    }
}

#[test]
fn two_processes_never_serve_one_directory_or_one_lock() {
    let place = Place::new();
    let instance = place.start();
    let refusal = place.refusal(&[]);
    assert_eq!(refusal.code, Some(1));
    let process = format!("process {}", instance.process_id());
    refusal.says(&["another process serves", place.data().to_str().unwrap(), "stop ", &process]);

    // Another directory with the same lock.
    let other = Place::new();
    let lock = place.lock();
    let refusal = other.refusal(&["--lock", lock.to_str().unwrap()]);
    refusal.says(&[lock.to_str().unwrap(), "in use", "name another file with --lock"]);
    // And by whom.
    refusal.says(&[&format!("{process}, which serves {}", place.data().display())]);
    append(&instance, "not disturbed");
}

#[test]
fn older_data_with_a_newer_lock_is_refused() {
    let place = Place::new();
    let instance = place.start();
    append(&instance, "in the backup");
    instance.stop();
    let backup = place.path("backup");
    copy(&place.data(), &backup);

    let instance = place.start();
    append(&instance, "after the backup");
    instance.stop();
    let newest = place.path("newest");
    std::fs::rename(place.data(), &newest).unwrap();
    copy(&backup, &place.data());

    let refusal = place.refusal(&[]);
    assert_eq!(refusal.code, Some(1));
    let committed = ["committed to 2 entries", "storage holds 1", "would fork"];
    refusal.says(&committed);
    refusal.says(&[place.lock().to_str().unwrap()]);

    // With the newest data it goes on.
    std::fs::remove_dir_all(place.data()).unwrap();
    std::fs::rename(&newest, place.data()).unwrap();
    append(&place.start(), "and on");
}

#[test]
fn an_older_lock_with_newer_data_is_refused() {
    let place = Place::new();
    let instance = place.start();
    append(&instance, "first");
    instance.stop();
    std::fs::copy(place.lock(), place.path("backup.lock")).unwrap();
    let instance = place.start();
    append(&instance, "second");
    instance.stop();
    std::fs::copy(place.path("backup.lock"), place.lock()).unwrap();
    place.refusal(&[]).says(&["storage holds 2 entries", "committed to 1", "rolled back"]);
}

#[test]
fn a_lost_lock_is_refused() {
    let place = Place::new();
    let instance = place.start();
    append(&instance, "logged");
    instance.stop();
    let kept = place.path("kept.lock");
    std::fs::rename(place.lock(), &kept).unwrap();
    let refusal = place.refusal(&[]);
    assert_eq!(refusal.code, Some(1));
    refusal.says(&["the lock is empty", place.lock().to_str().unwrap()]);
    std::fs::rename(kept, place.lock()).unwrap();
    append(&place.start(), "and on");
}

#[test]
fn a_damaged_lock_is_refused() {
    let place = Place::new();
    place.start().stop();
    let mut lock = std::fs::read(place.lock()).unwrap();
    lock[40] ^= 1;
    std::fs::write(place.lock(), lock).unwrap();
    place.refusal(&[]).says(&[place.lock().to_str().unwrap(), "damaged"]);
}

/// A copy of the data must not bring an old lock along.
#[test]
fn the_lock_is_beside_the_data_however_these_are_named_and_never_among_them() {
    let place = Place::new();
    let inside = place.data().join("state.lock");
    let refusal = place.refusal(&["--lock", inside.to_str().unwrap()]);
    assert_eq!(refusal.code, Some(2));
    refusal.says(&["is inside of", "would bring an old lock along"]);
    assert!(!place.data().exists());

    std::fs::create_dir(place.data()).unwrap();
    let data = place.data().join(".");
    let instance = place.start_at(&data, &[]).unwrap();
    instance.stop();
    assert!(place.lock().exists());
    let nameless = place.data().join("..");
    let refusal = place.start_at(&nameless, &[]).err().unwrap();
    refusal.says(&["no place beside", "--lock"]);
}

/// However the two are named: through links, through `..`, before the data are there and after.
#[cfg(unix)]
#[test]
fn a_lock_among_the_data_is_found_out_under_any_name() {
    let place = Place::new();
    let elsewhere = place.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let link = place.path("link");
    std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    let into_data = place.path("into-data");
    std::os::unix::fs::symlink(place.data(), &into_data).unwrap();
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let refused = |data: &std::path::Path, lock: &std::path::Path| {
        let refusal = place.start_at(data, &["--lock", &text(lock)]).err().unwrap();
        assert_eq!(refusal.code, Some(2), "{refusal:?}");
        refusal.says(&["is inside of", "would bring an old lock along"]);
    };
    // Neither is there yet.
    refused(&place.data(), &place.path("other/../data/state.lock"));
    refused(&link.join("data"), &elsewhere.join("data/state.lock"));
    refused(&elsewhere.join("data"), &link.join("data/deeper/state.lock"));
    refused(&link, &elsewhere.join("state.lock"));
    assert!(!place.data().exists() && std::fs::read_dir(&elsewhere).unwrap().next().is_none());
    // Both are.
    place.start().stop();
    refused(&place.data(), &into_data.join("state.lock"));
    refused(&place.data(), &elsewhere.join("../data/state.lock"));
    std::fs::write(place.data().join("state.lock"), "").unwrap();
    std::os::unix::fs::symlink(place.data().join("state.lock"), elsewhere.join("lock")).unwrap();
    refused(&place.data(), &elsewhere.join("lock"));
    // What only looks like it is not.
    let beside = place.data().join("../data-2.lock");
    place.start_at(&place.path("data-2"), &["--lock", &text(&beside)]).unwrap().stop();
}

/// Who deletes the data to begin anew leaves the lock behind.
#[test]
fn a_new_instance_does_not_take_the_lock_of_an_older_one() {
    let place = Place::new();
    place.start().stop();
    std::fs::remove_dir_all(place.data()).unwrap();
    let refusal = place.refusal(&[]);
    assert_eq!(refusal.code, Some(1));
    refusal.says(&[place.lock().to_str().unwrap(), "of an older one", "--lock"]);
    std::fs::remove_file(place.lock()).unwrap();
    place.start().stop();
}

/// New keys would sign a log whose past they cannot have signed.
#[test]
fn lost_keys_are_not_made_anew() {
    let place = Place::new();
    place.start().stop();
    let keys = place.data().join("keys");
    std::fs::rename(&keys, place.path("kept")).unwrap();
    let refusal = place.refusal(&[]);
    refusal.says(&["cannot find the keys", "backup"]);
    assert!(!keys.exists());
    std::fs::rename(place.path("kept"), &keys).unwrap();
    place.start().stop();
}

/// Whenever it ends, the next start makes what is missing, or takes what is there.
#[test]
fn a_first_start_may_be_killed_at_any_moment() {
    let usual = Place::new().start().ready_after;
    const KILLS: u32 = 24;
    for kill in 0..KILLS {
        let place = Place::new();
        let starting = Starting::new(&place);
        std::thread::sleep(usual * kill / KILLS);
        drop(starting);
        let instance = place.start();
        let (trust, tree) = (instance.trust(), tree_of(&instance));
        verify_entry_v1(&append(&instance, "it works"), &trust, tree);
    }
}

/// A request that came before the signal is answered; then the process is gone.
#[test]
fn a_stop_finishes_what_is_under_way() {
    let place = Place::new();
    let instance = place.start();
    let address = instance.address();
    let body = submission("while it stops").to_string();
    let expect = [("expect", "100-continue")];
    let bytes = request("POST", "/api/v1/log/entries", &expect, body.as_bytes());
    let (head, body) = bytes.split_at(bytes.len() - body.len());
    let (first, rest) = body.split_at(body.len() - 10);
    let mut stream = connect(address).unwrap();
    stream.write_all(head).unwrap();
    // Whoever asks for the body has read the head, and works on the request.
    let mut asked = [0; CONTINUE.len()];
    stream.read_exact(&mut asked).unwrap();
    assert_eq!(asked, *CONTINUE);
    stream.write_all(first).unwrap();
    instance.terminate();
    while connect(address).is_ok() {
        // It still listens: it has not seen the signal yet.
        std::thread::yield_now();
    }
    stream.write_all(rest).unwrap();
    let answer = read_answer(&mut stream).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    let said = instance.said();
    let status = instance.ended();
    assert!(status.success(), "{status}: {said}");

    let instance = place.start();
    let entry = answer.json();
    let id = entry.as_object().unwrap().keys().next().unwrap();
    instance.get(&format!("/api/v1/log/entries/{id}")).wanted(200);
}

//! A mirror is believed only as far as its metadata proves.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use client::FetchErrorKind;
use client::mirror::{Fault, Mirror, MirrorError, Refresh, Warning};
use serde_json::{Value, json};

use super::{ALWAYS, USUAL, ask, at, copy, copy_path, kept, mirror, now, refused, refused_by};
use crate::tuf::{Draft, Repository, id, key, usual_draft};

#[tokio::test]
async fn roots_are_followed_one_by_one() {
    let draft = Draft {
        roots: vec![
            vec!["ann", "bob", "cat"],
            vec!["bob", "cat", "dan"],
            vec!["dan", "eve", "fay"],
        ],
        ..usual_draft()
    };
    let repository = Repository::start(&draft).await;
    let folder = tempfile::tempdir().unwrap();
    let mirror = mirror(&repository, &draft).kept_in(folder.path());
    ask(&mirror, USUAL, now()).await.unwrap();
    let lines = ["GET /2.root.json", "GET /3.root.json", "GET /4.root.json"];
    assert_eq!(repository.server.lines()[..3], lines);
    // The copy knows the way too.
    ask(&mirror, Refresh::Offline, now()).await.unwrap();
    ask(&mirror, ALWAYS, now()).await.unwrap();
    assert_eq!(repository.server.lines()[8..], ["GET /4.root.json", "GET /timestamp.json"]);
}

#[tokio::test]
async fn a_root_is_signed_by_the_one_before_and_by_itself() {
    let draft = Draft {
        roots: vec![vec!["ann", "bob", "cat"], vec!["dan", "eve", "fay"]],
        ..usual_draft()
    };
    for signers in [
        // One of the old ones is missing, or of the new ones, or both are.
        &["ann", "dan", "eve", "fay"][..],
        &["ann", "bob", "cat", "dan"],
        &["ann", "dan"],
        &[],
        // Somebody else's signature in an old one's name.
        &["eve=ann", "bob", "dan", "eve"],
    ] {
        let fault = refused(&draft.clone().signed_by("root", signers)).await;
        assert!(matches!(&fault, Fault::Threshold { role, .. } if role == "root"), "{fault:?}");
    }
    // CVE-2022-29173: a version left out, or the same again.
    for version in [1, 3] {
        let fault =
            refused(&draft.clone().edit("root", move |root| root["version"] = version.into()))
                .await;
        assert!(matches!(fault, Fault::RootVersion { trusted: 1, .. }), "{fault:?}");
    }
}

#[tokio::test]
async fn every_role_needs_its_own_signatures() {
    let draft = usual_draft();
    for (role, signers, wanted) in [
        ("targets", &["ann"][..], 2),
        ("targets", &["machine", "eve"], 2),
        ("targets", &["ann", "eve=bob"], 2),
        ("snapshot", &["ann", "bob", "cat"], 1),
        ("snapshot", &[], 1),
        ("timestamp", &["ann"], 1),
        ("timestamp", &["ann=machine"], 1),
    ] {
        let fault = refused(&draft.clone().signed_by(role, signers)).await;
        let named = matches!(&fault, Fault::Threshold { role: found, wanted: threshold, .. }
            if found == role && *threshold == wanted);
        assert!(named, "{role} {signers:?}: {fault:?}");
    }
    let twice = draft.signed_by("targets", &["ann", "ann"]);
    let fault = refused(&twice).await;
    assert!(matches!(fault, Fault::DuplicateSignature { .. }), "{fault:?}");
}

/// CVE-2026-6966, CVE-2020-6174: a key counts once, whatever it is called and however it is
/// written.
#[tokio::test]
async fn one_key_under_two_names_is_one_key() {
    let two_names = |public: fn(&str) -> Value| {
        move |root: &mut Value| {
            root["keys"][id("ann again")] = public("ann");
            root["roles"]["targets"]["keyids"] = json!([id("ann"), id("ann again")]);
        }
    };
    let other_writing = |name: &str| {
        let mut key = key(name);
        let pem = key["keyval"]["public"].as_str().unwrap().replace('\n', "\r\n");
        key["keyval"]["public"] = format!("\n{pem}\n").into();
        key
    };
    for public in [key as fn(&str) -> Value, other_writing] {
        let draft = usual_draft().signed_by("targets", &["ann", "ann=ann again"]);
        // In a root that comes, and in the one to begin with.
        let rotated = Draft { roots: vec![vec!["ann", "bob", "cat"]; 2], ..draft.clone() };
        let fault = refused(&rotated.edit("root", two_names(public))).await;
        assert!(matches!(&fault, Fault::SharedKey { role } if role == "targets"), "{fault:?}");
        let anchor = draft.edit("root", two_names(public)).root(1);
        let error = Mirror::new("https://tuf.example".parse().unwrap(), anchor).unwrap_err();
        assert!(matches!(error, MirrorError::Anchor(Fault::SharedKey { .. })), "{error:?}");
    }
}

/// The same in a copy, which anybody may have written.
#[tokio::test]
async fn one_key_is_one_key_in_a_copy_too() {
    let draft = Draft { roots: vec![vec!["ann", "bob", "cat"]; 2], ..usual_draft() };
    let repository = Repository::start(&draft).await;
    let folder = tempfile::tempdir().unwrap();
    let (mirror, good) = kept(&repository, &draft, &folder).await;
    let two_names = draft.signed_by("targets", &["ann", "ann=ann again"]).edit("root", |root| {
        root["keys"][id("ann again")] = key("ann");
        root["roles"]["targets"]["keyids"] = json!([id("ann"), id("ann again")]);
    });
    let mut copy: Value = serde_json::from_slice(&good).unwrap();
    for (name, bytes) in two_names.files() {
        let kept_as = match name.as_str() {
            "/2.root.json" => "root_history/2.root.json",
            "/timestamp.json" => "timestamp.json",
            "/1.snapshot.json" => "snapshot.json",
            "/1.targets.json" => "targets.json",
            _ => continue,
        };
        copy["files"][kept_as] = STANDARD.encode(bytes).into();
    }
    std::fs::write(copy_path(&folder), copy.to_string()).unwrap();
    let error = ask(&mirror, Refresh::Offline, now()).await.unwrap_err();
    assert!(matches!(error, MirrorError::NothingOffline { .. }), "{error:?}");
}

#[tokio::test]
async fn no_threshold_is_none_at_all() {
    let draft = Draft { roots: vec![vec!["ann", "bob", "cat"]; 2], ..usual_draft() };
    for threshold in [json!(0), json!(-1), json!("2"), json!(null)] {
        let zero = draft.clone().signed_by("timestamp", &[]).edit("root", move |root| {
            root["roles"]["timestamp"]["threshold"] = threshold.clone();
        });
        let fault = refused(&zero).await;
        assert!(matches!(fault, Fault::Malformed(_)), "{fault:?}");
    }
}

#[tokio::test]
async fn what_was_seen_is_not_taken_back() {
    let draft = usual_draft().versions(5, 5, 5);
    let repository = Repository::start(&draft).await;
    let folder = tempfile::tempdir().unwrap();
    let (mirror, copy_before) = kept(&repository, &draft, &folder).await;
    for (versions, role) in [
        ((4, 5, 5), "timestamp"),
        ((6, 4, 5), "snapshot (via timestamp)"),
        ((6, 6, 4), "targets.json (via snapshot)"),
    ] {
        let (timestamp, snapshot, targets) = versions;
        repository.publish(&draft.clone().versions(timestamp, snapshot, targets));
        let fault = refused_by(&mirror).await;
        assert!(
            matches!(&fault, Fault::Rollback { role: found, trusted: 5, found: 4 }
            if found == role),
            "{fault:?}"
        );
        assert!(copy(&folder) == copy_before, "the copy stays");
    }
    // Also when what was seen has expired meanwhile.
    repository.publish(&draft.clone().versions(4, 5, 5).until("timestamp", "2027-01-01T00:00:00Z"));
    let far = at("2026-08-01T00:00:00Z");
    let error = ask(&mirror, USUAL, far).await.unwrap_err();
    assert!(matches!(error, MirrorError::Expired { ref role, .. } if role == "root"), "{error:?}");
    // The same again is no step back.
    repository.publish(&draft);
    ask(&mirror, ALWAYS, now()).await.unwrap();
}

#[tokio::test]
async fn an_expired_copy_still_tells_what_is_older() {
    let draft = usual_draft().versions(5, 5, 5).until("timestamp", "2026-06-02T00:00:00Z");
    let repository = Repository::start(&draft).await;
    let folder = tempfile::tempdir().unwrap();
    let (mirror, _) = kept(&repository, &draft, &folder).await;
    repository.publish(&draft.clone().versions(4, 5, 5).until("timestamp", "2026-06-30T00:00:00Z"));
    match ask(&mirror, USUAL, at("2026-06-10T00:00:00Z")).await.unwrap_err() {
        MirrorError::Refused { source: Fault::Rollback { trusted: 5, found: 4, .. }, .. } => {}
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn pieces_of_several_repositories_make_none() {
    let draft = usual_draft();
    let mut other = draft.clone();
    other.content.insert("trusted_root.json", b"{}".to_vec());
    for path in ["/1.snapshot.json", "/1.targets.json"] {
        let repository = Repository::start(&draft).await;
        repository.put(path, other.files()[path].clone());
        let fault = refused_by(&mirror(&repository, &draft)).await;
        assert!(matches!(fault, Fault::Integrity(_)), "{path}: {fault:?}");
    }
    // Pinned by version only, as many repositories do.
    let unpinned = |draft: Draft| {
        draft.edit("timestamp", |signed| {
            let pin = signed["meta"]["snapshot.json"].as_object_mut().unwrap();
            pin.retain(|name, _| name == "version");
        })
    };
    let repository = Repository::start(&unpinned(draft.clone())).await;
    let mirror = mirror(&repository, &draft);
    ask(&mirror, ALWAYS, now()).await.unwrap();
    repository.put(
        "/1.snapshot.json",
        draft.clone().versions(1, 2, 1).files()["/2.snapshot.json"].clone(),
    );
    let fault = refused_by(&mirror).await;
    assert!(matches!(fault, Fault::Integrity(_)), "{fault:?}");
}

#[tokio::test]
async fn a_target_is_what_was_signed_for() {
    let mut draft = usual_draft();
    let signed = draft.content["trusted_root.json"].clone();
    let mut flipped = signed.clone();
    flipped[0] ^= 1;
    let mut longer = signed.clone();
    longer.push(b' ');
    for (sent, too_long) in [(flipped, false), (signed[1..].to_vec(), false), (longer, true)] {
        draft.sent.insert("trusted_root.json", sent);
        match refused(&draft).await {
            Fault::Integrity(_) => assert!(!too_long),
            Fault::Answer(error) => {
                assert!(too_long && matches!(error.kind(), FetchErrorKind::TooLarge { .. }));
            }
            fault => panic!("{fault:?}"),
        }
    }
    draft.sent.clear();
    for (name, value) in [
        ("length", json!(signed.len() + 1)),
        ("hashes", json!({"sha256": "00".repeat(32)})),
        // A hash nobody can check is no hash.
        ("hashes", json!({"md5": "00"})),
        ("hashes", json!({})),
    ] {
        let wrong = draft.clone().edit("targets", move |targets| {
            targets["targets"]["trusted_root.json"][name] = value.clone();
        });
        let repository = Repository::start(&wrong).await;
        for hash in ["00".repeat(32), "00".to_owned()] {
            repository.put(&format!("/targets/{hash}.trusted_root.json"), signed.clone());
        }
        let fault = refused_by(&mirror(&repository, &wrong)).await;
        assert!(matches!(fault, Fault::Integrity(_)), "{name}: {fault:?}");
    }
}

/// CVE-2026-24137, CVE-2026-24686, CVE-2021-41131: names out of the metadata lead nowhere.
#[tokio::test]
async fn names_in_metadata_lead_nowhere() {
    for hash in ["../../secret", "/etc/passwd?", "..", "a\u{0}b", "%2e%2e/x", "x y", ""] {
        let draft = usual_draft().edit("targets", move |targets| {
            targets["targets"]["trusted_root.json"]["hashes"] = json!({"sha256": hash});
        });
        let repository = Repository::start(&draft).await;
        let folder = tempfile::tempdir().unwrap();
        let mirror = mirror(&repository, &draft).kept_in(folder.path());
        match ask(&mirror, ALWAYS, now()).await.unwrap_err() {
            MirrorError::Refused { source: Fault::Integrity(_), .. } => {}
            // A file of the usual form that is not there.
            MirrorError::Fetch { .. } if hash.is_empty() || hash == ".." => {}
            error => panic!("{hash:?}: {error:?}"),
        }
        let below = |line: &String| line.starts_with("GET /targets/") || !line.contains("secret");
        assert!(repository.server.lines().iter().all(below), "{:?}", repository.server.lines());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    // Delegated roles with such names, which the library asks for in percent-encoding.
    let mut draft = usual_draft();
    draft.content.clear();
    let name = "../../../../tmp/x";
    let draft = draft
        .edit("targets", move |targets| {
            targets["delegations"] = json!({"keys": {id("eve"): key("eve")}, "roles": [{
                "name": name, "keyids": [id("eve")], "threshold": 1, "terminating": false,
                "paths": ["*"]}]});
        })
        .edit("snapshot", move |snapshot| {
            snapshot["meta"][format!("{name}.json")] = json!({"version": 1});
        });
    let repository = Repository::start(&draft).await;
    let error = ask(&mirror(&repository, &draft), ALWAYS, now()).await.unwrap_err();
    assert!(matches!(error, MirrorError::Fetch { .. }), "{error:?}");
    let last = repository.server.lines().pop().unwrap();
    assert_eq!(last, "GET /1...%2F..%2F..%2F..%2Ftmp%2Fx.json", "one segment, whatever is in it");
}

#[tokio::test]
async fn what_has_ended_is_named_with_its_end() {
    let end = "2026-06-01T00:00:00Z";
    for role in ["root", "timestamp", "snapshot", "targets"] {
        let draft = usual_draft().until(role, end);
        let repository = Repository::start(&draft).await;
        let mirror = mirror(&repository, &draft);
        // At the very moment it has ended.
        match ask(&mirror, ALWAYS, at(end)).await.unwrap_err() {
            MirrorError::Expired { role: found, expired, now, .. } => {
                assert_eq!((found.as_str(), expired, now), (role, at(end), at(end)));
            }
            error => panic!("{role}: {error:?}"),
        }
        let material = ask(&mirror, ALWAYS, at(end).plus_seconds(-1)).await.unwrap();
        let warned = matches!(material.warnings(), [Warning::ExpiresSoon { role: found, expires }]
            if *found == role && *expires == at(end));
        assert!(warned, "{role}: {:?}", material.warnings());
    }
    let material = {
        let draft = usual_draft();
        let repository = Repository::start(&draft).await;
        ask(&mirror(&repository, &draft), ALWAYS, now()).await.unwrap()
    };
    assert!(material.warnings().is_empty(), "{:?}", material.warnings());
}

#[tokio::test]
async fn an_answer_without_end_is_not_read() {
    let draft = usual_draft();
    for path in
        ["2.root.json", "timestamp.json", "snapshot.json", "targets.json", "trusted_root.json"]
    {
        let repository = Repository::start(&draft).await;
        repository.without_end(path);
        match refused_by(&mirror(&repository, &draft)).await {
            Fault::Answer(error) => {
                assert!(matches!(error.kind(), FetchErrorKind::TooLarge { .. }), "{error:?}");
            }
            fault => panic!("{path}: {fault:?}"),
        }
    }
}

#[tokio::test]
async fn roots_without_end_are_not_followed() {
    let draft = Draft { roots: vec![vec!["ann", "bob"]; 66], ..usual_draft() };
    let repository = Repository::start(&draft).await;
    let fault = refused_by(&mirror(&repository, &draft)).await;
    assert!(matches!(fault, Fault::Malformed(_)), "{fault:?}");
    assert_eq!(repository.server.requests().len(), 64);
}

#[tokio::test]
async fn too_many_keys_are_not_read() {
    let draft = Draft { roots: vec![vec!["ann", "bob", "cat"]; 2], ..usual_draft() };
    let many = draft.edit("root", |root| {
        for number in 0..61 {
            root["keys"][format!("{number}")] = key("eve");
        }
    });
    let fault = refused(&many).await;
    assert!(matches!(fault, Fault::TooManyKeys { found: 65 }), "{fault:?}");
}

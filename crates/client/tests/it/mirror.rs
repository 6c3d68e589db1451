//! A mirror is asked seldom, believed only as far as its metadata proves, and what it said last
//! stays.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use client::mirror::{
    Fault, InitializeError, MAX_AGE, Material, Mirror, MirrorError, Origin, Refresh, Settings,
    SettingsError, SigningProfile, Warning, initialize,
};
use client::{Deadline, FetchErrorKind};
use evidence::UnixTime;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::tuf::{Draft, NOW, Repository, id, key};
use crate::{ample, http};

const ALWAYS: Refresh = Refresh::After(Duration::ZERO);
const USUAL: Refresh = Refresh::After(MAX_AGE);

fn at(time: &str) -> UnixTime {
    UnixTime::from_rfc3339(time).unwrap()
}

fn now() -> UnixTime {
    at(NOW)
}

fn mirror(repository: &Repository, draft: &Draft) -> Mirror {
    Mirror::new(repository.server.url("").parse().unwrap(), draft.root(1)).unwrap()
}

async fn ask(mirror: &Mirror, refresh: Refresh, now: UnixTime) -> Result<Material, MirrorError> {
    mirror.material(&http(), refresh, now, ample()).await
}

/// The fault for which a mirror with this content is refused.
async fn refused(draft: &Draft) -> Fault {
    let repository = Repository::start(draft).await;
    refused_by(&mirror(&repository, draft)).await
}

async fn refused_by(mirror: &Mirror) -> Fault {
    match ask(mirror, ALWAYS, now()).await.unwrap_err() {
        MirrorError::Refused { source, .. } => source,
        error => panic!("{error:?}"),
    }
}

/// A mirror that keeps its copy, refreshed once; and the bytes of the copy.
async fn kept(repository: &Repository, draft: &Draft, folder: &TempDir) -> (Mirror, Vec<u8>) {
    let mirror = mirror(repository, draft).kept_in(folder.path());
    let material = ask(&mirror, USUAL, now()).await.unwrap();
    assert_eq!(material.origin(), Origin::Mirror);
    let copy = copy(folder);
    (mirror, copy)
}

fn copy_path(folder: &TempDir) -> std::path::PathBuf {
    let mut folders = std::fs::read_dir(folder.path()).unwrap();
    folders.next().unwrap().unwrap().path().join("last-good.json")
}

fn copy(folder: &TempDir) -> Vec<u8> {
    std::fs::read(copy_path(folder)).unwrap()
}

#[tokio::test]
async fn a_mirror_is_asked_once_a_day() {
    let draft = Draft::default();
    let repository = Repository::start(&draft).await;
    let folder = tempfile::tempdir().unwrap();
    let (mirror, _) = kept(&repository, &draft, &folder).await;
    let hash = |name| hex::encode(crypto::sha256(&draft.content[name]));
    assert_eq!(
        repository.server.lines(),
        [
            "GET /2.root.json".to_owned(),
            "GET /timestamp.json".to_owned(),
            "GET /1.snapshot.json".to_owned(),
            "GET /1.targets.json".to_owned(),
            format!("GET /targets/{}.trusted_root.json", hash("trusted_root.json")),
            format!("GET /targets/{}.signing_config.v0.2.json", hash("signing_config.v0.2.json")),
        ]
    );
    let day = MAX_AGE.as_secs().try_into().unwrap();
    let again = ask(&mirror, USUAL, now().plus_seconds(day - 1)).await.unwrap();
    assert_eq!(again.origin(), Origin::LastGood { fetched: Some(now()) });
    assert_eq!(repository.server.requests().len(), 6);
    // After that only what may have changed.
    let later = ask(&mirror, USUAL, now().plus_seconds(day)).await.unwrap();
    assert_eq!(later.origin(), Origin::Mirror);
    assert_eq!(repository.server.lines()[6..], ["GET /2.root.json", "GET /timestamp.json"]);
    // A clock that went back does not make a copy young.
    let before = ask(&mirror, USUAL, now().plus_seconds(-1)).await.unwrap();
    assert_eq!(before.origin(), Origin::Mirror);
}

#[tokio::test]
async fn the_targets_are_a_trust_root_and_signing_configurations() {
    let mut draft = Draft::default();
    let v2 = draft.content["signing_config.v0.2.json"].clone();
    draft.content.insert("signing_config_rekor_v2.v0.2.json", v2);
    let repository = Repository::start(&draft).await;
    let material = ask(&mirror(&repository, &draft), USUAL, now()).await.unwrap();
    assert_eq!(material.trusted_root_json(), draft.content["trusted_root.json"]);
    for profile in [SigningProfile::Usual, SigningProfile::RekorV2] {
        let config = material.trust_config(profile).unwrap();
        let authority = config.signing_config.authority(now()).unwrap();
        assert_eq!(authority.to_string(), "https://fulcio.sigstore.dev");
        assert_eq!(config.trust_root.digest(), verify::TrustRoot::public_good().digest());
    }
    // Only the trust root has to be there.
    draft.content.retain(|name, _| *name == "trusted_root.json");
    repository.publish(&draft);
    let material = ask(&mirror(&repository, &draft), USUAL, now()).await.unwrap();
    let error = material.trust_config(SigningProfile::Usual).unwrap_err();
    assert!(matches!(error, MirrorError::NoTarget { name: "signing_config.v0.2.json", .. }));
    material.trust_root().unwrap();
    draft.content.clear();
    repository.publish(&draft);
    let error = ask(&mirror(&repository, &draft), USUAL, now()).await.unwrap_err();
    assert!(matches!(error, MirrorError::NoTarget { name: "trusted_root.json", .. }), "{error:?}");
}

#[tokio::test]
async fn roots_are_followed_one_by_one() {
    let draft = Draft {
        roots: vec![
            vec!["ann", "bob", "cat"],
            vec!["bob", "cat", "dan"],
            vec!["dan", "eve", "fay"],
        ],
        ..Draft::default()
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
        ..Draft::default()
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
    let draft = Draft::default();
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
        let draft = Draft::default().signed_by("targets", &["ann", "ann=ann again"]);
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
    let draft = Draft { roots: vec![vec!["ann", "bob", "cat"]; 2], ..Draft::default() };
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
    let draft = Draft { roots: vec![vec!["ann", "bob", "cat"]; 2], ..Draft::default() };
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
    let draft = Draft::default().versions(5, 5, 5);
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
    let draft = Draft::default().versions(5, 5, 5).until("timestamp", "2026-06-02T00:00:00Z");
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
    let draft = Draft::default();
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
    let mut draft = Draft::default();
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
        let draft = Draft::default().edit("targets", move |targets| {
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
    let mut draft = Draft::default();
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
        let draft = Draft::default().until(role, end);
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
        let draft = Draft::default();
        let repository = Repository::start(&draft).await;
        ask(&mirror(&repository, &draft), ALWAYS, now()).await.unwrap()
    };
    assert!(material.warnings().is_empty(), "{:?}", material.warnings());
}

#[tokio::test]
async fn a_mirror_that_is_away_is_waited_for_until_the_copy_ends() {
    let draft = Draft::default();
    let repository = Repository::start(&draft).await;
    let folder = tempfile::tempdir().unwrap();
    let (mirror, _) = kept(&repository, &draft, &folder).await;
    repository.fail();
    let material = ask(&mirror, USUAL, at("2026-06-10T00:00:00Z")).await.unwrap();
    assert_eq!(material.origin(), Origin::LastGood { fetched: Some(now()) });
    assert!(matches!(material.warnings(), [Warning::NotRefreshed(_)]), "{:?}", material.warnings());
    let error = ask(&mirror, USUAL, at("2026-07-01T00:00:00Z")).await.unwrap_err();
    assert!(matches!(error, MirrorError::Fetch { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("--offline"));
    // Refused metadata is no outage.
    repository.publish(&draft.signed_by("timestamp", &["eve"]));
    let error = ask(&mirror, USUAL, at("2026-06-10T00:00:00Z")).await.unwrap_err();
    assert!(matches!(error, MirrorError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_without_end_is_not_read() {
    let draft = Draft::default();
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
    let draft = Draft { roots: vec![vec!["ann", "bob"]; 66], ..Draft::default() };
    let repository = Repository::start(&draft).await;
    let fault = refused_by(&mirror(&repository, &draft)).await;
    assert!(matches!(fault, Fault::Malformed(_)), "{fault:?}");
    assert_eq!(repository.server.requests().len(), 64);
}

#[tokio::test]
async fn too_many_keys_are_not_read() {
    let draft = Draft { roots: vec![vec!["ann", "bob", "cat"]; 2], ..Draft::default() };
    let many = draft.edit("root", |root| {
        for number in 0..61 {
            root["keys"][format!("{number}")] = key("eve");
        }
    });
    let fault = refused(&many).await;
    assert!(matches!(fault, Fault::TooManyKeys { found: 65 }), "{fault:?}");
}

#[tokio::test]
async fn offline_sends_nothing() {
    let draft = Draft::default();
    let repository = Repository::start(&draft).await;
    let folder = tempfile::tempdir().unwrap();
    let (mirror, _) = kept(&repository, &draft, &folder).await;
    let asked = repository.server.requests().len();
    let material = ask(&mirror, Refresh::Offline, at("2026-06-10T00:00:00Z")).await.unwrap();
    assert_eq!(material.origin(), Origin::LastGood { fetched: Some(now()) });
    assert!(material.warnings().is_empty());
    // Long after: the user is told, and decides.
    let material = ask(&mirror, Refresh::Offline, at("2027-06-10T00:00:00Z")).await.unwrap();
    let warnings = material.warnings();
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert!(warnings.iter().all(|warning| matches!(warning, Warning::Expired { expired, .. }
        if *expired == at("2026-07-01T00:00:00Z"))));
    // Nothing kept, nothing shipped.
    let bare = self::mirror(&repository, &draft);
    let error = ask(&bare, Refresh::Offline, now()).await.unwrap_err();
    assert!(matches!(error, MirrorError::NothingOffline { .. }), "{error:?}");
    assert_eq!(repository.server.requests().len(), asked);
    let public = ask(&Mirror::public(), Refresh::Offline, now()).await.unwrap();
    assert_eq!(public.origin(), Origin::Shipped);
    assert!(matches!(public.warnings(), [Warning::Shipped]));
    assert_eq!(public.trust_root().unwrap().digest(), verify::TrustRoot::public_good().digest());
    public.trust_config(SigningProfile::Usual).unwrap();
    let error = ask(&Mirror::staging(), Refresh::Offline, now()).await.unwrap_err();
    assert!(matches!(error, MirrorError::NothingOffline { .. }));
}

#[tokio::test]
async fn what_the_program_brings_along_is_a_root() {
    for mirror in [Mirror::public(), Mirror::staging()] {
        let root = match mirror.url().to_string().contains("sigstage") {
            true => &include_bytes!("../../data/staging-root.json")[..],
            false => &include_bytes!("../../data/public-good-root.json")[..],
        };
        Mirror::new(mirror.url().clone(), root.to_vec()).unwrap();
        let mut forged: Value = serde_json::from_slice(root).unwrap();
        forged["signed"]["version"] = json!(99);
        let forged = forged.to_string().into_bytes();
        let error = Mirror::new(mirror.url().clone(), forged).unwrap_err();
        assert!(matches!(error, MirrorError::Anchor(Fault::Threshold { .. })), "{error:?}");
    }
}

/// CVE-2024-51491: a home that cannot be written decides nothing.
#[tokio::test]
async fn a_copy_that_cannot_be_kept_is_done_without() {
    let draft = Draft::default();
    let repository = Repository::start(&draft).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let mirror = mirror(&repository, &draft).kept_in(file.path().join("below a file"));
    let material = ask(&mirror, USUAL, now()).await.unwrap();
    assert_eq!(material.origin(), Origin::Mirror);
    let warned = material.warnings().iter().any(|one| matches!(one, Warning::NotKept { .. }));
    assert!(warned, "{:?}", material.warnings());
}

#[tokio::test]
async fn a_broken_copy_is_replaced_and_never_believed() {
    let draft = Draft::default();
    let repository = Repository::start(&draft).await;
    let folder = tempfile::tempdir().unwrap();
    let (mirror, good) = kept(&repository, &draft, &folder).await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut copy: Value = serde_json::from_slice(&good).unwrap();
        change(&mut copy);
        copy.to_string().into_bytes()
    };
    let forged = "eyJtZWRpYVR5cGUiOiAieCJ9";
    let broken = [
        b"{".to_vec(),
        Vec::new(),
        good[..good.len() / 2].to_vec(),
        [good.clone(), vec![b' '; 16 * 1024 * 1024]].concat(),
        with(&|copy| copy["format"] = json!(2)),
        with(&|copy| copy["mirror"] = json!("https://tuf.example")),
        with(&|copy| copy["files"]["x"] = json!("not base64!")),
        with(&|copy| copy["files"]["targets/trusted_root.json"] = json!(forged)),
        with(&|copy| copy["files"]["targets.json"] = json!(forged)),
        with(&|copy| copy["files"]["timestamp.json"] = json!(forged)),
        with(&|copy| copy["files"] = json!({})),
        with(&|copy| {
            for number in 0..1025 {
                copy["files"][format!("{number}")] = json!("");
            }
        }),
    ];
    for bytes in broken {
        std::fs::write(copy_path(&folder), &bytes).unwrap();
        let error = ask(&mirror, Refresh::Offline, now()).await.unwrap_err();
        assert!(matches!(error, MirrorError::NothingOffline { .. }), "{error:?}");
        let material = ask(&mirror, USUAL, now()).await.unwrap();
        assert_eq!(material.origin(), Origin::Mirror);
        assert_eq!(material.trusted_root_json(), draft.content["trusted_root.json"]);
        ask(&mirror, Refresh::Offline, now()).await.unwrap();
    }
}

#[tokio::test]
async fn a_newer_copy_of_another_process_stays() {
    let draft = Draft::default().versions(5, 5, 5);
    let repository = Repository::start(&draft).await;
    let folder = tempfile::tempdir().unwrap();
    let (mirror, _) = kept(&repository, &draft, &folder).await;
    let version = || {
        let copy: Value = serde_json::from_slice(&copy(&folder)).unwrap();
        copy["timestamp_version"].as_u64().unwrap()
    };
    repository.publish(&draft.clone().versions(6, 5, 5));
    ask(&mirror, ALWAYS, now()).await.unwrap();
    assert_eq!(version(), 6);
    // Somebody is about to write: theirs is as good as ours.
    std::fs::remove_file(copy_path(&folder)).unwrap();
    let lock = std::fs::File::open(copy_path(&folder).with_file_name("last-good.lock")).unwrap();
    lock.lock().unwrap();
    let material = ask(&mirror, ALWAYS, now()).await.unwrap();
    assert!(material.warnings().is_empty(), "{:?}", material.warnings());
    assert!(!copy_path(&folder).exists());
    drop(lock);
    ask(&mirror, ALWAYS, now()).await.unwrap();
    assert_eq!(version(), 6);
    // Somebody began later than we, and ended before.
    let mut newer: Value = serde_json::from_slice(&copy(&folder)).unwrap();
    newer["timestamp_version"] = json!(7);
    std::fs::write(copy_path(&folder), newer.to_string()).unwrap();
    ask(&mirror, ALWAYS, now()).await.unwrap();
    assert_eq!(version(), 7);
    // Nothing is left lying around.
    let mut names: Vec<_> = std::fs::read_dir(copy_path(&folder).parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["last-good.json", "last-good.lock"]);
}

/// What sigstore-go leaves in `TUF_ROOT`: a file for each role.
#[tokio::test]
async fn what_cosign_left_is_read() {
    let draft = Draft::default();
    let repository = Repository::start(&draft).await;
    let folder = tempfile::tempdir().unwrap();
    let name = repository.server.host().replace(':', "-");
    let theirs = folder.path().join(name);
    std::fs::create_dir_all(theirs.join("targets")).unwrap();
    let files = draft.files();
    let put = |name: &str, bytes: &[u8]| std::fs::write(theirs.join(name), bytes).unwrap();
    put("root.json", &draft.root(1));
    put("timestamp.json", &files["/timestamp.json"]);
    put("snapshot.json", &files["/1.snapshot.json"]);
    put("targets.json", &files["/1.targets.json"]);
    put("targets/trusted_root.json", &draft.content["trusted_root.json"]);
    put("targets/signing_config.v0.2.json", &draft.content["signing_config.v0.2.json"]);
    let remote = json!({"mirror": repository.server.url("")}).to_string();
    std::fs::write(folder.path().join("remote.json"), remote).unwrap();
    let settings = Settings { folder: Some(folder.path().to_owned()), ..Settings::default() };
    let mirror = settings.resolve().unwrap();
    let material = ask(&mirror, Refresh::Offline, now()).await.unwrap();
    assert_eq!(material.origin(), Origin::LastGood { fetched: None });
    assert_eq!(repository.server.lines(), [""; 0]);
    // Nobody knows how old it is, so the mirror is asked when it may be.
    let material = ask(&mirror, USUAL, now()).await.unwrap();
    assert_eq!(material.origin(), Origin::Mirror);
    put("targets/trusted_root.json", b"{}");
    std::fs::remove_file(theirs.join("last-good.json")).unwrap();
    ask(&mirror, Refresh::Offline, now()).await.unwrap_err();
}

#[tokio::test]
async fn a_mirror_is_chosen_for_good() {
    let draft = Draft::default();
    let repository = Repository::start(&draft).await;
    let folder = tempfile::tempdir().unwrap();
    let root = draft.root(1);
    let checksum = hex::encode(crypto::sha256(&root)).to_uppercase();
    let chosen = Mirror::new(repository.server.url("").parse().unwrap(), root).unwrap();
    let choose = |mirror: Mirror, checksum: &str, folder: &Path| {
        let (checksum, folder) = (checksum.to_owned(), folder.to_owned());
        async move { initialize(mirror, Some(&checksum), &folder, &http(), now(), ample()).await }
    };
    let error = choose(chosen.clone(), &"0".repeat(64), folder.path()).await.unwrap_err();
    assert!(matches!(error, InitializeError::Checksum { .. }), "{error:?}");
    assert_eq!(repository.server.lines(), [""; 0]);
    repository.fail();
    let error = choose(chosen.clone(), &checksum, folder.path()).await.unwrap_err();
    assert!(matches!(error, InitializeError::Mirror(MirrorError::Fetch { .. })), "{error:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is written");
    repository.publish(&draft);
    choose(chosen, &checksum, folder.path()).await.unwrap();
    let settings = Settings { folder: Some(folder.path().to_owned()), ..Settings::default() };
    let resolved = settings.resolve().unwrap();
    assert_eq!(resolved.url().to_string(), repository.server.url(""));
    let asked = repository.server.requests().len();
    ask(&resolved, USUAL, now()).await.unwrap();
    assert_eq!(repository.server.requests().len(), asked, "the copy is there already");
}

#[test]
fn settings_say_which_mirror() {
    let draft = Draft::default();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("1.root.json");
    std::fs::write(&root, draft.root(1)).unwrap();
    let url = |settings: &Settings| settings.resolve().map(|mirror| mirror.url().to_string());
    let public = client::mirror::PUBLIC_MIRROR;
    let settings = Settings { folder: Some(folder.path().to_owned()), ..Settings::default() };
    assert_eq!(url(&Settings::default()).unwrap(), public);
    assert_eq!(url(&settings).unwrap(), public);
    let private = Settings { mirror: Some("https://tuf.example/".to_owned()), ..settings.clone() };
    let error = url(&private).unwrap_err();
    assert!(matches!(error, SettingsError::NoRoot { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("initialize --mirror https://tuf.example"));
    let rooted = Settings { root: Some(root), ..private.clone() };
    assert_eq!(url(&rooted).unwrap(), "https://tuf.example");
    // The variable comes before what was chosen for good.
    std::fs::write(folder.path().join("remote.json"), r#"{"mirror":"https://old.example"}"#)
        .unwrap();
    assert_eq!(url(&rooted).unwrap(), "https://tuf.example");
    assert!(
        matches!(url(&settings), Err(SettingsError::NoRoot { mirror }) if mirror == "https://old.example")
    );
    let staging = client::mirror::STAGING_MIRROR;
    let staged = Settings { mirror: Some(staging.to_owned()), ..settings.clone() };
    assert_eq!(url(&staged).unwrap(), staging);
    for (mirror, root) in [
        ("http://tuf.example", None),
        ("ftp://tuf.example", None),
        ("", None),
        ("https://tuf.example", Some("absent")),
    ] {
        let root = root.map(|name| folder.path().join(name));
        let wrong = Settings { mirror: Some(mirror.to_owned()), root, ..settings.clone() };
        match url(&wrong).unwrap_err() {
            SettingsError::Url { .. } => assert_ne!(mirror, "https://tuf.example"),
            SettingsError::File { .. } => assert_eq!(mirror, "https://tuf.example"),
            error => panic!("{error:?}"),
        }
    }
    for broken in ["", "[]", "{}", r#"{"mirror": 5}"#, &"x".repeat(20_000)] {
        std::fs::write(folder.path().join("remote.json"), broken).unwrap();
        assert!(matches!(url(&settings), Err(SettingsError::File { .. })), "{broken}");
    }
}

#[tokio::test]
async fn time_for_a_mirror_is_bounded() {
    let server = crate::server::Server::start(|_| crate::server::Reply::Hang(Vec::new())).await;
    let mirror = Mirror::new(server.url("").parse().unwrap(), Draft::default().root(1)).unwrap();
    let deadline = Deadline::after(Duration::from_millis(50));
    let error = mirror.material(&http(), ALWAYS, now(), deadline).await.unwrap_err();
    assert!(matches!(error, MirrorError::Fetch { .. }), "{error:?}");
}

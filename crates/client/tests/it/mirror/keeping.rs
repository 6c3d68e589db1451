//! What a mirror said last stays, and is enough offline.

use client::mirror::{
    Fault, Mirror, MirrorError, Origin, Refresh, Settings, SigningProfile, Warning,
};
use serde_json::{Value, json};

use super::{ALWAYS, USUAL, ask, at, copy, copy_path, kept, mirror, now};
use crate::tuf::{Repository, usual_draft};

#[tokio::test]
async fn offline_sends_nothing() {
    let draft = usual_draft();
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
            true => &include_bytes!("../../../data/staging-root.json")[..],
            false => &include_bytes!("../../../data/public-good-root.json")[..],
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
    let draft = usual_draft();
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
    let draft = usual_draft();
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
    let draft = usual_draft().versions(5, 5, 5);
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
    let draft = usual_draft();
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

//! Which mirror is meant.

use std::path::Path;

use client::mirror::{InitializeError, Mirror, MirrorError, Settings, SettingsError, initialize};

use super::{USUAL, ask, now};
use crate::tuf::{Repository, usual_draft};
use crate::{ample, http};

#[tokio::test]
async fn a_mirror_is_chosen_for_good() {
    let draft = usual_draft();
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
    let draft = usual_draft();
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

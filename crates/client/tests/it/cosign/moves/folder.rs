//! What is in the folder already: taken up, told of, or left alone.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use client::Layout;
use client::layout::{LayoutProblem, TransferError};
use client::registry::{AttachmentKind, Cleaning, Copying, CosignTag};
use devkit::registry::Referrers;
use evidence::{Digest, ImageRef};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::Scene;

use super::super::Shelf;
use super::super::beside::full;
use super::{beside, blob, destination, digests, index, load, save};
use crate::{OCI_MANIFEST, ample, anonymous};

#[tokio::test]
async fn what_is_there_is_not_fetched_again_unless_it_is_broken() {
    let shelf = full(Referrers::On).await;
    let folder = TempDir::new().unwrap();
    let first = save(&shelf.image, folder.path()).await.unwrap();
    shelf.registry.clear_requests();
    let again = save(&shelf.image, folder.path()).await.unwrap();
    assert_eq!((again.blobs_fetched, again.blobs_there), (0, first.blobs_fetched));
    assert!(!shelf.lines().iter().any(|line| line.contains("/blobs/")), "{:?}", shelf.lines());
    let manifest: Value = serde_json::from_slice(&shelf.manifest).unwrap();
    let layer: Digest = manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
    fs::write(blob(folder.path(), &layer), "rubbish").unwrap();
    let mended = save(&shelf.image, folder.path()).await.unwrap();
    assert_eq!(mended.blobs_fetched, 1);
    assert_eq!(Digest::sha256(&fs::read(blob(folder.path(), &layer)).unwrap()), layer);
    assert_eq!((again.replaced, mended.replaced), (Vec::new(), Vec::new()));
    // Another image takes its place in the index, which is told, and so with what lay beside it.
    let listed = digests(folder.path());
    assert_eq!((listed.len(), listed.first()), (6, Some(&shelf.subject.digest)));
    let other = Shelf::start(Referrers::On).await;
    let name: ImageRef = format!("{}/a/b:c", other.registry.address()).parse().unwrap();
    let copying = Copying::all();
    anonymous().copy(&other.image, &name, &copying, ample()).await.unwrap();
    let annotated = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": manifest["config"], "layers": [], "annotations": {"other": "image"}});
    let bytes = serde_json::to_vec(&annotated).unwrap();
    let digest = anonymous().push_tag(&name, "c", OCI_MANIFEST, bytes, ample()).await.unwrap();
    let saved = save(&name, folder.path()).await.unwrap();
    assert_eq!((saved.digest, saved.replaced), (digest, listed));
    let layout = Layout::open(folder.path()).unwrap();
    assert_eq!(layout.image(None).unwrap().digest, digest);
}

#[tokio::test]
async fn folders_with_other_things_in_them_are_left_alone() {
    let shelf = full(Referrers::On).await;
    let folder = TempDir::new().unwrap();
    let home = folder.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("letter.txt"), "dear").unwrap();
    let refused = async |path: &Path, problem: fn(&LayoutProblem) -> bool| {
        let error = save(&shelf.image, path).await.unwrap_err();
        let TransferError::Layout(error) = error else { panic!("{error:?}") };
        assert!(problem(error.problem()), "{error}");
    };
    refused(&home, |problem| matches!(problem, LayoutProblem::OtherContent)).await;
    assert_eq!(fs::read_dir(&home).unwrap().count(), 1);
    refused(&home.join("letter.txt"), |problem| matches!(problem, LayoutProblem::Io(_))).await;
    // What is not there is made, with all above it.
    let deep = folder.path().join("a/b/c");
    save(&shelf.image, &deep).await.unwrap();
    // Blobs that would be written elsewhere.
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::remove_dir_all(deep.join("blobs")).unwrap();
    symlink(&elsewhere, deep.join("blobs")).unwrap();
    refused(&deep, |problem| matches!(problem, LayoutProblem::NotPlain { .. })).await;
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

/// The image of a folder that listed several is unlisted with the others.
#[tokio::test]
async fn all_that_a_folder_lists_no_more_is_told() {
    let shelf = full(Referrers::On).await;
    let folder = TempDir::new().unwrap();
    save(&shelf.image, folder.path()).await.unwrap();
    let mut listed = index(folder.path());
    let others = ["one", "two"].map(|name| Digest::sha256(name.as_bytes()));
    for other in others {
        listed["manifests"].as_array_mut().unwrap().push(json!({"mediaType": OCI_MANIFEST,
            "digest": other.to_string(), "size": 3,
            "annotations": {"kind": "dev.cosignproject.cosign/image"}}));
    }
    fs::write(folder.path().join("index.json"), listed.to_string()).unwrap();
    assert_eq!(save(&shelf.image, folder.path()).await.unwrap().replaced, others);
    assert_eq!(digests(folder.path()).len(), 6);
    // What was signed meanwhile takes the place of what was under the tag, and nothing is lost.
    let signature = shelf.scene(Scene::cosign()).seal_layer();
    shelf.add(CosignTag::Signature, &[&signature]).await;
    assert_eq!(save(&shelf.image, folder.path()).await.unwrap().replaced, []);
}

/// Whoever was interrupted can begin again, and what somebody else is writing is left alone.
#[tokio::test]
async fn what_an_interrupted_save_left_is_removed_and_never_taken() {
    let shelf = full(Referrers::On).await;
    let manifest: Value = serde_json::from_slice(&shelf.manifest).unwrap();
    let layer: Digest = manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
    let named = format!(".countersign-{}", layer.hex());
    let left = [".countersign-0011", &named];
    let marker = r#"{"imageLayoutVersion":"1.0.0"}"#;
    let names = |folder: &Path| -> BTreeSet<_> {
        fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name()).collect()
    };
    let ours = ["blobs", "index.json", "oci-layout"];
    for begun in ["nothing", "a marker", "a layout"] {
        let folder = TempDir::new().unwrap();
        match begun {
            "nothing" => {}
            "a marker" => fs::write(folder.path().join("oci-layout"), marker).unwrap(),
            _ => drop(save(&shelf.image, folder.path()).await.unwrap()),
        }
        for name in left {
            fs::write(folder.path().join(name), "the first half of something").unwrap();
        }
        let written = folder.path().join(".countersign-written");
        let writing = fs::File::create(&written).unwrap();
        writing.lock().unwrap();
        save(&shelf.image, folder.path()).await.unwrap();
        let wanted = ours.into_iter().chain([".countersign-written"]).map(Into::into).collect();
        assert_eq!(names(folder.path()), wanted, "{begun}");
        // Until whoever writes it is gone.
        drop(writing);
        save(&shelf.image, folder.path()).await.unwrap();
        assert_eq!(names(folder.path()), ours.map(Into::into).into(), "{begun}");
        assert_eq!(
            Layout::open(folder.path()).unwrap().find_evidence(&shelf.subject.digest).pieces.len(),
            3
        );
    }
    // A layout without an index is not one of ours if it is of another version, or holds more.
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("oci-layout"), marker).unwrap();
    fs::write(folder.path().join("letter.txt"), "dear").unwrap();
    let error = save(&shelf.image, folder.path()).await.unwrap_err();
    assert!(matches!(error, TransferError::Layout(_)), "{error}");
    assert!(!folder.path().join("index.json").exists());
}

/// Blobs are never removed: what is not listed any more must not come back with them.
#[tokio::test]
async fn what_was_withdrawn_since_the_last_save_is_neither_found_nor_loaded() {
    for referrers in [Referrers::On, Referrers::Off] {
        let shelf = full(referrers).await;
        let folder = TempDir::new().unwrap();
        save(&shelf.image, folder.path()).await.unwrap();
        let (digest, image) = (shelf.subject.digest, &shelf.image);
        let before = digests(folder.path());
        let found = |folder: &Path| Layout::open(folder).unwrap().find_evidence(&digest);
        assert_eq!(found(folder.path()).pieces.len(), 3);
        for what in [Cleaning::Referrers, Cleaning::Tag(CosignTag::Attestation)] {
            let cleaned = anonymous().clean(image, &digest, what, ample()).await;
            assert_eq!(cleaned.removed.len(), 1, "{cleaned:?}");
        }
        let saved = save(image, folder.path()).await.unwrap();
        let after = digests(folder.path());
        let gone: Vec<_> = before.into_iter().filter(|one| !after.contains(one)).collect();
        assert_eq!((gone.len(), after.len()), (2, 4));
        // It is told of what has no tag of which it is known what it is.
        assert!(gone.contains(&saved.replaced[0]) && saved.replaced.len() == 1, "{saved:?}");
        for gone in gone {
            assert!(blob(folder.path(), &gone).exists(), "that it lies there is what is tried");
        }
        let found = found(folder.path());
        assert_eq!((found.pieces.len(), found.obstacles.len()), (1, 0), "{found:?}");
        assert_eq!(found.pieces[0].kind, AttachmentKind::Signature);
        let (_other, place) = destination(referrers).await;
        assert_eq!(load(folder.path(), &place).await.unwrap().manifests, 4);
        assert_eq!(beside(&place, &digest).await, beside(image, &digest).await);
    }
}

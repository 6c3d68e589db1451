//! Folders and registries of strangers, with something wrong in them.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use client::Layout;
use client::error::FetchErrorKind;
use client::layout::{LayoutProblem, TransferError};
use client::registry::NewReferrer;
use devkit::registry::Referrers;
use devkit::{Fault, FaultRule};
use evidence::Digest;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::Shelf;
use super::super::beside::full;
use super::{Meter, blob, destination, index, load, save};
use crate::{OCI_MANIFEST, ample, anonymous};

#[tokio::test]
async fn what_is_not_what_its_name_says_is_neither_saved_nor_loaded() {
    let shelf = full(Referrers::On).await;
    let manifest: Value = serde_json::from_slice(&shelf.manifest).unwrap();
    let layer: Digest = manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
    let honest = anonymous().fetch_blob(&shelf.image, &layer, 1 << 20, ample()).await.unwrap();
    // A registry that serves another layer.
    let mut other = honest.clone();
    other[0] ^= 1;
    shelf.registry.plant_blob("acme/app", layer, other.clone()).unwrap();
    let folder = TempDir::new().unwrap();
    let error = save(&shelf.image, folder.path()).await.unwrap_err();
    let TransferError::Registry(error) = error else { panic!("{error:?}") };
    assert!(matches!(error.kind(), FetchErrorKind::DigestMismatch { .. }), "{error}");
    assert!(!blob(folder.path(), &layer).exists());
    assert_eq!(
        index(folder.path())["manifests"],
        json!([]),
        "nothing is listed before all is there"
    );
    shelf.registry.plant_blob("acme/app", layer, honest.clone()).unwrap();
    save(&shelf.image, folder.path()).await.unwrap();

    let (dest, place) = destination(Referrers::On).await;
    let refused = async |problem: fn(&LayoutProblem) -> bool| {
        let error = load(folder.path(), &place).await.unwrap_err();
        let TransferError::Layout(error) = error else { panic!("{error:?}") };
        assert!(problem(error.problem()), "{error}");
        assert!(anonymous().resolve(&place, ample()).await.is_err(), "there is no image");
        assert!(dest.registry.manifest("else/where", "loaded").is_none());
    };
    let path = blob(folder.path(), &layer);
    fs::write(&path, &other).unwrap();
    refused(|problem| matches!(problem, LayoutProblem::DigestMismatch { .. })).await;
    fs::write(&path, &honest[1..]).unwrap();
    refused(|problem| matches!(problem, LayoutProblem::Malformed { .. })).await;
    fs::remove_file(&path).unwrap();
    refused(|problem| matches!(problem, LayoutProblem::Io(_))).await;
    let secret = TempDir::new().unwrap();
    fs::write(secret.path().join("secret"), &honest).unwrap();
    symlink(secret.path().join("secret"), &path).unwrap();
    refused(|problem| matches!(problem, LayoutProblem::NotPlain { .. })).await;
}

/// A referrer's own annotations must not make it the image.
#[tokio::test]
async fn nothing_beside_the_image_passes_for_it() {
    let shelf = full(Referrers::On).await;
    let annotations =
        [("kind", "dev.cosignproject.cosign/image"), ("org.opencontainers.image.ref.name", "v1")];
    let annotations = annotations.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let evil = NewReferrer {
        media_type: "application/evil".to_owned(),
        bytes: Bytes::from_static(b"evil"),
        annotations,
    };
    anonymous().attach(&shelf.image, &shelf.subject, &evil, ample()).await.unwrap();
    let folder = TempDir::new().unwrap();
    let saved = save(&shelf.image, folder.path()).await.unwrap();
    let layout = Layout::open(folder.path()).unwrap();
    for name in [None, Some("v1")] {
        assert_eq!(layout.image(name).unwrap().digest, saved.digest);
    }
}

#[tokio::test]
async fn an_image_is_loaded_under_its_own_digest_only() {
    let shelf = full(Referrers::On).await;
    let folder = TempDir::new().unwrap();
    let saved = save(&shelf.image, folder.path()).await.unwrap();
    let (other, place) = destination(Referrers::On).await;
    let wrong = Digest::sha256(b"another image");
    other.registry.clear_requests();
    let error = load(folder.path(), &place.with_digest(wrong)).await.unwrap_err();
    assert!(matches!(error, TransferError::OtherImage { .. }), "{error}");
    assert!(other.lines().is_empty(), "{:?}", other.lines());
    load(folder.path(), &place.with_digest(saved.digest)).await.unwrap();
    assert!(other.registry.manifest("else/where", "loaded").is_none(), "no tag is set");
    let by_digest = place.with_digest(saved.digest);
    assert_eq!(anonymous().resolve(&by_digest, ample()).await.unwrap().digest, saved.digest);
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_not_left_out() {
    let shelf = full(Referrers::On).await;
    let lists = format!("/v2/acme/app/referrers/{}", shelf.subject.digest);
    shelf.registry.inject(FaultRule::new(lists, Fault::Status(StatusCode::FORBIDDEN)));
    let folder = TempDir::new().unwrap();
    let error = save(&shelf.image, folder.path()).await.unwrap_err();
    assert!(matches!(error, TransferError::Registry(_)), "{error}");
    assert_eq!(index(folder.path())["manifests"], json!([]));
}

/// Sizes are what a manifest says, which may be anything.
#[tokio::test]
async fn sizes_that_no_number_holds_are_no_panic() {
    let shelf = Shelf::start(Referrers::On).await;
    let blob = |name: &str, size: u64| {
        json!({"mediaType": "a/b", "digest": Digest::sha256(name.as_bytes()).to_string(),
            "size": size})
    };
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": blob("config", u64::MAX), "layers": [blob("layer", u64::MAX)]});
    shelf.registry.plant_manifest("acme/app", "v1", OCI_MANIFEST, manifest.to_string()).unwrap();
    let folder = TempDir::new().unwrap();
    let meter = Meter::default();
    let image = &shelf.image;
    let saved = Layout::save(folder.path(), &anonymous(), image, image, ample(), &meter).await;
    assert!(matches!(saved, Err(TransferError::Registry(_))), "{saved:?}");
    assert_eq!(meter.expected.load(Ordering::Relaxed), u64::MAX);
}

/// Whoever may push can put that beside somebody else's image, and it would show where nobody can
/// fetch anew.
#[tokio::test]
async fn a_blob_that_is_shorter_than_a_manifest_says_is_loaded_as_it_was_saved() {
    let (shelf, place) = destination(Referrers::On).await;
    let blob = Digest::sha256(b"{}");
    shelf.registry.plant_blob("acme/app", blob, b"{}".to_vec()).unwrap();
    let document = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [],
        "config": {"mediaType": "a/b", "digest": blob.to_string(), "size": 3}});
    let bytes = document.to_string();
    shelf.registry.plant_manifest("acme/app", "short", OCI_MANIFEST, bytes).unwrap();
    let folder = TempDir::new().unwrap();
    let image = format!("{}/acme/app:short", shelf.registry.address()).parse().unwrap();
    let (registry, meter) = (anonymous(), Meter::default());
    Layout::save(folder.path(), &registry, &image, &image, ample(), &meter).await.unwrap();
    let layout = Layout::open(folder.path()).unwrap();
    layout.load(&registry, &place, &place, ample(), &Meter::default()).await.unwrap();
}

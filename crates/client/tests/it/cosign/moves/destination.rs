//! What is at the destination already is not lost.

use std::fs;

use client::error::FetchErrorKind;
use client::layout::TransferError;
use client::registry::{Copying, CosignTag};
use devkit::registry::Referrers;
use devkit::{Fault, FaultRule};
use evidence::Digest;
use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;
use testkit::{Key, Scene};

use super::super::beside::full;
use super::super::layer;
use super::{blob, destination, index, load, save};
use crate::{OCI_INDEX, ample, anonymous, assert_kind};

/// Whoever wrote the layout says what is under a tag in it. Where the tag is there already, that may
/// be everybody's signatures.
#[tokio::test]
async fn an_index_takes_the_place_of_no_signatures() {
    let shelf = full(Referrers::On).await;
    let folder = TempDir::new().unwrap();
    let saved = save(&shelf.image, folder.path()).await.unwrap();
    let tag = CosignTag::Signature.of(&saved.digest).unwrap();
    let bytes = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).to_string();
    let digest = Digest::sha256(bytes.as_bytes());
    fs::write(blob(folder.path(), &digest), &bytes).unwrap();
    let mut listed = index(folder.path());
    let manifests = listed["manifests"].as_array_mut().unwrap();
    manifests.retain(|one| one["annotations"]["org.opencontainers.image.ref.name"] != *tag);
    manifests.push(json!({"mediaType": OCI_INDEX, "digest": digest.to_string(),
        "size": bytes.len(), "annotations": {"org.opencontainers.image.ref.name": tag}}));
    fs::write(folder.path().join("index.json"), listed.to_string()).unwrap();
    // Where there is none it is put as it is, again and again.
    let (other, place) = destination(Referrers::On).await;
    for _ in 0..2 {
        load(folder.path(), &place).await.unwrap();
        assert_eq!(other.registry.manifest("else/where", &tag).unwrap(), bytes);
    }
    let (other, place) = destination(Referrers::On).await;
    let theirs = [layer(&shelf.scene(Scene::cosign()).seal_layer())];
    let kind = CosignTag::Signature;
    anonymous().add_cosign_layers(&place, &saved.digest, kind, &theirs, ample()).await.unwrap();
    let before = other.registry.manifest("else/where", &tag).unwrap();
    let error = load(folder.path(), &place).await.unwrap_err();
    let TransferError::Registry(error) = error else { panic!("{error:?}") };
    assert_kind!(error, FetchErrorKind::Malformed { .. });
    assert_eq!(other.registry.manifest("else/where", &tag).unwrap(), before);
}

/// Somebody signs at the destination after it was looked at, and before it is written.
#[tokio::test]
async fn a_tag_that_is_made_meanwhile_is_merged_with() {
    let shelf = full(Referrers::On).await;
    let (other, place) = destination(Referrers::On).await;
    let scene = shelf.scene(Scene::cosign()).with(|scene| {
        scene.key = Key::named("another signer", crypto::KeyKind::EcdsaP256);
    });
    let theirs = scene.seal_layer();
    let (digest, tag) = (shelf.subject.digest, CosignTag::Signature);
    let layers = [layer(&theirs)];
    anonymous().add_cosign_layers(&place, &digest, tag, &layers, ample()).await.unwrap();
    let absent = FaultRule::new("*.sig", Fault::Status(StatusCode::NOT_FOUND));
    other.registry.inject(absent.method(reqwest::Method::GET).times(1));
    anonymous().copy(&shelf.image, &place, &Copying::all(), ample()).await.unwrap();
    let merged = other.tagged("else/where", tag).unwrap();
    let layers = merged["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2, "{merged:#}");
    assert_eq!(layers[0]["annotations"], json!(theirs.annotations));
}

/// No tag is long enough for such a digest, so that there is nowhere to put what belongs under it.
#[tokio::test]
async fn signatures_without_a_place_are_not_left_out_silently() {
    let shelf = full(Referrers::On).await;
    let folder = TempDir::new().unwrap();
    save(&shelf.image, folder.path()).await.unwrap();
    let bytes = &shelf.manifest;
    let long = Digest::from(crypto::Hash::of(crypto::HashAlgorithm::Sha512, bytes));
    let long_folder = folder.path().join("blobs/sha512");
    fs::create_dir(&long_folder).unwrap();
    fs::write(long_folder.join(long.hex()), bytes).unwrap();
    let mut listed = index(folder.path());
    let manifests = listed["manifests"].as_array_mut().unwrap();
    manifests.retain(|one| one["annotations"]["kind"].is_string());
    manifests[0]["digest"] = long.to_string().into();
    fs::write(folder.path().join("index.json"), listed.to_string()).unwrap();
    let (_other, place) = destination(Referrers::On).await;
    let error = load(folder.path(), &place).await.unwrap_err();
    let TransferError::Registry(error) = error else { panic!("{error:?}") };
    assert_kind!(error, FetchErrorKind::Malformed { wanted: "a digest that fits into a tag", .. });
}

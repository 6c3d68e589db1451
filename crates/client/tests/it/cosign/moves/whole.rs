//! What is saved and loaded again is the image with all that lies beside it.

use std::collections::BTreeSet;
use std::fs;

use bytes::Bytes;
use client::Layout;
use client::error::FetchErrorKind;
use client::layout::TransferError;
use client::registry::{CosignTag, NewReferrer};
use devkit::image::ImageIndex;
use devkit::registry::Referrers;
use devkit::{Fault, FaultRule};
use evidence::Digest;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::Scene;
use testkit::log::Kind;

use super::super::beside::full;
use super::super::{Shelf, layer};
use super::{beside, blob, destination, index, load, save, unmark};
use crate::{OCI_INDEX, OCI_MANIFEST, ample, anonymous, assert_kind};

#[tokio::test]
async fn an_image_comes_out_as_it_went_in() {
    for (from, to) in [(Referrers::On, Referrers::On), (Referrers::Off, Referrers::Off)] {
        let shelf = full(from).await;
        let folder = TempDir::new().unwrap();
        let saved = save(&shelf.image, folder.path()).await.unwrap();
        assert_eq!(saved.digest, shelf.subject.digest);
        assert_eq!((saved.manifests, saved.blobs_there, saved.replaced), (6, 0, Vec::new()));
        // Verified where it lies.
        let layout = Layout::open(folder.path()).unwrap();
        assert_eq!(layout.image(None).unwrap().digest, saved.digest);
        assert_eq!(layout.image(Some("v1")).unwrap().digest, saved.digest);
        let found = layout.find_evidence(&saved.digest);
        assert_eq!((found.pieces.len(), found.obstacles.len()), (3, 0));

        let (_other, place) = destination(to).await;
        let loaded = load(folder.path(), &place).await.unwrap();
        assert_eq!((loaded.digest, loaded.manifests), (saved.digest, 6));
        assert_eq!(loaded.blobs_sent, saved.blobs_fetched);
        let there = anonymous().resolve(&place, ample()).await.unwrap();
        assert_eq!((there.digest, there.bytes), (saved.digest, shelf.manifest.clone()));
        let was = beside(&shelf.image, &saved.digest).await;
        assert_eq!(beside(&place, &saved.digest).await, was, "{from:?} {to:?}");
        // Again there is nothing to send.
        let again = load(folder.path(), &place).await.unwrap();
        assert_eq!((again.blobs_sent, again.blobs_there), (0, loaded.blobs_sent));
        assert_eq!(beside(&place, &saved.digest).await, was);
    }
}

/// What Cosign, oras and skopeo find their way by.
#[tokio::test]
async fn the_index_lists_everything_under_the_names_that_others_know() {
    let shelf = full(Referrers::On).await;
    let folder = TempDir::new().unwrap();
    save(&shelf.image, folder.path()).await.unwrap();
    let index = index(folder.path());
    assert_eq!((&index["schemaVersion"], &index["mediaType"]), (&json!(2), &json!(OCI_INDEX)));
    let listed = index["manifests"].as_array().unwrap();
    let hex = shelf.subject.digest.hex();
    let named = |suffix: &str| format!("sha256-{hex}.{suffix}");
    let annotations: Vec<_> = listed.iter().map(|one| one["annotations"].clone()).collect();
    let (kind, name) = ("kind", "org.opencontainers.image.ref.name");
    let marked = |what: &str| format!("dev.cosignproject.cosign/{what}");
    for wanted in [
        json!({kind: marked("image"), name: "v1"}),
        json!({kind: marked("sigs"), name: named("sig")}),
        json!({kind: marked("atts"), name: named("att")}),
        json!({name: named("sbom")}),
    ] {
        assert!(annotations.contains(&wanted), "{wanted} is not in {index:#}");
    }
    let types: BTreeSet<_> = listed.iter().filter_map(|one| one["artifactType"].as_str()).collect();
    let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
    assert!(types.contains(bundle) && types.contains("application/spdx+json"), "{index:#}");
    for one in listed {
        let digest: Digest = one["digest"].as_str().unwrap().parse().unwrap();
        let bytes = fs::read(blob(folder.path(), &digest)).unwrap();
        assert_eq!(
            (Digest::sha256(&bytes), one["size"].as_u64()),
            (digest, Some(bytes.len() as u64))
        );
    }
    let marker = fs::read(folder.path().join("oci-layout")).unwrap();
    assert_eq!(marker, br#"{"imageLayoutVersion":"1.0.0"}"#);
    // Nothing is left of the work.
    let entries = fs::read_dir(folder.path()).unwrap();
    let names: BTreeSet<_> = entries.map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, ["blobs", "index.json", "oci-layout"].map(Into::into).into());
}

#[tokio::test]
async fn an_index_takes_its_images_and_their_evidence_along() {
    let shelf = Shelf::start(Referrers::On).await;
    let built = ImageIndex::greeting("v2").unwrap();
    let mut images = Vec::new();
    for image in built.images {
        for blob in [image.config, image.layer] {
            let bytes = Bytes::from(blob.bytes);
            anonymous().push_blob(&shelf.image, bytes, ample()).await.unwrap();
        }
        let bytes = image.manifest.bytes;
        let digest =
            anonymous().push_manifest(&shelf.image, OCI_MANIFEST, bytes.clone(), ample()).await;
        images.push((digest.unwrap(), bytes));
    }
    let bytes = built.manifest.bytes;
    let top = anonymous().push_tag(&shelf.image, "v2", OCI_INDEX, bytes, ample()).await.unwrap();
    let (child, bytes) = images[1].clone();
    let about_child = Scene::statement(Kind::DsseV1).with(|scene| scene.artifact = bytes.clone());
    let subject = anonymous().fetch_manifest(&shelf.image, &child, ample()).await.unwrap();
    let referrer = NewReferrer {
        media_type: crate::BUNDLE.to_owned(),
        bytes: Bytes::from(about_child.seal().bundle_json()),
        annotations: std::collections::BTreeMap::new(),
    };
    let descriptor = subject.descriptor();
    anonymous().attach(&shelf.image, &descriptor, &referrer, ample()).await.unwrap();
    let layer = layer(&Scene::cosign().with(|scene| scene.artifact = bytes).seal_layer());
    let tag = CosignTag::Signature;
    let image = &shelf.image;
    anonymous().add_cosign_layers(image, &child, tag, &[layer], ample()).await.unwrap();

    let folder = TempDir::new().unwrap();
    let from = shelf.image.with_tag("v2").unwrap();
    let saved = save(&from, folder.path()).await.unwrap();
    assert_eq!((saved.digest, saved.manifests), (top, 5));
    let layout = Layout::open(folder.path()).unwrap();
    assert_eq!(layout.find_evidence(&child).pieces.len(), 2);
    assert_eq!(layout.find_evidence(&images[0].0).pieces.len(), 0);
    let (_other, place) = destination(Referrers::On).await;
    load(folder.path(), &place).await.unwrap();
    assert_eq!(anonymous().resolve(&place, ample()).await.unwrap().digest, top);
    assert_eq!(beside(&place, &child).await, beside(&from, &child).await);
    assert_eq!(beside(&place, &child).await.len(), 2);
    assert!(beside(&place, &top).await.is_empty());
}

/// As `cosign save` leaves them: nothing lists what refers to the image.
#[tokio::test]
async fn loose_referrers_are_loaded_too() {
    let shelf = full(Referrers::On).await;
    let folder = TempDir::new().unwrap();
    let saved = save(&shelf.image, folder.path()).await.unwrap();
    let mut listed = index(folder.path());
    let manifests = listed["manifests"].as_array_mut().unwrap();
    manifests.retain(|one| one["annotations"]["kind"].is_string());
    for one in manifests.iter_mut() {
        let kind = one["annotations"]["kind"].clone();
        one["annotations"] = json!({"kind": kind});
    }
    assert_eq!(manifests.len(), 3);
    unmark(&mut listed);
    fs::write(folder.path().join("index.json"), listed.to_string()).unwrap();
    let (_other, place) = destination(Referrers::On).await;
    load(folder.path(), &place).await.unwrap();
    let mut was = beside(&shelf.image, &saved.digest).await;
    // The SBOM tag is what Cosign does not save.
    was.retain(|(kind, digest)| {
        kind != "sbom" || *digest == Digest::sha256(b"another bill").to_string()
    });
    assert_eq!(beside(&place, &saved.digest).await, was);
}

#[tokio::test]
async fn large_blobs_go_in_pieces_both_ways() {
    let shelf = Shelf::start(Referrers::On).await;
    let large: Vec<u8> = (0..9_000_000_u32).map(|number| (number % 251) as u8).collect();
    let layer = anonymous().push_blob(&shelf.image, Bytes::from(large.clone()), ample()).await;
    let layer = layer.unwrap();
    let config = Bytes::from_static(b"{}");
    let config = anonymous().push_blob(&shelf.image, config, ample()).await.unwrap();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config.to_string(), "size": 2},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": layer.to_string(), "size": large.len()}],
    });
    let bytes = serde_json::to_vec(&manifest).unwrap();
    anonymous().push_tag(&shelf.image, "large", OCI_MANIFEST, bytes, ample()).await.unwrap();
    let from = shelf.image.with_tag("large").unwrap();
    let folder = TempDir::new().unwrap();
    shelf.registry.clear_requests();
    save(&from, folder.path()).await.unwrap();
    let pieces = format!("GET /v2/acme/app/blobs/{layer}");
    assert_eq!(shelf.lines().iter().filter(|line| **line == pieces).count(), 3);
    assert_eq!(fs::read(blob(folder.path(), &layer)).unwrap(), large);
    let (other, place) = destination(Referrers::On).await;
    load(folder.path(), &place).await.unwrap();
    let patches = other.lines().iter().filter(|line| line.starts_with("PATCH")).count();
    assert_eq!(patches, 3);
    // As large as a registry wants them, but for the last.
    for (least, wanted) in [("5242880", Some(2)), ("4194304", Some(3)), ("67108865", None)] {
        let (other, place) = destination(Referrers::On).await;
        let name = HeaderName::from_static("oci-chunk-min-length");
        let announced = Fault::WrongHeader(name, HeaderValue::from_static(least));
        other.registry.inject(FaultRule::new("*/blobs/uploads/", announced));
        let loaded = load(folder.path(), &place).await;
        let patches = other.lines().iter().filter(|line| line.starts_with("PATCH")).count();
        match (loaded, wanted) {
            (Ok(_), Some(wanted)) => assert_eq!(patches, wanted, "{least}"),
            (Err(TransferError::Registry(error)), None) => {
                assert_kind!(error, FetchErrorKind::TooLarge { .. });
            }
            (loaded, _) => panic!("{least}: {loaded:?}"),
        }
    }
    // The last byte is another: the registry keeps nothing.
    let mut wrong = large.clone();
    *wrong.last_mut().unwrap() ^= 1;
    fs::write(blob(folder.path(), &layer), wrong).unwrap();
    let (_third, place) = destination(Referrers::On).await;
    let error = load(folder.path(), &place).await.unwrap_err();
    let TransferError::Registry(error) = error else { panic!("{error:?}") };
    assert!(
        matches!(error.kind(), FetchErrorKind::DigestMismatch { wanted, .. } if *wanted == layer)
    );
    assert!(anonymous().fetch_blob(&place, &layer, 16 << 20, ample()).await.is_err());
    assert!(anonymous().resolve(&place, ample()).await.is_err());
}

/// "This property SHOULD be used": what names a manifest says what it is, or its place does.
#[tokio::test]
async fn manifests_need_not_say_what_they_are() {
    let shelf = Shelf::start(Referrers::On).await;
    let (registry, image) = (anonymous(), &shelf.image);
    let layer = registry.push_blob(image, Bytes::from_static(b"{}"), ample()).await.unwrap();
    let blob = json!({"mediaType": "a/b", "digest": layer.to_string(), "size": 2});
    let push = async |media_type: &str, manifest: Value| {
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let size = bytes.len();
        let digest = registry.push_manifest(image, media_type, bytes, ample()).await.unwrap();
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": size})
    };
    let mute = json!({"schemaVersion": 2, "config": blob, "layers": []});
    let child = push(OCI_MANIFEST, mute).await;
    let inner = push(OCI_INDEX, json!({"schemaVersion": 2, "manifests": [child]})).await;
    let top = push(OCI_INDEX, json!({"schemaVersion": 2, "manifests": [inner]})).await;
    let referrer = json!({"schemaVersion": 2, "config": blob, "layers": [], "subject": top});
    let referrer = push(OCI_MANIFEST, referrer).await;
    let list = json!({"schemaVersion": 2, "manifests": [], "subject": top});
    let list = push(OCI_INDEX, list).await;
    let digest = |entry: &Value| entry["digest"].as_str().unwrap().parse::<Digest>().unwrap();
    let folder = TempDir::new().unwrap();
    let saved = save(&image.with_digest(digest(&top)), folder.path()).await.unwrap();
    assert_eq!((saved.digest, saved.manifests), (digest(&top), 5));
    let layout = Layout::open(folder.path()).unwrap();
    let content = layout.index_content(&layout.image(None).unwrap());
    assert!(content.obstacles.is_empty(), "{content:?}");
    assert_eq!(content.named.len(), 2);
    // As Cosign leaves referrers: nothing lists them.
    let mut listed = index(folder.path());
    listed["manifests"].as_array_mut().unwrap().retain(|one| one["digest"] == top["digest"]);
    unmark(&mut listed);
    fs::write(folder.path().join("index.json"), listed.to_string()).unwrap();
    let layout = Layout::open(folder.path()).unwrap();
    assert!(layout.find_evidence(&digest(&top)).obstacles.is_empty());
    let (_other, place) = destination(Referrers::On).await;
    assert_eq!(load(folder.path(), &place).await.unwrap().manifests, 5);
    for (entry, media_type) in [(referrer, OCI_MANIFEST), (list, OCI_INDEX)] {
        let there = place.with_digest(digest(&entry));
        let there = anonymous().resolve(&there, ample()).await.unwrap();
        assert_eq!(there.media_type, media_type);
    }
}

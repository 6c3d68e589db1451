//! Images are saved into layouts and loaded from them with all that lies beside them, and nothing
//! else gets in or out.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use client::Layout;
use client::error::FetchErrorKind;
use client::layout::{LayoutProblem, Loaded, Progress, Saved, TransferError};
use client::registry::{Copying, CosignTag, Inventory, NewReferrer};
use devkit::image::ImageIndex;
use devkit::registry::Referrers;
use devkit::{Fault, FaultRule};
use evidence::{Digest, ImageRef};
use reqwest::StatusCode;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::log::Kind;
use testkit::{Key, Scene};

use super::beside::full;
use super::{Shelf, layer};
use crate::{OCI_INDEX, OCI_MANIFEST, ample, anonymous, assert_kind};

/// How far it was.
#[derive(Default)]
struct Meter {
    expected: AtomicU64,
    moved: AtomicU64,
}

impl Progress for Meter {
    fn expect(&self, bytes: u64) {
        self.expected.fetch_add(bytes, Ordering::Relaxed);
    }

    fn moved(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Meter {
    fn assert_full(&self) {
        let (expected, moved) = (&self.expected, &self.moved);
        assert_eq!(expected.load(Ordering::Relaxed), moved.load(Ordering::Relaxed));
        assert!(expected.load(Ordering::Relaxed) > 0);
    }
}

async fn save(image: &ImageRef, folder: &Path) -> Result<Saved, TransferError> {
    let meter = Meter::default();
    let saved = Layout::save(folder, &anonymous(), image, image, ample(), &meter).await?;
    meter.assert_full();
    Ok(saved)
}

async fn load(folder: &Path, to: &ImageRef) -> Result<Loaded, TransferError> {
    let layout = Layout::open(folder).unwrap();
    let meter = Meter::default();
    let loaded = layout.load(&anonymous(), to, to, ample(), &meter).await?;
    meter.assert_full();
    Ok(loaded)
}

fn index(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("index.json")).unwrap()).unwrap()
}

/// What the index lists, in its order.
fn digests(folder: &Path) -> Vec<Digest> {
    let index = index(folder);
    let listed = index["manifests"].as_array().unwrap().iter();
    listed.map(|one| one["digest"].as_str().unwrap().parse().unwrap()).collect()
}

fn blob(folder: &Path, digest: &Digest) -> std::path::PathBuf {
    folder.join("blobs/sha256").join(digest.hex())
}

/// What lies beside an image, without where exactly.
fn contents(inventory: &Inventory) -> BTreeSet<(String, String)> {
    assert!(inventory.obstacles.is_empty(), "{inventory:?}");
    let attachments = inventory.attachments.iter();
    attachments.map(|one| (one.kind.to_string(), one.layer.digest.to_string())).collect()
}

async fn beside(image: &ImageRef, digest: &Digest) -> BTreeSet<(String, String)> {
    contents(&anonymous().inventory(image, digest, ample()).await)
}

/// Another registry, with the reference that something is loaded under.
async fn destination(referrers: Referrers) -> (Shelf, ImageRef) {
    let shelf = Shelf::start(referrers).await;
    let to = format!("{}/else/where:loaded", shelf.registry.address()).parse().unwrap();
    (shelf, to)
}

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
async fn unfinished_files_are_neither_in_the_way_nor_taken() {
    let shelf = full(Referrers::On).await;
    let manifest: Value = serde_json::from_slice(&shelf.manifest).unwrap();
    let layer: Digest = manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
    let unfinished = [
        ".countersign-oci-layout-0".to_owned(),
        ".countersign-index.json-0".to_owned(),
        format!(".countersign-{}-0", layer.hex()),
    ];
    let marker = r#"{"imageLayoutVersion":"1.0.0"}"#;
    for begun in [None, Some(marker)] {
        let folder = TempDir::new().unwrap();
        for name in &unfinished {
            fs::write(folder.path().join(name), "somebody else's").unwrap();
        }
        if let Some(marker) = begun {
            fs::write(folder.path().join("oci-layout"), marker).unwrap();
        }
        save(&shelf.image, folder.path()).await.unwrap();
        for name in &unfinished {
            let left = fs::read(folder.path().join(name)).unwrap();
            assert_eq!(left, b"somebody else's", "{name}");
        }
        let entries = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(entries, unfinished.len() + 3, "ours are gone");
    }
    // A layout without an index is not one of ours if it is of another version, or holds more.
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("oci-layout"), marker).unwrap();
    fs::write(folder.path().join("letter.txt"), "dear").unwrap();
    let error = save(&shelf.image, folder.path()).await.unwrap_err();
    assert!(matches!(error, TransferError::Layout(_)), "{error}");
    assert!(!folder.path().join("index.json").exists());
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

//! What lies beside an image is listed, copied and taken away.

use std::collections::BTreeMap;

use bytes::Bytes;
use client::error::FetchErrorKind;
use client::registry::copy::Copying;
use client::registry::{AttachmentKind, Cleaning, CosignTag, NewReferrer, Place, ReferrersSource};
use devkit::image::{Image, ImageIndex, Platform};
use devkit::registry::{Behaviour, Referrers};
use devkit::{Fault, FaultRule};
use evidence::cosign::Layer;
use evidence::{Digest, ImageRef};
use serde_json::json;
use testkit::log::Kind;
use testkit::{Key, Scene};

use super::{Shelf, layer};
use crate::{OCI_INDEX, OCI_MANIFEST, ample, anonymous, assert_kind};

/// A shelf with something of each kind.
pub(super) async fn full(referrers: Referrers) -> Shelf {
    let shelf = Shelf::start(referrers).await;
    fill(&shelf).await;
    shelf
}

async fn fill(shelf: &Shelf) {
    let signature = shelf.scene(Scene::cosign()).seal_layer();
    let attestation = shelf.scene(Scene::cosign_attestation(Kind::DsseV1)).seal_layer();
    shelf.add(CosignTag::Signature, &[&signature]).await;
    shelf.add(CosignTag::Attestation, &[&attestation]).await;
    let sbom = Layer {
        media_type: "text/spdx+json".to_owned(),
        annotations: BTreeMap::new(),
        bytes: b"a bill".to_vec(),
    };
    let digest = shelf.subject.digest;
    let (tag, layers) = (CosignTag::Sbom, [sbom]);
    anonymous().add_cosign_layers(&shelf.image, &digest, tag, &layers, ample()).await.unwrap();
    shelf.attach_bundle(&shelf.scene(Scene::statement(Kind::DsseV1))).await;
    let spdx = NewReferrer {
        media_type: "application/spdx+json".to_owned(),
        bytes: Bytes::from_static(b"another bill"),
        annotations: BTreeMap::new(),
    };
    anonymous().attach(&shelf.image, &shelf.subject, &spdx, ample()).await.unwrap();
}

#[tokio::test]
async fn the_inventory_lists_everything_and_fetches_nothing() {
    for (referrers, source) in
        [(Referrers::On, ReferrersSource::Api), (Referrers::Off, ReferrersSource::FallbackTag)]
    {
        let shelf = full(referrers).await;
        shelf.registry.clear_requests();
        let registry = anonymous();
        let found = registry.inventory(&shelf.image, &shelf.subject.digest, ample()).await;
        assert!(found.obstacles.is_empty(), "{found:?}");
        assert!(!shelf.lines().iter().any(|line| line.contains("/blobs/")));
        let provenance = Some("https://slsa.dev/provenance/v1".to_owned());
        let mut listed: Vec<_> = found
            .attachments
            .iter()
            .map(|one| (one.kind, one.place, one.predicate_type.clone()))
            .collect();
        listed.sort_by_key(|(kind, place, _)| (*kind, matches!(place, Place::Referrers(_))));
        let referrer = Place::Referrers(source);
        let wanted = [
            (AttachmentKind::Bundle, referrer, provenance.clone()),
            (AttachmentKind::Signature, Place::Tag(CosignTag::Signature), None),
            (AttachmentKind::Attestation, Place::Tag(CosignTag::Attestation), provenance),
            (AttachmentKind::Sbom, Place::Tag(CosignTag::Sbom), None),
            (AttachmentKind::Sbom, referrer, None),
        ];
        assert_eq!(listed, wanted);
        for attachment in &found.attachments {
            let size = attachment.layer.size;
            let read = registry.fetch_attachment(&shelf.image, attachment, size, ample());
            assert_eq!(Digest::sha256(&read.await.unwrap()), attachment.layer.digest);
            let small = registry.fetch_attachment(&shelf.image, attachment, size - 1, ample());
            assert_kind!(small.await.unwrap_err(), FetchErrorKind::TooLarge { .. });
        }
        // A bill of materials is a document, and never evidence.
        let found = shelf.find().await;
        assert_eq!(found.pieces.len(), 3);
        assert!(!shelf.lines().iter().any(|line| line.ends_with(".sbom")));
    }
}

#[tokio::test]
async fn cleaning_takes_away_one_kind_and_no_other() {
    use AttachmentKind::{Attestation, Bundle, Sbom, Signature};
    for referrers in [Referrers::On, Referrers::Off] {
        for (what, left) in [
            (Cleaning::Tag(CosignTag::Signature), vec![Bundle, Attestation, Sbom, Sbom]),
            (Cleaning::Tag(CosignTag::Attestation), vec![Bundle, Signature, Sbom, Sbom]),
            (Cleaning::Tag(CosignTag::Sbom), vec![Bundle, Signature, Attestation, Sbom]),
            (Cleaning::Referrers, vec![Signature, Attestation, Sbom, Sbom]),
            // What others attached stays.
            (Cleaning::All, vec![Sbom]),
        ] {
            let shelf = full(referrers).await;
            let digest = shelf.subject.digest;
            let cleaned = anonymous().clean(&shelf.image, &digest, what, ample()).await;
            assert!(cleaned.obstacles.is_empty(), "{cleaned:?}");
            assert_eq!(cleaned.removed.len(), 5 - left.len(), "{what:?}: {cleaned:?}");
            let found = anonymous().inventory(&shelf.image, &digest, ample()).await;
            assert!(found.obstacles.is_empty(), "{what:?}: {found:?}");
            let mut kinds: Vec<_> = found.attachments.iter().map(|one| one.kind).collect();
            kinds.sort();
            assert_eq!(kinds, left, "{what:?} {referrers:?}");
            // Again there is nothing to do.
            let again = anonymous().clean(&shelf.image, &digest, what, ample()).await;
            assert!(again.removed.is_empty() && again.obstacles.is_empty(), "{again:?}");
            anonymous().resolve(&shelf.image, ample()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_cannot_be_cleaned_is_told() {
    let shelf = Shelf::behaving(Behaviour { deletion: false, ..Behaviour::default() }).await;
    fill(&shelf).await;
    let digest = shelf.subject.digest;
    let cleaned = anonymous().clean(&shelf.image, &digest, Cleaning::All, ample()).await;
    assert!(cleaned.removed.is_empty());
    assert_eq!(cleaned.obstacles.len(), 4, "{cleaned:?}");
}

#[tokio::test]
async fn a_copy_has_everything_and_the_same_bytes() {
    for (from, to) in [
        (Referrers::On, Referrers::On),
        (Referrers::On, Referrers::Off),
        (Referrers::Off, Referrers::On),
        (Referrers::Off, Referrers::Off),
    ] {
        let shelf = full(from).await;
        let other = Shelf::start(to).await;
        let target: ImageRef =
            format!("{}/mirror/app:v2", other.registry.address()).parse().unwrap();
        let registry = anonymous();
        let all = Copying::all();
        let copied = registry.copy(&shelf.image, &target, &all, ample()).await.unwrap();
        assert_eq!((copied.manifests, copied.blobs_mounted), (6, 0), "{copied:?}");
        let digest = shelf.subject.digest;
        assert_eq!(registry.resolve(&target, ample()).await.unwrap().digest, digest);
        let theirs = registry.inventory(&shelf.image, &digest, ample()).await;
        let ours = registry.inventory(&target, &digest, ample()).await;
        let essence = |found: &client::registry::Inventory| -> Vec<_> {
            let one = |one: &client::registry::Attachment| {
                (one.kind, one.manifest, one.layer.clone(), one.predicate_type.clone())
            };
            let mut all: Vec<_> = found.attachments.iter().map(one).collect();
            all.sort_by_key(|(_, manifest, ..)| *manifest);
            all
        };
        assert!(ours.obstacles.is_empty(), "{ours:?}");
        assert_eq!(essence(&ours), essence(&theirs));
        for attachment in &ours.attachments {
            let size = attachment.layer.size;
            registry.fetch_attachment(&target, attachment, size, ample()).await.unwrap();
        }
        // Once more: nothing is sent again.
        let again = registry.copy(&shelf.image, &target, &all, ample()).await.unwrap();
        assert_eq!(again.blobs_sent, 0, "{again:?}");
    }
}

#[tokio::test]
async fn a_copy_within_a_registry_mounts_and_merges() {
    let shelf = full(Referrers::On).await;
    let target: ImageRef = format!("{}/other/app:v1", shelf.registry.address()).parse().unwrap();
    // Somebody signed at the destination already.
    let scene = shelf.scene(Scene::cosign()).with(|scene| {
        scene.key = Key::named("another signer", crypto::KeyKind::EcdsaP256);
    });
    let theirs = scene.seal_layer();
    let (digest, tag) = (shelf.subject.digest, CosignTag::Signature);
    let layers = [layer(&theirs)];
    let registry = anonymous();
    registry.add_cosign_layers(&target, &digest, tag, &layers, ample()).await.unwrap();
    let copied = registry.copy(&shelf.image, &target, &Copying::all(), ample()).await.unwrap();
    assert!(copied.blobs_mounted > 0, "{copied:?}");
    let merged = shelf.tagged("other/app", tag).unwrap();
    let layers = merged["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    assert_eq!(layers[0]["annotations"], json!(theirs.annotations));
    // Only a part, by digest: no tag is made.
    let part = Copying { image: false, tags: vec![CosignTag::Signature], referrers: false };
    let third: ImageRef = format!("{}/third/app:v1", shelf.registry.address()).parse().unwrap();
    registry.copy(&shelf.image, &third, &part, ample()).await.unwrap();
    assert_eq!(shelf.registry.tags("third/app"), [tag.of(&digest).unwrap()]);
}

#[tokio::test]
async fn an_index_is_copied_with_its_children_and_what_lies_beside_them() {
    let shelf = Shelf::start(Referrers::On).await;
    let registry = anonymous();
    let platforms = [Platform::LinuxAmd64, Platform::LinuxArm64];
    let images = platforms.map(|platform| Image::new(platform, &[]).unwrap());
    let index = ImageIndex::new(images.to_vec());
    for image in &index.images {
        for blob in [&image.config, &image.layer] {
            let bytes = Bytes::from(blob.bytes.clone());
            registry.push_blob(&shelf.image, bytes, ample()).await.unwrap();
        }
        let bytes = image.manifest.bytes.clone();
        registry.push_manifest(&shelf.image, OCI_MANIFEST, bytes, ample()).await.unwrap();
    }
    let bytes = index.manifest.bytes.clone();
    registry.push_tag(&shelf.image, "multi", OCI_INDEX, bytes, ample()).await.unwrap();
    let child = &index.images[1].manifest;
    let scene = Scene::cosign().with(|scene| scene.artifact.clone_from(&child.bytes));
    let (tag, layers) = (CosignTag::Signature, [layer(&scene.seal_layer())]);
    registry.add_cosign_layers(&shelf.image, &child.digest, tag, &layers, ample()).await.unwrap();
    let from = shelf.image.with_tag("multi").unwrap();
    let target: ImageRef = format!("{}/copy/app:multi", shelf.registry.address()).parse().unwrap();
    let copied = registry.copy(&from, &target, &Copying::all(), ample()).await.unwrap();
    assert_eq!(copied.manifests, 4, "two children, the index, and one signature");
    assert_eq!(registry.resolve(&target, ample()).await.unwrap().digest, index.manifest.digest);
    let found = registry.find_evidence(&target, &child.digest, ample()).await;
    assert_eq!(found.pieces.len(), 1);
}

/// Larger than goes through memory whole.
#[tokio::test]
async fn a_large_blob_is_streamed_and_checked() {
    let shelf = Shelf::start(Referrers::On).await;
    let registry = anonymous();
    let large: Vec<u8> = (0..9_000_000_u32).map(|n| (n % 251) as u8).collect();
    let blob = Bytes::from(large);
    let digest = registry.push_blob(&shelf.image, blob.clone(), ample()).await.unwrap();
    let empty = Bytes::from_static(b"{}");
    let config = registry.push_blob(&shelf.image, empty, ample()).await.unwrap();
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "a/b", "digest": config.to_string(), "size": 2},
        "layers": [{"mediaType": "c/d", "digest": digest.to_string(), "size": blob.len()}]});
    let bytes = serde_json::to_vec(&manifest).unwrap();
    registry.push_tag(&shelf.image, "large", OCI_MANIFEST, bytes, ample()).await.unwrap();
    let other = Shelf::start(Referrers::On).await;
    let target: ImageRef = format!("{}/app:large", other.registry.address()).parse().unwrap();
    let from = shelf.image.with_tag("large").unwrap();
    let all = Copying::all();
    // Something on the way changes a byte: the registry keeps nothing.
    shelf.registry.inject(FaultRule::new(format!("*/blobs/{digest}"), Fault::WrongBytes).times(1));
    let outcome = registry.copy(&from, &target, &all, ample()).await;
    assert_kind!(outcome.unwrap_err(), FetchErrorKind::DigestMismatch { .. });
    let missing = registry.fetch_blob(&target, &digest, blob.len() as u64, ample()).await;
    assert_kind!(missing.unwrap_err(), FetchErrorKind::NotFound { .. });
    assert!(other.registry.tags("app").is_empty());
    registry.copy(&from, &target, &all, ample()).await.unwrap();
    let there = registry.fetch_blob(&target, &digest, blob.len() as u64, ample()).await.unwrap();
    assert_eq!(Digest::sha256(&there), digest);
    let pieces = other.lines().iter().filter(|line| line.starts_with("PATCH")).count();
    assert_eq!(pieces, 2 + 3, "the last of three waits until all of them were checked");
}

/// Whoever can write the list can name any manifest of the repository in it: another image's
/// signatures, or another image. None of them is listed, copied, or taken away.
#[tokio::test]
async fn what_a_list_names_must_say_itself_that_it_is_about_the_image() {
    let shelf = Shelf::start(Referrers::Off).await;
    let registry = anonymous();
    let bundle = shelf.attach_bundle(&shelf.scene(Scene::statement(Kind::DsseV1))).await;
    let subject = Digest::sha256(b"another image");
    // Under the other's tag, the bundle of the first; and the first image itself.
    let tag = format!("sha256-{}", subject.hex());
    let manifest = |digest: &Digest| {
        json!({"mediaType": OCI_MANIFEST, "size": 1,
        "digest": digest.to_string()})
    };
    let listed = [manifest(&bundle), manifest(&shelf.subject.digest)];
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed});
    shelf.registry.plant_manifest("acme/app", &tag, OCI_INDEX, index.to_string()).unwrap();
    let found = registry.inventory(&shelf.image, &subject, ample()).await;
    assert!(found.attachments.is_empty() && found.obstacles.is_empty(), "{found:?}");
    let cleaned = registry.clean(&shelf.image, &subject, Cleaning::All, ample()).await;
    assert!(cleaned.removed.is_empty() && cleaned.obstacles.is_empty(), "{cleaned:?}");
    let stays = [bundle, shelf.subject.digest];
    for digest in stays {
        assert!(shelf.registry.manifest("acme/app", &digest.to_string()).is_some());
    }
}

/// The longest that verifying opens, too: what is longer is told, and not passed over.
#[tokio::test]
async fn a_referrer_that_is_too_long_to_open_is_an_obstacle() {
    use client::registry::discover::REFERRER_SIZE_MAX;
    let shelf = Shelf::start(Referrers::On).await;
    let padding = "x".repeat(usize::try_from(REFERRER_SIZE_MAX).unwrap());
    shelf
        .attach_manifest(
            ("application/spdx+json", "a/b"),
            &[("text/spdx", b"a bill", json!({"padding": padding}))],
        )
        .await;
    // Its entry has only the annotations of the manifest, of which there are none.
    let digest = shelf.subject.digest;
    let found = anonymous().inventory(&shelf.image, &digest, ample()).await;
    assert_kind!(found.obstacles[0], FetchErrorKind::TooLarge { max: REFERRER_SIZE_MAX, .. });
    assert!(found.attachments.is_empty(), "{found:?}");
    let target: ImageRef = format!("{}/other/app:v1", shelf.registry.address()).parse().unwrap();
    let copied = anonymous().copy(&shelf.image, &target, &Copying::all(), ample()).await;
    assert_kind!(copied.unwrap_err(), FetchErrorKind::TooLarge { max: REFERRER_SIZE_MAX, .. });
}

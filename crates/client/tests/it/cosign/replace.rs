//! What makes others obsolete takes their place, and nobody else's.

use std::collections::BTreeSet;

use client::registry::{CosignTag, Place, ReferrersSource};
use devkit::registry::Referrers;
use evidence::Digest;
use serde_json::Value;
use testkit::log::Kind;
use testkit::{Key, Scene, SealedLayer};

use super::{Shelf, layer};
use crate::{ample, anonymous};

fn attestation(shelf: &Shelf, name: &str) -> SealedLayer {
    let key = Key::named(name, crypto::KeyKind::EcdsaP256);
    shelf.scene(Scene::cosign_attestation(Kind::DsseV1)).with(|scene| scene.key = key).seal_layer()
}

fn digests(shelf: &Shelf) -> BTreeSet<String> {
    let manifest = shelf.tagged("acme/app", CosignTag::Attestation).unwrap();
    let layers = manifest["layers"].as_array().unwrap().iter();
    layers.map(|layer| layer["digest"].as_str().unwrap().to_owned()).collect()
}

async fn replace(shelf: &Shelf, new: &SealedLayer, obsolete: &[Digest]) {
    let (image, subject) = (&shelf.image, &shelf.subject.digest);
    let (tag, layers) = (CosignTag::Attestation, [layer(new)]);
    let registry = anonymous();
    let replaced = registry.replace_cosign_layers(image, subject, tag, &layers, obsolete, ample());
    replaced.await.unwrap();
}

#[tokio::test]
async fn layers_that_are_obsolete_go_and_all_others_stay() {
    let shelf = Shelf::start(Referrers::On).await;
    let [old, other, new, late] =
        ["old", "other", "new", "late"].map(|name| attestation(&shelf, name));
    let digest = |sealed: &SealedLayer| Digest::sha256(&sealed.bytes);
    shelf.add(CosignTag::Attestation, &[&old, &other]).await;
    // Somebody attaches another after it was seen which are there.
    let obsolete = [digest(&old)];
    shelf.add(CosignTag::Attestation, &[&late]).await;
    replace(&shelf, &new, &obsolete).await;
    let wanted = [&other, &late, &new].map(|sealed| digest(sealed).to_string());
    assert_eq!(digests(&shelf), BTreeSet::from(wanted));
    // The configuration lists what is there: Cosign goes by it when it adds.
    let manifest = shelf.tagged("acme/app", CosignTag::Attestation).unwrap();
    let config: Digest = manifest["config"]["digest"].as_str().unwrap().parse().unwrap();
    let config = anonymous().fetch_blob(&shelf.image, &config, 4096, ample()).await.unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_is_new_is_never_obsolete() {
    let shelf = Shelf::start(Referrers::On).await;
    let same = attestation(&shelf, "same");
    shelf.add(CosignTag::Attestation, &[&same]).await;
    let digest = Digest::sha256(&same.bytes);
    replace(&shelf, &same, &[digest]).await;
    assert_eq!(digests(&shelf), BTreeSet::from([digest.to_string()]));
}

#[tokio::test]
async fn referrers_that_are_obsolete_go_from_their_list_too() {
    for (referrers, source) in
        [(Referrers::On, ReferrersSource::Api), (Referrers::Off, ReferrersSource::FallbackTag)]
    {
        let shelf = Shelf::start(referrers).await;
        let scene = |name: &str| {
            let key = Key::named(name, crypto::KeyKind::EcdsaP256);
            shelf.scene(Scene::statement(Kind::DsseV1)).with(|scene| scene.key = key)
        };
        let old = shelf.attach_bundle(&scene("old")).await;
        let other = shelf.attach_bundle(&scene("other")).await;
        let (image, subject) = (&shelf.image, &shelf.subject.digest);
        let obsolete = [(old, Place::Referrers(source))];
        let cleaned = anonymous().remove_referrers(image, subject, &obsolete, ample()).await;
        assert_eq!(cleaned.removed, [old.to_string()]);
        assert!(cleaned.obstacles.is_empty(), "{cleaned:?}");
        let left = anonymous().referrers(image, subject, ample()).await.unwrap();
        let left: Vec<_> = left.descriptors.iter().map(|one| one.digest).collect();
        assert_eq!(left, [other], "{referrers:?}");
    }
}

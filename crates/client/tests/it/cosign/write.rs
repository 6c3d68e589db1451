//! Cosign's tags are written so that nobody's signature is lost.

use bytes::Bytes;
use client::error::FetchErrorKind;
use client::registry::CosignTag;
use devkit::registry::{Behaviour, Referrers};
use devkit::{Fault, FaultRule};
use evidence::Digest;
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::Scene;
use testkit::log::Kind;

use super::{SIMPLE_SIGNING, Shelf, layer};
use crate::{OCI_INDEX, OCI_MANIFEST, ample, anonymous, assert_kind};

#[test]
fn tags_are_cosigns() {
    let digest = Digest::sha256(b"x");
    let stem = format!("sha256-{}", digest.hex());
    let tags = CosignTag::ALL.map(|tag| tag.of(&digest).unwrap());
    assert_eq!(tags, [format!("{stem}.sig"), format!("{stem}.att"), format!("{stem}.sbom")]);
    let long = Digest::from(crypto::Hash::of(crypto::HashAlgorithm::Sha512, b"x"));
    assert_eq!(CosignTag::Signature.of(&long), None);
}

/// What Cosign reads when it adds a signature of its own: a configuration that lists every layer.
#[tokio::test]
async fn the_manifest_is_one_that_cosign_can_add_to() {
    let shelf = Shelf::start(Referrers::On).await;
    let scene = shelf.scene(Scene::cosign());
    let attestation = shelf.scene(Scene::cosign_attestation(Kind::DsseV1));
    let (one, two) = (scene.seal_layer(), attestation.seal_layer());
    shelf.add(CosignTag::Signature, &[&one]).await;
    shelf.add(CosignTag::Signature, &[&two]).await;
    let manifest = shelf.tagged("acme/app", CosignTag::Signature).unwrap();
    assert_eq!(manifest["schemaVersion"], 2);
    assert_eq!(manifest["mediaType"], OCI_MANIFEST);
    let config = &manifest["config"];
    assert_eq!(config["mediaType"], "application/vnd.oci.image.config.v1+json");
    let digest: Digest = config["digest"].as_str().unwrap().parse().unwrap();
    let bytes = anonymous().fetch_blob(&shelf.image, &digest, 4096, ample()).await.unwrap();
    assert_eq!(config["size"], bytes.len());
    let config: Value = serde_json::from_slice(&bytes).unwrap();
    let digests: Vec<_> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["digest"].clone())
        .collect();
    assert_eq!(config["rootfs"]["diff_ids"], json!(digests));
    assert_eq!(config["history"].as_array().unwrap().len(), 2);
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers[0]["mediaType"], SIMPLE_SIGNING);
    assert_eq!(layers[0]["annotations"], json!(one.annotations));
    assert_eq!(layers[1]["annotations"], json!(two.annotations));
}

#[tokio::test]
async fn other_writers_layers_stay_as_they_wrote_them() {
    for conditions_obeyed in [true, false] {
        let behaviour = Behaviour { conditions_obeyed, ..Behaviour::default() };
        let shelf = Shelf::behaving(behaviour).await;
        let tag = CosignTag::Signature.of(&shelf.subject.digest).unwrap();
        let blob = Bytes::from_static(b"theirs");
        let digest = anonymous().push_blob(&shelf.image, blob, ample()).await.unwrap();
        let docker = "application/vnd.docker.distribution.manifest.v2+json";
        let theirs = json!({"mediaType": "their/own", "digest": digest.to_string(), "size": 6,
            "annotations": {"a": "b"}, "future": [1, null]});
        let config = json!({"mediaType": "application/vnd.docker.container.image.v1+json",
            "digest": digest.to_string(), "size": 6});
        let manifest = json!({"schemaVersion": 2, "mediaType": docker, "config": config,
            "layers": [theirs], "annotations": {"kept": "yes"}});
        shelf.registry.plant_manifest("acme/app", &tag, docker, manifest.to_string()).unwrap();
        let scene = shelf.scene(Scene::cosign());
        let ours = scene.seal_layer();
        shelf.add(CosignTag::Signature, &[&ours]).await;
        let merged = shelf.tagged("acme/app", CosignTag::Signature).unwrap();
        assert_eq!(merged["layers"][0], theirs);
        assert_eq!(merged["layers"][1]["annotations"], json!(ours.annotations));
        assert_eq!(merged["annotations"], json!({"kept": "yes"}));
        assert_eq!(merged["mediaType"], docker);
        let named = &merged["config"]["mediaType"];
        assert_eq!(named, "application/vnd.docker.container.image.v1+json");
        // Once more changes nothing, and writes nothing.
        shelf.registry.clear_requests();
        shelf.add(CosignTag::Signature, &[&ours]).await;
        assert_eq!(shelf.tagged("acme/app", CosignTag::Signature).unwrap(), merged);
        assert!(!shelf.lines().iter().any(|line| line.starts_with("PUT")), "{:?}", shelf.lines());
    }
}

/// Many sign the same image at the same time.
#[tokio::test]
async fn no_signature_is_lost_to_another() {
    const WRITERS: usize = 6;
    let shelf = Shelf::start(Referrers::On).await;
    let scene = shelf.scene(Scene::cosign());
    let layers: Vec<_> = (0..WRITERS).map(|_| layer(&scene.seal_layer())).collect();
    let registries: Vec<_> = (0..WRITERS).map(|_| anonymous()).collect();
    let writes = layers.iter().zip(&registries).map(|(layer, registry)| {
        let layers = std::slice::from_ref(layer);
        let (image, digest) = (&shelf.image, &shelf.subject.digest);
        registry.add_cosign_layers(image, digest, CosignTag::Signature, layers, ample())
    });
    for outcome in futures::future::join_all(writes).await {
        outcome.unwrap();
    }
    let manifest = shelf.tagged("acme/app", CosignTag::Signature).unwrap();
    let kept: Vec<_> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["annotations"].clone())
        .collect();
    assert_eq!(kept.len(), WRITERS);
    assert!(layers.iter().all(|layer| kept.contains(&json!(layer.annotations))));
}

#[tokio::test]
async fn a_tag_that_holds_something_else_is_not_overwritten() {
    let shelf = Shelf::start(Referrers::On).await;
    let digest = shelf.subject.digest;
    let tag = CosignTag::Signature.of(&digest).unwrap();
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).to_string();
    shelf.registry.plant_manifest("acme/app", &tag, OCI_INDEX, index.clone()).unwrap();
    let layers = [layer(&shelf.scene(Scene::cosign()).seal_layer())];
    let tag_kind = CosignTag::Signature;
    let outcome =
        anonymous().add_cosign_layers(&shelf.image, &digest, tag_kind, &layers, ample()).await;
    assert_kind!(outcome.unwrap_err(), FetchErrorKind::Malformed { .. });
    assert_eq!(shelf.registry.manifest("acme/app", &tag).unwrap(), index);
    shelf.registry.inject(FaultRule::new("*.att", Fault::Status(StatusCode::FORBIDDEN)));
    let tag_kind = CosignTag::Attestation;
    let outcome =
        anonymous().add_cosign_layers(&shelf.image, &digest, tag_kind, &layers, ample()).await;
    assert_kind!(outcome.unwrap_err(), FetchErrorKind::Forbidden { .. });
}

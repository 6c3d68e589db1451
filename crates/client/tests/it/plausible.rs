//! What could never be verified is known before it is attached: evidence about another image, and
//! parts that are not of one another.

use client::plausible::{Implausible, check};
use crypto::KeyKind;
use evidence::bundle::Content;
use evidence::cosign::{LOG_ENTRY, Layer, SIGNATURE, TIMESTAMP};
use evidence::{Digest, Evidence};
use testkit::log::Kind;
use testkit::{Scene, SealedLayer};

const IMAGE: &[u8] = b"the manifest of an image";

fn digest() -> Digest {
    Digest::sha256(IMAGE)
}

fn about(scene: Scene, artifact: &[u8]) -> Scene {
    scene.with(|scene| scene.artifact = artifact.to_vec())
}

fn layer(sealed: SealedLayer) -> Layer {
    let SealedLayer { media_type, annotations, bytes, .. } = sealed;
    Layer { media_type: media_type.to_owned(), annotations, bytes }
}

fn sealed(scene: Scene) -> Layer {
    layer(about(scene, IMAGE).seal_layer())
}

fn read(layer: Layer) -> Evidence {
    Evidence::from_cosign_layer(layer).unwrap()
}

fn bundle(scene: Scene) -> Evidence {
    Evidence::from_bundle(&about(scene, IMAGE).seal().bundle_json()).unwrap()
}

#[test]
fn whatever_is_about_the_image_may_be_attached() {
    let layers = [
        Scene::cosign(),
        Scene::cosign().pinned(),
        Scene::cosign().with(|scene| scene.timestamps = 1),
        Scene::cosign_attestation(Kind::DsseV1),
        Scene::cosign_attestation(Kind::IntotoV1),
        Scene::cosign_attestation(Kind::IntotoV2),
    ];
    for (index, scene) in layers.into_iter().enumerate() {
        assert_eq!(check(&read(sealed(scene)), &digest()), Ok(()), "layer {index}");
    }
    let bundles = [
        Scene::statement(Kind::DsseV1),
        Scene::statement(Kind::HashedRekordV2).with(|scene| scene.timestamps = 1),
        Scene::statement(Kind::DsseV1).pinned(),
    ];
    for (index, scene) in bundles.into_iter().enumerate() {
        assert_eq!(check(&bundle(scene), &digest()), Ok(()), "bundle {index}");
    }
    for kind in [KeyKind::EcdsaP384, KeyKind::EcdsaP521, KeyKind::Ed25519] {
        let scene = Scene::statement(Kind::DsseV1).with_key(kind);
        assert_eq!(check(&bundle(scene), &digest()), Ok(()), "{kind}");
    }
}

#[test]
fn what_is_about_something_else_is_told() {
    let other = Digest::sha256(b"another image");
    for evidence in [
        read(sealed(Scene::cosign())),
        read(sealed(Scene::cosign_attestation(Kind::DsseV1))),
        bundle(Scene::statement(Kind::DsseV1)),
    ] {
        let error = check(&evidence, &other).unwrap_err();
        let found = vec![digest().to_string()];
        assert_eq!(error, Implausible::OtherImage { wanted: other, found });
    }
    let blob = bundle(Scene::v1());
    assert_eq!(check(&blob, &digest()), Err(Implausible::NotAboutImages));
    let mut envelope = bundle(Scene::statement(Kind::DsseV1));
    let Content::Envelope(content) = &mut envelope.content else { panic!("an envelope") };
    content.payload_type = "text/plain".to_owned();
    let found = "text/plain".to_owned();
    assert_eq!(check(&envelope, &digest()), Err(Implausible::PayloadType { found }));
    let mut envelope = bundle(Scene::statement(Kind::DsseV1));
    let Content::Envelope(content) = &mut envelope.content else { panic!("an envelope") };
    content.payload = b"{}".to_vec();
    assert!(matches!(check(&envelope, &digest()), Err(Implausible::Statement(_))));
}

#[test]
fn parts_that_are_not_of_one_another_are_told() {
    let stamped = || Scene::cosign().with(|scene| scene.timestamps = 1);
    let own = sealed(stamped());
    let other = layer(about(stamped(), b"another image").seal_layer());
    let with = |name: &str| {
        let mut mixed = own.clone();
        mixed.annotations.insert(name.to_owned(), other.annotations[name].clone());
        check(&read(mixed), &digest()).unwrap_err()
    };
    assert_eq!(with(SIGNATURE), Implausible::OtherSigner);
    assert!(matches!(with(LOG_ENTRY), Implausible::OtherEntry { .. }));
    assert_eq!(with(TIMESTAMP), Implausible::OtherTimestamp);

    let mut evidence = read(own);
    evidence.timestamps[0] = b"no timestamp".to_vec();
    assert!(matches!(check(&evidence, &digest()), Err(Implausible::Timestamp(_))));
}

#[test]
fn an_entry_of_any_kind_must_be_of_this_signature() {
    for kind in [Kind::DsseV1, Kind::IntotoV1, Kind::IntotoV2] {
        let mut evidence = read(sealed(Scene::cosign_attestation(kind)));
        let other = about(Scene::cosign_attestation(kind), b"another image").seal_layer();
        evidence.entries = read(layer(other)).entries;
        let error = check(&evidence, &digest()).unwrap_err();
        assert!(matches!(error, Implausible::OtherEntry { .. }), "{kind:?}: {error}");
    }
    for kind in [Kind::DsseV1, Kind::DsseV2, Kind::HashedRekordV2] {
        let mut evidence = bundle(Scene::statement(kind));
        let other = about(Scene::statement(kind), b"another image").seal().bundle_json();
        evidence.entries = Evidence::from_bundle(&other).unwrap().entries;
        let error = check(&evidence, &digest()).unwrap_err();
        assert!(matches!(error, Implausible::OtherEntry { .. }), "{kind:?}: {error}");
    }
}

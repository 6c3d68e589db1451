//! What Cosign left is found completely and in few requests, and proven by the judge.

use client::error::FetchErrorKind;
use client::registry::{AttachmentKind, CosignTag, IgnoredReason, Place};
use devkit::registry::{Behaviour, Referrers};
use devkit::{Fault, FaultRule};
use evidence::Digest;
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::log::Kind;
use testkit::{Scene, SealedLayer};
use verify::Verdict;

use super::{SIMPLE_SIGNING, Shelf, judge, places, policy};
use crate::{OCI_INDEX, OCI_MANIFEST, ample, anonymous, assert_kind};

#[tokio::test]
async fn what_lies_under_cosigns_tags_is_found_and_holds() {
    for (referrers, lists) in [(Referrers::On, 3), (Referrers::Off, 4)] {
        let shelf = Shelf::start(referrers).await;
        let signature = shelf.scene(Scene::cosign());
        let attestation = shelf.scene(Scene::cosign_attestation(Kind::IntotoV1));
        let (one, two) = (signature.seal_layer(), signature.seal_layer());
        let other = attestation.seal_layer();
        shelf.add(CosignTag::Signature, &[&one, &two]).await;
        shelf.add(CosignTag::Attestation, &[&other]).await;
        let found = shelf.find().await;
        assert!(found.obstacles.is_empty() && found.ignored.is_empty(), "{found:?}");
        let signed = (AttachmentKind::Signature, Place::Tag(CosignTag::Signature));
        let attested = (AttachmentKind::Attestation, Place::Tag(CosignTag::Attestation));
        assert_eq!(places(&found), [signed, signed, attested]);
        // The newest first.
        assert_eq!(found.pieces[0].annotations, two.annotations);
        assert_eq!(found.pieces[1].annotations, one.annotations);
        // Both signatures are over the same payload, which is fetched once.
        let mut lines = shelf.lines();
        assert_eq!(lines.len(), lists + 2, "{lines:?}");
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), lists + 2, "nothing twice");
        for (scene, sealed) in [(&signature, &one), (&attestation, &other)] {
            let verdict = judge(&policy(scene, &sealed.trust_root), &found, scene);
            assert!(matches!(verdict, Verdict::Admit(_)), "{verdict:?}");
        }
    }
}

/// Cosign takes 19 to 36.
#[tokio::test]
async fn an_image_with_five_referrers_is_verified_in_nine_requests() {
    for referrers in [Referrers::On, Referrers::WithoutFilter] {
        let shelf = Shelf::start(referrers).await;
        let scene = shelf.scene(Scene::statement(Kind::DsseV1));
        for _ in 0..5 {
            shelf.attach_bundle(&scene).await;
        }
        shelf.registry.clear_requests();
        let registry = anonymous();
        let manifest = registry.resolve(&shelf.image, ample()).await.unwrap();
        let mut discovery = registry.discover(&shelf.image, &manifest.digest, ample()).await;
        assert!(discovery.advance().await);
        let policy = policy(&scene, &scene.seal().trust_root);
        let verdict = judge(&policy, discovery.found(), &scene);
        assert!(matches!(verdict, Verdict::Admit(_)), "{verdict:?}");
        assert_eq!(shelf.lines().len(), 9, "{:#?}", shelf.lines());
        // All of them take two more for each of the other three, and none is asked for twice.
        while discovery.advance().await {}
        let mut lines = shelf.lines();
        assert_eq!((discovery.into_found().pieces.len(), lines.len()), (5, 15));
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), 15);
    }
}

#[tokio::test]
async fn an_image_with_one_old_signature_is_verified_in_six_requests() {
    let shelf = Shelf::start(Referrers::On).await;
    let scene = shelf.scene(Scene::cosign());
    let sealed = scene.seal_layer();
    shelf.add(CosignTag::Signature, &[&sealed]).await;
    shelf.registry.clear_requests();
    let registry = anonymous();
    let manifest = registry.resolve(&shelf.image, ample()).await.unwrap();
    let mut discovery = registry.discover(&shelf.image, &manifest.digest, ample()).await;
    assert!(discovery.advance().await);
    let verdict = judge(&policy(&scene, &sealed.trust_root), discovery.found(), &scene);
    assert!(matches!(verdict, Verdict::Admit(_)), "{verdict:?}");
    assert_eq!(shelf.lines().len(), 6, "{:#?}", shelf.lines());
    assert!(!discovery.advance().await);
}

/// Signing by digest survives a missing image, and so does looking.
#[tokio::test]
async fn evidence_of_an_image_that_is_missing_is_found() {
    let behaviour = Behaviour { references_checked: false, ..Behaviour::default() };
    let shelf = Shelf::behaving(behaviour).await;
    let scene = shelf.scene(Scene::cosign());
    shelf.add(CosignTag::Signature, &[&scene.seal_layer()]).await;
    shelf.attach_bundle(&shelf.scene(Scene::statement(Kind::DsseV1))).await;
    let digest = shelf.subject.digest;
    anonymous().delete_manifest(&shelf.image, &digest, ample()).await.unwrap();
    let found = shelf.find().await;
    assert_eq!(found.pieces.len(), 2, "{found:?}");
    assert!(found.obstacles.is_empty(), "{found:?}");
}

/// Each list that cannot be read is an obstacle of its own, and hides nothing of the others.
#[tokio::test]
async fn a_list_that_cannot_be_read_does_not_hide_the_others() {
    let statuses = [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
    ];
    for (pattern, left) in [("*.sig", 2), ("*.att", 2), ("*/referrers/*", 2)] {
        for status in statuses {
            let shelf = Shelf::start(Referrers::On).await;
            let signature = shelf.scene(Scene::cosign()).seal_layer();
            let attestation = shelf.scene(Scene::cosign_attestation(Kind::DsseV1)).seal_layer();
            shelf.add(CosignTag::Signature, &[&signature]).await;
            shelf.add(CosignTag::Attestation, &[&attestation]).await;
            shelf.attach_bundle(&shelf.scene(Scene::statement(Kind::DsseV1))).await;
            shelf.registry.inject(FaultRule::new(pattern, Fault::Status(status)));
            let found = shelf.find().await;
            assert_eq!(
                (found.pieces.len(), found.obstacles.len()),
                (left, 1),
                "{pattern} {status}"
            );
        }
    }
}

/// The experimental referrers of Cosign 2, and attestations that it kept as referrers.
#[tokio::test]
async fn referrers_of_every_generation_are_found() {
    for referrers in [Referrers::On, Referrers::WithoutFilter] {
        let shelf = Shelf::start(referrers).await;
        let signature = shelf.scene(Scene::cosign()).seal_layer();
        let attestation = shelf.scene(Scene::cosign_attestation(Kind::DsseV1)).seal_layer();
        let annotations = |sealed: &SealedLayer| json!(sealed.annotations);
        let experimental = "application/vnd.dev.cosign.artifact.sig.v1+json";
        let empty = "application/vnd.oci.empty.v1+json";
        shelf
            .attach_manifest(
                ("", experimental),
                &[(SIMPLE_SIGNING, &signature.bytes, annotations(&signature))],
            )
            .await;
        shelf
            .attach_manifest(
                ("application/vnd.in-toto+json", empty),
                &[(attestation.media_type, &attestation.bytes, annotations(&attestation))],
            )
            .await;
        shelf.attach_bundle(&shelf.scene(Scene::statement(Kind::DsseV1))).await;
        // A bill of materials is listed, opened, and is no evidence.
        let spdx: (&str, &[u8], Value) = ("application/spdx+json", b"{}", json!({}));
        shelf.attach_manifest(("application/spdx+json", empty), &[spdx]).await;
        let found = shelf.find().await;
        let mut kinds: Vec<_> = found.pieces.iter().map(|piece| piece.kind).collect();
        kinds.sort();
        let wanted =
            [AttachmentKind::Bundle, AttachmentKind::Signature, AttachmentKind::Attestation];
        assert_eq!(kinds, wanted);
        let reason = IgnoredReason::NotEvidence { found: "application/spdx+json".to_owned() };
        assert_eq!(found.ignored.len(), 1);
        assert_eq!(found.ignored[0].reason, reason);
        let scene = shelf.scene(Scene::cosign());
        let verdict = judge(&policy(&scene, &signature.trust_root), &found, &scene);
        assert!(matches!(verdict, Verdict::Admit(_)), "{verdict:?}");
    }
}

/// A malformed piece is a reason, and the next one is judged all the same.
#[tokio::test]
async fn a_malformed_piece_is_a_reason_and_hides_nothing() {
    let shelf = Shelf::start(Referrers::On).await;
    let scene = shelf.scene(Scene::cosign());
    let good = scene.seal_layer();
    let mut broken = good.clone();
    let entry = testkit::cosign::LOG_ENTRY.to_owned();
    broken.annotations.insert(entry, "nonsense".to_owned());
    broken.bytes = b"{}".to_vec();
    shelf.add(CosignTag::Signature, &[&broken, &good, &broken]).await;
    let found = shelf.find().await;
    assert_eq!(found.pieces.len(), 2, "the same layer is not added twice");
    let verdict = judge(&policy(&scene, &good.trust_root), &found, &scene);
    assert!(matches!(verdict, Verdict::Admit(_)), "{verdict:?}");
    let stranger = Scene::cosign().with(|scene| scene.wanted_subject = "somebody".to_owned());
    let verdict = judge(&policy(&stranger, &good.trust_root), &found, &scene);
    let Verdict::Refuse(reasons) = verdict else { panic!("{verdict:?}") };
    let malformed = reasons.iter().filter(|r| matches!(r.refusal, verify::Refusal::Malformed(_)));
    assert_eq!((reasons.len(), malformed.count()), (2, 1));
}

#[tokio::test]
async fn what_else_lies_under_a_tag_is_ignored_or_an_obstacle() {
    let shelf = Shelf::start(Referrers::On).await;
    let tag = CosignTag::Signature.of(&shelf.subject.digest).unwrap();
    // An image that somebody pushed there.
    let plant = |media_type: &str, document: Value| {
        let bytes = document.to_string();
        shelf.registry.plant_manifest("acme/app", &tag, media_type, bytes).unwrap();
    };
    let config =
        json!({"mediaType": "a/b", "digest": Digest::sha256(b"{}").to_string(), "size": 2});
    let stray = json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "size": 1,
        "digest": Digest::sha256(b"x").to_string()});
    plant(
        OCI_MANIFEST,
        json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config,
        "layers": [stray]}),
    );
    let found = shelf.find().await;
    assert!(found.pieces.is_empty() && found.obstacles.is_empty(), "{found:?}");
    assert_eq!(found.ignored.len(), 1);
    assert_eq!(shelf.lines().len(), 3, "and it is not fetched");

    plant(OCI_INDEX, json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}));
    let found = shelf.find().await;
    let reason = IgnoredReason::NotEvidence { found: OCI_INDEX.to_owned() };
    assert_eq!(found.ignored[0].reason, reason);

    for nonsense in [json!([]), json!({"schemaVersion": 2, "config": config, "layers": "none"})] {
        plant(OCI_MANIFEST, nonsense);
        let found = shelf.find().await;
        assert_kind!(found.obstacles[0], FetchErrorKind::Malformed { .. });
    }
    // CVE-2023-46737, CVE-2024-29903: more than a thousand signatures.
    let many = vec![stray; 1001];
    plant(OCI_MANIFEST, json!({"schemaVersion": 2, "config": config, "layers": many}));
    let found = shelf.find().await;
    assert_eq!((found.pieces.len(), found.obstacles.len()), (0, 1));
}

/// What a manifest says once must not be kept a thousand times: 300 kB of it made 300 MB.
#[tokio::test]
async fn what_a_manifest_says_of_a_bundle_is_said_of_no_list() {
    let shelf = Shelf::start(Referrers::On).await;
    let tag = CosignTag::Attestation.of(&shelf.subject.digest).unwrap();
    let config =
        json!({"mediaType": "a/b", "digest": Digest::sha256(b"{}").to_string(), "size": 2});
    let layer = json!({"mediaType": "application/vnd.dsse.envelope.v1+json", "size": 1,
        "digest": Digest::sha256(b"x").to_string()});
    for (count, said) in [(1, Some("https://example.com/note")), (2, None)] {
        let document = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config,
            "layers": vec![&layer; count],
            "annotations": {"dev.sigstore.bundle.predicateType": "https://example.com/note"}});
        let bytes = document.to_string();
        shelf.registry.plant_manifest("acme/app", &tag, OCI_MANIFEST, bytes).unwrap();
        let found = anonymous().inventory(&shelf.image, &shelf.subject.digest, ample()).await;
        let types: Vec<_> =
            found.attachments.iter().map(|it| it.predicate_type.as_deref()).collect();
        assert_eq!(types, vec![said; count]);
    }
}

/// CVE-2024-29902: an attachment of a gigabyte, declared or not.
#[tokio::test]
async fn signatures_have_a_size() {
    let shelf = Shelf::start(Referrers::On).await;
    let scene = shelf.scene(Scene::cosign());
    shelf.add(CosignTag::Signature, &[&scene.seal_layer()]).await;
    let mut manifest = shelf.tagged("acme/app", CosignTag::Signature).unwrap();
    manifest["layers"][0]["size"] = (1_u64 << 30).into();
    let tag = CosignTag::Signature.of(&shelf.subject.digest).unwrap();
    let plant = |manifest: &Value| {
        let bytes = manifest.to_string();
        shelf.registry.plant_manifest("acme/app", &tag, OCI_MANIFEST, bytes).unwrap();
    };
    plant(&manifest);
    let found = shelf.find().await;
    assert_kind!(found.obstacles[0], FetchErrorKind::TooLarge { .. });
    assert_eq!(shelf.lines().len(), 3, "not even asked for");
    manifest["layers"][0]["size"] = 5.into();
    plant(&manifest);
    shelf.registry.inject(FaultRule::new("*/blobs/*", Fault::EndlessBody));
    let found = shelf.find().await;
    assert_kind!(found.obstacles[0], FetchErrorKind::TooLarge { max: 5, .. });
}

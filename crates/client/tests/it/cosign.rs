//! What Cosign keeps beside images, in a real registry: found completely and in few requests, proven
//! by the judge, written so that nobody's signature is lost, listed, copied and taken away.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use client::error::FetchErrorKind;
use client::registry::copy::Copying;
use client::registry::{
    AttachmentKind, BundleContent, Cleaning, CosignTag, Descriptor, Found, IgnoredReason,
    NewReferrer, Place, ReferrersSource,
};
use devkit::image::{Image, ImageIndex, Platform};
use devkit::registry::{Behaviour, Referrers, RegistryOptions};
use devkit::{Fault, FaultRule};
use evidence::cosign::Layer;
use evidence::{Digest, ImageRef, UnixTime};
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::log::Kind;
use testkit::{Key, Scene, SealedLayer};
use verify::{
    Artifact, Authority, Case, IdentityPattern, NonEmpty, Obstacle, Pattern, Piece, Policy,
    Requirement, TrustRoot, Verdict,
};

use crate::{OCI_INDEX, OCI_MANIFEST, ample, anonymous, assert_kind};

const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// A registry with an image in it.
struct Shelf {
    registry: devkit::registry::Registry,
    image: ImageRef,
    manifest: Vec<u8>,
    subject: Descriptor,
}

impl Shelf {
    async fn start(referrers: Referrers) -> Self {
        let behaviour = Behaviour { referrers, ..Behaviour::default() };
        Self::behaving(behaviour).await
    }

    async fn behaving(behaviour: Behaviour) -> Self {
        let options = RegistryOptions { behaviour, ..RegistryOptions::default() };
        let registry = devkit::registry::Registry::start(options).await.unwrap();
        let image: ImageRef = format!("{}/acme/app:v1", registry.address()).parse().unwrap();
        let built = Image::new(Platform::LinuxAmd64, &[]).unwrap();
        for blob in [built.config, built.layer] {
            anonymous().push_blob(&image, Bytes::from(blob.bytes), ample()).await.unwrap();
        }
        let manifest = built.manifest.bytes;
        anonymous().push_tag(&image, "v1", OCI_MANIFEST, manifest.clone(), ample()).await.unwrap();
        let digest = Digest::sha256(&manifest);
        let subject = Descriptor::new(OCI_MANIFEST, digest, manifest.len() as u64);
        registry.clear_requests();
        Self { registry, image, manifest, subject }
    }

    /// The scene, about this image.
    fn scene(&self, scene: Scene) -> Scene {
        let manifest = self.manifest.clone();
        scene.with(|scene| scene.artifact = manifest)
    }

    async fn add(&self, tag: CosignTag, sealed: &[&SealedLayer]) {
        let layers: Vec<_> = sealed.iter().map(|sealed| layer(sealed)).collect();
        let digest = self.subject.digest;
        anonymous().add_cosign_layers(&self.image, &digest, tag, &layers, ample()).await.unwrap();
    }

    async fn attach_bundle(&self, scene: &Scene) -> Digest {
        let predicate_type = "https://slsa.dev/provenance/v1".to_owned();
        let referrer = NewReferrer::bundle(
            Bytes::from(scene.seal().bundle_json()),
            BundleContent::DsseEnvelope { predicate_type },
            UnixTime::from_seconds(1_700_000_000),
        );
        let attached = anonymous().attach(&self.image, &self.subject, &referrer, ample()).await;
        attached.unwrap().manifest
    }

    /// A manifest about this image, with these layers, whose blobs are put there too.
    async fn attach_manifest(&self, kind: (&str, &str), layers: &[(&str, &[u8], Value)]) -> Digest {
        let (artifact_type, config) = kind;
        let mut descriptors = vec![];
        for (media_type, bytes, annotations) in layers {
            let blob = Bytes::copy_from_slice(bytes);
            anonymous().push_blob(&self.image, blob, ample()).await.unwrap();
            descriptors.push(json!({"mediaType": media_type, "size": bytes.len(),
                "digest": Digest::sha256(bytes).to_string(), "annotations": annotations}));
        }
        let empty = Bytes::from_static(b"{}");
        anonymous().push_blob(&self.image, empty, ample()).await.unwrap();
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": {"mediaType": config, "digest": Digest::sha256(b"{}").to_string(), "size": 2},
            "layers": descriptors,
            "subject": {"mediaType": OCI_MANIFEST, "digest": self.subject.digest.to_string(),
                "size": self.subject.size},
        });
        if !artifact_type.is_empty() {
            manifest["artifactType"] = artifact_type.into();
        }
        let bytes = serde_json::to_vec(&manifest).unwrap();
        anonymous().push_manifest(&self.image, OCI_MANIFEST, bytes, ample()).await.unwrap()
    }

    async fn find(&self) -> Found {
        self.registry.clear_requests();
        anonymous().find_evidence(&self.image, &self.subject.digest, ample()).await
    }

    fn lines(&self) -> Vec<String> {
        let requests = self.registry.requests();
        requests.iter().map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    fn tagged(&self, repository: &str, tag: CosignTag) -> Option<Value> {
        let tag = tag.of(&self.subject.digest).unwrap();
        let bytes = self.registry.manifest(repository, &tag)?;
        Some(serde_json::from_slice(&bytes).unwrap())
    }
}

fn layer(sealed: &SealedLayer) -> Layer {
    Layer {
        media_type: sealed.media_type.to_owned(),
        annotations: sealed.annotations.clone(),
        bytes: sealed.bytes.clone(),
    }
}

/// The policy that wants a scene's keyless signer.
fn policy(scene: &Scene, trust_root: &Value) -> Policy {
    let roots = TrustRoot::pin(trust_root.to_string().as_bytes()).unwrap();
    let authority = Authority::Keyless {
        name: "the signer".to_owned(),
        roots: Arc::new(roots),
        identities: NonEmpty::new(IdentityPattern {
            issuer: Pattern::exact(&scene.wanted_issuer).unwrap(),
            subject: Pattern::exact(&scene.wanted_subject).unwrap(),
            extensions: Vec::new(),
        }),
    };
    let requirement = Requirement::any_claim_by(NonEmpty::new(authority));
    Policy { name: "test".to_owned(), requirements: NonEmpty::new(requirement) }
}

fn judge(policy: &Policy, found: &Found, scene: &Scene) -> Verdict {
    let pieces: Vec<_> = found
        .pieces
        .iter()
        .map(|piece| Piece { source: piece.manifest.to_string(), evidence: piece.clone().parse() })
        .collect();
    let obstacles: Vec<_> = found.obstacles.iter().map(Obstacle::from).collect();
    let artifact = Artifact::from_digest(Digest::sha256(&scene.artifact));
    let case = Case { artifact: &artifact, pieces: &pieces, obstacles: &obstacles };
    policy.judge(&case, UnixTime::from_seconds(scene.now))
}

fn places(found: &Found) -> Vec<(AttachmentKind, Place)> {
    found.pieces.iter().map(|piece| (piece.kind, piece.place)).collect()
}

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

/// A shelf with something of each kind.
async fn full(referrers: Referrers) -> Shelf {
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
    assert_eq!(pieces, 2 * 3, "three pieces each time");
}

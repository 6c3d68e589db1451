//! What Cosign keeps beside images, in a real registry.

mod beside;
mod find;
mod moves;
mod replace;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use client::registry::{
    AttachmentKind, BundleContent, CosignTag, Descriptor, Found, NewReferrer, Place,
};
use devkit::image::{Image, Platform};
use devkit::registry::{Behaviour, Referrers, RegistryOptions};
use evidence::cosign::Layer;
use evidence::{Digest, ImageRef, UnixTime};
use serde_json::{Value, json};
use testkit::{Scene, SealedLayer};
use verify::{
    Artifact, Authority, Case, Demands, IdentityPattern, NonEmpty, Obstacle, Pattern, Piece,
    Policy, Requirement, TrustRoot, Verdict,
};

use crate::{OCI_MANIFEST, ample, anonymous};

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
        demands: Demands::all(),
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

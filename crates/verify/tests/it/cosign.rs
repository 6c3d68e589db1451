//! What Cosign wrote before bundles goes through the same chain.

mod bound;
mod wanted;

use evidence::cosign::Layer;
use evidence::{Digest, Evidence};
use serde_json::Value;
use testkit::log::Kind;
use testkit::{Scene, Sealed, SealedLayer};
use verify::{Artifact, Case, Ground, Piece, Policy, Refusal, Verdict, VerifiedClaim};

use crate::judging::{authority, now, policy, variant};

/// What the scene's verifier would have of a bundle, without one.
fn verifier(sealed: &SealedLayer) -> Sealed {
    Sealed {
        bundle: Value::Null,
        trust_root: sealed.trust_root.clone(),
        artifact: sealed.artifact.clone(),
        key: sealed.key.clone(),
        certificate: sealed.certificate.clone(),
    }
}

fn piece(sealed: &SealedLayer) -> Piece {
    let layer = Layer {
        media_type: sealed.media_type.to_owned(),
        annotations: sealed.annotations.clone(),
        bytes: sealed.bytes.clone(),
    };
    let evidence = Evidence::from_cosign_layer(layer).map_err(Into::into);
    Piece { source: "layer".to_owned(), evidence }
}

fn judge(
    scene: &Scene,
    policy: &Policy,
    piece: Piece,
    artifact: &Artifact<'_>,
) -> Result<VerifiedClaim, Refusal> {
    let pieces = [piece];
    let case = Case { artifact, pieces: &pieces, obstacles: &[] };
    match policy.judge(&case, now(scene)) {
        Verdict::Admit(grounds) => match grounds.0.first() {
            Ground::Claim { claim, .. } => Ok((**claim).clone()),
            Ground::Static { .. } => panic!("nothing static here"),
        },
        Verdict::Refuse(reasons) => Err(reasons.first().refusal.clone()),
        Verdict::Unknown(..) => panic!("nothing was in the way"),
    }
}

fn prove_layer(scene: &Scene, sealed: &SealedLayer) -> Result<VerifiedClaim, Refusal> {
    let policy = policy(vec![authority(scene, &verifier(sealed))]);
    let artifact = Artifact::from_digest(Digest::sha256(&sealed.artifact));
    judge(scene, &policy, piece(sealed), &artifact)
}

fn prove(scene: &Scene) -> Result<VerifiedClaim, Refusal> {
    prove_layer(scene, &scene.seal_layer())
}

fn refused(scene: &Scene) -> String {
    variant(&prove(scene).expect_err("refused"))
}

/// Every way in which Cosign had a claim about an image logged.
fn cells() -> Vec<(String, Scene)> {
    let signatures = [Kind::HashedRekordV1, Kind::RekordV1];
    let attestations = [Kind::DsseV1, Kind::IntotoV1, Kind::IntotoV2];
    let signatures = signatures.into_iter().map(|kind| (kind, Scene::cosign().logged_as(kind)));
    let attestations = attestations.into_iter().map(|kind| (kind, Scene::cosign_attestation(kind)));
    signatures
        .chain(attestations)
        .flat_map(|(kind, scene)| {
            [
                (format!("{kind:?}, keyless"), scene.clone()),
                (format!("{kind:?}, pinned"), scene.pinned()),
            ]
        })
        .collect()
}

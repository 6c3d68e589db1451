//! Authorities that come along with evidence: steps on the way to the trust root, where that is
//! allowed, and never where trust begins.

use serde_json::{Value, json};
use testkit::certificate::{self, ExtensionDraft};
use testkit::clock::SIGNED_AT;
use testkit::cosign::CHAIN;
use testkit::json::{at, base64};
use testkit::{Format, Instance, Scene, Sealed, der};
use verify::chain::{AUTHORITIES_MAX, BadChain};
use verify::{Artifact, Demands, Refusal, VerifiedClaim};

use crate::judging::{demanding, explain_piece, piece};
use crate::waivers::CHAINED;

/// A bundle in that format whose chain brings these along.
pub(crate) fn bringing(scene: &Scene, format: Format, brought: &[Vec<u8>]) -> Sealed {
    let mut sealed = scene.clone().in_format(format).seal();
    let leaf = sealed.certificate.clone().unwrap();
    let certificates: Vec<_> =
        std::iter::once(&leaf).chain(brought).map(|der| json!({"rawBytes": base64(der)})).collect();
    let material = sealed.bundle["verificationMaterial"].as_object_mut().unwrap();
    material.remove("certificate");
    material.insert("x509CertificateChain".to_owned(), json!({"certificates": certificates}));
    sealed
}

pub(crate) fn prove(
    scene: &Scene,
    sealed: &Sealed,
    demands: Demands,
) -> Result<VerifiedClaim, Refusal> {
    let artifact = Artifact::from_bytes(&sealed.artifact);
    let piece = piece("bundle", &sealed.bundle_json());
    explain_piece(scene, piece, demanding(scene, sealed, demands), &artifact).0
}

/// The scene under a trust root that holds only the top of the chain.
pub(crate) fn top_only(scene: Scene) -> Scene {
    scene.on_trust_root(|root| {
        let chain = at(root, "/certificateAuthorities/0/certChain/certificates");
        let top = chain.as_array_mut().unwrap().pop().unwrap();
        *chain = Value::from(vec![top]);
    })
}

/// The authorities below the top, issuing one first.
pub(crate) fn below_top(instance: &Instance) -> Vec<Vec<u8>> {
    let mut issued = instance.issue().authorities;
    issued.pop();
    issued
}

#[test]
fn what_comes_along_leads_to_the_trust_root_where_that_is_allowed() {
    let scene = top_only(Scene::v1());
    let brought = below_top(&scene.instance);
    for format in [Format::V0_2, Format::V0_3] {
        let sealed = bringing(&scene, format, &brought);
        prove(&scene, &sealed, CHAINED).unwrap_or_else(|refusal| panic!("{format:?}: {refusal:?}"));
        let refusal = prove(&scene, &sealed, Demands::all()).unwrap_err();
        let wanted = match format {
            Format::V0_3 => Refusal::ChainNotAllowed,
            _ => Refusal::UnknownAuthority,
        };
        assert_eq!(refusal, wanted);
        // Without it there is no way to the trust root.
        let alone = bringing(&scene, format, &[]);
        assert_eq!(prove(&scene, &alone, CHAINED).unwrap_err(), Refusal::UnknownAuthority);
    }
    // What the trust root holds anyway may come along too.
    let whole = Scene::v1();
    let sealed = bringing(&whole, Format::V0_3, &below_top(&whole.instance));
    prove(&whole, &sealed, CHAINED).unwrap();
    assert_eq!(prove(&whole, &sealed, Demands::all()).unwrap_err(), Refusal::ChainNotAllowed);
    // A pinned key is not asked for its certificate's way, but a bundle is a bundle.
    let pinned = whole.with(|scene| scene.signer = testkit::Signer::Pinned);
    let refusal = prove(&pinned, &sealed, Demands::all()).unwrap_err();
    assert_eq!(refusal, Refusal::ChainNotAllowed);
    prove(&pinned, &sealed, CHAINED).unwrap();
}

#[test]
fn the_chain_beside_a_layer_is_used_where_that_is_allowed() {
    let scene = top_only(Scene::cosign());
    let judge = |scene: &Scene, demands| {
        let sealed = scene.seal_layer();
        let layer = evidence::cosign::Layer {
            media_type: sealed.media_type.to_owned(),
            annotations: sealed.annotations.clone(),
            bytes: sealed.bytes.clone(),
        };
        let verifier = Sealed {
            bundle: Value::Null,
            trust_root: sealed.trust_root.clone(),
            artifact: sealed.artifact.clone(),
            key: sealed.key.clone(),
            certificate: sealed.certificate.clone(),
        };
        let evidence = evidence::Evidence::from_cosign_layer(layer).map_err(Into::into);
        let piece = verify::Piece { source: "layer".to_owned(), evidence };
        let artifact = Artifact::from_digest(evidence::Digest::sha256(&sealed.artifact));
        explain_piece(scene, piece, demanding(scene, &verifier, demands), &artifact).0
    };
    judge(&scene, CHAINED).unwrap();
    assert_eq!(judge(&scene, Demands::all()).unwrap_err(), Refusal::UnknownAuthority);
    let without = scene.on_annotations(|annotations| {
        annotations.remove(CHAIN).unwrap();
    });
    assert_eq!(judge(&without, CHAINED).unwrap_err(), Refusal::UnknownAuthority);
}

/// Nothing that comes along is believed for itself: every step is checked as if the trust root held
/// it.
#[test]
fn a_way_that_does_not_hold_is_refused() {
    let scene = || top_only(Scene::v1());
    let refused = |scene: &Scene, brought: &[Vec<u8>]| {
        let sealed = bringing(scene, Format::V0_3, brought);
        prove(scene, &sealed, CHAINED).unwrap_err()
    };
    // Somebody else's whole instance, all of it right.
    let stranger = Scene::v1().with(|scene| scene.instance = Instance::named("stranger"));
    let brought = below_top(&stranger.instance);
    let mut sealed = bringing(&stranger, Format::V0_3, &brought);
    sealed.trust_root["certificateAuthorities"] =
        Scene::v1().seal().trust_root["certificateAuthorities"].take();
    assert_eq!(prove(&stranger, &sealed, CHAINED).unwrap_err(), Refusal::UnknownAuthority);

    type Fault<'f> = (&'f str, fn(&mut Instance), &'f dyn Fn(&Refusal) -> bool);
    let faults: [Fault<'_>; 5] = [
        ("a forged one", |instance| instance.authorities[0].damaged = true, &|refusal| {
            *refusal == Refusal::BadCertificate(BadChain::BadSignature { index: 0 })
        }),
        (
            "one that is no authority",
            |instance| instance.authorities[0].remove(certificate::BASIC_CONSTRAINTS),
            &|refusal| *refusal == Refusal::BadCertificate(BadChain::NotAnAuthority { index: 0 }),
        ),
        (
            "one for another purpose",
            |instance| {
                let stamps =
                    ExtensionDraft::extended_key_usage(&[certificate::TIME_STAMPING], true);
                instance.authorities[0].put(stamps);
            },
            &|refusal| {
                matches!(refusal, Refusal::BadCertificate(BadChain::WrongUsage { index: 0, .. }))
            },
        ),
        (
            "one below which none may stand",
            |instance| instance.authorities[1].put(ExtensionDraft::authority(Some(0))),
            &|refusal| {
                let wanted = BadChain::PathTooLong { index: 1, allowed: 0 };
                *refusal == Refusal::BadCertificate(wanted)
            },
        ),
        (
            "one that had expired",
            |instance| instance.authorities[0].not_after = SIGNED_AT - 1,
            &|refusal| matches!(refusal, Refusal::NotValidAtTime { .. }),
        ),
    ];
    for (what, change, wanted) in faults {
        let scene = scene().with_instance(change);
        let refusal = refused(&scene, &below_top(&scene.instance));
        assert!(wanted(&refusal), "{what}: {refusal:?}");
    }
    // Another's name on the way.
    let scene = scene();
    let other = scene.clone().with_instance(|it| it.authorities[0].subject = der::empty_name());
    let refusal = refused(&scene, &below_top(&other.instance));
    assert_eq!(refusal, Refusal::UnknownAuthority);
}

/// However many come along, and in whatever order, the way is as long as ways may be.
#[test]
fn a_way_has_its_longest() {
    for authorities in [3, AUTHORITIES_MAX, AUTHORITIES_MAX + 1] {
        let instance = crate::chains::deep(authorities);
        let scene = top_only(Scene::v1().with(|scene| scene.instance = instance));
        let mut brought = below_top(&scene.instance);
        let outcome = prove(&scene, &bringing(&scene, Format::V0_3, &brought), CHAINED);
        match outcome {
            Ok(_) => assert!(authorities <= AUTHORITIES_MAX),
            Err(refusal) => {
                assert_eq!(refusal, Refusal::BadCertificate(BadChain::TooLong));
                assert!(authorities > AUTHORITIES_MAX);
            }
        }
        // Each certifies the one before it.
        brought.reverse();
        let refusal = prove(&scene, &bringing(&scene, Format::V0_3, &brought), CHAINED);
        assert_eq!(refusal.unwrap_err(), Refusal::UnknownAuthority);
    }
}

//! What was claimed is what is wanted.

use std::collections::BTreeMap;

use evidence::Digest;
use serde_json::{Value, json};
use testkit::cosign::{LOG_ENTRY, SIGNATURE};
use testkit::log::Kind;
use testkit::{Scene, Sealed};
use verify::{Artifact, ClaimKind, ClaimPattern, Refusal, VerifiedClaim};

use super::{judge, piece, verifier};
use crate::judging::{authority, policy, variant};

fn wanting(scene: &Scene, claim: ClaimPattern) -> Result<VerifiedClaim, Refusal> {
    let (sealed, artifact) = (scene.seal_layer(), Digest::sha256(&scene.artifact));
    let mut policy = policy(vec![authority(scene, &verifier(&sealed))]);
    policy.requirements.head.claim = claim;
    judge(scene, &policy, piece(&sealed), &Artifact::from_digest(artifact))
}

#[test]
fn a_signature_is_told_from_an_attestation_where_that_is_wanted() {
    let attestation = Scene::cosign_attestation(Kind::DsseV1);
    let provenance = "https://slsa.dev/provenance/v1".to_owned();
    let typed = |predicate_type: &str| {
        ClaimPattern::of_kind(ClaimKind::Attestation { predicate_type: predicate_type.to_owned() })
    };
    let signature = || ClaimPattern::of_kind(ClaimKind::Signature);
    let kind = |outcome: Result<VerifiedClaim, Refusal>| outcome.map_err(|r| variant(&r)).err();
    let wrong = Some("WrongClaim".to_owned());
    assert_eq!(kind(wanting(&attestation, ClaimPattern::any())), None);
    assert_eq!(kind(wanting(&attestation, typed(&provenance))), None);
    // CVE-2022-35929, CVE-2022-35930: an attestation of another type counted.
    assert_eq!(kind(wanting(&attestation, typed("https://spdx.dev/Document"))), wrong);
    assert_eq!(kind(wanting(&attestation, signature())), wrong);
    assert_eq!(kind(wanting(&Scene::cosign(), signature())), None);
    assert_eq!(kind(wanting(&Scene::cosign(), typed(&provenance))), wrong);
    let v3 = attestation.on_statement(|statement| {
        statement["predicateType"] = verify::wanted::SIGNATURE_PREDICATE_TYPE.into();
    });
    assert_eq!(kind(wanting(&v3, signature())), None);
    let told = wanting(&Scene::cosign(), typed(&provenance)).unwrap_err().wanted_and_found();
    let wanted = "a statement of type https://slsa.dev/provenance/v1".to_owned();
    assert_eq!(told, (wanted, "a signature over the image's digest".to_owned()));
}

#[test]
fn annotations_must_be_signed_as_they_are_wanted() {
    let annotated = |value: Value| {
        let subject = value.clone();
        [
            Scene::cosign().on_payload(move |payload| payload["optional"] = value.clone()),
            Scene::cosign_attestation(Kind::DsseV1).on_statement(move |statement| {
                statement["subject"][0]["annotations"] = subject.clone();
            }),
        ]
    };
    let wanted = |pairs: &[(&str, &str)]| ClaimPattern {
        annotations: pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        ..ClaimPattern::any()
    };
    let found = |scene: &Scene, pairs: &[(&str, &str)]| match wanting(scene, wanted(pairs)) {
        Ok(_) => Ok(()),
        Err(Refusal::WrongAnnotation { name, found, .. }) => Err((name, found)),
        Err(other) => panic!("{other:?}"),
    };
    for scene in annotated(json!({"env": "prod", "count": 3, "flag": true})) {
        assert_eq!(found(&scene, &[]), Ok(()));
        assert_eq!(found(&scene, &[("env", "prod")]), Ok(()));
        assert_eq!(found(&scene, &[("env", "pro")]), Err(("env".into(), Some("prod".into()))));
        assert_eq!(found(&scene, &[("env", "prod"), ("x", "y")]), Err(("x".into(), None)));
        // Only text is equal to text.
        assert_eq!(found(&scene, &[("count", "3")]), Err(("count".into(), Some("3".into()))));
        let told = wanting(&scene, wanted(&[("env", "pro")])).unwrap_err().wanted_and_found();
        assert_eq!(told, ("env=pro".to_owned(), "env=prod".to_owned()));
    }
    for nothing in [json!(null), json!([]), json!("env=prod"), json!({})] {
        for scene in annotated(nothing) {
            assert_eq!(found(&scene, &[("env", "prod")]), Err(("env".into(), None)));
            assert_eq!(found(&scene, &[]), Ok(()));
        }
    }
    // Another subject's annotations are not this image's.
    let others = Scene::cosign_attestation(Kind::DsseV1).on_statement(|statement| {
        let own = statement["subject"][0].clone();
        let digest = json!({"sha256": "0".repeat(64)});
        let other = json!({"name": "other", "digest": digest, "annotations": {"env": "prod"}});
        statement["subject"] = json!([other, own]);
    });
    assert_eq!(found(&others, &[("env", "prod")]), Err(("env".into(), None)));
    // A plain signature has none.
    let message = Scene::v1();
    let sealed = message.seal();
    let mut policy = policy(vec![authority(&message, &sealed)]);
    policy.requirements.head.claim = wanted(&[("env", "prod")]);
    let piece = crate::judging::piece("bundle", &sealed.bundle_json());
    let artifact = Artifact::from_bytes(&sealed.artifact);
    let refusal = judge(&message, &policy, piece, &artifact).unwrap_err();
    assert_eq!(variant(&refusal), "WrongAnnotation");
}

/// A name that stands twice would count as one value here and as another elsewhere.
#[test]
fn an_annotation_that_stands_twice_counts_as_none() {
    let scene = Scene::cosign();
    let mut sealed = scene.seal_layer();
    let text = String::from_utf8(sealed.bytes.clone()).unwrap();
    let twice = text.replace("\"optional\":null", r#""optional":{"env":"prod","env":"prod"}"#);
    assert_ne!(text, twice);
    // Signed anew by hand: the scene's own payload is a JSON value, in which no name stands twice.
    let changed = Scene::cosign().pinned();
    let signature = changed.key.sign(twice.as_bytes());
    let record = testkit::log::Record {
        signed: twice.as_bytes(),
        envelope: None,
        envelope_json: b"",
        signature: &signature,
        scheme: changed.scheme,
        spki: &changed.key.spki(),
        key_kind: changed.key.kind(),
        certificate: None,
    };
    let leaf = testkit::json::canonical(&record.leaf(Kind::HashedRekordV1)).into_bytes();
    let donor = changed.clone().on_leaf_bytes(move |bytes| bytes.clone_from(&leaf)).seal_layer();
    sealed.annotations = BTreeMap::from([
        (SIGNATURE.to_owned(), testkit::json::base64(&signature)),
        (LOG_ENTRY.to_owned(), donor.annotations[LOG_ENTRY].clone()),
    ]);
    sealed.bytes = twice.into_bytes();
    sealed.trust_root = donor.trust_root;
    let verifier = Sealed { certificate: None, ..verifier(&sealed) };
    let artifact = Artifact::from_digest(Digest::sha256(&sealed.artifact));
    let outcome = |claim: ClaimPattern| {
        let mut policy = policy(vec![authority(&changed, &verifier)]);
        policy.requirements.head.claim = claim;
        judge(&changed, &policy, piece(&sealed), &artifact)
    };
    outcome(ClaimPattern::any()).unwrap();
    let annotations = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
    let refusal = outcome(ClaimPattern { annotations, ..ClaimPattern::any() }).unwrap_err();
    assert_eq!(variant(&refusal), "WrongAnnotation");
}

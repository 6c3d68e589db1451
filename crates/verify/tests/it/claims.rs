//! What a proven claim says, and what it does not take from nobody's word.

use evidence::UnixTime;
use testkit::clock::SIGNED_AT;
use testkit::log::Kind;
use testkit::{Scene, instance};
use verify::time::Observer;

use crate::judging::prove;

#[test]
fn a_claim_says_who_when_where_and_about_what() {
    let scene = Scene::v1().with(|scene| scene.timestamps = 1);
    let claim = prove(&scene).unwrap();
    assert_eq!(claim.signer().issuer(), Some(instance::ISSUER));
    assert_eq!(claim.signer().subject(), Some(instance::SUBJECT));
    assert_eq!(claim.signer().key(), scene.key.public());
    let extensions: Vec<_> = claim
        .signer()
        .extensions()
        .unwrap()
        .iter()
        .map(|(extension, value)| (extension.number(), value.to_owned()))
        .collect();
    assert_eq!(extensions, instance::fulcio_values().collect::<Vec<_>>());
    let signed_at = UnixTime::from_seconds(SIGNED_AT);
    let [log, authority] = claim.times() else { panic!("two times") };
    assert_eq!((log.time(), log.observer()), (signed_at, &Observer::Log));
    let uri = "https://tsa.testkit.example/api/v1/timestamp".to_owned();
    assert_eq!(
        (authority.time(), authority.observer()),
        (signed_at, &Observer::TimestampAuthority(uri))
    );
    let [entry] = claim.entries() else { panic!("one entry") };
    assert_eq!(entry.log_id(), scene.instance.log_v1_id());
    assert_eq!(entry.promised_time(), Some(signed_at));
    assert_eq!(entry.body().kind_and_version(), ("hashedrekord", "0.0.1"));
    assert_eq!(*claim.digest(), evidence::Digest::sha256(&scene.artifact));
    assert!(claim.statement().is_none());
}

#[test]
fn a_pinned_key_has_no_names() {
    let scene = Scene::statement(Kind::HashedRekordV2).pinned();
    let claim = prove(&scene).unwrap();
    assert_eq!((claim.signer().issuer(), claim.signer().subject()), (None, None));
    assert!(claim.signer().certificate().is_none() && claim.signer().extensions().is_none());
    assert_eq!(claim.signer().key(), scene.key.public());
    let statement = claim.statement().unwrap();
    assert_eq!(statement.predicate_type, "https://slsa.dev/provenance/v1");
}

#[test]
fn an_entry_has_the_number_that_is_proven() {
    let number = |scene: &Scene| prove(scene).unwrap().entries()[0].log_index();
    // Promised: over all shards. Proven only: where the leaf stands, whatever stands beside it.
    assert_eq!(number(&Scene::v1()), 1_005);
    let lie = |entry: &mut serde_json::Value| entry["logIndex"] = "7".into();
    assert_eq!(number(&Scene::v2().on_entry(lie)), 5);
    let unpromised = Scene::v1().with(|scene| {
        scene.entries[0].promise = false;
        scene.timestamps = 1;
    });
    assert_eq!(number(&unpromised.on_entry(lie)), 5);
}

/// The scheme is that of this signature, wherever it stands among others on the same envelope.
#[test]
fn another_signature_on_the_same_entry_does_not_choose_the_scheme() {
    let scene = Scene::statement(Kind::DsseV2).on_leaf(|leaf| {
        let signatures = testkit::json::at(leaf, "/spec/dsseV002/signatures");
        let mut other = signatures[0].clone();
        other["content"] = testkit::json::base64(b"another signature").into();
        other["verifier"]["keyDetails"] = "PKIX_ECDSA_P384_SHA_384".into();
        signatures.as_array_mut().unwrap().insert(0, other);
    });
    prove(&scene).unwrap();
}

#[test]
fn a_claim_that_is_wanted_is_told_in_words() {
    let predicate_type = "https://spdx.dev/Document".to_owned();
    let mut wanted =
        verify::ClaimPattern::of_kind(verify::ClaimKind::Attestation { predicate_type });
    wanted.annotations.insert("env".to_owned(), "prod".to_owned());
    let words = wanted.to_string();
    assert!(words.contains("https://spdx.dev/Document") && words.contains("env=prod"), "{words}");
}

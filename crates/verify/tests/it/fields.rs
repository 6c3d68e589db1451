//! Every field of bundle, leaf and trust root in turn absent, null, empty, of every wrong type and
//! oversize: refused with few words, or without any effect on what is proven. Never a panic.

use serde_json::Value;
use testkit::json::{at, canonical, every_field_wrong};
use testkit::log::Kind;
use testkit::{Format, Scene};
use verify::TrustRoot;

use crate::judging::{explain_about, prove_sealed};

/// Fields of a bundle that nobody signed and nothing rests on: hints, and what has a default.
const UNPROVEN: &[&str] = &[
    // Which key, in which entry: found by other means, or a hint.
    "/verificationMaterial/publicKey",
    "/verificationMaterial/publicKey/hint",
    "/dsseEnvelope/signatures/0/keyid",
    // A digest beside a message signature is a hint, but one that contradicts is refused.
    "/messageSignature/messageDigest",
    // Numbers and times that no promise covers.
    "/verificationMaterial/tlogEntries/0/logIndex",
    "/verificationMaterial/tlogEntries/0/integratedTime",
    "/verificationMaterial/tlogEntries/0/inclusionPromise",
    "/verificationMaterial/tlogEntries/0/inclusionPromise/signedEntryTimestamp",
    // A second timestamp is one too many.
    "/verificationMaterial/timestampVerificationData",
    "/verificationMaterial/timestampVerificationData/rfc3161Timestamps",
    "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0",
];

fn scenes() -> Vec<Scene> {
    vec![
        Scene::v1().in_format(Format::V0_1),
        Scene::v2(),
        Scene::statement(Kind::IntotoV2).in_format(Format::V0_2).pinned(),
        Scene::statement(Kind::HashedRekordV2),
        Scene::v1().with(|scene| {
            scene.entries[0].promise = false;
            scene.timestamps = 1;
        }),
    ]
}

#[test]
fn a_bundle_with_a_wrong_field_is_refused_or_proves_the_same() {
    let mut judged = 0;
    for scene in scenes() {
        let mut sealed = scene.seal();
        let right = sealed.bundle.clone();
        for wrong in every_field_wrong(&right) {
            sealed.bundle = wrong.document;
            judged += 1;
            match prove_sealed(&scene, &sealed) {
                Err(refusal) => {
                    let text = refusal.full_message();
                    assert!(text.len() < 700, "{} {}: {text:.300}", wrong.pointer, wrong.how);
                }
                Ok(claim) => {
                    // v0.1 asks for no proof; what there is of one must hold.
                    let v0_1 = scene.format == Format::V0_1
                        && wrong.pointer.contains("/inclusionProof")
                        && ["absent", "null", "empty", "an object"].contains(&wrong.how);
                    assert!(
                        v0_1 || UNPROVEN.contains(&wrong.pointer.as_str()),
                        "{} {} was accepted in {scene:?}",
                        wrong.pointer,
                        wrong.how
                    );
                    assert_eq!(claim.signer().key(), scene.key.public());
                }
            }
        }
    }
    assert!(judged > 2_000, "{judged}");
}

#[test]
fn a_leaf_with_a_wrong_field_is_refused_or_about_the_same() {
    // The digests of whole envelopes: the log saw a spelling that no verifier has.
    let unproven = ["/spec/envelopeHash", "/spec/content/hash"];
    for kind in Kind::ALL {
        let scene = match kind {
            Kind::HashedRekordV1 => Scene::v1(),
            Kind::HashedRekordV2 => Scene::v2(),
            kind => Scene::statement(kind),
        };
        let mut leaf = Value::Null;
        let mut sealed = scene.seal();
        let body = testkit::json::unbase64(&sealed.entries_mut()[0]["canonicalizedBody"]);
        leaf.clone_from(&serde_json::from_slice(&body).unwrap());
        for wrong in every_field_wrong(&leaf) {
            // Everything else in the new scene is made for its own signature; only the one field
            // is wrong, and the whole is promised and proven as it stands.
            let (pointer, how) = (wrong.pointer.clone(), wrong.how);
            let document = wrong.document;
            let changed = scene.clone().on_leaf_bytes(move |bytes| {
                let own: Value = serde_json::from_slice(bytes).unwrap();
                *bytes = merge(&own, &document, &pointer).to_string().into_bytes();
            });
            let sealed = changed.seal();
            let outcome = prove_sealed(&changed, &sealed);
            let pointer = wrong.pointer;
            // One signature many times over, and any text in the case that the log keeps.
            let harmless = unproven.iter().any(|field| pointer.starts_with(field));
            assert!(outcome.is_err() || harmless, "{kind:?} {pointer} {how} was accepted");
        }
    }
}

/// `own` with the field at `pointer` as `document` has it.
fn merge(own: &Value, document: &Value, pointer: &str) -> Value {
    let mut merged = own.clone();
    match document.pointer(pointer) {
        Some(value) => *at(&mut merged, pointer) = value.clone(),
        None => testkit::json::remove(&mut merged, pointer),
    }
    assert_ne!(canonical_or_text(&merged), canonical_or_text(own), "{pointer} changed nothing");
    merged
}

fn canonical_or_text(value: &Value) -> String {
    let whole = !value.to_string().contains("0.5");
    if whole { canonical(value) } else { value.to_string() }
}

#[test]
fn a_trust_root_with_a_wrong_field_is_refused_or_believes_no_more() {
    // What names a member where people read it, and what no check uses.
    let names = ["/subject", "/uri", "/hashAlgorithm", "/baseUrl"];
    // An authority that stands alone in its chain is its own anchor.
    let roots = ["/certificates/1"];
    for scene in [Scene::v1(), Scene::v2()] {
        let mut sealed = scene.seal();
        let right = sealed.trust_root.clone();
        let mut refused = 0;
        for wrong in every_field_wrong(&right) {
            let json = wrong.document.to_string();
            let Err(error) = TrustRoot::pin(json.as_bytes()) else {
                sealed.trust_root = wrong.document;
                if let (Ok(_), _) =
                    explain_about(&scene, &sealed, &verify::Artifact::from_bytes(&sealed.artifact))
                {
                    let named = names.iter().any(|name| wrong.pointer.contains(name))
                        || roots.iter().any(|root| wrong.pointer.ends_with(root));
                    // Of a list of keys those that this bundle does not need may go.
                    let other = !needed(&scene, &wrong.pointer);
                    let doubled = wrong.how == "an oversize list";
                    assert!(named || other || doubled, "{} {}", wrong.pointer, wrong.how);
                }
                continue;
            };
            refused += 1;
            let text = format!("{error}");
            assert!(!text.is_empty() && text.len() < 400, "{text:.300}");
        }
        assert!(refused > 200, "{refused}");
    }
}

/// Whether the scene rests on that part of the trust root.
fn needed(scene: &Scene, pointer: &str) -> bool {
    let v2 = scene.entries[0].kind.is_v2();
    // The window's end is open: an absent one means the same.
    let unused = if v2 { "/tlogs/0" } else { "/tlogs/1" };
    !(pointer.starts_with(unused) || (!v2 && pointer.starts_with("/timestampAuthorities")))
}

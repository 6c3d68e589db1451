//! Entries that the public logs took, proposed once more: they come out byte for byte.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::json::base64;
use tlog::intake::v2::DssePolicy;
use tlog::intake::{v1, v2};

/// Bundles whose entry was changed after it was logged, or never was: nothing to compare with.
const CHANGED: &[&str] = &[
    "bundle-empty-certificate-chain_fail",
    "dsse-mismatch-envelope_fail",
    "intoto-expired-certificate_fail",
];

/// The conformance suite's bundles, in a directory beside the checkout.
fn bundles() -> Option<Vec<(String, Value)>> {
    let beside = |directory: &Path| directory.join("shared/data/bundles");
    let directory: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(beside)
        .find(|directory| directory.is_dir())?;
    let mut bundles = Vec::new();
    for case in std::fs::read_dir(directory).unwrap() {
        let case = case.unwrap();
        let Ok(json) = std::fs::read(case.path().join("bundle.sigstore.json")) else { continue };
        let name = case.file_name().into_string().unwrap();
        bundles.push((name, serde_json::from_slice(&json).unwrap()));
    }
    Some(bundles)
}

#[test]
fn entries_of_the_public_logs_come_out_byte_for_byte() {
    let Some(bundles) = bundles() else {
        println!("skipped: the conformance suite's bundles are not beside the checkout");
        return;
    };
    let mut kinds = std::collections::BTreeMap::<_, usize>::new();
    for (name, bundle) in bundles {
        if CHANGED.contains(&name.as_str()) {
            continue;
        }
        for entry in bundle["verificationMaterial"]["tlogEntries"].as_array().into_iter().flatten()
        {
            let logged = STANDARD.decode(entry["canonicalizedBody"].as_str().unwrap()).unwrap();
            let leaf: Value = serde_json::from_slice(&logged).unwrap();
            let kind = format!("{} {}", leaf["kind"], leaf["apiVersion"]).replace('"', "");
            let admitted = match kind.as_str() {
                "hashedrekord 0.0.1" => v1::propose(&logged),
                "dsse 0.0.1" => v1::propose(dsse(&leaf, &bundle["dsseEnvelope"]).as_bytes()),
                "hashedrekord 0.0.2" => {
                    v2::propose(hashed_rekord_v2(&leaf).as_bytes(), DssePolicy::Refuse)
                }
                other => panic!("{name}: no request is made for {other}"),
            };
            let taken = admitted.unwrap_or_else(|refused| panic!("{name}: {refused}")).canonical;
            assert_eq!(String::from_utf8_lossy(&taken), String::from_utf8_lossy(&logged), "{name}");
            *kinds.entry(kind).or_default() += 1;
        }
    }
    println!("taken again: {kinds:?}");
    assert!(kinds.len() >= 3, "{kinds:?}");
}

/// The envelope in the spelling whose hash was logged: Python's, without spaces.
fn dsse(leaf: &Value, envelope: &Value) -> String {
    let signatures = envelope["signatures"].as_array().unwrap();
    let signatures: Vec<_> =
        signatures.iter().map(|signature| format!(r#"{{"sig":{}}}"#, signature["sig"])).collect();
    let text = format!(
        r#"{{"payload":{},"payloadType":{},"signatures":[{}]}}"#,
        envelope["payload"],
        envelope["payloadType"],
        signatures.join(",")
    );
    let verifiers: Vec<_> = leaf["spec"]["signatures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|signature| signature["verifier"].clone())
        .collect();
    json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
        "proposedContent": {"envelope": text, "verifiers": verifiers},
    }})
    .to_string()
}

fn hashed_rekord_v2(leaf: &Value) -> String {
    let record = &leaf["spec"]["hashedRekordV002"];
    json!({"hashedRekordRequestV002": {
        "digest": record["data"]["digest"],
        "signature": record["signature"],
    }})
    .to_string()
}

/// A leaf that was changed after it was logged is told apart by its signature.
#[test]
fn a_public_entry_with_another_digest_is_refused() {
    let Some(bundles) = bundles() else { return };
    let (_, bundle) = bundles.into_iter().find(|(name, _)| name == "rekor2-happy-path").unwrap();
    let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
    let logged = STANDARD.decode(entry["canonicalizedBody"].as_str().unwrap()).unwrap();
    let mut leaf: Value = serde_json::from_slice(&logged).unwrap();
    leaf["spec"]["hashedRekordV002"]["data"]["digest"] = base64(&[7; 32]).into();
    let refused = v2::propose(hashed_rekord_v2(&leaf).as_bytes(), DssePolicy::Refuse).unwrap_err();
    assert_eq!(refused, tlog::intake::Refused::BadSignature { index: 0 });
}

//! A log is asked for what it has, and its answers prove nothing that they do not hold.

use client::log::{AppendError, ProveError, SignedBy};
use client::{FetchErrorKind, Log, LogVersion};
use evidence::Evidence;
use evidence::bundle::SignerMaterial;
use serde_json::{Value, json};
use testkit::Scene;
use testkit::log::Kind;

use crate::log::Story;
use crate::server::{Reply, Server};
use crate::{ample, assert_kind, http};

fn log(server: &Server) -> Log {
    Log::new(http(), LogVersion::V1, server.url("/base").parse().unwrap())
}

async fn answering(answer: &Value) -> Server {
    let answer = answer.to_string();
    Server::start(move |_| Reply::status(200).body(answer.clone())).await
}

/// The evidence as it was kept before bundles had proofs.
fn unproven(story: &Story) -> Evidence {
    let mut evidence = story.evidence.clone();
    evidence.entries[0].proof = None;
    evidence
}

/// The one entry of an answer.
fn entry(answer: &mut Value) -> &mut Value {
    answer.as_object_mut().unwrap().values_mut().next().unwrap()
}

#[tokio::test]
async fn a_proof_is_added_to_the_entry_that_it_is_of() {
    for scene in [Scene::v1(), Scene::statement(Kind::DsseV1)] {
        let story = Story::of(&scene);
        let server = answering(&story.v1_answer()).await;
        let mut evidence = unproven(&story);
        assert_eq!(log(&server).add_proofs(&mut evidence, ample()).await.unwrap(), 1);
        assert_eq!(format!("{evidence:?}"), format!("{:?}", story.evidence));
        let index = evidence.entries[0].log_index;
        let line = format!("GET /base/api/v1/log/entries?logIndex={index}");
        assert_eq!(server.lines(), [line]);
        // What has one needs none.
        assert_eq!(log(&server).add_proofs(&mut evidence, ample()).await.unwrap(), 0);
        assert_eq!(server.lines().len(), 1);
    }
}

#[tokio::test]
async fn a_proof_that_does_not_hold_is_not_added() {
    let story = Story::of(&Scene::v1());
    let other = Story::of(&Scene::v1().with(|scene| scene.artifact = b"another".to_vec()));
    let refused = async |change: &dyn Fn(&mut Value)| {
        let mut answer = story.v1_answer();
        change(&mut answer);
        let server = answering(&answer).await;
        let mut evidence = unproven(&story);
        let error = log(&server).add_proofs(&mut evidence, ample()).await.unwrap_err();
        assert!(evidence.entries[0].proof.is_none());
        error
    };
    let error = refused(&|answer| *answer = other.v1_answer()).await;
    assert!(matches!(error, ProveError::OtherEntry { .. }), "{error}");
    // Under another number, whatever it is.
    let error = refused(&|answer| {
        let index = entry(answer)["logIndex"].as_u64().unwrap();
        entry(answer)["logIndex"] = (index + 1).into();
    })
    .await;
    let ProveError::Fetch { source, .. } = error else { panic!("{error}") };
    assert_kind!(source, FetchErrorKind::Malformed { .. });
    let error = refused(&|answer| entry(answer)["logID"] = "ab".repeat(32).into()).await;
    assert!(matches!(error, ProveError::OtherEntry { .. }), "{error}");
    let error = refused(&|answer| entry(answer)["verification"] = json!({})).await;
    assert!(matches!(error, ProveError::NoProof { .. }), "{error}");
    let proof = |name: &'static str, value: Value| {
        move |answer: &mut Value| {
            entry(answer)["verification"]["inclusionProof"][name] = value.clone();
        }
    };
    let error = refused(&proof("rootHash", "ab".repeat(32).into())).await;
    assert!(matches!(error, ProveError::BadProof { .. }), "{error}");
    let error = refused(&proof("hashes", json!([]))).await;
    assert!(matches!(error, ProveError::BadProof { .. }), "{error}");
    let error = refused(&proof("checkpoint", "no note".into())).await;
    assert!(matches!(error, ProveError::Note { .. }), "{error}");
    // A checkpoint of the same log, of another size.
    let checkpoint = story.v1_answer();
    let note = checkpoint.as_object().unwrap().values().next().unwrap();
    let note = note["verification"]["inclusionProof"]["checkpoint"].as_str().unwrap();
    let mut lines: Vec<_> = note.lines().map(str::to_owned).collect();
    lines[1] = (lines[1].parse::<u64>().unwrap() + 1).to_string();
    let error = refused(&proof("checkpoint", (lines.join("\n") + "\n").into())).await;
    assert!(matches!(error, ProveError::OtherTree { .. }), "{error}");
    let server = Server::start(|_| Reply::status(404)).await;
    let error = log(&server).add_proofs(&mut unproven(&story), ample()).await.unwrap_err();
    let ProveError::Fetch { source, .. } = error else { panic!("{error}") };
    assert_kind!(source, FetchErrorKind::NotFound { .. });
}

#[tokio::test]
async fn entries_are_found_by_what_they_record() {
    let story = Story::of(&Scene::v1());
    let SignerMaterial::Certificate(certificate) = &story.evidence.signer else {
        panic!("a certificate")
    };
    let scheme = certificate.public_key().default_scheme();
    let signed_by = SignedBy::certificate(certificate, scheme);
    let find = async |answer: &Value| {
        let server = answering(answer).await;
        let found = log(&server).find(&story.evidence, &signed_by, ample()).await;
        assert_eq!(server.lines(), ["POST /base/api/v1/log/entries/retrieve"]);
        let query: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
        let leaf: Value =
            serde_json::from_slice(&story.evidence.entries[0].canonical_body).unwrap();
        assert_eq!(query, json!({"entries": [leaf]}));
        found
    };
    let found = find(&json!([story.v1_answer()])).await.unwrap();
    assert_eq!(format!("{found:?}"), format!("{:?}", story.evidence.entries));
    assert!(find(&json!([])).await.unwrap().is_empty());
    let other = Story::of(&Scene::v1().with(|scene| scene.artifact = b"another".to_vec()));
    for bad in [json!([story.v1_answer(), other.v1_answer()]), json!({}), json!([{}]), json!([[]])]
    {
        let AppendError::Fetch(error) = find(&bad).await.unwrap_err() else { panic!("{bad}") };
        assert_kind!(error, FetchErrorKind::Malformed { .. });
    }
}

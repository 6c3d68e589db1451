//! What goes to a log has the log's own form, and what comes back is read as a bundle's entry is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use client::log::{AppendError, SignedBy};
use client::{FetchErrorKind, Log, LogVersion};
use crypto::KeyKind;
use evidence::bundle::{Content, SignerMaterial};
use evidence::{Evidence, LogEntry};
use serde_json::{Value, json};
use testkit::Scene;
use testkit::log::Kind;

use crate::server::{Received, Reply, Server};
use crate::{ample, assert_kind, http};

/// Something signed, and the entry that a log makes of it.
pub(crate) struct Story {
    pub(crate) evidence: Evidence,
    signed_by: SignedBy,
    /// `TransparencyLogEntry` in JSON: how a v2 log answers.
    pub(crate) entry: Value,
}

impl Story {
    pub(crate) fn of(scene: &Scene) -> Self {
        let sealed = scene.seal();
        let json = serde_json::to_vec(&sealed.bundle).unwrap();
        let evidence = Evidence::from_bundle(&json).unwrap();
        let signed_by = match &evidence.signer {
            SignerMaterial::Certificate(certificate) => {
                SignedBy::certificate(certificate, scene.scheme)
            }
            SignerMaterial::PublicKeyHint(_) => SignedBy::key(sealed.key.public(), scene.scheme),
        };
        let entry = sealed.bundle["verificationMaterial"]["tlogEntries"][0].clone();
        Self { evidence, signed_by, entry }
    }

    /// How a v1 log answers: Rekor's `LogEntry`.
    pub(crate) fn v1_answer(&self) -> Value {
        let entry = &self.entry;
        let hex = |value: &Value| hex::encode(STANDARD.decode(value.as_str().unwrap()).unwrap());
        let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
        let proof = &entry["inclusionProof"];
        let hashes: Vec<_> = proof["hashes"].as_array().unwrap().iter().map(hex).collect();
        json!({"24296fb24b8ad77a".to_owned() + &"ab".repeat(32): {
            "body": entry["canonicalizedBody"],
            "integratedTime": number(&entry["integratedTime"]),
            "logID": hex(&entry["logId"]["keyId"]),
            "logIndex": number(&entry["logIndex"]),
            "verification": {
                "inclusionProof": {
                    "checkpoint": proof["checkpoint"]["envelope"],
                    "hashes": hashes,
                    "logIndex": number(&proof["logIndex"]),
                    "rootHash": hex(&proof["rootHash"]),
                    "treeSize": number(&proof["treeSize"]),
                },
                "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            },
        }})
    }

    async fn append(&self, version: LogVersion, server: &Server) -> Result<LogEntry, AppendError> {
        let log = Log::new(http(), version, server.url("/base").parse().unwrap());
        log.append(&self.evidence.content, &self.signed_by, ample()).await
    }
}

fn body(request: &Received) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn fetch_error(error: AppendError) -> client::FetchError {
    match error {
        AppendError::Fetch(error) => error,
        error => panic!("{error:?}"),
    }
}

/// The entries are equal in all that `verify` looks at.
fn assert_same(found: &LogEntry, wanted: &LogEntry) {
    assert_eq!(format!("{found:?}"), format!("{wanted:?}"));
}

#[tokio::test]
async fn a_v1_log_gets_the_leaf_and_its_answer_is_an_entry() {
    let story = Story::of(&Scene::v1());
    let answer = story.v1_answer().to_string();
    let server = Server::start(move |_| {
        Reply::status(201).with("Content-Type", "application/json").body(answer.clone())
    })
    .await;
    let entry = story.append(LogVersion::V1, &server).await.unwrap();
    assert_same(&entry, &story.evidence.entries[0]);
    assert_eq!(server.lines(), ["POST /base/api/v1/log/entries"]);
    let leaf = &story.evidence.entries[0].canonical_body;
    assert_eq!(server.requests()[0].body, *leaf, "a hashedrekord is proposed as it is logged");
}

#[tokio::test]
async fn a_v1_log_gets_an_envelope_whole() {
    let story = Story::of(&Scene::statement(Kind::DsseV1));
    let answer = story.v1_answer().to_string();
    let server = Server::start(move |_| Reply::status(201).body(answer.clone())).await;
    let entry = story.append(LogVersion::V1, &server).await.unwrap();
    assert_same(&entry, &story.evidence.entries[0]);
    let Content::Envelope(envelope) = &story.evidence.content else { panic!("an envelope") };
    let proposed = body(&server.requests()[0]);
    assert_eq!((&proposed["kind"], &proposed["apiVersion"]), (&json!("dsse"), &json!("0.0.1")));
    let content = &proposed["spec"]["proposedContent"];
    let sent: Value = serde_json::from_str(content["envelope"].as_str().unwrap()).unwrap();
    let wanted = json!({
        "payloadType": "application/vnd.in-toto+json",
        "payload": STANDARD.encode(&envelope.payload),
        "signatures": [{"sig": STANDARD.encode(&envelope.signature)}],
    });
    assert_eq!(sent, wanted);
    let verifier = STANDARD.decode(content["verifiers"][0].as_str().unwrap()).unwrap();
    let SignerMaterial::Certificate(certificate) = &story.evidence.signer else { panic!() };
    assert_eq!(String::from_utf8(verifier).unwrap(), certificate.to_pem());
}

/// Somebody asked before us, perhaps we ourselves: the entry is there.
#[tokio::test]
async fn a_duplicate_in_a_v1_log_is_fetched() {
    let id = "ab".repeat(40);
    let other = Server::stranger().await;
    for location in [
        format!("/api/v1/log/entries/{id}"),
        // Only the identifier is taken from it.
        other.url(&format!("/elsewhere/{id}")),
    ] {
        let story = Story::of(&Scene::v1());
        let answer = story.v1_answer().to_string();
        let server = Server::start(move |request| match request.method.as_str() {
            "POST" => Reply::status(409).with("Location", location.clone()),
            _ => Reply::ok("application/json", answer.clone()),
        })
        .await;
        let entry = story.append(LogVersion::V1, &server).await.unwrap();
        assert_same(&entry, &story.evidence.entries[0]);
        assert_eq!(server.lines()[1], format!("GET /base/api/v1/log/entries/{id}"));
        assert_eq!(other.lines(), [""; 0]);
    }
    for location in ["", "/api/v1/log/entries/", "/../secret", "/x?y=z", "/ABCD", &"a".repeat(65)] {
        let location = location.to_owned();
        let server =
            Server::start(move |_| Reply::status(409).with("Location", location.clone())).await;
        let error = Story::of(&Scene::v1()).append(LogVersion::V1, &server).await.unwrap_err();
        assert_kind!(fetch_error(error), FetchErrorKind::Malformed { .. });
        assert_eq!(server.requests().len(), 1);
    }
}

/// A v1 log has each entry once, so asking again is harmless; a v2 log does not say so.
#[tokio::test]
async fn only_a_v1_log_is_asked_again() {
    for (version, scene, requests) in
        [(LogVersion::V1, Scene::v1(), 3), (LogVersion::V2, Scene::v2(), 1)]
    {
        let server = Server::start(|_| Reply::status(502)).await;
        let error = Story::of(&scene).append(version, &server).await.unwrap_err();
        assert_kind!(fetch_error(error), FetchErrorKind::ServerError { .. });
        assert_eq!(server.requests().len(), requests);
    }
}

#[tokio::test]
async fn a_v2_log_gets_a_hashedrekord_and_its_answer_is_an_entry() {
    let kinds = [KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::Ed25519];
    let scenes = kinds.map(|kind| Scene::v2().with_key(kind));
    let statements = kinds.map(|kind| Scene::statement(Kind::HashedRekordV2).with_key(kind));
    for scene in scenes.into_iter().chain(statements).chain([Scene::v2().pinned()]) {
        let story = Story::of(&scene);
        let answer = story.entry.to_string();
        let server = Server::start(move |_| Reply::status(201).body(answer.clone())).await;
        let entry = story.append(LogVersion::V2, &server).await.unwrap();
        assert_same(&entry, &story.evidence.entries[0]);
        assert_eq!(server.lines(), ["POST /base/api/v2/log/entries"]);
        // What is asked for is what was logged, but for the name of the digest's algorithm.
        let leaf: Value =
            serde_json::from_slice(&story.evidence.entries[0].canonical_body).unwrap();
        let logged = &leaf["spec"]["hashedRekordV002"];
        let wanted = json!({"hashedRekordRequestV002": {
            "digest": logged["data"]["digest"], "signature": logged["signature"],
        }});
        assert_eq!(body(&server.requests()[0]), wanted);
    }
}

#[tokio::test]
async fn what_cannot_be_logged_is_not_sent() {
    let server = Server::stranger().await;
    let mut story = Story::of(&Scene::v1());
    let Content::Message { digest, .. } = &mut story.evidence.content else { panic!("a message") };
    *digest = None;
    for version in [LogVersion::V1, LogVersion::V2] {
        let error = story.append(version, &server).await.unwrap_err();
        assert!(matches!(error, AppendError::NoDigest));
    }
    // A way to sign that v2 logs have no name for.
    let scheme = crypto::Scheme::EcdsaP256Sha512;
    let key = testkit::Key::named("signer", KeyKind::EcdsaP256);
    let mut story = Story::of(&Scene::v2());
    story.signed_by = SignedBy::key(key.public(), scheme);
    let error = story.append(LogVersion::V2, &server).await.unwrap_err();
    assert!(matches!(error, AppendError::Unnameable { .. }));
    assert_eq!(server.lines(), [""; 0]);
}

#[tokio::test]
async fn a_duplicate_in_a_v2_log_is_an_error() {
    let server = Server::start(|_| Reply::status(409).body(r#"{"message":"exists"}"#)).await;
    let error = Story::of(&Scene::v2()).append(LogVersion::V2, &server).await.unwrap_err();
    assert!(matches!(error, AppendError::Duplicate), "{error:?}");
}

/// Every field of an answer wrong in turn: an error or an entry for `verify`, never a panic.
#[tokio::test]
async fn broken_answers_are_refused() {
    let v1 = Story::of(&Scene::v1());
    let v2 = Story::of(&Scene::v2());
    let cases = [(LogVersion::V1, &v1, v1.v1_answer()), (LogVersion::V2, &v2, v2.entry.clone())];
    for (version, story, answer) in cases {
        let mut refused = 0;
        for wrong in testkit::json::every_field_wrong(&answer) {
            let body = wrong.document.to_string();
            let server = Server::start(move |_| Reply::status(201).body(body.clone())).await;
            match story.append(version, &server).await {
                Ok(entry) => drop(entry),
                Err(error) => {
                    refused += 1;
                    match fetch_error(error).kind() {
                        FetchErrorKind::Malformed { .. } | FetchErrorKind::TooLarge { .. } => {}
                        kind => panic!("{kind:?}"),
                    }
                }
            }
        }
        assert!(refused > 20, "{version:?}: {refused}");
    }
    let mut long = v1.v1_answer();
    let entry = long.as_object_mut().unwrap().values_mut().next().unwrap();
    entry["verification"]["inclusionProof"]["hashes"] = json!(vec!["ab".repeat(32); 65]);
    let two = {
        let mut two = v1.v1_answer();
        two["another"] = two.as_object().unwrap().values().next().unwrap().clone();
        two
    };
    for answer in [json!({}), json!([]), json!("x"), two, long] {
        let body = answer.to_string();
        let server = Server::start(move |_| Reply::status(201).body(body.clone())).await;
        let error = v1.append(LogVersion::V1, &server).await.unwrap_err();
        assert_kind!(fetch_error(error), FetchErrorKind::Malformed { .. });
    }
}

//! What strangers send, or lay beside an image, does not grow in memory: how much the servers
//! take for what was once a hundred times its own size.
//!
//! Read from `/proc`, so on Linux only.

use std::collections::BTreeSet;
use std::time::Duration;

use crypto::KeyKind;
use evidence::Digest;
use serde_json::json;
use testkit::Submission;
use testkit::json::at;
use testkit::log::Kind;
use tokio::time::timeout;

use crate::admit::World;
use crate::instance::Place;
use crate::wire::exchange;

/// Most by which a server may grow over what is hostile.
const GROWTH_MAX_KIB: u64 = 64 * 1024;

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// What a process has in memory, and the most that it ever had, in KiB.
pub(crate) fn memory(process: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    (field("VmRSS:"), field("VmHWM:"))
}

#[track_caller]
pub(crate) fn assert_growth(what: &str, before: (u64, u64), after: (u64, u64)) {
    // From what it had, to the most that it had since; which is more only if that is.
    let growth = if after.1 > before.1 { after.1.saturating_sub(before.0) } else { 0 };
    println!("{what}: grew by {} MiB to {} MiB", growth / 1024, after.1 / 1024);
    assert!(growth <= GROWTH_MAX_KIB, "{what}: grew by {growth} KiB, to {} KiB", after.1);
}

/// A list of that text again and again, of about that many bytes.
fn list(item: &str, size: usize) -> String {
    format!("[{}]", vec![item; size / (item.len() + 1)].join(","))
}

#[test]
fn a_statement_of_many_materials_takes_little() {
    let place = Place::new();
    let instance = place.start();
    let entry = |materials: &str| {
        let statement = format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"x","digest":{{"sha256":
            "{}"}}}}],"predicateType":"p","predicate":{{"materials":{materials}}}}}"#,
            "a".repeat(64)
        );
        let submission =
            Submission::new(Kind::DsseV1, KeyKind::EcdsaP256).about(statement.as_bytes());
        submission.request().to_string()
    };
    let post = |body: &str| {
        exchange(instance.address(), "POST", "/api/v1/log/entries", &[], body.as_bytes()).unwrap()
    };
    post(&entry("[]")).wanted(201);
    let before = memory(instance.process_id());
    for item in [r#"{"digest":{"":""}}"#, r#"{"digest":{}}"#, "{}", "0"] {
        post(&entry(&list(item, 2_900_000))).wanted(201);
        assert_growth(item, before, memory(instance.process_id()));
    }
}

/// Whatever stands where something else is wanted: nothing is built of it before that is seen.
#[test]
fn a_request_of_another_shape_takes_little() {
    let place = Place::new();
    let instance = place.start();
    let huge = list(r#"{"":0}"#, 3_900_000);
    let mut v2 = Submission::new(Kind::HashedRekordV2, KeyKind::EcdsaP256).request();
    *at(&mut v2, "/hashedRekordRequestV002/signature/verifier/keyDetails") = "HERE".into();
    let envelope = format!(r#"{{"payload":{}}}"#, list("0", 1_900_000));
    let before = memory(instance.process_id());
    for (path, body) in [
        ("/api/v2/log/entries", v2.to_string().replace("\"HERE\"", &huge)),
        ("/api/v2/log/entries", format!(r#"{{"hashedRekordRequestV002":{huge}}}"#)),
        ("/api/v1/log/entries", format!(r#"{{"kind":"dsse","apiVersion":"0.0.1","spec":{huge}}}"#)),
        (
            "/api/v1/log/entries",
            json!({"kind": "dsse", "apiVersion": "0.0.1", "spec": {
            "proposedContent": {"verifiers": ["x"], "envelope": envelope}}})
            .to_string(),
        ),
        ("/api/v1/log/entries/retrieve", format!(r#"{{"entries":{huge}}}"#)),
        ("/api/v1/log/entries/retrieve", huge.clone()),
    ] {
        let answer = exchange(instance.address(), "POST", path, &[], body.as_bytes()).unwrap();
        assert!([400, 422].contains(&answer.status), "{path}: {}", answer.status);
        assert_growth(path, before, memory(instance.process_id()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_review_takes_a_few_times_its_length() {
    let world = World::start().await;
    let digest = world.push("acme/app", "v1");
    let pinned = format!("{}:v1@{digest}", world.name("acme/app"));
    let (server, client) = world.admit(&world.policy("enforce"), &[]);
    let review = crate::admit::review(&pinned);
    let ask = async |body: &str| {
        let headers = "content-type: application/json\r\n";
        client.send("POST", "/validate", headers, body.as_bytes()).await
    };
    assert_eq!(ask(&review.to_string()).await.0, 200);
    let before = memory(server.process_id());
    for item in [r#"{"":0}"#, "[]", "1", r#"{"a":{"a":0}}"#, r#"{"image":""}"#, r#""a""#] {
        let many = list(item, 6_900_000);
        for place in
            ["/request", "/request/object", "/request/object/spec", "/request/object/metadata"]
        {
            let mut review = review.clone();
            if place.ends_with("metadata") {
                review["request"]["object"]["metadata"] = json!({});
            }
            at(&mut review, place)["x"] = "HERE".into();
            let (status, _) = ask(&review.to_string().replace("\"HERE\"", &many)).await;
            assert_eq!(status, 200, "{item} in {place}");
            assert_growth(&format!("{item} in {place}"), before, memory(server.process_id()));
        }
    }
    // Labels, and images that may be some.
    let pairs: Vec<_> = (0..400_000).map(|number| format!(r#""{number}":"""#)).collect();
    let mut labelled = review.clone();
    labelled["request"]["object"]["metadata"] = json!({"labels": "HERE"});
    let body = labelled.to_string().replace("\"HERE\"", &format!("{{{}}}", pairs.join(",")));
    assert_eq!(ask(&body).await.0, 200);
    let mut named = review;
    let name = "x".repeat(10_000);
    named["request"]["object"]["spec"][&name] = "HERE".into();
    let body = named.to_string().replace("\"HERE\"", &list(r#"{"image":"a"}"#, 6_000_000));
    assert_eq!(ask(&body).await.0, 200);
    assert_growth("labels and images", before, memory(server.process_id()));
}

/// Eight images of one review, each with three bundles of the longest that are fetched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_that_a_registry_swells_takes_no_more_than_its_share() {
    let world = World::start().await;
    let mut bundle = format!(r#"{{"mediaType":"{BUNDLE}","x":""#).into_bytes();
    bundle.resize((15 << 20) - 2, b'A');
    bundle.extend(b"\"}");
    let blob = Digest::sha256(&bundle);
    let size = bundle.len();
    world.registry.plant_blob("acme/app", blob, bundle).unwrap();
    let mut images = BTreeSet::new();
    for number in 0..8 {
        let digest = world.push("acme/app", &format!("v{number}"));
        images.insert(format!("{}@{digest}", world.name("acme/app")));
        for copy in 0..3 {
            let manifest = json!({
                "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "artifactType": BUNDLE,
                "config": {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2,
                    "digest": Digest::sha256(b"{}").to_string()},
                "layers": [{"mediaType": BUNDLE, "digest": blob.to_string(), "size": size}],
                "subject": {"mediaType": MANIFEST_TYPE, "digest": digest.to_string(), "size": 1},
                "annotations": {"copy": copy.to_string()},
            });
            let bytes = manifest.to_string().into_bytes();
            let digest = Digest::sha256(&bytes).to_string();
            world.registry.plant_manifest("acme/app", &digest, MANIFEST_TYPE, bytes).unwrap();
        }
    }
    let (server, client) = world.admit(&world.policy("enforce"), &["--deadline", "30"]);
    let mut review = crate::admit::review("");
    let containers = images.iter().enumerate();
    let containers =
        containers.map(|(number, image)| json!({"name": number.to_string(), "image": image}));
    review["request"]["object"]["spec"]["containers"] = containers.collect();
    let before = memory(server.process_id());
    let body = serde_json::to_vec(&review).unwrap();
    let headers = "content-type: application/json\r\n";
    let asked = client.send("POST", "/validate?timeout=30s", headers, &body);
    let (status, answer) = timeout(Duration::from_secs(60), asked).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains(r#""allowed":false"#), "{answer}");
    let fetched = world.registry.requests();
    let blob = format!("/v2/acme/app/blobs/{blob}");
    assert!(fetched.iter().any(|request| request.path == blob), "none of it was ever looked at");
    assert_growth("eight images", before, memory(server.process_id()));
}

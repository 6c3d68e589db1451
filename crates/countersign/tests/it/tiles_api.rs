//! Checkpoints and tiles over HTTP: what they hold is what was logged, and nothing else is there.

use crypto::KeyKind;
use crypto::merkle::leaf_hash;
use testkit::Submission;
use testkit::log::Kind;

use crate::authority_api;
use crate::instance::{Instance, Place};
use crate::trust::{
    Trust, entries, leaf_hashes, root, verify_checkpoint, verify_entry_v1, verify_entry_v2,
    verify_tree_head,
};

/// More than a tile holds, by a few.
const ENTRIES: usize = 260;

/// Logs that many entries, several at a time, and returns them by index.
fn fill(
    instance: &Instance,
    kind: Kind,
    path: &str,
    verify: impl Fn(&serde_json::Value) -> (u64, Vec<u8>) + Sync,
) -> Vec<Vec<u8>> {
    const AT_ONCE: usize = 20;
    let mut bodies = vec![Vec::new(); ENTRIES];
    for batch in 0..ENTRIES / AT_ONCE {
        let logged: Vec<_> = std::thread::scope(|scope| {
            let logging: Vec<_> = (0..AT_ONCE)
                .map(|number| {
                    let content = format!("entry {number} of batch {batch}");
                    let request = Submission::new(kind, KeyKind::EcdsaP256)
                        .about(content.as_bytes())
                        .request();
                    let verify = &verify;
                    scope.spawn(move || verify(&instance.post(path, &request).wanted(201).json()))
                })
                .collect();
            logging.into_iter().map(|logged| logged.join().unwrap()).collect()
        });
        for (index, body) in logged {
            let place = &mut bodies[usize::try_from(index).unwrap()];
            assert!(place.is_empty(), "index {index} was given twice");
            *place = body;
        }
    }
    bodies
}

/// Checks that a log's tiles hold these entries, and lead to its checkpoint's root.
#[track_caller]
fn check(instance: &Instance, prefix: &str, size: u64, root_hash: &[u8; 32], bodies: &[Vec<u8>]) {
    assert_eq!(size, bodies.len() as u64);
    assert_eq!(entries(instance, prefix, size), bodies);
    let hashes = leaf_hashes(instance, prefix, size);
    let expected: Vec<_> = bodies.iter().map(|body| leaf_hash(body)).collect();
    assert_eq!(hashes, expected);
    assert_eq!(root(&hashes), *root_hash);
}

#[test]
fn the_v2_log_is_served_at_the_root_of_its_host_and_beside_its_api() {
    let place = Place::new();
    let instance = place.start();
    let trust: Trust = instance.trust();
    let bodies = fill(&instance, Kind::HashedRekordV2, "/api/v2/log/entries", |answer| {
        let entry = verify_entry_v2(answer, &trust);
        (entry.index, entry.body)
    });
    for prefix in ["", "/api/v2"] {
        let answer = instance.get(&format!("{prefix}/checkpoint")).wanted(200);
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        let checkpoint = verify_checkpoint(answer.text(), &trust.log_v2, "127.0.0.1");
        check(&instance, prefix, checkpoint.size.0, &checkpoint.root, &bodies);
        // One level up: the root of the one full tile.
        let above = instance.get(&format!("{prefix}/tile/1/000.p/1")).wanted(200).body;
        let first: Vec<_> = bodies[..256].iter().map(|body| leaf_hash(body)).collect();
        assert_eq!(above, root(&first));
    }
    let tile = instance.get("/tile/0/000").wanted(200);
    assert_eq!(tile.header("content-type"), Some("application/octet-stream"));
    assert_eq!(tile.header("cache-control"), Some("public, max-age=31536000, immutable"));
    // A partial tile of an older tree is the beginning of what is there now.
    for width in [1, 17, 255] {
        let partial = instance.get(&format!("/tile/0/000.p/{width}")).wanted(200).body;
        assert_eq!(partial, tile.body[..32 * width]);
    }
    for path in [
        // Not there yet.
        "/tile/0/001",
        "/tile/0/001.p/5",
        "/tile/0/002.p/1",
        "/tile/1/000",
        "/tile/1/000.p/2",
        "/tile/2/000.p/1",
        "/tile/entries/001",
        // Never.
        "/tile/0/000.p/0",
        "/tile/0/000.p/256",
        "/tile/0/0",
        "/tile/0/x000/000",
        "/tile/0/000/",
        "/tile/00/000",
        "/tile/64/000",
        "/tile/-1/000",
        "/tile/data/000.p/1",
        "/tile/side/000.p/1",
        "/side/000.p/1",
        "/tile/",
        "/tile/0/../../checkpoint",
        "/tile/0/%2e%2e/%2e%2e/%2e%2e/instance.json",
        "/tile/0/000%00",
        "/tile/%ff",
        "/staged/",
    ] {
        let answer = instance.get(path);
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        assert_eq!(answer.header("cache-control"), None, "{path}");
        answer.message();
    }
}

#[test]
fn the_v1_log_has_tiles_too() {
    let place = Place::new();
    let instance = place.start();
    let trust = instance.trust();
    let info = instance.get("/api/v1/log").json();
    let tree: u64 = info["treeID"].as_str().unwrap().parse().unwrap();
    let bodies = fill(&instance, Kind::HashedRekordV1, "/api/v1/log/entries", |answer| {
        let entry = verify_entry_v1(answer, &trust, tree);
        (entry.index, entry.body)
    });
    let note = instance.get("/v1/checkpoint").wanted(200);
    let checkpoint = verify_checkpoint(note.text(), &trust.log_v1, &format!("127.0.0.1 - {tree}"));
    check(&instance, "/v1", checkpoint.size.0, &checkpoint.root, &bodies);
    // Entries of both logs never share a tree: monitors of v2 read no v1 entry.
    let empty = verify_checkpoint(instance.get("/checkpoint").text(), &trust.log_v2, "127.0.0.1");
    assert_eq!(empty.size.0, 0);
    for path in ["/tile/0/000.p/1", "/tile/entries/000.p/1", "/ct/tile/0/000.p/1"] {
        instance.get(path).wanted(404);
    }
}

/// C2SP static-ct-api: `tile/data`, and each certificate of a chain under its own hash.
#[test]
fn the_ct_log_serves_certificates_and_their_issuers() {
    let place = Place::new();
    let instance = place.start();
    let trust = instance.trust();
    let leaf = authority_api::certificate(&instance);
    let (index, hash) = authority_api::promised(&leaf, &trust);
    assert_eq!(index, 0);
    let head = verify_tree_head(instance.get("/ct/checkpoint").wanted(200).text(), &trust.ct);
    assert_eq!((head.size.0, head.root), (1, hash));
    assert_eq!(instance.get("/ct/tile/0/000.p/1").wanted(200).body, hash);
    let data = instance.get("/ct/tile/data/000.p/1").wanted(200).body;
    instance.get("/ct/tile/entries/000.p/1").wanted(404);
    for issuer in &trust.authority {
        let fingerprint = crypto::sha256(issuer.der());
        assert!(data.windows(32).any(|window| window == fingerprint));
        let served = instance.get(&format!("/ct/issuer/{}", hex::encode(fingerprint))).wanted(200);
        assert_eq!(served.header("content-type"), Some("application/pkix-cert"));
        assert_eq!(served.body, issuer.der());
    }
    instance.get(&format!("/ct/issuer/{}", hex::encode([7; 32]))).wanted(404).message();
    instance.get("/ct/issuer/").wanted(404).message();
}

//! What a registry swells takes little memory to move, and more of it takes no more: manifests as
//! long as they may be, of a text that takes many times its length when it is read.

use std::process::Stdio;
use std::time::Duration;

use axum::http::Method;
use devkit::{Fault, FaultRule};
use evidence::Digest;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::world::World;
use crate::memory::{assert_growth, memory};

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// The longest manifest that is read, and the longest of what refers to an image, in bytes.
const MANIFEST_SIZE: usize = 4 * 1024 * 1024;
const REFERRER_SIZE: usize = 256 * 1024;

/// The manifest with so many annotations where `SWOLLEN` stands that it is about that long.
fn swollen(manifest: &Value, number: usize, size: usize) -> Vec<u8> {
    let annotations: Vec<_> =
        (0..(size - 1000) / 14).map(|key| format!(r#""{number:02}{key:06}":"""#)).collect();
    let annotations = format!("{{{}}}", annotations.join(","));
    let text = manifest.to_string().replace("\"SWOLLEN\"", &annotations);
    assert!(text.len() <= size, "{}", text.len());
    text.into_bytes()
}

fn image() -> Value {
    json!({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": [],
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2,
            "digest": Digest::sha256(b"{}").to_string()}, "annotations": "SWOLLEN"})
}

/// Evidence about something, as long as its manifest says.
fn evidence(blob: &[u8], subject: Option<&Value>) -> Value {
    let mut manifest = image();
    let payload = "application/vnd.dev.cosign.simplesigning.v1+json";
    manifest["layers"] = json!([{"mediaType": payload, "size": blob.len(),
        "digest": Digest::sha256(blob).to_string(), "annotations": "SWOLLEN"}]);
    manifest.as_object_mut().unwrap().remove("annotations");
    if let Some(subject) = subject {
        manifest["subject"] = subject.clone();
    }
    manifest
}

/// An index of that many images, with that many referrers of the first; each as large as it may be.
/// Its reference, and its digest.
fn plant(world: &World, tag: &str, images: usize, referrers: usize) -> (String, String) {
    let blob = Digest::sha256(b"{}");
    world.registry.plant_blob("acme/app", blob, b"{}".to_vec()).unwrap();
    let put = |reference: Option<&str>, media_type, bytes: Vec<u8>| {
        let (digest, size) = (Digest::sha256(&bytes).to_string(), bytes.len());
        let reference = reference.unwrap_or(&digest);
        world.registry.plant_manifest("acme/app", reference, media_type, bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": size})
    };
    let entries: Vec<_> = (0..images)
        .map(|number| put(None, MANIFEST_TYPE, swollen(&image(), number, MANIFEST_SIZE)))
        .collect();
    for number in 0..referrers {
        let referrer = evidence(b"{}", Some(&entries[0]));
        put(None, MANIFEST_TYPE, swollen(&referrer, number, REFERRER_SIZE));
    }
    let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries,
        "annotations": {"tag": tag}});
    let index = put(Some(tag), INDEX_TYPE, index.to_string().into_bytes());
    let digest = index["digest"].as_str().unwrap().to_owned();
    (format!("{}/acme/app:{tag}", world.registry.address()), digest)
}

/// What the command has in memory when it asks for that, and had at most until then.
fn held_at(world: &World, line: &str, method: Method, path: &str) -> (u64, u64) {
    world.registry.clear_requests();
    world.registry.inject(FaultRule::new(path, Fault::Hang).method(method));
    let mut command = world.command(line);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let arrived = async { timeout(Duration::from_secs(120), world.registry.arrived(path)).await };
    let arrived = runtime.block_on(arrived);
    let found = memory(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    world.registry.clear_faults();
    arrived.unwrap();
    found
}

#[test]
fn manifests_that_swell_are_moved_one_after_the_other() {
    let world = World::new();
    let indexes = [plant(&world, "small", 0, 0), plant(&world, "large", 3, 12)];
    let blob = Digest::sha256(b"{}");
    let outcomes = indexes.map(|(image, digest)| {
        let to = format!("{}/else/where:v1", world.registry.address());
        // The index comes after all its images, and what lies beside them.
        let index = format!("/v2/else/where/manifests/{digest}");
        let copied = held_at(&world, &format!("copy {image} {to}"), Method::PUT, &index);
        let folder = image.rsplit(':').next().unwrap();
        let save = format!("save --dir {folder} {image}");
        let saved = match folder {
            // The one blob, which comes after all manifests.
            "large" => {
                let path = format!("/v2/acme/app/blobs/{blob}");
                held_at(&world, &save, Method::GET, &path)
            }
            _ => copied,
        };
        world.run_alone(&save).ends(0);
        let load = format!("load --dir {folder} {to}");
        let loaded = held_at(&world, &load, Method::PUT, &index);
        [copied, saved, loaded]
    });
    let [small, large] = outcomes;
    for (number, what) in ["copied", "saved", "loaded"].into_iter().enumerate() {
        assert_growth(what, small[number], large[number]);
    }
}

/// Both of Cosign's tags, and as many referrers as are opened.
#[test]
fn evidence_that_swells_is_opened_one_after_the_other() {
    let world = World::new();
    let put = |reference: &str, bytes: Vec<u8>| {
        world.registry.plant_manifest("acme/app", reference, MANIFEST_TYPE, bytes).unwrap();
    };
    // An attestation comes after all else: there it is looked at.
    for blob in [&b"{}"[..], b"the last"] {
        world.registry.plant_blob("acme/app", Digest::sha256(blob), blob.to_vec()).unwrap();
    }
    let last = format!("/v2/acme/app/blobs/{}", Digest::sha256(b"the last"));
    let outcomes = [0, 1].map(|size| {
        let image = world.push("acme/app", &format!("v{size}"));
        let bytes = world.registry.manifest("acme/app", &format!("v{size}")).unwrap();
        let subject = Digest::sha256(&bytes);
        let (tags, referrers) = match size {
            0 => (2000, 1),
            _ => (MANIFEST_SIZE, 100),
        };
        let hex = subject.hex();
        put(&format!("sha256-{hex}.sig"), swollen(&evidence(b"{}", None), 0, tags));
        put(&format!("sha256-{hex}.att"), swollen(&evidence(b"the last", None), 0, tags));
        let about = json!({"mediaType": MANIFEST_TYPE, "digest": subject.to_string(),
            "size": bytes.len()});
        for number in 0..referrers {
            let bytes = swollen(&evidence(b"{}", Some(&about)), number, REFERRER_SIZE);
            put(&Digest::sha256(&bytes).to_string(), bytes);
        }
        held_at(&world, &format!("download signature {image}"), Method::GET, &last)
    });
    assert_growth("found", outcomes[0], outcomes[1]);
}

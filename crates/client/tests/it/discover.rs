//! Every bundle is found once, judged by what it says itself, and nothing that could not be looked
//! at is forgotten.

use std::collections::{BTreeMap, HashMap};

use client::error::FetchErrorKind;
use client::registry::discover::{BUNDLE_SIZE_MAX, OPENED_MAX, REFERRER_SIZE_MAX, Room};
use client::registry::{AttachmentKind, Found, IgnoredReason, Place, RawEvidence, ReferrersSource};
use evidence::Digest;
use serde_json::{Value, json};

use crate::server::{Reply, Server};
use crate::{BUNDLE, OCI_INDEX, OCI_MANIFEST, ample, anonymous, assert_kind, image};

const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// What a registry holds for one image.
struct Stock {
    subject: Digest,
    listed: Vec<Value>,
    content: HashMap<String, (&'static str, Vec<u8>)>,
}

impl Stock {
    fn new() -> Self {
        let subject = Digest::sha256(b"subject");
        Self { subject, listed: Vec::new(), content: HashMap::new() }
    }

    fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::sha256(bytes).to_string();
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// A referrer as Cosign writes it.
    fn bundle(&self, content: &str) -> Value {
        json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": BUNDLE,
            "config": Self::descriptor(EMPTY, b"{}"),
            "layers": [Self::descriptor(BUNDLE, content.as_bytes())],
            "subject": {"mediaType": OCI_MANIFEST, "digest": self.subject.to_string(), "size": 1},
        })
    }

    /// Puts a manifest there, listed with that artifact type, and the blobs given.
    fn add(&mut self, listed_as: &str, manifest: &Value, blobs: &[&str]) -> Digest {
        let bytes = serde_json::to_vec(manifest).unwrap();
        let mut entry = Self::descriptor(OCI_MANIFEST, &bytes);
        entry["artifactType"] = listed_as.into();
        self.listed.push(entry);
        let digest = Digest::sha256(&bytes);
        self.content.insert(format!("manifests/{digest}"), (OCI_MANIFEST, bytes));
        for blob in blobs {
            let path = format!("blobs/{}", Digest::sha256(blob.as_bytes()));
            let bytes = blob.as_bytes().to_vec();
            self.content.insert(path, ("application/octet-stream", bytes));
        }
        digest
    }

    fn add_bundle(&mut self, content: &str) -> Digest {
        let manifest = self.bundle(content);
        self.add(BUNDLE, &manifest, &[content])
    }

    async fn find(self, source: ReferrersSource) -> (Found, Server) {
        self.find_within(Room::MOST, source).await
    }

    async fn find_within(self, room: Room, source: ReferrersSource) -> (Found, Server) {
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": self.listed});
        let index = serde_json::to_vec(&index).unwrap();
        let (subject, content) = (self.subject, self.content);
        let server = Server::start(move |request| {
            let path = request.path().strip_prefix("/v2/acme/app/").unwrap();
            let list = match source {
                ReferrersSource::Api => format!("referrers/{subject}"),
                ReferrersSource::FallbackTag => format!("manifests/sha256-{}", subject.hex()),
            };
            match content.get(path) {
                _ if path == list => Reply::ok(OCI_INDEX, index.clone()),
                Some((content_type, bytes)) => Reply::ok(content_type, bytes.clone()),
                None => Reply::status(404),
            }
        })
        .await;
        let image = image(&server, "acme/app:v1");
        let registry = anonymous();
        let mut discovery = registry.discover_within(room, &image, &subject, ample()).await;
        while discovery.advance().await {}
        (discovery.into_found(), server)
    }
}

fn contents(found: &Found) -> Vec<&str> {
    found.pieces.iter().map(|piece| std::str::from_utf8(&piece.bytes).unwrap()).collect()
}

#[tokio::test]
async fn bundles_are_found_by_api_and_by_tag_with_each_thing_fetched_once() {
    for source in [ReferrersSource::Api, ReferrersSource::FallbackTag] {
        let mut stock = Stock::new();
        let first = stock.add_bundle("one");
        stock.add_bundle("two");
        let (found, server) = stock.find(source).await;
        assert_eq!(contents(&found), ["one", "two"]);
        assert!(found.obstacles.is_empty() && found.ignored.is_empty(), "{found:?}");
        let piece = RawEvidence {
            bytes: b"one".to_vec(),
            kind: AttachmentKind::Bundle,
            media_type: BUNDLE.to_owned(),
            annotations: BTreeMap::new(),
            manifest: first,
            place: Place::Referrers(source),
        };
        assert_eq!(found.pieces[0], piece);
        // Both of Cosign's tags, the API, and where there is none the tag that stands in for it.
        let lists = if source == ReferrersSource::Api { 3 } else { 4 };
        let mut lines = server.lines();
        assert_eq!(lines.len(), lists + 4);
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), lists + 4, "nothing twice");
    }
}

/// go-containerregistry lists Cosign's bundles as what their configuration is.
#[tokio::test]
async fn what_the_list_calls_a_referrer_does_not_count() {
    let mut stock = Stock::new();
    let manifest = stock.bundle("one");
    stock.add(EMPTY, &manifest, &["one"]);
    stock.add("", &stock.bundle("two"), &["two"]);
    let sbom = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/spdx+json",
        "config": Stock::descriptor(EMPTY, b"{}"),
        "layers": [Stock::descriptor("application/spdx+json", b"sbom")],
        "subject": {"mediaType": OCI_MANIFEST, "digest": stock.subject.to_string(), "size": 1},
    });
    let other = stock.add(BUNDLE, &sbom, &["sbom"]);
    let (found, server) = stock.find(ReferrersSource::FallbackTag).await;
    assert_eq!(contents(&found), ["one", "two"]);
    assert_eq!(found.ignored.len(), 1);
    assert_eq!(found.ignored[0].manifest, other);
    let reason = IgnoredReason::NotEvidence { found: "application/spdx+json".to_owned() };
    assert_eq!(found.ignored[0].reason, reason);
    let blob = format!("GET /v2/acme/app/blobs/{}", Digest::sha256(b"sbom"));
    assert!(!server.lines().contains(&blob), "what is no bundle is not fetched");
}

#[tokio::test]
async fn every_version_of_the_media_type_is_a_bundle() {
    let types = [
        ("application/vnd.dev.sigstore.bundle+json;version=0.1", true),
        ("application/vnd.dev.sigstore.bundle+json;version=0.2", true),
        ("application/vnd.dev.sigstore.bundle+json;version=0.3", true),
        (BUNDLE, true),
        ("application/vnd.dev.sigstore.bundle.v0.4+json", true),
        ("application/vnd.dev.sigstore.bundles", false),
        ("application/vnd.dev.sigstore", false),
    ];
    for (media_type, is_bundle) in types {
        // Said by the layer, by the artifact type, by the configuration.
        for place in 0..3 {
            let mut stock = Stock::new();
            let mut manifest = stock.bundle("one");
            let says = |index: usize| if index == place { media_type } else { "text/plain" };
            manifest["layers"][0]["mediaType"] = says(0).into();
            manifest["artifactType"] = says(1).into();
            manifest["config"]["mediaType"] = says(2).into();
            stock.add("", &manifest, &["one"]);
            let (found, _server) = stock.find(ReferrersSource::Api).await;
            assert_eq!(found.pieces.len(), usize::from(is_bundle), "{media_type} at {place}");
        }
    }
}

#[tokio::test]
async fn a_bundle_about_something_else_is_ignored_with_its_reason() {
    let other = Digest::sha256(b"another image");
    let mut stock = Stock::new();
    let mut elsewhere = stock.bundle("one");
    elsewhere["subject"]["digest"] = other.to_string().into();
    stock.add(BUNDLE, &elsewhere, &["one"]);
    let mut nowhere = stock.bundle("two");
    nowhere.as_object_mut().unwrap().remove("subject");
    stock.add(BUNDLE, &nowhere, &["two"]);
    let (found, _server) = stock.find(ReferrersSource::FallbackTag).await;
    assert!(found.pieces.is_empty() && found.obstacles.is_empty());
    let reasons: Vec<_> = found.ignored.iter().map(|ignored| ignored.reason.clone()).collect();
    let reason = |found| IgnoredReason::OtherSubject { found };
    assert_eq!(reasons, [reason(Some(other)), reason(None)]);
}

#[tokio::test]
async fn what_cannot_be_read_is_an_obstacle_and_does_not_hide_the_rest() {
    let mut stock = Stock::new();
    let dangling = stock.add_bundle("dangling manifest");
    stock.content.remove(&format!("manifests/{dangling}"));
    stock.add_bundle("good");
    stock.add_bundle("dangling blob");
    stock.content.remove(&format!("blobs/{}", Digest::sha256(b"dangling blob")));
    let swapped = stock.add_bundle("swapped manifest");
    let other = serde_json::to_vec(&stock.bundle("good")).unwrap();
    stock.content.insert(format!("manifests/{swapped}"), (OCI_MANIFEST, other));
    stock.add_bundle("swapped blob");
    let blob = format!("blobs/{}", Digest::sha256(b"swapped blob"));
    stock.content.insert(blob, ("text/plain", b"swopped blob".to_vec()));
    let (found, _server) = stock.find(ReferrersSource::Api).await;
    assert_eq!(contents(&found), ["good"]);
    assert_eq!(found.obstacles.len(), 4);
    assert_kind!(found.obstacles[0], FetchErrorKind::NotFound { .. });
    assert_kind!(found.obstacles[1], FetchErrorKind::NotFound { .. });
    assert_kind!(found.obstacles[2], FetchErrorKind::DigestMismatch { .. });
    assert_kind!(found.obstacles[3], FetchErrorKind::DigestMismatch { .. });
}

#[tokio::test]
async fn a_list_that_is_not_whole_is_an_obstacle() {
    let mut stock = Stock::new();
    stock.add_bundle("one");
    stock.listed.push(json!({"mediaType": OCI_MANIFEST}));
    let (found, _server) = stock.find(ReferrersSource::Api).await;
    assert_eq!(contents(&found), ["one"]);
    assert_eq!(found.obstacles.len(), 1);
    assert_kind!(found.obstacles[0], FetchErrorKind::Malformed { .. });
}

#[tokio::test]
async fn a_registry_that_cannot_be_asked_is_an_obstacle() {
    let server = Server::start(|_| Reply::status(429)).await;
    let image = image(&server, "acme/app:v1");
    let found = anonymous().find_evidence(&image, &Digest::sha256(b"x"), ample()).await;
    assert!(found.pieces.is_empty());
    // One for each list that could not be read.
    assert_eq!(found.obstacles.len(), 3);
    for obstacle in &found.obstacles {
        assert_kind!(obstacle, FetchErrorKind::RateLimited { .. });
    }
}

/// Junk in front of a bundle neither hides it nor goes unnoticed.
#[tokio::test]
async fn no_more_than_a_hundred_are_opened_and_likely_ones_first() {
    let mut stock = Stock::new();
    for number in 0..OPENED_MAX + 20 {
        let junk = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": Stock::descriptor("text/plain", b"{}"), "layers": [], "number": number,
        });
        stock.add("text/plain", &junk, &[]);
    }
    stock.add_bundle("one");
    let (found, server) = stock.find(ReferrersSource::FallbackTag).await;
    assert_eq!(contents(&found), ["one"]);
    assert_eq!(found.ignored.len(), OPENED_MAX - 1);
    assert_eq!(found.obstacles.len(), 1);
    assert_kind!(found.obstacles[0], FetchErrorKind::TooMany { max: OPENED_MAX, .. });
    // Four lists, manifests, and one blob.
    assert_eq!(server.requests().len(), 4 + OPENED_MAX + 1);
}

#[tokio::test]
async fn the_same_referrer_listed_twice_is_one() {
    let mut stock = Stock::new();
    stock.add_bundle("one");
    stock.listed = vec![stock.listed[0].clone(); 300];
    let (found, _server) = stock.find(ReferrersSource::FallbackTag).await;
    assert_eq!(contents(&found), ["one"]);
    assert!(found.obstacles.is_empty(), "{found:?}");
}

#[tokio::test]
async fn bundles_have_a_size_each_and_together() {
    let mut stock = Stock::new();
    let mut huge = stock.bundle("huge");
    huge["layers"][0]["size"] = (BUNDLE_SIZE_MAX + 1).into();
    stock.add(BUNDLE, &huge, &["huge"]);
    let mut longer = stock.bundle("longer than it says");
    longer["layers"][0]["size"] = 5.into();
    stock.add(BUNDLE, &longer, &["longer than it says"]);
    let (found, server) = stock.find(ReferrersSource::Api).await;
    assert_kind!(found.obstacles[0], FetchErrorKind::TooLarge { max: BUNDLE_SIZE_MAX, .. });
    assert_kind!(found.obstacles[1], FetchErrorKind::TooLarge { max: 5, .. });
    let blob = format!("GET /v2/acme/app/blobs/{}", Digest::sha256(b"huge"));
    assert!(!server.lines().contains(&blob), "not even asked for");

    // Three bundles of the largest size are all that one image may have.
    let mut stock = Stock::new();
    let large = "x".repeat(usize::try_from(BUNDLE_SIZE_MAX).unwrap() - 1);
    for number in 0..4 {
        stock.add_bundle(&format!("{number}{large}"));
    }
    let (found, _server) = stock.find(ReferrersSource::Api).await;
    assert_eq!(found.pieces.len(), 3);
    assert_kind!(found.obstacles[0], FetchErrorKind::TooLarge { .. });
}

/// Who has many images to look at gives each a little room first, and must know whether more of it
/// would show more.
#[tokio::test]
async fn what_does_not_fit_into_the_room_given_is_said_to_be_left_out() {
    let stock = || {
        let mut stock = Stock::new();
        stock.add_bundle("small");
        stock.add_bundle(&"x".repeat(5000));
        stock
    };
    for (evidence, document, pieces, left_out) in [
        (6000, 4096, 2, false),
        (5000, 4096, 1, true),
        (4, 4096, 0, true),
        // The list of referrers, or the referrer, is longer than that.
        (6000, 400, 0, true),
        (Room::MOST.evidence, Room::MOST.document, 2, false),
    ] {
        let room = Room { evidence, document };
        for source in [ReferrersSource::Api, ReferrersSource::FallbackTag] {
            let (found, _server) = stock().find_within(room, source).await;
            assert_eq!((found.pieces.len(), found.left_out), (pieces, left_out), "{room:?}");
            assert_eq!(found.obstacles.is_empty(), !left_out, "{room:?}: {found:?}");
        }
    }
    // What is too long for anybody is not left out for want of room.
    let mut huge = Stock::new();
    let mut manifest = huge.bundle("huge");
    manifest["layers"][0]["size"] = (BUNDLE_SIZE_MAX + 1).into();
    huge.add(BUNDLE, &manifest, &["huge"]);
    let room = Room { evidence: 6000, document: 4096 };
    let (found, _server) = huge.find_within(room, ReferrersSource::Api).await;
    assert_eq!((found.obstacles.len(), found.left_out), (1, false));
}

/// The signatures under a tag may all be over one payload, which is fetched once and held as often.
#[tokio::test]
async fn what_is_held_twice_takes_room_twice() {
    const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
    let payload = "x".repeat(2500);
    for (count, pieces) in [(1, 1), (2, 2), (3, 0)] {
        let mut stock = Stock::new();
        let mut layer = Stock::descriptor(SIMPLE_SIGNING, payload.as_bytes());
        let layers: Vec<_> = (0..count)
            .map(|number| {
                layer["annotations"] =
                    json!({"dev.cosignproject.cosign/signature": number.to_string()});
                layer.clone()
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": Stock::descriptor(EMPTY, b"{}"), "layers": layers,
        });
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let tag = format!("manifests/sha256-{}.sig", stock.subject.hex());
        stock.content.insert(tag, (OCI_MANIFEST, bytes));
        let blob = format!("blobs/{}", Digest::sha256(payload.as_bytes()));
        stock.content.insert(blob, ("application/octet-stream", payload.clone().into_bytes()));
        let room = Room { evidence: 6000, document: 4096 };
        let (found, _server) = stock.find_within(room, ReferrersSource::Api).await;
        assert_eq!((found.pieces.len(), found.left_out), (pieces, pieces == 0), "{found:?}");
    }
}

/// An entry of a list can be anything, by the thousand, and none hides the others.
#[tokio::test]
async fn entries_that_are_no_descriptors_are_passed_over_one_by_one() {
    for source in [ReferrersSource::Api, ReferrersSource::FallbackTag] {
        let mut stock = Stock::new();
        stock.listed.extend([json!({"": 0}), json!([]), json!(null), json!("x")]);
        stock.add_bundle("one");
        let (found, _server) = stock.find(source).await;
        assert_eq!(contents(&found), ["one"]);
        assert_eq!(found.obstacles.len(), 1, "{found:?}");
    }
}

/// Eight of them are read at a time, by whoever can push.
#[tokio::test]
async fn a_referrers_manifest_has_a_size() {
    let mut stock = Stock::new();
    let mut long = stock.bundle("one");
    long["annotations"] = json!({"x": "x".repeat(usize::try_from(REFERRER_SIZE_MAX).unwrap())});
    stock.add(BUNDLE, &long, &["one"]);
    let (found, _server) = stock.find(ReferrersSource::Api).await;
    assert_kind!(found.obstacles[0], FetchErrorKind::TooLarge { max: REFERRER_SIZE_MAX, .. });
}

#[tokio::test]
async fn an_index_is_no_bundle() {
    let mut stock = Stock::new();
    let index = json!({
        "schemaVersion": 2, "mediaType": OCI_INDEX, "artifactType": BUNDLE, "manifests": [],
        "subject": {"mediaType": OCI_MANIFEST, "digest": stock.subject.to_string(), "size": 1},
    });
    let digest = stock.add(BUNDLE, &index, &[]);
    let path = format!("manifests/{digest}");
    let bytes = stock.content[&path].1.clone();
    stock.content.insert(path, (OCI_INDEX, bytes));
    let (found, _server) = stock.find(ReferrersSource::Api).await;
    let reason = IgnoredReason::NotEvidence { found: OCI_INDEX.to_owned() };
    assert_eq!(found.ignored[0].reason, reason);
}

//! Attaching: the manifest that Cosign would write, and no other writer's entry lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use client::error::FetchErrorKind;
use client::registry::{Attached, BundleContent, Descriptor, NewReferrer, ReferrersSource};
use client::{DockerConfig, FetchError, Http, HttpOptions, Registry};
use evidence::{Digest, UnixTime};
use serde_json::{Value, json};

use crate::server::{Received, Reply, Server};
use crate::{BUNDLE, OCI_INDEX, OCI_MANIFEST, ample, anonymous, assert_kind, image};

fn subject() -> Descriptor {
    Descriptor::new(OCI_MANIFEST, Digest::sha256(b"subject"), 1234)
}

fn tag() -> String {
    format!("sha256-{}", subject().digest.hex())
}

fn bundle(content: &'static str) -> NewReferrer {
    let predicate_type = "https://sigstore.dev/cosign/sign/v1".to_owned();
    let created = UnixTime::from_milliseconds(1_700_000_000_123);
    let content_is = BundleContent::DsseEnvelope { predicate_type };
    NewReferrer::bundle(Bytes::from_static(content.as_bytes()), content_is, created)
}

fn entry(name: &str) -> Value {
    let digest = Digest::sha256(name.as_bytes()).to_string();
    json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": 7, "theirs": {"kept": [1, null]}})
}

fn index(manifests: &[Value]) -> Vec<u8> {
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests,
        "annotations": {"theirs": "kept"}});
    serde_json::to_vec(&index).unwrap()
}

/// What a registry holds, and how it treats conditions.
#[derive(Default)]
struct Store {
    blobs: HashMap<String, Vec<u8>>,
    manifests: HashMap<String, Vec<u8>>,
    /// Announces and heeds ETags.
    conditional: bool,
    /// Keeps track of referrers itself.
    api: bool,
    /// What other writers do after each time the tag was read, in order.
    others: Vec<fn(&mut Store)>,
    /// The same after each time it was written.
    others_after_write: Vec<fn(&mut Store)>,
}

impl Store {
    fn reply(&mut self, request: &Received) -> Reply {
        let path = request.path().strip_prefix("/v2/acme/app/").unwrap().to_owned();
        let (kind, reference) = path.split_once('/').unwrap();
        match (request.method.as_str(), kind) {
            ("HEAD", "blobs") => {
                Reply::status(if self.blobs.contains_key(reference) { 200 } else { 404 })
            }
            ("POST", "blobs") => {
                Reply::status(202).with("Location", "/v2/acme/app/blobs/uploads/1")
            }
            ("PUT", "blobs") => {
                let digest = Digest::sha256(&request.body).to_string();
                assert!(request.target.ends_with(&digest.replace(':', "%3A")));
                self.blobs.insert(digest, request.body.clone());
                Reply::status(201)
            }
            ("GET", "manifests") => {
                let reply = match self.manifests.get(reference) {
                    Some(bytes) if self.conditional => {
                        Reply::ok(OCI_INDEX, bytes.clone()).with("ETag", etag(bytes))
                    }
                    Some(bytes) => Reply::ok(OCI_INDEX, bytes.clone()),
                    None => Reply::status(404),
                };
                if reference == tag() && !self.others.is_empty() {
                    self.others.remove(0)(self);
                }
                reply
            }
            ("PUT", "manifests") => self.put(reference, request),
            _ => Reply::status(405),
        }
    }

    fn put(&mut self, reference: &str, request: &Received) -> Reply {
        let now = self.manifests.get(reference);
        let holds = match (request.header("if-match"), request.header("if-none-match")) {
            (Some(wanted), _) => now.is_some_and(|bytes| etag(bytes) == wanted),
            (_, Some("*")) => now.is_none(),
            _ => true,
        };
        if self.conditional && !holds {
            return Reply::status(412);
        }
        self.manifests.insert(reference.to_owned(), request.body.clone());
        if reference == tag() && !self.others_after_write.is_empty() {
            self.others_after_write.remove(0)(self);
        }
        let refers = serde_json::from_slice::<Value>(&request.body).unwrap()["subject"]["digest"]
            .as_str()
            .map(str::to_owned);
        match refers.filter(|_| self.api) {
            Some(subject) => Reply::status(201).with("OCI-Subject", subject),
            None => Reply::status(201),
        }
    }

    fn tagged(&self) -> Value {
        serde_json::from_slice(&self.manifests[&tag()]).unwrap()
    }

    fn write(&mut self, manifests: &[Value]) {
        self.manifests.insert(tag(), index(manifests));
    }
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", Digest::sha256(bytes))
}

async fn start(store: Store) -> (Server, Arc<Mutex<Store>>) {
    let store = Arc::new(Mutex::new(store));
    let shared = Arc::clone(&store);
    let server = Server::start(move |request| shared.lock().unwrap().reply(request)).await;
    (server, store)
}

async fn attach(server: &Server, referrer: &NewReferrer) -> Result<Attached, FetchError> {
    let registry: Registry = anonymous();
    registry.attach(&image(server, "acme/app"), &subject(), referrer, ample()).await
}

fn listed(index: &Value) -> Vec<&str> {
    let manifests = index["manifests"].as_array().unwrap();
    manifests.iter().map(|entry| entry["digest"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_manifest_is_the_one_that_cosign_writes() {
    let (server, store) = start(Store { api: true, ..Store::default() }).await;
    let attached = attach(&server, &bundle("one")).await.unwrap();
    assert_eq!(attached.source, ReferrersSource::Api);
    let store = store.lock().unwrap();
    let manifest: Value =
        serde_json::from_slice(&store.manifests[&attached.manifest.to_string()]).unwrap();
    let digest = Digest::sha256(b"one");
    let wanted = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": BUNDLE,
        "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "artifactType": BUNDLE,
            "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "size": 2,
        },
        "layers": [{
            "mediaType": BUNDLE,
            "digest": digest.to_string(),
            "size": 3,
            "annotations": {
                "org.opencontainers.image.title": format!("sha256-{}.sigstore.json", digest.hex()),
            },
        }],
        "subject": {
            "mediaType": OCI_MANIFEST, "digest": subject().digest.to_string(), "size": 1234,
        },
        "annotations": {
            "org.opencontainers.image.created": "2023-11-14T22:13:20Z",
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1",
        },
    });
    assert_eq!(manifest, wanted);
    assert_eq!(store.blobs[&digest.to_string()], b"one");
    assert_eq!(store.blobs[&Digest::sha256(b"{}").to_string()], b"{}");
    assert!(!store.manifests.contains_key(&tag()), "the registry keeps track itself");
}

#[tokio::test]
async fn a_message_signature_has_no_predicate() {
    let referrer = NewReferrer::bundle(
        Bytes::from_static(b"x"),
        BundleContent::MessageSignature,
        UnixTime::from_seconds(0),
    );
    assert_eq!(referrer.annotations["dev.sigstore.bundle.content"], "message-signature");
    assert!(!referrer.annotations.contains_key("dev.sigstore.bundle.predicateType"));
}

#[tokio::test]
async fn without_the_api_the_tag_gets_an_entry_with_the_true_type() {
    let (server, store) = start(Store::default()).await;
    let attached = attach(&server, &bundle("one")).await.unwrap();
    assert_eq!(attached.source, ReferrersSource::FallbackTag);
    let index = store.lock().unwrap().tagged();
    assert_eq!(index["schemaVersion"], 2);
    assert_eq!(index["mediaType"], OCI_INDEX);
    assert_eq!(listed(&index), [attached.manifest.to_string()]);
    assert_eq!(index["manifests"][0]["artifactType"], BUNDLE);
    assert_eq!(index["manifests"][0]["mediaType"], OCI_MANIFEST);
    assert_eq!(
        index["manifests"][0]["annotations"]["dev.sigstore.bundle.content"],
        "dsse-envelope"
    );
}

/// A registry that echoes another subject did not understand; the tag is kept too.
#[tokio::test]
async fn only_the_right_subject_counts_as_tracked() {
    let other = Digest::sha256(b"other").to_string();
    let store = Arc::new(Mutex::new(Store::default()));
    let shared = Arc::clone(&store);
    let server = Server::start(move |request| {
        shared.lock().unwrap().reply(request).with("OCI-Subject", other.clone())
    })
    .await;
    let attached = attach(&server, &bundle("one")).await.unwrap();
    assert_eq!(attached.source, ReferrersSource::FallbackTag);
}

#[tokio::test]
async fn what_others_wrote_stays_as_they_wrote_it() {
    for conditional in [false, true] {
        let mut store = Store { conditional, ..Store::default() };
        store.write(&[entry("theirs"), entry("dangling")]);
        let (server, store) = start(store).await;
        let attached = attach(&server, &bundle("one")).await.unwrap();
        let index = store.lock().unwrap().tagged();
        assert_eq!(index["manifests"][0], entry("theirs"));
        assert_eq!(index["manifests"][1], entry("dangling"));
        assert_eq!(listed(&index)[2], attached.manifest.to_string());
        assert_eq!(index["annotations"], json!({"theirs": "kept"}));
        // Once more changes nothing.
        let before = store.lock().unwrap().manifests[&tag()].clone();
        attach(&server, &bundle("one")).await.unwrap();
        assert_eq!(store.lock().unwrap().manifests[&tag()], before);
    }
}

/// Cosign on GHCR erased an entry written five seconds earlier. With conditional writes nobody's
/// entry is ever lost.
#[tokio::test]
async fn a_writer_in_between_is_merged_where_writes_are_conditional() {
    let mut store = Store { conditional: true, ..Store::default() };
    store.write(&[entry("a")]);
    store.others = vec![|store| store.write(&[entry("a"), entry("b")]), |store| {
        store.write(&[entry("a"), entry("b"), entry("c")])
    }];
    let (server, store) = start(store).await;
    let attached = attach(&server, &bundle("one")).await.unwrap();
    let index = store.lock().unwrap().tagged();
    let theirs = ["a", "b", "c"].map(|name| Digest::sha256(name.as_bytes()).to_string());
    assert_eq!(listed(&index)[..3], theirs);
    assert_eq!(listed(&index)[3], attached.manifest.to_string());
}

#[tokio::test]
async fn a_first_writer_in_between_is_merged_too() {
    let store = Store {
        conditional: true,
        others: vec![|store| store.write(&[entry("a")])],
        ..Store::default()
    };
    let (server, store) = start(store).await;
    let attached = attach(&server, &bundle("one")).await.unwrap();
    let index = store.lock().unwrap().tagged();
    let digests = [Digest::sha256(b"a").to_string(), attached.manifest.to_string()];
    assert_eq!(listed(&index), digests);
}

/// Where writes are not conditional, ours is written again until it stays.
#[tokio::test]
async fn a_writer_that_overwrites_us_is_merged() {
    let store = Store {
        others_after_write: vec![|store| store.write(&[entry("a")]), |store| {
            store.write(&[entry("a"), entry("b")])
        }],
        ..Store::default()
    };
    let (server, store) = start(store).await;
    let attached = attach(&server, &bundle("one")).await.unwrap();
    let index = store.lock().unwrap().tagged();
    let theirs = ["a", "b"].map(|name| Digest::sha256(name.as_bytes()).to_string());
    assert_eq!(listed(&index)[..2], theirs);
    assert_eq!(listed(&index)[2], attached.manifest.to_string());
}

#[tokio::test]
async fn a_writer_that_always_overwrites_us_wins_with_an_error() {
    let store = Store {
        others_after_write: vec![|store| store.write(&[entry("a")]); 100],
        ..Store::default()
    };
    let (server, _store) = start(store).await;
    let error = attach(&server, &bundle("one")).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Overwritten { attempts: 16 });
    let writes = format!("PUT /v2/acme/app/manifests/{}", tag());
    assert_eq!(server.lines().iter().filter(|line| **line == writes).count(), 16);
}

/// Many at once, each through its own client, as in a build matrix.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_all_stay_where_writes_are_conditional() {
    let (server, store) = start(Store { conditional: true, ..Store::default() }).await;
    let server = Arc::new(server);
    let mut writers = tokio::task::JoinSet::new();
    for name in ["one", "two", "three", "four"] {
        let server = Arc::clone(&server);
        writers.spawn(async move { attach(&server, &bundle(name)).await });
    }
    let mut attached = Vec::new();
    while let Some(outcome) = writers.join_next().await {
        attached.push(outcome.unwrap().unwrap().manifest.to_string());
    }
    let index = store.lock().unwrap().tagged();
    let mut found = listed(&index);
    found.sort_unstable();
    attached.sort_unstable();
    assert_eq!(found, attached);
}

/// GitLab serves the image under such a tag; what is written there cannot be found again.
#[tokio::test]
async fn a_registry_that_hides_the_tag_is_an_error() {
    let (image_manifest, digest) = crate::manifest("app");
    let store = Arc::new(Mutex::new(Store::default()));
    let served = image_manifest.clone();
    let server = Server::start(move |request| match request.method.as_str() {
        "GET" => Reply::ok(OCI_MANIFEST, served.clone()),
        _ => store.lock().unwrap().reply(request),
    })
    .await;
    let subject = Descriptor::new(OCI_MANIFEST, digest, image_manifest.len() as u64);
    let image = image(&server, "acme/app");
    let error = anonymous().attach(&image, &subject, &bundle("one"), ample()).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Malformed { found, .. } if found == "the image itself");
}

/// A registry that fails every condition would otherwise never take a signature.
#[tokio::test]
async fn a_registry_that_misreads_conditions_is_written_without() {
    let store = Arc::new(Mutex::new(Store::default()));
    let shared = Arc::clone(&store);
    let server = Server::start(move |request| {
        let conditions = ["if-match", "if-none-match"];
        if conditions.iter().any(|name| request.header(name).is_some()) {
            return Reply::status(412);
        }
        shared.lock().unwrap().reply(request)
    })
    .await;
    attach(&server, &bundle("one")).await.unwrap();
    assert_eq!(listed(&store.lock().unwrap().tagged()).len(), 1);
}

/// Whoever read the tag before we wrote it gets time to write, and only then do we look.
#[tokio::test]
async fn the_tag_is_read_back_after_a_pause() {
    let store = Arc::new(Mutex::new(Store::default()));
    let times = Arc::new(Mutex::new(Vec::new()));
    let (shared, seen) = (Arc::clone(&store), Arc::clone(&times));
    let server = Server::start(move |request| {
        if request.path().ends_with(&tag()) {
            seen.lock().unwrap().push(std::time::Instant::now());
        }
        shared.lock().unwrap().reply(request)
    })
    .await;
    let pause = Duration::from_millis(40);
    let options = HttpOptions { first_pause: pause, ..crate::options() };
    let registry = Registry::new(Arc::new(Http::new(options).unwrap()), DockerConfig::default());
    let image = image(&server, "acme/app");
    registry.attach(&image, &subject(), &bundle("one"), ample()).await.unwrap();
    let times = times.lock().unwrap();
    let [_read, written, read_back] = times[..] else { panic!("{times:?}") };
    assert!(read_back - written >= pause / 2);
}

/// Something else under the tag is not ours to overwrite.
#[tokio::test]
async fn a_tag_that_is_no_index_is_left_alone() {
    let mut store = Store::default();
    let (manifest, _) = crate::manifest("other");
    store.manifests.insert(tag(), manifest.clone());
    let (server, store) = start(store).await;
    let error = attach(&server, &bundle("one")).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Malformed { .. });
    assert_eq!(store.lock().unwrap().manifests[&tag()], manifest);
}

#[tokio::test]
async fn a_tag_that_cannot_be_read_is_not_overwritten() {
    for status in [401, 403, 429, 500] {
        let store = Arc::new(Mutex::new(Store::default()));
        let shared = Arc::clone(&store);
        let server = Server::start(move |request| {
            if request.method == "GET" {
                return Reply::status(status);
            }
            shared.lock().unwrap().reply(request)
        })
        .await;
        attach(&server, &bundle("one")).await.unwrap_err();
        assert!(!store.lock().unwrap().manifests.contains_key(&tag()), "{status}");
    }
}

//! Mirrors: content comes from them first, blobs of any size, and what they do wrong is of no matter.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use client::credentials::Basic;
use client::layout::Layout;
use client::registry::{Copying, MirrorRule};
use client::{DockerConfig, Registry, RegistryOptions, Secret};
use devkit::registry::{Access, Behaviour, Credentials, Referrers};
use evidence::{Digest, ImageRef};
use serde_json::json;
use tempfile::TempDir;

use super::super::Shelf;
use super::{Meter, blob};
use crate::server::{Received, Reply, Server};
use crate::{OCI_MANIFEST, ample, anonymous, http};

/// A registry with an image of one small and one large layer, which wants a login; and the client
/// that has it, and asks the mirrors first.
struct Original {
    shelf: Shelf,
    image: ImageRef,
    large: Bytes,
    layer: Digest,
}

const USER: &str = "ali";
const PASSWORD: &str = "open sesame";

impl Original {
    async fn start() -> Self {
        let shelf = Shelf::start(Referrers::On).await;
        let large: Vec<u8> = (0..9_000_000_u32).map(|number| (number % 251) as u8).collect();
        let large = Bytes::from(large);
        let layer = anonymous().push_blob(&shelf.image, large.clone(), ample()).await.unwrap();
        let config = Bytes::from_static(b"{}");
        let config = anonymous().push_blob(&shelf.image, config, ample()).await.unwrap();
        let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "a/b", "digest": config.to_string(), "size": 2},
            "layers": [{"mediaType": "c/d", "digest": layer.to_string(), "size": large.len()}]});
        let bytes = serde_json::to_vec(&manifest).unwrap();
        anonymous().push_tag(&shelf.image, "large", OCI_MANIFEST, bytes, ample()).await.unwrap();
        let credentials = Credentials { user: USER.to_owned(), password: PASSWORD.to_owned() };
        let access = Access::Basic(credentials);
        let behaviour = Behaviour { access, referrers: Referrers::On, ..Behaviour::default() };
        shelf.registry.set_behaviour(behaviour);
        shelf.registry.clear_requests();
        let image = shelf.image.with_tag("large").unwrap();
        Self { shelf, image, large, layer }
    }

    fn client(&self, mirrors: &[&Server]) -> Registry {
        let host = self.image.registry();
        let password = Secret::new(PASSWORD.to_owned());
        let login =
            DockerConfig::with_login(host.clone(), Basic { user: USER.to_owned(), password });
        let rule = |mirror: &&Server| -> MirrorRule {
            format!("{host}={}/proxied", mirror.host()).parse().unwrap()
        };
        let mirrors = mirrors.iter().map(rule).collect();
        Registry::with_options(http(), login, RegistryOptions { mirrors, ..Default::default() })
    }

    /// Saves the image, which must be what comes out.
    async fn save(&self, mirrors: &[&Server]) -> TempDir {
        let folder = TempDir::new().unwrap();
        let (meter, image) = (Meter::default(), &self.image);
        let registry = self.client(mirrors);
        self.shelf.registry.clear_requests();
        Layout::save(folder.path(), &registry, image, image, ample(), &meter).await.unwrap();
        meter.assert_full();
        assert!(std::fs::read(blob(folder.path(), &self.layer)).unwrap() == self.large);
        for mirror in mirrors {
            assert!(mirror.authorizations().is_empty(), "a login went astray");
            let lines = mirror.lines();
            let asked = lines.iter().all(|line| line.starts_with("GET /v2/proxied/acme/app/"));
            assert!(asked && !lines.iter().any(|line| line.contains("referrers")), "{lines:?}");
        }
        folder
    }

    /// How many pieces of the large layer were asked of the registry itself.
    fn pieces(&self) -> usize {
        let line = format!("GET /v2/acme/app/blobs/{}", self.layer);
        self.shelf.lines().iter().filter(|found| **found == line).count()
    }

    /// A mirror of the large layer, which gives each piece as it is, or as that says.
    async fn mirror(
        &self,
        spoil: impl Fn(usize, Vec<u8>) -> Reply + Send + Sync + 'static,
    ) -> Server {
        let (large, path) =
            (self.large.clone(), format!("/v2/proxied/acme/app/blobs/{}", self.layer));
        let count = AtomicUsize::new(0);
        Server::start(move |request| {
            if request.path() != path {
                return Reply::status(404);
            }
            let (first, last) = range(request);
            spoil(count.fetch_add(1, Ordering::SeqCst), large[first..=last].to_vec())
        })
        .await
    }
}

fn range(request: &Received) -> (usize, usize) {
    let range = request.header("range").unwrap().strip_prefix("bytes=").unwrap();
    let (first, last) = range.split_once('-').unwrap();
    (first.parse().unwrap(), last.parse().unwrap())
}

/// What a mirror makes of a piece, of which it is told which one it is.
type Spoil = fn(usize, Vec<u8>) -> Reply;

fn pieces_asked(mirror: &Server) -> usize {
    mirror.lines().iter().filter(|line| line.contains("/blobs/")).count()
}

fn good(piece: Vec<u8>) -> Reply {
    Reply::status(206).body(piece)
}

#[tokio::test]
async fn large_blobs_come_from_a_mirror_and_no_login_goes_there() {
    let original = Original::start().await;
    let mirror = original.mirror(|_, piece| good(piece)).await;
    original.save(&[&mirror]).await;
    assert_eq!(original.pieces(), 0);
    // Copied, too.
    let other = Shelf::start(Referrers::On).await;
    let to: ImageRef = format!("{}/app:large", other.registry.address()).parse().unwrap();
    let registry = original.client(&[&mirror]);
    registry.copy(&original.image, &to, &Copying::all(), ample()).await.unwrap();
    assert_eq!(original.pieces(), 0);
    let there = anonymous().fetch_blob(&to, &original.layer, 9_000_000, ample()).await.unwrap();
    assert!(there == original.large);
}

#[tokio::test]
async fn what_a_mirror_does_not_serve_comes_from_the_registry() {
    let original = Original::start().await;
    // It has nothing; it serves all instead of a piece; a piece that is too short; one, and no more.
    let failing: [(Spoil, usize); 4] = [
        (|_, _| Reply::status(404), 3),
        (|_, _| Reply::status(200).body(vec![0; 9_000_000]), 3),
        (|_, piece| good(piece[1..].to_vec()), 3),
        (|count, piece| if count == 0 { good(piece) } else { Reply::status(401) }, 2),
    ];
    for (spoil, of_the_registry) in failing {
        let mirror = original.mirror(spoil).await;
        original.save(&[&mirror]).await;
        assert_eq!(original.pieces(), of_the_registry);
        // One that has failed is not asked for the rest.
        assert!(pieces_asked(&mirror) <= 2 + 2, "{:?}", mirror.lines());
    }
    // The next mirror goes on where the first has stopped.
    let first = original
        .mirror(|count, piece| if count == 0 { good(piece) } else { Reply::status(404) })
        .await;
    let second = original.mirror(|_, piece| good(piece)).await;
    original.save(&[&first, &second]).await;
    assert_eq!(original.pieces(), 0);
}

/// A wrong piece shows only at the end: then all of it is read again, of the registry.
#[tokio::test]
async fn wrong_bytes_of_a_mirror_neither_stay_nor_fail() {
    let original = Original::start().await;
    let wrong = |count: usize, mut piece: Vec<u8>| {
        piece[0] ^= u8::from(count == 1);
        good(piece)
    };
    let mirror = original.mirror(wrong).await;
    original.save(&[&mirror]).await;
    assert_eq!(original.pieces(), 3);
    let mirror = original.mirror(wrong).await;
    let other = Shelf::start(Referrers::On).await;
    let to: ImageRef = format!("{}/app:large", other.registry.address()).parse().unwrap();
    let registry = original.client(&[&mirror]);
    registry.copy(&original.image, &to, &Copying::all(), ample()).await.unwrap();
    let there = anonymous().fetch_blob(&to, &original.layer, 9_000_000, ample()).await.unwrap();
    assert!(there == original.large);
}

/// By its size alone a blob is neither asked of nor withheld from a mirror, and a manifest neither.
#[tokio::test]
async fn small_content_comes_from_a_mirror_by_digest_and_never_by_tag() {
    let original = Original::start().await;
    let (manifest, wrong) = (original.shelf.manifest.clone(), crate::manifest("other").0);
    let digest = Digest::sha256(&manifest);
    for (served, of_the_registry) in [(manifest.clone(), 0), (wrong, 1)] {
        let mirror = Server::start(move |_| Reply::ok(OCI_MANIFEST, served.clone())).await;
        let registry = original.client(&[&mirror]);
        original.shelf.registry.clear_requests();
        let image = original.image.with_digest(digest);
        let found = registry.resolve(&image, ample()).await.unwrap();
        assert_eq!(found.bytes, manifest);
        let lines = original.shelf.lines();
        let gets = lines.iter().filter(|line| line.starts_with("GET")).count();
        assert_eq!(gets.min(1), of_the_registry, "{lines:?}");
        assert_eq!(mirror.lines(), [format!("GET /v2/proxied/acme/app/manifests/{digest}")]);
        // What a tag means is asked of the registry, which cannot be asked without the login.
        registry.look_up(&original.image, ample()).await.unwrap();
        assert_eq!(mirror.lines().len(), 1);
        assert!(mirror.authorizations().is_empty());
    }
}

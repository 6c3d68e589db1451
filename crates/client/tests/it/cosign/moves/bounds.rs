//! How much is moved for one image, and in which order.

use std::collections::HashMap;
use std::fs;

use client::error::FetchErrorKind;
use client::layout::{LayoutProblem, TransferError};
use client::registry::Copying;
use client::registry::copy::{INDEXES_SIZE_MAX, MANIFESTS_MAX, MANIFESTS_SIZE_MAX};
use client::registry::index_content::DEPTH_MAX;
use evidence::{Digest, ImageRef};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{blob, load, save};
use crate::server::{Reply, Server};
use crate::{OCI_INDEX, OCI_MANIFEST, ample, anonymous, assert_kind, image};

/// Manifests by digest.
#[derive(Clone, Default)]
struct Shelf(HashMap<String, (&'static str, Vec<u8>)>);

impl Shelf {
    /// Puts a manifest there. The entry by which an index names it.
    fn put(&mut self, media_type: &'static str, manifest: &Value) -> Value {
        let bytes = manifest.to_string().into_bytes();
        let entry = entry(media_type, &bytes);
        self.0.insert(entry["digest"].as_str().unwrap().to_owned(), (media_type, bytes));
        entry
    }

    fn index(&mut self, entries: &[Value], padding: usize) -> Value {
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries,
            "annotations": {"padding": "x".repeat(padding)}});
        self.put(OCI_INDEX, &index)
    }

    fn image(&mut self, name: &str) -> Value {
        self.put(OCI_MANIFEST, &built(name))
    }

    /// A registry that has these in one repository, the one blob in it and nothing beside them, and
    /// takes whatever is put in another.
    async fn serve(self, top: &Value) -> (Server, ImageRef) {
        let server = Server::start(move |request| {
            let last = request.path().rsplit('/').next().unwrap();
            match (request.method.as_str(), self.0.get(last)) {
                ("GET", Some((media_type, bytes))) if request.path().contains("/from/") => {
                    Reply::ok(media_type, bytes.clone())
                }
                ("GET", None) if request.path().contains("/from/app/blobs/") => {
                    Reply::ok("application/octet-stream", &b"{}"[..])
                }
                ("PUT", _) => Reply::status(201),
                ("HEAD", _) => Reply::status(200),
                _ => Reply::status(404),
            }
        })
        .await;
        let from = image(&server, "from/app").with_digest(digest_of(top));
        (server, from)
    }

    /// The same in a folder.
    fn lay(&self, top: &Value) -> TempDir {
        let folder = TempDir::new().unwrap();
        fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
        let marker = r#"{"imageLayoutVersion":"1.0.0"}"#;
        fs::write(folder.path().join("oci-layout"), marker).unwrap();
        for (digest, (_, bytes)) in &self.0 {
            fs::write(blob(folder.path(), &digest.parse().unwrap()), bytes).unwrap();
        }
        let index = json!({"schemaVersion": 2, "manifests": [top]});
        fs::write(folder.path().join("index.json"), index.to_string()).unwrap();
        folder
    }
}

/// An image without blobs but its configuration.
fn built(name: &str) -> Value {
    json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2,
            "digest": Digest::sha256(b"{}").to_string()},
        "layers": [], "annotations": {"name": name}})
}

fn entry(media_type: &str, bytes: &[u8]) -> Value {
    let digest = Digest::sha256(bytes).to_string();
    json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
}

fn digest_of(entry: &Value) -> Digest {
    entry["digest"].as_str().unwrap().parse().unwrap()
}

/// What comes of copying it, saving it and loading it: for each the most of what there may be, if it
/// was refused for that. And what was asked of the registry until then, without what is put.
async fn moved(shelf: Shelf, top: &Value) -> ([Option<(&'static str, usize)>; 3], Vec<String>) {
    let folder = shelf.lay(top);
    let (server, from) = shelf.serve(top).await;
    let refused = |error: Option<client::FetchError>| {
        error.map(|error| match error.kind() {
            FetchErrorKind::TooMany { what, max } => (*what, *max),
            _ => panic!("{error:?}"),
        })
    };
    let to = image(&server, "to/app:v1");
    let copying = Copying { image: true, tags: Vec::new(), referrers: false };
    let copied = anonymous().copy(&from, &to, &copying, ample()).await;
    let lines = server.lines();
    let saved = save(&from, TempDir::new().unwrap().path()).await.map_err(|error| match error {
        TransferError::Registry(error) => error,
        other => panic!("{other:?}"),
    });
    let loaded = load(folder.path(), &to).await.map_err(|error| match error {
        TransferError::Layout(error) => error,
        other => panic!("{other:?}"),
    });
    let loaded = loaded.err().map(|error| match error.problem() {
        LayoutProblem::TooMany { what, max } => (*what, *max),
        other => panic!("{other:?}"),
    });
    ([refused(copied.err()), refused(saved.err()), loaded], lines)
}

#[tokio::test]
async fn only_so_many_manifests_are_moved_and_none_before_they_are_counted() {
    // The outermost index and five more, of which the last makes it one too many.
    for (last, refused) in [(MANIFESTS_MAX - 4006, false), (MANIFESTS_MAX - 4005, true)] {
        let mut shelf = Shelf::default();
        let mut inner = Vec::new();
        for (number, count) in [1000, 1000, 1000, 1000, last].into_iter().enumerate() {
            let named = |child: usize| entry(OCI_MANIFEST, format!("{number}/{child}").as_bytes());
            inner.push(shelf.index(&(0..count).map(named).collect::<Vec<_>>(), 0));
        }
        let top = shelf.index(&inner, 0);
        if !refused {
            // They are not there; that they would be looked at is what is tried.
            let (server, from) = shelf.serve(&top).await;
            let to = image(&server, "to/app:v1");
            let copied = anonymous().copy(&from, &to, &Copying::all(), ample()).await;
            assert_kind!(copied.unwrap_err(), FetchErrorKind::NotFound { .. });
            continue;
        }
        let (outcomes, lines) = moved(shelf, &top).await;
        assert_eq!(outcomes, [Some(("manifests in one index", MANIFESTS_MAX)); 3]);
        assert_eq!(lines.len(), 6, "the indexes, and no image: {lines:?}");
    }
}

#[tokio::test]
async fn only_so_many_bytes_of_indexes_are_held() {
    let inner_size = 250 * 1024;
    for (count, refused) in [(31, false), (34, true)] {
        let mut shelf = Shelf::default();
        let image = shelf.image("the image");
        let mut entries = Vec::new();
        for number in 0..count {
            let mut other = image.clone();
            other["annotations"] = json!({"number": number.to_string()});
            entries.push(shelf.index(&[other], inner_size));
        }
        let top = shelf.index(&entries, 0);
        let (outcomes, _) = moved(shelf, &top).await;
        let wanted = refused.then_some(("bytes of indexes of one image", INDEXES_SIZE_MAX));
        assert_eq!(outcomes, [wanted; 3], "{count}");
    }
}

#[tokio::test]
async fn only_so_many_levels_are_moved_however_they_are_reached() {
    for (levels, refused) in [(DEPTH_MAX, false), (DEPTH_MAX + 1, true)] {
        let wanted = refused.then_some(("levels of indexes", DEPTH_MAX));
        let mut shelf = Shelf::default();
        let mut top = shelf.image("deepest");
        for _ in 0..levels {
            top = shelf.index(&[top], 0);
        }
        assert_eq!(moved(shelf, &top).await.0, [wanted; 3]);
        // The outermost names all of them, so that none is far away; but each is below the next.
        let mut shelf = Shelf::default();
        let mut chain = vec![shelf.image("deepest")];
        for _ in 1..levels {
            chain.push(shelf.index(&chain[chain.len() - 1..], 0));
        }
        let top = shelf.index(&chain, 0);
        assert_eq!(moved(shelf, &top).await.0, [wanted; 3]);
    }
}

/// No registry takes an index before what it names, on whichever levels it is named.
#[tokio::test]
async fn an_index_comes_after_all_that_it_names() {
    let mut shelf = Shelf::default();
    let (one, two) = (shelf.image("one"), shelf.image("two"));
    let shared = shelf.index(std::slice::from_ref(&one), 0);
    let between = shelf.index(&[shared.clone(), two.clone()], 0);
    // The shared one first, and then the one that names it: by levels they would be side by side.
    let top = shelf.index(&[shared.clone(), between.clone(), one.clone()], 0);
    let (outcomes, lines) = moved(shelf, &top).await;
    assert_eq!(outcomes, [None; 3]);
    let place = |entry: &Value| {
        let line = format!("PUT /v2/to/app/manifests/{}", digest_of(entry));
        let mut places = (0..).zip(&lines).filter(|(_, found)| **found == line);
        let (place, _) = places.next().unwrap();
        assert!(places.next().is_none(), "{line} twice");
        place
    };
    let order = [&one, &two, &shared, &between, &top].map(place);
    assert!(order[0] < order[2] && order[1] < order[3], "{lines:?}");
    assert!(order[2] < order[3] && order[3] < order[4], "{lines:?}");
    assert_eq!(lines.last().unwrap(), "PUT /v2/to/app/manifests/v1");
}

/// An entry that says "image" is not followed, so nothing below it would be moved.
#[tokio::test]
async fn an_index_that_is_called_an_image_is_refused() {
    let mut shelf = Shelf::default();
    let one = shelf.image("one");
    let mut hidden = shelf.index(&[one], 0);
    hidden["mediaType"] = OCI_MANIFEST.into();
    let top = shelf.index(&[hidden], 0);
    let folder = shelf.lay(&top);
    let (server, from) = shelf.serve(&top).await;
    let to = image(&server, "to/app:v1");
    let copied = anonymous().copy(&from, &to, &Copying::all(), ample()).await;
    assert_kind!(copied.unwrap_err(), FetchErrorKind::Malformed { wanted, .. }
        if *wanted == "an image, as an index says of it");
    assert!(!server.lines().iter().any(|line| line.starts_with("PUT")));
    let error = load(folder.path(), &to).await.unwrap_err();
    assert!(
        matches!(&error, TransferError::Layout(error)
        if matches!(error.problem(), LayoutProblem::Malformed { .. })),
        "{error}"
    );
}

/// Each of them is as long as a manifest may be. The last is not put any more.
#[tokio::test]
async fn only_so_many_bytes_of_manifests_are_read() {
    const SIZE: usize = 4 * 1024 * 1024;
    let padded = |number: usize| {
        let mut image = built(&number.to_string());
        let length = image.to_string().len();
        image["annotations"]["padding"] =
            "x".repeat(SIZE - length - r#","padding":"""#.len()).into();
        image.to_string().into_bytes()
    };
    let count = MANIFESTS_SIZE_MAX / SIZE;
    let entries: Vec<_> = (0..count).map(|number| entry(OCI_MANIFEST, &padded(number))).collect();
    assert!(entries.iter().all(|entry| entry["size"] == SIZE));
    let places: HashMap<_, _> = entries
        .iter()
        .zip(0..)
        .map(|(entry, number)| (entry["digest"].as_str().unwrap().to_owned(), number))
        .collect();
    let mut shelf = Shelf::default();
    let top = shelf.index(&entries, 0);
    let server = Server::start(move |request| {
        let last = request.path().rsplit('/').next().unwrap();
        match (request.method.as_str(), places.get(last), shelf.0.get(last)) {
            ("GET", Some(number), _) => Reply::ok(OCI_MANIFEST, padded(*number)),
            ("GET", _, Some((media_type, bytes))) => Reply::ok(media_type, bytes.clone()),
            ("PUT", ..) => Reply::status(201),
            ("HEAD", ..) => Reply::status(200),
            _ => Reply::status(404),
        }
    })
    .await;
    let from = image(&server, "from/app").with_digest(digest_of(&top));
    let to = image(&server, "to/app:v1");
    let copying = Copying { image: true, tags: Vec::new(), referrers: false };
    let deadline = client::Deadline::after(std::time::Duration::from_secs(120));
    let copied = anonymous().copy(&from, &to, &copying, deadline).await;
    assert_kind!(copied.unwrap_err(), FetchErrorKind::TooMany { what, max: MANIFESTS_SIZE_MAX }
        if *what == "bytes of manifests of one image");
    let put = server.lines().iter().filter(|line| line.starts_with("PUT")).count();
    assert_eq!(put, count - 1, "the index has a few bytes too");
}

/// A hundred referrers of each image of an index come to more than there may be of all.
#[tokio::test]
async fn what_lies_beside_the_images_is_counted_with_them() {
    const EACH: usize = 100;
    let mut shelf = Shelf::default();
    let images: Vec<_> =
        (0..=MANIFESTS_MAX / EACH).map(|number| shelf.image(&number.to_string())).collect();
    let top = shelf.index(&images, 0);
    let mut lists = HashMap::new();
    for image in &images {
        let referrers: Vec<_> = (0..EACH)
            .map(|number| {
                let mut referrer = built(&number.to_string());
                referrer["subject"] = image.clone();
                shelf.put(OCI_MANIFEST, &referrer)
            })
            .collect();
        let list = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": referrers});
        lists.insert(image["digest"].as_str().unwrap().to_owned(), list.to_string());
    }
    let server = Server::start(move |request| {
        let path = request.path();
        let last = path.rsplit('/').next().unwrap();
        match (request.method.as_str(), lists.get(last), shelf.0.get(last)) {
            ("GET", Some(list), _) if path.contains("/referrers/") => {
                Reply::ok(OCI_INDEX, list.clone())
            }
            ("GET", _, Some((media_type, bytes))) => Reply::ok(media_type, bytes.clone()),
            ("GET", None, _) if path.contains("/referrers/") => {
                Reply::ok(OCI_INDEX, r#"{"manifests":[]}"#)
            }
            ("PUT", ..) => {
                // It keeps track of referrers itself.
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                let subject = body["subject"]["digest"].as_str().unwrap_or_default();
                Reply::status(201).with("OCI-Subject", subject)
            }
            ("HEAD", ..) => Reply::status(200),
            _ => Reply::status(404),
        }
    })
    .await;
    let from = image(&server, "from/app").with_digest(digest_of(&top));
    let to = image(&server, "to/app:v1");
    let copying = Copying { image: false, tags: Vec::new(), referrers: true };
    let copied = anonymous().copy(&from, &to, &copying, ample()).await;
    assert_kind!(
        copied.unwrap_err(),
        FetchErrorKind::TooMany { what: "manifests", max: MANIFESTS_MAX }
    );
    // With the index itself.
    let put = server.lines().iter().filter(|line| line.starts_with("PUT")).count();
    assert_eq!(put, MANIFESTS_MAX - 1);
}

//! Images are saved into layouts and loaded from them with all that lies beside them, and nothing
//! else gets in or out.

mod bounds;
mod destination;
mod folder;
mod mirrored;
mod strange;
mod whole;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use client::Layout;
use client::layout::{Loaded, Progress, Saved, TransferError};
use client::registry::Inventory;
use devkit::registry::Referrers;
use evidence::{Digest, ImageRef};
use serde_json::Value;

use super::Shelf;
use crate::{ample, anonymous};

/// How far it was.
#[derive(Default)]
struct Meter {
    expected: AtomicU64,
    moved: AtomicU64,
}

impl Progress for Meter {
    fn expect(&self, bytes: u64) {
        self.expected.fetch_add(bytes, Ordering::Relaxed);
    }

    fn moved(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Meter {
    fn assert_full(&self) {
        let (expected, moved) = (&self.expected, &self.moved);
        assert_eq!(expected.load(Ordering::Relaxed), moved.load(Ordering::Relaxed));
        assert!(expected.load(Ordering::Relaxed) > 0);
    }
}

async fn save(image: &ImageRef, folder: &Path) -> Result<Saved, TransferError> {
    let meter = Meter::default();
    let saved = Layout::save(folder, &anonymous(), image, image, ample(), &meter).await?;
    meter.assert_full();
    Ok(saved)
}

async fn load(folder: &Path, to: &ImageRef) -> Result<Loaded, TransferError> {
    let layout = Layout::open(folder).unwrap();
    let meter = Meter::default();
    let loaded = layout.load(&anonymous(), to, to, ample(), &meter).await?;
    meter.assert_full();
    Ok(loaded)
}

fn index(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("index.json")).unwrap()).unwrap()
}

/// As other tools leave it: without our word that what it lists is all there is.
fn unmark(listed: &mut Value) {
    let annotations = listed.as_object_mut().unwrap().remove("annotations").unwrap();
    assert_eq!(annotations, serde_json::json!({"dev.countersign.layout.listed": "all"}));
}

/// What the index lists, in its order.
fn digests(folder: &Path) -> Vec<Digest> {
    let index = index(folder);
    let listed = index["manifests"].as_array().unwrap().iter();
    listed.map(|one| one["digest"].as_str().unwrap().parse().unwrap()).collect()
}

fn blob(folder: &Path, digest: &Digest) -> std::path::PathBuf {
    folder.join("blobs/sha256").join(digest.hex())
}

/// What lies beside an image, without where exactly.
fn contents(inventory: &Inventory) -> BTreeSet<(String, String)> {
    assert!(inventory.obstacles.is_empty(), "{inventory:?}");
    let attachments = inventory.attachments.iter();
    attachments.map(|one| (one.kind.to_string(), one.layer.digest.to_string())).collect()
}

async fn beside(image: &ImageRef, digest: &Digest) -> BTreeSet<(String, String)> {
    contents(&anonymous().inventory(image, digest, ample()).await)
}

/// Another registry, with the reference that something is loaded under.
async fn destination(referrers: Referrers) -> (Shelf, ImageRef) {
    let shelf = Shelf::start(referrers).await;
    let to = format!("{}/else/where:loaded", shelf.registry.address()).parse().unwrap();
    (shelf, to)
}

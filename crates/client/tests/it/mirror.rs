//! A TUF mirror, over loopback: asked, believed, kept and chosen.

mod asking;
mod believing;
mod choosing;
mod keeping;

use std::time::Duration;

use client::mirror::{Fault, MAX_AGE, Material, Mirror, MirrorError, Origin, Refresh};
use evidence::UnixTime;
use tempfile::TempDir;

use crate::tuf::{Draft, NOW, Repository};
use crate::{ample, http};

const ALWAYS: Refresh = Refresh::After(Duration::ZERO);
const USUAL: Refresh = Refresh::After(MAX_AGE);

fn at(time: &str) -> UnixTime {
    UnixTime::from_rfc3339(time).unwrap()
}

fn now() -> UnixTime {
    at(NOW)
}

fn mirror(repository: &Repository, draft: &Draft) -> Mirror {
    Mirror::new(repository.server.url("").parse().unwrap(), draft.root(1)).unwrap()
}

async fn ask(mirror: &Mirror, refresh: Refresh, now: UnixTime) -> Result<Material, MirrorError> {
    mirror.material(&http(), refresh, now, ample()).await
}

/// The fault for which a mirror with this content is refused.
async fn refused(draft: &Draft) -> Fault {
    let repository = Repository::start(draft).await;
    refused_by(&mirror(&repository, draft)).await
}

async fn refused_by(mirror: &Mirror) -> Fault {
    match ask(mirror, ALWAYS, now()).await.unwrap_err() {
        MirrorError::Refused { source, .. } => source,
        error => panic!("{error:?}"),
    }
}

/// A mirror that keeps its copy, refreshed once; and the bytes of the copy.
async fn kept(repository: &Repository, draft: &Draft, folder: &TempDir) -> (Mirror, Vec<u8>) {
    let mirror = mirror(repository, draft).kept_in(folder.path());
    let material = ask(&mirror, USUAL, now()).await.unwrap();
    assert_eq!(material.origin(), Origin::Mirror);
    let copy = copy(folder);
    (mirror, copy)
}

fn copy_path(folder: &TempDir) -> std::path::PathBuf {
    let mut folders = std::fs::read_dir(folder.path()).unwrap();
    folders.next().unwrap().unwrap().path().join("last-good.json")
}

fn copy(folder: &TempDir) -> Vec<u8> {
    std::fs::read(copy_path(folder)).unwrap()
}

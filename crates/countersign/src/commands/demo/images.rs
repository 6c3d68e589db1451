//! The demo's images, and what somebody who may write to the registry can do to them.

use std::collections::BTreeMap;

use bytes::Bytes;
use client::registry::NewReferrer;
use client::{Deadline, FetchError, Registry};
use devkit::image::{Image, ImageIndex};
use evidence::{Digest, ImageRef};

use crate::exit::{Exit, Failure};

/// Pushes an image for two platforms that says this, under its tag.
pub(super) async fn push(
    registry: &Registry,
    image: &ImageRef,
    greeting: &str,
    deadline: Deadline,
) -> Result<Digest, Failure> {
    let failed = |error: FetchError| {
        Failure::new(Exit::Failure, format!("{image} was not pushed")).caused_by(error)
    };
    let index = ImageIndex::greeting(greeting)
        .map_err(|error| Failure::new(Exit::Failure, "no image was made").caused_by(error))?;
    for Image { config, layer, manifest, .. } in index.images {
        for blob in [config, layer] {
            registry.push_blob(image, Bytes::from(blob.bytes), deadline).await.map_err(failed)?;
        }
        registry
            .push_manifest(image, manifest.media_type, manifest.bytes, deadline)
            .await
            .map_err(failed)?;
    }
    let (tag, manifest) = (image.tag().unwrap_or("latest"), index.manifest);
    registry
        .push_tag(image, tag, manifest.media_type, manifest.bytes, deadline)
        .await
        .map_err(failed)
}

/// Attaches the signatures of one image to another, byte for byte.
pub(super) async fn copy_signatures(
    registry: &Registry,
    from: (&ImageRef, &Digest),
    to: &ImageRef,
    deadline: Deadline,
) -> Result<(), Failure> {
    let failed = |error: FetchError| {
        Failure::new(Exit::Failure, format!("no signature was copied to {to}")).caused_by(error)
    };
    let found = registry.find_evidence(from.0, from.1, deadline).await;
    if let Some(obstacle) = found.obstacles.into_iter().next() {
        return Err(failed(obstacle));
    }
    if found.pieces.is_empty() {
        return Err(Failure::new(Exit::Failure, format!("{} has no signature to copy", from.0)));
    }
    let subject = registry.resolve(to, deadline).await.map_err(failed)?.descriptor();
    for piece in found.pieces {
        let referrer = NewReferrer {
            media_type: piece.media_type,
            bytes: Bytes::from(piece.bytes),
            annotations: BTreeMap::new(),
        };
        registry.attach(to, &subject, &referrer, deadline).await.map_err(failed)?;
    }
    Ok(())
}

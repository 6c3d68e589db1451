//! What lies beside an image, in the judge's words: for the command line and the webhook alike.

use client::{Deadline, Registry};
use evidence::{Digest, Evidence, ImageRef};
use verify::{Obstacle, Piece};

/// Every piece of evidence beside an image, and what kept others from being seen.
pub(crate) async fn gather(
    registry: &Registry,
    image: &ImageRef,
    digest: &Digest,
    deadline: Deadline,
) -> (Vec<Piece>, Vec<Obstacle>) {
    let found = registry.find_evidence(image, digest, deadline).await;
    let pieces = found.pieces.into_iter().map(|piece| Piece {
        source: format!("{}@{}", image.name(), piece.manifest),
        evidence: Evidence::from_bundle(&piece.bytes).map_err(Into::into),
    });
    let obstacles = found.obstacles.iter().map(Obstacle::from);
    (pieces.collect(), obstacles.collect())
}

//! What lies beside an image, in the judge's words: for the command line and the webhook alike.

use client::registry::Found;
use client::{Deadline, Registry};
use evidence::{Digest, ImageRef, UnixTime};
use verify::{Artifact, Case, Obstacle, Piece, Policy, Verdict};

/// Every piece of evidence beside an image, and what kept others from being seen. The image itself
/// need not be there.
pub(crate) async fn gather(
    registry: &Registry,
    image: &ImageRef,
    digest: &Digest,
    deadline: Deadline,
) -> (Vec<Piece>, Vec<Obstacle>) {
    let mut gathered = (Vec::new(), Vec::new());
    add(&mut gathered, image, registry.find_evidence(image, digest, deadline).await);
    gathered
}

/// As much of it as the policy needs: all, unless it admits for good on a part, which is judged
/// before more is fetched. The policy judges what this gives as it would judge all.
pub(crate) async fn gather_for(
    policy: &Policy,
    registry: &Registry,
    image: &ImageRef,
    digest: &Digest,
    now: UnixTime,
    deadline: Deadline,
) -> (Vec<Piece>, Vec<Obstacle>) {
    let artifact = Artifact::from_digest(*digest);
    let mut gathered = (Vec::new(), Vec::new());
    let mut discovery = registry.discover(image, digest, deadline).await;
    while discovery.advance().await {
        add(&mut gathered, image, discovery.take());
        let (pieces, obstacles) = &gathered;
        let case = Case { artifact: &artifact, pieces, obstacles };
        if policy.admits_for_good() && matches!(policy.judge(&case, now), Verdict::Admit(_)) {
            return gathered;
        }
    }
    // What was in the way of the lists themselves.
    add(&mut gathered, image, discovery.take());
    gathered
}

fn add(gathered: &mut (Vec<Piece>, Vec<Obstacle>), image: &ImageRef, found: Found) {
    gathered.0.extend(found.pieces.into_iter().map(|piece| Piece {
        source: format!("{}@{}", image.name(), piece.manifest),
        evidence: piece.parse(),
    }));
    gathered.1.extend(found.obstacles.iter().map(Obstacle::from));
}

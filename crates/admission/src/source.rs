//! What admission asks of the outside, answered by a registry client.

use std::future::Future;

use evidence::Digest;
use evidence::image::ImageRef;
use tokio::time::Instant;
use verify::{Obstacle, Piece};

/// Everything found about one image.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// The evidence, good or bad.
    pub pieces: Vec<Piece>,
    /// What kept other evidence from being seen. Empty only if everything there is was seen.
    pub obstacles: Vec<Obstacle>,
    /// Whether something that is there would have been fetched, had there been more room. It is
    /// among the obstacles.
    pub left_out: bool,
}

/// A registry, as far as admission needs one.
///
/// Both calls are given a deadline: whoever comes back by then can tell what was found so far and
/// what was not. Soon after it they are cut off, so they must be safe to drop at any await.
pub trait Images: Send + Sync {
    /// The digest that the image's tag stands for now. Whoever answers is not believed: the digest
    /// is what will be judged, and what will run.
    fn resolve(
        &self,
        image: &ImageRef,
        deadline: Instant,
    ) -> impl Future<Output = Result<Digest, Obstacle>> + Send;

    /// All evidence about an image, which has a digest, as far as `size_max` bytes of it.
    fn evidence(
        &self,
        image: &ImageRef,
        size_max: u64,
        deadline: Instant,
    ) -> impl Future<Output = Gathered> + Send;
}

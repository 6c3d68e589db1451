//! Which manifests of an image index are looked at: the index alone, whose signature covers what it
//! names, or each image that may run.

use clap::{Args, ValueEnum};
use client::registry::{IndexContent, ManifestContent, Named, NamedKind};
use client::{Deadline, Registry};
use evidence::{Digest, ImageRef};
use verify::Obstacle;

use super::images;
use crate::exit::{Exit, Failure};
use crate::ui::verdict::Within;

/// How far an index is looked into.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct RecursionArguments {
    /// What must be signed where an image is an index of several platforms. With --recursive alone:
    /// all.
    #[arg(short, long, value_name = "WHICH", value_enum, num_args = 0..=1, require_equals = true,
        default_value_t = Recursion::Index, default_missing_value = "all",
        env = "COUNTERSIGN_RECURSIVE")]
    pub(crate) recursive: Recursion,
}

/// What of an index must be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Recursion {
    /// The index itself: its signature covers the images in it, which it names by their digests.
    #[value(alias = "false")]
    Index,
    /// The index, and each image in it by a signature of its own.
    #[value(alias = "true")]
    All,
    /// Each image in it by a signature of its own, whether or not the index has one.
    Leaves,
}

/// What is looked at because of one reference.
pub(crate) struct Family {
    /// What the user called it.
    pub(crate) name: String,
    /// The manifests, the one that was named first; never none.
    pub(crate) targets: Vec<Target>,
    /// What is known of it as an index.
    pub(crate) index: Option<Index>,
    /// Why there may be more to look at.
    pub(crate) obstacles: Vec<Obstacle>,
}

/// An index that was named.
pub(crate) struct Index {
    /// How many build records it names.
    pub(crate) build_records: usize,
    /// Whether it is looked at itself.
    pub(crate) demanded: bool,
}

/// A manifest that is looked at.
pub(crate) struct Target {
    /// What it is called.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) image: ImageRef,
    /// Where evidence about it is kept.
    pub(crate) place: ImageRef,
    pub(crate) digest: Digest,
    /// Its place in an index, if that is why it is looked at.
    pub(crate) within: Option<Within>,
    /// Whether it is an index, where that is known.
    pub(crate) is_index: Option<bool>,
}

/// Finds out what is to be looked at because of a reference.
pub(crate) async fn family(
    registry: &Registry,
    image: &ImageRef,
    recursion: Recursion,
    deadline: Deadline,
) -> Result<Family, Failure> {
    let name = image.to_string();
    let place = images::evidence_place(image)?;
    let target = |digest, is_index| {
        let (name, image, place) = (name.clone(), image.clone(), place.clone());
        Target { name, image, place, digest, within: None, is_index }
    };
    if recursion == Recursion::Index {
        let found = images::look_up(registry, image, deadline).await?;
        let targets = vec![target(found.digest, found.is_index)];
        return Ok(Family { name, targets, index: None, obstacles: Vec::new() });
    }
    let manifest = images::resolve(registry, image, deadline).await?;
    let ManifestContent::Index(index) = &manifest.content else {
        let targets = vec![target(manifest.digest, Some(false))];
        return Ok(Family { name, targets, index: None, obstacles: Vec::new() });
    };
    let content = registry.index_content(image, &manifest.digest, index, deadline).await;
    let IndexContent { named, obstacles } = content;
    let build_records = named.iter().filter(|named| named.kind == NamedKind::BuildRecord).count();
    let obstacles: Vec<_> = obstacles.iter().map(Obstacle::from).collect();
    let members = named.iter().filter(|named| match (recursion, named.kind) {
        (_, NamedKind::Image) | (Recursion::All, NamedKind::Index) => true,
        (_, NamedKind::Index | NamedKind::BuildRecord) => false,
    });
    let members = members.map(|named| member(image, &place, named));
    let demanded = recursion == Recursion::All || !obstacles.is_empty();
    let root = demanded.then(|| target(manifest.digest, Some(true)));
    let targets: Vec<_> = root.into_iter().chain(members).collect();
    if targets.is_empty() {
        // Of nothing all would be signed.
        let message =
            format!("{image} is an index with no image in it, so there is nothing to see");
        return Err(Failure::new(Exit::Unknown, message));
    }
    Ok(Family { name, targets, index: Some(Index { build_records, demanded }), obstacles })
}

fn member(image: &ImageRef, place: &ImageRef, named: &Named) -> Target {
    let Named { digest, kind, platforms, index } = named;
    Target {
        name: format!("{}@{digest}", image.name()),
        image: image.clone(),
        place: place.clone(),
        digest: *digest,
        within: Some(Within {
            index: *index,
            platforms: platforms.iter().map(ToString::to_string).collect(),
        }),
        is_index: Some(*kind == NamedKind::Index),
    }
}

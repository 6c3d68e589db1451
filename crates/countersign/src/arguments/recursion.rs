//! Which manifests of an image index are looked at: the index alone, whose signature covers what it
//! names, or each image that may run.

use clap::{Args, ValueEnum};
use client::registry::{IndexContent, ManifestContent, Named, NamedKind};
use client::{Deadline, Layout, Registry};
use evidence::{Digest, ImageRef};
use futures::stream::{self, StreamExt};
use verify::Obstacle;

use super::images;
use crate::exit::{Exit, Failure};
use crate::global::Global;
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

impl RecursionArguments {
    /// Finds out for several references what is to be looked at because of them, so many at once.
    pub(crate) async fn families(
        self,
        registry: &Registry,
        images: &[ImageRef],
        at_once: u16,
        global: &Global,
    ) -> Vec<Result<Family, Failure>> {
        stream::iter(images)
            .map(|image| in_registry(registry, image, self.recursive, global.deadline()))
            .buffered(usize::from(at_once))
            .collect()
            .await
    }
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
    pub(crate) digest: Digest,
    /// Its place in an index, if that is why it is looked at.
    pub(crate) within: Option<Within>,
    /// Whether it is an index, where that is known.
    pub(crate) is_index: Option<bool>,
}

/// Finds out what is to be looked at because of a reference.
async fn in_registry(
    registry: &Registry,
    image: &ImageRef,
    recursion: Recursion,
    deadline: Deadline,
) -> Result<Family, Failure> {
    let name = image.to_string();
    if recursion == Recursion::Index {
        let found = images::look_up(registry, image, deadline).await?;
        return Ok(Family::of_one(name, found.digest, found.is_index));
    }
    let manifest = images::resolve(registry, image, deadline).await?;
    if let ManifestContent::Image(_) = manifest.content {
        return Ok(Family::of_one(name, manifest.digest, Some(false)));
    }
    let content = registry.index_content(image, &manifest, deadline).await;
    Family::of_index(name, &image.name(), manifest.digest, &content, recursion)
}

/// The same in a folder.
pub(crate) fn in_layout(
    layout: &Layout,
    folder: &str,
    recursion: Recursion,
) -> Result<Family, Failure> {
    let manifest = layout.image(None).map_err(|error| images::unreadable_layout(folder, error))?;
    let is_index = matches!(manifest.content, ManifestContent::Index(_));
    if recursion == Recursion::Index || !is_index {
        return Ok(Family::of_one(folder.to_owned(), manifest.digest, Some(is_index)));
    }
    let content = layout.index_content(&manifest);
    Family::of_index(folder.to_owned(), folder, manifest.digest, &content, recursion)
}

impl Family {
    fn of_one(name: String, digest: Digest, is_index: Option<bool>) -> Self {
        let target = Target { name: name.clone(), digest, within: None, is_index };
        Self { name, targets: vec![target], index: None, obstacles: Vec::new() }
    }

    /// The members of an index, whose names begin with that.
    fn of_index<E>(
        name: String,
        beginning: &str,
        digest: Digest,
        content: &IndexContent<E>,
        recursion: Recursion,
    ) -> Result<Self, Failure>
    where
        for<'e> Obstacle: From<&'e E>,
    {
        let IndexContent { named, obstacles } = content;
        let obstacles: Vec<_> = obstacles.iter().map(Obstacle::from).collect();
        let is_record = |named: &&Named| named.kind == NamedKind::BuildRecord;
        let build_records = named.iter().filter(is_record).count();
        let members = named.iter().filter(|named| match (recursion, named.kind) {
            (_, NamedKind::Image) | (Recursion::All, NamedKind::Index) => true,
            (_, NamedKind::Index | NamedKind::BuildRecord) => false,
        });
        let demanded = recursion == Recursion::All || !obstacles.is_empty();
        let root = Target { name: name.clone(), digest, within: None, is_index: Some(true) };
        let root = demanded.then_some(root);
        let members = members.map(|named| member(beginning, named));
        let targets: Vec<_> = root.into_iter().chain(members).collect();
        if targets.is_empty() {
            // Of nothing all would be signed.
            let message =
                format!("{name} is an index with no image in it, so there is nothing to see");
            return Err(Failure::new(Exit::Unknown, message));
        }
        Ok(Self { name, targets, index: Some(Index { build_records, demanded }), obstacles })
    }
}

fn member(beginning: &str, named: &Named) -> Target {
    let Named { digest, kind, platforms, index } = named;
    Target {
        name: format!("{beginning}@{digest}"),
        digest: *digest,
        within: Some(Within {
            index: *index,
            platforms: platforms.iter().map(ToString::to_string).collect(),
        }),
        is_index: Some(*kind == NamedKind::Index),
    }
}

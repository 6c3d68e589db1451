//! The images to sign: those that were named as they are now, and with `--recursive` all that the
//! indexes among them name.
//!
//! As Cosign does, build records are signed too: an index names them as it names images.

use std::collections::HashSet;

use client::error::FetchErrorKind;
use client::registry::index_content::{DEPTH_MAX, NAMED_MAX};
use client::registry::{Manifest, ManifestContent, Named, NamedKind};
use client::{Deadline, FetchError, Registry};
use evidence::{Digest, ImageRef};
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::arguments::images;
use crate::exit::{Exit, Failure};

/// Manifests that are looked up at once.
const CONCURRENT: usize = 8;

/// Most bytes of manifests held of all that indexes name. As many as one index may name, of 64 KiB each,
/// which is more than they usually have; with the longest that are read it would be a GiB.
const MEMBERS_SIZE_MAX: usize = NAMED_MAX * 64 * 1024;

/// An image to be signed.
pub(super) struct Target {
    pub(super) image: ImageRef,
    pub(super) manifest: Manifest,
}

/// Finds them, each once. Nothing is signed when not all can be seen.
pub(super) async fn find(
    registry: &Registry,
    images: &[ImageRef],
    recursive: bool,
    ends: &dyn Fn() -> Deadline,
) -> Result<Vec<Target>, Failure> {
    let named: Vec<Target> = look_up(registry, images.to_vec(), ends).try_collect().await?;
    let mut targets = Targets::default();
    for target in named {
        let is_index = matches!(target.manifest.content, ManifestContent::Index(_));
        let members = match recursive && is_index {
            true => members(registry, &target, ends).await?,
            false => Vec::new(),
        };
        targets.add(target);
        let images = members.iter().map(|(image, _)| image.clone()).collect();
        let mut found = look_up(registry, images, ends).zip(stream::iter(members));
        while let Some((member, (_, kind))) = found.next().await {
            targets.add_member(member?, kind)?;
        }
    }
    Ok(targets.all)
}

/// The manifests of these images, in their order.
fn look_up<'a>(
    registry: &'a Registry,
    images: Vec<ImageRef>,
    ends: &'a dyn Fn() -> Deadline,
) -> impl stream::Stream<Item = Result<Target, Failure>> + Unpin + 'a {
    let look_up = async |image: ImageRef| {
        let manifest = images::resolve(registry, &image, ends()).await?;
        Ok(Target { image, manifest })
    };
    Box::pin(stream::iter(images).map(look_up).buffered(CONCURRENT))
}

/// All that an index names, on whatever level.
async fn members(
    registry: &Registry,
    index: &Target,
    ends: &dyn Fn() -> Deadline,
) -> Result<Vec<(ImageRef, NamedKind)>, Failure> {
    let Target { image, manifest } = index;
    let content = registry.index_content(image, manifest, ends()).await;
    match content.obstacles.into_iter().next() {
        Some(obstacle) => Err(not_all_seen(image, obstacle)),
        None => {
            let member = |named: &Named| (image.with_digest(named.digest), named.kind);
            Ok(content.named.iter().map(member).collect())
        }
    }
}

fn not_all_seen(image: &ImageRef, error: FetchError) -> Failure {
    let too_many = matches!(error.kind(), FetchErrorKind::TooMany { .. });
    let failure = images::not_looked_at(&format!("not all that {image} names can be seen"), error);
    if too_many { failure.hint(bounds()) } else { failure }
}

/// What an index that names too much can be done with.
fn bounds() -> String {
    format!(
        "--recursive takes up to {NAMED_MAX} manifests on {DEPTH_MAX} levels; without it the index's \
         own signature covers all that it names"
    )
}

/// Those that were found.
#[derive(Default)]
struct Targets {
    all: Vec<Target>,
    /// By repository and digest.
    known: HashSet<(String, Digest)>,
    /// Bytes of the manifests that indexes name.
    size: usize,
}

impl Targets {
    fn add(&mut self, target: Target) {
        if self.known.insert((target.image.name(), target.manifest.digest)) {
            self.all.push(target);
        }
    }

    fn add_member(&mut self, target: Target, kind: NamedKind) -> Result<(), Failure> {
        let is_index = matches!(target.manifest.content, ManifestContent::Index(_));
        if is_index && kind != NamedKind::Index {
            // Nobody has looked at what it names.
            let message = format!("{} is an index, and what names it says otherwise", target.image);
            return Err(Failure::new(Exit::Unknown, message)
                .hint("sign it by its own name, with --recursive, if that is what it should be"));
        }
        self.size += target.manifest.bytes.len();
        if self.size > MEMBERS_SIZE_MAX {
            let message = format!(
                "the manifests that are to be signed have more than the {MEMBERS_SIZE_MAX} bytes held"
            );
            return Err(Failure::new(Exit::Unknown, message).hint(bounds()));
        }
        self.add(target);
        Ok(())
    }
}

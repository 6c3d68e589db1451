//! Mirrors: other hosts that have the same content, asked first and believed by digest only.
//!
//! A mirror gets its own credentials and never those of the registry it stands for. What it does
//! not have, or serves wrongly, or fails to serve, is fetched from the registry itself; so a mirror
//! can slow things down, but neither hide nor alter anything. Lists (tags, referrers) are never
//! asked of a mirror: an empty one would be believed.

use std::str::FromStr;
use std::time::Duration;

use evidence::{ImageRef, RegistryHost};

use super::Registry;
use crate::deadline::Deadline;
use crate::error::FetchError;

/// Mirrors asked for one registry.
const MIRRORS_MAX: usize = 8;

/// Longest time that one mirror may take before the next is asked.
const MIRROR_TIMEOUT: Duration = Duration::from_secs(10);

/// What stands for a registry: `docker.io=mirror.example/hub`, or with `,tags` behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorRule {
    /// The registry that it stands for.
    pub registry: RegistryHost,
    /// The mirror.
    pub mirror: RegistryHost,
    /// What goes before the repository's name on the mirror, without a slash at either end.
    pub prefix: String,
    /// Whether the mirror may also say what a tag means. A waiver: tags have no digest that would
    /// show a lie.
    pub tags: MirrorTags,
}

/// Whether a mirror is believed about tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MirrorTags {
    /// The registry itself is asked what a tag means.
    #[default]
    NotBelieved,
    /// The mirror is asked, and believed.
    Believed,
}

/// Why text names no [`MirrorRule`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseMirrorError {
    /// No `=`.
    #[error("wanted REGISTRY=MIRROR[/PREFIX][,tags], such as `docker.io=mirror.example/hub`")]
    Syntax,
    /// No registry on one of the sides.
    #[error("the registry or its mirror")]
    Host(#[from] evidence::image::ParseHostError),
    /// A prefix that no repository can have.
    #[error("the prefix")]
    Prefix(#[from] evidence::image::ParseImageRefError),
}

impl FromStr for MirrorRule {
    type Err = ParseMirrorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (registry, rest) = text.split_once('=').ok_or(ParseMirrorError::Syntax)?;
        let (place, tags) = match rest.split_once(',') {
            None => (rest, MirrorTags::NotBelieved),
            Some((place, "tags")) => (place, MirrorTags::Believed),
            Some(_) => return Err(ParseMirrorError::Syntax),
        };
        let (mirror, prefix) = place.split_once('/').unwrap_or((place, ""));
        let rule = Self {
            registry: registry.parse()?,
            mirror: mirror.parse()?,
            prefix: prefix.to_owned(),
            tags,
        };
        if !rule.prefix.is_empty() {
            format!("{}/{}/x", rule.mirror, rule.prefix).parse::<ImageRef>()?;
        }
        Ok(rule)
    }
}

impl MirrorRule {
    /// An image as the mirror names it; `None` if it cannot name it.
    fn place(&self, image: &ImageRef) -> Option<ImageRef> {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        let repository = format!("{}{slash}{}", self.prefix, image.repository());
        // Both are parsed anew: together they may be longer than a repository's name can be.
        let mut place = format!("{}/{repository}", self.mirror);
        if let Some(tag) = image.tag() {
            place = format!("{place}:{tag}");
        }
        let place: ImageRef = place.parse().ok()?;
        let place = image.digest().map_or(place.clone(), |digest| place.with_digest(*digest));
        // The canonical form must still be that repository: on Docker Hub names are completed.
        (place.repository() == repository).then_some(place)
    }
}

impl Registry {
    /// Where an image's content may be had before its registry is asked, in order. Content that
    /// is not asked for by digest is asked of those mirrors only that are believed about tags.
    pub(super) fn mirrors(&self, image: &ImageRef, by_digest: bool) -> Vec<ImageRef> {
        let stands = |rule: &&MirrorRule| {
            rule.registry == *image.registry() && (by_digest || rule.tags == MirrorTags::Believed)
        };
        let rules = self.options.mirrors.iter().filter(stands).take(MIRRORS_MAX);
        rules.filter_map(|rule| rule.place(image)).collect()
    }

    /// What somebody says when asked for it: the first mirror that does not fail within its share of
    /// the time, else the registry itself.
    // No `AsyncFn`: of the futures of one that takes a reference it cannot be said that they are `Send`.
    pub(super) async fn of_mirrors_first<T, F>(
        &self,
        image: &ImageRef,
        by_digest: bool,
        deadline: Deadline,
        ask: impl Fn(ImageRef, Deadline) -> F,
    ) -> Result<T, FetchError>
    where
        F: Future<Output = Result<T, FetchError>>,
    {
        for place in self.mirrors(image, by_digest) {
            if let Ok(answer) = ask(place, share(deadline)).await {
                return Ok(answer);
            }
        }
        ask(image.clone(), deadline).await
    }
}

/// The part of the time that a mirror may take, so that there is some left for the registry.
pub(super) fn share(deadline: Deadline) -> Deadline {
    deadline.or_after(MIRROR_TIMEOUT.min(deadline.left() / 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let place = |rule: &str, image: &str| {
            let rule: MirrorRule = rule.parse().expect("a rule");
            let image: ImageRef = image.parse().expect("an image");
            rule.place(&image).map(|place| place.to_string())
        };
        let hub = "docker.io=mirror.example/hub";
        assert_eq!(place(hub, "nginx").as_deref(), Some("mirror.example/hub/library/nginx:latest"));
        assert_eq!(
            place("ghcr.io=localhost:5000", "ghcr.io/a/b:v1").as_deref(),
            Some("localhost:5000/a/b:v1")
        );
        assert_eq!(place("ghcr.io=docker.io", "ghcr.io/app"), None, "there it is library/app");
        for text in [
            "",
            "docker.io",
            "docker.io=",
            "docker.io=m.example,tag",
            "=m.example",
            "docker.io=m.example/A",
        ] {
            assert!(text.parse::<MirrorRule>().is_err(), "{text}");
        }
        assert_eq!(
            "a.io=b.io,tags".parse::<MirrorRule>().map(|rule| rule.tags),
            Ok(MirrorTags::Believed)
        );
    }
}

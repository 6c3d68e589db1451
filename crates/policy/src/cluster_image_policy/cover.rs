//! Which policies an image of an object falls under.
//!
//! policy-controller compares globs with one normalised spelling and then with the raw string, so
//! that what a policy covers depends on how the requester spells an image, and a glob with a tag, or
//! with neither tag nor digest, stops matching once the image is pinned to a digest. Here every
//! spelling of what a runtime would pull is compared, so that two strings which are pulled alike
//! fall under the same policies, and pinning an image never takes it out from under one.

use std::collections::BTreeMap;

use evidence::image::ImageRef;

use super::{LabelRule, MatchResource};
use crate::glob::ClusterImagePolicyGlob;

/// All spellings of one image that globs are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageNames {
    /// Names that say what is pulled: with the digest, or else with the tag.
    certain: Vec<String>,
    /// Names that leave out what is pulled, or hold a tag beside a digest, which a requester can
    /// choose freely.
    claimed: Vec<String>,
}

/// Whether a policy covers an image, and by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coverage {
    /// Not at all.
    No,
    /// By a name that the requester could have written differently for the same bytes. Enough to
    /// be judged under the policy, not enough to be passed by it unjudged.
    Claimed,
    /// By a name that says what is pulled.
    Certain,
}

impl ImageNames {
    /// The spellings of an image.
    #[must_use]
    pub fn of(image: &ImageRef) -> Self {
        let repositories = repositories(image);
        let with = |suffix: String| repositories.iter().map(move |it| format!("{it}{suffix}"));
        let bare = || with(String::new());
        let tagged = || image.tag().map(|tag| format!(":{tag}")).into_iter().flat_map(with);
        match image.digest() {
            None => {
                let mut certain: Vec<_> = tagged().collect();
                let mut claimed = Vec::new();
                // A name without a tag means `latest`, for any other tag it leaves the tag out.
                let latest = image.tag() == Some("latest");
                if latest { &mut certain } else { &mut claimed }.extend(bare());
                Self { certain, claimed }
            }
            Some(digest) => {
                let both = image.tag().map(|tag| format!(":{tag}@{digest}"));
                Self {
                    certain: with(format!("@{digest}")).collect(),
                    claimed: bare()
                        .chain(tagged())
                        .chain(both.into_iter().flat_map(with))
                        .collect(),
                }
            }
        }
    }

    /// How a glob covers the image.
    #[must_use]
    pub fn covered_by(&self, glob: &ClusterImagePolicyGlob) -> Coverage {
        if self.certain.iter().any(|name| glob.covers(name)) {
            Coverage::Certain
        } else if self.claimed.iter().any(|name| glob.covers(name)) {
            Coverage::Claimed
        } else {
            Coverage::No
        }
    }
}

/// Registry and repository in every spelling that is pulled alike.
fn repositories(image: &ImageRef) -> Vec<String> {
    let (registry, repository) = (image.registry(), image.repository());
    if registry.is_docker_hub() {
        // `index.docker.io` is what policy-controller normalises to, and what its globs are told
        // to say; the short forms match its fallback to the raw string.
        let short = repository.strip_prefix("library/").filter(|rest| !rest.contains('/'));
        let hosts = ["index.docker.io", "docker.io", registry.endpoint()];
        let mut names: Vec<_> = hosts.iter().map(|host| format!("{host}/{repository}")).collect();
        names.push(repository.to_owned());
        names.extend(short.map(str::to_owned));
        return names;
    }
    let mut names = vec![format!("{registry}/{repository}")];
    if !registry.as_str().contains(':') {
        names.push(format!("{registry}:443/{repository}"));
    }
    names
}

/// The object that an image stands in, as far as `match` looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// API group; empty for the core group.
    pub group: String,
    /// API version, e.g. `v1`.
    pub version: String,
    /// Resource in plural, e.g. `pods`, also for a request to one of its subresources.
    pub resource: String,
    /// The object's own labels, not those of a template in it.
    pub labels: BTreeMap<String, String>,
}

impl MatchResource {
    /// Whether the object is one of those that the policy is limited to
    /// (`GetMatchingPolicies` of policy-controller).
    pub(super) fn selects(&self, object: &Object) -> bool {
        self.resource == object.resource
            && (self.version == object.version || self.version == "*")
            && self.group == object.group
            && self.selector.iter().all(|rule| rule.holds(&object.labels))
    }
}

impl LabelRule {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::In { key, values } => labels.get(key).is_some_and(|it| values.contains(it)),
            // An absent label is not in any set (`labels.Requirement.Matches`).
            Self::NotIn { key, values } => labels.get(key).is_none_or(|it| !values.contains(it)),
            Self::Exists { key } => labels.contains_key(key),
            Self::DoesNotExist { key } => !labels.contains_key(key),
        }
    }
}

//! What a registry can do that signing needs, found out by doing it: small artefacts are pushed into
//! a repository, read, and removed again.
//!
//! Every finding comes from an answer of this very repository, never from the registry's name. An
//! answer that settles nothing (401, 429, a failure, no answer in time) is a finding of its own,
//! never a "no". OCI distribution specification v1.1.

mod artefacts;
mod conclusion;
mod observed;
mod run;

use std::fmt;

use evidence::{ImageRef, UnixTime};

pub use conclusion::{Conclusion, OperatorTask, Reason, SKEW_MAX_MS, SigningMode};

use super::Registry;
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind};

/// What was found out about one repository.
#[derive(Clone, Debug)]
pub struct RegistryProbe {
    /// Who wrote, as the registry sees it.
    pub login: Finding<Login>,
    /// An image can be pushed under a tag.
    pub push: Finding<Taken>,
    /// What was pushed comes back as it was.
    pub read: Finding<Taken>,
    /// An artifact whose types nobody knows is taken.
    pub media_types: Finding<Taken>,
    /// A Sigstore bundle that names the image as its subject is taken.
    pub referrer: Finding<Referrer>,
    /// How that bundle is found again.
    pub tracking: Finding<Tracking>,
    /// A signature under Cosign's tag (`sha256-….sig`) is taken and comes back.
    pub signature_tag: Finding<Taken>,
    /// A second signature can be put under that tag.
    pub signature_tag_anew: Finding<Taken>,
    /// Any other tag can be pointed at another manifest.
    pub tag_anew: Finding<Taken>,
    /// A bundle can name an image in Docker's format as its subject.
    pub docker_subject: Finding<DockerSubject>,
    /// Whether a write that depends on what is there is refused where that is something else.
    pub conditions: Finding<Conditions>,
    /// A tag can be deleted.
    pub delete_tag: Finding<Taken>,
    /// A manifest can be deleted by its digest.
    pub delete_digest: Finding<Taken>,
    /// Headers that tell of a limit to the rate of requests, as last seen, in order of their names.
    pub rate_limits: Finding<Vec<(String, String)>>,
    /// How far the registry's clock is from ours.
    pub clock: Finding<Skew>,
    /// What was pushed and could not be removed.
    pub remains: Vec<Remains>,
}

/// What came of one question.
#[derive(Clone, Debug)]
pub enum Finding<T> {
    /// An answer settled it.
    Known(T),
    /// It could not be told.
    Unknown(Doubt),
}

/// Why something could not be told.
#[derive(Clone, Debug)]
pub enum Doubt {
    /// The question brought no answer that settles it.
    Unsettled(FetchError),
    /// It was not asked, because of that.
    NotAsked(&'static str),
}

/// Whether a registry did what it was asked.
#[derive(Clone, Debug)]
pub enum Taken {
    /// It did.
    Yes,
    /// It did not, and said so.
    No(FetchError),
}

/// As whom a registry let us write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// It did not ask who we are.
    NotAsked,
    /// It asked, and there is no login for it here.
    Anonymous,
    /// With this login.
    As {
        /// What kind of login.
        kind: &'static str,
        /// Whose, where it has a name.
        user: Option<String>,
    },
}

/// What came of pushing a manifest with a subject.
#[derive(Clone, Debug)]
pub enum Referrer {
    /// It was taken.
    Taken {
        /// Whether the registry said by `OCI-Subject` that it keeps track of it.
        announced: bool,
    },
    /// It was not.
    Refused(FetchError),
}

/// How a referrer is found again.
#[derive(Clone, Debug)]
pub enum Tracking {
    /// The referrers API lists it.
    Api {
        /// Whether it did so at once, or only some requests later.
        at_once: bool,
    },
    /// The referrers API answers and does not list it.
    Unlisted,
    /// There is no referrers API; the tag that stands in for it was written and read.
    FallbackTag,
    /// There is no referrers API, and the tag was not taken.
    FallbackRefused(FetchError),
    /// The registry says by `OCI-Subject` that it keeps track, and has no referrers API: writers
    /// believe it and write no tag.
    AnnouncedOnly,
}

/// What came of an image in Docker's format with a bundle beside it.
#[derive(Clone, Debug)]
pub enum DockerSubject {
    /// Both were taken.
    Taken,
    /// The image was taken, the bundle was not.
    Refused(FetchError),
    /// The image itself was not taken, so that nothing needs to be beside it.
    NoSuchImages(FetchError),
}

/// What conditions on writes come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conditions {
    /// A wrong `If-Match` was refused and the right one taken.
    Honoured,
    /// There are no ETags to make conditions of.
    NotOffered,
    /// A wrong `If-Match` was taken.
    Ignored,
    /// Wrong and right ones were refused alike.
    AlwaysRefused,
}

/// How far a registry's clock is ahead of ours. The truth lies between both, for an answer's `Date`
/// has whole seconds and took its time to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// At least so many milliseconds; negative where the registry's clock is behind.
    pub least_ms: i64,
    /// At most so many.
    pub most_ms: i64,
}

/// What is still there, or not known to be gone.
#[derive(Clone, Debug)]
pub struct Remains {
    /// What it is.
    pub item: Item,
    /// Why it is still there.
    pub reason: RemainsReason,
}

/// Something that was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A tag.
    Tag(String),
    /// A manifest, by its digest.
    Manifest(String),
    /// A blob, by its digest.
    Blob(String),
}

/// Why something that was pushed is still there.
#[derive(Clone, Debug)]
pub enum RemainsReason {
    /// The registry did not remove it, or it cannot be told.
    NotRemoved(FetchError),
    /// Removal was confirmed, and it is there all the same.
    StillServed,
    /// It is what every artifact without a configuration has, and others may use it by now.
    Shared,
}

impl Registry {
    /// Finds out what an image's repository can do, by pushing small artefacts into it. Everything in
    /// them is of this one call, so that nothing that was there before is touched; the image itself
    /// need not exist. A third of the time is kept for removing them.
    ///
    /// `clock` is asked for the time before and after each request.
    pub async fn probe(
        &self,
        image: &ImageRef,
        clock: &(dyn Fn() -> UnixTime + Sync),
        deadline: Deadline,
    ) -> RegistryProbe {
        run::probe(self, image, clock, deadline).await
    }
}

impl Skew {
    /// The smallest distance that both clocks can have, in milliseconds, with its direction.
    #[must_use]
    pub fn certain_ms(self) -> i64 {
        if self.least_ms > 0 { self.least_ms } else { self.most_ms.min(0) }
    }
}

impl Taken {
    /// Whether it was.
    #[must_use]
    pub fn is_yes(&self) -> bool {
        matches!(self, Self::Yes)
    }
}

impl Finding<Taken> {
    /// What a failure says: only the host's own refusal of what was asked is a "no".
    fn of(error: FetchError) -> Self {
        if is_refusal(&error) {
            Self::Known(Taken::No(error))
        } else {
            Self::Unknown(Doubt::Unsettled(error))
        }
    }
}

impl<T> Finding<T> {
    fn unsettled(error: FetchError) -> Self {
        Self::Unknown(Doubt::Unsettled(error))
    }

    fn not_asked(why: &'static str) -> Self {
        Self::Unknown(Doubt::NotAsked(why))
    }

    /// The finding, if there is one.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(found) => Some(found),
            Self::Unknown(_) => None,
        }
    }
}

/// Whether a host has said no to what it was asked. Who is not let in, has asked too often, or got
/// no answer knows nothing; neither does who met a failure or was sent elsewhere.
fn is_refusal(error: &FetchError) -> bool {
    match error.kind() {
        FetchErrorKind::Forbidden { .. }
        | FetchErrorKind::NotFound { .. }
        // The host did something else than what it was asked.
        | FetchErrorKind::DigestMismatch { .. }
        | FetchErrorKind::Malformed { .. } => true,
        // 407 is a proxy's, 408 and 425 ask for another try (RFC 9110 §15.5, RFC 8470 §5.2).
        FetchErrorKind::Rejected { status, .. } => {
            status.is_client_error() && !matches!(status.as_u16(), 407 | 408 | 425)
        }
        FetchErrorKind::ServerError { status, .. } => status.as_u16() == 501,
        _ => false,
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsettled(error) => error.kind().fmt(f),
            Self::NotAsked(why) => write!(f, "not asked: {why}"),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "tag {tag}"),
            Self::Manifest(digest) => write!(f, "manifest {digest}"),
            Self::Blob(digest) => write!(f, "blob {digest}"),
        }
    }
}

impl fmt::Display for RemainsReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRemoved(error) => error.kind().fmt(f),
            Self::StillServed => f.write_str("its removal was confirmed, and it is still served"),
            Self::Shared => f.write_str("every artifact without a configuration shares it"),
        }
    }
}

//! What follows from what was found: how to sign here, and what whoever runs the registry should
//! mend.

use super::{Conditions, DockerSubject, Finding, Item, Referrer, RegistryProbe, Taken, Tracking};

/// Clocks that differ by more are worth telling, in milliseconds: the distribution project forgives
/// as much in the tokens that a registry is shown (`registry/auth/token`, `Leeway`).
pub const SKEW_MAX_MS: i64 = 60_000;

/// In which formats to sign: `sign --formats`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningMode {
    /// Sigstore bundles as referrers.
    Bundle,
    /// Cosign's tag.
    Cosign,
    /// Both.
    Both,
}

/// What to make of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// Signing works, best like this.
    Sign(SigningMode, Reason),
    /// Something that every way of signing needs does not work.
    CannotSign,
    /// Something that decides could not be told.
    CouldNotTell,
}

/// Why to sign in that mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The registry itself keeps track of bundles: no tag is shared, and every signer adds their own.
    ReferrersApi,
    /// Bundles are found by a tag that all signers share, and conditional writes keep their entries.
    GuardedFallbackTag,
    /// The same without conditional writes: what one place loses the other may still have.
    UnguardedFallbackTag,
    /// Only bundles can be put here.
    OnlyBundles,
    /// Only Cosign's tag can be put here.
    OnlyCosign,
}

/// What whoever runs the registry should mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorTask {
    /// Offer the referrers API.
    OfferReferrersApi,
    /// List referrers, and at once.
    ListReferrers,
    /// Answer `OCI-Subject` where, and only where, referrers are kept track of.
    AnnounceSubjects,
    /// Take manifests with a subject.
    TakeReferrers,
    /// Take them beside images in Docker's format.
    TakeDockerSubjects,
    /// Take artifacts of any media type.
    TakeMediaTypes,
    /// Except the tags of signatures from the rule that tags never change.
    ExemptSignatureTags,
    /// Honour conditional writes.
    HonourConditions,
    /// Allow deletes.
    AllowDeletes,
    /// Compare the clock with a time server, and so should we.
    CompareClocks,
    /// Remove the tags and manifests that could not be removed from here.
    RemoveRemains,
}

/// Whether one way to sign works.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Works {
    Yes,
    No,
    Unknown,
}

impl RegistryProbe {
    /// How to sign here. What could not be told never counts as working, nor as not working.
    #[must_use]
    pub fn conclusion(&self) -> Conclusion {
        match both(works(&self.push), works(&self.read)) {
            Works::Yes => {}
            Works::No => return Conclusion::CannotSign,
            Works::Unknown => return Conclusion::CouldNotTell,
        }
        let sign = Conclusion::Sign;
        let by_api = matches!(self.tracking, Finding::Known(Tracking::Api { .. }));
        match (self.bundles_work(), works(&self.signature_tag)) {
            (Works::Yes, _) if by_api => sign(SigningMode::Bundle, Reason::ReferrersApi),
            (Works::Yes, Works::Yes) => match self.conditions {
                Finding::Known(Conditions::Honoured) => {
                    sign(SigningMode::Bundle, Reason::GuardedFallbackTag)
                }
                _ => sign(SigningMode::Both, Reason::UnguardedFallbackTag),
            },
            (Works::Yes, Works::No | Works::Unknown) => {
                sign(SigningMode::Bundle, Reason::OnlyBundles)
            }
            (Works::No, Works::Yes) => sign(SigningMode::Cosign, Reason::OnlyCosign),
            (Works::No, Works::No) => Conclusion::CannotSign,
            (Works::Unknown, _) | (Works::No, Works::Unknown) => Conclusion::CouldNotTell,
        }
    }

    /// Whether a bundle can be put beside an image so that it is found.
    fn bundles_work(&self) -> Works {
        let taken = match &self.referrer {
            Finding::Known(Referrer::Taken { .. }) => Works::Yes,
            Finding::Known(Referrer::Refused(_)) => return Works::No,
            Finding::Unknown(_) => Works::Unknown,
        };
        let found = match &self.tracking {
            Finding::Known(Tracking::Api { .. } | Tracking::FallbackTag) => Works::Yes,
            Finding::Known(_) => Works::No,
            Finding::Unknown(_) => Works::Unknown,
        };
        both(taken, found)
    }

    /// What to tell whoever runs the registry, the most important first. Nothing is said about what
    /// could not be told.
    #[must_use]
    pub fn operator_tasks(&self) -> Vec<OperatorTask> {
        let refused = |finding: &Finding<Taken>| works(finding) == Works::No;
        let referrer = self.referrer.known();
        let tracking = self.tracking.known();
        let announced = matches!(referrer, Some(Referrer::Taken { announced: true }));
        let without_api = matches!(
            tracking,
            Some(Tracking::FallbackTag | Tracking::FallbackRefused(_) | Tracking::AnnouncedOnly)
        );
        let listed_by_api = matches!(tracking, Some(Tracking::Api { .. }));
        let conditions = self.conditions.known();
        // The API shares no tag, so that conditions matter only where there is none.
        let unguarded = !listed_by_api && conditions.is_some_and(|it| *it != Conditions::Honoured);
        let skewed = |skew: &super::Skew| skew.certain_ms().abs() > SKEW_MAX_MS;
        // Blobs that nothing names go by the registry's own housekeeping.
        let stays = |remains: &super::Remains| !matches!(remains.item, Item::Blob(_));
        let tasks = [
            (matches!(referrer, Some(Referrer::Refused(_))), OperatorTask::TakeReferrers),
            (without_api, OperatorTask::OfferReferrersApi),
            (
                matches!(tracking, Some(Tracking::Unlisted | Tracking::Api { at_once: false })),
                OperatorTask::ListReferrers,
            ),
            (
                matches!(tracking, Some(Tracking::AnnouncedOnly)) || (listed_by_api && !announced),
                OperatorTask::AnnounceSubjects,
            ),
            (
                matches!(self.docker_subject.known(), Some(DockerSubject::Refused(_))),
                OperatorTask::TakeDockerSubjects,
            ),
            (refused(&self.media_types), OperatorTask::TakeMediaTypes),
            (
                refused(&self.signature_tag_anew) || (without_api && refused(&self.tag_anew)),
                OperatorTask::ExemptSignatureTags,
            ),
            (unguarded, OperatorTask::HonourConditions),
            (refused(&self.delete_digest), OperatorTask::AllowDeletes),
            (self.clock.known().is_some_and(skewed), OperatorTask::CompareClocks),
            (self.remains.iter().any(stays), OperatorTask::RemoveRemains),
        ];
        tasks.into_iter().filter_map(|(needed, task)| needed.then_some(task)).collect()
    }
}

fn works(finding: &Finding<Taken>) -> Works {
    match finding {
        Finding::Known(Taken::Yes) => Works::Yes,
        Finding::Known(Taken::No(_)) => Works::No,
        Finding::Unknown(_) => Works::Unknown,
    }
}

fn both(one: Works, other: Works) -> Works {
    match (one, other) {
        (Works::Yes, Works::Yes) => Works::Yes,
        (Works::No, _) | (_, Works::No) => Works::No,
        _ => Works::Unknown,
    }
}

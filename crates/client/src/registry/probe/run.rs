//! The probing itself: one question after the other, each in few requests, and the removal of
//! everything that was pushed for it.

use bytes::Bytes;
use evidence::{Digest, ImageRef, UnixTime};
use reqwest::Method;
use reqwest::header::{HeaderValue, IF_MATCH};

use super::artefacts::{Artefacts, Written};
use super::observed::Observed;
use super::{
    Conditions, DockerSubject, Finding, Item, Login, Referrer, RegistryProbe, Remains,
    RemainsReason, Taken, Tracking, is_refusal,
};
use crate::credentials::Credential;
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind};
use crate::http::{Answer, Request};
use crate::registry::attach::{EMPTY_CONTENT, OCI_SUBJECT};
use crate::registry::cosign_tags::CosignTag;
use crate::registry::manifest::{get, parse_tag};
use crate::registry::referrers::{ReferrersSource, fallback_tag};
use crate::registry::token::{Access, Scope};
use crate::registry::{Pushed, Registry};

/// Longest manifest read back, in bytes; those that are pushed have less than 2 KiB.
const READ_SIZE_MAX: u64 = 64 * 1024;

/// A validator that nothing has: it is the digest of nothing that can be found.
const WRONG_ETAG: HeaderValue = HeaderValue::from_static(
    "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"",
);

/// One probe under way.
struct Session<'a> {
    registry: &'a Registry,
    image: &'a ImageRef,
    clock: &'a (dyn Fn() -> UnixTime + Sync),
    deadline: Deadline,
    observed: Observed,
    /// What is there now, or may be, because of us; in the order in which it was pushed.
    pushed: Vec<Item>,
    remains: Vec<Remains>,
}

pub(super) async fn probe(
    registry: &Registry,
    image: &ImageRef,
    clock: &(dyn Fn() -> UnixTime + Sync),
    deadline: Deadline,
) -> RegistryProbe {
    let artefacts = Artefacts::new();
    let mut found = RegistryProbe::unasked();
    let mut session = Session {
        registry,
        image,
        clock,
        deadline: Deadline::after(deadline.left() / 3 * 2),
        observed: Observed::default(),
        pushed: Vec::new(),
        remains: Vec::new(),
    };
    session.question(&artefacts, &mut found).await;
    session.deadline = deadline;
    session.remove_all().await;
    if let Some(skew) = session.observed.skew {
        found.clock = Finding::Known(skew);
    }
    if let Some(seen) = session.observed.rate_limits {
        found.rate_limits = Finding::Known(seen.into_iter().collect());
    }
    found.remains = session.remains;
    found
}

impl RegistryProbe {
    fn unasked() -> Self {
        fn unasked<T>() -> Finding<T> {
            Finding::not_asked("the image could not be pushed")
        }
        Self {
            login: unasked(),
            push: unasked(),
            read: unasked(),
            media_types: unasked(),
            referrer: unasked(),
            tracking: unasked(),
            signature_tag: unasked(),
            signature_tag_anew: unasked(),
            tag_anew: unasked(),
            docker_subject: unasked(),
            conditions: unasked(),
            delete_tag: unasked(),
            delete_digest: unasked(),
            rate_limits: Finding::not_asked("no answer was seen"),
            clock: Finding::not_asked("no answer told the registry's time"),
            remains: Vec::new(),
        }
    }
}

impl Session<'_> {
    async fn question(&mut self, artefacts: &Artefacts, found: &mut RegistryProbe) {
        found.push = self.push_image(artefacts).await;
        found.login = self.login(&found.push).await;
        if !yes(&found.push) {
            return;
        }
        found.read = self.reads(&artefacts.tag, &artefacts.image).await;
        found.media_types = self.takes(None, &artefacts.artifact).await;
        found.referrer = self.push_referrer(&artefacts.referrer, &artefacts.image.digest).await;
        found.tracking = match found.referrer {
            Finding::Known(Referrer::Taken { .. }) => self.track(artefacts).await,
            _ => Finding::not_asked("no bundle could be put beside the image"),
        };

        let signatures = CosignTag::Signature.of(&artefacts.image.digest);
        let signatures = signatures.expect("a tag of SHA-256 is short enough");
        found.signature_tag = self.writes(&signatures, &artefacts.signature).await;
        found.signature_tag_anew = match yes(&found.signature_tag) {
            true => self.writes(&signatures, &artefacts.signature_anew).await,
            false => Finding::not_asked("no signature could be put under the tag"),
        };
        found.docker_subject = self.docker_subject(artefacts).await;
        found.tag_anew = self.writes(&artefacts.tag, &artefacts.image_anew).await;
        found.conditions = match yes(&found.tag_anew) {
            true => self.conditions(artefacts).await,
            false => Finding::not_asked("it is not known that tags can be set anew"),
        };

        // Some requests later: what was not listed at once may be by now.
        if matches!(found.tracking, Finding::Known(Tracking::Unlisted))
            && let Finding::Known(Tracking::Api { .. }) = self.look(artefacts).await
        {
            found.tracking = Finding::Known(Tracking::Api { at_once: false });
        }
        found.delete_tag = self.deletes(&artefacts.tag).await;
        // One without a tag: some registries keep what a tag points to.
        let untagged = match yes(&found.media_types) {
            true => &artefacts.artifact,
            false => &artefacts.image,
        };
        found.delete_digest = self.deletes(&untagged.digest.to_string()).await;
    }

    async fn push_image(&mut self, artefacts: &Artefacts) -> Finding<Taken> {
        for blob in &artefacts.blobs {
            let digest = Digest::sha256(blob);
            let sent = self.push_blob(&digest, blob.clone()).await;
            self.note(sent.as_ref().err(), Item::Blob(digest.to_string()));
            if let Err(error) = sent {
                return Finding::of(error);
            }
        }
        // Whoever has put an artifact here before has put this here too.
        let shared = Digest::sha256(EMPTY_CONTENT);
        match self.push_blob(&shared, Bytes::from_static(EMPTY_CONTENT)).await {
            Ok(Pushed::Uploaded) => {
                let item = Item::Blob(shared.to_string());
                self.remains.push(Remains { item, reason: RemainsReason::Shared });
            }
            Ok(Pushed::There | Pushed::Mounted) => {}
            Err(error) => return Finding::of(error),
        }
        self.takes(Some(&artefacts.tag), &artefacts.image).await
    }

    async fn push_blob(&mut self, digest: &Digest, bytes: Bytes) -> Result<Pushed, FetchError> {
        self.registry.push_blob_from(self.image, None, digest, bytes, self.deadline).await
    }

    /// Who we are to a registry that has answered a write.
    async fn login(&self, push: &Finding<Taken>) -> Finding<Login> {
        if let Finding::Unknown(doubt) = push {
            return Finding::Unknown(doubt.clone());
        }
        let scope = Scope { access: Access::Push, from: None };
        if self.registry.remembered(self.image, &scope).is_none() {
            return Finding::Known(Login::NotAsked);
        }
        let registry = self.registry;
        let found = registry.keychain.credential(&registry.http, self.image, self.deadline).await;
        match found {
            Ok(Ok(None)) => Finding::Known(Login::Anonymous),
            Ok(Ok(Some(credential))) => {
                let user = match &credential {
                    Credential::Basic(basic) => Some(basic.user.clone()),
                    Credential::Identity { .. } | Credential::Token { .. } => None,
                };
                Finding::Known(Login::As { kind: credential.kind(), user })
            }
            Ok(Err(_)) => Finding::not_asked("the login for the registry cannot be used any more"),
            Err(error) => Finding::unsettled(error),
        }
    }

    /// Whether a manifest is taken, under a tag or else under its digest.
    async fn takes(&mut self, tag: Option<&str>, manifest: &Written) -> Finding<Taken> {
        match self.put(tag, manifest, None).await {
            Ok(_) => Finding::Known(Taken::Yes),
            Err(error) => Finding::of(error),
        }
    }

    /// Whether a manifest comes back as it was pushed.
    async fn reads(&mut self, reference: &str, wanted: &Written) -> Finding<Taken> {
        match self.get(reference).await {
            Ok(answer) if answer.body == wanted.bytes => Finding::Known(Taken::Yes),
            Ok(answer) => {
                let error = answer.malformed("the manifest just pushed", "another one");
                Finding::Known(Taken::No(error))
            }
            Err(error) => Finding::of(error),
        }
    }

    /// Whether a manifest is taken under a tag, and is then what the tag means.
    async fn writes(&mut self, tag: &str, manifest: &Written) -> Finding<Taken> {
        match self.takes(Some(tag), manifest).await {
            Finding::Known(Taken::Yes) => self.reads(tag, manifest).await,
            otherwise => otherwise,
        }
    }

    async fn push_referrer(&mut self, referrer: &Written, of: &Digest) -> Finding<Referrer> {
        match self.put(None, referrer, None).await {
            Ok(answer) => {
                let named = answer.headers.get(OCI_SUBJECT);
                let announced =
                    named.is_some_and(|value| value.as_bytes() == of.to_string().as_bytes());
                Finding::Known(Referrer::Taken { announced })
            }
            Err(error) if is_refusal(&error) => Finding::Known(Referrer::Refused(error)),
            Err(error) => Finding::unsettled(error),
        }
    }

    /// How the bundle beside the image is found.
    async fn track(&mut self, artefacts: &Artefacts) -> Finding<Tracking> {
        let seen = self.look(artefacts).await;
        // No API, and so far no tag, for the image is new.
        if !matches!(seen, Finding::Known(Tracking::FallbackTag)) {
            return seen;
        }
        let (subject, entry) = (&artefacts.image.digest, artefacts.entry.clone());
        let tag = fallback_tag(subject);
        let bytes = artefacts.referrer.bytes.clone();
        let written =
            self.registry.push_referrer(self.image, subject, entry, bytes, self.deadline).await;
        let index = self.registry.digest_of_tag(self.image, &tag, self.deadline).await;
        // It is read back: only who failed in writing it may not have written.
        let problem = written.as_ref().err().filter(|it| it.attempt().method == Method::PUT);
        self.note(problem, Item::Tag(tag));
        if let Ok(Some(index)) = index {
            self.note(None, Item::Manifest(index.to_string()));
        }
        match written {
            Ok(attached) if attached.source == ReferrersSource::FallbackTag => {
                Finding::Known(Tracking::FallbackTag)
            }
            // The registry said that it keeps track, so that no tag was written.
            Ok(_) => Finding::Known(Tracking::AnnouncedOnly),
            Err(error) if is_refusal(&error) => Finding::Known(Tracking::FallbackRefused(error)),
            Err(error) => Finding::unsettled(error),
        }
    }

    /// Looks for the bundle as a verifier does. [`Tracking::FallbackTag`] here says only that there
    /// is no API.
    async fn look(&mut self, artefacts: &Artefacts) -> Finding<Tracking> {
        let subject = &artefacts.image.digest;
        let listed = self.registry.referrers(self.image, subject, self.deadline).await;
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => return Finding::unsettled(error),
        };
        let wanted = artefacts.referrer.digest;
        match listed.source {
            ReferrersSource::FallbackTag => Finding::Known(Tracking::FallbackTag),
            ReferrersSource::Api if listed.descriptors.iter().any(|one| one.digest == wanted) => {
                Finding::Known(Tracking::Api { at_once: true })
            }
            ReferrersSource::Api => match listed.shortfall {
                Some(error) => Finding::unsettled(error),
                None => Finding::Known(Tracking::Unlisted),
            },
        }
    }

    async fn docker_subject(&mut self, artefacts: &Artefacts) -> Finding<DockerSubject> {
        match self.takes(None, &artefacts.docker_image).await {
            Finding::Known(Taken::Yes) => {}
            Finding::Known(Taken::No(error)) => {
                return Finding::Known(DockerSubject::NoSuchImages(error));
            }
            Finding::Unknown(doubt) => return Finding::Unknown(doubt),
        }
        match self.takes(None, &artefacts.docker_referrer).await {
            Finding::Known(Taken::Yes) => Finding::Known(DockerSubject::Taken),
            Finding::Known(Taken::No(error)) => Finding::Known(DockerSubject::Refused(error)),
            Finding::Unknown(doubt) => Finding::Unknown(doubt),
        }
    }

    /// Whether a write depends on what it says it depends on (RFC 9110 §13.1.1): a wrong condition
    /// must be refused and change nothing, a right one must be taken.
    async fn conditions(&mut self, artefacts: &Artefacts) -> Finding<Conditions> {
        let tag = artefacts.tag.as_str();
        let before = match self.get(tag).await {
            Ok(answer) => answer,
            Err(error) => return Finding::unsettled(error),
        };
        let Some(etag) = before.etag() else { return Finding::Known(Conditions::NotOffered) };
        let other = match before.body == artefacts.image.bytes {
            true => &artefacts.image_anew,
            false => &artefacts.image,
        };
        match self.put(Some(tag), other, Some(WRONG_ETAG)).await {
            Ok(_) => return Finding::Known(Conditions::Ignored),
            Err(error) if !is_failed_condition(&error) => return Finding::unsettled(error),
            Err(_) => {}
        }
        match self.get(tag).await {
            Ok(answer) if answer.body == before.body => {}
            Ok(_) => return Finding::Known(Conditions::Ignored),
            Err(error) => return Finding::unsettled(error),
        }
        match self.put(Some(tag), other, Some(etag)).await {
            Ok(_) => Finding::Known(Conditions::Honoured),
            Err(error) if is_failed_condition(&error) => Finding::Known(Conditions::AlwaysRefused),
            Err(error) => Finding::unsettled(error),
        }
    }

    /// Whether what is under a tag or digest can be deleted, and is gone then.
    async fn deletes(&mut self, reference: &str) -> Finding<Taken> {
        let request = match self.registry.url(self.image, &format!("manifests/{reference}")) {
            Ok(url) => Request::new(Method::DELETE, url).repeatable(),
            Err(error) => return Finding::unsettled(error),
        };
        let deleted = self.ask(request).await.and_then(|it| it.wanted(&[200, 202, 204]));
        if let Err(error) = deleted {
            return Finding::of(error);
        }
        match self.get(reference).await {
            Ok(answer) => {
                let error = answer.malformed("nothing where something was deleted", "what it was");
                Finding::Known(Taken::No(error))
            }
            Err(error) if is_absence(&error) => Finding::Known(Taken::Yes),
            Err(error) => Finding::unsettled(error),
        }
    }

    /// Removes what was pushed, the last first and tags before what they point to: registries keep
    /// what something else names. Looks whether it is gone.
    async fn remove_all(&mut self) {
        let mut items = std::mem::take(&mut self.pushed);
        items.reverse();
        items.sort_by_key(|item| match item {
            Item::Tag(_) => 0,
            Item::Manifest(_) => 1,
            Item::Blob(_) => 2,
        });
        for item in items {
            let refused = self.remove(&item).await.err();
            let reason = match (self.is_there(&item).await, refused) {
                (Ok(false), _) => continue,
                (Ok(true), None) => RemainsReason::StillServed,
                (_, Some(error)) | (Err(error), None) => RemainsReason::NotRemoved(error),
            };
            self.remains.push(Remains { item, reason });
        }
    }

    async fn remove(&mut self, item: &Item) -> Result<(), FetchError> {
        let (registry, image, deadline) = (self.registry, self.image, self.deadline);
        match item {
            Item::Tag(tag) => registry.delete_tag(image, tag, deadline).await.map(drop),
            Item::Manifest(digest) => self.delete(&format!("manifests/{digest}")).await,
            // Nobody else uses these: they are of this one call.
            Item::Blob(digest) => self.delete(&format!("blobs/{digest}")).await,
        }
    }

    async fn delete(&mut self, path: &str) -> Result<(), FetchError> {
        let url = self.registry.url(self.image, path)?;
        let request = Request::new(Method::DELETE, url).repeatable();
        self.ask(request).await?.wanted(&[200, 202, 204, 404]).map(drop)
    }

    async fn is_there(&mut self, item: &Item) -> Result<bool, FetchError> {
        let found = match item {
            Item::Tag(reference) | Item::Manifest(reference) => self.get(reference).await,
            Item::Blob(digest) => {
                let url = self.registry.url(self.image, &format!("blobs/{digest}"))?;
                self.ask(Request::head(url)).await.and_then(|answer| answer.wanted(&[200]))
            }
        };
        match found {
            Ok(_) => Ok(true),
            Err(error) if is_absence(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn get(&mut self, reference: &str) -> Result<Answer, FetchError> {
        let url = self.registry.url(self.image, &format!("manifests/{reference}"))?;
        self.ask(get(url, READ_SIZE_MAX)).await?.wanted(&[200])
    }

    /// Pushes a manifest under a tag, or else under its digest.
    async fn put(
        &mut self,
        tag: Option<&str>,
        manifest: &Written,
        if_match: Option<HeaderValue>,
    ) -> Result<Answer, FetchError> {
        let Written { media_type, bytes, digest } = manifest;
        let reference = if tag.is_some() { String::new() } else { digest.to_string() };
        let mut put = self.registry.put(self.image, &reference, media_type, bytes.clone())?;
        if let Some(tag) = tag {
            put = parse_tag(self.image, tag, put)?;
        }
        if let Some(etag) = if_match {
            put = put.header(IF_MATCH, etag);
        }
        let answer = self.ask(put).await.and_then(|answer| answer.wanted(&[200, 201, 202]));
        let problem = answer.as_ref().err();
        self.note(problem, Item::Manifest(digest.to_string()));
        if let Some(tag) = tag {
            self.note(problem, Item::Tag(tag.to_owned()));
        }
        let answer = answer?;
        answer.took(digest)?;
        Ok(answer)
    }

    /// Sends a request, and notes what its answer tells besides.
    async fn ask(&mut self, request: Request) -> Result<Answer, FetchError> {
        let origin = request.url.origin();
        let before = (self.clock)();
        let answer = self.registry.send(self.image, request, self.deadline).await?;
        let after = (self.clock)();
        // Where content is kept elsewhere, that host's clock and limits are not the registry's.
        if answer.url.origin() == origin {
            self.observed.note(&answer.headers, before, after);
        }
        Ok(answer)
    }

    /// Notes that something is there, or may be: who got no answer may have been heard all the same.
    fn note(&mut self, problem: Option<&FetchError>, item: Item) {
        if !problem.is_some_and(is_not_stored) && !self.pushed.contains(&item) {
            self.pushed.push(item);
        }
    }
}

fn yes(finding: &Finding<Taken>) -> bool {
    finding.known().is_some_and(Taken::is_yes)
}

/// Whether a failed write has certainly left nothing: it was refused, or what failed came before the
/// request that stores something.
fn is_not_stored(error: &FetchError) -> bool {
    error.attempt().method != Method::PUT
        || matches!(
            error.kind(),
            FetchErrorKind::Forbidden { .. }
                | FetchErrorKind::NotFound { .. }
                | FetchErrorKind::Rejected { .. }
                | FetchErrorKind::Unauthorized(_)
                | FetchErrorKind::RateLimited { .. }
                | FetchErrorKind::Tls(_)
        )
}

fn is_absence(error: &FetchError) -> bool {
    matches!(error.kind(), FetchErrorKind::NotFound { .. })
}

/// 412, and 409 as some say it (as `shared_tag` reads them).
fn is_failed_condition(error: &FetchError) -> bool {
    matches!(error.kind(), FetchErrorKind::Rejected { status, .. }
        if matches!(status.as_u16(), 409 | 412))
}

//! Manifests as a registry is asked for them and given them, by digest and by tag.

use bytes::Bytes;
use crypto::HashAlgorithm;
use evidence::{Digest, ImageRef};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, ETAG, HeaderName, HeaderValue};

use super::{
    DOCKER_LIST, DOCKER_MANIFEST, MANIFEST_SIZE_MAX, Manifest, ManifestContent, OCI_INDEX,
    OCI_MANIFEST, essence, is_index_type, parse,
};
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind};
use crate::http::{Answer, Request};
use crate::registry::Registry;

const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What an image reference means now, as its registry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookedUp {
    /// The digest that it stands for.
    pub digest: Digest,
    /// Whether that is an index, where it was said.
    pub is_index: Option<bool>,
}

/// What a registry says of a digest without sending what has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It has nothing with that digest.
    Absent,
    /// It has a manifest.
    There {
        /// Whether that is an index, where it was said.
        is_index: Option<bool>,
    },
}

impl Registry {
    /// The manifest that an image reference means now. What runs must be named by the digest found
    /// here: the next look may find another.
    ///
    /// # Errors
    /// When it cannot be looked at, or is not what its digest or media type says.
    pub async fn resolve(
        &self,
        image: &ImageRef,
        deadline: Deadline,
    ) -> Result<Manifest, FetchError> {
        match meaning(image) {
            Meaning::Digest(digest) => self.fetch_manifest(image, digest, deadline).await,
            Meaning::Tag(tag) => {
                let ask = |place, time| async move { self.resolve_tag(&place, tag, time).await };
                self.of_mirrors_first(image, false, deadline, ask).await
            }
        }
    }

    /// The digest that an image reference means now. Less is asked than by [`Self::resolve`], because
    /// the manifest is not fetched: it may not even be there.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub async fn look_up(
        &self,
        image: &ImageRef,
        deadline: Deadline,
    ) -> Result<LookedUp, FetchError> {
        match meaning(image) {
            Meaning::Digest(digest) => Ok(LookedUp { digest: *digest, is_index: None }),
            Meaning::Tag(tag) => {
                let ask = |place, time| async move { self.look_up_tag(&place, tag, time).await };
                self.of_mirrors_first(image, false, deadline, ask).await
            }
        }
    }

    /// Whether a manifest with that digest is there.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub async fn presence(
        &self,
        image: &ImageRef,
        digest: &Digest,
        deadline: Deadline,
    ) -> Result<Presence, FetchError> {
        match self.head(image, &digest.to_string(), deadline).await {
            Ok(head) if head.status.as_u16() == 200 => {
                let is_index = announced_type(&head).map(is_index_type);
                return Ok(Presence::There { is_index });
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), FetchErrorKind::NotFound { .. }) => {
                return Ok(Presence::Absent);
            }
            Err(error) => return Err(error),
        }
        // It does not say without sending it.
        match self.read_manifest(image, digest, MANIFEST_SIZE_MAX, deadline).await {
            Ok(manifest) => {
                let is_index = Some(matches!(manifest.content, ManifestContent::Index(_)));
                Ok(Presence::There { is_index })
            }
            Err(error) if matches!(error.kind(), FetchErrorKind::NotFound { .. }) => {
                Ok(Presence::Absent)
            }
            Err(error) => Err(error),
        }
    }

    async fn look_up_tag(
        &self,
        image: &ImageRef,
        tag: &str,
        deadline: Deadline,
    ) -> Result<LookedUp, FetchError> {
        let head = self.head(image, tag, deadline).await?;
        let digest = if head.status.as_u16() == 200 { announced(&head)? } else { None };
        if let (Some(digest), Some(media_type)) = (digest, announced_type(&head)) {
            return Ok(LookedUp { digest, is_index: Some(is_index_type(media_type)) });
        }
        let manifest = self.get_tag(image, tag, deadline).await?;
        let is_index = Some(matches!(manifest.content, ManifestContent::Index(_)));
        Ok(LookedUp { digest: manifest.digest, is_index })
    }

    async fn resolve_tag(
        &self,
        image: &ImageRef,
        tag: &str,
        deadline: Deadline,
    ) -> Result<Manifest, FetchError> {
        // Docker Hub counts GET and not HEAD against its limit, and content by digest is cached.
        let head = self.head(image, tag, deadline).await?;
        match announced(&head)? {
            Some(digest) if head.status.as_u16() == 200 => {
                self.fetch_manifest(image, &digest, deadline).await
            }
            _ => self.get_tag(image, tag, deadline).await,
        }
    }

    /// What a registry says of a manifest, by tag or digest, without sending it. Not every registry has
    /// an answer; failures that would be the same if all were asked for are final.
    async fn head(
        &self,
        image: &ImageRef,
        reference: &str,
        deadline: Deadline,
    ) -> Result<Answer, FetchError> {
        let url = self.url(image, &format!("manifests/{reference}"))?;
        let head = Request::head(url).header(ACCEPT, HeaderValue::from_static(ACCEPTED));
        let head = self.send(image, head, deadline).await?;
        if matches!(head.status.as_u16(), 200 | 405 | 501) { Ok(head) } else { Err(head.refusal()) }
    }

    async fn get_tag(
        &self,
        image: &ImageRef,
        tag: &str,
        deadline: Deadline,
    ) -> Result<Manifest, FetchError> {
        let request = get(self.url(image, &format!("manifests/{tag}"))?, MANIFEST_SIZE_MAX);
        let answer = self.send(image, request, deadline).await?.wanted(&[200])?;
        Manifest::of(answer, None)
    }

    /// The manifest with that digest.
    ///
    /// # Errors
    /// When it cannot be looked at, or the bytes that come have another digest.
    pub async fn fetch_manifest(
        &self,
        image: &ImageRef,
        digest: &Digest,
        deadline: Deadline,
    ) -> Result<Manifest, FetchError> {
        self.fetch_manifest_up_to(image, digest, MANIFEST_SIZE_MAX, deadline).await
    }

    pub(in crate::registry) async fn fetch_manifest_up_to(
        &self,
        image: &ImageRef,
        digest: &Digest,
        size_max: u64,
        deadline: Deadline,
    ) -> Result<Manifest, FetchError> {
        let ask =
            |place, time| async move { self.read_manifest(&place, digest, size_max, time).await };
        self.of_mirrors_first(image, true, deadline, ask).await
    }

    async fn read_manifest(
        &self,
        image: &ImageRef,
        digest: &Digest,
        size_max: u64,
        deadline: Deadline,
    ) -> Result<Manifest, FetchError> {
        let url = self.url(image, &format!("manifests/{digest}"))?;
        let request = get(url, size_max).hashed(digest.algorithm());
        let answer = self.send(image, request, deadline).await?.wanted(&[200])?;
        Manifest::of(answer, Some(digest))
    }

    /// Writes a manifest under its digest.
    ///
    /// # Errors
    /// When the registry does not take it, or says that it took something else.
    pub async fn push_manifest(
        &self,
        image: &ImageRef,
        media_type: &str,
        bytes: Vec<u8>,
        deadline: Deadline,
    ) -> Result<Digest, FetchError> {
        let digest = Digest::sha256(&bytes);
        self.put_by_digest(image, &digest, media_type, bytes, deadline).await?;
        Ok(digest)
    }

    /// Writes a manifest under that digest, and gives the registry's answer.
    pub(in crate::registry) async fn put_by_digest(
        &self,
        image: &ImageRef,
        digest: &Digest,
        media_type: &str,
        bytes: impl Into<Bytes>,
        deadline: Deadline,
    ) -> Result<Answer, FetchError> {
        let put = self.put(image, &digest.to_string(), media_type, bytes)?.repeatable();
        let answer = self.send(image, put, deadline).await?.wanted(&[200, 201, 202])?;
        answer.took(digest)?;
        Ok(answer)
    }

    /// Writes a manifest under a tag, whatever the tag meant before.
    ///
    /// # Errors
    /// As [`Self::push_manifest`], and when `tag` is no tag.
    pub async fn push_tag(
        &self,
        image: &ImageRef,
        tag: &str,
        media_type: &str,
        bytes: impl Into<Bytes>,
        deadline: Deadline,
    ) -> Result<Digest, FetchError> {
        let bytes = bytes.into();
        let digest = Digest::sha256(&bytes);
        let request = parse_tag(image, tag, self.put(image, "", media_type, bytes)?)?;
        self.send(image, request, deadline).await?.wanted(&[200, 201, 202])?.took(&digest)?;
        Ok(digest)
    }

    /// The digest that a tag means now in the repository itself, whatever a mirror says; `None` if
    /// there is no such tag.
    ///
    /// # Errors
    /// When it cannot be known whether there is one.
    pub async fn digest_of_tag(
        &self,
        image: &ImageRef,
        tag: &str,
        deadline: Deadline,
    ) -> Result<Option<Digest>, FetchError> {
        match self.resolve_tag(image, tag, deadline).await {
            Ok(manifest) => Ok(Some(manifest.digest)),
            Err(error) if matches!(error.kind(), FetchErrorKind::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(in crate::registry) fn put(
        &self,
        image: &ImageRef,
        reference: &str,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Result<Request, FetchError> {
        let url = self.url(image, &format!("manifests/{reference}"))?;
        let request = Request::new(Method::PUT, url);
        let Ok(content_type) = HeaderValue::from_str(media_type) else {
            let found = crate::error::printable(media_type, 160);
            return Err(request.error(FetchErrorKind::Malformed { wanted: "a media type", found }));
        };
        Ok(request.header(CONTENT_TYPE, content_type).body(bytes))
    }
}

impl Manifest {
    /// Reads a manifest out of an answer, and computes its digest.
    pub(in crate::registry) fn of(
        answer: Answer,
        wanted: Option<&Digest>,
    ) -> Result<Self, FetchError> {
        let digest_by = |algorithm| Digest::from(crypto::Hash::of(algorithm, &answer.body));
        let announced = announced(&answer)?;
        let algorithm = wanted.or(announced.as_ref()).map(Digest::algorithm);
        let digest = match answer.hash {
            Some(hash) => Digest::from(hash),
            None => digest_by(algorithm.unwrap_or(HashAlgorithm::Sha256)),
        };
        // The header may use another algorithm than the request, so it is checked for itself.
        let announced = announced.map(|wanted| (wanted, digest_by(wanted.algorithm())));
        for (wanted, found) in wanted.map(|wanted| (*wanted, digest)).into_iter().chain(announced) {
            if wanted != found {
                return Err(answer.error(FetchErrorKind::DigestMismatch { wanted, found }));
            }
        }
        let (media_type, content) = parse(&answer.body, answer.header(CONTENT_TYPE))
            .map_err(|(wanted, found)| answer.malformed(wanted, found))?;
        Ok(Self { digest, media_type, bytes: answer.body, content })
    }
}

impl Answer {
    /// Checks that the registry took what was sent.
    pub(in crate::registry) fn took(&self, sent: &Digest) -> Result<(), FetchError> {
        match announced(self)? {
            Some(found) if found.algorithm() == sent.algorithm() && found != *sent => {
                Err(self.error(FetchErrorKind::DigestMismatch { wanted: *sent, found }))
            }
            _ => Ok(()),
        }
    }

    /// The validator for conditional writes.
    pub(in crate::registry) fn etag(&self) -> Option<HeaderValue> {
        self.headers.get(ETAG).cloned()
    }
}

/// The request with a tag at the end of its path, if it is one: a tag has no characters that a URL
/// would read otherwise.
pub(in crate::registry) fn parse_tag(
    image: &ImageRef,
    tag: &str,
    mut request: Request,
) -> Result<Request, FetchError> {
    if image.with_tag(tag).is_err() {
        let found = crate::error::printable(tag, 160);
        return Err(request.error(FetchErrorKind::Malformed { wanted: "a tag", found }));
    }
    let path = format!("{}{tag}", request.url.path());
    request.url.set_path(&path);
    Ok(request)
}

/// What an image is named by.
enum Meaning<'a> {
    Digest(&'a Digest),
    Tag(&'a str),
}

/// What an image is named by: its digest, if the reference has one.
fn meaning(image: &ImageRef) -> Meaning<'_> {
    match (image.digest(), image.tag()) {
        (Some(digest), _) => Meaning::Digest(digest),
        (None, Some(tag)) => Meaning::Tag(tag),
        (None, None) => unreachable!("a reference has a tag or a digest"),
    }
}

/// A request for a manifest.
pub(in crate::registry) fn get(url: reqwest::Url, size_max: u64) -> Request {
    Request::get(url, "a manifest", size_max).header(ACCEPT, HeaderValue::from_static(ACCEPTED))
}

/// The digest that an answer says its content has.
fn announced(answer: &Answer) -> Result<Option<Digest>, FetchError> {
    let Some(text) = answer.headers.get(DOCKER_CONTENT_DIGEST) else { return Ok(None) };
    let digest = text.to_str().ok().and_then(|text| text.parse().ok());
    digest.map(Some).ok_or_else(|| {
        let found = String::from_utf8_lossy(text.as_bytes());
        answer.malformed("a digest in Docker-Content-Digest", found)
    })
}

/// The media type of the manifest that an answer without content is about, if it is one that is read.
fn announced_type(answer: &Answer) -> Option<&str> {
    let media_type = answer.header(CONTENT_TYPE).map(essence);
    let known = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST];
    media_type.filter(|found| answer.status.as_u16() == 200 && known.contains(found))
}

//! What refers to a manifest: the referrers API, and the tag that stands in for it.
//!
//! OCI distribution specification v1.1, "Listing Referrers" and "Referrers Tag Schema". There are
//! three outcomes, and no two may be confused: referrers, none, and "could not look". Only answers
//! by which a registry says that it does not know the API lead to the tag; being throttled, locked
//! out or broken does not.

use std::collections::HashSet;

use evidence::proto_json::Bounded;
use evidence::{Digest, ImageRef};
use reqwest::Url;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, LINK};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Registry;
use super::manifest::{Descriptor, MANIFEST_SIZE_MAX, OCI_INDEX, essence, get};
use crate::deadline::Deadline;
use crate::error::{Away, FetchError, FetchErrorKind, without_query};
use crate::http::{Answer, Redirects, Request};

/// Most referrers of one manifest that are listed, over all pages.
pub const REFERRERS_MAX: usize = 1000;

/// Most pages of one list that are read.
pub const REFERRER_PAGES_MAX: usize = 32;

/// Answers by which a registry says that it has no referrers API: 404 by the specification; 400
/// and 406 as go-containerregistry found them; 405 and 501 say so by themselves; and GHCR's 303,
/// which leads to a page for people.
const NO_API: [u16; 6] = [303, 400, 404, 405, 406, 501];

/// The referrers of one manifest. An empty list without shortfall means that there are none.
#[derive(Clone, Debug)]
pub struct Referrers {
    /// Where the list is from.
    pub source: ReferrersSource,
    /// Pointers to the referrers, as the registry or other writers describe them: the only field
    /// that can be relied on is the digest.
    pub descriptors: Vec<Descriptor>,
    /// Why the list is not complete, if it is not.
    pub shortfall: Option<FetchError>,
}

/// Where a list of referrers is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReferrersSource {
    /// The registry's referrers API.
    Api,
    /// The tag that clients keep where there is no API.
    FallbackTag,
}

/// The index under a fallback tag, as whoever wrote it left it.
pub(super) struct FallbackIndex {
    /// Empty if there is no such tag yet.
    pub(super) manifests: Vec<Value>,
    /// All else in the document.
    pub(super) rest: serde_json::Map<String, Value>,
    /// Whether the registry takes the tag for the digest it looks like and serves the image itself.
    pub(super) is_the_image: bool,
    /// The answer, for its validator and for errors; its status is 404 if there is no such tag.
    pub(super) answer: Answer,
}

/// A list of referrers, whose entries stay text until each is read: an entry can be anything, and
/// built as that it can take a hundred times its length.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    manifests: Entries<'a>,
}

/// The same under the tag, which is served as a manifest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FallbackPage<'a> {
    media_type: Option<String>,
    #[serde(borrow)]
    manifests: Option<Entries<'a>>,
}

/// One more than may be listed, to see that there are too many.
type Entries<'a> = Bounded<&'a RawValue, { REFERRERS_MAX + 1 }>;

impl Registry {
    /// Lists what refers to a manifest.
    ///
    /// # Errors
    /// When it cannot be known whether there are any.
    pub async fn referrers(
        &self,
        image: &ImageRef,
        subject: &Digest,
        deadline: Deadline,
    ) -> Result<Referrers, FetchError> {
        self.referrers_up_to(image, subject, MANIFEST_SIZE_MAX, deadline).await
    }

    /// The same, with documents of at most `size_max` bytes each.
    pub(super) async fn referrers_up_to(
        &self,
        image: &ImageRef,
        subject: &Digest,
        size_max: u64,
        deadline: Deadline,
    ) -> Result<Referrers, FetchError> {
        if let Some(referrers) = self.referrers_by_api(image, subject, size_max, deadline).await? {
            return Ok(referrers);
        }
        let mut referrers = Referrers::empty(ReferrersSource::FallbackTag);
        let tag = self.fallback_answer(image, subject, size_max, deadline).await?;
        if let FallbackAnswer::Index(answer) = tag {
            let page: FallbackPage<'_> = crate::json::parse(&answer.body)
                .map_err(|error| answer.malformed(FALLBACK, error.to_string()))?;
            check_fallback_type(&answer, page.media_type.as_deref())?;
            let manifests = page.manifests;
            let manifests = manifests.ok_or_else(|| no_manifests(&answer))?;
            referrers.add(manifests.first(), &answer);
        }
        Ok(referrers)
    }

    /// `None` if the registry does not have the API.
    async fn referrers_by_api(
        &self,
        image: &ImageRef,
        subject: &Digest,
        size_max: u64,
        deadline: Deadline,
    ) -> Result<Option<Referrers>, FetchError> {
        let mut referrers = Referrers::empty(ReferrersSource::Api);
        let mut url = self.url(image, &format!("referrers/{subject}"))?;
        let mut seen = HashSet::new();
        loop {
            let first = seen.is_empty();
            seen.insert(url.clone());
            let answer = match self.page(image, url, size_max, deadline).await {
                Ok(answer) if first && has_no_api(&answer) => return Ok(None),
                Ok(answer) => answer,
                Err(error) => return referrers.fall_short(first, error),
            };
            match Page::parse(&answer) {
                Ok(page) => referrers.add(page.manifests.first(), &answer),
                Err(error) => return referrers.fall_short(first, error),
            }
            let next = match next_page(&answer) {
                Ok(Some(next)) if referrers.shortfall.is_none() => next,
                Ok(_) => return Ok(Some(referrers)),
                Err(error) => return referrers.fall_short(false, error),
            };
            if seen.contains(&next) || seen.len() >= REFERRER_PAGES_MAX {
                let kind =
                    FetchErrorKind::TooMany { what: "pages of referrers", max: REFERRER_PAGES_MAX };
                return referrers.fall_short(false, answer.error(kind));
            }
            url = next;
        }
    }

    async fn page(
        &self,
        image: &ImageRef,
        url: Url,
        size_max: u64,
        deadline: Deadline,
    ) -> Result<Answer, FetchError> {
        let request = Request::get(url, "a list of referrers", size_max)
            .redirected(Redirects::FollowUnlessOther)
            .header(ACCEPT, HeaderValue::from_static(OCI_INDEX));
        self.send(image, request, deadline).await
    }

    /// Reads the tag that stands in for the API, to be written anew: nothing in it may be lost.
    pub(super) async fn fallback_index(
        &self,
        image: &ImageRef,
        subject: &Digest,
        deadline: Deadline,
    ) -> Result<FallbackIndex, FetchError> {
        let found = self.fallback_answer(image, subject, MANIFEST_SIZE_MAX, deadline).await?;
        let answer = match found {
            FallbackAnswer::Nothing(answer) => return Ok(FallbackIndex::empty(answer, false)),
            FallbackAnswer::TheImage(answer) => return Ok(FallbackIndex::empty(answer, true)),
            FallbackAnswer::Index(answer) => answer,
        };
        let mut rest: serde_json::Map<String, Value> = serde_json::from_slice(&answer.body)
            .map_err(|error| answer.malformed(FALLBACK, error.to_string()))?;
        check_fallback_type(&answer, rest.get("mediaType").and_then(Value::as_str))?;
        let Some(Value::Array(manifests)) = rest.remove("manifests") else {
            return Err(no_manifests(&answer));
        };
        Ok(FallbackIndex { manifests, rest, is_the_image: false, answer })
    }

    async fn fallback_answer(
        &self,
        image: &ImageRef,
        subject: &Digest,
        size_max: u64,
        deadline: Deadline,
    ) -> Result<FallbackAnswer, FetchError> {
        let url = self.url(image, &format!("manifests/{}", fallback_tag(subject)))?;
        let answer = self.send(image, get(url, size_max), deadline).await?;
        if answer.status.as_u16() == 404 {
            return Ok(FallbackAnswer::Nothing(answer));
        }
        let answer = answer.wanted(&[200])?;
        // GitLab takes such a tag for the digest it looks like and serves the subject itself, whose
        // children would then pass for its referrers.
        let hash = crypto::Hash::of(subject.algorithm(), &answer.body);
        if Digest::from(hash) == *subject {
            return Ok(FallbackAnswer::TheImage(answer));
        }
        Ok(FallbackAnswer::Index(answer))
    }
}

/// What stands under the tag that stands in for the API.
enum FallbackAnswer {
    Nothing(Answer),
    /// The image itself: the registry takes the tag for the digest that it looks like.
    TheImage(Answer),
    /// Something else, which has to be an index.
    Index(Answer),
}

const FALLBACK: &str = "an OCI index under the referrers tag";

fn check_fallback_type(answer: &Answer, stated: Option<&str>) -> Result<(), FetchError> {
    let served_as = answer.header(CONTENT_TYPE).map(essence);
    let stated = stated.or(served_as);
    if served_as.or(stated) != Some(OCI_INDEX) || stated != Some(OCI_INDEX) {
        return Err(answer.malformed(FALLBACK, stated.unwrap_or("no media type")));
    }
    Ok(())
}

fn no_manifests(answer: &Answer) -> FetchError {
    answer.malformed(FALLBACK, "no list of manifests")
}

impl FallbackIndex {
    fn empty(answer: Answer, is_the_image: bool) -> Self {
        Self { manifests: Vec::new(), rest: new_index(), is_the_image, answer }
    }
}

impl Referrers {
    fn empty(source: ReferrersSource) -> Self {
        Self { source, descriptors: Vec::new(), shortfall: None }
    }

    /// Adds the descriptors of a page. One that is broken does not hide the others.
    fn add(&mut self, manifests: Vec<&RawValue>, answer: &Answer) {
        if self.descriptors.len() + manifests.len() > REFERRERS_MAX {
            let kind = FetchErrorKind::TooMany { what: "referrers", max: REFERRERS_MAX };
            self.shortfall = Some(answer.error(kind));
        }
        let room = REFERRERS_MAX - self.descriptors.len();
        for manifest in manifests.into_iter().take(room) {
            match crate::json::parse::<Descriptor>(manifest.get().as_bytes()) {
                // What others say about a referrer is neither believed nor kept.
                Ok(Descriptor {
                    annotations: _,
                    platform: _,
                    artifact_type,
                    media_type,
                    digest,
                    size,
                }) => {
                    self.descriptors.push(Descriptor {
                        artifact_type,
                        ..Descriptor::new(media_type, digest, size)
                    });
                }
                Err(error) => {
                    let error = answer.malformed("a descriptor of a referrer", error.to_string());
                    self.shortfall.get_or_insert(error);
                }
            }
        }
    }

    /// What was found before something went wrong is worth keeping, unless it was nothing.
    fn fall_short(mut self, nothing: bool, error: FetchError) -> Result<Option<Self>, FetchError> {
        if nothing {
            return Err(error);
        }
        self.shortfall = Some(error);
        Ok(Some(self))
    }
}

impl<'a> Page<'a> {
    fn parse(answer: &'a Answer) -> Result<Self, FetchError> {
        let content_type = answer.header(CONTENT_TYPE).map(essence);
        if answer.status.as_u16() != 200 {
            return Err(answer.refusal());
        }
        if content_type != Some(OCI_INDEX) {
            return Err(answer.malformed(OCI_INDEX, content_type.unwrap_or("no content type")));
        }
        crate::json::parse(&answer.body)
            .map_err(|error| answer.malformed("a list of referrers", error.to_string()))
    }
}

/// The tag under which clients keep the referrers of a manifest where there is no API. The
/// specification cuts the value to 64 characters.
pub(super) fn fallback_tag(subject: &Digest) -> String {
    let value = subject.hex();
    format!("{}-{}", subject.algorithm(), &value[..value.len().min(64)])
}

/// An index as the specification wants it, without its manifests.
fn new_index() -> serde_json::Map<String, Value> {
    let mut index = serde_json::Map::new();
    index.insert("schemaVersion".to_owned(), 2.into());
    index.insert("mediaType".to_owned(), OCI_INDEX.into());
    index
}

/// A success that is not an index is a page for people: the API would have to send an index.
fn has_no_api(answer: &Answer) -> bool {
    let index = answer.header(CONTENT_TYPE).map(essence) == Some(OCI_INDEX);
    NO_API.contains(&answer.status.as_u16()) || answer.status.as_u16() == 200 && !index
}

/// The URL of the next page (`Link`, RFC 8288), which must be on the host that was asked.
pub(super) fn next_page(answer: &Answer) -> Result<Option<Url>, FetchError> {
    let links = answer.headers.get_all(LINK).iter().filter_map(|link| link.to_str().ok());
    let Some(target) = links.filter_map(next_target).next() else { return Ok(None) };
    let url = answer.target(target)?;
    if url.origin() != answer.url.origin() {
        let to = without_query(&url);
        let kind = FetchErrorKind::RedirectedAway { to, reason: Away::OtherHost };
        return Err(answer.error(kind));
    }
    Ok(Some(url))
}

/// The target of the first link in a header whose relation is `next`. Targets may hold commas and
/// semicolons; parameters here do not, so the next `<` begins the next link.
fn next_target(mut header: &str) -> Option<&str> {
    let is_next = |parameter: &str| {
        parameter.trim().split_once('=').is_some_and(|(name, value)| {
            let value = value.trim_matches([' ', '\t', ',', '"']);
            name.trim().eq_ignore_ascii_case("rel") && value.eq_ignore_ascii_case("next")
        })
    };
    loop {
        let (target, after) = header.split_once('<')?.1.split_once('>')?;
        let parameters = after.split_once('<').map_or(after, |(parameters, _)| parameters);
        if parameters.split(';').any(is_next) {
            return Some(target);
        }
        header = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links() {
        let cases = [
            (r#"</v2/a/referrers/x?n=1>; rel="next""#, Some("/v2/a/referrers/x?n=1")),
            ("<x>;rel=next", Some("x")),
            ("<a,b;c>; rel=\"next\"", Some("a,b;c")),
            (r#"<p>; rel="prev", <n>; rel="next""#, Some("n")),
            (r#"<n>; rel="next", <p>; rel="prev""#, Some("n")),
            (r#"<p>; rel="prev""#, None),
            ("n; rel=next", None),
            ("<n", None),
            ("", None),
        ];
        for (header, target) in cases {
            assert_eq!(next_target(header), target, "{header}");
        }
    }

    #[test]
    fn fallback_tags_are_tags() {
        let long = Digest::from(crypto::Hash::of(crypto::HashAlgorithm::Sha512, b"x"));
        assert_eq!(fallback_tag(&long), format!("sha512-{}", &long.hex()[..64]));
        let usual = Digest::sha256(b"x");
        assert_eq!(fallback_tag(&usual), format!("sha256-{}", usual.hex()));
    }
}

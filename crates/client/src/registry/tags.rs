//! The tags of a repository: bounded, and never from another host than the registry.
//!
//! OCI distribution specification v1.1, "Content Discovery". The catalogue of repositories is
//! deliberately not read: it is no part of the specification, and hosted registries refuse it.

use std::collections::HashSet;

use evidence::ImageRef;
use serde::Deserialize;

use super::Registry;
use super::referrers::next_page;
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind};
use crate::http::Request;

/// Most tags of one repository that are listed.
const TAGS_MAX: usize = 100_000;

/// Most pages of one list that are read.
const TAG_PAGES_MAX: usize = 200;

/// Longest page read, in bytes: 10,000 tags of 128 characters, with quotes and commas.
const PAGE_SIZE_MAX: u64 = 2 * 1024 * 1024;

/// Tags asked for at once. Registries give fewer if they like.
const PAGE: &str = "1000";

/// The tags of a repository, as the registry orders them.
#[derive(Clone, Debug, Default)]
pub struct Tags {
    /// The tags; what is no tag is left out and noted in `shortfall`.
    pub tags: Vec<String>,
    /// Why the list is not complete, if it is not.
    pub shortfall: Option<FetchError>,
}

#[derive(Deserialize)]
struct Page {
    /// Some registries write `null` for none.
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Registry {
    /// Lists the tags of an image's repository.
    ///
    /// # Errors
    /// When it cannot be known whether there are any.
    pub async fn list_tags(
        &self,
        image: &ImageRef,
        deadline: Deadline,
    ) -> Result<Tags, FetchError> {
        let mut url = self.url(image, "tags/list")?;
        url.query_pairs_mut().append_pair("n", PAGE);
        let mut found = Tags::default();
        let mut seen = HashSet::new();
        loop {
            seen.insert(url.clone());
            let first = seen.len() == 1;
            let page = async {
                let request = Request::get(url.clone(), "a list of tags", PAGE_SIZE_MAX);
                let answer = self.send(image, request, deadline).await?.wanted(&[200])?;
                let page: Page = crate::json::parse(&answer.body)
                    .map_err(|error| answer.malformed("a list of tags", error.to_string()))?;
                Ok((page, answer))
            };
            let (page, answer) = match page.await {
                Ok(page) => page,
                Err(error) if first => return Err(error),
                Err(error) => return Ok(found.short(error)),
            };
            for tag in page.tags.unwrap_or_default() {
                if found.tags.len() == TAGS_MAX {
                    let kind = FetchErrorKind::TooMany { what: "tags", max: TAGS_MAX };
                    return Ok(found.short(answer.error(kind)));
                }
                if image.with_tag(&tag).is_ok() {
                    found.tags.push(tag);
                } else {
                    let error = answer.malformed("a tag", tag);
                    found.shortfall.get_or_insert(error);
                }
            }
            url = match next_page(&answer) {
                Ok(Some(next)) if !seen.contains(&next) && seen.len() < TAG_PAGES_MAX => next,
                Ok(Some(_)) => {
                    let kind =
                        FetchErrorKind::TooMany { what: "pages of tags", max: TAG_PAGES_MAX };
                    return Ok(found.short(answer.error(kind)));
                }
                Ok(None) => return Ok(found),
                Err(error) => return Ok(found.short(error)),
            };
        }
    }
}

impl Tags {
    fn short(mut self, error: FetchError) -> Self {
        self.shortfall.get_or_insert(error);
        self
    }
}

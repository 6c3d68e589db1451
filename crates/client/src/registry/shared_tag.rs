//! A tag that several writers share: read, merged, written, and read back until what was added
//! stays.
//!
//! Most registries have no conditional writes (or announce ETags and ignore conditions), so that
//! looking back is what keeps writers from losing each other's additions. Writers that do the same
//! keep each other's, but for one that takes much longer than we did. A writer that does not look
//! back can still lose *its own* addition to ours: only conditional writes end that race.

use std::time::Duration;

use evidence::ImageRef;
use reqwest::header::{HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use tokio::time::Instant;

use super::Registry;
use super::manifest::parse_tag;
use crate::deadline::Deadline;
use crate::error::{FetchError, FetchErrorKind};
use crate::http::Answer;

/// How often a shared tag is written before giving up.
const WRITES_MAX: u32 = 16;

/// Something to be added to what is under a tag.
pub(super) trait Merging {
    /// What is under the tag, parsed.
    type Current;

    /// The tag.
    fn tag(&self) -> &str;

    /// Reads the tag; that there is none is no error.
    async fn read(&self) -> Result<Self::Current, FetchError>;

    /// The answer that was read, for its validator and its errors.
    fn answer<'c>(&self, current: &'c Self::Current) -> &'c Answer;

    /// Whether it holds all that is to be added.
    fn holds(&self, current: &Self::Current) -> bool;

    /// The document with the addition. `written` tells whether the registry has taken one before,
    /// which is not there any more.
    async fn with(&self, current: &Self::Current, written: bool) -> Result<Wanted, FetchError>;
}

/// A document to be written.
pub(super) struct Wanted {
    pub(super) media_type: String,
    pub(super) bytes: Vec<u8>,
}

impl Registry {
    /// Adds something to what is under a tag, and gives what is there then.
    ///
    /// # Errors
    /// When the registry does not take it, or other writers keep removing it.
    pub(super) async fn merge<M: Merging>(
        &self,
        image: &ImageRef,
        addition: &M,
        deadline: Deadline,
    ) -> Result<M::Current, FetchError> {
        let mut current = addition.read().await?;
        let mut writes = 0;
        let mut conditional = true;
        let mut taken = false;
        let mut longest = Duration::ZERO;
        while !addition.holds(&current) {
            let answer = addition.answer(&current);
            if writes == WRITES_MAX {
                return Err(answer.error(FetchErrorKind::Overwritten { attempts: writes }));
            }
            let started = Instant::now();
            let condition = condition(answer).filter(|_| conditional);
            let Wanted { media_type, bytes } = addition.with(&current, taken).await?;
            let mut put = self.put(image, "", &media_type, bytes)?;
            put = parse_tag(image, addition.tag(), put)?;
            if let Some((name, value)) = &condition {
                put = put.header(name.clone(), value.clone());
            }
            let written = self.send(image, put, deadline).await?;
            let refused = condition.is_some() && matches!(written.status.as_u16(), 409 | 412);
            writes += 1;
            longest = longest.max(started.elapsed());
            if !refused {
                written.wanted(&[200, 201, 202])?;
                taken = true;
                // Whoever read the tag before we wrote it may still write what they read. They need
                // about as long as we did; until then what is read back means little.
                let pause = self.http.pause(longest.saturating_mul(4));
                tokio::time::sleep(pause.min(deadline.left() / 2)).await;
            }
            let next = addition.read().await?;
            // A condition that fails on an unchanged tag is misread, and is not made again.
            let (before, after) = (addition.answer(&current), addition.answer(&next));
            let unchanged = before.status == after.status && before.body == after.body;
            conditional &= !(refused && unchanged);
            current = next;
        }
        Ok(current)
    }
}

/// The condition that a tag is as it was read, where the registry offers one.
fn condition(answer: &Answer) -> Option<(HeaderName, HeaderValue)> {
    if answer.status.as_u16() == 404 {
        return Some((IF_NONE_MATCH, HeaderValue::from_static("*")));
    }
    Some((IF_MATCH, answer.etag()?))
}

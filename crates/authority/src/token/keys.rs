//! The keys of one issuer: found by discovery, kept while fresh, kept longer when the issuer cannot
//! be reached, and never longer than a limit.
//!
//! OpenID Connect Discovery 1.0 §4. The transport is somebody else's ([`IssuerDocuments`]); what
//! may be fetched from where is decided here.

use std::error::Error;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};

use evidence::UnixTime;
use futures::future::BoxFuture;
use futures::lock::Mutex;
use serde_json::Value;
use url::Url;

use crate::issuer::{Issuer, trusted_url};
use crate::jose::KeySet;
use crate::jose::json::{JsonError, parse_object};
use crate::jose::jwk::{KEY_SET_SIZE_MAX, ParseKeySetError};

/// How long keys are used without another look, in seconds: how long a key that the issuer
/// withdraws may still be believed.
pub const KEYS_FRESH_SECONDS: i64 = 15 * 60;

/// How long keys are used while the issuer cannot be reached, in seconds. Six hours outlast
/// common outages; after that nothing is issued for it.
pub const KEYS_STALE_SECONDS_MAX: i64 = 6 * 60 * 60;

/// Least time between two attempts to fetch an issuer's keys, in seconds: a stranger can make up
/// unknown key identifiers as fast as they like.
pub const FETCH_INTERVAL_SECONDS: i64 = 10;

/// Longest discovery document read, in bytes; GitLab's has about 1,500.
pub const DISCOVERY_SIZE_MAX: usize = 64 * 1024;

/// How documents of an issuer are fetched.
pub trait IssuerDocuments: Send + Sync {
    /// The body of a successful GET of exactly this URL.
    ///
    /// An implementation follows no redirect, sends no credentials, gives up after a few seconds,
    /// and returns an error rather than more than `size_max` bytes.
    fn get(
        &self,
        url: &Url,
        size_max: usize,
    ) -> impl Future<Output = Result<Vec<u8>, FetchError>> + Send;
}

impl<D: IssuerDocuments> IssuerDocuments for Arc<D> {
    fn get(
        &self,
        url: &Url,
        size_max: usize,
    ) -> impl Future<Output = Result<Vec<u8>, FetchError>> + Send {
        self.as_ref().get(url, size_max)
    }
}

/// A document that could not be fetched.
#[derive(Debug, thiserror::Error)]
#[error("{url} could not be fetched")]
pub struct FetchError {
    /// What was asked for.
    pub url: String,
    /// What the transport says.
    pub source: Box<dyn Error + Send + Sync>,
}

/// Why an issuer's keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The transport failed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The discovery document is no JSON object.
    #[error("the discovery document is malformed")]
    Discovery(#[from] JsonError),
    /// The discovery document is of another issuer (OpenID Connect Discovery §4.3).
    #[error("the discovery document is of issuer `{found}`")]
    AnotherIssuer {
        /// Its `issuer`, cut to 200 characters.
        found: String,
    },
    /// The discovery document sends us to a URL that cannot be trusted.
    #[error(
        "the discovery document has its keys at `{found}`, which is not on the issuer's host; if \
         that is right, configure it as `jwks-url`"
    )]
    KeySetElsewhere {
        /// Its `jwks_uri`, cut to 200 characters.
        found: String,
    },
    /// The key set does not parse.
    #[error("the key set cannot be used")]
    KeySet(#[from] ParseKeySetError),
    /// The last attempt was a moment ago and failed.
    #[error("the last attempt to fetch them failed less than {FETCH_INTERVAL_SECONDS} s ago")]
    TooSoon,
}

/// The keys of one issuer, as far as they are known.
#[derive(Default)]
pub(super) struct IssuerKeys {
    known: RwLock<Option<Known>>,
    /// Held during a fetch, so that there is one at a time.
    last_attempt: Mutex<Option<Attempt>>,
}

/// A fetch that was begun.
struct Attempt {
    begun: UnixTime,
    /// Present until it has ended. It is kept here and not with the request that began it: whoever
    /// hangs up meanwhile leaves it to the next request, which goes on with it. Else those who ask
    /// and hang up at once could keep everybody from the keys.
    fetch: Option<BoxFuture<'static, Result<KeySet, KeysError>>>,
}

impl Attempt {
    fn is_younger_than(&self, seconds: i64, now: UnixTime) -> bool {
        is_within(self.begun, seconds, now)
    }
}

#[derive(Clone)]
struct Known {
    keys: Arc<KeySet>,
    fetched: UnixTime,
}

impl Known {
    fn is_younger_than(&self, seconds: i64, now: UnixTime) -> bool {
        is_within(self.fetched, seconds, now)
    }
}

/// Whether it was less than so many seconds ago. What lies ahead is as far away: a clock that was
/// set back must not make keys last, or fetches wait, until it has caught up. Requests that are under
/// way at once may differ a little.
fn is_within(then: UnixTime, seconds: i64, now: UnixTime) -> bool {
    now < then.plus_seconds(seconds) && then < now.plus_seconds(seconds)
}

impl IssuerKeys {
    /// The keys: the known ones while fresh; then new ones; if those cannot be had, the known ones
    /// up to the limit.
    pub(super) async fn current<D: IssuerDocuments + 'static>(
        &self,
        issuer: &Arc<Issuer>,
        documents: &Arc<D>,
        now: UnixTime,
    ) -> Result<Arc<KeySet>, KeysError> {
        let known = self.known();
        if let Some(known) = &known
            && known.is_younger_than(KEYS_FRESH_SECONDS, now)
        {
            return Ok(Arc::clone(&known.keys));
        }
        let seen = known.as_ref().map(|known| &known.keys);
        match (self.fetch(seen, issuer, documents, now).await, known) {
            (Ok(keys), _) => Ok(keys),
            (Err(_), Some(known)) if known.is_younger_than(KEYS_STALE_SECONDS_MAX, now) => {
                Ok(known.keys)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Other keys than these, if the issuer has them by now and the rate limit lets us ask.
    pub(super) async fn newer_than<D: IssuerDocuments + 'static>(
        &self,
        seen: &Arc<KeySet>,
        issuer: &Arc<Issuer>,
        documents: &Arc<D>,
        now: UnixTime,
    ) -> Option<Arc<KeySet>> {
        self.fetch(Some(seen), issuer, documents, now).await.ok()
    }

    /// Fetches the keys, unless somebody else has done so since `seen`.
    async fn fetch<D: IssuerDocuments + 'static>(
        &self,
        seen: Option<&Arc<KeySet>>,
        issuer: &Arc<Issuer>,
        documents: &Arc<D>,
        now: UnixTime,
    ) -> Result<Arc<KeySet>, KeysError> {
        let mut last_attempt = self.last_attempt.lock().await;
        if let Some(known) = self.known()
            && seen.is_none_or(|seen| !Arc::ptr_eq(seen, &known.keys))
        {
            return Ok(known.keys);
        }
        let recent =
            last_attempt.take_if(|attempt| attempt.is_younger_than(FETCH_INTERVAL_SECONDS, now));
        let attempt = last_attempt.insert(recent.unwrap_or_else(|| {
            let (issuer, documents) = (Arc::clone(issuer), Arc::clone(documents));
            let fetch = async move { fetch_keys(&issuer, &*documents).await };
            Attempt { begun: now, fetch: Some(Box::pin(fetch)) }
        }));
        let fetch = attempt.fetch.as_mut().ok_or(KeysError::TooSoon)?;
        let outcome = fetch.await;
        attempt.fetch = None;
        let keys = Arc::new(outcome?);
        let known = Known { keys: Arc::clone(&keys), fetched: attempt.begun };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(keys)
    }

    fn known(&self) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn fetch_keys<D: IssuerDocuments>(
    issuer: &Issuer,
    documents: &D,
) -> Result<KeySet, KeysError> {
    let key_set_url = match issuer.key_set_url() {
        Some(url) => url.clone(),
        None => discover(issuer, documents).await?,
    };
    Ok(KeySet::parse(&documents.get(&key_set_url, KEY_SET_SIZE_MAX).await?)?)
}

async fn discover<D: IssuerDocuments>(issuer: &Issuer, documents: &D) -> Result<Url, KeysError> {
    let discovery_url = issuer.discovery_url();
    let document = documents.get(&discovery_url, DISCOVERY_SIZE_MAX).await?;
    let document = parse_object(&document)?;
    let text = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default();
    let cut = |text: &str| text.chars().take(200).collect();
    if text("issuer") != issuer.url() {
        return Err(KeysError::AnotherIssuer { found: cut(text("issuer")) });
    }
    // CVE-2026-49478: a document must not send us to a host of its own choice.
    let found = text("jwks_uri");
    trusted_url("jwks_uri", found)
        .ok()
        .filter(|url| url.origin() == discovery_url.origin())
        .ok_or_else(|| KeysError::KeySetElsewhere { found: cut(found) })
}

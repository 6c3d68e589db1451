//! Credentials that a cloud gives to those who run in it, or hold its keys: for its own registries
//! and for no other host.
//!
//! Which hosts those are is decided by exact patterns here and never by what a registry answers; a
//! cloud token sent to a host that only looks like the cloud's is a stolen identity (CVE-2026-59891
//! and its kin). A machine that is not in the cloud has nothing, which is no failure; one that is,
//! and is refused, is.

mod amazon;
mod azure;
mod google;
mod signature;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evidence::{RegistryHost, UnixTime};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{Basic, Credential, NoOffer, Offer, forever};
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{FetchError, FetchErrorKind, Unauthorized, printable};
use crate::http::{Answer, Http, Request};
use crate::kept::Fresh;
use crate::secret::Secret;

/// Longest answer of a cloud's services read, in bytes. Their tokens have up to 16 KiB.
const ANSWER_SIZE_MAX: u64 = 128 * 1024;

/// Longest file of a token or key read, in bytes.
const FILE_SIZE_MAX: u64 = 64 * 1024;

/// How long a metadata service may take. It is one hop away; where there is none, nobody should
/// wait for it.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);

/// How long credentials serve that do not say so.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(5 * 60);

/// Longest time that credentials are kept, whatever they say.
const LIFETIME_MAX: Duration = Duration::from_secs(12 * 60 * 60);

/// Tells the time, for what has to be signed with it.
pub type Clock = Arc<dyn Fn() -> UnixTime + Send + Sync>;

/// A cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloudKind {
    /// Amazon Elastic Container Registry, private and public.
    Amazon,
    /// Google Artifact Registry and Container Registry.
    Google,
    /// Azure Container Registry.
    Azure,
    /// GitHub's container registry, with the token of a workflow.
    GitHub,
}

impl CloudKind {
    /// Every cloud known here, as Cosign's `--k8s-keychain` asks them.
    pub const ALL: [Self; 4] = [Self::Google, Self::Amazon, Self::Azure, Self::GitHub];

    fn name(self) -> &'static str {
        match self {
            Self::Amazon => "Amazon ECR",
            Self::Google => "Google Artifact Registry",
            Self::Azure => "Azure Container Registry",
            Self::GitHub => "GitHub",
        }
    }
}

/// Clouds whose registries are logged in to by their own ways.
pub struct Clouds {
    kinds: Vec<CloudKind>,
    environment: Environment,
    clock: Clock,
}

/// What all of them need.
struct Context<'a> {
    kind: CloudKind,
    environment: &'a Environment,
    clock: &'a Clock,
    http: &'a Http,
    deadline: Deadline,
}

impl Clouds {
    /// These clouds, seen from this environment.
    pub fn new(
        kinds: impl IntoIterator<Item = CloudKind>,
        environment: Environment,
        clock: Clock,
    ) -> Self {
        Self { kinds: kinds.into_iter().collect(), environment, clock }
    }

    /// What a cloud gives for one of its own registries; nothing for all other hosts, without
    /// asking anybody.
    pub(super) async fn offer(
        &self,
        http: &Http,
        host: &RegistryHost,
        deadline: Deadline,
    ) -> Result<Offer, NoOffer> {
        for kind in &self.kinds {
            let context = Context {
                kind: *kind,
                environment: &self.environment,
                clock: &self.clock,
                http,
                deadline,
            };
            let offer = match kind {
                CloudKind::Amazon => match amazon::Place::of(host) {
                    Some(place) => amazon::offer(&context, &place).await?,
                    None => None,
                },
                CloudKind::Google if google::is_registry(host) => google::offer(&context).await?,
                CloudKind::Azure if azure::is_registry(host) => {
                    azure::offer(&context, host).await?
                }
                CloudKind::GitHub if host.as_str() == "ghcr.io" => context.github(),
                CloudKind::Google | CloudKind::Azure | CloudKind::GitHub => None,
            };
            if offer.is_some() {
                return Ok(offer);
            }
        }
        Ok(None)
    }
}

/// An access token of Google's, for what is not a registry; `None` where nobody gives one.
pub(crate) async fn google_access_token(
    environment: &Environment,
    clock: &Clock,
    http: &Http,
    deadline: Deadline,
) -> Result<Option<Secret>, NoOffer> {
    let context = Context { kind: CloudKind::Google, environment, clock, http, deadline };
    google::access_token(&context).await
}

impl std::fmt::Debug for Clouds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Clouds").field(&self.kinds).finish()
    }
}

impl Context<'_> {
    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(Secret::expose)
    }

    fn secret(&self, name: &str) -> Option<&Secret> {
        self.environment.get(name)
    }

    /// The token of a GitHub workflow, whose user name nobody looks at.
    fn github(&self) -> Offer {
        let token = self.secret("GITHUB_TOKEN")?;
        let user = self.variable("GITHUB_ACTOR").unwrap_or("unset").to_owned();
        Some(forever(Credential::Basic(Basic { user, password: token.clone() })))
    }

    fn now(&self) -> UnixTime {
        (self.clock)()
    }

    /// Something that is needed and is not as it should be.
    fn unusable(&self, wanted: &'static str, found: impl AsRef<str>) -> NoOffer {
        let found = printable(found.as_ref(), 160);
        NoOffer::Unusable(Unauthorized::Cloud { provider: self.kind.name(), wanted, found })
    }

    /// A small file that a variable names. Its content may be secret.
    fn file(&self, wanted: &'static str, path: &str) -> Result<Secret, NoOffer> {
        let failed = |found: String| self.unusable(wanted, format!("{path}: {found}"));
        let mut text = zeroize::Zeroizing::new(String::new());
        File::open(Path::new(path))
            .and_then(|file| file.take(FILE_SIZE_MAX + 1).read_to_string(&mut text))
            .map_err(|error| failed(error.to_string()))?;
        if text.len() as u64 > FILE_SIZE_MAX {
            return Err(failed(format!("more than {FILE_SIZE_MAX} bytes")));
        }
        Ok(Secret::new(text.trim().to_owned()))
    }

    /// A URL that a variable holds.
    fn url(&self, wanted: &'static str, text: &str) -> Result<Url, NoOffer> {
        text.parse().map_err(|_| self.unusable(wanted, text))
    }

    /// Sends a request, which has to be answered well.
    async fn ask(&self, request: Request) -> Result<Answer, FetchError> {
        self.http.send(&request, self.deadline).await?.wanted(&[200])
    }

    /// Sends a request to a metadata service; `None` where there is none, which is what a
    /// connection that fails, silence, or an answer that it has no such thing mean.
    async fn ask_metadata(&self, request: Request) -> Result<Option<Answer>, FetchError> {
        let time = self.deadline.or_after(METADATA_TIMEOUT);
        let answer = match self.http.send(&request, time).await {
            Err(error) => {
                return match error.kind() {
                    FetchErrorKind::Unreachable(_) | FetchErrorKind::TimedOut(_)
                        if !self.deadline.left().is_zero() =>
                    {
                        Ok(None)
                    }
                    _ => Err(error),
                };
            }
            Ok(answer) => answer,
        };
        match answer.status.as_u16() {
            200 => Ok(Some(answer)),
            404 => Ok(None),
            _ => Err(answer.refusal()),
        }
    }

    /// What an answer holds as JSON. It is never quoted: it may be secret.
    fn read<T: DeserializeOwned>(
        &self,
        answer: &Answer,
        wanted: &'static str,
    ) -> Result<T, FetchError> {
        crate::json::parse(&answer.body).map_err(|error| {
            answer.malformed(wanted, format!("{:?} error in JSON", error.classify()))
        })
    }
}

/// A request that is sent once: where it fails, the next one gets another answer anyway.
fn get(url: Url, what: &'static str) -> Request {
    Request::new(Method::GET, url).wanting(what, ANSWER_SIZE_MAX)
}

/// A form, sent again if that may help: asking for a token twice does no harm.
fn post<'a>(
    url: Url,
    what: &'static str,
    form: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Request {
    Request::new(Method::POST, url)
        .wanting(what, ANSWER_SIZE_MAX)
        .repeatable()
        .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .body(crate::address::form(form))
}

/// What serves for that long, less a tenth for the way there.
fn fresh(credential: Credential, lifetime: Option<Duration>) -> Fresh<Credential> {
    let lifetime = lifetime.unwrap_or(LIFETIME_DEFAULT).min(LIFETIME_MAX);
    Fresh { value: credential, until: Some(Instant::now() + lifetime.mul_f32(0.9)) }
}

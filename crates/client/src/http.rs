//! The one door to HTTP: bounded in size and time, redirected only under our eyes, repeated only
//! where that is harmless.
//!
//! Never reads the environment (proxies, certificate files), never unpacks what a server packed,
//! and never sends an `Authorization` header to another origin than the one it was made for.

mod proxy;
mod transport;

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use crypto::{Hash, HashAlgorithm, Hasher};
use evidence::RegistryHost;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};
use tokio::time::Instant;

pub use proxy::{BadProxy, Proxies};
pub use transport::{
    BuildHttpError, ClientCertificate, HostSecurity, HostTransport, ReadTlsError, TlsTrust,
};

use crate::address::{self, BadUrl};
use crate::deadline::Deadline;
use crate::error::{
    Attempt, Away, Cause, FetchError, FetchErrorKind, TimeLimit, Unauthorized, host_of, message_of,
    printable, without_query,
};
use crate::retry::{self, Budgets};
use transport::Clients;

/// Redirections followed for one request.
const REDIRECTS_MAX: usize = 3;

/// How long a host may take to answer in HTTPS that may also do without.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of an answer that is no success is read, in bytes: enough for its message.
const ERROR_BODY_SIZE_MAX: u64 = 16 * 1024;

/// How to speak HTTP.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// What we call ourselves.
    pub user_agent: String,
    /// Time to make a connection.
    pub connect_timeout: Duration,
    /// Time for one request with its redirections, up to the last byte of the answer.
    pub request_timeout: Duration,
    /// How often a repeatable request is sent at most.
    pub tries_max: u32,
    /// Pause before the second try; doubled before each further one.
    pub first_pause: Duration,
    /// Who may vouch for a host's certificate.
    pub tls_trust: TlsTrust,
    /// Which proxies stand between us and the others.
    pub proxies: Proxies,
    /// Hosts that are spoken to in another way than all others.
    pub hosts: BTreeMap<RegistryHost, HostTransport>,
    /// Addresses to dial for host names, instead of those that the system's resolver finds. The
    /// certificate is still the name's. The port counts where the URL names none.
    pub dial: BTreeMap<String, SocketAddr>,
}

impl HttpOptions {
    /// The usual times: 10 s to connect, 30 s for a request, 3 tries, 250 ms before the second.
    #[must_use]
    pub fn new(user_agent: impl Into<String>) -> Self {
        Self {
            user_agent: user_agent.into(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            tries_max: 3,
            first_pause: Duration::from_millis(250),
            tls_trust: TlsTrust::System,
            proxies: Proxies::default(),
            hosts: BTreeMap::new(),
            dial: BTreeMap::new(),
        }
    }
}

/// Speaks HTTP for everything in this crate. Cheap to share, costly to make.
#[derive(Debug)]
pub struct Http {
    clients: Clients,
    options: HttpOptions,
    budgets: Budgets,
}

/// A request, complete but for who sends it.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    headers: HeaderMap,
    body: Bytes,
    /// For the origin of `url` and no other.
    authorization: Option<HeaderValue>,
    /// Most bytes of a successful answer's body, and what they are.
    size_max: u64,
    what: &'static str,
    /// Hashes the body as it comes.
    hash: Option<HashAlgorithm>,
    /// Whether sending it twice does what sending it once does.
    repeatable: bool,
    redirects: Redirects,
}

/// What to do when the answer is elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// Go there.
    Follow,
    /// Go there, but bring back 303, which points to something else than what was asked for.
    FollowUnlessOther,
    /// Take it for a failure.
    Refuse,
}

/// An answer, whatever its status, with its whole body.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Hash of the body, where it was asked for.
    pub(crate) hash: Option<Hash>,
    /// Where it came from in the end.
    pub(crate) url: Url,
    pub(crate) attempt: Attempt,
}

impl Request {
    /// A request that is not repeatable, not redirected, and wants no body.
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            authorization: None,
            size_max: ERROR_BODY_SIZE_MAX,
            what: "an answer",
            hash: None,
            repeatable: false,
            redirects: Redirects::Refuse,
        }
    }

    /// A repeatable request for at most that many bytes of something, wherever it may be.
    pub(crate) fn get(url: Url, what: &'static str, size_max: u64) -> Self {
        let request = Self::new(Method::GET, url).repeatable().redirected(Redirects::Follow);
        request.wanting(what, size_max)
    }

    /// The same for the headers alone.
    pub(crate) fn head(url: Url) -> Self {
        Self::new(Method::HEAD, url).repeatable().redirected(Redirects::Follow)
    }

    pub(crate) fn wanting(mut self, what: &'static str, size_max: u64) -> Self {
        self.what = what;
        self.size_max = size_max;
        self
    }

    pub(crate) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    pub(crate) fn redirected(mut self, redirects: Redirects) -> Self {
        self.redirects = redirects;
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn hashed(mut self, algorithm: HashAlgorithm) -> Self {
        self.hash = Some(algorithm);
        self
    }

    pub(crate) fn authorized(mut self, authorization: Option<HeaderValue>) -> Self {
        self.authorization = authorization;
        self
    }

    pub(crate) fn error(&self, kind: impl Into<FetchErrorKind>) -> FetchError {
        FetchError::new(Attempt::new(&self.method, &self.url), kind)
    }
}

impl Http {
    /// Makes a client.
    ///
    /// # Errors
    /// When an authority's certificate is none, or the system's cannot be loaded: a container image
    /// without any has to be told which ones to use.
    pub fn new(options: HttpOptions) -> Result<Self, BuildHttpError> {
        let clients = Clients::new(&options)?;
        Ok(Self { clients, options, budgets: Budgets::default() })
    }

    /// Finds out whether a host that may be spoken to in plain HTTP has to be. It is asked in HTTPS
    /// once; any answer at all settles it.
    pub(crate) async fn prepare(&self, url: &Url, deadline: Deadline) -> Result<(), FetchError> {
        if !self.clients.is_open(url) {
            return Ok(());
        }
        let mut secure = url.clone();
        // Refused only by URLs of other kinds.
        let _ = secure.set_scheme("https");
        let probe = Request::new(Method::GET, secure);
        match self.try_once(&probe, deadline.or_after(PROBE_TIMEOUT)).await {
            Err(error) if !error.is_connection() || deadline.left().is_zero() => Err(error),
            outcome => {
                self.clients.settle(url, outcome.is_err());
                Ok(())
            }
        }
    }

    /// The URL with the scheme in which its host is spoken to.
    pub(crate) fn spoken(&self, mut url: Url) -> Url {
        if self.clients.is_plain(&url) {
            let _ = url.set_scheme("http");
        }
        url
    }

    /// Gives a URL made before [`Self::prepare`] the scheme that was found by it.
    pub(crate) fn same_scheme(&self, url: &mut Url, base: &Url) {
        let host = (url.host_str(), url.port());
        if host == (base.host_str(), base.port()) && self.clients.is_plain(url) {
            let _ = url.set_scheme(base.scheme());
        }
    }

    /// Sends a request, again if that is harmless and may help, and reads the answer.
    pub(crate) async fn send(
        &self,
        request: &Request,
        deadline: Deadline,
    ) -> Result<Answer, FetchError> {
        let host = host_of(&request.url);
        let mut tries = 1;
        loop {
            let outcome = self.try_once(request, deadline).await;
            let asked = match &outcome {
                Ok(answer) if retry::may_pass(answer.status) => retry::retry_after(&answer.headers),
                Ok(_) => {
                    self.budgets.earn(&host);
                    return outcome.map(|answer| answer.tried(tries));
                }
                Err(error) if error.may_pass() => None,
                Err(_) => return outcome.map_err(|error| error.tried(tries)),
            };
            let pause = asked.unwrap_or_else(|| retry::pause(self.options.first_pause, tries));
            let again = request.repeatable
                && tries < self.options.tries_max
                && pause < deadline.left()
                && self.budgets.spend(&host);
            if !again {
                return match outcome {
                    Ok(answer) => Ok(answer.tried(tries)),
                    Err(error) => Err(error.tried(tries)),
                };
            }
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }

    /// A pause of about that long, but not shorter than the one before a second try.
    pub(crate) fn pause(&self, about: Duration) -> Duration {
        retry::pause(about.max(self.options.first_pause), 1)
    }

    async fn try_once(&self, request: &Request, deadline: Deadline) -> Result<Answer, FetchError> {
        if deadline.left().is_zero() {
            return Err(request.error(FetchErrorKind::TimedOut(TimeLimit::Operation)));
        }
        let end = deadline.or_after(self.options.request_timeout);
        match tokio::time::timeout_at(end.instant(), self.follow(request)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let limit = match deadline.left().is_zero() {
                    true => TimeLimit::Operation,
                    false => TimeLimit::Request,
                };
                tracing::debug!("{} {}: no answer", request.method, without_query(&request.url));
                Err(request.error(FetchErrorKind::TimedOut(limit)))
            }
        }
    }

    async fn follow(&self, request: &Request) -> Result<Answer, FetchError> {
        let mut url = request.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.ask(request, &url).await?;
            match answer.status.as_u16() {
                303 if request.redirects == Redirects::FollowUnlessOther => return Ok(answer),
                301 | 302 | 303 | 307 | 308 => url = answer.redirection(request.redirects)?,
                _ => return Ok(answer),
            }
        }
        let to = without_query(&url);
        Err(request.error(FetchErrorKind::RedirectedAway { to, reason: Away::TooMany }))
    }

    /// Asks once, and logs how that went: neither query nor user nor headers, in which secrets are.
    async fn ask(&self, request: &Request, url: &Url) -> Result<Answer, FetchError> {
        let begun = Instant::now();
        let outcome = self.exchange(request, url).await;
        let (method, shown, took) = (&request.method, without_query(url), begun.elapsed());
        match &outcome {
            Ok(answer) => {
                let status = answer.status.as_u16();
                tracing::debug!("{method} {shown}: {status} in {} ms", took.as_millis());
            }
            Err(_) => tracing::debug!("{method} {shown}: failed after {} ms", took.as_millis()),
        }
        outcome
    }

    async fn exchange(&self, request: &Request, url: &Url) -> Result<Answer, FetchError> {
        let attempt = Attempt::new(&request.method, url);
        let failed = |error| FetchError::new(attempt.clone(), transport_problem(error));
        let mut sent = self
            .clients
            .of(url)
            .request(request.method.clone(), url.clone())
            .headers(request.headers.clone())
            .body(request.body.clone());
        if let Some(authorization) = &request.authorization
            && url.origin() == request.url.origin()
        {
            sent = sent.header(AUTHORIZATION, authorization.clone());
        }
        let mut response = sent.send().await.map_err(failed)?;
        let status = response.status();
        let wanted = status.is_success() && request.method != Method::HEAD;
        let max = if wanted { request.size_max } else { ERROR_BODY_SIZE_MAX };
        let too_large = |found| {
            let kind = FetchErrorKind::TooLarge { what: request.what, max, found };
            FetchError::new(attempt.clone(), kind)
        };
        if let Some(found) = response.content_length().filter(|found| wanted && *found > max) {
            return Err(too_large(Some(found)));
        }
        let mut hasher = request.hash.map(Hasher::new);
        // Memory for what is announced, which is no more than is taken; it is used as it arrives.
        let announced = response.content_length().filter(|length| *length <= max).unwrap_or(0);
        let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if (body.len() + piece.len()) as u64 > max {
                if wanted {
                    return Err(too_large(None));
                }
                break;
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(&piece);
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer {
            status,
            headers: std::mem::take(response.headers_mut()),
            body,
            hash: hasher.map(Hasher::finish),
            url: url.clone(),
            attempt,
        })
    }
}

impl Answer {
    /// A header's text; `None` if it is absent or not ASCII.
    pub(crate) fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn error(&self, kind: impl Into<FetchErrorKind>) -> FetchError {
        FetchError::new(self.attempt.clone(), kind)
    }

    pub(crate) fn malformed(&self, wanted: &'static str, found: impl AsRef<str>) -> FetchError {
        let found = printable(found.as_ref(), 160);
        self.error(FetchErrorKind::Malformed { wanted, found })
    }

    /// The answer if its status is one of these, else what its status means.
    pub(crate) fn wanted(self, statuses: &[u16]) -> Result<Self, FetchError> {
        if statuses.contains(&self.status.as_u16()) { Ok(self) } else { Err(self.refusal()) }
    }

    /// What a status that was not wanted means.
    pub(crate) fn refusal(&self) -> FetchError {
        let status = self.status;
        let message = message_of(&self.body);
        self.error(match status.as_u16() {
            401 => FetchErrorKind::Unauthorized(Unauthorized::CredentialsRefused { message }),
            403 => FetchErrorKind::Forbidden { message },
            404 => FetchErrorKind::NotFound { message },
            429 => FetchErrorKind::RateLimited { retry_after: retry::retry_after(&self.headers) },
            500..=599 => FetchErrorKind::ServerError { status, message },
            _ => FetchErrorKind::Rejected { status, message },
        })
    }

    /// A URL that the answer names, in full; never one that leads from HTTPS to HTTP.
    pub(crate) fn target(&self, text: &str) -> Result<Url, FetchError> {
        let away = |to, reason| self.error(FetchErrorKind::RedirectedAway { to, reason });
        let url = self.url.join(text).map_err(|_| away(printable(text, 160), Away::NotHttp))?;
        let reason = match address::check(&url) {
            _ if proxy::is_metadata(&url) => Away::Metadata,
            Ok(()) if self.url.scheme() == "https" && url.scheme() == "http" => Away::PlainHttp,
            Ok(()) => return Ok(url),
            // The operator lets this very host do without TLS.
            Err(BadUrl::PlainHttp { .. })
                if url.origin() == self.url.origin()
                    && url.username().is_empty()
                    && url.password().is_none() =>
            {
                return Ok(url);
            }
            Err(BadUrl::PlainHttp { .. }) => Away::PlainHttp,
            Err(BadUrl::UserInfo) => Away::UserInfo,
            Err(_) => Away::NotHttp,
        };
        Err(away(without_query(&url), reason))
    }

    fn redirection(&self, redirects: Redirects) -> Result<Url, FetchError> {
        let Some(location) = self.header(LOCATION) else {
            return Err(self.malformed("a redirection with a location", "none"));
        };
        let url = self.target(location)?;
        if redirects == Redirects::Refuse {
            let to = without_query(&url);
            return Err(self.error(FetchErrorKind::RedirectedAway { to, reason: Away::Unwanted }));
        }
        Ok(url)
    }

    fn tried(mut self, tries: u32) -> Self {
        self.attempt.tries = tries;
        self
    }
}

impl FetchError {
    /// Whether there was no connection, or no secure one.
    fn is_connection(&self) -> bool {
        matches!(
            self.kind(),
            FetchErrorKind::Unreachable(_) | FetchErrorKind::Tls(_) | FetchErrorKind::TimedOut(_)
        )
    }

    /// Whether it may pass by itself.
    fn may_pass(&self) -> bool {
        matches!(
            self.kind(),
            FetchErrorKind::Unreachable(_) | FetchErrorKind::TimedOut(TimeLimit::Request)
        )
    }
}

fn transport_problem(error: reqwest::Error) -> FetchErrorKind {
    if error.is_timeout() {
        return FetchErrorKind::TimedOut(TimeLimit::Request);
    }
    let tls = is_tls(&error);
    let cause = Cause::new(error.without_url());
    if tls { FetchErrorKind::Tls(cause) } else { FetchErrorKind::Unreachable(cause) }
}

fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<rustls::Error>() {
            return true;
        }
        // An I/O error shows the source of what it wraps, not what it wraps.
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}

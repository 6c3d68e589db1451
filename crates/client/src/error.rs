//! Why something outside could not be looked at, or did not do what was asked.
//!
//! A [`FetchError`] never means "there is none" and never means "it is bad": it means that nobody
//! knows. Whoever turns it into a verdict must keep it apart from both.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use evidence::Digest;
use reqwest::{Method, StatusCode, Url};

/// Longest message quoted from a server, in characters.
const MESSAGE_CHARACTERS_MAX: usize = 300;

/// A request that brought no usable answer: what was tried, and what came of it.
#[derive(Clone)]
pub struct FetchError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    attempt: Attempt,
    kind: FetchErrorKind,
}

/// What was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The request's method.
    pub method: Method,
    /// Where it went, without query and user information, which may hold secrets.
    pub url: String,
    /// The host, with its port where that is not the usual one.
    pub host: String,
    /// How often it was sent.
    pub tries: u32,
}

/// What came of it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FetchErrorKind {
    /// 401, or a way to authenticate that is not at hand.
    #[error("not authenticated: {0}")]
    Unauthorized(Unauthorized),
    /// 403.
    #[error("the host forbids this request{}", said(message))]
    Forbidden {
        /// What the host says.
        message: String,
    },
    /// 404.
    #[error("the host does not have it{}", said(message))]
    NotFound {
        /// What the host says.
        message: String,
    },
    /// 429.
    #[error("the host limits the rate of requests{}", in_a_while(*retry_after))]
    RateLimited {
        /// How long the host asks to wait.
        retry_after: Option<Duration>,
    },
    /// Time ran out.
    #[error("no complete answer before the deadline of the {0}")]
    TimedOut(TimeLimit),
    /// No connection, or one that broke in the middle.
    #[error("no connection, or it broke")]
    Unreachable(#[source] Cause),
    /// A connection that could not be made secure.
    #[error("no secure connection")]
    Tls(#[source] Cause),
    /// More bytes than are read.
    #[error("wanted at most {max} bytes of {what}, found {}", count(*found))]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The most read.
        max: u64,
        /// How many there are, where that is known.
        found: Option<u64>,
    },
    /// More things than are looked at.
    #[error("wanted at most {max} {what}, found more")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most looked at.
        max: usize,
    },
    /// An answer that is not what the protocol says.
    #[error("wanted {wanted}, found {found}")]
    Malformed {
        /// What the protocol says.
        wanted: &'static str,
        /// What is there.
        found: String,
    },
    /// Bytes that are not the ones asked for.
    #[error("wanted content with the digest {wanted}, found {found}")]
    DigestMismatch {
        /// The digest asked for or announced.
        wanted: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// Sent somewhere we do not go.
    #[error("redirected to {to}: {reason}")]
    RedirectedAway {
        /// Where to, without query.
        to: String,
        /// Why we do not go there.
        reason: Away,
    },
    /// 5xx.
    #[error("the host failed: {status}{}", said(message))]
    ServerError {
        /// The status.
        status: StatusCode,
        /// What the host says.
        message: String,
    },
    /// Any other status that was not wanted.
    #[error("the host refused: {status}{}", said(message))]
    Rejected {
        /// The status.
        status: StatusCode,
        /// What the host says.
        message: String,
    },
    /// Other writers kept replacing what was written.
    #[error("{attempts} times somebody else overwrote what was written")]
    Overwritten {
        /// How often it was written.
        attempts: u32,
    },
}

/// What stands between us and an authenticated request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorized {
    /// The host asks for a password and there is none for it.
    #[error("the host asks for a password and none is configured for it")]
    NoCredentials,
    /// The host does not take what is configured.
    #[error("the host refused the configured credentials{}", said(message))]
    CredentialsRefused {
        /// What the host says.
        message: String,
    },
    /// The token service that the host names is not one that we ask.
    #[error("the host asks for a token of {realm}: {reason}")]
    RealmRefused {
        /// The token service, as the registry names it.
        realm: String,
        /// Why it is not asked.
        reason: RealmProblem,
    },
    /// What is configured is of a kind that the host does not ask for.
    #[error("wanted {wanted}, and {found} is configured for the host")]
    Unfit {
        /// What the host asks for.
        wanted: &'static str,
        /// What there is.
        found: &'static str,
    },
    /// A program that keeps the credentials did not give them.
    #[error("the credential helper `docker-credential-{helper}` {problem}")]
    Helper {
        /// The helper's name.
        helper: String,
        /// What went wrong.
        problem: HelperProblem,
    },
    /// A cloud's way to log in was begun and cannot be gone to its end.
    #[error("{provider}: wanted {wanted}, found {found}")]
    Cloud {
        /// Whose way.
        provider: &'static str,
        /// What is needed.
        wanted: &'static str,
        /// What is there.
        found: String,
    },
    /// The configuration's entry for this host is broken.
    #[error("the configured credentials are broken: {problem}")]
    BrokenEntry {
        /// What is wrong.
        problem: &'static str,
    },
    /// The host does not say how to authenticate, or in a way that is not known.
    #[error("wanted a challenge for Basic or Bearer, found {found}")]
    UnknownChallenge {
        /// The schemes offered.
        found: String,
    },
    /// A host that the request was passed on to asks for credentials; it gets none.
    #[error("{host}, where the request was redirected to, asks for credentials")]
    Elsewhere {
        /// The host that asks.
        host: String,
    },
}

/// Why a token service is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RealmProblem {
    /// No URL, or one that cannot be asked.
    #[error("that is no URL of a token service")]
    NotAUrl,
    /// Plain HTTP where the registry is reached by HTTPS.
    #[error("it is reached by plain HTTP")]
    PlainHttp,
    /// It names a user.
    #[error("its URL holds user information")]
    UserInfo,
    /// Another host, which nobody here has said belongs to the registry.
    #[error("it is another host, and not known to belong to the registry")]
    OtherHost,
}

/// What went wrong with a credential helper.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelperProblem {
    /// Not a name that a helper may have.
    #[error("has a name that is not of letters, digits, `-`, `_` and `.`")]
    Name,
    /// Not on the path.
    #[error("is not in any directory of PATH")]
    NotFound,
    /// It cannot be started, or its streams broke.
    #[error("cannot be run: {0}")]
    Run(String),
    /// It ran too long.
    #[error("did not end in time")]
    TimedOut,
    /// It says more than credentials are long.
    #[error("wrote more than {max} bytes")]
    TooLong {
        /// The most read.
        max: usize,
    },
    /// It ended with a failure.
    #[error("failed{}", said(message))]
    Failed {
        /// What it says.
        message: String,
    },
    /// It ended well and said something else than credentials.
    #[error("answered something else than credentials")]
    Malformed,
}

/// Which limit ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLimit {
    /// That of one request.
    Request,
    /// That of the whole operation.
    Operation,
}

/// Why a redirection is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Away {
    /// From HTTPS to HTTP, or to HTTP beyond loopback.
    #[error("it leads to plain HTTP")]
    PlainHttp,
    /// Neither HTTP nor HTTPS, or no URL at all.
    #[error("it is not an HTTP URL")]
    NotHttp,
    /// It names a user.
    #[error("it holds user information")]
    UserInfo,
    /// Too long a chain.
    #[error("it is one redirection too many")]
    TooMany,
    /// This request is never redirected.
    #[error("this request must be answered where it was sent")]
    Unwanted,
    /// To where machines in a cloud are told who they are.
    #[error("it leads to a metadata service")]
    Metadata,
    /// A page elsewhere.
    #[error("it leads to another host")]
    OtherHost,
}

/// The error below, kept whole.
#[derive(Clone)]
pub struct Cause(Arc<dyn Error + Send + Sync>);

impl FetchError {
    pub(crate) fn new(attempt: Attempt, kind: impl Into<FetchErrorKind>) -> Self {
        Self(Box::new(Inner { attempt, kind: kind.into() }))
    }

    /// What came of it.
    #[must_use]
    pub fn kind(&self) -> &FetchErrorKind {
        &self.0.kind
    }

    /// What was tried.
    #[must_use]
    pub fn attempt(&self) -> &Attempt {
        &self.0.attempt
    }

    /// The host that was asked.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.0.attempt.host
    }

    /// What can be done about it, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let host = self.host();
        Some(match self.kind() {
            FetchErrorKind::Unauthorized(Unauthorized::NoCredentials) => {
                format!(
                    "log in to {host} (`docker login {host}`), or name the configuration to use"
                )
            }
            FetchErrorKind::Unauthorized(Unauthorized::CredentialsRefused { .. }) => {
                format!("check user and password for {host}; they may have expired")
            }
            FetchErrorKind::Unauthorized(Unauthorized::RealmRefused {
                realm,
                reason: RealmProblem::OtherHost,
            }) => format!(
                "if {realm} is the token service of {host}, say so: \
                 --registry-token-service {host}=https://{realm}"
            ),
            FetchErrorKind::Unauthorized(
                Unauthorized::Unfit { .. } | Unauthorized::BrokenEntry { .. },
            ) => {
                format!("log in to {host} again")
            }
            FetchErrorKind::Unauthorized(Unauthorized::Helper { helper, .. }) => format!(
                "try `echo {host} | docker-credential-{helper} get`, or take the helper out of the \
                 configuration"
            ),
            FetchErrorKind::Forbidden { .. } => {
                format!("ask for access at {host}, or use other credentials")
            }
            FetchErrorKind::RateLimited { .. } => {
                "wait, authenticate for a higher limit, or use a mirror".to_owned()
            }
            FetchErrorKind::TimedOut(_) | FetchErrorKind::Unreachable(_) => {
                format!("check that {host} can be reached from here, or allow more time")
            }
            FetchErrorKind::Tls(_) => {
                format!("check the certificate of {host}; a private authority has to be configured")
            }
            FetchErrorKind::DigestMismatch { .. } => {
                format!("{host} or something before it alters content: do not use it")
            }
            FetchErrorKind::RedirectedAway { reason: Away::PlainHttp, .. } => format!(
                "if {host} stands behind a proxy, it has to be told that it is reached by HTTPS"
            ),
            FetchErrorKind::Overwritten { .. } => "try again when others do not write".to_owned(),
            _ => return None,
        })
    }

    pub(crate) fn tried(mut self, tries: u32) -> Self {
        self.0.attempt.tries = tries;
        self
    }
}

impl From<Unauthorized> for FetchErrorKind {
    fn from(problem: Unauthorized) -> Self {
        Self::Unauthorized(problem)
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Attempt { method, url, tries, .. } = self.attempt();
        write!(f, "{method} {url}: {}", self.kind())?;
        if *tries > 1 { write!(f, " (tried {tries} times)") } else { Ok(()) }
    }
}

impl fmt::Debug for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchError")
            .field("attempt", self.attempt())
            .field("kind", self.kind())
            .finish()
    }
}

impl Error for FetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind().source()
    }
}

impl Attempt {
    pub(crate) fn new(method: &Method, url: &Url) -> Self {
        Self { method: method.clone(), url: without_query(url), host: host_of(url), tries: 1 }
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Operation => "operation",
        })
    }
}

impl Cause {
    pub(crate) fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// A URL without what may be secret: pre-signed downloads carry their permission in the query.
pub(crate) fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Refused only by URLs that cannot have either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    printable(url.as_str(), MESSAGE_CHARACTERS_MAX)
}

pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// What a server says about an error, shortened and safe to print: the messages of the OCI format
/// (`errors[].code`, `errors[].message`) or of gRPC gateways (`message`), else the text itself.
pub(crate) fn message_of(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Many {
        errors: Vec<One>,
    }
    #[derive(serde::Deserialize)]
    struct One {
        #[serde(default)]
        code: serde_json::Value,
        #[serde(default)]
        message: String,
    }
    let text = if let Ok(Many { errors }) = serde_json::from_slice(body) {
        let line = |one: &One| match one.code.as_str() {
            Some(code) if one.message.is_empty() => code.to_owned(),
            Some(code) => format!("{code}: {}", one.message),
            None => one.message.clone(),
        };
        errors.iter().take(4).map(line).collect::<Vec<_>>().join("; ")
    } else if let Ok(One { message, .. }) = serde_json::from_slice(body) {
        message
    } else {
        String::from_utf8_lossy(body).trim().to_owned()
    };
    printable(&text, MESSAGE_CHARACTERS_MAX)
}

/// Text of strangers: without control and formatting characters, and not too long.
pub(crate) fn printable(text: &str, characters_max: usize) -> String {
    // Bidirectional overrides and zero-width characters are not control characters to Unicode.
    let harmless = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let mut shown: String = text.chars().filter(harmless).take(characters_max + 1).collect();
    if let Some((end, _)) = shown.char_indices().nth(characters_max) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn in_a_while(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |time| format!("; try again in {} s", time.as_secs()))
}

fn count(found: Option<u64>) -> String {
    found.map_or_else(|| "more".to_owned(), |found| found.to_string())
}

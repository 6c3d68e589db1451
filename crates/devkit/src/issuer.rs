//! An OIDC issuer: discovery, keys, and tokens as CI systems and mail providers issue them.
//!
//! OpenID Connect Discovery 1.0 §4, RFC 7517 (JWK sets), RFC 7519 (JWT), and the token endpoint of
//! GitHub Actions. There is no authorization endpoint: nobody logs in here; a test or the demo says
//! whose token it wants. Being asked for a token over HTTP needs a job's request token.

mod claims;
mod email;
mod github;
mod gitlab;
mod google;
mod key;
mod token;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Query, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::fault::FaultRule;
use crate::gate::Gate;
use crate::record::RecordedRequest;
use crate::server::{self, Server};
use crate::{Clock, DevkitError};

pub use claims::{Claimant, Claims};
pub use email::EmailUser;
pub use github::{GithubWorkflow, ReusableWorkflow};
pub use gitlab::{GitlabEnvironment, GitlabJob};
pub use google::{GoogleMachine, GoogleServiceAccount};
pub use key::Algorithm;
pub use token::{SignWith, TokenSpec};

use key::IssuerKey;

/// Keys published at once. GitHub publishes a handful.
const KEYS_MAX: usize = 8;

/// Jobs open at once.
const JOBS_MAX: usize = 1024;

/// Longest audience that the token endpoint takes, in bytes.
const AUDIENCE_SIZE_MAX: usize = 1024;

const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";
const JWKS_PATH: &str = "/.well-known/jwks";
const TOKEN_PATH: &str = "/token";

/// How to start an [`Issuer`].
#[derive(Clone)]
pub struct IssuerOptions {
    /// Where to listen; port 0 takes any free port.
    pub address: SocketAddr,
    /// The algorithm of the first key.
    pub algorithm: Algorithm,
    /// When tokens are issued.
    pub clock: Clock,
}

impl IssuerOptions {
    /// Any free port of 127.0.0.1, and RS256 as GitHub and GitLab use it.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { address, algorithm: Algorithm::Rs256, clock }
    }
}

/// A running issuer. Dropping it ends it.
pub struct Issuer {
    server: Server,
    gate: Arc<Gate>,
    state: Arc<IssuerState>,
}

struct IssuerState {
    url: String,
    clock: Clock,
    /// All published keys, the signing key last. Never empty.
    keys: Mutex<Vec<Arc<IssuerKey>>>,
    /// Claimants by request token.
    jobs: Mutex<BTreeMap<String, Arc<dyn Claimant>>>,
}

/// What a CI job is told about where to get its token.
pub struct Job {
    /// Where to ask; has a query already, so that clients append `&audience=…`.
    pub request_url: String,
    /// What to show as bearer when asking.
    pub request_token: String,
}

impl Issuer {
    /// Starts an issuer with a fresh key.
    ///
    /// # Errors
    /// When the address is not a loopback address or is taken, or no key could be made.
    pub async fn start(options: IssuerOptions) -> Result<Self, DevkitError> {
        let bound = server::bind(options.address).await?;
        let key = Arc::new(IssuerKey::generate(options.algorithm)?);
        let state = Arc::new(IssuerState {
            url: format!("http://{}", bound.address()),
            clock: options.clock,
            keys: Mutex::new(vec![key]),
            jobs: Mutex::new(BTreeMap::new()),
        });
        let gate = Gate::new(bound.stopping(), IntoResponse::into_response);
        let router = Router::new()
            .route(DISCOVERY_PATH, get(discovery))
            .route(JWKS_PATH, get(key_set))
            .route(TOKEN_PATH, get(token_for_job))
            .with_state(Arc::clone(&state));
        let server = bound.serve(gate.guard(router));
        Ok(Self { server, gate, state })
    }

    /// The issuer identifier: what `iss` says and where discovery starts, without a final slash.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.state.url
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// An honest token for `claimant`, issued now.
    ///
    /// # Errors
    /// When the backend cannot sign.
    pub fn mint(&self, claimant: &dyn Claimant, audience: &str) -> Result<String, DevkitError> {
        self.sign(&self.spec(claimant, audience))
    }

    /// What an honest token would say, to be changed before it is signed with [`Self::sign`].
    #[must_use]
    pub fn spec(&self, claimant: &dyn Claimant, audience: &str) -> TokenSpec {
        self.state.spec(claimant, audience)
    }

    /// Signs whatever the specification says, honest or not.
    ///
    /// # Errors
    /// When the backend cannot sign or cannot make the key asked for.
    pub fn sign(&self, spec: &TokenSpec) -> Result<String, DevkitError> {
        spec.sign(&self.state.signing_key())
    }

    /// Opens a CI job: whoever has its request token can get tokens that speak of `claimant`.
    ///
    /// # Errors
    /// When too many are open already.
    pub fn open_job(&self, claimant: impl Claimant + 'static) -> Result<Job, DevkitError> {
        let mut jobs = self.state.jobs();
        if jobs.len() >= JOBS_MAX {
            return Err(DevkitError::TooManyJobs { max: JOBS_MAX });
        }
        let request_token = hex::encode(crypto::random::bytes::<16>());
        jobs.insert(request_token.clone(), Arc::new(claimant));
        let request_url = format!("{}{TOKEN_PATH}?api-version=2.0", self.state.url);
        Ok(Job { request_url, request_token })
    }

    /// Signs with a new key from now on. The older keys stay published, as issuers leave them for
    /// the tokens that are still around.
    ///
    /// # Errors
    /// When no key could be made.
    pub fn rotate(&self, algorithm: Algorithm) -> Result<(), DevkitError> {
        let key = Arc::new(IssuerKey::generate(algorithm)?);
        let mut keys = self.state.keys();
        if keys.len() == KEYS_MAX {
            keys.remove(0);
        }
        keys.push(key);
        Ok(())
    }

    /// Publishes only the signing key from now on.
    pub fn retire_old_keys(&self) {
        let mut keys = self.state.keys();
        let old = keys.len() - 1;
        keys.drain(..old);
    }

    /// Identifier of the signing key.
    #[must_use]
    pub fn key_id(&self) -> String {
        self.state.signing_key().id().to_owned()
    }

    /// Arms a fault.
    pub fn inject(&self, rule: FaultRule) {
        self.gate.inject(rule);
    }

    /// Disarms all faults.
    pub fn clear_faults(&self) {
        self.gate.clear_faults();
    }

    /// What was asked so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.gate.record.requests()
    }

    /// Forgets what was asked so far.
    pub fn clear_requests(&self) {
        self.gate.record.clear();
    }

    /// Waits until a request whose path matches `pattern` (`*` for any characters) has arrived.
    pub async fn arrived(&self, pattern: &str) {
        self.gate.record.arrived(pattern).await;
    }

    /// Stops listening and lets open requests end.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

impl Job {
    /// The variables that GitHub Actions sets in a job that may ask for tokens.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", self.request_url.clone()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", self.request_token.clone()),
        ]
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job({}, request token withheld)", self.request_url)
    }
}

impl IssuerState {
    fn keys(&self) -> MutexGuard<'_, Vec<Arc<IssuerKey>>> {
        // Keys are added and removed whole; a panic elsewhere leaves the list usable.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<String, Arc<dyn Claimant>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signing_key(&self) -> Arc<IssuerKey> {
        Arc::clone(self.keys().last().expect("the signing key is never removed"))
    }

    fn spec(&self, claimant: &dyn Claimant, audience: &str) -> TokenSpec {
        TokenSpec::new(claimant.claims(&self.url, audience, (self.clock)()))
    }
}

/// OpenID Connect Discovery 1.0 §3, with the members that GitHub's issuer has.
async fn discovery(State(state): State<Arc<IssuerState>>) -> Response {
    let mut algorithms: Vec<_> = state.keys().iter().map(|key| key.algorithm().name()).collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    Json(json!({
        "issuer": state.url,
        "jwks_uri": format!("{}{JWKS_PATH}", state.url),
        "subject_types_supported": ["public", "pairwise"],
        "response_types_supported": ["id_token"],
        "claims_supported": claims::SUPPORTED,
        "id_token_signing_alg_values_supported": algorithms,
        "scopes_supported": ["openid"],
    }))
    .into_response()
}

/// RFC 7517 §5.
async fn key_set(State(state): State<Arc<IssuerState>>) -> Response {
    let keys: Vec<_> = state.keys().iter().map(|key| key.jwk()).collect();
    Json(json!({ "keys": keys })).into_response()
}

/// The endpoint that `ACTIONS_ID_TOKEN_REQUEST_URL` names in a GitHub Actions job.
async fn token_for_job(
    State(state): State<Arc<IssuerState>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let job = bearer(&headers).and_then(|token| state.jobs().get(token).cloned());
    let Some(claimant) = job else {
        return refuse(StatusCode::UNAUTHORIZED, "wanted a job's request token as bearer");
    };
    let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(&uri) else {
        return refuse(StatusCode::BAD_REQUEST, "the query cannot be read");
    };
    let mut audiences = pairs.into_iter().filter(|(name, _)| name == "audience");
    let audience = match (audiences.next(), audiences.next()) {
        (None, _) => claimant.default_audience(&state.url),
        (Some((_, audience)), None) if audience.len() <= AUDIENCE_SIZE_MAX => audience,
        _ => return refuse(StatusCode::BAD_REQUEST, "wanted one audience of reasonable length"),
    };
    match state.spec(&*claimant, &audience).sign(&state.signing_key()) {
        Ok(token) => {
            ([(CACHE_CONTROL, "no-store")], Json(json!({ "value": token }))).into_response()
        }
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the token could not be signed"),
    }
}

/// The credential of `Authorization: Bearer …`; the scheme's case is free (RFC 9110 §11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

//! An OCI registry in memory.
//!
//! OCI distribution specification v1.1, all four categories, and the token protocol that registries
//! use (distribution project, "Token authentication specification"). What a registry may decide is
//! a [`Behaviour`], which can be changed while it runs. It holds a bounded number of bytes, forgets
//! all of them when it ends, and never fetches anything.

mod access;
mod behaviour;
mod blobs;
mod listing;
mod manifests;
mod memory;
mod name;
mod reply;
mod route;
mod store;
mod uploads;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use evidence::Digest;

use crate::fault::FaultRule;
use crate::gate::Gate;
use crate::record::RecordedRequest;
use crate::server::{self, Server};
use crate::{DevkitError, beginning};

pub use behaviour::{Access, Behaviour, Credentials, RateLimit, Referrers};

use access::Tokens;
use memory::Memory;
use name::{Reference, RepositoryName};
use reply::{ErrorCode, Refusal};
use route::Route;
use store::{Blob, Manifest, Store};

/// Largest manifest taken, in bytes: the specification wants 4 MiB to be supported.
const MANIFEST_SIZE_MAX: usize = 4 * 1024 * 1024;

/// Path of the token endpoint.
const TOKEN_PATH: &str = "/token";

/// How to start a [`Registry`].
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// Where to listen; port 0 takes any free port.
    pub address: SocketAddr,
    /// What it does where registries differ.
    pub behaviour: Behaviour,
    /// Largest blob taken, in bytes.
    pub blob_size_max: usize,
    /// Bytes held in all, unfinished uploads included.
    pub memory_size_max: usize,
}

impl Default for RegistryOptions {
    /// Any free port of 127.0.0.1, blobs up to 64 MiB, 512 MiB in all.
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            behaviour: Behaviour::default(),
            blob_size_max: 64 * 1024 * 1024,
            memory_size_max: 512 * 1024 * 1024,
        }
    }
}

/// A running registry. Dropping it ends it.
pub struct Registry {
    server: Server,
    gate: Arc<Gate>,
    state: Arc<RegistryState>,
}

struct RegistryState {
    /// `http://host:port`, for the challenge's realm.
    url: String,
    blob_size_max: usize,
    behaviour: Mutex<Arc<Behaviour>>,
    store: Mutex<Store>,
    memory: Memory,
    tokens: Mutex<Tokens>,
    /// Requests since the start or the last refill.
    spent: AtomicU64,
}

/// One request with what was understood of it.
struct Call {
    parts: Parts,
    query: Vec<(String, String)>,
    behaviour: Arc<Behaviour>,
}

impl Registry {
    /// Starts an empty registry.
    ///
    /// # Errors
    /// When the address is not a loopback address or is taken.
    pub async fn start(options: RegistryOptions) -> Result<Self, DevkitError> {
        let bound = server::bind(options.address).await?;
        let state = Arc::new(RegistryState {
            url: format!("http://{}", bound.address()),
            blob_size_max: options.blob_size_max,
            behaviour: Mutex::new(Arc::new(options.behaviour)),
            store: Mutex::new(Store::default()),
            memory: Memory::new(options.memory_size_max),
            tokens: Mutex::new(Tokens::default()),
            spent: AtomicU64::new(0),
        });
        let gate = Gate::new(bound.stopping(), |status| Refusal::of_status(status).into_response());
        let router = Router::new()
            .route(TOKEN_PATH, get(access::issue_token).post(access::exchange_token))
            .fallback(answer)
            .with_state(Arc::clone(&state));
        let server = bound.serve(gate.guard(router));
        Ok(Self { server, gate, state })
    }

    /// Where it listens. Its text form is the registry's part of an image reference.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its base URL, without a final slash.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.state.url
    }

    /// Behaves like this from the next request on.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        *self.state.lock_behaviour() = Arc::new(behaviour);
    }

    /// Lets the rate limit begin anew.
    pub fn refill(&self) {
        self.state.spent.store(0, Ordering::Relaxed);
    }

    /// Makes all tokens given out so far invalid, as if they had expired.
    pub fn revoke_tokens(&self) {
        self.state.tokens().clear();
    }

    /// Stores a manifest as it is, without a look at it: for evidence that no honest registry would
    /// take. A reference that is a digest need not be that of `bytes`.
    ///
    /// # Errors
    /// When name or reference is malformed, or the memory is full.
    pub fn plant_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Result<Digest, DevkitError> {
        let name = parse_name(repository)?;
        let reference = Reference::parse(reference)
            .ok_or_else(|| DevkitError::Reference { found: beginning(reference) })?;
        let bytes = bytes.into();
        let held = self.state.hold(bytes.len())?;
        let digest = match &reference {
            Reference::Digest(digest) => *digest,
            Reference::Tag(_) => Digest::sha256(&bytes),
        };
        let manifest = Manifest::unchecked(media_type, bytes, held);
        let mut store = self.state.store();
        let repository = store.open(&name).ok_or_else(|| self.state.full())?;
        repository.put_manifest(digest, manifest);
        if let Reference::Tag(tag) = reference {
            repository.tags.insert(tag, digest);
        }
        Ok(digest)
    }

    /// Stores a blob under any digest.
    ///
    /// # Errors
    /// When the name is malformed or the memory is full.
    pub fn plant_blob(
        &self,
        repository: &str,
        digest: Digest,
        bytes: impl Into<Bytes>,
    ) -> Result<(), DevkitError> {
        let name = parse_name(repository)?;
        let bytes = bytes.into();
        let held = self.state.hold(bytes.len())?;
        let mut store = self.state.store();
        let repository = store.open(&name).ok_or_else(|| self.state.full())?;
        repository.blobs.insert(digest, Arc::new(Blob::new(bytes, held)));
        Ok(())
    }

    /// The bytes of a manifest, by tag or digest; `None` if there is none.
    #[must_use]
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<Bytes> {
        let name = RepositoryName::parse(repository)?;
        let reference = Reference::parse(reference)?;
        let store = self.state.store();
        let (_, manifest) = store.repository(&name)?.manifest(&reference)?;
        Some(manifest.bytes.clone())
    }

    /// The tags of a repository in order; empty if there is no such repository.
    #[must_use]
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let Some(name) = RepositoryName::parse(repository) else { return Vec::new() };
        let store = self.state.store();
        let tags = store.repository(&name).map(|repository| repository.tags.keys());
        tags.into_iter().flatten().map(ToString::to_string).collect()
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

fn parse_name(text: &str) -> Result<RepositoryName, DevkitError> {
    RepositoryName::parse(text)
        .ok_or_else(|| DevkitError::RepositoryName { found: beginning(text) })
}

impl RegistryState {
    fn behaviour(&self) -> Arc<Behaviour> {
        Arc::clone(&self.lock_behaviour())
    }

    fn lock_behaviour(&self) -> MutexGuard<'_, Arc<Behaviour>> {
        self.behaviour.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never held across an `await`, and every change under it is whole before anything can panic.
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, size: usize) -> Result<memory::Held, DevkitError> {
        self.memory.hold(size).ok_or_else(|| self.full())
    }

    fn full(&self) -> DevkitError {
        DevkitError::Full { size_max: self.memory.size_max() }
    }
}

/// Everything but the token endpoint.
async fn answer(State(state): State<Arc<RegistryState>>, request: Request) -> Response {
    let mut answer = match try_answer(&state, request).await {
        Ok(answer) => answer,
        Err(refusal) => refusal.into_response(),
    };
    // Not in OCI's specification; Docker's clients look for it.
    let version = HeaderValue::from_static("registry/2.0");
    answer.headers_mut().insert("docker-distribution-api-version", version);
    answer
}

async fn try_answer(state: &RegistryState, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let behaviour = state.behaviour();
    check_rate(state, &behaviour)?;
    let query = parse_query(&parts.uri)?;
    let route = route::parse(parts.uri.path());
    let call = Call { parts, query, behaviour };
    // Before anything is told about the path: who may not ask learns nothing.
    access::check(state, &call, route.as_ref().ok())?;
    dispatch(state, &call, route?, body).await
}

async fn dispatch(
    state: &RegistryState,
    call: &Call,
    route: Route,
    body: Body,
) -> Result<Response, Refusal> {
    match (call.parts.method.as_str(), route) {
        ("GET" | "HEAD", Route::Base) => Ok(StatusCode::OK.into_response()),
        ("GET" | "HEAD", Route::Blob(name, digest)) => blobs::read(state, call, &name, &digest),
        ("DELETE", Route::Blob(name, digest)) => blobs::delete(state, call, &name, &digest),
        ("POST", Route::Uploads(name)) => uploads::start(state, call, name, body).await,
        ("GET", Route::Upload(name, id)) => uploads::status(state, &name, &id),
        ("PATCH", Route::Upload(name, id)) => uploads::append(state, call, &name, &id, body).await,
        ("PUT", Route::Upload(name, id)) => uploads::finish(state, call, &name, &id, body).await,
        ("DELETE", Route::Upload(name, id)) => uploads::cancel(state, &name, &id),
        ("GET" | "HEAD", Route::Manifest(name, reference)) => {
            manifests::read(state, call, &name, &reference)
        }
        ("PUT", Route::Manifest(name, reference)) => {
            manifests::write(state, call, &name, &reference, body).await
        }
        ("DELETE", Route::Manifest(name, reference)) => {
            manifests::delete(state, call, &name, &reference)
        }
        ("GET" | "HEAD", Route::Tags(name)) => listing::tags(state, call, &name),
        ("GET" | "HEAD", Route::Referrers(name, digest)) => {
            listing::referrers(state, call, &name, &digest)
        }
        (method, _) => Err(Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::Unsupported,
            format!("{} cannot be done here", beginning(method)),
        )),
    }
}

fn check_rate(state: &RegistryState, behaviour: &Behaviour) -> Result<(), Refusal> {
    let before = state.spent.fetch_add(1, Ordering::Relaxed);
    match &behaviour.rate_limit {
        Some(limit) if before >= limit.requests => Err(Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::TooManyRequests,
            format!("more than {} requests", limit.requests),
        )
        .header("retry-after", &limit.retry_after_s.to_string())),
        _ => Ok(()),
    }
}

fn parse_query(uri: &Uri) -> Result<Vec<(String, String)>, Refusal> {
    Query::try_from_uri(uri)
        .map(|Query(pairs)| pairs)
        .map_err(|_| Refusal::unsupported("the query cannot be read"))
}

impl Call {
    /// The first query parameter of that name.
    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// A header as text; `None` if it is absent or not text.
    fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }
}

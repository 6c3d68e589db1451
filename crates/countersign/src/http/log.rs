//! What the logs' APIs share: errors, work off the runtime's threads, and static tiles.
//!
//! C2SP tlog-tiles ("APIs") and static-ct-api.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tlog::intake::{Admitted, Refused};
use tlog::{AppendError, Log, ReadError, Tile, TileKind};
use tokio::sync::Semaphore;

use super::{ApiError, Services};
use crate::instance::Instance;

/// Longest request about an entry read, in bytes (rekor-tiles' own limit).
pub(super) const ENTRY_SIZE_MAX: usize = 4 * 1024 * 1024;

/// Requests to log something that are judged at the same time.
const JUDGED_AT_ONCE: usize = 8;

/// Runs what reads the disk or signs where blocking does no harm.
pub(super) async fn unblocked<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::internal())
}

/// Turns to judge requests to log something, which take several times their length in memory
/// meanwhile. There is no use in more than there are processors.
pub(crate) struct Intake(Semaphore);

impl Intake {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(JUDGED_AT_ONCE))
    }

    /// Judges a request when its turn has come. How long it waits is bounded by its own time.
    pub(super) async fn judge(
        &self,
        judge: impl FnOnce() -> Result<Admitted, Refused> + Send + 'static,
    ) -> Result<Admitted, ApiError> {
        let _turn = self.0.acquire().await.map_err(|_| ApiError::internal())?;
        unblocked(judge).await?.map_err(|error| refused(&error))
    }
}

/// A request that is not taken in is the client's to mend.
pub(super) fn refused(error: &Refused) -> ApiError {
    match error {
        Refused::Leaf(_) => ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, 8, with_causes(error)),
        _ => ApiError::invalid(with_causes(error)),
    }
}

/// What the client is told when an entry has no place.
pub(super) fn append_error(error: &AppendError) -> ApiError {
    match error {
        AppendError::Full => ApiError::unavailable(error.to_string()),
        AppendError::Stopped(_) => {
            ApiError::unavailable("the log has stopped; the entry may or may not be in it")
        }
        AppendError::OtherForm { .. } | AppendError::Refused(_) | AppendError::NotSigned(_) => {
            tracing::error!(error = error as &dyn std::error::Error, "nothing was logged");
            ApiError::internal()
        }
    }
}

/// What the client is told when something was not read.
pub(super) fn read_error(error: &ReadError) -> ApiError {
    match error {
        ReadError::OutsideTree { .. } => ApiError::not_found(),
        ReadError::NotPublished { .. } | ReadError::SizesReversed { .. } => {
            ApiError::invalid(error.to_string())
        }
        ReadError::IndexBehind { .. } => ApiError::unavailable(error.to_string()),
        ReadError::Missing { .. }
        | ReadError::Damaged { .. }
        | ReadError::Index(_)
        | ReadError::Storage(_) => {
            tracing::error!(error = error as &dyn std::error::Error, "the log cannot be read");
            ApiError::internal()
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Which of the instance's logs.
type Which = fn(&Instance) -> &Arc<Log>;

/// Checkpoint and tiles of a log under a prefix.
pub(super) fn tiles(prefix: &str, which: Which) -> Router<Arc<Services>> {
    Router::new()
        .route(&format!("{prefix}/checkpoint"), get(move |state| checkpoint(state, which)))
        .route(
            &format!("{prefix}/tile/{{*path}}"),
            get(move |state, path| tile(state, path, which)),
        )
}

async fn checkpoint(State(services): State<Arc<Services>>, which: Which) -> Response {
    let signed = which(&services.instance).checkpoint();
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    (headers, signed.note.clone()).into_response()
}

async fn tile(
    State(services): State<Arc<Services>>,
    path: Result<Path<String>, PathRejection>,
    which: Which,
) -> Result<Response, ApiError> {
    let Path(path) = path.map_err(|_| ApiError::not_found())?;
    let tile: Tile = format!("tile/{path}").parse().map_err(|_| ApiError::not_found())?;
    let log = Arc::clone(which(&services.instance));
    let read = unblocked(move || log.tile(tile)).await?;
    let bytes = read.map_err(|error| read_error(&error))?.ok_or_else(ApiError::not_found)?;
    let bytes = services.room.answer(bytes)?;
    let headers = [
        (CONTENT_TYPE, "application/octet-stream"),
        // A tile never changes once it is published.
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    debug_assert!(tile.kind() != TileKind::Side, "side tiles have no public path");
    Ok((StatusCode::OK, headers, bytes).into_response())
}

/// The certificates in the chains of a CT log's entries, each under its SHA-256: C2SP
/// static-ct-api, "Issuers". All of ours have the authority's own.
pub(super) fn issuers(prefix: &str) -> Router<Arc<Services>> {
    Router::new().route(&format!("{prefix}/issuer/{{fingerprint}}"), get(issuer))
}

async fn issuer(
    State(services): State<Arc<Services>>,
    fingerprint: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(fingerprint) = fingerprint.map_err(|_| ApiError::not_found())?;
    let chain = services.instance.certificates.authority().chain();
    let issuer = chain
        .iter()
        .find(|issuer| hex::encode(crypto::sha256(issuer.der())) == fingerprint)
        .ok_or_else(ApiError::not_found)?;
    Ok(([(CONTENT_TYPE, "application/pkix-cert")], issuer.der().to_vec()).into_response())
}

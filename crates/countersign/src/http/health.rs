//! Liveness and readiness.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;

use super::{ApiError, Services};

/// `/healthz`: the process answers. `/readyz`: every log takes entries.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/ping", get(|| async { "pong\n" }))
        .route("/readyz", get(ready))
}

async fn ready(State(services): State<Arc<Services>>) -> Result<&'static str, ApiError> {
    if services.instance.is_ready() {
        Ok("ready\n")
    } else {
        Err(ApiError::unavailable("a log has stopped; restart the process to recover it"))
    }
}

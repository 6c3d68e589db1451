//! What clients need to use and trust the instance, under fixed names.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;

use super::Services;
use crate::instance::TrustFiles;

/// `/trusted_root.json`, `/signing_config.json`, `/trust_config.json`.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/trusted_root.json", serve(|files| &files.trusted_root))
        .route("/signing_config.json", serve(|files| &files.signing_config))
        .route("/trust_config.json", serve(|files| &files.trust_config))
}

fn serve(
    which: impl Fn(&TrustFiles) -> &Vec<u8> + Copy + Send + Sync + 'static,
) -> axum::routing::MethodRouter<Arc<Services>> {
    get(move |State(services): State<Arc<Services>>| async move {
        let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")];
        (headers, which(&services.instance.files).clone()).into_response()
    })
}

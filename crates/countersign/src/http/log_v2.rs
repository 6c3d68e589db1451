//! The transparency log's v2 API: one request to create an entry; everything else is tiles.
//!
//! rekor-tiles `rekor_service.proto` through grpc-gateway. The answer is a `TransparencyLogEntry`
//! with every field present, because sigstore-python's model wants them.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use evidence::LogEntry;
use evidence::entry::InclusionProof;
use evidence::note::key_id;
use tlog::intake::v2;

use super::body::RequestBody;
use super::log::{ENTRY_SIZE_MAX, append_error, read_error, unblocked};
use super::{ApiError, Services};

/// `POST /api/v2/log/entries`.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new().route("/api/v2/log/entries", post(create))
}

/// The same entry again is answered with the place it has: there is no promise in the answer that
/// could be of another time.
async fn create(
    State(services): State<Arc<Services>>,
    body: RequestBody<ENTRY_SIZE_MAX>,
) -> Result<Response, ApiError> {
    let dsse = services.log_v2_dsse;
    let admitted = services.intake.judge(move || v2::propose(&body, dsse)).await?;
    let log = Arc::clone(&services.instance.log_v2);
    let appending = log.append(admitted.leaf).map_err(|error| append_error(&error))?;
    let appended = appending.await.map_err(|error| append_error(&error))?;

    let proof = unblocked(move || {
        let signed = log.checkpoint();
        let hashes = log.inclusion_proof(appended.index, signed.checkpoint.size)?;
        Ok((signed, hashes))
    });
    let (signed, hashes) = proof.await?.map_err(|error| read_error(&error))?;
    let instance = &services.instance;
    let (kind, version) = admitted.body.kind_and_version();
    let entry = LogEntry {
        log_id: key_id(&instance.settings.host, instance.log_v2_signer.public_key()).to_vec(),
        log_index: appended.index.0,
        kind: kind.to_owned(),
        version: version.to_owned(),
        integrated_time: None,
        promise: None,
        proof: Some(InclusionProof {
            leaf_index: appended.index,
            tree_size: signed.checkpoint.size,
            root: signed.checkpoint.root,
            hashes,
            checkpoint: Some(signed.note.clone()),
        }),
        canonical_body: admitted.canonical,
        body: admitted.body,
    };
    let headers = [(CONTENT_TYPE, "application/json")];
    Ok((StatusCode::CREATED, headers, entry.to_json()).into_response())
}

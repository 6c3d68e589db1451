//! The timestamp authority: RFC 3161 over HTTP, and the JSON form of Sigstore's own.
//!
//! RFC 3161 §3.4; timestamp-authority's OpenAPI document.

use std::sync::Arc;

use ::authority::SerialNumber;
use ::authority::stamp::{Rejection, TimestampRequest};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use evidence::Certificate;

use super::{ApiError, Services};
use crate::instance::RaiseError;

const QUERY: &str = "application/timestamp-query";
const REPLY: &str = "application/timestamp-reply";

/// `POST /api/v1/timestamp` and `GET /api/v1/timestamp/certchain`.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/api/v1/timestamp", post(stamp))
        .route("/api/v1/timestamp/certchain", get(chain))
}

async fn chain(State(services): State<Arc<Services>>) -> Response {
    let chain = services.instance.timestamps.chain().iter().map(Certificate::to_pem);
    ([(CONTENT_TYPE, "application/pem-certificate-chain")], chain.collect::<String>())
        .into_response()
}

async fn stamp(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let authority = &services.instance.timestamps;
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.split(';').next()).unwrap_or("").trim();
    let (request, is_der) = match media_type.to_ascii_lowercase().as_str() {
        QUERY => (TimestampRequest::parse_der(&body, authority), true),
        "application/json" => (TimestampRequest::parse_json(&body, authority), false),
        _ => {
            let message = format!("wanted the content type {QUERY} or application/json");
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, 3, message));
        }
    };
    let request = match request {
        Ok(request) => request,
        Err(rejection) => return reject(&rejection, is_der),
    };
    let made = tokio::task::spawn_blocking(move || {
        let instance = &services.instance;
        let now = (instance.clock)();
        let serial = SerialNumber::from_random(crypto::random::bytes());
        instance.timestamp_floor.raise(|floor| {
            let stamped = instance.timestamps.stamp(&request, serial, now, floor)?;
            Ok((stamped.response, stamped.time))
        })
    })
    .await
    .map_err(|_| ApiError::internal())?;
    match made {
        Ok(response) => Ok(([(CONTENT_TYPE, REPLY)], response).into_response()),
        Err(RaiseError::State(error)) => {
            tracing::error!(%error, "no timestamp was made");
            let rejection = Rejection::from(&error);
            if is_der { reject(&rejection, true) } else { Err(ApiError::internal()) }
        }
        Err(RaiseError::Write(error)) => {
            tracing::error!(%error, "the last time stated could not be kept; no timestamp was made");
            Err(ApiError::internal())
        }
    }
}

/// A client that speaks DER gets a rejection in DER, with the status its own tools expect.
fn reject(rejection: &Rejection, is_der: bool) -> Result<Response, ApiError> {
    if !is_der {
        return Err(ApiError::invalid(rejection.to_string()));
    }
    let status = match rejection {
        Rejection::SystemFailure => StatusCode::INTERNAL_SERVER_ERROR,
        Rejection::TimeNotAvailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    };
    Ok((status, [(CONTENT_TYPE, REPLY)], rejection.to_response()).into_response())
}

//! The timestamp authority: RFC 3161 over HTTP, and the JSON form of Sigstore's own.
//!
//! RFC 3161 §3.4; timestamp-authority's OpenAPI document.

use std::sync::Arc;

use ::authority::SerialNumber;
use ::authority::stamp::{Rejection, TimestampRequest};
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use evidence::Certificate;

use super::body::RequestBody;
use super::log::unblocked;
use super::{ApiError, Services};
use crate::instance::Instance;

/// Longest request read, in bytes: more than any that is granted, so that one that is a little too
/// long is still told so in its own format.
const REQUEST_SIZE_MAX: usize = 64 * 1024;

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
    body: RequestBody<REQUEST_SIZE_MAX>,
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
    let instance = Arc::clone(&services.instance);
    match unblocked(move || state(&instance, &request)).await? {
        Ok(response) => Ok(([(CONTENT_TYPE, REPLY)], response).into_response()),
        Err(rejection) if is_der => reject(&rejection, true),
        Err(Rejection::TimeNotAvailable) => {
            Err(ApiError::unavailable(Rejection::TimeNotAvailable.to_string()))
        }
        Err(_) => Err(ApiError::internal()),
    }
}

/// Makes a token. It leaves only once no later one can state an earlier time.
fn state(instance: &Instance, request: &TimestampRequest) -> Result<Vec<u8>, Rejection> {
    let serial = SerialNumber::from_random(crypto::random::bytes());
    let floor = instance.timestamp_floor.current();
    let stamped = instance.timestamps.stamp(request, serial, (instance.clock)(), floor);
    let stamped = stamped.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "no timestamp was made");
        Rejection::from(&error)
    })?;
    instance.timestamp_floor.raise(stamped.time).map_err(|error| {
        tracing::error!(%error, "the time stated could not be kept; the timestamp is withheld");
        Rejection::SystemFailure
    })?;
    Ok(stamped.response)
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

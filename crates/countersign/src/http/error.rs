//! Errors on the wire, as grpc-gateway writes them: `{"code", "message", "details"}`; from the v1
//! log as Rekor writes them, with the HTTP status for a code.
//!
//! Sigstore's clients show `message`, so that it says what was found and wanted.

use std::borrow::Cow;

use ::authority::WireError;
use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An error answer.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    /// gRPC status code.
    code: u8,
    message: Cow<'static, str>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: u8, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// The request is not one that can be answered: 400.
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 3, message)
    }

    /// The request is not JSON: 400, without more of its content than fits on a line.
    pub(crate) fn not_json(error: &serde_json::Error) -> Self {
        Self::invalid(format!("the request is not one: {}", evidence::proto_json::explain(error)))
    }

    /// The request is not of the form that the API describes: 422, as Rekor answers it.
    pub(crate) fn unprocessable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, 3, message)
    }

    /// Whether it says that there is nothing.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// There is nothing here: 404.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, 5, "not found")
    }

    /// There is something here, but not for this method: 405.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, 12, "method not allowed")
    }

    /// Something failed here; what, is in the log: 500.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, 13, "internal error")
    }

    /// Not now: 503.
    pub(crate) fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, 14, message)
    }
}

impl From<WireError> for ApiError {
    fn from(error: WireError) -> Self {
        let status =
            StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, error.code, error.message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({"code": self.code, "message": self.message, "details": []});
        answer(self.status, &body)
    }
}

/// The same as Rekor writes it: its clients print `code` as the status.
#[derive(Clone, Debug)]
pub(crate) struct RekorError(ApiError);

impl From<ApiError> for RekorError {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for RekorError {
    fn into_response(self) -> Response {
        let Self(ApiError { status, message, .. }) = self;
        answer(status, &json!({"code": status.as_u16(), "message": message}))
    }
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        // Batches are made several times a second: who comes back soon finds room.
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

//! Refusals in the form that the specification gives them, and the headers that most answers have.
//!
//! OCI distribution specification v1.1, "Error Codes".

use axum::Json;
use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, ETAG, LOCATION};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use evidence::Digest;
use serde_json::{Value, json};

/// `Docker-Content-Digest`.
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// The codes of the specification that are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorCode {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    SizeInvalid,
    Unauthorized,
    Denied,
    Unsupported,
    TooManyRequests,
}

impl ErrorCode {
    fn text(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Denied => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
        }
    }
}

/// An answer that says no. Boxed, because it is the rare side of every `Result` here.
#[derive(Debug)]
pub(super) struct Refusal(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    code: ErrorCode,
    message: String,
    detail: Value,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Parts { status, code, message, detail: Value::Null, headers: Vec::new() }))
    }

    /// The refusal that goes with a bare status.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let code = match status {
            StatusCode::UNAUTHORIZED => ErrorCode::Unauthorized,
            StatusCode::FORBIDDEN => ErrorCode::Denied,
            StatusCode::NOT_FOUND => ErrorCode::NameUnknown,
            StatusCode::TOO_MANY_REQUESTS => ErrorCode::TooManyRequests,
            _ => ErrorCode::Unsupported,
        };
        Self::new(status, code, status.canonical_reason().unwrap_or("no reason given"))
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, message)
    }

    /// Deletion is switched off.
    pub(super) fn no_deletion() -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::new(status, ErrorCode::Unsupported, "this registry does not delete")
    }

    /// The budget of bytes or of repositories is spent.
    pub(super) fn full() -> Self {
        let status = StatusCode::INSUFFICIENT_STORAGE;
        Self::new(status, ErrorCode::Denied, "the registry's memory is full")
    }

    pub(super) fn detail(mut self, detail: Value) -> Self {
        self.0.detail = detail;
        self
    }

    /// Adds a header; a value that cannot be one is left out.
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::try_from(value) {
            self.0.headers.push((HeaderName::from_static(name), value));
        }
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Parts { status, code, message, detail, headers } = *self.0;
        let error = json!({ "code": code.text(), "message": message, "detail": detail });
        let mut answer = (status, Json(json!({ "errors": [error] }))).into_response();
        answer.headers_mut().extend(headers);
        answer
    }
}

/// An answer without a body that says where something is now, and its digest if it has one.
pub(super) fn located(status: StatusCode, location: &str, digest: Option<&Digest>) -> Response {
    let mut answer = status.into_response();
    let headers = answer.headers_mut();
    headers.insert(LOCATION, ascii(location));
    // 204 has no length (RFC 9110 §8.6).
    if status != StatusCode::NO_CONTENT {
        headers.insert(CONTENT_LENGTH, 0.into());
    }
    if let Some(digest) = digest {
        headers.insert(CONTENT_DIGEST, ascii(&digest.to_string()));
        headers.insert(ETAG, entity_tag(digest));
    }
    answer
}

/// The strong entity tag of content: its digest in quotes (RFC 9110 §8.8.3).
pub(super) fn entity_tag(digest: &Digest) -> HeaderValue {
    ascii(&format!("\"{digest}\""))
}

/// Whether a list of entity tags (`If-Match`, `If-None-Match`) names this digest. Weak tags count
/// too: content that is named by its digest is equal to the byte.
pub(super) fn names(list: &str, digest: &Digest) -> bool {
    let wanted = digest.to_string();
    list.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.trim_start_matches("W/").trim_matches('"') == wanted)
}

/// Text made here of names, digests and numbers, all of which are ASCII.
pub(super) fn ascii(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).expect("names, digests and numbers are visible ASCII")
}

/// No body, but the length that a `GET` would have shown.
pub(super) fn body_for(is_head: bool, bytes: bytes::Bytes) -> Body {
    if is_head { Body::empty() } else { Body::from(bytes) }
}

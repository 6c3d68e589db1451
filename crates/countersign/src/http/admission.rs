//! The webhook: reviews in, answers out, with bounds on time and memory.
//!
//! A review that cannot be answered gets an HTTP error, which the API server takes as the webhook's
//! `failurePolicy` says: with `Fail`, as a refusal.

use std::sync::Arc;
use std::time::Duration;

use admission::review::REVIEW_SIZE_MAX;
use admission::{Admission, Answer, Gathered, Images, Webhook};
use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use client::{Deadline, Registry};
use evidence::{Digest, ImageRef, UnixTime};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use verify::Obstacle;

use super::{ApiError, bounded};
use crate::gather::gather;

/// Most bytes of reviews worked on at once, counted in [`UNIT`]s. In memory a review takes up to
/// about sixteen times its length.
const REVIEWS_SIZE_MAX: usize = 32 << 20;

/// What a review's length is counted in; also what the shortest counts.
const UNIT: usize = 16 << 10;

/// A registry client as admission asks for images.
pub(crate) struct RegistryImages(pub(crate) Registry);

impl Images for RegistryImages {
    async fn resolve(&self, image: &ImageRef, deadline: Instant) -> Result<Digest, Obstacle> {
        let manifest = self.0.resolve(image, until(deadline)).await?;
        Ok(manifest.digest)
    }

    async fn evidence(&self, image: &ImageRef, deadline: Instant) -> Gathered {
        let Some(digest) = image.digest() else { return Gathered::default() };
        let (pieces, obstacles) = gather(&self.0, image, digest, until(deadline)).await;
        Gathered { pieces, obstacles }
    }
}

fn until(deadline: Instant) -> Deadline {
    Deadline::after(deadline.saturating_duration_since(Instant::now()))
}

/// What the webhook's handlers share.
pub(crate) struct Door {
    admission: Admission<RegistryImages>,
    timeout: Duration,
    now: fn() -> UnixTime,
    room: Semaphore,
}

impl Door {
    /// Answers within `timeout`.
    pub(crate) fn new(
        admission: Admission<RegistryImages>,
        timeout: Duration,
        now: fn() -> UnixTime,
    ) -> Self {
        Self { admission, timeout, now, room: Semaphore::new(REVIEWS_SIZE_MAX / UNIT) }
    }

    /// When the answer must be there.
    fn deadline(&self, asked: &Asked) -> Instant {
        let asked = asked.timeout.as_deref().and_then(seconds);
        // A tenth is for the way back.
        let wanted = asked.map_or(self.timeout, |asked| (asked - asked / 10).min(self.timeout));
        Instant::now() + wanted
    }

    async fn answer(
        &self,
        webhook: Webhook,
        asked: &Asked,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Answer, ApiError> {
        let deadline = self.deadline(asked);
        if !is_json(headers) {
            let message = "wanted an AdmissionReview as application/json";
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, 3, message));
        }
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let length = length.and_then(|length| length.parse().ok()).unwrap_or(REVIEW_SIZE_MAX);
        let too_long = || ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, 3, "the review is too long");
        if length > REVIEW_SIZE_MAX {
            return Err(too_long());
        }
        let units = u32::try_from(length.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX);
        let permit = timeout_at(deadline, self.room.acquire_many(units)).await;
        let Ok(Ok(_permit)) = permit else {
            return Err(ApiError::unavailable("too many reviews at once"));
        };
        let body = timeout_at(deadline, axum::body::to_bytes(body, length)).await;
        let body = match body {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => return Err(too_long()),
            Err(_) => {
                let message = "the review did not arrive in time";
                return Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, 4, message));
            }
        };
        let answer = self.admission.answer(webhook, &body, (self.now)(), deadline).await;
        answer.map_err(|bad| ApiError::invalid(format!("not an AdmissionReview: {bad}")))
    }
}

/// What the API server adds to the URL.
#[derive(Debug, Deserialize)]
struct Asked {
    /// How long it waits, as Go writes durations: `10s`.
    timeout: Option<String>,
}

/// A whole number of seconds; what else Go may write is left to our own timeout.
fn seconds(duration: &str) -> Option<Duration> {
    duration.strip_suffix('s')?.parse().ok().map(Duration::from_secs)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Every route of the webhook.
pub(crate) fn router(door: Arc<Door>) -> Router {
    let routes = Router::new()
        .route("/mutate", post(mutate))
        .route("/validate", post(validate))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(|| async { "ready\n" }))
        .fallback(|| async { ApiError::not_found() })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .with_state(door);
    bounded(routes)
}

async fn mutate(
    State(door): State<Arc<Door>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    respond(door.answer(Webhook::Mutate, &asked, &headers, body).await, "mutate")
}

async fn validate(
    State(door): State<Arc<Door>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    respond(door.answer(Webhook::Validate, &asked, &headers, body).await, "validate")
}

fn respond(answer: Result<Answer, ApiError>, webhook: &'static str) -> Response {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!(webhook, ?error, "a review was not answered");
            return error.into_response();
        }
    };
    let object = answer.object();
    match answer.message() {
        Some(message) if answer.is_unknown() => {
            tracing::warn!(webhook, object, message, "refused, because it could not be told");
        }
        Some(message) => tracing::warn!(webhook, object, message, "refused"),
        None if answer.warnings().is_empty() => {
            tracing::debug!(webhook, object, pinned = answer.patches().len(), "admitted");
        }
        None => {
            let warnings = answer.warnings();
            tracing::info!(webhook, object, ?warnings, "admitted with warnings");
        }
    }
    ([(CONTENT_TYPE, "application/json")], answer.to_json()).into_response()
}

//! The webhook: reviews in, answers out, with bounds on time and memory.
//!
//! A review that cannot be answered gets an HTTP error, which the API server takes as the webhook's
//! `failurePolicy` says: with `Fail`, as a refusal.

use std::sync::Arc;
use std::time::Duration;

use admission::review::REVIEW_SIZE_MAX;
use admission::{Admission, Answer, Gathered, Images, Unanswered, Webhook};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use client::registry::RawEvidence;
use client::registry::discover::Room;
use client::{Deadline, Registry};
use evidence::{Digest, ImageRef, UnixTime};
use serde::Deserialize;
use tokio::time::Instant;
use verify::{Obstacle, ObstacleKind, Piece};

use super::body::{BODY_TIMEOUT, BodyRoom, Parameters, Unread};
use super::{ApiError, bounded};

/// Memory for reviews under way, in bytes, beyond what each has free: for eight of the longest, of
/// which nothing is built while they are read.
const REVIEWS_SIZE_MAX: usize = 56 << 20;

/// Longest list or manifest read of a registry for an image, in bytes, where little and where most of
/// its evidence is fetched. A signature under Cosign's tag takes 10 KiB of one.
const DOCUMENT_SIZES: (u64, u64) = (32 << 10, 1 << 20);

/// A registry client as admission asks for images.
pub(crate) struct RegistryImages(pub(crate) Registry);

impl Images for RegistryImages {
    async fn resolve(&self, image: &ImageRef, deadline: Instant) -> Result<Digest, Obstacle> {
        let manifest = self.0.resolve(image, until(deadline)).await?;
        Ok(manifest.digest)
    }

    async fn evidence(&self, image: &ImageRef, size_max: u64, deadline: Instant) -> Gathered {
        let Some(digest) = image.digest() else { return Gathered::default() };
        let document = (size_max / 4).clamp(DOCUMENT_SIZES.0, DOCUMENT_SIZES.1);
        let room = Room { evidence: size_max, document };
        let until = until(deadline);
        let mut discovery = self.0.discover_within(room, image, digest, until).await;
        while discovery.advance().await {}
        let found = discovery.into_found();
        let mut obstacles: Vec<_> = found.obstacles.iter().map(Obstacle::from).collect();
        let (name, pieces) = (image.name().to_string(), found.pieces);
        // Long pieces are parsed where no socket waits for it.
        let parsed = tokio::task::spawn_blocking(move || {
            let piece = |piece: RawEvidence| {
                let source = format!("{name}@{}", piece.manifest);
                Piece { source, evidence: piece.parse() }
            };
            pieces.into_iter().map(piece).collect()
        });
        let pieces = parsed.await.unwrap_or_else(|_| {
            let what = format!("evidence about {image}");
            let (kind, detail) = (ObstacleKind::Internal, "was lost".to_owned());
            obstacles.push(Obstacle { kind, what, detail });
            Vec::new()
        });
        Gathered { pieces, obstacles, left_out: found.left_out }
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
    room: BodyRoom,
}

impl Door {
    /// Answers within `timeout`.
    pub(crate) fn new(
        admission: Admission<RegistryImages>,
        timeout: Duration,
        now: fn() -> UnixTime,
    ) -> Self {
        Self { admission, timeout, now, room: BodyRoom::new(REVIEWS_SIZE_MAX) }
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
        let until = deadline.min(Instant::now() + BODY_TIMEOUT);
        let review = self.room.read(body, REVIEW_SIZE_MAX, until).await.map_err(unread)?;
        let answer = self.admission.answer(webhook, review, (self.now)(), deadline).await;
        answer.map_err(unanswered)
    }
}

fn unread(unread: Unread) -> ApiError {
    match unread {
        Unread::TooLong => {
            let message = format!("the review is too long: wanted {REVIEW_SIZE_MAX} bytes");
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, 3, message)
        }
        Unread::Late => {
            let message = "the review did not arrive in time";
            ApiError::new(StatusCode::REQUEST_TIMEOUT, 4, message)
        }
        Unread::NoRoom => {
            ApiError::unavailable("other long reviews take up the memory that there is for them")
        }
        Unread::Broken => ApiError::invalid("the review broke off"),
    }
}

fn unanswered(error: Unanswered) -> ApiError {
    match error {
        Unanswered::Bad(bad) => ApiError::invalid(format!("not an AdmissionReview: {bad}")),
        Unanswered::Busy => ApiError::unavailable(error.to_string()),
        Unanswered::Lost => ApiError::internal(),
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
    Parameters(asked): Parameters<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    respond(door.answer(Webhook::Mutate, &asked, &headers, body).await, "mutate")
}

async fn validate(
    State(door): State<Arc<Door>>,
    Parameters(asked): Parameters<Asked>,
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

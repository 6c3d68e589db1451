//! Request bodies and query parameters, read within bounds, and refused as everything else is.
//!
//! A body is read whole before anything is done with it: within a size, within a time, and within
//! memory that all requests share, so that many large uploads cannot take more than that. Large
//! answers are bounded in the same way, for clients that ask for many and read none.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{ApiError, REQUEST_SIZE_MAX, Services};

/// Time for a client to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Memory for the bodies of all requests under way, in bytes. What is made of a body while it is
/// judged takes a few times its size.
const BODIES_SIZE_MAX: usize = 128 << 20;

/// Memory for all large answers that were not read yet, in bytes: a bundle of entries may have 16
/// MiB.
const ANSWERS_SIZE_MAX: usize = 256 << 20;

/// What one permit stands for, in bytes.
const UNIT: usize = 1024;

/// Memory that all requests share.
pub(crate) struct Room {
    bodies: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

impl Room {
    pub(crate) fn new() -> Self {
        let room = |size: usize| Arc::new(Semaphore::new(size / UNIT));
        Self { bodies: room(BODIES_SIZE_MAX), answers: room(ANSWERS_SIZE_MAX) }
    }

    /// Makes bytes a part of an answer, which counts until it was sent, or its client is gone.
    pub(super) fn answer(&self, bytes: Vec<u8>) -> Result<Bytes, ApiError> {
        let room = reserve(&self.answers, bytes.len());
        let room = room.ok_or_else(|| ApiError::unavailable("too much is asked for at once"))?;
        Ok(Bytes::from_owner(Held { bytes, _room: room }))
    }
}

fn reserve(room: &Arc<Semaphore>, size: usize) -> Option<OwnedSemaphorePermit> {
    let units = u32::try_from(size / UNIT + 1).ok()?;
    Arc::clone(room).try_acquire_many_owned(units).ok()
}

/// Bytes, and the room that they take.
struct Held {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A body, and the room that it takes.
pub(crate) struct RequestBody {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Deref for RequestBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl FromRequest<Arc<Services>> for RequestBody {
    type Rejection = ApiError;

    async fn from_request(
        request: Request,
        services: &Arc<Services>,
    ) -> Result<Self, Self::Rejection> {
        // What is not stated may be as much as is taken.
        let stated = request.body().size_hint().upper();
        let size = stated.and_then(|size| usize::try_from(size).ok()).unwrap_or(REQUEST_SIZE_MAX);
        let room = reserve(&services.room.bodies, size.min(REQUEST_SIZE_MAX));
        let room = room.ok_or_else(|| ApiError::unavailable("too much is sent here at once"))?;
        let reading = Bytes::from_request(request, services);
        let read = tokio::time::timeout(BODY_TIMEOUT, reading).await.map_err(|_| {
            ApiError::new(StatusCode::REQUEST_TIMEOUT, 4, "the request's body did not arrive")
        })?;
        let bytes = read.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, 8, "the request's body is too long")
            }
            _ => ApiError::invalid("the request's body could not be read"),
        })?;
        Ok(Self { bytes, _room: room })
    }
}

/// Query parameters.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => {
                let text: String = rejection.body_text().chars().take(160).collect();
                Err(ApiError::unprocessable(text))
            }
        }
    }
}

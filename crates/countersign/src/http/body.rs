//! Request bodies and query parameters, read within bounds, and refused as everything else is.
//!
//! A body is read whole before anything is done with it: within a size, which is its route's, within
//! a time, and within memory that all requests share. Room for it is taken as its bytes arrive, never
//! for what a client says will come: whoever sends nothing holds nothing. And the beginning of each
//! body needs no such room, so that no number of large or slow ones stands in the way of a small one.
//! Large answers are bounded in the same way, for clients that ask for many and read none.

use std::future::poll_fn;
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::{ApiError, Services};

/// Time for a client to send a body.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What of each body needs no room of those that follow, in bytes: all of most. With as many
/// requests as are worked on at once ([`super::REQUESTS_MAX`]) that is 64 MiB.
const FREE_SIZE: usize = 64 << 10;

/// Memory for what is longer, over all requests under way, in bytes. What is made of a body while it
/// is judged takes a few times its size.
const BODIES_SIZE_MAX: usize = 64 << 20;

/// Memory for all large answers that were not read yet, in bytes: a bundle of entries may have 16
/// MiB.
const ANSWERS_SIZE_MAX: usize = 256 << 20;

/// What one permit stands for, in bytes.
const UNIT: usize = 1024;

/// Memory that all requests share.
pub(crate) struct Room {
    bodies: BodyRoom,
    answers: Arc<Semaphore>,
}

impl Room {
    pub(crate) fn new() -> Self {
        let answers = Arc::new(Semaphore::new(ANSWERS_SIZE_MAX / UNIT));
        Self { bodies: BodyRoom::new(BODIES_SIZE_MAX), answers }
    }

    /// Makes bytes a part of an answer, which counts until it was sent, or its client is gone.
    pub(super) fn answer(&self, bytes: Vec<u8>) -> Result<Bytes, ApiError> {
        let room = reserve(&self.answers, bytes.len() + 1);
        let room = room.ok_or_else(|| ApiError::unavailable("too much is asked for at once"))?;
        Ok(Bytes::from_owner(Held { bytes, _room: room }))
    }
}

fn reserve(room: &Arc<Semaphore>, size: usize) -> Option<OwnedSemaphorePermit> {
    let units = u32::try_from(size.div_ceil(UNIT)).ok()?;
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

/// Memory that long bodies share.
#[derive(Clone, Debug)]
pub(crate) struct BodyRoom(Arc<Semaphore>);

/// A body, and the room that it takes.
#[derive(Debug)]
pub(crate) struct Received {
    bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// Longer than is taken, or than it says itself that it will be.
    TooLong,
    /// It did not arrive in time.
    Late,
    /// Other long ones take up the room.
    NoRoom,
    /// It broke off, or is no HTTP.
    Broken,
}

impl BodyRoom {
    /// Room for that many bytes beyond what each body has free.
    pub(crate) fn new(size: usize) -> Self {
        Self(Arc::new(Semaphore::new(size / UNIT)))
    }

    /// Reads a body of at most `size_max` bytes, until `deadline` at the latest.
    pub(crate) async fn read(
        &self,
        body: Body,
        size_max: usize,
        deadline: Instant,
    ) -> Result<Received, Unread> {
        if usize::try_from(body.size_hint().lower()).map_or(true, |size| size > size_max) {
            return Err(Unread::TooLong);
        }
        let mut body = pin!(body);
        let mut size = 0;
        // `None` once there was no room: the rest is then passed over, because many clients listen
        // only when they have said all.
        let mut received = Some(Received { bytes: Vec::new(), room: None });
        loop {
            let frame = timeout_at(deadline, poll_fn(|context| body.as_mut().poll_frame(context)));
            match frame.await {
                Err(_) => return Err(Unread::Late),
                Ok(None) => return received.ok_or(Unread::NoRoom),
                Ok(Some(Err(_))) => return Err(Unread::Broken),
                // What is no data is trailers, which nobody reads.
                Ok(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    size += data.len();
                    if size > size_max {
                        return Err(Unread::TooLong);
                    }
                    received = received.and_then(|received| self.append(received, &data, size_max));
                }
            }
        }
    }

    /// Takes bytes in, if there is room. They are copied, because what the network stack gives may
    /// hold on to more.
    fn append(&self, mut received: Received, data: &[u8], size_max: usize) -> Option<Received> {
        let Received { bytes, room } = &mut received;
        let size = bytes.len() + data.len();
        if size > bytes.capacity() {
            let capacity = size.max(2 * bytes.capacity()).min(size_max);
            let held = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits) * UNIT;
            let wanted = capacity.saturating_sub(FREE_SIZE).saturating_sub(held);
            if wanted > 0 {
                let more = reserve(&self.0, wanted)?;
                match room {
                    Some(room) => room.merge(more),
                    None => *room = Some(more),
                }
            }
            bytes.reserve_exact(capacity - bytes.len());
        }
        bytes.extend_from_slice(data);
        Some(received)
    }
}

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The body of a request to a route that takes `SIZE_MAX` bytes.
pub(crate) struct RequestBody<const SIZE_MAX: usize>(Received);

impl<const SIZE_MAX: usize> Deref for RequestBody<SIZE_MAX> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_ref()
    }
}

impl<const SIZE_MAX: usize> FromRequest<Arc<Services>> for RequestBody<SIZE_MAX> {
    type Rejection = ApiError;

    async fn from_request(
        request: Request,
        services: &Arc<Services>,
    ) -> Result<Self, Self::Rejection> {
        let deadline = Instant::now() + BODY_TIMEOUT;
        let body = services.room.bodies.read(request.into_body(), SIZE_MAX, deadline).await;
        body.map(Self).map_err(|unread| match unread {
            Unread::TooLong => {
                let message = format!("the request's body is too long: wanted {SIZE_MAX} bytes");
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, 8, message)
            }
            Unread::Late => {
                let message = "the request's body did not arrive";
                ApiError::new(StatusCode::REQUEST_TIMEOUT, 4, message)
            }
            Unread::NoRoom => ApiError::unavailable("too much is sent here at once"),
            Unread::Broken => ApiError::invalid("the request's body could not be read"),
        })
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

//! What clients asked, for tests to read: methods, paths and the *names* of headers.
//!
//! Header values are not kept, so that no credential can end up in a test's output; of
//! `Authorization` the scheme is told, which is what tests about leaked credentials ask.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::http::{Method, StatusCode};
use tokio::sync::Notify;

use crate::fault::matches_pattern;

/// Requests kept; older ones are forgotten, so that a long demo does not grow.
const REQUESTS_MAX: usize = 10_000;

/// One request as it arrived, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRequest {
    /// The method.
    pub method: Method,
    /// The path as sent, without the query.
    pub path: String,
    /// The query as sent, without the question mark.
    pub query: Option<String>,
    /// Names of the headers, in lower case, as often as they were sent.
    pub header_names: Vec<String>,
    /// The scheme of `Authorization` as sent, e.g. `Basic`; `None` if the header was absent.
    pub authorization_scheme: Option<String>,
    /// The answer's status; `None` while there is none yet, or ever.
    pub status: Option<StatusCode>,
}

/// The newest requests, in the order they arrived.
#[derive(Debug, Default)]
pub(crate) struct Record {
    log: Mutex<Log>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Log {
    /// Number of the first request kept; request `first + i` is at place `i`.
    first: u64,
    requests: VecDeque<RecordedRequest>,
}

impl Record {
    /// Notes a request and returns its number.
    pub(crate) fn note(&self, request: &Request) -> u64 {
        let entry = RecordedRequest {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().map(str::to_owned),
            header_names: request
                .headers()
                .iter()
                .map(|(name, _)| name.as_str().to_owned())
                .collect(),
            authorization_scheme: request.headers().get(AUTHORIZATION).map(|value| {
                let text = String::from_utf8_lossy(value.as_bytes());
                text.split(' ').next().unwrap_or_default().to_owned()
            }),
            status: None,
        };
        let mut log = self.locked();
        if log.requests.len() == REQUESTS_MAX {
            log.requests.pop_front();
            log.first += 1;
        }
        log.requests.push_back(entry);
        let number = log.first + log.requests.len() as u64 - 1;
        drop(log);
        self.arrived.notify_waiters();
        number
    }

    /// Adds the answer's status to request `number`, if it is still kept.
    pub(crate) fn note_status(&self, number: u64, status: StatusCode) {
        let mut log = self.locked();
        let place = number.checked_sub(log.first).and_then(|place| usize::try_from(place).ok());
        if let Some(entry) = place.and_then(|place| log.requests.get_mut(place)) {
            entry.status = Some(status);
        }
    }

    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        self.locked().requests.iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        let mut log = self.locked();
        log.first += log.requests.len() as u64;
        log.requests.clear();
    }

    /// Waits until a request whose path matches `pattern` has arrived; returns at once if one is
    /// kept already.
    pub(crate) async fn arrived(&self, pattern: &str) {
        loop {
            let mut notified = std::pin::pin!(self.arrived.notified());
            // Enabled before looking, so that a request between the look and the wait counts.
            notified.as_mut().enable();
            if self.locked().requests.iter().any(|seen| matches_pattern(pattern, &seen.path)) {
                return;
            }
            notified.await;
        }
    }

    fn locked(&self) -> MutexGuard<'_, Log> {
        // Every change above is complete before anything can panic.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

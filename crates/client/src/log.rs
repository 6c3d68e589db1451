//! A transparency log: a signature goes there, a log entry comes back.
//!
//! The entry is a claim like any other until `verify` has proven it.

mod search;
mod v1;
mod v2;

pub use search::ProveError;

use std::sync::Arc;

use crypto::{PublicKey, Scheme};
use evidence::bundle::Content;
use evidence::entry::Verifier;
use evidence::{Certificate, LogEntry};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};

use crate::address::ServiceUrl;
use crate::deadline::Deadline;
use crate::error::FetchError;
use crate::http::{Http, Request};

/// Longest answer read, in bytes: a leaf of 64 KiB and a checkpoint of the same in base64, and an
/// attestation of 100 KiB that v1 logs may add.
const ANSWER_SIZE_MAX: u64 = 512 * 1024;

/// The version of a log's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogVersion {
    /// Rekor v1: promises, integrated times, several kinds of entries.
    V1,
    /// Rekor v2: tiles, witnesses, one kind of entry.
    V2,
}

/// A transparency log.
#[derive(Clone, Debug)]
pub struct Log {
    http: Arc<Http>,
    version: LogVersion,
    url: ServiceUrl,
}

/// With what a signature verifies, as the log is to record it.
#[derive(Clone, Debug)]
pub struct SignedBy {
    verifier: Verifier,
    key: PublicKey,
    scheme: Scheme,
}

/// Why a log has no entry for a signature.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Only a digest can be logged, and the signature comes without one.
    #[error("the signature has no digest to log")]
    NoDigest,
    /// The log's format has no name for this way to sign.
    #[error("a v2 log has no name for {scheme:?} with this key")]
    Unnameable {
        /// The way to sign.
        scheme: Scheme,
    },
    /// A v2 log has this very signature already, and does not say where: the answer to an earlier
    /// request was lost. Another signature can be logged.
    #[error("the log has an entry for this signature already, and does not say where")]
    Duplicate,
    /// The log could not be asked, or refused.
    #[error("no log entry")]
    Fetch(#[from] FetchError),
}

impl SignedBy {
    /// The holder of a certificate's key.
    #[must_use]
    pub fn certificate(certificate: &Certificate, scheme: Scheme) -> Self {
        let verifier = Verifier::Certificate(certificate.der().to_vec());
        Self { verifier, key: certificate.public_key().clone(), scheme }
    }

    /// The holder of a key.
    #[must_use]
    pub fn key(key: &PublicKey, scheme: Scheme) -> Self {
        let verifier = Verifier::PublicKey(key.spki_der().to_vec());
        Self { verifier, key: key.clone(), scheme }
    }
}

impl Log {
    /// The log of that version at that base URL.
    #[must_use]
    pub fn new(http: Arc<Http>, version: LogVersion, url: ServiceUrl) -> Self {
        Self { http, version, url }
    }

    pub(crate) fn version(&self) -> LogVersion {
        self.version
    }

    /// Logs a signature, or finds the entry that logs it already.
    ///
    /// # Errors
    /// When the log cannot be asked, refuses, or answers with something else.
    pub async fn append(
        &self,
        content: &Content,
        signed_by: &SignedBy,
        deadline: Deadline,
    ) -> Result<LogEntry, AppendError> {
        match self.version {
            LogVersion::V1 => self.append_v1(content, signed_by, deadline).await,
            LogVersion::V2 => self.append_v2(content, signed_by, deadline).await,
        }
    }

    fn post(&self, path: &str, body: Vec<u8>) -> Request {
        let json = HeaderValue::from_static("application/json");
        Request::new(Method::POST, self.url.join(path))
            .wanting("a log entry", ANSWER_SIZE_MAX)
            .header(CONTENT_TYPE, json.clone())
            .header(ACCEPT, json)
            .body(body)
    }
}

//! Finding a signature in the transparency log by the digest of what was signed, as anybody can who
//! knows nothing else.
//!
//! Rekor `openapi.yaml`: `searchIndex` and `getLogEntryByUUID`. What is found is read, not believed:
//! `verify` has done that.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use client::documents::{FetchDocumentError, fetch_document, post_document};
use client::{Deadline, Http};
use evidence::certificate::SubjectName;
use evidence::entry::{Body, Verifier};
use evidence::{Certificate, Digest, UnixTime};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::exit::{Exit, Failure};

/// Time for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest answer read, in bytes: a leaf of 64 KiB in base64, its proof, and room.
const ANSWER_SIZE_MAX: u64 = 256 * 1024;

/// Where the index is asked.
pub(super) const INDEX_PATH: &str = "api/v1/index/retrieve";

/// What the log says about a signature.
#[derive(Debug)]
pub(super) struct Found {
    /// Its number in the log.
    pub(super) index: u64,
    /// Kind and version of the entry.
    pub(super) kind: String,
    /// When the log took it.
    pub(super) time: UnixTime,
    /// Whom its certificate names.
    pub(super) signer: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    body: String,
    integrated_time: i64,
    log_index: u64,
}

/// The query for everything that was signed with that digest.
pub(super) fn query(digest: &Digest) -> String {
    json!({"hash": digest.to_string()}).to_string()
}

/// Where an entry of the log can be seen.
pub(super) fn entry_url(instance: &Url, index: u64) -> Url {
    let mut url = instance.clone();
    url.set_path("api/v1/log/entries");
    url.set_query(Some(&format!("logIndex={index}")));
    url
}

/// Finds the one entry about that digest in the log at `instance`.
pub(super) async fn find(http: &Http, instance: &Url, digest: &Digest) -> Result<Found, Failure> {
    let at = |path: &str| {
        let mut url = instance.clone();
        url.set_path(path);
        url
    };
    let (index, query) = (at(INDEX_PATH), query(digest).into_bytes());
    let ids = post_document(http, &index, query, ANSWER_SIZE_MAX, deadline()).await;
    let ids: Vec<String> = read(ids)?;
    let [id] = &ids[..] else {
        let message = format!("wanted one log entry about {digest}, found {}", ids.len());
        return Err(Failure::new(Exit::Failure, message));
    };
    let entry = at(&format!("api/v1/log/entries/{id}"));
    let entries = fetch_document(http, &entry, ANSWER_SIZE_MAX, deadline()).await;
    let entries: BTreeMap<String, Entry> = read(entries)?;
    let entry = entries.into_values().next().ok_or_else(|| unreadable("it is empty"))?;
    let leaf = STANDARD.decode(&entry.body).map_err(unreadable)?;
    let body = Body::parse(&leaf).map_err(unreadable)?;
    let (kind, version) = body.kind_and_version();
    Ok(Found {
        index: entry.log_index,
        kind: format!("{kind} {version}"),
        time: UnixTime::from_seconds(entry.integrated_time),
        signer: signer(&body)?,
    })
}

/// Whom the certificate in a leaf names.
fn signer(body: &Body) -> Result<String, Failure> {
    let verifier = match body {
        Body::DsseV1(record) => record.signatures.first().map(|(_, verifier)| verifier),
        Body::HashedRekordV1(record) => Some(&record.verifier),
        Body::HashedRekordV2(_)
        | Body::DsseV2(_)
        | Body::IntotoV1(_)
        | Body::IntotoV2(_)
        | Body::RekordV1(_) => None,
    };
    let Some(Verifier::Certificate(der)) = verifier else {
        return Err(unreadable("it holds no certificate"));
    };
    let certificate = Certificate::parse(der).map_err(unreadable)?;
    let name = certificate.names().first().and_then(SubjectName::as_str);
    name.map(str::to_owned).ok_or_else(|| unreadable("its certificate names nobody"))
}

fn deadline() -> Deadline {
    Deadline::after(ANSWER_TIMEOUT)
}

fn read<T: for<'a> Deserialize<'a>>(
    answer: Result<Vec<u8>, FetchDocumentError>,
) -> Result<T, Failure> {
    let answer = answer
        .map_err(|error| Failure::new(Exit::Failure, "the log did not answer").caused_by(error))?;
    serde_json::from_slice(&answer).map_err(unreadable)
}

fn unreadable(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Failure::new(Exit::Failure, "the log's answer cannot be read").caused_by(why)
}

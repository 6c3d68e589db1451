//! Blobs, whole or in part.
//!
//! OCI distribution specification v1.1, "Pulling blobs" and "Deleting Blobs"; RFC 9110 §14 for
//! ranges.

use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use evidence::Digest;

use super::name::RepositoryName;
use super::reply::{CONTENT_DIGEST, ErrorCode, Refusal, ascii, body_for, entity_tag, names};
use super::{Call, RegistryState};

/// What a `Range` header asks for.
enum Wanted {
    Whole,
    /// First byte, and the one after the last.
    Part(usize, usize),
    Nothing,
}

pub(super) fn read(
    state: &RegistryState,
    call: &Call,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response, Refusal> {
    let blob = {
        let store = state.store();
        let found = store.repository(name).and_then(|repository| repository.blobs.get(digest));
        found.cloned().ok_or_else(|| unknown(digest))?
    };
    let size = blob.bytes.len();
    let (status, bytes, range) = match wanted_part(call, digest, size) {
        Wanted::Whole => (StatusCode::OK, blob.bytes.clone(), None),
        Wanted::Part(start, end) => {
            let range = format!("bytes {start}-{}/{size}", end - 1);
            (StatusCode::PARTIAL_CONTENT, blob.bytes.slice(start..end), Some(range))
        }
        Wanted::Nothing => {
            let message = "no byte of the blob is in that range";
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            return Err(Refusal::new(status, ErrorCode::SizeInvalid, message)
                .header("content-range", &format!("bytes */{size}")));
        }
    };
    if call.header("if-none-match").is_some_and(|list| names(list, digest)) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, entity_tag(digest))]).into_response());
    }
    let length = bytes.len();
    let mut answer = Response::new(body_for(call.parts.method == Method::HEAD, bytes));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_DIGEST, ascii(&digest.to_string()));
    headers.insert(ETAG, entity_tag(digest));
    if let Some(range) = range {
        headers.insert(CONTENT_RANGE, ascii(&range));
    }
    Ok(answer)
}

pub(super) fn delete(
    state: &RegistryState,
    call: &Call,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response, Refusal> {
    if !call.behaviour.deletion {
        return Err(Refusal::no_deletion());
    }
    let mut store = state.store();
    let repository = store.repository_mut(name);
    let removed = repository.and_then(|repository| repository.blobs.remove(digest));
    removed.map(|_| StatusCode::ACCEPTED.into_response()).ok_or_else(|| unknown(digest))
}

fn unknown(digest: &Digest) -> Refusal {
    let message = "the blob is not in this repository";
    Refusal::new(StatusCode::NOT_FOUND, ErrorCode::BlobUnknown, message)
        .detail(serde_json::json!({ "digest": digest.to_string() }))
}

/// One range is obeyed; several, another unit or nonsense get the whole blob, as RFC 9110 §14.2
/// allows. `HEAD` has no ranges.
fn wanted_part(call: &Call, digest: &Digest, size: usize) -> Wanted {
    let current = call.header("if-range").is_none_or(|tag| names(tag, digest));
    let range = call.header("range").and_then(|range| range.strip_prefix("bytes="));
    match range.filter(|_| current && call.parts.method == Method::GET) {
        Some(range) => parse_range(range.trim(), size).unwrap_or(Wanted::Whole),
        None => Wanted::Whole,
    }
}

/// RFC 9110 §14.1.2: `first-last`, `first-` or `-count`; `None` for anything else.
fn parse_range(range: &str, size: usize) -> Option<Wanted> {
    let (first, last) = range.split_once('-')?;
    let part = |start: usize, end: usize| {
        if start < end { Wanted::Part(start, end) } else { Wanted::Nothing }
    };
    if first.is_empty() {
        let count: usize = number(last)?;
        return Some(part(size - count.min(size), size));
    }
    let start = number(first)?;
    let end = if last.is_empty() { size } else { number(last)?.saturating_add(1) };
    if end <= start && !last.is_empty() {
        return None;
    }
    Some(part(start, end.min(size)))
}

/// Digits only: Rust's `parse` would also take a plus sign. Too many digits mean "very far".
fn number(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::{Wanted, parse_range};

    #[test]
    fn ranges_follow_rfc_9110() {
        for (range, expected) in [
            ("0-0", Some(Some((0, 1)))),
            ("0-9", Some(Some((0, 10)))),
            ("3-5", Some(Some((3, 6)))),
            ("3-", Some(Some((3, 10)))),
            ("3-99", Some(Some((3, 10)))),
            ("-4", Some(Some((6, 10)))),
            ("-99", Some(Some((0, 10)))),
            ("0-99999999999999999999999", Some(Some((0, 10)))),
            ("10-", Some(None)),
            ("10-12", Some(None)),
            ("-0", Some(None)),
            ("5-3", None),
            ("", None),
            ("-", None),
            ("a-b", None),
            ("+1-2", None),
            ("0-1,3-4", None),
        ] {
            let found = parse_range(range, 10).map(|wanted| match wanted {
                Wanted::Part(start, end) => Some((start, end)),
                Wanted::Nothing => None,
                Wanted::Whole => unreachable!("a range is never the whole by itself"),
            });
            assert_eq!(found, expected, "{range}");
        }
    }
}

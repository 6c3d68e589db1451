//! Blobs on their way in: in one request, in two, or in chunks; or mounted from another repository.
//!
//! OCI distribution specification v1.1, "Pushing blobs" and "Mounting a blob".

use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use crypto::Hash;
use evidence::Digest;
use futures::StreamExt;

use super::memory::Held;
use super::name::RepositoryName;
use super::reply::{ErrorCode, Refusal, ascii, located};
use super::route::parse_digest;
use super::store::{Blob, Upload};
use super::{Call, RegistryState};

/// Starts an upload (end-4a), takes the whole blob (end-4b), or mounts one (end-11).
pub(super) async fn start(
    state: &RegistryState,
    call: &Call,
    name: RepositoryName,
    body: Body,
) -> Result<Response, Refusal> {
    if let Some(mounted) = mount(state, call, &name)? {
        return Ok(mounted);
    }
    let digest = call.parameter("digest").map(parse_digest).transpose()?;
    let (bytes, held) = read_body(state, call, body, 0).await?;
    if let Some(digest) = digest {
        return store_blob(state, &name, &digest, bytes, held);
    }
    let id = hex::encode(crypto::random::bytes::<16>());
    let answer = progress(StatusCode::ACCEPTED, &name, &id, bytes.len());
    state.store().add_upload(Upload { id, repository: name, bytes, held });
    Ok(answer)
}

/// `None` if nothing is to be mounted or nothing can be: an upload starts instead, as specified.
fn mount(
    state: &RegistryState,
    call: &Call,
    name: &RepositoryName,
) -> Result<Option<Response>, Refusal> {
    let (Some(digest), Some(from)) = (call.parameter("mount"), call.parameter("from")) else {
        return Ok(None);
    };
    let digest = parse_digest(digest)?;
    let Some(from) = RepositoryName::parse(from) else { return Ok(None) };
    let mut store = state.store();
    let source = store.repository(&from).and_then(|source| source.blobs.get(&digest));
    let Some(blob) = source.cloned() else { return Ok(None) };
    store.open(name).ok_or_else(Refusal::full)?.blobs.insert(digest, blob);
    Ok(Some(located(StatusCode::CREATED, &blob_location(name, &digest), Some(&digest))))
}

/// How far an upload is (end-13).
pub(super) fn status(
    state: &RegistryState,
    name: &RepositoryName,
    id: &str,
) -> Result<Response, Refusal> {
    let mut store = state.store();
    let upload = store.upload(name, id).ok_or_else(unknown)?;
    Ok(progress(StatusCode::NO_CONTENT, name, id, upload.bytes.len()))
}

/// Takes the next chunk (end-5).
pub(super) async fn append(
    state: &RegistryState,
    call: &Call,
    name: &RepositoryName,
    id: &str,
    body: Body,
) -> Result<Response, Refusal> {
    let size = add_chunk(state, call, name, id, body).await?;
    Ok(progress(StatusCode::ACCEPTED, name, id, size))
}

/// Takes the last chunk, if there is one, and closes the upload (end-6). An upload whose content
/// has another digest than was said is thrown away.
pub(super) async fn finish(
    state: &RegistryState,
    call: &Call,
    name: &RepositoryName,
    id: &str,
    body: Body,
) -> Result<Response, Refusal> {
    let digest = call.parameter("digest").ok_or_else(|| {
        let message = "wanted the query parameter `digest`";
        Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, message)
    })?;
    let digest = parse_digest(digest)?;
    add_chunk(state, call, name, id, body).await?;
    let upload = state.store().take_upload(name, id).ok_or_else(unknown)?;
    store_blob(state, name, &digest, upload.bytes, upload.held)
}

/// Throws an upload away (end-14).
pub(super) fn cancel(
    state: &RegistryState,
    name: &RepositoryName,
    id: &str,
) -> Result<Response, Refusal> {
    state.store().take_upload(name, id).ok_or_else(unknown)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Appends the body to the upload and returns the new size. The body is read before the upload is
/// locked, and appended only if the upload is still where the body was meant to go.
async fn add_chunk(
    state: &RegistryState,
    call: &Call,
    name: &RepositoryName,
    id: &str,
    body: Body,
) -> Result<usize, Refusal> {
    let start = state.store().upload(name, id).ok_or_else(unknown)?.bytes.len();
    let range = call.header("content-range").map(|range| parse_content_range(range, start));
    let range = range.transpose().map_err(|message| out_of_order(name, id, start, message))?;
    let (bytes, held) = read_body(state, call, body, start).await?;
    if range.is_some_and(|size| size != bytes.len()) {
        let message = "the body is not as long as Content-Range says";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::SizeInvalid, message));
    }
    let mut store = state.store();
    let upload = store.upload(name, id).ok_or_else(unknown)?;
    if upload.bytes.len() != start {
        let message = "another chunk came in between";
        return Err(out_of_order(name, id, upload.bytes.len(), message));
    }
    upload.bytes.extend_from_slice(&bytes);
    upload.held.join(held);
    Ok(upload.bytes.len())
}

/// Reads a body that begins at byte `start` of its blob, within the limits for blobs and memory.
async fn read_body(
    state: &RegistryState,
    call: &Call,
    body: Body,
    start: usize,
) -> Result<(Vec<u8>, Held), Refusal> {
    let too_large = || {
        let message = format!("a blob may have {} bytes here", state.blob_size_max);
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid, message)
    };
    let room = state.blob_size_max.saturating_sub(start);
    let declared = call.header("content-length").and_then(|text| text.parse::<u64>().ok());
    if declared.is_some_and(|declared| declared > room as u64) {
        return Err(too_large());
    }
    let mut held = state.memory.hold(0).ok_or_else(Refusal::full)?;
    let mut bytes = Vec::new();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| {
            let message = "the body ended too early";
            Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::BlobUploadInvalid, message)
        })?;
        if piece.len() > room - bytes.len() {
            return Err(too_large());
        }
        held.join(state.memory.hold(piece.len()).ok_or_else(Refusal::full)?);
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes, held))
}

/// `first-last`, both included, without a unit; gives the size.
fn parse_content_range(range: &str, start: usize) -> Result<usize, &'static str> {
    let malformed = "wanted Content-Range as `first-last`";
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (first, last) = range.split_once('-').ok_or(malformed)?;
    if !digits(first) || !digits(last) {
        return Err(malformed);
    }
    let first: usize = first.parse().map_err(|_| malformed)?;
    let last: usize = last.parse().map_err(|_| malformed)?;
    if first != start {
        return Err("the chunk does not follow the last one");
    }
    last.checked_add(1).and_then(|end| end.checked_sub(first)).ok_or(malformed)
}

fn store_blob(
    state: &RegistryState,
    name: &RepositoryName,
    digest: &Digest,
    bytes: Vec<u8>,
    held: Held,
) -> Result<Response, Refusal> {
    let found = Digest::from(Hash::of(digest.algorithm(), &bytes));
    if found != *digest {
        let message = format!("the content is {found}");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, message)
            .detail(serde_json::json!({ "digest": digest.to_string() })));
    }
    let blob = Arc::new(Blob::new(Bytes::from(bytes), held));
    state.store().open(name).ok_or_else(Refusal::full)?.blobs.insert(*digest, blob);
    Ok(located(StatusCode::CREATED, &blob_location(name, digest), Some(digest)))
}

fn blob_location(name: &RepositoryName, digest: &Digest) -> String {
    format!("/v2/{name}/blobs/{digest}")
}

/// Where to go on, and how much is there: `Range` names the last byte, and `0-0` stands for none.
fn progress(status: StatusCode, name: &RepositoryName, id: &str, size: usize) -> Response {
    let mut answer = located(status, &format!("/v2/{name}/blobs/uploads/{id}"), None);
    let range = format!("0-{}", size.saturating_sub(1));
    answer.headers_mut().insert("range", ascii(&range));
    answer.headers_mut().insert("docker-upload-uuid", ascii(id));
    answer
}

fn out_of_order(name: &RepositoryName, id: &str, size: usize, message: &str) -> Refusal {
    Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::BlobUploadInvalid, message)
        .header("location", &format!("/v2/{name}/blobs/uploads/{id}"))
        .header("range", &format!("0-{}", size.saturating_sub(1)))
}

fn unknown() -> Refusal {
    let message = "no such upload: it was finished, cancelled or forgotten";
    Refusal::new(StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown, message)
}

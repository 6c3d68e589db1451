//! Lists: the tags of a repository, and the manifests that refer to another.
//!
//! OCI distribution specification v1.1, "Listing Tags" and "Listing Referrers"; RFC 8288 for the
//! `Link` to the next page.

use std::ops::Bound;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, LINK};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use evidence::Digest;
use serde_json::{Value, json};

use super::behaviour::Referrers;
use super::manifests::name_unknown;
use super::name::RepositoryName;
use super::reply::{Refusal, ascii};
use super::route::parse_digest;
use super::store::Manifest;
use super::{Call, RegistryState};

const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// `OCI-Filters-Applied`.
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// The tags after `last`, at most `n` of them, in ASCII order.
pub(super) fn tags(
    state: &RegistryState,
    call: &Call,
    name: &RepositoryName,
) -> Result<Response, Refusal> {
    let asked = call.parameter("n").map(|text| {
        text.parse::<usize>().map_err(|_| Refusal::unsupported("wanted a whole number as `n`"))
    });
    let asked = asked.transpose()?;
    let size = asked.unwrap_or(usize::MAX).min(call.behaviour.page_size_max.max(1));
    let store = state.store();
    let repository = store.repository(name).ok_or_else(|| name_unknown(name))?;
    let after = call.parameter("last").map_or(Bound::Unbounded, Bound::Excluded);
    let mut found = repository.tags.range::<str, _>((after, Bound::Unbounded));
    let page: Vec<_> = found.by_ref().take(size).map(|(tag, _)| tag.to_string()).collect();
    let more = found.next().is_some();
    let mut answer = Json(json!({ "name": name.to_string(), "tags": page })).into_response();
    if let Some(last) = page.last().filter(|_| more) {
        // Tags need no escape in a query. `n` is repeated as it was asked, not as it was granted.
        let n = asked.map(|n| format!("n={n}&")).unwrap_or_default();
        let link = format!("</v2/{name}/tags/list?{n}last={last}>; rel=\"next\"");
        answer.headers_mut().insert(LINK, ascii(&link));
    }
    Ok(answer)
}

/// The manifests in this repository whose subject is `digest`.
pub(super) fn referrers(
    state: &RegistryState,
    call: &Call,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response, Refusal> {
    let filter = match call.behaviour.referrers {
        // What docker-registry 2.8 says of a path it does not know: no OCI error at all.
        Referrers::Off => {
            return Ok((StatusCode::NOT_FOUND, "404 page not found\n").into_response());
        }
        Referrers::WithoutFilter => None,
        Referrers::On => call.parameter("artifactType"),
    };
    // Our own name for where a page begins; clients take it from `Link`.
    let last = call.parameter("last").map(parse_digest).transpose()?;
    let size = call.behaviour.page_size_max.max(1);
    let store = state.store();
    // "MUST NOT return a 404": an unknown repository has no referrers.
    let all = store.repository(name).into_iter().flat_map(|found| found.referrers(digest));
    let mut found =
        all.filter(|(of, _)| last.is_none_or(|last| **of > last)).filter(|(_, manifest)| {
            filter.is_none_or(|kind| manifest.artifact_type.as_deref() == Some(kind))
        });
    let page: Vec<_> = found.by_ref().take(size).collect();
    let more = found.next().is_some();

    let descriptors: Vec<_> = page.iter().map(|(digest, of)| descriptor(digest, of)).collect();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": descriptors });
    let mut answer = Json(index).into_response();
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(INDEX_TYPE));
    if filter.is_some() {
        headers.insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    if let Some((last, _)) = page.last().filter(|_| more) {
        let filter = filter.map(|kind| format!("artifactType={}&", query_escape(kind)));
        let filter = filter.unwrap_or_default();
        let link = format!("</v2/{name}/referrers/{digest}?{filter}last={last}>; rel=\"next\"");
        headers.insert(LINK, ascii(&link));
    }
    Ok(answer)
}

fn descriptor(digest: &Digest, manifest: &Manifest) -> Value {
    let mut descriptor = json!({
        "mediaType": manifest.media_type,
        "digest": digest.to_string(),
        "size": manifest.bytes.len(),
    });
    if let Some(kind) = &manifest.artifact_type {
        descriptor["artifactType"] = json!(kind);
    }
    if let Some(annotations) = &manifest.annotations {
        descriptor["annotations"] = json!(annotations);
    }
    descriptor
}

/// RFC 3986 §2.1: everything but unreserved characters is escaped.
fn query_escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

//! Manifests and indexes, by tag and by digest.
//!
//! OCI distribution specification v1.1, "Pulling manifests", "Pushing Manifests", "Pushing
//! Manifests with Subject" and "Deleting Manifests"; OCI image specification v1.1 for what is in
//! one; RFC 9110 §13 for conditions.

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use crypto::Hash;
use evidence::Digest;

use super::behaviour::Referrers;
use super::name::{Reference, RepositoryName};
use super::reply::{
    CONTENT_DIGEST, ErrorCode, Refusal, ascii, body_for, entity_tag, located, names,
};
use super::store::{Descriptor, Document, Manifest, Repository};
use super::{Call, MANIFEST_SIZE_MAX, RegistryState};
use crate::beginning;

/// `OCI-Subject`.
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// Media types of image manifests: OCI's and Docker's.
const IMAGE_TYPES: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// Media types of indexes: OCI's and Docker's.
const INDEX_TYPES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// Media types of layers that are fetched from elsewhere and need not be here: OCI's (image
/// specification v1.1, "Non-Distributable Layers") and Docker's begin with these.
const ELSEWHERE_TYPES: [&str; 2] = [
    "application/vnd.oci.image.layer.nondistributable.",
    "application/vnd.docker.image.rootfs.foreign.",
];

pub(super) fn read(
    state: &RegistryState,
    call: &Call,
    name: &RepositoryName,
    reference: &str,
) -> Result<Response, Refusal> {
    let store = state.store();
    let repository = store.repository(name).ok_or_else(|| name_unknown(name))?;
    // What cannot be a reference is not there either.
    let reference = Reference::parse(reference).ok_or_else(|| manifest_unknown(reference))?;
    let (digest, manifest) =
        repository.manifest(&reference).ok_or_else(|| manifest_unknown(&reference.to_string()))?;
    if call.header("if-none-match").is_some_and(|list| names(list, digest)) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, entity_tag(digest))]).into_response());
    }
    let is_head = call.parts.method == Method::HEAD;
    let mut answer = Response::new(body_for(is_head, manifest.bytes.clone()));
    let headers = answer.headers_mut();
    // What was planted by a test may be no header value; then there is none.
    if let Ok(media_type) = HeaderValue::try_from(manifest.media_type.as_str()) {
        headers.insert(CONTENT_TYPE, media_type);
    }
    headers.insert(CONTENT_LENGTH, manifest.bytes.len().into());
    headers.insert(CONTENT_DIGEST, ascii(&digest.to_string()));
    headers.insert(ETAG, entity_tag(digest));
    Ok(answer)
}

pub(super) async fn write(
    state: &RegistryState,
    call: &Call,
    name: &RepositoryName,
    reference: &str,
    body: Body,
) -> Result<Response, Refusal> {
    let reference = Reference::parse(reference).ok_or_else(|| {
        let code = if reference.contains(':') {
            ErrorCode::DigestInvalid
        } else {
            ErrorCode::ManifestInvalid
        };
        let message = format!("wanted a tag or a digest, found `{}`", beginning(reference));
        Refusal::new(StatusCode::BAD_REQUEST, code, message)
    })?;
    let bytes = read_body(body).await?;
    let digest = digest_of(&reference, &bytes)?;
    let (media_type, document) = parse(call, &bytes)?;
    let subject =
        document.subject.as_ref().map(|of| parse_descriptor_digest(&of.digest)).transpose()?;

    let held = state.memory.hold(bytes.len()).ok_or_else(Refusal::full)?;
    let mut store = state.store();
    let repository = store.open(name).ok_or_else(Refusal::full)?;
    check_condition(call, repository, &reference)?;
    check_tag_is_free(call, repository, &reference, &digest)?;
    if call.behaviour.references_checked {
        check_references(repository, &document)?;
    }
    repository.put_manifest(digest, Manifest::new(&media_type, bytes, held, document, subject));
    if let Reference::Tag(tag) = reference {
        repository.tags.insert(tag, digest);
    }

    let location = format!("/v2/{name}/manifests/{digest}");
    let mut answer = located(StatusCode::CREATED, &location, Some(&digest));
    if let Some(subject) = subject
        && call.behaviour.referrers != Referrers::Off
    {
        answer.headers_mut().insert(OCI_SUBJECT, ascii(&subject.to_string()));
    }
    Ok(answer)
}

/// A digest takes the manifest and all its tags away, a tag only itself.
pub(super) fn delete(
    state: &RegistryState,
    call: &Call,
    name: &RepositoryName,
    reference: &str,
) -> Result<Response, Refusal> {
    if !call.behaviour.deletion {
        return Err(Refusal::no_deletion());
    }
    let mut store = state.store();
    let repository = store.repository_mut(name).ok_or_else(|| name_unknown(name))?;
    let removed = match Reference::parse(reference) {
        Some(Reference::Tag(tag)) => repository.tags.remove(&tag).is_some(),
        Some(Reference::Digest(digest)) => repository.remove_manifest(&digest),
        None => false,
    };
    if removed {
        Ok(StatusCode::ACCEPTED.into_response())
    } else {
        Err(manifest_unknown(reference))
    }
}

async fn read_body(body: Body) -> Result<Bytes, Refusal> {
    // The only other failure is a client that went away, and it reads no answer.
    to_bytes(body, MANIFEST_SIZE_MAX).await.map_err(|_| {
        let message = format!("a manifest may have {MANIFEST_SIZE_MAX} bytes here");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid, message)
    })
}

/// The digest in the algorithm that the reference names, which must be the reference's own.
fn digest_of(reference: &Reference, bytes: &[u8]) -> Result<Digest, Refusal> {
    match reference {
        Reference::Tag(_) => Ok(Digest::sha256(bytes)),
        Reference::Digest(wanted) => {
            let found = Digest::from(Hash::of(wanted.algorithm(), bytes));
            if found == *wanted {
                return Ok(found);
            }
            let message = format!("the content is {found}");
            Err(Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, message))
        }
    }
}

/// The media type without parameters, and the document, which agree with each other.
fn parse(call: &Call, bytes: &[u8]) -> Result<(String, Document), Refusal> {
    let document: Document =
        serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
    if document.schema_version != 2 {
        return Err(invalid(format!("wanted schemaVersion 2, found {}", document.schema_version)));
    }
    let sent = call.header("content-type").map(|sent| {
        // "The registry SHOULD ignore parameters on the Content-Type header."
        sent.split(';').next().unwrap_or_default().trim().to_owned()
    });
    let media_type = match (sent, &document.media_type) {
        (Some(sent), Some(said)) if sent != *said => {
            let (sent, said) = (beginning(&sent), beginning(said));
            return Err(invalid(format!("Content-Type is `{sent}`, mediaType is `{said}`")));
        }
        (Some(sent), _) => sent,
        (None, Some(said)) => said.clone(),
        (None, None) => return Err(invalid("wanted a Content-Type")),
    };
    let Document { config, layers, manifests, .. } = &document;
    // The two must not be mixed: CVE-2021-41190 is about documents that are both.
    let well_formed = if IMAGE_TYPES.contains(&media_type.as_str()) {
        config.is_some() && layers.is_some() && manifests.is_none()
    } else if INDEX_TYPES.contains(&media_type.as_str()) {
        manifests.is_some() && config.is_none() && layers.is_none()
    } else {
        return Err(invalid(format!("`{}` is no known manifest type", beginning(&media_type))));
    };
    if !well_formed {
        return Err(invalid(format!("the members are not those of {media_type}")));
    }
    Ok((media_type, document))
}

/// "MAY reject a manifest … with descriptors in other fields that reference a manifest or blob that
/// does not exist"; never because of the subject.
fn check_references(repository: &Repository, document: &Document) -> Result<(), Refusal> {
    let here = |layer: &&Descriptor| {
        !ELSEWHERE_TYPES.iter().any(|start| layer.media_type.starts_with(start))
    };
    let layers = document.layers.iter().flatten().filter(here);
    for descriptor in document.config.iter().chain(layers) {
        let digest = parse_descriptor_digest(&descriptor.digest)?;
        if !repository.blobs.contains_key(&digest) {
            return Err(reference_unknown(&digest));
        }
    }
    for descriptor in document.manifests.iter().flatten() {
        let digest = parse_descriptor_digest(&descriptor.digest)?;
        if !repository.has_manifest(&digest) {
            return Err(reference_unknown(&digest));
        }
    }
    Ok(())
}

/// Several people may write the referrers tag at once; conditions keep them from losing entries.
fn check_condition(
    call: &Call,
    repository: &Repository,
    reference: &Reference,
) -> Result<(), Refusal> {
    if !call.behaviour.conditions_obeyed {
        return Ok(());
    }
    let current = repository.manifest(reference).map(|(digest, _)| digest);
    let named = |list: &str| current.is_some_and(|digest| names(list, digest));
    let holds = call.header("if-match").is_none_or(named)
        && !call.header("if-none-match").is_some_and(named);
    if holds {
        return Ok(());
    }
    let message = "the manifest is not what the condition says";
    Err(Refusal::new(StatusCode::PRECONDITION_FAILED, ErrorCode::Denied, message))
}

fn check_tag_is_free(
    call: &Call,
    repository: &Repository,
    reference: &Reference,
    digest: &Digest,
) -> Result<(), Refusal> {
    let Reference::Tag(tag) = reference else { return Ok(()) };
    match repository.tags.get(tag) {
        Some(current) if !call.behaviour.tags_mutable && current != digest => {
            let message = format!("the tag `{tag}` is immutable and names {current}");
            Err(Refusal::new(StatusCode::CONFLICT, ErrorCode::Denied, message))
        }
        _ => Ok(()),
    }
}

fn parse_descriptor_digest(text: &str) -> Result<Digest, Refusal> {
    text.parse().map_err(|error: evidence::digest::ParseDigestError| invalid(error.to_string()))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid, message)
}

fn reference_unknown(digest: &Digest) -> Refusal {
    let message = "the manifest names something that is not in this repository";
    Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::ManifestBlobUnknown, message)
        .detail(serde_json::json!({ "digest": digest.to_string() }))
}

fn manifest_unknown(reference: &str) -> Refusal {
    let message = format!("no manifest `{}` in this repository", beginning(reference));
    Refusal::new(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown, message)
}

pub(super) fn name_unknown(name: &RepositoryName) -> Refusal {
    let message = format!("no repository `{name}`");
    Refusal::new(StatusCode::NOT_FOUND, ErrorCode::NameUnknown, message)
}

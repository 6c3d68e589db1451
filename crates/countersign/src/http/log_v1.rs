//! The transparency log's v1 API: Rekor's, over our tiles.
//!
//! Rekor `openapi.yaml`. One tree, so that an entry's index in the log and in its tree are the same
//! number. Promise and checkpoint are of the newest tree at each read.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evidence::note::SignedNote;
use evidence::{LeafIndex, TreeSize};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tlog::intake::{Refused, v1};
use tlog::{Log, ReadError, SearchKey, SignedCheckpoint};

use super::log::{append_error, read_error, refused, unblocked};
use super::{ApiError, Services};
use crate::instance::Instance;

/// For how long the same entry again is answered with the entry that is there, in seconds: a
/// client whose first answer was lost asks again, and some take a conflict for a failure. After
/// that it is a conflict, as in Rekor.
const RETRY_WINDOW_SECONDS: i64 = 120;

/// Most entries named in one answer of the index.
const INDEX_ANSWERS_MAX: usize = 1000;

/// Longest e-mail address or other subject in a query, in bytes (Rekor's own limit).
const SUBJECT_SIZE_MAX: usize = 512;

/// Everything under `/api/v1/log` and `/api/v1/index`.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/api/v1/log/entries", post(create).get(by_index))
        .route("/api/v1/log/entries/", post(create))
        .route("/api/v1/log/entries/{id}", get(by_id))
        .route("/api/v1/log/entries/retrieve", post(retrieve))
        .route("/api/v1/log/entries/retrieve/", post(retrieve))
        .route("/api/v1/log", get(info))
        .route("/api/v1/log/", get(info))
        .route("/api/v1/log/proof", get(consistency))
        .route("/api/v1/log/publicKey", get(public_key))
        .route("/api/v1/index/retrieve", post(search))
        .route("/api/v1/index/retrieve/", post(search))
}

async fn create(State(services): State<Arc<Services>>, body: Bytes) -> Result<Response, ApiError> {
    let admitted = unblocked(move || v1::propose(&body)).await?.map_err(|error| refused(&error))?;
    let log = Arc::clone(&services.instance.log_v1);
    let appending = log.append(admitted.leaf).map_err(|error| append_error(&error))?;
    let appended = appending.await.map_err(|error| append_error(&error))?;

    let id = entry_id(&services.instance, &appended.leaf_hash);
    let location = format!("/api/v1/log/entries/{id}");
    let age = (services.instance.clock)().seconds() - appended.time.seconds();
    if appended.already && age > RETRY_WINDOW_SECONDS {
        let message =
            format!("an equivalent entry already exists in the transparency log with UUID {id}");
        let error = ApiError::new(StatusCode::CONFLICT, 6, message);
        return Ok(([(LOCATION, location)], error).into_response());
    }
    let instance = Arc::clone(&services.instance);
    let entry = unblocked(move || entry_at(&instance, appended.index)).await??;
    let etag = HeaderValue::from_str(&id).map_err(|_| ApiError::internal())?;
    let headers = [
        // Unquoted, as Rekor has it: sigstore-go looks the entry up under this very text.
        (ETAG, etag),
        (LOCATION, HeaderValue::from_str(&location).map_err(|_| ApiError::internal())?),
    ];
    Ok((StatusCode::CREATED, headers, Json(entry)).into_response())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ByIndex {
    log_index: Option<u64>,
}

async fn by_index(
    State(services): State<Arc<Services>>,
    Query(query): Query<ByIndex>,
) -> Result<Response, ApiError> {
    let index = query
        .log_index
        .ok_or_else(|| ApiError::unprocessable("wanted the query parameter logIndex"))?;
    let instance = Arc::clone(&services.instance);
    uncached(unblocked(move || entry_at(&instance, LeafIndex(index))).await??)
}

async fn by_id(
    State(services): State<Arc<Services>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let instance = Arc::clone(&services.instance);
    uncached(unblocked(move || entry_of(&instance, &id)).await??)
}

fn uncached(entry: Map<String, Value>) -> Result<Response, ApiError> {
    Ok(([(CACHE_CONTROL, "no-cache")], Json(entry)).into_response())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Retrieve {
    #[serde(rename = "entryUUIDs")]
    entry_ids: Option<Vec<String>>,
    log_indexes: Option<Vec<u64>>,
    entries: Option<Vec<Value>>,
}

async fn retrieve(
    State(services): State<Arc<Services>>,
    body: Bytes,
) -> Result<Json<Vec<Map<String, Value>>>, ApiError> {
    let request: Retrieve = parse(&body)?;
    let ids = request.entry_ids.unwrap_or_default();
    let indexes = request.log_indexes.unwrap_or_default();
    let proposed = request.entries.unwrap_or_default();
    let wanted = ids.len() + indexes.len() + proposed.len();
    if wanted > v1::ENTRIES_PER_QUERY_MAX {
        return Err(ApiError::unprocessable(format!(
            "{wanted} entries are asked for, more than the {} answered at once",
            v1::ENTRIES_PER_QUERY_MAX
        )));
    }
    let instance = Arc::clone(&services.instance);
    let found = unblocked(move || {
        let mut found = Vec::new();
        found.extend(ids.iter().map(|id| entry_of(&instance, id)));
        found.extend(indexes.iter().map(|index| entry_at(&instance, LeafIndex(*index))));
        found.extend(proposed.iter().map(|entry| entry_like(&instance, entry)));
        found
    })
    .await?;
    // What is not there is left out; what could not be read is an error.
    let mut entries = Vec::new();
    for entry in found {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Json(entries))
}

async fn info(State(services): State<Arc<Services>>) -> Json<Value> {
    let SignedCheckpoint { checkpoint, note, .. } = &*services.instance.log_v1.checkpoint();
    Json(json!({
        "rootHash": hex::encode(checkpoint.root),
        "treeSize": checkpoint.size.0,
        "signedTreeHead": note,
        "treeID": services.instance.settings.tree_id.to_string(),
        "inactiveShards": [],
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consistency {
    first_size: Option<u64>,
    last_size: Option<u64>,
    #[serde(rename = "treeID")]
    tree_id: Option<String>,
}

async fn consistency(
    State(services): State<Arc<Services>>,
    Query(query): Query<Consistency>,
) -> Result<Json<Value>, ApiError> {
    let own = services.instance.settings.tree_id.to_string();
    if query.tree_id.is_some_and(|id| id != own) {
        return Err(ApiError::not_found());
    }
    let first = query.first_size.unwrap_or(1);
    let last = query
        .last_size
        .ok_or_else(|| ApiError::unprocessable("wanted the query parameter lastSize"))?;
    if first == 0 || first > last {
        let message = format!("firstSize {first} is not between 1 and lastSize {last}");
        return Err(ApiError::invalid(message));
    }
    let log = Arc::clone(&services.instance.log_v1);
    let proof = move || {
        let (first, last) = (TreeSize(first), TreeSize(last));
        let hashes = log.consistency_proof(first, last)?;
        Ok((log.root(last)?, hashes))
    };
    let (root, hashes) = unblocked(proof).await?.map_err(|error: ReadError| read_error(&error))?;
    let hashes: Vec<_> = hashes.iter().map(hex::encode).collect();
    Ok(Json(json!({"rootHash": hex::encode(root), "hashes": hashes})))
}

async fn public_key(State(services): State<Arc<Services>>) -> Response {
    let pem = services.instance.log_v1_signer.public_key().to_pem();
    ([(CONTENT_TYPE, "application/x-pem-file")], pem).into_response()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Search {
    email: Option<String>,
    subject: Option<String>,
    hash: Option<String>,
    public_key: Option<SearchPublicKey>,
    operator: Option<String>,
}

#[derive(Deserialize)]
struct SearchPublicKey {
    content: Option<String>,
}

/// Entries under each of the given keys; any of them, or with `operator` `and` all.
async fn search(
    State(services): State<Arc<Services>>,
    body: Bytes,
) -> Result<Json<Vec<String>>, ApiError> {
    let query: Search = parse(&body)?;
    let all = match query.operator.as_deref() {
        None | Some("" | "or") => false,
        Some("and") => true,
        Some(_) => return Err(ApiError::unprocessable("wanted the operator `and` or `or`")),
    };
    let keys = search_keys(query)?;
    let instance = Arc::clone(&services.instance);
    let found = unblocked(move || found_under(&instance, &keys, all)).await?;
    found.map(Json).map_err(|error| read_error(&error))
}

fn search_keys(query: Search) -> Result<Vec<SearchKey>, ApiError> {
    let mut keys = Vec::new();
    for subject in [query.email, query.subject].into_iter().flatten() {
        if subject.is_empty() || subject.len() > SUBJECT_SIZE_MAX {
            let message = format!("wanted a subject of 1 to {SUBJECT_SIZE_MAX} bytes");
            return Err(ApiError::unprocessable(message));
        }
        keys.push(SearchKey::of(&subject));
    }
    if let Some(hash) = query.hash {
        let text = v1::hash_query(&hash)
            .ok_or_else(|| ApiError::unprocessable("wanted a hash as `sha256:HEX` or HEX"))?;
        keys.push(SearchKey::of(&text));
    }
    if let Some(key) = query.public_key {
        let pem = key.content.and_then(|content| STANDARD.decode(content).ok());
        let pem = pem.ok_or_else(|| ApiError::unprocessable("wanted a PEM key in base64"))?;
        keys.push(SearchKey::of(&v1::key_query(&pem).map_err(|error| refused(&error))?));
    }
    if keys.is_empty() {
        return Err(ApiError::invalid("wanted one of email, subject, hash and publicKey"));
    }
    Ok(keys)
}

fn found_under(
    instance: &Instance,
    keys: &[SearchKey],
    all: bool,
) -> Result<Vec<String>, ReadError> {
    let log = &instance.log_v1;
    let mut indexes: Option<Vec<LeafIndex>> = None;
    for key in keys {
        let mut found = log.search(*key, INDEX_ANSWERS_MAX)?;
        indexes = Some(match indexes {
            None => found,
            Some(earlier) if all => {
                found.retain(|index| earlier.contains(index));
                found
            }
            Some(mut earlier) => {
                earlier.append(&mut found);
                earlier.sort_unstable();
                earlier.dedup();
                earlier
            }
        });
    }
    let indexes = indexes.unwrap_or_default();
    let ids = indexes.into_iter().take(INDEX_ANSWERS_MAX);
    ids.map(|index| Ok(entry_id(instance, &log.leaf_hash(index)?))).collect()
}

/// An entry's name: the tree's identifier, and the leaf hash, which alone is its UUID.
fn entry_id(instance: &Instance, leaf_hash: &[u8; 32]) -> String {
    format!("{:016x}{}", instance.settings.tree_id, hex::encode(leaf_hash))
}

/// The entry of that name or UUID.
fn entry_of(instance: &Instance, id: &str) -> Result<Map<String, Value>, ApiError> {
    let wanted = || ApiError::unprocessable("wanted an entry's name: 64 or 80 hexadecimal digits");
    let uuid = match id.len() {
        64 => id,
        80 if id.is_ascii() => {
            let (tree, uuid) = id.split_at(16);
            let own = format!("{:016x}", instance.settings.tree_id);
            if !tree.eq_ignore_ascii_case(&own) {
                return Err(ApiError::not_found());
            }
            uuid
        }
        _ => return Err(wanted()),
    };
    let hash = hex::decode(uuid).ok().and_then(|hash| hash.try_into().ok()).ok_or_else(wanted)?;
    let found = instance.log_v1.find(&hash).map_err(|error| read_error(&error))?;
    entry_at(instance, found.ok_or_else(ApiError::not_found)?)
}

/// The entry that this proposed, or already canonical, entry became.
fn entry_like(instance: &Instance, entry: &Value) -> Result<Map<String, Value>, ApiError> {
    let json = serde_json::to_vec(entry).map_err(|_| ApiError::internal())?;
    let canonical = match v1::propose(&json) {
        Ok(admitted) => admitted.canonical,
        Err(Refused::NotYours { .. }) => json,
        Err(error) => return Err(refused(&error)),
    };
    let hash = crypto::merkle::leaf_hash(&canonical);
    let found = instance.log_v1.find(&hash).map_err(|error| read_error(&error))?;
    entry_at(instance, found.ok_or_else(ApiError::not_found)?)
}

/// The entry at an index as Rekor answers with it: a map of one, under the entry's name.
fn entry_at(instance: &Instance, index: LeafIndex) -> Result<Map<String, Value>, ApiError> {
    let log: &Log = &instance.log_v1;
    let failed = |error: ReadError| read_error(&error);
    let signed = log.checkpoint();
    let size = signed.checkpoint.size;
    let entry = log.entry(index).map_err(failed)?;
    let proof = log.inclusion_proof(index, size).map_err(failed)?;
    let key = instance.log_v1_signer.public_key();
    let log_id = hex::encode(key.id());
    let body = STANDARD.encode(&entry.bytes);
    let time = entry.time.seconds();
    // RFC 8785 of exactly these four fields is what the promise covers.
    let promised = format!(
        r#"{{"body":"{body}","integratedTime":{time},"logID":"{log_id}","logIndex":{index}}}"#
    );
    let promise =
        instance.log_v1_signer.sign_bytes(promised.as_bytes()).map_err(|_| ApiError::internal())?;
    let value = json!({
        "body": body,
        "integratedTime": time,
        "logID": log_id,
        "logIndex": index.0,
        "verification": {
            "inclusionProof": {
                "checkpoint": signed.note,
                "hashes": proof.iter().map(hex::encode).collect::<Vec<_>>(),
                "logIndex": index.0,
                "rootHash": hex::encode(signed.checkpoint.root),
                "treeSize": size.0,
            },
            "signedEntryTimestamp": STANDARD.encode(promise),
        },
    });
    debug_assert!(SignedNote::parse(&signed.note).is_ok_and(|note| note.signatures().len() == 1));
    Ok(Map::from_iter([(entry_id(instance, &entry.leaf_hash), value)]))
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::unprocessable(format!("the request is not one: {error:.160}")))
}

//! The transparency log's v1 API: Rekor's, over our tiles.
//!
//! Rekor `openapi.yaml`. One tree, so that an entry's index in the log and in its tree are the same
//! number. Promise and checkpoint are of the newest tree at each read.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evidence::entry::promised_data;
use evidence::note::SignedNote;
use evidence::proto_json::Bounded;
use evidence::{LeafIndex, TreeSize, UnixTime};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tlog::intake::v1;
use tlog::{Appended, Log, ReadError, SearchKey, SignedCheckpoint};

use super::body::{Parameters, RequestBody};
use super::error::RekorError;
use super::log::{ENTRY_SIZE_MAX, append_error, read_error, refused, unblocked};
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

/// Longest search read, in bytes: the longest certificate, subject and hash.
const SEARCH_SIZE_MAX: usize = 64 * 1024;

/// Everything under `/api/v1/log` and `/api/v1/index`. Some clients write a slash at the end.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/api/v1/log/entries", post(create).get(by_index))
        .route("/api/v1/log/entries/", post(create).get(by_index))
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

/// A body, whose refusal is Rekor's too.
type Body<const SIZE_MAX: usize> = Result<RequestBody<SIZE_MAX>, ApiError>;
/// Query parameters, likewise.
type Queried<T> = Result<Parameters<T>, ApiError>;

async fn create(
    State(services): State<Arc<Services>>,
    body: Body<ENTRY_SIZE_MAX>,
) -> Result<Response, RekorError> {
    let body = body?;
    let admitted = services.intake.judge(move || v1::propose(&body)).await?;
    let log = Arc::clone(&services.instance.log_v1);
    let appending = log.append(admitted.leaf).map_err(|error| append_error(&error))?;
    let appended = appending.await.map_err(|error| append_error(&error))?;

    let id = entry_id(&services.instance, &appended.leaf_hash);
    let location = format!("/api/v1/log/entries/{id}");
    if is_conflict(&appended, (services.instance.clock)()) {
        let message =
            format!("an equivalent entry already exists in the transparency log with UUID {id}");
        let error = RekorError::from(ApiError::new(StatusCode::CONFLICT, 6, message));
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

/// Whether an entry was there too long for this to be the same request, sent again.
fn is_conflict(appended: &Appended, now: UnixTime) -> bool {
    appended.already && now.seconds() - appended.time.seconds() > RETRY_WINDOW_SECONDS
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ByIndex {
    log_index: Option<u64>,
}

async fn by_index(
    State(services): State<Arc<Services>>,
    query: Queried<ByIndex>,
) -> Result<Response, RekorError> {
    let Parameters(ByIndex { log_index }) = query?;
    let index =
        log_index.ok_or_else(|| ApiError::unprocessable("wanted the query parameter logIndex"))?;
    let instance = Arc::clone(&services.instance);
    Ok(uncached(unblocked(move || entry_at(&instance, LeafIndex(index))).await??))
}

async fn by_id(
    State(services): State<Arc<Services>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, RekorError> {
    let Path(id) = id.map_err(|_| not_an_id())?;
    let instance = Arc::clone(&services.instance);
    Ok(uncached(unblocked(move || entry_of(&instance, &id)).await??))
}

fn uncached(entry: Map<String, Value>) -> Response {
    ([(CACHE_CONTROL, "no-cache")], Json(entry)).into_response()
}

/// Entries asked for by name, by index, or by what they say.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Retrieve<'a> {
    #[serde(rename = "entryUUIDs")]
    entry_ids: Option<Bounded<String, { v1::ENTRIES_PER_QUERY_MAX }>>,
    log_indexes: Option<Bounded<u64, { v1::ENTRIES_PER_QUERY_MAX }>>,
    #[serde(borrow)]
    entries: Option<Bounded<&'a RawValue, { v1::ENTRIES_PER_QUERY_MAX }>>,
}

async fn retrieve(
    State(services): State<Arc<Services>>,
    body: Body<ENTRY_SIZE_MAX>,
) -> Result<Json<Vec<Map<String, Value>>>, RekorError> {
    let body = body?;
    let instance = Arc::clone(&services.instance);
    Ok(unblocked(move || retrieved(&instance, &body)).await?.map(Json)?)
}

fn retrieved(instance: &Instance, body: &[u8]) -> Result<Vec<Map<String, Value>>, ApiError> {
    let request: Retrieve<'_> = parse(body)?;
    let ids = bounded(request.entry_ids)?;
    let indexes = bounded(request.log_indexes)?;
    let described = bounded(request.entries)?;
    if ids.len() + indexes.len() + described.len() > v1::ENTRIES_PER_QUERY_MAX {
        return Err(too_many_entries());
    }
    let by_id = ids.iter().map(|id| entry_of(instance, id));
    let by_index = indexes.iter().map(|index| entry_at(instance, LeafIndex(*index)));
    let by_content = described.iter().map(|entry| entry_like(instance, entry.get().as_bytes()));
    // What is not there is left out; what could not be read is an error.
    let found = by_id.chain(by_index).chain(by_content);
    found.filter(|entry| !entry.as_ref().is_err_and(ApiError::is_not_found)).collect()
}

fn bounded<T, const MAX: usize>(list: Option<Bounded<T, MAX>>) -> Result<Vec<T>, ApiError> {
    list.unwrap_or_default().within_bound().map_err(|_| too_many_entries())
}

fn too_many_entries() -> ApiError {
    ApiError::unprocessable(format!(
        "more than max allowed {} entries in request",
        v1::ENTRIES_PER_QUERY_MAX
    ))
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
    query: Queried<Consistency>,
) -> Result<Json<Value>, RekorError> {
    let Parameters(Consistency { first_size, last_size, tree_id }) = query?;
    check_tree(&services.instance, tree_id.as_deref())?;
    let first = first_size.unwrap_or(1);
    let last =
        last_size.ok_or_else(|| ApiError::unprocessable("wanted the query parameter lastSize"))?;
    if first == 0 || first > last {
        let message = format!("firstSize {first} is not between 1 and lastSize {last}");
        return Err(ApiError::invalid(message).into());
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

#[derive(Deserialize)]
struct Tree {
    #[serde(rename = "treeID")]
    tree_id: Option<String>,
}

async fn public_key(
    State(services): State<Arc<Services>>,
    query: Queried<Tree>,
) -> Result<Response, RekorError> {
    let Parameters(Tree { tree_id }) = query?;
    check_tree(&services.instance, tree_id.as_deref())?;
    let pem = services.instance.log_v1_signer.public_key().to_pem();
    Ok(([(CONTENT_TYPE, "application/x-pem-file")], pem).into_response())
}

/// There is one tree. To answer with its key, or a proof in it, when another is asked for would
/// mislead.
fn check_tree(instance: &Instance, asked_for: Option<&str>) -> Result<(), ApiError> {
    let own = instance.settings.tree_id.to_string();
    if asked_for.is_none_or(|id| id.is_empty() || id == own) {
        return Ok(());
    }
    Err(ApiError::invalid(format!("there is no such tree here; the only one is {own}")))
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
    body: Body<SEARCH_SIZE_MAX>,
) -> Result<Json<Vec<String>>, RekorError> {
    let query: Search = parse(&body?)?;
    let all = match query.operator.as_deref() {
        None | Some("" | "or") => false,
        Some("and") => true,
        Some(_) => return Err(ApiError::unprocessable("wanted the operator `and` or `or`").into()),
    };
    let keys = search_keys(query)?;
    let instance = Arc::clone(&services.instance);
    let found = unblocked(move || found_under(&instance, &keys, all)).await?;
    Ok(found.map(Json).map_err(|error| read_error(&error))?)
}

fn search_keys(query: Search) -> Result<Vec<SearchKey>, ApiError> {
    let mut keys = Vec::new();
    for subject in [query.email, query.subject].into_iter().flatten() {
        if subject.is_empty() || subject.len() > SUBJECT_SIZE_MAX {
            let message = format!("wanted a subject of 1 to {SUBJECT_SIZE_MAX} bytes");
            return Err(ApiError::unprocessable(message));
        }
        keys.push(v1::subject_query(&subject));
    }
    if let Some(hash) = query.hash {
        keys.push(
            v1::hash_query(&hash)
                .ok_or_else(|| ApiError::unprocessable("wanted a hash as `sha256:HEX` or HEX"))?,
        );
    }
    if let Some(key) = query.public_key {
        let pem = key.content.and_then(|content| STANDARD.decode(content).ok());
        let pem = pem.ok_or_else(|| ApiError::unprocessable("wanted a PEM key in base64"))?;
        keys.push(v1::key_query(&pem).map_err(|error| refused(&error))?);
    }
    if keys.is_empty() {
        return Err(ApiError::invalid("wanted one of email, subject, hash and publicKey"));
    }
    Ok(keys)
}

/// The newest entries under those keys, the newest first.
fn found_under(
    instance: &Instance,
    keys: &[SearchKey],
    all: bool,
) -> Result<Vec<String>, ReadError> {
    let log = &instance.log_v1;
    let mut indexes: Option<BTreeSet<LeafIndex>> = None;
    for key in keys {
        let found = log.search(*key, INDEX_ANSWERS_MAX)?.into_iter().collect();
        indexes = Some(match indexes {
            None => found,
            Some(earlier) if all => &earlier & &found,
            Some(earlier) => &earlier | &found,
        });
    }
    let newest = indexes.into_iter().flatten().rev().take(INDEX_ANSWERS_MAX);
    newest.map(|index| Ok(entry_id(instance, &log.leaf_hash(index)?))).collect()
}

/// An entry's name: the tree's identifier, and the leaf hash, which alone is its UUID.
fn entry_id(instance: &Instance, leaf_hash: &[u8; 32]) -> String {
    format!("{:016x}{}", instance.settings.tree_id, hex::encode(leaf_hash))
}

/// The entry of that name or UUID.
fn entry_of(instance: &Instance, id: &str) -> Result<Map<String, Value>, ApiError> {
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
        _ => return Err(not_an_id()),
    };
    let hash =
        hex::decode(uuid).ok().and_then(|hash| hash.try_into().ok()).ok_or_else(not_an_id)?;
    let found = instance.log_v1.find(&hash).map_err(|error| read_error(&error))?;
    entry_at(instance, found.ok_or_else(ApiError::not_found)?)
}

fn not_an_id() -> ApiError {
    ApiError::unprocessable("wanted an entry's name: 64 or 80 hexadecimal digits")
}

/// The entry that this proposed, or already canonical, entry became.
fn entry_like(instance: &Instance, entry: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let leaf = v1::leaf_of(entry).map_err(|error| refused(&error))?;
    let hash = crypto::merkle::leaf_hash(&leaf);
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
    let log_id = key.id();
    let promised = promised_data(&entry.bytes, entry.time, &log_id, index.0);
    let promise = instance.log_v1_signer.sign_bytes(&promised).map_err(|_| ApiError::internal())?;
    let value = json!({
        "body": STANDARD.encode(&entry.bytes),
        "integratedTime": entry.time.seconds(),
        "logID": hex::encode(log_id),
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

/// Reads JSON: 400 where it is none, 422 where it is not of the form that the API describes.
fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    evidence::json::read(body).map_err(|error| match error.is_data() {
        true => ApiError::unprocessable(evidence::proto_json::explain(&error)),
        false => ApiError::not_json(&error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client whose first answer was lost asks again within seconds; a promise of yesterday is
    /// not what it asks for.
    #[test]
    fn the_same_entry_again_is_a_conflict_only_after_the_time_for_retries() {
        let logged = UnixTime::from_seconds(1_800_000_000);
        let appended =
            |already| Appended { index: LeafIndex(7), leaf_hash: [0; 32], time: logged, already };
        for (already, seconds, wanted) in [
            (false, 0, false),
            // Its own batch may have taken long: it is new all the same.
            (false, RETRY_WINDOW_SECONDS + 1, false),
            (true, 0, false),
            (true, RETRY_WINDOW_SECONDS, false),
            (true, RETRY_WINDOW_SECONDS + 1, true),
            // A clock that was set back.
            (true, -5, false),
        ] {
            let found = is_conflict(&appended(already), logged.plus_seconds(seconds));
            assert_eq!(found, wanted, "already {already}, after {seconds} s");
        }
    }
}

//! Under which texts an entry is found by the v1 search API.
//!
//! Rekor's `IndexKeys`: the key's hash is bare for `hashedrekord` and begins with `sha256:` for the
//! others, so that there a search by key finds no attestations. Here attestations are found under
//! both. Case does not matter, neither in what is stored nor in what is asked for, as there.

use evidence::certificate::SubjectName;
use evidence::entry::{Body, Verifier};
use evidence::{Certificate, Statement};
use serde::Deserialize;

use crate::leaf::SearchKey;

/// Most digests of subjects and materials that one entry is found under.
const DIGESTS_MAX: usize = 900;

/// The search key of a text.
pub(super) fn key(text: &str) -> SearchKey {
    SearchKey::of(&text.to_lowercase())
}

/// The texts for an entry; `payload` is an envelope's, where it is known.
pub(super) fn texts(body: &Body, payload: Option<&[u8]>) -> Vec<String> {
    let mut keys = Vec::new();
    match body {
        Body::HashedRekordV1(record) => {
            keys.push(record.digest.to_string());
            push_verifier(&mut keys, &record.verifier);
        }
        Body::HashedRekordV2(record) => {
            keys.push(record.digest.to_string());
            push_verifier(&mut keys, &record.signature.verifier);
        }
        Body::DsseV1(record) => {
            keys.push(record.payload_digest.to_string());
            keys.push(record.envelope_digest.to_string());
            record.signatures.iter().for_each(|(_, verifier)| push_verifier(&mut keys, verifier));
        }
        Body::DsseV2(record) => {
            keys.push(record.payload_digest.to_string());
            let verifiers = record.signatures.iter().map(|signature| &signature.verifier);
            verifiers.for_each(|verifier| push_verifier(&mut keys, verifier));
        }
        Body::IntotoV1(record) => {
            keys.extend(record.payload_digest.as_ref().map(ToString::to_string));
            keys.push(record.envelope_digest.to_string());
            push_verifier(&mut keys, &record.verifier);
        }
        Body::RekordV1(record) => {
            keys.push(record.digest.to_string());
            push_verifier(&mut keys, &record.verifier);
        }
        Body::IntotoV2(record) => {
            keys.push(record.payload_digest.to_string());
            record.signatures.iter().for_each(|(_, verifier)| push_verifier(&mut keys, verifier));
        }
    }
    if let Some(payload) = payload {
        push_statement(&mut keys, payload);
    }
    keys
}

/// The text under which entries signed by this key or certificate are found.
pub(super) fn verifier_text(verifier: &Verifier) -> String {
    hex::encode(crypto::sha256(verifier.to_pem().as_bytes()))
}

fn push_verifier(keys: &mut Vec<String>, verifier: &Verifier) {
    let hash = verifier_text(verifier);
    keys.push(format!("sha256:{hash}"));
    keys.push(hash);
    if let Verifier::Certificate(der) = verifier
        && let Ok(certificate) = Certificate::parse(der)
    {
        keys.extend(certificate.names().iter().filter_map(SubjectName::as_str).map(str::to_owned));
    }
}

#[derive(Deserialize)]
struct Materials {
    materials: Vec<Material>,
}

#[derive(Deserialize)]
struct Material {
    digest: std::collections::BTreeMap<String, String>,
}

fn push_statement(keys: &mut Vec<String>, payload: &[u8]) {
    let Ok(statement) = Statement::parse(payload) else { return };
    let subjects = statement.subjects.iter().flat_map(|subject| subject.digest.iter());
    let text = |(algorithm, value): (&str, &str)| format!("{algorithm}:{value}");
    keys.extend(subjects.map(text).take(DIGESTS_MAX));
    let predicate = statement.predicate.as_deref().map(serde_json::value::RawValue::get);
    let materials = predicate.and_then(|json| serde_json::from_str::<Materials>(json).ok());
    let digests = materials.iter().flat_map(|materials| &materials.materials);
    let digests = digests.flat_map(|material| &material.digest);
    let room = DIGESTS_MAX.saturating_sub(keys.len());
    keys.extend(digests.map(|(algorithm, value)| format!("{algorithm}:{value}")).take(room));
}

/// The text under which a hash in a query is found: bare hexadecimal means the algorithm of its
/// length. SHA-1 is among them because statements name Git commits by it; it proves nothing here.
pub(super) fn hash_text(query: &str) -> Option<String> {
    const LENGTHS: [(&str, usize); 4] =
        [("sha1", 40), ("sha256", 64), ("sha384", 96), ("sha512", 128)];
    let (named, value) = match query.split_once(':') {
        Some((algorithm, value)) => (Some(algorithm), value),
        None => (None, query),
    };
    let (algorithm, _) = LENGTHS.into_iter().find(|(_, length)| *length == value.len())?;
    let is_that = named.is_none_or(|named| named.eq_ignore_ascii_case(algorithm));
    let is_hash = is_that && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| format!("{algorithm}:{value}"))
}

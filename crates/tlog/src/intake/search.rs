//! Under which texts an entry is found by the v1 search API.
//!
//! Rekor's `IndexKeys`: the key's hash is bare for `hashedrekord` and begins with `sha256:` for the
//! others, so that there a search by key finds no attestations. Here attestations are found under
//! both. Case does not matter, neither in what is stored nor in what is asked for, as there.

use evidence::certificate::SubjectName;
use evidence::entry::{Body, Verifier};
use evidence::proto_json::Bounded;
use evidence::statement::DigestSet;
use evidence::{Certificate, Statement, json};
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

/// The part of a predicate that entries are found under. Further materials are passed over while
/// they are read: as a whole they could take many times the payload in memory.
#[derive(Deserialize)]
struct Predicate {
    materials: Option<Bounded<Material, DIGESTS_MAX>>,
}

#[derive(Deserialize)]
struct Material {
    digest: Option<DigestSet>,
}

fn push_statement(keys: &mut Vec<String>, payload: &[u8]) {
    let Ok(statement) = Statement::parse(payload) else { return };
    let text = |(algorithm, value): (&str, &str)| format!("{algorithm}:{value}");
    let subjects = statement.subjects.iter().flat_map(|subject| subject.digest.iter());
    let room = DIGESTS_MAX;
    let before = keys.len();
    keys.extend(subjects.map(text).take(room));
    let room = room.saturating_sub(keys.len() - before);
    let predicate = statement.predicate.as_deref().map(|predicate| predicate.get().as_bytes());
    let predicate = predicate.and_then(|text| json::read::<Predicate>(text).ok());
    let materials = predicate.and_then(|predicate| predicate.materials).unwrap_or_default().first();
    let digests = materials.iter().flat_map(|material| &material.digest).flat_map(DigestSet::iter);
    keys.extend(digests.map(text).take(room));
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

#[cfg(test)]
mod tests {
    use evidence::Digest;
    use evidence::entry::intoto::IntotoV2;

    use super::*;

    fn found_under(payload: &str) -> Vec<String> {
        let record = IntotoV2 {
            payload_type: "application/vnd.in-toto+json".to_owned(),
            envelope_digest: Some(Digest::sha256(b"what the client says")),
            payload_digest: Digest::sha256(payload.as_bytes()),
            signatures: Vec::new(),
        };
        texts(&Body::IntotoV2(record), Some(payload.as_bytes()))
    }

    fn statement(predicate: &str) -> String {
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"a","digest":
            {{"sha256":"00"}}}}],"predicateType":"p","predicate":{predicate}}}"#
        )
    }

    /// Rekor logs the envelope's hash as the client states it; it must lead nobody astray.
    #[test]
    fn what_a_client_says_without_proof_is_no_search_key() {
        let payload = statement("{}");
        let own = Digest::sha256(payload.as_bytes()).to_string();
        assert_eq!(found_under(&payload), [own, "sha256:00".to_owned()]);
    }

    #[test]
    fn materials_are_search_keys_as_far_as_there_is_room() {
        let material = |number: usize| format!(r#"{{"uri":"u","digest":{{"sha1":"{number}"}}}}"#);
        let materials = |count: usize| (0..count).map(material).collect::<Vec<_>>().join(",");
        for (predicate, found) in [
            (format!(r#"{{"materials":[{}]}}"#, materials(2)), 2),
            (format!(r#"{{"materials":[{{}},{},{{"digest":null}}]}}"#, materials(2)), 2),
            // The subject takes a place, too.
            (format!(r#"{{"materials":[{}]}}"#, materials(2000)), DIGESTS_MAX - 1),
            (r#"{"materials":null}"#.to_owned(), 0),
            (r#"{"materials":"none"}"#.to_owned(), 0),
            (r#"{"materials":["sha1"]}"#.to_owned(), 0),
            ("{}".to_owned(), 0),
        ] {
            let keys = found_under(&statement(&predicate));
            assert_eq!(keys.len(), 2 + found, "{predicate:.60}");
            assert!(found == 0 || keys.contains(&"sha1:0".to_owned()), "{predicate:.60}");
        }
    }
}

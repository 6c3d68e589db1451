//! Requests of the v1 API: `hashedrekord` 0.0.1, `dsse` 0.0.1 and `intoto` 0.0.2.
//!
//! Rekor `types/{hashedrekord,dsse,intoto}`. Absent and `null` are the same. Keys and certificates
//! are written anew as PEM, because clients compare them byte by byte with their own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::{HashAlgorithm, Message, Scheme};
use evidence::entry::dsse::{DsseV1, SIGNATURES_MAX};
use evidence::entry::hashedrekord::HashedRekordV1;
use evidence::entry::intoto::IntotoV2;
use evidence::entry::{Body, Verifier};
use evidence::proto_json::Bounded;
use evidence::{Digest, json};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{Admitted, Refused, Signatory, Signed, cut, malformed, missing, search, some_of};
use crate::leaf::SearchKey;

/// Most entries in one search (Rekor's own limit).
pub const ENTRIES_PER_QUERY_MAX: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proposed<'a> {
    kind: String,
    api_version: String,
    #[serde(borrow)]
    spec: &'a RawValue,
}

/// Judges a proposed entry.
///
/// # Errors
/// When it is malformed, of a kind that is not taken, or a signature does not verify.
pub fn propose(json: &[u8]) -> Result<Admitted, Refused> {
    let proposed: Proposed<'_> = json::read(json).map_err(|e| malformed(&e))?;
    let spec = proposed.spec.get();
    match (proposed.kind.as_str(), proposed.api_version.as_str()) {
        ("hashedrekord", "0.0.1") => hashedrekord(spec),
        ("dsse", "0.0.1") => dsse(spec),
        ("intoto", "0.0.2") => intoto(spec),
        (kind, version) => Err(Refused::UnsupportedKind { kind: cut(kind), version: cut(version) }),
    }
}

/// The leaf of an entry as it was proposed, or as it stands in the log, where the log's own words
/// replace the envelope.
///
/// # Errors
/// When it is neither.
pub fn leaf_of(json: &[u8]) -> Result<Vec<u8>, Refused> {
    match propose(json) {
        Ok(admitted) => Ok(admitted.canonical),
        Err(refused @ (Refused::NotYours { .. } | Refused::Field { .. })) => {
            match Body::parse(json) {
                Ok(Body::DsseV1(record)) => Ok(record.to_leaf()),
                Ok(Body::IntotoV2(record)) => Ok(record.to_leaf()),
                _ => Err(refused),
            }
        }
        Err(refused) => Err(refused),
    }
}

/// Under which key entries by this PEM key or certificate are found.
///
/// # Errors
/// When it is neither.
pub fn key_query(pem: &[u8]) -> Result<SearchKey, Refused> {
    Ok(search::key(&search::verifier_text(&signatory(pem)?.verifier)))
}

/// Under which key entries about this hash are found: `sha256:…`, or bare hexadecimal. `None` if
/// it is no hash.
#[must_use]
pub fn hash_query(hash: &str) -> Option<SearchKey> {
    search::hash_text(hash).as_deref().map(search::key)
}

/// Under which key entries by this e-mail address or other subject are found.
#[must_use]
pub fn subject_query(subject: &str) -> SearchKey {
    search::key(subject)
}

#[derive(Deserialize)]
struct HashedRekord {
    data: Option<Data>,
    signature: Option<Signature>,
}

#[derive(Deserialize)]
struct Data {
    hash: Option<HashValue>,
}

#[derive(Deserialize)]
struct HashValue {
    algorithm: Option<String>,
    value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signature {
    content: Option<String>,
    public_key: Option<Content>,
}

#[derive(Deserialize)]
struct Content {
    content: Option<String>,
}

fn hashedrekord(spec: &str) -> Result<Admitted, Refused> {
    let spec: HashedRekord = json::read(spec.as_bytes()).map_err(|e| malformed(&e))?;
    let digest = digest(spec.data.and_then(|data| data.hash), "spec.data.hash")?;
    let signed = spec.signature.ok_or(missing("spec.signature", "a signature"))?;
    let signature = base64(signed.content, "spec.signature.content")?;
    let pem = signed.public_key.and_then(|key| key.content);
    let Signatory { verifier, key } = signatory(&base64(pem, "spec.signature.publicKey.content")?)?;

    let scheme = match Scheme::for_key_and_hash(key.kind(), digest.algorithm()) {
        // Only a hash is here, and pure Ed25519 cannot sign one.
        Scheme::Ed25519 => Scheme::Ed25519ph,
        scheme => scheme,
    };
    key.verify(scheme, Message::Hashed(digest.hash()), &signature)
        .map_err(|_| Refused::BadSignature { index: 0 })?;

    let record = HashedRekordV1 { digest, signature, verifier };
    let canonical = record.to_leaf();
    let body = Body::HashedRekordV1(record);
    let texts = search::texts(&body, None);
    Admitted::new(body, canonical, &texts)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dsse {
    proposed_content: Option<ProposedContent>,
    envelope_hash: Option<IgnoredAny>,
    payload_hash: Option<IgnoredAny>,
    signatures: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct ProposedContent {
    envelope: Option<String>,
    verifiers: Option<Bounded<String, SIGNATURES_MAX>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: Option<String>,
    payload_type: Option<String>,
    signatures: Option<Bounded<EnvelopeSignature, SIGNATURES_MAX>>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: Option<String>,
}

fn dsse(spec: &str) -> Result<Admitted, Refused> {
    let spec: Dsse = json::read(spec.as_bytes()).map_err(|e| malformed(&e))?;
    if spec.envelope_hash.is_some() || spec.payload_hash.is_some() || spec.signatures.is_some() {
        let field = "spec.envelopeHash, spec.payloadHash, spec.signatures";
        return Err(Refused::NotYours { field });
    }
    let content = spec.proposed_content;
    let content = content.ok_or(missing("spec.proposedContent", "an envelope and its keys"))?;
    let text = content.envelope.ok_or(missing("spec.proposedContent.envelope", "a string"))?;
    let signatories = some_of("spec.proposedContent.verifiers", content.verifiers)?
        .into_iter()
        .map(|pem| signatory(&base64(Some(pem), "spec.proposedContent.verifiers")?))
        .collect::<Result<Vec<_>, Refused>>()?;

    let envelope: Envelope = json::read(text.as_bytes()).map_err(|e| malformed(&e))?;
    let payload = base64(envelope.payload, "envelope.payload")?;
    let payload_type =
        envelope.payload_type.ok_or(missing("envelope.payloadType", "a payload type"))?;
    let signatures = some_of("envelope.signatures", envelope.signatures)?;
    let signed = Signed::new(&payload_type, &payload);
    let signatures = signatures.into_iter().enumerate().map(|(index, signature)| {
        let content = base64(signature.sig, "envelope.signatures.sig")?;
        let verifier = signed.signer_of(&signatories, &content, index)?.clone();
        Ok((content, verifier))
    });
    let mut signatures = signatures.collect::<Result<Vec<_>, Refused>>()?;
    // One that is there twice says nothing more.
    signatures.sort_by_key(|(content, _)| STANDARD.encode(content));
    signatures.dedup_by(|(again, _), (first, _)| again == first);

    let record = DsseV1 {
        envelope_digest: Digest::sha256(text.as_bytes()),
        payload_digest: Digest::sha256(&payload),
        signatures,
    };
    let canonical = record.to_leaf();
    let body = Body::DsseV1(record);
    let texts = search::texts(&body, Some(&payload));
    Admitted::new(body, canonical, &texts)
}

#[derive(Deserialize)]
struct Intoto {
    content: Option<IntotoContent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoContent {
    envelope: Option<IntotoEnvelope>,
    hash: Option<HashValue>,
    payload_hash: Option<HashValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoEnvelope {
    payload: Option<String>,
    payload_type: Option<String>,
    signatures: Option<Bounded<IntotoSignature, SIGNATURES_MAX>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoSignature {
    public_key: Option<String>,
    sig: Option<String>,
}

/// Payload and signatures are base64 twice.
///
/// The envelope's hash is the client's own word, over a form that the log cannot know: one client
/// hashes the envelope's file, another a canonical form with the keys in it. As in Rekor it must be
/// there, is logged as given, is no search key, and proves nothing. The payload's hash is computed;
/// where the client states it too, it must be that (Rekor replaces it).
fn intoto(spec: &str) -> Result<Admitted, Refused> {
    let twice = |text: Option<String>, field| {
        let text = String::from_utf8(base64(text, field)?);
        base64(Some(text.map_err(|_| missing(field, "base64 twice"))?), field)
    };
    let spec: Intoto = json::read(spec.as_bytes()).map_err(|e| malformed(&e))?;
    let content = spec.content.ok_or(missing("spec.content", "an envelope"))?;
    let envelope_digest = sha256(content.hash, "spec.content.hash")?;
    let envelope = content.envelope.ok_or(missing("spec.content.envelope", "an envelope"))?;
    let payload = twice(envelope.payload, "spec.content.envelope.payload")?;
    let payload_digest = Digest::sha256(&payload);
    if content.payload_hash.is_some() {
        let (field, wanted) = ("spec.content.payloadHash", payload_digest);
        let found = sha256(content.payload_hash, field)?;
        if found != wanted {
            let (wanted, found) = (Box::new(wanted), Box::new(found));
            return Err(Refused::OtherDigest { field, wanted, found });
        }
    }
    let payload_type = envelope
        .payload_type
        .ok_or(missing("spec.content.envelope.payloadType", "a payload type"))?;
    let signatures = some_of("spec.content.envelope.signatures", envelope.signatures)?;
    let signed = Signed::new(&payload_type, &payload);
    let signatures = signatures.into_iter().enumerate().map(|(index, signature)| {
        let content = twice(signature.sig, "spec.content.envelope.signatures.sig")?;
        let field = "spec.content.envelope.signatures.publicKey";
        let signatory = signatory(&base64(signature.public_key, field)?)?;
        let verifier = signed.signer_of(&[signatory], &content, index)?.clone();
        Ok((content, verifier))
    });
    let signatures = signatures.collect::<Result<Vec<_>, Refused>>()?;

    let record = IntotoV2 {
        payload_type,
        envelope_digest: Some(envelope_digest),
        payload_digest,
        signatures,
    };
    let canonical = record.to_leaf();
    let body = Body::IntotoV2(record);
    let texts = search::texts(&body, Some(&payload));
    Admitted::new(body, canonical, &texts)
}

/// A hash in a request. Rekor keeps the case of its digits; here they become lower case, which is
/// what every client compares with.
fn digest(hash: Option<HashValue>, field: &'static str) -> Result<Digest, Refused> {
    let wanted = "a sha256, sha384 or sha512 hash in hexadecimal";
    let hash = hash.ok_or(missing(field, wanted))?;
    let algorithm = hash.algorithm.ok_or(missing(field, wanted))?;
    let value = hash.value.unwrap_or_default().to_ascii_lowercase();
    format!("{algorithm}:{value}").parse().map_err(|_| missing(field, wanted))
}

/// The same where Rekor's schema knows no other algorithm.
fn sha256(hash: Option<HashValue>, field: &'static str) -> Result<Digest, Refused> {
    let digest = digest(hash, field)?;
    match digest.algorithm() {
        HashAlgorithm::Sha256 => Ok(digest),
        _ => Err(missing(field, "a sha256 hash in hexadecimal")),
    }
}

fn base64(text: Option<String>, field: &'static str) -> Result<Vec<u8>, Refused> {
    let decoded = text.and_then(|text| STANDARD.decode(text).ok());
    decoded.filter(|bytes| !bytes.is_empty()).ok_or(missing(field, "base64"))
}

/// One PEM block, `CERTIFICATE` or `PUBLIC KEY`, which must parse as what it says.
fn signatory(pem: &[u8]) -> Result<Signatory, Refused> {
    let wanted = missing("public key", "one PEM certificate or public key");
    let (label, der) = crypto::pem::decode(pem).map_err(|_| wanted.clone())?;
    match label {
        "CERTIFICATE" => Signatory::parse(Verifier::Certificate(der)),
        "PUBLIC KEY" => Signatory::parse(Verifier::PublicKey(der)),
        _ => Err(wanted),
    }
}

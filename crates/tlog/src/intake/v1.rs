//! Requests of the v1 API: `hashedrekord` 0.0.1, `dsse` 0.0.1 and `intoto` 0.0.2.
//!
//! Rekor `types/{hashedrekord,dsse,intoto}`. Absent and `null` are the same. Keys and certificates
//! are written anew as PEM, because clients compare them byte by byte with their own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::{Message, Scheme};
use evidence::entry::dsse::DsseV1;
use evidence::entry::hashedrekord::HashedRekordV1;
use evidence::entry::intoto::IntotoV2;
use evidence::entry::{Body, Verifier};
use evidence::envelope::pae;
use evidence::{Certificate, Digest};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Admitted, Refused, base64_field, bounded, cut, key_of, malformed, missing, search, signer_of,
};

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
    let proposed: Proposed<'_> = serde_json::from_slice(json).map_err(|e| malformed(&e))?;
    let spec = proposed.spec.get();
    match (proposed.kind.as_str(), proposed.api_version.as_str()) {
        ("hashedrekord", "0.0.1") => hashedrekord(spec),
        ("dsse", "0.0.1") => dsse(spec),
        ("intoto", "0.0.2") => intoto(spec),
        (kind, version) => Err(Refused::UnsupportedKind { kind: cut(kind), version: cut(version) }),
    }
}

/// The text under which entries by this PEM key or certificate are found.
///
/// # Errors
/// When it is neither.
pub fn key_query(pem: &[u8]) -> Result<String, Refused> {
    Ok(search::verifier_key(&verifier(pem)?))
}

/// The text under which entries about this hash are found: `sha256:…`, or bare hexadecimal.
#[must_use]
pub fn hash_query(hash: &str) -> Option<String> {
    search::hash_key(hash)
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
    let spec: HashedRekord = serde_json::from_str(spec).map_err(|e| malformed(&e))?;
    let digest = digest(spec.data.and_then(|data| data.hash), "spec.data.hash")?;
    let signed = spec.signature.ok_or(missing("spec.signature", "a signature"))?;
    let signature = base64_field(signed.content, "spec.signature.content")?;
    let pem = signed.public_key.and_then(|key| key.content);
    let verifier = verifier(&base64_field(pem, "spec.signature.publicKey.content")?)?;

    let key = key_of(&verifier)?;
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
    let keys = search::keys(&body, None);
    Admitted::new(body, canonical, keys)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dsse {
    proposed_content: Option<ProposedContent>,
    envelope_hash: Option<serde_json::Value>,
    payload_hash: Option<serde_json::Value>,
    signatures: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct ProposedContent {
    envelope: Option<String>,
    verifiers: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: Option<String>,
    payload_type: Option<String>,
    signatures: Option<Vec<EnvelopeSignature>>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: Option<String>,
}

fn dsse(spec: &str) -> Result<Admitted, Refused> {
    let spec: Dsse = serde_json::from_str(spec).map_err(|e| malformed(&e))?;
    if spec.envelope_hash.is_some() || spec.payload_hash.is_some() || spec.signatures.is_some() {
        let field = "spec.envelopeHash, spec.payloadHash, spec.signatures";
        return Err(Refused::NotYours { field });
    }
    let content = spec.proposed_content;
    let content = content.ok_or(missing("spec.proposedContent", "an envelope and its keys"))?;
    let text = content.envelope.ok_or(missing("spec.proposedContent.envelope", "a string"))?;
    let verifiers = content.verifiers.unwrap_or_default();
    bounded("verifiers", verifiers.len())?;
    let verifiers = verifiers
        .into_iter()
        .map(|pem| verifier(&base64_field(Some(pem), "spec.proposedContent.verifiers")?));
    let verifiers = verifiers.collect::<Result<Vec<_>, Refused>>()?;

    let envelope: Envelope = serde_json::from_str(&text).map_err(|e| malformed(&e))?;
    let payload = base64_field(envelope.payload, "envelope.payload")?;
    let payload_type =
        envelope.payload_type.ok_or(missing("envelope.payloadType", "a payload type"))?;
    let signatures = envelope.signatures.unwrap_or_default();
    bounded("signatures", signatures.len())?;
    let pae = pae(&payload_type, &payload);
    let signatures = signatures.into_iter().enumerate().map(|(index, signature)| {
        let content = base64_field(signature.sig, "envelope.signatures.sig")?;
        let verifier = signer_of(&verifiers, &pae, &content, index)?.clone();
        Ok((content, verifier))
    });
    let mut signatures = signatures.collect::<Result<Vec<_>, Refused>>()?;
    signatures.sort_by_key(|(content, _)| STANDARD.encode(content));

    let record = DsseV1 {
        envelope_digest: Digest::sha256(text.as_bytes()),
        payload_digest: Digest::sha256(&payload),
        signatures,
    };
    let canonical = record.to_leaf();
    let body = Body::DsseV1(record);
    let keys = search::keys(&body, Some(&payload));
    Admitted::new(body, canonical, keys)
}

#[derive(Deserialize)]
struct Intoto {
    content: Option<IntotoContent>,
}

#[derive(Deserialize)]
struct IntotoContent {
    envelope: Option<IntotoEnvelope>,
    hash: Option<HashValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoEnvelope {
    payload: Option<String>,
    payload_type: Option<String>,
    signatures: Option<Vec<IntotoSignature>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoSignature {
    public_key: Option<String>,
    sig: Option<String>,
}

/// Payload and signatures are base64 twice. The envelope's hash is the client's own, over a form
/// that the log cannot know; it is kept as given, as Rekor does, and proves nothing.
fn intoto(spec: &str) -> Result<Admitted, Refused> {
    let twice = |text: Option<String>, field| {
        let once = base64_field(text, field)?;
        let text = String::from_utf8(once).map_err(|_| missing(field, "base64 twice"))?;
        base64_field(Some(text), field)
    };
    let spec: Intoto = serde_json::from_str(spec).map_err(|e| malformed(&e))?;
    let content = spec.content.ok_or(missing("spec.content", "an envelope"))?;
    let envelope_digest = digest(content.hash, "spec.content.hash")?;
    let envelope = content.envelope.ok_or(missing("spec.content.envelope", "an envelope"))?;
    let payload = twice(envelope.payload, "spec.content.envelope.payload")?;
    let payload_type = envelope
        .payload_type
        .ok_or(missing("spec.content.envelope.payloadType", "a payload type"))?;
    let signatures = envelope.signatures.unwrap_or_default();
    bounded("signatures", signatures.len())?;
    let pae = pae(&payload_type, &payload);
    let signatures = signatures.into_iter().enumerate().map(|(index, signature)| {
        let content = twice(signature.sig, "spec.content.envelope.signatures.sig")?;
        let field = "spec.content.envelope.signatures.publicKey";
        let verifier = verifier(&base64_field(signature.public_key, field)?)?;
        signer_of(std::slice::from_ref(&verifier), &pae, &content, index)?;
        Ok((content, verifier))
    });
    let signatures = signatures.collect::<Result<Vec<_>, Refused>>()?;

    let record = IntotoV2 {
        payload_type,
        envelope_digest: Some(envelope_digest),
        payload_digest: Digest::sha256(&payload),
        signatures,
    };
    let canonical = record.to_leaf();
    let body = Body::IntotoV2(record);
    let keys = search::keys(&body, Some(&payload));
    Admitted::new(body, canonical, keys)
}

fn digest(hash: Option<HashValue>, field: &'static str) -> Result<Digest, Refused> {
    let wanted = "a sha256, sha384 or sha512 hash in hexadecimal";
    let hash = hash.ok_or(missing(field, wanted))?;
    let algorithm = hash.algorithm.as_deref().unwrap_or("sha256").to_ascii_lowercase();
    let value = hash.value.unwrap_or_default().to_ascii_lowercase();
    format!("{algorithm}:{value}").parse().map_err(|_| missing(field, wanted))
}

/// One PEM block, `CERTIFICATE` or `PUBLIC KEY`, which must parse as what it says.
fn verifier(pem: &[u8]) -> Result<Verifier, Refused> {
    let wanted = "a PEM certificate or public key";
    let (label, der) = crypto::pem::decode(pem).map_err(|_| missing("public key", wanted))?;
    match label {
        "CERTIFICATE" => {
            Certificate::parse(&der)?;
            Ok(Verifier::Certificate(der))
        }
        "PUBLIC KEY" => {
            crypto::PublicKey::from_spki_der(&der)?;
            Ok(Verifier::PublicKey(der))
        }
        _ => Err(missing("public key", wanted)),
    }
}

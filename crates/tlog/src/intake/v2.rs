//! Requests of the v2 API: `hashedRekordRequestV002`, and by policy `dsseRequestV002`.
//!
//! rekor-tiles `CreateEntryRequest`. Unknown fields are refused, as there; both camelCase and the
//! original field names are read.

use crypto::{Hash, Message, Scheme};
use evidence::Digest;
use evidence::entry::dsse::DsseV2;
use evidence::entry::hashedrekord::HashedRekordV2;
use evidence::entry::{Body, SignatureV2, Verifier};
use evidence::envelope::pae;
use evidence::key_details::KeyDetails;
use serde::Deserialize;

use super::{Admitted, Refused, base64_field, bounded, key_of, malformed, missing, search};

/// Whether `dsse` 0.0.2 entries are taken: rekor-tiles dropped them, some clients still send them,
/// and newer ones do not verify them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DssePolicy {
    /// Taken.
    Accept,
    /// Refused; clients log a hash of the pre-authentication encoding instead.
    Refuse,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(rename = "hashedRekordRequestV002", alias = "hashed_rekord_request_v002", default)]
    hashed_rekord: Option<HashedRekordRequest>,
    #[serde(rename = "dsseRequestV002", alias = "dsse_request_v002", default)]
    dsse: Option<DsseRequest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HashedRekordRequest {
    digest: Option<String>,
    signature: Option<SignatureJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureJson {
    content: Option<String>,
    verifier: Option<VerifierJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct VerifierJson {
    #[serde(alias = "x509_certificate")]
    x509_certificate: Option<RawBytes>,
    #[serde(alias = "public_key")]
    public_key: Option<RawBytes>,
    #[serde(alias = "key_details")]
    key_details: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawBytes {
    #[serde(alias = "raw_bytes")]
    raw_bytes: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DsseRequest {
    envelope: Option<EnvelopeJson>,
    verifiers: Option<Vec<VerifierJson>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct EnvelopeJson {
    payload: Option<String>,
    #[serde(alias = "payload_type")]
    payload_type: Option<String>,
    signatures: Option<Vec<EnvelopeSignature>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeSignature {
    sig: Option<String>,
    #[serde(rename = "keyid", default)]
    _key_id: Option<String>,
}

/// Judges a request to create an entry.
///
/// # Errors
/// When it is malformed, of a kind or algorithm that is not taken, or a signature does not verify.
pub fn propose(json: &[u8], dsse_policy: DssePolicy) -> Result<Admitted, Refused> {
    let request: Request = serde_json::from_slice(json).map_err(|e| malformed(&e))?;
    match (request.hashed_rekord, request.dsse, dsse_policy) {
        (Some(request), None, _) => hashed_rekord(request),
        (None, Some(request), DssePolicy::Accept) => dsse(request),
        (None, Some(_), DssePolicy::Refuse) => {
            Err(Refused::UnsupportedKind { kind: "dsse".to_owned(), version: "0.0.2".to_owned() })
        }
        _ => Err(Refused::Field { field: "request", wanted: "exactly one kind of entry" }),
    }
}

fn hashed_rekord(request: HashedRekordRequest) -> Result<Admitted, Refused> {
    let signature = request.signature.ok_or(missing("signature", "a signature"))?;
    let content = base64_field(signature.content, "signature.content")?;
    let (verifier, key_details) =
        signature.verifier.ok_or(missing("signature.verifier", "a verifier"))?.parse()?;
    let scheme = permitted(key_details)?;
    let algorithm = scheme.hash().ok_or(Refused::NotPermitted { details: key_details.name() })?;
    let digest = base64_field(request.digest, "digest")?;
    let digest = Hash::from_bytes(algorithm, &digest)
        .ok_or(missing("digest", "as long as the key's hash algorithm makes it"))?;
    key_of(&verifier)?
        .verify(scheme, Message::Hashed(&digest), &content)
        .map_err(|_| Refused::BadSignature { index: 0 })?;

    let signature = SignatureV2 { content, verifier, key_details };
    let record = HashedRekordV2 { digest: Digest::from(digest), signature };
    let canonical = record.to_leaf();
    let body = Body::HashedRekordV2(record);
    let keys = search::keys(&body, None);
    Admitted::new(body, canonical, keys)
}

fn dsse(request: DsseRequest) -> Result<Admitted, Refused> {
    let envelope = request.envelope.ok_or(missing("envelope", "an envelope"))?;
    let payload = base64_field(envelope.payload, "envelope.payload")?;
    let payload_type =
        envelope.payload_type.ok_or(missing("envelope.payloadType", "a payload type"))?;
    let verifiers = request.verifiers.unwrap_or_default();
    bounded("verifiers", verifiers.len())?;
    let verifiers =
        verifiers.into_iter().map(VerifierJson::parse).collect::<Result<Vec<_>, _>>()?;
    let signatures = envelope.signatures.unwrap_or_default();
    bounded("signatures", signatures.len())?;
    let pae = pae(&payload_type, &payload);
    let signatures = signatures.into_iter().enumerate().map(|(index, signature)| {
        let content = base64_field(signature.sig, "envelope.signatures.sig")?;
        for (verifier, key_details) in &verifiers {
            let scheme = permitted(*key_details)?;
            if key_of(verifier)?.verify(scheme, Message::Bytes(&pae), &content).is_ok() {
                let (verifier, key_details) = (verifier.clone(), *key_details);
                return Ok(SignatureV2 { content, verifier, key_details });
            }
        }
        Err(Refused::BadSignature { index })
    });
    let mut signatures = signatures.collect::<Result<Vec<_>, Refused>>()?;
    signatures.sort_by(|a, b| a.content.cmp(&b.content));

    let record = DsseV2 { payload_digest: Digest::sha256(&payload), signatures };
    let canonical = record.to_leaf();
    let body = Body::DsseV2(record);
    let keys = search::keys(&body, Some(&payload));
    Admitted::new(body, canonical, keys)
}

/// The algorithms that rekor-tiles takes: RSA PKCS#1 v1.5, ECDSA with the curve's own hash, and
/// Ed25519ph.
fn permitted(details: KeyDetails) -> Result<Scheme, Refused> {
    let permitted = [
        "PKIX_RSA_PKCS1V15_2048_SHA256",
        "PKIX_RSA_PKCS1V15_3072_SHA256",
        "PKIX_RSA_PKCS1V15_4096_SHA256",
        "PKIX_ECDSA_P256_SHA_256",
        "PKIX_ECDSA_P384_SHA_384",
        "PKIX_ECDSA_P521_SHA_512",
        "PKIX_ED25519_PH",
    ];
    if permitted.contains(&details.name()) {
        Ok(details.scheme())
    } else {
        Err(Refused::NotPermitted { details: details.name() })
    }
}

impl VerifierJson {
    fn parse(self) -> Result<(Verifier, KeyDetails), Refused> {
        let details = match self.key_details {
            Some(serde_json::Value::String(name)) => KeyDetails::parse(&name)?,
            Some(serde_json::Value::Number(number)) => KeyDetails::parse(&number.to_string())?,
            _ => return Err(missing("verifier.keyDetails", "the name of an algorithm")),
        };
        let verifier = match (self.x509_certificate, self.public_key) {
            (Some(raw), None) => {
                let field = "verifier.x509Certificate.rawBytes";
                Verifier::Certificate(base64_field(raw.raw_bytes, field)?)
            }
            (None, Some(raw)) => {
                let field = "verifier.publicKey.rawBytes";
                Verifier::PublicKey(base64_field(raw.raw_bytes, field)?)
            }
            _ => return Err(missing("verifier", "either a certificate or a public key")),
        };
        // The details must be those of this key.
        details.parse_key(key_of(&verifier)?.spki_der())?;
        Ok((verifier, details))
    }
}

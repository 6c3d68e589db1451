//! Requests of the v2 API: `hashedRekordRequestV002`, and by policy `dsseRequestV002`.
//!
//! rekor-tiles `CreateEntryRequest`. Unknown fields are refused, as there; both camelCase and the
//! original field names are read.

use std::fmt;

use crypto::{Hash, Message, Scheme};
use evidence::entry::dsse::{DsseV2, SIGNATURES_MAX};
use evidence::entry::hashedrekord::HashedRekordV2;
use evidence::entry::{Body, SignatureV2, Verifier};
use evidence::key_details::KeyDetails;
use evidence::proto_json::{Base64, Bounded};
use evidence::{Digest, json};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Admitted, Refused, Signatory, Signed, malformed, missing, search, some_of};

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
    digest: Option<Base64>,
    signature: Option<SignatureJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureJson {
    content: Option<Base64>,
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
    key_details: Option<NameOrNumber>,
}

/// A protobuf enumeration's value: its name, or its number.
struct NameOrNumber(String);

impl<'de> Deserialize<'de> for NameOrNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = NameOrNumber;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name or number of an algorithm")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<NameOrNumber, E> {
                Ok(NameOrNumber(name.to_owned()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<NameOrNumber, E> {
                Ok(NameOrNumber(number.to_string()))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawBytes {
    #[serde(alias = "raw_bytes")]
    raw_bytes: Option<Base64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DsseRequest {
    envelope: Option<EnvelopeJson>,
    verifiers: Option<Bounded<VerifierJson, SIGNATURES_MAX>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct EnvelopeJson {
    payload: Option<Base64>,
    #[serde(alias = "payload_type")]
    payload_type: Option<String>,
    signatures: Option<Bounded<EnvelopeSignature, SIGNATURES_MAX>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeSignature {
    sig: Option<Base64>,
    #[serde(rename = "keyid", default)]
    _key_id: Option<String>,
}

/// Judges a request to create an entry.
///
/// # Errors
/// When it is malformed, of a kind or algorithm that is not taken, or a signature does not verify.
pub fn propose(json: &[u8], dsse_policy: DssePolicy) -> Result<Admitted, Refused> {
    let request: Request = json::read(json).map_err(|e| malformed(&e))?;
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
    let content = bytes(signature.content, "signature.content")?;
    let verifier = signature.verifier.ok_or(missing("signature.verifier", "a verifier"))?;
    let (Signatory { verifier, key }, key_details) = verifier.parse()?;
    let scheme = permitted(key_details)?;
    let algorithm = scheme.hash().ok_or(Refused::NotPermitted { details: key_details.name() })?;
    let digest = bytes(request.digest, "digest")?;
    let digest = Hash::from_bytes(algorithm, &digest)
        .ok_or(missing("digest", "as long as the key's hash algorithm makes it"))?;
    key.verify(scheme, Message::Hashed(&digest), &content)
        .map_err(|_| Refused::BadSignature { index: 0 })?;

    let signature = SignatureV2 { content, verifier, key_details };
    let record = HashedRekordV2 { digest: Digest::from(digest), signature };
    let canonical = record.to_leaf();
    let body = Body::HashedRekordV2(record);
    let texts = search::texts(&body, None);
    Admitted::new(body, canonical, &texts)
}

fn dsse(request: DsseRequest) -> Result<Admitted, Refused> {
    let envelope = request.envelope.ok_or(missing("envelope", "an envelope"))?;
    let payload = bytes(envelope.payload, "envelope.payload")?;
    let payload_type =
        envelope.payload_type.ok_or(missing("envelope.payloadType", "a payload type"))?;
    let signatories = some_of("verifiers", request.verifiers)?
        .into_iter()
        .map(|verifier| {
            let (signatory, details) = verifier.parse()?;
            Ok((signatory, details, permitted(details)?))
        })
        .collect::<Result<Vec<_>, Refused>>()?;
    let signatures = some_of("envelope.signatures", envelope.signatures)?;
    let signed = Signed::new(&payload_type, &payload);
    let signatures = signatures.into_iter().enumerate().map(|(index, signature)| {
        let content = bytes(signature.sig, "envelope.signatures.sig")?;
        let signer = signatories
            .iter()
            .find(|(signatory, _, scheme)| signed.verify(&signatory.key, *scheme, &content).is_ok())
            .ok_or(Refused::BadSignature { index })?;
        let (Signatory { verifier, .. }, key_details, _) = signer.clone();
        Ok(SignatureV2 { content, verifier, key_details })
    });
    let mut signatures = signatures.collect::<Result<Vec<_>, Refused>>()?;
    signatures.sort_by(|a, b| a.content.cmp(&b.content));
    signatures.dedup_by(|again, first| again.content == first.content);

    let record = DsseV2 { payload_digest: Digest::sha256(&payload), signatures };
    let canonical = record.to_leaf();
    let body = Body::DsseV2(record);
    let texts = search::texts(&body, Some(&payload));
    Admitted::new(body, canonical, &texts)
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
    fn parse(self) -> Result<(Signatory, KeyDetails), Refused> {
        let details = match self.key_details {
            Some(NameOrNumber(text)) => KeyDetails::parse(&text)?,
            None => return Err(missing("verifier.keyDetails", "the name of an algorithm")),
        };
        let verifier = match (self.x509_certificate, self.public_key) {
            (Some(raw), None) => {
                let field = "verifier.x509Certificate.rawBytes";
                Verifier::Certificate(bytes(raw.raw_bytes, field)?)
            }
            (None, Some(raw)) => {
                Verifier::PublicKey(bytes(raw.raw_bytes, "verifier.publicKey.rawBytes")?)
            }
            _ => return Err(missing("verifier", "either a certificate or a public key")),
        };
        let signatory = Signatory::parse(verifier)?;
        // The details must be those of this key.
        details.parse_key(signatory.key.spki_der())?;
        Ok((signatory, details))
    }
}

/// Protobuf has no difference between empty bytes and none.
fn bytes(field: Option<Base64>, name: &'static str) -> Result<Vec<u8>, Refused> {
    let Base64(bytes) = field.unwrap_or_default();
    if bytes.is_empty() { Err(missing(name, "base64")) } else { Ok(bytes) }
}

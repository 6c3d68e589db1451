//! The JSON of a bundle: protobuf's field names, its nulls, and its numbers in strings.

use serde::{Deserialize, Serialize};

use super::{
    CHAIN_MAX, Content, ENTRIES_MAX, Evidence, Format, MEDIA_TYPE_V0_3, ParseBundleError,
    SignerMaterial, TIMESTAMPS_MAX, within_bound,
};
use crate::certificate::Certificate;
use crate::entry::LogEntry;
use crate::entry::hashedrekord::HashOutput;
use crate::entry::wire::TransparencyLogEntry;
use crate::envelope::Envelope;
use crate::proto_json::{Base64, Bounded};

/// Signatures on an envelope (Sigstore bundle specification, `dsse_envelope`).
const SIGNATURES_MAX: usize = 1;

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bundle {
    #[serde(alias = "media_type")]
    media_type: Option<String>,
    #[serde(alias = "verification_material")]
    verification_material: Option<Material>,
    #[serde(alias = "message_signature", skip_serializing_if = "Option::is_none")]
    message_signature: Option<MessageSignature>,
    #[serde(alias = "dsse_envelope", skip_serializing_if = "Option::is_none")]
    dsse_envelope: Option<DsseEnvelope>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    #[serde(alias = "x509_certificate_chain", skip_serializing_if = "Option::is_none")]
    x509_certificate_chain: Option<Chain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<RawCertificate>,
    #[serde(alias = "public_key", skip_serializing_if = "Option::is_none")]
    public_key: Option<PublicKeyIdentifier>,
    #[serde(alias = "tlog_entries")]
    tlog_entries: Option<Bounded<TransparencyLogEntry, ENTRIES_MAX>>,
    #[serde(alias = "timestamp_verification_data", skip_serializing_if = "Option::is_none")]
    timestamp_verification_data: Option<TimestampData>,
}

#[derive(Deserialize, Serialize)]
struct Chain {
    certificates: Option<Bounded<RawCertificate, CHAIN_MAX>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct RawCertificate {
    #[serde(alias = "raw_bytes")]
    raw_bytes: Base64,
}

#[derive(Deserialize, Serialize)]
struct PublicKeyIdentifier {
    hint: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct TimestampData {
    #[serde(alias = "rfc3161_timestamps")]
    rfc3161_timestamps: Option<Bounded<SignedTimestamp, TIMESTAMPS_MAX>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct SignedTimestamp {
    #[serde(alias = "signed_timestamp")]
    signed_timestamp: Base64,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageSignature {
    #[serde(alias = "message_digest", skip_serializing_if = "Option::is_none")]
    message_digest: Option<HashOutput>,
    signature: Base64,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DsseEnvelope {
    payload: Base64,
    #[serde(alias = "payload_type")]
    payload_type: String,
    signatures: Option<Bounded<DsseSignature, SIGNATURES_MAX>>,
}

#[derive(Deserialize, Serialize)]
struct DsseSignature {
    sig: Base64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
}

impl Bundle {
    pub(super) fn parse(self) -> Result<Evidence, ParseBundleError> {
        let missing = |part| ParseBundleError::Missing { part };
        let media_type = self.media_type.ok_or(missing("media type"))?;
        let format = Format::from_media_type(&media_type).ok_or_else(|| {
            ParseBundleError::UnknownMediaType { found: media_type.chars().take(128).collect() }
        })?;
        let material = self.verification_material.ok_or(missing("verification material"))?;
        let content = match (self.message_signature, self.dsse_envelope) {
            (Some(message), None) => message.parse()?,
            (None, Some(envelope)) => Content::Envelope(envelope.parse()?),
            (Some(_), Some(_)) => {
                return Err(ParseBundleError::Ambiguous {
                    first: "a message signature",
                    second: "an envelope",
                });
            }
            (None, None) => return Err(missing("message signature or envelope")),
        };
        material.parse(format, content)
    }

    pub(super) fn of(evidence: &Evidence) -> Result<Self, ParseBundleError> {
        evidence.entries.iter().try_for_each(|entry| demand(Format::BundleV0_3, entry))?;
        let (certificate, public_key) = match &evidence.signer {
            SignerMaterial::Certificate(certificate) => {
                (Some(RawCertificate { raw_bytes: Base64(certificate.der().to_vec()) }), None)
            }
            SignerMaterial::PublicKeyHint(hint) => {
                (None, Some(PublicKeyIdentifier { hint: Some(hint.clone()) }))
            }
        };
        let timestamps = evidence
            .timestamps
            .iter()
            .map(|timestamp| SignedTimestamp { signed_timestamp: Base64(timestamp.clone()) });
        let timestamps = TimestampData { rfc3161_timestamps: Some(timestamps.collect()) };
        let (message_signature, dsse_envelope) = match &evidence.content {
            Content::Message { digest, signature } => {
                let message_digest = digest.as_ref().map(HashOutput::of);
                let signature = Base64(signature.clone());
                (Some(MessageSignature { message_digest, signature }), None)
            }
            Content::Envelope(envelope) => (None, Some(DsseEnvelope::of(envelope))),
            Content::SimpleSigning { .. } => return Err(ParseBundleError::SimpleSigning),
        };
        Ok(Self {
            media_type: Some(MEDIA_TYPE_V0_3.to_owned()),
            verification_material: Some(Material {
                x509_certificate_chain: None,
                certificate,
                public_key,
                tlog_entries: Some(evidence.entries.iter().map(TransparencyLogEntry::of).collect()),
                timestamp_verification_data: (!evidence.timestamps.is_empty())
                    .then_some(timestamps),
            }),
            message_signature,
            dsse_envelope,
        })
    }
}

impl Material {
    fn parse(self, format: Format, content: Content) -> Result<Evidence, ParseBundleError> {
        let certified = |certificate| SignerMaterial::Certificate(Box::new(certificate));
        let (signer, chain) = match (self.x509_certificate_chain, self.certificate, self.public_key)
        {
            (Some(chain), None, None) => {
                let (leaf, above) = chain.parse()?;
                (certified(leaf), Some(above))
            }
            (None, Some(certificate), None) => (certified(certificate.certificate(0)?), None),
            (None, None, Some(key)) => {
                (SignerMaterial::PublicKeyHint(key.hint.unwrap_or_default()), None)
            }
            (None, None, None) => {
                return Err(ParseBundleError::Missing { part: "certificate or public key" });
            }
            _ => {
                return Err(ParseBundleError::Ambiguous {
                    first: "one kind of signer",
                    second: "another",
                });
            }
        };
        let entries = within_bound("log entries", self.tlog_entries.unwrap_or_default())?;
        let entries = entries.into_iter().enumerate().map(|(index, entry)| {
            let entry =
                entry.parse().map_err(|source| ParseBundleError::Entry { index, source })?;
            demand(format, &entry)?;
            Ok(entry)
        });
        let entries = entries.collect::<Result<_, ParseBundleError>>()?;
        let timestamps = self
            .timestamp_verification_data
            .and_then(|data| data.rfc3161_timestamps)
            .unwrap_or_default();
        let timestamps = within_bound("timestamps", timestamps)?;
        let timestamps =
            timestamps.into_iter().map(|timestamp| timestamp.signed_timestamp.0).collect();
        Ok(Evidence {
            format,
            signer,
            chain,
            certificate_timestamps: Vec::new(),
            signature_hash: None,
            entries,
            timestamps,
            content,
        })
    }
}

/// What each version demands of a log entry (bundle specification, "Version-specific rules").
fn demand(format: Format, entry: &LogEntry) -> Result<(), ParseBundleError> {
    match (format, &entry.promise, &entry.proof) {
        (Format::BundleV0_1, None, _) => {
            Err(ParseBundleError::Missing { part: "inclusion promise, which v0.1 demands" })
        }
        (Format::BundleV0_2 | Format::BundleV0_3, _, None) => {
            Err(ParseBundleError::Missing { part: "inclusion proof" })
        }
        (Format::BundleV0_2 | Format::BundleV0_3, _, Some(proof)) if proof.checkpoint.is_none() => {
            Err(ParseBundleError::Missing { part: "checkpoint in its inclusion proof" })
        }
        _ => Ok(()),
    }
}

impl Chain {
    /// The signer's certificate, and those above it.
    fn parse(self) -> Result<(Certificate, Vec<Certificate>), ParseBundleError> {
        let certificates = within_bound("certificates", self.certificates.unwrap_or_default())?;
        let parsed = certificates
            .into_iter()
            .enumerate()
            .map(|(index, raw)| raw.certificate(index))
            .collect::<Result<Vec<_>, _>>()?;
        if parsed.iter().any(Certificate::is_self_issued) {
            return Err(ParseBundleError::RootInChain);
        }
        let mut parsed = parsed.into_iter();
        let leaf =
            parsed.next().ok_or(ParseBundleError::Missing { part: "certificate in its chain" })?;
        Ok((leaf, parsed.collect()))
    }
}

impl RawCertificate {
    fn certificate(&self, index: usize) -> Result<Certificate, ParseBundleError> {
        Certificate::parse(&self.raw_bytes.0)
            .map_err(|source| ParseBundleError::Certificate { index, source })
    }
}

impl MessageSignature {
    fn parse(self) -> Result<Content, ParseBundleError> {
        if self.signature.0.is_empty() {
            return Err(ParseBundleError::EmptySignature);
        }
        let digest = self
            .message_digest
            .map(|digest| digest.parse("message digest"))
            .transpose()
            .map_err(|_| ParseBundleError::BadMessageDigest)?;
        Ok(Content::Message { digest, signature: self.signature.0 })
    }
}

impl DsseEnvelope {
    pub(crate) fn parse(self) -> Result<Envelope, ParseBundleError> {
        let wrong_count = |found| ParseBundleError::EnvelopeSignatures { found };
        let signatures = self.signatures.unwrap_or_default().within_bound().map_err(wrong_count)?;
        let signature = signatures.into_iter().next().ok_or(wrong_count(0))?;
        if signature.sig.0.is_empty() {
            return Err(ParseBundleError::EmptySignature);
        }
        Ok(Envelope {
            payload_type: self.payload_type,
            payload: self.payload.0,
            signature: signature.sig.0,
            key_id: signature.keyid.unwrap_or_default(),
            document: None,
        })
    }

    pub(crate) fn of(envelope: &Envelope) -> Self {
        let keyid = (!envelope.key_id.is_empty()).then(|| envelope.key_id.clone());
        Self {
            payload: Base64(envelope.payload.clone()),
            payload_type: envelope.payload_type.clone(),
            signatures: Some(Bounded::from_iter([DsseSignature {
                sig: Base64(envelope.signature.clone()),
                keyid,
            }])),
        }
    }
}

//! What stands beside a signature: certificate, chain, log entry, timestamp; as annotations of a
//! layer, and the same texts as files.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{
    ANNOTATION_SIZE_MAX, CERTIFICATE, CHAIN, LOG_ENTRY, ParseCosignError, TIMESTAMP,
    WriteLayerError, check_size,
};
use crate::bundle::{CHAIN_MAX, Content, Evidence, Format, SignerMaterial};
use crate::certificate::Certificate;
use crate::entry::{Body, LogEntry, ParseEntryError};
use crate::json;
use crate::number::UnixTime;
use crate::proto_json::Base64;

/// Length of a v1 log's identifier in bytes: a SHA-256 hash.
const LOG_ID_SIZE: usize = 32;

const CERTIFICATE_LABEL: &str = "CERTIFICATE";

/// What stands beside a signature, parsed.
#[derive(Default)]
pub(super) struct Beside {
    pub(super) certificate: Option<Certificate>,
    pub(super) chain: Option<Vec<Certificate>>,
    pub(super) entry: Option<LogEntry>,
    pub(super) timestamp: Option<Vec<u8>>,
    /// Which key made the signature, where something says so.
    pub(super) hint: String,
}

/// `RekorBundle` of Cosign: an entry of a v1 log with its promise.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PromisedEntry {
    signed_entry_timestamp: Base64,
    payload: PromisedPayload,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct PromisedPayload {
    body: Base64,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

/// `RFC3161Timestamp` of Cosign.
#[derive(Deserialize, Serialize)]
pub(super) struct Stamp {
    #[serde(rename = "SignedRFC3161Timestamp")]
    response: Base64,
}

impl Beside {
    /// Reads a layer's annotations. An empty one is the same as none.
    pub(super) fn of_layer(
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self, ParseCosignError> {
        let text = |name| annotations.get(name).map(String::as_str).filter(|text| !text.is_empty());
        let certificate =
            text(CERTIFICATE).map(|pem| leaf("the annotated certificate", pem)).transpose()?;
        let chain = text(CHAIN).map(|pem| certificates("the annotated chain", pem)).transpose()?;
        // Trust comes from the trust root: the root that Cosign puts on top is of no use.
        let chain = chain.map(|mut chain| {
            chain.retain(|certificate| !certificate.is_self_issued());
            chain
        });
        let entry = text(LOG_ENTRY).map(|text| PromisedEntry::read(text.as_bytes())).transpose()?;
        let timestamp = text(TIMESTAMP).map(|text| Stamp::read(text.as_bytes())).transpose()?;
        Ok(Self { certificate, chain, entry, timestamp, hint: String::new() })
    }

    /// The evidence that this makes with a signature.
    pub(super) fn with(self, format: Format, content: Content) -> Evidence {
        let signer = match self.certificate {
            Some(certificate) => SignerMaterial::Certificate(Box::new(certificate)),
            None => SignerMaterial::PublicKeyHint(self.hint),
        };
        Evidence {
            format,
            signer,
            chain: self.chain,
            certificate_timestamps: Vec::new(),
            signature_hash: None,
            entries: self.entry.into_iter().collect(),
            timestamps: self.timestamp.into_iter().collect(),
            content,
        }
    }

    /// Writes what stands beside a signature as annotations of its layer.
    pub(super) fn write(
        evidence: &Evidence,
        chain: &[Vec<u8>],
    ) -> Result<BTreeMap<String, String>, WriteLayerError> {
        let mut annotations = BTreeMap::new();
        let mut put = |name: &str, value: String| annotations.insert(name.to_owned(), value);
        if let SignerMaterial::Certificate(certificate) = &evidence.signer {
            put(CERTIFICATE, crypto::pem::encode(CERTIFICATE_LABEL, certificate.der()));
            if !chain.is_empty() {
                let pem = chain.iter().map(|der| crypto::pem::encode(CERTIFICATE_LABEL, der));
                put(CHAIN, pem.collect());
            }
        }
        // One entry and one timestamp is all that the format has room for.
        if !evidence.entries.is_empty() {
            let promised = evidence.entries.iter().find_map(PromisedEntry::of);
            put(LOG_ENTRY, to_json(&promised.ok_or(WriteLayerError::NoPromise)?));
        }
        if let Some(timestamp) = evidence.timestamps.first() {
            put(TIMESTAMP, to_json(&Stamp { response: Base64(timestamp.clone()) }));
        }
        Ok(annotations)
    }
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("text and numbers always serialise")
}

impl PromisedEntry {
    pub(super) fn read(json: &[u8]) -> Result<LogEntry, ParseCosignError> {
        const WHAT: &str = "the log entry";
        check_size(WHAT, json.len(), ANNOTATION_SIZE_MAX)?;
        let entry: Self =
            json::parse(json).map_err(|problem| ParseCosignError::Json { what: WHAT, problem })?;
        entry.parse()
    }

    pub(super) fn parse(self) -> Result<LogEntry, ParseCosignError> {
        let Self { signed_entry_timestamp, payload } = self;
        let body = Body::parse(&payload.body.0)?;
        let (kind, version) = body.kind_and_version();
        // The hash of the log's key.
        let log_id = Some(&payload.log_id).filter(|id| id.len() == 2 * LOG_ID_SIZE);
        let log_id = log_id.and_then(|id| hex::decode(id).ok());
        let log_id = log_id.ok_or_else(|| ParseCosignError::Json {
            what: "the log entry",
            problem: format!("wanted a log identifier of {LOG_ID_SIZE} bytes in hexadecimal"),
        })?;
        if signed_entry_timestamp.0.is_empty() {
            return Err(ParseEntryError::Missing { field: "promise" }.into());
        }
        let log_index = u64::try_from(payload.log_index)
            .map_err(|_| ParseEntryError::Negative { field: "log index" })?;
        // As in bundles, the epoch itself is no time of signing.
        let time = Some(payload.integrated_time).filter(|time| *time != 0);
        Ok(LogEntry {
            log_id,
            log_index,
            kind: kind.to_owned(),
            version: version.to_owned(),
            integrated_time: time.map(UnixTime::from_seconds),
            promise: Some(signed_entry_timestamp.0),
            proof: None,
            canonical_body: payload.body.0,
            body,
        })
    }

    /// `None` without a promise.
    pub(super) fn of(entry: &LogEntry) -> Option<Self> {
        Some(Self {
            signed_entry_timestamp: Base64(entry.promise.clone()?),
            payload: PromisedPayload {
                body: Base64(entry.canonical_body.clone()),
                integrated_time: entry.integrated_time?.seconds(),
                log_index: i64::try_from(entry.log_index).ok()?,
                log_id: hex::encode(&entry.log_id),
            },
        })
    }
}

impl Stamp {
    pub(super) fn read(json: &[u8]) -> Result<Vec<u8>, ParseCosignError> {
        const WHAT: &str = "the timestamp";
        check_size(WHAT, json.len(), ANNOTATION_SIZE_MAX)?;
        let stamp: Self =
            json::parse(json).map_err(|problem| ParseCosignError::Json { what: WHAT, problem })?;
        Ok(stamp.response.0)
    }
}

/// The first of the certificates: the signer's.
pub(super) fn leaf(what: &'static str, pem: &str) -> Result<Certificate, ParseCosignError> {
    certificates(what, pem)?.into_iter().next().ok_or(ParseCosignError::BadPem { what })
}

/// At least one certificate, with nothing but white space between them.
fn certificates(what: &'static str, pem: &str) -> Result<Vec<Certificate>, ParseCosignError> {
    const END: &str = "-----END CERTIFICATE-----";
    check_size(what, pem.len(), ANNOTATION_SIZE_MAX)?;
    let bad = ParseCosignError::BadPem { what };
    let mut certificates = Vec::new();
    let mut rest = pem.trim_ascii();
    while !rest.is_empty() {
        if certificates.len() == CHAIN_MAX {
            return Err(ParseCosignError::TooManyCertificates { what, max: CHAIN_MAX });
        }
        let end = rest.find(END).ok_or_else(|| bad.clone())? + END.len();
        let (block, after) = rest.split_at(end);
        let (label, der) = crypto::pem::decode(block.as_bytes()).map_err(|_| bad.clone())?;
        if label != CERTIFICATE_LABEL {
            return Err(bad);
        }
        let index = certificates.len();
        let certificate = Certificate::parse(&der)
            .map_err(|source| ParseCosignError::Certificate { what, index, source })?;
        certificates.push(certificate);
        rest = after.trim_ascii_start();
    }
    if certificates.is_empty() { Err(bad) } else { Ok(certificates) }
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn unbase64(what: &'static str, text: &str) -> Result<Vec<u8>, ParseCosignError> {
    check_size(what, text.len(), ANNOTATION_SIZE_MAX)?;
    STANDARD.decode(text).map_err(|_| ParseCosignError::BadBase64 { what })
}

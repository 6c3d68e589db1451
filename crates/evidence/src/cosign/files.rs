//! Cosign's bundle for blobs before v3, and the files that `--signature`, `--certificate`,
//! `--rfc3161-timestamp` and their kin name.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::annotations::{self, Beside, PromisedEntry, Stamp};
use super::{ANNOTATION_SIZE_MAX, PAYLOAD_SIZE_MAX, ParseCosignError, check_size, envelope};
use crate::bundle::{BUNDLE_SIZE_MAX, Content, Evidence, Format};
use crate::certificate::Certificate;
use crate::entry::LogEntry;
use crate::json;

/// Longest signature read from a file, in bytes: that of the largest RSA key, in base64, many times
/// over.
const SIGNATURE_SIZE_MAX: usize = 64 * 1024;

/// Files that stand beside a detached signature.
#[derive(Clone, Copy, Debug, Default)]
pub struct DetachedFiles<'a> {
    /// The signer's certificate, in PEM, or base64 of that.
    pub certificate: Option<&'a [u8]>,
    /// The log entry with its promise: JSON, or a blob bundle that holds it.
    pub log_entry: Option<&'a [u8]>,
    /// An RFC 3161 timestamp: JSON, or the DER itself.
    pub timestamp: Option<&'a [u8]>,
}

/// `LocalSignedPayload` of Cosign.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlobBundle {
    base64_signature: String,
    #[serde(default)]
    cert: Option<String>,
    #[serde(default)]
    rekor_bundle: Option<PromisedEntry>,
}

/// What tells the two bundles for blobs apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline {
    #[serde(default)]
    media_type: Option<IgnoredAny>,
    #[serde(default)]
    base64_signature: Option<IgnoredAny>,
}

/// Whether this is meant to be Cosign's older bundle for blobs, and not a Sigstore bundle.
#[must_use]
pub fn is_blob_bundle(json: &[u8]) -> bool {
    json.len() <= BUNDLE_SIZE_MAX
        && json::parse::<Outline>(json)
            .is_ok_and(|outline| outline.base64_signature.is_some() && outline.media_type.is_none())
}

impl Evidence {
    /// Reads Cosign's bundle for blobs before v3. The signature in it is over the blob, or is an
    /// envelope that holds its own.
    ///
    /// # Errors
    /// When it is too long or malformed.
    pub fn from_blob_bundle(json: &[u8]) -> Result<Self, ParseCosignError> {
        Self::from_blob_bundle_beside(json, &DetachedFiles::default())
    }

    /// As [`Evidence::from_blob_bundle`], with what stands in files beside it: a certificate, which
    /// must be the bundle's if that has one, and a timestamp.
    ///
    /// # Errors
    /// When the bundle or a file is too long or malformed, or the certificates differ.
    pub fn from_blob_bundle_beside(
        json: &[u8],
        files: &DetachedFiles<'_>,
    ) -> Result<Self, ParseCosignError> {
        const WHAT: &str = "the blob bundle";
        check_size(WHAT, json.len(), BUNDLE_SIZE_MAX)?;
        let bundle: BlobBundle =
            json::parse(json).map_err(|problem| ParseCosignError::Json { what: WHAT, problem })?;
        let signature = STANDARD
            .decode(&bundle.base64_signature)
            .map_err(|_| ParseCosignError::BadBase64 { what: "the signature" })?;
        let certificate = bundle.cert.as_deref().filter(|text| !text.is_empty());
        let own =
            certificate.map_or_else(|| Ok(Beside::default()), |text| signer(text.as_bytes()))?;
        let beside = files.read()?;
        if let (Some(own), Some(other)) = (&own.certificate, &beside.certificate)
            && own != other
        {
            return Err(ParseCosignError::OtherCertificate);
        }
        let entry = bundle.rekor_bundle.map(PromisedEntry::parse).transpose()?;
        let beside = Beside {
            certificate: own.certificate.or(beside.certificate),
            entry: entry.or(beside.entry),
            hint: own.hint,
            ..beside
        };
        Ok(beside.with(Format::CosignBlob, blob_content(signature)?))
    }

    /// Reads a detached signature over a blob: raw or in base64. Where the log entry is a blob
    /// bundle's, so is the rest: the signature must be the bundle's, and a certificate in it is the
    /// signer's.
    ///
    /// # Errors
    /// When a file is too long or malformed, or the bundle is of another signature or certificate.
    pub fn from_detached_signature(
        signature: &[u8],
        files: &DetachedFiles<'_>,
    ) -> Result<Self, ParseCosignError> {
        let content = blob_content(signature_in(signature)?)?;
        let Some(bundle) = files.log_entry.filter(|file| is_blob_bundle(file)) else {
            return Ok(files.read()?.with(Format::CosignBlob, content));
        };
        let beside = DetachedFiles { log_entry: None, ..*files };
        let evidence = Self::from_blob_bundle_beside(bundle, &beside)?;
        match evidence.content == content {
            true => Ok(evidence),
            false => Err(ParseCosignError::OtherBlobSignature),
        }
    }

    /// Reads a detached signature over a simple signing payload, as Cosign attaches it to an image.
    ///
    /// # Errors
    /// When a file is too long or malformed.
    pub fn from_detached_payload(
        payload: Vec<u8>,
        signature: &[u8],
        files: &DetachedFiles<'_>,
    ) -> Result<Self, ParseCosignError> {
        check_size("a simple signing payload", payload.len(), PAYLOAD_SIZE_MAX)?;
        let signature = signature_in(signature)?;
        let content = Content::SimpleSigning { payload, signature };
        Ok(files.read()?.with(Format::CosignSignature, content))
    }

    /// Reads a detached envelope.
    ///
    /// # Errors
    /// When a file is too long or malformed.
    pub fn from_detached_envelope(
        document: Vec<u8>,
        files: &DetachedFiles<'_>,
    ) -> Result<Self, ParseCosignError> {
        let content = envelope(document)?;
        Ok(files.read()?.with(Format::CosignAttestation, content))
    }
}

impl DetachedFiles<'_> {
    fn read(&self) -> Result<Beside, ParseCosignError> {
        let beside = self.certificate.map_or_else(|| Ok(Beside::default()), signer)?;
        let timestamp = self.timestamp.map(|file| match file.trim_ascii_start().first() {
            Some(b'{') => Stamp::read(file),
            _ => {
                check_size("the timestamp", file.len(), ANNOTATION_SIZE_MAX)?;
                Ok(file.to_vec())
            }
        });
        Ok(Beside {
            entry: self.log_entry.map(log_entry).transpose()?,
            timestamp: timestamp.transpose()?,
            ..beside
        })
    }
}

/// Reads a certificate from a file as Cosign takes it: PEM, or base64 of that.
///
/// # Errors
/// When it is too long or malformed, or a public key.
pub fn certificate_in(file: &[u8]) -> Result<Certificate, ParseCosignError> {
    signer(file)?.certificate.ok_or(ParseCosignError::BadPem { what: "the file" })
}

/// A log entry by itself, or in a blob bundle.
fn log_entry(file: &[u8]) -> Result<LogEntry, ParseCosignError> {
    const WHAT: &str = "the log entry";
    if !is_blob_bundle(file) {
        return PromisedEntry::read(file);
    }
    let bundle: BlobBundle =
        json::parse(file).map_err(|problem| ParseCosignError::Json { what: WHAT, problem })?;
    let missing = || ParseCosignError::Json { what: WHAT, problem: "there is none".to_owned() };
    bundle.rekor_bundle.ok_or_else(missing)?.parse()
}

/// A signature over a blob; or, as `attest-blob` wrote it, a whole envelope in its place. No
/// signature reads as an envelope's JSON.
fn blob_content(signature: Vec<u8>) -> Result<Content, ParseCosignError> {
    if signature.is_empty() {
        return Err(ParseCosignError::NoSignature);
    }
    if signature.first() == Some(&b'{')
        && let Ok(content) = envelope(signature.clone())
    {
        return Ok(content);
    }
    check_size("the signature", signature.len(), SIGNATURE_SIZE_MAX)?;
    Ok(Content::Message { digest: None, signature })
}

/// Who signed: a certificate, or a public key, of which only a hint is kept, for a key that the
/// evidence brings along proves nothing.
fn signer(file: &[u8]) -> Result<Beside, ParseCosignError> {
    const WHAT: &str = "the certificate";
    let bad = || ParseCosignError::BadPem { what: WHAT };
    check_size(WHAT, file.len(), ANNOTATION_SIZE_MAX)?;
    let text = std::str::from_utf8(file).map_err(|_| bad())?.trim_ascii();
    let decoded;
    let pem = if text.starts_with("-----BEGIN") {
        text
    } else {
        // Cosign writes base64 of the PEM unless it is told not to.
        let bytes = STANDARD.decode(text).map_err(|_| bad())?;
        decoded = String::from_utf8(bytes).map_err(|_| bad())?;
        &decoded
    };
    match crypto::pem::decode(pem.as_bytes()) {
        Ok(("PUBLIC KEY", der)) => {
            let hint = annotations::base64(&crypto::sha256(&der));
            Ok(Beside { hint, ..Beside::default() })
        }
        _ => {
            let certificate = Some(annotations::leaf(WHAT, pem)?);
            Ok(Beside { certificate, ..Beside::default() })
        }
    }
}

/// A signature in a file: base64, with line ends or without, or else the raw bytes.
fn signature_in(file: &[u8]) -> Result<Vec<u8>, ParseCosignError> {
    // An envelope may stand in a signature's place.
    check_size("the signature", file.len(), BUNDLE_SIZE_MAX)?;
    let text: Vec<u8> = file.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let signature = STANDARD.decode(text).unwrap_or_else(|_| file.to_vec());
    if signature.is_empty() { Err(ParseCosignError::NoSignature) } else { Ok(signature) }
}

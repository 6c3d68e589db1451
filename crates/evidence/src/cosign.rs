//! What Cosign wrote before bundles: layers of its signature and attestation tags, whose
//! annotations hold certificate, log entry and timestamp; bundles for blobs; and detached files.
//!
//! Cosign's `SIGNATURE_SPEC.md`, and its `pkg/oci/static` and `pkg/cosign` where that is silent. A
//! log entry comes with the log's promise alone. All of it becomes the same [`Evidence`] as a
//! bundle, for the same judge.

mod annotations;
pub(crate) mod files;
mod payload;

use std::collections::BTreeMap;

use crate::bundle::{BUNDLE_SIZE_MAX, Content, Evidence, Format, wire};
use crate::certificate::ParseCertificateError;
use crate::entry::ParseEntryError;
use crate::json;

use annotations::Beside;
pub use files::{DetachedFiles, certificate_in, is_blob_bundle};
pub use payload::{IMAGE_SIGNATURE_TYPE, ParsePayloadError, SimpleSigning};

/// Media type of a layer that holds a simple signing payload.
pub const SIMPLE_SIGNING_MEDIA_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Media type of a layer that holds an envelope.
pub const ENVELOPE_MEDIA_TYPE: &str = "application/vnd.dsse.envelope.v1+json";

/// Annotation: the signature, in base64; empty on an envelope, which holds its own.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// Annotation: the signer's certificate, in PEM.
pub const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
/// Annotation: the certificates above it, in PEM.
pub const CHAIN: &str = "dev.sigstore.cosign/chain";
/// Annotation: the log entry with its promise, in JSON.
pub const LOG_ENTRY: &str = "dev.sigstore.cosign/bundle";
/// Annotation: an RFC 3161 timestamp, in JSON.
pub const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";
/// Annotation of an attestation: what its statement says, unsigned.
pub const PREDICATE_TYPE: &str = "predicateType";

/// Longest simple signing payload read, in bytes. Cosign's have about 250, and annotations.
pub const PAYLOAD_SIZE_MAX: usize = 1024 * 1024;
/// Longest annotation read, in bytes: ten certificates of the largest size in PEM fit in.
pub const ANNOTATION_SIZE_MAX: usize = 1024 * 1024;

/// A layer of one of Cosign's tags, with what stands beside it in the manifest. A claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its media type, as the manifest says.
    pub media_type: String,
    /// Its annotations in the manifest.
    pub annotations: BTreeMap<String, String>,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Why something is not what Cosign wrote before bundles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseCosignError {
    /// Longer than is read.
    #[error("{what} of {found} bytes is longer than the {max} read")]
    TooLong {
        /// What.
        what: &'static str,
        /// Length in bytes.
        found: usize,
        /// The most read.
        max: usize,
    },
    /// Neither a signature nor an attestation.
    #[error("wanted a layer with a simple signing payload or an envelope, found `{found}`")]
    UnknownMediaType {
        /// The media type found, cut to 128 characters.
        found: String,
    },
    /// Not JSON of the right shape.
    #[error("{what} is malformed: {problem}")]
    Json {
        /// What.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Not base64.
    #[error("{what} is not base64")]
    BadBase64 {
        /// What.
        what: &'static str,
    },
    /// Not PEM of the right kind.
    #[error("{what} is not PEM of certificates")]
    BadPem {
        /// What.
        what: &'static str,
    },
    /// More certificates than are read.
    #[error("{what} holds more than {max} certificates")]
    TooManyCertificates {
        /// What.
        what: &'static str,
        /// The most read.
        max: usize,
    },
    /// A certificate that does not parse.
    #[error("certificate {index} of {what}")]
    Certificate {
        /// What holds it.
        what: &'static str,
        /// Position, counted from 0.
        index: usize,
        /// What is wrong.
        source: ParseCertificateError,
    },
    /// A log entry that does not parse.
    #[error("the log entry")]
    Entry(#[from] ParseEntryError),
    /// No signature, or one of no bytes.
    #[error("there is no signature")]
    NoSignature,
    /// Not exactly one signature on the envelope.
    #[error("wanted exactly one signature on the envelope, found {found}")]
    EnvelopeSignatures {
        /// How many.
        found: usize,
    },
    /// A certificate beside a bundle that holds another.
    #[error("the certificate beside the bundle is another than the bundle's")]
    OtherCertificate,
    /// A signature beside a bundle that holds another.
    #[error("the signature beside the bundle is another than the bundle's")]
    OtherBlobSignature,
    /// A signature beside an envelope that holds another.
    #[error("the annotated signature is another than the envelope's")]
    OtherSignature,
}

/// Why evidence cannot be written in the form of Cosign's tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteLayerError {
    /// A signature over an artifact is no claim about an image.
    #[error("a signature over an artifact itself has no place in Cosign's tags")]
    NotAboutAnImage,
    /// Cosign's older formats hold a promise, which only v1 logs make.
    #[error("the log made no promise, which Cosign's older formats need: sign in a v1 log")]
    NoPromise,
}

impl Evidence {
    /// Reads a layer of Cosign's signature or attestation tag.
    ///
    /// # Errors
    /// When it is too long or malformed, or neither a signature nor an attestation.
    pub fn from_cosign_layer(layer: Layer) -> Result<Self, ParseCosignError> {
        let annotated = layer.annotations.get(SIGNATURE).is_some_and(|text| !text.is_empty());
        match layer.media_type.as_str() {
            ENVELOPE_MEDIA_TYPE => Self::from_attestation_layer(layer),
            // Cosign itself reads every layer under its signature tag, whatever that is called.
            SIMPLE_SIGNING_MEDIA_TYPE => Self::from_signature_layer(layer),
            _ if annotated => Self::from_signature_layer(layer),
            found => {
                let found = found.chars().take(128).collect();
                Err(ParseCosignError::UnknownMediaType { found })
            }
        }
    }

    /// Writes a claim about an image as a layer of Cosign's signature or attestation tag, with the
    /// certificates above the signer's, issuing one first, as DER.
    ///
    /// # Errors
    /// When it is no such claim, or the log did not promise its entry.
    pub fn to_cosign_layer(&self, chain: &[Vec<u8>]) -> Result<Layer, WriteLayerError> {
        let (media_type, signature, bytes, predicate_type) = match &self.content {
            Content::Message { .. } => return Err(WriteLayerError::NotAboutAnImage),
            Content::SimpleSigning { payload, signature } => {
                let signature = annotations::base64(signature);
                (SIMPLE_SIGNING_MEDIA_TYPE, signature, payload.clone(), None)
            }
            Content::Envelope(envelope) => {
                let bytes = envelope_document(envelope);
                let statement = crate::Statement::parse(&envelope.payload).ok();
                let predicate_type = statement.map(|statement| statement.predicate_type);
                (ENVELOPE_MEDIA_TYPE, String::new(), bytes, predicate_type)
            }
        };
        let mut annotations = Beside::write(self, chain)?;
        annotations.insert(SIGNATURE.to_owned(), signature);
        annotations.extend(predicate_type.map(|kind| (PREDICATE_TYPE.to_owned(), kind)));
        Ok(Layer { media_type: media_type.to_owned(), annotations, bytes })
    }

    fn from_signature_layer(layer: Layer) -> Result<Self, ParseCosignError> {
        check_size("a simple signing payload", layer.bytes.len(), PAYLOAD_SIZE_MAX)?;
        let text = layer.annotations.get(SIGNATURE).map_or("", String::as_str);
        let signature = annotations::unbase64("the annotated signature", text)?;
        if signature.is_empty() {
            return Err(ParseCosignError::NoSignature);
        }
        let content = Content::SimpleSigning { payload: layer.bytes, signature };
        Ok(Beside::of_layer(&layer.annotations)?.with(Format::CosignSignature, content))
    }

    fn from_attestation_layer(layer: Layer) -> Result<Self, ParseCosignError> {
        let annotated = layer.annotations.get(SIGNATURE).filter(|text| !text.is_empty());
        let annotated =
            annotated.map(|text| annotations::unbase64("the annotated signature", text));
        let annotated = annotated.transpose()?;
        let content = envelope(layer.bytes)?;
        let beside = Beside::of_layer(&layer.annotations)?;
        let evidence = beside.with(Format::CosignAttestation, content);
        if annotated.is_some_and(|signature| signature != evidence.signature()) {
            return Err(ParseCosignError::OtherSignature);
        }
        Ok(evidence)
    }
}

/// An envelope as a document of its own: as it was stored, else as we write it. Log v1 is shown the
/// same bytes that an attestation layer holds, because Cosign compares their hashes.
#[must_use]
pub fn envelope_document(envelope: &crate::Envelope) -> Vec<u8> {
    envelope.document.clone().unwrap_or_else(|| {
        serde_json::to_vec(&wire::DsseEnvelope::of(envelope))
            .expect("an envelope has only text, so it always serialises")
    })
}

/// An envelope that is a document of its own.
fn envelope(document: Vec<u8>) -> Result<Content, ParseCosignError> {
    const WHAT: &str = "the envelope";
    check_size(WHAT, document.len(), BUNDLE_SIZE_MAX)?;
    let parsed: wire::DsseEnvelope =
        json::parse(&document).map_err(|problem| ParseCosignError::Json { what: WHAT, problem })?;
    let parsed = parsed.parse().map_err(|error| match error {
        crate::bundle::ParseBundleError::EnvelopeSignatures { found } => {
            ParseCosignError::EnvelopeSignatures { found }
        }
        // The one other thing that can be wrong with an envelope's fields.
        _ => ParseCosignError::NoSignature,
    })?;
    Ok(Content::Envelope(crate::Envelope { document: Some(document), ..parsed }))
}

fn check_size(what: &'static str, found: usize, max: usize) -> Result<(), ParseCosignError> {
    if found > max { Err(ParseCosignError::TooLong { what, found, max }) } else { Ok(()) }
}

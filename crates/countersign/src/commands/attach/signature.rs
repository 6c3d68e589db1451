//! `attach signature`: a signature over a simple signing payload, put under Cosign's tag.

use std::path::{Path, PathBuf};

use clap::Args;
use client::registry::{AttachmentKind, CosignTag};
use evidence::Evidence;
use evidence::bundle::{BUNDLE_SIZE_MAX, SignerMaterial};
use evidence::cosign::{ANNOTATION_SIZE_MAX, CHAIN, DetachedFiles, Layer, PAYLOAD_SIZE_MAX};
use serde_json::{Value, json};

use super::{Attached, Target, Where, note_if_bare};
use crate::arguments::attaching::layer;
use crate::arguments::detached_image::implied_payload;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::{machine, runtime};

/// Longest signature read, in bytes, in whatever form.
const SIGNATURE_SIZE_MAX: usize = 64 * 1024;

/// Attach a signature that was made elsewhere to an image, in Cosign's older format; or a bundle.
#[derive(Debug, Args)]
pub(super) struct Signature {
    /// File with the signature, in base64 or raw (`-` for standard input).
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,

    /// File with the payload that is signed; or with a bundle, which needs nothing beside it.
    /// Without it the payload is the one that Cosign makes for the image when nothing is annotated.
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,

    /// File with a bundle.
    #[arg(long, value_name = "FILE", conflicts_with = "payload")]
    bundle: Option<PathBuf>,

    /// File with the signer's certificate (PEM).
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,

    /// File with the certificates above it (PEM), issuing one first.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    certificate_chain: Option<PathBuf>,

    /// File with the log entry and its promise: Cosign's bundle for blobs, or a log's answer.
    #[arg(long, value_name = "FILE")]
    rekor_response: Option<PathBuf>,

    /// File with a timestamp of the signature: an RFC 3161 response.
    #[arg(long, value_name = "FILE")]
    tsr: Option<PathBuf>,

    #[command(flatten)]
    to: Where,
}

impl Signature {
    pub(super) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let given = self.payload.as_deref().or(self.bundle.as_deref());
        let payload = given.map(|path| machine::read(path, "payload", BUNDLE_SIZE_MAX));
        let payload = payload.transpose()?;
        let bundle = match &payload {
            Some(document) => self.as_bundle(document)?,
            None => None,
        };
        runtime::block_on(async {
            let attached = match bundle {
                Some(evidence) => {
                    let target = self.to.open(global).await?;
                    let what = "the bundle";
                    target.check(&evidence, what)?;
                    let document = payload.unwrap_or_default();
                    (vec![target.attach_bundle(&evidence, document, what).await?], target)
                }
                None => {
                    let files = Files::read(&self)?;
                    let target = self.to.open(global).await?;
                    let payload =
                        payload.unwrap_or_else(|| implied_payload(&target.image, target.digest()));
                    (self.attach_layer(&target, payload, &files).await?, target)
                }
            };
            let (attached, target) = attached;
            self.to.print(&target, &attached);
            Ok(Exit::Success)
        })
    }

    /// The document as a bundle, if it is meant to be one.
    fn as_bundle(&self, document: &[u8]) -> Result<Option<Evidence>, Failure> {
        let outline: Option<Value> = serde_json::from_slice(document).ok();
        let is_bundle = outline.is_some_and(|outline| outline["mediaType"].is_string());
        if !is_bundle && self.bundle.is_none() {
            return Ok(None);
        }
        let beside = [&self.signature, &self.certificate, &self.rekor_response, &self.tsr];
        if beside.iter().any(|path| path.is_some()) {
            return Err(Failure::usage("files are named beside the bundle, which holds all of it")
                .hint("give the bundle alone"));
        }
        let evidence = Evidence::from_bundle(document)
            .map_err(|error| Failure::usage("this is no bundle").caused_by(error))?;
        Ok(Some(evidence))
    }

    async fn attach_layer(
        &self,
        target: &Target<'_>,
        payload: Vec<u8>,
        files: &Files,
    ) -> Result<Vec<Attached>, Failure> {
        let what = "the signature";
        if payload.len() > PAYLOAD_SIZE_MAX {
            let message = format!("the payload is longer than the {PAYLOAD_SIZE_MAX} bytes read");
            return Err(Failure::usage(message));
        }
        let evidence = files.evidence(payload)?;
        target.check(&evidence, what)?;
        note_if_bare(&evidence, what);
        let layer = files.with_chain(layer(&evidence)?)?;
        target.attach_layers(AttachmentKind::Signature, CosignTag::Signature, &[layer]).await
    }
}

/// What stands beside a payload, as read.
struct Files {
    signature: Vec<u8>,
    certificate: Option<Vec<u8>>,
    chain: Option<String>,
    log_entry: Option<Vec<u8>>,
    timestamp: Option<Vec<u8>>,
}

impl Files {
    fn read(arguments: &Signature) -> Result<Self, Failure> {
        let read = |path: &Option<PathBuf>, what, size_max| {
            let path = path.as_deref();
            path.map(|path: &Path| machine::read(path, what, size_max)).transpose()
        };
        let signature = read(&arguments.signature, "signature", SIGNATURE_SIZE_MAX)?;
        let signature = signature.ok_or_else(|| {
            Failure::usage("there is no signature to attach")
                .hint("name its file with --signature, or a bundle with --bundle")
        })?;
        let chain = read(&arguments.certificate_chain, "certificate chain", ANNOTATION_SIZE_MAX)?;
        let chain = chain.map(String::from_utf8).transpose();
        let chain = chain.map_err(|_| Failure::usage("the certificate chain is not PEM"))?;
        let log_entry = read(&arguments.rekor_response, "log entry", ANNOTATION_SIZE_MAX)?;
        Ok(Self {
            signature,
            certificate: read(&arguments.certificate, "certificate", ANNOTATION_SIZE_MAX)?,
            chain,
            log_entry: log_entry.map(|json| promised_entry(&json).unwrap_or(json)),
            timestamp: read(&arguments.tsr, "timestamp", ANNOTATION_SIZE_MAX)?,
        })
    }

    fn evidence(&self, payload: Vec<u8>) -> Result<Evidence, Failure> {
        let files = DetachedFiles {
            certificate: self.certificate.as_deref(),
            log_entry: self.log_entry.as_deref(),
            timestamp: self.timestamp.as_deref(),
        };
        let evidence = Evidence::from_detached_payload(payload, &self.signature, &files)
            .map_err(|error| Failure::usage("the signature cannot be attached").caused_by(error))?;
        match &evidence.signer {
            SignerMaterial::PublicKeyHint(_) if self.certificate.is_some() => {
                Err(Failure::usage("--certificate names a public key")
                    .hint("leave it away: whoever verifies has the key already"))
            }
            _ => Ok(evidence),
        }
    }

    /// The layer with the chain beside the certificate, read back.
    fn with_chain(&self, mut layer: Layer) -> Result<Layer, Failure> {
        if let Some(chain) = &self.chain {
            layer.annotations.insert(CHAIN.to_owned(), chain.clone());
        }
        Evidence::from_cosign_layer(layer.clone())
            .map_err(|error| Failure::usage("the signature cannot be attached").caused_by(error))?;
        Ok(layer)
    }
}

/// A log entry with its promise, as Cosign keeps it, out of what a v1 log answers with, or out of a
/// bundle for blobs without a signature in it. `None` for what is neither.
fn promised_entry(json: &[u8]) -> Option<Vec<u8>> {
    let document: Value = serde_json::from_slice(json).ok()?;
    let members = document.as_object()?;
    if let (Some(entry @ Value::Object(_)), None) =
        (members.get("rekorBundle"), members.get("base64Signature"))
    {
        return Some(entry.to_string().into_bytes());
    }
    let mut entries = members.values();
    let (Some(entry), None) = (entries.next(), entries.next()) else { return None };
    let promise = entry["verification"]["signedEntryTimestamp"].as_str()?;
    let entry = json!({
        "SignedEntryTimestamp": promise,
        "Payload": {
            "body": entry["body"],
            "integratedTime": entry["integratedTime"],
            "logIndex": entry["logIndex"],
            "logID": entry["logID"],
        },
    });
    Some(entry.to_string().into_bytes())
}

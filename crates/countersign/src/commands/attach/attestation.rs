//! `attach attestation`: envelopes, put under Cosign's tag, and bundles, attached as what refers to
//! the image.

use std::path::PathBuf;

use clap::Args;
use client::registry::manifest::DESCRIPTORS_MAX;
use client::registry::{AttachmentKind, CosignTag};
use evidence::Evidence;
use evidence::bundle::Format;
use evidence::cosign::DetachedFiles;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{Where, note_if_bare};
use crate::arguments::attaching::layer;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::{machine, runtime};

/// Longest file of attestations read, in bytes.
const FILE_SIZE_MAX: usize = 64 * 1024 * 1024;

/// Attach attestations that were made elsewhere to an image.
///
/// An envelope goes under Cosign's attestation tag; a bundle refers to the image. All of them are
/// checked before the first is attached.
#[derive(Debug, Args)]
pub(super) struct Attestation {
    /// File with an attestation, or several one after the other: envelopes or bundles (`-` for
    /// standard input); may be given several times.
    #[arg(long, value_name = "FILE", required = true)]
    attestation: Vec<PathBuf>,

    #[command(flatten)]
    to: Where,
}

/// What tells the documents apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline {
    #[serde(default)]
    payload_type: Option<IgnoredAny>,
}

/// An attestation, read.
struct Document {
    /// What it is called in messages.
    name: String,
    bytes: Vec<u8>,
    evidence: Evidence,
}

impl Attestation {
    pub(super) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let mut documents = Vec::new();
        for path in &self.attestation {
            let bytes = machine::read(path, "attestation", FILE_SIZE_MAX)?;
            documents.extend(parse(&path.display().to_string(), &bytes)?);
            if documents.len() > DESCRIPTORS_MAX {
                let message = format!("more than {DESCRIPTORS_MAX} attestations are given");
                return Err(Failure::usage(message));
            }
        }
        runtime::block_on(async {
            let target = self.to.open(global).await?;
            for Document { name, evidence, .. } in &documents {
                target.check(evidence, name)?;
            }
            let mut attached = Vec::new();
            let mut layers = Vec::new();
            for Document { name, bytes, evidence } in documents {
                match evidence.format {
                    Format::BundleV0_1 | Format::BundleV0_2 | Format::BundleV0_3 => {
                        attached.push(target.attach_bundle(&evidence, bytes, &name).await?);
                    }
                    Format::CosignSignature | Format::CosignAttestation | Format::CosignBlob => {
                        note_if_bare(&evidence, &name);
                        layers.push(layer(&evidence)?);
                    }
                }
            }
            if !layers.is_empty() {
                let (kind, tag) = (AttachmentKind::Attestation, CosignTag::Attestation);
                attached.extend(target.attach_layers(kind, tag, &layers).await?);
            }
            self.to.print(&target, &attached);
            Ok(Exit::Success)
        })
    }
}

/// Reads the documents of a file: one, or several with nothing but white space between them.
fn parse(file: &str, bytes: &[u8]) -> Result<Vec<Document>, Failure> {
    let unreadable = || Failure::usage(format!("cannot use the attestation {file}"));
    let mut documents = Vec::new();
    for document in serde_json::Deserializer::from_slice(bytes).into_iter::<&RawValue>() {
        let bytes = document.map_err(|error| unreadable().caused_by(error))?.get().as_bytes();
        let name = match documents.len() {
            0 => file.to_owned(),
            count => format!("{file}, document {}", count + 1),
        };
        let outline: Option<Outline> = serde_json::from_slice(bytes).ok();
        let is_envelope = outline.is_some_and(|outline| outline.payload_type.is_some());
        let unusable = || Failure::usage(format!("cannot use the attestation {name}"));
        let bytes = bytes.to_vec();
        let evidence = match is_envelope {
            true => Evidence::from_detached_envelope(bytes.clone(), &DetachedFiles::default())
                .map_err(|error| unusable().caused_by(error))?,
            false => Evidence::from_file(&bytes).map_err(|error| unusable().caused_by(error))?,
        };
        documents.push(Document { name, bytes, evidence });
        if documents.len() > DESCRIPTORS_MAX {
            break;
        }
    }
    if documents.is_empty() { Err(unreadable().caused_by("it is empty")) } else { Ok(documents) }
}

//! What lies beside an image, by what its manifest says of it: bundles, layers of Cosign's tags,
//! documents. Nothing is fetched here, and nothing that is said here is proven.

use std::collections::BTreeMap;
use std::fmt;

use evidence::Digest;
use evidence::cosign::{
    CERTIFICATE, CHAIN, ENVELOPE_MEDIA_TYPE, LOG_ENTRY, PREDICATE_TYPE, SIGNATURE,
    SIMPLE_SIGNING_MEDIA_TYPE, TIMESTAMP,
};

use super::cosign_tags::CosignTag;
use super::manifest::{Descriptor, ImageManifest, Manifest, ManifestContent};
use super::referrers::ReferrersSource;

/// How the media types of all versions of Sigstore bundles begin.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// The annotations on layers that are read, and kept. There may be any number of others, and each
/// takes many times its length in memory.
const KEPT: [&str; 6] = [SIGNATURE, CERTIFICATE, CHAIN, LOG_ENTRY, TIMESTAMP, PREDICATE_TYPE];

/// Annotation on a referrer's manifest: what the statement in its bundle says.
const BUNDLE_PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";

/// Something that lies beside an image: one layer of a manifest about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// What it is.
    pub kind: AttachmentKind,
    /// Digest of the manifest that holds it.
    pub manifest: Digest,
    /// How that was found.
    pub place: Place,
    /// The layer: its media type, digest and size, and what Cosign keeps in its annotations.
    pub layer: Descriptor,
    /// What kind of statement it is said to hold, unproven.
    pub predicate_type: Option<String>,
}

/// What an attachment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AttachmentKind {
    /// A Sigstore bundle: a signature or an attestation.
    Bundle,
    /// A signature of Cosign's older format.
    Signature,
    /// An attestation of Cosign's older format.
    Attestation,
    /// A bill of materials that nobody signed: a document, never evidence.
    Sbom,
    /// Anything else.
    Other,
}

/// Where an attachment was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Among what refers to the image.
    Referrers(ReferrersSource),
    /// Under one of Cosign's tags.
    Tag(CosignTag),
    /// In an OCI layout, a folder.
    Layout,
}

impl AttachmentKind {
    /// Whether it can prove anything.
    #[must_use]
    pub fn is_evidence(self) -> bool {
        matches!(self, Self::Bundle | Self::Signature | Self::Attestation)
    }
}

impl fmt::Display for AttachmentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bundle => "bundle",
            Self::Signature => "signature",
            Self::Attestation => "attestation",
            Self::Sbom => "sbom",
            Self::Other => "other",
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Referrers(ReferrersSource::Api) => "referrer",
            Self::Referrers(ReferrersSource::FallbackTag) => "referrer in the fallback tag",
            Self::Tag(CosignTag::Signature) => "signature tag",
            Self::Tag(CosignTag::Attestation) => "attestation tag",
            Self::Tag(CosignTag::Sbom) => "SBOM tag",
            Self::Layout => "OCI layout",
        })
    }
}

/// All that a manifest holds, in its order; an index, being no layer, is one thing of its own.
pub(crate) fn attachments(manifest: &Manifest, place: Place) -> Vec<Attachment> {
    let attachment = |kind, layer: &Descriptor, predicate_type| Attachment {
        kind,
        manifest: manifest.digest,
        place,
        layer: Descriptor {
            annotations: layer.annotations.as_ref().map(kept),
            ..Descriptor::new(&layer.media_type, layer.digest, layer.size)
        },
        predicate_type,
    };
    match &manifest.content {
        ManifestContent::Index(_) => {
            vec![attachment(AttachmentKind::Other, &manifest.descriptor(), None)]
        }
        ManifestContent::Image(content) => content
            .layers
            .iter()
            .map(|layer| {
                attachment(kind_of(content, layer, place), layer, predicate_type(content, layer))
            })
            .collect(),
    }
}

fn kept(annotations: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let known = KEPT.iter().filter_map(|name| annotations.get_key_value(*name));
    known.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What kind of thing a manifest says it is, where its layers do not tell.
pub(super) fn artifact_type(manifest: &Manifest) -> &str {
    match &manifest.content {
        ManifestContent::Image(content) => {
            content.artifact_type.as_ref().unwrap_or(&content.config.media_type)
        }
        ManifestContent::Index(_) => &manifest.media_type,
    }
}

/// What a manifest says it is about; an index says so too (OCI image specification v1.1).
pub(crate) fn subject_of(manifest: &Manifest) -> Option<Digest> {
    match &manifest.content {
        ManifestContent::Image(content) => content.subject.as_ref().map(|subject| subject.digest),
        ManifestContent::Index(content) => content.subject.as_ref().map(|subject| subject.digest),
    }
}

pub(super) fn is_bundle(media_type: &str) -> bool {
    // `….bundle.v0.3+json` and `….bundle+json;version=0.2`, and what later versions will be.
    media_type.strip_prefix(BUNDLE).is_some_and(|version| version.starts_with(['.', '+']))
}

/// By the layer itself; else by the manifest, if it holds nothing besides.
fn kind_of(manifest: &ImageManifest, layer: &Descriptor, place: Place) -> AttachmentKind {
    let only = manifest.layers.len() == 1;
    let annotated = annotation(layer, SIGNATURE).is_some_and(|text| !text.is_empty());
    let kind = manifest.artifact_type.as_ref().unwrap_or(&manifest.config.media_type);
    match layer.media_type.as_str() {
        media_type if is_bundle(media_type) => AttachmentKind::Bundle,
        ENVELOPE_MEDIA_TYPE => AttachmentKind::Attestation,
        SIMPLE_SIGNING_MEDIA_TYPE => AttachmentKind::Signature,
        // Cosign reads every layer that has a signature, whatever it is called.
        _ if annotated => AttachmentKind::Signature,
        _ if only && (is_bundle(kind) || is_bundle(&manifest.config.media_type)) => {
            AttachmentKind::Bundle
        }
        media_type if place == Place::Tag(CosignTag::Sbom) || is_sbom(media_type) => {
            AttachmentKind::Sbom
        }
        _ => AttachmentKind::Other,
    }
}

/// Media types of the two formats, and Syft's own, which Cosign attaches.
fn is_sbom(media_type: &str) -> bool {
    let base = media_type.split(['+', ';']).next().unwrap_or_default();
    ["text/spdx", "application/spdx", "application/vnd.cyclonedx", "application/vnd.syft"]
        .contains(&base)
}

/// By the layer itself; else by the manifest, if it holds nothing besides: what it says once would be
/// kept for each of a thousand layers.
fn predicate_type(manifest: &ImageManifest, layer: &Descriptor) -> Option<String> {
    let of_manifest = || match (&manifest.annotations, manifest.layers.len()) {
        (Some(annotations), 1) => annotations.get(BUNDLE_PREDICATE_TYPE).map(String::as_str),
        _ => None,
    };
    annotation(layer, PREDICATE_TYPE).or_else(of_manifest).map(str::to_owned)
}

fn annotation<'d>(layer: &'d Descriptor, name: &str) -> Option<&'d str> {
    layer.annotations.as_ref()?.get(name).map(String::as_str)
}

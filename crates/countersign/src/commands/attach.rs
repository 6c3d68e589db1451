//! `attach`: puts beside an image what was signed elsewhere.

mod attestation;
mod sbom;
mod signature;

use std::collections::{BTreeMap, HashSet};

use clap::{Args, Subcommand};
use client::Registry;
use client::plausible::{self, Implausible};
use client::registry::{
    Attachment, AttachmentKind, BundleContent, CosignTag, Descriptor, Manifest, ManifestContent,
    Place,
};
use evidence::bundle::{Format, MEDIA_TYPE_V0_3, SignerMaterial};
use evidence::cosign::{Layer, SIGNATURE};
use evidence::{Digest, Evidence, ImageRef};
use serde_json::json;

use crate::arguments::attaching::{Shelf, bundle};
use crate::arguments::images::{self, RegistryArguments};
use crate::arguments::older::predicate_type_of;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::ui::terminal::println;
use crate::ui::{self, FAINT, GOOD, Output, plain};

/// Name and version of the JSON that is printed about what was attached. A field may be added in a
/// version; one that is removed or changes its meaning makes a new version.
const SCHEMA: &str = "countersign.dev/attached/v1";

/// Attach signatures, attestations and documents that are there already to an image.
///
/// What could never be verified is refused: what is about another image, malformed, or put together
/// of parts that do not belong together. Whom to trust is not asked here.
#[derive(Debug, Args)]
pub(crate) struct Attach {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Signature(signature::Signature),
    Attestation(attestation::Attestation),
    Sbom(sbom::Sbom),
}

/// To which image, and how its registry is spoken to.
#[derive(Debug, Args)]
struct Where {
    /// The image, by digest or tag.
    #[arg(value_name = "IMAGE")]
    image: String,

    /// In which form to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,

    #[command(flatten)]
    registry: RegistryArguments,
}

/// An image that something is attached to.
struct Target<'a> {
    registry: Registry,
    /// As it was named.
    image: ImageRef,
    /// Where evidence about it is kept.
    place: ImageRef,
    manifest: Manifest,
    global: &'a Global,
}

/// What was attached.
struct Attached {
    kind: AttachmentKind,
    place: String,
    /// Whether it was there before.
    before: bool,
}

impl Attach {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Signature(signature) => signature.run(global),
            Verb::Attestation(attestation) => attestation.run(global),
            Verb::Sbom(sbom) => sbom.run(global),
        }
    }
}

impl Where {
    async fn open<'a>(&self, global: &'a Global) -> Result<Target<'a>, Failure> {
        let image = images::parse(&self.image)?;
        let registry = self.registry.open(std::slice::from_ref(&image))?;
        let manifest = images::resolve(&registry, &image, global.deadline()).await?;
        let place = images::evidence_place(&image)?;
        Ok(Target { registry, image, place, manifest, global })
    }

    fn print(&self, target: &Target<'_>, attached: &[Attached]) {
        let (image, digest) = (target.image.to_string(), target.digest().to_string());
        match self.output {
            Output::Json => {
                let listed = attached.iter().map(|Attached { kind, place, before }| {
                    json!({"kind": kind.to_string(), "place": place, "attachedBefore": before})
                });
                let listed: Vec<_> = listed.collect();
                let artifact = json!({"name": image, "digest": digest});
                println!("{}", json!({"schema": SCHEMA, "artifact": artifact, "attached": listed}));
            }
            Output::Text => {
                for Attached { kind, place, before } in attached {
                    let image = plain(&image);
                    match before {
                        false => println!("{GOOD}attached{GOOD:#} {kind} to {image}"),
                        true => println!("{kind} {GOOD}was attached{GOOD:#} to {image} already"),
                    }
                    println!("  {FAINT}digest{FAINT:#}  {digest}");
                    println!("  {FAINT} place{FAINT:#}  {}", plain(place));
                }
            }
        }
    }
}

impl Target<'_> {
    fn digest(&self) -> &Digest {
        &self.manifest.digest
    }

    fn shelf(&self) -> Shelf<'_> {
        let Self { registry, place, manifest, global, .. } = self;
        Shelf { registry, image: place, manifest, deadline: global.deadline() }
    }

    /// Checks that a document may be attached to this image.
    fn check(&self, evidence: &Evidence, what: &str) -> Result<(), Failure> {
        plausible::check(evidence, self.digest()).map_err(|error| {
            let hint = match &error {
                Implausible::OtherImage { .. } => {
                    Some(format!("name the image that it is about, instead of {}", self.image))
                }
                Implausible::OtherSigner => {
                    Some("check that payload, signature and certificate belong together".to_owned())
                }
                _ => None,
            };
            let failure = Failure::usage(format!("{what} cannot be attached")).caused_by(error);
            match hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        })
    }

    /// Attaches a bundle that was checked, unless the very same is there already. `document` is
    /// what it was read from.
    async fn attach_bundle(
        &self,
        evidence: &Evidence,
        document: Vec<u8>,
        what: &str,
    ) -> Result<Attached, Failure> {
        let Some(predicate_type) = predicate_type_of(evidence) else {
            return Err(Failure::usage(format!("{what} holds no statement")));
        };
        // Cosign and others read nothing older from a registry.
        let bytes = match evidence.format {
            Format::BundleV0_3 => document,
            _ => bundle(evidence).map_err(|failure| {
                failure.hint("`countersign bundle upgrade` fetches what it lacks from the log")
            })?,
        };
        let kind = AttachmentKind::Bundle;
        let digest = Digest::sha256(&bytes);
        if let Some(place) = self.refers_already(kind, MEDIA_TYPE_V0_3, &digest).await {
            return Ok(Attached { kind, place, before: true });
        }
        let content = BundleContent::DsseEnvelope { predicate_type };
        let attached = self.shelf().attach(bytes, content).await;
        let place = attached.map_err(|error| self.not_attached(error))?;
        Ok(Attached { kind, place, before: false })
    }

    /// Where something with this content refers to the image already, as the same thing. What cannot
    /// be looked at is taken for absent: attaching it once more changes nothing.
    async fn refers_already(
        &self,
        kind: AttachmentKind,
        media_type: &str,
        content: &Digest,
    ) -> Option<String> {
        let Self { registry, place, global, .. } = self;
        let there = registry.inventory(place, self.digest(), global.deadline()).await.attachments;
        let is_it = |one: &&Attachment| {
            (one.kind, one.layer.media_type.as_str()) == (kind, media_type)
                && one.layer.digest == *content
                && matches!(one.place, Place::Referrers(_))
        };
        let there = there.iter().find(is_it)?;
        Some(format!("{}@{}", place.name(), there.manifest))
    }

    /// Puts layers under one of Cosign's tags. What is there already, with the same signature, is not
    /// put there again.
    async fn attach_layers(
        &self,
        kind: AttachmentKind,
        tag: CosignTag,
        layers: &[Layer],
    ) -> Result<Vec<Attached>, Failure> {
        let Self { registry, place, global, .. } = self;
        let there = registry.cosign_manifest(place, self.digest(), tag, global.deadline()).await;
        let there = there.map_err(|error| self.not_attached(error))?;
        let mut seen: HashSet<_> = there.iter().flat_map(held).collect();
        let added = self.shelf().add(layers, tag, &[]).await;
        let place = added.map_err(|error| self.not_attached(error))?;
        let attached = layers.iter().map(|layer| {
            let this = (Digest::sha256(&layer.bytes), signature_in(&layer.annotations));
            Attached { kind, place: place.clone(), before: !seen.insert(this) }
        });
        Ok(attached.collect())
    }

    fn not_attached(&self, error: client::FetchError) -> Failure {
        images::not_done(&format!("nothing was attached to {}", self.image), error)
    }
}

/// What a manifest of Cosign's holds: content, and the signature over it.
fn held(manifest: &Manifest) -> Vec<(Digest, Option<String>)> {
    let ManifestContent::Image(content) = &manifest.content else { return Vec::new() };
    let signature = |layer: &Descriptor| layer.annotations.as_ref().and_then(signature_in);
    content.layers.iter().map(|layer| (layer.digest, signature(layer))).collect()
}

/// The signature beside a content that does not hold its own.
fn signature_in(annotations: &BTreeMap<String, String>) -> Option<String> {
    annotations.get(SIGNATURE).filter(|signature| !signature.is_empty()).cloned()
}

/// Tells of evidence that nobody but the holder of a key can verify, and that without a log.
fn note_if_bare(evidence: &Evidence, what: &str) {
    let has_certificate = matches!(evidence.signer, SignerMaterial::Certificate(_));
    let missing = match (has_certificate, evidence.entries.is_empty()) {
        (true, true) if evidence.timestamps.is_empty() => "neither a log entry nor a timestamp",
        (false, true) => "neither a certificate nor a log entry",
        _ => return,
    };
    ui::note(&format!("{what} brings {missing} along: few will be able to verify it"));
}

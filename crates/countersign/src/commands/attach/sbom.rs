//! `attach sbom`: a bill of materials that nobody signs, put under Cosign's tag.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use client::registry::{AttachmentKind, CosignTag, Manifest, ManifestContent, NewReferrer};
use evidence::cosign::Layer;
use evidence::{Digest, PredicateType};

use super::{Attached, Where};
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::{machine, runtime, ui};

/// Longest bill of materials attached, in bytes.
const SBOM_SIZE_MAX: usize = 96 * 1024 * 1024;

/// Attach a bill of materials to an image. Nobody signs it, so it proves nothing: rather `attest
/// --type spdxjson`.
#[derive(Debug, Args)]
pub(super) struct Sbom {
    /// File with the bill of materials (`-` for standard input).
    #[arg(long, value_name = "FILE")]
    sbom: PathBuf,

    /// What it is.
    #[arg(long = "type", value_enum, default_value_t = Kind::Spdx)]
    kind: Kind,

    /// In which form; by default JSON if the file's name ends so, else the older form of its type.
    #[arg(long, value_enum)]
    input_format: Option<InputFormat>,

    /// Where it is put: under Cosign's tag, or as what refers to the image.
    #[arg(long, value_enum, default_value_t = Mode::Legacy)]
    registry_referrers_mode: Mode,

    #[command(flatten)]
    to: Where,
}

/// Formats of bills of materials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// SPDX.
    Spdx,
    /// CycloneDX.
    Cyclonedx,
    /// Syft's own.
    Syft,
}

/// Forms of one format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    /// JSON.
    Json,
    /// XML, of CycloneDX.
    Xml,
    /// Tags and values, of SPDX.
    Text,
}

/// Where it is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Under Cosign's tag, in the place of the one that is there.
    Legacy,
    /// As what refers to the image, beside all others.
    #[value(name = "oci-1-1")]
    Oci11,
}

impl Sbom {
    pub(super) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let bytes = machine::read(&self.sbom, "SBOM", SBOM_SIZE_MAX)?;
        let (media_type, input_format) = self.media_type()?;
        self.check(&bytes, input_format)?;
        ui::note("nobody signs this document, so it proves nothing: attest it instead");
        runtime::block_on(async {
            let target = self.to.open(global).await?;
            let shelf = target.shelf();
            let mut before = false;
            let put = match self.registry_referrers_mode {
                Mode::Oci11 => {
                    let (bytes, annotations) = (Bytes::from(bytes), BTreeMap::new());
                    let digest = Digest::sha256(&bytes);
                    match target.refers_already(AttachmentKind::Sbom, media_type, &digest).await {
                        Some(place) => {
                            before = true;
                            Ok(place)
                        }
                        None => {
                            let media_type = media_type.to_owned();
                            shelf.refer(&NewReferrer { media_type, bytes, annotations }).await
                        }
                    }
                }
                Mode::Legacy => {
                    let tag = CosignTag::Sbom;
                    let there = target.registry.cosign_manifest(
                        &target.place,
                        target.digest(),
                        tag,
                        global.deadline(),
                    );
                    // Cosign reads one document and no more under this tag.
                    let there = there.await.map_err(|error| target.not_attached(error))?;
                    let mut obsolete: Vec<_> = there.iter().flat_map(layers).collect();
                    let this = Digest::sha256(&bytes);
                    before = obsolete.contains(&this);
                    obsolete.retain(|gone| *gone != this);
                    obsolete.iter().for_each(|gone| ui::note(&format!("this replaces {gone}")));
                    let annotations = BTreeMap::new();
                    let layer = Layer { media_type: media_type.to_owned(), annotations, bytes };
                    shelf.add(&[layer], tag, &obsolete).await
                }
            };
            let place = put.map_err(|error| target.not_attached(error))?;
            let attached = Attached { kind: AttachmentKind::Sbom, place, before };
            self.to.print(&target, &[attached]);
            Ok(Exit::Success)
        })
    }

    /// Cosign's media types.
    fn media_type(&self) -> Result<(&'static str, InputFormat), Failure> {
        let named_json = self.sbom.extension().is_some_and(|extension| extension == "json");
        let older = match self.kind {
            Kind::Spdx => InputFormat::Text,
            Kind::Cyclonedx => InputFormat::Xml,
            Kind::Syft => InputFormat::Json,
        };
        let form = self.input_format.unwrap_or(if named_json { InputFormat::Json } else { older });
        let media_type = match (self.kind, form) {
            (Kind::Spdx, InputFormat::Json) => "text/spdx+json",
            (Kind::Spdx, InputFormat::Text) => "text/spdx",
            (Kind::Cyclonedx, InputFormat::Json) => "application/vnd.cyclonedx+json",
            (Kind::Cyclonedx, InputFormat::Xml) => "application/vnd.cyclonedx+xml",
            (Kind::Syft, InputFormat::Json) => "application/vnd.syft+json",
            _ => {
                return Err(Failure::usage("there is no such form of this type")
                    .hint("SPDX is json or text, CycloneDX json or xml, Syft's json"));
            }
        };
        Ok((media_type, form))
    }

    /// Checks that the document is what it is said to be, as far as that shows at its beginning.
    fn check(&self, bytes: &[u8], form: InputFormat) -> Result<(), Failure> {
        let wrong = |why: &'static str| {
            let message = format!("{} is no such document", self.sbom.display());
            Failure::usage(message).caused_by(why).hint("check --type and --input-format")
        };
        let text = std::str::from_utf8(bytes).map_err(|_| wrong("it is not text"))?;
        match (self.kind, form) {
            (Kind::Spdx, InputFormat::Json) => self.check_json("spdxjson", bytes),
            (Kind::Cyclonedx, InputFormat::Json) => self.check_json("cyclonedx", bytes),
            (_, InputFormat::Json) => self.check_json("https://syft.dev", bytes),
            (_, InputFormat::Text) if text.contains("SPDXVersion:") => Ok(()),
            (_, InputFormat::Text) => Err(wrong("it has no SPDXVersion")),
            (_, InputFormat::Xml) if text.trim_start().starts_with('<') => Ok(()),
            (_, InputFormat::Xml) => Err(wrong("it does not begin as XML")),
        }
    }

    fn check_json(&self, predicate_type: &str, bytes: &[u8]) -> Result<(), Failure> {
        let predicate_type = PredicateType::parse(predicate_type).map_err(|error| {
            Failure::new(Exit::Failure, "this type is not known").caused_by(error)
        })?;
        predicate_type.predicate(bytes, machine::now()).map(drop).map_err(|error| {
            Failure::usage(format!("{} is no such document", self.sbom.display()))
                .caused_by(error)
                .hint("check --type and --input-format")
        })
    }
}

/// What lies under the tag.
fn layers(manifest: &Manifest) -> Vec<Digest> {
    match &manifest.content {
        ManifestContent::Image(content) => {
            content.layers.iter().map(|layer| layer.digest).collect()
        }
        ManifestContent::Index(_) => Vec::new(),
    }
}

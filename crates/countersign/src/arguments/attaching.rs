//! Putting what was signed beside its image: as a bundle, in Cosign's older tags, or both.

use bytes::Bytes;
use clap::{Args, ValueEnum};
use client::registry::{BundleContent, CosignTag, Manifest, NewReferrer};
use client::sign::chain_ders;
use client::{Deadline, FetchError, Registry};
use evidence::cosign::Layer;
use evidence::{Digest, Evidence, ImageRef};

use super::images;
use crate::exit::{Exit, Failure};
use crate::machine;

/// In which formats to write.
#[derive(Debug, Args)]
#[command(next_help_heading = "Evidence")]
pub(crate) struct FormatArguments {
    /// Formats to write: the bundle, which every current verifier reads; Cosign's tags, for those
    /// from before 2025; or both.
    #[arg(long, value_enum, default_value_t = Formats::Bundle, env = "COUNTERSIGN_FORMATS")]
    formats: Formats,

    /// With `false`, the same as --formats cosign.
    #[arg(long, hide = true, value_name = "BOOL", default_value_t = true, num_args = 0..=1,
        require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    new_bundle_format: bool,
}

/// The formats of evidence beside an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Formats {
    /// A Sigstore bundle v0.3 as an OCI 1.1 referrer.
    Bundle,
    /// Cosign's tags `sha256-….sig` and `sha256-….att`.
    Cosign,
    /// All of these.
    Both,
}

impl FormatArguments {
    pub(crate) fn chosen(&self) -> Formats {
        if self.new_bundle_format { self.formats } else { Formats::Cosign }
    }
}

impl Formats {
    pub(crate) fn bundle(self) -> bool {
        self != Self::Cosign
    }

    pub(crate) fn cosign(self) -> bool {
        self != Self::Bundle
    }
}

/// Where evidence is put.
pub(crate) struct Shelf<'a> {
    pub(crate) registry: &'a Registry,
    /// The image, in the repository that evidence about it is kept in.
    pub(crate) image: &'a ImageRef,
    pub(crate) manifest: &'a Manifest,
    pub(crate) deadline: Deadline,
}

impl Shelf<'_> {
    /// Attaches a bundle that was just made. Returns where it is.
    pub(crate) async fn put_bundle(
        &self,
        evidence: &Evidence,
        content: BundleContent,
    ) -> Result<String, Failure> {
        let attached = self.attach(bundle(evidence)?, content).await;
        attached.map_err(|error| self.not_attached(error))
    }

    /// Adds what was just signed to one of Cosign's tags, beside what is there, in the place of
    /// what it makes obsolete. Returns where it is.
    pub(crate) async fn put_layer(
        &self,
        evidence: &Evidence,
        tag: CosignTag,
        obsolete: &[Digest],
    ) -> Result<String, Failure> {
        let layer = layer(evidence)?;
        let added = self.add(&[layer], tag, obsolete).await;
        added.map_err(|error| self.not_attached(error))
    }

    /// Attaches a bundle, as it is. Returns where it is.
    pub(crate) async fn attach(
        &self,
        bundle: Vec<u8>,
        content: BundleContent,
    ) -> Result<String, FetchError> {
        let referrer = NewReferrer::bundle(Bytes::from(bundle), content, machine::now());
        self.refer(&referrer).await
    }

    /// Attaches anything. Returns where it is.
    pub(crate) async fn refer(&self, referrer: &NewReferrer) -> Result<String, FetchError> {
        let descriptor = self.manifest.descriptor();
        let attached = self.registry.attach(self.image, &descriptor, referrer, self.deadline);
        Ok(format!("{}@{}", self.image.name(), attached.await?.manifest))
    }

    /// Adds layers to one of Cosign's tags, beside those that are there. Returns where they are.
    pub(crate) async fn add(
        &self,
        layers: &[Layer],
        tag: CosignTag,
        obsolete: &[Digest],
    ) -> Result<String, FetchError> {
        let Self { registry, image, manifest, deadline } = self;
        let subject = &manifest.digest;
        registry.replace_cosign_layers(image, subject, tag, layers, obsolete, *deadline).await?;
        Ok(format!("{}:{}", image.name(), tag.of(subject).unwrap_or_default()))
    }

    fn not_attached(&self, error: FetchError) -> Failure {
        let what =
            format!("{} was signed and logged, but the evidence could not be attached", self.image);
        let has_hint = error.hint().is_some();
        let failure = images::failed(Exit::Failure, &what, error);
        match has_hint {
            true => failure,
            false => failure.hint("run the same again when the registry takes it"),
        }
    }
}

/// What Cosign's tags hold of evidence.
pub(crate) fn layer(evidence: &Evidence) -> Result<Layer, Failure> {
    evidence.to_cosign_layer(&chain_ders(evidence)).map_err(|error| {
        Failure::new(Exit::Failure, "this cannot be written in Cosign's format").caused_by(error)
    })
}

/// A bundle's bytes.
pub(crate) fn bundle(evidence: &Evidence) -> Result<Vec<u8>, Failure> {
    evidence.to_bundle_v0_3().map_err(|error| {
        Failure::new(Exit::Failure, "the bundle cannot be written").caused_by(error)
    })
}

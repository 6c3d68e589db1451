//! `sign`: images in a registry, each with its signature beside it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use client::registry::{BundleContent, CosignTag, Manifest, ManifestContent};
use client::sign::SigningSession;
use client::{Deadline, Registry, ToSign};
use evidence::cosign::SimpleSigning;
use evidence::envelope::IN_TOTO_PAYLOAD_TYPE;
use evidence::statement::STATEMENT_TYPE_V1;
use evidence::{Digest, Evidence, ImageRef, predicate};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;
use verify::{Artifact, Case, ClaimKind, ClaimPattern, Verdict};

use crate::arguments::attaching::{FormatArguments, Formats, Shelf, bundle};
use crate::arguments::images::{self, RegistryArguments};
use crate::arguments::signing::{self, SigningArguments};
use crate::arguments::{annotations, wanted};
use crate::exit::{Exit, Failure};
use crate::gather::gather;
use crate::global::Global;
use crate::machine::NewFile;
use crate::ui::Output;
use crate::{machine, runtime, ui};

/// Images that are signed at once.
const CONCURRENT: usize = 8;

/// Sign images and attach each signature to its image in the registry.
///
/// A tag is resolved once, and the digest it stood for is signed. The signature is attached as an
/// OCI 1.1 referrer; where the registry has no referrers API, its fallback tag is written too. One
/// certificate serves all images, which are signed in parallel. Logins are taken from Docker's and
/// Podman's configuration.
#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// Images, by tag or better by digest.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,

    /// Annotation to sign along, as KEY=VALUE; may be given several times.
    #[arg(short, long, value_name = "KEY=VALUE", value_delimiter = ',', help_heading = "Evidence")]
    annotations: Vec<String>,

    /// Name to sign the image under, where it is pulled under another than it is pushed to; several
    /// with commas. Only Cosign's older formats sign a name.
    #[arg(long, value_name = "NAME", value_delimiter = ',', help_heading = "Evidence",
        value_parser = NonEmptyStringValueParser::new())]
    sign_container_identity: Vec<String>,

    /// Sign every image of an index too.
    #[arg(short, long, help_heading = "Evidence")]
    recursive: bool,

    #[command(flatten)]
    formats: FormatArguments,

    /// Sign only what this signer has not signed yet, with these annotations.
    #[arg(long, help_heading = "Evidence", env = "COUNTERSIGN_IF_MISSING")]
    if_missing: bool,

    /// Attach the signature to the image.
    #[arg(long, help_heading = "Evidence", value_name = "BOOL", default_value_t = true,
        num_args = 0..=1, require_equals = true, default_missing_value = "true",
        action = clap::ArgAction::Set)]
    upload: bool,

    /// Write the bundle into a file too; for one image only.
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    bundle: Option<PathBuf>,

    #[command(flatten)]
    signing: SigningArguments,

    #[command(flatten)]
    registry: RegistryArguments,

    /// In which form to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// An image to be signed.
struct Target {
    image: ImageRef,
    manifest: Manifest,
}

impl Sign {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let parsed = images::parse_all(&self.images)?;
        let annotations = annotations::parse(&self.annotations)?;
        let formats = self.formats.chosen();
        if !self.upload && self.bundle.is_none() {
            return Err(Failure::usage("the signature would go nowhere")
                .hint("with --upload=false, name a file with --bundle"));
        }
        if !self.upload && formats.cosign() {
            return Err(Failure::usage("Cosign's older formats exist beside an image only")
                .hint("with --upload=false, leave --formats at bundle"));
        }
        if !self.sign_container_identity.is_empty() && !formats.cosign() {
            return Err(Failure::usage("a bundle signs a digest, and no name")
                .hint("with --sign-container-identity, choose --formats cosign or both"));
        }
        if self.bundle.is_some() && !formats.bundle() {
            return Err(Failure::usage("there will be no bundle to write")
                .hint("with --bundle, choose --formats bundle or both"));
        }
        let file = self.bundle.as_deref().map(NewFile::create).transpose()?;
        runtime::block_on(async {
            let registry = self.registry.open(&parsed)?;
            // One image has that time for everything, each of several from where its own turn comes.
            let begun = global.deadline();
            let alone = parsed.len() == 1 && !self.recursive;
            let ends = |end: Deadline| if alone { end } else { global.deadline() };
            let targets = self.targets(&registry, &parsed, &|| ends(begun)).await?;
            if file.is_some() && targets.len() > 1 {
                return Err(Failure::usage("--bundle takes the signature of one image only"));
            }
            let names: Vec<_> = targets.iter().map(|target| target.image.to_string()).collect();
            let signing = self.signing.begin(&names, formats.cosign(), ends(begun)).await?;
            let session = signing.open(&names.join(", ")).await?;
            let signed: Vec<_> = stream::iter(&targets)
                .map(|target| {
                    let deadline = ends(signing.deadline());
                    self.sign(&registry, &session, target, &annotations, formats, deadline)
                })
                .buffer_unordered(CONCURRENT)
                .try_collect()
                .await?;
            if let (Some(file), Some(evidence)) = (file, signed.iter().flatten().next()) {
                file.write(&bundle(evidence)?)?;
            }
            Ok(Exit::Success)
        })
    }

    /// The images as they are now, with those of an index where that is wanted.
    async fn targets(
        &self,
        registry: &Registry,
        images: &[ImageRef],
        ends: &dyn Fn() -> Deadline,
    ) -> Result<Vec<Target>, Failure> {
        let mut targets: Vec<Target> = Vec::new();
        let mut left: Vec<_> = images.iter().rev().cloned().collect();
        while let Some(image) = left.pop() {
            let manifest = images::resolve(registry, &image, ends()).await?;
            if self.recursive
                && let ManifestContent::Index(index) = &manifest.content
            {
                let children = index.manifests.iter().rev();
                left.extend(children.map(|child| image.with_digest(child.digest)));
            }
            let is_new = |target: &Target| {
                target.manifest.digest != manifest.digest || target.image.name() != image.name()
            };
            if targets.iter().all(is_new) {
                targets.push(Target { image, manifest });
            }
        }
        Ok(targets)
    }

    async fn sign(
        &self,
        registry: &Registry,
        session: &SigningSession<'_>,
        target: &Target,
        annotations: &BTreeMap<String, String>,
        formats: Formats,
        deadline: Deadline,
    ) -> Result<Option<Evidence>, Failure> {
        let Target { image, manifest } = target;
        let place = images::evidence_place(image)?;
        let shelf = Shelf { registry, image: &place, manifest, deadline };
        let name = image.to_string();
        if self.if_missing && is_signed(&shelf, session, annotations).await? {
            ui::sign::there_already(self.output, &name, &manifest.digest);
            return Ok(None);
        }
        let sign = async |to_sign: ToSign| {
            let signed = session.sign(&to_sign, &machine::now, deadline).await;
            signed.map_err(|error| signing::failed(&name, error))
        };
        let mut written = None;
        if formats.bundle() {
            let evidence = sign(ToSign::Payload {
                payload_type: IN_TOTO_PAYLOAD_TYPE.to_owned(),
                payload: statement(&manifest.digest, annotations),
                about: manifest.digest,
            })
            .await?;
            let predicate_type = predicate::SIGN.to_owned();
            let content = BundleContent::DsseEnvelope { predicate_type };
            let place = match self.upload {
                true => shelf.put_bundle(&evidence, content).await?,
                false => String::new(),
            };
            ui::sign::signed(self.output, &name, &manifest.digest, &evidence, &place);
            written = Some(evidence);
        }
        if formats.cosign() {
            let own = [image.name()];
            let names = match self.sign_container_identity.as_slice() {
                [] => &own[..],
                given => given,
            };
            for signed_name in names {
                let payload = SimpleSigning::payload(&manifest.digest, signed_name, annotations);
                let to_sign = ToSign::SimpleSigning { payload, about: manifest.digest };
                let evidence = sign(to_sign).await?;
                let place = shelf.put_layer(&evidence, CosignTag::Signature, &[]).await?;
                ui::sign::signed(self.output, &name, &manifest.digest, &evidence, &place);
            }
        }
        Ok(written)
    }
}

/// Whether this signer has signed the image already, with these annotations. What cannot be told is
/// no reason to sign again.
async fn is_signed(
    shelf: &Shelf<'_>,
    session: &SigningSession<'_>,
    annotations: &BTreeMap<String, String>,
) -> Result<bool, Failure> {
    let Shelf { registry, image, manifest, deadline } = shelf;
    let claim = ClaimPattern { kind: ClaimKind::Signature, annotations: annotations.clone() };
    let policy = wanted::of_session(session, claim)?;
    let (pieces, obstacles) = gather(registry, image, &manifest.digest, *deadline).await;
    let artifact = Artifact::from_digest(manifest.digest);
    let case = Case { artifact: &artifact, pieces: &pieces, obstacles: &obstacles };
    match policy.judge(&case, machine::now()) {
        Verdict::Admit(_) => Ok(true),
        Verdict::Refuse(_) => Ok(false),
        Verdict::Unknown(obstacles, _) => {
            let what = format!("it cannot be told whether {image} is signed already");
            Err(Failure::new(Exit::Unknown, what).caused_by(obstacles.first().to_string()))
        }
    }
}

/// The statement that Cosign v3 signs: the image's digest without a name, and an empty predicate.
/// The empty name is the same as none in protobuf's JSON, and sigstore-python insists on one.
fn statement(digest: &Digest, annotations: &BTreeMap<String, String>) -> Vec<u8> {
    let mut subject = json!({"name": "", "digest": {digest.algorithm().name(): digest.hex()}});
    if !annotations.is_empty() {
        subject["annotations"] = json!(annotations);
    }
    let statement = json!({
        "_type": STATEMENT_TYPE_V1,
        "subject": [subject],
        "predicateType": predicate::SIGN,
        "predicate": {},
    });
    serde_json::to_vec(&statement).expect("a statement has only text, so it always serialises")
}

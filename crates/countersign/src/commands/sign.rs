//! `sign`: images in a registry, each with its signature beside it.

mod payload;
mod targets;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use client::registry::{BundleContent, CosignTag};
use client::sign::SigningSession;
use client::{Deadline, Registry, ToSign};
use evidence::cosign::SimpleSigning;
use evidence::envelope::IN_TOTO_PAYLOAD_TYPE;
use evidence::predicate;
use futures::stream::{self, StreamExt};
use verify::{Artifact, Case, ClaimKind, ClaimPattern, Verdict};

use self::payload::{GivenPayload, statement};
use self::targets::Target;
use crate::arguments::attaching::{FormatArguments, Formats, Shelf, bundle};
use crate::arguments::images::{self, RegistryArguments};
use crate::arguments::pushing::PushRights;
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

    /// Sign everything that an index names too, on all levels.
    #[arg(short, long, help_heading = "Evidence")]
    recursive: bool,

    /// File with the simple signing payload to sign, instead of one that is made; it must be about the
    /// image. Only Cosign's older formats sign one.
    #[arg(long, value_name = "FILE", help_heading = "Evidence",
        conflicts_with_all = ["annotations", "sign_container_identity", "recursive", "if_missing"])]
    payload: Option<PathBuf>,

    /// In which form to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,

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
}

/// What goes for all images.
struct Work<'a> {
    arguments: &'a Sign,
    registry: &'a Registry,
    session: &'a SigningSession<'a>,
    rights: &'a PushRights<'a>,
    annotations: BTreeMap<String, String>,
    payload: Option<GivenPayload>,
    formats: Formats,
    /// Taken by the only image's bundle.
    file: Cell<Option<NewFile>>,
}

impl Sign {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let parsed = images::parse_all(&self.images)?;
        let annotations = annotations::parse(&self.annotations)?;
        let formats = self.formats.chosen();
        self.check_formats(formats)?;
        let payload = self.payload.as_deref().map(GivenPayload::read).transpose()?;
        let file = self.bundle.as_deref().map(NewFile::create).transpose()?;
        runtime::block_on(async {
            let registry = self.registry.open(&parsed)?;
            // One image has that time for everything, each of several from where its own turn comes.
            let begun = global.deadline();
            let alone = parsed.len() == 1 && !self.recursive;
            let ends = |end: Deadline| if alone { end } else { global.deadline() };
            let targets =
                targets::find(&registry, &parsed, self.recursive, &|| ends(begun)).await?;
            if file.is_some() && targets.len() > 1 {
                return Err(Failure::usage("--bundle takes the signature of one image only"));
            }
            for Target { image, manifest } in &targets {
                let checked = payload.as_ref().map(|it| it.check(image, &manifest.digest));
                checked.transpose()?;
            }
            let rights = PushRights::of(&registry, targets.iter().map(|target| &target.image))?;
            // What is signed already need not be pushed, which is found out by who signs.
            if self.upload && !self.if_missing {
                rights.check_all(|| ends(begun)).await?;
            }
            let names: Vec<_> = targets.iter().map(|target| target.image.to_string()).collect();
            let signing = self.signing.begin(&names, formats.cosign(), ends(begun)).await?;
            let session = signing.open(&in_short(&names)).await?;
            let work = Work {
                arguments: &self,
                registry: &registry,
                session: &session,
                rights: &rights,
                annotations,
                payload,
                formats,
                file: Cell::new(file),
            };
            Ok(work.sign_all(&targets, || ends(signing.deadline())).await)
        })
    }

    /// Whether what is wanted can be written in these formats.
    fn check_formats(&self, formats: Formats) -> Result<(), Failure> {
        let refusal = |message: &str, hint: &str| Err(Failure::usage(message).hint(hint));
        if !self.upload && self.bundle.is_none() {
            return refusal(
                "the signature would go nowhere",
                "with --upload=false, name a file with --bundle",
            );
        }
        if !self.upload && formats.cosign() {
            return refusal(
                "Cosign's older formats exist beside an image only",
                "with --upload=false, leave --formats at bundle",
            );
        }
        if !self.sign_container_identity.is_empty() && !formats.cosign() {
            return refusal(
                "a bundle signs a digest, and no name",
                "with --sign-container-identity, choose --formats cosign or both",
            );
        }
        if self.bundle.is_some() && !formats.bundle() {
            return refusal(
                "there will be no bundle to write",
                "with --bundle, choose --formats bundle or both",
            );
        }
        if self.payload.is_some() && formats.bundle() {
            return refusal(
                "a bundle signs a statement, and no payload",
                "with --payload, choose --formats cosign; a statement of yours is signed by `attest \
                 --statement`",
            );
        }
        Ok(())
    }
}

impl Work<'_> {
    /// Signs them. After a failure none is begun, but what has begun is ended: it may be logged.
    async fn sign_all(&self, targets: &[Target], ends: impl Fn() -> Deadline) -> Exit {
        let (exit, left) = (Cell::new(Exit::Success), Cell::new(0_usize));
        stream::iter(targets)
            .for_each_concurrent(CONCURRENT, async |target| {
                if exit.get() != Exit::Success {
                    left.set(left.get() + 1);
                } else if let Err(failure) = self.sign(target, ends()).await {
                    exit.set(exit.get().worse_of(failure.exit()));
                    ui::failure(&failure);
                }
            })
            .await;
        if left.get() > 0 {
            let (left, all) = (left.get(), targets.len());
            ui::note(&format!("of the {all} images, {left} were left unsigned after that"));
        }
        exit.get()
    }

    async fn sign(&self, target: &Target, deadline: Deadline) -> Result<(), Failure> {
        let Self { arguments, registry, session, annotations, formats, .. } = self;
        let Target { image, manifest } = target;
        let place = images::evidence_place(image)?;
        let shelf = Shelf { registry, image: &place, manifest, deadline };
        let (output, name) = (arguments.output, image.to_string());
        if arguments.if_missing && is_signed(&shelf, session, annotations).await? {
            ui::sign::there_already(output, &name, &manifest.digest);
            return Ok(());
        }
        if arguments.upload {
            self.rights.check(image, deadline).await?;
        }
        let sign = async |to_sign: ToSign| {
            let signed = session.sign(&to_sign, &machine::now, deadline).await;
            signed.map_err(|error| signing::failed(&name, error))
        };
        if formats.bundle() {
            let evidence = sign(ToSign::Payload {
                payload_type: IN_TOTO_PAYLOAD_TYPE.to_owned(),
                payload: statement(&manifest.digest, annotations),
                about: manifest.digest,
            })
            .await?;
            // What is logged is kept: in a file whatever the registry says next, and in the registry
            // whatever became of the file.
            let kept = match self.file.take() {
                Some(file) => file.write(&bundle(&evidence)?),
                None => Ok(()),
            };
            let predicate_type = predicate::SIGN.to_owned();
            let content = BundleContent::DsseEnvelope { predicate_type };
            let place = match arguments.upload {
                true => shelf.put_bundle(&evidence, content).await?,
                false => String::new(),
            };
            ui::sign::signed(output, &name, &manifest.digest, &evidence, &place);
            kept?;
        }
        if formats.cosign() {
            for payload in self.payloads(target) {
                let to_sign = ToSign::SimpleSigning { payload, about: manifest.digest };
                let evidence = sign(to_sign).await?;
                let place = shelf.put_layer(&evidence, CosignTag::Signature, &[]).await?;
                ui::sign::signed(output, &name, &manifest.digest, &evidence, &place);
            }
        }
        Ok(())
    }

    /// The payloads for Cosign's tag: the one that is given, or one for each name.
    fn payloads(&self, target: &Target) -> Vec<Vec<u8>> {
        let Target { image, manifest } = target;
        if let Some(given) = &self.payload {
            return vec![given.bytes()];
        }
        let own = [image.name()];
        let names = match self.arguments.sign_container_identity.as_slice() {
            [] => &own[..],
            given => given,
        };
        let payload =
            |name: &String| SimpleSigning::payload(&manifest.digest, name, &self.annotations);
        names.iter().map(payload).collect()
    }
}

/// Names for people to read, where there may be hundreds.
fn in_short(names: &[String]) -> String {
    match names {
        [first, _, _, rest @ ..] => format!("{first} and {} others", rest.len() + 2),
        few => few.join(", "),
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

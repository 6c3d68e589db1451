//! `sign`: images in a registry, each with its signature beside it.

use std::collections::BTreeMap;

use bytes::Bytes;
use clap::Args;
use client::registry::{BundleContent, NewReferrer};
use client::{Deadline, Registry, ToSign};
use evidence::envelope::IN_TOTO_PAYLOAD_TYPE;
use evidence::statement::STATEMENT_TYPE_V1;
use evidence::{Digest, ImageRef};
use serde_json::json;

use super::images::{self, IMAGE_TIMEOUT};
use super::signing::{self, SigningArguments};
use crate::exit::{Exit, Failure};
use crate::ui::Output;
use crate::{machine, runtime, ui};

/// Predicate type of a signature over an image (Cosign v3).
const SIGN_PREDICATE_TYPE: &str = "https://sigstore.dev/cosign/sign/v1";

/// Sign images with a CI identity and attach each signature to its image in the registry.
///
/// A tag is resolved once, and the digest it stood for is signed. The signature is attached as an
/// OCI 1.1 referrer; where the registry has no referrers API, its fallback tag is written too. One
/// certificate serves all images. Logins are taken from the Docker configuration.
#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// Images, by tag or better by digest.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,

    /// Annotation to sign along, as KEY=VALUE; may be given several times.
    #[arg(short, long = "annotations", value_name = "KEY=VALUE")]
    annotations: Vec<String>,

    #[command(flatten)]
    signing: SigningArguments,

    /// In which form to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text, env = "COSIGN_OUTPUT")]
    output: Output,

    /// Accepted for Cosign's sake; nothing is asked when signing with a private instance.
    #[arg(short, long, hide = true)]
    yes: bool,
}

impl Sign {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let parsed =
            self.images.iter().map(|text| images::parse(text)).collect::<Result<Vec<_>, _>>()?;
        let annotations = self.parse_annotations()?;
        runtime::block_on(async {
            let begun = self.signing.begin().await?;
            let registry = images::registry(&begun.http)?;
            let first = parsed.first().map(ToString::to_string).unwrap_or_default();
            let session = begun
                .services
                .open(&begun.token)
                .await
                .map_err(|error| signing::failed(&first, error))?;
            for image in &parsed {
                sign_one(&registry, &session, image, &annotations, self.output).await?;
            }
            Ok(Exit::Success)
        })
    }

    fn parse_annotations(&self) -> Result<BTreeMap<String, String>, Failure> {
        self.annotations
            .iter()
            .map(|text| match text.split_once('=') {
                Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
                _ => Err(Failure::usage(format!("cannot use the annotation `{text}`"))
                    .hint("write it as KEY=VALUE")),
            })
            .collect()
    }
}

async fn sign_one(
    registry: &Registry,
    session: &client::sign::SigningSession<'_>,
    image: &ImageRef,
    annotations: &BTreeMap<String, String>,
    output: Output,
) -> Result<(), Failure> {
    let deadline = Deadline::after(IMAGE_TIMEOUT);
    let manifest = images::resolve(registry, image, deadline).await?;
    let name = image.to_string();
    let to_sign = ToSign::Payload {
        payload_type: IN_TOTO_PAYLOAD_TYPE.to_owned(),
        payload: statement(&manifest.digest, annotations),
        about: manifest.digest,
    };
    let evidence = session
        .sign(&to_sign, &machine::now)
        .await
        .map_err(|error| signing::failed(&name, error))?;
    let bundle = evidence.to_bundle_v0_3().map_err(|error| {
        Failure::new(Exit::Failure, "the bundle cannot be written").caused_by(error)
    })?;
    let content = BundleContent::DsseEnvelope { predicate_type: SIGN_PREDICATE_TYPE.to_owned() };
    let referrer = NewReferrer::bundle(Bytes::from(bundle), content, machine::now());
    let attached = registry
        .attach(image, &manifest.descriptor(), &referrer, deadline)
        .await
        .map_err(|error| {
            let hint = error.hint();
            let failure = Failure::new(
                Exit::Failure,
                format!("{name} was signed and logged, but the signature could not be attached"),
            )
            .caused_by(error);
            match hint {
                Some(hint) => failure.hint(hint),
                None => failure.hint("sign it again when the registry takes it"),
            }
        })?;
    let place = format!("{}@{}", image.name(), attached.manifest);
    ui::sign::signed(output, &name, &manifest.digest, &evidence, &place);
    Ok(())
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
        "predicateType": SIGN_PREDICATE_TYPE,
        "predicate": {},
    });
    serde_json::to_vec(&statement).expect("a statement has only text, so it always serialises")
}

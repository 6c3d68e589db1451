//! A signature of an image in files, as arguments, in place of what lies beside the image.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use evidence::cosign::{DetachedFiles, PAYLOAD_SIZE_MAX, SimpleSigning};
use evidence::{Digest, Evidence, ImageRef};
use verify::Piece;

use super::detached::DetachedSignature;
use crate::exit::Failure;
use crate::{machine, ui};

/// A signature of an image.
#[derive(Debug, Args)]
#[command(next_help_heading = "Evidence")]
pub(crate) struct DetachedImageArguments {
    /// The signature, raw or in base64, instead of those beside the image: a file, or the base64
    /// itself. No log is searched for it.
    #[arg(long, value_name = "FILE_OR_BASE64")]
    signature: Option<String>,

    /// The payload that it is over; without it, the one that Cosign makes of the image's name and
    /// digest.
    #[arg(long, value_name = "FILE", requires = "signature")]
    payload: Option<PathBuf>,
}

/// A signature of an image, as read.
pub(crate) struct DetachedImage {
    signature: DetachedSignature,
    payload: Option<Vec<u8>>,
}

impl DetachedImageArguments {
    /// Whether a signature is named, which takes other evidence out of sight.
    pub(crate) fn is_given(&self) -> bool {
        self.signature.is_some()
    }

    /// Reads what is named, before anybody is asked for anything.
    pub(crate) fn read(&self) -> Result<Option<DetachedImage>, Failure> {
        let Some(signature) = &self.signature else { return Ok(None) };
        let signature = DetachedSignature::read(signature)?;
        let payload = self.payload.as_deref();
        let read = |path| machine::read_some(path, "payload", PAYLOAD_SIZE_MAX);
        Ok(Some(DetachedImage { signature, payload: payload.map(read).transpose()? }))
    }
}

impl DetachedImage {
    /// The signature as evidence about an image; one that has no name, in a folder, needs a payload.
    pub(crate) fn piece(
        &self,
        image: Option<&ImageRef>,
        digest: &Digest,
    ) -> Result<Piece, Failure> {
        let DetachedImage { signature, payload } = self;
        let payload = match (payload, image) {
            (Some(payload), _) => payload.clone(),
            (None, Some(image)) => implied_payload(image, digest),
            (None, None) => {
                return Err(Failure::usage("it is not said what the signature is over")
                    .hint("name its payload with --payload: an image in a folder has no name"));
            }
        };
        let files = DetachedFiles::default();
        let evidence = Evidence::from_detached_payload(payload, &signature.bytes, &files);
        Ok(Piece { source: signature.source.clone(), evidence: evidence.map_err(Into::into) })
    }
}

/// The payload that Cosign makes for an image by its digest, when none is given.
pub(crate) fn implied_payload(image: &ImageRef, digest: &Digest) -> Vec<u8> {
    ui::note("no --payload: taken for a signature over what Cosign says of this image unasked");
    // Cosign knows Docker Hub by the name of its server.
    let name = image.name();
    let name = match name.strip_prefix("docker.io/") {
        Some(repository) => format!("index.docker.io/{repository}"),
        None => name,
    };
    SimpleSigning::payload(digest, &name, &BTreeMap::new())
}

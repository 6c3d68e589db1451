//! Evidence about a file, as arguments: a bundle, or the single files that stood for one before
//! Cosign wrote bundles.

use std::path::{Path, PathBuf};

use clap::Args;
use evidence::bundle::BUNDLE_SIZE_MAX;
use evidence::cosign::{ANNOTATION_SIZE_MAX, DetachedFiles};
use evidence::{Evidence, ParseEvidenceError};
use verify::Piece;

use crate::exit::Failure;
use crate::machine;

/// Evidence about a file.
#[derive(Debug, Args)]
#[command(next_help_heading = "Evidence")]
pub(crate) struct EvidenceArguments {
    /// The Sigstore bundle (v0.1, v0.2 or v0.3), or Cosign's older bundle for files.
    #[arg(long, value_name = "FILE", required_unless_present = "signature")]
    bundle: Option<PathBuf>,

    /// The signature alone, raw or in base64, or the envelope of an attestation: a file, or the base64
    /// itself.
    #[arg(long, value_name = "FILE_OR_BASE64")]
    signature: Option<String>,

    /// The signer's certificate (PEM, or base64 of that), where the signature is alone or the older
    /// bundle has none.
    #[arg(long, value_name = "FILE", alias = "cert", conflicts_with = "key")]
    certificate: Option<PathBuf>,

    /// A timestamp (RFC 3161) of the signature, where that is alone or in an older bundle.
    #[arg(long, value_name = "FILE")]
    rfc3161_timestamp: Option<PathBuf>,
}

impl EvidenceArguments {
    /// Reads the evidence. What can be read and is malformed is evidence too, that nobody trusts.
    pub(crate) fn read(&self) -> Result<Piece, Failure> {
        let small = |path: &Option<PathBuf>, what| {
            path.as_deref().map(|path| machine::read(path, what, ANNOTATION_SIZE_MAX)).transpose()
        };
        let certificate = small(&self.certificate, "certificate")?;
        let timestamp = small(&self.rfc3161_timestamp, "timestamp")?;
        let bundle = self.bundle.as_deref();
        let bundle =
            bundle.map(|path| machine::read(path, "bundle", BUNDLE_SIZE_MAX)).transpose()?;
        let files = DetachedFiles {
            certificate: certificate.as_deref(),
            log_entry: None,
            timestamp: timestamp.as_deref(),
        };
        let is_alone = self.signature.is_none() && certificate.is_none() && timestamp.is_none();
        let evidence = match &bundle {
            Some(bundle) if is_alone => Evidence::from_file(bundle),
            Some(bundle) if Evidence::from_bundle(bundle).is_ok() => {
                return Err(Failure::usage("a file is named beside a bundle that holds all of it")
                    .hint("leave out --signature, --certificate and --rfc3161-timestamp"));
            }
            bundle => self.detached(bundle.as_deref(), files)?,
        };
        Ok(Piece { source: self.source(), evidence })
    }

    fn detached(
        &self,
        bundle: Option<&[u8]>,
        files: DetachedFiles<'_>,
    ) -> Result<Result<Evidence, ParseEvidenceError>, Failure> {
        let parsed = match (&self.signature, bundle) {
            (Some(signature), log_entry) => {
                let signature = signature_bytes(signature)?;
                Evidence::from_detached_signature(&signature, &DetachedFiles { log_entry, ..files })
            }
            (None, bundle) => Evidence::from_blob_bundle_beside(bundle.unwrap_or_default(), &files),
        };
        Ok(parsed.map_err(Into::into))
    }

    /// Where it was found.
    fn source(&self) -> String {
        let signature = self.signature.as_deref().map(|text| match Path::new(text).exists() {
            true => text.to_owned(),
            false => "--signature".to_owned(),
        });
        let bundle = self.bundle.as_ref().map(|path| path.display().to_string());
        signature.or(bundle).unwrap_or_default()
    }
}

/// A file's content; or, as Cosign takes it, what is no file is the signature itself.
fn signature_bytes(argument: &str) -> Result<Vec<u8>, Failure> {
    let path = Path::new(argument);
    if argument != "-" && !path.exists() {
        let looks_like_base64 = argument.len() >= 16
            && argument.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
        if looks_like_base64 {
            return Ok(argument.as_bytes().to_vec());
        }
    }
    machine::read(path, "signature", BUNDLE_SIZE_MAX)
}

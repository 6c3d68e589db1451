//! Evidence about a file, as arguments: a bundle, or the single files that stood for one before
//! Cosign wrote bundles.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use evidence::Evidence;
use evidence::bundle::BUNDLE_SIZE_MAX;
use evidence::cosign::{self, ANNOTATION_SIZE_MAX, DetachedFiles};
use verify::Piece;

use super::supplement::{self, HashArgument};
use crate::exit::Failure;
use crate::machine;

/// Lengths of signatures that are not DER, in bytes: Ed25519 (RFC 8032 §5.1.6), and RSA of 2048, 3072
/// and 4096 bits (RFC 8017 §8.1.1).
const RAW_SIGNATURE_SIZES: [usize; 4] = [64, 256, 384, 512];

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

    /// A CT log's promise to publish the certificate (JSON), where it is not in the certificate.
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    sct: Option<PathBuf>,

    /// A timestamp (RFC 3161) of the signature, where that is alone or in an older bundle.
    #[arg(long, value_name = "FILE")]
    rfc3161_timestamp: Option<PathBuf>,

    #[command(flatten)]
    hash: HashArgument,
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
            bundle.map(|path| machine::read_some(path, "bundle", BUNDLE_SIZE_MAX)).transpose()?;
        let promise = self.sct.as_deref().map(supplement::promise).transpose()?;
        let signature = self.signature.as_deref().map(DetachedSignature::read).transpose()?;
        let is_alone = signature.is_none() && certificate.is_none() && timestamp.is_none();
        if let Some(bundle) = &bundle
            && !(is_alone && promise.is_none())
            && !cosign::is_blob_bundle(bundle)
        {
            return Err(Failure::usage("a file is named beside a bundle that holds all of it")
                .hint("leave out --signature, --certificate, --sct and --rfc3161-timestamp"));
        }
        let files = DetachedFiles {
            certificate: certificate.as_deref(),
            log_entry: None,
            timestamp: timestamp.as_deref(),
        };
        let mut evidence = match (&signature, bundle.as_deref()) {
            (Some(signature), log_entry) => {
                let files = DetachedFiles { log_entry, ..files };
                Evidence::from_detached_signature(&signature.bytes, &files).map_err(Into::into)
            }
            (None, bundle) => {
                let bundle = bundle.unwrap_or_default();
                match is_alone {
                    true => Evidence::from_file(bundle),
                    false => Evidence::from_blob_bundle_beside(bundle, &files).map_err(Into::into),
                }
            }
        };
        if let Ok(evidence) = &mut evidence {
            evidence.certificate_timestamps.extend(promise);
            evidence.signature_hash = self.hash.signature_digest_algorithm;
        }
        let bundle = self.bundle.as_ref().map(|path| path.display().to_string());
        let source = signature.map(|signature| signature.source).or(bundle).unwrap_or_default();
        Ok(Piece { source, evidence })
    }
}

/// What `--signature` names.
pub(super) struct DetachedSignature {
    /// Where it was found.
    pub(super) source: String,
    /// What was found there.
    pub(super) bytes: Vec<u8>,
}

impl DetachedSignature {
    /// A file's content; or, as Cosign takes it, what is no file is the signature itself.
    pub(super) fn read(argument: &str) -> Result<Self, Failure> {
        let path = Path::new(argument);
        if argument == "-" || is_there(path)? {
            let bytes = machine::read_some(path, "signature", BUNDLE_SIZE_MAX)?;
            return Ok(Self { source: argument.to_owned(), bytes });
        }
        match STANDARD.decode(argument) {
            Ok(bytes) if may_be_signature(&bytes) => {
                Ok(Self { source: "--signature".to_owned(), bytes: argument.into() })
            }
            _ => Err(Failure::usage(format!("cannot use the signature {argument}"))
                .caused_by("it is no file, and not a signature in base64")
                .hint("name the file of the signature")),
        }
    }
}

/// Whether there is such a file. A signature is often too long for the name of one.
fn is_there(path: &Path) -> Result<bool, Failure> {
    match path.try_exists() {
        Err(error) if error.kind() == ErrorKind::InvalidFilename => Ok(false),
        found => found.map_err(|error| {
            let message = format!("cannot read the signature {}", path.display());
            Failure::usage(message).caused_by(error)
        }),
    }
}

/// Whether this has the form of a signature by a key that is known of, or of an envelope. The name of
/// a file that is not there is often base64, too.
fn may_be_signature(bytes: &[u8]) -> bool {
    match bytes {
        // X.690 §8.1.3: the SEQUENCE (ECDSA-Sig-Value of RFC 3279 §2.2.3) says how long the rest is.
        [0x30, 0x81, length, rest @ ..] | [0x30, length @ ..=0x7f, rest @ ..]
            if rest.len() == usize::from(*length) =>
        {
            true
        }
        [b'{', ..] => {
            Evidence::from_detached_envelope(bytes.into(), &DetachedFiles::default()).is_ok()
        }
        _ => RAW_SIGNATURE_SIZES.contains(&bytes.len()),
    }
}

//! What is known of signatures and does not stand beside them, as arguments: who signed, that a CT
//! log knows of it, and the hash that they are over.

use std::path::{Path, PathBuf};

use clap::Args;
use crypto::HashAlgorithm;
use evidence::Certificate;
use evidence::certificate::SignedCertificateTimestamp;
use evidence::certificate::sct::SCT_DOCUMENT_SIZE_MAX;
use evidence::cosign::{self, ANNOTATION_SIZE_MAX};

use crate::exit::Failure;
use crate::machine;
use crate::supplement::Supplement;

/// What is known of the signatures of images.
#[derive(Debug, Args)]
#[command(next_help_heading = "Evidence")]
pub(crate) struct SupplementArguments {
    /// The signer's certificate (PEM, or base64 of that): wanted is a signature with its key, whether
    /// or not the certificate lies beside it. It is checked as one that does.
    #[arg(long, value_name = "FILE", alias = "cert", conflicts_with = "key")]
    certificate: Option<PathBuf>,

    /// A CT log's promise to publish that certificate (JSON), where it is not in the certificate.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    sct: Option<PathBuf>,

    #[command(flatten)]
    hash: HashArgument,
}

/// The hash that signatures are over.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Evidence")]
pub(crate) struct HashArgument {
    /// Hash that a signature may be over too (sha256, sha384, sha512), where its key suggests another
    /// and neither bundle nor log entry tells.
    #[arg(long, value_name = "NAME", value_parser = hash_algorithm)]
    pub(super) signature_digest_algorithm: Option<HashAlgorithm>,
}

impl SupplementArguments {
    /// Whether a certificate is named, which takes other evidence out of sight.
    pub(crate) fn names_signer(&self) -> bool {
        self.certificate.is_some()
    }

    /// Reads what is named, before anybody is asked for anything.
    pub(crate) fn read(&self) -> Result<Supplement, Failure> {
        Ok(Supplement {
            certificate: self.certificate.as_deref().map(certificate).transpose()?,
            promises: self.sct.as_deref().map(promise).transpose()?.into_iter().collect(),
            hash: self.hash.signature_digest_algorithm,
        })
    }
}

fn certificate(path: &Path) -> Result<Box<Certificate>, Failure> {
    let file = machine::read_some(path, "certificate", ANNOTATION_SIZE_MAX)?;
    cosign::certificate_in(&file).map(Box::new).map_err(|error| {
        Failure::usage(format!("cannot use the certificate {}", path.display()))
            .caused_by(error)
            .hint("give a certificate in PEM; a public key is given with --key")
    })
}

/// Reads the promise of a CT log.
pub(super) fn promise(path: &Path) -> Result<SignedCertificateTimestamp, Failure> {
    let file = machine::read_some(path, "certificate timestamp", SCT_DOCUMENT_SIZE_MAX)?;
    SignedCertificateTimestamp::from_answer(&file).map_err(|error| {
        Failure::usage(format!("cannot use the certificate timestamp {}", path.display()))
            .caused_by(error)
    })
}

fn hash_algorithm(text: &str) -> Result<HashAlgorithm, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "sha224" => Err("SHA-224 is not supported: no signer of Sigstore's uses it".to_owned()),
        name => HashAlgorithm::from_name(name).ok_or_else(|| {
            let names = HashAlgorithm::ALL.map(HashAlgorithm::name).join(", ");
            format!("wanted one of {names}")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_named_as_in_cosign() {
        for (text, wanted) in [("sha256", "sha256"), ("SHA384", "sha384"), (" sha512\n", "sha512")]
        {
            assert_eq!(hash_algorithm(text).map(HashAlgorithm::name), Ok(wanted));
        }
        assert!(hash_algorithm("sha224").unwrap_err().contains("not supported"));
        assert!(hash_algorithm("md5").unwrap_err().contains("sha256, sha384, sha512"));
    }
}

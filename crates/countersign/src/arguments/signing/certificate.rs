//! A key's certificate, as arguments: the one that it has, or one that is made for it.

use std::path::{Path, PathBuf};

use clap::Args;
use client::sign::{OwnCertificate, OwnCertificateError};
use crypto::PublicKey;
use evidence::Certificate;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use verify::TrustRoot;

use crate::arguments::named_trust::read_certificates;
use crate::exit::Failure;
use crate::machine;

/// Longest file with one certificate read, in bytes.
const CERTIFICATE_SIZE_MAX: usize = 64 * 1024;

/// By what certificate verifiers are to know a key.
#[derive(Debug, Args)]
#[command(next_help_heading = "Signer")]
pub(super) struct CertificateArguments {
    /// Certificate (PEM or DER) that the key has already, to go into the signature. It must be for the
    /// key, valid now, and issued by an authority of the chain, or without one of the trusted root.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,

    /// Certificates (PEM) of the authorities above it, the issuing one first and the root last. A
    /// bundle holds none of them: verifiers have to know them.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    certificate_chain: Option<PathBuf>,

    /// Have the key certified for your identity too, as a key is that is made for the occasion.
    #[arg(long, conflicts_with = "certificate")]
    issue_certificate: bool,
}

/// What was given of a certificate, as read.
pub(super) struct GivenCertificate {
    /// The file it is in.
    name: String,
    certificate: Certificate,
    chain: Option<Vec<Certificate>>,
}

impl CertificateArguments {
    /// Whether an authority is to certify the key that is given.
    pub(super) fn is_to_be_issued(&self) -> bool {
        self.issue_certificate
    }

    /// The certificate that is given, if one is.
    pub(super) fn read(&self) -> Result<Option<GivenCertificate>, Failure> {
        let Some(path) = &self.certificate else { return Ok(None) };
        let name = path.display().to_string();
        let chain = self.certificate_chain.as_deref().map(|path| {
            let unusable = format!("cannot use the certificate chain {}", path.display());
            read_certificates(path, || Failure::usage(unusable.clone()))
        });
        let (certificate, chain) = (read_one(path)?, chain.transpose()?);
        Ok(Some(GivenCertificate { name, certificate, chain }))
    }
}

impl GivenCertificate {
    /// The certificate, if it is that key's and its authorities vouch for it.
    pub(super) fn verified(
        self,
        key: &PublicKey,
        roots: &TrustRoot,
    ) -> Result<OwnCertificate, Failure> {
        let Self { name, certificate, chain } = self;
        let verified = OwnCertificate::verified(certificate, chain, key, roots, machine::now());
        verified.map_err(|error| {
            let hint = match &error {
                OwnCertificateError::OtherKey { .. } => {
                    Some("name the key's own certificate, or the certificate's own key")
                }
                OwnCertificateError::NotOfTrustRoot => {
                    Some("name the authorities above it with --certificate-chain")
                }
                OwnCertificateError::NotOfChain | OwnCertificateError::NoRoot => Some(
                    "--certificate-chain begins with the authority that issued the certificate, and \
                     ends with the root",
                ),
                _ => None,
            };
            let failure = Failure::usage(format!("cannot sign with the certificate {name}"));
            let failure = failure.caused_by(error);
            match hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        })
    }
}

/// The one certificate in a file.
fn read_one(path: &Path) -> Result<Certificate, Failure> {
    let unusable = || Failure::usage(format!("cannot use the certificate {}", path.display()));
    let bytes = machine::read_some(path, "certificate", CERTIFICATE_SIZE_MAX)?;
    // No DER begins like that: it is no sequence.
    let der = if bytes.trim_ascii_start().starts_with(b"-----") {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        let found = found.map_err(|error| unusable().caused_by(error.to_string()))?;
        match found.as_slice() {
            [one] => one.to_vec(),
            [] => return Err(unusable().caused_by("there is no certificate in the file")),
            many => {
                let problem = format!("wanted one certificate, found {}", many.len());
                return Err(unusable()
                    .caused_by(problem)
                    .hint("name those above it with --certificate-chain"));
            }
        }
    } else {
        bytes
    };
    Certificate::parse(&der).map_err(|error| unusable().caused_by(error))
}

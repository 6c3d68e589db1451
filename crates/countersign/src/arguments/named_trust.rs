//! Certificate and timestamp authorities that are named by their certificates, in place of the trust
//! root's own.

use std::path::{Path, PathBuf};

use clap::Args;
use evidence::Certificate;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use verify::TrustRoot;

use crate::exit::Failure;
use crate::{machine, ui};

/// Longest file of certificates read, in bytes.
const PEM_SIZE_MAX: usize = 256 * 1024;

/// Authorities by their certificates.
#[derive(Debug, Args)]
#[command(next_help_heading = "Trust")]
pub(crate) struct NamedTrustArguments {
    /// Certificates (PEM) of the roots below which signers must stand, in place of the trust root's
    /// certificate authorities.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "certificate_chain"])]
    ca_roots: Option<PathBuf>,

    /// Certificates (PEM) of authorities between signers and those roots.
    #[arg(long, value_name = "FILE", requires = "ca_roots")]
    ca_intermediates: Option<PathBuf>,

    /// Certificates (PEM) of the authorities above the signer, the issuing one first and the root
    /// last, in place of the trust root's certificate authorities.
    #[arg(long, value_name = "FILE", conflicts_with = "key", alias = "cert-chain")]
    certificate_chain: Option<PathBuf>,

    /// Certificates (PEM) of the timestamp authority, the one that signs timestamps first and the
    /// root last, in place of the trust root's; wants a signed timestamp.
    #[arg(long, value_name = "FILE")]
    timestamp_certificate_chain: Option<PathBuf>,
}

/// What was named.
#[derive(Default)]
pub(crate) struct NamedTrust {
    authorities: Option<NamedAuthorities>,
    stamps: Option<(String, Vec<Certificate>)>,
}

struct NamedAuthorities {
    name: String,
    roots: Vec<Certificate>,
    intermediates: Vec<Certificate>,
}

impl NamedTrustArguments {
    /// Whether certificate authorities are named.
    pub(crate) fn names_authorities(&self) -> bool {
        self.ca_roots.is_some() || self.certificate_chain.is_some()
    }

    /// Whether a timestamp authority is named.
    pub(crate) fn names_stamps(&self) -> bool {
        self.timestamp_certificate_chain.is_some()
    }

    /// Reads what is named. That it can be no trust is known before anybody is asked for the rest.
    pub(crate) fn read(&self) -> Result<NamedTrust, Failure> {
        let authorities = match (&self.ca_roots, &self.certificate_chain) {
            (Some(path), _) => {
                let above = self.ca_intermediates.as_deref().map(certificates).transpose()?;
                Some(NamedAuthorities {
                    name: path.display().to_string(),
                    roots: certificates(path)?,
                    intermediates: above.unwrap_or_default(),
                })
            }
            (None, Some(path)) => {
                let mut chain = certificates(path)?;
                let roots = chain.pop().into_iter().collect();
                let name = path.display().to_string();
                Some(NamedAuthorities { name, roots, intermediates: chain })
            }
            (None, None) => None,
        };
        let stamps = self.timestamp_certificate_chain.as_deref();
        let stamps = stamps.map(|path| Ok((path.display().to_string(), certificates(path)?)));
        let named = NamedTrust { authorities, stamps: stamps.transpose()? };
        named.over(TrustRoot::of_nobody())?;
        Ok(named)
    }
}

impl NamedTrust {
    /// Tells what of the trust root in this file is not believed. Who names two things is told which
    /// of them counts.
    pub(crate) fn tell_replaced(&self, file: &Path) {
        let file = file.display();
        if let Some(NamedAuthorities { name, .. }) = &self.authorities {
            ui::note(&format!("certificate authorities of {file} replaced by those of {name}"));
        }
        if let Some((name, _)) = &self.stamps {
            ui::note(&format!("timestamp authorities of {file} replaced by that of {name}"));
        }
    }

    /// The trust root with what is named in place of its own.
    pub(crate) fn over(&self, mut roots: TrustRoot) -> Result<TrustRoot, Failure> {
        let unusable = |name: &str| Failure::usage(format!("cannot use the certificates {name}"));
        if let Some(NamedAuthorities { name, roots: tops, intermediates }) = &self.authorities {
            roots = roots
                .certified_by(name, tops, intermediates)
                .map_err(|error| unusable(name).caused_by(error))?;
        }
        if let Some((name, chain)) = &self.stamps {
            roots = roots
                .stamped_by(name, chain.clone())
                .map_err(|error| unusable(name).caused_by(error))?;
        }
        Ok(roots)
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, Failure> {
    read_certificates(path, || {
        Failure::usage(format!("cannot use the certificates {}", path.display()))
    })
}

/// The certificates (PEM) in a file, of which there is one at least.
pub(crate) fn read_certificates(
    path: &Path,
    unusable: impl Fn() -> Failure,
) -> Result<Vec<Certificate>, Failure> {
    let pem = machine::read(path, "certificates", PEM_SIZE_MAX)?;
    let found = CertificateDer::pem_slice_iter(&pem)
        .map(|der| {
            let der = der.map_err(|error| unusable().caused_by(error.to_string()))?;
            Certificate::parse(&der).map_err(|error| unusable().caused_by(error))
        })
        .collect::<Result<Vec<_>, _>>()?;
    match found.is_empty() {
        true => Err(unusable().caused_by("there is no certificate in the file")),
        false => Ok(found),
    }
}

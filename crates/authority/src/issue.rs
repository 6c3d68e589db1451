//! Issues certificates: for a proven identity and a proven key, logged before they leave, and
//! checked once more against the profile before they do.
//!
//! Fulcio's certificate specification; RFC 6962 §3.1 for the two steps. There is no way to issue
//! without a certificate log: [`IssuingAuthority`] cannot be made without one.

pub mod authority;
pub mod lint;
mod profile;
pub mod proof;

use std::fmt;

use crypto::AbortOnPanic;
use evidence::certificate::sct::POISON;
use evidence::{Certificate, UnixTime};

use crate::certificate::{SerialNumber, Template, WriteError, sign};
use crate::ct::{CtError, CtLog, Precertificate, promise_list, verify_promise};
use crate::wire::{CA_FAILED, CT_LOG_FAILED, WireError};

pub use authority::CertificateAuthority;
pub use lint::LintError;
pub use proof::{Applicant, ProofError};

/// How long a certificate is valid, in seconds, unless its authority ends sooner.
pub const LIFETIME_SECONDS: i64 = 10 * 60;

/// DER of the empty name: Fulcio's certificates name their subject in an extension only.
const EMPTY_NAME: &[u8] = &[0x30, 0x00];

/// An authority together with the log that every one of its certificates goes into.
pub struct IssuingAuthority<L> {
    authority: CertificateAuthority,
    log: L,
}

/// A certificate that is logged, and conforms to the profile.
#[derive(Clone, Debug)]
pub struct IssuedCertificate {
    certificate: Certificate,
    chain: Vec<Certificate>,
}

/// Why no certificate was issued, though the applicant deserves one. Always our failure.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// A certificate of the authority's chain is not valid now.
    #[error("the authority's chain is valid from {from} to {to}; it is {now}")]
    ChainNotValid {
        /// First moment at which the whole chain is valid.
        from: UnixTime,
        /// Last such moment.
        to: UnixTime,
        /// The time of the request.
        now: UnixTime,
    },
    /// A certificate could not be written or signed.
    #[error("the certificate could not be made")]
    Write(#[from] WriteError),
    /// The log did not take it, or its promise is worthless.
    #[error("the certificate could not be logged")]
    Log(#[from] CtError),
    /// What was made is not what should have been made; it stays here.
    #[error("the certificate does not conform to the profile, and was withheld")]
    Lint(#[from] LintError),
}

impl IssueError {
    /// What the requester is told: never more than that it is our failure, always with a 5xx,
    /// because clients then try again.
    #[must_use]
    pub fn wire(&self) -> WireError {
        match self {
            Self::Log(_) => WireError::internal(CT_LOG_FAILED),
            _ => WireError::internal(CA_FAILED),
        }
    }
}

impl<L: CtLog> IssuingAuthority<L> {
    /// Joins an authority and its log.
    #[must_use]
    pub fn new(authority: CertificateAuthority, log: L) -> Self {
        Self { authority, log }
    }

    /// The authority.
    #[must_use]
    pub fn authority(&self) -> &CertificateAuthority {
        &self.authority
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &L {
        &self.log
    }

    /// Issues a certificate, valid from `now` (never before) for ten minutes, or as long as the
    /// authority.
    ///
    /// # Errors
    /// When the authority is not valid, cannot sign, the log does not take the certificate, or
    /// what came out is not what was meant. A panic on the way ends the process.
    pub async fn issue(
        &self,
        applicant: &Applicant,
        serial: SerialNumber,
        now: UnixTime,
    ) -> Result<IssuedCertificate, IssueError> {
        let _guard = AbortOnPanic;
        let (not_before, not_after) = self.authority.window(now)?;
        let issuer = self.authority.certificate();
        let common = profile::extensions(applicant, issuer).map_err(WriteError::Encode)?;
        let write = |extensions: &[_]| {
            let template = Template {
                serial,
                issuer_name_der: issuer.subject_name_der(),
                subject_name_der: EMPTY_NAME,
                not_before,
                not_after,
                key: applicant.key(),
                extensions,
            };
            template.to_tbs(issuer.public_key())
        };

        let poison = profile::poison().map_err(WriteError::Encode)?;
        let poisoned = write(&[&common[..], &[poison]].concat())?;
        let precertificate = Precertificate {
            der: sign(&poisoned, self.authority.signer())?,
            tbs: write(&common)?,
            issuer_key_hash: issuer.public_key().id(),
            chain: self.authority.chain().iter().map(|link| link.der().to_vec()).collect(),
        };
        let sct = self.log.submit(&precertificate, now).await?;
        verify_promise(&sct, &precertificate, self.log.public_key(), now)?;

        let list = promise_list(&sct, self.log.public_key())?;
        let list = profile::promises(&list).map_err(WriteError::Encode)?;
        let tbs = write(&[&common[..], &[list]].concat())?;
        let der = sign(&tbs, self.authority.signer())?;
        let expected = lint::Expected {
            applicant,
            authority: &self.authority,
            serial,
            not_before,
            not_after,
            precertificate: &precertificate,
            sct: &sct,
        };
        let certificate = lint::check(&der, &expected)?;
        Ok(IssuedCertificate { certificate, chain: self.authority.chain().to_vec() })
    }
}

impl IssuedCertificate {
    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The authority's certificates, the issuing one first, the root last.
    #[must_use]
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// PEM of the certificate and its chain in that order.
    pub fn to_pems(&self) -> impl Iterator<Item = String> {
        std::iter::once(&self.certificate).chain(&self.chain).map(Certificate::to_pem)
    }
}

impl<L> fmt::Debug for IssuingAuthority<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuingAuthority({:?})", self.authority)
    }
}

/// The TBSCertificate of a pre-certificate without its poison.
fn without_poison(precertificate: &Certificate) -> der::Result<Vec<u8>> {
    precertificate.tbs_without(POISON)
}

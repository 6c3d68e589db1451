//! The authority: its chain and its key, and how a new one is made.
//!
//! Issuing certificate first, root last. The profile is the public Sigstore instance's: P-384, an
//! intermediate with path length 0 for code signing only.

use std::fmt;

use crypto::Signer;
use evidence::{Certificate, UnixTime};

use super::{IssueError, LIFETIME_SECONDS};
use crate::certificate::chain::{
    ChainError, CreateError, SigningChain, USAGE_CERTIFICATES, authority_constraints,
    check_authority, check_key_identifier, create_below, create_root, name, purposes,
};
use crate::certificate::{CODE_SIGNING, KEY_USAGE, SerialNumber, extended_key_usage, extension};

/// An authority that can sign.
pub struct CertificateAuthority {
    chain: SigningChain,
}

impl CertificateAuthority {
    /// Takes an authority: `chain` runs from the issuing certificate, whose key `signer` holds, to
    /// the root.
    ///
    /// # Errors
    /// When the chain does not hold together, its authorities may not issue what is issued here,
    /// its key has a name that cannot be put into what is issued, or the key is of a kind that
    /// clients refuse.
    pub fn new(chain: Vec<Certificate>, signer: Box<dyn Signer>) -> Result<Self, ChainError> {
        let chain = SigningChain::new(chain, signer)?;
        check_key_identifier(chain.first())?;
        let has_root_above = chain.certificates().len() > 1;
        for (index, certificate) in chain.certificates().iter().enumerate() {
            check_authority(certificate, index, index)?;
            let purposes = purposes(certificate);
            // Go demands the purpose of every certificate that states any, and Fulcio that an
            // intermediate states it.
            let must_state = index == 0 && has_root_above;
            if (must_state || !purposes.is_empty()) && !purposes.contains(&CODE_SIGNING) {
                return Err(ChainError::Purpose { index, wanted: "code signing" });
            }
        }
        Ok(Self { chain })
    }

    /// The issuing certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        self.chain.first()
    }

    /// The chain, the issuing certificate first, the root last.
    #[must_use]
    pub fn chain(&self) -> &[Certificate] {
        self.chain.certificates()
    }

    pub(super) fn signer(&self) -> &dyn Signer {
        self.chain.signer()
    }

    /// From when to when a certificate issued now is valid: whole seconds, never before `now`'s,
    /// never longer than any certificate of the chain.
    pub(super) fn window(&self, now: UnixTime) -> Result<(UnixTime, UnixTime), IssueError> {
        let not_before = UnixTime::from_seconds(now.seconds());
        let (from, to) = self.chain.validity();
        if not_before < from || to <= not_before {
            return Err(IssueError::ChainNotValid { from, to, now });
        }
        Ok((not_before, to.min(not_before.plus_seconds(LIFETIME_SECONDS))))
    }

    /// Makes the certificates of a new authority: a root that signs itself, and an intermediate
    /// that issues. Returned is the chain, the intermediate first; what becomes of the root's key
    /// is the caller's business.
    ///
    /// # Errors
    /// When a key cannot sign certificates, or a name cannot be encoded.
    pub fn create(
        root: &dyn Signer,
        intermediate: &dyn Signer,
        organization: &str,
        serials: [SerialNumber; 2],
        now: UnixTime,
    ) -> Result<Vec<Certificate>, CreateError> {
        let root_name = name(organization, "Countersign root")?;
        let intermediate_name = name(organization, "Countersign intermediate")?;
        let [root_serial, intermediate_serial] = serials;
        let root_certificate = create_root(root, &root_name, 1, root_serial, now)?;
        let extensions = vec![
            extension(KEY_USAGE, true, USAGE_CERTIFICATES)?,
            extended_key_usage(false, CODE_SIGNING)?,
            authority_constraints(0)?,
        ];
        let intermediate_certificate = create_below(
            (&root_certificate, root),
            intermediate.public_key(),
            &intermediate_name,
            extensions,
            intermediate_serial,
        )?;
        Ok(vec![intermediate_certificate, root_certificate])
    }
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateAuthority({:?})", self.chain.signer().public_key())
    }
}

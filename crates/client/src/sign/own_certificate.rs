//! A certificate that a key had before it came here, from whatever authority: a company's own, for
//! instance.
//!
//! It is held against the key and against the authorities above it before anything is signed, and again
//! when all is done, because what is logged with a certificate that nobody believes is of no use and
//! stays for ever. Its publication in a CT log is not looked at: verifiers who want that will say so.

use crypto::PublicKey;
use evidence::bundle::{Content, Format, SignerMaterial};
use evidence::{Certificate, Evidence, UnixTime};
use verify::chain::BadChain;
use verify::trust_root::Window;
use verify::{
    CertificateTransparency, Demands, Logging, ProviderName, Refusal, Trace, TrustRoot, logged,
    signer, time,
};

/// A certificate that is a key's own, and was valid under its authorities when it was read.
#[derive(Clone, Debug)]
pub struct OwnCertificate {
    certificate: Certificate,
    /// The issuing one first, the root left out: verifiers have that, or do not believe it.
    intermediates: Vec<Certificate>,
    roots: TrustRoot,
    authorities: Authorities,
}

/// Whose authorities have to have issued a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Authorities {
    OfChain,
    OfTrustRoot,
}

/// Why a certificate is of no use to sign with.
#[derive(Debug, thiserror::Error)]
pub enum OwnCertificateError {
    /// It is for another key.
    #[error("it is for another key: wanted {wanted}, found {found}")]
    OtherKey {
        /// The key that signs.
        wanted: Box<PublicKey>,
        /// The key in the certificate.
        found: Box<PublicKey>,
    },
    /// The chain has nothing above the certificate.
    #[error("there is no authority in the chain")]
    EmptyChain,
    /// The chain does not end with a root.
    #[error(
        "the chain does not end with a root: its last certificate was issued by another authority"
    )]
    NoRoot,
    /// The chain does not hold together.
    #[error("the chain")]
    Chain(#[from] BadChain),
    /// No authority of the chain issued it.
    #[error("no authority of the chain issued it")]
    NotOfChain,
    /// No authority of the trust root issued it, and there is no chain.
    #[error("no authority of the trust root issued it")]
    NotOfTrustRoot,
    /// It or one of the authorities is not valid now.
    #[error("{what} is not valid now, but {window}")]
    NotNow {
        /// Which of them.
        what: &'static str,
        /// When it is.
        window: Window,
    },
    /// It does not fit the authority that it names, may not be used to sign, or does not name one signer.
    #[error(transparent)]
    Unfit(Box<Refusal>),
}

impl OwnCertificate {
    /// A certificate for that key. `chain` has the authorities above it, the issuing one first and the
    /// root last; without a chain it has to be of an authority of the trust root.
    ///
    /// # Errors
    /// When it is for another key, or is not valid at that moment under these authorities.
    pub fn verified(
        certificate: Certificate,
        chain: Option<Vec<Certificate>>,
        key: &PublicKey,
        roots: &TrustRoot,
        now: UnixTime,
    ) -> Result<Self, OwnCertificateError> {
        let authorities = match chain {
            None => Authorities::OfTrustRoot,
            Some(_) => Authorities::OfChain,
        };
        let (intermediates, roots) = match chain {
            None => (Vec::new(), roots.clone()),
            Some(mut chain) => {
                // Some write the signer's own certificate into the chain too.
                chain.retain(|above| *above != certificate);
                let root = chain.pop().ok_or(OwnCertificateError::EmptyChain)?;
                if !root.is_self_issued() {
                    return Err(OwnCertificateError::NoRoot);
                }
                let roots = TrustRoot::of_nobody();
                let roots = roots.certified_by("the chain", std::slice::from_ref(&root), &chain)?;
                (chain, roots)
            }
        };
        let own = Self { certificate, intermediates, roots, authorities };
        own.check_key(key)?;
        own.check(now)?;
        Ok(own)
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The authorities between it and the root, the issuing one first.
    #[must_use]
    pub fn intermediates(&self) -> &[Certificate] {
        &self.intermediates
    }

    /// Whether it is for that key.
    pub(super) fn check_key(&self, wanted: &PublicKey) -> Result<(), OwnCertificateError> {
        let found = self.certificate.public_key();
        if found == wanted {
            return Ok(());
        }
        let (wanted, found) = (Box::new(wanted.clone()), Box::new(found.clone()));
        Err(OwnCertificateError::OtherKey { wanted, found })
    }

    /// Whether it and the authorities above it are valid at that moment.
    pub(super) fn check(&self, now: UnixTime) -> Result<(), OwnCertificateError> {
        self.vouch(now).map_err(|refusal| match (refusal, self.authorities) {
            (Refusal::UnknownAuthority, Authorities::OfChain) => OwnCertificateError::NotOfChain,
            (Refusal::UnknownAuthority, Authorities::OfTrustRoot) => {
                OwnCertificateError::NotOfTrustRoot
            }
            (Refusal::NotValidNow { what, window, .. }, _) => {
                OwnCertificateError::NotNow { what, window }
            }
            (refusal, _) => OwnCertificateError::Unfit(Box::new(refusal)),
        })
    }

    /// Runs the verifiers' own chain as far as the signer, over evidence that has nothing else yet.
    fn vouch(&self, now: UnixTime) -> Result<(), Refusal> {
        let demands = Demands {
            logging: Logging::Waived,
            transparency: CertificateTransparency::Waived,
            provider: ProviderName::Waived,
            ..Demands::all()
        };
        let evidence = Evidence {
            format: Format::BundleV0_3,
            signer: SignerMaterial::Certificate(Box::new(self.certificate.clone())),
            chain: None,
            certificate_timestamps: Vec::new(),
            signature_hash: None,
            entries: Vec::new(),
            timestamps: Vec::new(),
            content: Content::Message { digest: None, signature: Vec::new() },
        };
        let (roots, mut trace) = (&self.roots, Trace::silent());
        let logged = logged::verify(&evidence, roots, demands.logging, &mut trace)?;
        let times = time::observe(&evidence, &logged, roots, demands, now, &mut trace)?;
        signer::verify(&evidence, &times, roots, demands, &mut trace).map(|_| ())
    }
}

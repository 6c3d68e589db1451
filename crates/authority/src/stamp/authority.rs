//! The timestamp authority: its chain, its key and its policy, and how a new one is made.
//!
//! The leaf comes first and the root last. RFC 3161 §2.3: the leaf has the one purpose of
//! timestamping, and says so critically.

use std::fmt;

use const_oid::ObjectIdentifier;
use crypto::Signer;
use evidence::{Certificate, UnixTime};

use crate::certificate::chain::{
    ChainError, CreateError, SigningChain, basic_constraints, check_authority, create_below,
    create_root, name, purposes,
};
use crate::certificate::{
    EXTENDED_KEY_USAGE, KEY_USAGE, SerialNumber, TIME_STAMPING, USAGE_SIGNATURE,
    extended_key_usage, extension,
};

/// An authority that can state the time.
pub struct TimestampAuthority {
    chain: SigningChain,
    policy: ObjectIdentifier,
}

impl TimestampAuthority {
    /// Takes an authority: `chain` runs from the leaf, whose key `signer` holds, to the root.
    ///
    /// # Errors
    /// When the chain does not hold together, or the leaf is not for timestamping only.
    pub fn new(
        chain: Vec<Certificate>,
        signer: Box<dyn Signer>,
        policy: ObjectIdentifier,
    ) -> Result<Self, ChainError> {
        let chain = SigningChain::new(chain, signer)?;
        let (leaf, length) = (chain.first(), chain.certificates().len());
        // Clients look for a root apart from the leaf.
        if length < 2 {
            return Err(ChainError::TooShort { wanted: 2, found: length });
        }
        if basic_constraints(leaf).is_some_and(|constraints| constraints.ca) {
            return Err(ChainError::IsAnAuthority);
        }
        let critical = leaf
            .extensions()
            .iter()
            .any(|extension| extension.oid == EXTENDED_KEY_USAGE && extension.critical);
        if !critical || purposes(leaf) != [TIME_STAMPING] {
            let wanted = "timestamping, critically and alone";
            return Err(ChainError::Purpose { index: 0, wanted });
        }
        for (index, certificate) in chain.certificates().iter().enumerate().skip(1) {
            check_authority(certificate, index, index - 1)?;
            let purposes = purposes(certificate);
            let is_root = index + 1 == length;
            if !(purposes.contains(&TIME_STAMPING) || is_root && purposes.is_empty()) {
                return Err(ChainError::Purpose { index, wanted: "timestamping" });
            }
        }
        Ok(Self { chain, policy })
    }

    /// The certificate that signs.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        self.chain.first()
    }

    /// The chain, the leaf first, the root last.
    #[must_use]
    pub fn chain(&self) -> &[Certificate] {
        self.chain.certificates()
    }

    /// The policy that tokens are made under.
    #[must_use]
    pub fn policy(&self) -> ObjectIdentifier {
        self.policy
    }

    pub(super) fn signer(&self) -> &dyn Signer {
        self.chain.signer()
    }

    /// First and last moment at which the whole chain is valid.
    pub(super) fn validity(&self) -> (UnixTime, UnixTime) {
        self.chain.validity()
    }

    /// Makes the certificates of a new authority: a root that signs itself, and the leaf.
    /// Returned is the chain, the leaf first.
    ///
    /// # Errors
    /// When a key cannot sign certificates, or a name cannot be encoded.
    pub fn create(
        root: &dyn Signer,
        leaf: &dyn Signer,
        organization: &str,
        serials: [SerialNumber; 2],
        now: UnixTime,
    ) -> Result<Vec<Certificate>, CreateError> {
        let root_name = name(organization, "Countersign timestamp root")?;
        let leaf_name = name(organization, "Countersign timestamp authority")?;
        let [root_serial, leaf_serial] = serials;
        let root_certificate = create_root(root, &root_name, 0, root_serial, now)?;
        let extensions = vec![
            extension(KEY_USAGE, true, USAGE_SIGNATURE)?,
            extended_key_usage(true, TIME_STAMPING)?,
        ];
        let leaf_certificate = create_below(
            (&root_certificate, root),
            leaf.public_key(),
            &leaf_name,
            extensions,
            leaf_serial,
        )?;
        Ok(vec![leaf_certificate, root_certificate])
    }
}

impl fmt::Debug for TimestampAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimestampAuthority({:?})", self.chain.signer().public_key())
    }
}

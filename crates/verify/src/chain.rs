//! Chains of authorities: proven once when a trust root is loaded, then used for each signer.
//!
//! RFC 5280 §6. The signatures between the authorities of a trust root never change, so they are
//! checked here, once; what depends on the moment (validity) or on the signer (its signature, its
//! names) is checked for each signer, the path itself by `rustls-webpki`.

use std::time::Duration;

use const_oid::ObjectIdentifier;
use crypto::{CHAIN_ALGORITHMS, HashAlgorithm, Message, Scheme};
use evidence::certificate::ParseCertificateError;
use evidence::certificate::constraints::{CODE_SIGNING, TIME_STAMPING, Usage};
use evidence::{Certificate, UnixTime};
use rustls_pki_types::{CertificateDer, TrustAnchor};
use webpki::{EndEntityCert, KeyUsage};

/// Most authorities above a signer (the limit of `rustls-webpki`).
pub const AUTHORITIES_MAX: usize = 6;

const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const ANY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// What an authority certifies signers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Signing artifacts.
    CodeSigning,
    /// Signing timestamps.
    TimeStamping,
}

impl Purpose {
    fn oid(self) -> &'static ObjectIdentifier {
        match self {
            Self::CodeSigning => &CODE_SIGNING,
            Self::TimeStamping => &TIME_STAMPING,
        }
    }
}

/// Whether the signatures among the authorities of a trust root are verified when it is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// They are.
    Verified,
    /// They were, by a test: the trust root is part of this program. Whoever could alter it there
    /// could as well alter what verifies it.
    BuiltIn,
}

/// Authorities that hold together: each signed by the next, each allowed to sign the one below.
/// Says nothing about any moment: [`Chain::valid_at`] does.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The issuing authority first, the root last; at least one.
    certificates: Vec<Certificate>,
    purpose: Purpose,
    anchor: TrustAnchor<'static>,
    /// Authorities below the anchor, when the anchor is not the issuing authority.
    intermediates: Vec<CertificateDer<'static>>,
}

/// Why authorities do not hold together, or a signer is not theirs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChain {
    /// No certificate at all.
    #[error("there is no certificate")]
    Empty,
    /// More than [`AUTHORITIES_MAX`].
    #[error("more than {AUTHORITIES_MAX} authorities above a signer")]
    TooLong,
    /// More than are read.
    #[error("more than {max} certificates")]
    TooMany {
        /// The most read.
        max: usize,
    },
    /// An intermediate authority above which none of the roots stands.
    #[error("intermediate {index} leads to none of the roots")]
    NoRoot {
        /// Position among the intermediates, counted from 0.
        index: usize,
    },
    /// An intermediate authority of which no way to a root holds.
    #[error("no way from intermediate {index} to a root holds")]
    NoWay {
        /// Position among the intermediates, counted from 0.
        index: usize,
        /// Why the first does not; positions in it count from that intermediate.
        source: Box<BadChain>,
    },
    /// Intermediate authorities that certify each other in too many ways.
    #[error(
        "the intermediates lead to the roots in more than the {max} steps followed; name those of the signer alone"
    )]
    TooManyWays {
        /// The most steps followed.
        max: usize,
    },
    /// A certificate that does not parse.
    #[error("certificate {index}")]
    Certificate {
        /// Position in the chain, counted from 0.
        index: usize,
        /// What is wrong.
        source: ParseCertificateError,
    },
    /// A usage extension that does not parse.
    #[error("certificate {index} has a malformed usage extension")]
    MalformedUsage {
        /// Position in the chain, counted from 0.
        index: usize,
    },
    /// A certificate that may not sign others.
    #[error("certificate {index} is not an authority's")]
    NotAnAuthority {
        /// Position in the chain, counted from 0.
        index: usize,
    },
    /// More authorities below a certificate than it allows.
    #[error("certificate {index} allows {allowed} authorities below it, found {index}")]
    PathTooLong {
        /// Position in the chain, counted from 0, which is also the number below it.
        index: usize,
        /// The number it allows.
        allowed: u8,
    },
    /// A certificate that may not be used for this.
    #[error("certificate {index} may not be used for {wanted}")]
    WrongUsage {
        /// Position in the chain, counted from 0.
        index: usize,
        /// The extended key usage wanted.
        wanted: ObjectIdentifier,
    },
    /// A signer's certificate whose key usage does not allow signatures (RFC 5280 §4.2.1.3).
    #[error("its key usage does not allow digital signatures")]
    MayNotSign,
    /// A critical extension that is not understood.
    #[error("certificate {index} has the unknown critical extension {oid}")]
    UnknownCriticalExtension {
        /// Position in the chain, counted from 0.
        index: usize,
        /// The extension.
        oid: ObjectIdentifier,
    },
    /// A certificate whose issuer is not the next one.
    #[error("certificate {index} was not issued by the next one")]
    WrongIssuer {
        /// Position in the chain, counted from 0.
        index: usize,
    },
    /// A certificate whose signature does not verify under the next one's key.
    #[error("the signature of certificate {index} does not verify under the next one's key")]
    BadSignature {
        /// Position in the chain, counted from 0.
        index: usize,
    },
    /// The top certificate cannot serve as an anchor.
    #[error("the certificate cannot be used as a trust anchor")]
    UnusableAnchor,
    /// A timestamp signer whose extended key usage is not `timeStamping` alone.
    #[error(
        "the timestamp signer's extended key usage is not timeStamping alone (and critical, unless the trust root names it)"
    )]
    NotATimestampSigner,
    /// The path from the signer does not hold.
    #[error("the certificate does not chain to this authority: {0}")]
    Path(String),
}

impl Chain {
    /// Checks that the authorities, issuing one first, hold together and may certify signers
    /// for that purpose.
    ///
    /// # Errors
    /// At the first certificate that does not fit.
    pub(crate) fn verify(
        certificates: Vec<Certificate>,
        purpose: Purpose,
        links: Links,
    ) -> Result<Self, BadChain> {
        if certificates.len() > AUTHORITIES_MAX {
            return Err(BadChain::TooLong);
        }
        let usages = certificates
            .iter()
            .enumerate()
            .map(|(index, certificate)| check_authority(index, certificate, purpose))
            .collect::<Result<Vec<_>, _>>()?;
        for (index, pair) in certificates.windows(2).enumerate() {
            if links == Links::Verified {
                check_link(index, &pair[0], &pair[1])?;
            }
        }
        // The issuing authority serves as anchor, so that a verification costs one signature and
        // not one for each authority. Only where a name constraint stands above it does the path
        // go up to the top, because constraints bind everything below them.
        let constrained_above = usages.iter().skip(1).any(|usage| usage.constrains_names);
        let anchor_index = if constrained_above { certificates.len() - 1 } else { 0 };
        let anchor = certificates.get(anchor_index).ok_or(BadChain::Empty)?;
        let anchor_der = CertificateDer::from(anchor.der());
        let anchor = webpki::anchor_from_trusted_cert(&anchor_der)
            .map_err(|_| BadChain::UnusableAnchor)?
            .to_owned();
        let intermediates = certificates[..anchor_index]
            .iter()
            .map(|certificate| CertificateDer::from(certificate.der().to_vec()))
            .collect();
        Ok(Self { certificates, purpose, anchor, intermediates })
    }

    /// The same chain with others below it, the issuing one first.
    pub(crate) fn above(&self, below: &[Certificate]) -> Result<Self, BadChain> {
        Self::verify([below, &self.certificates].concat(), self.purpose, Links::Verified)
    }

    /// The authority that issues.
    pub(crate) fn issuing(&self) -> &Certificate {
        // `verify` refuses an empty chain.
        &self.certificates[0]
    }

    /// Whether every authority is inside its own validity at that moment; if not, which is not.
    pub(crate) fn valid_at(&self, time: UnixTime) -> Result<(), &Certificate> {
        match self
            .certificates
            .iter()
            .find(|certificate| time < certificate.not_before() || certificate.not_after() < time)
        {
            None => Ok(()),
            Some(certificate) => Err(certificate),
        }
    }

    /// Checks the path from an end-entity certificate to the anchor at one moment: signatures,
    /// names, constraints, usage, and the certificate's own validity.
    pub(crate) fn verify_leaf(&self, leaf: &Certificate, time: UnixTime) -> Result<(), BadChain> {
        let usage = leaf.usage().map_err(|_| BadChain::MalformedUsage { index: 0 })?;
        let purpose = self.purpose.oid();
        if !usage.extended.is_some_and(|(purposes, _)| purposes.contains(purpose)) {
            return Err(BadChain::WrongUsage { index: 0, wanted: *purpose });
        }
        if !usage.may_sign_data {
            return Err(BadChain::MayNotSign);
        }
        let der = CertificateDer::from(leaf.der());
        let path = |error: webpki::Error| BadChain::Path(explain(&error));
        let end_entity = EndEntityCert::try_from(&der).map_err(path)?;
        let seconds = u64::try_from(time.seconds()).unwrap_or(0);
        end_entity
            .verify_for_usage(
                CHAIN_ALGORITHMS,
                std::slice::from_ref(&self.anchor),
                &self.intermediates,
                rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
                // Of the leaf it was required above; an authority that does not restrict its usage
                // may certify for any (RFC 5280 §4.2.1.12).
                KeyUsage::required_if_present(purpose.as_bytes()),
                None,
                None,
            )
            .map(|_| ())
            .map_err(path)
    }

    /// Checks that a certificate pinned beside the chain was issued by it, whatever the moment.
    pub(crate) fn check_issued(&self, leaf: &Certificate) -> Result<(), BadChain> {
        // Its own start of validity is a moment at which nothing but validity could be in the way.
        self.verify_leaf(leaf, leaf.not_before())
    }
}

/// Checks that a certificate may sign timestamps: `timeStamping` is its only extended key usage
/// (RFC 3161 §2.3), and it is no authority's.
pub(crate) fn check_timestamp_signer(
    certificate: &Certificate,
    criticality: Criticality,
) -> Result<(), BadChain> {
    let usage = certificate.usage().map_err(|_| BadChain::MalformedUsage { index: 0 })?;
    let only_timestamps = usage.extended.as_ref().is_some_and(|(purposes, critical)| {
        let critical = *critical || criticality == Criticality::Waived;
        critical && purposes == &[TIME_STAMPING]
    });
    if !only_timestamps || usage.is_authority || !usage.may_sign_data {
        return Err(BadChain::NotATimestampSigner);
    }
    match usage.unknown_critical {
        Some(oid) => Err(BadChain::UnknownCriticalExtension { index: 0, oid }),
        None => Ok(()),
    }
}

/// Whether a timestamp signer's extended key usage must be critical, as RFC 3161 §2.3 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Criticality {
    /// It must, for a certificate that a token brings along.
    Required,
    /// It need not, for a certificate that the trust root itself names as a timestamp signer:
    /// GitHub's is not critical, and whoever pinned it has said what it is for.
    Waived,
}

fn check_authority(
    index: usize,
    certificate: &Certificate,
    purpose: Purpose,
) -> Result<Usage, BadChain> {
    let usage = certificate.usage().map_err(|_| BadChain::MalformedUsage { index })?;
    if !usage.is_authority || !usage.may_sign_certificates {
        return Err(BadChain::NotAnAuthority { index });
    }
    if let Some(allowed) = usage.path_length
        && usize::from(allowed) < index
    {
        return Err(BadChain::PathTooLong { index, allowed });
    }
    let wanted = *purpose.oid();
    let allows =
        |purposes: &[ObjectIdentifier]| purposes.contains(&wanted) || purposes.contains(&ANY_USAGE);
    if usage.extended.as_ref().is_some_and(|(purposes, _)| !allows(purposes)) {
        return Err(BadChain::WrongUsage { index, wanted });
    }
    if let Some(oid) = usage.unknown_critical {
        return Err(BadChain::UnknownCriticalExtension { index, oid });
    }
    Ok(usage)
}

pub(crate) fn check_link(
    index: usize,
    child: &Certificate,
    parent: &Certificate,
) -> Result<(), BadChain> {
    if child.issuer_name_der() != parent.subject_name_der() {
        return Err(BadChain::WrongIssuer { index });
    }
    let bad_signature = BadChain::BadSignature { index };
    let parts = child.signed_parts().map_err(|_| bad_signature.clone())?;
    let key = parent.public_key();
    let hash = match parts.algorithm {
        ECDSA_SHA256 | RSA_SHA256 => HashAlgorithm::Sha256,
        ECDSA_SHA384 | RSA_SHA384 => HashAlgorithm::Sha384,
        ECDSA_SHA512 | RSA_SHA512 | ED25519 => HashAlgorithm::Sha512,
        _ => return Err(bad_signature),
    };
    let scheme = Scheme::for_key_and_hash(key.kind(), hash);
    key.verify(scheme, Message::Bytes(parts.tbs_der), parts.signature).map_err(|_| bad_signature)
}

/// What `rustls-webpki` found, in words where its own are code.
fn explain(error: &webpki::Error) -> String {
    match error {
        webpki::Error::CertExpired { .. } => "it had expired at that time".to_owned(),
        webpki::Error::CertNotValidYet { .. } => "it was not yet valid at that time".to_owned(),
        webpki::Error::UnknownIssuer => "this authority did not issue it".to_owned(),
        webpki::Error::InvalidSignatureForPublicKey => {
            "its signature does not verify under the authority's key".to_owned()
        }
        webpki::Error::CaUsedAsEndEntity => "it is an authority's certificate".to_owned(),
        webpki::Error::NameConstraintViolation => {
            "an authority's name constraints forbid its name, or cannot be processed".to_owned()
        }
        webpki::Error::UnsupportedCriticalExtension => {
            "it has a critical extension that is not understood".to_owned()
        }
        other => format!("{other:?}").chars().take(160).collect(),
    }
}

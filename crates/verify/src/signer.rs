//! Who: a certificate that chained to the trust root at every observed time, or a pinned key.
//!
//! RFC 5280 §6 (chains), Fulcio's certificate specification.

use std::borrow::Cow;

use crypto::PublicKey;
use evidence::bundle::{Format, SignerMaterial};
use evidence::certificate::FulcioExtensions;
use evidence::{Certificate, Evidence, UnixTime};
use nonempty::NonEmpty;

use crate::chain::BadChain;
use crate::check::Check;
use crate::demands::{Demands, Intermediates, ProviderName};
use crate::explain::Trace;
use crate::publication::{self, Publication};
use crate::refusal::{Furthest, Refusal};
use crate::time::{Observer, VerifiedTime};
use crate::trust_root::{CertificateAuthority, TrustRoot, Window};

/// A signer whose certificate chained to the trust root at every observed time, with a promise of
/// a trusted CT log to publish it unless the policy waives that; or the holder of a key that the operator pinned.
///
/// Says nothing about whether we *want* this signer, nor yet that it signed anything.
#[derive(Clone, Debug)]
pub struct VerifiedSigner(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Certified {
        certificate: Box<Certificate>,
        issuer: Option<String>,
        subject: String,
        publication: Publication,
    },
    Pinned(PublicKey),
}

impl VerifiedSigner {
    /// The identity provider that vouched for the signer; `None` for a pinned key, and where the
    /// policy waives that the certificate names one.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        match &self.0 {
            Kind::Certified { issuer, .. } => issuer.as_deref(),
            Kind::Pinned(_) => None,
        }
    }

    /// The signer's name in its certificate; `None` for a pinned key.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match &self.0 {
            Kind::Certified { subject, .. } => Some(subject),
            Kind::Pinned(_) => None,
        }
    }

    /// The certificate; `None` for a pinned key.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        match &self.0 {
            Kind::Certified { certificate, .. } => Some(certificate),
            Kind::Pinned(_) => None,
        }
    }

    /// What the certificate says about the build; `None` for a pinned key.
    #[must_use]
    pub fn extensions(&self) -> Option<&FulcioExtensions> {
        self.certificate().map(Certificate::fulcio)
    }

    /// What is known of its certificate's publication; `None` for a pinned key.
    pub(crate) fn publication(&self) -> Option<Publication> {
        match &self.0 {
            Kind::Certified { publication, .. } => Some(*publication),
            Kind::Pinned(_) => None,
        }
    }

    /// The key that must have made the signature.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        match &self.0 {
            Kind::Certified { certificate, .. } => certificate.public_key(),
            Kind::Pinned(key) => key,
        }
    }
}

/// Proves the certificate at every one of the observed times.
///
/// # Errors
/// When there is no certificate, no trusted authority issued it, it or an authority was not valid
/// at one of the times, no trusted CT log promised it and that is required, or it does not name one
/// signer.
pub fn verify(
    evidence: &Evidence,
    times: &NonEmpty<VerifiedTime>,
    roots: &TrustRoot,
    demands: Demands,
    trace: &mut Trace,
) -> Result<VerifiedSigner, Refusal> {
    let SignerMaterial::Certificate(certificate) = &evidence.signer else {
        return Err(Refusal::NoCertificate);
    };
    let brought = intermediates(evidence, demands.intermediates)?;
    // Several generations of one authority may share a name; one of them has to hold.
    let mut furthest = Furthest::none(Reach::Nowhere, Refusal::UnknownAuthority);
    for authority in authorities_of(certificate, brought, roots) {
        let authority = match authority {
            Ok(authority) => authority,
            Err(why) => {
                furthest.meet(Reach::BrokenWay, Refusal::BadCertificate(why));
                continue;
            }
        };
        if let Err(why) = verify_under(certificate, times, &authority) {
            furthest.meet(Reach::of(certificate, &authority), why);
            continue;
        }
        trace.passed(Check::Certificate, || {
            let through = match authority {
                Cow::Borrowed(_) => "",
                Cow::Owned(_) => ", through authorities that came along",
            };
            (
                format!("a certificate of {}", authority.uri),
                format!("valid {}{through}", Window::of(certificate)),
            )
        });
        let demand = demands.transparency;
        let publication =
            publication::verify(certificate, evidence, times, &authority, roots, demand, trace)?;
        return identify(certificate, publication, demands.provider);
    }
    Err(furthest.into_refusal())
}

/// How far a way to an authority led that did not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// There is none.
    Nowhere,
    /// The authorities on it do not hold together.
    BrokenWay,
    /// To one that has the issuer's name.
    Namesake,
    /// To the one that issued the certificate, so that what is wrong is when.
    Issuer,
}

impl Reach {
    fn of(certificate: &Certificate, authority: &CertificateAuthority) -> Self {
        match authority.chain.check_issued(certificate) {
            Ok(()) => Self::Issuer,
            Err(_) => Self::Namesake,
        }
    }
}

/// Takes a key that the operator pinned. If the evidence carries a certificate, the key in it must
/// be the pinned one.
///
/// # Errors
/// When the evidence carries a certificate for another key, or a chain of certificates where none is
/// taken.
pub fn pin(
    evidence: &Evidence,
    key: &PublicKey,
    demands: Demands,
    trace: &mut Trace,
) -> Result<VerifiedSigner, Refusal> {
    intermediates(evidence, demands.intermediates)?;
    if let SignerMaterial::Certificate(certificate) = &evidence.signer
        && certificate.public_key() != key
    {
        return Err(Refusal::WrongKey);
    }
    trace.passed(Check::Key, || ("the pinned key".to_owned(), key.to_string()));
    Ok(VerifiedSigner(Kind::Pinned(key.clone())))
}

/// The authorities that came along with the evidence and may be used.
fn intermediates(evidence: &Evidence, demand: Intermediates) -> Result<&[Certificate], Refusal> {
    match (demand, &evidence.chain) {
        (Intermediates::BroughtAlong, Some(chain)) => Ok(chain),
        (Intermediates::OfTrustRoot, Some(_)) if evidence.format == Format::BundleV0_3 => {
            Err(Refusal::ChainNotAllowed)
        }
        (Intermediates::BroughtAlong | Intermediates::OfTrustRoot, _) => Ok(&[]),
    }
}

/// The authorities of the trust root that may have issued the certificate: in its issuer's name; or
/// else with others below them that came along, which were proven to hold together.
fn authorities_of<'a>(
    certificate: &'a Certificate,
    brought: &'a [Certificate],
    roots: &'a TrustRoot,
) -> impl Iterator<Item = Result<Cow<'a, CertificateAuthority>, BadChain>> {
    let issuing = |child: &'a Certificate| {
        roots.authorities.iter().filter(move |authority| {
            authority.chain.issuing().subject_name_der() == child.issuer_name_der()
        })
    };
    let issued_by = |first: &Certificate| first.subject_name_der() == certificate.issuer_name_der();
    let brought = if brought.first().is_some_and(issued_by) { brought } else { &[] };
    let through = brought.iter().enumerate().flat_map(move |(position, top)| {
        let below = &brought[..=position];
        issuing(top).map(move |authority| authority.above(below).map(Cow::Owned))
    });
    issuing(certificate).map(|authority| Ok(Cow::Borrowed(authority))).chain(through)
}

fn verify_under(
    certificate: &Certificate,
    times: &NonEmpty<VerifiedTime>,
    authority: &CertificateAuthority,
) -> Result<(), Refusal> {
    for observed in times.iter() {
        let time = observed.time();
        let outside = |what, window| match observed.observer() {
            Observer::Now => {
                let unknown_timestamp = observed.unknown_timestamp();
                Refusal::NotValidNow { what, now: time, window, unknown_timestamp }
            }
            Observer::Log | Observer::TimestampAuthority(_) => {
                Refusal::NotValidAtTime { what, time, window }
            }
        };
        check_validity(certificate, authority, time)
            .map_err(|(what, window)| outside(what, window))?;
    }
    // Validity was checked at every time above; the path itself does not depend on which.
    let first = times.first().time();
    authority.chain.verify_leaf(certificate, first).map_err(Refusal::BadCertificate)
}

/// What of them is not valid at that moment, and when it is.
fn check_validity(
    certificate: &Certificate,
    authority: &CertificateAuthority,
    time: UnixTime,
) -> Result<(), (&'static str, Window)> {
    let own = Window::of(certificate);
    if !own.contains(time) {
        return Err(("the certificate", own));
    }
    if !authority.window.contains(time) {
        return Err(("the authority in the trust root", authority.window));
    }
    let chain = authority.chain.valid_at(time);
    chain.map_err(|expired| ("an authority's certificate", Window::of(expired)))
}

fn identify(
    certificate: &Certificate,
    publication: Publication,
    provider: ProviderName,
) -> Result<VerifiedSigner, Refusal> {
    let names = certificate.names();
    let [name] = names else { return Err(Refusal::AmbiguousName { found: names.len() }) };
    // A name or an issuer of no letters names nobody, and would match careless patterns.
    let subject = name.as_str().filter(|subject| !subject.is_empty());
    let subject = subject.ok_or(Refusal::AmbiguousName { found: 0 })?.to_owned();
    let issuer = certificate.fulcio().issuer().filter(|issuer| !issuer.is_empty());
    let issuer = issuer.map(str::to_owned);
    if issuer.is_none() && provider == ProviderName::Required {
        return Err(Refusal::NoIssuer);
    }
    let certificate = Box::new(certificate.clone());
    Ok(VerifiedSigner(Kind::Certified { certificate, issuer, subject, publication }))
}

//! Who: a certificate that chained to the trust root at every observed time, or a pinned key.
//!
//! RFC 5280 §6 (chains), RFC 6962 §3.2 and §3.3 (certificate timestamps), Fulcio's certificate
//! specification.

use std::borrow::Cow;

use crypto::{Message, PublicKey, Scheme};
use evidence::bundle::{Format, SignerMaterial};
use evidence::certificate::sct::SCT_LIST;
use evidence::certificate::{FulcioExtensions, SignedCertificateTimestamp};
use evidence::{Certificate, Evidence};
use nonempty::NonEmpty;

use crate::chain::BadChain;
use crate::check::Check;
use crate::demands::{CertificateTransparency, Demands, Intermediates};
use crate::explain::Trace;
use crate::refusal::{Observers, Refusal};
use crate::threshold::{check_none, check_threshold};
use crate::time::{CLOCK_SKEW_MAX_S, Observer, VerifiedTime};
use crate::trust_root::{CertificateAuthority, Log, TrustRoot, Window};

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
        issuer: String,
        subject: String,
        publication: Publication,
    },
    Pinned(PublicKey),
}

/// What is known of a certificate's publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publication {
    /// As many trusted CT logs as are demanded promised it.
    Promised,
    /// Nothing, which the policy waives.
    Waived,
}

impl VerifiedSigner {
    /// The identity provider that vouched for the signer; `None` for a pinned key.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        match &self.0 {
            Kind::Certified { issuer, .. } => Some(issuer),
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
    let mut refusal = Refusal::UnknownAuthority;
    for authority in authorities_of(certificate, brought, roots) {
        let verified = authority
            .map_err(Refusal::BadCertificate)
            .and_then(|authority| verify_under(certificate, times, &authority).map(|()| authority));
        match verified {
            Ok(authority) => {
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
                    verify_publication(certificate, times, &authority, roots, demand, trace)?;
                return identify(certificate, publication);
            }
            Err(why) => refusal = why,
        }
    }
    Err(refusal)
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
            Observer::Now => Refusal::NotValidNow { what, now: time, window },
            Observer::Log | Observer::TimestampAuthority(_) => {
                Refusal::NotValidAtTime { what, time, window }
            }
        };
        let own = Window::of(certificate);
        if !own.contains(time) {
            return Err(outside("the certificate", own));
        }
        if !authority.window.contains(time) {
            return Err(outside("the authority in the trust root", authority.window));
        }
        authority
            .chain
            .valid_at(time)
            .map_err(|expired| outside("an authority's certificate", Window::of(expired)))?;
    }
    // Validity was checked at every time above; the path itself does not depend on which.
    let first = times.first().time();
    authority.chain.verify_leaf(certificate, first).map_err(Refusal::BadCertificate)
}

fn verify_publication(
    certificate: &Certificate,
    times: &NonEmpty<VerifiedTime>,
    authority: &CertificateAuthority,
    roots: &TrustRoot,
    demand: CertificateTransparency,
    trace: &mut Trace,
) -> Result<Publication, Refusal> {
    let timestamps = certificate.certificate_timestamps()?;
    let wanted = || Check::CertificateTransparency.wanted().to_owned();
    let logs = promising_logs(certificate, &timestamps, times, authority, roots)?;
    if logs.is_empty() {
        return match demand {
            CertificateTransparency::Required => {
                Err(Refusal::NoCertificateTimestamp { found: timestamps.len() })
            }
            CertificateTransparency::Waived => {
                check_none(Observers::CertificateLogs, roots.thresholds.certificate_logs)?;
                trace.waived(Check::CertificateTransparency, || {
                    (wanted(), format!("0 of {}, which is waived", timestamps.len()))
                });
                Ok(Publication::Waived)
            }
        };
    }
    let keys = logs.iter().map(|log| log.key.spki_der());
    check_threshold(Observers::CertificateLogs, roots.thresholds.certificate_logs, keys)?;
    trace.passed(Check::CertificateTransparency, || {
        (wanted(), format!("{} of {}", logs.len(), timestamps.len()))
    });
    Ok(Publication::Promised)
}

/// The trusted logs that promised the certificate, one for each promise. A promise in the name of
/// such a log that is not its own is refused.
fn promising_logs<'r>(
    certificate: &Certificate,
    timestamps: &[SignedCertificateTimestamp],
    times: &NonEmpty<VerifiedTime>,
    authority: &CertificateAuthority,
    roots: &'r TrustRoot,
) -> Result<Vec<&'r Log>, Refusal> {
    if timestamps.is_empty() {
        return Ok(Vec::new());
    }
    let tbs = certificate.tbs_without(SCT_LIST).map_err(|_| Refusal::BadCertificateTimestamp)?;
    let issuer_key_hash = authority.chain.issuing().public_key().id();
    let mut proven = Vec::new();
    let used = times.iter().map(VerifiedTime::time).max().unwrap_or(certificate.not_before());
    for timestamp in timestamps {
        // RFC 6962 §5.2: none from the future; a certificate is logged before it is used.
        if timestamp.time > used.plus_seconds(CLOCK_SKEW_MAX_S) {
            return Err(Refusal::CertificateTimestampInFuture { time: timestamp.time, used });
        }
        // A log that is not known proves nothing; one that is known must have signed.
        proven.extend(verify_certificate_timestamp(timestamp, &issuer_key_hash, &tbs, roots)?);
    }
    Ok(proven)
}

/// The trusted log that made the promise; `None` if the log is not known.
fn verify_certificate_timestamp<'r>(
    timestamp: &SignedCertificateTimestamp,
    issuer_key_hash: &[u8; 32],
    tbs: &[u8],
    roots: &'r TrustRoot,
) -> Result<Option<&'r Log>, Refusal> {
    let known = roots.certificate_logs.iter().filter(|log| log.id == timestamp.log_id);
    let data = timestamp.signed_data(issuer_key_hash, tbs)?;
    let mut refusal = None;
    for log in known {
        let scheme = Scheme::for_key_and_hash(log.key.kind(), timestamp.hash);
        if log.key.verify(scheme, Message::Bytes(&data), &timestamp.signature).is_err() {
            refusal = Some(Refusal::BadCertificateTimestamp);
        } else if !log.window.contains(timestamp.time) {
            let window = log.window;
            refusal = Some(Refusal::CtLogKeyNotValid { time: timestamp.time, window });
        } else {
            return Ok(Some(log));
        }
    }
    refusal.map_or(Ok(None), Err)
}

fn identify(
    certificate: &Certificate,
    publication: Publication,
) -> Result<VerifiedSigner, Refusal> {
    let names = certificate.names();
    let [name] = names else { return Err(Refusal::AmbiguousName { found: names.len() }) };
    // A name or an issuer of no letters names nobody, and would match careless patterns.
    let subject = name.as_str().filter(|subject| !subject.is_empty());
    let subject = subject.ok_or(Refusal::AmbiguousName { found: 0 })?.to_owned();
    let issuer = certificate.fulcio().issuer().filter(|issuer| !issuer.is_empty());
    let issuer = issuer.ok_or(Refusal::NoIssuer)?.to_owned();
    let certificate = Box::new(certificate.clone());
    Ok(VerifiedSigner(Kind::Certified { certificate, issuer, subject, publication }))
}

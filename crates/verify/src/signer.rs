//! Who: a certificate that chained to the trust root at every observed time, or a pinned key.
//!
//! RFC 5280 §6 (chains), RFC 6962 §3.2 and §3.3 (certificate timestamps), Fulcio's certificate
//! specification.

use crypto::{Message, PublicKey, Scheme};
use evidence::bundle::SignerMaterial;
use evidence::certificate::sct::SCT_LIST;
use evidence::certificate::{FulcioExtensions, SignedCertificateTimestamp};
use evidence::{Certificate, Evidence};
use nonempty::NonEmpty;

use crate::check::Check;
use crate::explain::Trace;
use crate::refusal::{Observers, Refusal};
use crate::threshold::check_threshold;
use crate::time::{CLOCK_SKEW_MAX_S, VerifiedTime, window_of};
use crate::trust_root::{CertificateAuthority, Log, TrustRoot};

/// A signer whose certificate chained to the trust root at every observed time, with a promise of
/// a trusted CT log to publish it; or the holder of a key that the operator pinned.
///
/// Says nothing about whether we *want* this signer, nor yet that it signed anything.
#[derive(Clone, Debug)]
pub struct VerifiedSigner(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Certified { certificate: Box<Certificate>, issuer: String, subject: String },
    Pinned(PublicKey),
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
/// at one of the times, no trusted CT log promised it, or it does not name one signer.
pub fn verify(
    evidence: &Evidence,
    times: &NonEmpty<VerifiedTime>,
    roots: &TrustRoot,
    trace: &mut Trace,
) -> Result<VerifiedSigner, Refusal> {
    let SignerMaterial::Certificate(certificate) = &evidence.signer else {
        return Err(Refusal::NoCertificate);
    };
    // Several generations of one authority may share a name; one of them has to hold.
    let mut refusal = Refusal::UnknownAuthority;
    let named = roots.authorities.iter().filter(|authority| {
        authority.chain.issuing().subject_name_der() == certificate.issuer_name_der()
    });
    for authority in named {
        match verify_under(certificate, times, authority) {
            Ok(()) => {
                trace.passed(Check::Certificate, || {
                    (
                        format!("a certificate of {}", authority.uri),
                        format!("valid {}", window_of(certificate)),
                    )
                });
                verify_certificate_timestamps(certificate, times, authority, roots, trace)?;
                return identify(certificate);
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
/// When the evidence carries a certificate for another key.
pub fn pin(
    evidence: &Evidence,
    key: &PublicKey,
    trace: &mut Trace,
) -> Result<VerifiedSigner, Refusal> {
    if let SignerMaterial::Certificate(certificate) = &evidence.signer
        && certificate.public_key() != key
    {
        return Err(Refusal::WrongKey);
    }
    trace.passed(Check::Key, || ("the pinned key".to_owned(), key.to_string()));
    Ok(VerifiedSigner(Kind::Pinned(key.clone())))
}

fn verify_under(
    certificate: &Certificate,
    times: &NonEmpty<VerifiedTime>,
    authority: &CertificateAuthority,
) -> Result<(), Refusal> {
    for time in times.iter().map(VerifiedTime::time) {
        let outside = |what, window| Refusal::NotValidAtTime { what, time, window };
        let own = window_of(certificate);
        if !own.contains(time) {
            return Err(outside("the certificate", own));
        }
        if !authority.window.contains(time) {
            return Err(outside("the authority in the trust root", authority.window));
        }
        authority
            .chain
            .valid_at(time)
            .map_err(|expired| outside("an authority's certificate", window_of(expired)))?;
    }
    // Validity was checked at every time above; the path itself does not depend on which.
    let first = times.first().time();
    authority.chain.verify_leaf(certificate, first).map_err(Refusal::BadCertificate)
}

fn verify_certificate_timestamps(
    certificate: &Certificate,
    times: &NonEmpty<VerifiedTime>,
    authority: &CertificateAuthority,
    roots: &TrustRoot,
    trace: &mut Trace,
) -> Result<(), Refusal> {
    let timestamps = certificate.certificate_timestamps()?;
    if timestamps.is_empty() {
        return Err(Refusal::NoCertificateTimestamp { found: 0 });
    }
    let tbs = certificate.tbs_without(SCT_LIST).map_err(|_| Refusal::BadCertificateTimestamp)?;
    let issuer_key_hash = authority.chain.issuing().public_key().id();
    let mut proven = Vec::new();
    let used = times.iter().map(VerifiedTime::time).max().unwrap_or(certificate.not_before());
    for timestamp in &timestamps {
        // RFC 6962 §5.2: none from the future; a certificate is logged before it is used.
        if timestamp.time > used.plus_seconds(CLOCK_SKEW_MAX_S) {
            return Err(Refusal::CertificateTimestampInFuture { time: timestamp.time, used });
        }
        // A log that is not known proves nothing; one that is known must have signed.
        proven.extend(verify_certificate_timestamp(timestamp, &issuer_key_hash, &tbs, roots)?);
    }
    if proven.is_empty() {
        return Err(Refusal::NoCertificateTimestamp { found: timestamps.len() });
    }
    let keys = proven.iter().map(|log| log.key.spki_der());
    check_threshold(Observers::CertificateLogs, roots.thresholds.certificate_logs, keys)?;
    trace.passed(Check::CertificateTransparency, || {
        let found = format!("{} of {}", proven.len(), timestamps.len());
        ("the promise of a trusted CT log".to_owned(), found)
    });
    Ok(())
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

fn identify(certificate: &Certificate) -> Result<VerifiedSigner, Refusal> {
    let names = certificate.names();
    let [name] = names else { return Err(Refusal::AmbiguousName { found: names.len() }) };
    // A name or an issuer of no letters names nobody, and would match careless patterns.
    let subject = name.as_str().filter(|subject| !subject.is_empty());
    let subject = subject.ok_or(Refusal::AmbiguousName { found: 0 })?.to_owned();
    let issuer = certificate.fulcio().issuer().filter(|issuer| !issuer.is_empty());
    let issuer = issuer.ok_or(Refusal::NoIssuer)?.to_owned();
    let certificate = Box::new(certificate.clone());
    Ok(VerifiedSigner(Kind::Certified { certificate, issuer, subject }))
}

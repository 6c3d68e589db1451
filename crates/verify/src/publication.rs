//! Whether CT logs promised to publish a signer's certificate.
//!
//! RFC 6962 §3.2 and §3.3. A promise says nothing of whether it was kept.

use crypto::{Message, Scheme};
use evidence::certificate::SignedCertificateTimestamp;
use evidence::certificate::sct::{ParseSctError, SCT_LIST};
use evidence::{Certificate, Evidence, UnixTime};
use nonempty::NonEmpty;

use crate::check::Check;
use crate::demands::CertificateTransparency;
use crate::explain::Trace;
use crate::refusal::{Observers, Refusal};
use crate::threshold::{check_none, check_threshold};
use crate::time::{CLOCK_SKEW_MAX_S, VerifiedTime};
use crate::trust_root::{CertificateAuthority, Log, TrustRoot};

/// What is known of a certificate's publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publication {
    /// As many trusted CT logs as are demanded promised it.
    Promised,
    /// Nothing, which the policy waives.
    Waived,
}

/// Proves what is known of the publication of a certificate of that authority, by the promises in it
/// and beside it.
///
/// # Errors
/// When one is malformed, in the name of a log of the trust root and not its own, or later than the
/// certificate's use; or there are none of such logs, or fewer than the trust root demands, and
/// that is required.
pub(crate) fn verify(
    certificate: &Certificate,
    evidence: &Evidence,
    times: &NonEmpty<VerifiedTime>,
    authority: &CertificateAuthority,
    roots: &TrustRoot,
    demand: CertificateTransparency,
    trace: &mut Trace,
) -> Result<Publication, Refusal> {
    let within = certificate.certificate_timestamps()?;
    let beside = &evidence.certificate_timestamps;
    let found = within.len() + beside.len();
    let wanted = || Check::CertificateTransparency.wanted().to_owned();
    let used = times.iter().map(VerifiedTime::time).max().unwrap_or(certificate.not_before());
    let promises = Promises { certificate, used, roots };
    let mut logs = promises.within(&within, authority)?;
    logs.extend(promises.beside(beside)?);
    if logs.is_empty() {
        return match demand {
            CertificateTransparency::Required => Err(Refusal::NoCertificateTimestamp { found }),
            CertificateTransparency::Waived => {
                check_none(Observers::CertificateLogs, roots.thresholds.certificate_logs)?;
                trace.waived(Check::CertificateTransparency, || {
                    (wanted(), format!("0 of {found}, which is waived"))
                });
                Ok(Publication::Waived)
            }
        };
    }
    let keys = logs.iter().map(|log| log.key.spki_der());
    check_threshold(Observers::CertificateLogs, roots.thresholds.certificate_logs, keys)?;
    trace.passed(Check::CertificateTransparency, || {
        (wanted(), format!("{} of {found}", logs.len()))
    });
    Ok(Publication::Promised)
}

/// Promises to publish one certificate.
struct Promises<'p> {
    certificate: &'p Certificate,
    /// The last time at which the certificate was used.
    used: UnixTime,
    roots: &'p TrustRoot,
}

impl<'p> Promises<'p> {
    /// The trusted logs that promised what became the certificate, one for each promise in it. A
    /// promise in the name of such a log that is not its own is refused.
    fn within(
        &self,
        timestamps: &[SignedCertificateTimestamp],
        authority: &CertificateAuthority,
    ) -> Result<Vec<&'p Log>, Refusal> {
        if timestamps.is_empty() {
            return Ok(Vec::new());
        }
        let tbs = self.certificate.tbs_without(SCT_LIST);
        let tbs = tbs.map_err(|_| Refusal::BadCertificateTimestamp)?;
        let issuer_key_hash = authority.chain.issuing().public_key().id();
        self.proven(timestamps, |timestamp| timestamp.signed_data(&issuer_key_hash, &tbs))
    }

    /// The same for the certificate as it is, by promises that stand beside it.
    fn beside(&self, timestamps: &[SignedCertificateTimestamp]) -> Result<Vec<&'p Log>, Refusal> {
        let der = self.certificate.der();
        self.proven(timestamps, |timestamp| timestamp.signed_data_of_certificate(der))
    }

    fn proven(
        &self,
        timestamps: &[SignedCertificateTimestamp],
        signed_data: impl Fn(&SignedCertificateTimestamp) -> Result<Vec<u8>, ParseSctError>,
    ) -> Result<Vec<&'p Log>, Refusal> {
        let mut proven = Vec::new();
        for timestamp in timestamps {
            // RFC 6962 §5.2: none from the future; a certificate is logged before it is used.
            if timestamp.time > self.used.plus_seconds(CLOCK_SKEW_MAX_S) {
                let (time, used) = (timestamp.time, self.used);
                return Err(Refusal::CertificateTimestampInFuture { time, used });
            }
            // A log that is not known proves nothing; one that is known must have signed.
            proven.extend(self.promising_log(timestamp, &signed_data(timestamp)?)?);
        }
        Ok(proven)
    }

    /// The trusted log that made the promise; `None` if the log is not known.
    fn promising_log(
        &self,
        timestamp: &SignedCertificateTimestamp,
        data: &[u8],
    ) -> Result<Option<&'p Log>, Refusal> {
        let known = self.roots.certificate_logs.iter().filter(|log| log.id == timestamp.log_id);
        let mut refusal = None;
        for log in known {
            let scheme = Scheme::for_key_and_hash(log.key.kind(), timestamp.hash);
            if log.key.verify(scheme, Message::Bytes(data), &timestamp.signature).is_err() {
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
}

//! When: moments at which a trusted observer saw the signature.
//!
//! A log's promise (Rekor v1) or an RFC 3161 timestamp over the signature (RFC 3161 §2.4.2,
//! RFC 5652 §5.4, RFC 5816). A time that nobody signed is no time; only where a policy waives logging
//! is a signature that nobody saw judged as of now.

use crypto::{Hash, Message};
use evidence::timestamp::{SignerId, Timestamp};
use evidence::{Certificate, Evidence, UnixTime};
use nonempty::NonEmpty;

use crate::chain::{self, BadChain, Chain, Criticality};
use crate::check::Check;
use crate::demands::{Demands, Logging, TimeSource};
use crate::explain::Trace;
use crate::logged::{Logged, VerifiedEntry};
use crate::refusal::{Furthest, Observers, Refusal};
use crate::threshold::{check_none, check_threshold};
use crate::trust_root::{TimestampAuthority, TrustRoot, Window};

/// How far a trusted clock may be ahead of this machine's, in seconds: machines without good time
/// must be able to verify what they have just signed.
pub const CLOCK_SKEW_MAX_S: i64 = 60;

/// When a trusted observer saw the signature, not in the future; or, where the policy waives logging
/// and nobody saw it, the moment at which it is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedTime {
    time: UnixTime,
    observer: Observer,
    /// SubjectPublicKeyInfo of the key that says so: what makes two observers two.
    key: Vec<u8>,
    /// Where it is now for want of any other: a timestamp of nobody who is trusted, counted from 0.
    unknown_timestamp: Option<usize>,
}

/// Who observed a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observer {
    /// A log, which promised the time with its entry.
    Log,
    /// A timestamp authority, by its URL in the trust root.
    TimestampAuthority(String),
    /// Nobody: it is the time now, at which the certificate is judged for want of any other. Says
    /// nothing about when the signature was made.
    Now,
}

impl VerifiedTime {
    fn observed_by(observer: Observer, time: UnixTime, key: Vec<u8>) -> Self {
        Self { time, observer, key, unknown_timestamp: None }
    }

    /// The moment.
    #[must_use]
    pub fn time(&self) -> UnixTime {
        self.time
    }

    /// Who observed it.
    #[must_use]
    pub fn observer(&self) -> &Observer {
        &self.observer
    }

    /// Where it is now for want of any other: a timestamp that was passed over.
    pub(crate) fn unknown_timestamp(&self) -> Option<usize> {
        self.unknown_timestamp
    }

    /// The moment, if somebody observed it.
    pub(crate) fn observed(&self) -> Option<UnixTime> {
        match self.observer {
            Observer::Log | Observer::TimestampAuthority(_) => Some(self.time),
            Observer::Now => None,
        }
    }
}

/// Gathers every trusted time of the evidence.
///
/// Timestamps of unknown authorities are passed over, for they prove nothing either way; a
/// timestamp that claims a trusted authority and does not hold is refused.
///
/// Where logging is waived and nothing tells, it is now.
///
/// # Errors
/// When there is no trusted time, or no signed one and that is demanded; one lies in the future or
/// outside a log key's validity, a timestamp contradicts itself, or there are fewer than the trust
/// root demands.
pub fn observe(
    evidence: &Evidence,
    logged: &Logged,
    roots: &TrustRoot,
    demands: Demands,
    now: UnixTime,
    trace: &mut Trace,
) -> Result<NonEmpty<VerifiedTime>, Refusal> {
    let Gathered { times, passed_over } = gather(evidence, logged, roots, demands.time, trace)?;
    match (NonEmpty::from_vec(times), demands.logging) {
        (Some(times), _) => {
            check_times(&times, logged, roots, now, trace)?;
            Ok(times)
        }
        (None, Logging::Required) => Err(passed_over.unwrap_or(Refusal::NoTrustedTime)),
        (None, Logging::Waived) => {
            check_unseen(logged, roots, now)?;
            trace.waived(Check::Time, || {
                let found = format!("none, which is waived; judged as of now, {now}");
                (Check::Time.wanted().to_owned(), found)
            });
            let unknown_timestamp = match passed_over {
                Some(Refusal::UnknownTimestampAuthority { index }) => Some(index),
                _ => None,
            };
            let (observer, key) = (Observer::Now, Vec::new());
            Ok(NonEmpty::new(VerifiedTime { time: now, observer, key, unknown_timestamp }))
        }
    }
}

/// As [`observe`], where no time at all is in order: for a pinned key, which has no validity of
/// its own. What times there are must still hold, and reach a threshold of more than one; without
/// any, the keys of the logs must be trusted now.
///
/// # Errors
/// When there is no signed time and that is demanded, one lies in the future or outside a log key's
/// validity, a log's key is not trusted now and there is none, a timestamp contradicts itself, or
/// there are fewer than the trust root demands.
pub fn observe_any(
    evidence: &Evidence,
    logged: &Logged,
    roots: &TrustRoot,
    demands: Demands,
    now: UnixTime,
    trace: &mut Trace,
) -> Result<Vec<VerifiedTime>, Refusal> {
    let Gathered { times, .. } = gather(evidence, logged, roots, demands.time, trace)?;
    match NonEmpty::from_vec(times) {
        Some(times) => {
            check_times(&times, logged, roots, now, trace)?;
            Ok(times.into())
        }
        None => {
            check_unseen(logged, roots, now)?;
            trace.skipped(Check::Time, || {
                ("a trusted time".to_owned(), "none, which a pinned key does not need".to_owned())
            });
            Ok(Vec::new())
        }
    }
}

/// What has to hold where nobody says when.
fn check_unseen(logged: &Logged, roots: &TrustRoot, now: UnixTime) -> Result<(), Refusal> {
    check_none(Observers::Times, roots.thresholds.times)?;
    // It may be now: a log that is retired proves nothing any more.
    logged.entries().try_for_each(|(index, entry)| check_log_key(index, entry, now))
}

fn check_log_key(index: usize, entry: &VerifiedEntry, time: UnixTime) -> Result<(), Refusal> {
    entry.check_log_key_at(time).map_err(|window| Refusal::LogKeyNotValid { index, time, window })
}

/// The times that observers tell.
struct Gathered {
    times: Vec<VerifiedTime>,
    /// Why a timestamp was passed over, if one was.
    passed_over: Option<Refusal>,
}

/// Gathers the times, one of a timestamp authority among them where that is demanded.
fn gather(
    evidence: &Evidence,
    logged: &Logged,
    roots: &TrustRoot,
    demand: TimeSource,
    trace: &mut Trace,
) -> Result<Gathered, Refusal> {
    let promised = logged.entries().filter_map(|(_, entry)| {
        let key = entry.log_key().to_vec();
        Some(VerifiedTime::observed_by(Observer::Log, entry.promised_time()?, key))
    });
    let mut times: Vec<_> = promised.collect();
    let mut passed_over = None;
    for (index, bytes) in evidence.timestamps.iter().enumerate() {
        match verify_timestamp(index, bytes, evidence, roots) {
            Ok(time) => {
                trace.passed(Check::Timestamp, || {
                    ("a timestamp of a trusted authority".to_owned(), time.time.to_string())
                });
                times.push(time);
            }
            Err(refusal @ Refusal::UnknownTimestampAuthority { .. }) => {
                trace.skipped(Check::Timestamp, || refusal.wanted_and_found());
                passed_over = Some(refusal);
            }
            Err(refusal) => return Err(refusal),
        }
    }
    let signed = |time: &VerifiedTime| matches!(time.observer, Observer::TimestampAuthority(_));
    match demand {
        TimeSource::SignedTimestamp if !times.iter().any(signed) => {
            Err(passed_over.unwrap_or(Refusal::NoSignedTimestamp))
        }
        TimeSource::SignedTimestamp | TimeSource::AnyTrusted => Ok(Gathered { times, passed_over }),
    }
}

fn check_times(
    times: &NonEmpty<VerifiedTime>,
    logged: &Logged,
    roots: &TrustRoot,
    now: UnixTime,
    trace: &mut Trace,
) -> Result<(), Refusal> {
    for VerifiedTime { time, .. } in times {
        if *time > now.plus_seconds(CLOCK_SKEW_MAX_S) {
            return Err(Refusal::TimeInFuture { time: *time, now });
        }
        // A log that promises no time was asked at about the time of the timestamp.
        for (index, entry) in logged.entries() {
            if entry.promised_time().is_none() {
                check_log_key(index, entry, *time)?;
            }
        }
    }
    let keys = times.iter().map(|time| time.key.as_slice());
    check_threshold(Observers::Times, roots.thresholds.times, keys)?;
    trace.passed(Check::Time, || {
        let found: Vec<_> = times.iter().map(|time| time.time.to_string()).collect();
        ("a trusted time, none of them in the future".to_owned(), found.join(", "))
    });
    Ok(())
}

fn verify_timestamp(
    index: usize,
    bytes: &[u8],
    evidence: &Evidence,
    roots: &TrustRoot,
) -> Result<VerifiedTime, Refusal> {
    let timestamp =
        Timestamp::parse(bytes).map_err(|source| Refusal::MalformedTimestamp { index, source })?;
    let imprint = timestamp.imprint();
    if !evidence.stamped().any(|bytes| Hash::of(imprint.algorithm(), bytes) == *imprint) {
        return Err(Refusal::TimestampImprint { index });
    }
    let inconsistent = |source| Refusal::InconsistentTimestamp { index, source };
    timestamp.check_content_type().map_err(inconsistent)?;
    timestamp.check_message_digest().map_err(inconsistent)?;
    let time = timestamp.time();

    // Several generations of one authority may share a name; one of them has to hold at that time.
    let unknown = Refusal::UnknownTimestampAuthority { index };
    let mut furthest = Furthest::none(Reach::Nowhere, unknown);
    let looks_inside = roots.timestamp_authorities.iter().any(|own| own.signer.is_none());
    let brought = if looks_inside { brought_signers(&timestamp) } else { Vec::new() };
    for authority in &roots.timestamp_authorities {
        let Some(signer) = signer_of(&timestamp, authority, &brought) else { continue };
        match verify_under(index, &timestamp, signer, authority) {
            Ok(()) => {
                let observer = Observer::TimestampAuthority(authority.uri.clone());
                let key = signer.public_key().spki_der().to_vec();
                return Ok(VerifiedTime::observed_by(observer, time, key));
            }
            Err(why) => furthest.meet(Reach::of(&why, signer, authority), why),
        }
    }
    Err(furthest.into_refusal())
}

/// How far a token led to an authority that did not make it, or not then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// To none.
    Nowhere,
    /// To one that has the signer's name, or its issuer's.
    Namesake,
    /// To the one whose signer made it, so that what is wrong is when.
    Maker,
}

impl Reach {
    fn of(why: &Refusal, signer: &Certificate, authority: &TimestampAuthority) -> Self {
        let issued = |chain: &Chain| chain.check_issued(signer).is_ok();
        let is_its_signer =
            authority.signer.is_some() || authority.chain.as_ref().is_some_and(issued);
        // The signature is tried before that.
        match why {
            Refusal::TimestampAuthorityNotValid { .. } if is_its_signer => Self::Maker,
            _ => Self::Namesake,
        }
    }
}

/// The certificates in the token that it says signed it: more than one only if somebody put
/// another of the same name and number beside it. What nothing points to is never looked at.
fn brought_signers(timestamp: &Timestamp) -> Vec<Certificate> {
    let parsed = timestamp.certificates().iter().filter_map(|der| Certificate::parse(der).ok());
    parsed.filter(|certificate| is_signer(timestamp.signer(), certificate)).collect()
}

/// The certificate that the token says signed it, if it can be this authority's: the pinned one,
/// or one the token brings along in the name of the authority.
fn signer_of<'c>(
    timestamp: &Timestamp,
    authority: &'c TimestampAuthority,
    brought: &'c [Certificate],
) -> Option<&'c Certificate> {
    if let Some(pinned) = &authority.signer {
        return is_signer(timestamp.signer(), pinned).then_some(pinned);
    }
    let issuer = authority.chain.as_ref()?.issuing().subject_name_der();
    brought.iter().find(|certificate| certificate.issuer_name_der() == issuer)
}

fn is_signer(id: &SignerId, certificate: &Certificate) -> bool {
    match id {
        SignerId::IssuerAndSerial { issuer_der, serial } => {
            issuer_der == certificate.issuer_name_der() && serial == certificate.serial()
        }
        SignerId::SubjectKeyId(id) => certificate.subject_key_identifier() == Some(id.as_slice()),
    }
}

fn verify_under(
    index: usize,
    timestamp: &Timestamp,
    signer: &Certificate,
    authority: &TimestampAuthority,
) -> Result<(), Refusal> {
    let chain_refusal = |source: BadChain| Refusal::TimestampChain { index, source };
    timestamp
        .check_signing_certificate(signer.der())
        .map_err(|source| Refusal::InconsistentTimestamp { index, source })?;
    let key = signer.public_key();
    let scheme = timestamp
        .scheme(key.kind())
        .map_err(|source| Refusal::TimestampAlgorithm { index, source })?;
    key.verify(scheme, Message::Bytes(timestamp.signed_attributes_der()), timestamp.signature())
        .map_err(|_| Refusal::BadTimestampSignature { index })?;

    let time = timestamp.time();
    let outside = |window| Refusal::TimestampAuthorityNotValid { index, time, window };
    if !authority.window.contains(time) {
        return Err(outside(authority.window));
    }
    let signer_window = Window::of(signer);
    if !signer_window.contains(time) {
        return Err(outside(signer_window));
    }
    let Some(chain) = &authority.chain else { return Ok(()) };
    chain.valid_at(time).map_err(|expired| outside(Window::of(expired)))?;
    if authority.signer.is_none() {
        // The pinned signer's chain was proven when the trust root was loaded; this one's was not.
        chain::check_timestamp_signer(signer, Criticality::Required).map_err(chain_refusal)?;
        chain.verify_leaf(signer, time).map_err(chain_refusal)?;
    }
    Ok(())
}

//! The services that sign together: chosen once, and asked by every session.
//!
//! Sigstore client specification, "Signing", and `sigstore_trustroot.proto` (`SigningConfig`).

use std::sync::Arc;

use crypto::{KeyKind, KeyPair, Signer};
use evidence::UnixTime;
use verify::TrustRoot;

use super::own_certificate::{OwnCertificate, OwnCertificateError};
use super::{SigningError, SigningSession, Vouched};
use crate::authority::Authority;
use crate::deadline::Deadline;
use crate::http::Http;
use crate::log::{Log, LogVersion};
use crate::oidc::IdentityToken;
use crate::outage::{Again, Patience, Pool};
use crate::timestamp::TimestampAuthority;
use crate::trust_config::{Choice, ClientTrustConfig};

/// Where to sign, and whom to believe that it was done.
#[derive(Clone, Debug)]
pub struct SigningServices {
    authorities: Pool<Authority>,
    pub(super) logs: Pool<Log>,
    pub(super) timestamp_authorities: Pool<TimestampAuthority>,
    pub(super) trust_root: Arc<TrustRoot>,
    pub(super) patience: Patience,
    /// Of the keys that live as long as a session.
    key_kind: KeyKind,
}

/// Whether a certificate authority will be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateNeed {
    /// One is, so that the configuration has to name it.
    Asked,
    /// None is: verifiers know the key, or it has a certificate already.
    NotAsked,
}

impl SigningServices {
    /// The services that a configuration names for now. Of the logs, those of the highest of
    /// `versions` that it names; certificate authorities only where one is needed. Timestamp authorities
    /// are asked over `stamp_http`, because some want to know who asks.
    ///
    /// # Errors
    /// When a service is missing.
    pub fn select(
        config: &ClientTrustConfig,
        versions: &[LogVersion],
        certificate: CertificateNeed,
        http: &Arc<Http>,
        stamp_http: &Arc<Http>,
        now: UnixTime,
    ) -> Result<Self, SigningError> {
        let signing = &config.signing_config;
        let selected = signing.log_choice(versions, now)?;
        if selected.candidates.is_empty() {
            return Err(SigningError::NoLog);
        }
        let stamped = signing.timestamp_authority_choice(now)?;
        let timeless = |(version, _): &(LogVersion, _)| *version == LogVersion::V2;
        if stamped.candidates.is_empty() && selected.candidates.iter().all(timeless) {
            return Err(SigningError::NoTimestampAuthority);
        }
        let asked = match certificate {
            CertificateNeed::Asked => signing.authority_choice(now)?,
            CertificateNeed::NotAsked => Choice { wanted: 0, candidates: Vec::new() },
        };
        Ok(Self {
            authorities: pool("certificate authority", asked, |url| {
                Authority::new(Arc::clone(http), url)
            }),
            logs: pool("transparency log", selected, |(version, url)| {
                Log::new(Arc::clone(http), version, url)
            }),
            timestamp_authorities: pool("timestamp authority", stamped, |url| {
                TimestampAuthority::new(Arc::clone(stamp_http), url)
            }),
            trust_root: Arc::new(config.trust_root.clone()),
            patience: Patience::default(),
            key_kind: KeyKind::EcdsaP256,
        })
    }

    /// As patient with services that are down as this.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// With keys of that kind, where a session makes its own. Usually they are P-256, which every
    /// authority certifies.
    #[must_use]
    pub fn with_key_kind(self, key_kind: KeyKind) -> Self {
        Self { key_kind, ..self }
    }

    /// Whom signatures are verified with before they are handed out.
    #[must_use]
    pub fn trust_root(&self) -> &TrustRoot {
        &self.trust_root
    }

    /// Makes a key and has it certified for the token's identity, until `deadline` and for no
    /// longer than [`Patience`] has.
    ///
    /// # Errors
    /// When no authority was chosen, or it cannot be asked or refuses.
    pub async fn open(
        &self,
        token: &IdentityToken,
        deadline: Deadline,
    ) -> Result<SigningSession<'_>, SigningError> {
        let key = Arc::new(KeyPair::generate(self.key_kind)?);
        self.open_certifying(key, token, deadline).await
    }

    /// The same with a key that there is already.
    ///
    /// # Errors
    /// As of [`Self::open`].
    pub async fn open_certifying(
        &self,
        key: Arc<dyn Signer>,
        token: &IdentityToken,
        deadline: Deadline,
    ) -> Result<SigningSession<'_>, SigningError> {
        if self.authorities.is_empty() {
            return Err(SigningError::NoAuthority);
        }
        let deadline = deadline.or_after(self.patience.certificate_time);
        // Each certificate is logged, so none is asked for twice that may have been issued.
        let issued = self
            .authorities
            .ask(self.patience, deadline, Again::IfNothingWasDone, |authority| {
                authority.certify(token, key.as_ref(), deadline)
            })
            .await?;
        let issued = issued.into_iter().next().ok_or(SigningError::NoAuthority)?;
        Ok(SigningSession { services: self, key, vouched: Vouched::Issued(issued.leaf) })
    }

    /// Signs with a key that verifiers know, and asks no authority about it.
    #[must_use]
    pub fn open_with_key(&self, key: Arc<dyn Signer>) -> SigningSession<'_> {
        SigningSession { services: self, key, vouched: Vouched::Key }
    }

    /// Signs with a key that has a certificate already, and asks no authority about it.
    ///
    /// # Errors
    /// When the certificate is for another key.
    pub fn open_with_certificate(
        &self,
        key: Arc<dyn Signer>,
        certificate: OwnCertificate,
    ) -> Result<SigningSession<'_>, OwnCertificateError> {
        certificate.check_key(key.public_key())?;
        Ok(SigningSession { services: self, key, vouched: Vouched::Own(certificate) })
    }
}

fn pool<T, S>(what: &'static str, choice: Choice<T>, service: impl Fn(T) -> S) -> Pool<S> {
    Pool::new(what, choice.wanted, choice.candidates.into_iter().map(service).collect())
}

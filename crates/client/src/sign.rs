//! Signing: token, one ephemeral key, certificate, signature, log entry and timestamp, bundle;
//! verified by the chain that every verifier uses before it is handed out.
//!
//! Sigstore client specification, "Signing". One [`SigningSession`] has one key, and signs any
//! number of artifacts: while its certificate is valid, or for ever with a key that verifiers know.
//! An ephemeral key never leaves memory. Services that are down are asked again for a while, and
//! passed over where the configuration names others of their kind.

mod own_certificate;
mod services;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::{HashAlgorithm, KeyFileError, KeyKind, Message, Scheme, SignError, Signer};
use evidence::bundle::{Content, Format, SignerMaterial};
use evidence::certificate::SubjectName;
use evidence::cosign::WriteLayerError;
use evidence::envelope::pae;
use evidence::{Certificate, Digest, Envelope, Evidence, ParseEvidenceError, UnixTime};
use verify::{
    Artifact, Case, Demands, IdentityPattern, NonEmpty, Pattern, Piece, Policy, Requirement,
    Verdict,
};

pub use own_certificate::{OwnCertificate, OwnCertificateError};
pub use services::{CertificateNeed, SigningServices};

use crate::authority::CertifyError;
use crate::deadline::Deadline;
use crate::error::FetchError;
use crate::log::{AppendError, LogVersion, SignedBy};
use crate::outage::{Again, FromService, Outage, PoolError};
use crate::trust_config::SelectError;

/// How often a signature is made anew because the log has it already: once explains a lost answer.
const SIGNATURES_MAX: usize = 2;

/// What is to be signed.
#[derive(Clone, Debug)]
pub enum ToSign {
    /// An artifact, of which the digest is known: SHA-256, but for keys that want another
    /// ([`SigningSession::digest_algorithm`]).
    Artifact(Digest),
    /// A payload in an envelope, about an artifact with that digest.
    Payload {
        /// What kind of thing the payload is.
        payload_type: String,
        /// The payload.
        payload: Vec<u8>,
        /// The artifact that it is about.
        about: Digest,
    },
    /// A simple signing payload about an image with that digest, for Cosign's signature tag.
    SimpleSigning {
        /// The payload.
        payload: Vec<u8>,
        /// Digest of the image's manifest.
        about: Digest,
    },
}

/// A key, ready to sign.
pub struct SigningSession<'a> {
    services: &'a SigningServices,
    key: Arc<dyn Signer>,
    vouched: Vouched,
}

/// By what verifiers know the key.
enum Vouched {
    /// By itself.
    Key,
    /// By a certificate that an authority of the trust root made for this session.
    Issued(Certificate),
    /// By a certificate that it had before, of whatever authority.
    Own(OwnCertificate),
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The configuration names no service to ask.
    #[error("the configuration")]
    Select(#[from] SelectError),
    /// The configuration names neither a log nor a timestamp authority for a certificate that is
    /// valid for minutes only.
    #[error("the configuration names no transparency log")]
    NoLog,
    /// A certificate is wanted, and no authority was chosen that could make one.
    #[error("no certificate authority was chosen")]
    NoAuthority,
    /// A v2 log promises no time, so that a timestamp authority must.
    #[error("a v2 log needs a timestamp authority beside it, and the configuration names none")]
    NoTimestampAuthority,
    /// No key could be made.
    #[error("no key could be made")]
    Key(#[from] KeyFileError),
    /// The key did not sign.
    #[error("the key did not sign")]
    Sign(#[from] SignError),
    /// The authority gave no certificate.
    #[error("the certificate authority")]
    Certify(#[from] CertifyError),
    /// The certificate that the key had before is of no use any more.
    #[error("the certificate")]
    OwnCertificate(#[from] OwnCertificateError),
    /// A log gave no entry.
    #[error("the transparency log")]
    Log(#[from] AppendError),
    /// Services did not answer, though they were asked again and again.
    #[error("{0}")]
    Outage(Outage),
    /// A timestamp authority gave no timestamp.
    #[error("the timestamp authority")]
    Timestamp(#[source] FetchError),
    /// What came back cannot be read again.
    #[error("the evidence")]
    Evidence(#[from] ParseEvidenceError),
    /// What came back does not make a layer of Cosign's tags.
    #[error("the evidence")]
    Layer(#[from] WriteLayerError),
    /// The bundle does not verify: what the services sent is not what the trust root says of them.
    #[error("what was signed does not verify: {reasons}")]
    NotVerified {
        /// Why not.
        reasons: String,
    },
}

impl FromService for CertifyError {
    fn fetch_error(&self) -> Option<&FetchError> {
        match self {
            Self::Fetch(error) => Some(error),
            Self::Sign(_) => None,
        }
    }
}

impl FromService for AppendError {
    fn fetch_error(&self) -> Option<&FetchError> {
        match self {
            Self::Fetch(error) => Some(error),
            Self::NoDigest | Self::Unnameable { .. } | Self::Duplicate => None,
        }
    }
}

impl From<PoolError<CertifyError>> for SigningError {
    fn from(error: PoolError<CertifyError>) -> Self {
        match error {
            PoolError::Refused(error) => Self::Certify(error),
            PoolError::Outage(outage) => Self::Outage(outage),
        }
    }
}

impl From<PoolError<AppendError>> for SigningError {
    fn from(error: PoolError<AppendError>) -> Self {
        match error {
            PoolError::Refused(error) => Self::Log(error),
            PoolError::Outage(outage) => Self::Outage(outage),
        }
    }
}

impl From<PoolError<FetchError>> for SigningError {
    fn from(error: PoolError<FetchError>) -> Self {
        match error {
            PoolError::Refused(error) => Self::Timestamp(error),
            PoolError::Outage(outage) => Self::Outage(outage),
        }
    }
}

impl SigningError {
    /// What remains to be done, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Outage(_) => Some(
                "nothing of it was written into a file or a registry; run the same again when the \
                 service answers, or name another one in the signing configuration"
                    .to_owned(),
            ),
            // Only a key whose signatures are the same each time has no other one (RFC 8032 §5.1.6).
            Self::Log(AppendError::Duplicate) => Some(
                "this key signs the same thing the same way each time: keep what it signed first, or \
                 use a log of version 1 (--log-version 1), which says where its entry is"
                    .to_owned(),
            ),
            Self::Certify(CertifyError::Fetch(error))
            | Self::Log(AppendError::Fetch(error))
            | Self::Timestamp(error) => error.hint(),
            _ => None,
        }
    }
}

impl SigningSession<'_> {
    /// The certificate, if the key has one.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        match &self.vouched {
            Vouched::Key => None,
            Vouched::Issued(certificate) => Some(certificate),
            Vouched::Own(own) => Some(own.certificate()),
        }
    }

    /// Signs, logs, timestamps, and verifies the outcome, until `deadline` and for no longer than
    /// [`Patience`] has. `clock` is asked when all is done.
    ///
    /// # Errors
    /// When a service cannot be asked or refuses, or what came back does not verify.
    pub async fn sign(
        &self,
        to_sign: &ToSign,
        clock: &(dyn Fn() -> UnixTime + Sync),
        deadline: Deadline,
    ) -> Result<Evidence, SigningError> {
        let deadline = deadline.or_after(self.services.patience.witness_time);
        let scheme = self.scheme(to_sign);
        let mut signatures = 0;
        loop {
            signatures += 1;
            let (content, about) = self.seal(to_sign, scheme)?;
            let outcome = match self.witness(content, scheme, deadline).await {
                // A log whose answer was lost: another signature is another entry.
                Err(SigningError::Log(AppendError::Duplicate)) if signatures < SIGNATURES_MAX => {
                    continue;
                }
                outcome => outcome,
            };
            let evidence = outcome?;
            self.verify(&evidence, &about, clock())?;
            return Ok(evidence);
        }
    }

    /// Has a signature timestamped and logged.
    async fn witness(
        &self,
        content: Content,
        scheme: Scheme,
        deadline: Deadline,
    ) -> Result<Evidence, SigningError> {
        let signature = match &content {
            Content::Message { signature, .. } => signature.clone(),
            Content::Envelope(envelope) => envelope.signature.clone(),
            Content::SimpleSigning { signature, .. } => signature.clone(),
        };
        let signed_by = match self.certificate() {
            Some(certificate) => SignedBy::certificate(certificate, scheme),
            None => SignedBy::key(self.key.public_key(), scheme),
        };
        let SigningServices { logs, timestamp_authorities, patience, .. } = self.services;
        // The timestamp first: a log without a time of its own is asked at about that moment.
        let timestamps = match timestamp_authorities.is_empty() {
            true => Vec::new(),
            false => {
                timestamp_authorities
                    .ask(*patience, deadline, Again::Always, |authority| {
                        authority.stamp(&signature, deadline)
                    })
                    .await?
            }
        };
        let entries = logs
            .ask(*patience, deadline, Again::Always, |log| {
                log.append(&content, &signed_by, deadline)
            })
            .await?;
        Ok(Evidence {
            format: match &content {
                Content::SimpleSigning { .. } => Format::CosignSignature,
                Content::Message { .. } | Content::Envelope(_) => Format::BundleV0_3,
            },
            signer: match self.certificate() {
                Some(certificate) => SignerMaterial::Certificate(Box::new(certificate.clone())),
                // Cosign's hint: the hash of the key.
                None => SignerMaterial::PublicKeyHint(STANDARD.encode(self.key.public_key().id())),
            },
            // Bundles are written without it; Cosign's tags hold it.
            chain: match &self.vouched {
                Vouched::Own(own) if !own.intermediates().is_empty() => {
                    Some(own.intermediates().to_vec())
                }
                Vouched::Own(_) | Vouched::Issued(_) | Vouched::Key => None,
            },
            certificate_timestamps: Vec::new(),
            signature_hash: None,
            entries,
            timestamps,
            content,
        })
    }

    /// With what an artifact has to be hashed for [`ToSign::Artifact`].
    #[must_use]
    pub fn digest_algorithm(&self) -> HashAlgorithm {
        // Ed25519ph is over SHA-512 (RFC 8032 §5.1).
        self.key.public_key().default_scheme().hash().unwrap_or(HashAlgorithm::Sha512)
    }

    /// How something is signed: as the key usually does, but prehashed where the log gets to see
    /// only a hash and could not verify anything else.
    fn scheme(&self, to_sign: &ToSign) -> Scheme {
        let key = self.key.public_key();
        let whole = matches!(to_sign, ToSign::Payload { .. })
            && self.services.logs.iter().all(|log| log.version() == LogVersion::V1);
        match key.kind() {
            KeyKind::Ed25519 if !whole => Scheme::Ed25519ph,
            _ => key.default_scheme(),
        }
    }

    fn seal(&self, to_sign: &ToSign, scheme: Scheme) -> Result<(Content, Digest), SigningError> {
        match to_sign {
            ToSign::Artifact(digest) => {
                let signature = self.key.sign(scheme, Message::Hashed(digest.hash()))?;
                Ok((Content::Message { digest: Some(*digest), signature }, *digest))
            }
            ToSign::Payload { payload_type, payload, about } => {
                let signature =
                    self.key.sign(scheme, Message::Bytes(&pae(payload_type, payload)))?;
                let envelope = Envelope {
                    payload_type: payload_type.clone(),
                    payload: payload.clone(),
                    signature,
                    key_id: String::new(),
                    document: None,
                };
                Ok((Content::Envelope(envelope), *about))
            }
            ToSign::SimpleSigning { payload, about } => {
                let signature = self.key.sign(scheme, Message::Bytes(payload))?;
                Ok((Content::SimpleSigning { payload: payload.clone(), signature }, *about))
            }
        }
    }

    /// The requirement that this session's signer, and nobody else, meets. Whoever brings a certificate
    /// along is known by the key in it: the certificate may name no identity provider, and its
    /// authorities need not be those of the trust root.
    ///
    /// # Errors
    /// When the certificate names nobody.
    pub fn authority(&self) -> Result<verify::Authority, SigningError> {
        let name = "the signer".to_owned();
        let roots = Arc::clone(&self.services.trust_root);
        Ok(match &self.vouched {
            Vouched::Key | Vouched::Own(_) => {
                let key = Box::new(self.key.public_key().clone());
                verify::Authority::Key { name, roots, key, demands: Demands::all() }
            }
            Vouched::Issued(certificate) => {
                let nobody = || SigningError::NotVerified {
                    reasons: "the certificate names nobody".to_owned(),
                };
                let subject = certificate.names().first().and_then(SubjectName::as_str);
                let issuer = certificate.fulcio().issuer();
                let (Some(subject), Some(issuer)) = (subject, issuer) else {
                    return Err(nobody());
                };
                let pattern = |text| Pattern::exact(text).map_err(|_| nobody());
                let identity = IdentityPattern {
                    issuer: pattern(issuer)?,
                    subject: pattern(subject)?,
                    extensions: Vec::new(),
                };
                let identities = NonEmpty::new(identity);
                let demands = Demands::all();
                verify::Authority::Keyless { name, roots, identities, demands }
            }
        })
    }

    /// Runs the verifier's own chain over what will be written: its bytes, parsed anew.
    fn verify(
        &self,
        evidence: &Evidence,
        about: &Digest,
        now: UnixTime,
    ) -> Result<(), SigningError> {
        if let Vouched::Own(own) = &self.vouched {
            own.check(now)?;
        }
        let written = match evidence.format {
            Format::CosignSignature => {
                let layer = evidence.to_cosign_layer(&chain_ders(evidence))?;
                Evidence::from_cosign_layer(layer).map_err(ParseEvidenceError::from)?
            }
            _ => {
                let bundle =
                    evidence.to_bundle_v0_3().and_then(|json| Evidence::from_bundle(&json));
                bundle.map_err(ParseEvidenceError::from)?
            }
        };
        let not_verified = |reasons: &str| {
            let reasons = reasons.to_owned();
            SigningError::NotVerified { reasons }
        };
        let authority = self.authority()?;
        let name = authority.name().to_owned();
        let policy = Policy {
            name,
            requirements: NonEmpty::new(Requirement::any_claim_by(NonEmpty::new(authority))),
        };
        let pieces = [Piece { source: "the new bundle".to_owned(), evidence: Ok(written) }];
        let artifact = Artifact::from_digest(*about);
        let case = Case { artifact: &artifact, pieces: &pieces, obstacles: &[] };
        match policy.judge(&case, now) {
            Verdict::Admit(_) => Ok(()),
            Verdict::Refuse(reasons) => Err(not_verified(&reasons.first().refusal.full_message())),
            Verdict::Unknown(obstacles, _) => Err(not_verified(&obstacles.first().to_string())),
        }
    }
}

/// The authorities that come along with evidence, as Cosign's tags hold them.
#[must_use]
pub fn chain_ders(evidence: &Evidence) -> Vec<Vec<u8>> {
    let chain = evidence.chain.iter().flatten();
    chain.map(|certificate| certificate.der().to_vec()).collect()
}

impl std::fmt::Debug for SigningSession<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningSession({:?})", self.key.public_key())
    }
}

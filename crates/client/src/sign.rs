//! Signing: token, one ephemeral key, certificate, signature, log entry and timestamp, bundle;
//! verified by the chain that every verifier uses before it is handed out.
//!
//! Sigstore client specification, "Signing". One [`SigningSession`] has one key and one
//! certificate, and signs any number of artifacts while the certificate is valid. The key never
//! leaves memory.

use std::sync::Arc;
use std::time::Duration;

use crypto::{KeyFileError, KeyKind, KeyPair, Message, SignError, Signer};
use evidence::bundle::{Content, Format, SignerMaterial};
use evidence::certificate::SubjectName;
use evidence::cosign::WriteLayerError;
use evidence::envelope::pae;
use evidence::{Certificate, Digest, Envelope, Evidence, ParseEvidenceError, UnixTime};
use futures::future::try_join_all;
use verify::{
    Artifact, Case, IdentityPattern, NonEmpty, Pattern, Piece, Policy, Requirement, TrustRoot,
    Verdict,
};

use crate::authority::{Authority, CertifyError};
use crate::deadline::Deadline;
use crate::error::FetchError;
use crate::http::Http;
use crate::log::{AppendError, Log, LogVersion, SignedBy};
use crate::oidc::IdentityToken;
use crate::timestamp::TimestampAuthority;
use crate::trust_config::{ClientTrustConfig, SelectError};

/// Time for a certificate (Cosign's).
const CERTIFY_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for log entries and timestamps of one artifact (Cosign's, for the log).
const WITNESS_TIMEOUT: Duration = Duration::from_secs(90);

/// Where to sign, and whom to believe that it was done.
#[derive(Clone, Debug)]
pub struct SigningServices {
    authority: Authority,
    logs: Vec<Log>,
    timestamp_authorities: Vec<TimestampAuthority>,
    trust_root: Arc<TrustRoot>,
}

/// What is to be signed.
#[derive(Clone, Debug)]
pub enum ToSign {
    /// An artifact, of which the SHA-256 digest is known.
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

/// A key that was certified for an identity, ready to sign.
pub struct SigningSession<'a> {
    services: &'a SigningServices,
    key: KeyPair,
    certificate: Certificate,
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
    /// A log gave no entry.
    #[error("the transparency log")]
    Log(#[from] AppendError),
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

impl SigningServices {
    /// The services that a configuration names for now. Of the logs, those of the highest of
    /// `versions` that it names.
    ///
    /// # Errors
    /// When a service is missing.
    pub fn select(
        config: &ClientTrustConfig,
        versions: &[LogVersion],
        http: &Arc<Http>,
        now: UnixTime,
    ) -> Result<Self, SigningError> {
        let signing = &config.signing_config;
        let authority = Authority::new(Arc::clone(http), signing.authority(now)?);
        let selected = signing.logs(versions, now)?;
        let stamped = signing.timestamp_authorities(now)?;
        if selected.is_empty() {
            return Err(SigningError::NoLog);
        }
        if stamped.is_empty() && selected.iter().all(|(version, _)| *version == LogVersion::V2) {
            return Err(SigningError::NoTimestampAuthority);
        }
        let log = |(version, url)| Log::new(Arc::clone(http), version, url);
        let timestamp_authority = |url| TimestampAuthority::new(Arc::clone(http), url);
        Ok(Self {
            authority,
            logs: selected.into_iter().map(log).collect(),
            timestamp_authorities: stamped.into_iter().map(timestamp_authority).collect(),
            trust_root: Arc::new(config.trust_root.clone()),
        })
    }

    /// Makes a key and has it certified for the token's identity.
    ///
    /// # Errors
    /// When the authority cannot be asked or refuses.
    pub async fn open(&self, token: &IdentityToken) -> Result<SigningSession<'_>, SigningError> {
        let key = KeyPair::generate(KeyKind::EcdsaP256)?;
        let deadline = Deadline::after(CERTIFY_TIMEOUT);
        let issued = self.authority.certify(token, &key, deadline).await?;
        Ok(SigningSession { services: self, key, certificate: issued.leaf })
    }
}

impl SigningSession<'_> {
    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Signs, logs, timestamps, and verifies the outcome. `clock` is asked when all is done.
    ///
    /// # Errors
    /// When a service cannot be asked or refuses, or what came back does not verify.
    pub async fn sign(
        &self,
        to_sign: &ToSign,
        clock: &(dyn Fn() -> UnixTime + Sync),
    ) -> Result<Evidence, SigningError> {
        let (content, about) = self.seal(to_sign)?;
        let signature = match &content {
            Content::Message { signature, .. } => signature.clone(),
            Content::Envelope(envelope) => envelope.signature.clone(),
            Content::SimpleSigning { signature, .. } => signature.clone(),
        };
        let scheme = self.key.public_key().default_scheme();
        let signed_by = SignedBy::certificate(&self.certificate, scheme);
        let deadline = Deadline::after(WITNESS_TIMEOUT);
        // The timestamp first: a log without a time of its own is asked at about that moment.
        let stamps = self.services.timestamp_authorities.iter();
        let stamps = stamps.map(|authority| authority.stamp(&signature, deadline));
        let timestamps = try_join_all(stamps).await.map_err(SigningError::Timestamp)?;
        let logs = self.services.logs.iter();
        let entries =
            try_join_all(logs.map(|log| log.append(&content, &signed_by, deadline))).await?;
        let evidence = Evidence {
            format: match &content {
                Content::SimpleSigning { .. } => Format::CosignSignature,
                Content::Message { .. } | Content::Envelope(_) => Format::BundleV0_3,
            },
            signer: SignerMaterial::Certificate(Box::new(self.certificate.clone())),
            entries,
            timestamps,
            content,
        };
        self.verify(&evidence, &about, clock())?;
        Ok(evidence)
    }

    fn seal(&self, to_sign: &ToSign) -> Result<(Content, Digest), SigningError> {
        let scheme = self.key.public_key().default_scheme();
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

    /// Runs the verifier's own chain over what will be written: its bytes, parsed anew.
    fn verify(
        &self,
        evidence: &Evidence,
        about: &Digest,
        now: UnixTime,
    ) -> Result<(), SigningError> {
        let written = match evidence.format {
            Format::CosignSignature => Evidence::from_cosign_layer(evidence.to_cosign_layer(&[])?)
                .map_err(ParseEvidenceError::from)?,
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
        let subject = self.certificate.names().first().and_then(SubjectName::as_str);
        let issuer = self.certificate.fulcio().issuer();
        let (Some(subject), Some(issuer)) = (subject, issuer) else {
            return Err(not_verified("the certificate names nobody"));
        };
        let pattern =
            |text| Pattern::exact(text).map_err(|_| not_verified("the certificate names nobody"));
        let identity = IdentityPattern {
            issuer: pattern(issuer)?,
            subject: pattern(subject)?,
            extensions: Vec::new(),
        };
        let name = "the signer".to_owned();
        let policy = Policy {
            name: name.clone(),
            requirements: NonEmpty::new(Requirement::any_claim_by(NonEmpty::new(
                verify::Authority::Keyless {
                    name,
                    roots: Arc::clone(&self.services.trust_root),
                    identities: NonEmpty::new(identity),
                },
            ))),
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

impl std::fmt::Debug for SigningSession<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningSession({:?})", self.key.public_key())
    }
}

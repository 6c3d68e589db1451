//! What the signing commands share: the instance, who signs, and the session that they open.

mod certificate;
mod services;

use std::sync::Arc;

use clap::builder::Resettable;
use clap::{Args, ValueEnum};
use client::sign::{OwnCertificate, SigningSession};
use client::{CertificateNeed, Deadline, IdentityToken, LogVersion, SigningError, SigningServices};
use crypto::{KeyKind, KeyPair, Signer};
use evidence::certificate::SubjectName;

use self::certificate::CertificateArguments;
use self::services::{LogVersionArgument, ServiceArguments, names_public_service};
use super::identity::IdentityArguments;
use super::keys;
use super::network::http_client;
use crate::exit::{Exit, Failure};
use crate::{machine, ui};

/// With which instance, and as whom, to sign.
#[derive(Debug, Args)]
pub(crate) struct SigningArguments {
    /// Private key to sign with, instead of an identity: a PEM file, env://VARIABLE, or
    /// k8s://NAMESPACE/SECRET.
    #[arg(long, value_name = "KEY", help_heading = "Signer")]
    key: Option<String>,

    /// Algorithm to sign with, where the key is made for the occasion; with --key it is the key's.
    #[arg(long, value_enum, value_name = "ALGORITHM", help_heading = "Signer")]
    signing_algorithm: Option<SigningAlgorithm>,

    #[command(flatten)]
    certificate: CertificateArguments,

    #[command(flatten)]
    identity: IdentityArguments,

    #[command(flatten)]
    services: ServiceArguments,

    /// Do not ask before something becomes public.
    // Of no group, whatever heading stands above these arguments.
    #[arg(short, long, help_heading = Resettable::Reset)]
    yes: bool,
}

/// How to sign, by the names of Sigstore's algorithm registry that Cosign takes, and Ed25519ph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SigningAlgorithm {
    #[value(name = "ecdsa-sha2-256-nistp256")]
    EcdsaP256,
    #[value(name = "ecdsa-sha2-384-nistp384")]
    EcdsaP384,
    #[value(name = "ecdsa-sha2-512-nistp521")]
    EcdsaP521,
    #[value(name = "rsa-sign-pkcs1-2048-sha256")]
    Rsa2048,
    #[value(name = "rsa-sign-pkcs1-3072-sha256")]
    Rsa3072,
    #[value(name = "rsa-sign-pkcs1-4096-sha256")]
    Rsa4096,
    #[value(name = "ed25519-ph")]
    Ed25519ph,
}

impl SigningAlgorithm {
    fn key_kind(self) -> KeyKind {
        match self {
            Self::EcdsaP256 => KeyKind::EcdsaP256,
            Self::EcdsaP384 => KeyKind::EcdsaP384,
            Self::EcdsaP521 => KeyKind::EcdsaP521,
            Self::Rsa2048 => KeyKind::Rsa { bits: 2048 },
            Self::Rsa3072 => KeyKind::Rsa { bits: 3072 },
            Self::Rsa4096 => KeyKind::Rsa { bits: 4096 },
            Self::Ed25519ph => KeyKind::Ed25519,
        }
    }
}

/// What a signing command starts with.
pub(crate) struct Signing {
    services: SigningServices,
    who: Who,
    deadline: Deadline,
}

enum Who {
    /// Whom a token names, with a key that is made for it, or with a key of theirs.
    Identity { token: Box<IdentityToken>, key: Option<Arc<KeyPair>> },
    /// The holder of a key.
    Key(Arc<KeyPair>),
    /// Whom the key's own certificate names.
    Certified { certificate: Box<OwnCertificate>, key: Arc<KeyPair> },
}

impl SigningArguments {
    /// Chooses the services, finds out who signs, and says what becomes public. `promised` wants a
    /// log that promises its entries, as Cosign's older formats need; `what` is to be signed. All is
    /// done by the deadline, but for what the user takes to answer.
    pub(crate) async fn begin(
        &self,
        what: &[String],
        promised: bool,
        mut deadline: Deadline,
    ) -> Result<Signing, Failure> {
        let certificate = self.certificate.read()?;
        let key = match &self.key {
            Some(reference) => {
                // Before anybody is asked for anything; it may need a password.
                let left = deadline.left();
                let pair = self.pair(reference).await?;
                deadline = Deadline::after(left);
                Some(Arc::new(pair))
            }
            None => None,
        };
        let http = http_client()?;
        let (config, of_public) = self.services.config(&http, deadline).await?;
        let versions: &[LogVersion] = match (self.services.log_version, promised) {
            (Some(LogVersionArgument::V1), _) | (None, true) => &[LogVersion::V1],
            (Some(LogVersionArgument::V2), false) => &[LogVersion::V2],
            (Some(LogVersionArgument::V2), true) => {
                return Err(Failure::usage("Cosign's older formats need a log of version 1"));
            }
            (None, false) => &[LogVersion::V1, LogVersion::V2],
        };
        let stamp_http = match self.services.stamping.http(&config.signing_config)? {
            Some(own) => own,
            None => Arc::clone(&http),
        };
        let asks_authority = self.key.is_none() || self.certificate.is_to_be_issued();
        let need = match asks_authority {
            true => CertificateNeed::Asked,
            false => CertificateNeed::NotAsked,
        };
        let is_public = of_public || names_public_service(&config.signing_config, need);
        let services =
            SigningServices::select(&config, versions, need, &http, &stamp_http, machine::now())
                .map_err(|error| {
                    Failure::usage("cannot sign with this instance").caused_by(error)
                })?;
        let services = match self.signing_algorithm {
            Some(algorithm) => services.with_key_kind(algorithm.key_kind()),
            None => services,
        };
        let who = match (key, certificate) {
            (Some(key), Some(given)) => {
                let certificate = given.verified(key.public_key(), services.trust_root())?;
                Who::Certified { certificate: Box::new(certificate), key }
            }
            (Some(key), None) if !asks_authority => Who::Key(key),
            (key, _) => {
                let providers = config.signing_config.identity_provider(machine::now()).ok();
                let token = self.identity.token(&http, providers, &mut deadline).await?;
                Who::Identity { token: Box::new(token), key }
            }
        };
        if is_public {
            let left = deadline.left();
            self.disclose(what, &who)?;
            deadline = Deadline::after(left);
        }
        Ok(Signing { services, who, deadline })
    }

    /// The key pair of that reference, which has to be of the algorithm that is asked for.
    async fn pair(&self, reference: &str) -> Result<KeyPair, Failure> {
        let pair = keys::pair(reference).await?;
        let found = pair.public_key().kind();
        match self.signing_algorithm.map(SigningAlgorithm::key_kind) {
            Some(wanted) if wanted != found => {
                let message = format!("wanted a key of {wanted}, {reference} is one of {found}");
                Err(Failure::usage(message).hint("leave --signing-algorithm away"))
            }
            _ => Ok(pair),
        }
    }

    /// Nothing becomes public that the user was not told of: a public log forgets nothing.
    fn disclose(&self, what: &[String], who: &Who) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let signer = match who {
            Who::Identity { token, .. } => format!(
                "your identity, {} (vouched for by {})",
                token.email().unwrap_or(token.subject()),
                token.issuer()
            ),
            Who::Key(_) => "your public key".to_owned(),
            Who::Certified { certificate, .. } => {
                let names = certificate.certificate().names().iter();
                let names: Vec<_> = names.filter_map(SubjectName::as_str).collect();
                format!("your certificate, with the name {}", names.join(", "))
            }
        };
        ui::note(&format!(
            "this goes into the public transparency log, for ever: {signer}; the digests of {}; and \
             of an attestation all that it says",
            what.join(", ")
        ));
        match ui::confirm("Sign, and make this public?")? {
            true => Ok(()),
            false => Err(Failure::new(Exit::Failure, "nothing was signed").hint(
                "--yes says so beforehand; a private instance (`countersign serve`) makes nothing \
                 public",
            )),
        }
    }
}

impl Signing {
    /// Opens a session: one key, and one certificate unless verifiers know the key.
    pub(crate) async fn open(&self, what: &str) -> Result<SigningSession<'_>, Failure> {
        let failed = |error| failed(what, error);
        match &self.who {
            Who::Identity { token, key: None } => {
                self.services.open(token, self.deadline).await.map_err(failed)
            }
            Who::Identity { token, key: Some(key) } => {
                let key = Arc::clone(key) as _;
                self.services.open_certifying(key, token, self.deadline).await.map_err(failed)
            }
            Who::Key(key) => Ok(self.services.open_with_key(Arc::clone(key) as _)),
            Who::Certified { certificate, key } => {
                let (key, certificate) = (Arc::clone(key) as _, certificate.as_ref().clone());
                let opened = self.services.open_with_certificate(key, certificate);
                opened.map_err(|error| failed(error.into()))
            }
        }
    }

    /// When what began with the services must have ended.
    pub(crate) fn deadline(&self) -> Deadline {
        self.deadline
    }
}

/// What the user is told when signing failed.
pub(crate) fn failed(what: &str, error: SigningError) -> Failure {
    let hint = match &error {
        SigningError::NotVerified { .. } => Some(
            "the trusted root does not fit the services: take the instance's own, anew".to_owned(),
        ),
        error => error.hint(),
    };
    let failure = Failure::new(Exit::Failure, format!("{what} was not signed")).caused_by(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

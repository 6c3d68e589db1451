//! What the signing commands share: the instance, who signs, and the session that they open.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use client::mirror::{PUBLIC_MIRROR, SigningProfile};
use client::sign::SigningSession;
use client::trust_config::TRUST_CONFIG_SIZE_MAX;
use client::{
    ClientTrustConfig, Deadline, Http, IdentityToken, LogVersion, SigningConfig, SigningError,
    SigningServices,
};
use crypto::{KeyKind, KeyPair, Signer};
use serde_json::json;
use verify::TrustRoot;

use super::identity::IdentityArguments;
use super::instance::{self, read_trust_config};
use super::keys;
use super::network::http_client;
use super::stamping::StampingArguments;
use crate::exit::{Exit, Failure};
use crate::trust_documents::{self, Period, SIGNING_CONFIG_MEDIA_TYPE, pretty};
use crate::{machine, ui};

/// Where the public instance's services are.
const PUBLIC_DOMAIN: &str = "sigstore.dev";
const PUBLIC_SUFFIX: &str = ".sigstore.dev";

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
    identity: IdentityArguments,

    #[command(flatten)]
    services: ServiceArguments,

    /// Do not ask before something becomes public.
    #[arg(short, long)]
    yes: bool,
}

/// Which services to use.
#[derive(Debug, Args)]
#[command(next_help_heading = "Instance")]
struct ServiceArguments {
    /// Client trust configuration (JSON) of a private instance: trusted root and services in one
    /// file. Without it, and without the flags below, it is the public Sigstore instance, or the one
    /// that was chosen with `initialize`.
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_TRUST_CONFIG",
        conflicts_with_all = ["trusted_root", "signing_config", "fulcio_url", "rekor_url"])]
    trust_config: Option<PathBuf>,

    /// Trusted root (JSON) to verify with what was signed, before it is written.
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,

    /// Signing configuration (JSON) that names the services.
    #[arg(long, value_name = "FILE")]
    signing_config: Option<PathBuf>,

    /// Take the services from the instance's signing configuration. Always so, unless they are named
    /// by their addresses.
    #[arg(long, hide = true, value_name = "BOOL", default_value_t = true, num_args = 0..=1,
        require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    use_signing_config: bool,

    /// Certificate authority, by its address.
    #[arg(long, value_name = "URL", conflicts_with = "signing_config")]
    fulcio_url: Option<String>,

    /// Transparency log, by its address.
    #[arg(long, value_name = "URL", conflicts_with = "signing_config")]
    rekor_url: Option<String>,

    /// Timestamp authority, by the address of its service.
    #[arg(long, value_name = "URL", conflicts_with = "signing_config")]
    timestamp_server_url: Option<String>,

    #[command(flatten)]
    stamping: StampingArguments,

    /// Version of the transparency log to use; by default the highest that the instance has.
    #[arg(long, value_enum, env = "COUNTERSIGN_LOG_VERSION")]
    log_version: Option<LogVersionArgument>,

    /// Ask no TUF mirror: go by the copy that is kept, else by the one that is built in.
    #[arg(long)]
    offline: bool,
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

/// A version of the log's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogVersionArgument {
    /// Rekor v1: the log promises a time.
    #[value(name = "1")]
    V1,
    /// Rekor v2: tiles; the time comes from a timestamp authority.
    #[value(name = "2")]
    V2,
}

/// What a signing command starts with.
pub(crate) struct Signing {
    services: SigningServices,
    who: Who,
    deadline: Deadline,
}

enum Who {
    Identity(Box<IdentityToken>),
    Key(Arc<KeyPair>),
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
        let http = http_client()?;
        let (config, is_public) = self.services.config(&http, deadline).await?;
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
        let services =
            SigningServices::select(&config, versions, &http, &stamp_http, machine::now())
                .map_err(|error| {
                    Failure::usage("cannot sign with this instance").caused_by(error)
                })?;
        let services = match self.signing_algorithm {
            Some(algorithm) => services.with_key_kind(algorithm.key_kind()),
            None => services,
        };
        let who = match &self.key {
            Some(reference) => {
                // It may need a password.
                let left = deadline.left();
                let pair = self.pair(reference).await?;
                deadline = Deadline::after(left);
                Who::Key(Arc::new(pair))
            }
            None => {
                let providers = config.signing_config.identity_provider(machine::now()).ok();
                let token = self.identity.token(&http, providers, &mut deadline).await?;
                Who::Identity(Box::new(token))
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
            Who::Identity(token) => format!(
                "your identity, {} (vouched for by {})",
                token.email().unwrap_or(token.subject()),
                token.issuer()
            ),
            Who::Key(_) => "your public key".to_owned(),
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
    /// Opens a session: one key, and one certificate if it is not the user's.
    pub(crate) async fn open(&self, what: &str) -> Result<SigningSession<'_>, Failure> {
        match &self.who {
            Who::Identity(token) => {
                let opened = self.services.open(token, self.deadline).await;
                opened.map_err(|error| failed(what, error))
            }
            Who::Key(pair) => Ok(self.services.open_with_key(Arc::clone(pair) as _)),
        }
    }

    /// When what began with the services must have ended.
    pub(crate) fn deadline(&self) -> Deadline {
        self.deadline
    }
}

impl ServiceArguments {
    /// Whom to believe and whom to ask, and whether that is the public instance.
    async fn config(
        &self,
        http: &Arc<Http>,
        deadline: Deadline,
    ) -> Result<(ClientTrustConfig, bool), Failure> {
        if let Some(path) = &self.trust_config {
            tracing::debug!("the instance of {}", path.display());
            return Ok((read_trust_config(path)?, false));
        }
        let named = self.named()?;
        let trusted_root = self.trusted_root()?;
        if let (Some(signing_config), Some(trust_root)) = (&named, &trusted_root) {
            let (trust_root, signing_config) = (trust_root.clone(), signing_config.clone());
            let is_public = names_public_log(&signing_config);
            return Ok((ClientTrustConfig { trust_root, signing_config }, is_public));
        }
        let material = match self.offline {
            true => instance::kept_material().await?,
            false => instance::material(http, deadline).await?,
        };
        let profile = match self.log_version {
            Some(LogVersionArgument::V2) => SigningProfile::RekorV2,
            _ => SigningProfile::Usual,
        };
        let mut config = material.trust_config(profile).map_err(instance::not_known)?;
        if let Some(signing_config) = named {
            config.signing_config = signing_config;
        }
        if let Some(trust_root) = trusted_root {
            config.trust_root = trust_root;
        }
        let mirror = instance::mirror()?.url().to_string();
        tracing::debug!("the instance of the TUF mirror {mirror}");
        let of_public = mirror == PUBLIC_MIRROR;
        let is_public = of_public || names_public_log(&config.signing_config);
        Ok((config, is_public))
    }

    fn trusted_root(&self) -> Result<Option<TrustRoot>, Failure> {
        let Some(path) = &self.trusted_root else { return Ok(None) };
        let size_max = verify::trust_root::TRUST_ROOT_SIZE_MAX;
        let json = machine::read(path, "trusted root", size_max)?;
        let root = TrustRoot::pin(&json).map_err(|error| {
            Failure::usage(format!("cannot use the trusted root {}", path.display()))
                .caused_by(error)
        })?;
        Ok(Some(root))
    }

    /// The services that were named, in a file or by their addresses.
    fn named(&self) -> Result<Option<SigningConfig>, Failure> {
        if let Some(path) = &self.signing_config {
            let json = machine::read(path, "signing configuration", TRUST_CONFIG_SIZE_MAX)?;
            let config = SigningConfig::parse(&json).map_err(|error| {
                Failure::usage(format!("cannot use the signing configuration {}", path.display()))
                    .caused_by(error)
            })?;
            return Ok(Some(config));
        }
        let given = [&self.fulcio_url, &self.rekor_url, &self.timestamp_server_url];
        if given.iter().all(|url| url.is_none()) {
            return match self.use_signing_config {
                true => Ok(None),
                false => Err(Failure::usage("no services are named")
                    .hint("name them with --fulcio-url, --rekor-url and --timestamp-server-url")),
            };
        }
        let log_version = match self.log_version {
            Some(LogVersionArgument::V2) => 2,
            _ => 1,
        };
        let always = Period { start: None, end: None };
        let services = |url: &Option<String>, version| {
            let service = |url: &String| trust_documents::service(url, version, "", always);
            url.iter().map(service).collect::<Vec<_>>()
        };
        let any = json!({"selector": "ANY"});
        let document = json!({
            "mediaType": SIGNING_CONFIG_MEDIA_TYPE,
            "caUrls": services(&self.fulcio_url, 1),
            "oidcUrls": [],
            "rekorTlogUrls": services(&self.rekor_url, log_version),
            "rekorTlogConfig": any,
            "tsaUrls": services(&self.timestamp_server_url, 1),
            "tsaConfig": any,
        });
        SigningConfig::parse(&pretty(&document)).map(Some).map_err(|error| {
            Failure::usage("cannot use the services that are named").caused_by(error)
        })
    }
}

/// Whether a log of the public instance is among those that may be asked.
fn names_public_log(config: &SigningConfig) -> bool {
    [LogVersion::V1, LogVersion::V2].into_iter().any(|version| {
        let choice = config.log_choice(&[version], machine::now());
        let candidates = choice.map(|choice| choice.candidates).unwrap_or_default();
        candidates.iter().any(|(_, url)| {
            let url = url::Url::parse(&url.to_string());
            let host = url.as_ref().ok().and_then(url::Url::host_str);
            host.is_some_and(|host| host == PUBLIC_DOMAIN || host.ends_with(PUBLIC_SUFFIX))
        })
    })
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

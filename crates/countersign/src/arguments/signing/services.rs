//! With which instance to sign, as arguments: a file that says it all, services by their addresses, or
//! the instance that this machine knows.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use client::mirror::{PUBLIC_MIRROR, SigningProfile};
use client::trust_config::TRUST_CONFIG_SIZE_MAX;
use client::{CertificateNeed, ClientTrustConfig, Deadline, Http, LogVersion, SigningConfig};
use serde_json::json;
use verify::TrustRoot;

use crate::arguments::instance::{self, read_trust_config, read_trusted_root};
use crate::arguments::stamping::StampingArguments;
use crate::exit::Failure;
use crate::machine;
use crate::trust_documents::{self, Period, SIGNING_CONFIG_MEDIA_TYPE, pretty};

/// Where the public instance's services are.
const PUBLIC_DOMAIN: &str = "sigstore.dev";
const PUBLIC_SUFFIX: &str = ".sigstore.dev";

/// Which services to use.
#[derive(Debug, Args)]
#[command(next_help_heading = "Instance")]
pub(super) struct ServiceArguments {
    /// Client trust configuration (JSON) of a private instance: trusted root and services in one
    /// file. Without it, and without the flags below, it is the public Sigstore instance, or the one
    /// that was chosen with `initialize`.
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_TRUST_CONFIG",
        conflicts_with_all = ["trusted_root", "signing_config", "fulcio_url", "rekor_url",
            "timestamp_server_url"])]
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
    pub(super) stamping: StampingArguments,

    /// Version of the transparency log to use; by default the highest that the instance has.
    #[arg(long, value_enum, env = "COUNTERSIGN_LOG_VERSION")]
    pub(super) log_version: Option<LogVersionArgument>,

    /// Ask no TUF mirror: go by the copy that is kept, else by the one that is built in.
    #[arg(long)]
    offline: bool,
}

/// A version of the log's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogVersionArgument {
    /// Rekor v1: the log promises a time.
    #[value(name = "1")]
    V1,
    /// Rekor v2: tiles; the time comes from a timestamp authority.
    #[value(name = "2")]
    V2,
}

impl ServiceArguments {
    /// Whom to believe and whom to ask, and whether it is the public instance that says so.
    pub(super) async fn config(
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
            return Ok((ClientTrustConfig { trust_root, signing_config }, false));
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
        Ok((config, mirror == PUBLIC_MIRROR))
    }

    fn trusted_root(&self) -> Result<Option<TrustRoot>, Failure> {
        self.trusted_root.as_deref().map(read_trusted_root).transpose()
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

/// Whether a log of the public instance is among those that may be asked, or a certificate authority of
/// it, which logs its certificates.
pub(super) fn names_public_service(config: &SigningConfig, certificate: CertificateNeed) -> bool {
    let now = machine::now();
    let logs = [LogVersion::V1, LogVersion::V2].into_iter().flat_map(|version| {
        let choice = config.log_choice(&[version], now);
        choice.map(|choice| choice.candidates).unwrap_or_default()
    });
    let authorities = match certificate {
        CertificateNeed::Asked => config.authority_choice(now).map(|choice| choice.candidates),
        CertificateNeed::NotAsked => Ok(Vec::new()),
    };
    let authorities = authorities.unwrap_or_default();
    logs.map(|(_, url)| url).chain(authorities).any(|url| {
        let url = url::Url::parse(&url.to_string());
        let host = url.as_ref().ok().and_then(url::Url::host_str);
        host.is_some_and(|host| host == PUBLIC_DOMAIN || host.ends_with(PUBLIC_SUFFIX))
    })
}

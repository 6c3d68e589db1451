//! `signing-config create`: with which services to sign, composed from their addresses.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use client::SigningConfig;
use client::mirror::SigningProfile;
use client::trust_config::TRUST_CONFIG_SIZE_MAX;
use serde_json::{Value, json};

use crate::arguments::instance;
use crate::arguments::network::http_client;
use crate::arguments::specification::Specification;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::trust_documents::{self, SIGNING_CONFIG_MEDIA_TYPE, pretty};
use crate::{machine, runtime};

/// Make signing configurations.
#[derive(Debug, Args)]
pub(crate) struct SigningConfigCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Create(Create),
}

/// Compose a signing configuration from the addresses of services.
///
/// Each service is one flag of KEY=VALUE pairs with commas between them, and may be repeated: url,
/// api-version, start-time, operator; optional end-time. The services of one kind that a flag names
/// replace those of the base.
#[derive(Debug, Args)]
struct Create {
    /// Signing configuration to begin with.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["with_default_services", "with_default_rekor_v2"])]
    base_config: Option<PathBuf>,

    /// Begin with the public Sigstore instance's.
    #[arg(long, conflicts_with = "with_default_rekor_v2")]
    with_default_services: bool,

    /// Begin with the public Sigstore instance's that names its v2 log.
    #[arg(long)]
    with_default_rekor_v2: bool,

    /// Certificate authority.
    #[arg(long, value_name = "KEY=VALUE,…")]
    fulcio: Vec<String>,

    /// Transparency log.
    #[arg(long, value_name = "KEY=VALUE,…", requires = "rekor_config")]
    rekor: Vec<String>,

    /// How many of the logs to use: ANY, ALL or EXACT:COUNT.
    #[arg(long, value_name = "SELECTOR")]
    rekor_config: Option<String>,

    /// Provider of identities for people.
    #[arg(long, value_name = "KEY=VALUE,…")]
    oidc_provider: Vec<String>,

    /// Timestamp authority.
    #[arg(long, value_name = "KEY=VALUE,…", requires = "tsa_config")]
    tsa: Vec<String>,

    /// How many of the timestamp authorities to use: ANY, ALL or EXACT:COUNT.
    #[arg(long, value_name = "SELECTOR")]
    tsa_config: Option<String>,

    /// Leave the base's certificate authorities away.
    #[arg(long)]
    no_default_fulcio: bool,

    /// Leave the base's logs away.
    #[arg(long)]
    no_default_rekor: bool,

    /// Leave the base's providers of identities away.
    #[arg(long)]
    no_default_oidc: bool,

    /// Leave the base's timestamp authorities away.
    #[arg(long)]
    no_default_tsa: bool,

    /// Where to write it; without it, to standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl SigningConfigCommand {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let Verb::Create(create) = self.verb;
        let json = pretty(&create.compose(global)?);
        SigningConfig::parse(&json).map_err(|error| {
            Failure::usage("these services make no signing configuration").caused_by(error)
        })?;
        super::write_document(create.out.as_deref(), &json)?;
        Ok(Exit::Success)
    }
}

impl Create {
    fn compose(&self, global: &Global) -> Result<Value, Failure> {
        let base = self.base(global)?;
        let kinds = [
            ("caUrls", "fulcio", &self.fulcio, self.no_default_fulcio),
            ("oidcUrls", "oidc-provider", &self.oidc_provider, self.no_default_oidc),
            ("rekorTlogUrls", "rekor", &self.rekor, self.no_default_rekor),
            ("tsaUrls", "tsa", &self.tsa, self.no_default_tsa),
        ];
        let mut config = json!({"mediaType": SIGNING_CONFIG_MEDIA_TYPE});
        for (member, flag, given, without) in kinds {
            let services = given.iter().map(|text| service(flag, text));
            let services = services.collect::<Result<Vec<_>, _>>()?;
            let kept = if without { &Value::Null } else { &base[member] };
            config[member] = match (services.is_empty(), kept) {
                (true, Value::Array(kept)) => kept.clone().into(),
                _ => services.into(),
            };
        }
        let selectors = [
            ("rekorTlogConfig", "rekor-config", &self.rekor_config),
            ("tsaConfig", "tsa-config", &self.tsa_config),
        ];
        for (member, flag, given) in selectors {
            let kept = if base[member].is_object() { base[member].clone() } else { json!({}) };
            config[member] = given.as_deref().map_or(Ok(kept), |text| selector(flag, text))?;
        }
        Ok(config)
    }

    fn base(&self, global: &Global) -> Result<Value, Failure> {
        let json = if let Some(path) = &self.base_config {
            machine::read(path, "signing configuration", TRUST_CONFIG_SIZE_MAX)?
        } else if self.with_default_services {
            instance_config(SigningProfile::Usual, global)?
        } else if self.with_default_rekor_v2 {
            instance_config(SigningProfile::RekorV2, global)?
        } else {
            return Ok(Value::Null);
        };
        let unusable = || Failure::usage("cannot use the signing configuration to begin with");
        SigningConfig::parse(&json).map_err(|error| unusable().caused_by(error))?;
        serde_json::from_slice(&json).map_err(|error| unusable().caused_by(error))
    }
}

/// The signing configuration of the instance that is meant.
fn instance_config(profile: SigningProfile, global: &Global) -> Result<Vec<u8>, Failure> {
    let material =
        runtime::block_on(async { instance::material(&http_client()?, global.deadline()).await })?;
    material.signing_config_json(profile).map(<[u8]>::to_vec).ok_or_else(|| {
        Failure::new(Exit::Failure, "the instance has no such signing configuration")
    })
}

fn service(flag: &'static str, text: &str) -> Result<Value, Failure> {
    let required = ["url", "api-version", "start-time", "operator"];
    let specification = Specification::parse(flag, text, &required, &["end-time"])?;
    let version = specification.required("api-version")?;
    let version = version
        .parse()
        .map_err(|_| specification.unusable(&format!("`api-version` is `{version}`, wanted 1")))?;
    let operator = specification.required("operator")?;
    let url = specification.required("url")?;
    Ok(trust_documents::service(url, version, operator, specification.period()?))
}

/// `ServiceConfiguration`.
fn selector(flag: &str, text: &str) -> Result<Value, Failure> {
    let count = text.strip_prefix("EXACT:").and_then(|count| count.parse::<u32>().ok());
    match (text, count) {
        ("ANY" | "ALL", _) => Ok(json!({"selector": text})),
        (_, Some(count)) if count > 0 => Ok(json!({"selector": "EXACT", "count": count})),
        _ => Err(Failure::usage(format!("cannot use --{flag} {text}"))
            .hint("write ANY, ALL or EXACT:COUNT")),
    }
}

//! How timestamp authorities are spoken to that want to know who asks, as arguments.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use client::{ClientCertificate, HostTransport, Http, SigningConfig, TlsTrust};

use super::network::http_options;
use crate::exit::{Exit, Failure};
use crate::machine;

/// Who we are to timestamp authorities, and who they are. Nothing of it goes for other services.
#[derive(Debug, Args)]
pub(crate) struct StampingArguments {
    /// Authority (PEM) that the timestamp authority's TLS certificate must be by, instead of those of
    /// the system.
    #[arg(long, value_name = "FILE")]
    timestamp_client_cacert: Option<PathBuf>,

    /// Certificate (PEM) to show to the timestamp authority.
    #[arg(long, value_name = "FILE", requires = "timestamp_client_key")]
    timestamp_client_cert: Option<PathBuf>,

    /// Private key (PEM) of that certificate.
    #[arg(long, value_name = "FILE", requires = "timestamp_client_cert")]
    timestamp_client_key: Option<PathBuf>,

    /// Name that the timestamp authority's TLS certificate must be for, instead of its host's.
    #[arg(long, value_name = "NAME")]
    timestamp_server_name: Option<String>,
}

impl StampingArguments {
    /// The connections to the timestamp authorities of a configuration, where they are others than
    /// usual.
    pub(crate) fn http(&self, config: &SigningConfig) -> Result<Option<Arc<Http>>, Failure> {
        let Self {
            timestamp_client_cacert: authority,
            timestamp_client_cert: certificate,
            timestamp_client_key: key,
            timestamp_server_name: server_name,
        } = self;
        if authority.is_none() && certificate.is_none() && server_name.is_none() {
            return Ok(None);
        }
        let unusable = |flag: &str| Failure::usage(format!("cannot use --timestamp-{flag}"));
        let mut options = http_options()?;
        if let Some(path) = authority {
            options.tls_trust = TlsTrust::read(path, false)
                .map_err(|error| unusable("client-cacert").caused_by(error))?;
        }
        let client_certificate = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(
                ClientCertificate::read(certificate, key)
                    .map_err(|error| unusable("client-cert").caused_by(error))?,
            ),
            _ => None,
        };
        let transport = HostTransport {
            server_name: server_name.clone(),
            client_certificate,
            ..HostTransport::default()
        };
        let asked = config.timestamp_authority_choice(machine::now());
        let asked = asked.map_err(|error| unusable("client-*").caused_by(error))?.candidates;
        if asked.is_empty() {
            return Err(Failure::usage("there is no timestamp authority to speak to")
                .hint("name one in the signing configuration, or with --timestamp-server-url"));
        }
        for url in asked {
            options = options
                .with_service(&url, transport.clone())
                .map_err(|error| unusable("server-url").caused_by(error))?;
        }
        let failed = |error| {
            Failure::new(Exit::Failure, "cannot speak to the timestamp authority").caused_by(error)
        };
        Http::new(options).map(|http| Some(Arc::new(http))).map_err(failed)
    }
}

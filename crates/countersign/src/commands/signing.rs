//! What the signing commands share: the instance, the identity, and the session that they open.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use client::oidc::{self, TokenError};
use client::trust_config::TRUST_CONFIG_SIZE_MAX;
use client::{
    ClientTrustConfig, Deadline, Http, HttpOptions, IdentityToken, LogVersion, Secret,
    SigningError, SigningServices,
};
use std::time::Duration;

use crate::exit::{Exit, Failure};
use crate::machine;

/// Longest file with an identity token read, in bytes.
const TOKEN_FILE_SIZE_MAX: usize = 64 * 1024;
/// Time to get an identity token.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);

/// With which instance, and as whom, to sign.
#[derive(Debug, Args)]
pub(crate) struct SigningArguments {
    /// Client trust configuration (JSON) of the instance to sign with: trusted root and services
    /// in one file.
    #[arg(
        long,
        value_name = "FILE",
        env = "COUNTERSIGN_TRUST_CONFIG",
        help_heading = "Instance",
        required = true
    )]
    trust_config: PathBuf,

    /// Identity token (JWT), or a file that holds it. Without it SIGSTORE_ID_TOKEN is taken, or
    /// GitHub Actions is asked.
    #[arg(
        long,
        value_name = "TOKEN_OR_FILE",
        env = "COSIGN_IDENTITY_TOKEN",
        hide_env_values = true,
        help_heading = "Identity"
    )]
    identity_token: Option<String>,

    /// Version of the transparency log to use; by default the highest that the instance has.
    #[arg(long, value_enum, help_heading = "Instance")]
    log_version: Option<LogVersionArgument>,
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
    pub(crate) http: Arc<Http>,
    pub(crate) services: SigningServices,
    pub(crate) token: IdentityToken,
}

impl SigningArguments {
    /// Reads the configuration, chooses the services and finds the identity token.
    pub(crate) async fn begin(&self) -> Result<Signing, Failure> {
        let config = read_trust_config(&self.trust_config)?;
        let http = http_client()?;
        let versions: &[LogVersion] = match self.log_version {
            Some(LogVersionArgument::V1) => &[LogVersion::V1],
            Some(LogVersionArgument::V2) => &[LogVersion::V2],
            None => &[LogVersion::V1, LogVersion::V2],
        };
        let services =
            SigningServices::select(&config, versions, &http, machine::now()).map_err(|error| {
                Failure::usage(format!("cannot sign with {}", self.trust_config.display()))
                    .caused_by(error)
            })?;
        let token = self.token(&http).await?;
        Ok(Signing { http, services, token })
    }

    async fn token(&self, http: &Http) -> Result<IdentityToken, Failure> {
        let given = self.identity_token.as_deref().map(given_token).transpose()?;
        let deadline = Deadline::after(TOKEN_TIMEOUT);
        let environment = machine::environment();
        oidc::find_token(given, &environment, http, oidc::AUDIENCE, deadline).await.map_err(
            |error| {
                let hint = error.hint();
                let exit = match &error {
                    TokenError::Fetch(_) => Exit::Failure,
                    _ => Exit::Usage,
                };
                let failure =
                    Failure::new(exit, "there is no identity to sign as").caused_by(error);
                match hint {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            },
        )
    }
}

/// A token as it was given: itself, or the path of a file that holds it.
fn given_token(text: &str) -> Result<Secret, Failure> {
    // A JWT has three parts and no slash; whatever else was meant is a file.
    if text.split('.').count() == 3 && text.starts_with("ey") {
        return Ok(Secret::new(text.trim().to_owned()));
    }
    let bytes = machine::read(text.as_ref(), "identity token", TOKEN_FILE_SIZE_MAX)?;
    let token = String::from_utf8(bytes)
        .map_err(|_| Failure::usage("the identity token's file is not text"))?;
    Ok(Secret::new(token.trim().to_owned()))
}

/// Reads a client trust configuration that the user named.
pub(crate) fn read_trust_config(path: &std::path::Path) -> Result<ClientTrustConfig, Failure> {
    let json = machine::read(path, "trust configuration", TRUST_CONFIG_SIZE_MAX)?;
    ClientTrustConfig::parse(&json).map_err(|error| {
        Failure::usage(format!("cannot use the trust configuration {}", path.display()))
            .caused_by(error)
            .hint("an instance writes it to DIR/public/trust_config.json")
    })
}

/// A client that calls itself by our name.
pub(crate) fn http_client() -> Result<Arc<Http>, Failure> {
    let options = HttpOptions::new(concat!("countersign/", env!("CARGO_PKG_VERSION")));
    Http::new(options)
        .map(Arc::new)
        .map_err(|error| Failure::new(Exit::Failure, "cannot speak HTTP").caused_by(error))
}

/// What the user is told when signing failed; `done` is what needs not be done again.
pub(crate) fn failed(what: &str, error: SigningError) -> Failure {
    let hint = match &error {
        SigningError::NotVerified { .. } => {
            Some("the trust configuration does not fit the services: take the instance's own, anew")
        }
        SigningError::Certify(_) => {
            Some("nothing was signed or logged; ask again when the authority answers")
        }
        SigningError::Log(_) | SigningError::Timestamp(_) => {
            Some("nothing was written; sign again when the service answers")
        }
        _ => None,
    };
    let failure = Failure::new(Exit::Failure, format!("{what} was not signed")).caused_by(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

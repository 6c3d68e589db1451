//! Who signs, where that is an identity: a token that is given, found, or logged in for.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use client::oidc::login::{Login, LoginError, Person, Words};
use client::oidc::{self, Ambient, Places, Provider, TokenError};
use client::{Deadline, Http, IdentityToken, Secret, ServiceUrl};
use futures::future::BoxFuture;

use crate::exit::{Exit, Failure};
use crate::{machine, ui};

/// Longest file with an identity token or a client's secret read, in bytes.
const TOKEN_FILE_SIZE_MAX: usize = 64 * 1024;
/// How much of what is no token is shown, in characters: enough to know it again.
const TOKEN_SHOWN_MAX: usize = 8;
/// Time to get an identity token from a machine.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);
/// Time to get one from a person, who has to find the page and type a code.
const PERSON_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Who signs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Signer")]
pub(crate) struct IdentityArguments {
    /// Identity token (JWT), or a file that holds it. Without it, it is looked for where CI systems
    /// and clouds offer one; on a terminal you are asked to log in.
    #[arg(long, value_name = "TOKEN_OR_FILE", hide_env_values = true)]
    identity_token: Option<String>,

    /// Look for the identity token in this place only.
    #[arg(long, value_name = "NAME", value_parser = parse_provider)]
    oidc_provider: Option<Provider>,

    /// Look in no place of CI systems and clouds: log in.
    #[arg(long)]
    oidc_disable_ambient_providers: bool,

    /// Identity provider to log in at, instead of the instance's.
    #[arg(long, value_name = "URL")]
    oidc_issuer: Option<String>,

    /// Client that the identity provider knows.
    #[arg(long, value_name = "ID", default_value = oidc::AUDIENCE)]
    oidc_client_id: String,

    /// File with the client's secret.
    #[arg(long, value_name = "FILE")]
    oidc_client_secret_file: Option<PathBuf>,

    /// Where the browser comes back to; by default a free port of this machine.
    #[arg(long, value_name = "URL")]
    oidc_redirect_url: Option<String>,

    /// How to log in; by default with the browser on a terminal, else on another device.
    #[arg(long, value_enum)]
    fulcio_auth_flow: Option<Flow>,
}

/// How to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Flow {
    /// With the browser of this machine.
    Normal,
    /// With the browser of another device.
    Device,
    /// With the token that is given or found; nobody is asked.
    Token,
    /// As a program, with its own secret.
    #[value(name = "client_credentials")]
    ClientCredentials,
}

fn parse_provider(name: &str) -> Result<Provider, String> {
    Provider::parse(name).ok_or_else(|| {
        let names: Vec<_> = Provider::ALL.iter().map(|provider| provider.name()).collect();
        format!("it is one of {}", names.join(", "))
    })
}

impl IdentityArguments {
    /// The token: given, found, or logged in for at `provider`. The deadline is put off by as long
    /// as a person takes.
    pub(crate) async fn token(
        &self,
        http: &Http,
        provider: Option<ServiceUrl>,
        deadline: &mut Deadline,
    ) -> Result<IdentityToken, Failure> {
        if let Some(text) = &self.identity_token {
            let token = IdentityToken::parse(given_token(text)?)
                .map_err(|error| Failure::usage("cannot use --identity-token").caused_by(error))?;
            token
                .check(&self.oidc_client_id, machine::now())
                .map_err(|error| Failure::usage("cannot use --identity-token").caused_by(error))?;
            return Ok(token);
        }
        let wants_login = matches!(
            self.fulcio_auth_flow,
            Some(Flow::Normal | Flow::Device | Flow::ClientCredentials)
        );
        if !self.oidc_disable_ambient_providers && !wants_login {
            match self.find(http, *deadline).await {
                Err(TokenError::Absent { .. }) if self.may_log_in(provider.as_ref()) => {}
                Err(error) => return Err(no_token(error)),
                Ok(token) => return Ok(token),
            }
        }
        self.log_in(http, provider, deadline).await
    }

    async fn find(&self, http: &Http, deadline: Deadline) -> Result<IdentityToken, TokenError> {
        let (environment, places) = (machine::environment(), Places::default());
        let ambient = Ambient { environment: &environment, http, places: &places };
        let (now, deadline) = (machine::now(), deadline.min(Deadline::after(TOKEN_TIMEOUT)));
        match self.oidc_provider {
            Some(provider) => ambient.find_at(provider, &self.oidc_client_id, now, deadline).await,
            None => ambient.find(&self.oidc_client_id, now, deadline).await,
        }
    }

    /// Whether there is a person to ask, and a place for them to go.
    fn may_log_in(&self, provider: Option<&ServiceUrl>) -> bool {
        let somewhere = self.oidc_issuer.is_some() || provider.is_some();
        self.fulcio_auth_flow != Some(Flow::Token)
            && self.oidc_provider.is_none()
            && somewhere
            && io::stderr().is_terminal()
    }

    async fn log_in(
        &self,
        http: &Http,
        provider: Option<ServiceUrl>,
        deadline: &mut Deadline,
    ) -> Result<IdentityToken, Failure> {
        let issuer = match &self.oidc_issuer {
            Some(text) => Some(service("--oidc-issuer", text)?),
            None => provider,
        };
        let issuer = issuer.ok_or_else(|| {
            Failure::usage("there is nowhere to log in: the instance names no identity provider")
                .hint("name one with --oidc-issuer, or pass a token with --identity-token")
        })?;
        let mut login = Login::new(issuer);
        login.client_id.clone_from(&self.oidc_client_id);
        if let Some(path) = &self.oidc_client_secret_file {
            let bytes = machine::read(path, "client secret", TOKEN_FILE_SIZE_MAX)?;
            let text = String::from_utf8(bytes)
                .map_err(|_| Failure::usage("the client secret is not text"))?;
            login.client_secret = Some(Secret::new(text.trim().to_owned()));
        }
        let redirect = self.oidc_redirect_url.as_deref();
        login.redirect = redirect.map(|text| service("--oidc-redirect-url", text)).transpose()?;
        let (left, patient) = (deadline.left(), Deadline::after(PERSON_TIMEOUT));
        let flow = self.fulcio_auth_flow.unwrap_or(match io::stdin().is_terminal() {
            true => Flow::Normal,
            false => Flow::Device,
        });
        let logged_in = match flow {
            Flow::ClientCredentials => {
                return login
                    .as_program(http, machine::now(), *deadline)
                    .await
                    .map_err(not_logged_in);
            }
            Flow::Device => login.on_device(&AtTerminal, http, &machine::now, patient).await,
            Flow::Normal | Flow::Token => {
                login.by_browser(&AtTerminal, http, &machine::now, patient).await
            }
        };
        *deadline = Deadline::after(left);
        logged_in.map_err(not_logged_in)
    }
}

/// A token as it was given: itself, or the path of a file that holds it.
fn given_token(text: &str) -> Result<Secret, Failure> {
    // A JWT has three parts and no slash; whatever else was meant is a file.
    if text.split('.').count() == 3 && text.starts_with("ey") {
        return Ok(Secret::new(text.trim().to_owned()));
    }
    // It may be a token that was cut or copied wrongly, and logs of CI systems are public.
    if !Path::new(text).exists() {
        let shown: String = text.chars().take(TOKEN_SHOWN_MAX).collect();
        let dots = if shown.len() < text.len() { "…" } else { "" };
        let message =
            format!("--identity-token {shown}{dots} is neither an identity token nor a file");
        return Err(Failure::usage(message)
            .hint("a token has three parts with dots between them, and begins with ey"));
    }
    let bytes = machine::read(text.as_ref(), "identity token", TOKEN_FILE_SIZE_MAX)?;
    let token = String::from_utf8(bytes)
        .map_err(|_| Failure::usage("the identity token's file is not text"))?;
    Ok(Secret::new(token.trim().to_owned()))
}

fn service(flag: &str, text: &str) -> Result<ServiceUrl, Failure> {
    text.parse().map_err(|error| {
        Failure::usage(format!("cannot use {flag} {text}"))
            .caused_by(Box::<dyn std::error::Error + Send + Sync>::from(error))
    })
}

fn no_token(error: TokenError) -> Failure {
    let hint = error.hint();
    let exit = match &error {
        TokenError::Fetch { .. } => Exit::Failure,
        _ => Exit::Usage,
    };
    let failure = Failure::new(exit, "there is no identity to sign as").caused_by(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn not_logged_in(error: LoginError) -> Failure {
    let hint = error.hint();
    let failure = Failure::new(Exit::Failure, "you were not logged in").caused_by(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Whoever sits at the terminal.
struct AtTerminal;

impl Person for AtTerminal {
    fn open(&self, page: &str) -> io::Result<()> {
        machine::open_in_browser(page)
    }

    fn tell(&self, words: &Words<'_>) {
        match words {
            Words::Opened { page } => ui::note(&format!("log in in your browser: {page}")),
            Words::GoTo { page } => ui::note(&format!("go to {page} and log in")),
            Words::Confirm { page, code, valid } => ui::note(&format!(
                "go to {page} on any device and enter {code} (within {} minutes)",
                valid.as_secs().div_ceil(60)
            )),
        }
    }

    fn code(&self) -> BoxFuture<'_, io::Result<String>> {
        Box::pin(async {
            tokio::task::spawn_blocking(|| ui::ask_line("Code: "))
                .await
                .map_err(io::Error::other)?
        })
    }

    fn wait(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}

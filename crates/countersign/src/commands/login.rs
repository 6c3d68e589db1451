//! `login`: a user and password for a registry, kept where Docker keeps its own.

use std::path::PathBuf;

use crate::ui::terminal::eprintln;
use clap::Args;
use client::credentials::{Basic, LoginStored, store_login};
use client::{Credential, Secret};
use evidence::RegistryHost;

use crate::arguments::images::{self, RegistryArguments};
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::{machine, runtime, ui};

/// Longest password read, in bytes.
const PASSWORD_SIZE_MAX: usize = 16 * 1024;

/// Log in to a registry.
///
/// The registry is asked whether it takes the login, which is then kept in Docker's configuration,
/// or with the credential helper that is configured there.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The registry, as `ghcr.io`.
    #[arg(value_name = "REGISTRY", default_value = "docker.io")]
    registry: String,

    /// The user.
    #[arg(short, long, value_name = "USER")]
    username: Option<String>,

    /// The password. Others can read arguments: rather use --password-stdin.
    #[arg(short, long, value_name = "PASSWORD", hide_env_values = true)]
    password: Option<String>,

    /// Take the password from standard input.
    #[arg(long, conflicts_with = "password")]
    password_stdin: bool,

    #[command(flatten)]
    arguments: RegistryArguments,
}

impl Login {
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let host: RegistryHost = self.registry.parse().map_err(|error| {
            Failure::usage(format!("cannot use the registry `{}`", self.registry.escape_debug()))
                .caused_by(Box::<dyn std::error::Error + Send + Sync>::from(error))
        })?;
        let user = self.username.clone().ok_or_else(|| {
            Failure::usage("there is no user to log in as").hint("name one with --username")
        })?;
        let basic = Basic { user, password: self.password()? };
        let path = config_file()?;
        runtime::block_on(async {
            let registry = self.arguments.open_as(&host, Credential::of(basic.clone()))?;
            registry.check_login(&host, global.deadline()).await.map_err(|error| {
                images::not_done(&format!("{host} did not take the login"), error)
            })?;
            let environment = machine::environment();
            let stored = store_login(&path, &host, &basic, &environment, global.deadline())
                .await
                .map_err(|error| {
                Failure::new(Exit::Failure, "the login could not be kept").caused_by(error)
            })?;
            match stored {
                LoginStored::Helper(name) => {
                    eprintln!("logged in to {host}; kept by docker-credential-{name}");
                }
                LoginStored::File(path) => {
                    eprintln!("logged in to {host}; kept in {}", path.display());
                    ui::note(
                        "whoever can read that file can read the password; configure a credential helper to keep it elsewhere",
                    );
                }
            }
            Ok(Exit::Success)
        })
    }

    fn password(&self) -> Result<Secret, Failure> {
        if let Some(password) = &self.password {
            return Ok(Secret::new(password.clone()));
        }
        if self.password_stdin {
            let bytes = machine::read("-".as_ref(), "password", PASSWORD_SIZE_MAX)?;
            let text =
                String::from_utf8(bytes).map_err(|_| Failure::usage("the password is not text"))?;
            return Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()));
        }
        ui::ask_secret("Password: ").map(Secret::new)
    }
}

/// `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`, as Docker has it.
fn config_file() -> Result<PathBuf, Failure> {
    let directory = machine::variable("DOCKER_CONFIG").map(PathBuf::from);
    let directory = directory
        .or_else(|| Some(PathBuf::from(machine::variable("HOME")?).join(".docker")))
        .ok_or_else(|| {
            Failure::usage("there is no place to keep the login")
                .hint("set HOME, or name a directory in DOCKER_CONFIG")
        })?;
    Ok(directory.join("config.json"))
}

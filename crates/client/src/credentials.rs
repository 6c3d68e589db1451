//! Who we are to a registry: what was given for it, what is configured, what a cloud says.
//!
//! A [`Keychain`] asks its sources in order, and the first that has something for an image's very
//! host is the answer. A source that has nothing is passed over; one that has something broken, or
//! fails to look, is an error and not "anonymous".

pub mod cloud;
mod config;
mod login;
mod program;

use std::fmt;

use evidence::{ImageRef, RegistryHost};
use tokio::time::Instant;

pub use config::{CONFIG_SIZE_MAX, DockerConfig, Login, ReadConfigError};
pub use login::{LoginError, LoginStored, logout, store_login};

use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::{FetchError, FetchErrorKind, TimeLimit, Unauthorized};
use crate::http::{Http, Request};
use crate::kept::{Fresh, Kept};
use crate::secret::Secret;
use cloud::Clouds;

/// The user under whose name helpers and Docker keep an identity token.
const TOKEN_USER: &str = "<token>";

/// A user and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basic {
    /// The user.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// What shows who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A user and a password, for the registry or its token service.
    Basic(Basic),
    /// A refresh token for the registry's token service, which gives tokens for it.
    Identity {
        /// The token.
        token: Secret,
    },
    /// A token for the registry itself.
    Token {
        /// The token.
        token: Secret,
    },
}

impl Credential {
    /// What a user and password mean: the user `<token>` has an identity token.
    #[must_use]
    pub fn of(basic: Basic) -> Self {
        if basic.user == TOKEN_USER {
            return Self::Identity { token: basic.password };
        }
        Self::Basic(basic)
    }

    /// What it is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Basic(_) => "a user and a password",
            Self::Identity { .. } => "an identity token",
            Self::Token { .. } => "a registry token",
        }
    }

    /// A name for it that tells it from others and does not tell what it is.
    pub(crate) fn fingerprint(&self) -> String {
        let (kind, user, secret) = match self {
            Self::Basic(basic) => ("basic", basic.user.as_str(), &basic.password),
            Self::Identity { token } => ("identity", "", token),
            Self::Token { token } => ("token", "", token),
        };
        let mut hasher = crypto::Hasher::new(crypto::HashAlgorithm::Sha256);
        for part in [kind, user, secret.expose()] {
            // Lengths keep the parts apart.
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        hex::encode(hasher.finish().as_bytes())
    }
}

/// All that there is to show who we are.
#[derive(Default)]
pub struct Keychain {
    sources: Vec<Source>,
    /// What helpers are started with.
    environment: Environment,
    kept: Kept<Option<Credential>>,
}

enum Source {
    Given(RegistryHost, Credential),
    Config(DockerConfig),
    Cloud(Clouds),
}

impl Source {
    /// Where that is, for the log.
    fn place(&self) -> &'static str {
        match self {
            Self::Given(..) => "the command line",
            Self::Config(_) => "a configuration of Docker or Podman",
            Self::Cloud(_) => "a cloud",
        }
    }
}

/// What a source has for an image, and how long it serves.
pub(crate) type Offer = Option<Fresh<Credential>>;

/// Why a source has nothing although it should.
pub(crate) enum NoOffer {
    /// What there is cannot be used.
    Unusable(Unauthorized),
    /// Somebody else had to be asked, and did not answer.
    Fetch(FetchError),
}

impl From<Unauthorized> for NoOffer {
    fn from(problem: Unauthorized) -> Self {
        Self::Unusable(problem)
    }
}

impl From<FetchError> for NoOffer {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

impl Keychain {
    /// The logins that Docker and Podman keep for the user with this environment.
    ///
    /// # Errors
    /// When one of the files is there and cannot be read.
    pub fn from_environment(environment: Environment) -> Result<Self, ReadConfigError> {
        let configs = DockerConfig::paths(&environment)
            .iter()
            .map(|path| DockerConfig::read(path).map(Source::Config))
            .collect::<Result<_, _>>()?;
        Ok(Self { sources: configs, environment, kept: Kept::default() })
    }

    /// The same, but what is given here for a host counts more than all else.
    #[must_use]
    pub fn with_credential(mut self, host: RegistryHost, credential: Credential) -> Self {
        self.sources.insert(0, Source::Given(host, credential));
        self
    }

    /// The same, and for what it does not have, this configuration.
    #[must_use]
    pub fn with_config(mut self, config: DockerConfig) -> Self {
        self.sources.push(Source::Config(config));
        self
    }

    /// The same, and for what it does not have, the clouds' own ways.
    #[must_use]
    pub fn with_clouds(mut self, clouds: Clouds) -> Self {
        self.sources.push(Source::Cloud(clouds));
        self
    }

    /// What there is for an image; `None` for nobody in particular. Two failures: somebody who had
    /// to be asked did not answer, or what there is cannot be used.
    pub(crate) async fn credential(
        &self,
        http: &Http,
        image: &ImageRef,
        deadline: Deadline,
    ) -> Result<Result<Option<Credential>, Unauthorized>, FetchError> {
        if self.sources.is_empty() {
            return Ok(Ok(None));
        }
        let url = crate::address::of_registry(image.registry());
        let late = || match url {
            Some(url) => NoOffer::Fetch(
                Request::new(reqwest::Method::GET, url)
                    .error(FetchErrorKind::TimedOut(TimeLimit::Operation)),
            ),
            None => NoOffer::Unusable(Unauthorized::NoCredentials),
        };
        let fetch = async {
            let offer = self.look(http, image, deadline).await?;
            Ok(match offer {
                Some(Fresh { value, until }) => Fresh { value: Some(value), until },
                None => Fresh { value: None, until: None },
            })
        };
        match self.kept.get(&image.name(), deadline, late, fetch).await {
            Ok(credential) => Ok(Ok(credential)),
            Err(NoOffer::Unusable(problem)) => Ok(Err(problem)),
            Err(NoOffer::Fetch(error)) => Err(error),
        }
    }

    async fn look(
        &self,
        http: &Http,
        image: &ImageRef,
        deadline: Deadline,
    ) -> Result<Offer, NoOffer> {
        for source in &self.sources {
            let offer = match source {
                Source::Given(host, credential) => {
                    (host == image.registry()).then(|| forever(credential.clone()))
                }
                Source::Config(config) => match config.login(image)? {
                    None => None,
                    Some(Login::Stored(credential)) => Some(forever(credential)),
                    Some(Login::Helper { name, servers }) => {
                        let asked =
                            program::ask(&name, &servers, &self.environment, deadline).await;
                        asked?.map(|credential| Fresh {
                            value: credential,
                            until: Some(Instant::now() + program::KEPT),
                        })
                    }
                },
                Source::Cloud(clouds) => clouds.offer(http, image.registry(), deadline).await?,
            };
            if let Some(Fresh { value, .. }) = &offer {
                let (kind, image) = (value.kind(), image.name());
                tracing::debug!("{kind} for {image}, from {}", source.place());
                return Ok(offer);
            }
        }
        tracing::debug!("no credentials for {}", image.name());
        Ok(None)
    }
}

impl From<DockerConfig> for Keychain {
    fn from(config: DockerConfig) -> Self {
        Self::default().with_config(config)
    }
}

impl fmt::Debug for Keychain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keychain({} sources)", self.sources.len())
    }
}

fn forever(credential: Credential) -> Fresh<Credential> {
    Fresh { value: credential, until: None }
}

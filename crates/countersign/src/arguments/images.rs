//! What the image commands share: registries and how they are spoken to, logins, finding an image.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use client::credentials::Basic;
use client::credentials::cloud::{CloudKind, Clouds};
use client::error::FetchErrorKind;
use client::registry::{LookedUp, Manifest, MirrorRule, TargetRepository, TokenRealm};
use client::{
    ClientCertificate, Credential, Deadline, FetchError, HostSecurity, HostTransport, Http,
    HttpOptions, Keychain, LayoutError, Registry, RegistryOptions, Secret, TlsTrust,
};
use evidence::{Digest, ImageRef, RegistryHost};

use super::network::http_options;
use crate::exit::{Exit, Failure};
use crate::machine;

/// How registries are spoken to, and as whom.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Registry")]
pub(crate) struct RegistryArguments {
    /// User for the registry, instead of the one that Docker's configuration has.
    #[arg(long, value_name = "USER", requires = "registry_password")]
    registry_username: Option<String>,

    /// Password for the registry. Others can read arguments: rather set COSIGN_REGISTRY_PASSWORD.
    #[arg(long, value_name = "PASSWORD", requires = "registry_username", hide_env_values = true)]
    registry_password: Option<String>,

    /// Bearer token for the registry.
    #[arg(
        long,
        value_name = "TOKEN",
        conflicts_with = "registry_password",
        hide_env_values = true
    )]
    registry_token: Option<String>,

    /// Log in to Amazon, Google, Azure and GitHub registries as the workload that this runs in.
    #[arg(long)]
    k8s_keychain: bool,

    /// Certificates (PEM) of the authorities to trust for the registry, instead of the system's.
    #[arg(long, value_name = "FILE")]
    registry_cacert: Option<PathBuf>,

    /// Certificate (PEM) by which the registry knows us.
    #[arg(long, value_name = "FILE", requires = "registry_client_key")]
    registry_client_cert: Option<PathBuf>,

    /// Its private key (PEM).
    #[arg(long, value_name = "FILE", requires = "registry_client_cert")]
    registry_client_key: Option<PathBuf>,

    /// Name that the registry's certificate must have, instead of its host's.
    #[arg(long, value_name = "NAME")]
    registry_server_name: Option<String>,

    /// Speak plain HTTP to a registry that has no HTTPS. Whoever is in between decides what is read.
    #[arg(long)]
    allow_http_registry: bool,

    /// Take any certificate of the registry. Whoever is in between decides what is read.
    #[arg(long)]
    allow_insecure_registry: bool,

    /// Host that has the same images, as REGISTRY=MIRROR[/PREFIX]; asked first, and believed by
    /// digest only. May be given several times.
    #[arg(long, value_name = "REGISTRY=MIRROR", env = "COUNTERSIGN_REGISTRY_MIRROR")]
    registry_mirror: Vec<MirrorRule>,

    /// Token service on another host that a registry may name, as REGISTRY=URL; it gets the
    /// registry's login. May be given several times.
    #[arg(long, value_name = "REGISTRY=URL", env = "COUNTERSIGN_REGISTRY_TOKEN_SERVICE")]
    registry_token_service: Vec<TokenRealm>,
}

impl RegistryArguments {
    /// A client for the registries of these images, with the user's logins.
    pub(crate) fn open(&self, images: &[ImageRef]) -> Result<Registry, Failure> {
        let target = target_repository()?;
        let target = target.iter().zip(images).map(|(target, image)| target.of(image));
        let hosts: Vec<_> =
            images.iter().cloned().chain(target).map(|image| image.registry().clone()).collect();

        let mut keychain = keychain(self.k8s_keychain)?;
        if let Some(credential) = self.credential() {
            for host in &hosts {
                keychain = keychain.with_credential(host.clone(), credential.clone());
            }
        }
        Ok(Registry::with_options(self.http(&hosts)?, keychain, self.options()))
    }

    /// A client for one registry, with one login only.
    pub(crate) fn open_as(
        &self,
        host: &RegistryHost,
        credential: Credential,
    ) -> Result<Registry, Failure> {
        let http = self.http(std::slice::from_ref(host))?;
        let keychain = Keychain::default().with_credential(host.clone(), credential);
        Ok(Registry::with_options(http, keychain, self.options()))
    }

    fn http(&self, hosts: &[RegistryHost]) -> Result<Arc<Http>, Failure> {
        let mut http = http_options()?;
        if let Some(path) = &self.registry_cacert {
            http.tls_trust = TlsTrust::read(path, false)
                .map_err(|error| Failure::usage("cannot use --registry-cacert").caused_by(error))?;
        }
        let transport = self.transport()?;
        for host in hosts {
            http = http.with_host(host.clone(), transport.clone());
        }
        new_http(http)
    }

    fn options(&self) -> RegistryOptions {
        RegistryOptions {
            token_realms: self.registry_token_service.clone(),
            mirrors: self.registry_mirror.clone(),
        }
    }

    fn transport(&self) -> Result<HostTransport, Failure> {
        let security = match (self.allow_http_registry, self.allow_insecure_registry) {
            (false, false) => HostSecurity::Verified,
            (false, true) => HostSecurity::CertificateUnchecked,
            (true, false) => HostSecurity::HttpAllowed,
            (true, true) => HostSecurity::Anything,
        };
        let client_certificate = match (&self.registry_client_cert, &self.registry_client_key) {
            (Some(certificate), Some(key)) => {
                Some(ClientCertificate::read(certificate, key).map_err(|error| {
                    Failure::usage("cannot use --registry-client-cert").caused_by(error)
                })?)
            }
            _ => None,
        };
        let server_name = self.registry_server_name.clone();
        Ok(HostTransport { security, server_name, client_certificate })
    }

    fn credential(&self) -> Option<Credential> {
        if let Some(token) = &self.registry_token {
            return Some(Credential::Token { token: Secret::new(token.clone()) });
        }
        let (user, password) =
            self.registry_username.clone().zip(self.registry_password.clone())?;
        Some(Credential::of(Basic { user, password: Secret::new(password) }))
    }
}

/// A client for whatever registries come, with the user's logins.
pub(crate) fn registry() -> Result<Registry, Failure> {
    RegistryArguments::default().open(&[])
}

/// The logins of the user, and if wanted those of the workload.
fn keychain(clouds: bool) -> Result<Keychain, Failure> {
    let environment = machine::environment();
    let keychain = Keychain::from_environment(environment.clone()).map_err(|error| {
        Failure::usage("cannot use the registry logins")
            .caused_by(error)
            .hint("mend the file, or name another directory in DOCKER_CONFIG")
    })?;
    Ok(match clouds {
        true => {
            keychain.with_clouds(Clouds::new(CloudKind::ALL, environment, Arc::new(machine::now)))
        }
        false => keychain,
    })
}

fn new_http(options: HttpOptions) -> Result<Arc<Http>, Failure> {
    Http::new(options)
        .map(Arc::new)
        .map_err(|error| Failure::new(Exit::Failure, "cannot speak HTTP").caused_by(error))
}

/// Where evidence is kept, if that is not the image's own repository (`COSIGN_REPOSITORY`).
pub(crate) fn target_repository() -> Result<Option<TargetRepository>, Failure> {
    let Some(text) = machine::variable("COSIGN_REPOSITORY") else { return Ok(None) };
    let target = text.parse().map_err(|error| {
        Failure::usage(format!("cannot use COSIGN_REPOSITORY `{}`", text.escape_debug()))
            .caused_by(Box::<dyn std::error::Error + Send + Sync>::from(error))
    });
    target.map(Some)
}

/// Parses image references that the user gave.
pub(crate) fn parse_all(texts: &[String]) -> Result<Vec<ImageRef>, Failure> {
    texts.iter().map(|text| parse(text)).collect()
}

/// Parses an image reference that the user gave.
pub(crate) fn parse(text: &str) -> Result<ImageRef, Failure> {
    text.parse().map_err(|error: evidence::image::ParseImageRefError| {
        let unusable = Failure::usage(format!("cannot use the image `{}`", text.escape_debug()));
        match ["https://", "http://", "docker://", "oci://"].iter().find(|it| text.starts_with(*it))
        {
            Some(scheme) => unusable.hint(format!("an image is named without `{scheme}`")),
            None => unusable.caused_by(error),
        }
    })
}

/// What the reference stands for now.
pub(crate) async fn resolve(
    registry: &Registry,
    image: &ImageRef,
    deadline: Deadline,
) -> Result<Manifest, Failure> {
    registry
        .resolve(image, deadline)
        .await
        .map_err(|error| not_looked_at(&format!("{image} cannot be looked up"), error))
}

/// The digest that the reference stands for now. One that has a digest need not be looked up.
pub(crate) async fn digest(
    registry: &Registry,
    image: &ImageRef,
    deadline: Deadline,
) -> Result<Digest, Failure> {
    Ok(look_up(registry, image, deadline).await?.digest)
}

/// The same, and whether it is an index, as far as the registry says without sending it.
pub(crate) async fn look_up(
    registry: &Registry,
    image: &ImageRef,
    deadline: Deadline,
) -> Result<LookedUp, Failure> {
    let found = registry.look_up(image, deadline).await;
    found.map_err(|error| not_looked_at(&format!("{image} cannot be looked up"), error))
}

/// What the tag means now that is written when an image gets this name; `None` if there is no such
/// tag, or the name has a digest and needs none.
pub(crate) async fn meant_now(
    registry: &Registry,
    image: &ImageRef,
    deadline: Deadline,
) -> Result<Option<Digest>, Failure> {
    let (None, Some(tag)) = (image.digest(), image.tag()) else { return Ok(None) };
    let found = registry.digest_of_tag(image, tag, deadline).await;
    found.map_err(|error| not_looked_at(&format!("what {image} is now is not known"), error))
}

/// Where evidence about an image is kept.
pub(crate) fn evidence_place(image: &ImageRef) -> Result<ImageRef, Failure> {
    Ok(target_repository()?.map_or_else(|| image.clone(), |target| target.of(image)))
}

/// A folder that could not be read says nothing either.
pub(crate) fn unreadable_layout(folder: &str, error: LayoutError) -> Failure {
    Failure::new(Exit::Unknown, format!("the image in {folder} cannot be read")).caused_by(error)
}

/// A registry that could not be asked says nothing about signatures.
pub(crate) fn not_looked_at(what: &str, error: FetchError) -> Failure {
    failed(Exit::Unknown, what, error)
}

/// A registry that did not do what it was asked, or that could not be asked: what it does not let
/// be read could not be told, and what it does not take has failed.
pub(crate) fn not_done(what: &str, error: FetchError) -> Failure {
    let could_not_be_asked = matches!(
        error.kind(),
        FetchErrorKind::Unauthorized(_)
            | FetchErrorKind::RateLimited { .. }
            | FetchErrorKind::TimedOut(_)
            | FetchErrorKind::Unreachable(_)
            | FetchErrorKind::Tls(_)
            | FetchErrorKind::ServerError { .. }
    );
    // GET and HEAD are safe methods (RFC 9110 §9.2.1).
    let unknown = could_not_be_asked || error.attempt().method.is_safe();
    failed(if unknown { Exit::Unknown } else { Exit::Failure }, what, error)
}

/// A registry that did not do what it was asked.
pub(crate) fn failed(exit: Exit, what: &str, error: FetchError) -> Failure {
    let absent = matches!(error.kind(), FetchErrorKind::NotFound { .. });
    let hint = error.hint().or_else(|| {
        let hint = "check how it is written; without a login, what is private may seem absent too";
        absent.then(|| hint.to_owned())
    });
    let failure = Failure::new(exit, what).caused_by(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

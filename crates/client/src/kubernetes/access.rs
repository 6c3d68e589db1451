//! Which cluster, and as whom: found where `kubectl` and Cosign find it.
//!
//! The kubeconfig if there is one, else, in a pod, the pod's own service account (Kubernetes
//! documentation, "Accessing the Kubernetes API from a Pod").

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, Url};

use super::KubernetesError;
use super::kubeconfig::{self, Chosen, KubeconfigError, Login, Pem};
use super::plugin::{ClusterInfo, Credentials};
use crate::address::ServiceUrl;
use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::printable;
use crate::http::{
    ClientCertificate, HostSecurity, HostTransport, Http, HttpOptions, Proxies, Redirects, Request,
    TlsTrust,
};
use crate::secret::Secret;

/// Where a pod finds its service account.
pub const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A cluster that is spoken to as somebody.
#[derive(Debug)]
pub struct Cluster {
    pub(super) http: Http,
    server: ServiceUrl,
    name: String,
    unchecked: bool,
    authorization: Option<HeaderValue>,
}

impl Cluster {
    /// Finds the cluster that the environment chose, and logs in where a plugin has to. `options` say
    /// how HTTP is spoken otherwise, and `service_account` where a pod's is ([`SERVICE_ACCOUNT`]).
    /// The cluster is not asked yet; a plugin may well ask its cloud.
    ///
    /// # Errors
    /// When no cluster is configured, or what is configured cannot be used.
    pub async fn find(
        environment: &Environment,
        service_account: &Path,
        options: HttpOptions,
        deadline: Deadline,
    ) -> Result<Self, KubernetesError> {
        let chosen = match kubeconfig::read(environment)? {
            Some(chosen) => chosen,
            None => of_pod(environment, service_account)
                .map_err(KubernetesError::Pod)?
                .ok_or(KubernetesError::NoCluster)?,
        };
        Self::open(chosen, environment, options, deadline).await
    }

    async fn open(
        mut chosen: Chosen,
        environment: &Environment,
        options: HttpOptions,
        deadline: Deadline,
    ) -> Result<Self, KubernetesError> {
        let name = printable(&chosen.name, 120);
        let bad_server = |source| KubernetesError::Server { cluster: name.clone(), source };
        let server: ServiceUrl = chosen.server.parse().map_err(bad_server)?;
        let login = match chosen.user.plugin.take() {
            // Plain HTTP is `kubectl proxy` on loopback, which logs in by itself; or whoever took its
            // port. As with `kubectl`, nothing is shown there.
            _ if server.as_url().scheme() != "https" => Login::default(),
            Some(plugin) if !chosen.user.is_complete() => {
                let given = plugin.ask(environment, info(&chosen), deadline).await;
                let given = given.map_err(|source| KubernetesError::Plugin {
                    plugin: printable(plugin.name(), 120),
                    source,
                })?;
                of_plugin(plugin.name(), given)
            }
            _ => std::mem::take(&mut chosen.user),
        };
        let tls = |source| KubernetesError::Tls { cluster: name.clone(), source };
        let certificate = login.certificate.as_ref().map(|(certificate, key)| {
            ClientCertificate::parse((&certificate.name, &certificate.text), (&key.name, &key.text))
        });
        let transport = HostTransport {
            security: match chosen.unchecked {
                true => HostSecurity::CertificateUnchecked,
                false => HostSecurity::Verified,
            },
            server_name: chosen.server_name.clone(),
            client_certificate: certificate.transpose().map_err(tls)?,
        };
        let mut options = options;
        if let Some(Pem { name, text }) = &chosen.authority {
            options.tls_trust = TlsTrust::only(name, text).map_err(tls)?;
        }
        if let Some(proxy) = &chosen.proxy {
            options.proxies = Proxies::through(proxy, "proxy-url")
                .map_err(|source| KubernetesError::Proxy { cluster: name.clone(), source })?;
        }
        let options = options.with_service(&server, transport).map_err(bad_server)?;
        let http = Http::new(options)
            .map_err(|source| KubernetesError::Http { cluster: name.clone(), source })?;
        let authorization = authorization(&login)
            .map_err(|NoHeader| KubernetesError::Token { cluster: name.clone() })?;
        Ok(Self { http, server, name, unchecked: chosen.unchecked, authorization })
    }

    /// The cluster's name in the kubeconfig.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the kubeconfig says that anybody may call himself the server: whoever is in between
    /// reads and writes along.
    #[must_use]
    pub fn is_unchecked(&self) -> bool {
        self.unchecked
    }

    /// A request about something below the server, which has to be answered there.
    pub(super) fn request(&self, method: Method, path: &str) -> Request {
        let url: Url = self.server.join(path);
        Request::new(method, url)
            .redirected(Redirects::Refuse)
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .authorized(self.authorization.clone())
    }
}

/// A pod's own cluster and account; `None` where this is no pod.
fn of_pod(environment: &Environment, folder: &Path) -> Result<Option<Chosen>, KubeconfigError> {
    let variable = |name| environment.get(name).map(Secret::expose);
    let (Some(host), Some(port)) =
        (variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT"))
    else {
        return Ok(None);
    };
    // An IPv6 address stands bare in the variable.
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let token = kubeconfig::named(&folder.join("token"))?;
    let token = String::from_utf8_lossy(&token).trim().to_owned();
    if token.is_empty() {
        return Err(KubeconfigError::Field {
            what: "file",
            name: folder.join("token").display().to_string(),
            wanted: "a token",
            found: "nothing",
        });
    }
    let authority = folder.join("ca.crt");
    let text = kubeconfig::named(&authority)?;
    Ok(Some(Chosen {
        name: "in which this pod runs".to_owned(),
        server: format!("https://{host}:{port}"),
        server_name: None,
        unchecked: false,
        authority: Some(Pem { name: authority, text }),
        proxy: None,
        plugin_config: None,
        user: Login { token: Some(Secret::new(token)), ..Login::default() },
    }))
}

/// What a plugin may be told.
fn info(chosen: &Chosen) -> ClusterInfo {
    ClusterInfo {
        server: chosen.server.clone(),
        tls_server_name: chosen.server_name.clone(),
        insecure_skip_tls_verify: chosen.unchecked,
        certificate_authority_data: chosen.authority.as_ref().map(|pem| STANDARD.encode(&pem.text)),
        proxy_url: chosen.proxy.clone(),
        config: chosen.plugin_config.clone(),
    }
}

fn of_plugin(plugin: &str, given: Credentials) -> Login {
    let pem = |secret: Secret| Pem {
        name: format!("the answer of `{}`", printable(plugin, 120)).into(),
        text: secret.expose().as_bytes().to_vec().into(),
    };
    let certificate = given.client_certificate_data.map(pem);
    Login {
        token: given.token,
        certificate: certificate.zip(given.client_key_data.map(pem)),
        ..Login::default()
    }
}

/// What was to be said to the server has no form in a header.
struct NoHeader;

fn authorization(login: &Login) -> Result<Option<HeaderValue>, NoHeader> {
    let header = match login {
        Login { token: Some(token), .. } => token.to_authorization("Bearer"),
        Login { basic: Some((user, password)), .. } => {
            let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
            Secret::new(pair).to_authorization("Basic")
        }
        _ => return Ok(None),
    };
    header.map(Some).ok_or(NoHeader)
}

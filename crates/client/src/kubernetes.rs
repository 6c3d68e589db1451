//! Keys that are kept in a Kubernetes cluster: `k8s://NAMESPACE/SECRET`, as Cosign writes and reads
//! them.
//!
//! Three requests of the Kubernetes API (`GET`, `POST` and `PUT` of `core/v1` Secrets) and no more, so
//! that no Kubernetes client is needed for them. Credentials go to the server that the configuration
//! names, and requests are answered where they were sent, or not at all.

mod access;
mod kubeconfig;
mod plugin;
mod secret;
mod yaml;

pub use access::{Cluster, SERVICE_ACCOUNT};
pub use kubeconfig::KubeconfigError;
pub use plugin::PluginError;
pub use secret::{KeyEntries, KeySecret};
pub use yaml::YamlError;

use std::fmt;
use std::str::FromStr;

use crate::address::BadUrl;
use crate::error::{FetchError, FetchErrorKind, Unauthorized};
use crate::http::{BadProxy, BuildHttpError, ReadTlsError};

/// Longest name of a namespace, in bytes (RFC 1123 label).
const NAMESPACE_SIZE_MAX: usize = 63;

/// Longest name of a Secret, in bytes (RFC 1123 subdomain, as Kubernetes takes it).
const NAME_SIZE_MAX: usize = 253;

/// Where a Secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRef {
    namespace: String,
    name: String,
}

impl SecretRef {
    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The Secret's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// As it is written behind `k8s://`.
impl FromStr for SecretRef {
    type Err = KubernetesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let label = |text: &str| {
            !text.is_empty()
                && text.bytes().all(plain)
                && !text.starts_with('-')
                && !text.ends_with('-')
        };
        match text.split_once('/') {
            Some((namespace, name))
                if namespace.len() <= NAMESPACE_SIZE_MAX
                    && label(namespace)
                    && name.len() <= NAME_SIZE_MAX
                    && name.split('.').all(label) =>
            {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err(KubernetesError::Reference { found: crate::error::printable(text, 120) }),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "k8s://{}/{}", self.namespace, self.name)
    }
}

/// Why a key in a cluster cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    /// Not a namespace and a name.
    #[error("wanted k8s://NAMESPACE/SECRET in lower case, found `k8s://{found}`")]
    Reference {
        /// What stands behind `k8s://`.
        found: String,
    },
    /// Nothing says where a cluster is.
    #[error("no cluster is configured: there is no kubeconfig, and this is no pod")]
    NoCluster,
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig")]
    Kubeconfig(#[from] KubeconfigError),
    /// This is a pod, and its service account cannot be used.
    #[error("the service account of this pod")]
    Pod(#[source] KubeconfigError),
    /// The server's address is none that is asked.
    #[error("the server of the cluster `{cluster}`")]
    Server {
        /// The cluster.
        cluster: String,
        /// What is wrong.
        source: BadUrl,
    },
    /// The program that logs in did not.
    #[error("the credential plugin `{plugin}`")]
    Plugin {
        /// The program.
        plugin: String,
        /// What happened.
        source: PluginError,
    },
    /// A token that cannot stand in a request.
    #[error("the token for the cluster `{cluster}` has characters that no token has")]
    Token {
        /// The cluster.
        cluster: String,
    },
    /// Certificates or keys cannot be used.
    #[error("the certificates for the cluster `{cluster}`")]
    Tls {
        /// The cluster.
        cluster: String,
        /// What is wrong.
        source: ReadTlsError,
    },
    /// The proxy cannot be used.
    #[error("the proxy of the cluster `{cluster}`")]
    Proxy {
        /// The cluster.
        cluster: String,
        /// What is wrong.
        source: BadProxy,
    },
    /// No connections can be made of all that.
    #[error("the connection to the cluster `{cluster}`")]
    Http {
        /// The cluster.
        cluster: String,
        /// What is wrong.
        source: BuildHttpError,
    },
    /// The cluster did not answer, or said no.
    #[error("{secret}")]
    Fetch {
        /// The Secret.
        secret: SecretRef,
        /// What happened.
        source: FetchError,
    },
    /// The Secret has something else in it.
    #[error("{secret} has no `{entry}`; it has {found}")]
    NoEntry {
        /// The Secret.
        secret: SecretRef,
        /// What should be in it.
        entry: &'static str,
        /// The names of what is in it.
        found: String,
    },
    /// What is in the Secret is not written as the API says.
    #[error("`{entry}` in {secret}: wanted base64, found something else")]
    NotBase64 {
        /// The Secret.
        secret: SecretRef,
        /// The name of what is in it.
        entry: &'static str,
    },
    /// There is a key in it already, which others may have signed with.
    #[error("{secret} holds a key already")]
    Taken {
        /// The Secret.
        secret: SecretRef,
    },
    /// The Secret may not be changed.
    #[error("{secret} is immutable")]
    Immutable {
        /// The Secret.
        secret: SecretRef,
    },
    /// The answer was lost, and another look did not help. The keys may be there, or get there yet.
    #[error("{secret} may hold the keys, or not")]
    NotKnown {
        /// The Secret.
        secret: SecretRef,
        /// What became of the answer.
        source: FetchError,
    },
    /// Somebody else changed it in the meantime.
    #[error("{secret} was changed by somebody else at the same time")]
    Changed {
        /// The Secret.
        secret: SecretRef,
    },
}

impl KubernetesError {
    /// What can be done about it, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoCluster => {
                "set KUBECONFIG, or log in so that `kubectl config current-context` names a cluster"
                    .to_owned()
            }
            Self::Kubeconfig(_) | Self::Server { .. } => {
                "look at it with `kubectl config view --minify`".to_owned()
            }
            Self::Pod(_) => {
                "give the pod a service account (`automountServiceAccountToken: true`), \
                             or set KUBECONFIG"
                    .to_owned()
            }
            Self::Plugin { source: PluginError::Run { install_hint: Some(hint), .. }, .. } => {
                hint.clone()
            }
            Self::Plugin { source: PluginError::Interactive, .. } => {
                "take a kubeconfig with a service account's token".to_owned()
            }
            Self::Fetch { secret, source } => return hint_of(secret, source),
            Self::NoEntry {
                secret: SecretRef { namespace, name }, entry: "cosign.pub", ..
            } => {
                format!(
                    "add it: `kubectl patch secret {name} -n {namespace} -p \
                     '{{\"data\":{{\"cosign.pub\":\"'$(base64 -w0 cosign.pub)'\"}}}}'`"
                )
            }
            Self::NoEntry { secret: SecretRef { namespace, name }, .. } => format!(
                "to sign, the private key has to be there too: `kubectl describe secret {name} -n \
                 {namespace}`"
            ),
            Self::Taken { secret } | Self::Immutable { secret } => format!(
                "keys are not overwritten: choose another name, or remove it with {}",
                secret.kubectl("delete")
            ),
            Self::NotKnown { secret, .. } => format!(
                "look with {} in a minute; if they are there, `countersign public-key --key \
                 {secret}` prints the public key",
                secret.kubectl("get")
            ),
            Self::Changed { .. } => "look who did, and run this again".to_owned(),
            _ => return None,
        })
    }
}

impl SecretRef {
    /// The line that does it.
    fn kubectl(&self, verb: &str) -> String {
        format!("`kubectl {verb} secret {} -n {}`", self.name, self.namespace)
    }
}

fn hint_of(secret: &SecretRef, error: &FetchError) -> Option<String> {
    let SecretRef { namespace, name } = secret;
    Some(match error.kind() {
        FetchErrorKind::Unauthorized(Unauthorized::CredentialsRefused { .. }) => format!(
            "the cluster does not know you, or no longer: log in again, until {} works",
            secret.kubectl("get")
        ),
        FetchErrorKind::Forbidden { .. } => format!(
            "you need the right to: `kubectl auth can-i get secrets/{name} -n {namespace}` says \
             whether you have it; a Role with `resources: [secrets]`, `resourceNames: [{name}]`, \
             `verbs: [get]` gives it"
        ),
        FetchErrorKind::NotFound { .. } => format!(
            "see what is there with `kubectl get secrets -n {namespace}`; `countersign \
             generate-key-pair {secret}` makes it"
        ),
        FetchErrorKind::Tls(_) => format!(
            "the certificate of {} is not by the authority that the kubeconfig names for it",
            error.host()
        ),
        _ => return error.hint(),
    })
}

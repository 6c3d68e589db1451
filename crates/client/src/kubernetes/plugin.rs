//! Plugins that log in to a cluster: programs of the clouds, which a kubeconfig names.
//!
//! Kubernetes documentation, "client-go credential plugins", and `client.authentication.k8s.io` v1 and
//! v1beta1 of the reference. What the user's own kubeconfig names is started, as `kubectl` does, but
//! gets no terminal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::deadline::Deadline;
use crate::environment::Environment;
use crate::error::HelperProblem;
use crate::json;
use crate::program;
use crate::secret::Secret;

/// Versions of the interface that are spoken.
const VERSIONS: [&str; 2] =
    ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/// Longest answer read, in bytes: a token, or a certificate chain and its key.
const ANSWER_SIZE_MAX: usize = 256 * 1024;

/// Longest time that a plugin may take: it asks a cloud, and no person.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A plugin as it is written.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Plugin {
    #[serde(default)]
    api_version: String,
    command: String,
    #[serde(default)]
    args: Option<Vec<String>>,
    #[serde(default)]
    env: Option<Vec<Variable>>,
    #[serde(default)]
    install_hint: Option<String>,
    #[serde(default)]
    provide_cluster_info: bool,
    #[serde(default)]
    interactive_mode: Option<String>,
}

#[derive(Clone, Deserialize)]
struct Variable {
    name: String,
    value: Secret,
}

/// What a plugin is told of the cluster, if it is to be.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ClusterInfo {
    pub(super) server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls_server_name: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) insecure_skip_tls_verify: bool,
    /// Base64 of PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) certificate_authority_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proxy_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) config: Option<Value>,
}

/// What a plugin gives.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Credentials {
    #[serde(default)]
    pub(super) token: Option<Secret>,
    /// PEM.
    #[serde(default)]
    pub(super) client_certificate_data: Option<Secret>,
    #[serde(default)]
    pub(super) client_key_data: Option<Secret>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    api_version: String,
    kind: String,
    #[serde(deserialize_with = "json::object")]
    status: Credentials,
}

/// Why a plugin gave no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    /// Another version of the interface.
    #[error("wanted {} or v1beta1 as its `apiVersion`, found `{found}`", VERSIONS[0])]
    Version {
        /// What the kubeconfig says.
        found: String,
    },
    /// It wants to ask a person.
    #[error("it has to be run on a terminal (`interactiveMode: Always`)")]
    Interactive,
    /// It did not run, or not to a good end.
    #[error("it {problem}")]
    Run {
        /// What happened.
        problem: HelperProblem,
        /// What the kubeconfig says about how to get it.
        install_hint: Option<String>,
    },
    /// It answered well, and gave neither a token nor a certificate with its key.
    #[error("wanted a token, or a certificate with its key, found neither")]
    Nothing,
}

impl Plugin {
    /// Its name, as the kubeconfig has it.
    pub(super) fn name(&self) -> &str {
        &self.command
    }

    /// As named in a kubeconfig in that folder: a path is relative to it, a bare name is looked for.
    pub(super) fn relative_to(mut self, folder: &Path) -> Self {
        if self.is_path() && !Path::new(&self.command).is_absolute() {
            self.command = folder.join(&self.command).display().to_string();
        }
        self
    }

    fn is_path(&self) -> bool {
        self.command.contains(std::path::MAIN_SEPARATOR)
    }

    /// Runs it.
    pub(super) async fn ask(
        &self,
        environment: &Environment,
        cluster: ClusterInfo,
        deadline: Deadline,
    ) -> Result<Credentials, PluginError> {
        if !VERSIONS.contains(&self.api_version.as_str()) {
            let found = crate::error::printable(&self.api_version, 80);
            return Err(PluginError::Version { found });
        }
        if self.interactive_mode.as_deref() == Some("Always") {
            return Err(PluginError::Interactive);
        }
        let failed = |problem| PluginError::Run {
            problem,
            install_hint: match self.install_hint.as_deref() {
                None | Some("") => None,
                Some(hint) => Some(crate::error::printable(hint, 300)),
            },
        };
        let program = match self.is_path() {
            true => PathBuf::from(&self.command),
            false => program::find(&self.command, environment)
                .ok_or_else(|| failed(HelperProblem::NotFound))?,
        };
        let cluster = self.provide_cluster_info.then_some(cluster);
        let mut command = program::command(&program, environment);
        command
            .args(self.args.iter().flatten())
            .envs(self.env.iter().flatten().map(|one| (&one.name, one.value.expose())))
            .env("KUBERNETES_EXEC_INFO", info(&self.api_version, cluster));
        let end = deadline.or_after(TIMEOUT);
        let ended = program::run(command, &[], ANSWER_SIZE_MAX, end).await.map_err(failed)?;
        let output = ended.output().map_err(failed)?;
        let malformed = || failed(HelperProblem::Malformed);
        let answer: Answer = json::parse(&output).map_err(|_| malformed())?;
        if answer.kind != "ExecCredential" || answer.api_version != self.api_version {
            return Err(malformed());
        }
        let said = |secret: Option<Secret>| secret.filter(|secret| !secret.expose().is_empty());
        let Credentials { token, client_certificate_data, client_key_data } = answer.status;
        let credentials = Credentials {
            token: said(token),
            client_certificate_data: said(client_certificate_data),
            client_key_data: said(client_key_data),
        };
        match &credentials {
            Credentials { client_certificate_data: Some(_), client_key_data: Some(_), .. }
            | Credentials {
                token: Some(_),
                client_certificate_data: None,
                client_key_data: None,
            } => Ok(credentials),
            _ => Err(PluginError::Nothing),
        }
    }
}

/// What `KUBERNETES_EXEC_INFO` says.
fn info(version: &str, cluster: Option<ClusterInfo>) -> String {
    let mut spec = json!({"interactive": false});
    if let Some(cluster) = cluster {
        spec["cluster"] = serde_json::to_value(cluster).expect("text can be written as JSON");
    }
    json!({"apiVersion": version, "kind": "ExecCredential", "spec": spec}).to_string()
}

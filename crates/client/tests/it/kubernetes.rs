//! Keys in a cluster: asked of an API server that answers as the real one documents.

mod config;
mod keys;
mod plugin;

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use client::Environment;
use client::kubernetes::{Cluster, KeySecret, KubernetesError, SecretRef};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::server::{Received, Reply, serve};
use crate::tls::Authority;
use crate::{ample, options};

/// An API server for `localhost`, which serves until it is dropped.
struct ApiServer {
    port: u16,
    requests: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl ApiServer {
    async fn start(
        acceptor: TlsAcceptor,
        reply: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that does not trust us hangs up.
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                let _ = serve(stream, &seen, &reply).await;
            }
        });
        Self { port, requests, task }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    fn lines(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().map(Received::line).collect()
    }

    fn requests(&self) -> Vec<Received> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A person with a kubeconfig.
struct Desk {
    folder: TempDir,
    authority: Authority,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), authority: Authority::named("cluster") }
    }

    /// A server whose certificate is by the authority of this desk's kubeconfig.
    async fn server(
        &self,
        reply: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> ApiServer {
        ApiServer::start(self.authority.acceptor(&["localhost"]), reply).await
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The authority's certificate as a kubeconfig holds it.
    fn authority_data(&self) -> String {
        STANDARD.encode(pem("CERTIFICATE", &self.authority.certificate))
    }

    /// A kubeconfig for that server and that user, as JSON, which is YAML.
    fn kubeconfig(&self, server: &str, user: &Value) -> String {
        let cluster =
            json!({"server": server, "certificate-authority-data": self.authority_data()});
        self.kubeconfig_of(&cluster, user)
    }

    fn kubeconfig_of(&self, cluster: &Value, user: &Value) -> String {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "preferences": {},
            "current-context": "work",
            "contexts": [{"name": "work", "context": {"cluster": "prod", "user": "ali"}}],
            "clusters": [{"name": "prod", "cluster": cluster}],
            "users": [{"name": "ali", "user": user}],
        });
        self.write("config", &config.to_string())
    }

    async fn find(&self, variables: &[(&str, &str)]) -> Result<Cluster, KubernetesError> {
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let environment = Environment::new(variables);
        Cluster::find(&environment, &self.pod(), options(), ample()).await
    }

    /// Where a pod would have its service account.
    fn pod(&self) -> std::path::PathBuf {
        self.folder.path().join("serviceaccount")
    }

    /// Reads the key's Secret in the cluster that the kubeconfig names.
    async fn read(&self, kubeconfig: &str) -> Result<KeySecret, KubernetesError> {
        let path = std::env::var("PATH").unwrap();
        let cluster = self.find(&[("KUBECONFIG", kubeconfig), ("PATH", &path)]).await?;
        cluster.secret(&at(), ample()).await
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    pem_rfc7468::encode_string(label, pem_rfc7468::LineEnding::LF, der).unwrap()
}

fn token(token: &str) -> Value {
    json!({"token": token})
}

fn at() -> SecretRef {
    "sign-system/release.key".parse().unwrap()
}

const PATH: &str = "/api/v1/namespaces/sign-system/secrets/release.key";

/// A Secret as the API server sends it.
fn secret(data: &Value) -> Value {
    json!({
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": {
            "name": "release.key",
            "namespace": "sign-system",
            "uid": "0f0e4f4c-8b0c-4b2e-9f6e-2f9b6c7a1d11",
            "resourceVersion": "41",
            "labels": {"team": "release"},
        },
        "data": data,
        "type": "Opaque",
    })
}

fn keys() -> Value {
    json!({
        "cosign.key": STANDARD.encode("private"),
        "cosign.pub": STANDARD.encode("public"),
        "cosign.password": STANDARD.encode("hunter2"),
    })
}

fn json_reply(status: u16, body: &Value) -> Reply {
    Reply::status(status).with("Content-Type", "application/json").body(body.to_string())
}

/// What the API server says when it refuses (`Status` of `meta/v1`).
fn status(code: u16, reason: &str, message: &str) -> Reply {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    json_reply(code, &body)
}

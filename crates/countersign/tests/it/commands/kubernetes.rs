//! Keys that are kept in a cluster.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::world::World;

type Secrets = Arc<Mutex<HashMap<String, Value>>>;

/// An API server that keeps Secrets, as behind `kubectl proxy`, which shows it who asks.
struct ApiServer {
    port: u16,
    secrets: Secrets,
    _runtime: Runtime,
}

impl ApiServer {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        let secrets = Secrets::default();
        let routes = Router::new()
            .route("/api/v1/namespaces/{namespace}/secrets/{name}", get(read))
            .route("/api/v1/namespaces/{namespace}/secrets", post(create))
            .with_state(Arc::clone(&secrets));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { port, secrets, _runtime: runtime }
    }

    /// A kubeconfig for it.
    fn kubeconfig(&self, world: &World) -> String {
        let server = format!("http://127.0.0.1:{}", self.port);
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: here\ncontexts:\n- name: here\n  \
             context: {{cluster: here, user: me}}\nclusters:\n- name: here\n  cluster:\n    \
             server: {server}\nusers:\n- name: me\n  user:\n    token: secret\n"
        );
        world.write("kubeconfig", config);
        world.path("kubeconfig").display().to_string()
    }
}

fn refusal(code: StatusCode, message: &str) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": message, "code": code.as_u16()});
    (code, Json(status)).into_response()
}

/// Everything may be done but in some namespaces. To what speaks plain HTTP nothing is shown.
fn refused(headers: &HeaderMap, namespace: &str) -> Option<Response> {
    assert!(!headers.contains_key("authorization"));
    match namespace {
        "logged-out" => Some(refusal(StatusCode::UNAUTHORIZED, "Unauthorized")),
        "others" => {
            let message = "User \"me\" cannot get resource \"secrets\"";
            Some(refusal(StatusCode::FORBIDDEN, message))
        }
        _ => None,
    }
}

async fn read(
    State(secrets): State<Secrets>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = refused(&headers, &namespace) {
        return refusal;
    }
    match secrets.lock().unwrap().get(&format!("{namespace}/{name}")) {
        Some(secret) => Json(secret).into_response(),
        None => refusal(StatusCode::NOT_FOUND, &format!("secrets \"{name}\" not found")),
    }
}

async fn create(
    State(secrets): State<Secrets>,
    Path(namespace): Path<String>,
    headers: HeaderMap,
    Json(mut secret): Json<Value>,
) -> Response {
    if let Some(refusal) = refused(&headers, &namespace) {
        return refusal;
    }
    if namespace == "behind-a-gateway" {
        return refusal(StatusCode::GATEWAY_TIMEOUT, "no answer in time");
    }
    secret["metadata"]["resourceVersion"] = "1".into();
    let name = secret["metadata"]["name"].as_str().unwrap();
    secrets.lock().unwrap().insert(format!("{namespace}/{name}"), secret.clone());
    (StatusCode::CREATED, Json(secret)).into_response()
}

#[test]
fn a_key_in_a_cluster_signs_and_verifies() {
    let (world, server) = (World::new(), ApiServer::start());
    let kubeconfig = server.kubeconfig(&world);
    let cluster = [("KUBECONFIG", kubeconfig.as_str())];
    // The password is made where none is given, because it is kept.
    let mut command = world.command("generate-key-pair k8s://release/signing");
    let output = command.env("KUBECONFIG", &kubeconfig).env_remove("COSIGN_PASSWORD").output();
    let made = super::world::Said::new("generate-key-pair", &output.unwrap()).ends(0);
    made.without_result().says(&["k8s://release/signing", "cosign.pub"]);
    assert!(!world.path("cosign.key").exists());
    let secret = server.secrets.lock().unwrap()["release/signing"].clone();
    assert_eq!(secret["immutable"], true);
    let entry = |name: &str| {
        let bytes = STANDARD.decode(secret["data"][name].as_str().unwrap()).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    assert!(entry("cosign.key").starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----"));
    assert_eq!(entry("cosign.pub"), world.read("cosign.pub"));
    assert_eq!(entry("cosign.password").len(), 64);

    let printed = world.run_with("public-key --key k8s://release/signing", &cluster).ends(0);
    assert_eq!(printed.stdout, world.read("cosign.pub"));
    let (image, other) = (world.push("acme/app", "1"), world.push("acme/app", "2"));
    world.run_with(&format!("sign --key k8s://release/signing {image}"), &cluster).ends(0);
    let verify = |image: &str| format!("verify --key k8s://release/signing {image}");
    world.run_with(&verify(&image), &cluster).ends(0);
    world.run_with(&verify(&other), &cluster).ends(10);
    world.run(&format!("verify --key cosign.pub {image}")).ends(0);
    // Another key under the same name is another key.
    world.run_alone("generate-key-pair --output-key-prefix another").ends(0);
    let changed = STANDARD.encode(world.read("another.pub"));
    server.secrets.lock().unwrap().get_mut("release/signing").unwrap()["data"]["cosign.pub"] =
        changed.into();
    world.run_with(&verify(&image), &cluster).ends(12);
}

#[test]
fn a_key_in_a_cluster_is_not_overwritten() {
    let (world, server) = (World::new(), ApiServer::start());
    let kubeconfig = server.kubeconfig(&world);
    let cluster = [("KUBECONFIG", kubeconfig.as_str())];
    let generate = "generate-key-pair k8s://release/signing --output-key-prefix";
    world.run_with(&format!("{generate} one"), &cluster).ends(0);
    let before = server.secrets.lock().unwrap().clone();
    let said = world.run_with(&format!("{generate} two"), &cluster).ends(2);
    said.says(&["holds a key already", "kubectl delete secret signing -n release"]);
    world
        .run_with(&format!("{generate} one"), &cluster)
        .ends(2)
        .says(&["one.pub is there already"]);
    assert_eq!(*server.secrets.lock().unwrap(), before);
    assert!(!world.path("two.pub").exists());
    let said = world.run_with("generate-key-pair gitlab://project", &cluster).ends(2);
    said.says(&["k8s://NAMESPACE/SECRET"]);
}

/// What was written without an answer may be there, or get there yet.
#[test]
fn whether_keys_are_in_a_cluster_may_not_be_known() {
    let (world, server) = (World::new(), ApiServer::start());
    let kubeconfig = server.kubeconfig(&world);
    let cluster = [("KUBECONFIG", kubeconfig.as_str())];
    let said = world.run_with("generate-key-pair k8s://behind-a-gateway/signing", &cluster).ends(3);
    said.says(&["it is not known whether the keys were kept", "no answer in time", "public-key"]);
    let said = world.run_with("generate-key-pair k8s://others/signing", &cluster).ends(1);
    said.says(&["the keys were not kept"]);
}

/// Who cannot be asked has not said that an image is unsigned.
#[test]
fn a_cluster_that_does_not_say_is_no_verdict() {
    let (world, server) = (World::new(), ApiServer::start());
    let kubeconfig = server.kubeconfig(&world);
    let cluster = [("KUBECONFIG", kubeconfig.as_str())];
    let image = world.push("acme/app", "1");
    let verify = |key: &str| world.run_with(&format!("verify --key {key} {image}"), &cluster);
    verify("k8s://logged-out/signing").ends(3).says(&["Unauthorized", "log in again"]);
    let said = verify("k8s://others/signing").ends(3);
    said.says(&["cannot get resource", "kubectl auth can-i get secrets/signing -n others"]);
    let said = verify("k8s://release/absent").ends(3);
    said.says(&["\"absent\" not found", "kubectl get secrets -n release"]);
    verify("k8s://release").ends(2).says(&["k8s://NAMESPACE/SECRET"]);
    let said = world.run(&format!("verify --key k8s://release/signing {image}")).ends(2);
    said.says(&["there is no kubeconfig", "KUBECONFIG"]);
    let said = world.run_with(&format!("sign --key k8s://others/signing {image}"), &cluster);
    said.ends(1).says(&["kubectl auth can-i get"]);
}

//! Programs that log in to a cluster.

use client::kubernetes::{KubernetesError, PluginError};
use serde_json::{Value, json};

use super::config::client_pair;
use super::{Desk, json_reply, keys, secret};
use crate::script;

const VERSION: &str = "client.authentication.k8s.io/v1";

fn credential(status: &Value) -> String {
    json!({"apiVersion": VERSION, "kind": "ExecCredential", "status": status}).to_string()
}

/// A user who logs in with the program `login` beside the kubeconfig.
fn user(more: Value) -> Value {
    let mut exec = json!({
        "apiVersion": VERSION,
        "command": "./login",
        "args": null,
        "interactiveMode": "IfAvailable",
    });
    for (name, value) in more.as_object().unwrap() {
        exec[name] = value.clone();
    }
    json!({"exec": exec})
}

async fn error(desk: &Desk, user: &Value) -> PluginError {
    let kubeconfig = desk.kubeconfig("https://localhost:1", user);
    match desk.read(&kubeconfig).await.unwrap_err() {
        KubernetesError::Plugin { source, .. } => source,
        error => panic!("{user}: {error:?}"),
    }
}

#[tokio::test]
async fn a_program_gives_a_token() {
    let desk = Desk::new();
    let server = desk.server(|_| json_reply(200, &secret(&keys()))).await;
    let told = desk.folder.path().join("told");
    let answer =
        credential(&json!({"token": "fresh", "expirationTimestamp": "2030-01-01T00:00:00Z"}));
    let text = format!(
        "cat >/dev/null\necho \"$KUBERNETES_EXEC_INFO\" >{0}\necho \"$1 $REGION $SECRET\" >>{0}\n\
         echo '{answer}'",
        told.display()
    );
    script::install(desk.folder.path().join("login"), &text);
    let user = user(json!({
        "args": ["get-token"],
        "env": [{"name": "REGION", "value": "eu"}],
        "provideClusterInfo": true,
    }));
    desk.read(&desk.kubeconfig(&server.url(), &user)).await.unwrap();
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer fresh"));
    let told = std::fs::read_to_string(told).unwrap();
    let (info, rest) = told.split_once('\n').unwrap();
    let info: Value = serde_json::from_str(info).unwrap();
    let cluster =
        json!({"server": server.url(), "certificate-authority-data": desk.authority_data()});
    assert_eq!(
        info,
        json!({"apiVersion": VERSION, "kind": "ExecCredential",
            "spec": {"interactive": false, "cluster": cluster}})
    );
    assert_eq!(rest, "get-token eu \n");
}

/// In the folder of the kubeconfig, or on the path, and nowhere else.
#[tokio::test]
async fn a_program_is_looked_for_by_its_name() {
    let desk = Desk::new();
    let server = desk.server(|_| json_reply(200, &secret(&keys()))).await;
    let answer = credential(&json!({"token": "fresh"}));
    script::install(desk.folder.path().join("cloud-login"), &format!("echo '{answer}'"));
    let user = user(json!({"command": "cloud-login", "installHint": "install the cloud's tools"}));
    let kubeconfig = desk.kubeconfig(&server.url(), &user);
    let folder = desk.folder.path().display().to_string();
    let with_path = [("KUBECONFIG", kubeconfig.as_str()), ("PATH", &folder)];
    desk.find(&with_path).await.unwrap();
    let error = desk.find(&[("KUBECONFIG", &kubeconfig), ("PATH", ".")]).await.unwrap_err();
    assert_eq!(error.hint().unwrap(), "install the cloud's tools");
    assert_eq!(error.to_string(), "the credential plugin `cloud-login`");
}

#[tokio::test]
async fn a_program_gives_a_certificate() {
    let desk = Desk::new();
    let server = desk.server(|_| json_reply(200, &secret(&keys()))).await;
    let (certificate, key) = client_pair(&desk.authority);
    let status = json!({"clientCertificateData": certificate, "clientKeyData": key});
    let answer = desk.write("answer", &credential(&status));
    script::install(desk.folder.path().join("login"), &format!("cat {answer}"));
    desk.read(&desk.kubeconfig(&server.url(), &user(json!({})))).await.unwrap();
    assert_eq!(server.requests()[0].header("authorization"), None);
}

/// Who has something to show is not asked to log in.
#[tokio::test]
async fn a_program_is_run_only_where_nothing_else_is_there() {
    let desk = Desk::new();
    let server = desk.server(|_| json_reply(200, &secret(&keys()))).await;
    script::install(desk.folder.path().join("login"), "exit 1");
    let mut user = user(json!({}));
    user["token"] = "given".into();
    desk.read(&desk.kubeconfig(&server.url(), &user)).await.unwrap();
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer given"));
}

#[tokio::test]
async fn what_a_program_does_else_is_told_and_its_answer_is_not() {
    let desk = Desk::new();
    let other = json!({"apiVersion": "client.authentication.k8s.io/v1beta1",
        "kind": "ExecCredential", "status": {"token": "hunter2"}});
    for (text, wanted) in [
        ("echo hunter2; echo the session has expired >&2; exit 3".to_owned(), "expired"),
        ("echo hunter2; exit 3".to_owned(), "exit status: 3"),
        ("echo hunter2".to_owned(), "something else"),
        (format!("echo '{other}'"), "something else"),
        (format!("echo '{}'", json!({"kind": "ExecCredential"})), "something else"),
        ("exec cat /dev/zero".to_owned(), "more than"),
        (format!("echo '{}'", credential(&json!({}))), "found neither"),
        (format!("echo '{}'", credential(&json!({"token": ""}))), "found neither"),
        (
            format!("echo '{}'", credential(&json!({"clientCertificateData": "hunter2"}))),
            "found neither",
        ),
    ] {
        script::install(desk.folder.path().join("login"), &text);
        let error = error(&desk, &user(json!({}))).await;
        assert!(error.to_string().contains(wanted), "{text}: {error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

/// Logs of hundreds of kilobytes, as a verbose setting gives them; who stops listening ends the
/// program that writes them.
#[tokio::test]
async fn a_program_may_complain_at_length() {
    let desk = Desk::new();
    let server = desk.server(|_| json_reply(200, &secret(&keys()))).await;
    let answer = credential(&json!({"token": "fresh"}));
    let text = format!("head -c 1000000 /dev/zero >&2 || exit 9\necho '{answer}'");
    script::install(desk.folder.path().join("login"), &text);
    desk.read(&desk.kubeconfig(&server.url(), &user(json!({})))).await.unwrap();
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer fresh"));
}

#[tokio::test]
async fn a_program_of_another_kind_is_not_run() {
    let desk = Desk::new();
    let ran = desk.folder.path().join("ran");
    script::install(desk.folder.path().join("login"), &format!("touch {}", ran.display()));
    let old = user(json!({"apiVersion": "client.authentication.k8s.io/v1alpha1"}));
    assert!(matches!(error(&desk, &old).await, PluginError::Version { .. }));
    let asking = user(json!({"interactiveMode": "Always"}));
    assert!(matches!(error(&desk, &asking).await, PluginError::Interactive));
    assert!(!ran.exists());
}

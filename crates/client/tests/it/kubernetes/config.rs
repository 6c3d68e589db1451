//! Which cluster is meant, and as whom: the kubeconfig's files, and a pod's own account.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use client::BadUrl;
use client::kubernetes::{KubeconfigError, KubernetesError, YamlError};
use crypto::KeyKind;
use serde_json::{Value, json};
use testkit::Key;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::{ApiServer, Desk, json_reply, keys, pem, secret, token};
use crate::server::{Reply, Server};
use crate::tls::Authority;

fn served() -> Reply {
    json_reply(200, &secret(&keys()))
}

#[tokio::test]
async fn without_a_cluster_the_reason_says_what_to_do() {
    let desk = Desk::new();
    let home = desk.folder.path().display().to_string();
    let empty = desk.write("empty", "# nothing\n");
    let bare = desk.write("bare", "apiVersion: v1\nkind: Config\nclusters: null\n");
    for variables in [
        &[][..],
        &[("HOME", home.as_str())],
        &[("KUBECONFIG", "/nowhere/config")],
        &[("KUBECONFIG", &empty)],
        &[("KUBECONFIG", &bare)],
        // One of two is no pod.
        &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")],
    ] {
        let error = desk.find(variables).await.unwrap_err();
        assert!(matches!(error, KubernetesError::NoCluster), "{variables:?}: {error:?}");
        assert!(error.hint().unwrap().contains("KUBECONFIG"));
    }
}

/// As `kubectl config` writes it, with paths relative to the file.
#[tokio::test]
async fn a_kubeconfig_is_found_at_home() {
    let desk = Desk::new();
    let server = desk.server(|_| served()).await;
    desk.write(".kube/pki/ca.crt", &pem("CERTIFICATE", &desk.authority.certificate));
    desk.write(".kube/token", "from-the-file\n");
    let config = format!(
        "apiVersion: v1\nkind: Config\npreferences: {{}}\ncurrent-context: work\ncontexts:\n- \
         context:\n    cluster: prod\n    namespace: default\n    user: ali\n  name: work\n\
         clusters:\n- cluster:\n    certificate-authority: pki/ca.crt\n    server: {}\n  name: \
         prod\nusers:\n- name: ali\n  user:\n    token: stale\n    tokenFile: token\n",
        server.url()
    );
    desk.write(".kube/config", &config);
    let home = desk.folder.path().display().to_string();
    let cluster = desk.find(&[("HOME", &home)]).await.unwrap();
    assert_eq!((cluster.name(), cluster.is_unchecked()), ("prod", false));
    cluster.secret(&super::at(), crate::ample()).await.unwrap();
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer from-the-file"));
}

#[tokio::test]
async fn the_first_file_to_say_something_wins() {
    let desk = Desk::new();
    let (server, other) = (desk.server(|_| served()).await, desk.server(|_| served()).await);
    let user = |name: &str, user: Value| json!({"name": name, "user": user});
    let first = json!({"users": [user("ali", token("first"))], "current-context": ""});
    let first = desk.write("first", &first.to_string());
    let whole = desk.kubeconfig(&server.url(), &token("second"));
    let third = json!({
        "current-context": "other",
        "clusters": [{"name": "prod", "cluster": {"server": other.url()}}],
    });
    let third = desk.write("third", &third.to_string());
    let list = format!("{first}::/nowhere/config:{whole}:{third}");
    desk.read(&list).await.unwrap();
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer first"));
    assert_eq!(other.lines(), [""; 0]);
    let many = vec![first; 33].join(":");
    let error = desk.read(&many).await.unwrap_err();
    assert!(matches!(error, KubernetesError::Kubeconfig(KubeconfigError::TooManyFiles)));
}

#[tokio::test]
async fn a_pod_has_its_own_account() {
    let desk = Desk::new();
    let server = desk.server(|_| served()).await;
    let port = server.port.to_string();
    let pod = [("KUBERNETES_SERVICE_HOST", "localhost"), ("KUBERNETES_SERVICE_PORT", &port)];
    let error = desk.find(&pod).await.unwrap_err();
    assert!(matches!(error, KubernetesError::Pod(KubeconfigError::Read { .. })), "{error:?}");
    assert!(error.hint().unwrap().contains("automountServiceAccountToken"));
    desk.write("serviceaccount/token", "\n");
    let error = desk.find(&pod).await.unwrap_err();
    assert!(matches!(error, KubernetesError::Pod(KubeconfigError::Field { .. })), "{error:?}");
    desk.write("serviceaccount/token", "of-the-pod\n");
    desk.write("serviceaccount/ca.crt", &pem("CERTIFICATE", &desk.authority.certificate));
    let cluster = desk.find(&pod).await.unwrap();
    cluster.secret(&super::at(), crate::ample()).await.unwrap();
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer of-the-pod"));
    // Who brings a kubeconfig means another cluster, or another user.
    let kubeconfig = desk.kubeconfig(&server.url(), &token("mine"));
    let cluster = desk.find(&[pod[0], pod[1], ("KUBECONFIG", &kubeconfig)]).await.unwrap();
    cluster.secret(&super::at(), crate::ample()).await.unwrap();
    assert_eq!(server.requests()[1].header("authorization"), Some("Bearer mine"));
}

/// What is empty says nothing: neither a file without a token nor one that is not named.
#[tokio::test]
async fn an_empty_token_is_none() {
    let desk = Desk::new();
    let server = desk.server(|_| served()).await;
    desk.write("empty", "\n");
    for file in ["empty", ""] {
        let both = json!({"tokenFile": file, "token": "other"});
        desk.read(&desk.kubeconfig(&server.url(), &both)).await.unwrap();
        // A plugin is asked where there is nothing else.
        let plugin = json!({"tokenFile": file, "exec": {"apiVersion": "none", "command": "login"}});
        let error = desk.read(&desk.kubeconfig(&server.url(), &plugin)).await.unwrap_err();
        assert!(matches!(error, KubernetesError::Plugin { .. }), "{error:?}");
    }
    let shown: Vec<_> =
        server.requests().iter().map(|it| it.header("authorization").map(str::to_owned)).collect();
    assert_eq!(shown, [Some("Bearer other".to_owned()), Some("Bearer other".to_owned())]);
}

#[tokio::test]
async fn a_user_may_have_a_password() {
    let desk = Desk::new();
    let server = desk.server(|_| served()).await;
    let user = json!({"username": "ali", "password": "open sesame"});
    desk.read(&desk.kubeconfig(&server.url(), &user)).await.unwrap();
    assert_eq!(server.requests()[0].header("authorization"), Some(crate::AUTHORIZATION));
}

/// A server that lets nobody in without a certificate by that authority.
async fn asking(desk: &Desk) -> ApiServer {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(desk.authority.certificate.clone())).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let (certificate, key) = desk.authority.server(&["localhost"]);
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], key)
        .unwrap();
    ApiServer::start(TlsAcceptor::from(Arc::new(config)), |_| served()).await
}

/// A client's certificate and its key, as PEM.
pub(super) fn client_pair(authority: &Authority) -> (String, String) {
    let key = Key::named("client", KeyKind::EcdsaP256);
    let certificate = authority.certify(&["client.example"], "1.3.6.1.5.5.7.3.2", &key);
    let key = key.pair().to_pkcs8_der().unwrap();
    (pem("CERTIFICATE", &certificate), pem("PRIVATE KEY", &key))
}

#[tokio::test]
async fn a_user_may_have_a_certificate() {
    let desk = Desk::new();
    let server = asking(&desk).await;
    let (certificate, key) = client_pair(&desk.authority);
    desk.write("ali.crt", &certificate);
    desk.write("ali.key", &key);
    for user in [
        json!({
            "client-certificate-data": STANDARD.encode(&certificate),
            "client-key-data": STANDARD.encode(&key),
        }),
        json!({"client-certificate": "ali.crt", "client-key": "ali.key"}),
    ] {
        desk.read(&desk.kubeconfig(&server.url(), &user)).await.unwrap();
    }
    assert_eq!(server.requests()[0].header("authorization"), None);
    desk.read(&desk.kubeconfig(&server.url(), &token("x"))).await.unwrap_err();
    assert_eq!(server.lines().len(), 2);
    // Another one's key.
    let other = Key::named("another", KeyKind::EcdsaP256).pair().to_pkcs8_der().unwrap();
    let other = pem("PRIVATE KEY", &other);
    let user = json!({
        "client-certificate-data": STANDARD.encode(&certificate),
        "client-key-data": STANDARD.encode(other),
    });
    let error = desk.read(&desk.kubeconfig(&server.url(), &user)).await.unwrap_err();
    assert!(matches!(error, KubernetesError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_may_have_another_name() {
    let desk = Desk::new();
    let server = ApiServer::start(desk.authority.acceptor(&["kubernetes"]), |_| served()).await;
    let cluster = |name: &str| {
        json!({
            "server": server.url(),
            "certificate-authority-data": desk.authority_data(),
            "tls-server-name": name,
        })
    };
    desk.read(&desk.kubeconfig_of(&cluster("kubernetes"), &token("x"))).await.unwrap();
    for name in ["", "other"] {
        desk.read(&desk.kubeconfig_of(&cluster(name), &token("x"))).await.unwrap_err();
    }
    assert_eq!(server.lines().len(), 1);
}

/// A waiver that the kubeconfig says in so many words, and that can be seen.
#[tokio::test]
async fn an_unchecked_server_is_told_of() {
    let desk = Desk::new();
    let unknown = Authority::named("nobody");
    let server = ApiServer::start(unknown.acceptor(&["elsewhere"]), |_| served()).await;
    let mut cluster = json!({"server": server.url(), "insecure-skip-tls-verify": true});
    let kubeconfig = desk.kubeconfig_of(&cluster, &token("x"));
    desk.read(&kubeconfig).await.unwrap();
    assert!(desk.find(&[("KUBECONFIG", &kubeconfig)]).await.unwrap().is_unchecked());
    cluster["certificate-authority-data"] = desk.authority_data().into();
    let error = desk.read(&desk.kubeconfig_of(&cluster, &token("x"))).await.unwrap_err();
    assert!(
        matches!(&error, KubernetesError::Kubeconfig(KubeconfigError::Field { found: "both", .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_cluster_may_be_behind_a_proxy() {
    let desk = Desk::new();
    let proxy = Server::start(|_| Reply::status(403)).await;
    let cluster = |proxy: &str| {
        json!({
            "server": "https://cluster.example:6443",
            "certificate-authority-data": desk.authority_data(),
            "proxy-url": proxy,
        })
    };
    let kubeconfig = desk.kubeconfig_of(&cluster(&proxy.url("")), &token("bearer"));
    desk.read(&kubeconfig).await.unwrap_err();
    assert!(proxy.lines().iter().all(|line| line == "CONNECT cluster.example:6443"));
    assert!(!proxy.lines().is_empty());
    assert_eq!(proxy.authorizations(), [""; 0]);
    let kubeconfig = desk.kubeconfig_of(&cluster("socks5://127.0.0.1:1"), &token("x"));
    let error = desk.read(&kubeconfig).await.unwrap_err();
    assert!(matches!(error, KubernetesError::Proxy { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_is_spoken_to_in_https() {
    let desk = Desk::new();
    for server in ["http://cluster.example:6443", "cluster.example", "", "https://u:p@x.example"] {
        let error = desk.read(&desk.kubeconfig(server, &token("x"))).await.unwrap_err();
        assert!(matches!(error, KubernetesError::Server { .. }), "{server}: {error:?}");
    }
    // `kubectl proxy` speaks plain HTTP on loopback, and is shown nothing, nor is who took its port.
    let server = Server::start(|_| served()).await;
    let basic = json!({"username": "ali", "password": "open sesame"});
    let plugin = json!({"exec": {"apiVersion": "none", "command": "/nowhere/login"}});
    for user in [json!({}), token("bearer"), basic, plugin] {
        desk.read(&desk.kubeconfig_of(&json!({"server": server.url("")}), &user)).await.unwrap();
    }
    assert_eq!(server.lines().len(), 4);
    assert_eq!(server.authorizations(), [""; 0]);
    let plain = KubernetesError::Server {
        cluster: String::new(),
        source: BadUrl::PlainHttp { host: String::new() },
    };
    assert!(plain.hint().unwrap().contains("kubectl config view"));
}

#[tokio::test]
async fn what_a_user_is_and_we_cannot_be_is_an_error() {
    let desk = Desk::new();
    let (certificate, _) = client_pair(&desk.authority);
    for user in [
        json!({"auth-provider": {"name": "gcp"}, "token": "x"}),
        json!({"as": "admin", "token": "x"}),
        json!({"as-uid": "1", "token": "x"}),
        json!({"as-groups": ["system:masters"], "token": "x"}),
        json!({"as-user-extra": {"a": ["b"]}, "token": "x"}),
        json!({"client-certificate-data": STANDARD.encode(certificate)}),
        json!({"client-certificate-data": "?", "client-key-data": "?"}),
    ] {
        let kubeconfig = desk.kubeconfig("https://localhost:1", &user);
        let error = desk.find(&[("KUBECONFIG", &kubeconfig)]).await.unwrap_err();
        assert!(
            matches!(&error, KubernetesError::Kubeconfig(KubeconfigError::Field { name, .. })
                if name == "ali"),
            "{user}: {error:?}"
        );
    }
    let kubeconfig = desk.kubeconfig("https://localhost:1", &token("a\r\nb"));
    let error = desk.find(&[("KUBECONFIG", &kubeconfig)]).await.unwrap_err();
    assert!(matches!(error, KubernetesError::Token { .. }), "{error:?}");
}

async fn broken(text: &str) -> KubeconfigError {
    let desk = Desk::new();
    let path = desk.write("broken", text);
    match desk.find(&[("KUBECONFIG", &path)]).await.unwrap_err() {
        KubernetesError::Kubeconfig(error) => error,
        error => panic!("{text}: {error:?}"),
    }
}

#[tokio::test]
async fn names_have_to_be_there() {
    let context = "{name: a, context: {cluster: b, user: c}}";
    for (text, wanted) in [
        ("current-context: a".to_owned(), "there is no context `a`"),
        (format!("contexts: [{context}]"), "no `current-context` is set"),
        (format!("{{current-context: a, contexts: [{context}]}}"), "there is no cluster `b`"),
        (
            format!(
                "{{current-context: a, contexts: [{context}], clusters: [{{name: b, cluster: \
                 {{server: x}}}}]}}"
            ),
            "there is no user `c`",
        ),
    ] {
        assert_eq!(broken(&text).await.to_string(), wanted);
    }
}

#[tokio::test]
async fn what_is_no_kubeconfig_is_refused_and_not_shown() {
    use YamlError as E;
    let deep = format!("a: {}x{}", "[".repeat(40), "]".repeat(40));
    for (text, wanted) in [
        ("a: [hunter2", E::Syntax { line: 1 }),
        ("a: 1\na: hunter2", E::DuplicateKey { line: 2 }),
        ("a: &x hunter2\nb: *x", E::Unread { line: 2, what: "aliases" }),
        ("a: !!binary hunter2", E::Unread { line: 1, what: "tags" }),
        ("[hunter2]: x", E::Unread { line: 1, what: "keys that are no text" }),
        ("a: b\n---\nhunter2", E::Unread { line: 3, what: "several documents" }),
        (&deep, E::TooDeep { line: 1 }),
    ] {
        let error = broken(text).await;
        assert!(!format!("{error:?}").contains("hunter2"));
        match error {
            KubeconfigError::Yaml { source, .. } => assert_eq!(source, wanted, "{text}"),
            error => panic!("{text}: {error:?}"),
        }
    }
    for text in [
        "hunter2",
        "[hunter2]",
        "users: hunter2",
        "users: [{name: a, user: hunter2}]",
        // Serde would take lists for structures, field by field.
        "users: [{name: a, user: [hunter2]}]",
        "users: [[a, {token: hunter2}]]",
        "clusters: [{name: a, cluster: [hunter2]}]",
        "contexts: [{name: a, context: [hunter2]}]",
        "users: [{name: a, user: {exec: [v1, hunter2]}}]",
        "current-context: [hunter2]",
    ] {
        let error = broken(text).await;
        assert!(matches!(error, KubeconfigError::Shape { .. }), "{text}: {error:?}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    let long = format!("# {}", "x".repeat(5 << 20));
    assert!(matches!(broken(&long).await, KubeconfigError::TooLong { .. }));
}

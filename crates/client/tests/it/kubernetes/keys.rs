//! What a Secret holds, what the server says instead, and how keys get there.

use std::sync::Mutex;
use std::time::Duration;

use client::kubernetes::{KeyEntries, KubernetesError, SecretRef};
use client::{Deadline, FetchErrorKind};
use serde_json::{Value, json};

use super::{ApiServer, Desk, PATH, at, json_reply, keys, secret, status, token};
use crate::server::{Reply, Server};
use crate::tls::Authority;
use crate::{ample, assert_kind};

#[test]
fn a_secret_has_a_namespace_and_a_name() {
    for (text, namespace, name) in
        [("a/b", "a", "b"), ("sign-system/release.key-2", "sign-system", "release.key-2")]
    {
        let parsed: SecretRef = text.parse().unwrap();
        assert_eq!((parsed.namespace(), parsed.name()), (namespace, name));
        assert_eq!(parsed.to_string(), format!("k8s://{text}"));
    }
    let long = format!("{}/b", "a".repeat(64));
    let longer = format!("a/{}", "b".repeat(254));
    for text in [
        "", "a", "/", "a/", "/b", "a/b/c", "A/b", "a/B", "a.b/c", "-a/b", "a-/b", "a/b.", "a/.b",
        "a/..", "a/b?x", "a/%2e", "a/b c", &long, &longer,
    ] {
        let error = text.parse::<SecretRef>().unwrap_err();
        assert!(matches!(error, KubernetesError::Reference { .. }), "{text}: {error:?}");
    }
}

#[tokio::test]
async fn keys_are_read() {
    let desk = Desk::new();
    let server = desk.server(|_| json_reply(200, &secret(&keys()))).await;
    let found = desk.read(&desk.kubeconfig(&server.url(), &token("bearer"))).await.unwrap();
    assert_eq!(**found.public_key().unwrap(), *b"public");
    assert_eq!(**found.private_key().unwrap(), *b"private");
    assert_eq!(**found.password().unwrap().unwrap(), *b"hunter2");
    assert_eq!(server.lines(), [format!("GET {PATH}")]);
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer bearer"));
    assert!(!format!("{found:?}").contains(keys()["cosign.password"].as_str().unwrap()));
}

/// A cluster behind a gateway has a path of its own.
#[tokio::test]
async fn a_server_may_have_a_path() {
    let desk = Desk::new();
    let server = desk.server(|_| json_reply(200, &secret(&keys()))).await;
    let url = format!("{}/k8s/clusters/c-1", server.url());
    desk.read(&desk.kubeconfig(&url, &token("bearer"))).await.unwrap();
    assert_eq!(server.lines(), [format!("GET /k8s/clusters/c-1{PATH}")]);
}

async fn refused(reply: impl Fn() -> Reply + Send + Sync + 'static) -> KubernetesError {
    let desk = Desk::new();
    let server = desk.server(move |_| reply()).await;
    let read = desk.read(&desk.kubeconfig(&server.url(), &token("bearer"))).await;
    read.and_then(|secret| secret.public_key()).unwrap_err()
}

#[tokio::test]
async fn what_the_server_refuses_is_told_with_the_line_to_run() {
    let forbidden = "secrets \"release.key\" is forbidden: User \"ali\" cannot get resource \
        \"secrets\" in API group \"\" in the namespace \"sign-system\"";
    let absent = "secrets \"release.key\" not found";
    for (code, reason, message, hint) in [
        (401, "Unauthorized", "Unauthorized", "kubectl get secret release.key -n sign-system"),
        (403, "Forbidden", forbidden, "kubectl auth can-i get secrets/release.key -n sign-system"),
        (404, "NotFound", absent, "kubectl get secrets -n sign-system"),
    ] {
        let error = refused(move || status(code, reason, message)).await;
        assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
        assert_eq!(error.to_string(), "k8s://sign-system/release.key");
        let KubernetesError::Fetch { source, .. } = error else { panic!("{error:?}") };
        assert!(source.to_string().contains(message), "{source}");
    }
    let error = refused(|| status(500, "InternalError", "etcdserver: no leader")).await;
    let KubernetesError::Fetch { source, .. } = error else { panic!("{error:?}") };
    assert_kind!(source, FetchErrorKind::ServerError { message, .. }
        if message == "etcdserver: no leader");
}

#[tokio::test]
async fn a_secret_without_the_key_says_what_it_has() {
    for (data, shown) in [
        (json!({"tls.crt": "eA==", "tls.key": "eA=="}), "it has `tls.crt`, `tls.key`"),
        (json!({}), "it has nothing"),
        (json!(null), "it has nothing"),
    ] {
        let error = refused(move || json_reply(200, &secret(&data))).await;
        assert!(matches!(error, KubernetesError::NoEntry { entry: "cosign.pub", .. }));
        assert!(error.to_string().ends_with(shown), "{error}");
        assert!(error.hint().unwrap().contains("kubectl patch secret release.key -n sign-system"));
    }
    let broken = json!({"cosign.pub": "hunter2 is no base64"});
    let error = refused(move || json_reply(200, &secret(&broken))).await;
    assert_eq!(
        error.to_string(),
        "`cosign.pub` in k8s://sign-system/release.key: wanted base64, found something else"
    );
}

#[tokio::test]
async fn what_is_no_secret_is_refused_and_not_shown() {
    let config_map = json!({"kind": "ConfigMap", "apiVersion": "v1", "data": keys()});
    for body in [
        "hunter2".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        config_map.to_string(),
        secret(&json!({"cosign.pub": 5, "x": "hunter2"})).to_string(),
        secret(&json!(["hunter2"])).to_string(),
        secret(&keys()).to_string().replacen('{', r#"{"data": {"cosign.pub": "hunter2"},"#, 1),
        secret(&keys()).to_string().replacen('{', r#"{"kind": "hunter2","#, 1),
    ] {
        let error = refused(move || Reply::ok("application/json", body.clone())).await;
        assert!(!format!("{error:?}").contains("hunter2"));
        let KubernetesError::Fetch { source, .. } = error else { panic!("{error:?}") };
        assert_kind!(source, FetchErrorKind::Malformed { .. });
    }
    let large = "x".repeat((2 << 20) + 1);
    let error = refused(move || Reply::ok("application/json", large.clone())).await;
    let KubernetesError::Fetch { source, .. } = error else { panic!("{error:?}") };
    assert_kind!(source, FetchErrorKind::TooLarge { .. });
}

/// The token opens the cluster; it goes nowhere else.
#[tokio::test]
async fn a_server_that_sends_us_on_is_not_followed() {
    let stranger = Server::stranger().await;
    let desk = Desk::new();
    let other = desk.server(|_| json_reply(200, &secret(&keys()))).await;
    for target in [stranger.url("/"), format!("{}{PATH}", other.url()), "/elsewhere".to_owned()] {
        let error = refused(move || Reply::status(307).with("Location", target.clone())).await;
        let KubernetesError::Fetch { source, .. } = error else { panic!("{error:?}") };
        assert_kind!(source, FetchErrorKind::RedirectedAway { .. });
    }
    assert_eq!(stranger.lines(), [""; 0]);
    assert_eq!(other.lines(), [""; 0]);
}

#[tokio::test]
async fn a_server_by_another_authority_gets_no_token() {
    let desk = Desk::new();
    let other = Authority::named("another");
    let server =
        ApiServer::start(other.acceptor(&["localhost"]), |_| json_reply(200, &secret(&keys())))
            .await;
    let error = desk.read(&desk.kubeconfig(&server.url(), &token("bearer"))).await.unwrap_err();
    assert!(error.hint().unwrap().contains("not by the authority"));
    let KubernetesError::Fetch { source, .. } = error else { panic!("{error:?}") };
    assert_kind!(source, FetchErrorKind::Tls(_));
    assert_eq!(server.lines(), [""; 0]);
}

const NEW: KeyEntries<'static> =
    KeyEntries { private_key: b"private", public_key: b"public", password: b"hunter2" };

/// What was sent to keep the keys.
async fn stored(
    reply: impl Fn(&str) -> Reply + Send + Sync + 'static,
) -> (Result<(), KubernetesError>, Vec<(String, Value)>) {
    let desk = Desk::new();
    let server = desk.server(move |request| reply(&request.method)).await;
    let kubeconfig = desk.kubeconfig(&server.url(), &token("bearer"));
    let cluster = desk.find(&[("KUBECONFIG", &kubeconfig)]).await.unwrap();
    let outcome = cluster.store(&at(), &NEW, ample()).await;
    let requests = server.requests();
    let written = requests.iter().skip(1).map(|request| {
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("authorization"), Some("Bearer bearer"));
        (request.line(), serde_json::from_slice(&request.body).unwrap())
    });
    (outcome, written.collect())
}

#[tokio::test]
async fn a_new_secret_is_made() {
    let (outcome, written) = stored(|method| match method {
        "GET" => status(404, "NotFound", "secrets \"release.key\" not found"),
        _ => json_reply(201, &secret(&keys())),
    })
    .await;
    outcome.unwrap();
    let wanted = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": "sign-system", "name": "release.key"},
        "type": "Opaque",
        "data": keys(),
        "immutable": true,
    });
    let path = "POST /api/v1/namespaces/sign-system/secrets".to_owned();
    assert_eq!(written, [(path, wanted)]);
}

#[tokio::test]
async fn what_others_keep_in_a_secret_stays() {
    let (outcome, written) = stored(|method| match method {
        "GET" => json_reply(200, &secret(&json!({"other": "eA=="}))),
        _ => json_reply(200, &secret(&keys())),
    })
    .await;
    outcome.unwrap();
    let mut data = keys();
    data["other"] = "eA==".into();
    let mut wanted = secret(&data);
    wanted["immutable"] = true.into();
    // With the version that was read, so that nothing else is replaced.
    assert_eq!(wanted["metadata"]["resourceVersion"], "41");
    assert_eq!(written, [(format!("PUT {PATH}"), wanted)]);
}

#[tokio::test]
async fn keys_are_not_overwritten() {
    type Wanted = fn(&KubernetesError) -> bool;
    let mut immutable = secret(&json!({"other": "eA=="}));
    immutable["immutable"] = true.into();
    let taken: Wanted = |error| matches!(error, KubernetesError::Taken { .. });
    let fixed: Wanted = |error| matches!(error, KubernetesError::Immutable { .. });
    for (there, wanted) in [
        (secret(&json!({"cosign.key": "eA=="})), taken),
        (secret(&json!({"cosign.pub": "eA=="})), taken),
        (secret(&json!({"cosign.password": "eA=="})), taken),
        (immutable, fixed),
    ] {
        let (outcome, written) = stored(move |_| json_reply(200, &there)).await;
        let error = outcome.unwrap_err();
        assert!(wanted(&error), "{error:?}");
        assert!(error.hint().unwrap().contains("kubectl delete secret release.key -n sign-system"));
        assert!(written.is_empty());
    }
}

/// What is written over a Secret without its version is written over whatever is there by then, and
/// what is said of another Secret is not said of this one.
#[tokio::test]
async fn a_secret_that_cannot_be_told_from_another_is_not_written() {
    for (field, value) in [
        ("resourceVersion", json!(null)),
        ("resourceVersion", json!("")),
        ("resourceVersion", json!(41)),
        ("name", json!("another.key")),
        ("name", json!(null)),
        ("namespace", json!("another-system")),
        ("namespace", json!(null)),
    ] {
        let mut there = secret(&json!({"other": "eA=="}));
        there["metadata"][field] = value.clone();
        let (outcome, written) = stored(move |_| json_reply(200, &there)).await;
        let KubernetesError::Fetch { source, .. } = outcome.unwrap_err() else { panic!("{field}") };
        assert_kind!(source, FetchErrorKind::Malformed { .. });
        assert!(written.is_empty(), "{field}: {value}");
    }
    let mut bare = secret(&keys());
    bare.as_object_mut().unwrap().remove("metadata");
    let mut later = secret(&keys());
    later["apiVersion"] = "v2".into();
    for there in [bare, later] {
        let (outcome, written) = stored(move |_| json_reply(200, &there)).await;
        assert!(matches!(outcome, Err(KubernetesError::Fetch { .. })), "{outcome:?}");
        assert!(written.is_empty());
    }
}

#[tokio::test]
async fn somebody_elses_change_is_not_overwritten() {
    for there in [None, Some(secret(&json!({"other": "eA=="})))] {
        let (outcome, written) = stored(move |method| match (method, &there) {
            ("GET", None) => status(404, "NotFound", "secrets \"release.key\" not found"),
            ("GET", Some(there)) => json_reply(200, there),
            ("POST", _) => status(409, "AlreadyExists", "secrets \"release.key\" already exists"),
            _ => status(409, "Conflict", "the object has been modified"),
        })
        .await;
        assert!(matches!(outcome, Err(KubernetesError::Changed { .. })), "{outcome:?}");
        assert_eq!(written.len(), 1, "a write is not repeated");
    }
    let (outcome, written) = stored(|method| match method {
        "GET" => status(404, "NotFound", "secrets \"release.key\" not found"),
        _ => status(403, "Forbidden", "secrets is forbidden"),
    })
    .await;
    assert!(matches!(outcome, Err(KubernetesError::Fetch { .. })), "{outcome:?}");
    assert_eq!(written.len(), 1);
}

/// What the server makes of a write, before its answer is lost.
#[derive(Clone, Copy)]
enum Fate {
    Kept,
    NotKept,
    /// Somebody else was faster.
    Another,
}

/// The write has that fate, its answer is `lost`, and `before` was there.
async fn stored_unheard(
    before: Option<Value>,
    fate: Fate,
    lost: fn() -> Reply,
    time: Duration,
) -> (Result<(), KubernetesError>, Vec<String>) {
    let desk = Desk::new();
    let there = Mutex::new(before);
    let server = desk.server(move |request| {
        let mut there = there.lock().unwrap();
        if request.method == "GET" {
            return match &*there {
                None => status(404, "NotFound", "secrets \"release.key\" not found"),
                Some(there) => json_reply(200, there),
            };
        }
        let mut written: Value = serde_json::from_slice(&request.body).unwrap();
        written["metadata"]["resourceVersion"] = "42".into();
        match fate {
            Fate::Kept => *there = Some(written),
            Fate::NotKept => {}
            Fate::Another => *there = Some(secret(&json!({"cosign.pub": "eA=="}))),
        }
        lost()
    });
    let server = server.await;
    let kubeconfig = desk.kubeconfig(&server.url(), &token("bearer"));
    let cluster = desk.find(&[("KUBECONFIG", &kubeconfig)]).await.unwrap();
    let outcome = cluster.store(&at(), &NEW, Deadline::after(time)).await;
    (outcome, server.lines())
}

/// A write may have taken place although nobody says so. Whoever is told that it did not throws the
/// key's public half away, and whoever is told that it did signs with what is not there.
#[tokio::test]
async fn a_write_whose_answer_is_lost_is_looked_for() {
    let broken: fn() -> Reply = || Reply::Raw(Vec::new());
    let gateway: fn() -> Reply = || status(504, "Timeout", "request did not complete");
    let nonsense: fn() -> Reply = || Reply::Raw(b"HTTP/1.1 201 Created\r\nContent-Len".to_vec());
    for lost in [broken, gateway, nonsense] {
        for before in [None, Some(secret(&json!({"other": "eA=="})))] {
            let stored =
                async |fate| stored_unheard(before.clone(), fate, lost, crate::AMPLE).await;
            let (outcome, lines) = stored(Fate::Kept).await;
            outcome.unwrap();
            assert_eq!(lines.len(), 3, "a write is not repeated: {lines:?}");
            assert_eq!(lines[2], format!("GET {PATH}"));
            let error = stored(Fate::NotKept).await.0.unwrap_err();
            assert!(matches!(error, KubernetesError::NotKnown { .. }), "{error:?}");
            assert!(error.hint().unwrap().contains("public-key --key k8s://sign-system"));
            let error = stored(Fate::Another).await.0.unwrap_err();
            assert!(matches!(error, KubernetesError::Changed { .. }), "{error:?}");
        }
    }
}

/// There is time left to look.
#[tokio::test]
async fn a_write_that_takes_too_long_is_looked_for() {
    let silent: fn() -> Reply = || Reply::Hang(Vec::new());
    let time = Duration::from_secs(8);
    stored_unheard(None, Fate::Kept, silent, time).await.0.unwrap();
}

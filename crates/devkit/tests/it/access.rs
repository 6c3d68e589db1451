//! Who may do what: passwords, tokens, scopes, and rates.

use devkit::registry::{Access, Behaviour, Credentials, RateLimit, Registry};
use evidence::Digest;

use crate::http::{Answer, Request, delete, get, patch, post, put};
use crate::manifests::{IMAGE, image};
use crate::start_registry;

fn credentials() -> Credentials {
    Credentials { user: "user".to_owned(), password: "pass:word".to_owned() }
}

fn with_access(access: Access) -> Behaviour {
    Behaviour { access, ..Behaviour::default() }
}

fn bearer() -> Access {
    Access::Bearer { credentials: credentials(), anonymous_pull: false, realm: None }
}

fn is_unauthorized(answer: &Answer) -> String {
    assert_eq!(answer.refusal(), (401, "UNAUTHORIZED".into()));
    answer.header("www-authenticate").unwrap().to_owned()
}

/// One request for each endpoint; none may be answered without credentials.
fn every_request() -> Vec<Request> {
    let digest = Digest::sha256(b"{}");
    vec![
        get("/v2/"),
        get("/v2/unknown"),
        get(format!("/v2/app/blobs/{digest}")),
        delete(format!("/v2/app/blobs/{digest}")),
        post("/v2/app/blobs/uploads/"),
        post(format!("/v2/app/blobs/uploads/?digest={digest}")).body(&b"{}"[..]),
        post(format!("/v2/app/blobs/uploads/?mount={digest}&from=app")),
        get("/v2/app/blobs/uploads/00"),
        patch("/v2/app/blobs/uploads/00", &b"{}"[..]),
        put(format!("/v2/app/blobs/uploads/00?digest={digest}"), &b"{}"[..]),
        delete("/v2/app/blobs/uploads/00"),
        get("/v2/app/manifests/v1"),
        put("/v2/app/manifests/v1", image().to_string()).header("content-type", IMAGE),
        delete("/v2/app/manifests/v1"),
        get("/v2/app/tags/list"),
        get(format!("/v2/app/referrers/{digest}")),
    ]
}

#[tokio::test]
async fn nothing_is_answered_without_credentials() {
    for access in [Access::Basic(credentials()), bearer()] {
        let registry = start_registry(with_access(access)).await;
        let target = format!("/v2/app/blobs/uploads/?digest={}", Digest::sha256(b"{}"));
        for request in every_request() {
            is_unauthorized(&request.send(registry.address()).await);
        }
        assert!(registry.tags("app").is_empty());
        registry.set_behaviour(Behaviour::default());
        let stored = get(target.replace("uploads/?digest=", "")).send(registry.address()).await;
        assert_eq!(stored.status, 404, "nothing was written");
    }
}

#[tokio::test]
async fn the_password_opens_everything() {
    let registry = start_registry(with_access(Access::Basic(credentials()))).await;
    for request in every_request() {
        let answer = request.basic("user", "pass:word").send(registry.address()).await;
        assert_ne!(answer.status, 401);
    }
    let lower = get("/v2/").header("authorization", "basic dXNlcjpwYXNzOndvcmQ=");
    assert_eq!(lower.send(registry.address()).await.status, 200, "the scheme's case is free");
}

#[tokio::test]
async fn wrong_passwords_open_nothing() {
    let registry = start_registry(with_access(Access::Basic(credentials()))).await;
    for (user, password) in [
        ("user", "pass"),
        ("user", ""),
        ("", "pass:word"),
        ("User", "pass:word"),
        ("user:pass", "word "),
    ] {
        let answer = get("/v2/").basic(user, password).send(registry.address()).await;
        let challenge = is_unauthorized(&answer);
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
    }
    for header in ["Basic", "Basic !!!", "Bearer dXNlcjpwYXNzOndvcmQ=", "dXNlcjpwYXNzOndvcmQ="] {
        let answer = get("/v2/").header("authorization", header).send(registry.address()).await;
        is_unauthorized(&answer);
    }
}

/// Asks the token endpoint for scopes.
async fn ask_for_token(registry: &Registry, scopes: &[&str], authenticated: bool) -> Answer {
    let scopes: String = scopes.iter().map(|scope| format!("&scope={scope}")).collect();
    let asked = get(format!("/token?service=devkit-registry{scopes}"));
    let asked = if authenticated { asked.basic("user", "pass:word") } else { asked };
    asked.send(registry.address()).await
}

async fn token(registry: &Registry, scopes: &[&str]) -> String {
    let answer = ask_for_token(registry, scopes, true).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["token"], body["access_token"]);
    assert_eq!(body["expires_in"], 300);
    body["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_challenge_says_where_to_get_what() {
    let registry = start_registry(with_access(bearer())).await;
    let url = registry.url();
    let base = format!(r#"Bearer realm="{url}/token",service="devkit-registry""#);
    let digest = Digest::sha256(b"{}");
    for (request, scope) in [
        (get("/v2/"), ""),
        (get("/v2/team/app/tags/list"), r#",scope="repository:team/app:pull""#),
        (delete("/v2/app/manifests/v1"), r#",scope="repository:app:delete""#),
        (delete("/v2/app/blobs/uploads/00"), r#",scope="repository:app:pull,push""#),
        (post("/v2/app/blobs/uploads/"), r#",scope="repository:app:pull,push""#),
        (
            post(format!("/v2/app/blobs/uploads/?mount={digest}&from=base")),
            r#",scope="repository:app:pull,push repository:base:pull""#,
        ),
    ] {
        let challenge = is_unauthorized(&request.send(registry.address()).await);
        assert_eq!(challenge, format!("{base}{scope}"));
    }
    let unknown = get("/v2/").bearer("00").send(registry.address()).await;
    assert_eq!(is_unauthorized(&unknown), format!(r#"{base},error="invalid_token""#));
}

#[tokio::test]
async fn a_token_opens_what_its_scopes_say() {
    let registry = start_registry(with_access(bearer())).await;
    let pull = token(&registry, &["repository:app:pull"]).await;
    let push = token(&registry, &["repository:app:pull,push", "repository:base:pull"]).await;
    let remove = token(&registry, &["repository:app:delete"]).await;
    let spaced = token(&registry, &["repository:a:pull%20repository:app:pull"]).await;
    let none = token(&registry, &[]).await;
    let odd = token(&registry, &["registry:catalog:*", "repository:app:shout", "x"]).await;
    let digest = Digest::sha256(b"{}");
    let mount = format!("/v2/app/blobs/uploads/?mount={digest}&from=base");
    for (request, token, allowed) in [
        (get("/v2/"), &none, true),
        (get("/v2/app/tags/list"), &pull, true),
        (get("/v2/app/tags/list"), &spaced, true),
        (get("/v2/app/tags/list"), &none, false),
        (get("/v2/app/tags/list"), &odd, false),
        (get("/v2/app/tags/list"), &remove, false),
        (get("/v2/app2/tags/list"), &pull, false),
        (get("/v2/base/tags/list"), &push, true),
        (post("/v2/app/blobs/uploads/"), &push, true),
        (post("/v2/app/blobs/uploads/"), &pull, false),
        (post("/v2/base/blobs/uploads/"), &push, false),
        (post(mount.as_str()), &push, true),
        (post(mount.replace("base", "secret")), &push, false),
        (delete("/v2/app/manifests/v1"), &remove, true),
        (delete("/v2/app/manifests/v1"), &push, false),
    ] {
        let answer = request.clone().bearer(token).send(registry.address()).await;
        if allowed {
            assert_ne!(answer.status, 401, "{request:?}");
        } else {
            let challenge = is_unauthorized(&answer);
            assert!(challenge.ends_with(r#"error="insufficient_scope""#), "{request:?}");
        }
    }
    // The password itself is no token.
    let direct = get("/v2/app/tags/list").basic("user", "pass:word");
    is_unauthorized(&direct.send(registry.address()).await);
    registry.revoke_tokens();
    let answer = get("/v2/").bearer(&push).send(registry.address()).await;
    assert!(is_unauthorized(&answer).ends_with(r#"error="invalid_token""#));
}

#[tokio::test]
async fn tokens_are_given_to_those_who_may_have_them() {
    let registry = start_registry(with_access(bearer())).await;
    is_unauthorized(&ask_for_token(&registry, &["repository:app:pull"], false).await);
    let wrong = get("/token?service=devkit-registry").basic("user", "wrong");
    is_unauthorized(&wrong.send(registry.address()).await);
    for target in ["/token", "/token?service=other"] {
        let answer = get(target).basic("user", "pass:word").send(registry.address()).await;
        assert_eq!(answer.refusal(), (400, "UNSUPPORTED".into()), "{target}");
    }
    for access in [Access::Open, Access::Basic(credentials())] {
        registry.set_behaviour(with_access(access));
        assert_eq!(ask_for_token(&registry, &[], true).await.status, 404, "no such endpoint");
    }
}

#[tokio::test]
async fn everybody_may_pull_where_that_is_allowed() {
    let access = Access::Bearer { credentials: credentials(), anonymous_pull: true, realm: None };
    let registry = start_registry(with_access(access)).await;
    is_unauthorized(&get("/v2/app/tags/list").send(registry.address()).await);
    let answer = ask_for_token(&registry, &["repository:app:pull,push,delete"], false).await;
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    let pull = get("/v2/app/tags/list").bearer(&token).send(registry.address()).await;
    assert_eq!(pull.refusal(), (404, "NAME_UNKNOWN".into()));
    let push = post("/v2/app/blobs/uploads/").bearer(&token).send(registry.address()).await;
    is_unauthorized(&push);
    let remove = delete("/v2/app/manifests/v1").bearer(&token).send(registry.address()).await;
    is_unauthorized(&remove);
    let wrong = get("/token?service=devkit-registry").basic("user", "wrong");
    is_unauthorized(&wrong.send(registry.address()).await);
}

/// Asks the token endpoint in OAuth2's way.
async fn exchange(registry: &Registry, form: &str) -> Answer {
    let form = format!("service=devkit-registry&client_id=test&{form}");
    let asked = post("/token").header("content-type", "application/x-www-form-urlencoded");
    asked.body(form.into_bytes()).send(registry.address()).await
}

#[tokio::test]
async fn a_refresh_token_stands_for_the_password() {
    let registry = start_registry(with_access(bearer())).await;
    let plain = ask_for_token(&registry, &[], true).await.json();
    assert_eq!(plain.get("refresh_token"), None, "only on request");
    let by_get =
        get("/token?service=devkit-registry&offline_token=true").basic("user", "pass:word");
    let by_get = by_get.send(registry.address()).await.json();
    let password = "grant_type=password&username=user&password=pass%3Aword&access_type=offline";
    let by_post = exchange(&registry, password).await.json();
    for refresh in [&by_get, &by_post] {
        let refresh = refresh["refresh_token"].as_str().unwrap();
        let form = format!(
            "grant_type=refresh_token&refresh_token={refresh}&scope=repository:app:pull+repository:b:push"
        );
        let answer = exchange(&registry, &form).await;
        assert_eq!(answer.status, 200);
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        let pull = get("/v2/app/tags/list").bearer(&token).send(registry.address()).await;
        assert_eq!(pull.refusal(), (404, "NAME_UNKNOWN".into()));
        let other = get("/v2/b/tags/list").bearer(&token).send(registry.address()).await;
        is_unauthorized(&other);
        // It opens the token endpoint and nothing else.
        is_unauthorized(&get("/v2/").bearer(refresh).send(registry.address()).await);
    }
}

#[tokio::test]
async fn only_the_password_makes_refresh_tokens() {
    let access = Access::Bearer { credentials: credentials(), anonymous_pull: true, realm: None };
    let registry = start_registry(with_access(access)).await;
    let anonymous = get("/token?service=devkit-registry&offline_token=true");
    let anonymous = anonymous.send(registry.address()).await.json();
    assert_eq!(anonymous.get("refresh_token"), None);
    for form in [
        "grant_type=password&username=user&password=wrong",
        "grant_type=password&username=&password=",
        "grant_type=refresh_token&refresh_token=00",
        "grant_type=refresh_token&refresh_token=",
    ] {
        is_unauthorized(&exchange(&registry, form).await);
    }
    for form in ["", "grant_type=client_credentials", "grant_type=password&x=%zz%ff"] {
        let answer = exchange(&registry, form).await;
        assert!(matches!(answer.status, 400 | 401), "{form}: {}", answer.status);
    }
    let nobody = post("/token").body(&b"grant_type=password"[..]);
    assert_eq!(nobody.send(registry.address()).await.refusal(), (400, "UNSUPPORTED".into()));
}

#[tokio::test]
async fn a_hostile_challenge_sends_clients_elsewhere() {
    let access = Access::Bearer {
        credentials: credentials(),
        anonymous_pull: false,
        realm: Some("http://127.0.0.1:1/steal".to_owned()),
    };
    let registry = start_registry(with_access(access)).await;
    let challenge = is_unauthorized(&get("/v2/").send(registry.address()).await);
    assert!(challenge.starts_with(r#"Bearer realm="http://127.0.0.1:1/steal""#), "{challenge}");
}

#[tokio::test]
async fn too_many_requests_are_turned_away() {
    let rate_limit = Some(RateLimit { requests: 2, retry_after_s: 7 });
    let access = Access::Basic(credentials());
    let behaviour = Behaviour { rate_limit, access, ..Behaviour::default() };
    let registry = start_registry(behaviour).await;
    let ask = || get("/v2/").basic("user", "pass:word").send(registry.address());
    for _ in 0..2 {
        assert_eq!(ask().await.status, 200);
    }
    let answer = ask().await;
    assert_eq!(answer.refusal(), (429, "TOOMANYREQUESTS".into()));
    assert_eq!(answer.header("retry-after"), Some("7"));
    // Even those who may not ask at all: the limit comes first.
    assert_eq!(get("/v2/").send(registry.address()).await.status, 429);
    registry.refill();
    assert_eq!(ask().await.status, 200);
}

#[test]
fn passwords_are_not_printed() {
    let told = format!("{:?}", with_access(bearer()));
    assert!(told.contains("user") && !told.contains("pass:word"), "{told}");
}

//! Whether something may be pushed is known before it is.

use bytes::Bytes;
use client::error::Unauthorized;
use client::registry::{NoPushError, Who};
use client::{DockerConfig, FetchErrorKind, Registry};

use crate::server::{Received, Reply, Server};
use crate::{AUTHORIZATION, ample, anonymous, assert_kind, http, image, logged_in};

const UPLOAD: &str = "/v2/acme/app/blobs/uploads/1";

/// Takes an upload from whoever logs in.
fn takes(request: &Received, location: &str) -> Reply {
    if request.header("authorization") != Some(AUTHORIZATION) {
        return Reply::status(401).with("WWW-Authenticate", "Basic realm=here");
    }
    match request.method.as_str() {
        "POST" => Reply::status(202).with("Location", location),
        "HEAD" => Reply::status(200),
        // As of a registry that lets nobody delete.
        "DELETE" => Reply::status(401).with("WWW-Authenticate", "Basic realm=here"),
        _ => Reply::status(500),
    }
}

#[tokio::test]
async fn an_upload_is_begun_and_given_up() {
    let server = Server::start(|request| takes(request, UPLOAD)).await;
    let (registry, app) = (logged_in(&server), image(&server, "acme/app:v1"));
    registry.check_push(&app, ample()).await.unwrap();
    let begin = "POST /v2/acme/app/blobs/uploads/";
    assert_eq!(server.lines(), [begin, begin, &format!("DELETE {UPLOAD}")]);
    // That it could not be given up is nobody's concern, and what was learnt is not forgotten.
    registry.push_blob(&app, Bytes::from_static(b"{}"), ample()).await.unwrap();
    assert_eq!(server.requests().len(), 4, "{:?}", server.lines());
    assert_eq!(server.authorizations(), [AUTHORIZATION; 3]);
}

/// The registry may say that anybody has the upload. It cannot have us remove things elsewhere.
#[tokio::test]
async fn nobody_else_is_asked_to_remove_anything() {
    let other = Server::stranger().await;
    let location = other.url("/v2/acme/app/blobs/uploads/1");
    let server = Server::start(move |request| takes(request, &location)).await;
    logged_in(&server).check_push(&image(&server, "acme/app:v1"), ample()).await.unwrap();
    assert_eq!(other.lines(), [""; 0]);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn who_may_not_push_is_told_as_whom_and_where() {
    let denied = r#"{"errors":[{"code":"DENIED","message":"not yours"}]}"#;
    let server = Server::start(move |request| match request.header("authorization") {
        None => Reply::status(401).with("WWW-Authenticate", "Basic realm=here"),
        Some(_) => Reply::status(403).body(denied),
    })
    .await;
    let app = image(&server, "acme/app:v1");
    let error = logged_in(&server).check_push(&app, ample()).await.unwrap_err();
    let place = format!("{}/acme/app", server.host());
    assert_eq!(error.to_string(), format!("the user `ali` may not push to {place}"));
    assert_eq!(error.fetch_error().host(), server.host());
    assert!(error.fetch_error().to_string().contains("not yours"), "{error:?}");
    assert!(error.hint().unwrap().contains("the right to push"), "{error:?}");
    let NoPushError::Denied { who, .. } = error else { panic!("{error:?}") };
    assert_eq!(who, Who::User("ali".to_owned()));

    let error = anonymous().check_push(&app, ample()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("whoever has no login may not push to {place}"));
    assert!(error.hint().unwrap().contains("docker login"), "{error:?}");
    assert_kind!(*error.fetch_error(), FetchErrorKind::Unauthorized(Unauthorized::NoCredentials));
}

/// A registry that everybody reads, and whose token service gives no right to push.
#[tokio::test]
async fn a_token_that_reaches_not_far_enough_is_a_missing_right() {
    let server = Server::start(|request| match request.path() {
        "/token" => Reply::ok("application/json", r#"{"token": "t", "expires_in": 300}"#),
        _ => {
            let host = request.header("host").unwrap();
            let challenge = format!(r#"Bearer realm="http://{host}/token",service="s""#);
            Reply::status(401).with("WWW-Authenticate", challenge)
        }
    })
    .await;
    let app = image(&server, "acme/app:v1");
    let error = logged_in(&server).check_push(&app, ample()).await.unwrap_err();
    let NoPushError::Denied { who: Who::User(user), .. } = &error else { panic!("{error:?}") };
    assert_eq!(user, "ali");
    let hint = error.hint().unwrap();
    assert!(hint.contains("the right to push to") && hint.contains("check user"), "{hint}");
    let error = anonymous().check_push(&app, ample()).await.unwrap_err();
    assert!(matches!(error, NoPushError::Denied { who: Who::Nobody, .. }), "{error:?}");
}

/// What is in the way may be something else, and is then not told as a missing right.
#[tokio::test]
async fn what_is_no_missing_right_is_told_as_it_is() {
    for (status, hinted) in [(404, "make the repository"), (405, ""), (429, "wait"), (503, "")] {
        let server = Server::start(move |_| Reply::status(status)).await;
        let app = image(&server, "acme/app:v1");
        let error = anonymous().check_push(&app, ample()).await.unwrap_err();
        assert!(matches!(error, NoPushError::Failed { .. }), "{status}: {error:?}");
        assert!(error.to_string().starts_with("nothing can be pushed to "), "{error}");
        assert!(error.hint().unwrap_or_default().contains(hinted), "{status}: {error:?}");
    }
    // An upload that is nowhere could not be gone on with.
    let server = Server::start(|_| Reply::status(202)).await;
    let error = anonymous().check_push(&image(&server, "acme/app"), ample()).await.unwrap_err();
    assert!(matches!(error, NoPushError::Failed { .. }), "{error:?}");
}

/// Names of users come from configurations that anybody may have written.
#[tokio::test]
async fn a_name_does_not_reach_the_terminal_as_it_is() {
    let server = Server::start(|request| match request.header("authorization") {
        None => Reply::status(401).with("WWW-Authenticate", "Basic realm=here"),
        Some(_) => Reply::status(403),
    })
    .await;
    let (user, password) = ("a\u{1b}[2Jb".to_owned(), client::Secret::new("x".to_owned()));
    let basic = client::credentials::Basic { user, password };
    let config = DockerConfig::with_login(server.host().parse().unwrap(), basic);
    let registry = Registry::new(http(), config);
    let error = registry.check_push(&image(&server, "acme/app"), ample()).await.unwrap_err();
    assert!(error.to_string().starts_with("the user `a[2Jb` may not push"), "{error:?}");
}

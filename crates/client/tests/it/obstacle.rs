//! Each kind of failure becomes the obstacle that says the same.

use client::error::{RealmProblem, Unauthorized};
use evidence::Digest;
use verify::{Obstacle, ObstacleKind};

use crate::server::{Reply, Server};
use crate::{ample, anonymous, image};

async fn obstacle(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Obstacle {
    let server = Server::start(move |_| reply()).await;
    let image = image(&server, "acme/app:v1");
    let found = anonymous().find_evidence(&image, &Digest::sha256(b"x"), ample()).await;
    assert!(found.pieces.is_empty());
    // One for each list; that of referrers first, unless all failed before they were asked for.
    let mut obstacles: Vec<_> = found.obstacles.iter().map(Obstacle::from).collect();
    obstacles.sort_by_key(|obstacle| !obstacle.what.contains("/referrers/"));
    obstacles.swap_remove(0)
}

#[tokio::test]
async fn statuses() {
    for (status, kind) in [
        (403, ObstacleKind::Forbidden),
        (418, ObstacleKind::Malformed),
        (429, ObstacleKind::RateLimited),
        (500, ObstacleKind::ServerError),
    ] {
        let obstacle = obstacle(move || Reply::status(status)).await;
        assert_eq!(obstacle.kind, kind, "{status}");
        assert!(obstacle.what.contains("/v2/acme/app/referrers/sha256:"), "{obstacle}");
        assert!(!obstacle.detail.is_empty());
    }
}

#[tokio::test]
async fn a_missing_login_is_not_an_unsupported_one() {
    let challenge =
        |text: &'static str| obstacle(move || Reply::status(401).with("WWW-Authenticate", text));
    assert_eq!(challenge("Basic realm=x").await.kind, ObstacleKind::Unauthorized);
    let token = challenge(r#"Bearer realm="https://auth.example/token""#).await;
    assert_eq!(token.kind, ObstacleKind::Unsupported);
    let reason = RealmProblem::OtherHost;
    let refused = Unauthorized::RealmRefused { realm: "auth.example".to_owned(), reason };
    assert!(token.detail.contains(&refused.to_string()), "{token}");
}

#[tokio::test]
async fn transport() {
    assert_eq!(obstacle(|| Reply::Raw(Vec::new())).await.kind, ObstacleKind::Unreachable);
    let html = || Reply::ok(crate::OCI_INDEX, "<html>");
    assert_eq!(obstacle(html).await.kind, ObstacleKind::Malformed);
}

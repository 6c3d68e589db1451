//! A mirror is asked seldom, and not for long.

use std::time::Duration;

use client::Deadline;
use client::mirror::{MAX_AGE, Mirror, MirrorError, Origin, SigningProfile, Warning};

use super::{ALWAYS, USUAL, ask, at, kept, mirror, now};
use crate::http;
use crate::tuf::{Repository, usual_draft};

#[tokio::test]
async fn a_mirror_is_asked_once_a_day() {
    let draft = usual_draft();
    let repository = Repository::start(&draft).await;
    let folder = tempfile::tempdir().unwrap();
    let (mirror, _) = kept(&repository, &draft, &folder).await;
    let hash = |name| hex::encode(crypto::sha256(&draft.content[name]));
    assert_eq!(
        repository.server.lines(),
        [
            "GET /2.root.json".to_owned(),
            "GET /timestamp.json".to_owned(),
            "GET /1.snapshot.json".to_owned(),
            "GET /1.targets.json".to_owned(),
            format!("GET /targets/{}.trusted_root.json", hash("trusted_root.json")),
            format!("GET /targets/{}.signing_config.v0.2.json", hash("signing_config.v0.2.json")),
        ]
    );
    let day = MAX_AGE.as_secs().try_into().unwrap();
    let again = ask(&mirror, USUAL, now().plus_seconds(day - 1)).await.unwrap();
    assert_eq!(again.origin(), Origin::LastGood { fetched: Some(now()) });
    assert_eq!(repository.server.requests().len(), 6);
    // After that only what may have changed.
    let later = ask(&mirror, USUAL, now().plus_seconds(day)).await.unwrap();
    assert_eq!(later.origin(), Origin::Mirror);
    assert_eq!(repository.server.lines()[6..], ["GET /2.root.json", "GET /timestamp.json"]);
    // A clock that went back does not make a copy young.
    let before = ask(&mirror, USUAL, now().plus_seconds(-1)).await.unwrap();
    assert_eq!(before.origin(), Origin::Mirror);
}

#[tokio::test]
async fn the_targets_are_a_trust_root_and_signing_configurations() {
    let mut draft = usual_draft();
    let v2 = draft.content["signing_config.v0.2.json"].clone();
    draft.content.insert("signing_config_rekor_v2.v0.2.json", v2);
    let repository = Repository::start(&draft).await;
    let material = ask(&mirror(&repository, &draft), USUAL, now()).await.unwrap();
    assert_eq!(material.trusted_root_json(), draft.content["trusted_root.json"]);
    for profile in [SigningProfile::Usual, SigningProfile::RekorV2] {
        let config = material.trust_config(profile).unwrap();
        let authority = config.signing_config.authority(now()).unwrap();
        assert_eq!(authority.to_string(), "https://fulcio.sigstore.dev");
        assert_eq!(config.trust_root.digest(), verify::TrustRoot::public_good().digest());
    }
    // Only the trust root has to be there.
    draft.content.retain(|name, _| *name == "trusted_root.json");
    repository.publish(&draft);
    let material = ask(&mirror(&repository, &draft), USUAL, now()).await.unwrap();
    let error = material.trust_config(SigningProfile::Usual).unwrap_err();
    assert!(matches!(error, MirrorError::NoTarget { name: "signing_config.v0.2.json", .. }));
    material.trust_root().unwrap();
    draft.content.clear();
    repository.publish(&draft);
    let error = ask(&mirror(&repository, &draft), USUAL, now()).await.unwrap_err();
    assert!(matches!(error, MirrorError::NoTarget { name: "trusted_root.json", .. }), "{error:?}");
}

#[tokio::test]
async fn a_mirror_that_is_away_is_waited_for_until_the_copy_ends() {
    let draft = usual_draft();
    let repository = Repository::start(&draft).await;
    let folder = tempfile::tempdir().unwrap();
    let (mirror, _) = kept(&repository, &draft, &folder).await;
    repository.fail();
    let material = ask(&mirror, USUAL, at("2026-06-10T00:00:00Z")).await.unwrap();
    assert_eq!(material.origin(), Origin::LastGood { fetched: Some(now()) });
    assert!(matches!(material.warnings(), [Warning::NotRefreshed(_)]), "{:?}", material.warnings());
    let error = ask(&mirror, USUAL, at("2026-07-01T00:00:00Z")).await.unwrap_err();
    assert!(matches!(error, MirrorError::Fetch { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("--offline"));
    // Refused metadata is no outage.
    repository.publish(&draft.signed_by("timestamp", &["eve"]));
    let error = ask(&mirror, USUAL, at("2026-06-10T00:00:00Z")).await.unwrap_err();
    assert!(matches!(error, MirrorError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn time_for_a_mirror_is_bounded() {
    let server = crate::server::Server::start(|_| crate::server::Reply::Hang(Vec::new())).await;
    let mirror = Mirror::new(server.url("").parse().unwrap(), usual_draft().root(1)).unwrap();
    let deadline = Deadline::after(Duration::from_millis(50));
    let error = mirror.material(&http(), ALWAYS, now(), deadline).await.unwrap_err();
    assert!(matches!(error, MirrorError::Fetch { .. }), "{error:?}");
}

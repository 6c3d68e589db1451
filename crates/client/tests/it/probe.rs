//! Probing a registry: each finding is what the registry did, "could not tell" is never "no", and
//! nothing stays behind that can be removed.

use bytes::Bytes;
use client::credentials::Basic;
use client::registry::RegistryProbe;
use client::registry::probe::{
    Conclusion, Conditions, DockerSubject, Doubt, Finding, Item, Login, OperatorTask, Reason,
    Referrer, RemainsReason, SKEW_MAX_MS, SigningMode, Taken, Tracking,
};
use client::{Credential, Deadline, Keychain, Registry, Secret};
use devkit::registry::{Access, Behaviour, Credentials, RateLimit, Referrers, RegistryOptions};
use devkit::{Fault, FaultRule};
use evidence::{ImageRef, UnixTime};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::server::{Reply, Server};
use crate::{OCI_INDEX, OCI_MANIFEST, ample, anonymous, http, real};

const REPOSITORY: &str = "acme/app";

async fn start(behaviour: Behaviour) -> devkit::registry::Registry {
    let options = RegistryOptions { behaviour, ..RegistryOptions::default() };
    devkit::registry::Registry::start(options).await.unwrap()
}

fn image(address: impl std::fmt::Display) -> ImageRef {
    format!("{address}/{REPOSITORY}").parse().unwrap()
}

async fn probe(server: &devkit::registry::Registry) -> RegistryProbe {
    anonymous().probe(&image(server.address()), &epoch, ample()).await
}

async fn probe_with(server: &devkit::registry::Registry, faults: Vec<FaultRule>) -> RegistryProbe {
    faults.into_iter().for_each(|fault| server.inject(fault));
    let found = probe(server).await;
    server.clear_faults();
    found
}

fn epoch() -> UnixTime {
    UnixTime::from_seconds(0)
}

fn fault(method: Method, pattern: &str, fault: Fault) -> FaultRule {
    FaultRule::new(format!("/v2/{REPOSITORY}/{pattern}"), fault).method(method)
}

fn says(status: u16) -> Fault {
    Fault::Status(StatusCode::from_u16(status).unwrap())
}

#[track_caller]
fn assert_yes(finding: &Finding<Taken>) {
    assert!(matches!(finding, Finding::Known(Taken::Yes)), "{finding:?}");
}

#[track_caller]
fn assert_no(finding: &Finding<Taken>) {
    assert!(matches!(finding, Finding::Known(Taken::No(_))), "{finding:?}");
}

#[track_caller]
fn assert_unknown<T: std::fmt::Debug>(finding: &Finding<T>) {
    assert!(matches!(finding, Finding::Unknown(_)), "{finding:?}");
}

macro_rules! assert_known {
    ($finding:expr, $known:pat) => {{
        let finding = &$finding;
        assert!(matches!(finding, Finding::Known($known)), "{finding:?}");
    }};
}

/// What stays although it could have been removed; the configuration that all artifacts share is
/// not meant to be.
fn left_over(found: &RegistryProbe) -> Vec<String> {
    let unshared = found.remains.iter().filter(|it| !matches!(it.reason, RemainsReason::Shared));
    unshared.map(|remains| remains.item.to_string()).collect()
}

/// No question was answered with "no".
fn refusals(found: &RegistryProbe) -> usize {
    let taken = [
        &found.push,
        &found.read,
        &found.media_types,
        &found.signature_tag,
        &found.signature_tag_anew,
        &found.tag_anew,
        &found.delete_tag,
        &found.delete_digest,
    ];
    let refused = |it: &&&Finding<Taken>| matches!(it, Finding::Known(Taken::No(_)));
    taken.iter().filter(refused).count()
        + usize::from(matches!(found.referrer, Finding::Known(Referrer::Refused(_))))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_can_do_everything() {
    let server = start(Behaviour::default()).await;
    let found = probe(&server).await;
    for finding in [
        &found.push,
        &found.read,
        &found.media_types,
        &found.signature_tag,
        &found.signature_tag_anew,
        &found.tag_anew,
        &found.delete_tag,
        &found.delete_digest,
    ] {
        assert_yes(finding);
    }
    assert_known!(found.login, Login::NotAsked);
    assert_known!(found.referrer, Referrer::Taken { announced: true });
    assert_known!(found.tracking, Tracking::Api { at_once: true });
    assert_known!(found.docker_subject, DockerSubject::Taken);
    assert_known!(found.conditions, Conditions::Honoured);
    assert_eq!(found.rate_limits.known(), Some(&Vec::new()));
    assert_eq!(found.conclusion(), Conclusion::Sign(SigningMode::Bundle, Reason::ReferrersApi));
    // The clock that was handed in stands in 1970.
    let skew = found.clock.known().unwrap().certain_ms();
    assert!(skew > SKEW_MAX_MS, "{skew}");
    assert_eq!(found.operator_tasks(), [OperatorTask::CompareClocks]);

    assert_eq!(left_over(&found), [""; 0]);
    assert_eq!(found.remains.len(), 1, "the shared configuration is named: {:?}", found.remains);
    assert_eq!(server.tags(REPOSITORY), [""; 0]);
    // Everything that was pushed is gone, by what the registry itself says.
    for request in server.requests().iter().filter(|request| request.method == Method::PUT) {
        let reference = request.path.rsplit('/').next().unwrap();
        assert_eq!(server.manifest(REPOSITORY, reference), None, "{reference}");
    }
    // Who comes again finds the shared configuration and leaves nothing that was not there.
    assert!(probe(&server).await.remains.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_is_left_alone() {
    let server = start(Behaviour::default()).await;
    let (bytes, _) = crate::manifest("theirs");
    let plant = |reference| {
        server.plant_manifest(REPOSITORY, reference, OCI_MANIFEST, bytes.clone()).unwrap()
    };
    let digest = plant("latest").to_string();
    probe(&server).await;
    assert_eq!(server.tags(REPOSITORY), ["latest"]);
    assert_eq!(server.manifest(REPOSITORY, &digest).unwrap(), bytes);
    let touched = server.requests().iter().any(|it| it.path.contains(&digest));
    assert!(!touched, "somebody else's manifest was asked about");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_api_conditional_writes_decide() {
    for (conditions_obeyed, conditions, mode, reason) in [
        (true, Conditions::Honoured, SigningMode::Bundle, Reason::GuardedFallbackTag),
        (false, Conditions::Ignored, SigningMode::Both, Reason::UnguardedFallbackTag),
    ] {
        let behaviour =
            Behaviour { referrers: Referrers::Off, conditions_obeyed, ..Behaviour::default() };
        let server = start(behaviour).await;
        let found = probe(&server).await;
        assert_known!(found.referrer, Referrer::Taken { announced: false });
        assert_known!(found.tracking, Tracking::FallbackTag);
        assert_eq!(found.conditions.known(), Some(&conditions));
        assert_eq!(found.conclusion(), Conclusion::Sign(mode, reason));
        let tasks = found.operator_tasks();
        assert!(tasks.contains(&OperatorTask::OfferReferrersApi));
        assert_eq!(tasks.contains(&OperatorTask::HonourConditions), !conditions_obeyed);
        assert_eq!(left_over(&found), [""; 0]);
        assert_eq!(server.tags(REPOSITORY), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_that_never_change() {
    let server = start(Behaviour { tags_mutable: false, ..Behaviour::default() }).await;
    let found = probe(&server).await;
    assert_no(&found.tag_anew);
    assert_yes(&found.signature_tag);
    assert_no(&found.signature_tag_anew);
    assert!(matches!(found.conditions, Finding::Unknown(Doubt::NotAsked(_))));
    assert!(found.operator_tasks().contains(&OperatorTask::ExemptSignatureTags));
    // Bundles need no tag here.
    assert_eq!(found.conclusion(), Conclusion::Sign(SigningMode::Bundle, Reason::ReferrersApi));
    assert_eq!(left_over(&found), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_removed_is_named() {
    let server = start(Behaviour { deletion: false, ..Behaviour::default() }).await;
    let found = probe(&server).await;
    assert_no(&found.delete_tag);
    assert_no(&found.delete_digest);
    let tasks = found.operator_tasks();
    assert!(tasks.contains(&OperatorTask::AllowDeletes));
    assert!(tasks.contains(&OperatorTask::RemoveRemains));
    let mut named: Vec<_> = found
        .remains
        .iter()
        .filter_map(|it| match &it.item {
            Item::Tag(tag) => Some(tag.clone()),
            Item::Manifest(_) | Item::Blob(_) => None,
        })
        .collect();
    named.sort();
    assert_eq!(named, server.tags(REPOSITORY));
    let manifests = found.remains.iter().filter_map(|it| match &it.item {
        Item::Manifest(digest) => Some(digest),
        Item::Tag(_) | Item::Blob(_) => None,
    });
    let there: Vec<_> = manifests.map(|it| server.manifest(REPOSITORY, it).is_some()).collect();
    assert_eq!(there, [true; 8]);
    // It is about what signing needs, and that works.
    assert!(matches!(found.conclusion(), Conclusion::Sign(..)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_is_confirmed_and_not_done_is_seen() {
    let server = start(Behaviour::default()).await;
    let lie = |pattern: &str| {
        let answer =
            Fault::Answer { status: StatusCode::ACCEPTED, headers: vec![], body: Bytes::new() };
        fault(Method::DELETE, pattern, answer)
    };
    let found = probe_with(&server, vec![lie("manifests/*")]).await;
    assert_no(&found.delete_tag);
    assert_no(&found.delete_digest);
    let served = found.remains.iter().filter(|it| matches!(it.reason, RemainsReason::StillServed));
    assert_eq!(served.count(), 10, "two tags and eight manifests: {:?}", found.remains);
}

/// For every question an answer that settles nothing: the finding says so, and no other suffers.
#[tokio::test(flavor = "multi_thread")]
async fn could_not_tell_is_never_no() {
    type Unknown = fn(&RegistryProbe) -> bool;
    let cases: [(&str, Method, &str, Unknown, Conclusion); 8] = {
        let cannot_tell = Conclusion::CouldNotTell;
        let bundle = Conclusion::Sign(SigningMode::Bundle, Reason::ReferrersApi);
        [
            ("push", Method::POST, "blobs/uploads/", |it| unknown(&it.push), cannot_tell),
            ("push", Method::PUT, "manifests/countersign*", |it| unknown(&it.push), cannot_tell),
            ("read", Method::GET, "manifests/countersign*", |it| unknown(&it.read), cannot_tell),
            (
                "by digest",
                Method::PUT,
                "manifests/sha256:*",
                |it| {
                    unknown(&it.media_types) && unknown(&it.referrer) && unknown(&it.docker_subject)
                },
                cannot_tell,
            ),
            ("referrers", Method::GET, "referrers/*", |it| unknown(&it.tracking), cannot_tell),
            ("tag", Method::PUT, "manifests/*.sig", |it| unknown(&it.signature_tag), bundle),
            ("tag", Method::GET, "manifests/*.sig", |it| unknown(&it.signature_tag), bundle),
            (
                "delete",
                Method::DELETE,
                "manifests/*",
                |it| unknown(&it.delete_tag) && unknown(&it.delete_digest),
                bundle,
            ),
        ]
    };
    for status in [401, 408, 429, 500, 503] {
        for (name, method, pattern, unknown, conclusion) in &cases {
            let server = start(Behaviour::default()).await;
            let rule = fault(method.clone(), pattern, says(status));
            let found = probe_with(&server, vec![rule]).await;
            assert!(unknown(&found), "{status} {name}: {found:#?}");
            assert_eq!(refusals(&found), 0, "{status} {name}: {found:#?}");
            assert_eq!(found.conclusion(), *conclusion, "{status} {name}: {found:#?}");
        }
    }
}

fn unknown<T>(finding: &Finding<T>) -> bool {
    finding.known().is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_answer() {
    let server = start(Behaviour::default()).await;
    server.inject(fault(Method::PUT, "manifests/*", Fault::Hang));
    // A third of it is for looking what is left over.
    let short = Deadline::after(Duration::from_secs(3));
    let found = anonymous().probe(&image(server.address()), &epoch, short).await;
    assert_unknown(&found.push);
    assert_unknown(&found.login);
    assert_eq!(found.conclusion(), Conclusion::CouldNotTell);
    assert_eq!(refusals(&found), 0);
    assert_eq!(left_over(&found), [""; 0], "it was looked, and nothing is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_manifests_by_their_kind() {
    for status in [400, 403, 404, 405, 415, 501] {
        let server = start(Behaviour::default()).await;
        let by_digest = || fault(Method::PUT, "manifests/sha256:*", says(status));
        let found = probe_with(&server, vec![by_digest()]).await;
        assert_no(&found.media_types);
        assert_known!(found.referrer, Referrer::Refused(_));
        assert_known!(found.docker_subject, DockerSubject::NoSuchImages(_));
        assert_eq!(found.conclusion(), Conclusion::Sign(SigningMode::Cosign, Reason::OnlyCosign));
        let tasks = found.operator_tasks();
        assert_eq!(tasks[0], OperatorTask::TakeReferrers);
        assert!(tasks.contains(&OperatorTask::TakeMediaTypes));

        let signatures = fault(Method::PUT, "manifests/*.sig", says(status));
        let found = probe_with(&server, vec![by_digest(), signatures]).await;
        assert_eq!(found.conclusion(), Conclusion::CannotSign);

        let images = fault(Method::PUT, "manifests/countersign*", says(status));
        let found = probe_with(&server, vec![images]).await;
        assert_no(&found.push);
        assert_eq!(found.conclusion(), Conclusion::CannotSign);
        assert_known!(found.login, Login::NotAsked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn referrers_that_are_announced_late_or_never_listed() {
    let server = start(Behaviour::default()).await;
    let found = probe_with(&server, vec![fault(Method::GET, "referrers/*", says(404))]).await;
    assert_known!(found.tracking, Tracking::AnnouncedOnly);
    assert_eq!(found.conclusion(), Conclusion::Sign(SigningMode::Cosign, Reason::OnlyCosign));
    assert!(found.operator_tasks().contains(&OperatorTask::AnnounceSubjects));

    let empty = || Fault::Answer {
        status: StatusCode::OK,
        headers: vec![(
            HeaderName::from_static("content-type"),
            HeaderValue::from_static(OCI_INDEX),
        )],
        body: Bytes::from_static(br#"{"schemaVersion":2,"manifests":[]}"#),
    };
    let late = fault(Method::GET, "referrers/*", empty()).times(1);
    let found = probe_with(&server, vec![late]).await;
    assert_known!(found.tracking, Tracking::Api { at_once: false });
    assert!(found.operator_tasks().contains(&OperatorTask::ListReferrers));
    assert!(matches!(found.conclusion(), Conclusion::Sign(SigningMode::Bundle, _)));

    let found = probe_with(&server, vec![fault(Method::GET, "referrers/*", empty())]).await;
    assert_known!(found.tracking, Tracking::Unlisted);
    assert_eq!(found.conclusion(), Conclusion::Sign(SigningMode::Cosign, Reason::OnlyCosign));
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_comes_back_changed() {
    let server = start(Behaviour::default()).await;
    let changed = fault(Method::GET, "manifests/countersign*", Fault::WrongBytes);
    let found = probe_with(&server, vec![changed]).await;
    assert_no(&found.read);
    assert_eq!(found.conclusion(), Conclusion::CannotSign);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_to_the_rate_are_seen() {
    // Enough to push the image, and no more.
    let rate_limit = Some(RateLimit { requests: 14, retry_after_s: 0 });
    let server = start(Behaviour { rate_limit, ..Behaviour::default() }).await;
    let found = probe(&server).await;
    assert_yes(&found.push);
    let seen = [("retry-after".to_owned(), "0".to_owned())];
    assert_eq!(found.rate_limits.known().map(Vec::as_slice), Some(&seen[..]));
    assert_eq!(refusals(&found), 0);
    assert_eq!(found.conclusion(), Conclusion::CouldNotTell);
    assert!(!left_over(&found).is_empty(), "what is there cannot be removed now");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_we_are_to_the_registry() {
    let account = || Credentials { user: "ali".to_owned(), password: "open sesame".to_owned() };
    let bearer = || Access::Bearer { credentials: account(), anonymous_pull: true, realm: None };
    for access in [Access::Basic(account()), bearer()] {
        let server = start(Behaviour { access, ..Behaviour::default() }).await;
        let image = image(server.address());
        let found = probe(&server).await;
        assert_unknown(&found.login);
        assert_unknown(&found.push);
        assert_eq!(found.conclusion(), Conclusion::CouldNotTell);
        assert_eq!(refusals(&found), 0);
        assert_eq!(left_over(&found), [""; 0], "nothing was taken, so nothing is left");

        let login = |password: &str| {
            let password = Secret::new(password.to_owned());
            let basic = Credential::Basic(Basic { user: "ali".to_owned(), password });
            let keychain = Keychain::default().with_credential(image.registry().clone(), basic);
            Registry::new(http(), keychain)
        };
        let found = login("wrong").probe(&image, &epoch, ample()).await;
        assert_unknown(&found.login);
        assert_eq!(found.conclusion(), Conclusion::CouldNotTell);

        let found = login("open sesame").probe(&image, &epoch, ample()).await;
        let Some(Login::As { user: Some(user), .. }) = found.login.known() else {
            panic!("{:?}", found.login)
        };
        assert_eq!(user, "ali");
        assert!(matches!(found.conclusion(), Conclusion::Sign(SigningMode::Bundle, _)));
        assert_eq!(left_over(&found), [""; 0]);
    }
}

/// A registry that has every blob and no referrers API, and treats conditions in its own way: the
/// ETag it gives, and whether it stores what a condition came with and what it answers then.
async fn with_conditions(etag: Option<&'static str>, store: bool, status: u16) -> Server {
    let manifests: Mutex<HashMap<String, (String, Vec<u8>)>> = Mutex::default();
    Server::start(move |request| {
        let mut manifests = manifests.lock().unwrap();
        let (_, kind_and_reference) = request.path().split_once("/acme/app/").unwrap();
        let (kind, reference) = kind_and_reference.split_once('/').unwrap();
        match (kind, request.method.as_str()) {
            ("blobs", _) => Reply::status(200),
            ("manifests", "GET") => match manifests.get(reference) {
                Some((media_type, bytes)) => {
                    let found = Reply::ok(media_type, bytes.clone());
                    etag.into_iter().fold(found, |found, etag| found.with("ETag", etag))
                }
                None => Reply::status(404),
            },
            ("manifests", "PUT") => {
                let conditional = request.header("if-match").is_some();
                if !conditional || store {
                    let media_type = request.header("content-type").unwrap().to_owned();
                    manifests.insert(reference.to_owned(), (media_type, request.body.clone()));
                }
                Reply::status(if conditional { status } else { 201 })
            }
            ("manifests", "DELETE") => {
                Reply::status(if manifests.remove(reference).is_some() { 202 } else { 404 })
            }
            _ => Reply::status(404),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_that_are_misread() {
    for (etag, store, status, wanted) in [
        (None, false, 412, Some(Conditions::NotOffered)),
        (Some("\"x\""), false, 412, Some(Conditions::AlwaysRefused)),
        (Some("\"x\""), true, 412, Some(Conditions::Ignored)),
        (Some("\"x\""), true, 201, Some(Conditions::Ignored)),
        // Neither taken nor told to be wrong.
        (Some("\"x\""), false, 403, None),
        (Some("\"x\""), false, 503, None),
    ] {
        let server = with_conditions(etag, store, status).await;
        let found = anonymous().probe(&image(server.host()), &epoch, ample()).await;
        assert_yes(&found.tag_anew);
        assert_eq!(found.conditions.known(), wanted.as_ref(), "{etag:?} {store} {status}");
    }
}

/// Nobody was asked, so that nothing is claimed: neither about the registry nor that anything is
/// still there.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_cannot_be_reached() {
    let server = Server::stranger().await;
    let host = server.host();
    drop(server);
    let found = anonymous().probe(&image(host), &epoch, ample()).await;
    assert_unknown(&found.push);
    assert_unknown(&found.rate_limits);
    assert_unknown(&found.clock);
    assert_eq!(found.conclusion(), Conclusion::CouldNotTell);
    assert!(found.remains.is_empty(), "{:?}", found.remains);
    assert_eq!(found.operator_tasks(), []);
}

/// The registry that most others are made of, as Debian has it (2.8).
#[tokio::test(flavor = "multi_thread")]
async fn a_real_registry() {
    let Some(running) = real::start(tempfile::tempdir().unwrap(), "") else { return };
    let found = anonymous().probe(&image(&running.address), &epoch, ample()).await;
    for finding in [
        &found.push,
        &found.read,
        &found.media_types,
        &found.signature_tag,
        &found.signature_tag_anew,
        &found.tag_anew,
        &found.delete_digest,
    ] {
        assert_yes(finding);
    }
    assert_no(&found.delete_tag);
    assert_known!(found.referrer, Referrer::Taken { announced: false });
    assert_known!(found.tracking, Tracking::FallbackTag);
    assert_known!(found.conditions, Conditions::Ignored);
    assert_eq!(
        found.conclusion(),
        Conclusion::Sign(SigningMode::Both, Reason::UnguardedFallbackTag)
    );
    assert_eq!(left_over(&found), [""; 0]);
    let image = image(&running.address);
    assert_eq!(anonymous().list_tags(&image, ample()).await.unwrap().tags, [""; 0]);
}

//! Liveness and readiness, and a log that has stopped.

use crypto::KeyKind;
use testkit::Submission;
use testkit::log::Kind;

use crate::authority_api;
use crate::instance::Place;

#[test]
fn a_healthy_instance_says_so() {
    let place = Place::new();
    let instance = place.start();
    assert_eq!(instance.get("/healthz").wanted(200).text(), "ok\n");
    assert_eq!(instance.get("/ping").wanted(200).text(), "pong\n");
    assert_eq!(instance.get("/readyz").wanted(200).text(), "ready\n");
}

/// Somebody puts another lock under the running instance: the log stops rather than sign what may
/// be a second history, says so to whoever waits, and is no longer ready.
#[test]
fn a_log_that_stopped_makes_the_instance_unready_until_it_is_started_again() {
    let place = Place::new();
    let instance = place.start();
    let submission = |content: &[u8]| {
        Submission::new(Kind::HashedRekordV1, KeyKind::EcdsaP256).about(content).request()
    };
    let path = "/api/v1/log/entries";
    let first = instance.post(path, &submission(b"first")).wanted(201).json();
    let lock = std::fs::read(place.lock()).unwrap();
    std::fs::write(place.lock(), b"not a lock").unwrap();

    for content in [b"second", b"third."] {
        let refused = instance.post(path, &submission(content)).wanted(503);
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert!(refused.message().contains("the log has stopped"));
    }
    let unready = instance.get("/readyz").wanted(503);
    assert!(unready.message().contains("restart"));
    // No certificate leaves that was not logged.
    let uncertified = instance.post(authority_api::PATH, &authority_api::certificate_request());
    assert_eq!(uncertified.wanted(500).message(), "Error entering certificate in CTL");
    // It lives, what it published is still served.
    instance.get("/healthz").wanted(200);
    let id = first.as_object().unwrap().keys().next().unwrap();
    instance.get(&format!("{path}/{id}")).wanted(200);
    instance.get("/checkpoint").wanted(200);
    assert!(instance.said().contains("the log stopped"), "{}", instance.said());
    instance.stop();

    place.refusal(&[]).says(&["damaged"]);
    std::fs::write(place.lock(), lock).unwrap();
    let instance = place.start();
    instance.get("/readyz").wanted(200);
    instance.get(&format!("{path}/{id}")).wanted(200);
    instance.post(path, &submission(b"second")).wanted(201);
}

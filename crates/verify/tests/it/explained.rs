//! Explanations: a line for every check that was made, in order, and one for what refused.

use testkit::Scene;
use testkit::log::Kind;
use verify::{Artifact, Check, Explanation, VerifiedClaim, WantedIn, explain::Outcome};

use crate::judging::{JUDGED, Judged, explain_about};

fn explain(scene: &Scene) -> (Result<VerifiedClaim, verify::Refusal>, Explanation) {
    let sealed = scene.seal();
    explain_about(scene, &sealed, &Artifact::from_bytes(&sealed.artifact))
}

fn checks(scene: &Scene) -> Vec<(Check, Outcome)> {
    let (outcome, explanation) = explain(scene);
    outcome.unwrap();
    assert_eq!(explanation.source, "bundle");
    assert_eq!(explanation.authority, "the test's");
    for line in &explanation.lines {
        assert!(!line.wanted.is_empty() && !line.found.is_empty(), "{line:?}");
        assert_eq!(line.hint, None, "nothing to mend");
    }
    explanation.lines.iter().map(|line| (line.check, line.outcome)).collect()
}

fn passed(checks: &[Check]) -> Vec<(Check, Outcome)> {
    checks.iter().map(|check| (*check, Outcome::Passed)).collect()
}

#[test]
fn every_check_of_the_chain_leaves_its_line() {
    let v1 = [
        Check::Format,
        Check::LogPromise,
        Check::LogInclusion,
        Check::Time,
        Check::Certificate,
        Check::CertificateTransparency,
        Check::LogBinding,
        Check::Signature,
        Check::Artifact,
        Check::Identity,
    ];
    assert_eq!(checks(&Scene::v1()), passed(&v1));
    assert_eq!(checks(&Scene::statement(Kind::DsseV1)), passed(&v1));
    let v2 = [
        Check::Format,
        Check::LogInclusion,
        Check::Timestamp,
        Check::Time,
        Check::Certificate,
        Check::CertificateTransparency,
        Check::LogBinding,
        Check::Signature,
        Check::Artifact,
        Check::Identity,
    ];
    assert_eq!(checks(&Scene::v2()), passed(&v2));
    let pinned = [
        Check::Format,
        Check::LogInclusion,
        Check::Timestamp,
        Check::Time,
        Check::Key,
        Check::LogBinding,
        Check::Signature,
        Check::Artifact,
    ];
    assert_eq!(checks(&Scene::v2().pinned()), passed(&pinned));
}

#[test]
fn what_proved_nothing_is_said_to_be_skipped() {
    let without_time = Scene::v2().pinned().with(|scene| scene.timestamps = 0);
    assert!(checks(&without_time).contains(&(Check::Time, Outcome::Skipped)));
    let without_checkpoint = Scene::v1()
        .in_format(testkit::Format::V0_1)
        .on_entry(|entry| testkit::json::remove(entry, "/inclusionProof/checkpoint"));
    assert!(checks(&without_checkpoint).contains(&(Check::LogInclusion, Outcome::Skipped)));
    let stranger = Scene::v1().with(|scene| scene.timestamps = 1).on_token(|token| {
        token.signer_serial = vec![9];
    });
    assert!(checks(&stranger).contains(&(Check::Timestamp, Outcome::Skipped)));
}

#[test]
fn what_refused_stands_last_with_its_check() {
    for Judged { mutant, outcome, explanation } in JUDGED.iter() {
        let refusal = outcome.as_ref().unwrap_err();
        let (last, before) = explanation.lines.split_last().unwrap();
        assert_eq!(
            (last.check, last.outcome),
            (refusal.check(), Outcome::Failed),
            "{}",
            mutant.name
        );
        assert_eq!((last.wanted.clone(), last.found.clone()), refusal.wanted_and_found());
        assert_eq!(last.hint.as_deref(), refusal.hint(WantedIn::Flags));
        assert!(before.iter().all(|line| line.outcome != Outcome::Failed), "{}", mutant.name);
    }
}

#[test]
fn every_check_has_a_title_of_its_own() {
    let all = [
        Check::Format,
        Check::LogPromise,
        Check::LogInclusion,
        Check::Timestamp,
        Check::Time,
        Check::Certificate,
        Check::CertificateTransparency,
        Check::Key,
        Check::Signature,
        Check::LogBinding,
        Check::Artifact,
        Check::Identity,
    ];
    let titles: std::collections::BTreeSet<_> = all.iter().map(|check| check.title()).collect();
    let wants: std::collections::BTreeSet<_> = all.iter().map(|check| check.wanted()).collect();
    assert_eq!((titles.len(), wants.len()), (all.len(), all.len()));
}

#[test]
fn what_is_found_is_named() {
    let line = |scene: &Scene, check| {
        let (_, explanation) = explain(scene);
        let line = explanation.lines.iter().find(|line| line.check == check).unwrap().clone();
        format!("{} / {}", line.wanted, line.found)
    };
    let v1 = Scene::v1();
    let signed_at = testkit::clock::rfc3339(testkit::clock::SIGNED_AT);
    for (scene, check, words) in [
        (&v1, Check::Format, vec!["v0.3"]),
        (&v1, Check::LogPromise, vec!["rekor.testkit.example", signed_at.as_str(), "entry 1005"]),
        (
            &v1,
            Check::LogInclusion,
            vec!["rekor.testkit.example - 1193050959916656506", "leaf 5 of 9"],
        ),
        (&v1, Check::Time, vec![signed_at.as_str()]),
        (&v1, Check::Certificate, vec!["https://fulcio.testkit.example", " to "]),
        (&v1, Check::CertificateTransparency, vec!["1 of 1"]),
        (&v1, Check::Signature, vec!["ECDSA P-256"]),
        (&v1, Check::LogBinding, vec!["1 of 1"]),
        (&v1, Check::Artifact, vec!["sha256:"]),
        (&v1, Check::Identity, vec![testkit::instance::SUBJECT, testkit::instance::ISSUER]),
        (&Scene::v2(), Check::Timestamp, vec![signed_at.as_str()]),
        (&Scene::v2().pinned(), Check::Key, vec!["ECDSA P-256", "sha256:"]),
    ] {
        let text = line(scene, check);
        assert!(words.iter().all(|word| text.contains(word)), "{check:?}: {text}");
    }
}

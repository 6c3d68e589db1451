//! Rules: which claims count, how many signers, how old, and what programs say. Beside each rule
//! stands what it refuses, and what it makes of evidence that could not be seen.

use std::collections::BTreeMap;
use std::num::NonZeroU8;
use std::sync::Arc;

use crypto::KeyKind;
use evidence::Digest;
use serde_json::Value;
use testkit::certificate::{ExtensionDraft, SUBJECT_ALTERNATIVE_NAME, uri};
use testkit::clock::SIGNED_AT;
use testkit::log::Kind;
use testkit::{Scene, Sealed};
use verify::{
    Artifact, Authority, Case, ClaimKind, ClaimPattern, Ground, IdentityPattern, NonEmpty,
    Objection, Obstacle, ObstacleKind, Pattern, Piece, Policy, Predicate, Question, Refusal,
    Requirement, Rule, Verdict, WantedIn, Which,
};

use crate::judging::{authority, now, piece, variant};

const TYPE: &str = "https://example.org/scan/v1";

/// Does what the predicate's `answer` says.
#[derive(Debug)]
struct Obedient;

impl Predicate for Obedient {
    fn name(&self) -> &str {
        "obedient"
    }

    fn judge(&self, question: &Question<'_>) -> Result<(), Objection> {
        let payload = question.payload.ok_or(Objection::Failed { problem: "nothing".into() })?;
        let statement: Value = serde_json::from_slice(payload).unwrap();
        assert_eq!(question.claim.seen().is_none(), question.claim.times().is_empty());
        match statement["predicate"]["answer"].as_str() {
            Some("yes") => Ok(()),
            Some("no") => Err(Objection::Refused { said: vec!["it says no".into()] }),
            _ => Err(Objection::Failed { problem: "it says nothing".into() }),
        }
    }
}

/// A statement of the type with that answer, seen so many seconds after the usual moment.
fn said(answer: &'static str, later: i64) -> Scene {
    Scene::statement(Kind::DsseV1).with(|scene| scene.signed_at += later).on_statement(
        move |statement| {
            statement["predicateType"] = TYPE.into();
            statement["predicate"] = serde_json::json!({"answer": answer});
        },
    )
}

fn by(scene: Scene, subject: &'static str) -> Scene {
    scene.on_certificate(move |certificate| {
        certificate.extensions.retain(|extension| extension.oid != SUBJECT_ALTERNATIVE_NAME);
        certificate.extensions.push(ExtensionDraft::names(&[uri(subject)]));
    })
}

fn sealed(source: &str, scene: &Scene) -> Piece {
    piece(source, &scene.seal().bundle_json())
}

struct Court {
    scene: Scene,
    sealed: Sealed,
}

impl Court {
    fn new() -> Self {
        let scene = said("yes", 0);
        let sealed = scene.seal();
        Self { scene, sealed }
    }

    /// Whoever the issuer vouches for, or only the usual signer.
    fn signers(&self, anybody: bool) -> NonEmpty<Authority> {
        let mut signer = authority(&self.scene, &self.sealed);
        if anybody && let Authority::Keyless { identities, .. } = &mut signer {
            *identities = NonEmpty::new(IdentityPattern {
                issuer: Pattern::exact(&self.scene.wanted_issuer).unwrap(),
                subject: Pattern::regex("^https://").unwrap(),
                extensions: Vec::new(),
            });
        }
        NonEmpty::new(signer)
    }

    fn requirement(&self, which: Which) -> Requirement {
        let claim = ClaimPattern::of_kind(ClaimKind::Attestation { predicate_type: TYPE.into() });
        let rule = Rule { which, predicates: vec![Arc::new(Obedient)], ..Rule::any() };
        Requirement { any_of: self.signers(false), claim, rule }
    }

    fn judge_all(
        &self,
        requirements: Vec<Requirement>,
        pieces: &[Piece],
        obstacles: &[Obstacle],
    ) -> Verdict {
        let requirements = NonEmpty::from_vec(requirements).unwrap();
        let policy = Policy { name: "test".to_owned(), requirements };
        let artifact = Artifact::from_bytes(&self.sealed.artifact);
        let case = Case { artifact: &artifact, pieces, obstacles };
        let (explained, _) = policy.explain(&case, now(&self.scene), WantedIn::PolicyFile);
        let judged = policy.judge(&case, now(&self.scene));
        assert_eq!(told(&explained), told(&judged), "explaining decides nothing");
        judged
    }

    fn judge(&self, requirement: &Requirement, pieces: &[Piece], seen: Seen) -> String {
        let (what, detail) = ("referrers".to_owned(), "429".to_owned());
        let obstacle = Obstacle { kind: ObstacleKind::RateLimited, what, detail };
        let obstacles = if seen == Seen::All { Vec::new() } else { vec![obstacle] };
        told(&self.judge_all(vec![requirement.clone()], pieces, &obstacles))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    All,
    NotAll,
}

/// A verdict in one line: who vouches, or every reason by its variant.
fn told(verdict: &Verdict) -> String {
    let reasons = |reasons: &mut dyn Iterator<Item = &verify::Reason>| {
        let told = reasons.map(|reason| {
            let source = reason.source.as_deref().unwrap_or("-");
            format!("{source}:{}", variant(&reason.refusal))
        });
        told.collect::<Vec<_>>().join(" ")
    };
    match verdict {
        Verdict::Admit(grounds) => {
            let told = grounds.0.iter().map(|ground| match ground {
                Ground::Claim { source, .. } => source.as_str(),
                Ground::Static { .. } => "static",
            });
            format!("admit {}", told.collect::<Vec<_>>().join(" "))
        }
        Verdict::Refuse(refused) => format!("refuse {}", reasons(&mut refused.iter())),
        Verdict::Unknown(_, refused) => format!("unknown {}", reasons(&mut refused.iter())),
    }
}

/// What each rule makes of what is there, when everything was seen and when not.
#[test]
fn every_rule_over_every_mixture() {
    let court = Court::new();
    let yes = sealed("yes", &said("yes", 0));
    let later_yes = sealed("later", &said("yes", 60));
    let no = sealed("no", &said("no", 30));
    let last_no = sealed("last", &said("no", 90));
    let fail = sealed("fail", &said("fail", 30));
    let other = sealed(
        "other",
        &said("no", 0).on_statement(|statement| {
            statement["predicateType"] = "https://example.org/other".into();
        }),
    );
    let stranger = sealed("stranger", &by(said("no", 120), "https://stranger.example"));
    let broken = piece("broken", b"{}");
    let unread = sealed(
        "unread",
        &said("no", 0).on_statement(|statement| {
            statement["subject"] = Value::from(7);
        }),
    );
    let foreign_unread = sealed(
        "foreign",
        &by(said("no", 0), "https://stranger.example").on_statement(|statement| {
            statement["subject"] = Value::from(7);
        }),
    );
    let table: [(&[&Piece], [&str; 4], [&str; 4]); 13] = [
        // pieces, then any, all, latest, none: all seen; not all seen.
        (
            &[],
            [
                "refuse -:NoEvidence",
                "refuse -:NoEvidence",
                "refuse -:NoEvidence",
                "refuse -:NothingVouches",
            ],
            [
                "unknown -:NoEvidence",
                "unknown -:NoEvidence",
                "unknown -:NoEvidence",
                "unknown -:NotAllSeen",
            ],
        ),
        (
            &[&yes],
            ["admit yes", "admit yes", "admit yes", "refuse yes:Denied"],
            ["admit yes", "unknown -:NotAllSeen", "unknown -:NotAllSeen", "refuse yes:Denied"],
        ),
        (
            &[&no],
            [
                "refuse no:ProgramRefused",
                "refuse no:ProgramRefused",
                "refuse no:ProgramRefused",
                "refuse -:NothingVouches",
            ],
            [
                "unknown no:ProgramRefused",
                "refuse no:ProgramRefused",
                "unknown no:ProgramRefused",
                "unknown -:NotAllSeen",
            ],
        ),
        (
            &[&fail],
            [
                "refuse fail:ProgramFailed",
                "refuse fail:ProgramFailed",
                "refuse fail:ProgramFailed",
                "refuse fail:ProgramFailed",
            ],
            [
                "unknown fail:ProgramFailed",
                "refuse fail:ProgramFailed",
                "unknown fail:ProgramFailed",
                "refuse fail:ProgramFailed",
            ],
        ),
        (
            &[&yes, &no],
            [
                "admit yes",
                "refuse no:ProgramRefused",
                "refuse no:ProgramRefused",
                "refuse yes:Denied",
            ],
            [
                "admit yes",
                "refuse no:ProgramRefused",
                "unknown no:ProgramRefused",
                "refuse yes:Denied",
            ],
        ),
        (
            &[&no, &later_yes],
            ["admit later", "refuse no:ProgramRefused", "admit later", "refuse later:Denied"],
            [
                "admit later",
                "refuse no:ProgramRefused",
                "unknown -:NotAllSeen",
                "refuse later:Denied",
            ],
        ),
        (
            &[&later_yes, &last_no],
            [
                "admit later",
                "refuse last:ProgramRefused",
                "refuse last:ProgramRefused",
                "refuse later:Denied",
            ],
            [
                "admit later",
                "refuse last:ProgramRefused",
                "unknown last:ProgramRefused",
                "refuse later:Denied",
            ],
        ),
        (
            &[&yes, &later_yes],
            ["admit yes", "admit yes later", "admit later", "refuse yes:Denied later:Denied"],
            [
                "admit yes",
                "unknown -:NotAllSeen",
                "unknown -:NotAllSeen",
                "refuse yes:Denied later:Denied",
            ],
        ),
        // Nothing of the type that is asked for.
        (
            &[&other],
            [
                "refuse other:WrongClaim",
                "refuse other:WrongClaim",
                "refuse other:WrongClaim",
                "refuse -:NothingVouches",
            ],
            [
                "unknown other:WrongClaim",
                "unknown other:WrongClaim",
                "unknown other:WrongClaim",
                "unknown -:NotAllSeen",
            ],
        ),
        // What others lay beside the artifact does not count.
        (
            &[&broken, &other, &stranger, &foreign_unread, &yes],
            ["admit yes", "admit yes", "admit yes", "refuse yes:Denied"],
            ["admit yes", "unknown -:NotAllSeen", "unknown -:NotAllSeen", "refuse yes:Denied"],
        ),
        (
            &[&stranger],
            [
                "refuse stranger:WrongIdentity",
                "refuse stranger:WrongIdentity",
                "refuse stranger:WrongIdentity",
                "refuse -:NothingVouches",
            ],
            [
                "unknown stranger:WrongIdentity",
                "unknown stranger:WrongIdentity",
                "unknown stranger:WrongIdentity",
                "unknown -:NotAllSeen",
            ],
        ),
        // What the signer signed and nobody can read does.
        (
            &[&yes, &unread],
            [
                "admit yes",
                "refuse unread:MalformedStatement",
                "refuse unread:MalformedStatement -:NoTrustedTime",
                "refuse yes:Denied",
            ],
            [
                "admit yes",
                "refuse unread:MalformedStatement",
                "unknown unread:MalformedStatement -:NoTrustedTime",
                "refuse yes:Denied",
            ],
        ),
        (
            &[&unread],
            [
                "refuse unread:MalformedStatement",
                "refuse unread:MalformedStatement",
                "refuse unread:MalformedStatement -:NoTrustedTime",
                "refuse unread:MalformedStatement",
            ],
            [
                "unknown unread:MalformedStatement",
                "refuse unread:MalformedStatement",
                "unknown unread:MalformedStatement -:NoTrustedTime",
                "refuse unread:MalformedStatement",
            ],
        ),
    ];
    for (pieces, seen, unseen) in table {
        let pieces: Vec<Piece> = pieces.iter().map(|piece| (*piece).clone()).collect();
        let sources: Vec<_> = pieces.iter().map(|piece| piece.source.as_str()).collect();
        let rules = [Which::Any, Which::All, Which::Latest, Which::None];
        for ((which, seen), unseen) in rules.into_iter().zip(seen).zip(unseen) {
            let requirement = court.requirement(which);
            assert_eq!(
                court.judge(&requirement, &pieces, Seen::All),
                seen,
                "{which:?} {sources:?}"
            );
            let found = court.judge(&requirement, &pieces, Seen::NotAll);
            assert_eq!(found, unseen, "{which:?} {sources:?}, not all seen");
        }
    }
}

#[test]
fn attestations_of_another_type_are_never_a_pass() {
    // CVE-2022-35929, CVE-2022-35930: none of the type that was asked for is not all of them.
    let court = Court::new();
    let other = said("yes", 0).on_statement(|statement| {
        statement["predicateType"] = "https://cosign.sigstore.dev/attestation/vuln/v1".into();
    });
    for which in [Which::Any, Which::All, Which::Latest] {
        let found = court.judge(&court.requirement(which), &[sealed("vuln", &other)], Seen::All);
        assert_eq!(found, "refuse vuln:WrongClaim", "{which:?}");
    }
}

#[test]
fn so_many_different_signers_as_are_wanted() {
    let court = Court::new();
    let two = NonZeroU8::new(2).unwrap();
    let own = sealed("own", &said("yes", 0));
    let again = sealed("again", &said("yes", 10));
    let second = sealed("second", &by(said("yes", 0), "https://second.example"));
    let refused = sealed("refused", &by(said("no", 0), "https://second.example"));
    for which in [Which::Any, Which::All] {
        let mut requirement = court.requirement(which);
        requirement.any_of = court.signers(true);
        requirement.rule.signers_min = two;
        let judge = |pieces: &[&Piece], seen| {
            let pieces: Vec<Piece> = pieces.iter().map(|piece| (*piece).clone()).collect();
            court.judge(&requirement, &pieces, seen)
        };
        assert_eq!(judge(&[&own, &second], Seen::All), "admit own second");
        // One signer twice is one signer.
        assert_eq!(judge(&[&own, &again], Seen::All), "refuse -:TooFewSigners");
        assert_eq!(judge(&[&own], Seen::NotAll), "unknown -:TooFewSigners");
        let found = judge(&[&own, &refused], Seen::All);
        assert!(
            found.starts_with("refuse ") && found.contains("refused:ProgramRefused"),
            "{found}"
        );
    }
    // Two authorities that the same signer satisfies are one signer too.
    let mut requirement = court.requirement(Which::Any);
    requirement.rule.signers_min = two;
    requirement.any_of.push(court.signers(true).head);
    let found = court.judge(&requirement, std::slice::from_ref(&own), Seen::All);
    assert_eq!(found, "refuse -:TooFewSigners");
}

/// A name is somebody's with whoever vouches for it.
#[test]
fn one_name_at_two_providers_is_two_signers() {
    let court = Court::new();
    let own = sealed("own", &said("yes", 0));
    let elsewhere = said("yes", 0).on_certificate(|certificate| {
        for number in [1, 8] {
            certificate.put(ExtensionDraft::fulcio(number, "https://elsewhere.example"));
        }
    });
    let elsewhere = sealed("elsewhere", &elsewhere);
    let mut requirement = court.requirement(Which::Any);
    requirement.rule.signers_min = NonZeroU8::new(2).unwrap();
    let Authority::Keyless { identities, .. } = &mut requirement.any_of.head else {
        panic!("a certificate")
    };
    identities.head.issuer = Pattern::regex("^https://").unwrap();
    let judge = |pieces: &[Piece]| court.judge(&requirement, pieces, Seen::All);
    assert_eq!(judge(&[own.clone(), elsewhere.clone()]), "admit own elsewhere");
    assert_eq!(judge(&[elsewhere.clone(), elsewhere]), "refuse -:TooFewSigners");
}

#[test]
fn keys_count_as_signers_by_the_key() {
    let scene = said("yes", 0).pinned();
    let sealed_scene = scene.seal();
    let court = Court { scene, sealed: sealed_scene };
    let mut requirement = court.requirement(Which::Any);
    requirement.rule.signers_min = NonZeroU8::new(2).unwrap();
    requirement.any_of.push(court.signers(false).head);
    let pieces = [sealed("one", &court.scene), sealed("two", &said("yes", 10).pinned())];
    assert_eq!(court.judge(&requirement, &pieces, Seen::All), "refuse -:TooFewSigners");
    requirement.rule.signers_min = NonZeroU8::MIN;
    assert_eq!(court.judge(&requirement, &pieces, Seen::All), "admit one");
    // Two keys are two.
    let other = said("yes", 0).pinned().with_key(KeyKind::EcdsaP384);
    let other_sealed = other.seal();
    let second = piece("second", &other_sealed.bundle_json());
    requirement.rule.signers_min = NonZeroU8::new(2).unwrap();
    requirement.any_of.push(authority(&other, &other_sealed));
    let pieces = [pieces[0].clone(), second];
    assert_eq!(court.judge(&requirement, &pieces, Seen::All), "admit one second");
}

#[test]
fn a_claim_may_be_as_old_as_the_rule_says() {
    let court = Court::new();
    // The scene's verifier comes an hour after its signer.
    let age = court.scene.now - court.scene.signed_at;
    let piece = [sealed("piece", &court.scene)];
    for (max, found) in [(age, "admit piece"), (age - 1, "refuse piece:TooOld")] {
        let mut requirement = court.requirement(Which::Any);
        requirement.rule.age_max_s = Some(u64::try_from(max).unwrap());
        assert_eq!(court.judge(&requirement, &piece, Seen::All), found);
    }
    // A key needs no time, but an age does.
    let timeless = said("yes", 0).pinned().with(|scene| {
        scene.entries.iter_mut().for_each(|entry| entry.promise = false);
    });
    let sealed_scene = timeless.seal();
    let court = Court { scene: timeless, sealed: sealed_scene };
    let pieces = [sealed("timeless", &court.scene)];
    let mut requirement = court.requirement(Which::Any);
    assert_eq!(court.judge(&requirement, &pieces, Seen::All), "admit timeless");
    requirement.rule.age_max_s = Some(u64::MAX);
    assert_eq!(court.judge(&requirement, &pieces, Seen::All), "refuse timeless:NoTrustedTime");
    // Nor can it be told which is the latest.
    requirement = court.requirement(Which::Latest);
    assert_eq!(court.judge(&requirement, &pieces, Seen::All), "refuse -:NoTrustedTime");
}

#[test]
fn age_goes_by_the_first_time_it_was_seen() {
    // Stamped again later, an old signature stays old: the log's promise is the earlier time.
    let scene =
        Scene::v1().with(|scene| scene.timestamps = 1).on_token(|token| token.at(SIGNED_AT + 300));
    let sealed_scene = scene.seal();
    let pieces = [piece("stamped", &sealed_scene.bundle_json())];
    let court = Court { scene, sealed: sealed_scene };
    let mut requirement = Requirement::any_claim_by(court.signers(false));
    assert_eq!(court.judge(&requirement, &pieces, Seen::All), "admit stamped");
    let age = u64::try_from(court.scene.now - court.scene.signed_at).unwrap();
    requirement.rule.age_max_s = Some(age - 1);
    assert_eq!(court.judge(&requirement, &pieces, Seen::All), "refuse stamped:TooOld");
}

#[test]
fn annotations_choose_what_counts() {
    let court = Court::new();
    let annotated = |answer, value: &'static str| {
        said(answer, 0).on_statement(move |statement| {
            statement["subject"][0]["annotations"] = serde_json::json!({"env": value});
        })
    };
    let pieces =
        [sealed("prod", &annotated("yes", "prod")), sealed("dev", &annotated("no", "dev"))];
    let mut requirement = court.requirement(Which::All);
    assert_eq!(court.judge(&requirement, &pieces, Seen::All), "refuse dev:ProgramRefused");
    requirement.claim.annotations = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
    assert_eq!(court.judge(&requirement, &pieces, Seen::All), "admit prod");
    requirement.claim.annotations.insert("env".to_owned(), "test".to_owned());
    let found = court.judge(&requirement, &pieces, Seen::All);
    assert_eq!(found, "refuse prod:WrongAnnotation dev:WrongAnnotation");
}

#[test]
fn a_deny_rule_beside_a_requirement_decides_with_it() {
    let court = Court::new();
    let mut signed = court.requirement(Which::Any);
    signed.claim = ClaimPattern::any();
    signed.rule.predicates.clear();
    let denied = court.requirement(Which::None);
    let other = sealed("other", &said("no", 0));
    let revoked = sealed("revoked", &said("yes", 0));
    let judge = |pieces: &[Piece], obstacles: &[Obstacle]| {
        told(&court.judge_all(vec![signed.clone(), denied.clone()], pieces, obstacles))
    };
    assert_eq!(judge(std::slice::from_ref(&other), &[]), "admit other");
    assert_eq!(judge(&[other, revoked], &[]), "refuse revoked:Denied");
}

#[test]
fn a_denied_artifact_is_refused_whatever_the_evidence() {
    let court = Court::new();
    let pieces = [sealed("piece", &court.scene)];
    let digest = *Artifact::from_bytes(&court.sealed.artifact).digest();
    let other: Digest = format!("sha256:{}", "00".repeat(32)).parse().unwrap();
    let list = |digests: Vec<Digest>| {
        let (name, message) = ("deny".to_owned(), "withdrawn".to_owned());
        Requirement::any_claim_by(NonEmpty::new(Authority::DenyList { name, digests, message }))
    };
    let signed = court.requirement(Which::Any);
    let judge = |requirements: Vec<Requirement>| told(&court.judge_all(requirements, &pieces, &[]));
    assert_eq!(judge(vec![list(vec![other]), signed.clone()]), "admit piece");
    assert_eq!(judge(vec![list(vec![other, digest]), signed.clone()]), "refuse -:DeniedArtifact");
    // No evidence could change it, seen or not.
    let (what, detail) = (String::new(), String::new());
    let obstacle = Obstacle { kind: ObstacleKind::TimedOut, what, detail };
    let verdict = court.judge_all(vec![signed, list(vec![digest])], &pieces, &[obstacle]);
    assert_eq!(told(&verdict), "refuse -:DeniedArtifact");
    // And a list alone vouches for nothing.
    assert_eq!(judge(vec![list(vec![other])]), "refuse -:NothingVouches");
}

#[test]
fn more_evidence_can_break_every_rule_but_any() {
    let court = Court::new();
    for (which, stands) in
        [(Which::Any, true), (Which::All, false), (Which::Latest, false), (Which::None, false)]
    {
        let requirements = NonEmpty::new(court.requirement(which));
        let policy = Policy { name: "test".to_owned(), requirements };
        assert_eq!(policy.admits_for_good(), stands, "{which:?}");
    }
}

#[test]
fn a_signature_over_the_artifact_gives_programs_nothing_to_judge() {
    let scene = Scene::v1();
    let sealed_scene = scene.seal();
    let court = Court { scene, sealed: sealed_scene };
    let mut requirement = court.requirement(Which::Any);
    requirement.claim = ClaimPattern::any();
    let pieces = [sealed("plain", &court.scene)];
    assert_eq!(court.judge(&requirement, &pieces, Seen::All), "refuse plain:ProgramFailed");
}

#[test]
fn the_words_of_each_refusal_tell_both_sides() {
    let court = Court::new();
    let mut requirement = court.requirement(Which::Any);
    requirement.rule.age_max_s = Some(60);
    let pieces = [sealed("piece", &court.scene)];
    let verdict = court.judge_all(vec![requirement], &pieces, &[]);
    let Verdict::Refuse(reasons) = verdict else { panic!("{verdict:?}") };
    let (wanted, found) = reasons.first().refusal.wanted_and_found();
    assert_eq!(wanted, "seen at most 60 seconds ago");
    assert!(found.starts_with("seen 3600 seconds ago, at 20"), "{found}");
    assert!(reasons.first().refusal.hint(WantedIn::PolicyFile).is_some());
    let said = vec!["one".to_owned(), "two".to_owned()];
    let refusal = Refusal::ProgramRefused { program: "p.rego".to_owned(), said };
    assert_eq!(refusal.to_string(), "`p.rego` does not accept what was said: one; two");
}

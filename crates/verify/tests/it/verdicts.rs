//! The judge: any of, all of, what could not be seen, what is decided without looking. No reason
//! is lost.

use testkit::{Key, Scene, Sealed};
use verify::{
    Artifact, Authority, Case, Ground, NonEmpty, Obstacle, ObstacleKind, Piece, Policy, Refusal,
    Requirement, Verdict, WantedIn,
};

use crate::judging::{authority, now, piece};

struct Court {
    scene: Scene,
    sealed: Sealed,
}

impl Court {
    fn new() -> Self {
        let scene = Scene::v1();
        let sealed = scene.seal();
        Self { scene, sealed }
    }

    fn right(&self, name: &str) -> Authority {
        named(authority(&self.scene, &self.sealed), name)
    }

    /// An authority that this signer does not satisfy.
    fn wrong(&self, name: &str) -> Authority {
        let other = self.scene.clone().with(|scene| scene.wanted_subject = "somebody".to_owned());
        named(authority(&other, &self.sealed), name)
    }

    fn evidence(&self, source: &str) -> Piece {
        piece(source, &self.sealed.bundle_json())
    }

    fn judge(
        &self,
        requirements: Vec<Vec<Authority>>,
        pieces: &[Piece],
        obstacles: &[Obstacle],
    ) -> Verdict {
        let requirements = requirements
            .into_iter()
            .map(|any_of| Requirement::any_claim_by(NonEmpty::from_vec(any_of).unwrap()))
            .collect();
        let policy = Policy {
            name: "test".to_owned(),
            requirements: NonEmpty::from_vec(requirements).unwrap(),
        };
        let artifact = Artifact::from_bytes(&self.sealed.artifact);
        policy.judge(&Case { artifact: &artifact, pieces, obstacles }, now(&self.scene))
    }
}

fn named(mut authority: Authority, wanted: &str) -> Authority {
    if let Authority::Keyless { name, .. } | Authority::Key { name, .. } = &mut authority {
        *name = wanted.to_owned();
    }
    authority
}

fn pass() -> Authority {
    Authority::StaticPass { name: "pass".to_owned() }
}

fn fail() -> Authority {
    Authority::StaticFail { name: "fail".to_owned(), message: "never".to_owned() }
}

fn obstacle() -> Obstacle {
    let (what, detail) = ("referrers".to_owned(), "429".to_owned());
    Obstacle { kind: ObstacleKind::RateLimited, what, detail }
}

/// Where each refusal came from, and its variant.
fn reasons(verdict: &Verdict) -> Vec<(Option<&str>, &str, String)> {
    let all: Vec<_> = match verdict {
        Verdict::Refuse(reasons) => reasons.iter().collect(),
        Verdict::Unknown(_, reasons) => reasons.iter().collect(),
        Verdict::Admit(_) => Vec::new(),
    };
    all.into_iter()
        .map(|reason| {
            let variant = crate::judging::variant(&reason.refusal);
            (reason.source.as_deref(), reason.authority.as_str(), variant)
        })
        .collect()
}

fn grounds(verdict: &Verdict) -> Vec<String> {
    let Verdict::Admit(grounds) = verdict else { panic!("{verdict:?}") };
    grounds
        .0
        .iter()
        .map(|ground| match ground {
            Ground::Claim { source, authority, .. } => format!("{authority} by {source}"),
            Ground::Static { authority } => authority.clone(),
        })
        .collect()
}

#[test]
fn any_authority_and_any_piece_suffices() {
    let court = Court::new();
    let broken = piece("broken", b"{}");
    let pieces = [broken, court.evidence("first"), court.evidence("second")];
    let verdict = court.judge(vec![vec![court.wrong("b"), court.right("a")]], &pieces, &[]);
    assert_eq!(grounds(&verdict), ["a by first"]);
}

#[test]
fn every_requirement_must_be_met() {
    let court = Court::new();
    let pieces = [court.evidence("bundle")];
    let verdict = court.judge(vec![vec![court.right("a")], vec![court.right("b")]], &pieces, &[]);
    assert_eq!(grounds(&verdict), ["a by bundle", "b by bundle"]);
    for requirements in [
        vec![vec![court.right("a")], vec![court.wrong("b")]],
        vec![vec![court.wrong("b")], vec![court.right("a")]],
    ] {
        let verdict = court.judge(requirements, &pieces, &[]);
        assert!(matches!(verdict, Verdict::Refuse(_)), "{verdict:?}");
        assert_eq!(reasons(&verdict), [(Some("bundle"), "b", "WrongIdentity".to_owned())]);
    }
}

#[test]
fn every_reason_is_kept() {
    let court = Court::new();
    let pieces = [piece("broken", b"{}"), court.evidence("bundle")];
    let requirements = vec![vec![court.wrong("a"), court.wrong("b")], vec![fail()]];
    let verdict = court.judge(requirements, &pieces, &[]);
    let malformed = || "Malformed".to_owned();
    let identity = || "WrongIdentity".to_owned();
    assert_eq!(
        reasons(&verdict),
        [
            (Some("broken"), "a", malformed()),
            (Some("bundle"), "a", identity()),
            (Some("broken"), "b", malformed()),
            (Some("bundle"), "b", identity()),
            (None, "fail", "Static".to_owned()),
        ]
    );
}

#[test]
fn no_evidence_is_a_refusal() {
    let court = Court::new();
    let verdict = court.judge(vec![vec![court.right("a")]], &[], &[]);
    assert_eq!(reasons(&verdict), [(None, "a", "NoEvidence".to_owned())]);
    assert!(matches!(verdict, Verdict::Refuse(_)));
}

#[test]
fn what_was_not_seen_leaves_a_refusal_open() {
    let court = Court::new();
    let pieces = [court.evidence("bundle")];
    for (requirements, pieces) in [
        (vec![vec![court.right("a")]], &[][..]),
        (vec![vec![court.wrong("a")]], &pieces[..]),
        (vec![vec![court.right("a")], vec![court.wrong("b")]], &pieces[..]),
        (vec![vec![fail(), court.wrong("a")]], &pieces[..]),
    ] {
        let verdict = court.judge(requirements, pieces, &[obstacle(), obstacle()]);
        let Verdict::Unknown(obstacles, kept) = &verdict else { panic!("{verdict:?}") };
        assert_eq!(obstacles.len(), 2);
        assert!(!kept.is_empty());
    }
}

#[test]
fn what_suffices_suffices_whatever_was_not_seen() {
    let court = Court::new();
    let pieces = [court.evidence("bundle")];
    let verdict = court.judge(vec![vec![court.right("a")]], &pieces, &[obstacle()]);
    assert_eq!(grounds(&verdict), ["a by bundle"]);
    let verdict = court.judge(vec![vec![pass()]], &[], &[obstacle()]);
    assert_eq!(grounds(&verdict), ["pass"]);
}

#[test]
fn what_no_evidence_can_meet_is_refused_whatever_was_not_seen() {
    let court = Court::new();
    for requirements in [
        vec![vec![fail()]],
        vec![vec![fail(), fail()]],
        vec![vec![court.right("a")], vec![fail()]],
        vec![vec![fail()], vec![court.right("a")]],
    ] {
        let verdict = court.judge(requirements, &[], &[obstacle()]);
        assert!(matches!(verdict, Verdict::Refuse(_)), "{verdict:?}");
    }
}

#[test]
fn static_authorities_decide_without_evidence() {
    let court = Court::new();
    assert_eq!(grounds(&court.judge(vec![vec![fail(), pass()]], &[], &[])), ["pass"]);
    let verdict = court.judge(vec![vec![fail()]], &[court.evidence("bundle")], &[]);
    let Verdict::Refuse(refused) = &verdict else { panic!("{verdict:?}") };
    let wanted = Refusal::Static { message: "never".to_owned() };
    assert_eq!((refused.len(), &refused.first().refusal), (1, &wanted));
    assert_eq!(refused.first().source, None);
}

#[test]
fn a_key_and_a_certificate_are_not_mistaken_for_each_other() {
    let court = Court::new();
    let pieces = [court.evidence("bundle")];
    let pinned = Scene::v1().pinned();
    let sealed = pinned.seal();
    // A certificate for the very key that is pinned is that key's signature.
    let key = named(authority(&pinned, &court.sealed), "key");
    assert_eq!(grounds(&court.judge(vec![vec![key.clone()]], &pieces, &[])), ["key by bundle"]);
    let other = named(
        authority(
            &pinned.clone().with(|_| ()),
            &Sealed {
                key: Key::named("somebody else", crypto::KeyKind::EcdsaP256),
                ..court.sealed.clone()
            },
        ),
        "other",
    );
    let verdict = court.judge(vec![vec![other]], &pieces, &[]);
    assert_eq!(reasons(&verdict), [(Some("bundle"), "other", "WrongKey".to_owned())]);
    // A bare key's signature is nobody's that a certificate could name.
    let bare = [piece("bare", &sealed.bundle_json())];
    let verdict = court.judge(vec![vec![court.right("a")]], &bare, &[]);
    assert_eq!(reasons(&verdict), [(Some("bare"), "a", "NoCertificate".to_owned())]);
}

#[test]
fn each_authority_judges_under_its_own_trust_root() {
    let court = Court::new();
    let other = testkit::Instance::named("another instance");
    let foreign = Scene::v1().with(|scene| scene.instance = other);
    let foreign_sealed = foreign.seal();
    let pieces = [court.evidence("ours"), piece("theirs", &foreign_sealed.bundle_json())];
    let theirs = named(authority(&foreign, &foreign_sealed), "theirs");
    let verdict = court.judge(vec![vec![court.right("ours")], vec![theirs]], &pieces, &[]);
    assert_eq!(grounds(&verdict), ["ours by ours", "theirs by theirs"]);
}

#[test]
fn patterns_match_what_they_say() {
    use verify::Pattern;
    use verify::identity::{BadPattern, REGEX_SIZE_MAX};
    assert_eq!(Pattern::exact("").unwrap_err(), BadPattern::Empty);
    assert_eq!(Pattern::regex("").unwrap_err(), BadPattern::Empty);
    let found = REGEX_SIZE_MAX + 1;
    assert_eq!(Pattern::regex(&"a".repeat(found)).unwrap_err(), BadPattern::TooLong { found });
    Pattern::regex(&"a".repeat(REGEX_SIZE_MAX)).unwrap();
    for bad in ["(", "a{1000000}", r"\p{Nonsense}", "((a{100}){100}){100}"] {
        assert!(matches!(Pattern::regex(bad), Err(BadPattern::Syntax(_))), "{bad}");
    }

    let court = Court::new();
    let pieces = [court.evidence("bundle")];
    let judge = |subject: Pattern, issuer: Pattern| {
        let Authority::Keyless { name, roots, mut identities, demands } = court.right("a") else {
            panic!("keyless")
        };
        (identities.head.subject, identities.head.issuer) = (subject, issuer);
        let authority = Authority::Keyless { name, roots, identities, demands };
        matches!(court.judge(vec![vec![authority]], &pieces, &[]), Verdict::Admit(_))
    };
    let regex = |text: &str| Pattern::regex(text).unwrap();
    let exact = |text: &str| Pattern::exact(text).unwrap();
    let (subject, issuer) = (testkit::instance::SUBJECT, testkit::instance::ISSUER);
    for (subject, wanted) in [
        (regex(r"^https://git\.testkit\.example/acme/.+@refs/tags/v1\.0\.0$"), true),
        // Unanchored, as Cosign's: part of the text suffices.
        (regex("acme"), true),
        (regex("^acme"), false),
        (regex("(?i)ACME"), true),
        (regex("ACME"), false),
        (exact(subject), true),
        (exact(&subject.to_uppercase()), false),
        (exact(&subject[1..]), false),
        (exact(&format!("{subject}\n")), false),
    ] {
        let text = subject.to_string();
        assert_eq!(judge(subject, exact(issuer)), wanted, "{text}");
    }
    assert!(judge(exact(subject), regex("testkit")));
    assert!(!judge(exact(subject), regex("^testkit")));
}

#[test]
fn any_wanted_identity_suffices_and_the_nearest_miss_is_told() {
    use verify::{IdentityPattern, Pattern};
    let court = Court::new();
    let pieces = [court.evidence("bundle")];
    let Authority::Keyless { name, roots, identities, demands } = court.right("a") else {
        panic!("keyless")
    };
    let right = identities.head;
    let somebody = IdentityPattern { subject: Pattern::exact("x").unwrap(), ..right.clone() };
    let extension =
        (evidence::certificate::FulcioExtension::BuildTrigger, Pattern::exact("push").unwrap());
    let strict = IdentityPattern { extensions: vec![extension], ..right.clone() };
    let judge = |identities: Vec<IdentityPattern>| {
        let identities = NonEmpty::from_vec(identities).unwrap();
        let (name, roots) = (name.clone(), roots.clone());
        let authority = Authority::Keyless { name, roots, identities, demands };
        court.judge(vec![vec![authority]], &pieces, &[])
    };
    assert!(matches!(judge(vec![somebody.clone(), strict.clone(), right]), Verdict::Admit(_)));
    // Right name, wrong build: that is the nearest miss, wherever it stands.
    for identities in [vec![somebody.clone(), strict.clone()], vec![strict, somebody.clone()]] {
        assert_eq!(reasons(&judge(identities))[0].2, "WrongExtension");
    }
    let verdict = judge(vec![somebody.clone(), somebody]);
    let Verdict::Refuse(refused) = &verdict else { panic!("{verdict:?}") };
    let Refusal::WrongIdentity { wanted, .. } = &refused.first().refusal else {
        panic!("identity")
    };
    assert_eq!(wanted.len(), 2);
}

#[test]
fn explanations_name_every_piece_under_every_authority() {
    let court = Court::new();
    let pieces = [piece("broken", b"{}"), court.evidence("bundle")];
    let requirement =
        Requirement::any_claim_by(NonEmpty::from((court.wrong("a"), vec![court.right("b")])));
    let policy = Policy { name: "test".to_owned(), requirements: NonEmpty::new(requirement) };
    let artifact = Artifact::from_bytes(&court.sealed.artifact);
    let case = Case { artifact: &artifact, pieces: &pieces, obstacles: &[] };
    let (verdict, explanations) = policy.explain(&case, now(&court.scene), WantedIn::Flags);
    assert!(matches!(verdict, Verdict::Admit(_)));
    let told: Vec<_> = explanations
        .iter()
        .map(|explanation| (explanation.source.as_str(), explanation.authority.as_str()))
        .collect();
    assert_eq!(told, [("broken", "a"), ("bundle", "a"), ("broken", "b"), ("bundle", "b")]);
}

#[test]
fn obstacles_are_told_in_words() {
    let kinds = ObstacleKind::ALL;
    let words: std::collections::BTreeSet<_> = kinds.iter().map(ToString::to_string).collect();
    assert_eq!(words.len(), kinds.len());
    assert!(words.iter().all(|text| text.len() > 5), "{words:?}");
    assert_eq!(obstacle().to_string(), "referrers: asked too often (429)");
    let plain = Obstacle { detail: String::new(), ..obstacle() };
    assert_eq!(plain.to_string(), "referrers: asked too often");
}

//! What a policy waives is given up, told as waived, and nothing else is given up with it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU8;
use std::sync::Arc;

use crypto::KeyKind;
use evidence::cosign::Layer;
use evidence::{Digest, Evidence};
use testkit::clock::{CERTIFIED_TO, SIGNED_AT};
use testkit::log::Kind;
use testkit::{Key, Scene, SealedLayer, accepted, mutants};
use verify::explain::Outcome;
use verify::time::Observer;
use verify::{
    Artifact, Authority, CertificateTransparency, Check, Demands, Explanation, IdentityPattern,
    Intermediates, Logging, Observers, Pattern, Piece, ProviderName, Refusal, Rule, Thresholds,
    TimeSource, TrustRoot, Verdict, VerifiedClaim, WantedIn, Which,
};

use crate::judging::{demanding, explain_piece, now, piece, policy, variant};

pub(crate) const UNLOGGED: Demands = Demands { logging: Logging::Waived, ..Demands::all() };
pub(crate) const UNPUBLISHED: Demands =
    Demands { transparency: CertificateTransparency::Waived, ..Demands::all() };
pub(crate) const STAMPED: Demands = Demands { time: TimeSource::SignedTimestamp, ..Demands::all() };
pub(crate) const CHAINED: Demands =
    Demands { intermediates: Intermediates::BroughtAlong, ..Demands::all() };

type Outcomes = (Result<VerifiedClaim, Refusal>, Explanation);

fn explain(scene: &Scene, demands: Demands) -> Outcomes {
    let sealed = scene.seal();
    let artifact = Artifact::from_bytes(&sealed.artifact);
    let piece = piece("bundle", &sealed.bundle_json());
    explain_piece(scene, piece, demanding(scene, &sealed, demands), &artifact)
}

pub(crate) fn prove(scene: &Scene, demands: Demands) -> Result<VerifiedClaim, Refusal> {
    explain(scene, demands).0
}

fn layer_piece(sealed: &SealedLayer) -> Piece {
    let layer = Layer {
        media_type: sealed.media_type.to_owned(),
        annotations: sealed.annotations.clone(),
        bytes: sealed.bytes.clone(),
    };
    let evidence = Evidence::from_cosign_layer(layer).map_err(Into::into);
    Piece { source: "layer".to_owned(), evidence }
}

/// The scene's signer, wanted of a layer.
fn layer_authority(scene: &Scene, sealed: &SealedLayer, demands: Demands) -> Authority {
    let verifier = testkit::Sealed {
        bundle: serde_json::Value::Null,
        trust_root: sealed.trust_root.clone(),
        artifact: sealed.artifact.clone(),
        key: sealed.key.clone(),
        certificate: sealed.certificate.clone(),
    };
    demanding(scene, &verifier, demands)
}

fn prove_layer(scene: &Scene, demands: Demands) -> Result<VerifiedClaim, Refusal> {
    let sealed = scene.seal_layer();
    let artifact = Artifact::from_digest(Digest::sha256(&sealed.artifact));
    let authority = layer_authority(scene, &sealed, demands);
    explain_piece(scene, layer_piece(&sealed), authority, &artifact).0
}

fn outcomes_of(explanation: &Explanation, check: Check) -> Vec<Outcome> {
    let lines = explanation.lines.iter().filter(|line| line.check == check);
    lines.map(|line| line.outcome).collect()
}

/// Nobody logged it, and nobody else saw it.
pub(crate) fn unlogged(scene: Scene) -> Scene {
    scene.with(|scene| {
        scene.entries.clear();
        scene.timestamps = 0;
        scene.now = SIGNED_AT;
    })
}

/// Everything that can be signed without a log, as bundles.
fn contents() -> [Scene; 2] {
    [unlogged(Scene::v1()), unlogged(Scene::statement(Kind::DsseV1))]
}

/// The same as layers of Cosign's tags.
fn layers() -> [Scene; 2] {
    [unlogged(Scene::cosign()), unlogged(Scene::cosign_attestation(Kind::DsseV1))]
}

#[test]
fn what_nobody_logged_is_accepted_where_logging_is_waived_and_told_as_waived() {
    for scene in contents() {
        for (scene, waived) in [
            (scene.clone().pinned(), vec![Check::LogInclusion]),
            (scene.clone(), vec![Check::LogInclusion, Check::Time]),
            (scene.clone().with(|it| it.timestamps = 1), vec![Check::LogInclusion]),
        ] {
            assert_eq!(prove(&scene, Demands::all()).unwrap_err(), Refusal::NotLogged);
            let (claim, explanation) = explain(&scene, UNLOGGED);
            let claim = claim.unwrap_or_else(|refusal| panic!("{scene:?}: {refusal:?}"));
            assert_eq!(claim.waived(), waived, "{scene:?}");
            assert!(claim.entries().is_empty());
            for check in waived {
                assert_eq!(outcomes_of(&explanation, check), [Outcome::Waived], "{scene:?}");
            }
            assert_eq!(outcomes_of(&explanation, Check::LogBinding), []);
        }
    }
    for scene in layers() {
        for scene in [scene.clone().pinned(), scene] {
            assert_eq!(prove_layer(&scene, Demands::all()).unwrap_err(), Refusal::NotLogged);
            assert_eq!(prove_layer(&scene, UNLOGGED).unwrap().waived()[0], Check::LogInclusion);
        }
    }
}

/// What was proven is not told as waived, whatever the policy would do without.
#[test]
fn what_holds_all_the_same_is_told_as_proven() {
    let lenient = Demands {
        logging: Logging::Waived,
        transparency: CertificateTransparency::Waived,
        time: TimeSource::AnyTrusted,
        intermediates: Intermediates::BroughtAlong,
        provider: ProviderName::Waived,
    };
    for (name, scene) in accepted::all() {
        let claim = prove(&scene, lenient).unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        assert_eq!(claim.waived(), [], "{name}");
        assert_eq!(claim.entries().len(), scene.entries.len(), "{name}");
    }
}

/// The moment at which a certificate is judged for want of any other is nobody's observation.
#[test]
fn nothing_is_seen_now() {
    let scene = unlogged(Scene::v1());
    let claim = prove(&scene, UNLOGGED).unwrap();
    let [time] = claim.times() else { panic!("one time") };
    assert_eq!((time.time(), time.observer()), (now(&scene), &Observer::Now));
    assert_eq!(claim.seen(), None);

    // So that it has no age, and is not the latest of anything.
    for rule in [
        Rule { age_max_s: Some(3_600), ..Rule::any() },
        Rule { which: Which::Latest, ..Rule::any() },
    ] {
        let sealed = scene.seal();
        let mut policy = policy(vec![demanding(&scene, &sealed, UNLOGGED)]);
        policy.requirements.head.rule = rule;
        let artifact = Artifact::from_bytes(&sealed.artifact);
        let pieces = [piece("bundle", &sealed.bundle_json())];
        let case = verify::Case { artifact: &artifact, pieces: &pieces, obstacles: &[] };
        let Verdict::Refuse(reasons) = policy.judge(&case, now(&scene)) else { panic!("refused") };
        assert_eq!(reasons.first().refusal, Refusal::NoTrustedTime);
    }
}

#[test]
fn a_certificate_is_judged_at_a_signed_time_else_now() {
    let late = CERTIFIED_TO + 1;
    for scene in contents() {
        let expired = scene.clone().with(|scene| scene.now = late);
        let refusal = prove(&expired, UNLOGGED).unwrap_err();
        assert!(matches!(refusal, Refusal::NotValidNow { .. }), "{refusal:?}");
        // Whoever stamped it in time keeps it good; that nobody knows who stamped it is told.
        let stamped = expired.clone().with(|scene| scene.timestamps = 1);
        prove(&stamped, UNLOGGED).unwrap();
        let by_nobody = stamped.on_token(|token| token.signer_serial = vec![9]);
        let unknown = prove(&by_nobody, UNLOGGED).unwrap_err();
        let told = Some(0);
        assert!(
            matches!(unknown, Refusal::NotValidNow { unknown_timestamp, .. } if unknown_timestamp == told),
            "{unknown:?}"
        );
        assert!(unknown.to_string().contains("timestamp 0 is from an authority"), "{unknown}");
        assert!(unknown.hint(WantedIn::Flags).unwrap().contains("--trusted-root"));
        assert!(!refusal.to_string().contains("timestamp 0"), "{refusal}");
        // A stamp from when it was not valid is not made good by its being valid now.
        let early = scene.with(|scene| {
            scene.timestamps = 1;
            scene.signed_at -= 3_600;
        });
        let refusal = prove(&early, UNLOGGED).unwrap_err();
        assert!(matches!(refusal, Refusal::NotValidAtTime { .. }), "{refusal:?}");
    }
    for scene in layers() {
        let expired = scene.with(|scene| scene.now = late);
        let refusal = prove_layer(&expired, UNLOGGED).unwrap_err();
        assert!(matches!(refusal, Refusal::NotValidNow { .. }), "{refusal:?}");
    }
    // Nor does an entry that promises no time, of a log that is retired by now.
    let v2 = Scene::v2().with(|scene| {
        scene.timestamps = 0;
        scene.now = SIGNED_AT;
    });
    let claim = prove(&v2, UNLOGGED).unwrap();
    assert_eq!(claim.waived(), [Check::Time]);
    let retired = v2.with_instance(|instance| instance.log_v2_window.1 = Some(SIGNED_AT - 1));
    for scene in [retired.clone(), retired.pinned()] {
        let refusal = prove(&scene, UNLOGGED).unwrap_err();
        assert!(matches!(refusal, Refusal::LogKeyNotValid { index: 0, .. }), "{refusal:?}");
    }
}

/// The same faults in evidence that nobody logged, where no entry could show them.
#[test]
fn nothing_else_is_waived_with_logging() {
    let other_key = Key::named("somebody else", KeyKind::EcdsaP256);
    type Fault = (&'static str, fn(Scene) -> Scene, &'static [&'static str]);
    let faults: [Fault; 8] = [
        (
            "the wrong identity",
            |scene| scene.with(|it| it.wanted_subject = "https://somebody.else".to_owned()),
            &["WrongIdentity"],
        ),
        (
            "the wrong issuer",
            |scene| scene.with(|it| it.wanted_issuer = "https://somebody.else".to_owned()),
            &["WrongIdentity"],
        ),
        (
            "a tampered signature",
            |scene| {
                scene.on_signature(|signature| {
                    let last = signature.len() - 1;
                    signature[last] ^= 1;
                })
            },
            &["BadSignature"],
        ),
        (
            "an authority that is not known",
            |scene| scene.on_trust_root(|root| root["certificateAuthorities"] = [(); 0].into()),
            &["UnknownAuthority"],
        ),
        (
            "no CT log that is known",
            |scene| scene.on_trust_root(|root| root["ctlogs"] = [(); 0].into()),
            &["NoCertificateTimestamp"],
        ),
        (
            "a certificate without usage",
            |scene| scene.on_certificate(|it| it.remove("2.5.29.37")),
            &["BadCertificate"],
        ),
        (
            "a timestamp over something else",
            |scene| {
                scene
                    .with(|it| it.timestamps = 1)
                    .on_token(|token| token.imprint_of = b"something else".to_vec())
            },
            &["TimestampImprint"],
        ),
        (
            "a time that has not come",
            |scene| {
                scene.with(|it| {
                    it.timestamps = 1;
                    it.now -= 120;
                })
            },
            &["TimeInFuture"],
        ),
    ];
    for (what, fault, wanted) in faults {
        for scene in contents() {
            let refusal = prove(&fault(scene), UNLOGGED).expect_err(what);
            assert!(wanted.contains(&&*variant(&refusal)), "{what}: {refusal:?}");
        }
        for scene in layers() {
            let refusal = prove_layer(&fault(scene), UNLOGGED).expect_err(what);
            assert!(wanted.contains(&&*variant(&refusal)), "{what}: {refusal:?}");
        }
    }
    for scene in contents().into_iter().flat_map(|scene| [scene.clone(), scene.pinned()]) {
        // Another artifact.
        let sealed = scene.seal();
        let authority = || demanding(&scene, &sealed, UNLOGGED);
        let other = Artifact::from_bytes(b"another artifact");
        let bundle = piece("bundle", &sealed.bundle_json());
        let refusal = explain_piece(&scene, bundle, authority(), &other).0.unwrap_err();
        assert!(matches!(refusal, Refusal::WrongArtifact { .. }), "{refusal:?}");
        // The digest beside a signature is not what tells.
        let mut silent = sealed.clone();
        if let Some(message) = silent.bundle.get_mut("messageSignature") {
            message.as_object_mut().unwrap().remove("messageDigest");
            let bundle = piece("bundle", &silent.bundle_json());
            let refusal = explain_piece(&scene, bundle, authority(), &other).0.unwrap_err();
            assert_eq!(refusal, Refusal::BadSignature);
        }
    }
    for scene in contents().map(Scene::pinned) {
        let key = other_key.clone();
        let other = scene.with(|scene| scene.wanted_key = Some(key));
        assert_eq!(prove(&other, UNLOGGED).unwrap_err(), Refusal::BadSignature);
    }
    for scene in layers().into_iter().flat_map(|scene| [scene.clone(), scene.pinned()]) {
        let sealed = scene.seal_layer();
        let other = Artifact::from_digest(Digest::sha256(b"another image"));
        let authority = layer_authority(&scene, &sealed, UNLOGGED);
        let refusal = explain_piece(&scene, layer_piece(&sealed), authority, &other).0.unwrap_err();
        assert!(matches!(refusal, Refusal::WrongArtifact { .. }), "{refusal:?}");
    }
}

/// Every scene that is wrong in one way, under each waiver: but for what is waived it stays refused,
/// and for the same reason.
#[test]
fn a_waiver_gives_up_one_thing() {
    let waivers: [(&str, Demands, &[&str]); 3] = [
        // Without a time that is trusted it is judged as of now, when the scenes' certificates are
        // long expired.
        (
            "logging",
            UNLOGGED,
            &["NotLogged", "UnknownLog", "NoTrustedTime", "UnknownTimestampAuthority"],
        ),
        ("transparency", UNPUBLISHED, &["NoCertificateTimestamp"]),
        ("chains", CHAINED, &["ChainNotAllowed"]),
    ];
    for (waiver, demands, gives_up) in waivers {
        let mut met = BTreeMap::<_, BTreeSet<_>>::new();
        for mutant in mutants::all() {
            let outcome = prove(&mutant.scene, demands).map_err(|refusal| variant(&refusal));
            let (name, refusal) = (&mutant.name, mutant.refusal);
            if gives_up.contains(&refusal) {
                met.entry(refusal).or_default().insert(outcome.map(|_| ()));
            } else {
                assert_eq!(outcome.err().as_deref(), Some(refusal), "{waiver}: {name}");
            }
        }
        let wanted: BTreeSet<_> = gives_up.iter().copied().collect();
        assert_eq!(met.keys().copied().collect::<BTreeSet<_>>(), wanted, "{waiver}");
        let accepts = |refusal: &str| met.get(refusal).is_some_and(|all| all.contains(&Ok(())));
        let expired = Err("NotValidNow".to_owned());
        match waiver {
            "logging" => {
                for untimed in ["NoTrustedTime", "UnknownTimestampAuthority"] {
                    assert_eq!(met[untimed], BTreeSet::from([expired.clone()]));
                }
                assert!(met["NotLogged"].contains(&expired), "{met:?}");
            }
            "transparency" => assert!(accepts("NoCertificateTimestamp"), "{met:?}"),
            _ => assert!(accepts("ChainNotAllowed"), "{met:?}"),
        }
    }
}

/// Where a signed timestamp is demanded, everything stays refused, and what has none besides.
#[test]
fn a_signed_timestamp_is_demanded_on_top() {
    for mutant in mutants::all() {
        assert!(prove(&mutant.scene, STAMPED).is_err(), "{}", mutant.name);
    }
    let mut with = 0;
    for (name, scene) in accepted::all() {
        let outcome = prove(&scene, STAMPED);
        let stamped = prove(&scene, Demands::all()).unwrap().times().iter().any(|time| {
            assert_ne!(*time.observer(), Observer::Now, "{name}");
            matches!(time.observer(), Observer::TimestampAuthority(_))
        });
        if stamped {
            with += 1;
            outcome.unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        } else if scene.timestamps == 0 {
            assert_eq!(outcome.unwrap_err(), Refusal::NoSignedTimestamp, "{name}");
        } else {
            let unknown = Refusal::UnknownTimestampAuthority { index: 0 };
            assert_eq!(outcome.unwrap_err(), unknown, "{name}");
        }
    }
    assert!(with > 10, "{with}");
    // Without a log too, of a certificate that is valid now, and of a key.
    let both = Demands { logging: Logging::Waived, ..STAMPED };
    for scene in contents().into_iter().flat_map(|scene| [scene.clone(), scene.pinned()]) {
        assert_eq!(prove(&scene, both).unwrap_err(), Refusal::NoSignedTimestamp);
        let claim = prove(&scene.with(|scene| scene.timestamps = 1), both).unwrap();
        assert_eq!(claim.waived(), [Check::LogInclusion]);
    }
    let refusal = Refusal::NoSignedTimestamp;
    assert_eq!(refusal.check(), Check::Timestamp);
    assert!(refusal.hint(WantedIn::Flags).unwrap().contains("--use-signed-timestamps"));
}

/// An entry of a log that nobody knows says nothing: neither that it is logged nor when.
#[test]
fn entries_of_unknown_logs_are_passed_over() {
    let nobodys = |scene: Scene| scene.on_trust_root(|root| root["tlogs"] = [(); 0].into());
    let scene = nobodys(Scene::v1().with(|scene| scene.now = SIGNED_AT));
    let (claim, explanation) = explain(&scene, UNLOGGED);
    let claim = claim.unwrap();
    assert_eq!(claim.waived(), [Check::LogInclusion, Check::Time]);
    assert_eq!(claim.seen(), None);
    let lines = outcomes_of(&explanation, Check::LogInclusion);
    assert_eq!(lines, [Outcome::Skipped, Outcome::Waived]);
    // Not even when an entry would have promised a better time.
    let expired = nobodys(Scene::v1());
    let refusal = prove(&expired, UNLOGGED).unwrap_err();
    assert!(matches!(refusal, Refusal::NotValidNow { .. }), "{refusal:?}");
    // Beside one of a log that is known it is passed over, and that one counts.
    let both = Scene::v1()
        .with(|scene| {
            let v2 = testkit::Entry { kind: Kind::HashedRekordV2, promise: false, proof: true };
            scene.entries.insert(0, v2);
        })
        .on_trust_root(|root| {
            root["tlogs"].as_array_mut().unwrap().pop();
        });
    let refusal = prove(&both, Demands::all()).unwrap_err();
    assert!(matches!(refusal, Refusal::UnknownLog { index: 0, .. }), "{refusal:?}");
    let (claim, explanation) = explain(&both, UNLOGGED);
    let claim = claim.unwrap();
    assert_eq!((claim.waived(), claim.entries().len()), (Vec::new(), 1));
    let binding = explanation.lines.iter().find(|line| line.check == Check::LogBinding).unwrap();
    assert_eq!(binding.found, "1 of 2");
    // An entry of a known log that is about something else contradicts, whatever is waived, and is
    // told by its own place.
    let mut sealed = both.seal();
    let mut donor = both.clone().with(|scene| scene.artifact.push(b'!')).seal();
    sealed.entries_mut()[1] = donor.entries_mut()[1].take();
    let artifact = Artifact::from_bytes(&sealed.artifact);
    let authority = demanding(&both, &sealed, UNLOGGED);
    let swapped = piece("bundle", &sealed.bundle_json());
    let refusal = explain_piece(&both, swapped, authority, &artifact).0.unwrap_err();
    assert!(matches!(refusal, Refusal::EntryMismatch { index: 1, .. }), "{refusal:?}");
}

#[test]
fn a_certificate_that_nobody_promised_to_publish_is_accepted_where_that_is_waived() {
    let none = Scene::v1().on_certificate(|draft| draft.scts.clear());
    let unknown = Scene::v1().on_trust_root(|root| root["ctlogs"] = [(); 0].into());
    for (scene, found) in [(none, 0), (unknown, 1)] {
        let refusal = prove(&scene, Demands::all()).unwrap_err();
        assert_eq!(refusal, Refusal::NoCertificateTimestamp { found });
        let (claim, explanation) = explain(&scene, UNPUBLISHED);
        assert_eq!(claim.unwrap().waived(), [Check::CertificateTransparency]);
        let outcomes = outcomes_of(&explanation, Check::CertificateTransparency);
        assert_eq!(outcomes, [Outcome::Waived]);
        for (wrong, wanted) in [
            (scene.clone().with(|it| it.wanted_subject = "x".to_owned()), "WrongIdentity"),
            (scene.clone().on_signature(|signature| signature[8] ^= 1), "BadSignature"),
            (scene.clone().with(|it| it.signed_at = CERTIFIED_TO + 1), "NotValidAtTime"),
            (scene.clone().with(|it| it.entries.clear()), "NotLogged"),
        ] {
            assert_eq!(variant(&prove(&wrong, UNPUBLISHED).expect_err(wanted)), wanted);
        }
    }
}

/// Whoever demands several observers has them, or a refusal: a waiver is of the one that is wanted
/// anyway.
#[test]
fn thresholds_of_more_than_one_stay() {
    let (one, two) = (NonZeroU8::MIN, NonZeroU8::new(2).unwrap());
    let refused = |scene: &Scene, demands: Demands, thresholds: Thresholds| {
        let sealed = scene.seal();
        let mut authority = demanding(scene, &sealed, demands);
        let (Authority::Keyless { roots, .. } | Authority::Key { roots, .. }) = &mut authority
        else {
            panic!("it has a trust root")
        };
        *roots = Arc::new(TrustRoot::clone(roots).demanding(thresholds));
        let artifact = Artifact::from_bytes(&sealed.artifact);
        let piece = piece("bundle", &sealed.bundle_json());
        explain_piece(scene, piece, authority, &artifact).0.unwrap_err()
    };
    let too_few = |observers| Refusal::TooFewObservers { observers, wanted: two, found: 0 };
    let scene = unlogged(Scene::v1());
    let logs = Thresholds { logs: two, ..Thresholds::ONE };
    let times = Thresholds { times: two, ..Thresholds::ONE };
    let certificate_logs = Thresholds { certificate_logs: two, ..Thresholds::ONE };
    assert_eq!(Thresholds::ONE.logs, one);
    assert_eq!(refused(&scene, UNLOGGED, logs), too_few(Observers::Logs));
    assert_eq!(refused(&scene, UNLOGGED, times), too_few(Observers::Times));
    assert_eq!(refused(&scene.pinned(), UNLOGGED, times), too_few(Observers::Times));
    let unpublished = Scene::v1().on_certificate(|draft| draft.scts.clear());
    let refusal = refused(&unpublished, UNPUBLISHED, certificate_logs);
    assert_eq!(refusal, too_few(Observers::CertificateLogs));
    // And of one that there is, one is too few as ever.
    let refusal = refused(&Scene::v1(), UNPUBLISHED, certificate_logs);
    assert!(matches!(refusal, Refusal::TooFewObservers { found: 1, .. }), "{refusal:?}");
    let refusal = refused(&Scene::v1(), UNLOGGED, logs);
    assert!(matches!(refusal, Refusal::TooFewObservers { found: 1, .. }), "{refusal:?}");
}

/// For a key of which neither log nor time is wanted, no trust root is needed.
#[test]
fn a_key_alone_needs_no_trust_root() {
    let under_nobody = |scene: &Scene, demands| {
        let sealed = scene.seal();
        let mut authority = demanding(scene, &sealed, demands);
        let (Authority::Keyless { roots, .. } | Authority::Key { roots, .. }) = &mut authority
        else {
            panic!("it has a trust root")
        };
        *roots = Arc::new(TrustRoot::of_nobody());
        let artifact = Artifact::from_bytes(&sealed.artifact);
        let piece = piece("bundle", &sealed.bundle_json());
        explain_piece(scene, piece, authority, &artifact).0
    };
    for scene in [unlogged(Scene::v1()), Scene::v1(), Scene::v2(), Scene::statement(Kind::DsseV1)] {
        let pinned = scene.clone().pinned();
        let claim = under_nobody(&pinned, UNLOGGED).unwrap();
        assert_eq!((claim.waived(), claim.seen()), (vec![Check::LogInclusion], None));
        let tampered = pinned.clone().on_signature(|signature| signature[8] ^= 1);
        assert_eq!(under_nobody(&tampered, UNLOGGED).unwrap_err(), Refusal::BadSignature);
        under_nobody(&pinned, Demands::all()).unwrap_err();
        assert_eq!(under_nobody(&scene, UNLOGGED).unwrap_err(), Refusal::UnknownAuthority);
    }
}

/// Before bundles Cosign signed with SHA-256 whatever the key, and without an entry nothing tells. Our
/// own keys do not sign so; this was made elsewhere, over the payload of [`Scene::cosign`].
#[test]
fn layers_by_larger_curves_are_read_without_an_entry() {
    const P384: &str = "3066023100de744d44c7556b4d4a1b7c555240798efd3f9d836338e6efb70a35ddb24869972978e168cc8cd8\
        5ec251ae0454ee7483023100934d2ca9d56b5c215e20386c6c980f96c79913c835546f4cd08f523b91ec9919\
        bba9b4511311e909ef7293a6c5e79acc";
    for kind in [KeyKind::EcdsaP384, KeyKind::Rsa { bits: 2048 }, KeyKind::Ed25519] {
        for scene in layers() {
            prove_layer(&scene.with_key(kind).pinned(), UNLOGGED)
                .unwrap_or_else(|refusal| panic!("{kind}: {refusal:?}"));
        }
    }
    let signature = hex::decode(P384).unwrap();
    let [layer, _] = layers();
    let scene = layer.with_key(KeyKind::EcdsaP384).pinned();
    let scene = scene.on_signature(move |own| own.clone_from(&signature));
    prove_layer(&scene, UNLOGGED).unwrap();
    let other = scene.on_payload(|payload| payload["optional"] = serde_json::json!({"a": "b"}));
    assert_eq!(prove_layer(&other, UNLOGGED).unwrap_err(), Refusal::BadSignature);
}

/// Where an authority vouches alone, there is no provider that could be wanted.
#[test]
fn a_certificate_need_not_name_a_provider_where_that_is_waived() {
    let unnamed = Scene::v1().on_certificate(|certificate| {
        certificate.remove("1.3.6.1.4.1.57264.1.1");
        certificate.remove("1.3.6.1.4.1.57264.1.8");
    });
    let waived = Demands { provider: ProviderName::Waived, ..Demands::all() };
    let judge = |scene: &Scene, demands, issuer: Pattern| {
        let sealed = scene.seal();
        let artifact = Artifact::from_bytes(&sealed.artifact);
        let Authority::Keyless { name, roots, identities, .. } = demanding(scene, &sealed, demands)
        else {
            panic!("a certificate")
        };
        let identities = identities.map(|it| IdentityPattern { issuer: issuer.clone(), ..it });
        let authority = Authority::Keyless { name, roots, identities, demands };
        explain_piece(scene, piece("bundle", &sealed.bundle_json()), authority, &artifact).0
    };
    let anything = || Pattern::regex(".*").unwrap();
    let claim = judge(&unnamed, waived, anything()).unwrap();
    assert_eq!(claim.signer().issuer(), None);
    assert_eq!(claim.signer().subject(), Some(unnamed.wanted_subject.as_str()));
    // Not unless that is waived, whatever the pattern.
    assert_eq!(judge(&unnamed, Demands::all(), anything()).unwrap_err(), Refusal::NoIssuer);
    // Whoever wants a provider wants one.
    for issuer in [Pattern::regex(".").unwrap(), Pattern::exact(&unnamed.wanted_issuer).unwrap()] {
        let refusal = judge(&unnamed, waived, issuer).unwrap_err();
        let text = refusal.wanted_and_found().1;
        assert!(text.contains("no identity provider is named"), "{refusal:?}");
    }
    // And the subject is the wanted one all the same.
    let other = unnamed.with(|scene| scene.wanted_subject = "https://example.com/other".to_owned());
    let refusal = judge(&other, waived, anything()).unwrap_err();
    assert!(matches!(refusal, Refusal::WrongIdentity { .. }), "{refusal:?}");
}

//! Every refusal there is, reached, and told in words.

use std::collections::BTreeSet;
use std::num::NonZeroU8;
use std::sync::Arc;

use crypto::{HashAlgorithm, KeyKind};
use evidence::certificate::FulcioExtension;
use evidence::{Digest, Evidence};
use testkit::log::Kind;
use testkit::{Scene, accepted, mutants};
use verify::{
    Artifact, Authority, Case, EntryPart, NonEmpty, Observers, Pattern, Piece, Refusal, Thresholds,
    TrustRoot, Verdict, WantedIn,
};

use crate::judging::{
    JUDGED, Judged, authority, explain_about, now, piece, policy, prove, variant,
};

/// The name of every variant. The compiler says when one is missing.
fn name(refusal: &Refusal) -> &'static str {
    macro_rules! names {
        ($($name:ident),* $(,)?) => {
            match refusal { $(Refusal::$name { .. } => stringify!($name),)* }
        };
    }
    names!(
        NoEvidence,
        Malformed,
        Static,
        NotLogged,
        UnknownLog,
        BadPromise,
        LogKeyNotValid,
        NoProof,
        MalformedCheckpoint,
        WrongOrigin,
        BadCheckpointSignature,
        CheckpointMismatch,
        BadInclusionProof,
        TooFewObservers,
        MalformedTimestamp,
        TimestampImprint,
        InconsistentTimestamp,
        UnknownTimestampAuthority,
        TimestampAlgorithm,
        BadTimestampSignature,
        TimestampChain,
        TimestampAuthorityNotValid,
        NoTrustedTime,
        NoSignedTimestamp,
        TimeInFuture,
        NoCertificate,
        ChainNotAllowed,
        WrongKey,
        UnknownAuthority,
        BadCertificate,
        NotValidAtTime,
        NotValidNow,
        NoCertificateTimestamp,
        MalformedCertificateTimestamps,
        BadCertificateTimestamp,
        CertificateTimestampInFuture,
        CtLogKeyNotValid,
        AmbiguousName,
        NoIssuer,
        BadSignature,
        DigestNotKnown,
        ArtifactNotKnown,
        WrongEntryKind,
        EntryMismatch,
        WrongArtifact,
        NotAStatement,
        MalformedStatement,
        WrongIdentity,
        WrongExtension,
        MalformedPayload,
        WrongClaim,
        WrongAnnotation,
        TooOld,
        ProgramRefused,
        ProgramFailed,
        TooFewSigners,
        Denied,
        DeniedArtifact,
        NotAllSeen,
        NothingVouches,
    )
}

/// Those that no bundle can meet alone: they depend on what the verifier asks or knows, or on a
/// content that no bundle holds.
const BY_THE_VERIFIER: [&str; 19] = [
    "NoEvidence",
    "Static",
    "NoProof",
    "NoSignedTimestamp",
    "TooFewObservers",
    "DigestNotKnown",
    "ArtifactNotKnown",
    "WrongExtension",
    "MalformedPayload",
    "WrongClaim",
    "WrongAnnotation",
    "TooOld",
    "ProgramRefused",
    "ProgramFailed",
    "TooFewSigners",
    "Denied",
    "DeniedArtifact",
    "NotAllSeen",
    "NothingVouches",
];

#[test]
fn every_variant_is_reached() {
    let mut reached: BTreeSet<_> = mutants::all().iter().map(|mutant| mutant.refusal).collect();
    reached.extend(BY_THE_VERIFIER);
    // 59 is the number of names above, each of which stands once or the match would not compile.
    assert_eq!(reached.len(), 59, "{reached:?}");
}

#[test]
fn every_refusal_is_told_in_words() {
    for Judged { mutant, outcome, .. } in JUDGED.iter() {
        let refusal = outcome.as_ref().unwrap_err();
        assert_eq!(name(refusal), variant(refusal));
        let text = refusal.full_message();
        assert!(text.len() > 10 && text.len() < 700, "{}: {text}", mutant.name);
        let lower = text.starts_with(|first: char| !first.is_uppercase());
        assert!(lower && !text.ends_with('.'), "{}: {text}", mutant.name);
        let (wanted, found) = refusal.wanted_and_found();
        assert!(!wanted.is_empty() && !found.is_empty(), "{}: {wanted} {found}", mutant.name);
        assert_ne!(wanted, found, "{}", mutant.name);
    }
}

fn keyless(scene: &Scene, change: impl FnOnce(&mut verify::IdentityPattern)) -> Refusal {
    let sealed = scene.seal();
    let Authority::Keyless { name, roots, mut identities, demands } = authority(scene, &sealed)
    else {
        panic!("keyless")
    };
    change(&mut identities.head);
    let policy = policy(vec![Authority::Keyless { name, roots, identities, demands }]);
    let artifact = Artifact::from_bytes(&sealed.artifact);
    let pieces = [piece("bundle", &sealed.bundle_json())];
    let case = Case { artifact: &artifact, pieces: &pieces, obstacles: &[] };
    match policy.judge(&case, now(scene)) {
        Verdict::Refuse(reasons) => reasons.first().refusal.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_extension_that_is_not_wanted_is_refused() {
    let right = Pattern::exact("value of extension 14").unwrap();
    let wrong = Pattern::exact("refs/heads/main").unwrap();
    let extension = FulcioExtension::SourceRepositoryRef;
    let refusal = keyless(&Scene::v1(), |identity| {
        identity.extensions = vec![(extension, right.clone()), (extension, wrong.clone())];
    });
    let found = Some("value of extension 14".to_owned());
    let wanted = "`refs/heads/main`".to_owned();
    assert_eq!(refusal, Refusal::WrongExtension { extension, wanted, found });

    let absent = Scene::v1().on_certificate(|draft| draft.remove("1.3.6.1.4.1.57264.1.14"));
    let refusal = keyless(&absent, |identity| identity.extensions = vec![(extension, right)]);
    assert!(matches!(refusal, Refusal::WrongExtension { found: None, .. }), "{refusal:?}");
}

#[test]
fn the_identity_needs_both_issuer_and_subject() {
    let wrong = || Pattern::exact("somebody").unwrap();
    for refusal in [
        keyless(&Scene::v1(), |identity| identity.issuer = wrong()),
        keyless(&Scene::v1(), |identity| identity.subject = wrong()),
    ] {
        let Refusal::WrongIdentity { wanted, issuer, subject } = refusal else {
            panic!("{refusal:?}")
        };
        assert_eq!(issuer, testkit::instance::ISSUER);
        assert_eq!(subject, testkit::instance::SUBJECT);
        assert!(wanted[0].contains("`somebody`"), "{wanted:?}");
    }
}

#[test]
fn a_digest_that_is_not_known_is_not_guessed() {
    let artifact = Scene::v1().artifact;
    let sha512 = Digest::from(crypto::Hash::of(HashAlgorithm::Sha512, &artifact));
    for (scene, known, wanted) in [
        (Scene::v1(), sha512, HashAlgorithm::Sha256),
        (Scene::v2().pinned(), sha512, HashAlgorithm::Sha256),
        (
            Scene::v1().with_key(KeyKind::EcdsaP384),
            Digest::sha256(&artifact),
            HashAlgorithm::Sha384,
        ),
        (Scene::v2().with_key(KeyKind::Ed25519), Digest::sha256(&artifact), HashAlgorithm::Sha512),
    ] {
        let sealed = scene.seal();
        let (outcome, _) = explain_about(&scene, &sealed, &Artifact::from_digest(known));
        assert_eq!(outcome.unwrap_err(), Refusal::DigestNotKnown { wanted });
        let both = NonEmpty::from((
            sha512,
            vec![
                Digest::sha256(&artifact),
                Digest::from(crypto::Hash::of(HashAlgorithm::Sha384, &artifact)),
            ],
        ));
        explain_about(&scene, &sealed, &Artifact::from_digests(both)).0.unwrap();
    }
}

#[test]
fn a_signature_over_the_artifact_itself_needs_the_artifact() {
    // Pure Ed25519 cannot be verified from a digest; the entry, of SHA-256, says nothing of it.
    let scene =
        Scene::v1().pinned().with_key(KeyKind::Ed25519).with_scheme(crypto::Scheme::Ed25519);
    let sealed = scene.seal();
    let digest = Artifact::from_digest(Digest::sha256(&sealed.artifact));
    let (outcome, _) = explain_about(&scene, &sealed, &digest);
    assert_eq!(outcome.unwrap_err(), Refusal::ArtifactNotKnown);
    prove(&scene).unwrap();
}

/// No bundle of any version parses without promise and proof; evidence made otherwise might.
#[test]
fn an_entry_without_promise_and_proof_is_refused() {
    let scene = Scene::v1().with(|scene| scene.timestamps = 1);
    for format in [
        evidence::bundle::Format::BundleV0_1,
        evidence::bundle::Format::BundleV0_2,
        evidence::bundle::Format::BundleV0_3,
        evidence::bundle::Format::CosignSignature,
        evidence::bundle::Format::CosignAttestation,
        evidence::bundle::Format::CosignBlob,
    ] {
        for (promise, proof, checkpoint) in
            [(false, false, false), (false, true, false), (true, false, false), (true, true, false)]
        {
            let sealed = scene.seal();
            let mut evidence = Evidence::from_bundle(&sealed.bundle_json()).unwrap();
            evidence.format = format;
            let entry = &mut evidence.entries[0];
            entry.promise = entry.promise.take().filter(|_| promise);
            entry.proof = entry.proof.take().filter(|_| proof);
            if let Some(proof) = &mut entry.proof {
                proof.checkpoint = proof.checkpoint.take().filter(|_| checkpoint);
            }
            let artifact = Artifact::from_bytes(&sealed.artifact);
            let pieces = [Piece { source: "made".to_owned(), evidence: Ok(evidence) }];
            let case = Case { artifact: &artifact, pieces: &pieces, obstacles: &[] };
            let verdict = policy(vec![authority(&scene, &sealed)]).judge(&case, now(&scene));
            let suffices = promise && format.takes_promise_alone();
            match verdict {
                Verdict::Admit(_) => assert!(suffices, "{format} {promise} {proof}"),
                Verdict::Refuse(reasons) => {
                    let wanted = Refusal::NoProof { index: 0, format };
                    assert_eq!((suffices, &reasons.first().refusal), (false, &wanted));
                }
                Verdict::Unknown(..) => panic!("nothing was in the way"),
            }
        }
    }
}

fn thresholds(logs: u8, times: u8, certificate_logs: u8) -> Thresholds {
    let count = |number| NonZeroU8::new(number).unwrap();
    Thresholds { logs: count(logs), times: count(times), certificate_logs: count(certificate_logs) }
}

/// Judges a scene under a trust root that demands so many observers.
fn demanding(scene: &Scene, thresholds: Thresholds) -> Result<(), Refusal> {
    let sealed = scene.seal();
    let roots = TrustRoot::pin(&sealed.trust_root_json()).unwrap().demanding(thresholds);
    let mut wanted = authority(scene, &sealed);
    match &mut wanted {
        Authority::Keyless { roots: own, .. } | Authority::Key { roots: own, .. } => {
            *own = Arc::new(roots);
        }
        other => panic!("{other:?}"),
    }
    let artifact = Artifact::from_bytes(&sealed.artifact);
    let pieces = [piece("bundle", &sealed.bundle_json())];
    let case = Case { artifact: &artifact, pieces: &pieces, obstacles: &[] };
    match policy(vec![wanted]).judge(&case, now(scene)) {
        Verdict::Admit(_) => Ok(()),
        Verdict::Refuse(reasons) => Err(reasons.first().refusal.clone()),
        other => panic!("{other:?}"),
    }
}

/// CVE-2026-49834: what one key says twice it has said once.
#[test]
fn thresholds_count_distinct_keys() {
    let too_few = |observers, wanted, found| {
        Err(Refusal::TooFewObservers { observers, wanted: NonZeroU8::new(wanted).unwrap(), found })
    };
    let v1 = Scene::v1();
    let twice = v1.clone().with(|scene| scene.entries = vec![scene.entries[0]; 2]);
    let both_logs = v1.clone().with(|scene| {
        scene.entries.push(testkit::Entry {
            kind: Kind::HashedRekordV2,
            promise: false,
            proof: true,
        });
    });
    let logs = |count| thresholds(count, 1, 1);
    assert_eq!(demanding(&v1, logs(2)), too_few(Observers::Logs, 2, 1));
    assert_eq!(demanding(&twice, logs(2)), too_few(Observers::Logs, 2, 1));
    assert_eq!(demanding(&both_logs, logs(2)), Ok(()));
    assert_eq!(demanding(&both_logs, logs(3)), too_few(Observers::Logs, 3, 2));
    // One key under two identifiers and hosts is one log still.
    let two_names = twice.clone().on_trust_root(|root| {
        let mut alias = root["tlogs"][0].clone();
        alias["baseUrl"] = "https://alias.example".into();
        alias["logId"]["keyId"] = testkit::json::base64(&[7; 32]).into();
        root["tlogs"].as_array_mut().unwrap().push(alias);
    });
    let two_names = two_names.on_promise(|promise| promise.index += 1);
    assert_eq!(demanding(&two_names, logs(2)), too_few(Observers::Logs, 2, 1));

    let times = |count| thresholds(1, count, 1);
    let stamped = v1.clone().with(|scene| scene.timestamps = 1);
    let stamped_twice = v1.clone().with(|scene| scene.timestamps = 2);
    assert_eq!(demanding(&v1, times(2)), too_few(Observers::Times, 2, 1));
    assert_eq!(demanding(&stamped, times(2)), Ok(()));
    assert_eq!(demanding(&stamped_twice, times(3)), too_few(Observers::Times, 3, 2));
    let v2 = Scene::v2().with(|scene| scene.timestamps = 2);
    assert_eq!(demanding(&v2, times(2)), too_few(Observers::Times, 2, 1));
    let pinned = Scene::v2().pinned().with(|scene| scene.timestamps = 0);
    assert_eq!(demanding(&pinned, times(1)), Ok(()));
    assert_eq!(demanding(&pinned, times(2)), too_few(Observers::Times, 2, 0));
    assert_eq!(demanding(&v1.clone().pinned(), times(2)), too_few(Observers::Times, 2, 1));
    assert_eq!(demanding(&stamped.pinned(), times(2)), Ok(()));

    let promises = |count| thresholds(1, 1, count);
    assert_eq!(demanding(&v1, promises(2)), too_few(Observers::CertificateLogs, 2, 1));
    let promised_twice = v1.clone().on_certificate(|draft| {
        let mut again = draft.scts[0].clone();
        again.time_ms += 1;
        draft.scts.push(again);
    });
    assert_eq!(demanding(&promised_twice, promises(2)), too_few(Observers::CertificateLogs, 2, 1));
    let two_logs = two_ct_logs();
    assert_eq!(demanding(&two_logs, promises(2)), Ok(()));
    assert_eq!(demanding(&two_logs, promises(3)), too_few(Observers::CertificateLogs, 3, 2));
}

/// A certificate with the promises of two CT logs that the trust root holds.
fn two_ct_logs() -> Scene {
    let second = testkit::Key::named("second ct", KeyKind::EcdsaP256);
    let key = second.clone();
    Scene::v1()
        .on_certificate(move |draft| {
            let issuing = &testkit::Instance::default().authorities[0].spki;
            let from = testkit::clock::CERTIFIED_FROM;
            draft.scts.push(testkit::certificate::SctDraft::new(&key, issuing, from));
        })
        .on_trust_root(move |root| {
            let mut log = root["ctlogs"][0].clone();
            log["publicKey"]["rawBytes"] = testkit::json::base64(&second.spki()).into();
            log["logId"]["keyId"] = testkit::json::base64(&crypto::sha256(&second.spki())).into();
            root["ctlogs"].as_array_mut().unwrap().push(log);
        })
}

#[test]
fn a_trust_root_that_demands_more_is_another() {
    let root = TrustRoot::public_good();
    let plain = *root.digest();
    let two = *root.clone().demanding(thresholds(2, 1, 1)).digest();
    let other = *root.clone().demanding(thresholds(1, 2, 1)).digest();
    assert!(plain != two && two != other && plain != other);
    let again = root.demanding(thresholds(1, 2, 1)).demanding(thresholds(2, 1, 1));
    assert_eq!(*again.digest(), two);
}

#[test]
fn one_observer_of_each_is_always_enough_for_what_is_right() {
    for (name, scene) in accepted::all() {
        assert_eq!(demanding(&scene, Thresholds::ONE), Ok(()), "{name}");
    }
}

/// What can be done stands beside a refusal where something can, and nowhere else.
#[test]
fn hints_say_what_to_do() {
    let hints = [
        ("NoCertificate", "--key"),
        ("WrongKey", "--key"),
        ("BadSignature", "--key"),
        ("WrongIdentity", "--certificate-identity"),
        ("WrongArtifact", "unchanged"),
        ("UnknownLog", "--trusted-root"),
        ("UnknownAuthority", "--trusted-root"),
        ("UnknownTimestampAuthority", "--trusted-root"),
        ("NoCertificateTimestamp", "--trusted-root"),
        ("NoTrustedTime", "timestamp authority"),
        ("NotLogged", "--insecure-ignore-tlog"),
        ("ChainNotAllowed", "--allow-certificate-chain"),
        ("TimeInFuture", "clock"),
        ("WrongExtension", "the flag"),
        ("NoIssuer", "--ca-roots"),
    ];
    for Judged { mutant, outcome, .. } in JUDGED.iter() {
        let refusal = outcome.as_ref().unwrap_err();
        let found = refusal.hint(WantedIn::Flags);
        let wanted = match refusal {
            // What another key than the one named looks like, which says nothing of an index.
            Refusal::EntryMismatch { index: 0, what: EntryPart::Signer } => {
                let message = "the log entry is about a signature with another key than this one";
                assert_eq!(refusal.to_string(), message);
                Some("--key")
            }
            _ => {
                let mut hints = hints.iter();
                hints.find(|(variant, _)| *variant == mutant.refusal).map(|(_, words)| *words)
            }
        };
        match (wanted, found) {
            (None, None) => {}
            (Some(words), Some(hint)) => {
                assert!(hint.contains(words), "{}: {hint}", mutant.name);
            }
            (wanted, found) => panic!("{}: wanted {wanted:?}, found {found:?}", mutant.name),
        }
    }
    let wanted = HashAlgorithm::Sha512;
    for (refusal, words) in [
        (Refusal::NoEvidence, "sign the artifact"),
        (Refusal::DigestNotKnown { wanted }, "the artifact itself"),
        (Refusal::ArtifactNotKnown, "the artifact itself"),
    ] {
        assert!(refusal.hint(WantedIn::Flags).unwrap().contains(words), "{refusal:?}");
    }
}

/// Whoever wrote a policy file is told of its lines, and of no flag that cannot stand beside one.
#[test]
fn hints_under_a_policy_file_name_what_it_can_say() {
    // What chooses the trust root, and nothing of a verification.
    let beside = ["--trusted-root", "--trust-config"];
    let mut different = 0;
    let signer = Refusal::EntryMismatch { index: 0, what: EntryPart::Signer };
    let judged = JUDGED.iter().map(|judged| judged.outcome.as_ref().unwrap_err());
    for refusal in judged.chain([&signer, &Refusal::ChainNotAllowed, &Refusal::WrongKey]) {
        let [flags, file] = [WantedIn::Flags, WantedIn::PolicyFile].map(|it| refusal.hint(it));
        assert_eq!(flags.is_some(), file.is_some(), "{refusal:?}");
        let Some(file) = file else { continue };
        let flags_named = file.split_whitespace().filter(|word| word.starts_with("--"));
        let named: Vec<_> =
            flags_named.map(|word| word.trim_end_matches([';', ',', ':'])).collect();
        assert!(named.iter().all(|flag| beside.contains(flag)), "{refusal:?}: {file}");
        different += usize::from(flags != Some(file));
    }
    assert!(different > 5, "{different}");
}

#[test]
fn a_threshold_that_is_missed_is_told_in_words() {
    let wanted = NonZeroU8::new(3).unwrap();
    for (observers, words) in [
        (Observers::Logs, "logs that hold the signature"),
        (Observers::Times, "observers that say when"),
        (Observers::CertificateLogs, "CT logs"),
    ] {
        let refusal = Refusal::TooFewObservers { observers, wanted, found: 1 };
        let text = refusal.full_message();
        assert!(text.starts_with("wanted 3 ") && text.ends_with(", found 1"), "{text}");
        assert!(text.contains(words), "{text}");
        let (wanted, found) = refusal.wanted_and_found();
        assert!(wanted.starts_with("3 ") && found == "1", "{wanted} {found}");
    }
    let checks = [Observers::Logs, Observers::Times, Observers::CertificateLogs]
        .map(|observers| Refusal::TooFewObservers { observers, wanted, found: 1 }.check());
    let wanted =
        [verify::Check::LogInclusion, verify::Check::Time, verify::Check::CertificateTransparency];
    assert_eq!(checks, wanted);
}

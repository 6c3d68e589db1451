//! Chains of authorities: how long, of which keys, constrained how, and what is said of a
//! certificate that is not theirs.

use crypto::{KeyKind, Scheme};
use testkit::certificate::{self, ExtensionDraft};
use testkit::clock::SIGNED_AT;
use testkit::instance::authority;
use testkit::{Instance, Key, Scene, der, mutants};
use verify::chain::{AUTHORITIES_MAX, BadChain};
use verify::trust_root::ParseTrustRootError;
use verify::{Refusal, TrustRoot};

use crate::judging::{JUDGED, Judged, prove};

/// An instance whose signers stand below that many authorities.
pub(crate) fn deep(authorities: usize) -> Instance {
    let mut instance = Instance::default();
    let kinds = [KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::EcdsaP521, KeyKind::Ed25519];
    let key = |level: usize| Key::named(&format!("level {level}"), kinds[level % kinds.len()]);
    let name = |level: usize| der::name("deep.example", &format!("level {level}"));
    instance.authority_key = key(0);
    instance.authorities = (0..authorities)
        .map(|level| {
            let above = (level + 1).min(authorities - 1);
            let below = Some(level as u64);
            authority(&name(level), &key(level), &name(above), &key(above), None, below)
        })
        .collect();
    instance
}

fn pin(instance: &Instance) -> Result<TrustRoot, BadChain> {
    let root = instance.trust_root(&instance.issue());
    TrustRoot::pin(root.to_string().as_bytes()).map_err(|error| match error {
        ParseTrustRootError::Chain { source, .. } => source,
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_chain_may_be_as_long_as_paths_are_checked() {
    for authorities in 1..=AUTHORITIES_MAX {
        let scene = Scene::v1().with(|scene| scene.instance = deep(authorities));
        prove(&scene).unwrap_or_else(|refusal| panic!("{authorities}: {refusal:?}"));
    }
    assert_eq!(pin(&deep(AUTHORITIES_MAX + 1)).unwrap_err(), BadChain::TooLong);
    let mut none = Instance::default();
    none.authorities.clear();
    assert_eq!(pin(&none).unwrap_err(), BadChain::Empty);
}

/// Constraints at the very top bind through every authority between.
#[test]
fn constraints_bind_however_far_below() {
    for authorities in 2..=AUTHORITIES_MAX {
        let constrained = |constraint: Vec<u8>| {
            Scene::v1().with(|scene| scene.instance = deep(authorities)).with_instance(|instance| {
                let top = instance.authorities.last_mut().unwrap();
                top.put(ExtensionDraft::permitted_names(&[constraint]));
            })
        };
        // What is constrained is another kind of name: this signer has none of it.
        let other = constrained(certificate::dns("only.example"));
        prove(&other).unwrap_or_else(|refusal| panic!("{authorities}: {refusal:?}"));
        let named = other.on_certificate(|draft| {
            draft.put(ExtensionDraft::names(&[certificate::dns("other.example")]));
        });
        assert!(matches!(prove(&named), Err(Refusal::BadCertificate(_))), "{authorities}");
        // Constraints on this kind of name are not processed, so that nothing passes.
        let same = constrained(certificate::uri("git.testkit.example"));
        assert!(matches!(prove(&same), Err(Refusal::BadCertificate(_))), "{authorities}");
    }
}

#[test]
fn every_authority_between_must_be_valid_under_constraints_too() {
    let scene = Scene::v1().with(|scene| scene.instance = deep(4)).with_instance(|instance| {
        let top = instance.authorities.last_mut().unwrap();
        top.put(ExtensionDraft::permitted_names(&[certificate::dns("only.example")]));
        instance.authorities[2].not_after = SIGNED_AT - 1;
    });
    assert!(matches!(prove(&scene), Err(Refusal::NotValidAtTime { .. })));
}

#[test]
fn an_authority_may_sign_with_any_kind_of_key() {
    for (kind, scheme) in [
        (KeyKind::EcdsaP256, Scheme::EcdsaP256Sha256),
        (KeyKind::EcdsaP384, Scheme::EcdsaP384Sha384),
        (KeyKind::EcdsaP521, Scheme::EcdsaP521Sha512),
        (KeyKind::Rsa { bits: 2048 }, Scheme::RsaPkcs1Sha256),
        (KeyKind::Rsa { bits: 3072 }, Scheme::RsaPkcs1Sha384),
        (KeyKind::Rsa { bits: 4096 }, Scheme::RsaPkcs1Sha512),
        (KeyKind::Ed25519, Scheme::Ed25519),
    ] {
        let key = Key::named("an authority", kind);
        // As the root, whose signature is checked when the trust root is read.
        let root = key.clone();
        let above = Scene::v1().with_instance(|instance| {
            for draft in &mut instance.authorities {
                (draft.signed_by, draft.scheme) = (root.clone(), Some(scheme));
            }
            instance.authorities[1].spki = root.spki();
        });
        prove(&above).unwrap_or_else(|refusal| panic!("{scheme:?} above: {refusal:?}"));
        let forged = above.with_instance(|instance| instance.authorities[0].damaged = true);
        assert_eq!(pin(&forged.instance).unwrap_err(), BadChain::BadSignature { index: 0 });
        // As the issuing authority, whose signature is checked for each signer.
        let issuing = Scene::v1()
            .with_instance(|instance| {
                instance.authorities[0].spki = key.spki();
                instance.authority_key = key.clone();
            })
            .on_certificate(move |draft| draft.scheme = Some(scheme));
        prove(&issuing).unwrap_or_else(|refusal| panic!("{scheme:?} issuing: {refusal:?}"));
        let forged = issuing.on_certificate(|draft| draft.damaged = true);
        assert!(matches!(prove(&forged), Err(Refusal::BadCertificate(_))), "{scheme:?}");
    }
}

type Change<'a> = &'a dyn Fn(&mut Instance);

/// Of a chain that does not hold, the certificate at fault is named.
#[test]
fn a_broken_chain_is_told_by_place_and_fault() {
    let broken = |change: &dyn Fn(&mut Instance)| {
        let mut instance = Instance::default();
        change(&mut instance);
        pin(&instance).unwrap_err()
    };
    let wrong_usage = broken(&|instance| {
        let stamps = ExtensionDraft::extended_key_usage(&[certificate::TIME_STAMPING], false);
        instance.authorities[0].put(stamps);
    });
    assert!(matches!(wrong_usage, BadChain::WrongUsage { index: 0, .. }), "{wrong_usage:?}");
    for position in [0, 1] {
        let cases: [(Change<'_>, BadChain); 3] = [
            (
                &|instance| instance.authorities[position].remove(certificate::BASIC_CONSTRAINTS),
                BadChain::NotAnAuthority { index: position },
            ),
            (
                &|instance| {
                    let data = ExtensionDraft::key_usage(&[certificate::DIGITAL_SIGNATURE]);
                    instance.authorities[position].put(data);
                },
                BadChain::NotAnAuthority { index: position },
            ),
            (
                &|instance| {
                    let bad = ExtensionDraft::new(certificate::KEY_USAGE, true, vec![1]);
                    instance.authorities[position].put(bad);
                },
                BadChain::MalformedUsage { index: position },
            ),
        ];
        for (change, wanted) in cases {
            assert_eq!(broken(change), wanted);
        }
        let unknown = broken(&|instance| {
            let unknown = ExtensionDraft::new("1.3.6.1.4.1.99999.5", true, der::null());
            instance.authorities[position].put(unknown);
        });
        let named = matches!(unknown, BadChain::UnknownCriticalExtension { index, .. } if index == position);
        assert!(named, "{unknown:?}");
    }
    let path = broken(&|instance| instance.authorities[1].put(ExtensionDraft::authority(Some(0))));
    assert_eq!(path, BadChain::PathTooLong { index: 1, allowed: 0 });
    let issuer = broken(&|instance| instance.authorities[0].issuer = der::empty_name());
    assert_eq!(issuer, BadChain::WrongIssuer { index: 0 });
    let forged = broken(&|instance| {
        instance.authorities[0].signed_by = Key::named("forger", KeyKind::EcdsaP384);
    });
    assert_eq!(forged, BadChain::BadSignature { index: 0 });
    // An algorithm that nothing here signs chains with.
    let scheme = broken(&|instance| {
        instance.authorities[1].spki = Key::named("root", KeyKind::Rsa { bits: 2048 }).spki();
    });
    assert_eq!(scheme, BadChain::BadSignature { index: 0 });
}

#[test]
fn authorities_for_anything_may_issue() {
    let any = "2.5.29.37.0";
    for purposes in [vec![any], vec![any, certificate::TIME_STAMPING]] {
        let scene = Scene::v1().with_instance(|instance| {
            instance.authorities[0].put(ExtensionDraft::extended_key_usage(&purposes, false));
        });
        prove(&scene).unwrap();
    }
}

/// Whoever names a timestamp signer in the trust root has said what it is for; one that a token
/// brings along must say so itself (RFC 3161 §2.3).
#[test]
fn a_pinned_timestamp_signers_usage_need_not_be_critical() {
    let uncritical = ExtensionDraft::extended_key_usage(&[certificate::TIME_STAMPING], false);
    let scene = Scene::v2().with_instance(|instance| {
        instance.timestamp_signer.put(uncritical.clone());
    });
    prove(&scene).unwrap();
    for (what, change) in stamp_faults() {
        let mut instance = Instance::default();
        change(&mut instance);
        let error = pin(&instance).unwrap_err();
        let critical = matches!(error, BadChain::UnknownCriticalExtension { index: 0, .. });
        assert!(critical || error == BadChain::NotATimestampSigner, "{what}: {error:?}");
    }
}

type Fault = (&'static str, fn(&mut Instance));

fn stamp_faults() -> [Fault; 6] {
    [
        ("no usage", |instance| instance.timestamp_signer.remove(certificate::EXTENDED_KEY_USAGE)),
        ("code", |instance| {
            let code = ExtensionDraft::extended_key_usage(&[certificate::CODE_SIGNING], true);
            instance.timestamp_signer.put(code);
        }),
        ("both", |instance| {
            let both = [certificate::TIME_STAMPING, certificate::CODE_SIGNING];
            instance.timestamp_signer.put(ExtensionDraft::extended_key_usage(&both, true));
        }),
        ("no signatures", |instance| {
            let certificates = ExtensionDraft::key_usage(&[certificate::KEY_CERT_SIGN]);
            instance.timestamp_signer.put(certificates);
        }),
        ("unknown critical", |instance| {
            let unknown = ExtensionDraft::new("1.3.6.1.4.1.99999.6", true, der::null());
            instance.timestamp_signer.put(unknown);
        }),
        ("twice", |instance| {
            let twice = [certificate::TIME_STAMPING; 2];
            instance.timestamp_signer.put(ExtensionDraft::extended_key_usage(&twice, true));
        }),
    ]
}

/// A certificate that signs timestamps may be pinned alone, without any authority above it.
#[test]
fn a_timestamp_signer_may_stand_alone() {
    let scene = Scene::v2().with_instance(|instance| instance.timestamp_authorities.clear());
    prove(&scene).unwrap();
    let ended = scene.with_instance(|instance| instance.timestamp_signer.not_after = SIGNED_AT - 1);
    assert!(matches!(prove(&ended), Err(Refusal::TimestampAuthorityNotValid { .. })));
}

#[test]
fn faults_of_a_certificate_are_told_in_words() {
    let words = [
        (
            "a certificate that claims the authority's name",
            "does not verify under the authority's key",
        ),
        ("a damaged certificate signature", "does not verify under the authority's key"),
        ("a certificate without extended key usage", "may not be used for"),
        ("a certificate for timestamps", "may not be used for"),
        ("an authority's certificate as a signer's", "an authority's certificate"),
        ("a pre-certificate", "critical extension that is not understood"),
        ("an unknown critical extension", "critical extension that is not understood"),
        ("names that the issuing authority may not certify", "name constraints"),
        ("a key usage without signatures", "does not allow digital signatures"),
    ];
    for (name, wanted) in words {
        let found = JUDGED.iter().find(|Judged { mutant, .. }| mutant.name == name);
        let refusal = found.unwrap_or_else(|| panic!("no mutant {name}")).outcome.as_ref();
        let text = refusal.unwrap_err().full_message();
        assert!(text.contains(wanted), "{name}: {text}");
    }
    assert!(!mutants::all().is_empty());
}

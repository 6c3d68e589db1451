//! Scenes that are right, however unusual: beside each refusal stands what must be accepted.

use crypto::{Hash, HashAlgorithm, KeyKind, Scheme};
use serde_json::{Value, json};

use crate::certificate::{self, ExtensionDraft, SctDraft};
use crate::clock::{CERTIFIED_FROM, CERTIFIED_TO, NOW, SIGNED_AT};
use crate::der;
use crate::instance::{Instance, LOG_V1_HOST, authority};
use crate::json::{at, remove, unbase64};
use crate::key::Key;
use crate::log::Kind;
use crate::mutants::{bases, other_key, timed::in_the_future};
use crate::note::NoteLine;
use crate::scene::{Format, Scene};
use crate::timestamp::{CertificateName, TokenDraft};

/// Scenes that are right, however unusual: beside each refusal stands what must be accepted.
#[must_use]
pub fn all() -> Vec<(String, Scene)> {
    let mut all: Vec<(String, Scene)> = Vec::new();
    let kinds = [
        KeyKind::EcdsaP256,
        KeyKind::EcdsaP384,
        KeyKind::EcdsaP521,
        KeyKind::Rsa { bits: 2048 },
        KeyKind::Rsa { bits: 3072 },
        KeyKind::Rsa { bits: 4096 },
        KeyKind::Ed25519,
    ];
    for (name, base) in bases() {
        for kind in kinds {
            let scene = base.clone().with_key(kind);
            all.push((format!("{name}, {kind}, keyless"), scene.clone()));
            all.push((format!("{name}, {kind}, pinned"), scene.pinned()));
        }
        for format in Format::ALL {
            for signer in ["keyless", "pinned"] {
                let scene = base.clone().in_format(format);
                let scene = if signer == "pinned" { scene.pinned() } else { scene };
                // v0.1 demands a promise, which a v2 log does not give.
                if format != Format::V0_1 || scene.entries[0].promise {
                    all.push((format!("{name}, {format:?}, {signer}"), scene));
                }
            }
        }
    }
    all.push(("a v0.1 promise without proof".to_owned(), {
        Scene::v1().in_format(Format::V0_1).with(|scene| scene.entries[0].proof = false)
    }));
    all.push(("a v0.1 promise beside a proof without checkpoint".to_owned(), {
        Scene::v1()
            .in_format(Format::V0_1)
            .on_entry(|entry| remove(entry, "/inclusionProof/checkpoint"))
    }));
    all.push(("a v1 proof without promise, with a timestamp".to_owned(), {
        Scene::v1().with(|scene| {
            scene.entries[0].promise = false;
            scene.timestamps = 1;
        })
    }));
    all.push(("promise and timestamp".to_owned(), Scene::v1().with(|scene| scene.timestamps = 1)));
    all.push(("three timestamps".to_owned(), Scene::v2().with(|scene| scene.timestamps = 3)));
    all.push(("a pinned key without any time".to_owned(), {
        Scene::v2().pinned().with(|scene| scene.timestamps = 0)
    }));
    all.push(("the signing certificate comes along".to_owned(), {
        Scene::v2().with(|scene| scene.embeds_timestamp_signer = true)
    }));
    all.push(("the signing certificate comes along and is not pinned".to_owned(), {
        Scene::v2().with(|scene| {
            scene.embeds_timestamp_signer = true;
            scene.instance.timestamp_signer_pinned = false;
        })
    }));
    all.push(("strangers' certificates in the token".to_owned(), {
        Scene::v2()
            .with(|scene| {
                scene.embeds_timestamp_signer = true;
                scene.instance.timestamp_signer_pinned = false;
            })
            .on_token(|token| {
                token.certificates.insert(0, Instance::named("stranger").timestamp_signer.seal());
            })
    }));
    all.push((
        "a token that names its signer by key".to_owned(),
        Scene::v2().on_token(|token| {
            let key = &token.signed_by;
            token.signer_key_id = Some(crypto::hash::sha1_name(&key.public().raw_bytes()).to_vec());
        }),
    ));
    for (name, change) in certificate_names() {
        all.push((name.to_owned(), Scene::v2().on_token(change)));
    }
    all.push((
        "unknown cosignatures".to_owned(),
        Scene::v2().on_checkpoint(|checkpoint| {
            let witness = |name: &str| (name.to_owned(), Key::named(name, KeyKind::Ed25519));
            checkpoint.witnesses =
                vec![witness("witness.example/w1"), witness("witness.example/w2")];
        }),
    ));
    all.push((
        "a cosignature that is nonsense".to_owned(),
        Scene::v2().on_note(|note| {
            note.lines.push(NoteLine {
                name: "nonsense".to_owned(),
                hint: [1, 2, 3, 4],
                signature: vec![0; 72],
            });
        }),
    ));
    all.push((
        "further checkpoint lines".to_owned(),
        Scene::v1().on_checkpoint(|checkpoint| {
            checkpoint.extensions = vec!["Timestamp: 1780311600".to_owned()];
        }),
    ));
    all.push((
        "a v1 log of another origin".to_owned(),
        Scene::v1().on_checkpoint(|checkpoint| {
            checkpoint.origin = format!("{LOG_V1_HOST} - 1");
        }),
    ));
    for (name, before, after) in
        [("the only leaf", 0, 0), ("the last leaf", 8, 0), ("a deep leaf", 37, 90)]
    {
        all.push((
            name.to_owned(),
            Scene::v2().on_tree(move |tree| {
                (tree.before, tree.after) = (before, after);
            }),
        ));
    }
    for (name, seconds) in [("the first second", CERTIFIED_FROM), ("the last second", CERTIFIED_TO)]
    {
        all.push((
            format!("{name} of the certificate"),
            Scene::v1().with(|s| s.signed_at = seconds),
        ));
        all.push((
            format!("{name} of the certificate, v2"),
            Scene::v2().with(|s| s.signed_at = seconds),
        ));
    }
    let only = (SIGNED_AT, Some(SIGNED_AT));
    all.push((
        "windows of one second".to_owned(),
        Scene::v1().with_instance(|instance| {
            instance.authority_window = only;
            instance.log_v1_window = only;
            instance.ct_window = (CERTIFIED_FROM, Some(CERTIFIED_FROM));
            let issuing = &mut instance.authorities[0];
            (issuing.not_before, issuing.not_after) = only_of(SIGNED_AT);
        }),
    ));
    all.push((
        "windows of one second, v2".to_owned(),
        Scene::v2().with_instance(|instance| {
            instance.authority_window = only;
            instance.log_v2_window = only;
            instance.timestamp_window = only;
            let signer = &mut instance.timestamp_signer;
            (signer.not_before, signer.not_after) = only_of(SIGNED_AT);
        }),
    ));
    all.push(("a minute ahead of this machine's clock".to_owned(), {
        in_the_future(Scene::v1(), NOW + 60)
    }));
    all.push(("a certificate timestamp of a stranger beside a right one".to_owned(), {
        Scene::v1().on_certificate(|certificate| {
            let issuing = Instance::default().authorities[0].spki.clone();
            certificate.scts.push(SctDraft::new(&other_key(), &issuing, CERTIFIED_FROM));
        })
    }));
    all.push(("a certificate timestamp with extensions".to_owned(), {
        Scene::v1().on_certificate(|certificate| {
            certificate.scts[0].extensions = vec![0, 0, 5, 0, 0, 0, 0, 9];
        })
    }));
    for kind in [KeyKind::EcdsaP384, KeyKind::Rsa { bits: 2048 }] {
        all.push((
            format!("a CT log with a {kind} key"),
            Scene::v1().with_instance(|instance| {
                instance.ct_key = Key::named("another ct", kind);
            }),
        ));
    }
    for kind in [KeyKind::EcdsaP256, KeyKind::Rsa { bits: 2048 }] {
        all.push((
            format!("a timestamp signer with a {kind} key"),
            Scene::v2().with_instance(|instance| {
                let key = Key::named("another stamp", kind);
                instance.timestamp_signer.spki = key.spki();
                instance.timestamp_key = key;
            }),
        ));
    }
    all.push((
        "an e-mail address".to_owned(),
        named(certificate::email("a@example.com"), "a@example.com"),
    ));
    all.push((
        "a user name".to_owned(),
        named(certificate::username("amy!example.com"), "amy!example.com"),
    ));
    all.push((
        "an issuer in its first extension only".to_owned(),
        Scene::v1().on_certificate(|c| {
            c.remove("1.3.6.1.4.1.57264.1.8");
        }),
    ));
    all.push((
        "an issuer in its second extension only".to_owned(),
        Scene::v1().on_certificate(|c| {
            c.remove("1.3.6.1.4.1.57264.1.1");
        }),
    ));
    all.push(("a certificate issued by the root itself".to_owned(), {
        Scene::v1().with_instance(|instance| {
            let name = der::name("flat.example", "root");
            let key = Key::named("flat root", KeyKind::EcdsaP256);
            instance.authorities = vec![authority(&name, &key, &name, &key, None, Some(0))];
            instance.authority_key = key;
        })
    }));
    all.push(("a statement about several artifacts".to_owned(), {
        Scene::statement(Kind::DsseV1).on_statement(|statement| {
            let right = statement["subject"][0].clone();
            let other = json!({"name": "other", "digest": {"sha256": "0".repeat(64)}});
            statement["subject"] = json!([other, right]);
        })
    }));
    all.push((
        "a statement of v0.1".to_owned(),
        Scene::statement(Kind::DsseV1).on_statement(|s| {
            s["_type"] = Value::from("https://in-toto.io/Statement/v0.1");
        }),
    ));
    all.push(("a digest in several algorithms".to_owned(), {
        Scene::statement(Kind::DsseV1).on_statement(|statement| {
            let hash = Hash::of(HashAlgorithm::Sha512, b"an artifact\n");
            at(statement, "/subject/0/digest")["sha512"] =
                Value::from(hex::encode(hash.as_bytes()));
            at(statement, "/subject/0/digest")["blake3"] = Value::from("unknown");
        })
    }));
    all.push((
        "unknown fields".to_owned(),
        Scene::v1().on_bundle(|bundle| {
            bundle["aFieldOfTheFuture"] = json!({"deep": [1, 2, 3]});
            bundle["verificationMaterial"]["another"] = Value::from(1);
        }),
    ));
    all.push(("a v1 hashedrekord of another hash".to_owned(), {
        Scene::v1()
            .pinned()
            .with_key(KeyKind::Rsa { bits: 2048 })
            .with_scheme(Scheme::RsaPkcs1Sha512)
    }));
    for bits in [2048, 3072, 4096] {
        let scene = Scene::v2().with_key(KeyKind::Rsa { bits }).with_scheme(Scheme::RsaPssSha256);
        all.push((format!("a v2 entry of RSA-PSS, {bits} bits"), scene.clone()));
        all.push((format!("a v2 entry of RSA-PSS, {bits} bits, pinned"), scene.pinned()));
    }
    all.push(("timestamps of strangers beside a right one".to_owned(), {
        Scene::v2().on_bundle(|bundle| {
            // Over another signature it would contradict: ECDSA signs anew each time, so that the
            // stranger's token is made over this bundle's own.
            let signature = unbase64(at(bundle, "/messageSignature/signature"));
            let own = Scene::v2().on_token(move |token| {
                token.imprint_of = signature.clone();
                token.signer_serial = vec![9];
            });
            let own = at(&mut own.seal().bundle, TIMESTAMPS)[0].clone();
            at(bundle, TIMESTAMPS).as_array_mut().expect("a list").push(own);
        })
    }));
    all
}

const TIMESTAMPS: &str = "/verificationMaterial/timestampVerificationData/rfc3161Timestamps";

fn only_of(seconds: i64) -> (i64, i64) {
    (seconds, seconds)
}

fn named(name: Vec<u8>, wanted: &str) -> Scene {
    Scene::v1().with(|scene| scene.wanted_subject = wanted.to_owned()).on_certificate(
        move |certificate| certificate.put(ExtensionDraft::names(std::slice::from_ref(&name))),
    )
}

type TokenChange = fn(&mut TokenDraft);

/// Every way in which a token may name its certificate.
fn certificate_names() -> [(&'static str, TokenChange); 3] {
    fn certificate(token: &TokenDraft) -> Vec<u8> {
        match &token.names_certificate[0] {
            CertificateName::V1(certificate) | CertificateName::V2(_, certificate) => {
                certificate.clone()
            }
        }
    }
    [
        ("a token that names its certificate by SHA-1", |token| {
            token.names_certificate = vec![CertificateName::V1(certificate(token))];
        }),
        ("a token that names its certificate by SHA-512", |token| {
            token.names_certificate =
                vec![CertificateName::V2(HashAlgorithm::Sha512, certificate(token))];
        }),
        ("a token that names its certificate twice", |token| {
            token.names_certificate.push(CertificateName::V1(certificate(token)));
        }),
    ]
}

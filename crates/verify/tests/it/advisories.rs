//! The advisories of other verifiers that concern proving evidence, each as a test of its own name.
//! What is swapped, edited or missing here was accepted somewhere once.

use evidence::UnixTime;
use serde_json::{Value, json};
use testkit::clock::{CERTIFIED_FROM, CERTIFIED_TO, FOUNDED, SIGNED_AT};
use testkit::json::{at, change_bytes, remove};
use testkit::log::Kind;
use testkit::{Format, Instance, Key, Scene};

use crate::judging::{prove, prove_sealed, variant};

fn refused(scene: &Scene) -> String {
    variant(&prove(scene).expect_err("it was accepted elsewhere"))
}

/// The log entry was never compared with signature, key and digest (cosign, sigstore-java,
/// gitsign). Every cell of the matrix is in `swapped`; here stands the plainest.
macro_rules! another_entry {
    ($($name:ident: $scene:expr;)*) => {
        $(#[test]
        fn $name() {
            let scene: Scene = $scene;
            let mut sealed = scene.seal();
            *sealed.entries_mut() = scene.seal().entries_mut().take();
            let refusal = prove_sealed(&scene, &sealed).unwrap_err();
            assert_eq!(variant(&refusal), "EntryMismatch");
        })*
    };
}

another_entry! {
    cve_2022_23649_entry_of_another_signature: Scene::v1().in_format(Format::V0_1);
    cve_2022_36056_entry_of_another_signature: Scene::statement(Kind::DsseV1).in_format(Format::V0_1);
    cve_2026_22703_old_bundle_and_trusted_root: Scene::v1().pinned().in_format(Format::V0_1);
    cve_2024_53267_entry_of_another_bundle: Scene::statement(Kind::IntotoV2);
    cve_2024_51746_entry_of_another_signature: Scene::v2();
}

/// A payload that does not parse was passed over (cosign).
#[test]
fn cve_2026_39395_malformed_payload() {
    for format in [Format::V0_1, Format::V0_3] {
        let scene = Scene::statement(Kind::DsseV1).in_format(format);
        let scene = scene.on_envelope(|envelope| envelope.payload = b"{\"_type\":1}".to_vec());
        assert_eq!(refused(&scene), "MalformedStatement");
    }
}

/// The result of the subject check was dropped, and the algorithm not compared (sigstore-ruby).
#[test]
fn cve_2026_31830_subject_of_another_artifact() {
    let other = Scene::statement(Kind::DsseV1).on_statement(|statement| {
        *at(statement, "/subject/0/digest/sha256") = Value::from("0".repeat(64));
    });
    assert_eq!(refused(&other), "WrongArtifact");
    let algorithm = Scene::statement(Kind::DsseV1).on_statement(|statement| {
        let digest = at(statement, "/subject/0/digest");
        *digest = json!({"sha512": digest["sha256"]});
    });
    assert_eq!(refused(&algorithm), "WrongArtifact");
}

/// The pre-authentication encoding cut characters to bytes (sigstore-js): a payload type spelled
/// with U+01xx was signed as the plain one. Lengths count UTF-8 bytes.
#[test]
fn cve_2026_48758_payload_type_of_wide_letters() {
    let plain = "application/vnd.in-toto+json";
    let wide: String = plain.chars().map(|c| char::from_u32(0x100 + c as u32).unwrap()).collect();
    let spelled = wide.clone();
    let scene = Scene::statement(Kind::HashedRekordV2).on_bundle(move |bundle| {
        bundle["dsseEnvelope"]["payloadType"] = Value::from(spelled.clone());
    });
    assert_eq!(refused(&scene), "EntryMismatch");
    let signed = Scene::statement(Kind::HashedRekordV2)
        .on_envelope(move |envelope| envelope.payload_type.clone_from(&wide));
    assert_eq!(refused(&signed), "NotAStatement");
    assert_eq!(evidence::envelope::pae("é", b"x"), "DSSEv1 2 é 1 x".as_bytes());
}

/// Normalised bytes were verified instead of those received (gitsign).
#[test]
fn cve_2026_44309_payload_serialised_anew() {
    for change in [
        |payload: &mut Vec<u8>| payload.push(b'\n'),
        |payload: &mut Vec<u8>| payload.insert(1, b' '),
        |payload: &mut Vec<u8>| {
            let value: Value = serde_json::from_slice(payload).unwrap();
            *payload = serde_json::to_vec_pretty(&value).unwrap();
        },
    ] {
        let scene = Scene::statement(Kind::DsseV1)
            .on_bundle(move |bundle| change_bytes(bundle, "/dsseEnvelope/payload", change));
        assert_eq!(refused(&scene), "EntryMismatch");
    }
}

/// The outcome of the checkpoint's signature was ignored (sigstore-java).
#[test]
fn cve_2024_54140_flipped_checkpoint_signature() {
    for scene in [Scene::v1(), Scene::v2()] {
        for place in 0..64 {
            let scene = scene.clone().on_note(move |note| note.lines[0].signature[place] ^= 1);
            assert_eq!(refused(&scene), "BadCheckpointSignature", "{place}");
        }
    }
}

/// The token's signature was not checked, and whatever certificate came along first was taken for
/// its signer (rfc3161-client, timestamp-authority).
#[test]
fn cve_2025_52556_and_2026_33753_and_39984_whose_token() {
    let damaged = Scene::v2().on_token(|token| token.damaged = true);
    assert_eq!(refused(&damaged), "BadTimestampSignature");
    let embedded = Scene::v2().with(|scene| {
        scene.embeds_timestamp_signer = true;
        scene.instance.timestamp_signer_pinned = false;
    });
    prove(&embedded).unwrap();
    let stranger = Instance::named("stranger");
    for position in [0, 1] {
        let stranger = stranger.clone();
        let injected = embedded.clone().on_token(move |token| {
            let certificate = stranger.timestamp_signer.seal();
            token.certificates.insert(position, certificate.clone());
            token.names_certificate = vec![testkit::timestamp::CertificateName::V2(
                crypto::HashAlgorithm::Sha256,
                certificate,
            )];
            token.signed_by = stranger.timestamp_key.clone();
        });
        assert_eq!(refused(&injected), "InconsistentTimestamp");
    }
}

/// A time outside the certificate was accepted (sigstore-python): ±1 s around each edge.
#[test]
fn cve_2024_55655_integrated_time_outside_the_certificate() {
    for (seconds, inside) in [
        (CERTIFIED_FROM - 1, false),
        (CERTIFIED_FROM, true),
        (CERTIFIED_FROM + 1, true),
        (CERTIFIED_TO - 1, true),
        (CERTIFIED_TO, true),
        (CERTIFIED_TO + 1, false),
    ] {
        for scene in [Scene::v1(), Scene::v1().in_format(Format::V0_1), Scene::v2()] {
            let scene = scene.with(|scene| scene.signed_at = seconds);
            let outcome = prove(&scene).map_err(|refusal| variant(&refusal));
            let wanted = if inside { None } else { Some("NotValidAtTime".to_owned()) };
            assert_eq!(outcome.err(), wanted, "{seconds} in {scene:?}");
        }
    }
}

/// An integrated time that nobody promised was taken for a time (sigstore-js).
#[test]
fn cve_2026_48816_time_without_a_promise() {
    for format in [Format::V0_2, Format::V0_3] {
        for time in [SIGNED_AT, SIGNED_AT + 1] {
            let scene =
                Scene::v1().in_format(format).with(|scene| scene.entries[0].promise = false);
            let scene = scene.on_entry(move |entry| {
                entry["integratedTime"] = Value::from(time.to_string());
            });
            assert_eq!(refused(&scene), "NoTrustedTime");
        }
    }
}

/// A key's window in the trust root was ignored (sigstore-go).
#[test]
fn cve_2026_54787_pinned_key_after_the_windows_end() {
    let ended = Some(SIGNED_AT - 1);
    let log = Scene::v2().pinned().with_instance(|instance| instance.log_v2_window.1 = ended);
    assert_eq!(refused(&log), "LogKeyNotValid");
    let log = Scene::v1().pinned().with_instance(|instance| instance.log_v1_window.1 = ended);
    assert_eq!(refused(&log), "LogKeyNotValid");
    let stamps = Scene::v2().pinned().with_instance(|instance| instance.timestamp_window.1 = ended);
    assert_eq!(refused(&stamps), "TimestampAuthorityNotValid");
}

/// The same without any time: leaving evidence away must not turn a refusal into a proof.
#[test]
fn a_pinned_key_without_a_time_needs_a_log_that_is_trusted_now() {
    let timeless = || {
        let v1 = Scene::v1().pinned().with(|scene| scene.entries[0].promise = false);
        [v1, Scene::v2().pinned().with(|scene| scene.timestamps = 0)]
    };
    for scene in timeless() {
        assert!(prove(&scene).unwrap().times().is_empty());
        let now = scene.now;
        for (window, trusted) in [
            ((FOUNDED, Some(now)), true),
            ((FOUNDED, Some(now - 1)), false),
            ((now, None), true),
            ((now + 1, None), false),
        ] {
            let scene = scene.clone().with_instance(|instance| {
                (instance.log_v1_window, instance.log_v2_window) = (window, window);
            });
            match prove(&scene) {
                Ok(_) => assert!(trusted, "{window:?}"),
                Err(refusal) => {
                    assert_eq!((variant(&refusal).as_str(), trusted), ("LogKeyNotValid", false));
                }
            }
        }
    }
}

/// A trust root may name a log's key once for each span of time in which it is trusted.
#[test]
fn a_log_is_trusted_in_any_of_its_windows() {
    for scene in [Scene::v1(), Scene::v2()] {
        let scene = scene.with_instance(|instance| {
            let ended = (FOUNDED, Some(SIGNED_AT - 1));
            (instance.log_v1_window, instance.log_v2_window) = (ended, ended);
        });
        let mut sealed = scene.seal();
        assert_eq!(variant(&prove_sealed(&scene, &sealed).unwrap_err()), "LogKeyNotValid");
        let logs = at(&mut sealed.trust_root, "/tlogs").as_array_mut().unwrap();
        let mut again = logs.clone();
        for log in &mut again {
            let begins = UnixTime::from_seconds(SIGNED_AT).to_string();
            *at(log, "/publicKey/validFor") = json!({"start": begins});
        }
        logs.extend(again);
        prove_sealed(&scene, &sealed).unwrap();
    }
}

/// Only the signer's own validity was checked (cosign): it outlived its intermediate.
#[test]
fn cve_2026_24122_expired_intermediate() {
    for position in [0, 1] {
        let scene = Scene::v1().with_instance(|instance| {
            instance.authorities[position].not_after = SIGNED_AT - 1;
        });
        assert_eq!(refused(&scene), "NotValidAtTime");
        let scene = Scene::v1().with_instance(|instance| {
            instance.authorities[position].not_after = SIGNED_AT;
        });
        prove(&scene).unwrap();
    }
}

/// A timestamp authority that was let go still counted (notation).
#[test]
fn cve_2024_56138_timestamp_authority_that_has_ended() {
    let scene =
        Scene::v2().with_instance(|instance| instance.timestamp_window.1 = Some(SIGNED_AT - 1));
    assert_eq!(refused(&scene), "TimestampAuthorityNotValid");
}

/// The log served a key of its own, and it was believed (gitsign).
#[test]
fn cve_2023_47122_key_that_the_evidence_brings() {
    let rogue = Key::named("rogue log", crypto::KeyKind::EcdsaP256);
    let key = rogue.clone();
    let scene = Scene::v1()
        .on_promise(move |promise| promise.signed_by = key.clone())
        .on_checkpoint(move |checkpoint| checkpoint.key = rogue.clone());
    assert_eq!(refused(&scene), "BadPromise");
}

/// A certificate list without a certificate made it panic, which ended in success (gitsign).
#[test]
fn cve_2026_44310_nobody_signed() {
    let empty = Scene::v1().in_format(Format::V0_2).on_bundle(|bundle| {
        *at(bundle, "/verificationMaterial/x509CertificateChain/certificates") = json!([]);
    });
    assert_eq!(refused(&empty), "Malformed");
    let none = Scene::v1().on_bundle(|bundle| remove(bundle, "/verificationMaterial/certificate"));
    assert_eq!(refused(&none), "Malformed");
}

/// Lists without end (sigstore-go): counted before they are parsed.
#[test]
fn cve_2024_45395_endless_lists() {
    let entries = Scene::v1().on_bundle(|bundle| {
        let list = at(bundle, "/verificationMaterial/tlogEntries");
        *list = Value::from(vec![list[0].clone(); 33]);
    });
    assert_eq!(refused(&entries), "Malformed");
    let timestamps = Scene::v2().with(|scene| scene.timestamps = 33);
    assert_eq!(refused(&timestamps), "Malformed");
    let subjects = Scene::statement(Kind::DsseV1).on_statement(|statement| {
        statement["subject"] = Value::from(vec![statement["subject"][0].clone(); 1_025]);
    });
    assert_eq!(refused(&subjects), "MalformedStatement");
    // As many as are read are read; each of the entries holds.
    let most = Scene::v1().on_bundle(|bundle| {
        let list = at(bundle, "/verificationMaterial/tlogEntries");
        *list = Value::from(vec![list[0].clone(); 32]);
    });
    assert_eq!(prove(&most).unwrap().entries().len(), 32);
    assert_eq!(prove(&Scene::v2().with(|scene| scene.timestamps = 32)).unwrap().times().len(), 32);
}

/// An unknown version of an entry was taken for the known one (sigstore-go `d061433`).
#[test]
fn unknown_entry_versions_fail_closed() {
    let scene = Scene::v2()
        .on_leaf(|leaf| leaf["apiVersion"] = Value::from("0.0.3"))
        .on_entry(|entry| entry["kindVersion"]["version"] = Value::from("0.0.3"));
    assert_eq!(refused(&scene), "Malformed");
}

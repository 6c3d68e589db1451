//! Moments outside a window, each by one second.

use serde_json::Value;

use super::List;
use crate::clock::{self, CERTIFIED_FROM, CERTIFIED_TO, FOUNDED, NOW, SIGNED_AT};
use crate::log::Kind;
use crate::scene::{Format, Scene};

/// Each window, one second before its start and one after its end.
pub(super) fn times(list: &mut List) {
    for (edge, seconds) in
        [("a second early", CERTIFIED_FROM - 1), ("a second late", CERTIFIED_TO + 1)]
    {
        for (name, scene) in [
            ("v1 promise", Scene::v1()),
            ("v1 promise only", {
                Scene::v1().in_format(Format::V0_1).with(|scene| scene.entries[0].proof = false)
            }),
            ("v2 timestamp", Scene::v2()),
            ("v1 statement", Scene::statement(Kind::DsseV1)),
        ] {
            let scene = scene.with(|scene| scene.signed_at = seconds);
            list.add("NotValidAtTime", format!("{edge} for the certificate ({name})"), scene);
        }
    }
    let from = |seconds| (seconds, None);
    let until = |seconds| (FOUNDED, Some(seconds));
    for (edge, window) in [("before", from(SIGNED_AT + 1)), ("after", until(SIGNED_AT - 1))] {
        let label = |what: &str| format!("{edge} the window of {what}");
        list.add(
            "NotValidAtTime",
            label("the authority"),
            Scene::v1().with_instance(|instance| {
                instance.authority_window = window;
            }),
        );
        list.add(
            "LogKeyNotValid",
            label("the v1 log"),
            Scene::v1().with_instance(|instance| {
                instance.log_v1_window = window;
            }),
        );
        list.add("LogKeyNotValid", label("the v1 log, pinned key"), {
            Scene::v1().pinned().with_instance(|instance| instance.log_v1_window = window)
        });
        list.add("LogKeyNotValid", label("the v1 log, without a promise"), {
            Scene::v1().with(|scene| {
                scene.entries[0].promise = false;
                scene.timestamps = 1;
                scene.instance.log_v1_window = window;
            })
        });
        list.add(
            "LogKeyNotValid",
            label("the v2 log"),
            Scene::v2().with_instance(|instance| {
                instance.log_v2_window = window;
            }),
        );
        list.add("LogKeyNotValid", label("the v2 log, pinned key"), {
            Scene::v2().pinned().with_instance(|instance| instance.log_v2_window = window)
        });
        list.add("TimestampAuthorityNotValid", label("the timestamp authority"), {
            Scene::v2().with_instance(|instance| instance.timestamp_window = window)
        });
        list.add("TimestampAuthorityNotValid", label("the timestamp authority, pinned key"), {
            Scene::v2().pinned().with_instance(|instance| instance.timestamp_window = window)
        });
        // The certificate's promise is as old as the certificate.
        let shift = CERTIFIED_FROM - SIGNED_AT;
        let shifted = (
            if window.0 == FOUNDED { FOUNDED } else { window.0 + shift },
            window.1.map(|end| end + shift),
        );
        list.add(
            "CtLogKeyNotValid",
            label("the CT log"),
            Scene::v1().with_instance(|instance| {
                instance.ct_window = shifted;
            }),
        );
    }
    for (when, later) in [("61 seconds after it was used", 61_000), ("in a year", 31_536_000_000)] {
        list.add("CertificateTimestampInFuture", format!("a certificate logged {when}"), {
            Scene::v1().on_certificate(move |certificate| {
                certificate.scts[0].time_ms =
                    u64::try_from(SIGNED_AT * 1000).unwrap_or_default() + later;
            })
        });
    }
    for (edge, validity) in [
        ("begins a second late", (SIGNED_AT + 1, clock::DISSOLVED)),
        ("had ended a second before", (FOUNDED, SIGNED_AT - 1)),
    ] {
        for (what, index) in [("the issuing authority", 0), ("the root", 1)] {
            list.add("NotValidAtTime", format!("{what} {edge}"), {
                Scene::v1().with_instance(|instance| {
                    let draft = &mut instance.authorities[index];
                    (draft.not_before, draft.not_after) = validity;
                })
            });
        }
        list.add("TimestampAuthorityNotValid", format!("the timestamp signer {edge}"), {
            Scene::v2().with_instance(|instance| {
                let draft = &mut instance.timestamp_signer;
                (draft.not_before, draft.not_after) = validity;
            })
        });
        list.add("TimestampAuthorityNotValid", format!("the timestamp root {edge}"), {
            Scene::v2().with_instance(|instance| {
                // The signer below it must have been issued while it was valid.
                instance.timestamp_signer.not_before = validity.0;
                let draft = &mut instance.timestamp_authorities[0];
                (draft.not_before, draft.not_after) = validity;
            })
        });
    }
    let late = NOW + 61;
    list.add("TimeInFuture", "a promise of tomorrow", in_the_future(Scene::v1(), late));
    list.add("TimeInFuture", "a timestamp of tomorrow", in_the_future(Scene::v2(), late));
    list.add("TimeInFuture", "a timestamp of tomorrow, pinned key", {
        in_the_future(Scene::v2().pinned(), late)
    });
    list.add("TimeInFuture", "a promise of tomorrow, pinned key", {
        in_the_future(Scene::v1().pinned(), late)
    });
    list.add("NoTrustedTime", "no timestamp", Scene::v2().with(|scene| scene.timestamps = 0));
    list.add(
        "NoTrustedTime",
        "a time that nobody promised",
        Scene::v1().with(|scene| {
            scene.entries[0].promise = false;
        }),
    );
    for format in [Format::V0_2, Format::V0_3Parameter] {
        list.add("NoTrustedTime", format!("an edited time without a promise ({format:?})"), {
            Scene::v1().in_format(format).with(|scene| scene.entries[0].promise = false).on_entry(
                |entry| entry["integratedTime"] = Value::from((SIGNED_AT + 5).to_string()),
            )
        });
    }
    list.add("NotValidAtTime", "one of two times outside the certificate", {
        Scene::v1().with(|scene| scene.timestamps = 1).on_token(|token| token.at(CERTIFIED_TO + 1))
    });
}

/// A scene of that moment, its certificate valid then.
#[must_use]
pub(crate) fn in_the_future(scene: Scene, seconds: i64) -> Scene {
    scene.with(|scene| scene.signed_at = seconds).on_certificate(move |certificate| {
        certificate.not_after = seconds + 60;
    })
}

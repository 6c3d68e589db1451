//! Bundles that are not what their version demands.

use serde_json::{Value, json};

use super::{List, in_entry};
use crate::instance::Instance;
use crate::json::{at, base64, remove};
use crate::log::Kind;
use crate::scene::{Format, Scene};

pub(super) fn bundles(list: &mut List) {
    let malformed = "Malformed";
    list.add(
        malformed,
        "an unknown bundle version",
        Scene::v1().on_bundle(|bundle| {
            bundle["mediaType"] = Value::from("application/vnd.dev.sigstore.bundle.v0.4+json");
        }),
    );
    list.add(
        "ChainNotAllowed",
        "a chain in a v0.3 bundle",
        Scene::v1().in_format(Format::V0_2).on_bundle(|bundle| {
            bundle["mediaType"] = Value::from("application/vnd.dev.sigstore.bundle.v0.3+json")
        }),
    );
    list.add(
        malformed,
        "an empty chain",
        Scene::v1().in_format(Format::V0_2).on_bundle(|bundle| {
            *at(bundle, "/verificationMaterial/x509CertificateChain/certificates") = json!([]);
        }),
    );
    list.add(
        malformed,
        "a root in the chain",
        Scene::v1().in_format(Format::V0_2).on_bundle(|bundle| {
            let root = base64(&Instance::default().authorities[1].seal());
            let chain = at(bundle, "/verificationMaterial/x509CertificateChain/certificates");
            chain.as_array_mut().expect("a list").push(json!({"rawBytes": root}));
        }),
    );
    list.add(malformed, "no promise in a v0.1 bundle", {
        Scene::v1().in_format(Format::V0_1).with(|scene| scene.entries[0].promise = false)
    });
    for format in [Format::V0_2, Format::V0_3] {
        list.add(
            malformed,
            format!("no proof in a {format:?} bundle"),
            Scene::v1().in_format(format).with(|scene| scene.entries[0].proof = false),
        );
        list.add(
            malformed,
            format!("no checkpoint in a {format:?} bundle"),
            Scene::v1().in_format(format).on_bundle(|bundle| {
                remove(bundle, &in_entry("/inclusionProof/checkpoint"));
            }),
        );
    }
    list.add(malformed, "two signatures on the envelope", {
        Scene::statement(Kind::DsseV1).on_bundle(|bundle| {
            let signatures = at(bundle, "/dsseEnvelope/signatures").as_array_mut().expect("a list");
            signatures.push(signatures[0].clone());
        })
    });
    list.add(
        malformed,
        "both a message signature and an envelope",
        Scene::v1().on_bundle(|bundle| {
            bundle["dsseEnvelope"] =
                Scene::statement(Kind::DsseV1).seal().bundle["dsseEnvelope"].clone();
        }),
    );
    list.add(
        malformed,
        "a leaf of a kind that is not stated",
        Scene::v1().on_entry(|entry| {
            entry["kindVersion"]["version"] = Value::from("0.0.2");
        }),
    );
    list.add(
        malformed,
        "a leaf of an unknown version",
        Scene::v1()
            .on_leaf(|leaf| leaf["apiVersion"] = Value::from("0.0.9"))
            .on_entry(|entry| entry["kindVersion"]["version"] = Value::from("0.0.9")),
    );
    list.add("NotLogged", "no entry", Scene::v1().with(|scene| scene.entries.clear()));
    list.add(
        "NotLogged",
        "no entry, pinned key",
        Scene::v1().pinned().with(|scene| {
            scene.entries.clear();
        }),
    );
}

//! Certificates that name nobody, or that nobody trusted issued.

use crypto::KeyKind;
use serde_json::json;

use super::{List, other_key};
use crate::certificate::{self, ExtensionDraft, KEY_USAGE, POISON, TIME_STAMPING};
use crate::der;
use crate::instance::{Instance, SUBJECT};
use crate::json::remove;
use crate::key::Key;
use crate::scene::Scene;

pub(super) fn certificates(list: &mut List) {
    let bad = "BadCertificate";
    let v1 = Scene::v1;
    list.add(
        "UnknownAuthority",
        "a certificate of a stranger",
        v1().on_certificate(|certificate| {
            let stranger = Instance::named("stranger");
            certificate.issuer = stranger.authorities[0].subject.clone();
            certificate.signed_by = stranger.authority_key;
        }),
    );
    list.add(
        "UnknownAuthority",
        "no authority in the trust root",
        v1().on_trust_root(|root| {
            root["certificateAuthorities"] = json!([]);
        }),
    );
    list.add(
        bad,
        "a certificate that claims the authority's name",
        v1().on_certificate(|certificate| {
            certificate.signed_by = Key::named("forger", KeyKind::EcdsaP384);
        }),
    );
    list.add(
        bad,
        "a damaged certificate signature",
        v1().on_certificate(|certificate| {
            certificate.damaged = true;
        }),
    );
    list.add(
        bad,
        "a certificate without extended key usage",
        v1().on_certificate(|certificate| {
            certificate.remove(certificate::EXTENDED_KEY_USAGE);
        }),
    );
    list.add(
        bad,
        "a certificate for timestamps",
        v1().on_certificate(|certificate| {
            certificate.put(ExtensionDraft::extended_key_usage(&[TIME_STAMPING], false));
        }),
    );
    list.add(
        bad,
        "a certificate for anything",
        v1().on_certificate(|certificate| {
            certificate.put(ExtensionDraft::extended_key_usage(&["2.5.29.37.0"], false));
        }),
    );
    list.add(
        bad,
        "a key usage without signatures",
        v1().on_certificate(|certificate| {
            certificate.put(ExtensionDraft::key_usage(&[4]));
        }),
    );
    list.add(
        bad,
        "a malformed key usage",
        v1().on_certificate(|certificate| {
            certificate.put(ExtensionDraft::new(KEY_USAGE, true, der::null()));
        }),
    );
    list.add(
        bad,
        "an authority's certificate as a signer's",
        v1().on_certificate(|certificate| {
            certificate.put(ExtensionDraft::authority(None));
        }),
    );
    list.add(
        bad,
        "a pre-certificate",
        v1().on_certificate(|certificate| {
            certificate.put(ExtensionDraft::new(POISON, true, der::null()));
        }),
    );
    list.add(
        bad,
        "an unknown critical extension",
        v1().on_certificate(|certificate| {
            certificate.put(ExtensionDraft::new("1.3.6.1.4.1.99999.4", true, der::null()));
        }),
    );
    list.add(
        "AmbiguousName",
        "no name",
        v1().on_certificate(|certificate| {
            certificate.remove(certificate::SUBJECT_ALTERNATIVE_NAME);
        }),
    );
    let wanted = SUBJECT;
    for (what, names) in [
        ("two names", vec![certificate::uri(wanted), certificate::email("a@example.com")]),
        ("the name twice", vec![certificate::uri(wanted), certificate::uri(wanted)]),
        ("a name of another kind", vec![certificate::dns("example.com")]),
        ("a name beside one of another kind", {
            vec![certificate::uri(wanted), certificate::dns("example.com")]
        }),
        ("an empty name", vec![certificate::uri("")]),
    ] {
        list.add(
            "AmbiguousName",
            what,
            v1().on_certificate(move |certificate| {
                certificate.put(ExtensionDraft::names(&names));
            }),
        );
    }
    list.add(
        "NoIssuer",
        "no issuer",
        v1().on_certificate(|certificate| {
            certificate.remove("1.3.6.1.4.1.57264.1.1");
            certificate.remove("1.3.6.1.4.1.57264.1.8");
        }),
    );
    list.add(
        "NoIssuer",
        "an empty issuer",
        v1().on_certificate(|certificate| {
            certificate.put(ExtensionDraft::fulcio(1, ""));
            certificate.put(ExtensionDraft::fulcio(8, ""));
        }),
    );
    list.add(
        "Malformed",
        "two issuers",
        v1().on_certificate(|certificate| {
            certificate.put(ExtensionDraft::fulcio(1, "https://another.example"));
        }),
    );
    list.add(
        "Malformed",
        "an issuer that is no DER text",
        v1().on_certificate(|certificate| {
            let raw = ExtensionDraft::new("1.3.6.1.4.1.57264.1.8", false, b"raw".to_vec());
            certificate.put(raw);
        }),
    );
    list.add(
        "Malformed",
        "an extension twice",
        v1().on_certificate(|certificate| {
            certificate.extensions.push(ExtensionDraft::fulcio(24, "another subject"));
        }),
    );
    list.add(
        "Malformed",
        "a name that is not ASCII",
        v1().on_certificate(|certificate| {
            certificate.put(ExtensionDraft::names(&[certificate::email("é@example.com")]));
        }),
    );
    list.add(
        "NoCertificate",
        "a bare key where a certificate is wanted",
        v1().on_bundle(|bundle| {
            remove(bundle, "/verificationMaterial/certificate");
            bundle["verificationMaterial"]["publicKey"] = json!({"hint": "a"});
        }),
    );
}

/// Chains above the signer that hold when the trust root is read, but not for this signer.
pub(super) fn authorities(list: &mut List) {
    let bad = "BadCertificate";
    for (what, position) in [("issuing authority", 0), ("root", 1)] {
        list.add(bad, format!("names that the {what} may not certify"), {
            Scene::v1()
                .with_instance(|instance| {
                    let names = [certificate::dns("only.example")];
                    instance.authorities[position].put(ExtensionDraft::permitted_names(&names));
                })
                .on_certificate(|certificate| {
                    certificate.put(ExtensionDraft::names(&[certificate::dns("other.example")]));
                })
        });
        // The path's checker does not process constraints on these names, so that nothing passes.
        list.add(bad, format!("constraints of the {what} that cannot be processed"), {
            Scene::v1().with_instance(|instance| {
                let names = [certificate::uri("git.testkit.example")];
                instance.authorities[position].put(ExtensionDraft::permitted_names(&names));
            })
        });
    }
    list.add("BadCertificate", "a certificate of the root where an intermediate issues", {
        // The name is right, the key is the root's.
        Scene::v1().on_certificate(|certificate| {
            certificate.signed_by = Key::named("testkit root", KeyKind::EcdsaP384);
        })
    });
}

pub(super) fn certificate_timestamps(list: &mut List) {
    let v1 = Scene::v1;
    list.add(
        "NoCertificateTimestamp",
        "no certificate timestamp",
        v1().on_certificate(|certificate| {
            certificate.scts.clear();
        }),
    );
    list.add("NoCertificateTimestamp", "an empty list of certificate timestamps", {
        v1().on_certificate(|certificate| certificate.sct_list = Some(vec![0, 0]))
    });
    list.add("NoCertificateTimestamp", "a certificate timestamp of a stranger", {
        v1().on_certificate(|certificate| {
            certificate.scts[0].signed_by = other_key();
            certificate.scts[0].log_id = crypto::sha256(&other_key().spki()).to_vec();
        })
    });
    list.add(
        "NoCertificateTimestamp",
        "no CT log in the trust root",
        v1().on_trust_root(|root| {
            root["ctlogs"] = json!([]);
        }),
    );
    let bad = "BadCertificateTimestamp";
    list.add(
        bad,
        "a damaged certificate timestamp",
        v1().on_certificate(|certificate| {
            certificate.scts[0].damaged = true;
        }),
    );
    list.add(
        bad,
        "a certificate timestamp of another key",
        v1().on_certificate(|certificate| {
            certificate.scts[0].signed_by = other_key();
        }),
    );
    list.add(
        bad,
        "a certificate timestamp under another issuer",
        v1().on_certificate(|certificate| {
            certificate.scts[0].issuer_key_hash[0] ^= 1;
        }),
    );
    list.add(bad, "a certificate timestamp about another certificate", {
        v1().on_certificate(|certificate| certificate.scts[0].tbs = Some(b"another".to_vec()))
    });
    list.add(
        bad,
        "a certificate timestamp over another hash",
        v1().on_certificate(|certificate| {
            certificate.scts[0].hash = 5;
        }),
    );
    list.add(bad, "a right certificate timestamp beside a damaged one", {
        v1().on_certificate(|certificate| {
            let mut damaged = certificate.scts[0].clone();
            damaged.damaged = true;
            certificate.scts.push(damaged);
        })
    });
    let malformed = "MalformedCertificateTimestamps";
    list.add(malformed, "a list of certificate timestamps that is cut", {
        v1().on_certificate(|certificate| certificate.sct_list = Some(vec![0, 9, 0]))
    });
    list.add(
        malformed,
        "a certificate timestamp of version 2",
        v1().on_certificate(|certificate| {
            certificate.scts[0].version = 1;
        }),
    );
    list.add(
        malformed,
        "a certificate timestamp over SHA-1",
        v1().on_certificate(|certificate| {
            certificate.scts[0].hash = 2;
        }),
    );
    list.add(
        malformed,
        "seventeen certificate timestamps",
        v1().on_certificate(|certificate| {
            let one = certificate.scts[0].clone();
            certificate.scts = vec![one; 17];
        }),
    );
    list.add(
        malformed,
        "a certificate timestamp beyond all time",
        v1().on_certificate(|certificate| {
            certificate.scts[0].time_ms = u64::MAX;
        }),
    );
}

//! Timestamps that prove no time.

use crypto::{HashAlgorithm, KeyKind, Scheme};
use serde_json::json;

use super::List;
use crate::certificate::{self, CODE_SIGNING, ExtensionDraft, KEY_CERT_SIGN, TIME_STAMPING};
use crate::clock::SIGNED_AT;
use crate::der;
use crate::instance::Instance;
use crate::key::Key;
use crate::scene::Scene;
use crate::timestamp::CertificateName;

pub(super) fn timestamps(list: &mut List) {
    let malformed = "MalformedTimestamp";
    let v2 = Scene::v2;
    list.add(
        malformed,
        "a timestamp that is not DER",
        v2().on_timestamp(|bytes| {
            *bytes = b"not DER".to_vec();
        }),
    );
    list.add(
        malformed,
        "a timestamp with trailing bytes",
        v2().on_timestamp(|bytes| bytes.push(0)),
    );
    list.add(
        malformed,
        "a timestamp request that was rejected",
        v2().on_token(|token| {
            token.status = 2;
        }),
    );
    list.add(
        malformed,
        "a timestamp granted with modifications",
        v2().on_token(|token| {
            token.status = 1;
        }),
    );
    list.add(malformed, "a TSTInfo of version 2", v2().on_token(|token| token.version = 2));
    list.add(
        malformed,
        "a token that is not of TSTInfo",
        v2().on_token(|token| {
            token.content_type = "1.2.840.113549.1.7.1".to_owned();
        }),
    );
    list.add(malformed, "a token with two signers", v2().on_token(|token| token.signer_count = 2));
    list.add(malformed, "a token without signer", v2().on_token(|token| token.signer_count = 0));
    list.add(
        malformed,
        "an impossible time",
        v2().on_token(|token| {
            token.time = "20260231120000Z".to_owned();
        }),
    );
    list.add(
        malformed,
        "a critical extension in the token",
        v2().on_token(|token| {
            token.extensions = der::sequence(&[
                &der::oid("1.3.6.1.4.1.99999.1"),
                &der::boolean(true),
                &der::octets(&[]),
            ]);
        }),
    );
    list.add(
        malformed,
        "eleven certificates in the token",
        v2().on_token(|token| {
            token.certificates = (0..11).map(der::small).map(|n| der::sequence(&[&n])).collect();
        }),
    );
    for (name, scene) in [("keyless", v2()), ("pinned", v2().pinned())] {
        list.add("TimestampImprint", format!("a timestamp over something else ({name})"), {
            scene.clone().on_token(|token| token.imprint_of.push(0))
        });
        list.add("BadTimestampSignature", format!("a damaged token signature ({name})"), {
            scene.clone().on_token(|token| token.damaged = true)
        });
        list.add("BadTimestampSignature", format!("a token signed by another key ({name})"), {
            scene.clone().on_token(|token| {
                token.signed_by = Key::named("another authority", KeyKind::EcdsaP384);
            })
        });
    }
    list.add(
        "TimestampImprint",
        "a timestamp over the artifact",
        v2().on_token(|token| {
            token.imprint_of = b"an artifact\n".to_vec();
        }),
    );
    list.add(
        "InconsistentTimestamp",
        "a signed content type that differs",
        v2().on_token(|token| {
            token.signed_content_type = "1.2.840.113549.1.7.1".to_owned();
        }),
    );
    list.add(
        "InconsistentTimestamp",
        "a signed digest that differs",
        v2().on_token(|token| {
            token.message_digest = Some(vec![7; 48]);
        }),
    );
    list.add(
        "InconsistentTimestamp",
        "no name of the signing certificate",
        v2().on_token(|token| {
            token.names_certificate.clear();
        }),
    );
    for (label, name) in [
        ("version 2", CertificateName::V2(HashAlgorithm::Sha256, b"another".to_vec())),
        ("version 2 with SHA-512", CertificateName::V2(HashAlgorithm::Sha512, b"another".to_vec())),
        ("version 1", CertificateName::V1(b"another".to_vec())),
    ] {
        list.add("InconsistentTimestamp", format!("the name of another certificate, {label}"), {
            v2().on_token(move |token| token.names_certificate = vec![name.clone()])
        });
    }
    list.add("InconsistentTimestamp", "a right and a wrong name of the certificate", {
        v2().on_token(|token| {
            token.names_certificate.push(CertificateName::V1(b"another".to_vec()));
        })
    });
    list.add(
        "TimestampAlgorithm",
        "an RSA algorithm under an ECDSA key",
        v2().on_token(|token| {
            let algorithm = certificate::scheme_identifier(Scheme::RsaPkcs1Sha384);
            token.signature_algorithm = Some(algorithm);
        }),
    );
    list.add("TimestampAlgorithm", "a signature over another hash than the token's", {
        v2().on_token(|token| {
            let algorithm = certificate::scheme_identifier(Scheme::EcdsaP256Sha256);
            token.signature_algorithm = Some(algorithm);
        })
    });
    list.add(
        "TimestampAlgorithm",
        "an unknown signature algorithm",
        v2().on_token(|token| {
            token.signature_algorithm = Some(der::sequence(&[&der::oid("1.3.6.1.4.1.99999.2")]));
        }),
    );
    list.add(
        "UnknownTimestampAuthority",
        "a timestamp of a stranger",
        v2().on_token(|token| {
            token.signer_serial = vec![9];
        }),
    );
    list.add("UnknownTimestampAuthority", "a token that names its signer by an unknown key", {
        v2().on_token(|token| token.signer_key_id = Some(vec![9; 20]))
    });
    list.add("UnknownTimestampAuthority", "no timestamp authority in the trust root", {
        v2().on_trust_root(|root| root["timestampAuthorities"] = json!([]))
    });
    embedded(list);
}

/// Tokens that bring their signing certificate along, under a trust root that holds its issuer.
fn embedded(list: &mut List) {
    let scene = || {
        Scene::v2().with(|scene| {
            scene.embeds_timestamp_signer = true;
            scene.instance.timestamp_signer_pinned = false;
        })
    };
    let chain = "TimestampChain";
    list.add("UnknownTimestampAuthority", "the signing certificate does not come along", {
        scene().with(|scene| scene.embeds_timestamp_signer = false)
    });
    list.add("UnknownTimestampAuthority", "another authority's certificate comes along", {
        let other = Instance::named("stranger");
        scene().with(move |scene| {
            scene.instance.timestamp_signer = other.timestamp_signer;
            scene.instance.timestamp_key = other.timestamp_key;
        })
    });
    list.add(
        chain,
        "a timestamp signer that claims the authority's name",
        scene().with(|scene| {
            scene.instance.timestamp_signer.signed_by = Key::named("forger", KeyKind::EcdsaP384);
        }),
    );
    list.add(
        chain,
        "a signing certificate for code",
        scene().with(|scene| {
            let usage = ExtensionDraft::extended_key_usage(&[CODE_SIGNING], true);
            scene.instance.timestamp_signer.put(usage);
        }),
    );
    list.add(
        chain,
        "a signing certificate for more than timestamps",
        scene().with(|scene| {
            let usage = ExtensionDraft::extended_key_usage(&[TIME_STAMPING, CODE_SIGNING], true);
            scene.instance.timestamp_signer.put(usage);
        }),
    );
    list.add(
        chain,
        "a usage that is not critical",
        scene().with(|scene| {
            let usage = ExtensionDraft::extended_key_usage(&[TIME_STAMPING], false);
            scene.instance.timestamp_signer.put(usage);
        }),
    );
    list.add(
        chain,
        "a signing certificate without usage",
        scene().with(|scene| {
            scene.instance.timestamp_signer.remove(certificate::EXTENDED_KEY_USAGE);
        }),
    );
    list.add(
        chain,
        "a signing certificate that is an authority's",
        scene().with(|scene| {
            scene.instance.timestamp_signer.put(ExtensionDraft::authority(None));
        }),
    );
    list.add(
        chain,
        "a timestamp signer's key usage without signatures",
        scene().with(|scene| {
            scene.instance.timestamp_signer.put(ExtensionDraft::key_usage(&[KEY_CERT_SIGN]));
        }),
    );
    list.add(chain, "a signing certificate with an unknown critical extension", {
        scene().with(|scene| {
            let unknown = ExtensionDraft::new("1.3.6.1.4.1.99999.3", true, der::null());
            scene.instance.timestamp_signer.put(unknown);
        })
    });
    list.add("BadTimestampSignature", "a signature by a certificate that was slipped in", {
        // The stranger's certificate comes first, and it signs; the token points at the true one.
        let stranger = Instance::named("stranger");
        scene().on_token(move |token| {
            token.certificates.insert(0, stranger.timestamp_signer.seal());
            token.signed_by = stranger.timestamp_key.clone();
        })
    });
    list.add("TimestampAuthorityNotValid", "an embedded certificate that had ended", {
        scene().with(|scene| scene.instance.timestamp_signer.not_after = SIGNED_AT - 1)
    });
}

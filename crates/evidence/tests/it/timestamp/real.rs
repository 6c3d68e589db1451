//! Requests, and tokens of real authorities.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::{Hash, KeyKind};
use der::{Decode, Encode};
use evidence::timestamp::tsp::TimeStampReq;
use evidence::timestamp::{CertificateHash, Timestamp};

#[test]
fn requests_are_read_and_written() {
    // `openssl ts -query -digest 00…00 -sha256 -cert -no_nonce -tspolicy 1.3.6.1.4.1.57264.2`
    let hexadecimal = [
        "30440201013031300d06096086480165030402010500042",
        &"00".repeat(32),
        "006092b0601040183bf30020101ff",
    ];
    let der = hex::decode(hexadecimal.concat()).unwrap();
    let request = TimeStampReq::from_der(&der).unwrap();
    assert_eq!(request.version, 1);
    assert!(request.cert_req);
    assert_eq!(request.nonce, None);
    assert_eq!(request.req_policy.unwrap().to_string(), "1.3.6.1.4.1.57264.2");
    assert_eq!(request.to_der().unwrap(), der);
}

/// Fields of real tokens, as `openssl ts -reply -text` shows them.
#[test]
fn real_tokens_parse_to_their_known_fields() {
    let Some(bundles) = crate::shared_data("bundles") else { return };
    let cases = [
        (
            "managed-key-happy-path",
            "2025-12-18T17:04:39Z",
            Some(1000),
            0,
            "Sha2",
            KeyKind::EcdsaP384,
        ),
        (
            "rekor2-timestamp-with-embedded-cert",
            "2025-08-06T18:51:36Z",
            Some(1000),
            1,
            "Sha2",
            KeyKind::EcdsaP384,
        ),
        (
            "rekor2-timestamp-untrusted-tsa-with-embedded-cert_fail",
            "2025-08-06T19:38:49Z",
            None,
            2,
            "Sha1",
            KeyKind::Rsa { bits: 4096 },
        ),
    ];
    for (name, time, accuracy_ms, certificates, certificate_hash, kind) in cases {
        let (response, signature) = read_bundle(&bundles.join(name));
        let timestamp = Timestamp::parse(&response).unwrap();
        assert_eq!(timestamp.time().to_string(), time, "{name}");
        assert_eq!(timestamp.accuracy_ms(), accuracy_ms, "{name}");
        assert_eq!(timestamp.certificates().len(), certificates, "{name}");
        let imprint = timestamp.imprint();
        assert_eq!(*imprint, Hash::of(imprint.algorithm(), &signature), "{name}");
        assert_eq!(timestamp.check_content_type(), Ok(()), "{name}");
        assert_eq!(timestamp.check_message_digest(), Ok(()), "{name}");
        let [hash] = timestamp.signing_certificates() else { panic!("{name}") };
        let found = match hash {
            CertificateHash::Sha1(_) => "Sha1",
            CertificateHash::Sha2(_) => "Sha2",
        };
        assert_eq!(found, certificate_hash, "{name}");
        if certificates > 0 {
            let named = timestamp
                .certificates()
                .iter()
                .filter(|der| timestamp.check_signing_certificate(der).is_ok());
            assert_eq!(named.count(), 1, "{name}");
        }
        assert!(timestamp.scheme(kind).is_ok(), "{name}");
    }
}

fn read_bundle(directory: &std::path::Path) -> (Vec<u8>, Vec<u8>) {
    let text = std::fs::read(directory.join("bundle.sigstore.json")).unwrap();
    let bundle: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let decode = |value: &serde_json::Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    let timestamps = &bundle["verificationMaterial"]["timestampVerificationData"];
    let response = decode(&timestamps["rfc3161Timestamps"][0]["signedTimestamp"]);
    let signature = match &bundle["messageSignature"]["signature"] {
        serde_json::Value::Null => &bundle["dsseEnvelope"]["signatures"][0]["sig"],
        signature => signature,
    };
    (response, decode(signature))
}

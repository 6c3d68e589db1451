//! Content, certificate, algorithm and key agree.

use crypto::{HashAlgorithm, KeyKind, Scheme};
use der::Decode;
use der::asn1::{Any, ObjectIdentifier, OctetString};
use evidence::UnixTime;
use evidence::timestamp::cms::{
    Attribute, EssCertId, ID_CONTENT_TYPE, ID_SIGNING_CERTIFICATE, SigningCertificate,
};
use evidence::timestamp::tsp::GenTime;
use evidence::timestamp::{
    InconsistentTimestamp, SignatureAlgorithmError, hash_algorithm_identifier,
};
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::{CERTIFICATE, Parts, SOME_OID};

#[test]
fn the_signed_attributes_bind_the_content() {
    // The digest stays that of the old statement.
    let mut parts = Parts::right();
    parts.statement.gen_time = GenTime(UnixTime::from_seconds(1));
    let error = InconsistentTimestamp::MessageDigest { algorithm: HashAlgorithm::Sha256 };
    assert_eq!(parts.parse().unwrap().check_message_digest(), Err(error));

    let mut parts = Parts::right();
    parts.attributes[0] = Attribute::new(ID_CONTENT_TYPE, &SOME_OID).unwrap();
    let error = InconsistentTimestamp::ContentType { found: SOME_OID };
    assert_eq!(parts.parse().unwrap().check_content_type(), Err(error));
}

#[test]
fn the_signing_certificate_is_named() {
    let other = &[0x30, 0x00];
    let timestamp = Parts::right().parse().unwrap();
    let error = Err(InconsistentTimestamp::SigningCertificate);
    assert_eq!(timestamp.check_signing_certificate(other), error);

    let mut parts = Parts::right();
    parts.attributes.pop();
    let timestamp = parts.parse().unwrap();
    let none = Err(InconsistentTimestamp::NoSigningCertificate);
    assert_eq!(timestamp.check_signing_certificate(CERTIFICATE), none);

    // Both kinds: both must name it.
    let v1 = |certificate: &[u8]| {
        let certificate_hash = OctetString::new(crypto::hash::sha1_name(certificate)).unwrap();
        let id = EssCertId { certificate_hash, issuer_serial: None };
        let value = SigningCertificate { certificates: vec![id], policies: None };
        Attribute::new(ID_SIGNING_CERTIFICATE, &value).unwrap()
    };
    let mut parts = Parts::right();
    parts.attributes.push(v1(CERTIFICATE));
    let timestamp = parts.parse().unwrap();
    assert_eq!(timestamp.signing_certificates().len(), 2);
    assert_eq!(timestamp.check_signing_certificate(CERTIFICATE), Ok(()));
    let mut parts = Parts::right();
    parts.attributes.push(v1(other));
    assert_eq!(parts.parse().unwrap().check_signing_certificate(CERTIFICATE), error);
}

#[test]
fn the_scheme_follows_algorithm_key_and_hash() {
    let scheme = |oid: &str, digest, kind| {
        let mut parts = Parts::right();
        parts.signers[0].digest_algorithm = hash_algorithm_identifier(digest);
        parts.signers[0].signature_algorithm =
            AlgorithmIdentifierOwned { oid: ObjectIdentifier::new_unwrap(oid), parameters: None };
        parts.parse().unwrap().scheme(kind)
    };
    let rsa = KeyKind::Rsa { bits: 2048 };
    let (sha256, sha512) = (HashAlgorithm::Sha256, HashAlgorithm::Sha512);
    let (rsa_encryption, rsa_sha512) = ("1.2.840.113549.1.1.1", "1.2.840.113549.1.1.13");
    let (ecdsa_sha512, ed25519) = ("1.2.840.10045.4.3.4", "1.3.101.112");
    assert_eq!(scheme(rsa_encryption, sha256, rsa), Ok(Scheme::RsaPkcs1Sha256));
    assert_eq!(scheme(rsa_sha512, sha512, rsa), Ok(Scheme::RsaPkcs1Sha512));
    assert_eq!(scheme(ecdsa_sha512, sha512, KeyKind::EcdsaP521), Ok(Scheme::EcdsaP521Sha512));
    assert_eq!(scheme(ed25519, sha512, KeyKind::Ed25519), Ok(Scheme::Ed25519));

    let mismatch = scheme(rsa_sha512, sha256, rsa);
    assert!(matches!(mismatch, Err(SignatureAlgorithmError::HashMismatch { .. })));
    for (oid, kind) in [(ecdsa_sha512, rsa), (rsa_sha512, KeyKind::EcdsaP256)] {
        let wrong_key = scheme(oid, sha512, kind);
        assert!(matches!(wrong_key, Err(SignatureAlgorithmError::WrongKey { .. })));
    }
    for oid in ["1.2.840.113549.1.1.5", "1.2.840.113549.1.1.10"] {
        // SHA-1 with RSA; PSS without parameters, which means SHA-1.
        let unsupported = scheme(oid, sha256, rsa);
        assert!(matches!(unsupported, Err(SignatureAlgorithmError::Unsupported { .. })));
    }
}

#[test]
fn pss_names_its_hash_in_its_parameters() {
    // RSASSA-PSS-params { hashAlgorithm [0] id-sha256 }.
    let parameters = hex::decode("300fa00d300b0609608648016503040201").unwrap();
    let mut parts = Parts::right();
    parts.signers[0].signature_algorithm = AlgorithmIdentifierOwned {
        oid: ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10"),
        parameters: Some(Any::from_der(&parameters).unwrap()),
    };
    let scheme = parts.parse().unwrap().scheme(KeyKind::Rsa { bits: 3072 });
    assert_eq!(scheme, Ok(Scheme::RsaPssSha256));
}

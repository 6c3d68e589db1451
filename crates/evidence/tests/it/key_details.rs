//! Sigstore's registry of key algorithms: names, numbers, and keys that are what is said of them.

use crypto::{KeyKind, Scheme};
use evidence::key_details::{KeyDetails, KeyDetailsError};
use testkit::Key;

#[test]
fn names_and_numbers_mean_the_same() {
    for (name, number, scheme) in [
        ("PKCS1_RSA_PKCS1V5", 1, Scheme::RsaPkcs1Sha256),
        ("PKCS1_RSA_PSS", 2, Scheme::RsaPssSha256),
        ("PKIX_RSA_PKCS1V5", 3, Scheme::RsaPkcs1Sha256),
        ("PKIX_RSA_PSS", 4, Scheme::RsaPssSha256),
        ("PKIX_ECDSA_P256_SHA_256", 5, Scheme::EcdsaP256Sha256),
        ("PKIX_ED25519", 7, Scheme::Ed25519),
        ("PKIX_ED25519_PH", 8, Scheme::Ed25519ph),
        ("PKIX_RSA_PKCS1V15_2048_SHA256", 9, Scheme::RsaPkcs1Sha256),
        ("PKIX_RSA_PKCS1V15_3072_SHA256", 10, Scheme::RsaPkcs1Sha256),
        ("PKIX_RSA_PKCS1V15_4096_SHA256", 11, Scheme::RsaPkcs1Sha256),
        ("PKIX_ECDSA_P384_SHA_384", 12, Scheme::EcdsaP384Sha384),
        ("PKIX_ECDSA_P521_SHA_512", 13, Scheme::EcdsaP521Sha512),
        ("PKIX_RSA_PSS_2048_SHA256", 16, Scheme::RsaPssSha256),
        ("PKIX_RSA_PSS_3072_SHA256", 17, Scheme::RsaPssSha256),
        ("PKIX_RSA_PSS_4096_SHA256", 18, Scheme::RsaPssSha256),
    ] {
        let by_name = KeyDetails::parse(name).unwrap();
        assert_eq!(by_name, KeyDetails::parse(&number.to_string()).unwrap());
        assert_eq!(by_name.name(), name);
        assert_eq!(by_name.to_string(), name);
        assert_eq!(by_name.scheme(), scheme);
    }
    for unknown in ["", "0", "99", "PKIX_ED448", "pkix_ed25519"] {
        let wanted = KeyDetailsError::Unsupported { found: unknown.to_owned() };
        assert_eq!(KeyDetails::parse(unknown), Err(wanted));
    }
    let wanted = KeyDetailsError::Unsupported { found: "x".repeat(64) };
    assert_eq!(KeyDetails::parse(&"x".repeat(100)), Err(wanted));
}

#[test]
fn the_details_of_a_key_describe_it() {
    for (kind, scheme) in [
        (KeyKind::EcdsaP256, Scheme::EcdsaP256Sha256),
        (KeyKind::EcdsaP384, Scheme::EcdsaP384Sha384),
        (KeyKind::EcdsaP521, Scheme::EcdsaP521Sha512),
        (KeyKind::Rsa { bits: 2048 }, Scheme::RsaPkcs1Sha256),
        (KeyKind::Rsa { bits: 3072 }, Scheme::RsaPkcs1Sha256),
        (KeyKind::Rsa { bits: 4096 }, Scheme::RsaPssSha256),
        (KeyKind::Ed25519, Scheme::Ed25519),
        (KeyKind::Ed25519, Scheme::Ed25519ph),
    ] {
        let key = Key::named("details", kind);
        let details = KeyDetails::of(key.public(), scheme).unwrap();
        assert_eq!(details.name(), testkit::log::key_details(kind, scheme));
        assert_eq!(details.parse_key(&key.spki()).unwrap(), *key.public());
    }
    let p256 = Key::named("details", KeyKind::EcdsaP256);
    assert_eq!(KeyDetails::of(p256.public(), Scheme::EcdsaP384Sha384), None);
    assert_eq!(KeyDetails::of(p256.public(), Scheme::EcdsaP256Sha512), None);
}

#[test]
fn a_key_that_is_not_what_is_said_is_refused() {
    let p256 = Key::named("details", KeyKind::EcdsaP256);
    let rsa = Key::named("details", KeyKind::Rsa { bits: 2048 });
    let parse = |details: &str, key: &[u8]| KeyDetails::parse(details).unwrap().parse_key(key);
    for (details, key) in [
        ("PKIX_ECDSA_P384_SHA_384", &p256),
        ("PKIX_ED25519", &p256),
        ("PKIX_RSA_PKCS1V5", &p256),
        ("PKIX_RSA_PKCS1V15_3072_SHA256", &rsa),
        ("PKIX_RSA_PSS_4096_SHA256", &rsa),
    ] {
        let error = parse(details, &key.spki()).unwrap_err();
        assert!(matches!(error, KeyDetailsError::Mismatch { .. }), "{details}: {error:?}");
    }
    // Without a size in the details, any accepted size will do; the encoding still counts.
    parse("PKIX_RSA_PKCS1V5", &rsa.spki()).unwrap();
    let bare = rsa.public().raw_bytes();
    assert_eq!(parse("PKCS1_RSA_PKCS1V5", &bare).unwrap(), *rsa.public());
    assert!(matches!(parse("PKCS1_RSA_PKCS1V5", &rsa.spki()), Err(KeyDetailsError::Key(_))));
    assert!(matches!(parse("PKIX_RSA_PKCS1V5", &bare), Err(KeyDetailsError::Key(_))));
}

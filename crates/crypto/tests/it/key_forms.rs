//! Every form in which people keep keys, read, and their public halves with them; what is no key, or
//! not taken, is refused by name. The files in `tests/keys` are by OpenSSL 3 and, those called
//! `go-…`, by go-securesystemslib 0.11 under the passwords named in `encrypted`; `cosign-…` is by
//! the Cosign of that version.

use std::path::PathBuf;

use crypto::{
    KeyFileError, KeyKind, Message, OpenKeyError, ParseKeyError, Password, PrivateKeyPem,
    PublicKey, Scheme, Signer,
};

pub(crate) fn file(name: &str) -> Vec<u8> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/keys");
    std::fs::read(directory.join(name)).unwrap()
}

fn no_password() -> Result<Password, OpenKeyError> {
    panic!("a plain key needs no password")
}

fn refused(text: &[u8]) -> OpenKeyError {
    PrivateKeyPem::parse(text).unwrap_err()
}

#[test]
fn plain_private_keys_read_in_every_form_without_a_password() {
    let forms = [
        ("ec-p256-with-parameters", KeyKind::EcdsaP256, Scheme::EcdsaP256Sha256),
        ("ec-p384", KeyKind::EcdsaP384, Scheme::EcdsaP384Sha384),
        ("ec-p521", KeyKind::EcdsaP521, Scheme::EcdsaP521Sha512),
        ("rsa-2048", KeyKind::Rsa { bits: 2048 }, Scheme::RsaPkcs1Sha256),
        ("ed25519", KeyKind::Ed25519, Scheme::Ed25519ph),
    ];
    for (name, kind, scheme) in forms {
        let pair = PrivateKeyPem::parse(&file(&format!("{name}.pem"))).unwrap();
        let pair = pair.open(no_password).unwrap();
        let public = PublicKey::from_any_pem(&file(&format!("{name}.public.pem"))).unwrap();
        assert_eq!(*pair.public_key(), public, "{name}");
        assert_eq!(public.kind(), kind, "{name}");
        assert_eq!(public.logged_scheme(), scheme, "{name}");
        let message = Message::Bytes(b"message");
        let signature = pair.sign(scheme, message).unwrap();
        public.verify(scheme, message, &signature).unwrap();
    }
}

#[test]
fn a_hash_that_a_log_records_is_enough_to_verify_what_was_signed_for_it() {
    for name in ["ec-p384", "ec-p521", "rsa-2048", "ed25519"] {
        let pair = PrivateKeyPem::parse(&file(&format!("{name}.pem"))).unwrap();
        let pair = pair.open(no_password).unwrap();
        let scheme = pair.public_key().logged_scheme();
        let hash = crypto::Hash::of(scheme.hash().unwrap(), b"message");
        let signature = pair.sign(scheme, Message::Bytes(b"message")).unwrap();
        pair.public_key().verify(scheme, Message::Hashed(&hash), &signature).unwrap();
    }
}

#[test]
fn a_certificate_gives_its_key() {
    let of_certificate = PublicKey::from_any_pem(&file("ec-p256.certificate.pem")).unwrap();
    let public = PublicKey::from_any_pem(&file("ec-p256-with-parameters.public.pem")).unwrap();
    assert_eq!(of_certificate, public);
}

#[test]
fn a_private_key_given_for_a_public_one_is_called_so() {
    for name in ["ec-p384.pem", "ed25519.pem", "rsa-2048.pem", "go-65536.pem"] {
        assert_eq!(PublicKey::from_any_pem(&file(name)).unwrap_err(), ParseKeyError::PrivateKey);
    }
}

#[test]
fn what_is_no_public_key_is_refused() {
    let read = |text: &[u8]| PublicKey::from_any_pem(text).unwrap_err();
    let request = crypto::pem::encode("CERTIFICATE REQUEST", b"x");
    let found = "CERTIFICATE REQUEST".to_owned();
    assert_eq!(read(request.as_bytes()), ParseKeyError::PemLabel { found });
    let nonsense = crypto::pem::encode("CERTIFICATE", b"no certificate");
    assert!(matches!(read(nonsense.as_bytes()), ParseKeyError::Der(_)));
    assert!(matches!(read(b"text"), ParseKeyError::Pem(_)));
    let found = 16 * 1024 + 1;
    assert_eq!(read(&vec![b'-'; found]), ParseKeyError::TooLong { found });
}

#[test]
fn the_hint_is_base64_of_the_hash_of_the_key() {
    // openssl pkey -pubin -in ed25519.public.pem -outform DER | openssl dgst -sha256 -binary | base64
    let key = PublicKey::from_any_pem(&file("ed25519.public.pem")).unwrap();
    assert_eq!(key.hint(), "VW/UuqfQz2SRRQet8tcyqMoMc2fn5wGP+1EWoc5xWPI=");
}

#[test]
fn what_is_no_private_key_is_refused_with_what_to_do() {
    let public = refused(&file("ec-p384.public.pem"));
    let OpenKeyError::NotAPrivateKey { found } = &public else { panic!("{public:?}") };
    assert_eq!(found, "PUBLIC KEY");
    assert!(public.hint().unwrap().contains("the private one"), "{public:?}");
    let certificate = refused(&file("ec-p256.certificate.pem"));
    assert!(
        matches!(&certificate, OpenKeyError::NotAPrivateKey { found } if found == "CERTIFICATE")
    );
    assert!(certificate.hint().is_none());
    let encrypted = refused(&file("encrypted-pkcs8.pem"));
    assert!(matches!(encrypted, OpenKeyError::EncryptedPkcs8));
    assert!(encrypted.hint().unwrap().contains("openssl pkey"));
    assert!(matches!(refused(b""), OpenKeyError::Pem(_)));
    assert!(matches!(refused(b"-----BEGIN EC PARAMETERS-----"), OpenKeyError::Pem(_)));
    let found = 16 * 1024 + 1;
    let long = refused(&vec![b'-'; found]);
    assert!(matches!(long, OpenKeyError::TooLong { found: told } if told == found), "{long:?}");
}

#[test]
fn weak_and_foreign_keys_are_refused() {
    for name in ["rsa-1024.pem", "ec-secp256k1.pem"] {
        let error = refused(&file(name));
        assert!(
            matches!(error, OpenKeyError::Key(KeyFileError::UnsupportedKey)),
            "{name}: {error:?}"
        );
    }
    for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
        let error = refused(crypto::pem::encode(label, b"no key").as_bytes());
        assert!(matches!(error, OpenKeyError::Key(KeyFileError::UnsupportedKey)), "{label}");
    }
}

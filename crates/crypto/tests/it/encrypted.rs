//! Cosign's encrypted keys: what go-securesystemslib wrote opens here, what is written here is what
//! it writes; what is broken, too dear or another's format is refused before any password counts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::encrypted::{BadEncryptedKey, COSIGN_LABEL, EncryptedKey, SIGSTORE_LABEL};
use crypto::{
    KeyFileError, KeyKind, KeyPair, OpenKeyError, Password, PrivateKeyPem, PublicKey, Signer,
};
use serde_json::{Value, json};

use crate::key_forms::file;

const PASSWORD: &str = "pass word é";

fn password(text: &str) -> Password {
    Password::new(text.as_bytes().to_vec())
}

fn open(text: &[u8], with: &str) -> Result<KeyPair, OpenKeyError> {
    PrivateKeyPem::parse(text)?.open(|| Ok(password(with)))
}

#[test]
fn keys_that_go_and_cosign_encrypted_open_at_every_cost_under_either_label() {
    let public = PublicKey::from_any_pem(&file("ec-p256-with-parameters.public.pem")).unwrap();
    let labels = [COSIGN_LABEL, SIGSTORE_LABEL, SIGSTORE_LABEL];
    for (cost, label) in [32768, 65536, 131_072].into_iter().zip(labels) {
        let text = file(&format!("go-{cost}.pem"));
        assert!(text.starts_with(format!("-----BEGIN {label}-----").as_bytes()), "{cost}");
        assert_eq!(*open(&text, PASSWORD).unwrap().public_key(), public, "{cost}");
    }
    let cosign = PublicKey::from_any_pem(&file("cosign-3.1.3.public.pem")).unwrap();
    assert_eq!(*open(&file("cosign-3.1.3.pem"), PASSWORD).unwrap().public_key(), cosign);
    let ed25519 = PublicKey::from_any_pem(&file("ed25519.public.pem")).unwrap();
    assert_eq!(*open(&file("go-ed25519.pem"), "x").unwrap().public_key(), ed25519);
}

#[test]
fn the_empty_password_is_a_password() {
    let public = PublicKey::from_any_pem(&file("rsa-2048.public.pem")).unwrap();
    assert_eq!(*open(&file("go-rsa-no-password.pem"), "").unwrap().public_key(), public);
    let error = open(&file("go-rsa-no-password.pem"), " ").unwrap_err();
    assert!(matches!(error, OpenKeyError::WrongPassword(_)), "{error:?}");
}

#[test]
fn what_is_written_reads_back_and_is_never_twice_the_same() {
    let pair = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    let text = pair.to_encrypted_pem(&password(PASSWORD)).unwrap();
    assert!(text.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"), "{text}");
    assert_eq!(open(text.as_bytes(), PASSWORD).unwrap().public_key(), pair.public_key());
    let again = description(text.as_bytes());
    let other = description(pair.to_encrypted_pem(&password(PASSWORD)).unwrap().as_bytes());
    for pointer in ["/kdf/salt", "/cipher/nonce", "/ciphertext"] {
        assert_ne!(again.pointer(pointer), other.pointer(pointer), "{pointer}");
    }
    // The shape that Go writes, part for part.
    let go = description(&file("go-65536.pem"));
    assert_eq!(shape(&again), shape(&go));
    assert_eq!(again["kdf"]["params"], go["kdf"]["params"]);
}

#[test]
fn a_wrong_password_is_told_apart_from_a_broken_file() {
    let text = file("go-65536.pem");
    let wrong = open(&text, "other").unwrap_err();
    assert!(matches!(wrong, OpenKeyError::WrongPassword(_)), "{wrong:?}");
    assert!(wrong.hint().unwrap().contains("COSIGN_PASSWORD"));
    let broken = open(&text[..text.len() / 2], PASSWORD).unwrap_err();
    assert!(matches!(broken, OpenKeyError::Pem(_)), "{broken:?}");
    let short = changed("/ciphertext", json!(STANDARD.encode([0; 16])));
    let wanted = BadEncryptedKey::Length { part: "ciphertext", wanted: 17, found: 16 };
    assert_eq!(short, wanted);
    let error = OpenKeyError::from(short);
    assert!(error.hint().unwrap().contains("damaged"), "{error:?}");
}

#[test]
fn one_bit_anywhere_in_the_ciphertext_is_noticed() {
    let right = description(&file("go-32768.pem"));
    let sealed = STANDARD.decode(right["ciphertext"].as_str().unwrap()).unwrap();
    // The tag's ends and the content's.
    for at in [0, 15, 16, sealed.len() - 1] {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        let mut document = right.clone();
        document["ciphertext"] = json!(STANDARD.encode(altered));
        let key = EncryptedKey::parse(document.to_string().as_bytes()).unwrap();
        assert!(key.open(&password(PASSWORD)).is_err(), "{at}");
    }
}

#[test]
fn costs_other_than_the_three_are_refused_before_they_are_paid() {
    for (n, r, p) in [
        (16384, 8, 1),
        (65535, 8, 1),
        (1 << 18, 8, 1),
        (u32::MAX, 8, 1),
        (0, 8, 1),
        (65536, 9, 1),
        (65536, 1 << 20, 1),
        (65536, 8, 2),
        (65536, 8, 0),
    ] {
        let params = json!({"N": n, "r": r, "p": p});
        let error = changed("/kdf/params", params);
        assert_eq!(error, BadEncryptedKey::Cost { n, r, p });
        assert!(OpenKeyError::from(error).hint().unwrap().contains("import"));
    }
}

#[test]
fn other_derivations_ciphers_and_lengths_are_refused_by_name() {
    let kdf = changed("/kdf/name", json!("argon2id"));
    assert_eq!(kdf, BadEncryptedKey::Kdf { found: "argon2id".into() });
    let cipher = changed("/cipher/name", json!("x".repeat(100)));
    assert_eq!(cipher, BadEncryptedKey::Cipher { found: "x".repeat(64) });
    for (pointer, part, wanted) in [("/kdf/salt", "salt", 32), ("/cipher/nonce", "nonce", 24)] {
        for found in [0, wanted - 1, wanted + 1] {
            let error = changed(pointer, json!(STANDARD.encode(vec![7; found])));
            assert_eq!(error, BadEncryptedKey::Length { part, wanted, found });
        }
        assert_eq!(changed(pointer, json!("*")), BadEncryptedKey::Base64 { part });
    }
    assert_eq!(changed("/ciphertext", json!("*")), BadEncryptedKey::Base64 { part: "ciphertext" });
}

#[test]
fn what_is_not_the_description_is_refused_without_repeating_it() {
    for (pointer, value) in [
        ("/kdf/params/N", json!("secret")),
        ("/kdf/params/N", json!(-1)),
        ("/ciphertext", json!(7)),
        ("/kdf", json!({"secret": 1})),
        ("/kdf/params", json!({"N": 65536, "r": 8, "p": 1, "t": 3})),
    ] {
        let error = changed(pointer, value);
        assert!(matches!(error, BadEncryptedKey::Json(_)), "{pointer}: {error:?}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let inside = crypto::pem::encode(SIGSTORE_LABEL, b"no JSON");
    let error = PrivateKeyPem::parse(inside.as_bytes()).unwrap_err();
    assert!(matches!(error, OpenKeyError::Broken(BadEncryptedKey::Json(_))), "{error:?}");
}

#[test]
fn a_right_password_over_no_key_is_neither_wrong_nor_a_key() {
    let sealed = crypto::encrypted::seal(b"no PKCS#8", &password(PASSWORD));
    let text = crypto::pem::encode(SIGSTORE_LABEL, &sealed);
    let error = open(text.as_bytes(), PASSWORD).unwrap_err();
    assert!(matches!(error, OpenKeyError::Key(KeyFileError::UnsupportedKey)), "{error:?}");
}

#[test]
fn nothing_secret_is_printed() {
    assert_eq!(format!("{:?}", password("hunter2")), "Password(withheld)");
    let pair = open(&file("go-ed25519.pem"), "x").unwrap();
    let seed = "6b42bd51257ff10e17c00961e7642001";
    assert!(!format!("{pair:?}").contains(seed));
}

fn description(text: &[u8]) -> Value {
    let (_, json) = crypto::pem::decode(text).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// Go's description with one value changed.
fn changed(pointer: &str, value: Value) -> BadEncryptedKey {
    let mut document = description(&file("go-65536.pem"));
    *document.pointer_mut(pointer).unwrap() = value;
    EncryptedKey::parse(document.to_string().as_bytes()).unwrap_err()
}

fn shape(value: &Value) -> Vec<String> {
    let Value::Object(map) = value else { return vec![String::new()] };
    let below = |(key, value): (&String, &Value)| {
        shape(value).into_iter().map(|rest| format!("{key}/{rest}")).collect::<Vec<_>>()
    };
    map.iter().flat_map(below).collect()
}

//! Signers: every kind of key with every scheme that fits it, over bytes and over their hash.

use crypto::{
    Hash, HashAlgorithm, KeyFileError, KeyKind, KeyPair, Message, Scheme, SignError, Signer,
};

use crate::key::KINDS;

const ALL_SCHEMES: [Scheme; 19] = [
    Scheme::EcdsaP256Sha256,
    Scheme::EcdsaP256Sha384,
    Scheme::EcdsaP256Sha512,
    Scheme::EcdsaP384Sha256,
    Scheme::EcdsaP384Sha384,
    Scheme::EcdsaP384Sha512,
    Scheme::EcdsaP521Sha256,
    Scheme::EcdsaP521Sha384,
    Scheme::EcdsaP521Sha512,
    Scheme::RsaPkcs1Sha256,
    Scheme::RsaPkcs1Sha384,
    Scheme::RsaPkcs1Sha512,
    Scheme::RsaPssSha256,
    Scheme::RsaPssSha384,
    Scheme::RsaPssSha512,
    Scheme::Ed25519,
    Scheme::Ed25519ph,
    Scheme::EcdsaP256Sha256Fixed,
    Scheme::EcdsaP384Sha384Fixed,
];

/// Schemes that are verified, because others sign with them, but not signed with here.
const VERIFY_ONLY: [Scheme; 6] = [
    Scheme::EcdsaP256Sha384,
    Scheme::EcdsaP256Sha512,
    Scheme::EcdsaP384Sha256,
    Scheme::EcdsaP384Sha512,
    Scheme::EcdsaP521Sha256,
    Scheme::EcdsaP521Sha384,
];

#[test]
fn what_is_signed_verifies_and_nothing_else() {
    for kind in KINDS {
        let pair = KeyPair::generate(kind).unwrap();
        let key = pair.public_key();
        for scheme in ALL_SCHEMES {
            let unsupported = SignError::UnsupportedScheme { kind, scheme };
            if !scheme.fits(kind) || VERIFY_ONLY.contains(&scheme) {
                let refused = pair.sign(scheme, Message::Bytes(b"message")).unwrap_err();
                assert_eq!(refused, unsupported);
                continue;
            }
            let right = Hash::of(scheme.hash().unwrap_or(HashAlgorithm::Sha512), b"message");
            let mut signatures = vec![pair.sign(scheme, Message::Bytes(b"message")).unwrap()];
            match pair.sign(scheme, Message::Hashed(&right)) {
                Ok(signature) => signatures.push(signature),
                // Pure Ed25519 signs the message, never a hash of it.
                Err(error) => assert_eq!((scheme, error), (Scheme::Ed25519, unsupported)),
            }
            for signature in signatures {
                key.verify(scheme, Message::Bytes(b"message"), &signature).unwrap();
                let by_hash = key.verify(scheme, Message::Hashed(&right), &signature);
                assert_eq!(by_hash.is_ok(), scheme != Scheme::Ed25519, "{scheme:?}");
                for wrong in [
                    key.verify(scheme, Message::Bytes(b"massage"), &signature),
                    key.verify(scheme, Message::Bytes(b""), &signature),
                    key.verify(scheme, Message::Bytes(b"message"), &[]),
                    key.verify(scheme, Message::Bytes(b"message"), &signature[1..]),
                    key.verify(
                        scheme,
                        Message::Bytes(b"message"),
                        &[&signature[..], &[0]].concat(),
                    ),
                ] {
                    assert!(wrong.is_err(), "{scheme:?}");
                }
            }
        }
    }
}

#[test]
fn a_hash_of_another_algorithm_is_not_signed_and_does_not_verify() {
    for kind in KINDS {
        let pair = KeyPair::generate(kind).unwrap();
        let scheme = pair.public_key().default_scheme();
        let signature = pair.sign_bytes(b"message").unwrap();
        for algorithm in HashAlgorithm::ALL {
            if scheme.hash() == Some(algorithm) {
                continue;
            }
            let hash = Hash::of(algorithm, b"message");
            let refused = pair.sign(scheme, Message::Hashed(&hash)).unwrap_err();
            assert_eq!(refused, SignError::UnsupportedScheme { kind, scheme });
            let outcome = pair.public_key().verify(scheme, Message::Hashed(&hash), &signature);
            assert!(outcome.is_err(), "{kind} {algorithm}");
        }
    }
}

#[test]
fn larger_rsa_keys_sign_too() {
    for bits in [3072, 4096] {
        let pair = KeyPair::generate(KeyKind::Rsa { bits }).unwrap();
        assert_eq!(pair.public_key().kind(), KeyKind::Rsa { bits });
        let signature = pair.sign_bytes(b"message").unwrap();
        assert_eq!(signature.len(), usize::try_from(bits / 8).unwrap());
        let message = Message::Bytes(b"message");
        pair.public_key().verify(Scheme::RsaPkcs1Sha256, message, &signature).unwrap();
    }
    for bits in [0, 1024, 2047, 8192] {
        let refused = KeyPair::generate(KeyKind::Rsa { bits });
        assert!(matches!(refused, Err(KeyFileError::UnsupportedKey)), "{bits}");
    }
}

#[test]
fn a_private_key_is_never_printed() {
    for kind in KINDS {
        let pair = KeyPair::generate(kind).unwrap();
        let printed = format!("{pair:?}");
        assert!(printed.contains("withheld"), "{printed}");
        let secret = hex::encode(&*pair.to_pkcs8_der().unwrap());
        assert!(!printed.contains(&secret[secret.len() - 16..]), "{printed}");
    }
}

#[test]
fn hashes_at_once_and_in_pieces_agree() {
    // FIPS 180-4, "abc".
    for (algorithm, wanted) in [
        (HashAlgorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            HashAlgorithm::Sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            HashAlgorithm::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
    ] {
        let hash = Hash::of(algorithm, b"abc");
        assert_eq!(format!("{hash:?}"), format!("{algorithm}:{wanted}"));
        let mut hasher = crypto::Hasher::new(algorithm);
        [b"a".as_slice(), b"", b"bc"].iter().for_each(|piece| hasher.update(piece));
        assert_eq!(hasher.finish(), hash);
        assert_eq!(Hash::from_bytes(algorithm, hash.as_bytes()), Some(hash));
        assert_eq!(Hash::from_bytes(algorithm, &hash.as_bytes()[1..]), None);
        assert_eq!(HashAlgorithm::from_name(algorithm.name()), Some(algorithm));
    }
    assert_eq!(HashAlgorithm::from_name("SHA256"), None);
}

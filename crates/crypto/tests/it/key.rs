//! Public keys: every kind in every form it comes in, and what is refused.

use crypto::key::SPKI_SIZE_MAX;
use crypto::{KeyKind, KeyPair, Message, ParseKeyError, PublicKey, Scheme, Signer};

pub(crate) const KINDS: [KeyKind; 5] = [
    KeyKind::EcdsaP256,
    KeyKind::EcdsaP384,
    KeyKind::EcdsaP521,
    KeyKind::Rsa { bits: 2048 },
    KeyKind::Ed25519,
];

fn key(kind: KeyKind) -> PublicKey {
    KeyPair::generate(kind).unwrap().public_key().clone()
}

#[test]
fn keys_read_the_same_from_der_and_pem() {
    for kind in KINDS {
        let key = key(kind);
        assert_eq!(key.kind(), kind);
        assert_eq!(PublicKey::from_spki_der(key.spki_der()).unwrap(), key);
        assert_eq!(PublicKey::from_pem(key.to_pem().as_bytes()).unwrap(), key);
        assert_eq!(key.id(), crypto::sha256(key.spki_der()));
        assert!(format!("{key:?}").starts_with(&format!("PublicKey({kind}, ")), "{key:?}");
    }
}

#[test]
fn pem_is_read_whatever_its_lines_and_surroundings() {
    let key = key(KeyKind::EcdsaP384);
    let pem = key.to_pem();
    let one_line: String = {
        let mut lines = pem.lines();
        let (head, mut body) = (lines.next().unwrap(), lines.collect::<Vec<_>>());
        let foot = body.pop().unwrap();
        format!("{head}\n{}\n{foot}\n", body.concat())
    };
    for text in
        [pem.replace('\n', "\r\n"), format!("\n{pem}\n\n"), pem.trim_end().to_owned(), one_line]
    {
        assert_eq!(PublicKey::from_pem(text.as_bytes()).unwrap(), key, "{text:?}");
    }
}

#[test]
fn keys_read_the_same_from_their_parts() {
    for (kind, size) in
        [(KeyKind::EcdsaP256, 32), (KeyKind::EcdsaP384, 48), (KeyKind::EcdsaP521, 66)]
    {
        let key = key(kind);
        let point = key.raw_bytes();
        assert_eq!((point.len(), point[0]), (1 + 2 * size, 4));
        let (x, y) = point[1..].split_at(size);
        assert_eq!(PublicKey::from_ec_coordinates(kind, x, y).unwrap(), key);
        let invalid = Err(ParseKeyError::InvalidKey { kind });
        assert_eq!(PublicKey::from_ec_coordinates(kind, y, x), invalid);
        assert_eq!(PublicKey::from_ec_coordinates(kind, &x[1..], y), invalid);
        assert_eq!(PublicKey::from_ec_coordinates(kind, x, &[y, &[0]].concat()), invalid);
        assert!(key.rsa_components().is_none());
    }
    let rsa = key(KeyKind::Rsa { bits: 2048 });
    let (modulus, exponent) = rsa.rsa_components().unwrap();
    assert_eq!((modulus.len(), exponent.as_slice()), (256, &[1, 0, 1][..]));
    assert_eq!(PublicKey::from_rsa_components(&modulus, &exponent).unwrap(), rsa);
    let padded = [&[0], modulus.as_slice()].concat();
    assert_eq!(PublicKey::from_rsa_components(&padded, &exponent).unwrap(), rsa);
    assert_eq!(PublicKey::from_pkcs1_der(&rsa.raw_bytes()).unwrap(), rsa);
    let edwards = key(KeyKind::Ed25519);
    assert_eq!(PublicKey::from_ed25519_bytes(&edwards.raw_bytes()).unwrap(), edwards);
    for kind in [KeyKind::Ed25519, KeyKind::Rsa { bits: 2048 }] {
        let invalid = Err(ParseKeyError::InvalidKey { kind });
        assert_eq!(PublicKey::from_ec_coordinates(kind, &[0; 32], &[0; 32]), invalid);
    }
}

#[test]
fn what_is_no_key_is_refused() {
    let der = |bytes: &[u8]| PublicKey::from_spki_der(bytes).unwrap_err();
    let found = SPKI_SIZE_MAX + 1;
    assert_eq!(der(&vec![0x30; found]), ParseKeyError::TooLong { found });
    assert!(matches!(der(b""), ParseKeyError::Der(_)));
    assert!(matches!(der(b"no DER"), ParseKeyError::Der(_)));
    for kind in KINDS {
        let spki = key(kind).spki_der().to_vec();
        for (what, bytes) in [
            ("cut", spki[..spki.len() - 1].to_vec()),
            ("trailing", [&spki[..], &[0]].concat()),
            ("twice", [&spki[..], &spki[..]].concat()),
        ] {
            assert!(matches!(der(&bytes), ParseKeyError::Der(_)), "{kind} {what}");
        }
    }
    let pem = |text: &str| PublicKey::from_pem(text.as_bytes()).unwrap_err();
    assert!(matches!(pem("no PEM"), ParseKeyError::Pem(_)));
    let text = key(KeyKind::Ed25519).to_pem();
    let label = text.replace("PUBLIC KEY", "CERTIFICATE");
    let found = "CERTIFICATE".to_owned();
    assert_eq!(pem(&label), ParseKeyError::PemLabel { found });
    assert!(matches!(pem(&text.replacen('M', "?", 1)), ParseKeyError::Pem(_)));
    let found = 2 * SPKI_SIZE_MAX + 1;
    assert_eq!(pem(&" ".repeat(found)), ParseKeyError::TooLong { found });
}

#[test]
fn points_off_the_curve_are_refused() {
    for kind in [KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::EcdsaP521] {
        let mut spki = key(kind).spki_der().to_vec();
        *spki.last_mut().unwrap() ^= 1;
        assert_eq!(PublicKey::from_spki_der(&spki), Err(ParseKeyError::InvalidKey { kind }));
    }
}

#[test]
fn algorithms_and_sizes_that_are_not_taken() {
    let unsupported = |spki: &str| {
        let error = PublicKey::from_spki_der(&hex::decode(spki).unwrap()).unwrap_err();
        assert!(matches!(error, ParseKeyError::UnsupportedAlgorithm { .. }), "{error:?}");
    };
    // secp256k1, X25519, Ed448, and an elliptic-curve key without a curve.
    unsupported(&format!("3056301006072a8648ce3d020106052b8104000a03420004{}", "11".repeat(64)));
    unsupported(&format!("302a300506032b656e032100{}", "11".repeat(32)));
    unsupported(&format!("3043300506032b6571033a00{}", "11".repeat(57)));
    unsupported(&format!("304f300906072a8648ce3d020103420004{}", "11".repeat(64)));

    let rsa = |bits: u32| {
        let mut modulus = vec![0xFF; usize::try_from(bits.div_ceil(8)).unwrap()];
        modulus[0] >>= bits.next_multiple_of(8) - bits;
        PublicKey::from_rsa_components(&modulus, &[1, 0, 1])
    };
    for bits in [512, 1024, 2047, 4097, 8192] {
        assert_eq!(rsa(bits).unwrap_err(), ParseKeyError::RsaSize { bits });
    }
    for bits in [2048, 3072, 4096] {
        assert_eq!(rsa(bits).unwrap().kind(), KeyKind::Rsa { bits });
    }
    // An even modulus is no product of two odd primes.
    let even = [vec![0xFF; 255], vec![0xFE]].concat();
    let kind = KeyKind::Rsa { bits: 2048 };
    let error = PublicKey::from_rsa_components(&even, &[1, 0, 1]).unwrap_err();
    assert_eq!(error, ParseKeyError::InvalidKey { kind });
    assert!(PublicKey::from_rsa_components(&[], &[1, 0, 1]).is_err());
    assert!(PublicKey::from_rsa_components(&[0xFF; 256], &[]).is_err());
}

#[test]
fn a_scheme_verifies_under_its_own_kind_of_key_only() {
    for signing in KINDS {
        let pair = KeyPair::generate(signing).unwrap();
        let signature = pair.sign_bytes(b"message").unwrap();
        let scheme = pair.public_key().default_scheme();
        let message = Message::Bytes(b"message");
        pair.public_key().verify(scheme, message, &signature).unwrap();
        for other in KINDS {
            let stranger = key(other);
            assert!(stranger.verify(scheme, message, &signature).is_err(), "{signing} {other}");
            let theirs = stranger.default_scheme();
            if theirs != scheme {
                assert!(!theirs.fits(signing));
                assert!(pair.public_key().verify(theirs, message, &signature).is_err());
            }
        }
    }
}

#[test]
fn the_scheme_of_a_certificate_follows_from_key_and_hash() {
    use crypto::HashAlgorithm;
    for kind in KINDS {
        for hash in HashAlgorithm::ALL {
            let scheme = Scheme::for_key_and_hash(kind, hash);
            assert!(scheme.fits(kind));
            let wanted = if kind == KeyKind::Ed25519 { None } else { Some(hash) };
            assert_eq!(scheme.hash(), wanted, "{kind} {hash}");
        }
    }
}

